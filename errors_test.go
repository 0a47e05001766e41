package polar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
)

// fail returns the error of a GET that is answered like this.
func fail(t *testing.T, status int, body string, header ...string) *Error {
	t.Helper()
	things, _ := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	_, err := things.Get(t.Context(), "1", CallRetry(RetryPolicy{MaxAttempts: 1}))
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "127.0.0.1:", e.Server[:10])
	e.Server = "api.polar.sh"
	return e
}

var classes = []ErrorClass{ErrBadRequest, ErrUnauthorized, ErrPaymentRequired, ErrForbidden, ErrNotFound, ErrAPIVersion, ErrConflict,
	ErrGone, ErrTooLarge, ErrValidation, ErrRateLimited, ErrServer, ErrOutcomeUnknown, ErrNoCredential}

func TestErrorForms(t *testing.T) {
	t.Parallel()
	const missing = "polar: things:get: 404 Not Found: "
	for _, tc := range []struct {
		name, body string
		status     int
		header     []string
		class      ErrorClass // the only one that matches
		errName    ErrorName
		text       string
	}{
		{"named", `{"error":"ResourceNotFound","detail":"Not found"}`, 404, []string{"Cf-Ray", "8f00-FRA"}, ErrNotFound, "ResourceNotFound",
			"polar: things:get: 404 ResourceNotFound: Not found [request 8f00-FRA]"},
		{"unknown route", `{"detail":"Not Found"}`, 404, nil, ErrAPIVersion, "",
			missing + "Not Found (the route is unknown or the API version is not served any more; this is not about the object)"},
		{"404 of a proxy", "<html>\n<h1>Not here</h1>\n</html>", 404, nil, ErrAPIVersion, "",
			missing + "<html> <h1>Not here</h1> </html> (the route is unknown or the API version is not served any more; this is not about the object)"},
		{"sandbox answered", `{"error":"invalid_token","error_description":"Unknown."}`, 401, []string{"X-Polar-Sandbox", "1"}, ErrUnauthorized, "invalid_token",
			"polar: things:get: 401 invalid_token: Unknown. (the sandbox, api.polar.sh, answered; tokens of another environment are not known there)"},
		{"production answered", `{"error":"Unauthorized","detail":"Unauthorized"}`, 401, nil, ErrUnauthorized, "Unauthorized",
			"polar: things:get: 401 Unauthorized: Unauthorized (production, api.polar.sh, answered; tokens of another environment are not known there)"},
		{"scopes", `{"error":"insufficient_scope","error_description":"More."}`, 403,
			[]string{"WWW-Authenticate", `Bearer realm="polar", error="insufficient_scope", error_description="a, b=\"c\"", scope="orders:read orders:write"`}, ErrForbidden, "insufficient_scope",
			"polar: things:get: 403 insufficient_scope: More. (the token needs one of the scopes orders:read, orders:write)"},
		{"not permitted", `{"error":"NotPermitted","detail":"No."}`, 403, nil, ErrForbidden, "NotPermitted", "polar: things:get: 403 NotPermitted: No."},
		{"payment", `{"error":"PaymentFailed","detail":"Card declined."}`, 402, nil, ErrPaymentRequired, "PaymentFailed", "polar: things:get: 402 PaymentFailed: Card declined."},
		{"conflict", `{"error":"SubscriptionLocked","detail":"Wait."}`, 409, nil, ErrConflict, "SubscriptionLocked", "polar: things:get: 409 SubscriptionLocked: Wait."},
		{"gone", `{"error":"ExpiredCheckoutError","detail":"Late."}`, 410, nil, ErrGone, "ExpiredCheckoutError", "polar: things:get: 410 ExpiredCheckoutError: Late."},
		{"too large", `{"error":"RequestBodyTooLarge","detail":"Big."}`, 413, nil, ErrTooLarge, "RequestBodyTooLarge", "polar: things:get: 413 RequestBodyTooLarge: Big."},
		{"bad request", `{"error":"BadRequest","detail":"No."}`, 400, nil, ErrBadRequest, "BadRequest", "polar: things:get: 400 BadRequest: No."},
		{"fields", `{"error":"RequestValidationError","detail":[
			{"type":"missing","loc":["body","name"],"msg":"Field required","input":{"secret":"ada@example.com"}},
			{"type":"x","loc":["body","events",3,"amount"],"msg":"Too\nlarge"},{"loc":["query","page"],"msg":"a"},{"loc":[],"msg":"b"}]}`, 422, nil, ErrValidation, "RequestValidationError",
			"polar: things:get: 422 RequestValidationError: body.name: Field required; body.events.3.amount: Too large; query.page: a; 1 more"},
		{"rate limit", "", 429, []string{"Retry-After", "60"}, ErrRateLimited, "", "polar: things:get: 429 Too Many Requests (retry after 1m0s)"},
		{"business 429", `{"error":"ManualRetryLimitExceeded","detail":"Tomorrow."}`, 429, nil, "", "ManualRetryLimitExceeded",
			"polar: things:get: 429 ManualRetryLimitExceeded: Tomorrow."},
		{"redirect", "", 307, []string{"Location", "http://other.test/v1/?secret=1"}, "", "",
			"polar: things:get: 307 Temporary Redirect (a redirect to http://other.test that cannot be followed; check the base URL and the slash at the end of the path)"},
		{"redirect to no URL", "", 307, []string{"Location", "https://other.test/%zz?secret"}, "", "",
			"polar: things:get: 307 Temporary Redirect (a redirect that cannot be followed; check the base URL and the slash at the end of the path)"},
		{"redirect that says nothing", "", 304, nil, "", "",
			"polar: things:get: 304 Not Modified (a redirect that cannot be followed; check the base URL and the slash at the end of the path)"},
		{"method", `{"detail":"Method Not Allowed"}`, 405, nil, "", "", "polar: things:get: 405 Method Not Allowed: Method Not Allowed"},
		{"unknown status", "", 499, nil, "", "", "polar: things:get: 499"},
		{"html", "<html>\r\n\t<b>oops</b>\x00\x1b[31m</html>", 500, []string{"Rndr-Id", "r-1"}, ErrServer, "",
			"polar: things:get: 500 Internal Server Error: <html> <b>oops</b>[31m</html> [request r-1]"},
		{"empty", "", 502, nil, ErrServer, "", "polar: things:get: 502 Bad Gateway"},
		{"other JSON", `["a"]`, 500, nil, ErrServer, "", `polar: things:get: 500 Internal Server Error: ["a"]`},
		{"odd members", `{"error":{"code":1},"detail":7}`, 500, nil, ErrServer, "", `polar: things:get: 500 Internal Server Error: {"error":{"code":1},"detail":7}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := fail(t, tc.status, tc.body, tc.header...)
			assert.EqualError(t, e, tc.text)
			assert.Equal(t, tc.status, e.StatusCode)
			assert.Equal(t, tc.errName, e.Name)
			for _, class := range classes {
				assert.Equal(t, class == tc.class, errors.Is(fmt.Errorf("wrapped: %w", e), class), "%v", class)
			}
			if tc.errName != "" {
				assert.ErrorIs(t, e, tc.errName)
			}
			assert.NotErrorIs(t, e, ErrorName("Other"))
			assert.NotErrorIs(t, e, ErrorName(""))
			assert.NotErrorIs(t, e, ErrorClass(""))
			assert.NotErrorIs(t, e, io.EOF)
			assert.Equal(t, "things:get", e.Operation)
			assert.Equal(t, "GET", e.Method)
			assert.Equal(t, "/v1/things/{id}", e.Route)
			assert.Equal(t, tc.body, string(e.Body))
			assert.NotNil(t, e.Header)
		})
	}
}

func TestErrorParts(t *testing.T) {
	t.Parallel()
	e := fail(t, 422, `{"error":"PolarRequestValidationError","detail":[{"type":"value_error","loc":["body","events",3,"customer_id"],"msg":"Unknown."},7]}`,
		"Polar-Version", "2026-10", "X-Polar-Sandbox", "1", "Retry-After", "5", "Cf-Ray", "c", "Rndr-Id", "r",
		"WWW-Authenticate", `Basic realm="x"`, "WWW-Authenticate", `Bearer scope=events:write`)
	assert.Equal(t, []FieldError{{Path: []string{"body", "events", "3", "customer_id"}, Type: "value_error", Message: "Unknown."}}, e.Fields)
	assert.Equal(t, "body.events.3.customer_id: Unknown.", e.Fields[0].String())
	assert.Equal(t, "2026-10", e.APIVersion)
	assert.True(t, e.Sandbox)
	assert.Equal(t, 5*time.Second, e.RetryAfter)
	assert.Equal(t, "c", e.RequestID)
	assert.Equal(t, []string{"events:write"}, e.Scopes)

	e = fail(t, 400, strings.Repeat("é", 1<<20))
	assert.Len(t, e.Body, 64<<10)
	assert.Equal(t, "polar: things:get: 400 Bad Request: "+strings.Repeat("é", 126)+"…", e.Error())

	e = fail(t, 400, `{"error":"`+strings.Repeat("N", 500)+`","detail":"`+strings.Repeat("word ", 100)+`"}`, "Cf-Ray", strings.Repeat("r", 500))
	assert.Less(t, len(e.Error()), 450)

	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf(`{"type":"missing","loc":["body","events",%d,"name"],"msg":"Field required","input":%q}`, i, strings.Repeat("x", 500)))
	}
	e = fail(t, 422, `{"error":"RequestValidationError","detail":[`+strings.Join(many, ",")+`]}`)
	assert.Len(t, e.Fields, 3000, "all complaints about a large batch")
	assert.Len(t, e.Body, 64<<10)
	assert.Less(t, len(e.Error()), 400)
}

func TestErrorLog(t *testing.T) {
	t.Parallel()
	e := fail(t, 403, `{"error":"insufficient_scope","error_description":"More\nscopes."}`, "WWW-Authenticate", `Bearer scope="a b"`, "Cf-Ray", "ray", "X-Polar-Sandbox", "1", "Retry-After", "1")
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Error("x", "err", e)
	var line struct{ Err map[string]any }
	require.NoError(t, json.Unmarshal(b.Bytes(), &line))
	assert.Equal(t, map[string]any{
		"operation": "things:get", "status": 403.0, "name": "insufficient_scope", "detail": "More scopes.", "scopes": "a b",
		"request_id": "ray", "server": "api.polar.sh", "sandbox": true, "retry_after": 1e9,
	}, line.Err)
}

// TestOutcomeUnknownOfServerErrors: a status of 500 or more leaves open whether a call that changes something was carried
// out.
func TestOutcomeUnknownOfServerErrors(t *testing.T) {
	t.Parallel()
	things, _ := newThings(t, answer(500, ""))
	_, err := things.Create(t.Context(), thingCreate{})
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	require.ErrorIs(t, err, ErrServer)
	assert.EqualError(t, err, "polar: things:create: 500 Internal Server Error (may have been carried out, so it was not sent again)")
	_, err = things.Ingest(t.Context(), thingBatch{IDs: []string{"a"}})
	require.NotErrorIs(t, err, ErrOutcomeUnknown)
	_, err = things.Ingest(t.Context(), thingBatch{})
	require.ErrorIs(t, err, ErrOutcomeUnknown)
}

func TestErrorTargets(t *testing.T) {
	t.Parallel()
	assert.EqualError(t, ErrNotFound, "polar: not found")
	assert.EqualError(t, ErrorName("NotOpenCheckout"), "polar: NotOpenCheckout")
	assert.Equal(t, "polar: GET /v1/x/: 418 I'm a teapot", (&Error{Method: "GET", Route: "/v1/x/", StatusCode: 418}).Error())
	assert.Equal(t, "m", FieldError{Message: "m"}.String())
}

func TestAuthParam(t *testing.T) {
	t.Parallel()
	for challenge, want := range map[string]string{
		`Bearer scope="a b"`:                       "a b",
		`Bearer scope=a`:                           "a",
		`Bearer SCOPE = "a"`:                       "a",
		`Bearer realm="scope=\"x\", y", scope="a"`: "a",
		`Bearer realm=polar,scope="a",error="b"`:   "a",
		`Bearer error="scope"`:                     "",
		`Bearer scope="a`:                          "a",
		`Bearer scope="a\`:                         `a\`,
		`Bearer`:                                   "",
		`Bearer ,,, flag, scope=a`:                 "a",
		``:                                         "",
		`Bearer scope`:                             "",
		`Bearer scope=`:                            "",
		`Bearer x="1" scope="a"`:                   "a",
	} {
		assert.Equal(t, want, authParam(challenge, "scope"), challenge)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                       "",
		"  a \n\t b  ":           "a b",
		"a\x00b\u200bc\u2028d":   "abc d",
		"\xff\xfea":              "a",
		"abcdefghijklmnopqrstuv": "abcdefghijklmnopq…",
		"éééééééééééé":           "éééééééé…",
	} {
		assert.Equal(t, want, oneLine(in, 20), in)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	value := &jsonv2.SemanticError{JSONPointer: "/b/0", JSONKind: '0', GoType: reflect.TypeFor[string]()}
	for want, err := range map[string]error{
		"a JSON number does not fit string at /b/0":   fmt.Errorf("x: %w", value),
		"a JSON number does not fit string at /a/b/0": &jsonv2.SemanticError{JSONPointer: "/a", Err: value},
		"a JSON null does not fit bool at /b/0/c":     &jsonv2.SemanticError{JSONPointer: "/b/0", Err: &jsonv2.SemanticError{JSONPointer: "/b/0/c", JSONKind: 'n', GoType: reflect.TypeFor[bool]()}},
		"a JSON boolean does not fit int":             &jsonv2.SemanticError{JSONKind: 't', GoType: reflect.TypeFor[int](), Err: errors.New("secret")},
		"a JSON object does not fit int":              &jsonv2.SemanticError{JSONKind: '{', GoType: reflect.TypeFor[int]()},
		"a JSON value does not fit int":               &jsonv2.SemanticError{GoType: reflect.TypeFor[int]()},
		"models: an amount has no currency at /a":     &jsonv2.SemanticError{JSONPointer: "/a", GoType: reflect.TypeFor[int](), Err: errors.New("models: an amount has no currency")},
		"it is not the JSON that was expected":        errors.New("secret"),
		"it is not valid JSON at byte 7":              &jsonv2.SemanticError{JSONPointer: "/a", Err: &jsontext.SyntacticError{ByteOffset: 7}},
	} {
		assert.Equal(t, want, jsonx.Explain(err))
	}
}

func FuzzErrorBody(f *testing.F) {
	for _, seed := range []string{
		"", "null", `{"detail":"Not Found"}`, `{"error":"X","detail":"y"}`, `{"error":"invalid_token","error_description":"d"}`,
		`{"error":"RequestValidationError","detail":[{"type":"missing","loc":["body",0,null,{"a":1}],"msg":"m"},null,1,{"loc":"x"}]}`,
		"<html>\n</html>", `{"error":"\ud800","detail":"\u0000\n"}`, "\xff", `{"detail":[[[[]]]]}`,
	} {
		f.Add(404, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c := &call{req: &request{op: "things:get", method: "GET", route: "/v1/things/{id}"}}
		e := newError(c, &http.Response{StatusCode: status, Header: http.Header{}}, body)
		text := e.Error()
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00\x1b") || len(text) > 700 || !strings.HasPrefix(text, "polar: things:get: ") {
			t.Fatalf("text %q", text)
		}
		if len(e.Body) > maxErrorKept || errors.Is(e, ErrNotFound) && (status != 404 || e.Name == "") {
			t.Fatalf("%d %q", len(e.Body), text)
		}
		e.LogValue()
	})
}

func FuzzScopes(f *testing.F) {
	for _, seed := range []string{`Bearer realm="a", scope="b c"`, `Bearer`, `scope="\"`, `a b=c,d="e\"f", scope=g`, "= ,=,", `x "`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, challenge string) {
		if scope := authParam(challenge, "scope"); len(scope) > len(challenge) {
			t.Fatalf("%q from %q", scope, challenge)
		}
		// what is written in the right form is read back, whatever stands before it
		if !strings.ContainsAny(challenge, "\"\\") {
			if got := authParam(`Bearer realm="`+challenge+`", scope="`+challenge+`"`, "scope"); got != challenge {
				t.Fatalf("%q from %q", got, challenge)
			}
		}
	})
}
