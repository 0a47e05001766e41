package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

// desk records the calls of an Entitlement.
type desk struct {
	calls []string
	fail  error
}

func (d *desk) entitlement(name string) Entitlement {
	note := func(what string) func(context.Context, *models.BenefitGrant) error {
		return func(_ context.Context, g *models.BenefitGrant) error {
			d.calls = append(d.calls, fmt.Sprintf("%s %s %s", name, what, g.ID))
			return d.fail
		}
	}
	return Entitlement{Grant: note("grant"), Revoke: note("revoke"), Change: note("change")}
}

func (d *desk) take() []string {
	calls := d.calls
	d.calls = nil
	return calls
}

// grantAt makes the delivery of an event at a minute after testTime.
func grantAt(minute int) Delivery {
	return Delivery{Timestamp: testTime.Add(time.Duration(minute) * time.Minute)}
}

func grant(id, customer string, granted bool) models.BenefitGrant {
	return models.BenefitGrant{
		ID: id, CustomerID: customer, BenefitID: "wiki", IsGranted: granted, IsRevoked: !granted,
		Benefit: models.Benefit{ID: "wiki", Description: "Access to the wiki"},
	}
}

func TestEntitlements(t *testing.T) {
	created := func(minute int, id string) Event { return &BenefitGrantCreated{grantAt(minute), grant(id, "c", true)} }
	updated := func(minute int, id string) Event { return &BenefitGrantUpdated{grantAt(minute), grant(id, "c", true)} }
	cycled := func(minute int, id string) Event { return &BenefitGrantCycled{grantAt(minute), grant(id, "c", true)} }
	revoked := func(minute int, id string) Event { return &BenefitGrantRevoked{grantAt(minute), grant(id, "c", false)} }
	pending := func(minute int, id string) Event {
		g := grant(id, "c", false)
		g.IsRevoked = false
		return &BenefitGrantCreated{grantAt(minute), g}
	}
	for _, c := range []struct {
		name   string
		events []Event
		want   []string
	}{
		{"once each", []Event{created(0, "g"), revoked(1, "g")}, []string{"grant g", "revoke g"}},
		{"twice each", []Event{created(0, "g"), created(0, "g"), revoked(1, "g"), revoked(1, "g")}, []string{"grant g", "revoke g"}},
		{"renewed", []Event{created(0, "g"), cycled(1, "g"), cycled(1, "g"), updated(2, "g")}, []string{"grant g", "change g", "change g"}},
		{"first heard of by a renewal", []Event{cycled(1, "g"), revoked(2, "g")}, []string{"grant g", "revoke g"}},
		{"late creation after revocation", []Event{revoked(1, "g"), created(0, "g")}, []string{"revoke g"}},
		{"late renewal after revocation", []Event{created(0, "g"), revoked(2, "g"), cycled(1, "g")}, []string{"grant g", "revoke g"}},
		{"late revocation after granting again", []Event{created(0, "g"), updated(2, "g"), revoked(1, "g")}, []string{"grant g", "change g"}},
		{"revoked and granted again", []Event{created(0, "g"), revoked(1, "g"), updated(2, "g")}, []string{"grant g", "revoke g", "grant g"}},
		{"two grants, one left", []Event{created(0, "g"), created(1, "h"), revoked(2, "g")}, []string{"grant g"}},
		{"two grants, none left", []Event{created(0, "g"), created(1, "h"), revoked(2, "g"), revoked(3, "h")}, []string{"grant g", "revoke h"}},
		{"created and revoked at once", []Event{created(0, "g"), revoked(0, "g")}, []string{"grant g", "revoke g"}},
		{"waits for the customer", []Event{pending(0, "g"), updated(1, "g"), revoked(2, "g")}, []string{"grant g", "revoke g"}},
		{"waited in vain", []Event{pending(0, "g"), revoked(2, "g")}, nil},
		{"never seen", []Event{revoked(0, "g")}, []string{"revoke g"}},
		{"other events", []Event{&OrderPaid{}, &Unknown{EventType: "benefit_grant.moved"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := new(desk)
			ent := NewEntitlements()
			ent.Benefit("wiki", d.entitlement(""))
			ent.Benefit("forum", d.entitlement("forum"))
			for _, e := range c.events {
				require.NoError(t, ent.Handle(t.Context(), e))
			}
			var want []string
			for _, w := range c.want {
				want = append(want, " "+w)
			}
			assert.Equal(t, want, d.take())
		})
	}
}

func TestEntitlementsOfCustomersAndMembersAreApart(t *testing.T) {
	d := new(desk)
	ent := NewEntitlements()
	ent.Benefit("wiki", d.entitlement(""))
	for _, c := range []struct{ id, customer, member string }{{"g1", "a", ""}, {"g2", "b", ""}, {"g3", "a", "m1"}, {"g4", "a", "m2"}} {
		g := grant(c.id, c.customer, true)
		if c.member != "" {
			g.MemberID = &c.member
		}
		require.NoError(t, ent.Handle(t.Context(), &BenefitGrantCreated{grantAt(0), g}))
	}
	assert.Equal(t, []string{" grant g1", " grant g2", " grant g3", " grant g4"}, d.take())
}

func TestEntitlementsByDescription(t *testing.T) {
	d := new(desk)
	ent := NewEntitlements()
	ent.Description("Access to the wiki", d.entitlement("text"))
	ent.Benefit("wiki", d.entitlement("id"))
	ent.Description("access to the wiki", d.entitlement("other"))
	ent.Description("", d.entitlement("empty"))
	ent.Benefit("", d.entitlement("empty"))
	ent.Benefit("wiki", Entitlement{})
	require.NoError(t, ent.Handle(t.Context(), &BenefitGrantCreated{grantAt(0), grant("g", "c", true)}))
	assert.Equal(t, []string{"text grant g", "id grant g"}, d.take())
	require.NoError(t, ent.Handle(t.Context(), &BenefitGrantCreated{grantAt(0), models.BenefitGrant{ID: "x", IsGranted: true}}))
	assert.Empty(t, d.take())
}

// An error leaves everything as it was, so that the next attempt does the same again.
func TestEntitlementsTryAgain(t *testing.T) {
	r, f := newRouter(t)
	d := &desk{fail: errors.New("wiki is down")}
	ent := NewEntitlements()
	ent.Benefit("wiki", d.entitlement(""))
	ent.Register(r)
	require.NoError(t, r.Err())
	assert.Equal(t, []models.WebhookEventType{"benefit_grant.created", "benefit_grant.cycled", "benefit_grant.revoked", "benefit_grant.updated"}, r.Types())
	granted := &BenefitGrantCreated{grantAt(0), grant("g", "c", true)}
	granted.ID = "evt_1"
	for range 2 {
		code, _ := deliver(t, r, granted)
		assert.Equal(t, 500, code)
		assert.Equal(t, []string{" grant g"}, d.take())
		assert.ErrorIs(t, f.take()[0].Err, d.fail)
	}
	d.fail = nil
	for range 2 {
		code, _ := deliver(t, r, granted)
		assert.Equal(t, 202, code)
	}
	assert.Equal(t, []string{" grant g"}, d.take())
	for _, e := range []Event{
		&BenefitGrantUpdated{grantAt(1), grant("g", "c", true)}, &BenefitGrantCycled{grantAt(2), grant("g", "c", true)}, &BenefitGrantRevoked{grantAt(3), grant("g", "c", false)},
	} {
		code, _ := deliver(t, r, e)
		assert.Equal(t, 202, code)
	}
	assert.Equal(t, []string{" change g", " change g", " revoke g"}, d.take())
}

// Payloads of old versions may not say when they were made; then the grant does.
func TestEntitlementsWithoutTimestamps(t *testing.T) {
	d := new(desk)
	ent := NewEntitlements()
	ent.Benefit("wiki", d.entitlement(""))
	early, late := testTime, testTime.Add(time.Hour)
	g := grant("g", "c", false)
	g.ModifiedAt = &late
	require.NoError(t, ent.Handle(t.Context(), &BenefitGrantRevoked{Data: g}))
	g = grant("g", "c", true)
	g.CreatedAt = early
	require.NoError(t, ent.Handle(t.Context(), &BenefitGrantCreated{Data: g}))
	assert.Equal(t, []string{" revoke g"}, d.take())
}

func TestGrantCheck(t *testing.T) {
	d := new(desk)
	var still bool
	var fail error
	asked := 0
	ent := NewEntitlements(WithGrantStore(nil), nil, WithGrantCheck(func(_ context.Context, g *models.BenefitGrant) (bool, error) {
		asked++
		assert.Equal(t, "wiki", g.BenefitID)
		return still, fail
	}))
	ent.Benefit("wiki", d.entitlement(""))
	ctx := t.Context()
	fail = errors.New("api is down")
	revoked := &BenefitGrantRevoked{grantAt(1), grant("g", "c", false)}
	assert.ErrorIs(t, ent.Handle(ctx, revoked), fail)
	fail, still = nil, true
	require.NoError(t, ent.Handle(ctx, revoked))
	assert.Empty(t, d.take(), "another grant is there")
	still = false
	require.NoError(t, ent.Handle(ctx, &BenefitGrantRevoked{grantAt(2), grant("h", "c", false)}))
	assert.Equal(t, []string{" revoke h"}, d.take())
	require.NoError(t, ent.Handle(ctx, &BenefitGrantCreated{grantAt(3), grant("i", "c", true)}))
	assert.Equal(t, 3, asked, "only before something is revoked")
}

// Calls for a customer come one after the other, those for different customers side by side.
func TestOrderPerCustomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		inside := map[string]int{}
		var mu sync.Mutex
		ent := NewEntitlements()
		work := func(_ context.Context, g *models.BenefitGrant) error {
			mu.Lock()
			inside[g.CustomerID]++
			assert.Equal(t, 1, inside[g.CustomerID])
			mu.Unlock()
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			mu.Lock()
			inside[g.CustomerID]--
			mu.Unlock()
			return nil
		}
		ent.Benefit("wiki", Entitlement{Grant: work, Revoke: work, Change: work})
		start := time.Now()
		var wg sync.WaitGroup
		for c := range 3 {
			for m := range 5 {
				wg.Go(func() {
					g := grant(fmt.Sprint("g", m), fmt.Sprint("c", c), true)
					g.MemberID = new(fmt.Sprint("m", m))
					assert.NoError(t, ent.Handle(context.Background(), &BenefitGrantCreated{grantAt(m), g}))
				})
			}
		}
		wg.Wait()
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.EqualValues(t, 3, most.Load())

		// who waits gives up with the context
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		wg.Go(func() {
			_ = ent.Handle(context.Background(), &BenefitGrantCreated{grantAt(1), grant("g8", "c0", true)})
		})
		synctest.Wait()
		assert.ErrorIs(t, ent.Handle(ctx, &BenefitGrantCreated{grantAt(1), grant("g9", "c0", true)}), context.DeadlineExceeded)
		wg.Wait()
	})
}

func TestMemoryGrantStoreIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemoryGrantStore(3)
		same := func(_ context.Context, s GrantState) (GrantState, error) {
			return s.with("g", GrantRecord{Granted: true}), nil
		}
		wait := make(chan struct{})
		go func() {
			_ = m.Update(context.Background(), GrantKey{CustomerID: "busy"}, func(ctx context.Context, s GrantState) (GrantState, error) {
				<-wait
				return same(ctx, s)
			})
		}()
		synctest.Wait()
		for i := range 100 {
			require.NoError(t, m.Update(t.Context(), GrantKey{CustomerID: fmt.Sprint(i)}, same))
			assert.LessOrEqual(t, len(m.customers), 3)
		}
		assert.Equal(t, len(m.customers), m.recent.Len())
		close(wait)
		synctest.Wait()
		known := func(id string) (ok bool) {
			require.NoError(t, m.Update(t.Context(), GrantKey{CustomerID: id}, func(_ context.Context, s GrantState) (GrantState, error) {
				ok = s.Granted()
				return s, nil
			}))
			return ok
		}
		assert.True(t, known("busy"), "what is in use is not forgotten")
		assert.True(t, known("99"))
		assert.False(t, known("97"))
	})
	assert.Equal(t, DefaultGrantStoreSize, NewMemoryGrantStore(-1).size)

	// who was heard of least recently goes first
	m := NewMemoryGrantStore(3)
	for _, id := range []string{"a", "b", "c", "a", "d"} {
		require.NoError(t, m.Update(t.Context(), GrantKey{CustomerID: id}, func(_ context.Context, s GrantState) (GrantState, error) { return s, nil }))
	}
	assert.Contains(t, m.customers, "a")
	assert.NotContains(t, m.customers, "b")
}

