package harness

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A mode says which samples a sampler makes.
type mode int

const (
	// described makes only what the description allows.
	described mode = iota
	// newer adds what a later server might send: unknown members, enum values and alternatives.
	newer
	// broken adds what a server should not send: required members that are missing or null.
	broken
)

// A sampler makes JSON values from a schema until every choice that the schema leaves has been made once: every alternative of every union,
// every value of every enum, every nullable member null, every optional member missing, every kind of value of the leaves.
//
// A choice is a goal. Each sample takes goals that are still open wherever it can, so a sample covers many at once, and the number of samples
// is about the number of values of the longest enum.
type sampler struct {
	doc     *document
	mode    mode
	request bool // samples for a request: no values that a request may not have
	least   bool // only required members
	rnd     *rand.Rand

	states map[*schema]*nodeState
	step   int // number of the sample
	gained int // goals that the sample has covered
	stack  map[*schema]int
	picks  map[string]string // union choices of the sample, by JSON path
	forced *schema           // the alternative that the next union has to take
}

type nodeState struct {
	options []option
	covered []bool
	closed  bool // nothing open here or below
	kids    []*schema
}

type option struct {
	name  string
	value func(path string) any // makes the value
	kids  []*schema             // what has goals below this option
}

func newSampler(doc *document, m mode, request bool) *sampler {
	return &sampler{doc: doc, mode: m, request: request, rnd: rand.New(rand.NewPCG(1, 2)), states: map[*schema]*nodeState{}, stack: map[*schema]int{}}
}

// A sample is a JSON value with the choices that tell where it stands.
type sample struct {
	value any
	picks map[string]string
	n     int
}

