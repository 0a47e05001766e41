package polartest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

// How the real server delivers.
const (
	deliveryAttempts  = 10
	deliveryTimeout   = 10 * time.Second
	deliveryFirstWait = 2 * time.Second
	deliveryMostWait  = 20 * time.Minute
	endpointFailures  = 10 // events in a row that finally failed
	responseKept      = 2048
	payloadKept       = 90 * day
)

type endpoint struct {
	m        models.WebhookEndpoint
	failures int // events in a row that finally failed
	rule     webhooks.KeyRule
}

func (e *endpoint) orgID() string { return e.m.OrganizationID }

// webhookEvent is an event for one endpoint.
type webhookEvent struct {
	m        models.WebhookEvent
	endpoint *endpoint
	body     []byte
	attempts int
	retry    *job
}

func (e *webhookEvent) orgID() string { return e.endpoint.m.OrganizationID }

// webhookDelivery is an attempt to deliver an event.
type webhookDelivery struct {
	m     models.WebhookDelivery
	event *webhookEvent
}

func (d *webhookDelivery) orgID() string { return d.event.orgID() }

// Delivery is an attempt of the server to deliver a webhook event.
type Delivery struct {
	ID         string                  // webhook-id: the same for every attempt
	EndpointID string                  //
	URL        string                  // where it went
	Type       models.WebhookEventType // what happened
	Attempt    int                     // 1 for the first
	SentAt     time.Time               // by the server's clock
	Header     http.Header             // what was sent
	Body       []byte                  // what was sent
	Status     int                     // what the receiver answered, 0 when it was not reached
	Succeeded  bool                    // the answer was a 2xx
}

func webhookHandlers() handlers {
	return handlers{
		"webhooks:list_webhook_endpoints": listEndpoints, "webhooks:create_webhook_endpoint": createEndpoint, "webhooks:get_webhook_endpoint": getEndpoint,
		"webhooks:update_webhook_endpoint": updateEndpoint, "webhooks:delete_webhook_endpoint": deleteEndpoint, "webhooks:reset_webhook_endpoint_secret": resetEndpointSecret,
		"webhooks:list_webhook_deliveries": listDeliveries, "webhooks:redeliver_webhook_event": redeliver,
	}
}

func listEndpoints(c *call) (any, error) {
	return page(c, visible(c, &c.srv.endpoints, func(*endpoint) bool { return true }), nil, func(e *endpoint) models.WebhookEndpoint { return e.m })
}

func getEndpoint(c *call) (any, error) {
	e, err := find(c, &c.srv.endpoints, c.path["id"])
	if err != nil {
		return nil, err
	}
	return e.m, nil
}

// endpointURL refuses what the real server refuses, except that receivers on this machine are welcome, also without TLS.
func endpointURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return invalid(wrong("The URL is not valid.", raw, "url"))
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "localhost" || err == nil && ip.IsLoopback():
		if u.Scheme == "http" || u.Scheme == "https" {
			return nil
		}
	case err == nil && (ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()):
		return invalid(wrong("The URL must lead to a public host.", raw, "url"))
	}
	if u.Scheme != "https" {
		return invalid(wrong("The URL must use https.", raw, "url"))
	}
	return nil
}

// newSecret makes a secret of the newer kind.
func (s *Server) newSecret() string {
	var b [32]byte
	_, _ = s.source.Read(b[:])
	return "whsec_" + base64.StdEncoding.EncodeToString(b[:])
}

func createEndpoint(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.WebhookEndpointCreate](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(body.OrganizationID)
	if err != nil {
		return nil, err
	}
	if err := endpointURL(body.URL); err != nil {
		return nil, err
	}
	e := &endpoint{rule: webhooks.KeyRuleDecoded, m: models.WebhookEndpoint{CreatedAt: c.now, ID: s.uuid(), URL: body.URL, Name: body.Name, APIVersion: or(body.APIVersion, factsVersion),
		Format: body.Format, Secret: s.newSecret(), OrganizationID: org.m.ID, Events: body.Events, Enabled: true, UsesStandardWebhookSignature: true}}
	s.endpoints.add(e.m.ID, e)
	return e.m, nil
}

func updateEndpoint(c *call) (any, error) {
	s := c.srv
	e, err := find(c, &s.endpoints, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.WebhookEndpointUpdate](c)
	if err != nil {
		return nil, err
	}
	target := e.m.URL
	applyValue(&target, body.URL)
	if err := endpointURL(target); err != nil {
		return nil, err
	}
	e.m.URL = target
	apply(&e.m.Name, body.Name)
	applyValue(&e.m.APIVersion, body.APIVersion)
	applyValue(&e.m.Format, body.Format)
	applyValue(&e.m.Events, body.Events)
	if on, ok := body.Enabled.Get(); ok {
		e.m.Enabled = on
		if on {
			e.failures = 0
		}
	}
	e.m.ModifiedAt = new(c.now)
	return e.m, nil
}

