// Command quickstart sells something and shows what Polar knows about it: it
// creates a product, a customer and a checkout session, lets the customer pay,
// ingests usage, reads the customer's state and lists the orders.
//
//	go run ./examples/quickstart
//
// runs it against a Polar server inside the program: no account, no network.
// With POLAR_ACCESS_TOKEN set it makes the same calls against Polar's sandbox,
// where a person has to pay: it prints the address of the checkout page.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg := config{Token: os.Getenv("POLAR_ACCESS_TOKEN")}
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// config says what to sell and to whom; the zero value is fine.
type config struct {
	Token    string // a sandbox token; without one the server inside the program is used
	Product  string
	Price    int64 // in cents, each month
	Customer string
	Email    string
	Calls    []int64 // tokens that each ingested call used
}

func (c *config) defaults() {
	c.Product = cmp.Or(c.Product, "Pro plan")
	c.Price = cmp.Or(c.Price, 2900)
	c.Customer = cmp.Or(c.Customer, "Ada Lovelace")
	if c.Email == "" {
		c.Email = "ada@example.com"
		if c.Token != "" { // the sandbox remembers the customers of earlier runs
			c.Email = fmt.Sprintf("ada+%d@example.com", time.Now().Unix())
		}
	}
	if c.Calls == nil {
		c.Calls = []int64{1200, 350, 4100}
	}
}

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) error {
	cfg.defaults()
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	var srv *polartest.Server
	var client *polar.Client
	var err error
	if cfg.Token == "" {
		if srv, err = polartest.Start(); err != nil {
			return err
		}
		defer srv.Close()
		client = srv.Client()
		say("Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")
	} else {
		if client, err = polar.New(polar.Token(cfg.Token), polar.WithEnvironment(polar.Sandbox)); err != nil {
			return err
		}
		say("Using Polar's sandbox.")
	}

	meter, err := client.Meters.Create(ctx, models.MeterCreate{
		Name:        "Tokens of " + cfg.Product,
		Filter:      models.And(models.Eq("name", "ai.call")),
		Aggregation: models.Sum("tokens"),
	})
	if err != nil {
		return fmt.Errorf("create a meter: %w", err)
	}
	say("Meter %q sums the tokens of AI calls.", meter.Name)

	product, err := client.Products.Create(ctx, models.ProductCreateRecurring{
		Name:              cfg.Product,
		RecurringInterval: models.RecurringIntervalMonth,
		Prices:            []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: cfg.Price}},
	})
	if err != nil {
		return fmt.Errorf("create a product: %w", err)
	}
	say("Product %q costs %s a month.", product.Name, models.FormatAmount(cfg.Price, models.CurrencyUSD))

	customer, err := client.Customers.Create(ctx, models.CustomerCreate{Email: cfg.Email, Name: &cfg.Customer})
	if err != nil {
		return fmt.Errorf("create a customer: %w", err)
	}
	say("Customer %s <%s> exists.", cfg.Customer, customer.Email)

	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{
		Products:               []string{product.ID},
		CustomerID:             &customer.ID,
		CustomerBillingAddress: &models.Address{Country: "FR"},
		Metadata:               models.Metadata{"source": "quickstart"},
	})
	if err != nil {
		return fmt.Errorf("create a checkout: %w", err)
	}
	say("Checkout for %s is %s.", models.FormatAmount(checkout.TotalAmount, checkout.Currency), checkout.Status)

	if srv != nil {
		if err := srv.CompleteCheckout(checkout.ID); err != nil {
			return fmt.Errorf("complete the checkout: %w", err)
		}
		if checkout, err = client.Checkouts.Get(ctx, checkout.ID); err != nil {
			return fmt.Errorf("read the checkout: %w", err)
		}
		say("The customer paid: the checkout is %s.", checkout.Status)
	} else {
		say("Only a person can pay in the sandbox. Open %s and use the card 4242 4242 4242 4242.", checkout.URL)
	}

	events := models.EventsIngest{}
	for i, tokens := range cfg.Calls {
		events.Events = append(events.Events, models.EventCreate{
			Name:       "ai.call",
			CustomerID: &customer.ID,
			ExternalID: new(fmt.Sprintf("%s-call-%d", checkout.ID, i)), // makes sending it again harmless
			Metadata:   models.Metadata{"tokens": tokens},
		})
	}
	if len(events.Events) > 0 {
		ingested, err := client.Events.Ingest(ctx, events)
		if err != nil {
			return fmt.Errorf("ingest usage: %w", err)
		}
		say("Ingested %d events.", ingested.Inserted)
	}

	state, err := client.Customers.State(ctx, customer.ID)
	if err != nil {
		return fmt.Errorf("read the customer's state: %w", err)
	}
	say("Active subscriptions: %d.", len(state.ActiveSubscriptions))
	for _, s := range state.ActiveSubscriptions {
		say("  %s, %s a %s, renews on %s", s.Status, models.FormatAmount(s.Amount, s.Currency), s.RecurringInterval, s.CurrentPeriodEnd.Format("2 January 2006"))
	}
	for _, m := range state.ActiveMeters {
		say("  used %g tokens, balance %g", m.ConsumedUnits, m.Balance)
	}

	var count int
	var total int64
	for order, err := range client.Orders.All(ctx, &polar.OrderListParams{CustomerID: []string{customer.ID}}) {
		if err != nil {
			return fmt.Errorf("list the orders: %w", err)
		}
		count++
		total += order.TotalAmount
		say("Order %s for %s: %s, %s", deref(order.InvoiceNumber), order.Description, models.FormatAmount(order.TotalAmount, order.Currency), order.Status)
	}
	say("Orders: %d, %s in all.", count, models.FormatAmount(total, checkout.Currency))
	return nil
}

func deref(s *string) string {
	if s == nil {
		return "---"
	}
	return *s
}
