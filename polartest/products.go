package polartest

import (
	"cmp"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"github.com/polar-go/polar/models"
)

type product struct {
	m            models.Product
	prices       []*price // archived ones too: old subscribers keep theirs
	benefits     []string
	medias       []string
	customFields []models.AttachedCustomFieldCreate
}

func (p *product) orgID() string { return p.m.OrganizationID }

// price is immutable but for being archived.
type price struct {
	m models.ProductPrice
}

func productHandlers() handlers {
	return handlers{
		"products:list": listProducts, "products:create": createProduct, "products:get": getProduct,
		"products:update": updateProduct, "products:delete": deleteProduct, "products:update_benefits": updateProductBenefits,
	}
}

func (s *Server) renderProduct(p *product) models.Product {
	m := p.m
	for _, pr := range p.prices {
		if !pr.m.IsArchived {
			m.Prices = append(m.Prices, pr.m)
		}
	}
	for _, id := range p.benefits {
		if b, ok := s.benefits.get(id); ok {
			m.Benefits = append(m.Benefits, b.m)
		}
	}
	m.AttachedCustomFields, m.Medias = s.attached(p), s.mediasOf(p)
	m.IsDeletable = s.deletable(p)
	return m
}

func (s *Server) renderProductSummary(p *product) models.ProductSummary {
	m := p.m
	return models.ProductSummary{Metadata: m.Metadata, ID: m.ID, CreatedAt: m.CreatedAt, ModifiedAt: m.ModifiedAt, TrialInterval: m.TrialInterval, TrialIntervalCount: m.TrialIntervalCount,
		Name: m.Name, Description: m.Description, Visibility: m.Visibility, RecurringInterval: m.RecurringInterval, RecurringIntervalCount: m.RecurringIntervalCount,
		MeterInterval: m.MeterInterval, MeterIntervalCount: m.MeterIntervalCount, IsRecurring: m.IsRecurring, IsArchived: m.IsArchived, OrganizationID: m.OrganizationID}
}

func (s *Server) renderPublicProduct(p *product) models.PublicProduct {
	m := s.renderProduct(p)
	out := models.PublicProduct{ID: m.ID, CreatedAt: m.CreatedAt, ModifiedAt: m.ModifiedAt, TrialInterval: m.TrialInterval, TrialIntervalCount: m.TrialIntervalCount,
		Name: m.Name, Description: m.Description, Visibility: m.Visibility, RecurringInterval: m.RecurringInterval, RecurringIntervalCount: m.RecurringIntervalCount,
		MeterInterval: m.MeterInterval, MeterIntervalCount: m.MeterIntervalCount, IsRecurring: m.IsRecurring, IsArchived: m.IsArchived, OrganizationID: m.OrganizationID,
		Prices: m.Prices, Medias: m.Medias}
	for _, b := range m.Benefits {
		out.Benefits = append(out.Benefits, publicBenefit(b))
	}
	return out
}

func listProducts(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.products, func(p *product) bool {
		if v, ok := c.query["visibility"]; ok && !slices.Contains(v, string(p.m.Visibility)) {
			return false
		}
		return c.asks("id", p.m.ID) && c.searches("query", p.m.Name) && c.asksBool("is_archived", p.m.IsArchived) && c.asksBool("is_recurring", p.m.IsRecurring) &&
			c.asksMetadata(p.m.Metadata) && (c.query["benefit_id"] == nil || slices.ContainsFunc(p.benefits, func(id string) bool { return c.asks("benefit_id", id) }))
	})
	return page(c, items, map[string]func(a, b *product) int{
		"name":              func(a, b *product) int { return strings.Compare(a.m.Name, b.m.Name) },
		"price_amount_type": func(a, b *product) int { return strings.Compare(a.amountType(), b.amountType()) },
		"price_amount":      func(a, b *product) int { return cmp.Compare(a.listAmount(), b.listAmount()) },
	}, s.renderProduct)
}

func (p *product) amountType() string {
	for _, pr := range p.prices {
		if !pr.m.IsArchived {
			return string(pr.m.AmountType)
		}
	}
	return ""
}

func (p *product) listAmount() int64 {
	for _, pr := range p.prices {
		if !pr.m.IsArchived {
			return pr.amount(1, 1, nil)
		}
	}
	return 0
}

