package polartest

import (
	"cmp"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

type subscription struct {
	m            models.Subscription
	organization *organization
	customer     *customer
	prices       []*price // the ones that it was sold at
	customAmount *int64   // what the customer chose to pay
	anchor       int      // the day of the month on which monthly periods begin
	discount     *discount
	discountFrom time.Time          // when the discount was first used
	settle       []models.OrderItem // lines that wait for the next order
	next         *job               // the end of the period
	nextMeter    *job               // the end of the period of its meters, where that is another
	grace        *job               // when benefits go because nothing was paid
}

func (x *subscription) orgID() string { return x.organization.m.ID }

func subscriptionHandlers() handlers {
	return handlers{
		"subscriptions:list": listSubscriptions, "subscriptions:get": getSubscription, "subscriptions:create": createSubscription,
		"subscriptions:update": updateSubscription, "subscriptions:revoke": revokeSubscription, "subscriptions:export": exportSubscriptions,
	}
}

// active tells whether the subscription gives its benefits.
func (x *subscription) active() bool {
	switch x.m.Status {
	case models.SubscriptionStatusActive, models.SubscriptionStatusTrialing:
		return true
	}
	return false
}

// live tells whether the subscription has not ended.
func (x *subscription) live() bool { return x.m.EndedAt == nil }

func (s *Server) renderSubscription(x *subscription) models.Subscription {
	m := x.m
	if cust, ok := s.customers.get(m.CustomerID); ok {
		m.Customer = cust.m
		for _, pr := range x.prices {
			me, ok := s.meters.get(pr.meterID())
			if !ok {
				continue
			}
			cm := s.meterOf(cust, me)
			r := s.renderCustomerMeter(cm)
			m.Meters = append(m.Meters, models.SubscriptionMeter{CreatedAt: cm.m.CreatedAt, ModifiedAt: cm.m.ModifiedAt, ID: cm.m.ID, ConsumedUnits: r.ConsumedUnits,
				CreditedUnits: r.CreditedUnits, Amount: pr.usage(cm.overage()), MeterID: me.m.ID, Meter: me.m})
		}
	}
	if p, ok := s.products.get(m.ProductID); ok {
		m.Product = s.renderProduct(p)
	}
	if d, ok := s.discounts.get(deref(m.DiscountID)); ok {
		m.Discount = s.renderDiscountSummary(d)
	}
	for _, pr := range x.prices {
		m.Prices = append(m.Prices, pr.m)
	}
	return m
}

func (s *Server) renderOrderSubscription(x *subscription) *models.OrderSubscription {
	m := x.m
	return &models.OrderSubscription{Metadata: m.Metadata, CreatedAt: m.CreatedAt, ModifiedAt: m.ModifiedAt, ID: m.ID, Amount: m.Amount, Currency: m.Currency,
		RecurringInterval: m.RecurringInterval, RecurringIntervalCount: m.RecurringIntervalCount, Status: m.Status, CurrentPeriodStart: m.CurrentPeriodStart, CurrentPeriodEnd: m.CurrentPeriodEnd,
		CurrentMeterPeriodStart: m.CurrentMeterPeriodStart, CurrentMeterPeriodEnd: m.CurrentMeterPeriodEnd, TrialStart: m.TrialStart, TrialEnd: m.TrialEnd, CancelAtPeriodEnd: m.CancelAtPeriodEnd,
		CanceledAt: m.CanceledAt, StartedAt: m.StartedAt, EndsAt: m.EndsAt, EndedAt: m.EndedAt, PastDueAt: m.PastDueAt, PauseAtPeriodEnd: m.PauseAtPeriodEnd, PausedAt: m.PausedAt, ResumesAt: m.ResumesAt,
		CustomerID: m.CustomerID, ProductID: m.ProductID, DiscountID: m.DiscountID, CheckoutID: m.CheckoutID, Seats: m.Seats, Units: m.Units,
		CustomerCancellationReason: m.CustomerCancellationReason, CustomerCancellationComment: m.CustomerCancellationComment}
}

func listSubscriptions(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.subscriptions, func(x *subscription) bool {
		cust, _ := s.customers.get(x.m.CustomerID)
		return c.asksSubscription(x) && c.asks("customer_id", x.m.CustomerID) && c.asksPtr("external_customer_id", cust.m.ExternalID) && c.asksMetadata(x.m.Metadata)
	})
	return page(c, items, s.subscriptionSorting(), s.renderSubscription)
}

