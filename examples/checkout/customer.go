package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// playCustomer does over HTTP what a person does in a browser. On the sandbox it stops before the payment.
func playCustomer(ctx context.Context, w io.Writer, base, amount string, pay bool) error {
	b := &browser{client: &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if !pay && !strings.HasPrefix(req.URL.String(), base) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
	if err := b.open(ctx, base+"/", nil); err != nil {
		return err
	}
	fmt.Fprintf(w, "The page says: %s\n", b.said)
	if err := b.open(ctx, base+"/buy", url.Values{"amount": {amount}}); err != nil {
		return err
	}
	if strings.HasPrefix(b.at, base) && pay {
		fmt.Fprintf(w, "The page says: %s\n", b.said)
		return nil
	}
	if !pay {
		fmt.Fprintf(w, "The customer is sent to %s. Only a person can pay there: start this program with -serve, open it in a browser and use the card 4242 4242 4242 4242.\n", b.at)
		return nil
	}
	fmt.Fprintf(w, "The customer wants to pay %s and is at Polar's checkout: %s\n", amount, b.said)

	checkout := b.at
	details := url.Values{"customer_email": {"ada@example.com"}, "address.country": {"FR"}}
	for _, card := range []string{"decline", "pay"} {
		details.Set("action", card)
		if err := b.open(ctx, checkout, details); err != nil {
			return err
		}
		if strings.HasPrefix(b.at, base) {
			break
		}
		fmt.Fprintf(w, "The card is declined, and the customer is still there: %s\n", b.said)
	}
	if !strings.HasPrefix(b.at, base) {
		return errors.New("the customer did not come back")
	}
	fmt.Fprintf(w, "The customer is back. The page says: %s\n", b.said)
	return nil
}

// browser is where the customer is.
type browser struct {
	client *http.Client
	at     string // address
	said   string // heading and first sentence of the page
}

var (
	heading = regexp.MustCompile(`(?s)<h1>(.*?)</h1>`)
	first   = regexp.MustCompile(`(?s)</h1>\s*<p>(.*?)</p>`)
)

// open opens an address, with a form if there is one.
func (b *browser) open(ctx context.Context, address string, form url.Values) error {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	b.at, b.said = resp.Request.URL.String(), ""
	if to := resp.Header.Get("Location"); to != "" {
		b.at = to
	}
	for _, part := range []*regexp.Regexp{heading, first} {
		if m := part.FindSubmatch(text); m != nil {
			b.said = strings.TrimSpace(b.said + " / " + html.UnescapeString(string(m[1])))
		}
	}
	b.said = strings.TrimPrefix(b.said, "/ ")
	return nil
}
