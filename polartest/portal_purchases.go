package polartest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/polar-go/polar/models"
)

// retried is what a customer did to pay an order that was refused.
type retried struct {
	failures int
	secret   string // of the payment that waits for a step at the bank
	token    string // its confirmation token
}

// manualRetries is how often a customer may try to pay an order in vain.
const manualRetries = 5

func portalPurchaseHandlers() handlers {
	return handlers{
		"customer_portal:orders:list": portalOrders, "customer_portal:orders:get": portalOrder, "customer_portal:orders:update": portalUpdateOrder,
		"customer_portal:orders:generate_invoice": portalGenerateInvoice, "customer_portal:orders:invoice": portalInvoice, "customer_portal:orders:receipt": portalReceipt,
		"customer_portal:orders:get_payment_status": portalPaymentStatus, "customer_portal:orders:confirm_retry_payment": portalConfirmPayment,

		"customer_portal:subscriptions:list": portalSubscriptions, "customer_portal:subscriptions:get": portalGetSubscription,
		"customer_portal:subscriptions:update": portalUpdateSubscription, "customer_portal:subscriptions:cancel": portalCancelSubscription,

		"customer_portal:wallets:list": portalWallets, "customer_portal:wallets:get": portalGetWallet,
	}
}

func (s *Server) portalProduct(p *product) models.PortalProduct {
	out := fill[models.PortalProduct](s.renderPublicProduct(p))
	org, _ := s.organizations.get(p.m.OrganizationID)
	out.Organization = org.portal()
	return out
}

func (s *Server) portalOrder(o *order) models.PortalOrder {
	m := s.renderOrder(o)
	out := fill[models.PortalOrder](m)
	if p, ok := s.products.get(deref(m.ProductID)); ok {
		out.Product = new(s.portalProduct(p))
	}
	if m.Subscription != nil {
		out.Subscription = new(fill[models.PortalOrderSubscription](*m.Subscription))
	}
	return out
}

func portalOrders(c *call) (any, error) {
	s := c.srv
	if err := c.billing(); err != nil {
		return nil, err
	}
	items := slices.DeleteFunc(slices.Clone(c.who.customer.orders), func(o *order) bool {
		return o.m.Status == models.OrderStatusDraft || !c.asksOrder(o)
	})
	return page(c, items, s.orderSorting(), s.portalOrder)
}

func (c *call) portalPathOrder() (*order, error) {
	if err := c.billing(); err != nil {
		return nil, err
	}
	o, ok := c.srv.orders.get(c.path["id"])
	if !ok || o.m.CustomerID != c.who.customer.m.ID || o.m.Status == models.OrderStatusDraft {
		return nil, notFound()
	}
	return o, nil
}

func portalOrder(c *call) (any, error) {
	o, err := c.portalPathOrder()
	if err != nil {
		return nil, err
	}
	return c.srv.portalOrder(o), nil
}

func portalUpdateOrder(c *call) (any, error) {
	o, err := c.portalPathOrder()
	if err != nil {
		return nil, err
	}
	body, err := decode[models.OrderUpdate](c)
	if err != nil {
		return nil, err
	}
	if err := c.updateBilling(o, body.BillingName, body.BillingAddress); err != nil {
		return nil, err
	}
	return c.srv.portalOrder(o), nil
}

func portalGenerateInvoice(c *call) (any, error) {
	o, err := c.portalPathOrder()
	if err != nil {
		return nil, err
	}
	return nil, c.srv.makeInvoice(o)
}

func portalInvoice(c *call) (any, error) {
	if _, err := c.portalPathOrder(); err != nil {
		return nil, err
	}
	return getInvoice(c)
}

func portalReceipt(c *call) (any, error) {
	if _, err := c.portalPathOrder(); err != nil {
		return nil, err
	}
	return getReceipt(c)
}

// lastPayment is the latest attempt to pay an order, nil when there was none.
func (s *Server) lastPayment(o *order) *payment {
	for _, p := range slices.Backward(s.payments.all) {
		if deref(p.m.OrderID) == o.m.ID {
			return p
		}
	}
	return nil
}

