package polartest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/internal/jsonx"
)

// call is one request being answered. Handlers run with the state locked.
type call struct {
	srv    *Server
	op     *operation
	r      *http.Request
	who    *subject
	now    time.Time
	path   map[string]string
	query  url.Values
	body   []byte         // JSON, nil when none was sent
	value  map[string]any // the same, decoded without loss
	chosen string         // which alternative of the body was sent
	header http.Header    // of the response
	status int
}

// handler answers an operation: with a value to encode, nil for an empty body, or an error.
type handler func(c *call) (any, error)

// handlers is what a resource's file offers, by operation id.
type handlers map[string]handler

// raw is an answer that is not JSON.
type raw struct {
	contentType string
	data        []byte
}

const maxBody = 10 << 20

// inspect sees every answer, in the tests of this package.
var inspect func(what string, status int, contentType string, data []byte)

// serve answers a request, or does what a fault wants instead, and remembers it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	op, values := s.operation(r)
	fault := s.takeFault(op)
	if fault.before != nil && !fault.before(w, r) {
		s.record(r, op, nil, 0)
		return
	}
	held := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	body, err := readBody(w, r)
	if err == nil && fault.instead != nil {
		fault.instead(held)
	} else {
		s.handle(held, r, op, values, body, err)
	}
	if held.header.Get("Date") == "" {
		held.header.Set("Date", s.Now().Format(http.TimeFormat)) // by the server's clock, which may differ from the machine's
	}
	s.record(r, op, body, held.status)
	if fault.after != nil {
		fault.after(w, r, held)
		return
	}
	held.send(w)
}

// handle answers a request the way the real server's layers do it: rate limits, version,
// length, route, token, body, then the operation itself.
func (s *Server) handle(w *heldAnswer, r *http.Request, op *operation, values []string, body []byte, bodyErr error) {
	h := w.Header()
	if wait := s.limited(r, op); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(wait))
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	h.Set("Cache-Control", "private, no-store")
	if !s.config.production {
		h.Set("X-Polar-Sandbox", "1")
	}
	version := r.Header.Get("Polar-Version")
	if version == "" {
		version = factsVersion
	}
	if version != factsVersion {
		write(w, &apiError{status: http.StatusNotFound, body: plainError{"Not Found"}})
		return
	}
	h.Set("Polar-Version", version)
	if bodyErr != nil {
		write(w, bodyErr)
		return
	}
	if op == nil {
		s.noRoute(w, r)
		return
	}
	c := newCall(s, op, r, values)
	status, contentType, data := s.locked(c, body)
	if inspect != nil {
		inspect(c.op.id, status, contentType, data)
	}
	s.nudge()
	for k, v := range c.header {
		h[k] = v
	}
	if data != nil {
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(len(data)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// readBody reads the whole body; one without a length and one that is too long are refused.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if r.ContentLength < 0 || r.ContentLength == 0 && r.Header.Get("Content-Length") == "" && len(r.TransferEncoding) > 0 {
			return nil, &apiError{status: http.StatusLengthRequired, body: namedError{"LengthRequired", "The request has no Content-Length."}}
		}
	}
	if r.ContentLength > maxBody {
		return nil, &apiError{status: http.StatusRequestEntityTooLarge, body: namedError{"RequestBodyTooLarge", "The request body has more than 10 MiB."}}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, &apiError{status: http.StatusBadRequest, body: namedError{"BadRequest", "The request body could not be read."}}
	}
	return data, nil
}

// operation finds the operation of a request and the values of its path's placeholders.
func (s *Server) operation(r *http.Request) (*operation, []string) {
	n, values := s.find(r.URL.EscapedPath())
	if n == nil {
		return nil, nil
	}
	return n.ops[r.Method], values
}

func (s *Server) find(path string) (*node, []string) {
	return s.table.root.find(strings.Split(strings.TrimPrefix(path, "/"), "/"), nil)
}

