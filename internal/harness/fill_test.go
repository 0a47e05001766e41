package harness

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/polar-go/polar/models"
)

// A registry knows what reflection cannot find out: which types implement an interface, and which values an enum type has.
type registry struct {
	types  []reflect.Type
	values map[reflect.Type][]string
	errors []string // names of errors that have a constant
}

// implementers lists the types that implement the interface, as values where they do and else as pointers. Types for what the client does not
// know, which hold raw bytes, are left out.
func (r *registry) implementers(iface reflect.Type) []reflect.Type {
	var out []reflect.Type
	for _, t := range r.types {
		if strings.HasPrefix(t.Name(), "Unknown") {
			continue
		}
		if t.Implements(iface) || reflect.PointerTo(t).Implements(iface) {
			out = append(out, t)
		}
	}
	return out
}

// A filler makes Go values of request types with every member set, by walking the type and the schema side by side. It returns several values
// where the schema has alternatives: together they use every alternative, every enum value and every member.
type filler struct {
	doc      *document
	reg      *registry
	op       string
	minimal  bool // only what is required
	depth    map[reflect.Type]int
	findings []finding
	enums    map[reflect.Type]map[string]bool // enum values of the client that the description allows
}

func newFiller(doc *document, reg *registry, op string) *filler {
	return &filler{doc: doc, reg: reg, op: op, depth: map[reflect.Type]int{}, enums: map[reflect.Type]map[string]bool{}}
}

func (f *filler) fail(path, format string, args ...any) {
	f.findings = append(f.findings, finding{f.op, plain(path), fmt.Sprintf(format, args...)})
}

// A member is a field of a struct by its name in JSON or in a query.
type member struct {
	name string
	typ  reflect.Type
	path []int
}

// members lists the fields of a struct that a tag names, with those of embedded structs.
func members(t reflect.Type, tag string) []member {
	var out []member
	for i := range t.NumField() {
		fd := t.Field(i)
		name, _, _ := strings.Cut(fd.Tag.Get(tag), ",")
		if name == "-" {
			continue
		}
		if fd.Anonymous && name == "" {
			inner := fd.Type
			if inner.Kind() == reflect.Struct {
				for _, m := range members(inner, tag) {
					out = append(out, member{m.name, m.typ, append([]int{i}, m.path...)})
				}
			}
			continue
		}
		if name != "" && fd.IsExported() {
			out = append(out, member{name, fd.Type, []int{i}})
		}
	}
	return out
}

// isNullable tells a type with three states: leave, null and a value.
func isNullable(t reflect.Type) (value reflect.Type, ok bool) {
	if !strings.HasPrefix(t.Name(), "Nullable[") {
		return nil, false
	}
	m, ok := t.MethodByName("Get")
	if !ok {
		return nil, false
	}
	return m.Type.Out(0), true
}

// narrow is the part of a union that a Go type of this kind is for.
func narrow(s *schema, t reflect.Type) *schema {
	s = s.nonNull()
	vs := s.variants()
	if vs == nil {
		return s
	}
	var out []*schema
	for _, v := range vs {
		isArray := v.nonNull().Type == "array"
		if !v.isNull() && isArray == (t.Kind() == reflect.Slice) {
			out = append(out, v)
		}
	}
	if len(out) == 1 {
		return out[0].nonNull()
	}
	return s
}

