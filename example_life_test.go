package polar_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// shop is a Polar server with products for an example, and its client.
func shop() (*polartest.Server, *polar.Client, *polartest.Catalogue) {
	srv, err := polartest.Start(polartest.WithTime(time.Date(2026, 10, 5, 9, 0, 0, 0, time.UTC)))
	if err != nil {
		log.Fatal(err)
	}
	products, err := srv.Seed()
	if err != nil {
		log.Fatal(err)
	}
	return srv, srv.Client(), products
}

// buy lets a customer with this id buy a product.
func buy(srv *polartest.Server, client *polar.Client, user, product string, metadata models.Metadata) *models.Checkout {
	ctx := context.Background()
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{
		Products:           []string{product},
		ExternalCustomerID: &user,
		CustomerEmail:      new(user + "@example.com"),
		Metadata:           metadata,
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := srv.CompleteCheckout(checkout.ID); err != nil {
		log.Fatal(err)
	}
	return checkout
}

// The page that the customer comes back to after paying asks until the payment is final.
func ExampleCheckoutService_Wait() {
	srv, client, products := shop()
	defer srv.Close()
	checkout := buy(srv, client, "ada", products.Monthly.ID, nil)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	checkout, err := client.Checkouts.Wait(ctx, checkout.ID)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("we are still waiting for your payment and will send you an e-mail")
	case err != nil:
		fmt.Println(err)
	case checkout.Status == models.CheckoutStatusSucceeded:
		fmt.Println("thank you for", models.FormatAmount(checkout.TotalAmount, checkout.Currency))
	default:
		fmt.Println("nothing was paid:", checkout.Status)
	}
	// Output: thank you for 29.00 USD
}

// What a customer has at the moment, in one call.
func ExampleCustomerService_StateByExternalID() {
	srv, client, products := shop()
	defer srv.Close()
	buy(srv, client, "ada", products.Monthly.ID, nil)

	state, err := client.Customers.StateByExternalID(context.Background(), "ada")
	if err != nil {
		fmt.Println(err)
		return
	}
	if s := state.Subscription(products.Monthly.ID); s != nil {
		fmt.Println(s.Status, "until", s.CurrentPeriodEnd.Format(time.DateOnly))
	}
	if left, ok := state.Balance(products.Tokens.ID); ok {
		fmt.Println(left, "tokens left")
	}
	// Output:
	// active until 2026-11-05
	// 1000 tokens left
}

