package polarhttp

import (
	"errors"
	"net/http"
)

// Customer names a customer: by ID, which Polar gave, or by ExternalID, which the program gave. Exactly one of the two is
// set. The zero Customer is nobody.
type Customer struct {
	ID         string
	ExternalID string

	// MemberID or ExternalMemberID is the member of a team customer for whom the portal is opened. The portal needs it for
	// teams only, and a [Gate] ignores it: what is bought belongs to the customer.
	MemberID         string
	ExternalMemberID string
}

// CustomerFunc tells who is signed in, from the session of a request. The zero Customer means that nobody is. It must not
// take the customer from the request's query or body, where anybody can write anything. An error is logged and answered with
// 500; a [*Refusal] is answered as it says.
type CustomerFunc func(r *http.Request) (Customer, error)

// ErrUnknownCustomer is why there is no portal and no state of a customer whom Polar does not know. Most programs see it
// for people who have signed up and have not bought anything.
var ErrUnknownCustomer = errors.New("polarhttp: Polar does not know the customer")

func (c Customer) check() error {
	if (c.ID == "") == (c.ExternalID == "") {
		return errors.New("polarhttp: set exactly one of ID and ExternalID of the Customer")
	}
	if c.MemberID != "" && c.ExternalMemberID != "" {
		return errors.New("polarhttp: set at most one of MemberID and ExternalMemberID of the Customer")
	}
	return nil
}
