package main

import (
	"context"
	"crypto/rand"
	"errors"
	"html/template"
	"log"
	"net/http"
	"sync"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/oauth"
)

// site is the application: its pages, and who is connected. A real one has accounts of its own and keeps the tokens in its
// database, encrypted; here a session is all that there is, and everything is gone when the program ends.
type site struct {
	app *oauth.Client

	mu       sync.Mutex
	accounts map[string]*account // by session
}

// account is a merchant who is connected.
type account struct {
	source *oauth.Source
	polar  *polar.Client
}

const sessionCookie = "session"

// newSite returns the pages.
func newSite(app *oauth.Client) (http.Handler, error) {
	s := &site{app: app, accounts: map[string]*account{}}
	login, callback, err := app.Handlers(s.connected)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.Handle("GET /polar/login", login)
	mux.Handle("GET /polar/callback", callback)
	mux.HandleFunc("POST /polar/disconnect", s.disconnect)
	return http.NewCrossOriginProtection().Handler(mux), nil // a form of another site cannot disconnect
}

// connected ends a sign-in. It begins a new session, so that nobody can prepare one for somebody else.
func (s *site) connected(w http.ResponseWriter, r *http.Request, t *oauth.Token, err error) {
	switch {
	case errors.Is(err, oauth.ErrDenied):
		s.show(w, http.StatusOK, page{Message: "You did not allow the access. Nothing was connected."})
		return
	case errors.Is(err, oauth.ErrState):
		s.show(w, http.StatusBadRequest, page{Message: "This sign-in was not begun in this browser, or too long ago. Please try again."})
		return
	case err != nil:
		log.Print(err)
		s.show(w, http.StatusBadGateway, page{Message: "Connecting did not work. Please try again."})
		return
	}
	a := &account{}
	if a.source, err = s.app.Source(oauth.NewMemoryStore(*t)); err == nil {
		a.polar, err = a.source.Client()
	}
	if err != nil {
		log.Print(err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	id := rand.Text()
	s.mu.Lock()
	s.accounts[id] = a
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}) // and Secure, with https
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// account returns the account of the request's session, or nil.
func (s *site) account(r *http.Request) (a *account, session string) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[cookie.Value], cookie.Value
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	a, session := s.account(r)
	if a == nil {
		s.show(w, http.StatusOK, page{Message: "Connect your Polar account to see your report."})
		return
	}
	report, err := makeReport(r.Context(), a.polar)
	switch {
	case errors.Is(err, oauth.ErrReauthorize):
		s.forget(session)
		s.show(w, http.StatusOK, page{Message: "Polar does not let us read your account any more. Please connect again."})
	case err != nil:
		log.Print(err)
		s.show(w, http.StatusBadGateway, page{Message: "Polar cannot be asked at the moment. Please try again in a minute.", Connected: true})
	default:
		s.show(w, http.StatusOK, page{Report: report, Connected: true})
	}
}

// disconnect ends the access at Polar, not only here.
func (s *site) disconnect(w http.ResponseWriter, r *http.Request) {
	if a, session := s.account(r); a != nil {
		t, err := a.source.Token(r.Context())
		if err == nil {
			err = s.app.Revoke(r.Context(), t)
		}
		if err != nil && !errors.Is(err, oauth.ErrReauthorize) { // which means that it has ended already
			log.Print(err)
			s.show(w, http.StatusBadGateway, page{Message: "Disconnecting did not work. Please try again.", Connected: true})
			return
		}
		s.forget(session)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) forget(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.accounts, session)
}

// report is what the application is for.
type report struct {
	Organizations []organization
}

type organization struct {
	Name     string
	Products []string
}

// makeReport reads what the merchant allowed: the organizations that were chosen on Polar's page, each with its products.
func makeReport(ctx context.Context, client *polar.Client) (*report, error) {
	out := &report{}
	for o, err := range client.Organizations.All(ctx, nil) {
		if err != nil {
			return nil, err
		}
		item := organization{Name: o.Name}
		params := &polar.ProductListParams{OrganizationID: []string{o.ID}, Sorting: []models.ProductSort{models.ProductSortName}}
		for p, err := range client.Products.All(ctx, params) {
			if err != nil {
				return nil, err
			}
			item.Products = append(item.Products, p.Name)
		}
		out.Organizations = append(out.Organizations, item)
	}
	return out, nil
}

type page struct {
	Message   string
	Report    *report
	Connected bool
}

var pageTemplate = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Acme Reports</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem;color:#1c1c1f}
a.button,button{font:inherit;border:0;border-radius:.4rem;padding:.5rem 1rem;background:#1c1c1f;color:#fff;text-decoration:none;cursor:pointer}</style>
<h1>Acme Reports</h1>
{{with .Message}}<p id="message">{{.}}</p>{{end}}
{{with .Report}}{{range .Organizations}}<h2>{{.Name}}</h2>
<ul>{{range .Products}}<li>{{.}}</li>{{else}}<li>Nothing for sale yet.</li>{{end}}</ul>
{{end}}{{end}}
{{if .Connected}}<form method="post" action="/polar/disconnect"><button>Disconnect</button></form>
{{else}}<p><a class="button" href="/polar/login">Connect with Polar</a></p>{{end}}
</html>
`))

func (s *site) show(w http.ResponseWriter, status int, p page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := pageTemplate.Execute(w, p); err != nil {
		log.Print(err)
	}
}
