package models_test

import (
	"bytes"
	stdjson "encoding/json"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// stable expects what can be read to be written, to be read again as the same value, and to be written again as the same
// text, by every codec.
func stable[T any](t *testing.T, in string) (first T, ok bool) {
	if err := jsonx.Unmarshal([]byte(in), &first); err != nil {
		return first, false
	}
	text, err := jsonx.Marshal(first)
	require.NoError(t, err)
	require.True(t, stdjson.Valid(text), "%s", text)
	for _, c := range leafCodecs {
		if c.name == "encoding/json/v2" && c.unmarshal(text, new(T)) != nil {
			continue // it refuses what is written twice or is no UTF-8, which the others let pass
		}
		var again T
		require.NoError(t, c.unmarshal(text, &again), "%s: %s", c.name, text)
		out, err := c.marshal(again)
		require.NoError(t, err, "%s: %s", c.name, text)
		var third T
		require.NoError(t, jsonx.Unmarshal(out, &third), "%s: %s", c.name, out)
		if reflect.TypeFor[T]().Kind() == reflect.String {
			require.Equal(t, again, third)
		}
		second, err := jsonx.Marshal(third)
		require.NoError(t, err)
		require.Equal(t, plainText(t, text), plainText(t, second), c.name)
	}
	return first, true
}

// plainText brings escapes to one form.
func plainText(t *testing.T, text []byte) string {
	var v any
	d := stdjson.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&v))
	out, err := stdjson.Marshal(v)
	require.NoError(t, err)
	return string(out)
}

func FuzzMetadata(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"b":1.5,"c":"x","d":true,"e":null}`, `{"a":9007199254740993,"b":18446744073709551616,"c":0.1000000000000000055511151231257827}`,
		`{"a":-0,"b":-0.0,"c":1e400,"d":1e-400,"e":5e-324,"f":4.9e-324}`, `{"a":[1,{"b":[]}],"a":2}`, "{\"\xff\":\"\\ud800\"}", `null`, `[]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := stable[models.Metadata](t, s)
		if !ok {
			return
		}
		_ = m.Validate()
		// Numbers keep their value exactly.
		var raw map[string]stdjson.RawMessage
		if stdjson.Unmarshal([]byte(s), &raw) != nil {
			return
		}
		text, err := jsonx.Marshal(m)
		require.NoError(t, err)
		var written map[string]stdjson.RawMessage
		require.NoError(t, stdjson.Unmarshal(text, &written))
		for key, in := range raw {
			out, ok := written[key]
			if !ok || len(in) == 0 || in[0] != '-' && (in[0] < '0' || in[0] > '9') {
				continue
			}
			if a := models.Decimal(in); a.Valid() {
				assert.True(t, a.Equal(models.Decimal(out)), "%s became %s", in, out)
			} else {
				assert.Equal(t, string(in), string(out))
			}
			_, isInt := m.Int(key)
			_, isFloat := m.Float(key)
			assert.True(t, isFloat || !isInt)
		}
	})
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"0", "-0.0", "1E-7", "+.5", "5.", "1e999999", "12.000000000000", "x", "", "00012.3400", "99999.9999999999999"} {
		f.Add(s, "1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := models.Decimal(a), models.Decimal(b)
		assert.Equal(t, x.Cmp(y), -y.Cmp(x))
		assert.True(t, x.Equal(x))
		_ = x.ValidateUnitAmount()
		parsed, err := models.ParseDecimal(a)
		assert.Equal(t, err == nil, x.Valid())
		rx, errX := x.Rat()
		assert.Equal(t, err == nil, errX == nil)
		if err != nil {
			return
		}
		assert.Equal(t, x, parsed)
		assert.True(t, x.Equal(models.Decimal(x.Plain())))
		assert.Equal(t, rx.Sign(), x.Sign())
		if ry, errY := y.Rat(); errY == nil {
			assert.Equal(t, rx.Cmp(ry), x.Cmp(y))
		}
		text, err := jsonx.Marshal(x)
		require.NoError(t, err)
		back, ok := stable[models.Decimal](t, string(text))
		assert.True(t, ok)
		assert.Equal(t, x, back)
		if stdjson.Valid([]byte(a)) { // as a number, without the quotes
			back, ok := stable[models.Decimal](t, a)
			assert.True(t, ok)
			assert.True(t, x.Equal(back))
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{`"2026-01-31"`, `"2024-02-29"`, `"0000-01-01"`, `"9999-12-31"`, `null`, `""`, `"2026-1-31"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := stable[models.Date](t, s)
		if !ok || d.IsZero() {
			return
		}
		assert.True(t, d.Valid())
		back, err := models.ParseDate(d.String())
		require.NoError(t, err)
		assert.Equal(t, d, back)
		assert.Equal(t, d, models.DateOf(d.In(time.UTC)))
		v := url.Values{}
		require.NoError(t, d.EncodeValues("k", &v))
		assert.Equal(t, d.String(), v.Get("k"))
	})
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		`{"conjunction":"and","clauses":[{"property":"p","operator":"eq","value":1},{"conjunction":"or","clauses":[{"property":"q","operator":"like","value":"x"}]}]}`,
		`{"clauses":[{"clauses":null},{"property":null},{"x":1},null,5,"property"]}`, `{"clauses":[{"property":"p","clauses":[]}],"clauses":[]}`,
		`{"clauses":[{"property":"p","value":{"a":[1e400]}}]}`, `null`, `{}`, `{"clauses":[{"clauses":[{"clauses":[]}]}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		filter, ok := stable[models.Filter](t, s)
		if !ok {
			return
		}
		_ = filter.Validate()
		v := url.Values{}
		require.NoError(t, filter.EncodeValues("filter", &v))
		if !filter.IsZero() {
			var back models.Filter
			require.NoError(t, jsonx.Unmarshal([]byte(v.Get("filter")), &back))
		}
	})
}

func FuzzEventCreate(f *testing.F) {
	for _, s := range []string{
		`{"name":"x","customer_id":"c","metadata":{"a":1,"_cost":{"amount":"1E-7","currency":"usd"},"_llm":{"vendor":"v","model":"m","input_tokens":1,"output_tokens":2,"total_tokens":3}}}`,
		`{"name":"x","external_customer_id":"c","timestamp":"2026-01-02T03:04:05.678Z","metadata":{"_cost":null,"_llm":null}}`,
		`{"name":null,"metadata":{"_cost":{"amount":5}}}`, `{"metadata":null}`, `{}`, `null`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := stable[models.EventCreate](t, s)
		if !ok {
			return
		}
		assert.NotContains(t, c.Metadata, "_cost")
		assert.NotContains(t, c.Metadata, "_llm")
		_ = c.Validate()
		_ = models.EventsIngest{Events: []models.EventCreate{c}}.Repeatable()
	})
}
