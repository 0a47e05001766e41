package webhooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

func TestRouterDispatchesEveryEvent(t *testing.T) {
	r, f := newRouter(t)
	var got []string
	r.Default(func(_ context.Context, e Event) error {
		got = append(got, string(e.Type()))
		return nil
	})
	var want []string
	for i, s := range samples() {
		h, err := Sign(standardSecret, fmt.Sprint("evt_", i), testTime, s.body)
		require.NoError(t, err)
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(s.body))
		req.Header = h
		code, body := serve(r, req)
		assert.Equal(t, http.StatusAccepted, code, s)
		assert.Empty(t, body, s)
		want = append(want, string(s.eventType))
	}
	assert.Equal(t, want, got)
	assert.Empty(t, f.take())
}

func TestHandlersByType(t *testing.T) {
	r, f := newRouter(t)
	var got []string
	note := func(what string) { got = append(got, what) }
	On(r, func(_ context.Context, e *OrderPaid) error { note("paid 1 " + e.Data.ID); return nil })
	On(r, func(_ context.Context, e *OrderRefunded) error { note("refunded"); return nil })
	On(r, func(_ context.Context, e *OrderPaid) error { note("paid 2 " + e.ID); return nil })
	On(r, func(_ context.Context, e *Unknown) error { note("unknown " + string(e.EventType)); return nil })

	send := func(e Event) []string {
		got = nil
		code, _ := deliver(t, r, e)
		assert.Equal(t, http.StatusAccepted, code)
		return got
	}
	assert.Equal(t, []string{"paid 1 o_1", "paid 2 e_1"}, send(&OrderPaid{Delivery: Delivery{ID: "e_1"}, Data: models.Order{ID: "o_1"}}))
	assert.Equal(t, []string{"refunded"}, send(&OrderRefunded{}))
	assert.Equal(t, []string{"unknown star.born"}, send(&Unknown{EventType: "star.born"}))
	assert.Empty(t, send(&OrderCreated{}), "acknowledged without a handler")

	r.Default(func(_ context.Context, e Event) error { note("default " + string(e.Type())); return nil })
	assert.Equal(t, []string{"default order.created"}, send(&OrderCreated{}))
	assert.Equal(t, []string{"unknown star.born"}, send(&Unknown{EventType: "star.born"}))
	assert.Equal(t, []string{"refunded"}, send(&OrderRefunded{}))
	r.Default(nil)
	assert.Empty(t, send(&OrderCreated{}))

	r2, _ := newRouter(t)
	r2.Default(func(_ context.Context, e Event) error { note("default " + string(e.Type())); return nil })
	got = nil
	code, _ := deliver(t, r2, &Unknown{EventType: "star.born"})
	assert.Equal(t, http.StatusAccepted, code)
	assert.Equal(t, []string{"default star.born"}, got)

	assert.Equal(t, []models.WebhookEventType{"order.paid", "order.refunded"}, r.Types())
	assert.Empty(t, f.take())
}

// starBorn is a type of a user, for an event that this module does not know.
type starBorn struct {
	Delivery
	Data struct {
		Mass float64 `json:"mass"`
	} `json:"data"`
}

func (*starBorn) Type() models.WebhookEventType { return "star.born" }

// paidPlus is a type of a user, for a member that this module does not know.
type paidPlus struct {
	Delivery
	Data struct {
		ID    string `json:"id"`
		Extra string `json:"brand_new"`
	} `json:"data"`
}

func (*paidPlus) Type() models.WebhookEventType { return models.WebhookEventTypeOrderPaid }

type nameless struct{ Delivery }

func (*nameless) Type() models.WebhookEventType { return "" }

