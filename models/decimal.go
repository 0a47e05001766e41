package models

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// Decimal is an exact decimal number as text, used where amounts can be smaller than a cent: prices per unit, costs of
// events, statistics. It holds the text as Polar or the caller wrote it, with or without an exponent: "0.05", "1E-7".
// [Decimal.Cmp] and [Decimal.Equal] compare by value.
//
// In JSON it is written as a string and read from a string or a number. The empty Decimal, which is no number, stands
// for null.
type Decimal string

// Exponents beyond this are refused, so that no short text stands for a huge number.
const maxExponent = 999_999

// ParseDecimal returns s as a Decimal after checking that it is a decimal number, with or without an exponent.
func ParseDecimal(s string) (Decimal, error) {
	if _, ok := parseDecimal(s); !ok {
		return "", fmt.Errorf("models: a decimal must be digits with an optional sign, point and exponent, such as 0.05 or 1E-7")
	}
	return Decimal(s), nil
}

// NewDecimalFromInt returns i as a Decimal.
func NewDecimalFromInt(i int64) Decimal { return Decimal(strconv.FormatInt(i, 10)) }

// NewDecimalFromFloat returns the shortest decimal that is read as f again: "0.1" for 0.1. It fails for infinities and
// NaN.
func NewDecimalFromFloat(f float64) (Decimal, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", fmt.Errorf("models: a decimal must be finite, not %v", f)
	}
	return Decimal(strconv.FormatFloat(f, 'f', -1, 64)), nil
}

// Valid reports whether d is a decimal number. What was read from JSON is, or is empty.
func (d Decimal) Valid() bool {
	_, ok := parseDecimal(string(d))
	return ok
}

// Cmp compares by value: -1 when d is less than o, 0 when they are the same number, as "1E-7" and "0.0000001", and +1
// when d is more. What is not a number comes before every number, in the order of the texts.
func (d Decimal) Cmp(o Decimal) int {
	x, ok := parseDecimal(string(d))
	y, ok2 := parseDecimal(string(o))
	switch {
	case !ok && !ok2:
		return strings.Compare(string(d), string(o))
	case !ok:
		return -1
	case !ok2:
		return 1
	}
	return x.cmp(y)
}

// Equal reports whether d and o are the same number, however they are written.
func (d Decimal) Equal(o Decimal) bool { return d.Cmp(o) == 0 }

// Sign returns -1 for a negative number, +1 for a positive one, and 0 for zero and for what is not a number.
func (d Decimal) Sign() int {
	p, _ := parseDecimal(string(d))
	return p.sign()
}

// Rat returns the exact value. It fails for what is not a number.
func (d Decimal) Rat() (*big.Rat, error) {
	p, ok := parseDecimal(string(d))
	if !ok {
		return nil, errNotDecimal
	}
	n := new(big.Int)
	if p.digits != "" {
		n.SetString(p.digits, 10)
	}
	if p.negative {
		n.Neg(n)
	}
	exponent := p.point - len(p.digits)
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil)
	if exponent < 0 {
		return new(big.Rat).SetFrac(n, ten), nil
	}
	return new(big.Rat).SetInt(n.Mul(n, ten)), nil
}

// Float64 returns the nearest float64, which is infinite for what is too large. It fails for what is not a number.
func (d Decimal) Float64() (float64, error) {
	p, ok := parseDecimal(string(d))
	if !ok {
		return 0, errNotDecimal
	}
	f, _ := strconv.ParseFloat(p.text(), 64) // out of range gives an infinity
	return f, nil
}

// Plain returns the number without an exponent and without needless zeros: "0.0000001" for "1E-7". It returns the text
// as it is when it is not a number, or has more than a thousand places.
func (d Decimal) Plain() string {
	p, ok := parseDecimal(string(d))
	if !ok || !p.short() {
		return string(d)
	}
	return p.plain(0)
}

// ValidateUnitAmount checks what Polar asks of a price per unit and of the cost of an event: a number with at most 5
// digits before the point and 12 after it.
func (d Decimal) ValidateUnitAmount() error {
	p, ok := parseDecimal(string(d))
	switch {
	case d == "":
		return fmt.Errorf("models: the amount is missing")
	case !ok:
		return errNotDecimal
	case p.point > 5:
		return fmt.Errorf("models: the amount has %d digits before the point, at most 5 are allowed", p.point)
	case len(p.digits)-p.point > 12:
		return fmt.Errorf("models: the amount has %d digits after the point, at most 12 are allowed: round it", len(p.digits)-p.point)
	}
	return nil
}

