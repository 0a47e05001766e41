package polartest

import (
	"container/heap"
	"time"
)

// clock is the server's time and what is to happen at later times.
type clock struct {
	fixed  time.Time     // the time, when it only moves through Advance
	offset time.Duration // what Advance added to the time of the machine
	floor  time.Time     // the clock never goes back
	due    schedule
	seq    int
}

// now is the server's time, to the microsecond as Polar's.
func (c *clock) now() time.Time {
	t := c.fixed
	if t.IsZero() {
		t = time.Now().Add(c.offset)
	}
	t = t.UTC().Truncate(time.Microsecond)
	if t.Before(c.floor) {
		return c.floor
	}
	return t
}

// advance moves the clock.
func (c *clock) advance(d time.Duration) {
	if !c.fixed.IsZero() {
		c.fixed = c.fixed.Add(d)
		return
	}
	c.offset += d
}

// job is something that falls due at a time.
type job struct {
	at    time.Time
	seq   int
	run   func()
	index int // in the heap, -1 when it is done or stopped
}

// at plans run for a time. Jobs of the same time run in the order in which they were planned.
func (c *clock) at(t time.Time, run func()) *job {
	c.seq++
	j := &job{at: t, seq: c.seq, run: run}
	heap.Push(&c.due, j)
	return j
}

// stop takes a job off the plan; a nil job and one that is done are fine.
func (c *clock) stop(j *job) {
	if j != nil && j.index >= 0 {
		heap.Remove(&c.due, j.index)
	}
}

// runDue runs what is due until t, setting the time to that of each job meanwhile.
func (s *Server) runDue(t time.Time) {
	c := &s.clock
	for len(c.due) > 0 && !c.due[0].at.After(t) {
		j := heap.Pop(&c.due).(*job)
		s.at = j.at
		if s.at.Before(c.floor) {
			s.at = c.floor
		}
		c.floor = s.at
		j.run()
	}
	s.at = t
	c.floor = t
}

type schedule []*job

func (s schedule) Len() int { return len(s) }

func (s schedule) Less(i, j int) bool {
	if !s[i].at.Equal(s[j].at) {
		return s[i].at.Before(s[j].at)
	}
	return s[i].seq < s[j].seq
}

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push is for container/heap.
func (s *schedule) Push(x any) {
	j := x.(*job)
	j.index = len(*s)
	*s = append(*s, j)
}

// Pop is for container/heap.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	j := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	j.index = -1
	return j
}