func portalPaymentStatus(c *call) (any, error) {
	s := c.srv
	o, err := c.portalPathOrder()
	if err != nil {
		return nil, err
	}
	p := s.lastPayment(o)
	switch r := s.retries[o.m.ID]; {
	case o.m.Paid:
		return models.PortalOrderPaymentStatus{Status: "succeeded"}, nil
	case r != nil && r.secret != "":
		return models.PortalOrderPaymentStatus{Status: "requires_action"}, nil
	case p != nil && p.m.Status == models.PaymentStatusFailed:
		return models.PortalOrderPaymentStatus{Status: "failed", Error: p.m.DeclineMessage}, nil
	}
	return models.PortalOrderPaymentStatus{Status: string(o.m.Status)}, nil
}

// portalConfirmPayment tries to pay an order whose payment was refused, with a card that
// the customer has or with a new one.
func portalConfirmPayment(c *call) (any, error) {
	s, x := c.srv, c.who.customer
	o, err := c.portalPathOrder()
	if err != nil {
		return nil, err
	}
	body, err := decode[models.PortalOrderConfirmPayment](c)
	if err != nil {
		return nil, err
	}
	if count(body.ConfirmationTokenID, body.PaymentMethodID) != 1 {
		return nil, invalid(fault{Type: "value_error", Loc: []any{"body"}, Msg: "Exactly one of confirmation_token_id and payment_method_id is needed.", Input: c.value})
	}
	r := s.retries[o.m.ID]
	if r == nil {
		r = &retried{}
		put(&s.retries, o.m.ID, r)
	}
	switch {
	case o.m.Status != models.OrderStatusPending || o.m.NextPaymentAttemptAt == nil:
		return nil, fail(http.StatusUnprocessableEntity, "OrderNotEligibleForRetry", "Only an order whose payment was refused can be paid again.")
	case r.secret != "":
		return nil, fail(http.StatusConflict, "PaymentAlreadyInProgress", "A payment of the order waits for a step at the bank.")
	case r.failures >= manualRetries:
		return nil, fail(http.StatusTooManyRequests, "ManualRetryLimitExceeded", "Too many attempts to pay the order failed.")
	}
	var m *paymentMethod
	if id := body.PaymentMethodID; id != nil {
		if m = x.method(*id); m == nil {
			return nil, invalid(wrong("Payment method does not exist.", *id, "payment_method_id"))
		}
	} else if token := *body.ConfirmationTokenID; actionNeeded(token) {
		r.secret, r.token = "pi_"+s.letters(24, alphabet)+"_secret_"+s.letters(24, alphabet), token
		return models.PortalOrderPaymentConfirmation{Status: "requires_action", ClientSecret: &r.secret}, nil
	} else {
		m = s.cardOf(x, token)
	}
	return s.payAgain(o, r, m), nil
}

// cardOf is the new card that a confirmation token stands for. It is kept unless it is refused at once.
func (s *Server) cardOf(x *customer, token string) *paymentMethod {
	refused, later := declined(token)
	if refused {
		return &paymentMethod{declines: true, m: models.PaymentMethod{MethodMetadata: &models.PaymentMethodMetadata{Brand: "visa", Last4: "0002"}}}
	}
	m := s.addMethod(x, false)
	m.declines = later
	return m
}

func (s *Server) payAgain(o *order, r *retried, m *paymentMethod) models.PortalOrderPaymentConfirmation {
	if !s.charge(o, m, models.PaymentTriggerRetryCustomer) {
		r.failures++
		return models.PortalOrderPaymentConfirmation{Status: "failed", Error: s.lastPayment(o).m.DeclineMessage}
	}
	s.markPaid(o)
	if sub, ok := s.subscriptions.get(deref(o.m.SubscriptionID)); ok {
		s.recovered(sub)
	}
	return models.PortalOrderPaymentConfirmation{Status: "succeeded"}
}

