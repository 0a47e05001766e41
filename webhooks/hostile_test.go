package webhooks

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile is a request that somebody who does not have the secret can send, or that went wrong on its way; some, marked
// genuine, take the secret. It is what is written on the connection.
type hostile struct {
	name    string
	change  func(h http.Header, body []byte) []byte // what happens to a genuine delivery
	raw     string                                  // or only a method, or only a line of its header
	code    int
	handled bool
}

func hostileRequests(t testing.TB) []hostile {
	resign := func(h http.Header, body []byte) []byte { // with the secret
		id := h.Get(headerID)
		for key, values := range must(Sign(standardSecret, id, testTime, body)) {
			h[key] = values
		}
		return body
	}
	sameBody := func(f func(h http.Header)) func(http.Header, []byte) []byte {
		return func(h http.Header, body []byte) []byte { f(h); return body }
	}
	junk := "v1," + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	return []hostile{
		{name: "genuine", change: sameBody(func(http.Header) {}), code: 202, handled: true},
		{name: "wrong key", change: func(h http.Header, body []byte) []byte {
			for key, values := range must(Sign("whsec_"+base64.StdEncoding.EncodeToString([]byte("fedcba9876543210fedcba9876543210")), testID, testTime, body)) {
				h[key] = values
			}
			return body
		}, code: 403},
		{name: "empty key", change: func(h http.Header, body []byte) []byte {
			h.Set(headerSignature, must(newSigner(nil)(testID, testTime, body)))
			return body
		}, code: 403},
		{name: "swapped id", change: sameBody(func(h http.Header) { h.Set(headerID, "msg_other") }), code: 403},
		{name: "swapped timestamp", change: sameBody(func(h http.Header) { h.Set(headerTimestamp, fmt.Sprint(testTime.Unix()+1)) }), code: 403},
		{name: "old timestamp", change: func(h http.Header, body []byte) []byte {
			for key, values := range must(Sign(standardSecret, testID, testTime.Add(-301*time.Second), body)) {
				h[key] = values
			}
			return body
		}, code: 403},
		{name: "future timestamp", change: func(h http.Header, body []byte) []byte {
			for key, values := range must(Sign(standardSecret, testID, testTime.Add(301*time.Second), body)) {
				h[key] = values
			}
			return body
		}, code: 403},
		{name: "timestamp of the year 9999", change: func(h http.Header, body []byte) []byte {
			for key, values := range must(Sign(standardSecret, testID, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), body)) {
				h[key] = values
			}
			return body
		}, code: 403},
		{name: "overflowing timestamp", change: sameBody(func(h http.Header) { h.Set(headerTimestamp, "9223372036854775808") }), code: 403},
		{name: "negative timestamp", change: sameBody(func(h http.Header) { h.Set(headerTimestamp, "-1") }), code: 403},
		{name: "timestamp with a sign", change: sameBody(func(h http.Header) { h.Set(headerTimestamp, "+"+h.Get(headerTimestamp)) }), code: 403},
		{name: "truncated body", change: func(_ http.Header, body []byte) []byte { return body[:len(body)-1] }, code: 403},
		{name: "appended body", change: func(_ http.Header, body []byte) []byte { return append(bytes.Clone(body), '\n') }, code: 403},
		{name: "changed byte", change: func(_ http.Header, body []byte) []byte {
			return bytes.Replace(body, []byte("o_1"), []byte("o_2"), 1)
		}, code: 403},
		{name: "reordered members", change: func(http.Header, []byte) []byte {
			return []byte(`{"data":{"id":"o_1"},"type":"order.paid","timestamp":"2026-11-22T11:59:59Z","api_version":"2026-10"}`)
		}, code: 403},
		{name: "white space added", change: func(_ http.Header, body []byte) []byte {
			return bytes.ReplaceAll(body, []byte(","), []byte(", "))
		}, code: 403},
		{name: "escaped otherwise", change: func(_ http.Header, body []byte) []byte {
			return bytes.Replace(body, []byte("paid"), []byte(`p\u0061id`), 1)
		}, code: 403},
		{name: "no id", change: sameBody(func(h http.Header) { h.Del(headerID) }), code: 403},
		{name: "no timestamp", change: sameBody(func(h http.Header) { h.Del(headerTimestamp) }), code: 403},
		{name: "no signature", change: sameBody(func(h http.Header) { h.Del(headerSignature) }), code: 403},
		{name: "no header at all", change: sameBody(func(h http.Header) { clear(h) }), code: 403},
		{name: "two ids", change: sameBody(func(h http.Header) { h.Add(headerID, "msg_other") }), code: 403},
		{name: "two timestamps", change: sameBody(func(h http.Header) { h.Add(headerTimestamp, "0") }), code: 403},
		{name: "two lines of signatures", change: sameBody(func(h http.Header) { h.Add(headerSignature, junk) }), code: 202, handled: true},
		{name: "empty signature", change: sameBody(func(h http.Header) { h.Set(headerSignature, "") }), code: 403},
		{name: "version without a signature", change: sameBody(func(h http.Header) { h.Set(headerSignature, "v1,") }), code: 403},
		{name: "junk signature", change: sameBody(func(h http.Header) { h.Set(headerSignature, junk) }), code: 403},
		{name: "signature that is no base64", change: sameBody(func(h http.Header) { h.Set(headerSignature, "v1,%%%%") }), code: 403},
		{name: "signature cut off", change: sameBody(func(h http.Header) { h.Set(headerSignature, h.Get(headerSignature)[:46]) }), code: 403},
		{name: "wrong signature version", change: sameBody(func(h http.Header) { h.Set(headerSignature, "v2"+h.Get(headerSignature)[2:]) }), code: 403},
		{name: "200,000 junk signatures", change: sameBody(func(h http.Header) { h.Set(headerSignature, strings.Repeat(junk+" ", 200_000)) }), code: 403},
		{name: "1,000,000 empty signatures", change: sameBody(func(h http.Header) { h.Set(headerSignature, "x"+strings.Repeat(" ", 1_000_000)) }), code: 403},
		{name: "huge id", change: sameBody(func(h http.Header) { h.Set(headerID, strings.Repeat("a", 1<<20)) }), code: 403},
		{name: "huge timestamp", change: sameBody(func(h http.Header) { h.Set(headerTimestamp, strings.Repeat("1", 1<<20)) }), code: 403},
		{name: "huge other header", change: sameBody(func(h http.Header) { h.Set("X-Junk", strings.Repeat("a", 1<<20)) }), code: 202, handled: true},
		{name: "300 other headers", change: sameBody(func(h http.Header) {
			for i := range 300 {
				h.Set(fmt.Sprint("X-Junk-", i), "x")
			}
		}), code: 202, handled: true},
		{name: "headers over the server's limit", change: sameBody(func(h http.Header) { h.Set("X-Junk", strings.Repeat("a", 13<<20)) }), code: 431},
		{name: "no UTF-8 in the id", change: sameBody(func(h http.Header) { h.Set(headerID, "\xff\xfe") }), code: 403},
		{name: "line break in the id", change: sameBody(func(h http.Header) { h[http.CanonicalHeaderKey(headerID)] = []string{"a\rb"} }), code: 400},
		{name: "empty body", change: func(_ http.Header, body []byte) []byte { return nil }, code: 400},
		{name: "body over the limit", change: func(http.Header, []byte) []byte { return make([]byte, DefaultMaxBody+1) }, code: 413},
		{name: "Content-Length of 1 GiB", raw: "Content-Length: 1073741824", code: 413},
		{name: "Content-Length of an exbibyte", raw: "Content-Length: 1152921504606846976", code: 413},
		{name: "negative Content-Length", raw: "Content-Length: -1", code: 400},
		{name: "GET", raw: "GET", code: 405},
		{name: "PUT", raw: "PUT", code: 405},
		// what follows takes the secret: a receiver must stand what a broken sender sends
		{name: "genuine, no JSON", change: func(h http.Header, _ []byte) []byte { return resign(h, []byte("nope")) }, code: 400},
		{name: "genuine, no object", change: func(h http.Header, _ []byte) []byte { return resign(h, []byte(`["order.paid"]`)) }, code: 400},
		{name: "genuine, cut JSON", change: func(h http.Header, body []byte) []byte { return resign(h, body[:len(body)-2]) }, code: 400},
		{name: "genuine, two values", change: func(h http.Header, body []byte) []byte { return resign(h, bytes.Repeat(body, 2)) }, code: 400},
		{name: "genuine, no type", change: func(h http.Header, _ []byte) []byte { return resign(h, []byte(`{"data":{}}`)) }, code: 400},
		{name: "genuine, Slack", change: func(h http.Header, _ []byte) []byte { return resign(h, []byte(`{"text":"x","blocks":[]}`)) }, code: 400},
		{name: "genuine, deep nesting", change: func(h http.Header, _ []byte) []byte {
			return resign(h, []byte(`{"type":"x.y","data":`+strings.Repeat(`[`, 200_000)+strings.Repeat(`]`, 200_000)+`}`))
		}, code: 400},
		{name: "genuine, deep nesting in metadata", change: func(h http.Header, _ []byte) []byte {
			return resign(h, []byte(`{"type":"order.paid","data":{"metadata":`+strings.Repeat(`{"a":`, 100_000)+`1`+strings.Repeat(`}`, 100_000)+`}}`))
		}, code: 400},
		{name: "genuine, NUL bytes", change: func(h http.Header, body []byte) []byte {
			return resign(h, bytes.ReplaceAll(body, []byte("o_1"), []byte("\x00")))
		}, code: 400},
		{name: "genuine, escaped NUL", change: func(h http.Header, body []byte) []byte {
			return resign(h, bytes.ReplaceAll(body, []byte("o_1"), []byte(`\u0000`)))
		}, code: 202, handled: true},
		{name: "genuine, no UTF-8", change: func(h http.Header, body []byte) []byte {
			return resign(h, bytes.ReplaceAll(body, []byte("o_1"), []byte("\xff\xc0")))
		}, code: 202, handled: true},
		{name: "genuine, duplicate members", change: func(h http.Header, body []byte) []byte {
			return resign(h, []byte(`{"type":"order.paid","data":{"id":"a"},"data":{"id":"b"},"type":"order.paid"}`))
		}, code: 202, handled: true},
		{name: "genuine, huge number", change: func(h http.Header, _ []byte) []byte {
			return resign(h, []byte(`{"type":"order.paid","data":{"total_amount":1`+strings.Repeat("0", 100_000)+`}}`))
		}, code: 400},
		{name: "genuine, huge type", change: func(h http.Header, _ []byte) []byte {
			return resign(h, []byte(`{"type":"`+strings.Repeat("x", 500_000)+`"}`))
		}, code: 202, handled: true},
		{name: "genuine, wrong content type", change: func(h http.Header, body []byte) []byte { h.Set("Content-Type", "text/html"); return body }, code: 202, handled: true},
		{name: "genuine, compressed content type", change: func(h http.Header, body []byte) []byte { h.Set("Content-Encoding", "gzip"); return body }, code: 202, handled: true},
	}
}

