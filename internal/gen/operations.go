package main

import (
	"slices"
	"strings"
)

// GOp is an operation as a method of a service.
type GOp struct {
	*Op
	Service *Service
	Method  string
	Shape   *OpShape
	Path    []string // Go names of the path arguments
	Params  []*GParam
	ParamsT string // query struct, "" without query
	ReqQ    bool   // some query parameter is required: passed by value
	Shared  bool   // the query struct is another operation's
	BodyGo  string // Go type of the body in package models, "" without
	BodyPtr bool
	BodyArg string
	Result  string // Go expression of the result type, "" for none
	Item    string // list: the Go type of an item
	Bare    bool   // the result is a bare array
}

// GParam is a field of a query struct.
type GParam struct {
	Wire, Go, Type, Kind string
	Required             bool
	Limits
	Expr *Expr
}

// key is how the words call the operation.
func (o *GOp) key() string { return o.Service.name() + "." + o.Method }

// operations gives every operation its service and method.
func (g *Gen) operations() error {
	byName := map[string]*Service{}
	for _, s := range g.shape.Services {
		byName[s.name()] = s
	}
	for id := range g.shape.Ops {
		if g.facts.op[id] == nil {
			g.problem("shape: op %s matches no operation of the facts", id)
		}
	}
	for id := range g.shape.Idempotent {
		if g.facts.op[id] == nil {
			g.problem("shape: idempotent %s matches no operation of the facts", id)
		}
	}
	g.ops = map[string]*GOp{}
	seen := map[string]string{}
	for _, op := range g.facts.Ops {
		o := &GOp{Op: op, Shape: g.shape.Ops[op.ID]}
		if o.Shape != nil {
			o.Service, o.Method = byName[o.Shape.Service], o.Shape.Method
			if o.Service == nil {
				g.problem("shape: op %s: no service %s", op.ID, o.Shape.Service)
				continue
			}
		} else {
			o.Shape = &OpShape{}
			for _, s := range g.shape.Services {
				if slices.Contains(s.Groups, op.Group) {
					if o.Service != nil {
						g.problem("%s is in two services, %s and %s", op.ID, o.Service.name(), s.name())
					}
					o.Service = s
				}
			}
			o.Method = camel(op.Name)
		}
		if o.Service == nil {
			g.problem("%s (group %s) is in no service", op.ID, op.Group)
			continue
		}
		if other := seen[o.key()]; other != "" {
			g.problem("%s and %s are both %s", op.ID, other, o.key())
		}
		seen[o.key()] = op.ID
		g.ops[op.ID] = o
		g.opTypes(o)
	}
	for _, op := range g.facts.Ops { // in the order of the facts, so that the base comes before its ByExternalID
		if o := g.ops[op.ID]; o != nil {
			o.Service.Ops = append(o.Service.Ops, o)
		}
	}
	for _, s := range g.shape.Services {
		slices.SortStableFunc(s.Ops, func(a, b *GOp) int { return rank(a) - rank(b) })
		g.shareParams(s)
	}
	return g.failed()
}

// rank orders the methods of a service as a reader looks for them.
func rank(o *GOp) int {
	for i, p := range []string{"List", "Create", "Get", "Update", "Delete"} {
		if o.Method == p {
			return i
		}
	}
	return 10
}

func (g *Gen) opTypes(o *GOp) {
	n := 0
	for _, p := range o.Op.Params {
		if p.In == "path" {
			name := p.Name
			if n < len(o.Shape.Args) {
				name = o.Shape.Args[n]
			}
			n++
			o.Path = append(o.Path, lowerCamel(name))
			continue
		}
		gp := &GParam{Wire: p.Name, Go: camel(p.Name), Required: p.Required, Limits: p.Limits, Expr: p.expr}
		switch {
		case p.Name == "metadata":
			gp.Type, gp.Kind = "MetadataFilter", "MetadataFilter"
		case p.Name == "page" || p.Name == "limit":
			gp.Type, gp.Kind = "int", "int"
		case p.Name == "filter" && o.ID == "events:list":
			gp.Type, gp.Kind = "*models.Filter", "Filter"
		default:
			b := g.base(stripNull(p.expr), o.ID+"."+p.Name, p.Name)
			gp.Kind = b.Kind
			gp.Type = modelsType(b.Go)
			pointer := !b.Plain && !p.Required
			if t := g.types[b.Go]; pointer && (b.Go == "string" || t != nil && t.Kind == "enum" || b.Go == "time.Time" || b.Go == "Date") {
				pointer = false // the zero value says absent
			}
			if pointer {
				gp.Type = "*" + gp.Type
			}
		}
		o.Params = append(o.Params, gp)
		o.ReqQ = o.ReqQ || p.Required
	}
	if len(o.Params) > 0 {
		prefix := ""
		if o.Service.Portal {
			prefix = "Portal"
		}
		o.ParamsT = prefix + singularField(o.Service.Field) + o.Method + "Params"
	}
	if o.Op.body != nil {
		b := g.base(o.Op.body, o.ID+" body", "")
		o.BodyGo = b.Go
		o.BodyPtr = o.BodyOpt
		o.BodyArg = "body"
	}
	o.Result = ""
	switch r := o.Op.result; {
	case o.Shape.NoResult || r == nil || o.Success == "204":
	case o.Kind == "text/csv":
		o.Result = "io.ReadCloser"
	default:
		if ls := g.facts.leaves(r); len(ls) > 0 && isListResource(g.facts, ls) {
			item := g.base(g.facts.types[ls[0]].member("items").expr.Elems[0], o.ID+" items", "")
			o.Item = modelsType(item.Go)
			o.Result = "Page[" + o.Item + "]"
			break
		}
		b := g.base(r, o.ID+" result", "")
		o.Result = modelsType(b.Go)
		o.Bare = strings.HasPrefix(b.Go, "[]")
	}
}

// shareParams lets XByExternalID use the query struct of X when they are the same.
func (g *Gen) shareParams(s *Service) {
	for _, o := range s.Ops {
		base, ok := strings.CutSuffix(o.Method, "ByExternalID")
		if !ok || len(o.Params) == 0 {
			continue
		}
		for _, b := range s.Ops {
			if b.Method == base && len(b.Params) == len(o.Params) && slices.EqualFunc(b.Params, o.Params, func(x, y *GParam) bool { return x.Wire == y.Wire && x.Type == y.Type }) {
				o.ParamsT, o.Shared = b.ParamsT, true
			}
		}
	}
}

// modelsType qualifies a Go type of package models for the root package.
func modelsType(t string) string {
	switch {
	case strings.HasPrefix(t, "[]"):
		return "[]" + modelsType(t[2:])
	case strings.HasPrefix(t, "map[string]"):
		return "map[string]" + modelsType(t[11:])
	}
	switch t {
	case "string", "int", "int64", "float64", "bool", "any", "time.Time":
		return t
	}
	return "models." + t
}
