package polartest

import (
	"cmp"
	"fmt"
	"math/big"
	"strings"

	"github.com/polar-go/polar/models"
)

type order struct {
	m               models.Order
	organization    *organization
	payment         *payment
	benefitsRevoked bool
	retry           *job // the next attempt to charge it
	attempts        int
	invoicing       bool // the invoice is being made
	receipting      bool // so is the receipt
	receiptReady    bool
}

func (o *order) orgID() string { return o.organization.m.ID }

func orderHandlers() handlers {
	return handlers{
		"orders:list": listOrders, "orders:get": getOrder, "orders:update": updateOrder, "orders:create": createOrder, "orders:finalize": finalizeOrder,
		"orders:generate_invoice": generateInvoice, "orders:invoice": getInvoice, "orders:receipt": getReceipt, "orders:export": exportOrders,
	}
}

func (s *Server) renderOrder(o *order) models.Order {
	m := o.m
	if x, ok := s.customers.get(m.CustomerID); ok {
		m.Customer = x.m
	}
	if p, ok := s.products.get(deref(m.ProductID)); ok {
		m.Product = new(s.renderProductSummary(p))
	}
	if d, ok := s.discounts.get(deref(m.DiscountID)); ok {
		m.Discount = s.renderDiscountSummary(d)
	}
	if sub, ok := s.subscriptions.get(deref(m.SubscriptionID)); ok {
		m.Subscription = s.renderOrderSubscription(sub)
	}
	m.RefundableAmount, m.RefundableTaxAmount = o.refundable()
	return m
}

// refundable is what can still be given back, before tax, and the tax on it. What a balance paid cannot.
func (o *order) refundable() (net, tax int64) {
	m := &o.m
	if !m.Paid || m.TotalAmount <= 0 {
		return 0, 0
	}
	paid := min(m.TotalAmount, m.TotalAmount+m.AppliedBalanceAmount)
	tax = share(paid, m.TaxAmount, m.TotalAmount)
	return paid - tax - m.RefundedAmount, tax - m.RefundedTaxAmount
}

func listOrders(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.orders, func(o *order) bool {
		x, _ := s.customers.get(o.m.CustomerID)
		return c.asksOrder(o) && c.asks("customer_id", o.m.CustomerID) && c.asksPtr("external_customer_id", x.m.ExternalID) && c.asksMetadata(o.m.Metadata)
	})
	return page(c, items, s.orderSorting(), s.renderOrder)
}

// asksOrder applies the filters that every list of orders has.
func (c *call) asksOrder(o *order) bool {
	s := c.srv
	if want, ok := c.query["product_billing_type"]; ok {
		kind := models.ProductBillingTypeOneTime
		if o.m.SubscriptionID != nil {
			kind = models.ProductBillingTypeRecurring
		}
		found := false
		for _, w := range want {
			found = found || w == string(kind)
		}
		if !found {
			return false
		}
	}
	name := ""
	if p, ok := s.products.get(deref(o.m.ProductID)); ok {
		name = p.m.Name
	}
	return c.asksPtr("product_id", o.m.ProductID) && c.asksPtr("discount_id", o.m.DiscountID) && c.asksPtr("checkout_id", o.m.CheckoutID) && c.asksPtr("subscription_id", o.m.SubscriptionID) &&
		c.asks("status", string(o.m.Status)) && c.asks("billing_reason", string(o.m.BillingReason)) && c.asksTime("created_after", "created_before", o.m.CreatedAt) &&
		c.searches("query", name, deref(o.m.InvoiceNumber))
}

