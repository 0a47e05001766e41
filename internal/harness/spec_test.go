package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// specDir is the folder of descriptions, beside the root of the repository.
var specDir = filepath.Join("..", "..", "..", "shared", "openapi")

const specFile = "2026-10.openapi.json"

// A document is the part of an OpenAPI document that the checks need. It is read only after load, so tests may share it.
type document struct {
	data    []byte
	schemas map[string]*schema
	ops     []*operation
	byID    map[string]*operation
	hooks   map[string]*schema // payload schemas by event type
}

type operation struct {
	ID        string
	Method    string
	Path      string
	Group     string
	Name      string
	Secured   bool
	Schemes   []string
	Params    []*parameter
	Body      *bodySpec
	Responses map[int]*responseSpec
	Paginated bool
}

type parameter struct {
	Name     string
	In       string
	Required bool
	Style    string
	Schema   *schema
}

type bodySpec struct {
	Type     string
	Schema   *schema
	Required bool
}

type responseSpec struct {
	Type   string // empty when the response has no content
	Schema *schema
}

// A schema is a JSON schema as far as the document uses them. The reader refuses keywords that are not listed here, so that nothing that the
// document starts to say is silently ignored.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 string             `json:"type"`
	Format               string             `json:"format"`
	Pattern              string             `json:"pattern"`
	Const                any                `json:"const"`
	Enum                 []any              `json:"enum"`
	Properties           map[string]*schema `json:"properties"`
	Required             []string           `json:"required"`
	Items                *schema            `json:"items"`
	PrefixItems          []*schema          `json:"prefixItems"`
	AdditionalProperties *additional        `json:"additionalProperties"`
	PropertyNames        *schema            `json:"propertyNames"`
	AnyOf                []*schema          `json:"anyOf"`
	OneOf                []*schema          `json:"oneOf"`
	Discriminator        *discriminator     `json:"discriminator"`
	Minimum              *float64           `json:"minimum"`
	Maximum              *float64           `json:"maximum"`
	ExclusiveMinimum     *float64           `json:"exclusiveMinimum"`
	MinLength            *int               `json:"minLength"`
	MaxLength            *int               `json:"maxLength"`
	MinItems             *int               `json:"minItems"`
	MaxItems             *int               `json:"maxItems"`
	MinProperties        *int               `json:"minProperties"`
	MaxProperties        *int               `json:"maxProperties"`

	// Read and ignored: they say nothing about which values are valid.
	Title       any `json:"title"`
	Description any `json:"description"`
	Default     any `json:"default"`
	Examples    any `json:"examples"`
	Deprecated  any `json:"deprecated"`
	ReadOnly    any `json:"readOnly"`
	EnumNames   any `json:"enumNames"`
	XInferred   any `json:"x-inferred"`
	XFrom       any `json:"x-inferred-from"`
	XKeywords   any `json:"x-inferred-keywords"`
	XEnums      any `json:"x-speakeasy-enums"`

	id     string          // where the schema stands: the name of its component and the way down from there
	target *schema         // what Ref points to, followed to the end
	names  []string        // names of the properties, sorted
	tags   map[string]bool // members that a union above tells the schema by: required, whatever the schema says
}

type discriminator struct {
	PropertyName string            `json:"propertyName"`
	Mapping      map[string]string `json:"mapping"`
}

// additional is additionalProperties: a bool or a schema.
type additional struct {
	Allowed bool
	Schema  *schema
}

func (a *additional) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		*a = additional{Allowed: true}
		return nil
	case "false":
		*a = additional{}
		return nil
	}
	a.Allowed = true
	return strict(b, &a.Schema)
}

func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	d.UseNumber()
	return d.Decode(v)
}

// deref is the schema that s stands for: s itself, or the end of its chain of references.
func (s *schema) deref() *schema {
	if s != nil && s.target != nil {
		return s.target
	}
	return s
}

// component is the name of the component that s refers to, or the empty string.
func (s *schema) component() string {
	return strings.TrimPrefix(s.Ref, "#/components/schemas/")
}

// variants are the alternatives of a union, nil for other schemas.
func (s *schema) variants() []*schema {
	if len(s.OneOf) > 0 {
		return s.OneOf
	}
	return s.AnyOf
}

func (s *schema) isNull() bool { return s.deref().Type == "null" }

// nonNull is s without the alternative null: the single other alternative when there is just one, else s itself.
func (s *schema) nonNull() *schema {
	s = s.deref()
	var rest []*schema
	for _, v := range s.variants() {
		if !v.isNull() {
			rest = append(rest, v)
		}
	}
	if len(rest) == 1 {
		return rest[0].nonNull()
	}
	return s
}

// objects are the object schemas that a value of s can have, with nested unions flattened.
func (s *schema) objects() []*schema {
	s = s.deref()
	if vs := s.variants(); vs != nil {
		var out []*schema
		for _, v := range vs {
			for _, o := range v.objects() {
				if !slices.Contains(out, o) {
					out = append(out, o)
				}
			}
		}
		return out
	}
	if s.Type == "object" {
		return []*schema{s}
	}
	return nil
}

