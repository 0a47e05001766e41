package jsonx

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Explain says in a few words why a JSON text does not decode: what was met, and where. Unlike the text of the library's
// error it repeats no value, because values are somebody's data.
func Explain(err error) string {
	path, what := "", "it is not the JSON that was expected"
	for err != nil {
		if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			return fmt.Sprintf("it is not valid JSON at byte %d", syntax.ByteOffset)
		}
		semantic, ok := errors.AsType[*json.SemanticError](err)
		if !ok {
			break
		}
		// an error that passed through several decoders has the path of each: the outer ones are in front
		if pointer := string(semantic.JSONPointer); strings.HasPrefix(pointer, path) {
			path = pointer
		} else {
			path += pointer
		}
		if semantic.GoType != nil {
			what = fmt.Sprintf("a JSON %s does not fit %s", kindName(semantic.JSONKind), semantic.GoType)
		}
		err = semantic.Err
	}
	if err != nil && strings.HasPrefix(err.Error(), "models: ") { // our own texts repeat no values
		what = clip(err.Error(), 256)
	}
	if path == "" {
		return what
	}
	return what + " at " + clip(path, 256)
}

// clip cuts s off after n bytes and replaces what does not print: the names in a path are the sender's.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	case '"':
		return "string"
	case '0':
		return "number"
	case '{', '}':
		return "object"
	case '[', ']':
		return "array"
	}
	return "value"
}
