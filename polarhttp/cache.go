package polarhttp

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/internal/ended"
	"github.com/polar-go/polar/models"
)

const (
	clockSkew    = 10 * time.Second // how far Polar's clock and our own may be apart
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second
	longestPause = time.Minute // that the rate limiter is granted
)

// known is what Polar said about a customer.
type known struct {
	exists  bool                  // something is known
	state   *models.CustomerState // nil: Polar does not know the customer
	asOf    time.Time             // when this was so: the beginning of a call, or the time of an event
	learned time.Time             // when it got here: the end of a call, or the arrival of an event
	event   bool                  // from a webhook
	made    time.Time             // when Polar made the event, by its own clock; zero for an event without a time
	doubt   bool                  // there is something else that may be newer
}

// within tells whether the state is not older than d. One from the future is from before a change of the clock.
func (k known) within(d time.Duration, now time.Time) bool {
	age := now.Sub(k.asOf)
	return k.exists && age >= 0 && age < d
}

// meets tells whether the customer had what is needed.
func (k known) meets(need Requirement) bool { return k.state != nil && need.met(k.state) }

// newer returns the newer one of what was known and what was learned now.
//
// Two events are compared by their times, which are of one clock. Calls of a customer do not overlap, so a later call
// has the newer state; and a call that began after an event had arrived saw what the event tells. What is left is an event and a call
// whose order only their times tell, which are of two clocks. When these are close, the winner is in doubt and the next request
// asks again.
func newer(old, learned known) known {
	if !old.exists {
		return learned
	}
	if old.event == learned.event {
		if old.event && !learned.made.IsZero() && learned.made.Before(old.made) {
			return old
		}
		learned.doubt = learned.event && old.doubt
		return learned
	}
	if old.event && !learned.asOf.Before(old.learned) {
		return learned
	}
	ahead := learned.asOf.Sub(old.asOf)
	winner := learned
	if ahead < 0 {
		winner = old
	}
	winner.doubt = old.doubt || ahead.Abs() < clockSkew
	return winner
}

// cache keeps what is known of the customers who sent the last requests.
type cache struct {
	mu      sync.Mutex
	size    int
	entries map[Customer]*list.Element // of *entry
	recent  *list.List                 // the last request first
	paused  time.Time                  // no call before this: the rate limiter said so,
	pause   error                      // in this error
}

type entry struct {
	customer Customer
	known    known
	flight   *flight // the call under way
	failures int     // since Polar last answered
	err      error   // the last of them
	retry    time.Time
}

// flight is a call that requests wait for.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

func (c *cache) init(size int) {
	c.size, c.entries, c.recent = size, make(map[Customer]*list.Element), list.New()
}

// entry returns the entry of a customer as the one used last, and makes it when there is none. The lock is held.
func (c *cache) entry(who Customer) *entry {
	if at, ok := c.entries[who]; ok {
		c.recent.MoveToFront(at)
		return at.Value.(*entry)
	}
	e := &entry{customer: who}
	c.entries[who] = c.recent.PushFront(e)
	for at := c.recent.Back(); at != nil && len(c.entries) > c.size; {
		before := at.Prev()
		// an entry with a call is needed by those who wait for it; there are not more of them than requests
		if old := at.Value.(*entry); old.flight == nil && old != e {
			c.recent.Remove(at)
			delete(c.entries, old.customer)
		}
		at = before
	}
	return e
}

// learn adds what an event says to what is known of those who are remembered.
func (c *cache) learn(k known, keys []Customer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, who := range keys {
		if at, ok := c.entries[who]; ok {
			e := at.Value.(*entry)
			e.known = newer(e.known, k)
		}
	}
}

// lookup returns what is known of a customer, and asks Polar when that is too old for what is needed. With an error, it
// is what was known before, and wait says when it makes sense to ask again.
func (g *Gate) lookup(ctx context.Context, who Customer, need Requirement) (k known, wait time.Duration, err error) {
	who.MemberID, who.ExternalMemberID = "", ""
	c := &g.cache
	for {
		c.mu.Lock()
		k = c.entry(who).known
		c.mu.Unlock()

		now := g.now()       // after that, or what was learned just now would be of the future
		met := k.meets(need) // without the lock: it may be a function of the program
		if g.decides(k, met, need, now) {
			return k, 0, nil
		}

		c.mu.Lock()
		e := c.entry(who)
		if e.known != k { // somebody else has just learned more
			c.mu.Unlock()
			continue
		}
		f := e.flight
		if f == nil {
			if wait, err = e.blocked(c, now); err != nil {
				c.mu.Unlock()
				return k, wait, err
			}
			f = &flight{done: make(chan struct{})}
			e.flight = f
			go g.ask(context.WithoutCancel(ctx), e, f)
		}
		failing, err := e.failures > 0, e.err
		c.mu.Unlock()
		if failing && g.letsThrough(k, met) {
			return k, firstBackoff, err // an outage of Polar slows nobody down who gets in all the same
		}
		return g.wait(ctx, e, f, k, need)
	}
}

