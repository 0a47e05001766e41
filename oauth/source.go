package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/internal/ended"
	"github.com/polar-go/polar/models"
)

// Store keeps the token of one user: a row of a database, a file, a secret manager. A [Source] never calls two methods of
// its Store at once.
type Store interface {
	// Load returns the token as it was saved last; a copy that lags behind will not do. It is called before each
	// renewal, since another process may have renewed the token meanwhile. A Token without tokens is none.
	Load(ctx context.Context) (Token, error)
	// Save replaces the token. When it is called, the token before has ended already and the new one is nowhere else, so
	// it has to be durable when Save returns. Its context does not end with the call that needed the token.
	Save(ctx context.Context, t Token) error
}

// NewMemoryStore returns a [Store] that keeps a token in memory only, for tests and for programs that end before the user
// would mind signing in again.
func NewMemoryStore(t Token) Store { return &memoryStore{token: func() Token { return t }} }

type memoryStore struct {
	mu    sync.Mutex
	token func() Token // a function prints as an address
}

func (m *memoryStore) Load(context.Context) (Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.token(), nil
}

func (m *memoryStore) Save(_ context.Context, t Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token = func() Token { return t }
	return nil
}

const (
	// renewBefore is how long before its end an access token is renewed.
	renewBefore = 5 * time.Minute
	// renewAgain is the pause after a failed renewal while the access token is still good, and after a refused one.
	renewAgain = 30 * time.Second
	// renewTime limits a renewal with everything that belongs to it.
	renewTime = 2 * time.Minute
)

// lookAgain are the pauses before the store is read again after Polar refused the refresh token: another process that was
// quicker may not have saved its token yet.
var lookAgain = []time.Duration{0, 200 * time.Millisecond, 800 * time.Millisecond}

// Source gives out the access token of one user and renews it in time. It is made by [Client.Source] and safe for
// concurrent use: however many calls need a new token at once, one renewal serves them all.
//
// A refresh token works once, and Polar ends the access token that belongs to it at the same moment. So a new token is
// saved in the [Store] before anybody gets it. When saving fails, calls end with [ErrStore], the token stays in memory, and
// each further call first tries to save it again.
//
// A renewal that fails for another reason than a refused refresh token is no error as long as the access token is good: it
// is used on, and the renewal tried again half a minute later. When the answer of a renewal was lost
// ([polar.ErrOutcomeUnknown]), nobody knows whether the refresh token still works; the next renewal finds out.
//
// Several processes may share a Store. Each reads it before it renews, and once more, for a second, when Polar refuses
// the refresh token. Two that renew in the same moment get by: one of them fails at Polar and finds the other's token.
type Source struct {
	client *Client
	store  Store
	mu     sync.Mutex
	state  func() *sourceState // always the same; a function, so that a Source prints without tokens
}

type sourceState struct {
	current Token     // of the store
	unsaved *Token    // got from Polar and not saved yet
	got     time.Time // when Polar gave current to this Source; zero for one that was found in the store
	renewAt time.Time // when to renew it, even though it may still be usable
	refused bool      // a call with current was answered with 401
	dead    bool      // Polar does not accept the refresh token of current any more
	lost    bool      // the answer of a renewal of current was lost
	flight  *flight
}

// flight is a renewal under way.
type flight struct {
	done  chan struct{}
	token Token
	err   error
}

// Source returns the source of the token in a store. It does not read the store yet.
func (c *Client) Source(store Store) (*Source, error) {
	if store == nil {
		return nil, fail(ErrConfig, "the store is nil: use NewMemoryStore for a token that need not outlive the process")
	}
	st := &sourceState{}
	return &Source{client: c, store: store, state: func() *sourceState { return st }}, nil
}

