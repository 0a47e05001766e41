package webhooks

import (
	"crypto/hmac"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	headerID         = standardwebhooks.HeaderWebhookID
	headerTimestamp  = standardwebhooks.HeaderWebhookTimestamp
	headerSignature  = standardwebhooks.HeaderWebhookSignature
	headerAPIVersion = "webhook-api-version"

	standardPrefix = "whsec_"
	legacyPrefix   = "polar_whs_"

	// DefaultTolerance is how far the clock of a [Verifier] and the timestamp of a delivery may be apart, in both
	// directions, unless [WithTolerance] says otherwise.
	DefaultTolerance = 5 * time.Minute

	maxIDLength  = 255
	maxTimestamp = 253402300799 // end of the year 9999
)

// Verifier tells deliveries of Polar from forgeries and replays. It is made by [NewVerifier] and safe for concurrent use.
// The zero Verifier refuses everything.
type Verifier struct {
	keys      []signer
	last      atomic.Int32 // index of the key that matched last, which is tried first
	tolerance time.Duration
	now       func() time.Time
}

// signer makes the signature "v1,..." of a delivery. It is a function so that no way of printing a Verifier reaches the
// key in it.
type signer func(id string, at time.Time, body []byte) (string, error)

// VerifierOption sets something of a [Verifier].
type VerifierOption func(*verifierConfig) error

type verifierConfig struct {
	secrets   []string
	tolerance time.Duration
	now       func() time.Time
}

// WithPreviousSecret accepts more secrets: the one before during a rotation, or those of several endpoints that deliver
// to the same address. Take it out again when Polar has stopped using the old secret.
func WithPreviousSecret(secrets ...string) VerifierOption {
	return func(c *verifierConfig) error {
		c.secrets = append(c.secrets, secrets...)
		return nil
	}
}

// WithTolerance sets how far the clock and the timestamp of a delivery may be apart instead of [DefaultTolerance]. It
// limits for how long somebody who got hold of a delivery can send it again, so it has to be positive. A delivery that
// waited in a queue is to be verified before it waits.
func WithTolerance(d time.Duration) VerifierOption {
	return func(c *verifierConfig) error {
		if d <= 0 {
			return fail(ErrSetup, "the tolerance must be positive, and is "+d.String())
		}
		c.tolerance = d
		return nil
	}
}

// WithClock sets the clock that timestamps are compared with instead of [time.Now], for tests.
func WithClock(now func() time.Time) VerifierOption {
	return func(c *verifierConfig) error {
		if now == nil {
			return fail(ErrSetup, "the clock is nil")
		}
		c.now = now
		return nil
	}
}

// NewVerifier returns a verifier for the secret of a webhook endpoint, exactly as Polar shows it: prefix and all, and
// not encoded or decoded in any way.
//
// Polar signs with one of two keys: with the bytes of the secret as it is written, or, for secrets that it made on or
// after 8 September 2026, with what the base64 after "whsec_" stands for. The look of a secret does not always tell which,
// so both are accepted, the second only where the secret is base64.
//
// An empty secret, one that is only a prefix, and one with white space around it, as from a file that ends with a new
// line, are errors that match [ErrSecret]: the first two would let anybody forge events, the last would refuse all.
func NewVerifier(secret string, opts ...VerifierOption) (*Verifier, error) {
	c := verifierConfig{secrets: []string{secret}, tolerance: DefaultTolerance, now: time.Now}
	for _, opt := range opts {
		if opt == nil {
			return nil, fail(ErrSetup, "an option is nil")
		}
		if err := opt(&c); err != nil {
			return nil, err
		}
	}
	v := &Verifier{tolerance: c.tolerance, now: c.now}
	var later []signer
	for i, s := range c.secrets {
		if wrong := checkSecret(s); wrong != "" {
			if i > 0 {
				wrong = "previous secret " + strconv.Itoa(i) + ": " + wrong
			}
			return nil, fail(ErrSecret, wrong)
		}
		// the likely key of each secret comes first: when it matches, the body is hashed only once
		first, second := newSigner([]byte(s)), signer(nil)
		if key := decodedKey(s); key != nil {
			second = newSigner(key)
			if likelyRule(s) == KeyRuleDecoded {
				first, second = second, first
			}
		}
		v.keys = append(v.keys, first)
		if second != nil {
			later = append(later, second)
		}
	}
	v.keys = append(v.keys, later...)
	return v, nil
}

