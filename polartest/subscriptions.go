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
	prices       []*price // the ones that it was sold at
	customAmount *int64
}

func (x *subscription) orgID() string { return x.organization.m.ID }

func subscriptionHandlers() handlers {
	return handlers{"subscriptions:list": listSubscriptions, "subscriptions:get": getSubscription}
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

// addInterval is t after count intervals. A month that is too short gives its last day.
func addInterval(t time.Time, interval models.RecurringInterval, count int) time.Time {
	switch interval {
	case models.RecurringIntervalDay:
		return t.AddDate(0, 0, count)
	case models.RecurringIntervalWeek:
		return t.AddDate(0, 0, 7*count)
	}
	months := count
	if interval == models.RecurringIntervalYear {
		months *= 12
	}
	end := t.AddDate(0, months, 0)
	if first := time.Date(t.Year(), t.Month()+time.Month(months), 1, 0, 0, 0, 0, t.Location()); end.Month() != first.Month() {
		end = end.AddDate(0, 0, -end.Day())
	}
	return end
}

// newSubscription starts a subscription to a product at prices, in a trial that ends at trialEnd if there is one.
func (s *Server) newSubscription(x *customer, p *product, prices []*price, currency string, trialEnd *time.Time) *subscription {
	org, _ := s.organizations.get(p.m.OrganizationID)
	sub := &subscription{organization: org, prices: prices, m: models.Subscription{CreatedAt: s.at, ID: s.uuid(), Currency: currency, RecurringInterval: deref(p.m.RecurringInterval),
		RecurringIntervalCount: or(p.m.RecurringIntervalCount, 1), Status: models.SubscriptionStatusActive, CurrentPeriodStart: s.at, StartedAt: new(s.at), CustomerID: x.m.ID, ProductID: p.m.ID}}
	m := &sub.m
	m.CurrentPeriodEnd = addInterval(s.at, m.RecurringInterval, m.RecurringIntervalCount)
	if trialEnd != nil {
		m.Status, m.TrialStart, m.TrialEnd, m.CurrentPeriodEnd = models.SubscriptionStatusTrialing, new(s.at), trialEnd, *trialEnd
	}
	s.subscriptions.add(m.ID, sub)
	x.subscriptions = append(x.subscriptions, sub)
	return sub
}

// endSubscription ends a subscription now.
func (s *Server) endSubscription(x *subscription) {
	m := &x.m
	m.Status, m.EndedAt, m.ModifiedAt = models.SubscriptionStatusCanceled, new(s.at), new(s.at)
	if m.CanceledAt == nil {
		m.CanceledAt = new(s.at)
	}
	m.EndsAt = new(s.at)
	cust, _ := s.customers.get(m.CustomerID)
	s.revokeAll(cust, scope{subscription: x})
}
