package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/oauth"
)

// TestSignIn goes through the whole flow and uses the token.
func TestSignIn(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*app){
		"with a secret":       nil,
		"public":              func(a *app) { a.public = true },
		"for an organization": func(a *app) { a.cfg.SubType = models.OAuth2SubTypeOrganization },
		"without scopes":      func(a *app) { a.cfg.Scopes = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, edit)
			address, attempt := a.Begin()
			u, err := url.Parse(address)
			require.NoError(t, err)
			assert.Equal(t, a.srv.URL+"/oauth2/authorize", strings.TrimSuffix(address, "?"+u.RawQuery))
			assert.Len(t, attempt.Verifier, 43)
			assert.NotContains(t, address, attempt.Verifier)
			assert.Equal(t, attempt.State, u.Query().Get("state"))
			assert.Equal(t, "S256", u.Query().Get("code_challenge_method"))

			stored, err := json.Marshal(attempt) // as a session does
			require.NoError(t, err)
			var back oauth.Attempt
			require.NoError(t, json.Unmarshal(stored, &back))
			require.Equal(t, attempt, back)

			token, err := a.Finish(t.Context(), back, a.consent(t, address, a.srv.OrganizationID()))
			require.NoError(t, err)
			assert.Equal(t, start.Add(864000*time.Second), token.Expiry)
			assert.True(t, a.works(t, token.AccessToken))
			prefix := "polar_at_u_"
			if a.cfg.SubType == models.OAuth2SubTypeOrganization {
				prefix = "polar_at_o_"
			}
			assert.True(t, strings.HasPrefix(token.AccessToken, prefix))
			if a.cfg.Scopes != nil {
				assert.Equal(t, a.cfg.Scopes, token.Scopes)
				assert.NotEmpty(t, token.IDToken)
			} else {
				assert.Greater(t, len(token.Scopes), 50, "all that the application was registered with")
			}
		})
	}
}

// TestAttemptsDiffer shows that nothing of a sign-in is used twice.
func TestAttemptsDiffer(t *testing.T) {
	t.Parallel()
	c := faked(t, nil)
	seen := map[string]bool{}
	for range 100 {
		_, a := c.Begin()
		for _, s := range []string{a.State, a.Verifier, a.Nonce} {
			assert.Len(t, s, 43)
			assert.False(t, seen[s])
			seen[s] = true
		}
	}
}

// TestCallbackOfAnother refuses callbacks that do not belong to the attempt, before anything is sent.
func TestCallbackOfAnother(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	address, attempt := a.Begin()
	good := a.consent(t, address)
	edit := func(f func(url.Values)) url.Values {
		q := url.Values{}
		for k, v := range good {
			q[k] = append([]string(nil), v...)
		}
		f(q)
		return q
	}
	for name, tc := range map[string]struct {
		attempt oauth.Attempt
		query   url.Values
		want    error
	}{
		"no state":             {attempt, edit(func(q url.Values) { q.Del("state") }), oauth.ErrState},
		"empty state":          {attempt, edit(func(q url.Values) { q.Set("state", "") }), oauth.ErrState},
		"wrong state":          {attempt, edit(func(q url.Values) { q.Set("state", "x"+attempt.State[1:]) }), oauth.ErrState},
		"longer state":         {attempt, edit(func(q url.Values) { q.Set("state", attempt.State+"x") }), oauth.ErrState},
		"two states":           {attempt, edit(func(q url.Values) { q.Add("state", attempt.State) }), oauth.ErrState},
		"no attempt":           {oauth.Attempt{}, good, oauth.ErrState},
		"no attempt, no state": {oauth.Attempt{}, edit(func(q url.Values) { q.Del("state") }), oauth.ErrState},
		"no verifier":          {oauth.Attempt{State: attempt.State}, good, oauth.ErrState},
		"other server":         {attempt, edit(func(q url.Values) { q.Set("iss", "https://evil.example") }), oauth.ErrState},
		"server like Polar":    {attempt, edit(func(q url.Values) { q.Set("iss", "https://evilpolar.sh") }), oauth.ErrState},
		"Polar in clear":       {attempt, edit(func(q url.Values) { q.Set("iss", "http://polar.sh") }), oauth.ErrState},
		"error, wrong state":   {attempt, url.Values{"error": {"access_denied"}, "state": {"x"}}, oauth.ErrState},
		"denied":               {attempt, url.Values{"error": {"access_denied"}, "state": {attempt.State}}, oauth.ErrDenied},
		"wrong scope":          {attempt, url.Values{"error": {"invalid_scope"}, "state": {attempt.State}}, oauth.ErrCallback},
		"error and code":       {attempt, edit(func(q url.Values) { q.Set("error", "server_error") }), oauth.ErrCallback},
		"no code":              {attempt, edit(func(q url.Values) { q.Del("code") }), oauth.ErrCallback},
		"two codes":            {attempt, edit(func(q url.Values) { q.Add("code", "y") }), oauth.ErrCallback},
		"code with a newline":  {attempt, edit(func(q url.Values) { q.Set("code", "a\nb") }), oauth.ErrCallback},
		"endless code":         {attempt, edit(func(q url.Values) { q.Set("code", strings.Repeat("a", 5000)) }), oauth.ErrCallback},
		"nothing":              {attempt, nil, oauth.ErrState},
	} {
		token, err := a.Finish(t.Context(), tc.attempt, tc.query)
		require.ErrorIs(t, err, tc.want, name)
		assert.Nil(t, token, name)
		assert.NotContains(t, err.Error(), attempt.State, name)
		assert.NotContains(t, err.Error(), good.Get("code"), name)
		assert.Equal(t, tc.want == oauth.ErrDenied, errors.Is(err, oauth.ErrDenied), name)
	}
	assert.Zero(t, a.exchanges(), "nothing was sent")
	_, err := a.Finish(t.Context(), attempt, edit(func(q url.Values) { q.Set("iss", "https://polar.sh") }))
	require.NoError(t, err, "the good one still works, also when it names Polar's own issuer")
}

