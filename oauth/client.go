package oauth

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// Config describes an application as it is registered at Polar, and which server to use. It prints without the secret.
type Config struct {
	// ClientID is the id of the application: polar_ci_…
	ClientID string
	// ClientSecret is the secret of the application: polar_cs_… It stays empty for a public client, which is registered
	// with the authentication method "none": a program on somebody's device, where nothing can be kept secret. The
	// secret is sent in the form of the request, which is the method "client_secret_post" that Polar registers by
	// default; "client_secret_basic" is not supported. It is left out of JSON.
	ClientSecret string `json:"-"`
	// RedirectURL is where Polar sends the browser back to, letter by letter as it was registered. It is an https URL,
	// an http URL on the user's own machine, or one with a scheme of a native application.
	RedirectURL string
	// Scopes are what the application asks for. Without any, Polar takes all that it was registered with.
	Scopes []models.Scope
	// SubType says whether the tokens speak for a user, and so for the organizations that the user chooses, or for one
	// organization. When it is empty, the registration decides.
	SubType models.OAuth2SubType

	// Environment is the server to use: [polar.Production] when it is empty, or [polar.Sandbox]. Applications of one are
	// unknown to the other.
	Environment polar.Environment
	// BaseURL is the address of the API when it is none of the environments, such as an embedded server's.
	BaseURL string
	// AuthorizeURL is the address of the page that asks the user for consent. When it is empty, that of the environment
	// is used, or with a BaseURL its path /oauth2/authorize.
	AuthorizeURL string

	// Clock tells the time instead of [time.Now], for tests.
	Clock func() time.Time `json:"-"`
}

const redacted = "[REDACTED]"

// Format prints the configuration without the secret, whatever the verb but %p and %w: for those, which go vet reports,
// package fmt calls no method.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config
	if c.ClientSecret != "" {
		c.ClientSecret = redacted
	}
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), plain(c))
}

// LogValue returns what tells applications apart, without the secret.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("client_id", c.ClientID), slog.String("redirect_url", c.RedirectURL))
}

// Endpoint is where an authorization server is reached, in the words of golang.org/x/oauth2: see [EndpointOf].
type Endpoint struct {
	AuthURL  string // page that asks the user for consent
	TokenURL string // address that exchanges codes and refresh tokens
}

// EndpointOf returns the addresses of an environment, and empty ones when e is none. They are for programs that use
// golang.org/x/oauth2 itself:
//
//	e := oauth.EndpointOf(polar.Production)
//	oauth2.Config{Endpoint: oauth2.Endpoint{AuthURL: e.AuthURL, TokenURL: e.TokenURL, AuthStyle: oauth2.AuthStyleInParams}}
func EndpointOf(e polar.Environment) Endpoint {
	switch e {
	case polar.Production:
		return Endpoint{AuthURL: "https://polar.sh/oauth2/authorize", TokenURL: e.BaseURL() + tokenPath}
	case polar.Sandbox:
		return Endpoint{AuthURL: "https://sandbox.polar.sh/oauth2/authorize", TokenURL: e.BaseURL() + tokenPath}
	}
	return Endpoint{}
}

const (
	tokenPath     = "/v1/oauth2/token"
	authorizePath = "/oauth2/authorize"
)

// Client is an application that acts for users of Polar. It is made by [New] and safe for concurrent use.
type Client struct {
	id          string
	secret      func() string // a function, so that no way of printing a Client reaches the secret
	redirectURL string
	scopes      []models.Scope
	subType     models.OAuth2SubType
	authorize   *url.URL
	base        *url.URL
	now         func() time.Time
	api         *polar.Client
	options     []polar.Option
}

