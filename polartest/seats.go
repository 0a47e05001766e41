package polartest

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// seat is one of the seats of a subscription or of an order that a person was invited to.
type seat struct {
	m            models.Seat
	organization *organization
	from         scope
	buyer        *customer
	holder       *customer // who has what the seat gives: the person, or the buyer when the organization has members
	member       *member   // the person, when the organization has members
	email        string
	token        string // of the invitation
}

func (x *seat) orgID() string { return x.organization.m.ID }

const invitationLife = 24 * time.Hour

func seatHandlers() handlers {
	return handlers{
		"customer-seats:list_seats": listSeats, "customer-seats:assign_seat": assignSeat, "customer-seats:revoke_seat": revokeSeat, "customer-seats:resend_invitation": resendSeat,
		"customer-seats:get_claim_info": seatClaimInfo, "customer-seats:claim_seat": claimSeat,

		"customer_portal:seats:list_seats": listSeats, "customer_portal:seats:assign_seat": assignSeat, "customer_portal:seats:revoke_seat": revokeSeat,
		"customer_portal:seats:resend_invitation": resendSeat, "customer_portal:seats:list_claimed_subscriptions": claimedSubscriptions,
	}
}

func (s *Server) renderSeat(x *seat) models.Seat {
	m := x.m
	if x.m.Status == models.SeatStatusRevoked {
		return m
	}
	m.CustomerEmail = optional(x.email)
	if x.member != nil {
		m.Member, m.Email = new(x.member.m), new(x.member.m.Email)
	}
	return m
}

// id is that of the subscription or order.
func (sc scope) id() string {
	if sc.subscription != nil {
		return sc.subscription.m.ID
	}
	return sc.order.m.ID
}

// bought is how many seats there are, nil when the product has none.
func (sc scope) bought() *int {
	if sc.subscription != nil {
		return sc.subscription.m.Seats
	}
	return sc.order.m.Seats
}

func (sc scope) productID() string {
	if sc.subscription != nil {
		return sc.subscription.m.ProductID
	}
	return deref(sc.order.m.ProductID)
}

// seatsInUse counts the seats that are assigned.
func (s *Server) seatsInUse(from scope) int {
	n := 0
	for _, x := range s.seatsOf[from.id()] {
		if x.m.Status != models.SeatStatusRevoked {
			n++
		}
	}
	return n
}

// seatScope finds what a request about seats is for.
func (c *call) seatScope(subscriptionID, orderID, checkoutID *string) (from scope, buyer *customer, err error) {
	s := c.srv
	switch {
	case subscriptionID != nil:
		if sub, ok := s.subscriptions.get(*subscriptionID); ok && c.who.reaches(sub.orgID()) {
			from, buyer = scope{subscription: sub}, sub.customer
		}
	case orderID != nil:
		if o, ok := s.orders.get(*orderID); ok && c.who.reaches(o.orgID()) {
			if sub, ok := s.subscriptions.get(deref(o.m.SubscriptionID)); ok {
				from = scope{subscription: sub}
			} else {
				from = scope{order: o}
			}
			buyer, _ = s.customers.get(o.m.CustomerID)
		}
	case checkoutID != nil:
		for _, o := range s.orders.all {
			if deref(o.m.CheckoutID) == *checkoutID && c.who.reaches(o.orgID()) {
				return c.seatScope(o.m.SubscriptionID, &o.m.ID, nil)
			}
		}
	default:
		return from, nil, fail(http.StatusBadRequest, "BadRequest", "Name a subscription or an order.")
	}
	if buyer == nil || c.who.customer != nil && c.who.customer != buyer {
		return from, nil, notFound()
	}
	return from, buyer, nil
}

func listSeats(c *call) (any, error) {
	s := c.srv
	if err := c.billing(); err != nil {
		return nil, err
	}
	from, _, err := c.seatScope(optional(c.query.Get("subscription_id")), optional(c.query.Get("order_id")), nil)
	if err != nil {
		return nil, err
	}
	out := models.SeatList{TotalSeats: deref(from.bought())}
	for _, x := range s.seatsOf[from.id()] {
		out.Seats = append(out.Seats, s.renderSeat(x))
	}
	out.AvailableSeats = max(0, out.TotalSeats-s.seatsInUse(from))
	return out, nil
}

