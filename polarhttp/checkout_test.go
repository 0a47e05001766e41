package polarhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

var allTrusted = WithTrustedParameters(ParameterCustomerID, ParameterCustomerExternalID, ParameterCustomerIPAddress,
	ParameterCustomerMetadata, ParameterDiscountID, ParameterMetadata)

// sent is the checkout that was asked for last.
func (s *shop) sent() string {
	s.Helper()
	list := s.srv.Requests("checkouts:create")
	require.NotEmpty(s, list)
	return string(list[len(list)-1].Body)
}

func (s *shop) checkout(opts ...CheckoutOption) http.Handler {
	s.Helper()
	h, err := Checkout(s.client, append([]CheckoutOption{s.log.option()}, opts...)...)
	require.NoError(s, err)
	return h
}

func TestCheckoutRedirects(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	h := s.checkout(WithSuccessURL("https://example.com/done"), WithCheckoutID(), WithReturnURL("https://example.com/plans"))
	got := get(h, "/checkout?products="+s.product.ID+"&customerEmail=ada@example.com&utm_source=mail")
	assert.Equal(t, http.StatusSeeOther, got.status)
	assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	assert.True(t, strings.HasPrefix(got.header.Get("Location"), s.srv.URL+"/checkout/polar_c_"))
	assert.JSONEq(t, `{"products":["`+s.product.ID+`"],"customer_email":"ada@example.com","return_url":"https://example.com/plans",
		"success_url":"https://example.com/done?checkoutId={CHECKOUT_ID}"}`, s.sent())
	list, err := s.client.Checkouts.List(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, "https://example.com/done?checkoutId="+list.Items[0].ID, list.Items[0].SuccessURL)

	to, err := CheckoutURL(t.Context(), s.client, url.Values{"products": {s.product.ID}}, WithTheme(ThemeDark))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(to, s.srv.URL+"/checkout/polar_c_") && strings.HasSuffix(to, "?theme=dark"), to)
}

// recorder is a server at Polar's place that opens every checkout and keeps what was sent.
type recorder struct {
	bodies []string
	url    string
}

func (rec *recorder) client(t *testing.T) *polar.Client {
	return clientOf(t, func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		rec.bodies = append(rec.bodies, string(body))
		to, _ := jsonx.Marshal(cmp.Or(rec.url, "https://polar.sh/checkout/polar_c_1"))
		return answer(r, http.StatusCreated, `{"id":"c1","url":`+string(to)+`}`), err
	})
}

const id1, id2 = "1dbfc517-0bbf-4301-9ba8-555ca42b9737", "2dbfc517-0bbf-4301-9ba8-555ca42b9737"

