package webhooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

const (
	// DefaultMaxBody is the size of the largest body that a [Router] reads. Polar's payloads are a few kilobytes, and tens
	// of them for objects with many parts.
	DefaultMaxBody = 1 << 20
	// DefaultReadTimeout is how long a [Router] waits for a body. Polar gives up after the same time.
	DefaultReadTimeout = 10 * time.Second

	releaseTimeout = 5 * time.Second
)

// Handler handles an event of any type. A nil error acknowledges the delivery.
type Handler func(ctx context.Context, e Event) error

// Router is the [http.Handler] that receives deliveries: it reads the body, verifies it, drops duplicates, and calls the
// handlers of the event. It is made by [NewRouter], filled by [On] and [Router.Default], and safe for concurrent use.
//
// # Answers
//
//   - 202 without a body: handled, or handled before, or no handler is there for it, or the error is [Permanent]
//   - 403: not signed with any of the secrets, or too old, or too new
//   - 400: genuine and not readable as an event, or the body broke off
//   - 405, 408, 413: not a POST, a body that took too long, a body over the limit
//   - 409: the same delivery is being handled at this moment
//   - 500: the handler returned an error or panicked, the [Deduper] failed, something else has read the body, or the
//     router is not set up
//
// Polar sends an event again after every answer outside 200 to 299, ten times in all, and disables the endpoint after ten
// events in a row that failed for good. Events that nobody handles are therefore acknowledged. The body of an answer is
// shown by Polar with the delivery; it says what was wrong with the request and never what a handler's error says.
//
// # Handlers
//
// Handlers get the context of the request, which ends when Polar hangs up after 10 seconds. They have to be idempotent all
// the same: duplicates are only dropped as long as the [Deduper] remembers them, and after an error all handlers of the
// event run again. Polar advises to answer within 2 seconds; see the package's documentation for work that takes longer.
//
// # Other middleware
//
// Nothing may read the body before the router: no form parsing, no JSON binding, no logging of bodies. The content type
// does not matter, as the signature says more. Frameworks that are not built on net/http can use [Verifier.Parse] and
// [Router.Dispatch] with the bytes of the body, and answer with [StatusCode].
type Router struct {
	verifier    *Verifier
	maxBody     int64
	readTimeout time.Duration
	dedupe      Deduper
	onFailure   func(context.Context, Failure)

	mu         sync.RWMutex
	routes     map[models.WebhookEventType][]Handler
	unknown    []Handler
	fallback   Handler
	middleware []func(Handler) Handler
	setup      error
}

// RouterOption sets something of a [Router].
type RouterOption func(*Router)

// WithMaxBody sets the size of the largest body that is read instead of [DefaultMaxBody]. Zero and less mean the default.
func WithMaxBody(bytes int64) RouterOption {
	return func(r *Router) {
		if bytes > 0 {
			r.maxBody = bytes
		}
	}
}

// WithReadTimeout sets how long the router waits for a body instead of [DefaultReadTimeout]. The router leaves it to an
// [http.Server] that has a ReadTimeout of its own, and to servers that do not let handlers set one. Zero and less mean the
// default.
func WithReadTimeout(d time.Duration) RouterOption {
	return func(r *Router) {
		if d > 0 {
			r.readTimeout = d
		}
	}
}

// WithDeduper sets what drops duplicates instead of a [MemoryDeduper]. Processes behind the same endpoint need one that
// they share, such as a [RedisDeduper]. Nil lets duplicates through.
func WithDeduper(d Deduper) RouterOption { return func(r *Router) { r.dedupe = d } }

// WithFailureHandler sets what failures are reported to. Without it they are logged by [slog.Default]: refused requests
// as warnings, and what went wrong with genuine events as errors. The function is called before the answer is sent, by
// the goroutine of the request. Nil means the default.
func WithFailureHandler(f func(ctx context.Context, f Failure)) RouterOption {
	return func(r *Router) {
		if f != nil {
			r.onFailure = f
		}
	}
}

// Failure is something that went wrong with a delivery.
type Failure struct {
	// Err is what went wrong: an error of this package, or that of a handler.
	Err error
	// Status is the answer to Polar. It is 202 for failures that Polar need not know of: errors that are [Permanent], and a
	// [Deduper] that failed after the event was handled.
	Status int
	// Event is the event, and nil when the request was refused before its payload was read.
	Event Event
	// ID is the webhook-id of the request. As long as Event is nil, anybody may have written it; empty if it cannot be one.
	ID string
	// Stack is where a handler panicked, and nil for other failures.
	Stack []byte
}

