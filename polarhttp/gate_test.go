package polarhttp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
	"github.com/polar-go/polar/webhooks"
)

// signedIn takes the customer of a request from a header, as a session would.
func signedIn(r *http.Request) (Customer, error) {
	return Customer{ExternalID: r.Header.Get("User")}, nil
}

func (s *shop) gate(opts ...GateOption) *Gate {
	s.Helper()
	g, err := NewGate(s.client, signedIn, append([]GateOption{WithClock(s.srv.Now), s.log.option()}, opts...)...)
	require.NoError(s, err)
	return g
}

// page is a page behind a gate.
func behind(g *Gate, need Requirement) http.Handler {
	return g.Require(need)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := StateFrom(r.Context()); s != nil {
			fmt.Fprint(w, *s.ExternalID)
		} else {
			fmt.Fprint(w, "nothing is known")
		}
	}))
}

const stateCall = "customers:get_state_external"

func TestGate(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	s.customer("bob")
	s.grant("ada")
	h := behind(s.gate(), Benefit(s.benefit))
	for range 3 {
		got := get(h, "/", "User", "ada")
		assert.Equal(t, http.StatusOK, got.status)
		assert.Equal(t, "ada", got.body)
		assert.Empty(t, got.header.Get("Cache-Control"), "is the page's own affair")

		for _, user := range []string{"bob", "nobody"} {
			got = get(h, "/", "User", user)
			assert.Equal(t, http.StatusPaymentRequired, got.status)
			assert.Equal(t, "this is not part of your plan\n", got.body)
			assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
		}
		got = get(h, "/")
		assert.Equal(t, http.StatusForbidden, got.status)
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	}
	assert.Equal(t, 3, s.calls(stateCall), "one for each customer")
	assert.Empty(t, s.log.String())
}

// TestGateAsksAgain when a state has been kept for its time: yes for a minute, no for ten seconds.
func TestGateAsksAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	h := behind(s.gate(), Benefit(s.benefit))
	status := func() int { return get(h, "/", "User", "ada").status }
	assert.Equal(t, http.StatusPaymentRequired, status())
	s.grant("ada")
	s.srv.Advance(defaultRecheck - time.Second)
	assert.Equal(t, http.StatusPaymentRequired, status())
	assert.Equal(t, 1, s.calls(stateCall))
	s.srv.Advance(time.Second)
	assert.Equal(t, http.StatusOK, status(), "whoever has just paid gets in")
	s.srv.Advance(defaultCacheTime - time.Second)
	assert.Equal(t, http.StatusOK, status())
	assert.Equal(t, 2, s.calls(stateCall))
	list, err := s.client.Subscriptions.List(t.Context(), nil)
	require.NoError(t, err)
	_, err = s.client.Subscriptions.Revoke(t.Context(), list.Items[0].ID)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status())
	s.srv.Advance(time.Second)
	assert.Equal(t, http.StatusPaymentRequired, status())
	assert.Equal(t, 3, s.calls(stateCall))

	// the same for somebody whom Polar gets to know
	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "new").status)
	s.customer("new")
	s.grant("new")
	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "new").status)
	s.srv.Advance(defaultRecheck)
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "new").status)
}

func TestGateHandlers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("bob")
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, text)
			if state := StateFrom(r.Context()); state != nil {
				fmt.Fprint(w, " ", *state.ExternalID)
			}
		})
	}
	h := behind(s.gate(WithSignIn(say("sign in")), WithDenied(say("buy")), WithUnavailable(say("wait"))), Benefit(s.benefit))
	assert.Equal(t, "sign in", get(h, "/").body)
	assert.Equal(t, "buy bob", get(h, "/", "User", "bob").body)
	s.srv.Advance(time.Hour)
	s.srv.Break(stateCall, -1, polartest.Reset())
	got := get(h, "/", "User", "bob")
	assert.Equal(t, "wait bob", got.body)
	assert.Equal(t, "1", got.header.Get("Retry-After"))
}

// outages are the ways in which Polar does not tell what a customer has.
var outages = map[string]func(s *shop) *polar.Client{
	"reset":       func(s *shop) *polar.Client { s.srv.Break(stateCall, -1, polartest.Reset()); return s.client },
	"cut answer":  func(s *shop) *polar.Client { s.srv.Break(stateCall, -1, polartest.Truncate()); return s.client },
	"bad gateway": func(s *shop) *polar.Client { s.srv.Break(stateCall, -1, polartest.BadGateway(502)); return s.client },
	"HTML 404":    func(s *shop) *polar.Client { s.srv.Break(stateCall, -1, polartest.BadGateway(404)); return s.client },
	"rate limit": func(s *shop) *polar.Client {
		s.srv.Break(stateCall, -1, polartest.TooManyRequests(time.Minute))
		return s.client
	},
	"token": func(s *shop) *polar.Client { s.srv.RevokeToken(s.token); return s.client },
	"gone":  func(s *shop) *polar.Client { s.srv.Close(); return s.client },
	"scope": func(s *shop) *polar.Client {
		c, err := s.srv.ClientWithToken(s.srv.Token(models.ScopeProductsRead), polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1}))
		require.NoError(s, err)
		return c
	},
	"API version": func(s *shop) *polar.Client {
		c, err := s.srv.ClientWithToken(s.token, polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1}), polar.WithAPIVersion("2020-01"))
		require.NoError(s, err)
		return c
	},
}

