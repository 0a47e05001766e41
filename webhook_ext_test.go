package polar

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// webhookServer answers for an endpoint and its deliveries.
type webhookServer struct {
	enabled    bool
	modified   time.Time
	deliveries []map[string]any // the latest first, as Polar lists them
	queries    []string
	redelivers []string
	failAt     int // which redelivery fails
}

var webhookStart = time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Second)

// attempt adds an attempt, so many minutes after webhookStart.
func (s *webhookServer) attempt(minute int, event string, code int, eventSucceeded any, more ...func(event map[string]any)) {
	e := map[string]any{
		"id": event, "type": "order.paid", "created_at": webhookStart, "succeeded": eventSucceeded, "api_version": "2026-10",
		"payload": "{}", "skipped": false, "is_archived": false,
	}
	for _, m := range more {
		m(e)
	}
	d := map[string]any{
		"id": fmt.Sprint("d", len(s.deliveries)), "created_at": webhookStart.Add(time.Duration(minute) * time.Minute), "succeeded": code/100 == 2,
		"http_code": code, "response": "answer " + strconv.Itoa(code), "webhook_event": e,
	}
	if code == 0 {
		d["http_code"], d["response"] = nil, "connection refused"
	}
	s.deliveries = append([]map[string]any{d}, s.deliveries...)
}

func (s *webhookServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint := map[string]any{
		"id": "ep", "url": "https://shop.example/hooks", "enabled": s.enabled, "created_at": webhookStart.Add(-time.Hour), "secret": "whsec_secret",
	}
	if !s.modified.IsZero() {
		endpoint["modified_at"] = s.modified
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/webhooks/endpoints/ep":
		_ = json.NewEncoder(w).Encode(endpoint)
	case "PATCH /v1/webhooks/endpoints/ep":
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		if len(body) != 1 || body["enabled"] != true {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		endpoint["enabled"] = true
		_ = json.NewEncoder(w).Encode(endpoint)
	case "GET /v1/webhooks/deliveries":
		s.queries = append(s.queries, r.URL.RawQuery)
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		first, last := (page-1)*100, min(page*100, len(s.deliveries))
		_ = json.NewEncoder(w).Encode(map[string]any{
			"items": s.deliveries[min(first, last):last], "pagination": map[string]any{"total_count": len(s.deliveries), "max_page": (len(s.deliveries) + 99) / 100},
		})
	default:
		var id string
		if _, err := fmt.Sscanf(r.Method+r.URL.Path, "POST/v1/webhooks/events/%s", &id); err != nil {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"ResourceNotFound","detail":"Not found"}`)
			return
		}
		if s.failAt > 0 && len(s.redelivers) == s.failAt-1 {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"ResourceNotFound","detail":"Not found"}`)
			return
		}
		s.redelivers = append(s.redelivers, id)
		w.WriteHeader(http.StatusAccepted)
	}
}

func at(minute int) time.Time { return webhookStart.Add(time.Duration(minute) * time.Minute) }

func TestWebhookHealth(t *testing.T) {
	s := &webhookServer{enabled: true}
	_, client := newThings(t, s.ServeHTTP)
	ctx := t.Context()

	health, err := client.WebhookEndpoints.Health(ctx, "ep", nil)
	require.NoError(t, err)
	assert.Equal(t, &WebhookHealth{EndpointID: "ep", URL: "https://shop.example/hooks", Enabled: true}, health, "nothing happened")
	require.Len(t, s.queries, 1)
	assert.Contains(t, s.queries[0], "endpoint_id=ep")
	assert.Contains(t, s.queries[0], "start_timestamp=20")

	s.attempt(0, "late success", 500, true)
	s.attempt(1, "gone", 500, false)
	s.attempt(2, "late success", 202, true)
	s.attempt(3, "gone", 404, false)
	s.attempt(4, "fine", 200, true)
	s.attempt(5, "unreachable", 0, false)
	s.attempt(6, "forgotten", 500, nil)
	s.attempt(118, "trying", 503, nil)
	health, err = client.WebhookEndpoints.Health(ctx, "ep", &WebhookHealthParams{Since: at(-60)})
	require.NoError(t, err)
	assert.Contains(t, s.queries[1], "start_timestamp="+at(-60).Format("2006-01-02"))
	assert.Nil(t, health.DisabledSince)
	assert.Equal(t, at(4), *health.LastSuccess)
	assert.False(t, health.Incomplete)
	type brief struct {
		id       string
		attempts int
		at       time.Time
		retrying bool
	}
	var got []brief
	for _, f := range health.Failed {
		got = append(got, brief{f.Event.ID, f.Attempts, f.LastAttempt, f.Retrying})
	}
	assert.Equal(t, []brief{{"gone", 2, at(3), false}, {"unreachable", 1, at(5), false}, {"forgotten", 1, at(6), false}, {"trying", 1, at(118), true}}, got)
	assert.Equal(t, 404, *health.Failed[0].HTTPCode)
	assert.Equal(t, "answer 404", *health.Failed[0].Response)
	assert.Nil(t, health.Failed[1].HTTPCode)
	assert.Equal(t, "connection refused", *health.Failed[1].Response)
	assert.Equal(t, 2, health.FailuresInARow, "unreachable and forgotten; the other is not given up yet")

	// disabled by Polar: since the last attempt, although somebody edited the endpoint later
	s.enabled, s.modified = false, at(119)
	health, err = client.WebhookEndpoints.Health(ctx, "ep", nil)
	require.NoError(t, err)
	assert.False(t, health.Enabled)
	assert.Equal(t, at(118), *health.DisabledSince)
	assert.Equal(t, 3, health.FailuresInARow, "nothing is tried any more")
	for _, f := range health.Failed {
		assert.False(t, f.Retrying)
	}

	// disabled by hand, after a success
	s.attempt(119, "last", 200, true)
	s.modified = at(120)
	health, err = client.WebhookEndpoints.Health(ctx, "ep", nil)
	require.NoError(t, err)
	assert.Equal(t, at(120), *health.DisabledSince)
	assert.Zero(t, health.FailuresInARow)
	s.modified = time.Time{}
	health, err = client.WebhookEndpoints.Health(ctx, "ep", nil)
	require.NoError(t, err)
	assert.Equal(t, at(-60), *health.DisabledSince, "never changed: made that way")

	endpoint, err := client.WebhookEndpoints.Enable(ctx, "ep")
	require.NoError(t, err)
	assert.True(t, endpoint.Enabled)
}

