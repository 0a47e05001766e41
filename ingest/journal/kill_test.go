package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/ingest"
	"github.com/polar-go/polar/models"
)

// childVariable holds the task of a child process: phase, folder, address of the server, first sequence number.
const childVariable = "POLAR_JOURNAL_TEST_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childVariable); task != "" {
		child(strings.Split(task, "|"))
		return
	}
	os.Exit(m.Run())
}

// The phases in which a child is killed.
const (
	beforeSending  = "before the first send"
	inFlight       = "request in flight"
	beforeDone     = "before the journal's acknowledgement"
	duringCompress = "during compaction"
)

// child tracks events until it is killed, and prints the number of each whose Track has returned, and where it has got to.
func child(task []string) {
	phase, dir, url, from := task[0], task[1], task[2], task[3]
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) } // goes to the pipe at once
	j, err := Open(dir)
	if err != nil {
		say("! %v", err)
		return
	}
	options := []ingest.Option{ingest.WithInterval(time.Millisecond), ingest.WithBatchSize(20), ingest.WithFull(ingest.FullBlock)}
	switch phase {
	case beforeSending:
		options = []ingest.Option{ingest.WithInterval(time.Hour)}
	case duringCompress:
		j.compactAt = 30_000
		steps := []string{"begin", "copied", "end"}
		n, _ := strconv.Atoi(from)
		j.step = func(step string) error {
			if step == steps[n%3] {
				say("@")
				select {}
			}
			return nil
		}
	}
	options = append(options, ingest.WithJournal(&watched{Journal: j, phase: phase, say: say}))
	client, err := polar.New(polar.Token("polar_oat_test"), polar.WithBaseURL(url))
	if err != nil {
		say("! %v", err)
		return
	}
	ing, err := ingest.New(client, options...)
	if err != nil {
		say("! %v", err)
		return
	}
	seq, _ := strconv.Atoi(from)
	for n := range 2000 {
		if err := ing.Track(event(seq + n)); err != nil {
			say("! %v", err)
			return
		}
		say("%d", seq+n)
		if phase == beforeSending && n == 50 {
			say("@")
		}
	}
	select {}
}

type watched struct {
	*Journal
	phase string
	say   func(string, ...any)
}

func (w *watched) Done(positions []uint64) error {
	if w.phase == beforeDone {
		w.say("@")
		select {}
	}
	return w.Journal.Done(positions)
}

func event(seq int) models.EventCreate {
	return models.EventCreate{Name: "x", ExternalCustomerID: new("c"), Metadata: models.Metadata{"seq": seq, "padding": strings.Repeat("x", 100)}}
}

// store is Polar's side: it counts events by sequence number and drops those whose external id it has seen.
type store struct {
	mu      sync.Mutex
	ids     map[string]bool
	counted map[int]int
	reached func(stored bool) // in a request, before and after the events are stored
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Events []struct {
			ExternalID string `json:"external_id"`
			Metadata   struct{ Seq int }
		}
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	reached := s.reached
	s.mu.Unlock()
	if reached != nil {
		reached(false)
	}
	inserted := 0
	s.mu.Lock()
	for _, e := range in.Events {
		if !s.ids[e.ExternalID] {
			s.ids[e.ExternalID] = true
			s.counted[e.Metadata.Seq]++
			inserted++
		}
	}
	s.mu.Unlock()
	if reached != nil {
		reached(true)
	}
	_, _ = fmt.Fprintf(w, `{"inserted":%d,"duplicates":%d}`, inserted, len(in.Events)-inserted)
}

