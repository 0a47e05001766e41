package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/oauth"
	"github.com/polar-go/polar/polartest"
)

const tenDays = 240 * time.Hour

// TestRenewal renews in time, stores the new token before it is used, and follows the rotation of refresh tokens.
func TestRenewal(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	first := a.signIn(t)
	store := &notes{token: *first}
	store.onSave = func(saved oauth.Token) {
		assert.Zero(t, len(a.srv.Requests("products:list")), "nobody has used it yet")
		assert.NotEqual(t, first.RefreshToken, saved.RefreshToken)
	}
	src := a.source(t, store)
	for range 3 {
		got, err := src.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, first, got)
	}
	assert.Equal(t, 1, store.loads, "it is read once")
	a.srv.Advance(tenDays - 5*time.Minute - time.Second)
	got, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, first.AccessToken, got.AccessToken)
	assert.Equal(t, 1, a.exchanges(), "the sign-in")

	a.srv.Advance(time.Second)
	second, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, first.AccessToken, second.AccessToken)
	assert.Equal(t, *second, store.token)
	assert.Equal(t, start.Add(2*tenDays-5*time.Minute), second.Expiry)
	assert.Equal(t, first.Scopes, second.Scopes)
	store.onSave = nil
	assert.False(t, a.works(t, first.AccessToken))
	assert.True(t, a.works(t, second.AccessToken))

	a.srv.Advance(10 * tenDays) // long after its end
	third, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, second.RefreshToken, third.RefreshToken)
	assert.True(t, a.works(t, third.AccessToken))
	assert.Equal(t, 3, a.exchanges())
	assert.Equal(t, 2, store.saves)

	third.Scopes[0] = "changed by the caller"
	again, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, third.Scopes[0], again.Scopes[0])
}

// TestOneRenewalForAll asks for a token in a thousand goroutines at once.
func TestOneRenewalForAll(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	store := &notes{token: *a.signIn(t)}
	src := a.source(t, store)
	a.srv.Advance(tenDays)
	a.srv.Break("oauth2:request_token", 1, polartest.Delay(50*time.Millisecond))
	var wg sync.WaitGroup
	var tokens sync.Map
	for range 1000 {
		wg.Go(func() {
			token, err := src.Token(t.Context())
			if assert.NoError(t, err) {
				tokens.Store(token.AccessToken, true)
			}
		})
	}
	wg.Wait()
	n := 0
	tokens.Range(func(any, any) bool { n++; return true })
	assert.Equal(t, 1, n)
	assert.Equal(t, 2, a.exchanges(), "the sign-in and one renewal")
	assert.Equal(t, 1, store.saves)
}

