package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/ingest"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polarhttp"
	"github.com/polar-go/polar/polartest"
	"github.com/polar-go/polar/webhooks"
)

const (
	webhookPath = "/webhooks/polar"

	checkoutWait = 5 * time.Second  // for a checkout to be final, on the page after it
	invoiceWait  = 20 * time.Second // for an invoice to be made
	formSize     = 64 << 10
)

// shopConfig is what a shop is made of.
type shopConfig struct {
	Client     *polar.Client
	Assortment assortment
	Secret     string            // of the webhook endpoint
	URL        string            // at which browsers reach the shop
	Demo       *polartest.Server // the Polar server inside the program, nil with a real one
	Rounds     int               // of stretching passwords; the default is right outside of tests
}

// shop serves the pages.
type shop struct {
	client   *polar.Client
	sells    assortment
	url      string
	demo     *polartest.Server
	accounts *accounts
	gate     *polarhttp.Gate
	portal   http.Handler
	usage    *ingest.Ingester
	router   *webhooks.Router
	received *webhookLog
	offers   atomic.Pointer[[]offer] // read anew when a webhook says that they changed
}

func newShop(ctx context.Context, cfg shopConfig) (*shop, error) {
	s := &shop{client: cfg.Client, sells: cfg.Assortment, url: cfg.URL, demo: cfg.Demo, received: new(webhookLog)}
	s.accounts = newAccounts(cmp.Or(cfg.Rounds, passwordRounds), strings.HasPrefix(cfg.URL, "https:"))
	now := time.Now
	if s.demo != nil {
		now = s.demo.Now // months pass at the push of a button
	}
	var err error
	signIn := polarhttp.WithSignIn(http.HandlerFunc(toSignIn))
	s.gate, err = polarhttp.NewGate(s.client, s.customer, signIn, polarhttp.WithClock(now),
		polarhttp.WithDenied(s.page(s.denied)), polarhttp.WithUnavailable(http.HandlerFunc(s.unavailable)))
	if err != nil {
		return nil, err
	}
	s.portal, err = polarhttp.CustomerPortal(s.client, s.customer, signIn, polarhttp.WithOrigin(s.url), polarhttp.WithReturnURL("/account"), polarhttp.WithErrorHandler(s.noPortal))
	if err != nil {
		return nil, err
	}
	if s.router, err = s.newRouter(cfg.Secret, now); err != nil {
		return nil, err
	}
	if err := s.readOffers(ctx); err != nil {
		return nil, err
	}
	s.usage, err = ingest.New(s.client, ingest.WithInterval(time.Second), // soon enough for the meter on the page
		ingest.OnRejected(func(e *ingest.RejectedError) { slog.Error("usage was refused", "error", e) }),
		ingest.OnError(func(err error) { slog.Error("usage", "error", err) }))
	return s, err
}

// close sends the usage that waits.
func (s *shop) close(ctx context.Context) error { return s.usage.Close(ctx) }

// readOffers reads the price list, which is kept: a page that anybody may open as
// often as they like should not ask Polar each time.
func (s *shop) readOffers(ctx context.Context) error {
	list, err := offers(ctx, s.client)
	if err != nil {
		return fmt.Errorf("read the price list: %w", err)
	}
	s.offers.Store(&list)
	return nil
}

// customer tells the gate and the portal who asks.
func (s *shop) customer(r *http.Request) (polarhttp.Customer, error) {
	if u := userOf(r); u != nil {
		return polarhttp.Customer{ExternalID: u.ID}, nil
	}
	return polarhttp.Customer{}, nil
}

