package webhooks

import (
	"container/list"
	"context"
	"maps"
	"sync"
	"time"

	"github.com/polar-go/polar/models"
)

// Entitlement is what to do when a customer gets a benefit and when they lose it. Nil functions do nothing. After an error
// Polar delivers the event again, and the function is called once more with it: make it end up the same when it is
// called twice.
type Entitlement struct {
	// Grant gives the customer access. It is called when they have the benefit and did not have it before.
	Grant func(ctx context.Context, g *models.BenefitGrant) error
	// Revoke takes the access away. It is called when no grant of the benefit is left, and for a grant that was never seen
	// to be given: access that was never there has to be fine, too.
	Revoke func(ctx context.Context, g *models.BenefitGrant) error
	// Change is called when a grant that the customer keeps was renewed or has new properties. Most programs do not need
	// it.
	Change func(ctx context.Context, g *models.BenefitGrant) error
}

// Entitlements turns the events about benefit grants into calls of [Entitlement], for benefits that the merchant delivers:
//
//	ent := webhooks.NewEntitlements()
//	ent.Benefit(benefitID, webhooks.Entitlement{Grant: openWiki, Revoke: closeWiki})
//	ent.Register(router)
//
// Polar's order is best effort, an event can arrive twice, and a customer can hold the same benefit by two purchases.
// Entitlements therefore keeps for each customer and benefit which grants there are and when they changed last:
//
//   - an event that is older than what is known of its grant is passed over
//   - Grant is called for the first grant of a benefit and Revoke after the last one, not in between
//   - calls for the same customer come one after the other, those for different customers side by side
//
// The seats of a team count apart: a benefit of a member is not that of another.
//
// What is kept is in memory unless [WithGrantStore] names a place that survives restarts and that replicas share.
// [WithGrantCheck] is a safeguard for programs without one.
type Entitlements struct {
	store   GrantStore
	granted func(ctx context.Context, g *models.BenefitGrant) (bool, error)

	mu   sync.RWMutex
	list []entitled
}

type entitled struct {
	id, description string
	Entitlement
}

// EntitlementsOption sets something of [Entitlements].
type EntitlementsOption func(*Entitlements)

// WithGrantStore sets where the known grants are kept instead of a [MemoryGrantStore]. Nil means the default.
func WithGrantStore(s GrantStore) EntitlementsOption {
	return func(e *Entitlements) {
		if s != nil {
			e.store = s
		}
	}
}

// WithGrantCheck has a function called before each Revoke, which says whether the customer still has the benefit by
// another grant; then nothing is revoked. Ask Polar, with BenefitGrants.List for the customer and the benefit, or with the
// state of the customer. A store in memory does not know grants from before the last start, so without this check it
// revokes a benefit when one of two such grants ends.
func WithGrantCheck(granted func(ctx context.Context, g *models.BenefitGrant) (bool, error)) EntitlementsOption {
	return func(e *Entitlements) { e.granted = granted }
}

// NewEntitlements returns [Entitlements] without any benefit.
func NewEntitlements(opts ...EntitlementsOption) *Entitlements {
	e := new(Entitlements)
	for _, opt := range opts {
		if opt != nil {
			opt(e)
		}
	}
	if e.store == nil {
		e.store = NewMemoryGrantStore(0)
	}
	return e
}

// Benefit adds what to do about the benefit with this id.
func (e *Entitlements) Benefit(id string, ent Entitlement) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, entitled{id: id, Entitlement: ent})
}

// Description adds what to do about benefits with exactly this description, the text that customers see. It is the same in
// the sandbox and in production, where ids differ; whoever edits it in the dashboard disconnects the benefit.
func (e *Entitlements) Description(description string, ent Entitlement) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, entitled{description: description, Entitlement: ent})
}

