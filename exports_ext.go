package polar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// OrderExportRow is an order as the export of orders has it. Fields of columns that were not exported, and of empty ones,
// are zero. Columns that this version of the module does not know are in Row.
type OrderExportRow struct {
	Row

	Email          string
	CreatedAt      time.Time // with the offset of the time zone that was asked for
	Product        string    // description of the order
	NetAmount      int64     // in the currency's minor unit, as all amounts here; the file has hundredths whatever the currency
	Currency       string    // lower case, such as "usd"
	Status         models.OrderStatus
	InvoiceNumber  string
	CustomerName   string
	BillingName    string
	BillingCountry string // ISO 3166-1 code
	SubtotalAmount int64
	DiscountAmount int64
	TaxAmount      int64
	TotalAmount    int64
	RefundedAmount int64
	BillingReason  models.OrderBillingReason
}

var orderExport = rowReader[OrderExportRow]{
	columns: map[string]func(*OrderExportRow, string) error{
		"email":           asText(func(r *OrderExportRow) *string { return &r.Email }),
		"created_at":      asTime(func(r *OrderExportRow) *time.Time { return &r.CreatedAt }),
		"product":         asText(func(r *OrderExportRow) *string { return &r.Product }),
		"net_amount":      asAmount(func(r *OrderExportRow) *int64 { return &r.NetAmount }),
		"currency":        asText(func(r *OrderExportRow) *string { return &r.Currency }),
		"status":          asText(func(r *OrderExportRow) *models.OrderStatus { return &r.Status }),
		"invoice_number":  asText(func(r *OrderExportRow) *string { return &r.InvoiceNumber }),
		"customer_name":   asText(func(r *OrderExportRow) *string { return &r.CustomerName }),
		"billing_name":    asText(func(r *OrderExportRow) *string { return &r.BillingName }),
		"billing_country": asText(func(r *OrderExportRow) *string { return &r.BillingCountry }),
		"subtotal":        asAmount(func(r *OrderExportRow) *int64 { return &r.SubtotalAmount }),
		"discount":        asAmount(func(r *OrderExportRow) *int64 { return &r.DiscountAmount }),
		"tax":             asAmount(func(r *OrderExportRow) *int64 { return &r.TaxAmount }),
		"total":           asAmount(func(r *OrderExportRow) *int64 { return &r.TotalAmount }),
		"refunded_amount": asAmount(func(r *OrderExportRow) *int64 { return &r.RefundedAmount }),
		"billing_reason":  asText(func(r *OrderExportRow) *models.OrderBillingReason { return &r.BillingReason }),
	},
	row: func(r *OrderExportRow) *Row { return &r.Row },
}

// ExportRows returns an iterator over the rows of the CSV file that [OrderService.Export] streams, each one read as it
// arrives. It starts the export when it is ranged over, and again when it is ranged over again. A failed call, a broken
// stream and a value that cannot be read are yielded once and end the iteration; the error names line and column and
// does not repeat the value.
//
// Scope: orders:read.
func (s *OrderService) ExportRows(ctx context.Context, params *OrderExportParams, opts ...CallOption) iter.Seq2[*OrderExportRow, error] {
	return orderExport.rows(func() (io.ReadCloser, error) { return s.Export(ctx, params, opts...) })
}

// SubscriptionExportRow is a subscription as the export of subscriptions has it. Fields of columns that were not exported,
// and of empty ones, are zero. Columns that this version of the module does not know are in Row.
type SubscriptionExportRow struct {
	Row

	Email                  string
	StartedAt              time.Time // with the offset of the time zone that was asked for, as all times here
	Product                string    // name of the product
	Amount                 int64     // in the currency's minor unit, each period; the file has hundredths whatever the currency
	Currency               string    // lower case, such as "usd"
	Status                 models.SubscriptionStatus
	RecurringInterval      models.RecurringInterval
	RecurringIntervalCount int // 3 for a period of three months; 0 without the column
	CustomerName           string
	BillingName            string
	BillingCountry         string // ISO 3166-1 code
	NetAmount              int64  // in the currency's minor unit, after the discount
	Discount               string // code of the discount, or its name when it has no code
	Seats                  int    // 0 for products that are not sold by seat
	CurrentPeriodStart     time.Time
	CurrentPeriodEnd       time.Time
	CancelAtPeriodEnd      bool
	CanceledAt             time.Time
	EndsAt                 time.Time
	EndedAt                time.Time
	CancellationReason     models.CustomerCancellationReason
	TrialStart             time.Time
	TrialEnd               time.Time
}

