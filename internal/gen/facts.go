package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// Facts are what the generator knows of the API: no prose, only names, types
// and numbers. They are pinned as JSON Lines, one line a member, so that a
// change of the API shows as a small diff.
type Facts struct {
	Version string
	Ops     []*Op
	Types   []*Type
	Events  []*Event
	Errors  []*ErrorFact

	op     map[string]*Op
	types  map[string]*Type
	errors map[string]*ErrorFact
}

// Op is an operation of the API.
type Op struct {
	ID       string              `json:"op"`
	Method   string              `json:"method"`
	Path     string              `json:"path"`
	Group    string              `json:"group"`
	Name     string              `json:"name"`
	Auth     []string            `json:"auth,omitempty"`     // security schemes; none: the call carries no token
	Scopes   []string            `json:"scopes,omitempty"`   // any one of them is enough
	Anyone   bool                `json:"anyone,omitempty"`   // a token is accepted, not needed
	Paged    bool                `json:"paged,omitempty"`    // page and limit
	Body     string              `json:"body,omitempty"`     // its type
	BodyOpt  bool                `json:"bodyOpt,omitempty"`  // it may be left out
	BodyKind string              `json:"bodyKind,omitempty"` // a content type other than JSON
	Success  string              `json:"success"`            // status of success
	Result   string              `json:"result,omitempty"`   // its type
	Kind     string              `json:"resultKind,omitempty"`
	Pending  bool                `json:"pending,omitempty"` // 202 with an empty body: not ready
	Errors   map[string][]string `json:"errors,omitempty"`  // by status
	Params   []*Param            `json:"-"`
	body     *Expr
	result   *Expr
}

// Param is a path or query parameter.
type Param struct {
	Op       string `json:"op"`
	Name     string `json:"param"`
	In       string `json:"in"`
	Is       string `json:"is"`
	Required bool   `json:"required,omitempty"`
	Limits
	expr *Expr
}

// Limits are the bounds of a value.
type Limits struct {
	Default    json.RawMessage `json:"default,omitempty"`
	Min        *float64        `json:"min,omitempty"`
	Max        *float64        `json:"max,omitempty"`
	Above      *float64        `json:"above,omitempty"`
	Below      *float64        `json:"below,omitempty"`
	MinLen     *int            `json:"minLen,omitempty"`
	MaxLen     *int            `json:"maxLen,omitempty"`
	MinItems   *int            `json:"minItems,omitempty"`
	MaxItems   *int            `json:"maxItems,omitempty"`
	Pattern    string          `json:"pattern,omitempty"`
	Deprecated bool            `json:"deprecated,omitempty"`
}

// Type is an object, an enum, a union or an alias.
type Type struct {
	Name    string   `json:"type"`
	Kind    string   `json:"kind"`
	Closed  bool     `json:"closed,omitempty"` // refuses members that are not listed
	Extra   string   `json:"extra,omitempty"`  // type of the members that are not listed
	Of      []string `json:"of,omitempty"`     // union: the alternatives
	By      string   `json:"by,omitempty"`     // union: the discriminator
	Is      string   `json:"is,omitempty"`     // alias: what for
	Plain   []string `json:"plain,omitempty"`  // enum that stays a plain string: its values
	Members []*Member
	Values  []string
}

