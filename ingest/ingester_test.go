package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

func newIngester(t testing.TB, s *faultServer, opts ...Option) *Ingester {
	t.Helper()
	i, err := New(s.client(t), opts...)
	require.NoError(t, err)
	return i
}

func track(t testing.TB, i *Ingester, from, to int) {
	t.Helper()
	for k := from; k < to; k++ {
		require.NoError(t, i.Track(numbered(k)))
	}
}

func TestBatches(t *testing.T) {
	t.Run("by count, at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultServer()
			i := newIngester(t, s, WithBatchSize(10), WithInterval(time.Hour))
			begin := time.Now()
			track(t, i, 0, 35)
			synctest.Wait()
			assert.Equal(t, 3, s.count())
			require.NoError(t, i.Close(t.Context()))
			assert.Less(t, time.Since(begin), time.Hour)
			s.exactlyOnce(t, 35)
			for _, size := range s.sizes {
				assert.LessOrEqual(t, size, 10)
			}
		})
	})
	t.Run("by time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultServer()
			i := newIngester(t, s, WithInterval(3*time.Second))
			track(t, i, 0, 2)
			time.Sleep(3*time.Second - time.Nanosecond)
			synctest.Wait()
			assert.Zero(t, s.count())
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			assert.Equal(t, 1, s.count())
			track(t, i, 2, 3) // the next one waits as long
			time.Sleep(3 * time.Second)
			synctest.Wait()
			assert.Equal(t, 2, s.count())
			require.NoError(t, i.Close(t.Context()))
			s.exactlyOnce(t, 3)
		})
	})
	t.Run("what a full batch leaves is sent in time although its sender is busy", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultServer()
			s.delay = 20 * time.Second
			i := newIngester(t, s, WithBatchSize(10), WithInterval(time.Second), WithConcurrency(2))
			track(t, i, 0, 15)
			time.Sleep(time.Second)
			synctest.Wait()
			assert.Equal(t, 2, s.count())
			require.NoError(t, i.Close(t.Context()))
			s.exactlyOnce(t, 15)
		})
	})
	t.Run("by bytes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultServer()
			var largest atomic.Int64
			i := newIngester(t, s, WithBatchBytes(4096), WithInterval(time.Hour), OnRequest(func(r Request) { largest.Store(max(largest.Load(), int64(r.Bytes))) }))
			track(t, i, 0, 100)
			synctest.Wait()
			assert.Positive(t, s.count())
			require.NoError(t, i.Close(t.Context()))
			s.exactlyOnce(t, 100)
			assert.LessOrEqual(t, largest.Load(), int64(4096))
			assert.Greater(t, largest.Load(), int64(3500))
		})
	})
	t.Run("at most so many at a time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultServer()
			s.delay = time.Second
			i := newIngester(t, s, WithBatchSize(1), WithConcurrency(3))
			track(t, i, 0, 20)
			require.NoError(t, i.Close(t.Context()))
			assert.Equal(t, 3, s.most)
			s.exactlyOnce(t, 20)
		})
	})
}

func TestIDsAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		i := newIngester(t, s, WithInterval(10*time.Second))
		tracked := time.Now()
		require.NoError(t, i.Track(numbered(0)))
		own := numbered(1)
		own.ExternalID, own.Timestamp = new("mine"), new(tracked.Add(-time.Hour))
		require.NoError(t, i.Track(own))
		time.Sleep(8 * time.Second)
		require.NoError(t, i.Close(t.Context()))
		require.Len(t, s.events, 2)
		assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, s.events[0]["external_id"])
		assert.Equal(t, tracked.UTC().Format(timeLayout), s.events[0]["timestamp"])
		assert.Equal(t, "mine", s.events[1]["external_id"])
		assert.Equal(t, tracked.Add(-time.Hour).UTC().Format(timeLayout), s.events[1]["timestamp"])
	})
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	before := ""
	for range 10_000 {
		id := NewID()
		require.True(t, isUUID(id))
		require.False(t, seen[id])
		seen[id] = true
		require.GreaterOrEqual(t, id[:13], before)
		before = id[:13]
	}
}

// errClosing is the cause of a context, behind which its end must not disappear.
var errClosing = errors.New("closing time")