func (s *Server) orderSorting() map[string]func(a, b *order) int {
	text := func(f func(*order) string) func(a, b *order) int {
		return func(a, b *order) int { return strings.Compare(f(a), f(b)) }
	}
	return map[string]func(a, b *order) int{
		"status":         text(func(o *order) string { return string(o.m.Status) }),
		"invoice_number": text(func(o *order) string { return deref(o.m.InvoiceNumber) }),
		"amount":         func(a, b *order) int { return cmp.Compare(a.m.TotalAmount, b.m.TotalAmount) },
		"net_amount":     func(a, b *order) int { return cmp.Compare(a.m.NetAmount, b.m.NetAmount) },
		"customer":       text(func(o *order) string { x, _ := s.customers.get(o.m.CustomerID); return x.m.Email }),
		"product": text(func(o *order) string {
			if p, ok := s.products.get(deref(o.m.ProductID)); ok {
				return p.m.Name
			}
			return ""
		}),
		"discount":     text(func(o *order) string { return deref(o.m.DiscountID) }),
		"subscription": text(func(o *order) string { return deref(o.m.SubscriptionID) }),
	}
}

func getOrder(c *call) (any, error) {
	o, err := find(c, &c.srv.orders, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderOrder(o), nil
}

func updateOrder(c *call) (any, error) {
	s := c.srv
	o, err := find(c, &s.orders, c.path["id"])
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
	return s.renderOrder(o), nil
}

// updateBilling sets what the invoice of an order shows, which stays as it is once the invoice is made.
func (c *call) updateBilling(o *order, name models.Nullable[string], address models.Nullable[models.Address]) error {
	if o.m.IsInvoiceGenerated {
		member := "billing_name"
		if name.IsZero() {
			member = "billing_address"
		}
		return invalid(wrong("The billing details cannot be changed once the invoice is generated.", c.value[member], member))
	}
	apply(&o.m.BillingName, name)
	apply(&o.m.BillingAddress, address)
	o.m.ModifiedAt = new(c.now)
	c.srv.emit(o.organization, models.WebhookEventTypeOrderUpdated, func() any { return c.srv.renderOrder(o) })
	return nil
}

// invoice is what an order is made of.
type invoice struct {
	customer     *customer
	product      *product
	subscription *subscription
	checkout     *checkout
	discount     *discount
	reason       models.OrderBillingReason
	currency     string
	lines        []models.OrderItem
	metadata     models.Metadata
	fields       models.CustomFieldData
	inclusive    bool
}

// newOrder works an order's amounts out. It is pending, and the server does not know it before addOrder.
func (s *Server) newOrder(org *organization, in invoice) *order {
	x := in.customer
	o := &order{organization: org, m: models.Order{
		ID: s.uuid(), CreatedAt: s.at, Status: models.OrderStatusPending, Currency: in.currency, BillingReason: in.reason, BillingName: firstOf(x.m.BillingName, x.m.Name),
		BillingAddress: x.m.BillingAddress, CustomerID: x.m.ID, Metadata: in.metadata, CustomFieldData: in.fields, Items: in.lines,
	}}
	m := &o.m
	var discountable int64
	for i := range m.Items {
		m.Items[i].ID, m.Items[i].CreatedAt = s.uuid(), s.at
		m.SubtotalAmount += m.Items[i].Amount
		if !m.Items[i].Proration { // the lines of a change within a period have the discount in them
			discountable += m.Items[i].Amount
		}
	}
	if in.product != nil {
		m.ProductID, m.Description = &in.product.m.ID, in.product.m.Name
	}
	if in.subscription != nil {
		m.SubscriptionID, m.Seats, m.Units = &in.subscription.m.ID, in.subscription.m.Seats, in.subscription.m.Units
	}
	if in.checkout != nil {
		m.CheckoutID = &in.checkout.m.ID
		if in.subscription == nil {
			m.Seats, m.Units = in.checkout.m.Seats, in.checkout.m.Units
		}
	}
	if in.discount != nil {
		m.DiscountID = &in.discount.m.ID
		m.DiscountAmount = in.discount.off(max(0, discountable), in.currency)
	}
	m.NetAmount = m.SubtotalAmount - m.DiscountAmount
	m.TaxAmount, m.NetAmount, m.TotalAmount = s.tax(m.NetAmount, in.inclusive)
	s.spreadTax(m)
	m.AppliedBalanceAmount = -applicable(x.balance[in.currency], m.TotalAmount)
	m.DueAmount = max(0, m.TotalAmount+m.AppliedBalanceAmount)
	return o
}

// applicable is how much of a customer's balance settles an amount. A debt adds to what is due.
func applicable(balance, total int64) int64 {
	if total <= 0 {
		return 0
	}
	return min(balance, total)
}

// addOrder numbers an order and lets the server know it. The customer's balance pays its part, or takes what the order gives back.
func (s *Server) addOrder(o *order) {
	m := &o.m
	x, _ := s.customers.get(m.CustomerID)
	if change := m.AppliedBalanceAmount - min(0, m.TotalAmount); change != 0 {
		if x.balance == nil {
			x.balance = map[string]int64{}
		}
		x.balance[m.Currency] += change
	}
	if m.Status != models.OrderStatusDraft {
		s.number(o)
	}
	s.orders.add(m.ID, o)
	x.orders = append(x.orders, o)
}

// number gives an order its invoice number.
func (s *Server) number(o *order) {
	s.invoices[o.organization.m.ID]++
	o.m.InvoiceNumber = new(fmt.Sprintf("%s-%04d", strings.ToUpper(o.organization.m.Slug), s.invoices[o.organization.m.ID]))
}

// tax works out the tax on an amount: on top of it, or inside it.
func (s *Server) tax(amount int64, inclusive bool) (tax, net, total int64) {
	rate := int64(s.config.taxRate)
	if rate == 0 {
		return 0, amount, amount
	}
	if inclusive {
		tax = amount - round(new(big.Rat).Mul(new(big.Rat).SetInt64(amount), big.NewRat(10_000, 10_000+rate)))
		return tax, amount - tax, amount
	}
	tax = share(amount, rate, 10_000)
	return tax, amount, amount + tax
}

// spreadTax shares the tax among the lines, the last taking what rounding leaves.
func (s *Server) spreadTax(m *models.Order) {
	left := m.TaxAmount
	for i := range m.Items {
		part := left
		if i < len(m.Items)-1 {
			part = share(m.TaxAmount, m.Items[i].Amount, m.SubtotalAmount)
		}
		m.Items[i].TaxAmount = part
		left -= part
	}
}

func firstOf(list ...*string) *string {
	for _, p := range list {
		if p != nil && *p != "" {
			return p
		}
	}
	return nil
}

// orderCreated says that there is a new order.
func (s *Server) orderCreated(o *order) {
	s.emit(o.organization, models.WebhookEventTypeOrderCreated, func() any { return s.renderOrder(o) })
}

// markPaid settles an order.
func (s *Server) markPaid(o *order) {
	m := &o.m
	m.Status, m.Paid, m.ModifiedAt, m.NextPaymentAttemptAt = models.OrderStatusPaid, true, new(s.at), nil
	s.clock.stop(o.retry)
	if m.TotalAmount > 0 {
		m.ReceiptNumber = new("RCPT-" + *m.InvoiceNumber)
		m.PlatformFeeAmount = share(m.TotalAmount, 400, 10_000) + 40
		m.PlatformFeeCurrency = new("usd")
	}
	x, _ := s.customers.get(m.CustomerID)
	meta := &models.OrderPaidMetadata{OrderID: m.ID, ProductID: m.ProductID, Amount: m.TotalAmount, Currency: &m.Currency, NetAmount: &m.NetAmount, TaxAmount: &m.TaxAmount,
		DiscountAmount: &m.DiscountAmount, DiscountID: m.DiscountID, PlatformFee: &m.PlatformFeeAmount, SubscriptionID: m.SubscriptionID, BillingType: new("one_time")}
	if sub, ok := s.subscriptions.get(deref(m.SubscriptionID)); ok {
		meta.BillingType, meta.RecurringInterval, meta.RecurringIntervalCount = new("recurring"), new(string(sub.m.RecurringInterval)), new(sub.m.RecurringIntervalCount)
	}
	if m.AppliedBalanceAmount != 0 {
		meta.AppliedBalanceAmount = &m.AppliedBalanceAmount
	}
	s.systemEvent(x, "order.paid", meta)
	s.emit(o.organization, models.WebhookEventTypeOrderUpdated, func() any { return s.renderOrder(o) })
	s.emit(o.organization, models.WebhookEventTypeOrderPaid, func() any { return s.renderOrder(o) })
}
