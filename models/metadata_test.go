package models_test

import (
	stdjson "encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

func TestMetadataReads(t *testing.T) {
	for in, want := range map[string]any{
		`"a<b"`:                  "a<b",
		`""`:                     "",
		`true`:                   true,
		`false`:                  false,
		`null`:                   nil,
		`0`:                      int64(0),
		`-1`:                     int64(-1),
		`9007199254740993`:       int64(1<<53 + 1),
		`9223372036854775807`:    int64(math.MaxInt64),
		`-9223372036854775808`:   int64(math.MinInt64),
		`9223372036854775808`:    stdjson.Number("9223372036854775808"),
		`-9223372036854775809`:   stdjson.Number("-9223372036854775809"),
		`12345678901234567890`:   stdjson.Number("12345678901234567890"),
		`0.1`:                    0.1,
		`45.49`:                  45.49,
		`-2.5e-7`:                -2.5e-7,
		`2.2250738585072014`:     2.2250738585072014,
		`1.7976931348623157e308`: math.MaxFloat64,
		`0.12345678901234567890`: stdjson.Number("0.12345678901234567890"),
		`9007199254740993.0`:     stdjson.Number("9007199254740993.0"),
		`1e400`:                  stdjson.Number("1e400"),
		`1e-400`:                 stdjson.Number("1e-400"),
		`4.9e-324`:               stdjson.Number("4.9e-324"), // the float64 nearest to it is written 5e-324
		`5e-324`:                 5e-324,
		`1e9999999999`:           stdjson.Number("1e9999999999"),
		`[1,"a",[null]]`:         []any{int64(1), "a", []any{nil}},
		`[]`:                     []any{},
		`{"z":{"y":[1.5]},"a":18446744073709551615}`: map[string]any{"z": map[string]any{"y": []any{1.5}}, "a": stdjson.Number("18446744073709551615")},
	} {
		t.Run(in, func(t *testing.T) {
			out := in
			switch in {
			case `-2.5e-7`:
				out = `-2.5e-7`
			case `1.7976931348623157e308`:
				out = `1.7976931348623157e+308`
			case `{"z":{"y":[1.5]},"a":18446744073709551615}`:
				out = `{"a":18446744073709551615,"z":{"y":[1.5]}}`
			}
			roundTrip(t, `{"k":`+in+`}`, models.Metadata{"k": want}, `{"k":`+out+`}`)
			roundTrip(t, `{"k":`+in+`}`, models.CustomFieldData{"k": want}, `{"k":`+out+`}`)
		})
	}
	roundTrip(t, ` { } `, models.Metadata{}, `{}`)
	roundTrip(t, `{"b":1,"a":2}`, models.Metadata{"a": int64(2), "b": int64(1)}, `{"a":2,"b":1}`)
	roundTrip[models.Metadata](t, `null`, nil, `{}`)
	roundTrip[models.CustomFieldData](t, `null`, nil, `{}`)

	negativeZero := models.Metadata{}
	require.NoError(t, jsonx.Unmarshal([]byte(`{"k":-0}`), &negativeZero))
	assert.True(t, math.Signbit(negativeZero["k"].(float64)))
	text, err := jsonx.Marshal(negativeZero)
	require.NoError(t, err)
	assert.Equal(t, `{"k":-0}`, string(text))
}

func TestMetadataRefuses(t *testing.T) {
	for _, in := range []string{`5`, `"x"`, `[]`, `true`} {
		err := refused[models.Metadata](t, in)
		assert.ErrorContains(t, err, "want a JSON object")
		assert.ErrorContains(t, err, "/A")
		refused[models.CustomFieldData](t, in)
	}
	refused[models.Metadata](t, `{"a":1,}`)
	refused[models.Metadata](t, `{"a":[1,]}`)
	refused[models.Metadata](t, `{"a":nul}`)
	cut[models.Metadata](t, `{"a":[1,{"b":null}],"c":"d","e":true}`)
}

func TestMetadataReplaces(t *testing.T) {
	shared := models.Metadata{"old": 1}
	m := shared
	require.NoError(t, jsonx.Unmarshal([]byte(`{"new":1}`), &m))
	assert.Equal(t, models.Metadata{"new": int64(1)}, m)
	assert.Equal(t, models.Metadata{"old": 1}, shared)
	require.Error(t, jsonx.Unmarshal([]byte(`{"new":`), &m))
	assert.Nil(t, m)
}

func TestMetadataWritesGoValues(t *testing.T) {
	type plan string
	for want, v := range map[string]any{
		`1`:                      uint8(1),
		`18446744073709551615`:   uint64(math.MaxUint64),
		`2`:                      int(2),
		`0.1`:                    float32(0.1),
		`"pro"`:                  plan("pro"),
		`"0.05"`:                 models.Decimal("0.05"),
		`"2026-01-31"`:           models.Date{Year: 2026, Month: 1, Day: 31},
		`"2026-01-02T03:04:05Z"`: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		`["a"]`:                  []string{"a"},
		`{"a":1,"b":2}`:          map[string]int{"b": 2, "a": 1},
		`{"a":{"b":1}}`:          map[string]any{"a": models.Metadata{"b": 1}},
		`3`:                      new(3),
		`1e+21`:                  1e21,
	} {
		for _, c := range leafCodecs {
			text, err := c.marshal(models.Metadata{"k": v})
			require.NoError(t, err, c.name)
			assert.Equal(t, `{"k":`+want+`}`, string(text), c.name)
			text, err = c.marshal(models.CustomFieldData{"k": v})
			require.NoError(t, err, c.name)
			assert.Equal(t, `{"k":`+want+`}`, string(text), c.name)
		}
	}
	loop := map[string]any{}
	loop["x"] = []any{loop}
	for _, v := range []any{loop, math.NaN(), math.Inf(1), float32(math.Inf(-1)), stdjson.Number("true"), stdjson.Number(""), stdjson.Number("1 2"), func() {}, []any{math.NaN()}, map[string]any{"x": math.NaN()}} {
		for _, c := range leafCodecs {
			_, err := c.marshal(models.Metadata{"k": v})
			assert.Error(t, err, "%s: %v", c.name, v)
		}
	}
}

func TestMetadataAccess(t *testing.T) {
	type plan string
	m := models.Metadata{
		"s": "x", "named": plan("pro"), "i": 5, "i64": int64(1) << 60, "u": uint64(math.MaxUint64), "u8": uint8(7), "f": 2.5, "whole": 3.0,
		"huge": 1e300, "edge": float64(math.MaxInt64), "f32": float32(0.5), "b": true, "n": nil, "big": stdjson.Number("18446744073709551615"), "small": stdjson.Number("12"),
	}
	for key, want := range map[string]string{"s": "x", "named": "pro"} {
		got, ok := m.String(key)
		assert.True(t, ok, key)
		assert.Equal(t, want, got)
	}
	for key, want := range map[string]int64{"i": 5, "i64": 1 << 60, "u8": 7, "whole": 3, "small": 12} {
		got, ok := m.Int(key)
		assert.True(t, ok, key)
		assert.Equal(t, want, got)
	}
	for key, want := range map[string]float64{"i": 5, "i64": 1 << 60, "u": math.MaxUint64, "u8": 7, "f": 2.5, "whole": 3, "huge": 1e300, "f32": 0.5, "big": math.MaxUint64} {
		got, ok := m.Float(key)
		assert.True(t, ok, key)
		assert.Equal(t, want, got)
	}
	value, ok := m.Bool("b")
	assert.True(t, value && ok)
	for _, key := range []string{"i", "b", "n", "missing", "big"} {
		_, ok := m.String(key)
		assert.False(t, ok, key)
	}
	for _, key := range []string{"s", "b", "n", "missing", "f", "u", "huge", "edge", "big"} {
		_, ok := m.Int(key)
		assert.False(t, ok, key)
	}
	for _, key := range []string{"s", "b", "n", "missing"} {
		_, ok := m.Float(key)
		assert.False(t, ok, key)
	}
	for _, key := range []string{"s", "i", "n", "missing"} {
		_, ok := m.Bool(key)
		assert.False(t, ok, key)
	}
	_, ok = models.Metadata(nil).String("x")
	assert.False(t, ok)
}

func TestMetadataValidate(t *testing.T) {
	type plan string
	pairs := func(n int) models.Metadata {
		m := models.Metadata{}
		for i := range n {
			m["k"+strconv.Itoa(i)] = i
		}
		return m
	}
	good := []models.Metadata{
		nil, {}, pairs(50),
		{strings.Repeat("é", 40): strings.Repeat("ü", 500)},
		{"a": 1, "b": 1.5, "c": true, "d": "x", "e": uint8(1), "f": plan("pro"), "g": stdjson.Number("1e400"), "h": models.Decimal("1"), "i": new(1), "j": float32(1)},
	}
	for _, m := range good {
		assert.NoError(t, m.Validate())
		assert.NoError(t, m.ValidateValues())
	}
	for _, c := range []struct {
		m      models.Metadata
		want   string
		values bool // also wrong for events
	}{
		{pairs(51), "models: metadata has 51 pairs, at most 50 are allowed", false},
		{models.Metadata{"": 1}, "models: metadata has an empty key, want 1 to 40 characters", false},
		{models.Metadata{strings.Repeat("k", 41): 1}, "models: metadata key \"" + strings.Repeat("k", 40) + "…\" has 41 characters, at most 40 are allowed", false},
		{models.Metadata{"plan": ""}, `models: metadata key "plan": the string is empty, want 1 to 500 characters: leave the key out`, true},
		{models.Metadata{"plan": plan("")}, `models: metadata key "plan": the string is empty, want 1 to 500 characters: leave the key out`, true},
		{models.Metadata{"note": strings.Repeat("ü", 501)}, `models: metadata key "note": the string has 501 characters, at most 500 are allowed`, true},
		{models.Metadata{"b": nil, "a": 1}, `models: metadata key "b": the value is nil: leave the key out`, true},
		{models.Metadata{"x": math.NaN()}, `models: metadata key "x": the number is NaN, want a finite one`, true},
		{models.Metadata{"x": math.Inf(-1)}, `models: metadata key "x": the number is -Inf, want a finite one`, true},
		{models.Metadata{"x": float32(math.Inf(1))}, `models: metadata key "x": the number is +Inf, want a finite one`, true},
		{models.Metadata{"x": stdjson.Number("x")}, `models: metadata key "x": the json.Number is not a number`, true},
		{models.Metadata{"x": []string{"a"}}, `models: metadata key "x": the value, a []string, must be a string, a number or a bool`, true},
		{models.Metadata{"x": map[string]any{}}, `models: metadata key "x": the value, a map[string]interface {}, must be a string, a number or a bool`, true},
		{models.Metadata{"x": (*int)(nil)}, `models: metadata key "x": the value, a *int, must be a string, a number or a bool`, true},
		{models.Metadata{"x": make(chan int)}, `models: metadata key "x": the value, a chan int, cannot be written as JSON: use a string, a number or a bool`, true},
		{models.Metadata{"z": nil, "y": ""}, `models: metadata key "y": the string is empty, want 1 to 500 characters: leave the key out`, true},
	} {
		assert.EqualError(t, c.m.Validate(), c.want)
		if c.values {
			assert.EqualError(t, c.m.ValidateValues(), c.want)
		} else {
			assert.NoError(t, c.m.ValidateValues())
		}
	}
}

// What is written is read back as it was, whatever the strings, whole numbers and floats.
func TestMetadataRoundTripsAnything(t *testing.T) {
	property := func(keys []string, s string, i int64, f float64, b bool) bool {
		m := models.Metadata{"s": strings.ToValidUTF8(s, "?"), "i": i, "f": f, "b": b, "list": []any{i, s == "", nil}}
		for n, k := range keys {
			m[strings.ToValidUTF8(k, "?")+"*"] = int64(n)
		}
		for _, c := range leafCodecs {
			text, err := c.marshal(m)
			if err != nil {
				return false
			}
			var back models.Metadata
			if err := c.unmarshal(text, &back); err != nil {
				return false
			}
			// A float without a fraction is written like a whole number.
			if got, ok := back.Float("f"); !ok || got != f {
				return false
			}
			back["f"] = f
			if !assert.ObjectsAreEqual(m, back) {
				return false
			}
		}
		return true
	}
	require.NoError(t, quick.Check(property, nil))
}

func TestCustomFieldData(t *testing.T) {
	at := time.Date(2026, 1, 31, 23, 30, 0, 0, time.FixedZone("", -3600))
	c := models.CustomFieldData{
		"day": "2026-01-31", "moment": "2026-01-31T23:30:00-01:00", "local": "2026-01-31T23:30:00.5", "go": at, "date": models.Date{Year: 2026, Month: 1, Day: 31},
		"empty": nil, "text": "x", "n": int64(5), "f": 1.5, "b": true, "bad": models.Date{Year: 2026, Month: 2, Day: 31},
	}
	day := models.Date{Year: 2026, Month: 1, Day: 31}
	for _, slug := range []string{"day", "moment", "local", "go", "date"} {
		got, ok := c.Date(slug)
		assert.True(t, ok, slug)
		assert.Equal(t, day, got, slug)
	}
	moment, ok := c.Time("moment")
	assert.True(t, ok)
	assert.True(t, at.Equal(moment))
	for _, slug := range []string{"empty", "text", "n", "missing", "bad"} {
		_, ok := c.Date(slug)
		assert.False(t, ok, slug)
		_, ok = c.Time(slug)
		assert.False(t, ok, slug)
	}
	s, ok := c.String("text")
	assert.True(t, ok)
	assert.Equal(t, "x", s)
	i, ok := c.Int("n")
	assert.True(t, ok)
	assert.Equal(t, int64(5), i)
	f, ok := c.Float("f")
	assert.True(t, ok)
	assert.Equal(t, 1.5, f)
	b, ok := c.Bool("b")
	assert.True(t, ok && b)
}

func TestMetadataRefusesValuesWithoutAnEnd(t *testing.T) {
	t.Parallel()
	type loop *loop
	var p loop
	p = &p
	list := []any{nil}
	list[0] = list
	m := map[string]any{}
	m["m"] = m
	for _, v := range []any{p, list, m, struct{ X int }{1}, []string{"a"}, func() {}} {
		assert.ErrorContains(t, models.Metadata{"k": v}.Validate(), `metadata key "k"`)
	}
	text := "x"
	type plan string
	for _, v := range []any{&text, plan("pro"), int8(3), new(2.5)} {
		assert.NoError(t, models.Metadata{"k": v}.Validate())
	}
}
