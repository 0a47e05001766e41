package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
)

// schema is the part of a JSON schema that the facts need.
type schema struct {
	Ref         string                         `json:"$ref"`
	Type        string                         `json:"type"`
	Format      string                         `json:"format"`
	Enum        []any                          `json:"enum"`
	Const       json.RawMessage                `json:"const"`
	AnyOf       []*schema                      `json:"anyOf"`
	OneOf       []*schema                      `json:"oneOf"`
	Items       *schema                        `json:"items"`
	PrefixItems []*schema                      `json:"prefixItems"`
	Properties  ordered[*schema]               `json:"properties"`
	Required    []string                       `json:"required"`
	Additional  json.RawMessage                `json:"additionalProperties"`
	Disc        *struct{ PropertyName string } `json:"discriminator"`
	Default     json.RawMessage                `json:"default"`
	Minimum     *float64                       `json:"minimum"`
	Maximum     *float64                       `json:"maximum"`
	ExMinimum   *float64                       `json:"exclusiveMinimum"`
	ExMaximum   *float64                       `json:"exclusiveMaximum"`
	MinLength   *int                           `json:"minLength"`
	MaxLength   *int                           `json:"maxLength"`
	MinItems    *int                           `json:"minItems"`
	MaxItems    *int                           `json:"maxItems"`
	Pattern     string                         `json:"pattern"`
	Deprecated  bool                           `json:"deprecated"`
	ReadOnly    bool                           `json:"readOnly"`
}

// ordered is an object that remembers the order of its members.
type ordered[V any] struct {
	keys []string
	vals map[string]V
}

func (o *ordered[V]) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &o.vals); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		k, err := dec.Token()
		if err != nil {
			return err
		}
		o.keys = append(o.keys, k.(string))
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			return err
		}
	}
	return nil
}

type media struct {
	Schema *schema `json:"schema"`
}

