package oauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/oauth"
)

// TestConfig checks configurations when the client is made.
func TestConfig(t *testing.T) {
	t.Parallel()
	good := oauth.Config{ClientID: "polar_ci_1", RedirectURL: "https://example.com/cb"}
	for want, edit := range map[string]func(*oauth.Config){
		"":                              func(*oauth.Config) {},
		"ClientID is empty":             func(c *oauth.Config) { c.ClientID = "" },
		"ClientID has a space":          func(c *oauth.Config) { c.ClientID = "polar_ci_1\n" },
		"ClientID is the secret":        func(c *oauth.Config) { c.ClientID = "polar_cs_1" },
		"ClientSecret has a space":      func(c *oauth.Config) { c.ClientSecret = "polar_cs_1 " },
		"RedirectURL is not an":         func(c *oauth.Config) { c.RedirectURL = "/cb" },
		"RedirectURL has a fragment":    func(c *oauth.Config) { c.RedirectURL += "#" },
		"RedirectURL has no host":       func(c *oauth.Config) { c.RedirectURL = "https:///cb" },
		"RedirectURL has to begin":      func(c *oauth.Config) { c.RedirectURL = "http://example.com/cb" },
		"http:// is only for":           func(c *oauth.Config) { c.RedirectURL = "http://192.0.2.1/cb" },
		"RedirectURL has a user":        func(c *oauth.Config) { c.RedirectURL = "https://a:b@example.com/cb" },
		"RedirectURL has capitals":      func(c *oauth.Config) { c.RedirectURL = "HTTPS://example.com/cb" },
		"RedirectURL has the scheme":    func(c *oauth.Config) { c.RedirectURL = "javascript:alert(1)" },
		`scope "a b" is not one scope`:  func(c *oauth.Config) { c.Scopes = []models.Scope{"openid", "a b"} },
		`SubType "team" is unknown`:     func(c *oauth.Config) { c.SubType = "team" },
		`Environment "test" is unknown`: func(c *oauth.Config) { c.Environment = "test" },
		"both set":                      func(c *oauth.Config) { c.Environment, c.BaseURL = polar.Sandbox, "https://example.com" },
		"base URL has to begin":         func(c *oauth.Config) { c.BaseURL = "example.com" },
		"AuthorizeURL has to begin":     func(c *oauth.Config) { c.AuthorizeURL = "http://example.com/authorize" },
		"AuthorizeURL does not parse":   func(c *oauth.Config) { c.AuthorizeURL = "https://example.com/%zz" },
	} {
		cfg := good
		edit(&cfg)
		_, err := oauth.New(cfg)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, oauth.ErrConfig, want)
		require.ErrorContains(t, err, want)
		if cfg.ClientSecret != "" {
			assert.NotContains(t, err.Error(), "polar_cs_1")
		}
	}
	for _, redirect := range []string{"http://localhost/cb", "http://127.0.0.1:8080/cb", "http://[::1]:8080/cb", "http://app.localhost/cb", "com.example.app:/cb", "https://example.com/cb?x=1"} {
		cfg := good
		cfg.RedirectURL = redirect
		_, err := oauth.New(cfg)
		require.NoError(t, err, redirect)
	}
	_, err := oauth.New(good, nil)
	require.ErrorIs(t, err, oauth.ErrConfig)
	c, err := oauth.New(good)
	require.NoError(t, err)
	_, err = c.Source(nil)
	require.ErrorIs(t, err, oauth.ErrConfig)
}

// TestServers sends the browser and the calls to the servers of the environment.
func TestServers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cfg             oauth.Config
		authorize, host string
	}{
		{oauth.Config{}, "https://polar.sh/oauth2/authorize", "api.polar.sh"},
		{oauth.Config{Environment: polar.Production}, "https://polar.sh/oauth2/authorize", "api.polar.sh"},
		{oauth.Config{Environment: polar.Sandbox}, "https://sandbox.polar.sh/oauth2/authorize", "sandbox-api.polar.sh"},
		{oauth.Config{BaseURL: "https://proxy.example.com/polar/"}, "https://proxy.example.com/polar/oauth2/authorize", "proxy.example.com"},
		{oauth.Config{BaseURL: "http://127.0.0.1:8000", AuthorizeURL: "http://127.0.0.1:3000/oauth2/authorize?theme=dark"}, "http://127.0.0.1:3000/oauth2/authorize", "127.0.0.1:8000"},
	} {
		asked := ""
		tc.cfg.ClientID, tc.cfg.RedirectURL = "polar_ci_1", "https://example.com/cb"
		c, err := oauth.New(tc.cfg, polar.WithEnvironment(polar.Sandbox), polar.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.Host
			return answer(400, `{"error":"invalid_grant"}`), nil
		})}))
		require.NoError(t, err)
		address, attempt := c.Begin()
		before, query, _ := strings.Cut(address, "?")
		assert.Equal(t, tc.authorize, before)
		assert.Equal(t, strings.Contains(tc.cfg.AuthorizeURL, "dark"), strings.Contains(query, "theme=dark"), "what AuthorizeURL has stays")
		_, err = c.Finish(t.Context(), attempt, url.Values{"state": {attempt.State}, "code": {"c"}})
		require.ErrorIs(t, err, oauth.ErrReauthorize)
		assert.Equal(t, tc.host, asked)

		asked = ""
		src, err := c.Source(oauth.NewMemoryStore(oauth.Token{AccessToken: "a"}))
		require.NoError(t, err)
		api, err := src.Client(polar.WithEnvironment(polar.Sandbox))
		require.NoError(t, err)
		_, err = api.Products.List(t.Context(), nil)
		require.Error(t, err)
		assert.Equal(t, tc.host, asked)
	}
	assert.Equal(t, oauth.Endpoint{}, oauth.EndpointOf("x"))
	assert.Equal(t, "https://sandbox-api.polar.sh/v1/oauth2/token", oauth.EndpointOf(polar.Sandbox).TokenURL)
}

