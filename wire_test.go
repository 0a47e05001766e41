package polar

import (
	"bufio"
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// wireCase is one operation on the wire; the table is generated.
type wireCase struct {
	name     string
	op       string
	method   string
	route    string
	path     string // escaped
	query    string
	body     string // JSON, which for a form is an object of its members
	form     bool
	status   int
	response string // facts type of the example that the server answers with
	list     bool
	bare     bool
	csv      bool
	auth     wireAuth
	call     func(ctx context.Context, c *Client, p *Portal, body string) (any, error)
	all      func(ctx context.Context, c *Client, p *Portal) iter.Seq2[any, error]
}

type wireAuth int

const (
	always wireAuth = iota
	ifAny
	never
)

// body reads a body of a wire case into its Go type.
func body[T any](text string) *T {
	v := new(T)
	if err := jsonx.Unmarshal([]byte(text), v); err != nil {
		panic(fmt.Sprintf("example of %T: %v", *v, err))
	}
	return v
}

func date(text string) models.Date {
	d, err := models.ParseDate(text)
	if err != nil {
		panic(err)
	}
	return d
}

func anySeq[T any](seq iter.Seq2[*T, error]) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for v, err := range seq {
			if !yield(v, err) {
				return
			}
		}
	}
}

// examples reads the example of every facts type.
func examples(t testing.TB) map[string]string {
	f, err := os.Open("models/testdata/examples.jsonl")
	require.NoError(t, err)
	defer f.Close()
	out := map[string]string{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l struct {
			Facts string
			JSON  stdjson.RawMessage
		}
		require.NoError(t, stdjson.Unmarshal(sc.Bytes(), &l))
		out[l.Facts] = string(l.JSON)
	}
	require.NoError(t, sc.Err())
	return out
}

func TestWireHasEveryOperation(t *testing.T) {
	t.Parallel()
	ops := map[string]bool{}
	for _, c := range wireCases {
		ops[c.op] = true
	}
	assert.Len(t, ops, 190)
}

func TestWire(t *testing.T) {
	t.Parallel()
	samples := examples(t)
	for _, tc := range wireCases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			answer := ""
			if tc.response != "" {
				answer = samples[tc.response]
				require.NotEmpty(t, answer, "an example of %s", tc.response)
			}
			whole := answer
			switch {
			case tc.list:
				whole = `{"items":[` + answer + `],"pagination":{"total_count":1,"max_page":1}}`
			case tc.bare:
				whole = "[" + answer + "]"
			case tc.csv:
				whole = "a,b\r\n1,2\r\n"
			}
			var got *http.Request
			var gotBody []byte
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r
				gotBody, _ = io.ReadAll(r.Body)
				if tc.csv {
					w.Header().Set("Content-Type", "text/csv")
				}
				w.WriteHeader(tc.status)
				io.WriteString(w, whole)
			}))
			defer srv.Close()
			client, err := New(Token("polar_oat_wire"), WithBaseURL(srv.URL+"/base/path"))
			require.NoError(t, err)
			portal, err := client.Portal(Token("polar_cst_wire"))
			require.NoError(t, err)

			out, err := tc.call(t.Context(), client, portal, tc.body)
			require.NoError(t, err)
			require.NotNil(t, got, "the server was called")
			assert.Equal(t, tc.method, got.Method)
			assert.Equal(t, "/base/path"+tc.path, got.URL.EscapedPath())
			assert.Equal(t, tc.query, got.URL.RawQuery)
			assert.Equal(t, APIVersion, got.Header.Get("Polar-Version"))
			assert.Empty(t, got.TransferEncoding, "Polar refuses bodies without a length")
			switch tc.auth {
			case never:
				assert.Empty(t, got.Header.Get("Authorization"))
			default:
				assert.Regexp(t, "^Bearer polar_(oat|cst)_wire$", got.Header.Get("Authorization"))
			}
			switch {
			case tc.body == "":
				assert.Empty(t, gotBody)
			case tc.form:
				assert.Equal(t, "application/x-www-form-urlencoded", got.Header.Get("Content-Type"))
				want := url.Values{}
				var members map[string]any
				require.NoError(t, stdjson.Unmarshal([]byte(tc.body), &members))
				for k, v := range members {
					want.Set(k, fmt.Sprint(v))
				}
				assert.Equal(t, want.Encode(), string(gotBody))
			default:
				assert.Equal(t, "application/json", got.Header.Get("Content-Type"))
				assert.JSONEq(t, tc.body, string(gotBody))
			}
			switch {
			case tc.csv:
				stream := out.(io.ReadCloser)
				data, err := io.ReadAll(stream)
				require.NoError(t, err)
				require.NoError(t, stream.Close())
				assert.Equal(t, whole, string(data))
			case tc.response == "":
				assert.Nil(t, out)
			default:
				back, err := jsonx.Marshal(out)
				require.NoError(t, err)
				assert.JSONEq(t, whole, string(back))
			}
		})
	}
}

func TestWireErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range wireCases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusNotFound)
				io.WriteString(w, `{"error":"ResourceNotFound","detail":"Not found"}`)
			}))
			defer srv.Close()
			client, err := New(Token("polar_oat_wire"), WithBaseURL(srv.URL))
			require.NoError(t, err)
			portal, err := client.Portal(Token("polar_cst_wire"))
			require.NoError(t, err)
			_, err = tc.call(t.Context(), client, portal, tc.body)
			var apiErr *Error
			require.ErrorAs(t, err, &apiErr)
			assert.ErrorIs(t, err, ErrNotFound)
			assert.ErrorIs(t, err, ErrResourceNotFound)
			assert.Equal(t, tc.op, apiErr.Operation)
			assert.EqualValues(t, 1, calls.Load())

			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = tc.call(ctx, client, portal, tc.body)
			require.ErrorIs(t, err, context.Canceled)
			assert.EqualValues(t, 1, calls.Load(), "nothing is sent with a context that is over")
		})
	}
}

// TestWireIterators lets every iterator walk over three pages, stops it early, and lets it run into an error.
func TestWireIterators(t *testing.T) {
	t.Parallel()
	samples := examples(t)
	n := 0
	for _, tc := range wireCases {
		if tc.all == nil {
			continue
		}
		n++
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var pages []string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				pages = append(pages, r.URL.Query().Get("page"))
				items := bytes.Repeat([]byte(samples[tc.response]+","), 2)
				if r.URL.Query().Get("page") == "2" {
					items = []byte(samples[tc.response] + ",") // a short page is not the end
				}
				fmt.Fprintf(w, `{"items":[%s],"pagination":{"total_count":5,"max_page":3}}`, items[:len(items)-1])
			}))
			defer srv.Close()
			client, err := New(Token("polar_oat_wire"), WithBaseURL(srv.URL), WithRetry(RetryPolicy{MaxAttempts: 1}))
			require.NoError(t, err)
			portal, err := client.Portal(Token("polar_cst_wire"))
			require.NoError(t, err)
			seq := tc.all(t.Context(), client, portal)
			for range 2 { // an iterator starts again
				pages = nil
				count := 0
				for item, err := range seq {
					require.NoError(t, err)
					require.NotNil(t, item)
					count++
				}
				assert.Equal(t, 5, count)
				assert.Equal(t, []string{"1", "2", "3"}, pages)
			}
			pages = nil
			for range seq {
				break
			}
			assert.Equal(t, []string{"1"}, pages)
			srv.Close()
			var errs []error
			for _, err := range seq {
				errs = append(errs, err)
			}
			require.Len(t, errs, 1)
			require.Error(t, errs[0])
			assert.False(t, errors.Is(errs[0], ErrNotFound))
		})
	}
	assert.Equal(t, 39, n, "38 operations with page and limit, and the events list")
}