// TestCallerLeaves shows that a renewal outlives the call that began it: its refresh token would be lost otherwise.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	store := &notes{token: *a.signIn(t)}
	src := a.source(t, store)
	a.srv.Advance(tenDays)
	saving, leave := make(chan struct{}), make(chan struct{})
	store.onSave = func(oauth.Token) { close(saving); <-leave }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := src.Token(ctx)
		done <- err
	}()
	<-saving
	cancel()
	err := <-done
	require.ErrorIs(t, err, context.Canceled)
	close(leave)
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, a.exchanges())
	assert.Equal(t, token.AccessToken, store.token.AccessToken)
	_, err = src.Token(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// TestContextWithACause shows how a context ended beside why, both while a renewal is waited for and before.
func TestContextWithACause(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	store := &notes{token: *a.signIn(t)}
	src := a.source(t, store)
	a.srv.Advance(tenDays)
	left := errors.New("the visitor has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	saved := make(chan struct{})
	store.onSave = func(oauth.Token) { cancel(left); <-saved }
	for range 2 {
		_, err := src.Token(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, left)
	}
	close(saved)
	_, err := src.Token(t.Context())
	require.NoError(t, err)
}

// TestRevoked needs the user, says so through the API client, and does not ask Polar again.
func TestRevoked(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	token := a.signIn(t)
	store := &notes{token: *token}
	src := a.source(t, store)
	client, err := src.Client()
	require.NoError(t, err)
	_, err = client.Products.List(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, a.Revoke(t.Context(), token))
	a.srv.Advance(tenDays)
	for range 3 {
		_, err = client.Products.List(t.Context(), nil)
		require.ErrorIs(t, err, oauth.ErrReauthorize)
		assert.NotContains(t, err.Error(), token.RefreshToken)
	}
	assert.Equal(t, 2, a.exchanges(), "the sign-in, and one refused renewal")
	assert.Zero(t, store.saves)
	assert.Len(t, a.srv.Requests("products:list"), 1, "nothing was sent without a token")

	store.set(func() { store.token = *a.signIn(t) }) // the user has come back
	_, err = client.Products.List(t.Context(), nil)
	require.NoError(t, err)
}

// TestNoRefreshToken uses the access token to its end.
func TestNoRefreshToken(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	token := a.signIn(t)
	token.RefreshToken = ""
	src := a.source(t, oauth.NewMemoryStore(*token))
	_, err := src.Token(t.Context())
	require.NoError(t, err)
	a.srv.Advance(tenDays - 11*time.Second)
	_, err = src.Token(t.Context())
	require.NoError(t, err)
	a.srv.Advance(time.Second)
	_, err = src.Token(t.Context())
	require.ErrorIs(t, err, oauth.ErrReauthorize)
	_, err = a.source(t, oauth.NewMemoryStore(oauth.Token{})).Token(t.Context())
	require.ErrorIs(t, err, oauth.ErrReauthorize)
	require.ErrorContains(t, err, "store has no token")
}

// TestSaveFails keeps the new token in memory until it can be saved, and gives it to nobody before.
func TestSaveFails(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	store := &notes{token: *a.signIn(t), saveErr: errDisk}
	src := a.source(t, store)
	_, err := src.Token(t.Context())
	require.NoError(t, err)
	a.srv.Advance(tenDays - time.Minute)
	for range 3 {
		_, err := src.Token(t.Context())
		require.ErrorIs(t, err, oauth.ErrStore)
		require.ErrorIs(t, err, errDisk)
		require.ErrorContains(t, err, "kept in memory")
	}
	assert.Equal(t, 2, a.exchanges(), "it is not renewed again")
	store.set(func() { store.saveErr = nil })
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, a.exchanges())
	assert.Equal(t, *token, store.token)
	assert.True(t, a.works(t, token.AccessToken), "it was not lost")

	// the user signs in again while a token waits to be saved: what the application stored wins
	store.set(func() { store.saveErr = errDisk })
	a.srv.Advance(tenDays)
	_, err = src.Token(t.Context())
	require.ErrorIs(t, err, errDisk)
	newer := a.signIn(t)
	store.set(func() { store.saveErr, store.token = nil, *newer })
	token, err = src.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, newer, token)
	assert.Equal(t, *newer, store.token)
}

// TestEndedBeforeItsTime never gives out an access token that has ended with its refresh token, whatever fails next and
// whatever the clock says.
func TestEndedBeforeItsTime(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*app, *notes){
		"not saved": func(_ *app, store *notes) { store.saveErr = errDisk },
		"revoked":   func(a *app, store *notes) { _ = a.Revoke(context.Background(), &store.token) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var shift atomic.Int64
			a := newApp(t, func(a *app) {
				a.cfg.Clock = func() time.Time { return a.srv.Now().Add(time.Duration(shift.Load())) }
			})
			store := &notes{token: *a.signIn(t)}
			src := a.source(t, store)
			_, err := src.Token(t.Context())
			require.NoError(t, err)
			a.srv.Advance(tenDays - time.Minute)
			store.set(func() { spoil(a, store) })
			_, err = src.Token(t.Context())
			require.Error(t, err)
			shift.Store(int64(-time.Hour))
			_, err = src.Token(t.Context())
			require.Error(t, err, "the clock was set back")
			shift.Store(0)
			store.set(func() { store.loadErr = errDisk })
			_, err = src.Token(t.Context())
			require.ErrorIs(t, err, errDisk)
		})
	}
}

// TestStoreFails uses a good token on and does not call a failing store for each call.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	store := &notes{token: *a.signIn(t), loadErr: errDisk}
	src := a.source(t, store)
	_, err := src.Token(t.Context())
	require.ErrorIs(t, err, oauth.ErrStore)
	require.ErrorIs(t, err, errDisk)
	store.set(func() { store.loadErr = nil })
	_, err = src.Token(t.Context())
	require.NoError(t, err)
	store.set(func() { store.loadErr = errDisk })
	a.srv.Advance(tenDays - time.Minute)
	for range 3 {
		_, err = src.Token(t.Context())
		require.NoError(t, err)
	}
	assert.Equal(t, 3, store.loads)
	a.srv.Advance(time.Minute)
	_, err = src.Token(t.Context())
	require.ErrorIs(t, err, errDisk)

	store.set(func() { store.loadErr, store.onSave = nil, func(oauth.Token) { panic("secret") } })
	_, err = src.Token(t.Context())
	require.ErrorIs(t, err, oauth.ErrStore)
	assert.NotContains(t, err.Error(), "secret")
}

