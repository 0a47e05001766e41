package polar

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/polar-go/polar/internal/jsonx"
)

// request is one call as a service method describes it.
type request struct {
	op      string   // the API's name of the operation: "orders:get"
	method  string   // "GET"
	route   string   // path with its placeholders and exact slashes: "/v1/orders/{id}"
	path    []string // values of the placeholders, in order
	query   any      // pointer to a struct with url tags, possibly a nil pointer; nil for none
	body    any      // JSON; nil for none, which POST, PUT and PATCH must confirm with noBody
	noBody  bool     // there is no body: the operation takes none, or the caller left an optional one out
	form    bool     // body is sent as a form, by its method FormValues
	flags   flags
	accept  string // media type of the answer when it is not JSON
	pending *bool  // set for a 202 with an empty body, which is an error otherwise
	opts    []CallOption
}

// flags are the properties of an operation that decide about credentials and repetition.
type flags uint8

const (
	public       flags = 1 << iota // never carries a token
	optionalAuth                   // carries a token if the client has one
	idempotent                     // may be repeated although it is not a GET
	streaming                      // the answer's body is handed to the caller as it comes
)

const (
	maxRequestBody  = 10 << 20 // bytes that Polar takes
	maxResponseBody = 32 << 20 // bytes of an answer that are read into memory
)

// do calls an operation and returns its decoded answer. It is thin on purpose: everything in it is compiled once for each
// type of answer.
func do[T any](ctx context.Context, c *core, r *request) (*T, error) {
	out := new(T)
	if err := c.call(ctx, r, out); err != nil {
		return nil, err
	}
	return out, nil
}

// exec calls an operation whose answer has no body that matters.
func exec(ctx context.Context, c *core, r *request) error {
	return c.call(ctx, r, nil)
}

// stream calls an operation and returns its answer's body as it comes. The context limits the reading, too.
func stream(ctx context.Context, c *core, r *request) (io.ReadCloser, error) {
	r.flags |= streaming
	call, resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if !success(resp) {
		_, err := call.read(ctx, resp)
		return nil, err
	}
	return &streamBody{ReadCloser: resp.Body, call: call}, nil
}

// call calls an operation and decodes its answer into out, which is nil when the answer does not matter, a *[]byte for the
// bytes as they are, or else a pointer for JSON.
func (c *core) call(ctx context.Context, r *request, out any) error {
	call, resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	body, err := call.read(ctx, resp)
	if err != nil || out == nil {
		return err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = body
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		if r.pending != nil && resp.StatusCode == http.StatusAccepted {
			*r.pending = true
			return nil
		}
		return call.unreadable(resp, "an empty body where JSON was expected", io.ErrUnexpectedEOF)
	}
	if err := jsonx.Unmarshal(body, out); err != nil {
		return call.unreadable(resp, fmt.Sprintf("a body of %d bytes that does not decode: %s", len(body), jsonx.Explain(err)), nil)
	}
	return nil
}

// call is the state of one call of an operation: its settings, and how far its attempts have come. It travels in the
// context of the requests, since the hooks of the libraries see nothing else.
type call struct {
	config     // the client's, changed by call options
	req        *request
	header     http.Header // of call options
	info       *ResponseInfo
	repeatable bool // may be sent again even if it was carried out

	attempt     int  // number of the current attempt, from 1; 0 before the first
	started     bool // the transport has got the request in the current attempt
	askedConn   atomic.Bool
	gotConn     atomic.Bool
	interrupted bool // the context ended while the call waited to be repeated
}

type callKey struct{}

var errNoContext = errors.New("context is nil: pass context.Background() if there is no other")

func (c *call) label() string { return label(c.req.op, c.req.method, c.req.route) }

func (c *call) operation() Operation {
	return Operation{ID: c.req.op, Method: c.req.method, Route: c.req.route, Attempt: c.attempt}
}

// unreadable makes the error of a success whose body is of no use. It does not wrap the errors of the decoder, which hold
// values of the body: there are programs that print a whole chain.
func (c *call) unreadable(resp *http.Response, body string, err error) error {
	return &callError{call: c.label(), err: err, unknown: !c.repeatable,
		text: fmt.Sprintf("%s %s answered %d with %s", c.req.method, c.req.route, resp.StatusCode, body)}
}

