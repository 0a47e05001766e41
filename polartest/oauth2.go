package polartest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// oauth is what the server knows as an authorization server.
type oauth struct {
	clients  map[string]*oauthClient // by client id
	codes    map[string]*oauthCode
	tokens   map[string]*oauthToken // access and refresh tokens
	sessions map[string]bool        // tokens of users who are signed in at the server's pages
	key      ed25519.PrivateKey
}

type oauthClient struct {
	m         models.OAuth2Client
	createdAt time.Time
	changedAt *time.Time
	secret    string
}

// allowed is what a user lets an application do.
type allowed struct {
	client  *oauthClient
	scopes  []string
	subType models.OAuth2SubType
	sub     string   // the user, or the organization
	orgs    []string // those that the user chose; empty: all of them
	nonce   string
}

type oauthCode struct {
	allowed
	redirectURI, challenge, method string
	expires                        time.Time
}

// oauthToken is an access or a refresh token. A pair lives and dies together.
type oauthToken struct {
	allowed
	kind    models.OAuth2TokenType
	issued  time.Time
	expires time.Time // zero: never
	pair    string
}

const (
	consentPath = "/oauth2/authorize"
	accessLife  = 864_000 * time.Second
	codeLife    = 10 * time.Minute

	kindRegistration = "registration" // a token that manages one OAuth2 client
)

func oauthHandlers() handlers {
	return handlers{
		"oauth2:authorize": authorizeInfo, "oauth2:request_token": requestToken, "oauth2:introspect_token": introspect, "oauth2:revoke_token": revokeToken, "oauth2:userinfo": userInfo,
		"oauth2:clients:oauth2:create_client": registerClient, "oauth2:clients:oauth2:get_client": getClient,
		"oauth2:clients:oauth2:update_client": updateClient, "oauth2:clients:oauth2:delete_client": deleteClient,
	}
}

// oauthFail is an error as OAuth 2 writes it.
func oauthFail(status int, name, description string) error {
	return &apiError{status: status, body: oauthError{name, description}}
}

// userID is the id of the one user that the server has.
func (s *Server) userID() string {
	if s.user.id == "" {
		s.user.id = s.uuid()
	}
	return s.user.id
}

func (s *Server) userEmail() string { return "owner@" + s.org.m.Slug + ".example.com" }

func registerClient(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.OAuth2ClientUpdate](c)
	if err != nil {
		return nil, err
	}
	x := &oauthClient{createdAt: c.now, secret: s.token("polar_cs_")}
	x.m.ClientID = s.token("polar_ci_")
	x.m.ClientIDIssuedAt = int(c.now.Unix())
	registration := s.token("polar_crt_")
	x.m.RegistrationAccessToken, x.m.RegistrationClientURI = &registration, new(s.URL+"/v1/oauth2/register/"+x.m.ClientID)
	if err := x.configure(body); err != nil {
		return nil, err
	}
	put(&s.oauth.clients, x.m.ClientID, x)
	s.addToken(registration, &subject{kind: kindRegistration, clientID: x.m.ClientID})
	return x.m, nil
}

// configure takes what an application says of itself. A public one has no secret.
func (x *oauthClient) configure(body models.OAuth2ClientUpdate) error {
	if len(body.RedirectURIs) == 0 {
		return oauthFail(http.StatusBadRequest, "invalid_redirect_uri", "At least one redirect URI is needed.")
	}
	for _, text := range body.RedirectURIs {
		u, err := url.Parse(text)
		if err != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
			return oauthFail(http.StatusBadRequest, "invalid_redirect_uri", "A redirect URI must be https, or http on the loopback interface, without a fragment.")
		}
	}
	m := &x.m
	m.RedirectURIs, m.ClientName, m.ClientURI, m.LogoURI, m.TOSURI, m.PolicyURI = body.RedirectURIs, body.ClientName, body.ClientURI, body.LogoURI, body.TOSURI, body.PolicyURI
	m.TokenEndpointAuthMethod = new(or(body.TokenEndpointAuthMethod, models.OAuth2AuthMethodClientSecretPost))
	m.GrantTypes, m.ResponseTypes = body.GrantTypes, body.ResponseTypes
	if m.GrantTypes == nil {
		m.GrantTypes = []models.OAuth2GrantType{models.OAuth2GrantTypeAuthorizationCode, models.OAuth2GrantTypeRefreshToken}
	}
	if m.ResponseTypes == nil {
		m.ResponseTypes = []string{"code"}
	}
	m.Scope = new(or(body.Scope, strings.Join(allScopes(), " ")))
	if _, err := knownScopes(*m.Scope, allScopes()); err != nil {
		return err
	}
	m.DefaultSubType = new(or(body.DefaultSubType, models.OAuth2SubTypeUser))
	m.ClientSecret = &x.secret
	if x.public() {
		m.ClientSecret = nil
	}
	return nil
}

func isLoopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

func (x *oauthClient) public() bool {
	return deref(x.m.TokenEndpointAuthMethod) == models.OAuth2AuthMethodNone
}

func allScopes() []string {
	var out []string
	for _, sc := range models.ScopeValues() {
		out = append(out, string(sc))
	}
	return out
}

// knownScopes splits a list of scopes and refuses those that are not allowed.
func knownScopes(list string, of []string) ([]string, error) {
	out := strings.Fields(list)
	for _, sc := range out {
		if !slices.Contains(of, sc) {
			return nil, oauthFail(http.StatusBadRequest, "invalid_scope", "The scope "+strconv.Quote(sc)+" is unknown or not allowed for this client.")
		}
	}
	return out, nil
}

// pathClient finds the client of the path for its registration token, or for its user.
func (c *call) pathClient() (*oauthClient, error) {
	token, _ := bearer(c.r)
	who := c.srv.tokens[token]
	if who == nil || who.kind != kindRegistration && c.who.kind == "" {
		return nil, unauthorized()
	}
	x := c.srv.oauth.clients[c.path["client_id"]]
	if x == nil || who.kind == kindRegistration && who.clientID != x.m.ClientID {
		return nil, notFound()
	}
	return x, nil
}

func getClient(c *call) (any, error) {
	x, err := c.pathClient()
	if err != nil {
		return nil, err
	}
	return x.m, nil
}

func updateClient(c *call) (any, error) {
	x, err := c.pathClient()
	if err != nil {
		return nil, err
	}
	body, err := decode[models.OAuth2ClientUpdate](c)
	if err != nil {
		return nil, err
	}
	if body.ClientID != x.m.ClientID {
		return nil, oauthFail(http.StatusBadRequest, "invalid_request", "The client_id of the body is not that of the path.")
	}
	next := *x
	if err := next.configure(body); err != nil {
		return nil, err
	}
	*x = next
	x.changedAt = new(c.now)
	return x.m, nil
}

func deleteClient(c *call) (any, error) {
	x, err := c.pathClient()
	if err != nil {
		return nil, err
	}
	o := &c.srv.oauth
	delete(o.clients, x.m.ClientID)
	delete(c.srv.tokens, deref(x.m.RegistrationAccessToken))
	for _, token := range sortedTokens(o.tokens) {
		if o.tokens[token].client == x {
			c.srv.forgetToken(token)
		}
	}
	return nil, nil
}

func sortedTokens(m map[string]*oauthToken) []string { return slices.Sorted(keys(m)) }

