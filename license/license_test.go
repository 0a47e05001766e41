package license_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/license"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

const (
	validate   = "customer_portal:license_keys:validate"
	activate   = "customer_portal:license_keys:activate"
	deactivate = "customer_portal:license_keys:deactivate"

	day   = 24 * time.Hour
	pause = 5 * time.Second // between two questions of a program that may not run
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// memory is a store that can fail.
type memory struct {
	mu    sync.Mutex
	data  []byte
	saves int
	err   error // of all calls
	saved error // of Save
}

func (m *memory) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return nil, m.err
	case m.data == nil:
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(m.data), nil
}

func (m *memory) Save(data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(m.err, m.saved); err != nil {
		return err
	}
	m.saves++
	m.data = bytes.Clone(data)
	return nil
}

func (m *memory) Delete() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.data = nil
	return nil
}

// edit changes the members of the saved state and leaves the seal as it was.
func (m *memory) edit(t *testing.T, change func(state map[string]any)) {
	t.Helper()
	var all struct {
		State map[string]any `json:"state"`
		Seal  string         `json:"seal"`
	}
	require.NoError(t, json.Unmarshal(m.data, &all))
	change(all.State)
	data, err := json.Marshal(all)
	require.NoError(t, err)
	m.data = data
}

// shop is a Polar server with a key, and the computer of the customer who has it.
type shop struct {
	t       *testing.T
	srv     *polartest.Server
	product *models.Product
	benefit string
	key     models.LicenseKey
	store   *memory
	at      time.Time // by the computer's clock

	mu    sync.Mutex
	calls map[string]int // of the programs, since asked was called last
}

func newShop(t *testing.T, props models.BenefitLicenseKeysCreateProperties, opts ...polartest.Option) *shop {
	t.Helper()
	s := &shop{t: t, store: &memory{}, at: start, srv: polartest.NewServer(t, append(opts, polartest.WithTime(start))...)}
	s.product, s.benefit = s.sell("Editor", props)
	s.key = s.grant(s.product.ID, s.benefit)
	return s
}

// twoMachines is what most keys look like.
var twoMachines = models.BenefitLicenseKeysCreateProperties{Activations: &models.BenefitLicenseKeyActivations{Limit: 2}}

func (s *shop) sell(name string, props models.BenefitLicenseKeysCreateProperties) (*models.Product, string) {
	s.t.Helper()
	client := s.srv.Client()
	b, err := client.Benefits.Create(s.t.Context(), models.BenefitLicenseKeysCreate{Description: "Key of " + name, Properties: props})
	require.NoError(s.t, err)
	p, err := client.Products.Create(s.t.Context(), models.ProductCreateRecurring{Name: name, RecurringInterval: models.RecurringIntervalMonth,
		Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1900}}})
	require.NoError(s.t, err)
	_, err = client.Products.SetBenefits(s.t.Context(), p.ID, models.ProductBenefitsUpdate{Benefits: []string{b.ID}})
	require.NoError(s.t, err)
	return p, b.ID
}

func (s *shop) grant(productID, benefitID string) models.LicenseKey {
	s.t.Helper()
	customer, err := s.srv.Client().Customers.Ensure(s.t.Context(), models.CustomerCreate{Email: "ada@example.com", ExternalID: new("ada")})
	require.NoError(s.t, err)
	_, err = s.srv.Grant(customer.ID, productID)
	require.NoError(s.t, err)
	page, err := s.srv.Client().LicenseKeys.List(s.t.Context(), &polar.LicenseKeyListParams{BenefitID: []string{benefitID}})
	require.NoError(s.t, err)
	require.Len(s.t, page.Items, 1)
	return page.Items[0]
}

// program starts the customer's program: options come after the ones that every test needs.
func (s *shop) program(opts ...license.Option) *license.Client {
	s.t.Helper()
	c, err := license.New(s.srv.OrganizationID(), "editor", append([]license.Option{
		license.WithStore(s.store),
		license.WithMachine("laptop"),
		license.WithLabel("Ada's laptop"),
		license.WithClock(func() time.Time { return s.at }),
		license.WithClientOptions(polar.WithBaseURL(s.srv.URL), polar.WithRateLimiter(nil), polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1}),
			polar.WithMiddleware(s.count)),
	}, opts...)...)
	require.NoError(s.t, err)
	return c
}

// activated starts the program and activates the key.
func (s *shop) activated(opts ...license.Option) *license.Client {
	s.t.Helper()
	c := s.program(opts...)
	r, err := c.Activate(s.t.Context(), s.key.Key)
	require.NoError(s.t, err)
	require.Equal(s.t, license.StatusValid, r.Status)
	require.NoError(s.t, r.Err)
	return c
}

// pass lets time pass on both sides.
func (s *shop) pass(d time.Duration) {
	s.srv.Advance(d)
	s.at = s.at.Add(d)
}

func (s *shop) offline() { s.srv.Break("", -1, polartest.Reset()) }
func (s *shop) online()  { s.srv.Heal() }

func (s *shop) update(body models.LicenseKeyUpdate) {
	s.t.Helper()
	_, err := s.srv.Client().LicenseKeys.Update(s.t.Context(), s.key.ID, body)
	require.NoError(s.t, err)
}

func (s *shop) revoke() {
	s.t.Helper()
	s.update(models.LicenseKeyUpdate{Status: models.Set(models.LicenseKeyStatusRevoked)})
}

func (s *shop) activations() []models.LicenseKeyActivationSummary {
	s.t.Helper()
	k, err := s.srv.Client().LicenseKeys.Get(s.t.Context(), s.key.ID)
	require.NoError(s.t, err)
	return k.Activations
}

// asked counts the calls of the programs since the last time.
func (s *shop) asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// count is middleware that counts.
func (s *shop) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		op, _ := polar.OperationFromContext(r.Context())
		s.mu.Lock()
		if s.calls == nil {
			s.calls = map[string]int{}
		}
		s.calls[strings.TrimPrefix(op.ID, "customer_portal:license_keys:")]++
		s.mu.Unlock()
		return next.RoundTrip(r)
	})
}

