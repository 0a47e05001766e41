package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

// respond is a base that answers every request alike.
type respond func(r *http.Request) *http.Response

func (f respond) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	resp := f(r)
	resp.Request = r
	return resp, nil
}

func sse(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString("event: x\ndata: " + e + "\n\n")
	}
	return b.String()
}

func TestLLM(t *testing.T) {
	for name, c := range map[string]struct {
		path, contentType, body string
		want                    [4]float64 // input, cached, output, total
		model                   string
	}{
		"chat completion": {"/v1/chat/completions", "application/json",
			`{"model":"gpt-x","usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4}}}`, [4]float64{10, 4, 5, 15}, "gpt-x"},
		"chat completion stream": {"/v1/chat/completions", "text/event-stream; charset=utf-8",
			sse(`{"model":"gpt-x","choices":[{"delta":{"content":"\"usage\""}}],"usage":null}`, `{"model":"gpt-x","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`, `[DONE]`),
			[4]float64{10, 0, 5, 15}, "gpt-x"},
		"response": {"/v1/responses", "application/json",
			`{"model":"gpt-x","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"total_tokens":15}}`, [4]float64{10, 4, 5, 15}, "gpt-x"},
		"response stream": {"/v1/responses", "text/event-stream",
			sse(`{"type":"response.created","response":{"model":"gpt-x","usage":null}}`, `{"type":"response.completed","response":{"model":"gpt-x","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"total_tokens":15}}}`),
			[4]float64{10, 4, 5, 15}, "gpt-x"},
		"embedding": {"/v1/embeddings", "application/json", `{"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}`, [4]float64{8, 0, 0, 8}, "e"},
		"message": {"/v1/messages", "application/json",
			`{"type":"message","model":"claude-x","usage":{"input_tokens":10,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"output_tokens":5}}`, [4]float64{17, 4, 5, 22}, "claude-x"},
		"message stream": {"/v1/messages", "text/event-stream",
			sse(`{"type":"message_start","message":{"type":"message","model":"claude-x","usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":1}}}`,
				`{"type":"content_block_delta","delta":{"text":"hi"}}`, `{"type":"message_delta","usage":{"output_tokens":5}}`, `{"type":"message_stop"}`), [4]float64{14, 4, 5, 19}, "claude-x"},
		"gemini": {"/v1beta/models/gemini-x:generateContent", "application/json",
			`{"modelVersion":"gemini-x","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":3,"thoughtsTokenCount":2,"cachedContentTokenCount":4,"totalTokenCount":15}}`, [4]float64{10, 4, 5, 15}, "gemini-x"},
		"gemini stream": {"/v1beta/models/gemini-x:streamGenerateContent", "text/event-stream",
			sse(`{"modelVersion":"gemini-x","usageMetadata":{"promptTokenCount":10,"totalTokenCount":10}}`, `{"modelVersion":"gemini-x","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15}}`), [4]float64{10, 0, 5, 15}, "gemini-x"},
		"gemini list": {"/v1beta/models/gemini-x:streamGenerateContent", "application/json",
			`[{"modelVersion":"gemini-x","usageMetadata":{"promptTokenCount":10}},{"modelVersion":"gemini-x","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15}}]`, [4]float64{10, 0, 5, 15}, "gemini-x"},
	} {
		for _, zip := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gzip %v", name, zip), func(t *testing.T) {
				u := newUsageTest(t)
				payload, header := c.body, http.Header{"Content-Type": {c.contentType}}
				if zip {
					var b bytes.Buffer
					w := gzip.NewWriter(&b)
					_, _ = io.WriteString(w, c.body)
					require.NoError(t, w.Close())
					payload = b.String()
					header.Set("Content-Encoding", "gzip")
				}
				rt := u.LLMTransport(respond(func(*http.Request) *http.Response { return answer(200, header, payload) }), "llm",
					LLMCost(func(l LLMUsage) (models.Decimal, bool) { return models.Decimal(fmt.Sprint(l.TotalTokens)), true }))
				r, err := http.NewRequestWithContext(WithCustomer(t.Context(), acme), "POST", "https://api.openai.com"+c.path, strings.NewReader("{}"))
				require.NoError(t, err)
				resp, err := rt.RoundTrip(r)
				require.NoError(t, err)
				got, err := io.ReadAll(iotest.OneByteReader(resp.Body)) // lines are cut anywhere
				require.NoError(t, err)
				assert.Equal(t, payload, string(got))
				require.NoError(t, resp.Body.Close())
				events := u.done()
				require.Empty(t, u.errs)
				require.Len(t, events, 1)
				assert.Equal(t, map[string]any{
					"name": "llm", "customer": "acme", "strategy": "LLM", "provider": "openai", "model": c.model,
					"inputTokens": c.want[0], "cachedInputTokens": c.want[1], "outputTokens": c.want[2], "totalTokens": c.want[3],
					"_llm": map[string]any{"vendor": "openai", "model": c.model, "input_tokens": c.want[0], "cached_input_tokens": c.want[1], "output_tokens": c.want[2],
						"total_tokens": c.want[3]},
					"_cost": map[string]any{"amount": fmt.Sprint(c.want[3]), "currency": "usd"},
				}, events[0])
			})
		}
	}
}

