package models_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

func TestNullable(t *testing.T) {
	var unset models.Nullable[string]
	null, set, empty := models.Null[string](), models.Set("x"), models.Set("")
	for _, c := range []struct {
		name         string
		n            models.Nullable[string]
		value        string
		ok           bool
		zero, isNull bool
		print, quote string
	}{
		{"unset", unset, "", false, true, false, "unset", "unset"},
		{"null", null, "", false, false, true, "null", "null"},
		{"set", set, "x", true, false, false, "x", `"x"`},
		{"empty", empty, "", true, false, false, "", `""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, ok := c.n.Get()
			assert.Equal(t, c.value, v)
			assert.Equal(t, c.ok, ok)
			assert.Equal(t, c.zero, c.n.IsZero())
			assert.Equal(t, c.isNull, c.n.IsNull())
			assert.Equal(t, c.print, fmt.Sprint(c.n))
			assert.Equal(t, c.quote, fmt.Sprintf("%q", c.n))
		})
	}
	assert.Equal(t, "  7", fmt.Sprintf("%3d", models.Set(7)))
	assert.Equal(t, models.Set("x"), set)
	assert.NotEqual(t, models.Set("y"), set)
}

func TestNullableJSON(t *testing.T) {
	roundTrip(t, `"x"`, models.Set("x"), `"x"`)
	roundTrip(t, `""`, models.Set(""), `""`)
	roundTrip(t, `null`, models.Null[string](), `null`)
	roundTrip(t, `{"a":9007199254740993}`, models.Set(models.Metadata{"a": int64(9007199254740993)}), `{"a":9007199254740993}`)
	roundTrip(t, `["a"]`, models.Set([]string{"a"}), `["a"]`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	roundTrip(t, `"2026-01-02T03:04:05.678Z"`, models.Set(at), `"2026-01-02T03:04:05.678Z"`)
	err := refused[models.Nullable[string]](t, `5`)
	assert.Contains(t, err.Error(), "/A")
	cut[models.Nullable[[]string]](t, `["a"]`)
}

func TestNullableIsLeftOut(t *testing.T) {
	type update struct {
		Name models.Nullable[string]          `json:"name,omitzero"`
		Meta models.Nullable[models.Metadata] `json:"meta,omitzero"`
		Size models.Nullable[int]             `json:"size,omitzero"`
	}
	for _, c := range leafCodecs {
		for want, v := range map[string]update{
			`{}`:                                   {},
			`{"name":null,"size":0}`:               {Name: models.Null[string](), Size: models.Set(0)},
			`{"name":"x","meta":{}}`:               {Name: models.Set("x"), Meta: models.Set(models.Metadata{})},
			`{"name":"","meta":{"a":1},"size":-5}`: {Name: models.Set(""), Meta: models.Set(models.Metadata{"a": int64(1)}), Size: models.Set(-5)},
		} {
			text, err := c.marshal(v)
			require.NoError(t, err, c.name)
			require.Equal(t, want, string(text), c.name)

			var back update
			require.NoError(t, c.unmarshal(text, &back), c.name)
			require.Equal(t, v, back, c.name)
		}
		// A failed read changes nothing, and reading again replaces.
		v := update{Size: models.Set(5), Name: models.Set("x")}
		require.Error(t, c.unmarshal([]byte(`{"size":"much"}`), &v))
		assert.Equal(t, models.Set(5), v.Size)
		require.NoError(t, c.unmarshal([]byte(`{"name":null}`), &v))
		assert.Equal(t, update{Size: models.Set(5), Name: models.Null[string]()}, v)
	}
}