func TestLife(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.program()
	ctx := t.Context()

	r := c.Check(ctx)
	assert.Equal(t, license.Result{Status: license.StatusNotActivated, Err: license.ErrNotActivated}, r)
	assert.False(t, r.Usable())
	assert.Empty(t, s.asked(), "there is nothing to ask for")

	r, err := c.Activate(ctx, "  "+s.key.Key+"\n")
	require.NoError(t, err)
	assert.Equal(t, license.Result{Status: license.StatusValid, CheckedAt: start, Until: start.Add(14 * day), License: &license.License{
		KeyID: s.key.ID, DisplayKey: s.key.DisplayKey, BenefitID: s.benefit, CustomerID: s.key.CustomerID}}, r)
	require.Len(t, s.activations(), 1)
	assert.Equal(t, "Ada's laptop", s.activations()[0].Label)
	assert.Equal(t, map[string]int{"validate": 1, "activate": 1}, s.asked())

	for range 3 {
		r = c.Check(ctx)
		assert.Equal(t, license.StatusValid, r.Status)
	}
	assert.Empty(t, s.asked(), "Polar has just confirmed it")

	s.pass(day)
	r = s.program().Check(ctx)
	assert.Equal(t, license.StatusValid, r.Status)
	assert.Equal(t, s.at, r.CheckedAt)
	assert.Equal(t, map[string]int{"validate": 1}, s.asked(), "once a day, with the activation")

	require.NoError(t, c.Deactivate(ctx))
	assert.Empty(t, s.activations())
	assert.Nil(t, s.store.data)
	assert.Equal(t, license.StatusNotActivated, c.Check(ctx).Status)
	require.NoError(t, c.Deactivate(ctx), "nothing to do")
}

func TestActivateAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	for range 3 {
		r, err := c.Activate(t.Context(), s.key.Key)
		require.NoError(t, err)
		assert.Equal(t, license.StatusValid, r.Status)
	}
	assert.Len(t, s.activations(), 1)

	s.pass(3 * day)
	s.offline()
	r, err := c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err, "it is activated here")
	assert.Equal(t, license.StatusValidOffline, r.Status)
	_, err = c.Activate(t.Context(), "another key")
	require.ErrorIs(t, err, polar.ErrOutcomeUnknown)
	assert.NotErrorIs(t, err, license.ErrInvalid)
	s.online()
	s.pass(time.Hour)

	k, err := s.srv.Client().LicenseKeys.Rotate(t.Context(), s.key.ID)
	require.NoError(t, err)
	assert.Equal(t, license.StatusInvalid, c.Check(t.Context()).Status, "the old text is nothing any more")
	r, err = c.Activate(t.Context(), k.Key)
	require.NoError(t, err)
	assert.Equal(t, license.StatusValid, r.Status)
	assert.Len(t, s.activations(), 1, "the activation stays with the key")
}

func TestAnotherKey(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	p, b := s.sell("Editor Pro", twoMachines)
	better := s.grant(p.ID, b)
	before := s.store.data
	s.asked()
	_, err := c.Activate(t.Context(), "TYPO-"+better.Key)
	require.ErrorIs(t, err, license.ErrInvalid)
	require.ErrorIs(t, err, polar.ErrNotFound)
	assert.Equal(t, before, s.store.data, "a typo costs nothing")

	r, err := c.Activate(t.Context(), better.Key)
	require.NoError(t, err)
	assert.Equal(t, better.ID, r.License.KeyID)
	assert.Empty(t, s.activations(), "the old one was given back")

	s.srv.Break(activate, 1, polartest.LoseAnswer())
	_, err = c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrActivationInDoubt)
	k, err := s.srv.Client().LicenseKeys.Get(t.Context(), better.ID)
	require.NoError(t, err)
	assert.Empty(t, k.Activations, "nobody knows its id any more")
}

func TestOtherProduct(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	_, err := s.program(license.WithBenefits("another")).Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrOtherProduct)
	assert.Empty(t, s.activations())
	assert.Nil(t, s.store.data)
	c := s.activated(license.WithBenefits("another", s.benefit))
	assert.True(t, c.Check(t.Context()).Usable())

	s.pass(day)
	r := s.program(license.WithBenefits("another")).Check(t.Context())
	assert.Equal(t, license.StatusInvalid, r.Status)
	require.ErrorIs(t, r.Err, license.ErrOtherProduct)
	require.ErrorIs(t, r.Err, license.ErrInvalid)
}

func TestOffline(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	s.offline()
	s.pass(13 * day)
	s.asked()

	r := c.Check(t.Context())
	assert.Equal(t, license.StatusValidOffline, r.Status)
	assert.Equal(t, start, r.CheckedAt)
	assert.Equal(t, start.Add(14*day), r.Until)
	assert.NotNil(t, r.License)
	require.ErrorIs(t, r.Err, polar.ErrOutcomeUnknown, "why Polar did not confirm it")
	assert.Equal(t, map[string]int{"validate": 1}, s.asked())

	r = s.program().Check(t.Context())
	assert.Equal(t, license.StatusValidOffline, r.Status)
	require.ErrorIs(t, r.Err, license.ErrTooSoon)
	assert.Empty(t, s.asked(), "not at every start")
	s.pass(10 * time.Minute)
	assert.Equal(t, license.StatusValidOffline, c.Check(t.Context()).Status)
	assert.Equal(t, map[string]int{"validate": 1}, s.asked())

	s.pass(day - 10*time.Minute)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusUnknown, r.Status)
	assert.False(t, r.Usable())
	assert.Zero(t, r.Until)
	require.ErrorIs(t, r.Err, license.ErrGraceOver)
	require.ErrorIs(t, r.Err, polar.ErrOutcomeUnknown)
	assert.Equal(t, map[string]int{"validate": 1}, s.asked())
	s.pass(time.Second)
	assert.Equal(t, license.StatusUnknown, s.program().Check(t.Context()).Status)
	assert.Empty(t, s.asked(), "programs that are started in a loop")

	s.online()
	s.pass(4 * time.Second)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusValid, r.Status)
	assert.Equal(t, s.at.Add(14*day), r.Until)
	require.NoError(t, r.Err)
}

