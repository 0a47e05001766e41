package polarhttp_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polarhttp"
	"github.com/polar-go/polar/polartest"
	"github.com/polar-go/polar/webhooks"
)

// currentUser stands for the sessions of a program.
func currentUser(r *http.Request) (polarhttp.Customer, error) {
	return polarhttp.Customer{ExternalID: r.Header.Get("X-User")}, nil
}

// start starts a server in Polar's place that sells the product Pro, and a customer who has not bought it.
func start() (srv *polartest.Server, client *polar.Client, product *models.Product) {
	srv, err := polartest.Start()
	if err != nil {
		log.Fatal(err)
	}
	client = srv.Client()
	ctx := context.Background()
	product, err = client.Products.Create(ctx, models.ProductCreateRecurring{
		Name: "Pro", RecurringInterval: models.RecurringIntervalMonth,
		Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 2900}},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Customers.Create(ctx, models.CustomerCreate{Email: "ada@example.com", ExternalID: new("user_42")})
	if err != nil {
		log.Fatal(err)
	}
	return srv, client, product
}

// visit is a request of a signed-in user.
func visit(h http.Handler, target string) *http.Response {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("X-User", "user_42")
	h.ServeHTTP(w, r)
	return w.Result()
}

func ExampleCheckout() {
	srv, client, product := start()
	defer srv.Close()

	checkout, err := polarhttp.Checkout(client,
		polarhttp.WithOrigin("https://example.com"),
		polarhttp.WithSuccessURL("/thanks"),
		polarhttp.WithCheckoutID(),
		polarhttp.WithReturnURL("/pricing"),
	)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/checkout", checkout)

	answer := visit(mux, "/checkout?products="+product.ID)
	fmt.Println(answer.Status, strings.HasPrefix(answer.Header.Get("Location"), srv.URL+"/checkout/"))
	answer = visit(mux, "/checkout?products="+product.ID+"&seats=many")
	fmt.Println(answer.Status)
	// Output:
	// 303 See Other true
	// 400 Bad Request
}

func ExampleCheckoutURL() {
	srv, client, product := start()
	defer srv.Close()

	address, err := polarhttp.CheckoutURL(context.Background(), client, url.Values{
		"products":           {product.ID},
		"customerExternalId": {"user_42"},
	}, polarhttp.WithTrustedParameters(polarhttp.ParameterCustomerExternalID)) // the program itself has written them
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(address, srv.URL+"/checkout/"))
	// Output: true
}

