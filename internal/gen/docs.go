package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// lookup finds the sentence of a member: type, family, resource, common.
func (g *Gen) lookup(t *GType, m *GMember) *sentence {
	tw := g.words.types[t.Name]
	if tw != nil {
		if s := tw.members[m.Wire]; s != nil {
			return s
		}
	}
	for _, f := range g.words.families {
		if f.types[t.Name] {
			if s := f.members[m.Wire]; s != nil {
				return s
			}
		}
	}
	if tw != nil {
		if s := g.byUse(g.words.resource[tw.file][m.Wire], t, m.Base.Kind); s != nil {
			return s
		}
	}
	return g.byUse(g.words.common[m.Wire], t, m.Base.Kind)
}

// byUse prefers the line for the use of the type: in a PATCH, in a request.
func (g *Gen) byUse(list []*sentence, t *GType, kind string) *sentence {
	if t.Patch {
		if s := byKind(list, kind+"/patch"); s != nil {
			return s
		}
	}
	if t.Req && !t.Resp {
		if s := byKind(list, kind+"/request"); s != nil {
			return s
		}
	}
	return byKind(list, kind)
}

func byKind(list []*sentence, kind string) *sentence {
	for _, s := range list {
		if s.kind == kind || s.kind == "any" {
			return s
		}
	}
	return nil
}

// memberDoc is the comment of a field, without the name.
func (g *Gen) memberDoc(t *GType, m *GMember) string {
	if m.Wire == "-" {
		return "holds what only prices of this " + spaced(camel(m.pushed.By[0])) + " have: a pointer to one of the types that implement [" + m.Base.Go + "]."
	}
	s := g.lookup(t, m)
	if s == nil || s.text == "" {
		g.problem("%s.%s (%s) has no sentence", t.Name, m.Wire, m.Base.Kind)
		return "?"
	}
	s.used = true
	text, dep, _ := strings.Cut(s.text, " || ")
	g.checkName(s, t.Name+" "+m.Go, text)
	out := strings.ReplaceAll(text, "{noun}", noun(t.Name))
	var more []string
	if strings.HasSuffix(m.Base.Kind, "money") || m.Base.Kind == "{money}" {
		if !strings.Contains(out, "minor unit") {
			more = append(more, "In the currency's minor unit.")
		}
	}
	if len(m.Only) > 0 {
		more = append(more, fmt.Sprintf("Only when %s is %s.", m.OnlyOf, orList(quoted(m.Only))))
	}
	if len(m.Enum) > 0 {
		more = append(more, "Here one of "+orList(quoted(m.Enum))+".")
	}
	if t.Req || !t.Resp {
		limits := m.Limits
		if t.Patch {
			limits.Default = nil // what is left out stays as it is
		}
		more = append(more, limits.sentences(m)...)
	}
	if len(more) > 0 {
		out += " " + strings.Join(more, " ")
	}
	if m.Deprecated {
		if dep == "" {
			g.problem("%s.%s is deprecated: its sentence needs \" || \" and what to use instead (%s)", t.Name, m.Wire, s.where)
		}
		out += "\n\nDeprecated: " + upperFirst(strings.TrimSpace(dep))
	}
	return out
}

func quoted(vs []string) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = strconv.Quote(v)
	}
	return out
}

func orList(vs []string) string {
	if len(vs) < 2 {
		return strings.Join(vs, "")
	}
	return strings.Join(vs[:len(vs)-1], ", ") + " or " + vs[len(vs)-1]
}

