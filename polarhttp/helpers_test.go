package polarhttp

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// shop is a server at Polar's place with something to sell.
type shop struct {
	*testing.T
	srv     *polartest.Server
	client  *polar.Client // repeats nothing
	token   string
	product *models.Product
	benefit string
	log     *logged
}

func newShop(t *testing.T, opts ...polartest.Option) *shop {
	t.Helper()
	s := &shop{T: t, srv: polartest.NewServer(t, opts...), log: new(logged)}
	s.token = s.srv.Token()
	var err error
	s.client, err = s.srv.ClientWithToken(s.token, polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	b, err := s.client.Benefits.Create(t.Context(), models.BenefitCustomCreate{Description: "Reports"})
	require.NoError(t, err)
	s.benefit = b.ID
	s.product = s.sell("Pro")
	_, err = s.client.Products.SetBenefits(t.Context(), s.product.ID, models.ProductBenefitsUpdate{Benefits: []string{b.ID}})
	require.NoError(t, err)
	return s
}

func (s *shop) sell(name string) *models.Product {
	s.Helper()
	p, err := s.client.Products.Create(s.Context(), models.ProductCreateRecurring{
		Name: name, RecurringInterval: models.RecurringIntervalMonth,
		Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1000}},
	})
	require.NoError(s, err)
	return p
}

func (s *shop) customer(externalID string) *models.Customer {
	s.Helper()
	c, err := s.client.Customers.Create(s.Context(), models.CustomerCreate{Email: externalID + "@example.com", ExternalID: &externalID})
	require.NoError(s, err)
	return c
}

// grant gives a customer the product with the benefit.
func (s *shop) grant(externalID string) {
	s.Helper()
	_, err := s.srv.Grant(externalID, s.product.ID)
	require.NoError(s, err)
}

// calls is how often an operation reached the server.
func (s *shop) calls(operation string) int { return len(s.srv.Requests(operation)) }

// logged is what was logged.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logged) option() Option { return WithLogger(slog.New(slog.NewTextHandler(l, nil))) }

func quiet() Option { return WithLogger(slog.New(slog.DiscardHandler)) }

func request(method, target, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// answered is what a handler answered.
type answered struct {
	status int
	header http.Header
	body   string
}

func get(h http.Handler, target string, header ...string) answered {
	return send(h, request(http.MethodGet, target, "", header...))
}

func send(h http.Handler, r *http.Request) answered {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answered{w.Code, w.Header(), w.Body.String()}
}

// roundTripper is a server at Polar's place that needs no network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func clientOf(t *testing.T, f roundTripper) *polar.Client {
	t.Helper()
	client, err := polar.New(polar.Token("polar_oat_secret"), polar.WithHTTPClient(&http.Client{Transport: f}), polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	return client
}

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// sleep waits in the time of a synctest bubble, as long as the context lets it.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
