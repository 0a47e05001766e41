package polar_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// charges is a shop whose customer has bought a one-time product for 1000 and left a card.
type charges struct {
	t    *testing.T
	srv  *polartest.Server
	body models.OrderCreate
}

func newCharges(t *testing.T) *charges {
	srv := polartest.NewServer(t)
	order := sale(t, srv, nil)
	srv.ForgetRequests()
	return &charges{t, srv, models.OrderCreate{CustomerID: order.CustomerID, ProductID: *order.ProductID, Amount: new(int64(1234)), Description: new("March")}}
}

// paid is how often a card was charged since the first purchase.
func (c *charges) paid() int {
	c.t.Helper()
	page, err := c.srv.Client().Payments.List(c.t.Context(), &polar.PaymentListParams{Status: []models.PaymentStatus{models.PaymentStatusSucceeded}})
	require.NoError(c.t, err)
	return len(page.Items) - 1
}

func (c *charges) order(id string) *models.Order {
	c.t.Helper()
	order, err := c.srv.Client().Orders.Get(c.t.Context(), id)
	require.NoError(c.t, err)
	return order
}

func TestCharge(t *testing.T) {
	t.Parallel()
	c := newCharges(t)
	order, err := c.srv.Client().Orders.Charge(t.Context(), c.body)
	require.NoError(t, err)
	assert.Equal(t, []string{"orders:create 201", "orders:finalize 200"}, operations(c.srv))
	assert.True(t, order.IsPaid())
	assert.EqualValues(t, 1234, order.NetAmount)
	assert.Equal(t, "March", order.Items[0].Label)
	assert.Equal(t, 1, c.paid())
}

// The draft is refused: there is nothing to go on with.
func TestChargeRefusedDraft(t *testing.T) {
	t.Parallel()
	c := newCharges(t)
	c.body.Amount = new(int64(1))
	_, err := c.srv.Client().Orders.Charge(t.Context(), c.body)
	require.ErrorIs(t, err, polar.ErrValidation)
	_, ok := errors.AsType[*polar.ChargeError](err)
	assert.False(t, ok)
	assert.Equal(t, []string{"orders:create 422"}, operations(c.srv))
	assert.Zero(t, c.paid())
}

// The card is refused: the draft is named, and charged once there is money.
func TestChargeDeclined(t *testing.T) {
	t.Parallel()
	c := newCharges(t)
	client := c.srv.Client()
	for name, tt := range map[string]struct {
		play func(string, bool) error
		want error
	}{
		"declined":  {c.srv.DeclinePayments, polar.ErrPaymentFailed},
		"challenge": {c.srv.ChallengePayments, polar.ErrPaymentActionRequired},
	} {
		before := c.paid()
		require.NoError(t, tt.play(c.body.CustomerID, true))
		_, err := client.Orders.Charge(t.Context(), c.body)
		require.ErrorIs(t, err, tt.want, name)
		require.NotErrorIs(t, err, polar.ErrOutcomeUnknown, name)
		failed, ok := errors.AsType[*polar.ChargeError](err)
		require.True(t, ok, name)
		assert.ErrorContains(t, err, "polar: orders:charge: order "+failed.OrderID+" was not charged: orders:finalize: ")
		assert.Equal(t, models.OrderStatusDraft, c.order(failed.OrderID).Status)
		assert.Equal(t, before, c.paid())

		_, err = client.Orders.ChargeDraft(t.Context(), failed.OrderID, nil)
		require.ErrorIs(t, err, tt.want, name)
		require.NoError(t, tt.play(c.body.CustomerID, false))
		order, err := client.Orders.ChargeDraft(t.Context(), failed.OrderID, nil)
		require.NoError(t, err, name)
		assert.Equal(t, failed.OrderID, order.ID)
		assert.Equal(t, before+1, c.paid())
		order, err = client.Orders.ChargeDraft(t.Context(), failed.OrderID, nil)
		require.NoError(t, err, "an order that is paid is not charged again")
		assert.True(t, order.IsPaid())
		assert.Equal(t, before+1, c.paid())
	}
}