// fill makes the values of type t for the schema s.
func (f *filler) fill(t reflect.Type, s *schema, path string) []reflect.Value {
	if v, ok := isNullable(t); ok {
		return f.nullable(t, v, s, path)
	}
	switch t.Kind() {
	case reflect.Pointer:
		var out []reflect.Value
		for _, v := range f.fill(t.Elem(), s, path) {
			p := reflect.New(t.Elem())
			p.Elem().Set(v)
			out = append(out, p)
		}
		return out
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return f.union(t, s, path)
		}
		return f.leaf(t, s, path)
	case reflect.Struct:
		if len(members(t, "json")) == 0 {
			return f.leaf(t, s, path)
		}
		return f.structure(t, s, path)
	case reflect.Slice:
		s = narrow(s, t)
		if t.Elem().Kind() == reflect.Uint8 || s.Items == nil {
			return f.leaf(t, s, path)
		}
		elems := f.fill(t.Elem(), s.Items, path+"[]")
		most := 24
		if s.MaxItems != nil {
			most = min(most, *s.MaxItems)
		}
		if f.minimal {
			elems = elems[:min(1, len(elems))]
		}
		var out []reflect.Value
		for part := range slices.Chunk(elems, most) {
			out = append(out, reflect.Append(reflect.MakeSlice(t, 0, len(part)), part...))
		}
		return out
	case reflect.Map:
		s = s.nonNull()
		if t.Elem().Kind() == reflect.Interface || !s.isMap() || s.AdditionalProperties.Schema == nil {
			return f.leaf(t, s, path)
		}
		keys := []any{"key_1"}
		if s.PropertyNames != nil {
			if e := s.PropertyNames.deref().Enum; len(e) > 0 {
				keys = e
			} else if len(check(s.PropertyNames, keys[0], "")) > 0 {
				keys = []any{"en"}
			}
		}
		var out []reflect.Value
		for i, e := range f.fill(t.Elem(), s.AdditionalProperties.Schema, path+".*") {
			m := reflect.MakeMap(t)
			m.SetMapIndex(reflect.ValueOf(keys[i%len(keys)]).Convert(t.Key()), e)
			out = append(out, m)
		}
		return out
	case reflect.String:
		if values, ok := f.reg.values[t]; ok {
			return f.enum(t, values, s, path)
		}
	}
	return f.leaf(t, s, path)
}

// enum makes every value of an enum type that the schema allows, and complains about values of the schema that the type does not have.
func (f *filler) enum(t reflect.Type, values []string, s *schema, path string) []reflect.Value {
	s = narrow(s, t)
	var out []reflect.Value
	if f.enums[t] == nil {
		f.enums[t] = map[string]bool{}
	}
	for _, v := range values {
		if len(check(s, v, path)) == 0 {
			f.enums[t][v] = true
			out = append(out, reflect.ValueOf(v).Convert(t))
		}
	}
	for _, e := range s.Enum {
		if w, ok := e.(string); ok && !slices.Contains(values, w) {
			f.fail(path, "%s has no constant for %q", t, w)
		}
	}
	if len(out) == 0 {
		f.fail(path, "no value of %s is allowed here", t)
	}
	if f.minimal && len(out) > 1 {
		out = out[:1]
	}
	return out
}

// leaf makes values of a type without visible structure from samples of the schema.
func (f *filler) leaf(t reflect.Type, s *schema, path string) []reflect.Value {
	s = narrow(s, t)
	var values []any
	if f.minimal {
		values = []any{least(f.doc, s)}
	} else {
		samples, _ := newSampler(f.doc, described, true).all(s)
		for _, sm := range samples {
			values = append(values, sm.value)
		}
	}
	most := 6
	if len(s.objects()) > 0 || s.variants() != nil {
		most = 60
	}
	var out []reflect.Value
	for _, v := range values {
		p := reflect.New(t)
		if v == nil || json.Unmarshal(encodeJSON(v), p.Interface()) != nil {
			continue
		}
		if out = append(out, p.Elem()); len(out) == most {
			break
		}
	}
	if len(out) == 0 {
		f.fail(path, "%s holds no value of %s", t, s.id)
	}
	return out
}

// nullable makes the values of a type with three states: every value, and null.
func (f *filler) nullable(t, value reflect.Type, s *schema, path string) []reflect.Value {
	s = s.deref()
	null := reflect.New(t)
	if err := json.Unmarshal([]byte("null"), null.Interface()); err != nil {
		f.fail(path, "%s does not take null: %v", t, err)
		return nil
	}
	set, err := stateOfSet(t)
	if err != nil {
		f.fail(path, "%v", err)
		return nil
	}
	var out []reflect.Value
	for _, v := range f.fill(value, s, path) {
		n := reflect.New(t)
		n.Elem().Set(set)
		for i := range t.NumField() {
			if t.Field(i).Type == value {
				fd := n.Elem().Field(i)
				reflect.NewAt(value, unsafe.Pointer(fd.UnsafeAddr())).Elem().Set(v)
				break
			}
		}
		out = append(out, n.Elem())
	}
	if !nullable(s) {
		f.fail(path, "%s can be null, the description does not allow null", t)
		return out
	}
	return append(out, null.Elem())
}

