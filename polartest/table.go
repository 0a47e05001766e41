package polartest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// operation is one of the API's operations, as the table describes it.
type operation struct {
	id       string
	method   string
	path     string
	status   int
	auth     []string // kinds of tokens; none: the call needs no token
	scopes   []string // any one of them is enough
	anyone   bool     // a token is accepted, not needed
	paged    bool
	optional bool // the body may be left out
	form     bool
	body     *expr
	params   []*field
	segments []string
}

// field is a parameter or a member.
type field struct {
	name     string
	in       string // "path" or "query" for parameters
	expr     *expr
	required bool
	rules    rules
}

// rules are the bounds of a value.
type rules struct {
	min, max, above, below             *float64
	minLen, maxLen, minItems, maxItems int // -1: none
	pattern                            string
	def                                json.RawMessage
}

// typeDef is a type of request bodies and parameters.
type typeDef struct {
	kind   string // object, union, alias, enum
	name   string
	closed bool
	extra  *expr
	fields []*field
	by     string
	of     []*expr
	is     *expr
	values []string
}

// expr is the type of a value.
type expr struct {
	kind     exprKind
	name     string // primitive or reference; the JSON text of a constant
	elems    []*expr
	nullable bool
	def      *typeDef // reference
	tag      string   // alternatives: the member that tells them apart, "" when none does
}

type exprKind int

const (
	exprPrim exprKind = iota
	exprRef
	exprList
	exprMap
	exprTuple
	exprConst
	exprAlt
)

// table is the generated table, read.
type table struct {
	ops   map[string]*operation
	list  []*operation
	types map[string]*typeDef
	root  *node
}

// facts reads the generated table once for all servers of the process. Start does not
// start a server when that fails, so everything that runs later may rely on the table.
var facts = sync.OnceValues(func() (*table, error) {
	t, err := readTable(factsTable)
	if err != nil {
		return nil, fmt.Errorf("polartest: the generated table is broken: %w", err)
	}
	return t, nil
})

