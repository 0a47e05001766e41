package polar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
)

// TestTokenIsNeverPrinted formats everything that could hold a token with every verb.
func TestTokenIsNeverPrinted(t *testing.T) {
	t.Parallel()
	token := Token(testToken)
	client, err := New(token, WithOrganization("o"))
	require.NoError(t, err)
	portal, err := client.Portal(token)
	require.NoError(t, err)
	fromFunc, err := New(TokenFunc(func(context.Context) (string, error) { return testToken, nil }))
	require.NoError(t, err)
	var holder any = struct {
		Credential Credential
		Pointer    *Credential
		Client     *Client
		Value      Client
		List       []Credential
		Map        map[string]Credential
		Option     CallOption
	}{token, &token, client, *client, []Credential{token}, map[string]Credential{"t": token}, CallCredential(token)}

	secret := []string{testToken, fmt.Sprintf("%x", testToken), fmt.Sprintf("%X", testToken), fmt.Sprintf("% x", testToken), fmt.Sprintf("%v", []byte(testToken))}
	check := func(what, text string) {
		t.Helper()
		for _, s := range secret {
			if strings.Contains(text, s) {
				t.Errorf("%s shows the token: %s", what, text)
			}
		}
	}
	for _, v := range []any{token, &token, holder, client, *client, client.core, *client.core, client.core.config, portal, *portal, *portal.core, fromFunc, *fromFunc, *fromFunc.core} {
		for _, flags := range []string{"", "+", "#", " ", "-40", "040", "0.3"} {
			for verb := '!'; verb <= '~'; verb++ {
				if verb == '%' || verb == '*' || verb == '.' || '0' <= verb && verb <= '9' || strings.ContainsRune("+-# ", verb) {
					continue
				}
				format := "%" + flags + string(verb)
				check(fmt.Sprintf("%s of a %T", format, v), fmt.Sprintf(format, v))
			}
		}
		check("Sprint", fmt.Sprint(v))
		var b bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(handler).Info("x", "v", v, slog.Any("w", []any{v}))
		}
		check("slog", b.String())
		data, _ := json.Marshal(v)
		check("encoding/json", string(data))
		data, _ = jsonx.Marshal(v)
		check("jsonx", string(data))
	}
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%d", "%#v", "%+v"} {
		assert.Equal(t, "[REDACTED]", fmt.Sprintf(verb, token), verb)
	}
	data, err := json.Marshal(map[string]any{"t": token})
	require.NoError(t, err)
	assert.JSONEq(t, `{"t":"[REDACTED]"}`, string(data))
	data, err = jsonx.Marshal(map[string]any{"t": token})
	require.NoError(t, err)
	assert.JSONEq(t, `{"t":"[REDACTED]"}`, string(data))
}

// TestTokenIsNotInErrorsAndLogs lets calls fail in every way while everything is logged.
func TestTokenIsNotInErrorsAndLogs(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	const private = "ada@example.com"
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var seen []http.Header
	spy := func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Header.Clone())
			resp, err := next.RoundTrip(r)
			if resp != nil {
				seen = append(seen, resp.Request.Header.Clone())
			}
			return resp, err
		})
	}
	for _, handler := range []http.HandlerFunc{
		answer(200, "{"), answer(200, ""), answer(200, `{"size":"`+private+`"}`), answer(204, ""), answer(302, ""), answer(401, ""), answer(429, ""), answer(503, "<html>"),
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		things, client := newThings(t, handler, WithLogger(logger), WithMiddleware(spy))
		for _, call := range []func() error{
			func() error { _, err := things.Get(t.Context(), private); return err },
			func() error { _, err := things.Confirm(t.Context(), private); return err },
			func() error { _, err := things.Create(t.Context(), thingCreate{Name: "ada"}); return err },
			func() error {
				_, err := things.List(t.Context(), &thingListParams{ID: []string{private}})
				return err
			},
			func() error {
				var out struct{ Size int }
				return client.Do(t.Context(), Request{Method: "GET", Path: "/v1/{id}", PathValues: []string{private}, Query: map[string][]string{"q": {private}}}, &out)
			},
			func() error {
				_, err := things.Get(t.Context(), private, CallCredential(TokenFunc(func(context.Context) (string, error) { return "", errors.New("no token today") })))
				return err
			},
		} {
			err := call()
			if err == nil {
				continue // a 204 for a call without a body would be fine
			}
			logger.Error("failed", "err", err)
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err)} {
				assert.NotContains(t, text, testToken)
				assert.NotContains(t, text, private)
				assert.NotContains(t, text, "ada%40")
				assert.NotContains(t, text, "\n")
				assert.LessOrEqual(t, len(text), 600)
			}
		}
	}
	assert.Contains(t, log.String(), "polar: attempt")
	assert.Contains(t, log.String(), "polar: repeating a call")
	assert.NotContains(t, log.String(), testToken)
	assert.NotContains(t, log.String(), private)
	assert.NotContains(t, log.String(), "ada%40")
	for _, h := range seen {
		assert.NotContains(t, fmt.Sprint(h), testToken, "middleware never sees the token")
	}
}

func TestCredentialErrors(t *testing.T) {
	t.Parallel()
	for _, credential := range []Credential{nil, Token(""), Token("secret value"), Token("secret\n"), Token("Bearer secret"), Token("sécret"), TokenFunc(nil)} {
		client, err := New(credential)
		require.Error(t, err, "%T", credential)
		assert.Nil(t, client)
		assert.Regexp(t, "^polar: ", err.Error())
		assert.NotContains(t, err.Error(), "cret")
		_, err = NewPortal(credential)
		require.Error(t, err)
		client, err = New(Anonymous)
		require.NoError(t, err)
		_, err = client.Portal(credential)
		require.Error(t, err)
	}
}
