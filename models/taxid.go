package models

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// TaxID is a tax number and the format that Polar recognised it by, such as "FR61954506077" and "eu_vat". In JSON it is
// an array of the two; the zero TaxID stands for null.
type TaxID struct {
	// Number is the tax number, without spaces.
	Number string
	// Format tells the country and the kind of the number.
	Format TaxIDFormat
}

// MarshalJSONTo writes an array of number and format, and null for the zero TaxID.
func (t TaxID) MarshalJSONTo(e *jsontext.Encoder) error {
	if t == (TaxID{}) {
		return e.WriteToken(jsontext.Null)
	}
	return json.MarshalEncode(e, [2]string{t.Number, string(t.Format)})
}

// MarshalJSON returns an array of number and format, and null for the zero TaxID.
func (t TaxID) MarshalJSON() ([]byte, error) { return jsonx.Marshal(t) }

// UnmarshalJSONFrom reads an array of number and format; null and what is missing is read as empty, what follows is
// ignored.
func (t *TaxID) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*t = TaxID{}
	switch k := d.PeekKind(); k {
	case 'n':
		return d.SkipValue()
	case '[', jsontext.KindInvalid:
	default:
		return fmt.Errorf("models: a tax id must be an array of number and format, not %s", kindName(k))
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for i := 0; d.PeekKind() != ']'; i++ {
		var err error
		switch i {
		case 0:
			err = json.UnmarshalDecode(d, &t.Number)
		case 1:
			err = json.UnmarshalDecode(d, &t.Format)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

// UnmarshalJSON reads an array of number and format.
func (t *TaxID) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, t) }
