package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDemo runs the program as "go run" does and reads what it prints.
func TestDemo(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, config{}))
	for _, want := range []string{
		"The merchant refuses and sees: You did not allow the access. Nothing was connected.\n",
		"The merchant agrees and sees: Acme, Basic plan, Pro plan\n",
		"The merchant comes back when the access token has ended and sees: Acme, Basic plan, Pro plan\n",
		"The merchant disconnects and sees: Connect your Polar account to see your report.\n",
		"The token was renewed 1 time.\n",
	} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotRegexp(t, regexp.MustCompile(`polar_(cs|at|rt|crt|ac)_`), out.String())
}

// TestServe runs the program for a person, goes through its pages, and stops it.
func TestServe(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, write, config{Serve: true, Addr: "127.0.0.1:0"}) }()
	lines := bufio.NewScanner(read)
	home := ""
	for home == "" && lines.Scan() {
		home = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text())
	}
	require.NotEmpty(t, home)
	go func() { _, _ = io.Copy(io.Discard, read) }()

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &browser{ctx: t.Context(), client: &http.Client{Jar: jar}}
	t.Cleanup(b.client.CloseIdleConnections)
	b.open(home + "/polar/login")
	b.submit(b.at, url.Values{"action": {"allow"}})
	require.NoError(t, b.err)
	assert.Equal(t, home+"/", b.at, "the code does not stay in the address")
	assert.Contains(t, b.page, "Basic plan")

	// a form of another site does not disconnect, and a session that was made up shows nothing
	req, err := http.NewRequestWithContext(t.Context(), "POST", home+"/polar/disconnect", nil)
	require.NoError(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := b.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	b.open(home)
	assert.Contains(t, b.page, "Basic plan")
	stranger := &browser{ctx: t.Context(), client: &http.Client{}}
	t.Cleanup(stranger.client.CloseIdleConnections)
	stranger.open(home)
	assert.NotContains(t, stranger.page, "Basic plan")
	stranger.open(home + "/polar/callback?code=c&state=")
	require.ErrorContains(t, stranger.err, "400")

	stop()
	require.NoError(t, <-done)
}