// TestParameters has each parameter, in the query of a GET and in the form of a POST.
func TestParameters(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ query, want string }{
		"one product":      {"products=" + id1, ``},
		"empty ones":       {"products=" + id1 + "&products=&seats=&customerEmail=&metadata=&customerId=", ``},
		"often the same":   {strings.Repeat("products="+id1+"&", maxProducts), ``},
		"twice the same":   {"products=" + id1 + "&products=" + id1, ``},
		"others":           {"products=" + id1 + "&utm_source=x&utm_source=y&successUrl=https://evil.example&success_url=x&returnUrl=y&amount=1", ``},
		"seats":            {"products=" + id1 + "&seats=3", `"seats":3`},
		"email":            {"products=" + id1 + "&customerEmail=ada%2Bx%40example.com", `"customer_email":"ada+x@example.com"`},
		"name":             {"products=" + id1 + "&customerName=Ada+%C3%89.", `"customer_name":"Ada É."`},
		"tax id":           {"products=" + id1 + "&customerTaxId=FR61954506077", `"customer_tax_id":"FR61954506077"`},
		"codes":            {"products=" + id1 + "&allowDiscountCodes=true", `"allow_discount_codes":true`},
		"no codes":         {"products=" + id1 + "&allowDiscountCodes=false", `"allow_discount_codes":false`},
		"country":          {"products=" + id1 + `&customerBillingAddress={"country":"FR"}`, `"customer_billing_address":{"country":"FR"}`},
		"address":          {"products=" + id1 + `&customerBillingAddress=` + url.QueryEscape(`{"line1":"1 rue X","line2":null,"postal_code":"75001","city":"Paris","state":"FR-75","country":"FR"}`), `"customer_billing_address":{"line1":"1 rue X","postal_code":"75001","city":"Paris","state":"FR-75","country":"FR"}`},
		"camel":            {"products=" + id1 + `&customerBillingAddress={"postalCode":"75001","country":"FR"}`, `"customer_billing_address":{"postal_code":"75001","country":"FR"}`},
		"id":               {"products=" + id1 + "&customerId=" + id2, `"customer_id":"` + id2 + `"`},
		"external id":      {"products=" + id1 + "&customerExternalId=user_42", `"external_customer_id":"user_42"`},
		"ip":               {"products=" + id1 + "&customerIpAddress=2001:db8::1", `"customer_ip_address":"2001:db8::1"`},
		"discount":         {"products=" + id1 + "&discountId=" + id2, `"discount_id":"` + id2 + `"`},
		"metadata":         {"products=" + id1 + "&metadata=" + url.QueryEscape(`{"ref":"a&b","n":9007199254740993,"x":1.5,"t":true}`), `"metadata":{"ref":"a&b","n":9007199254740993,"x":1.5,"t":true}`},
		"customerMetadata": {"products=" + id1 + "&customerMetadata=" + url.QueryEscape(`{"team":"a"}`), `"customer_metadata":{"team":"a"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rec recorder
			h, err := Checkout(rec.client(t), allTrusted, quiet())
			require.NoError(t, err)
			product, rest, _ := strings.Cut(tt.query, "&")
			for _, r := range []*http.Request{
				request("GET", "/checkout?"+tt.query, ""),
				request("POST", "/checkout", tt.query, "Content-Type", "application/x-www-form-urlencoded"),
				request("POST", "/checkout?"+product, rest, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
				request("POST", "/checkout?"+tt.query, ""),
			} {
				got := send(h, r)
				assert.Equal(t, http.StatusSeeOther, got.status, got.body)
				assert.Equal(t, "https://polar.sh/checkout/polar_c_1", got.header.Get("Location"))
			}
			want := `{"products":["` + id1 + `"]`
			if tt.want != "" {
				want += "," + tt.want
			}
			require.Len(t, rec.bodies, 4)
			for _, body := range rec.bodies {
				assert.JSONEq(t, want+"}", body)
			}
		})
	}
	var rec recorder
	_, err := CheckoutURL(t.Context(), rec.client(t), url.Values{"products": {id1, id2}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"products":["`+id1+`","`+id2+`"]}`, rec.bodies[0])
}

// manyProducts is a query with as many different products.
func manyProducts(n int) string {
	var q strings.Builder
	for i := range n {
		fmt.Fprintf(&q, "&products=zqx%d", i)
	}
	return q.String()[1:]
}

// TestWrongParameters are refused with the parameter's name, without what was sent, and without a call of Polar.
func TestWrongParameters(t *testing.T) {
	t.Parallel()
	const address = "a JSON object with country"
	for name, tt := range map[string]struct{ query, parameter, want string }{
		"nothing":           {"", "products", "is missing"},
		"empty product":     {"products=", "products", "is missing"},
		"product":           {"products=a%00zqx", "products", "id of a product"},
		"products":          {manyProducts(maxProducts + 1), "products", "more than 50"},
		"seats":             {"seats=zqx", "seats", "whole number"},
		"seats 0":           {"seats=0", "seats", "whole number"},
		"seats below":       {"seats=-5", "seats", "whole number"},
		"seats sign":        {"seats=%2B5", "seats", "whole number"},
		"seats fraction":    {"seats=1.5", "seats", "whole number"},
		"seats large":       {"seats=99999999999999999999", "seats", "whole number"},
		"seats twice":       {"seats=1&seats=1", "seats", "more than once"},
		"empty twice":       {"customerName=&customerName=zqx", "customerName", "more than once"},
		"email":             {"customerEmail=zqx", "customerEmail", "an e-mail address"},
		"email with name":   {"customerEmail=Zqx+%3Czqx@example.com%3E", "customerEmail", "an e-mail address"},
		"email header":      {"customerEmail=zqx@example.com%0d%0aX:y", "customerEmail", "control characters"},
		"name":              {"customerName=" + strings.Repeat("zqx", 100), "customerName", "256"},
		"not UTF-8":         {"customerName=zqx%ff", "customerName", "control characters"},
		"bool":              {"allowDiscountCodes=zqx", "allowDiscountCodes", "true or false"},
		"bool 1":            {"allowDiscountCodes=1", "allowDiscountCodes", "true or false"},
		"address":           {"customerBillingAddress=zqx", "customerBillingAddress", address},
		"address null":      {"customerBillingAddress=null", "customerBillingAddress", address},
		"address list":      {"customerBillingAddress=[]", "customerBillingAddress", address},
		"address member":    {`customerBillingAddress={"country":"FR","zqx":1}`, "customerBillingAddress", address},
		"address twice":     {`customerBillingAddress={"country":"FR","country":"DE"}`, "customerBillingAddress", address},
		"address codes":     {`customerBillingAddress={"country":"FR","postalCode":"1","postal_code":"2"}`, "customerBillingAddress", address},
		"address rest":      {`customerBillingAddress={"country":"FR"}zqx`, "customerBillingAddress", address},
		"no country":        {`customerBillingAddress={"city":"zqx"}`, "customerBillingAddress", address},
		"country":           {`customerBillingAddress={"country":"fr"}`, "customerBillingAddress", address},
		"long country":      {`customerBillingAddress={"country":"FRA"}`, "customerBillingAddress", address},
		"ip":                {"customerIpAddress=zqx", "customerIpAddress", "an IP address"},
		"ip port":           {"customerIpAddress=127.0.0.1:80", "customerIpAddress", "an IP address"},
		"ip zone":           {"customerIpAddress=fe80::1%25eth0", "customerIpAddress", "an IP address"},
		"metadata":          {"metadata=zqx", "metadata", "JSON object"},
		"metadata null":     {"metadata=null", "metadata", "JSON object"},
		"metadata nested":   {`metadata={"a":{"zqx":1}}`, "metadata", "JSON object"},
		"metadata empty":    {`metadata={"zqx":""}`, "metadata", "JSON object"},
		"metadata key":      {`metadata={"` + strings.Repeat("zqx", 20) + `":1}`, "metadata", "JSON object"},
		"customer metadata": {`customerMetadata=[1]`, "customerMetadata", "JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rec recorder
			var log logged
			h, err := Checkout(rec.client(t), allTrusted, log.option())
			require.NoError(t, err)
			if tt.parameter != "products" {
				tt.query += "&products=" + id1
			}
			got := get(h, "/checkout?"+strings.ReplaceAll(tt.query, `"`, "%22"))
			assert.Equal(t, http.StatusBadRequest, got.status)
			assert.Contains(t, got.body, "the parameter "+tt.parameter+" ")
			assert.Contains(t, got.body, tt.want)
			assert.NotContains(t, strings.ToLower(got.body), "zqx")
			assert.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
			assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
			assert.Empty(t, rec.bodies)
			assert.Empty(t, log.String())

			query, err := url.ParseQuery(strings.ReplaceAll(tt.query, `"`, "%22"))
			require.NoError(t, err)
			_, err = CheckoutURL(t.Context(), rec.client(t), query, allTrusted)
			refusal, ok := errors.AsType[*Refusal](err)
			require.True(t, ok, err)
			assert.Equal(t, tt.parameter, refusal.Parameter)
			assert.Equal(t, http.StatusBadRequest, StatusCode(err))
		})
	}
}

