package polartest_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/polartest"
)

func TestTable(t *testing.T) {
	t.Parallel()
	require.NoError(t, polartest.ReadTable())
	ids := polartest.Operations()
	assert.Len(t, ids, 190)
	for id := range polartest.Handlers() {
		assert.Contains(t, ids, id, "a handler for no operation")
	}
	var missing []string
	for _, id := range ids {
		if polartest.Handlers()[id] == nil {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	t.Logf("%d operations have no behaviour yet: %v", len(missing), missing)
}

// BenchmarkReadTable is what the first request of a process costs more than the others.
func BenchmarkReadTable(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := polartest.ReadTable(); err != nil {
			b.Fatal(err)
		}
	}
}
