package main

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
)

// Gen joins facts, shape and words into what the emitters write.
type Gen struct {
	facts  *Facts
	shape  *Shape
	words  *Words
	types  map[string]*GType
	sealed map[string]*Sealed
	files  map[string]string // Go type → file, when its words do not say
	ops    map[string]*GOp

	inReq, inResp, patch map[string]bool   // by facts type
	unionOf              map[string]*Union // leaf set → union
	flatOf               map[string]*Union // variant of a flattened union → union
	problems             []string
}

// GType is a Go type of package models.
type GType struct {
	Name    string
	Kind    string // struct enum sealed
	Facts   []string
	Members []*GMember
	Values  []string
	Consts  []constant // written by the encoder
	Union   *Union
	Sealed  *Sealed
	Req     bool
	Resp    bool
	Patch   bool
	Form    bool
	Open    bool
	File    string
	impl    []string // sealed interfaces it implements
}

type constant struct{ wire, json string }

// GMember is a field of a Go struct.
type GMember struct {
	Wire, Go string
	Base     Base
	Ptr      bool // *T
	Nullable bool // Nullable[T]
	Omit     bool
	Only     []string // discriminator values that have the member, when not all
	OnlyOf   string   // Go field of the discriminator
	Limits
	ReadOnly bool
	Enum     []string // the values allowed here, when fewer than the type has
	exprs    []*Expr
	pushed   *Sealed
	required bool
}

// Base is the Go type of a value without pointer or Nullable.
type Base struct {
	Go    string // as written in package models
	Kind  string // for common sentences: id string int money bool time ... or a Go type
	Iface string // sealed interface inside
	Wrap  string // "", "[]", "map[string]", "map[string][]"
	Plain bool   // slice, map, any or interface: nil says absent
}

// Sealed is a sealed interface and its alternatives.
type Sealed struct {
	Name     string
	By       []string // discriminator path
	Variants []variant
	Unknown  bool // response: keeps what it does not know
	Decode   bool // some type holds it and must read it
	Union    *Union
}

type variant struct {
	disc string // constant of the discriminator; "" when the member only tells
	only string // the member that only this alternative has
	typ  string // Go type
}

func (g *Gen) problem(format string, args ...any) {
	g.problems = append(g.problems, fmt.Sprintf(format, args...))
}

func newGen(f *Facts, sh *Shape, w *Words) *Gen {
	return &Gen{facts: f, shape: sh, words: w, types: map[string]*GType{}, sealed: map[string]*Sealed{}, files: map[string]string{},
		inReq: map[string]bool{}, inResp: map[string]bool{}, patch: map[string]bool{}, unionOf: map[string]*Union{}, flatOf: map[string]*Union{}}
}

// goName is the Go name of a facts type.
func (g *Gen) goName(facts string) string {
	if n := g.shape.Names[facts]; n != "" {
		return n
	}
	return strings.NewReplacer("-", "", "_", "").Replace(facts)
}

