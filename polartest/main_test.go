package polartest_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/polar-go/polar/polartest"
)

// TestMain checks every answer that any test of this package gets against the pinned
// facts, and against the description of the API where it is at hand.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		os.Exit(m.Run()) // benchmarks measure the server alone
	}
	facts, err := polartest.FactsChecker(filepath.Join("..", "internal", "gen", "facts"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	description, err := readDescription(filepath.Join("..", "..", "shared", "openapi", "2026-10.openapi.json"))
	if err != nil && !os.IsNotExist(err) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	wrong := map[string]bool{}
	checked := map[string]int{}
	polartest.Inspect(func(what string, status int, contentType string, data []byte) {
		var list []string
		if status >= 200 && status < 300 && contentType == "application/json" {
			for _, f := range facts(what, data) {
				list = append(list, what+" against the facts: "+f)
			}
		}
		if description != nil && len(data) > 0 && strings.HasPrefix(contentType, "application/json") {
			for _, f := range description.check(what, status, data) {
				list = append(list, fmt.Sprintf("%s %d against the description: %s", what, status, f))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		checked[what]++
		for _, f := range list {
			wrong[f] = true
		}
	})
	code := m.Run()
	var list []string
	for f := range wrong {
		list = append(list, f)
	}
	sort.Strings(list)
	for i, f := range list {
		if i == 60 {
			fmt.Printf("... and %d more\n", len(list)-60)
			break
		}
		fmt.Println(f)
	}
	if len(list) > 0 && code == 0 {
		fmt.Println("FAIL: the server sent answers that do not fit their schema")
		code = 1
	}
	os.Exit(code)
}

// description is the API description, read on its own.
type description struct {
	schemas   map[string]any
	responses map[string]map[string]any // by operation, then status: the schema
}

func readDescription(path string) (*description, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Paths    map[string]map[string]specOperation
		Webhooks map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Schema any }
			}
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	d := &description{schemas: doc.Components.Schemas, responses: map[string]map[string]any{}}
	for _, methods := range doc.Paths {
		for _, op := range methods {
			by := map[string]any{}
			for status, r := range op.Responses {
				by[status] = r.Content["application/json"].Schema
			}
			d.responses[op.OperationID] = by
		}
	}
	for name, methods := range doc.Webhooks {
		for _, op := range methods {
			d.responses["event:"+name] = map[string]any{"200": op.RequestBody.Content["application/json"].Schema}
		}
	}
	return d, nil
}

type specOperation struct {
	OperationID string `json:"operationId"`
	Responses   map[string]struct {
		Content map[string]struct{ Schema any }
	}
}

// check validates an answer. Statuses that the description leaves out are not looked at,
// except that a success must be the one that it names.
func (d *description) check(what string, status int, data []byte) []string {
	by := d.responses[what]
	if by == nil {
		return []string{"the description has no such operation"}
	}
	schema, ok := by[fmt.Sprint(status)]
	if !ok {
		if status < 300 {
			return []string{"the description has no such status"}
		}
		return nil
	}
	if status == 422 {
		return nil // its schema is that of FastAPI, which Polar's own bodies extend
	}
	if strings.Contains(string(data), `"error_description":`) {
		return nil // a token is refused in OAuth2's form on every operation, which the description leaves out
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return []string{err.Error()}
	}
	return d.validate(schema, v, "", 0)
}
