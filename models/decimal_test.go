package models_test

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

func TestDecimalJSON(t *testing.T) {
	roundTrip[models.Decimal](t, `"12.000000000000"`, "12.000000000000", `"12.000000000000"`)
	roundTrip[models.Decimal](t, `"1E-7"`, "1E-7", `"1E-7"`)
	roundTrip[models.Decimal](t, `1E-7`, "1E-7", `"1E-7"`)
	roundTrip[models.Decimal](t, `-0.5`, "-0.5", `"-0.5"`)
	roundTrip[models.Decimal](t, `"+.5"`, "+.5", `"+.5"`)
	roundTrip[models.Decimal](t, `12345678901234567890.12345678901234567890`, "12345678901234567890.12345678901234567890", `"12345678901234567890.12345678901234567890"`)
	roundTrip[models.Decimal](t, `null`, "", `null`)
	for _, in := range []string{`""`, `"x"`, `"1,5"`, `"NaN"`, `"Infinity"`, `"1e"`, `"1e+"`, `"."`, `"-"`, `"1.2.3"`, `" 1"`, `"0x1"`, `"1_000"`, `"1e1000000"`, `"١"`, `true`, `[1]`, `{}`} {
		err := refused[models.Decimal](t, in)
		assert.ErrorContains(t, err, "decimal")
		assert.ErrorContains(t, err, "/A")
	}
	cut[models.Decimal](t, `"1E-7"`)
}

func TestParseDecimal(t *testing.T) {
	for _, s := range []string{"0", "-0", "00.10", "5.", ".5", "+1", "1e5", "1E+05", "1e-999999", "123456789012345678901234567890"} {
		d, err := models.ParseDecimal(s)
		require.NoError(t, err, s)
		assert.Equal(t, models.Decimal(s), d)
		assert.True(t, d.Valid())
	}
	_, err := models.ParseDecimal("1 000")
	assert.EqualError(t, err, "models: a decimal must be digits with an optional sign, point and exponent, such as 0.05 or 1E-7")
	assert.False(t, models.Decimal("").Valid())
	assert.Equal(t, models.Decimal("-9223372036854775808"), models.NewDecimalFromInt(math.MinInt64))
	for f, want := range map[float64]models.Decimal{0.1: "0.1", 1e-7: "0.0000001", -2.5: "-2.5", 1e21: "1000000000000000000000", 0: "0"} {
		d, err := models.NewDecimalFromFloat(f)
		require.NoError(t, err)
		assert.Equal(t, want, d)
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		_, err := models.NewDecimalFromFloat(f)
		assert.Error(t, err)
	}
}

func TestDecimalCompares(t *testing.T) {
	// Each line holds one number; the lines rise.
	lines := [][]models.Decimal{
		{"-1e999999"},
		{"-100", "-1e2", "-100.00"},
		{"-99.9"},
		{"-1E-7", "-0.0000001"},
		{"0", "-0", "0.000", ".0", "0e5", "0E-999999", "+0"},
		{"1e-999999"},
		{"0.0000001", "1E-7", "+.0000001", "10e-8", "00.00000010"},
		{"0.00000011", "1.1e-7"},
		{"1"},
		{"1.0000000000000000000000000001"},
		{"9.99"},
		{"10", "1e1", "10.0", "0010"},
		{"100", "1e2", "0.1e3"},
		{"1e999999"},
	}
	for i, a := range lines {
		for j, b := range lines {
			for _, x := range a {
				for _, y := range b {
					want := min(1, max(-1, i-j))
					assert.Equal(t, want, x.Cmp(y), "%s %s", x, y)
					assert.Equal(t, want == 0, x.Equal(y), "%s %s", x, y)
				}
			}
		}
		for _, x := range a {
			assert.Equal(t, min(1, max(-1, i-4)), x.Sign(), x)
		}
	}
	assert.Equal(t, -1, models.Decimal("x").Cmp("-1e999999"))
	assert.Equal(t, 1, models.Decimal("0").Cmp("x"))
	assert.Equal(t, 0, models.Decimal("x").Cmp("x"))
	assert.Equal(t, -1, models.Decimal("").Cmp("x"))
	assert.Equal(t, 0, models.Decimal("x").Sign())
}