// Whatever goes wrong on the way, following the rules of the documentation charges once.
func TestChargeThroughFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]polartest.Fault{"lost": polartest.LoseAnswer(), "reset": polartest.Reset(), "half": polartest.Truncate(), "gateway": polartest.BadGateway(http.StatusBadGateway)} {
		happened := name == "lost" || name == "half" // at the server
		t.Run("create/"+name, func(t *testing.T) {
			t.Parallel()
			c := newCharges(t)
			c.srv.Break("orders:create", 1, fault)
			_, err := c.srv.Client().Orders.Charge(t.Context(), c.body)
			require.ErrorIs(t, err, polar.ErrOutcomeUnknown)
			_, ok := errors.AsType[*polar.ChargeError](err)
			require.False(t, ok, "nothing was charged")
			assert.Zero(t, c.paid())
			_, err = c.srv.Client().Orders.Charge(t.Context(), c.body)
			require.NoError(t, err)
			assert.Equal(t, 1, c.paid())
		})
		t.Run("finalize/"+name, func(t *testing.T) {
			t.Parallel()
			c := newCharges(t)
			c.srv.Break("orders:finalize", 1, fault)
			order, err := c.srv.Client().Orders.Charge(t.Context(), c.body)
			if happened {
				require.NoError(t, err, "the order was read")
				assert.True(t, order.IsPaid())
				assert.Equal(t, 1, c.paid())
				return
			}
			c.resume(err, 0)
		})
		t.Run("finalize and get/"+name, func(t *testing.T) {
			t.Parallel()
			c := newCharges(t)
			c.srv.Break("orders:finalize", 1, fault)
			c.srv.Break("orders:get", 1, polartest.BadGateway(http.StatusForbidden))
			_, err := c.srv.Client().Orders.Charge(t.Context(), c.body)
			before := 0
			if happened {
				before = 1
			}
			c.resume(err, before)
		})
	}
}

// resume goes on after an answer was lost.
func (c *charges) resume(err error, paid int) {
	c.t.Helper()
	require.ErrorIs(c.t, err, polar.ErrOutcomeUnknown)
	failed, ok := errors.AsType[*polar.ChargeError](err)
	require.True(c.t, ok)
	assert.ErrorContains(c.t, err, "order "+failed.OrderID+" may have been charged: ")
	assert.Equal(c.t, paid, c.paid())
	order, err := c.srv.Client().Orders.ChargeDraft(c.t.Context(), failed.OrderID, nil)
	require.NoError(c.t, err)
	assert.Equal(c.t, failed.OrderID, order.ID)
	assert.True(c.t, order.IsPaid())
	assert.Equal(c.t, 1, c.paid())
}

func TestChargeDraft(t *testing.T) {
	t.Parallel()
	c := newCharges(t)
	client := c.srv.Client()
	_, err := client.Orders.ChargeDraft(t.Context(), "", nil)
	require.ErrorContains(t, err, "id")
	_, ok := errors.AsType[*polar.ChargeError](err)
	assert.False(t, ok, "there is no order to name")

	draft, err := client.Orders.Create(t.Context(), c.body)
	require.NoError(t, err)
	other := &models.OrderFinalize{PaymentMethodID: new("00000000-0000-4000-8000-000000000000")}
	_, err = client.Orders.ChargeDraft(t.Context(), draft.ID, other)
	require.ErrorIs(t, err, polar.ErrValidation, "the payment method is passed on")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Orders.ChargeDraft(ctx, draft.ID, nil)
	require.ErrorIs(t, err, context.Canceled)
	failed, ok := errors.AsType[*polar.ChargeError](err)
	require.True(t, ok)
	assert.Equal(t, draft.ID, failed.OrderID)
	assert.Zero(t, c.paid())
}

// An order that somebody else finalized and gave back is not charged for the second time either.
func TestChargeDraftThatWasRefunded(t *testing.T) {
	t.Parallel()
	c := newCharges(t)
	client := c.srv.Client()
	order, err := client.Orders.Charge(t.Context(), c.body)
	require.NoError(t, err)
	_, err = client.Refunds.Create(t.Context(), models.RefundCreate{OrderID: order.ID, Reason: models.RefundReasonCustomerRequest, Amount: order.NetAmount})
	require.NoError(t, err)
	again, err := client.Orders.ChargeDraft(t.Context(), order.ID, nil)
	require.NoError(t, err)
	assert.False(t, again.IsPaid(), "it says so")
	assert.Equal(t, 1, c.paid())
}

