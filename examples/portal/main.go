// Command portal is an account page: what a customer subscribed to and paid, a
// button to cancel, invoices, and a button that leads to Polar's customer portal,
// where they change cards and addresses.
//
//	go run ./examples/portal
//
// runs it with a Polar server inside the program, no account and no network, and
// plays a customer who looks around, cancels, takes it back, and cancels for good.
// With -serve it stays up for a browser.
//
// With POLAR_ACCESS_TOKEN set it uses Polar's sandbox, for a new customer who has
// bought nothing yet.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg := config{Token: os.Getenv("POLAR_ACCESS_TOKEN")}
	flag.BoolVar(&cfg.Serve, "serve", false, "serve the page for a browser instead of playing a customer")
	flag.StringVar(&cfg.Addr, "addr", "", "address to listen at (default 127.0.0.1:8080 with -serve, else a free port)")
	flag.Parse()
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "portal:", err)
		os.Exit(1)
	}
}

// config says how to run; the zero value plays a customer on the server inside the program.
type config struct {
	Token string // a sandbox token
	Serve bool
	Addr  string
	Plan  string // what the customer has bought; "Pro" if empty
	Price int64  // and for how much a month, in cents
}

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) error {
	addr := "127.0.0.1:0"
	if cfg.Serve {
		addr = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", cmp.Or(cfg.Addr, addr))
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // the server has closed it before, unless it never started
	base := "http://" + listener.Addr().String()

	var srv *polartest.Server
	var client *polar.Client
	customer := models.CustomerCreate{ExternalID: new("user_1"), Email: "ada@example.com", Name: new("Ada Lovelace")}
	if cfg.Token == "" {
		if srv, err = polartest.Start(); err != nil {
			return err
		}
		defer srv.Close()
		client = srv.Client()
		fmt.Fprintln(w, "Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")
	} else {
		if client, err = polar.New(polar.Token(cfg.Token), polar.WithEnvironment(polar.Sandbox)); err != nil {
			return err
		}
		run := time.Now().Unix() // the sandbox remembers the customers of earlier runs
		customer.ExternalID, customer.Email = new(fmt.Sprintf("user_%d", run)), fmt.Sprintf("ada+%d@example.com", run)
		fmt.Fprintln(w, "Using Polar's sandbox.")
	}
	// As after a sign-up: the customer has the external id of the account.
	if _, err := client.Customers.Ensure(ctx, customer); err != nil {
		return fmt.Errorf("create the customer: %w", err)
	}
	if srv != nil {
		if err := sell(ctx, srv, *customer.ExternalID, cmp.Or(cfg.Plan, "Pro"), cmp.Or(cfg.Price, 1900)); err != nil {
			return fmt.Errorf("sell a plan: %w", err)
		}
	}
	accounts := newAccounts()
	s, err := newSite(client, accounts, base)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second, // longer than anybody waits for an invoice
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	link := base + "/sign-in?code=" + accounts.invite(*customer.ExternalID) // a real site mails it
	if cfg.Serve {
		fmt.Fprintln(w, "Open", link)
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	} else {
		err = playCustomer(ctx, w, base, link, srv)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(stopping))
}

// sell has the customer buy a plan on the server inside the program.
func sell(ctx context.Context, srv *polartest.Server, user, plan string, price int64) error {
	client := srv.Client()
	product, err := client.Products.Create(ctx, models.ProductCreateRecurring{
		Name:              plan,
		RecurringInterval: models.RecurringIntervalMonth,
		Prices:            []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: price}},
	})
	if err != nil {
		return err
	}
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{
		Products:               []string{product.ID},
		ExternalCustomerID:     &user,
		CustomerBillingName:    new("Ada Lovelace"),
		CustomerBillingAddress: &models.Address{Country: "FR"},
	})
	if err != nil {
		return err
	}
	return srv.CompleteCheckout(checkout.ID)
}
