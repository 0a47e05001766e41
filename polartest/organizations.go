package polartest

import "github.com/polar-go/polar/models"

type organization struct {
	m models.Organization
}

func (o *organization) orgID() string { return o.m.ID }

func organizationHandlers() handlers { return handlers{} }

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