// isMap tells an object that is used as a map: no members of its own and values of one schema, or of any.
func (s *schema) isMap() bool {
	return s.Type == "object" && len(s.Properties) == 0 && s.AdditionalProperties != nil && s.AdditionalProperties.Allowed
}

// children calls yield for every schema that stands directly below s.
func (s *schema) children(yield func(step string, c *schema)) {
	for _, k := range s.names {
		yield("."+k, s.Properties[k])
	}
	if s.Items != nil {
		yield("[]", s.Items)
	}
	for i, c := range s.PrefixItems {
		yield("["+strconv.Itoa(i)+"]", c)
	}
	if a := s.AdditionalProperties; a != nil && a.Schema != nil {
		yield(".*", a.Schema)
	}
	if s.PropertyNames != nil {
		yield(".key", s.PropertyNames)
	}
	for i, c := range s.variants() {
		yield("|"+strconv.Itoa(i), c)
	}
}

// success is the lowest 2xx status of the operation and its response; accepted tells that 202 is described besides another status.
func (o *operation) success() (status int, r *responseSpec) {
	for s, rs := range o.Responses {
		if s < 300 && (status == 0 || s < status) {
			status, r = s, rs
		}
	}
	return status, r
}

func (o *operation) String() string { return o.ID + " (" + o.Method + " " + o.Path + ")" }

func (o *operation) portal() bool { return strings.HasPrefix(o.Path, "/v1/customer-portal/") }

func (o *operation) params(in string) []*parameter {
	var out []*parameter
	for _, p := range o.Params {
		if p.In == in {
			out = append(out, p)
		}
	}
	return out
}

