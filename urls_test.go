package polar_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func TestPrefillCheckoutLink(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		link    string
		prefill polar.CheckoutLinkPrefill
		want    string
	}{
		{"https://buy.polar.sh/polar_cl_1", polar.CheckoutLinkPrefill{}, "https://buy.polar.sh/polar_cl_1"},
		{"https://buy.polar.sh/polar_cl_1?", polar.CheckoutLinkPrefill{}, "https://buy.polar.sh/polar_cl_1?"},
		{
			"https://buy.polar.sh/polar_cl_1?utm_source=a%20b&customer_name=Old&x#top",
			polar.CheckoutLinkPrefill{CustomerEmail: "ada+1@example.com", CustomerName: "Ada & Co = 1"},
			"https://buy.polar.sh/polar_cl_1?utm_source=a%20b&x&customer_email=ada%2B1%40example.com&customer_name=Ada+%26+Co+%3D+1#top",
		},
		{
			"https://buy.polar.sh/polar_cl_1?custom%5Ffield%5Fdata.size=l&amount=1&amount=2",
			polar.CheckoutLinkPrefill{Amount: new(int64(0)), DiscountCode: "SPRING", ReferenceID: "friend 7", CustomFieldData: models.CustomFieldData{"size": "xl"}},
			"https://buy.polar.sh/polar_cl_1?discount_code=SPRING&amount=0&custom_field_data.size=xl&reference_id=friend+7",
		},
		{
			"http://127.0.0.1:8787/l/polar_cl_1",
			polar.CheckoutLinkPrefill{CustomFieldData: models.CustomFieldData{
				"b-day": models.Date{Year: 1990, Month: time.May, Day: 3}, "count": 3, "big": int64(1) << 60, "terms": true, "not_yet": false,
				"until": time.Date(2027, 1, 2, 23, 0, 0, 0, time.UTC), "city": "St. Pölten",
			}},
			"http://127.0.0.1:8787/l/polar_cl_1?custom_field_data.b-day=1990-05-03&custom_field_data.big=1152921504606846976&custom_field_data.city=St.+P%C3%B6lten" +
				"&custom_field_data.count=3&custom_field_data.not_yet=false&custom_field_data.terms=true&custom_field_data.until=2027-01-02",
		},
	} {
		got, err := polar.PrefillCheckoutLink(tt.link, tt.prefill)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got)
	}
}

func TestPrefillCheckoutLinkRefuses(t *testing.T) {
	t.Parallel()
	const link = "https://buy.polar.sh/polar_cl_1"
	for address, want := range map[string]string{
		"":                           "is empty",
		"/polar_cl_1":                "must be absolute",
		"buy.polar.sh/polar_cl_1":    "must be absolute",
		"//buy.polar.sh/polar_cl_1":  "must be absolute",
		"https:///polar_cl_1":        "must be absolute",
		"https://:443/polar_cl_1":    "must be absolute",
		"javascript:alert(1)":        "must be absolute",
		"mailto:a@example.com":       "must be absolute",
		"https://user:pw@polar.sh/x": "user name or password",
		"https://polar.sh/%zz":       "not a URL",
		"https://polar.sh/a b":       "not a URL",
		"https://polar.sh/\nx":       "not a URL",
	} {
		_, err := polar.PrefillCheckoutLink(address, polar.CheckoutLinkPrefill{CustomerName: "x"})
		require.ErrorContains(t, err, "polar: checkout link: ", address)
		require.ErrorContains(t, err, want, address)
	}
	for _, email := range []string{"ada", "@example.com", "ada@", "a@b@c", "a b@example.com", "a@exa\nmple.com", strings.Repeat("a", 250) + "@b.de"} {
		_, err := polar.PrefillCheckoutLink(link, polar.CheckoutLinkPrefill{CustomerEmail: email})
		require.EqualError(t, err, "polar: checkout link: CustomerEmail is not an e-mail address", email)
	}
	for _, tt := range []struct {
		prefill polar.CheckoutLinkPrefill
		want    string
	}{
		{polar.CheckoutLinkPrefill{Amount: new(int64(-1))}, "Amount is -1"},
		{polar.CheckoutLinkPrefill{ReferenceID: strings.Repeat("x", 501)}, "ReferenceID has 501 bytes"},
		{polar.CheckoutLinkPrefill{CustomFieldData: models.CustomFieldData{"": "x"}}, "no slug"},
		{polar.CheckoutLinkPrefill{CustomFieldData: models.CustomFieldData{"a&b": "x"}}, "no slug"},
		{polar.CheckoutLinkPrefill{CustomFieldData: models.CustomFieldData{"größe": "x"}}, "no slug"},
		{polar.CheckoutLinkPrefill{CustomFieldData: models.CustomFieldData{"size": ""}}, "size, a string, cannot"},
		{polar.CheckoutLinkPrefill{CustomFieldData: models.CustomFieldData{"size": nil}}, "size, a <nil>, cannot"},
		{polar.CheckoutLinkPrefill{CustomFieldData: models.CustomFieldData{"size": 1.5}}, "size, a float64, cannot"},
		{polar.CheckoutLinkPrefill{CustomFieldData: models.CustomFieldData{"size": []string{"l"}}}, "size, a []string, cannot"},
	} {
		_, err := polar.PrefillCheckoutLink(link, tt.prefill)
		require.ErrorContains(t, err, tt.want)
	}
}

