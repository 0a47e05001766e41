package harness

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/mail"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A validator checks JSON values against schemas. It covers the keywords that the reader admits.
//
// It is stricter than JSON schema in one thing: members that the schema does not list are refused unless additionalProperties says otherwise.
// The server ignores or refuses them; either way a client that sends them does not do what its user thinks.
type validator struct {
	// seen, when set, is called for each object that was found valid, with the schema that it was valid for.
	seen func(s *schema, obj map[string]any)
}

type violation struct {
	path string
	what string
}

func (v violation) String() string { return v.path + ": " + v.what }

func (c *validator) validate(s *schema, v any, path string) []violation {
	bad := check(s, v, path)
	if len(bad) == 0 && c.seen != nil {
		c.visit(s, v)
	}
	return bad
}

// visit walks a valid value and reports its objects.
func (c *validator) visit(s *schema, v any) {
	s = s.deref()
	if vs := s.variants(); vs != nil {
		if best := choose(s, v); best != nil {
			c.visit(best, v)
		}
		return
	}
	switch v := v.(type) {
	case map[string]any:
		c.seen(s, v)
		for k, e := range v {
			if p := s.Properties[k]; p != nil {
				c.visit(p, e)
			} else if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
				c.visit(s.AdditionalProperties.Schema, e)
			}
		}
	case []any:
		for i, e := range v {
			if i < len(s.PrefixItems) {
				c.visit(s.PrefixItems[i], e)
			} else if s.Items != nil {
				c.visit(s.Items, e)
			}
		}
	}
}

// choose is the alternative of a union that a valid value belongs to: the one named by the discriminator, else the valid one that knows most of
// the value's members and asks for most of them.
func choose(s *schema, v any) *schema {
	if d := s.Discriminator; d != nil {
		if obj, ok := v.(map[string]any); ok {
			if name, ok := obj[d.PropertyName].(string); ok {
				for _, a := range s.variants() {
					if a.Ref == d.Mapping[name] {
						return a
					}
				}
			}
		}
	}
	var best *schema
	score := -1
	for _, a := range s.variants() {
		if len(check(a, v, "")) != 0 {
			continue
		}
		n := 0
		for _, o := range a.objects() {
			n = max(n, len(o.Required))
		}
		if n > score {
			best, score = a, n
		}
	}
	return best
}

func check(s *schema, v any, path string) []violation {
	s = s.deref()
	if vs := s.variants(); vs != nil {
		return checkUnion(s, vs, v, path)
	}
	one := func(format string, args ...any) []violation {
		return []violation{{path, fmt.Sprintf(format, args...)}}
	}
	if s.Const != nil && !equalScalar(s.Const, v) {
		return one("%v is not the constant %v", v, s.Const)
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return equalScalar(e, v) }) {
		return one("%v is not one of the %d values", v, len(s.Enum))
	}
	switch s.Type {
	case "":
		return nil
	case "null":
		if v != nil {
			return one("%s instead of null", kindOf(v))
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return one("%s instead of boolean", kindOf(v))
		}
	case "string":
		str, ok := v.(string)
		if !ok {
			return one("%s instead of string", kindOf(v))
		}
		return checkString(s, str, path)
	case "integer", "number":
		num, ok := v.(json.Number)
		if !ok {
			return one("%s instead of %s", kindOf(v), s.Type)
		}
		return checkNumber(s, num, path)
	case "array":
		arr, ok := v.([]any)
		if !ok {
			return one("%s instead of array", kindOf(v))
		}
		var bad []violation
		if s.MinItems != nil && len(arr) < *s.MinItems {
			bad = append(bad, violation{path, fmt.Sprintf("%d items, at least %d wanted", len(arr), *s.MinItems)})
		}
		if s.MaxItems != nil && len(arr) > *s.MaxItems {
			bad = append(bad, violation{path, fmt.Sprintf("%d items, at most %d allowed", len(arr), *s.MaxItems)})
		}
		for i, e := range arr {
			p := fmt.Sprintf("%s[%d]", path, i)
			if i < len(s.PrefixItems) {
				bad = append(bad, check(s.PrefixItems[i], e, p)...)
			} else if s.Items != nil {
				bad = append(bad, check(s.Items, e, p)...)
			}
		}
		return bad
	case "object":
		obj, ok := v.(map[string]any)
		if !ok {
			return one("%s instead of object", kindOf(v))
		}
		return checkObject(s, obj, path)
	default:
		return one("unknown type %q in the description", s.Type)
	}
	return nil
}

