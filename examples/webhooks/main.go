// Command webhooks receives Polar's events.
//
//	go run ./examples/webhooks
//
// runs a sender inside the program, which signs one event of each type as Polar
// does and delivers it over HTTP; what arrives is printed, one line for each
// event. With POLAR_WEBHOOK_SECRET set, the program listens at LISTEN_ADDR
// (:8080 by default) for Polar to deliver to /webhooks/polar.
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
	"syscall"
	"time"

	"github.com/polar-go/polar/webhooks"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg := config{Secret: os.Getenv("POLAR_WEBHOOK_SECRET"), Addr: cmp.Or(os.Getenv("LISTEN_ADDR"), ":8080")}
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "webhooks:", err)
		os.Exit(1)
	}
}

// config says how to receive; without a secret the program sends to itself.
type config struct {
	Secret string
	Addr   string
}

// demoSecret is what the sender inside the program signs with. It looks like
// those that Polar makes, and it is no secret.
const demoSecret = "whsec_bm8gc2VjcmV0LCBvbmx5IGFuIGV4YW1wbGUgb2Ygb25lISE="

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) error {
	demo := cfg.Secret == ""
	if demo {
		cfg.Secret, cfg.Addr = demoSecret, "127.0.0.1:0"
	}
	router, err := newRouter(cfg.Secret, w)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/polar", router)

	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	if demo {
		err = sendAll(ctx, "http://"+listener.Addr().String()+"/webhooks/polar", cfg.Secret)
	} else {
		fmt.Fprintf(w, "Listening at %s for deliveries to /webhooks/polar.\n", listener.Addr())
		select {
		case <-ctx.Done():
		case err = <-failed:
			return err
		}
	}
	// Deliveries that have begun are answered before the program ends.
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(stopping))
}

// sendAll delivers one event of each type.
func sendAll(ctx context.Context, url, secret string) error {
	client := &http.Client{Timeout: 10 * time.Second} // as long as Polar waits
	defer client.CloseIdleConnections()
	for _, event := range story() {
		req, err := webhooks.NewRequest(ctx, url, secret, event)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("%s was answered with %s", event.Type(), resp.Status)
		}
	}
	return nil
}
