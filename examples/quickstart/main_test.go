package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRun runs the program with random names, prices and quantities and checks the sums that it prints.
func TestRun(t *testing.T) {
	t.Parallel()
	for range 5 {
		cfg := config{
			Product:  fmt.Sprintf("Plan %d", rand.IntN(1_000_000)),
			Price:    rand.Int64N(1_000_000),
			Customer: fmt.Sprintf("Customer %d", rand.IntN(1_000_000)),
			Email:    fmt.Sprintf("user%d@example.com", rand.IntN(1_000_000)),
			Calls:    []int64{},
		}
		var used int64
		for range rand.IntN(20) {
			n := rand.Int64N(100_000)
			cfg.Calls = append(cfg.Calls, n)
			used += n
		}
		var out strings.Builder
		require.NoError(t, run(t.Context(), &out, cfg))
		price := fmt.Sprintf("%d.%02d USD", cfg.Price/100, cfg.Price%100)
		for _, want := range []string{
			fmt.Sprintf("Product %q costs %s a month.", cfg.Product, price),
			fmt.Sprintf("Customer %s <%s> exists.", cfg.Customer, cfg.Email),
			"the checkout is succeeded",
			"Active subscriptions: 1.",
			fmt.Sprintf("active, %s a month", price),
			fmt.Sprintf("Order ACME-0001 for %s: %s, paid", cfg.Product, price),
			fmt.Sprintf("Orders: 1, %s in all.", price),
		} {
			assert.Contains(t, out.String(), want)
		}
		if len(cfg.Calls) > 0 {
			assert.Contains(t, out.String(), fmt.Sprintf("Ingested %d events.", len(cfg.Calls)))
			assert.Contains(t, out.String(), fmt.Sprintf("used %g tokens", float64(used)))
		}
	}
}

// TestRunWithoutServer tells what went wrong when the API cannot be used.
func TestRunWithoutServer(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := run(t.Context(), &out, config{Token: "has a space"})
	require.ErrorContains(t, err, "polar: ")
	assert.Empty(t, out.String())
}