type operation struct {
	ID          string                `json:"operationId"`
	Group       string                `json:"x-speakeasy-group"`
	Name        string                `json:"x-speakeasy-name-override"`
	Security    []map[string][]string `json:"security"`
	Subjects    []string              `json:"x-polar-allowed-subjects"`
	Pagination  json.RawMessage       `json:"x-polar-pagination"`
	Parameters  []parameter           `json:"parameters"`
	RequestBody *struct {
		Required bool             `json:"required"`
		Content  map[string]media `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]media `json:"content"`
	} `json:"responses"`
}

type parameter struct {
	Name       string  `json:"name"`
	In         string  `json:"in"`
	Required   bool    `json:"required"`
	Deprecated bool    `json:"deprecated"`
	Schema     *schema `json:"schema"`
}

type document struct {
	Info       struct{ Version string }       `json:"info"`
	Paths      ordered[ordered[*operation]]   `json:"paths"`
	Webhooks   ordered[map[string]*operation] `json:"webhooks"`
	Components struct {
		Schemas ordered[*schema] `json:"schemas"`
	} `json:"components"`
}

// importer turns an API description into facts.
type importer struct {
	doc   document
	facts *Facts
	lists map[string]string // long lists of countries and time zones, by their values
}

// importFile reads an OpenAPI document into facts.
func importFile(path string) (*Facts, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return importDoc(data)
}

func importDoc(data []byte) (*Facts, error) {
	im := &importer{facts: &Facts{}, lists: map[string]string{}}
	if err := json.Unmarshal(data, &im.doc); err != nil {
		return nil, fmt.Errorf("the description is not readable: %w", err)
	}
	im.facts.Version = im.doc.Info.Version
	errStatus := map[string][]string{}
	for _, name := range im.doc.Components.Schemas.keys {
		s := im.doc.Components.Schemas.vals[name]
		if isErrorSchema(s) {
			errStatus[name] = nil
			continue
		}
		if name == "HTTPValidationError" || name == "ValidationError" {
			continue
		}
		if err := im.addType(name, s); err != nil {
			return nil, err
		}
	}
	for _, path := range im.doc.Paths.keys {
		item := im.doc.Paths.vals[path]
		for _, method := range item.keys {
			if err := im.addOp(path, strings.ToUpper(method), item.vals[method], errStatus); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range im.doc.Webhooks.keys {
		for _, op := range im.doc.Webhooks.vals[name] {
			e, err := im.expr("webhook "+name, op.RequestBody.Content["application/json"].Schema)
			if err != nil {
				return nil, err
			}
			im.facts.Events = append(im.facts.Events, &Event{Name: name, Payload: e.String()})
		}
	}
	for _, name := range sortedKeys(errStatus) {
		st := errStatus[name]
		sort.Strings(st)
		im.facts.Errors = append(im.facts.Errors, &ErrorFact{Name: name, Status: st})
	}
	sort.Slice(im.facts.Types, func(i, j int) bool { return im.facts.Types[i].Name < im.facts.Types[j].Name })
	sort.SliceStable(im.facts.Ops, func(i, j int) bool { return im.facts.Ops[i].ID < im.facts.Ops[j].ID })
	return im.facts, im.facts.index()
}

func isErrorSchema(s *schema) bool {
	e, ok := s.Properties.vals["error"]
	_, detail := s.Properties.vals["detail"]
	return ok && detail && len(e.Const) > 0
}

func (im *importer) addType(name string, s *schema) error {
	t := &Type{Name: name}
	switch {
	case len(s.Enum) > 0:
		t.Kind = "enum"
		for _, v := range s.Enum {
			t.Values = append(t.Values, fmt.Sprint(v))
		}
	case len(s.OneOf) > 0 || len(s.AnyOf) > 0:
		alts := append(slices.Clone(s.OneOf), s.AnyOf...)
		onlyErrors, onlyRefs := true, true
		for _, a := range alts {
			r := im.doc.Components.Schemas.vals[refName(a.Ref)]
			onlyErrors = onlyErrors && r != nil && isErrorSchema(r)
			onlyRefs = onlyRefs && r != nil
		}
		if onlyErrors {
			return nil // a union of errors: the operations list them
		}
		if !onlyRefs {
			e, err := im.expr(name, s)
			if err != nil {
				return err
			}
			t.Kind, t.Is = "alias", e.String()
			break
		}
		t.Kind = "union"
		for _, a := range alts {
			t.Of = append(t.Of, refName(a.Ref))
		}
		if s.Disc != nil {
			t.By = s.Disc.PropertyName
		}
	case s.Ref != "" || s.Type != "object" || (s.Properties.vals == nil && len(s.Additional) > 0):
		e, err := im.expr(name, s)
		if err != nil {
			return err
		}
		t.Kind, t.Is = "alias", e.String()
	default:
		t.Kind = "object"
		switch a := strings.TrimSpace(string(s.Additional)); {
		case a == "false":
			t.Closed = true
		case a == "true" || a == "":
		default:
			var x schema
			if err := json.Unmarshal(s.Additional, &x); err != nil {
				return err
			}
			e, err := im.expr(name, &x)
			if err != nil {
				return err
			}
			t.Extra = e.String()
		}
		for _, k := range s.Properties.keys {
			p := s.Properties.vals[k]
			e, err := im.expr(name+"."+k, p)
			if err != nil {
				return err
			}
			t.Members = append(t.Members, &Member{Type: name, Name: k, Is: e.String(), Required: slices.Contains(s.Required, k),
				ReadOnly: p.ReadOnly, Limits: limits(p)})
		}
	}
	im.facts.Types = append(im.facts.Types, t)
	return nil
}

// limits gathers the bounds of a value, also from the one alternative beside null.
func limits(s *schema) Limits {
	l := Limits{Default: s.Default, Min: s.Minimum, Max: s.Maximum, Above: s.ExMinimum, Below: s.ExMaximum, MinLen: s.MinLength, MaxLen: s.MaxLength,
		MinItems: s.MinItems, MaxItems: s.MaxItems, Pattern: s.Pattern, Deprecated: s.Deprecated}
	if s.Type == "array" && len(s.PrefixItems) > 0 {
		l.MinItems, l.MaxItems = nil, nil
	}
	if string(l.Default) == "null" {
		l.Default = nil
	}
	var rest []*schema
	for _, a := range append(slices.Clone(s.AnyOf), s.OneOf...) {
		if a.Type != "null" {
			rest = append(rest, a)
		}
	}
	if len(rest) == 1 && rest[0].Ref == "" {
		in := limits(rest[0])
		in.Deprecated = in.Deprecated || l.Deprecated
		if l.Default != nil {
			in.Default = l.Default
		}
		return in
	}
	if len(rest) > 1 { // decimals: number or string with a pattern
		for _, a := range rest {
			if a.Type == "number" {
				l.Above, l.Min = a.ExMinimum, a.Minimum
			}
		}
	}
	return l
}

func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func (im *importer) expr(where string, s *schema) (*Expr, error) {
	prim := func(n string) (*Expr, error) { return &Expr{Kind: Prim, Name: n}, nil }
	switch {
	case s.Ref != "":
		return &Expr{Kind: Ref, Name: refName(s.Ref)}, nil
	case len(s.AnyOf) > 0 || len(s.OneOf) > 0:
		e := &Expr{Kind: Alt}
		for _, a := range append(slices.Clone(s.AnyOf), s.OneOf...) {
			if a.Type == "null" {
				e.Nullable = true
				continue
			}
			x, err := im.expr(where, a)
			if err != nil {
				return nil, err
			}
			if x.Kind == Alt { // alternatives of alternatives are one list
				e.Elems = append(e.Elems, x.Elems...)
				e.Nullable = e.Nullable || x.Nullable
				continue
			}
			if x.Nullable {
				x.Nullable, e.Nullable = false, true
			}
			e.Elems = append(e.Elems, x)
		}
		if isDecimal(s) {
			return &Expr{Kind: Prim, Name: "decimal", Nullable: e.Nullable}, nil
		}
		if len(e.Elems) == 1 {
			x := e.Elems[0]
			x.Nullable = x.Nullable || e.Nullable
			return x, nil
		}
		return e, nil
	case len(s.Const) > 0 && string(s.Const) != "null":
		return &Expr{Kind: Const, Name: string(s.Const)}, nil
	case len(s.Enum) > 0:
		return &Expr{Kind: Ref, Name: im.inlineEnum(where, s)}, nil
	}
	switch s.Type {
	case "string":
		switch s.Format {
		case "date-time":
			return prim("time")
		case "uuid", "uuid4", "date", "uri", "email":
			return prim(s.Format)
		case "ipvanyaddress":
			return prim("ip")
		case "":
			if isDecimal(s) {
				return prim("decimal")
			}
			return prim("string")
		}
		return nil, fmt.Errorf("%s: string format %q is new: teach the importer", where, s.Format)
	case "integer":
		return prim("int")
	case "number":
		return prim("number")
	case "boolean":
		return prim("bool")
	case "null":
		return prim("null")
	case "array":
		if len(s.PrefixItems) > 0 {
			e := &Expr{Kind: Tuple}
			for _, p := range s.PrefixItems {
				x, err := im.expr(where, p)
				if err != nil {
					return nil, err
				}
				e.Elems = append(e.Elems, x)
			}
			return e, nil
		}
		x, err := im.expr(where, s.Items)
		if err != nil {
			return nil, err
		}
		return &Expr{Kind: List, Elems: []*Expr{x}}, nil
	case "object":
		if len(s.Properties.keys) > 0 {
			return nil, fmt.Errorf("%s: an object without a name is new: teach the importer", where)
		}
		a := strings.TrimSpace(string(s.Additional))
		if a == "" || a == "true" {
			x, _ := prim("any")
			return &Expr{Kind: Map, Elems: []*Expr{x}}, nil
		}
		var v schema
		if err := json.Unmarshal(s.Additional, &v); err != nil {
			return nil, err
		}
		x, err := im.expr(where, &v)
		if err != nil {
			return nil, err
		}
		return &Expr{Kind: Map, Elems: []*Expr{x}}, nil
	case "":
		return prim("any")
	}
	return nil, fmt.Errorf("%s: type %q is new: teach the importer", where, s.Type)
}

// isDecimal knows the strings with a decimal pattern, alone or beside a number.
func isDecimal(s *schema) bool {
	if s.Type == "string" {
		return strings.Contains(s.Pattern, `\.?\d`) || strings.Contains(s.Pattern, `\.\d{0,12}`)
	}
	num, str := false, false
	for _, a := range append(slices.Clone(s.AnyOf), s.OneOf...) {
		num = num || a.Type == "number"
		str = str || a.Type == "string" && isDecimal(a)
	}
	return num && str
}

// inlineEnum gives an enum without a name the name of its place. Countries and
// time zones stay plain strings; their lists are kept once.
func (im *importer) inlineEnum(where string, s *schema) string {
	var vals []string
	for _, v := range s.Enum {
		vals = append(vals, fmt.Sprint(v))
	}
	key := strings.Join(vals, " ")
	if name := im.lists[key]; name != "" {
		return name
	}
	name := ""
	if len(vals) > 100 {
		switch {
		case slices.Contains(vals, "Europe/Berlin"):
			name = "TimeZone"
		case slices.Contains(vals, "DE") && slices.Contains(vals, "KP"):
			name = "Country"
		case slices.Contains(vals, "DE"):
			name = "CountryInput"
		}
	}
	if name != "" {
		im.lists[key] = name
		im.facts.Types = append(im.facts.Types, &Type{Name: name, Kind: "enum", Plain: vals})
		return name
	}
	for _, part := range strings.FieldsFunc(where, func(r rune) bool { return strings.ContainsRune(".:_ -", r) }) {
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	if !slices.ContainsFunc(im.facts.Types, func(t *Type) bool { return t.Name == name }) {
		im.facts.Types = append(im.facts.Types, &Type{Name: name, Kind: "enum", Values: vals})
	}
	return name
}

func (im *importer) addOp(path, method string, o *operation, errStatus map[string][]string) error {
	op := &Op{ID: o.ID, Method: method, Path: path, Group: o.Group, Name: o.Name, Paged: len(o.Pagination) > 0,
		Anyone: slices.Contains(o.Subjects, "Anonymous")}
	for _, sec := range o.Security {
		for _, k := range sortedKeys(sec) {
			op.Auth = append(op.Auth, k)
			for _, sc := range sec[k] {
				if !slices.Contains(op.Scopes, sc) {
					op.Scopes = append(op.Scopes, sc)
				}
			}
		}
	}
	sort.Strings(op.Scopes)
	for _, p := range o.Parameters {
		e, err := im.expr(o.ID+"."+p.Name, p.Schema)
		if err != nil {
			return err
		}
		l := limits(p.Schema)
		l.Deprecated = l.Deprecated || p.Deprecated
		op.Params = append(op.Params, &Param{Op: o.ID, Name: p.Name, In: p.In, Is: e.String(), Required: p.Required, Limits: l})
	}
	// path parameters in the order of the path
	sort.SliceStable(op.Params, func(i, j int) bool {
		a, b := op.Params[i], op.Params[j]
		if a.In == "path" && b.In == "path" {
			return strings.Index(path, "{"+a.Name+"}") < strings.Index(path, "{"+b.Name+"}")
		}
		return a.In == "path" && b.In != "path"
	})
	if b := o.RequestBody; b != nil {
		op.BodyOpt = !b.Required
		for ct, m := range b.Content {
			e, err := im.expr(o.ID+".body", m.Schema)
			if err != nil {
				return err
			}
			if e.Nullable {
				e.Nullable, op.BodyOpt = false, true
			}
			op.Body = e.String()
			if ct != "application/json" {
				op.BodyKind = ct
			}
		}
	}
	for _, status := range sortedKeys(o.Responses) {
		r := o.Responses[status]
		if status[0] == '2' {
			if op.Success != "" { // a second success is the one without a body
				op.Pending = true
				continue
			}
			op.Success = status
			for ct, m := range r.Content {
				e, err := im.expr(o.ID+".result", m.Schema)
				if err != nil {
					return err
				}
				if e.String() != "any" {
					op.Result = e.String()
				}
				if ct != "application/json" {
					op.Kind = ct
				}
			}
			continue
		}
		var names []string
		add := func(s *schema) {}
		add = func(s *schema) {
			name := refName(s.Ref)
			if r := im.doc.Components.Schemas.vals[name]; r != nil && isErrorSchema(r) {
				names = append(names, name)
				if !slices.Contains(errStatus[name], status) {
					errStatus[name] = append(errStatus[name], status)
				}
				return
			} else if r != nil {
				s = r
			}
			for _, a := range append(slices.Clone(s.AnyOf), s.OneOf...) {
				add(a)
			}
		}
		for _, m := range r.Content {
			if m.Schema != nil {
				add(m.Schema)
			}
		}
		if len(names) > 0 {
			if op.Errors == nil {
				op.Errors = map[string][]string{}
			}
			op.Errors[status] = names
		}
	}
	im.facts.Ops = append(im.facts.Ops, op)
	return nil
}