func getProduct(c *call) (any, error) {
	p, err := find(c, &c.srv.products, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderProduct(p), nil
}

func createProduct(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.ProductCreateRecurring](c) // the one-time form has the same members and no interval
	if err != nil {
		return nil, err
	}
	org, err := c.organization(body.OrganizationID)
	if err != nil {
		return nil, err
	}
	p := &product{m: models.Product{
		ID: s.uuid(), CreatedAt: c.now, Name: body.Name, Description: body.Description, Visibility: or(body.Visibility, models.ProductVisibilityPublic),
		OrganizationID: org.m.ID, Metadata: body.Metadata,
	}, customFields: body.AttachedCustomFields, medias: body.Medias}
	if c.chosen == "ProductCreateRecurring" {
		p.m.IsRecurring = true
		p.m.RecurringInterval = &body.RecurringInterval
		p.m.RecurringIntervalCount = new(or(body.RecurringIntervalCount, 1))
		p.m.TrialInterval, p.m.TrialIntervalCount = body.TrialInterval, body.TrialIntervalCount
		p.m.MeterInterval, p.m.MeterIntervalCount = body.MeterInterval, body.MeterIntervalCount
		if faults := pairFaults(body.TrialInterval != nil, body.TrialIntervalCount != nil, "trial_interval", "trial_interval_count"); faults != nil {
			return nil, invalid(faults...)
		}
	}
	made, err := s.newPrices(p, body.Prices, models.ProductPriceSourceCatalog, "prices")
	if err != nil {
		return nil, err
	}
	p.prices = made
	if err := p.checkPrices(); err != nil {
		return nil, err
	}
	if err := c.checkFields(p, p.customFields); err != nil {
		return nil, err
	}
	if err := c.checkMedia(p, p.medias); err != nil {
		return nil, err
	}
	for _, pr := range made {
		s.prices[pr.m.ID] = pr
	}
	s.products.add(p.m.ID, p)
	s.emit(org, models.WebhookEventTypeProductCreated, func() any { return s.renderProduct(p) })
	return s.renderProduct(p), nil
}

// pairFaults finds that only one of two members that go together is set.
func pairFaults(a, b bool, nameA, nameB string) []fault {
	switch {
	case a && !b:
		return []fault{{Type: "missing", Loc: []any{"body", nameB}, Msg: "Field required"}}
	case b && !a:
		return []fault{{Type: "missing", Loc: []any{"body", nameA}, Msg: "Field required"}}
	}
	return nil
}

// newPrices makes prices of their requests. They are not known to the server yet.
func (s *Server) newPrices(p *product, list []models.ProductPriceCreate, source models.ProductPriceSource, loc ...any) ([]*price, error) {
	var out []*price
	for i, x := range list {
		pr, faults := s.newPrice(p, x, append(loc[:len(loc):len(loc)], i))
		if faults != nil {
			return nil, invalid(faults...)
		}
		pr.m.Source = source
		out = append(out, pr)
	}
	return out, nil
}

