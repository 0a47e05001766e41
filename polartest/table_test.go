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
	for _, id := range ids {
		assert.Contains(t, polartest.Handlers(), id, "an operation without behaviour")
	}
}

// TestEveryOperationHasARow wants each operation in a table of rows: one that works, and what goes wrong.
func TestEveryOperationHasARow(t *testing.T) {
	t.Parallel()
	rows := map[string]int{}
	for _, r := range slices.Concat(portalRows(), saleRows(), shopRows()) {
		rows[r.op]++
	}
	for _, id := range polartest.Operations() {
		if rows[id] == 0 {
			t.Errorf("%s has no row", id)
		}
		if rows[id] > 1 {
			t.Errorf("%s has %d rows", id, rows[id])
		}
	}
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