// TestRedaction prints everything that holds a secret in every way.
func TestRedaction(t *testing.T) {
	t.Parallel()
	cfg := oauth.Config{ClientID: "polar_ci_1", ClientSecret: "SECRET1", RedirectURL: "https://example.com/cb", Scopes: []models.Scope{"openid"}}
	c, err := oauth.New(cfg)
	require.NoError(t, err)
	_, attempt := c.Begin()
	token := oauth.Token{AccessToken: "SECRET2", RefreshToken: "SECRET3", IDToken: "SECRET4", Scopes: []models.Scope{"openid"}, Expiry: start.AddDate(900, 0, 0)}
	store := oauth.NewMemoryStore(token)
	src, err := c.Source(store)
	require.NoError(t, err)
	_, err = src.Token(t.Context())
	require.NoError(t, err)
	api, err := src.Client()
	require.NoError(t, err)
	secrets := []string{"SECRET", attempt.State, attempt.Verifier, attempt.Nonce}
	for _, s := range secrets[:1] {
		secrets = append(secrets, fmt.Sprintf("%x", s), strings.Trim(fmt.Sprint([]byte(s)), "[]"))
	}
	values := []any{cfg, &cfg, token, &token, attempt, &attempt, c, *c, src, store, src.Credential(), api,
		struct{ T oauth.Token }{token}, struct{ T *oauth.Token }{&token}, []oauth.Token{token}, map[string]oauth.Attempt{"a": attempt}}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			text := fmt.Sprintf(verb, v)
			for _, secret := range secrets {
				assert.NotContains(t, text, secret, "%T %s", v, verb)
			}
		}
	}
	for _, v := range []any{cfg, &cfg, token, &token, attempt, &attempt} {
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		for _, secret := range secrets {
			assert.NotContains(t, b.String(), secret, "%T", v)
		}
	}
	assert.Equal(t, "{[REDACTED] expiry:2926-11-02T09:00:00Z scopes:[openid]}", fmt.Sprint(token))
	assert.Contains(t, fmt.Sprintf("%+v", cfg), "ClientID:polar_ci_1 ClientSecret:[REDACTED]")
	data, err := json.Marshal(cfg)
	require.NoError(t, err)
	assert.NotContains(t, string(data), "SECRET")
	data, err = json.Marshal(token)
	require.NoError(t, err)
	var back oauth.Token
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, token, back, "JSON is for storing it")
}

// TestHandlers signs in with a browser that keeps cookies.
func TestHandlers(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	a := newApp(t, func(a *app) { a.cfg.RedirectURL = site.URL + "/callback" })
	var got *oauth.Token
	var failed error
	login, callback, err := a.Handlers(func(w http.ResponseWriter, r *http.Request, t *oauth.Token, err error) {
		got, failed = t, err
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	require.NoError(t, err)
	mux.Handle("/login", login)
	mux.Handle("/callback", callback)
	mux.HandleFunc("/{$}", func(http.ResponseWriter, *http.Request) {})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	get := func(address string) *http.Response {
		resp, err := browser.Get(address)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
		return resp
	}

	page := get(site.URL + "/login")
	require.Equal(t, "/oauth2/authorize", page.Request.URL.Path)
	// the user agrees; the browser follows to the callback and on to the first page
	var visited []*http.Request
	browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error { visited = append(visited, r); return nil }
	resp, err := browser.PostForm(page.Request.URL.String(), url.Values{"action": {"allow"}})
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, failed)
	assert.True(t, a.works(t, got.AccessToken))
	assert.Equal(t, site.URL+"/", resp.Request.URL.String())
	require.Len(t, visited, 2)

	// the same callback again: the attempt is gone
	get(visited[0].URL.String())
	require.ErrorIs(t, failed, oauth.ErrState)
	assert.Nil(t, got)

	// another browser, and a cookie that is no attempt
	other, err := http.Get(visited[0].URL.String())
	require.NoError(t, err)
	require.NoError(t, other.Body.Close())
	require.ErrorIs(t, failed, oauth.ErrState)
	for _, value := range []string{"%", "e30", "bnVsbA", "WzFd", strings.Repeat("A", 3000)} {
		req := httptest.NewRequest("GET", "/callback?state=&code=c", nil)
		req.AddCookie(&http.Cookie{Name: "polar_oauth", Value: value})
		callback.ServeHTTP(httptest.NewRecorder(), req)
		require.ErrorIs(t, failed, oauth.ErrState, value)
	}
	assert.Equal(t, 1, a.exchanges())

	for _, h := range []http.Handler{login, callback} {
		for _, method := range []string{"POST", "HEAD", "PUT"} {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(method, "/?state=s&code=c", nil))
			assert.Equal(t, 405, rec.Code)
			assert.Equal(t, "GET", rec.Header().Get("Allow"))
			assert.Empty(t, rec.Header().Values("Set-Cookie"))
		}
	}
}

