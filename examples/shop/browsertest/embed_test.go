package browsertest

import (
	"bytes"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polarhttp"
	"github.com/polar-go/polar/polartest"
)

// embedScript is Polar's own script for embedded checkouts, which .ci/embed.sh gets. The only change is the origin that
// it listens to: it is that of the embedded server.
func embedScript(t *testing.T, origin string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/embed.global.js")
	if os.IsNotExist(err) && os.Getenv("CI") != "true" {
		t.Skip("Polar's script for embedded checkouts is missing: run .ci/embed.sh once")
	}
	require.NoError(t, err)
	require.Contains(t, string(data), "https://sandbox.polar.sh")
	return bytes.ReplaceAll(data, []byte("https://sandbox.polar.sh"), []byte(origin))
}

// A page of a merchant embeds the checkout with polarhttp.EmbedLink and Polar's own script.
func TestEmbed(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	product, err := client.Products.Create(t.Context(), models.ProductCreateRecurring{
		Name: "Solo", RecurringInterval: models.RecurringIntervalMonth, Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 900}},
	})
	require.NoError(t, err)

	var page bytes.Buffer
	script := embedScript(t, srv.URL)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-r4nd0m'; style-src 'unsafe-inline'; frame-src "+srv.URL+"; img-src 'self'")
		_, _ = w.Write(page.Bytes())
	})
	mux.HandleFunc("GET /embed.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(script)
	})
	mux.HandleFunc("GET /thanks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<h1>Thanks</h1>")) })
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	checkout, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{
		Products: []string{product.ID}, CustomerEmail: new("ada@example.com"), EmbedOrigin: &site.URL, SuccessURL: new(site.URL + "/thanks"),
	})
	require.NoError(t, err)
	require.NoError(t, template.Must(template.New("page").Parse(`<!doctype html><html lang="en"><title>Shop</title>{{.Script.HTML}}
<h1>Shop</h1><p>{{.Buy.HTML}}</p></html>`)).Execute(&page, map[string]any{
		"Script": polarhttp.EmbedScript{URL: "/embed.js", Nonce: "r4nd0m"},
		"Buy":    polarhttp.EmbedLink{URL: checkout.URL, Label: "Buy", Theme: polarhttp.ThemeDark},
	}))

	b := open(t, desktop)
	b.visit(site.URL)
	b.do(chromedp.Click("//a[normalize-space()='Buy']"), chromedp.WaitVisible("//button[normalize-space()='Close']"))
	b.until("!document.querySelector('.polar-loader-spinner')") // the checkout has told the page that it is there
	b.picture("40-embedded")
	b.do(chromedp.Click("//button[normalize-space()='Close']"))
	b.until("!document.querySelector('iframe')")

	b.do(chromedp.Click("//a[normalize-space()='Buy']"))
	b.fill("Country (two letters)", "FR")
	b.do(chromedp.Click("//button[normalize-space()='Use a card that is declined']"), chromedp.WaitVisible("//*[@role='alert']"))
	b.do(chromedp.Click("//button[normalize-space()='Pay 9.00 USD']"))
	b.until("location.pathname === '/thanks'")
	b.sees("Thanks")
	assert.True(t, strings.HasPrefix(b.address().String(), site.URL+"/thanks"))
	paid, err := client.Checkouts.Get(t.Context(), checkout.ID)
	require.NoError(t, err)
	assert.Equal(t, models.CheckoutStatusSucceeded, paid.Status)
}