// ask reads an authorization request. An error of a request whose redirect URI is right belongs to the client: back is that URI.
func (s *Server) ask(q url.Values) (code *oauthCode, back string, err error) {
	x := s.oauth.clients[q.Get("client_id")]
	if x == nil {
		return nil, "", oauthFail(http.StatusBadRequest, "invalid_client", "There is no client with this client_id.")
	}
	back = q.Get("redirect_uri")
	if back == "" && len(x.m.RedirectURIs) == 1 {
		back = x.m.RedirectURIs[0]
	}
	if !slices.Contains(x.m.RedirectURIs, back) {
		return nil, "", oauthFail(http.StatusBadRequest, "invalid_request", "The redirect_uri is not one of the client's.")
	}
	if q.Get("response_type") != "code" {
		return nil, back, oauthFail(http.StatusBadRequest, "unsupported_response_type", "The response_type must be code.")
	}
	list := q.Get("scope")
	if list == "" {
		list = *x.m.Scope
	}
	scopes, err := knownScopes(list, strings.Fields(*x.m.Scope))
	if err != nil {
		return nil, back, err
	}
	method := q.Get("code_challenge_method")
	switch challenge := q.Get("code_challenge"); {
	case challenge == "" && x.public():
		return nil, back, oauthFail(http.StatusBadRequest, "invalid_request", "A public client must send a code_challenge.")
	case challenge != "" && method == "":
		method = "plain"
	case challenge != "" && method != "plain" && method != "S256":
		return nil, back, oauthFail(http.StatusBadRequest, "invalid_request", "The code_challenge_method must be S256 or plain.")
	}
	subType := models.OAuth2SubType(q.Get("sub_type"))
	if subType == "" {
		subType = *x.m.DefaultSubType
	}
	if !subType.Known() {
		return nil, back, oauthFail(http.StatusBadRequest, "invalid_request", "The sub_type must be user or organization.")
	}
	return &oauthCode{allowed: allowed{client: x, scopes: scopes, subType: subType, nonce: q.Get("nonce")}, redirectURI: back, challenge: q.Get("code_challenge"), method: method}, back, nil
}

func authorizeInfo(c *call) (any, error) {
	s := c.srv
	code, _, err := s.ask(c.query)
	if err != nil {
		return nil, err
	}
	x := code.client
	out := models.AuthorizeInfo{SubType: code.subType, RequiresSingleOrganization: new(false), ScopeDisplayNames: map[string]string{}, Client: models.OAuth2ClientPublic{CreatedAt: x.createdAt,
		ModifiedAt: x.changedAt, ClientID: x.m.ClientID, ClientName: &x.m.ClientName, ClientURI: x.m.ClientURI, LogoURI: x.m.LogoURI, TOSURI: x.m.TOSURI, PolicyURI: x.m.PolicyURI}}
	for _, sc := range code.scopes {
		out.Scopes = append(out.Scopes, models.Scope(sc))
		out.ScopeDisplayNames[sc] = systemLabel(strings.ReplaceAll(sc, ":", " "))
	}
	if c.who.kind != "" {
		for _, o := range s.organizations.all {
			out.Organizations = append(out.Organizations, models.AuthorizeSubject{ID: o.m.ID, Slug: &o.m.Slug, Name: &o.m.Name, AvatarURL: o.m.AvatarURL})
		}
		if code.subType == models.OAuth2SubTypeUser {
			out.Sub = &models.AuthorizeSubject{ID: s.userID(), Email: new(s.userEmail())}
		}
	}
	return out, nil
}

// allow gives an application the code of what a user allowed.
func (s *Server) allow(code *oauthCode, sub string, orgs []string) (string, error) {
	for _, id := range orgs {
		if _, ok := s.organizations.get(id); !ok {
			return "", oauthFail(http.StatusBadRequest, "invalid_request", "There is no organization with this id.")
		}
	}
	code.sub, code.orgs = s.userID(), orgs
	if code.subType == models.OAuth2SubTypeOrganization {
		if sub == "" {
			sub = s.org.m.ID
		}
		if _, ok := s.organizations.get(sub); !ok {
			return "", oauthFail(http.StatusBadRequest, "invalid_request", "There is no organization with this id.")
		}
		code.sub, code.orgs = sub, []string{sub}
	}
	code.expires = s.at.Add(codeLife)
	text := s.token("polar_ac_")
	put(&s.oauth.codes, text, code)
	return text, nil
}

