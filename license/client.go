package license

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/internal/ended"
	"github.com/polar-go/polar/models"
)

// Client looks after the license of a program on this machine. It is safe for concurrent use.
type Client struct {
	options
	organizationID string
	portal         *polar.Portal
	sealKey        []byte
	machineDigest  func() string // empty when the machine has no id
	digest         string        // of the conditions

	busy chan struct{} // holds an element while somebody works with the state
}

// limiter is shared by all clients of a process, since Polar counts the calls of an address: at most 3 in any second.
var limiter = rate.NewLimiter(rate.Every(time.Second), 2)

const (
	attemptTimeout = 10 * time.Second
	maxWait        = time.Hour   // Polar is not left alone for longer than that, whatever it says
	seenEvery      = time.Minute // how exactly the time of the clock is saved
)

// New returns a client for the keys that an organization sells. The application is the name of the program, in letters, digits
// and . _ -: the directory of its saved state is named after it, and requests tell it to Polar. New reads and sends
// nothing.
func New(organizationID, application string, opts ...Option) (*Client, error) {
	if organizationID == "" {
		return nil, errors.New("license: organization id is empty")
	}
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	}
	if application == "" || application[0] == '.' || strings.ContainsFunc(application, odd) {
		return nil, fmt.Errorf("license: application %q: use letters, digits and . _ - and do not begin with a dot", application)
	}
	o := options{grace: defaultGrace, every: defaultEvery, now: time.Now}
	for i, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("license: option %d is nil", i+1)
		}
		if err := opt(&o); err != nil {
			return nil, fmt.Errorf("license: %w", err)
		}
	}
	if o.grace < o.every {
		return nil, fmt.Errorf("license: a grace period of %v is shorter than the %v between checks: see WithCheckEvery", o.grace, o.every)
	}
	if o.store == nil {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("license: no directory for the state, use WithStore: %w", err)
		}
		o.store = File(filepath.Join(dir, application, "license.json"))
	}
	if o.label == "" {
		name, _ := os.Hostname()
		o.label = cmp.Or(name, "a machine without a name")
	}
	portal, err := polar.NewPortal(polar.Anonymous, append([]polar.Option{
		polar.WithApplication(application, ""),
		polar.WithAttemptTimeout(attemptTimeout),
		polar.WithRetry(polar.RetryPolicy{MaxAttempts: 2}),
		polar.WithRateLimiter(limiter),
	}, o.client...)...)
	if err != nil {
		return nil, fmt.Errorf("license: %w", err)
	}
	c := &Client{options: o, organizationID: organizationID, portal: portal, sealKey: sealKey(organizationID), busy: make(chan struct{}, 1)}
	c.machineDigest = sync.OnceValue(func() string {
		id := cmp.Or(o.machine, machineID())
		if id == "" {
			return ""
		}
		return digest(c.sealKey, []byte(id))[:32]
	})
	if len(o.conditions) > 0 {
		data, err := json.Marshal(o.conditions)
		if err != nil {
			return nil, fmt.Errorf("license: conditions: %w", err)
		}
		c.digest = digest(c.sealKey, data)[:32]
	}
	return c, nil
}

// Check tells whether the program may run. It asks Polar when Polar's last word is older than the time of [WithCheckEvery], and
// when it would otherwise not be usable. So it can be called often, and an answer without asking takes no longer than
// reading a file. The deadline of ctx limits how long Polar is waited for: when it ends, the answer is what is known.
func (c *Client) Check(ctx context.Context) Result {
	if len(c.busy) > 0 { // another call may wait for Polar, which one that has nothing to ask need not
		if s, _ := c.load(); s != nil {
			if r := c.judge(s, c.clock(), nil); r.Status == StatusValid && r.Err == nil {
				return r
			}
		}
	}
	if err := c.acquire(ctx); err != nil {
		s, missing := c.load()
		if s == nil {
			return absent(missing)
		}
		return c.judge(s, c.clock(), err)
	}
	defer c.release()
	s, missing := c.load()
	if s == nil {
		return absent(missing)
	}
	now := c.clock()
	r := c.judge(s, now, nil)
	if r.Status != StatusValid {
		if err := s.mayAsk(now, r.Usable()); err != nil {
			r = c.judge(s, now, err)
		} else {
			s.AskedAt = now
			_ = c.keep(s) // so that other processes wait for the answer; a store that fails does so below as well
			v, err := c.validate(ctx, s.Key, s.ActivationID, nil)
			r = c.settle(s, v, err)
			return c.kept(r, c.keep(s))
		}
	}
	if d := now.Sub(s.SeenAt); d <= 0 || d < seenEvery && r.Usable() {
		return r
	}
	s.SeenAt = now
	return c.kept(r, c.keep(s))
}

