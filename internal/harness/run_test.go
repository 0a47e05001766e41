package harness

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// each runs a check for every operation, in parallel.
func each(t *testing.T, check func(t *testing.T, doc *document, s *sdk, op *operation)) {
	doc := load(t)
	s := theSDK()
	t.Run("operations", func(t *testing.T) {
		for _, op := range doc.ops {
			t.Run(strings.ReplaceAll(op.ID, "/", "_"), func(t *testing.T) {
				t.Parallel()
				check(t, doc, s, op)
			})
		}
	})
}

// Every operation has its method and every method its operation; the iterators belong to the lists.
func TestEveryOperationHasOneMethod(t *testing.T) {
	t.Parallel()
	report(t, checkMethods(load(t), theSDK()))
}

func checkMethods(doc *document, s *sdk) []finding {
	var out []finding
	owner := map[place]*operation{}
	lists := map[place]*operation{}
	for _, op := range doc.ops {
		p := expected(op)
		if other := owner[p]; other != nil {
			out = append(out, finding{op.ID, p.String(), "is also the place of " + other.ID})
		}
		owner[p] = op
		if _, ok := s.byPlace[p]; !ok {
			out = append(out, finding{op.ID, p.String(), "the client does not have it"})
		}
		if op.portal() != p.portal {
			out = append(out, finding{op.ID, p.String(), "is on the wrong client"})
		}
		if !op.Paginated && op.ID != "events:list" { // see extraQuery: the events list is paginated in two ways
			continue
		}
		all := p
		if p.method == "List" {
			all.method = "All"
		} else {
			all.method = strings.Replace(p.method, "List", "All", 1)
		}
		lists[all] = op
		if m, ok := s.byPlace[all]; !ok || !m.iterates() {
			out = append(out, finding{op.ID, all.String(), "the list has no such iterator"})
		}
	}
	for _, m := range s.methods {
		helper := s.helpers[m.owner+"."+m.place.method]
		if (owner[m.place] == nil && lists[m.place] == nil) != helper {
			what := "no operation of the description leads to it"
			if helper {
				what = "is written by hand, where the description has an operation"
			}
			out = append(out, finding{m.place.String(), "method", what})
		}
	}
	return out
}

// Every operation is called as the description says, with everything it takes.
func TestRequests(t *testing.T) {
	each(t, func(t *testing.T, doc *document, s *sdk, op *operation) {
		report(t, checkOperation(t, doc, s, op))
	})
}

// Everything that the description allows as an answer survives decoding and encoding.
func TestResponses(t *testing.T) {
	seen := newSightings()
	each(t, func(t *testing.T, doc *document, s *sdk, op *operation) {
		report(t, checkResponses(doc, s, op, described, share(doc, s, op), seen))
	})
	if s, doc := theSDK(), load(t); !t.Failed() {
		sightRequests(doc, s, seen, doc.ops)
		sightHooks(doc, seen)
		report(t, checkSightings(s.reg, seen))
	}
}

// share says how many samples an operation gets. What the client makes of an answer depends on the schema and on the type that it decodes into:
// of the operations that share both, the first gets every sample and the others a few.
func share(doc *document, s *sdk, op *operation) int {
	kind := func(op *operation) (*schema, reflect.Type) {
		_, rs := op.success()
		m, ok := s.method(op)
		if !ok || rs.Schema == nil || rs.Schema.Ref == "" {
			return nil, nil
		}
		return rs.Schema.deref(), m.typ.Out(0)
	}
	schema, result := kind(op)
	if schema == nil {
		return 0
	}
	for _, other := range doc.ops {
		if other == op {
			return 0
		}
		if s, r := kind(other); s == schema && r == result {
			return 6
		}
	}
	return 0
}

// sightRequests adds the enum values that requests may hold.
func sightRequests(doc *document, s *sdk, seen *sightings, ops []*operation) {
	for _, op := range ops {
		f := newFiller(doc, s.reg, op.ID)
		if m, ok := s.method(op); ok {
			argumentsFor(f, m, op)
		}
		for t, have := range f.enums {
			for v := range have {
				seen.word(t, v)
			}
		}
	}
}

// What a later server adds does not break anything.
func TestNewerResponses(t *testing.T) {
	each(t, func(t *testing.T, doc *document, s *sdk, op *operation) {
		report(t, checkResponses(doc, s, op, newer, share(doc, s, op), nil))
	})
}

// Members that are missing or null where they should not be do not break anything.
func TestBrokenResponses(t *testing.T) {
	each(t, func(t *testing.T, doc *document, s *sdk, op *operation) {
		report(t, checkResponses(doc, s, op, broken, share(doc, s, op), nil))
	})
}

// Every error comes back as what it is.
func TestErrors(t *testing.T) {
	each(t, func(t *testing.T, doc *document, s *sdk, op *operation) {
		report(t, checkErrors(doc, s, op))
	})
}

// What cannot be meant is refused before anything is sent.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, doc *document, s *sdk, op *operation) {
		report(t, checkRefusals(doc, s, op))
	})
}

