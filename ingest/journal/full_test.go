//go:build linux || darwin

package journal

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// limitFiles keeps files from growing beyond a size, which writes fail of in the middle, as those to a full disk do.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	limit := before
	limit.Cur = size
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	lift = func() {
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
		signal.Reset(syscall.SIGXFSZ)
	}
	return lift
}

// pad makes the journal's file larger than those that package testing writes, for which the limit counts as well.
func pad(t *testing.T, j *Journal) uint64 {
	t.Helper()
	p, err := j.Append(make([]byte, 2<<20))
	require.NoError(t, err)
	return p
}

func size(t *testing.T, dir string) uint64 {
	t.Helper()
	info, err := os.Stat(lastFile(t, dir))
	require.NoError(t, err)
	return uint64(info.Size())
}

// Wherever the disk is full in a group of records, the next process finds what was promised and nothing else, and so does this one
// when there is room again.
func TestFullDisk(t *testing.T) {
	group := func() []entry {
		return []entry{{sealed: seal(kindEvent, []byte("first"))}, {sealed: seal(kindEvent, []byte("second"))}, {sealed: seal(kindEvent, []byte("third"))}}
	}
	total := 0
	for _, e := range group() {
		total += 1 + len(e.sealed)
	}
	for room := range total {
		t.Run(fmt.Sprint(room, " bytes left"), func(t *testing.T) {
			dir := t.TempDir()
			j := open(t, dir)
			pad(t, j)
			p := appendAll(t, j, "a", "b")
			lift := limitFiles(t, size(t, dir)+uint64(room))
			err := writeGroup(j, group()...)
			lift()
			require.ErrorIs(t, err, syscall.EFBIG)
			assert.Equal(t, []string{"a", "b"}, replayed(t, dies(t, dir))[1:])

			p = append(p, appendAll(t, j, "c")...)
			require.NoError(t, j.Done(p[:1]))
			require.NoError(t, writeGroup(j, group()...))
			assert.Equal(t, []string{"b", "c", "first", "second", "third"}, replayed(t, dies(t, dir))[1:])
			require.NoError(t, j.Close())
		})
	}
}

// The same over the end of a file of the log, where the library begins another one.
func TestFullDiskBetweenFiles(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	large := make([]byte, segmentSize-100)
	_, err := j.Append(large)
	require.NoError(t, err)
	lift := limitFiles(t, segmentSize+1000)
	err = writeGroup(j, entry{sealed: seal(kindEvent, make([]byte, 500))}, entry{sealed: seal(kindEvent, []byte("next file"))}, entry{sealed: seal(kindEvent, make([]byte, segmentSize+2000))})
	lift()
	require.ErrorIs(t, err, syscall.EFBIG)
	assert.Len(t, replayed(t, dies(t, dir)), 1)
	appendAll(t, j, "later")
	got := replayed(t, dies(t, dir))
	require.Len(t, got, 2)
	assert.Equal(t, "later", got[1])
	require.NoError(t, j.Close())
}

// A journal that has filled the disk itself gets going again when Polar has what is in it, although there is no room to say so.
func TestFullDiskFreesItself(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	p := append(appendAll(t, j, "a", "b", "c"), pad(t, j))
	lift := limitFiles(t, size(t, dir))
	defer lift()
	_, err := j.Append([]byte("d"))
	require.ErrorIs(t, err, syscall.EFBIG)
	require.ErrorIs(t, j.Done(p[:2]), syscall.EFBIG)
	_, err = j.Append([]byte("d"))
	require.ErrorIs(t, err, syscall.EFBIG)
	require.NoError(t, j.Done(p[2:]), "the files are gone")
	appendAll(t, j, "d")
	assert.Equal(t, []string{"d"}, replayed(t, dies(t, dir)))
	require.NoError(t, j.Close())
}