// Activate binds a key to this machine, remembers it, and returns what Check would. Space around the key is ignored. A key
// that is activated here already does not use up another activation, also when it was rotated since, and is still accepted
// when Polar cannot be reached and Check would do so. Keys without activations are only validated and remembered.
//
// A key that takes the place of another one gives the activation of that back, if Polar can be reached.
//
// When the answer of Polar is lost, an activation may have been used up, and nobody can tell its id. The error is then
// [ErrActivationInDoubt], and polar.ErrOutcomeUnknown. The key, which Polar has confirmed before, is remembered all the same and
// usable for one grace period, on which Check reports the same error beside the status. Call Activate again before
// that ends. If that uses up one more activation, or there is none left, the lost one can be removed in the customer portal
// or by the merchant.
//
// Errors: [ErrInvalid], [ErrOtherProduct], [ErrActivationLimit], [ErrActivationInDoubt], [ErrStore], [ErrTooSoon], and those
// of the API.
func (c *Client) Activate(ctx context.Context, key string) (Result, error) {
	key = strings.TrimSpace(key)
	if key == "" {
		return Result{}, errors.New("license: the key is empty")
	}
	if err := c.acquire(ctx); err != nil {
		return Result{}, fmt.Errorf("license: %w", err)
	}
	defer c.release()
	old, err := c.load()
	if errors.Is(err, ErrStore) {
		return Result{}, err
	}
	if old == nil {
		old = new(state) // there is nothing, or nothing of use
	}
	if err := old.held(c.clock()); err != nil {
		return Result{}, err
	}
	old.AskedAt = c.clock()
	if old.ActivationID != "" {
		s := *old
		s.Key = key // may be the new text of a key that was rotated
		v, err := c.validate(ctx, key, old.ActivationID, nil)
		if err == nil || old.Key == key && !gone(err) {
			return c.known(&s, v, err)
		}
		if !gone(err) {
			return Result{}, c.failed(old, err)
		}
	}
	v, err := c.validate(ctx, key, "", nil)
	if err != nil && old.Key == key {
		return c.known(old, nil, err)
	}
	if err != nil {
		return Result{}, c.failed(old, err)
	}
	if err := c.sells(v); err != nil {
		return Result{}, err
	}
	s := &state{Key: key, Machine: c.machineDigest(), AskedAt: old.AskedAt}
	if v.LimitActivations != nil {
		if old.Key == key {
			if err := c.free(ctx, old); err != nil { // made for other conditions, or gone
				return Result{}, c.failed(old, err)
			}
		}
		if err := c.activate(ctx, s, old, v); err != nil {
			if errors.Is(err, ErrActivationInDoubt) {
				c.replaced(ctx, old, s)
			}
			return Result{}, err
		}
	}
	s.confirm(v, c.digest, c.clock())
	if err := c.put(s); err != nil {
		_ = c.free(ctx, s) // nobody would ever find it again
		return Result{}, err
	}
	c.replaced(ctx, old, s)
	return c.judge(s, s.ConfirmedAt, nil), nil
}

// replaced gives the activation of another key back that s has taken the place of. If that fails, the customer or the
// merchant can do it.
func (c *Client) replaced(ctx context.Context, old, s *state) {
	if old.Key != s.Key {
		_ = c.free(ctx, old)
	}
}

// known is Activate for a key that this machine has already.
func (c *Client) known(s *state, v *models.ValidatedLicenseKey, err error) (Result, error) {
	r := c.settle(s, v, err)
	if err := c.put(s); err != nil {
		return Result{}, err
	}
	if !r.Usable() {
		return Result{}, r.Err
	}
	return r, nil
}

