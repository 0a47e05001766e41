package jsonx

import (
	"bytes"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Member is the stand-in for one member of a container C whose Go type, the sealed interface T, depends on what another
// member of the same container says. A container's UnmarshalJSONFrom puts it in the place of the member, decodes, and
// takes the result with [Member.Result].
//
// When the deciding member has been read before this one, the value goes straight into its variant; otherwise the bytes
// wait until the container is complete. An input that names the deciding member twice is read by the first.
type Member[C, T any] struct {
	in    C
	pick  func(in C, end bool) T
	value T
	raw   jsontext.Value
}

// NewMember makes the stand-in of a member of in. The function pick returns a pointer to a new variant. While end is
// false the container is still being read, and pick returns nil when what decides has not been read yet; when end is
// true it always returns a variant.
func NewMember[C, T any](in C, pick func(in C, end bool) T) Member[C, T] {
	return Member[C, T]{in: in, pick: pick}
}

// UnmarshalJSONFrom reads the member's value, or keeps its bytes for later.
func (m *Member[C, T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var none T
	m.value, m.raw = none, nil
	if d.PeekKind() == 'n' {
		_, err := d.ReadToken()
		return err
	}
	if v := any(m.pick(m.in, false)); v != nil {
		if err := json.UnmarshalDecode(d, v); err != nil {
			return err
		}
		m.value, _ = v.(T)
		return nil
	}
	raw, err := d.ReadValue()
	m.raw = raw.Clone()
	return err
}

// Result returns the variant, or nil when the member was null or missing. It is called once the container has been read
// from d; name is the member's name, for the path in an error.
func (m *Member[C, T]) Result(d *jsontext.Decoder, name string) (T, error) {
	if m.raw == nil {
		return m.value, nil
	}
	v := m.pick(m.in, true)
	if err := json.Unmarshal(m.raw, v, d.Options()); err != nil {
		var none T
		return none, At(err, d.StackPointer().AppendToken(name))
	}
	return v, nil
}

// Choose reads a value that is one of several alternatives, told apart by the string member called name. It calls decode
// with that member's text, which is empty when there is none and is lost once something is read, and a decoder that is about
// to read the whole value: d itself when the member can be seen ahead, so that the value is read only once, else another
// one over the same bytes.
//
// The value to, most often a pointer to the container, is handed through so that decode need not be a closure.
func Choose[T any](d *jsontext.Decoder, name string, to T, decode func(to T, d *jsontext.Decoder, kind []byte) error) error {
	if d.PeekKind() != '{' {
		return decode(to, d, nil)
	}
	if kind, ok := peekString(d.UnreadBuffer(), name); ok {
		return decode(to, d, kind)
	}
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	kind, ok := peekString(raw, name)
	if !ok {
		kind = []byte(String(raw, name))
	}
	return Decode(d, raw, &chosen[T]{to, kind, decode})
}

type chosen[T any] struct {
	to     T
	kind   []byte
	decode func(T, *jsontext.Decoder, []byte) error
}

func (c *chosen[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error { return c.decode(c.to, d, c.kind) }

// Rest reads the next value into v, which is a pointer, and returns the bytes of the whole value as well, for an
// alternative that is not known. The bytes are a copy, and nil when the value is null.
func Rest(d *jsontext.Decoder, v any) ([]byte, error) {
	raw, err := d.ReadValue()
	if err != nil || raw.Kind() == 'n' {
		return nil, err
	}
	if err := Decode(d, raw, v); err != nil {
		return nil, err
	}
	return slices.Clone(raw), nil
}

// Decode reads into v, which is a pointer, the bytes of the value that d has just read: with the options of d, and with
// the place of the value in the path of an error.
func Decode(d *jsontext.Decoder, raw []byte, v any) error {
	if err := json.Unmarshal(raw, v, d.Options()); err != nil {
		return At(err, d.StackPointer())
	}
	return nil
}

// Raw reads the next value and returns a copy of its bytes.
func Raw(d *jsontext.Decoder) ([]byte, error) {
	raw, err := d.ReadValue()
	return slices.Clone(raw), err
}

// WriteRaw writes bytes that [Raw] or [Rest] returned, and null when there are none.
func WriteRaw(e *jsontext.Encoder, raw []byte) error {
	if len(raw) == 0 {
		return e.WriteToken(jsontext.Null)
	}
	return e.WriteValue(raw)
}

// Has returns the first of names that is a member of the JSON object raw, and "" when there is none.
func Has(raw []byte, names ...string) string {
	found := ""
	walk(raw, func(name string, _ *jsontext.Decoder) bool {
		if slices.Contains(names, name) {
			found = name
			return false
		}
		return true
	})
	return found
}

// String returns the text of the member called name of the JSON object raw, and "" when there is none or it is not a
// string.
func String(raw []byte, name string) string {
	value := ""
	walk(raw, func(n string, d *jsontext.Decoder) bool {
		if n != name {
			return true
		}
		if t, err := d.ReadToken(); err == nil && t.Kind() == '"' {
			value = t.String()
		}
		return false
	})
	return value
}

// walk calls f for each member of the JSON object raw until f returns false. A decoder is positioned at the member's
// value, which f may read only when it returns false.
func walk(raw []byte, f func(name string, d *jsontext.Decoder) bool) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), DecodeOptions)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil || !f(t.String(), d) || d.SkipValue() != nil {
			return
		}
	}
}