// TestStrangersMayNot do what a link with their own parameters could do.
func TestStrangersMayNot(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"customerId=" + id2, "customerExternalId=u", "customerIpAddress=1.1.1.1", "customerMetadata={}", "discountId=" + id2, "metadata={}"} {
		var rec recorder
		h, err := Checkout(rec.client(t), quiet())
		require.NoError(t, err)
		name, _, _ := strings.Cut(query, "=")
		got := get(h, "/checkout?products="+id1+"&"+query)
		assert.Equal(t, http.StatusBadRequest, got.status, query)
		assert.Contains(t, got.body, "the parameter "+name+" is not accepted from a request")
		assert.Empty(t, rec.bodies)
		_, err = CheckoutURL(t.Context(), rec.client(t), url.Values{"products": {id1}, name: {"x"}})
		require.ErrorContains(t, err, name)

		h, err = Checkout(rec.client(t), quiet(), WithTrustedParameters(Parameter(name)))
		require.NoError(t, err)
		assert.Equal(t, http.StatusSeeOther, get(h, "/checkout?products="+id1+"&"+query).status, "trusted")
	}
}

func TestRequestsThatOpenNothing(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	target := "https://shop.example/checkout?products=" + id1
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
	}{
		"HEAD":                {request("HEAD", target, ""), 405},
		"PUT":                 {request("PUT", target, ""), 405},
		"OPTIONS":             {request("OPTIONS", target, ""), 405},
		"prefetch":            {request("GET", target, "", "Sec-Purpose", "prefetch"), 503},
		"prerender":           {request("GET", target, "", "Sec-Purpose", "prefetch;prerender"), 503},
		"older prefetch":      {request("GET", target, "", "Purpose", "Prefetch"), 503},
		"Firefox":             {request("GET", target, "", "X-Moz", "prefetch"), 503},
		"Safari":              {request("GET", target, "", "X-Purpose", "preview"), 503},
		"POST from elsewhere": {request("POST", target, "", "Origin", "https://evil.example"), 403},
		"POST across sites":   {request("POST", target, "", "Sec-Fetch-Site", "cross-site"), 403},
		"POST across origins": {request("POST", target, "", "Sec-Fetch-Site", "same-site"), 403},
		"multipart":           {request("POST", target, "--x--", "Content-Type", "multipart/form-data; boundary=x"), 415},
		"JSON":                {request("POST", target, "{}", "Content-Type", "application/json"), 415},
		"without a type":      {request("POST", target, "seats=1"), 415},
		"large":               {request("POST", target, "x="+strings.Repeat("y", maxForm), "Content-Type", form), 413},
		"query":               {request("GET", target+"&seats=%zz", ""), 400},
		"semicolon":           {request("GET", target+"&a;b", ""), 400},
		"form":                {request("POST", target, "seats=%zz", "Content-Type", form), 400},
		"both":                {request("POST", target+"&seats=1", "seats=2", "Content-Type", form), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rec recorder
			h, err := Checkout(rec.client(t), quiet())
			require.NoError(t, err)
			got := send(h, tt.r)
			assert.Equal(t, tt.status, got.status, got.body)
			assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
			assert.Empty(t, got.header.Get("Location"))
			assert.Empty(t, rec.bodies)
			if tt.status == 405 {
				assert.Equal(t, "GET, POST", got.header.Get("Allow"))
			}
		})
	}
	var rec recorder
	same, err := Checkout(rec.client(t))
	require.NoError(t, err)
	assert.Equal(t, 303, send(same, request("POST", target, "", "Origin", "https://shop.example")).status)
	p := http.NewCrossOriginProtection()
	require.NoError(t, p.AddTrustedOrigin("https://www.shop.example"))
	other, err := Checkout(rec.client(t), WithCrossOriginProtection(p))
	require.NoError(t, err)
	assert.Equal(t, 303, send(other, request("POST", target, "", "Origin", "https://www.shop.example")).status)
	assert.Equal(t, 403, send(other, request("POST", target, "", "Origin", "https://evil.example")).status)
}

