package models

import (
	stdjson "encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// readValue reads any JSON value: nil, bool, string, []any, map[string]any and for numbers what parseNumber returns.
func readValue(d *jsontext.Decoder) (any, error) {
	switch d.PeekKind() {
	case '0':
		raw, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		return parseNumber(string(raw)), nil
	case '{':
		m := map[string]any{}
		return m, readMembers(d, func(name string) (err error) {
			m[name], err = readValue(d)
			return err
		})
	case '[':
		list := []any{}
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
		for d.PeekKind() != ']' {
			v, err := readValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.ReadToken()
		return list, err
	}
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case 't', 'f':
		return t.Bool(), nil
	case '"':
		return t.String(), nil
	}
	return nil, nil
}

// readMembers reads an object. It calls f after each name, and f reads the value.
func readMembers(d *jsontext.Decoder, f func(name string) error) error {
	if k := d.PeekKind(); k != '{' && k != jsontext.KindInvalid {
		return fmt.Errorf("models: want a JSON object, not %s", kindName(k))
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		t, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := f(t.String()); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a bool"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '[':
		return "an array"
	}
	return "an object"
}

// parseNumber returns the Go form of a JSON number: int64 when it has neither fraction nor exponent and fits, else
// float64 when that holds exactly the number's value in its shortest decimal form, else json.Number.
func parseNumber(s string) any {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil && s != "-0" {
		return i
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return stdjson.Number(s)
	}
	want, ok := parseDecimal(s)
	if !ok {
		return stdjson.Number(s)
	}
	// Fifteen digits always survive, as long as the number is not too close to zero.
	if len(want.digits) <= 15 && math.Abs(f) > 1e-300 {
		return f
	}
	if got, _ := parseDecimal(strconv.FormatFloat(f, 'e', -1, 64)); got != want {
		return stdjson.Number(s)
	}
	return f
}

// writeValue writes what readValue returns, and every other value as the encoder does. The members of objects are
// sorted.
func writeValue(e *jsontext.Encoder, v any) error {
	switch v := v.(type) {
	case nil:
		return e.WriteToken(jsontext.Null)
	case string:
		return e.WriteToken(jsontext.String(v))
	case bool:
		return e.WriteToken(jsontext.Bool(v))
	case int:
		return e.WriteToken(jsontext.Int(int64(v)))
	case int64:
		return e.WriteToken(jsontext.Int(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("models: %v is not a JSON number", v)
		}
		return e.WriteToken(jsontext.Float(v))
	case stdjson.Number:
		raw := jsontext.Value(v)
		if !isNumber(v) {
			return fmt.Errorf("models: the text of a json.Number is not a JSON number")
		}
		return e.WriteValue(raw)
	case map[string]any:
		return writeObject(e, v, nil)
	case []any:
		if err := e.WriteToken(jsontext.BeginArray); err != nil {
			return err
		}
		for _, v := range v {
			if err := writeValue(e, v); err != nil {
				return err
			}
		}
		return e.WriteToken(jsontext.EndArray)
	}
	return json.MarshalEncode(e, v)
}

// writeObject writes the members of m in the order of their names, without those in except, and calls more before the
// end when it is not nil.
func writeObject(e *jsontext.Encoder, m map[string]any, more func() error, except ...string) error {
	if err := e.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if slices.Contains(except, name) {
			continue
		}
		if err := e.WriteToken(jsontext.String(name)); err != nil {
			return err
		}
		if err := writeValue(e, m[name]); err != nil {
			return err
		}
	}
	if more != nil {
		if err := more(); err != nil {
			return err
		}
	}
	return e.WriteToken(jsontext.EndObject)
}

func isNumber(n stdjson.Number) bool {
	raw := jsontext.Value(n)
	return raw.Kind() == '0' && raw.IsValid()
}

// toInt returns v when it is a whole number that fits.
func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), v == math.Trunc(v) && v >= math.MinInt64 && v < math.MaxInt64
	case stdjson.Number:
		i, err := v.Int64()
		return i, err == nil
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int(), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(r.Uint()), r.Uint() <= math.MaxInt64
	case reflect.Float32, reflect.Float64:
		return toInt(r.Float())
	}
	return 0, false
}

// toFloat returns v when it is a number, as the nearest float64.
func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case stdjson.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return float64(r.Int()), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return float64(r.Uint()), true
	case reflect.Float32, reflect.Float64:
		return r.Float(), true
	}
	return 0, false
}

func toString(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case stdjson.Number:
		return "", false
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.String {
		return r.String(), true
	}
	return "", false
}

func toBool(v any) (bool, bool) {
	if b, ok := v.(bool); ok {
		return b, true
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Bool {
		return r.Bool(), true
	}
	return false, false
}
