package webhooks

import (
	"errors"
	"net/http"
)

// ErrorClass is why something was refused, in a form that programs can ask for with [errors.Is]. The errors of this
// package match one class, and their text says more.
type ErrorClass string

// Classes of errors. Those from [ErrMissingHeader] to [ErrNoMatchingSignature] mean that nothing in the request can be
// trusted.
const (
	// ErrSecret is a secret that cannot be used: empty, only a prefix, or something that is no webhook secret.
	ErrSecret ErrorClass = "unusable secret"
	// ErrMissingHeader is a request without webhook-id, webhook-timestamp or webhook-signature. Polar sends all three.
	ErrMissingHeader ErrorClass = "missing header"
	// ErrBadHeader is a webhook-id that cannot be one, or a header that is there twice.
	ErrBadHeader ErrorClass = "bad header"
	// ErrBadTimestamp is a webhook-timestamp that is not a number of seconds.
	ErrBadTimestamp ErrorClass = "bad timestamp"
	// ErrTooOld is a delivery that was signed too long ago: one that waited in a queue, one that somebody recorded and
	// sends again, or a clock that is fast.
	ErrTooOld ErrorClass = "too old"
	// ErrTooNew is a delivery from the future: the clock of this machine is slow.
	ErrTooNew ErrorClass = "too new"
	// ErrNoMatchingSignature is a delivery that was not signed with any of the secrets, or whose body is not the one that
	// was signed.
	ErrNoMatchingSignature ErrorClass = "no matching signature"
	// ErrMalformed is a payload that is genuine and cannot be read as an event.
	ErrMalformed ErrorClass = "malformed payload"
	// ErrFormat is a genuine payload made for Slack or Discord. It is malformed, too.
	ErrFormat ErrorClass = "payload for a chat"
	// ErrBodyConsumed is a request whose body, or a part of it, was read by something else before.
	ErrBodyConsumed ErrorClass = "body already read"
	// ErrBodyTooLarge is a body over the router's limit.
	ErrBodyTooLarge ErrorClass = "body too large"
	// ErrBodyTimeout is a body that did not arrive in time.
	ErrBodyTimeout ErrorClass = "body too slow"
	// ErrBodyIncomplete is a body that broke off.
	ErrBodyIncomplete ErrorClass = "body incomplete"
	// ErrMethod is a request other than POST.
	ErrMethod ErrorClass = "method not allowed"
	// ErrPanic is a handler that panicked.
	ErrPanic ErrorClass = "handler panicked"
	// ErrInProgress is a delivery that is being handled at this moment, by this process or by another one.
	ErrInProgress ErrorClass = "delivery in progress"
	// ErrDeduper is a [Deduper] that failed or has no room.
	ErrDeduper ErrorClass = "duplicates cannot be told"
	// ErrSetup is a mistake in the program: a router without a verifier, a handler that is nil, an event that is nil.
	ErrSetup ErrorClass = "setup"
)

// Error returns the class in words.
func (c ErrorClass) Error() string { return "webhooks: " + string(c) }

// classError is an error of a class with a text of its own.
type classError struct {
	class ErrorClass
	text  string
	cause error
}

func (e *classError) Error() string { return "webhooks: " + e.text }

func (e *classError) Unwrap() error { return e.cause }

func (e *classError) Is(target error) bool {
	return target == e.class || e.class == ErrFormat && target == ErrMalformed
}

func fail(class ErrorClass, text string) error { return &classError{class: class, text: text} }

func failWith(class ErrorClass, text string, cause error) error {
	return &classError{class: class, text: text, cause: cause}
}

// classOf returns the class of err, and "" for errors that are not of this package.
func classOf(err error) ErrorClass {
	if e, ok := errors.AsType[*classError](err); ok {
		return e.class
	}
	class, _ := errors.AsType[ErrorClass](err)
	return class
}

// StatusCode returns the HTTP status to answer a delivery with when [Verifier.Verify], [Verifier.Parse] or
// [Router.Dispatch] returned err, for those who write the HTTP handler themselves. It is what [Router] answers:
//
//   - 202 for nil, and for an error marked by [Permanent]
//   - 403 for whatever means that the request cannot be trusted
//   - 400 for a payload that cannot be read, and for a body that broke off
//   - 405, 408, 413 for a wrong method, a body that took too long, and one that is too large
//   - 409 for a delivery that is being handled already
//   - 500 for everything else, which includes errors of handlers and a body that other middleware has read
//
// Polar sends an event again after every status outside 200 to 299.
func StatusCode(err error) int {
	if err == nil || IsPermanent(err) {
		return http.StatusAccepted
	}
	switch classOf(err) {
	case ErrMissingHeader, ErrBadHeader, ErrBadTimestamp, ErrTooOld, ErrTooNew, ErrNoMatchingSignature:
		return http.StatusForbidden
	case ErrMalformed, ErrFormat, ErrBodyIncomplete:
		return http.StatusBadRequest
	case ErrMethod:
		return http.StatusMethodNotAllowed
	case ErrBodyTimeout:
		return http.StatusRequestTimeout
	case ErrInProgress:
		return http.StatusConflict
	case ErrBodyTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

// Permanent marks the error of a handler as one that trying again will not cure, such as an order for a product that the
// shop does not know. The delivery is acknowledged and the failure reported, see [WithFailureHandler]. Without the mark
// Polar would send the event nine more times, and ten such events in a row would disable the endpoint.
//
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or an error that it wraps, was marked by [Permanent]. A panic never is.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok && !errors.Is(err, ErrPanic)
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }

func (e *permanentError) Unwrap() error { return e.err }
