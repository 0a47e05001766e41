package polartest_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// A subscription is sold and renews twice, in no time. In a test, NewServer(t) starts the server and stops it.
func Example() {
	srv, err := polartest.Start(polartest.WithTime(time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC)))
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	ctx, client := context.Background(), srv.Client()
	product, err := client.Products.Create(ctx, models.ProductCreateRecurring{
		Name:              "Pro",
		RecurringInterval: models.RecurringIntervalMonth,
		Prices:            []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 2900}},
	})
	if err != nil {
		log.Fatal(err)
	}
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, CustomerEmail: new("ada@example.com")})
	if err != nil {
		log.Fatal(err)
	}
	if err := srv.CompleteCheckout(checkout.ID); err != nil {
		log.Fatal(err)
	}
	srv.Advance(62 * 24 * time.Hour)
	for order, err := range client.Orders.All(ctx, &polar.OrderListParams{Sorting: []models.OrderSort{models.OrderSortCreatedAt}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(order.CreatedAt.Format(time.DateOnly), order.BillingReason, order.TotalAmount, order.Status)
	}
	// Output:
	// 2026-10-05 subscription_create 2900 paid
	// 2026-11-05 subscription_cycle 2900 paid
	// 2026-12-05 subscription_cycle 2900 paid
}

// A renewal that is not paid leaves the subscription past due until a later attempt succeeds.
func ExampleServer_DeclinePayments() {
	srv, err := polartest.Start(polartest.WithTime(time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC)))
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	ctx, client := context.Background(), srv.Client()
	catalogue, err := srv.Seed()
	if err != nil {
		log.Fatal(err)
	}
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{catalogue.Monthly.ID}, CustomerEmail: new("ada@example.com"), ExternalCustomerID: new("user_1")})
	if err != nil {
		log.Fatal(err)
	}
	if err := srv.CompleteCheckout(checkout.ID); err != nil {
		log.Fatal(err)
	}
	status := func() {
		subscriptions, err := client.Subscriptions.List(ctx, &polar.SubscriptionListParams{ExternalCustomerID: []string{"user_1"}})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(subscriptions.Items[0].Status)
	}
	if err := srv.DeclinePayments("user_1", true); err != nil {
		log.Fatal(err)
	}
	srv.Advance(31 * 24 * time.Hour)
	status()
	if err := srv.DeclinePayments("user_1", false); err != nil {
		log.Fatal(err)
	}
	srv.Advance(2 * 24 * time.Hour) // the next attempt
	status()
	// Output:
	// past_due
	// active
}

// The client repeats a GET that a proxy failed to answer; the server tells how often it was asked.
func ExampleServer_Break() {
	srv, err := polartest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	srv.Break("products:list", 2, polartest.BadGateway(http.StatusBadGateway))
	client, err := srv.Client().With(polar.WithRetry(polar.RetryPolicy{BaseDelay: time.Millisecond}))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Products.List(context.Background(), nil)
	fmt.Println(err, len(srv.Requests("products:list")))
	// Output: <nil> 3
}
