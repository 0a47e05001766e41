package polarhttp

import (
	"errors"
	"html/template"
	"net"
	"net/url"
	"strings"
	"unicode"
)

// EmbedScriptURL is the script that Polar's dashboard hands out with its embed codes, of the 0.1 series.
const EmbedScriptURL = "https://cdn.jsdelivr.net/npm/@polar-sh/checkout@0.1/dist/embed.global.js"

// EmbedLink is a link that opens a checkout over the page it stands on, and leads to the checkout's own page where scripts
// are off. In a template of html/template, {{.Buy.HTML}} writes it. The page also needs one [EmbedScript].
//
// Checkout links work as they are, since the script tells Polar which page embeds them. A checkout session has to be created
// for the page: with its origin, such as https://example.com, as EmbedOrigin of models.CheckoutCreate. Otherwise the
// browser refuses to show the checkout inside of the page.
type EmbedLink struct {
	URL   string // of a checkout link or of a checkout session
	Label string // text of the link
	Theme Theme  // [ThemeLight], [ThemeDark], or empty for the settings of the browser
	Class string // CSS classes of the link; optional
}

var embedLinkTemplate = template.Must(template.New("link").Parse(
	`<a href="{{.URL}}"{{with .Class}} class="{{.}}"{{end}} data-polar-checkout{{with .Theme}} data-polar-checkout-theme="{{.}}"{{end}}>{{.Label}}</a>`))

// HTML returns the link with everything in it escaped. The URL must be absolute and of the scheme https; for a server on the
// same computer http will do.
func (l EmbedLink) HTML() (template.HTML, error) {
	if err := checkEmbedURL(l.URL, "URL"); err != nil {
		return "", err
	}
	switch {
	case strings.TrimSpace(l.Label) == "":
		return "", errors.New("polarhttp: EmbedLink: Label is empty: nobody could see the link")
	case l.Theme != "" && l.Theme != ThemeLight && l.Theme != ThemeDark:
		return "", errors.New(`polarhttp: EmbedLink: Theme must be "light", "dark" or empty`)
	}
	return render(embedLinkTemplate, l)
}

// EmbedScript loads the script behind every [EmbedLink]. It belongs once into a page, in the head for example.
//
// The script is of the series 0.1 at a CDN and so may change. A page that wants to know what it runs serves a copy
// of its own: URL says where it is. A Content-Security-Policy has to allow the script, by its Nonce or its host, and the
// checkout in a frame: frame-src https://polar.sh https://buy.polar.sh https://api.polar.sh, and the hosts of the sandbox.
type EmbedScript struct {
	URL   string // where the script is; [EmbedScriptURL] when it is empty
	Nonce string // of the page's Content-Security-Policy; optional
}

var embedScriptTemplate = template.Must(template.New("script").Parse(
	`<script src="{{.URL}}" defer data-auto-init{{with .Nonce}} nonce="{{.}}"{{end}}></script>`))

// HTML returns the script element. A URL of its own must be a path on the page's host, such as /static/embed.js, or be
// absolute and of the scheme https; for a server on the same computer http will do.
func (s EmbedScript) HTML() (template.HTML, error) {
	if s.URL == "" {
		s.URL = EmbedScriptURL
	}
	if !strings.HasPrefix(s.URL, "/") || strings.HasPrefix(s.URL, "//") || strings.Contains(s.URL, `\`) {
		if err := checkEmbedURL(s.URL, "URL of the script"); err != nil {
			return "", err
		}
	}
	return render(embedScriptTemplate, s)
}

func render(t *template.Template, data any) (template.HTML, error) {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil // escaped by the template
}

// checkEmbedURL refuses what must not be put into a page: scripts, other schemes, and plain http across a network.
func checkEmbedURL(address, what string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || strings.ContainsFunc(address, unicode.IsSpace):
		return errors.New("polarhttp: embed: the " + what + " must be absolute, such as https://buy.polar.sh/polar_cl_...")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("polarhttp: embed: the " + what + " must start with https://; http:// is only for this computer itself")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
