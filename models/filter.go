package models

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// Filter chooses events: for a meter to count, or for a list of events to show. It is most easily built with [And],
// [Or] and the comparisons [Eq], [Ne], [Gt], [Gte], [Lt], [Lte], [Like] and [NotLike]:
//
//	models.And(
//		models.Eq("name", "api.request"),
//		models.Or(models.Gt("tokens", 1000), models.Eq("model", "large")),
//	)
//
// Properties are the event's own, such as name, or keys of its metadata, which have no prefix. A Filter without clauses
// lets every event pass.
type Filter struct {
	// Conjunction says whether all or any of the clauses must hold. Empty counts as [FilterConjunctionAnd].
	Conjunction FilterConjunction `json:"conjunction"`
	// Clauses are comparisons and further filters.
	Clauses []FilterNode `json:"clauses"`
}

// FilterClause compares a property of an event with a value.
type FilterClause struct {
	// Property is the name of the property, or a key of the metadata.
	Property string `json:"property"`
	// Operator is the comparison.
	Operator FilterOperator `json:"operator"`
	// Value is a string of at most 1000 characters, a whole number of 32 bits or a bool. What is read is a string,
	// int64, bool or float64.
	Value any `json:"value"`
}

// FilterNode is one of the clauses of a [Filter]: a [*FilterClause], a [*Filter], or a [*UnknownFilterNode] for what
// Polar has added since. In a Filter to send the values themselves will do as well; what is read holds pointers.
type FilterNode interface{ isFilterNode() }

func (Filter) isFilterNode()            {}
func (FilterClause) isFilterNode()      {}
func (UnknownFilterNode) isFilterNode() {}

// UnknownFilterNode keeps the JSON text of a clause that is neither a comparison nor a filter, or of one that is nested
// more than 100 levels deep.
type UnknownFilterNode struct {
	// Raw is the JSON text.
	Raw stdjson.RawMessage
}

// FilterValue is what a property can be compared with. Numbers are whole numbers of 32 bits.
type FilterValue interface {
	~string | ~bool | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32
}

const (
	maxFilterDepth  = 100
	maxFilterString = 1000
)

// And returns a filter for the events that all of the clauses hold for.
func And(clauses ...FilterNode) Filter {
	return Filter{Conjunction: FilterConjunctionAnd, Clauses: clauses}
}

// Or returns a filter for the events that at least one of the clauses holds for.
func Or(clauses ...FilterNode) Filter {
	return Filter{Conjunction: FilterConjunctionOr, Clauses: clauses}
}

// Where returns a comparison, for an operator that is known only when the program runs.
func Where[V FilterValue](property string, operator FilterOperator, value V) FilterClause {
	return FilterClause{Property: property, Operator: operator, Value: filterValue(value)}
}

// Eq holds when the property is equal to the value.
func Eq[V FilterValue](property string, value V) FilterClause {
	return Where(property, FilterOperatorEq, value)
}

// Ne holds when the property is not equal to the value.
func Ne[V FilterValue](property string, value V) FilterClause {
	return Where(property, FilterOperatorNe, value)
}

// Gt holds when the property is greater than the value.
func Gt[V FilterValue](property string, value V) FilterClause {
	return Where(property, FilterOperatorGt, value)
}

// Gte holds when the property is greater than or equal to the value.
func Gte[V FilterValue](property string, value V) FilterClause {
	return Where(property, FilterOperatorGte, value)
}

// Lt holds when the property is less than the value.
func Lt[V FilterValue](property string, value V) FilterClause {
	return Where(property, FilterOperatorLt, value)
}

// Lte holds when the property is less than or equal to the value.
func Lte[V FilterValue](property string, value V) FilterClause {
	return Where(property, FilterOperatorLte, value)
}

// Like holds when the property contains the text.
func Like(property, text string) FilterClause { return Where(property, FilterOperatorLike, text) }

// NotLike holds when the property does not contain the text.
func NotLike(property, text string) FilterClause {
	return Where(property, FilterOperatorNotLike, text)
}

// filterValue returns the same value in the type that it has when it is read.
func filterValue[V FilterValue](value V) any {
	switch r := reflect.ValueOf(value); r.Kind() {
	case reflect.String:
		return r.String()
	case reflect.Bool:
		return r.Bool()
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return int64(r.Uint())
	default:
		return r.Int()
	}
}

// IsZero reports whether the filter is the zero Filter.
func (f Filter) IsZero() bool { return f.Conjunction == "" && len(f.Clauses) == 0 }

// Validate checks what Polar would refuse, and says which clause it is: clauses without property, operator or value,
// and values out of range.
func (f Filter) Validate() error { return f.validate(0) }

func (f Filter) validate(depth int) error {
	if depth >= maxFilterDepth {
		return fmt.Errorf("models: the filter is nested more than %d levels deep", maxFilterDepth)
	}
	for i, node := range f.Clauses {
		var err error
		switch n := node.(type) {
		case Filter:
			err = n.validate(depth + 1)
		case *Filter:
			if n == nil {
				err = errNilClause
				break
			}
			err = n.validate(depth + 1)
		case FilterClause:
			err = n.Validate()
		case *FilterClause:
			if n == nil {
				err = errNilClause
				break
			}
			err = n.Validate()
		case nil, *UnknownFilterNode:
			if n == nil || n == (*UnknownFilterNode)(nil) {
				err = errNilClause
			}
		}
		if err != nil {
			return within("Clauses["+strconv.Itoa(i)+"]", err)
		}
	}
	return nil
}

var errNilClause = errors.New("models: the clause is nil")

