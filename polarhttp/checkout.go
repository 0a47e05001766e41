package polarhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// Theme is how Polar's checkout page looks.
type Theme string

// Themes of the checkout page. Without one it follows the settings of the browser.
const (
	ThemeLight Theme = "light"
	ThemeDark  Theme = "dark"
)

type checkoutConfig struct {
	pageConfig
	successURL string
	checkoutID bool
	theme      Theme
	trusted    map[Parameter]bool
	hook       func(*http.Request, *models.CheckoutCreate) error
}

// WithSuccessURL sets where the customer goes after paying: an absolute URL, or a path together with [WithOrigin]. Polar
// replaces {CHECKOUT_ID} in it by the id of the checkout. Without this option the customer stays on Polar's own page of
// confirmation.
func WithSuccessURL(raw string) CheckoutOption {
	return checkoutOption(func(c *checkoutConfig) error { c.successURL = raw; return nothing("the success URL", raw) })
}

// WithCheckoutID adds checkoutId={CHECKOUT_ID} to the query of the success URL, unless the placeholder is in it already, so
// that the page after paying knows which checkout it was.
func WithCheckoutID() CheckoutOption {
	return checkoutOption(func(c *checkoutConfig) error { c.checkoutID = true; return nil })
}

// WithTheme sets how the checkout page looks.
func WithTheme(theme Theme) CheckoutOption {
	return checkoutOption(func(c *checkoutConfig) error {
		if theme != ThemeLight && theme != ThemeDark {
			return errors.New(`the theme must be "light" or "dark"`)
		}
		c.theme = theme
		return nil
	})
}

// WithTrustedParameters accepts parameters that are refused otherwise, see [Parameter]. Use it only where nobody but the
// program itself or its staff can send requests.
func WithTrustedParameters(parameters ...Parameter) CheckoutOption {
	return checkoutOption(func(c *checkoutConfig) error {
		for _, p := range parameters {
			if trusted, ok := isTrustworthy(p); !ok || trusted {
				return fmt.Errorf("%q is no parameter that needs trust: use the constants of Parameter", string(p))
			}
			if c.trusted == nil {
				c.trusted = make(map[Parameter]bool)
			}
			c.trusted[p] = true
		}
		return nil
	})
}

// WithCheckoutHook calls a function before a checkout is created, with the request and with what was made of it. This is
// the place for everything that the visitor must not choose:
//
//	polarhttp.WithCheckoutHook(func(r *http.Request, c *models.CheckoutCreate) error {
//		user, err := sessions.User(r)
//		if err != nil {
//			return err
//		}
//		c.ExternalCustomerID, c.CustomerEmail = &user.ID, &user.Email
//		if slices.ContainsFunc(c.Products, func(id string) bool { return !forSale[id] }) {
//			return &polarhttp.Refusal{Status: http.StatusBadRequest, Message: "this product is not for sale here"}
//		}
//		return nil
//	})
//
// A customer who is new to Polar gets the e-mail address of the checkout, and whoever reads its mail can open their portal. So set
// the address as well: a link from elsewhere could have filled in another.
//
// An error stops the checkout: a [*Refusal] is told to the visitor, anything else is logged and answered with 500, or with
// whatever [WithErrorHandler] makes of it. [CheckoutURL] has no request and refuses this option.
func WithCheckoutHook(hook func(r *http.Request, c *models.CheckoutCreate) error) CheckoutOption {
	return checkoutOption(func(c *checkoutConfig) error {
		if hook == nil {
			return errors.New("the checkout hook is nil")
		}
		c.hook = hook
		return nil
	})
}

