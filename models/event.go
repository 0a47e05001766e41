package models

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// The keys of an event's metadata that Polar reads itself.
const (
	costKey = "_cost"
	llmKey  = "_llm"
)

// UserEventMetadata is the metadata of an event that was ingested through the API. In JSON it is one object: the values
// with Cost under the key _cost and LLM under the key _llm.
type UserEventMetadata struct {
	// Values are the metadata that were ingested with the event. They do not hold _cost and _llm.
	Values Metadata
	// Cost is what the event cost the merchant, or nil.
	Cost *CostMetadata
	// LLM says how a language model was used, or is nil.
	LLM *LLMMetadata
}

func (*UserEventMetadata) isEventMetadata() {}

// IsZero reports whether there are no metadata at all.
func (m UserEventMetadata) IsZero() bool { return len(m.Values) == 0 && m.Cost == nil && m.LLM == nil }

// MarshalJSONTo writes one object. The keys _cost and _llm of Values are left out when Cost or LLM is set.
func (m UserEventMetadata) MarshalJSONTo(e *jsontext.Encoder) error {
	var except []string
	if m.Cost != nil {
		except = append(except, costKey)
	}
	if m.LLM != nil {
		except = append(except, llmKey)
	}
	return writeObject(e, m.Values, func() error {
		if m.Cost != nil {
			if err := writeMember(e, costKey, m.Cost); err != nil {
				return err
			}
		}
		if m.LLM != nil {
			return writeMember(e, llmKey, m.LLM)
		}
		return nil
	}, except...)
}

func writeMember(e *jsontext.Encoder, name string, v any) error {
	if err := e.WriteToken(jsontext.String(name)); err != nil {
		return err
	}
	return json.MarshalEncode(e, v)
}

// MarshalJSON returns the JSON text of one object.
func (m UserEventMetadata) MarshalJSON() ([]byte, error) { return jsonx.Marshal(m) }

// UnmarshalJSONFrom reads an object; null is read as the zero value.
func (m *UserEventMetadata) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*m = UserEventMetadata{}
	if d.PeekKind() == 'n' {
		return d.SkipValue()
	}
	m.Values = Metadata{}
	return readMembers(d, func(name string) (err error) {
		switch name {
		case costKey:
			return json.UnmarshalDecode(d, &m.Cost)
		case llmKey:
			return json.UnmarshalDecode(d, &m.LLM)
		}
		m.Values[name], err = readValue(d)
		return err
	})
}

// UnmarshalJSON reads an object; null is read as the zero value.
func (m *UserEventMetadata) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, m) }

// EventCreate is an event to ingest. It belongs to one customer, named either by Polar's id or by the merchant's own;
// an external id that Polar does not know yet is accepted, and the event is attached when the customer appears.
//
//	models.EventCreate{
//		Name:               "api.request",
//		ExternalCustomerID: new("user_42"),
//		ExternalID:         new(requestID), // makes it safe to send the event again
//		Metadata:           models.Metadata{"tokens": 1200},
//	}
//
// Events cannot be changed or removed once they are ingested.
type EventCreate struct {
	// Name is the name of the event, which meters filter by: 1 to 128 characters.
	Name string
	// CustomerID is Polar's id of the customer. Exactly one of CustomerID and ExternalCustomerID is set.
	CustomerID *string
	// ExternalCustomerID is the merchant's own id of the customer.
	ExternalCustomerID *string
	// MemberID is Polar's id of the member of the customer who caused the event. It goes with CustomerID.
	MemberID *string
	// ExternalMemberID is the merchant's own id of the member. It goes with ExternalCustomerID.
	ExternalMemberID *string
	// ExternalID is an id that the merchant chooses. Polar drops an event whose ExternalID it has seen, which makes it
	// safe to send the same event again.
	ExternalID *string
	// ParentID is the id of the event that this one is a part of: Polar's or an ExternalID. The parent may be sent
	// later.
	ParentID *string
	// OrganizationID is the organization that the event belongs to. Tokens of an organization leave it nil.
	OrganizationID *string
	// Timestamp is when the event happened. Nil is the time at which Polar receives it. It must not be in the future
	// by Polar's clock, without any tolerance: for what happens now it is best left nil. The usage is billed in the
	// period in which Polar receives the event.
	Timestamp *time.Time
	// Metadata are values to filter and aggregate by. The limits of their number and of the keys' lengths do not apply
	// to events. The keys _cost and _llm are written from Cost and LLM.
	Metadata Metadata
	// Cost is what the event cost the merchant.
	Cost *CostMetadata
	// LLM says how a language model was used.
	LLM *LLMMetadata
}

const maxEventName = 128

