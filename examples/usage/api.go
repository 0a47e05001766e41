package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/ingest"
)

// Names of the events, by which the meters pick them.
const (
	eventCall    = "api.call"
	eventCompute = "api.compute"
)

// api is the service that is sold.
type api struct {
	ing     *ingest.Ingester
	client  *polar.Client
	keys    map[string]string // the customer's id in our own database by API key
	compute func(context.Context, time.Duration) error
}

// handler puts together who calls, what it costs, and what is done. The middleware needs to know the customer, so
// authentication is around it; looking at the meter is free, so it is not.
func (a *api) handler() http.Handler {
	billed := http.NewServeMux()
	billed.HandleFunc("POST /v1/renders", a.render)
	mux := http.NewServeMux()
	mux.Handle("/v1/", a.ing.Middleware(eventCall)(billed))
	mux.HandleFunc("GET /v1/usage", a.usage)
	return a.authenticate(mux)
}

// authenticate names the customer whom an API key belongs to.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		id, ok := a.keys[key]
		if !ok {
			http.Error(w, "unknown API key", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(ingest.WithCustomer(r.Context(), ingest.Customer{ExternalID: id})))
	})
}

// render is the work that customers pay for by the second.
func (a *api) render(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Seconds float64 `json:"seconds"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil || !(in.Seconds > 0 && in.Seconds <= 120) {
		http.Error(w, `want {"seconds": more than 0, at most 120}`, http.StatusBadRequest)
		return
	}
	customer, _ := ingest.CustomerFrom(r.Context()) // authenticate has put it there
	stop := a.ing.Timer(eventCompute, customer, ingest.UsageUnit(time.Second))
	err := a.compute(r.Context(), time.Duration(in.Seconds*float64(time.Second)))
	// What was computed is billed, also when the customer has gone meanwhile.
	took, lost := stop()
	if lost != nil {
		slog.Error("seconds were not tracked", "error", lost, "seconds", took.Seconds())
	}
	if err != nil {
		return // nobody is there to answer
	}
	answer(w, map[string]any{"seconds": took.Seconds()})
}

// usage tells customers what they have used.
func (a *api) usage(w http.ResponseWriter, r *http.Request) {
	customer, _ := ingest.CustomerFrom(r.Context())
	state, err := a.client.Customers.StateByExternalID(r.Context(), customer.ExternalID)
	if err != nil {
		slog.Error("customer's state", "error", err)
		http.Error(w, "the usage cannot be read at the moment", http.StatusBadGateway)
		return
	}
	used := map[string]float64{}
	for _, m := range state.ActiveMeters {
		used[m.MeterID] = m.ConsumedUnits
	}
	answer(w, used)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		slog.Debug("writing the answer", "error", err) // the client has gone
	}
}
