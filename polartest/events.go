package polartest

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// event is something that a customer did, ingested or recorded by the server.
type event struct {
	m        models.Event
	org      string
	customer *customer      // nil until an external id finds its customer
	read     map[string]any // the metadata by name, see props
	external string         // the event's own external id
	parentOf string         // the parent as it was sent
	children int
}

func (e *event) orgID() string { return e.org }

func eventHandlers() handlers {
	return handlers{"events:ingest": ingestEvents, "events:list": listEvents, "events:get": getEvent, "events:list_names": listEventNames}
}

// props is the metadata by name, as filters see it. That of system events is only worked out when it is asked for.
func (e *event) props() map[string]any {
	if e.read == nil && e.m.Source == models.EventSourceSystem {
		e.read = map[string]any{}
		if data, err := jsonx.Marshal(e.m.Metadata); err == nil {
			if v, err := readJSON(data); err == nil {
				e.read, _ = v.(map[string]any)
			}
		}
	}
	return e.read
}

// property is what filters and aggregations see of an event: its name, its source, or a member of its metadata.
func (e *event) property(name string) (any, bool) {
	switch name {
	case "name":
		return e.m.Name, true
	case "source":
		return string(e.m.Source), true
	}
	if x, ok := e.props()[name]; ok {
		return x, true
	}
	outer, inner, ok := strings.Cut(name, ".")
	if !ok {
		return nil, false
	}
	m, _ := e.props()[outer].(map[string]any)
	x, ok := m[inner]
	if n, isText := x.(string); ok && isText && outer == "_cost" && inner == "amount" {
		return models.Decimal(n), true
	}
	return x, ok
}

func (s *Server) renderEvent(e *event) models.Event {
	m := e.m
	if e.customer != nil {
		m.CustomerID = &e.customer.m.ID
		m.Customer = &e.customer.m
		if m.ExternalCustomerID == nil {
			m.ExternalCustomerID = e.customer.m.ExternalID
		}
	}
	m.ChildCount = new(e.children)
	m.Label = s.eventLabel(e)
	return m
}

// ingestEvents takes all events or none.
func ingestEvents(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.EventsIngest](c)
	if err != nil {
		return nil, err
	}
	var faults []fault
	var made []*event
	list, _ := c.value["events"].([]any)
	for i, x := range body.Events {
		at := func(msg string, input any, member string) {
			faults = append(faults, wrong(msg, input, "events", i, member))
		}
		org, err := c.organization(x.OrganizationID)
		if err != nil {
			faults = append(faults, relocate(err, "events", i)...)
			continue
		}
		e := &event{org: org.m.ID, external: deref(x.ExternalID), parentOf: deref(x.ParentID)}
		e.m = models.Event{ID: s.uuid(), Timestamp: or(x.Timestamp, c.now).UTC(), OrganizationID: org.m.ID, Label: x.Name, Source: models.EventSourceUser, Name: x.Name,
			MemberID: x.MemberID, ExternalMemberID: x.ExternalMemberID, Metadata: &models.UserEventMetadata{Values: x.Metadata, Cost: x.Cost, LLM: x.LLM}}
		if x.ExternalCustomerID != nil { // the external id wins when both are there
			e.m.ExternalCustomerID = x.ExternalCustomerID
			e.customer = s.customerByExternalID(org.m.ID, *x.ExternalCustomerID)
		} else {
			cust, ok := s.customers.get(deref(x.CustomerID))
			if !ok || cust.m.OrganizationID != org.m.ID || cust.m.DeletedAt != nil {
				at("Customer not found.", deref(x.CustomerID), "customer_id")
			}
			e.customer = cust
		}
		raw, _ := list[i].(map[string]any)
		e.read, _ = raw["metadata"].(map[string]any)
		made = append(made, e)
	}
	if faults != nil {
		return nil, invalid(faults...)
	}
	inserted, duplicates := 0, 0
	changed := map[*customer]bool{}
	var order []*customer
	for _, e := range made {
		if e.external != "" {
			key := e.org + " " + e.external
			if s.eventByKey[key] != nil {
				duplicates++
				continue
			}
			s.eventByKey[key] = e
		}
		inserted++
		s.insertEvent(e)
		if e.customer != nil && !changed[e.customer] {
			changed[e.customer] = true
			order = append(order, e.customer)
		}
	}
	for _, x := range order {
		s.stateChanged(x)
	}
	return models.EventsIngestResponse{Inserted: inserted, Duplicates: &duplicates}, nil
}

