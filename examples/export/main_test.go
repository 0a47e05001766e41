package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.csv")
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, config{Out: path}))
	for _, want := range []string{
		"  ACME-0001  Pro, DE: ",
		"  ACME-0003  Handbook, DE: ",
		"Orders: 3; net ",
		"2 × Pro at ",
		" every 3 months.\n",
		path + " holds the orders: ",
	} {
		assert.Contains(t, out.String(), want)
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, 4, strings.Count(string(data), "\r\n"))
	require.Error(t, run(t.Context(), &out, config{Out: filepath.Join(path, "x")}))
}
