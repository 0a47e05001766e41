package ingest

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

func FuzzTrack(f *testing.F) {
	f.Add("name", "customer", "key", "value", 1.5, int64(3))
	f.Add("", "\x00", "_cost", "\xff", 0.0, int64(-1<<63))
	o := defaults()
	f.Fuzz(func(t *testing.T, name, customer, key, value string, number float64, whole int64) {
		e := models.EventCreate{Name: name, ExternalCustomerID: &customer, ExternalID: new("id"), Metadata: models.Metadata{key: value, key + "1": number, key + "2": whole}}
		it, err := o.newItem(&e)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		require.NoError(t, e.Validate(), "the door is not wider than the models' rules")
		e.Timestamp = new(time.UnixMicro(it.at).UTC())
		want, err := jsonx.Marshal(e)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(it.appendWire(nil, it.at)))
	})
}

// Bytes arrive as they were sent, and the usage found in them does not depend on how they were cut into pieces.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(sse(`{"model":"m","usage":{"prompt_tokens":1}}`, "[DONE]")), true, uint8(3))
	f.Add([]byte(`{"type":"message","usage":{"input_tokens":1,"cache_read_input_tokens":2}}`), false, uint8(1))
	f.Add([]byte(`[{"usageMetadata":{"promptTokenCount":1,"toolUsePromptTokenCount":-5}}]`), false, uint8(0))
	f.Add([]byte("data:{\"usage\":{\"total_tokens\":9}}\r\n\r\ndata: {\"usage\""), true, uint8(7))
	f.Fuzz(func(t *testing.T, body []byte, stream bool, piece uint8) {
		read := func(r io.Reader) (seen tokens) {
			calls := 0
			b := &llmBody{ReadCloser: io.NopCloser(r), stream: stream, done: func(u tokens) { seen = u; calls++ }}
			got, err := io.ReadAll(b)
			require.NoError(t, err)
			require.Equal(t, string(body), string(got))
			require.NoError(t, b.Close())
			require.Equal(t, 1, calls)
			return seen
		}
		whole := read(bytes.NewReader(body))
		require.Equal(t, whole, read(iotest.OneByteReader(bytes.NewReader(body))))
		cut := min(int(piece), len(body))
		require.Equal(t, whole, read(io.MultiReader(bytes.NewReader(body[:cut]), strings.NewReader(string(body[cut:])))))
		u := whole.usage()
		require.GreaterOrEqual(t, min(u.InputTokens, u.OutputTokens, u.CachedInputTokens), 0)
	})
}
