package polartest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// What tests outside of the package need to see.
var (
	Handlers  = allHandlers
	ReadTable = func() error { _, err := readTable(factsTable); return err }
)

// Operations lists every operation of the table.
func Operations() []string {
	var ids []string
	t, _ := facts()
	for _, op := range t.list {
		ids = append(ids, op.id)
	}
	return ids
}

// Inspect has f see every answer and every webhook ("event:order.paid") of all servers.
func Inspect(f func(what string, status int, contentType string, data []byte)) { inspect = f }

// FactsChecker reads the pinned facts in dir and returns a check of answers against them.
func FactsChecker(dir string) (func(what string, data []byte) []string, error) {
	var text strings.Builder
	line := func(fields ...string) { text.WriteString(strings.Join(fields, "\t") + "\n") }
	var pending []string
	for _, name := range []string{"types.jsonl", "additions.jsonl", "operations.jsonl", "api.jsonl"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		sc := bufio.NewScanner(bytes.NewReader(data))
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			if err := factLine(sc.Bytes(), line, &pending); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	text.WriteString(strings.Join(pending, ""))
	t, err := readTable(text.String())
	if err != nil {
		return nil, err
	}
	return func(what string, data []byte) []string {
		def := t.types[what]
		if def == nil {
			return nil
		}
		value, err := readJSON(data)
		if err != nil {
			return []string{err.Error()}
		}
		v := &validator{}
		v.check(&expr{kind: exprRef, name: what, def: def}, nil, nil, value)
		var out []string
		for _, f := range v.faults {
			out = append(out, fmt.Sprintf("%v %s: %s", f.Loc, f.Type, f.Msg))
		}
		return out
	}, nil
}

type anyFact struct {
	Op, Param, Result, Type, Kind, Extra, By, Is, Member, Event, Payload string
	Of                                                                   any
	Value                                                                *string
	Required, Closed, Pending                                            bool
	Plain                                                                []string
	Min, Max, Above                                                      *float64
	MinLen, MaxLen                                                       *int
	ResultKind                                                           string
}

var (
	enumName   string
	enumValues []string
)

// factLine turns a line of the facts into one of the table's.
func factLine(data []byte, line func(...string), pending *[]string) error {
	var f anyFact
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	flush := func() {
		if enumName != "" {
			line(append([]string{"enum", enumName}, enumValues...)...)
			enumName, enumValues = "", nil
		}
	}
	switch {
	case f.Value != nil:
		enumValues = append(enumValues, *f.Value)
		return nil
	case f.Member != "":
		fields := []string{".", f.Member, f.Is}
		if f.Required {
			fields = append(fields, "!")
		}
		number := func(op string, v *float64) {
			if v != nil {
				fields = append(fields, op+strconv.FormatFloat(*v, 'f', -1, 64))
			}
		}
		number(">=", f.Min)
		number("<=", f.Max)
		number(">", f.Above)
		line(fields...)
		return nil
	}
	flush()
	switch {
	case f.Param != "" || f.Result == "" && f.Op != "":
	case f.Op != "":
		if f.ResultKind == "" {
			*pending = append(*pending, "alias\t"+f.Op+"\t"+f.Result+"\n")
		}
	case f.Event != "":
		*pending = append(*pending, "alias\tevent:"+f.Event+"\t"+f.Payload+"\n")
	case f.Kind == "enum" && f.Plain != nil:
		line(append([]string{"enum", f.Type}, f.Plain...)...)
	case f.Kind == "enum":
		enumName = f.Type
	case f.Kind == "union":
		fields := []string{"union", f.Type, f.By}
		for _, x := range f.Of.([]any) {
			fields = append(fields, x.(string))
		}
		line(fields...)
	case f.Kind == "alias":
		line("alias", f.Type, f.Is)
	case f.Kind != "":
		closed := ""
		if f.Closed {
			closed = "closed"
		}
		line("object", f.Type, closed, f.Extra)
	}
	return nil
}

// Share is amount × part ÷ whole, rounded.
var Share = share
