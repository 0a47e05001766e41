package polartest

import (
	"net/http"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// emailUpdate is a change of a customer's e-mail address that waits for its confirmation.
type emailUpdate struct {
	customer *customer
	member   *member
	email    string
	expires  time.Time
}

const emailUpdateLife = time.Hour

// setup is a card whose owner has a step to take at the bank.
type setup struct {
	customer *customer
	declines bool
}

func portalCustomerHandlers() handlers {
	return handlers{
		"customer_portal:customers:get": portalCustomer, "customer_portal:customers:update": portalUpdateCustomer,
		"customer_portal:customers:list_payment_methods": portalMethods, "customer_portal:customers:add_payment_method": portalAddMethod,
		"customer_portal:customers:confirm_payment_method": portalConfirmMethod, "customer_portal:customers:delete_payment_method": portalDeleteMethod,
		"customer_portal:customers:request_email_update": requestEmailUpdate, "customer_portal:customers:check_email_update": checkEmailUpdate,
		"customer_portal:customers:verify_email_update": verifyEmailUpdate,

		"customer_portal:customer-session:introspect": portalSession, "customer_portal:customer-session:get_authenticated_user": portalUser,
		"customer_portal:organizations:get": portalOrganization,
	}
}

func renderPortalCustomer(x *customer) models.PortalCustomer {
	out := fill[models.PortalCustomer](x.m)
	out.Email, out.Type = optional(x.m.Email), new(x.m.Type)
	return out
}

func portalCustomer(c *call) (any, error) { return renderPortalCustomer(c.who.customer), nil }

func portalUpdateCustomer(c *call) (any, error) {
	s, x := c.srv, c.who.customer
	if err := c.billing(); err != nil {
		return nil, err
	}
	body, err := decode[models.PortalCustomerUpdate](c)
	if err != nil {
		return nil, err
	}
	address, tax := x.m.BillingAddress, x.m.TaxID
	apply(&address, body.BillingAddress)
	if number, ok := body.TaxID.Get(); ok {
		if tax, err = taxID(number, address); err != nil {
			return nil, err
		}
	} else if body.TaxID.IsNull() {
		tax = nil
	}
	if id, ok := body.DefaultPaymentMethodID.Get(); ok {
		m := x.method(id)
		if m == nil {
			return nil, invalid(wrong("Payment method does not exist.", id, "default_payment_method_id"))
		}
		x.m.DefaultPaymentMethodID = &m.m.ID
		s.clock.at(s.at, func() { s.retryPastDue(x, models.PaymentTriggerRetryPaymentMethodUpdate) })
	} else if body.DefaultPaymentMethodID.IsNull() {
		x.m.DefaultPaymentMethodID = nil
	}
	x.m.BillingAddress, x.m.TaxID = address, tax
	apply(&x.m.BillingName, body.BillingName)
	s.customerUpdated(x)
	return renderPortalCustomer(x), nil
}

// method is the customer's card with an id, nil when there is none.
func (x *customer) method(id string) *paymentMethod {
	for _, m := range x.methods {
		if strings.EqualFold(m.m.ID, id) {
			return m
		}
	}
	return nil
}

func portalMethod(m *paymentMethod) models.PortalPaymentMethod {
	return fill[models.PortalPaymentMethod](m.m)
}

func portalMethods(c *call) (any, error) {
	if err := c.billing(); err != nil {
		return nil, err
	}
	return page(c, c.who.customer.methods, nil, portalMethod)
}

// actionNeeded tells whether the bank asks the owner of a card for a step, by its confirmation token.
func actionNeeded(token string) bool { return strings.Contains(token, "requires_action") }

// keepMethod gives a customer a card; it is charged from now on if it is to be, or when there was none.
func (s *Server) keepMethod(x *customer, declines, main bool) *models.PortalPaymentMethodCreated {
	before := x.m.DefaultPaymentMethodID
	m := s.addMethod(x, declines)
	if before != nil && !main {
		x.m.DefaultPaymentMethodID = before
	} else {
		s.clock.at(s.at, func() { s.retryPastDue(x, models.PaymentTriggerRetryPaymentMethodUpdate) })
	}
	return &models.PortalPaymentMethodCreated{Status: models.PortalPaymentMethodCreatedStatusSucceeded, PaymentMethod: new(portalMethod(m))}
}

func portalAddMethod(c *call) (any, error) {
	s, x := c.srv, c.who.customer
	if err := c.billing(); err != nil {
		return nil, err
	}
	body, err := decode[models.PortalPaymentMethodCreate](c)
	if err != nil {
		return nil, err
	}
	refused, later := declined(body.ConfirmationTokenID)
	switch {
	case refused:
		return nil, fail(http.StatusBadRequest, "PaymentMethodSetupFailed", "The card was declined.")
	case actionNeeded(body.ConfirmationTokenID):
		id := "seti_" + s.letters(24, alphabet)
		put(&s.setups, id, &setup{customer: x, declines: later})
		return &models.PortalPaymentMethodCreated{Status: models.PortalPaymentMethodCreatedStatusRequiresAction, ClientSecret: new(id + "_secret_" + s.letters(24, alphabet))}, nil
	}
	return s.keepMethod(x, later, body.SetDefault), nil
}

// portalConfirmMethod keeps a card once its owner has done what the bank asked for. The
// id of the setup intent is what its client secret has before "_secret_".
func portalConfirmMethod(c *call) (any, error) {
	s, x := c.srv, c.who.customer
	if err := c.billing(); err != nil {
		return nil, err
	}
	body, err := decode[models.PortalPaymentMethodConfirm](c)
	if err != nil {
		return nil, err
	}
	w := s.setups[body.SetupIntentID]
	if w == nil || w.customer != x {
		return nil, fail(http.StatusForbidden, "CustomerNotReady", "No card of the customer waits for a confirmation.")
	}
	delete(s.setups, body.SetupIntentID)
	return s.keepMethod(x, w.declines, body.SetDefault), nil
}

func portalDeleteMethod(c *call) (any, error) {
	s, x := c.srv, c.who.customer
	if err := c.billing(); err != nil {
		return nil, err
	}
	m := x.method(c.path["id"])
	if m == nil {
		return nil, notFound()
	}
	if len(x.methods) == 1 {
		for _, sub := range x.subscriptions {
			if sub.live() && !sub.m.CancelAtPeriodEnd && sub.m.Amount > 0 {
				return nil, fail(http.StatusBadRequest, "PaymentMethodInUseByActiveSubscription", "A subscription is charged to this card: add another one first.")
			}
		}
	}
	s.removeMethod(x, m)
	return nil, nil
}

func requestEmailUpdate(c *call) (any, error) {
	s, x := c.srv, c.who.customer
	if err := c.billing(); err != nil {
		return nil, err
	}
	if own := c.portalOrganization().m.CustomerPortalSettings.Customer; own != nil && own.AllowEmailChange != nil && !*own.AllowEmailChange {
		return nil, fail(http.StatusForbidden, "NotPermitted", "The organization does not let customers change their e-mail address.")
	}
	body, err := decode[models.PortalEmailUpdateRequest](c)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(body.Email, x.m.Email) {
		return nil, invalid(wrong("The email address is the one that the customer has.", body.Email, "email"))
	}
	if faults := s.uniqueCustomer(x.m.OrganizationID, x, &body.Email, nil); faults != nil {
		return nil, invalid(faults...)
	}
	for token, u := range s.emailUpdates { // the newest counts
		if u.customer == x {
			delete(s.emailUpdates, token)
		}
	}
	put(&s.emailUpdates, s.letters(43, alphabet), &emailUpdate{customer: x, member: c.who.member, email: body.Email, expires: s.at.Add(emailUpdateLife)})
	return nil, nil
}

func (s *Server) emailUpdate(token string) (*emailUpdate, error) {
	u := s.emailUpdates[token]
	if u == nil || !u.expires.After(s.at) || u.customer.m.DeletedAt != nil {
		return nil, fail(http.StatusUnauthorized, "Unauthorized", "The verification token is unknown, expired or used.")
	}
	return u, nil
}

func checkEmailUpdate(c *call) (any, error) {
	_, err := c.srv.emailUpdate(c.query.Get("token"))
	return nil, err
}

func verifyEmailUpdate(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.PortalEmailUpdateVerify](c)
	if err != nil {
		return nil, err
	}
	u, err := s.emailUpdate(body.Token)
	if err != nil {
		return nil, err
	}
	x := u.customer
	if faults := s.uniqueCustomer(x.m.OrganizationID, x, &u.email, nil); faults != nil {
		return nil, invalid(faults...)
	}
	delete(s.emailUpdates, body.Token)
	if owner := s.ownerOf(x); owner != nil && strings.EqualFold(owner.m.Email, x.m.Email) {
		owner.m.Email = u.email
		s.memberUpdated(owner)
	}
	x.m.Email, x.m.EmailVerified = u.email, true
	x.setAvatar()
	s.customerUpdated(x)
	return models.PortalEmailUpdateVerified{Token: s.newSession(x, u.member, nil).m.Token}, nil
}

