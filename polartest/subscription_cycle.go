package polartest

import (
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/polar-go/polar/models"
)

// dunning is how long after each failed payment the next one is tried. After the last the subscription ends as unpaid.
var dunning = []time.Duration{2 * day, 5 * day, 7 * day, 7 * day}

const day = 24 * time.Hour

// plan puts the end of the subscription's periods, or its resumption, on the server's plan.
func (s *Server) plan(sub *subscription) {
	s.clock.stop(sub.next)
	s.clock.stop(sub.nextMeter)
	sub.next, sub.nextMeter = nil, nil
	m := &sub.m
	switch {
	case !sub.live():
		return
	case m.Status == models.SubscriptionStatusPaused:
		if m.ResumesAt != nil {
			sub.next = s.clock.at(*m.ResumesAt, func() { _ = s.resume(sub, false) })
		}
		return
	}
	if m.CurrentMeterPeriodEnd != nil && m.CurrentMeterPeriodEnd.Before(m.CurrentPeriodEnd) {
		sub.nextMeter = s.clock.at(*m.CurrentMeterPeriodEnd, func() { s.cycleMeters(sub) })
	}
	sub.next = s.clock.at(m.CurrentPeriodEnd, func() { s.cycle(sub) })
}

// cycle ends a period: the subscription ends, pauses, or goes on with a new period and an order for it.
func (s *Server) cycle(sub *subscription) {
	m := &sub.m
	trial := m.Status == models.SubscriptionStatusTrialing
	var usage []models.OrderItem
	if !trial {
		usage = s.usage(sub)
	}
	switch {
	case m.CancelAtPeriodEnd:
		s.billRest(sub, usage)
		s.revokeNow(sub)
		return
	case m.PauseAtPeriodEnd:
		s.billRest(sub, usage)
		s.resetMeters(sub)
		s.pause(sub)
		return
	}
	before := m.ProductID
	if p := m.PendingUpdate; p != nil {
		s.applyPending(sub)
	}
	s.nextPeriod(sub)
	m.ModifiedAt = new(s.at)
	if trial {
		m.Status = models.SubscriptionStatusActive
	}
	m.Amount = sub.price()
	s.subscriptionEvent(sub, "subscription.cycled")
	if trial {
		s.say(sub, models.WebhookEventTypeSubscriptionActive)
	}
	s.say(sub, models.WebhookEventTypeSubscriptionCycled, models.WebhookEventTypeSubscriptionUpdated)
	s.bill(sub, slices.Concat(s.lines(sub), usage), models.OrderBillingReasonSubscriptionCycle)
	if before != m.ProductID {
		p, _ := s.products.get(m.ProductID)
		s.regrant(sub, p)
	}
	s.cycleGrants(sub.customer, sub)
	s.stateChanged(sub.customer)
}

// nextPeriod moves the periods on, and the discount with them.
func (s *Server) nextPeriod(sub *subscription) {
	m := &sub.m
	m.CurrentPeriodStart = m.CurrentPeriodEnd
	m.CurrentPeriodEnd = addInterval(m.CurrentPeriodStart, m.RecurringInterval, m.RecurringIntervalCount, sub.anchor)
	p, _ := s.products.get(m.ProductID)
	m.CurrentMeterPeriodStart, m.CurrentMeterPeriodEnd = nil, nil
	if p.m.MeterInterval != nil {
		m.CurrentMeterPeriodStart = new(m.CurrentPeriodStart)
		m.CurrentMeterPeriodEnd = new(addInterval(m.CurrentPeriodStart, *p.m.MeterInterval, or(p.m.MeterIntervalCount, 1), sub.anchor))
	}
	sub.discountAt(m.CurrentPeriodStart)
	s.plan(sub)
}

