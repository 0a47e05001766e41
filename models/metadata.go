package models

import (
	"encoding"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// Metadata holds key-value pairs of the caller that Polar stores with an object. Polar takes at most 50 pairs, keys of 1
// to 40 characters, and as values strings of 1 to 500 characters, whole and other finite numbers, and bools.
//
// What is read has these Go types:
//
//   - string and bool
//   - int64 for a number without fraction and exponent, also beyond 2^53
//   - float64 for another number
//   - json.Number, of encoding/json, for the rare number that these two cannot hold exactly; it keeps the text
//   - nil, map[string]any and []any, which Polar does not write, for what may have been stored otherwise
//
// The methods [Metadata.String], [Metadata.Int], [Metadata.Float] and [Metadata.Bool] read one value whatever type of
// the kind it has. What is written may have any of these and all other Go types that encoding/json can write.
type Metadata map[string]any

const (
	maxMetadataPairs  = 50
	maxMetadataKey    = 40
	maxMetadataString = 500
)

// String returns the string under key, and false when there is none.
func (m Metadata) String(key string) (string, bool) { return toString(m[key]) }

// Int returns the whole number under key, and false when there is none or it does not fit.
func (m Metadata) Int(key string) (int64, bool) { return toInt(m[key]) }

// Float returns the number under key, rounded to the nearest float64, and false when there is none.
func (m Metadata) Float(key string) (float64, bool) { return toFloat(m[key]) }

// Bool returns the bool under key, and false as the second result when there is none.
func (m Metadata) Bool(key string) (value, ok bool) { return toBool(m[key]) }

// Validate checks the limits that Polar sets, and says which key breaks which.
func (m Metadata) Validate() error {
	if len(m) > maxMetadataPairs {
		return fmt.Errorf("models: metadata has %d pairs, at most %d are allowed", len(m), maxMetadataPairs)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		switch n := utf8.RuneCountInString(key); {
		case n == 0:
			return errors.New("models: metadata has an empty key, want 1 to 40 characters")
		case n > maxMetadataKey:
			return fmt.Errorf("models: metadata key %q has %d characters, at most %d are allowed", shorten(key), n, maxMetadataKey)
		}
	}
	return m.ValidateValues()
}

// ValidateValues checks the values alone. Polar limits neither number nor length of the keys of an event's metadata.
func (m Metadata) ValidateValues() error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := checkMetadataValue(m[key]); err != nil {
			return fmt.Errorf("models: metadata key %q: %w", shorten(key), err)
		}
	}
	return nil
}

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxMetadataKey {
		return s
	}
	return string([]rune(s)[:maxMetadataKey]) + "…"
}

// isScalar tells whether a value may be written as a string, a number or a bool: by its kind, behind a few pointers at most,
// or by a method of its own.
func isScalar(v any) bool {
	rv := reflect.ValueOf(v)
	for range 4 {
		if rv.IsValid() && rv.CanInterface() {
			switch rv.Interface().(type) {
			case stdjson.Marshaler, json.MarshalerTo, encoding.TextMarshaler:
				return true
			}
		}
		switch rv.Kind() {
		case reflect.Pointer, reflect.Interface:
			rv = rv.Elem()
		case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array, reflect.Invalid:
			return false
		default:
			return true
		}
	}
	return false
}

func checkMetadataValue(v any) error {
	switch v := v.(type) {
	case nil:
		return errors.New("the value is nil: leave the key out")
	case string:
		return checkMetadataString(v)
	case bool, int, int64:
		return nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("the number is %v, want a finite one", v)
		}
		return nil
	case stdjson.Number:
		if !isNumber(v) {
			return errors.New("the json.Number is not a number")
		}
		return nil
	}
	// Another type counts as what it is written as. Lists, maps and pointers without an end are not written at all.
	if !isScalar(v) {
		return fmt.Errorf("the value, a %T, must be a string, a number or a bool", v)
	}
	raw, err := jsonx.Marshal(v)
	if err != nil {
		if f, ok := toFloat(v); ok {
			return checkMetadataValue(f)
		}
		return fmt.Errorf("the value, a %T, cannot be written as JSON: use a string, a number or a bool", v)
	}
	switch jsontext.Value(raw).Kind() {
	case '"':
		var s string
		if err := jsonx.Unmarshal(raw, &s); err != nil {
			return err
		}
		return checkMetadataString(s)
	case '0', 't', 'f':
		return nil
	}
	return fmt.Errorf("the value, a %T, must be a string, a number or a bool", v)
}

