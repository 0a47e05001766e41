package polartest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

type meter struct {
	m models.Meter
}

func (m *meter) orgID() string { return m.m.OrganizationID }

func meterHandlers() handlers {
	return handlers{"meters:list": listMeters, "meters:create": createMeter, "meters:get": getMeter, "meters:update": updateMeter, "meters:quantities": meterQuantities}
}

func listMeters(c *call) (any, error) {
	items := visible(c, &c.srv.meters, func(m *meter) bool {
		return c.searches("query", m.m.Name) && c.asksBool("is_archived", m.m.ArchivedAt != nil) && c.asksMetadata(m.m.Metadata)
	})
	return page(c, items, map[string]func(a, b *meter) int{
		"name": func(a, b *meter) int { return strings.Compare(a.m.Name, b.m.Name) },
	}, func(m *meter) models.Meter { return m.m })
}

func getMeter(c *call) (any, error) {
	m, err := find(c, &c.srv.meters, c.path["id"])
	if err != nil {
		return nil, err
	}
	return m.m, nil
}

func createMeter(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.MeterCreate](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(body.OrganizationID)
	if err != nil {
		return nil, err
	}
	m := &meter{m: models.Meter{Metadata: body.Metadata, CreatedAt: c.now, ID: s.uuid(), Name: body.Name, Unit: or(body.Unit, models.MeterUnitScalar), CustomLabel: body.CustomLabel,
		CustomMultiplier: body.CustomMultiplier, Filter: body.Filter, Aggregation: body.Aggregation, OrganizationID: org.m.ID}}
	s.meters.add(m.m.ID, m)
	for _, e := range s.events.all {
		if e.customer != nil && m.matches(e) {
			s.count(m, e)
		}
	}
	return m.m, nil
}

func updateMeter(c *call) (any, error) {
	s := c.srv
	m, err := find(c, &s.meters, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.MeterUpdate](c)
	if err != nil {
		return nil, err
	}
	_, filter := body.Filter.Get()
	_, aggregation := body.Aggregation.Get()
	if (filter || aggregation) && slices.ContainsFunc(s.events.all, m.matches) {
		member := "filter"
		if !filter {
			member = "aggregation"
		}
		return nil, invalid(wrong("The filter and the aggregation cannot be changed once the meter has processed events.", c.value[member], member))
	}
	if body.Metadata != nil {
		m.m.Metadata = body.Metadata
	}
	applyValue(&m.m.Name, body.Name)
	applyValue(&m.m.Unit, body.Unit)
	apply(&m.m.CustomLabel, body.CustomLabel)
	apply(&m.m.CustomMultiplier, body.CustomMultiplier)
	applyValue(&m.m.Filter, body.Filter)
	applyValue(&m.m.Aggregation, body.Aggregation)
	if v, ok := body.IsArchived.Get(); ok {
		if v && s.meterInUse(m) {
			return nil, invalid(wrong("The meter is used by a price or a benefit and cannot be archived.", v, "is_archived"))
		}
		switch {
		case v && m.m.ArchivedAt == nil:
			m.m.ArchivedAt = new(c.now)
		case !v:
			m.m.ArchivedAt = nil
		}
	}
	m.m.ModifiedAt = new(c.now)
	return m.m, nil
}

func (s *Server) meterInUse(m *meter) bool {
	for _, p := range s.products.all {
		for _, pr := range p.prices {
			if !p.m.IsArchived && !pr.m.IsArchived && pr.meterID() == m.m.ID {
				return true
			}
		}
	}
	return slices.ContainsFunc(s.benefits.all, func(b *benefit) bool {
		p, ok := b.m.Properties.(*models.BenefitMeterCreditProperties)
		return ok && p.MeterID == m.m.ID && !b.m.IsDeleted
	})
}

// matches tells whether the meter counts an event: its organization's, let through by the filter, with a usable value.
func (m *meter) matches(e *event) bool {
	if e.org != m.m.OrganizationID || e.m.Source != models.EventSourceUser || !passes(m.m.Filter, e) {
		return false
	}
	switch m.m.Aggregation.Func {
	case models.AggregationFunctionCount, "":
		return true
	case models.AggregationFunctionUnique:
		_, ok := e.property(deref(m.m.Aggregation.Property))
		return ok
	}
	x, ok := e.property(deref(m.m.Aggregation.Property))
	return ok && number(x) != nil
}

