package ingest

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

var benchmarkEvent = models.EventCreate{
	Name:               "api.request",
	ExternalCustomerID: new("user_42"),
	Metadata:           models.Metadata{"route": "/v1/things", "units": 3, "cached": false},
}

// tracker is an ingester that has nowhere to send to and starts anew before its queue is full.
func tracker(b *testing.B) *Ingester {
	s := newFaultServer()
	i := newIngester(b, s, WithBatchSize(1<<30), WithBatchBytes(maxBatchBytes), WithInterval(time.Hour), WithQueue(1<<30, 1<<40), WithConcurrency(1))
	return i
}

// BenchmarkTrack: the goal is 1 µs and 3 allocations.
func BenchmarkTrack(b *testing.B) {
	i := tracker(b)
	defer i.discard(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := i.Track(benchmarkEvent); err != nil {
			b.Fatal(err)
		}
		i.drop(1000)
	}
}

func BenchmarkTrackFrom16Goroutines(b *testing.B) {
	i := tracker(b)
	defer i.discard(b)
	b.ReportAllocs()
	b.SetParallelism(16 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := i.Track(benchmarkEvent); err != nil {
				b.Error(err)
			}
			i.drop(1000)
		}
	})
}

// drop forgets what is queued, so that a benchmark of Track measures neither requests nor a growing queue.
func (i *Ingester) drop(at int) {
	i.mu.Lock()
	for i.queue.len() >= at {
		for i.queue.len() > 0 {
			it := i.queue.pop()
			i.held--
			i.heldSize -= it.wireSize()
			i.queueSize -= it.wireSize()
		}
	}
	i.mu.Unlock()
}

// BenchmarkFullQueue reports the memory that a full queue of the default size takes while Polar does not answer, the requests
// under way included.
func BenchmarkFullQueue(b *testing.B) {
	gone, cancel := context.WithCancel(b.Context())
	cancel()
	for b.Loop() {
		s := newFaultServer()
		s.before = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		i := newIngester(b, s)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var err error
		for err == nil {
			err = i.Track(benchmarkEvent)
		}
		require.ErrorIs(b, err, ErrFull)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/defaultQueueEvents, "B/event")
		require.ErrorIs(b, i.Close(gone), ErrUnsent)
	}
}

func (i *Ingester) discard(b *testing.B) {
	i.drop(1)
	require.NoError(b, i.Close(b.Context()))
}