func TestWebhookHealthIsBounded(t *testing.T) {
	s := &webhookServer{enabled: true}
	for i := range 250 {
		s.attempt(0, fmt.Sprint("e", i), 500, false)
	}
	_, client := newThings(t, s.ServeHTTP)
	health, err := client.WebhookEndpoints.Health(t.Context(), "ep", &WebhookHealthParams{MaxAttempts: 150})
	require.NoError(t, err)
	assert.True(t, health.Incomplete)
	assert.Len(t, health.Failed, 150)
	assert.Len(t, s.queries, 2)
	health, err = client.WebhookEndpoints.Health(t.Context(), "ep", &WebhookHealthParams{MaxAttempts: 250})
	require.NoError(t, err)
	assert.False(t, health.Incomplete)
	assert.Len(t, health.Failed, 250)
}

func TestWebhookHealthErrors(t *testing.T) {
	_, client := newThings(t, (&webhookServer{}).ServeHTTP)
	_, err := client.WebhookEndpoints.Health(t.Context(), "other", nil)
	assert.ErrorIs(t, err, ErrNotFound)
	_, err = client.WebhookEndpoints.Health(t.Context(), "", nil)
	assert.ErrorContains(t, err, "id is empty")
	_, err = client.WebhookEndpoints.Enable(t.Context(), "other")
	assert.ErrorIs(t, err, ErrNotFound)
	_, err = client.WebhookDeliveries.RedeliverFailed(t.Context(), "", nil)
	assert.ErrorContains(t, err, "endpoint id is empty")

	_, client = newThings(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/webhooks/endpoints/ep" {
			answer(200, `{"id":"ep"}`)(w, r)
			return
		}
		answer(403, `{"error":"insufficient_scope"}`)(w, r)
	})
	_, err = client.WebhookEndpoints.Health(t.Context(), "ep", nil)
	assert.ErrorIs(t, err, ErrForbidden)
	_, err = client.WebhookDeliveries.RedeliverFailed(t.Context(), "ep", nil)
	assert.ErrorIs(t, err, ErrForbidden)
}

func TestRedeliverFailed(t *testing.T) {
	s := &webhookServer{enabled: true}
	s.attempt(2, "second", 500, false)
	s.attempt(1, "first", 500, false)
	s.attempt(3, "fine", 200, true)
	s.attempt(4, "archived", 500, false, func(e map[string]any) { e["is_archived"] = true })
	s.attempt(5, "third", 500, nil)
	s.attempt(119, "trying", 500, nil)
	_, client := newThings(t, s.ServeHTTP)
	ids, err := client.WebhookDeliveries.RedeliverFailed(t.Context(), "ep", nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"first", "second", "third"}, ids)
	assert.Equal(t, []string{"first/redeliver", "second/redeliver", "third/redeliver"}, s.redelivers)

	s.redelivers, s.failAt = nil, 3
	ids, err = client.WebhookDeliveries.RedeliverFailed(t.Context(), "ep", nil)
	assert.ErrorIs(t, err, ErrNotFound)
	assert.Equal(t, []string{"first", "second"}, ids, "what was queued before the error")
}