// Checkout returns a handler that opens a checkout session and redirects to its page at Polar, with 303. What is bought
// comes from the query of a GET, so that a link is enough, or from the form of a POST:
//
//	<a href="/checkout?products=1dbfc517-0bbf-4301-9ba8-555ca42b9737">Buy</a>
//
// Parameters:
//
//   - products: the id of a product; may be given several times, up to 50, and the customer chooses
//   - seats: how many seats, a whole number from 1
//   - customerEmail, customerName, customerTaxId: what is filled in for the customer
//   - customerBillingAddress: likewise, a JSON object with line1, line2, postal_code, city, state and country
//   - allowDiscountCodes: true or false, whether the customer may enter a code
//   - those that are only accepted when they are trusted, see [Parameter]
//
// Every one but products is optional and may be given once. Empty values count as absent, and other parameters are
// ignored, so links may carry those of campaigns. Anything wrong is answered with 400 and a line that names the parameter.
//
// # Safety
//
// Anybody can call this handler with any parameters. What a stranger could do harm with is therefore refused unless
// [WithTrustedParameters] says otherwise; set it with [WithCheckoutHook], which knows the session. The hook is also where
// products are restricted: without it every product of the organization that is not archived can be bought.
//
// The handler redirects to nowhere but the address that Polar answered with, and takes neither success nor return URL
// from the request. It refuses what browsers load ahead of a visit (503), POSTs from other origins (403, see
// [WithCrossOriginProtection]) and all methods but GET and POST, HEAD too (405). Each GET creates a checkout session, so a
// site with crawlers may want to mount the handler under "POST /checkout" only, and any site a limit of requests.
//
// Scope: checkouts:write.
func Checkout(client *polar.Client, opts ...CheckoutOption) (http.Handler, error) {
	cfg, err := newCheckoutConfig(client, opts)
	if err != nil {
		return nil, err
	}
	return &page{pageConfig: cfg.pageConfig, address: func(w http.ResponseWriter, r *http.Request) (string, error) {
		query, err := form(w, r)
		if err != nil {
			return "", err
		}
		return cfg.create(r.Context(), client, query, r)
	}}, nil
}

// CheckoutURL opens a checkout session and returns the address of its page, for programs with a handler of their own. The
// query has the parameters of [Checkout]; those that need trust are refused here as well, unless [WithTrustedParameters]
// accepts them. [StatusCode] says how to answer an error.
//
// Scope: checkouts:write.
func CheckoutURL(ctx context.Context, client *polar.Client, query url.Values, opts ...CheckoutOption) (string, error) {
	cfg, err := newCheckoutConfig(client, opts)
	if err != nil {
		return "", err
	}
	if cfg.hook != nil {
		return "", errors.New("polarhttp: CheckoutURL has no request for the hook of WithCheckoutHook: use Checkout, or set trusted parameters in the query")
	}
	return cfg.create(ctx, client, query, nil)
}

func newCheckoutConfig(client *polar.Client, opts []CheckoutOption) (*checkoutConfig, error) {
	if err := checkClient(client); err != nil {
		return nil, err
	}
	c := &checkoutConfig{pageConfig: newPageConfig()}
	for _, opt := range opts {
		if opt == nil {
			return nil, errNilOption
		}
		if err := opt.applyToCheckout(c); err != nil {
			return nil, fault(err)
		}
	}
	var err error
	if c.successURL, err = c.complete("the success URL", c.successURL); err != nil {
		return nil, fault(err)
	}
	if c.returnURL, err = c.complete("the return URL", c.returnURL); err != nil {
		return nil, fault(err)
	}
	if c.checkoutID && c.successURL == "" {
		return nil, errors.New("polarhttp: WithCheckoutID needs WithSuccessURL")
	}
	if c.checkoutID || strings.Contains(c.successURL, "%7BCHECKOUT_ID%7D") || strings.Contains(c.successURL, "%7bCHECKOUT_ID%7d") {
		if c.successURL, err = polar.SuccessURL(c.successURL, "checkoutId"); err != nil {
			return nil, fault(err)
		}
	}
	return c, nil
}

// create opens a checkout and returns its address. r is nil without a hook.
func (c *checkoutConfig) create(ctx context.Context, client *polar.Client, query url.Values, r *http.Request) (string, error) {
	body, err := parseCheckout(query, c.trusted)
	if err != nil {
		return "", err
	}
	if c.successURL != "" {
		body.SuccessURL = new(c.successURL) // the hook may write to it
	}
	if c.returnURL != "" {
		body.ReturnURL = new(c.returnURL)
	}
	if c.hook != nil {
		if err := c.hook(r, body); err != nil {
			return "", err
		}
	}
	if len(body.Products) == 0 {
		return "", refuse(paramProducts, "is missing: name at least one product")
	}
	checkout, err := client.Checkouts.Create(ctx, *body)
	if err != nil {
		return "", blame(err, query)
	}
	if c.theme == "" {
		return checkout.URL, nil
	}
	u, err := url.Parse(checkout.URL)
	if err != nil {
		return "", errNoAddress
	}
	q := u.Query()
	q.Set("theme", string(c.theme))
	u.RawQuery = q.Encode()
	return u.String(), nil
}
