package polartest

import (
	"math/big"
	"net/http"
	"time"

	"github.com/polar-go/polar/models"
)

func updateSubscription(c *call) (any, error) {
	s := c.srv
	sub, err := find(c, &s.subscriptions, c.path["id"])
	if err != nil {
		return nil, err
	}
	if err := c.changeSubscription(sub); err != nil {
		return nil, err
	}
	return s.renderSubscription(sub), nil
}

// changeSubscription does what the body asks for, whichever of its forms it has.
func (c *call) changeSubscription(sub *subscription) error {
	s := c.srv
	if !sub.live() {
		return alreadyCanceled()
	}
	switch c.chosen {
	case "SubscriptionCancel":
		body, err := decode[models.SubscriptionCancel](c)
		if err != nil {
			return err
		}
		if !body.CancelAtPeriodEnd {
			return s.uncancel(sub)
		}
		return s.cancel(sub, body.CustomerCancellationReason, body.CustomerCancellationComment)
	case "SubscriptionRevoke":
		body, err := decode[models.SubscriptionRevoke](c)
		if err != nil {
			return err
		}
		apply(&sub.m.CustomerCancellationReason, body.CustomerCancellationReason)
		apply(&sub.m.CustomerCancellationComment, body.CustomerCancellationComment)
		s.revokeNow(sub)
		return nil
	case "SubscriptionPause":
		body, err := decode[models.SubscriptionPause](c)
		if err != nil {
			return err
		}
		return s.planPause(sub, body)
	case "SubscriptionResume":
		if sub.m.Status != models.SubscriptionStatusPaused {
			return invalid(wrong("The subscription is not paused.", true, "resume"))
		}
		return s.resume(sub, true)
	case "SubscriptionUpdateClear":
		s.clearPending(sub)
		return nil
	}
	if !sub.active() {
		return inactive()
	}
	switch c.chosen {
	case "SubscriptionUpdateSeats":
		body, err := decode[models.SubscriptionUpdateSeats](c)
		if err != nil {
			return err
		}
		return s.changeSeats(sub, body.Seats, nullable(body.ProrationBehavior))
	case "SubscriptionUpdateUnits":
		body, err := decode[models.SubscriptionUpdateUnits](c)
		if err != nil {
			return err
		}
		return s.changeUnits(sub, body.Units, nullable(body.ProrationBehavior))
	case "SubscriptionUpdateBillingPeriod":
		body, err := decode[models.SubscriptionUpdateBillingPeriod](c)
		if err != nil {
			return err
		}
		return s.changePeriod(sub, body.CurrentBillingPeriodEnd)
	}
	body, err := decode[models.SubscriptionUpdateDetails](c)
	if err != nil {
		return err
	}
	return s.changeDetails(sub, body)
}

func nullable[T any](n models.Nullable[T]) *T {
	p, _ := nullableValue(n)
	return p
}

func alreadyCanceled() error {
	return fail(http.StatusForbidden, "AlreadyCanceledSubscription", "The subscription is canceled already, or will be at the end of its period.")
}

func inactive() error {
	return fail(http.StatusForbidden, "InactiveSubscription", "The subscription is not active.")
}

func revokeSubscription(c *call) (any, error) {
	s := c.srv
	sub, err := find(c, &s.subscriptions, c.path["id"])
	if err != nil {
		return nil, err
	}
	if !sub.live() {
		return nil, alreadyCanceled()
	}
	s.revokeNow(sub)
	return s.renderSubscription(sub), nil
}

// cancel lets the subscription end with its period.
func (s *Server) cancel(sub *subscription, reason models.Nullable[models.CustomerCancellationReason], comment models.Nullable[string]) error {
	m := &sub.m
	if m.CancelAtPeriodEnd {
		return alreadyCanceled()
	}
	if m.Status == models.SubscriptionStatusPaused {
		apply(&m.CustomerCancellationReason, reason)
		apply(&m.CustomerCancellationComment, comment)
		s.revokeNow(sub)
		return nil
	}
	apply(&m.CustomerCancellationReason, reason)
	apply(&m.CustomerCancellationComment, comment)
	m.CancelAtPeriodEnd, m.CanceledAt, m.EndsAt, m.ModifiedAt = true, new(s.at), new(m.CurrentPeriodEnd), new(s.at)
	m.PauseAtPeriodEnd, m.ResumesAt, m.PendingUpdate = false, nil, nil
	s.subscriptionEvent(sub, "subscription.canceled")
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated, models.WebhookEventTypeSubscriptionCanceled)
	s.stateChanged(sub.customer)
	return nil
}