// TestNetworkFails uses a good token on while Polar cannot be reached.
func TestNetworkFails(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	token := a.signIn(t)
	src := a.source(t, oauth.NewMemoryStore(*token))
	_, err := src.Token(t.Context())
	require.NoError(t, err)
	a.srv.Advance(tenDays - 4*time.Minute)
	a.srv.Break("oauth2:request_token", 100, polartest.BadGateway(502))
	for range 5 {
		got, err := src.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, token, got)
	}
	assert.Equal(t, 2, a.exchanges(), "one attempt, then a pause")
	a.srv.Advance(30 * time.Second)
	_, err = src.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, a.exchanges())
	a.srv.Advance(4 * time.Minute)
	_, err = src.Token(t.Context())
	require.ErrorIs(t, err, polar.ErrServer)
	assert.NotErrorIs(t, err, oauth.ErrReauthorize, "the user cannot help")
	a.srv.Heal()
	got, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, token.AccessToken, got.AccessToken)
}

// TestLostAnswer is a renewal that Polar made and nobody heard of: the refresh token is used up.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	src := a.source(t, oauth.NewMemoryStore(*a.signIn(t)))
	a.srv.Advance(tenDays)
	a.srv.Break("oauth2:request_token", 1, polartest.LoseAnswer())
	_, err := src.Token(t.Context())
	require.ErrorIs(t, err, polar.ErrOutcomeUnknown)
	assert.NotErrorIs(t, err, oauth.ErrReauthorize)
	_, err = src.Token(t.Context())
	require.ErrorIs(t, err, oauth.ErrReauthorize)
	require.ErrorContains(t, err, "answer was lost")

	// and one that never got there
	src = a.source(t, oauth.NewMemoryStore(*a.signIn(t)))
	a.srv.Advance(tenDays)
	a.srv.Break("oauth2:request_token", 1, polartest.BadGateway(503))
	_, err = src.Token(t.Context())
	require.ErrorIs(t, err, polar.ErrOutcomeUnknown)
	_, err = src.Token(t.Context())
	require.NoError(t, err)
}

// TestRefused looks for a better token when Polar answers 401 before the token's time, and does not do so for ever.
func TestRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	token := a.signIn(t)
	store := &notes{token: *token}
	src := a.source(t, store)
	client, err := src.Client()
	require.NoError(t, err)
	list := func() error {
		_, err := client.Products.List(t.Context(), nil)
		return err
	}
	require.NoError(t, list())
	a.srv.Advance(time.Hour)

	// another process renews and saves
	other := a.source(t, oauth.NewMemoryStore(*token))
	a.srv.Advance(tenDays - time.Hour)
	newer, err := other.Token(t.Context())
	require.NoError(t, err)
	store.set(func() { store.token = *newer })
	require.NoError(t, list())
	assert.Equal(t, 2, a.exchanges(), "the other's token was found")

	// a token that ends without a reason is renewed, once
	a.srv.Advance(time.Hour)
	a.srv.RevokeToken(newer.AccessToken)
	require.ErrorIs(t, list(), polar.ErrUnauthorized)
	require.NoError(t, list())
	assert.Equal(t, 3, a.exchanges())

	// a refused token is not used on when it cannot be renewed
	a.srv.Advance(time.Hour)
	a.srv.RevokeToken(store.token.AccessToken)
	require.ErrorIs(t, list(), polar.ErrUnauthorized)
	store.set(func() { store.loadErr = errDisk })
	require.ErrorIs(t, list(), errDisk)
	store.set(func() { store.loadErr = nil })
	require.NoError(t, list())
	assert.Equal(t, 4, a.exchanges())

	// when even new tokens are refused, it is not the token
	a.srv.RevokeToken(store.token.AccessToken)
	for range 5 {
		require.ErrorIs(t, list(), polar.ErrUnauthorized)
	}
	assert.Equal(t, 4, a.exchanges())
	a.srv.Advance(31 * time.Second)
	require.NoError(t, list())
	assert.Equal(t, 5, a.exchanges())
}

// TestLateRefusal is a 401 to a token that has been replaced since: it says nothing about the new one.
func TestLateRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		renewals := 0
		c := faked(t, func(r *http.Request) (*http.Response, error) {
			switch {
			case r.URL.Path == "/v1/oauth2/token":
				renewals++
				return answer(200, fmt.Sprintf(`{"access_token":"a%d","refresh_token":"r%d","token_type":"Bearer","expires_in":864000}`, renewals, renewals)), nil
			case r.Header.Get("Authorization") == "Bearer a0":
				time.Sleep(10 * time.Second)
				return answer(401, `{"error":"invalid_token"}`), nil
			}
			return answer(200, `{"items":[],"pagination":{"total_count":0,"max_page":0}}`), nil
		})
		src, err := c.Source(oauth.NewMemoryStore(oauth.Token{AccessToken: "a0", RefreshToken: "r0", Expiry: time.Now().Add(12 * time.Second)}))
		require.NoError(t, err)
		client, err := src.Client()
		require.NoError(t, err)
		late := make(chan error)
		go func() {
			_, err := client.Products.List(t.Context(), nil)
			late <- err
		}()
		time.Sleep(9 * time.Second)
		_, err = client.Products.List(t.Context(), nil)
		require.NoError(t, err)
		require.ErrorIs(t, <-late, polar.ErrUnauthorized)
		time.Sleep(time.Minute)
		_, err = client.Products.List(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, 1, renewals)
	})
}