// resolve builds every Go type and checks the rules of the unions.
func (g *Gen) resolve() error {
	for facts := range g.shape.Names {
		if g.facts.types[facts] == nil {
			g.problem("shape: name %s matches no type of the facts", facts)
		}
	}
	for _, u := range g.sortedUnions() {
		of := u.Of
		if len(of) == 0 {
			t := g.facts.types[u.Name]
			if t == nil || t.Kind != "union" {
				g.problem("shape: union %s: the facts have no union of that name", u.Name)
				continue
			}
			of = t.Of
		}
		for _, n := range of {
			t := g.facts.types[n]
			if t == nil {
				g.problem("shape: union %s: %s is not in the facts", u.Name, n)
				continue
			}
			for _, l := range g.facts.leaves(&Expr{Kind: Ref, Name: n}) {
				if !slices.Contains(u.leaves, l) {
					u.leaves = append(u.leaves, l)
				}
			}
		}
		g.unionOf[setKey(u.leaves)] = u
		if u.Rule != "sealed" && u.Rule != "hand" {
			for _, l := range u.leaves {
				if o := g.flatOf[l]; o != nil {
					g.problem("shape: %s belongs to the unions %s and %s", l, o.Name, u.Name)
				}
				g.flatOf[l] = u
			}
		}
	}
	for _, t := range g.facts.Types { // a union of the facts must be covered by a rule
		if t.Kind == "union" {
			if g.unionFor(g.facts.leaves(&Expr{Kind: Ref, Name: t.Name})) == nil {
				g.problem("union %s (%s) has no rule that fits all its alternatives", t.Name, strings.Join(t.Of, ", "))
			}
		}
	}
	g.reach()
	if err := g.failed(); err != nil {
		return err
	}
	for _, o := range g.facts.Ops {
		if o.body != nil {
			g.need(o.body, o.ID+" body")
			if o.BodyKind != "" {
				for _, l := range g.facts.leaves(o.body) {
					g.types[g.goNameOf(l)].Form = true
				}
			}
		}
		if sh := g.shape.Ops[o.ID]; o.result != nil && (sh == nil || !sh.NoResult) {
			g.need(o.result, o.ID+" result")
		}
		for _, p := range o.Params {
			if p.In == "query" && p.Name != "metadata" && p.Name != "timezone" {
				g.need(p.expr, o.ID+" ."+p.Name)
			}
		}
	}
	for _, e := range g.facts.Events {
		for _, m := range g.facts.types[e.Payload].Members {
			g.need(m.expr, e.Payload+"."+m.Name)
		}
	}
	for _, name := range []string{"TaxIDFormat", "AggregationFunction", "FilterOperator", "FilterConjunction", "WebhookEventType"} {
		if g.facts.types[name] != nil {
			g.need(&Expr{Kind: Ref, Name: name}, name)
		}
	}
	g.finishSealed()
	return g.failed()
}

func (g *Gen) failed() error {
	if len(g.problems) == 0 {
		return nil
	}
	slices.Sort(g.problems)
	g.problems = slices.Compact(g.problems)
	n := len(g.problems)
	show := g.problems
	if n > 400 {
		show = show[:400]
	}
	return fmt.Errorf("%d problems:\n%s", n, strings.Join(show, "\n"))
}

func (g *Gen) sortedUnions() []*Union {
	var us []*Union
	for _, n := range sortedKeys(g.shape.Unions) {
		us = append(us, g.shape.Unions[n])
	}
	return us
}

// unionFor finds the union that a set of alternatives is, or is a part of.
func (g *Gen) unionFor(leaves []string) *Union {
	if u := g.unionOf[setKey(leaves)]; u != nil {
		return u
	}
	if len(leaves) == 0 {
		return nil
	}
	u := g.flatOf[leaves[0]]
	for _, l := range leaves {
		if g.flatOf[l] != u {
			return nil
		}
	}
	return u
}

func (g *Gen) goNameOf(facts string) string {
	if u := g.flatOf[facts]; u != nil {
		return u.Name
	}
	return g.goName(facts)
}

// reach marks which facts types go into requests and which come in responses.
func (g *Gen) reach() {
	var mark func(set map[string]bool, e *Expr)
	var markType func(set map[string]bool, name string)
	markType = func(set map[string]bool, name string) {
		if set[name] {
			return
		}
		set[name] = true
		t := g.facts.types[name]
		for _, n := range t.Of {
			markType(set, n)
		}
		if t.Kind == "alias" {
			e, _ := parseExpr(t.Is)
			mark(set, e)
		}
		for _, m := range t.Members {
			mark(set, m.expr)
		}
	}
	mark = func(set map[string]bool, e *Expr) {
		walk(e, func(x *Expr) {
			if x.Kind == Ref {
				markType(set, x.Name)
			}
		})
	}
	for _, o := range g.facts.Ops {
		mark(g.inReq, o.body)
		mark(g.inResp, o.result)
		if o.Method == "PATCH" && o.body != nil {
			for _, l := range g.facts.leaves(o.body) {
				g.patch[l] = true
			}
		}
	}
	for _, e := range g.facts.Events {
		markType(g.inResp, e.Payload)
	}
}