// uncancel lets it go on after all.
func (s *Server) uncancel(sub *subscription) error {
	m := &sub.m
	if !m.CancelAtPeriodEnd {
		return fail(http.StatusConflict, "SubscriptionNotScheduledToCancel", "The subscription is not scheduled to cancel at the end of its period.")
	}
	m.CancelAtPeriodEnd, m.CanceledAt, m.EndsAt, m.ModifiedAt = false, nil, nil, new(s.at)
	m.CustomerCancellationReason, m.CustomerCancellationComment = nil, nil
	s.subscriptionEvent(sub, "subscription.uncanceled")
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated, models.WebhookEventTypeSubscriptionUncanceled)
	s.stateChanged(sub.customer)
	return nil
}

// planPause lets the subscription pause at the end of its period, or takes that back.
func (s *Server) planPause(sub *subscription, body models.SubscriptionPause) error {
	m := &sub.m
	switch {
	case m.CancelAtPeriodEnd:
		return alreadyCanceled()
	case m.Status != models.SubscriptionStatusActive:
		return inactive()
	}
	at := nullable(body.ResumesAt)
	if body.PauseAtPeriodEnd && at != nil && !at.After(m.CurrentPeriodEnd) {
		return invalid(wrong("The date must be after the end of the current period.", at.Format(time.RFC3339Nano), "resumes_at"))
	}
	m.PauseAtPeriodEnd, m.ResumesAt, m.ModifiedAt = body.PauseAtPeriodEnd, nil, new(s.at)
	if body.PauseAtPeriodEnd && at != nil {
		m.ResumesAt = new(at.UTC())
	}
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	s.stateChanged(sub.customer)
	return nil
}

// clearPending drops a change that waited for the next period.
func (s *Server) clearPending(sub *subscription) {
	if sub.m.PendingUpdate == nil {
		return
	}
	sub.m.PendingUpdate, sub.m.ModifiedAt = nil, new(s.at)
	s.systemEvent(sub.customer, "subscription.update_cleared", &models.SubscriptionUpdateClearedMetadata{SubscriptionID: sub.m.ID})
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
}

// applyPending makes the change that waited for the period that begins.
func (s *Server) applyPending(sub *subscription) {
	p := sub.m.PendingUpdate
	sub.m.PendingUpdate = nil
	if p.ProductID != nil {
		if to, ok := s.products.get(*p.ProductID); ok {
			s.systemEvent(sub.customer, "subscription.product_updated", &models.SubscriptionProductUpdatedMetadata{SubscriptionID: sub.m.ID, OldProductID: sub.m.ProductID, NewProductID: to.m.ID})
			sub.sell(to)
		}
	}
	if p.Seats != nil {
		sub.m.Seats = p.Seats
	}
	if p.Units != nil {
		sub.m.Units = p.Units
	}
}

// sell moves the subscription to a product and its prices.
func (x *subscription) sell(p *product) {
	m := &x.m
	x.prices = p.pricesIn(m.Currency)
	m.ProductID = p.m.ID
	m.RecurringInterval, m.RecurringIntervalCount = deref(p.m.RecurringInterval), or(p.m.RecurringIntervalCount, 1)
	x.customAmount = nil
	seats, units := false, false
	for _, pr := range x.prices {
		switch a := pr.m.Amount.(type) {
		case *models.ProductPriceSeatBased:
			seats = true
			m.Seats = new(max(deref(m.Seats), a.SeatTiers.MinimumSeats, 1))
		case *models.ProductPriceUnitBased:
			units = true
			m.Units = new(max(deref(m.Units), deref(a.MinimumUnits), 1))
		}
	}
	if !seats {
		m.Seats = nil
	}
	if !units {
		m.Units = nil
	}
}

