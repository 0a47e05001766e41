package polar

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Option is a setting of a client, for [New], [NewPortal], [FromEnv] and [Client.With]. Settings of a single call are of
// the type [CallOption]. Of two options for the same thing the later one counts.
type Option func(*config) error

// config is what options set. It is copied by [Client.With], so slices in it are never appended to in place.
type config struct {
	authorization  authorization // nil for Anonymous
	baseURL        *url.URL
	transport      http.RoundTripper // nil for http.DefaultTransport at the time of each request
	attemptTimeout time.Duration
	retry          RetryPolicy
	limiter        RateLimiter
	logger         *slog.Logger
	middleware     []Middleware
	application    string
	organization   string
	apiVersion     string
}

const defaultAttemptTimeout = 30 * time.Second

func defaultConfig() config {
	cfg := config{attemptTimeout: defaultAttemptTimeout, retry: RetryPolicy{}.withDefaults(), apiVersion: APIVersion}
	_ = WithEnvironment(Production)(&cfg) // cannot fail
	return cfg
}

func (cfg *config) apply(opts []Option) error {
	for i, opt := range opts {
		if opt == nil {
			return fmt.Errorf("polar: option %d is nil", i+1)
		}
		if err := opt(cfg); err != nil {
			return fmt.Errorf("polar: %w", err)
		}
	}
	return nil
}

// WithEnvironment chooses [Production], the default, or [Sandbox].
func WithEnvironment(e Environment) Option {
	return func(cfg *config) error {
		base := e.BaseURL()
		if base == "" {
			return fmt.Errorf("environment %q is unknown: use polar.Production or polar.Sandbox", string(e))
		}
		return WithBaseURL(base)(cfg)
	}
}

// WithBaseURL sends the calls to another address than that of the environment: an embedded server in tests, or a proxy of
// your own. It is an absolute http or https URL without user, query and fragment; a path in it is put before the path of
// each call. It and [WithEnvironment] set the same thing. With http the token travels readable for everybody on the way, so it is refused for polar.sh itself.
func WithBaseURL(raw string) Option {
	return func(cfg *config) error {
		u, err := url.Parse(strings.TrimRight(raw, "/"))
		if err != nil {
			return errors.New("base URL does not parse") // the parser's error repeats the URL, which may hold a password
		}
		switch {
		case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
			return errors.New("base URL has to begin with http:// or https:// and a host")
		case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
			return errors.New("base URL has a user, a query or a fragment, which it cannot have")
		case u.Scheme == "http" && (u.Hostname() == "polar.sh" || strings.HasSuffix(u.Hostname(), ".polar.sh")):
			return fmt.Errorf("base URL http://%s would send the token unencrypted: use https", u.Host)
		}
		cfg.baseURL = u
		return nil
	}
}

// WithHTTPClient sends the calls through the Transport of a client of yours. Its Timeout, when set, becomes the limit of
// one attempt, as with [WithAttemptTimeout]: applied as net/http does it, it would also cut long exports. Its Jar and
// CheckRedirect are not used. Without this option, and for a client without a Transport, [http.DefaultTransport] is used.
func WithHTTPClient(client *http.Client) Option {
	return func(cfg *config) error {
		if client == nil {
			return errors.New("HTTP client is nil")
		}
		if client.Timeout < 0 {
			return fmt.Errorf("timeout of the HTTP client is %v: it cannot be negative", client.Timeout)
		}
		cfg.transport = client.Transport
		if client.Timeout > 0 {
			cfg.attemptTimeout = client.Timeout
		}
		return nil
	}
}

// WithAttemptTimeout limits how long one attempt of a call may take, from the search for a connection to the last byte of
// the answer; of a stream to its headers. The default is 30 seconds. Waiting for the rate limiter and between attempts
// does not count; the context of the call limits everything together.
func WithAttemptTimeout(d time.Duration) Option {
	return func(cfg *config) error {
		if d <= 0 {
			return fmt.Errorf("attempt timeout is %v: it has to be positive", d)
		}
		cfg.attemptTimeout = d
		return nil
	}
}

