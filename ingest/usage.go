package ingest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/polar-go/polar/models"
)

// UsageOption changes the events of one strategy, such as [Ingester.Timer].
type UsageOption func(*usage)

type usage struct {
	ctx      context.Context
	metadata models.Metadata
	unit     time.Duration
}

// UsageMetadata adds metadata to the events of a strategy. The strategy's own keys win.
func UsageMetadata(m models.Metadata) UsageOption {
	return func(u *usage) { u.metadata = m }
}

// UsageUnit sets the unit of [Ingester.Timer]: milliseconds by default.
func UsageUnit(unit time.Duration) UsageOption {
	return func(u *usage) {
		if unit > 0 {
			u.unit = unit
		}
	}
}

// UsageContext sets the context that limits how long the policy [FullBlock] waits, when usage is reported.
func UsageContext(ctx context.Context) UsageOption {
	return func(u *usage) {
		if ctx != nil {
			u.ctx = ctx
		}
	}
}

func newUsage(opts []UsageOption) *usage {
	u := &usage{ctx: context.Background(), unit: time.Millisecond}
	for _, opt := range opts {
		if opt != nil {
			opt(u)
		}
	}
	return u
}

// event makes the event of a strategy.
func (u *usage) event(name string, own models.Metadata) models.EventCreate {
	m := make(models.Metadata, len(u.metadata)+len(own))
	for key, value := range u.metadata {
		m[key] = value
	}
	for key, value := range own {
		m[key] = value
	}
	return models.EventCreate{Name: name, Metadata: m}
}

// Timer measures how long something takes, by the monotonic clock. The function that it returns tracks an event with the
// metadata deltaTime, in the unit of [UsageUnit], and strategy, and returns the time measured; more calls of it do nothing but
// return the same.
//
//	stop := ing.Timer("compute", customer)
//	defer stop()
func (i *Ingester) Timer(event string, customer Customer, opts ...UsageOption) func() (time.Duration, error) {
	if i == nil || i.wake == nil {
		return func() (time.Duration, error) { return 0, errNotNew }
	}
	u, begin := newUsage(opts), i.now()
	var (
		once sync.Once
		took time.Duration
		err  error
	)
	return func() (time.Duration, error) {
		once.Do(func() {
			took = max(0, i.now().Sub(begin)) // an injected clock may go backwards
			delta := float64(took) / float64(u.unit)
			err = i.use(u.ctx, customer, u.event(event, models.Metadata{"deltaTime": delta, "strategy": "DeltaTime"}))
		})
		return took, err
	}
}

// Tick tracks that something happened once. The customer is that of the context.
func (i *Ingester) Tick(ctx context.Context, event string, opts ...UsageOption) error {
	customer, err := i.find(ctx)
	if err != nil {
		return err
	}
	return i.use(ctx, customer, newUsage(opts).event(event, nil))
}

// counter counts bytes and reports them once.
type counter struct {
	ing      *Ingester
	event    string
	customer Customer
	usage    *usage
	mu       sync.Mutex
	n        int64
	once     sync.Once
	err      error
}

func (i *Ingester) counter(event string, customer Customer, opts []UsageOption) *counter {
	return &counter{ing: i, event: event, customer: customer, usage: newUsage(opts)}
}

func (c *counter) add(n int) {
	if n > 0 {
		c.mu.Lock()
		c.n += int64(n)
		c.mu.Unlock()
	}
}

// report tracks what was counted, the first time that it is called. Nothing is no usage.
func (c *counter) report() error {
	c.once.Do(func() {
		c.mu.Lock()
		n := c.n
		c.mu.Unlock()
		if n > 0 {
			c.err = c.ing.use(c.usage.ctx, c.customer, c.usage.event(c.event, models.Metadata{"bytes": n, "strategy": "Stream"}))
		}
	})
	return c.err
}

// Reader counts the bytes read from r and tracks them as one event, with the metadata bytes and strategy, when r ends or fails or
// the reader is closed, whichever is first. Closing it closes r if r has a Close. A failure to track is an error of Close; the
// reading is not disturbed. Always close it, since nothing is tracked of a reader that is left halfway.
func (i *Ingester) Reader(r io.Reader, event string, customer Customer, opts ...UsageOption) (io.ReadCloser, error) {
	if err := i.ready(customer); err != nil {
		return nil, err
	}
	return &countingReader{r: r, counter: i.counter(event, customer, opts)}, nil
}