// MarshalJSONTo writes the text as a JSON string, and null when it is empty.
func (d Decimal) MarshalJSONTo(e *jsontext.Encoder) error {
	if d == "" {
		return e.WriteToken(jsontext.Null)
	}
	return e.WriteToken(jsontext.String(string(d)))
}

// MarshalJSON returns the text as a JSON string, and null when it is empty.
func (d Decimal) MarshalJSON() ([]byte, error) { return jsonx.Marshal(d) }

// UnmarshalJSONFrom reads a JSON string or number.
func (d *Decimal) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch k := dec.PeekKind(); k {
	case 'n', '0', '"', jsontext.KindInvalid:
	default:
		return fmt.Errorf("models: a decimal must be a string or a number, not %s", kindName(k))
	}
	t, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if t.Kind() == 'n' {
		*d = ""
		return nil
	}
	*d, err = ParseDecimal(t.String())
	return err
}

// UnmarshalJSON reads a JSON string or number.
func (d *Decimal) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, d) }

var errNotDecimal = fmt.Errorf("models: the amount is not a decimal number")

// decimalParts is the number 0.digits times ten to the power of point. The digits have no zero at either end; zero has
// no digits and is not negative.
type decimalParts struct {
	negative bool
	digits   string
	point    int
}

// parseDecimal splits a decimal number and reports whether s is one. A digit must stand on at least one side of the
// point.
func parseDecimal(s string) (p decimalParts, ok bool) {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		p.negative = s[0] == '-'
		s = s[1:]
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e := s[i+1:]
		s = s[:i]
		if p.point, ok = parseExponent(e); !ok {
			return decimalParts{}, false
		}
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" && fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return decimalParts{}, false
	}
	whole = strings.TrimLeft(whole, "0")
	p.point += len(whole)
	digits := whole + fraction
	if whole == "" {
		digits = strings.TrimLeft(fraction, "0")
		p.point -= len(fraction) - len(digits)
	}
	if p.digits = strings.TrimRight(digits, "0"); p.digits == "" {
		return decimalParts{}, true
	}
	return p, true
}

func parseExponent(s string) (int, bool) {
	digits := s
	if s != "" && (s[0] == '+' || s[0] == '-') {
		digits = s[1:]
	}
	if digits == "" || !allDigits(digits) {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= -maxExponent && n <= maxExponent
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func (p decimalParts) sign() int {
	switch {
	case p.digits == "":
		return 0
	case p.negative:
		return -1
	}
	return 1
}

func (p decimalParts) cmp(o decimalParts) int {
	s := p.sign()
	switch {
	case s != o.sign():
		if s < o.sign() {
			return -1
		}
		return 1
	case s == 0:
		return 0
	case p.point != o.point:
		if p.point < o.point {
			return -s
		}
		return s
	}
	return s * strings.Compare(p.digits, o.digits)
}

// short tells whether the number can be written without an exponent in a reasonable space.
func (p decimalParts) short() bool { return p.point <= 1000 && p.point-len(p.digits) >= -1000 }

// plain writes the number without an exponent, with at least so many digits after the point.
func (p decimalParts) plain(places int) string {
	whole, fraction := "0", ""
	switch digits := p.digits; {
	case digits == "":
	case p.point <= 0:
		fraction = strings.Repeat("0", -p.point) + digits
	case p.point >= len(digits):
		whole = digits + strings.Repeat("0", p.point-len(digits))
	default:
		whole, fraction = digits[:p.point], digits[p.point:]
	}
	fraction += strings.Repeat("0", max(0, places-len(fraction)))
	if fraction != "" {
		whole += "." + fraction
	}
	if p.negative {
		return "-" + whole
	}
	return whole
}

func (p decimalParts) text() string {
	sign := ""
	if p.negative {
		sign = "-"
	}
	return sign + "0." + p.digits + "0e" + strconv.Itoa(p.point)
}
