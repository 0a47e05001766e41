package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/internal/ended"
	"github.com/polar-go/polar/models"
)

// Ingester collects usage events and sends them to Polar in batches. It is made by [New] and safe for concurrent use; use one
// for the whole program, and [Ingester.Close] it at the end.
type Ingester struct {
	options
	client *polar.Client
	start  time.Time
	wake   chan struct{} // tells senders that there may be something to do
	cancel context.CancelFunc
	ctx    context.Context // of the requests
	done   sync.WaitGroup  // senders
	calls  callbacks

	mu        sync.Mutex
	queue     ring
	queueSize int      // bytes of the events in queue
	again     []*batch // batches to send once more
	active    []*batch // batches under way
	handing   []*batch // events whose fate is known and is being told to callbacks
	held      int      // events that count against the bound: those being stored, queued, in again, active and handing
	heldSize  int
	seq       uint64 // of the last event
	flushTo   uint64 // events up to this one do not wait for others
	changed   chan struct{}
	closed    bool
	storing   sync.WaitGroup // calls of Track whose event is on its way into the journal or the sink
	stats     Stats
	skew      skew
	pause     time.Time // no request before this
	failures  int       // failed requests since the last that succeeded
	successes uint64
	lastErr   error
	unsent    []item // what the end of Close left
	closing   sync.Once
	closeErr  error
}

// batch is a list of events that are sent in one request.
type batch struct {
	items     []item
	size      int
	attempts  int
	due       time.Time
	successes uint64 // the ingester's, when the batch failed for the first time
}

// New returns an ingester that sends through the client. It starts its senders, and with [WithJournal] sends what an
// earlier process left.
//
// The ingester repeats failed requests by itself, so the retry policy of the client does not matter; its rate limiter,
// time limit of an attempt and middleware do.
func New(client *polar.Client, opts ...Option) (*Ingester, error) {
	i := &Ingester{options: defaults(), client: client, start: time.Now(), changed: make(chan struct{})}
	i.customer = CustomerFrom
	for n, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("ingest: option %d is nil", n+1)
		}
		if err := opt(&i.options); err != nil {
			return nil, fmt.Errorf("ingest: %w", err)
		}
	}
	if i.sink == nil && (client == nil || client.Events == nil) {
		return nil, errors.New("ingest: client is nil: make one with polar.New")
	}
	if i.sink != nil && i.journal != nil {
		return nil, errors.New("ingest: WithSink and WithJournal exclude each other")
	}
	if i.journal != nil {
		if err := i.replay(); err != nil {
			return nil, err
		}
	}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	i.wake = make(chan struct{}, i.senders)
	i.calls.start(func() { i.count(func(s *Stats) { s.Panics++ }) })
	for range i.senders {
		i.done.Go(i.send)
	}
	return i, nil
}

// replay queues what the journal holds, whatever the bound of the queue is.
func (i *Ingester) replay() error {
	err := i.journal.Replay(func(position uint64, record []byte) error {
		it, err := itemOf(record)
		if err != nil {
			return err
		}
		it.journal = position
		it.flags |= journaled
		i.held++
		i.heldSize += it.wireSize()
		i.push(it)
		return nil
	})
	if err != nil {
		return fmt.Errorf("ingest: reading the journal: %w", err)
	}
	i.flushTo = i.seq
	return nil
}

// Track queues an event and returns. An error means that the event was not taken: [ErrInvalid], [ErrFull], [ErrClosed], or a
// [*StoreError] of the journal or the sink. It never waits for the network, and with the policy [FullBlock] only for room in the queue.
//
// The event is stamped with the time unless it has a Timestamp, and gets an ExternalID of its own unless it has one, so that it
// can be sent again without being counted twice. What the event points to is not used after Track has returned.
func (i *Ingester) Track(event models.EventCreate) error {
	return i.track(context.Background(), &event, nil)
}

// TrackContext is [Ingester.Track] with a context that limits how long the policy [FullBlock] waits. The other policies
// do not look at it.
func (i *Ingester) TrackContext(ctx context.Context, event models.EventCreate) error {
	return i.track(ctx, &event, nil)
}