// Whatever else goes wrong than Polar's plain no, a customer who has paid goes on.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault polartest.Fault
		want  error
	}{
		"cut":       {polartest.Reset(), polar.ErrOutcomeUnknown},
		"lost":      {polartest.LoseAnswer(), polar.ErrOutcomeUnknown},
		"truncated": {polartest.Truncate(), polar.ErrOutcomeUnknown},
		"gateway":   {polartest.BadGateway(http.StatusBadGateway), polar.ErrServer},
		"down":      {polartest.BadGateway(http.StatusServiceUnavailable), polar.ErrServer},
		"limit":     {polartest.TooManyRequests(time.Minute), polar.ErrRateLimited},
		"page":      {polartest.BadGateway(http.StatusNotFound), polar.ErrAPIVersion}, // of a proxy
		"forbidden": {polartest.BadGateway(http.StatusForbidden), polar.ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, twoMachines)
			c := s.activated()
			s.pass(2 * day)
			s.srv.Break(validate, 1, tt.fault)
			r := c.Check(t.Context())
			assert.True(t, r.Usable(), r.Status)
			require.ErrorIs(t, r.Err, tt.want)
			assert.NotContains(t, r.Err.Error(), s.key.Key)

			s.pass(time.Hour)
			assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status)

			s.srv.Break(validate, 1, tt.fault)
			_, err := s.program(license.WithStore(&memory{})).Activate(t.Context(), s.key.Key)
			require.ErrorIs(t, err, tt.want)
			assert.NotErrorIs(t, err, license.ErrInvalid)
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []models.LicenseKeyStatus{models.LicenseKeyStatusRevoked, models.LicenseKeyStatusDisabled} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			s := newShop(t, twoMachines)
			c := s.activated()
			s.update(models.LicenseKeyUpdate{Status: models.Set(status)})
			assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status, "not noticed yet")
			s.pass(day)
			r := c.Check(t.Context())
			assert.Equal(t, license.StatusInvalid, r.Status)
			assert.False(t, r.Usable())
			require.ErrorIs(t, r.Err, license.ErrInvalid)
			require.ErrorIs(t, r.Err, polar.ErrNotFound)

			s.offline()
			s.pass(time.Minute)
			r = s.program().Check(t.Context())
			assert.Equal(t, license.StatusInvalid, r.Status, "pulling the plug does not help")
			require.ErrorIs(t, r.Err, license.ErrInvalid)
			_, err := c.Activate(t.Context(), s.key.Key)
			require.ErrorIs(t, err, license.ErrInvalid)

			s.online()
			s.update(models.LicenseKeyUpdate{Status: models.Set(models.LicenseKeyStatusGranted)})
			s.pass(time.Minute)
			assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status, "the customer has paid again")
			assert.Len(t, s.activations(), 1)
		})
	}
}

func TestSubscriptionEnds(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	subs, err := s.srv.Client().Subscriptions.List(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, s.srv.Lapse(subs.Items[0].ID))
	s.pass(day)
	assert.Equal(t, license.StatusInvalid, c.Check(t.Context()).Status)
	_, err = c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrInvalid)
	require.NoError(t, c.Deactivate(t.Context()))
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	s := newShop(t, models.BenefitLicenseKeysCreateProperties{Activations: twoMachines.Activations,
		Expires: &models.BenefitLicenseKeyExpiration{Ttl: 5, Timeframe: models.LicenseKeyTimeframeDay}})
	c := s.activated()
	end := start.Add(5 * day)
	r := c.Check(t.Context())
	assert.Equal(t, end, r.Until)
	assert.Equal(t, end, *r.License.ExpiresAt)

	s.offline()
	s.pass(5*day - time.Second)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusValidOffline, r.Status)
	assert.Equal(t, end, r.Until, "earlier than the grace period")
	s.pass(time.Second)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusInvalid, r.Status)
	require.ErrorIs(t, r.Err, license.ErrExpired)
	assert.Zero(t, r.Until)
	s.at = s.at.Add(-30 * time.Minute)
	assert.Equal(t, license.StatusInvalid, c.Check(t.Context()).Status, "setting the clock back does not bring it back")
	s.at = s.at.Add(30 * time.Minute)

	s.online()
	s.pass(time.Minute)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusInvalid, r.Status)
	require.ErrorIs(t, r.Err, polar.ErrNotFound, "Polar says so too")
	s.update(models.LicenseKeyUpdate{ExpiresAt: models.Set(start.Add(30 * day))})
	s.pass(time.Minute)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusValid, r.Status)
	assert.Equal(t, s.at.Add(14*day), r.Until)

	s.at = start.Add(31 * day) // the computer is ahead of Polar
	for range 3 {
		s.asked()
		for _, d := range []time.Duration{pause, time.Second, 3 * time.Second} {
			s.at = s.at.Add(d)
			r = c.Check(t.Context())
			assert.Equal(t, license.StatusValid, r.Status, "Polar's clock counts, and not for one call only")
			assert.Equal(t, r.CheckedAt.Add(pause), r.Until)
		}
		assert.Equal(t, map[string]int{"validate": 1}, s.asked())
	}
	s.offline()
	s.at = s.at.Add(pause)
	assert.Equal(t, license.StatusInvalid, c.Check(t.Context()).Status)
}

func TestClockMovedBack(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	s.offline()
	s.pass(10 * day)
	require.Equal(t, license.StatusValidOffline, c.Check(t.Context()).Status)

	s.at = s.at.Add(-59 * time.Minute)
	r := c.Check(t.Context())
	assert.Equal(t, license.StatusValidOffline, r.Status, "clocks are corrected")
	assert.Equal(t, start.Add(14*day), r.Until, "which extends nothing")

	s.at = s.at.Add(-7 * day)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusUnknown, r.Status)
	require.ErrorIs(t, r.Err, license.ErrClockMovedBack)
	assert.NotNil(t, r.License)
	s.at = start.Add(time.Hour)
	require.ErrorIs(t, c.Check(t.Context()).Err, license.ErrClockMovedBack, "also on the day of the last answer")

	s.online()
	s.at = s.at.Add(pause)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusValid, r.Status)
	assert.Equal(t, s.at.Add(14*day), r.Until)
	assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status)
}

// The clock may not stand still at the end of the grace period either.
func TestClockHeldBack(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	s.offline()
	s.at = start.Add(14*day - time.Minute)
	require.True(t, c.Check(t.Context()).Usable())
	s.at = start.Add(14 * day)
	require.False(t, c.Check(t.Context()).Usable())
	s.at = start.Add(14*day - time.Minute)
	r := c.Check(t.Context())
	assert.Equal(t, license.StatusUnknown, r.Status)
	require.ErrorIs(t, r.Err, license.ErrGraceOver)
}

// The times at which the program runs are remembered, even while there is nothing to ask.
func TestClockIsSeen(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	saves := s.store.saves
	c.Check(t.Context())
	s.at = start.Add(59 * time.Second)
	c.Check(t.Context())
	assert.Equal(t, saves, s.store.saves, "not every second")
	s.at = start.Add(20 * time.Hour)
	require.Equal(t, license.StatusValid, c.Check(t.Context()).Status)
	assert.Equal(t, saves+1, s.store.saves)
	s.offline()
	s.at = start.Add(18 * time.Hour)
	require.ErrorIs(t, c.Check(t.Context()).Err, license.ErrClockMovedBack)
}