// cycleMeters settles usage and renews credits where that happens more often than the subscription renews.
func (s *Server) cycleMeters(sub *subscription) {
	m := &sub.m
	p, _ := s.products.get(m.ProductID)
	if m.Status != models.SubscriptionStatusTrialing {
		if usage := s.usage(sub); len(usage) > 0 {
			s.bill(sub, usage, models.OrderBillingReasonSubscriptionMeterCycle)
		}
	}
	m.CurrentMeterPeriodStart = new(*m.CurrentMeterPeriodEnd)
	m.CurrentMeterPeriodEnd = new(addInterval(*m.CurrentMeterPeriodStart, deref(p.m.MeterInterval), or(p.m.MeterIntervalCount, 1), sub.anchor))
	s.cycleGrants(sub.customer, sub)
	s.plan(sub)
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	s.stateChanged(sub.customer)
}

// lines are what a period costs, and what waited for its order.
func (s *Server) lines(x *subscription) []models.OrderItem {
	m := &x.m
	out := x.settle
	p, _ := s.products.get(m.ProductID)
	x.settle = nil
	for _, pr := range x.prices {
		if pr.meterID() != "" {
			continue
		}
		out = append(out, models.OrderItem{Label: p.m.Name, Amount: pr.amount(deref(m.Seats), deref(m.Units), x.customAmount), ProductPriceID: &pr.m.ID,
			StartTimestamp: new(m.CurrentPeriodStart), EndTimestamp: new(m.CurrentPeriodEnd)})
	}
	return out
}

// usage is what was used in the period beyond the credits, a line for each meter.
func (s *Server) usage(sub *subscription) []models.OrderItem {
	var out []models.OrderItem
	for _, pr := range sub.prices {
		me, ok := s.meters.get(pr.meterID())
		if !ok {
			continue
		}
		cm := s.meterOf(sub.customer, me)
		over := cm.overage()
		if over.Sign() == 0 && cm.consumed().Sign() == 0 {
			continue
		}
		start := sub.m.CurrentPeriodStart
		if sub.m.CurrentMeterPeriodStart != nil {
			start = *sub.m.CurrentMeterPeriodStart
		}
		out = append(out, models.OrderItem{Label: fmt.Sprintf("%s (%s units)", me.m.Name, plainRat(over)), Amount: pr.usage(over), ProductPriceID: &pr.m.ID,
			StartTimestamp: &start, EndTimestamp: new(s.at)})
	}
	return out
}

func plainRat(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return r.FloatString(2)
}

// bill makes an order for a subscription and charges it. One that is refused leaves the subscription past due.
func (s *Server) bill(sub *subscription, lines []models.OrderItem, reason models.OrderBillingReason) *order {
	if len(lines) == 0 {
		return nil
	}
	o := s.subscriptionOrder(sub, lines, reason)
	s.addOrder(o)
	s.orderCreated(o)
	if s.charge(o, nil, models.PaymentTriggerSubscriptionCycle) {
		s.markPaid(o)
	} else {
		s.refused(sub, o)
	}
	return o
}

func (s *Server) subscriptionOrder(sub *subscription, lines []models.OrderItem, reason models.OrderBillingReason) *order {
	p, _ := s.products.get(sub.m.ProductID)
	o := s.newOrder(sub.organization, invoice{customer: sub.customer, product: p, subscription: sub, discount: sub.discount, reason: reason, currency: sub.m.Currency, lines: lines,
		metadata: sub.m.Metadata, fields: sub.m.CustomFieldData, inclusive: sub.inclusive()})
	if sub.discount != nil && slices.ContainsFunc(lines, func(l models.OrderItem) bool { return !l.Proration }) {
		sub.discountUsed(s.at)
	}
	return o
}

func (x *subscription) inclusive() bool {
	return (&checkout{organization: x.organization}).inclusive(x.prices)
}

// billRest asks for what is left when a subscription ends or pauses.
func (s *Server) billRest(sub *subscription, usage []models.OrderItem) {
	lines := slices.Concat(sub.settle, usage)
	sub.settle = nil
	if len(lines) == 0 {
		return
	}
	o := s.subscriptionOrder(sub, lines, models.OrderBillingReasonSubscriptionCycle)
	s.addOrder(o)
	s.orderCreated(o)
	if s.charge(o, nil, models.PaymentTriggerSubscriptionCycle) {
		s.markPaid(o)
	} else {
		s.void(o)
	}
}