// TrackFunc is [Ingester.TrackContext] for bridges from a broker or a table: done is called once when the fate of the event
// is known, with nil when Polar has it, a [*RejectedError] when Polar refused it, and [ErrUnsent] when the ingester was closed
// before. It is not called when TrackFunc returns an error, which with the policy [FullDrop] it does for an event that is dropped.
func (i *Ingester) TrackFunc(ctx context.Context, event models.EventCreate, done func(error)) error {
	return i.track(ctx, &event, done)
}

func (i *Ingester) track(ctx context.Context, event *models.EventCreate, done func(error)) error {
	if i == nil || i.wake == nil {
		return errNotNew
	}
	if ctx == nil {
		ctx = context.Background()
	}
	it, err := i.newItem(event)
	if err != nil {
		return err
	}
	if i.sink != nil {
		return i.pass(ctx, &it, done)
	}
	it.done = done
	size := it.wireSize()
	i.mu.Lock()
	for i.closed || !i.room(size) {
		switch {
		case i.closed:
			i.mu.Unlock()
			return ErrClosed
		case i.full != FullBlock:
			err := i.fullError()
			if i.full == FullDrop {
				i.stats.Dropped++
				if done == nil {
					err = nil
				}
			}
			i.mu.Unlock()
			return err
		}
		changed := i.changed
		i.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w, and the context ended: %w", ErrFull, ended.Why(ctx))
		}
		i.mu.Lock()
	}
	i.held++
	i.heldSize += size
	if i.journal == nil {
		i.pushAndWake(it)
		i.mu.Unlock()
		return nil
	}
	i.storing.Add(1)
	i.mu.Unlock()
	defer i.storing.Done()
	err = contain(func() (err error) { it.journal, err = i.journal.Append(it.record()); return })
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		i.release(size)
		return &StoreError{it.event(), err}
	}
	it.flags |= journaled
	i.pushAndWake(it)
	return nil
}

// pass hands an event to the sink in place of the queue.
func (i *Ingester) pass(ctx context.Context, it *item, done func(error)) error {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return ErrClosed
	}
	i.storing.Add(1)
	i.mu.Unlock()
	defer i.storing.Done()
	event := it.event()
	if err := contain(func() error { return i.sink(ctx, event) }); err != nil {
		return &StoreError{it.event(), err}
	}
	i.count(func(s *Stats) { s.Tracked++; s.Sent++ })
	if done != nil {
		i.calls.add(func() { done(nil) })
	}
	return nil
}

// contain calls what is not of this package, whose panic is an error.
func contain(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// room reports whether an event of this size fits. An empty queue takes any.
func (i *Ingester) room(size int) bool {
	return i.held == 0 || i.held < i.queueEvents && i.heldSize+size <= i.queueBytes
}

func (i *Ingester) fullError() error {
	if i.lastErr != nil && i.failures > 0 {
		return fmt.Errorf("%w: %d events wait; the last request failed: %w", ErrFull, i.held, i.lastErr)
	}
	return fmt.Errorf("%w: %d events wait", ErrFull, i.held)
}

func (i *Ingester) push(it item) {
	i.seq++
	it.seq = i.seq
	it.queued = int64(time.Since(i.start))
	i.queue.push(it)
	i.queueSize += it.wireSize()
	i.stats.Tracked++
}

// pushAndWake queues an event and wakes a sender if there is something new for it: the first event of a batch, for it to
// watch the time, or a full batch.
func (i *Ingester) pushAndWake(it item) {
	i.push(it)
	if n := i.queue.len(); n == 1 || n%i.batchEvents == 0 || i.queueSize >= i.batchBytes {
		i.signal()
	}
}

func (i *Ingester) signal() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *Ingester) signalAll() {
	for range i.senders {
		i.signal()
	}
}

// release gives room in the queue back and tells those that wait for it, or for the end of a flush.
func (i *Ingester) release(size int) {
	i.held--
	i.heldSize -= size
	i.announce()
}

func (i *Ingester) announce() {
	close(i.changed)
	i.changed = make(chan struct{})
}

