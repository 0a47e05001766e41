package polartest

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the text of the pages
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// Where the pages are. The portal's path begins with the organization's slug.
const (
	checkoutPath = "/checkout/"
	documentPath = "/documents/"
	portalPart   = "portal"
	framePath    = "/embed.global.js"
)

//go:embed pages/pages.html
var pageText string

//go:embed pages/embed.js
var embedScript string

//go:embed pages/embed.global.js
var frameScript string

// pageTemplates are read when the first page is asked for.
var pageTemplates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("pages").Funcs(template.FuncMap{
		"money":  models.FormatAmount[string],
		"day":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"words":  func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "_", " ") },
		"period": func(i models.RecurringInterval, n int) string { return every(i, n) },
	}).Parse(pageText))
})

// scriptHash lets the browser run the one script that pages have, and no other.
var scriptHash = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(embedScript))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
})

// EmbedScriptURL is the address of a script for pages that embed a checkout of this server. It
// does what Polar's own script does, which listens to Polar's hosts alone: use it in its place, for
// instance as URL of polarhttp.EmbedScript.
func (s *Server) EmbedScriptURL() string { return s.URL + framePath }

// isPage tells whether a path is that of a page for people.
func isPage(path string) bool {
	if strings.HasPrefix(path, checkoutPath) || strings.HasPrefix(path, documentPath) || path == framePath {
		return true
	}
	parts := strings.Split(path, "/")
	return len(parts) > 2 && parts[1] != "v1" && parts[2] == portalPart
}

// servePage answers with a page.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // secrets are in the addresses
	h.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		h.Set("Allow", "GET, HEAD, POST")
		s.notice(w, http.StatusMethodNotAllowed, "This page can only be read or sent", "")
		return
	}
	if r.URL.Path == framePath {
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write([]byte(frameScript))
		return
	}
	if err := r.ParseForm(); err != nil {
		s.notice(w, http.StatusBadRequest, "The form could not be read", "")
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, checkoutPath); ok {
		s.checkoutPage(w, r, strings.Split(rest, "/"))
	} else if rest, ok := strings.CutPrefix(r.URL.Path, documentPath); ok {
		s.documentPage(w, r, strings.Split(rest, "/"))
	} else {
		parts := strings.Split(r.URL.Path, "/")
		s.portalPage(w, r, parts[1], parts[3:])
	}
}

// pageView is what every page has; its own data are in Body.
type pageView struct {
	Title, Theme string
	Slim         bool   // the page has little to say
	Error        string // what went wrong with the form
	Faults       []string
	Embed        *embedMessages
	Script       template.JS
	Body         any
}

// embedMessages are what an embedded page tells the page around it.
type embedMessages struct {
	Origin, Messages string // the messages as JSON
	Next             string // where the page itself goes on, if it is not the page around it that does
	Stay             bool   // it goes on itself even when it is embedded
}