func (s *Server) newPrice(p *product, x any, loc []any) (*price, []fault) {
	m := models.ProductPrice{CreatedAt: s.at, ID: s.uuid(), Source: models.ProductPriceSourceCatalog, ProductID: p.m.ID}
	currency := func(c *models.Currency, t *models.TaxBehaviorOption) {
		m.PriceCurrency, m.TaxBehavior = string(or(c, models.CurrencyUSD)), t
	}
	one := func(msg string, input any, at ...any) []fault {
		return []fault{wrong(msg, input, append(loc[:len(loc):len(loc)], at...)...)}
	}
	switch x := x.(type) {
	case *models.ProductPriceFixedCreate:
		currency(x.PriceCurrency, x.TaxBehavior)
		m.AmountType, m.Amount = models.ProductPriceAmountTypeFixed, &models.ProductPriceFixed{PriceAmount: x.PriceAmount}
	case *models.ProductPriceCustomCreate:
		currency(x.PriceCurrency, x.TaxBehavior)
		a := &models.ProductPriceCustom{MinimumAmount: or(x.MinimumAmount, 50), MaximumAmount: x.MaximumAmount, PresetAmount: x.PresetAmount}
		if a.MaximumAmount != nil && *a.MaximumAmount < a.MinimumAmount {
			return nil, one("The maximum amount must not be below the minimum amount.", *a.MaximumAmount, "maximum_amount")
		}
		if a.PresetAmount != nil && (*a.PresetAmount < a.MinimumAmount || a.MaximumAmount != nil && *a.PresetAmount > *a.MaximumAmount) {
			return nil, one("The preset amount must lie between the minimum and the maximum.", *a.PresetAmount, "preset_amount")
		}
		m.AmountType, m.Amount = models.ProductPriceAmountTypeCustom, a
	case *models.ProductPriceSeatBasedCreate:
		currency(x.PriceCurrency, x.TaxBehavior)
		t := models.ProductPriceSeatTiers{SeatTierType: new(or(x.SeatTiers.SeatTierType, models.PriceTierTypeVolume)), Tiers: x.SeatTiers.Tiers}
		if f := seatFaults(t.Tiers, one); f != nil {
			return nil, f
		}
		t.MinimumSeats, t.MaximumSeats = t.Tiers[0].MinSeats, t.Tiers[len(t.Tiers)-1].MaxSeats
		m.AmountType, m.Amount = models.ProductPriceAmountTypeSeatBased, &models.ProductPriceSeatBased{SeatTiers: t}
	case *models.ProductPriceUnitBasedCreate:
		currency(x.PriceCurrency, x.TaxBehavior)
		t, f := priceTiers(x.Tiers, one)
		if f != nil {
			return nil, f
		}
		m.AmountType = models.ProductPriceAmountTypeUnitBased
		m.Amount = &models.ProductPriceUnitBased{Tiers: t, MinimumUnits: x.MinimumUnits, UnitLabel: x.UnitLabel, MaximumUnits: t.Tiers[len(t.Tiers)-1].Bound}
	case *models.ProductPriceMeteredUnitCreate:
		currency(x.PriceCurrency, x.TaxBehavior)
		me, f := s.priceMeter(p, x.MeterID, one)
		if f != nil {
			return nil, f
		}
		m.AmountType = models.ProductPriceAmountTypeMeteredUnit
		m.Amount = &models.ProductPriceMeteredUnit{CapAmount: x.CapAmount, MeterID: me.ID, Meter: me, UnitAmount: x.UnitAmount}
	case *models.ProductPriceMeteredTiersCreate:
		currency(x.PriceCurrency, x.TaxBehavior)
		me, f := s.priceMeter(p, x.MeterID, one)
		if f != nil {
			return nil, f
		}
		t, f := priceTiers(x.Tiers, one)
		if f != nil {
			return nil, f
		}
		m.AmountType = models.ProductPriceAmountTypeMeteredTiers
		m.Amount = &models.ProductPriceMeteredTiers{CapAmount: x.CapAmount, MeterID: me.ID, Meter: me, Tiers: t}
	default:
		return nil, one("This kind of price is unknown.", nil)
	}
	return &price{m: m}, nil
}

type faultAt func(msg string, input any, at ...any) []fault

func (s *Server) priceMeter(p *product, id string, one faultAt) (models.ProductPriceMeter, []fault) {
	me, ok := s.meters.get(id)
	if !ok || me.m.OrganizationID != p.m.OrganizationID {
		return models.ProductPriceMeter{}, one("Meter does not exist.", id, "meter_id")
	}
	if !p.m.IsRecurring {
		return models.ProductPriceMeter{}, one("Metered pricing is not supported on one-time products.", id, "meter_id")
	}
	return models.ProductPriceMeter{ID: me.m.ID, Name: me.m.Name, Unit: me.m.Unit, CustomLabel: me.m.CustomLabel, CustomMultiplier: me.m.CustomMultiplier}, nil
}

func seatFaults(tiers []models.ProductPriceSeatTier, one faultAt) []fault {
	if len(tiers) == 0 {
		return one("At least one tier is needed.", nil, "seat_tiers", "tiers")
	}
	for i, t := range tiers {
		last := i == len(tiers)-1
		if t.MaxSeats == nil && !last || t.MaxSeats != nil && *t.MaxSeats < t.MinSeats || !last && tiers[i+1].MinSeats != deref(t.MaxSeats)+1 {
			return one("The tiers must follow each other without gaps, and only the last may be open.", i, "seat_tiers", "tiers", i)
		}
	}
	return nil
}

func priceTiers(c models.PriceTiersCreate, one faultAt) (models.PriceTiers, []fault) {
	t := models.PriceTiers{Type: c.Type}
	if len(c.Tiers) == 0 {
		return t, one("At least one tier is needed.", nil, "tiers", "tiers")
	}
	for i, x := range c.Tiers {
		last := i == len(c.Tiers)-1
		if x.Bound == nil && !last || i > 0 && x.Bound != nil && *x.Bound <= deref(c.Tiers[i-1].Bound) {
			return t, one("The bounds of the tiers must rise, and only the last may be open.", i, "tiers", "tiers", i, "bound")
		}
		t.Tiers = append(t.Tiers, models.PriceTier(x))
	}
	return t, nil
}

