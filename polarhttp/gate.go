package polarhttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

const (
	defaultCacheTime = time.Minute
	defaultRecheck   = 10 * time.Second
	defaultCacheSize = 10_000
	defaultStaleTime = 24 * time.Hour
	defaultTimeout   = 5 * time.Second
)

// UnknownPolicy says what a [Gate] does with a request while Polar does not tell what its customer has.
type UnknownPolicy int

// Policies.
const (
	// LastKnown lets those through who had what is required when Polar last told, at most [WithStaleTime] ago. All others
	// are answered that it cannot be known now. This is the default.
	LastKnown UnknownPolicy = iota
	// Open lets everybody through who is signed in.
	Open
	// Closed lets nobody through, and answers that it cannot be known now.
	Closed
)

type gateConfig struct {
	config
	cacheTime, recheck, staleTime, timeout time.Duration
	cacheSize                              int
	policy                                 UnknownPolicy
	signIn, denied, unavailable            http.Handler
	now                                    func() time.Time
}

// WithCacheTime sets for how long a state is good: one minute by default. A change is seen after this time at the latest, and at
// once through [Gate.CustomerStateChanged].
func WithCacheTime(d time.Duration) GateOption {
	return positive("cache time", d, func(c *gateConfig) { c.cacheTime = d })
}

// WithRecheckTime sets how old a state may be that turns a customer away: 10 seconds by default, or the cache time when that
// is shorter. An older one is asked for again before, so that somebody who has just paid gets in. Customers who
// try in vain again and again cost a call each time; with [Gate.CustomerStateChanged] in place it can be longer.
func WithRecheckTime(d time.Duration) GateOption {
	return positive("recheck time", d, func(c *gateConfig) { c.recheck = d })
}

// WithStaleTime sets how old a state may be for [LastKnown]: 24 hours by default.
func WithStaleTime(d time.Duration) GateOption {
	return positive("stale time", d, func(c *gateConfig) { c.staleTime = d })
}

// WithTimeout sets how long requests wait for Polar, repetitions included: 5 seconds by default. It is not the context of a
// request that ends a call, as others may wait for the same.
func WithTimeout(d time.Duration) GateOption {
	return positive("timeout", d, func(c *gateConfig) { c.timeout = d })
}

func positive(what string, d time.Duration, set func(*gateConfig)) GateOption {
	return gateOption(func(c *gateConfig) error {
		if d <= 0 {
			return fmt.Errorf("the %s is %v: it has to be positive", what, d)
		}
		set(c)
		return nil
	})
}

// WithCacheSize sets how many customers are remembered: 10,000 by default. Beyond that, those are forgotten whose last
// request is longest ago. A state takes a few kilobytes.
func WithCacheSize(customers int) GateOption {
	return gateOption(func(c *gateConfig) error {
		if customers < 1 {
			return fmt.Errorf("a cache of %d customers: it has to hold at least 1", customers)
		}
		c.cacheSize = customers
		return nil
	})
}

// WhenUnknown sets what to do while Polar does not tell: [LastKnown], [Open] or [Closed].
func WhenUnknown(policy UnknownPolicy) GateOption {
	return gateOption(func(c *gateConfig) error {
		if policy < LastKnown || policy > Closed {
			return errors.New("the policy of WhenUnknown must be LastKnown, Open or Closed")
		}
		c.policy = policy
		return nil
	})
}

// WithDenied sets what answers customers who certainly do not have what is required: usually the page with the plans. The
// default is 402 with a line of text. [StateFrom] returns what they have.
func WithDenied(handler http.Handler) GateOption {
	return gateOption(func(c *gateConfig) error {
		if handler == nil {
			return errors.New("the handler of WithDenied is nil")
		}
		c.denied = handler
		return nil
	})
}

// WithUnavailable sets what answers when it cannot be known whether a customer has what is required. The default is 503 with
// a line of text. The header Retry-After is set already.
func WithUnavailable(handler http.Handler) GateOption {
	return gateOption(func(c *gateConfig) error {
		if handler == nil {
			return errors.New("the handler of WithUnavailable is nil")
		}
		c.unavailable = handler
		return nil
	})
}

// WithClock sets the clock of the gate instead of [time.Now], for tests: with an embedded server of package polartest, its
// method Now.
func WithClock(now func() time.Time) GateOption {
	return gateOption(func(c *gateConfig) error {
		if now == nil {
			return errors.New("the clock is nil")
		}
		c.now = now
		return nil
	})
}

// Gate lets requests through whose customer has a benefit, a product, or something left on a meter. It is made by [NewGate]
// and safe for concurrent use; use one for the whole program.
//
//	gate, err := polarhttp.NewGate(client, currentCustomer)
//	...
//	mux.Handle("/reports", gate.Require(polarhttp.Benefit(reportsID))(reports))
//	webhooks.On(router, gate.CustomerStateChanged)
//
// # What is kept
//
// The gate asks Polar for the state of a customer when it is needed, and keeps it in memory for a short time, see
// [WithCacheTime]. However many requests of a customer come at the same time, there is one call. A customer whom Polar does
// not know has nothing, which is an answer like any other. [Gate.CustomerStateChanged] brings changes at once.
//
// # When Polar does not answer
//
// Everything but a state, or a 404 about the customer, is no answer: no connection, a server error, the rate limit, a token
// that was revoked, an API version that is gone. What happens then is set by [WhenUnknown]. Nobody is ever told to lack
// something because Polar did not answer: that is 503 and not 402, also when the last that was known is that the customer had
// nothing, since they may have bought it meanwhile. After a failure the next call for that customer waits, one second at
// first and half a minute in the end, and as long as the rate limiter says for everybody. Requests that are let through
// anyway do not wait for these calls.
type Gate struct {
	gateConfig
	client   *polar.Client
	customer CustomerFunc
	cache    cache
}

