package ingest

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// The encoder of this package writes what that of models writes.
func TestSameJSONAsModels(t *testing.T) {
	const uuid = "11111111-2222-4333-8444-555555555555"
	at := time.Date(2026, 11, 3, 4, 5, 6, 123456000, time.UTC)
	o := defaults()
	for name, e := range map[string]models.EventCreate{
		"least": {Name: "a", ExternalCustomerID: new("u")},
		"all": {Name: "ä\"\\\n<&>", CustomerID: new(uuid), MemberID: new(uuid), ParentID: new("p"), OrganizationID: new(uuid),
			Metadata: models.Metadata{"s": "x\u2028", "i": 1, "j": int64(-1 << 63), "b": true, "f": 0.1, "tiny": 1e-9, "huge": 1e300, "whole": 3.0},
			Cost:     &models.CostMetadata{Amount: "0.000000000001", Currency: "usd"},
			LLM:      &models.LLMMetadata{Vendor: "v", Model: "m", InputTokens: 1, OutputTokens: 2, TotalTokens: 3, CachedInputTokens: new(1), Prompt: new("p")}},
		"odd types": {Name: "a", ExternalCustomerID: new("u"), ExternalMemberID: new("m"),
			Metadata: models.Metadata{"u": uint8(3), "p": new("x"), "n": json.Number("12.50"), "t": at, "d": models.Decimal("1E-7"), "named": named("y"), "float": float32(0.5)}},
		"not UTF-8": {Name: "a\xff", ExternalCustomerID: new("u"), Metadata: models.Metadata{"k\xfe": "v\xfd"}},
		"many keys": {Name: "a", ExternalCustomerID: new("u"), Metadata: models.Metadata{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1,
			"i": 1, "j": 1, "k": 1, "l": 1, "m": 1, "n": 1, "o": 1, "p": 1, "q": 1, "r": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			e.ExternalID, e.Timestamp = new("id"), &at
			it, err := o.newItem(&e)
			require.NoError(t, err)
			want, err := jsonx.Marshal(e)
			require.NoError(t, err)
			assert.JSONEq(t, string(want), string(it.appendWire(nil, it.at)))
			assert.LessOrEqual(t, len(it.appendWire(nil, it.at)), it.wireSize())

			var again models.EventCreate
			require.NoError(t, jsonx.Unmarshal(want, &again))
			assert.Equal(t, again, it.event())

			restored, err := itemOf(it.record())
			require.NoError(t, err)
			assert.Equal(t, it, restored)
		})
	}
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	for _, rec := range []string{"", "x", "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00{}", "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00xy"} {
		_, err := itemOf([]byte(rec))
		require.Error(t, err)
	}
}

// Whatever the difference of the clocks is, no event is refused for its time for good, and it arrives with the time of Polar's
// clock at which it happened, give or take the second to which the header Date is cut.
func TestClocksDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, -time.Second, 0, 300 * time.Millisecond, 999 * time.Millisecond, time.Second, 5 * time.Second, time.Hour, 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(123_456 * time.Microsecond)
				s := newFaultServer()
				s.delay = 40 * time.Millisecond
				s.clock = func() time.Time { return time.Now().Add(-ahead) }
				i := newIngester(t, s, WithInterval(10*time.Millisecond), OnRejected(func(r *RejectedError) { t.Error(r) }))
				happened := map[int]time.Time{}
				for k := range 50 {
					happened[k] = s.clock()
					track(t, i, k, k+1)
					time.Sleep(17 * time.Millisecond)
				}
				require.NoError(t, i.Close(t.Context()))
				s.exactlyOnce(t, 50)
				assert.LessOrEqual(t, i.Stats().Failures, uint64(8), "it learns")
				for _, e := range s.events {
					k := int(e["metadata"].(map[string]any)["seq"].(float64))
					at, err := time.Parse(time.RFC3339Nano, e["timestamp"].(string))
					require.NoError(t, err)
					if ahead <= 0 {
						assert.True(t, happened[k].Add(ahead).Equal(at), "not moved: %v, %v", happened[k].Add(ahead), at)
					} else {
						assert.InDelta(t, 0, happened[k].Sub(at).Seconds(), 1.2)
					}
				}
			})
		})
	}
}

// A clock that is set while the program runs.
func TestClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		var ahead time.Duration
		s.clock = func() time.Time { return time.Now().Add(-ahead) }
		i := newIngester(t, s, OnRejected(func(r *RejectedError) { t.Error(r) }))
		k := 0
		for _, ahead = range []time.Duration{0, time.Hour, time.Minute, 2 * time.Hour, 0, 30 * time.Second} {
			for range 5 {
				track(t, i, k, k+1)
				k++
				require.NoError(t, i.Flush(t.Context()))
				time.Sleep(time.Second)
			}
		}
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, k)
	})
}

// A time of the caller's own is sent as it is if Polar takes it.
func TestOwnTimestampsAreMovedOnlyWhenNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		s.clock = func() time.Time { return time.Now().Add(-time.Minute) }
		i := newIngester(t, s, OnRejected(func(r *RejectedError) { t.Error(r) }))
		track(t, i, 0, 1)
		require.NoError(t, i.Flush(t.Context()))
		past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Minute)
		for n, at := range []time.Time{past, future} {
			e := numbered(n + 1)
			e.Timestamp = &at
			require.NoError(t, i.Track(e))
		}
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 3)
		assert.Equal(t, past.UTC().Format(timeLayout), s.events[1]["timestamp"])
		assert.EqualValues(t, 1, i.Stats().Failures)
	})
}

// Without a Date there is nothing to go by but Polar's own time of arrival.
func TestNoDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		s.noDate = true
		s.clock = func() time.Time { return time.Now().Add(-time.Minute) }
		i := newIngester(t, s, OnRejected(func(r *RejectedError) { t.Error(r) }))
		track(t, i, 0, 3)
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 3)
		assert.NotContains(t, s.events[0], "timestamp")
	})
}
