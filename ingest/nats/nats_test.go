package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/ingest"
	"github.com/polar-go/polar/models"
)

// childVariable holds the task of a child process: the addresses of the broker and of Polar.
const childVariable = "POLAR_NATS_TEST_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childVariable); task != "" {
		broker, url, _ := strings.Cut(task, "|")
		fmt.Println("! ", consume(context.Background(), broker, url))
		return
	}
	os.Exit(m.Run())
}

func consume(ctx context.Context, broker, url string, opts ...Option) error {
	nc, err := nats.Connect(broker)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := js.Consumer(ctx, "USAGE", "polar")
	if err != nil {
		return err
	}
	client, err := polar.New(polar.Token("polar_oat_test"), polar.WithBaseURL(url))
	if err != nil {
		return err
	}
	ing, err := ingest.New(client, ingest.WithBatchSize(50), ingest.WithInterval(10*time.Millisecond), ingest.WithConcurrency(2), ingest.WithFull(ingest.FullBlock),
		ingest.WithQueue(60, 1<<20))
	if err != nil {
		return err
	}
	err = Consume(ctx, consumer, ing, append(opts, WithFetch(200))...)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, ing.Close(closing), nc.FlushTimeout(5*time.Second))
}

// startBroker starts a real server with a stream and a consumer.
func startBroker(t *testing.T, ackWait time.Duration) (*nats.Conn, jetstream.JetStream, jetstream.Consumer) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(30*time.Second))
	nc, err := nats.Connect(srv.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}, Retention: jetstream.WorkQueuePolicy, Duplicates: time.Minute})
	require.NoError(t, err)
	consumer, err := js.CreateConsumer(t.Context(), "USAGE", jetstream.ConsumerConfig{Durable: "polar", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: 5000})
	require.NoError(t, err)
	return nc, js, consumer
}

// store is Polar's side: it counts events by the caller's sequence number and drops those whose external id it has seen.
type store struct {
	mu      sync.Mutex
	ids     map[string]bool
	counted map[int]int
	reached func(stored bool)
	down    bool
}

func (s *store) hook(f func(stored bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reached = f
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Events []struct {
			ExternalID string `json:"external_id"`
			Metadata   struct {
				Seq int
				Bad bool
			}
		}
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	s.mu.Lock()
	reached, down := s.reached, s.down
	s.mu.Unlock()
	if err != nil || down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for n, e := range in.Events {
		if e.Metadata.Bad {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprintf(w, `{"error":"RequestValidationError","detail":[{"type":"value_error","loc":["body","events",%d,"metadata"],"msg":"bad"}]}`, n)
			return
		}
	}
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

func (s *store) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.counted)
}

func startPolar(t *testing.T) (*store, string) {
	s := &store{ids: map[string]bool{}, counted: map[int]int{}}
	srv := httptest.NewServer(s)
	t.Cleanup(func() { s.hook(nil); srv.Close() })
	return s, srv.URL
}

func event(seq int) models.EventCreate {
	return models.EventCreate{Name: "x", ExternalCustomerID: new("c"), Metadata: models.Metadata{"seq": seq}}
}

func publish(t *testing.T, js jetstream.JetStream, from, to int) {
	t.Helper()
	p, err := NewPublisher(js, "usage.events")
	require.NoError(t, err)
	ing, err := ingest.New(nil, ingest.WithSink(p.Track))
	require.NoError(t, err)
	for k := from; k < to; k++ {
		require.NoError(t, ing.Track(event(k)))
	}
	require.NoError(t, ing.Close(t.Context()))
}

// drained waits until the consumer has nothing left, asking the broker again and again.
func drained(t *testing.T, consumer jetstream.Consumer) {
	t.Helper()
	require.Eventually(t, func() bool {
		info, err := consumer.Info(t.Context())
		return err == nil && info.NumPending == 0 && info.NumAckPending == 0
	}, time.Minute, 20*time.Millisecond)
}

