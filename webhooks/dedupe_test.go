package webhooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stub is a client of Redis in the shape of go-redis: it knows what RedisDeduper needs. It stands in for the server; the
// module redistest runs the same checks against a real one.
type stub struct {
	mu     sync.Mutex
	values map[string]stubValue
	fail   error
	bytes  bool // answer strings as bytes, as some clients do
	odd    any  // answer with this
	calls  []string
	now    func() time.Time
}

type stubValue struct {
	text    string
	expires time.Time
}

type stubResult struct {
	value any
	err   error
}

func (r *stubResult) Result() (any, error) { return r.value, r.err }

func newStub() *stub { return &stub{values: map[string]stubValue{}, now: time.Now} }

func (s *stub) get(key string) (string, bool) {
	v, ok := s.values[key]
	if !ok || !s.now().Before(v.expires) {
		return "", false
	}
	return v.text, true
}

func (s *stub) set(key, value, px string) {
	ms, err := strconv.Atoi(px)
	if err != nil || ms < 1 {
		panic("bad expiry " + px)
	}
	s.values[key] = stubValue{value, s.now().Add(time.Duration(ms) * time.Millisecond)}
}

func (s *stub) Do(ctx context.Context, args ...any) *stubResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := make([]string, len(args))
	for i := range args {
		a[i] = args[i].(string)
	}
	s.calls = append(s.calls, a[0])
	switch {
	case ctx.Err() != nil:
		return &stubResult{nil, ctx.Err()}
	case s.fail != nil:
		return &stubResult{nil, s.fail}
	case s.odd != nil:
		return &stubResult{s.odd, nil}
	case a[0] == "EVAL" && a[1] == redisClaim && a[2] == "1":
		if text, ok := s.get(a[3]); ok {
			if s.bytes {
				return &stubResult{[]byte(text), nil}
			}
			return &stubResult{text, nil}
		}
		s.set(a[3], a[4], a[5])
		return &stubResult{int64(1), nil}
	case a[0] == "EVAL" && a[1] == redisRelease && a[2] == "1":
		if text, ok := s.get(a[3]); ok && text == a[4] {
			delete(s.values, a[3])
			return &stubResult{int64(1), nil}
		}
		return &stubResult{int64(0), nil}
	case a[0] == "SET" && a[3] == "PX":
		s.set(a[1], a[2], a[4])
		return &stubResult{"OK", nil}
	case a[0] == "DEL":
		delete(s.values, a[1])
		return &stubResult{int64(1), nil}
	}
	return &stubResult{nil, fmt.Errorf("unexpected %q", a)}
}

// dedupers are the dedupers, inside of a synctest bubble.
func dedupers(opts ...DeduperOption) map[string]Deduper {
	other := newStub()
	other.bytes = true
	return map[string]Deduper{
		"memory":                 NewMemoryDeduper(opts...),
		"redis":                  NewRedisDeduper(newStub(), opts...),
		"redis answers in bytes": NewRedisDeduper(other, opts...),
	}
}

func eachDeduper(t *testing.T, f func(t *testing.T, d Deduper), opts ...DeduperOption) {
	for name := range dedupers() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, dedupers(opts...)[name]) })
		})
	}
}

func claim(t *testing.T, d Deduper, id string, want ClaimState) (owner string) {
	t.Helper()
	owner, state, err := d.Claim(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, state)
	assert.Equal(t, want == Claimed, owner != "")
	return owner
}

func TestDeduperClaims(t *testing.T) {
	eachDeduper(t, func(t *testing.T, d Deduper) {
		ctx := t.Context()
		a := claim(t, d, "1", Claimed)
		claim(t, d, "1", InProgress)
		b := claim(t, d, "2", Claimed)
		assert.NotEqual(t, a, b)

		// only the owner releases
		require.NoError(t, d.Release(ctx, "1", b))
		require.NoError(t, d.Release(ctx, "1", ""))
		claim(t, d, "1", InProgress)
		require.NoError(t, d.Release(ctx, "1", a))
		a = claim(t, d, "1", Claimed)

		// what is done is not released any more
		require.NoError(t, d.Done(ctx, "1"))
		claim(t, d, "1", Handled)
		require.NoError(t, d.Release(ctx, "1", a))
		require.NoError(t, d.Release(ctx, "1", ""))
		claim(t, d, "1", Handled)
		require.NoError(t, d.Release(ctx, "unheard of", a))
		require.NoError(t, d.Done(ctx, "3"))
		claim(t, d, "3", Handled)
	})
}

