package polar

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// send counts the requests that a limiter lets through within d.
func send(t *testing.T, l RateLimiter, d time.Duration, each func()) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for n := 0; ; n++ {
		if l.Wait(ctx) != nil {
			<-ctx.Done() // a wait beyond the deadline is refused ahead of it
			return n
		}
		each()
	}
}

func TestRateLimiterNeverExceedsPolarsLimits(t *testing.T) {
	t.Parallel()
	for env, limit := range map[Environment]int{Production: 500, Sandbox: 100} {
		synctest.Test(t, func(t *testing.T) {
			l := NewRateLimiter(env).(*limiter)
			accept := func() { l.answered(200) }
			first := send(t, l, time.Minute, accept)
			assert.LessOrEqual(t, first, limit, "%s, first minute", env)
			assert.GreaterOrEqual(t, first, limit*9/10, "%s, first minute", env)
			second := send(t, l, time.Minute, accept)
			assert.LessOrEqual(t, second, limit, "%s, next minute", env)
			assert.GreaterOrEqual(t, second, limit*7/10, "%s, next minute", env)
		})
	}
}

func TestRateLimiterUntilTheTokenIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewRateLimiter(Production).(*limiter)
		refuse := func() { l.answered(401); l.answered(429); l.answered(500) }
		n := send(t, l, time.Minute, refuse)
		assert.LessOrEqual(t, n, 60)
		assert.GreaterOrEqual(t, n, 50)
		n = send(t, l, time.Minute, refuse)
		assert.GreaterOrEqual(t, n, 5, "it does not stop for good")
		assert.LessOrEqual(t, n, 60)

		// those who wait go on as soon as one was accepted
		done := make(chan error, 3)
		begin := time.Now()
		for range 3 {
			go func() { done <- l.Wait(t.Context()) }()
		}
		synctest.Wait()
		l.answered(200)
		for range 3 {
			require.NoError(t, <-done)
		}
		assert.Zero(t, time.Since(begin))
		assert.Nil(t, l.unknown())
		time.Sleep(tokenMemory)
		assert.NotNil(t, l.unknown(), "Polar has forgotten the token")
	})
}

func TestRateLimiterAndContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewRateLimiter(Sandbox).(*limiter)
		l.answered(200)
		for range 20 {
			require.NoError(t, l.Wait(t.Context()))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		begin := time.Now()
		err := l.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "the rate limiter asks to wait 750ms, longer than the context allows")
		assert.Zero(t, time.Since(begin), "refused at once")

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		require.ErrorIs(t, l.Wait(ctx), context.Canceled)

		begin = time.Now()
		require.NoError(t, l.Wait(t.Context()), "those who gave up do not count")
		assert.Equal(t, 749*time.Millisecond, time.Since(begin).Round(time.Millisecond), "a millisecond has passed")
	})
}

func TestClientWaitsForTheLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := 401
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})
		l := NewRateLimiter(Production).(*limiter)
		client, err := New(Token(testToken), WithHTTPClient(&http.Client{Transport: transport}), WithRateLimiter(l))
		require.NoError(t, err)
		things := &thingService{client.core}
		_, err = things.Get(t.Context(), "1")
		require.ErrorIs(t, err, ErrUnauthorized)
		assert.NotNil(t, l.unknown())
		status = 200
		_, err = things.Validate(t.Context(), thingCreate{})
		require.NoError(t, err)
		assert.NotNil(t, l.unknown(), "a public call shows no token")
		_, err = things.Get(t.Context(), "1")
		require.NoError(t, err)
		assert.Nil(t, l.unknown())

		// waiting for the limiter is not part of an attempt's time
		slow, err := client.With(WithRateLimiter(rate.NewLimiter(rate.Every(time.Minute), 1)), WithAttemptTimeout(time.Second))
		require.NoError(t, err)
		things = &thingService{slow.core}
		begin := time.Now()
		for range 3 {
			_, err = things.Create(t.Context(), thingCreate{})
			require.NoError(t, err)
		}
		assert.Equal(t, 2*time.Minute, time.Since(begin))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var info ResponseInfo
		_, err = things.Create(ctx, thingCreate{}, CallResponse(&info))
		require.ErrorContains(t, err, "polar: things:create: rate: ")
		assert.NotErrorIs(t, err, ErrOutcomeUnknown)
		assert.Equal(t, 1, info.Attempts, "a refusal of the limiter is final")
		portal, err := slow.Portal(Token("polar_cst_x"))
		require.NoError(t, err)
		assert.Nil(t, portal.core.limiter)
	})
}
