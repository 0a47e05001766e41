package polartest_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/mail"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// lookAheads are the patterns of the description that Go's regular expressions cannot express, by equivalents.
var lookAheads = map[string]*regexp.Regexp{
	`^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$`:                                         regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)$`),
	`^(?!^[-+.]*$)[+-]?0*(?:\d{0,5}|(?=[\d.]{1,18}0*$)\d{0,5}\.\d{0,12}0*$)`: regexp.MustCompile(`^[+-]?0*(\d{1,5}|\d{0,5}\.\d{0,12}0*)$`),
}

var compiled sync.Map

func matches(pattern, s string) bool {
	re, ok := lookAheads[pattern]
	if !ok {
		known, found := compiled.Load(pattern)
		if !found {
			known = regexp.MustCompile(pattern)
			compiled.Store(pattern, known)
		}
		re = known.(*regexp.Regexp)
	}
	return re.MatchString(s)
}

// validate checks a value against a schema of the description: the part of JSON Schema that it uses.
// A oneOf without a discriminator counts as anyOf.
func (d *description) validate(schema, v any, path string, depth int) []string {
	m, ok := schema.(map[string]any)
	if !ok || depth > 60 {
		return nil
	}
	at := path
	if at == "" {
		at = "/"
	}
	bad := func(format string, args ...any) []string { return []string{at + ": " + fmt.Sprintf(format, args...)} }
	if ref, ok := m["$ref"].(string); ok {
		name := ref[strings.LastIndexByte(ref, '/')+1:]
		target, ok := d.schemas[name]
		if !ok {
			return bad("no schema %s", name)
		}
		return d.validate(target, v, path, depth+1)
	}
	if c, ok := m["const"]; ok && !same(c, v) {
		return bad("%v is not %v", v, c)
	}
	if list, ok := m["enum"].([]any); ok {
		found := false
		for _, x := range list {
			found = found || same(x, v)
		}
		if !found {
			return bad("%v is none of %v", v, list)
		}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		list, ok := m[key].([]any)
		if !ok {
			continue
		}
		if disc, ok := m["discriminator"].(map[string]any); ok {
			obj, isObj := v.(map[string]any)
			mapping, _ := disc["mapping"].(map[string]any)
			if name, _ := disc["propertyName"].(string); isObj && mapping != nil {
				tag, _ := obj[name].(string)
				ref, ok := mapping[tag]
				if !ok {
					return bad("the discriminator %s is %q", name, tag)
				}
				return d.validate(map[string]any{"$ref": ref}, v, path, depth+1)
			}
		}
		var best []string
		for _, alt := range list {
			faults := d.validate(alt, v, path, depth+1)
			if len(faults) == 0 {
				best = nil
				break
			}
			if best == nil || len(faults) < len(best) {
				best = faults
			}
		}
		if best != nil {
			return append(bad("no alternative of %d fits; nearest:", len(list)), best...)
		}
	}
	switch m["type"] {
	case "null":
		if v != nil {
			return bad("want null")
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return bad("want a bool, have %T", v)
		}
	case "integer", "number":
		n, ok := v.(json.Number)
		if !ok {
			return bad("want a number, have %T", v)
		}
		r, ok := new(big.Rat).SetString(string(n))
		if !ok || m["type"] == "integer" && !r.IsInt() {
			return bad("want an integer, have %v", n)
		}
		return d.bounds(m, r, bad)
	case "string":
		s, ok := v.(string)
		if !ok {
			return bad("want a string, have %T", v)
		}
		return text(m, s, bad)
	case "array":
		list, ok := v.([]any)
		if !ok {
			return bad("want an array, have %T", v)
		}
		return d.array(m, list, path, depth, bad)
	case "object":
		obj, ok := v.(map[string]any)
		if !ok {
			return bad("want an object, have %T", v)
		}
		return d.object(m, obj, path, depth, bad)
	}
	return nil
}

type complain func(format string, args ...any) []string

func same(want, have any) bool {
	if n, ok := have.(json.Number); ok {
		f, err := n.Float64()
		return err == nil && want == f
	}
	return reflect.DeepEqual(want, have)
}

func (d *description) bounds(m map[string]any, r *big.Rat, bad complain) []string {
	cmp := func(key string, fails func(int) bool) []string {
		limit, ok := m[key].(float64)
		if ok && fails(r.Cmp(new(big.Rat).SetFloat64(limit))) {
			return bad("%s is against %s %v", r.RatString(), key, limit)
		}
		return nil
	}
	var out []string
	out = append(out, cmp("minimum", func(n int) bool { return n < 0 })...)
	out = append(out, cmp("maximum", func(n int) bool { return n > 0 })...)
	out = append(out, cmp("exclusiveMinimum", func(n int) bool { return n <= 0 })...)
	return append(out, cmp("exclusiveMaximum", func(n int) bool { return n >= 0 })...)
}

func text(m map[string]any, s string, bad complain) []string {
	if n, ok := m["minLength"].(float64); ok && utf8.RuneCountInString(s) < int(n) {
		return bad("%q is shorter than %v", s, n)
	}
	if n, ok := m["maxLength"].(float64); ok && utf8.RuneCountInString(s) > int(n) {
		return bad("%q is longer than %v", s, n)
	}
	if p, ok := m["pattern"].(string); ok && !matches(p, s) {
		return bad("%q does not match %s", s, p)
	}
	switch m["format"] {
	case "date-time":
		if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
			return bad("%q is no date-time", s)
		}
	case "date":
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return bad("%q is no date", s)
		}
	case "uuid", "uuid4":
		if !uuidPattern.MatchString(s) {
			return bad("%q is no UUID", s)
		}
	case "email":
		if _, err := mail.ParseAddress(s); err != nil {
			return bad("%q is no e-mail address", s)
		}
	case "uri":
		if !strings.Contains(s, "://") {
			return bad("%q is no URI", s)
		}
	}
	return nil
}

func (d *description) array(m map[string]any, list []any, path string, depth int, bad complain) []string {
	var out []string
	if n, ok := m["minItems"].(float64); ok && len(list) < int(n) {
		out = append(out, bad("%d items, want at least %v", len(list), n)...)
	}
	if n, ok := m["maxItems"].(float64); ok && len(list) > int(n) {
		out = append(out, bad("%d items, want at most %v", len(list), n)...)
	}
	prefix, _ := m["prefixItems"].([]any)
	for i, x := range list {
		var item any
		if i < len(prefix) {
			item = prefix[i]
		} else {
			item = m["items"]
		}
		out = append(out, d.validate(item, x, fmt.Sprintf("%s/%d", path, i), depth+1)...)
	}
	return out
}

func (d *description) object(m map[string]any, obj map[string]any, path string, depth int, bad complain) []string {
	var out []string
	if n, ok := m["minProperties"].(float64); ok && len(obj) < int(n) {
		out = append(out, bad("%d members, want at least %v", len(obj), n)...)
	}
	props, _ := m["properties"].(map[string]any)
	required, _ := m["required"].([]any)
	for _, name := range required {
		if _, ok := obj[name.(string)]; !ok {
			out = append(out, bad("%v is missing", name)...)
		}
	}
	for name, x := range obj {
		if p, ok := props[name]; ok {
			out = append(out, d.validate(p, x, path+"/"+name, depth+1)...)
			continue
		}
		switch extra := m["additionalProperties"].(type) {
		case bool:
			if !extra {
				out = append(out, bad("%s is not allowed", name)...)
			}
		case map[string]any:
			out = append(out, d.validate(extra, x, path+"/"+name, depth+1)...)
		case nil:
			if len(props) > 0 {
				out = append(out, bad("%s is not described", name)...)
			}
		}
	}
	return out
}
