package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// faultServer is the ingestion of Polar with its checks, and with faults in front of and behind it. It is called without a
// network, so that it works inside of synctest.
type faultServer struct {
	before func(r *http.Request) (*http.Response, error) // instead of the server
	after  func(r *http.Request) error                   // instead of its answer
	clock  func() time.Time
	noDate bool
	bad    func(e map[string]any) []string // members of an event that are complained about, beyond the schema
	delay  time.Duration

	mu       sync.Mutex
	ids      map[string]bool
	counted  map[int]int // by the sequence number in the metadata
	events   []map[string]any
	requests int
	sizes    []int
	most     int // requests at the same time
	now      int
}

func newFaultServer() *faultServer {
	return &faultServer{clock: time.Now, ids: map[string]bool{}, counted: map[int]int{}}
}

func (s *faultServer) client(t testing.TB, opts ...polar.Option) *polar.Client {
	t.Helper()
	opts = append([]polar.Option{polar.WithHTTPClient(&http.Client{Transport: s}), polar.WithBaseURL("http://polar.test")}, opts...)
	client, err := polar.New(polar.Token("polar_oat_test"), opts...)
	require.NoError(t, err)
	return client
}

func (s *faultServer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.requests++
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if resp, err := before(r); resp != nil || err != nil {
			return resp, err
		}
	}
	w := httptest.NewRecorder()
	s.ingest(w, r, body)
	if s.after != nil {
		if err := s.after(r); err != nil {
			return nil, err
		}
	}
	return w.Result(), nil
}

func (s *faultServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := s.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

type complaint struct {
	Type string `json:"type"`
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
}

func (s *faultServer) ingest(w http.ResponseWriter, r *http.Request, body []byte) {
	if !s.noDate {
		w.Header().Set("Date", s.clock().UTC().Format(http.TimeFormat))
	}
	w.Header().Set("Content-Type", "application/json")
	var in struct{ Events []map[string]any }
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/events/ingest":
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"detail":"Not Found"}`)
		return
	case len(body) > 10<<20:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, `{"error":"RequestBodyTooLarge","detail":"too large"}`)
		return
	}
	if err := json.Unmarshal(body, &in); err != nil || r.ContentLength != int64(len(body)) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var wrong []complaint
	for i, e := range in.Events {
		wrong = append(wrong, s.schema(i, e)...)
	}
	if wrong == nil && s.bad != nil {
		for i, e := range in.Events {
			for _, member := range s.bad(e) {
				wrong = append(wrong, complaint{"value_error", []any{"body", "events", i, member}, "wrong"})
			}
		}
	}
	if wrong != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": "RequestValidationError", "detail": wrong})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	inserted, duplicates := 0, 0
	for _, e := range in.Events {
		if id, _ := e["external_id"].(string); id != "" {
			if s.ids[id] {
				duplicates++
				continue
			}
			s.ids[id] = true
		}
		inserted++
		s.events = append(s.events, e)
		if m, ok := e["metadata"].(map[string]any); ok {
			if n, ok := m["seq"].(float64); ok {
				s.counted[int(n)]++
			}
		}
	}
	s.sizes = append(s.sizes, len(in.Events))
	_ = json.NewEncoder(w).Encode(map[string]int{"inserted": inserted, "duplicates": duplicates})
}

// schema complains as Polar's union without a discriminator does: about both of its arms.
func (s *faultServer) schema(i int, e map[string]any) (list []complaint) {
	var wrong []complaint // in both arms, without the arm
	add := func(typ, msg string, loc ...any) { wrong = append(wrong, complaint{typ, loc, msg}) }
	if name, _ := e["name"].(string); name == "" || len([]rune(name)) > 128 {
		add("string_too_long", "String should have at most 128 characters", "name")
	}
	if text, ok := e["timestamp"].(string); ok {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || at.After(s.clock()) {
			add("value_error", "Value error, Timestamp must be in the past.", "timestamp")
		}
	}
	if m, ok := e["metadata"].(map[string]any); ok {
		for k, v := range m {
			if text, ok := v.(string); ok && (text == "" || len([]rune(text)) > 500 || text == "poison") {
				add("string_too_short", "String should have at least 1 character", "metadata", k, "constrained-str")
			}
		}
	}
	arms := []string{"EventCreateCustomer", "EventCreateExternalCustomer"}
	ids := []string{"customer_id", "external_customer_id"}
	fits := false
	for n, arm := range arms {
		found := len(list)
		for _, c := range wrong {
			list = append(list, complaint{c.Type, append([]any{"body", "events", i, arm}, c.Loc...), c.Msg})
		}
		if _, ok := e[ids[n]].(string); !ok {
			list = append(list, complaint{"missing", []any{"body", "events", i, arm, ids[n]}, "Field required"})
		}
		fits = fits || len(list) == found
	}
	if fits {
		return nil
	}
	return list
}

func answer(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		ProtoMajor: 1, ProtoMinor: 1}
}

func limited(seconds int) *http.Response {
	return answer(http.StatusTooManyRequests, http.Header{"Retry-After": {strconv.Itoa(seconds)}}, "")
}

// exactlyOnce fails unless each of n events was counted once.
func (s *faultServer) exactlyOnce(t testing.TB, n int, except ...int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	skip := map[int]bool{}
	for _, k := range except {
		skip[k] = true
	}
	var wrong []string
	for k := range n {
		if want := map[bool]int{false: 1, true: 0}[skip[k]]; s.counted[k] != want {
			wrong = append(wrong, fmt.Sprintf("%d counted %d times, want %d", k, s.counted[k], want))
		}
	}
	if len(wrong) > 10 {
		wrong = append(wrong[:10], fmt.Sprintf("and %d more", len(wrong)-10))
	}
	require.Empty(t, wrong)
	require.LessOrEqual(t, len(s.counted), n)
}

var errReset = errors.New("connection reset by peer")

// chance returns true once in n calls.
func chance(n int) bool { return rand.IntN(n) == 0 }

// numbered is an event with a sequence number of the caller's own, which shows double and lost events whatever their ids are.
func numbered(seq int) models.EventCreate {
	return models.EventCreate{Name: "api.request", ExternalCustomerID: new("user_42"), Metadata: models.Metadata{"seq": seq}}
}

// count returns how many requests came.
func (s *faultServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}
