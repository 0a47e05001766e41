// Command shop is a small business in one program: Swatchbook makes colour
// palettes of words, for people who subscribed to one of its plans. It has a
// page of prices made of Polar's product list, accounts, checkout, a feature that
// only subscribers may use and that is billed by usage, invoices, the customer
// portal, and a page of the webhooks that arrived.
//
//	go run ./examples/shop
//
// serves it at http://127.0.0.1:8080 with a Polar server inside the program: no
// account, no network, no money. A button lets months pass.
//
// With POLAR_ACCESS_TOKEN set it sells in Polar's sandbox: what it sells is made
// there on the first start and found again on the next. Polar has to reach the
// program, for instance through a tunnel: make a webhook endpoint in the sandbox's
// dashboard with the address https://your-tunnel/webhooks/polar, the format Raw
// and all events, put its secret into POLAR_WEBHOOK_SECRET, and start the program
// with -url https://your-tunnel. The test card is 4242 4242 4242 4242.
//
// Accounts are kept in memory, so they are gone when the program ends; a real
// shop has a database for them. In the sandbox, whoever has bought before signs up
// with another e-mail address then, since Polar remembers the first one. Nothing
// about plans and payments is kept at all: that is at Polar.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg := config{Token: os.Getenv("POLAR_ACCESS_TOKEN"), Secret: os.Getenv("POLAR_WEBHOOK_SECRET")}
	flag.StringVar(&cfg.Addr, "addr", "", "address to listen at (default 127.0.0.1:8080, with -check a free port)")
	flag.StringVar(&cfg.URL, "url", "", "address at which browsers and Polar reach the shop, if it is another one")
	flag.BoolVar(&cfg.Check, "check", false, "walk through the pages once and end")
	flag.Parse()
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// config says where to serve; without a token the Polar server inside the program is used.
type config struct {
	Addr, URL     string
	Token, Secret string
	Check         bool
}

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) (err error) {
	addr := cmp.Or(cfg.Addr, "127.0.0.1:8080")
	if cfg.Check {
		addr = cmp.Or(cfg.Addr, "127.0.0.1:0")
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // once more when the server has done it, which is no matter
	base := cmp.Or(strings.TrimSuffix(cfg.URL, "/"), "http://"+listener.Addr().String())

	var client *polar.Client
	var demo *polartest.Server
	if cfg.Token == "" {
		if demo, err = polartest.Start(polartest.WithOrganization("Swatchbook", "swatchbook")); err != nil {
			return err
		}
		defer demo.Close()
		client = demo.Client()
	} else {
		if cfg.Secret == "" {
			return errors.New("POLAR_WEBHOOK_SECRET is empty: make a webhook endpoint for " + base + webhookPath + " in the sandbox's dashboard and set its secret")
		}
		if client, err = polar.New(polar.Token(cfg.Token), polar.WithEnvironment(polar.Sandbox)); err != nil {
			return err
		}
	}
	assortment, err := stock(ctx, client)
	if err != nil {
		return err
	}
	if demo != nil {
		endpoint, err := client.WebhookEndpoints.Create(ctx, models.WebhookEndpointCreate{
			URL: base + webhookPath, Format: models.WebhookFormatRaw, Events: models.WebhookEventTypeValues(),
		})
		if err != nil {
			return fmt.Errorf("create the webhook endpoint: %w", err)
		}
		cfg.Secret = endpoint.Secret
	}
	s, err := newShop(ctx, shopConfig{Client: client, Assortment: assortment, Secret: cfg.Secret, URL: base, Demo: demo})
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	if cfg.Check {
		err = check(ctx, w, base, demo != nil)
	} else {
		if demo != nil {
			fmt.Fprintln(w, "Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")
		} else {
			fmt.Fprintln(w, "Using Polar's sandbox, which has to deliver webhooks to "+base+webhookPath+".")
		}
		fmt.Fprintln(w, "The shop is open at "+base)
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	// In this order: no more requests, then no more usage.
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(stopping), s.close(stopping))
}
