package polar

import (
	"context"
	"errors"

	"github.com/polar-go/polar/models"
)

// HasBought reports whether a customer has ever bought a product, once or by subscribing to it, and the money was not all
// given back. It says nothing about access at the moment, which a subscription may have lost since: that is in
// [CustomerService.State].
//
// Scope: orders:read.
func (s *OrderService) HasBought(ctx context.Context, customerID, productID string, opts ...CallOption) (bool, error) {
	return s.bought(ctx, customerID, OrderListParams{CustomerID: []string{customerID}, ProductID: []string{productID}}, opts)
}

// HasBoughtByExternalID is [OrderService.HasBought] for the customer with this identifier in the caller's own system. A customer
// whom Polar does not know has bought nothing.
//
// Scope: orders:read.
func (s *OrderService) HasBoughtByExternalID(ctx context.Context, externalID, productID string, opts ...CallOption) (bool, error) {
	return s.bought(ctx, externalID, OrderListParams{ExternalCustomerID: []string{externalID}, ProductID: []string{productID}}, opts)
}

func (s *OrderService) bought(ctx context.Context, customer string, params OrderListParams, opts []CallOption) (bool, error) {
	if customer == "" || params.ProductID[0] == "" { // an empty filter would find the orders of everybody
		return false, errors.New("polar: orders:list: the id of the customer or of the product is empty")
	}
	params.Status = []models.OrderStatus{models.OrderStatusPaid, models.OrderStatusPartiallyRefunded}
	params.Limit = 1
	page, err := s.List(ctx, &params, opts...)
	return err == nil && len(page.Items) > 0, err
}

// WaitForInvoice returns a link to the invoice of an order. If there is none yet, it has one made and asks until it is
// there, which takes some seconds. A context without a deadline is given five minutes; when the time is over, the error
// matches [context.DeadlineExceeded], and a later call goes on waiting.
//
// Scope: orders:read. Errors: [ErrNotFound], [ErrOrderNotEligibleForInvoice], [ErrMissingInvoiceBillingDetails].
func (s *OrderService) WaitForInvoice(ctx context.Context, id string, opts ...CallOption) (*models.OrderInvoice, error) {
	ctx, cancel := boundedBy(ctx, documentWait)
	defer cancel()
	asked := false
	return poll(ctx, "orders:invoice", "the invoice was not ready", func() (*models.OrderInvoice, bool, error) {
		invoice, err := s.Invoice(ctx, id, opts...)
		if !errors.Is(err, ErrNotFound) {
			return invoice, true, err
		}
		if asked {
			return nil, false, nil
		}
		err = s.GenerateInvoice(ctx, id, opts...) // tells whether there is such an order
		asked = err == nil
		return nil, false, err
	})
}

// WaitForReceipt returns a link to the receipt of an order, which works for ten minutes, and asks until it is made. Only
// orders with a ReceiptNumber have one; for others the error is [ErrNotFound]. A context without a deadline is given five
// minutes; when the time is over, the error matches [context.DeadlineExceeded].
//
// Scope: orders:read. Errors: [ErrNotFound].
func (s *OrderService) WaitForReceipt(ctx context.Context, id string, opts ...CallOption) (*models.Receipt, error) {
	ctx, cancel := boundedBy(ctx, documentWait)
	defer cancel()
	return poll(ctx, "orders:receipt", "the receipt was not ready", func() (*models.Receipt, bool, error) {
		receipt, err := s.Receipt(ctx, id, opts...)
		return receipt, err == nil && !receipt.Pending, err
	})
}