// WithRetry sets how often and how patiently calls are repeated. RetryPolicy{MaxAttempts: 1} turns repeating off.
func WithRetry(policy RetryPolicy) Option {
	return func(cfg *config) error {
		if err := policy.validate(); err != nil {
			return err
		}
		cfg.retry = policy.withDefaults()
		return nil
	}
}

// WithRateLimiter makes every attempt wait for the limiter, so that a busy process slows down rather than be refused by
// Polar. [NewRateLimiter] makes one with Polar's own limits; a Limiter of golang.org/x/time/rate fits as well. There is no
// limiter by default, and nil removes one.
func WithRateLimiter(limiter RateLimiter) Option {
	return func(cfg *config) error {
		cfg.limiter = limiter
		return nil
	}
}

// WithLogger writes a line for each attempt (level Debug) and for each repetition (level Info): operation, route, status,
// duration. Tokens, queries, ids and bodies are never written. There is no logger by default, and nil removes one.
func WithLogger(logger *slog.Logger) Option {
	return func(cfg *config) error {
		cfg.logger = logger
		return nil
	}
}

// Middleware wraps what sends one attempt of a call, for metrics, tracing or faults in tests.
//
// The request that it gets has no Authorization header: the token is added behind it, so that a middleware which dumps
// requests cannot leak it. [OperationFromContext] tells the operation and its route. The answer's body has already been
// read into memory, except that of a stream. A middleware must pass the request's context on, should leave the body of
// requests alone, must not send a request twice, and must not add an Idempotency-Key header: net/http would then repeat
// on its own what changes something.
type Middleware func(next http.RoundTripper) http.RoundTripper

// WithMiddleware adds middleware to the client. The first one given is the outermost.
func WithMiddleware(middleware ...Middleware) Option {
	return func(cfg *config) error {
		for i, m := range middleware {
			if m == nil {
				return fmt.Errorf("middleware %d is nil", i+1)
			}
		}
		cfg.middleware = slices.Concat(cfg.middleware, middleware)
		return nil
	}
}

// WithApplication puts the name and the version of your program before this module's own in the User-Agent header, which
// helps Polar's support to find its requests. The version may be empty. Both consist of letters, digits and !#$%&'*+-.^_`|~.
func WithApplication(name, version string) Option {
	return func(cfg *config) error {
		if name == "" {
			return errors.New("application name is empty")
		}
		if i := strings.IndexFunc(name+version, func(r rune) bool { return r > '~' || !isTokenChar(byte(r)) }); i >= 0 {
			return fmt.Errorf("application %q %q has a character that a User-Agent cannot have: use letters, digits, - . _", name, version)
		}
		cfg.application = name
		if version != "" {
			cfg.application += "/" + version
		}
		return nil
	}
}

// WithOrganization narrows a credential that reaches several organizations (of OAuth2, or personal) to the one with this
// id, by the header Polar-Organization. An organization access token does not need it. An empty id removes the narrowing.
func WithOrganization(id string) Option {
	return func(cfg *config) error {
		if !isHeaderValue(id) {
			return errors.New("organization id has a character that a header cannot have")
		}
		cfg.organization = id
		return nil
	}
}

// WithAPIVersion asks for another version of the API than [APIVersion], written as year and month. The types of this
// module describe [APIVersion], so this is for trying the next version out. Webhooks are not affected: each endpoint has a
// version of its own.
func WithAPIVersion(version string) Option {
	return func(cfg *config) error {
		if _, err := time.Parse("2006-01", version); err != nil {
			return fmt.Errorf("API version %q is not of the form %q", version, APIVersion)
		}
		cfg.apiVersion = version
		return nil
	}
}

// CallOption is a setting of a single call; the settings of a client are of the type [Option].
type CallOption func(*call) error

