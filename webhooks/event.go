package webhooks

import (
	stdjson "encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// APIVersion is the version of payloads that the types of this package were made from. It is set for each endpoint at
// Polar, apart from the version of requests. Payloads of other versions are read as well: what they have in common with
// this one is most of it.
const APIVersion = "2026-10"

// Event is a webhook event of any type: a pointer to one of the structs of this package, or [*Unknown].
//
//	switch e := event.(type) {
//	case *webhooks.OrderPaid:
//		fulfil(e.Data)
//	case *webhooks.SubscriptionRevoked:
//		shut(e.Data)
//	}
//
// A struct of your own is an Event, too, when it embeds [Delivery] and has a method Type; see [On].
type Event interface {
	// Type says what happened.
	Type() models.WebhookEventType
	// Info returns what all events have. Every struct that embeds [Delivery] has this method.
	Info() *Delivery
}

// Delivery is what all events have: it is embedded in each of them, so its fields read like fields of the event.
type Delivery struct {
	// ID is the webhook-id of the delivery. All attempts to deliver an event to an endpoint have the same, and so has a
	// redelivery asked for by hand; two endpoints get different ones. Empty after [Decode].
	ID string `json:"-"`
	// SentAt is when this attempt was sent. Zero after [Decode].
	SentAt time.Time `json:"-"`
	// Timestamp is when the event was made, the same for each attempt. Compare it to find out which of two events about
	// an object is the later one.
	Timestamp time.Time `json:"timestamp"`
	// APIVersion is the version of the payload, such as "2026-10". It is empty for the version 2026-04, whose payloads do
	// not say, unless the delivery's header does.
	APIVersion string `json:"api_version,omitzero"`

	payload *payload
}

// payload is behind a pointer so that printing an event does not print it.
type payload struct{ body []byte }

// Info returns d itself. It gives access to the fields through the interface [Event].
func (d *Delivery) Info() *Delivery { return d }

// Payload returns the JSON text of the event as it arrived, to keep it or to read what the event's Go type does not have.
// It is nil for an event that was not parsed. It must not be changed.
func (d *Delivery) Payload() []byte {
	if d.payload == nil {
		return nil
	}
	return d.payload.body
}

// Unknown is an event of a type that this version of the module does not know. Its signature was checked like any other.
type Unknown struct {
	Delivery
	// EventType is what happened, in Polar's words.
	EventType models.WebhookEventType `json:"-"`
	// Data is the JSON of the object that the event is about, and nil if the payload has none. Members beside it are in
	// the Payload.
	Data stdjson.RawMessage `json:"data,omitzero"`
}

// Type returns EventType.
func (u *Unknown) Type() models.WebhookEventType { return u.EventType }

// NewEvent returns an empty event of a type, ready to be filled in, and an [*Unknown] for a type that this version of the
// module does not know. [models.WebhookEventTypeValues] lists the types.
func NewEvent(t models.WebhookEventType) Event {
	if e := newEvent(t); e != nil {
		return e
	}
	return &Unknown{EventType: t}
}

// Decode reads the payload of an event without checking anything about where it came from. It is for payloads that are
// trusted already: from a queue that [Verifier.Verify] stands in front of, or out of the member Payload of
// [models.WebhookEvent]. Use [Verifier.Parse] for what comes from outside.
//
// An event whose type this version of the module does not know becomes an [*Unknown]. The error matches [ErrMalformed].
func Decode(payload []byte) (Event, error) { return decode(slices.Clone(payload)) }

// decode is Decode for a body that nobody else will change.
func decode(body []byte) (Event, error) {
	var r eventReader
	if err := jsonx.Unmarshal(body, &r); err != nil {
		if own, ok := errors.AsType[*classError](err); ok {
			return nil, own // without what the JSON library puts around it
		}
		text := "the payload"
		if r.kind != "" {
			text += " of " + r.kind
			if v := r.version(); v != "" && v != APIVersion {
				text += ", of API version " + v + ","
			}
		}
		return nil, failWith(ErrMalformed, text+" cannot be read: "+jsonx.Explain(err), err)
	}
	r.event.Info().payload = &payload{body}
	return r.event, nil
}

// eventReader reads a payload into the type that its member "type" names.
type eventReader struct {
	kind  string // text of the type once it is known, shortened
	event Event
}

// UnmarshalJSONFrom reads the payload.
func (r *eventReader) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		if err := d.SkipValue(); err != nil {
			return err
		}
		return fail(ErrMalformed, "the payload is no JSON object")
	}
	return jsonx.Choose(d, "type", r, readEvent)
}

func readEvent(r *eventReader, d *jsontext.Decoder, kind []byte) error {
	t := models.WebhookEventType(kind)
	if t == "" {
		raw, err := d.ReadValue()
		if err != nil {
			return err
		}
		return withoutType(raw)
	}
	r.kind = printable(string(t))
	r.event = NewEvent(t)
	return json.UnmarshalDecode(d, r.event)
}

// version returns the payload's API version as far as it was read.
func (r *eventReader) version() string {
	if r.event == nil {
		return ""
	}
	return printable(r.event.Info().APIVersion)
}

// withoutType says what a payload without a type is.
func withoutType(raw []byte) error {
	for _, chat := range []struct{ name, text, list string }{{"Slack", "text", "blocks"}, {"Discord", "content", "embeds"}} {
		if jsonx.Has(raw, chat.text) != "" && jsonx.Has(raw, chat.list) != "" {
			return fail(ErrFormat, "the payload is a message for "+chat.name+
				": set the format of the endpoint to raw, or give this receiver an endpoint of its own")
		}
	}
	return fail(ErrMalformed, "the payload has no type")
}

// printable makes a text of the payload fit for an error.
func printable(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// Encode returns the payload of an event as Polar would send it, for queues and for tests. It is what [Decode] reads.
// What a payload had beyond the fields of its Go type is not kept in the event
// and is missing here: to pass deliveries on as they came, keep their bytes.
func Encode(e Event) ([]byte, error) {
	if isNil(e) {
		return nil, fail(ErrSetup, "the event is nil")
	}
	t := e.Type()
	if t == "" {
		return nil, fail(ErrSetup, "the event has no type")
	}
	body, err := jsonx.Marshal(e)
	if err != nil {
		return nil, failWith(ErrSetup, "the event cannot be encoded: "+err.Error(), err)
	}
	if len(body) < 2 || body[0] != '{' {
		return nil, fail(ErrSetup, "the event does not encode to a JSON object")
	}
	if jsonx.Has(body, "type") != "" {
		return body, nil
	}
	name, err := jsonx.Marshal(string(t))
	if err != nil {
		return nil, failWith(ErrSetup, "the type of the event cannot be encoded", err)
	}
	out := slices.Concat([]byte(`{"type":`), name)
	if len(body) > 2 {
		out = append(out, ',')
	}
	return append(out, body[1:]...), nil
}

// isNil reports whether e is nil or holds a nil pointer.
func isNil(e Event) bool {
	if e == nil {
		return true
	}
	v := reflect.ValueOf(e)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// copyOf returns a shallow copy of an event, whose delivery can be filled in without touching the caller's.
func copyOf(e Event) Event {
	v := reflect.ValueOf(e)
	if v.Kind() != reflect.Pointer {
		return e
	}
	c := reflect.New(v.Type().Elem())
	c.Elem().Set(v.Elem())
	return c.Interface().(Event)
}