// TestPolarUnreachable shows each policy for somebody who had the benefit, somebody who had not, and somebody of whom nothing
// is known. Nobody is turned away for lack of it.
func TestPolarUnreachable(t *testing.T) {
	t.Parallel()
	for outage, cut := range outages {
		for policy, want := range map[UnknownPolicy][3]int{
			LastKnown: {200, 503, 503},
			Open:      {200, 200, 200},
			Closed:    {503, 503, 503},
		} {
			t.Run(fmt.Sprint(outage, policy), func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				s.customer("ada")
				s.customer("bob")
				s.grant("ada")
				var later atomic.Int64
				g := s.gate(WhenUnknown(policy), WithClock(func() time.Time { return s.srv.Now().Add(time.Duration(later.Load())) }))
				h := behind(g, Benefit(s.benefit))
				require.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
				require.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "bob").status)

				g.client = cut(s)
				assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status, "known a moment ago")
				assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "bob").status, "known a moment ago")
				later.Add(int64(defaultRecheck))
				assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status, "known within the cache time")
				assert.Equal(t, want[1], get(h, "/", "User", "bob").status, "may have bought meanwhile")

				for range 2 { // at once after the failure, too
					later.Add(int64(defaultCacheTime))
					for i, user := range []string{"ada", "bob", "zoe"} {
						for range 2 {
							got := get(h, "/", "User", user)
							assert.Equal(t, want[i], got.status, user)
							if want[i] == 503 {
								assert.NotEmpty(t, got.header.Get("Retry-After"))
								assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
								assert.NotContains(t, strings.ToLower(got.body), "polar")
							}
						}
					}
				}
				assert.LessOrEqual(t, strings.Count(s.log.String(), "level=WARN"), 3, "one for each customer")
				assert.Contains(t, s.log.String(), "level=WARN")
				for _, secret := range []string{s.token, "ada", "bob", "zoe"} {
					assert.NotContains(t, s.log.String(), secret)
				}
				if policy == LastKnown {
					later.Add(int64(defaultStaleTime))
					assert.Equal(t, http.StatusServiceUnavailable, get(h, "/", "User", "ada").status, "that was long ago")
				}
			})
		}
	}
}

// TestAnswerThatIsNoState comes from something that is not Polar, and does not say that anybody has nothing.
func TestAnswerThatIsNoState(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `null`, `{"ok":true}`, `{"id":""}`, `[]`, `<html>`, ``} {
		g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) { return answer(r, 200, body), nil }), signedIn, quiet())
		require.NoError(t, err)
		assert.Equal(t, http.StatusServiceUnavailable, get(behind(g, Benefit("b1")), "/", "User", "ada").status, body)
	}
}

// TestGateRecovers asks less and less often while Polar fails, and goes on when it is back.
func TestGateRecovers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	s.grant("ada")
	h := behind(s.gate(), Benefit(s.benefit))
	s.srv.Break(stateCall, -1, polartest.BadGateway(503))
	var asked []time.Duration
	start, calls := s.srv.Now(), 0
	for range 180 {
		got := get(h, "/", "User", "ada")
		assert.Equal(t, http.StatusServiceUnavailable, got.status)
		if n := s.calls(stateCall); n > calls {
			calls = n
			asked = append(asked, s.srv.Now().Sub(start)/time.Second)
		}
		s.srv.Advance(time.Second)
	}
	assert.Equal(t, []time.Duration{0, 1, 3, 7, 15, 31, 61, 91, 121, 151}, asked)
	s.srv.Heal()
	s.srv.Advance(lastBackoff)
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
	s.srv.Advance(defaultCacheTime)
	s.srv.Break(stateCall, 1, polartest.BadGateway(503))
	calls = s.calls(stateCall)
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
	assert.Equal(t, calls+1, s.calls(stateCall), "the failures of before are forgotten, so this request waited")
	s.srv.Advance(firstBackoff)
	calls++
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
	assert.Eventually(t, func() bool { return s.calls(stateCall) == calls+1 }, 5*time.Second, time.Millisecond, "the pauses start anew, and nobody waits for the call")
}

