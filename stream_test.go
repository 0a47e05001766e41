package polar

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines writes n lines with a minute between them.
func lines(n int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := range n {
			if i > 0 {
				select {
				case <-time.After(time.Minute):
				case <-r.Context().Done():
					return
				}
			}
			fmt.Fprintf(w, "%d\r\n", i)
			w.(http.Flusher).Flush()
		}
	}
}

func TestStreamIsNotCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got http.Header
		server := &faultServer{faults: 1, fault: fault{serve: func(w http.ResponseWriter, r *http.Request) {
			got = r.Header
			lines(5)(w, r)
		}}}
		things, stop := server.start(t)
		defer stop()
		begin := time.Now()
		export, err := things.Export(t.Context())
		require.NoError(t, err)
		assert.Less(t, time.Since(begin), time.Minute, "the stream is there before its end")
		all, err := io.ReadAll(export)
		require.NoError(t, err)
		assert.Equal(t, "0\r\n1\r\n2\r\n3\r\n4\r\n", string(all))
		require.NoError(t, export.Close())
		assert.Equal(t, 4*time.Minute, time.Since(begin))
		assert.Equal(t, "text/csv", got.Get("Accept"))
	})
}

func TestStreamFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault   fault
		openErr string
		readErr string
	}{
		"refused":      {fault{serve: status(403, `{"error":"NotPermitted","detail":"No."}`)}, "polar: things:export: 403 NotPermitted: No.", ""},
		"slow headers": {fault{serve: stall}, "polar: things:export: no complete answer within 2s, the limit of an attempt", ""},
		"breaks off": {fault{serve: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a\r\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}}, "", "polar: things:export: the stream broke off: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := &faultServer{faults: 9, fault: tc.fault}
				things, stop := server.start(t)
				defer stop()
				export, err := things.Export(t.Context())
				if tc.openErr != "" {
					require.EqualError(t, err, tc.openErr)
					assert.Nil(t, export)
					return
				}
				require.NoError(t, err)
				got, err := io.ReadAll(export)
				require.EqualError(t, err, tc.readErr)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				assert.Equal(t, "a\r\n", string(got))
				assert.Len(t, server.received(), 1, "what was handed over is not repeated")
				require.NoError(t, export.Close())
			})
		})
	}
}

func TestStreamIsRepeatedBeforeItBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// the body of a refusal is part of the attempt, so one that breaks off is repeated like any other failure
		server := &faultServer{faults: 2, fault: fault{serve: status(400, "x", "Content-Length", "100")}}
		things, stop := server.start(t)
		defer stop()
		export, err := things.Export(t.Context())
		require.NoError(t, err)
		defer export.Close()
		got, err := io.ReadAll(export)
		require.NoError(t, err)
		assert.Equal(t, `{"id":"good"}`, string(got))
	})
}

func TestStreamEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &faultServer{faults: 1, fault: fault{serve: lines(1000)}}
		things, stop := server.start(t)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		export, err := things.Export(ctx)
		require.NoError(t, err)
		got, err := io.ReadAll(export)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, "0\r\n1\r\n", string(got))
		require.NoError(t, export.Close())
		synctest.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		// a reader that has enough closes the stream, after which nothing is left running
		server := &faultServer{faults: 1, fault: fault{serve: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("x", 1<<16))
			w.(http.Flusher).Flush()
			stall(w, r)
		}}}
		things, stop := server.start(t)
		defer stop()
		export, err := things.Export(t.Context())
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, export, 10)
		require.NoError(t, err)
		require.NoError(t, export.Close())
	})
}

// TestLargeAnswers: what is read into memory has a bound, and what is refused for it is not asked for again.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	sent, read := 0, 0
	huge := func(status int, size int64, contentLength int64) *thingService {
		client, err := New(Token(testToken), WithRetry(quick), WithHTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			sent++
			return &http.Response{StatusCode: status, ContentLength: contentLength, Body: io.NopCloser(io.LimitReader(blanks{&read}, size))}, nil
		})}))
		require.NoError(t, err)
		return &thingService{client.core}
	}
	_, err := huge(200, 1<<40, -1).Get(t.Context(), "1")
	require.EqualError(t, err, "polar: things:get: the answer has more than 33554432 bytes")
	assert.Equal(t, 1, sent)
	read = 0
	_, err = huge(200, 1<<40, 1<<40).Create(t.Context(), thingCreate{})
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	assert.Equal(t, 2, sent)
	assert.Zero(t, read, "a length that is too large is believed")
	_, err = huge(400, 1<<40, -1).Get(t.Context(), "1")
	require.EqualError(t, err, "polar: things:get: 400 Bad Request")
	_, err = huge(200, 1000, 1000).Get(t.Context(), "1")
	require.ErrorContains(t, err, "empty body")
	_, err = huge(200, 2<<20, 2<<20).Get(t.Context(), "1")
	require.ErrorContains(t, err, "empty body")
}

type blanks struct{ read *int }

var blankPage = strings.Repeat(" ", 1<<16)

func (b blanks) Read(p []byte) (int, error) {
	n := copy(p, blankPage)
	*b.read += n
	return n, nil
}