func checkMetadataString(s string) error {
	switch n := utf8.RuneCountInString(s); {
	case n == 0:
		return errors.New("the string is empty, want 1 to 500 characters: leave the key out")
	case n > maxMetadataString:
		return fmt.Errorf("the string has %d characters, at most %d are allowed", n, maxMetadataString)
	}
	return nil
}

// MarshalJSONTo writes an object with the keys in order. Nil is an empty object.
func (m Metadata) MarshalJSONTo(e *jsontext.Encoder) error { return writeObject(e, m, nil) }

// MarshalJSON returns an object with the keys in order. Nil is an empty object.
func (m Metadata) MarshalJSON() ([]byte, error) { return jsonx.Marshal(m) }

// UnmarshalJSONFrom reads an object into a new map; null is read as nil.
func (m *Metadata) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return readMap((*map[string]any)(m), d)
}

// UnmarshalJSON reads an object into a new map; null is read as nil.
func (m *Metadata) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, m) }

func readMap(m *map[string]any, d *jsontext.Decoder) error {
	*m = nil
	if d.PeekKind() == 'n' {
		return d.SkipValue()
	}
	read := map[string]any{}
	err := readMembers(d, func(name string) (err error) {
		read[name], err = readValue(d)
		return err
	})
	if err != nil {
		return err
	}
	*m = read
	return nil
}

// CustomFieldData holds what a customer entered into the custom fields of a checkout, by the slugs of the fields:
// strings, numbers, bools, dates, and nil for a field that was left empty.
//
// What is read has the same Go types as in [Metadata]; a date is a string that [CustomFieldData.Time] and
// [CustomFieldData.Date] read. What is written may also be a time.Time or a [Date].
type CustomFieldData map[string]any

// String returns the string under slug, and false when there is none.
func (c CustomFieldData) String(slug string) (string, bool) { return toString(c[slug]) }

// Int returns the whole number under slug, and false when there is none or it does not fit.
func (c CustomFieldData) Int(slug string) (int64, bool) { return toInt(c[slug]) }

// Float returns the number under slug, rounded to the nearest float64, and false when there is none.
func (c CustomFieldData) Float(slug string) (float64, bool) { return toFloat(c[slug]) }

// Bool returns the bool under slug, and false as the second result when there is none.
func (c CustomFieldData) Bool(slug string) (value, ok bool) { return toBool(c[slug]) }

// Time returns the moment under slug, and false when there is none. A day without a time is its start in UTC.
func (c CustomFieldData) Time(slug string) (time.Time, bool) {
	switch v := c[slug].(type) {
	case time.Time:
		return v, true
	case Date:
		return v.In(time.UTC), v.Valid()
	case string:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", time.DateOnly} {
			if t, err := time.Parse(layout, v); err == nil {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// Date returns the day under slug, and false when there is none. Of a moment it is the day in the moment's own offset.
func (c CustomFieldData) Date(slug string) (Date, bool) {
	t, ok := c.Time(slug)
	if !ok {
		return Date{}, false
	}
	return DateOf(t), true
}

// MarshalJSONTo writes an object with the slugs in order. Nil is an empty object.
func (c CustomFieldData) MarshalJSONTo(e *jsontext.Encoder) error { return writeObject(e, c, nil) }

// MarshalJSON returns an object with the slugs in order. Nil is an empty object.
func (c CustomFieldData) MarshalJSON() ([]byte, error) { return jsonx.Marshal(c) }

// UnmarshalJSONFrom reads an object into a new map; null is read as nil.
func (c *CustomFieldData) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return readMap((*map[string]any)(c), d)
}

// UnmarshalJSON reads an object into a new map; null is read as nil.
func (c *CustomFieldData) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, c) }