// structure makes structs. A schema with several object alternatives is filled once for each: only the members that the alternative has.
func (f *filler) structure(t reflect.Type, s *schema, path string) []reflect.Value {
	if f.depth[t] >= 2 {
		return nil
	}
	f.depth[t]++
	defer func() { f.depth[t]-- }()
	objs := s.objects()
	switch len(objs) {
	case 0:
		f.fail(path, "%s is a struct, the description has no object here", t)
		return nil
	case 1:
		return f.object(t, objs[0], path, true)
	}
	used := map[string]bool{}
	var out []reflect.Value
	for _, o := range objs {
		for name := range o.Properties {
			used[name] = true
		}
		out = append(out, f.object(t, o, path, false)...)
	}
	for _, m := range members(t, "json") {
		if !used[m.name] {
			f.fail(path+"."+m.name, "member of %s is in no alternative of the description", t)
		}
	}
	return out
}

func (f *filler) object(t reflect.Type, o *schema, path string, strict bool) []reflect.Value {
	type column struct {
		m      member
		values []reflect.Value
	}
	var cols []column
	n := 1
	required := o.required()
	for _, m := range members(t, "json") {
		p := o.Properties[m.name]
		if p == nil {
			if strict && extraMember[o.id+"."+m.name] == "" {
				f.fail(path+"."+m.name, "member of %s is not in the description", t)
			}
			continue
		}
		if f.minimal && !required[m.name] {
			continue
		}
		c := column{m, f.fill(m.typ, p, path+"."+m.name)}
		if !f.minimal && required[m.name] && nullable(p) && m.typ.Kind() == reflect.Pointer {
			c.values = append(c.values, reflect.Zero(m.typ)) // sent as null
		}
		if len(c.values) > 0 {
			cols = append(cols, c)
			n = max(n, len(c.values))
		}
	}
	var out []reflect.Value
	for i := range n {
		v := reflect.New(t).Elem()
		for _, c := range cols {
			v.FieldByIndex(c.m.path).Set(c.values[i%len(c.values)])
		}
		out = append(out, v)
	}
	return out
}

// union makes the values of a sealed interface: those of every type that implements it, each filled by the alternative of the description that
// it is for.
func (f *filler) union(t reflect.Type, s *schema, path string) []reflect.Value {
	if f.depth[t] >= 2 {
		return nil
	}
	f.depth[t]++
	defer func() { f.depth[t]-- }()
	open := map[*schema]bool{}
	objs := s.objects()
	for _, o := range objs {
		open[o] = true
	}
	var out []reflect.Value
	impl := f.reg.implementers(t)
	if len(impl) == 0 {
		f.fail(path, "nothing implements %s", t)
	}
	for i, g := range impl {
		var vs []reflect.Value
		if len(members(g, "json")) == 0 && g.Kind() != reflect.Struct {
			vs = f.leaf(g, s, path)
		} else {
			o, why := match(g, objs)
			if o == nil {
				f.fail(path, "%s fits no alternative of the description: %s", g, why)
				continue
			}
			delete(open, o)
			if f.depth[g] >= 2 {
				continue
			}
			f.depth[g]++
			vs = f.object(g, o, path+"("+g.Name()+")", true)
			f.depth[g]--
		}
		for j, v := range vs {
			// Both forms of a variant have to work where both compile.
			if (i+j)%2 == 1 || !g.Implements(t) {
				p := reflect.New(g)
				p.Elem().Set(v)
				v = p
			}
			w := reflect.New(t).Elem()
			w.Set(v)
			out = append(out, w)
		}
	}
	for o := range open {
		f.fail(path, "%s cannot be sent: no type implements it", o.id)
	}
	if f.minimal && len(out) > len(impl) {
		out = out[:len(impl)]
	}
	return out
}

