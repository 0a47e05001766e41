package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	polar "github.com/polar-go/polar"
)

// A method is one method of the client, found by reflection.
type method struct {
	place place
	owner string       // name of the service's type
	typ   reflect.Type // without the receiver
	index int
}

// in are the types of the arguments after the context, without the options.
func (m method) in() []reflect.Type {
	var out []reflect.Type
	for i := 1; i < m.typ.NumIn(); i++ {
		if i == m.typ.NumIn()-1 && m.typ.IsVariadic() {
			break
		}
		out = append(out, m.typ.In(i))
	}
	return out
}

// iterates tells the methods that return an iterator over all pages.
func (m method) iterates() bool {
	return m.typ.NumOut() == 1 && m.typ.Out(0).Kind() == reflect.Func && strings.HasPrefix(m.typ.Out(0).Name(), "Seq2[")
}

// methodsOf lists the methods of the services of a client or a portal.
func methodsOf(root any, portal bool) []method {
	var out []method
	v := reflect.ValueOf(root).Elem()
	for i := range v.NumField() {
		fd := v.Type().Field(i)
		if !fd.IsExported() || fd.Type.Kind() != reflect.Pointer || fd.Type.Elem().Kind() != reflect.Struct {
			continue
		}
		s := v.Field(i)
		for j := range s.NumMethod() {
			out = append(out, method{place{portal, fd.Name, s.Type().Method(j).Name}, fd.Type.Elem().Name(), s.Method(j).Type(), j})
		}
	}
	return out
}

// sdk is what the checks know about the client: its methods, and the types of its models.
type sdk struct {
	methods []method
	byPlace map[place]method
	reg     *registry
	helpers map[string]bool // methods written by hand over the generated ones, by type and name
}

var theSDK = sync.OnceValue(func() *sdk {
	c, err := polar.New(polar.Token("t"))
	if err != nil {
		panic(err)
	}
	p, err := polar.NewPortal(polar.Token("t"))
	if err != nil {
		panic(err)
	}
	s := &sdk{byPlace: map[place]method{}, reg: theRegistry(), helpers: helperMethods(filepath.Join("..", ".."))}
	s.methods = append(methodsOf(c, false), methodsOf(p, true)...)
	for _, m := range s.methods {
		s.byPlace[m.place] = m
	}
	return s
})

// helperMethods lists the methods of services that are written by hand, in the files that end in _ext.go, and are no operation of their own.
func helperMethods(root string) map[string]bool {
	files, err := filepath.Glob(filepath.Join(root, "*_ext.go"))
	if err != nil {
		panic(err)
	}
	out := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			panic(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok {
				if owner, ok := star.X.(*ast.Ident); ok {
					out[owner.Name+"."+fn.Name.Name] = true
				}
			}
		}
	}
	return out
}

// method is the method that calls op, if the client has it.
func (s *sdk) method(op *operation) (method, bool) {
	m, ok := s.byPlace[expected(op)]
	return m, ok
}

const (
	basePath    = "/some/base"
	clientToken = "polar_oat_harness"
	portalToken = "polar_cst_harness"
)

// A call is what the server has seen.
type call struct {
	method  string
	path    string // escaped, below the base
	outside bool   // not below the base
	query   url.Values
	header  http.Header
	length  int64
	body    []byte
}

// An answer is what the server says.
type answer struct {
	status int
	typ    string
	body   []byte
	header http.Header
}

// A rig is a client, a portal and the server that they talk to.
type rig struct {
	client *polar.Client
	portal *polar.Portal
	answer func(c *call) answer
	calls  []*call
}

// newRig makes a rig with a real server when a testing.TB is given, for what has to be seen on the wire, else with one in memory.
func newRig(t testing.TB, anonymous bool) *rig {
	r := &rig{}
	var opts []polar.Option
	if t != nil {
		srv := httptest.NewServer(http.HandlerFunc(r.serve))
		t.Cleanup(srv.Close)
		opts = append(opts, polar.WithBaseURL(srv.URL+basePath))
	} else {
		opts = append(opts, polar.WithBaseURL("http://harness.invalid"+basePath), polar.WithHTTPClient(&http.Client{Transport: r}))
	}
	opts = append(opts, polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1}))
	var one, two polar.Credential = polar.Token(clientToken), polar.Token(portalToken)
	if anonymous {
		one, two = polar.Anonymous, polar.Anonymous
	}
	var err, err2 error
	r.client, err = polar.New(one, opts...)
	r.portal, err2 = polar.NewPortal(two, opts...)
	if err := errors.Join(err, err2); err != nil {
		panic(err)
	}
	return r
}

