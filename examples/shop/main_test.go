package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
	"github.com/polar-go/polar/webhooks"
)

// opened is a shop with its Polar server, and a way to hold its webhooks back.
type opened struct {
	*testing.T
	*shop
	srv    *polartest.Server
	base   string
	secret string

	delivering sync.RWMutex // whoever locks it holds the webhooks back
}

func open(t *testing.T) *opened {
	t.Helper()
	o := &opened{T: t, srv: polartest.NewServer(t)}
	client := o.srv.Client()
	sells, err := stock(t.Context(), client)
	require.NoError(t, err)
	front := httptest.NewUnstartedServer(nil)
	o.base = "http://" + front.Listener.Addr().String()
	endpoint, err := client.WebhookEndpoints.Create(t.Context(), models.WebhookEndpointCreate{
		URL: o.base + webhookPath, Format: models.WebhookFormatRaw, Events: models.WebhookEventTypeValues(),
	})
	require.NoError(t, err)
	o.secret = endpoint.Secret
	o.shop, err = newShop(t.Context(), shopConfig{Client: client, Assortment: sells, Secret: endpoint.Secret, URL: o.base, Demo: o.srv, Rounds: 1})
	require.NoError(t, err)
	handler := o.handler()
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == webhookPath {
			o.delivering.RLock()
			defer o.delivering.RUnlock()
		}
		handler.ServeHTTP(w, r)
	})
	front.Start()
	t.Cleanup(func() {
		front.Close()
		assert.NoError(t, o.close(context.Background()))
	})
	return o
}

// visit brings somebody to the shop.
func (o *opened) visit() *person {
	o.Helper()
	v, err := newVisitor(o.Context(), o.base)
	require.NoError(o, err)
	o.Cleanup(v.close)
	return &person{T: o.T, visitor: v}
}

// person is a visitor in a test.
type person struct {
	*testing.T
	*visitor
}

// reads opens an address and wants a status and words.
func (p *person) reads(address string, status int, words ...string) {
	p.Helper()
	if err := p.get(address); status < 500 {
		require.NoError(p, err)
	}
	p.sees(status, words...)
}

// sends sends a form and wants a status and words.
func (p *person) sends(address string, form url.Values, status int, words ...string) {
	p.Helper()
	if err := p.post(address, form); status < 500 {
		require.NoError(p, err)
	}
	p.sees(status, words...)
}

func (p *person) sees(status int, words ...string) {
	p.Helper()
	require.Equal(p, status, p.status, "%s\n%s", p.at, p.body)
	for _, w := range words {
		require.Contains(p, p.body, w)
	}
}

// home goes back to the shop's own pages.
func (p *person) home() { p.Helper(); p.reads(p.base+"/", 200) }

func (p *person) signUp(name string) {
	p.Helper()
	p.sends("/sign-up", url.Values{"name": {name}, "email": {name + "@example.com"}, "password": {"correct horse"}}, 200, "You have no plan")
}

func (p *person) choose(plan offer) {
	p.Helper()
	p.sends("/checkout", url.Values{"plan": {plan.ID}}, 200, "Pay "+plan.Price)
}

func (p *person) pay() { p.Helper(); p.payWith("pay", 200, "Your plan is active") }

func (p *person) payWith(card string, status int, words ...string) {
	p.Helper()
	p.sends("", url.Values{"action": {card}, "address.country": {"FR"}}, status, words...)
}

// now is the customer's state at Polar.
func (o *opened) now(p *person) *models.CustomerState {
	o.Helper()
	state, err := o.client.Customers.StateByExternalID(o.Context(), o.userOf(p).ID)
	require.NoError(o, err)
	return state
}

func (o *opened) userOf(p *person) *user {
	o.Helper()
	o.accounts.mu.Lock()
	defer o.accounts.mu.Unlock()
	at, err := url.Parse(o.base)
	require.NoError(o, err)
	for _, c := range p.client.Jar.Cookies(at) {
		if s, ok := o.accounts.sessions[hashed(c.Value)]; ok {
			return s.user
		}
	}
	require.FailNow(o, "nobody is signed in")
	return nil
}

