package routertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

const (
	secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	path   = "/webhooks/polar"
)

// A stack is a router with its usual middleware. When reads is true, something in it reads the body first.
type stack struct {
	name string
	make func(h http.Handler, reads bool) http.Handler
}

// swallow reads the body and does not put it back.
func swallow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		next.ServeHTTP(w, r)
	})
}

var stacks = []stack{
	{"net/http", func(h http.Handler, reads bool) http.Handler {
		if reads {
			h = swallow(h)
		}
		mux := http.NewServeMux()
		mux.Handle("POST "+path, h)
		return mux
	}},
	{"chi", func(h http.Handler, reads bool) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.RequestID, middleware.Recoverer, middleware.Timeout(time.Minute), middleware.Compress(5))
		if reads {
			r.Use(swallow)
		}
		r.Method(http.MethodPost, path, h)
		return r
	}},
	{"chi, mounted", func(h http.Handler, reads bool) http.Handler {
		r := chi.NewRouter()
		if reads {
			r.Use(swallow)
		}
		r.Mount("/webhooks", http.StripPrefix("/webhooks", h))
		return r
	}},
	{"gin", func(h http.Handler, reads bool) http.Handler {
		r := gin.New()
		r.Use(gin.Recovery())
		if reads {
			r.Use(func(c *gin.Context) {
				var v map[string]any
				_ = c.ShouldBindJSON(&v)
			})
		}
		r.POST(path, gin.WrapH(h))
		return r
	}},
	{"echo", func(h http.Handler, reads bool) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Recover(), echomiddleware.Gzip(), echomiddleware.BodyLimit("2M"))
		if reads {
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					var v map[string]any
					_ = c.Bind(&v)
					return next(c)
				}
			})
		}
		e.POST(path, echo.WrapHandler(h))
		return e
	}},
}

func init() { gin.SetMode(gin.ReleaseMode) }

func newVerifier(t *testing.T) *webhooks.Verifier {
	t.Helper()
	v, err := webhooks.NewVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// do sends a request over a connection and returns the answer.
func do(t *testing.T, h http.Handler, change func(*http.Request), e webhooks.Event) (int, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	req, err := webhooks.NewRequest(t.Context(), srv.URL+path, secret, e)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestRouters(t *testing.T) {
	for _, s := range stacks {
		t.Run(s.name, func(t *testing.T) {
			var got []webhooks.Event
			var failures []webhooks.Failure
			result := error(nil)
			r := webhooks.NewRouter(newVerifier(t), webhooks.WithMaxBody(100_000), webhooks.WithFailureHandler(func(_ context.Context, f webhooks.Failure) { failures = append(failures, f) }))
			r.Default(func(_ context.Context, e webhooks.Event) error {
				got = append(got, e)
				if e.Type() == models.WebhookEventTypeOrderRefunded {
					panic("oops")
				}
				return result
			})
			h := s.make(r, false)

			for _, et := range models.WebhookEventTypeValues() {
				if et == models.WebhookEventTypeOrderRefunded {
					continue
				}
				got = nil
				code, body := do(t, h, nil, webhooks.NewEvent(et))
				if code != http.StatusAccepted || body != "" {
					t.Errorf("%s: %d %q", et, code, body)
				}
				if len(got) != 1 || reflect.TypeOf(got[0]) != reflect.TypeOf(webhooks.NewEvent(et)) {
					t.Errorf("%s: got %v", et, got)
				}
			}
			if len(failures) > 0 {
				t.Errorf("failures %v", failures)
			}

			paid := &webhooks.OrderPaid{Data: models.Order{ID: "order_1"}}
			for name, c := range map[string]struct {
				event  webhooks.Event
				change func(*http.Request)
				result error
				code   int
			}{
				"signature": {paid, func(r *http.Request) { r.Header.Set("webhook-id", "other") }, nil, 403},
				"no header": {paid, func(r *http.Request) { r.Header = http.Header{} }, nil, 403},
				"too large": {paid, func(r *http.Request) {
					r.Body, r.ContentLength, r.GetBody = io.NopCloser(bytes.NewReader(make([]byte, 100_001))), 100_001, nil
				}, nil, 413},
				"error":     {paid, nil, errors.New("down"), 500},
				"permanent": {paid, nil, webhooks.Permanent(errors.New("never")), 202},
				"panic":     {&webhooks.OrderRefunded{}, nil, nil, 500},
			} {
				result, failures = c.result, nil
				code, body := do(t, h, c.change, c.event)
				if code != c.code {
					t.Errorf("%s: %d %q", name, code, body)
				}
				if len(failures) != 1 || failures[0].Status != c.code {
					t.Errorf("%s: failures %+v", name, failures)
				}
			}

			// a body that was read before says so, to the sender and in the failure
			failures = nil
			code, body := do(t, s.make(r, true), nil, paid)
			if code != http.StatusInternalServerError || len(failures) != 1 || !errors.Is(failures[0].Err, webhooks.ErrBodyConsumed) {
				t.Errorf("body read before: %d %q %+v", code, body, failures)
			}
		})
	}
}

// Without the router: gin and echo hand out the bytes of the body.
func TestParseInGinAndEcho(t *testing.T) {
	v := newVerifier(t)
	r := gin.New()
	r.POST(path, func(c *gin.Context) {
		body, err := c.GetRawData()
		if err == nil {
			_, err = v.Parse(body, c.Request.Header)
		}
		c.Status(webhooks.StatusCode(err))
	})
	e := echo.New()
	e.POST(path, func(c echo.Context) error {
		body, err := io.ReadAll(c.Request().Body)
		if err == nil {
			_, err = v.Parse(body, c.Request().Header)
		}
		return c.NoContent(webhooks.StatusCode(err))
	})
	for name, h := range map[string]http.Handler{"gin": r, "echo": e} {
		if code, _ := do(t, h, nil, &webhooks.OrderPaid{}); code != http.StatusAccepted {
			t.Errorf("%s: %d", name, code)
		}
		if code, _ := do(t, h, func(r *http.Request) { r.Header.Del("webhook-signature") }, &webhooks.OrderPaid{}); code != http.StatusForbidden {
			t.Errorf("%s, forged: %d", name, code)
		}
	}
}

// A body that does not come is given up under every router: they pass the means to set a deadline on.
func TestSlowBodies(t *testing.T) {
	for _, s := range stacks {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := webhooks.NewRouter(newVerifier(t), webhooks.WithReadTimeout(50*time.Millisecond),
				webhooks.WithFailureHandler(func(context.Context, webhooks.Failure) {}))
			srv := httptest.NewServer(s.make(r, false))
			defer srv.Close()
			never, stop := io.Pipe()
			defer stop.Close()
			req, err := webhooks.NewRequest(t.Context(), srv.URL+path, secret, &webhooks.OrderPaid{})
			if err != nil {
				t.Fatal(err)
			}
			req.Body, req.GetBody = never, nil
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusRequestTimeout {
				t.Errorf("answer %d", resp.StatusCode)
			}
		})
	}
}
