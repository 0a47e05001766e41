package polartest

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is something that goes wrong with a request, for [Server.Break].
type Fault struct {
	before  func(w http.ResponseWriter, r *http.Request) bool // false: nothing else happens
	instead func(w *heldAnswer)                               // answers in place of the operation
	after   func(w http.ResponseWriter, r *http.Request, answer *heldAnswer)
}

// Reset closes the connection before the request is handled: nothing happened at the server.
func Reset() Fault {
	return Fault{before: func(w http.ResponseWriter, _ *http.Request) bool {
		cut(w)
		return false
	}}
}

// LoseAnswer handles the request and closes the connection instead of answering: what was
// asked for is done, and the caller cannot know.
func LoseAnswer() Fault {
	return Fault{after: func(w http.ResponseWriter, _ *http.Request, _ *heldAnswer) { cut(w) }}
}

// Delay lets d of real time pass before the request is handled.
func Delay(d time.Duration) Fault {
	return Fault{before: func(_ http.ResponseWriter, r *http.Request) bool {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return true
		case <-r.Context().Done():
			return false
		}
	}}
}

// Truncate handles the request, sends the answer's headers and half of its body, and closes the connection.
func Truncate() Fault {
	return Fault{after: func(w http.ResponseWriter, _ *http.Request, answer *heldAnswer) {
		data := answer.body.Bytes()
		for k, v := range answer.header {
			w.Header()[k] = v
		}
		w.Header().Set("Content-Length", strconv.Itoa(max(1, len(data))))
		w.WriteHeader(answer.status)
		_, _ = w.Write(data[:len(data)/2])
		_ = http.NewResponseController(w).Flush()
		cut(w)
	}}
}

// TooManyRequests answers as the real rate limiter does, with an empty body. retryAfter
// goes into Retry-After in whole seconds; zero leaves the header out.
func TooManyRequests(retryAfter time.Duration) Fault {
	return Fault{instead: func(w *heldAnswer) {
		if retryAfter > 0 {
			w.header.Set("Retry-After", strconv.Itoa(int((retryAfter+time.Second-1)/time.Second)))
		}
		w.status = http.StatusTooManyRequests
	}}
}

// BadGateway answers with a status and a page of HTML, as a proxy before the real server may.
func BadGateway(status int) Fault {
	return Fault{instead: func(w *heldAnswer) {
		w.status = status
		w.header.Set("Content-Type", "text/html; charset=utf-8")
		w.body.WriteString("<!DOCTYPE html><title>" + strconv.Itoa(status) + "</title><h1>" + http.StatusText(status) + "</h1>")
	}}
}

// cut resets the connection of a request.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, not an orderly end
	}
	_ = conn.Close()
}

type faults struct {
	mu   sync.Mutex
	list []*plannedFault
}

type plannedFault struct {
	operation string
	left      int // negative: for ever
	fault     Fault
}

// Break lets the next count requests of an operation ("orders:get", the id in the API
// description) run into a fault; an empty operation means any request, a negative count all
// of them until [Server.Heal]. Faults of the same operation take their turns in the order in
// which they were planned.
// An operation that does not exist fails the test of [NewServer]; a server of [Start] ignores it.
func (s *Server) Break(operation string, count int, f Fault) {
	if s.test != nil {
		s.test.Helper()
		if operation != "" && operation != storageUpload.id && operation != storageDownload.id && s.table.ops[operation] == nil {
			s.test.Fatalf("polartest: Break: there is no operation %q", operation)
		}
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, &plannedFault{operation, count, f})
}

// Heal forgets every planned fault.
func (s *Server) Heal() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

// takeFault is what is to go wrong with a request.
func (s *Server) takeFault(op *operation) Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, p := range s.faults.list {
		if p.left == 0 || p.operation != "" && (op == nil || op.id != p.operation) {
			continue
		}
		if p.left > 0 {
			p.left--
		}
		return p.fault
	}
	return Fault{}
}