// send prepares a request, sends it as often as the rules allow, and returns the last answer, whatever its status. Errors
// are ready for the user.
func (c *core) send(ctx context.Context, r *request) (*call, *http.Response, error) {
	if c == nil {
		return nil, nil, errZeroClient
	}
	call := &call{config: c.config, req: r}
	if ctx == nil {
		return nil, nil, &callError{call: call.label(), err: errNoContext}
	}
	target, body, err := c.prepare(call)
	if err != nil {
		return nil, nil, &callError{call: call.label(), err: err}
	}
	var payload any // stays a nil interface without a body
	if body != nil {
		payload = body
	}
	req, err := retryablehttp.NewRequestWithContext(context.WithValue(ctx, callKey{}, call), r.method, target, payload)
	if err != nil {
		return nil, nil, &callError{call: call.label(), err: withoutURL(err)}
	}
	call.setHeader(req.Header, c.userAgent, body != nil)
	call.attempt = 1
	resp, err := c.http.Do(req)
	if call.info != nil {
		call.info.Attempts = call.attempt
		if resp != nil {
			call.info.fill(resp)
		}
	}
	if err != nil {
		return nil, nil, call.failed(ctx, err)
	}
	return call, resp, nil
}

// prepare applies the call options, checks everything that can be checked without Polar, and returns the URL and the body.
func (c *core) prepare(call *call) (target string, body []byte, err error) {
	r := call.req
	if err := call.apply(r.opts); err != nil {
		return "", nil, err
	}
	switch {
	case r.flags&public != 0:
		call.authorization, call.organization = nil, ""
	case call.authorization == nil && r.flags&optionalAuth == 0:
		return "", nil, fmt.Errorf("the call needs a token and the client is anonymous: %w", ErrNoCredential)
	}
	path, err := expand(r.route, r.path)
	if err != nil {
		return "", nil, err
	}
	query, err := encodeQuery(r.query)
	if err != nil {
		return "", nil, err
	}
	if body, err = encodeBody(r); err != nil {
		return "", nil, err
	}
	call.repeatable = repeatable(r)
	target = c.baseURL.String() + path
	if query != "" {
		target += "?" + query
	}
	return target, body, nil
}

// apply changes the settings of the call.
func (c *call) apply(opts []CallOption) error {
	for i, opt := range opts {
		if opt == nil {
			return fmt.Errorf("call option %d is nil", i+1)
		}
		if err := opt(c); err != nil {
			return err
		}
	}
	return nil
}

// repeatable reports whether a request may be sent again even if it was carried out.
func repeatable(r *request) bool {
	switch r.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	if r.flags&idempotent != 0 {
		return true
	}
	b, ok := r.body.(interface{ Repeatable() bool })
	return ok && b.Repeatable()
}

// expand puts values in place of the placeholders of a route.
func expand(route string, values []string) (string, error) {
	if len(values) == 0 && !strings.Contains(route, "{") {
		return route, nil
	}
	var b strings.Builder
	b.Grow(len(route) + 40*len(values))
	rest := route
	for _, value := range values {
		before, after, ok := strings.Cut(rest, "{")
		name, after, closed := strings.Cut(after, "}")
		if !ok || !closed {
			return "", fmt.Errorf("route %s has fewer placeholders than the %d values for it", route, len(values))
		}
		switch value {
		case "":
			return "", fmt.Errorf("%s is empty", name)
		case ".", "..":
			return "", fmt.Errorf("%s is %q, which would lead to another route", name, value)
		}
		b.WriteString(before)
		b.WriteString(url.PathEscape(value))
		rest = after
	}
	if strings.Contains(rest, "{") {
		return "", fmt.Errorf("route %s has more placeholders than the %d values for it", route, len(values))
	}
	b.WriteString(rest)
	return b.String(), nil
}

// encodeBody checks the body of a request and returns its bytes, nil for none.
func encodeBody(r *request) ([]byte, error) {
	if r.noBody {
		return nil, nil
	}
	if isNil(r.body) {
		switch {
		case r.body != nil, r.method == http.MethodPost, r.method == http.MethodPut, r.method == http.MethodPatch:
			return nil, errors.New("body is nil")
		}
		return nil, nil
	}
	if v, ok := r.body.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, err
		}
	}
	var data []byte
	if r.form {
		f, ok := r.body.(interface{ FormValues() url.Values })
		if !ok {
			return nil, fmt.Errorf("body %T cannot be sent as a form", r.body)
		}
		data = []byte(f.FormValues().Encode())
	} else {
		var err error
		if data, err = jsonx.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("body cannot be written as JSON: %w", err)
		}
	}
	if len(data) > maxRequestBody {
		return nil, fmt.Errorf("body has %d bytes and Polar takes at most %d: split it", len(data), maxRequestBody)
	}
	return data, nil
}

