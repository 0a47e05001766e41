package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/polar-go/polar/webhooks"
)

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

var (
	addr    string // of the server; empty without one
	absence string // why there is none
)

func TestMain(m *testing.M) {
	stop, err := startRedis()
	if err != nil {
		if os.Getenv("CI") == "true" {
			fmt.Fprintln(os.Stderr, "no Redis:", err)
			os.Exit(1)
		}
		absence = err.Error()
	}
	code := m.Run()
	if stop != nil {
		stop()
	}
	os.Exit(code)
}

// startRedis starts a server on a free port of the loopback interface, which keeps nothing on disk.
func startRedis() (stop func(), err error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("redis-server is not installed (Debian: redis-server)")
	}
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.Command(program, "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", dir, "--daemonize", "no")
	output := &watcher{text: "Ready to accept connections", ready: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stop = func() {
		_ = cmd.Process.Kill()
		<-exited
		_ = os.RemoveAll(dir)
	}
	select {
	case <-output.ready:
		addr = net.JoinHostPort(host, port)
		return stop, nil
	case err := <-exited:
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("redis-server ended: %v\n%s", err, &output.log)
	case <-time.After(30 * time.Second):
		stop()
		return nil, errors.New("redis-server does not become ready")
	}
}

// watcher keeps what a program prints and closes a channel when a text comes by.
type watcher struct {
	log   bytes.Buffer
	text  string
	ready chan struct{}
	once  sync.Once
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.log.Write(p)
	if strings.Contains(w.log.String(), w.text) {
		w.once.Do(func() { close(w.ready) })
	}
	return n, err
}