// Authorize plays the user who agrees to what an application asks for: query is that of the address to which the
// application sends the browser. It returns the address at which the application gets its code. With organizations
// the user chooses which ones the application may reach, all of them otherwise.
func (s *Server) Authorize(query url.Values, organizations ...string) (*url.URL, error) {
	var to *url.URL
	err := s.do(func() (err error) {
		code, back, err := s.ask(query)
		if err != nil {
			return err
		}
		sub := ""
		if len(organizations) > 0 {
			sub = organizations[0]
		}
		text, err := s.allow(code, sub, organizations)
		if err != nil {
			return err
		}
		to, err = s.redirectTo(back, url.Values{"code": {text}}, query.Get("state"))
		return err
	})
	return to, err
}

// UserSession makes a token of a user who is signed in at the server's pages, as the web grant of OAuth2 takes it.
func (s *Server) UserSession() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.token("polar_us_")
	put(&s.oauth.sessions, t, true)
	return t
}

// redirectTo makes the address that takes the browser back to the application. It names the server that answers, as RFC
// 9207 wants it.
func (s *Server) redirectTo(back string, add url.Values, state string) (*url.URL, error) {
	u, err := url.Parse(back)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	for k, v := range add {
		q[k] = v
	}
	q.Set("iss", s.URL)
	if state != "" {
		q.Set("state", state)
	}
	u.RawQuery = q.Encode()
	return u, nil
}

// consentView is the page that asks a user for access.
type consentView struct {
	Client        string
	Scopes        []string
	One           bool // the access is to one organization
	Organizations []models.Organization
}

// serveConsent asks the user, and sends the answer to the application.
func (s *Server) serveConsent(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code, back, err := s.ask(q)
	if err == nil && r.Method != http.MethodPost {
		view := consentView{Client: code.client.m.ClientName, Scopes: code.scopes, One: code.subType == models.OAuth2SubTypeOrganization}
		for _, o := range s.organizations.all {
			view.Organizations = append(view.Organizations, o.m)
		}
		s.showPage(w, http.StatusOK, "consent", "'none'", pageView{Title: view.Client + " asks for access", Body: view})
		return
	}
	if err == nil {
		err = oauthFail(http.StatusBadRequest, "access_denied", "The user refused.")
		if r.FormValue("action") == "allow" {
			var text string
			if text, err = s.allow(code, r.PostFormValue("sub"), r.PostForm["organization_id"]); err == nil {
				if to, err := s.redirectTo(back, url.Values{"code": {text}}, q.Get("state")); err == nil {
					http.Redirect(w, r, to.String(), http.StatusFound)
					return
				}
			}
		}
	}
	if e, ok := errors.AsType[*apiError](err); ok && back != "" {
		if o, ok := e.body.(oauthError); ok {
			if to, err := s.redirectTo(back, url.Values{"error": {o.Error}, "error_description": {o.Description}}, q.Get("state")); err == nil {
				http.Redirect(w, r, to.String(), http.StatusFound)
				return
			}
		}
	}
	write(w, err)
}

// formClient finds the client that a form names and checks its secret. A public client proves itself by sending none, not
// even an empty one; it cannot introspect and revoke, whose forms have to have one.
func (c *call) formClient() (*oauthClient, error) {
	id, _ := c.value["client_id"].(string)
	secret, sent := c.value["client_secret"].(string)
	x := c.srv.oauth.clients[id]
	if x == nil || x.public() && sent || !x.public() && x.secret != secret {
		return nil, oauthFail(http.StatusUnauthorized, "invalid_client", "The client is unknown or its secret is wrong.")
	}
	return x, nil
}

func (c *call) formText(member string) string {
	v, _ := c.value[member].(string)
	return v
}