// refused notes that a payment failed: it is tried again later, and the subscription is past due meanwhile.
func (s *Server) refused(sub *subscription, o *order) {
	if o.attempts >= len(dunning) {
		o.m.NextPaymentAttemptAt, o.m.ModifiedAt = nil, new(s.at)
		s.emit(o.organization, models.WebhookEventTypeOrderUpdated, func() any { return s.renderOrder(o) })
		s.giveUp(sub)
		return
	}
	next := s.at.Add(dunning[o.attempts])
	o.attempts++
	o.m.NextPaymentAttemptAt, o.m.ModifiedAt = &next, new(s.at)
	o.retry = s.clock.at(next, func() { s.retry(o, models.PaymentTriggerRetryDunning) })
	s.emit(o.organization, models.WebhookEventTypeOrderUpdated, func() any { return s.renderOrder(o) })
	if sub.m.Status == models.SubscriptionStatusPastDue || !sub.active() {
		return
	}
	sub.m.Status, sub.m.PastDueAt, sub.m.ModifiedAt = models.SubscriptionStatusPastDue, new(s.at), new(s.at)
	s.subscriptionEvent(sub, "subscription.past_due")
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated, models.WebhookEventTypeSubscriptionPastDue)
	wait := time.Duration(sub.organization.m.SubscriptionSettings.BenefitRevocationGracePeriod) * day
	if wait == 0 {
		s.revokeAll(sub.customer, scope{subscription: sub})
	} else {
		sub.grace = s.clock.at(s.at.Add(wait), func() { s.revokeAll(sub.customer, scope{subscription: sub}) })
	}
	s.stateChanged(sub.customer)
}

// retry tries to charge a pending order again. It tells whether the order is paid now.
func (s *Server) retry(o *order, trigger models.PaymentTrigger) bool {
	if o.m.Paid || o.m.Status != models.OrderStatusPending {
		return o.m.Paid
	}
	s.clock.stop(o.retry)
	sub, ok := s.subscriptions.get(deref(o.m.SubscriptionID))
	if !s.charge(o, nil, trigger) {
		if ok && trigger == models.PaymentTriggerRetryDunning {
			s.refused(sub, o)
		} else if o.m.NextPaymentAttemptAt != nil {
			o.retry = s.clock.at(*o.m.NextPaymentAttemptAt, func() { s.retry(o, models.PaymentTriggerRetryDunning) })
		}
		return false
	}
	s.markPaid(o)
	if ok {
		s.recovered(sub)
	}
	return true
}

// recovered makes a past due subscription active again once all its orders are paid.
func (s *Server) recovered(sub *subscription) {
	if sub.m.Status != models.SubscriptionStatusPastDue || slices.ContainsFunc(sub.customer.orders, func(o *order) bool {
		return deref(o.m.SubscriptionID) == sub.m.ID && o.m.Status == models.OrderStatusPending
	}) {
		return
	}
	s.clock.stop(sub.grace)
	sub.m.Status, sub.m.PastDueAt, sub.m.ModifiedAt = models.SubscriptionStatusActive, nil, new(s.at)
	s.subscriptionEvent(sub, "subscription.reactivated")
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated, models.WebhookEventTypeSubscriptionActive)
	p, _ := s.products.get(sub.m.ProductID)
	s.regrant(sub, p)
	s.stateChanged(sub.customer)
}

// retryPastDue tries all pending orders of a customer again, as when there is a new card.
func (s *Server) retryPastDue(x *customer, trigger models.PaymentTrigger) {
	for _, o := range slices.Clone(x.orders) {
		if o.m.Status == models.OrderStatusPending {
			s.retry(o, trigger)
		}
	}
}

// giveUp ends a subscription that was not paid.
func (s *Server) giveUp(sub *subscription) {
	if !sub.live() {
		return
	}
	s.endSubscription(sub, models.SubscriptionStatusUnpaid)
}

