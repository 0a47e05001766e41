package ingest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

var (
	// ErrInvalid is an event that Polar would refuse or misread, found before it was queued. The text names the field
	// and the rule.
	ErrInvalid = errors.New("ingest: invalid event")
	// ErrFull is an event that was not taken because the queue is full; see [WithFull].
	ErrFull = errors.New("ingest: the queue is full")
	// ErrClosed is an event that was not taken because [Ingester.Close] has been called.
	ErrClosed = errors.New("ingest: the ingester is closed")
	// ErrNoCustomer is usage that could not be assigned to anybody: neither an argument nor the context names a customer.
	ErrNoCustomer = errors.New("ingest: no customer: use WithCustomer on the context, or a CustomerFunc")
	// ErrNoUsage is an answer of a language model that does not say how many tokens it took, and so cannot be billed.
	ErrNoUsage = errors.New("ingest: the answer has no token usage")
	// ErrUnsent is what became of an event that was still waiting when [Ingester.Close] gave up; see [UnsentError].
	ErrUnsent = errors.New("ingest: not sent before the ingester was closed")
)

// invalidError is a reason of ErrInvalid.
type invalidError struct{ reason string }

func (e *invalidError) Error() string        { return "ingest: " + e.reason }
func (e *invalidError) Is(target error) bool { return target == ErrInvalid }

func invalid(format string, args ...any) error {
	return &invalidError{strings.TrimPrefix(fmt.Sprintf(format, args...), "models: ")}
}

// RejectedError is an event that Polar refused for good. The other events of its batch were sent without it.
type RejectedError struct {
	// Event is the event as it was sent. Whole numbers in its metadata are int64, as in all that is read from JSON.
	Event models.EventCreate
	// Fields are Polar's complaints about this event. Their paths begin at the event: "customer_id",
	// "metadata.tokens". It is empty when Polar did not say what is wrong.
	Fields []polar.FieldError
	// Err is Polar's whole answer, a [*polar.Error] about the batch that the event was in.
	Err error
}

// Error names the event's id and the complaints, but no data of the event.
func (e *RejectedError) Error() string {
	id := ""
	if e.Event.ExternalID != nil {
		id = " " + shorten(*e.Event.ExternalID, 64)
	}
	var said []string
	for _, f := range e.Fields[:min(3, len(e.Fields))] {
		said = append(said, shorten(f.String(), 120))
	}
	if len(said) == 0 {
		return "ingest: Polar refused the event" + id + ": " + e.Err.Error()
	}
	return "ingest: Polar refused the event" + id + ": " + strings.Join(said, "; ")
}

// Unwrap returns Polar's answer.
func (e *RejectedError) Unwrap() error { return e.Err }

// StoreError is the failure of the journal of [WithJournal] or of the sink of [WithSink] to take an event. It is not always
// known whether they have it all the same: a broker may have stored what it did not confirm in time.
type StoreError struct {
	// Event is the event with the ExternalID and the Timestamp that it was given. To try again, track this one: however many
	// copies of it arrive, Polar counts one.
	Event models.EventCreate
	// Err is the failure.
	Err error
}

// Error says why the event was not stored, but no data of the event.
func (e *StoreError) Error() string { return "ingest: the event was not stored: " + e.Err.Error() }

// Unwrap returns the failure.
func (e *StoreError) Unwrap() error { return e.Err }

// UnsentError is returned by [Ingester.Close] when events were left.
type UnsentError struct {
	// Events are the events that Polar has not confirmed, in the order in which they were tracked. Some may have arrived all the
	// same; they carry an ExternalID, so tracking or sending them again does not count them twice. With [WithJournal] they
	// are in the journal, too, and the next ingester sends them by itself.
	Events []models.EventCreate
	// Err is why: the end of the context, joined with the last failure of a request.
	Err error
}

// Error says how many events are left and why.
func (e *UnsentError) Error() string {
	return fmt.Sprintf("ingest: %d events were not sent: %v", len(e.Events), e.Err)
}

// Unwrap returns the reason.
func (e *UnsentError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrUnsent].
func (e *UnsentError) Is(target error) bool { return target == ErrUnsent }

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && s[limit]&0xc0 == 0x80 {
		limit--
	}
	return s[:limit] + "…"
}

// complaints is what a refusal says about the events of a batch.
type complaints map[int][]polar.FieldError

// complaintsOf sorts the fields of a 422 by the index of the event. external tells which kind of customer id the event
// with an index was sent with: Polar's check tries an event against both kinds and reports the failures of both, and those
// of the kind that was not sent are noise.
func complaintsOf(e *polar.Error, n int, external func(int) bool) complaints {
	found := complaints{}
	for _, f := range e.Fields {
		if len(f.Path) < 3 || f.Path[0] != "body" || f.Path[1] != "events" {
			continue
		}
		i, ok := index(f.Path[2], n)
		if !ok {
			continue
		}
		found[i] = append(found[i], polar.FieldError{Path: f.Path[3:], Type: f.Type, Message: f.Message})
	}
	for i, fields := range found {
		found[i] = withoutNoise(fields, external(i))
	}
	return found
}

// withoutNoise takes the complaints of the alternative that was not sent away, and the name of the alternative off the
// paths of the others. The alternative is the one that misses the customer id of its kind. If nothing else is left, all stay.
func withoutNoise(fields []polar.FieldError, external bool) []polar.FieldError {
	other := "external_customer_id"
	if external {
		other = "customer_id"
	}
	noise := map[string]bool{}
	for _, f := range fields {
		if len(f.Path) == 2 && f.Path[1] == other && f.Type == "missing" {
			noise[f.Path[0]] = true
		}
	}
	var kept []polar.FieldError
	for _, f := range fields {
		if len(f.Path) > 0 && noise[f.Path[0]] {
			continue
		}
		kept = append(kept, trimArm(f))
	}
	if len(kept) == 0 {
		return fields
	}
	return slices.CompactFunc(kept, func(a, b polar.FieldError) bool {
		return a.Type == b.Type && a.Message == b.Message && slices.Equal(a.Path, b.Path)
	})
}

func trimArm(f polar.FieldError) polar.FieldError {
	if len(f.Path) > 1 && strings.HasPrefix(f.Path[0], "EventCreate") {
		f.Path = f.Path[1:]
	}
	return f
}

// aboutTimestamp reports whether a complaint is about the timestamp alone.
func aboutTimestamp(f polar.FieldError) bool {
	return len(f.Path) > 0 && f.Path[len(f.Path)-1] == "timestamp" && (len(f.Path) == 1 || len(f.Path) == 2)
}

func index(s string, n int) (int, bool) {
	if s == "" || len(s) > 9 {
		return 0, false
	}
	i := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = i*10 + int(c-'0')
	}
	return i, i < n
}

var errNotNew = errors.New("ingest: the Ingester was not made by New")
