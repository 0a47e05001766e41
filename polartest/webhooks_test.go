package polartest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
	"github.com/polar-go/polar/webhooks"
)

// receiver keeps what it got and answers with a status.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	bodies [][]byte
	heads  []http.Header
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusAccepted}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies, r.heads = append(r.bodies, body), append(r.heads, req.Header)
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (s *shop) endpoint(url string, events ...models.WebhookEventType) *models.WebhookEndpoint {
	s.Helper()
	if len(events) == 0 {
		events = models.WebhookEventTypeValues()
	}
	return must(s.client.WebhookEndpoints.Create(s.ctx, models.WebhookEndpointCreate{URL: url, Format: models.WebhookFormatRaw, Events: events}))(s)
}

func types(list []polartest.Delivery) []models.WebhookEventType {
	var out []models.WebhookEventType
	for _, d := range list {
		out = append(out, d.Type)
	}
	return out
}

// TestRenewalSequence checks the events of a renewal, in the order in which the real server sends them.
func TestRenewalSequence(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	s.subscribe(c, s.plan("Pro", 1000))
	r := newReceiver(t)
	e := s.endpoint(r.URL)
	assert.True(t, e.UsesStandardWebhookSignature)
	s.until(start.AddDate(0, 1, 0))
	got := s.srv.Deliveries()
	assert.Equal(t, []models.WebhookEventType{"subscription.cycled", "subscription.updated", "order.created", "order.updated", "order.paid", "customer.state_changed"}, types(got))

	v, err := webhooks.NewVerifier(e.Secret, webhooks.WithClock(func() time.Time { return s.srv.Now() }))
	require.NoError(t, err)
	for i, d := range got {
		assert.True(t, d.Succeeded)
		assert.Equal(t, 1, d.Attempt)
		assert.Equal(t, start.AddDate(0, 1, 0), d.SentAt)
		assert.Equal(t, r.bodies[i], d.Body)
		event, err := v.Parse(r.bodies[i], r.heads[i])
		require.NoError(t, err)
		assert.Equal(t, d.Type, event.Type())
		assert.Equal(t, "2026-10", event.Info().APIVersion)
		if created, ok := event.(*webhooks.OrderCreated); ok {
			assert.Equal(t, models.OrderStatusPending, created.Data.Status, "not paid yet")
		}
		if paid, ok := event.(*webhooks.OrderPaid); ok {
			assert.Equal(t, models.OrderStatusPaid, paid.Data.Status)
		}
	}
}

func TestPurchaseSequence(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	p := s.plan("Pro", 1000)
	b := must(s.client.Benefits.Create(s.ctx, models.BenefitCustomCreate{Description: "Support"}))(t)
	must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: []string{b.ID}}))(t)
	c := s.customer("a@example.com")
	s.endpoint(newReceiver(t).URL, "checkout.created", "checkout.updated", "subscription.created", "subscription.active", "order.created", "order.paid", "benefit_grant.created")
	s.buy(c, p)
	assert.Equal(t, []models.WebhookEventType{"checkout.created", "checkout.updated", "subscription.created", "subscription.active", "order.created", "order.paid", "benefit_grant.created", "checkout.updated"},
		types(s.srv.Deliveries()))
}

// TestDeliveryIsTriedTenTimes follows one event through all its attempts.
func TestDeliveryIsTriedTenTimes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r := newReceiver(t)
	r.answer(http.StatusFound)
	s.endpoint(r.URL, models.WebhookEventTypeCustomerCreated)
	s.customer("a@example.com")
	require.Len(t, s.srv.Deliveries(), 1)
	for range 9 {
		s.srv.Advance(20 * time.Minute)
	}
	got := s.srv.Deliveries()
	require.Len(t, got, 10)
	wait := 2 * time.Second
	for i := range got[1:] {
		pause := got[i+1].SentAt.Sub(got[i].SentAt)
		assert.LessOrEqual(t, pause, min(wait, 20*time.Minute))
		assert.GreaterOrEqual(t, pause, min(wait, 20*time.Minute)/2)
		assert.Equal(t, got[0].ID, got[i+1].ID, "the same webhook-id")
		assert.Equal(t, got[0].Body, got[i+1].Body)
		wait *= 2
	}
	s.srv.Advance(24 * time.Hour)
	assert.Len(t, s.srv.Deliveries(), 10)

	list := must(s.client.WebhookDeliveries.List(s.ctx, &polar.WebhookDeliveryListParams{Succeeded: new(false), Limit: 100}))(t)
	assert.Len(t, list.Items, 10)
	assert.Equal(t, 302, *list.Items[0].HTTPCode)
	assert.False(t, *list.Items[0].WebhookEvent.Succeeded)

	r.answer(http.StatusOK)
	require.NoError(t, s.client.WebhookDeliveries.Redeliver(s.ctx, list.Items[0].WebhookEvent.ID))
	got = s.srv.Deliveries()
	require.Len(t, got, 11)
	assert.True(t, got[10].Succeeded)
	assert.Equal(t, got[0].ID, got[10].ID)
}

