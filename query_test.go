package polar

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*3600)
	for want, params := range map[string]any{
		"":                 nil,
		"a=1&a=2&b=%26":    url.Values{"b": {"&"}, "a": {"1", "2"}},
		"id=a&id=b%26c":    &thingListParams{ID: []string{"a", "b&c"}},
		"active=false":     &thingListParams{Active: new(false)},
		"limit=100&page=3": &thingListParams{Page: 3, Limit: 100},
		"interval=day":     thingCountParams{Interval: "day"},
		"after=2026-01-02T03%3A04%3A05.6789%2B02%3A00":                          &thingListParams{After: time.Date(2026, 1, 2, 3, 4, 5, 678900000, zone)},
		"metadata%5Ba+b%5D=x%5D&metadata%5Bplan%5D=pro&metadata%5Bplan%5D=team": &thingListParams{Metadata: MetadataFilter{"plan": {"pro", "team"}, "a b": {"x]"}}},
	} {
		got, err := encodeQuery(params)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, params := range []any{(*thingListParams)(nil), &thingListParams{}, url.Values(nil), url.Values{}, &thingListParams{ID: []string{}, Metadata: MetadataFilter{}}} {
		got, err := encodeQuery(params)
		require.NoError(t, err)
		assert.Empty(t, got)
	}
	for _, params := range []any{7, "a=b", map[string]string{"a": "b"}, []string{"a"}} {
		_, err := encodeQuery(params)
		assert.EqualError(t, err, "query is neither url.Values nor a struct")
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("id", "key", "value", int64(0), 1, 10)
	f.Add("a&b=c", "a][b", "\xff\x00", int64(1<<40), -1, 101)
	f.Add("", "", "", int64(-1), 0, 0)
	f.Fuzz(func(t *testing.T, id, key, value string, seconds int64, page, limit int) {
		params := &thingListParams{ID: []string{id, id}, Metadata: MetadataFilter{key: {value, id}}, Page: page, Limit: limit}
		if seconds > 0 && seconds < 1<<37 {
			params.After = time.Unix(seconds, 123456789).UTC()
		}
		encoded, err := encodeQuery(params)
		if refuse := key == "" || page < 0 || limit < 0 || limit > 100; refuse != (err != nil) {
			t.Fatalf("%+v: %v", params, err)
		}
		if err != nil {
			return
		}
		back, err := url.ParseQuery(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if got := back["metadata["+key+"]"]; len(got) != 2 || got[0] != value || got[1] != id {
			t.Fatalf("metadata %q from %q", got, encoded)
		}
		if got := back["id"]; len(got) != 2 || got[0] != id {
			t.Fatalf("id %q from %q", got, encoded)
		}
		if !params.After.IsZero() {
			after, err := time.Parse(time.RFC3339Nano, back.Get("after"))
			if err != nil || !after.Equal(params.After) {
				t.Fatalf("after %v (%v) from %q", after, err, encoded)
			}
		}
		again, err := encodeQuery(params)
		if err != nil || again != encoded {
			t.Fatalf("%q, then %q", encoded, again)
		}
	})
}