// activate uses up an activation of a good key, in the place of an old state. Before that it saves the new state without
// one, so that a store that fails costs nothing and a crash or a lost answer leaves the key usable.
func (c *Client) activate(ctx context.Context, s, old *state, v *models.ValidatedLicenseKey) error {
	before, missing := c.store.Load()
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return fail(ErrStore, "", missing) // or what is there would be deleted below
	}
	s.confirm(v, c.digest, c.clock())
	if err := c.put(s); err != nil {
		return err
	}
	a, err := c.portal.LicenseKeys.Activate(ctx, models.LicenseKeyActivate{Key: s.Key, OrganizationID: c.organizationID,
		Label: c.label, Conditions: c.conditions, Meta: c.meta})
	switch {
	case err == nil:
		s.ActivationID = a.ID
		return nil
	case errors.Is(err, polar.ErrOutcomeUnknown):
		until := s.DoubtSince.Add(c.grace).Format(time.RFC3339)
		return fail(ErrActivationInDoubt, "the key is remembered and usable until "+until+"; activate it again before", err)
	case missing == nil:
		_ = c.store.Save(before)
	default:
		_ = c.store.Delete()
	}
	if errors.Is(err, polar.ErrNotPermitted) {
		return fail(ErrActivationLimit, "deactivate it on another machine or remove an activation in the customer portal", err)
	}
	return c.failed(old, err)
}

// Deactivate gives the activation of this machine back and forgets the license. If Polar cannot be reached, nothing is
// forgotten and it can be called again. An activation that is gone already, and no license at all, are no errors. A
// state of another machine is forgotten without touching that machine's activation. A key that was rotated has to be
// activated with its new text before, or its activation cannot be told from one that is gone, and remains in use.
func (c *Client) Deactivate(ctx context.Context) error {
	if err := c.acquire(ctx); err != nil {
		return fmt.Errorf("license: %w", err)
	}
	defer c.release()
	s, err := c.load()
	switch {
	case errors.Is(err, ErrNotActivated):
		return nil
	case errors.Is(err, ErrStore):
		return err
	case s != nil:
		if err := s.held(c.clock()); err != nil {
			return err
		}
		if err := c.free(ctx, s); err != nil {
			s.AskedAt = c.clock()
			return c.failed(s, err)
		}
	}
	if err := c.store.Delete(); err != nil {
		return fail(ErrStore, "", err)
	}
	if errors.Is(err, ErrCorrupt) {
		return err // an activation that it named remains in use
	}
	return nil
}

// Use counts n uses of a key and returns what Check would, with the License's Usage brought up to date. It needs Polar. A
// key that has fewer uses left is refused with [ErrUsageLimit], and nothing is counted. After polar.ErrOutcomeUnknown the
// uses may have been counted.
func (c *Client) Use(ctx context.Context, n int) (Result, error) {
	if n < 1 {
		return Result{}, fmt.Errorf("license: %d uses: count at least 1", n)
	}
	if err := c.acquire(ctx); err != nil {
		return Result{}, fmt.Errorf("license: %w", err)
	}
	defer c.release()
	s, err := c.load()
	if err != nil {
		return Result{}, err
	}
	now := c.clock()
	if r := c.judge(s, now, nil); r.Status == StatusNotActivated {
		return Result{}, r.Err
	}
	if err := s.held(now); err != nil {
		return Result{}, err
	}
	s.AskedAt = now
	v, err := c.validate(ctx, s.Key, s.ActivationID, &n)
	if e, ok := errors.AsType[*polar.Error](err); ok && errors.Is(e, polar.ErrBadRequest) && e.Name != "" {
		return Result{}, fail(ErrUsageLimit, "", err)
	}
	r := c.settle(s, v, err)
	r = c.kept(r, c.keep(s))
	switch {
	case !r.Usable():
		return Result{}, r.Err
	case err != nil:
		return Result{}, fmt.Errorf("license: %w", err)
	}
	return r, nil
}

// validate asks Polar about a key.
func (c *Client) validate(ctx context.Context, key, activationID string, uses *int) (*models.ValidatedLicenseKey, error) {
	body := models.LicenseKeyValidate{Key: key, OrganizationID: c.organizationID, IncrementUsage: uses}
	if activationID != "" {
		body.ActivationID, body.Conditions = &activationID, c.conditions
	}
	v, err := c.portal.LicenseKeys.Validate(ctx, body)
	if err == nil && v.ID == "" {
		return nil, errors.New("the answer holds no license key; something else than Polar may have sent it")
	}
	return v, err
}

// settle takes Polar's answer to validate over into the state, and tells what follows.
func (c *Client) settle(s *state, v *models.ValidatedLicenseKey, err error) Result {
	now := c.clock()
	if err == nil {
		if err = c.sells(v); err == nil {
			s.confirm(v, c.digest, now)
			return c.judge(s, now, nil)
		}
		s.Refused = true
	}
	if now.After(s.SeenAt) {
		s.SeenAt = now
	}
	switch {
	case errors.Is(err, polar.ErrNotFound):
		s.Refused = true
	case errors.Is(err, polar.ErrAPIVersion):
		s.GoneVersion = polar.APIVersion
	}
	s.hold(now, err)
	return c.judge(s, now, err)
}