// Validate checks what Polar would refuse: an empty property or operator, and a value that is none of those that a
// clause can have.
func (c FilterClause) Validate() error {
	switch {
	case c.Property == "":
		return errors.New("models: Property is empty")
	case c.Operator == "":
		return errors.New("models: Operator is empty")
	}
	if s, ok := toString(c.Value); ok {
		if n := utf8.RuneCountInString(s); n > maxFilterString {
			return fmt.Errorf("models: Value has %d characters, at most %d are allowed", n, maxFilterString)
		}
		return nil
	}
	if _, ok := toBool(c.Value); ok {
		return nil
	}
	if i, ok := toInt(c.Value); ok {
		if i < math.MinInt32 || i > math.MaxInt32 {
			return errors.New("models: Value must be from -2147483648 to 2147483647")
		}
		return nil
	}
	return errors.New("models: Value must be a string, a whole number of 32 bits or a bool")
}

// EncodeValues adds the filter as JSON text to a query, as the list of events takes it; the zero Filter adds nothing.
func (f Filter) EncodeValues(key string, v *url.Values) error {
	if f.IsZero() {
		return nil
	}
	text, err := f.MarshalJSON()
	if err != nil {
		return err
	}
	v.Add(key, string(text))
	return nil
}

// MarshalJSONTo writes the filter.
func (f Filter) MarshalJSONTo(e *jsontext.Encoder) error {
	type plain Filter
	if f.Conjunction == "" {
		f.Conjunction = FilterConjunctionAnd
	}
	if f.Clauses == nil {
		f.Clauses = []FilterNode{}
	}
	return json.MarshalEncode(e, (*plain)(&f))
}

// MarshalJSON returns the JSON text of the filter.
func (f Filter) MarshalJSON() ([]byte, error) { return jsonx.Marshal(f) }

// UnmarshalJSONFrom reads a filter; null is read as the zero Filter.
func (f *Filter) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	*f = Filter{}
	if raw.Kind() == 'n' {
		return nil
	}
	if err := f.read(raw, 0, d.Options()); err != nil {
		return jsonx.At(err, d.StackPointer())
	}
	return nil
}

// UnmarshalJSON reads a filter; null is read as the zero Filter.
func (f *Filter) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, f) }

func (f *Filter) read(raw []byte, depth int, options json.Options) error {
	var parts struct {
		Conjunction FilterConjunction `json:"conjunction"`
		Clauses     []jsontext.Value  `json:"clauses"`
	}
	if err := json.Unmarshal(raw, &parts, options); err != nil {
		return err
	}
	f.Conjunction = parts.Conjunction
	if parts.Clauses != nil {
		f.Clauses = make([]FilterNode, len(parts.Clauses))
	}
	for i, raw := range parts.Clauses {
		node, err := readFilterNode(raw, depth+1, options)
		if err != nil {
			return jsonx.At(err, jsontext.Pointer("/clauses/"+strconv.Itoa(i)))
		}
		f.Clauses[i] = node
	}
	return nil
}

// readFilterNode tells the alternatives apart by the member that only one of them has.
func readFilterNode(raw jsontext.Value, depth int, options json.Options) (FilterNode, error) {
	switch {
	case raw.Kind() == 'n':
		return nil, nil
	case depth >= maxFilterDepth:
	case jsonx.Has(raw, "clauses") != "":
		f := new(Filter)
		return f, f.read(raw, depth, options)
	case jsonx.Has(raw, "property") != "":
		c := new(FilterClause)
		return c, json.Unmarshal(raw, c, options)
	}
	return &UnknownFilterNode{Raw: stdjson.RawMessage(raw)}, nil
}

// MarshalJSONTo writes the clause.
func (c FilterClause) MarshalJSONTo(e *jsontext.Encoder) error {
	return json.MarshalEncode(e, &filterClause{c.Property, c.Operator, filterAny{c.Value}})
}

// MarshalJSON returns the JSON text of the clause.
func (c FilterClause) MarshalJSON() ([]byte, error) { return jsonx.Marshal(c) }

// UnmarshalJSONFrom reads a clause.
func (c *FilterClause) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var read filterClause
	if err := json.UnmarshalDecode(d, &read); err != nil {
		return err
	}
	*c = FilterClause{read.Property, read.Operator, read.Value.v}
	return nil
}

// UnmarshalJSON reads a clause.
func (c *FilterClause) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, c) }

type filterClause struct {
	Property string         `json:"property"`
	Operator FilterOperator `json:"operator"`
	Value    filterAny      `json:"value"`
}

// filterAny reads and writes numbers as metadata do.
type filterAny struct{ v any }

func (a filterAny) MarshalJSONTo(e *jsontext.Encoder) error { return writeValue(e, a.v) }

func (a *filterAny) UnmarshalJSONFrom(d *jsontext.Decoder) (err error) {
	a.v, err = readValue(d)
	return err
}

// MarshalJSONTo writes the text that was read.
func (u UnknownFilterNode) MarshalJSONTo(e *jsontext.Encoder) error { return jsonx.WriteRaw(e, u.Raw) }

// MarshalJSON returns the text that was read.
func (u UnknownFilterNode) MarshalJSON() ([]byte, error) { return jsonx.Marshal(u) }

// UnmarshalJSONFrom keeps the text.
func (u *UnknownFilterNode) UnmarshalJSONFrom(d *jsontext.Decoder) (err error) {
	u.Raw, err = jsonx.Raw(d)
	return err
}

// UnmarshalJSON keeps the text.
func (u *UnknownFilterNode) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, u) }
