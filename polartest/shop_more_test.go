package polartest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// TestUploadInParts uploads a file of two parts, of which the first has the 5 MiB that every part but the last needs.
func TestUploadInParts(t *testing.T) {
	t.Parallel()
	const five = 5 << 20
	for _, tc := range []struct {
		name  string
		first int
		want  int
	}{{"enough", five, 200}, {"a byte short", five - 1, 422}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := polartest.NewServer(t)
			content := strings.Repeat("a", tc.first) + "end"
			var parts, done []string
			cut := []string{content[:tc.first], content[tc.first:]}
			for i, from := 0, 0; i < 2; i++ {
				sum := sha256.Sum256([]byte(cut[i]))
				parts = append(parts, fmt.Sprintf(`{"number":%d,"chunk_start":%d,"chunk_end":%d,"checksum_sha256_base64":%q}`, i+1, from, from+len(cut[i]), base64.StdEncoding.EncodeToString(sum[:])))
				from += len(cut[i])
			}
			made := send(t, srv, "POST", "/v1/files/", srv.Token(), fmt.Sprintf(`{"service":"downloadable","name":"big","mime_type":"a/b","size":%d,"upload":{"parts":[%s]}}`,
				len(content), strings.Join(parts, ","))).object(t, 201)
			up := made["upload"].(map[string]any)
			complete := func() answer {
				return send(t, srv, "POST", "/v1/files/"+made["id"].(string)+"/uploaded", srv.Token(), fmt.Sprintf(`{"id":%q,"path":%q,"parts":[%s]}`, up["id"], up["path"], strings.Join(done, ",")))
			}
			for i, x := range up["parts"].([]any) {
				p := x.(map[string]any)
				if i == 1 {
					assert.Equal(t, []string{"body/parts"}, complete().locs(t), "a part is missing")
				}
				a := send(t, srv, "PUT", strings.TrimPrefix(p["url"].(string), srv.URL), "", cut[i], func(r *http.Request) {
					for k, v := range p["headers"].(map[string]any) {
						r.Header.Set(k, v.(string))
					}
				})
				require.Equal(t, 200, a.status, a.body)
				done = append(done, fmt.Sprintf(`{"number":%d,"checksum_etag":%q,"checksum_sha256_base64":%q}`, i+1, a.header.Get("ETag"), p["checksum_sha256_base64"]))
			}
			a := complete()
			if tc.want == 422 {
				assert.Equal(t, []string{"body/parts/0"}, a.locs(t))
				return
			}
			f := a.object(t, 200)
			sum := sha256.Sum256(bytes.Join([][]byte{[]byte(cut[0]), []byte(cut[1])}, nil))
			assert.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), f["checksum_sha256_base64"], "the one of the whole file")
			assert.True(t, strings.HasSuffix(f["checksum_etag"].(string), "-2"))
			assert.Equal(t, "5.0 MB", f["size_readable"])
		})
	}
}

