package polartest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

func (s *shop) ingest(events ...models.EventCreate) *models.EventsIngestResponse {
	s.Helper()
	return must(s.client.Events.Ingest(s.ctx, models.EventsIngest{Events: events}))(s)
}

func TestIngest(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	e := models.EventCreate{Name: "call", CustomerID: &c.ID, ExternalID: new("e1"), Metadata: models.Metadata{"n": 1, "ok": true, "f": 0.5, "s": "x"},
		Cost: &models.CostMetadata{Amount: "0.0000001", Currency: "usd"}, LLM: &models.LLMMetadata{Vendor: "v", Model: "m", InputTokens: 1, OutputTokens: 2, TotalTokens: 3}}
	got := s.ingest(e, models.EventCreate{Name: "call", CustomerID: &c.ID, ParentID: new("e1"), ExternalID: new("e2")})
	assert.Equal(t, 2, got.Inserted)
	got = s.ingest(e, models.EventCreate{Name: "call", CustomerID: &c.ID, ExternalID: new("e3")})
	assert.Equal(t, 1, got.Inserted)
	assert.Equal(t, 1, *got.Duplicates)
	list := must(s.client.Events.List(s.ctx, &polar.EventListParams{Source: []models.EventSource{models.EventSourceUser}, Sorting: []models.EventSort{models.EventSortTimestamp}}))(t)
	require.Len(t, list.Items, 3)
	assert.Equal(t, 1, *list.Items[0].ChildCount)
	assert.Equal(t, list.Items[0].ID, *list.Items[1].ParentID)
	meta := list.Items[0].Metadata.(*models.UserEventMetadata)
	assert.Equal(t, int64(3), int64(meta.LLM.TotalTokens))
	assert.True(t, meta.Cost.Amount.Equal("1e-7"))
	one := must(s.client.Events.Get(s.ctx, list.Items[0].ID))(t)
	assert.Equal(t, "call", one.Name)

	names := must(s.client.Events.ListNames(s.ctx, nil))(t)
	require.Len(t, names.Items, 2)
	assert.Equal(t, start, *must(s.client.Customers.Get(s.ctx, c.ID))(t).FirstUserEventAt)

	_, err := s.client.Events.Ingest(s.ctx, models.EventsIngest{Events: []models.EventCreate{{Name: "call", CustomerID: &c.ID}, {Name: "call", CustomerID: &list.Items[0].ID}}})
	require.ErrorIs(t, err, polar.ErrValidation)
	assert.Equal(t, 3, must(s.client.Events.List(s.ctx, &polar.EventListParams{Name: []string{"call"}}))(t).Pagination.TotalCount, "all or nothing")

	cursor := must(s.client.Events.List(s.ctx, &polar.EventListParams{CursorPagination: new(true), Limit: 2}))(t)
	assert.True(t, *cursor.Pagination.HasNextPage)
}

// TestEventsBeforeTheirCustomer attaches what came for an external id to the customer that gets it.
func TestEventsBeforeTheirCustomer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Calls", Filter: models.And(models.Eq("name", "call")), Aggregation: models.Count()}))(t)
	s.ingest(models.EventCreate{Name: "call", ExternalCustomerID: new("u1")}, models.EventCreate{Name: "call", ExternalCustomerID: new("u2")})
	assert.Empty(t, must(s.client.CustomerMeters.List(s.ctx, nil))(t).Items)
	c := must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: "a@example.com", ExternalID: new("u1")}))(t)
	list := must(s.client.CustomerMeters.List(s.ctx, &polar.CustomerMeterListParams{ExternalCustomerID: []string{"u1"}}))(t)
	require.Len(t, list.Items, 1)
	assert.Equal(t, 1.0, list.Items[0].ConsumedUnits)
	assert.Equal(t, meter.ID, must(s.client.CustomerMeters.Get(s.ctx, list.Items[0].ID))(t).MeterID)
	assert.Equal(t, 1, must(s.client.Events.List(s.ctx, &polar.EventListParams{CustomerID: []string{c.ID}, Name: []string{"call"}}))(t).Pagination.TotalCount)
}

