package polartest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// browser is what a browser without cookies and scripts does with the pages.
type browser struct {
	*shop
	url    *url.URL
	status int
	header http.Header
	body   string
}

func (s *shop) browse(address string) *browser {
	s.Helper()
	b := &browser{shop: s}
	b.open(http.MethodGet, address, nil)
	return b
}

func (b *browser) open(method, address string, form url.Values) {
	b.Helper()
	at, err := url.Parse(address)
	require.NoError(b, err)
	if b.url != nil {
		at = b.url.ResolveReference(at)
	}
	req, err := http.NewRequestWithContext(b.ctx, method, at.String(), strings.NewReader(form.Encode()))
	require.NoError(b, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(b, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	b.url, b.status, b.header, b.body = at, resp.StatusCode, resp.Header, string(data)
	if to := resp.Header.Get("Location"); to != "" && (strings.HasPrefix(to, "/") || strings.HasPrefix(to, b.srv.URL)) {
		b.open(http.MethodGet, to, nil)
	}
}

var (
	formTag   = regexp.MustCompile(`(?s)<form([^>]*)>(.*?)</form>`)
	inputTag  = regexp.MustCompile(`<(?:input|button|option)([^>]*)>`)
	attribute = regexp.MustCompile(`([a-z_-]+)(?:="([^"]*)")?`)
	selectTag = regexp.MustCompile(`(?s)<select([^>]*)>(.*?)</select>`)
)

func attributes(text string) map[string]string {
	out := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(text, -1) {
		out[m[1]] = html.UnescapeString(m[2])
	}
	return out
}

// submit fills the first form whose action ends in suffix with what it holds and with values, and sends it.
func (b *browser) submit(suffix string, values map[string]string) {
	b.Helper()
	for _, f := range formTag.FindAllStringSubmatch(b.body, -1) {
		at := attributes(f[1])
		path, _, _ := strings.Cut(at["action"], "?")
		if !strings.HasSuffix(path, suffix) {
			continue
		}
		form := url.Values{}
		for _, m := range selectTag.FindAllStringSubmatch(f[2], -1) {
			for _, o := range inputTag.FindAllStringSubmatch(m[2], -1) {
				if a := attributes(o[1]); hasKey(a, "selected") {
					form.Set(attributes(m[1])["name"], a["value"])
				}
			}
		}
		for _, m := range regexp.MustCompile(`<input([^>]*)>`).FindAllStringSubmatch(f[2], -1) {
			if a := attributes(m[1]); a["type"] != "checkbox" || hasKey(a, "checked") {
				form.Set(a["name"], a["value"])
			}
		}
		for k, v := range values {
			form.Set(k, v)
		}
		b.open(strings.ToUpper(at["method"]), at["action"], form)
		return
	}
	require.Failf(b, "no form", "%s in %s", suffix, b.body)
}

func hasKey(m map[string]string, k string) bool { _, ok := m[k]; return ok }

func (s *shop) checkout(product string, edit ...func(*models.CheckoutCreate)) *models.Checkout {
	s.Helper()
	body := models.CheckoutCreate{Products: []string{product}}
	for _, e := range edit {
		e(&body)
	}
	return must(s.client.Checkouts.Create(s.ctx, body))(s)
}

func (s *shop) status(id string) models.CheckoutStatus {
	s.Helper()
	return must(s.client.Checkouts.Get(s.ctx, id))(s).Status
}

func TestCheckoutPagePays(t *testing.T) {
	s := newShop(t)
	product := s.plan("Pro", 2000)
	x := s.checkout(product.ID, func(c *models.CheckoutCreate) {
		c.SuccessURL, c.ReturnURL = new("https://shop.example/done?ref=a%20b&checkout_id={CHECKOUT_ID}#top"), new("https://shop.example/cart")
	})
	b := s.browse(x.URL)
	require.Equal(t, 200, b.status)
	assert.Contains(t, b.body, "Pro")
	assert.Contains(t, b.body, "20.00 USD")
	assert.Contains(t, b.body, "https://shop.example/cart")
	assert.Contains(t, b.header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	assert.Equal(t, "no-referrer", b.header.Get("Referrer-Policy"))

	// the form asks for what is missing
	b.submit(x.ClientSecret, map[string]string{"action": "pay"})
	assert.Equal(t, 422, b.status)
	assert.Contains(t, b.body, "customer email")
	assert.Equal(t, models.CheckoutStatusOpen, s.status(x.ID))

	// a change shows what it makes of the amounts
	b.submit(x.ClientSecret, map[string]string{"action": "update", "customer_email": "ann@example.com", "address.country": "de"})
	require.Equal(t, 200, b.status)
	open := must(s.client.Checkouts.Get(s.ctx, x.ID))(t)
	require.NotNil(t, open.TaxAmount)
	assert.Equal(t, "ann@example.com", *open.CustomerEmail)
	assert.Contains(t, b.body, `value="ann@example.com"`)

	b.submit(x.ClientSecret, map[string]string{"action": "pay"})
	assert.Equal(t, http.StatusSeeOther, b.status)
	to, err := url.Parse(b.header.Get("Location"))
	require.NoError(t, err)
	token := to.Query().Get("customer_session_token")
	require.NotEmpty(t, token)
	assert.Equal(t, "https://shop.example/done?ref=a%20b&checkout_id="+x.ID+"&customer_session_token="+token+"#top", to.String())
	assert.Equal(t, models.CheckoutStatusSucceeded, s.status(x.ID))
	portal := must(polar.NewPortal(polar.Token(token), polar.WithBaseURL(s.srv.URL)))(t)
	subs := must(portal.Subscriptions.List(t.Context(), nil))(t)
	require.Len(t, subs.Items, 1, "everything is in place when the browser goes on")

	// the address shows what became of it
	b = s.browse(x.URL)
	assert.Equal(t, 200, b.status)
	assert.Contains(t, b.body, "complete")
	assert.NotContains(t, b.body, "<form")
	b.open(http.MethodPost, x.URL, url.Values{"action": {"pay"}})
	assert.NotContains(t, b.body, "<form")
	assert.Len(t, must(s.client.Orders.List(t.Context(), nil))(t).Items, 1, "nothing is paid twice")
}

func TestCheckoutPageDefaultConfirmation(t *testing.T) {
	s := newShop(t)
	x := s.checkout(s.plan("Free plan", 0).ID)
	b := s.browse(x.URL)
	assert.NotContains(t, b.body, `value="decline"`, "nothing to decline")
	b.submit(x.ClientSecret, map[string]string{"action": "pay", "customer_email": "ann@example.com"})
	require.Equal(t, 200, b.status)
	assert.Contains(t, b.url.Path, "/confirmation")
	assert.Contains(t, b.body, "Free plan")
	m := regexp.MustCompile(`href="([^"]*/portal[^"]*)"`).FindStringSubmatch(b.body)
	require.NotNil(t, m, b.body)
	b.open(http.MethodGet, html.UnescapeString(m[1]), nil)
	assert.Contains(t, b.body, "ann@example.com")
}

func TestCheckoutPageCards(t *testing.T) {
	s := newShop(t)
	product := s.plan("Pro", 2000)
	x := s.checkout(product.ID, func(c *models.CheckoutCreate) { c.SuccessURL = new("https://shop.example/done") })
	b := s.browse(x.URL)
	who := map[string]string{"customer_email": "ann@example.com", "address.country": "DE", "action": "decline"}
	b.submit(x.ClientSecret, who)
	assert.Equal(t, 400, b.status)
	assert.Contains(t, b.body, "declined")
	assert.Equal(t, models.CheckoutStatusOpen, s.status(x.ID))

	b.submit(x.ClientSecret, map[string]string{"action": "challenge"})
	require.Equal(t, 200, b.status)
	assert.True(t, strings.HasSuffix(b.url.Path, "/challenge"))
	assert.Contains(t, b.body, "Your bank asks")
	assert.Equal(t, models.CheckoutStatusConfirmed, s.status(x.ID))
	assert.Empty(t, must(s.client.Orders.List(t.Context(), nil))(t).Items)
	assert.Contains(t, s.browse(x.URL).body, "Your bank asks", "the address leads back to the step")

	b.submit("/challenge", map[string]string{"answer": "refuse"})
	assert.Equal(t, 400, b.status)
	assert.Equal(t, models.CheckoutStatusOpen, s.status(x.ID))
	b.submit(x.ClientSecret, map[string]string{"action": "challenge"})
	b.submit("/challenge", map[string]string{"answer": "confirm"})
	assert.Equal(t, http.StatusSeeOther, b.status)
	assert.True(t, strings.HasPrefix(b.header.Get("Location"), "https://shop.example/done?customer_session_token=polar_"), b.header.Get("Location"))
	assert.Equal(t, models.CheckoutStatusSucceeded, s.status(x.ID))

	payments := must(s.client.Payments.List(t.Context(), &polar.PaymentListParams{CheckoutID: []string{x.ID}}))(t)
	var failed int
	for _, p := range payments.Items {
		if p.Status == models.PaymentStatusFailed {
			failed++
		}
	}
	assert.Equal(t, 2, failed)
	assert.Len(t, payments.Items, 3)
}

func TestCheckoutChallengeByAPI(t *testing.T) {
	s := newShop(t)
	x := s.checkout(s.plan("Pro", 2000).ID)
	public := must(polar.New(polar.Anonymous, polar.WithBaseURL(s.srv.URL)))(t)
	confirm := func() string {
		out := must(public.Checkouts.ConfirmByClientSecret(t.Context(), x.ClientSecret, models.CheckoutConfirm{CustomerEmail: new("ann@example.com"),
			CustomerBillingAddress: &models.Address{Country: "DE"}, ConfirmationTokenID: new("ctoken_requires_action")}))(t)
		assert.Equal(t, models.CheckoutStatusConfirmed, out.Status)
		assert.Equal(t, "requires_action", out.PaymentProcessorMetadata["intent_status"])
		return out.PaymentProcessorMetadata["intent_client_secret"]
	}
	require.NoError(t, s.srv.AuthenticatePayment(confirm(), false))
	assert.Equal(t, models.CheckoutStatusOpen, s.status(x.ID))
	secret := confirm()
	require.NoError(t, s.srv.AuthenticatePayment(secret, true))
	assert.Equal(t, models.CheckoutStatusSucceeded, s.status(x.ID))
	assert.Error(t, s.srv.AuthenticatePayment(secret, true), "the step is over")

	// a session that was refused expires as others do
	x = s.checkout(s.plan("Other", 2000).ID)
	require.NoError(t, s.srv.AuthenticatePayment(confirm(), false))
	s.srv.Advance(25 * time.Hour)
	assert.Equal(t, models.CheckoutStatusExpired, s.status(x.ID))
}

func TestCheckoutPageEscapes(t *testing.T) {
	s := newShop(t)
	const bad = `<script>alert("x")</script>`
	field := must(s.client.CustomFields.Create(t.Context(), models.CustomFieldCreateText{Slug: "note", Name: bad, Properties: models.CustomFieldTextProperties{}}))(t)
	product := s.plan(bad, 2000, func(p *models.ProductCreateRecurring) {
		p.Description = new(bad)
		p.AttachedCustomFields = []models.AttachedCustomFieldCreate{{CustomFieldID: field.ID, Required: true}}
	})
	x := s.checkout(product.ID, func(c *models.CheckoutCreate) {
		c.CustomerName, c.CustomerEmail, c.EmbedOrigin = new(`"><img src=x>`), new("ann@example.com"), new("https://shop.example")
	})
	for _, address := range []string{x.URL, x.URL + "?embed=true&theme=%22%3E%3Cscript%3E"} {
		b := s.browse(address)
		require.Equal(t, 200, b.status)
		assert.NotContains(t, b.body, "<script>alert")
		assert.NotContains(t, b.body, "<img")
		assert.Contains(t, b.body, "&lt;script&gt;alert")
	}
	b := s.browse(x.URL)
	b.submit(x.ClientSecret, map[string]string{"action": "pay", "address.country": "DE"})
	assert.Equal(t, 422, b.status, "the field is required")
	b.submit(x.ClientSecret, map[string]string{"action": "pay", "address.country": "DE", "custom_field_data.note": bad, "customer_name": bad})
	assert.Equal(t, 200, b.status)
	assert.NotContains(t, b.body, "<script>")
	order := must(s.client.Orders.List(t.Context(), nil))(t).Items[0]
	assert.Equal(t, bad, order.CustomFieldData["note"])
	session := must(s.client.CustomerSessions.Create(t.Context(), models.CustomerSessionCreate{CustomerID: &order.CustomerID, ReturnURL: new("https://shop.example/?a=<b>")}))(t)
	b = s.browse(session.CustomerPortalURL)
	assert.NotContains(t, b.body, "<script>")
	assert.Contains(t, b.body, "&lt;script&gt;")
}

func TestCheckoutPageAnswers(t *testing.T) {
	s := newShop(t)
	pick := must(s.client.CustomFields.Create(t.Context(), models.CustomFieldCreateSelect{Slug: "size", Name: "Size",
		Properties: models.CustomFieldSelectProperties{Options: []models.CustomFieldSelectOption{{Value: "s", Label: "Small"}, {Value: "l", Label: "Large"}}}}))(t)
	tick := must(s.client.CustomFields.Create(t.Context(), models.CustomFieldCreateCheckbox{Slug: "terms", Name: "Terms", Properties: models.CustomFieldCheckboxProperties{}}))(t)
	age := must(s.client.CustomFields.Create(t.Context(), models.CustomFieldCreateNumber{Slug: "age", Name: "Age", Properties: models.CustomFieldNumberProperties{}}))(t)
	seats := must(s.client.Products.Create(t.Context(), models.ProductCreateOneTime{Name: "Team license", Prices: []models.ProductPriceCreate{models.ProductPriceSeatBasedCreate{
		SeatTiers: models.ProductPriceSeatTiersCreate{Tiers: []models.ProductPriceSeatTier{{MinSeats: 2, MaxSeats: new(10), PricePerSeat: 500}}}}},
		AttachedCustomFields: []models.AttachedCustomFieldCreate{{CustomFieldID: pick.ID}, {CustomFieldID: tick.ID, Required: true}, {CustomFieldID: age.ID}}}))(t)
	gift := must(s.client.Products.Create(t.Context(), models.ProductCreateOneTime{Name: "Gift", Prices: []models.ProductPriceCreate{models.ProductPriceCustomCreate{MinimumAmount: new(int64(1000))}}}))(t)
	must(s.client.Discounts.Create(t.Context(), models.DiscountPercentageCreate{Name: "Half", Code: new("HALF"), Duration: models.DiscountDurationOnce, BasisPoints: 5000}))(t)

	x := s.checkout(seats.ID, func(c *models.CheckoutCreate) { c.Products = append(c.Products, gift.ID) })
	b := s.browse(x.URL)
	assert.Contains(t, b.body, `max="10"`)
	b.submit(x.ClientSecret, map[string]string{"action": "update", "seats": "11"})
	assert.Equal(t, 422, b.status)
	assert.Contains(t, b.body, "seats")
	b.submit(x.ClientSecret, map[string]string{"action": "update", "seats": "4", "discount_code": "nope"})
	assert.Equal(t, 422, b.status)
	assert.EqualValues(t, 1000, must(s.client.Checkouts.Get(t.Context(), x.ID))(t).Amount, "what is refused changes nothing")
	b.submit(x.ClientSecret, map[string]string{"action": "update", "seats": "4", "discount_code": "half"})
	require.Equal(t, 200, b.status)
	assert.Contains(t, b.body, "-10.00 USD")
	b.submit(x.ClientSecret, map[string]string{"action": "remove_discount"})
	assert.NotContains(t, b.body, "-10.00 USD")

	// the other product
	b.submit(x.ClientSecret, map[string]string{"action": "update", "product_id": gift.ID})
	assert.Contains(t, b.body, "10.00 USD")
	b.submit(x.ClientSecret, map[string]string{"action": "update", "amount": "12.34"})
	require.Equal(t, 200, b.status)
	assert.Contains(t, b.body, "12.34 USD")
	b.submit(x.ClientSecret, map[string]string{"action": "update", "amount": "9.99"})
	assert.Equal(t, 422, b.status)
	b.submit(x.ClientSecret, map[string]string{"action": "update", "amount": "a lot"})
	assert.Equal(t, 422, b.status)
	b.submit(x.ClientSecret, map[string]string{"action": "update", "product_id": seats.ID, "amount": "12.34"})
	require.Equal(t, 200, b.status)

	answers := map[string]string{"action": "pay", "seats": "3", "customer_email": "ann@example.com", "address.country": "DE", "custom_field_data.size": "l", "custom_field_data.age": "41"}
	b.submit(x.ClientSecret, answers)
	assert.Equal(t, 422, b.status, "the terms are not accepted")
	answers["custom_field_data.terms"] = "1"
	b.submit(x.ClientSecret, answers)
	require.Equal(t, 200, b.status)
	order := must(s.client.Orders.List(t.Context(), nil))(t).Items[0]
	assert.Equal(t, 3, *order.Seats)
	assert.EqualValues(t, 1500, order.NetAmount)
	assert.Equal(t, models.CustomFieldData{"size": "l", "terms": true, "age": int64(41)}, order.CustomFieldData)
}

func TestCheckoutPageEmbedded(t *testing.T) {
	s := newShop(t)
	product := s.plan("Pro", 2000)
	embed := func(origin string) (*models.Checkout, *browser) {
		x := s.checkout(product.ID, func(c *models.CheckoutCreate) {
			c.EmbedOrigin, c.SuccessURL = new(origin), new("https://shop.example/done")
			c.CustomerEmail, c.CustomerBillingAddress = new("ann@example.com"), &models.Address{Country: "DE"}
		})
		return x, s.browse(x.URL + "?embed=true&theme=dark")
	}
	x, b := embed("https://shop.example:8443/cart?x=1")
	policy := b.header.Get("Content-Security-Policy")
	assert.True(t, strings.HasSuffix(policy, "frame-ancestors https://shop.example:8443"), policy)
	assert.Contains(t, b.body, `data-origin="https://shop.example:8443"`)
	assert.Contains(t, b.body, `data-theme="dark"`)
	script := regexp.MustCompile(`(?s)<script>(.*)</script>`).FindStringSubmatch(b.body)
	require.NotNil(t, script)
	sum := sha256.Sum256([]byte(script[1]))
	assert.Contains(t, policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", "the script is the one that may run")

	b.submit(x.ClientSecret, map[string]string{"action": "pay"})
	require.Equal(t, 200, b.status, "the page around it goes on")
	assert.Equal(t, "true", b.url.Query().Get("embed"))
	text := html.UnescapeString(b.body)
	for _, part := range []string{`"event":"confirmed"`, `"event":"success"`, `"successURL":"https://shop.example/done?customer_session_token=`, `"redirect":true`} {
		assert.Contains(t, text, part)
	}

	for _, origin := range []string{"*", "https://a.example; script-src *", "javascript:alert(1)", "https://a b"} {
		x := s.checkout(product.ID, func(c *models.CheckoutCreate) { c.EmbedOrigin = &origin })
		b := s.browse(x.URL + "?embed=true")
		assert.True(t, strings.HasSuffix(b.header.Get("Content-Security-Policy"), "frame-ancestors 'none'"), origin)
		assert.NotContains(t, b.body, "data-origin")
	}
}

// A link that is embedded opens a checkout for the page around it, and the script for that page is served.
func TestEmbeddedLink(t *testing.T) {
	s := newShop(t)
	link, err := s.client.CheckoutLinks.Create(t.Context(), models.CheckoutLinkCreate{Products: []string{s.plan("Pro", 2000).ID}})
	require.NoError(t, err)
	b := s.browse(link.URL + "?embed=true&embed_origin=https%3A%2F%2Fshop.example&theme=dark")
	require.Equal(t, 200, b.status)
	assert.Equal(t, url.Values{"embed": {"true"}, "theme": {"dark"}}, b.url.Query())
	assert.True(t, strings.HasSuffix(b.header.Get("Content-Security-Policy"), "frame-ancestors https://shop.example"))
	assert.Contains(t, b.body, `data-theme="dark"`)

	b = s.browse(s.srv.EmbedScriptURL())
	assert.Equal(t, 200, b.status)
	assert.Equal(t, "text/javascript; charset=utf-8", b.header.Get("Content-Type"))
	assert.Contains(t, b.body, "data-polar-checkout")
	b.open(http.MethodDelete, s.srv.EmbedScriptURL(), nil)
	assert.Equal(t, http.StatusMethodNotAllowed, b.status)
}

func TestCheckoutPageOver(t *testing.T) {
	s := newShop(t)
	x := s.checkout(s.plan("Pro", 2000).ID)
	s.srv.Advance(25 * time.Hour)
	b := s.browse(x.URL)
	assert.Equal(t, http.StatusGone, b.status)
	assert.Contains(t, b.body, "expired")
	b.open(http.MethodPost, x.URL, url.Values{"action": {"pay"}})
	assert.Equal(t, http.StatusGone, b.status)

	for _, path := range []string{"/checkout/", "/checkout/polar_c_wrong", "/checkout/polar_c_wrong/confirmation", "/checkout/" + x.ClientSecret + "/other", "/nobody/portal",
		"/documents/invoice/x.pdf", "/documents/other"} {
		assert.Equal(t, 404, s.browse(s.srv.URL+path).status, path)
	}
	b.open(http.MethodDelete, x.URL, nil)
	assert.Equal(t, 405, b.status)
	assert.Equal(t, 404, send(t, s.srv, "GET", "/v1/portal", "", "").status, "paths of the API are no pages")
}

// TestCheckoutPageShows opens the page for products of other kinds.
func TestCheckoutPageShows(t *testing.T) {
	s := newShop(t)
	meter := must(s.client.Meters.Create(t.Context(), models.MeterCreate{Name: "Requests", Aggregation: models.Count(), Filter: models.And(models.Eq("name", "request"))}))(t)
	plan := func(price models.ProductPriceCreate, edit func(*models.ProductCreateRecurring)) string {
		return s.plan("Plan", 0, func(p *models.ProductCreateRecurring) {
			p.Prices = []models.ProductPriceCreate{price}
			if edit != nil {
				edit(p)
			}
		}).ID
	}
	yen := models.ProductPriceFixedCreate{PriceAmount: 1500, PriceCurrency: new(models.CurrencyJPY)}
	units := models.ProductPriceUnitBasedCreate{UnitLabel: map[string]map[string]string{"en": {"other": "credits"}},
		Tiers: models.PriceTiersCreate{Type: models.PriceTierTypeVolume, Tiers: []models.PriceTierCreate{{Bound: new(10), UnitAmount: "100"}}}}
	for name, row := range map[string]struct {
		product string
		edit    func(*models.CheckoutCreate)
		want    []string
	}{
		"units": {plan(units, nil), nil, []string{"credits", `name="units"`, `max="10"`, "1.00 USD"}},
		"usage": {plan(models.ProductPriceMeteredUnitCreate{MeterID: meter.ID, UnitAmount: "1"}, nil), nil, []string{"Usage is billed", "Requests", "Leave a card"}},
		"trial": {plan(models.ProductPriceFixedCreate{PriceAmount: 900}, func(p *models.ProductCreateRecurring) {
			p.TrialInterval, p.TrialIntervalCount = new(models.TrialIntervalDay), new(7)
		}), nil, []string{"12 October 2026", "Leave a card"}},
		"quarter": {plan(models.ProductPriceFixedCreate{PriceAmount: 900}, func(p *models.ProductCreateRecurring) { p.RecurringIntervalCount = new(3) }), nil, []string{"every 3 months"}},
		"currency": {plan(yen, func(p *models.ProductCreateRecurring) {
			p.Prices = append(p.Prices, models.ProductPriceFixedCreate{PriceAmount: 1000})
		}), func(c *models.CheckoutCreate) { c.Currency = new(models.CurrencyJPY) }, []string{"1500 JPY"}},
		"business": {plan(models.ProductPriceFixedCreate{PriceAmount: 900}, nil), func(c *models.CheckoutCreate) { c.IsBusinessCustomer = new(true) }, []string{`name="customer_billing_name"`, `name="address.city"`}},
		"no codes": {plan(models.ProductPriceFixedCreate{PriceAmount: 900}, nil), func(c *models.CheckoutCreate) { c.AllowDiscountCodes = new(false) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			x := s.checkout(row.product, orNothing(row.edit))
			b := s.browse(x.URL)
			require.Equal(t, 200, b.status, b.body)
			for _, w := range row.want {
				assert.Contains(t, b.body, w)
			}
			assert.Equal(t, name != "no codes", strings.Contains(b.body, `name="discount_code"`))
		})
	}
	x := s.checkout(s.plan("Pro", 2000).ID, func(c *models.CheckoutCreate) { c.ReturnURL = new("https://shop.example/cart") })
	require.NoError(t, s.srv.FailCheckout(x.ID))
	b := s.browse(x.URL)
	assert.Contains(t, b.body, "failed")
	assert.Contains(t, b.body, "https://shop.example/cart")
	assert.Contains(t, s.browse(x.URL+"/confirmation").body, "failed")
}

func orNothing(f func(*models.CheckoutCreate)) func(*models.CheckoutCreate) {
	if f == nil {
		return func(*models.CheckoutCreate) {}
	}
	return f
}

func TestPortalPage(t *testing.T) {
	s := newShop(t)
	meter := must(s.client.Meters.Create(t.Context(), models.MeterCreate{Name: "Requests", Aggregation: models.Count(),
		Filter: models.And(models.Eq("name", "request"))}))(t)
	key := must(s.client.Benefits.Create(t.Context(), models.BenefitLicenseKeysCreate{Description: "A license key"}))(t)
	credit := must(s.client.Benefits.Create(t.Context(), models.BenefitMeterCreditCreate{Description: "Some requests", Properties: models.BenefitMeterCreditProperties{MeterID: meter.ID, Units: 77}}))(t)
	product := s.plan("Pro", 2000)
	must(s.client.Products.SetBenefits(t.Context(), product.ID, models.ProductBenefitsUpdate{Benefits: []string{key.ID, credit.ID}}))(t)
	ann := s.customer("ann@example.com")
	sub := s.subscribe(ann, product)
	session := must(s.client.CustomerSessions.Create(t.Context(), models.CustomerSessionCreate{CustomerID: &ann.ID, ReturnURL: new("https://shop.example/account")}))(t)

	b := s.browse(session.CustomerPortalURL)
	require.Equal(t, 200, b.status)
	keys := must(s.client.LicenseKeys.List(t.Context(), nil))(t)
	for _, part := range []string{"Pro", "20.00 USD", "ann@example.com", "https://shop.example/account", "Requests", "77", "A license key", keys.Items[0].Key} {
		assert.Contains(t, b.body, part)
	}

	b.submit(sub.ID+"/cancel", nil)
	require.Equal(t, 200, b.status)
	assert.True(t, must(s.client.Subscriptions.Get(t.Context(), sub.ID))(t).CancelAtPeriodEnd)
	b.submit(sub.ID+"/uncancel", nil)
	assert.False(t, must(s.client.Subscriptions.Get(t.Context(), sub.ID))(t).CancelAtPeriodEnd)
	assert.Contains(t, b.body, sub.ID+"/cancel")

	order := must(s.client.Orders.List(t.Context(), nil))(t).Items[0]
	b.submit(order.ID+"/invoice", map[string]string{"billing_name": "Ann (Ltd)"})
	require.Equal(t, 200, b.status)
	s.srv.Advance(time.Minute)
	b.open(http.MethodGet, session.CustomerPortalURL, nil)
	m := regexp.MustCompile(`href="([^"]*/invoice\?[^"]*)"`).FindStringSubmatch(b.body)
	require.NotNil(t, m, b.body)
	link := html.UnescapeString(m[1])
	b.open(http.MethodGet, link, nil)
	assert.Equal(t, 200, b.status)
	assert.Equal(t, "application/pdf", b.header.Get("Content-Type"))
	assert.True(t, strings.HasPrefix(b.body, "%PDF-"))
	assert.Contains(t, b.body, `Ann \(Ltd\)`)
	document := b.url.String()
	s.srv.Advance(11 * time.Minute)
	b.open(http.MethodGet, document, nil)
	assert.Equal(t, 403, b.status, "the address of a document ends")

	receipt := strings.Replace(link, "/invoice?", "/receipt?", 1)
	b.open(http.MethodGet, receipt, nil)
	assert.Equal(t, 202, b.status)
	s.srv.Advance(time.Minute)
	b.open(http.MethodGet, receipt, nil)
	assert.Equal(t, "application/pdf", b.header.Get("Content-Type"))

	// another's objects are not there
	other := s.subscribe(s.customer("bob@example.com"), product)
	b.open(http.MethodPost, strings.Replace(session.CustomerPortalURL, "/portal?", "/portal/subscriptions/"+other.ID+"/cancel?", 1), url.Values{})
	assert.Equal(t, 404, b.status)
	assert.False(t, must(s.client.Subscriptions.Get(t.Context(), other.ID))(t).CancelAtPeriodEnd)

	s.srv.Advance(2 * time.Hour)
	b.open(http.MethodGet, session.CustomerPortalURL, nil)
	assert.True(t, strings.HasSuffix(b.url.Path, "/portal/request"), "the session is over")
}

func TestPortalPageSignIn(t *testing.T) {
	s := newShop(t)
	s.subscribe(s.customer("ann@example.com"), s.plan("Pro", 2000))
	org := must(s.client.Organizations.Get(t.Context(), s.srv.OrganizationID()))(t)
	b := s.browse(s.srv.URL + "/" + org.Slug + "/portal?customer_session_token=polar_cst_wrong")
	require.True(t, strings.HasSuffix(b.url.Path, "/portal/request"), b.url.Path)
	b.submit("/request", map[string]string{"email": "nobody@example.com"})
	assert.Equal(t, 404, b.status)
	b.submit("/request", map[string]string{"email": "ann@example.com"})
	require.Equal(t, 200, b.status)
	m := regexp.MustCompile(`href="([^"]*customer_session_token[^"]*)"`).FindStringSubmatch(b.body)
	require.NotNil(t, m, b.body)
	b.open(http.MethodGet, html.UnescapeString(m[1]), nil)
	assert.Equal(t, 200, b.status)
	assert.Contains(t, b.body, "Pro")

	// a token of another kind opens nothing
	b = s.browse(s.srv.URL + "/" + org.Slug + "/portal?customer_session_token=" + s.srv.Token())
	assert.True(t, strings.HasSuffix(b.url.Path, "/portal/request"))
}

// A card that is refused at the renewal, and the ways out of it that the page offers.
func TestPortalPagePastDue(t *testing.T) {
	s := newShop(t)
	x := s.checkout(s.plan("Pro", 2000).ID)
	b := s.browse(x.URL)
	b.submit(x.ClientSecret, map[string]string{"action": "later", "customer_email": "ann@example.com", "address.country": "DE"})
	require.Equal(t, 200, b.status)
	sub := must(s.client.Subscriptions.List(t.Context(), nil))(t).Items[0]
	status := func() models.SubscriptionStatus {
		return must(s.client.Subscriptions.Get(t.Context(), sub.ID))(t).Status
	}
	portal := func() {
		session := must(s.client.CustomerSessions.Create(t.Context(), models.CustomerSessionCreate{CustomerID: &sub.CustomerID}))(t)
		b = s.browse(session.CustomerPortalURL)
	}
	due := func() string {
		orders := must(s.client.Orders.List(t.Context(), &polar.OrderListParams{Status: []models.OrderStatus{models.OrderStatusPending}}))(t)
		require.Len(t, orders.Items, 1)
		return orders.Items[0].ID
	}
	s.srv.Advance(32 * 24 * time.Hour)
	require.Equal(t, models.SubscriptionStatusPastDue, status())
	portal()
	assert.Contains(t, b.body, "past due")
	b.submit(due()+"/pay", map[string]string{"card": "decline"})
	assert.Equal(t, 400, b.status)
	assert.Contains(t, b.body, `role="alert"`)
	assert.Equal(t, models.SubscriptionStatusPastDue, status())
	b.submit(due()+"/pay", map[string]string{"card": "pay"})
	assert.Equal(t, 200, b.status)
	assert.Equal(t, models.SubscriptionStatusActive, status())
	assert.NotContains(t, b.body, "/pay?", "nothing is left to pay")

	// a card that is added is charged for what is due
	b.submit("/methods/new/add", map[string]string{"card": "later"})
	s.srv.Advance(32 * 24 * time.Hour)
	require.Equal(t, models.SubscriptionStatusPastDue, status())
	portal()
	b.submit("/methods/new/add", map[string]string{"card": "pay"})
	assert.Equal(t, 200, b.status)
	assert.Equal(t, models.SubscriptionStatusActive, status())

	// all but the last card can be removed
	for range 3 {
		b.submit("/remove", nil)
		require.Equal(t, 200, b.status)
	}
	b.submit("/remove", nil)
	assert.Equal(t, 400, b.status)
	assert.Equal(t, 1, strings.Count(b.body, "ending in"))
}

func TestPortalPagePause(t *testing.T) {
	s := newShop(t)
	sub := s.subscribe(s.customer("ann@example.com"), s.plan("Pro", 2000))
	portal := func() *browser {
		session := must(s.client.CustomerSessions.Create(t.Context(), models.CustomerSessionCreate{CustomerID: &sub.CustomerID}))(t)
		return s.browse(session.CustomerPortalURL)
	}
	assert.NotContains(t, portal().body, "/pause?", "the organization does not allow it")
	must(s.client.Organizations.Update(t.Context(), s.srv.OrganizationID(), models.OrganizationUpdate{CustomerPortalSettings: models.Set(models.OrganizationCustomerPortalSettings{
		Subscription: models.PortalSubscriptionSettings{Pause: new(true)}})}))(t)
	get := func() *models.Subscription { return must(s.client.Subscriptions.Get(t.Context(), sub.ID))(t) }
	b := portal()
	b.submit("/pause", nil)
	assert.True(t, get().PauseAtPeriodEnd)
	b.submit("/unpause", nil)
	assert.False(t, get().PauseAtPeriodEnd)
	b.submit("/pause", nil)
	s.srv.Advance(32 * 24 * time.Hour)
	require.NotNil(t, get().PausedAt)
	b = portal()
	assert.Contains(t, b.body, "It is paused since")
	b.submit("/methods/new/add", map[string]string{"card": "pay"})
	b.submit("/resume", nil)
	assert.Equal(t, 200, b.status)
	assert.Nil(t, get().PausedAt)
	assert.Contains(t, b.body, "It renews on")
}
