package polar

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultServer is an HTTP server behind connections in memory, so that it lives in a bubble of testing/synctest, where
// waiting takes no time. Its faults happen to the first so many requests or connections.
type faultServer struct {
	fault  fault
	faults int // how often the fault happens

	conns   chan net.Conn
	closing sync.Once
	dials   atomic.Int32 // connections asked for
	strayed atomic.Int32 // requests to another host or without TLS
	mu      sync.Mutex
	bodies  []string // of the requests that were read completely
}

// fault is what goes wrong. Each member is optional.
type fault struct {
	dial   error                                        // the connection cannot be made
	accept func(net.Conn)                               // instead of serving the connection
	serve  func(w http.ResponseWriter, r *http.Request) // after the request was read, instead of the good answer
}

func (s *faultServer) Accept() (net.Conn, error) {
	for {
		conn, ok := <-s.conns
		if !ok {
			return nil, net.ErrClosed
		}
		if s.fault.accept == nil || int(s.dials.Load()) > s.faults {
			return conn, nil
		}
		go s.fault.accept(conn)
	}
}
func (s *faultServer) Close() error   { s.closing.Do(func() { close(s.conns) }); return nil }
func (s *faultServer) Addr() net.Addr { return &net.TCPAddr{} }

func (s *faultServer) dialTLS(_ context.Context, _, addr string) (net.Conn, error) {
	if addr != "api.test:443" {
		s.strayed.Add(1)
		return nil, errors.New("another host")
	}
	if n := s.dials.Add(1); s.fault.dial != nil && int(n) <= s.faults {
		return nil, s.fault.dial
	}
	client, server := net.Pipe()
	s.conns <- server
	return client, nil
}

func (s *faultServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, string(body))
	n := len(s.bodies)
	s.mu.Unlock()
	if s.fault.serve != nil && n <= s.faults {
		s.fault.serve(w, r)
		return
	}
	io.WriteString(w, `{"id":"good"}`)
}

// received returns the bodies of the requests that the server has read, once it has nothing to do any more.
func (s *faultServer) received() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies
}

// start runs the server and returns a service that talks to it. Everything ends with the returned function, as a bubble
// demands.
func (s *faultServer) start(t *testing.T, opts ...Option) (*thingService, func()) {
	t.Helper()
	s.conns = make(chan net.Conn)
	server := &http.Server{Handler: s}
	done := make(chan struct{})
	go func() { server.Serve(s); close(done) }()
	transport := &http.Transport{
		DialTLSContext: s.dialTLS,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			s.strayed.Add(1)
			return nil, errors.New("no TLS")
		},
	}
	opts = append([]Option{
		WithBaseURL("https://api.test"), WithHTTPClient(&http.Client{Transport: transport}), WithAttemptTimeout(2 * time.Second),
		WithRetry(RetryPolicy{MaxAttempts: 3, BaseDelay: 100 * time.Millisecond, MaxDelay: time.Second, MaxRetryAfter: 10 * time.Second}),
	}, opts...)
	client, err := New(Token(testToken), opts...)
	require.NoError(t, err)
	return &thingService{client.core}, func() {
		transport.CloseIdleConnections()
		server.Close()
		<-done
	}
}