// hold remembers for how long Polar wants to be left alone.
func (s *state) hold(now time.Time, err error) bool {
	var wait time.Duration
	if e, ok := errors.AsType[*polar.Error](err); ok {
		wait = e.RetryAfter
		if errors.Is(e, polar.ErrRateLimited) {
			wait = cmp.Or(wait, time.Minute)
		}
	}
	if wait > 0 {
		s.NotBefore = now.Add(min(wait, maxWait))
	}
	return wait > 0
}

// failed makes the error of a call about another key than the one in s, whose state it does not change but for the wait
// that Polar asks for.
func (c *Client) failed(s *state, err error) error {
	if s.hold(c.clock(), err) && s.Key != "" {
		_ = c.keep(s)
	}
	if errors.Is(err, polar.ErrNotFound) {
		return fail(ErrInvalid, "", err)
	}
	return fmt.Errorf("license: %w", err)
}

// sells reports an error for a key of a benefit that the program does not accept.
func (c *Client) sells(v *models.ValidatedLicenseKey) error {
	if len(c.benefits) > 0 && !slices.Contains(c.benefits, v.BenefitID) {
		return fail(ErrOtherProduct, "", nil)
	}
	return nil
}

// free gives an activation back. One that is gone is no error.
func (c *Client) free(ctx context.Context, s *state) error {
	if s.ActivationID == "" {
		return nil
	}
	err := c.portal.LicenseKeys.Deactivate(ctx, models.LicenseKeyDeactivate{Key: s.Key, OrganizationID: c.organizationID, ActivationID: s.ActivationID})
	if gone(err) {
		return nil
	}
	return err
}

// gone reports whether an answer to a call with an activation says that there is none of that id, or that it is no id.
func gone(err error) bool {
	return errors.Is(err, polar.ErrNotFound) || errors.Is(err, polar.ErrValidation)
}

// load returns the saved state, or an error that says why there is none.
func (c *Client) load() (*state, error) {
	data, err := c.store.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotActivated
	}
	if err != nil {
		return nil, fail(ErrStore, "", err)
	}
	s, whole, err := decode(data, c.sealKey)
	if err != nil {
		return nil, fail(ErrCorrupt, "enter the key again", err)
	}
	if machine := c.machineDigest(); machine != "" && s.Machine != "" && machine != s.Machine {
		return nil, fail(ErrOtherMachine, "activate the license on this one", nil)
	}
	switch {
	case !whole && s.ActivationID == "": // could be anything
		return nil, fail(ErrCorrupt, "enter the key again", errors.New("its seal is broken"))
	case !whole:
		s = &state{Key: s.Key, ActivationID: s.ActivationID, Machine: c.machineDigest()}
	case s.ActivationID != "" && s.Conditions != c.digest:
		s.ConfirmedAt, s.Refused = time.Time{}, false
	}
	return s, nil
}

// put saves the state.
func (c *Client) put(s *state) error {
	data, err := s.encode(c.sealKey)
	if err == nil {
		err = c.store.Save(data)
	}
	if err != nil {
		return fail(ErrStore, "", err)
	}
	return nil
}

// keep saves the state, unless the license was replaced or removed by another process meanwhile.
func (c *Client) keep(s *state) error {
	saved, err := c.load()
	if errors.Is(err, ErrStore) {
		return err
	}
	if saved == nil || !saved.same(s) {
		return nil
	}
	return c.put(s)
}

// kept adds what went wrong with saving to a result.
func (c *Client) kept(r Result, err error) Result {
	if err != nil && r.Err == nil {
		r.Err = err
	}
	return r
}

// absent is the result without a state.
func absent(err error) Result {
	if errors.Is(err, ErrStore) {
		return Result{Status: StatusUnknown, Err: err}
	}
	return Result{Status: StatusNotActivated, Err: err}
}

func (c *Client) acquire(ctx context.Context) error {
	select {
	case c.busy <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ended.Why(ctx)
	}
}

func (c *Client) release() { <-c.busy }

// clock is the time without a monotonic part, which would not survive in the store.
func (c *Client) clock() time.Time { return c.now().UTC().Round(0) }