// asksSubscription applies the filters that every list of subscriptions has.
func (c *call) asksSubscription(x *subscription) bool {
	p, _ := c.srv.products.get(x.m.ProductID)
	return c.asks("product_id", x.m.ProductID) && c.asksPtr("discount_id", x.m.DiscountID) && c.asksBool("active", x.active()) && c.asks("status", string(x.m.Status)) &&
		c.asksBool("cancel_at_period_end", x.m.CancelAtPeriodEnd) && (p == nil || c.searches("query", p.m.Name))
}

func (s *Server) subscriptionSorting() map[string]func(a, b *subscription) int {
	customer := func(x *subscription) string { y, _ := s.customers.get(x.m.CustomerID); return y.m.Email }
	product := func(x *subscription) string {
		if p, ok := s.products.get(x.m.ProductID); ok {
			return p.m.Name
		}
		return ""
	}
	byTime := func(f func(*subscription) time.Time) func(a, b *subscription) int {
		return func(a, b *subscription) int { return f(a).Compare(f(b)) }
	}
	return map[string]func(a, b *subscription) int{
		"customer":             func(a, b *subscription) int { return strings.Compare(customer(a), customer(b)) },
		"status":               func(a, b *subscription) int { return strings.Compare(string(a.m.Status), string(b.m.Status)) },
		"started_at":           byTime(func(x *subscription) time.Time { return deref(x.m.StartedAt) }),
		"current_period_start": byTime(func(x *subscription) time.Time { return x.m.CurrentPeriodStart }),
		"current_period_end":   byTime(func(x *subscription) time.Time { return x.m.CurrentPeriodEnd }),
		"ended_at":             byTime(func(x *subscription) time.Time { return deref(x.m.EndedAt) }),
		"ends_at":              byTime(func(x *subscription) time.Time { return deref(x.m.EndsAt) }),
		"amount":               func(a, b *subscription) int { return cmp.Compare(a.m.Amount, b.m.Amount) },
		"product":              func(a, b *subscription) int { return strings.Compare(product(a), product(b)) },
		"discount":             func(a, b *subscription) int { return strings.Compare(deref(a.m.DiscountID), deref(b.m.DiscountID)) },
	}
}

func getSubscription(c *call) (any, error) {
	x, err := find(c, &c.srv.subscriptions, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderSubscription(x), nil
}

// createSubscription subscribes a customer to a free product: no checkout, no order.
func createSubscription(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.SubscriptionCreate](c)
	if err != nil {
		return nil, err
	}
	p, ok := s.products.get(body.ProductID)
	switch {
	case !ok || !c.who.reaches(p.m.OrganizationID):
		return nil, invalid(wrong("Product does not exist.", body.ProductID, "product_id"))
	case p.m.IsArchived:
		return nil, invalid(wrong("Product is archived.", body.ProductID, "product_id"))
	case !p.m.IsRecurring:
		return nil, invalid(wrong("Product is not a recurring product.", body.ProductID, "product_id"))
	}
	org, _ := s.organizations.get(p.m.OrganizationID)
	prices := p.pricesIn(org.m.DefaultPresentmentCurrency)
	if !p.free(prices) {
		return nil, invalid(wrong("Product is not free: send the customer through a checkout.", body.ProductID, "product_id"))
	}
	var x *customer
	if body.ExternalCustomerID != nil {
		if x = s.customerByExternalID(org.m.ID, *body.ExternalCustomerID); x == nil {
			return nil, invalid(wrong("Customer does not exist.", *body.ExternalCustomerID, "external_customer_id"))
		}
	} else if found, ok := s.customers.get(deref(body.CustomerID)); ok && found.m.OrganizationID == org.m.ID && found.m.DeletedAt == nil {
		x = found
	} else {
		return nil, invalid(wrong("Customer does not exist.", deref(body.CustomerID), "customer_id"))
	}
	sub := s.newSubscription(x, p, prices, prices[0].m.PriceCurrency, nil)
	sub.m.Metadata = body.Metadata
	sub.m.Amount = sub.price()
	s.subscriptionCreated(sub)
	s.grantAll(x, p, scope{subscription: sub})
	return s.renderSubscription(sub), nil
}

// newSubscription starts a subscription to a product at prices, in a trial that ends at trialEnd if there is one.
func (s *Server) newSubscription(x *customer, p *product, prices []*price, currency string, trialEnd *time.Time) *subscription {
	org, _ := s.organizations.get(p.m.OrganizationID)
	sub := &subscription{organization: org, customer: x, prices: prices, m: models.Subscription{CreatedAt: s.at, ID: s.uuid(), Currency: currency,
		Status: models.SubscriptionStatusActive, StartedAt: new(s.at), CustomerID: x.m.ID, ProductID: p.m.ID}}
	s.restart(sub, p)
	if trialEnd != nil {
		sub.m.Status, sub.m.TrialStart, sub.m.TrialEnd, sub.m.CurrentPeriodEnd = models.SubscriptionStatusTrialing, new(s.at), trialEnd, *trialEnd
		sub.anchor = trialEnd.Day()
		s.plan(sub)
	}
	s.subscriptions.add(sub.m.ID, sub)
	x.subscriptions = append(x.subscriptions, sub)
	return sub
}