// TestDenied refuses on the server's consent page.
func TestDenied(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	address, attempt := a.Begin()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.PostForm(address, url.Values{"action": {"deny"}})
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	back, err := resp.Location()
	require.NoError(t, err)
	_, err = a.Finish(t.Context(), attempt, back.Query())
	require.ErrorIs(t, err, oauth.ErrDenied)
	refusal, ok := errors.AsType[*oauth.CallbackError](err)
	require.True(t, ok)
	assert.Equal(t, "access_denied", refusal.Name)
	assert.Equal(t, "oauth: Polar answered access_denied: The user refused.", err.Error())
	long := &oauth.CallbackError{Name: "a\nb", Description: strings.Repeat("é", 500)}
	assert.Less(t, len(long.Error()), 330)
	assert.NotContains(t, long.Error(), "\n")
}

// TestCodeRefused is what Polar refuses at the exchange: the user has to begin again.
func TestCodeRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	for name, spoil := range map[string]func(*oauth.Attempt, url.Values){
		"verifier of another": func(at *oauth.Attempt, _ url.Values) { at.Verifier = strings.Repeat("v", 43) },
		"code of another":     func(_ *oauth.Attempt, q url.Values) { q.Set("code", "polar_ac_x") },
		"used code": func(at *oauth.Attempt, q url.Values) {
			_, err := a.Finish(t.Context(), *at, q)
			require.NoError(t, err)
		},
		"old code": func(*oauth.Attempt, url.Values) { a.srv.Advance(11 * time.Minute) },
	} {
		address, attempt := a.Begin()
		query := a.consent(t, address)
		spoil(&attempt, query)
		_, err := a.Finish(t.Context(), attempt, query)
		require.ErrorIs(t, err, oauth.ErrReauthorize, name)
		require.ErrorIs(t, err, polar.ErrorName("invalid_grant"), name)
		assert.NotContains(t, err.Error(), query.Get("code"))
	}
	cfg := a.cfg
	cfg.ClientSecret = "polar_cs_other"
	wrong, err := oauth.New(cfg)
	require.NoError(t, err)
	address, attempt := wrong.Begin()
	_, err = wrong.Finish(t.Context(), attempt, a.consent(t, address))
	require.ErrorIs(t, err, polar.ErrorName("invalid_client"))
	assert.NotErrorIs(t, err, oauth.ErrReauthorize)
	assert.NotContains(t, err.Error(), "polar_cs_other")
}

func idToken(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("signature"))
}