// request returns what is written on the connection.
func (c hostile) request(t testing.TB) []byte {
	h, body := signed(t, standardSecret, testBody), bytes.Clone(testBody)
	method, length := http.MethodPost, ""
	switch {
	case strings.HasPrefix(c.raw, "Content-Length"):
		length, body = c.raw, nil
	case c.raw != "":
		method, length, body = c.raw, "Content-Length: 0", nil
	default:
		body = c.change(h, body)
		length = fmt.Sprint("Content-Length: ", len(body))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s /webhooks/polar HTTP/1.1\r\nHost: shop.example\r\n%s\r\n", method, length)
	for key, values := range h { // as they are: Header.Write would mend them
		for _, value := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", key, value)
		}
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// Hostile requests over connections, to a server with net/http's defaults but for headers of up to 12 MiB, so that they get
// as far as the router.
func TestHostileRequests(t *testing.T) {
	list := hostileRequests(t)
	require.Greater(t, len(list), 45)
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, f := newRouter(t)
				var handled atomic.Int32
				r.Default(func(context.Context, Event) error { handled.Add(1); return nil })
				dial, stop := startServer(r, func(srv *http.Server) { srv.MaxHeaderBytes = 12 << 20 })
				defer stop()

				request := c.request(t)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				conn := dial()
				defer conn.Close()
				go func() { _, _ = conn.Write(request) }() // the server may answer before it has read everything
				code, text := readAnswer(t, conn)
				runtime.ReadMemStats(&after)
				assert.Equal(t, c.code, code, text)
				assert.Equal(t, c.handled, handled.Load() == 1)
				assert.LessOrEqual(t, time.Since(start), 500*time.Millisecond, "nothing waits, but for net/http before it closes a connection")
				assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20+16*len(request)), "memory, most of which net/http takes for headers")
				for _, failure := range f.take() {
					assert.NotErrorIs(t, failure.Err, ErrPanic)
					assert.Less(t, len(failure.Err.Error()), 500)
				}
				assert.NotContains(t, text, standardSecret)
				assert.Less(t, len(text), 500)
			})
		})
	}
}