// need makes sure that the types of an expression exist.
func (g *Gen) need(e *Expr, where string) {
	if e == nil {
		return
	}
	if leaves := g.facts.leaves(e); len(leaves) > 0 && isListResource(g.facts, leaves) {
		for _, l := range leaves {
			g.need(g.facts.types[l].member("items").expr, where)
		}
		return
	}
	g.base(e, where, "")
}

func isListResource(f *Facts, leaves []string) bool {
	return strings.HasPrefix(leaves[0], "ListResource")
}

// base resolves an expression to a Go type; wire is the member's name, for the kinds of numbers.
func (g *Gen) base(e *Expr, where, wire string) Base {
	owner, _, _ := strings.Cut(where, ".")
	switch e.Kind {
	case Prim:
		switch e.Name {
		case "uuid", "uuid4":
			return Base{Go: "string", Kind: "id"}
		case "string", "email", "ip":
			return Base{Go: "string", Kind: e.Name}
		case "uri":
			return Base{Go: "string", Kind: "url"}
		case "int":
			switch {
			case g.matches(g.shape.Money, owner, wire):
				return Base{Go: "int64", Kind: "money"}
			case g.matches(g.shape.Wide, owner, wire):
				return Base{Go: "int64", Kind: "int"}
			}
			return Base{Go: "int", Kind: "int"}
		case "number":
			return Base{Go: "float64", Kind: "number"}
		case "bool":
			return Base{Go: "bool", Kind: "bool"}
		case "time":
			return Base{Go: "time.Time", Kind: "time"}
		case "date":
			return Base{Go: "Date", Kind: "date"}
		case "decimal":
			return Base{Go: "Decimal", Kind: "decimal"}
		case "any":
			return Base{Go: "any", Kind: "any", Plain: true}
		}
	case Const:
		if e.Name[0] == '"' {
			return Base{Go: "string", Kind: "string"}
		}
		return Base{Go: "bool", Kind: "bool"}
	case Tuple:
		if e.String() == "(string,TaxIDFormat)" || e.String() == "(string,TaxIDFormat)?" {
			return Base{Go: "TaxID", Kind: "TaxID"}
		}
	case List:
		b := g.base(e.Elems[0], where, wire)
		if b.Wrap != "" {
			g.problem("%s: a list of %s is not supported", where, b.Go)
		}
		return Base{Go: "[]" + b.Go, Kind: "[" + b.Kind + "]", Iface: b.Iface, Wrap: "[]", Plain: true}
	case Map:
		x := e.Elems[0]
		switch x.String() {
		case "any", "string|int|number|bool", "string|int|bool":
			return Base{Go: "Metadata", Kind: "Metadata", Plain: true}
		case "(string|int|bool|time)?":
			return Base{Go: "CustomFieldData", Kind: "CustomFieldData", Plain: true}
		}
		b := g.base(x, where, wire)
		return Base{Go: "map[string]" + b.Go, Kind: "{" + b.Kind + "}", Iface: b.Iface, Wrap: "map[string]" + b.Wrap, Plain: true}
	case Ref:
		t := g.facts.types[e.Name]
		switch t.Kind {
		case "alias":
			x, _ := parseExpr(t.Is)
			return g.base(x, where, wire)
		case "enum":
			return g.enum(e.Name)
		}
		return g.object(g.facts.leaves(e), where)
	case Alt:
		switch plain := strings.TrimSuffix(strings.Trim(strings.TrimSuffix(e.String(), "?"), "()"), "?"); plain {
		case "int|number":
			return Base{Go: "float64", Kind: "number"}
		case `time|"now"`:
			return Base{Go: "TrialEnd", Kind: "TrialEnd"}
		}
		if len(e.Elems) == 2 && e.Elems[1].Kind == List && e.Elems[0].String() == e.Elems[1].Elems[0].String() {
			return g.base(e.Elems[1], where, wire)
		}
		if leaves := g.facts.leaves(e); len(leaves) > 0 {
			return g.object(leaves, where)
		}
	}
	g.problem("%s: no Go type for %s", where, e)
	return Base{Go: "any", Kind: "any"}
}