func (o *opened) plan(i int) offer { return (*o.offers.Load())[i] }

// A plan from the price list to its end.
func TestStory(t *testing.T) {
	t.Parallel()
	o := open(t)
	ada := o.visit()
	ada.reads("/", 200, "9.00 USD", "29.00 USD", "20 palettes each month", "200 palettes each month", "0.05 USD for each further one")
	assert.Less(t, strings.Index(ada.body, "Solo"), strings.Index(ada.body, "Studio"), "the cheapest is first")

	// who signs up for a plan goes on to pay, and comes back with it
	solo, studio := o.plan(0), o.plan(1)
	ada.reads("/sign-up?plan="+solo.ID, 200, "Go on to the payment", solo.ID)
	ada.sends("/sign-up", url.Values{"name": {"Ada"}, "email": {"ada@example.com"}, "password": {"correct horse"}, "plan": {solo.ID}}, 200, "Pay 9.00 USD", "ada@example.com")
	ada.pay()
	assert.Equal(t, "/success", ada.at.Path)
	ada.reads("/", 200, "Your plan", "Change to Studio")
	ada.reads("/account", 200, "Solo", "Active", "It renews on", "paid", "9.00 USD", "of 20 palettes")
	user := o.userOf(ada)
	assert.NotNil(t, o.now(ada).Benefit(o.sells.Palettes))
	assert.Equal(t, "ada@example.com", o.now(ada).Email)

	// usage reaches the meter
	for _, word := range []string{"fjord", "moss", "fjord"} {
		ada.sends("/palettes", url.Values{"word": {word}}, 200, word, newPalette(word).Colours[0])
	}
	ada.sends("/palettes", url.Values{"word": {" "}}, 422, "at most 30 letters")
	ada.sends("/palettes", url.Values{"word": {strings.Repeat("x", 31)}}, 422, "at most 30 letters")
	require.NoError(t, o.usage.Flush(t.Context()))
	ada.reads("/account", 200, "<strong>3</strong> <span>of 20 palettes", "17 left")

	// invoice and portal
	ada.sends(ada.find(`action="(/orders/[^"]+/invoice)"`), nil, 200, "%PDF", "Ada")
	ada.home()
	ada.sends("/portal", nil, 200, "ada@example.com", "Solo", o.base+"/account")

	// one plan is enough, and can be changed
	ada.home()
	ada.sends("/checkout", url.Values{"plan": {studio.ID}}, 200, "Your account")
	ada.sends("/plan", url.Values{"plan": {studio.ID}}, 200, "Studio")
	ada.sends("/plan", url.Values{"plan": {"nothing"}}, 404)
	require.Len(t, o.now(ada).ActiveSubscriptions, 1)
	assert.Equal(t, studio.ID, o.now(ada).ActiveSubscriptions[0].ProductID)

	// a month passes: it renews
	ada.sends("/demo/month", url.Values{"next": {"/account"}}, 200, "Active", "29.00 USD")
	orders, err := o.client.Orders.List(t.Context(), &polar.OrderListParams{ExternalCustomerID: []string{user.ID}})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(orders.Items), 2)

	// with a new month of palettes
	ada.reads("/account", 200, "<strong>0</strong> <span>of 200 palettes")
	ada.sends("/palettes", url.Values{"word": {"fjord"}}, 200)
	require.NoError(t, o.usage.Flush(t.Context()))
	ada.reads("/account", 200, "<strong>1</strong> <span>of 200 palettes")

	// cancelled in the portal, it goes on to the end of the period and not longer
	portal, err := o.srv.PortalClient(user.ID)
	require.NoError(t, err)
	_, err = portal.Subscriptions.Cancel(t.Context(), o.now(ada).ActiveSubscriptions[0].ID)
	require.NoError(t, err)
	ada.reads("/account", 200, "Cancelled", "You can use it until")
	ada.reads("/palettes", 200, "fjord")
	ada.sends("/plan", url.Values{"plan": {solo.ID}}, 409, "cannot be changed now")
	ada.sends("/demo/month", url.Values{"next": {"/palettes"}}, 403, "This needs a plan")
	ada.sends("/palettes", url.Values{"word": {"fjord"}}, 403)
	ada.reads("/account", 200, "You have no plan")
	ada.reads("/webhooks", 200, "order.paid", "customer.state_changed", "subscription.revoked", "handled", "acknowledged")
	assert.NotContains(t, ada.body, "ada@example.com")
	assert.NotContains(t, ada.body, user.ID)
	assert.NotContains(t, ada.body, o.secret)
	ada.sends("/sign-out", nil, 200, "Sign in")
}

