package jsonx_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
)

// The benchmarks compare a union with the same members in a plain struct, read by the same decoder: once with the part
// that differs left as bytes, once with the members of every variant in one wide struct.

type plainBenefit[P any] struct {
	ID          string     `json:"id"`
	CreatedAt   time.Time  `json:"created_at"`
	ModifiedAt  *time.Time `json:"modified_at"`
	Type        string     `json:"type"`
	Description string     `json:"description"`
	Selectable  bool       `json:"selectable"`
	Properties  P          `json:"properties"`
	Visible     bool       `json:"visibility_configurable"`
}

type plainPrice struct {
	ID         string     `json:"id"`
	CreatedAt  time.Time  `json:"created_at"`
	ModifiedAt *time.Time `json:"modified_at"`
	AmountType string     `json:"amount_type"`
	Currency   string     `json:"price_currency"`
	IsArchived bool       `json:"is_archived"`
	ProductID  string     `json:"product_id"`
}

type widePrice struct {
	plainPrice
	fixed
	custom
	metered
}

func benefits() []byte {
	var b bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&b, `,{"id":"c57dbaf6-c728-4149-9717-%012d","created_at":"2025-05-06T07:50:08.300972Z","modified_at":null,`+
			`"type":%q,"description":"Access to the private server","selectable":true,"deletable":true,"is_deleted":false,"properties":%s,`+
			`"visibility_configurable":true}`, i,
			[]string{"discord", "license_keys", "meter_credit"}[i%3],
			[]string{
				`{"guild_id":"488459937877736223","role_id":"277196652935433207","kick_member":true,"guild_token":"vVBvO3M3FduhpJ_E4e8_ikmh4l4fAus58Xdf5euS"}`,
				`{"prefix":"ACME","expires":{"ttl":1,"timeframe":"year"},"activations":null,"limit_usage":1000}`,
				`{"units":10000,"rollover":true,"meter_id":"70a3788e-6b66-4091-b506-5f0086ecc99f"}`,
			}[i%3])
	}
	return append(append([]byte{'['}, b.Bytes()[1:]...), ']')
}

func prices() []byte {
	var b bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&b, `,{"created_at":"2025-08-14T04:18:29.253321Z","modified_at":null,"id":"76e11b56-05e4-41b1-8945-%012d","source":"catalog",`+
			`"amount_type":%q,"price_currency":"usd","is_archived":true,"product_id":"61dbf6de-fd73-45cf-bc2d-99b88b31fe28",%s}`, i,
			[]string{"fixed", "custom", "metered_unit"}[i%3],
			[]string{
				`"price_amount":900`,
				`"minimum_amount":500,"maximum_amount":null,"preset_amount":2000`,
				`"unit_amount":"12.000000000000","cap_amount":100000,"meter":{"id":"b9ecdb8d-362d-4399-8f18-27c5620f7443","name":"Storage"}`,
			}[i%3])
	}
	return append(append([]byte{'['}, b.Bytes()[1:]...), ']')
}

func benchmarkDecode[T any](b *testing.B, data []byte) {
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var list []T
		require.NoError(b, jsonx.Unmarshal(data, &list))
	}
}

func benchmarkEncode[T any](b *testing.B, data []byte) {
	var list []T
	require.NoError(b, jsonx.Unmarshal(data, &list))
	b.ReportAllocs()
	for b.Loop() {
		_, err := jsonx.Marshal(list)
		require.NoError(b, err)
	}
}

func BenchmarkDecodeMember(b *testing.B) {
	type wide struct {
		discord
		licenseKeys
		meterCredit
	}
	b.Run("raw", func(b *testing.B) { benchmarkDecode[plainBenefit[jsontext.Value]](b, benefits()) })
	b.Run("wide", func(b *testing.B) { benchmarkDecode[plainBenefit[wide]](b, benefits()) })
	b.Run("union", func(b *testing.B) { benchmarkDecode[benefit](b, benefits()) })
	late := bytes.ReplaceAll(bytes.ReplaceAll(benefits(), []byte(`"type":`), []byte(`"typo":`)), []byte(`"visibility_configurable":true}`), []byte(`"type":"discord"}`))
	b.Run("late", func(b *testing.B) {
		benchmarkDecode[benefit](b, bytes.ReplaceAll(late, []byte(`"role_id":"277196652935433207"`), []byte(`"role_id":"x"`)))
	})
}

func BenchmarkDecodeFlattened(b *testing.B) {
	b.Run("raw", func(b *testing.B) { benchmarkDecode[plainPrice](b, prices()) })
	b.Run("wide", func(b *testing.B) { benchmarkDecode[widePrice](b, prices()) })
	b.Run("union", func(b *testing.B) { benchmarkDecode[price](b, prices()) })
	b.Run("unknown", func(b *testing.B) {
		benchmarkDecode[price](b, bytes.ReplaceAll(prices(), []byte(`"amount_type":"`), []byte(`"amount_type":"x`)))
	})
}

func BenchmarkEncode(b *testing.B) {
	b.Run("member/raw", func(b *testing.B) { benchmarkEncode[plainBenefit[jsontext.Value]](b, benefits()) })
	b.Run("member/union", func(b *testing.B) { benchmarkEncode[benefit](b, benefits()) })
	b.Run("flattened/wide", func(b *testing.B) { benchmarkEncode[widePrice](b, prices()) })
	b.Run("flattened/union", func(b *testing.B) { benchmarkEncode[price](b, prices()) })
	list := productCreate{Prices: make([]priceCreate, 100)}
	for i := range list.Prices {
		list.Prices[i] = fixedCreate{PriceAmount: int64(i), Currency: "usd"}
	}
	b.Run("sealed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := jsonx.Marshal(list)
			require.NoError(b, err)
		}
	})
}