func (g *Gen) matches(patterns []string, owner, wire string) bool {
	for _, p := range patterns {
		if o, m, ok := strings.Cut(p, "."); ok {
			if o == owner && m == wire {
				return true
			}
			continue
		}
		if ok, _ := path.Match(p, wire); ok {
			return true
		}
	}
	return false
}

func (g *Gen) enum(facts string) Base {
	t := g.facts.types[facts]
	name := g.goName(facts)
	if len(t.Plain) > 0 || name == "string" {
		return Base{Go: "string", Kind: "string"}
	}
	gt := g.types[name]
	if gt == nil {
		gt = &GType{Name: name, Kind: "enum", Facts: []string{facts}}
		g.types[name] = gt
		group := g.shape.Groups[name]
		if len(group) == 0 {
			group = []string{facts}
		}
		gt.Facts = group
		gt.Values = slices.Clone(g.facts.types[group[0]].Values)
		for _, other := range group[1:] {
			for _, v := range g.facts.types[other].Values {
				if !slices.Contains(gt.Values, v) {
					g.problem("enum %s: %s has the value %q, which %s has not: they can no longer share a Go type", name, other, v, group[0])
				}
			}
		}
	}
	return Base{Go: name, Kind: name}
}

// object resolves one object type or a union.
func (g *Gen) object(leaves []string, where string) Base {
	if len(leaves) == 0 {
		g.problem("%s: an empty union", where)
		return Base{Go: "any"}
	}
	if len(leaves) > 1 || g.flatOf[leaves[0]] != nil {
		u := g.unionFor(leaves)
		if u == nil { // alternatives of one sealed member beside their discriminator
			for _, s := range g.sealed {
				if s.has(g, leaves) {
					return Base{Go: s.Name, Kind: s.Name, Iface: s.Name, Plain: true}
				}
			}
			g.problem("%s: the alternatives %s have no rule", where, strings.Join(leaves, ", "))
			return Base{Go: "any"}
		}
		switch u.Rule {
		case "sealed":
			g.sealedUnion(u)
			return Base{Go: u.Name, Kind: u.Name, Iface: u.Name, Plain: true}
		case "hand":
			return Base{Go: u.Name, Kind: u.Name, Plain: u.Name == "FilterNode"}
		}
		g.structType(u.Name, u.leaves, u)
		return Base{Go: u.Name, Kind: u.Name}
	}
	name := g.goName(leaves[0])
	if g.shape.Hand[name] {
		if name == "UserEventMetadata" {
			g.object([]string{"CostMetadata-Input"}, where)
			g.object([]string{"LLMMetadata"}, where)
		}
		return Base{Go: name, Kind: name}
	}
	group := g.shape.Groups[name]
	if len(group) == 0 {
		group = leaves
	}
	g.structType(name, group, nil)
	return Base{Go: name, Kind: name}
}

func (s *Sealed) has(g *Gen, leaves []string) bool {
	for _, l := range leaves {
		if !slices.ContainsFunc(s.Variants, func(v variant) bool { return v.typ == g.goName(l) }) {
			return false
		}
	}
	return true
}

