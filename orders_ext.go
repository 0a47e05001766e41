package polar

import (
	"context"
	"errors"
	"strings"

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

// ChargeError is why a draft order was not, or perhaps not, charged. [OrderService.ChargeDraft] with its OrderID goes on
// from here and charges at most once; another [OrderService.Charge] would be for another order.
//
// It matches [ErrOutcomeUnknown] if the order may have been paid. Otherwise nothing was charged, the order is left as it
// was, and the cause says what to do: with [ErrPaymentFailed] and [ErrPaymentActionRequired] name another payment method,
// or have the customer pay through a checkout.
type ChargeError struct {
	OrderID string

	err     error
	unknown bool
}

// Error names the order and the cause.
func (e *ChargeError) Error() string {
	state := "was not charged: "
	if e.unknown {
		state = "may have been charged: "
	}
	cause := "no cause is known"
	if e.err != nil { // which a value that others made has not
		cause = strings.TrimPrefix(e.err.Error(), "polar: ")
	}
	return "polar: orders:charge: order " + oneLine(e.OrderID, 64) + " " + state + cause
}

// Unwrap returns the cause.
func (e *ChargeError) Unwrap() error { return e.err }

// Is reports whether target is [ErrOutcomeUnknown] and the order may have been charged.
func (e *ChargeError) Is(target error) bool { return e.unknown && target == ErrOutcomeUnknown }

// Charge bills a customer's saved default payment method for a one-time product, without the customer: it drafts the order
// and finalizes it. Amount in body replaces the product's price. The organization must have charges without the
// customer present enabled.
//
// No order is charged twice. An error of the type [*ChargeError] names the order that was drafted: go on with
// [OrderService.ChargeDraft]. Any other error means that nothing was charged and that Charge may be called again; at
// most a draft without effect is left behind.
//
// A program that stops between the two steps does not know the order that it drafted. Where that matters, call
// [OrderService.Create], store the order's id, and call ChargeDraft until it says how it ended.
//
// Scope: orders:write, and orders:read to look after a lost answer. Errors: [*ChargeError], [ErrPaymentFailed],
// [ErrPaymentActionRequired], [ErrOffSessionChargesNotEnabled], [ErrOrganizationNotReadyForPayments].
func (s *OrderService) Charge(ctx context.Context, body models.OrderCreate, opts ...CallOption) (*models.Order, error) {
	draft, err := s.Create(ctx, body, opts...)
	if err != nil {
		return nil, err
	}
	return s.ChargeDraft(ctx, draft.ID, nil, opts...)
}

// ChargeDraft charges a draft order as [OrderService.Finalize] does, and may be called again until it succeeds: an order
// that was paid before is returned and not charged. When the answer is lost, it reads the order. A nil body charges the
// customer's default payment method.
//
// Scope: orders:write, and orders:read to look after a lost answer. Errors: [*ChargeError], with the errors of Finalize as
// its cause.
func (s *OrderService) ChargeDraft(ctx context.Context, id string, body *models.OrderFinalize, opts ...CallOption) (*models.Order, error) {
	order, err := s.Finalize(ctx, id, body, opts...)
	switch {
	case err == nil && order.Paid, id == "":
		return order, err
	case err == nil: // of something else than Polar, perhaps
		err = &callError{call: "orders:finalize", text: "the order of the answer is not paid", unknown: true}
	}
	failed := &ChargeError{OrderID: id, err: err, unknown: errors.Is(err, ErrOutcomeUnknown)}
	if failed.unknown || errors.Is(err, ErrOrderNotDraft) {
		now, again := s.Get(ctx, id, opts...)
		if again == nil && now.Paid {
			return now, nil
		}
		failed.unknown = failed.unknown || again != nil || now.Status != models.OrderStatusVoid
	}
	return nil, failed
}

// WaitForInvoice returns a link to the invoice of an order. If there is none yet, it has one made and asks until it is
// there, which takes some seconds. A context without a deadline is given five minutes; when the time is over, the error
// matches [context.DeadlineExceeded], and a later call goes on waiting.
//
// Scope: orders:read. Errors: [ErrNotFound], [ErrOrderNotEligibleForInvoice], [ErrMissingInvoiceBillingDetails].
func (s *OrderService) WaitForInvoice(ctx context.Context, id string, opts ...CallOption) (*models.OrderInvoice, error) {
	return waitForInvoice(ctx, "orders:invoice", s.Invoice, s.GenerateInvoice, id, opts)
}

// WaitForReceipt returns a link to the receipt of an order, which works for ten minutes, and asks until it is made. Only
// orders with a ReceiptNumber have one; for others the error is [ErrNotFound]. A context without a deadline is given five
// minutes; when the time is over, the error matches [context.DeadlineExceeded].
//
// Scope: orders:read. Errors: [ErrNotFound].
func (s *OrderService) WaitForReceipt(ctx context.Context, id string, opts ...CallOption) (*models.Receipt, error) {
	return waitForReceipt(ctx, "orders:receipt", s.Receipt, id, opts)
}

// waitForInvoice waits with the methods of a service.
func waitForInvoice(ctx context.Context, op string, get func(context.Context, string, ...CallOption) (*models.OrderInvoice, error),
	generate func(context.Context, string, ...CallOption) error, id string, opts []CallOption) (*models.OrderInvoice, error) {
	ctx, cancel := boundedBy(ctx, documentWait)
	defer cancel()
	asked := false
	return poll(ctx, op, "the invoice was not ready", func() (*models.OrderInvoice, bool, error) {
		invoice, err := get(ctx, id, opts...)
		if !errors.Is(err, ErrNotFound) {
			return invoice, true, err
		}
		if asked {
			return nil, false, nil
		}
		err = generate(ctx, id, opts...) // tells whether there is such an order
		asked = err == nil
		return nil, false, err
	})
}

// waitForReceipt waits with the method of a service.
func waitForReceipt(ctx context.Context, op string, get func(context.Context, string, ...CallOption) (*models.Receipt, error), id string, opts []CallOption) (*models.Receipt, error) {
	ctx, cancel := boundedBy(ctx, documentWait)
	defer cancel()
	return poll(ctx, op, "the receipt was not ready", func() (*models.Receipt, bool, error) {
		receipt, err := get(ctx, id, opts...)
		return receipt, err == nil && !receipt.Pending, err
	})
}
