package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

// newRouter returns what the shop does about events. Here it only says so.
func newRouter(secret string, w io.Writer) (*webhooks.Router, error) {
	verifier, err := webhooks.NewVerifier(secret)
	if err != nil {
		return nil, err
	}
	r := webhooks.NewRouter(verifier, webhooks.WithFailureHandler(func(ctx context.Context, f webhooks.Failure) {
		slog.ErrorContext(ctx, "webhook", "error", f.Err, "status", f.Status, "id", f.ID)
	}))
	r.Use(printEach(w))

	// Deliver when the money is there. An order that was only created may never
	// be paid.
	webhooks.On(r, func(ctx context.Context, e *webhooks.OrderPaid) error {
		o := e.Data
		return say(ctx, "deliver order %s to %s, who paid %s", o.ID, o.Customer.Email, models.FormatAmount(o.TotalAmount, o.Currency))
	})
	webhooks.On(r, func(ctx context.Context, e *webhooks.OrderRefunded) error {
		return say(ctx, "%s of order %s went back", models.FormatAmount(e.Data.RefundedAmount, e.Data.Currency), e.Data.ID)
	})

	// Access ends with revoked, not with canceled.
	webhooks.On(r, func(ctx context.Context, e *webhooks.SubscriptionCanceled) error {
		return say(ctx, "%s ends on %s; ask why", e.Data.ID, e.Data.CurrentPeriodEnd.Format("2 January 2006"))
	})
	webhooks.On(r, func(ctx context.Context, e *webhooks.SubscriptionRevoked) error {
		return say(ctx, "%s is over: close the account of %s", e.Data.ID, e.Data.Customer.Email)
	})
	webhooks.On(r, func(ctx context.Context, e *webhooks.SubscriptionMigrated) error {
		return say(ctx, "%s was %s at %s before", e.Data.ID, e.ProviderSubscriptionID, e.Provider)
	})

	// The state of a customer is all that a program needs to decide on access.
	webhooks.On(r, func(ctx context.Context, e *webhooks.CustomerStateChanged) error {
		return say(ctx, "%s: subscriptions %d, benefits %d", e.Data.Email, len(e.Data.ActiveSubscriptions), len(e.Data.GrantedBenefits))
	})

	// A benefit that the shop delivers itself. Four events say something about
	// its grants, in whatever order; these functions are called when it matters.
	benefits := webhooks.NewEntitlements()
	benefits.Description("Access to the wiki", webhooks.Entitlement{
		Grant: func(ctx context.Context, g *models.BenefitGrant) error {
			return say(ctx, "open the wiki for %s", g.Customer.Email)
		},
		Revoke: func(ctx context.Context, g *models.BenefitGrant) error {
			return say(ctx, "close the wiki for %s", g.Customer.Email)
		},
	})
	benefits.Register(r)

	// All others. Without this they would be acknowledged, too, but not printed.
	r.Default(func(context.Context, webhooks.Event) error { return nil })
	return r, r.Err()
}

type notesKey struct{}

// say notes what a handler does.
func say(ctx context.Context, format string, args ...any) error {
	if notes, ok := ctx.Value(notesKey{}).(*[]string); ok {
		*notes = append(*notes, fmt.Sprintf(format, args...))
	}
	return nil
}

// printEach prints a line about each event: its type, and what its handlers
// have noted.
func printEach(w io.Writer) func(webhooks.Handler) webhooks.Handler {
	var mu sync.Mutex
	return func(next webhooks.Handler) webhooks.Handler {
		return func(ctx context.Context, e webhooks.Event) error {
			var notes []string
			if err := next(context.WithValue(ctx, notesKey{}, &notes), e); err != nil {
				return err
			}
			if notes == nil {
				notes = []string{"nothing to do"}
			}
			mu.Lock()
			defer mu.Unlock()
			_, err := fmt.Fprintf(w, "%-25s %s\n", e.Type(), strings.Join(notes, "; "))
			return err
		}
	}
}
