package polartest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/polar-go/polar/models"
)

type organization struct {
	m models.Organization
}

func (o *organization) orgID() string { return o.m.ID }

func organizationHandlers() handlers {
	return handlers{"organizations:list": listOrganizations, "organizations:create": createOrganization, "organizations:get": getOrganization, "organizations:update": updateOrganization}
}

func (o *organization) render() models.Organization { return o.m }

func listOrganizations(c *call) (any, error) {
	items := c.srv.organizations.where(func(o *organization) bool { return c.who.reaches(o.m.ID) && c.asks("slug", o.m.Slug) })
	return page(c, items, map[string]func(a, b *organization) int{
		"name": func(a, b *organization) int { return strings.Compare(a.m.Name, b.m.Name) },
		"slug": func(a, b *organization) int { return strings.Compare(a.m.Slug, b.m.Slug) },
	}, (*organization).render)
}

func getOrganization(c *call) (any, error) {
	o, err := find(c, &c.srv.organizations, c.path["id"])
	if err != nil {
		return nil, err
	}
	return o.m, nil
}

var slugPattern = regexp.MustCompile(`^[a-z0-9]+(?:-[a-z0-9]+)*$`)

func createOrganization(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.OrganizationCreate](c)
	if err != nil {
		return nil, err
	}
	if !slugPattern.MatchString(body.Slug) {
		return nil, invalid(wrong("A slug has small letters, digits and single hyphens between them.", body.Slug, "slug"))
	}
	if slices.ContainsFunc(s.organizations.all, func(o *organization) bool { return o.m.Slug == body.Slug }) {
		return nil, invalid(wrong("An organization with this slug already exists.", body.Slug, "slug"))
	}
	o := s.addOrganization(body.Name, body.Slug)
	m := &o.m
	m.Status, m.DetailsSubmittedAt = models.OrganizationStatusCreated, nil
	m.AvatarURL, m.Email, m.Website, m.Socials, m.Country = body.AvatarURL, body.Email, body.Website, body.Socials, body.Country
	m.DefaultPresentmentCurrency = string(or(body.DefaultPresentmentCurrency, models.CurrencyUSD))
	m.DefaultTaxBehavior = or(body.DefaultTaxBehavior, models.TaxBehaviorOptionLocation)
	if body.Details != nil {
		m.DetailsSubmittedAt = new(c.now)
	}
	o.setFeatures(body.FeatureSettings)
	o.setSubscriptions(body.SubscriptionSettings)
	m.CustomerEmailSettings = or(body.CustomerEmailSettings, m.CustomerEmailSettings)
	m.CustomerPortalSettings = or(body.CustomerPortalSettings, m.CustomerPortalSettings)
	if c.who.orgs != nil { // a token of some organizations reaches the one that it made
		c.who.orgs = append(c.who.orgs, m.ID)
	}
	return *m, nil
}

func (o *organization) setFeatures(f *models.OrganizationFeatureSettingsUpdate) {
	if f == nil {
		return
	}
	next := *o.m.FeatureSettings
	if f.MemberModelEnabled != nil {
		next.MemberModelEnabled = f.MemberModelEnabled
	}
	if f.CheckoutLocalizationEnabled != nil {
		next.CheckoutLocalizationEnabled = f.CheckoutLocalizationEnabled
	}
	if f.OverviewMetrics != nil {
		next.OverviewMetrics = f.OverviewMetrics
	}
	o.m.FeatureSettings = &next
}

// setSubscriptions takes the settings of subscriptions, two of which are members of the organization too.
func (o *organization) setSubscriptions(x *models.OrganizationSubscriptionSettings) {
	if x != nil {
		o.m.SubscriptionSettings, o.m.ProrationBehavior, o.m.AllowCustomerUpdates = *x, x.ProrationBehavior, x.AllowCustomerUpdates
	}
}

