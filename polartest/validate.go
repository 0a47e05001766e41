package polartest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// fault is one entry of the detail of a 422.
type fault struct {
	Type  string         `json:"type"`
	Loc   []any          `json:"loc"`
	Msg   string         `json:"msg"`
	Input any            `json:"input"`
	Ctx   map[string]any `json:"ctx,omitempty"`
}

// validator checks a value against the table the way the real server's models do:
// it gathers every fault, and where alternatives have nothing that tells them
// apart it reports those of each of them.
type validator struct {
	faults []fault
	now    time.Time

	// While it looks for the alternative that fits, faults are only counted: most
	// bodies are well formed, and to word what is wrong costs more than to see it.
	quiet bool
	found int    // faults, while quiet
	name  string // last part of the location, which is not put together while quiet
}

func (v *validator) add(kind string, loc []any, msg string, input any, ctx map[string]any) {
	if v.quiet {
		v.found++
		return
	}
	v.faults = append(v.faults, fault{Type: kind, Loc: slices.Clone(loc), Msg: msg, Input: input, Ctx: ctx})
}

// at returns the location of a member.
func (v *validator) at(loc []any, name string) []any {
	v.name = name
	if v.quiet {
		return loc
	}
	return append(loc[:len(loc):len(loc)], name)
}

// item returns the location of an item of a list.
func (v *validator) item(loc []any, i int) []any {
	v.name = ""
	if v.quiet {
		return loc
	}
	return append(loc[:len(loc):len(loc)], i)
}

// check validates value, and returns the name of the object type that it is,
// which for alternatives is the one that was chosen, and how many of its members are set.
func (v *validator) check(e *expr, r *rules, loc []any, value any) (chosen string, set int) {
	if value == nil && (e.nullable || e.kind == exprPrim && (e.name == "null" || e.name == "any")) {
		return "", 0
	}
	switch e.kind {
	case exprPrim:
		v.prim(e.name, r, loc, value)
	case exprConst:
		v.constant(e.name, loc, value)
	case exprList:
		items, ok := value.([]any)
		if !ok {
			v.add("list_type", loc, "Input should be a valid list", value, nil)
			break
		}
		if r != nil && r.minItems > len(items) {
			v.add("too_short", loc, fmt.Sprintf("List should have at least %d item%s after validation, not %d", r.minItems, plural(r.minItems), len(items)), value,
				map[string]any{"field_type": "List", "min_length": r.minItems, "actual_length": len(items)})
		}
		if r != nil && r.maxItems >= 0 && r.maxItems < len(items) {
			v.add("too_long", loc, fmt.Sprintf("List should have at most %d item%s after validation, not %d", r.maxItems, plural(r.maxItems), len(items)), value,
				map[string]any{"field_type": "List", "max_length": r.maxItems, "actual_length": len(items)})
		}
		for i, x := range items {
			v.check(e.elems[0], elementRules(e.elems[0], r), v.item(loc, i), x)
		}
	case exprMap:
		m, ok := value.(map[string]any)
		if !ok {
			v.add("dict_type", loc, "Input should be a valid dictionary", value, nil)
			break
		}
		v.mapOf(e, loc, m)
	case exprTuple:
		items, ok := value.([]any)
		if !ok || len(items) != len(e.elems) {
			v.add("tuple_type", loc, "Input should be a valid tuple", value, nil)
			break
		}
		for i, x := range items {
			v.check(e.elems[i], nil, v.item(loc, i), x)
		}
	case exprAlt:
		return v.alternatives(e.elems, e.tag, r, loc, value)
	case exprRef:
		switch d := e.def; d.kind {
		case "enum":
			v.enum(d, loc, value)
		case "alias":
			return v.check(d.is, r, loc, value)
		case "union":
			tag := d.by
			if tag == "" {
				tag = commonTag(d.of)
			}
			return v.alternatives(d.of, tag, r, loc, value)
		default:
			return d.name, v.object(d, loc, value)
		}
	}
	return "", 0
}