// revokeNow ends a subscription whose cancellation takes effect.
func (s *Server) revokeNow(sub *subscription) {
	s.endSubscription(sub, models.SubscriptionStatusCanceled)
}

// endSubscription ends a subscription now: its benefits go, and what it still owed is void.
func (s *Server) endSubscription(sub *subscription, status models.SubscriptionStatus) {
	m := &sub.m
	m.Status, m.EndedAt, m.EndsAt, m.ModifiedAt = status, new(s.at), new(s.at), new(s.at)
	canceled := m.CanceledAt == nil && status == models.SubscriptionStatusCanceled
	if canceled {
		m.CanceledAt = new(s.at)
	}
	m.PendingUpdate, sub.settle = nil, nil
	s.clock.stop(sub.grace)
	s.plan(sub)
	if canceled {
		s.subscriptionEvent(sub, "subscription.canceled")
	}
	s.subscriptionEvent(sub, "subscription.revoked")
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	if canceled {
		s.say(sub, models.WebhookEventTypeSubscriptionCanceled)
	}
	s.say(sub, models.WebhookEventTypeSubscriptionRevoked)
	s.revokeAll(sub.customer, scope{subscription: sub})
	s.stateChanged(sub.customer)
	for _, o := range sub.customer.orders {
		if deref(o.m.SubscriptionID) == m.ID && o.m.Status == models.OrderStatusPending {
			s.void(o)
		}
	}
}

// void gives an unpaid order up.
func (s *Server) void(o *order) {
	s.clock.stop(o.retry)
	o.m.Status, o.m.NextPaymentAttemptAt, o.m.ModifiedAt = models.OrderStatusVoid, nil, new(s.at)
	x, _ := s.customers.get(o.m.CustomerID)
	s.systemEvent(x, "order.voided", &models.OrderVoidedMetadata{OrderID: o.m.ID, Amount: o.m.TotalAmount, Currency: o.m.Currency})
	s.emit(o.organization, models.WebhookEventTypeOrderUpdated, func() any { return s.renderOrder(o) })
}

// pause stops a subscription until it is resumed; its benefits go meanwhile.
func (s *Server) pause(sub *subscription) {
	m := &sub.m
	m.Status, m.PauseAtPeriodEnd, m.PausedAt, m.ModifiedAt = models.SubscriptionStatusPaused, false, new(s.at), new(s.at)
	s.plan(sub)
	s.subscriptionEvent(sub, "subscription.paused")
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated, models.WebhookEventTypeSubscriptionPaused)
	s.revokeAll(sub.customer, scope{subscription: sub})
	s.stateChanged(sub.customer)
}

// resume starts a new period of a paused subscription and charges it. When somebody asked for it, a
// refused payment leaves everything as it was.
func (s *Server) resume(sub *subscription, asked bool) error {
	m := &sub.m
	before := *sub
	p, _ := s.products.get(m.ProductID)
	m.Status, m.PausedAt, m.ResumesAt, m.ModifiedAt = models.SubscriptionStatusActive, nil, nil, new(s.at)
	s.nextPeriodFrom(sub, p)
	m.Amount = sub.price()
	o := s.subscriptionOrder(sub, s.lines(sub), models.OrderBillingReasonSubscriptionCycle)
	paid := s.charge(o, nil, models.PaymentTriggerSubscriptionCycle)
	if !paid && asked {
		next, meter := sub.next, sub.nextMeter
		*sub = before
		s.forget(o)
		s.clock.stop(next)
		s.clock.stop(meter)
		s.plan(sub)
		return paymentFailed()
	}
	s.subscriptionEvent(sub, "subscription.resumed")
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated, models.WebhookEventTypeSubscriptionResumed)
	s.addOrder(o)
	s.orderCreated(o)
	if paid {
		s.markPaid(o)
	} else {
		s.refused(sub, o)
	}
	if sub.active() {
		s.grantAll(sub.customer, p, scope{subscription: sub})
	}
	s.stateChanged(sub.customer)
	return nil
}

