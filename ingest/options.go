package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/polar-go/polar/models"
)

// Option is a setting of an [Ingester], for [New].
type Option func(*options) error

type options struct {
	batchEvents int
	batchBytes  int
	interval    time.Duration
	senders     int
	queueEvents int
	queueBytes  int
	full        FullPolicy
	backoffMin  time.Duration
	backoffMax  time.Duration
	now         func() time.Time

	organization string
	customer     CustomerFunc
	journal      Journal
	sink         func(context.Context, models.EventCreate) error

	onRejected func(*RejectedError)
	onRequest  func(Request)
	onError    func(error)
}

const (
	defaultBatchEvents = 1000
	defaultBatchBytes  = 2 << 20
	maxBatchBytes      = 9 << 20 // Polar takes 10 MiB, the list around the events included
	defaultInterval    = 5 * time.Second
	defaultSenders     = 4
	defaultQueueEvents = 100_000
	defaultQueueBytes  = 64 << 20
)

func defaults() options {
	return options{
		batchEvents: defaultBatchEvents,
		batchBytes:  defaultBatchBytes,
		interval:    defaultInterval,
		senders:     defaultSenders,
		queueEvents: defaultQueueEvents,
		queueBytes:  defaultQueueBytes,
		full:        FullError,
		backoffMin:  500 * time.Millisecond,
		backoffMax:  30 * time.Second,
		now:         time.Now,
	}
}

// WithBatchSize sets how many events a request holds at most: 1000 by default. A full batch is sent at once.
func WithBatchSize(events int) Option {
	return func(o *options) error {
		if events < 1 {
			return fmt.Errorf("a batch of %d events: it has to hold at least 1", events)
		}
		o.batchEvents = events
		return nil
	}
}

// WithBatchBytes sets how large a request is at most: 2 MiB by default, at least 1 KiB, at most 9 MiB, since Polar refuses
// more than 10. A single event that is larger is refused by [Ingester.Track].
func WithBatchBytes(n int) Option {
	return func(o *options) error {
		if n < 1<<10 || n > maxBatchBytes {
			return fmt.Errorf("a batch of %d bytes: it has to be from %d to %d", n, 1<<10, maxBatchBytes)
		}
		o.batchBytes = n
		return nil
	}
}

// WithInterval sets how long an event waits at most for others to fill its batch: 5 seconds by default. Polar allows an
// organization 500 requests a minute (100 in the sandbox), over all its processes, so busy fleets do not want it much shorter.
func WithInterval(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("interval %v: it has to be positive", d)
		}
		o.interval = d
		return nil
	}
}

// WithConcurrency sets how many requests may be under way at the same time: 4 by default. While Polar does not answer well,
// there is one.
func WithConcurrency(requests int) Option {
	return func(o *options) error {
		if requests < 1 || requests > 64 {
			return fmt.Errorf("%d concurrent requests: it has to be from 1 to 64", requests)
		}
		o.senders = requests
		return nil
	}
}

// WithQueue bounds what waits in memory, requests under way included: by default 100,000 events and 64 MiB of their JSON. What
// happens then is set by [WithFull].
func WithQueue(events, bytes int) Option {
	return func(o *options) error {
		if events < 1 || bytes < 1 {
			return fmt.Errorf("a queue of %d events and %d bytes: both have to be positive", events, bytes)
		}
		o.queueEvents, o.queueBytes = events, bytes
		return nil
	}
}

// FullPolicy says what happens to an event that finds the queue full; see [WithFull].
type FullPolicy int

const (
	// FullError refuses the event with [ErrFull]. It is the default: the caller knows, and decides.
	FullError FullPolicy = iota
	// FullBlock waits until there is room, until the context of [Ingester.TrackContext] ends, or until the ingester is
	// closed.
	FullBlock
	// FullDrop drops the event without an error and counts it in [Stats].Dropped.
	FullDrop
)

// WithFull sets what happens to an event that finds the queue full: [FullError] by default.
func WithFull(policy FullPolicy) Option {
	return func(o *options) error {
		if policy < FullError || policy > FullDrop {
			return fmt.Errorf("policy %d of a full queue is unknown: use FullError, FullBlock or FullDrop", policy)
		}
		o.full = policy
		return nil
	}
}

// WithBackoff sets the pauses after failed requests: a random time up to first, doubled after each failure up to limit; by
// default 500 ms and 30 s. A Retry-After of Polar's that is longer counts instead. Requests are repeated until they succeed or
// the ingester is closed.
func WithBackoff(first, limit time.Duration) Option {
	return func(o *options) error {
		if first <= 0 || limit < first {
			return fmt.Errorf("backoff from %v to %v: the first has to be positive and not above the limit", first, limit)
		}
		o.backoffMin, o.backoffMax = first, limit
		return nil
	}
}

