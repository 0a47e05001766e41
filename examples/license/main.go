// Command license is a program that customers run on their own computers with a
// license key: it activates, checks and gives back.
//
//	go run ./examples/license
//
// plays the whole story against a Polar server inside the program, without an
// account and without network: the customer buys, activates, goes offline, comes
// back, cancels.
//
// With POLAR_ACCESS_TOKEN set it puts a product with a license key into Polar's
// sandbox and prints the address at which a person can buy it. That person then
// uses the tool as a customer does, without the token:
//
//	go run ./examples/license -organization ID activate KEY
//	go run ./examples/license -organization ID status
//	go run ./examples/license -organization ID deactivate
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/license"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg := config{Token: os.Getenv("POLAR_ACCESS_TOKEN")}
	flag.StringVar(&cfg.Organization, "organization", "", "`id` of the organization that sold the key; a real program has it built in")
	flag.Parse()
	cfg.Command = flag.Args()
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type config struct {
	Token        string   // of the merchant, for the sandbox
	Organization string   // whose keys the tool takes
	Command      []string // of the tool; empty plays the story
}

// application names the tool: its license is kept in a directory of this name.
const application = "polar-example-license"

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) error {
	switch {
	case len(cfg.Command) > 0:
		lic, err := license.New(cfg.Organization, application, license.WithClientOptions(polar.WithEnvironment(polar.Sandbox)))
		if err != nil {
			return err
		}
		return tool(ctx, w, lic, cfg.Command)
	case cfg.Token != "":
		return sell(ctx, w, cfg.Token)
	}
	return story(ctx, w)
}

// tool is what a customer uses.
func tool(ctx context.Context, w io.Writer, lic *license.Client, command []string) error {
	switch {
	case command[0] == "activate" && len(command) == 2:
		res, err := lic.Activate(ctx, command[1])
		switch {
		case errors.Is(err, license.ErrInvalid):
			return errors.New("this key is not valid: is it complete?")
		case errors.Is(err, license.ErrActivationLimit):
			return errors.New("this key is in use on as many computers as it may be: deactivate it on one of them")
		case err != nil:
			return err
		}
		fmt.Fprintf(w, "Activated %s. Thank you!\n", res.License.DisplayKey)
		return nil
	case command[0] == "status" && len(command) == 1:
		status(ctx, w, lic)
		return nil
	case command[0] == "deactivate" && len(command) == 1:
		if err := lic.Deactivate(ctx); err != nil {
			return err
		}
		fmt.Fprintln(w, "Deactivated: the key can be used on another computer.")
		return nil
	}
	return fmt.Errorf("unknown command %q: use activate KEY, status or deactivate", command)
}

// status does what a program does when it starts, and says what that means for its user. It waits for Polar for a few
// seconds at most.
func status(ctx context.Context, w io.Writer, lic *license.Client) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	res := lic.Check(ctx)
	switch res.Status {
	case license.StatusValid:
		fmt.Fprintf(w, "Licensed, confirmed on %s.\n", date(res.CheckedAt))
	case license.StatusValidOffline:
		fmt.Fprintf(w, "Licensed. The license could not be confirmed; please go online before %s.\n", date(res.Until))
	case license.StatusVersionGone:
		fmt.Fprintln(w, "Licensed. This version is too old to confirm its license; please install an update.")
	case license.StatusNotActivated:
		fmt.Fprintln(w, "No license. Enter your key: activate KEY")
	case license.StatusInvalid:
		fmt.Fprintln(w, "The license has ended. Renew it, or enter another key: activate KEY")
	default:
		fmt.Fprintf(w, "The license cannot be confirmed; please go online. (%v)\n", res.Err)
	}
	if res.Usable() && errors.Is(res.Err, license.ErrActivationInDoubt) {
		fmt.Fprintf(w, "Please enter your key again before %s.\n", date(res.Until))
	}
}

func date(t time.Time) string { return t.Format("2 January 2006") }