// noRoute answers what is no operation: with a redirect when only the slash at the end is wrong.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if n, _ := s.find(path); n != nil {
		var allow []string
		for m := range n.ops {
			allow = append(allow, m)
		}
		slices.Sort(allow)
		w.Header().Set("Allow", strings.Join(allow, ", "))
		write(w, &apiError{status: http.StatusMethodNotAllowed, body: plainError{"Method Not Allowed"}})
		return
	}
	other := trimSlash(path)
	if n, _ := s.find(other); n == nil {
		write(w, &apiError{status: http.StatusNotFound, body: plainError{"Not Found"}})
		return
	}
	u := "http://" + r.Host + other
	if r.URL.RawQuery != "" {
		u += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", u)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func newCall(s *Server, op *operation, r *http.Request, values []string) *call {
	c := &call{srv: s, op: op, r: r, path: map[string]string{}, query: r.URL.Query(), header: http.Header{}, status: op.status}
	i := 0
	for _, p := range op.params {
		if p.in == "path" {
			v, err := url.PathUnescape(values[i])
			if err != nil {
				v = values[i]
			}
			c.path[p.name] = v
			i++
		}
	}
	return c
}

// locked answers with the state locked. A mistake in a handler is an answer, too, and does not stop the server.
func (s *Server) locked(c *call, body []byte) (status int, contentType string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			status, contentType, data = errorResponse(c.header, fmt.Errorf("polartest: %s failed: %v", c.op.id, r))
		}
	}()
	return s.answer(c, body)
}

// answer does what needs the state: who asks, whether the request is well formed, and the operation.
func (s *Server) answer(c *call, body []byte) (status int, contentType string, data []byte) {
	s.runDue(s.clock.now())
	c.now = s.at
	result, err := c.run(body)
	if err != nil {
		return errorResponse(c.header, err)
	}
	// what the call set off at once happens after its answer is fixed
	status = c.status
	switch x := result.(type) {
	case nil:
		return status, "", nil
	case raw:
		return status, x.contentType, x.data
	}
	data, err = encode(result)
	if err != nil {
		return errorResponse(c.header, fmt.Errorf("polartest: the answer of %s cannot be encoded: %w", c.op.id, err))
	}
	return status, "application/json", data
}

func (c *call) run(body []byte) (any, error) {
	if err := c.authenticate(); err != nil {
		return nil, err
	}
	if err := c.validate(body); err != nil {
		return nil, err
	}
	h := allHandlers()[c.op.id]
	if h == nil {
		return nil, &apiError{status: http.StatusNotImplemented, body: namedError{"NotImplementedByPolartest", "polartest does not answer " + c.op.id + " yet."}}
	}
	return h(c)
}

// validate checks path, query and body against the table.
func (c *call) validate(body []byte) error {
	v := &validator{now: c.now}
	v.checkQuery(c.op, c.path, c.query)
	if c.op.body != nil {
		c.readBody(v, body)
	}
	if len(v.faults) > 0 {
		return &apiError{status: http.StatusUnprocessableEntity, body: validationError{"RequestValidationError", v.faults}}
	}
	return nil
}

func (c *call) readBody(v *validator, body []byte) {
	if c.op.form {
		c.readForm(v, body)
		return
	}
	if len(body) == 0 {
		if !c.op.optional {
			v.add("missing", []any{"body"}, "Field required", nil, nil)
		}
		return
	}
	value, err := readJSON(body)
	if err != nil {
		v.add("json_invalid", []any{"body", 0}, "JSON decode error", map[string]any{}, map[string]any{"error": "the body is not JSON"})
		return
	}
	if value == nil && c.op.optional {
		return
	}
	c.chosen, _ = v.check(c.op.body, nil, []any{"body"}, value)
	c.body = body
	c.value, _ = value.(map[string]any)
	if c.op.id == "events:ingest" {
		checkEventTimes(v, c.value)
	}
}

func (c *call) readForm(v *validator, body []byte) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		v.add("missing", []any{"body"}, "Field required", nil, nil)
		return
	}
	value := map[string]any{}
	for k, x := range form {
		value[k] = x[len(x)-1]
	}
	c.chosen, _ = v.check(c.op.body, nil, []any{"body"}, value)
	c.value = value
	c.body, _ = jsonx.Marshal(value)
}

