package ingest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/polartest"
)

// BenchmarkEndToEnd: the goal is 50,000 events a second and 100 events for each request.
func BenchmarkEndToEnd(b *testing.B) {
	srv := polartest.NewServer(b)
	i, err := New(srv.Client(), WithFull(FullBlock))
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