func num(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// sentences puts the bounds into words.
func (l Limits) sentences(m *GMember) []string {
	var out []string
	switch {
	case l.MinLen != nil && l.MaxLen != nil:
		out = append(out, fmt.Sprintf("%d to %d characters.", *l.MinLen, *l.MaxLen))
	case l.MaxLen != nil:
		out = append(out, fmt.Sprintf("At most %d characters.", *l.MaxLen))
	case l.MinLen != nil && *l.MinLen == 1:
		out = append(out, "Not empty.")
	case l.MinLen != nil:
		out = append(out, fmt.Sprintf("At least %d characters.", *l.MinLen))
	}
	lo, hi := l.Min, l.Max
	if hi != nil && *hi >= math.MaxInt32 { // the width of the server's integers says nothing
		hi = nil
		if lo != nil && *lo <= math.MinInt32 {
			lo = nil
		}
	}
	switch {
	case lo != nil && hi != nil:
		out = append(out, fmt.Sprintf("From %s to %s.", num(*lo), num(*hi)))
	case lo != nil:
		out = append(out, fmt.Sprintf("At least %s.", num(*lo)))
	case hi != nil && l.Above != nil:
		out = append(out, fmt.Sprintf("More than %s, at most %s.", num(*l.Above), num(*hi)))
	case hi != nil:
		out = append(out, fmt.Sprintf("At most %s.", num(*hi)))
	case l.Above != nil && l.Below != nil:
		out = append(out, fmt.Sprintf("More than %s, less than %s.", num(*l.Above), num(*l.Below)))
	case l.Above != nil:
		out = append(out, fmt.Sprintf("More than %s.", num(*l.Above)))
	}
	switch {
	case l.MinItems != nil && l.MaxItems != nil:
		out = append(out, fmt.Sprintf("%d to %d items.", *l.MinItems, *l.MaxItems))
	case l.MaxItems != nil:
		out = append(out, fmt.Sprintf("At most %d items.", *l.MaxItems))
	case l.MinItems != nil && *l.MinItems == 1:
		out = append(out, "At least one item.")
	case l.MinItems != nil:
		out = append(out, fmt.Sprintf("At least %d items.", *l.MinItems))
	}
	if d := string(l.Default); d != "" && d != `""` && d != "[]" && d != "{}" && len(d) < 80 {
		out = append(out, "The default is "+strings.Trim(strings.NewReplacer("[", "", "]", "", ",", ", ").Replace(d), " ")+".")
	}
	return out
}

// stop words carry no meaning of their own in a sentence about a name.
var stop = map[string]bool{"is": true, "the": true, "a": true, "an": true, "of": true, "its": true, "this": true, "that": true, "are": true, "tells": true, "whether": true,
	"holds": true, "lists": true, "in": true, "for": true, "to": true, "and": true, "describes": true, "it": true}

// checkName refuses a sentence that says nothing beyond the name.
func (g *Gen) checkName(s *sentence, name, text string) {
	have := map[string]bool{}
	for _, part := range strings.Fields(name) {
		for _, w := range splitName(part) {
			w = strings.ToLower(w)
			have[w], have[strings.TrimSuffix(w, "s")] = true, true
		}
	}
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r < 'a' || r > 'z' }) {
		if !stop[w] && !have[w] && !have[strings.TrimSuffix(w, "s")] {
			return
		}
	}
	g.problem("%s: the sentence only repeats the name %s: %q", s.where, name, text)
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func spaced(goName string) string {
	return strings.ToLower(strings.Join(splitName(goName), " "))
}

// paramDoc is the comment of a query parameter's field.
func (g *Gen) paramDoc(o *GOp, p *GParam) string {
	var s *sentence
	ow := g.words.ops[o.key()]
	if ow != nil {
		s = ow.params[p.Wire]
		if s == nil {
			s = byKind(g.words.resParam[ow.file][p.Wire], p.Kind)
		}
	}
	if s == nil && p.Wire == "sorting" {
		def := ""
		if len(p.Default) > 0 {
			def = " The default is " + strings.Trim(strings.NewReplacer("[", "", "]", "", ",", ", ").Replace(string(p.Default)), " ") + "."
		}
		return "orders the items by these criteria, the first one first." + def
	}
	if s == nil {
		s = byKind(g.words.params[p.Wire], p.Kind)
	}
	if s == nil || s.text == "" {
		g.problem("op %s: parameter .%s (%s) has no sentence", o.key(), p.Wire, p.Kind)
		return "?"
	}
	s.used = true
	out := s.text
	lim := p.Limits
	if p.Wire == "limit" || p.Wire == "page" {
		lim.Above = nil
	}
	if more := lim.sentences(nil); len(more) > 0 {
		out += " " + strings.Join(more, " ")
	}
	return out
}

