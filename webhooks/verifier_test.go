package webhooks

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBothKeyRules(t *testing.T) {
	for _, c := range []struct {
		name, secret string
		rules        []KeyRule
	}{
		{"made since September 2026", standardSecret, []KeyRule{KeyRuleDecoded, KeyRuleBytes}},
		{"generated before", legacySecret, []KeyRule{KeyRuleBytes}},
		{"generated before with the new prefix", "whsec_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk012345", []KeyRule{KeyRuleBytes, KeyRuleDecoded}},
		{"chosen by the merchant", "hunter22", []KeyRule{KeyRuleBytes, KeyRuleDecoded}},
		{"chosen by the merchant, no base64", "correct horse battery staple", []KeyRule{KeyRuleBytes}},
		{"padding lost when it was copied", strings.TrimRight(standardSecret, "="), []KeyRule{KeyRuleDecoded}},
		{"base64 without the prefix", strings.TrimPrefix(standardSecret, "whsec_"), []KeyRule{KeyRuleDecoded}},
		{"polar listen", ListenSecret("5f4b3c1e-0000-4000-8000-000000000001"), []KeyRule{KeyRuleBytes}},
	} {
		for _, rule := range c.rules {
			t.Run(fmt.Sprint(c.name, " rule ", rule), func(t *testing.T) {
				v := newVerifier(t, c.secret)
				h := signed(t, c.secret, testBody, WithKeyRule(rule))
				for range 3 { // the second time another key may be tried first
					require.NoError(t, v.Verify(testBody, h))
				}
				assert.ErrorIs(t, v.Verify(append([]byte(" "), testBody...), h), ErrNoMatchingSignature)
				require.NoError(t, v.Verify(testBody, h))
				assert.ErrorIs(t, v.Verify(testBody, signed(t, c.secret+"x", testBody, WithKeyRule(KeyRuleBytes))), ErrNoMatchingSignature)
			})
		}
	}
}

// Signatures of msg_1.1795348800.{"a":1} by openssl, with the key of each rule.
const (
	knownDecoded = "v1,q/mIWdWzjboexkZbOitZ5WRceTlhzVKALePgtNxsLhc="
	knownBytes   = "v1,8lLKOj5IrYoRQwVtSYAbBHHVP8NQGf5gWh+b4050Y4E="
)

func TestKnownSignatures(t *testing.T) {
	h := func(signature string) http.Header {
		return Header(map[string]string{"webhook-id": "msg_1", "webhook-timestamp": "1795348800", "webhook-signature": signature})
	}
	require.Equal(t, int64(1795348800), testTime.Unix())
	v := newVerifier(t, standardSecret)
	assert.NoError(t, v.Verify([]byte(`{"a":1}`), h(knownDecoded)))
	assert.NoError(t, v.Verify([]byte(`{"a":1}`), h(knownBytes)))
}

func TestSecretsThatCannotBeUsed(t *testing.T) {
	for secret, want := range map[string]string{
		"":                  "the secret is empty",
		"whsec_":            "only a prefix",
		"whsec":             "only a prefix",
		"polar_whs_":        "only a prefix",
		"polar_whs":         "only a prefix",
		" ":                 "white space",
		"\n":                "white space",
		"whsec_\n":          "white space",
		legacySecret + "\n": "white space",
		"\t" + legacySecret: "white space",
		"polar_oat_abc":     "access token",
		"polar_pat_abc":     "access token",
	} {
		_, err := NewVerifier(secret)
		require.ErrorIs(t, err, ErrSecret, "%q", secret)
		assert.ErrorContains(t, err, want, "%q", secret)
		if s := strings.TrimSpace(secret); len(s) > 12 {
			assert.NotContains(t, err.Error(), s)
		}
		_, err = Sign(secret, testID, testTime, testBody)
		assert.ErrorIs(t, err, ErrSecret, "%q", secret)

		_, err = NewVerifier(standardSecret, WithPreviousSecret(legacySecret, secret))
		require.ErrorIs(t, err, ErrSecret, "%q", secret)
		assert.ErrorContains(t, err, "previous secret 2: ")
	}
}