// New checks the configuration and returns its client. It sends nothing. The options are for the calls to Polar (HTTP
// client, logger, repetition); the server is chosen by the configuration only.
func New(cfg Config, opts ...polar.Option) (*Client, error) {
	c := &Client{
		id:          cfg.ClientID,
		secret:      func() string { return cfg.ClientSecret },
		redirectURL: cfg.RedirectURL,
		scopes:      slices.Clone(cfg.Scopes),
		subType:     cfg.SubType,
		now:         cfg.Clock,
	}
	if c.now == nil {
		c.now = time.Now
	}
	if wrong := cfg.check(); wrong != "" {
		return nil, fail(ErrConfig, wrong)
	}
	base, authorize := cfg.BaseURL, cfg.AuthorizeURL
	if base == "" {
		env := cmp.Or(cfg.Environment, polar.Production)
		base, authorize = env.BaseURL(), cmp.Or(authorize, EndpointOf(env).AuthURL)
	}
	base = strings.TrimRight(base, "/")
	c.options = append(slices.Clone(opts), polar.WithBaseURL(base))
	var err error
	if c.api, err = polar.New(polar.Anonymous, c.options...); err != nil {
		return nil, failWith(ErrConfig, "make the client", err)
	}
	if c.base, err = url.Parse(base); err != nil {
		return nil, fail(ErrConfig, "BaseURL does not parse")
	}
	if c.authorize, err = url.Parse(cmp.Or(authorize, base+authorizePath)); err != nil {
		return nil, fail(ErrConfig, "AuthorizeURL does not parse")
	}
	if !secure(c.authorize) || c.authorize.Fragment != "" || c.authorize.User != nil {
		return nil, fail(ErrConfig, "AuthorizeURL has to begin with https:// (http:// only on this machine), without user and fragment")
	}
	return c, nil
}

// check returns what is wrong with the configuration, without secrets, and "" when nothing is.
func (c *Config) check() string {
	switch {
	case c.ClientID == "":
		return "ClientID is empty: register the application at Polar and set its id, which begins with polar_ci_"
	case !printable(c.ClientID):
		return "ClientID has a space, a line end or another character that ids never have"
	case strings.HasPrefix(c.ClientID, "polar_cs_"):
		return "ClientID is the secret of an application: its id begins with polar_ci_"
	case !printable(c.ClientSecret):
		return "ClientSecret has a space, a line end or another character that secrets never have: trim what was read from a file"
	case c.Environment != "" && c.Environment.BaseURL() == "":
		return fmt.Sprintf("Environment %q is unknown: use polar.Production or polar.Sandbox", string(c.Environment))
	case c.Environment != "" && c.BaseURL != "":
		return "Environment and BaseURL are both set: the server is chosen by one of them"
	case c.SubType != "" && !c.SubType.Known():
		return fmt.Sprintf("SubType %q is unknown: use models.OAuth2SubTypeUser or models.OAuth2SubTypeOrganization", string(c.SubType))
	}
	for _, s := range c.Scopes {
		if s == "" || !printable(string(s)) {
			return fmt.Sprintf("scope %q is not one scope: give each its own place in Scopes", string(s))
		}
	}
	u, err := url.Parse(c.RedirectURL)
	switch {
	case err != nil || !u.IsAbs():
		return "RedirectURL is not an absolute URL"
	case u.Fragment != "" || strings.HasSuffix(c.RedirectURL, "#"):
		return "RedirectURL has a fragment, which OAuth2 does not allow"
	case u.User != nil:
		return "RedirectURL has a user, which browsers do not send"
	case !strings.HasPrefix(c.RedirectURL, u.Scheme+":"):
		return "RedirectURL has capitals in its scheme, which Polar compares letter by letter"
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host == "":
		return "RedirectURL has no host"
	case u.Scheme == "http" && !secure(u):
		return "RedirectURL has to begin with https://; http:// is only for the user's own machine (localhost, 127.0.0.1)"
	case u.Scheme == "javascript" || u.Scheme == "data":
		return "RedirectURL has the scheme " + u.Scheme + ", which is no address"
	}
	return ""
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// secure reports whether what is sent to a URL stays unread on its way: https, or http on this machine.
func secure(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()))
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// trusts reports whether an address is one of the server's own: of the site polar.sh, or of the host of the base URL.
// Production and sandbox name themselves with the same issuer, so they are not told apart here.
func (c *Client) trusts(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || !secure(u) {
		return false
	}
	host := u.Hostname()
	return host == "polar.sh" || strings.HasSuffix(host, ".polar.sh") || host == c.base.Hostname()
}

// optionalSecret returns the secret as the requests for tokens want it: none at all for a public client.
func (c *Client) optionalSecret() *string {
	if s := c.secret(); s != "" {
		return &s
	}
	return nil
}
