package polartest

import (
	"net/http"
	"time"

	"github.com/polar-go/polar/models"
)

// leastAmount is the smallest amount above zero that a card can be charged.
const leastAmount = 50

// createOrder makes a draft order, which finalizing charges to a saved card.
func createOrder(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.OrderCreate](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(body.OrganizationID)
	if err != nil {
		return nil, err
	}
	x, ok := s.customers.get(body.CustomerID)
	if !ok || x.m.OrganizationID != org.m.ID || x.m.DeletedAt != nil {
		return nil, invalid(wrong("Customer does not exist.", body.CustomerID, "customer_id"))
	}
	p, ok := s.products.get(body.ProductID)
	switch {
	case !ok || p.m.OrganizationID != org.m.ID:
		return nil, invalid(wrong("Product does not exist.", body.ProductID, "product_id"))
	case p.m.IsArchived:
		return nil, invalid(wrong("Product is archived.", body.ProductID, "product_id"))
	case p.m.IsRecurring:
		return nil, invalid(wrong("Only one-time products can be charged this way.", body.ProductID, "product_id"))
	}
	currency := or(body.Currency, org.m.DefaultPresentmentCurrency)
	prices := p.pricesIn(currency)
	if len(prices) == 0 || body.Currency != nil && prices[0].m.PriceCurrency != *body.Currency {
		return nil, invalid(wrong("The product has no price in this currency.", currency, "currency"))
	}
	pr := prices[0]
	amount, err := draftAmount(pr, body)
	if err != nil {
		return nil, err
	}
	item := models.OrderItem{Label: or(body.Description, p.m.Name), Amount: amount, ProductPriceID: &pr.m.ID}
	o := s.newOrder(org, invoice{customer: x, product: p, reason: models.OrderBillingReasonPurchase, currency: pr.m.PriceCurrency, lines: []models.OrderItem{item}, metadata: body.Metadata,
		fields: body.CustomFieldData, inclusive: (&checkout{organization: org}).inclusive(prices)})
	o.m.Status, o.m.Units = models.OrderStatusDraft, body.Units
	o.m.Description = item.Label
	s.addOrder(o)
	s.orderCreated(o)
	return s.renderOrder(o), nil
}

func draftAmount(pr *price, body models.OrderCreate) (int64, error) {
	switch a := pr.m.Amount.(type) {
	case *models.ProductPriceUnitBased:
		switch {
		case body.Amount != nil:
			return 0, invalid(wrong("The amount comes from the units.", *body.Amount, "amount"))
		case body.Units == nil:
			return 0, invalid(fault{Type: "missing", Loc: []any{"body", "units"}, Msg: "Field required"})
		}
		if err := between(*body.Units, deref(a.MinimumUnits), a.MaximumUnits, "units"); err != nil {
			return 0, err
		}
		return pr.amount(1, *body.Units, nil), nil
	case *models.ProductPriceFixed:
		switch {
		case body.Units != nil:
			return 0, invalid(wrong("The product is not sold in units.", *body.Units, "units"))
		case body.Amount == nil:
			return a.PriceAmount, nil
		case *body.Amount > 0 && *body.Amount < leastAmount:
			return 0, invalid(fault{Type: "greater_than_equal", Loc: []any{"body", "amount"}, Msg: "Amount is below the minimum of the currency.", Input: *body.Amount, Ctx: map[string]any{"ge": leastAmount}})
		}
		return *body.Amount, nil
	}
	return 0, invalid(wrong("Only fixed and unit-based prices can be charged this way.", body.ProductID, "product_id"))
}

