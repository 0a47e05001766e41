package models

import (
	"bufio"
	stdjson "encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
)

// sample is an example of one type of the API with every member set; the file is generated.
type sample struct {
	Facts string
	Go    string
	JSON  stdjson.RawMessage
}

func samples(t testing.TB) []sample {
	t.Helper()
	f, err := os.Open("testdata/examples.jsonl")
	require.NoError(t, err)
	defer f.Close()
	var out []sample
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var s sample
		require.NoError(t, stdjson.Unmarshal(sc.Bytes(), &s))
		out = append(out, s)
	}
	require.NoError(t, sc.Err())
	require.Greater(t, len(out), 300)
	return out
}

// codecs are the two ways to read and write: the module's own, and what a user's encoding/json does.
var codecs = []struct {
	name      string
	marshal   func(any) ([]byte, error)
	unmarshal func([]byte, any) error
}{
	{"jsonx", jsonx.Marshal, jsonx.Unmarshal},
	{"encoding/json", stdjson.Marshal, stdjson.Unmarshal},
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range samples(t) {
		for _, c := range codecs {
			v := registry[s.Go]()
			if !assert.NoError(t, c.unmarshal(s.JSON, v), "%s with %s", s.Facts, c.name) {
				continue
			}
			back, err := c.marshal(v)
			if assert.NoError(t, err, "%s with %s", s.Facts, c.name) && !sameJSON(t, s.JSON, back) {
				t.Errorf("%s with %s: read\n%s\nwrote\n%s", s.Facts, c.name, s.JSON, back)
			}
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	return assert.ObjectsAreEqual(exact(t, a), exact(t, b))
}

// exact reads JSON without losing digits.
func exact(t *testing.T, data []byte) any {
	t.Helper()
	d := stdjson.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	return v
}

// mutate calls f with a copy of the JSON value doc for each place in it, changed there by change, which returns false to
// leave a place alone.
func mutate(doc any, path string, change func(path string, v any) (any, bool), f func(path string, doc any)) {
	if v, ok := change(path, doc); ok {
		f(path, v)
	}
	switch doc := doc.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(doc)) {
			mutate(doc[k], path+"/"+k, change, func(at string, v any) {
				c := maps.Clone(doc)
				if v == absent {
					delete(c, k)
				} else {
					c[k] = v
				}
				f(at, c)
			})
		}
	case []any:
		for i := range doc {
			mutate(doc[i], path+"/"+strconv.Itoa(i), change, func(at string, v any) {
				c := slices.Clone(doc)
				if v == absent {
					c = slices.Delete(c, i, i+1)
				} else {
					c[i] = v
				}
				f(at, c)
			})
		}
	}
}

type absence struct{}

// absent stands for a member that is left out.
var absent any = absence{}

// tuple tells the places inside a pair of fixed length.
func tuple(path string) bool { return strings.Contains(path, "/tax_id/") }

// TestReadingNeverFails changes every example in every place as a newer Polar could, and expects it to be read.
func TestReadingNeverFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(path string, v any) (any, bool)
		exact  bool // what was read is written back
	}{
		{"null anywhere", func(path string, v any) (any, bool) { return nil, path != "" && !tuple(path) }, false},
		{"members missing", func(path string, v any) (any, bool) { return absent, path != "" && !tuple(path) }, false},
		{"unknown members", func(path string, v any) (any, bool) {
			m, ok := v.(map[string]any)
			if !ok || isMap(path) {
				return nil, false
			}
			m = maps.Clone(m)
			m["brand_new_member"] = map[string]any{"deep": []any{stdjson.Number("1"), nil, "x"}}
			return m, true
		}, false},
		{"unknown strings: enum values, variants, identifiers", func(path string, v any) (any, bool) {
			s, ok := v.(string)
			if !ok || isTyped(s) {
				return nil, false
			}
			return "brand_new_value", true
		}, true},
		{"empty lists and objects", func(path string, v any) (any, bool) {
			switch v.(type) {
			case []any:
				return []any{}, !strings.HasSuffix(path, "/tax_id")
			case map[string]any:
				return map[string]any{}, true
			}
			return nil, false
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			for _, s := range samples(t) {
				mutate(exact(t, s.JSON), "", tc.change, func(path string, doc any) {
					n++
					data, err := stdjson.Marshal(doc)
					require.NoError(t, err)
					v := registry[s.Go]()
					if err := jsonx.Unmarshal(data, v); err != nil {
						if strings.Contains(err.Error(), "that this version of the module knows") && requests[s.Go] {
							return // a request is not something that Polar adds to
						}
						t.Errorf("%s: %s at %s: %v", s.Facts, tc.name, path, err)
						return
					}
					back, err := jsonx.Marshal(v)
					if err != nil {
						t.Errorf("%s: %s at %s cannot be written: %v", s.Facts, tc.name, path, err)
						return
					}
					if requests[s.Go] && isConstant(path) {
						return
					}
					if tc.exact && !sameJSON(t, data, back) {
						t.Errorf("%s: %s at %s: read\n%s\nwrote\n%s", s.Facts, tc.name, path, data, back)
					}
				})
			}
			assert.Greater(t, n, 800)
		})
	}
}

