package polar

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
)

// Error is Polar's refusal of a call: every answer with a status of 400 or more, whether its body is JSON, HTML or empty,
// and the redirects that cannot be followed. Get it with [errors.As]; ask what it means with [errors.Is], an
// [ErrorClass] such as [ErrNotFound] and an [ErrorName].
type Error struct {
	Operation  string        // API's name of the operation: "orders:get"
	Method     string        // "GET"
	Route      string        // path with its placeholders: "/v1/orders/{id}"
	StatusCode int           // 404
	Name       ErrorName     // Polar's name of the error: "ResourceNotFound"; of OAuth2 "invalid_token"; empty when the body has none
	Detail     string        // Polar's explanation; empty when the body has none, and for a 422 with Fields
	Fields     []FieldError  // what is wrong with the request, one entry for each complaint of a 422
	Scopes     []string      // scopes any one of which would have allowed the call, from a 401 or 403; often empty
	RetryAfter time.Duration // how long Polar wants to be left alone; 0 when it does not say
	RequestID  string        // id to name to Polar's support; may be empty
	Server     string        // host that answered
	Sandbox    bool          // whether the sandbox answered
	APIVersion string        // version that the server answered in; may be empty
	Header     http.Header   // header of the answer
	Body       []byte        // body of the answer, at most its first 64 KiB; may hold data of customers

	unknown bool // the request may have been carried out all the same
}

// FieldError is one complaint of a 422 about a part of the request.
type FieldError struct {
	// Path leads to the part: "body" or "query" or "path", then names of members and indexes of lists. For bodies with
	// alternatives it also holds the server's name of the alternative.
	Path    []string
	Type    string // kind of the complaint: "missing", "string_too_long"
	Message string // complaint in words
}

// String returns the path and the message: "body.items.0.name: Field required".
func (f FieldError) String() string {
	if len(f.Path) == 0 {
		return f.Message
	}
	return strings.Join(f.Path, ".") + ": " + f.Message
}

// ErrorClass is what an error means, as far as a program can react to it. Its constants are targets of [errors.Is].
type ErrorClass string

// Classes of errors. All but the last four are only of an [*Error].
const (
	// ErrBadRequest is a 400.
	ErrBadRequest ErrorClass = "bad request"
	// ErrUnauthorized is a 401: the token is unknown, expired, revoked, or of the other environment.
	ErrUnauthorized ErrorClass = "unauthorized"
	// ErrPaymentRequired is a 402: a payment failed or needs an action of the customer.
	ErrPaymentRequired ErrorClass = "payment required"
	// ErrForbidden is a 403: the token lacks a scope (see [Error.Scopes]), or the state of the object forbids it.
	ErrForbidden ErrorClass = "forbidden"
	// ErrNotFound is a 404 about the object that was asked for. A 404 about the route is [ErrAPIVersion] instead, so
	// this class may be read as "there is no such license key".
	ErrNotFound ErrorClass = "not found"
	// ErrAPIVersion is a 404 without a name: Polar does not serve the requested API version any more, or does not know
	// the route. It says nothing about the object that was asked for.
	ErrAPIVersion ErrorClass = "API version not served, or unknown route"
	// ErrConflict is a 409: the state of the object does not allow the call, or there is such an object already.
	ErrConflict ErrorClass = "conflict"
	// ErrGone is a 410: the object has expired.
	ErrGone ErrorClass = "gone"
	// ErrTooLarge is a 413: the body of the request is larger than Polar takes, 10 MiB.
	ErrTooLarge ErrorClass = "request too large"
	// ErrValidation is a 422: parts of the request are wrong; [Error.Fields] says which.
	ErrValidation ErrorClass = "validation failed"
	// ErrRateLimited is a 429 of the rate limiter, which was repeated in vain or asked for more patience than
	// [RetryPolicy] has; see [Error.RetryAfter]. A 429 with an [ErrorName] is a refusal of another kind and not of this
	// class.
	ErrRateLimited ErrorClass = "rate limited"
	// ErrServer is a status of 500 or more.
	ErrServer ErrorClass = "server error"
	// ErrOutcomeUnknown is a failed call that may have been carried out all the same, and was not repeated for that
	// reason: the connection broke after the request was sent, a status of 500 or more answered it, or the body of a
	// success was of no use. Look at the state before you repeat the call. The error matches other classes and causes
	// as well.
	ErrOutcomeUnknown ErrorClass = "outcome unknown"
	// ErrNoCredential is a call that needs a credential, made with [Anonymous]. Nothing was sent.
	ErrNoCredential ErrorClass = "credential needed"
	// ErrExpired is an address of a file, to upload a part to or to download from, whose hour is over. Ask Polar for a
	// new one.
	ErrExpired ErrorClass = "address expired"
	// ErrChecksum is content of a file that is not what its checksum and its size say: it was changed or damaged.
	ErrChecksum ErrorClass = "wrong content"
)

