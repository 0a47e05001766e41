package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func open(t testing.TB, dir string, opts ...Option) *Journal {
	t.Helper()
	j, err := Open(dir, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func appendAll(t testing.TB, j *Journal, records ...string) (list []uint64) {
	t.Helper()
	for _, r := range records {
		pos, err := j.Append([]byte(r))
		require.NoError(t, err)
		list = append(list, pos)
	}
	return list
}

func replayed(t testing.TB, j *Journal) (list []string) {
	t.Helper()
	require.NoError(t, j.Replay(func(_ uint64, rec []byte) error {
		list = append(list, string(rec))
		return nil
	}))
	return list
}

func TestReplay(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	assert.Empty(t, replayed(t, j))
	p := appendAll(t, j, "a", "b", "c", "d")
	require.NoError(t, j.Done([]uint64{p[2], p[0]}))
	require.NoError(t, j.Close())
	require.NoError(t, j.Close())
	_, err := j.Append(nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, j.Done(p), ErrClosed)

	j = open(t, dir)
	assert.Equal(t, []string{"b", "d"}, replayed(t, j))
	require.NoError(t, j.Done(p[1:2]))
	require.NoError(t, j.Done(p[3:]))
	require.NoError(t, j.Close())
	j = open(t, dir)
	assert.Empty(t, replayed(t, j))
	assert.Equal(t, j.first, j.last+1, "empty files")
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	_, err := Open(dir)
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, j.Close())
	open(t, dir)
}

func TestConcurrentUse(t *testing.T) {
	for _, opts := range [][]Option{nil, {WithSync()}} {
		dir := t.TempDir()
		j := open(t, dir, opts...)
		j.compactAt = 2000
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for k := range 100 {
					pos, err := j.Append([]byte(fmt.Sprint(w, " ", k)))
					if err == nil && k != 50 {
						err = j.Done([]uint64{pos})
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, j.Close())
		j = open(t, dir)
		got := replayed(t, j)
		slices.Sort(got)
		var want []string
		for w := range 8 {
			want = append(want, fmt.Sprint(w, " ", 50))
		}
		assert.Equal(t, want, got)
	}
}

// One event that stays does not keep the files from shrinking, and can be done after it was moved, again and again.
func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	j.compactAt = 4000
	compactions := 0
	j.step = func(name string) error {
		if name == "end" {
			compactions++
		}
		return nil
	}
	stays := appendAll(t, j, "stays", "too")
	for range 500 {
		require.NoError(t, j.Done(appendAll(t, j, "a record of some length")))
		assert.Less(t, j.bytes, int64(4200))
	}
	assert.Greater(t, compactions, 3)
	require.NoError(t, j.Done(stays[:1]))
	require.NoError(t, j.Close())
	j = open(t, dir)
	assert.Equal(t, []string{"too"}, replayed(t, j))
}

func lastFile(t *testing.T, dir string) string {
	files, err := filepath.Glob(filepath.Join(dir, "0*"))
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(f string) bool { return len(filepath.Base(f)) != 20 })
	require.NotEmpty(t, files)
	return files[len(files)-1]
}

// Whatever is at the end of the files, all whole records before it are read, the damage is reported, and work goes on.
func TestDamagedTail(t *testing.T) {
	record := append([]byte{byte(len(seal(kindEvent, []byte("lost"))))}, seal(kindEvent, []byte("lost"))...)
	flipped := slices.Clone(record)
	flipped[len(flipped)-1] ^= 1
	tails := map[string][]byte{
		"zeros":        make([]byte, 4096),
		"noise":        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3},
		"flipped bit":  flipped,
		"huge length":  binary.AppendUvarint(nil, 1<<40),
		"length alone": record[:1],
	}
	for n := 1; n < len(record); n++ {
		tails[fmt.Sprint("first ", n, " bytes")] = record[:n]
	}
	for name, tail := range tails {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := open(t, dir)
			p := appendAll(t, j, "a", "b", "c")
			require.NoError(t, j.Done(p[1:2]))
			require.NoError(t, j.Close())
			f, err := os.OpenFile(lastFile(t, dir), os.O_APPEND|os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.Write(tail)
			require.NoError(t, err)
			require.NoError(t, f.Close())

			var damage []error
			j = open(t, dir, OnDamage(func(err error) { damage = append(damage, err) }))
			assert.Equal(t, []string{"a", "c"}, replayed(t, j))
			assert.Len(t, damage, 1)
			kept, err := filepath.Glob(filepath.Join(dir, "*.damaged"))
			require.NoError(t, err)
			assert.Len(t, kept, 1)
			appendAll(t, j, "d")
			require.NoError(t, j.Close())
			j = open(t, dir, OnDamage(func(err error) { t.Error(err) }))
			assert.Equal(t, []string{"a", "c", "d"}, replayed(t, j))
		})
	}
}