// Money that has arrived is not access: that takes the webhook.
func TestActiveAfterTheWebhook(t *testing.T) {
	t.Parallel()
	o := open(t)
	ada := o.visit()
	ada.signUp("ada")
	ada.reads("/palettes", 403) // the gate knows now that there is nothing
	ada.choose(o.plan(0))
	secret := ada.find(`action="/checkout/([^"?]+)`)

	o.srv.Deliveries()
	o.delivering.Lock()
	release := sync.OnceFunc(o.delivering.Unlock)
	defer release()
	checkouts, err := o.client.Checkouts.List(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, secret, checkouts.Items[0].ClientSecret)
	id := checkouts.Items[0].ID
	require.NoError(t, o.srv.CompleteCheckout(id))
	ada.home()
	ada.reads("/success?checkout_id="+id, 200, "your payment has arrived", "as soon as Polar has confirmed the payment")
	release()
	o.srv.Deliveries()
	ada.reads("/success?checkout_id="+id, 200, "Your plan is active")
	ada.reads("/palettes", 200)
}

func TestDeclinedCard(t *testing.T) {
	t.Parallel()
	o := open(t)
	ada := o.visit()
	ada.signUp("ada")
	ada.choose(o.plan(1))
	page := ada.at.String()
	ada.payWith("decline", 400, "declined")
	ada.home()
	ada.reads("/account", 200, "You have no plan")
	ada.reads("/palettes", 403)
	ada.reads(page, 200)
	ada.pay()
	ada.reads("/palettes", 200)

	// the next card pays once and then no more
	bob := o.visit()
	bob.signUp("bob")
	bob.choose(o.plan(0))
	bob.payWith("later", 200, "Your plan is active")
	bob.sends("/demo/month", url.Values{"next": {"/account"}}, 200, "Payment failed", "The last payment did not succeed", "pending")
	bob.sends("/checkout", url.Values{"plan": {o.plan(0).ID}}, 200, "Payment failed") // not a second plan
}