func deleteEndpoint(c *call) (any, error) {
	s := c.srv
	e, err := find(c, &s.endpoints, c.path["id"])
	if err != nil {
		return nil, err
	}
	s.endpoints.remove(e.m.ID, func(x *endpoint) bool { return x == e })
	e.m.Enabled = false
	s.deliveries.all = slices.DeleteFunc(s.deliveries.all, func(d *webhookDelivery) bool { return d.event.endpoint == e })
	return nil, nil
}

func resetEndpointSecret(c *call) (any, error) {
	s := c.srv
	e, err := find(c, &s.endpoints, c.path["id"])
	if err != nil {
		return nil, err
	}
	e.m.Secret, e.rule, e.m.UsesStandardWebhookSignature, e.m.ModifiedAt = s.newSecret(), webhooks.KeyRuleDecoded, true, new(c.now)
	return e.m, nil
}

// UseLegacySecret gives a webhook endpoint a secret of the older kind, which signs
// with its own bytes: the API can no longer set one, but endpoints that have one keep it.
func (s *Server) UseLegacySecret(endpointID, secret string) error {
	if strings.TrimSpace(secret) == "" {
		return errors.New("polartest: UseLegacySecret: the secret is empty")
	}
	return s.do(func() error {
		e, ok := s.endpoints.get(endpointID)
		if !ok {
			return errNotFound
		}
		e.m.Secret, e.rule, e.m.UsesStandardWebhookSignature = secret, webhooks.KeyRuleBytes, false
		return nil
	})
}

func (s *Server) renderDelivery(d *webhookDelivery) models.WebhookDelivery {
	m := d.m
	m.WebhookEvent = d.event.render(s.at)
	return m
}

func (e *webhookEvent) render(now time.Time) models.WebhookEvent {
	m := e.m
	if now.Sub(m.CreatedAt) < payloadKept {
		m.Payload = new(string(e.body))
	} else {
		m.IsArchived = true
	}
	return m
}

func listDeliveries(c *call) (any, error) {
	items := visible(c, &c.srv.deliveries, func(d *webhookDelivery) bool {
		class := c.query.Get("http_code_class")
		return c.asks("endpoint_id", d.event.endpoint.m.ID) && c.asksTime("start_timestamp", "end_timestamp", d.m.CreatedAt) && c.asksBool("succeeded", d.m.Succeeded) &&
			c.searches("query", string(d.event.body)) && c.asks("event_type", string(d.event.m.Type)) &&
			(class == "" || d.m.HTTPCode != nil && class[:1] == strconv.Itoa(*d.m.HTTPCode/100))
	})
	slices.Reverse(items)
	return page(c, items, nil, c.srv.renderDelivery)
}

func redeliver(c *call) (any, error) {
	s := c.srv
	e, err := find(c, &s.webhookEvents, c.path["id"])
	if err != nil || c.now.Sub(e.m.CreatedAt) >= payloadKept {
		return nil, notFound()
	}
	s.clock.stop(e.retry)
	e.attempts = deliveryAttempts - 1 // one more
	s.outbox = append(s.outbox, e)
	return nil, nil
}

// payloadOf is the body of a webhook.
type payloadOf struct {
	Type       models.WebhookEventType `json:"type"`
	Timestamp  time.Time               `json:"timestamp"`
	APIVersion string                  `json:"api_version"`
	Data       any                     `json:"data"`
}

// emit says that something happened to an organization: payload makes the data
// of the webhook event, and is only called when an endpoint wants it.
func (s *Server) emit(org *organization, event models.WebhookEventType, payload func() any) {
	var data any
	for _, e := range s.endpoints.all {
		if !e.m.Enabled || e.m.OrganizationID != org.m.ID || !slices.Contains(e.m.Events, event) {
			continue
		}
		if data == nil {
			data = payload()
		}
		body, err := e.format(payloadOf{event, s.at, e.m.APIVersion, data})
		if err != nil || body == nil {
			continue
		}
		w := &webhookEvent{endpoint: e, body: body, m: models.WebhookEvent{CreatedAt: s.at, ID: s.uuid(), APIVersion: e.m.APIVersion, Type: event}}
		s.webhookEvents.add(w.m.ID, w)
		s.outbox = append(s.outbox, w)
	}
}

