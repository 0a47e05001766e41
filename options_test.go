package polar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadOptions(t *testing.T) {
	t.Parallel()
	nothing := func(http.RoundTripper) http.RoundTripper { return nil }
	for name, tc := range map[string]struct {
		opt  Option
		want string
	}{
		"nil":             {nil, "polar: option 1 is nil"},
		"environment":     {WithEnvironment("staging"), `polar: environment "staging" is unknown: use polar.Production or polar.Sandbox`},
		"no scheme":       {WithBaseURL("api.polar.sh"), "polar: base URL has to begin with http:// or https:// and a host"},
		"scheme":          {WithBaseURL("ftp://api.polar.sh"), "polar: base URL has to begin with http:// or https:// and a host"},
		"no host":         {WithBaseURL("https:///v1"), "polar: base URL has to begin with http:// or https:// and a host"},
		"user":            {WithBaseURL("https://me:secret@x.test"), "polar: base URL has a user, a query or a fragment, which it cannot have"},
		"query":           {WithBaseURL("https://x.test?a=b"), "polar: base URL has a user, a query or a fragment, which it cannot have"},
		"empty query":     {WithBaseURL("https://x.test?"), "polar: base URL has a user, a query or a fragment, which it cannot have"},
		"fragment":        {WithBaseURL("https://x.test#a"), "polar: base URL has a user, a query or a fragment, which it cannot have"},
		"no URL":          {WithBaseURL("https://me:secret@x.test:port"), "polar: base URL does not parse"},
		"plain http":      {WithBaseURL("http://api.polar.sh"), "polar: base URL http://api.polar.sh would send the token unencrypted: use https"},
		"nil client":      {WithHTTPClient(nil), "polar: HTTP client is nil"},
		"client timeout":  {WithHTTPClient(&http.Client{Timeout: -1}), "polar: timeout of the HTTP client is -1ns: it cannot be negative"},
		"attempt timeout": {WithAttemptTimeout(0), "polar: attempt timeout is 0s: it has to be positive"},
		"attempts":        {WithRetry(RetryPolicy{MaxAttempts: -1}), "polar: MaxAttempts of the retry policy is -1: 1 turns repeating off, 0 means the default"},
		"delays":          {WithRetry(RetryPolicy{MaxRetryAfter: -1}), "polar: a time of the retry policy is negative"},
		"middleware":      {WithMiddleware(nil), "polar: middleware 1 is nil"},
		"nil of it":       {WithMiddleware(nothing), "polar: middleware 1 returned nil"},
		"no application":  {WithApplication("", "1"), "polar: application name is empty"},
		"application":     {WithApplication("my shop", "1"), `polar: application "my shop" "1" has a character that a User-Agent cannot have: use letters, digits, - . _`},
		"application é":   {WithApplication("shop", "é"), `polar: application "shop" "é" has a character that a User-Agent cannot have: use letters, digits, - . _`},
		"organization":    {WithOrganization("a\r\nB: c"), "polar: organization id has a character that a header cannot have"},
		"version":         {WithAPIVersion("2026-13"), `polar: API version "2026-13" is not of the form "2026-10"`},
		"empty version":   {WithAPIVersion(""), `polar: API version "" is not of the form "2026-10"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := New(Token(testToken), tc.opt)
			require.EqualError(t, err, tc.want)
			assert.Nil(t, client)
			portal, err := NewPortal(Anonymous, tc.opt)
			require.EqualError(t, err, tc.want)
			assert.Nil(t, portal)
			good, err := New(Anonymous)
			require.NoError(t, err)
			_, err = good.With(tc.opt)
			require.EqualError(t, err, tc.want)
			p, err := NewPortal(Anonymous)
			require.NoError(t, err)
			_, err = p.With(tc.opt)
			require.EqualError(t, err, tc.want)
		})
	}
	portal, err := NewPortal(Anonymous)
	require.NoError(t, err)
	other, err := portal.With(WithEnvironment(Sandbox))
	require.NoError(t, err)
	assert.Equal(t, Sandbox.BaseURL(), other.core.baseURL.String())
	assert.Equal(t, Production.BaseURL(), portal.core.baseURL.String())
	for _, f := range []func() error{
		func() error { _, err := new(Client).With(); return err },
		func() error { _, err := new(Portal).With(); return err },
		func() error { _, err := new(Client).Portal(Anonymous); return err },
	} {
		assert.ErrorIs(t, f(), errZeroClient)
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string][]Option{
		"https://api.polar.sh":          nil,
		"https://sandbox-api.polar.sh":  {WithEnvironment(Sandbox)},
		"http://localhost:8080":         {WithEnvironment(Sandbox), WithBaseURL("http://localhost:8080/")},
		"https://proxy.test/a/polar%2F": {WithBaseURL("https://proxy.test/a/polar%2F/")},
	} {
		client, err := New(Anonymous, opts...)
		require.NoError(t, err)
		assert.Equal(t, want, client.core.baseURL.String())
	}
	assert.Equal(t, "https://api.polar.sh", Production.BaseURL())
	assert.Empty(t, Environment("x").BaseURL())
}

func TestFromEnv(t *testing.T) {
	t.Setenv("POLAR_ACCESS_TOKEN", "")
	_, err := FromEnv()
	require.EqualError(t, err, "polar: environment variable POLAR_ACCESS_TOKEN is not set")
	t.Setenv("POLAR_ACCESS_TOKEN", testToken)
	for server, want := range map[string]string{
		"":                      "https://api.polar.sh",
		"production":            "https://api.polar.sh",
		"sandbox":               "https://sandbox-api.polar.sh",
		"http://localhost:8080": "http://localhost:8080",
	} {
		t.Setenv("POLAR_SERVER", server)
		client, err := FromEnv()
		require.NoError(t, err)
		assert.Equal(t, want, client.core.baseURL.String())
		value, err := client.core.authorization(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "Bearer "+testToken, value)
		client, err = FromEnv(WithBaseURL("https://x.test"))
		require.NoError(t, err)
		assert.Equal(t, "https://x.test", client.core.baseURL.String(), "options count more")
	}
	t.Setenv("POLAR_SERVER", "prod")
	_, err = FromEnv()
	require.EqualError(t, err, `polar: environment variable POLAR_SERVER is "prod": want production, sandbox or a base URL`)
	t.Setenv("POLAR_SERVER", "://")
	_, err = FromEnv()
	require.Error(t, err)
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	var order []string
	trace := func(name string) Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				op, ok := OperationFromContext(r.Context())
				assert.True(t, ok)
				order = append(order, fmt.Sprintf("%s %s %s %s %d", name, op.ID, op.Method, op.Route, op.Attempt))
				resp, err := next.RoundTrip(r)
				if err == nil {
					b, err := io.ReadAll(resp.Body) // reading it takes nothing from the others
					assert.NoError(t, err)
					order = append(order, fmt.Sprintf("%s %d %s", name, resp.StatusCode, b))
				}
				return resp, err
			})
		}
	}
	n := 0
	things, client := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(503)
			return
		}
		io.WriteString(w, `{"id":"x"}`)
	}, WithMiddleware(trace("a"), trace("b")))
	out, err := things.Get(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "x", out.ID)
	const op = " things:get GET /v1/things/{id} "
	assert.Equal(t, []string{"a" + op + "1", "b" + op + "1", "b 503 ", "a 503 ", "a" + op + "2", "b" + op + "2", `b 200 {"id":"x"}`, "a 200 "}, order)

	order = nil
	third, err := client.With(WithMiddleware(trace("c")))
	require.NoError(t, err)
	_, err = (&thingService{third.core}).Names(t.Context())
	require.Error(t, err) // an object is no list
	var names []string
	for _, line := range order {
		names = append(names, line[:1])
	}
	assert.Equal(t, []string{"a", "b", "c", "c", "b", "a"}, names, "middleware is added inside of the first client's")
	order = nil
	_, err = things.Get(t.Context(), "1")
	require.NoError(t, err)
	assert.Len(t, order, 4, "the first client is as it was")
	_, ok := OperationFromContext(t.Context())
	assert.False(t, ok)
}

// TestTokenStaysAtTheServer: a middleware that sends a request elsewhere sends it without the token.
func TestTokenStaysAtTheServer(t *testing.T) {
	t.Parallel()
	var seen []string
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r.URL.Scheme+"://"+r.URL.Host+" "+r.Header.Get("Authorization"))
		return &http.Response{StatusCode: 204}, nil
	})
	for _, to := range []string{"https://api.polar.sh", "https://evil.test", "http://api.polar.sh", "https://api.polar.sh:8443"} {
		client, err := New(Token(testToken), WithHTTPClient(&http.Client{Transport: transport}), WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				scheme, host, _ := strings.Cut(to, "://")
				r.URL.Scheme, r.URL.Host = scheme, host
				return next.RoundTrip(r)
			})
		}))
		require.NoError(t, err)
		require.NoError(t, (&thingService{client.core}).Delete(t.Context(), "1"))
	}
	assert.Equal(t, []string{"https://api.polar.sh Bearer " + testToken, "https://evil.test ", "http://api.polar.sh ", "https://api.polar.sh:8443 "}, seen)
}

// TestOddMiddleware has middleware and transports that do what they should not. None of it may end in a panic.
func TestOddMiddleware(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom\nhttps://x.test/?token=secret")
	for name, tc := range map[string]struct {
		middleware func(next http.RoundTripper, r *http.Request) (*http.Response, error)
		want       string // of a GET; empty for success
	}{
		"own answer": {func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"id":"x"}`))}, nil
		}, ""},
		"own error answer": {func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 404, Body: io.NopCloser(strings.NewReader(`{"error":"ResourceNotFound","detail":"no"}`))}, nil
		}, "polar: things:get: 404 ResourceNotFound: no"},
		"no body": {func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429}, nil
		}, "polar: things:get: 429 Too Many Requests"},
		"body that breaks": {func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), broken{}))}, nil
		}, "polar: things:get: broken"},
		"error body that breaks": {func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 400, Body: io.NopCloser(broken{})}, nil
		}, "polar: things:get: 400 Bad Request"},
		"error":   {func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, boom }, "polar: things:get: boom https://x.test/?token=secret"},
		"nothing": {func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, nil }, "polar: things:get: http: RoundTripper implementation (polar.bare) returned a nil *Response with a nil error"},
		"context": {func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			return next.RoundTrip(r.WithContext(context.Background()))
		}, "polar: things:get: a middleware did not pass the context of the request on"},
		"wrapped body": {func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Body = struct{ io.ReadCloser }{resp.Body}
			}
			return resp, err
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			things, _ := newThings(t, answer(200, `{"id":"x"}`), WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) { return tc.middleware(next, r) })
			}))
			out, err := things.Get(t.Context(), "1")
			_, createErr := things.Create(t.Context(), thingCreate{})
			if tc.want == "" {
				require.NoError(t, err)
				require.NoError(t, createErr)
				assert.Equal(t, "x", out.ID)
				return
			}
			require.EqualError(t, err, tc.want)
			require.Error(t, createErr)
		})
	}
	things, _ := newThings(t, nil, WithHTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, nil })}))
	_, err := things.Get(t.Context(), "1")
	require.EqualError(t, err, "polar: things:get: the transport returned neither an answer nor an error")
	things, _ = newThings(t, nil, WithHTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 204}, nil
	})}))
	require.NoError(t, things.Delete(t.Context(), "1"))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestResponseInfo(t *testing.T) {
	t.Parallel()
	n := 0
	things, _ := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(502)
			return
		}
		w.Header().Set("Polar-Version", "2026-10")
		w.Header().Set("X-Polar-Sandbox", "1")
		w.Header().Set("Rndr-Id", "r")
		w.Header().Set("X-Echo", r.Header.Get("X-Trace"))
		w.WriteHeader(201)
		io.WriteString(w, `{}`)
	})
	var info ResponseInfo
	_, err := things.Get(t.Context(), "1", CallResponse(&info), CallHeader("x-trace", "t"))
	require.NoError(t, err)
	assert.Equal(t, "t", info.Header.Get("X-Echo"))
	info.Header = nil
	assert.Equal(t, ResponseInfo{StatusCode: 201, APIVersion: "2026-10", RequestID: "r", Sandbox: true, Attempts: 2}, info)

	_, err = things.Get(t.Context(), "", CallResponse(&info))
	require.Error(t, err)
	assert.Equal(t, ResponseInfo{}, info)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = things.Get(ctx, "1", CallResponse(&info))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, ResponseInfo{Attempts: 1}, info)
}

