package webhooks

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzVerify gives a verifier what it likes. Nothing passes that the reference did not sign: the other implementation here
// is the definition, written out.
func FuzzVerify(f *testing.F) {
	for _, s := range oneEach() {
		h := signed(f, standardSecret, s.body)
		f.Add(s.body, h.Get(headerID), h.Get(headerTimestamp), h.Get(headerSignature), standardSecret)
		h = signed(f, legacySecret, s.body)
		f.Add(s.body, h.Get(headerID), h.Get(headerTimestamp), h.Get(headerSignature), legacySecret)
	}
	f.Add([]byte(""), "", "", "", "")
	f.Add([]byte("{}"), "a.b", "1795348800", "v1,x v1,,, v2,y", "whsec_==")
	f.Add([]byte("{}"), "a", "-9223372036854775808", " ", "whsec_\n")
	f.Fuzz(func(t *testing.T, body []byte, id, stamp, signature, secret string) {
		v, err := NewVerifier(secret, WithClock(fixedClock))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "webhooks: ") || len(secret) > 20 && strings.Contains(err.Error(), secret) {
				t.Fatalf("error %q", err)
			}
			return
		}
		h := http.Header{headerID: {id}, "WEBHOOK-TIMESTAMP": {stamp}, "Webhook-Signature": {signature}}
		err = v.Verify(body, h)
		if err == nil && !referenceVerify(secret, id, stamp, signature, body) {
			t.Fatal("accepted what was not signed")
		}
		if err != nil && StatusCode(err) != http.StatusForbidden {
			t.Fatalf("status %d for %v", StatusCode(err), err)
		}
		// and whatever can be signed is accepted
		h, err = Sign(secret, "evt_1", testTime, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(body, h); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzParse reads any bytes as a payload: no panic, an event or an error of the class, and an event that encodes to what
// decodes to the same.
func FuzzParse(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.body)
	}
	for _, c := range hostileRequests(f) {
		if c.change != nil {
			if body := c.change(signed(f, standardSecret, testBody), bytes.Clone(testBody)); len(body) < 10_000 {
				f.Add(body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := Decode(body)
		if err != nil {
			if e != nil || StatusCode(err) != http.StatusBadRequest || len(err.Error()) > 2000 {
				t.Fatalf("event %v, error %v", e, err)
			}
			return
		}
		if e.Type() == "" || !bytes.Equal(e.Info().Payload(), body) {
			t.Fatalf("type %q", e.Type())
		}
		once, err := Encode(e)
		if err != nil {
			return // a payload can hold more than Go can write: years beyond 9999
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		twice, err := Encode(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}

// FuzzRouter sends any request to a router. It answers with one of its statuses, and calls the handler only for what was
// signed.
func FuzzRouter(f *testing.F) {
	for _, s := range oneEach() {
		f.Add(s.body, true, "POST", testID, "1795348800", "", int64(len(s.body)))
	}
	f.Add([]byte("{}"), false, "GET", "a\nb", "x", "v1,", int64(-1))
	f.Add([]byte("{}"), false, "POST", testID, "1795348800", "v1,x", int64(1)<<40)
	f.Fuzz(func(t *testing.T, body []byte, sign bool, method, id, stamp, signature string, length int64) {
		handled := false
		r := NewRouter(must(NewVerifier(standardSecret, WithClock(fixedClock))), WithFailureHandler(func(_ context.Context, f Failure) {
			if f.Err == nil || classOf(f.Err) == ErrPanic {
				t.Errorf("failure %+v", f)
			}
		}))
		r.Default(func(context.Context, Event) error { handled = true; return nil })
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		req.Method, req.ContentLength = method, length
		if sign {
			req.Header = signed(t, standardSecret, body)
		} else {
			req.Header = http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}
		}
		code, _ := serve(r, req)
		switch code {
		case 202:
			if !handled || !sign && !referenceVerify(standardSecret, id, stamp, signature, body) {
				t.Errorf("202 without a reason")
			}
		case 400, 403, 405, 413, 500:
			if handled {
				t.Errorf("%d and handled", code)
			}
		default:
			t.Errorf("answer %d", code)
		}
	})
}