func status(code int, body string, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// stall answers nothing more until the client goes away.
func stall(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// TestRetryMatrix sends each kind of call into each fault and counts what the server received.
func TestRetryMatrix(t *testing.T) {
	t.Parallel()
	calls := []struct {
		name       string
		repeatable bool
		call       func(ctx context.Context, things *thingService) error
	}{
		{"GET", true, func(ctx context.Context, s *thingService) error { _, err := s.Get(ctx, "1"); return err }},
		{"idempotent POST", true, func(ctx context.Context, s *thingService) error {
			_, err := s.Ingest(ctx, thingBatch{IDs: []string{"a"}})
			return err
		}},
		{"POST", false, func(ctx context.Context, s *thingService) error {
			_, err := s.Create(ctx, thingCreate{"n"})
			return err
		}},
		{"PATCH", false, func(ctx context.Context, s *thingService) error {
			_, err := s.Update(ctx, "1", thingRename{"n"})
			return err
		}},
		{"DELETE", false, func(ctx context.Context, s *thingService) error { return s.Delete(ctx, "1") }},
	}

	// outcome is what is left of a call after the fault: how often the server read it, and its error.
	type outcome struct {
		read    int
		ok      bool
		status  int   // of an *Error
		is      error // other error
		unknown bool  // ErrOutcomeUnknown
	}
	good := func(read int) outcome { return outcome{read: read, ok: true} }
	for _, tc := range []struct {
		name       string
		fault      fault
		once       [2]outcome // the fault happens once: outcome of repeatable calls, and of the others
		always     [2]outcome // the fault happens every time
		deadline   time.Duration
		cancel     time.Duration
		wantAtMost time.Duration
	}{
		{
			name:   "connection refused",
			fault:  fault{dial: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}},
			once:   [2]outcome{good(1), good(1)},
			always: [2]outcome{{is: syscall.ECONNREFUSED}, {is: syscall.ECONNREFUSED}},
		},
		{
			name:   "reset before the request was read",
			fault:  fault{accept: func(c net.Conn) { c.Close() }},
			once:   [2]outcome{good(1), {unknown: true}}, // one cannot know that nobody read it
			always: [2]outcome{{}, {unknown: true}},
		},
		{
			name:   "reset after the request was read",
			fault:  fault{serve: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
			once:   [2]outcome{good(2), {read: 1, is: io.EOF, unknown: true}},
			always: [2]outcome{{read: 3, is: io.EOF}, {read: 1, is: io.EOF, unknown: true}},
		},
		{
			name:   "slow headers",
			fault:  fault{serve: stall},
			once:   [2]outcome{good(2), {read: 1, is: context.DeadlineExceeded, unknown: true}},
			always: [2]outcome{{read: 3, is: context.DeadlineExceeded}, {read: 1, is: context.DeadlineExceeded, unknown: true}},
		},
		{
			name: "slow body",
			fault: fault{serve: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, `{"id":`)
				w.(http.Flusher).Flush()
				stall(w, r)
			}},
			once:   [2]outcome{good(2), {read: 1, is: context.DeadlineExceeded, unknown: true}},
			always: [2]outcome{{read: 3, is: context.DeadlineExceeded}, {read: 1, is: context.DeadlineExceeded, unknown: true}},
		},
		{
			name: "truncated body",
			fault: fault{serve: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, `{"id":`)
			}},
			once:   [2]outcome{good(2), {read: 1, is: io.ErrUnexpectedEOF, unknown: true}},
			always: [2]outcome{{read: 3, is: io.ErrUnexpectedEOF}, {read: 1, is: io.ErrUnexpectedEOF, unknown: true}},
		},
		{
			name: "truncated chunked body",
			fault: fault{serve: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, `{"id":`)
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}},
			once:   [2]outcome{good(2), {read: 1, is: io.ErrUnexpectedEOF, unknown: true}},
			always: [2]outcome{{read: 3, is: io.ErrUnexpectedEOF}, {read: 1, is: io.ErrUnexpectedEOF, unknown: true}},
		},
		{
			name:   "429 without Retry-After",
			fault:  fault{serve: status(429, "")},
			once:   [2]outcome{good(2), good(2)},
			always: [2]outcome{{read: 3, status: 429}, {read: 3, status: 429}},
		},
		{
			name:   "429 with Retry-After",
			fault:  fault{serve: status(429, "", "Retry-After", "2")},
			once:   [2]outcome{good(2), good(2)},
			always: [2]outcome{{read: 3, status: 429}, {read: 3, status: 429}},
		},
		{
			name:   "429 of a proxy",
			fault:  fault{serve: status(429, "<html>error code: 1015</html>")},
			once:   [2]outcome{good(2), good(2)},
			always: [2]outcome{{read: 3, status: 429}, {read: 3, status: 429}},
		},
		{
			name:       "429 with a Retry-After beyond the cap",
			fault:      fault{serve: status(429, "", "Retry-After", "3600")},
			once:       [2]outcome{{read: 1, status: 429}, {read: 1, status: 429}},
			always:     [2]outcome{{read: 1, status: 429}, {read: 1, status: 429}},
			wantAtMost: time.Millisecond,
		},
		{
			name:       "429 with a Retry-After beyond the deadline",
			fault:      fault{serve: status(429, "", "Retry-After", "5")},
			once:       [2]outcome{{read: 1, status: 429}, {read: 1, status: 429}},
			always:     [2]outcome{{read: 1, status: 429}, {read: 1, status: 429}},
			deadline:   4 * time.Second,
			wantAtMost: time.Millisecond,
		},
		{
			name:   "429 with a name",
			fault:  fault{serve: status(429, `{"error":"ManualRetryLimitExceeded","detail":"Too often."}`, "Retry-After", "1")},
			once:   [2]outcome{{read: 1, status: 429}, {read: 1, status: 429}},
			always: [2]outcome{{read: 1, status: 429}, {read: 1, status: 429}},
		},
		{
			name:       "context cancelled while waiting",
			fault:      fault{serve: status(429, "", "Retry-After", "5")},
			once:       [2]outcome{{read: 1, status: 429, is: context.Canceled}, {read: 1, status: 429, is: context.Canceled}},
			always:     [2]outcome{{read: 1, status: 429, is: context.Canceled}, {read: 1, status: 429, is: context.Canceled}},
			cancel:     time.Second,
			wantAtMost: time.Second,
		},
		{
			name:       "context cancelled while sending",
			fault:      fault{serve: stall},
			once:       [2]outcome{{read: 1, is: context.Canceled}, {read: 1, is: context.Canceled, unknown: true}},
			always:     [2]outcome{{read: 1, is: context.Canceled}, {read: 1, is: context.Canceled, unknown: true}},
			cancel:     time.Second,
			wantAtMost: time.Second,
		},
		{
			name:       "deadline while sending",
			fault:      fault{serve: stall},
			once:       [2]outcome{{read: 1, is: context.DeadlineExceeded}, {read: 1, is: context.DeadlineExceeded, unknown: true}},
			always:     [2]outcome{{read: 1, is: context.DeadlineExceeded}, {read: 1, is: context.DeadlineExceeded, unknown: true}},
			deadline:   time.Second,
			wantAtMost: time.Second,
		},
		{
			name:   "500 JSON",
			fault:  fault{serve: status(500, `{"error":"InternalServerError","detail":"Oops."}`)},
			once:   [2]outcome{{read: 1, status: 500}, {read: 1, status: 500, unknown: true}},
			always: [2]outcome{{read: 1, status: 500}, {read: 1, status: 500, unknown: true}},
		},
		{
			name:   "502 HTML",
			fault:  fault{serve: status(502, "<html>Bad gateway</html>", "Content-Type", "text/html")},
			once:   [2]outcome{good(2), {read: 1, status: 502, unknown: true}},
			always: [2]outcome{{read: 3, status: 502}, {read: 1, status: 502, unknown: true}},
		},
		{
			name:   "503 JSON with Retry-After",
			fault:  fault{serve: status(503, `{"error":"Busy","detail":"Later."}`, "Retry-After", "1")},
			once:   [2]outcome{good(2), {read: 1, status: 503, unknown: true}},
			always: [2]outcome{{read: 3, status: 503}, {read: 1, status: 503, unknown: true}},
		},
		{
			name:   "504 empty",
			fault:  fault{serve: status(504, "")},
			once:   [2]outcome{good(2), {read: 1, status: 504, unknown: true}},
			always: [2]outcome{{read: 3, status: 504}, {read: 1, status: 504, unknown: true}},
		},
		{
			name:   "redirect to another host",
			fault:  fault{serve: status(307, "", "Location", "https://evil.test/v1/things/")},
			once:   [2]outcome{{read: 1, status: 307}, {read: 1, status: 307}},
			always: [2]outcome{{read: 1, status: 307}, {read: 1, status: 307}},
		},
		{
			name:   "redirect to http",
			fault:  fault{serve: status(307, "", "Location", "http://api.test/v1/things/")},
			once:   [2]outcome{{read: 1, status: 307}, {read: 1, status: 307}},
			always: [2]outcome{{read: 1, status: 307}, {read: 1, status: 307}},
		},
		{
			name:   "error body that breaks off",
			fault:  fault{serve: status(400, `{"error":`, "Content-Length", "100")},
			once:   [2]outcome{good(2), {read: 1, is: io.ErrUnexpectedEOF, unknown: true}},
			always: [2]outcome{{read: 3, is: io.ErrUnexpectedEOF}, {read: 1, is: io.ErrUnexpectedEOF, unknown: true}},
		},
	} {
		for _, c := range calls {
			for mode, outcomes := range map[string][2]outcome{"once": tc.once, "always": tc.always} {
				t.Run(tc.name+"/"+c.name+"/"+mode, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						server := &faultServer{fault: tc.fault, faults: 1}
						if mode == "always" {
							server.faults = math.MaxInt32
						}
						things, stop := server.start(t)
						defer stop()
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						if tc.deadline > 0 {
							ctx, cancel = context.WithTimeout(ctx, tc.deadline)
							defer cancel()
						}
						if tc.cancel > 0 {
							time.AfterFunc(tc.cancel, cancel)
						}

						want := outcomes[1]
						if c.repeatable {
							want = outcomes[0]
						}
						begin := time.Now()
						err := c.call(ctx, things)
						took := time.Since(begin)

						received := server.received()
						assert.Len(t, received, want.read, "requests that the server read")
						assert.Zero(t, server.strayed.Load(), "requests to another host or without TLS")
						for _, body := range received {
							assert.Equal(t, received[0], body)
						}
						if tc.wantAtMost > 0 {
							assert.LessOrEqual(t, took, tc.wantAtMost)
						}
						if want.ok {
							assert.NoError(t, err)
							return
						}
						require.Error(t, err)
						assert.Equal(t, want.unknown, errors.Is(err, ErrOutcomeUnknown), "outcome unknown: %v", err)
						assert.NotContains(t, err.Error(), testToken)
						if want.is != nil {
							assert.ErrorIs(t, err, want.is)
						}
						if want.status != 0 {
							var e *Error
							require.ErrorAs(t, err, &e)
							assert.Equal(t, want.status, e.StatusCode)
						}
					})
				})
			}
		}
	}
}

