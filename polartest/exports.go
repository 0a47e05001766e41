package polartest

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// column is one column of a CSV file: its name in queries, its heading in the file, and what stands in it.
type column[T any] struct {
	name, heading string
	cell          func(x T, zone *time.Location) string
}

// export writes a CSV file: the columns that the query names, or the first ones. Lines end as in Polar's files.
func export[T any](c *call, name string, items []T, columns []column[T], usual int) (any, error) {
	zone := time.UTC
	if z := c.query.Get("timezone"); z != "" {
		loaded, err := time.LoadLocation(z)
		if err != nil {
			return nil, wrongQuery("timezone", "The time zone is unknown.", z)
		}
		zone = loaded
	}
	chosen := columns[:usual]
	if names := c.query["columns"]; len(names) > 0 {
		chosen = nil
		for _, name := range names {
			for _, col := range columns {
				if col.name == name {
					chosen = append(chosen, col)
				}
			}
		}
	}
	headings := make([]string, len(chosen))
	for i, col := range chosen {
		headings[i] = col.heading
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	rows := [][]string{headings}
	for _, x := range items {
		row := make([]string, len(chosen))
		for i, col := range chosen {
			row[i] = col.cell(x, zone)
		}
		rows = append(rows, row)
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	c.header.Set("Content-Disposition", `attachment; filename="polar-`+name+`.csv"`)
	return raw{"text/csv; charset=utf-8", b.Bytes()}, nil
}

// wrongQuery is a 422 about a query parameter that the operation itself finds.
func wrongQuery(param, msg string, input any) error {
	return &apiError{status: 422, body: validationError{"RequestValidationError", []fault{{Type: "value_error", Loc: []any{"query", param}, Msg: msg, Input: input}}}}
}

func csvTime(t *time.Time, zone *time.Location) string {
	if t == nil {
		return ""
	}
	return t.In(zone).Format("2006-01-02T15:04:05.999999-07:00")
}

// csvAmount writes an amount as Polar does: hundredths of the minor units of any currency, with a point and no more
// digits than it takes.
func csvAmount(n int64) string {
	s := strconv.FormatFloat(float64(n)/100, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func exportOrders(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.orders, func(o *order) bool {
		return c.asksPtr("product_id", o.m.ProductID) && c.asks("status", string(o.m.Status)) && c.asksTime("created_after", "created_before", o.m.CreatedAt)
	})
	text := func(name models.OrderExportColumn, heading string, f func(o *models.Order, x *models.Customer) string) column[*order] {
		return column[*order]{string(name), heading, func(o *order, _ *time.Location) string {
			x, _ := s.customers.get(o.m.CustomerID)
			return f(&o.m, &x.m)
		}}
	}
	amount := func(name models.OrderExportColumn, heading string, f func(o *models.Order) int64) column[*order] {
		return column[*order]{string(name), heading, func(o *order, _ *time.Location) string { return csvAmount(f(&o.m)) }}
	}
	return export(c, "orders", items, []column[*order]{
		text(models.OrderExportColumnEmail, "Email", func(_ *models.Order, x *models.Customer) string { return x.Email }),
		{string(models.OrderExportColumnCreatedAt), "Created At", func(o *order, zone *time.Location) string { return csvTime(&o.m.CreatedAt, zone) }},
		text(models.OrderExportColumnProduct, "Product", func(m *models.Order, _ *models.Customer) string { return m.Description }),
		amount(models.OrderExportColumnNetAmount, "Net Amount", func(m *models.Order) int64 { return m.NetAmount }),
		text(models.OrderExportColumnCurrency, "Currency", func(m *models.Order, _ *models.Customer) string { return m.Currency }),
		text(models.OrderExportColumnStatus, "Status", func(m *models.Order, _ *models.Customer) string { return string(m.Status) }),
		text(models.OrderExportColumnInvoiceNumber, "Invoice number", func(m *models.Order, _ *models.Customer) string { return deref(m.InvoiceNumber) }),
		text(models.OrderExportColumnCustomerName, "Customer Name", func(_ *models.Order, x *models.Customer) string { return deref(x.Name) }),
		text(models.OrderExportColumnBillingName, "Billing Name", func(m *models.Order, _ *models.Customer) string { return deref(m.BillingName) }),
		text(models.OrderExportColumnBillingCountry, "Billing Country", func(m *models.Order, _ *models.Customer) string { return deref(m.BillingAddress).Country }),
		amount(models.OrderExportColumnSubtotalAmount, "Subtotal", func(m *models.Order) int64 { return m.SubtotalAmount }),
		amount(models.OrderExportColumnDiscountAmount, "Discount", func(m *models.Order) int64 { return m.DiscountAmount }),
		amount(models.OrderExportColumnTaxAmount, "Tax", func(m *models.Order) int64 { return m.TaxAmount }),
		amount(models.OrderExportColumnTotalAmount, "Total", func(m *models.Order) int64 { return m.TotalAmount }),
		amount(models.OrderExportColumnRefundedAmount, "Refunded Amount", func(m *models.Order) int64 { return m.RefundedAmount }),
		text(models.OrderExportColumnBillingReason, "Billing Reason", func(m *models.Order, _ *models.Customer) string { return string(m.BillingReason) }),
	}, 7)
}

func exportSubscriptions(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.subscriptions, func(x *subscription) bool {
		return c.asks("product_id", x.m.ProductID) && c.asks("status", string(x.m.Status)) && c.asksBool("cancel_at_period_end", x.m.CancelAtPeriodEnd) &&
			c.asksTime("started_after", "started_before", deref(x.m.StartedAt))
	})
	text := func(name models.SubscriptionExportColumn, heading string, f func(x *subscription) string) column[*subscription] {
		return column[*subscription]{string(name), heading, func(x *subscription, _ *time.Location) string { return f(x) }}
	}
	at := func(name models.SubscriptionExportColumn, heading string, f func(m *models.Subscription) *time.Time) column[*subscription] {
		return column[*subscription]{string(name), heading, func(x *subscription, zone *time.Location) string { return csvTime(f(&x.m), zone) }}
	}
	return export(c, "subscriptions", items, []column[*subscription]{
		text(models.SubscriptionExportColumnEmail, "Email", func(x *subscription) string { return x.customer.m.Email }),
		at(models.SubscriptionExportColumnStartedAt, "Started At", func(m *models.Subscription) *time.Time { return m.StartedAt }),
		text(models.SubscriptionExportColumnProduct, "Product", func(x *subscription) string {
			p, _ := s.products.get(x.m.ProductID)
			return p.m.Name
		}),
		text(models.SubscriptionExportColumnAmount, "Amount", func(x *subscription) string { return csvAmount(x.m.Amount) }),
		text(models.SubscriptionExportColumnCurrency, "Currency", func(x *subscription) string { return x.m.Currency }),
		text(models.SubscriptionExportColumnStatus, "Status", func(x *subscription) string { return string(x.m.Status) }),
		text(models.SubscriptionExportColumnRecurringInterval, "Billing Interval", func(x *subscription) string {
			if n := x.m.RecurringIntervalCount; n != 1 {
				return strconv.Itoa(n) + " " + string(x.m.RecurringInterval) + "s"
			}
			return string(x.m.RecurringInterval)
		}),
		text(models.SubscriptionExportColumnCustomerName, "Customer Name", func(x *subscription) string { return deref(x.customer.m.Name) }),
		text(models.SubscriptionExportColumnBillingName, "Billing Name", func(x *subscription) string { return deref(x.customer.m.BillingName) }),
		text(models.SubscriptionExportColumnBillingCountry, "Billing Country", func(x *subscription) string { return deref(x.customer.m.BillingAddress).Country }),
		text(models.SubscriptionExportColumnNetAmount, "Net Amount", func(x *subscription) string { return csvAmount(x.discounted()) }),
		text(models.SubscriptionExportColumnDiscount, "Discount", func(x *subscription) string {
			if x.discount == nil {
				return ""
			}
			return or(x.discount.m.Code, x.discount.m.Name)
		}),
		text(models.SubscriptionExportColumnSeats, "Seats", func(x *subscription) string {
			if x.m.Seats == nil {
				return ""
			}
			return strconv.Itoa(*x.m.Seats)
		}),
		at(models.SubscriptionExportColumnCurrentPeriodStart, "Current Period Start", func(m *models.Subscription) *time.Time { return &m.CurrentPeriodStart }),
		at(models.SubscriptionExportColumnCurrentPeriodEnd, "Current Period End", func(m *models.Subscription) *time.Time { return &m.CurrentPeriodEnd }),
		text(models.SubscriptionExportColumnCancelAtPeriodEnd, "Cancels At Period End", func(x *subscription) string { return strconv.FormatBool(x.m.CancelAtPeriodEnd) }),
		at(models.SubscriptionExportColumnCanceledAt, "Canceled At", func(m *models.Subscription) *time.Time { return m.CanceledAt }),
		at(models.SubscriptionExportColumnEndsAt, "Ends At", func(m *models.Subscription) *time.Time { return m.EndsAt }),
		at(models.SubscriptionExportColumnEndedAt, "Ended At", func(m *models.Subscription) *time.Time { return m.EndedAt }),
		text(models.SubscriptionExportColumnCancellationReason, "Cancellation Reason", func(x *subscription) string { return string(deref(x.m.CustomerCancellationReason)) }),
		at(models.SubscriptionExportColumnTrialStart, "Trial Start", func(m *models.Subscription) *time.Time { return m.TrialStart }),
		at(models.SubscriptionExportColumnTrialEnd, "Trial End", func(m *models.Subscription) *time.Time { return m.TrialEnd }),
	}, 7)
}