func requestToken(c *call) (any, error) {
	s := c.srv
	x, err := c.formClient()
	if err != nil {
		return nil, err
	}
	switch c.formText("grant_type") {
	case "authorization_code":
		text := c.formText("code")
		code := s.oauth.codes[text]
		switch {
		case code == nil || code.client != x || !code.expires.After(c.now):
			return nil, oauthFail(http.StatusBadRequest, "invalid_grant", "The code is unknown, used or expired.")
		case code.redirectURI != c.formText("redirect_uri"):
			return nil, oauthFail(http.StatusBadRequest, "invalid_grant", "The redirect_uri is not the one of the authorization request.")
		case !code.proves(c.formText("code_verifier")):
			return nil, oauthFail(http.StatusBadRequest, "invalid_grant", "The code_verifier does not fit the code_challenge.")
		}
		delete(s.oauth.codes, text)
		return s.newTokens(code.allowed), nil
	case "refresh_token":
		text := c.formText("refresh_token")
		t := s.oauth.tokens[text]
		if t == nil || t.client != x || t.kind != models.OAuth2TokenTypeRefreshToken {
			return nil, oauthFail(http.StatusBadRequest, "invalid_grant", "The refresh token is unknown, used or revoked.")
		}
		s.forgetToken(text)
		s.forgetToken(t.pair)
		return s.newTokens(t.allowed), nil
	default: // web
		if !s.oauth.sessions[c.formText("session_token")] {
			return nil, oauthFail(http.StatusBadRequest, "invalid_grant", "The session token is unknown.")
		}
		list := c.formText("scope")
		if list == "" {
			list = *x.m.Scope
		}
		scopes, err := knownScopes(list, strings.Fields(*x.m.Scope))
		if err != nil {
			return nil, err
		}
		a := allowed{client: x, scopes: scopes, subType: models.OAuth2SubTypeUser, sub: s.userID()}
		if c.formText("sub_type") == string(models.OAuth2SubTypeOrganization) {
			o, ok := s.organizations.get(c.formText("sub"))
			if !ok {
				return nil, oauthFail(http.StatusBadRequest, "invalid_grant", "There is no organization with this id.")
			}
			a.subType, a.sub, a.orgs = models.OAuth2SubTypeOrganization, o.m.ID, []string{o.m.ID}
		}
		return s.newTokens(a), nil
	}
}

// proves checks the verifier of a code that was asked for with a challenge.
func (x *oauthCode) proves(verifier string) bool {
	switch x.method {
	case "":
		return true
	case "plain":
		return verifier == x.challenge
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:]) == x.challenge
}

// newTokens makes a pair of tokens, and an ID token for the scope openid.
func (s *Server) newTokens(a allowed) models.OAuth2Token {
	letter := "u_"
	if a.subType == models.OAuth2SubTypeOrganization {
		letter = "o_"
	}
	access, refresh := s.token("polar_at_"+letter), s.token("polar_rt_"+letter)
	until := s.at.Add(accessLife)
	put(&s.oauth.tokens, access, &oauthToken{allowed: a, kind: models.OAuth2TokenTypeAccessToken, issued: s.at, expires: until, pair: refresh})
	put(&s.oauth.tokens, refresh, &oauthToken{allowed: a, kind: models.OAuth2TokenTypeRefreshToken, issued: s.at, pair: access})
	who := &subject{kind: kindOAuth, scopes: map[string]bool{}, expires: until, clientID: a.client.m.ClientID}
	for _, sc := range a.scopes {
		who.scopes[sc] = true
	}
	if len(a.orgs) > 0 {
		who.orgs = a.orgs
	}
	if a.subType == models.OAuth2SubTypeUser {
		who.userID = a.sub
	}
	s.addToken(access, who)
	out := models.OAuth2Token{AccessToken: access, TokenType: "Bearer", ExpiresIn: int(accessLife / time.Second), RefreshToken: &refresh, Scope: strings.Join(a.scopes, " ")}
	if slices.Contains(a.scopes, "openid") {
		out.IDToken = new(s.idToken(a))
	}
	return out
}

func (s *Server) forgetToken(token string) {
	delete(s.oauth.tokens, token)
	delete(s.tokens, token)
}

// signingKey signs ID tokens. The seed of the server decides it.
func (s *Server) signingKey() ed25519.PrivateKey {
	if s.oauth.key == nil {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = s.ids.source.Read(seed)
		s.oauth.key = ed25519.NewKeyFromSeed(seed)
	}
	return s.oauth.key
}