// checkSecret returns what is wrong with a secret, without the secret, and "" when nothing is.
func checkSecret(s string) string {
	switch s {
	case "":
		return "the secret is empty: is the environment variable set?"
	case standardPrefix, legacyPrefix, strings.TrimSuffix(standardPrefix, "_"), strings.TrimSuffix(legacyPrefix, "_"):
		return "the secret is only a prefix: copy all of it"
	}
	if strings.TrimSpace(s) != s {
		return "the secret begins or ends with white space: copy it exactly as Polar shows it"
	}
	for _, token := range []string{"polar_oat_", "polar_pat_"} {
		if strings.HasPrefix(s, token) {
			return "this is an access token: the secret of a webhook endpoint is shown with the endpoint"
		}
	}
	return ""
}

// newSigner returns a signer for a key. It owns key.
func newSigner(key []byte) signer {
	wh, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return func(string, time.Time, []byte) (string, error) { return "", err }
	}
	return wh.Sign
}

// decodedKey returns the bytes that the base64 in a secret stands for, with or without the prefix and the padding, and
// nil when there is none.
func decodedKey(secret string) []byte {
	text := strings.TrimRight(strings.TrimPrefix(secret, standardPrefix), "=")
	if strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil
	}
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil
	}
	return key
}

// Verify checks that a delivery was signed by Polar with one of the secrets, for this body and not too long ago. The body
// is the bytes as they arrived: decoding and encoding JSON gives other bytes. The keys of header may be written in any
// case; [Header] makes one from the maps of serverless platforms.
//
// The error is nil only when everything is right, and otherwise matches one of the classes from [ErrMissingHeader] to
// [ErrNoMatchingSignature].
func (v *Verifier) Verify(body []byte, header http.Header) error {
	h, err := v.checkHeader(header)
	if err != nil {
		return err
	}
	return v.checkSignature(h, body)
}

// Parse is [Verifier.Verify] followed by reading the body. An event of a type that this version of the module does not
// know is an [*Unknown]. Besides the errors of Verify there are those of [Decode].
func (v *Verifier) Parse(body []byte, header http.Header) (Event, error) {
	h, err := v.checkHeader(header)
	if err != nil {
		return nil, err
	}
	if err := v.checkSignature(h, body); err != nil {
		return nil, err
	}
	return h.decode(slices.Clone(body))
}

// deliveryHeader is what the header of a delivery says.
type deliveryHeader struct {
	id         string
	sentAt     time.Time
	signatures []string
	version    string
}

// decode reads a body whose signature was checked, and which nobody else will change.
func (h *deliveryHeader) decode(body []byte) (Event, error) {
	e, err := decode(body)
	if err != nil {
		return nil, err
	}
	h.fill(e)
	return e, nil
}

// fill writes into an event what is not in its payload. The version in the header is not signed, so it counts only where
// the payload does not have one.
func (h *deliveryHeader) fill(e Event) {
	d := e.Info()
	d.ID, d.SentAt = h.id, h.sentAt
	if d.APIVersion == "" {
		d.APIVersion = h.version
	}
}

