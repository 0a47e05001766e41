package models_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// BenchmarkDecode reads pages of 100 items, made by testdata/pages, into the models and into plain structs with the same
// members: unions left as bytes, and no type with a JSON form of its own. Both go through the same decoder, in turns, and
// the ratio says what the models cost on top. The budget is 1.35.
func BenchmarkDecode(b *testing.B) {
	b.Run("orders", func(b *testing.B) { benchmarkPage[models.Order](b, "testdata/orders.json") })
	b.Run("products", func(b *testing.B) { benchmarkPage[models.Product](b, "testdata/products.json") })
}

func benchmarkPage[T any](b *testing.B, file string) {
	data, err := os.ReadFile(file)
	require.NoError(b, err)
	model, plain := pageOf(reflect.TypeFor[T]()), pageOf(plainOf(reflect.TypeFor[T]()))
	decode := func(t reflect.Type) time.Duration {
		start := time.Now()
		if err := jsonx.Unmarshal(data, reflect.New(t).Interface()); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	decode(model)
	decode(plain) // both types are known to the decoder now

	var ours, theirs time.Duration
	b.SetBytes(int64(2 * len(data)))
	for b.Loop() {
		ours += decode(model)
		theirs += decode(plain)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "times-plain")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ns/page")
	ourAllocs := testing.AllocsPerRun(5, func() { decode(model) })
	theirAllocs := testing.AllocsPerRun(5, func() { decode(plain) })
	b.ReportMetric(ourAllocs/theirAllocs, "times-plain-allocs")
}

func pageOf(item reflect.Type) reflect.Type {
	return reflect.StructOf([]reflect.StructField{{Name: "Items", Type: reflect.SliceOf(item), Tag: `json:"items"`}})
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

// leaves are what a plain struct would have in the place of types with a JSON form of their own.
var leaves = map[reflect.Type]reflect.Type{
	reflect.TypeFor[time.Time]():              reflect.TypeFor[time.Time](),
	reflect.TypeFor[models.Metadata]():        reflect.TypeFor[map[string]any](),
	reflect.TypeFor[models.CustomFieldData](): reflect.TypeFor[map[string]any](),
	reflect.TypeFor[models.TaxID]():           reflect.TypeFor[[]string](),
	reflect.TypeFor[models.Decimal]():         reflect.TypeFor[string](),
}

// plainOf returns t without methods: structs keep their members, sealed interfaces become bytes.
func plainOf(t reflect.Type) reflect.Type {
	if leaf, ok := leaves[t]; ok {
		return leaf
	}
	switch t.Kind() {
	case reflect.Pointer:
		return reflect.PointerTo(plainOf(t.Elem()))
	case reflect.Slice:
		return reflect.SliceOf(plainOf(t.Elem()))
	case reflect.Map:
		return reflect.MapOf(t.Key(), plainOf(t.Elem()))
	case reflect.Interface:
		return rawMessage
	case reflect.Struct:
		var fields []reflect.StructField
		for f := range t.Fields() {
			if f.IsExported() && f.Tag.Get("json") != "-" {
				fields = append(fields, reflect.StructField{Name: f.Name, Type: plainOf(f.Type), Tag: f.Tag})
			}
		}
		return reflect.StructOf(fields)
	}
	return t
}

// The pages are worth measuring as long as they are what the API answers: every member is known, and every variant.
func TestPages(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]any{
		"orders":   new([]models.Order),
		"products": new([]models.Product),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile("testdata/" + name + ".json")
			require.NoError(t, err)
			var file struct {
				Items jsontext.Value `json:"items"`
			}
			require.NoError(t, jsonx.Unmarshal(data, &file))
			require.NoError(t, jsonx.Unmarshal(file.Items, page))
			require.Equal(t, 100, reflect.ValueOf(page).Elem().Len())
			assert.Empty(t, unknown(reflect.ValueOf(page)))

			text, err := jsonx.Marshal(page)
			require.NoError(t, err)
			var want, got any
			require.NoError(t, json.Unmarshal(file.Items, &want))
			require.NoError(t, json.Unmarshal(text, &got))
			assert.Empty(t, difference(want, got))
		})
	}
}

// unknown returns the name of a type in v that stands for an alternative the models do not know.
func unknown(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return unknown(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			if name := unknown(v.Index(i)); name != "" {
				return name
			}
		}
	case reflect.Struct:
		if strings.HasPrefix(v.Type().Name(), "Unknown") {
			return v.Type().Name()
		}
		for f, member := range v.Fields() {
			if name := unknown(member); f.IsExported() && name != "" {
				return name
			}
		}
	}
	return ""
}

// difference says where two JSON values differ. Members that are null may be missing.
func difference(want, got any) string {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(w)) {
			if d := difference(w[name], g[name]); d != "" {
				return "/" + name + d
			}
		}
		for name, v := range g {
			if _, ok := w[name]; !ok && v != nil {
				return "/" + name + ": was made up"
			}
		}
		return ""
	case []any:
		g, _ := got.([]any)
		for i := range w {
			if i == len(g) {
				return ": is shorter"
			}
			if d := difference(w[i], g[i]); d != "" {
				return fmt.Sprintf("/%d%s", i, d)
			}
		}
		return ""
	}
	if want != got {
		return fmt.Sprintf(": was %v and became %v", want, got)
	}
	return ""
}