func (r *rig) see(req *http.Request) answer {
	c := &call{method: req.Method, header: req.Header.Clone(), query: req.URL.Query(), length: req.ContentLength}
	var ok bool
	c.path, ok = strings.CutPrefix(req.URL.EscapedPath(), basePath)
	c.outside = !ok
	if req.Body != nil {
		c.body, _ = io.ReadAll(req.Body)
	}
	r.calls = append(r.calls, c)
	if r.answer == nil {
		return answer{status: http.StatusNoContent}
	}
	return r.answer(c)
}

func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	a := r.see(req)
	for k, v := range a.header {
		w.Header()[k] = v
	}
	if a.typ != "" {
		w.Header().Set("Content-Type", a.typ)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// RoundTrip is the server in memory.
func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	a := r.see(req)
	if req.Body != nil {
		_ = req.Body.Close()
	}
	h := http.Header{}
	for k, v := range a.header {
		h[k] = v
	}
	if a.typ != "" {
		h.Set("Content-Type", a.typ)
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h,
		Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: req,
	}, nil
}

// invoke calls a method with the arguments after the context and returns its results.
func (r *rig) invoke(m method, args []reflect.Value) []reflect.Value {
	var root any = r.client
	if m.place.portal {
		root = r.portal
	}
	fn := reflect.ValueOf(root).Elem().FieldByName(m.place.service).Method(m.index)
	return fn.Call(append([]reflect.Value{reflect.ValueOf(context.Background())}, args...))
}

// split takes the error off the results of a method.
func split(out []reflect.Value) (result any, err error) {
	if n := len(out); n > 0 {
		if e, ok := out[n-1].Interface().(error); ok {
			err = e
		}
		if n > 1 {
			result = out[0].Interface()
		}
	}
	return result, err
}

// Arguments for the placeholders of a path. They need escaping in every way there is, and differ so that their order shows.
var pathArgs = []string{"a/b?c", "d%2Fe #é&+;=", "..", "x y"}

// arguments are the values to call a method with, one set for each value of the body and of the parameters.
type arguments struct {
	sets  [][]reflect.Value
	paths []string
}

// argumentsFor makes the arguments of a method by its signature and the operation that it is for.
func argumentsFor(f *filler, m method, op *operation) (*arguments, bool) {
	a := &arguments{}
	var cols [][]reflect.Value
	n := 1
	placeholders := op.params("path")
	for _, t := range m.in() {
		var vs []reflect.Value
		base := t
		if t.Kind() == reflect.Pointer {
			base = t.Elem()
		}
		switch {
		case t.Kind() == reflect.String && t.PkgPath() == "":
			if len(a.paths) >= len(placeholders) {
				f.fail("signature", "%s has more ids than %s", m.place, op.Path)
				return nil, false
			}
			arg := pathArgs[len(a.paths)%len(pathArgs)]
			a.paths = append(a.paths, arg)
			vs = []reflect.Value{reflect.ValueOf(arg)}
		case isParams(t):
			needed := slices.ContainsFunc(op.params("query"), func(p *parameter) bool { return p.Required })
			if byValue := t.Kind() == reflect.Struct; byValue != needed {
				f.fail("query", "%s takes a %s, required parameters: %v", m.place, t, needed)
			}
			if f.minimal && t.Kind() == reflect.Pointer {
				vs = append(vs, reflect.Zero(t))
			}
			for _, v := range f.params(base, op) {
				if t.Kind() == reflect.Pointer {
					p := reflect.New(base)
					p.Elem().Set(v)
					v = p
				}
				vs = append(vs, v)
			}
		case op.Body == nil:
			f.fail("signature", "%s takes a %s, the description has no body", m.place, t)
			return nil, false
		default:
			vs = f.fill(t, op.Body.Schema, "$")
			optional := t.Kind() == reflect.Pointer
			if optional == op.Body.Required {
				f.fail("signature", "%s takes a %s, required is %v", m.place, t, op.Body.Required)
			}
			if optional && f.minimal {
				vs = []reflect.Value{reflect.Zero(t)}
			}
		}
		if len(vs) == 0 {
			f.fail("signature", "there is no value of %s", t)
			return nil, false
		}
		cols = append(cols, vs)
		n = max(n, len(vs))
	}
	if len(a.paths) != len(placeholders) {
		f.fail("signature", "%s has %d ids, %s has %d", m.place, len(a.paths), op.Path, len(placeholders))
		return nil, false
	}
	for i := range n {
		set := make([]reflect.Value, len(cols))
		for j, vs := range cols {
			set[j] = vs[i%len(vs)]
		}
		a.sets = append(a.sets, set)
	}
	return a, true
}

