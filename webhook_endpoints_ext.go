package polar

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/polar-go/polar/models"
)

const (
	webhookAttempts     = 10               // after so many failed attempts Polar gives an event up
	webhookLongestPause = 20 * time.Minute // between two attempts

	webhookDefaultPeriod   = 24 * time.Hour
	webhookDefaultAttempts = 1000

	// WebhookFailuresToDisable is how many events in a row may fail for good before Polar disables their endpoint.
	WebhookFailuresToDisable = 10
)

// WebhookHealth is how a webhook endpoint has received its events lately.
type WebhookHealth struct {
	EndpointID string
	URL        string
	// Enabled tells whether Polar sends events. Polar turns it off after [WebhookFailuresToDisable] events in a row have
	// failed for good, and [WebhookEndpointService.Enable] turns it on again.
	Enabled bool
	// DisabledSince is since when nothing is sent, and nil while the endpoint is enabled. Polar does not keep this time, so
	// it is worked out: if the last attempt failed, it is the time of that attempt, after which Polar must have disabled the
	// endpoint; otherwise it is the time of the last change of the endpoint, by whoever disabled it.
	DisabledSince *time.Time
	// LastSuccess is the latest attempt that succeeded, and nil when there was none in the period.
	LastSuccess *time.Time
	// Failed are the events whose attempts all failed in the period, the earliest first. Those that were delivered in the
	// end are not among them. Events that were skipped while the endpoint was disabled have no attempts and are not
	// listed anywhere; get what they were about from the API.
	Failed []WebhookFailure
	// FailuresInARow counts the events that failed for good since the last one that was delivered. At
	// [WebhookFailuresToDisable] the endpoint is disabled.
	FailuresInARow int
	// Incomplete tells that there were more attempts in the period than were looked at.
	Incomplete bool
}

// WebhookFailure is an event that an endpoint did not receive.
type WebhookFailure struct {
	Event       models.WebhookEvent // event; its ID is the webhook-id of the deliveries
	Attempts    int                 // failed attempts in the period
	LastAttempt time.Time           // time of the last of them
	HTTPCode    *int                // status of the answer to it, and nil when the endpoint could not be reached
	Response    *string             // start of the answer's body, or what went wrong
	Retrying    bool                // whether Polar is still trying
}

// WebhookHealthParams say what to look at. The zero value of a field means its default.
type WebhookHealthParams struct {
	// Since is the start of the period. The default is 24 hours ago.
	Since time.Time
	// MaxAttempts is how many attempts are looked at, the latest ones. The default is 1,000, which takes ten requests.
	MaxAttempts int
}

// Health says whether an endpoint is enabled and which events it failed to receive, from the endpoint and the attempts
// to reach it. A nil params means the last 24 hours.
//
// Scope: webhooks:read or webhooks:write. Errors: [ErrNotFound].
func (s *WebhookEndpointService) Health(ctx context.Context, id string, params *WebhookHealthParams, opts ...CallOption) (*WebhookHealth, error) {
	endpoint, err := s.Get(ctx, id, opts...)
	if err != nil {
		return nil, err
	}
	history, err := (&WebhookDeliveryService{s.core}).history(ctx, id, params, opts)
	if err != nil {
		return nil, err
	}
	h := &WebhookHealth{
		EndpointID: endpoint.ID, URL: endpoint.URL, Enabled: endpoint.Enabled,
		LastSuccess: history.lastSuccess, Failed: history.failed(endpoint.Enabled), FailuresInARow: history.failuresInARow(endpoint.Enabled),
		Incomplete: history.incomplete,
	}
	if !endpoint.Enabled {
		h.DisabledSince = cmp.Or(endpoint.ModifiedAt, &endpoint.CreatedAt)
		if last := history.last; last != nil && !last.Succeeded {
			h.DisabledSince = &last.CreatedAt
		}
	}
	return h, nil
}

