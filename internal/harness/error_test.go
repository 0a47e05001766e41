package harness

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	polar "github.com/polar-go/polar"
)

// classes says what a status means, without looking into the client.
var classes = map[int]polar.ErrorClass{
	400: polar.ErrBadRequest,
	401: polar.ErrUnauthorized,
	402: polar.ErrPaymentRequired,
	403: polar.ErrForbidden,
	404: polar.ErrNotFound,
	409: polar.ErrConflict,
	410: polar.ErrGone,
	413: polar.ErrTooLarge,
	422: polar.ErrValidation,
	500: polar.ErrServer,
	502: polar.ErrServer,
	503: polar.ErrServer,
}

// A refusal is an answer that has to come back as an error, and what the error has to say.
type refusal struct {
	what   string
	answer answer
	name   string
	detail string
	fields []string // paths of the complaints
	class  polar.ErrorClass
	not    polar.ErrorClass
}

// refusals lists the error answers that an operation describes, and those that every operation can give.
func refusals(doc *document, op *operation) (out []refusal, bad []finding) {
	for status, r := range op.Responses {
		if status < 400 {
			continue
		}
		if r.Type == "" {
			out = append(out, refusal{what: fmt.Sprint(status, " without a body"), answer: answer{status: status}, class: emptyClass(status)})
			continue
		}
		samples, _ := newSampler(doc, described, false).all(r.Schema)
		for _, sm := range samples {
			obj, ok := sm.value.(map[string]any)
			if !ok {
				bad = append(bad, finding{op.ID, fmt.Sprint(status), "the description has an error that is no object"})
				continue
			}
			x := refusal{what: fmt.Sprintf("%d, sample %d", status, sm.n), answer: answer{status: status, typ: "application/json", body: encodeJSON(obj)}}
			x.name, _ = obj["error"].(string)
			x.detail, _ = obj["detail"].(string)
			if list, ok := obj["detail"].([]any); ok {
				for _, e := range list {
					var path []string
					for _, step := range at(e, "loc").([]any) {
						path = append(path, fmt.Sprint(step))
					}
					x.fields = append(x.fields, strings.Join(path, ".")+"|"+at(e, "type").(string)+"|"+at(e, "msg").(string))
				}
			}
			x.class = classes[status]
			if x.name == "" {
				x.class = emptyClass(status)
			}
			if status == http.StatusTooManyRequests {
				x.class, x.not = "", polar.ErrRateLimited // a refusal with a name is not the rate limiter
			}
			out = append(out, x)
		}
	}
	jsonAnswer := func(status int, body string) answer {
		return answer{status: status, typ: "application/json", body: []byte(body)}
	}
	out = append(out,
		refusal{what: "validation", name: "PolarRequestValidationError", fields: []string{"body.items.0|missing|Field required"}, class: polar.ErrValidation,
			answer: jsonAnswer(422, `{"error":"PolarRequestValidationError","detail":[{"loc":["body","items",0],"msg":"Field required","type":"missing","input":{"a":null}}]}`)},
		refusal{what: "rate limit", class: polar.ErrRateLimited, answer: answer{status: 429, header: http.Header{"Retry-After": {"60"}}}},
		refusal{what: "unknown route", detail: "Not Found", class: polar.ErrAPIVersion, not: polar.ErrNotFound, answer: jsonAnswer(404, `{"detail":"Not Found"}`)},
		refusal{what: "resource", name: "ResourceNotFound", detail: "Not found", class: polar.ErrNotFound, not: polar.ErrAPIVersion, answer: jsonAnswer(404, `{"error":"ResourceNotFound","detail":"Not found"}`)},
		refusal{what: "proxy", class: polar.ErrServer, answer: answer{status: 502, typ: "text/html", body: []byte("<html><body>Bad gateway</body></html>")}},
		refusal{what: "crash", class: polar.ErrServer, answer: answer{status: 500, typ: "text/plain", body: []byte("Internal Server Error")}},
		refusal{what: "token", name: "invalid_token", detail: "The access token is wrong", class: polar.ErrUnauthorized, answer: jsonAnswer(401, `{"error":"invalid_token","error_description":"The access token is wrong"}`)},
		refusal{what: "conflict", name: "SomethingNewer", detail: "x", class: polar.ErrConflict, answer: jsonAnswer(409, `{"error":"SomethingNewer","detail":"x"}`)},
	)
	return out, bad
}

// emptyClass is the class of a status whose body has no name of an error.
func emptyClass(status int) polar.ErrorClass {
	if status == http.StatusNotFound {
		return polar.ErrAPIVersion
	}
	if status == http.StatusTooManyRequests {
		return polar.ErrRateLimited
	}
	return classes[status]
}

// checkErrors answers one operation with every error and looks at what comes back.
func checkErrors(doc *document, s *sdk, op *operation) []finding {
	f := newFiller(doc, s.reg, op.ID)
	f.minimal = true
	m, ok := s.method(op)
	if !ok {
		f.fail("method", "the client has no %s", expected(op))
		return f.findings
	}
	args, ok := argumentsFor(f, m, op)
	f.findings = nil
	if !ok {
		return nil
	}
	r := newRig(nil, false)
	all, bad := refusals(doc, op)
	f.findings = append(f.findings, bad...)
	for _, x := range all {
		r.answer = func(*call) answer { return x.answer }
		r.calls = nil
		_, err := split(r.invoke(m, args.sets[0]))
		fail := func(format string, args ...any) { f.fail(x.what, format, args...) }
		var e *polar.Error
		if !errors.As(err, &e) {
			fail("came back as %v", err)
			continue
		}
		if len(r.calls) != 1 {
			fail("%d requests were sent", len(r.calls))
		}
		if e.StatusCode != x.answer.status {
			fail("StatusCode is %d", e.StatusCode)
		}
		if string(e.Name) != x.name {
			fail("Name is %q, want %q", e.Name, x.name)
		}
		if e.Detail != x.detail {
			fail("Detail is %q, want %q", e.Detail, x.detail)
		}
		if e.Operation != op.ID || e.Method != op.Method || e.Route != op.Path {
			fail("is an error of %s %s %s", e.Operation, e.Method, e.Route)
		}
		var fields []string
		for _, fd := range e.Fields {
			fields = append(fields, strings.Join(fd.Path, ".")+"|"+fd.Type+"|"+fd.Message)
		}
		if fmt.Sprint(fields) != fmt.Sprint(x.fields) {
			fail("Fields are %q, want %q", fields, x.fields)
		}
		if string(e.Body) != string(x.answer.body) {
			fail("Body is %q", e.Body)
		}
		if x.class != "" && !errors.Is(err, x.class) {
			fail("is not %v", x.class)
		}
		if x.not != "" && errors.Is(err, x.not) {
			fail("is %v", x.not)
		}
		if x.name != "" && !errors.Is(err, polar.ErrorName(x.name)) {
			fail("is not the error name %s", x.name)
		}
		if errors.Is(err, polar.ErrorName("Other")) || errors.Is(err, polar.ErrorName("")) {
			fail("matches other error names")
		}
		for status, class := range classes {
			if class != x.class && classes[x.answer.status] != class && errors.Is(err, class) {
				fail("is also %v, the class of %d", class, status)
			}
		}
		if text := err.Error(); strings.Contains(text, clientToken) || strings.Contains(text, portalToken) || strings.ContainsAny(text, "\r\n") {
			fail("its text is %q", text)
		}
	}
	return f.findings
}