func TestLLMWithoutEvent(t *testing.T) {
	u := newUsageTest(t)
	body := `{"model":"x"}`
	status, calls := 200, 0
	rt := u.LLMTransport(respond(func(*http.Request) *http.Response {
		calls++
		return answer(status, http.Header{"Content-Type": {"application/json"}}, body)
	}), "llm", LLMPromptTokens(), LLMProvider("mine"), nil)
	call := func(ctx context.Context, method, path string) error {
		r, err := http.NewRequestWithContext(ctx, method, "http://llm.test"+path, strings.NewReader("{}"))
		require.NoError(t, err)
		resp, err := rt.RoundTrip(r)
		if err != nil {
			return err
		}
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, resp.Body.Close())
		return err
	}
	with := WithCustomer(t.Context(), acme)
	require.ErrorIs(t, call(t.Context(), "POST", "/v1/messages"), ErrNoCustomer)
	assert.Zero(t, calls, "not sent")
	require.NoError(t, call(t.Context(), "GET", "/v1/models"))
	require.NoError(t, call(with, "POST", "/v1/messages")) // no usage
	body = `{"usage":{"prompt_tokens":0,"completion_tokens":0}}`
	require.NoError(t, call(with, "POST", "/v1/chat/completions")) // zeros
	body = `{"error":"x"}`
	for status = range 600 {
		if status >= 100 && status/100 != 2 {
			require.NoError(t, call(with, "POST", "/v1/chat/completions"))
		}
	}
	assert.Empty(t, u.done())
	require.Len(t, u.errs, 2)
	require.ErrorIs(t, u.errs[0], ErrNoUsage)
	require.ErrorIs(t, u.errs[1], ErrNoUsage)
}

// A cost that cannot be had does not cost the event.
func TestLLMCostFails(t *testing.T) {
	for want, cost := range map[string]func(LLMUsage) (models.Decimal, bool){
		"panic: rates":           func(LLMUsage) (models.Decimal, bool) { panic("rates") },
		"at most 12 are allowed": func(LLMUsage) (models.Decimal, bool) { return "0.12345678901234567", true },
		"the amount is missing":  func(LLMUsage) (models.Decimal, bool) { return "", true },
		"":                       func(LLMUsage) (models.Decimal, bool) { return "x", false },
	} {
		u := newUsageTest(t)
		rt := u.LLMTransport(respond(func(*http.Request) *http.Response {
			return answer(200, nil, `{"model":"m","usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}`)
		}), "llm", LLMCost(cost))
		_, err := ask(t, rt, WithCustomer(t.Context(), acme))
		require.NoError(t, err)
		events := u.done()
		require.Len(t, events, 1)
		assert.Equal(t, 5.0, events[0]["totalTokens"])
		assert.NotContains(t, events[0], "_cost")
		if want == "" {
			assert.Empty(t, u.errs)
		} else {
			require.Len(t, u.errs, 1)
			assert.ErrorContains(t, u.errs[0], want)
		}
	}
}