func (s *Server) changeDetails(sub *subscription, body models.SubscriptionUpdateDetails) error {
	m := &sub.m
	if m.CancelAtPeriodEnd && (!body.ProductID.IsZero() || !body.TrialEnd.IsZero()) {
		return alreadyCanceled()
	}
	if id, ok := body.DiscountID.Get(); ok {
		d, found := s.discounts.get(id)
		p, _ := s.products.get(m.ProductID)
		switch {
		case !found || d.m.OrganizationID != sub.orgID():
			return invalid(wrong("Discount does not exist.", id, "discount_id"))
		case sub.discount != d && !s.redeemableBy(d, sub.customer):
			return invalid(wrong("Discount is not redeemable.", id, "discount_id"))
		case !d.appliesTo(p):
			return invalid(wrong("Discount is not applicable to this product.", id, "discount_id"))
		}
		if sub.discount != d {
			sub.setDiscount(d)
			s.redeem(d, sub.customer)
		}
	} else if body.DiscountID.IsNull() {
		sub.setDiscount(nil)
	}
	if id, ok := body.ProductID.Get(); ok {
		if err := s.changeProduct(sub, id, nullable(body.ProrationBehavior)); err != nil {
			return err
		}
	}
	if t, ok := body.TrialEnd.Get(); ok {
		if err := s.changeTrial(sub, t); err != nil {
			return err
		}
	}
	if body.Metadata != nil {
		m.Metadata = body.Metadata
	}
	m.ModifiedAt = new(s.at)
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	s.stateChanged(sub.customer)
	return nil
}

// changeTrial ends a trial now, or moves its end; an active subscription may go back into one.
func (s *Server) changeTrial(sub *subscription, t models.TrialEnd) error {
	m := &sub.m
	if t.IsNow() {
		if m.Status != models.SubscriptionStatusTrialing {
			return invalid(wrong("The subscription is not in a trial.", "now", "trial_end"))
		}
		before := *sub
		p, _ := s.products.get(m.ProductID)
		m.Status, m.TrialEnd, m.ModifiedAt = models.SubscriptionStatusActive, new(s.at), new(s.at)
		s.restart(sub, p)
		o := s.subscriptionOrder(sub, s.lines(sub), models.OrderBillingReasonSubscriptionCycle)
		if !s.charge(o, nil, models.PaymentTriggerSubscriptionCycle) {
			s.rollback(sub, before, o)
			return paymentFailed()
		}
		s.subscriptionEvent(sub, "subscription.cycled")
		s.say(sub, models.WebhookEventTypeSubscriptionActive, models.WebhookEventTypeSubscriptionCycled)
		s.addOrder(o)
		s.orderCreated(o)
		s.markPaid(o)
		s.cycleGrants(sub.customer, sub)
		return nil
	}
	end, ok := t.Time()
	if !ok || !end.After(s.at) {
		return invalid(wrong("The end of the trial must be in the future.", t.String(), "trial_end"))
	}
	end = end.UTC()
	if m.Status != models.SubscriptionStatusTrialing {
		if end.Before(m.CurrentPeriodEnd) {
			return invalid(wrong("The trial must not end before the current period does.", t.String(), "trial_end"))
		}
		m.Status, m.TrialStart = models.SubscriptionStatusTrialing, new(s.at)
	}
	m.TrialEnd, m.CurrentPeriodEnd = &end, end
	sub.anchor = end.Day()
	s.plan(sub)
	return nil
}

// rollback undoes a change that could not be paid.
func (s *Server) rollback(sub *subscription, before subscription, o *order) {
	next, meter := sub.next, sub.nextMeter
	*sub = before
	s.clock.stop(next)
	s.clock.stop(meter)
	s.forget(o)
	s.plan(sub)
}

// changePeriod moves the end of the current period.
func (s *Server) changePeriod(sub *subscription, end time.Time) error {
	if !end.After(s.at) {
		return invalid(wrong("The end of the period must be in the future.", end.Format(time.RFC3339Nano), "current_billing_period_end"))
	}
	m := &sub.m
	old := m.CurrentPeriodEnd
	m.CurrentPeriodEnd, m.ModifiedAt = end.UTC(), new(s.at)
	sub.anchor = m.CurrentPeriodEnd.Day()
	if m.CancelAtPeriodEnd {
		m.EndsAt = new(m.CurrentPeriodEnd)
	}
	if m.Status == models.SubscriptionStatusTrialing {
		m.TrialEnd = new(m.CurrentPeriodEnd)
	}
	s.plan(sub)
	s.systemEvent(sub.customer, "subscription.billing_period_updated", &models.SubscriptionBillingPeriodUpdatedMetadata{SubscriptionID: m.ID, OldPeriodEnd: stamp(old), NewPeriodEnd: stamp(end)})
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	s.stateChanged(sub.customer)
	return nil
}

