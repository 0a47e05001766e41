package polar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The things below stand in for a generated service, with one method of each shape.

type thing struct {
	ID   string `json:"id"`
	Size int    `json:"size,omitzero"`

	Modified time.Time `json:"modified_at,omitzero"`
}

type thingCreate struct {
	Name string `json:"name"`
}

func (t thingCreate) Validate() error {
	if len(t.Name) > 8 {
		return errors.New("models: name has more than 8 characters")
	}
	return nil
}

type thingBatch struct {
	IDs []string `json:"ids"`
}

func (b thingBatch) Repeatable() bool { return len(b.IDs) > 0 }

type thingUpdate interface{ isThingUpdate() }

type thingRename struct {
	Name string `json:"name"`
}

func (thingRename) isThingUpdate() {}

type thingForm struct{ Code string }

func (f thingForm) FormValues() url.Values {
	return url.Values{"code": {f.Code}, "grant_type": {"code"}}
}

type thingListParams struct {
	ID       []string       `url:"id,omitempty"`
	Active   *bool          `url:"active,omitempty"`
	After    time.Time      `url:"after,omitempty" layout:"2006-01-02T15:04:05.999999999Z07:00"`
	Metadata MetadataFilter `url:"metadata,omitempty"`
	Page     int            `url:"page,omitempty"`
	Limit    int            `url:"limit,omitempty"`
}

func (p *thingListParams) paging() (page, limit *int) { return &p.Page, &p.Limit }

type thingCountParams struct {
	Interval string `url:"interval,omitempty"`
}

func (p *thingCountParams) required() error {
	if p.Interval == "" {
		return errors.New("Interval is required")
	}
	return nil
}

type receipt struct {
	URL     string `json:"url"`
	Pending bool   `json:"-"`
}

type thingService struct{ core *core }

func (s *thingService) Get(ctx context.Context, id string, opts ...CallOption) (*thing, error) {
	return do[thing](ctx, s.core, &request{op: "things:get", method: http.MethodGet, route: "/v1/things/{id}", path: []string{id}, opts: opts})
}

func (s *thingService) Create(ctx context.Context, body thingCreate, opts ...CallOption) (*thing, error) {
	return do[thing](ctx, s.core, &request{op: "things:create", method: http.MethodPost, route: "/v1/things/", body: body, opts: opts})
}

func (s *thingService) Update(ctx context.Context, id string, body thingUpdate, opts ...CallOption) (*thing, error) {
	return do[thing](ctx, s.core, &request{op: "things:update", method: http.MethodPatch, route: "/v1/things/{id}", path: []string{id}, body: body, opts: opts})
}

func (s *thingService) Finalize(ctx context.Context, id string, body *thingCreate, opts ...CallOption) (*thing, error) {
	r := &request{op: "things:finalize", method: http.MethodPost, route: "/v1/things/{id}/finalize", path: []string{id}, opts: opts}
	if body != nil {
		r.body = body
	} else {
		r.noBody = true
	}
	return do[thing](ctx, s.core, r)
}

func (s *thingService) List(ctx context.Context, params *thingListParams, opts ...CallOption) (*Page[thing], error) {
	return do[Page[thing]](ctx, s.core, &request{op: "things:list", method: http.MethodGet, route: "/v1/things/", query: params, opts: opts})
}

func (s *thingService) All(ctx context.Context, params *thingListParams, opts ...CallOption) iter.Seq2[*thing, error] {
	return all(params, func(p *thingListParams) (*Page[thing], error) { return s.List(ctx, p, opts...) })
}

func (s *thingService) Count(ctx context.Context, params thingCountParams, opts ...CallOption) (*thing, error) {
	return do[thing](ctx, s.core, &request{op: "things:count", method: http.MethodGet, route: "/v1/things/count", query: &params, opts: opts})
}

func (s *thingService) Delete(ctx context.Context, id string, opts ...CallOption) error {
	return exec(ctx, s.core, &request{op: "things:delete", method: http.MethodDelete, route: "/v1/things/{id}", path: []string{id}, opts: opts})
}

func (s *thingService) Export(ctx context.Context, opts ...CallOption) (io.ReadCloser, error) {
	return stream(ctx, s.core, &request{op: "things:export", method: http.MethodGet, route: "/v1/things/export", accept: "text/csv", opts: opts})
}

func (s *thingService) Receipt(ctx context.Context, id string, opts ...CallOption) (*receipt, error) {
	var out receipt
	err := s.core.call(ctx, &request{op: "things:receipt", method: http.MethodGet, route: "/v1/things/{id}/receipt", path: []string{id}, pending: &out.Pending, opts: opts}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

func (s *thingService) Names(ctx context.Context, opts ...CallOption) ([]string, error) {
	list, err := do[[]string](ctx, s.core, &request{op: "things:names", method: http.MethodGet, route: "/v1/things/names", opts: opts})
	if err != nil {
		return nil, err
	}
	return *list, nil
}

func (s *thingService) Ingest(ctx context.Context, body thingBatch, opts ...CallOption) (*thing, error) {
	return do[thing](ctx, s.core, &request{op: "things:ingest", method: http.MethodPost, route: "/v1/things/ingest", body: body, opts: opts})
}

// Validate is public, Confirm takes a token when there is one, Token sends a form.

func (s *thingService) Validate(ctx context.Context, body thingCreate, opts ...CallOption) (*thing, error) {
	return do[thing](ctx, s.core, &request{op: "things:validate", method: http.MethodPost, route: "/v1/things/validate", body: body, flags: public, opts: opts})
}

func (s *thingService) Confirm(ctx context.Context, secret string, opts ...CallOption) (*thing, error) {
	return do[thing](ctx, s.core, &request{op: "things:confirm", method: http.MethodPost, route: "/v1/things/client/{client_secret}/confirm", path: []string{secret}, noBody: true, flags: optionalAuth, opts: opts})
}

func (s *thingService) Token(ctx context.Context, body thingForm, opts ...CallOption) (*thing, error) {
	return do[thing](ctx, s.core, &request{op: "things:token", method: http.MethodPost, route: "/v1/things/token", body: body, form: true, flags: public, opts: opts})
}

const testToken = "polar_oat_0123456789secret"

// newThings returns a service that talks to the handler, and its client. The server has a path of its own before the
// API's, so that a wrong join of URLs fails.
func newThings(t testing.TB, handler http.HandlerFunc, opts ...Option) (*thingService, *Client) {
	t.Helper()
	server := httptest.NewServer(http.StripPrefix("/base", handler))
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	opts = append([]Option{WithBaseURL(server.URL + "/base"), WithHTTPClient(&http.Client{Transport: transport}), WithRetry(quick)}, opts...)
	client, err := New(Token(testToken), opts...)
	require.NoError(t, err)
	return &thingService{client.core}, client
}

// quick repeats without pauses that a test would notice.
var quick = RetryPolicy{MaxAttempts: 3, BaseDelay: time.Microsecond, MaxDelay: time.Microsecond}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if body != "" {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