func TestVersionGone(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	s.pass(2 * day)
	old := func() *license.Client { // two years later
		return s.program(license.WithClientOptions(polar.WithAPIVersion("2024-10")))
	}
	r := old().Check(t.Context())
	assert.Equal(t, license.StatusVersionGone, r.Status)
	assert.True(t, r.Usable())
	require.ErrorIs(t, r.Err, polar.ErrAPIVersion)
	assert.NotErrorIs(t, r.Err, license.ErrInvalid)

	s.pass(time.Minute)
	r = old().Check(t.Context())
	assert.Equal(t, license.StatusVersionGone, r.Status)
	require.ErrorIs(t, r.Err, polar.ErrAPIVersion)
	require.ErrorIs(t, r.Err, license.ErrTooSoon)

	s.pass(400 * day)
	r = old().Check(t.Context())
	assert.Equal(t, license.StatusVersionGone, r.Status, "the customer can do nothing about it")
	assert.Zero(t, r.Until)
	s.offline()
	s.pass(day)
	r = old().Check(t.Context())
	assert.Equal(t, license.StatusVersionGone, r.Status)
	s.at = start
	assert.Equal(t, license.StatusVersionGone, old().Check(t.Context()).Status, "no answer could ever mend the clock")
	s.online()
	s.at = s.srv.Now()

	_, err := old().Activate(t.Context(), "another key")
	require.ErrorIs(t, err, polar.ErrAPIVersion)
	assert.NotErrorIs(t, err, license.ErrInvalid)
	r, err = old().Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	assert.Equal(t, license.StatusVersionGone, r.Status)
	require.ErrorIs(t, old().Deactivate(t.Context()), polar.ErrAPIVersion)
	assert.Len(t, s.activations(), 1, "kept")

	s.revoke()
	s.pass(time.Hour)
	assert.Equal(t, license.StatusInvalid, c.Check(t.Context()).Status, "the update of the program")
}

func TestVersionGoneAndExpired(t *testing.T) {
	t.Parallel()
	s := newShop(t, models.BenefitLicenseKeysCreateProperties{Expires: &models.BenefitLicenseKeyExpiration{Ttl: 1, Timeframe: models.LicenseKeyTimeframeYear}})
	s.activated()
	old := s.program(license.WithClientOptions(polar.WithAPIVersion("2024-10")))
	s.pass(300 * day)
	r := old.Check(t.Context())
	assert.Equal(t, license.StatusVersionGone, r.Status)
	assert.Equal(t, start.AddDate(1, 0, 0), r.Until)
	s.pass(70 * day)
	assert.Equal(t, license.StatusInvalid, old.Check(t.Context()).Status)
}

func TestKeyWithoutActivations(t *testing.T) {
	t.Parallel()
	s := newShop(t, models.BenefitLicenseKeysCreateProperties{})
	c := s.activated()
	assert.Equal(t, map[string]int{"validate": 1}, s.asked())
	r, err := c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	assert.Equal(t, license.StatusValid, r.Status)
	s.pass(day)
	assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status)

	s.update(models.LicenseKeyUpdate{LimitActivations: models.Set(1)})
	s.pass(day)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusValid, r.Status, "the merchant introduces activations")
	require.ErrorIs(t, r.Err, license.ErrActivationInDoubt)
	r, err = c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	require.NoError(t, r.Err)
	assert.Len(t, s.activations(), 1)

	require.NoError(t, c.Deactivate(t.Context()))
	assert.Empty(t, s.activations())
}

func TestActivationLimit(t *testing.T) {
	t.Parallel()
	s := newShop(t, models.BenefitLicenseKeysCreateProperties{Activations: &models.BenefitLicenseKeyActivations{Limit: 1}})
	s.activated(license.WithStore(&memory{}), license.WithMachine("desktop"))
	c := s.program()
	_, err := c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrActivationLimit)
	require.ErrorIs(t, err, polar.ErrNotPermitted)
	assert.NotContains(t, err.Error(), s.key.Key)
	assert.Nil(t, s.store.data, "nothing is left behind")
	assert.Equal(t, license.StatusNotActivated, c.Check(t.Context()).Status)

	p, b := s.sell("Editor Pro", twoMachines)
	mine := s.grant(p.ID, b)
	_, err = c.Activate(t.Context(), mine.Key)
	require.NoError(t, err)
	before := bytes.Clone(s.store.data)
	_, err = c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrActivationLimit)
	assert.Equal(t, before, s.store.data, "the license of before goes on")
	assert.Equal(t, mine.ID, c.Check(t.Context()).License.KeyID)
}

func TestActivationRemoved(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	remove := func() {
		require.NoError(t, s.srv.Client().LicenseKeys.Deactivate(t.Context(), models.LicenseKeyDeactivate{Key: s.key.Key,
			OrganizationID: s.srv.OrganizationID(), ActivationID: s.activations()[0].ID}))
	}
	remove()
	s.pass(day)
	assert.Equal(t, license.StatusInvalid, c.Check(t.Context()).Status)
	r, err := c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	assert.Equal(t, license.StatusValid, r.Status)
	assert.Len(t, s.activations(), 1)
	remove()
	require.NoError(t, c.Deactivate(t.Context()), "gone is gone")
	assert.Nil(t, s.store.data)
}

