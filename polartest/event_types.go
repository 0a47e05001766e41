package polartest

import (
	"cmp"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// eventType is the name of a merchant's events with how it is shown.
type eventType struct {
	m models.EventType
}

func eventTypeHandlers() handlers {
	return handlers{"event-types:list": listEventTypes, "event-types:update": updateEventType}
}

// typeOf is the type of a merchant's event, made with the first one that is asked for.
func (s *Server) typeOf(e *event) *eventType {
	key := e.org + " " + e.m.Name
	t := s.eventTypes[key]
	if t == nil {
		t = &eventType{m: models.EventType{ID: s.uuid(), CreatedAt: s.at, Name: e.m.Name, Label: e.m.Name, OrganizationID: e.org}}
		put(&s.eventTypes, key, t)
	}
	return t
}

// eventLabel is how an event is shown.
func (s *Server) eventLabel(e *event) string {
	if e.m.Source == models.EventSourceUser {
		if t := s.eventTypes[e.org+" "+e.m.Name]; t != nil {
			if t.m.LabelPropertySelector != nil {
				if v, ok := e.property(*t.m.LabelPropertySelector); ok {
					return plainText(v)
				}
			}
			return t.m.Label
		}
	}
	return e.m.Label
}

func listEventTypes(c *call) (any, error) {
	s := c.srv
	var list []*models.EventTypeWithStats
	by := map[string]*models.EventTypeWithStats{}
	for _, e := range s.events.all {
		parent := c.query.Get("parent_id")
		if !c.who.reaches(e.org) || !c.asks("organization_id", e.org) || !c.asksEventCustomer(e) || !c.asks("source", string(e.m.Source)) || !c.searches("query", e.m.Name, s.eventLabel(e)) ||
			parent != "" && deref(e.m.ParentID) != strings.ToLower(parent) {
			continue
		}
		if roots, _ := parseBool(c.query.Get("root_events")); roots && e.m.ParentID != nil {
			continue
		}
		key := e.org + " " + string(e.m.Source) + " " + e.m.Name
		x := by[key]
		if x == nil {
			x = &models.EventTypeWithStats{Name: e.m.Name, Label: e.m.Label, OrganizationID: e.org, Source: e.m.Source, FirstSeen: e.m.Timestamp, LastSeen: e.m.Timestamp}
			if e.m.Source == models.EventSourceUser {
				t := s.typeOf(e).m
				x.ID, x.CreatedAt, x.ModifiedAt, x.Label, x.LabelPropertySelector = &t.ID, &t.CreatedAt, t.ModifiedAt, t.Label, t.LabelPropertySelector
			}
			by[key] = x
			list = append(list, x)
		}
		x.Occurrences++
		if e.m.Timestamp.Before(x.FirstSeen) {
			x.FirstSeen = e.m.Timestamp
		}
		if e.m.Timestamp.After(x.LastSeen) {
			x.LastSeen = e.m.Timestamp
		}
	}
	seen := func(f func(*models.EventTypeWithStats) time.Time) func(a, b *models.EventTypeWithStats) int {
		return func(a, b *models.EventTypeWithStats) int { return f(a).Compare(f(b)) }
	}
	return page(c, list, map[string]func(a, b *models.EventTypeWithStats) int{
		"name":        func(a, b *models.EventTypeWithStats) int { return strings.Compare(a.Name, b.Name) },
		"label":       func(a, b *models.EventTypeWithStats) int { return strings.Compare(a.Label, b.Label) },
		"occurrences": func(a, b *models.EventTypeWithStats) int { return cmp.Compare(a.Occurrences, b.Occurrences) },
		"first_seen":  seen(func(x *models.EventTypeWithStats) time.Time { return x.FirstSeen }),
		"last_seen":   seen(func(x *models.EventTypeWithStats) time.Time { return x.LastSeen }),
	}, func(x *models.EventTypeWithStats) models.EventTypeWithStats { return *x })
}

func updateEventType(c *call) (any, error) {
	var t *eventType
	for _, x := range c.srv.eventTypes {
		if x.m.ID == strings.ToLower(c.path["id"]) && c.who.reaches(x.m.OrganizationID) {
			t = x
		}
	}
	if t == nil {
		return nil, notFound()
	}
	body, err := decode[models.EventTypeUpdate](c)
	if err != nil {
		return nil, err
	}
	t.m.Label = body.Label
	apply(&t.m.LabelPropertySelector, body.LabelPropertySelector)
	t.m.ModifiedAt = new(c.now)
	return t.m, nil
}
