package models_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/polar-go/polar/models"
)

func TestTaxID(t *testing.T) {
	roundTrip(t, `["FR61954506077","eu_vat"]`, models.TaxID{Number: "FR61954506077", Format: models.TaxIDFormatEUVAT}, `["FR61954506077","eu_vat"]`)
	roundTrip(t, `["1","new_format"]`, models.TaxID{Number: "1", Format: "new_format"}, `["1","new_format"]`)
	roundTrip(t, `["1"]`, models.TaxID{Number: "1"}, `["1",""]`)
	roundTrip(t, `["1",null,{"more":[2]}]`, models.TaxID{Number: "1"}, `["1",""]`)
	roundTrip(t, `[]`, models.TaxID{}, `null`)
	roundTrip(t, `null`, models.TaxID{}, `null`)
	for _, in := range []string{`"FR61954506077"`, `{}`, `5`} {
		err := refused[models.TaxID](t, in)
		assert.ErrorContains(t, err, "tax id must be an array")
		assert.ErrorContains(t, err, "/A")
	}
	assert.ErrorContains(t, refused[models.TaxID](t, `[1,"eu_vat"]`), "/A/0")
	assert.ErrorContains(t, refused[models.TaxID](t, `["1",2]`), "/A/1")
	cut[models.TaxID](t, `["1","eu_vat"]`)
}