var subscriptionExport = rowReader[SubscriptionExportRow]{
	columns: map[string]func(*SubscriptionExportRow, string) error{
		"email":      asText(func(r *SubscriptionExportRow) *string { return &r.Email }),
		"started_at": asTime(func(r *SubscriptionExportRow) *time.Time { return &r.StartedAt }),
		"product":    asText(func(r *SubscriptionExportRow) *string { return &r.Product }),
		"amount":     asAmount(func(r *SubscriptionExportRow) *int64 { return &r.Amount }),
		"currency":   asText(func(r *SubscriptionExportRow) *string { return &r.Currency }),
		"status":     asText(func(r *SubscriptionExportRow) *models.SubscriptionStatus { return &r.Status }),
		"billing_interval": func(r *SubscriptionExportRow, text string) error {
			r.RecurringInterval, r.RecurringIntervalCount = models.RecurringInterval(text), 1
			if count, unit, ok := strings.Cut(text, " "); ok { // "3 months"
				n, err := strconv.Atoi(count)
				if err != nil || n < 1 {
					return errors.New("no interval such as month or 3 months")
				}
				r.RecurringInterval, r.RecurringIntervalCount = models.RecurringInterval(strings.TrimSuffix(unit, "s")), n
			}
			return nil
		},
		"customer_name":   asText(func(r *SubscriptionExportRow) *string { return &r.CustomerName }),
		"billing_name":    asText(func(r *SubscriptionExportRow) *string { return &r.BillingName }),
		"billing_country": asText(func(r *SubscriptionExportRow) *string { return &r.BillingCountry }),
		"net_amount":      asAmount(func(r *SubscriptionExportRow) *int64 { return &r.NetAmount }),
		"discount":        asText(func(r *SubscriptionExportRow) *string { return &r.Discount }),
		"seats": func(r *SubscriptionExportRow, text string) (err error) {
			if r.Seats, err = strconv.Atoi(text); err != nil {
				return errors.New("no whole number")
			}
			return nil
		},
		"current_period_start": asTime(func(r *SubscriptionExportRow) *time.Time { return &r.CurrentPeriodStart }),
		"current_period_end":   asTime(func(r *SubscriptionExportRow) *time.Time { return &r.CurrentPeriodEnd }),
		"cancels_at_period_end": func(r *SubscriptionExportRow, text string) error {
			r.CancelAtPeriodEnd = text == "true"
			if !r.CancelAtPeriodEnd && text != "false" {
				return errors.New("neither true nor false")
			}
			return nil
		},
		"canceled_at":         asTime(func(r *SubscriptionExportRow) *time.Time { return &r.CanceledAt }),
		"ends_at":             asTime(func(r *SubscriptionExportRow) *time.Time { return &r.EndsAt }),
		"ended_at":            asTime(func(r *SubscriptionExportRow) *time.Time { return &r.EndedAt }),
		"cancellation_reason": asText(func(r *SubscriptionExportRow) *models.CustomerCancellationReason { return &r.CancellationReason }),
		"trial_start":         asTime(func(r *SubscriptionExportRow) *time.Time { return &r.TrialStart }),
		"trial_end":           asTime(func(r *SubscriptionExportRow) *time.Time { return &r.TrialEnd }),
	},
	row: func(r *SubscriptionExportRow) *Row { return &r.Row },
}

// ExportRows returns an iterator over the rows of the CSV file that [SubscriptionService.Export] streams, in the manner of
// [OrderService.ExportRows].
//
// Scope: subscriptions:read or subscriptions:write.
func (s *SubscriptionService) ExportRows(ctx context.Context, params *SubscriptionExportParams, opts ...CallOption) iter.Seq2[*SubscriptionExportRow, error] {
	return subscriptionExport.rows(func() (io.ReadCloser, error) { return s.Export(ctx, params, opts...) })
}

// CustomerExportRow is a customer as the export of customers has it. Fields of empty columns are zero. Columns that this
// version of the module does not know are in Row.
type CustomerExportRow struct {
	Row

	ID             string
	ExternalID     string
	CreatedAt      time.Time
	Email          string
	Name           string
	TaxID          string          // number alone; the column "Tax ID" may hold the format as well
	BillingAddress *models.Address // nil without one
	Metadata       models.Metadata
}

var customerExport = rowReader[CustomerExportRow]{
	columns: map[string]func(*CustomerExportRow, string) error{
		"id":          asText(func(r *CustomerExportRow) *string { return &r.ID }),
		"external_id": asText(func(r *CustomerExportRow) *string { return &r.ExternalID }),
		"created_at":  asTime(func(r *CustomerExportRow) *time.Time { return &r.CreatedAt }),
		"email":       asText(func(r *CustomerExportRow) *string { return &r.Email }),
		"name":        asText(func(r *CustomerExportRow) *string { return &r.Name }),
		"tax_id": func(r *CustomerExportRow, text string) error {
			r.TaxID = text
			if rest, ok := strings.CutPrefix(text, "('"); ok { // ('FR61954506077', <TaxIDFormat.eu_vat: 'eu_vat'>)
				r.TaxID, _, _ = strings.Cut(rest, "'")
			}
			return nil
		},
		"billing_address_line_1":  asAddress(func(a *models.Address, text string) { a.Line1 = &text }),
		"billing_address_line_2":  asAddress(func(a *models.Address, text string) { a.Line2 = &text }),
		"billing_address_city":    asAddress(func(a *models.Address, text string) { a.City = &text }),
		"billing_address_state":   asAddress(func(a *models.Address, text string) { a.State = &text }),
		"billing_address_zip":     asAddress(func(a *models.Address, text string) { a.PostalCode = &text }),
		"billing_address_country": asAddress(func(a *models.Address, text string) { a.Country = text }),
		"metadata": func(r *CustomerExportRow, text string) error {
			if jsonx.Unmarshal([]byte(text), &r.Metadata) != nil {
				return errors.New("no JSON object")
			}
			return nil
		},
	},
	row: func(r *CustomerExportRow) *Row { return &r.Row },
}