// isParams tells the type of an argument that holds query parameters.
func isParams(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && len(members(t, "url")) > 0 && len(members(t, "json")) == 0
}

// checkRefusals calls the method of one operation in ways that cannot be meant: with an empty id, without a body, without required parameters.
// Nothing may be sent.
func checkRefusals(doc *document, s *sdk, op *operation) []finding {
	f := newFiller(doc, s.reg, op.ID)
	f.minimal = true
	m, ok := s.method(op)
	if !ok {
		return []finding{{op.ID, "method", "the client does not have it"}}
	}
	args, ok := argumentsFor(f, m, op)
	f.findings = nil
	if !ok {
		return nil
	}
	r := newRig(nil, false)
	r.answer = func(*call) answer { return success(doc, op) }
	try := func(what string, i int, v reflect.Value) {
		set := slices.Clone(args.sets[0])
		set[i] = v
		r.calls = nil
		if _, err := split(r.invoke(m, set)); err == nil || len(r.calls) > 0 {
			f.fail(what, "is not refused: %d requests, %v", len(r.calls), err)
		}
	}
	for i, t := range m.in() {
		switch {
		case t.Kind() == reflect.String && t.PkgPath() == "":
			try("an empty id", i, reflect.ValueOf(""))
		case isParams(t) && t.Kind() == reflect.Struct:
			try("no required parameters", i, reflect.Zero(t))
		case t.Kind() == reflect.Interface:
			try("a nil body", i, reflect.Zero(t))
			for _, g := range s.reg.implementers(t) {
				if p := reflect.PointerTo(g); p.Implements(t) {
					try("a body that is a nil "+p.String(), i, reflect.Zero(p))
				}
			}
		}
	}
	return f.findings
}

// find is the operation that a call is for: its method, and a path whose placeholders hold exactly the arguments, in order.
func find(doc *document, c *call, args []string) *operation {
	for _, op := range doc.ops {
		if op.Method == c.method && fits(op.Path, c.path, args) {
			return op
		}
	}
	return nil
}

func fits(template, path string, args []string) bool {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return false
	}
	n := 0
	for i, w := range want {
		if !strings.HasPrefix(w, "{") {
			if w != have[i] {
				return false
			}
			continue
		}
		v, err := url.PathUnescape(have[i])
		if err != nil || n >= len(args) || v != args[n] {
			return false
		}
		n++
	}
	return n == len(args)
}

// success is an answer that the operation describes, for calls whose answer does not matter.
func success(doc *document, op *operation) answer {
	status, r := op.success()
	if r.Schema == nil || r.Type == "" {
		return answer{status: status}
	}
	if r.Type == "text/csv" {
		return answer{status: status, typ: "text/csv; charset=utf-8", body: []byte("a,b\r\n1,2\r\n")}
	}
	return answer{status: status, typ: r.Type, body: encodeJSON(sampleOf(doc, op, r))}
}

func sampleOf(doc *document, op *operation, r *responseSpec) any {
	if hand, ok := undescribed[op.ID]; ok {
		return hand
	}
	return first(doc, r.Schema)
}

