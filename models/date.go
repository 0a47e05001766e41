package models

import (
	"cmp"
	"fmt"
	"net/url"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// Date is a day of the calendar without a time and a time zone, written as 2026-01-31. The zero Date is no day; it
// stands for null in JSON and is left out of queries.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf returns the day that t falls on in t's own time zone.
func DateOf(t time.Time) Date {
	year, month, day := t.Date()
	return Date{year, month, day}
}

// ParseDate reads a day written as 2026-01-31.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("models: a date must be a day of the calendar written as 2006-01-02")
	}
	return DateOf(t), nil
}

// String returns the day as 2026-01-31.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// IsZero reports whether d is the zero Date.
func (d Date) IsZero() bool { return d == Date{} }

// Valid reports whether d is a day of the calendar, of a year from 0 to 9999.
func (d Date) Valid() bool { return d.Year >= 0 && d.Year <= 9999 && DateOf(d.In(time.UTC)) == d }

// In returns the moment at which the day starts in a time zone.
func (d Date) In(loc *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, loc)
}

// Compare returns -1 when d is before o, 0 when they are the same day, and +1 when d is after o.
func (d Date) Compare(o Date) int {
	return cmp.Or(cmp.Compare(d.Year, o.Year), cmp.Compare(d.Month, o.Month), cmp.Compare(d.Day, o.Day))
}

// Before reports whether d is before o.
func (d Date) Before(o Date) bool { return d.Compare(o) < 0 }

// After reports whether d is after o.
func (d Date) After(o Date) bool { return d.Compare(o) > 0 }

// EncodeValues adds the day to a query; the zero Date adds nothing.
func (d Date) EncodeValues(key string, v *url.Values) error {
	if d.IsZero() {
		return nil
	}
	if err := d.check(); err != nil {
		return err
	}
	v.Add(key, d.String())
	return nil
}

// MarshalJSONTo writes the day as a JSON string, and null for the zero Date.
func (d Date) MarshalJSONTo(e *jsontext.Encoder) error {
	if d.IsZero() {
		return e.WriteToken(jsontext.Null)
	}
	if err := d.check(); err != nil {
		return err
	}
	return e.WriteToken(jsontext.String(d.String()))
}

// MarshalJSON returns the day as a JSON string, and null for the zero Date.
func (d Date) MarshalJSON() ([]byte, error) { return jsonx.Marshal(d) }

// UnmarshalJSONFrom reads a day from a JSON string; null is read as the zero Date.
func (d *Date) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch k := dec.PeekKind(); k {
	case 'n', '"', jsontext.KindInvalid:
	default:
		return fmt.Errorf("models: a date must be a string, not %s", kindName(k))
	}
	t, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if t.Kind() == 'n' {
		*d = Date{}
		return nil
	}
	*d, err = ParseDate(t.String())
	return err
}

// UnmarshalJSON reads a day from a JSON string; null is read as the zero Date.
func (d *Date) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, d) }

func (d Date) check() error {
	if !d.Valid() {
		return fmt.Errorf("models: %s is not a day of the calendar, in the years 0 to 9999", d)
	}
	return nil
}
