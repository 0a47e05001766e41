package polartest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

func TestSeed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	cat := must(s.srv.Seed())(t)
	for _, p := range []models.Product{cat.Free, cat.Monthly, cat.Yearly, cat.Team, cat.Book} {
		assert.Equal(t, p.Name, must(s.client.Products.Get(s.ctx, p.ID))(t).Name)
	}
	c := s.customer("a@example.com")
	s.subscribe(c, &cat.Monthly)
	s.ingest(models.EventCreate{Name: "ai.call", CustomerID: &c.ID, Metadata: models.Metadata{"tokens": 1500}})
	s.until(start.AddDate(0, 1, 0))
	assert.Equal(t, []int64{2900, 2900 + 500}, totals(s.orders(c)))
}

func TestGrantAndLapse(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	cat := must(s.srv.Seed())(t)
	c := must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: "a@example.com", ExternalID: new("ada")}))(t)
	id := must(s.srv.Grant("ada", cat.Book.ID))(t)
	order := must(s.client.Orders.Get(s.ctx, id))(t)
	assert.Equal(t, []int64{1900, 1900, 0}, []int64{order.SubtotalAmount, order.DiscountAmount, order.TotalAmount})
	assert.Len(t, must(s.client.Customers.State(s.ctx, c.ID))(t).GrantedBenefits, 1)
	id = must(s.srv.Grant(c.ID, cat.Monthly.ID))(t)
	sub := *must(s.client.Orders.Get(s.ctx, id))(t).SubscriptionID
	require.NoError(t, s.srv.Lapse(sub))
	assert.Equal(t, models.SubscriptionStatusUnpaid, s.subscription(sub).Status)
	require.Error(t, s.srv.Lapse(sub))
	require.Error(t, s.srv.Lapse(cat.Book.ID))
	_, err := s.srv.Grant("nobody", cat.Book.ID)
	require.Error(t, err)
	_, err = s.srv.Grant("ada", sub)
	require.Error(t, err)
}

func TestFailedAndExpiredCheckouts(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c, p := s.customer("a@example.com"), s.book(900)
	open := func() string {
		return must(s.client.Checkouts.Create(s.ctx, models.CheckoutCreate{Products: []string{p.ID}, CustomerID: &c.ID}))(t).ID
	}
	failed, expired := open(), open()
	require.NoError(t, s.srv.FailCheckout(failed))
	require.NoError(t, s.srv.ExpireCheckout(expired))
	assert.Equal(t, models.CheckoutStatusFailed, must(s.client.Checkouts.Get(s.ctx, failed))(t).Status)
	assert.Equal(t, models.CheckoutStatusExpired, must(s.client.Checkouts.Get(s.ctx, expired))(t).Status)
	assert.Empty(t, s.orders(c))
	require.Error(t, s.srv.FailCheckout(expired))
	require.Error(t, s.srv.ExpireCheckout(failed))
	require.Error(t, s.srv.ExpireCheckout(p.ID))
	s.srv.Advance(48 * time.Hour)
	assert.Equal(t, models.CheckoutStatusFailed, must(s.client.Checkouts.Get(s.ctx, failed))(t).Status)
}

func TestLegacyPrices(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	p := s.plan("Old", 1000)
	id := must(s.srv.AddLegacyPrice(p.ID, 700, models.RecurringIntervalMonth))(t)
	got := must(s.client.Products.Get(s.ctx, p.ID))(t)
	require.Len(t, got.Prices, 1)
	assert.Equal(t, id, got.Prices[0].ID)
	assert.True(t, *got.Prices[0].Legacy)
	assert.Equal(t, models.RecurringIntervalMonth, *got.Prices[0].RecurringInterval)
	assert.Equal(t, int64(700), s.subscribe(s.customer("a@example.com"), got).Amount)
	_, err := s.srv.AddLegacyPrice(s.book(1).ID, 700, models.RecurringIntervalMonth)
	require.Error(t, err)
	_, err = s.srv.AddLegacyPrice(p.ID, -1, models.RecurringIntervalMonth)
	require.Error(t, err)
}
