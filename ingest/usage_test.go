package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

var acme = Customer{ExternalID: "acme"}

// usageTest is an ingester whose events are looked at after done.
type usageTest struct {
	*Ingester
	t      *testing.T
	server *faultServer
	errs   []error
}

func newUsageTest(t *testing.T, opts ...Option) *usageTest {
	u := &usageTest{t: t, server: newFaultServer()}
	u.Ingester = newIngester(t, u.server, append(opts, OnError(func(err error) { u.errs = append(u.errs, err) }))...)
	return u
}

// done returns the metadata of the events by customer.
func (u *usageTest) done() (list []map[string]any) {
	require.NoError(u.t, u.Close(context.Background()))
	for _, e := range u.server.events {
		m, _ := e["metadata"].(map[string]any)
		if m == nil {
			m = map[string]any{}
		}
		m["name"], m["customer"] = e["name"], e["external_customer_id"]
		list = append(list, m)
	}
	return list
}

func TestTimer(t *testing.T) {
	now := time.Now()
	u := newUsageTest(t, WithClock(func() time.Time { return now }))
	stop := u.Timer("compute", acme)
	inSeconds := u.Timer("compute", acme, UsageUnit(time.Second), UsageMetadata(models.Metadata{"job": "x", "strategy": "mine"}))
	_, err := u.Timer("compute", Customer{})()
	require.ErrorIs(t, err, ErrNoCustomer)
	now = now.Add(1500*time.Millisecond + 250*time.Microsecond)
	for range 3 {
		took, err := stop()
		require.NoError(t, err)
		assert.Equal(t, 1500250*time.Microsecond, took)
		now = now.Add(time.Second)
	}
	_, err = inSeconds()
	require.NoError(t, err)
	_, err = (*Ingester)(nil).Timer("x", acme)()
	require.Error(t, err)
	u.now = time.Now
	assert.ElementsMatch(t, []map[string]any{
		{"name": "compute", "customer": "acme", "deltaTime": 1500.25, "strategy": "DeltaTime"},
		{"name": "compute", "customer": "acme", "deltaTime": 4.50025, "strategy": "DeltaTime", "job": "x"},
	}, u.done())
}

func TestReaderAndWriter(t *testing.T) {
	u := newUsageTest(t)
	_, err := u.Reader(nil, "x", Customer{})
	require.ErrorIs(t, err, ErrNoCustomer)
	_, err = u.Writer(nil, "x", Customer{})
	require.ErrorIs(t, err, ErrNoCustomer)

	r, err := u.Reader(strings.NewReader("hello"), "read", acme)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())

	broken := errors.New("broken")
	r, err = u.Reader(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), "read.broken", acme)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, broken)

	r, err = u.Reader(strings.NewReader("halfway"), "read.half", acme)
	require.NoError(t, err)
	_, err = r.Read(make([]byte, 4))
	require.NoError(t, err)
	require.NoError(t, r.Close())

	nothing, err := u.Reader(strings.NewReader(""), "read.nothing", acme)
	require.NoError(t, err)
	require.NoError(t, nothing.Close())

	w, err := u.Writer(io.Discard, "write", acme)
	require.NoError(t, err)
	_, err = io.WriteString(w, "12")
	require.NoError(t, err)
	_, err = io.WriteString(w, "345")
	require.NoError(t, err)
	require.NoError(t, w.Close())

	bad, err := u.Writer(io.Discard, "", acme)
	require.NoError(t, err)
	_, _ = io.WriteString(bad, "x")
	require.ErrorIs(t, bad.Close(), ErrInvalid, "what cannot be tracked is an error")

	assert.Equal(t, []map[string]any{
		{"name": "read", "customer": "acme", "bytes": 5.0, "strategy": "Stream"},
		{"name": "read.broken", "customer": "acme", "bytes": 3.0, "strategy": "Stream"},
		{"name": "read.half", "customer": "acme", "bytes": 4.0, "strategy": "Stream"},
		{"name": "write", "customer": "acme", "bytes": 5.0, "strategy": "Stream"},
	}, u.done())
}

func TestResponseWriter(t *testing.T) {
	u := newUsageTest(t)
	_, _, err := u.ResponseWriter(nil, "x", Customer{})
	require.ErrorIs(t, err, ErrNoCustomer)
	rec := httptest.NewRecorder()
	w, report, err := u.ResponseWriter(rec, "download", acme)
	require.NoError(t, err)
	_, _ = io.WriteString(w, "abc")
	_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("defg"))
	require.NoError(t, http.NewResponseController(w).Flush())
	assert.True(t, rec.Flushed)
	_, _, err = http.NewResponseController(w).Hijack()
	require.ErrorIs(t, err, http.ErrNotSupported)
	require.NoError(t, report())
	require.NoError(t, report())
	assert.Equal(t, "abcdefg", rec.Body.String())
	assert.Equal(t, []map[string]any{{"name": "download", "customer": "acme", "bytes": 7.0, "strategy": "Stream"}}, u.done())
}

func TestTickAndMiddleware(t *testing.T) {
	u := newUsageTest(t)
	require.ErrorIs(t, u.Tick(t.Context(), "tick"), ErrNoCustomer)
	require.NoError(t, u.Tick(WithCustomer(t.Context(), acme), "tick"))
	mux := http.NewServeMux()
	counted := u.Middleware("api.request")
	mux.Handle("GET /things/{id}", counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})))
	mux.Handle("POST /things", counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })))
	mux.Handle("/panic", counted(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") })))
	call := func(method, path string, c Customer) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(WithCustomer(t.Context(), c), method, path, nil))
		return w
	}
	call("GET", "/things/1", acme)
	call("GET", "/things/2", Customer{ExternalID: "other"})
	assert.Equal(t, "ok", call("POST", "/things", acme).Body.String())
	assert.Equal(t, "ok", call("POST", "/things", Customer{}).Body.String(), "it is served")
	assert.Panics(t, func() { call("GET", "/panic", acme) })
	events := u.done()
	require.Len(t, u.errs, 1)
	require.ErrorIs(t, u.errs[0], ErrNoCustomer)
	assert.Equal(t, []map[string]any{
		{"name": "tick", "customer": "acme"},
		{"name": "api.request", "customer": "acme", "method": "GET", "route": "GET /things/{id}", "status": 418.0, "strategy": "HTTP"},
		{"name": "api.request", "customer": "other", "method": "GET", "route": "GET /things/{id}", "status": 418.0, "strategy": "HTTP"},
		{"name": "api.request", "customer": "acme", "method": "POST", "route": "POST /things", "status": 200.0, "strategy": "HTTP"},
		{"name": "api.request", "customer": "acme", "method": "GET", "route": "/panic", "status": 500.0, "strategy": "HTTP"},
	}, events)
}

func TestCustomerFunc(t *testing.T) {
	u := newUsageTest(t, WithCustomerFunc(func(context.Context) (Customer, bool) { return Customer{ExternalID: "found"}, true }))
	require.NoError(t, u.Tick(t.Context(), "tick"))
	assert.Equal(t, []map[string]any{{"name": "tick", "customer": "found"}}, u.done())
	_, ok := CustomerFrom(t.Context())
	assert.False(t, ok)
}