// Every error name of the description has a constant, and every constant is in the description.
func TestErrorNames(t *testing.T) {
	t.Parallel()
	report(t, checkErrorNames(load(t), theSDK()))
}

// Names that mean no more than their status: they are classes.
var classNames = []string{"Unauthorized", "BadRequest"}

func checkErrorNames(doc *document, s *sdk) []finding {
	described := map[string]bool{}
	for _, op := range doc.ops {
		for status, r := range op.Responses {
			if status < 400 || r.Schema == nil {
				continue
			}
			for _, o := range r.Schema.objects() {
				if e := o.Properties["error"]; e != nil {
					if name, ok := e.deref().Const.(string); ok {
						described[name] = true
					}
				}
			}
		}
	}
	var out []finding
	for name := range described {
		if !slices.Contains(s.reg.errors, name) && !slices.Contains(classNames, name) {
			out = append(out, finding{"errors", name, "there is no constant for the name"})
		}
	}
	for _, name := range s.reg.errors {
		if !described[name] && undescribedErrors[name] == "" {
			out = append(out, finding{"errors", name, "the description does not have the name"})
		}
	}
	return out
}

// Without a credential the open operations work, and the others fail before anything is sent.
func TestAnonymous(t *testing.T) {
	each(t, func(t *testing.T, doc *document, s *sdk, op *operation) {
		report(t, checkAnonymous(doc, s, op))
	})
}

func checkAnonymous(doc *document, s *sdk, op *operation) []finding {
	f := newFiller(doc, s.reg, op.ID)
	f.minimal = true
	m, ok := s.method(op)
	if !ok {
		return []finding{{op.ID, "method", "the client does not have it"}}
	}
	args, ok := argumentsFor(f, m, op)
	f.findings = nil
	if !ok {
		return nil
	}
	r := newRig(nil, true)
	r.answer = func(*call) answer { return success(doc, op) }
	_, err := split(r.invoke(m, args.sets[0]))
	open := !op.Secured || anonymousToo[op.ID]
	switch {
	case !open && (err == nil || len(r.calls) > 0):
		f.fail("credential", "is needed, a call without one sends %d requests: %v", len(r.calls), err)
	case open && (err != nil || len(r.calls) != 1):
		f.fail("credential", "is not needed, a call without one sends %d requests: %v", len(r.calls), err)
	case open && r.calls[0].header.Get("Authorization") != "":
		f.fail("credential", "Authorization is sent by a client without a credential")
	}
	return f.findings
}

// Iterators read every page once, in order, and stop behind the last.
func TestIterators(t *testing.T) {
	doc := load(t)
	s := theSDK()
	n := 0
	for _, m := range s.methods {
		if !m.iterates() || s.helpers[m.owner+"."+m.place.method] {
			continue
		}
		n++
		t.Run(m.place.String(), func(t *testing.T) {
			t.Parallel()
			list := m.place
			list.method = strings.Replace(strings.Replace(m.place.method, "All", "List", 1), "ListList", "List", 1)
			var op *operation
			for _, o := range doc.ops {
				if expected(o) == list {
					op = o
				}
			}
			require.NotNil(t, op, "no list for %s", m.place)
			f := newFiller(doc, s.reg, op.ID)
			f.minimal = true
			args, ok := argumentsFor(f, m, op)
			require.True(t, ok)
			_, rs := op.success()
			page, _ := first(doc, rs.Schema).(map[string]any)
			item := at(page, "items", 0)
			r := newRig(nil, false)
			r.answer = func(c *call) answer {
				body := map[string]any{"items": []any{item, item}, "pagination": map[string]any{"total_count": 6, "max_page": 3}}
				if len(r.calls) == 2 {
					body["items"] = []any{item} // a short page is not the end
				}
				return answer{status: 200, typ: "application/json", body: encodeJSON(body)}
			}
			for range 2 { // ranging twice starts again
				r.calls = nil
				items := 0
				for _, err := range r.invoke(m, args.sets[0])[0].Seq2() {
					require.True(t, err.IsNil(), "%v", err)
					items++
				}
				assert.Equal(t, 5, items)
				require.Len(t, r.calls, 3)
				for i, c := range r.calls {
					assert.Same(t, op, find(doc, c, args.paths))
					assert.Equal(t, "100", c.query.Get("limit"))
					if want := fmt.Sprint(i + 1); want != "1" || c.query.Has("page") {
						assert.Equal(t, want, c.query.Get("page"))
					}
				}
			}
			r.calls = nil
			for range r.invoke(m, args.sets[0])[0].Seq2() {
				break
			}
			assert.Len(t, r.calls, 1, "stopping early asks for nothing more")
			r.answer = func(*call) answer { return answer{status: 403} }
			errs := 0
			for _, err := range r.invoke(m, args.sets[0])[0].Seq2() {
				assert.False(t, err.IsNil())
				errs++
			}
			assert.Equal(t, 1, errs, "an error ends it")
		})
	}
	assert.Equal(t, 39, n, "38 lists with page numbers and the list of events")
}