// ask calls a model and reads the whole answer.
func ask(t *testing.T, rt http.RoundTripper, ctx context.Context) (int64, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", "http://llm.test/v1/chat/completions", strings.NewReader("{}"))
	require.NoError(t, err)
	resp, err := rt.RoundTrip(r)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return n, err
}

// A stream that is left before its end, that breaks, or that was not asked for its usage.
func TestLLMStreamsWithoutEnd(t *testing.T) {
	broken := errors.New("connection reset")
	anthropic := sse(`{"type":"message_start","message":{"type":"message","model":"claude-x","usage":{"input_tokens":10,"output_tokens":1}}}`, `{"type":"content_block_delta","delta":{"text":"hi"}}`)
	openai := sse(`{"model":"gpt-x","choices":[{"delta":{"content":"hi"}}]}`)
	for name, c := range map[string]struct {
		body   string
		end    error
		read   int // then it is closed
		events int
	}{
		"anthropic, left":                {anthropic, nil, len(anthropic) - 20, 1},
		"anthropic, broken":              {anthropic, broken, 1 << 20, 1},
		"openai, left":                   {openai, nil, 10, 0},
		"openai, broken":                 {openai, broken, 1 << 20, 0},
		"openai, without include_usage":  {openai + sse("[DONE]"), nil, 1 << 20, 0},
		"openai, include_usage and left": {openai + sse(`{"model":"gpt-x","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1}}`) + "data: [DO", nil, 1 << 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUsageTest(t)
			rt := u.LLMTransport(respond(func(*http.Request) *http.Response {
				resp := answer(200, http.Header{"Content-Type": {"text/event-stream"}}, "")
				var rest io.Reader = strings.NewReader("")
				if c.end != nil {
					rest = iotest.ErrReader(c.end)
				}
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(c.body), rest))
				return resp
			}), "llm")
			// The program has given up, so the context of the request is over when its usage is known.
			ctx, cancel := context.WithCancel(WithCustomer(t.Context(), acme))
			r, err := http.NewRequestWithContext(ctx, "POST", "http://llm.test/v1/chat/completions", nil)
			require.NoError(t, err)
			resp, err := rt.RoundTrip(r)
			require.NoError(t, err)
			got, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.read)))
			require.ErrorIs(t, err, c.end)
			assert.Equal(t, c.body[:min(c.read, len(c.body))], string(got))
			cancel()
			require.NoError(t, resp.Body.Close())
			require.NoError(t, resp.Body.Close())
			events := u.done()
			require.Len(t, events, c.events)
			if c.events == 0 {
				require.Len(t, u.errs, 1)
				assert.ErrorIs(t, u.errs[0], ErrNoUsage)
				return
			}
			assert.Equal(t, [3]any{10.0, 1.0, 11.0}, [3]any{events[0]["inputTokens"], events[0]["outputTokens"], events[0]["totalTokens"]})
		})
	}
}

// endless is a body of a length that no memory has, and then a tail.
type endless struct {
	left int64
	tail io.Reader
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return e.tail.Read(p)
	}
	n := min(int64(len(p)), e.left)
	for i := range p[:n] {
		p[i] = 'x'
	}
	e.left -= n
	return int(n), nil
}

