package polar

import (
	"context"
	"errors"
	"time"

	"github.com/polar-go/polar/internal/ended"
)

const (
	pollFirst    = 500 * time.Millisecond // pause after the first answer; each one is half as long again
	pollLongest  = 10 * time.Second
	documentWait = 5 * time.Minute // for a document, when the context has no deadline
)

// poll asks until the answer is the one waited for, with pauses that grow. The rate limiter is given the time that it
// asks for; any other error ends the waiting, and so does ctx.
func poll[T any](ctx context.Context, op, what string, ask func() (v *T, done bool, err error)) (*T, error) {
	for pause := pollFirst; ; pause = min(pause+pause/2, pollLongest) {
		v, done, err := ask()
		if done && err == nil {
			return v, nil
		}
		wait := pause
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || !errors.Is(e, ErrRateLimited) {
				return nil, err
			}
			wait = max(wait, e.RetryAfter)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			err := ended.Why(ctx)
			return nil, &callError{call: op, text: what + " in time: " + oneLine(err.Error(), maxErrorText), err: err}
		}
	}
}

// boundedBy sets a time limit if ctx has none.
func boundedBy(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}