// AuthenticatePayment plays the step that a customer takes at the bank for a payment
// that asked for one, given by the client secret that came with it: the order is
// charged, or refused when ok is false. At a checkout the secret is "intent_client_secret"
// in the payment processor's metadata; a refusal opens the checkout again.
func (s *Server) AuthenticatePayment(clientSecret string, ok bool) error {
	return s.do(func() error {
		for _, x := range s.checkouts.all {
			if x.challenge != "" && x.challenge == clientSecret {
				s.authenticateCheckout(x, ok)
				return nil
			}
		}
		for _, o := range s.orders.all {
			r := s.retries[o.m.ID]
			if r == nil || r.secret == "" || r.secret != clientSecret {
				continue
			}
			x, _ := s.customers.get(o.m.CustomerID)
			r.secret = ""
			if o.m.Status != models.OrderStatusPending {
				return nil
			}
			token := r.token
			if !ok {
				token = "decline"
			}
			s.payAgain(o, r, s.cardOf(x, token))
			return nil
		}
		return errNotFound
	})
}

func (s *Server) portalSubscription(sub *subscription) models.PortalSubscription {
	m := s.renderSubscription(sub)
	out := fill[models.PortalSubscription](m)
	if p, ok := s.products.get(m.ProductID); ok {
		out.Product = s.portalProduct(p)
	}
	for _, me := range m.Meters {
		one := fill[models.PortalSubscriptionMeter](me)
		one.Meter = fill[models.MeterSummary](me.Meter)
		out.Meters = append(out.Meters, one)
	}
	return out
}

func portalSubscriptions(c *call) (any, error) {
	s := c.srv
	if err := c.billing(); err != nil {
		return nil, err
	}
	items := slices.DeleteFunc(slices.Clone(c.who.customer.subscriptions), func(x *subscription) bool { return !c.asksSubscription(x) })
	return page(c, items, s.subscriptionSorting(), s.portalSubscription)
}

func (c *call) portalPathSubscription() (*subscription, error) {
	if err := c.billing(); err != nil {
		return nil, err
	}
	sub, ok := c.srv.subscriptions.get(c.path["id"])
	if !ok || sub.customer != c.who.customer {
		return nil, notFound()
	}
	return sub, nil
}

func portalGetSubscription(c *call) (any, error) {
	sub, err := c.portalPathSubscription()
	if err != nil {
		return nil, err
	}
	return c.srv.portalSubscription(sub), nil
}

// portalUpdateSubscription changes a subscription as far as the organization lets customers do so.
func portalUpdateSubscription(c *call) (any, error) {
	s := c.srv
	sub, err := c.portalPathSubscription()
	if err != nil {
		return nil, err
	}
	if !sub.live() {
		return nil, alreadyCanceled()
	}
	settings := sub.organization.m.CustomerPortalSettings.Subscription
	open := sub.organization.m.SubscriptionSettings.AllowCustomerUpdates
	deny := func(name, what string) error {
		return fail(http.StatusForbidden, name, "The organization does not let customers "+what+" in the portal.")
	}
	switch c.chosen {
	case "CustomerSubscriptionCancel":
		body, err := decode[models.PortalSubscriptionCancel](c)
		if err != nil {
			return nil, err
		}
		if err := s.portalCancel(sub, body); err != nil {
			return nil, err
		}
		return s.portalSubscription(sub), nil
	case "CustomerSubscriptionUpdateProduct":
		if !open || !settings.UpdatePlan {
			return nil, deny("UpdateSubscriptionPlanNotAllowed", "change their plan")
		}
		c.chosen = "SubscriptionUpdateBase"
	case "CustomerSubscriptionUpdateSeats":
		if !open || !settings.UpdateSeats {
			return nil, deny("UpdateSubscriptionSeatsNotAllowed", "change their seats")
		}
		c.chosen = "SubscriptionUpdateSeats"
	case "CustomerSubscriptionUpdateUnits":
		if !open || !deref(settings.UpdateUnits) {
			return nil, deny("UpdateSubscriptionUnitsNotAllowed", "change their units")
		}
		c.chosen = "SubscriptionUpdateUnits"
	case "CustomerSubscriptionPause", "CustomerSubscriptionResume":
		if !deref(settings.Pause) {
			return nil, deny("PauseResumeNotAllowed", "pause or resume")
		}
		c.chosen = strings.TrimPrefix(c.chosen, "Customer")
	default:
		c.chosen = "SubscriptionUpdateClear"
	}
	if sub.customer.defaultMethod() == nil && c.costs(sub) {
		return nil, fail(http.StatusConflict, "PaymentMethodRequired", "The subscription has no payment method to charge.")
	}
	if err := c.changeSubscription(sub); err != nil {
		return nil, err
	}
	return s.portalSubscription(sub), nil
}

