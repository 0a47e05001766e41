package polartest

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/polar-go/polar/models"
)

func portalBenefitHandlers() handlers {
	return handlers{
		"customer_portal:benefit-grants:list": portalGrants, "customer_portal:benefit-grants:get": portalGrant, "customer_portal:benefit-grants:update": portalUpdateGrant,
		"customer_portal:customer_meters:list": portalMeters, "customer_portal:customer_meters:get": portalMeter,
		"customer_portal:downloadables:list": portalDownloadables,
	}
}

func (s *Server) renderPortalGrant(g *grant) models.PortalBenefitGrant {
	out := fill[models.PortalBenefitGrant](g.m)
	x, _ := s.customers.get(g.m.CustomerID)
	b, _ := s.benefits.get(g.m.BenefitID)
	org, _ := s.organizations.get(b.m.OrganizationID)
	out.Customer = renderPortalCustomer(x)
	out.Benefit = fill[models.BenefitSubscriber](b.m)
	out.Benefit.Organization = org.public()
	out.Benefit.Properties = subscriberProperties(b)
	switch b.m.Properties.(type) {
	case *models.BenefitDiscordProperties, *models.BenefitGitHubRepositoryProperties: // what works with a person's account
		if g.m.MemberID != nil {
			out.Member = &models.PortalBenefitGrantMember{ID: *g.m.MemberID}
		}
	}
	return out
}

// subscriberProperties is the part of a benefit's settings that its holders see.
func subscriberProperties(b *benefit) models.BenefitSubscriberProperties {
	switch p := b.m.Properties.(type) {
	case *models.BenefitDiscordProperties:
		return &models.BenefitDiscordSubscriberProperties{GuildID: p.GuildID}
	case *models.BenefitGitHubRepositoryProperties:
		return &models.BenefitGitHubRepositorySubscriberProperties{RepositoryOwner: p.RepositoryOwner, RepositoryName: p.RepositoryName}
	case *models.BenefitDownloadablesProperties:
		return &models.BenefitDownloadablesSubscriberProperties{ActiveFiles: activeFiles(p)}
	case *models.BenefitSlackSharedChannelProperties:
		return &models.BenefitSlackSharedChannelSubscriberProperties{}
	case models.BenefitSubscriberProperties:
		return p
	}
	return nil
}

// activeFiles are the files of a benefit that are not archived.
func activeFiles(p *models.BenefitDownloadablesProperties) []string {
	out := []string{}
	for _, id := range p.Files {
		if !p.Archived[id] {
			out = append(out, id)
		}
	}
	return out
}

// checkoutOf is the checkout that a grant goes back to.
func (s *Server) checkoutOf(g *grant) *string {
	if sub, ok := s.subscriptions.get(deref(g.m.SubscriptionID)); ok {
		return sub.m.CheckoutID
	}
	if o, ok := s.orders.get(deref(g.m.OrderID)); ok {
		return o.m.CheckoutID
	}
	return nil
}

func portalGrants(c *call) (any, error) {
	s := c.srv
	of := func(g *grant) *benefit { b, _ := s.benefits.get(g.m.BenefitID); return b }
	var items []*grant
	for _, g := range c.who.customer.grants {
		b := of(g)
		if c.mine(g.m.CustomerID, g.m.MemberID) && c.asks("type", string(b.m.Type)) && c.asks("benefit_id", b.m.ID) && c.asksPtr("checkout_id", s.checkoutOf(g)) &&
			c.asksPtr("order_id", g.m.OrderID) && c.asksPtr("subscription_id", g.m.SubscriptionID) && c.asksPtr("member_id", g.m.MemberID) && c.searches("query", b.m.Description) {
			items = append(items, g)
		}
	}
	rank := func(g *grant) int { // the order in which the product lists its benefits
		product := ""
		if sub, ok := s.subscriptions.get(deref(g.m.SubscriptionID)); ok {
			product = sub.m.ProductID
		} else if o, ok := s.orders.get(deref(g.m.OrderID)); ok {
			product = deref(o.m.ProductID)
		}
		p, ok := s.products.get(product)
		if !ok {
			return 0
		}
		for i, id := range p.benefits {
			if id == g.m.BenefitID {
				return i
			}
		}
		return len(p.benefits)
	}
	return page(c, items, map[string]func(a, b *grant) int{
		"granted_at":      func(a, b *grant) int { return deref(a.m.GrantedAt).Compare(deref(b.m.GrantedAt)) },
		"type":            func(a, b *grant) int { return strings.Compare(string(of(a).m.Type), string(of(b).m.Type)) },
		"organization":    func(a, b *grant) int { return strings.Compare(of(a).m.OrganizationID, of(b).m.OrganizationID) },
		"product_benefit": func(a, b *grant) int { return cmp.Compare(rank(a), rank(b)) },
	}, s.renderPortalGrant)
}

func (c *call) portalPathGrant() (*grant, error) {
	for _, g := range c.who.customer.grants {
		if strings.EqualFold(g.m.ID, c.path["id"]) && c.mine(g.m.CustomerID, g.m.MemberID) {
			return g, nil
		}
	}
	return nil, notFound()
}

