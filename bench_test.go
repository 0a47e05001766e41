package polar

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
)

// BenchmarkGet compares a call with what a program without this module does: net/http and a decoder. The budget is at most
// 30 allocations more without a query, and 75 with one.
func BenchmarkGet(b *testing.B) {
	server := httptest.NewServer(answer(200, `{"id":"x","size":3}`))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := New(Token(testToken), WithBaseURL(server.URL), WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		b.Fatal(err)
	}
	things := &thingService{client.core}
	plain := plainGet(&http.Client{Transport: transport}, server.URL)
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := plain(b); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := things.Get(b.Context(), "1"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("client with query", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := things.List(b.Context(), benchParams); err != nil {
				b.Fatal(err)
			}
		}
	})
	// the differences, with averages that do not depend on b.N
	base := testing.AllocsPerRun(200, func() { plain(b) })
	b.ReportMetric(testing.AllocsPerRun(200, func() { things.Get(b.Context(), "1") })-base, "allocs-over-plain")
	b.ReportMetric(testing.AllocsPerRun(200, func() { things.List(b.Context(), benchParams) })-base, "allocs-over-plain-with-query")
}

// TestAllocationBudget holds the same numbers over a transport in memory, which adds nothing of its own.
func TestAllocationBudget(t *testing.T) {
	// not parallel: it counts the allocations of the process
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		body := `{"id":"x","size":3}`
		return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}, nil
	})
	client, err := New(Token(testToken), WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	things := &thingService{client.core}
	plain := plainGet(&http.Client{Transport: transport}, "https://api.polar.sh")
	base := testing.AllocsPerRun(100, func() { assert.NoError(t, plain(t)) })
	get := testing.AllocsPerRun(100, func() { _, err := things.Get(t.Context(), "1"); assert.NoError(t, err) })
	list := testing.AllocsPerRun(100, func() { _, err := things.List(t.Context(), benchParams); assert.NoError(t, err) })
	assert.LessOrEqual(t, get-base, 30.0, "without a query")
	assert.LessOrEqual(t, list-base, 75.0, "with a query")
	t.Logf("over %v: %v without a query, %v with one", base, get-base, list-base)
}

var benchParams = &thingListParams{ID: []string{"a", "b"}, Active: new(true), Metadata: MetadataFilter{"plan": {"pro"}}, Page: 2, Limit: 50}

func plainGet(client *http.Client, base string) func(testing.TB) error {
	return func(tb testing.TB) error {
		req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, base+"/v1/things/1", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+testToken)
		req.Header.Set("Accept", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		return jsonx.Unmarshal(body, new(thing))
	}
}