// NewRouter returns a router that accepts what the verifier accepts. A nil verifier makes a router that refuses all
// requests and is only good for [Router.Dispatch].
func NewRouter(v *Verifier, opts ...RouterOption) *Router {
	r := &Router{
		verifier:    v,
		maxBody:     DefaultMaxBody,
		readTimeout: DefaultReadTimeout,
		dedupe:      NewMemoryDeduper(),
	}
	for _, opt := range opts {
		if opt != nil {
			opt(r)
		}
	}
	return r
}

// On lets h handle the events of one type, which is that of its parameter:
//
//	webhooks.On(r, func(ctx context.Context, e *webhooks.OrderPaid) error { ... })
//
// Handlers of the same type run one after the other, in the order in which they were added, until one returns an error. A
// handler of [*Unknown] gets the events of all types that this version of the module does not know.
//
// A type of your own works too, for events and members that are newer than this module: a struct that embeds [Delivery]
// and whose method Type returns the event's name, also when the struct is empty.
//
//	type SubscriptionMoved struct {
//		webhooks.Delivery
//		Data struct { ID string `json:"id"` } `json:"data"`
//	}
//
//	func (*SubscriptionMoved) Type() models.WebhookEventType { return "subscription.moved" }
//
// On may be called at any time. A nil h, and a type of your own that has no name, are errors of [Router.Err].
func On[T any, E interface {
	*T
	Event
}](r *Router, h func(ctx context.Context, e E) error) {
	empty := E(new(T))
	t := empty.Type()
	_, unknown := any(empty).(*Unknown)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case h == nil:
		r.setup = fail(ErrSetup, fmt.Sprintf("the handler of %T is nil", empty))
		return
	case t == "" && !unknown:
		r.setup = fail(ErrSetup, fmt.Sprintf("the method Type of %T returns an empty string", empty))
		return
	}
	handle := func(ctx context.Context, e Event) error {
		own, ok := e.(E)
		if !ok {
			var err error
			if own, err = convert[T, E](e); err != nil {
				return err
			}
		}
		return h(ctx, own)
	}
	if unknown {
		r.unknown = append(r.unknown, handle)
		return
	}
	if r.routes == nil { // a Router that NewRouter has not made refuses requests, and does not crash
		r.routes = make(map[models.WebhookEventType][]Handler)
	}
	r.routes[t] = append(r.routes[t], handle)
}

// convert reads an event into another type, from its payload.
func convert[T any, E interface {
	*T
	Event
}](e Event) (E, error) {
	d := e.Info()
	body := d.Payload()
	if body == nil {
		var err error
		if body, err = Encode(e); err != nil {
			return nil, err
		}
	}
	own := E(new(T))
	if err := jsonx.Unmarshal(body, own); err != nil {
		return nil, failWith(ErrMalformed, fmt.Sprintf("the payload of %s cannot be read into a %T: %s",
			printable(string(e.Type())), own, jsonx.Explain(err)), err)
	}
	into := own.Info()
	into.ID, into.SentAt, into.payload = d.ID, d.SentAt, d.payload
	if into.APIVersion == "" {
		into.APIVersion = d.APIVersion
	}
	return own, nil
}

// Default lets h handle the events that no handler was added for, unknown ones among them. The last call counts; nil
// means that such events are acknowledged and forgotten.
func (r *Router) Default(h Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fallback = h
}

// Use puts middleware around the handlers, for instance to log, to measure, or to open a transaction. The first one is the
// outermost. It sees each event that has a handler, once it was verified and is no duplicate.
func (r *Router) Use(middleware ...func(next Handler) Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range middleware {
		if m == nil {
			r.setup = fail(ErrSetup, "a middleware is nil")
			continue
		}
		r.middleware = append(r.middleware, m)
	}
}