func assignSeat(c *call) (any, error) {
	s := c.srv
	if err := c.billing(); err != nil {
		return nil, err
	}
	body, err := decode[models.PortalSeatAssign](c)
	if err != nil {
		return nil, err
	}
	if c.who.customer == nil {
		body.CheckoutID = nil
	}
	whole := func(msg string) error {
		return invalid(fault{Type: "value_error", Loc: []any{"body"}, Msg: msg, Input: c.value})
	}
	if count(body.SubscriptionID, body.OrderID, body.CheckoutID) != 1 {
		return nil, whole("Exactly one of subscription_id, order_id and checkout_id is needed.")
	}
	if len(body.Metadata) > 10 {
		return nil, invalid(wrong("Metadata has at most 10 keys.", c.value["metadata"], "metadata"))
	}
	from, buyer, err := c.seatScope(body.SubscriptionID, body.OrderID, body.CheckoutID)
	if err != nil {
		return nil, err
	}
	org, _ := s.organizations.get(buyer.m.OrganizationID)
	switch {
	case from.bought() == nil:
		return nil, fail(http.StatusBadRequest, "BadRequest", "The product is not sold by the seat.")
	case from.subscription != nil && !from.subscription.live(), from.order != nil && !from.order.m.Paid:
		return nil, fail(http.StatusBadRequest, "BadRequest", "The subscription has ended, or the order is not paid.")
	}
	x := &seat{organization: org, from: from, buyer: buyer, m: models.Seat{ID: s.uuid(), CreatedAt: c.now, SeatMetadata: body.Metadata, Status: models.SeatStatusPending}}
	if x.m.SeatMetadata == nil {
		x.m.SeatMetadata = models.Metadata{}
	}
	if org.membersOn() {
		err = c.seatMember(x, body, whole)
	} else {
		err = c.seatCustomer(x, body, whole)
	}
	if err != nil {
		return nil, err
	}
	for _, other := range s.seatsOf[from.id()] {
		if other.m.Status != models.SeatStatusRevoked && other.holder == x.holder && other.member == x.member {
			return nil, fail(http.StatusBadRequest, "SeatAlreadyAssigned", "The person has a seat already.")
		}
	}
	if s.seatsInUse(from) >= *from.bought() {
		return nil, fail(http.StatusBadRequest, "SeatNotAvailable", "Every seat is assigned.")
	}
	if x.member != nil && x.member.m.ID == "" { // a person who was not there yet
		x.member = s.addMember(buyer, x.email, nil, body.ExternalMemberID, models.MemberRoleMember)
	}
	if x.holder.m.ID == "" {
		x.holder = s.newCustomer(org, models.CustomerTypeIndividual, x.email)
		x.holder.m.ExternalID = body.ExternalCustomerID
		s.addCustomer(org, x.holder)
	}
	x.m.CustomerID = &x.holder.m.ID
	if x.member != nil {
		x.m.MemberID = &x.member.m.ID
	}
	if from.subscription != nil {
		x.m.SubscriptionID = &from.subscription.m.ID
	} else {
		x.m.OrderID = &from.order.m.ID
	}
	s.seats.add(x.m.ID, x)
	put(&s.seatsOf, from.id(), append(s.seatsOf[from.id()], x))
	s.emit(org, models.WebhookEventTypeCustomerSeatAssigned, func() any { return s.renderSeat(x) })
	if deref(body.ImmediateClaim) && c.who.customer == nil {
		s.claim(x)
	} else {
		s.invite(x)
	}
	return s.renderSeat(x), nil
}

func count(list ...*string) int {
	n := 0
	for _, p := range list {
		if p != nil {
			n++
		}
	}
	return n
}

// seatCustomer finds the customer that a seat is for. One without an id is to be made.
func (c *call) seatCustomer(x *seat, body models.PortalSeatAssign, whole func(string) error) error {
	s, org := c.srv, x.organization.m.ID
	if count(body.Email, body.CustomerID, body.ExternalCustomerID) != 1 {
		return whole("Exactly one of email, customer_id and external_customer_id is needed.")
	}
	switch {
	case body.Email != nil:
		if x.holder = s.customerByEmail(org, *body.Email); x.holder == nil {
			x.holder = &customer{}
		}
		x.email = *body.Email
		return nil
	case body.CustomerID != nil:
		if y, ok := s.customers.get(*body.CustomerID); ok && y.m.OrganizationID == org && y.m.DeletedAt == nil {
			x.holder = y
		}
	default:
		x.holder = s.customerByExternalID(org, *body.ExternalCustomerID)
	}
	if x.holder == nil {
		return notFound()
	}
	x.email = x.holder.m.Email
	return nil
}