// Stats returns the counters.
func (i *Ingester) Stats() Stats {
	if i == nil || i.wake == nil {
		return Stats{}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.snapshot()
}

func (i *Ingester) snapshot() Stats {
	s := i.stats
	s.Queued, s.QueuedSize = i.held, i.heldSize
	return s
}

func (i *Ingester) count(f func(*Stats)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(&i.stats)
}

// Flush sends what was tracked before the call without waiting for full batches, and returns when Polar has all of it or
// has refused it for good, and the callbacks about it have run. When the context ends first, the error says so and what hinders, and the events go on being sent.
func (i *Ingester) Flush(ctx context.Context) error {
	if i == nil || i.wake == nil {
		return errNotNew
	}
	i.mu.Lock()
	to := i.seq
	i.flushTo = max(i.flushTo, to)
	i.signalAll()
	for {
		left := i.outstanding(to)
		if left == 0 {
			i.mu.Unlock()
			return nil
		}
		if len(i.unsent) > 0 {
			i.mu.Unlock()
			return ErrClosed
		}
		changed := i.changed
		i.mu.Unlock()
		select {
		case <-changed:
			i.mu.Lock()
		case <-ctx.Done():
			i.mu.Lock()
			err := i.because(ended.Why(ctx))
			i.mu.Unlock()
			return fmt.Errorf("ingest: %d events are not sent yet: %w", left, err)
		}
	}
}

// because adds the last failure of a request to the reason for giving up.
func (i *Ingester) because(err error) error {
	if i.failures > 0 && i.lastErr != nil {
		return fmt.Errorf("%w; the last request failed: %w", err, i.lastErr)
	}
	return err
}

// outstanding returns how many events up to seq are not settled.
func (i *Ingester) outstanding(seq uint64) int {
	n := 0
	for _, list := range [][]*batch{i.active, i.again, i.handing} {
		for _, b := range list {
			for _, it := range b.items {
				if it.seq <= seq {
					n++
				}
			}
		}
	}
	if i.queue.len() > 0 {
		if first := i.queue.at(0).seq; first <= seq {
			n += int(min(seq-first+1, uint64(i.queue.len())))
		}
	}
	for _, it := range i.unsent {
		if it.seq <= seq {
			n++
		}
	}
	return n
}

// Close stops taking events, sends those that wait, and releases everything. When the context ends before all are sent, requests
// under way are broken off, and the error is an [*UnsentError] that holds what is left. Every call returns the outcome of the first.
func (i *Ingester) Close(ctx context.Context) error {
	if i == nil || i.wake == nil {
		return errNotNew
	}
	i.closing.Do(func() { i.closeErr = i.close(ctx) })
	return i.closeErr
}

func (i *Ingester) close(ctx context.Context) error {
	i.mu.Lock()
	i.closed = true
	i.announce() // those that wait for room
	i.mu.Unlock()
	stored := make(chan struct{})
	go func() { i.storing.Wait(); close(stored) }()
	select {
	case <-stored:
	case <-ctx.Done():
	}

	why := i.Flush(ctx)
	i.cancel()
	i.done.Wait()
	i.mu.Lock()
	for i.queue.len() > 0 {
		i.unsent = append(i.unsent, i.queue.pop())
	}
	for _, b := range i.again {
		i.unsent = append(i.unsent, b.items...)
	}
	i.again, i.queueSize = nil, 0
	slices.SortFunc(i.unsent, func(a, b item) int { return cmp.Compare(a.seq, b.seq) })
	left := i.unsent
	err := i.because(cause(ctx, why))
	i.announce()
	i.mu.Unlock()

	for _, it := range left {
		if it.done != nil {
			i.calls.add(func() { it.done(ErrUnsent) })
		}
	}
	i.calls.stop(ctx)
	var failed error
	if len(left) > 0 {
		unsent := &UnsentError{Err: err}
		for _, it := range left {
			unsent.Events = append(unsent.Events, it.event())
		}
		failed = unsent
	}
	if i.journal != nil {
		if err := i.journal.Close(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("ingest: closing the journal: %w", err))
		}
	}
	return failed
}

func cause(ctx context.Context, other error) error {
	if ctx.Err() != nil {
		return ended.Why(ctx)
	}
	return other
}

// maxProbes is how many batches are tried in turns while Polar does not answer well.
const maxProbes = 16

