// Package nats takes usage events through NATS JetStream on their way to Polar, so that they outlive the machine that they
// happened on.
//
// Where usage happens, events go into a stream and Track returns when the stream has stored them:
//
//	publisher, err := nats.NewPublisher(js, "usage.events")
//	ing, err := ingest.New(nil, ingest.WithSink(publisher.Track))
//	err = ing.Track(event) // and all strategies
//
// Elsewhere a consumer of that stream brings them to Polar in batches, and acknowledges each when Polar has it:
//
//	ing, err := ingest.New(client, ingest.WithFull(ingest.FullBlock))
//	err = nats.Consume(ctx, consumer, ing)
//
// The ExternalID of an event is its message id, by which JetStream drops what is published twice, and Polar drops what is delivered
// twice. Keep events of one stream in it for as long as Polar may be unreachable.
package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/polar-go/polar/ingest"
	"github.com/polar-go/polar/internal/ended"
	"github.com/polar-go/polar/models"
)

// Publisher puts events into a stream. It is made by [NewPublisher] and safe for concurrent use.
type Publisher struct {
	js      jetstream.JetStream
	subject string
}

// NewPublisher returns a publisher to a subject, which a stream has to be listening to.
func NewPublisher(js jetstream.JetStream, subject string) (*Publisher, error) {
	if js == nil || subject == "" {
		return nil, errors.New("nats: the publisher needs a JetStream and a subject")
	}
	return &Publisher{js, subject}, nil
}

// Track publishes an event and returns when the stream has stored it. It is meant for [ingest.WithSink], which checks the event
// and gives it its id. After an error, such as the end of the context, the event may be stored all the same: [ingest.StoreError] has it
// with its ExternalID, and publishing that one again does not count it twice.
func (p *Publisher) Track(ctx context.Context, event models.EventCreate) error {
	if event.ExternalID == nil || *event.ExternalID == "" {
		return errors.New("nats: the event has no ExternalID: use the publisher by ingest.WithSink")
	}
	data, err := json.Marshal(event)
	if err != nil {
		return errors.New("nats: the event cannot be written as JSON")
	}
	if _, err := p.js.PublishMsg(ctx, &nats.Msg{Subject: p.subject, Data: data}, jetstream.WithMsgID(*event.ExternalID)); err != nil {
		return fmt.Errorf("nats: publishing the event: %w", err)
	}
	return nil
}

// Option is a setting of [Consume].
type Option func(*bridge)

// OnError sets a function that gets what is wrong with single messages, such as one that holds no event; the message is
// terminated then, since no repetition would mend it.
func OnError(f func(error)) Option {
	return func(b *bridge) {
		if f != nil {
			b.report = f
		}
	}
}

// WithFetch sets how many messages are asked for at a time: 1000 by default.
func WithFetch(messages int) Option {
	return func(b *bridge) {
		if messages > 0 {
			b.fetch = messages
		}
	}
}

type bridge struct {
	consumer jetstream.Consumer
	ing      *ingest.Ingester
	fetch    int
	report   func(error)

	mu      sync.Mutex
	pending map[jetstream.Msg]struct{}
}

const (
	fetchWait = time.Second
	fullDelay = 5 * time.Second
)

