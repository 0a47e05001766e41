package polar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages answers with lists of the given sizes, and takes note of the queries.
func pages(queries *[]string, maxPage int, sizes ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*queries = append(*queries, r.URL.RawQuery)
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		n = max(n, 1)
		items, size := "", 0
		if n <= len(sizes) {
			size = sizes[n-1]
		}
		for i := range size {
			if i > 0 {
				items += ","
			}
			items += fmt.Sprintf(`{"id":"%d-%d"}`, n, i+1)
		}
		fmt.Fprintf(w, `{"items":[%s],"pagination":{"total_count":99,"max_page":%d}}`, items, maxPage)
	}
}

func ids(t *testing.T, seq iter.Seq2[*thing, error]) (ids []string) {
	t.Helper()
	for item, err := range seq {
		require.NoError(t, err)
		ids = append(ids, item.ID)
	}
	return ids
}

func TestAllWalksEveryPage(t *testing.T) {
	t.Parallel()
	var queries []string
	// the second page is short and the third empty: neither is the end
	things, _ := newThings(t, pages(&queries, 4, 2, 1, 0, 2))
	params := &thingListParams{Active: new(false), Metadata: MetadataFilter{"k": {"v"}}}
	all := things.All(t.Context(), params)
	assert.Empty(t, queries, "lazy")
	want := []string{"1-1", "1-2", "2-1", "4-1", "4-2"}
	assert.Equal(t, want, ids(t, all))
	assert.Equal(t, []string{
		"active=false&limit=100&metadata%5Bk%5D=v&page=1", "active=false&limit=100&metadata%5Bk%5D=v&page=2",
		"active=false&limit=100&metadata%5Bk%5D=v&page=3", "active=false&limit=100&metadata%5Bk%5D=v&page=4",
	}, queries)
	assert.Equal(t, want, ids(t, all), "a second range starts again")
	assert.Equal(t, &thingListParams{Active: new(false), Metadata: MetadataFilter{"k": {"v"}}}, params, "the caller's parameters are as they were")

	queries = nil
	all = things.All(t.Context(), nil)
	for range 2 {
		assert.Equal(t, want, ids(t, all))
	}
	assert.Equal(t, "limit=100&page=1", queries[0])

	queries = nil
	assert.Equal(t, []string{"2-1", "4-1", "4-2"}, ids(t, things.All(t.Context(), &thingListParams{Page: 2, Limit: 7})))
	assert.Equal(t, []string{"limit=7&page=2", "limit=7&page=3", "limit=7&page=4"}, queries)

	queries = nil
	for item, err := range all {
		require.NoError(t, err)
		if item.ID == "1-2" {
			break
		}
	}
	assert.Len(t, queries, 1, "no page is read that the loop does not reach")

	queries = nil
	for _, err := range things.All(t.Context(), &thingListParams{Limit: 101}) {
		require.ErrorContains(t, err, "limit is 101")
	}
	assert.Empty(t, queries)
}

func TestAllEnds(t *testing.T) {
	t.Parallel()
	var queries []string
	things, _ := newThings(t, pages(&queries, 0))
	assert.Empty(t, ids(t, things.All(t.Context(), &thingListParams{Page: 9})), "0 of 0 beyond the end")
	assert.Len(t, queries, 1)

	n := 0
	things, _ = newThings(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 2 {
			w.WriteHeader(403)
			return
		}
		io.WriteString(w, `{"items":[{"id":"a"}],"pagination":{"max_page":9}}`)
	})
	var got []string
	errs := 0
	for item, err := range things.All(t.Context(), nil) {
		if err != nil {
			errs++
			assert.Nil(t, item)
			require.ErrorIs(t, err, ErrForbidden)
			continue // goes on after an error, which must not ask again
		}
		got = append(got, item.ID)
	}
	assert.Equal(t, []string{"a"}, got)
	assert.Equal(t, 1, errs)
	assert.Equal(t, 2, n)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n = 2
	for _, err := range things.All(ctx, nil) {
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
		cancel()
	}
	assert.Equal(t, 3, n)
}

// TestAllWithCursor follows has_next_page, which the events list answers instead of numbers.
func TestAllWithCursor(t *testing.T) {
	t.Parallel()
	n := 0
	things, _ := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		assert.Equal(t, strconv.Itoa(n), r.URL.Query().Get("page"))
		fmt.Fprintf(w, `{"items":[{"id":"%d"}],"pagination":{"has_next_page":%t}}`, n, n < 3)
	})
	assert.Equal(t, []string{"1", "2", "3"}, ids(t, things.All(t.Context(), nil)))

	n = 0
	things, _ = newThings(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		io.WriteString(w, `{"items":[],"pagination":{"has_next_page":true}}`)
	})
	assert.Empty(t, ids(t, things.All(t.Context(), nil)))
	assert.Equal(t, 1, n, "a server that always promises more")
}

func TestCollect(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	seq := func(n int, err error) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			if err != nil {
				yield(0, err)
			}
		}
	}
	got, err := Collect(seq(3, nil), 3)
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1, 2}, got)
	got, err = Collect(seq(4, nil), 3)
	require.ErrorIs(t, err, ErrMoreItems)
	require.EqualError(t, err, "polar: the list has more items than the bound 3 of Collect: raise it, or range over the iterator")
	assert.Equal(t, []int{0, 1, 2}, got)
	got, err = Collect(seq(2, boom), 3)
	require.ErrorIs(t, err, boom)
	assert.Equal(t, []int{0, 1}, got)
	got, err = Collect(seq(0, nil), 3)
	require.NoError(t, err)
	assert.Empty(t, got)
	_, err = Collect(seq(0, nil), 0)
	require.EqualError(t, err, "polar: Collect needs a bound of at least 1, not 0")

	var queries []string
	things, _ := newThings(t, pages(&queries, 3, 2, 2, 2))
	found, err := Collect(things.All(t.Context(), nil), 3)
	require.ErrorIs(t, err, ErrMoreItems)
	assert.Len(t, slices.Collect(slices.Values(found)), 3)
	assert.Len(t, queries, 2)
}