func client(t *testing.T) *redis.Client {
	t.Helper()
	if addr == "" {
		t.Skip(absence)
	}
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func claim(t *testing.T, d webhooks.Deduper, id string, want webhooks.ClaimState) string {
	t.Helper()
	owner, state, err := d.Claim(t.Context(), id)
	if err != nil || state != want {
		t.Fatalf("claim of %s: state %d, error %v; want %d", id, state, err, want)
	}
	return owner
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Every kind of client that go-redis has fits as it is.
func TestClients(t *testing.T) {
	c := client(t)
	var universal redis.UniversalClient = c
	conn := c.Conn()
	defer conn.Close()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": addr}})
	defer ring.Close()
	resp2 := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer resp2.Close()
	for name, d := range map[string]*webhooks.RedisDeduper{
		"client": webhooks.NewRedisDeduper(c), "interface": webhooks.NewRedisDeduper(universal), "connection": webhooks.NewRedisDeduper(conn),
		"ring": webhooks.NewRedisDeduper(ring), "RESP2": webhooks.NewRedisDeduper(resp2),
	} {
		owner := claim(t, d, name, webhooks.Claimed)
		claim(t, d, name, webhooks.InProgress)
		must(t, d.Release(t.Context(), name, owner))
		claim(t, d, name, webhooks.Claimed)
		must(t, d.Done(t.Context(), name))
		claim(t, d, name, webhooks.Handled)
		must(t, d.Forget(t.Context(), name))
		claim(t, d, name, webhooks.Claimed)
	}
	_ = func(c *redis.ClusterClient) any { return webhooks.NewRedisDeduper(c) } // fits, too; there is no cluster here
}

func TestOnlyTheOwnerReleases(t *testing.T) {
	d := webhooks.NewRedisDeduper(client(t))
	ctx := t.Context()
	a, b := claim(t, d, "1", webhooks.Claimed), claim(t, d, "2", webhooks.Claimed)
	must(t, d.Release(ctx, "1", b))
	claim(t, d, "1", webhooks.InProgress)
	must(t, d.Release(ctx, "1", a))
	a = claim(t, d, "1", webhooks.Claimed)
	must(t, d.Done(ctx, "1"))
	must(t, d.Release(ctx, "1", a))
	claim(t, d, "1", webhooks.Handled)
}

func TestEverythingExpires(t *testing.T) {
	c := client(t)
	d := webhooks.NewRedisDeduper(c, webhooks.RedisPrefix("shop:"), webhooks.ClaimFor(time.Minute), webhooks.RememberFor(time.Hour))
	claim(t, d, "1", webhooks.Claimed)
	if ttl := c.PTTL(t.Context(), "shop:1").Val(); ttl <= 50*time.Second || ttl > time.Minute {
		t.Errorf("the claim lives for %v", ttl)
	}
	must(t, d.Done(t.Context(), "1"))
	if ttl := c.PTTL(t.Context(), "shop:1").Val(); ttl <= 59*time.Minute || ttl > time.Hour {
		t.Errorf("the mark lives for %v", ttl)
	}
	if n := c.DBSize(t.Context()).Val(); n != 1 {
		t.Errorf("%d keys for one delivery", n)
	}
}

// expired waits until Redis has forgotten a key. It asks Redis and no clock of ours.
func expired(t *testing.T, c *redis.Client, key string) {
	t.Helper()
	for c.Exists(t.Context(), key).Val() != 0 {
		if t.Context().Err() != nil {
			t.Fatal("the key stays")
		}
	}
}

// A process dies with a claim: the claim outlives it, expires, and the next attempt is handled. If it was only slow, it does
// not take the claim of the next one away.
func TestClaimOutlivesItsOwner(t *testing.T) {
	c := client(t)
	d := webhooks.NewRedisDeduper(c, webhooks.ClaimFor(20*time.Millisecond))
	other := webhooks.NewRedisDeduper(c)
	dead := claim(t, d, "1", webhooks.Claimed)
	expired(t, c, "polar:webhook:1")
	next := claim(t, other, "1", webhooks.Claimed)
	must(t, d.Release(t.Context(), "1", dead))
	claim(t, other, "1", webhooks.InProgress)
	must(t, other.Release(t.Context(), "1", next))
	claim(t, other, "1", webhooks.Claimed)
}

// node is one of several processes behind the endpoint.
func node(t *testing.T, d webhooks.Deduper, h func(context.Context, *webhooks.OrderPaid) error) *httptest.Server {
	t.Helper()
	v, err := webhooks.NewVerifier(secret)
	must(t, err)
	r := webhooks.NewRouter(v, webhooks.WithDeduper(d), webhooks.WithFailureHandler(func(context.Context, webhooks.Failure) {}))
	webhooks.On(r, h)
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return srv
}

func deliver(t *testing.T, srv *httptest.Server, id string) int {
	req, err := webhooks.NewRequest(t.Context(), srv.URL, secret, &webhooks.OrderPaid{Delivery: webhooks.Delivery{ID: id}})
	if err != nil {
		t.Error(err)
		return 0
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// Two routers with a client each get the same deliveries at the same time: each is handled once, and nobody is told that it
// was before it is.
func TestTwoRoutersRace(t *testing.T) {
	var handled [50]atomic.Int32
	handler := func(_ context.Context, e *webhooks.OrderPaid) error {
		var i int
		if _, err := fmt.Sscanf(e.ID, "evt_%d", &i); err != nil {
			return err
		}
		handled[i].Add(1)
		return nil
	}
	first := client(t)
	second := redis.NewClient(&redis.Options{Addr: addr})
	defer second.Close()
	nodes := []*httptest.Server{node(t, webhooks.NewRedisDeduper(first), handler), node(t, webhooks.NewRedisDeduper(second), handler)}
	for i := range handled {
		start := make(chan struct{})
		var codes [6]int
		var wg sync.WaitGroup
		for n := range codes {
			wg.Go(func() {
				<-start
				codes[n] = deliver(t, nodes[n%2], fmt.Sprint("evt_", i))
			})
		}
		close(start)
		wg.Wait()
		accepted := 0
		for _, code := range codes {
			switch code {
			case http.StatusAccepted:
				accepted++
			case http.StatusConflict:
			default:
				t.Errorf("answer %d", code)
			}
		}
		if accepted == 0 {
			t.Error("nobody accepted it")
		}
		if n := handled[i].Load(); n != 1 {
			t.Errorf("handled %d times", n)
		}
	}
}

// While one router handles a delivery, the other one refuses it; when the first one fails, the other one handles it.
func TestFailureOnOneNode(t *testing.T) {
	c := client(t)
	started, finish := make(chan struct{}), make(chan struct{})
	a := node(t, webhooks.NewRedisDeduper(c), func(context.Context, *webhooks.OrderPaid) error {
		close(started)
		<-finish
		return errors.New("down")
	})
	calls := 0
	b := node(t, webhooks.NewRedisDeduper(c), func(context.Context, *webhooks.OrderPaid) error { calls++; return nil })
	answer := make(chan int, 1)
	go func() { answer <- deliver(t, a, "evt") }()
	<-started
	if code := deliver(t, b, "evt"); code != http.StatusConflict || calls != 0 {
		t.Errorf("answer %d while the other one is at it, %d calls", code, calls)
	}
	close(finish)
	if code := <-answer; code != http.StatusInternalServerError {
		t.Errorf("answer %d of the one that failed", code)
	}
	for range 2 {
		if code := deliver(t, b, "evt"); code != http.StatusAccepted || calls != 1 {
			t.Errorf("answer %d, %d calls", code, calls)
		}
	}
}

// A node dies in the middle of a delivery. Its claim goes by itself, and the other node handles the next attempt.
func TestNodeDies(t *testing.T) {
	c := client(t)
	dying := webhooks.NewRedisDeduper(c, webhooks.ClaimFor(50*time.Millisecond))
	claim(t, dying, "evt", webhooks.Claimed) // and nothing more is heard of it
	calls := 0
	b := node(t, webhooks.NewRedisDeduper(c), func(context.Context, *webhooks.OrderPaid) error { calls++; return nil })
	if code := deliver(t, b, "evt"); code != http.StatusConflict && calls == 0 {
		t.Errorf("answer %d while the claim holds", code)
	}
	expired(t, c, "polar:webhook:evt")
	if code := deliver(t, b, "evt"); code != http.StatusAccepted || calls != 1 {
		t.Errorf("answer %d, %d calls", code, calls)
	}
}

// Without Redis nothing is handled, and Polar is told to come back.
func TestRedisIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	nobody := l.Addr().String()
	_ = l.Close()
	c := redis.NewClient(&redis.Options{Addr: nobody, MaxRetries: -1})
	defer c.Close()
	srv := node(t, webhooks.NewRedisDeduper(c), func(context.Context, *webhooks.OrderPaid) error { t.Error("called"); return nil })
	if code := deliver(t, srv, "evt"); code != http.StatusInternalServerError {
		t.Errorf("answer %d", code)
	}
	_, _, err = webhooks.NewRedisDeduper(c).Claim(t.Context(), "evt")
	if !errors.Is(err, webhooks.ErrDeduper) {
		t.Errorf("error %v", err)
	}
}
