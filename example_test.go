package polar_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// answers stands in for Polar: for each request, such as "GET /v1/orders/", it has the body of the answer.
type answers map[string]string

func (a answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	body, ok := a[r.Method+" "+r.URL.RequestURI()]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		body = `{"error":"ResourceNotFound","detail":"Not found"}`
	}
	fmt.Fprint(w, body)
}

// connect returns a client of a server with this handler, and a function that ends both. A program uses polar.New alone.
func connect(handler http.Handler, opts ...polar.Option) (*polar.Client, func()) {
	server := httptest.NewServer(handler)
	client, err := polar.New(polar.Token("polar_oat_example"), append(opts, polar.WithBaseURL(server.URL))...)
	if err != nil {
		panic(err)
	}
	return client, server.Close
}

// received prints the body of each request, and answers with {}.
var received = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Println(r.Method, r.URL.Path, string(body))
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, "{}")
})

func Example() {
	client, done := connect(answers{
		"GET /v1/orders/ord_1": `{"id":"ord_1","status":"paid","total_amount":4900,"currency":"usd","customer":{"email":"ada@example.com"}}`,
	})
	defer done()

	order, err := client.Orders.Get(context.Background(), "ord_1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(order.Status, order.TotalAmount, order.Currency, order.Customer.Email)
	// Output: paid 4900 usd ada@example.com
}

func ExampleNew() {
	client, err := polar.New(polar.Token(os.Getenv("POLAR_ACCESS_TOKEN_OF_NOBODY")), polar.WithEnvironment(polar.Sandbox))
	fmt.Println(client != nil)
	fmt.Println(err)
	// Output:
	// false
	// polar: token is empty: set it, or pass polar.Anonymous for calls that need none
}

func ExampleToken() {
	token := polar.Token("polar_oat_not_to_be_seen")
	client, err := polar.New(token)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token)
	fmt.Println(strings.Contains(fmt.Sprintf("%+v %#v", client, token), "not_to_be_seen"))
	// Output:
	// [REDACTED]
	// false
}

