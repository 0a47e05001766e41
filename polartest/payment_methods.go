package polartest

import (
	"errors"
	"net/http"
	"slices"

	"github.com/polar-go/polar/models"
)

// paymentMethod is a card that a customer left at a checkout or in the portal.
type paymentMethod struct {
	m          models.PaymentMethod
	declines   bool // it is refused
	challenges bool // it asks for its owner's confirmation
}

func paymentMethodHandlers() handlers {
	return handlers{"customers:list_payment_methods": listPaymentMethods, "customers:list_payment_methods_external": listPaymentMethods}
}

func listPaymentMethods(c *call) (any, error) {
	x, err := c.pathCustomer()
	if err != nil {
		return nil, err
	}
	return page(c, x.methods, nil, func(m *paymentMethod) models.PaymentMethod { return x.renderMethod(m) })
}

func (x *customer) renderMethod(m *paymentMethod) models.PaymentMethod {
	out := m.m
	out.IsDefault = x.m.DefaultPaymentMethodID != nil && *x.m.DefaultPaymentMethodID == m.m.ID
	return out
}

// addMethod gives a customer a card, which becomes the one that is charged.
func (s *Server) addMethod(x *customer, declines bool) *paymentMethod {
	last4 := "4242"
	if declines {
		last4 = "0341"
	}
	m := &paymentMethod{declines: declines, m: models.PaymentMethod{ID: s.uuid(), CreatedAt: s.at, Processor: models.PaymentProcessorStripe, CustomerID: x.m.ID, Type: "card",
		MethodMetadata: &models.PaymentMethodMetadata{Brand: "visa", Last4: last4, ExpMonth: new(12), ExpYear: new(s.at.Year() + 4)}}}
	s.methods.add(m.m.ID, m)
	x.methods = append(x.methods, m)
	x.m.DefaultPaymentMethodID = &m.m.ID
	return m
}

// removeMethod takes a card away; the newest of the others becomes the one that is charged.
func (s *Server) removeMethod(x *customer, m *paymentMethod) {
	s.methods.remove(m.m.ID, func(o *paymentMethod) bool { return o == m })
	x.methods = slices.DeleteFunc(x.methods, func(o *paymentMethod) bool { return o == m })
	if deref(x.m.DefaultPaymentMethodID) == m.m.ID {
		x.m.DefaultPaymentMethodID = nil
		if n := len(x.methods); n > 0 {
			x.m.DefaultPaymentMethodID = &x.methods[n-1].m.ID
		}
	}
}

// defaultMethod is the card that is charged, nil when there is none.
func (x *customer) defaultMethod() *paymentMethod {
	for _, m := range x.methods {
		if m.m.ID == deref(x.m.DefaultPaymentMethodID) {
			return m
		}
	}
	return nil
}

// charge takes what an order still asks for from a card, or from the customer's default one.
// What is due of nothing needs no card.
func (s *Server) charge(o *order, m *paymentMethod, trigger models.PaymentTrigger) bool {
	if o.m.DueAmount == 0 {
		return true
	}
	x, _ := s.customers.get(o.m.CustomerID)
	if m == nil {
		m = x.defaultMethod()
	}
	if m == nil {
		return false
	}
	status := models.PaymentStatusSucceeded
	if m.declines || x.declining {
		status = models.PaymentStatusFailed
	}
	p := s.pay(o.organization.m.ID, o.m.DueAmount, o.m.Currency, trigger, status)
	p.m.OrderID = &o.m.ID
	p.m.MethodMetadata = &models.PaymentMetadata{Brand: m.m.MethodMetadata.Brand, Last4: m.m.MethodMetadata.Last4}
	if status == models.PaymentStatusFailed {
		return false
	}
	o.payment = p
	return true
}

func paymentFailed() error {
	return fail(http.StatusPaymentRequired, "PaymentFailed", "The card was declined, or there is none.")
}

// ChallengePayments makes the default card of a customer, given by its id or external
// id, ask for its owner's confirmation (3-D Secure) when the owner is not there, so
// that finalizing an order fails, or stop doing so.
func (s *Server) ChallengePayments(customer string, on bool) error {
	return s.do(func() error {
		x, err := s.lookUp(customer)
		if err != nil {
			return err
		}
		m := x.defaultMethod()
		if m == nil {
			return errors.New("polartest: ChallengePayments: the customer has no card")
		}
		m.challenges = on
		return nil
	})
}

// lookUp finds a customer of the server's organization by id or external id.
func (s *Server) lookUp(id string) (*customer, error) {
	if x, ok := s.customers.get(id); ok {
		return x, nil
	}
	if x := s.customerByExternalID(s.org.m.ID, id); x != nil {
		return x, nil
	}
	return nil, errNotFound
}

// DeclinePayments makes every card of a customer, given by its id or external id, be
// refused from now on, or be accepted again. Renewals then fail and the subscription
// becomes past due; payments are tried again as time goes on.
func (s *Server) DeclinePayments(customer string, on bool) error {
	return s.do(func() error {
		x, err := s.lookUp(customer)
		if err != nil {
			return err
		}
		x.declining = on
		return nil
	})
}
