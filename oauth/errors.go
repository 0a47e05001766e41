package oauth

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrorClass is what an error means, as far as a program can react to it. Its constants are targets of [errors.Is]; the
// causes, such as a [*polar.Error], stay reachable as well.
type ErrorClass string

// Classes of errors.
const (
	// ErrConfig is a mistake in the program: a [Config] that cannot work, or a call that needs the client's secret.
	ErrConfig ErrorClass = "unusable configuration"
	// ErrState is a callback that does not belong to the [Attempt] of this browser: somebody else made the link, the
	// sign-in was begun in two windows, or the session was lost. Nothing in it can be trusted. Offer to begin again.
	ErrState ErrorClass = "callback of another sign-in"
	// ErrCallback is a callback that cannot be used; a [*CallbackError] says why Polar did not give a code.
	ErrCallback ErrorClass = "unusable callback"
	// ErrDenied is a [*CallbackError]: the user did not allow the access.
	ErrDenied ErrorClass = "access denied"
	// ErrReauthorize is a grant that is gone: the code was used or is too old, or the refresh token was revoked or
	// replaced. Trying again does not help; the user has to sign in and agree again, beginning with [Client.Begin].
	ErrReauthorize ErrorClass = "the user has to sign in again"
	// ErrStore is a [Store] that failed. A new token that could not be saved is kept in memory, and the next call tries
	// to save it again.
	ErrStore ErrorClass = "store failed"
	// ErrIDToken is an ID token that was made for somebody else, for another sign-in, or that has expired.
	ErrIDToken ErrorClass = "unusable ID token"
	// ErrMetadata is a discovery document that cannot be trusted or read.
	ErrMetadata ErrorClass = "unusable metadata"
)

// Error returns the class in words.
func (c ErrorClass) Error() string { return "oauth: " + string(c) }

// classError is an error of a class with a text of its own and perhaps a cause.
type classError struct {
	class ErrorClass
	text  string
	cause error
}

func (e *classError) Error() string {
	text := "oauth: " + e.text
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

func (e *classError) Unwrap() error { return e.cause }

func (e *classError) Is(target error) bool { return target == e.class && e.class != "" }

func fail(class ErrorClass, text string) error { return &classError{class: class, text: text} }

func failWith(class ErrorClass, text string, cause error) error {
	return &classError{class: class, text: text, cause: cause}
}

// CallbackError is Polar's answer in a callback that brings no code: the user refused ([ErrDenied]), or the request was
// wrong, such as a scope that the application may not ask for. Its texts come from a URL, so escape them in a page.
type CallbackError struct {
	Name        string // "access_denied", "invalid_scope" and others of RFC 6749
	Description string // Polar's explanation for developers; may be empty
}

// Error returns name and description as one line.
func (e *CallbackError) Error() string {
	text := "oauth: Polar answered " + oneLine(e.Name, 64)
	if said := oneLine(e.Description, 256); said != "" {
		text += ": " + said
	}
	return text
}

// Is reports whether target is [ErrCallback], or [ErrDenied] and the user refused. It is meant for [errors.Is].
func (e *CallbackError) Is(target error) bool {
	return target == ErrCallback || target == ErrDenied && e.Name == "access_denied"
}

// oneLine makes a text of at most limit bytes that can stand in a line of a log.
func oneLine(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(s) <= limit {
		return s
	}
	end := limit - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