// comment formats a doc comment: the name, the text, wrapped.
func comment(indent, name, text string) string {
	var b strings.Builder
	first := true
	for _, para := range strings.Split(text, "\n\n") {
		if !first {
			b.WriteString(indent + "//\n")
		}
		if strings.HasPrefix(para, "\t") { // a code block
			for _, l := range strings.Split(para, "\n") {
				b.WriteString(indent + "//" + l + "\n")
			}
			first = false
			continue
		}
		if first && name != "" {
			para = name + " " + para
		}
		first = false
		line := indent + "//"
		for _, w := range strings.Fields(para) {
			if len(line)+1+len(w) > 116 {
				b.WriteString(line + "\n")
				line = indent + "//"
			}
			line += " " + w
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// typeDoc is the comment of a type.
func (g *Gen) typeDoc(t *GType) string {
	tw := g.words.types[t.Name]
	if tw == nil || tw.self.text == "" {
		if strings.HasSuffix(t.Name, "Sort") && t.Kind == "enum" {
			return "is a criterion to sort " + plural(noun(strings.TrimSuffix(t.Name, "Sort"))) + " by. Names that end in Desc sort from the highest down."
		}
		g.problem("type %s has no sentence", t.Name)
		return "?"
	}
	tw.self.used = true
	text, dep, _ := strings.Cut(tw.self.text, " || ")
	g.checkName(tw.self, t.Name, text)
	text = strings.ReplaceAll(text, "{noun}", noun(t.Name))
	if dep != "" {
		text += "\n\nDeprecated: " + upperFirst(dep)
	}
	return text
}

// valueDoc is the comment of an enum constant.
func (g *Gen) valueDoc(t *GType, value string) string {
	if strings.HasSuffix(t.Name, "Sort") {
		tw := g.words.types[t.Name]
		if tw != nil && tw.values[value] != nil {
			tw.values[value].used = true
			return tw.values[value].text
		}
		what := strings.ReplaceAll(strings.TrimPrefix(value, "-"), "_", " ")
		if strings.HasPrefix(value, "-") {
			return "sorts by " + what + ", from the highest or latest down."
		}
		return "sorts by " + what + ", from the lowest or earliest up."
	}
	tw := g.words.types[t.Name]
	var s *sentence
	if tw != nil {
		if s = tw.values[value]; s == nil {
			s = tw.values["*"]
		}
	}
	if s == nil || s.text == "" {
		g.problem("type %s: the value %q has no sentence", t.Name, value)
		return "?"
	}
	s.used = true
	text, dep, _ := strings.Cut(s.text, " || ")
	text = strings.NewReplacer("{value}", value, "{VALUE}", strings.ToUpper(value), "{words}", strings.NewReplacer("_", " ", ":", " ").Replace(value)).Replace(text)
	if dep != "" {
		text += "\n\nDeprecated: " + upperFirst(dep)
	}
	return text
}

// unusedWords reports sentences that nothing used and sentences written twice.
func (g *Gen) unusedWords() {
	seen := map[string]*sentence{}
	for _, s := range g.words.all {
		if s.text != "" && !s.used {
			g.problem("%s: nothing uses this line: %q", s.where, s.text)
		}
		if s.kind != "" || len(s.text) == 0 || strings.Contains(s.where, "common") {
			continue
		}
		if o := seen[s.text]; o != nil {
			g.problem("%s: the sentence stands at %s too; share it through a family or a common line: %q", s.where, o.where, s.text)
		}
		seen[s.text] = s
		if end := s.text[len(s.text)-1]; !slices.Contains([]byte(".:!?"), end) {
			g.problem("%s: a sentence ends with a full stop: %q", s.where, s.text)
		}
	}
}

// serviceDoc is the comment of a service type.
func (g *Gen) serviceDoc(s *Service) string {
	x := g.words.services[s.name()]
	if x == nil || x.text == "" {
		g.problem("service %s has no sentence", s.name())
		return "?"
	}
	x.used = true
	return x.text
}

// errorDoc is the comment of an error name.
func (g *Gen) errorDoc(e *ErrorFact) string {
	x := g.words.errors[e.Name]
	if x == nil || x.text == "" {
		if e.Name == "Unauthorized" || e.Name == "BadRequest" {
			return ""
		}
		g.problem("error %s has no sentence", e.Name)
		return "?"
	}
	x.used = true
	return x.text
}

// opDoc is the comment of a method: the sentence, further paragraphs, then what the facts say.
func (g *Gen) opDoc(o *GOp) string {
	ow := g.words.ops[o.key()]
	if ow == nil || ow.self.text == "" {
		g.problem("op %s has no sentence", o.key())
		return "?"
	}
	ow.self.used = true
	g.checkName(ow.self, o.Method+" "+singularField(o.Service.Field), strings.Replace(ow.self.text, "returns", "", 1))
	out := ow.self.text
	for _, m := range ow.more {
		out += "\n\n" + m.text
	}
	out += "\n\n" + o.Op.Method + " " + o.Op.Path + "."
	switch {
	case len(o.Auth) == 0:
		out += " It needs no token and never sends one."
	case o.Anyone:
		out += " A token is sent if the client has one, but not needed."
	case len(o.Scopes) > 0:
		out += " Scope: " + orList(o.Scopes) + "."
	case o.Service.Portal && !slices.Contains(o.Auth, "customer_session"):
		out += " It takes the token of a member's session."
	}
	if len(o.Errors) > 0 {
		var names []string
		for _, st := range sortedKeys(o.Errors) {
			for _, n := range o.Errors[st] {
				if n == "ResourceNotFound" {
					names = append(names, "[ErrNotFound]")
				} else if n != "Unauthorized" && n != "BadRequest" {
					names = append(names, "["+errorConst(n)+"]")
				}
			}
		}
		names = slices.Compact(names)
		if len(names) > 0 {
			out += " Errors: " + strings.Join(names, ", ") + "."
		}
	}
	return out
}

// errorConst is the Go name of a named error.
func errorConst(name string) string { return "Err" + strings.TrimSuffix(name, "Error") }