// TestRedirectsOnlyToPolar holds an answer against the handler that leads elsewhere, and requests that want to.
func TestRedirectsOnlyToPolar(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"", "/relative", "//evil.example", "javascript:alert(1)", "data:text/html,x", "https:evil.example", "https://",
		"ftp://evil.example/", "https://polar.sh@evil.example/", "https://polar.sh/\r\nX: y", "\x00https://polar.sh"} {
		rec := recorder{url: cmp.Or(to, " ")}
		for _, opts := range [][]CheckoutOption{{quiet()}, {quiet(), WithTheme(ThemeLight)}} {
			h, err := Checkout(rec.client(t), opts...)
			require.NoError(t, err)
			got := get(h, "/checkout?products="+id1)
			assert.Equal(t, http.StatusInternalServerError, got.status, to)
			assert.Empty(t, got.header.Get("Location"), to)
		}
	}
	var rec recorder
	h, err := Checkout(rec.client(t), WithSuccessURL("/done"), WithReturnURL("/plans?x=1"), WithOrigin("https://shop.example/"))
	require.NoError(t, err)
	r := request("GET", "/checkout?products="+id1+"&successUrl=https://evil.example&returnUrl=//evil.example&next=https://evil.example", "",
		"X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "Referer", "https://evil.example")
	r.Host = "evil.example"
	got := send(h, r)
	assert.Equal(t, "https://polar.sh/checkout/polar_c_1", got.header.Get("Location"))
	assert.JSONEq(t, `{"products":["`+id1+`"],"success_url":"https://shop.example/done","return_url":"https://shop.example/plans?x=1"}`, rec.bodies[0])
}