// What is kept of an answer is bounded, and a line without end does not hide the usage after it.
func TestLLMHugeAnswers(t *testing.T) {
	const usage = `{"model":"m","usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}`
	for name, c := range map[string]struct {
		contentType string
		tail        string
		events      int
	}{
		"stream of one line": {"text/event-stream", "\n\n" + sse(usage, "[DONE]"), 1},
		"one object":         {"application/json", usage, 0},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUsageTest(t)
			var watched *llmBody
			rt := u.LLMTransport(respond(func(*http.Request) *http.Response {
				resp := answer(200, http.Header{"Content-Type": {c.contentType}}, "")
				resp.Body = io.NopCloser(&endless{left: 5 * maxHeld, tail: strings.NewReader(c.tail)})
				return resp
			}), "llm")
			r, err := http.NewRequestWithContext(WithCustomer(t.Context(), acme), "POST", "http://llm.test/v1/chat/completions", nil)
			require.NoError(t, err)
			resp, err := rt.RoundTrip(r)
			require.NoError(t, err)
			watched = resp.Body.(*llmBody)
			buf, most := make([]byte, 1<<20), 0
			for err == nil {
				_, err = resp.Body.Read(buf)
				most = max(most, cap(watched.held))
			}
			require.ErrorIs(t, err, io.EOF)
			assert.LessOrEqual(t, most, 2*maxHeld)
			assert.Len(t, u.done(), c.events)
			assert.Len(t, u.errs, 1-c.events)
		})
	}
}

// Usage that has happened is tracked although the client has gone meanwhile.
func TestUsageOfThoseWhoHaveGone(t *testing.T) {
	var got []string
	i, err := New(nil, WithSink(func(ctx context.Context, e models.EventCreate) error {
		got = append(got, e.Name)
		return ctx.Err()
	}), OnError(func(err error) { t.Error(err) }))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(WithCustomer(t.Context(), acme))
	base := respond(func(*http.Request) *http.Response {
		cancel()
		return answer(200, nil, `{"usage":{"prompt_tokens":2}}`)
	})
	_, err = ask(t, i.LLMTransport(base, "llm"), ctx)
	require.NoError(t, err)
	put, err := http.NewRequestWithContext(ctx, "PUT", "http://s3.test/b/k", strings.NewReader("x"))
	require.NoError(t, err)
	_, err = i.S3Transport(base, "s3").RoundTrip(put)
	require.NoError(t, err)
	i.Middleware("http")(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
	require.NoError(t, i.Close(t.Context()))
	assert.Equal(t, []string{"llm", "s3", "http"}, got)
}

func TestLLMOlderKeys(t *testing.T) {
	u := newUsageTest(t)
	rt := u.LLMTransport(respond(func(*http.Request) *http.Response {
		return answer(200, nil, `{"model":"m","usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}`)
	}), "llm", LLMPromptTokens())
	r, err := http.NewRequestWithContext(WithCustomer(t.Context(), acme), "POST", "http://llm.test:8080/v1/chat/completions", nil)
	require.NoError(t, err)
	resp, err := rt.RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close()) // never read
	require.Empty(t, u.done())
	require.Len(t, u.errs, 1)

	u = newUsageTest(t)
	rt.(*llmTransport).ing = u.Ingester
	resp, err = rt.RoundTrip(r)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	events := u.done()
	require.Len(t, events, 1)
	delete(events[0], "_llm")
	assert.Equal(t, map[string]any{"name": "llm", "customer": "acme", "strategy": "LLM", "provider": "llm.test", "model": "m", "promptTokens": 2.0,
		"completionTokens": 3.0, "totalTokens": 5.0}, events[0])
}

