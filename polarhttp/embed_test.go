package polarhttp_test

import (
	"fmt"
	"html/template"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/polarhttp"
)

func TestEmbedLink(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]polarhttp.EmbedLink{
		`<a href="https://buy.polar.sh/polar_cl_1" data-polar-checkout>Buy</a>`: {URL: "https://buy.polar.sh/polar_cl_1", Label: "Buy"},
		`<a href="https://polar.sh/checkout/polar_c_1?a=1&amp;b=%22" class="button big" data-polar-checkout data-polar-checkout-theme="dark">Buy &lt;b&gt;now&lt;/b&gt;</a>`: {
			URL: `https://polar.sh/checkout/polar_c_1?a=1&b="`, Label: "Buy <b>now</b>", Theme: polarhttp.ThemeDark, Class: "button big"},
		`<a href="http://127.0.0.1:8787/x" class="&#34;&gt;&lt;script&gt;" data-polar-checkout data-polar-checkout-theme="light">&#34;&#39;</a>`: {
			URL: "http://127.0.0.1:8787/x", Label: `"'`, Theme: polarhttp.ThemeLight, Class: `"><script>`},
	} {
		html, err := l.HTML()
		require.NoError(t, err)
		assert.Equal(t, template.HTML(want), html)
	}
	for _, l := range []polarhttp.EmbedLink{
		{URL: "https://buy.polar.sh/x"},
		{URL: "https://buy.polar.sh/x", Label: " \n"},
		{URL: "https://buy.polar.sh/x", Label: "Buy", Theme: "blue"},
		{URL: "https://buy.polar.sh/x", Label: "Buy", Theme: `dark" onclick="alert(1)`},
	} {
		html, err := l.HTML()
		require.ErrorContains(t, err, "polarhttp: EmbedLink: ")
		assert.Empty(t, html)
	}
}

func TestEmbedURLs(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://buy.polar.sh/x", "http://localhost:8080/x", "http://app.localhost/x", "http://127.0.0.1/x", "http://[::1]:80/x"} {
		_, err := polarhttp.EmbedLink{URL: address, Label: "Buy"}.HTML()
		require.NoError(t, err, address)
		_, err = polarhttp.EmbedScript{URL: address}.HTML()
		require.NoError(t, err, address)
	}
	for address, want := range map[string]string{
		"":                                   "must be absolute",
		"javascript:alert(1)":                "must be absolute",
		"JavaScript:alert(1)":                "must be absolute",
		"data:text/html,x":                   "must be absolute",
		"//evil.example/x":                   "must be absolute",
		`/\evil.example/x`:                   "must be absolute",
		`https://a.example\@b.example/`:      "must be absolute",
		"https://user@polar.sh/x":            "must be absolute",
		"https:///x":                         "must be absolute",
		" https://polar.sh":                  "must be absolute",
		"https://polar.sh/\n":                "must be absolute",
		`https://polar.sh\.evil.example/`:    "must be absolute",
		`https:\\evil.example/`:              "must be absolute",
		"http://192.168.1.5/x":               "must start with https://",
		"http://evillocalhost/x":             "must start with https://",
		"http://polar.sh/x":                  "must start with https://",
		"http://localhost.evil.example":      "must start with https://",
		"http://127.0.0.1.evil.example":      "must start with https://",
		"ftp://127.0.0.1/x":                  "must start with https://",
		"javascript://localhost/%0aalert(1)": "must start with https://",
	} {
		html, err := polarhttp.EmbedLink{URL: address, Label: "Buy"}.HTML()
		require.ErrorContains(t, err, want, address)
		assert.Empty(t, html)
		if address != "" {
			_, err = polarhttp.EmbedScript{URL: address}.HTML()
			require.ErrorContains(t, err, want, address)
		}
	}
	_, err := polarhttp.EmbedLink{URL: "/checkout", Label: "Buy"}.HTML()
	require.Error(t, err, "Polar's script wants an absolute address")
}

func TestEmbedScript(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]polarhttp.EmbedScript{
		`<script src="https://cdn.jsdelivr.net/npm/@polar-sh/checkout@0.1/dist/embed.global.js" defer data-auto-init></script>`: {},
		`<script src="/static/embed.js?v=1&amp;w=2" defer data-auto-init nonce="r4nd0m&#43;/=="></script>`:                      {URL: "/static/embed.js?v=1&w=2", Nonce: "r4nd0m+/=="},
	} {
		html, err := s.HTML()
		require.NoError(t, err)
		assert.Equal(t, template.HTML(want), html)
	}
	html, err := polarhttp.EmbedScript{Nonce: `"><script>alert(1)</script>`}.HTML()
	require.NoError(t, err)
	assert.NotContains(t, html, "<script>")
}

// Whatever the texts are, the page gets one link, whose attributes are those of the link.
func FuzzEmbedLink(f *testing.F) {
	f.Add("https://buy.polar.sh/x", "Buy", "button")
	f.Add(`https://a.example/"onclick="x`, `</a><script>`, `"><`)
	f.Fuzz(func(t *testing.T, address, label, class string) {
		html, err := polarhttp.EmbedLink{URL: address, Label: label, Class: class}.HTML()
		if err != nil {
			return
		}
		text := string(html)
		if strings.Count(text, "<") != 2 || strings.Count(text, ">") != 2 {
			t.Fatal(text)
		}
		quotes := 2 // around the address
		if class != "" {
			quotes = 4
		}
		if strings.Count(text, `"`) != quotes || !strings.HasPrefix(strings.ToLower(text), `<a href="http`) {
			t.Fatal(text)
		}
	})
}

func ExampleEmbedLink() {
	page := template.Must(template.New("page").Parse(`<head>{{.Script.HTML}}</head>
<p>{{.Buy.HTML}}</p>
`))
	err := page.Execute(os.Stdout, map[string]any{
		"Script": polarhttp.EmbedScript{},
		"Buy":    polarhttp.EmbedLink{URL: "https://buy.polar.sh/polar_cl_example", Label: "Buy the book", Theme: polarhttp.ThemeDark},
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// <head><script src="https://cdn.jsdelivr.net/npm/@polar-sh/checkout@0.1/dist/embed.global.js" defer data-auto-init></script></head>
	// <p><a href="https://buy.polar.sh/polar_cl_example" data-polar-checkout data-polar-checkout-theme="dark">Buy the book</a></p>
}