// changeProduct moves the subscription to another product.
func (s *Server) changeProduct(sub *subscription, id string, behavior *models.ProrationBehavior) error {
	to, ok := s.products.get(id)
	switch {
	case !ok || to.m.OrganizationID != sub.orgID():
		return invalid(wrong("Product does not exist.", id, "product_id"))
	case to.m.IsArchived:
		return invalid(wrong("Product is archived.", id, "product_id"))
	case !to.m.IsRecurring:
		return invalid(wrong("Product is not a recurring product.", id, "product_id"))
	case to.m.ID == sub.m.ProductID:
		return nil
	}
	prices := to.pricesIn(sub.m.Currency)
	if len(prices) == 0 || prices[0].m.PriceCurrency != sub.m.Currency {
		return invalid(wrong("Product has no price in the currency of the subscription.", id, "product_id"))
	}
	from, _ := s.products.get(sub.m.ProductID)
	old := sub.m.ProductID
	how := s.proration(sub, behavior)
	if how == models.ProrationBehaviorNextPeriod {
		s.later(sub, models.PendingSubscriptionUpdate{ProductID: &to.m.ID})
		return nil
	}
	err := s.change(sub, how, from.label("unused time"), to.label("remaining time"), func() { sub.sell(to) })
	if err != nil {
		return err
	}
	s.systemEvent(sub.customer, "subscription.product_updated", &models.SubscriptionProductUpdatedMetadata{SubscriptionID: sub.m.ID, OldProductID: old, NewProductID: to.m.ID})
	s.regrant(sub, to)
	return nil
}

// proration is how a change is settled: as asked for, or as the organization does it.
func (s *Server) proration(sub *subscription, behavior *models.ProrationBehavior) models.ProrationBehavior {
	return or(behavior, sub.organization.m.SubscriptionSettings.ProrationBehavior)
}

// later keeps a change for the next period.
func (s *Server) later(sub *subscription, u models.PendingSubscriptionUpdate) {
	u.ID, u.CreatedAt, u.AppliesAt = s.uuid(), s.at, sub.m.CurrentPeriodEnd
	sub.m.PendingUpdate = &u
}

func (s *Server) changeSeats(sub *subscription, seats int, behavior *models.ProrationBehavior) error {
	if sub.m.CancelAtPeriodEnd {
		return alreadyCanceled()
	}
	var tiers *models.ProductPriceSeatTiers
	for _, pr := range sub.prices {
		if a, ok := pr.m.Amount.(*models.ProductPriceSeatBased); ok {
			tiers = &a.SeatTiers
		}
	}
	if tiers == nil {
		return invalid(wrong("The subscription is not seat-based.", seats, "seats"))
	}
	if err := between(seats, tiers.MinimumSeats, tiers.MaximumSeats, "seats"); err != nil {
		return err
	}
	if used := s.seatsTaken(sub); seats < used {
		return invalid(wrong("More seats are assigned than that: revoke some first.", seats, "seats"))
	}
	old, how := deref(sub.m.Seats), s.proration(sub, behavior)
	if how == models.ProrationBehaviorNextPeriod {
		s.later(sub, models.PendingSubscriptionUpdate{Seats: &seats})
	} else {
		p, _ := s.products.get(sub.m.ProductID)
		if err := s.change(sub, how, p.label("unused time"), p.label("remaining time"), func() { sub.m.Seats = &seats }); err != nil {
			return err
		}
		s.systemEvent(sub.customer, "subscription.seats_updated", &models.SubscriptionSeatsUpdatedMetadata{SubscriptionID: sub.m.ID, OldSeats: old, NewSeats: seats, ProrationBehavior: string(how)})
	}
	sub.m.ModifiedAt = new(s.at)
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	s.stateChanged(sub.customer)
	return nil
}

// seatsTaken counts the seats of a subscription that are assigned.
func (s *Server) seatsTaken(sub *subscription) int { return s.seatsInUse(scope{subscription: sub}) }

