package polartest

import (
	"slices"
	"strings"
	"sync"

	"github.com/polar-go/polar/models"
)

// state is everything that the server knows. Objects of the API embed what
// they send (m) and keep beside it what they refer to; what is embedded in
// other objects is filled in when they are rendered.
type state struct {
	portalState
	org    *organization // the one of organization tokens
	user   user          // the one of personal tokens
	tokens map[string]*subject

	organizations store[*organization]
	products      store[*product]
	benefits      store[*benefit]
	grants        store[*grant]
	customers     store[*customer]
	members       store[*member]
	discounts     store[*discount]
	checkouts     store[*checkout]
	orders        store[*order]
	subscriptions store[*subscription]
	payments      store[*payment]
	methods       store[*paymentMethod]
	refunds       store[*refund]
	endpoints     store[*endpoint]
	webhookEvents store[*webhookEvent]
	deliveries    store[*webhookDelivery]
	meters        store[*meter]
	customerMeter store[*customerMeter]
	events        store[*event]
	sessions      store[*session]

	prices         map[string]*price    // by id
	checkoutSecret map[string]*checkout // by client secret
	eventByKey     map[string]*event    // by organization and external id
	orphans        map[string][]*event  // events that wait for their parent, by organization and its external id
	customerKey    map[string]*customer // where an external id or e-mail address was found last
	invoices       map[string]int       // number of invoices by organization

	limits limits // what callers did lately

	outbox   []*webhookEvent // webhook events to send now
	sending  bool            // one of them is on its way
	delivery []Delivery      // what was sent
}

func newState() state {
	return state{
		tokens: map[string]*subject{}, prices: map[string]*price{}, checkoutSecret: map[string]*checkout{},
		eventByKey: map[string]*event{}, invoices: map[string]int{}, orphans: map[string][]*event{}, customerKey: map[string]*customer{},
	}
}

type user struct{ id string }

// owned is an object that belongs to an organization.
type owned interface{ orgID() string }

// store keeps objects by id and in the order in which they were made.
type store[T any] struct {
	byID map[string]T
	all  []T
}

func (s *store[T]) add(id string, x T) {
	if s.byID == nil {
		s.byID = map[string]T{}
	}
	s.byID[id] = x
	s.all = append(s.all, x)
}

func (s *store[T]) get(id string) (T, bool) {
	x, ok := s.byID[strings.ToLower(id)]
	return x, ok
}

// remove forgets the object with the id; same finds it in the order.
func (s *store[T]) remove(id string, same func(T) bool) {
	delete(s.byID, id)
	s.all = slices.DeleteFunc(s.all, same)
}

// where lists the objects that keep lets through.
func (s *store[T]) where(keep func(T) bool) []T {
	var out []T
	for _, x := range s.all {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}

// find gets the object with the id of the path, if the subject may see it.
func find[T owned](c *call, s *store[T], id string) (T, error) {
	x, ok := s.get(id)
	if !ok || !c.who.reaches(x.orgID()) {
		var none T
		return none, notFound()
	}
	return x, nil
}

// visible lists the objects that the subject may see and that the query's organization_id leaves in.
func visible[T owned](c *call, s *store[T], keep func(T) bool) []T {
	return s.where(func(x T) bool { return c.who.reaches(x.orgID()) && c.asks("organization_id", x.orgID()) && keep(x) })
}

// organization is the one that a request is for. Organization tokens must not name it, others must.
func (c *call) organization(id *string) (*organization, error) {
	loc := []any{"body", "organization_id"}
	if c.who.kind == kindOrganization {
		if id != nil {
			return nil, invalid(fault{Type: "organization_token", Loc: loc, Msg: "Setting organization_id is disallowed when using an organization token.", Input: *id})
		}
		o, _ := c.srv.organizations.get(c.who.orgs[0])
		return o, nil
	}
	if id == nil {
		if len(c.who.orgs) == 1 {
			o, _ := c.srv.organizations.get(c.who.orgs[0])
			return o, nil
		}
		return nil, invalid(fault{Type: "missing", Loc: loc, Msg: "Field required", Input: nil})
	}
	o, ok := c.srv.organizations.get(*id)
	if !ok || !c.who.reaches(*id) {
		return nil, invalid(fault{Type: "value_error", Loc: loc, Msg: "Organization not found.", Input: *id})
	}
	return o, nil
}

// resources lists the operations of each file. One line a resource: add yours here.
var resources = []func() handlers{
	organizationHandlers,
	productHandlers,
	benefitHandlers,
	customerHandlers,
	customerSessionHandlers,
	checkoutHandlers,
	orderHandlers,
	subscriptionHandlers,
	paymentHandlers,
	paymentMethodHandlers,
	refundHandlers,
	meterHandlers,
	customerMeterHandlers,
	eventHandlers,
	licenseKeyHandlers,
	memberHandlers,
	seatHandlers,
	portalCustomerHandlers,
	portalBenefitHandlers,
	portalPurchaseHandlers,
	webhookHandlers,
	discountHandlers,
	checkoutLinkHandlers,
	customFieldHandlers,
	fileHandlers,
	metricHandlers,
	oauthHandlers,
	eventTypeHandlers,
	disputeHandlers,
	exportHandlers,
}

// allHandlers joins them.
var allHandlers = sync.OnceValue(func() handlers {
	all := handlers{}
	for _, r := range resources {
		for id, h := range r() {
			all[id] = h
		}
	}
	return all
})

// deref is the value of a pointer, or the zero value.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// or is the value of a pointer, or another value.
func or[T any](p *T, other T) T {
	if p == nil {
		return other
	}
	return *p
}

// clone copies a pointer's value.
func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

// apply sets a member from a PATCH: a value, or null.
func apply[T any](dst **T, n models.Nullable[T]) {
	if v, ok := n.Get(); ok {
		*dst = &v
	} else if n.IsNull() {
		*dst = nil
	}
}

// applyValue sets a member that cannot be null from a PATCH; null leaves it.
func applyValue[T any](dst *T, n models.Nullable[T]) {
	if v, ok := n.Get(); ok {
		*dst = v
	}
}
