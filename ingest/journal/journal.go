// Package journal keeps usage events on disk until Polar has them. It is the [ingest.Journal] for [ingest.WithJournal]:
//
//	j, err := journal.Open("/var/lib/myapp/usage")
//	if err != nil {
//		return err
//	}
//	ing, err := ingest.New(client, ingest.WithJournal(j))
//
// An event whose Track has returned is in the files, and survives the end of the process however it comes. To survive a loss of
// power as well, use [WithSync]: Track then returns when the disk has the event, which many callers share.
//
// When the disk refuses a record, half of it may be in the files. It is cut off at once, so that an event whose Track failed is not
// sent by the next process behind the caller's back. Should the disk refuse that too, nothing more is taken until it works, and
// [ingest.StoreError] has the event with its id, by which tracking it again cannot count it twice.
//
// The files are those of github.com/tidwall/wal; each record has a checksum. A folder belongs to one process at a time.
package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/gofrs/flock"
	"github.com/tidwall/wal"

	"github.com/polar-go/polar/ingest"
)

var _ ingest.Journal = (*Journal)(nil)

// ErrLocked is the failure of [Open] when another process, or another journal of this one, uses the folder.
var ErrLocked = errors.New("journal: the folder is in use by another process")

// ErrClosed is the failure of using a journal after [Journal.Close].
var ErrClosed = errors.New("journal: closed")

// Option is a setting of a journal, for [Open].
type Option func(*Journal)

// WithSync makes [Journal.Append] wait until the disk has the record, so that a loss of power cannot lose it. Appends that
// happen at the same time are written together and wait for the disk once.
func WithSync() Option { return func(j *Journal) { j.sync = true } }

// OnDamage sets a function that is told what was found damaged and could not be kept, such as the half of a record that was
// written when the power failed; the damaged bytes stay in the folder in a file that ends in .damaged. It is also told of a
// compaction that failed, after which the files are larger than they need to be. It must not use the journal.
func OnDamage(f func(error)) Option { return func(j *Journal) { j.damage = f } }

const (
	segmentSize = 4 << 20
	lockName    = "lock"

	// Kinds of records in the files, by their first byte.
	kindEvent = 'e' // followed by the record
	kindDone  = 'd' // followed by positions, as the differences of the sorted list
)

// Journal is a journal in a folder. It is made by [Open] and safe for concurrent use.
type Journal struct {
	dir    string
	sync   bool
	damage func(error)
	lock   *flock.Flock

	compactAt int64                   // size of the files from which on they are compacted
	step      func(name string) error // is called before steps of the work, for tests; an error stands for the disk's

	mu      sync.Mutex
	log     *wal.Log
	last    uint64            // position of the last record
	first   uint64            // position of the first record in the files
	live    map[uint64]int32  // sizes of the events that are not done
	moved   map[uint64]uint64 // where an event is whose owner was told another position
	owed    []uint64          // positions of events that are done, which the disk did not take yet
	bytes   int64             // in the files
	liveSum int64             // sum of live
	replay  []uint64          // positions of what an earlier process left
	group   *group            // appends that wait for the one that is writing
	writing bool
	closed  bool
	idle    *sync.Cond
	failed  error // of a write, until what it left in the files is cut off
}

// entry is an event, sealed, or the positions of events that are done.
type entry struct {
	sealed []byte
	done   []uint64
}

// group is a list of entries that are written together.
type group struct {
	entries []entry
	first   uint64
	err     error
	done    chan struct{}
}

// Open opens the journal in a folder, which it makes if there is none.
func Open(dir string, opts ...Option) (*Journal, error) {
	j := &Journal{dir: dir, live: map[uint64]int32{}, moved: map[uint64]uint64{}, compactAt: 2 * segmentSize, damage: func(error) {}, step: func(string) error { return nil }}
	j.idle = sync.NewCond(&j.mu)
	for _, opt := range opts {
		if opt != nil {
			opt(j)
		}
	}
	if j.damage == nil {
		j.damage = func(error) {}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j.lock = flock.New(filepath.Join(dir, lockName))
	locked, err := j.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("journal: locking the folder: %w", err)
	}
	if !locked {
		return nil, ErrLocked
	}
	if err := j.open(); err != nil {
		return nil, errors.Join(err, j.lock.Unlock())
	}
	return j, nil
}

