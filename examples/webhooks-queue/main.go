// Command webhooks-queue acknowledges Polar's events at once and works on them
// in the background.
//
//	go run ./examples/webhooks-queue
//
// runs a sender inside the program that delivers more than the queue holds: what
// does not fit is refused, delivered again as Polar does, and nothing is lost.
// With POLAR_WEBHOOK_SECRET set, the program listens at LISTEN_ADDR (:8080 by
// default) for Polar to deliver to /webhooks/polar. In both cases it works on
// everything that was acknowledged before it ends.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg := config{Secret: os.Getenv("POLAR_WEBHOOK_SECRET"), Addr: cmp.Or(os.Getenv("LISTEN_ADDR"), ":8080")}
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "webhooks-queue:", err)
		os.Exit(1)
	}
}

// config says how to receive; without a secret the program sends to itself.
type config struct {
	Secret  string
	Addr    string
	Size    int           // of the queue
	Workers int           // that empty it
	Work    time.Duration // that an event takes
	Events  int           // to deliver without a secret
}

func (c *config) defaults() {
	c.Size, c.Workers = cmp.Or(c.Size, 8), cmp.Or(c.Workers, 2)
	c.Work, c.Events = cmp.Or(c.Work, 20*time.Millisecond), cmp.Or(c.Events, 40)
}

// demoSecret is what the sender inside the program signs with.
const demoSecret = "whsec_bm8gc2VjcmV0LCBvbmx5IGFuIGV4YW1wbGUgb2Ygb25lISE="

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) error {
	cfg.defaults()
	demo := cfg.Secret == ""
	if demo {
		cfg.Secret, cfg.Addr = demoSecret, "127.0.0.1:0"
	}

	verifier, err := webhooks.NewVerifier(cfg.Secret)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return err
	}

	// What there is to do about events. This router has no verifier: it gets
	// events from the queue and not from the network.
	var handled atomic.Int64
	work := webhooks.NewRouter(nil)
	webhooks.On(work, func(ctx context.Context, e *webhooks.OrderPaid) error {
		select { // create an account, render a file, call a slow service
		case <-time.After(cfg.Work):
			handled.Add(1)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	q := newQueue(cfg.Size, cfg.Workers, []time.Duration{time.Second, 10 * time.Second, time.Minute}, work.Dispatch)

	// What Polar talks to: verify, drop duplicates, put into the queue, answer.
	var refused atomic.Int64
	front := webhooks.NewRouter(verifier, webhooks.WithFailureHandler(func(context.Context, webhooks.Failure) { refused.Add(1) }))
	front.Default(q.push)
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/polar", front)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	if demo {
		var slowest time.Duration
		slowest, err = send(ctx, "http://"+listener.Addr().String()+"/webhooks/polar", cfg)
		fmt.Fprintf(w, "%d events acknowledged, %d of them handled by now.\n", cfg.Events, handled.Load())
		fmt.Fprintf(w, "Refused %d times because the queue was full; the slowest answer took %v.\n", refused.Load(), slowest.Round(time.Millisecond))
	} else {
		fmt.Fprintf(w, "Listening at %s for deliveries to /webhooks/polar.\n", listener.Addr())
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}

	// In this order: no more deliveries, then no more work. Give it as long as
	// the platform leaves a program to end.
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 25*time.Second)
	defer cancel()
	err = errors.Join(err, server.Shutdown(stopping))
	left, drained := q.drain(stopping)
	fmt.Fprintf(w, "Stopped with %d events handled and %d left.\n", handled.Load(), left)
	return errors.Join(err, drained)
}

// send delivers events side by side, each until it is accepted, and returns how
// long the slowest answer took.
func send(ctx context.Context, url string, cfg config) (slowest time.Duration, err error) {
	client := &http.Client{Timeout: 10 * time.Second} // as long as Polar waits
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range cfg.Events {
		group.Go(func() {
			event := &webhooks.OrderPaid{
				Delivery: webhooks.Delivery{ID: fmt.Sprintf("evt_%d", i)}, // the same at each attempt
				Data:     models.Order{ID: fmt.Sprintf("ord_%d", i)},
			}
			took, one := deliver(ctx, client, url, cfg.Secret, event, cfg.Work)
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, took)
			err = errors.Join(err, one)
		})
	}
	group.Wait()
	return slowest, err
}

// deliver sends an event until it is accepted, with pauses that double.
func deliver(ctx context.Context, client *http.Client, url, secret string, event webhooks.Event, pause time.Duration) (slowest time.Duration, err error) {
	for {
		req, err := webhooks.NewRequest(ctx, url, secret, event)
		if err != nil {
			return slowest, err
		}
		start := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			return slowest, err
		}
		_ = resp.Body.Close()
		slowest = max(slowest, time.Since(start))
		if resp.StatusCode == http.StatusAccepted {
			return slowest, nil
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return slowest, ctx.Err()
		}
	}
}