// TestMetricsOfSubscriptions follows the numbers of subscriptions through trial, seats, discount, cancellation and end.
func TestMetricsOfSubscriptions(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start)) // 5 October 2026
	client := srv.Client()
	weekly := newProduct(t, srv, `{"amount_type":"fixed","price_amount":1200}`, `,"recurring_interval":"week"`)
	trial := newProduct(t, srv, `{"amount_type":"fixed","price_amount":3000}`, `,"recurring_interval":"month","trial_interval":"day","trial_interval_count":10`)
	half, err := client.Discounts.Create(t.Context(), models.DiscountPercentageCreate{Name: "Half", Duration: models.DiscountDurationForever, BasisPoints: 5000})
	require.NoError(t, err)
	buy := func(product, email string, discount *string) string {
		x, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{product}, CustomerEmail: &email, DiscountID: discount})
		require.NoError(t, err)
		require.NoError(t, srv.CompleteCheckout(x.ID))
		list, err := client.Subscriptions.List(t.Context(), nil)
		require.NoError(t, err)
		return list.Items[0].ID
	}
	first := buy(weekly, "a@example.com", &half.ID)
	buy(trial, "b@example.com", nil)
	srv.Advance(24 * time.Hour)
	_, err = client.Subscriptions.Update(t.Context(), first, models.SubscriptionCancel{CancelAtPeriodEnd: true, CustomerCancellationReason: models.Set(models.CustomerCancellationReasonTooExpensive)})
	require.NoError(t, err)
	srv.Advance(14 * 24 * time.Hour) // 20 October: the first has ended on the 12th, the other pays since the 15th

	day := func(n int) models.Date { return models.Date{Year: 2026, Month: 10, Day: n} }
	m, err := client.Metrics.Get(t.Context(), polar.MetricGetParams{StartDate: day(5), EndDate: day(18), Interval: models.TimeIntervalWeek, Timezone: "UTC"})
	require.NoError(t, err)
	require.Len(t, m.Periods, 2, "from Monday to Monday")
	for _, tc := range []struct {
		name string
		of   func(p *models.MetricPeriod) *float64
		want [2]float64
	}{
		// 12.00 a week at half the price is 6.00 × 52 ÷ 12 = 26.00 a month
		{"MRR", func(p *models.MetricPeriod) *float64 { return p.MonthlyRecurringRevenue }, [2]float64{2600, 3000}},
		{"trial MRR", func(p *models.MetricPeriod) *float64 { return p.TrialMonthlyRecurringRevenue }, [2]float64{3000, 0}},
		{"committed MRR", func(p *models.MetricPeriod) *float64 { return p.CommittedMonthlyRecurringRevenue }, [2]float64{0, 3000}},
		{"active", func(p *models.MetricPeriod) *float64 { return p.ActiveSubscriptions }, [2]float64{2, 1}},
		{"committed", func(p *models.MetricPeriod) *float64 { return p.CommittedSubscriptions }, [2]float64{1, 1}},
		{"canceled", func(p *models.MetricPeriod) *float64 { return p.CanceledSubscriptions }, [2]float64{1, 0}},
		{"too expensive", func(p *models.MetricPeriod) *float64 { return p.CanceledSubscriptionsTooExpensive }, [2]float64{1, 0}},
		{"churned", func(p *models.MetricPeriod) *float64 { return p.ChurnedSubscriptions }, [2]float64{0, 1}},
		{"churn rate", func(p *models.MetricPeriod) *float64 { return p.ChurnRate }, [2]float64{0, 0.5}},
		{"revenue", func(p *models.MetricPeriod) *float64 { return p.Revenue }, [2]float64{600, 3000}},
	} {
		for i := range 2 {
			assert.InDelta(t, tc.want[i], *tc.of(&m.Periods[i]), 1e-9, "%s in week %d", tc.name, i)
		}
	}
	for interval, want := range map[models.TimeInterval]int{models.TimeIntervalHour: 48, models.TimeIntervalDay: 2} {
		m, err := client.Metrics.Get(t.Context(), polar.MetricGetParams{StartDate: day(5), EndDate: day(6), Interval: interval, Metrics: []string{"orders"}, Timezone: "Europe/Berlin"})
		require.NoError(t, err)
		assert.Len(t, m.Periods, want, string(interval))
		assert.True(t, m.Periods[0].Timestamp.Equal(time.Date(2026, 10, 4, 22, 0, 0, 0, time.UTC)), "midnight in Berlin")
	}
	m, err = client.Metrics.Get(t.Context(), polar.MetricGetParams{StartDate: models.Date{Year: 2025, Month: 10, Day: 1}, EndDate: day(31), Interval: models.TimeIntervalYear})
	require.NoError(t, err)
	assert.Len(t, m.Periods, 2, "the rest of 2025, and 2026 so far")
}

// TestFixedDiscount takes an amount of the checkout's currency off, and never more than the price.
func TestFixedDiscount(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	product := newProduct(t, srv, fixed10+`,{"amount_type":"fixed","price_amount":900,"price_currency":"eur"}`)
	for _, tc := range []struct {
		name     string
		amounts  map[string]int64
		currency models.Currency
		want     int64
	}{
		{"dollars", map[string]int64{"usd": 300, "eur": 250}, models.CurrencyUSD, 700},
		{"euros", map[string]int64{"usd": 300, "eur": 250}, models.CurrencyEUR, 650},
		{"not in this currency", map[string]int64{"usd": 300}, models.CurrencyEUR, 900},
		{"more than the price", map[string]int64{"usd": 5000}, models.CurrencyUSD, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := client.Discounts.Create(t.Context(), models.DiscountFixedCreate{Name: "Off", Duration: models.DiscountDurationOnce, Amounts: tc.amounts})
			require.NoError(t, err)
			x, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{product}, DiscountID: &d.ID, Currency: &tc.currency})
			require.NoError(t, err)
			assert.Equal(t, tc.want, x.TotalAmount)
		})
	}
}