// What belongs to others, and what nobody sells.
func TestOthers(t *testing.T) {
	t.Parallel()
	o := open(t)
	ada, bob := o.visit(), o.visit()
	ada.signUp("ada")
	bob.signUp("bob")
	ada.choose(o.plan(0))
	ada.pay()
	success := ada.at.RequestURI()
	ada.reads("/account", 200)
	invoice := ada.find(`action="(/orders/[^"]+/invoice)"`)
	bob.sends(invoice, nil, 404)
	bob.reads(success, 404)
	bob.reads("/success", 404)
	bob.reads("/success?checkout_id=0123", 404)
	bob.sends("/orders/0123/invoice", nil, 404)
	bob.sends("/portal", nil, 404, "You have not bought anything yet")
	bob.reads("/palettes", 403)

	cheap, err := o.client.Products.Create(t.Context(), models.ProductCreateOneTime{Name: "Not for the shop", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 0}}})
	require.NoError(t, err)
	bob.sends("/checkout", url.Values{"plan": {cheap.ID}}, 404)
	bob.reads("/nothing", 404, "There is no such page")

	nobody := o.visit()
	for _, path := range []string{"/account", "/palettes", "/success?checkout_id=1"} {
		nobody.reads(path, 200, "<h1>Sign in</h1>")
		assert.Equal(t, path, nobody.at.Query().Get("next"))
	}
	for _, path := range []string{"/checkout", "/plan", "/palettes", "/portal", invoice} {
		nobody.sends(path, nil, 200, "<h1>Sign in</h1>")
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	o := open(t)
	ada := o.visit()
	form := func(name, email, password string) url.Values {
		return url.Values{"name": {name}, "email": {email}, "password": {password}}
	}
	for _, wrong := range []url.Values{
		form("", "ada@example.com", "correct horse"), form("Ada", "ada", "correct horse"), form("Ada", "Ada <ada@example.com>", "correct horse"),
		form("Ada", "ada@example.com", "short"), form("Ada", "ada@example.com", strings.Repeat("x", 201)), form(strings.Repeat("x", 101), "ada@example.com", "correct horse"),
	} {
		ada.sends("/sign-up", wrong, 422, `role="alert"`)
		assert.NotContains(t, ada.body, "correct horse")
	}
	ada.sends("/sign-up", form("<b>Ada</b>", "ada@example.com", "correct horse"), 200, "&lt;b&gt;Ada&lt;/b&gt;")
	bob := o.visit()
	bob.sends("/sign-up", form("Bob", "ADA@example.com", "correct horse"), 422, "already")
	bob.sends("/sign-in", form("", "ada@example.com", "wrong horse"), 422, string(errPassword), `value="ada@example.com"`)
	bob.sends("/sign-in", form("", "nobody@example.com", "correct horse"), 422, string(errPassword))
	bob.sends("/sign-in?next=/webhooks", form("", "Ada@Example.com", "correct horse"), 200, "Received webhooks")

	// the cookie, and the end of a session
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(o.base+"/sign-in", form("", "ada@example.com", "correct horse"))
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	header := resp.Header.Get("Set-Cookie")
	assert.Contains(t, header, "HttpOnly")
	assert.Contains(t, header, "SameSite=Lax")
	assert.NotContains(t, header, "Secure")
	assert.True(t, newAccounts(1, true).cookie("x", 1).Secure)
	at, err := url.Parse(o.base)
	require.NoError(t, err)
	stolen := bob.client.Jar.Cookies(at)
	bob.sends("/sign-out", nil, 200)
	bob.client.Jar.SetCookies(at, stolen)
	bob.reads("/account", 200, "<h1>Sign in</h1>")
	ada.reads("/account", 200, "Your account")
	o.accounts.mu.Lock()
	for id, s := range o.accounts.sessions {
		s.until = time.Now().Add(-time.Second)
		o.accounts.sessions[id] = s
	}
	o.accounts.mu.Unlock()
	ada.reads("/account", 200, "<h1>Sign in</h1>")
}

