package models

import (
	"errors"
	"fmt"
	"strings"
)

// within says in which field of which type an error is.
func within(field string, err error) error {
	text := strings.TrimPrefix(err.Error(), "models: ")
	return &fieldError{text: "models: " + field + ": " + text, err: err}
}

// fieldError keeps the first error below a text that names the way to it.
type fieldError struct {
	text string
	err  error
}

func (e *fieldError) Error() string { return e.text }
func (e *fieldError) Unwrap() error { return e.err }

// exactlyOne checks alternatives of which Polar takes one, and silently drops the rest.
func exactlyOne(typ, fields string, set ...bool) error {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	names := strings.ReplaceAll(fields, " ", ", ")
	switch n {
	case 1:
		return nil
	case 0:
		return fmt.Errorf("models: %s: set one of %s", typ, names)
	}
	return errors.New("models: " + typ + ": set only one of " + names + ", since Polar would drop the others")
}

// eventKind tells what decides about an event's metadata: the name of a system event. What users send
// may have any name, also that of a system event, and so may events of sources to come.
func eventKind(source EventSource, name string) string {
	switch source {
	case EventSourceUser:
		return string(source)
	case EventSourceSystem:
		return name
	}
	return ""
}

// validateEach checks the elements of a list that have rules of their own, and refuses nil ones.
func validateEach[T any](field string, list []T) error {
	for i, x := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		if any(x) == nil {
			return errors.New("models: " + at + " is nil: set one of the alternatives")
		}
		if v, ok := any(x).(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return within(at, err)
			}
		}
	}
	return nil
}