// An order that is no draft any more is looked at, and what cannot be seen is not called uncharged.
func TestChargeDraftThatIsNone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		get     string // answer to the reading of the order
		paid    bool
		unknown bool
	}{
		"paid":    {get: `{"id":"ord_1","status":"paid","paid":true}`, paid: true},
		"void":    {get: `{"id":"ord_1","status":"void","paid":false}`},
		"pending": {get: `{"id":"ord_1","status":"pending","paid":false}`, unknown: true},
		"hidden":  {unknown: true},
	} {
		client, err := polar.New(polar.Token("polar_oat_example"), polar.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				status, body := http.StatusOK, tt.get
				switch {
				case r.Method == http.MethodPost:
					status, body = http.StatusPreconditionFailed, `{"error":"OrderNotDraft","detail":"No."}`
				case body == "":
					status = http.StatusForbidden
				}
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			})
		}))
		require.NoError(t, err)
		order, err := client.Orders.ChargeDraft(t.Context(), "ord_1", nil)
		if tt.paid {
			require.NoError(t, err, name)
			assert.True(t, order.IsPaid())
			continue
		}
		require.ErrorIs(t, err, polar.ErrOrderNotDraft, name)
		assert.Equal(t, tt.unknown, errors.Is(err, polar.ErrOutcomeUnknown), name)
		assert.Equal(t, tt.unknown, strings.Contains(err.Error(), "may have been charged"), name)
	}
}

// A success without a paid order, of a proxy for instance, is not taken for money: the order is looked at.
func TestChargeDraftWithAStrangeSuccess(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{}`, `{"id":"ord_1","status":"pending","paid":false}`} {
		for _, paid := range []bool{true, false} {
			client, err := polar.New(polar.Token("polar_oat_example"), polar.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					body := answer
					if paid && r.Method == http.MethodGet {
						body = `{"id":"ord_1","status":"paid","paid":true}`
					}
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
				})
			}))
			require.NoError(t, err)
			order, err := client.Orders.ChargeDraft(t.Context(), "ord_1", nil)
			if paid {
				require.NoError(t, err)
				assert.True(t, order.IsPaid())
				continue
			}
			require.ErrorIs(t, err, polar.ErrOutcomeUnknown, answer)
			failed, ok := errors.AsType[*polar.ChargeError](err)
			require.True(t, ok)
			assert.Equal(t, "ord_1", failed.OrderID)
			assert.ErrorContains(t, err, "order ord_1 may have been charged: orders:finalize: the order of the answer is not paid")
		}
	}
}

// Programs make such errors in their own tests.
func TestChargeErrorOfOthers(t *testing.T) {
	t.Parallel()
	err := error(&polar.ChargeError{OrderID: "ord_1"})
	require.EqualError(t, err, "polar: orders:charge: order ord_1 was not charged: no cause is known")
	require.NotErrorIs(t, err, polar.ErrOutcomeUnknown)
}

func ExampleOrderService_Charge() {
	ctx := context.Background()
	srv, err := polartest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	client, customerID, productID := firstPurchase(ctx, srv)

	order, err := client.Orders.Charge(ctx, models.OrderCreate{
		CustomerID:  customerID,
		ProductID:   productID,
		Amount:      new(int64(1250)),
		Description: new("Extra work in March"),
	})
	if failed, ok := errors.AsType[*polar.ChargeError](err); ok && errors.Is(err, polar.ErrOutcomeUnknown) {
		// Nobody knows whether it was charged. Keep the id: ChargeDraft goes on with the same order, now or later. A
		// card that was declined is not tried again at once.
		order, err = client.Orders.ChargeDraft(ctx, failed.OrderID, nil)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(order.Status, models.FormatAmount(order.NetAmount, order.Currency))
	// Output: paid 12.50 USD
}

// firstPurchase leaves a customer with a saved card.
func firstPurchase(ctx context.Context, srv *polartest.Server) (client *polar.Client, customerID, productID string) {
	client = srv.Client()
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{Name: "Work", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1000}}})
	if err != nil {
		panic(err)
	}
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, CustomerEmail: new("ada@example.com")})
	if err != nil {
		panic(err)
	}
	if err := srv.CompleteCheckout(checkout.ID); err != nil {
		panic(err)
	}
	if checkout, err = client.Checkouts.Get(ctx, checkout.ID); err != nil {
		panic(err)
	}
	return client, *checkout.CustomerID, product.ID
}

func ExampleCheckoutService_Create_customAmount() {
	ctx := context.Background()
	srv, err := polartest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	client, _, productID := firstPurchase(ctx, srv)

	// A price for this checkout alone, in place of the product's.
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{
		Products: []string{productID},
		Prices: map[string][]models.ProductPriceCreate{
			productID: {models.ProductPriceFixedCreate{PriceAmount: 4200}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(models.FormatAmount(checkout.Amount, checkout.Currency))
	// Output: 42.00 USD
}