// A secret of which nothing but padding is left after the prefix must not become an empty key.
func TestNoEmptyKey(t *testing.T) {
	for _, secret := range []string{"whsec_=", "whsec_==", "=", "whsec_A", "AAAA\nBBBB", "whsec_AAAA\r\n\r\nBBBB"} {
		v := newVerifier(t, secret)
		assert.Len(t, v.keys, 1, "%q", secret)
		empty, err := newSigner(nil)(testID, testTime, testBody)
		require.NoError(t, err)
		h := signed(t, secret, testBody)
		h.Set(headerSignature, empty)
		assert.ErrorIs(t, v.Verify(testBody, h), ErrNoMatchingSignature, "%q", secret)
	}
	h := signed(t, standardSecret, testBody)
	for name, v := range map[string]*Verifier{"zero": {}, "nil": nil} {
		assert.ErrorIs(t, v.Verify(testBody, h), ErrSetup, name)
		_, err := v.Parse(testBody, h)
		assert.ErrorIs(t, err, ErrSetup, name)
	}
}

func TestVerifierOptions(t *testing.T) {
	for name, opt := range map[string]VerifierOption{
		"zero tolerance": WithTolerance(0), "negative tolerance": WithTolerance(-time.Second), "no clock": WithClock(nil), "nil": nil,
	} {
		_, err := NewVerifier(standardSecret, opt)
		assert.ErrorIs(t, err, ErrSetup, name)
	}
}

func TestRotation(t *testing.T) {
	const third = "merchant's own"
	v := newVerifier(t, standardSecret, WithPreviousSecret(legacySecret), WithPreviousSecret(third))
	for range 2 {
		for _, secret := range []string{standardSecret, legacySecret, third} {
			assert.NoError(t, v.Verify(testBody, signed(t, secret, testBody)))
		}
		assert.NoError(t, v.Verify(testBody, signed(t, standardSecret, testBody, WithKeyRule(KeyRuleBytes))))
		assert.ErrorIs(t, v.Verify(testBody, signed(t, "another", testBody)), ErrNoMatchingSignature)
	}
	assert.ErrorIs(t, newVerifier(t, standardSecret).Verify(testBody, signed(t, legacySecret, testBody)), ErrNoMatchingSignature)
}

// The key that matched last is tried first, and each key once.
func TestOrderOfKeys(t *testing.T) {
	v := newVerifier(t, "a")
	var tried string
	v.keys = nil
	for _, name := range []string{"a", "b", "c", "d"} {
		v.keys = append(v.keys, func(string, time.Time, []byte) (string, error) {
			tried += name
			return "v1," + name, nil
		})
	}
	for _, c := range []struct{ signature, want string }{
		{"a", "a"}, {"c", "abc"}, {"c", "c"}, {"b", "cab"}, {"d", "bacd"}, {"a", "da"}, {"x", "abcd"}, {"d", "abcd"}, {"x", "dabc"}, {"d", "d"},
	} {
		tried = ""
		h := signed(t, standardSecret, testBody)
		h.Set(headerSignature, "v1,"+c.signature)
		err := v.Verify(testBody, h)
		assert.Equal(t, c.signature == "x", err != nil)
		assert.Equal(t, c.want, tried, "signature of %s", c.signature)
	}
}

// The body is hashed once for a delivery signed by the rule that the secret looks like.
func TestLikelyKeyFirst(t *testing.T) {
	for _, secret := range []string{standardSecret, legacySecret, "hunter22", "whsec_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk012345"} {
		v := newVerifier(t, secret)
		require.NoError(t, v.Verify(testBody, signed(t, secret, testBody)))
		assert.Zero(t, v.last.Load(), secret)
	}
}

