package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/ingest"
	"github.com/polar-go/polar/models"
)

// TestRun makes calls of random lengths and checks every amount that the program prints.
func TestRun(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, includedCalls, includedCalls + 1 + rand.IntN(40)} {
		t.Run(fmt.Sprint(n, " calls"), func(t *testing.T) {
			t.Parallel()
			cfg := config{Calls: []time.Duration{}}
			var seconds float64
			for range n {
				d := time.Duration(1+rand.IntN(1000)) * 100 * time.Millisecond
				cfg.Calls = append(cfg.Calls, d)
				seconds += d.Seconds()
			}
			var out strings.Builder
			require.NoError(t, run(t.Context(), &out, cfg))
			text := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
			assert.Contains(t, text, fmt.Sprintf("Events sent: %d. Requests", 2*n+1), "those of the calls and of the one that failed")
			billed := max(0, n-includedCalls)
			callCents, secondCents := int64(2*billed), int64(math.Round(math.Round(seconds*10)*0.05))
			total := fixedPrice + callCents + secondCents
			if n > 0 {
				assert.Contains(t, text, fmt.Sprintf("API calls: %d.00 used, %d included, balance %d.00", n, includedCalls, includedCalls-n))
				assert.Contains(t, text, fmt.Sprintf("Seconds of computing: %.1f", seconds))
				assert.Contains(t, text, fmt.Sprintf("units) %s\n Total %s", models.FormatAmount(secondCents, "usd"), models.FormatAmount(total, "usd")))
			}
			if billed > 0 {
				assert.Contains(t, text, fmt.Sprintf(" API calls (%d units) %s\n", billed, models.FormatAmount(callCents, "usd")))
			}
			assert.Contains(t, text, fmt.Sprintf(" Total %s\n Invoice: http", models.FormatAmount(total, "usd")))
			assert.Equal(t, 2, strings.Count(text, "Invoice: http"))
			assert.Equal(t, 1, strings.Count(text, "400 Bad Request"))
			assert.Equal(t, 1, strings.Count(text, "401 Unauthorized"))
		})
	}
}

// TestServe is the program with a person as the customer, who presses Ctrl-C.
func TestServe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var out strings.Builder
	ended := make(chan error, 1)
	lines := writerFunc(func(p []byte) (int, error) {
		if url, ok := strings.CutSuffix(strings.TrimSpace(string(p)), "/v1/usage"); ok {
			url = url[strings.LastIndex(url, " ")+1:]
			go func() {
				defer cancel()
				req, err := http.NewRequest(http.MethodPost, url+"/v1/renders", strings.NewReader(`{"seconds":40}`))
				if err == nil {
					req.Header.Set("Authorization", "Bearer "+demoKey)
					resp, failed := http.DefaultClient.Do(req)
					if err = failed; err == nil {
						err = resp.Body.Close()
					}
				}
				assert.NoError(t, err)
			}()
		}
		return out.Write(p)
	})
	go func() { ended <- run(ctx, lines, config{Serve: true, Addr: "127.0.0.1:0"}) }()
	require.NoError(t, <-ended)
	assert.Contains(t, out.String(), "API calls: 1.00 used")
	assert.Regexp(t, `Seconds of computing \(40.* units\) +0.20 USD\n +Total +10.20 USD`, out.String())
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestCustomerGoes bills what was computed for a customer who did not wait.
func TestCustomerGoes(t *testing.T) {
	t.Parallel()
	var tracked []models.EventCreate
	ing, err := ingest.New(nil, ingest.WithSink(func(_ context.Context, e models.EventCreate) error {
		tracked = append(tracked, e)
		return nil
	}))
	require.NoError(t, err)
	a := &api{ing: ing, keys: map[string]string{demoKey: customerID}, compute: func(ctx context.Context, _ time.Duration) error { return context.Canceled }}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/renders", strings.NewReader(`{"seconds":1}`))
	r.Header.Set("Authorization", "Bearer "+demoKey)
	a.handler().ServeHTTP(httptest.NewRecorder(), r)
	require.NoError(t, ing.Close(t.Context()))
	require.Len(t, tracked, 2)
	for i, name := range []string{eventCompute, eventCall} {
		assert.Equal(t, name, tracked[i].Name)
		assert.Equal(t, customerID, *tracked[i].ExternalCustomerID)
	}
}

// TestRunWithoutServer tells what went wrong when the API cannot be used.
func TestRunWithoutServer(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.ErrorContains(t, run(t.Context(), &out, config{Token: "has a space"}), "polar: ")
	assert.Empty(t, out.String())
}
