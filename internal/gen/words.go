package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Shape says how facts become Go: services, methods, names, rules of unions.
type Shape struct {
	Services []*Service
	Ops      map[string]*OpShape // by operation id
	Names    map[string]string   // facts type → Go name
	Groups   map[string][]string // Go name → facts types, in the order written
	Hand     map[string]bool     // Go names written by hand
	Unions   map[string]*Union   // by Go name
	As       map[string]string   // Type.member → facts type
	Money    []string
	Wide     []string
	// Idempotent operations may be sent again although they are not a GET.
	Idempotent map[string]bool
}

// Service is a field of the client or the portal.
type Service struct {
	Field, Type, File string
	Groups            []string
	Portal            bool
	Ops               []*GOp
}

// name is how words and errors call the service.
func (s *Service) name() string {
	if s.Portal {
		return "Portal." + s.Field
	}
	return s.Field
}

// OpShape is what the shape says of one operation.
type OpShape struct {
	Service, Method string
	Args            []string // names of the path arguments, where the route's own read badly
	NoResult        bool
}

// Union is a union and its rule.
type Union struct {
	Name   string
	Of     []string // as written; empty: the union of the facts with this name
	Rule   string   // flat push split sealed oneof hand
	Push   [][2]string
	By     []string // path of the discriminator; two for source then name
	ByType string   // facts enum of the discriminator, or a new Go name
	ByOf   string   // flat: the member that ByType is for
	Extra  []string // split: members that stay flat
	OneOf  []string
	leaves []string
}

// sentence is one written line and whether anything used it.
type sentence struct {
	text  string
	where string
	kind  string // common sentences: the type they are for
	used  bool
}

// TypeWords are the sentences of a Go type.
type TypeWords struct {
	self    *sentence
	file    string
	members map[string]*sentence
	values  map[string]*sentence
}

// Words are all sentences.
type Words struct {
	types    map[string]*TypeWords
	families []*family
	common   map[string][]*sentence            // member → sentences, by type
	resource map[string]map[string][]*sentence // file → member → sentences
	params   map[string][]*sentence
	resParam map[string]map[string][]*sentence
	ops      map[string]*OpWords
	services map[string]*sentence
	errors   map[string]*sentence
	events   map[string]*sentence
	all      []*sentence
}

type family struct {
	name    string
	types   map[string]bool
	members map[string]*sentence
}

// OpWords are the sentences of an operation.
type OpWords struct {
	self   *sentence
	params map[string]*sentence
	file   string
	more   []*sentence
}

func readShape(path string) (*Shape, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sh := &Shape{Ops: map[string]*OpShape{}, Names: map[string]string{}, Groups: map[string][]string{}, Hand: map[string]bool{},
		Unions: map[string]*Union{}, As: map[string]string{}, Idempotent: map[string]bool{}}
	for n, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := sh.line(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n+1, err)
		}
	}
	return sh, nil
}

