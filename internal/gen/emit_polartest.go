package main

import (
	"fmt"
	"go/format"
	"slices"
	"strconv"
	"strings"
)

// emitPolartest writes the table that drives the embedded server: one line for
// each operation, parameter, request type, member and enum. It is text that
// the server reads once, since code for 190 operations would be slow to compile.
//
//	op      id method path success auth scopes flags body
//	/       path parameter: name type rules
//	?       query parameter: name type rules
//	object  name closed extra
//	.       member: name type rules
//	union   name discriminator alternatives
//	alias   name type
//	enum    name values
//
// Flags: anyone (a token is accepted, not needed), paged, optional (body),
// form (body), pending (202 without a body means not ready).
func (g *Gen) emitPolartest(out *output) error {
	var b strings.Builder
	line := func(fields ...string) error {
		for i, f := range fields {
			if strings.ContainsAny(f, "\t\n`") {
				return fmt.Errorf("polartest table: %q has a tab, a newline or a backquote", f)
			}
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(f)
		}
		b.WriteByte('\n')
		return nil
	}
	used := map[string]bool{}
	use := func(e *Expr) {
		walk(e, func(x *Expr) {
			if x.Kind == Ref {
				g.useType(x.Name, used)
			}
		})
	}
	for _, o := range g.facts.Ops {
		var flags []string
		for name, on := range map[string]bool{"anyone": o.Anyone, "paged": o.Paged, "optional": o.BodyOpt && o.body != nil, "form": o.BodyKind != "", "pending": o.Pending} {
			if on {
				flags = append(flags, name)
			}
		}
		slices.Sort(flags)
		if err := line("op", o.ID, o.Method, o.Path, o.Success, strings.Join(o.Auth, ","), strings.Join(o.Scopes, ","), strings.Join(flags, ","), o.Body); err != nil {
			return err
		}
		use(o.body)
		for _, p := range o.Params {
			kind := "?"
			if p.In == "path" {
				kind = "/"
			}
			if err := line(append([]string{kind, p.Name, p.Is}, rules(p.Limits, p.Required)...)...); err != nil {
				return err
			}
			use(p.expr)
		}
	}
	for _, t := range g.facts.Types {
		if !used[t.Name] {
			continue
		}
		var err error
		switch t.Kind {
		case "enum":
			err = line(append(append([]string{"enum", t.Name}, t.Plain...), t.Values...)...)
		case "union":
			err = line(append([]string{"union", t.Name, t.By}, t.Of...)...)
		case "alias":
			err = line("alias", t.Name, t.Is)
		default:
			closed := ""
			if t.Closed {
				closed = "closed"
			}
			err = line("object", t.Name, closed, t.Extra)
			for _, m := range t.Members {
				if err == nil && !m.ReadOnly {
					err = line(append([]string{".", m.Name, m.Is}, rules(m.Limits, m.Required)...)...)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	src := header + "package polartest\n\n// factsVersion is the API version that the table describes.\nconst factsVersion = " + strconv.Quote(g.facts.Version) +
		"\n\n// factsTable has what the server knows of operations and request bodies; readTable explains the lines.\nconst factsTable = `" + b.String() + "`\n"
	code, err := format.Source([]byte(src))
	if err != nil {
		return err
	}
	out.files["polartest/tables.go"] = code
	return nil
}

// useType marks a type and what it is made of.
func (g *Gen) useType(name string, used map[string]bool) {
	t := g.facts.types[name]
	if t == nil || used[name] {
		return
	}
	used[name] = true
	add := func(e *Expr) {
		walk(e, func(x *Expr) {
			if x.Kind == Ref {
				g.useType(x.Name, used)
			}
		})
	}
	for _, m := range t.Members {
		add(m.expr)
	}
	for _, n := range t.Of {
		g.useType(n, used)
	}
	for _, s := range []string{t.Is, t.Extra} {
		if s != "" {
			if e, err := parseExpr(s); err == nil {
				add(e)
			}
		}
	}
}

// rules writes bounds the way the server reads them.
func rules(l Limits, required bool) []string {
	var out []string
	num := func(op string, v *float64) {
		if v != nil {
			out = append(out, op+strconv.FormatFloat(*v, 'f', -1, 64))
		}
	}
	size := func(op string, v *int) {
		if v != nil {
			out = append(out, op+strconv.Itoa(*v))
		}
	}
	if required {
		out = append(out, "!")
	}
	num(">=", l.Min)
	num("<=", l.Max)
	num(">", l.Above)
	num("<", l.Below)
	size("len>=", l.MinLen)
	size("len<=", l.MaxLen)
	size("items>=", l.MinItems)
	size("items<=", l.MaxItems)
	if len(l.Default) > 0 {
		out = append(out, "="+string(l.Default))
	}
	if l.Pattern != "" {
		out = append(out, "~"+l.Pattern)
	}
	return out
}
