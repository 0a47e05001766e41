package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/polar-go/polar/polartest"
)

// play is a merchant with a browser, and the time that passes.
func play(ctx context.Context, say func(string, ...any), home string, srv *polartest.Server) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	b := &browser{ctx: ctx, client: &http.Client{Jar: jar, Timeout: 10 * time.Second}}
	defer b.client.CloseIdleConnections()
	renewals := func() int { return len(srv.Requests("oauth2:request_token")) - 1 }
	steps := []struct {
		does string
		run  func()
	}{
		{"opens the application", func() { b.open(home) }},
		{"follows the link to Polar", func() { b.open(home + "/polar/login") }},
		{"refuses", func() { b.submit(b.at, url.Values{"action": {"deny"}}) }},
		{"begins again", func() { b.open(home + "/polar/login") }},
		{"agrees", func() { b.submit(b.at, url.Values{"action": {"allow"}}) }},
		{"comes back when the access token has ended", func() { srv.Advance(11 * 24 * time.Hour); b.open(home) }},
		{"disconnects", func() { b.submit(home+"/polar/disconnect", nil) }},
	}
	for _, step := range steps {
		step.run()
		if b.err != nil {
			return fmt.Errorf("the merchant %s: %w", step.does, b.err)
		}
		say("The merchant %s and sees: %s", step.does, b.text())
	}
	say("The token was renewed %d time.", renewals())
	return nil
}

// browser keeps cookies, follows redirects, and remembers the page that it is at. Its first error stays.
type browser struct {
	ctx    context.Context
	client *http.Client
	at     string
	page   string
	err    error
}

func (b *browser) open(address string) { b.send(http.MethodGet, address, nil) }

func (b *browser) submit(address string, form url.Values) { b.send(http.MethodPost, address, form) }

func (b *browser) send(method, address string, form url.Values) {
	if b.err != nil {
		return
	}
	req, err := http.NewRequestWithContext(b.ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.err = err
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.client.Do(req)
	if err != nil {
		b.err = err
		return
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	_ = resp.Body.Close()
	b.at, b.page = resp.Request.URL.String(), string(data)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the page answered %s", resp.Status)
	}
	b.err = err
}

var shown = regexp.MustCompile(`<(?:h1|h2|li|p id="message")>([^<]+)<`)

// text is what the page says, on one line, without the name of the application.
func (b *browser) text() string {
	var out []string
	for _, m := range shown.FindAllStringSubmatch(b.page, -1) {
		out = append(out, m[1])
	}
	return strings.Join(slices.DeleteFunc(out, func(s string) bool { return s == "Acme Reports" }), ", ")
}