// isMetered tells whether the price is for usage, billed at the end of a period.
func (p *price) meterID() string {
	switch a := p.m.Amount.(type) {
	case *models.ProductPriceMeteredUnit:
		return a.MeterID
	case *models.ProductPriceMeteredTiers:
		return a.MeterID
	}
	return ""
}

// amount is what the price asks for at once. custom is the amount that the customer chose.
func (p *price) amount(seats, units int, custom *int64) int64 {
	switch a := p.m.Amount.(type) {
	case *models.ProductPriceFixed:
		return a.PriceAmount
	case *models.ProductPriceCustom:
		return or(custom, or(a.PresetAmount, a.MinimumAmount))
	case *models.ProductPriceSeatBased:
		return seated(a.SeatTiers, seats)
	case *models.ProductPriceUnitBased:
		return tiered(a.Tiers, new(big.Rat).SetInt64(int64(units)))
	}
	return 0
}

// usage is what the price asks for used units.
func (p *price) usage(units *big.Rat) int64 {
	var amount int64
	var most *int64
	switch a := p.m.Amount.(type) {
	case *models.ProductPriceMeteredUnit:
		if units.Sign() > 0 {
			amount = round(new(big.Rat).Mul(units, rat(a.UnitAmount)))
		}
		most = a.CapAmount
	case *models.ProductPriceMeteredTiers:
		amount, most = tiered(a.Tiers, units), a.CapAmount
	}
	if most != nil {
		amount = min(amount, *most)
	}
	return amount
}

// checkPrices refuses sets of prices that do not go together.
func (p *product) checkPrices() error {
	static := map[string]string{}
	metered := map[string]bool{}
	currencies := map[string]bool{}
	for i, pr := range p.prices {
		if pr.m.IsArchived {
			continue
		}
		currencies[pr.m.PriceCurrency] = true
		if id := pr.meterID(); id != "" {
			key := pr.m.PriceCurrency + " " + id
			if metered[key] {
				return invalid(wrong("Two prices for the same meter in one currency.", nil, "prices", i))
			}
			metered[key] = true
			continue
		}
		if static[pr.m.PriceCurrency] != "" {
			return invalid(wrong("Only one static price per currency is allowed.", nil, "prices", i))
		}
		static[pr.m.PriceCurrency] = string(pr.m.AmountType)
	}
	if len(currencies) == 0 {
		return invalid(wrong("At least one price is required.", nil, "prices"))
	}
	return nil
}

// pricesIn lists the prices that are not archived in a currency, or in the one that the product has.
func (p *product) pricesIn(currency string) []*price {
	var all, in []*price
	for _, pr := range p.prices {
		if pr.m.IsArchived || pr.m.Source == models.ProductPriceSourceAdHoc {
			continue
		}
		all = append(all, pr)
		if pr.m.PriceCurrency == currency {
			in = append(in, pr)
		}
	}
	if len(in) == 0 && len(all) > 0 && currency != all[0].m.PriceCurrency {
		return p.pricesIn(all[0].m.PriceCurrency)
	}
	return in
}

func updateProduct(c *call) (any, error) {
	s := c.srv
	p, err := find(c, &s.products, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.ProductUpdate](c)
	if err != nil {
		return nil, err
	}
	if v, ok := body.RecurringInterval.Get(); ok && deref(p.m.RecurringInterval) != v {
		return nil, invalid(wrong("The recurring interval cannot be changed once it is set.", string(v), "recurring_interval"))
	}
	if v, ok := body.RecurringIntervalCount.Get(); ok && deref(p.m.RecurringIntervalCount) != v {
		return nil, invalid(wrong("The recurring interval count cannot be changed once it is set.", v, "recurring_interval_count"))
	}
	if (body.TrialInterval.IsZero() != body.TrialIntervalCount.IsZero() || body.TrialInterval.IsNull() != body.TrialIntervalCount.IsNull()) && !body.TrialInterval.IsZero() {
		return nil, invalid(wrong("trial_interval and trial_interval_count go together.", nil, "trial_interval_count"))
	}
	medias, hasMedias := body.Medias.Get()
	if err := c.checkMedia(p, medias); err != nil {
		return nil, err
	}
	fields, hasFields := body.AttachedCustomFields.Get()
	if err := c.checkFields(p, fields); err != nil {
		return nil, err
	}
	if list, ok := body.Prices.Get(); ok {
		if err := s.updatePrices(p, list); err != nil {
			return nil, err
		}
	}
	if body.Metadata != nil {
		p.m.Metadata = body.Metadata
	}
	applyValue(&p.m.Name, body.Name)
	apply(&p.m.Description, body.Description)
	applyValue(&p.m.IsArchived, body.IsArchived)
	applyValue(&p.m.Visibility, body.Visibility)
	if p.m.IsRecurring {
		apply(&p.m.TrialInterval, body.TrialInterval)
		apply(&p.m.TrialIntervalCount, body.TrialIntervalCount)
	}
	if hasMedias {
		p.medias = medias
	}
	if hasFields {
		p.customFields = fields
	}
	p.m.ModifiedAt = new(c.now)
	org, _ := s.organizations.get(p.m.OrganizationID)
	s.emit(org, models.WebhookEventTypeProductUpdated, func() any { return s.renderProduct(p) })
	return s.renderProduct(p), nil
}