// restart begins a period of the product's length now.
func (s *Server) restart(sub *subscription, p *product) {
	m := &sub.m
	m.RecurringInterval, m.RecurringIntervalCount = deref(p.m.RecurringInterval), or(p.m.RecurringIntervalCount, 1)
	sub.anchor = s.at.Day()
	m.CurrentPeriodStart, m.CurrentPeriodEnd = s.at, addInterval(s.at, m.RecurringInterval, m.RecurringIntervalCount, sub.anchor)
	m.CurrentMeterPeriodStart, m.CurrentMeterPeriodEnd = nil, nil
	if p.m.MeterInterval != nil {
		m.CurrentMeterPeriodStart, m.CurrentMeterPeriodEnd = new(s.at), new(addInterval(s.at, *p.m.MeterInterval, or(p.m.MeterIntervalCount, 1), sub.anchor))
	}
	s.plan(sub)
}

// subscriptionCreated says that there is a new subscription.
func (s *Server) subscriptionCreated(sub *subscription) {
	y := &sub.m
	s.systemEvent(sub.customer, "subscription.created", &models.SubscriptionCreatedMetadata{SubscriptionID: y.ID, ProductID: y.ProductID, Amount: y.Amount, Currency: y.Currency,
		RecurringInterval: string(y.RecurringInterval), RecurringIntervalCount: y.RecurringIntervalCount, StartedAt: stamp(deref(y.StartedAt))})
	s.say(sub, models.WebhookEventTypeSubscriptionCreated)
	if y.Status == models.SubscriptionStatusActive {
		s.say(sub, models.WebhookEventTypeSubscriptionUpdated, models.WebhookEventTypeSubscriptionActive)
	} else {
		s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	}
	s.stateChanged(sub.customer)
}

// say emits events about a subscription.
func (s *Server) say(sub *subscription, events ...models.WebhookEventType) {
	for _, e := range events {
		s.emit(sub.organization, e, func() any { return s.renderSubscription(sub) })
	}
}

// stamp writes a time as events do.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// price is what the subscription asks for each period, before discount, tax and usage.
func (x *subscription) price() int64 {
	var total int64
	for _, pr := range x.prices {
		total += pr.amount(deref(x.m.Seats), deref(x.m.Units), x.customAmount)
	}
	return total
}

// discounted is the same after the discount.
func (x *subscription) discounted() int64 {
	amount := x.price()
	if x.discount != nil {
		amount -= x.discount.off(amount, x.m.Currency)
	}
	return amount
}

// setDiscount puts a discount on the subscription, or takes it off.
func (x *subscription) setDiscount(d *discount) {
	x.discount, x.discountFrom, x.m.DiscountID = d, time.Time{}, nil
	if d != nil {
		x.m.DiscountID = &d.m.ID
	}
}

// discountUsed notes that an order had the discount at t; one that is for a single order is over then.
func (x *subscription) discountUsed(t time.Time) {
	if x.discount == nil {
		return
	}
	if x.discountFrom.IsZero() {
		x.discountFrom = t
	}
	if x.discount.m.Duration == models.DiscountDurationOnce {
		x.setDiscount(nil)
	}
}

// discountAt drops a discount whose months are over when a period begins at t.
func (x *subscription) discountAt(t time.Time) {
	if x.discount == nil || x.discount.m.Duration != models.DiscountDurationRepeating || x.discountFrom.IsZero() {
		return
	}
	if end := addInterval(x.discountFrom, models.RecurringIntervalMonth, deref(x.discount.m.DurationInMonths), x.discountFrom.Day()); !t.Before(end) {
		x.setDiscount(nil)
	}
}

// addInterval is t after count intervals. Months end on the anchor's day, or on their last one when they are too short.
func addInterval(t time.Time, interval models.RecurringInterval, count, anchor int) time.Time {
	switch interval {
	case models.RecurringIntervalDay:
		return t.AddDate(0, 0, count)
	case models.RecurringIntervalWeek:
		return t.AddDate(0, 0, 7*count)
	case models.RecurringIntervalYear:
		count *= 12
	}
	first := time.Date(t.Year(), t.Month()+time.Month(count), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(max(anchor, 1), last)-1)
}
