package main

import (
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// example is a JSON text of an expression with every member set. n makes the values differ.
func (g *Gen) example(e *Expr, wire string, n *int, depth int) string {
	*n++
	switch e.Kind {
	case Const:
		return e.Name
	case List:
		if depth > 7 {
			return "[]"
		}
		return "[" + g.example(e.Elems[0], wire, n, depth+1) + "]"
	case Map:
		if x := e.Elems[0]; x.Kind == Alt && len(g.facts.leaves(x)) == 0 || x.String() == "any" {
			return fmt.Sprintf(`{"flag":true,"big":9007199254740993,"name":"n%d","share":0.25}`, *n)
		}
		key := "usd"
		if wire != "amounts" && wire != "prices" {
			key = "key"
		}
		return `{"` + key + `":` + g.example(e.Elems[0], wire, n, depth+1) + "}"
	case Tuple:
		return `["FR61954506077","eu_vat"]`
	case Alt:
		if s := stripNull(e).String(); s == "int|number" {
			return fmt.Sprintf("%d.5", *n)
		}
		return g.example(e.Elems[0], wire, n, depth)
	case Ref:
		return g.exampleType(e.Name, n, depth)
	}
	switch e.Name {
	case "int":
		return strconv.Itoa(*n)
	case "number":
		return fmt.Sprintf("%d.25", *n)
	case "bool":
		return "true"
	case "time":
		return fmt.Sprintf(`"2026-10-%02dT08:%02d:05.%03dZ"`, 1+*n%28, *n%60, 101+10*(*n%89))
	case "date":
		return fmt.Sprintf(`"2026-03-%02d"`, 1+*n%28)
	case "uuid", "uuid4":
		return fmt.Sprintf(`"00000000-0000-4000-8000-%012d"`, *n)
	case "uri":
		return fmt.Sprintf(`"https://example.com/%s/%d"`, wire, *n)
	case "email":
		return fmt.Sprintf(`"user%d@example.com"`, *n)
	case "ip":
		return `"192.0.2.1"`
	case "decimal":
		return fmt.Sprintf(`"%d.000000000001"`, *n)
	case "any":
		return fmt.Sprintf(`"any %d"`, *n)
	case "null":
		return "null"
	}
	return fmt.Sprintf(`"%s %d"`, wire, *n)
}

func (g *Gen) exampleType(name string, n *int, depth int) string {
	t := g.facts.types[name]
	switch t.Kind {
	case "enum":
		vals := t.Values
		if len(t.Plain) > 0 {
			vals = t.Plain
		}
		return strconv.Quote(vals[*n%len(vals)])
	case "alias":
		e, _ := parseExpr(t.Is)
		return g.example(e, "", n, depth)
	case "union":
		return g.exampleType(t.Of[0], n, depth)
	}
	if name == "FilterClause" || name == "Filter" && depth > 5 {
		return `{"property":"name","operator":"eq","value":"api_call"}`
	}
	var parts []string
	for _, m := range t.Members {
		if stripNull(m.expr).Kind == Prim && stripNull(m.expr).Name == "null" && !m.Required {
			continue
		}
		v := g.example(stripNull(m.expr), m.Name, n, depth+1)
		// the alternatives of a pushed member go with the discriminator beside them
		if u := g.flatOf[name]; u != nil && u.Rule == "push" && len(g.facts.leaves(stripNull(m.expr))) > 1 {
			v = g.examplePushed(name, u, m, n, depth, parts)
		}
		parts = append(parts, strconv.Quote(m.Name)+":"+v)
	}
	if t.Extra != "" {
		parts = append(parts, `"tokens":17`, `"model name":"m"`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// examplePushed makes the value that belongs to the discriminator of the object so far.
func (g *Gen) examplePushed(name string, u *Union, m *Member, n *int, depth int, parts []string) string {
	if m.Name != u.Push[0][0] {
		return g.example(stripNull(m.expr), m.Name, n, depth+1)
	}
	so := strings.Join(parts, ",")
	for _, v := range g.sealed[u.Push[0][1]].Variants {
		path := strings.Split(u.By[0], ".")
		if strings.Contains(so, fmt.Sprintf("%q:%q", path[len(path)-1], v.disc)) {
			for _, l := range g.facts.leaves(stripNull(m.expr)) {
				if g.goName(l) == v.typ {
					return g.exampleType(l, n, depth+1)
				}
			}
			return "{}"
		}
	}
	return "{}"
}

// emitTests writes the examples of every type, the registry of package models and the wire tests' table.
func (g *Gen) emitTests(out *output) error {
	var lines strings.Builder
	seen := map[string]bool{}
	n := 0
	var facts []string
	for _, t := range g.facts.Types {
		if t.Kind == "object" && (g.inReq[t.Name] || g.inResp[t.Name]) && !strings.HasPrefix(t.Name, "ListResource") && !strings.HasSuffix(t.Name, "Payload") &&
			t.Name != "Pagination" && t.Name != "CursorPagination" {
			facts = append(facts, t.Name)
		}
	}
	for _, f := range facts {
		goName := g.goNameOf(f)
		if f == "EventCreateCustomer" || f == "EventCreateExternalCustomer" {
			goName = "EventCreate"
		}
		if g.types[goName] == nil && !g.shape.Hand[goName] {
			continue // swallowed by another type
		}
		n = len(f)
		fmt.Fprintf(&lines, "{\"facts\":%q,\"go\":%q,\"json\":%s}\n", f, goName, g.exampleType(f, &n, 0))
		seen[goName] = true
	}
	out.files["models/testdata/examples.jsonl"] = []byte(lines.String())
	var b strings.Builder
	b.WriteString("// registry makes a value of each type that stands for an object of the API.\nvar registry = map[string]func() any{\n")
	for _, name := range sortedKeys(seen) {
		fmt.Fprintf(&b, "\t%q: func() any { return new(%s) },\n", name, name)
	}
	b.WriteString("}\n\n// rest holds the structs that are only parts of those.\nvar rest = map[string]func() any{\n")
	for _, name := range sortedKeys(g.types) {
		if t := g.types[name]; t.Kind == "struct" && !seen[name] {
			fmt.Fprintf(&b, "\t%q: func() any { return new(%s) },\n", name, name)
		}
	}
	b.WriteString("}\n\n// requests holds the types that are only sent.\nvar requests = map[string]bool{\n")
	for _, name := range sortedKeys(g.types) {
		if t := g.types[name]; t.Req && !t.Resp {
			fmt.Fprintf(&b, "\t%q: true,\n", name)
		}
	}
	if seen["EventCreate"] {
		b.WriteString("\t\"EventCreate\": true,\n")
	}
	b.WriteString("}\n\n// enums holds the values of each enum.\nvar enums = map[string]int{\n")
	for _, name := range sortedKeys(g.types) {
		if t := g.types[name]; t.Kind == "enum" {
			fmt.Fprintf(&b, "\t%q: len(%sValues()),\n", name, name)
		}
	}
	b.WriteString("}\n\n// discriminators lists, by type, the members that choose an alternative.\nvar discriminators = map[string]string{\n")
	for _, name := range sortedKeys(g.types) {
		if t := g.types[name]; t.Union != nil && (t.Union.Rule == "push" || t.Union.Rule == "split") {
			fmt.Fprintf(&b, "\t%q: %q,\n", name, strings.Join(t.Union.By, ","))
		}
	}
	b.WriteString("}\n")
	if err := out.goFile("models/registry_test.go", "models", b.String(), "models"); err != nil {
		return err
	}
	return g.emitWire(out)
}

// emitWire writes the table of wire tests: one line for each operation and each alternative of its body.
func (g *Gen) emitWire(out *output) error {
	var b strings.Builder
	b.WriteString("// wireCases has every operation, and every alternative of a request body.\nvar wireCases = []wireCase{\n")
	for _, s := range g.shape.Services {
		for _, o := range s.Ops {
			bodies := []string{""}
			if o.Op.body != nil {
				bodies = g.facts.leaves(o.Op.body)
			}
			for _, body := range bodies {
				g.wireCase(&b, s, o, body)
			}
		}
	}
	b.WriteString("}\n")
	return out.goFile("wire_cases_test.go", "polar", b.String(), "")
}

func (g *Gen) wireCase(b *strings.Builder, s *Service, o *GOp, body string) {
	path := o.Op.Path
	args := []string{"ctx"}
	for i, p := range o.Op.Params {
		if p.In != "path" {
			continue
		}
		raw := fmt.Sprintf("a/%d?b #c%%", i)
		path = strings.Replace(path, "{"+p.Name+"}", url.PathEscape(raw), 1)
		args = append(args, strconv.Quote(raw))
	}
	name := o.ID
	bodyJSON := ""
	if body != "" {
		n := 0
		bodyJSON = g.exampleType(body, &n, 0)
		goName := g.goNameOf(body)
		if goName == "" || g.shape.Unions["EventCreate"] != nil && strings.HasPrefix(body, "EventCreate") {
			goName = "EventCreate"
		}
		bodies := g.facts.leaves(o.Op.body)
		if len(bodies) > 1 {
			name += " " + body
		}
		arg := "*body[models." + goName + "](b)"
		if o.BodyPtr {
			arg = "body[models." + goName + "](b)"
		}
		args = append(args, arg)
	}
	query := ""
	if o.ParamsT != "" {
		lit, q := g.paramsLiteral(o)
		query = q
		if o.ReqQ {
			args = append(args, o.ParamsT+lit)
		} else {
			args = append(args, "&"+o.ParamsT+lit)
		}
	}
	target := "c."
	if s.Portal {
		target = "p."
	}
	call := target + s.Field + "." + o.Method + "(" + strings.Join(args, ", ") + ")"
	result := "return " + call
	if o.Result == "" {
		result = "return nil, " + call
	}
	fmt.Fprintf(b, "\t{\n\t\tname: %q, op: %q, method: %q, route: %q, path: %q, status: %s,\n", name, o.ID, o.Op.Method, o.Op.Path, path, o.Success)
	if query != "" {
		fmt.Fprintf(b, "\t\tquery: %q,\n", query)
	}
	if bodyJSON != "" {
		if o.BodyKind != "" {
			fmt.Fprintf(b, "\t\tform: true,\n")
		}
		fmt.Fprintf(b, "\t\tbody: `%s`,\n", bodyJSON)
	}
	if ls := g.facts.leaves(resultOr(o)); o.Result != "" && o.Kind == "" && len(ls) > 0 {
		switch {
		case isListResource(g.facts, ls):
			item := g.facts.leaves(g.facts.types[ls[0]].member("items").expr.Elems[0])
			fmt.Fprintf(b, "\t\tresponse: %q, list: true,\n", item[0])
		default:
			fmt.Fprintf(b, "\t\tresponse: %q,\n", ls[0])
		}
	} else if o.Bare {
		fmt.Fprintf(b, "\t\tresponse: %q, bare: true,\n", g.facts.leaves(o.Op.result.Elems[0])[0])
	}
	if o.Kind == "text/csv" {
		b.WriteString("\t\tcsv: true,\n")
	}
	switch {
	case len(o.Auth) == 0:
		b.WriteString("\t\tauth: never,\n")
	case o.Anyone:
		b.WriteString("\t\tauth: ifAny,\n")
	}
	if o.isPaged() {
		all := "All" + strings.TrimPrefix(o.Method, "List")
		b.WriteString("\t\tall: func(ctx context.Context, c *Client, p *Portal) iter.Seq2[any, error] {\n\t\t\treturn anySeq(" + target + s.Field + "." + all + "(" +
			strings.Join(append(args[:len(args)-1:len(args)-1], "nil"), ", ") + "))\n\t\t},\n")
	}
	fmt.Fprintf(b, "\t\tcall: func(ctx context.Context, c *Client, p *Portal, b string) (any, error) {\n\t\t\t%s\n\t\t},\n\t},\n", result)
}

func resultOr(o *GOp) *Expr {
	if o.Op.result == nil {
		return &Expr{Kind: Prim, Name: "null"}
	}
	return o.Op.result
}

// paramsLiteral is a Go literal of a query struct with every field set, and the query that it makes.
func (g *Gen) paramsLiteral(o *GOp) (lit, query string) {
	var fields []string
	q := url.Values{}
	for _, p := range o.Params {
		var val string
		add := func(vs ...string) {
			for _, v := range vs {
				q.Add(p.Wire, v)
			}
		}
		elem := strings.TrimPrefix(strings.TrimPrefix(p.Type, "[]"), "*")
		enum := g.types[strings.TrimPrefix(elem, "models.")]
		switch {
		case p.Wire == "page":
			val = "2"
			add("2")
		case p.Wire == "limit":
			val = "50"
			add("50")
		case p.Type == "MetadataFilter":
			val = `MetadataFilter{"plan": {"1", "a&b"}, "k": {"true"}}`
			q["metadata[k]"] = []string{"true"}
			q["metadata[plan]"] = []string{"1", "a&b"}
		case p.Type == "*models.Filter":
			val = "body[models.Filter](`{\"conjunction\":\"and\",\"clauses\":[{\"property\":\"name\",\"operator\":\"eq\",\"value\":\"a\"}]}`)"
			add(`{"conjunction":"and","clauses":[{"property":"name","operator":"eq","value":"a"}]}`)
		case p.Type == "[]string":
			val = `[]string{"x&y=1", "z"}`
			add("x&y=1", "z")
		case p.Type == "string":
			val = `"x&y=1"`
			add("x&y=1")
		case p.Type == "*bool":
			val = "new(false)"
			add("false")
		case p.Type == "*int":
			val = "new(0)"
			add("0")
		case p.Type == "time.Time":
			val = `time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.FixedZone("", 7200))`
			add("2026-01-02T03:04:05.6789+02:00")
		case p.Type == "models.Date":
			val = `date("2026-01-02")`
			add("2026-01-02")
		case enum != nil && strings.HasPrefix(p.Type, "[]"):
			a, z := enum.Values[0], enum.Values[len(enum.Values)-1]
			val = fmt.Sprintf("%s{models.%s, models.%s}", p.Type, constName(enum.Name, z), constName(enum.Name, a))
			add(z, a)
		case enum != nil:
			v := enum.Values[0]
			val = "models." + constName(enum.Name, v)
			add(v)
		default:
			g.problem("wire test: no value for %s of type %s", p.Wire, p.Type)
			continue
		}
		fields = append(fields, p.Go+": "+val)
	}
	keys := sortedKeys(q)
	sort.Strings(keys)
	slices.Sort(keys)
	return "{" + strings.Join(fields, ", ") + "}", q.Encode()
}
