// Command usage is an API server that bills its customers for each call and for
// each second of computing.
//
//	go run ./examples/usage
//
// runs it against a Polar server inside the program: a customer subscribes and
// calls the API over HTTP, a month passes, and the program shows what Polar has
// measured and what the invoice says. With -serve the server stays up for you to
// be the customer, and the month passes when you press Ctrl-C.
//
// With POLAR_ACCESS_TOKEN set it uses Polar's sandbox. There a person has to
// subscribe, at the address that it prints, and months take as long as they do.
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
	"syscall"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/ingest"
	"github.com/polar-go/polar/polartest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg := config{Token: os.Getenv("POLAR_ACCESS_TOKEN"), Addr: cmp.Or(os.Getenv("LISTEN_ADDR"), "127.0.0.1:8080")}
	flag.BoolVar(&cfg.Serve, "serve", false, "stay up for a person to call the API")
	flag.Parse()
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "usage:", err)
		os.Exit(1)
	}
}

// config says how to run; the zero value is fine.
type config struct {
	Token string // a sandbox token; without one the server inside the program is used
	Addr  string
	Serve bool
	Calls []time.Duration // how long the scripted customer has the API compute in each call
}

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) error {
	if cfg.Calls == nil {
		cfg.Calls = []time.Duration{2400 * time.Millisecond, 200 * time.Millisecond, 5 * time.Second, 61 * time.Second, 400 * time.Millisecond}
	}
	if !cfg.Serve {
		cfg.Addr = "127.0.0.1:0"
	}
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	var srv *polartest.Server
	var client *polar.Client
	var err error
	compute, now := sleep, time.Now
	if cfg.Token == "" {
		if srv, err = polartest.Start(); err != nil {
			return err
		}
		defer srv.Close()
		client, now = srv.Client(), srv.Now
		// The server's clock is the program's too, and computing moves it: the seconds are billed and nobody waits.
		compute = func(_ context.Context, d time.Duration) error { srv.Advance(d); return nil }
		say("Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")
	} else {
		if client, err = polar.New(polar.Token(cfg.Token), polar.WithEnvironment(polar.Sandbox)); err != nil {
			return err
		}
		say("Using Polar's sandbox.")
	}

	product, err := ensurePlan(ctx, client)
	if err != nil {
		return err
	}
	say("Product %q: %s.", product.Name, planTerms)
	checkout, err := subscribe(ctx, client, product.ID)
	if err != nil {
		return err
	}
	switch {
	case checkout == nil:
		say("The customer has a subscription.")
	case srv == nil:
		say("Open %s to subscribe, with the card 4242 4242 4242 4242.", checkout.URL)
	default:
		if err := srv.CompleteCheckout(checkout.ID); err != nil {
			return fmt.Errorf("complete the checkout: %w", err)
		}
		say("The customer has subscribed.")
	}

	ing, err := ingest.New(client,
		ingest.WithClock(now),
		ingest.OnError(func(err error) { slog.Error("usage was not tracked", "error", err) }),
		ingest.OnRejected(func(r *ingest.RejectedError) { slog.Error("usage was refused", "error", r) }),
		ingest.OnRequest(func(r ingest.Request) {
			if r.Err != nil {
				slog.Warn("usage is sent again", "attempt", r.Attempt, "events", r.Events, "waiting", r.Stats.Queued, "error", r.Err)
			}
		}))
	if err != nil {
		return err
	}
	service := &api{ing: ing, client: client, keys: map[string]string{demoKey: customerID}, compute: compute}
	use := func(ctx context.Context, url string) error { return callAll(ctx, say, url, cfg.Calls) }
	if cfg.Serve {
		use = func(ctx context.Context, url string) error {
			say("Call it, and press Ctrl-C when you have seen enough:")
			say(`  curl -H 'Authorization: Bearer %s' -d '{"seconds":2.5}' %s/v1/renders`, demoKey, url)
			say(`  curl -H 'Authorization: Bearer %s' %s/v1/usage`, demoKey, url)
			<-ctx.Done()
			return nil
		}
	}
	err = serve(ctx, cfg.Addr, service.handler(), use)
	// From here on nothing is tracked any more. What waits is sent, if Polar can be reached in this time; a service that must not lose
	// what is left then uses ingest.WithJournal.
	ctx = context.WithoutCancel(ctx)
	closing, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := errors.Join(err, ing.Close(closing)); err != nil {
		return err
	}
	stats := ing.Stats()
	say("Events sent: %d. Requests it took: %d.", stats.Sent, stats.Requests)

	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := showUsage(ctx, say, client, product); err != nil { // the sandbox needs some seconds to count
		return err
	}
	if srv != nil {
		srv.Advance(31 * 24 * time.Hour)
		say("A month has passed.")
	}
	return showOrders(ctx, say, client)
}

// serve serves until use returns, and answers the requests that have begun.
func serve(ctx context.Context, addr string, handler http.Handler, use func(ctx context.Context, url string) error) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 3 * time.Minute, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	using, stop := context.WithCancel(ctx)
	defer stop()
	used := make(chan error, 1)
	go func() { used <- use(using, "http://"+listener.Addr().String()) }()
	select {
	case err = <-used:
	case err = <-failed:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(ctx))
}

// sleep stands for work that takes its time.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
