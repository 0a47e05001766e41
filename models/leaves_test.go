package models_test

import (
	stdjson "encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
)

// leafCodecs are the ways in which the types that are written by hand must work.
var leafCodecs = []struct {
	name      string
	unmarshal func([]byte, any) error
	marshal   func(any) ([]byte, error)
}{
	{"jsonx", jsonx.Unmarshal, jsonx.Marshal},
	{"jsonx by bytes", func(data []byte, v any) error {
		return jsonx.UnmarshalRead(iotest.OneByteReader(strings.NewReader(string(data))), v)
	}, jsonx.Marshal},
	{"encoding/json", stdjson.Unmarshal, stdjson.Marshal},
	{"encoding/json/v2", func(data []byte, v any) error { return json.Unmarshal(data, v) }, func(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }},
}

// roundTrip reads in with every codec, expects want, and expects it to be written as out, as a value, as a pointer and
// inside a struct.
func roundTrip[T any](t *testing.T, in string, want T, out string) {
	t.Helper()
	for _, c := range leafCodecs {
		var got T
		require.NoError(t, c.unmarshal([]byte(in), &got), c.name)
		require.Equal(t, want, got, c.name)

		var box struct{ A, B T }
		require.NoError(t, c.unmarshal([]byte(`{"A":`+in+`,"B":`+in+`}`), &box), c.name)
		require.Equal(t, want, box.A, c.name)
		require.Equal(t, want, box.B, c.name)

		for _, v := range []any{got, &got} {
			text, err := c.marshal(v)
			require.NoError(t, err, c.name)
			require.Equal(t, out, plain(text), c.name)
		}
		text, err := c.marshal([]any{got, map[string]T{"x": got}, struct{ X *T }{&got}})
		require.NoError(t, err, c.name)
		require.Equal(t, `[`+out+`,{"x":`+out+`},{"X":`+out+`}]`, plain(text), c.name)
	}
}

// plain undoes the escapes for HTML of encoding/json.
func plain(text []byte) string {
	return strings.NewReplacer(`\u003c`, `<`, `\u003e`, `>`, `\u0026`, `&`).Replace(string(text))
}

// refused expects every codec to refuse in, alone and inside an object, and returns the last error of our own.
func refused[T any](t *testing.T, in string) error {
	t.Helper()
	var last error
	for _, c := range leafCodecs {
		var got T
		require.Error(t, c.unmarshal([]byte(in), &got), "%s: %s", c.name, in)
		var box struct{ A T }
		err := c.unmarshal([]byte(`{"A":`+in+`}`), &box)
		require.Error(t, err, "%s: %s", c.name, in)
		if c.name == "jsonx" {
			last = err
		}
	}
	return last
}

// cut expects every codec to report an input that ends early.
func cut[T any](t *testing.T, in string) {
	t.Helper()
	for i := range len(in) {
		for _, c := range leafCodecs {
			var got T
			assert.Error(t, c.unmarshal([]byte(in[:i]), &got), "%s: %s", c.name, in[:i])
		}
		var got T
		r := io.MultiReader(strings.NewReader(in[:i]), iotest.ErrReader(io.ErrClosedPipe))
		assert.ErrorIs(t, jsonx.UnmarshalRead(r, &got), io.ErrClosedPipe, in[:i])
	}
}
