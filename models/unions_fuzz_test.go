package models

import (
	"bytes"
	"slices"
	"testing"

	"github.com/polar-go/polar/internal/jsonx"
)

// fuzzTypes reads arbitrary bytes into types, starting from their examples and from those of changed variants. What can
// be read can be written, and reading that again gives the same.
func fuzzTypes(f *testing.F, types ...string) {
	for _, s := range samples(f) {
		i := slices.Index(types, s.Go)
		if i < 0 {
			continue
		}
		f.Add(i, []byte(s.JSON))
		f.Add(i, bytes.ReplaceAll(s.JSON, []byte(`"type":"`), []byte(`"type":"new_`)))
		f.Add(i, bytes.ReplaceAll(s.JSON, []byte(`"amount_type":"`), []byte(`"amount_type":"new_`)))
		f.Add(i, bytes.ReplaceAll(s.JSON, []byte(`"name":"`), []byte(`"name":null,"x":"`)))
	}
	f.Add(0, []byte(`null`))
	f.Add(0, []byte(`{"properties":{},"type":1}`))
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		if i < 0 || i >= len(types) {
			return
		}
		v := registry[types[i]]()
		if jsonx.Unmarshal(data, v) != nil {
			return
		}
		first, err := jsonx.Marshal(v)
		if err != nil {
			return // a number such as 1e999 in metadata, kept as it came
		}
		again := registry[types[i]]()
		if err := jsonx.Unmarshal(first, again); err != nil {
			t.Fatalf("%s: what was written cannot be read: %v\n%s", types[i], err, first)
		}
		second, err := jsonx.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Fatalf("%s: first\n%s\nthen\n%s", types[i], first, second)
		}
	})
}

func FuzzPushedUnion(f *testing.F) {
	fuzzTypes(f, "Benefit", "BenefitSubscriber", "BenefitGrant", "PortalBenefitGrant", "CustomerStateBenefitGrant", "CustomField")
}

func FuzzEventUnion(f *testing.F) { fuzzTypes(f, "Event") }

func FuzzSplitUnion(f *testing.F) { fuzzTypes(f, "ProductPrice") }

func FuzzFlatUnion(f *testing.F) {
	fuzzTypes(f, "Customer", "Discount", "Payment", "PaymentMethod", "File", "AuthorizeInfo", "Aggregation")
}

func FuzzSealedUnion(f *testing.F) {
	fuzzTypes(f, "ProductCreateRecurring", "ProductCreateOneTime", "ProductUpdate", "CheckoutCreate", "OrganizationCreate")
}
