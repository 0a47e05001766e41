package polar

import (
	"context"

	"github.com/polar-go/polar/models"
)

// WaitForInvoice is [OrderService.WaitForInvoice] for an order of the customer: it has the invoice made if need be, and asks
// until it is there. A context without a deadline is given five minutes; when the time is over, the error matches
// [context.DeadlineExceeded], and a later call goes on waiting.
//
// Scope: customer_portal:read or customer_portal:write. Errors: [ErrNotFound], [ErrOrderNotEligibleForInvoice],
// [ErrMissingInvoiceBillingDetails], which [PortalOrderService.Update] can mend.
func (s *PortalOrderService) WaitForInvoice(ctx context.Context, id string, opts ...CallOption) (*models.OrderInvoice, error) {
	return waitForInvoice(ctx, "customer_portal:orders:invoice", s.Invoice, s.GenerateInvoice, id, opts)
}

// WaitForReceipt is [OrderService.WaitForReceipt] for an order of the customer: it asks until the receipt is made. Only
// orders with a ReceiptNumber have one; for others the error is [ErrNotFound]. A context without a deadline is given five
// minutes; when the time is over, the error matches [context.DeadlineExceeded].
//
// Scope: customer_portal:read or customer_portal:write. Errors: [ErrNotFound].
func (s *PortalOrderService) WaitForReceipt(ctx context.Context, id string, opts ...CallOption) (*models.Receipt, error) {
	return waitForReceipt(ctx, "customer_portal:orders:receipt", s.Receipt, id, opts)
}