// seatMember finds the member of the buyer that a seat is for. One without an id is to be made.
func (c *call) seatMember(x *seat, body models.PortalSeatAssign, whole func(string) error) error {
	s := c.srv
	x.holder = x.buyer
	if count(body.Email, body.MemberID, body.ExternalMemberID) == 0 || body.MemberID != nil && count(body.Email, body.ExternalMemberID) > 0 {
		return whole("One of email, member_id and external_member_id is needed.")
	}
	for _, m := range s.membersOf(x.buyer) {
		switch {
		case body.MemberID != nil && strings.EqualFold(m.m.ID, *body.MemberID),
			body.ExternalMemberID != nil && m.m.ExternalID != nil && *m.m.ExternalID == *body.ExternalMemberID,
			body.ExternalMemberID == nil && body.Email != nil && strings.EqualFold(m.m.Email, *body.Email):
			x.member, x.email = m, m.m.Email
		}
	}
	switch {
	case x.member == nil && body.Email != nil:
		x.member, x.email = &member{}, *body.Email
	case x.member == nil:
		return notFound()
	case body.Email != nil && !strings.EqualFold(*body.Email, x.email):
		return invalid(wrong("The member has another email address.", *body.Email, "email"))
	}
	return nil
}

// invite sends the invitation to a seat, whose token [Server.SeatInvitation] tells.
func (s *Server) invite(x *seat) {
	x.token = s.letters(43, alphabet)
	x.m.InvitationTokenExpiresAt = new(s.at.Add(invitationLife))
}

// claim makes a seat that of its person, who gets what the product gives.
func (s *Server) claim(x *seat) {
	x.token = ""
	x.m.Status, x.m.ClaimedAt, x.m.InvitationTokenExpiresAt, x.m.ModifiedAt = models.SeatStatusClaimed, new(s.at), nil, new(s.at)
	s.emit(x.organization, models.WebhookEventTypeCustomerSeatClaimed, func() any { return s.renderSeat(x) })
	if p, ok := s.products.get(x.from.productID()); ok && (x.from.subscription == nil || x.from.subscription.active()) {
		s.grantSeat(x, p)
	}
}

// seatGrants are the grants that a seat gave.
func (x *seat) seatGrants() []*grant {
	var out []*grant
	for _, g := range x.holder.grants {
		if x.from.owns(g) && (x.member == nil || deref(g.m.MemberID) == x.member.m.ID) {
			out = append(out, g)
		}
	}
	return out
}

// grantSeat gives the person of a claimed seat the benefits of a product, and takes away those that it has no longer.
func (s *Server) grantSeat(x *seat, p *product) {
	for _, g := range x.seatGrants() {
		if g.m.IsGranted && !slices.Contains(p.benefits, g.m.BenefitID) {
			s.revoke(g)
		}
	}
	from := x.from
	from.member = x.member
	for _, id := range p.benefits {
		if b, ok := s.benefits.get(id); ok && !b.m.IsDeleted {
			s.give(x.holder, b, from)
		}
	}
}

// grantSeats does so for every claimed seat. What the buyer had before the product was sold by the seat goes.
func (s *Server) grantSeats(buyer *customer, p *product, from scope) {
	seated := map[*grant]bool{}
	for _, x := range s.seatsOf[from.id()] {
		if x.m.Status == models.SeatStatusClaimed {
			s.grantSeat(x, p)
			for _, g := range x.seatGrants() {
				seated[g] = true
			}
		}
	}
	for _, g := range buyer.grants {
		if g.m.IsGranted && from.owns(g) && !seated[g] {
			s.revoke(g)
		}
	}
}

// endSeats takes the seats of what is not sold by the seat any more.
func (s *Server) endSeats(from scope) {
	for _, x := range s.seatsOf[from.id()] {
		if x.m.Status != models.SeatStatusRevoked {
			s.revokeSeat(x)
		}
	}
}

// seatHolders are the other customers that have seats of a subscription.
func (s *Server) seatHolders(sub *subscription) []*customer {
	var out []*customer
	for _, x := range s.seatsOf[sub.m.ID] {
		if x.m.Status == models.SeatStatusClaimed && x.holder != sub.customer {
			out = append(out, x.holder)
		}
	}
	return out
}