func (s *Server) changeUnits(sub *subscription, units int, behavior *models.ProrationBehavior) error {
	if sub.m.CancelAtPeriodEnd {
		return alreadyCanceled()
	}
	var a *models.ProductPriceUnitBased
	for _, pr := range sub.prices {
		if x, ok := pr.m.Amount.(*models.ProductPriceUnitBased); ok {
			a = x
		}
	}
	if a == nil {
		return invalid(wrong("The subscription is not unit-based.", units, "units"))
	}
	if err := between(units, max(1, deref(a.MinimumUnits)), a.MaximumUnits, "units"); err != nil {
		return err
	}
	old, how := deref(sub.m.Units), s.proration(sub, behavior)
	if how == models.ProrationBehaviorNextPeriod {
		s.later(sub, models.PendingSubscriptionUpdate{Units: &units})
	} else {
		p, _ := s.products.get(sub.m.ProductID)
		if err := s.change(sub, how, p.label("unused time"), p.label("remaining time"), func() { sub.m.Units = &units }); err != nil {
			return err
		}
		s.systemEvent(sub.customer, "subscription.units_updated", &models.SubscriptionUnitsUpdatedMetadata{SubscriptionID: sub.m.ID, OldUnits: old, NewUnits: units, ProrationBehavior: string(how)})
	}
	sub.m.ModifiedAt = new(s.at)
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	s.stateChanged(sub.customer)
	return nil
}

// change makes a change in the middle of a period and settles what it costs.
//
//   - prorate: the unused part of the old price is credited and the new price charged for
//     the rest of the period, on the next order;
//   - invoice: the same on an order of its own, charged at once;
//   - reset: a new period begins and is charged in full, without credit.
//
// A change of the period's length begins a new period and is settled at once, with credit
// for the old one. In a trial nothing is charged.
func (s *Server) change(sub *subscription, how models.ProrationBehavior, unused, remaining string, apply func()) error {
	m := &sub.m
	before := *sub
	oldAmount := sub.discounted()
	left := new(big.Rat)
	if whole := m.CurrentPeriodEnd.Sub(m.CurrentPeriodStart); whole > 0 {
		left = big.NewRat(int64(m.CurrentPeriodEnd.Sub(s.at)), int64(whole))
	}
	interval, count := m.RecurringInterval, m.RecurringIntervalCount
	end := m.CurrentPeriodEnd
	apply()
	m.Amount, m.ModifiedAt = sub.price(), new(s.at)
	if m.Status == models.SubscriptionStatusTrialing {
		return nil
	}
	p, _ := s.products.get(m.ProductID)
	restart := how == models.ProrationBehaviorReset || interval != m.RecurringInterval || count != m.RecurringIntervalCount
	var lines []models.OrderItem
	part := func(label string, amount int64, sign int64) {
		lines = append(lines, models.OrderItem{Label: label, Amount: sign * round(new(big.Rat).Mul(left, new(big.Rat).SetInt64(amount))), Proration: true,
			ProductPriceID: sub.staticPrice(), StartTimestamp: new(s.at), EndTimestamp: new(end)})
	}
	if how != models.ProrationBehaviorReset && oldAmount != 0 {
		part(unused, oldAmount, -1)
		lines[0].ProductPriceID = before.staticPrice()
	}
	if !restart {
		if newAmount := sub.discounted(); newAmount != 0 {
			part(remaining, newAmount, 1)
		}
		if how == models.ProrationBehaviorProrate {
			sub.settle = append(sub.settle, lines...)
			return nil
		}
	} else {
		s.restart(sub, p)
		lines = append(lines, s.lines(sub)...)
	}
	if len(lines) == 0 {
		return nil
	}
	o := s.subscriptionOrder(sub, lines, models.OrderBillingReasonSubscriptionUpdate)
	if !s.charge(o, nil, models.PaymentTriggerSubscriptionCycle) {
		s.rollback(sub, before, o)
		return paymentFailed()
	}
	s.addOrder(o)
	s.orderCreated(o)
	s.markPaid(o)
	return nil
}

// staticPrice is the price that is not for usage.
func (x *subscription) staticPrice() *string {
	for _, pr := range x.prices {
		if pr.meterID() == "" {
			return &pr.m.ID
		}
	}
	return nil
}