// TestSuccessURL checks that nothing in it is escaped, wherever the placeholder is.
func TestSuccessURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, want, withID string }{
		{"https://x.example", "", "https://x.example?checkoutId={CHECKOUT_ID}"},
		{"https://x.example/done", "", "https://x.example/done?checkoutId={CHECKOUT_ID}"},
		{"https://x.example/done?", "", "https://x.example/done?checkoutId={CHECKOUT_ID}"},
		{"https://x.example/done?a=%20b&c", "", "https://x.example/done?a=%20b&c&checkoutId={CHECKOUT_ID}"},
		{"https://x.example/done#top", "", "https://x.example/done?checkoutId={CHECKOUT_ID}#top"},
		{"https://x.example/done?a=b#/route?x=y", "", "https://x.example/done?a=b&checkoutId={CHECKOUT_ID}#/route?x=y"},
		{"https://x.example/{CHECKOUT_ID}", "", "https://x.example/{CHECKOUT_ID}"},
		{"https://x.example/?id=%7BCHECKOUT_ID%7D", "https://x.example/?id={CHECKOUT_ID}", "https://x.example/?id={CHECKOUT_ID}"},
		{"https://x.example/?id=%7bCHECKOUT_ID%7d#a", "https://x.example/?id={CHECKOUT_ID}#a", "https://x.example/?id={CHECKOUT_ID}#a"},
		{"https://x.example/?id=%7bcheckout_id%7D", "", "https://x.example/?id=%7bcheckout_id%7D&checkoutId={CHECKOUT_ID}"},
		{"/done?a=b", "https://shop.example/done?a=b", "https://shop.example/done?a=b&checkoutId={CHECKOUT_ID}"},
		{"/{CHECKOUT_ID}/done", "https://shop.example/{CHECKOUT_ID}/done", "https://shop.example/{CHECKOUT_ID}/done"},
	} {
		for _, withID := range []bool{false, true} {
			var rec recorder
			opts := []CheckoutOption{WithOrigin("https://shop.example"), WithSuccessURL(tt.url)}
			want := cmp.Or(tt.want, tt.url)
			if withID {
				opts, want = append(opts, WithCheckoutID()), tt.withID
			}
			_, err := CheckoutURL(t.Context(), rec.client(t), url.Values{"products": {id1}}, opts...)
			require.NoError(t, err, tt.url)
			assert.Contains(t, rec.bodies[0], `"success_url":"`+want+`"`)
		}
	}
}

