package main

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"github.com/polar-go/polar/polarhttp"
)

const (
	sessionCookie = "session"
	sessionTime   = 12 * time.Hour
	inviteTime    = time.Hour
)

// accounts knows who is signed in. People sign in with a link that works once, for an hour. A real site has this in its
// database.
type accounts struct {
	now      func() time.Time
	mu       sync.Mutex
	invited  map[string]session // by code
	sessions map[string]session
}

type session struct {
	user  string
	until time.Time
}

func newAccounts() *accounts {
	return &accounts{now: time.Now, invited: map[string]session{}, sessions: map[string]session{}}
}

// invite returns a code for a user to sign in with.
func (a *accounts) invite(user string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	code := rand.Text()
	a.invited[code] = session{user, a.now().Add(inviteTime)}
	return code
}

// signIn takes a code, once, and remembers the browser.
func (a *accounts) signIn(w http.ResponseWriter, code string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	invited := a.invited[code]
	delete(a.invited, code)
	if !a.now().Before(invited.until) {
		return false
	}
	id := rand.Text()
	a.sessions[id] = session{invited.user, a.now().Add(sessionTime)}
	http.SetCookie(w, &http.Cookie{ // Secure: true where the site has https
		Name: sessionCookie, Value: id, Path: "/", MaxAge: int(sessionTime.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return true
}

// customer tells who sent a request. Polar knows users by the ids that they have here.
func (a *accounts) customer(r *http.Request) (polarhttp.Customer, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return polarhttp.Customer{}, nil // nobody
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sessions[cookie.Value]
	if !a.now().Before(s.until) {
		delete(a.sessions, cookie.Value)
		return polarhttp.Customer{}, nil
	}
	return polarhttp.Customer{ExternalID: s.user}, nil
}