// Token returns a token whose access token is good, renewing it if need be. The error is [ErrReauthorize] when only the
// user can help. The context limits the waiting, not the renewal, which goes on for those that come later.
func (s *Source) Token(ctx context.Context) (*Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, failWith("", "get a token", ended.Why(ctx))
	}
	s.mu.Lock()
	st := s.state()
	if now := s.client.now(); st.fresh(now) {
		t := st.current
		s.mu.Unlock()
		return t.clone(), nil
	}
	f := st.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		st.flight = f
		go s.fly(context.WithoutCancel(ctx), f)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		if f.err != nil {
			return nil, f.err
		}
		return f.token.clone(), nil
	case <-ctx.Done():
		return nil, failWith("", "wait for a token", ended.Why(ctx))
	}
}

// clone returns a copy that shares nothing with t.
func (t Token) clone() *Token {
	t.Scopes = slices.Clone(t.Scopes)
	return &t
}

// Credential returns the source as a credential for [polar.New]. The client of [Source.Client] also notices when Polar
// refuses a token before its time.
func (s *Source) Credential() polar.Credential {
	return polar.TokenFunc(func(ctx context.Context) (string, error) {
		t, err := s.Token(ctx)
		if err != nil {
			return "", err
		}
		if used, ok := ctx.Value(usedKey{}).(*string); ok {
			*used = t.AccessToken
		}
		return t.AccessToken, nil
	})
}

// Client returns a client of Polar's API that acts for the user, on the same server as s. The options come after those of
// [New]. When Polar answers 401 to a token, because another process renewed it or the clock of this machine went wrong, the
// call fails, and the next one looks for a newer token in the store or renews it.
//
// A user's token may reach several organizations: name one with [polar.WithOrganization].
func (s *Source) Client(opts ...polar.Option) (*polar.Client, error) {
	all := slices.Concat(s.client.options, opts, []polar.Option{polar.WithBaseURL(s.client.base.String()), polar.WithMiddleware(s.watch)})
	return polar.New(s.Credential(), all...)
}

type usedKey struct{}

