package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// referenceVerify is the definition of a signature, written out apart from the code that is tested: HMAC-SHA256 of
// "id.timestamp.body" under the bytes of the secret, or under what the base64 in it stands for, somewhere in the list.
func referenceVerify(secret, id, stamp, signatures string, body []byte) bool {
	keys := []string{secret}
	rest := strings.TrimRight(strings.TrimPrefix(secret, "whsec_"), "=")
	if decoded, err := base64.StdEncoding.WithPadding(base64.NoPadding).DecodeString(rest); err == nil && len(decoded) > 0 {
		keys = append(keys, string(decoded))
	}
	for _, key := range keys {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(id + "." + stamp + "." + string(body)))
		want := "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
		for _, s := range strings.Fields(signatures) {
			if s == want {
				return true
			}
		}
	}
	return false
}
