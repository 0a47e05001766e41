package clienttest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/ingest"
)

// startModels answers in the documented shapes, streamed when the request asks for it.
func startModels(t *testing.T) string {
	mux := http.NewServeMux()
	answer := func(path, whole string, stream ...string) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if !strings.Contains(string(body), `"stream":true`) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, whole)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			for _, event := range stream {
				name := ""
				if _, rest, ok := strings.Cut(event, `"type":"`); ok && !strings.HasPrefix(event, `{"id"`) {
					name, _, _ = strings.Cut(rest, `"`)
					name = "event: " + name + "\n"
				}
				_, _ = fmt.Fprintf(w, "%sdata: %s\n\n", name, event)
				_ = http.NewResponseController(w).Flush()
			}
		})
	}
	const chunk = `{"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-test",`
	answer("/v1/chat/completions",
		`{"id":"c","object":"chat.completion","created":1,"model":"gpt-test","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],
		"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27,"prompt_tokens_details":{"cached_tokens":5}}}`,
		chunk+`"choices":[{"index":0,"delta":{"role":"assistant","content":"hel"}}],"usage":null}`,
		chunk+`"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}],"usage":null}`,
		chunk+`"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27,"prompt_tokens_details":{"cached_tokens":5}}}`,
		"[DONE]")
	const response = `{"id":"r","object":"response","created_at":1,"status":"completed","model":"gpt-test","output":[{"id":"m","type":"message","role":"assistant","status":"completed",
		"content":[{"type":"output_text","text":"hello","annotations":[]}]}],"usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":5},"output_tokens":7,
		"output_tokens_details":{"reasoning_tokens":2},"total_tokens":27}}`
	answer("/v1/responses", response,
		`{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","model":"gpt-test","usage":null}}`,
		`{"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,"content_index":0,"delta":"hello"}`,
		`{"type":"response.completed","sequence_number":2,"response":`+strings.ReplaceAll(strings.ReplaceAll(response, "\n", ""), "\t", "")+`}`)
	answer("/v1/messages",
		`{"id":"m","type":"message","role":"assistant","model":"claude-test","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn",
		"usage":{"input_tokens":12,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":7}}`,
		`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-test","content":[],"usage":{"input_tokens":12,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}`,
		`{"type":"message_stop"}`)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestOpenAI(t *testing.T) {
	url := startModels(t)
	r := newRecorder(t)
	client := openai.NewClient(option.WithBaseURL(url+"/v1/"), option.WithAPIKey("test"), option.WithMaxRetries(0),
		option.WithHTTPClient(&http.Client{Transport: r.ing.LLMTransport(nil, "llm", ingest.LLMProvider("openai"))}))
	ctx := ingest.WithCustomer(t.Context(), acme)
	chat := openai.ChatCompletionNewParams{Model: "gpt-test", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")}}

	_, err := client.Chat.Completions.New(t.Context(), chat)
	require.ErrorIs(t, err, ingest.ErrNoCustomer)
	completion, err := client.Chat.Completions.New(ctx, chat)
	require.NoError(t, err)
	assert.Equal(t, "hello", completion.Choices[0].Message.Content)

	chat.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	stream := client.Chat.Completions.NewStreaming(ctx, chat)
	text := ""
	for stream.Next() {
		for _, c := range stream.Current().Choices {
			text += c.Delta.Content
		}
	}
	require.NoError(t, stream.Err())
	require.NoError(t, stream.Close())
	assert.Equal(t, "hello", text)

	ask := responses.ResponseNewParams{Model: "gpt-test", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("hi")}}
	response, err := client.Responses.New(ctx, ask)
	require.NoError(t, err)
	assert.Equal(t, "hello", response.OutputText())
	events := client.Responses.NewStreaming(ctx, ask)
	text = ""
	for events.Next() {
		if d := events.Current(); d.Type == "response.output_text.delta" {
			text += d.Delta
		}
	}
	require.NoError(t, events.Err())
	require.NoError(t, events.Close())
	assert.Equal(t, "hello", text)

	got := r.events()
	require.Len(t, got, 4)
	for _, e := range got {
		assert.Equal(t, want("openai", "gpt-test"), e)
	}
}

// want is the metadata of each of the calls: 20 tokens read, 5 of them from the cache, and 7 written.
func want(provider, model string) metadata {
	return metadata{"strategy": "LLM", "provider": provider, "model": model, "inputTokens": 20.0, "cachedInputTokens": 5.0, "outputTokens": 7.0, "totalTokens": 27.0,
		"_llm": map[string]any{"vendor": provider, "model": model, "input_tokens": 20.0, "cached_input_tokens": 5.0, "output_tokens": 7.0, "total_tokens": 27.0}}
}

func TestAnthropic(t *testing.T) {
	url := startModels(t)
	r := newRecorder(t)
	client := anthropic.NewClient(anthropicoption.WithBaseURL(url), anthropicoption.WithAPIKey("test"), anthropicoption.WithMaxRetries(0),
		anthropicoption.WithHTTPClient(&http.Client{Transport: r.ing.LLMTransport(nil, "llm", ingest.LLMProvider("anthropic"))}))
	ctx := ingest.WithCustomer(t.Context(), acme)
	ask := anthropic.MessageNewParams{Model: "claude-test", MaxTokens: 100, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hi"))}}
	message, err := client.Messages.New(ctx, ask)
	require.NoError(t, err)
	assert.Equal(t, "hello", message.Content[0].Text)
	stream := client.Messages.NewStreaming(ctx, ask)
	var whole anthropic.Message
	for stream.Next() {
		require.NoError(t, whole.Accumulate(stream.Current()))
	}
	require.NoError(t, stream.Err())
	require.NoError(t, stream.Close())
	assert.Equal(t, "hello", whole.Content[0].Text)
	got := r.events()
	require.Len(t, got, 2)
	for _, e := range got {
		assert.Equal(t, want("anthropic", "claude-test"), e)
	}
}
