package polartest_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// impatient is a client that repeats at once.
func (s *shop) impatient() *polar.Client {
	s.Helper()
	return must(s.client.With(polar.WithRetry(polar.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Nanosecond, MaxDelay: time.Nanosecond})))(s)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	client := s.impatient()
	p := s.plan("Pro", 1000)
	for name, f := range map[string]polartest.Fault{
		"reset": polartest.Reset(), "lost answer": polartest.LoseAnswer(), "truncated": polartest.Truncate(), "gateway": polartest.BadGateway(http.StatusBadGateway),
		"rate limit": polartest.TooManyRequests(0), "delay": polartest.Delay(time.Nanosecond),
	} {
		s.srv.ForgetRequests()
		s.srv.Break("products:get", 1, f)
		_, err := client.Products.Get(s.ctx, p.ID)
		require.NoError(t, err, "a GET is repeated: %s", name)
		want := 2
		if name == "delay" {
			want = 1
		}
		got := s.srv.Requests("products:get")
		assert.Len(t, got, want, name)
		assert.Equal(t, 200, got[want-1].Status)
	}

	s.srv.Break("customers:create", 1, polartest.LoseAnswer())
	_, err := client.Customers.Create(s.ctx, models.CustomerCreate{Email: "a@example.com"})
	require.Error(t, err)
	assert.Len(t, s.srv.Requests("customers:create"), 1, "a POST that the server may have read is not sent again")
	assert.Len(t, must(client.Customers.List(s.ctx, nil))(t).Items, 1, "it was done all the same")

	s.srv.Break("customers:create", 1, polartest.Reset())
	_, err = client.Customers.Create(s.ctx, models.CustomerCreate{Email: "b@example.com"})
	require.Error(t, err)
	assert.Len(t, must(client.Customers.List(s.ctx, nil))(t).Items, 1)

	s.srv.Break("", -1, polartest.BadGateway(http.StatusServiceUnavailable))
	_, err = client.Products.List(s.ctx, nil)
	require.ErrorIs(t, err, polar.ErrServer)
	s.srv.Heal()
	must(client.Products.List(s.ctx, nil))(t)

	s.srv.Break("", 1, polartest.Delay(time.Hour))
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Millisecond)
	defer cancel()
	_, err = client.Products.List(ctx, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("a@example.com")
	send(t, s.srv, "GET", "/v1/none?a=1", "", "")
	got := s.srv.Requests()
	require.Len(t, got, 2)
	assert.Equal(t, "customers:create", got[0].Operation)
	assert.Equal(t, "POST", got[0].Method)
	assert.JSONEq(t, `{"email":"a@example.com","billing_address":{"country":"DE"}}`, string(got[0].Body))
	assert.Equal(t, "2026-10", got[0].Header.Get("Polar-Version"))
	assert.Equal(t, 201, got[0].Status)
	assert.Equal(t, start, got[0].At)
	assert.Empty(t, got[1].Operation)
	assert.Equal(t, "1", got[1].Query.Get("a"))
	assert.Equal(t, 404, got[1].Status)
	for range 2500 {
		send(t, s.srv, "GET", "/v1/none", "", "")
	}
	assert.GreaterOrEqual(t, len(s.srv.Requests()), 1000)
	assert.Less(t, len(s.srv.Requests()), 2500)
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithRateLimits())
	token := s.srv.Token()
	get := func() answer { return send(t, s.srv, "GET", "/v1/products/", token, "") }
	require.Equal(t, 200, get().status)
	for range 100 {
		require.Equal(t, 200, get().status)
	}
	a := get()
	assert.Equal(t, 429, a.status)
	assert.Empty(t, a.body)
	assert.Equal(t, "60", a.header.Get("Retry-After"))
	assert.Empty(t, a.header.Get("X-Polar-Sandbox"))
	s.srv.Advance(time.Minute)
	assert.Equal(t, 200, get().status)

	unseen := func() answer { return send(t, s.srv, "GET", "/v1/products/", "polar_oat_unknown", "") }
	for range 60 {
		require.Equal(t, 401, unseen().status)
	}
	assert.Equal(t, 429, unseen().status)

	public := func(path string) answer {
		return send(t, s.srv, "POST", path, "", `{"key":"k","organization_id":"`+s.srv.OrganizationID()+`"}`)
	}
	const validate = "/v1/customer-portal/license-keys/validate"
	for range 3 {
		require.Equal(t, 404, public(validate).status)
	}
	assert.Equal(t, 429, public(validate).status)
	s.srv.Advance(30 * time.Second)
	a = public("/v1/customer-portal/license-keys/activate")
	assert.Equal(t, 429, a.status, "the caller is blocked everywhere")
	assert.Equal(t, "30", a.header.Get("Retry-After"))
	s.srv.Advance(30 * time.Second)
	assert.Equal(t, 404, public(validate).status)
}

// strictTest notes that a test was ended.
type strictTest struct {
	testing.TB
	said string
}

func (t *strictTest) Fatalf(format string, args ...any) { t.said = fmt.Sprintf(format, args...) }

func TestBreakUnknownOperation(t *testing.T) {
	t.Parallel()
	strict := &strictTest{TB: t}
	srv := polartest.NewServer(strict)
	for _, known := range []string{"", "orders:get", "storage:upload", "storage:download"} {
		srv.Break(known, 1, polartest.Reset())
		assert.Empty(t, strict.said)
	}
	srv.Break("orders:gte", 1, polartest.Reset())
	assert.Contains(t, strict.said, `"orders:gte"`)
}