func TestFullQueue(t *testing.T) {
	stuck := func() *faultServer {
		s := newFaultServer()
		s.before = func(*http.Request) (*http.Response, error) { return answer(503, nil, ""), nil }
		return s
	}
	t.Run("error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := stuck()
			i := newIngester(t, s, WithQueue(5, 1<<20), WithBatchSize(1))
			track(t, i, 0, 5)
			synctest.Wait()
			err := i.Track(numbered(5))
			require.ErrorIs(t, err, ErrFull)
			require.ErrorIs(t, err, polar.ErrServer, "it says what hinders")
			s.before = nil
			require.NoError(t, i.Close(t.Context()))
			s.exactlyOnce(t, 5)
			require.ErrorIs(t, i.Track(numbered(6)), ErrClosed)
		})
	})
	t.Run("bytes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			i := newIngester(t, newFaultServer(), WithQueue(1000, 500))
			require.NoError(t, i.Track(numbered(0)))
			require.NoError(t, i.Track(numbered(1)))
			require.ErrorIs(t, i.Track(numbered(2)), ErrFull)
			require.NoError(t, i.Close(t.Context()))
		})
	})
	t.Run("drop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultServer()
			i := newIngester(t, s, WithQueue(5, 1<<20), WithFull(FullDrop), WithInterval(time.Hour))
			track(t, i, 0, 8)
			assert.EqualValues(t, 3, i.Stats().Dropped)
			err := i.TrackFunc(t.Context(), numbered(9), func(error) { t.Error("not taken, so there is nothing to tell") })
			require.ErrorIs(t, err, ErrFull)
			assert.EqualValues(t, 4, i.Stats().Dropped)
			require.NoError(t, i.Close(t.Context()))
			s.exactlyOnce(t, 5)
		})
	})
	t.Run("block", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultServer()
			i := newIngester(t, s, WithQueue(5, 1<<20), WithFull(FullBlock), WithInterval(time.Minute))
			track(t, i, 0, 5)
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errClosing)
			defer cancel()
			err := i.TrackContext(ctx, numbered(99))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, ErrFull)
			begin := time.Now()
			require.NoError(t, i.Track(numbered(5))) // waits for the interval
			assert.Equal(t, 59*time.Second, time.Since(begin))
			require.NoError(t, i.Flush(t.Context()))
			track(t, i, 6, 11)
			s.delay = time.Second
			result := make(chan error)
			go func() { result <- i.Track(numbered(100)) }()
			synctest.Wait()
			go func() { assert.NoError(t, i.Close(t.Context())) }()
			require.ErrorIs(t, <-result, ErrClosed)
			time.Sleep(time.Second)
			synctest.Wait()
			s.exactlyOnce(t, 11)
		})
	})
}