// handler is the whole site.
func (s *shop) handler() http.Handler {
	subscribers := s.gate.Require(polarhttp.Benefit(s.sells.Palettes))
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.page(s.home))
	mux.Handle("GET /sign-up", s.page(s.signUpForm))
	mux.Handle("POST /sign-up", s.page(s.signUp))
	mux.Handle("GET /sign-in", s.page(s.signInForm))
	mux.Handle("POST /sign-in", s.page(s.signIn))
	mux.Handle("POST /sign-out", s.page(s.signOut))
	mux.Handle("POST /checkout", s.member(s.checkout))
	mux.Handle("GET /success", s.member(s.success))
	mux.Handle("GET /account", s.member(s.account))
	mux.Handle("POST /plan", s.member(s.changePlan))
	mux.Handle("POST /orders/{id}/invoice", s.member(s.invoice))
	mux.Handle("POST /portal", s.portal)
	mux.Handle("GET /palettes", subscribers(s.page(s.palettes)))
	mux.Handle("POST /palettes", subscribers(s.page(s.makePalette)))
	mux.Handle("GET /webhooks", s.page(s.webhooks))
	mux.Handle("POST "+webhookPath, s.router)
	if s.demo != nil {
		mux.Handle("POST /demo/month", s.page(s.month))
	}
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.Handle("/", s.page(s.notFound))
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(s.page(s.foreign))
	return s.recovered(secured(s.accounts.identify(sameOrigin.Handler(mux))))
}

// page makes a handler of a function that may fail.
func (s *shop) page(f func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formSize)
		if err := f(w, r); err != nil {
			s.failed(w, r, err)
		}
	})
}

// member is page for those who are signed in.
func (s *shop) member(f func(w http.ResponseWriter, r *http.Request, u *user) error) http.Handler {
	return s.page(func(w http.ResponseWriter, r *http.Request) error {
		u := userOf(r)
		if u == nil {
			toSignIn(w, r)
			return nil
		}
		return f(w, r, u)
	})
}

// toSignIn leads to the page to sign in, and back afterwards if it was a page that
// the visitor wanted to see.
func toSignIn(w http.ResponseWriter, r *http.Request) {
	q := url.Values{}
	if r.Method == http.MethodGet {
		q.Set("next", r.URL.RequestURI())
	}
	http.Redirect(w, r, "/sign-in?"+q.Encode(), http.StatusSeeOther)
}

// recovered shows the page about errors for a mistake in the program, too.
func (s *shop) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				s.failed(w, r, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// secured sets the headers of all answers. The pages have no scripts and load
// nothing from elsewhere. form-action is left open: a form may lead to Polar.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // pages are about who is signed in
		next.ServeHTTP(w, r)
	})
}

// failed shows the page for what is not the visitor's fault.
func (s *shop) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for an answer
	}
	slog.ErrorContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "error", err)
	s.message(w, r, http.StatusInternalServerError, "Something went wrong",
		"We could not do that just now, and we have been told. Nothing was lost: please try again in a moment.")
}

func (s *shop) notFound(w http.ResponseWriter, r *http.Request) error {
	s.message(w, r, http.StatusNotFound, "There is no such page", "The address may have a mistake in it, or the page was moved.")
	return nil
}

// foreign answers forms that another site has sent in the name of the visitor.
func (s *shop) foreign(w http.ResponseWriter, r *http.Request) error {
	s.message(w, r, http.StatusForbidden, "This form comes from another site", "Nothing was done. Please use the forms on our own pages.")
	return nil
}

// denied is what the gate answers those who have not subscribed.
func (s *shop) denied(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusForbidden, "denied", view{Title: "This needs a plan"})
}

// unavailable is what the gate answers when it cannot know: Polar is out of reach.
func (s *shop) unavailable(w http.ResponseWriter, r *http.Request) {
	s.message(w, r, http.StatusServiceUnavailable, "We cannot look up your plan", "Our payment provider does not answer at the moment. Please try again in a minute.")
}

// noPortal is shown when there is no way to the portal. The reason was logged.
func (s *shop) noPortal(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, polarhttp.ErrUnknownCustomer) {
		s.message(w, r, http.StatusNotFound, "You have not bought anything yet", "The billing portal opens with your first plan.")
		return
	}
	s.message(w, r, polarhttp.StatusCode(err), "The billing portal cannot be opened", "Our payment provider does not answer at the moment. Please try again in a minute.")
}

// home is the page with the prices.
func (s *shop) home(w http.ResponseWriter, r *http.Request) error {
	body := homeView{Offers: *s.offers.Load()}
	for _, word := range []string{"fjord", "papaya", "rosehip"} {
		body.Samples = append(body.Samples, newPalette(word))
	}
	if u := userOf(r); u != nil {
		state, err := s.gate.State(r.Context(), polarhttp.Customer{ExternalID: u.ID})
		switch {
		case err == nil && len(state.ActiveSubscriptions) > 0:
			body.Current = state.ActiveSubscriptions[0].ProductID
		case err != nil && !errors.Is(err, polarhttp.ErrUnknownCustomer):
			slog.WarnContext(r.Context(), "the customer's state", "error", err) // the prices are good without it
		}
	}
	return s.render(w, r, http.StatusOK, "home", view{Title: "Colour palettes from a word", Body: body})
}