// next returns the batch that is to be sent now, or how long there is nothing to do; the longest time when it is not known.
func (i *Ingester) next(now time.Time) (*batch, time.Duration) {
	const never = time.Duration(math.MaxInt64)
	if i.queue.len() == 0 && len(i.again) == 0 {
		return nil, never
	}
	if wait := i.pause.Sub(now); wait > 0 {
		return nil, wait
	}
	if i.failures > 0 && len(i.active) > 0 {
		return nil, never // one request at a time finds out whether Polar is back
	}
	wait, best := never, -1
	for n, b := range i.again {
		if left := b.due.Sub(now); left > 0 {
			wait = min(wait, left)
		} else if best < 0 || b.attempts < i.again[best].attempts {
			best = n
		}
	}
	// A batch that fails again and again may itself be what Polar breaks on, so others get a try between, from the queue as
	// well. Few of them, since during an outage it is better to let the batches fill.
	if best >= 0 && (i.failures == 0 || i.again[best].attempts < 2 || len(i.again) >= maxProbes || i.queue.len() == 0) {
		b := i.again[best]
		i.again = slices.Delete(i.again, best, best+1)
		return b, 0
	}
	if i.queue.len() == 0 {
		return nil, wait
	}
	first := i.queue.at(0)
	age := now.Sub(i.start) - time.Duration(first.queued)
	if i.queue.len() < i.batchEvents && i.queueSize < i.batchBytes && first.seq > i.flushTo && age < i.interval && best < 0 {
		return nil, min(wait, i.interval-age)
	}
	return i.take(), 0
}

// take makes a batch of the first events in the queue.
func (i *Ingester) take() *batch {
	n := min(i.queue.len(), i.batchEvents)
	b := &batch{items: make([]item, 0, n)}
	for len(b.items) < n {
		size := i.queue.at(0).wireSize()
		if b.size+size > i.batchBytes-requestOverhead && len(b.items) > 0 {
			break
		}
		b.items = append(b.items, i.queue.pop())
		b.size += size
	}
	i.queueSize -= b.size
	return b
}

// ring is a queue that grows.
type ring struct {
	items []item
	head  int
	n     int
}

func (r *ring) len() int { return r.n }

func (r *ring) at(k int) *item { return &r.items[(r.head+k)&(len(r.items)-1)] }

func (r *ring) push(it item) {
	if r.n == len(r.items) {
		bigger := make([]item, max(64, 2*len(r.items)))
		for k := range r.n {
			bigger[k] = *r.at(k)
		}
		r.items, r.head = bigger, 0
	}
	r.n++
	*r.at(r.n - 1) = it
}

func (r *ring) pop() item {
	it := *r.at(0)
	*r.at(0) = item{} // let go of its text
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.n--
	return it
}

// callbacks runs functions of the user's one after the other, without ever making the ingester wait for them.
type callbacks struct {
	mu      sync.Mutex
	list    []func()
	wake    chan struct{}
	ended   chan struct{}
	panicky func()
	stopped bool
}

func (c *callbacks) start(panicky func()) {
	c.wake, c.ended, c.panicky = make(chan struct{}, 1), make(chan struct{}), panicky
	go c.run()
}

func (c *callbacks) run() {
	ended := false
	defer func() {
		if ended {
			close(c.ended)
		} else {
			go c.run() // a callback has called runtime.Goexit
		}
	}()
	for {
		c.mu.Lock()
		var f func()
		if len(c.list) > 0 {
			f = c.list[0]
			c.list[0] = nil
			c.list = c.list[1:]
		}
		ended = f == nil && c.stopped
		c.mu.Unlock()
		switch {
		case f != nil:
			c.call(f)
		case ended:
			return
		default:
			<-c.wake
		}
	}
}

func (c *callbacks) call(f func()) {
	panicked := true
	defer func() {
		_ = recover()
		if panicked { // also for runtime.Goexit
			c.panicky()
		}
	}()
	f()
	panicked = false
}

func (c *callbacks) add(f func()) {
	c.mu.Lock()
	if !c.stopped { // after Close nobody would run it
		c.list = append(c.list, f)
	}
	c.mu.Unlock()
	c.signal()
}

// addIfFew is add for what may be left out.
func (c *callbacks) addIfFew(f func()) {
	c.mu.Lock()
	few := len(c.list) < 1000
	c.mu.Unlock()
	if few {
		c.add(f)
	}
}

func (c *callbacks) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// stop waits until all have run, or until the context ends.
func (c *callbacks) stop(ctx context.Context) {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.signal()
	select {
	case <-c.ended:
	case <-ctx.Done():
		// What is left is quick, or hangs: give it a moment, which a callback that hangs cannot prolong.
		grace := time.NewTimer(callbackGrace)
		defer grace.Stop()
		select {
		case <-c.ended:
		case <-grace.C:
		}
	}
}

const callbackGrace = time.Second