// finalizeOrder charges a draft. When the card is refused it stays a draft.
func finalizeOrder(c *call) (any, error) {
	s := c.srv
	o, err := find(c, &s.orders, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.OrderFinalize](c)
	if err != nil {
		return nil, err
	}
	switch {
	case !deref(o.organization.m.FeatureSettings.OffSessionChargesEnabled):
		return nil, fail(http.StatusForbidden, "OffSessionChargesNotEnabled", "The organization has no off-session charges.")
	case !o.organization.m.Capabilities.CheckoutPayments:
		return nil, fail(http.StatusForbidden, "OrganizationNotReadyForPayments", "The organization cannot take payments at present.")
	case o.m.Status != models.OrderStatusDraft:
		return nil, fail(http.StatusPreconditionFailed, "OrderNotDraft", "The order is not a draft: it is "+string(o.m.Status)+".")
	}
	x, _ := s.customers.get(o.m.CustomerID)
	var card *paymentMethod
	if body.PaymentMethodID != nil {
		m, ok := s.methods.get(*body.PaymentMethodID)
		if !ok || m.m.CustomerID != x.m.ID {
			return nil, invalid(wrong("Payment method does not exist.", *body.PaymentMethodID, "payment_method_id"))
		}
		card = m
	}
	if card == nil {
		card = x.defaultMethod()
	}
	if o.m.DueAmount > 0 && card != nil && card.challenges {
		return nil, fail(http.StatusPaymentRequired, "PaymentActionRequired", "The card asks for its owner's confirmation.")
	}
	if !s.charge(o, card, models.PaymentTriggerPurchase) {
		return nil, paymentFailed()
	}
	s.number(o)
	s.markPaid(o)
	if p, ok := s.products.get(deref(o.m.ProductID)); ok {
		s.grantAll(x, p, scope{order: o})
	}
	return s.renderOrder(o), nil
}

// generateInvoice has the invoice of an order made, which takes a moment.
func generateInvoice(c *call) (any, error) {
	o, err := find(c, &c.srv.orders, c.path["id"])
	if err != nil {
		return nil, err
	}
	return nil, c.srv.makeInvoice(o)
}

func (s *Server) makeInvoice(o *order) error {
	m := &o.m
	switch {
	case !m.Paid:
		return fail(http.StatusConflict, "OrderNotEligibleForInvoice", "The order is not paid.")
	case m.BillingName == nil || m.BillingAddress == nil:
		return fail(http.StatusUnprocessableEntity, "MissingInvoiceBillingDetails", "The order needs a billing name and a billing address.")
	case m.IsInvoiceGenerated || o.invoicing:
		return nil
	}
	o.invoicing = true
	s.clock.at(s.at.Add(documentWait), func() {
		o.invoicing, m.IsInvoiceGenerated, m.ModifiedAt = false, true, new(s.at)
		s.emit(o.organization, models.WebhookEventTypeOrderUpdated, func() any { return s.renderOrder(o) })
	})
	return nil
}

// documentWait is how long an invoice or a receipt takes to make.
const documentWait = time.Second

func getInvoice(c *call) (any, error) {
	o, err := find(c, &c.srv.orders, c.path["id"])
	if err != nil {
		return nil, err
	}
	if !o.m.IsInvoiceGenerated {
		return nil, notFound()
	}
	return models.OrderInvoice{URL: c.srv.document(o, "invoice")}, nil
}

func getReceipt(c *call) (any, error) {
	o, err := find(c, &c.srv.orders, c.path["id"])
	if err != nil {
		return nil, err
	}
	if o.m.ReceiptNumber == nil {
		return nil, notFound()
	}
	if !c.srv.receipt(o) {
		c.status = http.StatusAccepted
		return nil, nil
	}
	return models.OrderInvoice{URL: c.srv.document(o, "receipt")}, nil
}

// receipt tells whether the receipt of an order is ready, and has it made when nobody has asked before.
func (s *Server) receipt(o *order) bool {
	if !o.receiptReady && !o.receipting {
		o.receipting = true
		s.clock.at(s.at.Add(documentWait), func() { o.receiptReady = true })
	}
	return o.receiptReady
}

// document is where a file about an order is.
func (s *Server) document(o *order, kind string) string {
	return s.URL + "/documents/" + kind + "/" + o.m.ID + ".pdf?expires=" + s.at.Add(10*time.Minute).Format("20060102T150405Z")
}
