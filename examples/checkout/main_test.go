package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// TestRun runs the program with random amounts and checks what the customer was told.
func TestRun(t *testing.T) {
	t.Parallel()
	for range 3 {
		cents := minimum + rand.Int64N(1_000_000)
		amount := fmt.Sprintf("%d.%02d", cents/100, cents%100)
		var out strings.Builder
		require.NoError(t, run(t.Context(), &out, config{Amount: amount}))
		for _, want := range []string{
			"is at Polar's checkout: A year of mountain weather",
			"The card is declined, and the customer is still there",
			fmt.Sprintf("The customer is back. The page says: Thank you / You paid %s USD.", amount),
		} {
			assert.Contains(t, out.String(), want)
		}
	}
	for amount, want := range map[string]string{"4.99": "Please enter at least 5.00 USD.", "a lot": "Please enter an amount such as 12.50.", "6.001": "Please enter an amount such as 12.50."} {
		var out strings.Builder
		require.NoError(t, run(t.Context(), &out, config{Amount: amount}))
		assert.Contains(t, out.String(), want)
		assert.NotContains(t, out.String(), "Polar's checkout")
	}
}

// lockedBuffer is written by the program and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestServe opens the page that -serve leaves open, and ends the program.
func TestServe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out lockedBuffer
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, &out, config{Serve: true, Addr: "127.0.0.1:0"}) }()
	address := regexp.MustCompile(`Open (http://\S+)`)
	var found []string
	require.Eventually(t, func() bool { found = address.FindStringSubmatch(out.String()); return found != nil }, 10*time.Second, 10*time.Millisecond)
	resp, err := http.Get(found[1])
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	cancel()
	require.NoError(t, <-ended)
}

func TestRunWithoutServer(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.ErrorContains(t, run(t.Context(), &out, config{Token: "has a space"}), "polar: ")
	assert.NotContains(t, out.String(), "has a space")
	require.Error(t, run(t.Context(), &out, config{Addr: "nowhere"}))
}

// TestDone opens the page after the payment in every state of the checkout.
func TestDone(t *testing.T) {
	t.Parallel()
	ctx, srv := t.Context(), polartest.NewServer(t)
	client := srv.Client()
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{Name: "Book", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 900}}})
	require.NoError(t, err)
	s, err := newSite(client, product, "https://shop.example")
	require.NoError(t, err)
	s.patience = 100 * time.Millisecond
	checkout := func(after func(id string) error) string {
		t.Helper()
		c, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, SuccessURL: &s.successURL})
		require.NoError(t, err)
		assert.Equal(t, "https://shop.example/done?checkout_id="+c.ID, c.SuccessURL)
		require.NoError(t, after(c.ID))
		return c.ID
	}
	done := func(id string) (int, string) {
		t.Helper()
		rec := httptest.NewRecorder()
		s.handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/done?checkout_id="+url.QueryEscape(id), nil))
		return rec.Code, rec.Body.String()
	}
	paid := checkout(srv.CompleteCheckout)
	for _, tt := range []struct {
		id     string
		status int
		want   string
	}{
		{paid, 200, "You paid 9.00 USD."},
		{checkout(srv.ExpireCheckout), 200, "has expired"},
		{checkout(srv.FailCheckout), 200, "Your payment did not work"},
		{checkout(func(string) error { return nil }), 200, `http-equiv="refresh"`},
		{"00000000-0000-4000-8000-000000000000", 404, "no such purchase"},
		{"../orders", 404, "no such purchase"},
		{`"><script>`, 404, "no such purchase"},
		{"", 404, "no such purchase"},
	} {
		status, body := done(tt.id)
		assert.Equal(t, tt.status, status, tt.want)
		assert.Contains(t, body, tt.want)
		assert.NotContains(t, body, "<script")
	}
	srv.Break("checkouts:get", -1, polartest.BadGateway(http.StatusForbidden))
	status, body := done(paid)
	assert.Equal(t, http.StatusBadGateway, status)
	assert.Contains(t, body, "may have worked", "not known is not failed")
}

// TestBuy sends the form when Polar cannot be reached, and from another site.
func TestBuy(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	s, err := newSite(srv.Client(), &models.Product{ID: "00000000-0000-4000-8000-000000000000", Name: "Book"}, "https://shop.example")
	require.NoError(t, err)
	send := func(change func(*http.Request)) (int, string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "https://shop.example/buy", strings.NewReader("amount=10"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(r)
		rec := httptest.NewRecorder()
		s.handler().ServeHTTP(rec, r)
		return rec.Code, rec.Body.String()
	}
	srv.Break("checkouts:create", 1, polartest.LoseAnswer())
	status, body := send(func(*http.Request) {})
	assert.Equal(t, http.StatusBadGateway, status)
	assert.Contains(t, body, "cannot sell at the moment")
	assert.Len(t, srv.Requests("checkouts:create"), 1, "it is not sent again")

	srv.Heal()
	status, body = send(func(*http.Request) {})
	assert.Equal(t, http.StatusBadGateway, status, "there is no such product, which no amount mends")
	assert.NotContains(t, body, "at least")

	status, _ = send(func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") })
	assert.Equal(t, http.StatusForbidden, status)
	_, err = newSite(srv.Client(), &models.Product{}, "shop.example")
	require.ErrorContains(t, err, "must be absolute")
}
