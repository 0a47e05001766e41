package polartest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/polar-go/polar/models"
)

type customer struct {
	m         models.Customer
	trialUsed map[string]bool // products whose trial the customer had

	meters        map[*meter]*customerMeter
	grants        []*grant
	subscriptions []*subscription
	orders        []*order
	methods       []*paymentMethod
	balance       map[string]int64 // credit by currency, from orders below zero
	declining     bool             // every card is refused
}

func (x *customer) orgID() string { return x.m.OrganizationID }

// member is a person of a team customer. Individual customers have one, their owner, when the organization has members.
type member struct {
	m   models.Member
	org string
}

func (m *member) orgID() string { return m.org }

func customerHandlers() handlers {
	h := handlers{"customers:list": listCustomers, "customers:create": createCustomer, "customers:update_external": updateCustomer}
	for _, suffix := range []string{"", "_external"} {
		h["customers:get"+suffix] = getCustomer
		h["customers:update"+suffix] = updateCustomer
		h["customers:delete"+suffix] = deleteCustomer
		h["customers:get_state"+suffix] = getCustomerState
	}
	return h
}

// pathCustomer finds the customer of the path, by id or by external id.
func (c *call) pathCustomer() (*customer, error) {
	if id, ok := c.path["id"]; ok {
		x, err := find(c, &c.srv.customers, id)
		if err == nil && x.m.DeletedAt != nil {
			err = notFound()
		}
		return x, err
	}
	for _, x := range c.srv.customers.all {
		if x.m.DeletedAt == nil && x.m.ExternalID != nil && *x.m.ExternalID == c.path["external_id"] && c.who.reaches(x.m.OrganizationID) {
			return x, nil
		}
	}
	return nil, notFound()
}

func (s *Server) customerByExternalID(org, external string) *customer {
	return s.lookCustomerUp("x "+org+" "+external, func(x *customer) bool {
		return x.m.DeletedAt == nil && x.m.OrganizationID == org && x.m.ExternalID != nil && *x.m.ExternalID == external
	})
}

func (s *Server) customerByEmail(org, email string) *customer {
	return s.lookCustomerUp("e "+org+" "+strings.ToLower(email), func(x *customer) bool {
		return x.m.DeletedAt == nil && x.m.OrganizationID == org && x.m.Email != "" && strings.EqualFold(x.m.Email, email)
	})
}

// lookCustomerUp finds a customer where it was found before, if it is still the right one, or among all.
func (s *Server) lookCustomerUp(key string, right func(*customer) bool) *customer {
	if x := s.customerKey[key]; x != nil && right(x) {
		return x
	}
	for _, x := range s.customers.all {
		if right(x) {
			s.customerKey[key] = x
			return x
		}
	}
	return nil
}

func listCustomers(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.customers, func(x *customer) bool {
		email := c.query.Get("email")
		return x.m.DeletedAt == nil && (email == "" || strings.EqualFold(email, x.m.Email)) && c.searches("query", x.m.Email, deref(x.m.Name), deref(x.m.ExternalID)) &&
			c.asksMetadata(x.m.Metadata)
	})
	return page(c, items, map[string]func(a, b *customer) int{
		"email":       func(a, b *customer) int { return strings.Compare(a.m.Email, b.m.Email) },
		"name":        func(a, b *customer) int { return strings.Compare(deref(a.m.Name), deref(b.m.Name)) },
		"external_id": func(a, b *customer) int { return strings.Compare(deref(a.m.ExternalID), deref(b.m.ExternalID)) },
	}, func(x *customer) models.Customer { return x.m })
}

func getCustomer(c *call) (any, error) {
	x, err := c.pathCustomer()
	if err != nil {
		return nil, err
	}
	return x.m, nil
}

// uniqueCustomer refuses an e-mail address or an external id that another customer has.
func (s *Server) uniqueCustomer(org string, self *customer, email, external *string) []fault {
	var faults []fault
	if email != nil && *email != "" {
		if other := s.customerByEmail(org, *email); other != nil && other != self {
			faults = append(faults, wrong("A customer with this email address already exists.", *email, "email"))
		}
	}
	if external != nil {
		if other := s.customerByExternalID(org, *external); other != nil && other != self {
			faults = append(faults, wrong("A customer with this external ID already exists.", *external, "external_id"))
		}
	}
	return faults
}

