package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// check is a visitor who walks through the shop: looks at the prices, signs up,
// and with the Polar server inside the program also buys and uses a plan.
func check(ctx context.Context, w io.Writer, base string, buy bool) error {
	v, err := newVisitor(ctx, base)
	if err != nil {
		return err
	}
	defer v.close()
	steps := []struct {
		does string
		do   func() error
		want string // in the page that comes of it
	}{
		{"looks at the prices", func() error { return v.get("/") }, "Choose Solo"},
		{"reads the list of webhooks", func() error { return v.get("/webhooks") }, "Received webhooks"},
		{"cannot use the palette maker", func() error { return v.get("/palettes") }, "Sign in"},
		{"signs up", func() error {
			return v.post("/sign-up", url.Values{"name": {"Ada Lovelace"}, "email": {"ada@example.com"}, "password": {"correct horse"}})
		}, "You have no plan"},
		{"cannot use the palette maker without a plan", func() error { return v.get("/palettes") }, "This needs a plan"},
	}
	if buy {
		steps = append(steps, []struct {
			does string
			do   func() error
			want string
		}{
			{"chooses a plan", func() error {
				if err := v.get("/"); err != nil {
					return err
				}
				return v.post("/checkout", url.Values{"plan": {v.find(`name="plan" value="([^"]+)"`)}})
			}, "Pay"},
			{"pays", func() error { return v.post("", url.Values{"action": {"pay"}, "address.country": {"FR"}}) }, "Your plan is active"},
			{"makes a palette", func() error { return v.post("/palettes", url.Values{"word": {"lagoon"}}) }, "lagoon"},
			{"looks at the account", func() error { return v.get("/account") }, "Active"},
			{"gets an invoice as PDF", func() error { return v.post(v.find(`action="(/orders/[^"]+/invoice)"`), nil) }, "%PDF"},
			{"goes back to the account", func() error { return v.get(v.base + "/account") }, "Payments"},
			{"opens the billing portal", func() error { return v.post("/portal", nil) }, "ada@example.com"},
			{"sees what Polar has told the shop", func() error { return v.get(v.base + "/webhooks") }, "customer.state_changed"},
		}...)
	}
	steps = append(steps, struct {
		does string
		do   func() error
		want string
	}{"signs out", func() error { return v.post("/sign-out", nil) }, "Sign in"})
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("the visitor %s: %w", step.does, err)
		}
		if !strings.Contains(v.body, step.want) {
			return fmt.Errorf("the visitor %s: the page at %s (status %d) does not say %q", step.does, v.at.Path, v.status, step.want)
		}
		fmt.Fprintln(w, strings.TrimSpace(fmt.Sprintf("A visitor %s: %d %s", step.does, v.status, v.title())))
	}
	return nil
}

// visitor is a browser without a window.
type visitor struct {
	ctx    context.Context
	base   string
	client *http.Client

	at     *url.URL // the page on the screen
	status int
	body   string
}

func newVisitor(ctx context.Context, base string) (*visitor, error) {
	at, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{}
	return &visitor{ctx: ctx, base: base, at: at, client: &http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second}}, nil
}

func (v *visitor) close() { v.client.CloseIdleConnections() }

// get opens an address, as a link on the page does.
func (v *visitor) get(address string) error { return v.open(http.MethodGet, address, nil) }

// post sends a form. Like a browser, it says where the form was.
func (v *visitor) post(address string, form url.Values) error {
	return v.open(http.MethodPost, address, form)
}

func (v *visitor) open(method, address string, form url.Values) error {
	to, err := v.at.Parse(address)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(v.ctx, method, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", v.at.Scheme+"://"+v.at.Host)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	v.at, v.status, v.body = resp.Request.URL, resp.StatusCode, string(body)
	if v.status >= http.StatusInternalServerError {
		return errors.New("the answer was " + resp.Status)
	}
	return nil
}

// find is the part of the page that the expression captures, "" if there is none.
func (v *visitor) find(expression string) string {
	m := regexp.MustCompile(expression).FindStringSubmatch(v.body)
	if m == nil {
		return ""
	}
	return m[1]
}

func (v *visitor) title() string {
	title, _, _ := strings.Cut(v.find(`<title>([^<]*)</title>`), " · ")
	return title
}
