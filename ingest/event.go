package ingest

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// item is an event in the queue. Its JSON is made when it is tracked, which fixes its size and keeps it from changing
// with the caller's maps and pointers; the timestamp is added when it is sent, since it may have to be moved.
type item struct {
	body    string // JSON object without the timestamp and the closing brace
	at      int64  // when it happened, by the local clock, in microseconds of Unix time
	queued  int64  // when it was queued, in nanoseconds since the ingester's start
	seq     uint64 // number in the order of the queue, from 1
	journal uint64 // position in the journal
	done    func(error)
	flags   itemFlags
	strikes uint8 // how often Polar took its timestamp for the future
}

type itemFlags uint8

const (
	stamped   itemFlags = 1 << iota // at is ours, not the caller's
	external                        // the customer is named by the merchant's id
	journaled                       // journal is set
	omitTime                        // is sent without a timestamp
)

const (
	maxName      = 128
	timeLayout   = "2006-01-02T15:04:05.999999Z"
	wireOverhead = len(`,"timestamp":""},`) + len(timeLayout)
	maxFuture    = time.Hour // how far ahead a timestamp of the caller's may be: the clocks of machines differ
)

// wireSize is how much of a request the event takes.
func (it *item) wireSize() int { return len(it.body) + wireOverhead }

