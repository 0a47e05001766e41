package polar

// Portal is the Customer Portal API, as one customer uses it: one field for each resource. Its credential is the token of
// a customer or member session, or [Anonymous] for the public calls, such as those for license keys in a program that
// runs on the customer's computer. It is safe for concurrent use. The zero Portal has no
// services, and its own methods only return an error.
type Portal struct {
	BenefitGrants  *PortalBenefitGrantService
	Customer       *PortalCustomerService
	PaymentMethods *PortalPaymentMethodService
	Meters         *PortalMeterService
	Seats          *PortalSeatService
	Session        *PortalSessionService
	Downloadables  *PortalDownloadableService
	LicenseKeys    *PortalLicenseKeyService
	Members        *PortalMemberService
	Orders         *PortalOrderService
	Organizations  *PortalOrganizationService
	Subscriptions  *PortalSubscriptionService
	Wallets        *PortalWalletService

	core *core
}

func newPortal(c *core) *Portal {
	return &Portal{
		BenefitGrants:  &PortalBenefitGrantService{c},
		Customer:       &PortalCustomerService{c},
		PaymentMethods: &PortalPaymentMethodService{c},
		Meters:         &PortalMeterService{c},
		Seats:          &PortalSeatService{c},
		Session:        &PortalSessionService{c},
		Downloadables:  &PortalDownloadableService{c},
		LicenseKeys:    &PortalLicenseKeyService{c},
		Members:        &PortalMemberService{c},
		Orders:         &PortalOrderService{c},
		Organizations:  &PortalOrganizationService{c},
		Subscriptions:  &PortalSubscriptionService{c},
		Wallets:        &PortalWalletService{c},
		core:           c,
	}
}

// NewPortal returns a client of the Customer Portal API that shows the credential. A server that has a [Client] uses
// [Client.Portal] instead, which keeps the settings. An organization's own token is not valid here.
func NewPortal(credential Credential, opts ...Option) (*Portal, error) {
	c, err := newCore(credential, opts)
	if err != nil {
		return nil, err
	}
	return newPortal(c), nil
}

// With returns a second portal client that differs from p in the options and shares everything else with it.
func (p *Portal) With(opts ...Option) (*Portal, error) {
	core, err := p.core.with(opts)
	if err != nil {
		return nil, err
	}
	return newPortal(core), nil
}