func TestCheckoutOptions(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string][]CheckoutOption{
		"option is nil":              {nil},
		"the success URL is empty":   {WithSuccessURL("")},
		"the return URL is empty":    {WithReturnURL("")},
		"success URL is a path":      {WithSuccessURL("/done")},
		"return URL is a path":       {WithReturnURL("/")},
		"success URL must be":        {WithSuccessURL("//evil.example"), WithOrigin("https://a.example")},
		"the success URL must be an": {WithSuccessURL("done"), WithOrigin("https://a.example")},
		"return URL must be":         {WithReturnURL("javascript:alert(1)")},
		"the return URL must be an":  {WithReturnURL("https://a.example/a b")},
		"success URL has 2":          {WithSuccessURL("https://a.example/" + strings.Repeat("x", 2083))},
		"at most 2083":               {WithSuccessURL("https://a.example/" + strings.Repeat("x", 2060)), WithCheckoutID()},
		"needs WithSuccessURL":       {WithCheckoutID()},
		"theme must be":              {WithTheme("blue")},
		`"products" is no parameter`: {WithTrustedParameters("products")},
		`"seats" is no parameter`:    {WithTrustedParameters("seats")},
		"hook is nil":                {WithCheckoutHook(nil)},
		"logger is nil":              {WithLogger(nil)},
		"error handler is nil":       {WithErrorHandler(nil)},
		"protection is nil":          {WithCrossOriginProtection(nil)},
		"origin must be":             {WithOrigin("shop.example")},
		"the origin must be":         {WithOrigin("https://shop.example/app")},
		"polarhttp: the origin must": {WithOrigin("https://shop.example?")},
	} {
		h, err := Checkout(new(recorder).client(t), opts...)
		require.ErrorContains(t, err, want)
		assert.True(t, strings.HasPrefix(err.Error(), "polarhttp: "), err)
		assert.Nil(t, h)
		_, err = CheckoutURL(t.Context(), new(recorder).client(t), nil, opts...)
		require.ErrorContains(t, err, want)
	}
	_, err := Checkout(nil)
	require.ErrorContains(t, err, "client is nil")
	_, err = Checkout(new(polar.Client))
	require.ErrorContains(t, err, "client is nil")
}

// TestCheckoutHook sets the customer from the session and refuses what is not for sale.
func TestCheckoutHook(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	hidden := s.sell("Hidden")
	signIn := errors.New("sign in, ada@example.com")
	h := s.checkout(WithSuccessURL("https://example.com/done"), WithCheckoutHook(func(r *http.Request, c *models.CheckoutCreate) error {
		user := r.Header.Get("User")
		if user == "" {
			return signIn
		}
		if len(c.Products) == 0 {
			c.Products = []string{s.product.ID}
		}
		if slices.Contains(c.Products, hidden.ID) {
			return fmt.Errorf("wrapped: %w", &Refusal{Status: http.StatusForbidden, Message: "this is not for sale"})
		}
		c.ExternalCustomerID, c.Metadata = &user, models.Metadata{"plan": "pro"}
		*c.SuccessURL += "?user=" + user
		return nil
	}))
	for range 2 {
		got := get(h, "/checkout", "User", "ada")
		require.Equal(t, http.StatusSeeOther, got.status, got.body)
		assert.JSONEq(t, `{"products":["`+s.product.ID+`"],"external_customer_id":"ada","metadata":{"plan":"pro"},"success_url":"https://example.com/done?user=ada"}`, s.sent())
	}
	got := get(h, "/checkout?products="+hidden.ID, "User", "ada")
	assert.Equal(t, http.StatusForbidden, got.status)
	assert.Equal(t, "this is not for sale\n", got.body)
	assert.Empty(t, s.log.String())
	got = get(h, "/checkout")
	assert.Equal(t, http.StatusInternalServerError, got.status)
	assert.NotContains(t, got.body, "ada")
	assert.Contains(t, s.log.String(), "sign in")
	assert.Equal(t, 2, s.calls("checkouts:create"))

	h = s.checkout(WithCheckoutHook(func(*http.Request, *models.CheckoutCreate) error { return signIn }),
		WithErrorHandler(func(w http.ResponseWriter, r *http.Request, err error) {
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			if errors.Is(err, signIn) {
				http.Redirect(w, r, "/login", http.StatusSeeOther)
				return
			}
			w.WriteHeader(StatusCode(err))
		}))
	assert.Equal(t, "/login", get(h, "/checkout?products=x").header.Get("Location"))
	assert.Equal(t, http.StatusBadRequest, get(h, "/checkout?seats=x").status)

	_, err := CheckoutURL(t.Context(), s.client, url.Values{"products": {s.product.ID}}, WithCheckoutHook(func(*http.Request, *models.CheckoutCreate) error { return nil }))
	require.ErrorContains(t, err, "WithCheckoutHook")
}