// TestRateLimitIsForAll stops the calls for every customer: the limit is the token's.
func TestRateLimitIsForAll(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	s.grant("ada")
	h := behind(s.gate(), Benefit(s.benefit))
	s.srv.Break(stateCall, 1, polartest.TooManyRequests(40*time.Second))
	got := get(h, "/", "User", "bob")
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.Equal(t, "40", got.header.Get("Retry-After"))
	for i := range 100 {
		assert.Equal(t, http.StatusServiceUnavailable, get(h, "/", "User", fmt.Sprint("user", i)).status)
	}
	got = get(h, "/", "User", "ada")
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.Equal(t, "40", got.header.Get("Retry-After"))
	assert.Equal(t, 1, s.calls(stateCall))
	s.srv.Advance(40 * time.Second)
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)

	s.srv.Break(stateCall, 1, polartest.BadGateway(500)) // which may be about one customer
	assert.Equal(t, http.StatusServiceUnavailable, get(h, "/", "User", "x").status)
	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "y").status)
}

// TestShorterPause does not end a longer one: both answers came to calls that were under way at the same time.
func TestShorterPause(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var c cache
	for _, wait := range []time.Duration{40 * time.Second, 0} {
		c.land(&entry{}, &flight{done: make(chan struct{})}, known{learned: now}, &polar.Error{StatusCode: http.StatusTooManyRequests, RetryAfter: wait})
	}
	assert.Equal(t, 40*time.Second, c.paused.Sub(now))
}

// TestThousandRequestsOneCall opens a page a thousand times at once.
func TestThousandRequestsOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
			calls.Add(1)
			if err := sleep(r.Context(), time.Second); err != nil {
				return nil, err
			}
			return answer(r, 200, `{"id":"c1","external_id":"ada","granted_benefits":[{"benefit_id":"b1","benefit_type":"custom"}]}`), nil
		}), signedIn, quiet())
		require.NoError(t, err)
		h := behind(g, Benefit("b1"))
		var wg sync.WaitGroup
		var other, through, ended atomic.Int64
		for i := range 1000 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i%10 == 0 { // gives up, perhaps as the one who has begun the call
					ctx, cancel = context.WithTimeout(ctx, time.Duration(i)*time.Millisecond/2)
					defer cancel()
				}
				got := send(h, request("GET", "/", "", "User", "ada").WithContext(ctx))
				switch {
				case got.status == 200:
					through.Add(1)
				case i%10 == 0 && got.status == 503:
					ended.Add(1)
				default:
					other.Add(1)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, calls.Load())
		assert.EqualValues(t, 900, through.Load())
		assert.EqualValues(t, 100, ended.Load())
		assert.Zero(t, other.Load())
	})
}

// TestNoCallForWhatIsKnownByNow has another request learn the state between the look at what is known and the call.
func TestNoCallForWhatIsKnownByNow(t *testing.T) {
	t.Parallel()
	calls, now := 0, time.Now()
	g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
		calls++
		return answer(r, 200, `{"id":"c1","external_id":"ada"}`), nil
	}), signedIn, WithClock(func() time.Time { return now }), quiet())
	require.NoError(t, err)
	who := Customer{ExternalID: "ada"}
	_, err = g.State(t.Context(), who)
	require.NoError(t, err)
	now = now.Add(time.Hour)
	meanwhile := true
	h := behind(g, Satisfies(func(*models.CustomerState) bool {
		if meanwhile {
			meanwhile = false
			now = now.Add(time.Millisecond)
			_, err := g.State(t.Context(), who)
			assert.NoError(t, err)
		}
		return true
	}))
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
	assert.Equal(t, 2, calls)
}

// TestClockMovedBack does not keep a state for as long as the clock was wrong.
func TestClockMovedBack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	s.grant("ada")
	var wrong atomic.Int64
	wrong.Store(int64(24 * time.Hour))
	g := s.gate(WithClock(func() time.Time { return s.srv.Now().Add(time.Duration(wrong.Load())) }))
	h := behind(g, Benefit(s.benefit))
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
	wrong.Store(0)
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
	assert.Equal(t, 2, s.calls(stateCall))
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
	assert.Equal(t, 2, s.calls(stateCall))
}

// TestTooOldToDecide has a state that is good enough for other pages, and no better one to be had.
func TestTooOldToDecide(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	s.grant("ada")
	bob := s.customer("bob")
	g := s.gate(WhenUnknown(Closed))
	h, strict := behind(g, Benefit(s.benefit)), behind(g, Benefit(s.benefit).MaxAge(5*time.Second))
	assert.Equal(t, http.StatusOK, get(strict, "/", "User", "ada").status)
	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "bob").status)
	s.srv.Break(stateCall, -1, polartest.Reset())
	assert.Equal(t, http.StatusOK, get(strict, "/", "User", "ada").status)
	s.srv.Advance(5 * time.Second)
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)
	assert.Equal(t, http.StatusServiceUnavailable, get(strict, "/", "User", "ada").status)
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status)

	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "bob").status)
	require.NoError(t, g.CustomerStateChanged(t.Context(), &webhooks.CustomerStateChanged{
		Delivery: webhooks.Delivery{Timestamp: s.srv.Now().Add(-6 * time.Second)}, Data: models.CustomerState{ID: bob.ID, ExternalID: new("bob")},
	}))
	assert.Equal(t, http.StatusServiceUnavailable, get(h, "/", "User", "bob").status, "nobody knows whether the event or the call was first")
}