func (s *Server) idToken(a allowed) string {
	claims := map[string]any{"iss": s.URL, "sub": a.sub, "aud": a.client.m.ClientID, "iat": s.at.Unix(), "exp": s.at.Add(time.Hour).Unix()}
	if a.nonce != "" {
		claims["nonce"] = a.nonce
	}
	if a.subType == models.OAuth2SubTypeUser && slices.Contains(a.scopes, "email") {
		claims["email"], claims["email_verified"] = s.userEmail(), true
	}
	header, _ := jsonx.Marshal(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": "polartest"})
	body, _ := jsonx.Marshal(claims)
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.signingKey(), []byte(text)))
}

func introspect(c *call) (any, error) {
	x, err := c.formClient()
	if err != nil {
		return nil, err
	}
	t := c.srv.oauth.tokens[c.formText("token")]
	out := models.OAuth2Introspection{Organizations: []string{}, TokenType: models.OAuth2TokenTypeAccessToken, SubType: models.OAuth2SubTypeUser}
	if t == nil || t.client != x {
		return out, nil
	}
	out.Active = t.expires.IsZero() || t.expires.After(c.now)
	out.ClientID, out.TokenType, out.Scope, out.SubType, out.Sub = x.m.ClientID, t.kind, strings.Join(t.scopes, " "), t.subType, t.sub
	out.Aud, out.Iss, out.IAT, out.Exp = x.m.ClientID, c.srv.URL, t.issued.Unix(), t.issued.Add(accessLife).Unix()
	if t.subType == models.OAuth2SubTypeUser {
		out.Organizations = append(out.Organizations, t.orgs...)
	}
	return out, nil
}

// revokeToken answers the same whether there was such a token or not.
func revokeToken(c *call) (any, error) {
	x, err := c.formClient()
	if err != nil {
		return nil, err
	}
	text := c.formText("token")
	if t := c.srv.oauth.tokens[text]; t != nil && t.client == x {
		c.srv.forgetToken(t.pair)
		c.srv.forgetToken(text)
	}
	return struct{}{}, nil
}

func userInfo(c *call) (any, error) {
	if c.who.userID == "" {
		o, _ := c.srv.organizations.get(c.who.orgs[0])
		return models.UserInfo{Sub: o.m.ID, Name: &o.m.Name}, nil
	}
	out := models.UserInfo{Sub: c.who.userID}
	if c.who.scopes["profile"] {
		out.Name = new("Owner of " + c.srv.org.m.Name)
	}
	if c.who.scopes["email"] {
		out.Email, out.EmailVerified = new(c.srv.userEmail()), new(true)
	}
	return out, nil
}

func sendJSON(w http.ResponseWriter, v any) {
	data, err := jsonx.Marshal(v)
	if err != nil {
		write(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

// serveDiscovery says where everything is.
func (s *Server) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	secret := []string{"client_secret_basic", "client_secret_post"}
	sendJSON(w, map[string]any{
		"issuer": s.URL, "authorization_endpoint": s.URL + consentPath, "token_endpoint": s.URL + "/v1/oauth2/token", "jwks_uri": s.URL + "/.well-known/jwks.json",
		"userinfo_endpoint": s.URL + "/v1/oauth2/userinfo", "registration_endpoint": s.URL + "/v1/oauth2/register", "revocation_endpoint": s.URL + "/v1/oauth2/revoke",
		"introspection_endpoint": s.URL + "/v1/oauth2/introspect", "scopes_supported": allScopes(), "response_types_supported": []string{"code"}, "response_modes_supported": []string{"query"},
		"grant_types_supported": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_methods_supported": append(secret[:2:2], "none"),
		"revocation_endpoint_auth_methods_supported": secret, "introspection_endpoint_auth_methods_supported": secret, "code_challenge_methods_supported": []string{"plain", "S256"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"EdDSA"}, "claims_supported": []string{"sub", "name", "email", "email_verified"},
	})
}

func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) {
	public := s.signingKey().Public().(ed25519.PublicKey)
	sendJSON(w, map[string]any{"keys": []map[string]any{{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "polartest", "x": base64.RawURLEncoding.EncodeToString(public)}}})
}
