package webhooks

import (
	"container/list"
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// Deduper remembers which deliveries were handled, by their webhook-id. Polar sends an event again when the answer to it
// was lost or came after 10 seconds, and then it arrives twice.
//
// A delivery is claimed before it is handled. Afterwards it is either done, so that the next attempt is acknowledged
// without being handled, or released, so that the next attempt is handled. A claim whose owner died is to expire by
// itself.
//
// [MemoryDeduper] is for one process and [RedisDeduper] for several. To write one for a database, keep a row for each id
// with owner, expiry and whether it is done; a Claim inserts it, or takes over an expired one, in one statement.
type Deduper interface {
	// Claim tries to reserve the delivery for the caller. With [Claimed] it returns an owner, which is the caller's name
	// for Release and different for each claim.
	Claim(ctx context.Context, id string) (owner string, state ClaimState, err error)
	// Done marks the delivery as handled. That it was handled is true even when the claim has expired meanwhile, so it
	// does not matter who owns it by now.
	Done(ctx context.Context, id string) error
	// Release gives the claim back, if it is still the owner's.
	Release(ctx context.Context, id, owner string) error
}

// ClaimState is what came of [Deduper.Claim].
type ClaimState int

const (
	// Claimed means that the delivery is the caller's to handle.
	Claimed ClaimState = iota + 1
	// InProgress means that somebody else is handling it. The router answers 409, and Polar tries again.
	InProgress
	// Handled means that it was handled before. The router acknowledges it.
	Handled
)

const (
	// DefaultClaimTime is how long a claim holds at most. A process that dies while it handles a delivery blocks the
	// delivery for so long, which has to be well under the 17 to 34 minutes in which Polar repeats it.
	DefaultClaimTime = 2 * time.Minute
	// DefaultRememberTime is how long a handled delivery is remembered. Polar repeats a delivery for 34 minutes at most;
	// a redelivery asked for by hand later than this is handled once more.
	DefaultRememberTime = time.Hour
	// DefaultMemorySize is how many deliveries a [MemoryDeduper] remembers.
	DefaultMemorySize = 10_000
)

// DeduperOption sets something of a [MemoryDeduper] or a [RedisDeduper].
type DeduperOption func(*deduperConfig)

type deduperConfig struct {
	claim    time.Duration
	remember time.Duration
	size     int
	prefix   string
	now      func() time.Time
}

// ClaimFor sets how long a claim holds instead of [DefaultClaimTime]: longer than the slowest handler takes. Zero and
// less mean the default.
func ClaimFor(d time.Duration) DeduperOption {
	return func(c *deduperConfig) {
		if d > 0 {
			c.claim = d
		}
	}
}

// RememberFor sets how long a handled delivery is remembered instead of [DefaultRememberTime]. Zero and less mean the
// default.
func RememberFor(d time.Duration) DeduperOption {
	return func(c *deduperConfig) {
		if d > 0 {
			c.remember = d
		}
	}
}

// MemorySize sets how many deliveries a [MemoryDeduper] remembers instead of [DefaultMemorySize]; when there are more, it
// forgets those that were handled first. Zero and less mean the default.
func MemorySize(n int) DeduperOption {
	return func(c *deduperConfig) {
		if n > 0 {
			c.size = n
		}
	}
}

// DeduperClock sets the clock of a [MemoryDeduper] instead of [time.Now], for tests. Nil means the default.
func DeduperClock(now func() time.Time) DeduperOption {
	return func(c *deduperConfig) {
		if now != nil {
			c.now = now
		}
	}
}

func newDeduperConfig(opts []DeduperOption) deduperConfig {
	c := deduperConfig{
		claim: DefaultClaimTime, remember: DefaultRememberTime, size: DefaultMemorySize, prefix: defaultRedisPrefix, now: time.Now,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	return c
}

// MemoryDeduper is a [Deduper] in the memory of one process. It is what a [Router] uses by itself. What it knows is lost
// when the process ends, and other replicas do not share it. It starts no goroutine: what has expired is forgotten by
// later calls.
type MemoryDeduper struct {
	config deduperConfig

	mu      sync.Mutex
	entries map[string]*list.Element // of *memoryEntry
	claims  *list.List               // in the order in which they expire
	done    *list.List               // likewise
}

type memoryEntry struct {
	id      string
	owner   string // empty when done
	expires time.Time
}

// NewMemoryDeduper returns an empty [MemoryDeduper].
func NewMemoryDeduper(opts ...DeduperOption) *MemoryDeduper {
	return &MemoryDeduper{
		config: newDeduperConfig(opts), entries: make(map[string]*list.Element), claims: list.New(), done: list.New(),
	}
}

// Claim implements [Deduper]. It fails when as many deliveries as are remembered at all are being handled at the moment.
func (m *MemoryDeduper) Claim(_ context.Context, id string) (string, ClaimState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.config.now()
	m.forgetExpired(now)
	if e, ok := m.entries[id]; ok {
		if e.Value.(*memoryEntry).owner != "" {
			return "", InProgress, nil
		}
		return "", Handled, nil
	}
	if len(m.entries) >= m.config.size && !m.remove(m.done.Front()) {
		return "", 0, fail(ErrDeduper, "more deliveries are being handled than the deduper has room for: raise MemorySize")
	}
	owner := rand.Text()
	m.entries[id] = m.claims.PushBack(&memoryEntry{id, owner, now.Add(m.config.claim)})
	return owner, Claimed, nil
}

// Done implements [Deduper]. It never fails.
func (m *MemoryDeduper) Done(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.config.now()
	m.forgetExpired(now)
	if !m.remove(m.entries[id]) && len(m.entries) >= m.config.size && !m.remove(m.done.Front()) {
		return nil // full of claims, which matter more
	}
	m.entries[id] = m.done.PushBack(&memoryEntry{id, "", now.Add(m.config.remember)})
	return nil
}

// Release implements [Deduper]. It never fails.
func (m *MemoryDeduper) Release(_ context.Context, id, owner string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[id]; ok && owner != "" && e.Value.(*memoryEntry).owner == owner {
		m.remove(e)
	}
	return nil
}

// Forget removes what is known about a delivery, so that a redelivery asked for by hand is handled once more.
func (m *MemoryDeduper) Forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(m.entries[id])
}

// Len returns the number of deliveries that are known: handled ones and those in progress.
func (m *MemoryDeduper) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetExpired(m.config.now())
	return len(m.entries)
}

func (m *MemoryDeduper) forgetExpired(now time.Time) {
	for _, l := range []*list.List{m.claims, m.done} {
		for e := l.Front(); e != nil && !now.Before(e.Value.(*memoryEntry).expires); e = l.Front() {
			m.remove(e)
		}
	}
}

// remove takes an entry out, and reports whether there was one.
func (m *MemoryDeduper) remove(e *list.Element) bool {
	if e == nil {
		return false
	}
	entry := e.Value.(*memoryEntry)
	delete(m.entries, entry.id)
	if entry.owner != "" {
		m.claims.Remove(e)
	} else {
		m.done.Remove(e)
	}
	return true
}