// TestTheFirstGivesUp shows that the call goes on for the others when the request that began it is over.
func TestTheFirstGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
			assert.Equal(t, "trace", r.Context().Value(key{}), "what the context carries stays")
			if err := sleep(r.Context(), 2*time.Second); err != nil {
				return nil, err
			}
			return answer(r, 200, `{"id":"c1","external_id":"ada"}`), nil
		}), signedIn, quiet())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeoutCause(context.WithValue(t.Context(), key{}, "trace"), time.Second, errors.New("closing time"))
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := g.State(ctx, Customer{ExternalID: "ada"})
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		wg.Go(func() {
			state, err := g.State(t.Context(), Customer{ExternalID: "ada"})
			assert.NoError(t, err)
			assert.Equal(t, "c1", state.ID)
		})
		wg.Wait()
	})
}

// TestPolarHangs shows how long a request waits for a server that does not answer, and that nobody waits twice who
// gets in all the same.
func TestPolarHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		client := clientOf(t, func(r *http.Request) (*http.Response, error) {
			if hang.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(r, 200, `{"id":"c1","external_id":"ada","granted_benefits":[{"benefit_id":"b1","benefit_type":"custom"}]}`), nil
		})
		var log logged
		g, err := NewGate(client, signedIn, WithTimeout(3*time.Second), log.option())
		require.NoError(t, err)
		h, other := behind(g, Benefit("b1")), behind(g, Benefit("b2"))
		took := func(h http.Handler, status int) time.Duration {
			start := time.Now()
			assert.Equal(t, status, get(h, "/", "User", "ada").status)
			return time.Since(start)
		}
		assert.Zero(t, took(h, 200))
		hang.Store(true)
		time.Sleep(time.Hour)
		assert.Equal(t, 3*time.Second, took(h, 200))
		for range 10 {
			time.Sleep(lastBackoff)
			assert.Zero(t, took(h, 200))
		}
		time.Sleep(lastBackoff)
		assert.Equal(t, 3*time.Second, took(other, 503))
		assert.Zero(t, took(other, 503))
		hang.Store(false)
		time.Sleep(lastBackoff)
		assert.Zero(t, took(other, 402))
		assert.Zero(t, took(h, 200))
		assert.Contains(t, log.String(), "deadline exceeded")
	})
}

// TestGateSurvivesItsClient and what a middleware of it does in the goroutine of a call.
func TestGateSurvivesItsClient(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		break_ func()
		want   string
	}{
		"panic":  {func() { panic("no such thing") }, "panicked: no such thing"},
		"Goexit": {runtime.Goexit, "ended the goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, err := NewGate(clientOf(t, func(*http.Request) (*http.Response, error) { tt.break_(); return nil, nil }), signedIn, quiet())
			require.NoError(t, err)
			_, err = g.State(t.Context(), Customer{ExternalID: "ada"})
			require.ErrorContains(t, err, tt.want)
			assert.Equal(t, http.StatusServiceUnavailable, get(behind(g, Benefit("b")), "/", "User", "ada").status)
		})
	}
}

func TestGateOptions(t *testing.T) {
	t.Parallel()
	client := clientOf(t, nil)
	for want, opt := range map[string]GateOption{
		"an option is nil": nil, "cache time is 0s": WithCacheTime(0), "recheck time is -1s": WithRecheckTime(-time.Second), "stale time is 0s": WithStaleTime(0),
		"timeout is 0s": WithTimeout(0), "cache of 0 customers": WithCacheSize(0), "policy of WhenUnknown": WhenUnknown(3), "handler of WithDenied": WithDenied(nil),
		"handler of WithUnavailable": WithUnavailable(nil), "handler of WithSignIn": WithSignIn(nil), "clock is nil": WithClock(nil), "logger is nil": WithLogger(nil),
	} {
		_, err := NewGate(client, signedIn, opt)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "polarhttp: ")
	}
	_, err := NewGate(nil, signedIn)
	require.ErrorContains(t, err, "client is nil")
	_, err = NewGate(client, nil)
	require.ErrorContains(t, err, "CustomerFunc is nil")
}