func ExampleTokenFunc() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Header.Get("Authorization"))
		fmt.Fprint(w, "{}")
	}))
	defer server.Close()
	version := 0
	rotating := polar.TokenFunc(func(ctx context.Context) (string, error) {
		version++
		return fmt.Sprintf("token_%d", version), nil
	})
	client, err := polar.New(rotating, polar.WithBaseURL(server.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		if _, err := client.Orders.Get(context.Background(), "ord_1"); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// Bearer token_1
	// Bearer token_2
}

func ExampleFromEnv() {
	os.Setenv("POLAR_ACCESS_TOKEN", "polar_oat_example")
	os.Setenv("POLAR_SERVER", "sandbocks")
	defer os.Unsetenv("POLAR_ACCESS_TOKEN")
	defer os.Unsetenv("POLAR_SERVER")

	_, err := polar.FromEnv()
	fmt.Println(err)
	// Output: polar: environment variable POLAR_SERVER is "sandbocks": want production, sandbox or a base URL
}

func ExampleClient_With() {
	client, done := connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("%q\n", r.Header.Get("Polar-Organization"))
		fmt.Fprint(w, `{"items":[],"pagination":{"total_count":0,"max_page":1}}`)
	}))
	defer done()

	acme, err := client.With(polar.WithOrganization("org_acme"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range []*polar.Client{client, acme} {
		if _, err := c.Products.List(context.Background(), nil); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// ""
	// "org_acme"
}

func ExampleClient_Portal() {
	client, done := connect(answers{
		"POST /v1/customer-sessions/":          `{"token":"polar_cst_example","customer_portal_url":"https://polar.sh/acme/portal"}`,
		"GET /v1/customer-portal/orders/?":     "",
		"GET /v1/customer-portal/customers/me": `{"email":"ada@example.com","name":"Ada"}`,
	})
	defer done()
	ctx := context.Background()

	session, err := client.CustomerSessions.Create(ctx, models.CustomerSessionCreate{ExternalCustomerID: new("user_42")})
	if err != nil {
		fmt.Println(err)
		return
	}
	portal, err := client.Portal(polar.Token(session.Token))
	if err != nil {
		fmt.Println(err)
		return
	}
	customer, err := portal.Customer.Get(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(*customer.Email)
	// Output: ada@example.com
}

// A program that runs on a customer's computer checks its license without a token.
func ExampleNewPortal() {
	server := httptest.NewServer(answers{
		"POST /v1/customer-portal/license-keys/validate": `{"display_key":"****-42AB","status":"granted","customer":{"email":"ada@example.com"}}`,
	})
	defer server.Close()

	portal, err := polar.NewPortal(polar.Anonymous, polar.WithBaseURL(server.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	license, err := portal.LicenseKeys.Validate(context.Background(), models.LicenseKeyValidate{
		Key:            "ACME-1C285B2D-42AB",
		OrganizationID: "org_acme",
	})
	switch {
	case errors.Is(err, polar.ErrNotFound):
		fmt.Println("no such license")
	case err != nil:
		fmt.Println("try again later:", err)
	default:
		fmt.Println(license.DisplayKey, license.Status, license.Customer.Email)
	}
	// Output: ****-42AB granted ada@example.com
}

func ExampleClient_Do() {
	client, done := connect(answers{"GET /v1/new-thing/thing_1?depth=2": `{"id":"thing_1","size":3}`})
	defer done()

	var thing struct {
		ID   string `json:"id"`
		Size int    `json:"size"`
	}
	err := client.Do(context.Background(), polar.Request{
		Method:     http.MethodGet,
		Path:       "/v1/new-thing/{id}",
		PathValues: []string{"thing_1"},
		Query: struct {
			Depth int `url:"depth,omitempty"`
		}{2},
	}, &thing)
	fmt.Println(thing.ID, thing.Size, err)
	// Output: thing_1 3 <nil>
}

func ExampleCheckoutService_Create() {
	client, done := connect(received)
	defer done()

	_, err := client.Checkouts.Create(context.Background(), models.CheckoutCreate{
		Products:           []string{"prod_pro"},
		ExternalCustomerID: new("user_42"),
		Metadata:           models.Metadata{"campaign": "spring", "seats": 3},
	})
	fmt.Println(err)
	// Output:
	// POST /v1/checkouts/ {"metadata":{"campaign":"spring","seats":3},"external_customer_id":"user_42","products":["prod_pro"]}
	// <nil>
}

func ExampleProductService_Create() {
	client, done := connect(received)
	defer done()

	_, err := client.Products.Create(context.Background(), models.ProductCreateRecurring{
		Name:              "Pro",
		RecurringInterval: models.RecurringIntervalMonth,
		Prices: []models.ProductPriceCreate{
			models.ProductPriceFixedCreate{PriceAmount: 1900},
		},
	})
	fmt.Println(err)
	// Output:
	// POST /v1/products/ {"name":"Pro","prices":[{"amount_type":"fixed","price_amount":1900}],"recurring_interval":"month"}
	// <nil>
}

func ExampleCustomerService_Update() {
	client, done := connect(received)
	defer done()

	_, err := client.Customers.Update(context.Background(), "cus_1", models.CustomerUpdate{
		Name:   models.Set("Ada Lovelace"), // replaced
		Locale: models.Null[string](),      // cleared; everything else stays
	})
	fmt.Println(err)
	// Output:
	// PATCH /v1/customers/cus_1 {"name":"Ada Lovelace","locale":null}
	// <nil>
}

func ExampleSubscriptionService_Update() {
	client, done := connect(received)
	defer done()
	ctx := context.Background()

	// one kind of change each
	_, err := client.Subscriptions.Update(ctx, "sub_1", models.SubscriptionUpdateSeats{Seats: 5})
	fmt.Println(err)
	_, err = client.Subscriptions.Update(ctx, "sub_1", models.SubscriptionCancel{CancelAtPeriodEnd: true})
	fmt.Println(err)
	// Output:
	// PATCH /v1/subscriptions/sub_1 {"seats":5}
	// <nil>
	// PATCH /v1/subscriptions/sub_1 {"cancel_at_period_end":true}
	// <nil>
}

func ExampleEventService_Ingest() {
	client, done := connect(answers{"POST /v1/events/ingest": `{"inserted":1,"duplicates":1}`})
	defer done()

	event := models.EventCreate{
		Name:               "api.request",
		ExternalCustomerID: new("user_42"),
		ExternalID:         new("req_7"), // Polar counts each of these once
		Metadata:           models.Metadata{"tokens": 1200},
	}
	result, err := client.Events.Ingest(context.Background(), models.EventsIngest{Events: []models.EventCreate{event, event}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Inserted, *result.Duplicates)
	// Output: 1 1
}

func ExampleOrderService_List() {
	client, done := connect(answers{
		"GET /v1/orders/?limit=2&metadata%5Bplan%5D=pro&sorting=-net_amount&status=paid": `{
			"items": [{"id":"ord_2","total_amount":9900},{"id":"ord_1","total_amount":4900}],
			"pagination": {"total_count": 17, "max_page": 9}
		}`,
	})
	defer done()

	page, err := client.Orders.List(context.Background(), &polar.OrderListParams{
		Status:   []models.OrderStatus{models.OrderStatusPaid},
		Metadata: polar.MetadataFilter{"plan": {"pro"}},
		Sorting:  []models.OrderSort{models.OrderSortNetAmountDesc},
		Limit:    2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, order := range page.Items {
		fmt.Println(order.ID, order.TotalAmount)
	}
	fmt.Println("of", page.Pagination.TotalCount)
	// Output:
	// ord_2 9900
	// ord_1 4900
	// of 17
}

func ExampleOrderService_All() {
	client, done := connect(answers{
		"GET /v1/orders/?limit=100&page=1": `{"items":[{"id":"ord_1"},{"id":"ord_2"}],"pagination":{"total_count":3,"max_page":2}}`,
		"GET /v1/orders/?limit=100&page=2": `{"items":[{"id":"ord_3"}],"pagination":{"total_count":3,"max_page":2}}`,
	})
	defer done()

	for order, err := range client.Orders.All(context.Background(), nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(order.ID)
	}
	// Output:
	// ord_1
	// ord_2
	// ord_3
}

func ExampleCollect() {
	client, done := connect(answers{
		"GET /v1/orders/?limit=100&page=1": `{"items":[{"id":"ord_1"},{"id":"ord_2"},{"id":"ord_3"}],"pagination":{"total_count":3,"max_page":1}}`,
	})
	defer done()

	orders, err := polar.Collect(client.Orders.All(context.Background(), nil), 2)
	fmt.Println(len(orders), err)
	fmt.Println(errors.Is(err, polar.ErrMoreItems))
	// Output:
	// 2 polar: the list has more items than the bound 2 of Collect: raise it, or range over the iterator
	// true
}

func ExampleRows() {
	client, done := connect(answers{"GET /v1/orders/export": "Email,Net Amount\r\nada@example.com,49.0\r\ngrace@example.com,99.9\r\n"})
	defer done()

	export, err := client.Orders.Export(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for row, err := range polar.Rows(export) {
		if err != nil {
			fmt.Println(err)
			return
		}
		email, _ := row.Value("Email")
		amount, _ := row.Value("Net Amount")
		fmt.Println(email, amount)
	}
	// Output:
	// ada@example.com 49.0
	// grace@example.com 99.9
}

func ExampleOrderService_Receipt() {
	calls := 0
	client, done := connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			w.WriteHeader(http.StatusAccepted) // the receipt is being made
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"url":"https://example.com/receipt.pdf"}`)
	}))
	defer done()

	for {
		receipt, err := client.Orders.Receipt(context.Background(), "ord_1")
		if err != nil {
			fmt.Println(err)
			return
		}
		if !receipt.Pending {
			fmt.Println(receipt.URL)
			return
		}
		fmt.Println("not yet") // a program waits a little here
	}
	// Output:
	// not yet
	// https://example.com/receipt.pdf
}

// The properties of a benefit depend on its type. One that is newer than the program keeps its bytes.
func ExampleBenefitService_All() {
	client, done := connect(answers{"GET /v1/benefits/?limit=100&page=1": `{
		"items": [
			{"id":"ben_1","type":"discord","properties":{"guild_id":"4711","role_id":"42","kick_member":true}},
			{"id":"ben_2","type":"hologram","properties":{"color":"blue"}}
		],
		"pagination": {"total_count": 2, "max_page": 1}
	}`})
	defer done()

	for benefit, err := range client.Benefits.All(context.Background(), nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch p := benefit.Properties.(type) {
		case *models.BenefitDiscordProperties:
			fmt.Println(benefit.ID, "server", p.GuildID)
		case *models.UnknownBenefitProperties:
			fmt.Println(benefit.ID, benefit.Type, benefit.Type.Known(), string(p.Raw))
		}
	}
	// Output:
	// ben_1 server 4711
	// ben_2 hologram false {"color":"blue"}
}

func ExampleError() {
	client, done := connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"error":"RequestValidationError","detail":[{"loc":["body","email"],"type":"value_error","msg":"is not an e-mail address"}]}`)
	}))
	defer done()

	_, err := client.Customers.Create(context.Background(), models.CustomerCreate{Email: "ada"})
	fmt.Println(errors.Is(err, polar.ErrValidation))
	if e, ok := errors.AsType[*polar.Error](err); ok {
		fmt.Println(e.Operation, e.StatusCode)
		for _, field := range e.Fields {
			fmt.Println(strings.Join(field.Path, "."), field.Message)
		}
	}
	// Output:
	// true
	// customers:create 422
	// body.email is not an e-mail address
}

func ExampleErrorClass() {
	client, done := connect(answers{})
	defer done()

	_, err := client.Orders.Get(context.Background(), "ord_9")
	fmt.Println(errors.Is(err, polar.ErrNotFound), errors.Is(err, polar.ErrRateLimited))

	// a request that cannot be right is not sent
	_, err = client.Orders.Get(context.Background(), "")
	fmt.Println(err)
	// Output:
	// true false
	// polar: orders:get: id is empty
}

func ExampleErrorName() {
	client, done := connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error":"AlreadyCanceledSubscription","detail":"This subscription is already canceled."}`)
	}))
	defer done()

	_, err := client.Subscriptions.Revoke(context.Background(), "sub_1")
	fmt.Println(errors.Is(err, polar.ErrAlreadyCanceledSubscription))
	fmt.Println(errors.Is(err, polar.ErrorName("NewerThanThisModule")))
	fmt.Println(errors.Is(err, polar.ErrForbidden))
	// Output:
	// true
	// false
	// true
}

func ExampleWithRetry() {
	requests := 0
	client, done := connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":"ord_1"}`)
	}), polar.WithRetry(polar.RetryPolicy{MaxAttempts: 3, BaseDelay: time.Millisecond}))
	defer done()

	var info polar.ResponseInfo
	order, err := client.Orders.Get(context.Background(), "ord_1", polar.CallResponse(&info))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(order.ID, "after", info.Attempts, "attempts")
	// Output: ord_1 after 3 attempts
}

func ExampleWithMiddleware() {
	metrics := func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if op, ok := polar.OperationFromContext(r.Context()); ok && err == nil {
				fmt.Println(op.ID, op.Route, resp.StatusCode)
			}
			return resp, err
		})
	}
	client, done := connect(answers{"GET /v1/orders/ord_1": `{"id":"ord_1"}`}, polar.WithMiddleware(metrics))
	defer done()

	if _, err := client.Orders.Get(context.Background(), "ord_1"); err != nil {
		fmt.Println(err)
	}
	// Output: orders:get /v1/orders/{id} 200
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func ExampleWithLogger() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if slices.Contains([]string{slog.TimeKey, "duration", "request_id"}, a.Key) {
				return slog.Attr{}
			}
			return a
		},
	}))
	client, done := connect(answers{"GET /v1/orders/ord_1": `{"id":"ord_1"}`}, polar.WithLogger(logger))
	defer done()

	if _, err := client.Orders.Get(context.Background(), "ord_1"); err != nil {
		fmt.Println(err)
	}
	// Output: level=DEBUG msg="polar: attempt" operation=orders:get method=GET route=/v1/orders/{id} attempt=1 status=200
}
