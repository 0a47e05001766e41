package polartest

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/polar-go/polar/models"
)

type dispute struct {
	m        models.Dispute
	order    *order
	customer *customer
}

func (d *dispute) orgID() string { return d.order.orgID() }

func disputeHandlers() handlers {
	return handlers{"disputes:list": listDisputes, "disputes:get": getDispute, "disputes:accept": acceptDispute}
}

func (s *Server) renderDispute(d *dispute) models.Dispute {
	m := d.m
	m.Customer = d.customer.m
	m.PastDue = d.open() && m.EvidenceDueBy != nil && !m.EvidenceDueBy.After(s.at)
	return m
}

// open tells whether the merchant can still do something about it.
func (d *dispute) open() bool {
	return d.m.Status == models.DisputeStatusNeedsResponse || d.m.Status == models.DisputeStatusEarlyWarning
}

func listDisputes(c *call) (any, error) {
	items := visible(c, &c.srv.disputes, func(d *dispute) bool { return c.asks("order_id", d.m.OrderID) && c.asks("status", string(d.m.Status)) })
	return page(c, items, map[string]func(a, b *dispute) int{
		"amount": func(a, b *dispute) int { return cmp.Compare(a.m.Amount, b.m.Amount) },
	}, c.srv.renderDispute)
}

func getDispute(c *call) (any, error) {
	d, err := find(c, &c.srv.disputes, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderDispute(d), nil
}

func acceptDispute(c *call) (any, error) {
	d, err := find(c, &c.srv.disputes, c.path["id"])
	if err != nil {
		return nil, err
	}
	if !d.open() {
		return nil, fail(http.StatusConflict, "DisputeNotOpenError", "The dispute is not open any more: it is "+string(d.m.Status)+".")
	}
	c.srv.setDispute(d, models.DisputeStatusLost)
	return c.srv.renderDispute(d), nil
}

func (s *Server) setDispute(d *dispute, status models.DisputeStatus) {
	d.m.Status, d.m.ModifiedAt = status, new(s.at)
	switch status {
	case models.DisputeStatusWon, models.DisputeStatusLost, models.DisputeStatusPrevented:
		d.m.Resolved, d.m.Closed = true, true
	default:
		d.m.Resolved, d.m.Closed = false, false
	}
}

// disputeTime is what a merchant has to answer a dispute.
const disputeTime = 7 * 24 * time.Hour

// Dispute plays a customer who disputes the payment of an order at their bank, and returns the id of the dispute.
// It waits for the merchant's response; the reason is "general".
func (s *Server) Dispute(orderID string) (string, error) {
	id := ""
	err := s.do(func() error {
		o, ok := s.orders.get(orderID)
		if !ok {
			return errNotFound
		}
		if o.payment == nil || !o.m.Paid {
			return fmt.Errorf("polartest: Dispute: order %s has no payment", orderID)
		}
		x, _ := s.customers.get(o.m.CustomerID)
		d := &dispute{order: o, customer: x, m: models.Dispute{ID: s.uuid(), CreatedAt: s.at, Status: models.DisputeStatusNeedsResponse, Amount: o.m.TotalAmount - o.m.TaxAmount,
			TaxAmount: o.m.TaxAmount, Currency: o.m.Currency, Reason: new("general"), EvidenceDueBy: new(s.at.Add(disputeTime)), OrderID: o.m.ID, PaymentID: o.payment.m.ID}}
		s.disputes.add(d.m.ID, d)
		id = d.m.ID
		return nil
	})
	return id, err
}

// SetDisputeStatus plays the bank: it moves a dispute to a status, such as under review, won or lost.
func (s *Server) SetDisputeStatus(id string, status models.DisputeStatus) error {
	return s.do(func() error {
		d, ok := s.disputes.get(id)
		if !ok {
			return errNotFound
		}
		if !status.Known() {
			return fmt.Errorf("polartest: SetDisputeStatus: %q is no status of a dispute", status)
		}
		s.setDispute(d, status)
		return nil
	})
}