// decides tells whether what is known of a customer is new enough to let them through, or to turn them away.
func (g *Gate) decides(k known, met bool, need Requirement, now time.Time) bool {
	limit := need.limit(g.cacheTime)
	if !met {
		limit = min(limit, g.recheck)
	}
	return !k.doubt && k.within(limit, now)
}

// wait waits for a call. What was known before it is k.
func (g *Gate) wait(ctx context.Context, e *entry, f *flight, k known, need Requirement) (known, time.Duration, error) {
	select {
	case <-f.done:
	case <-ctx.Done():
		return k, firstBackoff, fmt.Errorf("polarhttp: the request ended before Polar answered: %w", ended.Why(ctx))
	}
	c, now := &g.cache, g.now()
	c.mu.Lock()
	k = e.known
	wait, _ := e.blocked(c, now)
	c.mu.Unlock()
	if f.err == nil || g.decides(k, k.meets(need), need, now) { // an event may have come instead
		return k, 0, nil
	}
	return k, wait, f.err
}

// blocked returns why Polar is not to be asked now, and for how long. The lock is held.
func (e *entry) blocked(c *cache, now time.Time) (time.Duration, error) {
	wait := max(e.retry.Sub(now), c.paused.Sub(now))
	switch {
	case now.Before(e.retry):
		return wait, e.err
	case now.Before(c.paused):
		return wait, c.pause
	}
	return 0, nil
}

// ask asks Polar for the state of a customer, and tells all who wait. Its context does not end with that of the request
// which happened to be the first.
func (g *Gate) ask(ctx context.Context, e *entry, f *flight) {
	defer close(f.done) // in the end, so that whoever was answered finds in the log why
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	k := known{exists: true, asOf: g.now()}
	err := errors.New("polarhttp: the client ended the goroutine of a call")
	defer func() {
		if p := recover(); p != nil { // nobody else would catch what a middleware of the client does here
			err = fmt.Errorf("polarhttp: the client panicked: %v", p)
		}
		k.learned = g.now()
		if failures := g.cache.land(e, f, k, err); failures > 0 {
			level := slog.LevelDebug
			if failures == 1 {
				level = slog.LevelWarn
			}
			g.log().LogAttrs(ctx, level, "polarhttp: the state of a customer is unknown", slog.Any("error", err))
		}
	}()
	k.state, err = g.state(ctx, e.customer)
}

// land ends a call with what it brought, and returns how many have failed in a row.
func (c *cache) land(e *entry, f *flight, k known, err error) (failures int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.flight = nil
	if err == nil {
		e.known, e.failures, e.err, e.retry = newer(e.known, k), 0, nil, time.Time{}
		return 0
	}
	pause := min(firstBackoff<<min(e.failures, 10), lastBackoff)
	e.failures++
	f.err, e.err, e.retry = err, err, k.learned.Add(pause)
	if refused, ok := errors.AsType[*polar.Error](err); ok && errors.Is(refused, polar.ErrRateLimited) {
		// it counts for the token, not for the customer
		if until := k.learned.Add(min(max(pause, refused.RetryAfter), longestPause)); until.After(c.paused) {
			c.paused, c.pause = until, err
		}
	}
	return e.failures
}

// state asks Polar. A nil state without an error is that Polar does not know the customer.
func (g *Gate) state(ctx context.Context, who Customer) (s *models.CustomerState, err error) {
	if who.ID != "" {
		s, err = g.client.Customers.State(ctx, who.ID)
	} else {
		s, err = g.client.Customers.StateByExternalID(ctx, who.ExternalID)
	}
	switch {
	case errors.Is(err, polar.ErrNotFound), err == nil && s.DeletedAt != nil:
		return nil, nil
	case err != nil:
		return nil, err
	case s.ID == "":
		return nil, errors.New("polarhttp: the answer is not the state of a customer")
	}
	return s, nil
}
