package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
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
	}), "llm", LLMPromptTokens(), LLMProvider("mine"), LLMCost(func(LLMUsage) (models.Decimal, bool) { panic("x") }))
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
	body = `{"usage":{"prompt_tokens":1}}`
	require.NoError(t, call(with, "POST", "/v1/chat/completions")) // cost panics
	status = 429
	require.NoError(t, call(with, "POST", "/v1/chat/completions"))
	assert.Empty(t, u.done())
	require.Len(t, u.errs, 3)
	require.ErrorIs(t, u.errs[0], ErrNoUsage)
	require.ErrorIs(t, u.errs[1], ErrNoUsage)
	require.ErrorContains(t, u.errs[2], "LLMCost panicked")
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