// The answer to the activation is lost: one activation is used up, and the customer has paid.
func TestLostActivation(t *testing.T) {
	t.Parallel()
	s := newShop(t, models.BenefitLicenseKeysCreateProperties{Activations: &models.BenefitLicenseKeyActivations{Limit: 1}})
	c := s.program()
	s.srv.Break(activate, 1, polartest.LoseAnswer())
	_, err := c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrActivationInDoubt)
	require.ErrorIs(t, err, polar.ErrOutcomeUnknown)
	require.Len(t, s.activations(), 1)

	r := c.Check(t.Context())
	assert.Equal(t, license.StatusValid, r.Status)
	assert.Equal(t, start.Add(14*day), r.Until)
	require.ErrorIs(t, r.Err, license.ErrActivationInDoubt)
	s.pass(day)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusValid, r.Status, "by the key alone")
	assert.Equal(t, start.Add(14*day), r.Until, "not from today")
	_, err = c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrActivationLimit)
	assert.True(t, c.Check(t.Context()).Usable())

	s.pass(13 * day)
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusNotActivated, r.Status)
	require.ErrorIs(t, r.Err, license.ErrActivationInDoubt)
	s.asked()
	_, err = c.Use(t.Context(), 1)
	require.ErrorIs(t, err, license.ErrActivationInDoubt)
	assert.Empty(t, s.asked(), "nothing is counted")

	k, err := s.srv.Client().LicenseKeys.Get(t.Context(), s.key.ID)
	require.NoError(t, err)
	require.NoError(t, s.srv.Client().LicenseKeys.Deactivate(t.Context(), models.LicenseKeyDeactivate{Key: k.Key,
		OrganizationID: k.OrganizationID, ActivationID: k.Activations[0].ID}))
	r, err = c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	assert.Equal(t, license.StatusValid, r.Status)
	require.NoError(t, r.Err)
	assert.Equal(t, s.at.Add(14*day), r.Until)
}

func TestLostActivationWithRoom(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.program()
	s.srv.Break(activate, 1, polartest.LoseAnswer())
	_, err := c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrActivationInDoubt)
	r, err := c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	require.NoError(t, r.Err)
	assert.Len(t, s.activations(), 2)
	require.NoError(t, c.Deactivate(t.Context()))
	assert.Len(t, s.activations(), 1)
}

func TestActivationNotSent(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.program()
	s.srv.Break(activate, 1, polartest.TooManyRequests(time.Minute))
	_, err := c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, polar.ErrRateLimited)
	assert.NotErrorIs(t, err, license.ErrActivationInDoubt)
	assert.Nil(t, s.store.data)
}

func TestConditions(t *testing.T) {
	t.Parallel()
	s := newShop(t, models.BenefitLicenseKeysCreateProperties{Activations: &models.BenefitLicenseKeyActivations{Limit: 1}})
	two, three := models.Metadata{"major": 2}, models.Metadata{"major": 3}
	c := s.activated(license.WithConditions(two), license.WithMeta(models.Metadata{"os": "linux"}))
	assert.Equal(t, models.Metadata{"os": "linux"}, s.activations()[0].Meta)
	s.pass(day)
	assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status)

	s.offline()
	next := s.program(license.WithConditions(three))
	r := next.Check(t.Context())
	assert.Equal(t, license.StatusUnknown, r.Status, "nobody has confirmed these")
	require.ErrorIs(t, r.Err, license.ErrUntrusted)
	assert.True(t, c.Check(t.Context()).Usable())
	s.online()
	s.pass(time.Minute)
	assert.Equal(t, license.StatusInvalid, next.Check(t.Context()).Status)
	r, err := next.Activate(t.Context(), s.key.Key)
	require.NoError(t, err, "in the place of the old one, of which there can only be one")
	assert.Equal(t, license.StatusValid, r.Status)
	assert.Len(t, s.activations(), 1)
	assert.Equal(t, license.StatusValid, next.Check(t.Context()).Status)
}

func TestDeactivateOffline(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	s.srv.Break(deactivate, 1, polartest.Reset())
	require.ErrorIs(t, c.Deactivate(t.Context()), polar.ErrOutcomeUnknown)
	assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status)
	s.srv.Break(deactivate, 1, polartest.LoseAnswer())
	require.ErrorIs(t, c.Deactivate(t.Context()), polar.ErrOutcomeUnknown)
	assert.Empty(t, s.activations())
	require.NoError(t, c.Deactivate(t.Context()))
	assert.Nil(t, s.store.data)
}

func TestUse(t *testing.T) {
	t.Parallel()
	s := newShop(t, models.BenefitLicenseKeysCreateProperties{LimitUsage: new(10), Activations: twoMachines.Activations})
	_, err := s.program().Use(t.Context(), 1)
	require.ErrorIs(t, err, license.ErrNotActivated)
	c := s.activated()
	r, err := c.Use(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, 7, r.License.Usage)
	assert.Equal(t, 10, *r.License.LimitUsage)
	assert.Equal(t, 7, c.Check(t.Context()).License.Usage, "remembered")
	_, err = c.Use(t.Context(), 4)
	require.ErrorIs(t, err, license.ErrUsageLimit)
	require.ErrorIs(t, err, polar.ErrBadRequest)
	assert.True(t, c.Check(t.Context()).Usable())
	r, err = c.Use(t.Context(), 3)
	require.NoError(t, err)
	assert.Equal(t, 10, r.License.Usage)
	_, err = c.Use(t.Context(), 0)
	require.EqualError(t, err, "license: 0 uses: count at least 1")

	s.srv.Break(validate, 1, polartest.BadGateway(http.StatusBadRequest)) // of a proxy
	_, err = c.Use(t.Context(), 1)
	require.ErrorIs(t, err, polar.ErrBadRequest)
	assert.NotErrorIs(t, err, license.ErrUsageLimit)
	s.offline()
	_, err = c.Use(t.Context(), 1)
	require.ErrorIs(t, err, polar.ErrOutcomeUnknown)
	assert.True(t, c.Check(t.Context()).Usable())
	s.online()
	s.revoke()
	_, err = c.Use(t.Context(), 1)
	require.ErrorIs(t, err, license.ErrInvalid)
	assert.False(t, c.Check(t.Context()).Usable())
}

// A server that has had enough is left alone, by all processes.
func TestLeaveAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	s.pass(2 * day)
	s.srv.Break(validate, 1, polartest.TooManyRequests(45*time.Minute))
	require.ErrorIs(t, c.Check(t.Context()).Err, polar.ErrRateLimited)
	s.asked()
	s.pass(44 * time.Minute)
	r := s.program().Check(t.Context())
	assert.Equal(t, license.StatusValidOffline, r.Status)
	require.ErrorIs(t, r.Err, license.ErrTooSoon)
	_, err := c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrTooSoon)
	_, err = c.Use(t.Context(), 1)
	require.ErrorIs(t, err, license.ErrTooSoon)
	require.ErrorIs(t, c.Deactivate(t.Context()), license.ErrTooSoon)
	assert.Empty(t, s.asked())
	s.pass(time.Minute)
	assert.Equal(t, license.StatusValid, s.program().Check(t.Context()).Status)

	s.srv.Break(activate, 1, polartest.TooManyRequests(0)) // without a time
	p, b := s.sell("Editor Pro", twoMachines)
	_, err = c.Activate(t.Context(), s.grant(p.ID, b).Key)
	require.ErrorIs(t, err, polar.ErrRateLimited)
	assert.True(t, c.Check(t.Context()).Usable())
	s.pass(59 * time.Second)
	_, err = c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrTooSoon)
	s.pass(time.Second)
	_, err = c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
}