func TestPanicInAnEntitlementGivesTheTurnBack(t *testing.T) {
	ent := NewEntitlements()
	calls := 0
	ent.Benefit("wiki", Entitlement{Grant: func(context.Context, *models.BenefitGrant) error {
		if calls++; calls == 1 {
			panic("oops")
		}
		return nil
	}})
	r, _ := newRouter(t)
	ent.Register(r)
	e := &BenefitGrantCreated{grantAt(0), grant("g", "c", true)}
	assert.ErrorIs(t, r.Dispatch(t.Context(), e), ErrPanic)
	assert.NoError(t, r.Dispatch(t.Context(), e))
	assert.Equal(t, 2, calls)
}

func TestGrantState(t *testing.T) {
	var s GrantState
	assert.False(t, s.Granted())
	s = s.with("old", GrantRecord{false, testTime}).with("held", GrantRecord{true, testTime})
	later := s.with("new", GrantRecord{false, testTime.Add(keepRevoked + 1)})
	assert.Len(t, s.Grants, 2, "s itself is as it was")
	assert.NotContains(t, later.Grants, "old")
	assert.Contains(t, later.Grants, "held")
	assert.True(t, later.Granted())

	text, err := json.Marshal(later) // as a store in a database does
	require.NoError(t, err)
	var back GrantState
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, later, back)
}