// setHeader sets everything but the token, which belongs to the attempt.
func (c *call) setHeader(h http.Header, userAgent string, hasBody bool) {
	values := make([]string, 0, 5) // one allocation for all of them
	set := func(key, value string) {
		n := len(values)
		values = append(values, value)
		h[key] = values[n : n+1 : n+1]
	}
	set("User-Agent", userAgent)
	set("Polar-Version", c.apiVersion)
	set("Accept", cmp.Or(c.req.accept, "application/json"))
	if hasBody && c.req.form {
		set("Content-Type", "application/x-www-form-urlencoded")
	} else if hasBody {
		set("Content-Type", "application/json")
	}
	if c.organization != "" {
		set("Polar-Organization", c.organization)
	}
	maps.Copy(h, c.header)
}

// read returns the body of an answer, or the error that the answer is.
func (c *call) read(ctx context.Context, resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if success(resp) {
		if buffered, ok := resp.Body.(*bufferedBody); ok {
			return buffered.data, nil
		}
		body, err := readBody(resp, maxResponseBody) // of a middleware
		if err != nil {
			return nil, c.failed(ctx, err)
		}
		return body, nil
	}
	var err error = newError(c, resp, peek(resp))
	if c.interrupted {
		err = interruption(ctx, err)
	}
	return nil, err
}

// interruption adds to the failure of an attempt that the context ended before the next one.
func interruption(ctx context.Context, err error) error {
	ended, cause := ctx.Err(), context.Cause(ctx)
	if !errors.Is(ended, cause) {
		ended = fmt.Errorf("%w, %w,", ended, cause)
	}
	return fmt.Errorf("%w (%w while waiting to repeat the call)", err, ended)
}

func success(resp *http.Response) bool { return resp.StatusCode/100 == 2 }

// failed makes the error of a call that got no answer.
func (c *call) failed(ctx context.Context, err error) error {
	err = withoutURL(err)
	if c.interrupted {
		err = interruption(ctx, err)
	} else if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return &callError{call: c.label(), err: err, unknown: !c.repeatable && !c.unsent()}
}

// attempt is the RoundTripper that makes one attempt of a call: it waits for the rate limiter, adds the token, watches the
// time and the connection, and reads the body of the answer, so that a body which breaks off or stalls is a failure of the
// attempt, and the connection is free while the call waits. Bodies of streams are left to the caller.
type attempt struct{ core *core }

func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	parent := req.Context()
	c, ok := parent.Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("a middleware did not pass the context of the request on")
	}
	c.started = false
	c.askedConn.Store(false)
	c.gotConn.Store(false)
	if c.limiter != nil {
		if err := c.limiter.Wait(parent); err != nil {
			return nil, &finalError{err}
		}
	}

	ctx, cancel := context.WithCancelCause(parent)
	timer := time.AfterFunc(c.attemptTimeout, func() { cancel(&timeoutError{c.attemptTimeout}) })
	begin := time.Now()
	resp, err := a.send(ctx, c, req)
	if err == nil && c.req.flags&streaming != 0 && success(resp) && timer.Stop() {
		resp.Body = &cancelBody{ReadCloser: resp.Body, cancel: cancel}
	} else {
		if err == nil {
			err = buffer(resp)
		}
		if err != nil {
			err = explain(ctx, parent, err)
			resp = nil
		}
		timer.Stop()
		cancel(nil)
	}
	c.logAttempt(parent, resp, err, time.Since(begin))
	return resp, err
}

