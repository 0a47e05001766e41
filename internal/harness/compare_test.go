package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// dropped marks members that the description does not know. A typed object may lose them.
	dropped = "zz_dropped"
	// kept marks members below an alternative that the client cannot know. They must come back.
	kept = "zz_kept"
	// unknownWord is an enum value or a discriminator that the description does not have.
	unknownWord = "zz_unknown"
)

func decodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("harness: data after the JSON value")
	}
	return v, nil
}

func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("harness: " + err.Error())
	}
	return bytes.TrimSpace(b.Bytes())
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// A difference is a place where what came back is not what was sent.
type difference struct {
	path string
	what string
}

// compare compares what was sent with what came back, as JSON values: null members are no members, numbers compare by value and times by
// instant. With lenient, what came back may have members that were not sent, as long as they hold a zero value: a type without pointers has
// nothing else to say about a member that should have been there.
func compare(sent, got any, lenient bool) []difference {
	var out []difference
	diff(sent, got, "$", lenient, func(path, format string, args ...any) {
		if d := (difference{path, fmt.Sprintf(format, args...)}); !excused(d) {
			out = append(out, d)
		}
	})
	return out
}

func diff(sent, got any, path string, lenient bool, fail func(path, format string, args ...any)) {
	switch s := sent.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			fail(path, "object came back as %s", show(got))
			return
		}
		for k := range s {
			if s[k] == nil || k == dropped {
				continue
			}
			if g[k] == nil {
				fail(path+"."+k, "lost, was %s", show(s[k]))
				continue
			}
			diff(s[k], g[k], path+"."+k, lenient, fail)
		}
		for k := range g {
			if g[k] == nil || k == dropped || s[k] != nil {
				continue
			}
			if lenient && (isZero(g[k]) || isDefault(k, g[k])) {
				continue
			}
			if _, null := s[k]; null {
				fail(path+"."+k, "was null, came back as %s", show(g[k]))
			} else {
				fail(path+"."+k, "was not sent, came back as %s", show(g[k]))
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(s) {
			fail(path, "array of %d came back as %s", len(s), show(got))
			return
		}
		for i := range s {
			diff(s[i], g[i], fmt.Sprintf("%s[%d]", path, i), lenient, fail)
		}
	case string:
		g, ok := got.(string)
		if !ok {
			fail(path, "%s came back as %s", show(sent), show(got))
			return
		}
		if s == g {
			return
		}
		a, err := time.Parse(time.RFC3339Nano, s)
		b, err2 := time.Parse(time.RFC3339Nano, g)
		if err != nil || err2 != nil || !a.Equal(b) {
			fail(path, "%s came back as %s", show(sent), show(got))
		}
	default:
		if !equalScalar(sent, got) {
			fail(path, "%s came back as %s", show(sent), show(got))
		}
	}
}

// isDefault tells what a type writes for its zero value because the server takes nothing else.
func isDefault(name string, v any) bool { return name == "conjunction" && v == "and" }

func isZero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == "" || v == "0001-01-01T00:00:00Z" || v == "0001-01-01" || v == "0"
	case json.Number:
		return v == "0"
	case []any:
		for _, e := range v {
			if !isZero(e) {
				return false
			}
		}
		return true
	case map[string]any:
		for k, e := range v {
			if !isZero(e) && !isDefault(k, e) {
				return false
			}
		}
		return true
	}
	return false
}

func show(v any) string {
	if v == nil {
		return "nothing"
	}
	s := string(encodeJSON(v))
	if len(s) > 80 {
		s = s[:77] + "..."
	}
	return s
}

// plain is a JSON path without its indexes, for findings that are to be told once and not once per element.
func plain(path string) string {
	var b strings.Builder
	skip := false
	for _, r := range path {
		switch {
		case r == '[':
			skip = true
			b.WriteString("[]")
		case r == ']':
			skip = false
		case !skip:
			b.WriteRune(r)
		}
	}
	return b.String()
}