// relocate puts the faults of an error below another place.
func relocate(err error, loc ...any) []fault {
	e, ok := err.(*apiError)
	if !ok {
		return nil
	}
	v, _ := e.body.(validationError)
	for i := range v.Detail {
		v.Detail[i].Loc = append(append([]any{"body"}, loc...), v.Detail[i].Loc[1:]...)
	}
	return v.Detail
}

func (s *Server) insertEvent(e *event) {
	s.events.add(e.m.ID, e)
	s.linkParents(e)
	if e.customer == nil {
		return
	}
	s.eventCounts(e)
}

// eventCounts adds an event to the meters of its customer.
func (s *Server) eventCounts(e *event) {
	if e.m.Source == models.EventSourceUser && (e.customer.m.FirstUserEventAt == nil || e.m.Timestamp.Before(*e.customer.m.FirstUserEventAt)) {
		e.customer.m.FirstUserEventAt = new(e.m.Timestamp)
	}
	for _, me := range s.meters.all {
		if me.m.ArchivedAt == nil && me.matches(e) {
			s.count(me, e)
		}
	}
}

// linkParents finds the parent of a new event, and the events that waited for it.
func (s *Server) linkParents(e *event) {
	find := func(ref, org string) *event {
		if p, ok := s.events.get(ref); ok && p.org == org {
			return p
		}
		return s.eventByKey[org+" "+ref]
	}
	if e.parentOf != "" {
		if p := find(e.parentOf, e.org); p != nil && p != e {
			e.m.ParentID = &p.m.ID
			p.children++
		} else {
			key := e.org + " " + e.parentOf
			s.orphans[key] = append(s.orphans[key], e)
		}
	}
	if e.external == "" {
		return
	}
	key := e.org + " " + e.external
	for _, x := range s.orphans[key] {
		if x != e {
			x.m.ParentID = &e.m.ID
			e.children++
		}
	}
	delete(s.orphans, key)
}

// attachEvents gives a new customer the events that came for its external id before.
func (s *Server) attachEvents(x *customer) {
	if x.m.ExternalID == nil {
		return
	}
	for _, e := range s.events.all {
		if e.customer == nil && e.org == x.m.OrganizationID && deref(e.m.ExternalCustomerID) == *x.m.ExternalID {
			e.customer = x
			s.eventCounts(e)
		}
	}
}

// systemEvent records what happened to a customer among its events.
func (s *Server) systemEvent(x *customer, name string, metadata models.EventMetadata) {
	e := &event{org: x.m.OrganizationID, customer: x}
	e.m = models.Event{ID: s.uuid(), Timestamp: s.at, OrganizationID: x.m.OrganizationID, ExternalCustomerID: x.m.ExternalID, Label: systemLabel(name), Source: models.EventSourceSystem,
		Name: name, Metadata: metadata}
	s.events.add(e.m.ID, e)
}

// systemLabel makes "Order paid" of "order.paid".
func systemLabel(name string) string {
	if known, ok := labels.Load(name); ok {
		return known.(string)
	}
	label := strings.NewReplacer(".", " ", "_", " ").Replace(name)
	label = strings.ToUpper(label[:1]) + label[1:]
	labels.Store(name, label)
	return label
}

// labels are those of the names that came up so far; there are about forty.
var labels sync.Map

// asksEventCustomer applies customer_id and external_customer_id.
func (c *call) asksEventCustomer(e *event) bool {
	var id *string
	external := e.m.ExternalCustomerID
	if e.customer != nil {
		id = &e.customer.m.ID
		if external == nil {
			external = e.customer.m.ExternalID
		}
	}
	return c.asksPtr("customer_id", id) && c.asksPtr("external_customer_id", external)
}

func listEvents(c *call) (any, error) {
	s := c.srv
	filter, err := c.eventFilter()
	if err != nil {
		return nil, err
	}
	var only *meter
	if id := c.query.Get("meter_id"); id != "" {
		if only, _ = s.meters.get(id); only == nil {
			return nil, notFound()
		}
	}
	items := visible(c, &s.events, func(e *event) bool {
		return c.asksEventCustomer(e) && c.asks("name", e.m.Name) && c.asks("source", string(e.m.Source)) && c.asksPtr("member_id", e.m.MemberID) &&
			c.asksPtr("external_member_id", e.m.ExternalMemberID) && c.asksTime("start_timestamp", "end_timestamp", e.m.Timestamp) && c.searches("query", e.m.Name, e.m.Label) &&
			c.asksMetadata(e.props()) && (filter == nil || passes(*filter, e)) && (only == nil || only.matches(e)) && c.asksPtr("parent_id", e.m.ParentID)
	})
	compare := map[string]func(a, b *event) int{"timestamp": func(a, b *event) int { return a.m.Timestamp.Compare(b.m.Timestamp) }}
	out, err := page(c, items, compare, s.renderEvent)
	if on, _ := parseBool(c.query.Get("cursor_pagination")); err == nil && on {
		p := out.(*polar.Page[models.Event])
		number := 1
		if n := c.query.Get("page"); n != "" {
			_ = json.Unmarshal([]byte(n), &number)
		}
		return cursorPage{Items: p.Items, Pagination: cursorPagination{HasNextPage: number < p.Pagination.MaxPage}}, nil
	}
	return out, err
}