// TestCookie has the attributes that keep the attempt to this browser and this host.
func TestCookie(t *testing.T) {
	t.Parallel()
	for redirect, want := range map[string]string{
		"https://example.com/cb":    "__Host-polar_oauth=X; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
		"http://localhost:8080/cb":  "polar_oauth=X; Path=/; Max-Age=600; HttpOnly; SameSite=Lax",
		"https://localhost:8080/cb": "__Host-polar_oauth=X; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
	} {
		c, err := oauth.New(oauth.Config{ClientID: "polar_ci_1", RedirectURL: redirect})
		require.NoError(t, err)
		login, callback, err := c.Handlers(func(w http.ResponseWriter, _ *http.Request, _ *oauth.Token, err error) {
			assert.ErrorIs(t, err, oauth.ErrState)
			w.WriteHeader(http.StatusForbidden)
		})
		require.NoError(t, err)
		rec := httptest.NewRecorder()
		login.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		assert.Equal(t, http.StatusSeeOther, rec.Code)
		assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
		name, rest, _ := strings.Cut(rec.Header().Get("Set-Cookie"), "=")
		_, rest, _ = strings.Cut(rest, ";")
		assert.Equal(t, want, name+"=X;"+rest)
		rec = httptest.NewRecorder()
		callback.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		assert.Equal(t, http.StatusForbidden, rec.Code)
		assert.Contains(t, rec.Header().Get("Set-Cookie"), name+"=; Path=/; Max-Age=0")
		assert.Equal(t, "no-referrer", rec.Header().Get("Referrer-Policy"), "the code is not told to the next page")
	}
	c, err := oauth.New(oauth.Config{ClientID: "polar_ci_1", RedirectURL: "com.example.app:/cb"})
	require.NoError(t, err)
	_, _, err = c.Handlers(func(http.ResponseWriter, *http.Request, *oauth.Token, error) {})
	require.ErrorIs(t, err, oauth.ErrConfig)
	_, _, err = c.Handlers(nil)
	require.ErrorIs(t, err, oauth.ErrConfig)
}

// TestIntrospectAndRevoke looks at a token and ends it.
func TestIntrospectAndRevoke(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	token := a.signIn(t, a.srv.OrganizationID())
	info, err := a.Introspect(t.Context(), token.AccessToken)
	require.NoError(t, err)
	assert.True(t, info.Active)
	assert.Equal(t, []string{a.srv.OrganizationID()}, info.Organizations)
	assert.Equal(t, a.cfg.ClientID, info.ClientID)
	require.NoError(t, a.Revoke(t.Context(), token))
	require.NoError(t, a.Revoke(t.Context(), token), "twice is no error")
	info, err = a.Introspect(t.Context(), token.RefreshToken)
	require.NoError(t, err)
	assert.False(t, info.Active)
	assert.False(t, a.works(t, token.AccessToken))
	token = a.signIn(t)
	require.NoError(t, a.Revoke(t.Context(), &oauth.Token{AccessToken: token.AccessToken}))
	assert.False(t, a.works(t, token.AccessToken))
	require.ErrorIs(t, a.Revoke(t.Context(), nil), oauth.ErrConfig)
	require.ErrorIs(t, a.Revoke(t.Context(), &oauth.Token{}), oauth.ErrConfig)

	public := newApp(t, func(a *app) { a.public = true })
	_, err = public.Introspect(t.Context(), "x")
	require.ErrorIs(t, err, oauth.ErrConfig)
	require.ErrorIs(t, public.Revoke(t.Context(), token), oauth.ErrConfig)
	broken := faked(t, func(*http.Request) (*http.Response, error) { return answer(403, `{}`), nil })
	_, err = broken.Introspect(t.Context(), "SECRET")
	require.ErrorIs(t, err, polar.ErrForbidden)
	assert.NotContains(t, err.Error(), "SECRET")
	require.ErrorIs(t, broken.Revoke(t.Context(), token), polar.ErrForbidden)
}