func ExampleWithCheckoutHook() {
	srv, client, product := start()
	defer srv.Close()

	forSale := []string{product.ID}
	checkout, err := polarhttp.Checkout(client, polarhttp.WithCheckoutHook(func(r *http.Request, c *models.CheckoutCreate) error {
		user, err := currentUser(r)
		if err != nil {
			return err
		}
		if user.ExternalID != "" {
			c.ExternalCustomerID = &user.ExternalID // from the session, not from the query
		}
		if slices.ContainsFunc(c.Products, func(id string) bool { return !slices.Contains(forSale, id) }) {
			return &polarhttp.Refusal{Status: http.StatusBadRequest, Message: "this product is not for sale here"}
		}
		return nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(visit(checkout, "/checkout?products="+product.ID).Status)
	fmt.Println(visit(checkout, "/checkout?products=another").Status)
	// Output:
	// 303 See Other
	// 400 Bad Request
}

func ExampleCustomerPortal() {
	srv, client, _ := start()
	defer srv.Close()

	portal, err := polarhttp.CustomerPortal(client, currentUser,
		polarhttp.WithReturnURL("https://example.com/account"),
		polarhttp.WithSignIn(http.RedirectHandler("/login", http.StatusSeeOther)),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(visit(portal, "/portal").Status)

	w := httptest.NewRecorder()
	portal.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/portal", nil)) // nobody is signed in
	fmt.Println(w.Result().Header.Get("Location"))
	// Output:
	// 303 See Other
	// /login
}

func ExampleCustomerPortalURL() {
	srv, client, _ := start()
	defer srv.Close()

	address, err := polarhttp.CustomerPortalURL(context.Background(), client, polarhttp.Customer{ExternalID: "user_42"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(address, srv.URL+"/"))
	// Output: true
}

func ExampleGate_Require() {
	srv, client, product := start()
	defer srv.Close()

	gate, err := polarhttp.NewGate(client, currentUser,
		polarhttp.WithDenied(http.RedirectHandler("/pricing", http.StatusSeeOther)),
		polarhttp.WithClock(srv.Now)) // for this example only
	if err != nil {
		log.Fatal(err)
	}
	reports := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plan := polarhttp.StateFrom(r.Context()).Subscription(product.ID)
		fmt.Fprintln(w, "your plan is", plan.Status)
	})
	h := gate.Require(polarhttp.Product(product.ID))(reports)
	fmt.Println(visit(h, "/reports").Header.Get("Location"))

	if _, err := srv.Grant("user_42", product.ID); err != nil {
		log.Fatal(err)
	}
	srv.Advance(time.Minute)
	fmt.Println(visit(h, "/reports").Status)
	// Output:
	// /pricing
	// 200 OK
}

func ExampleGate_CustomerStateChanged() {
	srv, client, product := start()
	defer srv.Close()

	gate, err := polarhttp.NewGate(client, currentUser, polarhttp.WithClock(srv.Now))
	if err != nil {
		log.Fatal(err)
	}
	// the receiver of webhooks, as in every program
	server := httptest.NewServer(nil)
	defer server.Close()
	endpoint, err := client.WebhookEndpoints.Create(context.Background(), models.WebhookEndpointCreate{
		URL: server.URL, Format: models.WebhookFormatRaw, Events: []models.WebhookEventType{models.WebhookEventTypeCustomerStateChanged},
	})
	if err != nil {
		log.Fatal(err)
	}
	v, err := webhooks.NewVerifier(endpoint.Secret)
	if err != nil {
		log.Fatal(err)
	}
	router := webhooks.NewRouter(v)
	webhooks.On(router, gate.CustomerStateChanged)
	server.Config.Handler = router

	h := gate.Require(polarhttp.Product(product.ID))(http.NotFoundHandler())
	fmt.Println(visit(h, "/").StatusCode)
	if _, err := srv.Grant("user_42", product.ID); err != nil {
		log.Fatal(err)
	}
	srv.Deliveries()                      // waits until they are delivered
	fmt.Println(visit(h, "/").StatusCode) // of the page itself
	// Output:
	// 402
	// 404
}

func ExampleWhenUnknown() {
	srv, client, product := start()
	defer srv.Close()
	srv.Break("", -1, polartest.BadGateway(502))

	quick, err := client.With(polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		log.Fatal(err)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "the report") })
	for _, policy := range []polarhttp.UnknownPolicy{polarhttp.LastKnown, polarhttp.Open, polarhttp.Closed} {
		gate, err := polarhttp.NewGate(quick, currentUser, polarhttp.WhenUnknown(policy))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(visit(gate.Require(polarhttp.Product(product.ID))(page), "/").Status)
	}
	// Output:
	// 503 Service Unavailable
	// 200 OK
	// 503 Service Unavailable
}

func ExampleSatisfies() {
	need := polarhttp.Satisfies(func(s *models.CustomerState) bool {
		return slices.ContainsFunc(s.GrantedBenefits, func(b models.CustomerStateBenefitGrant) bool {
			feature, _ := b.BenefitMetadata.String("feature")
			return feature == "export"
		})
	})
	fmt.Println(need.Err())
	// Output: <nil>
}

func ExampleAnyOf() {
	const reports, calls = "the id of a benefit", "the id of a meter"
	need := polarhttp.AnyOf(
		polarhttp.Benefit(reports),
		polarhttp.MeterBalance(calls, 1).MaxAge(5*time.Second),
	)
	fmt.Println(need.Err())
	// Output: <nil>
}