// showPage writes a page. frames is who may embed it.
func (s *Server) showPage(w http.ResponseWriter, status int, name, frames string, p pageView) {
	script := "'none'"
	if p.Embed != nil {
		p.Script, script = template.JS(embedScript), scriptHash()
	}
	p.Slim = name == "message" || name == "request" || name == "challenge" || name == "consent"
	var out bytes.Buffer
	if err := pageTemplates().ExecuteTemplate(&out, name, p); err != nil {
		write(w, fmt.Errorf("polartest: the page failed: %w", err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src "+script+"; base-uri 'none'; frame-ancestors "+frames)
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// notice is a page that says one thing.
func (s *Server) notice(w http.ResponseWriter, status int, title, text string) {
	s.showPage(w, status, "message", "'none'", pageView{Title: title, Body: messageView{Text: text}})
}

// messageView is the body of such a page, with a way on if there is one.
type messageView struct{ Text, Link, Label string }

// perform does what an operation of the API does, for a page: the same checks of the body, the same effects.
func (s *Server) perform(id string, who *subject, path map[string]string, query url.Values, body any) (any, error) {
	op := s.table.ops[id]
	c := &call{srv: s, op: op, r: &http.Request{Header: http.Header{}}, who: who, now: s.at, path: path, query: query, header: http.Header{}, status: op.status}
	if op.body != nil && body != nil {
		data, err := jsonx.Marshal(body)
		if err != nil {
			return nil, err
		}
		v := &validator{now: s.at}
		c.readBody(v, data)
		if len(v.faults) > 0 {
			return nil, &apiError{status: http.StatusUnprocessableEntity, body: validationError{"RequestValidationError", v.faults}}
		}
	}
	return allHandlers()[id](c)
}

// explain puts an error on a page, and tells the status that goes with it.
func explain(p *pageView, err error) int {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		p.Error = err.Error()
		return http.StatusInternalServerError
	}
	switch b := e.body.(type) {
	case namedError:
		p.Error = b.Detail
	case validationError:
		p.Error = "Please look at your answers again:"
		for _, f := range b.Detail {
			var at []string
			for _, l := range f.Loc[min(1, len(f.Loc)):] {
				at = append(at, strings.ReplaceAll(fmt.Sprint(l), "_", " "))
			}
			p.Faults = append(p.Faults, strings.Join(at, ", ")+": "+f.Msg)
		}
	default:
		p.Error = e.Error()
	}
	return e.status
}

// plainMoney writes an amount without its currency, as the form takes it.
func plainMoney(amount int64, currency string) string {
	number, _, _ := strings.Cut(models.FormatAmount(amount, currency), " ")
	return number
}

// every tells how long a billing period is.
func every(interval models.RecurringInterval, count int) string {
	if count > 1 {
		return fmt.Sprintf("every %d %ss", count, interval)
	}
	return "per " + string(interval)
}

var plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?$`)

// originOf is the origin of an address, "" when there is none that may stand in a header.
func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !plainHost.MatchString(u.Host) {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// withQuery adds parameters to an address and leaves the rest of it as the merchant wrote it.
func withQuery(address string, add url.Values) string {
	if len(add) == 0 {
		return address
	}
	rest, fragment, cut := strings.Cut(address, "#")
	path, query, _ := strings.Cut(rest, "?")
	var keep []string
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); part != "" && (err != nil || !add.Has(name)) {
			keep = append(keep, part)
		}
	}
	out := path + "?" + strings.Join(append(keep, add.Encode()), "&")
	if cut {
		out += "#" + fragment
	}
	return out
}

// documentPage is an invoice or a receipt, for ten minutes.
func (s *Server) documentPage(w http.ResponseWriter, r *http.Request, parts []string) {
	var o *order
	if len(parts) == 2 {
		if id, ok := strings.CutSuffix(parts[1], ".pdf"); ok {
			o, _ = s.orders.get(id)
		}
	}
	if o == nil || !(parts[0] == "invoice" && o.m.IsInvoiceGenerated || parts[0] == "receipt" && o.receiptReady) {
		s.notice(w, http.StatusNotFound, "There is no such document", "")
		return
	}
	if until, err := time.Parse("20060102T150405Z", r.URL.Query().Get("expires")); err != nil || s.at.After(until) {
		s.notice(w, http.StatusForbidden, "This address has expired", "Ask for the document again.")
		return
	}
	title := "Invoice " + deref(o.m.InvoiceNumber)
	if parts[0] == "receipt" {
		title = "Receipt " + deref(o.m.ReceiptNumber)
	}
	lines := []string{title, o.organization.m.Name, "for " + deref(o.m.BillingName), o.m.CreatedAt.UTC().Format(time.DateOnly)}
	for _, i := range o.m.Items {
		lines = append(lines, i.Label+"  "+models.FormatAmount(i.Amount, o.m.Currency))
	}
	lines = append(lines, "Tax  "+models.FormatAmount(o.m.TaxAmount, o.m.Currency), "Total  "+models.FormatAmount(o.m.TotalAmount, o.m.Currency))
	w.Header().Set("Content-Type", "application/pdf")
	_, _ = w.Write(pdf(lines))
}

// pdf is a page of lines of text.
func pdf(lines []string) []byte {
	var text bytes.Buffer
	text.WriteString("BT /F1 12 Tf 16 TL 60 780 Td\n")
	for _, l := range lines {
		l = strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '?'
			}
			return r
		}, l)
		fmt.Fprintf(&text, "(%s) Tj T*\n", strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`).Replace(l))
	}
	text.WriteString("ET")
	objects := []string{"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", text.Len(), text.String())}
	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n")
	var at []int
	for i, o := range objects {
		at = append(at, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	table := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&out, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, table)
	return out.Bytes()
}