// Member is a property of an object.
type Member struct {
	Type     string `json:"of"`
	Name     string `json:"member"`
	Is       string `json:"is"`
	Required bool   `json:"required,omitempty"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	Limits
	expr *Expr
}

// Event is a webhook event.
type Event struct {
	Name    string `json:"event"`
	Payload string `json:"payload"`
}

// ErrorFact is a named error.
type ErrorFact struct {
	Name   string   `json:"error"`
	Status []string `json:"status"`
}

type valueLine struct {
	Type  string `json:"of"`
	Value string `json:"value"`
}

type typeLine struct {
	Name   string   `json:"type"`
	Kind   string   `json:"kind"`
	Closed bool     `json:"closed,omitempty"`
	Extra  string   `json:"extra,omitempty"`
	Of     []string `json:"of,omitempty"`
	By     string   `json:"by,omitempty"`
	Is     string   `json:"is,omitempty"`
	Plain  []string `json:"plain,omitempty"`
}

// write pins the facts in dir.
func (f *Facts) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var ops, types, rest []any
	rest = append(rest, struct {
		Version string `json:"version"`
	}{f.Version})
	for _, o := range f.Ops {
		ops = append(ops, o)
		for _, p := range o.Params {
			ops = append(ops, p)
		}
	}
	for _, t := range f.Types {
		types = append(types, typeLine{t.Name, t.Kind, t.Closed, t.Extra, t.Of, t.By, t.Is, t.Plain})
		for _, m := range t.Members {
			types = append(types, m)
		}
		for _, v := range t.Values {
			types = append(types, valueLine{t.Name, v})
		}
	}
	for _, e := range f.Events {
		rest = append(rest, e)
	}
	for _, e := range f.Errors {
		rest = append(rest, e)
	}
	for name, lines := range map[string][]any{"operations.jsonl": ops, "types.jsonl": types, "api.jsonl": rest} {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		for _, l := range lines {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readFacts reads the facts of dir and the additions beside them.
func readFacts(dir string) (*Facts, error) {
	f := &Facts{}
	for _, name := range []string{"api.jsonl", "operations.jsonl", "types.jsonl"} {
		if err := f.readFile(filepath.Join(dir, name), false); err != nil {
			return nil, err
		}
	}
	if err := f.readFile(filepath.Join(dir, "additions.jsonl"), true); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return f, f.index()
}

// factLine is any line of a facts file.
type factLine struct {
	Why     string   `json:"why"` // additions only
	Drop    bool     `json:"drop"`
	Version string   `json:"version"`
	Op      string   `json:"op"`
	Param   string   `json:"param"`
	Of      any      `json:"of"`
	Member  string   `json:"member"`
	Value   *string  `json:"value"`
	Type    string   `json:"type"`
	Event   string   `json:"event"`
	Error   string   `json:"error"`
	Status  []string `json:"status"`
}

func (f *Facts) readFile(path string, additions bool) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := bytes.TrimSpace(sc.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := f.readLine(line, additions); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	return sc.Err()
}

func (f *Facts) readLine(line []byte, additions bool) error {
	var l factLine
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	if additions && l.Why == "" {
		return fmt.Errorf("an addition needs its reason (why)")
	}
	owner, _ := l.Of.(string)
	switch {
	case l.Version != "":
		f.Version = l.Version
	case l.Op != "" && l.Param != "":
		p := new(Param)
		if err := json.Unmarshal(line, p); err != nil {
			return err
		}
		o := f.findOp(l.Op)
		if o == nil {
			return fmt.Errorf("parameter of unknown operation %s", l.Op)
		}
		o.Params = upsert(o.Params, p, l.Drop, func(x *Param) bool { return x.Name == p.Name && x.In == p.In })
	case l.Op != "":
		o := new(Op)
		if err := json.Unmarshal(line, o); err != nil {
			return err
		}
		if old := f.findOp(l.Op); old != nil {
			o.Params = old.Params
		}
		f.Ops = upsert(f.Ops, o, l.Drop, func(x *Op) bool { return x.ID == o.ID })
	case l.Member != "":
		m := new(Member)
		if err := json.Unmarshal(line, m); err != nil {
			return err
		}
		t := f.findType(owner)
		if t == nil {
			return fmt.Errorf("member of unknown type %s", owner)
		}
		t.Members = upsert(t.Members, m, l.Drop, func(x *Member) bool { return x.Name == m.Name })
	case l.Value != nil:
		t := f.findType(owner)
		if t == nil {
			return fmt.Errorf("value of unknown type %s", owner)
		}
		t.Values = upsert(t.Values, *l.Value, l.Drop, func(x string) bool { return x == *l.Value })
	case l.Type != "":
		var tl typeLine
		if err := json.Unmarshal(line, &tl); err != nil {
			return err
		}
		t := &Type{Name: tl.Name, Kind: tl.Kind, Closed: tl.Closed, Extra: tl.Extra, Of: tl.Of, By: tl.By, Is: tl.Is, Plain: tl.Plain}
		if old := f.findType(t.Name); old != nil {
			t.Members, t.Values = old.Members, old.Values
		}
		f.Types = upsert(f.Types, t, l.Drop, func(x *Type) bool { return x.Name == t.Name })
		f.types[t.Name] = t
	case l.Event != "":
		e := new(Event)
		if err := json.Unmarshal(line, e); err != nil {
			return err
		}
		f.Events = append(f.Events, e)
	case l.Error != "":
		f.Errors = append(f.Errors, &ErrorFact{Name: l.Error, Status: l.Status})
	default:
		return fmt.Errorf("a line of no known kind")
	}
	return nil
}

func upsert[T any](list []T, x T, drop bool, same func(T) bool) []T {
	i := slices.IndexFunc(list, same)
	switch {
	case drop && i >= 0:
		return slices.Delete(list, i, i+1)
	case i >= 0:
		list[i] = x
		return list
	}
	return append(list, x)
}

func (f *Facts) findOp(id string) *Op {
	if f.op == nil {
		f.op = map[string]*Op{}
	}
	if o := f.op[id]; o != nil {
		return o
	}
	for _, o := range f.Ops {
		if o.ID == id {
			f.op[id] = o
			return o
		}
	}
	return nil
}

func (f *Facts) findType(name string) *Type {
	if f.types == nil {
		f.types = map[string]*Type{}
	}
	if t := f.types[name]; t != nil {
		return t
	}
	for _, t := range f.Types {
		if t.Name == name {
			f.types[name] = t
			return t
		}
	}
	return nil
}

// index parses the type expressions and checks the references.
func (f *Facts) index() error {
	f.op, f.types, f.errors = map[string]*Op{}, map[string]*Type{}, map[string]*ErrorFact{}
	for _, o := range f.Ops {
		f.op[o.ID] = o
	}
	for _, t := range f.Types {
		f.types[t.Name] = t
	}
	for _, e := range f.Errors {
		f.errors[e.Name] = e
	}
	var err error
	parse := func(where, s string) *Expr {
		if s == "" || err != nil {
			return nil
		}
		e, perr := parseExpr(s)
		if perr != nil {
			err = fmt.Errorf("%s: %w", where, perr)
			return nil
		}
		walk(e, func(x *Expr) {
			if x.Kind == Ref && f.types[x.Name] == nil && err == nil {
				err = fmt.Errorf("%s: unknown type %s", where, x.Name)
			}
		})
		return e
	}
	for _, o := range f.Ops {
		o.body = parse(o.ID, o.Body)
		o.result = parse(o.ID, o.Result)
		for _, p := range o.Params {
			p.expr = parse(o.ID+" ."+p.Name, p.Is)
		}
		for status, names := range o.Errors {
			for _, n := range names {
				if f.errors[n] == nil {
					return fmt.Errorf("%s: unknown error %s (%s)", o.ID, n, status)
				}
			}
		}
	}
	for _, t := range f.Types {
		for _, m := range t.Members {
			m.expr = parse(t.Name+"."+m.Name, m.Is)
		}
		for _, n := range t.Of {
			if f.types[n] == nil && err == nil {
				err = fmt.Errorf("%s: unknown alternative %s", t.Name, n)
			}
		}
	}
	return err
}

func walk(e *Expr, visit func(*Expr)) {
	if e == nil {
		return
	}
	visit(e)
	for _, x := range e.Elems {
		walk(x, visit)
	}
}

func (t *Type) member(name string) *Member {
	for _, m := range t.Members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// leaves lists the object types behind an alternative of references.
func (f *Facts) leaves(e *Expr) []string {
	var out []string
	var add func(e *Expr)
	addName := func(n string) {}
	addName = func(n string) {
		t := f.types[n]
		switch {
		case t == nil:
		case t.Kind == "union":
			for _, x := range t.Of {
				addName(x)
			}
		case t.Kind == "alias":
			if x, err := parseExpr(t.Is); err == nil {
				add(x)
			}
		case !slices.Contains(out, n):
			out = append(out, n)
		}
	}
	add = func(e *Expr) {
		switch e.Kind {
		case Ref:
			addName(e.Name)
		case Alt:
			for _, x := range e.Elems {
				add(x)
			}
		}
	}
	add(e)
	return out
}

func setKey(names []string) string {
	s := slices.Clone(names)
	sort.Strings(s)
	return strings.Join(s, " ")
}
