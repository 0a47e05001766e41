package polartest

import (
	"net/http"
	"strings"

	"github.com/polar-go/polar/models"
)

func memberHandlers() handlers {
	h := handlers{
		"customer_portal:members:list_members": portalMembers, "customer_portal:members:add_member": portalAddMember,
		"customer_portal:members:update_member": portalUpdateMember, "customer_portal:members:remove_member": portalRemoveMember,
	}
	for _, suffix := range []string{"", "_external"} {
		h["customers:members:list"+suffix] = listMembers
		h["customers:members:create"+suffix] = createMember
		h["customers:members:get"+suffix] = getMember
		h["customers:members:update"+suffix] = updateMember
		h["customers:members:delete"+suffix] = deleteMember
	}
	return h
}

// membersOf lists the members of a customer.
func (s *Server) membersOf(x *customer) []*member {
	return s.members.where(func(m *member) bool { return m.m.CustomerID == x.m.ID })
}

func (s *Server) memberByEmail(x *customer, email string) *member {
	for _, m := range s.membersOf(x) {
		if strings.EqualFold(m.m.Email, email) {
			return m
		}
	}
	return nil
}

func (s *Server) ownerOf(x *customer) *member {
	for _, m := range s.membersOf(x) {
		if m.m.Role == models.MemberRoleOwner {
			return m
		}
	}
	return nil
}

// memberCustomer finds the customer of the path. Several organizations may have one of the same external id.
func (c *call) memberCustomer() (*customer, error) {
	if _, ok := c.path["id"]; !ok {
		found := c.srv.customers.where(func(x *customer) bool {
			return x.m.DeletedAt == nil && x.m.ExternalID != nil && *x.m.ExternalID == c.path["external_id"] && c.who.reaches(x.m.OrganizationID)
		})
		if len(found) > 1 {
			return nil, fail(http.StatusConflict, "AmbiguousExternalCustomerID", "Several organizations have a customer with this external id: name the organization.")
		}
	}
	return c.pathCustomer()
}

func (c *call) pathMember() (*customer, *member, error) {
	x, err := c.memberCustomer()
	if err != nil {
		return nil, nil, err
	}
	for _, m := range c.srv.membersOf(x) {
		if id, ok := c.path["member_id"]; ok && strings.EqualFold(m.m.ID, id) || !ok && m.m.ExternalID != nil && *m.m.ExternalID == c.path["member_external_id"] {
			return x, m, nil
		}
	}
	return nil, nil, notFound()
}

func listMembers(c *call) (any, error) {
	x, err := c.memberCustomer()
	if err != nil {
		return nil, err
	}
	var items []*member
	for _, m := range c.srv.membersOf(x) {
		if c.asks("role", string(m.m.Role)) {
			items = append(items, m)
		}
	}
	return page(c, items, nil, func(m *member) models.Member { return m.m })
}

func getMember(c *call) (any, error) {
	_, m, err := c.pathMember()
	if err != nil {
		return nil, err
	}
	return m.m, nil
}

func createMember(c *call) (any, error) {
	s := c.srv
	x, err := c.memberCustomer()
	if err != nil {
		return nil, err
	}
	body, err := decode[models.MemberCreate](c)
	if err != nil {
		return nil, err
	}
	org, _ := s.organizations.get(x.m.OrganizationID)
	switch {
	case !org.membersOn() || x.m.Type != models.CustomerTypeTeam:
		return nil, fail(http.StatusForbidden, "NotPermitted", "Only team customers of organizations with members have members.")
	case s.memberByEmail(x, body.Email) != nil:
		return nil, fail(http.StatusConflict, "MemberAlreadyExists", "The customer has a member with this e-mail address.")
	}
	if body.ExternalID != nil {
		for _, m := range s.membersOf(x) {
			if m.m.ExternalID != nil && *m.m.ExternalID == *body.ExternalID {
				return nil, fail(http.StatusConflict, "MemberAlreadyExists", "The customer has a member with this external id.")
			}
		}
	}
	return s.addMember(x, body.Email, body.Name, body.ExternalID, or(body.Role, models.MemberRoleMember)).m, nil
}

func updateMember(c *call) (any, error) {
	s := c.srv
	x, m, err := c.pathMember()
	if err != nil {
		return nil, err
	}
	body, err := decode[models.MemberUpdate](c)
	if err != nil {
		return nil, err
	}
	if email, ok := body.Email.Get(); ok {
		if other := s.memberByEmail(x, email); other != nil && other != m {
			return nil, invalid(wrong("A member with this email address already exists.", email, "email"))
		}
	}
	if role, ok := body.Role.Get(); ok && role != m.m.Role {
		if m.m.Role == models.MemberRoleOwner {
			return nil, invalid(wrong("A customer has exactly one owner: make another member the owner instead.", string(role), "role"))
		}
		s.setRole(x, m, role)
	}
	applyValue(&m.m.Email, body.Email)
	apply(&m.m.Name, body.Name)
	s.memberUpdated(m)
	return m.m, nil
}

