package models_test

import (
	"net/url"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-querystring/query"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

func TestDateJSON(t *testing.T) {
	roundTrip(t, `"2024-02-29"`, models.Date{Year: 2024, Month: time.February, Day: 29}, `"2024-02-29"`)
	roundTrip(t, `"0001-01-01"`, models.Date{Year: 1, Month: 1, Day: 1}, `"0001-01-01"`)
	roundTrip(t, `"9999-12-31"`, models.Date{Year: 9999, Month: 12, Day: 31}, `"9999-12-31"`)
	roundTrip(t, `null`, models.Date{}, `null`)
	for _, in := range []string{`""`, `"2023-02-29"`, `"2024-2-9"`, `"2024-02-29T00:00:00Z"`, `"24-02-29"`, `"2024-13-01"`, `5`, `{}`, `true`} {
		err := refused[models.Date](t, in)
		assert.ErrorContains(t, err, "date must be")
		assert.ErrorContains(t, err, "/A")
	}
	for _, d := range []models.Date{{Year: 2023, Month: 2, Day: 29}, {Year: 10000, Month: 1, Day: 1}, {Year: -1, Month: 1, Day: 1}, {Year: 2026}} {
		for _, c := range leafCodecs {
			_, err := c.marshal(d)
			assert.Error(t, err)
		}
		assert.False(t, d.Valid())
		assert.Error(t, d.EncodeValues("k", &url.Values{}))
	}
	cut[models.Date](t, `"2024-02-29"`)
}

func TestDate(t *testing.T) {
	d, err := models.ParseDate("2026-01-31")
	require.NoError(t, err)
	assert.Equal(t, models.Date{Year: 2026, Month: time.January, Day: 31}, d)
	assert.Equal(t, "2026-01-31", d.String())
	assert.False(t, d.IsZero())
	assert.True(t, models.Date{}.IsZero())
	assert.False(t, models.Date{}.Valid())

	// The same moment is another day in another zone.
	at := time.Date(2026, 1, 31, 23, 30, 0, 0, time.UTC)
	assert.Equal(t, d, models.DateOf(at))
	assert.Equal(t, models.Date{Year: 2026, Month: time.February, Day: 1}, models.DateOf(at.In(time.FixedZone("", 3600))))
	assert.Equal(t, time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), d.In(time.UTC))

	for _, later := range []models.Date{{Year: 2026, Month: 2, Day: 1}, {Year: 2027, Month: 1, Day: 1}, {Year: 2026, Month: 2, Day: 28}} {
		assert.True(t, d.Before(later))
		assert.True(t, later.After(d))
		assert.False(t, later.Before(d))
		assert.False(t, d.After(later))
		assert.Equal(t, -1, d.Compare(later))
	}
	assert.Equal(t, 0, d.Compare(d))
}

func TestDateInQuery(t *testing.T) {
	d := models.Date{Year: 2026, Month: 1, Day: 31}
	v, err := query.Values(struct {
		A models.Date  `url:"a,omitempty"`
		B models.Date  `url:"b,omitempty"`
		C *models.Date `url:"c,omitempty"`
		D *models.Date `url:"d,omitempty"`
	}{A: d, C: &d})
	require.NoError(t, err)
	assert.Equal(t, "a=2026-01-31&c=2026-01-31", v.Encode())

	none := url.Values{}
	require.NoError(t, models.Date{}.EncodeValues("k", &none))
	assert.Empty(t, none)
}

func TestDateOfEveryDay(t *testing.T) {
	property := func(n int32) bool {
		at := time.Unix(0, 0).UTC().AddDate(0, 0, int(n%1_000_000))
		if at.Year() < 1 || at.Year() > 9999 {
			return true
		}
		d := models.DateOf(at)
		back, err := models.ParseDate(d.String())
		return err == nil && back == d && d.Valid() && d.In(time.UTC).Equal(at) && d.Before(models.DateOf(at.AddDate(0, 0, 1)))
	}
	require.NoError(t, quick.Check(property, nil))
}