// NewGate returns a gate that asks the client. It starts no goroutine that outlives a call, and needs no closing.
//
// Scope: customers:read or customers:write.
func NewGate(client *polar.Client, customer CustomerFunc, opts ...GateOption) (*Gate, error) {
	if err := checkClient(client); err != nil {
		return nil, err
	}
	if customer == nil {
		return nil, errNoCustomerFunc
	}
	g := &Gate{client: client, customer: customer, gateConfig: gateConfig{
		cacheTime: defaultCacheTime, recheck: defaultRecheck, staleTime: defaultStaleTime, timeout: defaultTimeout,
		cacheSize: defaultCacheSize, now: time.Now,
		signIn:      line(http.StatusForbidden, "sign in first"),
		denied:      line(http.StatusPaymentRequired, "this is not part of your plan"),
		unavailable: line(http.StatusServiceUnavailable, "your plan cannot be checked at the moment; try again soon"),
	}}
	for _, opt := range opts {
		if opt == nil {
			return nil, errNilOption
		}
		if err := opt.applyToGate(&g.gateConfig); err != nil {
			return nil, fault(err)
		}
	}
	g.cache.init(g.cacheSize)
	return g, nil
}

func line(status int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, status) })
}

type stateKey struct{}

// StateFrom returns the state of the customer whom a [Gate] has let through or turned away, in the handlers behind it. It is
// nil when there is none: Polar does not know the customer, or does not answer while the gate is [Open]. It is shared and
// must not be changed.
func StateFrom(ctx context.Context) *models.CustomerState {
	s, _ := ctx.Value(stateKey{}).(*models.CustomerState)
	return s
}

// Require returns middleware that lets the requests through whose customer has what is needed. The others are answered by
// the handlers of [WithSignIn], [WithDenied] and [WithUnavailable]; an error of the [CustomerFunc] that is no [*Refusal], or of
// the requirement, is logged and answered with 500.
func (g *Gate) Require(need Requirement) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			state, instead := g.decide(w, r, need)
			h := next
			if instead != nil {
				w.Header().Set("Cache-Control", "no-store")
				h = instead
			}
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), stateKey{}, state)))
		})
	}
}

// decide returns the state of the customer, as far as it is known, and who answers a request that is not let through.
func (g *Gate) decide(w http.ResponseWriter, r *http.Request, need Requirement) (state *models.CustomerState, instead http.Handler) {
	who, err := g.customer(r)
	if err == nil && who == (Customer{}) {
		return nil, g.signIn
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return nil, line(StatusCode(err), refusal.Message)
	}
	if err == nil {
		err = who.check()
	}
	if err == nil {
		err = need.Err()
	}
	if err != nil {
		g.log().LogAttrs(r.Context(), slog.LevelError, "polarhttp: gate", slog.Any("error", err))
		return nil, line(http.StatusInternalServerError, "something is wrong with this page; its operator has the details")
	}
	k, wait, err := g.lookup(r.Context(), who, need)
	switch met := k.meets(need); {
	case err == nil && met, err != nil && g.letsThrough(k, met):
		return k.state, nil
	case err == nil:
		return k.state, g.denied
	}
	w.Header().Set("Retry-After", seconds(max(wait, time.Second)))
	return k.state, g.unavailable
}

// letsThrough tells whether a request passes whose customer's state is not known.
func (g *Gate) letsThrough(k known, met bool) bool {
	return g.policy == Open || g.policy == LastKnown && met && k.within(g.staleTime, g.now())
}

// State returns what a customer has, from the gate's memory or from Polar, for pages that show it. It must not be changed.
// While Polar does not answer, and the policy is [LastKnown], it is the last known one. The error for a customer whom Polar
// does not know matches [ErrUnknownCustomer]; any other error means that it cannot be known now.
func (g *Gate) State(ctx context.Context, customer Customer) (*models.CustomerState, error) {
	if err := customer.check(); err != nil {
		return nil, err
	}
	k, _, err := g.lookup(ctx, customer, anything)
	if err != nil && !(g.policy == LastKnown && k.state != nil && k.within(g.staleTime, g.now())) {
		return nil, err
	}
	if k.state == nil {
		return nil, ErrUnknownCustomer
	}
	return k.state, nil
}

// anything is met by every customer whom Polar knows.
var anything = Satisfies(func(*models.CustomerState) bool { return true })

// CustomerStateChanged takes the state of a customer over from a webhook, if the gate knows an older one. Give it to the
// router that receives Polar's events:
//
//	webhooks.On(router, gate.CustomerStateChanged)
//
// Events can arrive late and in any order. The time at which an event was made tells whether it is newer than another; next
// to a state that was asked for at about the same time, which only the clocks of two machines could tell, the next request
// asks Polar again. Customers who have sent no request lately are not remembered for it.
//
// Polar delivers an event to one process. Others, behind the same address, learn of the change when the cache time is over.
func (g *Gate) CustomerStateChanged(_ context.Context, e *webhooks.CustomerStateChanged) error {
	if e == nil {
		return errors.New("polarhttp: the event is nil")
	}
	state := e.Data
	k := known{exists: true, event: true, state: &state, asOf: e.Timestamp, made: e.Timestamp, learned: g.now()}
	if k.asOf.IsZero() || k.asOf.After(k.learned) {
		k.asOf = k.learned
	}
	if e.Data.DeletedAt != nil {
		k.state = nil
	}
	keys := []Customer{{ID: e.Data.ID}}
	if e.Data.ExternalID != nil {
		keys = append(keys, Customer{ExternalID: *e.Data.ExternalID})
	}
	g.cache.learn(k, keys)
	return nil
}
