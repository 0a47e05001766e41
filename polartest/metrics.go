package polartest

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

type dashboard struct {
	m models.MetricDashboard
}

func (d *dashboard) orgID() string { return d.m.OrganizationID }

func metricHandlers() handlers {
	return handlers{
		"metrics:get": getMetrics, "metrics:export": exportMetrics, "metrics:limits": metricLimits, "metrics:list_dashboards": listDashboards, "metrics:get_dashboard": getDashboard,
		"metrics:create_dashboard": createDashboard, "metrics:update_dashboard": updateDashboard, "metrics:delete_dashboard": deleteDashboard,
	}
}

// tally is what happened in a period and what there was at its end. A metric picks a number from it.
type tally struct {
	n       map[string]float64 // counts and sums by name
	users   int                // customers with events of their own
	buyers  int                // customers with an active subscription
	start   int                // subscriptions at the beginning
	through float64            // revenue until the end of the period
	netAll  float64
	costAll float64
}

// metric is one that the API knows.
type metric struct {
	slug, name string
	kind       models.MetricType
	value      func(t *tally) float64
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// heading makes "Net Revenue" of "net_revenue".
func heading(slug string) string {
	words := strings.Split(slug, "_")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

// metricList is in the order of the API.
var metricList = makeMetrics()

func makeMetrics() []metric {
	const scalar, money, percent = models.MetricTypeScalar, models.MetricTypeCurrency, models.MetricTypePercentage
	var list []metric
	add := func(slug string, kind models.MetricType, f func(*tally) float64) {
		if f == nil {
			f = func(t *tally) float64 { return t.n[slug] }
		}
		list = append(list, metric{slug, heading(slug), kind, f})
	}
	add("active_subscriptions", scalar, nil)
	add("committed_subscriptions", scalar, nil)
	add("monthly_recurring_revenue", money, nil)
	add("trial_monthly_recurring_revenue", money, nil)
	add("committed_monthly_recurring_revenue", money, nil)
	add("trial_committed_monthly_recurring_revenue", money, nil)
	perUser := func(t *tally) float64 { return ratio(t.n["monthly_recurring_revenue"], float64(t.buyers)) }
	add("average_revenue_per_user", money, perUser)
	add("checkouts", scalar, nil)
	add("succeeded_checkouts", scalar, nil)
	add("churned_subscriptions", scalar, nil)
	churn := func(t *tally) float64 {
		return ratio(t.n["churned_subscriptions"], float64(t.start)+t.n["new_subscriptions"])
	}
	add("churn_rate", percent, churn)
	for _, slug := range []string{"seats_total", "seats_claimed", "seats_pending", "seat_customers", "new_seat_customers", "churned_seat_customers", "orders"} {
		add(slug, scalar, nil)
	}
	add("revenue", money, nil)
	add("net_revenue", money, nil)
	add("cumulative_revenue", money, func(t *tally) float64 { return t.through })
	add("net_cumulative_revenue", money, func(t *tally) float64 { return t.netAll })
	add("costs", models.MetricTypeCurrencySubCent, nil)
	add("cumulative_costs", models.MetricTypeCurrencySubCent, func(t *tally) float64 { return t.costAll })
	add("average_order_value", money, func(t *tally) float64 { return ratio(t.n["revenue"], t.n["orders"]) })
	add("net_average_order_value", money, func(t *tally) float64 { return ratio(t.n["net_revenue"], t.n["orders"]) })
	costPerUser := func(t *tally) float64 { return ratio(t.n["costs"], float64(t.users)) }
	add("cost_per_user", models.MetricTypeCurrencySubCent, costPerUser)
	add("active_user_by_event", scalar, func(t *tally) float64 { return float64(t.users) })
	for _, slug := range []string{"one_time_products", "new_subscriptions", "renewed_subscriptions"} {
		add(slug, scalar, nil)
		add(slug+"_revenue", money, nil)
		add(slug+"_net_revenue", money, nil)
	}
	add("canceled_subscriptions", scalar, nil)
	for _, r := range models.CustomerCancellationReasonValues() {
		add("canceled_subscriptions_"+string(r), scalar, nil)
	}
	add("annual_recurring_revenue", money, func(t *tally) float64 { return 12 * t.n["monthly_recurring_revenue"] })
	add("committed_annual_recurring_revenue", money, func(t *tally) float64 { return 12 * t.n["committed_monthly_recurring_revenue"] })
	add("checkouts_conversion", percent, func(t *tally) float64 { return ratio(t.n["succeeded_checkouts"], t.n["checkouts"]) })
	add("ltv", money, func(t *tally) float64 { return ratio(math.Max(0, perUser(t)-costPerUser(t)), churn(t)) })
	add("gross_margin", money, func(t *tally) float64 { return t.through - t.costAll })
	add("gross_margin_percentage", percent, func(t *tally) float64 { return ratio(t.through-t.costAll, t.through) })
	add("cashflow", money, func(t *tally) float64 { return t.n["net_revenue"] - t.n["costs"] })
	add("average_seats_per_customer", scalar, func(t *tally) float64 { return ratio(t.n["seats_total"], t.n["seat_customers"]) })
	add("seat_utilization_rate", percent, func(t *tally) float64 { return ratio(t.n["seats_claimed"], t.n["seats_total"]) })
	return list
}

// monthly is what an amount of a recurring interval is a month.
func monthly(amount float64, interval models.RecurringInterval, count int) float64 {
	n := float64(max(1, count))
	switch interval {
	case models.RecurringIntervalYear:
		return amount / (12 * n)
	case models.RecurringIntervalWeek:
		return amount * 52 / (12 * n)
	case models.RecurringIntervalDay:
		return amount * 365 / (12 * n)
	}
	return amount / n
}

// tally counts a period.
func (c *call) tally(from, to time.Time) *tally {
	s := c.srv
	t := &tally{n: map[string]float64{}}
	within := func(x time.Time) bool { return !x.Before(from) && x.Before(to) }
	withinPtr := func(x *time.Time) bool { return x != nil && within(*x) }
	billing := func(recurring bool) bool {
		if recurring {
			return c.asks("billing_type", string(models.ProductBillingTypeRecurring))
		}
		return c.asks("billing_type", string(models.ProductBillingTypeOneTime))
	}
	for _, o := range visible(c, &s.orders, func(o *order) bool {
		return o.m.Paid && o.m.CreatedAt.Before(to) && c.asksPtr("product_id", o.m.ProductID) && c.asks("customer_id", o.m.CustomerID) && billing(o.m.SubscriptionID != nil)
	}) {
		revenue := float64(o.m.NetAmount)
		net := revenue - float64(o.m.PlatformFeeAmount) - float64(o.m.RefundedAmount)
		t.through += revenue
		t.netAll += net
		if !within(o.m.CreatedAt) {
			continue
		}
		kind := "renewed_subscriptions"
		switch o.m.BillingReason {
		case models.OrderBillingReasonPurchase:
			kind = "one_time_products"
		case models.OrderBillingReasonSubscriptionCreate:
			kind = "new_subscriptions"
		}
		for name, x := range map[string]float64{"orders": 1, "revenue": revenue, "net_revenue": net, kind + "_revenue": revenue, kind + "_net_revenue": net} {
			t.n[name] += x
		}
		if kind != "new_subscriptions" { // those are counted by their start
			t.n[kind]++
		}
	}
	for _, x := range visible(c, &s.checkouts, func(x *checkout) bool {
		p, _ := s.products.get(deref(x.m.ProductID))
		return within(x.m.CreatedAt) && c.asksPtr("product_id", x.m.ProductID) && c.asksPtr("customer_id", x.m.CustomerID) && billing(p != nil && p.m.IsRecurring)
	}) {
		t.n["checkouts"]++
		if x.m.Status == models.CheckoutStatusSucceeded {
			t.n["succeeded_checkouts"]++
		}
	}
	c.tallySubscriptions(t, within, withinPtr, from, to, billing)
	users := map[string]bool{}
	costs, all := new(big.Rat), new(big.Rat)
	for _, e := range visible(c, &s.events, func(e *event) bool { return e.m.Timestamp.Before(to) && e.m.Source == models.EventSourceUser }) {
		id := ""
		if e.customer != nil {
			id = e.customer.m.ID
		}
		if !c.asks("customer_id", id) {
			continue
		}
		amount := new(big.Rat)
		if v, ok := e.property("_cost.amount"); ok {
			switch v := v.(type) {
			case models.Decimal:
				amount = rat(v)
			default:
				amount = rat(models.Decimal(plainText(v)))
			}
		}
		all.Add(all, amount)
		if within(e.m.Timestamp) {
			costs.Add(costs, amount)
			users[id+" "+deref(e.m.ExternalCustomerID)] = true
		}
	}
	t.users = len(users)
	t.n["costs"], _ = costs.Float64()
	t.costAll, _ = all.Float64()
	return t
}

func (c *call) tallySubscriptions(t *tally, within func(time.Time) bool, withinPtr func(*time.Time) bool, from, to time.Time, billing func(bool) bool) {
	s := c.srv
	buyers, seated := map[string]bool{}, map[string]bool{}
	lives := func(x *subscription, at time.Time) bool {
		return x.m.StartedAt != nil && x.m.StartedAt.Before(at) && (x.m.EndedAt == nil || !x.m.EndedAt.Before(at))
	}
	for _, x := range visible(c, &s.subscriptions, func(x *subscription) bool {
		return c.asks("product_id", x.m.ProductID) && c.asks("customer_id", x.m.CustomerID) && billing(true)
	}) {
		m := &x.m
		if withinPtr(m.StartedAt) {
			t.n["new_subscriptions"]++
		}
		if withinPtr(m.EndedAt) {
			t.n["churned_subscriptions"]++
			if m.Seats != nil {
				t.n["churned_seat_customers"]++
			}
		}
		if withinPtr(m.CanceledAt) {
			t.n["canceled_subscriptions"]++
			t.n["canceled_subscriptions_"+string(or(m.CustomerCancellationReason, models.CustomerCancellationReasonOther))]++
		}
		if lives(x, from) {
			t.start++
		}
		if !lives(x, to) {
			continue
		}
		amount := m.Amount
		if d, ok := s.discounts.get(deref(m.DiscountID)); ok {
			amount -= d.off(amount, m.Currency)
		}
		each := monthly(float64(amount), m.RecurringInterval, m.RecurringIntervalCount)
		trial := ""
		if m.TrialEnd != nil && !m.TrialEnd.Before(to) {
			trial = "trial_"
		}
		t.n["active_subscriptions"]++
		t.n[trial+"monthly_recurring_revenue"] += each
		if m.CanceledAt == nil || !m.CanceledAt.Before(to) {
			t.n["committed_subscriptions"]++
			t.n[trial+"committed_monthly_recurring_revenue"] += each
		}
		buyers[m.CustomerID] = true
		if m.Seats != nil {
			t.n["seats_total"] += float64(*m.Seats)
			claimed := float64(s.seatsClaimed(x))
			t.n["seats_claimed"] += claimed
			t.n["seats_pending"] += float64(*m.Seats) - claimed
			seated[m.CustomerID] = true
			if within(*m.StartedAt) {
				t.n["new_seat_customers"]++
			}
		}
	}
	t.buyers, t.n["seat_customers"] = len(buyers), float64(len(seated))
}

// seatsClaimed is how many seats of a subscription are taken.
func (s *Server) seatsClaimed(x *subscription) int {
	n := 0
	for _, y := range s.seatsOf[x.m.ID] {
		if y.m.Status == models.SeatStatusClaimed {
			n++
		}
	}
	return n
}

// intervalDays are the days that a request may span, by interval.
var intervalDays = map[models.TimeInterval]models.MetricsIntervalLimit{
	models.TimeIntervalHour:  {MinDays: 0, MaxDays: 7},
	models.TimeIntervalDay:   {MinDays: 0, MaxDays: 366},
	models.TimeIntervalWeek:  {MinDays: 7, MaxDays: 366},
	models.TimeIntervalMonth: {MinDays: 28, MaxDays: 1830},
	models.TimeIntervalYear:  {MinDays: 365, MaxDays: 1830},
}

var firstMetricDay = models.Date{Year: 2023, Month: time.May, Day: 24}

func metricLimits(*call) (any, error) {
	d := intervalDays
	return models.MetricsLimits{MinDate: firstMetricDay, Intervals: models.MetricsIntervalsLimits{Hour: d[models.TimeIntervalHour], Day: d[models.TimeIntervalDay],
		Week: d[models.TimeIntervalWeek], Month: d[models.TimeIntervalMonth], Year: d[models.TimeIntervalYear]}}, nil
}

// zone is the time zone of the query.
func (c *call) zone() (*time.Location, error) {
	name := c.query.Get("timezone")
	if name == "" {
		return time.UTC, nil
	}
	z, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, wrongQuery("timezone", "The time zone is unknown.", name)
	}
	return z, nil
}

// metricsAsked reads the query: the beginnings of the periods with the end of the last one, and the metrics.
func (c *call) metricsAsked() (bounds []time.Time, list []metric, err error) {
	at := func(param, msg string) error {
		return wrongQuery(param, msg, c.query.Get(param))
	}
	zone, err := c.zone()
	if err != nil {
		return nil, nil, err
	}
	start, err1 := models.ParseDate(c.query.Get("start_date"))
	end, err2 := models.ParseDate(c.query.Get("end_date"))
	interval := models.TimeInterval(c.query.Get("interval"))
	days := int(math.Round(end.In(time.UTC).Sub(start.In(time.UTC)).Hours() / 24))
	limit := intervalDays[interval]
	switch {
	case err1 != nil || err2 != nil:
		return nil, nil, at("start_date", "Input should be a valid date.")
	case start.Before(firstMetricDay):
		return nil, nil, at("start_date", "The start date must not be before "+firstMetricDay.String()+".")
	case end.Before(start):
		return nil, nil, at("start_date", "The start date must not be after the end date.")
	case days > limit.MaxDays || days < limit.MinDays:
		return nil, nil, at("interval", "From start to end there must be "+strconv.Itoa(limit.MinDays)+" to "+strconv.Itoa(limit.MaxDays)+" days for this interval.")
	}
	list = metricList
	if want := c.query["metrics"]; want != nil {
		list = nil
		for _, slug := range want {
			i := slices.IndexFunc(metricList, func(m metric) bool { return m.slug == slug })
			if i < 0 {
				return nil, nil, wrongQuery("metrics", "There is no such metric.", slug)
			}
			if !slices.ContainsFunc(list, func(m metric) bool { return m.slug == slug }) {
				list = append(list, metricList[i])
			}
		}
	}
	t, last := start.In(zone), end.In(zone).AddDate(0, 0, 1)
	for t.Before(last) {
		bounds = append(bounds, t)
		t = nextPeriod(t, interval)
	}
	return append(bounds, last), list, nil
}

// nextPeriod is where the hour, day, week, month or year after t begins.
func nextPeriod(t time.Time, interval models.TimeInterval) time.Time {
	y, m, d := t.Date()
	switch interval {
	case models.TimeIntervalHour:
		return t.Add(time.Hour)
	case models.TimeIntervalDay:
		return time.Date(y, m, d+1, 0, 0, 0, 0, t.Location())
	case models.TimeIntervalWeek:
		return time.Date(y, m, d+7-(int(t.Weekday())+6)%7, 0, 0, 0, 0, t.Location())
	case models.TimeIntervalMonth:
		return time.Date(y, m+1, 1, 0, 0, 0, 0, t.Location())
	}
	return time.Date(y+1, 1, 1, 0, 0, 0, 0, t.Location())
}

func getMetrics(c *call) (any, error) {
	bounds, list, err := c.metricsAsked()
	if err != nil {
		return nil, err
	}
	periods := make([]map[string]any, 0, len(bounds)-1)
	for i, from := range bounds[:len(bounds)-1] {
		t := c.tally(from, bounds[i+1])
		p := map[string]any{"timestamp": from}
		for _, m := range list {
			p[m.slug] = m.value(t)
		}
		periods = append(periods, p)
	}
	whole := c.tally(bounds[0], bounds[len(bounds)-1])
	totals, about := map[string]float64{}, map[string]models.Metric{}
	for _, m := range list {
		totals[m.slug] = m.value(whole)
		about[m.slug] = models.Metric{Slug: m.slug, DisplayName: m.name, Type: m.kind}
	}
	return map[string]any{"periods": periods, "totals": totals, "metrics": about}, nil
}

func exportMetrics(c *call) (any, error) {
	bounds, list, err := c.metricsAsked()
	if err != nil {
		return nil, err
	}
	type row struct {
		at time.Time
		t  *tally
	}
	columns := []column[row]{{"timestamp", "Timestamp", func(r row, zone *time.Location) string { return csvTime(&r.at, zone) }}}
	for _, m := range list {
		columns = append(columns, column[row]{m.slug, m.name, func(r row, _ *time.Location) string { return strconv.FormatFloat(m.value(r.t), 'f', -1, 64) }})
	}
	var rows []row
	for i, from := range bounds[:len(bounds)-1] {
		rows = append(rows, row{from, c.tally(from, bounds[i+1])})
	}
	return export(c, "metrics", rows, columns, len(columns))
}

func listDashboards(c *call) (any, error) {
	out := []models.MetricDashboard{}
	for _, d := range visible(c, &c.srv.dashboards, func(*dashboard) bool { return true }) {
		out = append(out, d.m)
	}
	return out, nil
}

func getDashboard(c *call) (any, error) {
	d, err := find(c, &c.srv.dashboards, c.path["id"])
	if err != nil {
		return nil, err
	}
	return d.m, nil
}

func checkMetrics(slugs []string) error {
	for i, slug := range slugs {
		if !slices.ContainsFunc(metricList, func(m metric) bool { return m.slug == slug }) {
			return invalid(wrong("There is no such metric.", slug, "metrics", i))
		}
	}
	return nil
}

func createDashboard(c *call) (any, error) {
	body, err := decode[models.MetricDashboardCreate](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(body.OrganizationID)
	if err != nil {
		return nil, err
	}
	if err := checkMetrics(body.Metrics); err != nil {
		return nil, err
	}
	d := &dashboard{models.MetricDashboard{ID: c.srv.uuid(), CreatedAt: c.now, Name: body.Name, Metrics: body.Metrics, OrganizationID: org.m.ID}}
	c.srv.dashboards.add(d.m.ID, d)
	return d.m, nil
}

func updateDashboard(c *call) (any, error) {
	d, err := find(c, &c.srv.dashboards, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.MetricDashboardUpdate](c)
	if err != nil {
		return nil, err
	}
	list, _ := body.Metrics.Get()
	if err := checkMetrics(list); err != nil {
		return nil, err
	}
	applyValue(&d.m.Name, body.Name)
	applyValue(&d.m.Metrics, body.Metrics)
	d.m.ModifiedAt = new(c.now)
	return d.m, nil
}

func deleteDashboard(c *call) (any, error) {
	d, err := find(c, &c.srv.dashboards, strings.ToLower(c.path["id"]))
	if err != nil {
		return nil, err
	}
	c.srv.dashboards.remove(d.m.ID, func(x *dashboard) bool { return x == d })
	return nil, nil
}
