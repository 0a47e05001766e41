package webhooks

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

// schemas makes values that fit the schemas of an API description.
type schemas struct {
	components map[string]map[string]any
	random     *rand.Rand
}

// value returns a value that fits a schema. Where there are alternatives it takes any; members that are not required may
// be missing.
func (s *schemas) value(schema map[string]any, depth int) any {
	if ref, ok := schema["$ref"].(string); ok {
		return s.value(s.components[strings.TrimPrefix(ref, "#/components/schemas/")], depth)
	}
	for _, name := range []string{"anyOf", "oneOf"} {
		if list, ok := schema[name].([]any); ok {
			return s.value(list[s.random.IntN(len(list))].(map[string]any), depth)
		}
	}
	if v, ok := schema["const"]; ok {
		return v
	}
	if list, ok := schema["enum"].([]any); ok {
		return list[s.random.IntN(len(list))]
	}
	switch schema["type"] {
	case "object":
		v := map[string]any{}
		required, _ := schema["required"].([]any)
		properties, _ := schema["properties"].(map[string]any)
		for name, property := range properties {
			if s.random.IntN(3) > 0 || contains(required, name) {
				v[name] = s.value(property.(map[string]any), depth+1)
			}
		}
		if more, ok := schema["additionalProperties"].(map[string]any); ok && depth < 12 {
			v["more"] = s.value(more, depth+1)
		}
		return v
	case "array":
		v := []any{}
		items, _ := schema["items"].(map[string]any)
		for range s.random.IntN(3) {
			if depth < 12 {
				v = append(v, s.value(items, depth+1))
			}
		}
		if tuple, ok := schema["prefixItems"].([]any); ok {
			v = v[:0]
			for _, item := range tuple {
				v = append(v, s.value(item.(map[string]any), depth+1))
			}
		}
		return v
	case "string":
		switch schema["format"] {
		case "date-time":
			return "2027-01-15T10:00:00.5Z"
		case "date":
			return "2027-01-15"
		case "duration":
			return "P1D"
		}
		if pattern, ok := schema["pattern"].(string); ok && strings.Contains(pattern, `\d`) {
			return "12.5"
		}
		return "text"
	case "integer":
		return s.random.IntN(1000)
	case "number":
		return 1.5
	case "boolean":
		return s.random.IntN(2) == 0
	}
	return nil
}

func contains(list []any, name string) bool {
	for _, v := range list {
		if v == name {
			return true
		}
	}
	return false
}

// Whatever version an endpoint is set to, its payloads are read: those that this module was made from and those of the
// versions that are described beside it.
func TestDescribedVersions(t *testing.T) {
	files, err := filepath.Glob("../../shared/openapi/*.openapi.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("the descriptions of the API are missing")
	}
	for _, file := range files {
		version := strings.TrimSuffix(filepath.Base(file), ".openapi.json")
		t.Run(version, func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var doc struct {
				Components struct{ Schemas map[string]map[string]any }
			}
			require.NoError(t, json.Unmarshal(text, &doc))
			s := &schemas{doc.Components.Schemas, rand.New(rand.NewPCG(1, 1))}
			types := map[models.WebhookEventType]bool{}
			for name, schema := range s.components {
				if !strings.HasPrefix(name, "Webhook") || !strings.HasSuffix(name, "Payload") {
					continue
				}
				for range 50 {
					payload := s.value(schema, 0).(map[string]any)
					payload["api_version"] = version
					body, err := json.Marshal(payload)
					require.NoError(t, err)
					e, err := Decode(body)
					require.NoError(t, err, "%s", body)
					assert.Equal(t, version, e.Info().APIVersion)
					assert.EqualValues(t, payload["type"], e.Type())
					types[e.Type()] = true
				}
			}
			assert.GreaterOrEqual(t, len(types), 42)
		})
	}
}