// With net/http's own limit of 1 MiB the 200,000 signatures do not get as far as the router.
func TestHugeHeadersAtTheDefaultLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRouter(t)
		dial, stop := startServer(r)
		defer stop()
		conn := dial()
		defer conn.Close()
		go func() {
			h := signed(t, standardSecret, testBody)
			h.Set(headerSignature, strings.Repeat("v1,AAAA ", 200_000))
			rawRequest(conn, h, len(testBody), string(testBody))
		}()
		code, _ := readAnswer(t, conn)
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, code)
	})
}

// A chunked body has no length to be refused by: the reading stops at the limit.
func TestChunkedBodyOverTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := newRouter(t, WithMaxBody(1000))
		dial, stop := startServer(r)
		defer stop()
		conn := dial()
		defer conn.Close()
		go func() {
			h := signed(t, standardSecret, testBody)
			h.Set("Transfer-Encoding", "chunked")
			var b bytes.Buffer
			_ = h.Write(&b)
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: shop.example\r\n"+b.String()+"\r\n")
			for {
				if _, err := io.WriteString(conn, "64\r\n"+strings.Repeat("x", 100)+"\r\n"); err != nil {
					return
				}
			}
		}()
		code, text := readAnswer(t, conn)
		assert.Equal(t, http.StatusRequestEntityTooLarge, code)
		assert.Equal(t, "the body has more than 1000 bytes\n", text)
		assert.ErrorIs(t, f.take()[0].Err, ErrBodyTooLarge)
	})
}