// Types returns the types of events that have handlers by [On], in alphabetical order: what an endpoint of Polar needs to
// subscribe to if there is no other handler.
func (r *Router) Types() []models.WebhookEventType {
	r.mu.RLock()
	defer r.mu.RUnlock()
	types := make([]models.WebhookEventType, 0, len(r.routes))
	for t := range r.routes {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// Err returns what is wrong with the router itself, and nil when it is ready. As long as there is something, the router
// answers 500.
func (r *Router) Err() error {
	if r.verifier == nil || len(r.verifier.keys) == 0 {
		return fail(ErrSetup, "the router has no verifier: make one with NewVerifier")
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.setup
}

// Dispatch calls the handlers of an event, as for a delivery that was verified and is no duplicate. It is for events that
// come out of a queue. It returns the error of the handler; a panic becomes an error that matches [ErrPanic]. An event
// without a handler is no error.
func (r *Router) Dispatch(ctx context.Context, e Event) error {
	if isNil(e) {
		return fail(ErrSetup, "the event is nil")
	}
	h := r.handlerOf(e)
	if h == nil {
		return nil
	}
	_, err := call(ctx, h, e)
	return err
}

// handlerOf returns the handlers of an event as one, with the middleware around, and nil when there is none.
func (r *Router) handlerOf(e Event) Handler {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := r.routes[e.Type()]
	if _, ok := e.(*Unknown); ok && len(list) == 0 {
		list = r.unknown
	}
	if len(list) == 0 && r.fallback != nil {
		list = []Handler{r.fallback}
	}
	if len(list) == 0 {
		return nil
	}
	// appending to the router's slices later does not change what these hold
	middleware := r.middleware
	return func(ctx context.Context, e Event) error {
		h := func(ctx context.Context, e Event) error {
			for _, h := range list {
				if err := h(ctx, e); err != nil {
					return err
				}
			}
			return nil
		}
		for _, m := range slices.Backward(middleware) {
			h = m(h)
		}
		return h(ctx, e)
	}
}

// call calls a handler and turns a panic into an error, with the place where it happened.
func call(ctx context.Context, h Handler, e Event) (stack []byte, err error) {
	returned := false
	defer func() {
		if p := recover(); p != nil {
			stack, err = debug.Stack(), panicError("the handler", p)
		} else if !returned {
			// the handler ended the goroutine, which goes on ending; what is returned here is only seen by other deferred calls
			err = fail(ErrPanic, "the handler ended its goroutine")
		}
	}()
	err = h(ctx, e)
	returned = true
	return nil, err
}

func panicError(what string, p any) error {
	cause, _ := p.(error)
	return failWith(ErrPanic, fmt.Sprintf("%s panicked: %v", what, p), cause)
}

// ServeHTTP receives a delivery; see [Router] for the answers.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var f Failure
	if err := r.serve(w, req, &f); err != nil {
		f.Err = err
		r.report(req.Context(), f)
	}
	if f.Status == http.StatusAccepted {
		w.WriteHeader(f.Status)
		return
	}
	if f.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	http.Error(w, f.answer(), f.Status)
}

// answer is what the sender gets to read: what is wrong with the request, and nothing about what went on behind.
func (f *Failure) answer() string {
	e, ok := errors.AsType[*classError](f.Err)
	if ok && (f.Event == nil && f.Status < http.StatusInternalServerError || e.class == ErrBodyConsumed || f.Status == http.StatusConflict) {
		return e.text
	}
	return "the delivery was not handled; the receiver has the details"
}

// serve does everything but answer: it sets f.Status and, as far as it gets, the other fields.
func (r *Router) serve(w http.ResponseWriter, req *http.Request, f *Failure) (err error) {
	f.Status = http.StatusInternalServerError
	defer func() {
		if p := recover(); p != nil {
			err, f.Stack = panicError("the deduper", p), debug.Stack() // handlers have been cared for
			f.Status = http.StatusInternalServerError
		}
	}()
	e, err := r.receive(w, req, f)
	if err != nil {
		f.Status = StatusCode(err)
		return err
	}
	f.Event = e
	h := r.handlerOf(e)
	if h == nil {
		f.Status = http.StatusAccepted
		return nil
	}
	if r.dedupe == nil {
		return r.handle(req.Context(), h, f)
	}
	return r.handleOnce(req.Context(), h, f)
}

// handle calls the handler and sets f.Status by what it returns.
func (r *Router) handle(ctx context.Context, h Handler, f *Failure) error {
	stack, err := call(ctx, h, f.Event)
	f.Stack = stack
	if err == nil || IsPermanent(err) {
		f.Status = http.StatusAccepted
	}
	return err
}

// handleOnce is handle unless the delivery is a duplicate.
func (r *Router) handleOnce(ctx context.Context, h Handler, f *Failure) (err error) {
	owner, state, err := r.dedupe.Claim(ctx, f.ID)
	if err != nil {
		if classOf(err) != ErrDeduper {
			err = failWith(ErrDeduper, "the deduper failed: "+err.Error(), err)
		}
		return err
	}
	switch state {
	case Claimed:
	case Handled:
		f.Status = http.StatusAccepted
		return nil
	case InProgress:
		f.Status = http.StatusConflict
		return fail(ErrInProgress, "the delivery is being handled at the moment")
	default:
		return fail(ErrDeduper, "the deduper returned the unknown state "+strconv.Itoa(int(state)))
	}
	// The claim is settled however the handler ends, also when Polar has hung up or the handler has ended its goroutine.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		if failed := r.settle(ctx, f, owner); failed != nil {
			r.report(ctx, Failure{
				Err: failWith(ErrDeduper, "the deduper failed after the handler: "+failed.Error(), failed), Status: f.Status, Event: f.Event, ID: f.ID,
			})
		}
	}()
	return r.handle(ctx, h, f)
}