// TestDiscover reads the metadata and trusts only what belongs to the server.
func TestDiscover(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	m, err := a.Discover(t.Context())
	require.NoError(t, err)
	assert.Equal(t, a.srv.URL+"/v1/oauth2/token", m.TokenEndpoint)
	assert.Equal(t, []string{"plain", "S256"}, m.CodeChallengeMethods)
	address, _ := a.Begin()
	assert.True(t, strings.HasPrefix(address, m.AuthorizationEndpoint+"?"))

	good := map[string]any{"issuer": "https://polar.sh", "authorization_endpoint": "https://sandbox.polar.sh/oauth2/authorize", "token_endpoint": "https://sandbox-api.polar.sh/v1/oauth2/token"}
	ask := func(edit map[string]any) error {
		doc := map[string]any{}
		for _, m := range []map[string]any{good, edit} {
			for k, v := range m {
				doc[k] = v
			}
		}
		body, err := json.Marshal(doc)
		require.NoError(t, err)
		_, err = faked(t, func(r *http.Request) (*http.Response, error) {
			assert.Empty(t, r.Header.Get("Authorization"))
			return answer(200, string(body)), nil
		}).Discover(t.Context())
		return err
	}
	require.NoError(t, ask(nil))
	for name, value := range map[string]any{
		"issuer": "https://polar.sh.evil.example", "authorization_endpoint": "https://evil.example/authorize", "token_endpoint": "", "revocation_endpoint": "http://api.polar.sh/v1/oauth2/revoke",
		"introspection_endpoint": "/v1/introspect", "registration_endpoint": "https://api.polar.sh@evil.example/", "userinfo_endpoint": "https://127.0.0.1/", "jwks_uri": "file:///etc/passwd",
	} {
		err := ask(map[string]any{name: value})
		require.ErrorIs(t, err, oauth.ErrMetadata, name)
		require.ErrorContains(t, err, name)
	}
	require.ErrorIs(t, ask(map[string]any{"issuer": 7}), oauth.ErrMetadata)
	_, err = faked(t, func(*http.Request) (*http.Response, error) { return answer(404, `{}`), nil }).Discover(t.Context())
	require.ErrorIs(t, err, oauth.ErrMetadata)
	require.ErrorIs(t, err, polar.ErrAPIVersion)
}

// foreign is a token as golang.org/x/oauth2 has them.
type foreign struct{ kind, text string }

func (f *foreign) Valid() bool                   { return f != nil && f.text != "" }
func (f *foreign) SetAuthHeader(r *http.Request) { r.Header.Set("Authorization", f.kind+" "+f.text) }

type foreignSource func() (*foreign, error)

func (f foreignSource) Token() (*foreign, error) { return f() }

// TestTokenSources converts sources in both directions.
func TestTokenSources(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	token := a.signIn(t)
	give := func(f *foreign, err error) error {
		client, nerr := polar.New(oauth.FromTokenSource(foreignSource(func() (*foreign, error) { return f, err })), polar.WithBaseURL(a.srv.URL))
		require.NoError(t, nerr)
		_, err = client.Products.List(t.Context(), nil)
		return err
	}
	require.NoError(t, give(&foreign{"Bearer", token.AccessToken}, nil))
	sent := len(a.srv.Requests())
	require.ErrorIs(t, give(nil, errDisk), errDisk)
	require.ErrorContains(t, give(nil, nil), "empty or has expired")
	err := give(&foreign{"MAC", "SECRET"}, nil)
	require.ErrorContains(t, err, "not of the type Bearer")
	assert.NotContains(t, err.Error(), "SECRET")
	assert.Len(t, a.srv.Requests(), sent, "nothing was sent")
	_, err = polar.New(oauth.FromTokenSource[*foreign](nil))
	require.ErrorContains(t, err, "nil")

	src := a.source(t, oauth.NewMemoryStore(*token))
	ctx, cancel := context.WithCancel(t.Context())
	ts := oauth.ToTokenSource(ctx, src, func(t *oauth.Token) *foreign { return &foreign{"Bearer", t.AccessToken} })
	f, err := ts.Token()
	require.NoError(t, err)
	assert.Equal(t, token.AccessToken, f.text)
	cancel()
	f, err = ts.Token()
	require.True(t, errors.Is(err, context.Canceled))
	assert.Nil(t, f)
	_, err = oauth.ToTokenSource[*foreign](ctx, src, nil).Token()
	require.ErrorIs(t, err, oauth.ErrConfig)
}
