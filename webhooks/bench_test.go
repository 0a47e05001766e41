package webhooks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

// payloadOf returns a payload of order.paid of about so many bytes, with items to fill it.
func payloadOf(tb testing.TB, size int) []byte {
	tb.Helper()
	var order *OrderPaid
	for _, s := range oneEach() {
		if s.eventType == models.WebhookEventTypeOrderPaid {
			e, err := Decode(s.body)
			require.NoError(tb, err)
			order = e.(*OrderPaid)
		}
	}
	item := order.Data.Items[0]
	for {
		body, err := Encode(order)
		require.NoError(tb, err)
		if len(body) >= size {
			return body
		}
		order.Data.Items = append(order.Data.Items, item)
	}
}

// BenchmarkVerify compares with the SHA-256 of the same bytes, in the same run: twice that is the budget.
func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{4 << 10, 20 << 10} {
		body := payloadOf(b, size)
		b.Run(fmt.Sprintf("%dKB/sha256", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				sha256.Sum256(body)
			}
		})
		for name, secret := range map[string]string{"decoded": standardSecret, "bytes": legacySecret} {
			v, h := newVerifier(b, secret), signed(b, secret, body)
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := v.Verify(body, h); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkVerifyJunk is what a forger can make the verifier do.
func BenchmarkVerifyJunk(b *testing.B) {
	body := payloadOf(b, 20<<10)
	v, h := newVerifier(b, standardSecret), signed(b, "another", body)
	b.ReportAllocs()
	for b.Loop() {
		if v.Verify(body, h) == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, size := range []int{4 << 10, 20 << 10} {
		body := payloadOf(b, size)
		v, h := newVerifier(b, standardSecret), signed(b, standardSecret, body)
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Parse(body, h); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRouter is verify, parse and dispatch, with and without the memory of duplicates.
func BenchmarkRouter(b *testing.B) {
	for _, size := range []int{4 << 10, 20 << 10} {
		body := payloadOf(b, size)
		for name, d := range map[string]Deduper{"plain": nil, "dedupe": forgetful{NewMemoryDeduper()}} {
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) {
				r := NewRouter(newVerifier(b, standardSecret), WithDeduper(d))
				On(r, func(context.Context, *OrderPaid) error { return nil })
				h := signed(b, standardSecret, body)
				reader := bytes.NewReader(body)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					reader.Reset(body)
					req := &http.Request{Method: http.MethodPost, Header: h, Body: bodyOf{reader}, ContentLength: int64(len(body))}
					rec := httptest.NewRecorder()
					if r.ServeHTTP(rec, req); rec.Code != http.StatusAccepted {
						b.Fatal(rec.Code)
					}
				}
			})
		}
	}
}

type bodyOf struct{ *bytes.Reader }

func (bodyOf) Close() error { return nil }

// forgetful lets the same delivery be handled again and again.
type forgetful struct{ *MemoryDeduper }

func (f forgetful) Claim(ctx context.Context, id string) (string, ClaimState, error) {
	f.Forget(id)
	return f.MemoryDeduper.Claim(ctx, id)
}

func BenchmarkNewRequest(b *testing.B) {
	e, err := Decode(payloadOf(b, 4<<10))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewRequest(b.Context(), "http://shop.example", standardSecret, e); err != nil {
			b.Fatal(err)
		}
	}
}
