package webhooks

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// KeyRule is how the key that signs comes out of a secret.
type KeyRule int

const (
	// KeyRuleBytes signs with the bytes of the secret as it is written, prefix included. It is Polar's rule for secrets
	// that were made before 8 September 2026, for those that a merchant chose, and for "polar listen".
	KeyRuleBytes KeyRule = iota + 1
	// KeyRuleDecoded signs with what the base64 after "whsec_" stands for. It is Polar's rule for secrets that it made
	// since then, and that of Standard Webhooks.
	KeyRuleDecoded
)

// SignOption sets something of [Sign] and [NewRequest].
type SignOption func(*signConfig)

type signConfig struct{ rule KeyRule }

// WithKeyRule signs by this rule. Without it the rule is guessed from the look of the secret: [KeyRuleDecoded] for
// "whsec_" and the base64 of 32 bytes, and [KeyRuleBytes] for everything else.
func WithKeyRule(rule KeyRule) SignOption { return func(c *signConfig) { c.rule = rule } }

func likelyRule(secret string) KeyRule {
	text, ok := strings.CutPrefix(secret, standardPrefix)
	if ok && len(text) == 44 && len(decodedKey(secret)) == 32 {
		return KeyRuleDecoded
	}
	return KeyRuleBytes
}

// Sign returns the header that Polar would send a body with: webhook-id, webhook-timestamp, webhook-signature and the
// content type. It is for tests of receivers; [NewRequest] makes a whole request.
func Sign(secret, id string, sentAt time.Time, body []byte, opts ...SignOption) (http.Header, error) {
	if wrong := checkSecret(secret); wrong != "" {
		return nil, fail(ErrSecret, wrong)
	}
	if !validID(id) {
		return nil, fail(ErrBadHeader, "the id must be 1 to 255 letters, digits, hyphens and underscores")
	}
	if at := sentAt.Unix(); at < 0 || at > maxTimestamp {
		return nil, fail(ErrBadTimestamp, "the time of sending must be in the years 1970 to 9999")
	}
	c := signConfig{rule: likelyRule(secret)}
	for _, opt := range opts {
		opt(&c)
	}
	key := []byte(secret)
	switch c.rule {
	case KeyRuleBytes:
	case KeyRuleDecoded:
		if key = decodedKey(secret); key == nil {
			return nil, fail(ErrSecret, "the secret is not base64, so KeyRuleDecoded does not apply")
		}
	default:
		return nil, fail(ErrSetup, "unknown key rule "+strconv.Itoa(int(c.rule)))
	}
	signature, err := newSigner(key)(id, sentAt, body)
	if err != nil {
		return nil, failWith(ErrSetup, "the signature cannot be computed", err)
	}
	h := make(http.Header, 5)
	h.Set("Content-Type", "application/json")
	h.Set(headerID, id)
	h.Set(headerTimestamp, strconv.FormatInt(sentAt.Unix(), 10))
	h.Set(headerSignature, signature)
	return h, nil
}

// NewRequest returns a request that delivers an event as Polar does, signed with the secret. Tests of receivers send it
// with an [http.Client] or hand it to a handler:
//
//	req, err := webhooks.NewRequest(ctx, "https://example.com/webhooks/polar", secret, &webhooks.OrderPaid{Data: order})
//	...
//	handler.ServeHTTP(httptest.NewRecorder(), req)
//
// What the event does not have is filled in, in the request but not in e: an ID that nothing had before, the present
// time as SentAt and as Timestamp, and [APIVersion]. To deliver an event again, set its ID.
func NewRequest(ctx context.Context, url, secret string, e Event, opts ...SignOption) (*http.Request, error) {
	if isNil(e) {
		return nil, fail(ErrSetup, "the event is nil")
	}
	e = copyOf(e)
	d := e.Info()
	now := time.Now().UTC()
	if d.ID == "" {
		d.ID = newID()
	}
	if d.SentAt.IsZero() {
		d.SentAt = now
	}
	if d.Timestamp.IsZero() {
		d.Timestamp = now
	}
	if d.APIVersion == "" {
		d.APIVersion = APIVersion
	}
	body, err := Encode(e)
	if err != nil {
		return nil, err
	}
	header, err := Sign(secret, d.ID, d.SentAt, body, opts...)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, failWith(ErrSetup, "the address cannot be used", err)
	}
	header.Set("User-Agent", "polar.sh webhooks")
	header.Set(headerAPIVersion, d.APIVersion)
	req.Header = header
	return req, nil
}

// ListenSecret returns the secret that "polar listen" signs with: the id of the organization without its hyphens. Use it
// for development on your own machine and never for an endpoint that others can reach, because an organization's id is
// no secret.
func ListenSecret(organizationID string) string { return strings.ReplaceAll(organizationID, "-", "") }

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