// TestLinkDetails covers what a link keeps and what it refuses.
func TestLinkDetails(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	a, b := newProduct(t, srv, fixed10), newProduct(t, srv, fixed10)
	d, err := client.Discounts.Create(t.Context(), models.DiscountPercentageCreate{Name: "Half", Code: new("HALF"), Duration: models.DiscountDurationOnce, BasisPoints: 5000, Products: []string{b}})
	require.NoError(t, err)
	_, err = client.CheckoutLinks.Create(t.Context(), models.CheckoutLinkCreate{Products: []string{a}, DiscountID: &d.ID})
	require.ErrorContains(t, err, "not applicable")
	p, err := client.Products.Get(t.Context(), b)
	require.NoError(t, err)
	link, err := client.CheckoutLinks.Create(t.Context(), models.CheckoutLinkCreate{ProductPriceID: &p.Prices[0].ID, Label: new("b")})
	require.NoError(t, err)
	link, err = client.CheckoutLinks.Update(t.Context(), link.ID, models.CheckoutLinkUpdate{DiscountID: models.Set(d.ID)})
	require.NoError(t, err)
	assert.Equal(t, "Half", link.Discount.Name)
	other, err := client.CheckoutLinks.Create(t.Context(), models.CheckoutLinkCreate{ProductID: &a, Label: new("a"), AllowDiscountCodes: new(false)})
	require.NoError(t, err)
	for sorting, want := range map[models.CheckoutLinkSort]string{models.CheckoutLinkSortLabel: other.ID, models.CheckoutLinkSortLabelDesc: link.ID, models.CheckoutLinkSortAllowDiscountCodes: other.ID,
		models.CheckoutLinkSortAllowDiscountCodesDesc: link.ID, models.CheckoutLinkSortCreatedAt: link.ID} {
		list, err := client.CheckoutLinks.List(t.Context(), &polar.CheckoutLinkListParams{Sorting: []models.CheckoutLinkSort{sorting}})
		require.NoError(t, err)
		assert.Equal(t, want, list.Items[0].ID, string(sorting))
	}
	open := func(l *models.CheckoutLink) answer {
		return send(t, srv, "GET", strings.TrimPrefix(l.URL, srv.URL)+"?discount_code=half", "", "")
	}
	free, err := client.CheckoutLinks.Create(t.Context(), models.CheckoutLinkCreate{ProductID: &a})
	require.NoError(t, err)
	for _, l := range []*models.CheckoutLink{free, other} {
		require.Equal(t, 303, open(l).status, "a code that does not fit, or must not be used, is left out")
		page, err := client.Checkouts.List(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, int64(1000), page.Items[0].TotalAmount)
	}
	require.Equal(t, 303, open(link).status)
	page, err := client.Checkouts.List(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, int64(500), page.Items[0].TotalAmount, "the discount of the link")
	require.NoError(t, client.Discounts.Delete(t.Context(), d.ID))
	require.Equal(t, 303, open(link).status, "a link outlives its discount")
	link, err = client.CheckoutLinks.Get(t.Context(), link.ID)
	require.NoError(t, err)
	assert.Nil(t, link.DiscountID)
	_, err = client.Products.Update(t.Context(), b, models.ProductUpdate{IsArchived: models.Set(true)})
	require.NoError(t, err)
	assert.Equal(t, 404, open(link).status, "nothing is left to sell")
	_, err = client.CheckoutLinks.Create(t.Context(), models.CheckoutLinkCreate{ProductID: &b})
	require.ErrorContains(t, err, "archived")
}

// TestFieldsOfProducts attaches custom fields and takes a deleted one off.
func TestFieldsOfProducts(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	f, err := client.CustomFields.Create(t.Context(), models.CustomFieldCreateCheckbox{Slug: "terms", Name: "Terms"})
	require.NoError(t, err)
	product := newProduct(t, srv, fixed10)
	attach := func(ids ...string) (*models.Product, error) {
		list := []models.AttachedCustomFieldCreate{}
		for _, id := range ids {
			list = append(list, models.AttachedCustomFieldCreate{CustomFieldID: id, Required: true})
		}
		return client.Products.Update(t.Context(), product, models.ProductUpdate{AttachedCustomFields: models.Set(list)})
	}
	_, err = attach(nowhere)
	require.ErrorContains(t, err, "does not exist")
	_, err = attach(f.ID, f.ID)
	require.ErrorContains(t, err, "attached_custom_fields.1")
	p, err := attach(f.ID)
	require.NoError(t, err)
	require.Len(t, p.AttachedCustomFields, 1)
	assert.Equal(t, "terms", p.AttachedCustomFields[0].CustomField.Slug)
	require.NoError(t, client.CustomFields.Delete(t.Context(), f.ID))
	p, err = client.Products.Get(t.Context(), product)
	require.NoError(t, err)
	assert.Empty(t, p.AttachedCustomFields)
}
