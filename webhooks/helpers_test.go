package webhooks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

var (
	testKey        = []byte("0123456789abcdef0123456789abcdef")
	standardSecret = "whsec_" + base64.StdEncoding.EncodeToString(testKey)
	legacySecret   = "polar_whs_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk012345"
	testTime       = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	testBody       = []byte(`{"type":"order.paid","timestamp":"2026-11-22T11:59:59Z","api_version":"2026-10","data":{"id":"o_1"}}`)
)

const testID = "5f4b3c1e-0000-4000-8000-000000000001"

func fixedClock() time.Time { return testTime }

func newVerifier(t testing.TB, secret string, opts ...VerifierOption) *Verifier {
	t.Helper()
	v, err := NewVerifier(secret, append([]VerifierOption{WithClock(fixedClock)}, opts...)...)
	require.NoError(t, err)
	return v
}

func signed(t testing.TB, secret string, body []byte, opts ...SignOption) http.Header {
	t.Helper()
	h, err := Sign(secret, testID, testTime, body, opts...)
	require.NoError(t, err)
	return h
}

// failures collects what a router reports.
type failures struct {
	mu   sync.Mutex
	list []Failure
}

func (f *failures) add(_ context.Context, failure Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, failure)
}

// take returns what was reported since the last call.
func (f *failures) take() []Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

func newRouter(t testing.TB, opts ...RouterOption) (*Router, *failures) {
	t.Helper()
	f := new(failures)
	return NewRouter(newVerifier(t, standardSecret), append([]RouterOption{WithFailureHandler(f.add)}, opts...)...), f
}

// post makes a delivery of a body, with the header of its signature.
func post(t testing.TB, body []byte) *http.Request {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/webhooks/polar", bytes.NewReader(body))
	req.Header = signed(t, standardSecret, body)
	return req
}

// deliver hands an event to a router, and returns the status of the answer and its body.
func deliver(t testing.TB, h http.Handler, e Event) (int, string) {
	t.Helper()
	e = copyOf(e)
	if e.Info().SentAt.IsZero() {
		e.Info().SentAt = testTime
	}
	req, err := NewRequest(t.Context(), "http://shop.example/webhooks/polar", standardSecret, e)
	require.NoError(t, err)
	return serve(h, req)
}

func serve(h http.Handler, req *http.Request) (int, string) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

// sample is a payload of an event, with everything that Polar's description gives it.
type sample struct {
	eventType models.WebhookEventType
	variant   string // name of the type of its data in Polar's description
	body      []byte
}

func (s sample) String() string { return string(s.eventType) + "/" + s.variant }

// samples returns payloads of all events, one for each variant of their data.
var samples = sync.OnceValue(func() []sample {
	file, err := os.Open("../models/testdata/examples.jsonl")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	byType := map[string][]struct{ facts, body string }{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Facts, Go string
			JSON      json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			panic(err)
		}
		byType[line.Go] = append(byType[line.Go], struct{ facts, body string }{line.Facts, string(line.JSON)})
	}
	if lines.Err() != nil {
		panic(lines.Err())
	}
	var list []sample
	for _, t := range models.WebhookEventTypeValues() {
		data, _ := reflect.TypeOf(NewEvent(t)).Elem().FieldByName("Data")
		for _, x := range byType[data.Type.Name()] {
			more := ""
			if t == models.WebhookEventTypeSubscriptionMigrated {
				more = `,"provider":"stripe","provider_subscription_id":"sub_1"`
			}
			list = append(list, sample{t, x.facts, fmt.Appendf(nil,
				`{"type":%q,"timestamp":"2026-11-22T11:59:59.123456Z","api_version":"2026-10","data":%s%s}`, t, x.body, more)})
		}
	}
	return list
})

// oneEach returns one sample for each type of event.
func oneEach() []sample {
	var list []sample
	for _, s := range samples() {
		if len(list) == 0 || list[len(list)-1].eventType != s.eventType {
			list = append(list, s)
		}
	}
	return list
}

// pipeListener accepts connections that are pipes in memory, which work inside of a synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// startServer serves a handler on pipes and returns how to connect and how to stop. It is for synctest bubbles.
func startServer(h http.Handler, configure ...func(*http.Server)) (dial func() net.Conn, stop func()) {
	l := newPipeListener()
	srv := &http.Server{Handler: h}
	for _, c := range configure {
		c(srv)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	return l.dial, func() {
		_ = srv.Close()
		<-done
		time.Sleep(time.Second) // of the bubble's time, which net/http takes to close a connection after an error
	}
}

// rawRequest writes the head of a POST and what is given of the body.
func rawRequest(w io.Writer, header http.Header, length int, body string) {
	_, _ = fmt.Fprintf(w, "POST /webhooks/polar HTTP/1.1\r\nHost: shop.example\r\nContent-Length: %d\r\n", length)
	_ = header.Write(w)
	_, _ = io.WriteString(w, "\r\n"+body)
}

func readAnswer(t testing.TB, r io.Reader) (int, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(r), nil)
	require.NoError(t, err)
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, string(body)
}