// ready reports what keeps usage of the customer from being tracked, before it happens.
func (i *Ingester) ready(customer Customer) error {
	switch {
	case i == nil || i.wake == nil:
		return errNotNew
	case customer.IsZero():
		return ErrNoCustomer
	}
	return nil
}

type countingReader struct {
	r       io.Reader
	counter *counter
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.counter.add(n)
	if err != nil {
		_ = c.counter.report() // Close tells
	}
	return n, err
}

func (c *countingReader) Close() error {
	var err error
	if closer, ok := c.r.(io.Closer); ok {
		err = closer.Close()
	}
	return errors.Join(err, c.counter.report())
}

// Writer counts the bytes written to w and tracks them as one event, as [Ingester.Reader] does, when a write fails or the
// writer is closed. Closing it closes w if w has a Close.
func (i *Ingester) Writer(w io.Writer, event string, customer Customer, opts ...UsageOption) (io.WriteCloser, error) {
	if err := i.ready(customer); err != nil {
		return nil, err
	}
	return &countingWriter{w: w, counter: i.counter(event, customer, opts)}, nil
}

type countingWriter struct {
	w       io.Writer
	counter *counter
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.counter.add(n)
	if err != nil {
		_ = c.counter.report() // Close tells
	}
	return n, err
}

func (c *countingWriter) Close() error {
	var err error
	if closer, ok := c.w.(io.Closer); ok {
		err = closer.Close()
	}
	return errors.Join(err, c.counter.report())
}

// ResponseWriter counts the bytes of a response's body. The function that it returns tracks them as one event; call it when the
// handler ends, also after a panic. The writer supports what w does: flushing, hijacking and deadlines, by
// [http.ResponseController] as well. It cannot see that a request is a HEAD, of whose answer net/http drops the body that a handler
// writes all the same: do not use it for those.
func (i *Ingester) ResponseWriter(w http.ResponseWriter, event string, customer Customer, opts ...UsageOption) (http.ResponseWriter, func() error, error) {
	if err := i.ready(customer); err != nil {
		return nil, nil, err
	}
	c := i.counter(event, customer, opts)
	return &countingResponse{ResponseWriter: w, counter: c}, c.report, nil
}

type countingResponse struct {
	http.ResponseWriter
	counter *counter
}

func (c *countingResponse) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.counter.add(n)
	return n, err
}

// ReadFrom keeps the way of the system that sends files without copying them.
func (c *countingResponse) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.counter.mu.Lock()
	c.counter.n += n
	c.counter.mu.Unlock()
	return n, err
}

// Flush sends what was written so far, if the writer beneath can.
func (c *countingResponse) Flush() { _ = http.NewResponseController(c.ResponseWriter).Flush() }

// Hijack takes the connection over, if the writer beneath allows it. What is written to it then is not counted.
func (c *countingResponse) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(c.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (c *countingResponse) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Middleware counts the requests of each customer: one event for each request that the handler has answered, with the
// metadata route, the pattern of [http.ServeMux] that matched, method, status and strategy. The path itself is left out, since it holds ids.
//
// The customer is found in the context of the request, so authentication has to be around the middleware. A request without
// customer is served, no event is tracked, and [OnError] gets [ErrNoCustomer]: billing that is set up wrongly must not take an API down.
func (i *Ingester) Middleware(event string, opts ...UsageOption) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &statusRecorder{countingResponse: countingResponse{ResponseWriter: w, counter: &counter{}}}
			finished := false
			defer func() {
				if !finished && rec.status == 0 {
					rec.status = http.StatusInternalServerError // the handler panicked, which goes on
				}
				i.served(r, rec.status, event, opts)
			}()
			next.ServeHTTP(rec, r)
			finished = true
		})
	}
}

func (i *Ingester) served(r *http.Request, status int, event string, opts []UsageOption) {
	customer, err := i.find(r.Context())
	if err == nil {
		m := models.Metadata{"method": r.Method, "strategy": "HTTP", "status": status}
		if status == 0 {
			m["status"] = http.StatusOK
		}
		if r.Pattern != "" {
			m["route"] = r.Pattern
		}
		// The call was served, whether the client has waited for the answer or not.
		err = i.use(context.WithoutCancel(r.Context()), customer, newUsage(opts).event(event, m))
	}
	if err != nil && i != nil && i.wake != nil {
		i.report(err)
	}
}

type statusRecorder struct {
	countingResponse
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}
