package polar_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func TestWaitForDocuments(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	order := sale(t, srv, nil)
	_, err := srv.Client().Orders.WaitForInvoice(t.Context(), order.ID)
	require.ErrorIs(t, err, polar.ErrMissingInvoiceBillingDetails)
	_, err = srv.Client().Orders.Update(t.Context(), order.ID, models.OrderUpdate{BillingName: models.Set("Ada")})
	require.NoError(t, err)
	client, err := srv.Client().With(polar.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			srv.Advance(time.Second)
			return next.RoundTrip(r)
		})
	}))
	require.NoError(t, err)
	srv.ForgetRequests()
	invoice, err := client.Orders.WaitForInvoice(t.Context(), order.ID)
	require.NoError(t, err)
	assert.Contains(t, invoice.URL, order.ID)
	assert.Equal(t, []string{"orders:invoice 404", "orders:generate_invoice 202", "orders:invoice 200"}, operations(srv))
	receipt, err := client.Orders.WaitForReceipt(t.Context(), order.ID)
	require.NoError(t, err)
	assert.Contains(t, receipt.URL, order.ID)
	assert.Equal(t, []string{"orders:receipt 202", "orders:receipt 200"}, operations(srv))

	_, err = client.Orders.WaitForInvoice(t.Context(), "00000000-0000-4000-8000-000000000000")
	require.ErrorIs(t, err, polar.ErrNotFound)
	_, err = client.Orders.WaitForReceipt(t.Context(), "00000000-0000-4000-8000-000000000000")
	require.ErrorIs(t, err, polar.ErrNotFound)
}

// The customer gets the same documents.
func TestWaitForDocumentsInThePortal(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	order := sale(t, srv, nil)
	portal, err := srv.PortalClient("user_1", polar.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			srv.Advance(time.Second)
			return next.RoundTrip(r)
		})
	}))
	require.NoError(t, err)
	_, err = portal.Orders.WaitForInvoice(t.Context(), order.ID)
	require.ErrorIs(t, err, polar.ErrMissingInvoiceBillingDetails)
	_, err = portal.Orders.Update(t.Context(), order.ID, models.OrderUpdate{BillingName: models.Set("Ada")})
	require.NoError(t, err)
	srv.ForgetRequests()
	invoice, err := portal.Orders.WaitForInvoice(t.Context(), order.ID)
	require.NoError(t, err)
	assert.Contains(t, invoice.URL, order.ID)
	assert.Equal(t, []string{"customer_portal:orders:invoice 404", "customer_portal:orders:generate_invoice 202", "customer_portal:orders:invoice 200"}, operations(srv))
	receipt, err := portal.Orders.WaitForReceipt(t.Context(), order.ID)
	require.NoError(t, err)
	assert.Contains(t, receipt.URL, order.ID)
	assert.Equal(t, []string{"customer_portal:orders:receipt 202", "customer_portal:orders:receipt 200"}, operations(srv))

	_, err = portal.Orders.WaitForInvoice(t.Context(), "00000000-0000-4000-8000-000000000000")
	require.ErrorIs(t, err, polar.ErrNotFound)
	_, err = portal.Orders.WaitForReceipt(t.Context(), "00000000-0000-4000-8000-000000000000")
	require.ErrorIs(t, err, polar.ErrNotFound)
}

func TestReceiptThatIsNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		client, err := polar.New(polar.Token("polar_oat_example"), polar.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				asked++
				return &http.Response{StatusCode: 202, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			})
		}))
		require.NoError(t, err)
		start := time.Now()
		_, err = client.Orders.WaitForReceipt(t.Context(), "ord_1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualError(t, err, "polar: orders:receipt: the receipt was not ready in time: context deadline exceeded")
		assert.Equal(t, 5*time.Minute, time.Since(start))
		assert.Less(t, asked, 45, "it does not hammer")

		portal, err := client.Portal(polar.Token("polar_cst_example"))
		require.NoError(t, err)
		start = time.Now()
		_, err = portal.Orders.WaitForReceipt(t.Context(), "ord_1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualError(t, err, "polar: customer_portal:orders:receipt: the receipt was not ready in time: context deadline exceeded")
		assert.Equal(t, 5*time.Minute, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		time.AfterFunc(time.Second, cancel)
		start = time.Now()
		_, err = client.Orders.WaitForReceipt(ctx, "ord_1")
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// What ended the context is in the error beside how it ended, which callers ask for.
func TestWaitEndsWithACauseOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := polar.New(polar.Token("polar_oat_example"), polar.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				body := io.NopCloser(strings.NewReader(`{"id":"chk_1","status":"open"}`))
				return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: r}, nil
			})
		}))
		require.NoError(t, err)
		impatient := errors.New("nobody waits longer")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, impatient)
		defer cancel()
		_, err = client.Checkouts.Wait(ctx, "chk_1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, impatient)
	})
}

func TestInvoiceIsOrderedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, ordered int
		client, err := polar.New(polar.Token("polar_oat_example"), polar.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				status, body := http.StatusNotFound, `{"error":"ResourceNotFound","detail":"Not found"}`
				if r.Method == http.MethodPost {
					ordered++
					status, body = http.StatusAccepted, ""
				} else if asked++; asked == 5 {
					status, body = http.StatusOK, `{"url":"https://example.com/i"}`
				}
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			})
		}))
		require.NoError(t, err)
		_, err = client.Orders.WaitForInvoice(t.Context(), "ord_1")
		require.NoError(t, err)
		assert.Equal(t, 1, ordered)
	})
}

func TestWaitRespectsTheRateLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		client, err := polar.New(polar.Token("polar_oat_example"), polar.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if asked++; asked == 1 {
					return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"60"}}, Body: http.NoBody, Request: r}, nil
				}
				return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{"url":"https://example.com/r"}`)), Request: r}, nil
			})
		}))
		require.NoError(t, err)
		start := time.Now()
		receipt, err := client.Orders.WaitForReceipt(t.Context(), "ord_1")
		require.NoError(t, err)
		assert.Equal(t, "https://example.com/r", receipt.URL)
		assert.GreaterOrEqual(t, time.Since(start), time.Minute)
		assert.Equal(t, 2, asked)
	})
}

func TestWaitForCheckout(t *testing.T) {
	for _, final := range models.CheckoutStatusValues() {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			client, err := polar.New(polar.Token("polar_oat_example"), polar.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					status := models.CheckoutStatusConfirmed
					if asked++; asked > 3 {
						status = final
					}
					body := `{"id":"chk_1","status":"` + string(status) + `"}`
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
				})
			}))
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			checkout, err := client.Checkouts.Wait(ctx, "chk_1")
			if final == models.CheckoutStatusOpen || final == models.CheckoutStatusConfirmed {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, final, checkout.Status)
			assert.Equal(t, 4, asked)

			asked = 0
			public, err := client.Checkouts.WaitByClientSecret(ctx, "polar_c_1")
			require.NoError(t, err)
			assert.Equal(t, final, public.Status)
			assert.Equal(t, 4, asked)
		})
	}
}

func TestWaitForCheckoutThatIsPaid(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	order := sale(t, srv, nil)
	checkout, err := srv.Client().Checkouts.Wait(t.Context(), *order.CheckoutID)
	require.NoError(t, err)
	assert.Equal(t, models.CheckoutStatusSucceeded, checkout.Status)

	anonymous, err := polar.New(polar.Anonymous, polar.WithBaseURL(srv.URL))
	require.NoError(t, err)
	public, err := anonymous.Checkouts.WaitByClientSecret(t.Context(), checkout.ClientSecret)
	require.NoError(t, err)
	assert.Equal(t, models.CheckoutStatusSucceeded, public.Status)
	_, err = anonymous.Checkouts.WaitByClientSecret(t.Context(), "polar_c_none")
	require.ErrorIs(t, err, polar.ErrNotFound)

	open, err := srv.Client().Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{*order.ProductID}})
	require.NoError(t, err)
	require.NoError(t, srv.ExpireCheckout(open.ID))
	_, err = anonymous.Checkouts.WaitByClientSecret(t.Context(), open.ClientSecret)
	require.ErrorIs(t, err, polar.ErrExpiredCheckout)
}