func readTable(text string) (*table, error) {
	t := &table{ops: map[string]*operation{}, types: map[string]*typeDef{}, root: &node{}}
	var exprs []*expr
	parse := func(s string) (*expr, error) {
		p := exprParser{s: s}
		e, err := p.alt()
		if err == nil && p.i != len(s) {
			err = fmt.Errorf("unexpected %q", s[p.i:])
		}
		if err != nil {
			return nil, fmt.Errorf("type %q: %w", s, err)
		}
		exprs = append(exprs, p.all...)
		return e, nil
	}
	var op *operation
	var typ *typeDef
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		var err error
		switch f[0] {
		case "op":
			status, serr := strconv.Atoi(f[4])
			if serr != nil {
				return nil, serr
			}
			op = &operation{id: f[1], method: f[2], path: f[3], status: status, auth: list(f[5]), scopes: list(f[6]), segments: strings.Split(f[3][1:], "/")}
			flags := list(f[7])
			op.anyone, op.paged = slices.Contains(flags, "anyone"), slices.Contains(flags, "paged")
			op.optional, op.form = slices.Contains(flags, "optional"), slices.Contains(flags, "form")
			if f[8] != "" {
				op.body, err = parse(f[8])
			}
			t.ops[op.id] = op
			t.list = append(t.list, op)
			t.root.add(op)
		case "/", "?", ".":
			var fd *field
			if fd, err = readField(f, parse); err != nil {
				return nil, err
			}
			switch f[0] {
			case "/":
				fd.in = "path"
				op.params = append(op.params, fd)
			case "?":
				fd.in = "query"
				op.params = append(op.params, fd)
			default:
				typ.fields = append(typ.fields, fd)
			}
		case "object":
			typ = &typeDef{kind: f[0], name: f[1], closed: f[2] == "closed"}
			if f[3] != "" {
				typ.extra, err = parse(f[3])
			}
			t.types[typ.name] = typ
		case "union":
			u := &typeDef{kind: f[0], name: f[1], by: f[2]}
			for _, name := range f[3:] {
				var e *expr
				if e, err = parse(name); err != nil {
					return nil, err
				}
				u.of = append(u.of, e)
			}
			t.types[u.name] = u
		case "alias":
			a := &typeDef{kind: f[0], name: f[1]}
			a.is, err = parse(f[2])
			t.types[a.name] = a
		case "enum":
			t.types[f[1]] = &typeDef{kind: f[0], name: f[1], values: f[2:]}
		default:
			err = fmt.Errorf("a line of no known kind: %q", line)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, e := range exprs {
		if e.kind == exprRef {
			if e.def = t.types[e.name]; e.def == nil {
				return nil, fmt.Errorf("unknown type %s", e.name)
			}
		}
	}
	for _, e := range exprs {
		if e.kind == exprAlt {
			e.tag = commonTag(e.elems)
		}
	}
	return t, nil
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func readField(f []string, parse func(string) (*expr, error)) (*field, error) {
	e, err := parse(f[2])
	if err != nil {
		return nil, err
	}
	fd := &field{name: f[1], expr: e, rules: rules{minLen: -1, maxLen: -1, minItems: -1, maxItems: -1}}
	for _, r := range f[3:] {
		if err := fd.rule(r); err != nil {
			return nil, fmt.Errorf("%s: rule %q: %w", fd.name, r, err)
		}
	}
	return fd, nil
}

func (fd *field) rule(r string) (err error) {
	number := func(dst **float64, text string) {
		var v float64
		v, err = strconv.ParseFloat(text, 64)
		*dst = &v
	}
	switch {
	case r == "!":
		fd.required = true
	case r[0] == '=':
		fd.rules.def = json.RawMessage(r[1:])
	case r[0] == '~':
		fd.rules.pattern = r[1:]
	case strings.HasPrefix(r, "len>="):
		fd.rules.minLen, err = strconv.Atoi(r[5:])
	case strings.HasPrefix(r, "len<="):
		fd.rules.maxLen, err = strconv.Atoi(r[5:])
	case strings.HasPrefix(r, "items>="):
		fd.rules.minItems, err = strconv.Atoi(r[7:])
	case strings.HasPrefix(r, "items<="):
		fd.rules.maxItems, err = strconv.Atoi(r[7:])
	case strings.HasPrefix(r, ">="):
		number(&fd.rules.min, r[2:])
	case strings.HasPrefix(r, "<="):
		number(&fd.rules.max, r[2:])
	case r[0] == '>':
		number(&fd.rules.above, r[1:])
	case r[0] == '<':
		number(&fd.rules.below, r[1:])
	default:
		err = fmt.Errorf("unknown")
	}
	return err
}

// patterns are the compiled ones that were needed so far.
var patterns sync.Map // text to *regexp.Regexp

// fits tells whether a text matches a pattern. Those with look-ahead belong to decimals, which have their own check.
func fits(pattern, s string) bool {
	if pattern == "" || strings.Contains(pattern, "(?!") || strings.Contains(pattern, "(?=") {
		return true
	}
	known, ok := patterns.Load(pattern)
	if !ok {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return true
		}
		known, _ = patterns.LoadOrStore(pattern, re)
	}
	return known.(*regexp.Regexp).MatchString(s)
}

// commonTag finds the member that is a required constant in all alternatives.
func commonTag(elems []*expr) string {
	var tag string
	seen := map[string]bool{} // two alternatives with the same constant are not told apart by it
	for _, e := range elems {
		if e.kind != exprRef || e.def.kind != "object" {
			return ""
		}
		found := ""
		for _, f := range e.def.fields {
			if f.required && f.expr.kind == exprConst && (tag == "" || f.name == tag) && !seen[f.expr.name] {
				found, seen[f.expr.name] = f.name, true
				break
			}
		}
		if found == "" {
			return ""
		}
		tag = found
	}
	return tag
}

// node is a place in the tree of routes. An empty segment stands for the slash at the end.
type node struct {
	literal map[string]*node
	param   *node
	ops     map[string]*operation
}

func (n *node) add(op *operation) {
	for _, s := range op.segments {
		if strings.HasPrefix(s, "{") {
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
			continue
		}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[s] == nil {
			n.literal[s] = &node{}
		}
		n = n.literal[s]
	}
	if n.ops == nil {
		n.ops = map[string]*operation{}
	}
	n.ops[op.method] = op
}

// find looks for the node of a path; values are those of its placeholders.
func (n *node) find(segments []string, values []string) (*node, []string) {
	if len(segments) == 0 {
		if n.ops == nil {
			return nil, nil
		}
		return n, values
	}
	if next := n.literal[segments[0]]; next != nil {
		if found, v := next.find(segments[1:], values); found != nil {
			return found, v
		}
	}
	if n.param != nil && segments[0] != "" {
		return n.param.find(segments[1:], append(values[:len(values):len(values)], segments[0]))
	}
	return nil, nil
}

// exprParser reads types: string, Order, [Order], {int}, (a,b), "constant", a|b and a? for nullable.
type exprParser struct {
	s   string
	i   int
	all []*expr
}

func (p *exprParser) make(e *expr) *expr {
	p.all = append(p.all, e)
	return e
}

func (p *exprParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *exprParser) alt() (*expr, error) {
	first, err := p.postfix()
	if err != nil || p.peek() != '|' {
		return first, err
	}
	e := p.make(&expr{kind: exprAlt, elems: []*expr{first}})
	for p.peek() == '|' {
		p.i++
		x, err := p.postfix()
		if err != nil {
			return nil, err
		}
		e.elems = append(e.elems, x)
	}
	return e, nil
}

func (p *exprParser) postfix() (*expr, error) {
	e, err := p.primary()
	if err == nil && p.peek() == '?' {
		p.i++
		e.nullable = true
	}
	return e, err
}

var primitives = map[string]bool{"string": true, "int": true, "number": true, "bool": true, "any": true, "time": true, "date": true,
	"uuid": true, "uuid4": true, "uri": true, "email": true, "ip": true, "decimal": true, "null": true}

func (p *exprParser) primary() (*expr, error) {
	switch c := p.peek(); c {
	case '[', '{', '(':
		closing := map[byte]byte{'[': ']', '{': '}', '(': ')'}[c]
		p.i++
		x, err := p.alt()
		if err != nil {
			return nil, err
		}
		elems := []*expr{x}
		for c == '(' && p.peek() == ',' {
			p.i++
			y, err := p.alt()
			if err != nil {
				return nil, err
			}
			elems = append(elems, y)
		}
		if p.peek() != closing {
			return nil, fmt.Errorf("%q missing", closing)
		}
		p.i++
		switch {
		case c == '[':
			return p.make(&expr{kind: exprList, elems: elems}), nil
		case c == '{':
			return p.make(&expr{kind: exprMap, elems: elems}), nil
		case len(elems) > 1:
			return p.make(&expr{kind: exprTuple, elems: elems}), nil
		}
		return x, nil
	case '"':
		q, err := strconv.QuotedPrefix(p.s[p.i:])
		if err != nil {
			return nil, err
		}
		p.i += len(q)
		return p.make(&expr{kind: exprConst, name: q}), nil
	}
	j := p.i
	for j < len(p.s) && (strings.IndexByte("_-", p.s[j]) >= 0 || p.s[j] >= '0' && p.s[j] <= '9' || p.s[j] >= 'A' && p.s[j] <= 'Z' || p.s[j] >= 'a' && p.s[j] <= 'z') {
		j++
	}
	name := p.s[p.i:j]
	p.i = j
	switch {
	case name == "":
		return nil, fmt.Errorf("a type is missing at %d", p.i)
	case name == "true" || name == "false":
		return p.make(&expr{kind: exprConst, name: name}), nil
	case primitives[name]:
		return p.make(&expr{kind: exprPrim, name: name}), nil
	}
	return p.make(&expr{kind: exprRef, name: name}), nil
}