// checkOperation calls the method of one operation with everything that it can be called with, and compares the requests with the description.
func checkOperation(t testing.TB, doc *document, s *sdk, op *operation) []finding {
	f := newFiller(doc, s.reg, op.ID)
	m, ok := s.method(op)
	if !ok {
		f.fail("method", "the client has no %s", expected(op))
		return f.findings
	}
	r := newRig(t, false)
	cover := newCoverage(op)
	for _, minimal := range []bool{false, true} {
		f.minimal = minimal
		args, ok := argumentsFor(f, m, op)
		if !ok {
			break
		}
		for _, set := range args.sets {
			before := describe(set)
			r.calls = nil
			r.answer = func(c *call) answer {
				got := find(doc, c, args.paths)
				if got == nil {
					return answer{status: http.StatusTeapot}
				}
				return success(doc, got)
			}
			_, err := split(r.invoke(m, set))
			if len(r.calls) != 1 {
				f.fail("call", "%d requests were sent: %v", len(r.calls), err)
				continue
			}
			c := r.calls[0]
			got := find(doc, c, args.paths)
			switch {
			case c.outside:
				f.fail("path", "%s is not below the base path", c.path)
			case got == nil:
				f.fail("path", "%s %s is no operation of the description", c.method, c.path)
			case got != op:
				f.fail("path", "%s calls %s", m.place, got)
			}
			if err != nil && got == op {
				f.fail("result", "a described answer is an error: %v", err)
			}
			checkHeader(f, op, c)
			checkQuery(f, op, c, minimal, cover)
			checkQuerySet(f, c, set)
			checkBody(f, op, c, minimal, cover)
			if after := describe(set); before != after {
				f.fail("arguments", "the call changed them")
			}
		}
	}
	cover.missing(f)
	return f.findings
}

// describe prints arguments deeply enough to see whether a call changed them.
func describe(set []reflect.Value) string {
	var b strings.Builder
	for _, v := range set {
		dump(&b, v)
		b.WriteByte(';')
	}
	return b.String()
}

func dump(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		b.WriteByte('&')
		dump(b, v.Elem())
	case reflect.Struct:
		b.WriteByte('{')
		for i := range v.NumField() {
			dump(b, v.Field(i))
			b.WriteByte(',')
		}
		b.WriteByte('}')
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			dump(b, v.Index(i))
			b.WriteByte(',')
		}
		b.WriteByte(']')
	default:
		fmt.Fprintf(b, "%v", v) // maps print sorted
	}
}

func checkHeader(f *filler, op *operation, c *call) {
	want := "Bearer " + clientToken
	if op.portal() {
		want = "Bearer " + portalToken
	}
	switch auth := c.header.Values("Authorization"); {
	case op.Secured && (len(auth) != 1 || auth[0] != want):
		f.fail("header Authorization", "is not the token, which the operation needs")
	case !op.Secured && len(auth) != 0:
		f.fail("header Authorization", "is sent to an operation without security")
	}
	if v := c.header.Get("Polar-Version"); v != polar.APIVersion {
		f.fail("header Polar-Version", "is %q", v)
	}
	typ := ""
	if op.Body != nil && len(c.body) > 0 {
		typ = op.Body.Type
	}
	if got, _, _ := strings.Cut(c.header.Get("Content-Type"), ";"); got != typ {
		f.fail("header Content-Type", "is %q, want %q", got, typ)
	}
	if c.length < 0 {
		f.fail("header Content-Length", "is not sent")
	}
	_, ok := op.success()
	if ok.Type == "text/csv" && !strings.Contains(c.header.Get("Accept"), "text/csv") {
		f.fail("header Accept", "is %q", c.header.Get("Accept"))
	}
	if ok.Type == "application/json" && !strings.Contains(c.header.Get("Accept"), "json") {
		f.fail("header Accept", "is %q", c.header.Get("Accept"))
	}
}

