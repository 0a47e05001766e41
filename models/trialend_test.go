package models_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

func TestTrialEnd(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	roundTrip(t, `"2026-01-02T03:04:05.6Z"`, models.TrialEndAt(at), `"2026-01-02T03:04:05.6Z"`)
	roundTrip(t, `"now"`, models.TrialEndNow(), `"now"`)
	roundTrip(t, `null`, models.TrialEnd{}, `null`)
	for _, in := range []string{`"soon"`, `""`, `"2026-01-02"`, `5`, `{}`, `["now"]`} {
		assert.ErrorContains(t, refused[models.TrialEnd](t, in), "/A")
	}
	cut[models.TrialEnd](t, `"now"`)

	used := models.TrialEndNow()
	require.NoError(t, jsonx.Unmarshal([]byte(`"2026-01-02T03:04:05.6Z"`), &used))
	assert.Equal(t, models.TrialEndAt(at), used)

	got, ok := models.TrialEndAt(at).Time()
	assert.True(t, ok)
	assert.Equal(t, at, got)
	assert.False(t, models.TrialEndAt(at).IsNow())
	assert.False(t, models.TrialEndAt(at).IsZero())
	_, ok = models.TrialEndNow().Time()
	assert.False(t, ok)
	assert.True(t, models.TrialEndNow().IsNow())
	assert.False(t, models.TrialEndNow().IsZero())
	_, ok = models.TrialEnd{}.Time()
	assert.False(t, ok)
	assert.True(t, models.TrialEnd{}.IsZero())

	assert.Equal(t, "2026-01-02T03:04:05.6Z", models.TrialEndAt(at).String())
	assert.Equal(t, "now", models.TrialEndNow().String())
	assert.Empty(t, models.TrialEnd{}.String())
}

func TestTrialEndInUpdate(t *testing.T) {
	type update struct {
		TrialEnd models.Nullable[models.TrialEnd] `json:"trial_end,omitzero"`
	}
	for _, c := range leafCodecs {
		for want, v := range map[string]update{
			`{}`:                  {},
			`{"trial_end":"now"}`: {models.Set(models.TrialEndNow())},
			`{"trial_end":null}`:  {models.Null[models.TrialEnd]()},
		} {
			text, err := c.marshal(v)
			require.NoError(t, err)
			assert.Equal(t, want, string(text), c.name)
			var back update
			require.NoError(t, c.unmarshal(text, &back))
			assert.Equal(t, v, back)
		}
	}
}