// elementRules are those of a list that belong to its items: bounds of numbers and texts.
func elementRules(e *expr, r *rules) *rules {
	if r == nil || e.kind != exprPrim {
		return nil
	}
	c := *r
	c.minItems, c.maxItems = -1, -1
	return &c
}

func (v *validator) object(d *typeDef, loc []any, value any) (set int) {
	m, ok := value.(map[string]any)
	if !ok {
		v.add("model_attributes_type", loc, "Input should be a valid dictionary or object to extract fields from", value, nil)
		return 0
	}
	for _, f := range d.fields {
		x, present := m[f.name]
		switch {
		case present:
			set++
			v.member(f, v.at(loc, f.name), x)
		case f.required:
			v.add("missing", v.at(loc, f.name), "Field required", value, nil)
		}
	}
	if !d.closed && d.extra == nil {
		return set
	}
	for _, name := range sortedKeys(m) {
		if slices.ContainsFunc(d.fields, func(f *field) bool { return f.name == name }) {
			continue
		}
		if d.closed {
			v.add("extra_forbidden", v.at(loc, name), "Extra inputs are not permitted", m[name], nil)
			continue
		}
		v.metadataValue(d.extra, v.at(loc, name), m[name])
	}
	return set
}

func (v *validator) member(f *field, loc []any, x any) {
	v.check(f.expr, &f.rules, loc, x)
}

// mapOf checks a map. One of metadata has limits that the description tells only in prose.
func (v *validator) mapOf(e *expr, loc []any, m map[string]any) {
	metadata := isMetadata(v.name) && e.elems[0].kind == exprAlt
	if metadata && len(m) > 50 {
		v.add("too_long", loc, fmt.Sprintf("Dictionary should have at most 50 items after validation, not %d", len(m)), m,
			map[string]any{"field_type": "Dictionary", "max_length": 50, "actual_length": len(m)})
	}
	for _, k := range sortedKeys(m) {
		if metadata {
			if n := utf8.RuneCountInString(k); n == 0 || n > 40 {
				kind, msg := "string_too_long", "String should have at most 40 characters"
				if n == 0 {
					kind, msg = "string_too_short", "String should have at least 1 character"
				}
				v.add(kind, v.at(v.at(loc, k), "[key]"), msg, k, nil)
			}
			v.metadataValue(e.elems[0], v.at(loc, k), m[k])
			continue
		}
		v.check(e.elems[0], nil, v.at(loc, k), m[k])
	}
}

func isMetadata(name string) bool { return name == "metadata" || strings.HasSuffix(name, "_metadata") }

var metadataText = rules{minLen: 1, maxLen: 500, minItems: -1, maxItems: -1}

