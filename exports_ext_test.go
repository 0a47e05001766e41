package polar_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

var exportStart = time.Date(2026, 10, 5, 8, 0, 0, 0, time.UTC)

// TestExportRowsSayWhatTheAPISays compares the rows of the exports with the objects.
func TestExportRowsSayWhatTheAPISays(t *testing.T) {
	t.Parallel()
	ctx, srv := t.Context(), polartest.NewServer(t, polartest.WithTime(exportStart), polartest.WithTaxRate(1900))
	client := srv.Client()
	book := sale(t, srv, nil)
	srv.Advance(time.Minute)
	sale(t, srv, new(14))
	srv.Advance(40 * 24 * time.Hour)
	_, err := client.Refunds.Create(ctx, models.RefundCreate{OrderID: book.ID, Reason: models.RefundReasonCustomerRequest, Amount: 1})
	require.NoError(t, err)
	srv.Advance(time.Minute)
	_, err = client.Customers.Create(ctx, models.CustomerCreate{Email: "b@example.com", TaxID: new("FR61954506077"), Metadata: models.Metadata{"n": 3, "s": `"x"`},
		BillingAddress: &models.Address{Country: "FR", City: new("Paris"), Line1: new("1 rue, \"A\"\nB"), Line2: new("2"), PostalCode: new("75001"), State: new("FR-75")}})
	require.NoError(t, err)

	orders, err := polar.Collect(client.Orders.All(ctx, nil), 100)
	require.NoError(t, err)
	byTime := func(a, b *polar.OrderExportRow) int { return a.CreatedAt.Compare(b.CreatedAt) }
	rows, err := collect(client.Orders.ExportRows(ctx, &polar.OrderExportParams{Columns: models.OrderExportColumnValues(), Timezone: "Asia/Tokyo"}))
	require.NoError(t, err)
	require.Len(t, rows, len(orders))
	slices.SortStableFunc(rows, byTime)
	slices.SortStableFunc(orders, func(a, b *models.Order) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for i, row := range rows {
		o := orders[i]
		assert.True(t, row.CreatedAt.Equal(o.CreatedAt.Truncate(time.Microsecond)))
		_, offset := row.CreatedAt.Zone()
		assert.Equal(t, 9*60*60, offset)
		assert.Equal(t, []any{o.Customer.Email, o.Description, o.NetAmount, o.Currency, o.Status, deref(o.InvoiceNumber), o.SubtotalAmount, o.DiscountAmount, o.TaxAmount, o.TotalAmount, o.RefundedAmount, o.BillingReason},
			[]any{row.Email, row.Product, row.NetAmount, row.Currency, row.Status, row.InvoiceNumber, row.SubtotalAmount, row.DiscountAmount, row.TaxAmount, row.TotalAmount, row.RefundedAmount, row.BillingReason})
		assert.Equal(t, "DE", row.BillingCountry)
		assert.Len(t, row.Columns(), len(models.OrderExportColumnValues()))
	}

	subs, err := polar.Collect(client.Subscriptions.All(ctx, nil), 100)
	require.NoError(t, err)
	require.Len(t, subs, 1)
	_, err = client.Subscriptions.Update(ctx, subs[0].ID, models.SubscriptionCancel{CancelAtPeriodEnd: true, CustomerCancellationReason: models.Set(models.CustomerCancellationReasonTooExpensive)})
	require.NoError(t, err)
	s, err := client.Subscriptions.Get(ctx, subs[0].ID)
	require.NoError(t, err)
	subRows, err := collect(client.Subscriptions.ExportRows(ctx, &polar.SubscriptionExportParams{Columns: models.SubscriptionExportColumnValues()}))
	require.NoError(t, err)
	require.Len(t, subRows, 1)
	row := subRows[0]
	assert.Equal(t, []any{s.Customer.Email, s.Product.Name, s.Amount, s.Amount, s.Currency, s.Status, s.RecurringInterval, s.RecurringIntervalCount, true, models.CustomerCancellationReasonTooExpensive, 0},
		[]any{row.Email, row.Product, row.Amount, row.NetAmount, row.Currency, row.Status, row.RecurringInterval, row.RecurringIntervalCount, row.CancelAtPeriodEnd, row.CancellationReason, row.Seats})
	for name, times := range map[string][2]time.Time{
		"started": {*s.StartedAt, row.StartedAt}, "start": {s.CurrentPeriodStart, row.CurrentPeriodStart}, "end": {s.CurrentPeriodEnd, row.CurrentPeriodEnd},
		"canceled": {*s.CanceledAt, row.CanceledAt}, "ends": {*s.EndsAt, row.EndsAt}, "trial start": {*s.TrialStart, row.TrialStart}, "trial end": {*s.TrialEnd, row.TrialEnd},
	} {
		assert.WithinDuration(t, times[0], times[1], time.Microsecond, name)
	}
	assert.True(t, row.EndedAt.IsZero())

	customers, err := collect(client.Customers.ExportRows(ctx, nil))
	require.NoError(t, err)
	require.Len(t, customers, 2)
	i := slices.IndexFunc(customers, func(c *polar.CustomerExportRow) bool { return c.Email == "b@example.com" })
	c := customers[i]
	assert.Equal(t, models.Metadata{"n": int64(3), "s": `"x"`}, c.Metadata)
	assert.Equal(t, "FR61954506077", c.TaxID)
	assert.Equal(t, &models.Address{Country: "FR", City: new("Paris"), Line1: new("1 rue, \"A\"\nB"), Line2: new("2"), PostalCode: new("75001"), State: new("FR-75")}, c.BillingAddress)
	assert.Equal(t, "user_1", customers[1-i].ExternalID)
	assert.False(t, customers[1-i].CreatedAt.IsZero())
	assert.NotEmpty(t, customers[1-i].ID)

	from := models.DateOf(exportStart)
	params := polar.MetricExportParams{StartDate: from, EndDate: models.DateOf(exportStart.AddDate(0, 0, 2)), Interval: models.TimeIntervalDay, Metrics: []string{"orders", "net_revenue"}}
	metrics, err := collect(client.Metrics.ExportRows(ctx, params))
	require.NoError(t, err)
	want, err := client.Metrics.Get(ctx, polar.MetricGetParams{StartDate: params.StartDate, EndDate: params.EndDate, Interval: params.Interval, Metrics: params.Metrics})
	require.NoError(t, err)
	require.Len(t, metrics, len(want.Periods))
	for i, m := range metrics {
		assert.True(t, m.Timestamp.Equal(want.Periods[i].Timestamp))
		assert.Equal(t, map[string]float64{"Orders": *want.Periods[i].Orders, "Net Revenue": *want.Periods[i].NetRevenue}, m.Values)
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// collect gathers the rows of an export.
func collect[T any](rows func(func(*T, error) bool)) ([]*T, error) {
	var out []*T
	for row, err := range rows {
		if err != nil {
			return out, err
		}
		out = append(out, row)
	}
	return out, nil
}

// exporting returns a client of a server whose exports are text.
func exporting(t testing.TB, text string) *polar.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("timezone") == "broken" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/csv")
		fmt.Fprint(w, text)
		if strings.HasSuffix(text, "cut") {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	client, err := polar.New(polar.Token("polar_oat_test"), polar.WithBaseURL(server.URL), quickly)
	require.NoError(t, err)
	return client
}

func TestExportRowsAreLenient(t *testing.T) {
	t.Parallel()
	client := exporting(t, "\ufeffEmail,Amount,Billing Interval,Brand New,Seats,Status\r\na@example.com,12.5,3 months,kept,,unheard_of\r\n,-0.05,fortnight,,4,\r\n")
	rows, err := collect(client.Subscriptions.ExportRows(t.Context(), nil))
	require.NoError(t, err)
	require.Len(t, rows, 2)
	a, b := rows[0], rows[1]
	assert.Equal(t, []any{"a@example.com", int64(1250), models.RecurringIntervalMonth, 3, 0, models.SubscriptionStatus("unheard_of"), time.Time{}},
		[]any{a.Email, a.Amount, a.RecurringInterval, a.RecurringIntervalCount, a.Seats, a.Status, a.StartedAt})
	text, ok := a.Value("Brand New")
	assert.True(t, ok)
	assert.Equal(t, "kept", text)
	assert.Equal(t, []any{int64(-5), models.RecurringInterval("fortnight"), 1, 4}, []any{b.Amount, b.RecurringInterval, b.RecurringIntervalCount, b.Seats})

	client = exporting(t, "Timestamp,Orders,Costs,Churn Rate\r\n2026-10-05T00:00:00+02:00,3,0.5,\r\n")
	metrics, err := collect(client.Metrics.ExportRows(t.Context(), polar.MetricExportParams{StartDate: models.DateOf(exportStart), EndDate: models.DateOf(exportStart), Interval: models.TimeIntervalDay}))
	require.NoError(t, err)
	assert.Equal(t, map[string]float64{"Orders": 3, "Costs": 0.5}, metrics[0].Values, "no figure is not 0")
}

func TestExportRowsErrors(t *testing.T) {
	t.Parallel()
	orders := func(c *polar.Client) error {
		_, err := collect(c.Orders.ExportRows(context.Background(), nil))
		return err
	}
	subscriptions := func(c *polar.Client) error {
		_, err := collect(c.Subscriptions.ExportRows(context.Background(), nil))
		return err
	}
	customers := func(c *polar.Client) error {
		_, err := collect(c.Customers.ExportRows(context.Background(), nil))
		return err
	}
	metrics := func(c *polar.Client) error {
		d := models.DateOf(exportStart)
		_, err := collect(c.Metrics.ExportRows(context.Background(), polar.MetricExportParams{StartDate: d, EndDate: d, Interval: models.TimeIntervalDay}))
		return err
	}
	for name, tc := range map[string]struct {
		text string
		read func(*polar.Client) error
		want string
	}{
		"an amount in words":             {"Email,Net Amount\r\na@example.com,1.0\r\n\"b\nb\",secret\r\n", orders, "polar: line 3 of the export, column Net Amount: no amount such as 19.0"},
		"an amount without a point":      {"Net Amount\r\n1900\r\n", orders, "line 2 of the export, column Net Amount: no amount"},
		"an amount of three digits":      {"Total\r\n1.900\r\n", orders, "column Total: no amount"},
		"an amount of nothing":           {"Total\r\n-.5\r\n", orders, "column Total: no amount"},
		"an amount with a sign in it":    {"Total\r\n1.-5\r\n", orders, "column Total: no amount"},
		"an amount that is too large":    {"Total\r\n99999999999999999999.0\r\n", orders, "column Total: no amount"},
		"a time":                         {"Created At\r\nsecret\r\n", orders, "column Created At: no time such as"},
		"a truth":                        {"Cancels At Period End\r\nsecret\r\n", subscriptions, "column Cancels At Period End: neither true nor false"},
		"an interval":                    {"Billing Interval\r\nsecret months\r\n", subscriptions, "column Billing Interval: no interval such as"},
		"a number of seats":              {"Seats\r\nsecret\r\n", subscriptions, "column Seats: no whole number"},
		"metadata":                       {"Metadata\r\n{secret\r\n", customers, "column Metadata: no JSON object"},
		"a figure":                       {"Timestamp,Orders\r\n,secret\r\n", metrics, "column Orders: no number"},
		"a figure without an end":        {"Orders\r\ninf\r\n", metrics, "column Orders: no number"},
		"a line with too many values":    {"Email\r\na,secret\r\n", orders, "polar: line 2 of the export: wrong number of fields"},
		"a connection that breaks":       {"Email\r\na\r\nsecret cut", orders, "polar: orders:export: the stream broke off"},
		"a heading that tries something": {"Net Amount\u2028x,Net Amount\r\n,secret\r\n", orders, "column Net Amount: no amount"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.read(exporting(t, tc.text))
			require.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
	_, err := collect(exporting(t, "").Orders.ExportRows(t.Context(), &polar.OrderExportParams{Timezone: "broken"}))
	require.ErrorIs(t, err, polar.ErrForbidden)
}

func TestExportRowsCanBeLeftAndRangedOverAgain(t *testing.T) {
	t.Parallel()
	rows := exporting(t, "Email\r\na\r\nb\r\n"+strings.Repeat("c\r\n", 100_000)).Orders.ExportRows(t.Context(), nil)
	for range 2 {
		var got []string
		for row, err := range rows {
			require.NoError(t, err)
			if got = append(got, row.Email); len(got) == 2 {
				break
			}
		}
		assert.Equal(t, []string{"a", "b"}, got)
	}
}