// passes applies a filter to an event.
func passes(f models.Filter, e *event) bool {
	if len(f.Clauses) == 0 {
		return true
	}
	for _, n := range f.Clauses {
		ok := false
		switch n := n.(type) {
		case models.Filter:
			ok = passes(n, e)
		case *models.Filter:
			ok = passes(*n, e)
		case models.FilterClause:
			ok = holds(n, e)
		case *models.FilterClause:
			ok = holds(*n, e)
		}
		if ok != (f.Conjunction != models.FilterConjunctionOr) {
			return ok
		}
	}
	return f.Conjunction != models.FilterConjunctionOr
}

// holds applies one comparison. A property that the event has not fulfils none of them.
func holds(c models.FilterClause, e *event) bool {
	x, ok := e.property(c.Property)
	if !ok {
		return false
	}
	if want, isText := c.Value.(string); isText {
		have := plainText(x)
		switch c.Operator {
		case models.FilterOperatorLike:
			return strings.Contains(have, want)
		case models.FilterOperatorNotLike:
			return !strings.Contains(have, want)
		}
		return compares(c.Operator, strings.Compare(have, want))
	}
	if want, isBool := c.Value.(bool); isBool {
		have, ok := x.(bool)
		switch c.Operator {
		case models.FilterOperatorEq:
			return ok && have == want
		case models.FilterOperatorNe:
			return ok && have != want
		}
		return false
	}
	want, have := number(c.Value), number(x)
	if want == nil || have == nil {
		return false
	}
	switch c.Operator {
	case models.FilterOperatorLike:
		return strings.Contains(plainText(x), plainText(c.Value))
	case models.FilterOperatorNotLike:
		return !strings.Contains(plainText(x), plainText(c.Value))
	}
	return compares(c.Operator, have.Cmp(want))
}

func compares(op models.FilterOperator, n int) bool {
	switch op {
	case models.FilterOperatorEq:
		return n == 0
	case models.FilterOperatorNe:
		return n != 0
	case models.FilterOperatorGt:
		return n > 0
	case models.FilterOperatorGte:
		return n >= 0
	case models.FilterOperatorLt:
		return n < 0
	case models.FilterOperatorLte:
		return n <= 0
	}
	return false
}

// number is the value of a number, nil for anything else.
func number(x any) *big.Rat {
	switch x := x.(type) {
	case int:
		return new(big.Rat).SetInt64(int64(x))
	case int64:
		return new(big.Rat).SetInt64(x)
	case float64:
		r, ok := new(big.Rat).SetString(strconv.FormatFloat(x, 'g', -1, 64)) // as it is written, not as it is stored
		if !ok {
			return nil
		}
		return r
	case json.Number:
		r, ok := exact(string(x))
		if !ok {
			return nil
		}
		return r
	case models.Decimal:
		return rat(x)
	}
	return nil
}

// aggregate works a meter's quantity out of events that it matches.
func (m *meter) aggregate(events []*event) *big.Rat {
	total := new(big.Rat)
	property := deref(m.m.Aggregation.Property)
	switch m.m.Aggregation.Func {
	case models.AggregationFunctionCount, "":
		return total.SetInt64(int64(len(events)))
	case models.AggregationFunctionUnique:
		seen := map[string]bool{}
		for _, e := range events {
			x, _ := e.property(property)
			seen[fmt.Sprintf("%T %s", x, plainText(x))] = true
		}
		return total.SetInt64(int64(len(seen)))
	}
	for i, e := range events {
		x, _ := e.property(property)
		n := number(x)
		switch {
		case m.m.Aggregation.Func == models.AggregationFunctionSum || m.m.Aggregation.Func == models.AggregationFunctionAvg:
			total.Add(total, n)
		case i == 0,
			m.m.Aggregation.Func == models.AggregationFunctionMax && n.Cmp(total) > 0,
			m.m.Aggregation.Func == models.AggregationFunctionMin && n.Cmp(total) < 0:
			total.Set(n)
		}
	}
	if m.m.Aggregation.Func == models.AggregationFunctionAvg && len(events) > 0 {
		total.Quo(total, new(big.Rat).SetInt64(int64(len(events))))
	}
	return total
}

func toFloat(r *big.Rat) float64 {
	f, _ := r.Float64()
	return f
}

