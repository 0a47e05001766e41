package polar

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// RateLimiter decides when an attempt of a call may be sent. Wait returns when it may, or an error, which ends the call. The
// context is the call's own and carries its [Operation]. Limiters of golang.org/x/time/rate fit.
type RateLimiter interface {
	Wait(ctx context.Context) error
}

// NewRateLimiter returns a limiter with the limits that Polar gives an organization: 500 requests a minute in production, 100
// in the sandbox, and 60 until Polar knows the token, which it forgets after five minutes without a request. Share one
// limiter among the clients with the same token; it does not know about other processes.
//
// The limits hold for every minute, not on the average: a fifth of a minute's requests may go at once, the others follow
// evenly. A wait that the deadline of the context would cut short is refused at once.
func NewRateLimiter(e Environment) RateLimiter {
	full := 500
	if e == Sandbox {
		full = 100
	}
	return &limiter{full: perMinute(full, full/5), cold: perMinute(60, 50)}
}

// perMinute allows n requests in any minute, burst of them at once.
func perMinute(n, burst int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(n-burst)/60, burst)
}

// tokenMemory is how long Polar remembers a token that it has seen.
const tokenMemory = 300 * time.Second

type limiter struct {
	full, cold *rate.Limiter

	mu    sync.Mutex
	seen  time.Time     // when Polar last accepted the token; zero before that
	known chan struct{} // closed when Polar accepts the token; nil when nobody waits for that
}

func (l *limiter) Wait(ctx context.Context) error {
	if known := l.unknown(); known != nil {
		if err := reserve(ctx, l.cold, known); err != nil {
			return err
		}
	}
	return reserve(ctx, l.full, nil)
}

// unknown returns a channel that is closed when Polar has accepted the token, or nil when it has lately.
func (l *limiter) unknown() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.seen.IsZero() && time.Since(l.seen) < tokenMemory {
		return nil
	}
	if l.known == nil {
		l.known = make(chan struct{})
	}
	return l.known
}

// answered takes note of an answer to a request that carried the token.
func (l *limiter) answered(status int) {
	if status == http.StatusUnauthorized || status == http.StatusTooManyRequests || status >= 500 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = time.Now()
	if l.known != nil {
		close(l.known)
		l.known = nil
	}
}

// reserve waits until lim allows one more request, or until enough is closed.
func reserve(ctx context.Context, lim *rate.Limiter, enough <-chan struct{}) error {
	r := lim.Reserve()
	wait := r.Delay()
	if wait <= 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && enough == nil && time.Until(deadline) < wait {
		r.Cancel()
		return fmt.Errorf("the rate limiter asks to wait %v, longer than the context allows: %w", wait.Round(time.Millisecond), context.DeadlineExceeded)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-enough:
		r.Cancel()
		return nil
	case <-ctx.Done():
		r.Cancel()
		return ctx.Err()
	}
}