func TestDoor(t *testing.T) {
	s := newFaultServer()
	i := newIngester(t, s, WithBatchBytes(2048))
	defer i.Close(t.Context())
	const uuid = "11111111-2222-4333-8444-555555555555"
	var loop any
	loop = &loop
	for name, c := range map[string]struct {
		change func(*models.EventCreate)
		want   string
	}{
		"no name":            {func(e *models.EventCreate) { e.Name = "" }, "EventCreate.Name is empty"},
		"long name":          {func(e *models.EventCreate) { e.Name = strings.Repeat("ä", 129) }, "Name has 129 characters, at most 128"},
		"no customer":        {func(e *models.EventCreate) { e.ExternalCustomerID = nil }, "CustomerID"},
		"two customers":      {func(e *models.EventCreate) { e.CustomerID = new(uuid) }, "CustomerID"},
		"empty customer":     {func(e *models.EventCreate) { e.ExternalCustomerID = new("") }, "ExternalCustomerID is empty"},
		"customer no uuid":   {func(e *models.EventCreate) { e.CustomerID, e.ExternalCustomerID = new("user_1"), nil }, "your own ids of customers belong into ExternalCustomerID"},
		"member":             {func(e *models.EventCreate) { e.MemberID = new(uuid) }, "MemberID goes with CustomerID"},
		"member no uuid":     {func(e *models.EventCreate) { e.MemberID = new("x") }, "MemberID is not a UUID"},
		"empty member":       {func(e *models.EventCreate) { e.ExternalMemberID = new("") }, "ExternalMemberID is empty"},
		"organization":       {func(e *models.EventCreate) { e.OrganizationID = new("acme") }, "OrganizationID is not a UUID"},
		"empty id":           {func(e *models.EventCreate) { e.ExternalID = new("") }, "ExternalID is empty"},
		"empty parent":       {func(e *models.EventCreate) { e.ParentID = new("") }, "ParentID is empty"},
		"zero time":          {func(e *models.EventCreate) { e.Timestamp = new(time.Time) }, "Timestamp is the zero time"},
		"future":             {func(e *models.EventCreate) { e.Timestamp = new(time.Now().Add(2 * time.Hour)) }, "in the future"},
		"empty value":        {func(e *models.EventCreate) { e.Metadata["a"] = "" }, `"a": the string is empty`},
		"long value":         {func(e *models.EventCreate) { e.Metadata["a"] = strings.Repeat("x", 501) }, "501 characters, at most 500"},
		"nil value":          {func(e *models.EventCreate) { e.Metadata["a"] = nil }, `"a": the value is nil`},
		"infinite":           {func(e *models.EventCreate) { e.Metadata["a"] = 1 / zero }, "want a finite one"},
		"list":               {func(e *models.EventCreate) { e.Metadata["a"] = []int{1} }, "must be a string, a number or a bool"},
		"endless":            {func(e *models.EventCreate) { e.Metadata["a"] = loop }, "must be a string, a number or a bool"},
		"channel":            {func(e *models.EventCreate) { e.Metadata["a"] = make(chan int) }, "must be a string, a number or a bool"},
		"panicking":          {func(e *models.EventCreate) { e.Metadata["a"] = panicky{} }, "panicked"},
		"reserved":           {func(e *models.EventCreate) { e.Metadata["_cost"] = 1 }, "the key _cost"},
		"cost range":         {func(e *models.EventCreate) { e.Cost = &models.CostMetadata{Amount: "100000", Currency: "usd"} }, "6 digits before the point, at most 5"},
		"cost precision":     {func(e *models.EventCreate) { e.Cost = &models.CostMetadata{Amount: "0.0000000000001", Currency: "usd"} }, "13 digits after the point, at most 12"},
		"cost currency":      {func(e *models.EventCreate) { e.Cost = &models.CostMetadata{Amount: "1"} }, "Currency is empty"},
		"cost no number":     {func(e *models.EventCreate) { e.Cost = &models.CostMetadata{Amount: "x", Currency: "usd"} }, "not a decimal number"},
		"size":               {func(e *models.EventCreate) { e.LLM = &models.LLMMetadata{Prompt: new(strings.Repeat("x", 2048))} }, "at most 2048 are allowed"},
		"NUL in a value":     {func(e *models.EventCreate) { e.Metadata["a"] = "x\x00y" }, "metadata/a of the event has a NUL character"},
		"NUL in the id":      {func(e *models.EventCreate) { e.ExternalID = new("\x00") }, "external_id of the event has a NUL character"},
		"NUL in odd a value": {func(e *models.EventCreate) { e.Metadata["a"] = named("\x00") }, "metadata/a of the event has a NUL character"},
	} {
		t.Run(name, func(t *testing.T) {
			e := numbered(0)
			c.change(&e)
			err := i.Track(e)
			require.ErrorIs(t, err, ErrInvalid)
			assert.ErrorContains(t, err, c.want)
			assert.True(t, strings.HasPrefix(err.Error(), "ingest: "), err.Error())
			assert.NotContains(t, err.Error(), "user_42")
		})
	}
	assert.Zero(t, i.Stats().Tracked)
}

var zero float64

type named string

type panickyJournal struct{ Journal }

func (panickyJournal) Append([]byte) (uint64, error)           { panic("x") }
func (panickyJournal) Replay(func(uint64, []byte) error) error { return nil }
func (panickyJournal) Close() error                            { return nil }

// forgetless is a journal that takes events and panics when they are done.
type forgetless struct{ panickyJournal }

func (forgetless) Append([]byte) (uint64, error) { return 1, nil }
func (forgetless) Done([]uint64) error           { panic("x") }

type panicky struct{}

func (panicky) MarshalJSON() ([]byte, error) { panic("secret") }