// EmailUpdateToken is the token in the e-mail that asks a customer, given by its id, to
// confirm a new address. It is an error when no change waits for that.
func (s *Server) EmailUpdateToken(customerID string) (token string, err error) {
	err = s.do(func() error {
		for t, u := range s.emailUpdates {
			if u.customer.m.ID == customerID && u.expires.After(s.at) {
				token = t
				return nil
			}
		}
		return errNotFound
	})
	return token, err
}

func portalSession(c *call) (any, error) {
	token, _ := bearer(c.r)
	for _, x := range c.srv.sessions.all {
		if x.m.Token == token {
			return models.PortalSession{ExpiresAt: x.m.ExpiresAt, ReturnURL: x.m.ReturnURL}, nil
		}
	}
	return models.PortalSession{ExpiresAt: c.who.expires}, nil
}

func portalUser(c *call) (any, error) {
	x := c.who.customer
	out := models.PortalUser{Type: "customer", Name: x.m.Name, Email: x.m.Email, CustomerID: x.m.ID}
	if who := c.who.member; who != nil {
		out.Type, out.Name, out.Email, out.MemberID, out.Role = "member", who.m.Name, who.m.Email, &who.m.ID, new(string(who.m.Role))
	}
	return out, nil
}

func (o *organization) portal() models.PortalOrganization {
	out := fill[models.PortalOrganization](o.m)
	out.OrganizationFeatures = &models.PortalOrganizationFeatureSettings{MemberModelEnabled: new(o.membersOn()), CheckoutLocalizationEnabled: new(deref(o.m.FeatureSettings.CheckoutLocalizationEnabled))}
	return out
}

func portalOrganization(c *call) (any, error) {
	s := c.srv
	for _, o := range s.organizations.all {
		if o.m.Slug != c.path["slug"] {
			continue
		}
		out := models.PortalOrganizationData{Organization: o.portal()}
		for _, p := range s.products.all {
			if p.m.OrganizationID == o.m.ID && !p.m.IsArchived && p.m.Visibility == models.ProductVisibilityPublic {
				out.Products = append(out.Products, s.renderPublicProduct(p))
			}
		}
		return out, nil
	}
	return nil, notFound()
}