// Consume brings the events of a stream to Polar through the ingester until the context ends, and returns its error. A message is
// acknowledged when Polar has its event, terminated when Polar has refused it for good (ingest.OnRejected gets it), and
// redelivered otherwise: at once when the ingester is closed, and after the consumer's AckWait when the process ends. While a message waits, the
// server is told so, so Polar may be unreachable for longer than AckWait.
//
// The consumer has to acknowledge explicitly, and should have no MaxDeliver. Several processes may consume at the same time. Close
// the ingester after Consume has returned, so that what it still sends is acknowledged.
func Consume(ctx context.Context, consumer jetstream.Consumer, ing *ingest.Ingester, opts ...Option) error {
	if consumer == nil || ing == nil {
		return errors.New("nats: Consume needs a consumer and an ingester")
	}
	b := &bridge{consumer: consumer, ing: ing, fetch: 1000, report: func(error) {}, pending: map[jetstream.Msg]struct{}{}}
	for _, opt := range opts {
		if opt != nil {
			opt(b)
		}
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("nats: reading the consumer: %w", err)
	}
	if info.Config.AckPolicy != jetstream.AckExplicitPolicy {
		return errors.New("nats: the consumer has to have the policy AckExplicit: otherwise events are lost that Polar has not taken")
	}
	wait := info.Config.AckWait
	if wait <= 0 {
		wait = 30 * time.Second
	}
	ctx, stop := context.WithCancel(ctx)
	var alive sync.WaitGroup
	alive.Go(func() { b.keepAlive(ctx, wait/3) })
	defer alive.Wait()
	defer stop()
	for ctx.Err() == nil {
		messages, err := consumer.Fetch(b.fetch, jetstream.FetchMaxWait(fetchWait))
		if err == nil {
			err = b.takeAll(ctx, messages)
			if errors.Is(err, ingest.ErrClosed) {
				return err
			}
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, nats.ErrTimeout) {
			b.report(fmt.Errorf("nats: fetching messages: %w", err))
			pause(ctx, fetchWait) // the connection restores itself
		}
	}
	return ended.Why(ctx)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// keepAlive tells the server about the messages that still wait for Polar.
func (b *bridge) keepAlive(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		b.mu.Lock()
		for m := range b.pending {
			_ = m.InProgress() // a message that is delivered again does no harm
		}
		b.mu.Unlock()
	}
}

// takeAll hands messages to the ingester. Those that have come and wait for room in its queue are kept alive, too.
func (b *bridge) takeAll(ctx context.Context, messages jetstream.MessageBatch) error {
	come := make(chan jetstream.Msg, b.fetch)
	go func() {
		defer close(come)
		for m := range messages.Messages() {
			b.mu.Lock()
			b.pending[m] = struct{}{}
			b.mu.Unlock()
			come <- m
		}
	}()
	for m := range come {
		if err := b.take(ctx, m); err != nil {
			for m := range come {
				b.end(m, m.Nak())
			}
			return err
		}
	}
	return messages.Error()
}

// take hands one message to the ingester.
func (b *bridge) take(ctx context.Context, m jetstream.Msg) error {
	var event models.EventCreate
	err := json.Unmarshal(m.Data(), &event)
	if err == nil && (event.ExternalID == nil || *event.ExternalID == "") {
		err = errors.New("it has no external_id")
	}
	if err != nil {
		b.end(m, m.TermWithReason("holds no event"))
		b.report(errors.New("nats: a message holds no event with an external_id, and was terminated"))
		return nil
	}
	done := func(err error) {
		_, rejected := errors.AsType[*ingest.RejectedError](err)
		switch {
		case err == nil:
			b.end(m, m.Ack())
		case rejected:
			b.end(m, m.TermWithReason("Polar refused the event"))
		default:
			b.end(m, m.Nak())
		}
	}
	err = b.ing.TrackFunc(ctx, event, done)
	if errors.Is(err, ingest.ErrInvalid) && event.Timestamp != nil {
		// Where it happened the clock may be far ahead, for which no event is given up: it gets the time of this machine.
		event.Timestamp = nil
		err = b.ing.TrackFunc(ctx, event, done)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ingest.ErrInvalid):
		b.end(m, m.TermWithReason("the event is invalid"))
		b.report(err)
		return nil
	case errors.Is(err, ingest.ErrClosed):
		b.end(m, m.Nak())
		return err
	}
	b.end(m, m.NakWithDelay(fullDelay))
	if ctx.Err() == nil {
		b.report(err)
	}
	return nil
}

// end forgets a message that has got its answer. An answer that does not arrive leads to another delivery.
func (b *bridge) end(m jetstream.Msg, err error) {
	b.mu.Lock()
	delete(b.pending, m)
	b.mu.Unlock()
	if err != nil {
		b.report(fmt.Errorf("nats: answering a message: %w", err))
	}
}
