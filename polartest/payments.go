package polartest

import (
	"cmp"
	"strings"

	"github.com/polar-go/polar/models"
)

type payment struct {
	m models.Payment
}

func (p *payment) orgID() string { return p.m.OrganizationID }

func paymentHandlers() handlers {
	return handlers{"payments:list": listPayments, "payments:get": getPayment}
}

func listPayments(c *call) (any, error) {
	items := visible(c, &c.srv.payments, func(p *payment) bool {
		o, _ := c.srv.orders.get(deref(p.m.OrderID))
		var email *string
		if o != nil {
			x, _ := c.srv.customers.get(o.m.CustomerID)
			email = &x.m.Email
		}
		return c.asksPtr("customer_email", email) && c.asksPtr("checkout_id", p.m.CheckoutID) && c.asksPtr("order_id", p.m.OrderID) && c.asks("status", string(p.m.Status)) && c.asks("method", p.m.Method) &&
			(c.query["customer_id"] == nil || o != nil && c.asks("customer_id", o.m.CustomerID))
	})
	return page(c, items, map[string]func(a, b *payment) int{
		"status": func(a, b *payment) int { return strings.Compare(string(a.m.Status), string(b.m.Status)) },
		"amount": func(a, b *payment) int { return cmp.Compare(a.m.Amount, b.m.Amount) },
		"method": func(a, b *payment) int { return strings.Compare(a.m.Method, b.m.Method) },
	}, func(p *payment) models.Payment { return p.m })
}

func getPayment(c *call) (any, error) {
	p, err := find(c, &c.srv.payments, c.path["id"])
	if err != nil {
		return nil, err
	}
	return p.m, nil
}

// pay records an attempt to pay.
func (s *Server) pay(org string, amount int64, currency string, trigger models.PaymentTrigger, status models.PaymentStatus) *payment {
	p := &payment{m: models.Payment{CreatedAt: s.at, ID: s.uuid(), Processor: models.PaymentProcessorStripe, Status: status, Amount: amount, Currency: currency, Method: "card",
		Trigger: &trigger, OrganizationID: org, MethodMetadata: &models.PaymentMetadata{Brand: "visa", Last4: "4242"}}}
	if status == models.PaymentStatusFailed {
		p.m.DeclineReason, p.m.DeclineMessage = new("card_declined"), new("The card was declined.")
	}
	s.payments.add(p.m.ID, p)
	return p
}
