package harness

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The document has what the checks count on.
func TestDocument(t *testing.T) {
	t.Parallel()
	doc := load(t)
	assert.Len(t, doc.ops, 190)
	assert.Len(t, doc.hooks, 42)
	assert.Len(t, doc.schemas, 713)
	open := 0
	for _, op := range doc.ops {
		if !op.Secured {
			open++
		}
	}
	assert.Equal(t, 13, open)
}

// Samples reach every choice, and what they are made of is valid by the validator, which is written apart from the sampler.
func TestSamplesAreValid(t *testing.T) {
	t.Parallel()
	doc := load(t)
	total, bytes := 0, 0
	seen := map[*schema]bool{}
	for _, op := range doc.ops {
		for status, r := range op.Responses {
			if r.Type != "application/json" || seen[r.Schema.deref()] {
				continue
			}
			seen[r.Schema.deref()] = true
			g := newSampler(doc, described, false)
			samples, open := g.all(r.Schema)
			assert.Empty(t, open, "%s %d", op.ID, status)
			for _, s := range samples {
				total++
				bytes += len(encodeJSON(s.value))
				for _, v := range check(r.Schema, mustDecode(t, encodeJSON(s.value)), "$") {
					// What the server sends and the description refuses: see stringOptions and grantProperties.
					if strings.Contains(v.what, `"1E-7" does not match`) || strings.Contains(v.path, ".properties.last_credited_") {
						continue
					}
					t.Errorf("%s %d: sample %d: %s", op.ID, status, s.n, v)
				}
			}
		}
	}
	t.Log(total, "samples, ", bytes, "bytes")
}

func mustDecode(t testing.TB, b []byte) any {
	t.Helper()
	v, err := decodeJSON(b)
	require.NoError(t, err)
	return v
}