func TestClaimsExpire(t *testing.T) {
	eachDeduper(t, func(t *testing.T, d Deduper) {
		ctx := t.Context()
		dead := claim(t, d, "1", Claimed)
		time.Sleep(DefaultClaimTime - time.Millisecond)
		claim(t, d, "1", InProgress)
		time.Sleep(time.Millisecond)
		claim(t, d, "1", Claimed)

		// the one who was slow can neither take the claim of the next one away ...
		require.NoError(t, d.Release(ctx, "1", dead))
		claim(t, d, "1", InProgress)
		// ... nor be told that it did not do what it did
		require.NoError(t, d.Done(ctx, "1"))
		claim(t, d, "1", Handled)

		time.Sleep(DefaultRememberTime - time.Millisecond)
		claim(t, d, "1", Handled)
		time.Sleep(time.Millisecond)
		claim(t, d, "1", Claimed)
	})
}

func TestDeduperTimes(t *testing.T) {
	eachDeduper(t, func(t *testing.T, d Deduper) {
		claim(t, d, "1", Claimed)
		time.Sleep(time.Second)
		claim(t, d, "1", Claimed)
		require.NoError(t, d.Done(t.Context(), "1"))
		time.Sleep(59 * time.Second)
		claim(t, d, "1", Handled)
		time.Sleep(time.Second)
		claim(t, d, "1", Claimed)
	}, ClaimFor(time.Second), RememberFor(time.Minute), ClaimFor(0), RememberFor(-1), MemorySize(0), DeduperClock(nil), nil)
}

func TestForget(t *testing.T) {
	m := NewMemoryDeduper()
	require.NoError(t, m.Done(t.Context(), "1"))
	m.Forget("1")
	m.Forget("2")
	claim(t, m, "1", Claimed)
	r := NewRedisDeduper(newStub())
	require.NoError(t, r.Done(t.Context(), "1"))
	require.NoError(t, r.Forget(t.Context(), "1"))
	claim(t, r, "1", Claimed)
}

func TestMemoryIsBounded(t *testing.T) {
	now := testTime
	m := NewMemoryDeduper(MemorySize(3), DeduperClock(func() time.Time { return now }))
	ctx := t.Context()
	for i := range 1000 {
		claim(t, m, fmt.Sprint(i), Claimed)
		require.NoError(t, m.Done(ctx, fmt.Sprint(i)))
		assert.LessOrEqual(t, m.Len(), 3)
	}
	claim(t, m, "999", Handled)
	claim(t, m, "998", Handled)
	claim(t, m, "997", Handled)
	claim(t, m, "996", Claimed) // forgotten, for the sake of which 997 is, too
	claim(t, m, "995", Claimed)
	claim(t, m, "994", Claimed)
	// full of claims
	_, _, err := m.Claim(ctx, "993")
	assert.ErrorIs(t, err, ErrDeduper)
	assert.ErrorContains(t, err, "MemorySize")
	require.NoError(t, m.Done(ctx, "new"))
	assert.Equal(t, 3, m.Len())
	claim(t, m, "996", InProgress)
	require.NoError(t, m.Done(ctx, "996"))
	claim(t, m, "993", Claimed)
	now = now.Add(DefaultClaimTime)
	assert.Zero(t, m.Len(), "everything has expired without anything running")
	assert.Zero(t, m.claims.Len()+m.done.Len())
}

func TestRedisFailures(t *testing.T) {
	s := newStub()
	d := NewRedisDeduper(s, RedisPrefix("shop:"))
	ctx := t.Context()
	claim(t, d, "1", Claimed)
	assert.Contains(t, s.values, "shop:1")
	s.odd = 1.5
	_, _, err := d.Claim(ctx, "1")
	assert.EqualError(t, err, "webhooks: redis: the client returned a float64 for a number or a string")
	s.fail = io.ErrClosedPipe
	_, _, err = d.Claim(ctx, "1")
	assert.ErrorIs(t, err, ErrDeduper)
	assert.ErrorIs(t, err, io.ErrClosedPipe)
	assert.ErrorIs(t, d.Done(ctx, "1"), ErrDeduper)
	assert.ErrorIs(t, d.Release(ctx, "1", "x"), ErrDeduper)
	assert.ErrorIs(t, d.Forget(ctx, "1"), ErrDeduper)
}

