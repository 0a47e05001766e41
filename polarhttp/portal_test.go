package polarhttp

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func (s *shop) portal(customer CustomerFunc, opts ...PortalOption) http.Handler {
	s.Helper()
	h, err := CustomerPortal(s.client, customer, append([]PortalOption{s.log.option()}, opts...)...)
	require.NoError(s, err)
	return h
}

func TestPortal(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ada := s.customer("ada")
	h := s.portal(signedIn, WithReturnURL("/account"), WithOrigin("https://shop.example"))
	for _, r := range []*http.Request{request("GET", "/portal?customerId=x", "", "User", "ada"), request("POST", "/portal", "", "User", "ada")} {
		got := send(h, r)
		assert.Equal(t, http.StatusSeeOther, got.status)
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
		to, err := url.Parse(got.header.Get("Location"))
		require.NoError(t, err)
		assert.Equal(t, s.srv.URL, to.Scheme+"://"+to.Host)
		assert.NotEmpty(t, to.Query().Get("customer_session_token"))
	}
	for _, r := range s.srv.Requests("customer-sessions:create") {
		assert.JSONEq(t, `{"external_customer_id":"ada","return_url":"https://shop.example/account"}`, string(r.Body))
	}
	to, err := CustomerPortalURL(t.Context(), s.client, Customer{ID: ada.ID})
	require.NoError(t, err)
	assert.Contains(t, to, "customer_session_token=")
	assert.Empty(t, s.log.String())
}

// TestPortalForNobody answers with 400, unless the program sends people to sign in.
func TestPortalForNobody(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got := get(s.portal(signedIn), "/portal?customerId="+s.customer("ada").ID)
	assert.Equal(t, http.StatusBadRequest, got.status)
	assert.Equal(t, "nobody is signed in\n", got.body)
	got = get(s.portal(signedIn, WithSignIn(http.RedirectHandler("/login", http.StatusSeeOther))), "/portal")
	assert.Equal(t, "/login", got.header.Get("Location"))
	assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	got = get(s.portal(signedIn, WithSignIn(http.RedirectHandler("/login", http.StatusSeeOther))), "/portal", "Sec-Purpose", "prefetch")
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	got = send(s.portal(signedIn), request("DELETE", "/portal", "", "User", "ada"))
	assert.Equal(t, http.StatusMethodNotAllowed, got.status)
	assert.Zero(t, s.calls("customer-sessions:create"))
}

func TestPortalErrors(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	broken := errors.New("the session store is away")
	as := func(c Customer, err error) CustomerFunc {
		return func(*http.Request) (Customer, error) { return c, err }
	}
	for name, tt := range map[string]struct {
		customer CustomerFunc
		status   int
		text     string
		logged   string
	}{
		"session":      {as(Customer{}, broken), 500, "its operator has the details", "the session store is away"},
		"refusal":      {as(Customer{}, &Refusal{Status: 401, Message: "the session is over"}), 401, "the session is over", ""},
		"two ids":      {as(Customer{ID: id1, ExternalID: "a"}, nil), 500, "its operator", "exactly one"},
		"no id":        {as(Customer{MemberID: id1}, nil), 500, "its operator", "exactly one"},
		"two members":  {as(Customer{ID: id1, MemberID: id1, ExternalMemberID: "m"}, nil), 500, "its operator", "at most one"},
		"unknown":      {as(Customer{ExternalID: "nobody"}, nil), 404, "there are no purchases of yours yet", "level=INFO"},
		"unknown id":   {as(Customer{ID: id1}, nil), 404, "there are no purchases of yours yet", "level=INFO"},
		"no id at all": {as(Customer{ID: "user_42"}, nil), 500, "its operator", "level=ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logged
			h, err := CustomerPortal(s.client, tt.customer, log.option())
			require.NoError(t, err)
			got := get(h, "/portal")
			assert.Equal(t, tt.status, got.status)
			assert.Contains(t, got.body, tt.text)
			assert.Contains(t, log.String(), tt.logged)
			if tt.logged == "" {
				assert.Empty(t, log.String())
			}
		})
	}
	_, err := CustomerPortalURL(t.Context(), s.client, Customer{ExternalID: "nobody"})
	require.ErrorIs(t, err, ErrUnknownCustomer)
	assert.Equal(t, http.StatusNotFound, StatusCode(err))
	_, err = CustomerPortalURL(t.Context(), s.client, Customer{})
	require.ErrorContains(t, err, "exactly one")
	s.srv.Break("", 1, polartest.TooManyRequests(20*time.Second))
	got := get(s.portal(signedIn), "/portal", "User", "ada")
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.Equal(t, "20", got.header.Get("Retry-After"))

	for want, opts := range map[string][]PortalOption{
		"option is nil": {nil}, "handler of WithSignIn is nil": {WithSignIn(nil)}, "return URL is a path": {WithReturnURL("/account")}, "logger is nil": {WithLogger(nil)},
	} {
		_, err := CustomerPortal(s.client, signedIn, opts...)
		require.ErrorContains(t, err, want)
		_, err = CustomerPortalURL(t.Context(), s.client, Customer{ExternalID: "a"}, opts...)
		require.ErrorContains(t, err, want)
	}
	_, err = CustomerPortal(s.client, nil)
	require.ErrorContains(t, err, "CustomerFunc is nil")
	_, err = CustomerPortal(nil, signedIn)
	require.ErrorContains(t, err, "client is nil")
}

// TestPortalOfTeam needs to know which member it is opened for.
func TestPortalOfTeam(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithMembers())
	team, err := s.client.Customers.Create(t.Context(), models.CustomerCreate{
		Type: models.CustomerTypeTeam, Email: "team@example.com", ExternalID: new("team"), Owner: &models.MemberOwnerCreate{Email: "grace@example.com", ExternalID: new("grace")},
	})
	require.NoError(t, err)
	_, err = CustomerPortalURL(t.Context(), s.client, Customer{ID: team.ID})
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrUnknownCustomer)
	to, err := CustomerPortalURL(t.Context(), s.client, Customer{ExternalID: "team", ExternalMemberID: "grace"})
	require.NoError(t, err)
	assert.Contains(t, to, "polar_mst_")
}
