package polartest_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

func (s *shop) book(cents int64) *models.Product {
	s.Helper()
	return must(s.client.Products.Create(s.ctx, models.ProductCreateOneTime{Name: "Book", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: cents}}}))(s)
}

func TestDraftOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	book := s.book(1000)
	s.buy(c, book) // leaves a card
	draft := must(s.client.Orders.Create(s.ctx, models.OrderCreate{CustomerID: c.ID, ProductID: book.ID, Amount: new(int64(700)), Description: new("5,000 tokens")}))(t)
	assert.Equal(t, models.OrderStatusDraft, draft.Status)
	assert.Nil(t, draft.InvoiceNumber)
	assert.Equal(t, "5,000 tokens", draft.Items[0].Label)

	require.NoError(t, s.srv.DeclinePayments(c.ID, true))
	_, err := s.client.Orders.Finalize(s.ctx, draft.ID, nil)
	require.ErrorIs(t, err, polar.ErrPaymentFailed)
	require.NoError(t, s.srv.DeclinePayments(c.ID, false))
	require.NoError(t, s.srv.ChallengePayments(c.ID, true))
	_, err = s.client.Orders.Finalize(s.ctx, draft.ID, nil)
	require.ErrorIs(t, err, polar.ErrPaymentActionRequired)
	require.NoError(t, s.srv.ChallengePayments(c.ID, false))
	assert.Equal(t, models.OrderStatusDraft, must(s.client.Orders.Get(s.ctx, draft.ID))(t).Status)

	paid := must(s.client.Orders.Finalize(s.ctx, draft.ID, &models.OrderFinalize{}))(t)
	assert.Equal(t, models.OrderStatusPaid, paid.Status)
	assert.Equal(t, "ACME-0002", *paid.InvoiceNumber)
	assert.Equal(t, int64(700), paid.TotalAmount)
	_, err = s.client.Orders.Finalize(s.ctx, draft.ID, nil)
	require.ErrorIs(t, err, polar.ErrOrderNotDraft)

	_, err = s.client.Orders.Create(s.ctx, models.OrderCreate{CustomerID: c.ID, ProductID: book.ID, Amount: new(int64(49))})
	require.ErrorIs(t, err, polar.ErrValidation)
	_, err = s.client.Orders.Create(s.ctx, models.OrderCreate{CustomerID: c.ID, ProductID: s.plan("Pro", 1).ID})
	require.ErrorIs(t, err, polar.ErrValidation)
}

func TestInvoiceAndReceipt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	s.buy(c, s.book(1000))
	id := s.orders(c)[0].ID
	err := s.client.Orders.GenerateInvoice(s.ctx, id)
	require.ErrorIs(t, err, polar.ErrMissingInvoiceBillingDetails)
	must(s.client.Orders.Update(s.ctx, id, models.OrderUpdate{BillingName: models.Set("Ada")}))(t)
	require.NoError(t, s.client.Orders.GenerateInvoice(s.ctx, id))
	_, err = s.client.Orders.Invoice(s.ctx, id)
	require.ErrorIs(t, err, polar.ErrNotFound)
	s.srv.Advance(time.Second)
	assert.Contains(t, must(s.client.Orders.Invoice(s.ctx, id))(t).URL, id)
	_, err = s.client.Orders.Update(s.ctx, id, models.OrderUpdate{BillingName: models.Set("Eve")})
	require.ErrorIs(t, err, polar.ErrValidation)

	assert.True(t, must(s.client.Orders.Receipt(s.ctx, id))(t).Pending)
	s.srv.Advance(time.Second)
	receipt := must(s.client.Orders.Receipt(s.ctx, id))(t)
	assert.False(t, receipt.Pending)
	assert.Contains(t, receipt.URL, id)
}

func TestExports(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	s.subscribe(c, s.plan("Pro", 1000))
	s.until(start.AddDate(0, 1, 0))
	read := func(r io.ReadCloser) []string {
		t.Helper()
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		return strings.Split(string(data), "\r\n")
	}
	assert.Equal(t, []string{"Email,Created At,Product,Net Amount,Currency,Status,Invoice number",
		"a@example.com,2026-10-05T08:00:00+00:00,Pro,10.0,usd,paid,ACME-0001", "a@example.com,2026-11-05T08:00:00+00:00,Pro,10.0,usd,paid,ACME-0002", ""},
		read(must(s.client.Orders.Export(s.ctx, nil))(t)))
	assert.Equal(t, []string{"Status,Created At", "paid,2026-11-05T09:00:00+01:00", ""},
		read(must(s.client.Orders.Export(s.ctx, &polar.OrderExportParams{Columns: []models.OrderExportColumn{"status", "created_at"}, Timezone: "Europe/Berlin", CreatedAfter: start.AddDate(0, 0, 1)}))(t)))
	assert.Len(t, read(must(s.client.Subscriptions.Export(s.ctx, nil))(t)), 3)
}
