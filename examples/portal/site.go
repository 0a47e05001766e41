package main

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polarhttp"
)

// site is the merchant's web site.
type site struct {
	client   *polar.Client
	accounts *accounts
	portal   http.Handler // leads to Polar's customer portal
}

func newSite(client *polar.Client, accounts *accounts, base string) (*site, error) {
	portal, err := polarhttp.CustomerPortal(client, accounts.customer, polarhttp.WithReturnURL(base+"/"))
	if err != nil {
		return nil, err
	}
	return &site{client: client, accounts: accounts, portal: portal}, nil
}

func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign-in", s.signIn)
	mux.HandleFunc("GET /{$}", s.forCustomer(s.account))
	mux.Handle("POST /portal", s.portal)
	mux.HandleFunc("POST /subscriptions/{id}/cancel", s.forCustomer(s.cancel))
	mux.HandleFunc("POST /subscriptions/{id}/keep", s.forCustomer(s.keep))
	mux.HandleFunc("POST /orders/{id}/invoice", s.forCustomer(s.invoice))
	return http.NewCrossOriginProtection().Handler(mux) // other sites cannot cancel
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	if !s.accounts.signIn(w, r.FormValue("code")) {
		show(w, http.StatusForbidden, view{Title: "This link does not work any more"})
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// forCustomer gives a handler the API as the customer who is signed in may use it. Whatever ids a request names, Polar
// finds only what belongs to that customer.
//
// It makes a session at Polar for each request, which is one call more. A busy site keeps session.Token beside the user's own
// session until session.ExpiresAt.
func (s *site) forCustomer(next func(http.ResponseWriter, *http.Request, *polar.Portal)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := s.accounts.customer(r)
		if err == nil && who == (polarhttp.Customer{}) {
			show(w, http.StatusUnauthorized, view{Title: "Please sign in", Text: "Open the link in your mail."})
			return
		}
		var portal *polar.Portal
		if err == nil {
			portal, err = s.open(r.Context(), who)
		}
		if err != nil {
			explain(w, r, err)
			return
		}
		next(w, r, portal)
	}
}

func (s *site) open(ctx context.Context, who polarhttp.Customer) (*polar.Portal, error) {
	session, err := s.client.CustomerSessions.Create(ctx, models.CustomerSessionCreate{ExternalCustomerID: &who.ExternalID})
	if err != nil {
		return nil, err
	}
	return s.client.Portal(polar.Token(session.Token))
}

// account shows what the customer has. The lists are short: a customer with hundreds of orders finds them in the portal.
func (s *site) account(w http.ResponseWriter, r *http.Request, portal *polar.Portal) {
	v := view{Title: "Your account", Account: true}
	subscriptions, err := polar.Collect(portal.Subscriptions.All(r.Context(), nil), 20)
	if err == nil {
		v.Orders, err = polar.Collect(portal.Orders.All(r.Context(), nil), 20)
	}
	if err != nil {
		explain(w, r, err)
		return
	}
	v.Subscriptions = subscriptions
	show(w, http.StatusOK, v)
}

// cancel lets a subscription end with its period. It can be kept until then.
func (s *site) cancel(w http.ResponseWriter, r *http.Request, portal *polar.Portal) {
	_, err := portal.Subscriptions.Cancel(r.Context(), r.PathValue("id"))
	s.changed(w, r, err, polar.ErrAlreadyCanceledSubscription)
}

// keep takes a cancellation back.
func (s *site) keep(w http.ResponseWriter, r *http.Request, portal *polar.Portal) {
	_, err := portal.Subscriptions.Update(r.Context(), r.PathValue("id"), models.PortalSubscriptionCancel{CancelAtPeriodEnd: models.Set(false)})
	s.changed(w, r, err, polar.ErrSubscriptionNotScheduledToCancel)
}

// changed leads back to the account, which shows what is now. That is also right if the change had been made before, and if
// its answer was lost: the page shows whether it was made.
func (s *site) changed(w http.ResponseWriter, r *http.Request, err error, before polar.ErrorName) {
	if err != nil && !errors.Is(err, before) && !errors.Is(err, polar.ErrOutcomeUnknown) {
		explain(w, r, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// invoice sends the customer to the PDF. The first time Polar has to make it.
func (s *site) invoice(w http.ResponseWriter, r *http.Request, portal *polar.Portal) {
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	invoice, err := portal.Orders.WaitForInvoice(ctx, r.PathValue("id"))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		show(w, http.StatusServiceUnavailable, view{Title: "The invoice is not ready", Text: "Please try again in a minute."})
	case errors.Is(err, polar.ErrMissingInvoiceBillingDetails):
		show(w, http.StatusConflict, view{Title: "Your name or address is missing", Text: "Please enter it in the customer portal, which makes the invoice then."})
	case err != nil:
		explain(w, r, err)
	default:
		http.Redirect(w, r, invoice.URL, http.StatusSeeOther) // works for some minutes only, so it is never stored
	}
}

// explain answers with what a customer should know of an error, and logs the rest.
func explain(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, polar.ErrNotFound), errors.Is(err, polar.ErrValidation): // also ids that are none
		show(w, http.StatusNotFound, view{Title: "There is no such thing in your account"})
	default:
		slog.ErrorContext(r.Context(), "account", "error", err)
		show(w, http.StatusBadGateway, view{Title: "Something went wrong", Text: "Your account cannot be shown at the moment. It is all there."})
	}
}

type view struct {
	Title, Text   string
	Account       bool
	Subscriptions []*models.PortalSubscription
	Orders        []*models.PortalOrder
}

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"money": models.FormatAmount[string],
	"day":   func(t time.Time) string { return t.UTC().Format("2 January 2006") },
}).Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<style>body { font: 1.1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem } form { display: inline }</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{with .Text}}<p>{{.}}</p>
{{end}}{{if .Account}}<form method="post" action="/portal"><button>Cards, addresses and everything else</button></form>
<h2>Subscriptions</h2>
{{range .Subscriptions}}<p>{{.Product.Name}}, {{money .Amount .Currency}} a {{.RecurringInterval}}: {{if .EndedAt}}ended on {{day .EndedAt}}.
{{- else if .CancelAtPeriodEnd}}ends on {{day .CurrentPeriodEnd}}. <form method="post" action="/subscriptions/{{.ID}}/keep"><button>Keep it</button></form>
{{- else}}renews on {{day .CurrentPeriodEnd}}. <form method="post" action="/subscriptions/{{.ID}}/cancel"><button>Cancel</button></form>{{end}}</p>
{{else}}<p>None.</p>
{{end}}<h2>Orders</h2>
{{range .Orders}}<p>{{day .CreatedAt}}: {{.Description}}, {{money .TotalAmount .Currency}}, {{.Status}} {{if .Paid}}<form method="post" action="/orders/{{.ID}}/invoice"><button>Invoice</button></form>{{end}}</p>
{{else}}<p>None.</p>
{{end}}{{end}}</body>
</html>
`))

func show(w http.ResponseWriter, status int, v view) {
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		slog.Error("show a page", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