// format writes a payload the way the endpoint wants it. Chats do not get every event.
func (e *endpoint) format(p payloadOf) ([]byte, error) {
	if e.m.Format == models.WebhookFormatRaw {
		data, err := encode(p)
		if err == nil && inspect != nil {
			inspect("event:"+string(p.Type), http.StatusOK, "application/json", data)
		}
		return data, err
	}
	if strings.HasPrefix(string(p.Type), "customer_seat.") {
		return nil, nil
	}
	text := systemLabel(string(p.Type))
	if e.m.Format == models.WebhookFormatDiscord {
		return jsonx.Marshal(map[string]any{"content": text, "embeds": []any{map[string]any{"title": text, "timestamp": p.Timestamp}}})
	}
	return jsonx.Marshal(map[string]any{"text": text, "blocks": []any{map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": "*" + text + "*"}}}})
}

// courier sends what the outbox holds, one after the other, and lets the server's own
// time pass where nobody else does.
func (s *Server) courier(ctx context.Context) {
	client := &http.Client{Timeout: deliveryTimeout, Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: deliveryTimeout}).DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.mu.Lock()
		if s.clock.fixed.IsZero() {
			s.runDue(s.clock.now())
		}
		var next *webhookEvent
		if len(s.outbox) > 0 {
			next = s.outbox[0]
			s.outbox = s.outbox[1:]
			s.sending = true
		}
		wait := time.Hour
		if s.clock.fixed.IsZero() && len(s.clock.due) > 0 {
			wait = min(wait, max(0, s.clock.due[0].at.Sub(s.clock.now())))
		}
		s.mu.Unlock()
		if next != nil {
			s.send(ctx, client, next)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// nudge tells the courier that there may be something to send. It is called without the lock.
func (s *Server) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// send makes one attempt to deliver an event.
func (s *Server) send(ctx context.Context, client *http.Client, e *webhookEvent) {
	s.mu.Lock()
	at, target, secret, rule, version := s.clock.now(), e.endpoint.m.URL, e.endpoint.m.Secret, e.endpoint.rule, e.m.APIVersion
	enabled := e.endpoint.m.Enabled
	e.m.Skipped = e.m.Skipped || !enabled
	s.mu.Unlock()
	var status *int
	var header http.Header
	response := ""
	if enabled {
		var err error
		header, err = webhooks.Sign(secret, e.m.ID, at, e.body, webhooks.WithKeyRule(rule))
		if err == nil {
			header.Set("User-Agent", "polar.sh webhooks")
			header.Set("Webhook-Api-Version", version)
			status, response, err = post(ctx, client, target, header, e.body)
		}
		if err != nil {
			response = err.Error()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if enabled && ctx.Err() == nil {
		s.delivered(e, at, header, status, response)
	}
	s.sending = false
	s.idle.Broadcast()
}

func post(ctx context.Context, client *http.Client, target string, header http.Header, body []byte) (*int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header = header.Clone()
	resp, err := client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, "", err
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, responseKept))
	return &resp.StatusCode, string(data), nil
}

// delivered records an attempt and plans the next one when it failed.
func (s *Server) delivered(e *webhookEvent, at time.Time, header http.Header, status *int, response string) {
	s.runDue(s.clock.now())
	e.attempts++
	ok := status != nil && *status >= 200 && *status < 300
	d := &webhookDelivery{event: e, m: models.WebhookDelivery{CreatedAt: s.at, ID: s.post.uuid(), Succeeded: ok, HTTPCode: status, Response: &response}}
	s.deliveries.add(d.m.ID, d)
	s.delivery = append(s.delivery, Delivery{ID: e.m.ID, EndpointID: e.endpoint.m.ID, URL: e.endpoint.m.URL, Type: e.m.Type, Attempt: e.attempts, SentAt: at, Header: header, Body: e.body,
		Status: deref(status), Succeeded: ok})
	e.m.LastHTTPCode = status
	switch {
	case ok:
		e.m.Succeeded = new(true)
		e.endpoint.failures = 0
	case e.attempts < deliveryAttempts:
		wait := min(deliveryFirstWait<<(e.attempts-1), deliveryMostWait)
		wait = wait/2 + time.Duration(s.post.source.Uint64()%uint64(wait/2+1))
		e.retry = s.clock.at(s.at.Add(wait), func() { s.outbox = append(s.outbox, e) })
	default:
		e.m.Succeeded = new(false)
		if e.endpoint.failures++; e.endpoint.failures >= endpointFailures {
			e.endpoint.m.Enabled = false
		}
	}
}

// drain waits until everything in the outbox was tried. The lock is held before and after, not meanwhile.
func (s *Server) drain() {
	for (len(s.outbox) > 0 || s.sending) && !s.closed {
		s.nudge()
		s.idle.Wait()
	}
}

// Deliveries waits until the server has tried to deliver every webhook event that is
// due, and returns all attempts so far in their order. Events are sent in the
// background, one after the other; attempts that are to be made later are not waited
// for: [Server.Advance] makes them. Do not call it from a receiver of webhooks.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runDue(s.clock.now())
	s.drain()
	return slices.Clone(s.delivery)
}

// String says what was delivered, and how that ended.
func (d Delivery) String() string {
	return fmt.Sprintf("%s %s attempt %d: %d", d.Type, d.ID, d.Attempt, d.Status)
}