type cursorPage struct {
	Items      []models.Event   `json:"items"`
	Pagination cursorPagination `json:"pagination"`
}

type cursorPagination struct {
	HasNextPage bool `json:"has_next_page"`
}

// eventFilter reads the filter of the query, a JSON text.
func (c *call) eventFilter() (*models.Filter, error) {
	text := c.query.Get("filter")
	if text == "" {
		return nil, nil
	}
	v := &validator{}
	value, err := readJSON([]byte(text))
	loc := []any{"query", "filter"}
	if err != nil {
		v.add("json_type", loc, "Invalid JSON", text, nil)
	} else if def := c.srv.table.types["Filter"]; def != nil {
		v.check(&expr{kind: exprRef, name: "Filter", def: def}, nil, loc, value)
	}
	f := new(models.Filter)
	if len(v.faults) == 0 {
		if err := jsonx.Unmarshal([]byte(text), f); err != nil {
			v.add("value_error", loc, "Invalid filter.", text, nil)
		}
	}
	if len(v.faults) > 0 {
		return nil, &apiError{status: 422, body: validationError{"RequestValidationError", v.faults}}
	}
	return f, nil
}

func getEvent(c *call) (any, error) {
	e, err := find(c, &c.srv.events, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderEvent(e), nil
}

func listEventNames(c *call) (any, error) {
	s := c.srv
	byName := map[string]*models.EventName{}
	var names []*models.EventName
	for _, e := range visible(c, &s.events, func(e *event) bool {
		return c.asksEventCustomer(e) && c.asks("source", string(e.m.Source)) && c.searches("query", e.m.Name)
	}) {
		key := string(e.m.Source) + " " + e.m.Name
		n := byName[key]
		if n == nil {
			n = &models.EventName{Name: e.m.Name, Label: s.eventLabel(e), Source: e.m.Source, FirstSeen: e.m.Timestamp, LastSeen: e.m.Timestamp}
			byName[key] = n
			names = append(names, n)
		}
		n.Occurrences++
		if e.m.Timestamp.Before(n.FirstSeen) {
			n.FirstSeen = e.m.Timestamp
		}
		if e.m.Timestamp.After(n.LastSeen) {
			n.LastSeen = e.m.Timestamp
		}
	}
	return page(c, names, map[string]func(a, b *models.EventName) int{
		"name":        func(a, b *models.EventName) int { return strings.Compare(a.Name, b.Name) },
		"first_seen":  func(a, b *models.EventName) int { return a.FirstSeen.Compare(b.FirstSeen) },
		"last_seen":   func(a, b *models.EventName) int { return a.LastSeen.Compare(b.LastSeen) },
		"occurrences": func(a, b *models.EventName) int { return a.Occurrences - b.Occurrences },
	}, func(n *models.EventName) models.EventName { return *n })
}

// checkEventTimes refuses events of the future, in both forms of an event, as the real server does.
func checkEventTimes(v *validator, value map[string]any) {
	list, _ := value["events"].([]any)
	for i, x := range list {
		m, _ := x.(map[string]any)
		text, _ := m["timestamp"].(string)
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || !t.After(v.now) {
			continue
		}
		known := slices.ContainsFunc(v.faults, func(f fault) bool { return len(f.Loc) > 2 && f.Loc[1] == "events" && f.Loc[2] == i })
		for _, arm := range [][2]string{{"EventCreateCustomer", "customer_id"}, {"EventCreateExternalCustomer", "external_customer_id"}} {
			v.add("value_error", []any{"body", "events", i, arm[0], "timestamp"}, "Timestamp must be in the past.", text, nil)
			if _, ok := m[arm[1]]; !ok && !known {
				v.add("missing", []any{"body", "events", i, arm[0], arm[1]}, "Field required", x, nil)
			}
		}
	}
}
