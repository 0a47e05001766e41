package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/webhooks"
)

func TestDemo(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, config{Size: 3, Workers: 1, Work: time.Millisecond, Events: 20}))
	assert.Contains(t, out.String(), "20 events acknowledged")
	assert.Contains(t, out.String(), "Stopped with 20 events handled and 0 left.")
}

func TestBadSecret(t *testing.T) {
	assert.ErrorIs(t, run(t.Context(), new(strings.Builder), config{Secret: "whsec_"}), webhooks.ErrSecret)
}

func event(i int) webhooks.Event {
	return &webhooks.OrderPaid{Delivery: webhooks.Delivery{ID: fmt.Sprint(i)}}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		q := newQueue(2, 1, nil, func(_ context.Context, e webhooks.Event) error {
			time.Sleep(time.Second)
			got = append(got, e.Info().ID)
			return nil
		})
		require.NoError(t, q.push(t.Context(), event(1)))
		synctest.Wait() // the worker has it
		require.NoError(t, q.push(t.Context(), event(2)))
		require.NoError(t, q.push(t.Context(), event(3)))
		start := time.Now()
		require.ErrorIs(t, q.push(t.Context(), event(4)), errFull)
		assert.Zero(t, time.Since(start))

		left, err := q.drain(t.Context())
		require.NoError(t, err)
		assert.Zero(t, left)
		assert.Equal(t, []string{"1", "2", "3"}, got)
		assert.ErrorIs(t, q.push(t.Context(), event(5)), errClosed)
		left, err = q.drain(t.Context())
		require.NoError(t, err)
		assert.Zero(t, left)
	})
}

func TestQueueTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := map[string]int{}
		q := newQueue(10, 1, []time.Duration{time.Second, time.Minute}, func(_ context.Context, e webhooks.Event) error {
			id := e.Info().ID
			attempts[id]++
			switch {
			case id == "1" && attempts[id] < 3, id == "2":
				return errors.New("down")
			case id == "3":
				return webhooks.Permanent(errors.New("never"))
			}
			return nil
		})
		start := time.Now()
		for i := 1; i <= 4; i++ {
			require.NoError(t, q.push(t.Context(), event(i)))
		}
		_, err := q.drain(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[string]int{"1": 3, "2": 3, "3": 1, "4": 1}, attempts)
		assert.Equal(t, 2*(time.Minute+time.Second), time.Since(start))
	})
}

func TestDrainHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10, 1, []time.Duration{time.Hour}, func(ctx context.Context, e webhooks.Event) error {
			<-ctx.Done()
			return ctx.Err()
		})
		for i := range 5 {
			require.NoError(t, q.push(t.Context(), event(i)))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		start := time.Now()
		left, err := q.drain(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 4, left)
		assert.Equal(t, 25*time.Second, time.Since(start))
	})
}
