package ingest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// BenchmarkEndToEnd: the goal is 50,000 events a second and 100 events for each request, the work of the server on the same
// processors included.
func BenchmarkEndToEnd(b *testing.B) {
	srv := polartest.NewServer(b)
	client := srv.Client()
	_, err := client.Customers.Create(b.Context(), models.CustomerCreate{Email: "ada@example.com", ExternalID: new("user_42")})
	require.NoError(b, err)
	_, err = client.Meters.Create(b.Context(), models.MeterCreate{Name: "Calls", Filter: models.And(models.Eq("name", "api.request")), Aggregation: models.Count()})
	require.NoError(b, err)
	i, err := New(client, WithFull(FullBlock))
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	for k := range b.N {
		e := numbered(k)
		if err := i.Track(e); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, i.Close(b.Context()))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(b.N)/float64(max(1, i.Stats().Requests)), "events/request")
}
