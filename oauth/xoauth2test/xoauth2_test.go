package xoauth2test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/oauth"
	"github.com/polar-go/polar/polartest"
)

const redirectURL = "http://localhost:8080/callback"

func register(t *testing.T, srv *polartest.Server) *models.OAuth2Client {
	t.Helper()
	anyone, err := polar.New(polar.Anonymous, polar.WithBaseURL(srv.URL))
	require.NoError(t, err)
	app, err := anyone.OAuth2Clients.Create(t.Context(), models.OAuth2ClientCreate{ClientName: "Acme", RedirectURIs: []string{redirectURL}})
	require.NoError(t, err)
	return app
}

func consent(t *testing.T, srv *polartest.Server, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	back, err := srv.Authorize(u.Query())
	require.NoError(t, err)
	return back.Query()
}

// TestTheirFlow signs in with golang.org/x/oauth2 and calls the API with its token source, which renews the token.
func TestTheirFlow(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	app := register(t, srv)
	cfg := oauth2.Config{
		ClientID:     app.ClientID,
		ClientSecret: *app.ClientSecret,
		RedirectURL:  redirectURL,
		Scopes:       []string{string(models.ScopeProductsRead)},
		Endpoint:     oauth2.Endpoint{AuthURL: srv.URL + "/oauth2/authorize", TokenURL: srv.URL + "/v1/oauth2/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	query := consent(t, srv, cfg.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	token, err := cfg.Exchange(t.Context(), query.Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)

	client, err := polar.New(oauth.FromTokenSource(cfg.TokenSource(t.Context(), token)), polar.WithBaseURL(srv.URL))
	require.NoError(t, err)
	_, err = client.Products.List(t.Context(), nil)
	require.NoError(t, err)

	token.Expiry = time.Now().Add(-time.Hour)
	client, err = polar.New(oauth.FromTokenSource(cfg.TokenSource(t.Context(), token)), polar.WithBaseURL(srv.URL))
	require.NoError(t, err)
	for range 2 {
		_, err = client.Products.List(t.Context(), nil)
		require.NoError(t, err)
	}
	exchanges := srv.Requests("oauth2:request_token")
	assert.Len(t, exchanges, 2, "the code, and one renewal")

	for _, src := range []oauth2.TokenSource{
		oauth2.StaticTokenSource(nil), oauth2.StaticTokenSource(&oauth2.Token{}), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "SECRET", TokenType: "MAC"}),
		cfg.TokenSource(t.Context(), &oauth2.Token{RefreshToken: "SECRET"}),
	} {
		client, err = polar.New(oauth.FromTokenSource(src), polar.WithBaseURL(srv.URL))
		require.NoError(t, err)
		_, err = client.Products.List(t.Context(), nil)
		require.ErrorContains(t, err, "oauth: ")
		assert.NotContains(t, err.Error(), "SECRET")
	}
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	require.True(t, ok, "their errors stay reachable")
	assert.Equal(t, "invalid_grant", refused.ErrorCode)
}

// TestEndpoints is what their Config needs.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	e := oauth.EndpointOf(polar.Sandbox)
	cfg := oauth2.Config{ClientID: "polar_ci_1", Endpoint: oauth2.Endpoint{AuthURL: e.AuthURL, TokenURL: e.TokenURL, AuthStyle: oauth2.AuthStyleInParams}}
	assert.Equal(t, "https://sandbox.polar.sh/oauth2/authorize?client_id=polar_ci_1&response_type=code&state=s", cfg.AuthCodeURL("s"))
	assert.Equal(t, "https://sandbox-api.polar.sh/v1/oauth2/token", cfg.Endpoint.TokenURL)
}

// TestOurSource hands a source to what wants one of theirs.
func TestOurSource(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	registered := register(t, srv)
	app, err := oauth.New(oauth.Config{ClientID: registered.ClientID, ClientSecret: *registered.ClientSecret, RedirectURL: redirectURL, BaseURL: srv.URL, Clock: srv.Now})
	require.NoError(t, err)
	address, attempt := app.Begin()
	token, err := app.Finish(t.Context(), attempt, consent(t, srv, address))
	require.NoError(t, err)
	src, err := app.Source(oauth.NewMemoryStore(*token))
	require.NoError(t, err)

	var ts oauth2.TokenSource = oauth.ToTokenSource(t.Context(), src, func(t *oauth.Token) *oauth2.Token {
		return &oauth2.Token{AccessToken: t.AccessToken, TokenType: "Bearer", Expiry: t.Expiry}
	})
	get := func() int {
		resp, err := oauth2.NewClient(context.WithValue(t.Context(), oauth2.HTTPClient, http.DefaultClient), ts).Get(srv.URL + "/v1/products/")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	assert.Equal(t, 200, get())
	srv.Advance(240 * time.Hour)
	assert.Equal(t, 200, get(), "renewed")

	// and back again
	client, err := polar.New(oauth.FromTokenSource(ts), polar.WithBaseURL(srv.URL))
	require.NoError(t, err)
	_, err = client.Products.List(t.Context(), nil)
	require.NoError(t, err)
}