func createCustomer(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.CustomerCreate](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(body.OrganizationID)
	if err != nil {
		return nil, err
	}
	typ := models.CustomerTypeIndividual
	if c.chosen == "CustomerTeamCreate" {
		typ = models.CustomerTypeTeam
		if !deref(org.m.FeatureSettings.MemberModelEnabled) {
			return nil, invalid(wrong("Team customers need the member model.", "team", "type"))
		}
	}
	if faults := s.uniqueCustomer(org.m.ID, nil, &body.Email, body.ExternalID); faults != nil {
		return nil, invalid(faults...)
	}
	x := s.newCustomer(org, typ, body.Email)
	x.m.Metadata, x.m.ExternalID, x.m.Name, x.m.BillingAddress, x.m.Locale = body.Metadata, body.ExternalID, body.Name, body.BillingAddress, body.Locale
	if body.TaxID != nil {
		tax, err := taxID(*body.TaxID, body.BillingAddress)
		if err != nil {
			return nil, err
		}
		x.m.TaxID = tax
	}
	s.addCustomer(org, x)
	if body.Owner != nil {
		s.addMember(x, body.Owner.Email, body.Owner.Name, body.Owner.ExternalID, models.MemberRoleOwner)
	} else if typ == models.CustomerTypeIndividual {
		s.addOwner(x)
	}
	return x.m, nil
}

// newCustomer makes a customer that addCustomer will let the server know.
func (s *Server) newCustomer(org *organization, typ models.CustomerType, email string) *customer {
	x := &customer{m: models.Customer{ID: s.uuid(), CreatedAt: s.at, Email: email, Type: typ, OrganizationID: org.m.ID}}
	x.setAvatar()
	return x
}

func (x *customer) setAvatar() {
	x.m.AvatarURL = nil
	if x.m.Email != "" {
		sum := sha256.Sum256([]byte(strings.ToLower(x.m.Email)))
		x.m.AvatarURL = new("https://www.gravatar.com/avatar/" + hex.EncodeToString(sum[:]) + "?d=404")
	}
}

func (s *Server) addCustomer(org *organization, x *customer) {
	s.customers.add(x.m.ID, x)
	s.attachEvents(x)
	s.systemEvent(x, "customer.created", &models.CustomerCreatedMetadata{CustomerID: x.m.ID, CustomerEmail: optional(x.m.Email), CustomerName: x.m.Name, CustomerExternalID: x.m.ExternalID})
	s.emit(org, models.WebhookEventTypeCustomerCreated, func() any { return x.m })
	s.stateChanged(x)
}

// addOwner gives an individual customer its member, when the organization has members.
func (s *Server) addOwner(x *customer) {
	org, _ := s.organizations.get(x.m.OrganizationID)
	if deref(org.m.FeatureSettings.MemberModelEnabled) && x.m.Email != "" {
		s.addMember(x, x.m.Email, x.m.Name, nil, models.MemberRoleOwner)
	}
}