// TestGateIsShut when the program does not say who is there or what is needed.
func TestGateIsShut(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for name, tt := range map[string]struct {
		customer CustomerFunc
		need     Requirement
		status   int
		logged   string
	}{
		"session": {func(*http.Request) (Customer, error) { return Customer{}, errors.New("no database") }, Benefit("b"), 500, "no database"},
		"refusal": {func(*http.Request) (Customer, error) {
			return Customer{}, &Refusal{Status: 401, Message: "session over"}
		}, Benefit("b"), 401, ""},
		"two ids":     {func(*http.Request) (Customer, error) { return Customer{ID: "a", ExternalID: "b"}, nil }, Benefit("b"), 500, "exactly one"},
		"no need":     {signedIn, Requirement{}, 500, "Requirement is empty"},
		"empty id":    {signedIn, Benefit(""), 500, "id of Benefit"},
		"empty in it": {signedIn, AnyOf(Benefit("b"), Product("")), 500, "id of Product"},
	} {
		var log logged
		g, err := NewGate(s.client, tt.customer, WhenUnknown(Open), log.option())
		require.NoError(t, err)
		got := get(behind(g, tt.need), "/", "User", "ada")
		assert.Equal(t, tt.status, got.status, name)
		assert.Contains(t, log.String(), tt.logged, name)
		if tt.logged == "" {
			assert.Empty(t, log.String())
		} else {
			assert.NotContains(t, got.body, tt.logged)
		}
	}
	assert.Zero(t, s.calls(stateCall))
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	ada := &models.CustomerState{
		GrantedBenefits:     []models.CustomerStateBenefitGrant{{BenefitID: "b1", BenefitMetadata: models.Metadata{"feature": "export"}}},
		ActiveSubscriptions: []models.CustomerStateSubscription{{ProductID: "p1"}},
		ActiveMeters:        []models.CustomerStateMeter{{MeterID: "m1", Balance: 10}, {MeterID: "m2", Balance: -1}},
	}
	feature := func(s *models.CustomerState) bool {
		f, _ := s.GrantedBenefits[0].BenefitMetadata.String("feature")
		return f == "export"
	}
	ids := []string{"p0", "p1"}
	product := Product(ids...)
	ids[1] = "changed"
	for i, tt := range []struct {
		need Requirement
		want bool
	}{
		{Benefit("b1"), true},
		{Benefit("b2"), false},
		{Benefit("p1"), false},
		{Product("p1"), true},
		{product, true},
		{Product("p2", "b1"), false},
		{MeterBalance("m1", 10), true},
		{MeterBalance("m1", 10.5), false},
		{MeterBalance("m2", 0), false},
		{MeterBalance("m2", -1), true},
		{MeterBalance("m3", -1), false},
		{Satisfies(feature), true},
		{AllOf(Benefit("b1"), Product("p1")), true},
		{AllOf(Benefit("b1"), Product("p2")), false},
		{AnyOf(Benefit("b2"), Product("p1")), true},
		{AnyOf(Benefit("b2"), Product("p2")), false},
		{AllOf(Benefit("b1"), AnyOf(Benefit("b2"), MeterBalance("m1", 1))), true},
		{Benefit("b1").MaxAge(time.Second), true},
	} {
		require.NoError(t, tt.need.Err())
		assert.Equal(t, tt.want, known{exists: true, state: ada}.meets(tt.need), i)
		assert.False(t, known{exists: true}.meets(tt.need), "of nobody")
	}
	for want, need := range map[string]Requirement{
		"id of Benefit": Benefit(""), "id of Product": Product(), "id of Product is": Product("p", ""), "id of MeterBalance": MeterBalance("", 1),
		"is not a number": MeterBalance("m", math.NaN()), "function of Satisfies": Satisfies(nil), "AllOf has nothing": AllOf(), "AnyOf has nothing": AnyOf(),
		"Requirement is empty": {}, "MaxAge is negative": Benefit("b").MaxAge(-1), "polarhttp: the Requirement is empty": AllOf(Benefit("b"), Requirement{}),
	} {
		require.ErrorContains(t, need.Err(), want)
	}
	need := AnyOf(Benefit("b").MaxAge(time.Hour), AllOf(Benefit("c").MaxAge(time.Second), Benefit("d")))
	assert.Equal(t, time.Second, need.limit(time.Minute))
	assert.Equal(t, time.Millisecond, need.limit(time.Millisecond))
	assert.Equal(t, time.Second, need.MaxAge(time.Minute).maxAge)
}

// TestMeterBalance follows a balance that goes down while the gate remembers a better one.
func TestMeterBalance(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	meter, err := s.client.Meters.Create(t.Context(), models.MeterCreate{Name: "Calls", Filter: models.And(models.Eq("name", "call")), Aggregation: models.Count()})
	require.NoError(t, err)
	credit, err := s.client.Benefits.Create(t.Context(), models.BenefitMeterCreditCreate{Description: "Calls", Properties: models.BenefitMeterCreditProperties{Units: 2, MeterID: meter.ID}})
	require.NoError(t, err)
	_, err = s.client.Products.SetBenefits(t.Context(), s.product.ID, models.ProductBenefitsUpdate{Benefits: []string{credit.ID}})
	require.NoError(t, err)
	s.grant("ada")
	g := s.gate()
	cached, current := behind(g, MeterBalance(meter.ID, 1)), behind(g, MeterBalance(meter.ID, 1).MaxAge(0))
	status := func(h http.Handler) int { return get(h, "/", "User", "ada").status }
	assert.Equal(t, http.StatusOK, status(cached))
	for range 2 {
		assert.Equal(t, http.StatusOK, status(current))
		_, err = s.client.Events.Ingest(t.Context(), models.EventsIngest{Events: []models.EventCreate{{Name: "call", ExternalCustomerID: new("ada")}}})
		require.NoError(t, err)
	}
	assert.Equal(t, http.StatusOK, status(cached), "remembered")
	assert.Equal(t, http.StatusPaymentRequired, status(current))
	assert.Equal(t, 4, s.calls(stateCall))
	assert.Equal(t, http.StatusPaymentRequired, status(cached), "what one page learns, all know")
	assert.Equal(t, 4, s.calls(stateCall))
}

