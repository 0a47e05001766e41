package webhooks

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	testKey        = []byte("0123456789abcdef0123456789abcdef")
	standardSecret = "whsec_" + base64.StdEncoding.EncodeToString(testKey)
	legacySecret   = "polar_whs_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk012345"
	testTime       = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	testBody       = []byte(`{"type":"order.paid","timestamp":"2026-11-22T11:59:59Z","api_version":"2026-10","data":{"id":"o_1"}}`)
)

const testID = "5f4b3c1e-0000-4000-8000-000000000001"

func fixedClock() time.Time { return testTime }

func newVerifier(t testing.TB, secret string, opts ...VerifierOption) *Verifier {
	t.Helper()
	v, err := NewVerifier(secret, append([]VerifierOption{WithClock(fixedClock)}, opts...)...)
	require.NoError(t, err)
	return v
}

func signed(t testing.TB, secret string, body []byte, opts ...SignOption) http.Header {
	t.Helper()
	h, err := Sign(secret, testID, testTime, body, opts...)
	require.NoError(t, err)
	return h
}

func TestBothKeyRules(t *testing.T) {
	for _, c := range []struct {
		name, secret string
		rule         KeyRule
		ok           bool
	}{
		{"made since September 2026", standardSecret, KeyRuleDecoded, true},
		{"looks like it but signed by the old rule", standardSecret, KeyRuleBytes, true},
		{"generated before", legacySecret, KeyRuleBytes, true},
		{"generated before with the new prefix", "whsec_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk012345", KeyRuleBytes, true},
		{"chosen by the merchant", "hunter22", KeyRuleBytes, true},
		{"chosen by the merchant, not base64", "correct horse battery staple", KeyRuleBytes, true},
		{"padding lost when it was copied", strings.TrimRight(standardSecret, "="), KeyRuleDecoded, true},
		{"base64 without the prefix", strings.TrimPrefix(standardSecret, "whsec_"), KeyRuleDecoded, true},
		{"polar listen", ListenSecret("5f4b3c1e-0000-4000-8000-000000000001"), KeyRuleBytes, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVerifier(t, c.secret)
			for range 3 {
				require.NoError(t, v.Verify(testBody, signed(t, c.secret, testBody, WithKeyRule(c.rule))))
			}
			assert.ErrorIs(t, v.Verify(append([]byte(" "), testBody...), signed(t, c.secret, testBody, WithKeyRule(c.rule))), ErrNoMatchingSignature)
			assert.ErrorIs(t, v.Verify(testBody, signed(t, c.secret+"x", testBody, WithKeyRule(KeyRuleBytes))), ErrNoMatchingSignature)
		})
	}
}
