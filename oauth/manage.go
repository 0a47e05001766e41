package oauth

import (
	"cmp"
	"context"
	"net/http"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// Introspect asks Polar what an access token or a refresh token is worth now: for whom it speaks, for which scopes, and in
// Organizations which organizations the user chose, all of them when that is empty. A token that is unknown, expired or of
// another application is no error: the answer has Active false. Polar answers this only to applications with a secret.
func (c *Client) Introspect(ctx context.Context, token string) (*models.OAuth2Introspection, error) {
	if err := c.needSecret("look a token up"); err != nil {
		return nil, err
	}
	out, err := c.api.OAuth2.Introspect(ctx, models.OAuth2IntrospectRequest{Token: token, ClientID: c.id, ClientSecret: c.secret()})
	if err != nil {
		return nil, failWith("", "look a token up", err)
	}
	return out, nil
}

// Revoke ends a token at Polar, refresh token and access token together, when a user disconnects the application. A token
// that has ended already is no error. Polar does this only for applications with a secret; the users of others end the
// access in their settings at Polar. What is in a [Store] stays there.
func (c *Client) Revoke(ctx context.Context, t *Token) error {
	if err := c.needSecret("revoke a token"); err != nil {
		return err
	}
	token := ""
	if t != nil {
		token = cmp.Or(t.RefreshToken, t.AccessToken)
	}
	if token == "" {
		return fail(ErrConfig, "there is no token to revoke")
	}
	if err := c.api.OAuth2.Revoke(ctx, models.OAuth2RevokeRequest{Token: token, ClientID: c.id, ClientSecret: c.secret()}); err != nil {
		return failWith("", "revoke a token", err)
	}
	return nil
}

func (c *Client) needSecret(what string) error {
	if c.secret() == "" {
		return fail(ErrConfig, what+": Polar refuses this to public clients, which have no ClientSecret")
	}
	return nil
}

// Metadata is what an authorization server says of itself (RFC 8414, OpenID Connect Discovery): see [Client.Discover].
type Metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	ScopesSupported       []string `json:"scopes_supported"`
	GrantTypesSupported   []string `json:"grant_types_supported"`
	CodeChallengeMethods  []string `json:"code_challenge_methods_supported"`
	SigningAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
}

// Discover reads the server's own description, for programs that have to be told where things are, such as an MCP server or
// a library for OpenID Connect; a [Client] knows it without. An address in it that is not https (http only on this machine),
// or on another site than Polar's and the one asked, is [ErrMetadata].
func (c *Client) Discover(ctx context.Context) (*Metadata, error) {
	out := new(Metadata)
	err := c.api.Do(ctx, polar.Request{Method: http.MethodGet, Path: "/.well-known/openid-configuration", Name: "oauth2:discover"}, out)
	if err != nil {
		return nil, failWith(ErrMetadata, "read the metadata", err)
	}
	for _, u := range []struct {
		name, value string
		required    bool
	}{
		{"issuer", out.Issuer, true},
		{"authorization_endpoint", out.AuthorizationEndpoint, true},
		{"token_endpoint", out.TokenEndpoint, true},
		{"revocation_endpoint", out.RevocationEndpoint, false},
		{"introspection_endpoint", out.IntrospectionEndpoint, false},
		{"registration_endpoint", out.RegistrationEndpoint, false},
		{"userinfo_endpoint", out.UserInfoEndpoint, false},
		{"jwks_uri", out.JWKSURI, false},
	} {
		if u.value == "" && !u.required {
			continue
		}
		if !c.trusts(u.value) {
			return nil, fail(ErrMetadata, u.name+" of the metadata is missing, is not https, or is of another site: "+oneLine(u.value, 128))
		}
	}
	return out, nil
}