func TestNothingPanics(t *testing.T) {
	var none *Ingester
	zeroed := &Ingester{}
	for _, i := range []*Ingester{none, zeroed} {
		require.Error(t, i.Track(numbered(0)))
		require.Error(t, i.Flush(t.Context()))
		require.Error(t, i.Close(t.Context()))
		assert.Equal(t, Stats{}, i.Stats())
	}
	for _, i := range []*Ingester{
		newIngester(t, newFaultServer(), WithJournal(panickyJournal{})),
		newIngester(t, newFaultServer(), WithSink(func(context.Context, models.EventCreate) error { panic("x") })),
	} {
		_, ok := errors.AsType[*StoreError](i.Track(numbered(0)))
		assert.True(t, ok)
		assert.Zero(t, i.Stats().Queued)
		require.NoError(t, i.Close(t.Context()))
	}
	var failed error
	s := newFaultServer()
	stuck := newIngester(t, s, WithJournal(forgetless{}), OnError(func(err error) { failed = err }))
	require.NoError(t, stuck.Track(numbered(0)))
	require.NoError(t, stuck.Close(t.Context()))
	require.EqualError(t, failed, "panic: x")
	lost := newIngester(t, newFaultServer(), WithCustomerFunc(func(context.Context) (Customer, bool) { panic("x") }))
	require.ErrorContains(t, lost.Tick(t.Context(), "tick", nil), "the customer function failed")
	require.NoError(t, lost.Close(t.Context()))
	for _, client := range []*polar.Client{nil, {}} {
		_, err := New(client)
		require.Error(t, err)
	}
	_, err := New(newFaultServer().client(t), nil)
	require.ErrorContains(t, err, "option 1 is nil")
	for _, o := range []Option{WithBatchSize(0), WithBatchBytes(10 << 20), WithInterval(0), WithConcurrency(0), WithQueue(0, 1), WithFull(9),
		WithBackoff(2, 1), WithClock(nil), WithOrganizationID("x"), WithCustomerFunc(nil), WithJournal(nil), WithSink(nil)} {
		_, err := New(newFaultServer().client(t), o)
		require.Error(t, err)
	}
}

func TestCallerMayChangeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		i := newIngester(t, s, WithOrganizationID("11111111-2222-4333-8444-555555555555"))
		m := models.Metadata{"seq": 0, "odd": new("x")}
		customer := "user_1"
		e := models.EventCreate{Name: "a", ExternalCustomerID: &customer, Metadata: m}
		require.NoError(t, i.Track(e))
		m["seq"], customer = 5, "user_2"
		require.NoError(t, i.Close(t.Context()))
		assert.Nil(t, e.ExternalID)
		assert.Nil(t, e.OrganizationID)
		assert.Equal(t, "user_1", s.events[0]["external_customer_id"])
		assert.Equal(t, "11111111-2222-4333-8444-555555555555", s.events[0]["organization_id"])
		s.exactlyOnce(t, 1)
	})
}

// Poison at every position, several at once, and of both kinds of customer.
func TestPoison(t *testing.T) {
	for _, poison := range [][]int{{0}, {1}, {9}, {4, 5}, {0, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}} {
		t.Run(fmt.Sprint(poison), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFaultServer()
				var rejected []*RejectedError
				i := newIngester(t, s, OnRejected(func(r *RejectedError) { rejected = append(rejected, r) }))
				for k := range 10 {
					e := numbered(k)
					if k%2 == 1 {
						e.ExternalCustomerID, e.CustomerID = nil, new("11111111-2222-4333-8444-555555555555")
					}
					for _, p := range poison {
						if k == p {
							e.Metadata["bad"] = "poison"
						}
					}
					require.NoError(t, i.Track(e))
				}
				require.NoError(t, i.Flush(t.Context()))
				s.exactlyOnce(t, 10, poison...)
				require.Len(t, rejected, len(poison))
				for n, r := range rejected {
					seq, _ := r.Event.Metadata.Int("seq")
					assert.EqualValues(t, poison[n], seq)
					require.Len(t, r.Fields, 1, "only the arm that was sent, once")
					assert.Equal(t, []string{"metadata", "bad", "constrained-str"}, r.Fields[0].Path)
					assert.ErrorIs(t, r, polar.ErrValidation)
					assert.Contains(t, r.Error(), *r.Event.ExternalID)
				}
				assert.LessOrEqual(t, s.count(), 2)
				st := i.Stats()
				assert.EqualValues(t, 10-len(poison), st.Sent)
				assert.EqualValues(t, len(poison), st.Rejected)
				assert.Zero(t, st.Queued)
				require.NoError(t, i.Close(t.Context()))
			})
		})
	}
}

func TestPoisonOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		s.bad = func(e map[string]any) []string {
			if e["metadata"].(map[string]any)["seq"].(float64) == 2 {
				return []string{"customer_id"}
			}
			return nil
		}
		var got *RejectedError
		i := newIngester(t, s, OnRejected(func(r *RejectedError) { got = r }))
		track(t, i, 0, 4)
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 4, 2)
		require.NotNil(t, got)
		assert.Equal(t, []string{"customer_id"}, got.Fields[0].Path)
	})
}

