package harness

import (
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// encodeOrdered writes a JSON value with the members of objects sorted by name, or the other way round: what tells alternatives apart may stand
// before or behind them.
func encodeOrdered(v any, reverse bool) []byte { return appendOrdered(nil, v, reverse) }

func appendOrdered(b []byte, v any, reverse bool) []byte {
	switch v := v.(type) {
	case map[string]any:
		keys := sortedKeys(v)
		if reverse {
			slices.Reverse(keys)
		}
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendOrdered(b, k, reverse), ':')
			b = appendOrdered(b, v[k], reverse)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendOrdered(b, e, reverse)
		}
		return append(b, ']')
	case string:
		b, err := jsontext.AppendQuote(b, v)
		if err != nil {
			panic("harness: " + err.Error())
		}
		return b
	case json.Number:
		return append(b, v...)
	default:
		return append(b, encodeJSON(v)...)
	}
}

// sightings collects what was seen inside results: the values of enum types, and the types behind sealed interfaces.
type sightings struct {
	mu       sync.Mutex
	words    map[reflect.Type]map[string]bool
	variants map[reflect.Type]map[reflect.Type]bool
}

func newSightings() *sightings {
	return &sightings{words: map[reflect.Type]map[string]bool{}, variants: map[reflect.Type]map[reflect.Type]bool{}}
}

func (w *sightings) word(t reflect.Type, v string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.words[t] == nil {
		w.words[t] = map[string]bool{}
	}
	w.words[t][v] = true
}

func (w *sightings) variant(iface, t reflect.Type) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.variants[iface] == nil {
		w.variants[iface] = map[reflect.Type]bool{}
	}
	w.variants[iface][t] = true
}

// look walks a result and calls enum for every value of an enum type and union for every value behind a sealed interface.
func look(v reflect.Value, enum func(v reflect.Value), union func(iface, t reflect.Type)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			look(v.Elem(), enum, union)
		}
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		if v.NumMethod() > 0 {
			t := v.Elem().Type()
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			union(v.Type(), t)
		}
		look(v.Elem(), enum, union)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				look(v.Field(i), enum, union)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			look(v.Index(i), enum, union)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			look(v.MapIndex(k), enum, union)
		}
	case reflect.String:
		if v.Type().Implements(reflect.TypeFor[interface{ Known() bool }]()) {
			enum(v)
		}
	}
}

// inspect looks into a decoded sample: enum values have to be known when the description has them, and no value may have become one of the types
// for what the client does not know.
func inspect(out any, md mode, seen *sightings, tell func(path, format string, args ...any)) {
	look(reflect.ValueOf(out), func(v reflect.Value) {
		word := v.String()
		known := v.MethodByName("Known").Call(nil)[0].Bool()
		switch {
		case word == unknownWord && known:
			tell(v.Type().Name(), "Known reports true for %q", word)
		case word == unknownWord, word == "":
		case md == described && !known:
			tell(v.Type().Name(), "Known reports false for %q, which the description has", word)
		}
		if md == described && seen != nil {
			seen.word(v.Type(), word)
		}
	}, func(iface, t reflect.Type) {
		if md != described {
			return
		}
		if strings.HasPrefix(t.Name(), "Unknown") {
			tell(iface.Name(), "a described alternative was decoded as %s", t.Name())
		}
		if seen != nil {
			seen.variant(iface, t)
		}
	})
}

// checkResponses answers one operation with every sample of its success response, and compares what the client makes of it, encoded again, with
// what was sent. With most above 0 it takes only so many samples.
func checkResponses(doc *document, s *sdk, op *operation, md mode, most int, seen *sightings) []finding {
	f := newFiller(doc, s.reg, op.ID)
	f.minimal = true
	m, ok := s.method(op)
	if !ok {
		f.fail("method", "the client has no %s", expected(op))
		return f.findings
	}
	args, ok := argumentsFor(f, m, op)
	f.findings = nil // the requests have a check of their own
	if !ok {
		return nil
	}
	r := newRig(nil, false)
	status, rs := op.success()
	told := map[string]bool{}
	tell := func(path, format string, args ...any) {
		if path = plain(path); !told[path] && len(told) < 40 {
			told[path] = true
			f.fail(path, format, args...)
		}
	}
	switch {
	case rs.Type == "":
		r.answer = func(*call) answer { return answer{status: status} }
		if _, err := split(r.invoke(m, args.sets[0])); err != nil {
			tell("$", "the empty answer %d is an error: %v", status, err)
		}
		return f.findings
	case rs.Type == "text/csv":
		text := "a,b\r\n1,\"x\ny\"\r\n"
		r.answer = func(*call) answer { return answer{status: status, typ: "text/csv", body: []byte(text)} }
		out, err := split(r.invoke(m, args.sets[0]))
		if err != nil {
			tell("$", "the answer %d is an error: %v", status, err)
			return f.findings
		}
		body, ok := out.(io.ReadCloser)
		if !ok {
			tell("$", "CSV comes back as %T", out)
			return f.findings
		}
		got, err := io.ReadAll(body)
		if err != nil || string(got) != text || body.Close() != nil {
			tell("$", "CSV came back as %q, %v", got, err)
		}
		return f.findings
	}
	var samples []sample
	if hand, ok := undescribed[op.ID]; ok {
		samples = []sample{{value: hand}}
	} else {
		samples, _ = newSampler(doc, md, false).all(rs.Schema)
	}
	if most > 0 && len(samples) > most {
		samples = samples[:most]
	}
	for _, sm := range samples {
		sent := encodeOrdered(sm.value, sm.n%2 == 1)
		r.answer = func(*call) answer { return answer{status: status, typ: "application/json", body: sent} }
		out, err := split(r.invoke(m, args.sets[0]))
		if err != nil {
			tell("$", "sample %d is an error: %v", sm.n, err)
			continue
		}
		if m.typ.NumOut() == 1 {
			if len(rs.Schema.deref().Properties) > 0 || rs.Schema.deref().variants() != nil {
				tell("$", "the answer has members, %s returns only an error", m.place)
			}
			continue // nothing to give back
		}
		back, err := json.Marshal(out)
		if err != nil {
			tell("$", "the result of sample %d does not encode: %v", sm.n, err)
			continue
		}
		got, err := decodeJSON(back)
		if err != nil {
			tell("$", "the result of sample %d encodes to no JSON: %v", sm.n, err)
			continue
		}
		for _, d := range compare(sm.value, got, md == broken) {
			tell(d.path, "%s%s (sample %d)", d.what, sm.context(d.path), sm.n)
		}
		inspect(out, md, seen, tell)
	}
	return f.findings
}

// checkSightings compares what the types list with what samples of the whole description have led to: enum values, and types behind interfaces.
func checkSightings(reg *registry, seen *sightings) []finding {
	var out []finding
	for t, have := range seen.words {
		listed, ok := reg.values[t]
		if !ok {
			out = append(out, finding{t.Name(), "values", "there is no function that lists them"})
			continue
		}
		for _, v := range listed {
			if !have[v] {
				out = append(out, finding{t.Name(), v, "the client has this value, the description does not"})
			}
		}
		for v := range have {
			if v != "" && !slices.Contains(listed, v) {
				out = append(out, finding{t.Name(), v, "the description has this value, the client does not"})
			}
		}
	}
	for iface, have := range seen.variants {
		for _, t := range reg.implementers(iface) {
			if !have[t] {
				out = append(out, finding{iface.Name(), t.Name(), "the client has this alternative, the description does not"})
			}
		}
	}
	return unique(out)
}
