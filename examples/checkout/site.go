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
)

// site is the merchant's web site.
type site struct {
	client     *polar.Client
	product    *models.Product
	base       string
	successURL string
	patience   time.Duration // how long the page after the payment waits for Polar
}

// The price of the product: whatever a customer wants to pay, from the minimum on.
const (
	currency = models.CurrencyUSD
	minimum  = int64(500)
)

func newSite(client *polar.Client, product *models.Product, base string) (*site, error) {
	success, err := polar.SuccessURL(base+"/done", "") // adds checkout_id={CHECKOUT_ID}
	if err != nil {
		return nil, err
	}
	return &site{client: client, product: product, base: base, successURL: success, patience: 5 * time.Second}, nil
}

func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /buy", s.buy)
	mux.HandleFunc("GET /done", s.done)
	return http.NewCrossOriginProtection().Handler(mux) // other sites cannot send the form
}

func (s *site) home(w http.ResponseWriter, _ *http.Request) {
	s.show(w, http.StatusOK, view{Title: s.product.Name, Form: true})
}

// buy opens a checkout session and sends the visitor there.
func (s *site) buy(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	amount, err := models.ParseAmount(r.PostFormValue("amount"), currency)
	if err != nil {
		s.show(w, http.StatusBadRequest, view{Title: s.product.Name, Form: true, Text: "Please enter an amount such as 12.50."})
		return
	}
	if amount < minimum { // Polar refuses it too, but with other mistakes under the same error
		s.show(w, http.StatusBadRequest, view{Title: s.product.Name, Form: true, Text: "Please enter at least " + models.FormatAmount(minimum, currency) + "."})
		return
	}
	checkout, err := s.client.Checkouts.Create(r.Context(), models.CheckoutCreate{
		Products:   []string{s.product.ID},
		Amount:     &amount,
		SuccessURL: &s.successURL,
		ReturnURL:  new(s.base + "/"),
		Metadata:   models.Metadata{"page": "home"}, // comes back with the order
	})
	if err != nil {
		slog.ErrorContext(r.Context(), "create a checkout", "error", err)
		s.show(w, http.StatusBadGateway, view{Title: "Something went wrong", Text: "The shop cannot sell at the moment. Nothing was charged."})
		return
	}
	http.Redirect(w, r, checkout.URL, http.StatusSeeOther)
}

// done is the page that customers come back to. It tells them how their payment ended, and nothing else: what they bought
// is delivered on the webhook order.paid, since not everybody comes back. Its address can be opened by anybody who knows
// it, so there is nothing personal on it.
func (s *site) done(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.patience)
	defer cancel()
	checkout, err := s.client.Checkouts.Wait(ctx, r.FormValue("checkout_id"))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		s.show(w, http.StatusOK, view{Title: "Your payment is not through yet", Text: "This can take a moment. The page looks again by itself.", Again: true})
		return
	case errors.Is(err, polar.ErrNotFound), errors.Is(err, polar.ErrValidation), r.FormValue("checkout_id") == "":
		s.show(w, http.StatusNotFound, view{Title: "There is no such purchase"})
		return
	case err != nil:
		slog.ErrorContext(r.Context(), "read a checkout", "error", err)
		s.show(w, http.StatusBadGateway, view{Title: "We do not know yet", Text: "Your payment may have worked: look for a mail before you pay again."})
		return
	}
	switch checkout.Status {
	case models.CheckoutStatusSucceeded:
		s.show(w, http.StatusOK, view{Title: "Thank you", Text: "You paid " + models.FormatAmount(checkout.TotalAmount, checkout.Currency) + "."})
	case models.CheckoutStatusExpired:
		s.show(w, http.StatusOK, view{Title: "This checkout has expired", Text: "Nothing was charged.", Form: true})
	default:
		s.show(w, http.StatusOK, view{Title: "Your payment did not work", Text: "Nothing was charged.", Form: true})
	}
}

type view struct {
	Title, Text string
	Form        bool // to buy
	Again       bool // look again in a few seconds
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{{if .Again}}<meta http-equiv="refresh" content="3">
{{end}}<title>{{.Title}}</title>
<style>body { font: 1.1rem/1.5 system-ui; max-width: 32rem; margin: 4rem auto; padding: 0 1rem }</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{with .Text}}<p>{{.}}</p>
{{end}}{{if .Form}}<form method="post" action="/buy">
<label>What is it worth to you, in dollars? <input name="amount" inputmode="decimal" value="10.00" required></label>
<button>Pay</button>
</form>
{{end}}</body>
</html>
`))

func (s *site) show(w http.ResponseWriter, status int, v view) {
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		slog.Error("show a page", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer") // the id of the checkout is in the address
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