// TestClientTimeoutIsOfTheAttempt: net/http's own use of Client.Timeout would cut streams.
func TestClientTimeoutIsOfTheAttempt(t *testing.T) {
	t.Parallel()
	client, err := New(Anonymous, WithHTTPClient(&http.Client{Timeout: time.Second}))
	require.NoError(t, err)
	assert.Equal(t, time.Second, client.core.attemptTimeout)
	client, err = New(Anonymous, WithAttemptTimeout(time.Minute), WithHTTPClient(&http.Client{}))
	require.NoError(t, err)
	assert.Equal(t, time.Minute, client.core.attemptTimeout)
	client, err = New(Anonymous)
	require.NoError(t, err)
	assert.Equal(t, 30*time.Second, client.core.attemptTimeout)

	synctest.Test(t, func(t *testing.T) {
		server := &faultServer{faults: 1, fault: fault{serve: stall}}
		things, stop := server.start(t)
		defer stop()
		begin := time.Now()
		_, err := things.Create(t.Context(), thingCreate{}, CallAttemptTimeout(time.Minute))
		require.EqualError(t, err, "polar: things:create: no complete answer within 1m0s, the limit of an attempt (may have been carried out, so it was not sent again)")
		assert.Equal(t, time.Minute, time.Since(begin))
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		assert.True(t, timeout.Timeout())
	})
}

