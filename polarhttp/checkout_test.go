package polarhttp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// shop is a server at Polar's place with something to sell.
type shop struct {
	*testing.T
	srv     *polartest.Server
	client  *polar.Client
	product *models.Product
	benefit string
}

func newShop(t *testing.T, opts ...polartest.Option) *shop {
	t.Helper()
	s := &shop{T: t, srv: polartest.NewServer(t, opts...)}
	s.client = s.srv.Client()
	b, err := s.client.Benefits.Create(t.Context(), models.BenefitCustomCreate{Description: "Reports"})
	require.NoError(t, err)
	s.benefit = b.ID
	s.product = s.sell("Pro")
	_, err = s.client.Products.SetBenefits(t.Context(), s.product.ID, models.ProductBenefitsUpdate{Benefits: []string{b.ID}})
	require.NoError(t, err)
	return s
}

func (s *shop) sell(name string) *models.Product {
	s.Helper()
	p, err := s.client.Products.Create(s.Context(), models.ProductCreateRecurring{
		Name: name, RecurringInterval: models.RecurringIntervalMonth,
		Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1000}},
	})
	require.NoError(s, err)
	return p
}

func (s *shop) customer(externalID string) *models.Customer {
	s.Helper()
	c, err := s.client.Customers.Create(s.Context(), models.CustomerCreate{Email: externalID + "@example.com", ExternalID: &externalID})
	require.NoError(s, err)
	return c
}

func get(h http.Handler, target string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return send(h, r)
}

func send(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// sent is the last checkout that was asked for.
func (s *shop) sent() string {
	s.Helper()
	list := s.srv.Requests("checkouts:create")
	require.NotEmpty(s, list)
	return string(list[len(list)-1].Body)
}

func TestCheckoutRedirects(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	h, err := Checkout(s.client, WithSuccessURL("https://example.com/done"), WithCheckoutID(), WithReturnURL("https://example.com/plans"))
	require.NoError(t, err)
	answer := get(h, "/checkout?products="+s.product.ID+"&customerEmail=ada@example.com&utm_source=mail")
	assert.Equal(t, http.StatusSeeOther, answer.StatusCode)
	assert.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
	assert.True(t, strings.HasPrefix(answer.Header.Get("Location"), s.srv.URL+"/checkout/polar_c_"))
	assert.JSONEq(t, `{"products":["`+s.product.ID+`"],"customer_email":"ada@example.com","return_url":"https://example.com/plans",
		"success_url":"https://example.com/done?checkoutId={CHECKOUT_ID}"}`, s.sent())

	to, err := CheckoutURL(t.Context(), s.client, url.Values{"products": {s.product.ID}}, WithTheme(ThemeDark))
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(to, "?theme=dark"), to)
}