type eventCreate struct {
	Name               string            `json:"name"`
	CustomerID         *string           `json:"customer_id,omitzero"`
	ExternalCustomerID *string           `json:"external_customer_id,omitzero"`
	MemberID           *string           `json:"member_id,omitzero"`
	ExternalMemberID   *string           `json:"external_member_id,omitzero"`
	ExternalID         *string           `json:"external_id,omitzero"`
	ParentID           *string           `json:"parent_id,omitzero"`
	OrganizationID     *string           `json:"organization_id,omitzero"`
	Timestamp          *time.Time        `json:"timestamp,omitzero"`
	Metadata           UserEventMetadata `json:"metadata,omitzero"`
}

// MarshalJSONTo writes the event, with Cost and LLM among the metadata.
func (c EventCreate) MarshalJSONTo(e *jsontext.Encoder) error {
	return json.MarshalEncode(e, &eventCreate{
		c.Name, c.CustomerID, c.ExternalCustomerID, c.MemberID, c.ExternalMemberID, c.ExternalID, c.ParentID,
		c.OrganizationID, c.Timestamp, UserEventMetadata{c.Metadata, c.Cost, c.LLM},
	})
}

// MarshalJSON returns the JSON text of the event.
func (c EventCreate) MarshalJSON() ([]byte, error) { return jsonx.Marshal(c) }

// UnmarshalJSONFrom reads an event; metadata that are missing or empty are read as nil.
func (c *EventCreate) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var r eventCreate
	if err := json.UnmarshalDecode(d, &r); err != nil {
		return err
	}
	*c = EventCreate{
		r.Name, r.CustomerID, r.ExternalCustomerID, r.MemberID, r.ExternalMemberID, r.ExternalID, r.ParentID,
		r.OrganizationID, r.Timestamp, r.Metadata.Values, r.Metadata.Cost, r.Metadata.LLM,
	}
	if len(c.Metadata) == 0 {
		c.Metadata = nil
	}
	return nil
}

// UnmarshalJSON reads an event.
func (c *EventCreate) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, c) }

// Validate checks what Polar would refuse, and what it would accept and read differently: of two customer ids it takes
// one and drops the other. Polar refuses a whole list of events when one of them is wrong.
func (c EventCreate) Validate() error {
	switch n := utf8.RuneCountInString(c.Name); {
	case n == 0:
		return errors.New("models: EventCreate.Name is empty, want 1 to 128 characters")
	case n > maxEventName:
		return fmt.Errorf("models: EventCreate.Name has %d characters, at most %d are allowed", n, maxEventName)
	}
	if err := exactlyOne("EventCreate", "CustomerID ExternalCustomerID", c.CustomerID != nil, c.ExternalCustomerID != nil); err != nil {
		return err
	}
	switch {
	case c.CustomerID != nil && *c.CustomerID == "":
		return errors.New("models: EventCreate.CustomerID is empty")
	case c.ExternalCustomerID != nil && *c.ExternalCustomerID == "":
		return errors.New("models: EventCreate.ExternalCustomerID is empty")
	case c.MemberID != nil && c.CustomerID == nil:
		return errors.New("models: EventCreate.MemberID goes with CustomerID: use ExternalMemberID with ExternalCustomerID, since Polar would drop it")
	case c.ExternalMemberID != nil && c.ExternalCustomerID == nil:
		return errors.New("models: EventCreate.ExternalMemberID goes with ExternalCustomerID: use MemberID with CustomerID, since Polar would drop it")
	}
	if _, ok := c.Metadata[costKey]; ok {
		return errors.New("models: EventCreate.Metadata has the key _cost, which Polar reads itself: set Cost")
	}
	if _, ok := c.Metadata[llmKey]; ok {
		return errors.New("models: EventCreate.Metadata has the key _llm, which Polar reads itself: set LLM")
	}
	if err := c.Metadata.ValidateValues(); err != nil {
		return within("EventCreate.Metadata", err)
	}
	if c.Cost != nil {
		if err := c.Cost.Amount.ValidateUnitAmount(); err != nil {
			return within("EventCreate.Cost.Amount", err)
		}
		if c.Cost.Currency == "" {
			return errors.New("models: EventCreate.Cost.Currency is empty, want usd")
		}
	}
	return nil
}

// Repeatable reports whether Polar takes the same events twice without counting them twice: that there are events and
// each has an ExternalID. The client sends such a list again when it cannot know whether it has arrived.
func (e EventsIngest) Repeatable() bool {
	for _, c := range e.Events {
		if c.ExternalID == nil || *c.ExternalID == "" {
			return false
		}
	}
	return len(e.Events) > 0
}