func TestTypesOfOnesOwn(t *testing.T) {
	r, f := newRouter(t)
	var stars []*starBorn
	var plus []*paidPlus
	var paid []*OrderPaid
	On(r, func(_ context.Context, e *starBorn) error { stars = append(stars, e); return nil })
	On(r, func(_ context.Context, e *Unknown) error { t.Error("there is a handler for it"); return nil })
	On(r, func(_ context.Context, e *paidPlus) error { plus = append(plus, e); return nil })
	On(r, func(_ context.Context, e *OrderPaid) error { paid = append(paid, e); return nil })
	require.NoError(t, r.Err())

	code, _ := deliver(t, r, &starBorn{Delivery: Delivery{ID: "s"}, Data: struct {
		Mass float64 `json:"mass"`
	}{1.4}})
	assert.Equal(t, http.StatusAccepted, code)
	require.Len(t, stars, 1)
	assert.Equal(t, 1.4, stars[0].Data.Mass)
	assert.Equal(t, "s", stars[0].ID)
	assert.Equal(t, testTime, stars[0].SentAt)
	assert.NotEmpty(t, stars[0].Payload())

	body := []byte(`{"type":"order.paid","data":{"id":"o_1","brand_new":"!"}}`)
	req := post(t, body)
	req.Header.Set(headerAPIVersion, "2027-04")
	code, _ = serve(r, req)
	assert.Equal(t, http.StatusAccepted, code)
	require.Len(t, plus, 1)
	require.Len(t, paid, 1)
	assert.Equal(t, "!", plus[0].Data.Extra)
	assert.Equal(t, testID, plus[0].ID)
	assert.Equal(t, "2027-04", plus[0].APIVersion)
	assert.Equal(t, "o_1", paid[0].Data.ID)

	// an event that was made here and has no payload
	require.NoError(t, r.Dispatch(t.Context(), &OrderPaid{Data: models.Order{ID: "o_2"}}))
	require.Len(t, plus, 2)
	assert.Equal(t, "o_2", plus[1].Data.ID)

	// one that does not fit is the fault of the type
	req = httptest.NewRequest(http.MethodPost, "/", nil)
	body = []byte(`{"type":"star.born","data":{"mass":"heavy secret"}}`)
	h, err := Sign(standardSecret, "other", testTime, body)
	require.NoError(t, err)
	req.Header, req.Body, req.ContentLength = h, io.NopCloser(bytes.NewReader(body)), int64(len(body))
	code, text := serve(r, req)
	assert.Equal(t, http.StatusInternalServerError, code)
	assert.NotContains(t, text, "mass")
	list := f.take()
	require.Len(t, list, 1)
	assert.EqualError(t, list[0].Err, "webhooks: the payload of star.born cannot be read into a *webhooks.starBorn: a JSON string does not fit float64 at /data/mass")
}

func TestSetupErrors(t *testing.T) {
	check := func(r *Router, f *failures, want string) {
		t.Helper()
		require.ErrorIs(t, r.Err(), ErrSetup)
		assert.ErrorContains(t, r.Err(), want)
		code, text := deliver(t, r, &OrderPaid{})
		assert.Equal(t, http.StatusInternalServerError, code)
		assert.NotContains(t, text, want)
		list := f.take()
		require.Len(t, list, 1)
		assert.ErrorIs(t, list[0].Err, ErrSetup)
	}
	r, f := newRouter(t)
	require.NoError(t, r.Err())
	On[OrderPaid](r, nil)
	check(r, f, "the handler of *webhooks.OrderPaid is nil")

	r, f = newRouter(t)
	On(r, func(context.Context, *nameless) error { return nil })
	check(r, f, "the method Type of *webhooks.nameless returns an empty string")

	r, f = newRouter(t)
	r.Use(nil)
	check(r, f, "a middleware is nil")

	f = new(failures)
	check(NewRouter(nil, WithFailureHandler(f.add)), f, "no verifier")
	check(NewRouter(&Verifier{}, WithFailureHandler(f.add), nil, WithFailureHandler(nil)), f, "no verifier")

	// a router that NewRouter has not made
	var log bytes.Buffer
	withLog(t, &log)
	zero := new(Router)
	On(zero, func(context.Context, *OrderPaid) error { return nil })
	code, _ := deliver(t, zero, &OrderPaid{})
	assert.Equal(t, http.StatusInternalServerError, code)
	assert.Contains(t, log.String(), "the router has no verifier")

	// but events can be dispatched
	called := false
	r = NewRouter(nil)
	On(r, func(context.Context, *OrderPaid) error { called = true; return nil })
	require.NoError(t, r.Dispatch(t.Context(), &OrderPaid{}))
	assert.True(t, called)
	assert.ErrorIs(t, r.Dispatch(t.Context(), nil), ErrSetup)
	var none *OrderPaid
	assert.ErrorIs(t, r.Dispatch(t.Context(), none), ErrSetup)
}