func checkQuery(f *filler, op *operation, c *call, minimal bool, cover *coverage) {
	byName := map[string]*parameter{}
	for _, p := range op.params("query") {
		byName[p.Name] = p
	}
	sent := map[string]bool{}
	for name, values := range c.query {
		base, _, nested := strings.Cut(name, "[")
		p := byName[base]
		switch {
		case p == nil:
			if extraQuery[op.ID+" "+name] == "" {
				f.fail("query "+name, "is not in the description")
			}
			continue
		case nested != (p.Style == "deepObject"):
			f.fail("query "+name, "wrong style for a parameter of style %q", p.Style)
		case nested:
			if len(values) != 2 || name != base+"[plan [x]]" {
				f.fail("query "+name, "is %q", values)
			}
		case jsonQuery[op.ID+" "+name] != "":
			v, err := decodeJSON([]byte(values[0]))
			if err != nil || len(values) != 1 {
				f.fail("query "+name, "%q is no JSON", values)
				continue
			}
			for _, bad := range check(f.doc.schemas[jsonQuery[op.ID+" "+name]], v, "$") {
				f.fail("query "+name, "%s", bad)
			}
		default:
			checkQueryValues(f, p, values)
		}
		sent[base] = true
	}
	for _, p := range op.params("query") {
		if p.Required && !sent[p.Name] {
			f.fail("query "+p.Name, "is required and was not sent")
		}
		if minimal && !p.Required && sent[p.Name] {
			f.fail("query "+p.Name, "is sent although it was not set")
		}
		if sent[p.Name] {
			cover.query[p.Name] = true
		}
	}
}

// checkQuerySet compares the values of a query with those of the struct of parameters.
func checkQuerySet(f *filler, c *call, set []reflect.Value) {
	for _, v := range set {
		if !isParams(v.Type()) || v.Kind() == reflect.Pointer && v.IsNil() {
			continue
		}
		v = reflect.Indirect(v)
		for _, m := range members(v.Type(), "url") {
			fd := v.FieldByIndex(m.path)
			if fd.IsZero() || fd.Kind() == reflect.Map {
				continue
			}
			if fd = reflect.Indirect(fd); fd.Kind() == reflect.Struct && fd.Type() != reflect.TypeFor[time.Time]() {
				continue // a type with an encoding of its own
			}
			want := []string{}
			if fd.Kind() == reflect.Slice {
				for i := range fd.Len() {
					want = append(want, fmt.Sprint(fd.Index(i)))
				}
			} else if at, ok := fd.Interface().(time.Time); ok {
				got, err := time.Parse(time.RFC3339Nano, c.query.Get(m.name))
				if err != nil || !got.Equal(at) {
					f.fail("query "+m.name, "%v is sent as %q", at, c.query.Get(m.name))
				}
				continue
			} else {
				want = append(want, fmt.Sprint(fd))
			}
			if !slices.Equal(want, c.query[m.name]) {
				f.fail("query "+m.name, "%q is sent as %q", want, c.query[m.name])
			}
		}
	}
}

func checkQueryValues(f *filler, p *parameter, values []string) {
	s := p.Schema.deref()
	alternatives := s.variants()
	if alternatives == nil {
		alternatives = []*schema{s}
	}
	var why []violation
	for _, a := range alternatives {
		a = a.deref()
		if a.Type == "array" {
			bad := 0
			for _, v := range values {
				if w := checkText(a.Items, v); w != nil {
					bad++
					why = w
				}
			}
			if bad == 0 {
				return
			}
			continue
		}
		if len(values) == 1 {
			w := checkText(a, values[0])
			if w == nil {
				return
			}
			why = w
		}
	}
	f.fail("query "+p.Name, "%q is not valid: %v", values, why)
}

// checkText checks a value as a query or a form has it.
func checkText(s *schema, text string) []violation {
	s = s.nonNull()
	if vs := s.variants(); vs != nil {
		var why []violation
		for _, v := range vs {
			if why = checkText(v, text); why == nil {
				return nil
			}
		}
		return why
	}
	var v any = text
	switch s.Type {
	case "null":
		return []violation{{"", "null cannot be sent"}}
	case "integer", "number", "boolean":
		d, err := decodeJSON([]byte(text))
		if err != nil {
			return []violation{{"", text + " is not a " + s.Type}}
		}
		v = d
	}
	return check(s, v, "")
}