// structType builds a Go struct from one or more object types.
func (g *Gen) structType(name string, leaves []string, u *Union) {
	if g.types[name] != nil {
		return
	}
	gt := &GType{Name: name, Kind: "struct", Facts: leaves, Union: u}
	g.types[name] = gt
	for _, l := range leaves {
		gt.Req = gt.Req || g.inReq[l]
		gt.Resp = gt.Resp || g.inResp[l]
		gt.Patch = gt.Patch || g.patch[l]
	}
	for _, l := range leaves {
		if gt.Patch && !g.patch[l] {
			g.problem("%s: %s is the body of a PATCH, another of its types is not", name, l)
		}
	}
	rule := ""
	if u != nil {
		rule = u.Rule
	}
	// the members, in the order of first sight
	var order []string
	have := map[string][]*Member{}
	for _, l := range leaves {
		for _, m := range g.facts.types[l].Members {
			if have[m.Name] == nil {
				order = append(order, m.Name)
			}
			have[m.Name] = append(have[m.Name], m)
		}
	}
	pushed := map[string]string{}
	var restOf *Sealed
	if rule == "push" {
		for _, p := range u.Push {
			pushed[p[0]] = p[1]
		}
	}
	if rule == "split" {
		restOf = g.splitSealed(gt, u, have)
	}
	for _, wire := range order {
		ms := have[wire]
		if iface, ok := pushed[wire]; ok {
			g.pushMember(gt, u, wire, iface, ms)
			continue
		}
		if restOf != nil && len(ms) < len(leaves) && !slices.Contains(u.Extra, wire) {
			continue // behind the sealed member
		}
		if len(ms) < len(leaves) && rule == "" {
			g.problem("%s: the member %s is in %d of %d types that share this Go type", name, wire, len(ms), len(leaves))
		}
		if rule == "push" && len(ms) < len(leaves) && !slices.Contains([]string{"member", "previous_properties", "visibility"}, wire) {
			g.problem("union %s: its rule says that only %s differs, but %s has the member %s and others have not", name, u.Push[0][0], ms[0].Type, wire)
		}
		g.member(gt, u, wire, ms, len(leaves))
	}
	if restOf != nil {
		gt.Members = append(gt.Members, &GMember{Wire: "-", Go: u.Push[0][0], Base: Base{Go: restOf.Name, Kind: restOf.Name, Iface: restOf.Name, Plain: true}, pushed: restOf})
	}
}

func stripNull(e *Expr) *Expr {
	if e.Nullable {
		c := *e
		c.Nullable = false
		return &c
	}
	return e
}