// settle marks a delivery as done or gives its claim back, by f.Status. What goes wrong here does not change the answer.
func (r *Router) settle(ctx context.Context, f *Failure, owner string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError("the deduper", p)
		}
	}()
	if f.Status == http.StatusAccepted {
		return r.dedupe.Done(ctx, f.ID)
	}
	return r.dedupe.Release(ctx, f.ID, owner)
}

// receive returns the event of a request that is a delivery, and sets f.ID. Checks that need no body come before it is
// read.
func (r *Router) receive(w http.ResponseWriter, req *http.Request, f *Failure) (Event, error) {
	r.limitReading(w, req)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if req.Method != http.MethodPost {
		return nil, fail(ErrMethod, "deliveries are POSTed")
	}
	if req.ContentLength > r.maxBody {
		return nil, r.tooLarge()
	}
	h, err := r.verifier.checkHeader(req.Header)
	if validID(h.id) {
		f.ID = h.id
	}
	if err != nil {
		return nil, err
	}
	body, err := r.readBody(w, req)
	if err != nil {
		return nil, err
	}
	if err := r.verifier.checkSignature(h, body); err != nil {
		return nil, err
	}
	return h.decode(body)
}

func (r *Router) tooLarge() error {
	return fail(ErrBodyTooLarge, "the body has more than "+strconv.FormatInt(r.maxBody, 10)+" bytes")
}

// readBody reads the body within the limits of size and time.
func (r *Router) readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, consumed
	}
	var b bytes.Buffer
	b.Grow(int(min(max(req.ContentLength, 0), 64<<10)) + bytes.MinRead) // a header may promise more than ever comes
	n, err := b.ReadFrom(http.MaxBytesReader(w, req.Body, r.maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, r.tooLarge()
		}
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return nil, failWith(ErrBodyTimeout, "the body did not arrive in time", err)
		}
		if errors.Is(err, http.ErrBodyReadAfterClose) {
			return nil, consumed
		}
		return nil, failWith(ErrBodyIncomplete, "the body broke off", err)
	}
	// net/http has an error for a body that is shorter than its Content-Length, so somebody else had the rest
	if n < req.ContentLength {
		return nil, consumed
	}
	if n == 0 {
		return nil, failWith(ErrBodyIncomplete, "the body is empty, or something has read it before the router", io.ErrUnexpectedEOF)
	}
	return b.Bytes(), nil
}

var consumed = fail(ErrBodyConsumed, "something has read the body before the router: put the router in front of middleware "+
	"that parses forms, binds JSON or logs bodies")

// limitReading sets a time limit for reading the body. It also holds for what net/http reads of the body of a refused
// request before it answers; once the body is there, net/http takes it back.
func (r *Router) limitReading(w http.ResponseWriter, req *http.Request) {
	if server, ok := req.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ReadTimeout > 0 {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(r.readTimeout)) // not every kind of server has one
}

// report passes a failure on. A function that panics must not cost Polar its answer.
func (r *Router) report(ctx context.Context, f Failure) {
	if r.onFailure == nil {
		logFailure(ctx, f)
		return
	}
	defer func() {
		if p := recover(); p != nil {
			slog.Default().LogAttrs(ctx, slog.LevelError, "polar webhooks: the failure handler panicked", slog.Any("panic", p))
		}
	}()
	r.onFailure(ctx, f)
}

func logFailure(ctx context.Context, f Failure) {
	level, text := slog.LevelError, "polar webhook failed"
	switch {
	case classOf(f.Err) == ErrInProgress:
		level = slog.LevelInfo
	case f.Event == nil && f.Status < http.StatusInternalServerError:
		level, text = slog.LevelWarn, "polar webhook refused"
	}
	attrs := []slog.Attr{slog.Any("error", f.Err), slog.Int("status", f.Status)}
	if f.ID != "" {
		attrs = append(attrs, slog.String("webhook_id", f.ID))
	}
	if f.Event != nil {
		attrs = append(attrs, slog.String("type", printable(string(f.Event.Type()))))
	}
	if f.Stack != nil {
		attrs = append(attrs, slog.String("stack", strings.TrimSpace(string(f.Stack))))
	}
	slog.Default().LogAttrs(ctx, level, text, attrs...)
}