func TestOptionsWithoutEffect(t *testing.T) {
	r := NewRouter(nil, WithMaxBody(0), WithMaxBody(-1), WithReadTimeout(0))
	assert.EqualValues(t, DefaultMaxBody, r.maxBody)
	assert.Equal(t, DefaultReadTimeout, r.readTimeout)
}

func TestErrorsOfHandlers(t *testing.T) {
	secret := errors.New("customer jane@example.com has no wiki")
	for _, c := range []struct {
		name    string
		handler func(context.Context, *OrderPaid) error
		code    int
		want    error
	}{
		{"fine", func(context.Context, *OrderPaid) error { return nil }, 202, nil},
		{"error", func(context.Context, *OrderPaid) error { return secret }, 500, secret},
		{"permanent", func(context.Context, *OrderPaid) error { return Permanent(secret) }, 202, secret},
		{"wrapped permanent", func(context.Context, *OrderPaid) error { return fmt.Errorf("x: %w", Permanent(secret)) }, 202, secret},
		{"panic", func(context.Context, *OrderPaid) error { panic(secret) }, 500, ErrPanic},
		{"panic with a permanent error", func(context.Context, *OrderPaid) error { panic(Permanent(secret)) }, 500, ErrPanic},
		{"abort", func(context.Context, *OrderPaid) error { panic(http.ErrAbortHandler) }, 500, http.ErrAbortHandler},
		{"nil dereference", func(_ context.Context, e *OrderPaid) error { return errors.New(*e.Data.DiscountID) }, 500, ErrPanic},
		{"error of this package", func(context.Context, *OrderPaid) error { return ErrTooOld }, 500, ErrTooOld},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, f := newRouter(t)
			On(r, c.handler)
			code, text := deliver(t, r, &OrderPaid{Delivery: Delivery{ID: "e_1"}})
			assert.Equal(t, c.code, code)
			assert.NotContains(t, text, "jane")
			list := f.take()
			if c.want == nil {
				assert.Empty(t, list)
				return
			}
			require.Len(t, list, 1)
			assert.ErrorIs(t, list[0].Err, c.want)
			assert.Equal(t, c.code, list[0].Status)
			assert.Equal(t, "e_1", list[0].ID)
			assert.IsType(t, new(OrderPaid), list[0].Event)
			if errors.Is(c.want, ErrPanic) || errors.Is(c.want, http.ErrAbortHandler) {
				assert.Contains(t, string(list[0].Stack), "router_test.go", "where it happened")
				assert.ErrorIs(t, r.Dispatch(t.Context(), &OrderPaid{}), ErrPanic)
			} else {
				assert.Nil(t, list[0].Stack)
				assert.ErrorIs(t, r.Dispatch(t.Context(), &OrderPaid{}), c.want)
			}
		})
	}
}

func TestFirstErrorEndsTheRow(t *testing.T) {
	r, _ := newRouter(t)
	var got string
	On(r, func(context.Context, *OrderPaid) error { got += "a"; return nil })
	On(r, func(context.Context, *OrderPaid) error { got += "b"; return io.EOF })
	On(r, func(context.Context, *OrderPaid) error { got += "c"; return nil })
	code, _ := deliver(t, r, &OrderPaid{})
	assert.Equal(t, 500, code)
	assert.Equal(t, "ab", got)
}

func TestMiddleware(t *testing.T) {
	r, f := newRouter(t)
	var got []string
	wrap := func(name string) func(Handler) Handler {
		return func(next Handler) Handler {
			return func(ctx context.Context, e Event) error {
				got = append(got, name+" before "+string(e.Type()))
				err := next(context.WithValue(ctx, ctxKey{}, name), e)
				got = append(got, fmt.Sprint(name, " after ", err))
				return err
			}
		}
	}
	r.Use(wrap("outer"), wrap("inner"))
	On(r, func(ctx context.Context, _ *OrderPaid) error {
		got = append(got, "handler in "+ctx.Value(ctxKey{}).(string))
		return io.EOF
	})
	code, _ := deliver(t, r, &OrderPaid{})
	assert.Equal(t, 500, code)
	assert.Equal(t, []string{"outer before order.paid", "inner before order.paid", "handler in inner", "inner after EOF", "outer after EOF"}, got)
	f.take()
	got = nil
	code, _ = deliver(t, r, &OrderCreated{})
	assert.Equal(t, 202, code)
	assert.Empty(t, got, "nothing to wrap")

	r.Use(func(Handler) Handler { return nil })
	code, _ = deliver(t, r, &OrderPaid{})
	assert.Equal(t, 500, code)
	list := f.take()
	require.Len(t, list, 1)
	assert.ErrorIs(t, list[0].Err, ErrPanic)
}