// decode reads the body into a model.
func decode[T any](c *call) (T, error) {
	var v T
	if c.body == nil {
		return v, nil
	}
	if err := jsonx.Unmarshal(c.body, &v); err != nil {
		return v, invalid(fault{Type: "value_error", Loc: []any{"body"}, Msg: "The body does not fit its type: " + err.Error()})
	}
	return v, nil
}

// asks tells whether the query leaves value in: it has no such parameter, or one of its values.
func (c *call) asks(param, value string) bool {
	want, ok := c.query[param]
	return !ok || slices.Contains(want, value)
}

// asksPtr is asks for a value that may be missing.
func (c *call) asksPtr(param string, value *string) bool {
	want, ok := c.query[param]
	return !ok || value != nil && slices.Contains(want, *value)
}

// asksBool is asks for a bool.
func (c *call) asksBool(param string, value bool) bool {
	want, ok := parseBool(c.query.Get(param))
	return !ok || want == value
}

// asksTime tells whether t lies between two parameters, either of which may be missing.
func (c *call) asksTime(after, before string, t time.Time) bool {
	if from, ok := c.time(after); ok && t.Before(from) {
		return false
	}
	if to, ok := c.time(before); ok && !t.Before(to) {
		return false
	}
	return true
}

func (c *call) time(param string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, c.query.Get(param))
	return t.UTC(), err == nil
}

// searches tells whether one of the texts contains the query parameter, whatever the case.
func (c *call) searches(param string, texts ...string) bool {
	want := strings.ToLower(c.query.Get(param))
	return want == "" || slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), want) })
}

// asksMetadata applies metadata[key]=value: every key must have one of its values.
func (c *call) asksMetadata(m map[string]any) bool {
	for name, want := range c.query {
		key, ok := strings.CutPrefix(name, "metadata[")
		if !ok || !strings.HasSuffix(key, "]") {
			continue
		}
		x, ok := m[strings.TrimSuffix(key, "]")]
		if !ok || !slices.Contains(want, plainText(x)) {
			return false
		}
	}
	return true
}

// plainText writes a metadata value as a query does.
func plainText(x any) string {
	switch x := x.(type) {
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return fmt.Sprint(x)
}

// page makes the page of a list that the query asks for. items are in the order in which they
// were made; compare has a function for each criterion beside created_at.
func page[T, M any](c *call, items []T, compare map[string]func(a, b T) int, render func(T) M) (any, error) {
	items = sorted(c, items, compare)
	number, limit := 1, 10
	if n, err := strconv.Atoi(c.query.Get("page")); err == nil {
		number = n
	}
	if n, err := strconv.Atoi(c.query.Get("limit")); err == nil {
		limit = min(n, 100)
	}
	total := len(items)
	first := min((number-1)*limit, total)
	out := polar.Page[M]{Items: make([]M, 0, limit), Pagination: polar.Pagination{TotalCount: total, MaxPage: (total + limit - 1) / limit}}
	for _, x := range items[first:min(first+limit, total)] {
		out.Items = append(out.Items, render(x))
	}
	return &out, nil
}

// sorted orders items by the query's criteria.
func sorted[T any](c *call, items []T, compare map[string]func(a, b T) int) []T {
	criteria := c.query["sorting"]
	if len(criteria) == 0 {
		for _, p := range c.op.params {
			if p.name == "sorting" && p.rules.def != nil {
				_ = jsonx.Unmarshal(p.rules.def, &criteria)
			}
		}
	}
	if len(criteria) == 0 {
		return items
	}
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		for _, name := range criteria {
			name, desc := strings.CutPrefix(name, "-")
			n := a - b
			if f := compare[name]; f != nil {
				n = f(items[a], items[b])
			}
			if desc {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return a - b
	})
	out := make([]T, len(items))
	for i, k := range order {
		out[i] = items[k]
	}
	return out
}
