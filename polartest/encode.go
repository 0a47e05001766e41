package polartest

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// asServer writes what the models leave out and the real server sends as null: models read
// a missing member and a null alike, so for them it does not matter.
var asServer = json.WithMarshalers(json.JoinMarshalers(
	json.MarshalToFunc(func(e *jsontext.Encoder, c models.Customer) error {
		if c.Email != "" {
			return errors.ErrUnsupported
		}
		type plain models.Customer
		return json.MarshalEncode(e, &struct {
			*plain
			Email *string `json:"email"`
		}{plain: (*plain)(&c)})
	}),
	json.MarshalToFunc(func(e *jsontext.Encoder, c models.CustomerState) error {
		if c.Email != "" {
			return errors.ErrUnsupported
		}
		type plain models.CustomerState
		return json.MarshalEncode(e, &struct {
			*plain
			Email *string `json:"email"`
		}{plain: (*plain)(&c)})
	}),
	json.MarshalToFunc(func(e *jsontext.Encoder, f models.File) error {
		if f.Service != models.FileServiceDownloadable || f.FlaggedMaliciousAt != nil {
			return errors.ErrUnsupported
		}
		type plain models.File
		return json.MarshalEncode(e, &struct {
			*plain
			FlaggedMaliciousAt *time.Time `json:"flagged_malicious_at"`
		}{plain: (*plain)(&f)})
	}),
	json.MarshalToFunc(func(e *jsontext.Encoder, p models.ProductPrice) error {
		a, ok := p.Amount.(*models.ProductPriceUnitBased)
		if !ok || a.UnitLabel != nil {
			return errors.ErrUnsupported
		}
		type plain models.ProductPrice
		type rest models.ProductPriceUnitBased
		return json.MarshalEncode(e, &struct {
			*plain
			*rest
			UnitLabel *string `json:"unit_label"`
		}{plain: (*plain)(&p), rest: (*rest)(a)})
	}),
))

// encode writes an answer as the real server would.
func encode(v any) ([]byte, error) { return json.Marshal(v, jsonx.EncodeOptions, asServer) }
