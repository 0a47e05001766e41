package ingest

import (
	"net/http"
	"time"
)

// skew is how far the local clock is ahead of Polar's. Polar refuses timestamps of its future without any tolerance, so
// what matters is an upper bound: a timestamp moved back by it is never in Polar's future.
//
// An answer that came at the local time t1 and bears the date D, cut to the second, was made between D and D+1s of Polar's
// clock and before t1 of the local one, so that t1-D is such a bound, and t0-D-1s is a lower one, where t0 is when the request
// was started. The least upper bound of all answers is the best as long as neither clock is set; an answer that contradicts it
// begins anew.
type skew struct {
	known bool
	ahead bool          // it was proven that the local clock is ahead
	upper time.Duration // the local clock is at most this far ahead
}

// see takes note of the Date of an answer. It returns Polar's time, and false when there is none.
func (s *skew) see(h http.Header, t0, t1 time.Time) (time.Time, bool) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}, false
	}
	upper, lower := t1.Sub(date), t0.Sub(date)-time.Second
	if !s.known || upper < s.upper || lower > s.upper {
		s.upper = upper
	}
	s.known = true
	s.ahead = s.ahead && s.upper > 0 || lower > 0
	return date, true
}

// refused takes note that Polar found a timestamp in its future, in an answer of the given Date.
func (s *skew) refused(h http.Header, t0, t1 time.Time) {
	if date, ok := s.see(h, t0, t1); ok {
		if s.ahead { // the bound was too small, so a clock was set
			s.upper = max(s.upper, t1.Sub(date))
		}
		s.ahead = true
	}
}

// wire returns the timestamp to send, given when the event happened by the local clock and what the local clock shows now.
// Times of the caller's own are only moved when Polar would refuse them.
func (s *skew) wire(at, now int64, stamped bool) int64 {
	if !s.known || !s.ahead || s.upper <= 0 {
		return at
	}
	upper := s.upper.Microseconds()
	if stamped {
		return min(at, now) - upper
	}
	return min(at, now-upper)
}