// setRole gives a member a role. A new owner takes the place of the old one, who goes on managing what is paid.
func (s *Server) setRole(x *customer, m *member, role models.MemberRole) {
	if role == models.MemberRoleOwner {
		if old := s.ownerOf(x); old != nil && old != m {
			old.m.Role = models.MemberRoleBillingManager
			s.memberUpdated(old)
		}
	}
	m.m.Role = role
}

func (s *Server) memberUpdated(m *member) {
	m.m.ModifiedAt = new(s.at)
	org, _ := s.organizations.get(m.org)
	s.emit(org, models.WebhookEventTypeMemberUpdated, func() any { return m.m })
}

func deleteMember(c *call) (any, error) {
	x, m, err := c.pathMember()
	if err != nil {
		return nil, err
	}
	if m.m.Role == models.MemberRoleOwner {
		return nil, invalid(fault{Type: "value_error", Loc: []any{"path", "member_id"}, Msg: "The only owner cannot be removed.", Input: m.m.ID})
	}
	c.srv.removeMember(x, m)
	return nil, nil
}

// removeMember takes a member's seats, what they gave, and its sessions away with it.
func (s *Server) removeMember(x *customer, m *member) {
	for _, seat := range s.seats.all {
		if seat.member == m && seat.m.Status != models.SeatStatusRevoked {
			s.revokeSeat(seat)
		}
	}
	for _, g := range x.grants {
		if g.m.IsGranted && deref(g.m.MemberID) == m.m.ID {
			s.revoke(g)
		}
	}
	for token, who := range s.tokens {
		if who.member == m {
			delete(s.tokens, token)
		}
	}
	s.members.remove(m.m.ID, func(o *member) bool { return o == m })
	org, _ := s.organizations.get(m.org)
	s.emit(org, models.WebhookEventTypeMemberDeleted, func() any { return m.m })
}

// team refuses those who do not manage a team.
func (c *call) team() error {
	if err := c.billing(); err != nil {
		return err
	}
	if c.who.customer.m.Type != models.CustomerTypeTeam {
		return fail(http.StatusForbidden, "NotPermitted", "Only team customers have members.")
	}
	return nil
}

func portalMember(m *member) models.PortalMember { return fill[models.PortalMember](m.m) }

func portalMembers(c *call) (any, error) {
	if err := c.team(); err != nil {
		return nil, err
	}
	return page(c, c.srv.membersOf(c.who.customer), nil, portalMember)
}

func portalAddMember(c *call) (any, error) {
	s := c.srv
	if err := c.team(); err != nil {
		return nil, err
	}
	body, err := decode[models.PortalMemberCreate](c)
	if err != nil {
		return nil, err
	}
	role := or(body.Role, models.MemberRoleMember)
	if role == models.MemberRoleOwner {
		return nil, fail(http.StatusBadRequest, "BadRequest", "A team has one owner: a new member cannot be another.")
	}
	m := s.memberByEmail(c.who.customer, body.Email)
	if m == nil {
		m = s.addMember(c.who.customer, body.Email, body.Name, nil, role)
	}
	return portalMember(m), nil
}

func (c *call) portalPathMember() (*member, error) {
	if err := c.team(); err != nil {
		return nil, err
	}
	m, ok := c.srv.members.get(c.path["id"])
	if !ok || m.m.CustomerID != c.who.customer.m.ID {
		return nil, notFound()
	}
	return m, nil
}

func portalUpdateMember(c *call) (any, error) {
	s := c.srv
	m, err := c.portalPathMember()
	if err != nil {
		return nil, err
	}
	body, err := decode[models.PortalMemberUpdate](c)
	if err != nil {
		return nil, err
	}
	if role, ok := body.Role.Get(); ok && role != m.m.Role {
		switch {
		case m == c.who.member:
			return nil, fail(http.StatusForbidden, "NotPermitted", "Nobody may change the own role.")
		case m.m.Role == models.MemberRoleOwner:
			return nil, fail(http.StatusBadRequest, "BadRequest", "A team needs its owner: make another member the owner instead.")
		case role == models.MemberRoleOwner && c.who.member.m.Role != models.MemberRoleOwner:
			return nil, fail(http.StatusForbidden, "NotPermitted", "Only the owner may pass the team on.")
		}
		s.setRole(c.who.customer, m, role)
	}
	apply(&m.m.Name, body.Name)
	s.memberUpdated(m)
	return portalMember(m), nil
}

func portalRemoveMember(c *call) (any, error) {
	m, err := c.portalPathMember()
	switch {
	case err != nil:
		return nil, err
	case m == c.who.member:
		return nil, fail(http.StatusForbidden, "NotPermitted", "Nobody may remove themselves.")
	case m.m.Role == models.MemberRoleOwner:
		return nil, fail(http.StatusBadRequest, "BadRequest", "The only owner of a team cannot be removed.")
	}
	c.srv.removeMember(c.who.customer, m)
	return nil, nil
}