// TestIDToken compares what the ID token says with the sign-in.
func TestIDToken(t *testing.T) {
	t.Parallel()
	exp := time.Now().Add(time.Hour).Unix()
	for name, tc := range map[string]struct{ token, want string }{
		"good":           {idToken(fmt.Sprintf(`{"iss":"https://polar.sh","aud":"polar_ci_1","exp":%d,"nonce":"NONCE"}`, exp)), ""},
		"list":           {idToken(fmt.Sprintf(`{"iss":"https://polar.sh","aud":["x","polar_ci_1"],"exp":%d,"nonce":"NONCE"}`, exp)), ""},
		"other app":      {idToken(fmt.Sprintf(`{"iss":"https://polar.sh","aud":["x"],"exp":%d,"nonce":"NONCE"}`, exp)), "another application"},
		"no app":         {idToken(fmt.Sprintf(`{"iss":"https://polar.sh","exp":%d,"nonce":"NONCE"}`, exp)), "another application"},
		"other server":   {idToken(fmt.Sprintf(`{"iss":"https://example.com","aud":"polar_ci_1","exp":%d,"nonce":"NONCE"}`, exp)), "another server"},
		"other sign-in":  {idToken(fmt.Sprintf(`{"iss":"https://polar.sh","aud":"polar_ci_1","exp":%d,"nonce":"x"}`, exp)), "another sign-in"},
		"no nonce":       {idToken(fmt.Sprintf(`{"iss":"https://polar.sh","aud":"polar_ci_1","exp":%d}`, exp)), "another sign-in"},
		"expired":        {idToken(fmt.Sprintf(`{"iss":"https://polar.sh","aud":"polar_ci_1","exp":%d,"nonce":"NONCE"}`, exp-7200)), "expired"},
		"no end":         {idToken(`{"iss":"https://polar.sh","aud":"polar_ci_1","nonce":"NONCE"}`), "expired"},
		"no claims":      {idToken(`[]`), "cannot be read"},
		"no token":       {"abc", "not a JSON web token"},
		"no base64":      {"a.%.c", "not a JSON web token"},
		"audience wrong": {idToken(`{"aud":7}`), "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var raw string
			c := faked(t, func(r *http.Request) (*http.Response, error) {
				return answer(200, `{"access_token":"polar_at_u_1","token_type":"Bearer","expires_in":60,"scope":"openid","id_token":"`+raw+`"}`), nil
			})
			_, attempt := c.Begin()
			attempt.Nonce = "NONCE"
			raw = tc.token
			token, err := c.Finish(t.Context(), attempt, url.Values{"state": {attempt.State}, "code": {"c"}})
			if tc.want == "" {
				require.NoError(t, err)
				assert.Equal(t, raw, token.IDToken)
				return
			}
			require.ErrorIs(t, err, oauth.ErrIDToken)
			require.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), raw)
		})
	}
}

// TestStrangeAnswers of the token endpoint are errors, or read with care.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	finish := func(t *testing.T, body string) (*oauth.Token, error) {
		c := faked(t, func(*http.Request) (*http.Response, error) { return answer(200, body), nil })
		_, attempt := c.Begin()
		return c.Finish(t.Context(), attempt, url.Values{"state": {attempt.State}, "code": {"c"}})
	}
	for _, body := range []string{`{}`, `{"access_token":"a b","token_type":"Bearer"}`, `{"access_token":"secret","token_type":"mac"}`, `{"access_token":`, ``, `[]`} {
		_, err := finish(t, body)
		require.Error(t, err, body)
		assert.NotContains(t, err.Error(), "secret")
	}
	token, err := finish(t, `{"access_token":"a","token_type":"bearer"}`)
	require.NoError(t, err)
	assert.True(t, token.Expiry.IsZero())
	assert.Empty(t, token.Scopes)
	token, err = finish(t, `{"access_token":"a","token_type":"Bearer","expires_in":9223372036854775807}`)
	require.NoError(t, err)
	assert.True(t, token.Expiry.After(time.Now().AddDate(200, 0, 0)))
}

// FuzzCallback never sends anything for a callback whose state is not that of the attempt, and never panics.
func FuzzCallback(f *testing.F) {
	f.Add("state=s&code=c", "s")
	f.Add("state=s&error=access_denied&error_description=%ff", "s")
	f.Add("state=s&state=s&code=c", "s")
	f.Add("state=&code=c", "")
	f.Add("state=s&code=c&iss=https://polar.sh", "s")
	f.Add("state=s&code=c&iss=https://polar.sh.evil.example", "s")
	f.Fuzz(func(t *testing.T, raw, state string) {
		q, _ := url.ParseQuery(raw)
		sent := 0
		c := faked(t, func(r *http.Request) (*http.Response, error) {
			sent++
			require.NoError(t, r.ParseForm())
			require.Equal(t, q.Get("code"), r.PostForm.Get("code"))
			return answer(400, `{"error":"invalid_grant"}`), nil
		})
		_, err := c.Finish(t.Context(), oauth.Attempt{State: state, Verifier: "v"}, q)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "\n")
		may := state != "" && len(q["state"]) == 1 && q.Get("state") == state && q.Get("error") == "" && q.Get("code") != "" &&
			(q.Get("iss") == "" || strings.Contains(q.Get("iss"), "polar.sh"))
		if sent > 0 {
			require.True(t, may)
			require.ErrorIs(t, err, oauth.ErrReauthorize)
		}
	})
}
