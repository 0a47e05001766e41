package polartest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

type checkout struct {
	m            models.Checkout
	organization *organization
	products     []string            // those to choose from
	adHoc        map[string][]*price // prices of the session only, by product
	discount     *discount
	trialCount   *int // the checkout's own trial, before the product's
	trial        *models.TrialInterval
	upgrade      *subscription
	expiry       *job
	payment      *payment
	custom       *int64 // the amount that the customer chose

	decliningLater bool   // the card pays now and is refused at renewals
	challenge      string // the client secret of a payment that waits for the customer's step at the bank
	challengeToken string // its confirmation token
}

func (x *checkout) orgID() string { return x.organization.m.ID }

const checkoutLife = 24 * time.Hour

func checkoutHandlers() handlers {
	return handlers{
		"checkouts:list": listCheckouts, "checkouts:create": createCheckout, "checkouts:get": getCheckout, "checkouts:update": updateCheckout,
		"checkouts:client_get": clientGetCheckout, "checkouts:client_update": clientUpdateCheckout, "checkouts:client_confirm": clientConfirmCheckout,
	}
}

func listCheckouts(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.checkouts, func(x *checkout) bool {
		return c.asksPtr("product_id", x.m.ProductID) && c.asksPtr("customer_id", x.m.CustomerID) && c.asksPtr("external_customer_id", x.m.ExternalCustomerID) &&
			c.asks("status", string(x.m.Status)) && c.searches("query", deref(x.m.CustomerEmail), deref(x.m.CustomerName))
	})
	return page(c, items, map[string]func(a, b *checkout) int{
		"expires_at": func(a, b *checkout) int { return a.m.ExpiresAt.Compare(b.m.ExpiresAt) },
		"status":     func(a, b *checkout) int { return cmp.Compare(a.m.Status, b.m.Status) },
	}, s.renderCheckout)
}