func (j *Journal) open() error {
	if err := repair(j.dir, j.damage); err != nil {
		return fmt.Errorf("journal: repairing the folder: %w", err)
	}
	if err := j.openLog(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.last, _ = j.log.LastIndex()
	if err := j.scan(); err != nil {
		return errors.Join(fmt.Errorf("journal: %w", err), j.log.Close())
	}
	return nil
}

func (j *Journal) openLog() error {
	log, err := wal.Open(j.dir, &wal.Options{NoSync: true, SegmentSize: segmentSize, AllowEmpty: true, NoCopy: true, DirPerms: 0o700, FilePerms: 0o600})
	if err != nil {
		return err
	}
	j.log = log
	j.first, err = log.FirstIndex()
	return err
}

// scan finds the events that are not done.
func (j *Journal) scan() error {
	for pos := j.first; pos <= j.last; pos++ {
		rec, err := j.log.Read(pos)
		if err != nil {
			return err
		}
		j.bytes += int64(len(rec))
		if rec = unseal(rec); rec == nil {
			continue // repair has reported it
		}
		switch rec[0] {
		case kindEvent:
			j.live[pos] = int32(len(rec) + 4)
			j.liveSum += int64(len(rec) + 4)
		case kindDone:
			for _, p := range donePositions(rec[1:]) {
				j.forget(p)
			}
		}
	}
	for pos := range j.live {
		j.replay = append(j.replay, pos)
	}
	slices.Sort(j.replay)
	return nil
}

func (j *Journal) forget(pos uint64) {
	j.liveSum -= int64(j.live[pos])
	delete(j.live, pos)
}

// seal adds a checksum to a record.
func seal(kind byte, rec []byte) []byte {
	sealed := make([]byte, 5, 5+len(rec))
	sealed[4] = kind
	sealed = append(sealed, rec...)
	binary.LittleEndian.PutUint32(sealed, crc32.Checksum(sealed[4:], castagnoli))
	return sealed
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// unseal returns the kind and the record, and nil when the checksum is wrong.
func unseal(sealed []byte) []byte {
	if len(sealed) < 5 || binary.LittleEndian.Uint32(sealed) != crc32.Checksum(sealed[4:], castagnoli) {
		return nil
	}
	return sealed[4:]
}

func doneRecord(positions []uint64) []byte {
	sorted := slices.Sorted(slices.Values(positions))
	rec := make([]byte, 0, 2*len(sorted)+8)
	before := uint64(0)
	for _, p := range sorted {
		rec = binary.AppendUvarint(rec, p-before)
		before = p
	}
	return rec
}

func donePositions(rec []byte) (list []uint64) {
	pos := uint64(0)
	for len(rec) > 0 {
		delta, n := binary.Uvarint(rec)
		if n <= 0 {
			break
		}
		pos += delta
		list = append(list, pos)
		rec = rec[n:]
	}
	return list
}

// Append stores a record and returns its position.
func (j *Journal) Append(record []byte) (uint64, error) {
	return j.append(entry{sealed: seal(kindEvent, record)})
}

// Done marks records as no longer needed, and compacts the files when most of them are. After an error the marks are written with
// what comes next; if the process ends before, the next one sends these events once more, which Polar does not count.
func (j *Journal) Done(positions []uint64) error {
	if len(positions) == 0 {
		return nil
	}
	_, err := j.append(entry{done: positions})
	return err
}

// append writes an entry, together with those of others that wait meanwhile. Nobody writes a second group for others, or one caller
// would be kept for as long as others come.
func (j *Journal) append(e entry) (uint64, error) {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return 0, ErrClosed
	}
	if j.group == nil {
		j.group = &group{done: make(chan struct{})}
	}
	g, n := j.group, len(j.group.entries)
	g.entries = append(g.entries, e)
	if n > 0 { // the first of the group writes it
		j.mu.Unlock()
		<-g.done
		return g.first + uint64(n), g.err
	}
	for j.writing {
		j.idle.Wait()
	}
	j.group = nil
	j.writing = true
	j.write(g)
	j.writing = false
	j.idle.Broadcast()
	j.mu.Unlock()
	return g.first + uint64(n), g.err
}

// write stores a group. The lock is held, and given up while the disk works; only one writes at a time.
func (j *Journal) write(g *group) {
	defer close(g.done)
	if len(j.owed) > 0 {
		g.entries = append(g.entries, entry{done: j.owed})
		j.owed = nil
	}
	events := 0
	for n := range g.entries {
		e := &g.entries[n]
		if e.sealed != nil {
			events++
			continue
		}
		e.done = j.whereabouts(e.done)
		e.sealed = seal(kindDone, doneRecord(e.done))
		for _, pos := range e.done {
			j.forget(pos)
		}
	}
	if g.err = j.store(g); g.err != nil {
		for _, e := range g.entries {
			j.owed = append(j.owed, e.done...)
		}
		if j.failed != nil || len(j.live) > 0 || j.first > j.last {
			return
		}
		// Nothing of what fills the disk is needed any more, so there is no record to write: the files can go.
		if err := j.compact(); err == nil && events == 0 {
			g.err = nil
		}
		return
	}
	if events < len(g.entries) && j.bytes >= j.compactAt && j.liveSum <= j.bytes/4 {
		if err := j.compact(); err != nil {
			j.damage(err) // the group is stored all the same
		}
	}
}

// store writes the records of a group.
func (j *Journal) store(g *group) error {
	if err := j.restore(); err != nil {
		return err
	}
	g.first = j.last + 1
	var batch wal.Batch
	size := int64(0)
	for n, e := range g.entries {
		batch.Write(g.first+uint64(n), e.sealed)
		size += int64(len(e.sealed))
	}
	j.mu.Unlock()
	err := j.log.WriteBatch(&batch)
	if err == nil && j.sync {
		err = j.flush()
	}
	j.mu.Lock()
	if err != nil {
		return j.fail(err)
	}
	j.last += uint64(len(g.entries))
	j.bytes += size
	for n, e := range g.entries {
		if e.done == nil {
			j.live[g.first+uint64(n)] = int32(len(e.sealed))
			j.liveSum += int64(len(e.sealed))
		}
	}
	return nil
}

// whereabouts returns where records are that compactions may have moved.
func (j *Journal) whereabouts(positions []uint64) []uint64 {
	list := slices.Clone(positions)
	for n, pos := range list {
		if to, ok := j.moved[pos]; ok {
			list[n] = to
			delete(j.moved, pos)
		}
	}
	return list
}

// flush waits for the disk, for the names of new files as well.
func (j *Journal) flush() error {
	if err := j.step("sync"); err != nil {
		return err
	}
	if err := j.log.Sync(); err != nil {
		return err
	}
	return j.flushDir()
}

func (j *Journal) flushDir() error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be flushed there
	}
	dir, err := os.Open(j.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// fail takes note of a failed write, of which any part may be in the files, and tries at once to undo it: the process may
// end before the next record.
func (j *Journal) fail(err error) error {
	j.failed = fmt.Errorf("journal: %w", err)
	err = j.failed
	_ = j.restore() // or else before the next record
	return err
}

// restore undoes what a failed write, such as to a full disk, has left in the files. Its events were not promised to anybody.
func (j *Journal) restore() error {
	if j.failed == nil {
		return nil
	}
	_ = j.log.Close() // may fail again; all that matters is in the files
	err := j.step("cut")
	if err == nil {
		err = cut(j.dir, j.last)
	}
	if err == nil {
		err = j.flushDir()
	}
	if err == nil {
		err = j.openLog()
	}
	if err != nil {
		return fmt.Errorf("journal: undoing a write that has failed: %w", errors.Join(err, j.failed))
	}
	j.failed = nil
	return nil
}

// compact removes what is done from the front of the files. What is still needed among much that is done is written anew at
// the end first, so that one event that Polar does not take cannot make the files grow for ever.
func (j *Journal) compact() error {
	if err := j.step("begin"); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	next := j.last + 1
	var batch wal.Batch
	old := slices.Sorted(maps.Keys(j.live))
	back := map[uint64]uint64{} // from where a record is to where its owner thinks it is
	for from, to := range j.moved {
		back[to] = from
	}
	size := int64(0)
	for n, pos := range old {
		rec, err := j.log.Read(pos)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		batch.Write(next+uint64(n), rec)
		size += int64(len(rec))
	}
	if err := j.log.WriteBatch(&batch); err != nil {
		return j.fail(err)
	}
	if err := j.flush(); err != nil {
		return j.fail(err)
	}
	for n, pos := range old {
		owner := pos
		if from, ok := back[pos]; ok {
			owner = from
		}
		to := next + uint64(n)
		j.moved[owner] = to
		j.live[to] = j.live[pos]
		delete(j.live, pos)
	}
	j.last += uint64(len(old))
	j.bytes += size
	err := j.step("copied")
	if err == nil {
		err = j.log.TruncateFront(next)
	}
	if err != nil {
		return j.fail(err)
	}
	j.first, j.bytes, j.owed = next, size, nil // what was owed is gone with the rest
	if err := j.step("end"); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Replay calls f for the records that an earlier process left, in order. It is meant to be called once, before anything is
// appended.
func (j *Journal) Replay(f func(position uint64, record []byte) error) error {
	for _, pos := range j.replay {
		sealed, err := j.log.Read(pos)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		rec := unseal(sealed)
		if rec == nil {
			continue
		}
		if err := f(pos, rec[1:]); err != nil {
			return err
		}
	}
	j.replay = nil
	return nil
}

// Close writes everything to the disk and lets others use the folder.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	for j.writing || j.group != nil {
		j.idle.Wait()
	}
	if len(j.owed) > 0 {
		j.write(&group{done: make(chan struct{})}) // the last chance; without it Polar gets these events once more
	}
	err := j.restore()
	if err == nil && len(j.live) == 0 && j.first <= j.last {
		err = j.log.TruncateFront(j.last + 1) // nothing to read the next time
	}
	if closed := j.log.Close(); j.failed == nil {
		err = errors.Join(err, closed)
	}
	return errors.Join(err, j.lock.Unlock())
}