// isTyped tells strings that stand for something else: times, dates, decimals.
func isTyped(s string) bool {
	if _, err := time.Parse(time.RFC3339, s); err == nil {
		return true
	}
	if _, err := time.Parse(time.DateOnly, s); err == nil {
		return true
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// isMap tells the objects whose members are not named by the API: maps with values of one type.
func isMap(path string) bool {
	for _, m := range []string{"/amounts", "/archived", "/prices", "/headers", "/unit_label", "/unit_label/key", "/payment_processor_metadata", "/scope_display_names", "/oauth_accounts"} {
		if strings.HasSuffix(path, m) {
			return true
		}
	}
	return false
}

// isConstant tells the members of requests that the encoder writes itself.
func isConstant(path string) bool {
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "type", "amount_type", "grant_type", "payment_processor", "benefit_type":
		return true
	}
	return false
}

// TestBrokenVariantNamesThePath expects an error with the place for a known variant whose body is wrong.
func TestBrokenVariantNamesThePath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ typ, facts, at, member string }{
		{"Benefit", "BenefitDiscord", "/properties/guild_id", "guild_id"},
		{"BenefitGrant", "BenefitGrantLicenseKeysWebhook", "/properties/display_key", "display_key"},
		{"CustomField", "CustomFieldText", "/properties/max_length", "max_length"},
		{"ProductPrice", "ProductPriceFixed", "/price_amount", "price_amount"},
		{"Event", "OrderPaidEvent", "/metadata/amount", "amount"},
	} {
		t.Run(tc.facts, func(t *testing.T) {
			t.Parallel()
			for _, s := range samples(t) {
				if s.Facts != tc.facts {
					continue
				}
				mutate(exact(t, s.JSON), "", func(path string, v any) (any, bool) { return []any{}, path == tc.at }, func(path string, doc any) {
					data, err := stdjson.Marshal([]any{doc})
					require.NoError(t, err)
					for _, c := range codecs {
						var out any
						switch tc.typ {
						case "Benefit":
							out = new([]Benefit)
						case "BenefitGrant":
							out = new([]BenefitGrant)
						case "CustomField":
							out = new([]CustomField)
						case "ProductPrice":
							out = new([]ProductPrice)
						case "Event":
							out = new([]Event)
						}
						err := c.unmarshal(data, out)
						require.Error(t, err, c.name)
						assert.Contains(t, err.Error(), tc.member, c.name)
						if c.name == "jsonx" {
							assert.Contains(t, err.Error(), "/0"+tc.at)
						}
					}
				})
			}
		})
	}
}

func TestEnumValues(t *testing.T) {
	t.Parallel()
	for name, n := range enums {
		assert.Positive(t, n, name)
	}
	for _, s := range OrderStatusValues() {
		assert.True(t, s.Known(), s)
	}
	assert.False(t, OrderStatus("brand_new").Known())
	vals := OrderStatusValues()
	vals[0] = "changed"
	assert.NotEqual(t, vals[0], OrderStatusValues()[0], "the list is the caller's own")
}