// Enable has Polar send events to an endpoint again that was disabled, by Polar after failures or by hand. Correct what
// failed first. Events from the time between are not sent: [WebhookDeliveryService.RedeliverFailed] sends those that were
// attempted.
//
// Scope: webhooks:write. Errors: [ErrNotFound].
func (s *WebhookEndpointService) Enable(ctx context.Context, id string, opts ...CallOption) (*models.WebhookEndpoint, error) {
	return s.Update(ctx, id, models.WebhookEndpointUpdate{Enabled: models.Set(true)}, opts...)
}

// webhookHistory is what became of the events of an endpoint.
type webhookHistory struct {
	events      []*webhookOutcome
	last        *models.WebhookDelivery
	lastSuccess *time.Time
	incomplete  bool
}

// webhookOutcome gathers the attempts to deliver one event.
type webhookOutcome struct {
	last      models.WebhookDelivery
	failures  int
	succeeded bool
}

func (s *WebhookDeliveryService) history(ctx context.Context, endpointID string, params *WebhookHealthParams, opts []CallOption) (*webhookHistory, error) {
	var p WebhookHealthParams
	if params != nil {
		p = *params
	}
	if p.Since.IsZero() {
		p.Since = time.Now().Add(-webhookDefaultPeriod)
	}
	if p.MaxAttempts <= 0 {
		p.MaxAttempts = webhookDefaultAttempts
	}
	h := new(webhookHistory)
	byID := make(map[string]*webhookOutcome)
	attempts := 0
	for d, err := range s.All(ctx, &WebhookDeliveryListParams{EndpointID: []string{endpointID}, StartTimestamp: p.Since}, opts...) {
		if err != nil {
			return nil, err
		}
		if attempts++; attempts > p.MaxAttempts {
			h.incomplete = true
			break
		}
		o := byID[d.WebhookEvent.ID]
		if o == nil {
			o = new(webhookOutcome)
			byID[d.WebhookEvent.ID] = o
			h.events = append(h.events, o)
		}
		o.add(d)
		if h.last == nil || d.CreatedAt.After(h.last.CreatedAt) {
			h.last = d
		}
		if d.Succeeded && (h.lastSuccess == nil || d.CreatedAt.After(*h.lastSuccess)) {
			h.lastSuccess = &d.CreatedAt
		}
	}
	slices.SortStableFunc(h.events, func(a, b *webhookOutcome) int { return a.last.CreatedAt.Compare(b.last.CreatedAt) })
	return h, nil
}

func (o *webhookOutcome) add(d *models.WebhookDelivery) {
	if !d.Succeeded {
		o.failures++
	}
	o.succeeded = o.succeeded || d.Succeeded || d.WebhookEvent.Succeeded != nil && *d.WebhookEvent.Succeeded
	if o.last.ID == "" || d.CreatedAt.After(o.last.CreatedAt) {
		o.last = *d
	}
}

// retrying reports whether Polar is going to try again: not if it says that the event has failed, not after the last
// attempt or the longest pause, and not while the endpoint is disabled.
func (o *webhookOutcome) retrying(enabled bool) bool {
	return enabled && !o.succeeded && o.last.WebhookEvent.Succeeded == nil && !o.last.WebhookEvent.Skipped && o.failures < webhookAttempts &&
		time.Since(o.last.CreatedAt) < webhookLongestPause
}

func (h *webhookHistory) failed(enabled bool) []WebhookFailure {
	var list []WebhookFailure
	for _, o := range h.events {
		if !o.succeeded {
			list = append(list, WebhookFailure{
				Event: o.last.WebhookEvent, Attempts: o.failures, LastAttempt: o.last.CreatedAt,
				HTTPCode: o.last.HTTPCode, Response: o.last.Response, Retrying: o.retrying(enabled),
			})
		}
	}
	return list
}

func (h *webhookHistory) failuresInARow(enabled bool) int {
	n := 0
	for _, o := range slices.Backward(h.events) {
		if o.succeeded {
			break
		}
		if !o.retrying(enabled) {
			n++
		}
	}
	return n
}