// accountForm is what the forms to sign up and to sign in hold.
func accountForm(r *http.Request) formView {
	return formView{Name: r.FormValue("name"), Email: r.FormValue("email"), Plan: r.FormValue("plan"), Next: local(r.FormValue("next"), "")}
}

func (s *shop) signUpForm(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, "sign-up", view{Title: "Create an account", Body: accountForm(r)})
}

func (s *shop) signInForm(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, "sign-in", view{Title: "Sign in", Body: accountForm(r)})
}

func (s *shop) signUp(w http.ResponseWriter, r *http.Request) error {
	u, err := s.accounts.signUp(r.FormValue("name"), r.FormValue("email"), r.PostFormValue("password"))
	if e, ok := errors.AsType[formError](err); ok {
		return s.render(w, r, http.StatusUnprocessableEntity, "sign-up", view{Title: "Create an account", Error: e.Error(), Body: accountForm(r)})
	} else if err != nil {
		return err
	}
	return s.welcome(w, r, u)
}

func (s *shop) signIn(w http.ResponseWriter, r *http.Request) error {
	u, err := s.accounts.signIn(r.FormValue("email"), r.PostFormValue("password"))
	if e, ok := errors.AsType[formError](err); ok {
		return s.render(w, r, http.StatusUnprocessableEntity, "sign-in", view{Title: "Sign in", Error: e.Error(), Body: accountForm(r)})
	} else if err != nil {
		return err
	}
	return s.welcome(w, r, u)
}

// welcome goes on with what the user wanted before signing in.
func (s *shop) welcome(w http.ResponseWriter, r *http.Request, u *user) error {
	s.accounts.open(w, r, u)
	if r.FormValue("plan") != "" {
		return s.checkout(w, r, u)
	}
	http.Redirect(w, r, local(r.FormValue("next"), "/account"), http.StatusSeeOther)
	return nil
}

