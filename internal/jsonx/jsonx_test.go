package jsonx_test

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
)

func TestUnmarshalIsLenient(t *testing.T) {
	type doc struct {
		S string         `json:"s"`
		I int            `json:"i"`
		M map[string]any `json:"m"`
	}
	for name, c := range map[string]struct {
		in   string
		want doc
	}{
		"repeated member, last wins":  {`{"s":"a","s":"b"}`, doc{S: "b"}},
		"repeated member, not ours":   {`{"x":{"a":1,"a":2},"s":"a"}`, doc{S: "a"}},
		"invalid UTF-8":               {"{\"s\":\"a\xffb\"}", doc{S: "a\ufffdb"}},
		"half a surrogate pair":       {`{"s":"\ud800"}`, doc{S: "\ufffd"}},
		"null for a plain value":      {`{"s":null,"i":null,"m":null}`, doc{}},
		"names match exactly":         {`{"S":"a","I":1}`, doc{}},
		"missing and unknown members": {`{"new":[1,{"a":null}]}`, doc{}},
	} {
		t.Run(name, func(t *testing.T) {
			var got doc
			require.NoError(t, jsonx.Unmarshal([]byte(c.in), &got))
			assert.Equal(t, c.want, got)

			got = doc{}
			require.NoError(t, jsonx.UnmarshalRead(strings.NewReader(c.in), &got))
			assert.Equal(t, c.want, got)
		})
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":              ``,
		"a cut value":          `{"s":`,
		"data after the value": `{} {}`,
		"another type":         `{"s":5}`,
	} {
		t.Run(name, func(t *testing.T) {
			var got struct {
				S string `json:"s"`
			}
			assert.Error(t, jsonx.Unmarshal([]byte(in), &got))
			assert.Error(t, jsonx.UnmarshalRead(strings.NewReader(in), &got))
		})
	}
	var got any
	assert.ErrorIs(t, jsonx.UnmarshalRead(iotest.ErrReader(io.ErrClosedPipe), &got), io.ErrClosedPipe)
}

func TestMarshal(t *testing.T) {
	for name, c := range map[string]struct {
		in   any
		want string
	}{
		"maps in order":          {map[string]any{"b": 1, "a": 2, "c": 3}, `{"a":2,"b":1,"c":3}`},
		"no HTML escapes":        {"<&>", `"<&>"`},
		"invalid UTF-8":          {"a\xffb", "\"a\ufffdb\""},
		"raw values keep escape": {jsontext.Value(`{"a":"\u0041\/","a":1}`), `{"a":"\u0041\/","a":1}`},
		"nil slices are empty":   {[]string(nil), `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := jsonx.Marshal(c.in)
			require.NoError(t, err)
			assert.Equal(t, c.want, string(got))
		})
	}
}
