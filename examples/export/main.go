// Command export makes a summary of sales for the accountant: it reads the CSV
// exports of orders and subscriptions row by row, adds the amounts up, and keeps
// the file of orders as it is.
//
//	go run ./examples/export
//	go run ./examples/export -out orders.csv
//
// runs it against a Polar server inside the program, with some sales in it: no
// account, no network. With POLAR_ACCESS_TOKEN set it reads the sales of your
// organization in Polar's sandbox and changes nothing there.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func main() {
	cfg := config{Token: os.Getenv("POLAR_ACCESS_TOKEN")}
	flag.StringVar(&cfg.Out, "out", "", "where to keep the file of orders; it is dropped by default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "export:", err)
		os.Exit(1)
	}
}

type config struct {
	Token string // a sandbox token; without one the server inside the program is used
	Out   string // file for the export of orders
}

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) error {
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	var client *polar.Client
	if cfg.Token == "" {
		srv, err := polartest.Start(polartest.WithTaxRate(1900))
		if err != nil {
			return err
		}
		defer srv.Close()
		say("Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")
		if err := trade(ctx, srv); err != nil {
			return err
		}
		client = srv.Client()
	} else {
		var err error
		if client, err = polar.New(polar.Token(cfg.Token), polar.WithEnvironment(polar.Sandbox)); err != nil {
			return err
		}
		say("Using Polar's sandbox.")
	}
	if err := orders(ctx, client, say); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	if err := subscriptions(ctx, client, say); err != nil {
		return fmt.Errorf("read the subscriptions: %w", err)
	}
	if cfg.Out == "" {
		return nil
	}
	size, err := keep(ctx, client, cfg.Out)
	if err != nil {
		return fmt.Errorf("keep the orders: %w", err)
	}
	say("%s holds the orders: %d bytes.", cfg.Out, size)
	return nil
}

// sums are the sales in one currency, in its minor unit.
type sums struct {
	orders                    int
	net, tax, total, refunded int64
}

// orders adds up what was paid in the last 90 days. It holds one row at a time, however many there are.
func orders(ctx context.Context, client *polar.Client, say func(string, ...any)) error {
	params := &polar.OrderExportParams{
		Status:       []models.OrderStatus{models.OrderStatusPaid, models.OrderStatusPartiallyRefunded, models.OrderStatusRefunded},
		CreatedAfter: time.Now().AddDate(0, 0, -90),
		Timezone:     "Europe/Vienna", // the dates of the accountant
		Columns: []models.OrderExportColumn{
			models.OrderExportColumnCreatedAt, models.OrderExportColumnInvoiceNumber, models.OrderExportColumnProduct, models.OrderExportColumnBillingCountry,
			models.OrderExportColumnCurrency, models.OrderExportColumnNetAmount, models.OrderExportColumnTaxAmount, models.OrderExportColumnTotalAmount,
			models.OrderExportColumnRefundedAmount,
		},
	}
	all := map[string]sums{}
	for row, err := range client.Orders.ExportRows(ctx, params) {
		if err != nil {
			return err
		}
		say("  %s  %s  %s, %s: %s, of which %s tax", row.CreatedAt.Format(time.DateOnly), row.InvoiceNumber, row.Product, row.BillingCountry,
			models.FormatAmount(row.TotalAmount, row.Currency), models.FormatAmount(row.TaxAmount, row.Currency))
		s := all[row.Currency]
		s.orders++
		s.net += row.NetAmount
		s.tax += row.TaxAmount
		s.total += row.TotalAmount
		s.refunded += row.RefundedAmount
		all[row.Currency] = s
	}
	for _, currency := range slices.Sorted(maps.Keys(all)) {
		s := all[currency]
		say("Orders: %d; net %s, tax %s, in all %s, of which %s went back.", s.orders, models.FormatAmount(s.net, currency), models.FormatAmount(s.tax, currency),
			models.FormatAmount(s.total, currency), models.FormatAmount(s.refunded, currency))
	}
	return nil
}

// subscriptions counts those that run, by product.
func subscriptions(ctx context.Context, client *polar.Client, say func(string, ...any)) error {
	running := map[string]int{}
	for row, err := range client.Subscriptions.ExportRows(ctx, &polar.SubscriptionExportParams{Status: []models.SubscriptionStatus{models.SubscriptionStatusActive}}) {
		if err != nil {
			return err
		}
		period := string(row.RecurringInterval)
		if n := row.RecurringIntervalCount; n > 1 {
			period = fmt.Sprintf("%d %ss", n, period)
		}
		running[fmt.Sprintf("%s at %s every %s", row.Product, models.FormatAmount(row.Amount, row.Currency), period)]++
	}
	for _, what := range slices.Sorted(maps.Keys(running)) {
		say("%d × %s.", running[what], what)
	}
	return nil
}

// keep writes the file of orders to path as it comes.
func keep(ctx context.Context, client *polar.Client, path string) (size int64, err error) {
	export, err := client.Orders.Export(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer export.Close()
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	size, err = io.Copy(f, export)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return size, err
}

// trade has two customers buy something, and gives some money back.
func trade(ctx context.Context, srv *polartest.Server) error {
	client := srv.Client()
	plan, err := client.Products.Create(ctx, models.ProductCreateRecurring{
		Name: "Pro", RecurringInterval: models.RecurringIntervalMonth, RecurringIntervalCount: new(3),
		Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 4900}},
	})
	if err != nil {
		return err
	}
	book, err := client.Products.Create(ctx, models.ProductCreateOneTime{
		Name: "Handbook", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1999}},
	})
	if err != nil {
		return err
	}
	for i, product := range []string{plan.ID, plan.ID, book.ID} {
		checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{
			Products:               []string{product},
			ExternalCustomerID:     new(fmt.Sprintf("user_%d", i%2)),
			CustomerEmail:          new(fmt.Sprintf("user%d@example.com", i%2)),
			CustomerBillingAddress: &models.Address{Country: "DE"},
		})
		if err != nil {
			return err
		}
		if err := srv.CompleteCheckout(checkout.ID); err != nil {
			return err
		}
	}
	page, err := client.Orders.List(ctx, &polar.OrderListParams{ProductID: []string{book.ID}})
	if err != nil {
		return err
	}
	for _, order := range page.Items {
		_, err := client.Refunds.Create(ctx, models.RefundCreate{OrderID: order.ID, Reason: models.RefundReasonCustomerRequest, Amount: 500})
		if err != nil {
			return err
		}
	}
	return nil
}