// TestRedisDeduperTakesInterfaces is for the compiler: clients are often held in an interface.
func TestRedisDeduperTakesInterfaces(t *testing.T) {
	var client interface {
		Do(ctx context.Context, args ...any) *stubResult
		Other()
	}
	assert.NotNil(t, func() any { return NewRedisDeduper(client) })
}

func TestRouterDropsDuplicates(t *testing.T) {
	eachDeduper(t, func(t *testing.T, d Deduper) {
		r, f := newRouter(t, WithDeduper(d))
		calls := 0
		var result error
		On(r, func(context.Context, *OrderPaid) error { calls++; return result })
		send := func(id string) int {
			code, _ := deliver(t, r, &OrderPaid{Delivery: Delivery{ID: id}})
			return code
		}
		// handled once
		assert.Equal(t, 202, send("a"))
		assert.Equal(t, 202, send("a"))
		assert.Equal(t, 1, calls)
		assert.Equal(t, 202, send("b"))
		assert.Equal(t, 2, calls)
		// an error is tried again
		result = io.EOF
		assert.Equal(t, 500, send("c"))
		assert.Equal(t, 500, send("c"))
		result = nil
		assert.Equal(t, 202, send("c"))
		assert.Equal(t, 202, send("c"))
		assert.Equal(t, 5, calls)
		// a permanent one is not
		result = Permanent(io.EOF)
		assert.Equal(t, 202, send("d"))
		assert.Equal(t, 202, send("d"))
		assert.Equal(t, 6, calls)
		f.take()
		// what nobody handles is not remembered either: a handler may come
		code, _ := deliver(t, r, &OrderCreated{Delivery: Delivery{ID: "e"}})
		assert.Equal(t, 202, code)
		On(r, func(context.Context, *OrderCreated) error { calls++; return nil })
		code, _ = deliver(t, r, &OrderCreated{Delivery: Delivery{ID: "e"}})
		assert.Equal(t, 202, code)
		assert.Equal(t, 7, calls)
		// a forged request with the id of a genuine one does not block it
		req := post(t, testBody)
		req.Header.Set(headerID, "f")
		code, _ = serve(r, req)
		assert.Equal(t, 403, code)
		result = nil
		assert.Equal(t, 202, send("f"))
		assert.Equal(t, 8, calls)
	})
}

func TestPanicReleasesTheClaim(t *testing.T) {
	eachDeduper(t, func(t *testing.T, d Deduper) {
		r, _ := newRouter(t, WithDeduper(d))
		calls := 0
		On(r, func(context.Context, *OrderPaid) error {
			if calls++; calls == 1 {
				panic("oops")
			}
			return nil
		})
		e := &OrderPaid{Delivery: Delivery{ID: "a"}}
		code, _ := deliver(t, r, e)
		assert.Equal(t, 500, code)
		code, _ = deliver(t, r, e)
		assert.Equal(t, 202, code)
		assert.Equal(t, 2, calls)
	})
}

// Two routers that share a deduper get the same delivery at the same time: one handles it.
func TestTwoRoutersRace(t *testing.T) {
	eachDeduper(t, func(t *testing.T, d Deduper) {
		calls := 0
		finish := make(chan struct{})
		handler := func(ctx context.Context, _ *OrderPaid) error {
			calls++ // not locked: the race detector finds a second one
			<-finish
			return nil
		}
		codes := make(chan int, 10)
		var all []*Router
		for range 2 {
			r, _ := newRouter(t, WithDeduper(d))
			On(r, handler)
			all = append(all, r)
		}
		for i := range 10 {
			go func() {
				code, _ := deliver(t, all[i%2], &OrderPaid{Delivery: Delivery{ID: "a"}})
				codes <- code
			}()
		}
		synctest.Wait()
		require.Len(t, codes, 9, "the others do not wait")
		for range 9 {
			assert.Equal(t, http.StatusConflict, <-codes)
		}
		close(finish)
		assert.Equal(t, 202, <-codes)
		assert.Equal(t, 1, calls)
		code, _ := deliver(t, all[1], &OrderPaid{Delivery: Delivery{ID: "a"}})
		assert.Equal(t, 202, code)
		assert.Equal(t, 1, calls)
	})
}

