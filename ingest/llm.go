package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// LLMUsage is what one call of a language model used.
type LLMUsage struct {
	Provider          string // "openai", "anthropic", "google", or the host of a compatible server
	Model             string // as the answer names it
	InputTokens       int    // tokens read, those from the cache included
	CachedInputTokens int    // those of InputTokens that came from the cache
	OutputTokens      int    // tokens written, those of reasoning included
	TotalTokens       int
}

// LLMOption changes what [Ingester.LLMTransport] tracks.
type LLMOption func(*llmTransport)

// LLMCost computes what a call has cost the merchant, in cents, for the member _cost of the event. It reports false when it
// does not know the model. When it fails, the event is tracked without cost and [OnError] gets the reason.
func LLMCost(f func(LLMUsage) (cents models.Decimal, ok bool)) LLMOption {
	return func(t *llmTransport) { t.cost = f }
}

// LLMProvider sets the name of the provider, for servers other than those of OpenAI, Anthropic and Google.
func LLMProvider(name string) LLMOption {
	return func(t *llmTransport) { t.provider = name }
}

// LLMPromptTokens uses the older keys promptTokens and completionTokens in place of inputTokens, outputTokens and
// cachedInputTokens, for meters that were made for them.
func LLMPromptTokens() LLMOption {
	return func(t *llmTransport) { t.older = true }
}

// LLMUsageOptions adds metadata to the events.
func LLMUsageOptions(opts ...UsageOption) LLMOption {
	return func(t *llmTransport) { t.usage = opts }
}

// LLMTransport returns a RoundTripper for the HTTP client of any SDK for language models. It reads the usage of tokens from
// the answers of OpenAI (chat completions, responses, embeddings), Anthropic (messages), Google Gemini and compatible
// servers, streamed or not, passes every byte on as it comes, and tracks one event for each call that succeeded, when its answer was
// read to the end or closed. A nil base is [http.DefaultTransport].
//
//	client := openai.NewClient(option.WithHTTPClient(&http.Client{Transport: ing.LLMTransport(nil, "llm")}))
//	answer, err := client.Chat.Completions.New(ingest.WithCustomer(ctx, customer), params)
//
// The customer is that of the request's context; without one the request is not made. An answer without usage is reported to
// [OnError] as [ErrNoUsage]; OpenAI's chat completions have it in a stream only when stream_options.include_usage is set.
func (i *Ingester) LLMTransport(base http.RoundTripper, event string, opts ...LLMOption) http.RoundTripper {
	t := &llmTransport{ing: i, base: base, event: event}
	for _, opt := range opts {
		if opt != nil {
			opt(t)
		}
	}
	return t
}

type llmTransport struct {
	ing      *Ingester
	base     http.RoundTripper
	event    string
	provider string
	older    bool
	usage    []UsageOption
	cost     func(LLMUsage) (models.Decimal, bool)
}

func roundTrip(base http.RoundTripper, r *http.Request) (*http.Response, error) {
	if base == nil {
		base = http.DefaultTransport
	}
	return base.RoundTrip(r)
}

func refuse(r *http.Request, err error) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return nil, err
}

// RoundTrip sends the request and watches the answer.
func (t *llmTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !isModelCall(r) {
		return roundTrip(t.base, r)
	}
	customer, err := t.ing.find(r.Context())
	if err != nil {
		return refuse(r, err)
	}
	resp, err := roundTrip(t.base, r)
	if err != nil || resp.StatusCode/100 != 2 || resp.Body == nil {
		return resp, err
	}
	provider := t.provider
	if provider == "" {
		provider = providerOf(r.URL.Hostname())
	}
	watch := &llmBody{ReadCloser: resp.Body, done: func(u tokens) { t.track(r, customer, provider, u) }}
	watch.stream = strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
	watch.zipped = resp.Header.Get("Content-Encoding") == "gzip"
	resp.Body = watch
	return resp, nil
}

// isModelCall tells the calls that use tokens from listings and other management.
func isModelCall(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	for _, end := range [...]string{"/chat/completions", "/completions", "/responses", "/embeddings", "/messages", ":generateContent", ":streamGenerateContent",
		":rawPredict", ":streamRawPredict"} {
		if strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), end) {
			return true
		}
	}
	return false
}