// The real limits: 3 calls in a second, then nothing for a minute.
func TestRateLimits(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines, polartest.WithRateLimits())
	c := s.activated()
	ctx := t.Context()
	for i := range 20 {
		s.at = start.Add(time.Duration(i+1) * 24 * time.Hour) // only here: at the server no time passes
		r := s.program().Check(ctx)
		assert.True(t, r.Usable(), "%d: %s %v", i, r.Status, r.Err)
		if r.Err != nil {
			require.ErrorIs(t, r.Err, polar.ErrRateLimited)
			break
		}
		require.Less(t, i, 3)
	}
	s.asked()
	for range 100 {
		assert.True(t, s.program().Check(ctx).Usable())
	}
	assert.Empty(t, s.asked())
	s.pass(10 * time.Minute)
	assert.Equal(t, license.StatusValid, c.Check(ctx).Status)
}

// Many goroutines and many processes that start at the same time ask once.
func TestStorm(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	s.pass(2 * day)
	s.asked()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status) })
	}
	wg.Wait()
	assert.Equal(t, map[string]int{"validate": 1}, s.asked())

	s.pass(2 * day)
	asked := make(chan struct{})
	answer := make(chan struct{})
	slow := s.program(license.WithClientOptions(polar.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			close(asked)
			<-answer
			return next.RoundTrip(r)
		})
	})))
	wg.Go(func() { assert.Equal(t, license.StatusValid, slow.Check(t.Context()).Status) })
	<-asked
	ctx, cancel := context.WithCancelCause(t.Context())
	hurry := errors.New("no time")
	cancel(hurry)
	r := slow.Check(ctx)
	assert.Equal(t, license.StatusValidOffline, r.Status, "who cannot wait gets what is known")
	require.ErrorIs(t, r.Err, context.Canceled)
	require.ErrorIs(t, r.Err, hurry)
	r = s.program().Check(t.Context())
	assert.Equal(t, license.StatusValidOffline, r.Status, "another process does not ask while this one does")
	close(answer)
	wg.Wait()
	assert.Equal(t, map[string]int{"validate": 1}, s.asked())
}

// What another process did to the license while this one asked is not undone.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	s.activated()
	s.pass(2 * day)
	var once sync.Once
	c := s.program(license.WithClientOptions(polar.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			once.Do(func() { assert.NoError(t, s.program().Deactivate(t.Context())) })
			return resp, err
		})
	})))
	assert.Equal(t, license.StatusValid, c.Check(t.Context()).Status, "it was when Polar was asked")
	assert.Nil(t, s.store.data)
	assert.Equal(t, license.StatusNotActivated, c.Check(t.Context()).Status)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDeadline(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	s.pass(2 * day)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := c.Check(ctx)
	assert.Equal(t, license.StatusValidOffline, r.Status)
	require.ErrorIs(t, r.Err, context.Canceled)
}

// While another call asks Polar, the deadline of this one ends the waiting, with the cause that its context has.
func TestDeadlineWhileWaiting(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	asking, answer := make(chan struct{}), make(chan struct{})
	c := s.program(license.WithClientOptions(polar.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			close(asking)
			<-answer
			return next.RoundTrip(r)
		})
	})))
	done := make(chan error)
	go func() { _, err := c.Activate(t.Context(), "POLAR-NONE"); done <- err }()
	<-asking
	closed := errors.New("the window was closed")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(closed)
	_, err := c.Use(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, closed)
	close(answer)
	require.ErrorIs(t, <-done, license.ErrInvalid)
}

// While another call waits for Polar, what is known well enough is told at once.
func TestCheckDuringUse(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	s.activated()
	asking, answer := make(chan struct{}), make(chan struct{})
	c := s.program(license.WithClientOptions(polar.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			close(asking)
			<-answer
			return next.RoundTrip(r)
		})
	})))
	done := make(chan error)
	go func() { _, err := c.Use(t.Context(), 1); done <- err }()
	<-asking
	checked := make(chan license.Result, 1)
	go func() { checked <- c.Check(t.Context()) }()
	select {
	case r := <-checked:
		assert.Equal(t, license.StatusValid, r.Status)
		require.NoError(t, r.Err)
	case <-time.After(5 * time.Second):
		t.Error("it waits for the other call")
	}
	close(answer)
	require.NoError(t, <-done)
}

// Something on the way that answers 200 to everything, such as the sign-in page of a hotel.
func TestOtherAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"{}", "null", "<html>Welcome</html>", `{"id":""}`} {
		s := newShop(t, twoMachines)
		s.activated()
		s.pass(2 * day)
		c := s.program(license.WithClientOptions(polar.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(body))}, nil
		})})))
		r := c.Check(t.Context())
		assert.Equal(t, license.StatusValidOffline, r.Status, body)
		require.Error(t, r.Err)
		_, err := c.Activate(t.Context(), "any key")
		require.Error(t, err)
	}
}

func TestCopiedState(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	s.activated()
	copied := &memory{data: bytes.Clone(s.store.data)}
	other := s.program(license.WithStore(copied), license.WithMachine("desktop"))
	s.asked()
	r := other.Check(t.Context())
	assert.Equal(t, license.StatusNotActivated, r.Status)
	require.ErrorIs(t, r.Err, license.ErrOtherMachine)
	_, err := other.Use(t.Context(), 1)
	require.ErrorIs(t, err, license.ErrOtherMachine)
	assert.Empty(t, s.asked())
	require.NoError(t, other.Deactivate(t.Context()))
	assert.Nil(t, copied.data)
	assert.Len(t, s.activations(), 1, "that of the other machine is none of its business")
	assert.Empty(t, s.asked())

	copied.data = bytes.Clone(s.store.data)
	_, err = other.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	assert.Len(t, s.activations(), 2)
	assert.NotContains(t, string(copied.data), "desktop")
	assert.NotContains(t, string(s.store.data), "laptop", "only a digest of the machine's id is kept")
}

