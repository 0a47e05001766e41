package polartest

import (
	"net/http"
	"time"

	"github.com/polar-go/polar/models"
)

type session struct {
	m        models.CustomerSession
	customer *customer
	member   *member
}

func customerSessionHandlers() handlers {
	return handlers{"customer-sessions:create": createCustomerSession}
}

const sessionLife = time.Hour

func createCustomerSession(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.CustomerSessionCreate](c)
	if err != nil {
		return nil, err
	}
	var x *customer
	member, input := "customer_id", ""
	if body.ExternalCustomerID != nil {
		member, input = "external_customer_id", *body.ExternalCustomerID
		var found []*customer
		for _, y := range s.customers.all {
			if y.m.DeletedAt == nil && deref(y.m.ExternalID) == input && y.m.ExternalID != nil && c.who.reaches(y.m.OrganizationID) {
				found = append(found, y)
			}
		}
		if len(found) > 1 {
			return nil, fail(http.StatusConflict, "AmbiguousExternalCustomerID", "Several organizations have a customer with this external id: name the organization.")
		}
		if len(found) == 1 {
			x = found[0]
		}
	} else {
		input = deref(body.CustomerID)
		if y, ok := s.customers.get(input); ok && c.who.reaches(y.m.OrganizationID) && y.m.DeletedAt == nil {
			x = y
		}
	}
	if x == nil {
		return nil, invalid(wrong("Customer does not exist.", input, member))
	}
	who, err := s.sessionMember(x, body)
	if err != nil {
		return nil, err
	}
	return s.newSession(x, who, body.ReturnURL).m, nil
}

// sessionMember is the member that a session is for: in organizations with members every session is one's.
func (s *Server) sessionMember(x *customer, body models.CustomerSessionCreate) (*member, error) {
	org, _ := s.organizations.get(x.m.OrganizationID)
	if !deref(org.m.FeatureSettings.MemberModelEnabled) {
		return nil, nil
	}
	var owner *member
	for _, m := range s.members.all {
		if m.m.CustomerID != x.m.ID {
			continue
		}
		if body.MemberID != nil && m.m.ID == *body.MemberID || body.ExternalMemberID != nil && m.m.ExternalID != nil && *m.m.ExternalID == *body.ExternalMemberID {
			return m, nil
		}
		if m.m.Role == models.MemberRoleOwner {
			owner = m
		}
	}
	switch {
	case body.MemberID != nil:
		return nil, invalid(wrong("Member does not exist.", *body.MemberID, "member_id"))
	case body.ExternalMemberID != nil:
		return nil, invalid(wrong("Member does not exist.", *body.ExternalMemberID, "external_member_id"))
	case x.m.Type == models.CustomerTypeTeam:
		return nil, invalid(wrong("A session of a team customer needs a member.", nil, "member_id"))
	}
	return owner, nil
}

// newSession opens the portal for a customer, or for one of its members.
func (s *Server) newSession(x *customer, who *member, returnURL *string) *session {
	org, _ := s.organizations.get(x.m.OrganizationID)
	token, subj := s.token("polar_cst_"), &subject{kind: kindCustomer, customer: x, orgs: []string{x.m.OrganizationID}, expires: s.at.Add(sessionLife)}
	if who != nil {
		token = s.token("polar_mst_")
		subj.kind, subj.member = kindMember, who
	}
	s.addToken(token, subj)
	ses := &session{customer: x, member: who, m: models.CustomerSession{CreatedAt: s.at, ID: s.uuid(), Token: token, ExpiresAt: subj.expires, ReturnURL: returnURL,
		CustomerPortalURL: s.URL + "/" + org.m.Slug + "/portal?customer_session_token=" + token, CustomerID: x.m.ID, Customer: x.m}}
	s.sessions.add(ses.m.ID, ses)
	return ses
}