// TestSlashRedirectIsFollowed: Polar answers a wrong slash with a 307, after which the same request goes to the same
// server once more.
func TestSlashRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"/v1/things/slash", "https://api.test/v1/things/slash"} {
		synctest.Test(t, func(t *testing.T) {
			server := &faultServer{faults: 1, fault: fault{serve: status(307, "", "Location", location)}}
			var info ResponseInfo
			things, stop := server.start(t)
			defer stop()
			_, err := things.Create(t.Context(), thingCreate{"n"}, CallResponse(&info))
			require.NoError(t, err)
			assert.Equal(t, []string{`{"name":"n"}`, `{"name":"n"}`}, server.received())
			assert.Equal(t, 1, info.Attempts, "a redirect is not a repetition")
		})
	}
	synctest.Test(t, func(t *testing.T) {
		server := &faultServer{faults: math.MaxInt32, fault: fault{serve: status(307, "", "Location", "/v1/things/")}}
		things, stop := server.start(t)
		defer stop()
		_, err := things.Create(t.Context(), thingCreate{"n"})
		require.ErrorContains(t, err, "307 Temporary Redirect (a redirect that cannot be followed")
		assert.Len(t, server.received(), 4, "a redirect in a circle ends")
	})
	synctest.Test(t, func(t *testing.T) {
		// 303 would turn the POST into a GET, whose answer says nothing about the call
		server := &faultServer{faults: 1, fault: fault{serve: status(303, "", "Location", "/v1/things/1")}}
		things, stop := server.start(t)
		defer stop()
		_, err := things.Create(t.Context(), thingCreate{"n"})
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 303, e.StatusCode)
		assert.Len(t, server.received(), 1)
	})
}

func TestRetryPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &faultServer{faults: 1, fault: fault{serve: status(429, "", "Retry-After", "7")}}
		things, stop := server.start(t)
		defer stop()
		begin := time.Now()
		_, err := things.Create(t.Context(), thingCreate{"n"})
		require.NoError(t, err)
		took := time.Since(begin)
		assert.GreaterOrEqual(t, took, 7*time.Second)
		assert.LessOrEqual(t, took, 7*time.Second+100*time.Millisecond)
	})
	synctest.Test(t, func(t *testing.T) {
		server := &faultServer{faults: 1, fault: fault{serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(5*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		}}}
		things, stop := server.start(t)
		defer stop()
		begin := time.Now()
		_, err := things.Get(t.Context(), "1")
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(begin), 4*time.Second, "a date has whole seconds")
	})
	synctest.Test(t, func(t *testing.T) {
		// the minute that Polar's limiter asks for can be waited out
		server := &faultServer{faults: 1, fault: fault{serve: status(429, "", "Retry-After", "60")}}
		things, stop := server.start(t)
		defer stop()
		_, err := things.Create(t.Context(), thingCreate{"n"}, CallRetry(RetryPolicy{MaxRetryAfter: time.Minute}))
		require.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		server := &faultServer{faults: 9, fault: fault{serve: status(503, "")}}
		things, stop := server.start(t, WithRetry(RetryPolicy{MaxAttempts: 1}))
		defer stop()
		_, err := things.Get(t.Context(), "1")
		require.ErrorIs(t, err, ErrServer)
		assert.Len(t, server.received(), 1)
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	p := RetryPolicy{}.withDefaults()
	assert.Equal(t, RetryPolicy{MaxAttempts: 4, BaseDelay: 500 * time.Millisecond, MaxDelay: 8 * time.Second, MaxRetryAfter: 10 * time.Second}, p)
	for attempt, want := range []time.Duration{1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 4: 4 * time.Second, 5: 8 * time.Second, 6: 8 * time.Second} {
		if attempt > 0 {
			assert.Equal(t, want, p.backoff(attempt), attempt)
		}
	}
	assert.Equal(t, 8*time.Second, p.backoff(math.MaxInt))
	huge := RetryPolicy{BaseDelay: math.MaxInt64 - 1, MaxDelay: math.MaxInt64}
	assert.Positive(t, huge.backoff(100))
	assert.Equal(t, time.Second, RetryPolicy{BaseDelay: time.Minute, MaxDelay: time.Second}.backoff(1))
}

// TestTransportThatReportsNoConnections: of a transport without httptrace nothing is known, so its failures prove nothing.
func TestTransportThatReportsNoConnections(t *testing.T) {
	t.Parallel()
	sent := 0
	client, err := New(Token(testToken), WithRetry(quick), WithHTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		sent++
		return nil, syscall.ECONNREFUSED
	})}))
	require.NoError(t, err)
	things := &thingService{client.core}
	_, err = things.Create(t.Context(), thingCreate{})
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	assert.Equal(t, 1, sent)
	_, err = things.Get(t.Context(), "1")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Equal(t, 1+3, sent)
}

