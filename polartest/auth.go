package polartest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// The kinds of tokens, as the table calls them.
const (
	kindOrganization = "oat"
	kindPersonal     = "pat"
	kindOAuth        = "oidc"
	kindCustomer     = "customer_session"
	kindMember       = "member_session"
)

// subject is who makes a request.
type subject struct {
	kind     string
	scopes   map[string]bool // nil: all of them
	orgs     []string        // organizations that the token reaches; nil: all of its user's
	userID   string
	customer *customer
	member   *member
	expires  time.Time
	clientID string // OAuth2: the application
}

// addToken remembers a token.
func (s *Server) addToken(token string, who *subject) { s.tokens[token] = who }

// authenticate finds the subject of a request and refuses those that may not make it.
func (c *call) authenticate() error {
	token, given := bearer(c.r)
	if len(c.op.auth) == 0 {
		c.who = &subject{}
		return nil
	}
	if !given {
		if c.op.anyone {
			c.who = &subject{}
			return nil
		}
		return unauthorized()
	}
	who := c.srv.tokens[token]
	if who == nil || !who.expires.IsZero() && !who.expires.After(c.now) || who.customer != nil && who.customer.m.DeletedAt != nil {
		return &apiError{status: http.StatusUnauthorized, body: oauthError{"invalid_token", "The access token is unknown, expired or revoked."},
			challenge: `error="invalid_token", error_description="The access token is unknown, expired or revoked."`}
	}
	if !slices.Contains(c.op.auth, who.kind) {
		if c.op.anyone {
			c.who = &subject{}
			return nil
		}
		return unauthorized()
	}
	if len(c.op.scopes) > 0 && who.scopes != nil && !slices.ContainsFunc(c.op.scopes, func(sc string) bool { return who.scopes[sc] }) {
		scope := strings.Join(c.op.scopes, " ")
		const text = "The request needs a scope that the access token has not."
		return &apiError{status: http.StatusForbidden, body: oauthError{"insufficient_scope", text},
			challenge: `error="insufficient_scope", error_description="` + text + `", scope="` + scope + `"`}
	}
	if id := c.r.Header.Get("Polar-Organization"); id != "" && who.customer == nil {
		if !who.reaches(id) {
			return unauthorized()
		}
		narrow := *who
		narrow.orgs = []string{id}
		who = &narrow
	}
	c.who = who
	return nil
}

func unauthorized() error {
	return &apiError{status: http.StatusUnauthorized, body: namedError{"Unauthorized", "This call needs a token of another kind, or any token at all."},
		challenge: "-"}
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// reaches tells whether the subject sees the objects of an organization.
func (w *subject) reaches(orgID string) bool { return w.orgs == nil || slices.Contains(w.orgs, orgID) }
