package webhooks

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests of this file compare with implementations that are not ours: the npm package standardwebhooks, which Polar's
// server and ours have in common as a model, and Polar's TypeScript SDK. testdata/interop has what runs them.

const interopDir = "testdata/interop"

// foreign is a job for interop.mjs, and the answer to it.
type foreign struct {
	Do     string            `json:"do"`
	With   string            `json:"with"`
	Secret string            `json:"secret"`
	Rule   string            `json:"rule"`
	ID     string            `json:"id,omitempty"`
	At     int64             `json:"at,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	Body   []byte            `json:"body"`

	answer struct {
		OK        bool
		Error     string
		Signature string
		Type      string
	}
}

// ask has node do the jobs.
func ask(t *testing.T, jobs []*foreign) {
	t.Helper()
	if _, err := os.Stat(interopDir + "/node_modules"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node_modules is missing: run .ci/interop.sh")
		}
		t.Skip("node_modules is missing: run .ci/interop.sh")
	}
	var in, out, log bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, job := range jobs {
		require.NoError(t, enc.Encode(job))
	}
	cmd := exec.CommandContext(t.Context(), "node", "interop.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = interopDir, &in, &out, &log
	require.NoError(t, cmd.Run(), "%s", &log)
	lines := bufio.NewScanner(&out)
	for _, job := range jobs {
		require.True(t, lines.Scan(), "%s", &log)
		require.NoError(t, json.Unmarshal(lines.Bytes(), &job.answer))
	}
}

// interopSecret is a secret with a rule that Polar signs it by.
type interopSecret struct {
	secret string
	rule   KeyRule
}

func (s interopSecret) name() string {
	if s.rule == KeyRuleDecoded {
		return "decoded"
	}
	return "bytes"
}

var interopSecrets = []interopSecret{
	{standardSecret, KeyRuleDecoded}, // made since 8 September 2026
	{standardSecret, KeyRuleBytes},   // looks like that and is older
	{legacySecret, KeyRuleBytes},
	{"whsec_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk012345", KeyRuleBytes},
	{"hunter22", KeyRuleBytes},
	{"pässwörd with ünïcode", KeyRuleBytes},
	{"5f4b3c1e000040008000000000000001", KeyRuleBytes}, // of polar listen
}

// Signatures made elsewhere are accepted here: every event, both key rules.
func TestInteropVerify(t *testing.T) {
	now := time.Now()
	var jobs []*foreign
	for i, s := range samples() {
		for _, secret := range interopSecrets {
			jobs = append(jobs, &foreign{
				Do: "sign", With: "standardwebhooks", Secret: secret.secret, Rule: secret.name(), ID: fmt.Sprint("evt_", i), At: now.Unix(), Body: s.body,
			})
		}
	}
	ask(t, jobs)
	types := map[string]bool{}
	for _, job := range jobs {
		require.True(t, job.answer.OK, "%s", job.answer.Error)
		v, err := NewVerifier(job.Secret)
		require.NoError(t, err)
		h := Header(map[string]string{"webhook-id": job.ID, "webhook-timestamp": strconv.FormatInt(job.At, 10), "webhook-signature": job.answer.Signature})
		e, err := v.Parse(job.Body, h)
		require.NoError(t, err, "secret %s, rule %s", job.Secret, job.Rule)
		assert.Equal(t, job.ID, e.Info().ID)
		types[string(e.Type())] = true

		h.Set(headerSignature, strings.Replace(job.answer.Signature, "v1,", "v1,A", 1))
		assert.ErrorIs(t, v.Verify(job.Body, h), ErrNoMatchingSignature)
	}
	assert.Len(t, types, 42)
	t.Logf("%d signatures", len(jobs))
}

// Signatures made here are accepted elsewhere, by Polar's SDK and by standardwebhooks; so are the events that Encode writes.
func TestInteropSign(t *testing.T) {
	now := time.Now()
	var jobs []*foreign
	var want []string
	for i, s := range samples() {
		e, err := Decode(s.body)
		require.NoError(t, err)
		encoded, err := Encode(e)
		require.NoError(t, err)
		for _, secret := range interopSecrets {
			for _, body := range [][]byte{s.body, encoded} {
				h, err := Sign(secret.secret, fmt.Sprint("evt_", i), now, body, WithKeyRule(secret.rule))
				require.NoError(t, err)
				header := map[string]string{}
				for key := range h {
					header[strings.ToLower(key)] = h.Get(key)
				}
				jobs = append(jobs,
					&foreign{Do: "verify", With: "polar", Secret: secret.secret, Header: header, Body: body},
					&foreign{Do: "verify", With: "standardwebhooks", Secret: secret.secret, Rule: secret.name(), Header: header, Body: body})
				want = append(want, string(s.eventType), string(s.eventType))
			}
		}
	}
	ask(t, jobs)
	types := map[string]bool{}
	for i, job := range jobs {
		require.True(t, job.answer.OK, "%s refuses %s under %s (%s): %s", job.With, want[i], job.Secret, job.Rule, job.answer.Error)
		require.Equal(t, want[i], job.answer.Type)
		types[want[i]] = true
	}
	assert.Len(t, types, 42)
	t.Logf("%d signatures", len(jobs))
}

// Whatever is wrong with a delivery, nothing is accepted here that Polar's SDK refuses. What only this module refuses is
// listed.
func TestInteropSameVerdicts(t *testing.T) {
	now := time.Now()
	v, err := NewVerifier(standardSecret)
	require.NoError(t, err)
	stamp := strconv.FormatInt(now.Unix(), 10)
	junk := "v1," + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	type change func(h map[string]string, body []byte) []byte
	header := func(key string, f func(string) string) change {
		return func(h map[string]string, body []byte) []byte { h[key] = f(h[key]); return body }
	}
	set := func(key, value string) change { return header(key, func(string) string { return value }) }
	cases := map[string]struct {
		change  change
		accept  bool
		onlySDK bool // the SDK accepts it and this module does not
	}{
		"nothing":                   {func(_ map[string]string, body []byte) []byte { return body }, true, false},
		"id":                        {set("webhook-id", "other"), false, false},
		"no id":                     {set("webhook-id", ""), false, false},
		"timestamp":                 {set("webhook-timestamp", strconv.FormatInt(now.Unix()-1, 10)), false, false},
		"no timestamp":              {set("webhook-timestamp", ""), false, false},
		"timestamp in words":        {set("webhook-timestamp", "now"), false, false},
		"timestamp with a sign":     {set("webhook-timestamp", "+"+stamp), false, true},
		"timestamp with a fraction": {set("webhook-timestamp", stamp+".4"), false, true},
		"timestamp in hexadecimal":  {set("webhook-timestamp", "0x"+strconv.FormatInt(now.Unix(), 16)), false, true},
		"timestamp with spaces":     {set("webhook-timestamp", " "+stamp+" "), false, true},
		"no signature":              {set("webhook-signature", ""), false, false},
		"junk":                      {set("webhook-signature", junk), false, false},
		"junk before":               {header("webhook-signature", func(s string) string { return junk + " " + s }), true, false},
		"junk behind":               {header("webhook-signature", func(s string) string { return s + " v1,%% v2,x x" }), true, false},
		"signature without padding": {header("webhook-signature", func(s string) string { return strings.TrimRight(s, "=") }), false, true},
		"signature and more":        {header("webhook-signature", func(s string) string { return s + ",more" }), false, true},
		"other version":             {header("webhook-signature", func(s string) string { return "v2" + s[2:] }), false, false},
		"body cut":                  {func(_ map[string]string, body []byte) []byte { return body[:len(body)-1] }, false, false},
		"body with a space":         {func(_ map[string]string, body []byte) []byte { return append([]byte(" "), body...) }, false, false},
		"empty body":                {func(map[string]string, []byte) []byte { return nil }, false, false},
		"10.0 becomes 10": {func(_ map[string]string, body []byte) []byte {
			return bytes.ReplaceAll(body, []byte("10.0"), []byte("10"))
		}, false, false},
	}
	body := []byte(`{"type":"order.paid","timestamp":"2026-11-22T11:59:59Z","api_version":"2026-10","data":{"id":"o_1","x":10.0}}`)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 300 { // and any byte changed
		at, bit := random.IntN(len(body)), byte(1)<<random.IntN(7)
		cases[fmt.Sprint("byte ", i)] = struct {
			change  change
			accept  bool
			onlySDK bool
		}{func(_ map[string]string, body []byte) []byte { body[at] ^= bit; return body }, false, false}
	}
	var jobs []*foreign
	var names []string
	for name, c := range cases {
		h, err := Sign(standardSecret, "evt_1", now, body)
		require.NoError(t, err)
		m := map[string]string{"webhook-id": h.Get(headerID), "webhook-timestamp": h.Get(headerTimestamp), "webhook-signature": h.Get(headerSignature)}
		changed := c.change(m, bytes.Clone(body))
		jobs = append(jobs, &foreign{Do: "verify", With: "polar", Secret: standardSecret, Header: m, Body: changed})
		names = append(names, name)
	}
	ask(t, jobs)
	for i, job := range jobs {
		c := cases[names[i]]
		err := v.Verify(job.Body, Header(job.Header))
		assert.Equal(t, c.accept, err == nil, "%s: %v", names[i], err)
		assert.Equal(t, c.accept || c.onlySDK, job.answer.OK, "%s, by the SDK: %s", names[i], job.answer.Error)
		if err != nil {
			assert.Equal(t, http.StatusForbidden, StatusCode(err))
		}
	}
}

// What decoding and encoding by JavaScript does to payloads, as "polar listen" does: where the bytes stay the same, the
// signature made with the listen secret holds.
func TestInteropListen(t *testing.T) {
	secret := ListenSecret("9a4bb7a2-6a2b-4a1f-93f1-1f6b0d3a5c11")
	now := time.Now()
	job := &foreign{Do: "sign", With: "standardwebhooks", Secret: secret, Rule: "bytes", ID: "evt_1", At: now.Unix(), Body: testBody}
	ask(t, []*foreign{job})
	v, err := NewVerifier(secret)
	require.NoError(t, err)
	assert.NoError(t, v.Verify(testBody, Header(map[string]string{
		"webhook-id": "evt_1", "webhook-timestamp": strconv.FormatInt(now.Unix(), 10), "webhook-signature": job.answer.Signature,
	})))
}
