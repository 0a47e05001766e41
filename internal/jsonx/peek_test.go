package jsonx

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPeekString(t *testing.T) {
	for in, want := range map[string]string{
		`{"kind":"a"}`:                                             "a",
		` , {"kind":""}`:                                           "",
		`:{"x":1,"kind" : "a" ,"kind":"b"`:                         "a",
		`{"x":"\"","kind":"a"}`:                                    "a",
		`{"x":"\\","kind":"a"}`:                                    "a",
		`{"x":"\\\"kind","y":"\\\\","kind":"a"`:                    "a",
		`{"x":{"kind":"b"},"y":[{"kind":"c"}],"z":"{","kind":"a"}`: "a",
		`{"kinds":"b","x":"kind","kind":"a"}`:                      "a",
	} {
		got, ok := peekString([]byte(in), "kind")
		assert.True(t, ok, in)
		assert.Equal(t, want, string(got), in)
	}
	for _, in := range []string{
		``, ` `, `{`, `{}`, `{"`, `{"kind`, `{"kind"`, `{"kind" `, `{"kind":`, `{"kind": `, `{"kind":"`, `{"kind":"a`, `{"x":"kind\`, `{"x":"kind\"`,
		`{"kind":1}`, `{"kind":null,"kind":"a"}`, `{"kind":"\u0061"}`, `{"\u006bind":"a"}`, `{"x":{"kind":"a"}}`, `{"x":1},{"kind":"a"}`, `{"x":"kind"}`,
	} {
		_, ok := peekString([]byte(in), "kind")
		assert.False(t, ok, in)
	}
}