func updateOrganization(c *call) (any, error) {
	s := c.srv
	o, err := find(c, &s.organizations, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.OrganizationUpdate](c)
	if err != nil {
		return nil, err
	}
	m := &o.m
	applyValue(&m.Name, body.Name)
	apply(&m.AvatarURL, body.AvatarURL)
	apply(&m.Email, body.Email)
	apply(&m.Website, body.Website)
	applyValue(&m.Socials, body.Socials)
	apply(&m.Country, body.Country)
	if _, ok := body.Details.Get(); ok && m.DetailsSubmittedAt == nil {
		m.DetailsSubmittedAt = new(c.now)
	}
	features, _ := nullableValue(body.FeatureSettings)
	o.setFeatures(features)
	subscriptions, _ := nullableValue(body.SubscriptionSettings)
	o.setSubscriptions(subscriptions)
	applyValue(&m.CustomerEmailSettings, body.CustomerEmailSettings)
	applyValue(&m.CustomerPortalSettings, body.CustomerPortalSettings)
	if v, ok := body.DisputeSettings.Get(); ok {
		m.DisputeSettings = models.OrganizationDisputeSettings(v)
	}
	applyValue(&m.EmbedHosts, body.EmbedHosts)
	if v, ok := body.DefaultPresentmentCurrency.Get(); ok {
		m.DefaultPresentmentCurrency = string(v)
	}
	applyValue(&m.DefaultTaxBehavior, body.DefaultTaxBehavior)
	applyValue(&m.SSOEnforced, body.SSOEnforced)
	m.ModifiedAt = new(c.now)
	s.emit(o, models.WebhookEventTypeOrganizationUpdated, func() any { return o.m })
	return *m, nil
}

// addOrganization makes an organization that may sell.
func (s *Server) addOrganization(name, slug string) *organization {
	o := &organization{m: models.Organization{
		CreatedAt: s.at, ID: s.uuid(), Name: name, Slug: slug, ProrationBehavior: models.ProrationBehaviorProrate, AllowCustomerUpdates: true,
		Status: models.OrganizationStatusActive, DetailsSubmittedAt: new(s.at), DefaultPresentmentCurrency: "usd",
		DefaultTaxBehavior:   models.TaxBehaviorOptionExclusive,
		FeatureSettings:      &models.OrganizationFeatureSettings{MemberModelEnabled: new(s.config.members), WalletsEnabled: new(true), OffSessionChargesEnabled: new(true), ResetProrationBehaviorEnabled: new(true), MeterCyclingEnabled: new(true)},
		SubscriptionSettings: models.OrganizationSubscriptionSettings{AllowMultipleSubscriptions: true, ProrationBehavior: models.ProrationBehaviorProrate, AllowCustomerUpdates: true},
		CustomerEmailSettings: models.OrganizationCustomerEmailSettings{OrderConfirmation: true, SubscriptionCancellation: true, SubscriptionConfirmation: true, SubscriptionCycled: true,
			SubscriptionPastDue: true, SubscriptionRevoked: true, SubscriptionUncanceled: true, SubscriptionUpdated: true},
		CustomerPortalSettings: models.OrganizationCustomerPortalSettings{Usage: models.PortalUsageSettings{Show: true}, Subscription: models.PortalSubscriptionSettings{UpdateSeats: true, UpdatePlan: true}},
		Capabilities:           models.OrganizationCapabilities{CheckoutPayments: true, SubscriptionRenewals: true, Payouts: true, Refunds: true, APIAccess: true, DashboardAccess: true},
	}}
	s.organizations.add(o.m.ID, o)
	return o
}

// public is what checkouts show of an organization.
func (o *organization) public() models.PublicOrganization {
	return models.PublicOrganization{CreatedAt: o.m.CreatedAt, ModifiedAt: o.m.ModifiedAt, ID: o.m.ID, Name: o.m.Name, Slug: o.m.Slug, AvatarURL: o.m.AvatarURL,
		ProrationBehavior: o.m.ProrationBehavior, AllowCustomerUpdates: o.m.AllowCustomerUpdates}
}