// metadataValue is a text of 1 to 500 characters, a number or a bool.
func (v *validator) metadataValue(e *expr, loc []any, x any) {
	v.check(e, &metadataText, loc, x)
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// alternatives takes the alternative that the tag names, or the one that fits best.
func (v *validator) alternatives(elems []*expr, tag string, r *rules, loc []any, value any) (string, int) {
	if m, ok := value.(map[string]any); ok && tag != "" {
		return v.tagged(elems, tag, loc, m)
	}
	quiet, found := v.quiet, v.found
	v.quiet = true
	best, bestName := -1, ""
	for _, e := range elems {
		v.found = 0
		name, set := v.check(e, r, v.at(loc, armName(e, r)), value)
		if v.found == 0 && set > best {
			best, bestName = set, name
		}
	}
	v.quiet, v.found = quiet, found
	if best >= 0 {
		return bestName, best
	}
	if quiet {
		v.found++
		return "", -1
	}
	for _, e := range elems {
		v.check(e, r, v.at(loc, armName(e, r)), value)
	}
	return "", -1
}

func (v *validator) tagged(elems []*expr, tag string, loc []any, m map[string]any) (string, int) {
	x, ok := m[tag]
	if !ok {
		v.add("union_tag_not_found", loc, fmt.Sprintf("Unable to extract tag using discriminator '%s'", tag), m, map[string]any{"discriminator": "'" + tag + "'"})
		return "", 0
	}
	text, _ := x.(string)
	var tags []string
	for _, e := range elems {
		for _, want := range tagsOf(e, tag) {
			if want == text {
				return v.check(e, nil, v.at(loc, text), m)
			}
			tags = append(tags, "'"+want+"'")
		}
	}
	v.add("union_tag_invalid", loc, fmt.Sprintf("Input tag '%v' found using '%s' does not match any of the expected tags: %s", x, tag, strings.Join(tags, ", ")), m,
		map[string]any{"discriminator": "'" + tag + "'", "tag": fmt.Sprint(x), "expected_tags": strings.Join(tags, ", ")})
	return "", 0
}

// tagsOf lists the values of a tag that lead to an alternative, which may be a choice itself.
func tagsOf(e *expr, tag string) []string {
	var out []string
	for _, x := range e.def.of {
		out = append(out, tagsOf(x, tag)...)
	}
	for _, f := range e.def.fields {
		if f.name != tag || f.expr.kind != exprConst {
			continue
		}
		if want, err := strconv.Unquote(f.expr.name); err == nil {
			out = append(out, want)
		}
	}
	return out
}

// armName is how a location calls an alternative.
func armName(e *expr, r *rules) string {
	switch e.kind {
	case exprRef:
		return e.name
	case exprList:
		return "list[" + armName(e.elems[0], nil) + "]"
	case exprConst:
		return "literal[" + strings.ReplaceAll(e.name, `"`, "'") + "]"
	case exprMap:
		return "dict"
	}
	switch e.name {
	case "string":
		if r != nil && (r.minLen >= 0 || r.maxLen >= 0) {
			return "constrained-str"
		}
		return "str"
	case "number":
		return "float"
	case "time":
		return "datetime"
	}
	return e.name
}

func (v *validator) constant(want string, loc []any, value any) {
	var w any
	if err := json.Unmarshal([]byte(want), &w); err == nil && w == value {
		return
	}
	show := want
	switch w {
	case true:
		show = "True"
	case false:
		show = "False"
	default:
		show = "'" + strings.Trim(want, `"`) + "'"
	}
	v.add("literal_error", loc, "Input should be "+show, value, map[string]any{"expected": show})
}

func (v *validator) enum(d *typeDef, loc []any, value any) {
	s, _ := value.(string)
	if _, ok := value.(string); ok && slices.Contains(d.values, s) {
		return
	}
	quoted := make([]string, len(d.values))
	for i, x := range d.values {
		quoted[i] = "'" + x + "'"
	}
	want := strings.Join(quoted, ", ")
	if n := len(quoted); n > 1 {
		want = strings.Join(quoted[:n-1], ", ") + " or " + quoted[n-1]
	}
	v.add("enum", loc, "Input should be "+want, value, map[string]any{"expected": want})
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func (v *validator) prim(name string, r *rules, loc []any, value any) {
	switch name {
	case "any", "null":
		if name == "null" && value != nil {
			v.add("none_required", loc, "Input should be None", value, nil)
		}
	case "bool":
		if _, ok := value.(bool); !ok {
			v.add("bool_type", loc, "Input should be a valid boolean", value, nil)
		}
	case "int":
		n, ok := value.(json.Number)
		switch {
		case !ok:
			v.add("int_type", loc, "Input should be a valid integer", value, nil)
		case !isWhole(string(n)):
			v.add("int_from_float", loc, "Input should be a valid integer, got a number with a fractional part", value, nil)
		default:
			v.bounds(r, loc, value, string(n))
		}
	case "number":
		n, ok := value.(json.Number)
		if !ok {
			v.add("float_type", loc, "Input should be a valid number", value, nil)
			return
		}
		v.bounds(r, loc, value, string(n))
	case "decimal":
		v.decimal(r, loc, value)
	default:
		s, ok := value.(string)
		if !ok {
			v.notText(name, loc, value)
			return
		}
		if strings.ContainsRune(s, 0) {
			v.add("string_type", loc, "Input should not contain NUL characters", value, nil)
			return
		}
		v.text(name, r, loc, s)
	}
}

func isWhole(s string) bool {
	if digits := strings.TrimPrefix(s, "-"); digits != "" && strings.Trim(digits, "0123456789") == "" {
		return true
	}
	x, ok := exact(s)
	return ok && x.IsInt()
}

// exact is the value of a number as it is written. One with a huge exponent is no number here: it would take all memory.
func exact(s string) (*big.Rat, bool) {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if n, err := strconv.Atoi(s[i+1:]); err != nil || n > 400 || n < -400 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}

func (v *validator) notText(name string, loc []any, value any) {
	switch name {
	case "uuid", "uuid4":
		v.add("uuid_type", loc, "UUID input should be a string, bytes or UUID object", value, nil)
	case "time":
		v.add("datetime_type", loc, "Input should be a valid datetime", value, nil)
	case "date":
		v.add("date_type", loc, "Input should be a valid date", value, nil)
	case "uri":
		v.add("url_type", loc, "URL input should be a string or URL", value, nil)
	default:
		v.add("string_type", loc, "Input should be a valid string", value, nil)
	}
}

func (v *validator) bounds(r *rules, loc []any, value any, text string) {
	if r == nil || r.min == nil && r.above == nil && r.max == nil && r.below == nil {
		return
	}
	x, ok := exact(text)
	if !ok {
		return
	}
	check := func(limit *float64, bad func(int) bool, kind, msg, key string) {
		if limit == nil {
			return
		}
		if bad(x.Cmp(new(big.Rat).SetFloat64(*limit))) {
			v.add(kind, loc, "Input should be "+msg+" "+strconv.FormatFloat(*limit, 'f', -1, 64), value, map[string]any{key: *limit})
		}
	}
	check(r.min, func(c int) bool { return c < 0 }, "greater_than_equal", "greater than or equal to", "ge")
	check(r.above, func(c int) bool { return c <= 0 }, "greater_than", "greater than", "gt")
	check(r.max, func(c int) bool { return c > 0 }, "less_than_equal", "less than or equal to", "le")
	check(r.below, func(c int) bool { return c >= 0 }, "less_than", "less than", "lt")
}

// decimal has at most 5 digits before the point and 12 after it, and comes as a number or a text.
func (v *validator) decimal(r *rules, loc []any, value any) {
	text := ""
	switch x := value.(type) {
	case json.Number:
		text = string(x)
	case string:
		text = x
	default:
		v.add("decimal_type", loc, "Decimal input should be an integer, float, string or Decimal object", value, nil)
		return
	}
	x, ok := exact(text)
	if !ok || strings.ContainsAny(text, "/_xXpP") {
		v.add("decimal_parsing", loc, "Input should be a valid decimal", value, nil)
		return
	}
	v.bounds(r, loc, value, text)
	if new(big.Rat).Abs(x).Cmp(big.NewRat(100000, 1)) >= 0 {
		v.add("decimal_whole_digits", loc, "Decimal input should have no more than 5 digits before the decimal point", value, map[string]any{"whole_digits": 5})
	}
	if scaled := new(big.Rat).Mul(x, new(big.Rat).SetInt(big.NewInt(1_000_000_000_000))); !scaled.IsInt() {
		v.add("decimal_max_places", loc, "Decimal input should have no more than 12 decimal places", value, map[string]any{"decimal_places": 12})
	}
}

func (v *validator) text(name string, r *rules, loc []any, s string) {
	switch name {
	case "uuid", "uuid4":
		if !isUUID(s) {
			v.add("uuid_parsing", loc, "Input should be a valid UUID, unable to parse the text as one", s, nil)
		}
		return
	case "time":
		v.time(loc, s)
		return
	case "date":
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			v.add("date_from_datetime_parsing", loc, "Input should be a valid date or datetime", s, nil)
		}
		return
	case "uri":
		if u, err := url.Parse(s); err != nil || u.Scheme == "" || u.Host == "" {
			v.add("url_parsing", loc, "Input should be a valid URL", s, nil)
			return
		}
	case "email":
		a, err := mail.ParseAddress(s)
		if err != nil || a.Address != s || !strings.Contains(s[strings.LastIndexByte(s, '@')+1:], ".") {
			v.add("value_error", loc, "value is not a valid email address", s, map[string]any{"reason": "It is not an address with a domain."})
			return
		}
	case "ip":
		if _, err := netip.ParseAddr(s); err != nil {
			v.add("ip_any_address", loc, "value is not a valid IPv4 or IPv6 address", s, nil)
			return
		}
	}
	if r == nil {
		return
	}
	n := utf8.RuneCountInString(s)
	switch {
	case n < r.minLen:
		v.add("string_too_short", loc, fmt.Sprintf("String should have at least %d character%s", r.minLen, plural(r.minLen)), s, map[string]any{"min_length": r.minLen})
	case r.maxLen >= 0 && n > r.maxLen:
		v.add("string_too_long", loc, fmt.Sprintf("String should have at most %d character%s", r.maxLen, plural(r.maxLen)), s, map[string]any{"max_length": r.maxLen})
	case !fits(r.pattern, s):
		v.add("string_pattern_mismatch", loc, "String should match pattern '"+r.pattern+"'", s, map[string]any{"pattern": r.pattern})
	}
}

func (v *validator) time(loc []any, s string) {
	if _, err := time.Parse(time.RFC3339Nano, strings.Replace(strings.ToUpper(s), " ", "T", 1)); err == nil {
		return
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly} {
		if _, err := time.Parse(layout, s); err == nil {
			v.add("timezone_aware", loc, "Input should have timezone info", s, nil)
			return
		}
	}
	v.add("datetime_from_date_parsing", loc, "Input should be a valid datetime or date", s, nil)
}

// isUUID tells whether s is a UUID in its usual form or without dashes.
func isUUID(s string) bool {
	if len(s) == 36 {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return false
		}
		s = s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	}
	return len(s) == 32 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// readJSON reads a body, keeping numbers as they are written.
func readJSON(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

// checkQuery validates the query and the path, and returns the values with their defaults.
func (v *validator) checkQuery(op *operation, path map[string]string, query url.Values) {
	for _, f := range op.params {
		if f.in == "path" {
			v.scalar(f, []any{"path", f.name}, path[f.name])
			continue
		}
		if isMap(f.expr) {
			continue // metadata[key]=value
		}
		values, ok := query[f.name]
		if !ok || len(values) == 0 {
			if f.required {
				v.add("missing", []any{"query", f.name}, "Field required", nil, nil)
			}
			continue
		}
		if item := listItem(f.expr); item != nil {
			for i, s := range values {
				v.scalar(&field{expr: item, rules: f.rules}, []any{"query", f.name, i}, s)
			}
			continue
		}
		v.scalar(f, []any{"query", f.name}, values[len(values)-1])
	}
}

func isMap(e *expr) bool {
	if e.kind == exprRef && e.def.kind == "alias" {
		return isMap(e.def.is)
	}
	return e.kind == exprMap
}

// listItem is the type of the values of a parameter that may be repeated.
func listItem(e *expr) *expr {
	switch e.kind {
	case exprList:
		return e.elems[0]
	case exprAlt:
		for _, x := range e.elems {
			if x.kind == exprList {
				return x.elems[0]
			}
		}
	}
	return nil
}

// scalar validates a value that came as text.
func (v *validator) scalar(f *field, loc []any, s string) {
	e := f.expr
	if e.kind == exprPrim {
		switch e.name {
		case "int":
			if _, err := strconv.ParseInt(s, 10, 64); err != nil {
				v.add("int_parsing", loc, "Input should be a valid integer, unable to parse string as an integer", s, nil)
				return
			}
			v.bounds(&f.rules, loc, s, s)
			return
		case "number":
			if _, err := strconv.ParseFloat(s, 64); err != nil {
				v.add("float_parsing", loc, "Input should be a valid number, unable to parse string as a number", s, nil)
			}
			return
		case "bool":
			if _, ok := parseBool(s); !ok {
				v.add("bool_parsing", loc, "Input should be a valid boolean, unable to interpret input", s, nil)
			}
			return
		}
	}
	v.check(e, &f.rules, loc, s)
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "1", "t", "yes", "y", "on":
		return true, true
	case "false", "0", "f", "no", "n", "off":
		return false, true
	}
	return false, false
}