// The page behind a link is filled in with what the address says.
func TestPrefilledLinkOpens(t *testing.T) {
	t.Parallel()
	ctx, srv := t.Context(), polartest.NewServer(t)
	client := srv.Client()
	must := func(slug string, body models.CustomFieldCreate) models.AttachedCustomFieldCreate {
		t.Helper()
		f, err := client.CustomFields.Create(ctx, body)
		require.NoError(t, err, slug)
		return models.AttachedCustomFieldCreate{CustomFieldID: f.ID}
	}
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{
		Name: "Donation", Prices: []models.ProductPriceCreate{models.ProductPriceCustomCreate{}},
		AttachedCustomFields: []models.AttachedCustomFieldCreate{
			must("note", models.CustomFieldCreateText{Slug: "note", Name: "Note"}),
			must("copies", models.CustomFieldCreateNumber{Slug: "copies", Name: "Copies"}),
			must("since", models.CustomFieldCreateDate{Slug: "since", Name: "Since"}),
			must("public", models.CustomFieldCreateCheckbox{Slug: "public", Name: "Public"}),
		},
	})
	require.NoError(t, err)
	discount, err := client.Discounts.Create(ctx, models.DiscountPercentageCreate{Name: "Spring", Code: new("SPRING"), BasisPoints: 1000, Duration: models.DiscountDurationOnce})
	require.NoError(t, err)
	link, err := client.CheckoutLinks.Create(ctx, models.CheckoutLinkCreate{Products: []string{product.ID}})
	require.NoError(t, err)

	address, err := polar.PrefillCheckoutLink(link.URL+"?utm_source=mail", polar.CheckoutLinkPrefill{
		CustomerEmail: "ada+books@example.com", CustomerName: "Ada & Grace", DiscountCode: "SPRING", Amount: new(int64(2500)), ReferenceID: "friend_7",
		CustomFieldData: models.CustomFieldData{"note": "50% & more", "copies": 3, "since": models.Date{Year: 2020, Month: 2, Day: 29}, "public": true},
	})
	require.NoError(t, err)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(address)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)

	page, err := client.Checkouts.List(ctx, nil)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	checkout := page.Items[0]
	assert.Equal(t, "ada+books@example.com", *checkout.CustomerEmail)
	assert.Equal(t, "Ada & Grace", *checkout.CustomerName)
	assert.EqualValues(t, 2500, checkout.Amount)
	assert.Equal(t, discount.ID, *checkout.DiscountID)
	assert.Equal(t, models.CustomFieldData{"note": "50% & more", "copies": int64(3), "since": "2020-02-29", "public": true}, checkout.CustomFieldData)
	assert.Equal(t, models.Metadata{"utm_source": "mail", "reference_id": "friend_7"}, checkout.Metadata)
}

func TestSuccessURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ address, parameter, want string }{
		{"https://example.com", "", "https://example.com?checkout_id={CHECKOUT_ID}"},
		{"https://example.com/", "", "https://example.com/?checkout_id={CHECKOUT_ID}"},
		{"https://example.com/done", "id", "https://example.com/done?id={CHECKOUT_ID}"},
		{"https://example.com/done?plan=pro%20x#buy", "", "https://example.com/done?plan=pro%20x&checkout_id={CHECKOUT_ID}#buy"},
		{"https://example.com/done?checkout_id=1&plan=pro", "", "https://example.com/done?plan=pro&checkout_id={CHECKOUT_ID}"},
		{"https://example.com/#/app?x=1", "", "https://example.com/?checkout_id={CHECKOUT_ID}#/app?x=1"},
		{"http://localhost:8080/done", "a&b", "http://localhost:8080/done?a%26b={CHECKOUT_ID}"},
		{"https://example.com/{CHECKOUT_ID}/done", "", "https://example.com/{CHECKOUT_ID}/done"},
		{"https://example.com/done?id=%7BCHECKOUT_ID%7D", "", "https://example.com/done?id={CHECKOUT_ID}"},
		{"https://example.com/done?id=%7bCHECKOUT_ID%7d", "", "https://example.com/done?id={CHECKOUT_ID}"},
	} {
		got, err := polar.SuccessURL(tt.address, tt.parameter)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got)
	}
	for address, want := range map[string]string{
		"":                        "is empty",
		"/done":                   "must be absolute",
		"done?x=1":                "must be absolute",
		"//example.com/done":      "must be absolute",
		"ftp://example.com/done":  "must be absolute",
		"https://a:b@example.com": "user name",
		"https://exa mple.com":    "not a URL",
		"https://example.com/" + strings.Repeat("x", 2050): "Polar takes at most 2083",
	} {
		_, err := polar.SuccessURL(address, "")
		require.ErrorContains(t, err, "polar: success URL: ")
		require.ErrorContains(t, err, want)
	}
}

// Polar puts the id where the placeholder stands.
func TestSuccessURLIsFilledIn(t *testing.T) {
	t.Parallel()
	ctx, srv := t.Context(), polartest.NewServer(t)
	client := srv.Client()
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{Name: "Book", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 900}}})
	require.NoError(t, err)
	success, err := polar.SuccessURL("https://example.com/done?plan=pro", "")
	require.NoError(t, err)
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, SuccessURL: &success})
	require.NoError(t, err)
	assert.Equal(t, "https://example.com/done?plan=pro&checkout_id="+checkout.ID, checkout.SuccessURL)
}

func TestPortalURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environment       polar.Environment
		slug, email, want string
	}{
		{polar.Production, "acme", "", "https://polar.sh/acme/portal"},
		{polar.Sandbox, "acme-2", "", "https://sandbox.polar.sh/acme-2/portal"},
		{polar.Production, "acme", "ada+1@example.com", "https://polar.sh/acme/portal/request?email=ada%2B1%40example.com"},
	} {
		got, err := tt.environment.PortalURL(tt.slug, tt.email)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got)
	}
	for _, slug := range []string{"", "a/b", "..", "a b", "a?b", "a%2Fb"} {
		_, err := polar.Production.PortalURL(slug, "")
		require.ErrorContains(t, err, "slug of the organization", slug)
	}
	_, err := polar.Production.PortalURL("acme", "ada")
	require.ErrorContains(t, err, "e-mail address")
	_, err = polar.Environment("staging").PortalURL("acme", "")
	require.ErrorContains(t, err, `unknown environment "staging"`)
}

// The embedded server has the portal at the same paths.
func TestPortalURLPaths(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithOrganization("Acme", "acme"))
	address, err := polar.Production.PortalURL("acme", "ada@example.com")
	require.NoError(t, err)
	resp, err := http.Get(strings.Replace(address, "https://polar.sh", srv.URL, 1))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