// send adds the token, which must not be in the request that middleware and redirects see, and sends the request.
func (a *attempt) send(ctx context.Context, c *call, outer *http.Request) (*http.Response, error) {
	header := outer.Header
	if c.authorization != nil && outer.URL.Scheme == a.core.baseURL.Scheme && outer.URL.Host == a.core.baseURL.Host {
		value, err := c.authorization(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
				err = fmt.Errorf("%w (%w)", err, cause)
			}
			return nil, &finalError{err}
		}
		header = make(http.Header, len(outer.Header)+1)
		maps.Copy(header, outer.Header)
		header["Authorization"] = []string{value}
	}
	req := outer.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { c.askedConn.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { c.gotConn.Store(true) },
	}))
	req.Header = header
	transport := a.core.transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	if ctx.Err() != nil {
		return nil, &finalError{context.Cause(ctx)} // so that it is certain that nothing was sent
	}
	c.started = true
	resp, err := transport.RoundTrip(req)
	if err == nil && resp == nil {
		err = errors.New("the transport returned neither an answer nor an error")
	}
	if err != nil {
		return nil, err
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	resp.Request = outer // the transport's has the token
	if _, err := resp.Location(); err != nil {
		resp.Header.Del("Location") // http.Client would repeat it in an error
	}
	if l, ok := c.limiter.(*limiter); ok && c.authorization != nil {
		l.answered(resp.StatusCode)
	}
	return resp, nil
}

// explain gives an error of an attempt its cause: the time limit of the attempt, or the end of the call's context.
func explain(ctx, parent context.Context, err error) error {
	if _, final := errors.AsType[*finalError](err); final || parent.Err() != nil {
		return err
	}
	if timeout, ok := errors.AsType[*timeoutError](context.Cause(ctx)); ok {
		return timeout
	}
	return err
}

// timeoutError is the end of an attempt by its time limit. Like the timeouts of net/http it is a
// [context.DeadlineExceeded] and a [net.Error].
type timeoutError struct{ limit time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("no complete answer within %v, the limit of an attempt", e.limit)
}
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// bufferedBody is a body that has been read.
type bufferedBody struct {
	bytes.Reader
	data []byte
}

func (*bufferedBody) Close() error { return nil }

// buffer reads the body of an answer and puts a copy in memory in its place.
func buffer(resp *http.Response) error {
	limit := maxResponseBody
	if !success(resp) {
		limit = maxErrorRead
	}
	data, err := readBody(resp, limit)
	if err != nil {
		return err
	}
	body := &bufferedBody{data: data}
	body.Reset(data)
	resp.Body = body
	return nil
}

// readBody reads and closes a body. One of more than limit bytes is an error when it belongs to a success, and is cut
// otherwise.
func readBody(resp *http.Response, limit int) ([]byte, error) {
	defer resp.Body.Close()
	if resp.Body == http.NoBody {
		return nil, nil
	}
	tooLarge := func() error { return &finalError{fmt.Errorf("the answer has more than %d bytes", limit)} }
	if success(resp) && resp.ContentLength > int64(limit) {
		return nil, tooLarge()
	}
	size := 512
	if n := resp.ContentLength; n >= 0 && n < 1<<20 {
		size = int(n) + bytes.MinRead // bytes.Buffer wants that much room to see the end
	}
	buf := bytes.NewBuffer(make([]byte, 0, size))
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, int64(limit)+1)); err != nil {
		return nil, err
	}
	if buf.Len() > limit && success(resp) {
		return nil, tooLarge()
	}
	return buf.Bytes()[:min(buf.Len(), limit)], nil
}

// peek returns the body of a refusal and leaves it in place.
func peek(resp *http.Response) []byte {
	if _, ok := resp.Body.(*bufferedBody); !ok && buffer(resp) != nil {
		return nil // of a middleware
	}
	return resp.Body.(*bufferedBody).data
}

// cancelBody is the body of a stream: it ends the context of its attempt when it ends or is closed.
type cancelBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *cancelBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.cancel(nil)
	}
	return n, err
}

func (b *cancelBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// streamBody names the call in the errors of reading a stream.
type streamBody struct {
	io.ReadCloser
	call *call
}

func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = &callError{call: b.call.label(), err: err, text: "the stream broke off: " + oneLine(err.Error(), maxErrorText)}
	}
	return n, err
}

func (c *call) logAttempt(ctx context.Context, resp *http.Response, err error, took time.Duration) {
	if c.logger == nil || !c.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("operation", c.label()),
		slog.String("method", c.req.method),
		slog.String("route", c.req.route),
		slog.Int("attempt", c.attempt),
		slog.Duration("duration", took),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", oneLine(withoutURL(err).Error(), maxErrorText)))
	} else {
		attrs = append(attrs, slog.Int("status", resp.StatusCode), slog.String("request_id", requestID(resp.Header)))
	}
	c.logger.LogAttrs(ctx, slog.LevelDebug, "polar: attempt", attrs...)
}