type ctxKey struct{}

// The handler gets the context of the request.
func TestContext(t *testing.T) {
	r, _ := newRouter(t)
	On(r, func(ctx context.Context, _ *OrderPaid) error {
		assert.Equal(t, "v", ctx.Value(ctxKey{}))
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), ctxKey{}, "v"))
	code, _ := serve(r, post(t, testBody).WithContext(ctx))
	assert.Equal(t, 202, code)
	cancel()
	req := post(t, testBody).WithContext(ctx)
	h, err := Sign(standardSecret, "other", testTime, testBody)
	require.NoError(t, err)
	req.Header = h
	code, _ = serve(r, req)
	assert.Equal(t, 500, code)
}

func TestMethods(t *testing.T) {
	r, _ := newRouter(t)
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "post"} {
		req := post(t, testBody)
		req.Method = method
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
		assert.Equal(t, http.StatusMethodNotAllowed, rec.Code, method)
		assert.Equal(t, "POST", rec.Header().Get("Allow"), method)
	}
}

func TestContentTypeDoesNotMatter(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "application/octet-stream", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "\x00"} {
		r, f := newRouter(t)
		req := post(t, testBody)
		req.Header.Set("Content-Type", contentType)
		code, _ := serve(r, req)
		assert.Equal(t, 202, code, contentType)
		assert.Empty(t, f.take())
	}
}

func TestBodyReadByOthers(t *testing.T) {
	r, f := newRouter(t)
	On(r, func(context.Context, *OrderPaid) error { t.Error("called"); return nil })
	for name, before := range map[string]func(*http.Request){
		"all of it":            func(req *http.Request) { _, _ = io.Copy(io.Discard, req.Body) },
		"the beginning":        func(req *http.Request) { _, _ = io.ReadFull(req.Body, make([]byte, 5)) },
		"read and closed":      func(req *http.Request) { _, _ = io.ReadAll(req.Body); _ = req.Body.Close() },
		"closed by the server": func(req *http.Request) { req.Body = closedBody{} },
		"taken away":           func(req *http.Request) { req.Body = nil },
		"no body":              func(req *http.Request) { req.Body = http.NoBody },
	} {
		req := post(t, testBody)
		before(req)
		code, text := serve(r, req)
		assert.Equal(t, http.StatusInternalServerError, code, name)
		assert.Contains(t, text, "something has read the body before the router: put the router in front of middleware", name)
		list := f.take()
		require.Len(t, list, 1, name)
		assert.ErrorIs(t, list[0].Err, ErrBodyConsumed, name)
	}
	// where the length is not known, an empty body can be both
	req := post(t, testBody)
	req.Body, req.ContentLength = http.NoBody, -1
	code, text := serve(r, req)
	assert.Equal(t, http.StatusBadRequest, code)
	assert.Equal(t, "the body is empty, or something has read it before the router\n", text)
}

type closedBody struct{}

func (closedBody) Read([]byte) (int, error) { return 0, http.ErrBodyReadAfterClose }
func (closedBody) Close() error             { return nil }

// A form is the case that happens: ParseForm reads the body of one.
func TestBodyReadByParseForm(t *testing.T) {
	r, f := newRouter(t)
	req := post(t, testBody)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_ = req.ParseForm()
	code, _ := serve(r, req)
	assert.Equal(t, 500, code)
	assert.ErrorIs(t, f.take()[0].Err, ErrBodyConsumed)
}

func TestFailureHandlerThatPanics(t *testing.T) {
	var log bytes.Buffer
	withLog(t, &log)
	r := NewRouter(newVerifier(t, standardSecret), WithFailureHandler(func(context.Context, Failure) { panic("oops") }))
	On(r, func(context.Context, *OrderPaid) error { return io.EOF })
	code, _ := deliver(t, r, &OrderPaid{})
	assert.Equal(t, 500, code)
	assert.Contains(t, log.String(), "the failure handler panicked")
}

// withLog makes slog.Default write to w until the test ends.
func withLog(t *testing.T, w io.Writer) {
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	t.Cleanup(func() { slog.SetDefault(before) })
}