func checkBody(f *filler, op *operation, c *call, minimal bool, cover *coverage) {
	if op.Body == nil {
		if len(c.body) > 0 {
			f.fail("body", "is sent, the description has none")
		}
		return
	}
	if len(c.body) == 0 {
		if op.Body.Required || !minimal {
			f.fail("body", "is not sent")
		}
		return
	}
	var v any
	var err error
	if op.Body.Type == "application/x-www-form-urlencoded" {
		var form url.Values
		if form, err = url.ParseQuery(string(c.body)); err == nil {
			obj := map[string]any{}
			for k := range form {
				if len(form[k]) != 1 {
					f.fail("body."+k, "is sent %d times", len(form[k]))
				}
				obj[k] = form.Get(k)
			}
			v = obj
		}
	} else {
		v, err = decodeJSON(c.body)
	}
	if err != nil {
		f.fail("body", "cannot be read: %v", err)
		return
	}
	check := validator{seen: func(s *schema, obj map[string]any) {
		for k, v := range obj {
			if !minimal {
				cover.sent[s.id+"."+k] = true
				cover.values[s.id+"."+k+"="+sort(v)] = true
			}
		}
		cover.seen[s] = true
		if minimal {
			req := s.required()
			for k := range obj {
				if !req[k] && len(s.Properties) > 0 && !s.isConst(k) {
					f.fail("body "+s.id+"."+k, "optional member is sent although it was not set")
				}
			}
		}
	}}
	for _, bad := range check.validate(op.Body.Schema, v, "$") {
		f.fail("body "+bad.path, "%s", bad.what)
	}
}

func (s *schema) isConst(member string) bool {
	p := s.Properties[member]
	return p != nil && p.deref().Const != nil
}

// coverage collects what the calls of an operation have sent.
type coverage struct {
	op     *operation
	query  map[string]bool
	sent   map[string]bool // id of an object schema, dot, member
	values map[string]bool // the same, equals sign, sort of value
	seen   map[*schema]bool
}

func newCoverage(op *operation) *coverage {
	return &coverage{op, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[*schema]bool{}}
}

// sort tells apart the values that a careless encoding mixes up.
func sort(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case json.Number:
		if v == "0" {
			return "0"
		}
	case string:
		switch v {
		case "":
			return "empty text"
		case "0": // a decimal
			return "0"
		}
	}
	return "value"
}

// sorts lists the sorts of values that a member has to be able to send: the zero value of its type is not the same as no value. Null is asked for
// where a body changes an object, since there it is not the same as no member.
func sorts(op *operation, o *schema, name string) (out []string) {
	p := o.Properties[name]
	for _, v := range append(p.deref().variants(), p) {
		v := v.deref()
		switch {
		case v.Const != nil || len(v.Enum) > 0:
		case v.Type == "boolean":
			out = append(out, "true", "false")
		case v.Type == "integer" || v.Type == "number":
			if len(checkNumber(v, "0", "")) == 0 {
				out = append(out, "0")
			}
		case v.Type == "string" && v.Format == "" && v.Pattern == "" && (v.MinLength == nil || *v.MinLength == 0):
			if refused[o.id+"."+name+"=empty"] == "" {
				out = append(out, "empty text")
			}
		}
	}
	if op.Method == "PATCH" && nullable(p) && slices.Contains(op.Body.Schema.objects(), o) {
		out = append(out, "null")
	}
	return out
}

// missing complains about parameters, alternatives and members that no call has sent.
func (c *coverage) missing(f *filler) {
	for _, p := range c.op.params("query") {
		if !c.query[p.Name] {
			f.fail("query "+p.Name, "was never sent")
		}
	}
	if c.op.Body == nil {
		return
	}
	for _, o := range reachable(c.op.Body.Schema) {
		if !c.seen[o] {
			f.fail("body "+o.id, "the object was never sent")
			continue
		}
		for k, p := range o.Properties {
			if p.deref().Type == "null" && !o.required()[k] {
				continue // only null: the same as leaving it out
			}
			if !c.sent[o.id+"."+k] {
				f.fail("body "+o.id+"."+k, "the member was never sent")
				continue
			}
			for _, w := range sorts(c.op, o, k) {
				if !c.values[o.id+"."+k+"="+w] {
					f.fail("body "+o.id+"."+k, "was never sent as %s", w)
				}
			}
		}
	}
}

// reachable lists the object schemas that values of s can hold.
func reachable(s *schema) []*schema {
	var out []*schema
	seen := map[*schema]bool{}
	var walk func(s *schema)
	walk = func(s *schema) {
		s = s.deref()
		if seen[s] {
			return
		}
		seen[s] = true
		if s.Type == "object" && len(s.Properties) > 0 {
			out = append(out, s)
		}
		s.children(func(_ string, c *schema) { walk(c) })
	}
	walk(s)
	slices.SortFunc(out, func(a, b *schema) int { return strings.Compare(a.id, b.id) })
	return out
}