// At puts the place of a value that was decoded on its own in front of the place in its error.
func At(err error, at jsontext.Pointer) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		semantic.JSONPointer = at + semantic.JSONPointer
	}
	return err
}

// peekString looks for the member called name in the JSON object that b is about to open and returns its text. It does
// not check b, which may be cut or broken: the decoder does that afterwards. It reports false whenever it cannot tell
// simply, as with escaped names and values. The text is a part of b.
func peekString(b []byte, name string) ([]byte, bool) {
	i := 0
	for i < len(b) && b[i] != '{' { // white space, and the comma or colon in front
		i++
	}
	depth := 0
	for i < len(b) {
		c := b[i]
		i++
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return nil, false
			}
		case '"':
			start := i
			if i = endOfString(b, i); i < 0 {
				return nil, false
			}
			if depth != 1 || string(b[start:i-1]) != name {
				continue
			}
			if i = skipSpace(b, i); i == len(b) || b[i] != ':' {
				continue // a value that reads like the name
			}
			if i = skipSpace(b, i+1); i == len(b) || b[i] != '"' {
				return nil, false
			}
			start = i + 1
			if i = endOfString(b, start); i < 0 || bytes.IndexByte(b[start:i], '\\') >= 0 {
				return nil, false
			}
			return b[start : i-1], true
		}
	}
	return nil, false
}

// endOfString returns the index after the closing quote of the string whose text starts at i, or -1.
func endOfString(b []byte, i int) int {
	for start := i; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		escapes := 0
		for j := i - 2; j >= start && b[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// Sealed is the stand-in for a value of the sealed interface T in a container that is being read: as a member, an
// element or a map's value. P is an empty struct whose method reads one.
type Sealed[T any, P Reader[T]] struct{ Value T }

// Reader reads one value of the sealed interface T, and gives nil for null.
type Reader[T any] interface {
	Read(d *jsontext.Decoder) (T, error)
}

// UnmarshalJSONFrom reads the value with P.
func (s *Sealed[T, P]) UnmarshalJSONFrom(d *jsontext.Decoder) (err error) {
	var p P
	s.Value, err = p.Read(d)
	return err
}

// Values takes the values out of their stand-ins; nil stays nil.
func Values[T any, P Reader[T]](in []Sealed[T, P]) []T {
	if in == nil {
		return nil
	}
	out := make([]T, len(in))
	for i := range in {
		out[i] = in[i].Value
	}
	return out
}

// ValuesByName is [Values] for lists under names; nil stays nil.
func ValuesByName[T any, P Reader[T]](in map[string][]Sealed[T, P]) map[string][]T {
	if in == nil {
		return nil
	}
	out := make(map[string][]T, len(in))
	for name, list := range in {
		out[name] = Values(list)
	}
	return out
}