func (s *Server) addMember(x *customer, email string, name, externalID *string, role models.MemberRole) *member {
	m := &member{m: models.Member{ID: s.uuid(), CreatedAt: s.at, CustomerID: x.m.ID, Email: email, Name: name, ExternalID: externalID, Role: role}, org: x.m.OrganizationID}
	s.members.add(m.m.ID, m)
	org, _ := s.organizations.get(x.m.OrganizationID)
	s.emit(org, models.WebhookEventTypeMemberCreated, func() any { return m.m })
	return m
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// taxID gives a tax number its format by the country of the address.
func taxID(number string, address *models.Address) (*models.TaxID, error) {
	if address == nil {
		return nil, invalid(wrong("Country is required to validate the tax ID.", number, "tax_id"))
	}
	number = strings.ToUpper(strings.NewReplacer(" ", "", ".", "", "-", "").Replace(number))
	if strings.Contains(" AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK ", " "+address.Country+" ") {
		if len(number) < 8 {
			return nil, invalid(wrong("Invalid tax ID.", number, "tax_id"))
		}
		return &models.TaxID{Number: number, Format: models.TaxIDFormatEUVAT}, nil
	}
	for _, f := range models.TaxIDFormatValues() {
		if strings.HasPrefix(string(f), strings.ToLower(address.Country)+"_") {
			return &models.TaxID{Number: number, Format: f}, nil
		}
	}
	return nil, invalid(wrong("Invalid tax ID.", number, "tax_id"))
}

func updateCustomer(c *call) (any, error) {
	s := c.srv
	x, err := c.pathCustomer()
	if err != nil {
		return nil, err
	}
	body, err := decode[models.CustomerUpdate](c)
	if err != nil {
		return nil, err
	}
	email, _ := body.Email.Get()
	external, sent := body.ExternalID.Get()
	if c.path["id"] == "" {
		sent = false
	}
	if sent && x.m.ExternalID != nil && *x.m.ExternalID != external || c.path["id"] != "" && body.ExternalID.IsNull() && x.m.ExternalID != nil {
		return nil, invalid(wrong("Customer external ID cannot be updated.", external, "external_id"))
	}
	ext := &external
	if !sent {
		ext = nil
	}
	if faults := s.uniqueCustomer(x.m.OrganizationID, x, &email, ext); faults != nil {
		return nil, invalid(faults...)
	}
	if v, ok := body.Type.Get(); ok && v != x.m.Type {
		if v == models.CustomerTypeIndividual {
			return nil, invalid(wrong("A team customer cannot become an individual one.", string(v), "type"))
		}
		x.m.Type = v
	}
	address := x.m.BillingAddress
	apply(&address, body.BillingAddress)
	if number, ok := body.TaxID.Get(); ok {
		tax, err := taxID(number, address)
		if err != nil {
			return nil, err
		}
		x.m.TaxID = tax
	} else if body.TaxID.IsNull() {
		x.m.TaxID = nil
	}
	if email != "" && email != x.m.Email {
		x.m.Email, x.m.EmailVerified = email, false
		x.setAvatar()
	}
	if sent && x.m.ExternalID == nil {
		x.m.ExternalID = &external
		s.attachEvents(x)
	}
	x.m.BillingAddress = address
	apply(&x.m.Name, body.Name)
	apply(&x.m.Locale, body.Locale)
	if body.Metadata != nil {
		x.m.Metadata = body.Metadata
	}
	s.customerUpdated(x)
	return x.m, nil
}

func (s *Server) customerUpdated(x *customer) {
	x.m.ModifiedAt = new(s.at)
	org, _ := s.organizations.get(x.m.OrganizationID)
	s.systemEvent(x, "customer.updated", &models.CustomerUpdatedMetadata{CustomerID: x.m.ID, CustomerEmail: optional(x.m.Email), CustomerName: x.m.Name, CustomerExternalID: x.m.ExternalID})
	s.emit(org, models.WebhookEventTypeCustomerUpdated, func() any { return x.m })
	s.stateChanged(x)
}

func deleteCustomer(c *call) (any, error) {
	s := c.srv
	x, err := c.pathCustomer()
	if err != nil {
		return nil, err
	}
	for _, sub := range x.subscriptions {
		if sub.live() {
			s.endSubscription(sub, models.SubscriptionStatusCanceled)
		}
	}
	for _, g := range x.grants {
		if g.m.IsGranted {
			s.revoke(g)
		}
	}
	org, _ := s.organizations.get(x.m.OrganizationID)
	s.systemEvent(x, "customer.deleted", &models.CustomerDeletedMetadata{CustomerID: x.m.ID, CustomerEmail: optional(x.m.Email), CustomerName: x.m.Name, CustomerExternalID: x.m.ExternalID})
	x.m.DeletedAt = new(c.now)
	if on, _ := parseBool(c.query.Get("anonymize")); on {
		sum := sha256.Sum256([]byte(x.m.ID + x.m.Email))
		x.m.Email, x.m.Name, x.m.BillingName, x.m.BillingAddress, x.m.TaxID = hex.EncodeToString(sum[:8])+"@anonymized.invalid", nil, nil, nil, nil
		x.setAvatar()
	}
	s.emit(org, models.WebhookEventTypeCustomerDeleted, func() any { return x.m })
	s.stateChanged(x)
	return nil, nil
}

func getCustomerState(c *call) (any, error) {
	x, err := c.pathCustomer()
	if err != nil {
		return nil, err
	}
	return c.srv.customerState(x), nil
}

// customerState gathers what the customer has now.
func (s *Server) customerState(x *customer) models.CustomerState {
	m := x.m
	out := models.CustomerState{ID: m.ID, CreatedAt: m.CreatedAt, ModifiedAt: m.ModifiedAt, Metadata: m.Metadata, ExternalID: m.ExternalID, Email: m.Email, EmailVerified: m.EmailVerified,
		Type: string(m.Type), Name: m.Name, BillingName: m.BillingName, BillingAddress: m.BillingAddress, TaxID: m.TaxID, Locale: m.Locale, OrganizationID: m.OrganizationID,
		DefaultPaymentMethodID: m.DefaultPaymentMethodID, DeletedAt: m.DeletedAt, FirstUserEventAt: m.FirstUserEventAt, AvatarURL: m.AvatarURL}
	for _, sub := range x.subscriptions {
		if !sub.active() {
			continue
		}
		y := s.renderSubscription(sub)
		cs := models.CustomerStateSubscription{ID: y.ID, CreatedAt: y.CreatedAt, ModifiedAt: y.ModifiedAt, CustomFieldData: y.CustomFieldData, Metadata: y.Metadata, Status: y.Status,
			Amount: y.Amount, Currency: y.Currency, RecurringInterval: y.RecurringInterval, CurrentPeriodStart: y.CurrentPeriodStart, CurrentPeriodEnd: y.CurrentPeriodEnd,
			TrialStart: y.TrialStart, TrialEnd: y.TrialEnd, CancelAtPeriodEnd: y.CancelAtPeriodEnd, CanceledAt: y.CanceledAt, StartedAt: y.StartedAt, EndsAt: y.EndsAt,
			ProductID: y.ProductID, DiscountID: y.DiscountID, Seats: y.Seats, Units: y.Units}
		for _, me := range y.Meters {
			cs.Meters = append(cs.Meters, models.CustomerStateSubscriptionMeter{CreatedAt: me.CreatedAt, ModifiedAt: me.ModifiedAt, ID: me.ID, ConsumedUnits: me.ConsumedUnits,
				CreditedUnits: me.CreditedUnits, Amount: me.Amount, MeterID: me.MeterID})
		}
		out.ActiveSubscriptions = append(out.ActiveSubscriptions, cs)
	}
	for _, g := range x.grants {
		if !g.m.IsGranted {
			continue
		}
		b, _ := s.benefits.get(g.m.BenefitID)
		out.GrantedBenefits = append(out.GrantedBenefits, models.CustomerStateBenefitGrant{ID: g.m.ID, CreatedAt: g.m.CreatedAt, ModifiedAt: g.m.ModifiedAt, GrantedAt: deref(g.m.GrantedAt),
			BenefitID: g.m.BenefitID, BenefitType: b.m.Type, BenefitMetadata: b.m.Metadata, Properties: g.m.Properties})
	}
	for _, cm := range s.customerMeter.all {
		if cm.customer != x || cm.meter.m.ArchivedAt != nil {
			continue
		}
		y := s.renderCustomerMeter(cm)
		out.ActiveMeters = append(out.ActiveMeters, models.CustomerStateMeter{ID: y.ID, CreatedAt: y.CreatedAt, ModifiedAt: y.ModifiedAt, MeterID: y.MeterID, ConsumedUnits: y.ConsumedUnits,
			CreditedUnits: y.CreditedUnits, Balance: y.Balance})
	}
	return out
}

// stateChanged says that what a customer has is different now.
func (s *Server) stateChanged(x *customer) {
	org, _ := s.organizations.get(x.m.OrganizationID)
	s.emit(org, models.WebhookEventTypeCustomerStateChanged, func() any { return s.customerState(x) })
}