func TestBodyAtTheLimit(t *testing.T) {
	for extra, want := range []int{202, 413} {
		r, _ := newRouter(t, WithMaxBody(int64(len(testBody)-extra)))
		code, _ := serve(r, post(t, testBody))
		assert.Equal(t, want, code)
		req := post(t, testBody)
		req.ContentLength = -1
		r, _ = newRouter(t, WithMaxBody(int64(len(testBody)-extra)))
		code, _ = serve(r, req)
		assert.Equal(t, want, code)
	}
}

// A body that does not come is waited for as long as Polar would wait for the answer, and not longer.
func TestSlowBody(t *testing.T) {
	for _, c := range []struct {
		name      string
		opts      []RouterOption
		configure func(*http.Server)
		want      time.Duration
	}{
		{name: "default", want: DefaultReadTimeout},
		{name: "option", opts: []RouterOption{WithReadTimeout(3 * time.Second)}, want: 3 * time.Second},
		{name: "the server's own", configure: func(s *http.Server) { s.ReadTimeout = 4 * time.Second }, want: 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, f := newRouter(t, c.opts...)
				r.Default(func(context.Context, Event) error { t.Error("called"); return nil })
				if c.configure == nil {
					c.configure = func(*http.Server) {}
				}
				dial, stop := startServer(r, c.configure)
				defer stop()
				conn := dial()
				defer conn.Close()
				start := time.Now()
				done := make(chan struct{})
				go func() { // a byte each second
					defer close(done)
					rawRequest(conn, signed(t, standardSecret, testBody), len(testBody), "")
					for _, b := range testBody {
						if _, err := conn.Write([]byte{b}); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				}()
				code, text := readAnswer(t, conn)
				assert.Equal(t, http.StatusRequestTimeout, code)
				assert.Equal(t, "the body did not arrive in time\n", text)
				assert.Equal(t, c.want, time.Since(start))
				assert.ErrorIs(t, f.take()[0].Err, ErrBodyTimeout)
				_, err := conn.Read(make([]byte, 1))
				assert.ErrorIs(t, err, io.EOF, "the connection is closed")
				<-done
			})
		})
	}
}

// Refusing a request does not wait for its body for longer either.
func TestSlowBodyOfARefusedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRouter(t)
		dial, stop := startServer(r)
		defer stop()
		conn := dial()
		defer conn.Close()
		start := time.Now()
		go rawRequest(conn, http.Header{}, len(testBody), "{")
		code, _ := readAnswer(t, conn)
		assert.Equal(t, http.StatusForbidden, code)
		assert.LessOrEqual(t, time.Since(start), DefaultReadTimeout)
	})
}

// The limit of reading is over when the body is there: a handler may take longer, and its context goes on.
func TestSlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := newRouter(t)
		r.Default(func(ctx context.Context, _ Event) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Minute):
				return nil
			}
		})
		dial, stop := startServer(r)
		defer stop()
		conn := dial()
		defer conn.Close()
		for i := range 2 { // the second one on the same connection
			go func() {
				h, _ := Sign(standardSecret, fmt.Sprint(i), testTime, testBody)
				rawRequest(conn, h, len(testBody), string(testBody))
			}()
			code, _ := readAnswer(t, conn)
			assert.Equal(t, http.StatusAccepted, code)
			synctest.Wait()
		}
		assert.Empty(t, f.take())

		// when Polar hangs up, the context ends
		start := time.Now()
		h, err := Sign(standardSecret, "3", testTime, testBody)
		require.NoError(t, err)
		rawRequest(conn, h, len(testBody), string(testBody))
		time.Sleep(10 * time.Second)
		_ = conn.Close()
		synctest.Wait()
		assert.Equal(t, 10*time.Second, time.Since(start))
		list := f.take()
		require.Len(t, list, 1)
		assert.ErrorIs(t, list[0].Err, context.Canceled)
	})
}

// A connection that breaks in the middle of the body.
func TestBrokenBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := newRouter(t)
		dial, stop := startServer(r)
		defer stop()
		conn := dial()
		rawRequest(conn, signed(t, standardSecret, testBody), len(testBody), string(testBody[:10]))
		_ = conn.Close()
		synctest.Wait()
		list := f.take()
		require.Len(t, list, 1)
		assert.ErrorIs(t, list[0].Err, ErrBodyIncomplete)
		assert.Equal(t, http.StatusBadRequest, list[0].Status)
	})
}
