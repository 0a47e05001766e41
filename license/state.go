package license

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/polar-go/polar/models"
)

// state is what a client remembers.
type state struct {
	Key          string    `json:"key"`
	ActivationID string    `json:"activation_id,omitempty"`
	DoubtSince   time.Time `json:"in_doubt_since,omitzero"` // the key has activations, and which one is ours is not known
	Machine      string    `json:"machine,omitempty"`       // digest of the machine's id
	Conditions   string    `json:"conditions,omitempty"`    // digest of the conditions that Polar has confirmed
	License      License   `json:"license"`
	ConfirmedAt  time.Time `json:"confirmed_at,omitzero"` // zero: what Polar said is not trusted
	Refused      bool      `json:"refused,omitempty"`     // Polar's last word was no
	GoneVersion  string    `json:"gone_version,omitempty"`
	SeenAt       time.Time `json:"seen_at"`             // latest time of the clock
	AskedAt      time.Time `json:"asked_at"`            // when Polar was asked last, with or without an answer
	NotBefore    time.Time `json:"not_before,omitzero"` // when Polar may be asked again, by its own word
}

// maxState is how many bytes a state can have.
const maxState = 64 << 10

// sealed is the form in which a state is saved. The seal is over the bytes of the state as they stand.
type sealed struct {
	State json.RawMessage `json:"state"`
	Seal  string          `json:"seal"`
}

func (s *state) encode(key []byte) ([]byte, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{State: raw, Seal: digest(key, raw)})
}

// decode reads a state and reports whether its seal is whole.
func decode(data, key []byte) (s *state, whole bool, err error) {
	if len(data) > maxState {
		return nil, false, errors.New("too long")
	}
	var out sealed
	if json.Unmarshal(data, &out) != nil { // the decoder's error may quote the data
		return nil, false, errors.New("not the JSON that was saved")
	}
	s = new(state)
	if len(out.State) == 0 || json.Unmarshal(out.State, s) != nil || s.Key == "" {
		return nil, false, errors.New("not the JSON that was saved")
	}
	return s, hmac.Equal([]byte(out.Seal), []byte(digest(key, out.State))), nil
}

// digest is a keyed checksum as text.
func digest(key, data []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// sealKey is the key of the seal. It is no secret: the seal finds accidents and casual changes.
func sealKey(organizationID string) []byte {
	return []byte("github.com/polar-go/polar/license " + organizationID)
}

// same reports whether both are about the same license on this machine.
func (s *state) same(t *state) bool {
	return s.Key == t.Key && s.ActivationID == t.ActivationID
}

// confirm takes over what Polar said about a key that is good.
func (s *state) confirm(v *models.ValidatedLicenseKey, conditions string, now time.Time) {
	s.License = License{KeyID: v.ID, DisplayKey: v.DisplayKey, BenefitID: v.BenefitID, CustomerID: v.CustomerID,
		ExpiresAt: v.ExpiresAt, Usage: v.Usage, LimitUsage: v.LimitUsage}
	s.Conditions, s.ConfirmedAt, s.SeenAt = conditions, now, now
	s.Refused, s.GoneVersion, s.NotBefore = false, "", time.Time{}
	switch {
	case v.LimitActivations == nil || s.ActivationID != "":
		s.DoubtSince = time.Time{}
	case s.DoubtSince.IsZero():
		s.DoubtSince = now
	}
}
