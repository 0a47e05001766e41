package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// user is somebody with an account. The ID is what Polar knows as the customer's
// external id: it never changes and is never given to anybody else.
type user struct {
	ID, Name, Email string

	salt, key []byte // of the password

	mu       sync.Mutex
	palettes []palette // the latest first
}

// keep remembers a palette.
func (u *user) keep(p palette) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.palettes = slices.Insert(u.palettes, 0, p)
	u.palettes = u.palettes[:min(len(u.palettes), 6)]
}

func (u *user) latest() []palette {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.palettes)
}

// Passwords are stretched, so that a stolen list of accounts does not give them away.
const (
	passwordRounds = 600_000
	passwordMin    = 8
	passwordMax    = 200
)

const (
	sessionCookie = "session"
	sessionTime   = 7 * 24 * time.Hour
)

// accounts are the users and who is signed in.
type accounts struct {
	rounds int
	secure bool // the shop is reached by https

	mu       sync.Mutex
	byEmail  map[string]*user
	sessions map[string]session // by the hash of the cookie
}

type session struct {
	user  *user
	until time.Time
}

func newAccounts(rounds int, secure bool) *accounts {
	return &accounts{rounds: rounds, secure: secure, byEmail: map[string]*user{}, sessions: map[string]session{}}
}

// formError is what somebody has to correct in a form.
type formError string

// Error is the text to show beside the form.
func (e formError) Error() string { return string(e) }

const errPassword = formError("The e-mail address or the password is not right.")

// signUp makes an account. Nothing proves that the address is the user's: before
// it is used for more than the checkout's form, send a link to it.
func (a *accounts) signUp(name, email, password string) (*user, error) {
	name, email = strings.TrimSpace(name), strings.TrimSpace(email)
	switch parsed, err := mail.ParseAddress(email); {
	case name == "" || utf8.RuneCountInString(name) > 100:
		return nil, formError("Please tell us your name, in at most 100 characters.")
	case err != nil || parsed.Address != email || len(email) > 254:
		return nil, formError("Please look at the e-mail address again.")
	case len(password) < passwordMin || len(password) > passwordMax:
		return nil, formError("A password has 8 to 200 characters.")
	}
	u := &user{ID: "user_" + rand.Text(), Name: name, Email: email, salt: make([]byte, 16)}
	_, _ = rand.Read(u.salt) // never fails
	var err error
	if u.key, err = a.stretch(password, u.salt); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := strings.ToLower(email)
	if a.byEmail[key] != nil {
		return nil, formError("There is an account with this e-mail address already. Sign in instead.")
	}
	a.byEmail[key] = u
	return u, nil
}

// signIn finds an account. It takes as long for an address that nobody has.
func (a *accounts) signIn(email, password string) (*user, error) {
	a.mu.Lock()
	u := a.byEmail[strings.ToLower(strings.TrimSpace(email))]
	a.mu.Unlock()
	if len(password) > passwordMax {
		return nil, errPassword
	}
	known := u
	if known == nil {
		known = &user{salt: make([]byte, 16)}
	}
	key, err := a.stretch(password, known.salt)
	if err != nil {
		return nil, err
	}
	if u == nil || subtle.ConstantTimeCompare(key, u.key) == 0 {
		return nil, errPassword
	}
	return u, nil
}

func (a *accounts) stretch(password string, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, a.rounds, 32)
}

// open signs a user in on this browser.
func (a *accounts) open(w http.ResponseWriter, r *http.Request, u *user) {
	a.end(r)
	token, now := rand.Text(), time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, s := range a.sessions {
		if now.After(s.until) {
			delete(a.sessions, id)
		}
	}
	a.sessions[hashed(token)] = session{user: u, until: now.Add(sessionTime)}
	http.SetCookie(w, a.cookie(token, int(sessionTime.Seconds())))
}

// close signs the user of this browser out.
func (a *accounts) close(w http.ResponseWriter, r *http.Request) {
	a.end(r)
	http.SetCookie(w, a.cookie("", -1))
}

// end forgets the session of a request.
func (a *accounts) end(r *http.Request) {
	if c, err := r.Cookie(sessionCookie); err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.sessions, hashed(c.Value))
	}
}

// cookie holds the session. Lax, because the way back from the checkout comes from
// another site.
func (a *accounts) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode}
}

// of is who is signed in, nil if nobody is.
func (a *accounts) of(r *http.Request) *user {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.sessions[hashed(c.Value)]
	if !ok || time.Now().After(s.until) {
		return nil
	}
	return s.user
}

func hashed(token string) string {
	sum := sha256.Sum256([]byte(token))
	return string(sum[:])
}

type userKey struct{}

// identify puts the user into the request's context.
func (a *accounts) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u := a.of(r); u != nil {
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, u))
		}
		next.ServeHTTP(w, r)
	})
}

// userOf is who is signed in, nil if nobody is.
func userOf(r *http.Request) *user {
	u, _ := r.Context().Value(userKey{}).(*user)
	return u
}