func asAddress(set func(a *models.Address, text string)) func(*CustomerExportRow, string) error {
	return func(r *CustomerExportRow, text string) error {
		if r.BillingAddress == nil {
			r.BillingAddress = &models.Address{}
		}
		set(r.BillingAddress, text)
		return nil
	}
}

// ExportRows returns an iterator over the rows of the CSV file that [CustomerService.Export] streams, in the manner of
// [OrderService.ExportRows].
//
// Scope: customers:read or customers:write.
func (s *CustomerService) ExportRows(ctx context.Context, params *CustomerExportParams, opts ...CallOption) iter.Seq2[*CustomerExportRow, error] {
	return customerExport.rows(func() (io.ReadCloser, error) { return s.Export(ctx, params, opts...) })
}

// MetricExportRow is an interval as the export of metrics has it.
type MetricExportRow struct {
	Row

	// Timestamp is where the interval begins, with the offset of the time zone that was asked for.
	Timestamp time.Time
	// Values holds the figures by the heading of their column, which is the metric's name for people: "Net Revenue". The
	// Metrics of [MetricService.Get] tell the name of each slug. Amounts are in cents. Metrics without a figure are
	// missing.
	Values map[string]float64
}

var metricExport = rowReader[MetricExportRow]{
	columns: map[string]func(*MetricExportRow, string) error{
		"timestamp": asTime(func(r *MetricExportRow) *time.Time { return &r.Timestamp }),
	},
	other: func(r *MetricExportRow, heading, text string) error {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("no number")
		}
		if r.Values == nil {
			r.Values = map[string]float64{}
		}
		r.Values[heading] = x
		return nil
	},
	row: func(r *MetricExportRow) *Row { return &r.Row },
}

// ExportRows returns an iterator over the rows of the CSV file that [MetricService.Export] streams, in the manner of
// [OrderService.ExportRows].
//
// Scope: metrics:read.
func (s *MetricService) ExportRows(ctx context.Context, params MetricExportParams, opts ...CallOption) iter.Seq2[*MetricExportRow, error] {
	return metricExport.rows(func() (io.ReadCloser, error) { return s.Export(ctx, params, opts...) })
}

// rowReader says how the columns of an export become the fields of a T.
type rowReader[T any] struct {
	columns map[string]func(row *T, text string) error // by heading, in small letters and with _ for spaces
	other   func(row *T, heading, text string) error   // of any other column; optional
	row     func(row *T) *Row
}

// rows reads what open returns.
func (r *rowReader[T]) rows(open func() (io.ReadCloser, error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		export, err := open()
		if err != nil {
			yield(nil, err)
			return
		}
		var readers []func(*T, string) error // of each column, nil for those that are not known
		for row, err := range Rows(export) {
			if err != nil {
				yield(nil, err)
				return
			}
			if readers == nil {
				readers = r.readers(row.columns)
			}
			out := new(T)
			*r.row(out) = row
			for i, text := range row.values {
				if text == "" || readers[i] == nil {
					continue
				}
				if err := readers[i](out, text); err != nil {
					yield(nil, fmt.Errorf("polar: line %d of the export, column %s: %w", row.line, oneLine(row.columns[i], 64), err))
					return
				}
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

func (r *rowReader[T]) readers(columns []string) []func(*T, string) error {
	readers := make([]func(*T, string) error, len(columns))
	for i, heading := range columns {
		readers[i] = r.columns[strings.ReplaceAll(strings.ToLower(heading), " ", "_")]
		if readers[i] == nil && r.other != nil {
			readers[i] = func(row *T, text string) error { return r.other(row, heading, text) }
		}
	}
	return readers
}

func asText[T any, S ~string](field func(*T) *S) func(*T, string) error {
	return func(row *T, text string) error {
		*field(row) = S(text)
		return nil
	}
}

func asTime[T any](field func(*T) *time.Time) func(*T, string) error {
	return func(row *T, text string) error {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return errors.New("no time such as 2026-10-05T08:00:00+00:00")
		}
		*field(row) = t
		return nil
	}
}

// asAmount reads an amount, which the file has in hundredths with a point, "19.0" for 1900, whatever the currency. A
// number without a point is refused: it could be anything.
func asAmount[T any](field func(*T) *int64) func(*T, string) error {
	return func(row *T, text string) error {
		whole, cents, _ := strings.Cut(text, ".")
		if len(cents) == 1 {
			cents += "0"
		}
		n, err := strconv.ParseInt(whole+cents, 10, 64)
		if err != nil || len(cents) != 2 || strings.Trim(cents, "0123456789") != "" || whole == "" || whole == "-" {
			return errors.New("no amount such as 19.0")
		}
		*field(row) = n
		return nil
	}
}