func TestTolerance(t *testing.T) {
	for _, c := range []struct {
		tolerance, age time.Duration
		want           error
	}{
		{0, 0, nil},
		{0, 5 * time.Minute, nil},
		{0, 5*time.Minute + time.Second, ErrTooOld},
		{0, -5 * time.Minute, nil},
		{0, -5*time.Minute - time.Second, ErrTooNew},
		{time.Hour, time.Hour, nil},
		{time.Hour, time.Hour + time.Second, ErrTooOld},
		{time.Second, -time.Second, nil},
		{time.Second, -2 * time.Second, ErrTooNew},
		{0, 20 * 365 * 24 * time.Hour, ErrTooOld},
		{0, -200 * 365 * 24 * time.Hour, ErrTooNew},
	} {
		var opts []VerifierOption
		if c.tolerance != 0 {
			opts = append(opts, WithTolerance(c.tolerance))
		}
		h, err := Sign(legacySecret, testID, testTime.Add(-c.age), testBody)
		require.NoError(t, err)
		err = newVerifier(t, legacySecret, opts...).Verify(testBody, h)
		if c.want == nil {
			assert.NoError(t, err, "%v", c)
		} else {
			assert.ErrorIs(t, err, c.want, "%v", c)
		}
	}
	// a fraction of a second beyond, which the timestamp cannot show
	v := newVerifier(t, legacySecret, WithClock(func() time.Time { return testTime.Add(5*time.Minute + 1) }))
	assert.ErrorIs(t, v.Verify(testBody, signed(t, legacySecret, testBody)), ErrTooOld)
}

func TestTimestamps(t *testing.T) {
	v := newVerifier(t, standardSecret)
	for _, stamp := range []string{
		"x", "1.5", "1e9", "-1", "+1795348800", "01795348800", " 1795348800", "1795348800 ", "1795348800s", "0x6B030000",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "99999999999999999999999", "253402300800",
		strconv.Itoa(math.MaxInt64), "１７９５", "\x00", strings.Repeat("9", 100_000), "2026-11-22T12:00:00Z",
	} {
		h := signed(t, standardSecret, testBody)
		h.Set(headerTimestamp, stamp)
		assert.ErrorIs(t, v.Verify(testBody, h), ErrBadTimestamp, "%.40q", stamp)
	}
	h := signed(t, standardSecret, testBody)
	h.Set(headerTimestamp, "0")
	assert.ErrorIs(t, v.Verify(testBody, h), ErrTooOld)
	h.Set(headerTimestamp, "253402300799")
	assert.ErrorIs(t, v.Verify(testBody, h), ErrTooNew)
	h.Set(headerTimestamp, "1795348801") // in time, but not what was signed
	assert.ErrorIs(t, v.Verify(testBody, h), ErrNoMatchingSignature)
}

func TestIDs(t *testing.T) {
	v := newVerifier(t, standardSecret)
	for _, id := range []string{"a.b", "a b", "ä", "a\x00", "a\nb", "é", "a/b", strings.Repeat("a", 256), "."} {
		h := signed(t, standardSecret, testBody)
		h.Set(headerID, id)
		assert.ErrorIs(t, v.Verify(testBody, h), ErrBadHeader, "%.40q", id)
		_, err := Sign(standardSecret, id, testTime, testBody)
		assert.ErrorIs(t, err, ErrBadHeader, "%.40q", id)
	}
	for _, id := range []string{"a", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", testID, strings.Repeat("a", 255)} {
		h, err := Sign(standardSecret, id, testTime, testBody)
		require.NoError(t, err)
		assert.NoError(t, v.Verify(testBody, h), id)
	}
	h := signed(t, standardSecret, testBody)
	h.Set(headerID, "another")
	assert.ErrorIs(t, v.Verify(testBody, h), ErrNoMatchingSignature)
}

// What is signed is "id.timestamp.body". If an id could have dots, a part of a genuine body could be passed off as a body.
func TestSignedTextCannotBeCutElsewhere(t *testing.T) {
	v := newVerifier(t, standardSecret)
	body := []byte(`{"type":"customer.created","data":{"name":".1795348800.[1]"}}`)
	h := signed(t, standardSecret, body)
	require.NoError(t, v.Verify(body, h))
	head, tail, ok := bytes.Cut(body, []byte(".1795348800."))
	require.True(t, ok)
	forged := h.Clone()
	forged.Set(headerID, testID+".1795348800."+string(head))
	want, err := newSigner(testKey)(forged.Get(headerID), testTime, tail)
	require.NoError(t, err)
	require.Equal(t, h.Get(headerSignature), want, "the attack works against the arithmetic alone")
	assert.ErrorIs(t, v.Verify(tail, forged), ErrBadHeader)
}

