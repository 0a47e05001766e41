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
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, config{}))
	for _, want := range []string{
		"The upload broke off with 2 of 3 parts there. Going on.",
		"  100 % sent\n", "handbook.pdf is uploaded: 11.0 MB, application/pdf, SHA-256 d4d2639a…",
		"The customer has downloaded handbook.pdf: 11534336 bytes, and they are the right ones.",
	} {
		assert.Contains(t, out.String(), want)
	}
}

func TestRunWithAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "note.txt")
	require.NoError(t, os.WriteFile(path, []byte("hello"), 0o600))
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, config{Path: path}))
	assert.Contains(t, out.String(), "note.txt is uploaded: 5.0 B, text/plain, SHA-256 2cf24dba…")
	assert.Contains(t, out.String(), "downloaded note.txt: 5 bytes")
	assert.NotContains(t, out.String(), "broke off")

	require.ErrorIs(t, run(t.Context(), &out, config{Path: path + ".missing"}), os.ErrNotExist)
}
