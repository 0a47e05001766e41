package polartest

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/polar-go/polar/models"
)

type refund struct {
	m models.Refund
}

func (r *refund) orgID() string { return r.m.OrganizationID }

func refundHandlers() handlers {
	return handlers{"refunds:list": listRefunds, "refunds:create": createRefund}
}

func listRefunds(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.refunds, func(r *refund) bool {
		x, _ := s.customers.get(r.m.CustomerID)
		return c.asks("id", r.m.ID) && c.asks("order_id", r.m.OrderID) && c.asksPtr("subscription_id", r.m.SubscriptionID) && c.asks("customer_id", r.m.CustomerID) &&
			c.asksPtr("external_customer_id", x.m.ExternalID) && c.asksBool("succeeded", r.m.Status == models.RefundStatusSucceeded)
	})
	return page(c, items, map[string]func(a, b *refund) int{
		"amount": func(a, b *refund) int { return cmp.Compare(a.m.Amount, b.m.Amount) },
	}, func(r *refund) models.Refund { return r.m })
}

func createRefund(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.RefundCreate](c)
	if err != nil {
		return nil, err
	}
	o, ok := s.orders.get(body.OrderID)
	if !ok || !c.who.reaches(o.orgID()) {
		return nil, invalid(wrong("Order not found.", body.OrderID, "order_id"))
	}
	if !o.m.Paid {
		return nil, invalid(wrong("The order is not paid.", body.OrderID, "order_id"))
	}
	net, _ := o.refundable()
	switch {
	case net <= 0:
		return nil, fail(http.StatusForbidden, "RefundedAlready", "The order is fully refunded already.")
	case body.Amount > net:
		return nil, invalid(fault{Type: "value_error", Loc: []any{"body", "amount"}, Msg: fmt.Sprintf("The amount is above what can be refunded: %d.", net), Input: body.Amount})
	case deref(body.RevokeBenefits) && o.m.SubscriptionID != nil:
		return nil, invalid(wrong("Benefits can only be revoked with one-time orders.", true, "revoke_benefits"))
	}
	return s.refund(o, body).m, nil
}

// refund gives a part of an order back, with the tax on it.
func (s *Server) refund(o *order, body models.RefundCreate) *refund {
	net, tax := o.refundable()
	part := tax
	if body.Amount < net {
		part = share(tax, body.Amount, net)
	}
	r := &refund{m: models.Refund{CreatedAt: s.at, ID: s.uuid(), Metadata: body.Metadata, Status: models.RefundStatusSucceeded, Reason: body.Reason, Amount: body.Amount, TaxAmount: part,
		Currency: o.m.Currency, OrganizationID: o.orgID(), OrderID: o.m.ID, SubscriptionID: o.m.SubscriptionID, CustomerID: o.m.CustomerID, RevokeBenefits: deref(body.RevokeBenefits)}}
	s.refunds.add(r.m.ID, r)
	m := &o.m
	m.RefundedAmount += body.Amount
	m.RefundedTaxAmount += part
	m.Status, m.ModifiedAt = models.OrderStatusPartiallyRefunded, new(s.at)
	if body.Amount == net {
		m.Status = models.OrderStatusRefunded
	}
	x, _ := s.customers.get(m.CustomerID)
	s.systemEvent(x, "order.refunded", &models.OrderRefundedMetadata{OrderID: m.ID, RefundedAmount: body.Amount + part, Currency: m.Currency})
	s.emit(o.organization, models.WebhookEventTypeRefundCreated, func() any { return r.m })
	s.emit(o.organization, models.WebhookEventTypeOrderUpdated, func() any { return s.renderOrder(o) })
	s.emit(o.organization, models.WebhookEventTypeOrderRefunded, func() any { return s.renderOrder(o) })
	if deref(body.RevokeBenefits) {
		o.benefitsRevoked = true
		s.revokeAll(x, scope{order: o})
	}
	return r
}
