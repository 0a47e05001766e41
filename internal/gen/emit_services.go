package main

import (
	"fmt"
	"slices"
	"strings"
)

// emitServices writes a file for each service, and the constants of the error names.
func (g *Gen) emitServices(out *output) error {
	for _, s := range g.shape.Services {
		var b strings.Builder
		b.WriteString(comment("", s.Type, g.serviceDoc(s)))
		fmt.Fprintf(&b, "type %s struct{ core *core }\n\n", s.Type)
		for _, o := range s.Ops {
			g.emitOp(&b, o)
		}
		for _, o := range s.Ops {
			if o.ParamsT != "" && !o.Shared {
				g.emitParams(&b, o)
			}
		}
		if err := out.goFile(s.File, "polar", b.String(), ""); err != nil {
			return err
		}
	}
	return g.emitErrors(out)
}

func (g *Gen) emitOp(b *strings.Builder, o *GOp) {
	s := o.Service
	args := "ctx context.Context"
	for _, p := range o.Path {
		args += ", " + p + " string"
	}
	if o.BodyGo != "" {
		t := modelsType(o.BodyGo)
		if o.BodyPtr {
			t = "*" + t
		}
		args += ", body " + t
	}
	query := ""
	if o.ParamsT != "" {
		if o.ReqQ {
			args += ", params " + o.ParamsT
			query = "&params"
		} else {
			args += ", params *" + o.ParamsT
			query = "params"
		}
	}
	args += ", opts ...CallOption"
	req := g.request(o, query)
	doc := g.opDoc(o)
	b.WriteString(comment("", o.Method, doc))
	recv := fmt.Sprintf("func (s *%s) %s(%s) ", s.Type, o.Method, args)
	noBody := ""
	if o.BodyPtr {
		noBody = "\tr := &request{" + req + "}\n\tif body == nil {\n\t\tr.noBody = true\n\t} else {\n\t\tr.body = body\n\t}\n"
		req = ""
	}
	arg := "&request{" + req + "}"
	if noBody != "" {
		arg = "r"
	}
	switch {
	case o.Kind == "text/csv":
		fmt.Fprintf(b, "%s(io.ReadCloser, error) {\n%s\treturn stream(ctx, s.core, %s)\n}\n\n", recv, noBody, arg)
	case o.Result == "":
		fmt.Fprintf(b, "%serror {\n%s\treturn exec(ctx, s.core, %s)\n}\n\n", recv, noBody, arg)
	case o.Pending:
		arg = "&request{" + req[:len(req)-len(", opts: opts")] + ", pending: &out.Pending, opts: opts}"
		fmt.Fprintf(b, "%s(*%s, error) {\n\tvar out %s\n\tif err := s.core.call(ctx, %s, &out); err != nil {\n\t\treturn nil, err\n\t}\n\treturn &out, nil\n}\n\n", recv, o.Result, o.Result, arg)
	case o.Bare:
		fmt.Fprintf(b, "%s(%s, error) {\n%s\tout, err := do[%s](ctx, s.core, %s)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\treturn *out, nil\n}\n\n", recv, o.Result, noBody, o.Result, arg)
	default:
		fmt.Fprintf(b, "%s(*%s, error) {\n%s\treturn do[%s](ctx, s.core, %s)\n}\n\n", recv, o.Result, noBody, o.Result, arg)
	}
	if o.isPaged() {
		all := "All" + strings.TrimPrefix(o.Method, "List")
		calls := "ctx"
		for _, p := range o.Path {
			calls += ", " + p
		}
		text := fmt.Sprintf("returns an iterator over what [%s.%s] lists, page by page, from params.Page on. It fetches a page when the loop reaches it, yields the first error and ends, and starts again when it is ranged over again. A nil params means the defaults, with pages of 100.", s.Type, o.Method)
		b.WriteString(comment("", all, text))
		fmt.Fprintf(b, "func (s *%s) %s(%s) iter.Seq2[*%s, error] {\n\treturn all(params, func(p *%s) (*%s, error) { return s.%s(%s, p, opts...) })\n}\n\n", s.Type, all, args, o.Item, o.ParamsT, o.Result, o.Method, calls)
	}
}

// isPaged tells whether an operation gets an iterator: lists with page and limit.
func (o *GOp) isPaged() bool {
	return o.Item != "" && slices.ContainsFunc(o.Params, func(p *GParam) bool { return p.Wire == "page" })
}

