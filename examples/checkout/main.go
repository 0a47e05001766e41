// Command checkout sells something on a web page: visitors choose what to pay, are
// sent to a checkout at Polar, and come back to a page that says how it ended.
//
//	go run ./examples/checkout
//
// runs it with a Polar server inside the program, no account and no network, and
// plays a customer who clicks through it: the first card is declined, the second
// one pays. With -serve it stays up for a browser.
//
// With POLAR_ACCESS_TOKEN set it sells in Polar's sandbox. There only a person can
// pay: use -serve and the card 4242 4242 4242 4242.
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
		fmt.Fprintln(os.Stderr, "checkout:", err)
		os.Exit(1)
	}
}

// config says how to run; the zero value plays a customer on the server inside the program.
type config struct {
	Token  string // a sandbox token
	Serve  bool
	Addr   string
	Amount string // what the customer types; 12.50 if empty
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

	var client *polar.Client
	if cfg.Token == "" {
		srv, err := polartest.Start()
		if err != nil {
			return err
		}
		defer srv.Close()
		client = srv.Client()
		fmt.Fprintln(w, "Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")
	} else {
		if client, err = polar.New(polar.Token(cfg.Token), polar.WithEnvironment(polar.Sandbox)); err != nil {
			return err
		}
		fmt.Fprintln(w, "Using Polar's sandbox.")
	}
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{
		Name:   "A year of mountain weather",
		Prices: []models.ProductPriceCreate{models.ProductPriceCustomCreate{PriceCurrency: new(currency), MinimumAmount: new(minimum), PresetAmount: new(2 * minimum)}},
	})
	if err != nil {
		return fmt.Errorf("create a product: %w", err)
	}
	s, err := newSite(client, product, base)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second, // longer than the page after the payment waits
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	if cfg.Serve {
		fmt.Fprintln(w, "Open", base)
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	} else {
		err = playCustomer(ctx, w, base, cmp.Or(cfg.Amount, "12.50"), cfg.Token == "")
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(stopping))
}
