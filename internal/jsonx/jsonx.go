// Package jsonx holds the one set of JSON options that every part of this module reads and writes with.
//
// Reading is lenient about what a server can get wrong without changing the meaning: a repeated member (the last one
// wins) and bytes that are not UTF-8 (they become U+FFFD). Writing is deterministic, so that equal values make equal
// bytes, and leaves the escapes of raw values as they were received.
package jsonx

import (
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DecodeOptions are the options of [Unmarshal] and [UnmarshalRead], for callers that hold a decoder of their own.
var DecodeOptions json.Options = json.JoinOptions(
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// EncodeOptions are the options of [Marshal], for callers that hold an encoder of their own.
var EncodeOptions json.Options = json.JoinOptions(
	json.Deterministic(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
	jsontext.PreserveRawStrings(true),
)

// Marshal returns the JSON form of v.
func Marshal(v any) ([]byte, error) {
	return json.Marshal(v, EncodeOptions)
}

// Unmarshal reads the one JSON value in data into v, which is a pointer. Data after the value is an error.
func Unmarshal(data []byte, v any) error {
	return json.Unmarshal(data, v, DecodeOptions)
}

// UnmarshalRead reads r to its end, which holds one JSON value, into v, which is a pointer.
func UnmarshalRead(r io.Reader, v any) error {
	return json.UnmarshalRead(r, v, DecodeOptions)
}