// Polar hangs up while the handler works: the claim is settled all the same.
func TestClaimIsSettledAfterHangup(t *testing.T) {
	eachDeduper(t, func(t *testing.T, d Deduper) {
		for _, result := range []error{nil, io.EOF} {
			r, _ := newRouter(t, WithDeduper(d))
			ctx, cancel := context.WithCancel(t.Context())
			On(r, func(context.Context, *OrderPaid) error { cancel(); return result })
			id := fmt.Sprint("id_", result == nil)
			req := must(NewRequest(ctx, "/", standardSecret, &OrderPaid{Delivery: Delivery{ID: id, SentAt: testTime}}))
			serve(r, req)
			if result == nil {
				claim(t, d, id, Handled)
			} else {
				claim(t, d, id, Claimed)
			}
		}
	})
}

// brokenDeduper fails where it is told to.
type brokenDeduper struct {
	claim, done, release error
	state                ClaimState
	panics               bool
	panicsLater          bool
}

func (b brokenDeduper) Claim(context.Context, string) (string, ClaimState, error) {
	if b.panics {
		panic("no connection")
	}
	return "owner", b.state, b.claim
}

func (b brokenDeduper) Done(context.Context, string) error {
	if b.panicsLater {
		panic("no connection")
	}
	return b.done
}

func (b brokenDeduper) Release(context.Context, string, string) error { return b.release }

func TestBrokenDeduper(t *testing.T) {
	down := errors.New("redis at 10.0.0.1 is down")
	for _, c := range []struct {
		name    string
		d       Deduper
		result  error
		code    int
		handled bool
		want    []error
	}{
		{"claim", brokenDeduper{claim: down}, nil, 500, false, []error{down}},
		{"state", brokenDeduper{state: 7}, nil, 500, false, []error{ErrDeduper}},
		{"panic", brokenDeduper{panics: true}, nil, 500, false, []error{ErrPanic}},
		{"done", brokenDeduper{state: Claimed, done: down}, nil, 202, true, []error{down}},
		{"release", brokenDeduper{state: Claimed, release: down}, io.EOF, 500, true, []error{down, io.EOF}},
		{"panic of done", brokenDeduper{state: Claimed, panicsLater: true}, nil, 202, true, []error{ErrDeduper}},
		{"redis", NewRedisDeduper(&stub{fail: down}), nil, 500, false, []error{down}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, f := newRouter(t, WithDeduper(c.d))
			handled := false
			On(r, func(context.Context, *OrderPaid) error { handled = true; return c.result })
			code, text := deliver(t, r, &OrderPaid{})
			assert.Equal(t, c.code, code)
			assert.Equal(t, c.handled, handled)
			assert.NotContains(t, text, "10.0.0.1")
			list := f.take()
			require.Len(t, list, len(c.want))
			for i, want := range c.want {
				assert.ErrorIs(t, list[i].Err, want)
				assert.Equal(t, c.code, list[i].Status)
				if !errors.Is(want, ErrPanic) && want != io.EOF {
					assert.ErrorIs(t, list[i].Err, ErrDeduper)
				}
			}
		})
	}
}

func TestWithoutDeduper(t *testing.T) {
	r, _ := newRouter(t, WithDeduper(nil))
	calls := 0
	On(r, func(context.Context, *OrderPaid) error { calls++; return nil })
	for range 3 {
		deliver(t, r, &OrderPaid{Delivery: Delivery{ID: "a"}})
	}
	assert.Equal(t, 3, calls)
}

func TestOwnersCannotBeGuessed(t *testing.T) {
	a := claim(t, NewMemoryDeduper(), "1", Claimed)
	b := claim(t, NewRedisDeduper(newStub()), "1", Claimed)
	assert.GreaterOrEqual(t, len(a), 26)
	assert.True(t, strings.HasPrefix(b, "claim:"))
	assert.NotEqual(t, redisDone, b)
}