// TestProofIsOfTheLastAttempt: what an attempt has shown about its connection says nothing about the next one.
func TestProofIsOfTheLastAttempt(t *testing.T) {
	t.Parallel()
	// each letter is an attempt: the connection is refused, the limiter refuses, a transport that reports no connections
	// fails, a connection breaks, middleware fails, all is well
	for script, want := range map[string]struct {
		sent    int
		ok      bool
		unknown bool
	}{
		"refused limited broken":     {sent: 3, unknown: true},
		"refused silent":             {sent: 2, unknown: true},
		"limited refused good":       {sent: 3, ok: true},
		"limited middleware good":    {sent: 3, ok: true},
		"middleware middleware good": {sent: 3, ok: true},
		"middleware":                 {sent: 1, ok: false},
		"silent":                     {sent: 1, unknown: true},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			steps := strings.Fields(script)
			sent := 0
			middleware := func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					sent++
					if steps[sent-1] == "middleware" {
						return nil, errors.New("no")
					}
					return next.RoundTrip(r)
				})
			}
			transport := roundTrip(func(r *http.Request) (*http.Response, error) {
				trace := httptrace.ContextClientTrace(r.Context())
				step := steps[sent-1]
				if step != "silent" {
					trace.GetConn("")
				}
				if step != "silent" && step != "refused" {
					trace.GotConn(httptrace.GotConnInfo{})
				}
				switch step {
				case "limited":
					return &http.Response{StatusCode: 429}, nil
				case "good":
					return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("{}"))}, nil
				}
				return nil, errors.New(step)
			})
			client, err := New(Token(testToken), WithMiddleware(middleware), WithHTTPClient(&http.Client{Transport: transport}),
				WithRetry(RetryPolicy{MaxAttempts: len(steps), BaseDelay: 1}))
			require.NoError(t, err)
			_, err = (&thingService{client.core}).Create(t.Context(), thingCreate{})
			assert.Equal(t, want.sent, sent)
			assert.Equal(t, want.ok, err == nil, "%v", err)
			assert.Equal(t, want.unknown, errors.Is(err, ErrOutcomeUnknown), "%v", err)
		})
	}
}