func (s *store) hook(f func(stored bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reached = f
}

// A process that is killed at any moment loses no event whose Track has returned, and none is counted twice.
func TestKill(t *testing.T) {
	const each = 13
	s := &store{ids: map[string]bool{}, counted: map[int]int{}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	histogram := map[string]int{}
	from, promised := 0, map[int]bool{}
	for round := range each {
		dir := t.TempDir()
		for _, phase := range []string{beforeSending, inFlight, beforeDone, duringCompress} {
			accepted, hit := killed(t, s, srv.URL, dir, phase, from+round%3, round)
			if hit {
				histogram[phase]++
			}
			for _, seq := range accepted {
				promised[seq] = true
			}
			from += 3000
		}
		// The next process sends what the killed ones left; those in between have done so, too, as far as they came.
		s.hook(nil)
		j, err := Open(dir, OnDamage(func(err error) { t.Log(err) }))
		require.NoError(t, err)
		client, err := polar.New(polar.Token("polar_oat_test"), polar.WithBaseURL(srv.URL))
		require.NoError(t, err)
		ing, err := ingest.New(client, ingest.WithJournal(j))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		require.NoError(t, ing.Close(ctx))
		cancel()
		j, err = Open(dir)
		require.NoError(t, err)
		assert.Empty(t, replayed(t, j))
		require.NoError(t, j.Close())
	}
	kills := 0
	for phase, n := range histogram {
		t.Logf("%-40s %s %d", phase, strings.Repeat("#", n), n)
		assert.GreaterOrEqual(t, n, 5)
		kills += n
	}
	assert.Len(t, histogram, 4)
	assert.GreaterOrEqual(t, kills, 50)
	missing, twice := 0, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq := range promised {
		if s.counted[seq] == 0 {
			missing++
		}
	}
	for _, n := range s.counted {
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d kills, %d events accepted, %d counted", kills, len(promised), len(s.counted))
	assert.NotEmpty(t, promised)
	assert.Zero(t, missing, "of those whose Track had returned")
	assert.Zero(t, twice)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// killed runs a child and kills it in a phase. It returns the events whose Track had returned, and whether the phase was hit.
func killed(t *testing.T, s *store, url, dir, phase string, from, round int) (accepted []int, hit bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{phase, dir, url, strconv.Itoa(from)}, "|"))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var once sync.Once
	var wasHit atomic.Bool
	kill := func() { once.Do(func() { wasHit.Store(true); _ = cmd.Process.Kill() }) }
	s.hook(nil)
	dead := make(chan struct{})
	requests := 0
	if phase == inFlight {
		var mu sync.Mutex
		s.hook(func(stored bool) {
			mu.Lock()
			defer mu.Unlock()
			if stored == (round%2 == 0) {
				if requests++; requests > round%5 {
					kill()
					<-dead // it gets no answer
				}
			}
		})
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "@":
			kill()
		case strings.HasPrefix(line, "!"):
			t.Error(line)
		default:
			seq, err := strconv.Atoi(line)
			require.NoError(t, err)
			accepted = append(accepted, seq)
		}
	}
	close(dead)
	err = cmd.Wait()
	require.ErrorContains(t, err, "killed")
	return accepted, wasHit.Load()
}

// The worst of all: the disk takes an event, does not confirm it, and does not let it be undone before the process ends. The caller
// knows that Track failed and tracks it again with the id that the error tells, so it is counted once, whichever copy arrives.
func TestTrackAgainAfterAFailure(t *testing.T) {
	s := &store{ids: map[string]bool{}, counted: map[int]int{}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	client, err := polar.New(polar.Token("polar_oat_test"), polar.WithBaseURL(srv.URL))
	require.NoError(t, err)
	dir := t.TempDir()
	j := open(t, dir, WithSync())
	ing, err := ingest.New(client, ingest.WithJournal(j), ingest.WithInterval(time.Hour))
	require.NoError(t, err)
	require.NoError(t, ing.Track(event(1)))
	j.step = func(string) error { return errDisk }
	failed, ok := errors.AsType[*ingest.StoreError](ing.Track(event(2)))
	require.True(t, ok)
	require.ErrorIs(t, failed, errDisk)
	left := dies(t, dir)
	j.step = func(string) error { return nil }
	require.NoError(t, ing.Close(t.Context()))

	next, err := ingest.New(client, ingest.WithJournal(left))
	require.NoError(t, err)
	assert.Equal(t, 2, next.Stats().Queued, "the event is in the files although it was refused")
	require.NoError(t, next.Track(failed.Event))
	require.NoError(t, next.Close(t.Context()))
	assert.Equal(t, map[int]int{1: 1, 2: 1}, s.counted)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