func TestDecimalValues(t *testing.T) {
	for d, want := range map[models.Decimal]struct {
		rat   string
		float float64
		plain string
	}{
		"0":                {"0/1", 0, "0"},
		"-0.0":             {"0/1", 0, "0"},
		"1E-7":             {"1/10000000", 1e-7, "0.0000001"},
		"-12.500":          {"-25/2", -12.5, "-12.5"},
		"+1.2e3":           {"1200/1", 1200, "1200"},
		"100":              {"100/1", 100, "100"},
		"0.1":              {"1/10", 0.1, "0.1"},
		"12.000000000000":  {"12/1", 12, "12"},
		"9007199254740993": {"9007199254740993/1", 9007199254740992, "9007199254740993"},
		"123.456e-2":       {"15432/12500", 1.23456, "1.23456"},
		"1e-400":           {"", 0, "0." + strings.Repeat("0", 399) + "1"},
		"1e400":            {"", math.Inf(1), "1" + strings.Repeat("0", 400)},
		"-1e400":           {"", math.Inf(-1), "-1" + strings.Repeat("0", 400)},
		"1e5000":           {"", math.Inf(1), "1e5000"},
		"1e-5000":          {"", 0, "1e-5000"},
	} {
		if want.rat != "" {
			r, err := d.Rat()
			require.NoError(t, err)
			expected, _ := new(big.Rat).SetString(want.rat)
			assert.Equal(t, 0, expected.Cmp(r), "%s: %s", d, r)
		}
		f, err := d.Float64()
		require.NoError(t, err)
		assert.Equal(t, want.float, f, d)
		assert.Equal(t, want.plain, d.Plain())
		assert.True(t, d.Equal(models.Decimal(d.Plain())))
	}
	for _, d := range []models.Decimal{"", "x", "1e", "NaN"} {
		_, err := d.Rat()
		assert.Error(t, err)
		_, err = d.Float64()
		assert.Error(t, err)
		assert.Equal(t, string(d), d.Plain())
	}
}

func TestDecimalValidateUnitAmount(t *testing.T) {
	for _, d := range []models.Decimal{"0", "99999.999999999999", "-99999.999999999999", "000012345.0000000000000000", "1E-12", "1e4", "0.5", "12345e-12", ".5"} {
		assert.NoError(t, d.ValidateUnitAmount(), d)
	}
	for d, want := range map[models.Decimal]string{
		"100000":          "models: the amount has 6 digits before the point, at most 5 are allowed",
		"1e5":             "models: the amount has 6 digits before the point, at most 5 are allowed",
		"0.0000000000001": "models: the amount has 13 digits after the point, at most 12 are allowed: round it",
		"1.5E-12":         "models: the amount has 13 digits after the point, at most 12 are allowed: round it",
		"":                "models: the amount is missing",
		"five":            "models: the amount is not a decimal number",
	} {
		assert.EqualError(t, d.ValidateUnitAmount(), want)
	}
}

// Any float64 survives, and comparing agrees with exact arithmetic.
func TestDecimalAgreesWithRat(t *testing.T) {
	property := func(a, b float64, i int64) bool {
		x, err1 := models.NewDecimalFromFloat(a)
		y, err2 := models.NewDecimalFromFloat(b)
		f, err3 := x.Float64()
		if err1 != nil || err2 != nil || err3 != nil || f != a {
			return false
		}
		for _, y := range []models.Decimal{x, y, models.NewDecimalFromInt(i)} {
			rx, err1 := x.Rat()
			ry, err2 := y.Rat()
			if err1 != nil || err2 != nil || rx.Cmp(ry) != x.Cmp(y) || rx.Sign() != x.Sign() || x.Cmp(y) != -y.Cmp(x) {
				return false
			}
		}
		return true
	}
	require.NoError(t, quick.Check(property, nil))
}