func getCheckout(c *call) (any, error) {
	x, err := find(c, &c.srv.checkouts, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderCheckout(x), nil
}

// renderCheckout works the amounts out anew: they depend on product, seats, units, discount and address.
func (s *Server) renderCheckout(x *checkout) models.Checkout {
	m := x.m
	p, _ := s.products.get(deref(m.ProductID))
	m.Prices = map[string][]models.ProductPrice{}
	for _, id := range x.products {
		q, ok := s.products.get(id)
		if !ok {
			continue
		}
		m.Products = append(m.Products, s.renderPublicProduct(q))
		for _, pr := range x.pricesOf(q) {
			m.Prices[id] = append(m.Prices[id], pr.m)
		}
	}
	if p != nil {
		m.Product = new(s.renderPublicProduct(p))
		if prices := x.pricesOf(p); len(prices) > 0 {
			m.ProductPriceID, m.ProductPrice = &prices[0].m.ID, &prices[0].m
		}
		m.AttachedCustomFields = s.attached(p)
	}
	if x.discount != nil {
		d := x.discount.m
		m.Discount = &models.CheckoutDiscount{Duration: d.Duration, Type: d.Type, Amount: d.Amount, Currency: d.Currency, Amounts: d.Amounts, ID: d.ID, Name: d.Name, Code: d.Code,
			DurationInMonths: d.DurationInMonths, BasisPoints: d.BasisPoints}
	}
	return m
}

// pricesOf are the prices at which the session sells a product.
func (x *checkout) pricesOf(p *product) []*price {
	if own := x.adHoc[p.m.ID]; len(own) > 0 {
		return own
	}
	return p.pricesIn(x.m.Currency)
}

// calculate works out what the session asks for.
func (s *Server) calculate(x *checkout) {
	m := &x.m
	p, _ := s.products.get(deref(m.ProductID))
	if p == nil {
		return
	}
	prices := x.pricesOf(p)
	if len(prices) > 0 && m.Currency != prices[0].m.PriceCurrency {
		m.Currency = prices[0].m.PriceCurrency
	}
	seatBased, unitBased, metered := false, false, false
	for _, pr := range prices {
		switch a := pr.m.Amount.(type) {
		case *models.ProductPriceSeatBased:
			seatBased = true
			if m.Seats == nil {
				m.Seats = new(max(1, a.SeatTiers.MinimumSeats, deref(m.MinSeats)))
			}
		case *models.ProductPriceUnitBased:
			unitBased = true
			if m.Units == nil {
				m.Units = new(max(1, deref(a.MinimumUnits), deref(m.MinUnits)))
			}
		}
		metered = metered || pr.meterID() != ""
	}
	if !seatBased {
		m.Seats = nil
	}
	if !unitBased {
		m.Units = nil
	}
	m.Amount = 0
	for _, pr := range prices {
		m.Amount += pr.amount(deref(m.Seats), deref(m.Units), x.custom)
	}
	m.IsDiscountApplicable = !p.free(prices)
	m.DiscountID, m.DiscountAmount = nil, 0
	if x.discount != nil {
		m.DiscountID = &x.discount.m.ID
		m.DiscountAmount = x.discount.off(m.Amount, m.Currency)
	}
	m.IsFreeProductPrice = p.free(prices)
	m.ActiveTrialInterval, m.ActiveTrialIntervalCount, m.TrialEnd = nil, nil, nil
	if interval, count := x.activeTrial(p); interval != nil && x.upgrade == nil {
		m.ActiveTrialInterval, m.ActiveTrialIntervalCount = interval, count
		m.TrialEnd = new(addInterval(s.at, models.RecurringInterval(*interval), *count, s.at.Day()))
	}
	m.TrialInterval, m.TrialIntervalCount = x.trial, x.trialCount
	s.calculateTax(x, prices)
	m.IsPaymentRequired = m.TotalAmount > 0 && m.TrialEnd == nil
	m.IsPaymentSetupRequired = p.m.IsRecurring && (metered || m.Amount > 0) && !m.IsPaymentRequired
	m.IsPaymentFormRequired = m.IsPaymentRequired || m.IsPaymentSetupRequired
	mode := models.BillingAddressFieldModeDisabled
	if m.RequireBillingAddress || m.IsBusinessCustomer {
		mode = models.BillingAddressFieldModeRequired
	}
	m.BillingAddressFields = models.CheckoutBillingAddressFields{Country: models.BillingAddressFieldModeRequired, State: mode, City: mode, PostalCode: mode, Line1: mode, Line2: models.BillingAddressFieldModeOptional}
	if mode == models.BillingAddressFieldModeDisabled {
		m.BillingAddressFields.Line2 = mode
	}
}

// free tells whether nothing is asked for the product, now or later.
func (p *product) free(prices []*price) bool {
	for _, pr := range prices {
		f, ok := pr.m.Amount.(*models.ProductPriceFixed)
		if !ok || f.PriceAmount > 0 {
			return false
		}
	}
	return true
}

// activeTrial is the session's own trial, or the product's.
func (x *checkout) activeTrial(p *product) (*models.TrialInterval, *int) {
	if x.m.AllowTrial != nil && !*x.m.AllowTrial || !p.m.IsRecurring {
		return nil, nil
	}
	if x.trial != nil {
		return x.trial, x.trialCount
	}
	return p.m.TrialInterval, p.m.TrialIntervalCount
}

// calculateTax works the tax out once the country is known.
func (s *Server) calculateTax(x *checkout, prices []*price) {
	m := &x.m
	net := m.Amount - m.DiscountAmount
	inclusive := x.inclusive(prices)
	behavior := models.TaxBehaviorExclusive
	if inclusive {
		behavior = models.TaxBehaviorInclusive
	}
	m.TaxBehavior, m.TaxAmount = nil, nil
	m.NetAmount, m.TotalAmount = net, net
	if net == 0 {
		m.TaxAmount = new(int64(0))
		return
	}
	if m.CustomerBillingAddress == nil {
		return
	}
	var tax int64
	tax, m.NetAmount, m.TotalAmount = s.tax(net, inclusive)
	m.TaxAmount, m.TaxBehavior = &tax, &behavior
}

func (x *checkout) inclusive(prices []*price) bool {
	option := x.organization.m.DefaultTaxBehavior
	if len(prices) > 0 && prices[0].m.TaxBehavior != nil {
		option = *prices[0].m.TaxBehavior
	}
	return option == models.TaxBehaviorOptionInclusive
}

func createCheckout(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.CheckoutCreate](c)
	if err != nil {
		return nil, err
	}
	x := &checkout{adHoc: map[string][]*price{}}
	for i, id := range body.Products {
		p, ok := s.products.get(id)
		switch {
		case !ok || !c.who.reaches(p.m.OrganizationID):
			return nil, invalid(wrong("Product does not exist.", id, "products", i))
		case p.m.IsArchived:
			return nil, invalid(wrong("Product is archived.", id, "products", i))
		case x.organization != nil && x.organization.m.ID != p.m.OrganizationID:
			return nil, invalid(wrong("Products don't belong to the same organization.", id, "products", i))
		}
		x.organization, _ = s.organizations.get(p.m.OrganizationID)
		if !slices.Contains(x.products, p.m.ID) {
			x.products = append(x.products, p.m.ID)
		}
	}
	org := x.organization
	if faults := pairFaults(body.TrialInterval != nil, body.TrialIntervalCount != nil, "trial_interval", "trial_interval_count"); faults != nil {
		return nil, invalid(faults...)
	}
	x.trial, x.trialCount = body.TrialInterval, body.TrialIntervalCount
	secret := s.token("polar_c_")
	x.m = models.Checkout{ID: s.uuid(), CreatedAt: c.now, CustomFieldData: body.CustomFieldData, PaymentProcessor: models.PaymentProcessorStripe, Status: models.CheckoutStatusOpen,
		ClientSecret: secret, URL: s.URL + "/checkout/" + secret, ExpiresAt: c.now.Add(checkoutLife), ReturnURL: body.ReturnURL, EmbedOrigin: body.EmbedOrigin, Seats: body.Seats, MinSeats: body.MinSeats,
		MaxSeats: body.MaxSeats, Units: body.Units, MinUnits: body.MinUnits, MaxUnits: body.MaxUnits, Currency: string(or(body.Currency, models.Currency(org.m.DefaultPresentmentCurrency))),
		AllowTrial: new(or(body.AllowTrial, true)), OrganizationID: org.m.ID, ProductID: &x.products[0], AllowDiscountCodes: or(body.AllowDiscountCodes, true),
		RequireBillingAddress: or(body.RequireBillingAddress, false), IsBusinessCustomer: or(body.IsBusinessCustomer, false), CustomerName: body.CustomerName, CustomerEmail: body.CustomerEmail,
		CustomerIPAddress: body.CustomerIPAddress, CustomerBillingName: body.CustomerBillingName, CustomerBillingAddress: body.CustomerBillingAddress, CustomerTaxID: body.CustomerTaxID, Locale: body.Locale,
		Metadata: body.Metadata, ExternalCustomerID: body.ExternalCustomerID, CustomerMetadata: body.CustomerMetadata, PaymentProcessorMetadata: map[string]string{}}
	x.m.SuccessURL = strings.ReplaceAll(or(body.SuccessURL, s.URL+"/checkout/"+secret+"/confirmation"), "{CHECKOUT_ID}", x.m.ID)
	if err := c.checkoutPrices(x, body.Prices); err != nil {
		return nil, err
	}
	if err := c.checkoutCustomer(x, body.CustomerID); err != nil {
		return nil, err
	}
	if body.DiscountID != nil {
		d, ok := s.discounts.get(*body.DiscountID)
		if !ok || d.m.OrganizationID != org.m.ID {
			return nil, invalid(wrong("Discount does not exist.", *body.DiscountID, "discount_id"))
		}
		if err := s.setDiscount(x, d, "discount_id", *body.DiscountID); err != nil {
			return nil, err
		}
	}
	if body.SubscriptionID != nil {
		sub, ok := s.subscriptions.get(*body.SubscriptionID)
		if !ok || sub.organization != org || !sub.live() {
			return nil, invalid(wrong("Subscription does not exist.", *body.SubscriptionID, "subscription_id"))
		}
		if sub.m.Amount > 0 {
			return nil, invalid(wrong("Only free subscriptions can be upgraded.", *body.SubscriptionID, "subscription_id"))
		}
		x.upgrade, x.m.SubscriptionID, x.m.CustomerID = sub, &sub.m.ID, &sub.m.CustomerID
	}
	if err := s.setAmounts(x, body.Amount, body.Seats, body.Units); err != nil {
		return nil, err
	}
	if p, ok := s.products.get(x.products[0]); ok {
		if faults := s.fieldFaults(p, body.CustomFieldData, false); faults != nil {
			return nil, invalid(faults...)
		}
	}
	s.calculate(x)
	s.checkouts.add(x.m.ID, x)
	s.checkoutSecret[secret] = x
	x.expiry = s.clock.at(x.m.ExpiresAt, func() { s.expire(x) })
	s.emit(org, models.WebhookEventTypeCheckoutCreated, func() any { return s.renderCheckout(x) })
	return s.renderCheckout(x), nil
}