func checkUnion(s *schema, vs []*schema, v any, path string) []violation {
	if d := s.Discriminator; d != nil && v != nil {
		obj, ok := v.(map[string]any)
		if !ok {
			return []violation{{path, kindOf(v) + " instead of object"}}
		}
		name, ok := obj[d.PropertyName].(string)
		if !ok {
			return []violation{{path + "." + d.PropertyName, "the discriminator is missing"}}
		}
		for _, a := range vs {
			if a.Ref == d.Mapping[name] {
				return check(a, v, path)
			}
		}
		return []violation{{path + "." + d.PropertyName, fmt.Sprintf("no alternative is called %q", name)}}
	}
	// Of several failures, the one of the alternative that the value was most likely meant for.
	var best []violation
	for _, a := range vs {
		bad := check(a, v, path)
		if len(bad) == 0 {
			return nil
		}
		if best == nil || distance(bad) < distance(best) {
			best = bad
		}
	}
	return best
}

func distance(bad []violation) int {
	n := len(bad)
	for _, b := range bad {
		if strings.Contains(b.what, " instead of ") {
			n += 10
		}
		if strings.Contains(b.what, "constant") || strings.Contains(b.what, "no alternative") {
			n += 100
		}
	}
	return n
}

func checkObject(s *schema, obj map[string]any, path string) []violation {
	var bad []violation
	for _, k := range s.Required {
		if _, ok := obj[k]; !ok {
			bad = append(bad, violation{path + "." + k, "required member is missing"})
		}
	}
	if s.MinProperties != nil && len(obj) < *s.MinProperties {
		bad = append(bad, violation{path, fmt.Sprintf("%d members, at least %d wanted", len(obj), *s.MinProperties)})
	}
	if s.MaxProperties != nil && len(obj) > *s.MaxProperties {
		bad = append(bad, violation{path, fmt.Sprintf("%d members, at most %d allowed", len(obj), *s.MaxProperties)})
	}
	for _, k := range sortedKeys(obj) {
		if s.PropertyNames != nil {
			bad = append(bad, check(s.PropertyNames, k, path+".(name of "+k+")")...)
		}
		if p := s.Properties[k]; p != nil {
			bad = append(bad, check(p, obj[k], path+"."+k)...)
			continue
		}
		switch a := s.AdditionalProperties; {
		case a == nil && len(s.Properties) == 0 && s.PropertyNames == nil && s.Title == nil:
			// A bare object: anything goes.
		case a == nil || !a.Allowed:
			bad = append(bad, violation{path + "." + k, "member is not in the description"})
		case a.Schema != nil:
			bad = append(bad, check(a.Schema, obj[k], path+"."+k)...)
		}
	}
	return bad
}

func checkNumber(s *schema, num json.Number, path string) []violation {
	if n, err := strconv.Atoi(num.String()); err == nil && n > -1<<53 && n < 1<<53 {
		return checkSmall(s, float64(n), num, path)
	}
	r, ok := new(big.Rat).SetString(num.String())
	if !ok {
		return []violation{{path, num.String() + " is not a number"}}
	}
	var bad []violation
	if s.Type == "integer" && !r.IsInt() {
		bad = append(bad, violation{path, num.String() + " is not an integer"})
	}
	limit := func(f *float64, ok func(cmp int) bool, what string) {
		if f != nil && !ok(r.Cmp(new(big.Rat).SetFloat64(*f))) {
			bad = append(bad, violation{path, fmt.Sprintf("%s, %s %v wanted", num, what, *f)})
		}
	}
	limit(s.Minimum, func(c int) bool { return c >= 0 }, "at least")
	limit(s.Maximum, func(c int) bool { return c <= 0 }, "at most")
	limit(s.ExclusiveMinimum, func(c int) bool { return c > 0 }, "more than")
	return bad
}