func TestOtherSites(t *testing.T) {
	t.Parallel()
	o := open(t)
	ada := o.visit()
	ada.signUp("ada")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.base+"/sign-out", nil)
	require.NoError(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := ada.client.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	assert.Contains(t, string(body), "another site")
	ada.reads("/account", 200, "Your account")
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")

	for address, want := range map[string]string{
		"/palettes": "/palettes", "/success?checkout_id=1": "/success?checkout_id=1", "": "/", "palettes": "/", "//evil.example": "/", "///evil.example": "/", "/\t/evil.example": "/", `/\evil.example`: "/",
		"https://evil.example/": "/", "javascript:alert(1)": "/", "/%zz": "/",
	} {
		assert.Equal(t, want, local(address, "/"), address)
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	o := open(t)
	ada := o.visit()
	ada.reads("/webhooks", 200, "Nothing has arrived yet")

	// what Polar has not signed
	req, err := webhooks.NewRequest(t.Context(), o.base+webhookPath, "another secret", &webhooks.OrderPaid{})
	require.NoError(t, err)
	resp, err := ada.client.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	ada.reads("/webhooks", 200, "1 request was refused")
	assert.NotContains(t, ada.body, "order.paid")

	// a new price is on the page when Polar has told
	plan := o.plan(0)
	_, err = o.client.Products.Update(t.Context(), plan.ID, models.ProductUpdate{Name: models.Set("Solo plus")})
	require.NoError(t, err)
	o.srv.Deliveries()
	ada.reads("/", 200, "Solo plus")
	ada.reads("/webhooks", 200, "product.updated", "handled")

	// the list does not grow for ever
	for range 60 {
		o.received.add(receipt{ID: "1", Type: "star.born", Outcome: outcomeIgnored})
	}
	list, _ := o.received.latest()
	assert.Len(t, list, webhookLogSize)
}

// Polar is out of reach: nobody loses what they have, and nobody is told to buy.
func TestPolarUnreachable(t *testing.T) {
	t.Parallel()
	o := open(t)
	ada, bob := o.visit(), o.visit()
	ada.signUp("ada")
	ada.choose(o.plan(0))
	ada.pay()
	ada.reads("/palettes", 200)
	bob.signUp("bob")
	o.srv.Break("", -1, polartest.BadGateway(http.StatusBadGateway))
	ada.reads("/palettes", 200)
	bob.reads("/palettes", 503, "We cannot look up your plan")
	bob.reads("/", 200, "9.00 USD")
	bob.reads("/account", 500, "Something went wrong")
	bob.sends("/portal", nil, 502, "cannot be opened")
	o.srv.Heal()
	ada.reads("/account", 200, "Active")
}

func TestPanic(t *testing.T) {
	t.Parallel()
	o := open(t)
	rec := httptest.NewRecorder()
	o.recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a mistake") })).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.Contains(t, rec.Body.String(), "Something went wrong")
	assert.NotContains(t, rec.Body.String(), "a mistake")
}

// Whatever was made before is found again, also after a start that was interrupted.
func TestStock(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	srv.Break("products:update_benefits", 1, polartest.BadGateway(http.StatusForbidden))
	_, err := stock(t.Context(), client)
	require.Error(t, err)
	first, err := stock(t.Context(), client)
	require.NoError(t, err)
	again, err := stock(t.Context(), client)
	require.NoError(t, err)
	assert.Equal(t, first, again)
	products, err := client.Products.List(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, products.Items, len(plans))
	for _, p := range products.Items {
		assert.Len(t, p.Benefits, 2, p.Name)
	}
	benefits, err := client.Benefits.List(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, benefits.Items, len(plans)+1)
}

// TestCheck runs the program as .ci/run does.
func TestCheck(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, config{Check: true}))
	for _, line := range []string{"A visitor pays: 200 Your plan is active", "A visitor opens the billing portal: 200", "A visitor signs out: 200"} {
		assert.Contains(t, out.String(), line)
	}
}

// TestServe runs the program as a person does, and stops it.
func TestServe(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, in, config{Addr: "127.0.0.1:0"})
		in.Close()
	}()
	var said strings.Builder
	buf := make([]byte, 1000)
	for !strings.Contains(said.String(), "open at") {
		n, err := out.Read(buf)
		require.NoError(t, err)
		said.Write(buf[:n])
	}
	_, base, _ := strings.Cut(strings.TrimSpace(said.String()), "open at ")
	resp, err := http.Get(base)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	stop()
	require.NoError(t, <-done)
	_, err = http.Get(base)
	assert.Error(t, err)
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	assert.Error(t, run(t.Context(), io.Discard, config{Addr: "nowhere:-1"}))
	assert.ErrorContains(t, run(t.Context(), io.Discard, config{Addr: "127.0.0.1:0", Token: "polar_oat_x"}), "POLAR_WEBHOOK_SECRET")
	assert.ErrorContains(t, run(t.Context(), io.Discard, config{Addr: "127.0.0.1:0", Token: "has a space", Secret: "x"}), "polar: ")
}