func providerOf(host string) string {
	switch {
	case strings.HasSuffix(host, "openai.com"), strings.HasSuffix(host, "openai.azure.com"):
		return "openai"
	case strings.HasSuffix(host, "anthropic.com"):
		return "anthropic"
	case strings.HasSuffix(host, "googleapis.com"):
		return "google"
	}
	return host
}

func (t *llmTransport) track(r *http.Request, customer Customer, provider string, seen tokens) {
	if !seen.any {
		t.ing.report(fmt.Errorf("%w (%s)", ErrNoUsage, provider))
		return
	}
	u := seen.usage()
	u.Provider = provider
	m := models.Metadata{"strategy": "LLM", "provider": shortText(u.Provider), "totalTokens": u.TotalTokens}
	if u.Model != "" {
		m["model"] = shortText(u.Model)
	}
	if t.older {
		m["promptTokens"], m["completionTokens"] = u.InputTokens, u.OutputTokens
	} else {
		m["inputTokens"], m["outputTokens"], m["cachedInputTokens"] = u.InputTokens, u.OutputTokens, u.CachedInputTokens
	}
	e := newUsage(t.usage).event(t.event, m)
	e.LLM = &models.LLMMetadata{Vendor: u.Provider, Model: u.Model, InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, TotalTokens: u.TotalTokens,
		CachedInputTokens: &u.CachedInputTokens}
	var err error
	if e.Cost, err = t.costOf(u); err != nil {
		t.ing.report(fmt.Errorf("ingest: the function of LLMCost failed, so the event has no cost: %w", err))
	}
	// The tokens are used, whether the caller still waits for the answer or not.
	if err := t.ing.use(context.WithoutCancel(r.Context()), customer, e); err != nil {
		t.ing.report(err)
	}
}