// Error returns the class in words.
func (c ErrorClass) Error() string { return "polar: " + string(c) }

// ErrorName is Polar's own name of an error, such as "AlreadyCanceledSubscription", and a target of [errors.Is]. Names that
// Polar documents have constants; ErrorName("Newer") asks for any other.
type ErrorName string

// Error returns the name.
func (n ErrorName) Error() string { return "polar: " + string(n) }

// Is reports whether e is of the [ErrorClass] or has the [ErrorName] target. It is meant for [errors.Is].
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case ErrorName:
		return e.Name != "" && e.Name == target
	case ErrorClass:
		return target == ErrOutcomeUnknown && e.unknown || target == e.class() && target != ""
	}
	return false
}

func (e *Error) class() ErrorClass {
	switch e.StatusCode {
	case http.StatusBadRequest:
		return ErrBadRequest
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusPaymentRequired:
		return ErrPaymentRequired
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusNotFound:
		if e.Name == "" {
			return ErrAPIVersion
		}
		return ErrNotFound
	case http.StatusConflict:
		return ErrConflict
	case http.StatusGone:
		return ErrGone
	case http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	case http.StatusUnprocessableEntity:
		return ErrValidation
	case http.StatusTooManyRequests:
		if e.Name == "" {
			return ErrRateLimited
		}
	}
	if e.StatusCode >= 500 {
		return ErrServer
	}
	return ""
}

// Error returns one line: operation, status, name, what Polar said, shortened to 256 bytes, and a hint where there is one.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("polar: ")
	b.WriteString(label(e.Operation, e.Method, e.Route))
	b.WriteString(": ")
	b.WriteString(strconv.Itoa(e.StatusCode))
	if e.Name != "" {
		b.WriteString(" " + oneLine(string(e.Name), 64))
	} else if text := http.StatusText(e.StatusCode); text != "" {
		b.WriteString(" " + text)
	}
	if said := oneLine(e.said(), maxErrorText); said != "" {
		b.WriteString(": " + said)
	}
	if hint := e.hint(); hint != "" {
		b.WriteString(" (" + hint + ")")
	}
	if e.RequestID != "" {
		b.WriteString(" [request " + oneLine(e.RequestID, 64) + "]")
	}
	return b.String()
}

// said is what the server wrote about the error, in its best form.
func (e *Error) said() string {
	if len(e.Fields) > 0 {
		const shown = 3
		var b strings.Builder
		for i, f := range e.Fields[:min(shown, len(e.Fields))] {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(oneLine(f.String(), maxErrorText/shown-8))
		}
		if more := len(e.Fields) - shown; more > 0 {
			fmt.Fprintf(&b, "; %d more", more)
		}
		return b.String()
	}
	if e.Detail != "" {
		return e.Detail
	}
	if e.Name != "" {
		return ""
	}
	return string(e.Body[:min(len(e.Body), maxErrorText)])
}

