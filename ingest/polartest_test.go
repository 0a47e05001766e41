package ingest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// Against the server that imitates Polar as a whole, with its checks and its faults, a local clock that is an hour ahead, and
// customers who do not exist: every other event is counted once, by the meter and by the numbers in the metadata.
func TestPolartest(t *testing.T) {
	srv := polartest.NewServer(t)
	client := srv.Client()
	customer, err := client.Customers.Create(t.Context(), models.CustomerCreate{Email: "ada@example.com", ExternalID: new("user_42")})
	require.NoError(t, err)
	meter, err := client.Meters.Create(t.Context(), models.MeterCreate{Name: "Units", Filter: models.And(models.Eq("name", "api.request")), Aggregation: models.Sum("units")})
	require.NoError(t, err)
	var mu sync.Mutex
	refused := map[int64]*RejectedError{}
	i, err := New(client, WithClock(func() time.Time { return time.Now().Add(time.Hour) }), WithBatchSize(20), WithInterval(time.Millisecond), WithBackoff(time.Millisecond, 5*time.Millisecond), OnRejected(func(r *RejectedError) {
		mu.Lock()
		defer mu.Unlock()
		seq, _ := r.Event.Metadata.Int("seq")
		refused[seq] = r
	}))
	require.NoError(t, err)
	require.NoError(t, i.Track(models.EventCreate{Name: "first", CustomerID: &customer.ID})) // tells the difference of the clocks
	require.NoError(t, i.Flush(t.Context()))
	for range 3 {
		for _, f := range []polartest.Fault{polartest.Reset(), polartest.LoseAnswer(), polartest.Truncate(), polartest.TooManyRequests(0), polartest.BadGateway(502)} {
			srv.Break("events:ingest", 1, f)
		}
	}
	const events = 800
	poison := func(seq int) bool { return seq > 400 && seq%21 == 0 } // in every place of a batch, when the faults are over
	units := 0
	for seq := range events {
		e := numbered(seq)
		e.Metadata["units"] = seq % 7
		switch {
		case poison(seq):
			e.ExternalCustomerID, e.CustomerID = nil, new("11111111-2222-4333-8444-555555555555")
		case seq%2 == 0:
			e.ExternalCustomerID, e.CustomerID = nil, &customer.ID
			fallthrough
		default:
			units += seq % 7
		}
		require.NoError(t, i.Track(e))
	}
	require.NoError(t, i.Close(t.Context()))

	counted := map[int64]int{}
	for e, err := range client.Events.All(t.Context(), &polar.EventListParams{Name: []string{"api.request"}, Limit: 100}) {
		require.NoError(t, err)
		assert.False(t, e.Timestamp.After(srv.Now()))
		assert.WithinDuration(t, srv.Now(), e.Timestamp, time.Minute, "by the server's clock")
		seq, _ := e.Metadata.(*models.UserEventMetadata).Values.Int("seq")
		counted[seq]++
	}
	for k := range events {
		seq, want := int64(k), 1
		if r := refused[seq]; poison(k) {
			want = 0
			require.NotNil(t, r, seq)
			require.Len(t, r.Fields, 1)
			assert.Equal(t, []string{"customer_id"}, r.Fields[0].Path)
		} else {
			assert.Nil(t, r, seq)
		}
		assert.Equal(t, want, counted[seq], seq)
	}
	state, err := client.Customers.State(t.Context(), customer.ID)
	require.NoError(t, err)
	require.Len(t, state.ActiveMeters, 1)
	assert.Equal(t, meter.ID, state.ActiveMeters[0].MeterID)
	assert.EqualValues(t, units, state.ActiveMeters[0].ConsumedUnits)
	st := i.Stats()
	assert.Positive(t, st.Duplicates, "answers were lost")
	assert.GreaterOrEqual(t, st.Failures, uint64(15))
	assert.Equal(t, st.Tracked, st.Sent+st.Rejected)
}
