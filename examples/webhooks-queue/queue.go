package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/polar-go/polar/webhooks"
)

// errFull makes the receiver answer 500, and Polar deliver the event again
// later: what does not fit waits at Polar, which keeps it better than a process
// could.
var errFull = errors.New("the queue is full")

// errClosed is for deliveries that arrive while the program stops.
var errClosed = errors.New("the queue is closed")

// queue holds events that were acknowledged and are still to be worked on. It
// is bounded, and it is emptied before the program ends, because Polar does not
// deliver again what was acknowledged.
//
// It does not survive a crash. Where that matters, let push write the event's
// Payload to a database or a broker, and let the workers read it with
// webhooks.Decode.
type queue struct {
	work  webhooks.Handler
	retry []time.Duration // pauses between attempts at the same event

	mu     sync.Mutex
	closed bool
	events chan webhooks.Event
	group  sync.WaitGroup
	ctx    context.Context // of the work
	cancel context.CancelFunc
}

// newQueue starts the workers of a queue for so many events.
func newQueue(size, workers int, retry []time.Duration, work webhooks.Handler) *queue {
	q := &queue{work: work, retry: retry, events: make(chan webhooks.Event, size)}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	for range workers {
		q.group.Go(func() {
			for e := range q.events {
				q.handle(e)
			}
		})
	}
	return q
}

// push takes an event, and never waits. It is the handler of the receiver.
func (q *queue) push(_ context.Context, e webhooks.Event) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	select {
	case q.events <- e:
		return nil
	default:
		return errFull
	}
}

// handle works on an event, more than once if it has to.
func (q *queue) handle(e webhooks.Event) {
	for attempt := 0; ; attempt++ {
		err := q.work(q.ctx, e)
		switch {
		case err == nil:
			return
		case webhooks.IsPermanent(err) || attempt >= len(q.retry) || q.ctx.Err() != nil:
			// The last chance to keep it: store it, or tell somebody.
			slog.Error("event given up", "id", e.Info().ID, "type", e.Type(), "error", err)
			return
		}
		select {
		case <-time.After(q.retry[attempt]):
		case <-q.ctx.Done():
		}
	}
}

// drain refuses new events and waits until those that are there have been
// worked on. When ctx ends before, the work is cancelled, and drain returns the
// number of events that nobody has begun.
func (q *queue) drain(ctx context.Context) (left int, err error) {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.events)
	}
	q.mu.Unlock()
	done := make(chan struct{})
	go func() {
		q.group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		for e := range q.events { // out of the hands of the workers
			slog.Error("event not handled", "id", e.Info().ID, "type", e.Type())
			left++
		}
		err = ctx.Err()
		q.cancel()
		<-done
	}
	q.cancel()
	return left, err
}
