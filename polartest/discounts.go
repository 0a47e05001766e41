package polartest

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

type discount struct {
	m        models.Discount
	products []string       // empty: all of them
	redeemed map[string]int // how often, by customer
	deleted  bool           // orders and subscriptions that have it still show it
}

func (d *discount) orgID() string { return d.m.OrganizationID }

func discountHandlers() handlers {
	return handlers{
		"discounts:list": listDiscounts, "discounts:create": createDiscount, "discounts:get": getDiscount, "discounts:update": updateDiscount, "discounts:delete": deleteDiscount,
	}
}

func (s *Server) renderDiscountSummary(d *discount) *models.DiscountSummary {
	m := d.m
	return &models.DiscountSummary{Duration: m.Duration, Type: m.Type, Amount: m.Amount, Currency: m.Currency, Amounts: m.Amounts, CreatedAt: m.CreatedAt, ModifiedAt: m.ModifiedAt, ID: m.ID,
		Metadata: m.Metadata, Name: m.Name, Code: m.Code, StartsAt: m.StartsAt, EndsAt: m.EndsAt, MaxRedemptions: m.MaxRedemptions, MaxRedemptionsPerCustomer: m.MaxRedemptionsPerCustomer,
		RedemptionsCount: m.RedemptionsCount, OrganizationID: m.OrganizationID, DurationInMonths: m.DurationInMonths, BasisPoints: m.BasisPoints}
}

func (s *Server) renderDiscount(d *discount) models.Discount {
	m := d.m
	for _, id := range d.products {
		if p, ok := s.products.get(id); ok {
			m.Products = append(m.Products, s.renderProductSummary(p))
		}
	}
	return m
}

// off is what the discount takes from an amount.
func (d *discount) off(amount int64, currency string) int64 {
	switch {
	case d.m.BasisPoints != nil:
		return share(amount, int64(*d.m.BasisPoints), 10_000)
	case d.m.Amounts != nil:
		return min(amount, d.m.Amounts[currency])
	}
	return min(amount, deref(d.m.Amount))
}

// appliesTo tells whether a product may be bought with the discount.
func (d *discount) appliesTo(p *product) bool {
	return len(d.products) == 0 || slices.Contains(d.products, p.m.ID)
}

// redeemable tells whether the discount can be used now.
func (s *Server) redeemable(d *discount) bool {
	return !d.deleted && (d.m.StartsAt == nil || !d.m.StartsAt.After(s.at)) && (d.m.EndsAt == nil || d.m.EndsAt.After(s.at)) &&
		(d.m.MaxRedemptions == nil || d.m.RedemptionsCount < *d.m.MaxRedemptions)
}

// redeemableBy tells whether a customer, nil for one that is not known yet, can use the discount now.
func (s *Server) redeemableBy(d *discount, x *customer) bool {
	return s.redeemable(d) && (x == nil || d.m.MaxRedemptionsPerCustomer == nil || d.redeemed[x.m.ID] < *d.m.MaxRedemptionsPerCustomer)
}

// redeem counts a use of the discount.
func (s *Server) redeem(d *discount, x *customer) {
	d.m.RedemptionsCount++
	put(&d.redeemed, x.m.ID, d.redeemed[x.m.ID]+1)
}

// discountByCode finds a discount by what a customer types, whatever the case.
func (s *Server) discountByCode(org, code string) *discount {
	i := slices.IndexFunc(s.discounts.all, func(d *discount) bool {
		return d.m.OrganizationID == org && d.m.Code != nil && strings.EqualFold(*d.m.Code, code)
	})
	if i < 0 {
		return nil
	}
	return s.discounts.all[i]
}

func (c *call) pathDiscount() (*discount, error) {
	d, err := find(c, &c.srv.discounts, c.path["id"])
	if err == nil && d.deleted {
		err = notFound()
	}
	return d, err
}

func listDiscounts(c *call) (any, error) {
	items := visible(c, &c.srv.discounts, func(d *discount) bool { return c.searches("query", d.m.Name, deref(d.m.Code)) })
	return page(c, items, map[string]func(a, b *discount) int{
		"name":              func(a, b *discount) int { return strings.Compare(a.m.Name, b.m.Name) },
		"code":              func(a, b *discount) int { return strings.Compare(deref(a.m.Code), deref(b.m.Code)) },
		"redemptions_count": func(a, b *discount) int { return cmp.Compare(a.m.RedemptionsCount, b.m.RedemptionsCount) },
		"ends_at":           func(a, b *discount) int { return deref(a.m.EndsAt).Compare(deref(b.m.EndsAt)) },
	}, c.srv.renderDiscount)
}

