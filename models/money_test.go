package models_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

func TestFormatAmount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		amount   int64
		currency string
		want     string
	}{
		{2900, "usd", "29.00 USD"},
		{2901, "EUR", "29.01 EUR"},
		{0, "usd", "0.00 USD"},
		{5, "usd", "0.05 USD"},
		{-5, "usd", "-0.05 USD"},
		{-100, "usd", "-1.00 USD"},
		{123456789, "usd", "1234567.89 USD"},
		{2900, "jpy", "2900 JPY"},
		{-1, "jpy", "-1 JPY"},
		{0, "krw", "0 KRW"},
		{500, "ugx", "5.00 UGX"},
		{500, "isk", "5.00 ISK"},
		{500, "mga", "500 MGA"},
		{12345, "kwd", "12.345 KWD"},
		{7, "zzz", "0.07 ZZZ"},
		{7, "", "0.07"},
		{math.MaxInt64, "usd", "92233720368547758.07 USD"},
		{math.MinInt64, "usd", "-92233720368547758.08 USD"},
		{math.MinInt64, "jpy", "-9223372036854775808 JPY"},
	} {
		assert.Equal(t, tt.want, models.FormatAmount(tt.amount, tt.currency))
		assert.Equal(t, tt.want, models.FormatAmount(tt.amount, models.Currency(tt.currency)))
	}
}

func TestFormatUnitAmount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		amount models.Decimal
		want   string
	}{
		{"0.05", "0.0005 USD"},
		{"5E-7", "0.000000005 USD"},
		{"100", "1.00 USD"},
		{"2.5", "0.025 USD"},
		{"-2.5", "-0.025 USD"},
		{"1e3", "10.00 USD"},
		{"-0", "0.00 USD"},
		{"", ""},
		{"much", "much"},
		{"1E-2000", "1E-2000"},
		{"1E+2000", "1E+2000"},
	} {
		assert.Equal(t, tt.want, models.FormatUnitAmount(tt.amount, "usd"), tt.amount)
	}
	assert.Equal(t, "0.05 JPY", models.FormatUnitAmount("0.05", "jpy"))
}

// Of the currencies that Polar takes, these are not counted in hundredths.
func TestMinorDigits(t *testing.T) {
	t.Parallel()
	var others []models.Currency
	for _, c := range models.CurrencyValues() {
		if models.MinorDigits(c) != 2 {
			others = append(others, c)
		}
		assert.Equal(t, models.MinorDigits(c), models.MinorDigits(strings.ToUpper(string(c))))
	}
	slices.Sort(others)
	assert.Equal(t, []models.Currency{"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}, others)
}

func TestParseAmount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, currency string
		want           int64
	}{
		{"29.90", "usd", 2990},
		{"29.9", "usd", 2990},
		{"29", "usd", 2900},
		{" 0029 ", "usd", 2900},
		{"0", "usd", 0},
		{"0.05", "usd", 5},
		{"2990", "jpy", 2990},
		{"1.5", "kwd", 1500},
		{"92233720368547758.07", "usd", math.MaxInt64},
	} {
		got, err := models.ParseAmount(tt.text, tt.currency)
		require.NoError(t, err, tt.text)
		assert.Equal(t, tt.want, got, tt.text)
	}
	for text, want := range map[string]string{
		"":                     "must be digits",
		" ":                    "must be digits",
		".":                    "must be digits",
		".5":                   "must be digits",
		"5.":                   "must be digits",
		"-5":                   "must be digits",
		"+5":                   "must be digits",
		"1,000":                "must be digits",
		"29,90":                "must be digits",
		"1 000":                "must be digits",
		"1e3":                  "must be digits",
		"$5":                   "must be digits",
		"1.2.3":                "must be digits",
		"٣":                    "must be digits",
		"0x10":                 "must be digits",
		"1_0":                  "must be digits",
		"29.905":               "more than 2 digits after the point",
		"29.900":               "more than 2 digits after the point",
		"92233720368547758.08": "too large",
	} {
		_, err := models.ParseAmount(text, "usd")
		require.ErrorContains(t, err, want, text)
	}
	_, err := models.ParseAmount("1.0", models.CurrencyJPY)
	require.EqualError(t, err, "models: the amount has more than 0 digits after the point, which is what JPY has")
}

// What is formatted reads as the same amount again, in every currency.
func TestAmountRoundTrip(t *testing.T) {
	t.Parallel()
	for range 2000 {
		amount := rand.Int64() >> rand.IntN(64)
		currency := models.CurrencyValues()[rand.IntN(len(models.CurrencyValues()))]
		text, _, _ := strings.Cut(models.FormatAmount(amount, currency), " ")
		got, err := models.ParseAmount(text, currency)
		require.NoError(t, err, text)
		require.Equal(t, amount, got, text)
		if amount != 0 {
			require.Equal(t, "-"+models.FormatAmount(amount, currency), models.FormatAmount(-amount, currency))
		}
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, text := range []string{"29.90", "0", "00.10", "9223372036854775807", "1.2.3", "-1"} {
		f.Add(text, "usd")
		f.Add(text, "jpy")
	}
	f.Fuzz(func(t *testing.T, text, currency string) {
		amount, err := models.ParseAmount(text, currency)
		if err != nil {
			return
		}
		if amount < 0 {
			t.Fatalf("%q is %d", text, amount)
		}
		number := models.FormatAmount(amount, currency)
		ok := currency == ""
		if !ok {
			number, ok = strings.CutSuffix(number, " "+strings.ToUpper(currency))
		}
		if again, err := models.ParseAmount(number, currency); !ok || err != nil || again != amount {
			t.Fatalf("%q is %d, which is written %q and read as %d, %v", text, amount, number, again, err)
		}
	})
}

func ExampleFormatAmount() {
	order := models.Order{TotalAmount: 2990, Currency: "usd"}
	fmt.Println(models.FormatAmount(order.TotalAmount, order.Currency))
	fmt.Println(models.FormatAmount(-500, models.CurrencyJPY))
	// Output:
	// 29.90 USD
	// -500 JPY
}

func ExampleFormatUnitAmount() {
	fmt.Println(models.FormatUnitAmount("0.05", models.CurrencyUSD), "per call")
	// Output: 0.0005 USD per call
}

func ExampleParseAmount() {
	amount, err := models.ParseAmount("12.5", models.CurrencyEUR)
	fmt.Println(amount, err)
	_, err = models.ParseAmount("12.505", models.CurrencyEUR)
	fmt.Println(err)
	// Output:
	// 1250 <nil>
	// models: the amount has more than 2 digits after the point, which is what EUR has
}
