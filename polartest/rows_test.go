package polartest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/polartest"
)

// run makes the calls of a row: those that are refused first, then the one that works.
func (r row) run(t *testing.T) {
	w := newWorld(t, r.team)
	if r.before != nil {
		r.before(w)
	}
	if r.as != "" {
		a := w.send("", r.method, r.path, r.body)
		assert.Equal(t, 401, a.status, "without a token")
		a = w.send("other", r.method, r.path, r.body)
		if r.as == "oat" {
			assert.Equal(t, 403, a.status, "without the scope")
			assert.Contains(t, a.header.Get("WWW-Authenticate"), `error="insufficient_scope"`)
		} else {
			assert.Equal(t, 401, a.status, "the token of an organization opens no portal")
		}
	}
	if r.broken != "" {
		a := w.send(r.as, r.method, r.path, r.broken)
		require.Equal(t, 422, a.status, a.body)
		assert.True(t, slices.ContainsFunc(a.faults(t), func(f fault) bool { return assert.ObjectsAreEqual(r.loc, f.Loc) }), a.body)
	}
	if r.none != "" {
		path, body := r.path, r.none
		if strings.HasPrefix(r.none, "/") {
			path, body = r.none, r.body
		}
		a := w.send(r.as, r.method, path, body)
		assert.Equal(t, 404, a.status, a.body)
		assert.Contains(t, a.body, `"error":"ResourceNotFound"`)
	}
	a := w.send(r.as, r.method, r.path, r.body)
	require.Equal(t, r.status, a.status, a.body)
	assert.Contains(t, a.body, w.expand(r.want))
	if r.then != nil {
		var got map[string]any
		if a.body != "" && strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			got = object(t, a.body)
		}
		r.then(w, got)
	}
}

// keep makes an object with a call and remembers its id.
func keep(name, method, path, body string) func(*world) {
	return func(w *world) {
		w.Helper()
		a := w.send("oat", method, path, body)
		require.Less(w, a.status, 300, a.body)
		w.ids[name] = object(w.T, a.body)["id"].(string)
	}
}

