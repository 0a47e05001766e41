package jsonx

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outer reads its member with a decoder of its own, as unions do.
type outer struct{ Inner []inner }

type inner struct {
	N int `json:"n"`
}

func (o *outer) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	return Decode(d, raw, &o.Inner)
}

func TestExplain(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":{"n":"secret"}}`:     "a JSON string does not fit int at /a/n",
		`{"a":{"n":null}}`:         "",
		`{"a":{"n":1e99}}`:         "a JSON number does not fit int at /a/n",
		`{"a":{"n":true}}`:         "a JSON boolean does not fit int at /a/n",
		`{"a":{"n":[]}}`:           "a JSON array does not fit int at /a/n",
		`{"a":{"n":{}}}`:           "a JSON object does not fit int at /a/n",
		`{"o":[{},{"n":""}]}`:      "a JSON string does not fit int at /o/1/n",
		`{"a":`:                    "it is not valid JSON at byte 5",
		``:                         "it is not valid JSON at byte 0",
		`[]`:                       "a JSON array does not fit struct { A jsonx.inner \"json:\\\"a\\\"\"; O jsonx.outer \"json:\\\"o\\\"\"; M map[string]int \"json:\\\"m\\\"\" }",
		`{"m":{"x\ny\u2028z":""}}`: "a JSON string does not fit int at /m/x y z",
		`{"m":{"` + strings.Repeat("x", 1000) + `":""}}`: "a JSON string does not fit int at /m/" + strings.Repeat("x", 253) + "...",
	} {
		var v struct {
			A inner          `json:"a"`
			O outer          `json:"o"`
			M map[string]int `json:"m"`
		}
		err := Unmarshal([]byte(text), &v)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.Error(t, err, text)
		assert.Equal(t, want, Explain(err), text)
	}
	assert.Equal(t, "it is not the JSON that was expected", Explain(assert.AnError))
}