// context tells the union alternatives that the path goes through.
func (s sample) context(path string) string {
	var out []string
	for _, p := range sortedKeys(s.picks) {
		if strings.HasPrefix(path, p) && (len(path) == len(p) || strings.ContainsRune(".[", rune(path[len(p)]))) {
			out = append(out, s.picks[p])
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " in " + strings.Join(out, ", ")
}

// all makes the samples of s. The names of goals that could not be reached are returned beside them.
func (g *sampler) all(s *schema) (out []sample, open []string) {
	idle := 0
	for idle < 40 {
		g.gained, g.picks = 0, map[string]string{}
		v := g.gen(s, "$")
		g.step++
		if g.gained > 0 || len(out) == 0 {
			out = append(out, sample{value: v, picks: g.picks, n: len(out)})
			idle = 0
		} else {
			idle++
		}
		if !g.pending(s) {
			return out, nil
		}
	}
	for _, n := range g.reach(s) {
		st := g.states[n]
		for i, c := range st.covered {
			if !c {
				open = append(open, n.id+"="+st.options[i].name)
			}
		}
	}
	slices.Sort(open)
	return out, open
}

// first makes one sample: everything set, the first alternative everywhere.
func first(doc *document, s *schema) any {
	g := newSampler(doc, described, false)
	g.picks = map[string]string{}
	return g.gen(s, "$")
}

// least makes one sample: only what is required.
func least(doc *document, s *schema) any {
	g := newSampler(doc, described, true)
	g.picks, g.least = map[string]string{}, true
	return g.gen(s, "$")
}

// reach lists the schemas that values of s are made from.
func (g *sampler) reach(s *schema) []*schema {
	var out []*schema
	seen := map[*schema]bool{}
	var walk func(s *schema)
	walk = func(s *schema) {
		s = s.deref()
		if seen[s] {
			return
		}
		seen[s] = true
		out = append(out, s)
		for _, k := range g.state(s).kids {
			walk(k)
		}
	}
	walk(s)
	return out
}

// pending tells whether s or anything below it has an open goal.
func (g *sampler) pending(s *schema) bool {
	var visited []*schema
	seen := map[*schema]bool{}
	var walk func(s *schema) bool
	walk = func(s *schema) bool {
		s = s.deref()
		st := g.state(s)
		if st.closed || seen[s] {
			return false
		}
		seen[s] = true
		visited = append(visited, s)
		if slices.Contains(st.covered, false) {
			return true
		}
		return slices.ContainsFunc(st.kids, walk)
	}
	if walk(s) {
		return true
	}
	for _, v := range visited {
		g.states[v].closed = true
	}
	return false
}

// take picks an option of s: an open one, else one with something open below it, else any. The very first sample takes the first option
// everywhere. Chance keeps choices that depend on each other from blocking one another; its seed is fixed.
func (g *sampler) take(s *schema, allowed func(i int) bool) int {
	st := g.state(s)
	var fresh, below, rest []int
	for i, o := range st.options {
		if allowed != nil && !allowed(i) {
			continue
		}
		switch {
		case !st.covered[i]:
			fresh = append(fresh, i)
		case slices.ContainsFunc(o.kids, g.pending):
			below = append(below, i)
		default:
			rest = append(rest, i)
		}
	}
	var i int
	switch {
	case len(fresh)+len(below)+len(rest) == 0:
		panic("harness: no option left in " + s.id)
	case g.step == 0:
		i = slices.Min(slices.Concat(fresh, below, rest))
	case len(fresh) > 0:
		i = fresh[0]
	case len(below) > 0:
		i = below[g.rnd.IntN(len(below))]
	case g.rnd.IntN(2) == 0:
		i = rest[0]
	default:
		i = rest[g.rnd.IntN(len(rest))]
	}
	if !st.covered[i] {
		st.covered[i] = true
		g.gained++
	}
	return i
}

// state makes the options of s on the first visit.
func (g *sampler) state(s *schema) *nodeState {
	s = s.deref()
	if st := g.states[s]; st != nil {
		return st
	}
	st := &nodeState{}
	g.states[s] = st
	st.options = g.optionsOf(s)
	st.options = slices.DeleteFunc(st.options, func(o option) bool {
		return g.request && refused[s.id+"="+o.name] != "" || neverSent(s, o.name)
	})
	st.covered = make([]bool, len(st.options))
	for _, o := range st.options {
		st.kids = append(st.kids, o.kids...)
	}
	switch s.Type {
	case "object":
		for _, k := range s.names {
			st.kids = append(st.kids, s.Properties[k])
		}
		if a := s.AdditionalProperties; a != nil && a.Schema != nil {
			st.kids = append(st.kids, a.Schema)
		}
	case "array":
		st.kids = append(st.kids, s.PrefixItems...)
		if s.Items != nil {
			st.kids = append(st.kids, s.Items)
		}
	}
	return st
}

// mixedNumbers tells a union of integers and other numbers. A client reads it as floating point, so large integers are not for it.
func mixedNumbers(s *schema) bool {
	whole, fraction, other := false, false, false
	for _, v := range s.variants() {
		switch v.deref().Type {
		case "integer":
			whole = true
		case "number":
			fraction = true
		case "null":
		default:
			other = true
		}
	}
	return whole && fraction && !other
}

// optionsOf lists what can be chosen at s itself.
func (g *sampler) optionsOf(s *schema) []option {
	constant := func(name string, v any) option {
		return option{name: name, value: func(string) any { return v }}
	}
	if vs := s.variants(); vs != nil {
		if mixedNumbers(s) {
			out := []option{constant("whole", json.Number("42")), constant("fraction", json.Number("0.125")), constant("zero", json.Number("0"))}
			if slices.ContainsFunc(vs, (*schema).isNull) {
				out = append(out, constant("null", nil))
			}
			return out
		}
		var out []option
		for i, v := range vs {
			name := v.component()
			if name == "" {
				name = v.deref().Type
			}
			if name == "" {
				name = fmt.Sprint("alternative ", i)
			}
			if v.isNull() {
				out = append(out, constant("null", nil))
				continue
			}
			out = append(out, option{name: name, kids: []*schema{v}, value: func(path string) any {
				return g.gen(v, path)
			}})
		}
		// Null last: the first sample has everything set.
		slices.SortStableFunc(out, func(a, b option) int {
			switch {
			case a.name == "null" && b.name != "null":
				return 1
			case b.name == "null" && a.name != "null":
				return -1
			}
			return 0
		})
		way := implicit[s.id]
		if s.Discriminator != nil {
			way = []any{s.Discriminator.PropertyName}
		}
		if way != nil && g.mode == newer && !g.request {
			// Each alternative once under a name that the client cannot know, with members that it cannot know either.
			for i, v := range vs {
				out = append(out, option{name: fmt.Sprintf("unknown %d", i), value: func(path string) any {
					obj, ok := g.gen(v, path).(map[string]any)
					if !ok {
						return nil
					}
					owner, ok := at(obj, way[:len(way)-1]...).(map[string]any)
					if !ok {
						return obj
					}
					owner[way[len(way)-1].(string)] = unknownWord
					strange(s, obj, i%2 == 1)
					g.picks[path] = "unknown " + fmt.Sprint(way...)
					return obj
				}})
			}
		}
		return out
	}
	if s.Const != nil {
		return []option{constant("constant", s.Const)}
	}
	if len(s.Enum) > 0 {
		var out []option
		for i, e := range s.Enum {
			if g.mode != described && len(s.Enum) > 60 && i == 3 {
				break // countries and currencies: every one is in the described samples
			}
			out = append(out, constant(fmt.Sprint(e), e))
		}
		if g.mode == newer && !g.request {
			out = append(out, constant("unknown", unknownWord))
		}
		return out
	}
	switch s.Type {
	case "null":
		return []option{constant("null", nil)}
	case "boolean":
		return []option{constant("true", true), constant("false", false)}
	case "string":
		return g.stringOptions(s, constant)
	case "integer", "number":
		return g.numberOptions(s, constant)
	case "object":
		out := []option{{name: "all"}}
		req := s.required()
		for _, k := range s.names {
			if !req[k] {
				out = append(out, option{name: "without " + k})
			} else if g.mode == broken {
				out = append(out, option{name: "without " + k})
				if !nullable(s.Properties[k]) {
					out = append(out, option{name: "null " + k})
				}
			}
		}
		if s.AdditionalProperties != nil && s.AdditionalProperties.Allowed && len(s.Properties) == 0 && s.minProperties() == 0 {
			out = append(out, option{name: "empty"})
		}
		if g.mode == newer && !g.request && len(s.Properties) > 0 && s.AdditionalProperties == nil {
			out = append(out, option{name: "unknown member"})
		}
		return out
	case "array":
		out := []option{{name: "items"}}
		if s.MinItems == nil || *s.MinItems == 0 {
			out = append(out, option{name: "empty"})
		}
		return out
	}
	// No type: anything.
	return []option{constant("object", map[string]any{"a": json.Number("1")}), constant("string", "any"), constant("array", []any{true})}
}

func (s *schema) minProperties() int {
	if s.MinProperties == nil {
		return 0
	}
	return *s.MinProperties
}

func nullable(s *schema) bool {
	s = s.deref()
	if s.Type == "null" || s.Type == "" && s.variants() == nil {
		return true
	}
	return slices.ContainsFunc(s.variants(), nullable)
}

// strange adds what the client cannot know to an alternative that it cannot know: a member of the object's own, and one inside each object that
// the alternatives describe differently. With twist, nothing inside these objects is of a type that the client may expect.
func strange(union *schema, obj map[string]any, twist bool) {
	more := map[string]any{"deep": []any{json.Number("1"), "two", nil}}
	switch flat[union.id] {
	case "":
		obj[kept] = more
	case keptPayload:
		obj[dropped] = more
	default:
		obj[dropped] = more
		return
	}
	payload := func(owner map[string]any, k string) {
		inner, ok := owner[k].(map[string]any)
		if !ok {
			return
		}
		if twist {
			for n := range inner {
				inner[n] = []any{map[string]any{"zz_other": true}}
			}
		}
		inner[kept] = true
	}
	if way := implicit[union.id]; way != nil {
		b, _ := obj[way[0].(string)].(map[string]any)
		payload(b, "properties")
		payload(obj, "properties")
		payload(obj, "previous_properties")
		return
	}
	for k := range obj {
		var one *schema
		same := true
		for _, o := range union.objects() {
			p := o.Properties[k]
			if p == nil {
				same = false
				break
			}
			if p = p.nonNull(); one == nil {
				one = p
			}
			same = same && (p == one || p.isMap() && one.isMap())
		}
		if !same {
			payload(obj, k)
		}
	}
}

func (g *sampler) stringOptions(s *schema, constant func(string, any) option) []option {
	switch s.Format {
	case "uuid", "uuid4":
		return []option{constant("uuid", "1dbfc517-0bbf-4301-9ba8-555ca42b9737"), constant("other uuid", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff")}
	case "date-time":
		return []option{
			constant("microseconds", "2026-10-01T08:30:15.123456Z"), constant("whole second", "2026-10-01T08:30:15Z"),
			constant("offset", "2026-10-01T10:30:15.5+02:00"), constant("long ago", "1999-12-31T23:59:59.999999Z"),
		}
	case "date":
		return []option{constant("date", "2026-10-01"), constant("leap day", "2028-02-29")}
	case "uri":
		return []option{constant("uri", "https://example.com/path?query=a%20b&c=d#e")}
	case "email":
		return []option{constant("email", "ada.lovelace+test@example.com")}
	case "ipvanyaddress":
		return []option{constant("IPv4", "192.0.2.1"), constant("IPv6", "2001:db8::1")}
	}
	if re := patterns[s.Pattern]; re != nil {
		out := []option{constant("decimal", "12.5"), constant("tiny", "0.000000000001"), constant("zeros", "0.500000000000")}
		if !g.request {
			// The server writes small decimals this way, although the pattern does not allow it.
			out = append(out, constant("exponent", "1E-7"))
		}
		return out
	}
	if s.Pattern != "" {
		for _, c := range []string{"usd", "a-slug_1", "image/png", "application/pdf"} {
			if re, err := pattern(s.Pattern); err == nil && re.MatchString(c) {
				return []option{constant("pattern", c)}
			}
		}
		panic("harness: no sample for the pattern of " + s.id)
	}
	lo, hi := 0, 1<<20
	if s.MinLength != nil {
		lo = *s.MinLength
	}
	if s.MaxLength != nil {
		hi = *s.MaxLength
	}
	fit := func(v string) string {
		r := []rune(v)
		for len(r) < lo {
			r = append(r, 'x')
		}
		return string(r[:min(len(r), hi)])
	}
	out := []option{constant("text", fit("text")), constant("characters", fit("<é>& \"\\\u2028 \U0001F600/\n"))}
	if lo == 0 {
		out = append(out, constant("empty", ""))
	}
	return out
}

func (g *sampler) numberOptions(s *schema, constant func(string, any) option) []option {
	ok := func(n string) bool { return len(checkNumber(s, json.Number(n), "")) == 0 }
	candidates := []struct{ name, n string }{
		{"number", "12"}, {"zero", "0"}, {"one", "1"}, {"big", "9007199254740993"}, {"negative", "-7"},
	}
	if s.Type == "number" {
		candidates = []struct{ name, n string }{{"fraction", "12.5"}, {"zero", "0"}, {"whole", "3"}, {"small", "0.0000001"}, {"negative", "-0.25"}}
	}
	if s.Minimum != nil {
		candidates = append(candidates, struct{ name, n string }{"minimum", json.Number(fmt.Sprintf("%.0f", *s.Minimum)).String()})
	}
	if s.Maximum != nil {
		candidates = append(candidates, struct{ name, n string }{"maximum", json.Number(fmt.Sprintf("%.0f", *s.Maximum)).String()})
	}
	var out []option
	for _, c := range candidates {
		if ok(c.n) {
			out = append(out, constant(c.name, json.Number(c.n)))
		}
	}
	if len(out) == 0 {
		panic("harness: no sample for the bounds of " + s.id)
	}
	return out
}

// gen makes a value of s.
func (g *sampler) gen(s *schema, path string) any {
	s = s.deref()
	g.stack[s]++
	defer func() { g.stack[s]-- }()
	deep := g.stack[s] > 2 // a schema inside itself, as filters are
	if s.variants() != nil {
		st := g.state(s)
		want := g.forced
		g.forced = nil
		i := g.take(s, func(i int) bool {
			o := st.options[i]
			if want != nil && len(o.kids) > 0 {
				return o.kids[0].deref() == want
			}
			if deep || len(o.kids) == 0 {
				return true
			}
			return g.stack[o.kids[0].deref()] < 2 || i == 0
		})
		if o := st.options[i]; len(o.kids) > 0 && len(o.kids[0].objects()) > 0 && len(s.objects()) > 1 {
			g.picks[path] = o.name
		}
		return st.options[i].value(path)
	}
	switch {
	case s.Const == nil && len(s.Enum) == 0 && s.Type == "object":
		return g.object(s, path)
	case s.Type == "array":
		if len(s.PrefixItems) > 0 {
			g.take(s, func(i int) bool { return g.state(s).options[i].name == "items" })
			out := make([]any, len(s.PrefixItems))
			for i, p := range s.PrefixItems {
				out[i] = g.gen(p, fmt.Sprintf("%s[%d]", path, i))
			}
			g.cover(s, "empty")
			return out
		}
		st := g.state(s)
		if st.options[g.take(s, nil)].name == "empty" {
			return []any{}
		}
		most := 3
		if strings.Count(path, ".") <= 1 {
			most = 40 // the items of a list
		} else if strings.Count(path, ".") <= 3 {
			most = 8
		}
		if s.MaxItems != nil {
			most = min(most, *s.MaxItems)
		}
		if deep {
			most = 1
		}
		out := []any{}
		for len(out) == 0 || len(out) < most && g.items(s) {
			out = append(out, g.gen(s.Items, fmt.Sprintf("%s[%d]", path, len(out))))
		}
		return out
	}
	st := g.state(s)
	return st.options[g.take(s, nil)].value(path)
}

func (g *sampler) items(s *schema) bool { return s.Items != nil && g.step > 0 && g.pending(s.Items) }

// cover marks an option that does not apply.
func (g *sampler) cover(s *schema, name string) {
	st := g.state(s)
	for i, o := range st.options {
		if o.name == name {
			st.covered[i] = true
		}
	}
}

func (g *sampler) object(s *schema, path string) any {
	st := g.state(s)
	choice := st.options[g.take(s, nil)].name
	obj := map[string]any{}
	lead := sibling(s)
	var required map[string]bool
	if g.least {
		required = s.required()
	}
	gen := func(k string) {
		p := s.Properties[k]
		if g.least && !required[k] {
			return
		}
		switch choice {
		case "without " + k:
			return
		case "null " + k:
			obj[k] = nil
			return
		}
		if lead != "" && k == "properties" {
			obj[k] = g.properties(p, obj[lead], path+"."+k)
			return
		}
		obj[k] = g.member(s, k, p, path+"."+k)
	}
	// The names happen to sort well: the benefit is made before its properties.
	for _, k := range s.names {
		gen(k)
	}
	if choice == "unknown member" {
		obj[dropped] = []any{map[string]any{"x": json.Number("1")}}
	}
	a := s.AdditionalProperties
	if a == nil || !a.Allowed || choice == "empty" || g.least && len(s.Properties) > 0 {
		return obj
	}
	if a.Schema == nil {
		obj["free"] = map[string]any{"a": []any{json.Number("1"), "b", nil, true}}
		obj["number"] = json.Number("9007199254740993")
		return obj
	}
	names := []any{"key_1", "Key 2", "x.y"}
	if s.PropertyNames != nil {
		n := s.PropertyNames.deref()
		if len(n.Enum) > 0 {
			names = n.Enum
		} else {
			for i, v := range names {
				if len(check(n, v, "")) != 0 {
					names = names[:i]
					break
				}
			}
		}
	}
	most := 6
	if s.MaxProperties != nil {
		most = min(most, *s.MaxProperties)
	}
	for n := 0; n == 0 || n < most && g.pending(a.Schema) && g.step > 0; n++ {
		k, _ := names[n%len(names)].(string)
		if n >= len(names) {
			if s.PropertyNames != nil {
				break
			}
			k = fmt.Sprintf("key%d", n)
		}
		obj[k] = g.gen(a.Schema, path+"."+k)
	}
	return obj
}

func (g *sampler) member(s *schema, name string, p *schema, path string) any {
	words := restrictions(s, name)
	if words == nil {
		return g.gen(p, path)
	}
	e := p.deref()
	st := g.state(e)
	i := g.take(e, func(i int) bool {
		n := st.options[i].name
		return slices.Contains(words, n) || n == "unknown"
	})
	return st.options[i].value(path)
}

// restrictions says which values of an enum belong to an alternative that has no constant to tell it by. The description lets a discount of
// fixed amount say that it is a percentage; the server never does.
func restrictions(s *schema, member string) []string {
	if !strings.Contains(s.id, "Discount") || !strings.Contains(s.id, "Duration") {
		return nil
	}
	switch {
	case member == "type" && strings.Contains(s.id, "DiscountFixed"):
		return []string{"fixed"}
	case member == "type" && strings.Contains(s.id, "DiscountPercentage"):
		return []string{"percentage"}
	case member == "duration" && strings.Contains(s.id, "OnceForever"):
		return []string{"once", "forever"}
	case member == "duration" && strings.Contains(s.id, "Repeat"):
		return []string{"repeating"}
	}
	return nil
}

// grantProperties says which properties belong to which type of benefit. The description leaves it open; the server does not. It also leaves out
// the properties of meter credits, which only the webhooks describe.
var grantProperties = map[string]string{
	"discord":              "BenefitGrantDiscordProperties",
	"github_repository":    "BenefitGrantGitHubRepositoryProperties",
	"downloadables":        "BenefitGrantDownloadablesProperties",
	"license_keys":         "BenefitGrantLicenseKeysProperties",
	"custom":               "BenefitGrantCustomProperties",
	"feature_flag":         "BenefitGrantFeatureFlagProperties",
	"slack_shared_channel": "BenefitGrantSlackSharedChannelProperties",
	"meter_credit":         "BenefitGrantMeterCreditProperties",
}

// sibling names the member that says what the member properties of s holds, where the description does not.
func sibling(s *schema) string {
	switch s.id {
	case "BenefitGrant":
		return "benefit"
	case "CustomerStateBenefitGrant":
		return "benefit_type"
	}
	return ""
}

// properties makes the member properties of a grant fit its type of benefit.
func (g *sampler) properties(u *schema, lead any, path string) any {
	t, _ := lead.(string)
	if b, ok := lead.(map[string]any); ok {
		t, _ = b["type"].(string)
	}
	u = u.deref()
	want := g.doc.schemas[grantProperties[t]]
	if want != nil && !slices.ContainsFunc(u.variants(), func(v *schema) bool { return v.deref() == want }) {
		return g.gen(want, path)
	}
	g.forced = want
	v := g.gen(u, path)
	if obj, ok := v.(map[string]any); ok && want == nil {
		obj[kept] = true
	}
	return v
}

// implicit lists the unions that are told apart by a member that is not their discriminator, with the way to it.
var implicit = map[string][]any{
	"BenefitGrantWebhook":  {"benefit", "type"},
	"CustomerBenefitGrant": {"benefit", "type"},
}
