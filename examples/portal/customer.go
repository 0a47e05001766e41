package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/polar-go/polar/polartest"
)

// playCustomer does over HTTP what a person does in a browser. On the sandbox there is nothing to cancel.
func playCustomer(ctx context.Context, w io.Writer, base, link string, srv *polartest.Server) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	b := &browser{base: base, client: &http.Client{Timeout: 30 * time.Second, Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if srv == nil && !strings.HasPrefix(req.URL.String(), base) {
			return http.ErrUseLastResponse // the portal's page is for people
		}
		return nil
	}}}
	steps := []struct{ does, path string }{
		{"signs in", strings.TrimPrefix(link, base)},
		{"opens the customer portal", "/portal"},
	}
	if srv != nil {
		steps = append(steps, []struct{ does, path string }{
			{"goes back", "/"},
			{"asks for the invoice", "/orders/ID/invoice"},
			{"goes back", "/"},
			{"cancels", "/subscriptions/ID/cancel"},
			{"changes their mind", "/subscriptions/ID/keep"},
			{"cancels again", "/subscriptions/ID/cancel"},
			{"comes back after a month", "/"},
		}...)
	}
	for i, step := range steps {
		if srv != nil && i == len(steps)-1 {
			srv.Advance(32 * 24 * time.Hour)
		}
		if err := b.open(ctx, step.path); err != nil {
			return fmt.Errorf("the customer %s: %w", step.does, err)
		}
		fmt.Fprintf(w, "The customer %s.\n", step.does)
		for _, line := range b.lines {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
	if srv == nil {
		fmt.Fprintf(w, "That is at %s. A person can go on: start this program with -serve.\n", b.host)
	}
	return nil
}

// browser is where the customer is.
type browser struct {
	base   string
	client *http.Client
	host   string            // of the page
	lines  []string          // of the page
	forms  map[string]string // paths of its forms, by the same path with ID instead of an id
}

var (
	block = regexp.MustCompile(`(?s)<(h1|h2|h3|p)>(.*?)</(h1|h2|h3|p)>`)
	tag   = regexp.MustCompile(`(?s)<form.*?</form>|<[^>]*>`)
	form  = regexp.MustCompile(`action="(/[a-z]+/)([^/"]+)(/[a-z]+)"`)
)

// open follows a link or, if the page has a form for the path, sends that.
func (b *browser) open(ctx context.Context, path string) error {
	method, target := http.MethodGet, path
	if at, ok := b.forms[path]; ok || path == "/portal" {
		method = http.MethodPost
		if ok {
			target = at
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, b.base+target, nil)
	if err != nil {
		return err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			return e.Err // without the address, which may hold a token
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("the answer is %s", resp.Status)
	}
	b.host, b.lines, b.forms = resp.Request.URL.Host, nil, map[string]string{}
	if to, err := resp.Location(); err == nil {
		b.host = to.Host
	}
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
		b.lines = []string{fmt.Sprintf("(%d bytes of %s)", len(text), kind)}
	}
	for _, m := range block.FindAllSubmatch(text, -1) {
		line := strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(string(m[2]), ""))), " ")
		if line != "" {
			b.lines = append(b.lines, line)
		}
	}
	for _, m := range form.FindAllSubmatch(text, -1) {
		b.forms[string(m[1])+"ID"+string(m[3])] = string(m[0][len(`action="`) : len(m[0])-1])
	}
	return nil
}