// member resolves one member of a struct over all the types that have it.
func (g *Gen) member(gt *GType, u *Union, wire string, ms []*Member, variants int) {
	where := gt.Facts[0] + "." + wire
	if gt.Union != nil || len(gt.Facts) > 1 {
		where = gt.Name + "." + wire
	}
	m := &GMember{Wire: wire, Go: camel(wire), Limits: ms[0].Limits, ReadOnly: ms[0].ReadOnly}
	required, nullable, someRequired := len(ms) == variants, false, false
	var consts, rest []*Expr
	for _, x := range ms {
		required = required && x.Required
		nullable = nullable || x.expr.Nullable
		someRequired = someRequired || x.Required && !x.expr.Nullable
		m.Deprecated = m.Deprecated || x.Deprecated
		e := stripNull(x.expr)
		if as := g.shape.As[x.Type+"."+wire]; as != "" {
			e = &Expr{Kind: Ref, Name: as}
		}
		m.exprs = append(m.exprs, e)
		if e.Kind == Const {
			consts = append(consts, e)
		} else {
			rest = append(rest, e)
		}
	}
	// null as the only value
	if len(rest) > 0 && rest[0].Kind == Prim && rest[0].Name == "null" {
		if gt.Req && !gt.Resp {
			if required {
				gt.Consts = append(gt.Consts, constant{wire, "null"})
			}
			return
		}
	}
	isDisc := u != nil && (u.ByOf == wire || len(u.By) > 0 && slices.Contains(u.By, wire) && u.Rule != "sealed")
	// constants of a request are written by the encoder
	if len(rest) == 0 && gt.Req && !gt.Resp && !isDisc && allSame(consts) && !(nullable && consts[0].Name[0] != '"') {
		gt.Consts = append(gt.Consts, constant{wire, consts[0].Name})
		return
	}
	switch {
	case isDisc && u.ByType != "" && !(len(u.By) == 2 && wire == u.By[1]):
		m.Base = g.discType(gt, u, wire, consts, rest)
	case len(rest) == 0:
		m.Base = g.base(consts[0], where, wire)
	default:
		first := g.memberBase(rest, where, wire)
		for _, e := range consts {
			if t := g.types[first.Go]; t != nil && t.Kind == "enum" && !slices.Contains(t.Values, strings.Trim(e.Name, `"`)) {
				g.problem("%s: the constant %s is not a value of %s", where, e.Name, first.Go)
			}
		}
		m.Base = first
	}
	if gt.Name == "CustomerWallet" || gt.Name == "PortalWallet" {
		if wire == "balance" {
			m.Base = Base{Go: "int64", Kind: "money"}
		}
	}
	if t := g.types[m.Base.Go]; t != nil && t.Kind == "enum" && len(ms) == 1 && ms[0].expr.Kind == Ref {
		if vs := g.facts.types[ms[0].expr.Name].Values; len(vs) > 0 && len(vs) < len(t.Values) {
			m.Enum = vs
		}
	}
	flat := u != nil && u.Rule != "sealed"
	switch {
	case len(ms) < variants:
		m.Omit = true
		m.Ptr = !m.Base.Plain
		m.Only, m.OnlyOf = g.onlyFor(gt, u, ms)
	case flat && (someRequired || isDisc && !required) && (nullable || !required): // null only in some variants: zero means none
		m.Omit = true
	case gt.Patch && nullable:
		m.Nullable, m.Omit = true, true
	case !required:
		m.Omit = true
		m.Ptr = !m.Base.Plain
	case nullable:
		m.Ptr = !m.Base.Plain
		m.Omit = m.Base.Plain
	}
	m.required = required && !nullable
	if len(ms) == variants && u != nil && u.Rule == "oneof" && slices.Contains(u.OneOf, wire) {
		m.Only = nil
	}
	gt.Members = append(gt.Members, m)
}

func allSame(es []*Expr) bool {
	for _, e := range es {
		if e.Name != es[0].Name {
			return false
		}
	}
	return true
}

// memberBase resolves the types that a member has in the variants to one Go type.
func (g *Gen) memberBase(es []*Expr, where, wire string) Base {
	// objects: the alternatives of all variants together
	var leaves []string
	objects := true
	for _, e := range es {
		ls := g.facts.leaves(e)
		ok := len(ls) > 0 && (e.Kind == Ref || e.Kind == Alt)
		for _, l := range ls {
			if t := g.facts.types[l]; t.Kind != "object" {
				ok = false
			}
			if !slices.Contains(leaves, l) {
				leaves = append(leaves, l)
			}
		}
		objects = objects && ok
	}
	if objects && len(es) > 1 {
		names := map[string]bool{}
		for _, l := range leaves {
			names[g.goNameOf(l)] = true
		}
		if len(names) == 1 && g.flatOf[leaves[0]] == nil {
			return g.object(leaves[:1], where)
		}
		return g.object(leaves, where)
	}
	b := g.base(es[0], where, wire)
	for _, e := range es[1:] {
		if o := g.base(e, where, wire); o.Go != b.Go {
			g.problem("%s: it is %s in one alternative and %s in another, and no rule joins them", where, b.Go, o.Go)
		}
	}
	return b
}

// discType is the enum of a discriminator: one of the facts, or a new one of its constants.
func (g *Gen) discType(gt *GType, u *Union, wire string, consts, rest []*Expr) Base {
	if g.facts.types[u.ByType] != nil {
		b := g.enum(u.ByType)
		t := g.types[b.Go]
		for _, c := range consts {
			if !slices.Contains(t.Values, strings.Trim(c.Name, `"`)) {
				g.problem("union %s: the discriminator %s has the value %s, which %s has not", u.Name, wire, c.Name, b.Go)
			}
		}
		return b
	}
	t := g.types[u.ByType]
	if t == nil {
		t = &GType{Name: u.ByType, Kind: "enum"}
		g.types[u.ByType] = t
	}
	for _, c := range consts {
		if v := strings.Trim(c.Name, `"`); !slices.Contains(t.Values, v) {
			t.Values = append(t.Values, v)
		}
	}
	if len(rest) > 0 {
		g.problem("union %s: the discriminator %s is not a constant in every alternative", u.Name, wire)
	}
	return Base{Go: u.ByType, Kind: u.ByType}
}