// story plays merchant, customer and time.
func story(ctx context.Context, w io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	srv, err := polartest.Start(polartest.WithTime(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)))
	if err != nil {
		return err
	}
	defer srv.Close()
	client := srv.Client()
	say("Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")

	checkout, err := offer(ctx, client)
	if err != nil {
		return err
	}
	if err := srv.CompleteCheckout(checkout.ID); err != nil {
		return fmt.Errorf("complete the checkout: %w", err)
	}
	keys, err := client.LicenseKeys.List(ctx, nil)
	if err != nil {
		return fmt.Errorf("list the license keys: %w", err)
	}
	subs, err := client.Subscriptions.List(ctx, nil)
	if err != nil {
		return fmt.Errorf("list the subscriptions: %w", err)
	}
	if len(keys.Items) != 1 || len(subs.Items) != 1 {
		return fmt.Errorf("the purchase gave %d keys and %d subscriptions", len(keys.Items), len(subs.Items))
	}
	say("%s: a customer bought the editor and sees the key %s in the portal.", date(srv.Now()), keys.Items[0].DisplayKey)

	dir, err := os.MkdirTemp("", application)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lic, err := license.New(srv.OrganizationID(), application,
		license.WithStore(license.File(filepath.Join(dir, "license.json"))),
		license.WithClock(srv.Now),
		license.WithClientOptions(polar.WithBaseURL(srv.URL), polar.WithRateLimiter(nil))) // nobody else asks this server, and days pass in no time
	if err != nil {
		return err
	}
	cutOff := func() error { srv.Break("", -1, polartest.Reset()); return nil }
	connect := func() error { srv.Heal(); return nil }
	end := func() error { _, err := client.Subscriptions.Revoke(ctx, subs.Items[0].ID); return err }
	for _, step := range []struct {
		days    int
		what    string
		change  func() error
		command []string
	}{
		{0, "The editor starts for the first time.", nil, []string{"status"}},
		{0, "The customer enters the key.", nil, []string{"activate", keys.Items[0].Key}},
		{1, "The next day the editor asks Polar again.", nil, []string{"status"}},
		{10, "The customer travels, and there is no network.", cutOff, []string{"status"}},
		{5, "Still no network: two weeks without an answer are over.", nil, []string{"status"}},
		{1, "Back home.", connect, []string{"status"}},
		{1, "The subscription has ended.", end, []string{"status"}},
		{0, "The customer moves on.", nil, []string{"deactivate"}},
		{0, "The editor starts once more.", nil, []string{"status"}},
	} {
		srv.Advance(time.Duration(step.days) * 24 * time.Hour)
		if step.change != nil {
			if err := step.change(); err != nil {
				return err
			}
		}
		say("%s: %s", date(srv.Now()), step.what)
		if err := tool(ctx, w, lic, step.command); err != nil {
			return err
		}
	}
	return nil
}

// sell puts the product into the sandbox and tells a person what to do.
func sell(ctx context.Context, w io.Writer, token string) error {
	client, err := polar.New(polar.Token(token), polar.WithEnvironment(polar.Sandbox))
	if err != nil {
		return err
	}
	checkout, err := offer(ctx, client)
	if err != nil {
		return err
	}
	tool := "go run ./examples/license -organization " + checkout.OrganizationID
	fmt.Fprintf(w, `Using Polar's sandbox. Only a person can buy there:
1. Open %s and pay with the card 4242 4242 4242 4242.
2. Copy the license key from the page that follows, or from the e-mail.
3. Run the tool as the customer:
     %s activate KEY
     %s status
     %s deactivate
`, checkout.URL, tool, tool, tool)
	return nil
}

// offer makes a product with a license key for two computers, and a checkout for it.
func offer(ctx context.Context, client *polar.Client) (*models.Checkout, error) {
	benefit, err := client.Benefits.Create(ctx, models.BenefitLicenseKeysCreate{
		Description: "License key of the editor",
		Properties: models.BenefitLicenseKeysCreateProperties{
			Prefix:      new("EDITOR"),
			Activations: &models.BenefitLicenseKeyActivations{Limit: 2, EnableCustomerAdmin: true},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("create a benefit: %w", err)
	}
	product, err := client.Products.Create(ctx, models.ProductCreateRecurring{
		Name:              "Editor",
		RecurringInterval: models.RecurringIntervalMonth,
		Prices:            []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 900}},
	})
	if err != nil {
		return nil, fmt.Errorf("create a product: %w", err)
	}
	if _, err := client.Products.SetBenefits(ctx, product.ID, models.ProductBenefitsUpdate{Benefits: []string{benefit.ID}}); err != nil {
		return nil, fmt.Errorf("give the product its benefit: %w", err)
	}
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}})
	if err != nil {
		return nil, fmt.Errorf("create a checkout: %w", err)
	}
	return checkout, nil
}