// saleRows are the operations of products, customers, sales, usage and webhooks.
func saleRows() []row {
	gone := func(path string) func(*world, map[string]any) {
		return func(w *world, _ map[string]any) { assert.Equal(w, 404, w.send("oat", "GET", path, "").status) }
	}
	there := func(path string) func(*world, map[string]any) { // what was made can be read, and says the same
		return func(w *world, a map[string]any) {
			w.ids["made"] = a["id"].(string)
			assert.Equal(w, a, w.get("oat", path))
		}
	}
	count := func(path string, n int) func(*world, map[string]any) {
		return func(w *world, _ map[string]any) { assert.Len(w, w.get("oat", path)["items"], n, path) }
	}
	all := func(fs ...func(*world, map[string]any)) func(*world, map[string]any) {
		return func(w *world, a map[string]any) {
			for _, f := range fs {
				f(w, a)
			}
		}
	}
	refused := func(method, path, body string, status int, name string) func(*world, map[string]any) {
		return func(w *world, _ map[string]any) {
			w.Helper()
			a := w.send("oat", method, path, body)
			assert.Equal(w, status, a.status, a.body)
			assert.Contains(w, a.body, `"error":"`+name+`"`)
		}
	}
	const book = `{"name":"Book","prices":[{"amount_type":"fixed","price_amount":1500}]}`
	open := keep("checkout", "POST", "/v1/checkouts/", `{"products":["{product}"],"customer_id":"{customer}"}`)
	secret := func(w *world) {
		open(w)
		w.ids["secret"] = w.get("oat", "/v1/checkouts/{checkout}")["client_secret"].(string)
	}
	endpoint := keep("endpoint", "POST", "/v1/webhooks/endpoints", `{"url":"http://127.0.0.1:9/none","format":"raw","events":["product.created"]}`)
	delivered := func(w *world) {
		endpoint(w)
		require.Equal(w, 201, w.send("oat", "POST", "/v1/products/", book).status)
		require.Len(w, w.srv.Deliveries(), 1)
		items := w.get("oat", "/v1/webhooks/deliveries")["items"].([]any)
		w.ids["event"] = items[0].(map[string]any)["webhook_event"].(map[string]any)["id"].(string)
	}
	used := func(w *world) {
		require.Equal(w, 200, w.send("oat", "POST", "/v1/events/ingest", `{"events":[{"name":"tokens","external_customer_id":"ada","external_id":"e1","metadata":{"n":3}}]}`).status)
		w.ids["used"] = ids(w.get("oat", "/v1/events/?name=tokens"))[0]
	}
	draft := func(w *world) {
		keep("book", "POST", "/v1/products/", book)(w)
		keep("draft", "POST", "/v1/orders/", `{"customer_id":"{customer}","product_id":"{book}"}`)(w)
	}
	return []row{
		// products
		{op: "products:list", as: "oat", method: "GET", path: "/v1/products/?query=pro&is_recurring=true", status: 200, want: `"id":"{product}"`,
			then: all(count("/v1/products/", 3), count("/v1/products/?benefit_id={benefit}", 2), count("/v1/products/?is_archived=true", 0), count("/v1/products/?organization_id={nobody}", 0))},
		{op: "products:create", as: "oat", method: "POST", path: "/v1/products/", body: book, status: 201, want: `"price_amount":1500`, then: there("/v1/products/{made}"),
			broken: `{"name":"Book","prices":[{"amount_type":"fixed","price_amount":-1}]}`, loc: []any{"body", "ProductCreateOneTime", "prices", 0.0, "fixed", "price_amount"}},
		{op: "products:get", as: "oat", method: "GET", path: "/v1/products/{product}", status: 200, want: `"is_recurring":true`, none: "/v1/products/{nobody}"},
		{op: "products:update", as: "oat", method: "PATCH", path: "/v1/products/{product}", body: `{"name":"Pro 2","description":null,"visibility":"private"}`, status: 200, want: `"name":"Pro 2"`, then: there("/v1/products/{product}"),
			broken: `{"name":"x"}`, loc: []any{"body", "name"}, none: "/v1/products/{nobody}"},
		{op: "products:delete", as: "oat", method: "DELETE", path: "/v1/products/{book}", status: 204, before: keep("book", "POST", "/v1/products/", book),
			then: all(gone("/v1/products/{book}"), refused("DELETE", "/v1/products/{product}", "", 409, "ProductNotDeletable")), none: "/v1/products/{nobody}"},
		{op: "products:update_benefits", as: "oat", method: "POST", path: "/v1/products/{product}/benefits", body: `{"benefits":["{benefit}"]}`, status: 200, want: `"id":"{benefit}"`,
			then:   all(there("/v1/products/{product}"), count("/v1/benefit-grants/?is_granted=false", 3)),
			broken: `{"benefits":["{nobody}"]}`, loc: []any{"body", "benefits", 0.0}, none: "/v1/products/{nobody}/benefits"},

		// benefits
		{op: "benefits:list", as: "oat", method: "GET", path: "/v1/benefits/?type=license_keys", status: 200, want: `"id":"{benefit}"`, then: all(count("/v1/benefits/", 4), count("/v1/benefits/?exclude_id={benefit}", 3), count("/v1/benefits/?query=supp", 1))},
		{op: "benefits:create", as: "oat", method: "POST", path: "/v1/benefits/", body: `{"type":"custom","description":"Thanks","properties":{"note":"Hello"},"metadata":{"a":1.5}}`, status: 201, want: `"note":"Hello"`, then: there("/v1/benefits/{made}"),
			broken: `{"type":"custom","description":"Thanks","properties":{"note":1}}`, loc: []any{"body", "custom", "properties", "note"}},
		{op: "benefits:get", as: "oat", method: "GET", path: "/v1/benefits/{benefit}", status: 200, want: `"description":"App key"`, none: "/v1/benefits/{nobody}"},
		{op: "benefits:update", as: "oat", method: "PATCH", path: "/v1/benefits/{benefit}", body: `{"type":"license_keys","description":"Other key"}`, status: 200, want: `"description":"Other key"`, then: there("/v1/benefits/{benefit}"),
			broken: `{"type":"license_keys","description":"x"}`, loc: []any{"body", "license_keys", "description"}, none: "/v1/benefits/{nobody}"},
		{op: "benefits:delete", as: "oat", method: "DELETE", path: "/v1/benefits/{benefit}", status: 204, then: all(gone("/v1/benefits/{benefit}"), count("/v1/benefits/", 3)), none: "/v1/benefits/{nobody}"},
		{op: "benefits:grants", as: "oat", method: "GET", path: "/v1/benefits/{benefit}/grants?customer_id={customer}", status: 200, want: `"id":"{grant_license_keys}"`, then: count("/v1/benefits/{benefit}/grants?is_granted=false", 0), none: "/v1/benefits/{nobody}/grants"},
		{op: "benefit-grants:list", as: "oat", method: "GET", path: "/v1/benefit-grants/?external_customer_id=ada&sorting=-granted_at", status: 200, want: `"id":"{grant_discord}"`,
			then: all(count("/v1/benefit-grants/", 4), count("/v1/benefit-grants/?customer_id={nobody}", 0))},

		// customers
		{op: "customers:list", as: "oat", method: "GET", path: "/v1/customers/?email=ADA@example.com", status: 200, want: `"id":"{customer}"`, then: all(count("/v1/customers/?query=nobody", 0), count("/v1/customers/?metadata[a]=1", 0))},
		{op: "customers:create", as: "oat", method: "POST", path: "/v1/customers/", body: `{"email":"eve@example.com","metadata":{"a":1}}`, status: 201, want: `"type":"individual"`, then: all(there("/v1/customers/{made}"), count("/v1/customers/?metadata[a]=1", 1)),
			broken: `{"email":"ada@example.com"}`, loc: []any{"body", "email"}},
		{op: "customers:get", as: "oat", method: "GET", path: "/v1/customers/{customer}", status: 200, want: `"external_id":"ada"`, none: "/v1/customers/{nobody}"},
		{op: "customers:get_external", as: "oat", method: "GET", path: "/v1/customers/external/ada", status: 200, want: `"id":"{customer}"`, none: "/v1/customers/external/nobody"},
		{op: "customers:update", as: "oat", method: "PATCH", path: "/v1/customers/{customer}", body: `{"name":null,"locale":"fr"}`, status: 200, want: `"name":null`, then: there("/v1/customers/{customer}"), broken: `{"external_id":"other"}`, loc: []any{"body", "external_id"}, none: "/v1/customers/{nobody}"},
		{op: "customers:update_external", as: "oat", method: "PATCH", path: "/v1/customers/external/ada", body: `{"name":"Countess"}`, status: 200, want: `"name":"Countess"`, then: there("/v1/customers/{customer}"), broken: `{"billing_address":{}}`,
			loc: []any{"body", "billing_address", "country"}, none: "/v1/customers/external/nobody"},
		{op: "customers:delete", as: "oat", method: "DELETE", path: "/v1/customers/{customer}?anonymize=true", status: 204,
			then: all(gone("/v1/customers/{customer}"), count("/v1/benefit-grants/?is_granted=true", 0), func(w *world, _ map[string]any) {
				assert.Equal(w, "canceled", w.get("oat", "/v1/subscriptions/{subscription}")["status"])
				assert.NotContains(w, w.send("oat", "GET", "/v1/orders/{order}", "").body, "ada@example.com")
			}), none: "/v1/customers/{nobody}"},
		{op: "customers:delete_external", as: "oat", method: "DELETE", path: "/v1/customers/external/ada", status: 204, then: gone("/v1/customers/external/ada"), none: "/v1/customers/external/nobody"},
		{op: "customers:get_state", as: "oat", method: "GET", path: "/v1/customers/{customer}/state", status: 200, want: `"benefit_id":"{benefit}"`, then: func(w *world, a map[string]any) {
			assert.Len(w, a["active_subscriptions"], 2)
			assert.Len(w, a["granted_benefits"], 4)
			assert.Len(w, a["active_meters"], 1)
			require.Equal(w, 200, w.send("oat", "DELETE", "/v1/subscriptions/{subscription}", "").status)
			assert.Len(w, w.get("oat", "/v1/customers/{customer}/state")["granted_benefits"], 0)
		}, none: "/v1/customers/{nobody}/state"},
		{op: "customers:get_state_external", as: "oat", method: "GET", path: "/v1/customers/external/ada/state", status: 200, want: `"id":"{customer}"`, none: "/v1/customers/external/nobody/state"},
		{op: "customers:list_payment_methods", as: "oat", method: "GET", path: "/v1/customers/{customer}/payment-methods?limit=100", status: 200, want: `"id":"{method}"`, none: "/v1/customers/{nobody}/payment-methods"},
		{op: "customers:list_payment_methods_external", as: "oat", method: "GET", path: "/v1/customers/external/ada/payment-methods", status: 200, want: `"is_default":true`, none: "/v1/customers/external/nobody/payment-methods"},
		{op: "customer-sessions:create", as: "oat", method: "POST", path: "/v1/customer-sessions/", body: `{"external_customer_id":"ada","return_url":"https://example.com/"}`, status: 201, want: `"customer_id":"{customer}"`,
			then: func(w *world, a map[string]any) {
				w.tokens["fresh"] = a["token"].(string)
				assert.Equal(w, w.ids["customer"], w.get("fresh", "/v1/customer-portal/customers/me")["id"])
			}, broken: `{"external_customer_id":"nobody"}`, loc: []any{"body", "external_customer_id"}},

		// checkouts
		{op: "checkouts:list", as: "oat", method: "GET", path: "/v1/checkouts/?status=open&sorting=-expires_at", status: 200, want: `"id":"{checkout}"`, before: open, then: all(count("/v1/checkouts/", 4), count("/v1/checkouts/?customer_id={nobody}", 0))},
		{op: "checkouts:create", as: "oat", method: "POST", path: "/v1/checkouts/", body: `{"products":["{product}"],"customer_email":"eve@example.com","success_url":"https://example.com/?id={CHECKOUT_ID}"}`, status: 201, want: `"status":"open"`,
			then: all(there("/v1/checkouts/{made}"), func(w *world, a map[string]any) { assert.Contains(w, a["success_url"], a["id"]) }), broken: `{"products":["{nobody}"]}`, loc: []any{"body", "products", 0.0}},
		{op: "checkouts:get", as: "oat", method: "GET", path: "/v1/checkouts/{checkout}", status: 200, want: `"status":"open"`, before: open, none: "/v1/checkouts/{nobody}"},
		{op: "checkouts:update", as: "oat", method: "PATCH", path: "/v1/checkouts/{checkout}", body: `{"customer_name":"Ada L","trial_interval":"month","trial_interval_count":1}`, status: 200, want: `"active_trial_interval":"month"`, before: open,
			then: all(there("/v1/checkouts/{checkout}"), func(w *world, _ map[string]any) {
				require.NoError(w, w.srv.CompleteCheckout(w.ids["checkout"]))
				refused("PATCH", "/v1/checkouts/{checkout}", "{}", 403, "NotOpenCheckout")(w, nil)
			}), broken: `{"trial_interval_count":0}`, loc: []any{"body", "trial_interval_count"}, none: "/v1/checkouts/{nobody}"},
		{op: "checkouts:client_get", method: "GET", path: "/v1/checkouts/client/{secret}", status: 200, want: `"organization":{`, before: secret, none: "/v1/checkouts/client/nobody", then: func(w *world, _ map[string]any) {
			w.srv.Advance(25 * time.Hour)
			refused("GET", "/v1/checkouts/client/{secret}", "", 410, "ExpiredCheckoutError")(w, nil)
		}},
		{op: "checkouts:client_update", method: "PATCH", path: "/v1/checkouts/client/{secret}", body: `{"customer_name":"Eve"}`, status: 200, want: `"customer_name":"Eve"`, before: secret, broken: `{"discount_code":"none"}`, loc: []any{"body", "discount_code"},
			none: "/v1/checkouts/client/nobody", then: func(w *world, _ map[string]any) {
				assert.Equal(w, "Eve", w.get("oat", "/v1/checkouts/{checkout}")["customer_name"])
			}},
		{op: "checkouts:client_confirm", method: "POST", path: "/v1/checkouts/client/{secret}/confirm", body: `{"confirmation_token_id":"ctoken_1"}`, status: 200, want: `"status":"confirmed"`, before: secret, broken: `{}`,
			loc: []any{"body", "confirmation_token_id"}, none: "/v1/checkouts/client/nobody/confirm", then: func(w *world, _ map[string]any) {
				assert.Equal(w, "succeeded", w.get("oat", "/v1/checkouts/{checkout}")["status"])
				count("/v1/orders/?checkout_id={checkout}", 1)(w, nil)
			}},

		// orders, payments, refunds
		{op: "orders:list", as: "oat", method: "GET", path: "/v1/orders/?status=pending&product_billing_type=recurring", status: 200, want: `"id":"{due}"`, then: all(count("/v1/orders/?product_billing_type=one_time", 0), count("/v1/orders/?external_customer_id=ada&sorting=amount", 4))},
		{op: "orders:get", as: "oat", method: "GET", path: "/v1/orders/{order}", status: 200, want: `"billing_reason":"subscription_create"`, none: "/v1/orders/{nobody}"},
		{op: "orders:create", as: "oat", method: "POST", path: "/v1/orders/", body: `{"customer_id":"{customer}","product_id":"{book}","amount":900}`, status: 201, want: `"status":"draft"`, before: keep("book", "POST", "/v1/products/", book),
			then: there("/v1/orders/{made}"), broken: `{"customer_id":"{customer}","product_id":"{product}"}`, loc: []any{"body", "product_id"}},
		{op: "orders:finalize", as: "oat", method: "POST", path: "/v1/orders/{draft}/finalize", body: `{"payment_method_id":"{method}"}`, status: 200, want: `"status":"paid"`, before: draft,
			then: all(there("/v1/orders/{draft}"), refused("POST", "/v1/orders/{draft}/finalize", "", 412, "OrderNotDraft")), broken: `{"payment_method_id":"{nobody}"}`, loc: []any{"body", "payment_method_id"}, none: "/v1/orders/{nobody}/finalize"},
		{op: "orders:update", as: "oat", method: "PATCH", path: "/v1/orders/{order}", body: `{"billing_name":"Ada Ltd","billing_address":{"country":"FR"}}`, status: 200, want: `"billing_name":"Ada Ltd"`, then: there("/v1/orders/{order}"),
			broken: `{"billing_address":{"country":"XX"}}`, loc: []any{"body", "billing_address", "country"}, none: "/v1/orders/{nobody}"},
		{op: "orders:generate_invoice", as: "oat", method: "POST", path: "/v1/orders/{order}/invoice", status: 202, none: "/v1/orders/{nobody}/invoice",
			then: all(refused("POST", "/v1/orders/{due}/invoice", "", 409, "OrderNotEligibleForInvoice"), func(w *world, _ map[string]any) {
				w.srv.Advance(time.Minute)
				assert.Equal(w, true, w.get("oat", "/v1/orders/{order}")["is_invoice_generated"])
			})},
		{op: "orders:invoice", as: "oat", method: "GET", path: "/v1/orders/{order}/invoice", status: 200, want: `"url":"http`, none: "/v1/orders/{due}/invoice", before: func(w *world) {
			require.Equal(w, 202, w.send("oat", "POST", "/v1/orders/{order}/invoice", "").status)
			require.Equal(w, 404, w.send("oat", "GET", "/v1/orders/{order}/invoice", "").status, "not made yet")
			w.srv.Advance(time.Minute)
		}},
		{op: "orders:receipt", as: "oat", method: "GET", path: "/v1/orders/{order}/receipt", status: 202, none: "/v1/orders/{due}/receipt", then: func(w *world, _ map[string]any) {
			w.srv.Advance(time.Minute)
			assert.Contains(w, w.get("oat", "/v1/orders/{order}/receipt")["url"], w.ids["order"])
		}},
		{op: "orders:export", as: "oat", method: "GET", path: "/v1/orders/export?status=paid&columns=email&columns=total_amount", status: 200, want: "Email,Total\r\nada@example.com,7.0\r\n"},
		{op: "payments:list", as: "oat", method: "GET", path: "/v1/payments/?status=failed&order_id={due}", status: 200, want: `"decline_reason":"card_declined"`, then: all(count("/v1/payments/?customer_id={nobody}", 0), func(w *world, a map[string]any) {
			w.ids["payment"] = ids(a)[0]
			assert.Equal(w, a["items"].([]any)[0], any(w.get("oat", "/v1/payments/{payment}")))
		})},
		{op: "payments:get", as: "oat", method: "GET", path: "/v1/payments/{payment}", status: 200, want: `"status":"succeeded"`, none: "/v1/payments/{nobody}", before: func(w *world) {
			w.ids["payment"] = ids(w.get("oat", "/v1/payments/?status=succeeded"))[0]
		}},
		{op: "refunds:list", as: "oat", method: "GET", path: "/v1/refunds/?order_id={order}&succeeded=true", status: 200, want: `"id":"{refund}"`, before: keep("refund", "POST", "/v1/refunds/", `{"order_id":"{order}","reason":"other","amount":1}`),
			then: all(count("/v1/refunds/?customer_id={nobody}", 0), count("/v1/refunds/?external_customer_id=ada&sorting=amount", 1))},
		{op: "refunds:create", as: "oat", method: "POST", path: "/v1/refunds/", body: `{"order_id":"{order}","reason":"customer_request","amount":1000}`, status: 201, want: `"status":"succeeded"`,
			then: all(refused("POST", "/v1/refunds/", `{"order_id":"{order}","reason":"other","amount":1}`, 403, "RefundedAlready"), func(w *world, _ map[string]any) {
				assert.Equal(w, "refunded", w.get("oat", "/v1/orders/{order}")["status"])
			}), broken: `{"order_id":"{order}","reason":"other","amount":1001}`, loc: []any{"body", "amount"}},

		// subscriptions
		{op: "subscriptions:list", as: "oat", method: "GET", path: "/v1/subscriptions/?status=past_due", status: 200, want: `"id":"{late}"`, then: all(count("/v1/subscriptions/?active=true", 2), count("/v1/subscriptions/?product_id={nobody}", 0))},
		{op: "subscriptions:get", as: "oat", method: "GET", path: "/v1/subscriptions/{subscription}", status: 200, want: `"status":"active"`, none: "/v1/subscriptions/{nobody}"},
		{op: "subscriptions:create", as: "oat", method: "POST", path: "/v1/subscriptions/", body: `{"product_id":"{free}","external_customer_id":"ada"}`, status: 201, want: `"amount":0`,
			before: keep("free", "POST", "/v1/products/", `{"name":"Free","recurring_interval":"month","prices":[{"amount_type":"fixed","price_amount":0}]}`),
			then:   there("/v1/subscriptions/{made}"), broken: `{"product_id":"{product}","customer_id":"{customer}"}`, loc: []any{"body", "product_id"}},
		{op: "subscriptions:update", as: "oat", method: "PATCH", path: "/v1/subscriptions/{subscription}", body: `{"cancel_at_period_end":true}`, status: 200, want: `"cancel_at_period_end":true`,
			then:   all(there("/v1/subscriptions/{subscription}"), refused("PATCH", "/v1/subscriptions/{subscription}", `{"cancel_at_period_end":true}`, 403, "AlreadyCanceledSubscription")),
			broken: `{"seats":"three"}`, loc: []any{"body", "SubscriptionUpdateSeats", "seats"}, none: "/v1/subscriptions/{nobody}"},
		{op: "subscriptions:revoke", as: "oat", method: "DELETE", path: "/v1/subscriptions/{subscription}", status: 200, want: `"status":"canceled"`, none: "/v1/subscriptions/{nobody}",
			then: all(there("/v1/subscriptions/{subscription}"), refused("DELETE", "/v1/subscriptions/{subscription}", "", 403, "AlreadyCanceledSubscription"))},
		{op: "subscriptions:export", as: "oat", method: "GET", path: "/v1/subscriptions/export?columns=product&columns=status&product_id={product}", status: 200, want: "Product,Status\r\nPro,active\r\n"},

		// usage
		{op: "meters:list", as: "oat", method: "GET", path: "/v1/meters/?query=tok", status: 200, want: `"id":"{meter}"`, then: count("/v1/meters/?is_archived=true", 0)},
		{op: "meters:create", as: "oat", method: "POST", path: "/v1/meters/", body: `{"name":"Bytes","filter":{"conjunction":"or","clauses":[]},"aggregation":{"func":"sum","property":"bytes"}}`, status: 201, want: `"func":"sum"`, then: there("/v1/meters/{made}"),
			broken: `{"name":"Bytes","filter":{"conjunction":"xor","clauses":[]},"aggregation":{"func":"count"}}`, loc: []any{"body", "filter", "conjunction"}},
		{op: "meters:get", as: "oat", method: "GET", path: "/v1/meters/{meter}", status: 200, want: `"name":"Tokens"`, none: "/v1/meters/{nobody}"},
		{op: "meters:update", as: "oat", method: "PATCH", path: "/v1/meters/{meter}", body: `{"name":"Words","unit":"token"}`, status: 200, want: `"name":"Words"`, then: there("/v1/meters/{meter}"), broken: `{"unit":"x"}`, loc: []any{"body", "unit"}, none: "/v1/meters/{nobody}"},
		{op: "meters:quantities", as: "oat", method: "GET", path: "/v1/meters/{meter}/quantities?start_timestamp=2026-11-01T00:00:00Z&end_timestamp=2026-11-30T00:00:00Z&interval=month", status: 200, want: `"total":1`, before: used,
			none: "/v1/meters/{nobody}/quantities?start_timestamp=2026-11-01T00:00:00Z&end_timestamp=2026-11-30T00:00:00Z&interval=month"},
		{op: "customer_meters:list", as: "oat", method: "GET", path: "/v1/customer-meters/?meter_id={meter}&sorting=-balance", status: 200, want: `"id":"{customer_meter}"`, then: count("/v1/customer-meters/?external_customer_id=nobody", 0)},
		{op: "customer_meters:get", as: "oat", method: "GET", path: "/v1/customer-meters/{customer_meter}", status: 200, want: `"credited_units":100`, none: "/v1/customer-meters/{nobody}", then: func(w *world, _ map[string]any) {
			used(w)
			assert.Equal(w, 99.0, w.get("oat", "/v1/customer-meters/{customer_meter}")["balance"])
		}},
		{op: "events:list", as: "oat", method: "GET", path: `/v1/events/?source=user&filter=%7B%22conjunction%22:%22and%22,%22clauses%22:%5B%7B%22property%22:%22n%22,%22operator%22:%22gt%22,%22value%22:2%7D%5D%7D`, status: 200, want: `"id":"{used}"`, before: used,
			then: all(count("/v1/events/?meter_id={meter}", 1), count("/v1/events/?customer_id={nobody}", 0), count("/v1/events/?source=user&metadata[n]=4", 0), func(w *world, _ map[string]any) {
				a := w.send("oat", "GET", "/v1/events/?filter=%7B%7D", "")
				assert.Equal(w, 422, a.status)
				assert.Equal(w, []any{"query", "filter", "conjunction"}, a.faults(w.T)[0].Loc)
			})},
		{op: "events:get", as: "oat", method: "GET", path: "/v1/events/{used}", status: 200, want: `"name":"tokens"`, before: used, none: "/v1/events/{nobody}"},
		{op: "events:list_names", as: "oat", method: "GET", path: "/v1/events/names?source=user", status: 200, want: `"occurrences":1`, before: used, then: count("/v1/events/names?query=nothing", 0)},
		{op: "events:ingest", as: "oat", method: "POST", path: "/v1/events/ingest", body: `{"events":[{"name":"tokens","customer_id":"{customer}","external_id":"e9"}]}`, status: 200, want: `{"inserted":1,"duplicates":0}`,
			then: func(w *world, _ map[string]any) {
				a := w.send("oat", "POST", "/v1/events/ingest", `{"events":[{"name":"tokens","customer_id":"{customer}","external_id":"e9"}]}`)
				assert.JSONEq(w, `{"inserted":0,"duplicates":1}`, a.body)
				count("/v1/events/?name=tokens", 1)(w, nil)
			}, broken: `{"events":[{"name":"tokens","customer_id":"{nobody}"}]}`, loc: []any{"body", "events", 0.0, "customer_id"}},

		// webhooks
		{op: "webhooks:list_webhook_endpoints", as: "oat", method: "GET", path: "/v1/webhooks/endpoints", status: 200, want: `"id":"{endpoint}"`, before: endpoint, then: count("/v1/webhooks/endpoints?organization_id={nobody}", 0)},
		{op: "webhooks:create_webhook_endpoint", as: "oat", method: "POST", path: "/v1/webhooks/endpoints", body: `{"url":"https://example.com/hook","format":"slack","events":["order.paid"]}`, status: 201, want: `"secret":"whsec_`, then: there("/v1/webhooks/endpoints/{made}"),
			broken: `{"url":"https://example.com/hook","format":"raw","events":["order.lost"]}`, loc: []any{"body", "events", 0.0}},
		{op: "webhooks:get_webhook_endpoint", as: "oat", method: "GET", path: "/v1/webhooks/endpoints/{endpoint}", status: 200, want: `"enabled":true`, before: endpoint, none: "/v1/webhooks/endpoints/{nobody}"},
		{op: "webhooks:update_webhook_endpoint", as: "oat", method: "PATCH", path: "/v1/webhooks/endpoints/{endpoint}", body: `{"enabled":false}`, status: 200, want: `"enabled":false`, before: endpoint, then: there("/v1/webhooks/endpoints/{endpoint}"),
			broken: `{"url":"http://example.com/"}`, loc: []any{"body", "url"}, none: "/v1/webhooks/endpoints/{nobody}"},
		{op: "webhooks:delete_webhook_endpoint", as: "oat", method: "DELETE", path: "/v1/webhooks/endpoints/{endpoint}", status: 204, before: endpoint, then: gone("/v1/webhooks/endpoints/{endpoint}"), none: "/v1/webhooks/endpoints/{nobody}"},
		{op: "webhooks:reset_webhook_endpoint_secret", as: "oat", method: "PATCH", path: "/v1/webhooks/endpoints/{endpoint}/secret", status: 200, want: `"uses_standard_webhook_signature":true`, before: endpoint, then: there("/v1/webhooks/endpoints/{endpoint}"),
			none: "/v1/webhooks/endpoints/{nobody}/secret"},
		{op: "webhooks:list_webhook_deliveries", as: "oat", method: "GET", path: "/v1/webhooks/deliveries?endpoint_id={endpoint}&succeeded=false", status: 200, want: `"http_code":null`, before: delivered,
			then: all(count("/v1/webhooks/deliveries?event_type=order.paid", 0), count("/v1/webhooks/deliveries?http_code_class=2xx", 0))},
		{op: "webhooks:redeliver_webhook_event", as: "oat", method: "POST", path: "/v1/webhooks/events/{event}/redeliver", status: 202, before: delivered, none: "/v1/webhooks/events/{nobody}/redeliver", then: func(w *world, _ map[string]any) {
			assert.Len(w, w.srv.Deliveries(), 2)
		}},
	}
}

func TestSaleOperations(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, r := range saleRows() {
		require.False(t, covered[r.op], r.op)
		covered[r.op] = true
		t.Run(r.op, func(t *testing.T) {
			t.Parallel()
			r.run(t)
		})
	}
	for _, op := range polartest.Operations() {
		for _, group := range []string{"products:", "benefits:", "benefit-grants:", "customer-sessions:", "checkouts:", "orders:", "payments:", "refunds:", "subscriptions:", "meters:", "customer_meters:", "events:", "webhooks:"} {
			if strings.HasPrefix(op, group) && !covered[op] && op != "benefits:files" {
				t.Errorf("%s has no row", op)
			}
		}
	}
}