func TestDefaultTransportIsUsed(t *testing.T) {
	// not parallel: it replaces a global
	defer func(rt http.RoundTripper) { http.DefaultTransport = rt }(http.DefaultTransport)
	client, err := New(Token(testToken))
	require.NoError(t, err)
	var asked string
	http.DefaultTransport = roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{}`))}, nil
	})
	_, err = (&thingService{client.core}).Get(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "https://api.polar.sh/v1/things/1", asked)
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	strip := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" || a.Key == "duration" || a.Key == "wait" {
			return slog.Attr{}
		}
		return a
	}
	n := 0
	handler := func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.Header().Set("Cf-Ray", "ray")
			w.WriteHeader(503)
			return
		}
		io.WriteString(w, `{}`)
	}
	things, client := newThings(t, handler, WithLogger(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: strip}))))
	_, err := things.Get(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, `level=DEBUG msg="polar: attempt" operation=things:get method=GET route=/v1/things/{id} attempt=1 status=503 request_id=ray
level=INFO msg="polar: repeating a call" operation=things:get attempt=1
level=DEBUG msg="polar: attempt" operation=things:get method=GET route=/v1/things/{id} attempt=2 status=200 request_id=""
`, b.String())
	b.Reset()
	quiet, err := client.With(WithLogger(nil))
	require.NoError(t, err)
	_, err = (&thingService{quiet.core}).Get(t.Context(), "1")
	require.NoError(t, err)
	assert.Empty(t, b.String())
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	assert.Regexp(t, `^polar-go/\S+ go/1\.\d+`, userAgent(""))
	assert.Regexp(t, `^shop/1 polar-go/`, userAgent("shop/1"))
	build := func(main string, deps ...*debug.Module) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: main, Version: "v9"}, Deps: deps}
	}
	other := &debug.Module{Path: "example.com/x", Version: "v3"}
	for want, info := range map[string]*debug.BuildInfo{
		"v9":   build(modulePath),
		"v1.2": build("example.com/shop", other, &debug.Module{Path: modulePath, Version: "v1.2"}),
		"v1.3": build("example.com/shop", &debug.Module{Path: modulePath, Version: "v1.2", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.3"}}),
		"":     build("example.com/shop", other),
	} {
		assert.Equal(t, want, versionIn(info))
	}
}
