package ingest

import (
	"context"
	"fmt"

	"github.com/polar-go/polar/models"
)

// Customer says who usage belongs to: either by Polar's ids, ID and MemberID, or by the merchant's own, ExternalID and
// ExternalMemberID. The member is optional.
type Customer struct {
	ID, MemberID                 string
	ExternalID, ExternalMemberID string
}

// IsZero reports whether no customer is named.
func (c Customer) IsZero() bool { return c == Customer{} }

// apply names the customer in an event.
func (c Customer) apply(e *models.EventCreate) {
	for _, id := range [...]struct {
		to **string
		v  string
	}{{&e.CustomerID, c.ID}, {&e.MemberID, c.MemberID}, {&e.ExternalCustomerID, c.ExternalID}, {&e.ExternalMemberID, c.ExternalMemberID}} {
		if id.v != "" {
			*id.to = &id.v
		}
	}
}

type customerKey struct{}

// WithCustomer returns a context that names the customer whose usage happens under it.
func WithCustomer(ctx context.Context, c Customer) context.Context {
	return context.WithValue(ctx, customerKey{}, c)
}

// CustomerFrom returns the customer that [WithCustomer] put into the context, and false when there is none.
func CustomerFrom(ctx context.Context) (Customer, bool) {
	c, ok := ctx.Value(customerKey{}).(Customer)
	return c, ok && !c.IsZero()
}

// find returns the customer of a context.
func (i *Ingester) find(ctx context.Context) (Customer, error) {
	if i == nil || i.customer == nil {
		return Customer{}, errNotNew
	}
	var c Customer
	err := contain(func() error {
		if found, ok := i.customer(ctx); ok {
			c = found
		}
		return nil
	})
	switch {
	case err != nil:
		return Customer{}, fmt.Errorf("ingest: the customer function failed: %w", err)
	case c.IsZero():
		return Customer{}, ErrNoCustomer
	}
	return c, nil
}

// use tracks usage of a customer that has happened, whether its request is still wanted or not.
func (i *Ingester) use(ctx context.Context, c Customer, e models.EventCreate) error {
	if c.IsZero() {
		return ErrNoCustomer
	}
	c.apply(&e)
	return i.track(ctx, &e, nil)
}