// costs tells whether the change leaves a subscription that is to be paid.
func (c *call) costs(sub *subscription) bool {
	switch c.chosen {
	case "SubscriptionUpdateBase":
		id, _ := c.value["product_id"].(string)
		p, ok := c.srv.products.get(id)
		return ok && !p.free(p.pricesIn(sub.m.Currency))
	case "SubscriptionUpdateSeats", "SubscriptionUpdateUnits", "SubscriptionResume":
		p, ok := c.srv.products.get(sub.m.ProductID)
		return ok && !p.free(sub.prices)
	}
	return false
}

func (s *Server) portalCancel(sub *subscription, body models.PortalSubscriptionCancel) error {
	if end, ok := body.CancelAtPeriodEnd.Get(); ok {
		if end {
			return s.cancel(sub, body.CancellationReason, body.CancellationComment)
		}
		return s.uncancel(sub)
	}
	apply(&sub.m.CustomerCancellationReason, body.CancellationReason)
	apply(&sub.m.CustomerCancellationComment, body.CancellationComment)
	sub.m.ModifiedAt = new(s.at)
	s.say(sub, models.WebhookEventTypeSubscriptionUpdated)
	return nil
}

func portalCancelSubscription(c *call) (any, error) {
	s := c.srv
	sub, err := c.portalPathSubscription()
	if err != nil {
		return nil, err
	}
	if !sub.live() {
		return nil, alreadyCanceled()
	}
	if err := s.cancel(sub, models.Nullable[models.CustomerCancellationReason]{}, models.Nullable[string]{}); err != nil {
		return nil, err
	}
	return s.portalSubscription(sub), nil
}

// walletsOf are the balances of a customer, one for each currency that it ever had one in.
func (s *Server) walletsOf(x *customer) []models.PortalWallet {
	var out []models.PortalWallet
	for currency, balance := range x.balance {
		key := x.m.ID + currency
		out = append(out, models.PortalWallet{ID: s.walletIDs[key], CreatedAt: s.walletSince[key], CustomerID: x.m.ID, Balance: balance, Currency: currency})
	}
	slices.SortFunc(out, func(a, b models.PortalWallet) int { return strings.Compare(a.Currency, b.Currency) })
	for i := range out {
		if w := &out[i]; w.ID == "" {
			w.ID, w.CreatedAt = s.uuid(), s.at
			put(&s.walletIDs, x.m.ID+w.Currency, w.ID)
			put(&s.walletSince, x.m.ID+w.Currency, w.CreatedAt)
		}
	}
	slices.SortStableFunc(out, func(a, b models.PortalWallet) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return out
}

func portalWallets(c *call) (any, error) {
	if err := c.billing(); err != nil {
		return nil, err
	}
	return page(c, c.srv.walletsOf(c.who.customer), map[string]func(a, b models.PortalWallet) int{
		"balance": func(a, b models.PortalWallet) int { return cmp.Compare(a.Balance, b.Balance) },
	}, func(w models.PortalWallet) models.PortalWallet { return w })
}

func portalGetWallet(c *call) (any, error) {
	if err := c.billing(); err != nil {
		return nil, err
	}
	for _, w := range c.srv.walletsOf(c.who.customer) {
		if strings.EqualFold(w.ID, c.path["id"]) {
			return w, nil
		}
	}
	return nil, notFound()
}

// Credit adds an amount, in the currency's minor unit, to the balance of a customer given
// by its id or external id. The next orders in that currency are paid from it first.
func (s *Server) Credit(customer string, amount int64, currency string) error {
	return s.do(func() error {
		x, ok := s.customers.get(customer)
		if !ok {
			x = s.customerByExternalID(s.org.m.ID, customer)
		}
		if x == nil {
			return errNotFound
		}
		put(&x.balance, currency, x.balance[currency]+amount)
		return nil
	})
}