// onlyFor lists the discriminator values of the variants that have a member.
func (g *Gen) onlyFor(gt *GType, u *Union, ms []*Member) (vals []string, field string) {
	if u == nil {
		return nil, ""
	}
	disc := u.ByOf
	if len(u.By) > 0 {
		disc = u.By[0]
	}
	if disc == "" {
		disc = "type"
	}
	for _, m := range ms {
		if c := g.constOf(m.Type, disc); c != "" && !slices.Contains(vals, c) {
			vals = append(vals, c)
		} else if c == "" {
			return nil, ""
		}
	}
	var path []string
	for _, p := range strings.Split(disc, ".") {
		path = append(path, camel(p))
	}
	return vals, strings.Join(path, ".")
}

// constOf walks a discriminator path from an object type to its constant.
func (g *Gen) constOf(typ, path string) string {
	head, rest, more := strings.Cut(path, ".")
	m := g.facts.types[typ].member(head)
	if m == nil {
		return ""
	}
	if more {
		ls := g.facts.leaves(stripNull(m.expr))
		if len(ls) != 1 {
			return ""
		}
		return g.constOf(ls[0], rest)
	}
	if m.expr.Kind == Const {
		return strings.Trim(m.expr.Name, `"`)
	}
	return ""
}

// pushMember puts the member that differs behind its sealed interface.
func (g *Gen) pushMember(gt *GType, u *Union, wire, iface string, ms []*Member) {
	s := g.sealed[iface]
	if s == nil {
		s = &Sealed{Name: iface, Unknown: true, Decode: true, By: u.By}
		g.sealed[iface] = s
		g.types[iface] = &GType{Name: iface, Kind: "sealed", Sealed: s, Resp: true}
	}
	m := &GMember{Wire: wire, Go: camel(wire), Base: Base{Go: iface, Kind: iface, Iface: iface, Plain: true}, pushed: s}
	m.Omit = true
	for _, x := range ms {
		m.exprs = append(m.exprs, stripNull(x.expr))
		if x.Required && !x.expr.Nullable {
			m.Omit = false
		}
		leaves := g.facts.leaves(stripNull(x.expr))
		disc := ""
		for _, p := range u.By {
			if c := g.constOf(x.Type, p); c != "" {
				disc = c
			}
		}
		if len(leaves) > 1 { // a plain object beside the union: its alternatives must be known ones
			continue
		}
		if len(leaves) != 1 {
			g.problem("union %s: %s.%s is %s, not an object", u.Name, x.Type, wire, x.expr)
			continue
		}
		typ := g.goName(leaves[0])
		if !g.shape.Hand[typ] {
			g.object(leaves, x.Type+"."+wire)
		} else {
			g.object(leaves, x.Type+"."+wire)
		}
		if disc == "" {
			g.problem("union %s: %s has no constant at %s, so %s cannot be told apart", u.Name, x.Type, strings.Join(u.By, ","), wire)
			continue
		}
		i := slices.IndexFunc(s.Variants, func(v variant) bool { return v.disc == disc })
		switch {
		case i < 0:
			s.Variants = append(s.Variants, variant{disc: disc, typ: typ})
		case s.Variants[i].typ != typ:
			g.problem("%s: %q is %s in one union and %s in another", iface, disc, s.Variants[i].typ, typ)
		}
	}
	if len(ms) < len(gt.Facts) {
		m.Omit = true // some kinds have nothing here
	}
	gt.Members = append(gt.Members, m)
}

