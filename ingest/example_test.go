package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/ingest"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// connect starts a Polar server for an example. A program makes its client with polar.New.
func connect() (*polartest.Server, *polar.Client) {
	srv, err := polartest.Start()
	if err != nil {
		log.Fatal(err)
	}
	return srv, srv.Client()
}

// told prints what Polar knows about the usage of a customer.
func told(client *polar.Client, user string) {
	params := &polar.EventListParams{ExternalCustomerID: []string{user}, Source: []models.EventSource{models.EventSourceUser}}
	for event, err := range client.Events.All(context.Background(), params) {
		if err != nil {
			log.Fatal(err)
		}
		if m, ok := event.Metadata.(*models.UserEventMetadata); ok {
			fmt.Println(event.Name, m.Values)
		}
	}
}

func Example() {
	srv, client := connect()
	defer srv.Close()
	ctx := context.Background()

	ing, err := ingest.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, units := range []int{3, 4, 5} { // does not wait for the network
		err := ing.Track(models.EventCreate{
			Name:               "api.request",
			ExternalCustomerID: new("user_42"),
			Metadata:           models.Metadata{"units": units},
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	if err := ing.Close(ctx); err != nil { // when the program ends: sends what is left
		fmt.Println(err)
	}

	page, err := client.Events.List(ctx, &polar.EventListParams{Name: []string{"api.request"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Pagination.TotalCount, "events in", len(srv.Requests("events:ingest")), "request")
	// Output: 3 events in 1 request
}

// An event that Polar would refuse is refused by Track, so that it cannot spoil its batch.
func ExampleIngester_Track() {
	srv, client := connect()
	defer srv.Close()
	ing, err := ingest.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ing.Close(context.Background())

	err = ing.Track(models.EventCreate{Name: "api.request", ExternalCustomerID: new("user_42"), Metadata: models.Metadata{"model": ""}})
	fmt.Println(errors.Is(err, ingest.ErrInvalid))
	err = ing.Track(models.EventCreate{Name: "api.request"})
	fmt.Println(errors.Is(err, ingest.ErrInvalid))
	// Output:
	// true
	// true
}

// The answer to a batch gets lost after Polar took it. It is sent again, and each event counts once.
func ExampleIngester_Flush() {
	srv, client := connect()
	defer srv.Close()
	ctx := context.Background()
	srv.Break("events:ingest", 1, polartest.LoseAnswer())

	ing, err := ingest.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ing.Close(ctx)
	err = ing.Track(models.EventCreate{Name: "api.request", ExternalCustomerID: new("user_42"), Metadata: models.Metadata{"units": 3}})
	if err != nil {
		fmt.Println(err)
	}
	if err := ing.Flush(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(srv.Requests("events:ingest")), "requests")
	told(client, "user_42")
	// Output:
	// 2 requests
	// api.request map[units:3]
}

// Each request of a customer becomes an event with its route and status.
func ExampleIngester_Middleware() {
	srv, client := connect()
	defer srv.Close()
	ctx := context.Background()
	ing, err := ingest.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reports/{id}", func(w http.ResponseWriter, r *http.Request) {})
	metered := ing.Middleware("request")(mux)
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // your authentication
		customer := ingest.Customer{ExternalID: "user_42"}
		metered.ServeHTTP(w, r.WithContext(ingest.WithCustomer(r.Context(), customer)))
	})

	api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/reports/7", nil))
	if err := ing.Close(ctx); err != nil {
		fmt.Println(err)
	}
	told(client, "user_42")
	// Output: request map[method:GET route:GET /reports/{id} status:200 strategy:HTTP]
}

// The bytes that a customer downloads.
func ExampleIngester_Writer() {
	srv, client := connect()
	defer srv.Close()
	ctx := context.Background()
	ing, err := ingest.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := ing.Writer(io.Discard, "download", ingest.Customer{ExternalID: "user_42"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := io.Copy(w, strings.NewReader("23 bytes of a long file")); err != nil {
		fmt.Println(err)
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	if err := ing.Close(ctx); err != nil {
		fmt.Println(err)
	}
	told(client, "user_42")
	// Output: download map[bytes:23 strategy:Stream]
}

// The tokens of a language model, with any SDK that takes an HTTP client.
func ExampleIngester_LLMTransport() {
	srv, client := connect()
	defer srv.Close()
	ctx := context.Background()
	ing, err := ingest.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"object":"chat.completion","model":"large-1","usage":{"prompt_tokens":12,"completion_tokens":30,"total_tokens":42}}`)
	}))
	defer model.Close()

	sdk := &http.Client{Transport: ing.LLMTransport(nil, "llm")} // give this to the SDK
	ctx = ingest.WithCustomer(ctx, ingest.Customer{ExternalID: "user_42"})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, model.URL+"/v1/chat/completions", strings.NewReader(`{"model":"large-1"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := sdk.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		fmt.Println(err)
	}
	if err := resp.Body.Close(); err != nil {
		fmt.Println(err)
	}
	if err := ing.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	told(client, "user_42")
	// Output: llm map[cachedInputTokens:0 inputTokens:12 model:large-1 outputTokens:30 provider:127.0.0.1 strategy:LLM totalTokens:42]
}
