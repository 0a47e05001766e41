package polartest

import (
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/polar-go/polar/models"
)

// portalState is what customers do for themselves, and what belongs to their seats and keys.
type portalState struct {
	licenseKeys  store[*licenseKey]
	keyByText    map[string]*licenseKey // by organization and key
	seats        store[*seat]
	seatsOf      map[string][]*seat // by subscription or order
	emailUpdates map[string]*emailUpdate
	setups       map[string]*setup // cards that wait for their owner's confirmation
	retries      map[string]*retried
	walletIDs    map[string]string // by customer and currency
	walletSince  map[string]time.Time
	downloads    map[string]string // by customer, benefit and file
}

// put sets a key of a map that is made when it is first needed.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

// without is the list without one of its entries.
func without[T comparable](list []T, gone T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(x T) bool { return x == gone })
}

// fill makes a D of the fields that src has too: the API shows most objects in several forms.
func fill[D any](src any) D {
	var out D
	from, to := reflect.ValueOf(src), reflect.ValueOf(&out).Elem()
	for i := range to.NumField() {
		f := from.FieldByName(to.Type().Field(i).Name)
		if f.IsValid() && f.Type() == to.Field(i).Type() {
			to.Field(i).Set(f)
		}
	}
	return out
}

// billing refuses people of a team who do not manage what it pays.
func (c *call) billing() error {
	if who := c.who.member; who != nil && who.m.Role == models.MemberRoleMember {
		return fail(http.StatusForbidden, "NotPermitted", "Only owners and billing managers may do this.")
	}
	return nil
}

// portalOrganization is the organization of the portal's user.
func (c *call) portalOrganization() *organization {
	org, _ := c.srv.organizations.get(c.who.customer.m.OrganizationID)
	return org
}

// membersOn tells whether the organization has members.
func (o *organization) membersOn() bool { return deref(o.m.FeatureSettings.MemberModelEnabled) }
