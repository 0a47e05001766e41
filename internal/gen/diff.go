package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// importCommand reads a description into the facts, or prints what it changes.
func importCommand(args []string, factsDir, wordsDir string, w io.Writer) error {
	diff := len(args) > 0 && args[0] == "-diff"
	if diff {
		args = args[1:]
	}
	if len(args) != 1 {
		return fmt.Errorf("want: import [-diff] PATH")
	}
	next, err := importFile(args[0])
	if err != nil {
		return err
	}
	if !diff {
		if err := next.write(factsDir); err != nil {
			return err
		}
		fmt.Fprintf(w, "facts of API version %s: %d operations, %d types, %d webhook events\n", next.Version, len(next.Ops), len(next.Types), len(next.Events))
		return nil
	}
	return printDiff(next, factsDir, wordsDir, w)
}

// printDiff tells a maintainer what a new description changes and what is to be decided.
func printDiff(next *Facts, factsDir, wordsDir string, w io.Writer) error {
	old, err := readFacts(factsDir)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "facts")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := next.write(tmp); err != nil {
		return err
	}
	if add, err := os.ReadFile(filepath.Join(factsDir, "additions.jsonl")); err == nil {
		if err := os.WriteFile(filepath.Join(tmp, "additions.jsonl"), add, 0o644); err != nil {
			return err
		}
	}
	next, err = readFacts(tmp)
	if err != nil {
		return fmt.Errorf("an addition no longer fits the description: %w", err)
	}
	d := differ{}
	if old.Version != next.Version {
		d.line("version", "%s becomes %s", old.Version, next.Version)
	}
	d.ops(old, next)
	d.types(old, next)
	d.rest(old, next)
	if len(d.sections) == 0 {
		fmt.Fprintln(w, "nothing changed")
		return nil
	}
	for _, s := range []string{"version", "operations", "parameters", "types", "members", "enum values", "unions", "webhook events", "errors"} {
		if lines := d.sections[s]; len(lines) > 0 {
			fmt.Fprintf(w, "%s:\n  %s\n", s, strings.Join(lines, "\n  "))
		}
	}
	fmt.Fprintln(w, "to decide:")
	todo := decisions(tmp, wordsDir)
	if len(todo) == 0 {
		todo = []string{"nothing: every rule holds and every name has its sentence"}
	}
	fmt.Fprintf(w, "  %s\n", strings.Join(todo, "\n  "))
	return nil
}

// decisions are the problems of a generation from the new facts.
func decisions(factsDir, wordsDir string) []string {
	g, err := load(factsDir, wordsDir)
	if err == nil {
		if _, err = g.generate(""); err == nil {
			err = g.failed()
		}
	}
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) > 1 {
		lines = lines[1:]
	}
	return lines
}

type differ struct{ sections map[string][]string }

func (d *differ) line(section, format string, args ...any) {
	if d.sections == nil {
		d.sections = map[string][]string{}
	}
	d.sections[section] = append(d.sections[section], fmt.Sprintf(format, args...))
}

// both calls f for each name of either side, sorted; a missing one is the zero value.
func both[T any](a, b []T, name func(T) string, f func(name string, old, next T, inOld, inNext bool)) {
	am, bm := map[string]T{}, map[string]T{}
	names := map[string]bool{}
	for _, x := range a {
		am[name(x)] = x
		names[name(x)] = true
	}
	for _, x := range b {
		bm[name(x)] = x
		names[name(x)] = true
	}
	for _, n := range sortedKeys(names) {
		o, inOld := am[n]
		x, inNext := bm[n]
		f(n, o, x, inOld, inNext)
	}
}