func (g *Gen) request(o *GOp, query string) string {
	method := "http.Method" + upperFirst(strings.ToLower(o.Op.Method))
	req := fmt.Sprintf("op: %q, method: %s, route: %q", o.ID, method, o.Op.Path)
	if len(o.Path) > 0 {
		req += ", path: []string{" + strings.Join(o.Path, ", ") + "}"
	}
	if query != "" {
		req += ", query: " + query
	}
	switch {
	case o.BodyGo != "" && !o.BodyPtr:
		req += ", body: body"
	case o.BodyGo == "" && o.Op.Method != "GET" && o.Op.Method != "DELETE":
		req += ", noBody: true"
	}
	if o.BodyKind != "" {
		req += ", form: true"
	}
	if o.Kind != "" {
		req += fmt.Sprintf(", accept: %q", o.Kind)
	}
	var flags []string
	switch {
	case len(o.Auth) == 0:
		flags = append(flags, "public")
	case o.Anyone:
		flags = append(flags, "optionalAuth")
	}
	if g.shape.Idempotent[o.ID] {
		flags = append(flags, "idempotent")
	}
	if len(flags) > 0 {
		req += ", flags: " + strings.Join(flags, " | ")
	}
	return req + ", opts: opts"
}

func (g *Gen) emitParams(b *strings.Builder, o *GOp) {
	verb := "are the query parameters of"
	text := fmt.Sprintf("%s [%s.%s].", verb, o.Service.Type, o.Method)
	if o.isPaged() {
		text = fmt.Sprintf("%s [%s.%s] and [%s.All%s]. The zero value of a field leaves it to Polar's default.", verb, o.Service.Type, o.Method, o.Service.Type, strings.TrimPrefix(o.Method, "List"))
	}
	b.WriteString(comment("", o.ParamsT, text))
	fmt.Fprintf(b, "type %s struct {\n", o.ParamsT)
	for _, p := range o.Params {
		b.WriteString(comment("\t", p.Go, g.paramDoc(o, p)))
		layout := ""
		if p.Type == "time.Time" || p.Type == "*time.Time" {
			layout = ` layout:"2006-01-02T15:04:05.999999999Z07:00"`
		}
		fmt.Fprintf(b, "\t%s %s `url:\"%s,omitempty\"%s`\n", p.Go, p.Type, p.Wire, layout)
	}
	b.WriteString("}\n\n")
	if o.isPaged() {
		fmt.Fprintf(b, "func (p *%s) paging() (page, limit *int) { return &p.Page, &p.Limit }\n\n", o.ParamsT)
	}
	if o.ReqQ {
		fmt.Fprintf(b, "func (p *%s) required() error {\n", o.ParamsT)
		for _, p := range o.Params {
			if !p.Required {
				continue
			}
			cond := "p." + p.Go + " == \"\""
			if p.Type == "time.Time" || p.Type == "models.Date" {
				cond = "p." + p.Go + ".IsZero()"
			}
			fmt.Fprintf(b, "\tif %s {\n\t\treturn missing(%q)\n\t}\n", cond, p.Wire)
		}
		b.WriteString("\treturn nil\n}\n\n")
	}
}

func (g *Gen) emitErrors(out *output) error {
	var b strings.Builder
	b.WriteString("// Names of Polar's errors, for errors.Is. Names that are not listed work too: errors.Is(err, polar.ErrorName(\"NewerName\")).\nconst (\n")
	for _, e := range g.facts.Errors {
		if e.Name == "Unauthorized" || e.Name == "BadRequest" {
			continue
		}
		doc := g.errorDoc(e)
		if len(e.Status) > 0 {
			doc += " Status " + orList(e.Status) + "."
		}
		b.WriteString(comment("\t", errorConst(e.Name), doc))
		fmt.Fprintf(&b, "\t%s ErrorName = %q\n", errorConst(e.Name), e.Name)
	}
	b.WriteString(")\n")
	return out.goFile("errornames.go", "polar", b.String(), "")
}

// table is the README's table of operations.
func (g *Gen) table() string {
	var b strings.Builder
	for _, portal := range []bool{false, true} {
		if portal {
			b.WriteString("\nOf the portal client (`client.Portal`, `polar.NewPortal`):\n")
		}
		b.WriteString("\n| method | endpoint |\n|---|---|\n")
		for _, s := range g.shape.Services {
			if s.Portal != portal {
				continue
			}
			for _, o := range s.Ops {
				name := s.Field + "." + o.Method
				if o.isPaged() {
					name += "`, `All" + strings.TrimPrefix(o.Method, "List")
				}
				fmt.Fprintf(&b, "| `%s` | `%s %s` |\n", name, o.Op.Method, o.Op.Path)
			}
		}
	}
	return b.String()
}
