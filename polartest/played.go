package polartest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/polar-go/polar/models"
)

// AddPayment puts a payment into the list of payments, such as one that is pending or was
// declined for a reason, and returns its id. What is left empty gets a value: a card, in
// dollars, that succeeded now. It pays nothing: orders stay as they are. An order, or a
// checkout, that it names must exist; an order brings its amount and currency.
func (s *Server) AddPayment(p models.Payment) (id string, err error) {
	err = s.do(func() error {
		if o, ok := s.orders.get(deref(p.OrderID)); ok {
			if p.Amount == 0 {
				p.Amount = o.m.TotalAmount
			}
			if p.Currency == "" {
				p.Currency = o.m.Currency
			}
		} else if p.OrderID != nil {
			return errNotFound
		}
		if _, ok := s.checkouts.get(deref(p.CheckoutID)); !ok && p.CheckoutID != nil {
			return errNotFound
		}
		switch {
		case p.Amount < 0:
			return fmt.Errorf("polartest: AddPayment: the amount is %d, below zero", p.Amount)
		case p.Status != "" && !p.Status.Known():
			return fmt.Errorf("polartest: AddPayment: %q is no status of a payment", p.Status)
		}
		if p.Status == "" {
			p.Status = models.PaymentStatusSucceeded
		}
		if p.Currency == "" {
			p.Currency = "usd"
		}
		made := s.pay(s.org.m.ID, p.Amount, p.Currency, or(p.Trigger, models.PaymentTriggerPurchase), p.Status)
		made.m.OrderID, made.m.CheckoutID, made.m.ProcessorMetadata = clone(p.OrderID), clone(p.CheckoutID), p.ProcessorMetadata
		if p.Status == models.PaymentStatusFailed {
			made.m.DeclineReason, made.m.DeclineMessage = firstOf(p.DeclineReason, made.m.DeclineReason), firstOf(p.DeclineMessage, made.m.DeclineMessage)
		}
		if p.Method != "" && p.Method != made.m.Method {
			made.m.Method, made.m.MethodMetadata = p.Method, nil
		}
		if p.MethodMetadata != nil {
			made.m.MethodMetadata = clone(p.MethodMetadata)
		}
		id = made.m.ID
		return nil
	})
	return id, err
}

// RevokeGrant takes a granted benefit away from its customer, as when Polar finds that it
// is not deserved any more, and emits benefit_grant.revoked. The subscription or order that
// gave it goes on; a change of its product's benefits grants it again.
func (s *Server) RevokeGrant(grantID string) error {
	return s.do(func() error {
		i := slices.IndexFunc(s.grants.all, func(g *grant) bool { return g.m.ID == grantID })
		if i < 0 {
			return errNotFound
		}
		g := s.grants.all[i]
		if !g.m.IsGranted {
			return errors.New("polartest: RevokeGrant: the benefit is revoked already")
		}
		s.revoke(g)
		return nil
	})
}