// revokeSeats takes the benefits of seats away, and the seats too when what they belong to is over.
func (s *Server) revokeSeats(from scope) {
	over := from.subscription == nil || !from.subscription.live()
	for _, x := range s.seatsOf[from.id()] {
		switch {
		case x.m.Status == models.SeatStatusRevoked:
		case over:
			s.revokeSeat(x)
		default:
			s.revokeSeatGrants(x)
		}
	}
}

func (s *Server) revokeSeatGrants(x *seat) {
	for _, g := range x.seatGrants() {
		if g.m.IsGranted {
			s.revoke(g)
		}
	}
}

func (s *Server) revokeSeat(x *seat) {
	s.revokeSeatGrants(x)
	x.token = ""
	x.m.Status, x.m.RevokedAt, x.m.InvitationTokenExpiresAt, x.m.ModifiedAt = models.SeatStatusRevoked, new(s.at), nil, new(s.at)
	x.m.CustomerID, x.m.MemberID = nil, nil
	s.emit(x.organization, models.WebhookEventTypeCustomerSeatRevoked, func() any { return s.renderSeat(x) })
}

func (c *call) pathSeat() (*seat, error) {
	if err := c.billing(); err != nil {
		return nil, err
	}
	x, err := find(c, &c.srv.seats, c.path["seat_id"])
	if err == nil && c.who.customer != nil && c.who.customer != x.buyer {
		err = notFound()
	}
	return x, err
}

func revokeSeat(c *call) (any, error) {
	x, err := c.pathSeat()
	if err != nil {
		return nil, err
	}
	if x.m.Status != models.SeatStatusRevoked {
		c.srv.revokeSeat(x)
	}
	return c.srv.renderSeat(x), nil
}

func resendSeat(c *call) (any, error) {
	x, err := c.pathSeat()
	if err != nil {
		return nil, err
	}
	if x.m.Status != models.SeatStatusPending {
		return nil, fail(http.StatusBadRequest, "SeatNotPending", "Only the invitation to a pending seat can be sent again.")
	}
	c.srv.invite(x)
	x.m.ModifiedAt = new(c.now)
	return c.srv.renderSeat(x), nil
}

// invited finds the seat of an invitation that is still good.
func (s *Server) invited(token string) (*seat, error) {
	for _, x := range s.seats.all {
		if token != "" && x.token == token && x.m.Status == models.SeatStatusPending && x.m.InvitationTokenExpiresAt.After(s.at) {
			return x, nil
		}
	}
	return nil, fail(http.StatusBadRequest, "InvalidInvitationToken", "The invitation is unknown, expired or used.")
}

func seatClaimInfo(c *call) (any, error) {
	x, err := c.srv.invited(c.path["invitation_token"])
	if err != nil {
		return nil, err
	}
	p, _ := c.srv.products.get(x.from.productID())
	return models.SeatClaimInfo{ProductName: p.m.Name, ProductID: p.m.ID, OrganizationName: x.organization.m.Name, OrganizationSlug: x.organization.m.Slug,
		CustomerEmail: x.email, CanClaim: true}, nil
}

func claimSeat(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.SeatClaim](c)
	if err != nil {
		return nil, err
	}
	x, err := s.invited(body.InvitationToken)
	if err != nil {
		return nil, err
	}
	s.claim(x)
	return models.SeatClaimed{Seat: s.renderSeat(x), CustomerSessionToken: s.newSession(x.holder, x.member, nil).m.Token}, nil
}

func claimedSubscriptions(c *call) (any, error) {
	s := c.srv
	var items []*subscription
	for _, x := range s.seats.all {
		if x.m.Status == models.SeatStatusClaimed && x.from.subscription != nil && x.holder == c.who.customer && x.member == c.who.member {
			items = append(items, x.from.subscription)
		}
	}
	return page(c, items, nil, s.portalSubscription)
}

// SeatInvitation is the token in the e-mail that invited a person to a seat, for
// [github.com/polar-go/polar.SeatService.Claim]. It is an error when the seat is
// unknown or waits for nobody.
func (s *Server) SeatInvitation(seatID string) (token string, err error) {
	err = s.do(func() error {
		x, ok := s.seats.get(seatID)
		if !ok || x.token == "" {
			return errNotFound
		}
		token = x.token
		return nil
	})
	return token, err
}
