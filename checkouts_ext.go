package polar

import (
	"context"

	"github.com/polar-go/polar/models"
)

// Wait asks for a checkout until it is final, and returns it: succeeded, failed or expired, so look at its Status. It
// asks twice a second at first and every ten seconds in the end. It is meant for the page that the customer comes back to after
// paying, with a context of some seconds; an open checkout can take a day to expire. A refused card is not the end: the
// customer can try another one.
//
// Do not fulfil here, since customers may close the page before it is shown: the webhook order.paid is for that.
//
// When ctx ends first, the error matches [context.DeadlineExceeded] or [context.Canceled], and the payment may
// still succeed.
//
// Scope: checkouts:read or checkouts:write. Errors: [ErrNotFound].
func (s *CheckoutService) Wait(ctx context.Context, id string, opts ...CallOption) (*models.Checkout, error) {
	return poll(ctx, "checkouts:get", "the checkout was not final", func() (*models.Checkout, bool, error) {
		checkout, err := s.Get(ctx, id, opts...)
		return checkout, err == nil && isFinal(checkout.Status), err
	})
}

// WaitByClientSecret is [CheckoutService.Wait] for a program that has only the client secret of the checkout, such as one
// that runs on the customer's computer. It needs no token. Its result is succeeded or failed; for an expired checkout the
// error is [ErrExpiredCheckout].
//
// Errors: [ErrNotFound], [ErrExpiredCheckout].
func (s *CheckoutService) WaitByClientSecret(ctx context.Context, clientSecret string, opts ...CallOption) (*models.CheckoutPublic, error) {
	return poll(ctx, "checkouts:client_get", "the checkout was not final", func() (*models.CheckoutPublic, bool, error) {
		checkout, err := s.GetByClientSecret(ctx, clientSecret, opts...)
		return checkout, err == nil && isFinal(checkout.Status), err
	})
}

func isFinal(status models.CheckoutStatus) bool {
	switch status {
	case models.CheckoutStatusSucceeded, models.CheckoutStatusFailed, models.CheckoutStatusExpired:
		return true
	}
	return false
}