func (s *shop) signOut(w http.ResponseWriter, r *http.Request) error {
	s.accounts.close(w, r)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// local is an address on this site to go to, or otherwise when it leads elsewhere.
func local(address, otherwise string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.Contains(address, `\`) {
		return otherwise
	}
	return address
}

// offered finds a plan of the price list: nothing else can be bought, whatever a
// form says.
func (s *shop) offered(id string) (offer, bool) {
	for _, o := range *s.offers.Load() {
		if o.ID == id {
			return o, true
		}
	}
	return offer{}, false
}

// checkout sends the user to Polar to pay. The customer at Polar gets the user's id
// as its external id, so nothing has to be looked up when the webhooks come.
func (s *shop) checkout(w http.ResponseWriter, r *http.Request, u *user) error {
	plan, ok := s.offered(r.FormValue("plan"))
	if !ok {
		return s.notFound(w, r)
	}
	sub, err := s.subscription(r.Context(), u)
	if err != nil {
		return err
	}
	if sub != nil { // one plan is enough
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	session, err := s.client.Checkouts.Create(r.Context(), models.CheckoutCreate{
		Products:            []string{plan.ID},
		ExternalCustomerID:  &u.ID,
		CustomerEmail:       &u.Email,
		CustomerName:        &u.Name,
		CustomerBillingName: &u.Name,
		SuccessURL:          new(s.url + "/success?checkout_id={CHECKOUT_ID}"),
		ReturnURL:           new(s.url + "/#plans"),
	})
	if err != nil {
		return fmt.Errorf("create the checkout: %w", err)
	}
	http.Redirect(w, r, session.URL, http.StatusSeeOther)
	return nil
}

// success is where Polar sends the user after the checkout. That alone proves
// nothing: anybody can open this page. It waits until the checkout is final, and
// says that the plan is active when the gate knows it, which takes a webhook.
func (s *shop) success(w http.ResponseWriter, r *http.Request, u *user) error {
	ctx, cancel := context.WithTimeout(r.Context(), checkoutWait)
	defer cancel()
	session, err := s.client.Checkouts.Wait(ctx, r.FormValue("checkout_id"))
	switch {
	case errors.Is(err, polar.ErrNotFound), errors.Is(err, polar.ErrValidation), r.FormValue("checkout_id") == "":
		return s.notFound(w, r)
	case errors.Is(err, context.DeadlineExceeded):
		return s.waiting(w, r, "Your payment is being processed")
	case err != nil:
		return fmt.Errorf("wait for the checkout: %w", err)
	case session.ExternalCustomerID == nil || *session.ExternalCustomerID != u.ID:
		return s.notFound(w, r) // somebody else's
	case session.Status != models.CheckoutStatusSucceeded:
		s.message(w, r, http.StatusOK, "The payment did not succeed", "Nothing was charged. You can choose a plan again whenever you like.")
		return nil
	}
	state, err := s.gate.State(r.Context(), polarhttp.Customer{ExternalID: u.ID})
	if err != nil && !errors.Is(err, polarhttp.ErrUnknownCustomer) {
		return fmt.Errorf("the customer's state: %w", err)
	}
	if err != nil || state.Benefit(s.sells.Palettes) == nil {
		return s.waiting(w, r, "Thank you, your payment has arrived")
	}
	return s.render(w, r, http.StatusOK, "success", view{Title: "Your plan is active", Body: successView{Active: true}})
}

// waiting is the page after the checkout until all is in place. It asks again by itself.
func (s *shop) waiting(w http.ResponseWriter, r *http.Request, title string) error {
	w.Header().Set("Refresh", "2")
	return s.render(w, r, http.StatusOK, "success", view{Title: title, Body: successView{}})
}

// subscription is the user's subscription, nil without one. One that waits for its
// payment counts; one that is over does not.
func (s *shop) subscription(ctx context.Context, u *user) (*models.Subscription, error) {
	for sub, err := range s.client.Subscriptions.All(ctx, &polar.SubscriptionListParams{ExternalCustomerID: []string{u.ID}}) {
		if err != nil {
			return nil, fmt.Errorf("read the subscriptions: %w", err)
		}
		if !sub.HasEnded() {
			return sub, nil
		}
	}
	return nil, nil
}

// changePlan moves the subscription to another plan. Polar settles what is left of
// the period.
func (s *shop) changePlan(w http.ResponseWriter, r *http.Request, u *user) error {
	plan, ok := s.offered(r.FormValue("plan"))
	if !ok {
		return s.notFound(w, r)
	}
	sub, err := s.subscription(r.Context(), u)
	if err != nil {
		return err
	}
	if sub != nil {
		_, err = s.client.Subscriptions.Update(r.Context(), sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(plan.ID)})
		if errors.Is(err, polar.ErrPaymentFailed) || errors.Is(err, polar.ErrAlreadyCanceledSubscription) || errors.Is(err, polar.ErrInactiveSubscription) {
			return s.showAccount(w, r, u, http.StatusConflict, "Your plan cannot be changed now. Look at your subscription and your card in the billing portal.")
		} else if err != nil {
			return fmt.Errorf("change the plan: %w", err)
		}
	}
	http.Redirect(w, r, "/account", http.StatusSeeOther)
	return nil
}

func (s *shop) account(w http.ResponseWriter, r *http.Request, u *user) error {
	return s.showAccount(w, r, u, http.StatusOK, "")
}

// showAccount is the page with all that Polar knows about the user, fresh from Polar.
func (s *shop) showAccount(w http.ResponseWriter, r *http.Request, u *user, status int, problem string) error {
	ctx := r.Context()
	body := accountView{}
	var err error
	if body.Subscription, err = s.subscription(ctx, u); err != nil {
		return err
	}
	state, err := s.client.Customers.StateByExternalID(ctx, u.ID)
	switch {
	case err == nil:
		body.Customer = true
		for _, m := range state.ActiveMeters {
			if m.MeterID == s.sells.Meter {
				body.Usage = &m
			}
		}
	case errors.Is(err, polar.ErrNotFound): // never bought anything
	default:
		return fmt.Errorf("read the customer's state: %w", err)
	}
	if body.Customer {
		page, err := s.client.Orders.List(ctx, &polar.OrderListParams{ExternalCustomerID: []string{u.ID}, Limit: 24})
		if err != nil {
			return fmt.Errorf("read the orders: %w", err)
		}
		body.Orders = page.Items
	}
	return s.render(w, r, status, "account", view{Title: "Your account", Error: problem, Body: body})
}

// invoice leads to the invoice of an order, which Polar makes when it is first asked for.
func (s *shop) invoice(w http.ResponseWriter, r *http.Request, u *user) error {
	ctx, cancel := context.WithTimeout(r.Context(), invoiceWait)
	defer cancel()
	order, err := s.client.Orders.Get(ctx, r.PathValue("id"))
	if errors.Is(err, polar.ErrNotFound) || errors.Is(err, polar.ErrValidation) {
		return s.notFound(w, r)
	} else if err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	if id := order.Customer.ExternalID; id == nil || *id != u.ID {
		return s.notFound(w, r) // somebody else's
	}
	invoice, err := s.client.Orders.WaitForInvoice(ctx, order.ID)
	switch {
	case err == nil:
		http.Redirect(w, r, invoice.URL, http.StatusSeeOther)
		return nil
	case errors.Is(err, polar.ErrMissingInvoiceBillingDetails):
		return s.showAccount(w, r, u, http.StatusConflict, "An invoice needs your name and address: add them in the billing portal.")
	case errors.Is(err, polar.ErrOrderNotEligibleForInvoice):
		return s.showAccount(w, r, u, http.StatusConflict, "There is no invoice before an order is paid.")
	case errors.Is(err, context.DeadlineExceeded):
		return s.showAccount(w, r, u, http.StatusAccepted, "The invoice is being made. Please ask again in a minute.")
	default:
		return fmt.Errorf("get the invoice: %w", err)
	}
}

// palettes is the feature behind the gate.
func (s *shop) palettes(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, "palettes", view{Title: "Make a palette", Body: palettesView{Palettes: userOf(r).latest()}})
}

// makePalette uses it, which counts.
func (s *shop) makePalette(w http.ResponseWriter, r *http.Request) error {
	u, word := userOf(r), strings.TrimSpace(r.FormValue("word"))
	if word == "" || utf8.RuneCountInString(word) > 30 {
		return s.render(w, r, http.StatusUnprocessableEntity, "palettes", view{
			Title: "Make a palette", Error: "Please give us a word of at most 30 letters.", Body: palettesView{Word: word, Palettes: u.latest()},
		})
	}
	if err := s.usage.Track(models.EventCreate{Name: paletteEvent, ExternalCustomerID: &u.ID}); err != nil {
		return fmt.Errorf("count the palette: %w", err) // what is not billed is not made
	}
	u.keep(newPalette(word))
	http.Redirect(w, r, "/palettes", http.StatusSeeOther)
	return nil
}

func (s *shop) webhooks(w http.ResponseWriter, r *http.Request) error {
	var body webhooksView
	body.Deliveries, body.Refused = s.received.latest()
	return s.render(w, r, http.StatusOK, "webhooks", view{Title: "Received webhooks", Body: body})
}

// month lets a month pass at the Polar server inside the program. With a real one,
// it takes a month.
func (s *shop) month(w http.ResponseWriter, r *http.Request) error {
	now := s.demo.Now()
	s.demo.Advance(now.AddDate(0, 1, 0).Sub(now))
	http.Redirect(w, r, local(r.FormValue("next"), "/"), http.StatusSeeOther)
	return nil
}

// message shows a page that says one thing.
func (s *shop) message(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	if err := s.render(w, r, status, "message", view{Title: title, Body: text}); err != nil {
		slog.ErrorContext(r.Context(), "page", "error", err)
		http.Error(w, title, status)
	}
}

// render writes a page, or nothing at all when it fails.
func (s *shop) render(w http.ResponseWriter, r *http.Request, status int, name string, v view) error {
	v.User, v.Path = userOf(r), r.URL.Path
	if s.demo != nil {
		v.Clock = s.demo.Now()
	}
	var out bytes.Buffer
	if err := pages[name].ExecuteTemplate(&out, "layout", v); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // nobody to tell when the visitor has gone
	return nil
}