func TestDefaultLog(t *testing.T) {
	var log bytes.Buffer
	withLog(t, &log)
	r := NewRouter(newVerifier(t, standardSecret))
	On(r, func(_ context.Context, e *OrderPaid) error {
		switch e.ID {
		case "permanent":
			return Permanent(io.EOF)
		case "panic":
			panic("oops")
		case "again":
			code, _ := deliver(t, r, e)
			assert.Equal(t, http.StatusConflict, code)
			return nil
		}
		return io.ErrUnexpectedEOF
	})
	for _, c := range []struct{ id, want string }{
		{"error", `level=ERROR msg="polar webhook failed" error="unexpected EOF" status=500 webhook_id=error type=order.paid`},
		{"permanent", `level=ERROR msg="polar webhook failed" error=EOF status=202 webhook_id=permanent type=order.paid`},
		{"panic", `level=ERROR msg="polar webhook failed" error="webhooks: the handler panicked: oops" status=500 webhook_id=panic type=order.paid stack="goroutine`},
		{"again", `level=INFO msg="polar webhook failed" error="webhooks: the delivery is being handled at the moment" status=409 webhook_id=again type=order.paid`},
	} {
		log.Reset()
		deliver(t, r, &OrderPaid{Delivery: Delivery{ID: c.id}})
		assert.Contains(t, log.String(), c.want)
	}
	log.Reset()
	req := post(t, testBody)
	req.Header.Set(headerID, "x\n y")
	serve(r, req)
	assert.Equal(t, `level=WARN msg="polar webhook refused" error="webhooks: webhook-id must be 1 to 255 letters, digits, hyphens and underscores" status=403`+"\n", log.String())
	log.Reset()
	req = post(t, testBody)
	req.Header.Set(headerID, "x")
	serve(r, req)
	assert.Contains(t, log.String(), "level=WARN msg=\"polar webhook refused\"")
	assert.NotContains(t, log.String(), standardSecret)
}

func TestHandlersCanBeAddedAtAnyTime(t *testing.T) {
	r, f := newRouter(t, WithDeduper(nil))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				deliver(t, r, &OrderPaid{})
			}
		})
		wg.Go(func() {
			for range 50 {
				On(r, func(context.Context, *OrderPaid) error { return nil })
				r.Default(func(context.Context, Event) error { return nil })
				r.Use(func(next Handler) Handler { return next })
				_ = r.Types()
			}
		})
	}
	wg.Wait()
	assert.Empty(t, f.take())
}

// A handler that ends its goroutine, as a failing assertion in a test does, gives its claim back.
func TestHandlerEndsItsGoroutine(t *testing.T) {
	dedupe := NewMemoryDeduper()
	r, _ := newRouter(t, WithDeduper(dedupe))
	On(r, func(context.Context, *OrderPaid) error { runtime.Goexit(); return nil })
	var wg sync.WaitGroup
	wg.Go(func() { deliver(t, r, &OrderPaid{}) })
	wg.Wait()
	assert.Zero(t, dedupe.Len())
}

// The whole of it, over a real connection.
func TestOverTheNetwork(t *testing.T) {
	r := NewRouter(must(NewVerifier(standardSecret)))
	got := make(chan Event, 1)
	r.Default(func(_ context.Context, e Event) error { got <- e; return nil })
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/polar", r)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for _, s := range oneEach() {
		e, err := Decode(s.body)
		require.NoError(t, err)
		req, err := NewRequest(t.Context(), srv.URL+"/webhooks/polar", standardSecret, e)
		require.NoError(t, err)
		resp, err := srv.Client().Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, http.StatusAccepted, resp.StatusCode, s)
		received := <-got
		assert.IsType(t, e, received)
		assert.WithinDuration(t, time.Now(), received.Info().SentAt, time.Minute)
	}
	resp, err := srv.Client().Get(srv.URL + "/webhooks/polar")
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// HTTP/2 has its own way to limit the time of reading.
func TestOverHTTP2(t *testing.T) {
	r := NewRouter(must(NewVerifier(standardSecret)))
	r.Default(func(ctx context.Context, e Event) error { return ctx.Err() })
	srv := httptest.NewUnstartedServer(r)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	req, err := NewRequest(t.Context(), srv.URL, standardSecret, &OrderPaid{})
	require.NoError(t, err)
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, 2, resp.ProtoMajor)
	assert.Equal(t, http.StatusAccepted, resp.StatusCode)
}