func (t *llmTransport) costOf(u LLMUsage) (c *models.CostMetadata, err error) {
	if t.cost == nil {
		return nil, nil
	}
	err = contain(func() error {
		cents, ok := t.cost(u)
		if !ok {
			return nil
		}
		c = &models.CostMetadata{Amount: cents, Currency: "usd"}
		return cents.ValidateUnitAmount()
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// shortText fits a text into a value of metadata.
func shortText(s string) string { return shorten(s, 400) }

// llmBody is the body of an answer that is watched while it is read.
type llmBody struct {
	io.ReadCloser
	stream, zipped bool
	done           func(tokens)

	mu   sync.Mutex // bodies may be closed while they are read
	over bool
	seen tokens
	held []byte // what has been read and not yet looked at: the whole body, or a part of a line
	long bool   // held was given up: the whole body, or the line that is being read
}

// maxHeld is how much of a body, or of a line of a stream, is kept to find the usage in it.
const maxHeld = 32 << 20

// Read passes on what it reads.
func (b *llmBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.see(p[:n])
	}
	if err != nil {
		b.finish()
	}
	return n, err
}

// Close reports what was seen, also of a stream that was left before its end.
func (b *llmBody) Close() error {
	err := b.ReadCloser.Close()
	b.finish()
	return err
}

func (b *llmBody) see(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	byLine := b.stream && !b.zipped
	if b.long {
		end := bytes.IndexByte(p, '\n')
		if !byLine || end < 0 {
			return
		}
		b.long, p = false, p[end+1:]
	}
	if byLine && bytes.IndexByte(p, '\n') >= 0 {
		b.held = append(b.held, p...)
		b.held = b.held[:copy(b.held, b.lines(b.held, false))]
		return
	}
	if len(b.held)+len(p) > maxHeld {
		b.held, b.long = nil, true
		return
	}
	b.held = append(b.held, p...)
}

// lines looks at the complete lines of an event stream and returns the rest.
func (b *llmBody) lines(data []byte, last bool) []byte {
	for {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok && !last {
			return data
		}
		if text, isData := bytes.CutPrefix(line, []byte("data:")); isData {
			b.seen.read(text)
		}
		if !ok {
			return nil
		}
		data = rest
	}
}

func (b *llmBody) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.over = true
	data := b.held
	b.held = nil
	if b.zipped {
		data = unzip(data)
	}
	if b.stream {
		b.lines(data, true)
	} else {
		b.seen.read(data)
	}
	b.done(b.seen)
}

// unzip returns as much as there is.
func unzip(data []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	plain, _ := io.ReadAll(io.LimitReader(r, maxHeld)) // of a stream that was left, the beginning
	return plain
}

// tokens is the usage as the parts of an answer tell it, the later ones replacing the earlier.
type tokens struct {
	any, anthropic                       bool
	model                                string
	input, output, total, cached, stored int
}

// llmMessage has the members of all shapes of answers that matter here.
type llmMessage struct {
	Type         string      `json:"type"`
	Model        string      `json:"model"`
	ModelVersion string      `json:"modelVersion"`
	Usage        *llmCounts  `json:"usage"`
	Gemini       *llmGemini  `json:"usageMetadata"`
	Response     *llmMessage `json:"response"` // of OpenAI's response.completed
	Message      *llmMessage `json:"message"`  // of Anthropic's message_start
}

type llmCounts struct {
	Prompt        *int        `json:"prompt_tokens"`
	Completion    *int        `json:"completion_tokens"`
	Total         *int        `json:"total_tokens"`
	PromptDetails *llmDetails `json:"prompt_tokens_details"`
	Input         *int        `json:"input_tokens"`
	Output        *int        `json:"output_tokens"`
	InputDetails  *llmDetails `json:"input_tokens_details"`
	CacheCreation *int        `json:"cache_creation_input_tokens"`
	CacheRead     *int        `json:"cache_read_input_tokens"`
}

type llmDetails struct {
	Cached *int `json:"cached_tokens"`
}

type llmGemini struct {
	Prompt     *int `json:"promptTokenCount"`
	ToolUse    *int `json:"toolUsePromptTokenCount"`
	Candidates *int `json:"candidatesTokenCount"`
	Thoughts   *int `json:"thoughtsTokenCount"`
	Cached     *int `json:"cachedContentTokenCount"`
	Total      *int `json:"totalTokenCount"`
}

// read looks for usage in a JSON text: an answer, or a part of a stream.
func (t *tokens) read(data []byte) {
	data = bytes.TrimSpace(data)
	if !bytes.Contains(data, []byte(`"usage`)) {
		return
	}
	if data[0] == '[' { // Gemini's stream without events is a list
		var list []llmMessage
		if jsonx.Unmarshal(data, &list) == nil {
			for n := range list {
				t.take(&list[n])
			}
		}
		return
	}
	var m llmMessage
	if jsonx.Unmarshal(data, &m) == nil {
		t.take(&m)
	}
}

func (t *tokens) take(m *llmMessage) {
	for _, inner := range [...]*llmMessage{m.Response, m.Message} {
		if inner != nil {
			t.take(inner)
		}
	}
	if m.Model != "" {
		t.model = m.Model
	} else if m.ModelVersion != "" {
		t.model = m.ModelVersion
	}
	t.anthropic = t.anthropic || m.Type == "message" || strings.HasPrefix(m.Type, "message_")
	if u := m.Usage; u != nil {
		t.set(&t.input, u.Prompt, u.Input)
		t.set(&t.output, u.Completion, u.Output)
		t.set(&t.total, u.Total)
		t.set(&t.stored, u.CacheCreation)
		t.set(&t.cached, u.CacheRead)
		for _, d := range [...]*llmDetails{u.PromptDetails, u.InputDetails} {
			if d != nil {
				t.set(&t.cached, d.Cached)
			}
		}
	}
	if g := m.Gemini; g != nil {
		t.set(&t.input, sum(g.Prompt, g.ToolUse))
		t.set(&t.output, sum(g.Candidates, g.Thoughts))
		t.set(&t.total, g.Total)
		t.set(&t.cached, g.Cached)
	}
}

// maxTokens is more than any call takes: what is larger is no count.
const maxTokens = 1 << 40

func (t *tokens) set(to *int, values ...*int) {
	for _, v := range values {
		if v != nil && *v >= 0 && *v <= maxTokens {
			*to = *v
			t.any = t.any || *v > 0
		}
	}
}

func sum(values ...*int) *int {
	var total *int
	for _, v := range values {
		if v != nil {
			if total == nil {
				total = new(int)
			}
			*total += *v
		}
	}
	return total
}

func (t *tokens) usage() LLMUsage {
	u := LLMUsage{Model: t.model, InputTokens: t.input, CachedInputTokens: t.cached, OutputTokens: t.output, TotalTokens: t.total}
	if t.anthropic { // counts what the cache served or stored apart
		u.InputTokens += t.cached + t.stored
		u.TotalTokens = 0
	}
	if u.TotalTokens == 0 {
		u.TotalTokens = u.InputTokens + u.OutputTokens
	}
	return u
}