// TestCauseOfACancellation: the transport answers with the cause that a context was given, behind which its end must
// stay visible.
func TestCauseOfACancellation(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, fault := range []fault{{serve: stall}, {serve: status(429, "", "Retry-After", "5")}} {
		synctest.Test(t, func(t *testing.T) {
			server := &faultServer{faults: 1, fault: fault}
			things, stop := server.start(t)
			defer stop()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(boom) })
			_, err := things.Get(ctx, "1")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, boom)
		})
	}
}

// TestInterruptedWithoutAnAnswer: the context ends while a call waits that has no answer to give back.
func TestInterruptedWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &faultServer{faults: 9, fault: fault{dial: syscall.ECONNREFUSED}}
		things, stop := server.start(t, WithRetry(RetryPolicy{BaseDelay: time.Hour, MaxDelay: time.Hour}))
		defer stop()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err := things.Create(ctx, thingCreate{})
		require.EqualError(t, err, "polar: things:create: connection refused (context canceled while waiting to repeat the call)")
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	})
}

// TestNothingIsSentAfterTheEnd: a call whose context has ended before it was sent has certainly not been carried out.
func TestNothingIsSentAfterTheEnd(t *testing.T) {
	t.Parallel()
	things, _ := newThings(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	ctx, cancel := context.WithCancel(t.Context())
	for _, call := range []func() error{
		func() error {
			_, err := things.Create(ctx, thingCreate{}, CallCredential(TokenFunc(func(context.Context) (string, error) { cancel(); return "t", nil })))
			return err
		},
		func() error { _, err := things.Create(ctx, thingCreate{}); return err },
	} {
		err := call()
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "polar: things:create: context canceled")
		assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	}
	synctest.Test(t, func(t *testing.T) {
		// a TokenFunc gets no more time than the attempt has, and is not asked again
		server := &faultServer{}
		things, stop := server.start(t)
		defer stop()
		asked := 0
		_, err := things.Get(t.Context(), "1", CallCredential(TokenFunc(func(ctx context.Context) (string, error) {
			asked++
			<-ctx.Done()
			return "", ctx.Err()
		})))
		require.ErrorContains(t, err, "polar: things:get: TokenFunc: context canceled (no complete answer within 2s, the limit of an attempt)")
		assert.Equal(t, 1, asked)
		assert.Empty(t, server.received())
	})
}

// foreignContext is a context of another kind than those of package context, which needs a goroutine for each child of
// it that is not ended. A bubble of synctest fails when one is left.
type foreignContext struct {
	context.Context
	done chan struct{}
}