// hint is what the status means here and what to do about it.
func (e *Error) hint() string {
	switch e.class() {
	case ErrUnauthorized:
		who := e.Server
		switch {
		case e.Sandbox, "https://"+e.Server == Sandbox.BaseURL():
			who = "the sandbox, " + e.Server + ","
		case "https://"+e.Server == Production.BaseURL():
			who = "production, " + e.Server + ","
		}
		return who + " answered; tokens of another environment are not known there"
	case ErrForbidden:
		if len(e.Scopes) > 0 {
			return oneLine("the token needs one of the scopes "+strings.Join(e.Scopes, ", "), maxErrorText)
		}
	case ErrAPIVersion:
		return "the route is unknown or the API version is not served any more; this is not about the object"
	case ErrRateLimited:
		if e.RetryAfter > 0 {
			return "retry after " + e.RetryAfter.String()
		}
	}
	if e.StatusCode >= 300 && e.StatusCode < 400 {
		return "a redirect" + e.elsewhere() + " that cannot be followed; check the base URL and the slash at the end of the path"
	}
	if e.unknown {
		return unknownHint
	}
	return ""
}

// elsewhere names the server that a redirect points to, without the rest of its URL.
func (e *Error) elsewhere() string {
	to, err := url.Parse(e.Header.Get("Location"))
	if err != nil || to.Host == "" {
		return ""
	}
	return " to " + oneLine(to.Scheme+"://"+to.Host, maxErrorText)
}

const unknownHint = "may have been carried out, so it was not sent again"

// LogValue returns the error's parts as a group, without header and body.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("operation", label(e.Operation, e.Method, e.Route)),
		slog.Int("status", e.StatusCode),
	}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, oneLine(value, maxErrorText)))
		}
	}
	add("name", string(e.Name))
	add("detail", e.said())
	add("scopes", strings.Join(e.Scopes, " "))
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	add("request_id", e.RequestID)
	add("server", e.Server)
	if e.Sandbox {
		attrs = append(attrs, slog.Bool("sandbox", true))
	}
	return slog.GroupValue(attrs...)
}

const (
	maxErrorText = 256      // bytes of what the server wrote that get into a text
	maxErrorKept = 64 << 10 // bytes of an error's body that are kept
	maxErrorRead = 4 << 20  // bytes of an error's body that are read, to find the fields of a large batch
)

// newError makes the error of an answer whose body has been read.
func newError(c *call, resp *http.Response, body []byte) *Error {
	e := &Error{
		Operation:  c.req.op,
		Method:     c.req.method,
		Route:      c.req.route,
		StatusCode: resp.StatusCode,
		RequestID:  requestID(resp.Header),
		Sandbox:    isSandbox(resp.Header),
		APIVersion: resp.Header.Get("Polar-Version"),
		Header:     resp.Header,
		Body:       body,
		unknown:    resp.StatusCode >= 500 && !c.repeatable,
	}
	if len(body) > maxErrorKept {
		e.Body = append([]byte(nil), body[:maxErrorKept]...)
	}
	if resp.Request != nil && resp.Request.URL != nil { // a middleware's answer may lack it
		e.Server = resp.Request.URL.Host
	}
	said := parseErrorBody(body)
	e.Name, e.Detail, e.Fields = ErrorName(said.name), said.detail, said.fields
	if wait, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
		e.RetryAfter = wait
	}
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		e.Scopes = append(e.Scopes, strings.Fields(authParam(challenge, "scope"))...)
	}
	return e
}

type errorBody struct {
	name, detail string
	fields       []FieldError
}