// updatePrices keeps the prices that the list names, adds the new ones and archives the rest.
func (s *Server) updatePrices(p *product, list []models.ProductPriceUpdate) error {
	keep := map[string]bool{}
	var made []*price
	for i, x := range list {
		if old, ok := x.(*models.ExistingProductPrice); ok {
			if !slices.ContainsFunc(p.prices, func(pr *price) bool { return pr.m.ID == old.ID && !pr.m.IsArchived }) {
				return invalid(wrong("Price does not exist.", old.ID, "prices", i, "id"))
			}
			keep[old.ID] = true
			continue
		}
		pr, faults := s.newPrice(p, x, []any{"prices", i})
		if faults != nil {
			return invalid(faults...)
		}
		made = append(made, pr)
	}
	next := &product{m: p.m}
	for _, pr := range p.prices {
		if keep[pr.m.ID] {
			next.prices = append(next.prices, pr)
		}
	}
	next.prices = append(next.prices, made...)
	if err := next.checkPrices(); err != nil {
		return err
	}
	for _, pr := range p.prices {
		if !keep[pr.m.ID] && pr.m.Source == models.ProductPriceSourceCatalog {
			pr.m.IsArchived = true
		}
	}
	for _, pr := range made {
		s.prices[pr.m.ID] = pr
	}
	p.prices = append(p.prices, made...)
	return nil
}

// deletable tells whether nothing refers to the product yet.
func (s *Server) deletable(p *product) bool {
	refers := func(id *string) bool { return id != nil && *id == p.m.ID }
	return !slices.ContainsFunc(s.orders.all, func(o *order) bool { return refers(o.m.ProductID) }) &&
		!slices.ContainsFunc(s.subscriptions.all, func(x *subscription) bool { return x.m.ProductID == p.m.ID }) &&
		!slices.ContainsFunc(s.checkouts.all, func(x *checkout) bool {
			return slices.Contains(x.products, p.m.ID) && x.m.Status != models.CheckoutStatusExpired
		})
}

func deleteProduct(c *call) (any, error) {
	s := c.srv
	p, err := find(c, &s.products, c.path["id"])
	if err != nil {
		return nil, err
	}
	if !s.deletable(p) {
		return nil, fail(http.StatusConflict, "ProductNotDeletable", "The product has been sold or is in a checkout: archive it instead.")
	}
	s.products.remove(p.m.ID, func(x *product) bool { return x == p })
	return nil, nil
}

func updateProductBenefits(c *call) (any, error) {
	s := c.srv
	p, err := find(c, &s.products, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.ProductBenefitsUpdate](c)
	if err != nil {
		return nil, err
	}
	var next []string
	for i, id := range body.Benefits {
		b, ok := s.benefits.get(id)
		if !ok || b.m.OrganizationID != p.m.OrganizationID || b.m.IsDeleted {
			return nil, invalid(wrong("Benefit does not exist.", id, "benefits", i))
		}
		if !b.m.Selectable && !slices.Contains(p.benefits, b.m.ID) {
			return nil, invalid(wrong("Benefit is not selectable.", id, "benefits", i))
		}
		if !slices.Contains(next, b.m.ID) {
			next = append(next, b.m.ID)
		}
	}
	p.benefits = next
	p.m.ModifiedAt = new(c.now)
	s.regrantProduct(p)
	org, _ := s.organizations.get(p.m.OrganizationID)
	s.emit(org, models.WebhookEventTypeProductUpdated, func() any { return s.renderProduct(p) })
	return s.renderProduct(p), nil
}

// label is how an order line names the product.
func (p *product) label(suffix string) string {
	if suffix == "" {
		return p.m.Name
	}
	return fmt.Sprintf("%s — %s", p.m.Name, suffix)
}
