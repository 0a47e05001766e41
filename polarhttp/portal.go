package polarhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

type portalConfig struct {
	pageConfig
	signIn http.Handler
}

// CustomerPortal returns a handler that signs the customer of a request in to the customer portal and redirects to it,
// with 303. The address works for an hour and for whoever has it, so it is made for each visit and never stored.
//
// When nobody is signed in, the answer is 400, or whatever [WithSignIn] sets. A customer whom Polar does not know, because
// they have not bought anything, gets 404 or what [WithErrorHandler] makes of [ErrUnknownCustomer]. The methods are GET and
// POST; what browsers load ahead of a visit and POSTs from other origins are refused as by [Checkout].
//
// Scope: customer_sessions:write.
func CustomerPortal(client *polar.Client, customer CustomerFunc, opts ...PortalOption) (http.Handler, error) {
	cfg, err := newPortalConfig(client, opts)
	if err != nil {
		return nil, err
	}
	if customer == nil {
		return nil, errNoCustomerFunc
	}
	return &page{pageConfig: cfg.pageConfig, signIn: cfg.signIn, address: func(_ http.ResponseWriter, r *http.Request) (string, error) {
		who, err := customer(r)
		if err != nil {
			return "", err
		}
		if who == (Customer{}) {
			return "", errNobody
		}
		return cfg.create(r.Context(), client, who)
	}}, nil
}

// CustomerPortalURL signs a customer in to the customer portal and returns its address, which works for an hour and for
// whoever has it. The error for a customer whom Polar does not know matches [ErrUnknownCustomer].
//
// Scope: customer_sessions:write.
func CustomerPortalURL(ctx context.Context, client *polar.Client, customer Customer, opts ...PortalOption) (string, error) {
	cfg, err := newPortalConfig(client, opts)
	if err != nil {
		return "", err
	}
	return cfg.create(ctx, client, customer)
}

func newPortalConfig(client *polar.Client, opts []PortalOption) (*portalConfig, error) {
	if err := checkClient(client); err != nil {
		return nil, err
	}
	c := &portalConfig{pageConfig: newPageConfig()}
	for _, opt := range opts {
		if opt == nil {
			return nil, errNilOption
		}
		if err := opt.applyToPortal(c); err != nil {
			return nil, fault(err)
		}
	}
	var err error
	if c.returnURL, err = c.complete("the return URL", c.returnURL); err != nil {
		return nil, fault(err)
	}
	return c, nil
}

func (c *portalConfig) create(ctx context.Context, client *polar.Client, who Customer) (string, error) {
	if err := who.check(); err != nil {
		return "", err
	}
	session, err := client.CustomerSessions.Create(ctx, models.CustomerSessionCreate{
		CustomerID: optional(who.ID), ExternalCustomerID: optional(who.ExternalID),
		MemberID: optional(who.MemberID), ExternalMemberID: optional(who.ExternalMemberID),
		ReturnURL: optional(c.returnURL),
	})
	if err != nil {
		if isUnknownCustomer(err) {
			return "", fmt.Errorf("%w: %w", ErrUnknownCustomer, err)
		}
		return "", err
	}
	return session.CustomerPortalURL, nil
}

// isUnknownCustomer tells whether Polar says that there is no such customer. Something that cannot be an id of Polar is a
// mistake of the program's instead.
func isUnknownCustomer(err error) bool {
	e, ok := errors.AsType[*polar.Error](err)
	return ok && errors.Is(e, polar.ErrValidation) && slices.ContainsFunc(e.Fields, func(f polar.FieldError) bool {
		n := len(f.Path)
		return n > 0 && (f.Path[n-1] == "customer_id" || f.Path[n-1] == "external_customer_id") && f.Type == "value_error"
	})
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