func TestS3(t *testing.T) {
	u := newUsageTest(t)
	status, body := 200, ""
	rt := u.S3Transport(respond(func(*http.Request) *http.Response { return answer(status, nil, body) }), "upload", S3Endpoint("files.test"))
	call := func(ctx context.Context, method, url string, header http.Header, content string) error {
		r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(content))
		require.NoError(t, err)
		for k, v := range header {
			r.Header[k] = v
		}
		resp, err := rt.RoundTrip(r)
		if err != nil {
			return err
		}
		_, err = io.ReadAll(resp.Body)
		return err
	}
	with := WithCustomer(t.Context(), acme)
	require.ErrorIs(t, call(t.Context(), "PUT", "http://files.test/b/k", nil, "x"), ErrNoCustomer)
	text := http.Header{"Content-Type": {"text/plain"}}
	require.NoError(t, call(with, "PUT", "http://files.test:9000/b/dir/k%20ey", text, "12345"))
	require.NoError(t, call(with, "PUT", "http://b2.files.test/dir/key", http.Header{"X-Amz-Decoded-Content-Length": {"3"}}, "3;chunk-signature=x\r\nabc\r\n0\r\n"))
	for _, other := range [][2]string{{"GET", "/b/k"}, {"PUT", "/b"}, {"PUT", "/b/"}, {"PUT", "/b/k?tagging="}, {"POST", "/b?delete="}, {"DELETE", "/b/k"}} {
		require.NoError(t, call(t.Context(), other[0], "http://files.test"+other[1], nil, "x"))
	}
	require.NoError(t, call(t.Context(), "PUT", "http://files.test/b/k", http.Header{"X-Amz-Copy-Source": {"/b/other"}}, ""))
	status = 503
	require.NoError(t, call(with, "PUT", "http://files.test/b/failed", nil, "x"))

	status = 200
	require.NoError(t, call(with, "POST", "http://files.test/b/large?uploads=", text, ""))
	require.NoError(t, call(with, "PUT", "http://files.test/b/large?partNumber=1&uploadId=u", nil, "aaaa"))
	require.NoError(t, call(with, "PUT", "http://files.test/b/large?partNumber=1&uploadId=u", nil, "aaaa")) // once more
	require.NoError(t, call(with, "PUT", "http://files.test/b/large?partNumber=2&uploadId=u", nil, "bb"))
	body = "<Error><Code>InternalError</Code></Error>"
	require.NoError(t, call(with, "POST", "http://files.test/b/large?uploadId=u", nil, ""))
	body = "<CompleteMultipartUploadResult/>"
	require.NoError(t, call(with, "POST", "http://files.test/b/large?uploadId=u", nil, ""))
	require.NoError(t, call(with, "POST", "http://files.test/b/large?uploadId=u", nil, "")) // unknown by now
	require.NoError(t, call(with, "PUT", "http://files.test/b/gone?partNumber=1&uploadId=v", nil, "aaaa"))
	require.NoError(t, call(with, "DELETE", "http://files.test/b/gone?uploadId=v", nil, ""))

	assert.Equal(t, []map[string]any{
		{"name": "upload", "customer": "acme", "strategy": "S3", "bytes": 5.0, "bucket": "b", "key": "dir/k ey", "contentType": "text/plain"},
		{"name": "upload", "customer": "acme", "strategy": "S3", "bytes": 3.0, "bucket": "b2", "key": "dir/key"},
		{"name": "upload", "customer": "acme", "strategy": "S3", "bytes": 6.0, "bucket": "b", "key": "large", "contentType": "text/plain"},
	}, u.done())
	require.Len(t, u.errs, 1)
	require.ErrorIs(t, u.errs[0], ErrNoUsage)
}

// When the answer about an upload breaks off, it is not known whether there is an object: the client asks again, and that counts.
func TestS3AnswerBreaksOff(t *testing.T) {
	for _, completed := range []bool{true, false} {
		u := newUsageTest(t)
		last := "<Error><Code>InternalError</Code></Error>"
		if completed {
			last = "<CompleteMultipartUploadResult/>"
		}
		answers := []io.Reader{strings.NewReader(""), io.MultiReader(strings.NewReader("<?xml "), iotest.ErrReader(io.ErrUnexpectedEOF)), strings.NewReader(last)}
		rt := u.S3Transport(respond(func(*http.Request) *http.Response {
			body := answers[0]
			answers = answers[1:]
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body)}
		}), "upload")
		for _, call := range [][2]string{{"PUT", "?partNumber=1&uploadId=u"}, {"POST", "?uploadId=u"}, {"POST", "?uploadId=u"}} {
			r, err := http.NewRequestWithContext(WithCustomer(t.Context(), acme), call[0], "http://s3.test/b/k"+call[1], strings.NewReader("aaaa"))
			require.NoError(t, err)
			resp, err := rt.RoundTrip(r)
			require.NoError(t, err)
			_, _ = io.ReadAll(resp.Body)
			require.NoError(t, resp.Body.Close())
		}
		events := u.done()
		if completed {
			require.Len(t, events, 1)
			assert.Equal(t, 4.0, events[0]["bytes"])
		} else {
			assert.Empty(t, events)
		}
		require.Len(t, u.errs, 1)
		require.ErrorIs(t, u.errs[0], io.ErrUnexpectedEOF)
		require.ErrorIs(t, u.errs[0], ErrNoUsage)
	}
}