// checkHeader checks all that can be checked without the body.
func (v *Verifier) checkHeader(header http.Header) (h deliveryHeader, err error) {
	if v == nil || len(v.keys) == 0 {
		return h, fail(ErrSetup, "the verifier was not made by NewVerifier")
	}
	var ids, times, versions []string
	for key, values := range header {
		switch len(key) {
		case len(headerID):
			if strings.EqualFold(key, headerID) {
				ids = join(ids, values)
			}
		case len(headerTimestamp): // and signature
			if strings.EqualFold(key, headerTimestamp) {
				times = join(times, values)
			} else if strings.EqualFold(key, headerSignature) {
				h.signatures = join(h.signatures, values)
			}
		case len(headerAPIVersion):
			if strings.EqualFold(key, headerAPIVersion) {
				versions = values
			}
		}
	}
	if h.id, err = single(headerID, ids); err != nil {
		return h, err
	}
	stamp, err := single(headerTimestamp, times)
	if err != nil {
		return h, err
	}
	if strings.Join(h.signatures, "") == "" {
		return h, missing(headerSignature)
	}
	if !validID(h.id) {
		return h, fail(ErrBadHeader, "webhook-id must be 1 to 255 letters, digits, hyphens and underscores")
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 || seconds > maxTimestamp || strconv.FormatInt(seconds, 10) != stamp {
		return h, fail(ErrBadTimestamp, "webhook-timestamp is not a number of seconds since 1970")
	}
	h.sentAt = time.Unix(seconds, 0).UTC()
	if len(versions) == 1 && len(versions[0]) <= 32 {
		h.version = versions[0]
	}
	switch age := v.now().Sub(h.sentAt); {
	case age > v.tolerance:
		return h, fail(ErrTooOld, "the delivery was sent "+age.Round(time.Second).String()+" ago, and "+v.tolerance.String()+
			" are allowed: it was held up or is a replay, or the clock of this machine is fast")
	case age < -v.tolerance:
		return h, fail(ErrTooNew, "the delivery was sent "+age.Abs().Round(time.Second).String()+" in the future, and "+v.tolerance.String()+
			" are allowed: the clock of this machine is slow")
	}
	return h, nil
}

// join appends values to list, which stays the map's own slice in the usual case of one key.
func join(list, values []string) []string {
	if list == nil {
		return values[:len(values):len(values)]
	}
	return append(list, values...)
}

func single(name string, values []string) (string, error) {
	if len(values) > 1 {
		return "", fail(ErrBadHeader, name+" is there more than once")
	}
	if len(values) == 0 || values[0] == "" {
		return "", missing(name)
	}
	return values[0], nil
}

func missing(name string) error {
	return fail(ErrMissingHeader, "the request has no "+name+": it is not from Polar, or a proxy drops the header")
}

// validID reports whether id can be a webhook-id. A dot would leave open where the id ends in "id.timestamp.body", which
// is what is signed.
func validID(id string) bool {
	if id == "" || len(id) > maxIDLength {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

const badSignature = "no signature matches: the secret is of another endpoint or environment, or the body was changed on its way; " +
	"a framework that decodes and encodes the JSON again does that"

// checkSignature hashes the body once for each key until one of them made one of the signatures. The work does not depend
// on the number of signatures but for one comparison each.
func (v *Verifier) checkSignature(h deliveryHeader, body []byte) error {
	last := int(v.last.Load())
	for n := range v.keys {
		// the key that matched last, then the others in order
		i := last
		if n > 0 {
			if i = n; n <= last {
				i = n - 1
			}
		}
		want, err := v.keys[i](h.id, h.sentAt, body)
		if err != nil {
			return failWith(ErrNoMatchingSignature, "the signature cannot be computed", err)
		}
		if containsSignature(h.signatures, want) {
			if i != last {
				v.last.Store(int32(i))
			}
			return nil
		}
	}
	return fail(ErrNoMatchingSignature, badSignature)
}

// containsSignature reports whether want, "v1," and a signature, is one of those in the header, which are set apart by
// spaces. Each comparison takes the same time wherever they differ.
func containsSignature(signatures []string, want string) bool {
	expected, got := []byte(want), make([]byte, len(want))
	found := false
	for _, list := range signatures {
		for signature := range strings.SplitSeq(list, " ") {
			if len(signature) == len(got) {
				copy(got, signature)
				found = hmac.Equal(got, expected) || found
			}
		}
	}
	return found
}

// Header makes a header of the map that serverless platforms pass with a request, such as AWS Lambda. Where the platform
// also says that the body is encoded in base64, decode it before you verify it.
func Header(m map[string]string) http.Header {
	h := make(http.Header, len(m))
	for key, value := range m {
		h.Add(key, value)
	}
	return h
}
