package license

import (
	"errors"
	"fmt"
	"time"

	"github.com/polar-go/polar"
)

// Status says whether a program may run.
type Status string

// Values of [Status].
const (
	// StatusValid means that Polar has confirmed the license, now or within the time of [WithCheckEvery].
	StatusValid Status = "valid"
	// StatusValidOffline means that Polar has confirmed the license before and cannot be asked now. Result.Until says
	// until when that is good enough.
	StatusValidOffline Status = "valid offline"
	// StatusVersionGone means that Polar confirmed the license before and does not serve the API version of this program
	// any more. The license remains usable, until it expires, however long that lasts: the customer can do
	// nothing about it but install an update, so tell them. A license that is revoked goes unnoticed.
	StatusVersionGone Status = "API version gone"
	// StatusInvalid means that the license is not good: Polar said so, or it has expired.
	StatusInvalid Status = "invalid"
	// StatusNotActivated means that there is no license on this machine, and the customer has to enter a key.
	StatusNotActivated Status = "not activated"
	// StatusUnknown means that it cannot be told: Polar cannot be asked, and its last word does not count any more, or not
	// yet. It says nothing against the customer.
	StatusUnknown Status = "unknown"
)

// License is what Polar said about the key.
type License struct {
	KeyID      string     `json:"key_id"`                // id of the key, which stays when the key is rotated
	DisplayKey string     `json:"display_key"`           // key with all but its end hidden, fit to be shown
	BenefitID  string     `json:"benefit_id"`            // benefit that granted the key: what was sold
	CustomerID string     `json:"customer_id"`           // who bought it
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`  // when the key ends, nil when it does not
	Usage      int        `json:"usage"`                 // what was counted by [Client.Use], on all machines
	LimitUsage *int       `json:"limit_usage,omitempty"` // what Usage cannot exceed, nil without a limit
}

// Result is what [Client.Check] found.
type Result struct {
	Status Status
	// License is what Polar said when it was asked last, and nil when that is not known or not trusted.
	License *License
	// CheckedAt is when Polar has confirmed the license last, and zero when that is not known.
	CheckedAt time.Time
	// Until is how long the license is usable if Polar cannot be asked again, and zero when the license is not usable or
	// there is no such limit.
	Until time.Time
	// Err says why the status is what it is, an [ErrorClass] or what happened when Polar was asked. A license that is
	// usable may have one, such as [ErrStore] when it could not be remembered.
	Err error
}

// Usable reports whether a customer who has paid may go on: the status is valid, valid offline or version gone.
func (r Result) Usable() bool {
	return r.Status == StatusValid || r.Status == StatusValidOffline || r.Status == StatusVersionGone
}

const (
	clockTolerance = time.Hour        // by which a clock may be corrected backward
	pauseUsable    = 10 * time.Minute // between two questions while the license is usable
	pauseUnusable  = 5 * time.Second  // and when somebody waits for the answer
)

// judge tells what follows from a state at a time. cause is why Polar has not confirmed it now, nil when it was not asked.
func (c *Client) judge(s *state, now time.Time, cause error) Result {
	r := Result{CheckedAt: s.ConfirmedAt}
	if !s.ConfirmedAt.IsZero() {
		license := s.License
		r.License = &license
	}
	// A clock that was moved back does not make the time that has passed undone.
	at := now
	if s.SeenAt.After(at) {
		at = s.SeenAt
	}
	doubt := time.Time{} // when the doubt about the activation ends
	if !s.DoubtSince.IsZero() {
		doubt = s.DoubtSince.Add(c.grace)
	}
	over := s.ConfirmedAt.Add(c.grace)
	end := s.License.ExpiresAt
	if end != nil && !s.ConfirmedAt.Before(*end) { // Polar's clock is right, so its word counts until it can be asked again
		end = new(s.ConfirmedAt.Add(pauseUnusable))
	}
	expired := end != nil && !at.Before(*end)
	switch {
	case s.Refused:
		r.Status, r.Err = StatusInvalid, fail(ErrInvalid, "", cause)
	case s.ConfirmedAt.IsZero():
		r.Status, r.Err = StatusUnknown, fail(ErrUntrusted, "only Polar can tell whether the license is valid", cause)
	case expired:
		r.Status, r.Err = StatusInvalid, fail(ErrExpired, "on "+s.License.ExpiresAt.Format(time.RFC3339), cause)
	case !doubt.IsZero() && !at.Before(doubt):
		r.Status, r.Err = StatusNotActivated, fail(ErrActivationInDoubt, "activate the license again", cause)
	case s.GoneVersion == polar.APIVersion:
		r.Status, r.Err = StatusVersionGone, cause
		if cause == nil {
			r.Err = polar.ErrAPIVersion
		} else if !errors.Is(cause, polar.ErrAPIVersion) { // Polar said so before
			r.Err = fmt.Errorf("%w: %w", polar.ErrAPIVersion, cause)
		}
	case now.Before(s.SeenAt.Add(-clockTolerance)):
		r.Status, r.Err = StatusUnknown, fail(ErrClockMovedBack, fmt.Sprintf("it shows %s and was at %s before", now.Format(time.RFC3339), s.SeenAt.Format(time.RFC3339)), cause)
	case !at.Before(over):
		r.Status, r.Err = StatusUnknown, fail(ErrGraceOver, "last on "+s.ConfirmedAt.Format(time.RFC3339), cause)
	case cause == nil && at.Before(s.ConfirmedAt.Add(c.every)):
		r.Status = StatusValid
	default:
		r.Status, r.Err = StatusValidOffline, cause
	}
	if !r.Usable() {
		return r
	}
	if r.Status != StatusVersionGone {
		r.Until = over
	}
	if end != nil && (r.Until.IsZero() || end.Before(r.Until)) {
		r.Until = *end
	}
	if !doubt.IsZero() {
		if r.Until.IsZero() || doubt.Before(r.Until) {
			r.Until = doubt
		}
		if r.Err == nil {
			r.Err = fail(ErrActivationInDoubt, "activate the license again before "+doubt.Format(time.RFC3339), nil)
		}
	}
	return r
}

// mayAsk returns why Polar should not be asked now, nil if it may.
func (s *state) mayAsk(now time.Time, usable bool) error {
	if err := s.held(now); err != nil {
		return err
	}
	pause := pauseUnusable
	if usable {
		pause = pauseUsable
	}
	if next := s.AskedAt.Add(pause); now.Before(next) && !now.Before(s.AskedAt) {
		return fail(ErrTooSoon, fmt.Sprintf("Polar was asked at %s, and will be again at %s", s.AskedAt.Format(time.RFC3339), next.Format(time.RFC3339)), nil)
	}
	return nil
}

// held returns an error while Polar wants to be left alone.
func (s *state) held(now time.Time) error {
	if now.Before(s.NotBefore) && !now.Before(s.AskedAt) {
		return fail(ErrTooSoon, "Polar does not want to be asked before "+s.NotBefore.Format(time.RFC3339), nil)
	}
	return nil
}