// However many uploads come and go, one that is under way is remembered, and what is remembered is bounded.
func TestS3ManyUploads(t *testing.T) {
	u := newUsageTest(t)
	rt := u.S3Transport(respond(func(*http.Request) *http.Response { return answer(200, nil, "<CompleteMultipartUploadResult/>") }), "upload").(*s3Transport)
	rt.most = 100
	call := func(method, target, content string) {
		r, err := http.NewRequestWithContext(WithCustomer(t.Context(), acme), method, "http://files.test/b/"+target, strings.NewReader(content))
		require.NoError(t, err)
		resp, err := rt.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	call("POST", "long?uploads=", "")
	call("PUT", "long?partNumber=1&uploadId=l", "12345")
	for n := range 300 {
		call("POST", "short?uploads=", "")
		call("PUT", fmt.Sprint("short?partNumber=1&uploadId=", n), "x")
		call("DELETE", fmt.Sprint("short?uploadId=", n), "")
	}
	assert.Len(t, rt.uploads, 2)
	assert.LessOrEqual(t, len(rt.order), 200)
	call("POST", "long?uploadId=l", "")
	for n := range 200 { // none of these ends
		call("PUT", fmt.Sprint("lost?partNumber=1&uploadId=", n), "x")
	}
	assert.Len(t, rt.uploads, 100)
	assert.LessOrEqual(t, len(rt.order), 200)
	assert.Equal(t, []map[string]any{{"name": "upload", "customer": "acme", "strategy": "S3", "bytes": 5.0, "bucket": "b", "key": "long"}}, u.done())
}

// What a model says arrives at the reader when it is said, and not when there is more.
func TestLLMDelaysNothing(t *testing.T) {
	u := newUsageTest(t)
	said, say := io.Pipe()
	rt := u.LLMTransport(respond(func(*http.Request) *http.Response {
		resp := answer(200, http.Header{"Content-Type": {"text/event-stream"}}, "")
		resp.Body = said
		return resp
	}), "llm")
	r, err := http.NewRequestWithContext(WithCustomer(t.Context(), acme), "POST", "http://llm.test/v1/chat/completions", nil)
	require.NoError(t, err)
	resp, err := rt.RoundTrip(r)
	require.NoError(t, err)
	buf := make([]byte, 100)
	for _, part := range []string{"d", "ata: {", `"usage":{"prompt_tokens":1}}`, "\n", "\n"} { // each is written when the one before was read
		go func() { _, _ = io.WriteString(say, part) }()
		n, err := resp.Body.Read(buf)
		require.NoError(t, err)
		assert.Equal(t, part, string(buf[:n]))
	}
	require.NoError(t, resp.Body.Close())
	assert.Len(t, u.done(), 1)
}

func TestS3Addresses(t *testing.T) {
	for url, want := range map[string][2]string{
		"https://s3.eu-west-1.amazonaws.com/b/k":                    {"b", "k"},
		"https://b.s3.eu-west-1.amazonaws.com/k/l":                  {"b", "k/l"},
		"https://my.dotted.bucket.s3.amazonaws.com/k":               {"my.dotted.bucket", "k"},
		"https://b.s3-accelerate.amazonaws.com/k":                   {"b", "k"},
		"http://127.0.0.1:9000/b/k":                                 {"b", "k"},
		"http://localhost/b":                                        {"b", ""},
		"https://b.s3.dualstack.us-east-1.amazonaws.com/k?x-id=Put": {"b", "k"},
	} {
		r, err := http.NewRequest("PUT", url, nil)
		require.NoError(t, err)
		bucket, key := new(s3Transport).address(r)
		assert.Equal(t, want, [2]string{bucket, key}, url)
	}
}