// TestAggregations checks every aggregation and filter operator over the same events.
func TestAggregations(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	for i, v := range []any{10, 20, 30, 20, 2.5, "twenty", true} {
		s.ingest(models.EventCreate{Name: fmt.Sprintf("call.%d", i%2), CustomerID: &c.ID, Metadata: models.Metadata{"v": v, "model": []string{"small", "large"}[i%2]}})
	}
	s.ingest(models.EventCreate{Name: "other", CustomerID: &c.ID})
	all := models.And()
	for _, tc := range []struct {
		name   string
		filter models.Filter
		agg    models.Aggregation
		want   float64
	}{
		{"count", all, models.Count(), 8},
		{"sum", all, models.Sum("v"), 82.5},
		{"avg", all, models.Avg("v"), 16.5},
		{"min", all, models.Min("v"), 2.5},
		{"max", all, models.Max("v"), 30},
		{"unique", all, models.Unique("v"), 6},
		{"unique names", all, models.Unique("name"), 3},
		{"eq text", models.And(models.Eq("model", "small")), models.Count(), 4},
		{"ne text", models.And(models.Ne("model", "small")), models.Count(), 3},
		{"eq number", models.And(models.Eq("v", 20)), models.Count(), 2},
		{"ne number", models.And(models.Ne("v", 20)), models.Count(), 3},
		{"gt", models.And(models.Gt("v", 10)), models.Count(), 3},
		{"gte", models.And(models.Gte("v", 10)), models.Count(), 4},
		{"lt", models.And(models.Lt("v", 20)), models.Count(), 2},
		{"lte", models.And(models.Lte("v", 20)), models.Count(), 4},
		{"like", models.And(models.Like("v", "went")), models.Count(), 1},
		{"not like", models.And(models.NotLike("name", "call")), models.Count(), 1},
		{"bool", models.And(models.Eq("v", true)), models.Count(), 1},
		{"and", models.And(models.Eq("model", "small"), models.Gt("v", 5)), models.Sum("v"), 40},
		{"or", models.Or(models.Eq("v", 10), models.Eq("v", 30)), models.Sum("v"), 40},
		{"nested", models.And(models.Like("name", "call"), models.Or(models.Eq("v", 10), models.Eq("model", "large"))), models.Sum("v"), 50},
	} {
		meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: tc.name + " meter", Filter: tc.filter, Aggregation: tc.agg}))(t)
		q := must(s.client.Meters.Quantities(s.ctx, meter.ID, polar.MeterQuantitiesParams{StartTimestamp: start, EndTimestamp: start.Add(time.Hour), Interval: models.TimeIntervalHour}))(t)
		assert.InDelta(t, tc.want, q.Total, 1e-9, tc.name)
		list := must(s.client.CustomerMeters.List(s.ctx, &polar.CustomerMeterListParams{MeterID: []string{meter.ID}}))(t)
		require.Len(t, list.Items, 1, tc.name)
		assert.InDelta(t, tc.want, list.Items[0].ConsumedUnits, 1e-9, tc.name)
		assert.InDelta(t, -tc.want, list.Items[0].Balance, 1e-9, tc.name)
	}
	filtered := must(s.client.Events.List(s.ctx, &polar.EventListParams{Filter: new(models.And(models.Gt("v", 10)))}))(t)
	assert.Equal(t, 3, filtered.Pagination.TotalCount)
}

func TestQuantities(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Tokens", Filter: models.And(models.Eq("name", "call")), Aggregation: models.Sum("n")}))(t)
	a, b := s.customer("a@example.com"), s.customer("b@example.com")
	s.until(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	for i, at := range []string{"2026-11-01T10:00:00Z", "2026-11-01T23:30:00Z", "2026-11-30T00:00:00Z"} {
		stamp, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		for _, c := range []*models.Customer{a, b} {
			s.ingest(models.EventCreate{Name: "call", CustomerID: &c.ID, Timestamp: &stamp, Metadata: models.Metadata{"n": i + 1}})
		}
	}
	get := func(edit func(*polar.MeterQuantitiesParams)) (total float64, nonzero map[string]float64) {
		t.Helper()
		params := polar.MeterQuantitiesParams{StartTimestamp: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), EndTimestamp: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Interval: models.TimeIntervalDay}
		if edit != nil {
			edit(&params)
		}
		q := must(s.client.Meters.Quantities(s.ctx, meter.ID, params))(t)
		nonzero = map[string]float64{}
		for _, x := range q.Quantities {
			if x.Quantity != 0 {
				nonzero[x.Timestamp.Format(time.RFC3339)] = x.Quantity
			}
		}
		return q.Total, nonzero
	}
	total, days := get(nil)
	assert.Equal(t, 12.0, total)
	assert.Equal(t, map[string]float64{"2026-11-01T00:00:00Z": 6, "2026-11-30T00:00:00Z": 6}, days)
	_, days = get(func(p *polar.MeterQuantitiesParams) { p.Timezone = "Europe/Berlin" })
	assert.Equal(t, map[string]float64{"2026-10-31T23:00:00Z": 2, "2026-11-01T23:00:00Z": 4, "2026-11-29T23:00:00Z": 6}, days)
	total, _ = get(func(p *polar.MeterQuantitiesParams) { p.CustomerID = []string{a.ID} })
	assert.Equal(t, 6.0, total)
	total, _ = get(func(p *polar.MeterQuantitiesParams) { p.CustomerAggregationFunction = models.AggregationFunctionAvg })
	assert.Equal(t, 6.0, total)
	_, weeks := get(func(p *polar.MeterQuantitiesParams) { p.Interval = models.TimeIntervalWeek })
	assert.Equal(t, map[string]float64{"2026-10-26T00:00:00Z": 6, "2026-11-30T00:00:00Z": 6}, weeks)
}

func TestMetersAreLocked(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Calls", Filter: models.And(models.Eq("name", "call")), Aggregation: models.Count()}))(t)
	change := models.MeterUpdate{Aggregation: models.Set(models.Sum("n"))}
	must(s.client.Meters.Update(s.ctx, meter.ID, change))(t)
	c := s.customer("a@example.com")
	s.ingest(models.EventCreate{Name: "call", CustomerID: &c.ID, Metadata: models.Metadata{"n": 1}})
	_, err := s.client.Meters.Update(s.ctx, meter.ID, change)
	require.ErrorIs(t, err, polar.ErrValidation)
	got := must(s.client.Meters.Update(s.ctx, meter.ID, models.MeterUpdate{Name: models.Set("Renamed"), IsArchived: models.Set(true)}))(t)
	assert.Equal(t, "Renamed", got.Name)
	assert.NotNil(t, got.ArchivedAt)
	assert.Empty(t, must(s.client.Meters.List(s.ctx, &polar.MeterListParams{IsArchived: new(false)}))(t).Items)
	assert.Empty(t, must(s.client.Customers.State(s.ctx, c.ID))(t).ActiveMeters)
}
