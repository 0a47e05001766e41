package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// Attempt is one sign-in on its way: what [Client.Begin] made up and [Client.Finish] compares. Store it in the session of
// the browser that is sent to Polar, where nobody else can put one, and take it out of there at the callback. Its JSON form
// is for that. It prints as [REDACTED].
type Attempt struct {
	// State comes back in the callback and ties it to this browser.
	State string `json:"state"`
	// Verifier proves to Polar, when the code is exchanged, that the same program asked for it (PKCE).
	Verifier string `json:"verifier"`
	// Nonce comes back inside the ID token; only with the scope openid.
	Nonce string `json:"nonce,omitzero"`
}

// Format writes [REDACTED], whatever the verb but %p and %w: for those, which go vet reports, package fmt calls no method.
func (a Attempt) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

// LogValue returns [REDACTED].
func (a Attempt) LogValue() slog.Value { return slog.StringValue(redacted) }

// Begin makes up a sign-in and returns the address at Polar to send the browser to. It sends nothing.
func (c *Client) Begin() (authorizeURL string, attempt Attempt) {
	attempt = Attempt{State: random(), Verifier: random()}
	sum := sha256.Sum256([]byte(attempt.Verifier))
	q := c.authorize.Query()
	q.Set("response_type", "code")
	q.Set("client_id", c.id)
	q.Set("redirect_uri", c.redirectURL)
	q.Set("state", attempt.State)
	q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	q.Set("code_challenge_method", "S256")
	if len(c.scopes) > 0 {
		q.Set("scope", joinScopes(c.scopes))
	}
	if c.subType != "" {
		q.Set("sub_type", string(c.subType))
	}
	if slices.Contains(c.scopes, models.ScopeOpenid) {
		attempt.Nonce = random()
		q.Set("nonce", attempt.Nonce)
	}
	u := *c.authorize
	u.RawQuery = q.Encode()
	return u.String(), attempt
}

// random returns 256 random bits as 43 characters, the shortest verifier that PKCE allows.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func joinScopes(scopes []models.Scope) string {
	var b strings.Builder
	for i, s := range scopes {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(s))
	}
	return b.String()
}

// Finish turns the callback of a sign-in into a token: attempt is what [Client.Begin] returned for this browser, and query
// that of the URL that Polar sent the browser to. Before anything is sent the callback is compared with the attempt.
// Forget the attempt whatever the outcome; an attempt and a code are good for one try.
//
// Errors: [ErrState], [ErrDenied] and other [*CallbackError], [ErrReauthorize] for a code that is too old or used,
// [ErrIDToken], and those of the call. After a [polar.ErrOutcomeUnknown] the code may be used up: begin again.
func (c *Client) Finish(ctx context.Context, attempt Attempt, query url.Values) (*Token, error) {
	code, err := c.readCallback(attempt, query)
	if err != nil {
		return nil, err
	}
	sent := c.now()
	out, err := c.api.OAuth2.Token(ctx, models.OAuth2AuthorizationCodeRequest{
		ClientID:     c.id,
		ClientSecret: c.optionalSecret(),
		Code:         code,
		RedirectURI:  c.redirectURL,
		CodeVerifier: &attempt.Verifier,
	})
	if err != nil {
		return nil, failWith(grantClass(err), "exchange the code", err)
	}
	t, err := newToken(out, sent)
	if err != nil {
		return nil, err
	}
	if t.IDToken != "" {
		if wrong := c.checkIDToken(t.IDToken, attempt.Nonce); wrong != "" {
			return nil, fail(ErrIDToken, "the ID token "+wrong)
		}
	}
	return &t, nil
}

// grantClass returns the class of an error of the token endpoint.
func grantClass(err error) ErrorClass {
	if errors.Is(err, polar.ErrorName("invalid_grant")) {
		return ErrReauthorize
	}
	return ""
}

// readCallback compares a callback with the attempt that it has to belong to, and returns its code.
func (c *Client) readCallback(attempt Attempt, query url.Values) (code string, err error) {
	if attempt.State == "" || attempt.Verifier == "" {
		return "", fail(ErrState, "no sign-in was begun in this session")
	}
	one := func(name string) (string, bool) {
		values := query[name]
		if len(values) != 1 {
			return "", len(values) == 0
		}
		return values[0], true
	}
	state, ok := one("state")
	if !ok || subtle.ConstantTimeCompare([]byte(state), []byte(attempt.State)) != 1 {
		return "", fail(ErrState, "the state of the callback is not that of the sign-in that was begun in this session")
	}
	// RFC 9207: an answer of another server does not belong to this attempt either
	if iss, ok := one("iss"); !ok || iss != "" && !c.trusts(iss) {
		return "", fail(ErrState, "the callback comes from another server than the one that the browser was sent to")
	}
	if name, ok := one("error"); !ok || name != "" {
		description, _ := one("error_description")
		return "", &CallbackError{Name: name, Description: description}
	}
	code, ok = one("code")
	if !ok || code == "" || !printable(code) || len(code) > 4096 {
		return "", fail(ErrCallback, "the callback has no usable code")
	}
	return code, nil
}

// idSkew is how far the clock of this machine may be off when an ID token is judged.
const idSkew = 5 * time.Minute

// checkIDToken returns what is wrong with an ID token that came from the token endpoint, and "" when nothing is. The
// signature is not looked at: the token came over TLS from Polar itself, in answer to our own request, where OpenID Connect
// leaves that out.
func (c *Client) checkIDToken(raw, nonce string) string {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return "is not a JSON web token"
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "is not a JSON web token"
	}
	var claims struct {
		Issuer   string   `json:"iss"`
		Audience audience `json:"aud"`
		Expires  float64  `json:"exp"`
		Nonce    string   `json:"nonce"`
	}
	if jsonx.Unmarshal(data, &claims) != nil {
		return "has claims that cannot be read"
	}
	switch {
	case !c.trusts(claims.Issuer):
		return "was issued by another server"
	case !slices.Contains(claims.Audience, c.id):
		return "was issued for another application"
	case nonce != "" && subtle.ConstantTimeCompare([]byte(claims.Nonce), []byte(nonce)) != 1:
		return "was issued for another sign-in"
	case !(claims.Expires > float64(c.now().Add(-idSkew).Unix())):
		return "has expired; is the clock of this machine right?"
	}
	return ""
}

// audience is one text or a list of them.
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*a = audience{""}
		return jsonx.Unmarshal(data, &(*a)[0])
	}
	return jsonx.Unmarshal(data, (*[]string)(a))
}