func (sh *Shape) line(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	left, right, hasRight := strings.Cut(rest, " = ")
	l, r := strings.Fields(left), strings.Fields(right)
	switch word {
	case "service", "portal":
		if len(l) != 3 {
			return fmt.Errorf("want: %s FIELD TYPE FILE = GROUPS", word)
		}
		sh.Services = append(sh.Services, &Service{Field: l[0], Type: l[1], File: l[2], Groups: r, Portal: word == "portal"})
	case "op":
		if len(l) != 1 || len(r) == 0 {
			return fmt.Errorf("want: op ID = SERVICE.METHOD")
		}
		i := strings.LastIndexByte(r[0], '.')
		o := &OpShape{Service: r[0][:i], Method: r[0][i+1:]}
		args := strings.Join(r[1:], " ")
		if args == "noresult" {
			o.NoResult = true
		} else if args != "" {
			for _, a := range strings.Split(strings.Trim(args, "()"), ",") {
				o.Args = append(o.Args, strings.TrimSpace(a))
			}
		}
		if sh.Ops[l[0]] != nil {
			return fmt.Errorf("operation %s is named twice", l[0])
		}
		sh.Ops[l[0]] = o
	case "name":
		if !hasRight || len(r) != 1 {
			return fmt.Errorf("want: name FACTS... = GO")
		}
		for _, n := range l {
			if sh.Names[n] != "" {
				return fmt.Errorf("%s is named twice", n)
			}
			sh.Names[n] = r[0]
		}
		sh.Groups[r[0]] = append(sh.Groups[r[0]], l...)
	case "as":
		sh.As[l[0]] = r[0]
	case "hand":
		for _, n := range strings.Fields(rest) {
			sh.Hand[n] = true
		}
	case "idempotent":
		for _, n := range strings.Fields(rest) {
			sh.Idempotent[n] = true
		}
	case "money":
		sh.Money = append(sh.Money, strings.Fields(rest)...)
	case "wide":
		sh.Wide = append(sh.Wide, strings.Fields(rest)...)
	case "union":
		return sh.union(rest)
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return nil
}

func (sh *Shape) union(rest string) error {
	head, rule, ok := strings.Cut(rest, " : ")
	if !ok {
		return fmt.Errorf("want: union NAME [= ALTERNATIVES] : RULE")
	}
	name, of, _ := strings.Cut(head, " = ")
	u := &Union{Name: strings.TrimSpace(name), Of: strings.Fields(of)}
	f := strings.Fields(rule)
	u.Rule = f[0]
	mode := f[0]
	for _, w := range f[1:] {
		switch {
		case w == "by" || w == "extra":
			mode = w
		case mode == "by":
			path, typ, _ := strings.Cut(w, "=")
			u.By, u.ByType = strings.Split(path, ","), typ
		case mode == "extra":
			u.Extra = append(u.Extra, w)
		case mode == "push" || mode == "split":
			a, b, _ := strings.Cut(w, "=")
			u.Push = append(u.Push, [2]string{a, b})
		case mode == "flat":
			u.ByOf, u.ByType, _ = strings.Cut(w, "=")
		case mode == "oneof":
			u.OneOf = append(u.OneOf, w)
		default:
			return fmt.Errorf("union %s: %q is not understood", u.Name, w)
		}
	}
	if sh.Unions[u.Name] != nil {
		return fmt.Errorf("union %s twice", u.Name)
	}
	sh.Unions[u.Name] = u
	return nil
}

// readWords reads every words file of dir but the shape.
func readWords(dir string) (*Words, error) {
	w := &Words{types: map[string]*TypeWords{}, common: map[string][]*sentence{}, resource: map[string]map[string][]*sentence{},
		params: map[string][]*sentence{}, resParam: map[string]map[string][]*sentence{}, ops: map[string]*OpWords{},
		services: map[string]*sentence{}, errors: map[string]*sentence{}, events: map[string]*sentence{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.words"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	for _, path := range files {
		base := strings.TrimSuffix(filepath.Base(path), ".words")
		if base == "shape" {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := w.parse(base, string(data)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// parse reads one file. Its blocks:
//
//	service Orders: sentence
//	op Orders.Finalize: sentence
//	  .param: sentence
//	  + a further sentence, a paragraph of its own
//	type OrderItem: sentence
//	  .member: sentence
//	  "value": sentence
//	family Checkout = Checkout CheckoutUpdate
//	  .member: sentence
//	error PaymentFailed: sentence
//	event order.paid: sentence
//	*.member kind: sentence        common, for this file's types or, in common.words, for all
//	?param kind: sentence          common, for query parameters
func (w *Words) parse(file, text string) error {
	var curType *TypeWords
	var curFamily *family
	var curOp *OpWords
	seen := func(where, what string) error { return fmt.Errorf("%s: %s stands twice", where, what) }
	for n, raw := range strings.Split(text, "\n") {
		line := strings.TrimSpace(raw)
		if line == "" || line[0] == '#' {
			continue
		}
		where := fmt.Sprintf("%s.words:%d", file, n+1)
		indented := raw[0] == ' ' || raw[0] == '\t'
		if indented && line[0] == '+' {
			if curOp == nil {
				return fmt.Errorf("%s: a further sentence belongs to an operation", where)
			}
			s := w.sentence(where, line[1:])
			s.used = true
			curOp.more = append(curOp.more, s)
			continue
		}
		var head, body string
		if indented && line[0] == '"' {
			i := strings.Index(line[1:], `"`) + 2
			head, body = line[:i], strings.TrimPrefix(strings.TrimSpace(line[i:]), ":")
		} else if word, rest, _ := strings.Cut(line, " "); word == "family" {
			head = line
			_ = rest
		} else {
			i := strings.Index(line, ": ")
			if i < 0 {
				if !strings.HasSuffix(line, ":") {
					return fmt.Errorf("%s: want NAME: SENTENCE", where)
				}
				i = len(line) - 1
			}
			head, body = line[:i], line[i+1:]
		}
		s := w.sentence(where, body)
		if indented {
			var err error
			switch {
			case head[0] == '"' && curType != nil:
				err = put(curType.values, strings.Trim(head, `"`), s)
			case head[0] == '.' && curType != nil:
				err = put(curType.members, head[1:], s)
			case head[0] == '.' && curFamily != nil:
				err = put(curFamily.members, head[1:], s)
			case head[0] == '.' && curOp != nil:
				err = put(curOp.params, head[1:], s)
			default:
				err = fmt.Errorf("%q belongs to nothing", head)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
			continue
		}
		curType, curFamily, curOp = nil, nil, nil
		f := strings.Fields(head)
		switch {
		case f[0] == "service" && len(f) == 2:
			if w.services[f[1]] != nil {
				return seen(where, head)
			}
			w.services[f[1]] = s
		case f[0] == "type" && len(f) == 2:
			if w.types[f[1]] != nil {
				return seen(where, head)
			}
			curType = &TypeWords{self: s, file: file, members: map[string]*sentence{}, values: map[string]*sentence{}}
			w.types[f[1]] = curType
		case f[0] == "op" && len(f) == 2:
			if w.ops[f[1]] != nil {
				return seen(where, head)
			}
			curOp = &OpWords{self: s, params: map[string]*sentence{}, file: file}
			w.ops[f[1]] = curOp
		case f[0] == "family" && len(f) > 3 && f[2] == "=":
			s.used = true
			curFamily = &family{name: f[1], types: map[string]bool{}, members: map[string]*sentence{}}
			for _, t := range f[3:] {
				curFamily.types[t] = true
			}
			w.families = append(w.families, curFamily)
		case f[0] == "error" && len(f) == 2:
			w.errors[f[1]] = s
		case f[0] == "event" && len(f) == 2:
			w.events[f[1]] = s
		case strings.HasPrefix(f[0], "*.") && len(f) == 2:
			s.kind = f[1]
			if file == "common" {
				w.common[f[0][2:]] = append(w.common[f[0][2:]], s)
			} else {
				addIn(w.resource, file, f[0][2:], s)
			}
		case strings.HasPrefix(f[0], "?") && len(f) == 2:
			s.kind = f[1]
			if file == "common" {
				w.params[f[0][1:]] = append(w.params[f[0][1:]], s)
			} else {
				addIn(w.resParam, file, f[0][1:], s)
			}
		default:
			return fmt.Errorf("%s: %q is not understood", where, head)
		}
	}
	return nil
}

func addIn(m map[string]map[string][]*sentence, file, name string, s *sentence) {
	if m[file] == nil {
		m[file] = map[string][]*sentence{}
	}
	m[file][name] = append(m[file][name], s)
}

func put(m map[string]*sentence, k string, s *sentence) error {
	if m[k] != nil {
		return fmt.Errorf("%s stands twice", k)
	}
	m[k] = s
	return nil
}

func (w *Words) sentence(where, text string) *sentence {
	s := &sentence{text: strings.TrimSpace(text), where: where}
	w.all = append(w.all, s)
	return s
}
