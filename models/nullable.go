package models

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// Nullable is a field of an update that has three states. The zero value leaves what Polar holds as it is, [Set]
// replaces it, [Null] clears it.
//
//	models.CustomerUpdate{Name: models.Set("Ada"), Locale: models.Null[string]()}
type Nullable[T any] struct {
	value T
	state nullableState
}

type nullableState uint8

const (
	nullableUnset nullableState = iota
	nullableSet
	nullableNull
)

// Set returns a Nullable that replaces the value with v.
func Set[T any](v T) Nullable[T] { return Nullable[T]{value: v, state: nullableSet} }

// Null returns a Nullable that clears the value.
func Null[T any]() Nullable[T] { return Nullable[T]{state: nullableNull} }

// Get returns the value, and whether there is one: false when the field is to be left as it is and when it is to be
// cleared.
func (n Nullable[T]) Get() (T, bool) { return n.value, n.state == nullableSet }

// IsZero reports whether the field is to be left as it is. Such a field is not sent.
func (n Nullable[T]) IsZero() bool { return n.state == nullableUnset }

// IsNull reports whether the field is to be cleared.
func (n Nullable[T]) IsNull() bool { return n.state == nullableNull }

// Format prints the value as fmt prints a T, "null" for one that clears, and "unset" for the zero value.
func (n Nullable[T]) Format(f fmt.State, verb rune) {
	switch {
	case n.state == nullableUnset:
		_, _ = f.Write([]byte("unset"))
	case n.state == nullableNull:
		_, _ = f.Write([]byte("null"))
	default:
		_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), n.value)
	}
}

// MarshalJSONTo writes the value, or null when there is none.
func (n Nullable[T]) MarshalJSONTo(e *jsontext.Encoder) error {
	if n.state != nullableSet {
		return e.WriteToken(jsontext.Null)
	}
	return json.MarshalEncode(e, &n.value)
}

// MarshalJSON returns the JSON text of the value, or null when there is none.
func (n Nullable[T]) MarshalJSON() ([]byte, error) { return jsonx.Marshal(n) }

// UnmarshalJSONFrom reads a value; null is read as [Null].
func (n *Nullable[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == 'n' {
		*n = Null[T]()
		return d.SkipValue()
	}
	var v T
	if err := json.UnmarshalDecode(d, &v); err != nil {
		return err
	}
	*n = Set(v)
	return nil
}

// UnmarshalJSON reads a value; null is read as [Null].
func (n *Nullable[T]) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, n) }