func getDiscount(c *call) (any, error) {
	d, err := c.pathDiscount()
	if err != nil {
		return nil, err
	}
	return c.srv.renderDiscount(d), nil
}

func createDiscount(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.DiscountFixedCreate](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(body.OrganizationID)
	if err != nil {
		return nil, err
	}
	d := &discount{m: models.Discount{ID: s.uuid(), CreatedAt: c.now, OrganizationID: org.m.ID, Name: body.Name, Metadata: body.Metadata, Duration: body.Duration,
		DurationInMonths: body.DurationInMonths, StartsAt: utc(body.StartsAt), EndsAt: utc(body.EndsAt), MaxRedemptions: body.MaxRedemptions,
		MaxRedemptionsPerCustomer: body.MaxRedemptionsPerCustomer}}
	if err := s.setCode(d, body.Code); err != nil {
		return nil, err
	}
	if c.chosen == "DiscountPercentageCreate" {
		percent, err := decode[models.DiscountPercentageCreate](c)
		if err != nil {
			return nil, err
		}
		d.m.Type, d.m.BasisPoints = models.DiscountTypePercentage, &percent.BasisPoints
	} else {
		d.m.Type = models.DiscountTypeFixed
		if err := d.setAmounts(org, body.Amounts, body.Amount, body.Currency); err != nil {
			return nil, err
		}
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.products, err = c.discountProducts(org.m.ID, body.Products); err != nil {
		return nil, err
	}
	s.discounts.add(d.m.ID, d)
	s.emit(org, models.WebhookEventTypeDiscountCreated, func() any { return s.renderDiscount(d) })
	return s.renderDiscount(d), nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

var codePattern = regexp.MustCompile(`^[A-Za-z0-9]{3,256}$`)

// setCode gives a discount its code, which no other of the organization may have.
func (s *Server) setCode(d *discount, code *string) error {
	if code == nil || *code == "" {
		d.m.Code = nil
		return nil
	}
	if !codePattern.MatchString(*code) {
		return invalid(wrong("Code must have 3 to 256 letters and digits.", *code, "code"))
	}
	if other := s.discountByCode(d.m.OrganizationID, *code); other != nil && other != d {
		return invalid(wrong("Discount with this code already exists.", *code, "code"))
	}
	d.m.Code = code
	return nil
}

// setAmounts takes the amounts by currency, or the older pair of amount and currency. Both forms are shown.
func (d *discount) setAmounts(org *organization, amounts map[string]int64, amount *int64, currency *models.Currency) error {
	switch {
	case len(amounts) > 0:
		d.m.Amounts = amounts
		main := org.m.DefaultPresentmentCurrency
		if _, ok := amounts[main]; !ok {
			main = slices.Sorted(keys(amounts))[0]
		}
		d.m.Currency, d.m.Amount = &main, new(amounts[main])
	case amount != nil:
		main := string(or(currency, models.CurrencyUSD))
		d.m.Currency, d.m.Amount, d.m.Amounts = &main, amount, map[string]int64{main: *amount}
	default:
		return invalid(fault{Type: "missing", Loc: []any{"body", "fixed", "amounts"}, Msg: "Field required"})
	}
	return nil
}

// check refuses members that do not go together.
func (d *discount) check() error {
	switch repeating := d.m.Duration == models.DiscountDurationRepeating; {
	case repeating && d.m.DurationInMonths == nil:
		return invalid(fault{Type: "missing", Loc: []any{"body", "duration_in_months"}, Msg: "Field required"})
	case !repeating && d.m.DurationInMonths != nil:
		return invalid(wrong("duration_in_months is only for repeating discounts.", *d.m.DurationInMonths, "duration_in_months"))
	case d.m.StartsAt != nil && d.m.EndsAt != nil && !d.m.EndsAt.After(*d.m.StartsAt):
		return invalid(wrong("Ending date should be after starting date.", d.m.EndsAt, "ends_at"))
	case d.m.MaxRedemptions != nil && *d.m.MaxRedemptions < d.m.RedemptionsCount:
		return invalid(wrong("The discount has been redeemed more often already.", *d.m.MaxRedemptions, "max_redemptions"))
	}
	return nil
}

func (c *call) discountProducts(org string, ids []string) ([]string, error) {
	var out []string
	for i, id := range ids {
		p, ok := c.srv.products.get(id)
		if !ok || p.m.OrganizationID != org {
			return nil, invalid(wrong("Product not found.", id, "products", i))
		}
		if !slices.Contains(out, p.m.ID) {
			out = append(out, p.m.ID)
		}
	}
	return out, nil
}

func updateDiscount(c *call) (any, error) {
	s := c.srv
	d, err := c.pathDiscount()
	if err != nil {
		return nil, err
	}
	body, err := decode[models.DiscountUpdate](c)
	if err != nil {
		return nil, err
	}
	if v, ok := body.Type.Get(); ok && v != d.m.Type {
		return nil, invalid(wrong("The type of a discount cannot be changed.", string(v), "type"))
	}
	if v, ok := body.Duration.Get(); ok && v != d.m.Duration {
		return nil, invalid(wrong("The duration of a discount cannot be changed.", string(v), "duration"))
	}
	if d.m.RedemptionsCount > 0 {
		for _, member := range []string{"amount", "amounts", "currency", "basis_points", "duration_in_months"} {
			if v := c.value[member]; v != nil {
				return nil, invalid(wrong("This cannot be changed once the discount has been redeemed.", v, member))
			}
		}
	}
	org, _ := s.organizations.get(d.m.OrganizationID)
	next := *d
	applyValue(&next.m.Name, body.Name)
	apply(&next.m.StartsAt, body.StartsAt)
	apply(&next.m.EndsAt, body.EndsAt)
	next.m.StartsAt, next.m.EndsAt = utc(next.m.StartsAt), utc(next.m.EndsAt)
	apply(&next.m.MaxRedemptions, body.MaxRedemptions)
	apply(&next.m.MaxRedemptionsPerCustomer, body.MaxRedemptionsPerCustomer)
	if v, ok := body.DurationInMonths.Get(); ok {
		next.m.DurationInMonths = &v
	}
	if body.Metadata != nil {
		next.m.Metadata = body.Metadata
	}
	if d.m.Type == models.DiscountTypePercentage {
		if v, ok := body.BasisPoints.Get(); ok {
			next.m.BasisPoints = &v
		}
	} else {
		amounts, _ := body.Amounts.Get()
		amount, _ := nullableValue(body.Amount)
		currency, _ := nullableValue(body.Currency)
		if amount == nil && currency != nil {
			amount = d.m.Amount
		}
		if currency == nil {
			currency = new(models.Currency(*d.m.Currency))
		}
		if len(amounts) > 0 || amount != nil {
			if err := next.setAmounts(org, amounts, amount, currency); err != nil {
				return nil, err
			}
		}
	}
	if err := next.check(); err != nil {
		return nil, err
	}
	if v, ok := body.Products.Get(); ok || body.Products.IsNull() {
		if next.products, err = c.discountProducts(d.m.OrganizationID, v); err != nil {
			return nil, err
		}
	}
	if code, ok := body.Code.Get(); ok || body.Code.IsNull() {
		if other := s.discountByCode(d.m.OrganizationID, code); other == d {
			next.m.Code = &code
		} else if err := s.setCode(&next, &code); err != nil {
			return nil, err
		}
	}
	*d = next
	d.m.ModifiedAt = new(c.now)
	s.emit(org, models.WebhookEventTypeDiscountUpdated, func() any { return s.renderDiscount(d) })
	return s.renderDiscount(d), nil
}

// deleteDiscount takes a discount out of use. Those who have it keep it.
func deleteDiscount(c *call) (any, error) {
	s := c.srv
	d, err := c.pathDiscount()
	if err != nil {
		return nil, err
	}
	d.deleted = true
	s.discounts.all = slices.DeleteFunc(s.discounts.all, func(x *discount) bool { return x == d })
	org, _ := s.organizations.get(d.m.OrganizationID)
	s.emit(org, models.WebhookEventTypeDiscountDeleted, func() any { return s.renderDiscount(d) })
	return nil, nil
}
