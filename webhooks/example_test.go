package webhooks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"time"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

// The secret of the examples. Yours comes from the environment, exactly as Polar shows it.
const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// send delivers an event to a handler as Polar would, and prints the status of the answer.
func send(h http.Handler, e webhooks.Event) {
	req, err := webhooks.NewRequest(context.Background(), "https://shop.example/webhooks/polar", secret, e)
	if err != nil {
		fmt.Println(err)
		return
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	fmt.Println(rec.Code)
}

func ExampleRouter() {
	v, err := webhooks.NewVerifier(secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := webhooks.NewRouter(v)
	webhooks.On(r, func(ctx context.Context, e *webhooks.OrderPaid) error {
		fmt.Println("deliver", e.Data.ID)
		return nil
	})
	webhooks.On(r, func(ctx context.Context, e *webhooks.SubscriptionRevoked) error {
		fmt.Println("close", e.Data.CustomerID)
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/polar", r)

	send(mux, &webhooks.OrderPaid{Data: models.Order{ID: "order_1"}})
	send(mux, &webhooks.OrderCreated{}) // nobody handles it
	// Output:
	// deliver order_1
	// 202
	// 202
}

func ExampleNewVerifier() {
	_, err := webhooks.NewVerifier(os.Getenv("NO_SUCH_VARIABLE"))
	fmt.Println(err)
	_, err = webhooks.NewVerifier("whsec_")
	fmt.Println(errors.Is(err, webhooks.ErrSecret))

	// during a rotation
	_, err = webhooks.NewVerifier("the new secret", webhooks.WithPreviousSecret("the old secret"))
	fmt.Println(err)
	// Output:
	// webhooks: the secret is empty: is the environment variable set?
	// true
	// <nil>
}

// Without the router: a function on a serverless platform, which passes the header as a map.
func ExampleVerifier_Parse() {
	v, err := webhooks.NewVerifier(secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	function := func(header map[string]string, body string) (status int) {
		event, err := v.Parse([]byte(body), webhooks.Header(header))
		if err != nil {
			return webhooks.StatusCode(err)
		}
		switch e := event.(type) {
		case *webhooks.OrderPaid:
			fmt.Println("deliver", e.Data.ID)
		case *webhooks.Unknown:
			fmt.Println("new:", e.EventType)
		}
		return http.StatusAccepted
	}

	body := `{"type":"order.paid","timestamp":"2026-11-22T12:00:00Z","api_version":"2026-10","data":{"id":"order_1"}}`
	h, _ := webhooks.Sign(secret, "evt_1", time.Now(), []byte(body))
	header := map[string]string{
		"webhook-id": h.Get("webhook-id"), "webhook-timestamp": h.Get("webhook-timestamp"), "webhook-signature": h.Get("webhook-signature"),
	}
	fmt.Println(function(header, body))
	fmt.Println(function(header, body+" "))
	// Output:
	// deliver order_1
	// 202
	// 403
}

func ExamplePermanent() {
	v, _ := webhooks.NewVerifier(secret)
	r := webhooks.NewRouter(v, webhooks.WithFailureHandler(func(ctx context.Context, f webhooks.Failure) {
		fmt.Println("failed:", f.Event.Type(), f.Err)
	}))
	webhooks.On(r, func(ctx context.Context, e *webhooks.OrderPaid) error {
		if e.Data.ProductID == nil {
			return webhooks.Permanent(errors.New("the order has no product")) // trying again would not help
		}
		return errors.New("the database is down") // trying again may help
	})
	send(r, &webhooks.OrderPaid{})
	send(r, &webhooks.OrderPaid{Data: models.Order{ProductID: new("product_1")}})
	// Output:
	// failed: order.paid the order has no product
	// 202
	// failed: order.paid the database is down
	// 500
}

func ExampleRouter_Default() {
	v, _ := webhooks.NewVerifier(secret)
	r := webhooks.NewRouter(v)
	r.Default(func(ctx context.Context, e webhooks.Event) error {
		fmt.Println(e.Type(), e.Info().APIVersion)
		return nil
	})
	send(r, &webhooks.ProductUpdated{})
	send(r, &webhooks.Unknown{EventType: "invoice.sent"})
	// Output:
	// product.updated 2026-10
	// 202
	// invoice.sent 2026-10
	// 202
}

// InvoiceSent is an event that is newer than this module.
type InvoiceSent struct {
	webhooks.Delivery
	Data struct {
		Number string `json:"number"`
	} `json:"data"`
}

func (*InvoiceSent) Type() models.WebhookEventType { return "invoice.sent" }

func ExampleOn_newerEvent() {
	v, _ := webhooks.NewVerifier(secret)
	r := webhooks.NewRouter(v)
	webhooks.On(r, func(ctx context.Context, e *InvoiceSent) error {
		fmt.Println("invoice", e.Data.Number)
		return nil
	})
	send(r, &webhooks.Unknown{EventType: "invoice.sent", Data: []byte(`{"number":"2026-001"}`)})
	// Output:
	// invoice 2026-001
	// 202
}

func ExampleRouter_Use() {
	v, _ := webhooks.NewVerifier(secret)
	r := webhooks.NewRouter(v)
	r.Use(func(next webhooks.Handler) webhooks.Handler {
		return func(ctx context.Context, e webhooks.Event) error {
			err := next(ctx, e)
			fmt.Println(e.Type(), "handled:", err == nil)
			return err
		}
	})
	webhooks.On(r, func(ctx context.Context, e *webhooks.CustomerStateChanged) error {
		fmt.Println("store the state of", e.Data.ID)
		return nil
	})
	send(r, &webhooks.CustomerStateChanged{Data: models.CustomerState{ID: "customer_1"}})
	// Output:
	// store the state of customer_1
	// customer.state_changed handled: true
	// 202
}

func ExampleEntitlements() {
	v, _ := webhooks.NewVerifier(secret)
	r := webhooks.NewRouter(v)
	ent := webhooks.NewEntitlements()
	ent.Description("Access to the wiki", webhooks.Entitlement{
		Grant: func(ctx context.Context, g *models.BenefitGrant) error {
			fmt.Println("open the wiki for", g.CustomerID)
			return nil
		},
		Revoke: func(ctx context.Context, g *models.BenefitGrant) error {
			fmt.Println("close the wiki for", g.CustomerID)
			return nil
		},
	})
	ent.Register(r)

	grant := models.BenefitGrant{ID: "grant_1", CustomerID: "customer_1", Benefit: models.Benefit{Description: "Access to the wiki"}}
	granted, revoked := grant, grant
	granted.IsGranted, revoked.IsRevoked = true, true
	at := time.Now()
	send(r, &webhooks.BenefitGrantCreated{Data: granted, Delivery: webhooks.Delivery{Timestamp: at}})
	send(r, &webhooks.BenefitGrantRevoked{Data: revoked, Delivery: webhooks.Delivery{Timestamp: at.Add(time.Hour)}})
	send(r, &webhooks.BenefitGrantCycled{Data: granted, Delivery: webhooks.Delivery{Timestamp: at.Add(time.Minute)}}) // late
	// Output:
	// open the wiki for customer_1
	// 202
	// close the wiki for customer_1
	// 202
	// 202
}

func ExampleNewMemoryDeduper() {
	v, _ := webhooks.NewVerifier(secret)
	dedupe := webhooks.NewMemoryDeduper(webhooks.RememberFor(24*time.Hour), webhooks.MemorySize(100_000))
	r := webhooks.NewRouter(v, webhooks.WithDeduper(dedupe))
	webhooks.On(r, func(ctx context.Context, e *webhooks.OrderPaid) error {
		fmt.Println("deliver", e.Data.ID)
		return nil
	})
	paid := &webhooks.OrderPaid{Data: models.Order{ID: "order_1"}, Delivery: webhooks.Delivery{ID: "evt_1"}}
	send(r, paid)
	send(r, paid) // acknowledged, and not handled again
	// Output:
	// deliver order_1
	// 202
	// 202
}

// The work that was stored by one process and is done by another one.
func ExampleDecode() {
	stored := []byte(`{"type":"order.paid","timestamp":"2026-11-22T12:00:00Z","api_version":"2026-10","data":{"id":"order_1"}}`)
	event, err := webhooks.Decode(stored)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := webhooks.NewRouter(nil) // only to dispatch
	webhooks.On(r, func(ctx context.Context, e *webhooks.OrderPaid) error {
		fmt.Println("deliver", e.Data.ID)
		return nil
	})
	fmt.Println(r.Dispatch(context.Background(), event))
	// Output:
	// deliver order_1
	// <nil>
}

func ExampleListenSecret() {
	v, err := webhooks.NewVerifier(webhooks.ListenSecret("9a4bb7a2-6a2b-4a1f-93f1-1f6b0d3a5c11"))
	fmt.Println(v != nil, err)
	// Output: true <nil>
}

func ExampleFromSource() {
	fmt.Println(webhooks.FromSource(netip.MustParseAddr("74.220.50.17")))
	fmt.Println(webhooks.FromSource(netip.MustParseAddr("192.0.2.1")))
	// Output:
	// true
	// false
}