// parseErrorBody reads the forms that Polar gives to errors, as far as data has one: {"error", "detail"} with a text or with
// a list of complaints, and OAuth2's {"error", "error_description"}.
func parseErrorBody(data []byte) (said errorBody) {
	var body struct {
		Error            jsontext.Value `json:"error"`
		Detail           jsontext.Value `json:"detail"`
		ErrorDescription jsontext.Value `json:"error_description"`
	}
	if jsonx.Unmarshal(data, &body) != nil {
		return errorBody{}
	}
	said.name = jsonString(body.Error)
	said.detail = jsonString(body.Detail)
	if said.detail == "" {
		said.detail = jsonString(body.ErrorDescription)
	}
	var complaints []jsontext.Value
	if body.Detail.Kind() != '[' || jsonx.Unmarshal(body.Detail, &complaints) != nil {
		return said
	}
	for _, raw := range complaints {
		var complaint struct {
			Location []jsontext.Value `json:"loc"`
			Type     jsontext.Value   `json:"type"`
			Message  jsontext.Value   `json:"msg"`
		}
		if jsonx.Unmarshal(raw, &complaint) != nil {
			continue
		}
		field := FieldError{Type: jsonString(complaint.Type), Message: jsonString(complaint.Message)}
		for _, step := range complaint.Location {
			if step.Kind() == '"' {
				field.Path = append(field.Path, jsonString(step))
			} else {
				field.Path = append(field.Path, step.String())
			}
		}
		said.fields = append(said.fields, field)
	}
	return said
}

// jsonString returns the text of a JSON string and nothing for other values.
func jsonString(v jsontext.Value) (s string) {
	if v.Kind() == '"' {
		_ = jsonx.Unmarshal(v, &s)
	}
	return s
}

// authParam returns the value of one parameter of a WWW-Authenticate header, such as scope in
// `Bearer realm="polar", error="insufficient_scope", scope="orders:read orders:write"`.
func authParam(challenge, name string) string {
	_, rest, _ := strings.Cut(challenge, " ")
	for rest != "" {
		rest = strings.TrimLeft(rest, ", \t")
		end := strings.IndexAny(rest, "=,")
		if end < 0 {
			return ""
		}
		if rest[end] == ',' {
			rest = rest[end:]
			continue
		}
		key := strings.TrimSpace(rest[:end])
		var value string
		value, rest = authValue(strings.TrimLeft(rest[end+1:], " \t"))
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// authValue splits s after the value, quoted or not, that it begins with.
func authValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, ',')
		if end < 0 {
			end = len(s)
		}
		return strings.TrimSpace(s[:end]), s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// requestID returns the id that Polar's support can find a request by.
func requestID(h http.Header) string {
	if id := h.Get("Cf-Ray"); id != "" {
		return id
	}
	return h.Get("Rndr-Id")
}

func isSandbox(h http.Header) bool { return h.Get("X-Polar-Sandbox") == "1" }

// label is how texts name a call.
func label(op, method, route string) string {
	if op != "" {
		return op
	}
	return method + " " + route
}

// oneLine makes a text of at most limit bytes that can stand in a line of a log: white space is one space, and what does
// not print is left out.
func oneLine(s string, limit int) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case r == utf8.RuneError || !unicode.IsPrint(r):
			continue
		}
		need := utf8.RuneLen(r)
		if space {
			need++
		}
		if b.Len()+need > limit-len("…") {
			b.WriteString("…")
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// callError is a failure of a call other than an answer of 400 or more: nothing was sent, no answer came, or the answer
// cannot be used.
type callError struct {
	call    string // label of the operation
	text    string // replaces the text of err; optional
	err     error  // cause; optional beside a text
	unknown bool
}

func (e *callError) Error() string {
	text := e.text
	if text == "" {
		text = oneLine(e.err.Error(), 2*maxErrorText)
	}
	if e.unknown {
		text += " (" + unknownHint + ")"
	}
	return "polar: " + e.call + ": " + text
}

func (e *callError) Unwrap() error { return e.err }

func (e *callError) Is(target error) bool { return e.unknown && target == ErrOutcomeUnknown }

// withoutURL takes the wrapping of net/http off, whose text repeats the URL with its query.
func withoutURL(err error) error {
	for {
		wrapped, ok := err.(*url.Error)
		if !ok || wrapped.Err == nil {
			return err
		}
		err = wrapped.Err
	}
}