// Register adds handlers for the four events about benefit grants to a router.
func (e *Entitlements) Register(r *Router) {
	On(r, func(ctx context.Context, ev *BenefitGrantCreated) error { return e.Handle(ctx, ev) })
	On(r, func(ctx context.Context, ev *BenefitGrantUpdated) error { return e.Handle(ctx, ev) })
	On(r, func(ctx context.Context, ev *BenefitGrantCycled) error { return e.Handle(ctx, ev) })
	On(r, func(ctx context.Context, ev *BenefitGrantRevoked) error { return e.Handle(ctx, ev) })
}

// Handle does what an event asks for. It is a [Handler], for those who do not use [Entitlements.Register]. Events that are
// not about benefit grants, and grants of other benefits, are left alone.
func (e *Entitlements) Handle(ctx context.Context, ev Event) error {
	var g *models.BenefitGrant
	switch ev := ev.(type) {
	case *BenefitGrantCreated:
		g = &ev.Data
	case *BenefitGrantUpdated:
		g = &ev.Data
	case *BenefitGrantCycled:
		g = &ev.Data
	case *BenefitGrantRevoked:
		g = &ev.Data
	default:
		return nil
	}
	todo := e.find(g)
	if len(todo) == 0 {
		return nil
	}
	key := GrantKey{CustomerID: g.CustomerID, BenefitID: g.BenefitID}
	if g.MemberID != nil {
		key.MemberID = *g.MemberID
	}
	now := GrantRecord{Granted: g.IsGranted && !g.IsRevoked, At: ev.Info().Timestamp}
	if now.At.IsZero() {
		now.At = changedAt(g)
	}
	return e.store.Update(ctx, key, func(ctx context.Context, known GrantState) (GrantState, error) {
		return e.advance(ctx, known, g, now, todo)
	})
}

// find returns what was added for the benefit of a grant.
func (e *Entitlements) find(g *models.BenefitGrant) []entitled {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var found []entitled
	for _, ent := range e.list {
		if ent.id != "" && ent.id == g.BenefitID || ent.description != "" && ent.description == g.Benefit.Description {
			found = append(found, ent)
		}
	}
	return found
}

// changedAt is when a grant was changed last, for payloads that do not say when they were made.
func changedAt(g *models.BenefitGrant) time.Time {
	if g.ModifiedAt != nil {
		return *g.ModifiedAt
	}
	return g.CreatedAt
}

// advance compares a grant with what is known, calls what has to be called, and returns what is known now.
func (e *Entitlements) advance(ctx context.Context, known GrantState, g *models.BenefitGrant, now GrantRecord, todo []entitled) (GrantState, error) {
	before, seen := known.Grants[g.ID]
	if seen && now.At.Before(before.At) {
		return known, nil
	}
	had := known.Granted()
	state := known.with(g.ID, now)
	has := state.Granted()

	var pick func(Entitlement) func(context.Context, *models.BenefitGrant) error
	switch {
	case has && !had:
		pick = func(ent Entitlement) func(context.Context, *models.BenefitGrant) error { return ent.Grant }
	case !has && (had || !seen && g.IsRevoked):
		pick = func(ent Entitlement) func(context.Context, *models.BenefitGrant) error { return ent.Revoke }
		if e.granted == nil {
			break
		}
		still, err := e.granted(ctx, g)
		if err != nil {
			return known, err
		}
		if still {
			return state, nil
		}
	case before.Granted && now.Granted && now.At.After(before.At):
		pick = func(ent Entitlement) func(context.Context, *models.BenefitGrant) error { return ent.Change }
	default:
		return state, nil
	}
	for _, ent := range todo {
		if f := pick(ent.Entitlement); f != nil {
			if err := f(ctx, g); err != nil {
				return known, err
			}
		}
	}
	return state, nil
}

// GrantKey names what a [GrantStore] keeps a state for.
type GrantKey struct {
	CustomerID string // Polar's id of the customer
	MemberID   string // Polar's id of the member who holds the benefit by a seat; empty for the customer itself
	BenefitID  string // Polar's id of the benefit
}

// GrantState is what is known of the grants under one key. The zero value means that nothing is.
type GrantState struct {
	// Grants has a record for each grant, under its id.
	Grants map[string]GrantRecord `json:"grants"`
}

