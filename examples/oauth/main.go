// Command oauth is an application for other merchants: they connect their Polar
// account to it, and it shows a report of their products until they disconnect.
//
//	go run ./examples/oauth
//
// runs it against a Polar server inside the program: no account, no network. A
// scripted merchant clicks through the pages over HTTP, and the program ends.
// With -serve it stays up for a person with a browser.
//
// With POLAR_ACCESS_TOKEN set it registers the application at Polar's sandbox and
// says what a person has to do; with -serve it waits for that person. When it
// ends, it deletes the registration.
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
	"github.com/polar-go/polar/oauth"
	"github.com/polar-go/polar/polartest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg := config{Sandbox: os.Getenv("POLAR_ACCESS_TOKEN") != ""}
	flag.BoolVar(&cfg.Serve, "serve", false, "stay up for a person with a browser")
	flag.StringVar(&cfg.Addr, "addr", "127.0.0.1:8080", "where to listen with -serve; an address of this machine")
	flag.Parse()
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "oauth:", err)
		os.Exit(1)
	}
}

// config says where Polar is and who uses the pages.
type config struct {
	Sandbox bool   // Polar's sandbox, rather than the server inside the program
	Serve   bool   // wait for a person
	Addr    string // for -serve
}

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) (err error) {
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	addr := "127.0.0.1:0"
	if cfg.Serve {
		addr = cfg.Addr
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // the server has closed it, unless it never began
	home := "http://" + listener.Addr().String()

	app := oauth.Config{
		RedirectURL: home + "/polar/callback",
		Scopes:      []models.Scope{models.ScopeOrganizationsRead, models.ScopeProductsRead},
		Environment: polar.Sandbox,
	}
	var srv *polartest.Server
	if !cfg.Sandbox {
		if srv, err = startPolar(ctx); err != nil {
			return err
		}
		defer srv.Close()
		app.Environment, app.BaseURL, app.Clock = "", srv.URL, srv.Now
		say("Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")
	}
	unregister, err := register(ctx, &app)
	if err != nil {
		return fmt.Errorf("register the application: %w", err)
	}
	defer func() { err = errors.Join(err, unregister(context.WithoutCancel(ctx))) }()
	say("The application is registered at Polar.")

	client, err := oauth.New(app)
	if err != nil {
		return err
	}
	pages, err := newSite(client)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	switch {
	case cfg.Serve:
		say("Open %s in a browser and connect. Stop with Ctrl-C.", home)
		select {
		case <-ctx.Done():
		case err = <-failed:
			return err
		}
	case cfg.Sandbox:
		say("Only a person can agree: run again with -serve, open %s in a browser, and connect an account of the sandbox.", "http://"+cmp.Or(cfg.Addr, "127.0.0.1:8080"))
	default:
		err = play(ctx, say, home, srv)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(stopping))
}

// register makes the application known to Polar and fills in its id and secret. An application that is here to stay is
// registered once, in Polar's dashboard or like this, and keeps its secret where secrets belong.
func register(ctx context.Context, app *oauth.Config) (unregister func(context.Context) error, err error) {
	server := polar.WithBaseURL(cmp.Or(app.BaseURL, app.Environment.BaseURL()))
	anyone, err := polar.New(polar.Anonymous, server)
	if err != nil {
		return nil, err
	}
	made, err := anyone.OAuth2Clients.Create(ctx, models.OAuth2ClientCreate{ClientName: "Acme Reports", RedirectURIs: []string{app.RedirectURL}})
	if err != nil {
		return nil, err
	}
	if made.ClientSecret == nil || made.RegistrationAccessToken == nil {
		return nil, errors.New("the answer has no secret or no registration token")
	}
	app.ClientID, app.ClientSecret = made.ClientID, *made.ClientSecret
	return func(ctx context.Context) error {
		return anyone.OAuth2Clients.Delete(ctx, made.ClientID, polar.CallCredential(polar.Token(*made.RegistrationAccessToken)))
	}, nil
}

// startPolar starts a Polar server whose merchant sells two things.
func startPolar(ctx context.Context) (*polartest.Server, error) {
	srv, err := polartest.Start()
	if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		name  string
		price int64
	}{{"Basic plan", 900}, {"Pro plan", 2900}} {
		_, err := srv.Client().Products.Create(ctx, models.ProductCreateRecurring{
			Name:              p.name,
			RecurringInterval: models.RecurringIntervalMonth,
			Prices:            []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: p.price}},
		})
		if err != nil {
			srv.Close()
			return nil, fmt.Errorf("create a product: %w", err)
		}
	}
	return srv, nil
}
