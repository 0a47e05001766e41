package polartest

import (
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// grant is a benefit that a customer has, or had, from a subscription or an order.
type grant struct {
	m models.BenefitGrant
}

func (s *Server) renderGrant(g *grant) models.BenefitGrant {
	m := g.m
	if b, ok := s.benefits.get(m.BenefitID); ok {
		m.Benefit = b.m
	}
	if x, ok := s.customers.get(m.CustomerID); ok {
		m.Customer = x.m
	}
	if m.MemberID != nil {
		if x, ok := s.members.get(*m.MemberID); ok {
			m.Member = &x.m
		}
	}
	return m
}

func (c *call) pageGrants(items []*grant) (any, error) {
	s := c.srv
	name := func(g *grant) string { x, _ := s.customers.get(g.m.CustomerID); return deref(x.m.Name) }
	email := func(g *grant) string { x, _ := s.customers.get(g.m.CustomerID); return x.m.Email }
	return page(c, items, map[string]func(a, b *grant) int{
		"granted_at":     func(a, b *grant) int { return deref(a.m.GrantedAt).Compare(deref(b.m.GrantedAt)) },
		"revoked_at":     func(a, b *grant) int { return deref(a.m.RevokedAt).Compare(deref(b.m.RevokedAt)) },
		"customer_name":  func(a, b *grant) int { return strings.Compare(name(a), name(b)) },
		"customer_email": func(a, b *grant) int { return strings.Compare(email(a), email(b)) },
	}, s.renderGrant)
}

func listGrants(c *call) (any, error) {
	s := c.srv
	return c.pageGrants(s.grants.where(func(g *grant) bool {
		x, _ := s.customers.get(g.m.CustomerID)
		return c.who.reaches(x.m.OrganizationID) && c.asks("organization_id", x.m.OrganizationID) && c.asks("customer_id", x.m.ID) &&
			c.asksPtr("external_customer_id", x.m.ExternalID) && c.asksBool("is_granted", g.m.IsGranted)
	}))
}

func listBenefitGrants(c *call) (any, error) {
	b, err := c.pathBenefit()
	if err != nil {
		return nil, err
	}
	return c.pageGrants(c.srv.grants.where(func(g *grant) bool {
		return g.m.BenefitID == b.m.ID && c.asks("customer_id", g.m.CustomerID) && c.asksPtr("member_id", g.m.MemberID) && c.asksBool("is_granted", g.m.IsGranted)
	}))
}

// scope is what a grant comes from: a subscription or an order.
type scope struct {
	subscription *subscription
	order        *order
	member       *member // whose seat it is, if it is one's
}

func (sc scope) owns(g *grant) bool {
	if sc.subscription != nil {
		return g.m.SubscriptionID != nil && *g.m.SubscriptionID == sc.subscription.m.ID
	}
	return g.m.OrderID != nil && *g.m.OrderID == sc.order.m.ID
}

func (s *Server) isGranted(b *benefit) bool {
	return slices.ContainsFunc(s.grants.all, func(g *grant) bool { return g.m.BenefitID == b.m.ID && g.m.IsGranted })
}

// grantAll gives a customer the benefits of a product.
func (s *Server) grantAll(x *customer, p *product, from scope) {
	if from.bought() != nil { // what is sold by the seat is for those who claimed one
		s.grantSeats(x, p, from)
		return
	}
	s.endSeats(from)
	for _, id := range p.benefits {
		if b, ok := s.benefits.get(id); ok && !b.m.IsDeleted {
			s.give(x, b, from)
		}
	}
}

// give grants a benefit, again when it was revoked before; one that is granted stays as it is.
func (s *Server) give(x *customer, b *benefit, from scope) *grant {
	org, _ := s.organizations.get(b.m.OrganizationID)
	for _, g := range x.grants {
		if g.m.BenefitID == b.m.ID && from.owns(g) && (from.member == nil || deref(g.m.MemberID) == from.member.m.ID) {
			if g.m.IsGranted {
				return g
			}
			g.m.IsGranted, g.m.IsRevoked, g.m.RevokedAt, g.m.GrantedAt, g.m.ModifiedAt = true, false, nil, new(s.at), new(s.at)
			s.granted(x, b, g)
			s.emit(org, models.WebhookEventTypeBenefitGrantUpdated, func() any { return s.renderGrant(g) })
			s.stateChanged(x)
			return g
		}
	}
	g := &grant{m: models.BenefitGrant{CreatedAt: s.at, ID: s.uuid(), GrantedAt: new(s.at), IsGranted: true, CustomerID: x.m.ID, BenefitID: b.m.ID}}
	if from.subscription != nil {
		g.m.SubscriptionID = &from.subscription.m.ID
	} else {
		g.m.OrderID = &from.order.m.ID
	}
	if from.member != nil {
		g.m.MemberID = &from.member.m.ID
	}
	s.grants.add(g.m.ID, g)
	x.grants = append(x.grants, g)
	s.granted(x, b, g)
	s.emit(org, models.WebhookEventTypeBenefitGrantCreated, func() any { return s.renderGrant(g) })
	s.stateChanged(x)
	return g
}

// granted does what a benefit of its type gives.
func (s *Server) granted(x *customer, b *benefit, g *grant) {
	switch p := b.m.Properties.(type) {
	case *models.BenefitCustomProperties:
		g.m.Properties = &models.BenefitGrantCustomProperties{}
	case *models.BenefitDiscordProperties:
		g.m.Properties = &models.BenefitGrantDiscordProperties{}
	case *models.BenefitGitHubRepositoryProperties:
		g.m.Properties = &models.BenefitGrantGitHubRepositoryProperties{}
	case *models.BenefitDownloadablesProperties:
		g.m.Properties = &models.BenefitGrantDownloadablesProperties{Files: p.Files}
	case *models.BenefitLicenseKeysProperties:
		s.grantKey(x, b, g)
	case *models.BenefitMeterCreditProperties:
		s.credit(x, b, g)
	case *models.BenefitFeatureFlagProperties:
		g.m.Properties = &models.BenefitGrantFeatureFlagProperties{}
	case *models.BenefitSlackSharedChannelProperties:
		g.m.Properties = &models.BenefitGrantSlackSharedChannelProperties{}
	}
	s.systemEvent(x, "benefit.granted", &models.BenefitGrantMetadata{BenefitID: b.m.ID, BenefitGrantID: g.m.ID, BenefitType: b.m.Type})
}

// credit puts the units of a meter credit benefit on the customer's meter.
func (s *Server) credit(x *customer, b *benefit, g *grant) {
	p := b.m.Properties.(*models.BenefitMeterCreditProperties)
	me, ok := s.meters.get(p.MeterID)
	if !ok {
		return
	}
	cm := s.meterOf(x, me)
	cm.m.CreditedUnits += p.Units
	if p.Rollover || g.m.SubscriptionID == nil { // credits of a one-time purchase do not end with a period
		cm.keep += p.Units
	}
	cm.m.ModifiedAt = new(s.at)
	g.m.Properties = &models.BenefitGrantMeterCreditProperties{LastCreditedMeterID: new(me.m.ID), LastCreditedUnits: new(p.Units), LastCreditedAt: new(s.at.Format(time.RFC3339Nano))}
	s.systemEvent(x, "meter.credited", &models.MeterCreditedMetadata{MeterID: me.m.ID, Units: p.Units, Rollover: p.Rollover})
}

// uncredit takes back what a revoked meter credit gave last.
func (s *Server) uncredit(x *customer, g *grant) {
	p, ok := g.m.Properties.(*models.BenefitGrantMeterCreditProperties)
	if !ok || p.LastCreditedUnits == nil {
		return
	}
	me, ok := s.meters.get(deref(p.LastCreditedMeterID))
	if !ok {
		return
	}
	cm := s.meterOf(x, me)
	units := min(*p.LastCreditedUnits, cm.m.CreditedUnits)
	cm.m.CreditedUnits -= units
	cm.keep = max(0, min(cm.keep, cm.m.CreditedUnits))
	cm.m.ModifiedAt = new(s.at)
	s.systemEvent(x, "meter.credited", &models.MeterCreditedMetadata{MeterID: me.m.ID, Units: -units})
}

// regrant gives the benefits of a subscription's product, and takes those of an earlier one.
func (s *Server) regrant(sub *subscription, p *product) {
	for _, g := range sub.customer.grants {
		if g.m.IsGranted && deref(g.m.SubscriptionID) == sub.m.ID && !slices.Contains(p.benefits, g.m.BenefitID) {
			s.revoke(g)
		}
	}
	s.grantAll(sub.customer, p, scope{subscription: sub})
}

// cycleGrants starts a new period for the benefits of a subscription: meters begin anew, keeping the
// credits that roll over, and are credited again.
func (s *Server) cycleGrants(x *customer, sub *subscription) {
	s.resetMeters(sub)
	s.creditAgain(x, sub)
	for _, y := range s.seatHolders(sub) {
		s.creditAgain(y, sub)
	}
}

// creditAgain renews the credits that a customer has from a subscription, its own or one with a seat for the customer.
func (s *Server) creditAgain(x *customer, sub *subscription) {
	reset := map[*meter]bool{}
	for _, g := range x.grants {
		if !g.m.IsGranted || deref(g.m.SubscriptionID) != sub.m.ID {
			continue
		}
		b, _ := s.benefits.get(g.m.BenefitID)
		p, ok := b.m.Properties.(*models.BenefitMeterCreditProperties)
		if !ok {
			continue
		}
		if me, ok := s.meters.get(p.MeterID); ok && !reset[me] {
			reset[me] = true
			if cm := s.meterOf(x, me); cm.resetAt != s.at {
				s.reset(cm)
			}
		}
		s.credit(x, b, g)
		g.m.ModifiedAt = new(s.at)
		s.systemEvent(x, "benefit.cycled", &models.BenefitGrantMetadata{BenefitID: b.m.ID, BenefitGrantID: g.m.ID, BenefitType: b.m.Type})
		s.emit(sub.organization, models.WebhookEventTypeBenefitGrantCycled, func() any { return s.renderGrant(g) })
	}
}

// revoke takes a granted benefit away.
func (s *Server) revoke(g *grant) {
	g.m.IsGranted, g.m.IsRevoked, g.m.RevokedAt, g.m.ModifiedAt = false, true, new(s.at), new(s.at)
	x, _ := s.customers.get(g.m.CustomerID)
	b, _ := s.benefits.get(g.m.BenefitID)
	org, _ := s.organizations.get(b.m.OrganizationID)
	s.uncredit(x, g)
	s.revokeKey(g)
	s.systemEvent(x, "benefit.revoked", &models.BenefitGrantMetadata{BenefitID: b.m.ID, BenefitGrantID: g.m.ID, BenefitType: b.m.Type})
	s.emit(org, models.WebhookEventTypeBenefitGrantRevoked, func() any { return s.renderGrant(g) })
	s.stateChanged(x)
}

// revokeAll takes the benefits of a subscription or an order away.
func (s *Server) revokeAll(x *customer, from scope) {
	s.revokeSeats(from)
	for _, g := range x.grants {
		if g.m.IsGranted && from.owns(g) {
			s.revoke(g)
		}
	}
}

// regrantProduct gives the product's buyers its new benefits, and takes those away that it has no longer.
func (s *Server) regrantProduct(p *product) {
	for _, sub := range s.subscriptions.all {
		if sub.m.ProductID == p.m.ID && sub.active() {
			s.regrant(sub, p)
		}
	}
	for _, o := range s.orders.all {
		if deref(o.m.ProductID) == p.m.ID && o.m.SubscriptionID == nil && o.m.Paid && !o.benefitsRevoked {
			x, _ := s.customers.get(o.m.CustomerID)
			for _, g := range x.grants {
				if g.m.IsGranted && (scope{order: o}).owns(g) && !slices.Contains(p.benefits, g.m.BenefitID) {
					s.revoke(g)
				}
			}
			s.grantAll(x, p, scope{order: o})
		}
	}
}