func TestState(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ada := s.customer("ada")
	s.grant("ada")
	g := s.gate()
	for _, who := range []Customer{{ExternalID: "ada"}, {ID: ada.ID}, {ExternalID: "ada", MemberID: "m"}, {ExternalID: "ada", ExternalMemberID: "n"}} {
		state, err := g.State(t.Context(), who)
		require.NoError(t, err)
		assert.Equal(t, ada.ID, state.ID)
		assert.NotNil(t, state.Subscription(s.product.ID))
	}
	assert.Equal(t, 1, s.calls(stateCall), "members share the state of their customer")
	assert.Equal(t, 1, s.calls("customers:get_state"))
	for range 2 {
		_, err := g.State(t.Context(), Customer{ExternalID: "nobody"})
		require.ErrorIs(t, err, ErrUnknownCustomer)
		_, err = g.State(t.Context(), Customer{ID: id1})
		require.ErrorIs(t, err, ErrUnknownCustomer)
	}
	assert.Equal(t, 2, s.calls(stateCall))
	_, err := g.State(t.Context(), Customer{})
	require.ErrorContains(t, err, "exactly one")
	_, err = g.State(t.Context(), Customer{ID: "not an id of Polar's"})
	require.NotErrorIs(t, err, ErrUnknownCustomer)
	require.ErrorIs(t, err, polar.ErrValidation)

	s.srv.Advance(time.Hour)
	s.srv.Break("", -1, polartest.BadGateway(502))
	state, err := g.State(t.Context(), Customer{ID: ada.ID})
	require.NoError(t, err, "the last known")
	assert.Equal(t, ada.ID, state.ID)
	_, err = g.State(t.Context(), Customer{ExternalID: "nobody"})
	require.NotErrorIs(t, err, ErrUnknownCustomer, "may have bought meanwhile")
	require.ErrorIs(t, err, polar.ErrServer)
	s.srv.Advance(defaultStaleTime)
	_, err = g.State(t.Context(), Customer{ID: ada.ID})
	require.ErrorIs(t, err, polar.ErrServer)
	g, err = NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
		return answer(r, 200, `{"id":"c1","deleted_at":"2026-11-01T00:00:00Z"}`), nil
	}), signedIn)
	require.NoError(t, err)
	_, err = g.State(t.Context(), Customer{ID: ada.ID})
	require.ErrorIs(t, err, ErrUnknownCustomer, "deleted")
	closed := s.gate(WhenUnknown(Closed))
	_, err = closed.State(t.Context(), Customer{ID: ada.ID})
	require.ErrorIs(t, err, polar.ErrServer)
}

// TestWebhooks has Polar deliver the changes, so that no page has to ask.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	g := s.gate(WithCacheTime(time.Hour), WithRecheckTime(time.Hour))
	h := behind(g, Benefit(s.benefit))
	status := func() int { return get(h, "/", "User", "ada").status }

	receiver := httptest.NewServer(http.NotFoundHandler())
	defer receiver.Close()
	e, err := s.client.WebhookEndpoints.Create(t.Context(), models.WebhookEndpointCreate{URL: receiver.URL, Format: models.WebhookFormatRaw,
		Events: []models.WebhookEventType{models.WebhookEventTypeCustomerStateChanged}})
	require.NoError(t, err)
	v, err := webhooks.NewVerifier(e.Secret, webhooks.WithClock(s.srv.Now))
	require.NoError(t, err)
	router := webhooks.NewRouter(v)
	webhooks.On(router, g.CustomerStateChanged)
	receiver.Config.Handler = router

	assert.Equal(t, http.StatusPaymentRequired, status())
	s.srv.Advance(time.Minute)
	s.grant("ada")
	require.NotEmpty(t, s.srv.Deliveries())
	assert.Equal(t, http.StatusOK, status())
	assert.Equal(t, 1, s.calls(stateCall), "the event says it all")

	list, err := s.client.Subscriptions.List(t.Context(), nil)
	require.NoError(t, err)
	s.srv.Advance(time.Minute)
	_, err = s.client.Subscriptions.Revoke(t.Context(), list.Items[0].ID)
	require.NoError(t, err)
	deliveries := s.srv.Deliveries()
	assert.Equal(t, http.StatusPaymentRequired, status())
	assert.Equal(t, 1, s.calls(stateCall))

	// an event that is late tells nothing new
	for _, d := range deliveries {
		old, err := webhooks.Decode(d.Body)
		require.NoError(t, err)
		require.NoError(t, g.CustomerStateChanged(t.Context(), old.(*webhooks.CustomerStateChanged)))
	}
	assert.Equal(t, http.StatusPaymentRequired, status())
	for _, d := range deliveries[:len(deliveries)-1] {
		old, err := webhooks.Decode(d.Body)
		require.NoError(t, err)
		require.NoError(t, g.CustomerStateChanged(t.Context(), old.(*webhooks.CustomerStateChanged)))
	}
	assert.Equal(t, http.StatusPaymentRequired, status())
	assert.Equal(t, 1, s.calls(stateCall))

	// right after a call, clocks decide nothing: Polar is asked
	s.srv.Advance(time.Hour)
	assert.Equal(t, http.StatusPaymentRequired, status())
	assert.Equal(t, 2, s.calls(stateCall))
	s.grant("ada")
	s.srv.Deliveries()
	assert.Equal(t, http.StatusOK, status())
	assert.Equal(t, http.StatusOK, status())
	assert.Equal(t, 3, s.calls(stateCall))
}