// A consumer that is killed in the middle of a batch loses nothing, and nothing is counted twice.
func TestKilledConsumer(t *testing.T) {
	nc, js, consumer := startBroker(t, time.Second)
	s, url := startPolar(t)
	const kills, each = 10, 200
	for round := range kills {
		publish(t, js, round*each, (round+1)*each)
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+nc.ConnectedUrl()+"|"+url)
		dead, reached := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s.hook(func(stored bool) {
			if stored == (round%2 == 0) {
				once.Do(func() { close(reached) })
				<-dead
			}
		})
		require.NoError(t, cmd.Start())
		select {
		case <-reached:
		case <-time.After(time.Minute):
			t.Error("no request")
		}
		require.NoError(t, cmd.Process.Kill())
		require.ErrorContains(t, cmd.Wait(), "killed")
		close(dead)
		s.hook(nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- consume(ctx, nc.ConnectedUrl(), url) }()
	drained(t, consumer)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.counted, kills*each)
	for seq, n := range s.counted {
		require.Equal(t, 1, n, seq)
	}
}

// An outage of Polar that is longer than AckWait, a poisoned event, a message that is none, one that is published twice.
func TestTroubles(t *testing.T) {
	const ackWait = 3 * time.Second // longer than a busy machine may stop the test for
	nc, js, consumer := startBroker(t, ackWait)
	s, url := startPolar(t)
	s.down = true
	publish(t, js, 0, 100)
	p, err := NewPublisher(js, "usage.events")
	require.NoError(t, err)
	twice := event(100)
	require.ErrorContains(t, p.Track(t.Context(), twice), "no ExternalID")
	twice.ExternalID = new(ingest.NewID())
	for range 2 {
		require.NoError(t, p.Track(t.Context(), twice))
	}
	bad := event(101)
	bad.ExternalID, bad.Metadata["bad"] = new(ingest.NewID()), true
	require.NoError(t, p.Track(t.Context(), bad))
	invalid := event(102)
	invalid.ExternalID, invalid.Name = new(ingest.NewID()), ""
	require.NoError(t, p.Track(t.Context(), invalid))
	early := event(103) // of a machine whose clock is a day ahead
	early.ExternalID, early.Timestamp = new(ingest.NewID()), new(time.Now().Add(24*time.Hour))
	require.NoError(t, p.Track(t.Context(), early))
	for _, text := range []string{"{", `{"name":"x"}`} {
		_, err = js.Publish(t.Context(), "usage.events", []byte(text))
		require.NoError(t, err)
	}

	var mu sync.Mutex
	var reports []error
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- consume(ctx, nc.ConnectedUrl(), url, OnError(func(err error) { mu.Lock(); reports = append(reports, err); mu.Unlock() }))
	}()
	require.Eventually(t, func() bool { // they wait for Polar, or for room in the queue
		info, err := consumer.Info(t.Context())
		return err == nil && info.NumPending == 0 && info.NumAckPending == 106
	}, time.Minute, 20*time.Millisecond)
	before, err := consumer.Info(t.Context())
	require.NoError(t, err)
	<-time.After(2 * ackWait) // real time of the broker
	after, err := consumer.Info(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before.NumRedelivered, after.NumRedelivered, "the broker knows that they are being worked on")
	s.mu.Lock()
	s.down = false
	s.mu.Unlock()
	drained(t, consumer)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	assert.Equal(t, 102, s.total())
	for seq, n := range s.counted {
		assert.Equal(t, 1, n, seq)
	}
	mu.Lock()
	defer mu.Unlock()
	assert.Len(t, reports, 3)
}

func TestRefusedConsumers(t *testing.T) {
	require.Error(t, Consume(t.Context(), nil, nil))
	_, err := NewPublisher(nil, "x")
	require.Error(t, err)
	_, js, _ := startBroker(t, time.Second)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
	require.NoError(t, err)
	none, err := js.CreateConsumer(t.Context(), "OTHER", jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	require.NoError(t, err)
	ing, err := ingest.New(nil, ingest.WithSink(func(context.Context, models.EventCreate) error { return nil }))
	require.NoError(t, err)
	require.ErrorContains(t, Consume(t.Context(), none, ing), "AckExplicit")
	require.NoError(t, ing.Close(t.Context()))
	lost := startLess(t)
	require.Error(t, lost.Track(t.Context(), models.EventCreate{ExternalID: new("x")}))
}

// startLess is a publisher whose subject no stream listens to.
func startLess(t *testing.T) *Publisher {
	_, js, _ := startBroker(t, time.Second)
	p, err := NewPublisher(js, "nobody")
	require.NoError(t, err)
	return p
}
