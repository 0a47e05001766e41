package polartest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/polar-go/polar/internal/jsonx"
)

// apiError is an error as the real server sends it.
type apiError struct {
	status    int
	body      any    // nil: an empty body
	challenge string // what WWW-Authenticate says after the realm; "-": only the realm
}

func (e *apiError) Error() string {
	text := "polartest: status " + strconv.Itoa(e.status)
	switch b := e.body.(type) {
	case namedError:
		text += ": " + b.Error + ": " + b.Detail
	case oauthError:
		text += ": " + b.Error + ": " + b.Description
	case validationError:
		for _, f := range b.Detail {
			text += fmt.Sprintf(": %v: %s", f.Loc, f.Msg)
		}
	}
	return text
}

// namedError is the body of most errors.
type namedError struct {
	Error  string `json:"error"`
	Detail string `json:"detail"`
}

// oauthError is the body of errors about tokens.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// plainError is the body for routes and methods that are not there.
type plainError struct {
	Detail string `json:"detail"`
}

// validationError is the body of a 422.
type validationError struct {
	Error  string  `json:"error"`
	Detail []fault `json:"detail"`
}

func fail(status int, name, detail string) error {
	return &apiError{status: status, body: namedError{name, detail}}
}

func notFound() error {
	return fail(http.StatusNotFound, "ResourceNotFound", "Not found")
}

// invalid is a 422 that the operation itself finds, after the body's shape was right.
func invalid(faults ...fault) error {
	return &apiError{status: http.StatusUnprocessableEntity, body: validationError{"PolarRequestValidationError", faults}}
}

// wrong is one fault at a member of the body.
func wrong(msg string, input any, loc ...any) fault {
	return fault{Type: "value_error", Loc: append([]any{"body"}, loc...), Msg: msg, Input: input}
}

func errorResponse(h http.Header, err error) (status int, contentType string, data []byte) {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{status: http.StatusInternalServerError, body: namedError{"InternalServerError", err.Error()}}
	}
	if e.challenge != "" {
		c := `Bearer realm="polar"`
		if e.challenge != "-" {
			c += ", " + e.challenge
		}
		h.Set("WWW-Authenticate", c)
	}
	if e.body == nil {
		return e.status, "", nil
	}
	data, err = jsonx.Marshal(e.body)
	if err != nil {
		return http.StatusInternalServerError, "text/plain", []byte(err.Error())
	}
	return e.status, "application/json", data
}

// write sends an error that was found before the operation was known.
func write(w http.ResponseWriter, err error) {
	status, contentType, data := errorResponse(w.Header(), err)
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data)
}
