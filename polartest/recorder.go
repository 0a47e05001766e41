package polartest

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// requestsKept is how many requests the server remembers.
const requestsKept = 1000

// Request is a request that the server got.
type Request struct {
	Operation string // "orders:get", the id in the API description, or a name of the storage, see [Server.Break]; empty when it was none
	Method    string
	Path      string // escaped, without the query
	Query     url.Values
	Header    http.Header
	Body      []byte    // nil when it was not read, and at the storage
	Status    int       // of the answer, 0 when there was none
	At        time.Time // by the server's clock
}

type requestLog struct {
	mu   sync.Mutex
	list []Request
}

// Requests lists the requests that the server got, the oldest first: those of the
// operations, or all of them. It remembers at least the last thousand.
func (s *Server) Requests(operations ...string) []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if len(operations) == 0 {
		return slices.Clone(s.log.list)
	}
	var out []Request
	for _, r := range s.log.list {
		if slices.Contains(operations, r.Operation) {
			out = append(out, r)
		}
	}
	return out
}

// ForgetRequests empties the list of [Server.Requests].
func (s *Server) ForgetRequests() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.list = nil
}

func (s *Server) record(r *http.Request, op *operation, body []byte, status int) {
	req := Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(), Header: r.Header.Clone(), Body: body, Status: status, At: s.Now()}
	if op != nil {
		req.Operation = op.id
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if len(s.log.list) >= 2*requestsKept {
		s.log.list = slices.Clone(s.log.list[len(s.log.list)-requestsKept+1:])
	}
	s.log.list = append(s.log.list, req)
}
