package harness

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/polar-go/polar/internal/jsonx"
)

// roundTrip decodes every sample of a schema into a type, encodes it with encoding/json and compares. With most above 0 it takes only so many
// samples.
func roundTrip(doc *document, name string, s *schema, t reflect.Type, md mode, most int, seen *sightings) []finding {
	var out []finding
	told := map[string]bool{}
	tell := func(path, format string, args ...any) {
		if path = plain(path); !told[path] && len(told) < 40 {
			told[path] = true
			out = append(out, finding{name, path, fmt.Sprintf(format, args...)})
		}
	}
	samples, _ := newSampler(doc, md, false).all(s)
	if most > 0 && len(samples) > most {
		samples = samples[:most]
	}
	for _, sm := range samples {
		p := reflect.New(t)
		if err := jsonx.Unmarshal(encodeOrdered(sm.value, sm.n%2 == 1), p.Interface()); err != nil {
			tell("$", "sample %d is an error: %v", sm.n, err)
			continue
		}
		b, err := json.Marshal(p.Interface())
		if err != nil {
			tell("$", "sample %d does not encode: %v", sm.n, err)
			continue
		}
		got, err := decodeJSON(b)
		if err != nil {
			tell("$", "sample %d encodes to no JSON: %v", sm.n, err)
			continue
		}
		for _, d := range compare(sm.value, got, md == broken) {
			tell(d.path, "%s%s (sample %d)", d.what, sm.context(d.path), sm.n)
		}
		inspect(p.Interface(), md, seen, tell)
	}
	return out
}

// hookTypes names the types of webhook data that no operation answers with.
var hookTypes = map[string]string{
	"BenefitGrantWebhook": "BenefitGrant",
	"CustomerSeat":        "Seat",
}

// hookType is the type of the models that holds the data of a webhook: what an operation makes of the same component, else see hookTypes. Shared
// tells that an operation has it.
func (s *sdk) hookType(doc *document, component string) (t reflect.Type, shared, ok bool) {
	for _, op := range doc.ops {
		_, rs := op.success()
		if rs == nil || rs.Schema == nil || rs.Schema.component() != component {
			continue
		}
		if m, ok := s.method(op); ok && m.typ.NumOut() == 2 && m.typ.Out(0).Kind() == reflect.Pointer {
			return m.typ.Out(0).Elem(), true, true
		}
	}
	name := component
	if n, ok := hookTypes[component]; ok {
		name = n
	}
	for _, t := range s.reg.types {
		if t.Name() == name {
			return t, false, true
		}
	}
	return nil, false, false
}

// checkHook decodes the data of one webhook.
func checkHook(doc *document, s *sdk, event string, md mode, seen *sightings) []finding {
	data := doc.hooks[event].deref().Properties["data"]
	if data == nil {
		return []finding{{event, "$.data", "the description has no data"}}
	}
	t, shared, ok := s.hookType(doc, data.component())
	if !ok {
		return []finding{{event, "$.data", "no type for " + data.component()}}
	}
	most := 0
	if shared {
		most = 6 // the operation gets every sample
	}
	return roundTrip(doc, event, data, t, md, most, seen)
}

func sightHooks(doc *document, s *sdk, seen *sightings) {
	done := map[string]bool{}
	for _, event := range sortedKeys(doc.hooks) {
		if c := doc.hooks[event].deref().Properties["data"].component(); !done[c] {
			done[c] = true
			checkHook(doc, s, event, described, seen)
		}
	}
}

// The data of every webhook survives decoding and encoding. Webhooks with data of the same component share one run.
func TestWebhookData(t *testing.T) {
	doc := load(t)
	s := theSDK()
	done := map[string]bool{}
	for _, event := range sortedKeys(doc.hooks) {
		c := doc.hooks[event].deref().Properties["data"].component()
		if done[c] {
			continue
		}
		done[c] = true
		for md, name := range map[mode]string{described: "described", newer: "newer", broken: "broken"} {
			t.Run(event+"/"+name, func(t *testing.T) {
				t.Parallel()
				report(t, checkHook(doc, s, event, md, nil))
			})
		}
	}
}

// opaque tells a type that encoding/json cannot decode, because somewhere in it is an interface that only its encoder understands.
func opaque(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return t.NumMethod() > 0
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return opaque(t.Elem(), seen)
	case reflect.Struct:
		if v, ok := isNullable(t); ok {
			return opaque(v, seen)
		}
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return false
		}
		for i := range t.NumField() {
			if opaque(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

// Samples of the request schemas decode into the request types, and what these encode is valid and the same.
func TestRequestSamples(t *testing.T) {
	each(t, func(t *testing.T, doc *document, s *sdk, op *operation) {
		report(t, checkRequestSamples(doc, s, op))
	})
}

func checkRequestSamples(doc *document, s *sdk, op *operation) []finding {
	m, ok := s.method(op)
	if !ok || op.Body == nil || op.Body.Type != "application/json" {
		return nil
	}
	in := m.in()
	t := in[len(in)-1]
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if opaque(t, map[reflect.Type]bool{}) {
		return nil // its alternatives are made one by one in checkOperation
	}
	f := newFiller(doc, s.reg, op.ID)
	samples, _ := newSampler(doc, described, true).all(op.Body.Schema)
	told := map[string]bool{}
	tell := func(path, format string, args ...any) {
		if path = plain(path); !told[path] && len(told) < 40 {
			told[path] = true
			f.fail(path, format, args...)
		}
	}
	for _, sm := range samples {
		p := reflect.New(t)
		if err := json.Unmarshal(encodeOrdered(sm.value, sm.n%2 == 1), p.Interface()); err != nil {
			tell("$", "sample %d is an error: %v", sm.n, err)
			continue
		}
		b, err := json.Marshal(p.Elem().Interface())
		if err != nil {
			tell("$", "sample %d does not encode: %v", sm.n, err)
			continue
		}
		got, err := decodeJSON(b)
		if err != nil {
			tell("$", "sample %d encodes to no JSON: %v", sm.n, err)
			continue
		}
		for _, bad := range check(op.Body.Schema, got, "$") {
			tell(bad.path, "is not valid any more: %s", bad.what)
		}
		for _, d := range compare(decimalsAsText(sm.value, got), got, false) {
			tell(d.path, "%s (sample %d)", d.what, sm.n)
		}
	}
	return f.findings
}

// decimalsAsText replaces numbers by text where the client has written them as text of the same value. The server takes decimals in either form.
func decimalsAsText(sent, got any) any {
	switch s := sent.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		out := map[string]any{}
		for k := range s {
			out[k] = decimalsAsText(s[k], g[k])
		}
		return out
	case []any:
		g, _ := got.([]any)
		out := make([]any, len(s))
		for i := range s {
			out[i] = s[i]
			if i < len(g) {
				out[i] = decimalsAsText(s[i], g[i])
			}
		}
		return out
	case json.Number:
		if g, ok := got.(string); ok && equalScalar(s, json.Number(g)) {
			return g
		}
	}
	return sent
}