// appendWire adds the event with this timestamp.
func (it *item) appendWire(dst []byte, at int64) []byte {
	dst = append(dst, it.body...)
	if it.flags&omitTime == 0 {
		dst = append(dst, `,"timestamp":"`...)
		dst = time.UnixMicro(at).UTC().AppendFormat(dst, timeLayout)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// event returns what was tracked, as it reads from JSON.
func (it *item) event() models.EventCreate {
	var e models.EventCreate
	_ = jsonx.Unmarshal(it.appendWire(nil, it.at), &e) // we wrote it
	return e
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// newItem checks an event and makes its item.
func (o *options) newItem(e *models.EventCreate) (item, error) {
	now := o.now()
	it := item{at: now.UnixMicro(), flags: stamped}
	if e.Timestamp != nil {
		if err := checkTimestamp(*e.Timestamp, now); err != nil {
			return item{}, err
		}
		it.at, it.flags = e.Timestamp.UnixMicro(), 0
	}
	if e.ExternalCustomerID != nil {
		it.flags |= external
	}
	organization := e.OrganizationID
	if organization == nil && o.organization != "" {
		organization = &o.organization
	}
	if err := checkIDs(e, organization); err != nil {
		return item{}, err
	}

	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	var made [36]byte
	if e.ExternalID == nil {
		putID(&made, now)
	}
	body, ok := appendEvent((*buf)[:0], e, &made, organization)
	if !ok {
		var err error
		if body, err = slowEvent(e, &made, organization); err != nil {
			return item{}, err
		}
	} else {
		*buf = body
	}
	if bytes.Contains(body, []byte(`\u0000`)) {
		if err := checkNUL(body); err != nil {
			return item{}, err
		}
	}
	if size := len(body) + wireOverhead + requestOverhead; size > o.batchBytes {
		return item{}, invalid("the event has %d bytes as JSON, at most %d are allowed: shorten its metadata, or see WithBatchBytes", size, o.batchBytes)
	}
	if cap(*buf) > 64<<10 {
		*buf = nil // do not keep what one large event needed
	}
	it.body = string(body)
	return it, nil
}

func checkTimestamp(t, now time.Time) error {
	switch {
	case t.IsZero():
		return invalid("EventCreate.Timestamp is the zero time: leave it nil for now")
	case t.Year() < 1:
		return invalid("EventCreate.Timestamp is of the year %d", t.Year())
	case t.After(now.Add(maxFuture)):
		return invalid("EventCreate.Timestamp is %v in the future: Polar takes the past only", t.Sub(now).Round(time.Second))
	}
	return nil
}

// checkIDs checks what models.EventCreate.Validate leaves to the server.
func checkIDs(e *models.EventCreate, organization *string) error {
	for _, id := range [...]struct {
		name string
		v    *string
		hint string
	}{
		{"CustomerID", e.CustomerID, ": your own ids of customers belong into ExternalCustomerID"},
		{"MemberID", e.MemberID, ": your own ids of members belong into ExternalMemberID"},
		{"OrganizationID", organization, ""},
	} {
		if id.v != nil && !isUUID(*id.v) {
			return invalid("EventCreate.%s is not a UUID%s", id.name, id.hint)
		}
	}
	for _, id := range [...]struct {
		name string
		v    *string
	}{{"ExternalID", e.ExternalID}, {"ParentID", e.ParentID}, {"ExternalMemberID", e.ExternalMemberID}} {
		if id.v != nil && *id.v == "" {
			return invalid("EventCreate.%s is empty: leave it nil", id.name)
		}
	}
	return nil
}

// isUUID reports whether s is a UUID, with its dashes or without.
func isUUID(s string) bool {
	switch len(s) {
	case 32:
	case 36:
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return false
		}
	default:
		return false
	}
	for i := range len(s) {
		c := s[i]
		hexadecimal := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if !hexadecimal && (len(s) == 32 || c != '-' || i != 8 && i != 13 && i != 18 && i != 23) {
			return false
		}
	}
	return true
}

// appendEvent adds the JSON of an event with values of the usual types, and reports false when something in it is wrong or
// unusual. The rules are those of models.EventCreate.Validate, which then says what is wrong.
func appendEvent(dst []byte, e *models.EventCreate, made *[36]byte, organization *string) ([]byte, bool) {
	if n := len(e.Name); n == 0 || n > maxName && utf8.RuneCountInString(e.Name) > maxName {
		return dst, false
	}
	if (e.CustomerID != nil) == (e.ExternalCustomerID != nil) || e.MemberID != nil && e.CustomerID == nil ||
		e.ExternalMemberID != nil && e.ExternalCustomerID == nil {
		return dst, false
	}
	dst = appendText(append(dst, `{"name":`...), e.Name)
	switch {
	case e.CustomerID != nil && *e.CustomerID != "":
		dst = appendText(append(dst, `,"customer_id":`...), *e.CustomerID)
	case e.ExternalCustomerID != nil && *e.ExternalCustomerID != "":
		dst = appendText(append(dst, `,"external_customer_id":`...), *e.ExternalCustomerID)
	default:
		return dst, false
	}
	if e.MemberID != nil {
		dst = appendText(append(dst, `,"member_id":`...), *e.MemberID)
	}
	if e.ExternalMemberID != nil {
		dst = appendText(append(dst, `,"external_member_id":`...), *e.ExternalMemberID)
	}
	dst = append(dst, `,"external_id":`...)
	if e.ExternalID != nil {
		dst = appendText(dst, *e.ExternalID)
	} else {
		dst = append(append(append(dst, '"'), made[:]...), '"')
	}
	if e.ParentID != nil {
		dst = appendText(append(dst, `,"parent_id":`...), *e.ParentID)
	}
	if organization != nil {
		dst = appendText(append(dst, `,"organization_id":`...), *organization)
	}
	if len(e.Metadata) == 0 && e.Cost == nil && e.LLM == nil {
		return dst, true
	}
	return appendMetadata(append(dst, `,"metadata":`...), e)
}

func appendMetadata(dst []byte, e *models.EventCreate) ([]byte, bool) {
	var few [16]string
	keys := few[:0]
	if len(e.Metadata) > len(few) {
		keys = make([]string, 0, len(e.Metadata))
	}
	for key := range e.Metadata {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for _, key := range keys {
		if key == "_cost" || key == "_llm" {
			return dst, false
		}
		dst = append(appendText(dst, key), ':')
		switch v := e.Metadata[key].(type) {
		case string:
			if n := len(v); n == 0 || n > 500 && utf8.RuneCountInString(v) > 500 {
				return dst, false
			}
			dst = appendText(dst, v)
		case bool:
			dst = strconv.AppendBool(dst, v)
		case int:
			dst = strconv.AppendInt(dst, int64(v), 10)
		case int64:
			dst = strconv.AppendInt(dst, v, 10)
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return dst, false
			}
			dst = appendFloat(dst, v)
		default:
			return dst, false
		}
		dst = append(dst, ',')
	}
	if e.Cost != nil {
		if e.Cost.Amount.ValidateUnitAmount() != nil || e.Cost.Currency == "" {
			return dst, false
		}
		dst = appendText(append(dst, `"_cost":{"amount":`...), string(e.Cost.Amount))
		dst = append(appendText(append(dst, `,"currency":`...), e.Cost.Currency), '}', ',')
	}
	if e.LLM != nil {
		llm, err := jsonx.Marshal(e.LLM)
		if err != nil {
			return dst, false
		}
		dst = append(append(append(dst, `"_llm":`...), llm...), ',')
	}
	dst[len(dst)-1] = '}' // of the last comma
	return dst, true
}

func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // what is not UTF-8 becomes U+FFFD, as in all that this module sends
	return dst
}

func appendFloat(dst []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

// slowEvent says what is wrong with an event, or writes it with the encoder that knows all types. The types may be the
// caller's own, whose methods may panic.
func slowEvent(e *models.EventCreate, made *[36]byte, organization *string) (body []byte, err error) {
	defer func() {
		if recover() != nil {
			body, err = nil, invalid("the event cannot be written as JSON: a method of one of its values panicked")
		}
	}()
	for _, key := range slices.Sorted(maps.Keys(e.Metadata)) {
		if !scalar(e.Metadata[key]) {
			return nil, invalid("EventCreate.Metadata: metadata key %q: the value, a %T, must be a string, a number or a bool", shorten(key, 40), e.Metadata[key])
		}
	}
	if err := e.Validate(); err != nil {
		return nil, invalid("%s", err.Error())
	}
	full := *e
	full.Timestamp = nil
	full.OrganizationID = organization
	full.Metadata = maps.Clone(e.Metadata)
	if full.ExternalID == nil {
		full.ExternalID = new(string(made[:]))
	}
	if body, err = jsonx.Marshal(&full); err != nil {
		return nil, invalid("the event cannot be written as JSON") // the encoder's text may repeat values
	}
	return body[:len(body)-1], nil
}

// scalar reports whether a value may be written as a string, a number or a bool, so that the encoder need not look into what
// may have no end.
func scalar(v any) bool {
	switch v.(type) {
	case nil: // said better by Validate
		return true
	case json.Marshaler, json.MarshalerTo, encoding.TextMarshaler, encoding.TextAppender:
		return true
	}
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	switch k := value.Kind(); k {
	case reflect.String, reflect.Bool, reflect.Pointer:
		return k != reflect.Pointer || value.IsNil()
	}
	return value.CanInt() || value.CanUint() || value.CanFloat()
}

// checkNUL refuses the one character that Polar's database cannot store.
func checkNUL(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(append(bytes.Clone(body), '}')))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return nil // the end
		}
		if t.Kind() == '"' && strings.Contains(t.String(), "\x00") {
			where := strings.ReplaceAll(strings.TrimPrefix(string(d.StackPointer()), "/"), "\x00", "�")
			return invalid("%s of the event has a NUL character, which Polar does not take", where)
		}
	}
}

// record is an item as a journal keeps it: a version, the flags, the time, the body.
func (it *item) record() []byte {
	rec := make([]byte, 0, len(it.body)+10)
	rec = append(rec, recordVersion, byte(it.flags&(stamped|external)))
	for shift := 56; shift >= 0; shift -= 8 {
		rec = append(rec, byte(uint64(it.at)>>shift))
	}
	return append(rec, it.body...)
}

const recordVersion = 1

func itemOf(rec []byte) (item, error) {
	if len(rec) < 12 || rec[0] != recordVersion || rec[10] != '{' {
		return item{}, fmt.Errorf("ingest: the journal has a record that this version cannot read: it begins with %s", hex.EncodeToString(rec[:min(len(rec), 1)]))
	}
	it := item{body: string(rec[10:]), flags: itemFlags(rec[1]) & (stamped | external)}
	var at uint64
	for _, b := range rec[2:10] {
		at = at<<8 | uint64(b)
	}
	it.at = int64(at)
	return it, nil
}
