package browsertest

import (
	"bytes"
	"html/template"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polarhttp"
	"github.com/polar-go/polar/polartest"
)

// A page embeds a checkout link that is filled in, with the script that the embedded server has for this.
func TestEmbedLink(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	product, err := client.Products.Create(t.Context(), models.ProductCreateOneTime{
		Name: "Donation", Prices: []models.ProductPriceCreate{models.ProductPriceCustomCreate{}},
	})
	require.NoError(t, err)

	var page bytes.Buffer
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src "+srv.URL+"; frame-src "+srv.URL+"; img-src 'self'")
		_, _ = w.Write(page.Bytes())
	})
	mux.HandleFunc("GET /thanks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<h1>Thanks</h1>")) })
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	success, err := polar.SuccessURL(site.URL+"/thanks", "")
	require.NoError(t, err)
	link, err := client.CheckoutLinks.Create(t.Context(), models.CheckoutLinkCreate{Products: []string{product.ID}, SuccessURL: &success})
	require.NoError(t, err)
	address, err := polar.PrefillCheckoutLink(link.URL, polar.CheckoutLinkPrefill{CustomerEmail: "ada+1@example.com", Amount: new(int64(1250))})
	require.NoError(t, err)
	require.NoError(t, template.Must(template.New("page").Parse(`<!doctype html><html lang="en"><title>Shop</title>{{.Script.HTML}}
<h1>Shop</h1><p>{{.Buy.HTML}}</p></html>`)).Execute(&page, map[string]any{
		"Script": polarhttp.EmbedScript{URL: srv.EmbedScriptURL()},
		"Buy":    polarhttp.EmbedLink{URL: address, Label: "Give", Theme: polarhttp.ThemeLight},
	}))

	b := open(t, desktop)
	b.visit(site.URL)
	b.do(chromedp.Click("//a[normalize-space()='Give']"), chromedp.WaitVisible("//button[normalize-space()='Close']"))
	b.do(chromedp.Click("//button[normalize-space()='Close']"))
	b.until("!document.querySelector('iframe')")
	b.do(chromedp.Click("//a[normalize-space()='Give']"))
	b.fill("Country (two letters)", "FR")
	b.do(chromedp.Click("//button[normalize-space()='Pay 12.50 USD']"))
	b.until("location.pathname === '/thanks'")
	orders, err := client.Orders.List(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, orders.Items, 1)
	assert.Equal(t, "ada+1@example.com", orders.Items[0].Customer.Email)
	assert.EqualValues(t, 1250, orders.Items[0].NetAmount)
	assert.Equal(t, *orders.Items[0].CheckoutID, b.address().Query().Get("checkout_id"))
}