// watch notices that Polar refuses the current token.
func (s *Source) watch(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		used := new(string)
		resp, err := next.RoundTrip(req.WithContext(context.WithValue(req.Context(), usedKey{}, used)))
		if err == nil && resp.StatusCode == http.StatusUnauthorized && *used != "" {
			s.mu.Lock()
			if st := s.state(); *used == st.current.AccessToken {
				st.refused = true
			}
			s.mu.Unlock()
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// fresh reports whether the current token can be given out as it is. One that Polar has just given and refuses is no worse
// than what a renewal would bring: then the token is not what is wrong.
func (st *sourceState) fresh(now time.Time) bool {
	if st.unsaved != nil || st.dead || !st.current.usable(now) {
		return false
	}
	if st.refused && now.Sub(st.got).Abs() >= renewAgain {
		return false
	}
	return st.renewAt.IsZero() || now.Before(st.renewAt)
}

// adopt makes t, which is in the store, the current token.
func (st *sourceState) adopt(t Token, now time.Time) {
	*st = sourceState{current: t, flight: st.flight}
	if !t.Expiry.IsZero() {
		// a token that lives no longer than the usual lead is used for half its time
		st.renewAt = t.Expiry.Add(-min(renewBefore, t.Expiry.Sub(now)/2))
	}
}

// fly makes a renewal and tells those that wait.
func (s *Source) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	f.err = fail(ErrStore, "the store panicked") // unless it returns
	defer func() {
		_ = recover() // its value may hold anything, so it is not repeated
		s.mu.Lock()
		s.state().flight = nil
		s.mu.Unlock()
		close(f.done)
	}()
	f.token, f.err = s.renew(ctx)
}

// renew finds a good token: in the store, or at Polar. It is called once at a time, and locks the state only while it
// reads or writes it.
func (s *Source) renew(ctx context.Context) (Token, error) {
	s.mu.Lock()
	st := *s.state()
	s.mu.Unlock()
	stored, err := s.load(ctx)
	if err != nil {
		return s.makeDo(err)
	}
	if st.unsaved != nil && stored.RefreshToken == st.current.RefreshToken {
		return s.save(ctx, *st.unsaved)
	}
	if st.unsaved != nil || stored.AccessToken != st.current.AccessToken || stored.RefreshToken != st.current.RefreshToken {
		st = s.adopt(stored)
	}
	now := s.client.now()
	switch {
	case st.fresh(now):
		return st.current, nil
	case st.current.AccessToken == "" && st.current.RefreshToken == "":
		return Token{}, fail(ErrReauthorize, "the store has no token")
	case st.current.RefreshToken == "" && st.current.usable(now) && !st.refused:
		return st.current, nil // to its end
	case st.current.RefreshToken == "":
		return Token{}, fail(ErrReauthorize, "the access token has ended and there is no refresh token")
	case st.dead:
		return Token{}, fail(ErrReauthorize, "Polar has refused the refresh token, and the store has no other")
	}
	out, err := s.client.api.OAuth2.Token(ctx, models.OAuth2RefreshTokenRequest{
		ClientID:     s.client.id,
		ClientSecret: s.client.optionalSecret(),
		RefreshToken: st.current.RefreshToken,
	})
	if grantClass(err) == ErrReauthorize {
		return s.lookAgain(ctx, st, err)
	}
	var next Token
	if err == nil {
		next, err = newToken(out, now)
	}
	if err != nil {
		if out != nil || errors.Is(err, polar.ErrOutcomeUnknown) {
			s.change(func(st *sourceState) { st.lost = true })
		}
		return s.makeDo(failWith("", "renew the token", err))
	}
	if next.RefreshToken == "" {
		next.RefreshToken = st.current.RefreshToken // RFC 6749, section 6: it stays the same
	}
	if next.IDToken == "" {
		next.IDToken = st.current.IDToken
	}
	s.change(func(st *sourceState) { st.unsaved = &next })
	return s.save(ctx, next)
}

// lookAgain looks for the token of another process that used the refresh token before.
func (s *Source) lookAgain(ctx context.Context, st sourceState, refusal error) (Token, error) {
	for _, pause := range lookAgain {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Token{}, failWith("", "look for the token of another process", ended.Why(ctx))
		}
		stored, err := s.load(ctx)
		if err != nil {
			return Token{}, err
		}
		if stored.RefreshToken != st.current.RefreshToken {
			s.adopt(stored)
			return s.renew(ctx)
		}
	}
	text := "Polar has refused the refresh token"
	if st.lost {
		text += ", which a renewal whose answer was lost may have used up"
	}
	s.change(func(st *sourceState) { st.dead = true }) // and the access token with it
	return Token{}, failWith(ErrReauthorize, text, refusal)
}

// makeDo uses the current token on after a failure, if it is good.
func (s *Source) makeDo(err error) (Token, error) {
	now := s.client.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.state(); st.unsaved == nil && st.current.usable(now) && !st.refused && !st.dead {
		st.renewAt = now.Add(renewAgain)
		return st.current, nil
	}
	return Token{}, err
}

func (s *Source) load(ctx context.Context) (Token, error) {
	t, err := s.store.Load(ctx)
	if err != nil {
		return Token{}, failWith(ErrStore, "load the token", err)
	}
	return *t.clone(), nil
}

func (s *Source) save(ctx context.Context, t Token) (Token, error) {
	if err := s.store.Save(ctx, *t.clone()); err != nil {
		return Token{}, failWith(ErrStore, "save the new token, which is kept in memory and saved by the next call", err)
	}
	now := s.client.now()
	s.adopt(t)
	s.change(func(st *sourceState) { st.got = now })
	return t, nil
}

// adopt makes t the current token and returns the state with it.
func (s *Source) adopt(t Token) (st sourceState) {
	s.change(func(x *sourceState) {
		x.adopt(t, s.client.now())
		st = *x
	})
	return st
}

func (s *Source) change(f func(*sourceState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.state())
}