func TestEditedState(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	whole := bytes.Clone(s.store.data)
	s.offline()
	s.pass(20 * day)
	for member, value := range map[string]any{"confirmed_at": s.at, "seen_at": start, "gone_version": polar.APIVersion, "refused": false} {
		s.store.data = bytes.Clone(whole)
		s.store.edit(t, func(state map[string]any) { state[member] = value })
		r := c.Check(t.Context())
		assert.Equal(t, license.StatusUnknown, r.Status, member)
		require.ErrorIs(t, r.Err, license.ErrUntrusted)
		assert.Nil(t, r.License)
		s.pass(10 * time.Second)
		r = c.Check(t.Context())
		assert.Equal(t, license.StatusUnknown, r.Status, "saving it again does not make it any better")
	}
	s.online()
	s.pass(time.Minute)
	r := c.Check(t.Context())
	assert.Equal(t, license.StatusValid, r.Status, "Polar says it is good")
	s.offline()
	s.pass(2 * day)
	assert.Equal(t, license.StatusValidOffline, c.Check(t.Context()).Status)

	s.store.data = bytes.Clone(whole)
	s.store.edit(t, func(state map[string]any) { delete(state, "activation_id") })
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusNotActivated, r.Status, "without its activation it is nothing")
	require.ErrorIs(t, r.Err, license.ErrCorrupt)

	s.online()
	s.store.data = bytes.Clone(whole)
	s.store.edit(t, func(state map[string]any) { state["activation_id"] = "not an id" })
	assert.Equal(t, license.StatusUnknown, c.Check(t.Context()).Status)
	r, err := c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	assert.Equal(t, license.StatusValid, r.Status)
}

func TestCorruptState(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.activated()
	whole := bytes.Clone(s.store.data)
	for _, data := range []string{"", "{", "null", "[]", `{"state":null}`, `{"state":{}}`, `{"state":{"key":7}}`, string(whole[:len(whole)/2]), string(whole) + strings.Repeat(" ", 1<<16)} {
		s.store.data = []byte(data)
		r := c.Check(t.Context())
		assert.Equal(t, license.StatusNotActivated, r.Status)
		require.ErrorIs(t, r.Err, license.ErrCorrupt)
		assert.NotContains(t, r.Err.Error(), s.key.Key)
	}
	require.ErrorIs(t, c.Deactivate(t.Context()), license.ErrCorrupt, "its activation stays in use")
	require.NoError(t, c.Deactivate(t.Context()))
	s.store.data = []byte("{")
	r, err := c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	assert.Equal(t, license.StatusValid, r.Status)
}

func TestStoreFails(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c := s.program()
	full := errors.New("disk full")
	s.store.saved = full
	_, err := c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrStore)
	require.ErrorIs(t, err, full)
	assert.Empty(t, s.activations(), "no activation is lost to a full disk")

	s.store.saved = nil
	n := 0
	flaky := s.program(license.WithStore(storeFunc{s.store, func() error {
		if n++; n == 2 {
			return full
		}
		return nil
	}}))
	_, err = flaky.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, full)
	assert.Empty(t, s.activations(), "given back")

	s.store.data = nil
	c = s.activated()
	s.pass(day)
	s.store.saved = full
	r := c.Check(t.Context())
	assert.Equal(t, license.StatusValid, r.Status)
	require.ErrorIs(t, r.Err, license.ErrStore)
	s.store.saved, s.store.err = nil, errors.New("locked")
	r = c.Check(t.Context())
	assert.Equal(t, license.StatusUnknown, r.Status)
	require.ErrorIs(t, r.Err, license.ErrStore)
	_, err = c.Activate(t.Context(), s.key.Key)
	require.ErrorIs(t, err, license.ErrStore)
	_, err = c.Use(t.Context(), 1)
	require.ErrorIs(t, err, license.ErrStore)
	require.ErrorIs(t, c.Deactivate(t.Context()), license.ErrStore)
	assert.Len(t, s.activations(), 1)
}

// A store that cannot be read for a moment keeps what is in it.
func TestStoreFailsToLoad(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	s.activated()
	p, b := s.sell("Editor Pro", models.BenefitLicenseKeysCreateProperties{Activations: &models.BenefitLicenseKeyActivations{Limit: 1}})
	other := s.grant(p.ID, b)
	_, err := s.program(license.WithStore(&memory{})).Activate(t.Context(), other.Key)
	require.NoError(t, err, "which uses up what there is")
	before, locked, n := bytes.Clone(s.store.data), errors.New("locked"), 0
	flaky := s.program(license.WithStore(loadFunc{s.store, func() error {
		if n++; n == 2 {
			return locked
		}
		return nil
	}}))
	_, err = flaky.Activate(t.Context(), other.Key)
	require.Error(t, err)
	assert.Equal(t, before, s.store.data)
	require.ErrorIs(t, err, license.ErrStore)
	require.ErrorIs(t, err, locked)
}

// loadFunc asks before it loads.
type loadFunc struct {
	license.Store
	before func() error
}

func (s loadFunc) Load() ([]byte, error) {
	if err := s.before(); err != nil {
		return nil, err
	}
	return s.Store.Load()
}

// What the caller changes after New changes nothing.
func TestOptionsAreCopied(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	conditions, meta := models.Metadata{"major": 3}, models.Metadata{"channel": "beta"}
	c := s.program(license.WithConditions(conditions), license.WithMeta(meta))
	conditions["major"], meta["channel"] = 4, "stable"
	_, err := c.Activate(t.Context(), s.key.Key)
	require.NoError(t, err)
	assert.Equal(t, license.StatusValid, s.program(license.WithConditions(models.Metadata{"major": 3})).Check(t.Context()).Status)
	s.pass(day)
	assert.Equal(t, license.StatusValid, s.program(license.WithConditions(models.Metadata{"major": 3})).Check(t.Context()).Status)
	assert.Equal(t, models.Metadata{"channel": "beta"}, s.activations()[0].Meta)
}

// storeFunc asks before it saves.
type storeFunc struct {
	license.Store
	before func() error
}

func (s storeFunc) Save(data []byte) error {
	if err := s.before(); err != nil {
		return err
	}
	return s.Store.Save(data)
}

