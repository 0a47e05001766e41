package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

// newRouter says what the shop does about Polar's events.
func (s *shop) newRouter(secret string, now func() time.Time) (*webhooks.Router, error) {
	verifier, err := webhooks.NewVerifier(secret, webhooks.WithClock(now))
	if err != nil {
		return nil, err
	}
	r := webhooks.NewRouter(verifier, webhooks.WithFailureHandler(func(ctx context.Context, f webhooks.Failure) {
		slog.ErrorContext(ctx, "webhook", "error", f.Err, "status", f.Status, "id", f.ID)
		if f.Event == nil { // not signed by Polar, or not an event
			s.received.refuse()
		}
	}))
	r.Use(s.received.record(r))

	// What a customer may use: this is all that it takes to give and take access. A
	// shop that delivers something for each payment does that on order.paid.
	webhooks.On(r, s.gate.CustomerStateChanged)

	// The price list.
	webhooks.On(r, func(ctx context.Context, _ *webhooks.ProductCreated) error { return s.readOffers(ctx) })
	webhooks.On(r, func(ctx context.Context, _ *webhooks.ProductUpdated) error { return s.readOffers(ctx) })
	webhooks.On(r, func(ctx context.Context, _ *webhooks.BenefitUpdated) error { return s.readOffers(ctx) })

	// All others are acknowledged; this makes them appear on the page.
	r.Default(func(context.Context, webhooks.Event) error { return nil })
	return r, r.Err()
}

// What became of a delivery.
const (
	outcomeHandled = "handled"
	outcomeIgnored = "acknowledged"
	outcomeFailed  = "failed"
)

// receipt is a delivery as the page shows it: nothing about customers, no secrets.
type receipt struct {
	ID      string
	Type    models.WebhookEventType
	At      time.Time // when the event happened
	Outcome string
}

// webhookLog remembers the latest deliveries.
type webhookLog struct {
	mu      sync.Mutex
	list    []receipt // the latest first
	refused int
}

const webhookLogSize = 50

func (l *webhookLog) add(r receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.Insert(l.list, 0, r)
	l.list = l.list[:min(len(l.list), webhookLogSize)]
}

// refuse counts a request that was no delivery of Polar. Nothing of it is kept:
// anybody can send some.
func (l *webhookLog) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
}

func (l *webhookLog) latest() (list []receipt, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list), l.refused
}

// record is the router's middleware that writes the log.
func (l *webhookLog) record(r *webhooks.Router) func(webhooks.Handler) webhooks.Handler {
	return func(next webhooks.Handler) webhooks.Handler {
		return func(ctx context.Context, e webhooks.Event) error {
			err := next(ctx, e)
			entry := receipt{ID: e.Info().ID, Type: e.Type(), At: e.Info().Timestamp, Outcome: outcomeHandled}
			switch {
			case err != nil:
				entry.Outcome = outcomeFailed
			case !slices.Contains(r.Types(), e.Type()):
				entry.Outcome = outcomeIgnored
			}
			l.add(entry)
			return err
		}
	}
}
