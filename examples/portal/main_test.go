package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// TestRun runs the program and checks what the customer saw, step by step.
func TestRun(t *testing.T) {
	t.Parallel()
	cfg := config{Plan: fmt.Sprintf("Plan %d", rand.IntN(1_000_000)), Price: 1 + rand.Int64N(1_000_000)}
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, cfg))
	_, story, found := strings.Cut(out.String(), "The customer signs in.")
	require.True(t, found)
	plan := fmt.Sprintf("    %s, %d.%02d USD a month: ", cfg.Plan, cfg.Price/100, cfg.Price%100)
	for _, want := range []string{
		plan + "renews on",
		"The customer opens the customer portal.\n    Your purchases\n",
		fmt.Sprintf(": %s, %d.%02d USD, paid", cfg.Plan, cfg.Price/100, cfg.Price%100),
		"The customer asks for the invoice.\n    (",
		"bytes of application/pdf)",
		"The customer cancels.",
		plan + "ends on",
		"The customer changes their mind.",
		plan + "renews on",
		"The customer cancels again.",
		plan + "ends on",
		"The customer comes back after a month.",
		plan + "ended on",
	} {
		var ok bool
		_, story, ok = strings.Cut(story, want)
		require.True(t, ok, "%q in\n%s", want, out.String())
	}
	assert.NotContains(t, out.String(), "polar_", "no token is printed")
}

func TestRunWithoutServer(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.ErrorContains(t, run(t.Context(), &out, config{Token: "has a space"}), "polar: ")
	require.Error(t, run(t.Context(), &out, config{Addr: "nowhere"}))
	assert.NotContains(t, out.String(), "has a space")
}

// visitor has a browser and perhaps an account with something in it.
type visitor struct {
	t       *testing.T
	handler http.Handler
	cookie  *http.Cookie
}

func (v *visitor) send(method, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	v.t.Helper()
	r := httptest.NewRequest(method, "https://shop.example"+path, nil)
	if v.cookie != nil {
		r.AddCookie(v.cookie)
	}
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	v.handler.ServeHTTP(rec, r)
	return rec
}

func newVisitors(t *testing.T) (srv *polartest.Server, ada, bob *visitor, subscription, order string) {
	t.Helper()
	ctx := t.Context()
	srv = polartest.NewServer(t)
	accounts := newAccounts()
	s, err := newSite(srv.Client(), accounts, "https://shop.example")
	require.NoError(t, err)
	ada, bob = &visitor{t: t, handler: s.handler()}, &visitor{t: t, handler: s.handler()}
	for user, v := range map[string]*visitor{"ada": ada, "bob": bob} {
		_, err := srv.Client().Customers.Ensure(ctx, models.CustomerCreate{ExternalID: &user, Email: user + "@example.com"})
		require.NoError(t, err)
		code := accounts.invite(user)
		rec := v.send(http.MethodGet, "/sign-in?code="+code)
		require.Equal(t, http.StatusSeeOther, rec.Code)
		v.cookie = rec.Result().Cookies()[0]
		assert.True(t, v.cookie.HttpOnly)
		assert.Equal(t, http.StatusForbidden, v.send(http.MethodGet, "/sign-in?code="+code).Code, "once")
	}
	require.NoError(t, sell(ctx, srv, "ada", "Pro", 1900))
	page, err := srv.Client().Orders.List(ctx, nil)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	return srv, ada, bob, *page.Items[0].SubscriptionID, page.Items[0].ID
}