// splitSealed puts all members that not every variant has behind a sealed interface.
func (g *Gen) splitSealed(gt *GType, u *Union, have map[string][]*Member) *Sealed {
	iface := u.Push[0][1]
	s := &Sealed{Name: iface, Unknown: true, Decode: true, By: u.By}
	g.sealed[iface] = s
	g.types[iface] = &GType{Name: iface, Kind: "sealed", Sealed: s, Resp: true}
	for _, l := range u.leaves {
		disc := g.constOf(l, u.By[0])
		if disc == "" {
			g.problem("union %s: %s has no constant %s", u.Name, l, u.By[0])
			continue
		}
		var rest []*Member
		for _, m := range g.facts.types[l].Members {
			if len(have[m.Name]) < len(u.leaves) && !slices.Contains(u.Extra, m.Name) {
				rest = append(rest, m)
			}
		}
		name := u.Name + strings.TrimPrefix(camel(disc), u.Name)
		if t := g.types[name]; t != nil {
			for _, m := range rest {
				if !slices.ContainsFunc(t.Members, func(x *GMember) bool { return x.Wire == m.Name }) {
					g.problem("union %s: %s has the member %s, which the other alternatives with %s %q have not", u.Name, l, m.Name, u.By[0], disc)
				}
			}
			continue
		}
		t := &GType{Name: name, Kind: "struct", Facts: []string{l}, Resp: true, impl: []string{iface}}
		g.types[name] = t
		for _, m := range rest {
			g.member(t, nil, m.Name, []*Member{m}, 1)
		}
		s.Variants = append(s.Variants, variant{disc: disc, typ: name})
	}
	return s
}

// sealedUnion makes the interface of a request union and its alternatives.
func (g *Gen) sealedUnion(u *Union) {
	if g.sealed[u.Name] != nil {
		return
	}
	s := &Sealed{Name: u.Name, By: u.By, Union: u}
	g.sealed[u.Name] = s
	g.types[u.Name] = &GType{Name: u.Name, Kind: "sealed", Sealed: s, Req: true, Union: u}
	for _, l := range u.leaves {
		b := g.object([]string{l}, u.Name)
		v := variant{typ: b.Go}
		if len(u.By) > 0 {
			v.disc = g.constOf(l, u.By[0])
		}
		if v.disc == "" { // a required member that no other alternative has
			for _, m := range g.facts.types[l].Members {
				alone := m.Required
				for _, o := range u.leaves {
					if o != l && g.facts.types[o].member(m.Name) != nil {
						alone = false
					}
				}
				if alone {
					v.only = m.Name
					break
				}
			}
		}
		s.Variants = append(s.Variants, v)
	}
	if len(u.By) > 0 {
		for _, v := range s.Variants {
			if v.disc == "" && v.only == "" {
				g.problem("union %s: %s has neither the constant %s nor a member of its own", u.Name, v.typ, u.By[0])
			}
		}
	}
}

// finishSealed tells the alternatives which interfaces they implement and marks what must be read.
func (g *Gen) finishSealed() {
	for _, name := range sortedKeys(g.sealed) {
		s := g.sealed[name]
		for _, v := range s.Variants {
			if t := g.types[v.typ]; t != nil && !slices.Contains(t.impl, name) {
				t.impl = append(t.impl, name)
			}
		}
	}
	for _, t := range g.types {
		for _, m := range t.Members {
			if m.Base.Iface != "" {
				g.sealed[m.Base.Iface].Decode = true
			}
			// an alternative set beside a discriminator must be known to its interface
			if m.pushed != nil && m.Wire != "-" {
				for _, e := range m.exprs {
					if ls := g.facts.leaves(e); len(ls) > 1 && !m.pushed.has(g, ls) {
						g.problem("%s.%s: an alternative of %s is not one of %s", t.Name, m.Wire, e, m.pushed.Name)
					}
				}
			}
		}
	}
	for _, t := range g.types {
		sort.Strings(t.impl)
	}
}