func TestHeaders(t *testing.T) {
	v := newVerifier(t, standardSecret)
	good := signed(t, standardSecret, testBody)
	id, stamp, signature := good.Get(headerID), good.Get(headerTimestamp), good.Get(headerSignature)
	junk := "v1," + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for _, c := range []struct {
		name   string
		header http.Header
		want   error
	}{
		{"canonical", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}, nil},
		{"lower case", http.Header{"webhook-id": {id}, "webhook-timestamp": {stamp}, "webhook-signature": {signature}}, nil},
		{"upper case", http.Header{"WEBHOOK-ID": {id}, "WEBHOOK-TIMESTAMP": {stamp}, "WEBHOOK-SIGNATURE": {signature}}, nil},
		{"mixed", http.Header{"wEbHoOk-iD": {id}, "Webhook-timestamp": {stamp}, "webhook-Signature": {signature}}, nil},
		{"map of a platform", Header(map[string]string{"webhook-id": id, "WebHook-Timestamp": stamp, "Webhook-Signature": signature, "host": "x"}), nil},
		{"several signatures", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {junk + " " + signature}}, nil},
		{"the good one first", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature + " " + junk + " v2,x"}}, nil},
		{"several lines", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {junk, signature}}, nil},
		{"more spaces", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {"  " + signature + "  "}}, nil},
		{"other version", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {"v2" + signature[2:]}}, ErrNoMatchingSignature},
		{"asymmetric version", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {"v1a" + signature[2:]}}, ErrNoMatchingSignature},
		{"no version", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature[3:]}}, ErrNoMatchingSignature},
		{"only a version", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {"v1,"}}, ErrNoMatchingSignature},
		{"cut", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature[:len(signature)-1]}}, ErrNoMatchingSignature},
		{"longer", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature + "="}}, ErrNoMatchingSignature},
		{"other case", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {strings.ToLower(signature)}}, ErrNoMatchingSignature},
		{"set apart by commas", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {junk + "," + signature}}, ErrNoMatchingSignature},
		{"nil", nil, ErrMissingHeader},
		{"no id", http.Header{"Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}, ErrMissingHeader},
		{"empty id", http.Header{"Webhook-Id": {""}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}, ErrMissingHeader},
		{"id without values", http.Header{"Webhook-Id": {}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}, ErrMissingHeader},
		{"no timestamp", http.Header{"Webhook-Id": {id}, "Webhook-Signature": {signature}}, ErrMissingHeader},
		{"no signature", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}}, ErrMissingHeader},
		{"empty signature", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {""}}, ErrMissingHeader},
		{"two ids", http.Header{"Webhook-Id": {id, id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}, ErrBadHeader},
		{"two ids in two cases", http.Header{"Webhook-Id": {id}, "webhook-id": {"x"}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}, ErrBadHeader},
		{"two timestamps", http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp, "0"}, "Webhook-Signature": {signature}}, ErrBadHeader},
		{"svix names", http.Header{"Svix-Id": {id}, "Svix-Timestamp": {stamp}, "Svix-Signature": {signature}}, ErrMissingHeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.header.Clone()
			for key, values := range c.header { // there may be something behind the values of a header
				more := append(values[:len(values):len(values)], "behind")
				c.header[key] = more[:len(values)]
				defer func() { assert.Equal(t, "behind", more[len(values)]) }()
			}
			err := v.Verify(testBody, c.header)
			if c.want == nil {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, c.want)
				assert.Equal(t, http.StatusForbidden, StatusCode(err))
			}
			assert.Equal(t, before, c.header, "the caller's header was changed")
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	v := newVerifier(t, standardSecret)
	err := v.Verify([]byte(`{}`), signed(t, standardSecret, testBody))
	assert.EqualError(t, err, "webhooks: no signature matches: the secret is of another endpoint or environment, or the body was changed on its way; "+
		"a framework that decodes and encodes the JSON again does that")
	h, serr := Sign(standardSecret, testID, testTime.Add(-6*time.Minute), testBody)
	require.NoError(t, serr)
	assert.EqualError(t, v.Verify(testBody, h), "webhooks: the delivery was sent 6m0s ago, and 5m0s are allowed: it was held up or is a replay, "+
		"or the clock of this machine is fast")
	assert.ErrorContains(t, v.Verify(testBody, http.Header{}), "has no webhook-id")
}

