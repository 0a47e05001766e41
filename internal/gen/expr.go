package main

import (
	"fmt"
	"strconv"
	"strings"
)

// Expr is the type of a member, a parameter or a body, as the facts write it:
//
//	string int number bool any time date uuid uuid4 uri email ip decimal null
//	Order                 a reference to a type of the facts
//	[Order]               a list
//	{int}                 a map with string keys
//	(string,TaxIDFormat)  a tuple
//	"now" true            a constant
//	A|B                   alternatives
//	time?                 or null
type Expr struct {
	Kind     Kind
	Name     string  // Prim and Ref: the name; Const: the JSON text
	Elems    []*Expr // List and Map: one; Tuple and Alt: all
	Nullable bool
}

// Kind tells the forms of an Expr apart.
type Kind int

// The forms of an Expr.
const (
	Prim Kind = iota
	Ref
	List
	Map
	Tuple
	Const
	Alt
)

var prims = map[string]bool{"string": true, "int": true, "number": true, "bool": true, "any": true, "time": true, "date": true,
	"uuid": true, "uuid4": true, "uri": true, "email": true, "ip": true, "decimal": true, "null": true, "object": true}

func (e *Expr) String() string {
	var s string
	switch e.Kind {
	case Prim, Ref, Const:
		s = e.Name
	case List:
		s = "[" + e.Elems[0].String() + "]"
	case Map:
		s = "{" + e.Elems[0].String() + "}"
	case Tuple, Alt:
		parts := make([]string, len(e.Elems))
		for i, x := range e.Elems {
			parts[i] = x.String()
			if x.Kind == Alt && !x.Nullable {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		if e.Kind == Tuple {
			s = "(" + strings.Join(parts, ",") + ")"
		} else {
			s = strings.Join(parts, "|")
			if e.Nullable {
				s = "(" + s + ")"
			}
		}
	}
	if e.Nullable {
		s += "?"
	}
	return s
}

// parseExpr reads what String writes.
func parseExpr(s string) (*Expr, error) {
	p := exprParser{s: s}
	e, err := p.alt()
	if err == nil && p.i != len(s) {
		err = fmt.Errorf("unexpected %q", s[p.i:])
	}
	if err != nil {
		return nil, fmt.Errorf("type %q: %w", s, err)
	}
	return e, nil
}

type exprParser struct {
	s string
	i int
}

func (p *exprParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *exprParser) alt() (*Expr, error) {
	first, err := p.postfix()
	if err != nil {
		return nil, err
	}
	if p.peek() != '|' {
		return first, nil
	}
	e := &Expr{Kind: Alt, Elems: []*Expr{first}}
	for p.peek() == '|' {
		p.i++
		x, err := p.postfix()
		if err != nil {
			return nil, err
		}
		e.Elems = append(e.Elems, x)
	}
	return e, nil
}

func (p *exprParser) postfix() (*Expr, error) {
	e, err := p.primary()
	if err == nil && p.peek() == '?' {
		p.i++
		e.Nullable = true
	}
	return e, err
}

func (p *exprParser) primary() (*Expr, error) {
	switch c := p.peek(); c {
	case '[', '{':
		end := byte(']')
		kind := List
		if c == '{' {
			end, kind = '}', Map
		}
		p.i++
		x, err := p.alt()
		if err != nil {
			return nil, err
		}
		if p.peek() != end {
			return nil, fmt.Errorf("%q missing", end)
		}
		p.i++
		return &Expr{Kind: kind, Elems: []*Expr{x}}, nil
	case '(':
		p.i++
		x, err := p.alt()
		if err != nil {
			return nil, err
		}
		e := x
		if p.peek() == ',' {
			e = &Expr{Kind: Tuple, Elems: []*Expr{x}}
			for p.peek() == ',' {
				p.i++
				y, err := p.alt()
				if err != nil {
					return nil, err
				}
				e.Elems = append(e.Elems, y)
			}
		}
		if p.peek() != ')' {
			return nil, fmt.Errorf("%q missing", ')')
		}
		p.i++
		return e, nil
	case '"':
		q, err := strconv.QuotedPrefix(p.s[p.i:])
		if err != nil {
			return nil, err
		}
		p.i += len(q)
		return &Expr{Kind: Const, Name: q}, nil
	}
	j := p.i
	for j < len(p.s) && (p.s[j] == '_' || p.s[j] == '-' || p.s[j] >= '0' && p.s[j] <= '9' || p.s[j] >= 'A' && p.s[j] <= 'Z' || p.s[j] >= 'a' && p.s[j] <= 'z') {
		j++
	}
	name := p.s[p.i:j]
	p.i = j
	switch {
	case name == "":
		return nil, fmt.Errorf("a type is missing at %d", p.i)
	case name == "true" || name == "false":
		return &Expr{Kind: Const, Name: name}, nil
	case prims[name]:
		return &Expr{Kind: Prim, Name: name}, nil
	}
	return &Expr{Kind: Ref, Name: name}, nil
}