func portalGrant(c *call) (any, error) {
	g, err := c.portalPathGrant()
	if err != nil {
		return nil, err
	}
	return c.srv.renderPortalGrant(g), nil
}

// portalUpdateGrant connects an account, or an address, that a benefit works with.
func portalUpdateGrant(c *call) (any, error) {
	s := c.srv
	g, err := c.portalPathGrant()
	if err != nil {
		return nil, err
	}
	if g.m.IsRevoked {
		return nil, fail(http.StatusForbidden, "NotPermitted", "The benefit is revoked.")
	}
	b, _ := s.benefits.get(g.m.BenefitID)
	if kind, _ := c.value["benefit_type"].(string); kind != string(b.m.Type) {
		return nil, invalid(wrong("The grant is for a benefit of another type.", kind, "benefit_type"))
	}
	body, err := decode[struct {
		Properties struct {
			AccountID    *string `json:"account_id"`
			InvitedEmail string  `json:"invited_email"`
		} `json:"properties"`
	}](c)
	if err != nil {
		return nil, err
	}
	account := body.Properties.AccountID
	previous := g.m.Properties
	switch p := b.m.Properties.(type) {
	case *models.BenefitDiscordProperties:
		g.m.Properties = &models.BenefitGrantDiscordProperties{AccountID: account, GrantedAccountID: account, GuildID: new(p.GuildID), RoleID: new(p.RoleID)}
	case *models.BenefitGitHubRepositoryProperties:
		g.m.Properties = &models.BenefitGrantGitHubRepositoryProperties{AccountID: account, GrantedAccountID: account, RepositoryOwner: new(p.RepositoryOwner),
			RepositoryName: new(p.RepositoryName), Permission: new(p.Permission)}
	case *models.BenefitSlackSharedChannelProperties:
		g.m.Properties = &models.BenefitGrantSlackSharedChannelProperties{InvitedEmail: &body.Properties.InvitedEmail}
	default: // the others have nothing to choose
		return s.renderPortalGrant(g), nil
	}
	g.m.ModifiedAt, g.m.PreviousProperties = new(c.now), previous
	org, _ := s.organizations.get(b.m.OrganizationID)
	s.emit(org, models.WebhookEventTypeBenefitGrantUpdated, func() any { return s.renderGrant(g) })
	return s.renderPortalGrant(g), nil
}

func (s *Server) renderPortalMeter(m *customerMeter) models.PortalMeter {
	out := fill[models.PortalMeter](s.renderCustomerMeter(m))
	out.Meter = fill[models.MeterSummary](m.meter.m)
	return out
}

func portalMeters(c *call) (any, error) {
	s := c.srv
	items := s.customerMeter.where(func(m *customerMeter) bool {
		return m.customer == c.who.customer && m.meter.m.ArchivedAt == nil && c.asks("meter_id", m.meter.m.ID) && c.searches("query", m.meter.m.Name)
	})
	return page(c, items, map[string]func(a, b *customerMeter) int{
		"modified_at":    func(a, b *customerMeter) int { return deref(a.m.ModifiedAt).Compare(deref(b.m.ModifiedAt)) },
		"meter_id":       func(a, b *customerMeter) int { return strings.Compare(a.m.MeterID, b.m.MeterID) },
		"meter_name":     func(a, b *customerMeter) int { return strings.Compare(a.meter.m.Name, b.meter.m.Name) },
		"consumed_units": func(a, b *customerMeter) int { return a.consumed().Cmp(b.consumed()) },
		"credited_units": func(a, b *customerMeter) int { return cmp.Compare(a.m.CreditedUnits, b.m.CreditedUnits) },
		"balance": func(a, b *customerMeter) int {
			return cmp.Compare(s.renderCustomerMeter(a).Balance, s.renderCustomerMeter(b).Balance)
		},
	}, s.renderPortalMeter)
}

func portalMeter(c *call) (any, error) {
	m, ok := c.srv.customerMeter.get(c.path["id"])
	if !ok || m.customer != c.who.customer {
		return nil, notFound()
	}
	return c.srv.renderPortalMeter(m), nil
}

// portalDownloadables lists the files that the customer's benefits give.
func portalDownloadables(c *call) (any, error) {
	s := c.srv
	var items []models.Downloadable
	seen := map[string]bool{}
	for _, g := range c.who.customer.grants {
		b, _ := s.benefits.get(g.m.BenefitID)
		p, ok := b.m.Properties.(*models.BenefitDownloadablesProperties)
		if !ok || !g.m.IsGranted || !c.mine(g.m.CustomerID, g.m.MemberID) || !c.asks("benefit_id", b.m.ID) {
			continue
		}
		for _, id := range activeFiles(p) {
			key := c.who.customer.m.ID + b.m.ID + id
			f, ok := s.files.get(id)
			if !ok || seen[key] {
				continue
			}
			seen[key] = true
			if s.downloads[key] == "" {
				put(&s.downloads, key, s.uuid())
			}
			items = append(items, models.Downloadable{ID: s.downloads[key], BenefitID: b.m.ID, File: s.fileDownload(f, c.who.customer)})
		}
	}
	return page(c, items, nil, func(d models.Downloadable) models.Downloadable { return d })
}