// No way of printing shows a secret or a key.
func TestVerifierDoesNotPrintSecrets(t *testing.T) {
	v := newVerifier(t, standardSecret, WithPreviousSecret(legacySecret))
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v, "deref", *newVerifier(t, "another-secret"))
	texts := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v), fmt.Sprintf(verb, NewRouter(v)), fmt.Sprintf(verb, v.keys))
	}
	for _, text := range texts {
		for _, secret := range []string{standardSecret, legacySecret, "another-secret"} {
			assert.NotContains(t, text, secret)
			assert.NotContains(t, text, secret[6:])
			assert.NotContains(t, text, fmt.Sprintf("%x", secret))
			assert.NotContains(t, text, fmt.Sprint([]byte(secret)))
		}
		assert.NotContains(t, text, string(testKey))
		assert.NotContains(t, text, fmt.Sprintf("%x", testKey))
		assert.NotContains(t, text, fmt.Sprint(testKey))
	}
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	v := newVerifier(t, standardSecret, WithPreviousSecret(legacySecret))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			secret := standardSecret
			if i%2 == 0 {
				secret = legacySecret
			}
			for range 200 {
				assert.NoError(t, v.Verify(testBody, signed(t, secret, testBody)))
			}
		})
	}
	wg.Wait()
}

// A parsed event keeps no reference to the caller's body.
func TestParseCopiesTheBody(t *testing.T) {
	body := bytes.Clone(testBody)
	e, err := newVerifier(t, standardSecret).Parse(body, signed(t, standardSecret, body))
	require.NoError(t, err)
	for i := range body {
		body[i] = 'x'
	}
	assert.Equal(t, testBody, e.Info().Payload())
	assert.Equal(t, "o_1", e.(*OrderPaid).Data.ID)
}

// The signatures of a header are looked through once, however many there are.
func TestManySignatures(t *testing.T) {
	v := newVerifier(t, standardSecret, WithPreviousSecret(legacySecret))
	good := signed(t, standardSecret, testBody)
	junk := strings.Repeat("v1,"+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))+" ", 200_000)
	h := good.Clone()
	h.Set(headerSignature, junk)
	allocated := testing.AllocsPerRun(1, func() { assert.ErrorIs(t, v.Verify(testBody, h), ErrNoMatchingSignature) })
	assert.Less(t, allocated, 200.0)
	h.Set(headerSignature, junk+good.Get(headerSignature))
	assert.NoError(t, v.Verify(testBody, h))
}

func TestStatusCode(t *testing.T) {
	for err, want := range map[error]int{
		nil: 202, Permanent(io.EOF): 202, fmt.Errorf("wrapped: %w", Permanent(io.EOF)): 202, io.EOF: 500, ErrTooOld: 403, ErrFormat: 400, ErrMalformed: 400,
		ErrMethod: 405, ErrBodyTimeout: 408, ErrBodyTooLarge: 413, ErrInProgress: 409, ErrBodyConsumed: 500, ErrBodyIncomplete: 400, ErrPanic: 500,
		ErrDeduper: 500, ErrSetup: 500, ErrSecret: 500, fmt.Errorf("wrapped: %w", fail(ErrTooNew, "x")): 403,
	} {
		assert.Equal(t, want, StatusCode(err), "%v", err)
	}
	assert.NoError(t, Permanent(nil))
	assert.ErrorIs(t, Permanent(io.EOF), io.EOF)
	assert.EqualError(t, Permanent(io.EOF), "EOF")
	assert.EqualError(t, ErrTooOld, "webhooks: too old")
}