// A filter by metadata finds what was sold with it. The values of a key are alternatives, the keys are not.
func ExampleMetadataFilter() {
	srv, client, products := shop()
	defer srv.Close()
	for user, campaign := range map[string]string{"ada": "spring", "grace": "summer", "mary": "winter"} {
		buy(srv, client, user, products.Book.ID, models.Metadata{"campaign": campaign, "shop": "main"})
	}

	page, err := client.Orders.List(context.Background(), &polar.OrderListParams{
		Metadata: polar.MetadataFilter{"campaign": {"spring", "summer"}, "shop": {"main"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Pagination.TotalCount, "orders")
	// Output: 2 orders
}

// All asks for the next page when the loop gets there; leaving the loop asks for no more.
func ExampleCustomerService_All() {
	srv, client, _ := shop()
	defer srv.Close()
	ctx := context.Background()
	for i := range 5 {
		_, err := client.Customers.Create(ctx, models.CustomerCreate{Email: fmt.Sprintf("user%d@example.com", i)})
		if err != nil {
			fmt.Println(err)
			return
		}
	}

	params := &polar.CustomerListParams{Limit: 2, Sorting: []models.CustomerSort{models.CustomerSortEmail}}
	for customer, err := range client.Customers.All(ctx, params) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(customer.Email)
		if customer.Email == "user2@example.com" {
			break
		}
	}
	fmt.Println(len(srv.Requests("customers:list")), "requests")
	// Output:
	// user0@example.com
	// user1@example.com
	// user2@example.com
	// 2 requests
}

// The answer to a change got lost. The client does not send it again: whether it was made is looked up.
func ExampleErrorClass_outcomeUnknown() {
	srv, client, _ := shop()
	defer srv.Close()
	ctx := context.Background()
	srv.Break("customers:create", 1, polartest.LoseAnswer())

	_, err := client.Customers.Create(ctx, models.CustomerCreate{Email: "ada@example.com", ExternalID: new("ada")})
	if errors.Is(err, polar.ErrOutcomeUnknown) {
		customer, err := client.Customers.GetByExternalID(ctx, "ada")
		switch {
		case errors.Is(err, polar.ErrNotFound):
			fmt.Println("not created: try again")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println("created:", customer.Email)
		}
	}
	// Output: created: ada@example.com
}

// The rate limiter asks for more patience than a program has that serves a user.
func ExampleError_retryAfter() {
	srv, client, _ := shop()
	defer srv.Close()
	srv.Break("products:list", 1, polartest.TooManyRequests(time.Minute))

	_, err := client.Products.List(context.Background(), nil)
	if e, ok := errors.AsType[*polar.Error](err); ok && errors.Is(e, polar.ErrRateLimited) {
		fmt.Println("again in", e.RetryAfter)
	}
	// Output: again in 1m0s
}

// A read is repeated after a failure of the network or of a proxy.
func ExampleRetryPolicy() {
	srv, client, products := shop()
	defer srv.Close()
	srv.Break("products:get", 1, polartest.Reset())
	srv.Break("products:get", 1, polartest.BadGateway(http.StatusServiceUnavailable))
	client, err := client.With(polar.WithRetry(polar.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Millisecond}))
	if err != nil {
		fmt.Println(err)
		return
	}

	product, err := client.Products.Get(context.Background(), products.Book.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(product.Name, "after", len(srv.Requests("products:get")), "attempts")
	// Output: Book after 3 attempts
}

// Prices have common members, and one that depends on their kind.
func ExampleProductService_All() {
	srv, client, _ := shop()
	defer srv.Close()

	params := &polar.ProductListParams{Sorting: []models.ProductSort{models.ProductSortName}}
	for product, err := range client.Products.All(context.Background(), params) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, price := range product.Prices {
			switch amount := price.Amount.(type) {
			case *models.ProductPriceFixed:
				fmt.Println(product.Name+":", models.FormatAmount(amount.PriceAmount, price.PriceCurrency))
			case *models.ProductPriceSeatBased:
				fmt.Println(product.Name+": by seat, in", len(amount.SeatTiers.Tiers), "tiers")
			case *models.ProductPriceMeteredUnit:
				fmt.Println(product.Name+":", models.FormatUnitAmount(amount.UnitAmount, price.PriceCurrency), "a unit")
			default:
				fmt.Println(product.Name+":", price.AmountType)
			}
		}
	}
	// Output:
	// Book: 19.00 USD
	// Free: 0.00 USD
	// Monthly: 29.00 USD
	// Monthly: 0.01 USD a unit
	// Team: by seat, in 2 tiers
	// Yearly: 290.00 USD
}

// Each kind of change to a subscription is a type of its own.
func ExampleSubscriptionService_Update_cancel() {
	srv, client, products := shop()
	defer srv.Close()
	ctx := context.Background()
	buy(srv, client, "ada", products.Monthly.ID, nil)
	page, err := client.Subscriptions.List(ctx, &polar.SubscriptionListParams{ExternalCustomerID: []string{"ada"}})
	if err != nil {
		fmt.Println(err)
		return
	}

	s, err := client.Subscriptions.Update(ctx, page.Items[0].ID, models.SubscriptionCancel{CancelAtPeriodEnd: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Status, s.IsValid(), s.OnGracePeriod(), "until", s.EndsAt.Format(time.DateOnly))

	srv.Advance(31 * 24 * time.Hour)
	if s, err = client.Subscriptions.Get(ctx, s.ID); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Status, s.IsValid(), s.HasEnded())
	// Output:
	// active true true until 2026-11-05
	// canceled false true
}

// What a customer may do is a client of another type.
func ExamplePortal() {
	srv, client, products := shop()
	defer srv.Close()
	ctx := context.Background()
	buy(srv, client, "ada", products.Book.ID, nil)

	session, err := client.CustomerSessions.Create(ctx, models.CustomerSessionCreate{ExternalCustomerID: new("ada")})
	if err != nil {
		fmt.Println(err)
		return
	}
	portal, err := client.Portal(polar.Token(session.Token))
	if err != nil {
		fmt.Println(err)
		return
	}
	for order, err := range portal.Orders.All(ctx, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(order.Product.Name, models.FormatAmount(order.TotalAmount, order.Currency), order.Status)
	}
	for key, err := range portal.LicenseKeys.All(ctx, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("a license key that is", key.Status)
	}
	// Output:
	// Book 19.00 USD paid
	// a license key that is granted
}

// A refund is given without tax, which follows by itself.
func ExampleRefundService_Create() {
	srv, client, products := shop()
	defer srv.Close()
	ctx := context.Background()
	buy(srv, client, "ada", products.Book.ID, nil)
	orders, err := client.Orders.List(ctx, &polar.OrderListParams{ExternalCustomerID: []string{"ada"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	order := orders.Items[0]

	_, err = client.Refunds.Create(ctx, models.RefundCreate{
		OrderID:  order.ID,
		Amount:   order.RefundableAmount,
		Reason:   models.RefundReasonCustomerRequest,
		Metadata: models.Metadata{"ticket": 17}, // to find it again when the answer gets lost
	})
	fmt.Println(err)
	_, err = client.Refunds.Create(ctx, models.RefundCreate{OrderID: order.ID, Amount: order.RefundableAmount, Reason: models.RefundReasonCustomerRequest})
	fmt.Println(errors.Is(err, polar.ErrRefundedAlready))
	// Output:
	// <nil>
	// true
}
