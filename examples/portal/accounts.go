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
)

// accounts knows who is signed in. People sign in with a link that works once.
type accounts struct {
	mu       sync.Mutex
	invited  map[string]string // users by code
	sessions map[string]session
}

type session struct {
	user  string
	until time.Time
}

func newAccounts() *accounts {
	return &accounts{invited: map[string]string{}, sessions: map[string]session{}}
}

// invite returns a code for a user to sign in with.
func (a *accounts) invite(user string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	code := rand.Text()
	a.invited[code] = user
	return code
}

// signIn takes a code, once, and remembers the browser.
func (a *accounts) signIn(w http.ResponseWriter, code string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	user, ok := a.invited[code]
	if !ok {
		return false
	}
	delete(a.invited, code)
	id := rand.Text()
	a.sessions[id] = session{user, time.Now().Add(sessionTime)}
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
	if !time.Now().Before(s.until) {
		delete(a.sessions, cookie.Value)
		return polarhttp.Customer{}, nil
	}
	return polarhttp.Customer{ExternalID: s.user}, nil
}
