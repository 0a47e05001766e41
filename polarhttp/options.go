package polarhttp

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/polar-go/polar"
)

// CheckoutOption is a setting of [Checkout] and [CheckoutURL].
type CheckoutOption interface{ applyToCheckout(*checkoutConfig) error }

// PortalOption is a setting of [CustomerPortal] and [CustomerPortalURL].
type PortalOption interface{ applyToPortal(*portalConfig) error }

// GateOption is a setting of [NewGate].
type GateOption interface{ applyToGate(*gateConfig) error }

// PageOption is a setting of the checkout and of the portal.
type PageOption interface {
	CheckoutOption
	PortalOption
}

// Option is a setting of everything in this package.
type Option interface {
	PageOption
	GateOption
}

// CustomerOption is a setting of what asks who is signed in: the portal and the gate.
type CustomerOption interface {
	PortalOption
	GateOption
}

type checkoutOption func(*checkoutConfig) error

func (o checkoutOption) applyToCheckout(c *checkoutConfig) error { return o(c) }

type gateOption func(*gateConfig) error

func (o gateOption) applyToGate(c *gateConfig) error { return o(c) }

type pageOption func(*pageConfig) error

func (o pageOption) applyToCheckout(c *checkoutConfig) error { return o(&c.pageConfig) }
func (o pageOption) applyToPortal(c *portalConfig) error     { return o(&c.pageConfig) }

type option func(*config) error

func (o option) applyToCheckout(c *checkoutConfig) error { return o(&c.config) }
func (o option) applyToPortal(c *portalConfig) error     { return o(&c.config) }
func (o option) applyToGate(c *gateConfig) error         { return o(&c.config) }

type signInOption struct{ handler http.Handler }

func (o signInOption) set(h *http.Handler) error {
	if o.handler == nil {
		return errors.New("the handler of WithSignIn is nil")
	}
	*h = o.handler
	return nil
}
func (o signInOption) applyToPortal(c *portalConfig) error { return o.set(&c.signIn) }
func (o signInOption) applyToGate(c *gateConfig) error     { return o.set(&c.signIn) }

// config is what everything in this package has.
type config struct{ logger *slog.Logger }

func (c *config) log() *slog.Logger {
	if c.logger == nil {
		return slog.Default()
	}
	return c.logger
}

// pageConfig is what the checkout and the portal have.
type pageConfig struct {
	config
	origin    string
	returnURL string
	fail      func(http.ResponseWriter, *http.Request, error)
	crossSite *http.CrossOriginProtection
}

// WithLogger sets where failures are logged, instead of [slog.Default]: errors of Polar and of the program's own functions. A
// [Gate] logs the first failure for a customer as a warning, and those that follow it at the level Debug.
// What a visitor did wrong is not logged, and neither are tokens, queries and customers.
func WithLogger(logger *slog.Logger) Option {
	return option(func(c *config) error {
		if logger == nil {
			return errors.New("the logger is nil: a logger of slog.DiscardHandler writes nothing")
		}
		c.logger = logger
		return nil
	})
}

// WithSignIn sets what answers when nobody is signed in: usually a redirect to the page for signing in. The default is 400
// for the portal and 403 for a gate.
func WithSignIn(handler http.Handler) CustomerOption { return signInOption{handler} }

// WithOrigin sets the scheme and host of the program's own site, such as "https://example.com". URLs of [WithSuccessURL]
// and [WithReturnURL] that begin with a slash are completed with it. The Host header of a request is never used for that,
// since the visitor chooses it.
func WithOrigin(origin string) PageOption {
	return pageOption(func(c *pageConfig) error {
		u, err := url.Parse(origin)
		if err != nil || !isWeb(u) || strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(origin, "#") {
			return errors.New("the origin must be http:// or https:// and a host, without a path")
		}
		c.origin = strings.TrimSuffix(origin, "/")
		return nil
	})
}

// WithReturnURL sets where the back button of Polar's page leads: an absolute URL, or a path together with [WithOrigin].
// Without it there is no such button.
func WithReturnURL(raw string) PageOption {
	return pageOption(func(c *pageConfig) error { c.returnURL = raw; return nothing("the return URL", raw) })
}

// WithErrorHandler sets what answers when there is nothing to redirect to, instead of a line of plain text: a page that
// looks like the others of the site, or for errors of the program's own hook whatever fits. [StatusCode] returns the status
// for an error; the message of a [*Refusal] is made for the visitor, the text of any other error is not. The header
// Cache-Control is set already. Errors were logged before.
func WithErrorHandler(handler func(w http.ResponseWriter, r *http.Request, err error)) PageOption {
	return pageOption(func(c *pageConfig) error {
		if handler == nil {
			return errors.New("the error handler is nil")
		}
		c.fail = handler
		return nil
	})
}

// WithCrossOriginProtection sets what tells whether a POST comes from the program's own site, for those who accept
// forms from other origins too, or have requests under special names. By default a POST that the browser says comes from
// another origin is refused with 403.
func WithCrossOriginProtection(p *http.CrossOriginProtection) PageOption {
	return pageOption(func(c *pageConfig) error {
		if p == nil {
			return errors.New("the cross-origin protection is nil")
		}
		c.crossSite = p
		return nil
	})
}

func nothing(what, value string) error {
	if value == "" {
		return errors.New(what + " is empty")
	}
	return nil
}

const maxURL = 2083 // bytes that Polar takes

// complete returns a URL of the program's own site as Polar wants it, absolute. Nothing in it is escaped or changed, so that
// placeholders stay as they are.
func (c *pageConfig) complete(what, raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	if strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//") {
		if c.origin == "" {
			return "", fmt.Errorf("%s is a path: make it an absolute URL, or say with WithOrigin which site it belongs to", what)
		}
		raw = c.origin + raw
	}
	u, err := url.Parse(raw)
	if err != nil || !isWeb(u) || strings.ContainsFunc(raw, unicode.IsSpace) {
		return "", fmt.Errorf("%s must be an absolute http or https URL, or a path that begins with a slash", what)
	}
	if len(raw) > maxURL {
		return "", fmt.Errorf("%s has %d bytes, Polar takes %d", what, len(raw), maxURL)
	}
	return raw, nil
}

// isWeb tells whether a URL leads to a web server.
func isWeb(u *url.URL) bool {
	return (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && u.Opaque == ""
}

var (
	errNilOption      = errors.New("polarhttp: an option is nil")
	errNoCustomerFunc = errors.New("polarhttp: the CustomerFunc is nil: it has to say who is signed in")
)

func newPageConfig() pageConfig { return pageConfig{crossSite: http.NewCrossOriginProtection()} }

func checkClient(client *polar.Client) error {
	if client == nil || client.Customers == nil {
		return errors.New("polarhttp: client is nil: make one with polar.New")
	}
	return nil
}

// fault prefixes an error of an option.
func fault(err error) error { return fmt.Errorf("polarhttp: %w", err) }