// parse reads a document from its JSON form.
func parse(data []byte) (*document, error) {
	var top struct {
		Paths      map[string]map[string]json.RawMessage `json:"paths"`
		Webhooks   map[string]map[string]json.RawMessage `json:"webhooks"`
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("harness: description: %w", err)
	}
	doc := &document{data: data, schemas: map[string]*schema{}, byID: map[string]*operation{}, hooks: map[string]*schema{}}
	for name, b := range top.Components.Schemas {
		s := &schema{}
		if err := strict(b, s); err != nil {
			return nil, fmt.Errorf("harness: schema %s: %w", name, err)
		}
		doc.schemas[name] = s
	}
	for _, name := range slices.Sorted(maps.Keys(doc.schemas)) {
		if err := doc.link(doc.schemas[name], name); err != nil {
			return nil, err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(top.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(top.Paths[path])) {
			op, err := doc.operation(method, path, top.Paths[path][method])
			if err != nil {
				return nil, fmt.Errorf("harness: %s %s: %w", method, path, err)
			}
			if doc.byID[op.ID] != nil {
				return nil, fmt.Errorf("harness: operation %s is described twice", op.ID)
			}
			doc.ops = append(doc.ops, op)
			doc.byID[op.ID] = op
		}
	}
	for name, methods := range top.Webhooks {
		for method, b := range methods {
			op, err := doc.operation(method, name, b)
			if err != nil {
				return nil, fmt.Errorf("harness: webhook %s: %w", name, err)
			}
			if op.Body == nil {
				return nil, fmt.Errorf("harness: webhook %s has no payload", name)
			}
			doc.hooks[name] = op.Body.Schema
		}
	}
	for _, s := range doc.schemas {
		tag(s)
	}
	return doc, nil
}

// tag marks the discriminators in the alternatives of the unions in s.
func tag(s *schema) {
	if d := s.Discriminator; d != nil {
		for _, o := range s.objects() {
			if o.tags == nil {
				o.tags = map[string]bool{}
			}
			o.tags[d.PropertyName] = true
		}
	}
	s.children(func(_ string, c *schema) { tag(c) })
}

// required are the names of the members that every value of s has.
func (s *schema) required() map[string]bool {
	out := maps.Clone(s.tags)
	if out == nil {
		out = map[string]bool{}
	}
	for _, k := range s.Required {
		out[k] = true
	}
	return out
}

// link gives s and everything below it their ids and follows the references.
func (d *document) link(s *schema, id string) error {
	s.id = id
	s.names = slices.Sorted(maps.Keys(s.Properties))
	if s.Ref != "" {
		seen := map[string]bool{}
		t := s
		for t.Ref != "" {
			name := t.component()
			if seen[name] || d.schemas[name] == nil {
				return fmt.Errorf("harness: %s: reference %s leads nowhere", id, t.Ref)
			}
			seen[name] = true
			t = d.schemas[name]
		}
		s.target = t
	}
	var err error
	s.children(func(step string, c *schema) {
		if err == nil {
			err = d.link(c, id+step)
		}
	})
	return err
}

func (d *document) operation(method, path string, b []byte) (*operation, error) {
	type media map[string]struct {
		Schema json.RawMessage `json:"schema"`
	}
	var o struct {
		ID         string                `json:"operationId"`
		Group      string                `json:"x-speakeasy-group"`
		Name       string                `json:"x-speakeasy-name-override"`
		Security   []map[string][]string `json:"security"`
		Pagination any                   `json:"x-polar-pagination"`
		Parameters []struct {
			Name     string          `json:"name"`
			In       string          `json:"in"`
			Required bool            `json:"required"`
			Style    string          `json:"style"`
			Schema   json.RawMessage `json:"schema"`
		} `json:"parameters"`
		RequestBody *struct {
			Required bool  `json:"required"`
			Content  media `json:"content"`
		} `json:"requestBody"`
		Responses map[string]struct {
			Content media `json:"content"`
		} `json:"responses"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	one := func(b []byte, id string) (*schema, error) {
		s := &schema{}
		if err := strict(b, s); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		if err := d.link(s, o.ID+" "+id); err != nil {
			return nil, err
		}
		tag(s)
		return s, nil
	}
	content := func(m media, id string) (typ string, s *schema, err error) {
		if len(m) > 1 {
			return "", nil, fmt.Errorf("%s: more than one content type", id)
		}
		for t, c := range m {
			s, err := one(c.Schema, id)
			return t, s, err
		}
		return "", nil, nil
	}
	op := &operation{ID: o.ID, Method: strings.ToUpper(method), Path: path, Group: o.Group, Name: o.Name, Paginated: o.Pagination != nil, Responses: map[int]*responseSpec{}}
	for _, s := range o.Security {
		for scheme := range s {
			op.Schemes = append(op.Schemes, scheme)
		}
	}
	slices.Sort(op.Schemes)
	op.Secured = len(op.Schemes) > 0
	for _, p := range o.Parameters {
		s, err := one(p.Schema, p.In+" "+p.Name)
		if err != nil {
			return nil, err
		}
		op.Params = append(op.Params, &parameter{Name: p.Name, In: p.In, Required: p.Required, Style: p.Style, Schema: s})
	}
	if o.RequestBody != nil {
		t, s, err := content(o.RequestBody.Content, "body")
		if err != nil {
			return nil, err
		}
		op.Body = &bodySpec{Type: t, Schema: s, Required: o.RequestBody.Required}
	}
	for code, r := range o.Responses {
		n, err := strconv.Atoi(code)
		if err != nil {
			return nil, fmt.Errorf("status %q: %w", code, err)
		}
		t, s, err := content(r.Content, code)
		if err != nil {
			return nil, err
		}
		op.Responses[n] = &responseSpec{Type: t, Schema: s}
	}
	return op, nil
}

// mutate returns a document that differs from d by what change does to its JSON form.
func (d *document) mutate(change func(raw map[string]any)) (*document, error) {
	v, err := decodeJSON(d.data)
	if err != nil {
		return nil, err
	}
	change(v.(map[string]any))
	return parse(encodeOrdered(v, false))
}

// at follows keys (strings) and indexes (ints) into a JSON value; it panics when there is nothing, which a test of ours would deserve.
func at(v any, steps ...any) any {
	for _, s := range steps {
		switch s := s.(type) {
		case string:
			next, ok := v.(map[string]any)[s]
			if !ok {
				panic("harness: no member " + s)
			}
			v = next
		case int:
			v = v.([]any)[s]
		}
	}
	return v
}

var loadOnce = sync.OnceValues(func() (*document, error) {
	b, err := os.ReadFile(filepath.Join(specDir, specFile))
	if err != nil {
		return nil, err
	}
	v, err := decodeJSON(b)
	if err != nil {
		return nil, err
	}
	strip(v)
	return parse(encodeOrdered(v, false))
})

// strip takes the prose out of a JSON value, which makes changed copies of the document cheaper.
func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if _, text := e.(string); text && (k == "description" || k == "summary") {
				delete(v, k)
			} else {
				strip(e)
			}
		}
	case []any:
		for _, e := range v {
			strip(e)
		}
	}
}

// load reads the description, or skips the test where it is missing.
func load(t testing.TB) *document {
	t.Helper()
	if _, err := os.Stat(specDir); err != nil {
		t.Skip("the description of the API is not here")
	}
	doc, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// A finding is one disagreement between the description and the client.
type finding struct {
	op   string // operation or type
	path string // where: a JSON path, a query name, a header
	what string
}

func (f finding) String() string { return f.op + ": " + f.path + ": " + f.what }

// report fails the test with the findings, each once, in order.
func report(t testing.TB, fs []finding) {
	t.Helper()
	for _, f := range unique(fs) {
		t.Error(f)
	}
}

func unique(fs []finding) []finding {
	seen := map[finding]bool{}
	var out []finding
	for _, f := range fs {
		if !seen[f] {
			seen[f] = true
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b finding) int { return strings.Compare(a.String(), b.String()) })
	return out
}