// A refusal that does not say which event is at fault is narrowed down.
func TestRefusalWithoutPlace(t *testing.T) {
	for name, refusal := range map[string]func() *http.Response{
		"422": func() *http.Response {
			return answer(422, nil, `{"error":"RequestValidationError","detail":[{"loc":["body"],"msg":"no","type":"x"}]}`)
		},
		"413": func() *http.Response { return answer(413, nil, `{"error":"RequestBodyTooLarge","detail":"no"}`) },
		"400": func() *http.Response { return answer(400, nil, `{"error":"SomethingNew","detail":"no"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFaultServer()
				s.before = poisoned(`"seq":6`, refusal)
				var got []*RejectedError
				i := newIngester(t, s, OnRejected(func(r *RejectedError) { got = append(got, r) }))
				track(t, i, 0, 10)
				require.NoError(t, i.Close(t.Context()))
				s.exactlyOnce(t, 10, 6)
				require.Len(t, got, 1)
				assert.Empty(t, got[0].Fields)
				assert.Contains(t, got[0].Error(), name)
			})
		})
	}
}

// Whatever a refusal says, each event is either sent in the end or given to OnRejected, and nothing is lost or counted twice.
func TestAnyRefusal(t *testing.T) {
	for _, body := range []string{
		`{"error":"RequestValidationError","detail":[{"type":"x","loc":["body","events",1,"EventCreateCustomer","timestamp"],"msg":"m"}]}`,
		`{"error":"X","detail":[{"loc":["body","events",-1]},{"loc":["body","events",99,"a"]},{"loc":["body","events","1"]},{"loc":["body","events",1.5]},{"loc":[]},{}]}`,
		`{"error":"X","detail":[{"loc":["body","events",4]},{"loc":["body","events",0,"EventCreateCustomer","customer_id"],"type":"missing"}]}`,
		`{"error":"X","detail":"x"}`, `{"error":"X"}`, `{"detail":[]}`, `[]`, `null`, `<html>`, ``,
	} {
		for _, status := range []int{300, 301, 307, 400, 401, 402, 403, 404, 405, 408, 409, 410, 411, 413, 418, 421, 422, 425, 429, 431, 499, 500, 502, 503, 504, 529, 599} {
			synctest.Test(t, func(t *testing.T) {
				s := newFaultServer()
				refusals := 0
				s.before = func(*http.Request) (*http.Response, error) {
					if refusals++; refusals > 6 {
						return nil, nil
					}
					return answer(status, http.Header{"Content-Type": {"application/json"}}, body), nil
				}
				rejected := map[int]int{}
				i := newIngester(t, s, WithConcurrency(1), OnRejected(func(r *RejectedError) {
					seq, _ := r.Event.Metadata.Int("seq")
					rejected[int(seq)]++
				}))
				track(t, i, 0, 5)
				require.NoError(t, i.Close(t.Context()))
				for seq := range 5 {
					require.Equal(t, 1, s.counted[seq]+rejected[seq], "%d %s: event %d", status, body, seq)
				}
			})
		}
	}
}

// poisoned answers requests whose body contains text.
func poisoned(text string, refusal func() *http.Response) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		buf := new(strings.Builder)
		if _, err := copyAll(buf, body); err != nil {
			return nil, err
		}
		if strings.Contains(buf.String(), text) {
			return refusal(), nil
		}
		return nil, nil
	}
}

// What is not Polar's own word about an event never costs one: a proxy in the way, a token that was revoked.
func TestRefusalOfOthers(t *testing.T) {
	for _, status := range []int{301, 400, 401, 403, 404, 405, 413, 418, 422, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFaultServer()
				s.before = func(*http.Request) (*http.Response, error) { return answer(status, nil, "<html>"), nil }
				i := newIngester(t, s, OnRejected(func(*RejectedError) { t.Error("rejected") }))
				track(t, i, 0, 5)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				assert.Greater(t, i.Stats().Failures, uint64(10))
				assert.Less(t, i.Stats().Failures, uint64(100), "with pauses")
				s.before = nil
				require.NoError(t, i.Close(t.Context()))
				s.exactlyOnce(t, 5)
			})
		})
	}
}

// A batch on which Polar breaks does not hold up the others, and in the end only the event at fault is left.
func TestPoisonThatBreaksPolar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		s.before = poisoned(`"seq":3}`, func() *http.Response { return answer(500, nil, "Internal Server Error") })
		i := newIngester(t, s, WithBatchSize(10), WithInterval(time.Second))
		k := 0
		for ; k < 3000; k++ {
			track(t, i, k, k+1)
			time.Sleep(200 * time.Millisecond)
		}
		synctest.Wait()
		s.mu.Lock()
		assert.Zero(t, s.counted[3])
		delete(s.counted, 3)
		assert.Greater(t, len(s.counted), 2980)
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := i.Close(ctx)
		left, ok := errors.AsType[*UnsentError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, 1, len(left.Events), "only the one")
		seq, _ := left.Events[0].Metadata.Int("seq")
		assert.EqualValues(t, 3, seq)
		require.ErrorIs(t, err, polar.ErrServer)
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		begin := time.Now()
		s.before = func(*http.Request) (*http.Response, error) {
			if time.Since(begin) < time.Hour {
				return nil, errReset
			}
			return nil, nil
		}
		i := newIngester(t, s, WithBatchSize(50))
		for k := range 3600 {
			track(t, i, k, k+1)
			time.Sleep(time.Second)
		}
		assert.Less(t, s.count(), 300, "it does not hammer a server that is down")
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 3600)
		assert.Less(t, time.Since(begin), time.Hour+2*time.Minute)
	})
}

// Resets after the request was read leave it open whether Polar has the events.
func TestResetsAfterTheRequestWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		s.after = func(*http.Request) error {
			if chance(2) {
				return errReset
			}
			return nil
		}
		i := newIngester(t, s, WithBatchSize(10))
		track(t, i, 0, 1000)
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 1000)
		st := i.Stats()
		assert.Positive(t, st.Duplicates)
		assert.Positive(t, st.Retried)
		assert.EqualValues(t, 1000, st.Sent)
	})
}

func TestRateLimitStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		var (
			mu    sync.Mutex
			until time.Time
			early int
			n     int
		)
		s.before = func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if time.Now().Before(until) {
				early++
				return limited(60), nil
			}
			if n++; n%7 == 0 {
				until = time.Now().Add(60 * time.Second)
				return limited(60), nil
			}
			return nil, nil
		}
		i := newIngester(t, s, WithBatchSize(10))
		track(t, i, 0, 2000)
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 2000)
		assert.LessOrEqual(t, early, 3*(n/7), "only what was under way already")
	})
}

func TestSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		s.before = func(r *http.Request) (*http.Response, error) { // needs 100 ms for each event
			time.Sleep(time.Duration(r.ContentLength/200) * 100 * time.Millisecond)
			return nil, r.Context().Err()
		}
		i := newIngester(t, s, WithBatchSize(1000))
		track(t, i, 0, 2000) // a full batch takes longer than the 30 s of an attempt
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 2000)
	})
}

// Everything at once, over a real network.
func TestChaos(t *testing.T) {
	s := newFaultServer()
	s.before = func(*http.Request) (*http.Response, error) {
		switch {
		case chance(10):
			return nil, errReset
		case chance(10):
			return answer(502, nil, "<html>bad gateway"), nil
		case chance(15):
			return limited(0), nil
		}
		return nil, nil
	}
	s.after = func(*http.Request) error {
		if chance(10) {
			return errReset
		}
		return nil
	}
	url := serve(t, s)
	client, err := polar.New(polar.Token("polar_oat_test"), polar.WithBaseURL(url))
	require.NoError(t, err)
	var rejected atomic.Int64
	i, err := New(client, WithBatchSize(20), WithInterval(time.Millisecond), WithBackoff(time.Millisecond, 5*time.Millisecond), WithFull(FullBlock), WithQueue(200, 1<<20),
		OnRejected(func(*RejectedError) { rejected.Add(1) }))
	require.NoError(t, err)
	const workers, each = 8, 250
	var wg sync.WaitGroup
	var poison []int
	for w := range workers {
		poison = append(poison, w*each+w)
		wg.Go(func() {
			for k := range each {
				e := numbered(w*each + k)
				if k == w {
					e.Metadata["bad"] = "poison"
				}
				if err := i.Track(e); err != nil {
					t.Error(err)
				}
				if k%100 == 50 {
					if err := i.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, i.Close(t.Context()))
	s.exactlyOnce(t, workers*each, poison...)
	st := i.Stats()
	assert.EqualValues(t, len(poison), rejected.Load())
	assert.Equal(t, st.Tracked, st.Sent+st.Rejected)
	assert.Zero(t, st.Queued)
	assert.Zero(t, st.QueuedSize)
}

// Shutdown in the middle: what arrived and what Close gives back is everything, and sending the rest again completes it.
func TestCloseInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		s.delay = time.Second
		i := newIngester(t, s, WithBatchSize(10), WithConcurrency(2))
		track(t, i, 0, 100)
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		begin := time.Now()
		err := i.Close(ctx)
		assert.Equal(t, 2500*time.Millisecond, time.Since(begin))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrUnsent)
		left, ok := errors.AsType[*UnsentError](err)
		require.True(t, ok)
		require.Len(t, left.Events, 60)
		assert.Same(t, left, i.Close(t.Context()), "the outcome is the first's")
		require.ErrorIs(t, i.Flush(t.Context()), ErrClosed)

		next := newIngester(t, s)
		before := int64(-1)
		for _, e := range left.Events {
			seq, _ := e.Metadata.Int("seq")
			assert.Greater(t, seq, before, "in order")
			before = seq
			require.NoError(t, next.Track(e))
		}
		require.NoError(t, next.Close(t.Context()))
		s.exactlyOnce(t, 100)
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		i := newIngester(t, s, WithInterval(time.Hour))
		require.NoError(t, i.Flush(t.Context()))
		track(t, i, 0, 3)
		require.NoError(t, i.Flush(t.Context()))
		s.exactlyOnce(t, 3)
		track(t, i, 3, 4)
		synctest.Wait()
		assert.Equal(t, 1, s.count(), "a flush is over when it is over")
		s.before = func(*http.Request) (*http.Response, error) { return nil, errReset }
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errClosing)
		defer cancel()
		err := i.Flush(ctx)
		require.ErrorIs(t, err, errClosing)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errReset)
		require.ErrorContains(t, err, "1 events are not sent yet")
		s.before = nil
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 4)
	})
}

func TestCallbacksCannotHurt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		var i *Ingester
		i = newIngester(t, s, WithBatchSize(1),
			OnRejected(func(*RejectedError) {
				if err := i.Track(numbered(9)); err != nil { // from a callback
					t.Error(err)
				}
				panic("rejected")
			}),
			OnRequest(func(r Request) {
				if r.Err != nil {
					runtime.Goexit()
				}
				panic(nil)
			}))
		e := numbered(0)
		e.Metadata["bad"] = "poison"
		require.NoError(t, i.Track(e))
		track(t, i, 1, 9)
		var outcomes []error
		require.NoError(t, i.TrackFunc(t.Context(), numbered(10), func(err error) { outcomes = append(outcomes, err); panic("done") }))
		require.NoError(t, i.Flush(t.Context()))
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 11, 0)
		assert.Equal(t, []error{nil}, outcomes)
		assert.EqualValues(t, 1+11+1, i.Stats().Panics)
	})
	t.Run("one that hangs does not stop Close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newFaultServer()
			hang := make(chan struct{})
			i := newIngester(t, s, WithBatchSize(1), OnRequest(func(Request) { <-hang }))
			track(t, i, 0, 20)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.NoError(t, i.Close(ctx))
			s.exactlyOnce(t, 20)
			close(hang)
			synctest.Wait()
		})
	})
}

func TestTrackFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		i := newIngester(t, s, WithBatchSize(2))
		outcomes := map[int]error{}
		follow := func(k int, e models.EventCreate) {
			require.NoError(t, i.TrackFunc(t.Context(), e, func(err error) { outcomes[k] = err }))
		}
		bad := numbered(1)
		bad.Metadata["bad"] = "poison"
		follow(0, numbered(0))
		follow(1, bad)
		require.NoError(t, i.Flush(t.Context()))
		s.before = func(*http.Request) (*http.Response, error) { return answer(401, nil, ""), nil }
		follow(2, numbered(2))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, i.Close(ctx), ErrUnsent)
		synctest.Wait()
		require.Len(t, outcomes, 3)
		require.NoError(t, outcomes[0])
		_, rejected := errors.AsType[*RejectedError](outcomes[1])
		assert.True(t, rejected)
		require.ErrorIs(t, outcomes[2], ErrUnsent)
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		var reports []Request
		i := newIngester(t, s, WithBatchSize(4), OnRequest(func(r Request) { reports = append(reports, r) }))
		lost := false
		s.after = func(*http.Request) error {
			if !lost {
				lost = true
				return errReset
			}
			return nil
		}
		track(t, i, 0, 4)
		require.NoError(t, i.Flush(t.Context()))
		assert.Equal(t, Stats{Tracked: 4, Sent: 4, Duplicates: 4, Retried: 4, Requests: 2, Failures: 1}, i.Stats())
		synctest.Wait()
		require.Len(t, reports, 2)
		require.ErrorIs(t, reports[0].Err, errReset)
		assert.Equal(t, 4, reports[1].Events)
		assert.Equal(t, 2, reports[1].Attempt)
		assert.NoError(t, reports[1].Err)
		assert.EqualValues(t, 4, reports[1].Stats.Sent)
		require.NoError(t, i.Close(t.Context()))
	})
}

func TestSink(t *testing.T) {
	var got []models.EventCreate
	broken := errors.New("broken")
	i, err := New(nil, WithSink(func(_ context.Context, e models.EventCreate) error {
		if len(got) == 2 {
			return broken
		}
		got = append(got, e)
		return nil
	}))
	require.NoError(t, err)
	require.NoError(t, i.Track(numbered(0)))
	require.ErrorIs(t, i.Track(models.EventCreate{}), ErrInvalid)
	require.NoError(t, i.Tick(WithCustomer(t.Context(), acme), "tick"))
	err = i.Track(numbered(1))
	require.ErrorIs(t, err, broken)
	failed, ok := errors.AsType[*StoreError](err)
	require.True(t, ok)
	assert.NotContains(t, err.Error(), "user_42")
	again, ok := errors.AsType[*StoreError](i.Track(failed.Event)) // has its id and time already
	require.True(t, ok)
	assert.Equal(t, failed.Event, again.Event)
	assert.True(t, isUUID(*failed.Event.ExternalID))
	assert.NotNil(t, failed.Event.Timestamp)
	require.NoError(t, i.Close(t.Context()))
	require.ErrorIs(t, i.Track(numbered(1)), ErrClosed)
	require.Len(t, got, 2)
	for _, e := range got {
		assert.True(t, isUUID(*e.ExternalID))
		assert.WithinDuration(t, time.Now(), *e.Timestamp, time.Minute)
	}
	assert.EqualValues(t, 2, i.Stats().Tracked)
}

// Close waits for events that are on their way into a sink, as long as its context allows.
func TestCloseWaitsForTheSink(t *testing.T) {
	for _, patient := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			i, err := New(nil, WithSink(func(context.Context, models.EventCreate) error {
				time.Sleep(time.Minute)
				return nil
			}))
			require.NoError(t, err)
			var tracked error
			go func() { tracked = i.Track(numbered(0)) }()
			synctest.Wait()
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if patient {
				ctx = t.Context()
			}
			require.NoError(t, i.Close(ctx))
			assert.Equal(t, map[bool]time.Duration{true: time.Minute, false: time.Second}[patient], time.Since(begin))
			require.ErrorIs(t, i.Track(numbered(1)), ErrClosed)
			time.Sleep(time.Minute)
			synctest.Wait()
			require.NoError(t, tracked)
		})
	}
}

// A callback that hangs keeps few errors waiting, and not the whole memory.
func TestErrorsAreBounded(t *testing.T) {
	hang := make(chan struct{})
	i := newIngester(t, newFaultServer(), OnError(func(error) { <-hang }))
	served := i.Middleware("x")(http.NotFoundHandler())
	for range 5000 {
		served.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)) // of nobody
	}
	i.calls.mu.Lock()
	assert.LessOrEqual(t, len(i.calls.list), 1000)
	i.calls.mu.Unlock()
	close(hang)
	require.NoError(t, i.Close(t.Context()))
}

// While Polar does not answer well, one request at a time finds out whether it is back.
func TestOneProbeDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultServer()
		s.delay = 5 * time.Second
		s.before = func(*http.Request) (*http.Response, error) { return answer(503, nil, ""), nil }
		i := newIngester(t, s, WithBatchSize(1))
		track(t, i, 0, 20)
		time.Sleep(10 * time.Second) // the first four have failed
		s.mu.Lock()
		s.most = 0
		s.mu.Unlock()
		time.Sleep(10 * time.Minute)
		s.mu.Lock()
		assert.Equal(t, 1, s.most)
		s.before = nil
		s.mu.Unlock()
		require.NoError(t, i.Close(t.Context()))
		s.exactlyOnce(t, 20)
		assert.Equal(t, 4, s.most)
	})
}
