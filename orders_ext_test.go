package polar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// sale has a customer, user_1, buy a new product, and returns the order. A trial of some days makes it a subscription.
func sale(t *testing.T, srv *polartest.Server, trial *int) *models.Order {
	t.Helper()
	ctx, client := t.Context(), srv.Client()
	customer, err := client.Customers.Ensure(ctx, models.CustomerCreate{
		ExternalID: new("user_1"), Email: "ada@example.com", BillingAddress: &models.Address{Country: "DE"},
	})
	require.NoError(t, err)
	price := []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1000}}
	var body models.ProductCreate = models.ProductCreateOneTime{Name: "Book", Prices: price}
	if trial != nil {
		body = models.ProductCreateRecurring{
			Name: "Pro", Prices: price, RecurringInterval: models.RecurringIntervalMonth,
			TrialInterval: new(models.TrialIntervalDay), TrialIntervalCount: trial,
		}
	}
	product, err := client.Products.Create(ctx, body)
	require.NoError(t, err)
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, CustomerID: &customer.ID})
	require.NoError(t, err)
	require.NoError(t, srv.CompleteCheckout(checkout.ID))
	page, err := client.Orders.List(ctx, &polar.OrderListParams{CheckoutID: []string{checkout.ID}})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	return &page.Items[0]
}

func TestOrderFromSaleToRefund(t *testing.T) {
	t.Parallel()
	ctx, srv := t.Context(), polartest.NewServer(t)
	client := srv.Client()
	order := sale(t, srv, nil)
	bought := func(want bool) {
		t.Helper()
		got, err := client.Orders.HasBought(ctx, order.CustomerID, *order.ProductID)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		got, err = client.Orders.HasBoughtByExternalID(ctx, "user_1", *order.ProductID)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	refund := func(amount int64) {
		t.Helper()
		_, err := client.Refunds.Create(ctx, models.RefundCreate{OrderID: order.ID, Reason: models.RefundReasonCustomerRequest, Amount: amount})
		require.NoError(t, err)
		srv.Advance(time.Minute)
		order, err = client.Orders.Get(ctx, order.ID)
		require.NoError(t, err)
	}
	assert.True(t, order.IsPaid())
	assert.True(t, order.HasProduct(*order.ProductID))
	assert.False(t, order.IsRefunded() || order.IsPartiallyRefunded())
	bought(true)
	refund(400)
	assert.True(t, order.IsPaid() && order.IsPartiallyRefunded() && !order.IsRefunded())
	bought(true)
	refund(600)
	assert.True(t, !order.IsPaid() && !order.IsPartiallyRefunded() && order.IsRefunded())
	assert.True(t, order.Paid, "the field is not the question")
	bought(false)

	for _, ids := range [][2]string{{"", *order.ProductID}, {order.CustomerID, ""}} {
		srv.ForgetRequests()
		_, err := client.Orders.HasBought(ctx, ids[0], ids[1])
		require.ErrorContains(t, err, "is empty")
		_, err = client.Orders.HasBoughtByExternalID(ctx, ids[0], ids[1])
		require.ErrorContains(t, err, "is empty")
		assert.Empty(t, srv.Requests())
	}
	srv.Break("orders:list", 1, polartest.BadGateway(403))
	_, err := client.Orders.HasBought(ctx, order.CustomerID, *order.ProductID)
	require.ErrorIs(t, err, polar.ErrForbidden, "unknown is not no")
}

func TestSubscriptionFromTrialToEnd(t *testing.T) {
	t.Parallel()
	ctx, srv := t.Context(), polartest.NewServer(t)
	client := srv.Client()
	order := sale(t, srv, new(14))
	now := func() *models.Subscription {
		t.Helper()
		sub, err := client.Subscriptions.Get(ctx, *order.SubscriptionID)
		require.NoError(t, err)
		return sub
	}
	cancel := func(at bool) {
		t.Helper()
		_, err := client.Subscriptions.Update(ctx, *order.SubscriptionID, models.SubscriptionCancel{CancelAtPeriodEnd: at})
		require.NoError(t, err)
	}
	assert.True(t, now().IsValid() && now().OnTrial() && !now().OnGracePeriod())
	srv.Advance(15 * 24 * time.Hour)
	assert.True(t, now().IsValid() && !now().OnTrial())

	cancel(true)
	assert.True(t, now().IsValid() && now().IsCanceled() && now().OnGracePeriod() && !now().HasEnded())
	cancel(false)
	assert.False(t, now().IsCanceled() || now().OnGracePeriod(), "taken back")

	require.NoError(t, srv.DeclinePayments(order.CustomerID, true))
	srv.Advance(31 * 24 * time.Hour)
	assert.True(t, now().IsPastDue() && !now().IsValid() && !now().HasEnded())
	srv.Advance(60 * 24 * time.Hour)
	assert.True(t, now().HasEnded() && !now().IsPastDue() && !now().IsValid() && !now().OnGracePeriod())
}