// TestPolarRefuses what the visitor chose: that is 400, and what the program chose is 500.
func TestPolarRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	h := s.checkout(WithTrustedParameters(ParameterDiscountID))
	for query, name := range map[string]string{
		"products=" + id1:     "products",
		"products=not-a-uuid": "products",
		"products=" + s.product.ID + "&discountId=" + id1:                                   "discountId",
		"products=" + s.product.ID + "&seats=100000":                                        "seats",
		"products=" + s.product.ID + "&customerBillingAddress=%7B%22country%22:%22ZQ%22%7D": "customerBillingAddress",
	} {
		got := get(h, "/checkout?"+query)
		assert.Equal(t, http.StatusBadRequest, got.status, query)
		assert.Equal(t, "the parameter "+name+" has a value that cannot be used here\n", got.body)
	}
	assert.Contains(t, s.log.String(), "level=INFO")
	assert.NotContains(t, s.log.String(), "level=ERROR")

	h = s.checkout(WithCheckoutHook(func(_ *http.Request, c *models.CheckoutCreate) error {
		c.DiscountID = new(id1)
		return nil
	}))
	got := get(h, "/checkout?products="+s.product.ID)
	assert.Equal(t, http.StatusInternalServerError, got.status)
	assert.NotContains(t, got.body, "iscount")
	assert.Contains(t, s.log.String(), "level=ERROR")
}

// TestPolarFails tells the visitor that, not why, and the log why.
func TestPolarFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		break_ func(*shop)
		status int
		logged string
		retry  string
	}{
		"rate limit":      {func(s *shop) { s.srv.Break("checkouts:create", 1, polartest.TooManyRequests(30*time.Second)) }, 503, "level=WARN", "30"},
		"long rate limit": {func(s *shop) { s.srv.Break("checkouts:create", 1, polartest.TooManyRequests(time.Hour)) }, 503, "level=WARN", "60"},
		"no Retry-After":  {func(s *shop) { s.srv.Break("checkouts:create", 1, polartest.TooManyRequests(0)) }, 503, "level=WARN", "5"},
		"bad gateway":     {func(s *shop) { s.srv.Break("checkouts:create", 1, polartest.BadGateway(502)) }, 502, "level=WARN", ""},
		"reset":           {func(s *shop) { s.srv.Break("checkouts:create", 1, polartest.Reset()) }, 502, "level=WARN", ""},
		"lost answer":     {func(s *shop) { s.srv.Break("checkouts:create", 1, polartest.LoseAnswer()) }, 502, "level=WARN", ""},
		"gone":            {func(s *shop) { s.srv.Close() }, 502, "level=WARN", ""},
		"token":           {func(s *shop) { s.srv.RevokeToken(s.token) }, 500, "level=ERROR", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			h := s.checkout()
			tt.break_(s)
			got := get(h, "/checkout?products="+s.product.ID+"&customerEmail=ada@zqx.example")
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, tt.retry, got.header.Get("Retry-After"))
			assert.NotContains(t, strings.ToLower(got.body), "polar")
			assert.Contains(t, s.log.String(), tt.logged)
			assert.Contains(t, s.log.String(), "checkouts:create")
			for _, secret := range []string{s.token, "zqx", "ada@"} {
				assert.NotContains(t, s.log.String()+got.body, secret)
			}
		})
	}
	slow := clientOf(t, func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := CheckoutURL(ctx, slow, url.Values{"products": {id1}})
	assert.Equal(t, http.StatusGatewayTimeout, StatusCode(err))
	var log logged
	h, err := Checkout(slow, log.option())
	require.NoError(t, err)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	got := send(h, request("GET", "/checkout?products="+id1, "").WithContext(ctx))
	assert.GreaterOrEqual(t, got.status, 500)
	assert.Empty(t, log.String(), "nobody wants the answer any more")
}