// checkSmall checks an integer that floating point holds exactly.
func checkSmall(s *schema, n float64, num json.Number, path string) []violation {
	switch {
	case s.Minimum != nil && n < *s.Minimum:
		return []violation{{path, fmt.Sprintf("%s, at least %v wanted", num, *s.Minimum)}}
	case s.Maximum != nil && n > *s.Maximum:
		return []violation{{path, fmt.Sprintf("%s, at most %v wanted", num, *s.Maximum)}}
	case s.ExclusiveMinimum != nil && n <= *s.ExclusiveMinimum:
		return []violation{{path, fmt.Sprintf("%s, more than %v wanted", num, *s.ExclusiveMinimum)}}
	}
	return nil
}

var (
	uuidForm  = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	uuid4Form = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`)
	dateForm  = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)

	// The patterns of decimals use look-ahead, which package regexp refuses. These say the same by hand: a sign, then digits with at most
	// five before and twelve after the point, leading zeros aside; or any number of digits.
	decimal512 = regexp.MustCompile(`^[+-]?0*(\d{1,5}|\d{0,5}\.\d{1,12}0*|\d{1,5}\.)$`)
	decimalAny = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)$`)
	patterns   = map[string]*regexp.Regexp{
		`^(?!^[-+.]*$)[+-]?0*(?:\d{0,5}|(?=[\d.]{1,18}0*$)\d{0,5}\.\d{0,12}0*$)`: decimal512,
		`^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$`:                                         decimalAny,
	}
)

func pattern(p string) (*regexp.Regexp, error) {
	if re := patterns[p]; re != nil {
		return re, nil
	}
	return regexp.Compile(p)
}

func checkString(s *schema, v, path string) []violation {
	var bad []violation
	fail := func(format string, args ...any) {
		bad = append(bad, violation{path, fmt.Sprintf(format, args...)})
	}
	if n := utf8.RuneCountInString(v); s.MinLength != nil && n < *s.MinLength {
		fail("%d characters, at least %d wanted", n, *s.MinLength)
	} else if s.MaxLength != nil && n > *s.MaxLength {
		fail("%d characters, at most %d allowed", n, *s.MaxLength)
	}
	if s.Pattern != "" {
		re, err := pattern(s.Pattern)
		if err != nil {
			fail("the pattern cannot be read: %v", err)
		} else if !re.MatchString(v) {
			fail("%q does not match %s", v, s.Pattern)
		}
	}
	switch s.Format {
	case "":
	case "uuid":
		if !uuidForm.MatchString(v) {
			fail("%q is not a UUID", v)
		}
	case "uuid4":
		if !uuid4Form.MatchString(v) {
			fail("%q is not a UUID of version 4", v)
		}
	case "date-time":
		if _, err := time.Parse(time.RFC3339Nano, v); err != nil {
			fail("%q is not a date and time", v)
		}
	case "date":
		if _, err := time.Parse(time.DateOnly, v); err != nil || !dateForm.MatchString(v) {
			fail("%q is not a date", v)
		}
	case "uri":
		if u, err := url.Parse(v); err != nil || u.Scheme == "" || u.Host == "" {
			fail("%q is not an absolute URL", v)
		}
	case "email":
		if a, err := mail.ParseAddress(v); err != nil || a.Address != v {
			fail("%q is not an email address", v)
		}
	case "ipvanyaddress":
		if _, err := netip.ParseAddr(v); err != nil {
			fail("%q is not an IP address", v)
		}
	default:
		fail("unknown format %q in the description", s.Format)
	}
	return bad
}

func equalScalar(a, b any) bool {
	x, ok := a.(json.Number)
	y, ok2 := b.(json.Number)
	if ok && ok2 {
		p, _ := new(big.Rat).SetString(x.String())
		q, _ := new(big.Rat).SetString(y.String())
		return p != nil && q != nil && p.Cmp(q) == 0
	}
	return reflect.DeepEqual(a, b)
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		return fmt.Sprintf("%T", v)
	}
}
