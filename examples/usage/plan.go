package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

const (
	customerID = "user_42" // in our own database
	demoKey    = "demo-key"

	fixedPrice    = 1000 // cents a month
	includedCalls = 3
	pricePerCall  = models.Decimal("2")
	pricePerSec   = models.Decimal("0.5")
	planTerms     = "10.00 USD a month with 3 calls, 2 cents for each further call, half a cent for each second of computing"
)

// mark is how the program finds in the sandbox what an earlier run of it has made.
var mark = models.Metadata{"example": "usage"}

// ensurePlan returns the product, and makes it with its meters and its credit if there is none.
func ensurePlan(ctx context.Context, client *polar.Client) (*models.Product, error) {
	found, err := client.Products.List(ctx, &polar.ProductListParams{Metadata: polar.MetadataFilter{"example": {"usage"}}, IsArchived: new(false)})
	if err != nil {
		return nil, fmt.Errorf("look for the product: %w", err)
	}
	if len(found.Items) > 0 {
		return &found.Items[0], nil
	}
	calls, err := client.Meters.Create(ctx, models.MeterCreate{
		Name:        "API calls",
		Filter:      models.And(models.Eq("name", eventCall), models.Lt("status", 400)), // what fails is free
		Aggregation: models.Count(),
		Metadata:    mark,
	})
	if err != nil {
		return nil, fmt.Errorf("create the meter of calls: %w", err)
	}
	seconds, err := client.Meters.Create(ctx, models.MeterCreate{
		Name:        "Seconds of computing",
		Filter:      models.And(models.Eq("name", eventCompute)),
		Aggregation: models.Sum("deltaTime"),
		Metadata:    mark,
	})
	if err != nil {
		return nil, fmt.Errorf("create the meter of seconds: %w", err)
	}
	credit, err := client.Benefits.Create(ctx, models.BenefitMeterCreditCreate{
		Description: fmt.Sprintf("%d API calls a month", includedCalls),
		Properties:  models.BenefitMeterCreditProperties{MeterID: calls.ID, Units: includedCalls},
		Metadata:    mark,
	})
	if err != nil {
		return nil, fmt.Errorf("create the credit: %w", err)
	}
	product, err := client.Products.Create(ctx, models.ProductCreateRecurring{
		Name:              "Render API",
		RecurringInterval: models.RecurringIntervalMonth,
		Prices: []models.ProductPriceCreate{
			models.ProductPriceFixedCreate{PriceAmount: fixedPrice},
			models.ProductPriceMeteredUnitCreate{MeterID: calls.ID, UnitAmount: pricePerCall},
			models.ProductPriceMeteredUnitCreate{MeterID: seconds.ID, UnitAmount: pricePerSec},
		},
		Metadata: mark,
	})
	if err != nil {
		return nil, fmt.Errorf("create the product: %w", err)
	}
	if product, err = client.Products.SetBenefits(ctx, product.ID, models.ProductBenefitsUpdate{Benefits: []string{credit.ID}}); err != nil {
		return nil, fmt.Errorf("include the credit: %w", err)
	}
	return product, nil
}

// subscribe returns a checkout for the customer, and nil when they have a subscription already.
func subscribe(ctx context.Context, client *polar.Client, productID string) (*models.Checkout, error) {
	customer, err := client.Customers.Ensure(ctx, models.CustomerCreate{ExternalID: new(customerID), Email: "ada@example.com", Name: new("Ada Lovelace")})
	if err != nil {
		return nil, fmt.Errorf("ensure the customer: %w", err)
	}
	state, err := client.Customers.State(ctx, customer.ID)
	if err != nil {
		return nil, fmt.Errorf("read the customer's state: %w", err)
	}
	if len(state.ActiveSubscriptions) > 0 {
		return nil, nil
	}
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{
		Products:               []string{productID},
		ExternalCustomerID:     new(customerID),
		CustomerBillingAddress: &models.Address{Country: "FR"},
	})
	if err != nil {
		return nil, fmt.Errorf("create a checkout: %w", err)
	}
	return checkout, nil
}

// callAll is the scripted customer.
func callAll(ctx context.Context, say func(string, ...any), url string, calls []time.Duration) error {
	client := &http.Client{Timeout: 3 * time.Minute}
	defer client.CloseIdleConnections()
	call := func(key, body string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/renders", bytes.NewBufferString(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		say("POST /v1/renders %s: %s", body, resp.Status)
		return resp.Body.Close()
	}
	for _, d := range calls {
		body, err := json.Marshal(map[string]float64{"seconds": d.Seconds()})
		if err != nil {
			return err
		}
		if err := call(demoKey, string(body)); err != nil {
			return err
		}
	}
	if err := call(demoKey, `{"seconds":-1}`); err != nil { // fails, and is not billed
		return err
	}
	return call("not a key", `{"seconds":1}`)
}

// showUsage prints what Polar has measured in the current period.
func showUsage(ctx context.Context, say func(string, ...any), client *polar.Client, product *models.Product) error {
	state, err := client.Customers.StateByExternalID(ctx, customerID)
	if err != nil {
		return fmt.Errorf("read the customer's state: %w", err)
	}
	names := map[string]string{}
	for _, p := range product.Prices {
		if a, ok := p.Amount.(*models.ProductPriceMeteredUnit); ok {
			names[a.MeterID] = a.Meter.Name
		}
	}
	for _, m := range state.ActiveMeters {
		say("%s: %.2f used, %d included, balance %.2f", names[m.MeterID], m.ConsumedUnits, m.CreditedUnits, m.Balance)
	}
	return nil
}

// showOrders prints what the customer was billed, line by line.
func showOrders(ctx context.Context, say func(string, ...any), client *polar.Client) error {
	orders := client.Orders.All(ctx, &polar.OrderListParams{ExternalCustomerID: []string{customerID}, Sorting: []models.OrderSort{models.OrderSortCreatedAt}})
	for order, err := range orders {
		if err != nil {
			return fmt.Errorf("list the orders: %w", err)
		}
		say("%s %s, %s:", order.CreatedAt.Format(time.DateOnly), order.BillingReason, order.Status)
		for _, line := range order.Items {
			say("  %-40s %14s", line.Label, models.FormatAmount(line.Amount, order.Currency))
		}
		say("  %-40s %14s", "Total", models.FormatAmount(order.TotalAmount, order.Currency))
		if !order.IsPaid() {
			continue
		}
		invoice, err := client.Orders.WaitForInvoice(ctx, order.ID)
		if errors.Is(err, polar.ErrMissingInvoiceBillingDetails) {
			say("  No invoice: the customer has not given a name and an address.")
			continue
		}
		if err != nil {
			return fmt.Errorf("get the invoice: %w", err)
		}
		say("  Invoice: %s", invoice.URL)
	}
	return nil
}