func meterQuantities(c *call) (any, error) {
	s := c.srv
	m, err := find(c, &s.meters, c.path["id"])
	if err != nil {
		return nil, err
	}
	from, _ := c.time("start_timestamp")
	to, _ := c.time("end_timestamp")
	if to.Before(from) {
		return nil, &apiError{status: 422, body: validationError{"RequestValidationError", []fault{{Type: "value_error", Loc: []any{"query", "end_timestamp"}, Msg: "The end must not be before the start.", Input: c.query.Get("end_timestamp")}}}}
	}
	zone := time.UTC
	if name := c.query.Get("timezone"); name != "" {
		if z, err := time.LoadLocation(name); err == nil {
			zone = z
		}
	}
	var matched []*event
	for _, e := range s.events.all {
		if m.matches(e) && !e.m.Timestamp.Before(from) && !e.m.Timestamp.After(to) && c.asksEventCustomer(e) && c.asksMetadata(e.props()) {
			matched = append(matched, e)
		}
	}
	quantity := func(events []*event) float64 { return toFloat(m.aggregate(events)) }
	if f := models.AggregationFunction(c.query.Get("customer_aggregation_function")); f != "" {
		quantity = func(events []*event) float64 { return toFloat(m.perCustomer(f, events)) }
	}
	out := models.MeterQuantities{Total: quantity(matched), Quantities: []models.MeterQuantity{}}
	interval := models.TimeInterval(c.query.Get("interval"))
	for start := truncate(from.In(zone), interval); !start.After(to); start = next(start, interval) {
		end := next(start, interval)
		var in []*event
		for _, e := range matched {
			if !e.m.Timestamp.Before(start) && e.m.Timestamp.Before(end) {
				in = append(in, e)
			}
		}
		out.Quantities = append(out.Quantities, models.MeterQuantity{Timestamp: start.UTC(), Quantity: quantity(in)})
		if len(out.Quantities) > 10_000 {
			break
		}
	}
	return out, nil
}

// perCustomer aggregates each customer's events, and then their quantities.
func (m *meter) perCustomer(f models.AggregationFunction, events []*event) *big.Rat {
	by := map[*customer][]*event{}
	var order []*customer
	for _, e := range events {
		if by[e.customer] == nil {
			order = append(order, e.customer)
		}
		by[e.customer] = append(by[e.customer], e)
	}
	total := new(big.Rat)
	seen := map[string]bool{}
	for i, x := range order {
		n := m.aggregate(by[x])
		seen[n.RatString()] = true
		switch f {
		case models.AggregationFunctionCount:
			total.Add(total, big.NewRat(1, 1))
		case models.AggregationFunctionSum, models.AggregationFunctionAvg:
			total.Add(total, n)
		case models.AggregationFunctionMax:
			if i == 0 || n.Cmp(total) > 0 {
				total.Set(n)
			}
		case models.AggregationFunctionMin:
			if i == 0 || n.Cmp(total) < 0 {
				total.Set(n)
			}
		}
	}
	switch {
	case f == models.AggregationFunctionUnique:
		total.SetInt64(int64(len(seen)))
	case f == models.AggregationFunctionAvg && len(order) > 0:
		total.Quo(total, new(big.Rat).SetInt64(int64(len(order))))
	}
	return total
}

// truncate is the start of the interval that t lies in.
func truncate(t time.Time, i models.TimeInterval) time.Time {
	y, mo, d := t.Date()
	switch i {
	case models.TimeIntervalYear:
		return time.Date(y, 1, 1, 0, 0, 0, 0, t.Location())
	case models.TimeIntervalMonth:
		return time.Date(y, mo, 1, 0, 0, 0, 0, t.Location())
	case models.TimeIntervalWeek:
		return time.Date(y, mo, d-(int(t.Weekday())+6)%7, 0, 0, 0, 0, t.Location())
	case models.TimeIntervalDay:
		return time.Date(y, mo, d, 0, 0, 0, 0, t.Location())
	}
	return t.Truncate(time.Hour)
}

// next is the start of the interval after the one that starts at t.
func next(t time.Time, i models.TimeInterval) time.Time {
	switch i {
	case models.TimeIntervalYear:
		return t.AddDate(1, 0, 0)
	case models.TimeIntervalMonth:
		return t.AddDate(0, 1, 0)
	case models.TimeIntervalWeek:
		return t.AddDate(0, 0, 7)
	case models.TimeIntervalDay:
		return t.AddDate(0, 0, 1)
	}
	return t.Add(time.Hour)
}
