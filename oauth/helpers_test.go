package oauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/oauth"
	"github.com/polar-go/polar/polartest"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

const redirectURL = "http://localhost:8080/callback?from=polar"

// app is an application that is registered at a server whose clock stands still.
type app struct {
	*oauth.Client
	srv    *polartest.Server
	cfg    oauth.Config
	public bool
}

// newApp registers an application; edit changes its configuration.
func newApp(t *testing.T, edit func(*app), opts ...polar.Option) *app {
	t.Helper()
	a := &app{srv: polartest.NewServer(t, polartest.WithTime(start))}
	a.cfg = oauth.Config{
		RedirectURL: redirectURL,
		Scopes:      []models.Scope{models.ScopeOpenid, models.ScopeEmail, models.ScopeProductsRead},
		BaseURL:     a.srv.URL,
		Clock:       a.srv.Now,
	}
	if edit != nil {
		edit(a)
	}
	body := models.OAuth2ClientCreate{ClientName: "Acme", RedirectURIs: []string{a.cfg.RedirectURL}}
	if a.public {
		body.TokenEndpointAuthMethod = new(models.OAuth2AuthMethodNone)
	}
	anyone, err := polar.New(polar.Anonymous, polar.WithBaseURL(a.srv.URL))
	require.NoError(t, err)
	registered, err := anyone.OAuth2Clients.Create(t.Context(), body)
	require.NoError(t, err)
	a.cfg.ClientID = registered.ClientID
	if !a.public {
		a.cfg.ClientSecret = *registered.ClientSecret
	}
	a.Client, err = oauth.New(a.cfg, opts...)
	require.NoError(t, err)
	return a
}

// consent plays the user who agrees, and returns the query of the callback.
func (a *app) consent(t *testing.T, address string, organizations ...string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	back, err := a.srv.Authorize(u.Query(), organizations...)
	require.NoError(t, err)
	return back.Query()
}

// signIn goes through a whole sign-in.
func (a *app) signIn(t *testing.T, organizations ...string) *oauth.Token {
	t.Helper()
	address, attempt := a.Begin()
	token, err := a.Finish(t.Context(), attempt, a.consent(t, address, organizations...))
	require.NoError(t, err)
	return token
}

func (a *app) source(t *testing.T, store oauth.Store) *oauth.Source {
	t.Helper()
	src, err := a.Source(store)
	require.NoError(t, err)
	return src
}

// exchanges counts the requests to the token endpoint.
func (a *app) exchanges() int { return len(a.srv.Requests("oauth2:request_token")) }

// works reports whether the server takes an access token.
func (a *app) works(t *testing.T, accessToken string) bool {
	t.Helper()
	client, err := a.srv.ClientWithToken(accessToken)
	require.NoError(t, err)
	_, err = client.Products.List(t.Context(), nil)
	if err != nil {
		require.ErrorIs(t, err, polar.ErrUnauthorized)
	}
	return err == nil
}

// notes is a store that counts and can fail.
type notes struct {
	mu           sync.Mutex
	token        oauth.Token
	loads, saves int
	loadErr      error
	saveErr      error
	onSave       func(oauth.Token)
}

func (n *notes) Load(context.Context) (oauth.Token, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loads++
	return n.token, n.loadErr
}

func (n *notes) Save(ctx context.Context, t oauth.Token) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.saves++
	if n.onSave != nil {
		n.onSave(t)
	}
	if n.saveErr != nil {
		return n.saveErr
	}
	n.token = t
	return ctx.Err()
}

func (n *notes) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// roundTrip is a server that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// faked is an application whose server is a function.
func faked(t *testing.T, server roundTrip) *oauth.Client {
	t.Helper()
	c, err := oauth.New(oauth.Config{ClientID: "polar_ci_1", ClientSecret: "polar_cs_1", RedirectURL: "https://example.com/cb", Scopes: []models.Scope{models.ScopeOpenid}},
		polar.WithHTTPClient(&http.Client{Transport: server}))
	require.NoError(t, err)
	return c
}

var errDisk = errors.New("disk full")