// forget lets go of an order that could not be charged and is not made after all.
func (s *Server) forget(o *order) {
	for _, p := range slices.Backward(s.payments.all) {
		if deref(p.m.OrderID) == o.m.ID {
			p.m.OrderID = nil
			return
		}
	}
}

// resetMeters starts a new period for the meters that the subscription's prices bill.
func (s *Server) resetMeters(sub *subscription) {
	for _, pr := range sub.prices {
		if me, ok := s.meters.get(pr.meterID()); ok {
			s.reset(s.meterOf(sub.customer, me))
		}
	}
}

// nextPeriodFrom begins a period now, of the subscription's own length.
func (s *Server) nextPeriodFrom(sub *subscription, p *product) {
	sub.discountAt(s.at)
	s.restart(sub, p)
}

// subscriptionEvent records what happened to a subscription among the customer's events.
func (s *Server) subscriptionEvent(sub *subscription, name string) {
	m := &sub.m
	interval := string(m.RecurringInterval)
	count := m.RecurringIntervalCount
	product, amount, currency := m.ProductID, m.Amount, m.Currency // copies: the subscription changes, the event does not
	var meta models.EventMetadata
	switch name {
	case "subscription.cycled":
		meta = &models.SubscriptionCycledMetadata{SubscriptionID: m.ID, ProductID: &product, Amount: &amount, Currency: &currency, RecurringInterval: &interval, RecurringIntervalCount: &count}
	case "subscription.past_due":
		meta = &models.SubscriptionPastDueMetadata{SubscriptionID: m.ID, ProductID: &product, PastDueAt: stamp(s.at), Amount: &amount, Currency: &currency, RecurringInterval: &interval, RecurringIntervalCount: &count}
	case "subscription.reactivated":
		meta = &models.SubscriptionReactivatedMetadata{SubscriptionID: m.ID, ProductID: &product, Amount: &amount, Currency: &currency, RecurringInterval: &interval, RecurringIntervalCount: &count}
	case "subscription.revoked":
		meta = &models.SubscriptionRevokedMetadata{SubscriptionID: m.ID, ProductID: &product, Amount: &amount, Currency: &currency, RecurringInterval: &interval, RecurringIntervalCount: &count}
	case "subscription.resumed":
		meta = &models.SubscriptionResumedMetadata{SubscriptionID: m.ID, ProductID: &product, Amount: &amount, Currency: &currency, RecurringInterval: &interval, RecurringIntervalCount: &count}
	case "subscription.paused":
		p := &models.SubscriptionPausedMetadata{SubscriptionID: m.ID, ProductID: &product, Amount: &amount, Currency: &currency, RecurringInterval: &interval, RecurringIntervalCount: &count, PausedAt: stamp(s.at)}
		if m.ResumesAt != nil {
			p.ResumesAt = new(stamp(*m.ResumesAt))
		}
		meta = p
	case "subscription.canceled":
		c := &models.SubscriptionCanceledMetadata{SubscriptionID: m.ID, ProductID: &product, Amount: m.Amount, Currency: m.Currency, RecurringInterval: interval, RecurringIntervalCount: m.RecurringIntervalCount,
			CustomerCancellationComment: m.CustomerCancellationComment, CanceledAt: stamp(deref(m.CanceledAt)), CancelAtPeriodEnd: new(m.CancelAtPeriodEnd)}
		if m.CustomerCancellationReason != nil {
			c.CustomerCancellationReason = new(string(*m.CustomerCancellationReason))
		}
		if m.EndsAt != nil {
			c.EndsAt = new(stamp(*m.EndsAt))
		}
		meta = c
	case "subscription.uncanceled":
		meta = &models.SubscriptionUncanceledMetadata{SubscriptionID: m.ID, ProductID: m.ProductID, Amount: m.Amount, Currency: m.Currency, RecurringInterval: interval, RecurringIntervalCount: m.RecurringIntervalCount}
	}
	s.systemEvent(sub.customer, name, meta)
}