func (c foreignContext) Done() <-chan struct{} { return c.done }

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fault{
		"nothing wrong": {}, "repeated": {serve: status(503, "")}, "refused": {serve: status(400, "")}, "stalled": {serve: stall},
		"broken":        {serve: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"no connection": {dial: syscall.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := &faultServer{faults: 1, fault: fault}
				things, stop := server.start(t)
				defer stop()
				ctx := foreignContext{t.Context(), make(chan struct{})}
				things.Get(ctx, "1")
				things.Create(ctx, thingCreate{})
				if export, err := things.Export(ctx); err == nil {
					io.Copy(io.Discard, export) // read to its end and not closed
				}
				if export, err := things.Export(ctx); err == nil {
					export.Close() // closed before its end
				}
			})
		})
	}
}

func TestUntrustedServerIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	sent := 0
	client, err := New(Token(testToken), WithRetry(quick), WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		sent++
		return nil, &tls.CertificateVerificationError{Err: errors.New("who are you")}
	})}))
	require.NoError(t, err)
	_, err = (&thingService{client.core}).Get(t.Context(), "1")
	require.ErrorContains(t, err, "who are you")
	assert.Equal(t, 1, sent)
}

// TestRealConnections repeats the two faults that look different on real sockets.
func TestRealConnections(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := New(Token(testToken), WithBaseURL("http://"+address), WithRetry(quick), WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	var info ResponseInfo
	_, err = (&thingService{client.core}).Create(t.Context(), thingCreate{}, CallResponse(&info))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	assert.Equal(t, 3, info.Attempts)

	var read atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		read.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.(*net.TCPConn).SetLinger(0) // close with a reset
			conn.Close()
		}
	}))
	defer server.Close()
	client, err = New(Token(testToken), WithBaseURL(server.URL), WithRetry(quick), WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	things := &thingService{client.core}
	require.ErrorIs(t, things.Delete(t.Context(), "1"), ErrOutcomeUnknown)
	assert.EqualValues(t, 1, read.Load())
	_, err = things.Get(t.Context(), "1")
	require.Error(t, err)
	assert.EqualValues(t, 1+3, read.Load())
}

// TestFailureKeepsIdleConnections: the library under the retries closes the idle connections of its client after each
// failed call, which would be those of the user's transport.
func TestFailureKeepsIdleConnections(t *testing.T) {
	t.Parallel()
	closed := 0
	transport := closeCounter{&closed}
	client, err := New(Token(testToken), WithRetry(quick), WithHTTPClient(&http.Client{Transport: transport}),
		WithMiddleware(func(http.RoundTripper) http.RoundTripper { return transport }))
	require.NoError(t, err)
	_, err = (&thingService{client.core}).Get(t.Context(), "1")
	require.Error(t, err)
	assert.Zero(t, closed)
}

type closeCounter struct{ n *int }

func (c closeCounter) CloseIdleConnections() { *c.n++ }
func (closeCounter) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no")
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"0": 0, "1": time.Second, " 60 ": time.Minute, "007": 7 * time.Second,
		"99999999999":                      math.MaxInt64,
		"99999999999999999999999":          math.MaxInt64,
		"Thu, 01 Oct 2026 12:00:05 GMT":    5 * time.Second,
		"Thu, 01 Oct 2026 11:00:00 GMT":    0,
		"Thursday, 01-Oct-26 12:00:01 GMT": time.Second,
	} {
		got, ok := retryAfter(header, now)
		assert.True(t, ok, header)
		assert.Equal(t, want, got, header)
	}
	for _, header := range []string{"", " ", "-1", "1.5", "soon", "1 s", "+1", "0x10"} {
		_, ok := retryAfter(header, now)
		assert.False(t, ok, header)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "60", "-1", "99999999999999999999", "Thu, 01 Oct 2026 12:00:05 GMT", "\x00"} {
		f.Add(seed)
	}
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header string) {
		wait, ok := retryAfter(header, now)
		if wait < 0 || !ok && wait != 0 {
			t.Fatalf("%q: %v %v", header, wait, ok)
		}
		if n, err := strconv.ParseUint(header, 10, 32); err == nil && (!ok || wait != time.Duration(n)*time.Second) {
			t.Fatalf("%q: %v %v", header, wait, ok)
		}
	})
}
