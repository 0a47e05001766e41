package models

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// TrialEnd says when a trial ends: at a time, made with [TrialEndAt], or now, made with [TrialEndNow]. The zero
// TrialEnd says nothing and stands for null.
type TrialEnd struct {
	at  time.Time
	now bool
}

// TrialEndAt returns a TrialEnd at a time.
func TrialEndAt(t time.Time) TrialEnd { return TrialEnd{at: t} }

// TrialEndNow returns a TrialEnd that ends the trial at once: the first period starts and is charged.
func TrialEndNow() TrialEnd { return TrialEnd{now: true} }

// Time returns the time at which the trial ends, and false when there is none because it ends now or nothing is said.
func (t TrialEnd) Time() (time.Time, bool) { return t.at, !t.now && !t.at.IsZero() }

// IsNow reports whether the trial ends now.
func (t TrialEnd) IsNow() bool { return t.now }

// IsZero reports whether t is the zero TrialEnd.
func (t TrialEnd) IsZero() bool { return !t.now && t.at.IsZero() }

// String returns the time in the form of RFC 3339, "now", or nothing for the zero TrialEnd.
func (t TrialEnd) String() string {
	switch {
	case t.now:
		return "now"
	case t.at.IsZero():
		return ""
	}
	return t.at.Format(time.RFC3339Nano)
}

// MarshalJSONTo writes the time or "now", and null for the zero TrialEnd.
func (t TrialEnd) MarshalJSONTo(e *jsontext.Encoder) error {
	switch {
	case t.now:
		return e.WriteToken(jsontext.String("now"))
	case t.at.IsZero():
		return e.WriteToken(jsontext.Null)
	}
	return json.MarshalEncode(e, t.at)
}

// MarshalJSON returns the time or "now" as a JSON string, and null for the zero TrialEnd.
func (t TrialEnd) MarshalJSON() ([]byte, error) { return jsonx.Marshal(t) }

// UnmarshalJSONFrom reads a time or "now"; null is read as the zero TrialEnd.
func (t *TrialEnd) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	*t = TrialEnd{}
	if string(raw) == `"now"` {
		t.now = true
		return nil
	}
	return jsonx.Decode(d, raw, &t.at)
}

// UnmarshalJSON reads a time or "now"; null is read as the zero TrialEnd.
func (t *TrialEnd) UnmarshalJSON(data []byte) error { return jsonx.Unmarshal(data, t) }