func TestFile(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	path := filepath.Join(t.TempDir(), "a", "b", "license.json")
	c := s.activated(license.WithStore(license.File(path)))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(filepath.Dir(path))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())

	// Several processes check and write at once: what is there can always be read.
	var wg sync.WaitGroup
	for range 8 {
		one := s.program(license.WithStore(license.File(path)), license.WithCheckEvery(time.Nanosecond))
		wg.Go(func() {
			for range 10 {
				r := one.Check(t.Context())
				assert.True(t, r.Usable(), "%s %v", r.Status, r.Err)
				assert.NotErrorIs(t, r.Err, license.ErrStore)
			}
		})
	}
	wg.Wait()
	names, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, names, 1, "no temporary file is left")
	require.NoError(t, c.Deactivate(t.Context()))
	assert.NoFileExists(t, path)
	require.NoError(t, license.File(path).Delete(), "twice")

	require.Error(t, license.File(filepath.Dir(path)).Save([]byte("x")), "a directory")
	names, err = os.ReadDir(filepath.Dir(filepath.Dir(path)))
	require.NoError(t, err)
	assert.Len(t, names, 1, "no temporary file is left")
	require.Error(t, license.File("").Save(nil))
}

func TestNew(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("AppData", dir)
	srv := polartest.NewServer(t)
	c, err := license.New(srv.OrganizationID(), "acme-editor", license.WithClientOptions(polar.WithBaseURL(srv.URL)))
	require.NoError(t, err)
	assert.Equal(t, license.StatusNotActivated, c.Check(t.Context()).Status)
	_, err = c.Activate(t.Context(), "nonsense")
	require.ErrorIs(t, err, license.ErrInvalid)
	assert.NotContains(t, err.Error(), "nonsense")
	assert.Regexp(t, `^acme-editor polar-go/`, srv.Requests(validate)[0].Header.Get("User-Agent"))
	config, err := os.UserConfigDir()
	require.NoError(t, err)
	path := filepath.Join(config, "acme-editor", "license.json")
	require.NoError(t, license.File(path).Save([]byte("x")))
	require.ErrorIs(t, c.Check(t.Context()).Err, license.ErrCorrupt, "the default place")

	for want, make := range map[string]func() (*license.Client, error){
		"organization id is empty": func() (*license.Client, error) { return license.New("", "x") },
		`application ""`:           func() (*license.Client, error) { return license.New("o", "") },
		`application "../x"`:       func() (*license.Client, error) { return license.New("o", "../x") },
		`application ".."`:         func() (*license.Client, error) { return license.New("o", "..") },
		`application "a/b"`:        func() (*license.Client, error) { return license.New("o", "a/b") },
		"option 1 is nil":          func() (*license.Client, error) { return license.New("o", "x", nil) },
		"store is nil":             func() (*license.Client, error) { return license.New("o", "x", license.WithStore(nil)) },
		"checking every 0s":        func() (*license.Client, error) { return license.New("o", "x", license.WithCheckEvery(0)) },
		"shorter than the 24h0m0s": func() (*license.Client, error) { return license.New("o", "x", license.WithGrace(time.Hour)) },
		"benefits without an id":   func() (*license.Client, error) { return license.New("o", "x", license.WithBenefits("")) },
		"label is empty":           func() (*license.Client, error) { return license.New("o", "x", license.WithLabel("")) },
		"machine id is empty":      func() (*license.Client, error) { return license.New("o", "x", license.WithMachine("")) },
		"clock is nil":             func() (*license.Client, error) { return license.New("o", "x", license.WithClock(nil)) },
		"base URL has to begin": func() (*license.Client, error) {
			return license.New("o", "x", license.WithClientOptions(polar.WithBaseURL("x")))
		},
		"conditions: models: ": func() (*license.Client, error) {
			return license.New("o", "x", license.WithConditions(models.Metadata{"": 1}))
		},
		"meta: models: ": func() (*license.Client, error) {
			return license.New("o", "x", license.WithMeta(models.Metadata{"": 1}))
		},
	} {
		_, err := make()
		require.ErrorContains(t, err, want)
		assert.Regexp(t, "^license: ", err.Error())
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("AppData", "")
	_, err = license.New("o", "x")
	require.ErrorContains(t, err, "WithStore")
}

func TestEmptyKey(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	_, err := s.program().Activate(t.Context(), " \n")
	require.EqualError(t, err, "license: the key is empty")
	assert.Empty(t, s.asked())
}

// The limiter of the process stays below what Polar allows, without anything being set up.
func TestLimiter(t *testing.T) {
	t.Parallel()
	s := newShop(t, twoMachines)
	c, err := license.New(s.srv.OrganizationID(), "editor", license.WithStore(s.store), license.WithClientOptions(polar.WithBaseURL(s.srv.URL)),
		license.WithClock(func() time.Time { return s.at }))
	require.NoError(t, err)
	// The third call has to wait, which this deadline does not allow.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	var limited bool
	for range 4 {
		_, err := c.Activate(ctx, "x")
		limited = limited || !errors.Is(err, license.ErrInvalid)
	}
	assert.True(t, limited)
	assert.LessOrEqual(t, len(s.srv.Requests(validate)), 3)
}

// FuzzState gives the program any state: it never panics, and what it does not find sealed never counts while Polar is
// out of reach.
func FuzzState(f *testing.F) {
	store := &memory{}
	offline := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("offline") })}
	c, err := license.New("o", "x", license.WithStore(store), license.WithMachine("laptop"), license.WithClock(func() time.Time { return start }),
		license.WithClientOptions(polar.WithHTTPClient(offline), polar.WithRateLimiter(nil), polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1})))
	if err != nil {
		f.Fatal(err)
	}
	for _, state := range []string{
		`{"key":"k"}`, `{"key":"k","activation_id":"a","confirmed_at":"2026-11-02T09:00:00Z"}`,
		`{"key":"k","activation_id":"a","license":{"expires_at":"9999-12-31T23:59:59Z","limit_usage":9223372036854775807},"seen_at":"0001-01-01T00:00:00Z"}`,
	} {
		f.Add(fmt.Appendf(nil, `{"state":%s,"seal":"00"}`, state))
	}
	f.Add([]byte(`{"state":{"key":"k","activation_id":"a","not_before":"9999-12-31T23:59:59Z","asked_at":"2026-11-02T09:00:00+23:59"},"seal":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		store.data = bytes.Clone(data)
		r := c.Check(t.Context())
		if r.Usable() || r.Err == nil {
			t.Fatalf("%s %v", r.Status, r.Err)
		}
		if err := c.Deactivate(t.Context()); err == nil && store.data != nil {
			t.Fatal("not forgotten")
		}
		store.data = bytes.Clone(data)
		if _, err := c.Activate(t.Context(), "k"); err == nil {
			t.Fatal("activated offline")
		}
	})
}