func TestOnlyOnesOwn(t *testing.T) {
	t.Parallel()
	srv, ada, bob, subscription, order := newVisitors(t)
	assert.Contains(t, ada.send(http.MethodGet, "/").Body.String(), "Pro, 19.00 USD")
	body := bob.send(http.MethodGet, "/").Body.String()
	assert.Contains(t, body, "Your account")
	assert.NotContains(t, body, "Pro")
	stranger := &visitor{t: t, handler: ada.handler}
	for _, path := range []string{"/subscriptions/" + subscription + "/cancel", "/subscriptions/" + subscription + "/keep", "/orders/" + order + "/invoice", "/subscriptions/x/cancel"} {
		assert.Equal(t, http.StatusNotFound, bob.send(http.MethodPost, path).Code, path)
		assert.Equal(t, http.StatusUnauthorized, stranger.send(http.MethodPost, path).Code, path)
		assert.Equal(t, http.StatusForbidden, ada.send(http.MethodPost, path, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }).Code, path)
		assert.Equal(t, http.StatusMethodNotAllowed, ada.send(http.MethodGet, path).Code, path)
	}
	assert.Equal(t, http.StatusUnauthorized, stranger.send(http.MethodGet, "/").Code)
	stranger.cookie = &http.Cookie{Name: sessionCookie, Value: "guessed"}
	assert.Equal(t, http.StatusUnauthorized, stranger.send(http.MethodGet, "/").Code)
	assert.NotContains(t, ada.send(http.MethodGet, "/").Body.String(), "ends on", "nobody has cancelled")

	rec := ada.send(http.MethodPost, "/portal")
	assert.Equal(t, http.StatusSeeOther, rec.Code)
	assert.True(t, strings.HasPrefix(rec.Header().Get("Location"), srv.URL))
}

// Neither links nor sessions are good for ever.
func TestSignInEnds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	accounts := newAccounts()
	accounts.now = func() time.Time { return now }
	early, late := accounts.invite("ada"), accounts.invite("ada")
	now = now.Add(inviteTime - 1)
	rec := httptest.NewRecorder()
	require.True(t, accounts.signIn(rec, early))
	now = now.Add(1)
	require.False(t, accounts.signIn(httptest.NewRecorder(), late))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(rec.Result().Cookies()[0])
	who, err := accounts.customer(r)
	require.NoError(t, err)
	assert.Equal(t, "ada", who.ExternalID)
	now = now.Add(sessionTime)
	who, err = accounts.customer(r)
	require.NoError(t, err)
	assert.Empty(t, who)
}

// What is not known is shown as it is, not guessed.
func TestFaults(t *testing.T) {
	t.Parallel()
	srv, ada, _, subscription, order := newVisitors(t)
	cancel, keep := "/subscriptions/"+subscription+"/cancel", "/subscriptions/"+subscription+"/keep"
	account := func() string { return ada.send(http.MethodGet, "/").Body.String() }

	srv.Break("customer_portal:subscriptions:cancel", 1, polartest.LoseAnswer())
	assert.Equal(t, http.StatusSeeOther, ada.send(http.MethodPost, cancel).Code)
	assert.Contains(t, account(), "ends on", "it was cancelled")
	assert.Equal(t, http.StatusSeeOther, ada.send(http.MethodPost, cancel).Code, "a second click")
	assert.Equal(t, http.StatusSeeOther, ada.send(http.MethodPost, keep).Code)
	assert.Equal(t, http.StatusSeeOther, ada.send(http.MethodPost, keep).Code)
	assert.Contains(t, account(), "renews on")

	for _, operation := range []string{"customer-sessions:create", "customer_portal:subscriptions:list", "customer_portal:orders:list"} {
		srv.Break(operation, 1, polartest.BadGateway(http.StatusForbidden))
		rec := ada.send(http.MethodGet, "/")
		assert.Equal(t, http.StatusBadGateway, rec.Code, operation)
		assert.NotContains(t, rec.Body.String(), "None.", operation)
	}
	_, err := srv.Client().Orders.Update(t.Context(), order, models.OrderUpdate{BillingName: models.Null[string]()})
	require.NoError(t, err)
	assert.Equal(t, http.StatusConflict, ada.send(http.MethodPost, "/orders/"+order+"/invoice").Code)
}
