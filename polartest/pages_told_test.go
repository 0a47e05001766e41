package polartest_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/polar-go/polar/models"
)

// The browser goes on when the merchant was told of the purchase, not before.
func TestCheckoutPageTellsFirst(t *testing.T) {
	s := newShop(t)
	var mu sync.Mutex
	told := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		told++
	}))
	t.Cleanup(receiver.Close)
	must(s.client.WebhookEndpoints.Create(t.Context(), models.WebhookEndpointCreate{URL: receiver.URL, Format: models.WebhookFormatRaw, Events: []models.WebhookEventType{models.WebhookEventTypeOrderPaid}}))(t)
	x := s.checkout(s.plan("Pro", 2000).ID, func(c *models.CheckoutCreate) { c.SuccessURL = new("https://shop.example/done") })
	b := s.browse(x.URL)
	b.submit(x.ClientSecret, map[string]string{"action": "pay", "customer_email": "ann@example.com", "address.country": "DE"})
	assert.Equal(t, http.StatusSeeOther, b.status)
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, 1, told)
}