// Whatever comes after the records that were promised, they are read, and work goes on.
func FuzzTail(f *testing.F) {
	f.Add([]byte{5, 1, 2, 3}, uint8(0))
	f.Add(append([]byte{6}, seal(kindDone, []byte{1, 1})...), uint8(1))
	f.Add(append([]byte{5}, seal('?', nil)...), uint8(3))
	f.Fuzz(func(t *testing.T, tail []byte, cut uint8) {
		dir := t.TempDir()
		j := open(t, dir)
		appendAll(t, j, "a", "b")
		require.NoError(t, j.Close())
		name := lastFile(t, dir)
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, append(data, tail...), 0o600))
		j, err = Open(dir)
		require.NoError(t, err)
		got := replayed(t, j)
		_, forged := whole(tail, true) // records that fit their checksums may say that others are done
		if forged == 0 {
			require.Equal(t, []string{"a", "b"}, got)
		}
		appendAll(t, j, "c")
		require.NoError(t, j.Close())
		// And of what is cut, no more is lost than was cut.
		data, err = os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, data[:max(0, len(data)-int(cut))], 0o600))
		j, err = Open(dir)
		require.NoError(t, err)
		appendAll(t, j, "d")
		got = replayed(t, j)
		if forged == 0 && cut == 0 {
			require.Equal(t, []string{"a", "b", "c"}, got)
		}
		require.NoError(t, j.Close())
	})
}

// Damage in the middle costs what it hits, and no other record.
func TestDamageInTheMiddle(t *testing.T) {
	for _, whole := range []bool{true, false} {
		dir := t.TempDir()
		j := open(t, dir)
		large := make([]byte, 1<<20)
		for range 12 {
			_, err := j.Append(large)
			require.NoError(t, err)
		}
		last := appendAll(t, j, "last")
		require.NoError(t, j.Close())
		files, err := filepath.Glob(filepath.Join(dir, "0*"))
		require.NoError(t, err)
		require.Greater(t, len(files), 2)
		data, err := os.ReadFile(files[1])
		require.NoError(t, err)
		if whole {
			data[100] ^= 1
		} else {
			data = data[:len(data)/2]
		}
		require.NoError(t, os.WriteFile(files[1], data, 0o600))
		var damage []error
		j = open(t, dir, OnDamage(func(err error) { damage = append(damage, err) }))
		assert.Len(t, damage, 1)
		got := replayed(t, j)
		assert.GreaterOrEqual(t, len(got), 10)
		assert.Less(t, len(got), 13)
		assert.Equal(t, "last", got[len(got)-1])
		require.NoError(t, j.Done(last))
		require.NoError(t, j.Close())
	}
}

// dies returns the journal that the next process would open if this one ended now.
func dies(t *testing.T, dir string) *Journal {
	t.Helper()
	next := t.TempDir()
	require.NoError(t, os.CopyFS(next, os.DirFS(dir)))
	return open(t, next, OnDamage(func(err error) { t.Error(err) }))
}

// writeGroup writes entries in one group, as callers that come at the same time do.
func writeGroup(j *Journal, entries ...entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	g := &group{entries: entries, done: make(chan struct{})}
	j.write(g)
	return g.err
}

var errDisk = errors.New("input/output error")