// TestClockMoves sets the clock back and forth.
func TestClockMoves(t *testing.T) {
	t.Parallel()
	var shift atomic.Int64
	a := newApp(t, nil)
	a.cfg.Clock = func() time.Time { return a.srv.Now().Add(time.Duration(shift.Load())) }
	moved, err := oauth.New(a.cfg)
	require.NoError(t, err)
	store := &notes{token: *a.signIn(t)}
	src, err := moved.Source(store)
	require.NoError(t, err)
	client, err := src.Client()
	require.NoError(t, err)
	_, err = client.Products.List(t.Context(), nil)
	require.NoError(t, err)

	shift.Store(int64(-20 * 24 * time.Hour)) // the token seems to live for long
	a.srv.Advance(tenDays)
	_, err = client.Products.List(t.Context(), nil)
	require.ErrorIs(t, err, polar.ErrUnauthorized)
	_, err = client.Products.List(t.Context(), nil)
	require.NoError(t, err, "the 401 made it renew")
	assert.Equal(t, 2, a.exchanges())

	shift.Store(int64(20 * 24 * time.Hour)) // it seems to have ended
	_, err = client.Products.List(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, 3, a.exchanges())
	shift.Store(0)
	for range 3 {
		_, err = client.Products.List(t.Context(), nil)
		require.NoError(t, err)
	}
	assert.Equal(t, 3, a.exchanges())
}

// refusing is a server that knows no refresh token.
func refusing(*http.Request) (*http.Response, error) {
	return answer(400, `{"error":"invalid_grant","error_description":"gone"}`), nil
}

// TestOtherProcessSavesLater finds the token of a process that was quicker at Polar and slower at the store.
func TestOtherProcessSavesLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := faked(t, refusing)
		store := &notes{token: oauth.Token{AccessToken: "a1", RefreshToken: "r1", Expiry: time.Now()}}
		src, err := c.Source(store)
		require.NoError(t, err)
		time.AfterFunc(700*time.Millisecond, func() {
			store.set(func() {
				store.token = oauth.Token{AccessToken: "a2", RefreshToken: "r2", Expiry: time.Now().Add(time.Hour)}
			})
		})
		begin := time.Now()
		token, err := src.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "a2", token.AccessToken)
		assert.Equal(t, time.Second, time.Since(begin))
		assert.Equal(t, 0, store.saves)
	})
}

// TestShortLives renews tokens that live shorter than the usual lead at half time, and not at each call.
func TestShortLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := faked(t, func(*http.Request) (*http.Response, error) {
			n++
			return answer(200, fmt.Sprintf(`{"access_token":"a%d","refresh_token":"r%d","token_type":"Bearer","expires_in":60}`, n, n)), nil
		})
		src, err := c.Source(oauth.NewMemoryStore(oauth.Token{RefreshToken: "r0"}))
		require.NoError(t, err)
		for range 60 {
			_, err := src.Token(t.Context())
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 2, n)
	})
}

// TestRefreshTokenStays keeps what an answer leaves out.
func TestRefreshTokenStays(t *testing.T) {
	t.Parallel()
	c := faked(t, func(*http.Request) (*http.Response, error) {
		return answer(200, `{"access_token":"a2","token_type":"Bearer","expires_in":600,"scope":"openid"}`), nil
	})
	store := &notes{token: oauth.Token{AccessToken: "a1", RefreshToken: "r1", IDToken: "id", Expiry: time.Now()}}
	src, err := c.Source(store)
	require.NoError(t, err)
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "a2", token.AccessToken)
	assert.Equal(t, "r1", store.token.RefreshToken)
	assert.Equal(t, "id", store.token.IDToken)
}

// TestRefusedClient is not about the user: the secret of the application is wrong.
func TestRefusedClient(t *testing.T) {
	t.Parallel()
	c := faked(t, func(*http.Request) (*http.Response, error) { return answer(401, `{"error":"invalid_client"}`), nil })
	src, err := c.Source(oauth.NewMemoryStore(oauth.Token{AccessToken: "a1", RefreshToken: "r1", Expiry: time.Now()}))
	require.NoError(t, err)
	for range 2 {
		_, err = src.Token(t.Context())
		require.ErrorIs(t, err, polar.ErrorName("invalid_client"))
		assert.False(t, errors.Is(err, oauth.ErrReauthorize))
	}
}