// GrantRecord is what is known of a grant.
type GrantRecord struct {
	Granted bool      `json:"granted"` // whether the benefit is held by it
	At      time.Time `json:"at"`      // when the event was made that said so
}

// Granted reports whether one of the grants is there.
func (s GrantState) Granted() bool {
	for _, r := range s.Grants {
		if r.Granted {
			return true
		}
	}
	return false
}

// keepRevoked is how long a revoked grant is remembered: Polar can redeliver events for 90 days.
const keepRevoked = 91 * 24 * time.Hour

// with returns a copy of s with one more record, without those that are too old to matter.
func (s GrantState) with(id string, r GrantRecord) GrantState {
	grants := make(map[string]GrantRecord, len(s.Grants)+1)
	maps.Copy(grants, s.Grants)
	maps.DeleteFunc(grants, func(_ string, old GrantRecord) bool { return !old.Granted && r.At.Sub(old.At) > keepRevoked })
	grants[id] = r
	return GrantState{grants}
}

// GrantStore keeps what [Entitlements] knows.
type GrantStore interface {
	// Update calls f with the state under key and keeps the state that f returns, unless f returns an error, which Update
	// then returns as well. While f runs, no other Update for the same CustomerID runs f, in no process that uses the
	// store. In a database that is a transaction that first locks a row of the customer. f calls the functions of an
	// [Entitlement] and takes as long as they do.
	Update(ctx context.Context, key GrantKey, f func(ctx context.Context, known GrantState) (GrantState, error)) error
}

// DefaultGrantStoreSize is how many customers a [MemoryGrantStore] remembers by default.
const DefaultGrantStoreSize = 10_000

// MemoryGrantStore is a [GrantStore] in the memory of one process. When it is full it forgets the customers that it heard
// of least recently.
type MemoryGrantStore struct {
	size int

	mu        sync.Mutex
	customers map[string]*list.Element // of *grantCustomer
	recent    *list.List               // the latest first
}

type grantCustomer struct {
	id      string
	turn    chan struct{} // holds a value while it is somebody's turn
	waiting int           // who has or waits for the turn
	states  map[GrantKey]GrantState
}

// NewMemoryGrantStore returns an empty store for so many customers; zero and less mean [DefaultGrantStoreSize].
func NewMemoryGrantStore(size int) *MemoryGrantStore {
	if size <= 0 {
		size = DefaultGrantStoreSize
	}
	return &MemoryGrantStore{size: size, customers: make(map[string]*list.Element), recent: list.New()}
}

// Update implements [GrantStore].
func (m *MemoryGrantStore) Update(ctx context.Context, key GrantKey, f func(ctx context.Context, known GrantState) (GrantState, error)) error {
	c := m.enter(key.CustomerID)
	defer m.leave(c)
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.turn }()
	state, err := f(ctx, c.states[key])
	if err != nil {
		return err
	}
	c.states[key] = state
	return nil
}

// enter returns the customer and keeps it from being forgotten until it is left.
func (m *MemoryGrantStore) enter(id string) *grantCustomer {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.customers[id]
	if !ok {
		m.makeRoom()
		e = m.recent.PushFront(&grantCustomer{id: id, turn: make(chan struct{}, 1), states: make(map[GrantKey]GrantState)})
		m.customers[id] = e
	}
	m.recent.MoveToFront(e)
	c := e.Value.(*grantCustomer)
	c.waiting++
	return c
}

func (m *MemoryGrantStore) leave(c *grantCustomer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.waiting--
}

// makeRoom forgets customers until there is room for one more, except those that are in use.
func (m *MemoryGrantStore) makeRoom() {
	for e := m.recent.Back(); e != nil && len(m.customers) >= m.size; {
		c, previous := e.Value.(*grantCustomer), e.Prev()
		if c.waiting == 0 {
			m.recent.Remove(e)
			delete(m.customers, c.id)
		}
		e = previous
	}
}