func TestStatusCode(t *testing.T) {
	t.Parallel()
	for want, errs := range map[int][]error{
		500: {errors.New("x"), nil, &polar.Error{StatusCode: 401, Name: "invalid_token"}, &polar.Error{StatusCode: 404}, &polar.Error{StatusCode: 429, Name: "TooMany"}, &Refusal{}, &Refusal{Status: 200}, polar.ErrNoCredential},
		502: {&polar.Error{StatusCode: 500}, &polar.Error{StatusCode: 503}, &net.OpError{Op: "dial", Err: errors.New("refused")}, polar.ErrOutcomeUnknown},
		503: {&polar.Error{StatusCode: 429}, &Refusal{Status: 503}},
		504: {context.DeadlineExceeded, fmt.Errorf("x: %w", os.ErrDeadlineExceeded)},
		404: {fmt.Errorf("x: %w", ErrUnknownCustomer)},
		418: {fmt.Errorf("x: %w", &Refusal{Status: 418})},
	} {
		for _, err := range errs {
			assert.Equal(t, want, StatusCode(err), err)
		}
	}
}

// FuzzParameters checks that whatever is sent is refused with one of a few texts, or makes a body that can be sent.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{
		"products=a&products=b&seats=3", "products=" + id1 + `&metadata={"a":1}`, `customerBillingAddress={"country":"FR"}`,
		"customerEmail=a@b.c&customerIpAddress=::1&allowDiscountCodes=true&customerMetadata={}", "customerName=%ff&seats=1&seats=2", "discountId=%00",
	} {
		f.Add(seed)
	}
	texts := map[string]bool{}
	for _, why := range []string{"must be the id of a product", "is given more than once", "must be text without control characters", "is not accepted from a request"} {
		texts[why] = true
	}
	for _, p := range parameters {
		if want := p.set(new(models.CheckoutCreate), "{"+strings.Repeat("x", 300)); want != "" {
			texts["must be "+want] = true
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		query, _ := url.ParseQuery(raw)
		before := maps.Clone(query)
		for _, trusted := range []map[Parameter]bool{nil, {ParameterCustomerID: true, ParameterCustomerExternalID: true, ParameterCustomerIPAddress: true,
			ParameterCustomerMetadata: true, ParameterDiscountID: true, ParameterMetadata: true}} {
			c, err := parseCheckout(query, trusted)
			assert.Equal(t, before, query)
			if err != nil {
				refusal, ok := errors.AsType[*Refusal](err)
				require.True(t, ok)
				assert.Contains(t, query, refusal.Parameter)
				why, ok := strings.CutPrefix(refusal.Message, "the parameter "+refusal.Parameter+" ")
				assert.True(t, ok && texts[why], refusal.Message)
				continue
			}
			require.NoError(t, c.Validate())
			_, err = jsonx.Marshal(c)
			require.NoError(t, err)
			assert.NotContains(t, c.Products, "")
			if trusted == nil {
				assert.True(t, c.CustomerID == nil && c.ExternalCustomerID == nil && c.CustomerIPAddress == nil && c.CustomerMetadata == nil && c.DiscountID == nil && c.Metadata == nil)
			}
		}
	})
}
