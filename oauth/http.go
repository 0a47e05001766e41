package oauth

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/polar-go/polar/internal/jsonx"
)

// attemptAge is how long a browser keeps an attempt: as long as Polar's codes live.
const attemptAge = 10 * 60 // seconds

// Handlers returns the two pages of a sign-in. The first one begins it: it keeps the [Attempt] in a cookie and sends the
// browser to Polar; link to it, as in "Sign in with Polar". The second one belongs at the path of Config.RedirectURL. It calls
// done with the token, or with the error of [Client.Finish], and done writes the answer: it should store the token for the
// user who is signed in, and redirect, so that the address with the code does not stay in the browser.
//
// Who the user of the application is, done has to know itself, from a session that began before. An application whose
// users sign in with Polar asks OAuth2.UserInfo with a client of [Source.Client], and begins a new session.
//
// Both pages have to be on the host of Config.RedirectURL, since the cookie is for that host only. It is not readable for
// scripts, is sent to https only (unless the redirect URL is http on this machine), and ends after ten minutes. A browser
// has one: of two sign-ins begun at the same time the later one counts.
func (c *Client) Handlers(done func(w http.ResponseWriter, r *http.Request, t *Token, err error)) (login, callback http.Handler, err error) {
	if done == nil {
		return nil, nil, fail(ErrConfig, "the function for the end of a sign-in is nil")
	}
	if !strings.HasPrefix(c.redirectURL, "http") {
		return nil, nil, fail(ErrConfig, "RedirectURL has a scheme that no HTTP server answers: use Begin and Finish")
	}
	login = page(func(w http.ResponseWriter, r *http.Request) {
		address, attempt := c.Begin()
		data, err := jsonx.Marshal(attempt)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		http.SetCookie(w, c.cookie(base64.RawURLEncoding.EncodeToString(data), attemptAge))
		http.Redirect(w, r, address, http.StatusSeeOther)
	})
	callback = page(func(w http.ResponseWriter, r *http.Request) {
		var attempt Attempt // stays empty when there is no good cookie: Finish refuses that
		if cookie, err := r.Cookie(c.cookieName()); err == nil {
			if data, err := base64.RawURLEncoding.DecodeString(cookie.Value); err == nil {
				_ = jsonx.Unmarshal(data, &attempt)
			}
		}
		http.SetCookie(w, c.cookie("", -1))
		t, err := c.Finish(r.Context(), attempt, r.URL.Query())
		done(w, r, t, err)
	})
	return login, callback, nil
}

// page refuses what browsers do not send when they follow a link, and keeps code and state to this answer.
func page(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		h(w, r)
	})
}

func (c *Client) overHTTPS() bool { return strings.HasPrefix(c.redirectURL, "https:") }

// cookieName is a name that browsers take only from this very host over https, where that can be.
func (c *Client) cookieName() string {
	if c.overHTTPS() {
		return "__Host-polar_oauth"
	}
	return "polar_oauth"
}

func (c *Client) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{
		Name:     c.cookieName(),
		Value:    value,
		Path:     "/",
		MaxAge:   age,
		Secure:   c.overHTTPS(),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // the callback is a link from Polar's site
	}
}