func TestEndpointIsDisabled(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r := newReceiver(t)
	r.answer(http.StatusInternalServerError)
	e := s.endpoint(r.URL, models.WebhookEventTypeProductCreated)
	for range 10 {
		s.plan("Pro", 1000)
		assert.True(t, must(s.client.WebhookEndpoints.Get(s.ctx, e.ID))(t).Enabled)
		s.srv.Advance(time.Hour)
	}
	assert.False(t, must(s.client.WebhookEndpoints.Get(s.ctx, e.ID))(t).Enabled, "ten events in a row finally failed")
	assert.Len(t, s.srv.Deliveries(), 100)
	s.plan("Pro", 1000)
	assert.Len(t, s.srv.Deliveries(), 100)
	r.answer(http.StatusOK)
	must(s.client.WebhookEndpoints.Update(s.ctx, e.ID, models.WebhookEndpointUpdate{Enabled: models.Set(true)}))(t)
	s.plan("Pro", 1000)
	assert.Len(t, s.srv.Deliveries(), 101)
}

func TestLegacySecret(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r := newReceiver(t)
	e := s.endpoint(r.URL, models.WebhookEventTypeProductCreated)
	require.NoError(t, s.srv.UseLegacySecret(e.ID, "polar_whs_abcdefghijklmnop"))
	assert.False(t, must(s.client.WebhookEndpoints.Get(s.ctx, e.ID))(t).UsesStandardWebhookSignature)
	s.plan("Pro", 1000)
	require.Len(t, s.srv.Deliveries(), 1)
	v, err := webhooks.NewVerifier("polar_whs_abcdefghijklmnop", webhooks.WithClock(s.srv.Now))
	require.NoError(t, err)
	_, err = v.Parse(r.bodies[0], r.heads[0])
	require.NoError(t, err)
	other := must(s.client.WebhookEndpoints.ResetSecret(s.ctx, e.ID))(t)
	assert.True(t, other.UsesStandardWebhookSignature)
}

func TestEndpointURLs(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for url, ok := range map[string]bool{"https://example.com/hook": true, "http://127.0.0.1:9/hook": true, "http://localhost/hook": true, "http://example.com/hook": false, "https://10.0.0.1/": false} {
		_, err := s.client.WebhookEndpoints.Create(s.ctx, models.WebhookEndpointCreate{URL: url, Format: models.WebhookFormatRaw, Events: []models.WebhookEventType{}})
		if ok {
			require.NoError(t, err, url)
		} else {
			require.ErrorIs(t, err, polar.ErrValidation, url)
		}
	}
}

// TestReceiverCallsBack has a receiver that uses the API: it must find the state of the event.
func TestReceiverCallsBack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	sub := s.subscribe(s.customer("a@example.com"), s.plan("Pro", 1000))
	var ends []time.Time
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		got, err := s.client.Subscriptions.Get(s.ctx, sub.ID)
		if assert.NoError(t, err) {
			ends = append(ends, got.CurrentPeriodEnd)
		}
	}))
	t.Cleanup(r.Close)
	s.endpoint(r.URL, models.WebhookEventTypeOrderPaid)
	s.until(start.AddDate(0, 3, 0))
	assert.Equal(t, []time.Time{start.AddDate(0, 2, 0), start.AddDate(0, 3, 0), start.AddDate(0, 4, 0)}, ends)
}