// WithClock replaces [time.Now] as the source of the events' timestamps and of [Ingester.Timer]. Queues and pauses keep to
// the real clock.
func WithClock(now func() time.Time) Option {
	return func(o *options) error {
		if now == nil {
			return errors.New("clock is nil")
		}
		o.now = now
		return nil
	}
}

// WithOrganizationID sets the OrganizationID of events that have none. Personal and OAuth tokens need it; the token of an
// organization must leave it out.
func WithOrganizationID(id string) Option {
	return func(o *options) error {
		if !isUUID(id) {
			return errors.New("organization id is not a UUID")
		}
		o.organization = id
		return nil
	}
}

// CustomerFunc finds the customer that usage belongs to, from what the context carries. It reports false when there is none.
type CustomerFunc func(ctx context.Context) (Customer, bool)

// WithCustomerFunc sets how the strategies find the customer: [CustomerFrom] by default, which reads what [WithCustomer] put
// into the context.
func WithCustomerFunc(find CustomerFunc) Option {
	return func(o *options) error {
		if find == nil {
			return errors.New("customer function is nil")
		}
		o.customer = find
		return nil
	}
}

// OnRejected sets a function that gets each event that Polar refused for good, with the reason. Without it they are only
// counted. The functions of [OnRejected], [OnRequest] and [OnError], and those given to [Ingester.TrackFunc], are called one
// after the other on a goroutine of their own; a panic in one is caught and counted, and a slow one delays only the others.
// They must not wait for [Ingester.Flush] or [Ingester.Close], which wait for them, nor, with [FullBlock], for room in the queue, which
// they give back: where they track, give [Ingester.TrackContext] a context that ends.
func OnRejected(f func(*RejectedError)) Option {
	return func(o *options) error { o.onRejected = f; return nil }
}

// OnRequest sets a function that gets a report of each request, for metrics and logs. If it cannot keep up, reports are
// left out; the counters in [Request].Stats go on.
func OnRequest(f func(Request)) Option {
	return func(o *options) error { o.onRequest = f; return nil }
}

// OnError sets a function that gets the errors that have no caller: events of a strategy that could not be tracked, answers
// of language models without usage ([ErrNoUsage]), failures of the journal. If it cannot keep up, errors are left out.
func OnError(f func(error)) Option {
	return func(o *options) error { o.onError = f; return nil }
}

// Journal keeps events until Polar has them. Package journal, a module of its own, implements it with files.
// The methods may be called at the same time.
type Journal interface {
	// Append stores a record, and returns its position once the record is as safe as the journal promises. It does not
	// keep the slice. A record for which it returned an error must not come back in Replay, as far as that can be helped.
	Append(record []byte) (position uint64, err error)
	// Done says that the records at the positions are no longer needed.
	Done(positions []uint64) error
	// Replay calls f for each record that was stored before the journal was opened and is not done, in order. The record
	// is f's only until it returns.
	Replay(f func(position uint64, record []byte) error) error
	// Close releases the journal.
	Close() error
}

// WithJournal makes [Ingester.Track] store each event before it returns, so that it survives the process, and sends first what
// an earlier process has left. Open the journal for one ingester only; [Ingester.Close] closes it.
func WithJournal(j Journal) Option {
	return func(o *options) error {
		if j == nil {
			return errors.New("journal is nil")
		}
		o.journal = j
		return nil
	}
}

// WithSink makes [Ingester.Track] and the strategies hand each event to f in place of sending it to Polar: to the publisher of a
// broker (package ingest/nats), from where another process brings it to Polar. The event has been checked and has its
// ExternalID and Timestamp; f decides about durability, and its error is that of Track. The client of [New] may be nil then.
func WithSink(f func(ctx context.Context, event models.EventCreate) error) Option {
	return func(o *options) error {
		if f == nil {
			return errors.New("sink is nil")
		}
		o.sink = f
		return nil
	}
}

// Request is a report of one request to Polar; see [OnRequest].
type Request struct {
	Events   int           // events in it
	Bytes    int           // size of its body
	Attempt  int           // how often these events have been sent, this time included
	Duration time.Duration // from the start to the answer
	Err      error         // why it failed; nil when Polar took the events
	Stats    Stats         // counters after it
}

// Stats are the counters of an ingester. All but Queued only grow. As long as no event is under way,
// Tracked = Sent + Rejected + Queued.
type Stats struct {
	Tracked    uint64 // events that were taken, those that a journal brought back included
	Queued     int    // events that wait or are under way now
	QueuedSize int    // bytes of JSON of these
	Sent       uint64 // events that Polar has confirmed, or the sink of WithSink
	Duplicates uint64 // those of Sent that Polar already had, such as after an answer that was lost
	Rejected   uint64 // events that Polar refused for good
	Retried    uint64 // events that were sent once more, each time counted
	Dropped    uint64 // events that the policy FullDrop dropped
	Requests   uint64 // requests sent
	Failures   uint64 // requests that failed
	Panics     uint64 // callbacks that panicked
}
