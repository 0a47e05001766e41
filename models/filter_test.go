package models_test

import (
	stdjson "encoding/json"
	"math"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-querystring/query"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

func TestFilterJSON(t *testing.T) {
	roundTrip(t,
		`{"clauses":[{"value":"api","operator":"eq","property":"name"},{"conjunction":"or","clauses":[{"property":"tokens","operator":"gt","value":1000},{"property":"cached","operator":"ne","value":true}]}],"conjunction":"and"}`,
		models.Filter{
			Conjunction: models.FilterConjunctionAnd,
			Clauses: []models.FilterNode{
				&models.FilterClause{Property: "name", Operator: models.FilterOperatorEq, Value: "api"},
				&models.Filter{
					Conjunction: models.FilterConjunctionOr,
					Clauses: []models.FilterNode{
						&models.FilterClause{Property: "tokens", Operator: models.FilterOperatorGt, Value: int64(1000)},
						&models.FilterClause{Property: "cached", Operator: models.FilterOperatorNe, Value: true},
					},
				},
			},
		},
		`{"conjunction":"and","clauses":[{"property":"name","operator":"eq","value":"api"},{"conjunction":"or","clauses":[{"property":"tokens","operator":"gt","value":1000},{"property":"cached","operator":"ne","value":true}]}]}`,
	)
	// What is not promised: other values, a clause of a new kind, an operator of the future, nothing at all.
	roundTrip(t,
		`{"conjunction":"xor","clauses":[{"property":"p","operator":"between","value":1.5},{"near":{"a":"<b>"}},null,{"property":"p","operator":"eq"},"x"],"more":1}`,
		models.Filter{
			Conjunction: "xor",
			Clauses: []models.FilterNode{
				&models.FilterClause{Property: "p", Operator: "between", Value: 1.5},
				&models.UnknownFilterNode{Raw: stdjson.RawMessage(`{"near":{"a":"<b>"}}`)},
				nil,
				&models.FilterClause{Property: "p", Operator: "eq"},
				&models.UnknownFilterNode{Raw: stdjson.RawMessage(`"x"`)},
			},
		},
		`{"conjunction":"xor","clauses":[{"property":"p","operator":"between","value":1.5},{"near":{"a":"<b>"}},null,{"property":"p","operator":"eq","value":null},"x"]}`,
	)
	roundTrip(t, `{"clauses":null}`, models.Filter{}, `{"conjunction":"and","clauses":[]}`)
	roundTrip(t, `null`, models.Filter{}, `{"conjunction":"and","clauses":[]}`)
	roundTrip(t, `{"conjunction":"or","clauses":[]}`, models.Filter{Conjunction: "or", Clauses: []models.FilterNode{}}, `{"conjunction":"or","clauses":[]}`)
	roundTrip(t, `{"property":"p","operator":"eq","value":18446744073709551615}`,
		models.FilterClause{Property: "p", Operator: "eq", Value: stdjson.Number("18446744073709551615")},
		`{"property":"p","operator":"eq","value":18446744073709551615}`)
}

func TestFilterReadsByMember(t *testing.T) {
	for in, want := range map[string]models.FilterNode{
		`{"value":1,"property":"p"}`:                 &models.FilterClause{Property: "p", Value: int64(1)},
		`{"property":"p","clauses":[]}`:              &models.Filter{Clauses: []models.FilterNode{}},
		`{"clauses":[],"property":"p"}`:              &models.Filter{Clauses: []models.FilterNode{}},
		`{"\u0070roperty":"clauses"}`:                &models.FilterClause{Property: "clauses"},
		`{"value":{"clauses":[]},"property":"p"}`:    &models.FilterClause{Property: "p", Value: map[string]any{"clauses": []any{}}},
		`{"conjunction":"and","operator":"eq"}`:      &models.UnknownFilterNode{Raw: stdjson.RawMessage(`{"conjunction":"and","operator":"eq"}`)},
		`{"x":{"property":"p"},"y":[{"clauses":1}]}`: &models.UnknownFilterNode{Raw: stdjson.RawMessage(`{"x":{"property":"p"},"y":[{"clauses":1}]}`)},
	} {
		for _, c := range leafCodecs {
			var f models.Filter
			require.NoError(t, c.unmarshal([]byte(`{"clauses":[`+in+`]}`), &f), c.name)
			assert.Equal(t, []models.FilterNode{want}, f.Clauses, c.name)
		}
	}
}

func TestFilterErrorsNameThePath(t *testing.T) {
	in := `{"clauses":[{"property":"p"},{"clauses":[{"clauses":[]},{"property":5}]}]}`
	assert.ErrorContains(t, refused[models.Filter](t, in), `"/A/clauses/1/clauses/1/property"`)
	assert.ErrorContains(t, refused[models.Filter](t, `{"clauses":{}}`), `"/A/clauses"`)
	assert.ErrorContains(t, refused[models.Filter](t, `{"clauses":[{"clauses":[{"clauses":5}]}]}`), `"/A/clauses/0/clauses/0/clauses"`)
	assert.ErrorContains(t, refused[models.Filter](t, `[]`), `"/A"`)
	assert.ErrorContains(t, refused[models.FilterClause](t, `{"operator":[]}`), `"/A/operator"`)
	cut[models.Filter](t, `{"clauses":[{"property":"p","value":true}]}`)
	cut[models.FilterClause](t, `{"property":"p","value":true}`)
}

func TestFilterDepth(t *testing.T) {
	in := strings.Repeat(`{"conjunction":"or","clauses":[`, 150) + strings.Repeat(`]}`, 150)
	var f models.Filter
	require.NoError(t, jsonx.Unmarshal([]byte(in), &f))
	depth := 0
	for node := &f; node != nil; depth++ {
		next, _ := node.Clauses[0].(*models.Filter)
		if next == nil {
			assert.IsType(t, &models.UnknownFilterNode{}, node.Clauses[0])
		}
		node = next
	}
	assert.Equal(t, 100, depth)
	out, err := jsonx.Marshal(f)
	require.NoError(t, err)
	assert.Equal(t, in, string(out))

	deep := models.Or()
	for range 99 {
		deep = models.Or(deep)
	}
	assert.NoError(t, deep.Validate())
	assert.ErrorContains(t, models.Or(deep).Validate(), "nested more than 100 levels deep")
	loop := &models.Filter{Conjunction: models.FilterConjunctionAnd}
	loop.Clauses = []models.FilterNode{loop}
	assert.ErrorContains(t, loop.Validate(), "nested more than 100 levels deep")
	assert.Less(t, len(loop.Validate().Error()), 3000)
	for _, c := range leafCodecs {
		_, err := c.marshal(loop)
		assert.Error(t, err, c.name)
	}
}

func TestFilterBuilders(t *testing.T) {
	type (
		name  string
		count int
		flag  bool
	)
	f := models.And(
		models.Eq("name", name("api")),
		models.Or(models.Ne("a", true), models.Gt("b", 1), models.Gte("c", int64(-2)), models.Lt("d", uint8(3)), models.Lte("e", count(4))),
		models.Like("f", "x"), models.NotLike("g", "y"),
		models.Where("h", models.FilterOperatorEq, flag(false)),
		&models.FilterClause{Property: "j", Operator: models.FilterOperatorEq, Value: 5},
		models.UnknownFilterNode{Raw: stdjson.RawMessage(`{"k":1}`)},
	)
	const want = `{"conjunction":"and","clauses":[{"property":"name","operator":"eq","value":"api"},` +
		`{"conjunction":"or","clauses":[{"property":"a","operator":"ne","value":true},{"property":"b","operator":"gt","value":1},` +
		`{"property":"c","operator":"gte","value":-2},{"property":"d","operator":"lt","value":3},{"property":"e","operator":"lte","value":4}]},` +
		`{"property":"f","operator":"like","value":"x"},{"property":"g","operator":"not_like","value":"y"},` +
		`{"property":"h","operator":"eq","value":false},` +
		`{"property":"j","operator":"eq","value":5},{"k":1}]}`
	for _, c := range leafCodecs {
		for _, v := range []any{f, &f} {
			text, err := c.marshal(v)
			require.NoError(t, err)
			assert.Equal(t, want, string(text), c.name)
		}
	}
	assert.Equal(t, models.FilterClause{Property: "e", Operator: "lte", Value: int64(4)}, models.Lte("e", count(4)))
	assert.Equal(t, models.FilterClause{Property: "h", Operator: "eq", Value: false}, models.Eq("h", flag(false)))
}

func TestFilterValidate(t *testing.T) {
	assert.NoError(t, models.And().Validate())
	assert.NoError(t, models.Filter{}.Validate())
	assert.NoError(t, models.And(models.Eq("a", strings.Repeat("ü", 1000)), models.Gt("b", math.MaxInt32), models.Lt("c", math.MinInt32), models.FilterClause{Property: "d", Operator: "eq", Value: 3.0}, &models.UnknownFilterNode{}).Validate())
	for want, f := range map[string]models.Filter{
		"models: Clauses[0]: Property is empty":                                                       models.And(models.Eq("", 1)),
		"models: Clauses[1]: Operator is empty":                                                       models.And(models.Eq("a", 1), models.FilterClause{Property: "b", Value: 1}),
		"models: Clauses[0]: Clauses[1]: Value has 1001 characters, at most 1000 are allowed":         models.And(models.Or(models.And(), models.Eq("a", strings.Repeat("ü", 1001)))),
		"models: Clauses[0]: Value must be from -2147483648 to 2147483647":                            models.And(models.Gt("a", int64(math.MaxInt32)+1)),
		"models: Clauses[0]: the clause is nil":                                                       models.And(nil),
		"models: Clauses[1]: the clause is nil":                                                       models.And(models.Eq("a", 1), (*models.Filter)(nil)),
		"models: Clauses[2]: the clause is nil":                                                       models.And(models.Eq("a", 1), models.And(), (*models.FilterClause)(nil)),
		"models: Clauses[3]: the clause is nil":                                                       models.And(models.Eq("a", 1), models.And(), models.And(), (*models.UnknownFilterNode)(nil)),
		"models: Clauses[0]: Value must be a string, a whole number of 32 bits or a bool":             models.And(&models.FilterClause{Property: "a", Operator: "eq"}),
		"models: Clauses[0]: Clauses[0]: Value must be a string, a whole number of 32 bits or a bool": models.And(new(models.Or(models.FilterClause{Property: "a", Operator: "gt", Value: 0.5}))),
	} {
		assert.EqualError(t, f.Validate(), want)
	}
}

func TestFilterInQuery(t *testing.T) {
	v, err := query.Values(struct {
		A *models.Filter `url:"filter,omitempty"`
		B models.Filter  `url:"b,omitempty"`
		C *models.Filter `url:"c,omitempty"`
		D models.Filter  `url:"d,omitempty"`
	}{A: new(models.And(models.Eq("name", "a&b"))), D: models.Or()})
	require.NoError(t, err)
	assert.Equal(t, url.Values{
		"filter": {`{"conjunction":"and","clauses":[{"property":"name","operator":"eq","value":"a&b"}]}`},
		"d":      {`{"conjunction":"or","clauses":[]}`},
	}, v)
	bad := models.And(&models.FilterClause{Property: "a", Operator: "eq", Value: math.NaN()})
	assert.Error(t, bad.EncodeValues("k", &url.Values{}))
}

func TestAggregations(t *testing.T) {
	for want, a := range map[string]models.Aggregation{
		`{"func":"count"}`:                    models.Count(),
		`{"func":"sum","property":"tokens"}`:  models.Sum("tokens"),
		`{"func":"max","property":"tokens"}`:  models.Max("tokens"),
		`{"func":"min","property":"tokens"}`:  models.Min("tokens"),
		`{"func":"avg","property":"tokens"}`:  models.Avg("tokens"),
		`{"func":"unique","property":"user"}`: models.Unique("user"),
	} {
		roundTrip(t, want, a, want)
	}
}

func TestReceipt(t *testing.T) {
	roundTrip(t, `{"url":"https://example.com/r"}`, models.Receipt{URL: "https://example.com/r"}, `{"url":"https://example.com/r"}`)
	text, err := jsonx.Marshal(models.Receipt{Pending: true})
	require.NoError(t, err)
	assert.Equal(t, `{"url":""}`, string(text))
}

// Reading stays possible however the input is nested.
func TestFilterNested(t *testing.T) {
	for name, in := range map[string]string{
		"deep":          strings.Repeat(`{"conjunction":"or","clauses":[`, 4000) + strings.Repeat(`]}`, 4000),
		"deep, unknown": `{"clauses":[` + strings.Repeat(`{"x":`, 9000) + `1` + strings.Repeat(`}`, 9000) + `]}`,
		"deep value":    `{"clauses":[{"property":"p","value":` + strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000) + `}]}`,
		"wide":          `{"clauses":[` + strings.Repeat(`{"property":"p"},`, 10_000) + `{}]}`,
	} {
		var f models.Filter
		require.NoError(t, jsonx.Unmarshal([]byte(in), &f), name)
		_, err := jsonx.Marshal(f)
		require.NoError(t, err, name)
	}
}