// TestEvents gives events to the gate in odd orders. Requests are by the customer's id at Polar or by the program's.
func TestEvents(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	event := func(after time.Duration, benefits ...string) *webhooks.CustomerStateChanged {
		e := &webhooks.CustomerStateChanged{Delivery: webhooks.Delivery{Timestamp: start.Add(after)}, Data: models.CustomerState{ID: "c1", ExternalID: new("ada")}}
		for _, b := range benefits {
			e.Data.GrantedBenefits = append(e.Data.GrantedBenefits, models.CustomerStateBenefitGrant{BenefitID: b})
		}
		return e
	}
	for _, who := range []Customer{{ID: "c1"}, {ExternalID: "ada"}} {
		now, calls := start, 0
		said := `{"id":"c1","external_id":"ada"}`
		g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
			calls++
			return answer(r, 200, said), nil
		}), func(*http.Request) (Customer, error) { return who, nil }, WithClock(func() time.Time { return now }), WithCacheTime(time.Hour), WithRecheckTime(time.Hour), quiet())
		require.NoError(t, err)
		h := behind(g, Benefit("b1"))
		learn := func(e *webhooks.CustomerStateChanged) { require.NoError(t, g.CustomerStateChanged(t.Context(), e)) }
		is := func(status, total int, why string) {
			t.Helper()
			assert.Equal(t, status, get(h, "/").status, why)
			assert.Equal(t, total, calls, why)
		}
		learn(event(-time.Minute, "b1"))
		is(402, 1, "nobody had asked about the customer, so the event was not kept")
		learn(event(-time.Minute, "b1"))
		is(402, 1, "made long before the call")
		now = start.Add(2 * time.Minute)
		learn(event(time.Minute, "b1"))
		is(200, 1, "made after the call")
		learn(event(30 * time.Second))
		is(200, 1, "made before the last event, and came after it")
		learn(event(90 * time.Second))
		is(402, 1, "made after the last event")
		learn(event(24*time.Hour, "b1"))
		is(200, 1, "Polar's clock is ahead")
		learn(event(-5*time.Second, "b1"))
		is(200, 1, "old")
		learn(&webhooks.CustomerStateChanged{Data: event(0).Data})
		is(402, 1, "an event without a time, of a test, is of now")

		said = `{"id":"c1","external_id":"ada","granted_benefits":[{"benefit_id":"b1","benefit_type":"custom"}]}`
		now = start.Add(2 * time.Hour)
		is(200, 2, "asked again")
		learn(event(2*time.Hour - 5*time.Second))
		is(200, 3, "made about when the call was: Polar decides")
		is(200, 3, "once")
		learn(event(2*time.Hour + 5*time.Second))
		is(200, 4, "also when it seems newer")
		deleted := event(2*time.Hour+5*time.Minute, "b1")
		deleted.Data.DeletedAt = &now
		now = start.Add(3*time.Hour - time.Minute)
		learn(deleted)
		is(402, 4, "a deleted customer has nothing")
		require.Error(t, g.CustomerStateChanged(t.Context(), nil))
	}
}

// TestEventsOfAClockAhead come in the wrong order, and Polar's clock is ahead of the gate's by more than they are apart.
func TestEventsOfAClockAhead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
		return answer(r, 200, `{"id":"c1","external_id":"ada"}`), nil
	}), signedIn, WithClock(func() time.Time { return now }), quiet())
	require.NoError(t, err)
	h := behind(g, Benefit("b1"))
	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "ada").status)
	now = now.Add(clockSkew)
	for _, e := range []struct {
		made     time.Duration
		benefits []models.CustomerStateBenefitGrant
	}{{5 * time.Second, []models.CustomerStateBenefitGrant{{BenefitID: "b1"}}}, {4 * time.Second, nil}} {
		require.NoError(t, g.CustomerStateChanged(t.Context(), &webhooks.CustomerStateChanged{
			Delivery: webhooks.Delivery{Timestamp: now.Add(e.made)},
			Data:     models.CustomerState{ID: "c1", ExternalID: new("ada"), GrantedBenefits: e.benefits},
		}))
		now = now.Add(time.Millisecond)
	}
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").status, "the purchase is the last that happened")
}

