package oauth

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// Token is what a user's consent gave: access to the API until Expiry, and the means to renew it.
//
// Its JSON form is for storing it, so it has the secrets in it. In package fmt and in slog a Token shows neither access nor
// refresh token. Package fmt calls no methods of unexported members, though, so do not print a struct that has a Token in
// one.
type Token struct {
	// AccessToken is what calls carry: polar_at_u_… of a user, polar_at_o_… of an organization.
	AccessToken string `json:"access_token"`
	// RefreshToken gets the next token, once: polar_rt_… Empty when there will be none without the user.
	RefreshToken string `json:"refresh_token,omitzero"`
	// Expiry is when the access token ends, by the clock of this machine. Zero when Polar did not say.
	Expiry time.Time `json:"expiry,omitzero"`
	// Scopes are what the user allowed, which may be less than was asked for.
	Scopes []models.Scope `json:"scopes,omitzero"`
	// IDToken says who the user is, signed by Polar; empty without the scope openid. [Client.Finish] has compared what
	// it says with the sign-in, and has not checked the signature: see the package documentation.
	IDToken string `json:"id_token,omitzero"`
}

// Format prints expiry and scopes, whatever the verb but %p and %w: for those, which go vet reports, package fmt calls no
// method.
func (t Token) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{%s expiry:%s scopes:%v}", redacted, t.Expiry.Format(time.RFC3339), t.Scopes)
}

// LogValue returns expiry and scopes.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.Time("expiry", t.Expiry), slog.Any("scopes", t.Scopes))
}

// newToken makes a token of Polar's answer to a request that was sent at a time.
func newToken(out *models.OAuth2Token, sent time.Time) (Token, error) {
	if out.AccessToken == "" || !printable(out.AccessToken) {
		return Token{}, fail("", "Polar's answer has no usable access token")
	}
	if !strings.EqualFold(out.TokenType, "Bearer") {
		return Token{}, fail("", "Polar's answer has a token of the type "+oneLine(out.TokenType, 32)+", not Bearer")
	}
	t := Token{AccessToken: out.AccessToken}
	if out.ExpiresIn > 0 {
		t.Expiry = sent.Add(time.Duration(min(int64(out.ExpiresIn), math.MaxInt64/int64(time.Second))) * time.Second).UTC()
	}
	if out.RefreshToken != nil {
		t.RefreshToken = *out.RefreshToken
	}
	if out.IDToken != nil {
		t.IDToken = *out.IDToken
	}
	for s := range strings.FieldsSeq(out.Scope) {
		t.Scopes = append(t.Scopes, models.Scope(s))
	}
	return t, nil
}

// clockSkew is for how long before its end an access token is not used any more: what is sent now arrives later, and
// clocks differ.
const clockSkew = 10 * time.Second

// usable reports whether the access token can be sent now.
func (t *Token) usable(now time.Time) bool {
	return t.AccessToken != "" && (t.Expiry.IsZero() || now.Before(t.Expiry.Add(-clockSkew)))
}
