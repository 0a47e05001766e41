package polar

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// Request describes a call that this module has no method for; see [Client.Do].
type Request struct {
	// Method is the HTTP method, in capitals.
	Method string
	// Path is the path below the base URL, with the exact slash or no slash at its end, such as /v1/new-thing/. It may
	// have placeholders in braces, /v1/new-thing/{id}, for the PathValues. Errors, logs and middleware show Path as
	// it stands here, so ids belong into PathValues.
	Path string
	// PathValues are put in place of the placeholders, in order and escaped. Empty ones are refused.
	PathValues []string
	// Query is a url.Values, a struct with url tags as those of this package, or nil.
	Query any
	// Body is written as JSON, which a json.RawMessage already is; a url.Values is sent as a form; nil sends none.
	Body any
	// Accept is the media type to ask for; JSON when it is empty.
	Accept string
	// Name is the name of the operation in errors, logs and middleware; Method and Path when it is empty.
	Name string
	// Repeatable allows that the request is sent again although the server may have carried it out. A GET may be anyway.
	Repeatable bool
}

// Do makes a call that this module has no method for, with the client's credential, headers, checks, repetitions and
// errors. The answer is decoded into out as JSON; a *[]byte gets its bytes as they are, and nil drops it. A client that
// is [Anonymous] sends no token.
//
//	var thing struct{ ID string `json:"id"` }
//	err := client.Do(ctx, polar.Request{Method: "GET", Path: "/v1/new-thing/{id}", PathValues: []string{id}}, &thing)
func (c *Client) Do(ctx context.Context, req Request, out any, opts ...CallOption) error {
	return c.core.do(ctx, req, out, opts)
}

// Do makes a call of the Customer Portal API that this module has no method for; see [Client.Do].
func (p *Portal) Do(ctx context.Context, req Request, out any, opts ...CallOption) error {
	return p.core.do(ctx, req, out, opts)
}

func (c *core) do(ctx context.Context, req Request, out any, opts []CallOption) error {
	r := &request{
		op: req.Name, method: req.Method, route: req.Path, path: req.PathValues, query: req.Query, body: req.Body, noBody: req.Body == nil,
		accept: req.Accept, flags: optionalAuth, opts: opts,
	}
	if req.Repeatable {
		r.flags |= idempotent
	}
	if form, ok := req.Body.(url.Values); ok {
		r.body, r.form = formBody(form), true
	}
	err := checkRequest(req)
	if err == nil && out != nil && (reflect.ValueOf(out).Kind() != reflect.Pointer || isNil(out)) {
		err = errors.New("out has to be a pointer to what the answer is decoded into, or nil to drop it")
	}
	if err != nil {
		return &callError{call: "Do", err: err}
	}
	return c.call(ctx, r, out)
}

func checkRequest(req Request) error {
	if req.Method == "" || strings.Trim(req.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return errors.New("method is not an HTTP method in capitals, such as " + http.MethodGet)
	}
	if !strings.HasPrefix(req.Path, "/") || strings.Contains(req.Path, "//") {
		return errors.New("path has to begin with one slash and have no empty part: /v1/new-thing/")
	}
	if strings.ContainsAny(req.Path, "?#") {
		return errors.New("path has a query or a fragment: the query belongs into Query, values into PathValues")
	}
	for part := range strings.SplitSeq(req.Path, "/") {
		if part == "." || part == ".." {
			return errors.New("path has a part . or .. that leads to another route")
		}
	}
	return nil
}

type formBody url.Values

func (f formBody) FormValues() url.Values { return url.Values(f) }