// TestEventDuringCall has an event arrive while a call is under way, which may or may not have seen what it tells.
func TestEventDuringCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan bool, 1)
		calls := 0
		g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
			calls++
			begun <- true
			if err := sleep(r.Context(), time.Second); err != nil {
				return nil, err
			}
			return answer(r, 200, `{"id":"c1","external_id":"ada"}`), nil // of before the purchase
		}), signedIn, quiet())
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			assert.Equal(t, http.StatusOK, get(behind(g, Benefit("b1")), "/", "User", "ada").status)
		})
		<-begun
		time.Sleep(time.Second / 2)
		require.NoError(t, g.CustomerStateChanged(t.Context(), &webhooks.CustomerStateChanged{
			Delivery: webhooks.Delivery{Timestamp: time.Now()},
			Data:     models.CustomerState{ID: "c1", ExternalID: new("ada"), GrantedBenefits: []models.CustomerStateBenefitGrant{{BenefitID: "b1"}}},
		}))
		wg.Wait()
		assert.Equal(t, 1, calls)
		_, err = g.State(t.Context(), Customer{ExternalID: "ada"})
		require.NoError(t, err)
		assert.Equal(t, 2, calls, "and the next request makes sure")
	})
}

// TestEventInsteadOfCall has an event tell what the call, which fails, does not.
func TestEventInsteadOfCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
			if err := sleep(r.Context(), time.Second); err != nil {
				return nil, err
			}
			return answer(r, 500, `{}`), nil
		}), signedIn, WhenUnknown(Closed), quiet())
		require.NoError(t, err)
		var wg sync.WaitGroup
		for _, tt := range []struct {
			benefit string
			status  int
		}{{"b1", http.StatusOK}, {"b2", http.StatusPaymentRequired}} {
			wg.Go(func() { assert.Equal(t, tt.status, get(behind(g, Benefit(tt.benefit)), "/", "User", "ada").status) })
		}
		time.Sleep(time.Second / 2)
		require.NoError(t, g.CustomerStateChanged(t.Context(), &webhooks.CustomerStateChanged{
			Delivery: webhooks.Delivery{Timestamp: time.Now()},
			Data:     models.CustomerState{ID: "c1", ExternalID: new("ada"), GrantedBenefits: []models.CustomerStateBenefitGrant{{BenefitID: "b1"}}},
		}))
		wg.Wait()
	})
}

// TestCacheIsBounded forgets those who have not been there for longest, and nobody whom a request waits for.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := map[string]int{}
		var mu sync.Mutex
		g, err := NewGate(clientOf(t, func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			calls[r.URL.Path]++
			mu.Unlock()
			return answer(r, 200, `{"id":"c1"}`), sleep(r.Context(), time.Second)
		}), signedIn, WithCacheSize(3), WithCacheTime(24*time.Hour), quiet())
		require.NoError(t, err)
		ask := func(who ...string) (total int) {
			var wg sync.WaitGroup
			for _, id := range who {
				wg.Go(func() {
					_, err := g.State(t.Context(), Customer{ExternalID: id})
					assert.NoError(t, err)
				})
			}
			wg.Wait()
			for _, n := range calls {
				total += n
			}
			assert.Len(t, g.cache.entries, g.cache.recent.Len())
			return total
		}
		for _, who := range []string{"a", "b", "c", "a", "a"} {
			ask(who)
		}
		assert.Equal(t, 4, ask("d"), "b had to go")
		assert.Equal(t, 4, ask("a"))
		assert.Equal(t, 5, ask("b"), "c had to go")
		assert.Equal(t, 5, ask("a", "d"))
		assert.Len(t, g.cache.entries, 3)
		var crowd []string
		for i := range 50 {
			crowd = append(crowd, fmt.Sprint("crowd", i), fmt.Sprint("crowd", i))
		}
		assert.Equal(t, 55, ask(crowd...), "one call each, though there is no room for all")
		ask("a")
		assert.Len(t, g.cache.entries, 3)
	})
}

// TestGateRaces has everything happen at once, for the race detector.
func TestGateRaces(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 4 {
		s.customer(fmt.Sprint("user", i))
	}
	s.srv.Break(stateCall, 20, polartest.BadGateway(502))
	g := s.gate(WithCacheSize(2), WithClock(time.Now), quiet())
	h, current := behind(g, Benefit(s.benefit)), behind(g, MeterBalance("m", 1).MaxAge(0))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				user := fmt.Sprint("user", (i+j)%4)
				assert.NotEqual(t, 200, get(h, "/", "User", user).status)
				get(current, "/", "User", user)
				_, _ = g.State(t.Context(), Customer{ExternalID: user})
				assert.NoError(t, g.CustomerStateChanged(t.Context(), &webhooks.CustomerStateChanged{Data: models.CustomerState{ID: id1, ExternalID: &user}}))
			}
		})
	}
	wg.Wait()
}