// CallHeader adds a header to the requests of this call, or replaces one. Headers that decide about credentials, version,
// body and repetition cannot be set: Authorization ([CallCredential]), Polar-Version ([WithAPIVersion]),
// Polar-Organization ([CallOrganization]), Host, Content-Length, Content-Type, Transfer-Encoding, and Idempotency-Key,
// which Polar does not know.
func CallHeader(name, value string) CallOption {
	return func(c *call) error {
		key := http.CanonicalHeaderKey(name)
		switch key {
		case "Authorization", "Polar-Version", "Polar-Organization", "Host", "Content-Length", "Content-Type", "Transfer-Encoding",
			"Idempotency-Key", "X-Idempotency-Key":
			return fmt.Errorf("header %s cannot be set by CallHeader", key)
		}
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r > '~' || !isTokenChar(byte(r)) }) {
			return fmt.Errorf("header name %q is not valid", name)
		}
		if !isHeaderValue(value) {
			return fmt.Errorf("value of header %s has a character that a header cannot have", key)
		}
		if c.header == nil {
			c.header = http.Header{}
		}
		c.header.Set(key, value)
		return nil
	}
}

// CallCredential shows another credential than the client's in this call. The calls that need no credential still carry
// none.
func CallCredential(credential Credential) CallOption {
	return func(c *call) error {
		auth, err := resolve(credential)
		if err != nil {
			return errors.New(strings.TrimPrefix(err.Error(), "polar: "))
		}
		c.authorization = auth
		return nil
	}
}

// CallOrganization narrows this call to one organization; see [WithOrganization].
func CallOrganization(id string) CallOption {
	return func(c *call) error {
		if !isHeaderValue(id) {
			return errors.New("organization id has a character that a header cannot have")
		}
		c.organization = id
		return nil
	}
}

// CallAttemptTimeout limits one attempt of this call; see [WithAttemptTimeout]. To limit the call as a whole, give its
// context a deadline.
func CallAttemptTimeout(d time.Duration) CallOption {
	return func(c *call) error {
		if d <= 0 {
			return fmt.Errorf("attempt timeout is %v: it has to be positive", d)
		}
		c.attemptTimeout = d
		return nil
	}
}

// CallRetry sets how this call is repeated; see [WithRetry].
func CallRetry(policy RetryPolicy) CallOption {
	return func(c *call) error {
		if err := policy.validate(); err != nil {
			return err
		}
		c.retry = policy.withDefaults()
		return nil
	}
}

// CallResponse fills info with what the answer says beside its body. It is filled when the call returns, also with an
// error; for the iterators (All) it holds the last page's.
func CallResponse(info *ResponseInfo) CallOption {
	return func(c *call) error {
		if info == nil {
			return errors.New("CallResponse got nil")
		}
		*info = ResponseInfo{}
		c.info = info
		return nil
	}
}

// ResponseInfo is what an answer says beside its body; see [CallResponse].
type ResponseInfo struct {
	StatusCode int         // 0 when no answer came
	Header     http.Header // nil when no answer came
	APIVersion string      // version that the server answered in
	RequestID  string      // id to name to Polar's support; may be empty
	Sandbox    bool        // whether the sandbox answered
	Attempts   int         // how often the request was sent, or tried to be; 0 when it was refused before
}

func (info *ResponseInfo) fill(resp *http.Response) {
	info.StatusCode = resp.StatusCode
	info.Header = resp.Header
	info.APIVersion = resp.Header.Get("Polar-Version")
	info.RequestID = requestID(resp.Header)
	info.Sandbox = isSandbox(resp.Header)
}

// isTokenChar reports whether c may stand in a token of HTTP, such as a header's name.
func isTokenChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

const modulePath = "github.com/polar-go/polar"

// moduleVersion is the version of this module as the program that uses it was built with.
var moduleVersion = sync.OnceValue(func() string {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = versionIn(info)
	}
	if version == "" || version == "(devel)" {
		return "devel"
	}
	return version
})

func versionIn(info *debug.BuildInfo) string {
	if info.Main.Path == modulePath {
		return info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == modulePath {
			if dep.Replace != nil {
				return dep.Replace.Version
			}
			return dep.Version
		}
	}
	return ""
}

func userAgent(application string) string {
	own := "polar-go/" + moduleVersion() + " " + strings.Replace(runtime.Version(), "go", "go/", 1)
	own = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, own)
	if application == "" {
		return own
	}
	return application + " " + own
}