// match finds the alternative that a type is for: it has all the type's members, the constants that the type writes on its own, and the type
// has all that it requires. Among several it is the one with the fewest other members.
func match(g reflect.Type, objs []*schema) (best *schema, why string) {
	names := map[string]bool{}
	for _, m := range members(g, "json") {
		names[m.name] = true
	}
	consts := map[string]any{}
	if b, err := json.Marshal(reflect.New(g).Interface()); err == nil {
		if v, err := decodeJSON(b); err == nil {
			consts, _ = v.(map[string]any)
		}
	}
	var whys []string
	for _, o := range objs {
		var bad string
		for n := range names {
			if o.Properties[n] == nil && extraMember[o.id+"."+n] == "" {
				bad = "it has no member " + n
			}
		}
		for n := range o.required() {
			if _, written := consts[n]; !names[n] && !written {
				bad = "nothing writes its member " + n
			}
		}
		for n, v := range consts {
			if p := o.Properties[n]; p == nil {
				bad = "it has no member " + n
			} else if !names[n] && len(check(p, v, "")) > 0 {
				bad = fmt.Sprintf("its %s is not %s", n, show(v))
			}
		}
		if bad != "" {
			whys = append(whys, o.id+": "+bad)
			continue
		}
		if best == nil || len(o.Properties) < len(best.Properties) {
			best = o
		}
	}
	slices.Sort(whys)
	return best, strings.Join(whys, "; ")
}

// params makes the values of a struct of query parameters.
func (f *filler) params(t reflect.Type, op *operation) []reflect.Value {
	byName := map[string]*parameter{}
	for _, p := range op.params("query") {
		byName[p.Name] = p
	}
	have := map[string]bool{}
	n := 1
	type column struct {
		m      member
		values []reflect.Value
	}
	var cols []column
	for _, m := range members(t, "url") {
		have[m.name] = true
		p := byName[m.name]
		if p == nil {
			if why := extraQuery[op.ID+" "+m.name]; why == "" {
				f.fail("query "+m.name, "%s has it, the description does not", t)
			}
			if f.minimal {
				continue
			}
			cols = append(cols, column{m, extraValues(m.typ)})
			continue
		}
		if f.minimal && !p.Required {
			continue
		}
		if name := jsonQuery[op.ID+" "+m.name]; name != "" {
			cols = append(cols, column{m, f.fill(m.typ, f.doc.schemas[name], "query "+m.name)})
			continue
		}
		var vs []reflect.Value
		switch {
		case p.Style == "deepObject":
			v := reflect.MakeMap(m.typ)
			v.SetMapIndex(reflect.ValueOf("plan [x]").Convert(m.typ.Key()), reflect.ValueOf([]string{"pro & co", "team"}))
			vs = []reflect.Value{v}
		case m.name == "limit":
			// The client refuses what the server would silently lower.
			for _, l := range []int{7, 100, 1} {
				vs = append(vs, reflect.ValueOf(l).Convert(m.typ))
			}
		default:
			vs = f.fill(m.typ, p.Schema, "query "+m.name)
		}
		// The zero value of a plain field means that the parameter is left out.
		vs = slices.DeleteFunc(vs, func(v reflect.Value) bool {
			return v.IsZero()
		})
		if len(vs) == 0 {
			f.fail("query "+m.name, "no value can be sent")
			continue
		}
		cols = append(cols, column{m, vs})
		n = max(n, len(vs))
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if !have[name] {
			f.fail("query "+name, "%s does not have it", t)
		}
	}
	var out []reflect.Value
	for i := range n {
		v := reflect.New(t).Elem()
		for _, c := range cols {
			v.FieldByIndex(c.m.path).Set(c.values[i%len(c.values)])
		}
		out = append(out, v)
	}
	return out
}

func extraValues(t reflect.Type) []reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.String:
		v.SetString("extra")
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(extraValues(t.Elem())[0])
	}
	return []reflect.Value{v}
}

// stateOfSet returns a value of a type with three states whose state is that of a value, for the value itself to be filled in.
func stateOfSet(t reflect.Type) (reflect.Value, error) {
	from := reflect.New(reflect.TypeFor[models.Nullable[int]]()).Elem()
	from.Set(reflect.ValueOf(models.Set(0)))
	to := reflect.New(t).Elem()
	if from.NumField() != to.NumField() {
		return to, fmt.Errorf("harness: %s is not a Nullable", t)
	}
	for i := range from.NumField() {
		src, dst := from.Field(i), to.Field(i)
		if src.Type() == dst.Type() {
			reflect.NewAt(dst.Type(), unsafe.Pointer(dst.UnsafeAddr())).Elem().Set(reflect.NewAt(src.Type(), unsafe.Pointer(src.UnsafeAddr())).Elem())
		}
	}
	return to, nil
}