// A record that was written whole and then not confirmed by the disk is none of the next process's.
func TestDiskDoesNotConfirm(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, WithSync())
	p := appendAll(t, j, "a", "b")
	broken := map[string]bool{"sync": true}
	j.step = func(name string) error {
		if broken[name] {
			return errDisk
		}
		return nil
	}
	_, err := j.Append([]byte("failed"))
	require.ErrorIs(t, err, errDisk)
	assert.Equal(t, []string{"a", "b"}, replayed(t, dies(t, dir)))

	// The disk does not even let it be undone: nothing more is taken until it does.
	broken["cut"] = true
	for range 2 {
		_, err = j.Append([]byte("failed"))
		require.ErrorIs(t, err, errDisk)
	}
	clear(broken)
	p = append(p, appendAll(t, j, "c")...)
	assert.Equal(t, []string{"a", "b", "c"}, replayed(t, dies(t, dir)))

	// What is done and cannot be written is not done for the next process, which does no harm, and is written with what comes next.
	broken["sync"] = true
	require.ErrorIs(t, j.Done(p[1:2]), errDisk)
	assert.Equal(t, []string{"a", "b", "c"}, replayed(t, dies(t, dir)))
	clear(broken)
	appendAll(t, j, "d")
	assert.Equal(t, []string{"a", "c", "d"}, replayed(t, dies(t, dir)))
	broken["sync"] = true
	require.ErrorIs(t, j.Done(p[:1]), errDisk)
	clear(broken)
	require.NoError(t, j.Close())
	assert.Equal(t, []string{"c", "d"}, replayed(t, open(t, dir)), "or at the end")
}

// A caller gets its answer when its own record is stored, also when others never stop coming: it does not have to write theirs.
func TestNobodyWritesForOthers(t *testing.T) {
	j := open(t, t.TempDir(), WithSync())
	first, rest := make(chan struct{}), sync.WaitGroup{}
	groups := 0
	j.step = func(string) error {
		if groups++; groups == 1 {
			rest.Go(func() { appendAll(t, j, "second") })
			require.Eventually(t, func() bool {
				j.mu.Lock()
				defer j.mu.Unlock()
				return j.group != nil
			}, 5*time.Second, time.Millisecond)
			return nil
		}
		select {
		case <-first:
		case <-time.After(5 * time.Second):
			t.Error("the first caller is kept by the second's record")
		}
		return nil
	}
	appendAll(t, j, "first")
	close(first)
	rest.Wait()
	require.NoError(t, j.Close())
	assert.Equal(t, 2, groups)
}

// A compaction that breaks off at any step leaves each event once, and those that are done are done.
func TestCompactionFails(t *testing.T) {
	for _, at := range []string{"begin", "sync", "copied", "cut", "end"} {
		t.Run(at, func(t *testing.T) {
			dir := t.TempDir()
			var damage []error
			j := open(t, dir, OnDamage(func(err error) { damage = append(damage, err) }))
			j.compactAt = 500
			p := appendAll(t, j, "stays", "goes")
			failures := 0
			j.step = func(name string) error {
				if name == at || at == "cut" && name == "copied" {
					failures++
					return errDisk
				}
				return nil
			}
			for failures == 0 {
				_ = j.Done(appendAll(t, j, "a record of some length"))
			}
			require.NotEmpty(t, damage)
			assert.Contains(t, replayed(t, dies(t, dir)), "stays")
			j.step = func(string) error { return nil }
			require.NoError(t, j.Done(p[1:]))
			for range 100 {
				require.NoError(t, j.Done(appendAll(t, j, "a record of some length")))
			}
			assert.Less(t, j.bytes, int64(700))
			assert.Equal(t, []string{"stays"}, replayed(t, dies(t, dir)))
			require.NoError(t, j.Close())
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	record := make([]byte, 250)
	for name, opts := range map[string][]Option{"kill": nil, "power": {WithSync()}} {
		b.Run(name, func(b *testing.B) {
			j := open(b, b.TempDir(), opts...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.Append(record); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+", 64 goroutines", func(b *testing.B) {
			j := open(b, b.TempDir(), opts...)
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := j.Append(record); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