// What was there stays, what is added arrives, and nothing else changes.
func FuzzPrefillCheckoutLink(f *testing.F) {
	f.Add("https://buy.polar.sh/polar_cl_1", "Ada", "size", "xl")
	f.Add("https://buy.polar.sh/polar_cl_1?a=1&customer_name=x&a=2&%zz#frag?x=1", "A&B=C #%", "s", "ä\x00+")
	f.Add("https://[::1]:80?&&=&customer%5fname=1", " ", "-", "?")
	f.Fuzz(func(t *testing.T, link, name, slug, value string) {
		got, err := polar.PrefillCheckoutLink(link, polar.CheckoutLinkPrefill{CustomerName: name, CustomFieldData: models.CustomFieldData{slug: value}})
		if err != nil {
			return
		}
		before, err := url.Parse(link)
		require.NoError(t, err)
		after, err := url.Parse(got)
		require.NoError(t, err, got)
		assert.Equal(t, before.Host+before.EscapedPath()+"#"+before.EscapedFragment(), after.Host+after.EscapedPath()+"#"+after.EscapedFragment())
		want := map[string][]string{}
		for k, v := range before.Query() {
			want[k] = v
		}
		if name != "" {
			want["customer_name"] = []string{name}
		}
		want["custom_field_data."+slug] = []string{value}
		delete(want, "") // lone ampersands and equals signs say nothing
		have := map[string][]string(after.Query())
		delete(have, "")
		assert.Equal(t, want, have)
		again, err := polar.PrefillCheckoutLink(got, polar.CheckoutLinkPrefill{CustomerName: name, CustomFieldData: models.CustomFieldData{slug: value}})
		require.NoError(t, err)
		assert.Equal(t, got, again, "filling in twice is filling in once")
	})
}

func FuzzSuccessURL(f *testing.F) {
	f.Add("https://example.com/done?a=1#b", "checkout_id")
	f.Add("https://example.com/%7BCHECKOUT_ID%7d?x={CHECKOUT_ID}", "")
	f.Fuzz(func(t *testing.T, address, parameter string) {
		got, err := polar.SuccessURL(address, parameter)
		if err != nil {
			return
		}
		assert.Contains(t, got, "{CHECKOUT_ID}")
		const id = "11111111-2222-4333-8444-555555555555"
		filled, err := url.Parse(strings.ReplaceAll(got, "{CHECKOUT_ID}", id))
		require.NoError(t, err)
		if before, err := url.Parse(address); assert.NoError(t, err) && !strings.Contains(before.String(), "CHECKOUT_ID") {
			assert.Equal(t, before.Host+before.EscapedPath()+"#"+before.EscapedFragment(), filled.Host+filled.EscapedPath()+"#"+filled.EscapedFragment())
			if parameter == "" {
				parameter = "checkout_id"
			}
			assert.Equal(t, []string{id}, filled.Query()[parameter])
		}
		again, err := polar.SuccessURL(got, parameter)
		require.NoError(t, err)
		assert.Equal(t, got, again)
	})
}

func ExamplePrefillCheckoutLink() {
	address, err := polar.PrefillCheckoutLink("https://buy.polar.sh/polar_cl_example", polar.CheckoutLinkPrefill{
		CustomerEmail:   "ada@example.com",
		DiscountCode:    "SPRING",
		CustomFieldData: models.CustomFieldData{"company": "Analytical Engines"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(address)
	// Output: https://buy.polar.sh/polar_cl_example?customer_email=ada%40example.com&discount_code=SPRING&custom_field_data.company=Analytical+Engines
}

func ExampleSuccessURL() {
	address, err := polar.SuccessURL("https://example.com/done?plan=pro", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(address)
	// Output: https://example.com/done?plan=pro&checkout_id={CHECKOUT_ID}
}

func ExampleEnvironment_PortalURL() {
	address, err := polar.Production.PortalURL("acme", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(address)
	// Output: https://polar.sh/acme/portal
}
