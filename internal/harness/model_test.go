package harness

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

// hookName is the name of an event's Go type: the type of the event in CamelCase.
func hookName(event string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(event, func(r rune) bool { return r == '.' || r == '_' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// hookSamples are the payloads that a webhook is tried with. Of the events with data of the same component, and of those whose data an operation
// answers with, one gets every sample and the others a few.
func hookSamples(doc *document, event string, md mode) []sample {
	payload := doc.hooks[event].deref()
	data := payload.Properties["data"]
	shared := false
	for _, op := range doc.ops {
		if _, rs := op.success(); rs != nil && rs.Schema != nil && rs.Schema.Ref == data.Ref {
			shared = true
		}
	}
	for _, other := range sortedKeys(doc.hooks) {
		if other == event {
			break
		}
		shared = shared || doc.hooks[other].deref().Properties["data"].Ref == data.Ref
	}
	s := doc.hooks[event]
	if md == broken {
		s = data // what arrives without its type is refused, and that is right
	}
	samples, _ := newSampler(doc, md, false).all(s)
	if shared && len(samples) > 6 {
		samples = samples[:6]
	}
	if md != broken {
		return samples
	}
	for i, sm := range samples {
		envelope := first(doc, payload).(map[string]any)
		envelope["data"] = sm.value
		samples[i].value = envelope
		samples[i].picks = map[string]string{}
		for path, pick := range sm.picks {
			samples[i].picks["$.data"+strings.TrimPrefix(path, "$")] = pick
		}
	}
	return samples
}

// checkHook decodes the payloads of one webhook, encodes them again and compares; the data also with encoding/json.
func checkHook(doc *document, event string, md mode, seen *sightings) []finding {
	var out []finding
	told := map[string]bool{}
	tell := func(path, format string, args ...any) {
		if path = plain(path); !told[path] && len(told) < 40 {
			told[path] = true
			out = append(out, finding{event, path, fmt.Sprintf(format, args...)})
		}
	}
	for _, sm := range hookSamples(doc, event, md) {
		e, err := webhooks.Decode(encodeOrdered(sm.value, sm.n%2 == 1))
		if err != nil {
			tell("$", "sample %d is an error: %v", sm.n, err)
			continue
		}
		if name := reflect.TypeOf(e).Elem().Name(); name != hookName(event) || string(e.Type()) != event {
			tell("$", "was decoded as %s of type %q", name, e.Type())
			continue
		}
		body, err := webhooks.Encode(e)
		if err != nil {
			tell("$", "sample %d does not encode: %v", sm.n, err)
			continue
		}
		data, err := json.Marshal(reflect.ValueOf(e).Elem().FieldByName("Data").Interface())
		if err != nil {
			tell("$.data", "sample %d does not encode: %v", sm.n, err)
			continue
		}
		got, err := decodeJSON(body)
		if err != nil {
			tell("$", "sample %d encodes to no JSON: %v", sm.n, err)
			continue
		}
		gotData, err := decodeJSON(data)
		if err != nil {
			tell("$.data", "sample %d encodes to no JSON: %v", sm.n, err)
			continue
		}
		for _, d := range compare(sm.value, got, md == broken) {
			tell(d.path, "%s%s (sample %d)", d.what, sm.context(d.path), sm.n)
		}
		for _, d := range compare(sm.value.(map[string]any)["data"], gotData, md == broken) {
			tell("$.data (encoding/json)"+strings.TrimPrefix(d.path, "$"), "%s (sample %d)", d.what, sm.n)
		}
		inspect(e, md, seen, tell)
	}
	return out
}

func sightHooks(doc *document, seen *sightings) {
	for _, event := range sortedKeys(doc.hooks) {
		checkHook(doc, event, described, seen)
	}
}

// Every webhook's payload survives decoding and encoding.
func TestWebhooks(t *testing.T) {
	doc := load(t)
	for _, event := range sortedKeys(doc.hooks) {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			for _, md := range []mode{described, newer, broken} {
				report(t, checkHook(doc, event, md, nil))
			}
		})
	}
	t.Run("list", func(t *testing.T) {
		t.Parallel()
		report(t, checkHookList(doc))
	})
}

// checkHookList compares the events that the client knows with those of the description.
func checkHookList(doc *document) []finding {
	var out []finding
	for _, v := range models.WebhookEventTypeValues() {
		if doc.hooks[string(v)] == nil {
			out = append(out, finding{"webhooks", string(v), "the client knows the event, the description does not"})
		}
	}
	for _, event := range sortedKeys(doc.hooks) {
		if !slices.Contains(models.WebhookEventTypeValues(), models.WebhookEventType(event)) {
			out = append(out, finding{"webhooks", event, "the description has the event, the client does not know it"})
		}
	}
	return out
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