// checkoutPrices makes the prices that only the session has.
func (c *call) checkoutPrices(x *checkout, by map[string][]models.ProductPriceCreate) error {
	s := c.srv
	for _, id := range slices.Sorted(keys(by)) {
		p, ok := s.products.get(id)
		if !ok || !slices.Contains(x.products, p.m.ID) {
			return invalid(wrong("Product is not part of the checkout.", id, "prices", id))
		}
		made, err := s.newPrices(p, by[id], models.ProductPriceSourceAdHoc, "prices", id)
		if err != nil {
			return err
		}
		if err := (&product{m: p.m, prices: made}).checkPrices(); err != nil {
			return err
		}
		for _, pr := range made {
			s.prices[pr.m.ID] = pr
		}
		x.adHoc[p.m.ID] = made
	}
	return nil
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// checkoutCustomer ties the session to a customer and takes over what is known of it.
func (c *call) checkoutCustomer(x *checkout, id *string) error {
	s := c.srv
	var y *customer
	switch {
	case id != nil:
		found, ok := s.customers.get(*id)
		if !ok || found.m.OrganizationID != x.organization.m.ID || found.m.DeletedAt != nil {
			return invalid(wrong("Customer does not exist.", *id, "customer_id"))
		}
		y = found
	case x.m.ExternalCustomerID != nil:
		if y = s.customerByExternalID(x.organization.m.ID, *x.m.ExternalCustomerID); y == nil {
			return nil
		}
	default:
		return nil
	}
	x.m.CustomerID = &y.m.ID
	x.m.ExternalCustomerID = y.m.ExternalID
	x.m.CustomerEmail = firstOf(&y.m.Email, x.m.CustomerEmail)
	x.m.CustomerName = firstOf(x.m.CustomerName, y.m.Name)
	x.m.CustomerBillingName = firstOf(x.m.CustomerBillingName, y.m.BillingName)
	if x.m.CustomerBillingAddress == nil {
		x.m.CustomerBillingAddress = y.m.BillingAddress
	}
	if x.m.CustomerTaxID == nil && y.m.TaxID != nil {
		x.m.CustomerTaxID = &y.m.TaxID.Number
	}
	return nil
}

// setDiscount puts a discount on the session.
func (s *Server) setDiscount(x *checkout, d *discount, member string, input string) error {
	p, _ := s.products.get(deref(x.m.ProductID))
	cust, _ := s.customers.get(deref(x.m.CustomerID))
	switch {
	case !s.redeemableBy(d, cust):
		return invalid(wrong("Discount is not redeemable.", input, member))
	case p != nil && !d.appliesTo(p):
		return invalid(wrong("Discount is not applicable to this product.", input, member))
	}
	x.discount = d
	return nil
}

// setAmounts takes amount, seats and units that the product allows.
func (s *Server) setAmounts(x *checkout, amount *int64, seats, units *int) error {
	p, _ := s.products.get(deref(x.m.ProductID))
	if p == nil {
		return nil
	}
	var custom *models.ProductPriceCustom
	for _, pr := range x.pricesOf(p) {
		switch a := pr.m.Amount.(type) {
		case *models.ProductPriceCustom:
			custom = a
		case *models.ProductPriceSeatBased:
			if seats == nil {
				break
			}
			low, high := max(a.SeatTiers.MinimumSeats, deref(x.m.MinSeats)), a.SeatTiers.MaximumSeats
			if x.m.MaxSeats != nil && (high == nil || *x.m.MaxSeats < *high) {
				high = x.m.MaxSeats
			}
			if err := between(*seats, low, high, "seats"); err != nil {
				return err
			}
			x.m.Seats = seats
		case *models.ProductPriceUnitBased:
			if units == nil {
				break
			}
			low, high := max(deref(a.MinimumUnits), deref(x.m.MinUnits)), a.MaximumUnits
			if x.m.MaxUnits != nil && (high == nil || *x.m.MaxUnits < *high) {
				high = x.m.MaxUnits
			}
			if err := between(*units, low, high, "units"); err != nil {
				return err
			}
			x.m.Units = units
		}
	}
	if custom == nil || amount == nil {
		return nil
	}
	if *amount < custom.MinimumAmount {
		return invalid(fault{Type: "greater_than_equal", Loc: []any{"body", "amount"}, Msg: fmt.Sprintf("Amount is below minimum: %d.", custom.MinimumAmount), Input: *amount, Ctx: map[string]any{"ge": custom.MinimumAmount}})
	}
	if custom.MaximumAmount != nil && *amount > *custom.MaximumAmount {
		return invalid(fault{Type: "less_than_equal", Loc: []any{"body", "amount"}, Msg: fmt.Sprintf("Amount is above maximum: %d.", *custom.MaximumAmount), Input: *amount, Ctx: map[string]any{"le": *custom.MaximumAmount}})
	}
	x.custom = amount
	return nil
}

func between(n, low int, high *int, member string) error {
	switch {
	case n < low:
		return invalid(fault{Type: "greater_than_equal", Loc: []any{"body", member}, Msg: fmt.Sprintf("Input should be greater than or equal to %d", low), Input: n, Ctx: map[string]any{"ge": low}})
	case high != nil && n > *high:
		return invalid(fault{Type: "less_than_equal", Loc: []any{"body", member}, Msg: fmt.Sprintf("Input should be less than or equal to %d", *high), Input: n, Ctx: map[string]any{"le": *high}})
	}
	return nil
}

// expire ends a session that was not paid in time.
func (s *Server) expire(x *checkout) {
	if x.m.Status != models.CheckoutStatusOpen {
		return
	}
	x.m.Status, x.m.ModifiedAt = models.CheckoutStatusExpired, new(s.at)
	s.emit(x.organization, models.WebhookEventTypeCheckoutExpired, func() any { return s.renderCheckout(x) })
}

func (x *checkout) mustBeOpen() error {
	if x.m.Status != models.CheckoutStatusOpen {
		return fail(http.StatusForbidden, "NotOpenCheckout", "The checkout is not open any more: it is "+string(x.m.Status)+".")
	}
	return nil
}

func updateCheckout(c *call) (any, error) {
	s := c.srv
	x, err := find(c, &s.checkouts, c.path["id"])
	if err != nil {
		return nil, err
	}
	if err := x.mustBeOpen(); err != nil {
		return nil, err
	}
	body, err := decode[models.CheckoutUpdate](c)
	if err != nil {
		return nil, err
	}
	before := *x
	if err := c.applyCheckout(x, body); err != nil {
		*x = before
		return nil, err
	}
	return s.renderCheckout(x), nil
}

// applyCheckout applies an update of either kind.
func (c *call) applyCheckout(x *checkout, body models.CheckoutUpdate) error {
	s, m := c.srv, &x.m
	if id, ok := body.ProductID.Get(); ok {
		p, found := s.products.get(id)
		if !found || !slices.Contains(x.products, p.m.ID) {
			return invalid(wrong("Product is not available in this checkout.", id, "product_id"))
		}
		if *m.ProductID != p.m.ID {
			m.ProductID, m.Seats, m.Units, x.custom = &p.m.ID, nil, nil, nil
			if x.discount != nil && !x.discount.appliesTo(p) {
				x.discount = nil
			}
		}
	}
	if v, ok := body.Currency.Get(); ok {
		m.Currency = string(v)
	}
	amount, _ := nullableValue(body.Amount)
	seats, _ := nullableValue(body.Seats)
	units, _ := nullableValue(body.Units)
	if err := s.setAmounts(x, amount, seats, units); err != nil {
		return err
	}
	if body.CustomFieldData != nil {
		p, _ := s.products.get(*m.ProductID)
		if faults := s.fieldFaults(p, body.CustomFieldData, false); faults != nil {
			return invalid(faults...)
		}
		m.CustomFieldData = body.CustomFieldData
	}
	if email, ok := body.CustomerEmail.Get(); ok && m.CustomerID != nil && email != deref(m.CustomerEmail) {
		return invalid(wrong("The email address of a known customer cannot be changed.", email, "customer_email"))
	}
	if v, ok := body.CustomerIPAddress.Get(); ok {
		if _, err := netip.ParseAddr(v); err != nil {
			return invalid(wrong("value is not a valid IPv4 or IPv6 address", v, "customer_ip_address"))
		}
	}
	applyValue(&m.IsBusinessCustomer, body.IsBusinessCustomer)
	apply(&m.CustomerName, body.CustomerName)
	apply(&m.CustomerEmail, body.CustomerEmail)
	apply(&m.CustomerBillingName, body.CustomerBillingName)
	apply(&m.CustomerBillingAddress, body.CustomerBillingAddress)
	apply(&m.CustomerTaxID, body.CustomerTaxID)
	apply(&m.Locale, body.Locale)
	apply(&m.CustomerIPAddress, body.CustomerIPAddress)
	apply(&x.trial, body.TrialInterval)
	apply(&x.trialCount, body.TrialIntervalCount)
	if (x.trial == nil) != (x.trialCount == nil) {
		return invalid(wrong("trial_interval and trial_interval_count go together.", nil, "trial_interval_count"))
	}
	apply(&m.AllowTrial, body.AllowTrial)
	applyValue(&m.AllowDiscountCodes, body.AllowDiscountCodes)
	applyValue(&m.RequireBillingAddress, body.RequireBillingAddress)
	applyValue(&m.CustomerMetadata, body.CustomerMetadata)
	if v, ok := body.SuccessURL.Get(); ok {
		m.SuccessURL = strings.ReplaceAll(v, "{CHECKOUT_ID}", m.ID)
	}
	apply(&m.ReturnURL, body.ReturnURL)
	apply(&m.EmbedOrigin, body.EmbedOrigin)
	if body.Metadata != nil {
		m.Metadata = body.Metadata
	}
	if id, ok := body.DiscountID.Get(); ok {
		d, found := s.discounts.get(id)
		if !found || d.m.OrganizationID != x.organization.m.ID {
			return invalid(wrong("Discount does not exist.", id, "discount_id"))
		}
		if err := s.setDiscount(x, d, "discount_id", id); err != nil {
			return err
		}
	} else if body.DiscountID.IsNull() {
		x.discount = nil
	}
	m.ModifiedAt = new(c.now)
	s.calculate(x)
	s.emit(x.organization, models.WebhookEventTypeCheckoutUpdated, func() any { return s.renderCheckout(x) })
	return nil
}

func nullableValue[T any](n models.Nullable[T]) (*T, bool) {
	if v, ok := n.Get(); ok {
		return &v, true
	}
	return nil, false
}

// secretCheckout finds the session by its client secret.
func (c *call) secretCheckout() (*checkout, error) {
	x := c.srv.checkoutSecret[c.path["client_secret"]]
	switch {
	case x == nil:
		return nil, notFound()
	case x.m.Status == models.CheckoutStatusExpired:
		return nil, fail(http.StatusGone, "ExpiredCheckoutError", "This checkout has expired.")
	}
	return x, nil
}

// publicCheckout is what the customer's browser sees.
func (s *Server) publicCheckout(x *checkout) models.CheckoutPublic {
	var out models.CheckoutPublic
	full := s.renderCheckout(x)
	if data, err := jsonx.Marshal(full); err == nil {
		_ = jsonx.Unmarshal(data, &out) // the members that both have
	}
	out.Organization = x.organization.public()
	return out
}

func clientGetCheckout(c *call) (any, error) {
	x, err := c.secretCheckout()
	if err != nil {
		return nil, err
	}
	return c.srv.publicCheckout(x), nil
}

func clientUpdateCheckout(c *call) (any, error) {
	x, err := c.secretCheckout()
	if err != nil {
		return nil, err
	}
	if err := x.mustBeOpen(); err != nil {
		return nil, err
	}
	before := *x
	if err := c.applyPublic(x); err != nil {
		*x = before
		return nil, err
	}
	return c.srv.publicCheckout(x), nil
}

// applyPublic applies what a customer may change, also while confirming.
func (c *call) applyPublic(x *checkout) error {
	s := c.srv
	body, err := decode[models.CheckoutUpdate](c)
	if err != nil {
		return err
	}
	public, err := decode[models.CheckoutUpdatePublic](c)
	if err != nil {
		return err
	}
	// what only the merchant may change is not read from this body
	merchant := models.CheckoutUpdate{CustomFieldData: body.CustomFieldData, ProductID: body.ProductID, Amount: body.Amount, Seats: body.Seats, Units: body.Units,
		IsBusinessCustomer: body.IsBusinessCustomer, CustomerName: body.CustomerName, CustomerEmail: body.CustomerEmail, CustomerBillingName: body.CustomerBillingName,
		CustomerBillingAddress: body.CustomerBillingAddress, CustomerTaxID: body.CustomerTaxID, Locale: body.Locale, AllowTrial: body.AllowTrial}
	if err := c.applyCheckout(x, merchant); err != nil {
		return err
	}
	apply(&x.m.PaymentMethodType, public.PaymentMethodType)
	if code, ok := public.DiscountCode.Get(); ok {
		if !x.m.AllowDiscountCodes {
			return invalid(wrong("Discount codes are not allowed in this checkout.", code, "discount_code"))
		}
		d := s.discountByCode(x.organization.m.ID, code)
		if d == nil {
			return invalid(wrong("Discount does not exist.", code, "discount_code"))
		}
		if err := s.setDiscount(x, d, "discount_code", code); err != nil {
			return err
		}
	} else if public.DiscountCode.IsNull() {
		x.discount = nil
	}
	s.calculate(x)
	return nil
}

// declined tells whether a confirmation token stands for a card that is refused.
// One that is refused only later pays for the checkout but not for renewals.
func declined(token string) (now, later bool) {
	if strings.Contains(token, "decline_later") {
		return false, true
	}
	return strings.Contains(token, "decline"), false
}

func clientConfirmCheckout(c *call) (any, error) {
	s := c.srv
	x, err := c.secretCheckout()
	if err != nil {
		return nil, err
	}
	if err := x.mustBeOpen(); err != nil {
		return nil, err
	}
	before := *x
	if err := c.applyPublic(x); err != nil {
		*x = before
		return nil, err
	}
	body, err := decode[models.CheckoutConfirm](c)
	if err != nil {
		return nil, err
	}
	var faults []fault
	need := func(member string, missing bool) {
		if missing {
			faults = append(faults, fault{Type: "missing", Loc: []any{"body", member}, Msg: "Field is required.", Input: nil})
		}
	}
	m := &x.m
	need("customer_email", m.CustomerEmail == nil)
	if m.IsPaymentFormRequired {
		need("customer_billing_address", m.CustomerBillingAddress == nil)
		need("confirmation_token_id", body.ConfirmationTokenID == nil)
	}
	if m.IsBusinessCustomer {
		need("customer_billing_name", m.CustomerBillingName == nil)
	}
	p, _ := s.products.get(*m.ProductID)
	if faults = append(faults, s.fieldFaults(p, m.CustomFieldData, true)...); faults != nil {
		return nil, invalid(faults...)
	}
	if m.IsPaymentFormRequired {
		refused, later := declined(*body.ConfirmationTokenID)
		if refused {
			s.declineCheckout(x)
			return nil, fail(http.StatusBadRequest, "PaymentError", "The card was declined.")
		}
		x.decliningLater = later
	}
	if err := s.confirm(x); err != nil {
		return nil, err
	}
	if m.IsPaymentFormRequired && actionNeeded(*body.ConfirmationTokenID) {
		s.challengeCheckout(x, *body.ConfirmationTokenID)
	} else {
		s.clock.at(s.at, func() { s.succeed(x) })
	}
	out := s.publicCheckout(x)
	if cust, ok := s.customers.get(deref(m.CustomerID)); ok {
		owner, err := s.sessionMember(cust, models.CustomerSessionCreate{})
		if err == nil {
			out.CustomerSessionToken = new(s.newSession(cust, owner, nil).m.Token)
		}
	}
	return out, nil
}

// declineCheckout records a refused payment; the session stays open for another try.
func (s *Server) declineCheckout(x *checkout) {
	p := s.pay(x.organization.m.ID, x.m.TotalAmount, x.m.Currency, models.PaymentTriggerPurchase, models.PaymentStatusFailed)
	p.m.CheckoutID = &x.m.ID
}

// confirm takes the customer's decision: the customer exists from now on, the payment is on its way.
func (s *Server) confirm(x *checkout) error {
	m := &x.m
	if err := x.mustBeOpen(); err != nil {
		return err
	}
	cust, ok := s.customers.get(deref(m.CustomerID))
	if !ok && m.CustomerEmail != nil {
		cust = s.customerByEmail(x.organization.m.ID, *m.CustomerEmail)
	}
	if x.discount != nil && !s.redeemableBy(x.discount, cust) {
		return fail(http.StatusForbidden, "DiscountRedemptionLimitReached", "The discount has been redeemed as often as it may be.")
	}
	p, _ := s.products.get(deref(m.ProductID))
	if cust != nil && p.m.IsRecurring && !x.organization.m.SubscriptionSettings.AllowMultipleSubscriptions && x.upgrade == nil &&
		slices.ContainsFunc(cust.subscriptions, func(sub *subscription) bool { return sub.active() }) {
		return fail(http.StatusForbidden, "AlreadyActiveSubscriptionError", "The customer already has an active subscription.")
	}
	if cust != nil && m.TrialEnd != nil && x.organization.m.SubscriptionSettings.PreventTrialAbuse && cust.trialUsed[p.m.ID] {
		return fail(http.StatusForbidden, "TrialAlreadyRedeemed", "The customer has had the trial of this product before.")
	}
	if cust == nil {
		cust = s.newCustomer(x.organization, models.CustomerTypeIndividual, deref(m.CustomerEmail))
		cust.m.ExternalID, cust.m.Name, cust.m.Metadata, cust.m.Locale = m.ExternalCustomerID, m.CustomerName, m.CustomerMetadata, m.Locale
		s.fillBilling(cust, m)
		s.addCustomer(x.organization, cust)
		s.addOwner(cust)
	} else {
		s.fillBilling(cust, m)
	}
	m.CustomerID = &cust.m.ID
	m.Status, m.ModifiedAt = models.CheckoutStatusConfirmed, new(s.at)
	s.clock.stop(x.expiry)
	s.emit(x.organization, models.WebhookEventTypeCheckoutUpdated, func() any { return s.renderCheckout(x) })
	return nil
}

// fillBilling takes what the customer typed at the checkout.
func (s *Server) fillBilling(cust *customer, m *models.Checkout) {
	if m.CustomerBillingAddress != nil {
		cust.m.BillingAddress = clone(m.CustomerBillingAddress)
	}
	cust.m.BillingName = firstOf(m.CustomerBillingName, cust.m.BillingName)
	cust.m.Name = firstOf(cust.m.Name, m.CustomerName)
	if m.CustomerTaxID != nil {
		if t, err := taxID(*m.CustomerTaxID, m.CustomerBillingAddress); err == nil {
			cust.m.TaxID = t
		}
	}
}

// succeed turns a confirmed session into an order, and into a subscription when the product recurs.
func (s *Server) succeed(x *checkout) {
	m := &x.m
	if m.Status != models.CheckoutStatusConfirmed {
		return
	}
	cust, _ := s.customers.get(deref(m.CustomerID))
	p, _ := s.products.get(deref(m.ProductID))
	prices := x.pricesOf(p)
	m.Status, m.ModifiedAt = models.CheckoutStatusSucceeded, new(s.at)
	if m.IsPaymentRequired {
		x.payment = s.pay(x.organization.m.ID, m.TotalAmount, m.Currency, models.PaymentTriggerPurchase, models.PaymentStatusSucceeded)
		x.payment.m.CheckoutID = &m.ID
	}
	if m.IsPaymentFormRequired {
		s.addMethod(cust, x.decliningLater)
	}
	if x.discount != nil {
		s.redeem(x.discount, cust)
	}
	in := invoice{customer: cust, product: p, checkout: x, discount: x.discount, reason: models.OrderBillingReasonPurchase, currency: m.Currency, metadata: m.Metadata,
		fields: m.CustomFieldData, inclusive: x.inclusive(prices)}
	from := scope{}
	if p.m.IsRecurring {
		in.subscription = s.subscribe(x, cust, p, prices)
		in.reason = models.OrderBillingReasonSubscriptionCreate
		from.subscription = in.subscription
	}
	for _, pr := range prices {
		if pr.meterID() != "" {
			continue
		}
		amount, label := pr.amount(deref(m.Seats), deref(m.Units), x.custom), p.m.Name
		if in.subscription != nil && in.subscription.m.Status == models.SubscriptionStatusTrialing {
			amount, label = 0, p.label("trial")
			in.discount = nil
		}
		item := models.OrderItem{Label: label, Amount: amount, ProductPriceID: &pr.m.ID}
		if in.subscription != nil {
			item.StartTimestamp, item.EndTimestamp = new(in.subscription.m.CurrentPeriodStart), new(in.subscription.m.CurrentPeriodEnd)
		}
		in.lines = append(in.lines, item)
	}
	o := s.newOrder(x.organization, in)
	s.addOrder(o)
	if in.subscription == nil {
		from.order = o
	}
	if x.payment != nil {
		o.payment, x.payment.m.OrderID = x.payment, &o.m.ID
	}
	s.orderCreated(o)
	s.markPaid(o)
	s.grantAll(cust, p, from)
	s.stateChanged(cust)
	s.emit(x.organization, models.WebhookEventTypeCheckoutUpdated, func() any { return s.renderCheckout(x) })
}

// subscribe starts the subscription that a session sells, or moves the one that it upgrades.
func (s *Server) subscribe(x *checkout, cust *customer, p *product, prices []*price) *subscription {
	m := &x.m
	sub := x.upgrade
	if sub == nil {
		sub = s.newSubscription(cust, p, prices, m.Currency, m.TrialEnd)
	} else {
		sub.prices, sub.m.ProductID, sub.m.Currency, sub.m.ModifiedAt = prices, p.m.ID, m.Currency, new(s.at)
		s.restart(sub, p)
	}
	y := &sub.m
	y.CheckoutID, y.Seats, y.Units, y.CustomFieldData = &m.ID, m.Seats, m.Units, m.CustomFieldData
	merged := models.Metadata{}
	for k, v := range y.Metadata {
		merged[k] = v
	}
	for k, v := range m.Metadata {
		merged[k] = v
	}
	y.Metadata = merged
	sub.customAmount = x.custom
	y.Amount = sub.price()
	sub.setDiscount(x.discount)
	if y.Status == models.SubscriptionStatusActive {
		sub.discountUsed(s.at)
	}
	if y.TrialEnd != nil {
		if cust.trialUsed == nil {
			cust.trialUsed = map[string]bool{}
		}
		cust.trialUsed[p.m.ID] = true
	}
	if x.upgrade == nil {
		s.subscriptionCreated(sub)
	} else {
		s.say(sub, models.WebhookEventTypeSubscriptionUpdated, models.WebhookEventTypeSubscriptionActive)
		s.regrant(sub, p)
	}
	return sub
}

// CompleteCheckout plays the customer at the hosted page: it fills in what is
// missing (an e-mail address, a country), confirms and pays. The checkout is
// succeeded afterwards, with its order and subscription in place.
func (s *Server) CompleteCheckout(id string) error {
	return s.do(func() error {
		x, ok := s.checkouts.get(id)
		if !ok {
			return errNotFound
		}
		if x.m.CustomerEmail == nil {
			x.m.CustomerEmail = new("customer-" + x.m.ID[:8] + "@example.com")
		}
		if x.m.CustomerBillingAddress == nil {
			x.m.CustomerBillingAddress = &models.Address{Country: "US"}
		}
		s.calculate(x)
		if err := s.confirm(x); err != nil {
			return err
		}
		s.succeed(x)
		return nil
	})
}