func (d *differ) ops(old, next *Facts) {
	both(old.Ops, next.Ops, func(o *Op) string { return o.ID }, func(id string, a, b *Op, inOld, inNext bool) {
		switch {
		case !inOld:
			d.line("operations", "+ %s  %s %s", id, b.Method, b.Path)
			return
		case !inNext:
			d.line("operations", "- %s  %s %s", id, a.Method, a.Path)
			return
		}
		change := func(what, x, y string) {
			if x != y {
				d.line("operations", "~ %s: %s %s becomes %s", id, what, orNone(x), orNone(y))
			}
		}
		change("method", a.Method, b.Method)
		change("path", a.Path, b.Path)
		change("body", a.Body, b.Body)
		change("result", a.Result, b.Result)
		change("status", a.Success, b.Success)
		change("scopes", strings.Join(a.Scopes, " "), strings.Join(b.Scopes, " "))
		change("credentials", strings.Join(a.Auth, " "), strings.Join(b.Auth, " "))
		change("paging", fmt.Sprint(a.Paged), fmt.Sprint(b.Paged))
		change("errors", errorText(a), errorText(b))
		both(a.Params, b.Params, func(p *Param) string { return p.Name }, func(n string, x, y *Param, inOld, inNext bool) {
			switch {
			case !inOld:
				d.line("parameters", "+ %s .%s %s%s", id, n, y.Is, required(y.Required))
			case !inNext:
				d.line("parameters", "- %s .%s", id, n)
			case line(x) != line(y):
				d.line("parameters", "~ %s .%s: %s becomes %s", id, n, line(x), line(y))
			}
		})
	})
}

func errorText(o *Op) string {
	var out []string
	for _, st := range sortedKeys(o.Errors) {
		out = append(out, st+" "+strings.Join(o.Errors[st], " "))
	}
	return strings.Join(out, ", ")
}

func required(r bool) string {
	if r {
		return " (required)"
	}
	return ""
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// line is the facts line of a member or parameter.
func line(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (d *differ) types(old, next *Facts) {
	both(old.Types, next.Types, func(t *Type) string { return t.Name }, func(name string, a, b *Type, inOld, inNext bool) {
		switch {
		case !inOld:
			var ms []string
			for _, m := range b.Members {
				ms = append(ms, m.Name)
			}
			d.line("types", "+ %s %s { %s }", b.Kind, name, strings.Join(append(append(ms, b.Values...), b.Of...), ", "))
			return
		case !inNext:
			d.line("types", "- %s %s", a.Kind, name)
			return
		}
		if a.Kind != b.Kind || a.Is != b.Is || a.Extra != b.Extra || a.Closed != b.Closed {
			d.line("types", "~ %s: %s %s becomes %s %s", name, a.Kind, a.Is, b.Kind, b.Is)
		}
		for _, u := range missing(a.Of, b.Of) {
			d.line("unions", "- %s loses the alternative %s", name, u)
		}
		for _, u := range missing(b.Of, a.Of) {
			d.line("unions", "+ %s gets the alternative %s", name, u)
		}
		if a.By != b.By {
			d.line("unions", "~ %s: the discriminator %s becomes %s", name, orNone(a.By), orNone(b.By))
		}
		for _, v := range missing(append(slices.Clone(a.Values), a.Plain...), append(slices.Clone(b.Values), b.Plain...)) {
			d.line("enum values", "- %s %q", name, v)
		}
		for _, v := range missing(append(slices.Clone(b.Values), b.Plain...), append(slices.Clone(a.Values), a.Plain...)) {
			d.line("enum values", "+ %s %q", name, v)
		}
		both(a.Members, b.Members, func(m *Member) string { return m.Name }, func(n string, x, y *Member, inOld, inNext bool) {
			switch {
			case !inOld:
				d.line("members", "+ %s.%s %s%s", name, n, y.Is, required(y.Required))
			case !inNext:
				d.line("members", "- %s.%s %s: keep it one release as Deprecated", name, n, x.Is)
			case x.Is != y.Is:
				d.line("members", "~ %s.%s: %s becomes %s", name, n, x.Is, y.Is)
			case line(x) != line(y):
				d.line("members", "~ %s.%s: %s becomes %s", name, n, line(x), line(y))
			}
		})
	})
}

// missing lists what a has and b has not.
func missing(a, b []string) []string {
	var out []string
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

func (d *differ) rest(old, next *Facts) {
	both(old.Events, next.Events, func(e *Event) string { return e.Name }, func(n string, a, b *Event, inOld, inNext bool) {
		switch {
		case !inOld:
			d.line("webhook events", "+ %s (%s)", n, b.Payload)
		case !inNext:
			d.line("webhook events", "- %s", n)
		case a.Payload != b.Payload:
			d.line("webhook events", "~ %s: %s becomes %s", n, a.Payload, b.Payload)
		}
	})
	both(old.Errors, next.Errors, func(e *ErrorFact) string { return e.Name }, func(n string, a, b *ErrorFact, inOld, inNext bool) {
		switch {
		case !inOld:
			d.line("errors", "+ %s %s", n, strings.Join(b.Status, " "))
		case !inNext:
			d.line("errors", "- %s", n)
		}
	})
}
