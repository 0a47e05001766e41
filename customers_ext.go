package polar

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/polar-go/polar/models"
)

// CustomerTakenError is why [CustomerService.Ensure] found no customer to return: the e-mail address belongs to another
// customer, who has an external id of its own. Somebody has to decide whether the two are the same person; Polar does not
// change an external id that was set.
type CustomerTakenError struct {
	Customer models.Customer // whom the e-mail address belongs to

	err error // refusal that led here
}

// Error says what is taken, without the customer's data.
func (e *CustomerTakenError) Error() string {
	return "polar: customers:ensure: Email belongs to customer " + oneLine(e.Customer.ID, 64) +
		", which has another external id; use another address or that external id"
}

// Unwrap returns Polar's refusal, which is an [*Error] of the class [ErrValidation].
func (e *CustomerTakenError) Unwrap() error { return e.err }

// Ensure returns the customer with the external id of body, and creates the customer when there is none. It may be called
// on every sign-in and from several processes at once: all of them get the same customer. Also after an error it is
// safe to call it again.
//
// Body has to have ExternalID; the rest of it is used only for a new customer and changes nothing of one that exists.
//
// When the e-mail address already belongs to a customer without an external id, for instance because somebody bought before
// signing up, that customer is given the external id and returned. So make sure that the address is verified as the
// user's own, or a stranger gets what the customer has bought. If that customer has another external id, the error is a
// [*CustomerTakenError].
//
// A token that reaches several organizations needs [WithOrganization], or OrganizationID in body.
//
// Scope: customers:write. Errors: [ErrValidation], [*CustomerTakenError].
func (s *CustomerService) Ensure(ctx context.Context, body models.CustomerCreate, opts ...CallOption) (*models.Customer, error) {
	if body.ExternalID == nil || *body.ExternalID == "" {
		return nil, errors.New("polar: customers:ensure: ExternalID is empty: set the id that the customer has in your own system")
	}
	found, err := s.withExternalID(ctx, body, opts)
	if found != nil || err != nil {
		return found, err
	}
	created, err := s.Create(ctx, body, opts...)
	if err == nil {
		return created, nil
	}
	// Somebody else may have been quicker, or the answer to our own request was lost.
	email := refusesMember(err, "email")
	if !email && !refusesMember(err, "external_id") && !errors.Is(err, ErrOutcomeUnknown) {
		return nil, err
	}
	if found, again := s.withExternalID(ctx, body, opts); found != nil {
		return found, nil
	} else if again != nil || !email || body.Email == "" {
		return nil, err
	}
	return s.link(ctx, body, err, opts)
}

// link gives the external id of body to the customer with its e-mail address, after Polar refused to create another one.
func (s *CustomerService) link(ctx context.Context, body models.CustomerCreate, refusal error, opts []CallOption) (*models.Customer, error) {
	params := &CustomerListParams{Email: body.Email}
	if body.OrganizationID != nil {
		params.OrganizationID = []string{*body.OrganizationID}
	}
	page, err := s.List(ctx, params, opts...)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(page.Items, func(c models.Customer) bool { return strings.EqualFold(c.Email, body.Email) })
	if i < 0 {
		return nil, refusal // it was not about another customer
	}
	owner := page.Items[i]
	if owner.ExternalID == nil {
		linked, err := s.Update(ctx, owner.ID, models.CustomerUpdate{ExternalID: models.Set(*body.ExternalID)}, opts...)
		if err == nil {
			return linked, nil
		}
		if !refusesMember(err, "external_id") && !errors.Is(err, ErrOutcomeUnknown) {
			return nil, err
		}
		found, again := s.withExternalID(ctx, body, opts)
		if found != nil {
			return found, nil
		}
		if again != nil || !refusesMember(err, "external_id") {
			return nil, err
		}
		refusal = err // linked meanwhile to another id
		if now, err := s.Get(ctx, owner.ID, opts...); err == nil {
			owner = *now
		}
	} else if *owner.ExternalID == *body.ExternalID {
		return &owner, nil
	}
	return nil, &CustomerTakenError{Customer: owner, err: refusal}
}

// withExternalID returns the customer with the external id of body, and nil when there is none.
func (s *CustomerService) withExternalID(ctx context.Context, body models.CustomerCreate, opts []CallOption) (*models.Customer, error) {
	c, err := s.GetByExternalID(ctx, *body.ExternalID, opts...)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err == nil && body.OrganizationID != nil && c.OrganizationID != *body.OrganizationID {
		return nil, nil // of another organization that the token reaches
	}
	return c, err
}

// refusesMember reports whether err is a 422 that complains about a member of the body itself.
func refusesMember(err error, member string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && errors.Is(e, ErrValidation) && slices.ContainsFunc(e.Fields, func(f FieldError) bool {
		n := len(f.Path)
		return n >= 2 && f.Path[0] == "body" && f.Path[n-1] == member && f.Path[n-2] != "owner"
	})
}
