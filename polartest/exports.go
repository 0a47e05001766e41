package polartest

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"time"

	"github.com/polar-go/polar/models"
)

// export writes a CSV file: the columns that the query names, or the usual ones. Lines end as in Polar's files.
func export[T any](c *call, name string, items []T, usual []string, cell func(column string, x T, zone *time.Location) string) (any, error) {
	zone := time.UTC
	if z := c.query.Get("timezone"); z != "" {
		loaded, err := time.LoadLocation(z)
		if err != nil {
			return nil, wrongQuery("timezone", "The time zone is unknown.", z)
		}
		zone = loaded
	}
	columns := c.query["columns"]
	if len(columns) == 0 {
		columns = usual
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	rows := [][]string{columns}
	for _, x := range items {
		row := make([]string, len(columns))
		for i, col := range columns {
			row[i] = cell(col, x, zone)
		}
		rows = append(rows, row)
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	c.header.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
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
	return t.In(zone).Format(time.RFC3339)
}

// csvAmount writes minor units as they are.
func csvAmount(n int64) string { return strconv.FormatInt(n, 10) }

func exportOrders(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.orders, func(o *order) bool {
		return c.asksPtr("product_id", o.m.ProductID) && c.asks("status", string(o.m.Status)) && c.asksTime("created_after", "created_before", o.m.CreatedAt)
	})
	return export(c, "orders", items, []string{"email", "created_at", "product", "net_amount", "currency", "status", "invoice_number"}, func(col string, o *order, zone *time.Location) string {
		m := &o.m
		x, _ := s.customers.get(m.CustomerID)
		switch models.OrderExportColumn(col) {
		case models.OrderExportColumnEmail:
			return x.m.Email
		case models.OrderExportColumnCreatedAt:
			return csvTime(&m.CreatedAt, zone)
		case models.OrderExportColumnProduct:
			if p, ok := s.products.get(deref(m.ProductID)); ok {
				return p.m.Name
			}
			return m.Description
		case models.OrderExportColumnNetAmount:
			return csvAmount(m.NetAmount)
		case models.OrderExportColumnCurrency:
			return m.Currency
		case models.OrderExportColumnStatus:
			return string(m.Status)
		case models.OrderExportColumnInvoiceNumber:
			return deref(m.InvoiceNumber)
		case models.OrderExportColumnCustomerName:
			return deref(x.m.Name)
		case models.OrderExportColumnBillingName:
			return deref(m.BillingName)
		case models.OrderExportColumnBillingCountry:
			return deref(m.BillingAddress).Country
		case models.OrderExportColumnSubtotalAmount:
			return csvAmount(m.SubtotalAmount)
		case models.OrderExportColumnDiscountAmount:
			return csvAmount(m.DiscountAmount)
		case models.OrderExportColumnTaxAmount:
			return csvAmount(m.TaxAmount)
		case models.OrderExportColumnTotalAmount:
			return csvAmount(m.TotalAmount)
		case models.OrderExportColumnRefundedAmount:
			return csvAmount(m.RefundedAmount)
		case models.OrderExportColumnBillingReason:
			return string(m.BillingReason)
		}
		return ""
	})
}

func exportSubscriptions(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.subscriptions, func(x *subscription) bool {
		return c.asks("product_id", x.m.ProductID) && c.asks("status", string(x.m.Status)) && c.asksBool("cancel_at_period_end", x.m.CancelAtPeriodEnd) &&
			c.asksTime("started_after", "started_before", deref(x.m.StartedAt))
	})
	usual := []string{"email", "started_at", "product", "amount", "currency", "status", "recurring_interval"}
	return export(c, "subscriptions", items, usual, func(col string, x *subscription, zone *time.Location) string {
		m := &x.m
		cust := &x.customer.m
		switch models.SubscriptionExportColumn(col) {
		case models.SubscriptionExportColumnEmail:
			return cust.Email
		case models.SubscriptionExportColumnStartedAt:
			return csvTime(m.StartedAt, zone)
		case models.SubscriptionExportColumnProduct:
			p, _ := s.products.get(m.ProductID)
			return p.m.Name
		case models.SubscriptionExportColumnAmount:
			return csvAmount(m.Amount)
		case models.SubscriptionExportColumnCurrency:
			return m.Currency
		case models.SubscriptionExportColumnStatus:
			return string(m.Status)
		case models.SubscriptionExportColumnRecurringInterval:
			return string(m.RecurringInterval)
		case models.SubscriptionExportColumnCustomerName:
			return deref(cust.Name)
		case models.SubscriptionExportColumnBillingName:
			return deref(cust.BillingName)
		case models.SubscriptionExportColumnBillingCountry:
			return deref(cust.BillingAddress).Country
		case models.SubscriptionExportColumnNetAmount:
			return csvAmount(x.discounted())
		case models.SubscriptionExportColumnDiscount:
			if x.discount != nil {
				return x.discount.m.Name
			}
		case models.SubscriptionExportColumnSeats:
			if m.Seats != nil {
				return strconv.Itoa(*m.Seats)
			}
		case models.SubscriptionExportColumnCurrentPeriodStart:
			return csvTime(&m.CurrentPeriodStart, zone)
		case models.SubscriptionExportColumnCurrentPeriodEnd:
			return csvTime(&m.CurrentPeriodEnd, zone)
		case models.SubscriptionExportColumnCancelAtPeriodEnd:
			return strconv.FormatBool(m.CancelAtPeriodEnd)
		case models.SubscriptionExportColumnCanceledAt:
			return csvTime(m.CanceledAt, zone)
		case models.SubscriptionExportColumnEndsAt:
			return csvTime(m.EndsAt, zone)
		case models.SubscriptionExportColumnEndedAt:
			return csvTime(m.EndedAt, zone)
		case models.SubscriptionExportColumnCancellationReason:
			return string(deref(m.CustomerCancellationReason))
		case models.SubscriptionExportColumnTrialStart:
			return csvTime(m.TrialStart, zone)
		case models.SubscriptionExportColumnTrialEnd:
			return csvTime(m.TrialEnd, zone)
		}
		return ""
	})
}
