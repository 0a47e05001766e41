package models

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// minorDigits holds the currencies whose minor unit is not a hundredth, as Polar and its payment processor count. That is
// ISO 4217 but for three: the króna and the Uganda shilling are counted in hundredths, the ariary in whole ones.
var minorDigits = map[string]int{
	"bif": 0, "clp": 0, "djf": 0, "gnf": 0, "jpy": 0, "kmf": 0, "krw": 0, "mga": 0, "pyg": 0, "rwf": 0, "vnd": 0, "vuv": 0, "xaf": 0, "xof": 0, "xpf": 0,
	"bhd": 3, "iqd": 3, "jod": 3, "kwd": 3, "lyd": 3, "omr": 3, "tnd": 3,
}

// MinorDigits returns how many digits after the point the amounts of a currency have: 2 for "usd", 0 for "jpy". An amount
// of the API divided by ten to the power of that is a number of whole units. The case of the code does not matter, and a
// code that this package does not know has 2.
func MinorDigits[C ~string](currency C) int {
	if n, ok := minorDigits[strings.ToLower(string(currency))]; ok {
		return n
	}
	return 2
}

// FormatAmount writes an amount as the API has it, in the currency's minor unit, for people: "29.00 USD" for 2900 and
// "usd", "2900 JPY" for 2900 and "jpy". The currency is a [Currency] or the plain string that responses have. Where
// a customer's own language matters, format the parts with a package made for that, such as golang.org/x/text.
func FormatAmount[C ~string](amount int64, currency C) string {
	return FormatUnitAmount(NewDecimalFromInt(amount), currency)
}

// FormatUnitAmount is [FormatAmount] for the amounts that can be smaller than the minor unit, such as prices per unit and
// costs of events: "0.0005 USD" for "0.05" and "usd". It shows every digit and rounds nothing. What is not a number is
// returned as it is, and so is one of more than a thousand places.
func FormatUnitAmount[C ~string](amount Decimal, currency C) string {
	p, ok := parseDecimal(string(amount))
	if !ok || !p.short() {
		return string(amount)
	}
	places := MinorDigits(currency)
	p.point -= places
	if currency == "" {
		return p.plain(places)
	}
	return p.plain(places) + " " + strings.ToUpper(string(currency))
}

// ParseAmount reads what a person typed as a price, such as "29.90", "29.9" or "29", as an amount in the currency's minor
// unit, to be used for a price of the customer's choice. It takes digits and at most one point: no sign, no grouping, no
// currency, no more digits after the point than the currency has, and no rounding. Space around it is left out.
func ParseAmount[C ~string](text string, currency C) (int64, error) {
	places := MinorDigits(currency)
	whole, fraction, pointed := strings.Cut(strings.TrimSpace(text), ".")
	switch {
	case whole == "" || pointed && fraction == "" || !allDigits(whole) || !allDigits(fraction):
		return 0, errors.New("models: an amount must be digits with at most one point, such as 29.90")
	case len(fraction) > places:
		return 0, fmt.Errorf("models: the amount has more than %d digits after the point, which is what %s has", places, strings.ToUpper(string(currency)))
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", places-len(fraction)), 10, 64)
	if err != nil {
		return 0, errors.New("models: the amount is too large")
	}
	return n, nil
}
