package polartest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// world is a server on which much has been sold already.
type world struct {
	*shop
	ids    map[string]string // what {placeholders} of paths and bodies stand for
	tokens map[string]string
}

const nobody = "11111111-2222-4333-8444-555555555555"

// newWorld makes a customer with a plan that gives every kind of benefit, a plan that is not
// paid, seats, credit and a card; and with members on, a team with an owner, a billing manager and a member.
func newWorld(t *testing.T, team bool) *world {
	t.Helper()
	var opts []polartest.Option
	if team {
		opts = append(opts, polartest.WithMembers())
	}
	s := newShop(t, opts...)
	w := &world{shop: s, ids: map[string]string{"organization": s.srv.OrganizationID(), "nobody": nobody}, tokens: map[string]string{}}
	w.tokens["oat"] = s.srv.Token()
	w.tokens["other"] = s.srv.Token(models.ScopeWalletsRead)

	body := models.CustomerCreate{Email: "ada@example.com", ExternalID: new("ada"), Name: new("Ada"), BillingAddress: &models.Address{Country: "DE"}}
	if team {
		body.Type, body.Owner = models.CustomerTypeTeam, &models.MemberOwnerCreate{Email: "ada@example.com", ExternalID: new("m-ada")}
	}
	c := must(s.client.Customers.Create(s.ctx, body))(t)
	w.ids["customer"] = c.ID
	w.ids["late"] = s.subscribe(c, s.plan("Late", 700)).ID
	s.srv.Advance(24 * time.Hour) // so that only the first plan is due after a month
	if team {
		for name, role := range map[string]models.MemberRole{"manager": models.MemberRoleBillingManager, "member": models.MemberRoleMember} {
			m := must(s.client.Members.Create(s.ctx, c.ID, models.MemberCreate{Email: name + "@example.com", Role: &role, ExternalID: new("m-" + name)}))(t)
			w.ids[name] = m.ID
		}
		owner := must(s.client.Members.List(s.ctx, c.ID, &polar.MemberListParams{Role: models.MemberRoleOwner}))(t).Items[0]
		w.ids["owner"] = owner.ID
	}

	meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Tokens", Filter: models.And(models.Where("name", models.FilterOperatorEq, "tokens")), Aggregation: models.Count()}))(t)
	w.ids["meter"] = meter.ID
	p := s.plan("Pro", 1000)
	var benefits []string
	for _, b := range []models.BenefitCreate{
		models.BenefitLicenseKeysCreate{Description: "App key", Properties: models.BenefitLicenseKeysCreateProperties{Prefix: new("app"), LimitUsage: new(10),
			Expires: &models.BenefitLicenseKeyExpiration{Ttl: 1, Timeframe: models.LicenseKeyTimeframeYear}, Activations: &models.BenefitLicenseKeyActivations{Limit: 2}}},
		models.BenefitDiscordCreate{Description: "Chat", Properties: models.BenefitDiscordProperties{GuildID: "g1", RoleID: "r1"}},
		models.BenefitMeterCreditCreate{Description: "Tokens", Properties: models.BenefitMeterCreditProperties{MeterID: meter.ID, Units: 100}},
		models.BenefitCustomCreate{Description: "Support"},
	} {
		benefits = append(benefits, must(s.client.Benefits.Create(s.ctx, b))(t).ID)
	}
	must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: benefits}))(t)
	w.ids["product"], w.ids["benefit"] = p.ID, benefits[0]

	sub := s.subscribe(c, p)
	w.ids["subscription"] = sub.ID
	w.ids["order"] = s.orders(c)[1].ID
	for _, k := range must(s.client.LicenseKeys.List(s.ctx, nil))(t).Items {
		w.ids["key"], w.ids["KEY"] = k.ID, k.Key
	}
	a := must(s.client.LicenseKeys.Activate(s.ctx, models.LicenseKeyActivate{Key: w.ids["KEY"], OrganizationID: w.ids["organization"], Label: "laptop"}))(t)
	w.ids["activation"] = a.ID
	for _, g := range must(s.client.BenefitGrants.List(s.ctx, nil))(t).Items {
		w.ids["grant_"+string(g.Benefit.Type)] = g.ID
	}
	w.ids["customer_meter"] = must(s.client.CustomerMeters.List(s.ctx, nil))(t).Items[0].ID
	w.ids["method"] = must(s.client.Customers.ListPaymentMethods(s.ctx, c.ID, nil))(t).Items[0].ID

	seats := must(s.client.Products.Create(s.ctx, models.ProductCreateRecurring{Name: "Team", RecurringInterval: models.RecurringIntervalMonth, Prices: []models.ProductPriceCreate{
		models.ProductPriceSeatBasedCreate{SeatTiers: models.ProductPriceSeatTiersCreate{Tiers: []models.ProductPriceSeatTier{{MinSeats: 1, PricePerSeat: 500}}}}}}))(t)
	must(s.client.Products.SetBenefits(s.ctx, seats.ID, models.ProductBenefitsUpdate{Benefits: benefits[:1]}))(t)
	w.ids["seats_product"] = seats.ID
	w.ids["seats"] = s.subscribe(c, seats, func(b *models.CheckoutCreate) { b.Seats = new(3) }).ID
	seat := must(s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: new(w.ids["seats"]), Email: new("bob@example.com")}))(t)
	w.ids["seat"] = seat.ID
	w.ids["invitation"] = must(s.srv.SeatInvitation(seat.ID))(t)

	require.NoError(t, s.srv.DeclinePayments(c.ID, true))
	s.until(start.AddDate(0, 1, 0))
	require.NoError(t, s.srv.DeclinePayments(c.ID, false))
	for _, o := range s.orders(c) {
		if o.Status == models.OrderStatusPending && *o.SubscriptionID == w.ids["late"] {
			w.ids["due"] = o.ID
		}
	}
	require.NoError(t, s.srv.Credit("ada", 250, "eur"))
	if team {
		for kind, id := range map[string]string{"customer": "owner", "manager": "manager", "member": "member"} {
			w.tokens[kind] = w.session(models.CustomerSessionCreate{CustomerID: &c.ID, MemberID: new(w.ids[id])})
		}
	} else {
		w.tokens["customer"] = w.session(models.CustomerSessionCreate{CustomerID: &c.ID, ReturnURL: new("https://example.com/account")})
	}
	must(s.client.Seats.ResendInvitation(s.ctx, seat.ID))(t)
	w.ids["invitation"] = must(s.srv.SeatInvitation(seat.ID))(t)
	w.ids["wallet"] = ids(w.get("customer", "/v1/customer-portal/wallets/"))[0]
	require.Equal(t, 202, w.send("customer", "POST", "/v1/customer-portal/customers/me/email-update/request", `{"email":"countess@example.com"}`).status)
	w.ids["email_token"] = must(s.srv.EmailUpdateToken(c.ID))(t)
	return w
}

func (w *world) session(in models.CustomerSessionCreate) string {
	w.Helper()
	return must(w.client.CustomerSessions.Create(w.ctx, in))(w).Token
}

// expand puts ids in the place of {names}.
func (w *world) expand(s string) string {
	var pairs []string
	for name, id := range w.ids {
		pairs = append(pairs, "{"+name+"}", id)
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

func (w *world) send(as, method, path, body string) answer {
	w.Helper()
	return send(w.T, w.srv, method, w.expand(path), w.tokens[as], w.expand(body))
}

// get reads a path that must be there.
func (w *world) get(as, path string) map[string]any {
	w.Helper()
	a := w.send(as, "GET", path, "")
	require.Equal(w, 200, a.status, a.body)
	return object(w.T, a.body)
}

func object(t *testing.T, body string) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &m), body)
	return m
}

func ids(m map[string]any) []string {
	var out []string
	for _, x := range m["items"].([]any) {
		out = append(out, x.(map[string]any)["id"].(string))
	}
	return out
}

// row is an operation: a call that works, what is different afterwards, and what goes wrong.
type row struct {
	op     string
	team   bool   // needs the world with a team
	as     string // whose token; "" for none
	method string
	path   string
	body   string
	status int
	want   string // in the answer, with its ids
	then   func(w *world, answer map[string]any)
	broken string // a body that is refused
	loc    []any  // where
	none   string // a path, or else a body, of something that is not there
	before func(w *world)
}

func portalRows() []row {
	const key = `{"key":"{KEY}","organization_id":"{organization}"`
	const portal = "/v1/customer-portal"
	grantedKeys := func(as string, n int) func(*world, map[string]any) {
		return func(w *world, _ map[string]any) {
			assert.Len(w, w.get(as, portal+"/license-keys/")["items"], n)
		}
	}
	gone := func(as, path string) func(*world, map[string]any) {
		return func(w *world, _ map[string]any) { assert.Equal(w, 404, w.send(as, "GET", path, "").status) }
	}
	same := func(as, path, member string) func(*world, map[string]any) {
		return func(w *world, a map[string]any) { assert.Equal(w, a[member], w.get(as, path)[member]) }
	}
	return []row{
		// license keys
		{op: "license_keys:list", as: "oat", method: "GET", path: "/v1/license-keys/?benefit_id={benefit}&status=granted", status: 200, want: `"id":"{key}"`,
			then: func(w *world, _ map[string]any) {
				assert.Empty(w, w.get("oat", "/v1/license-keys/?status=revoked")["items"])
				assert.Empty(w, w.get("oat", "/v1/license-keys/?organization_id={nobody}")["items"])
			}},
		{op: "license_keys:get", as: "oat", method: "GET", path: "/v1/license-keys/{key}", status: 200, want: `"id":"{activation}","license_key_id":"{key}","label":"laptop"`, none: "/v1/license-keys/{nobody}"},
		{op: "license_keys:update", as: "oat", method: "PATCH", path: "/v1/license-keys/{key}", body: `{"status":"disabled","usage":3,"limit_usage":null,"limit_activations":5,"expires_at":"2030-01-01T01:00:00+01:00"}`, status: 200,
			want: `"status":"disabled","limit_activations":5,"usage":3,"limit_usage":null,"validations":0,"last_validated_at":null,"expires_at":"2030-01-01T00:00:00Z"`, then: same("oat", "/v1/license-keys/{key}", "usage"),
			broken: `{"limit_usage":0}`, loc: []any{"body", "limit_usage"}, none: "/v1/license-keys/{nobody}"},
		{op: "license_keys:rotate", as: "oat", method: "POST", path: "/v1/license-keys/{key}/rotate", status: 200, want: `"key":"APP_`,
			then: func(w *world, a map[string]any) {
				assert.NotEqual(w, w.ids["KEY"], a["key"])
				assert.Equal(w, 404, w.send("oat", "POST", "/v1/license-keys/validate", key+`}`).status, "the old key stops working")
				w.ids["KEY"] = a["key"].(string)
				assert.Equal(w, 200, w.send("oat", "POST", "/v1/license-keys/validate", key+`,"activation_id":"{activation}"}`).status, "activations stay")
			}, none: "/v1/license-keys/{nobody}/rotate"},
		{op: "license_keys:get_activation", as: "oat", method: "GET", path: "/v1/license-keys/{key}/activations/{activation}", status: 200, want: `"license_key":{"id":"{key}"`, none: "/v1/license-keys/{key}/activations/{nobody}"},
		{op: "license_keys:validate", as: "oat", method: "POST", path: "/v1/license-keys/validate", body: key + `,"increment_usage":4,"benefit_id":"{benefit}","customer_id":"{customer}"}`, status: 200, want: `"usage":4,"limit_usage":10,"validations":1`,
			then: func(w *world, _ map[string]any) {
				a := w.send("oat", "POST", "/v1/license-keys/validate", key+`,"increment_usage":7}`)
				assert.Equal(w, 400, a.status, a.body)
				assert.Contains(w, a.body, `"error":"BadRequest"`)
				assert.Equal(w, 4.0, w.get("oat", "/v1/license-keys/{key}")["usage"])
			}, broken: key + `,"increment_usage":-1}`, loc: []any{"body", "increment_usage"}, none: key + `,"benefit_id":"{nobody}"}`},
		{op: "license_keys:activate", as: "oat", method: "POST", path: "/v1/license-keys/activate", body: key + `,"label":"phone","meta":{"os":"x"}}`, status: 200, want: `"label":"phone","meta":{"os":"x"}`,
			then: func(w *world, _ map[string]any) {
				a := w.send("oat", "POST", "/v1/license-keys/activate", key+`,"label":"third"}`)
				assert.Equal(w, 403, a.status, a.body)
				assert.Contains(w, a.body, `"error":"NotPermitted"`)
			}, broken: `{"key":"x","organization_id":"{organization}"}`, loc: []any{"body", "label"}, none: `{"key":"x","organization_id":"{organization}","label":"l"}`},
		{op: "license_keys:deactivate", as: "oat", method: "POST", path: "/v1/license-keys/deactivate", body: key + `,"activation_id":"{activation}"}`, status: 204, then: gone("oat", "/v1/license-keys/{key}/activations/{activation}"),
			broken: key + `,"activation_id":"x"}`, loc: []any{"body", "activation_id"}, none: key + `,"activation_id":"{nobody}"}`},
		{op: "customer_portal:license_keys:list", as: "customer", method: "GET", path: portal + "/license-keys/?benefit_id={benefit}", status: 200, want: `"id":"{key}"`,
			then: func(w *world, _ map[string]any) {
				assert.Empty(w, w.get("customer", portal+"/license-keys/?benefit_id={nobody}")["items"])
			}},
		{op: "customer_portal:license_keys:get", as: "customer", method: "GET", path: portal + "/license-keys/{key}", status: 200, want: `"activations":[{"id":"{activation}"`, none: portal + "/license-keys/{nobody}"},
		{op: "customer_portal:license_keys:rotate", as: "customer", method: "POST", path: portal + "/license-keys/{key}/rotate", status: 200, want: `"display_key":"****-`,
			then: func(w *world, a map[string]any) {
				assert.NotEqual(w, w.ids["KEY"], a["key"])
				require.Equal(w, 200, w.send("oat", "PATCH", "/v1/license-keys/{key}", `{"status":"revoked"}`).status)
				b := w.send("customer", "POST", portal+"/license-keys/{key}/rotate", "")
				assert.Equal(w, 400, b.status)
				assert.Contains(w, b.body, `"error":"RotateNotPermitted"`)
			}, none: portal + "/license-keys/{nobody}/rotate"},
		{op: "customer_portal:license_keys:validate", method: "POST", path: portal + "/license-keys/validate", body: key + `,"activation_id":"{activation}"}`, status: 200, want: `"activation":{"id":"{activation}"`,
			broken: `{}`, loc: []any{"body", "key"}, none: `{"key":"{KEY}","organization_id":"{nobody}"}`},
		{op: "customer_portal:license_keys:activate", method: "POST", path: portal + "/license-keys/activate", body: key + `,"label":"phone","conditions":{"major":2}}`, status: 200, want: `"label":"phone"`,
			then: func(w *world, a map[string]any) {
				w.ids["second"] = a["id"].(string)
				assert.Equal(w, 404, w.send("", "POST", portal+"/license-keys/validate", key+`,"activation_id":"{second}"}`).status, "the conditions are part of it")
				assert.Equal(w, 200, w.send("", "POST", portal+"/license-keys/validate", key+`,"activation_id":"{second}","conditions":{"major":2}}`).status)
			}, broken: `{"key":"{KEY}","label":"x"}`, loc: []any{"body", "organization_id"}, none: `{"key":"x","organization_id":"{organization}","label":"l"}`},
		{op: "customer_portal:license_keys:deactivate", method: "POST", path: portal + "/license-keys/deactivate", body: key + `,"activation_id":"{activation}"}`, status: 204,
			then: gone("oat", "/v1/license-keys/{key}/activations/{activation}"), broken: key + `}`, loc: []any{"body", "activation_id"}, none: key + `,"activation_id":"{nobody}"}`},

		// seats
		{op: "customer-seats:assign_seat", as: "oat", method: "POST", path: "/v1/customer-seats", body: `{"subscription_id":"{seats}","email":"eve@example.com","metadata":{"team":"x"}}`, status: 200, want: `"status":"pending"`,
			then: func(w *world, a map[string]any) {
				assert.Equal(w, map[string]any{"team": "x"}, a["seat_metadata"])
				list := w.get("oat", "/v1/customer-seats?subscription_id={seats}")
				assert.Equal(w, []any{1.0, 3.0}, []any{list["available_seats"], list["total_seats"]})
				b := w.send("oat", "POST", "/v1/customer-seats", `{"subscription_id":"{seats}","email":"eve@example.com"}`)
				assert.Equal(w, 400, b.status)
				assert.Contains(w, b.body, `"SeatAlreadyAssigned"`)
				assert.Equal(w, 200, w.send("oat", "POST", "/v1/customer-seats", `{"subscription_id":"{seats}","email":"dan@example.com"}`).status)
				b = w.send("oat", "POST", "/v1/customer-seats", `{"subscription_id":"{seats}","email":"fay@example.com"}`)
				assert.Equal(w, 400, b.status)
				assert.Contains(w, b.body, `"SeatNotAvailable"`)
			}, broken: `{"email":"eve@example.com"}`, loc: []any{"body"}, none: `{"subscription_id":"{nobody}","email":"eve@example.com"}`},
		{op: "customer-seats:list_seats", as: "oat", method: "GET", path: "/v1/customer-seats?subscription_id={seats}", status: 200, want: `"available_seats":2,"total_seats":3`, none: "/v1/customer-seats?subscription_id={nobody}"},
		{op: "customer-seats:revoke_seat", as: "oat", method: "DELETE", path: "/v1/customer-seats/{seat}", status: 200, want: `"status":"revoked"`,
			then: func(w *world, _ map[string]any) {
				assert.Equal(w, 3.0, w.get("oat", "/v1/customer-seats?subscription_id={seats}")["available_seats"])
				assert.Equal(w, 400, w.send("", "GET", "/v1/customer-seats/claim/{invitation}", "").status)
			}, none: "/v1/customer-seats/{nobody}"},
		{op: "customer-seats:resend_invitation", as: "oat", method: "POST", path: "/v1/customer-seats/{seat}/resend", status: 200, want: `"status":"pending"`,
			then: func(w *world, _ map[string]any) {
				assert.Equal(w, 400, w.send("", "GET", "/v1/customer-seats/claim/{invitation}", "").status, "the first invitation is not good any more")
			}, none: "/v1/customer-seats/{nobody}/resend"},
		{op: "customer-seats:get_claim_info", method: "GET", path: "/v1/customer-seats/claim/{invitation}", status: 200, want: `"product_name":"Team","product_id":"{seats_product}"`,
			then: func(w *world, a map[string]any) {
				assert.Equal(w, []any{"bob@example.com", true, "acme"}, []any{a["customer_email"], a["can_claim"], a["organization_slug"]})
				w.srv.Advance(25 * time.Hour)
				assert.Equal(w, 400, w.send("", "GET", "/v1/customer-seats/claim/{invitation}", "").status, "expired")
			}},
		{op: "customer-seats:claim_seat", method: "POST", path: "/v1/customer-seats/claim", body: `{"invitation_token":"{invitation}"}`, status: 200, want: `"status":"claimed"`,
			then: func(w *world, a map[string]any) {
				w.tokens["bob"] = a["customer_session_token"].(string)
				grantedKeys("bob", 1)(w, nil)
				assert.Equal(w, []string{w.ids["seats"]}, ids(w.get("bob", portal+"/seats/subscriptions")))
				assert.Equal(w, 400, w.send("", "POST", "/v1/customer-seats/claim", `{"invitation_token":"{invitation}"}`).status, "used")
				b := w.send("oat", "POST", "/v1/customer-seats/{seat}/resend", "")
				assert.Equal(w, 400, b.status)
				assert.Contains(w, b.body, `"SeatNotPending"`)
				require.Equal(w, 200, w.send("oat", "DELETE", "/v1/customer-seats/{seat}", "").status)
				items := w.get("bob", portal+"/license-keys/")["items"].([]any)
				assert.Equal(w, "revoked", items[0].(map[string]any)["status"])
			}, broken: `{}`, loc: []any{"body", "invitation_token"}},
		{op: "customer_portal:seats:assign_seat", as: "customer", method: "POST", path: portal + "/seats", body: `{"subscription_id":"{seats}","email":"eve@example.com"}`, status: 200, want: `"status":"pending"`,
			broken: `{"subscription_id":"x","email":"eve@example.com"}`, loc: []any{"body", "subscription_id"}, none: `{"checkout_id":"{nobody}","email":"eve@example.com"}`},
		{op: "customer_portal:seats:list_seats", as: "customer", method: "GET", path: portal + "/seats?subscription_id={seats}", status: 200, want: `"id":"{seat}"`, none: portal + "/seats?subscription_id={nobody}"},
		{op: "customer_portal:seats:revoke_seat", as: "customer", method: "DELETE", path: portal + "/seats/{seat}", status: 200, want: `"status":"revoked"`, none: portal + "/seats/{nobody}"},
		{op: "customer_portal:seats:resend_invitation", as: "customer", method: "POST", path: portal + "/seats/{seat}/resend", status: 200, want: `"invitation_token_expires_at":"2026-11-06T08:00:00Z"`, none: portal + "/seats/{nobody}/resend"},
		{op: "customer_portal:seats:list_claimed_subscriptions", as: "customer", method: "GET", path: portal + "/seats/subscriptions", status: 200, want: `"items":[]`},

		// members
		{op: "customers:members:list", team: true, as: "oat", method: "GET", path: "/v1/customers/{customer}/members?role=member", status: 200, want: `{"id":"{member}"`, then: func(w *world, a map[string]any) { assert.Len(w, a["items"], 2, "and the one of the seat") }, none: "/v1/customers/{nobody}/members"},
		{op: "customers:members:list_external", team: true, as: "oat", method: "GET", path: "/v1/customers/external/ada/members?limit=2", status: 200, want: `"pagination":{"total_count":4,"max_page":2}`, none: "/v1/customers/external/nobody/members"},
		{op: "customers:members:create", team: true, as: "oat", method: "POST", path: "/v1/customers/{customer}/members", body: `{"email":"new@example.com","external_id":"m-new"}`, status: 201, want: `"role":"member"`,
			then: func(w *world, a map[string]any) {
				w.ids["new"] = a["id"].(string)
				assert.Equal(w, a, w.get("oat", "/v1/customers/{customer}/members/{new}"))
				assert.Equal(w, 409, w.send("oat", "POST", "/v1/customers/{customer}/members", `{"email":"NEW@example.com"}`).status)
			}, broken: `{"email":"x","role":"owner"}`, loc: []any{"body", "email"}, none: "/v1/customers/{nobody}/members"},
		{op: "customers:members:create_external", team: true, as: "oat", method: "POST", path: "/v1/customers/external/ada/members", body: `{"email":"new@example.com","role":"billing_manager"}`, status: 201, want: `"role":"billing_manager"`,
			broken: `{}`, loc: []any{"body", "email"}, none: "/v1/customers/external/nobody/members"},
		{op: "customers:members:get", team: true, as: "oat", method: "GET", path: "/v1/customers/{customer}/members/{member}", status: 200, want: `"email":"member@example.com"`, none: "/v1/customers/{customer}/members/{nobody}"},
		{op: "customers:members:get_external", team: true, as: "oat", method: "GET", path: "/v1/customers/external/ada/members/m-member", status: 200, want: `"id":"{member}"`, none: "/v1/customers/external/ada/members/m-nobody"},
		{op: "customers:members:update", team: true, as: "oat", method: "PATCH", path: "/v1/customers/{customer}/members/{member}", body: `{"role":"owner","name":"Mo"}`, status: 200, want: `"role":"owner"`,
			then: func(w *world, _ map[string]any) {
				assert.Equal(w, "billing_manager", w.get("oat", "/v1/customers/{customer}/members/{owner}")["role"], "there is one owner")
				assert.Equal(w, 422, w.send("oat", "PATCH", "/v1/customers/{customer}/members/{member}", `{"role":"member"}`).status)
			}, broken: `{"email":"owner"}`, loc: []any{"body", "email"}, none: "/v1/customers/{customer}/members/{nobody}"},
		{op: "customers:members:update_external", team: true, as: "oat", method: "PATCH", path: "/v1/customers/external/ada/members/m-member", body: `{"email":"mo@example.com"}`, status: 200, want: `"email":"mo@example.com"`,
			then: same("oat", "/v1/customers/{customer}/members/{member}", "email"), broken: `{"role":"boss"}`, loc: []any{"body", "role"}, none: "/v1/customers/external/ada/members/m-nobody"},
		{op: "customers:members:delete", team: true, as: "oat", method: "DELETE", path: "/v1/customers/{customer}/members/{member}", status: 204,
			then: func(w *world, _ map[string]any) {
				gone("oat", "/v1/customers/{customer}/members/{member}")(w, nil)
				assert.Equal(w, 401, w.send("member", "GET", portal+"/customers/me", "").status, "with its sessions")
				assert.Equal(w, 422, w.send("oat", "DELETE", "/v1/customers/{customer}/members/{owner}", "").status)
			}, none: "/v1/customers/{customer}/members/{nobody}"},
		{op: "customers:members:delete_external", team: true, as: "oat", method: "DELETE", path: "/v1/customers/external/ada/members/m-member", status: 204, then: gone("oat", "/v1/customers/external/ada/members/m-member"),
			none: "/v1/customers/external/ada/members/m-nobody"},
		{op: "customer_portal:members:list_members", team: true, as: "manager", method: "GET", path: portal + "/members", status: 200, want: `"total_count":4`, then: func(w *world, _ map[string]any) {
			assert.Equal(w, 403, w.send("member", "GET", portal+"/members", "").status)
		}},
		{op: "customer_portal:members:add_member", team: true, as: "manager", method: "POST", path: portal + "/members", body: `{"email":"new@example.com","name":"New"}`, status: 201, want: `"role":"member"`,
			then: func(w *world, a map[string]any) {
				b := w.send("manager", "POST", portal+"/members", `{"email":"new@example.com"}`)
				assert.Equal(w, 201, b.status)
				assert.Equal(w, a, object(w.T, b.body), "the one that is there")
				assert.Equal(w, 400, w.send("manager", "POST", portal+"/members", `{"email":"x@example.com","role":"owner"}`).status)
			}, broken: `{"email":""}`, loc: []any{"body", "email"}},
		{op: "customer_portal:members:update_member", team: true, as: "customer", method: "PATCH", path: portal + "/members/{member}", body: `{"role":"billing_manager"}`, status: 200, want: `"role":"billing_manager"`,
			then: func(w *world, _ map[string]any) {
				assert.Equal(w, 403, w.send("manager", "PATCH", portal+"/members/{manager}", `{"role":"member"}`).status, "not the own role")
				assert.Equal(w, 400, w.send("manager", "PATCH", portal+"/members/{owner}", `{"role":"member"}`).status)
				assert.Equal(w, 403, w.send("manager", "PATCH", portal+"/members/{member}", `{"role":"owner"}`).status)
			}, broken: `{"role":"boss"}`, loc: []any{"body", "role"}, none: portal + "/members/{nobody}"},
		{op: "customer_portal:members:remove_member", team: true, as: "manager", method: "DELETE", path: portal + "/members/{member}", status: 204,
			then: func(w *world, _ map[string]any) {
				gone("oat", "/v1/customers/{customer}/members/{member}")(w, nil)
				assert.Equal(w, 403, w.send("manager", "DELETE", portal+"/members/{manager}", "").status)
				assert.Equal(w, 400, w.send("manager", "DELETE", portal+"/members/{owner}", "").status)
			}, none: portal + "/members/{nobody}"},

		// benefits
		{op: "customer_portal:benefit-grants:list", as: "customer", method: "GET", path: portal + "/benefit-grants/?type=discord", status: 200, want: `"id":"{grant_discord}"`,
			then: func(w *world, a map[string]any) {
				assert.NotContains(w, w.send("customer", "GET", portal+"/benefit-grants/", "").body, "role_id", "not for customers")
				assert.Len(w, w.get("customer", portal+"/benefit-grants/")["items"], 4)
				assert.Len(w, w.get("customer", portal+"/benefit-grants/?query=SUPP")["items"], 1)
			}},
		{op: "customer_portal:benefit-grants:get", as: "customer", method: "GET", path: portal + "/benefit-grants/{grant_license_keys}", status: 200, want: `"license_key_id":"{key}"`, none: portal + "/benefit-grants/{nobody}"},
		{op: "customer_portal:benefit-grants:update", as: "customer", method: "PATCH", path: portal + "/benefit-grants/{grant_discord}", body: `{"benefit_type":"discord","properties":{"account_id":"42"}}`, status: 200, want: `"account_id":"42"`,
			then: func(w *world, _ map[string]any) {
				assert.Contains(w, w.send("customer", "GET", portal+"/benefit-grants/{grant_discord}", "").body, `"account_id":"42"`)
				assert.Equal(w, 422, w.send("customer", "PATCH", portal+"/benefit-grants/{grant_discord}", `{"benefit_type":"custom"}`).status)
				require.Equal(w, 200, w.send("oat", "DELETE", "/v1/subscriptions/{subscription}", "").status)
				assert.Equal(w, 403, w.send("customer", "PATCH", portal+"/benefit-grants/{grant_discord}", `{"benefit_type":"discord","properties":{"account_id":"43"}}`).status, "revoked")
			}, broken: `{"benefit_type":"discord"}`, loc: []any{"body", "discord", "properties"}, none: portal + "/benefit-grants/{nobody}"},
		{op: "customer_portal:customer_meters:list", as: "customer", method: "GET", path: portal + "/meters/?query=tok", status: 200, want: `"credited_units":100`,
			then: func(w *world, _ map[string]any) {
				require.Equal(w, 200, w.send("oat", "POST", "/v1/events/ingest", `{"events":[{"name":"tokens","external_customer_id":"ada"}]}`).status)
				assert.Contains(w, w.send("customer", "GET", portal+"/meters/", "").body, `"consumed_units":1,"credited_units":100,"balance":99`)
			}},
		{op: "customer_portal:customer_meters:get", as: "customer", method: "GET", path: portal + "/meters/{customer_meter}", status: 200, want: `"name":"Tokens"`, none: portal + "/meters/{nobody}"},

		// the customer
		{op: "customer_portal:customers:get", as: "customer", method: "GET", path: portal + "/customers/me", status: 200, want: `"default_payment_method_id":`},
		{op: "customer_portal:customers:update", as: "customer", method: "PATCH", path: portal + "/customers/me", body: `{"billing_name":"Ada Ltd","tax_id":"DE123456789","billing_address":{"country":"DE","city":"Berlin"}}`, status: 200, want: `"tax_id":["DE123456789",`,
			then: same("oat", "/v1/customers/{customer}", "billing_name"), broken: `{"billing_address":{"country":"XX"}}`, loc: []any{"body", "billing_address", "country"}},
		{op: "customer_portal:customers:list_payment_methods", as: "customer", method: "GET", path: portal + "/customers/me/payment-methods?limit=100", status: 200, want: `"id":"{method}"`},
		{op: "customer_portal:customers:add_payment_method", as: "customer", method: "POST", path: portal + "/customers/me/payment-methods", body: `{"confirmation_token_id":"ctoken_ok","set_default":true,"return_url":"https://example.com"}`, status: 201, want: `"status":"succeeded"`,
			then: func(w *world, a map[string]any) {
				assert.Equal(w, a["payment_method"].(map[string]any)["id"], w.get("customer", portal+"/customers/me")["default_payment_method_id"])
				b := w.send("customer", "POST", portal+"/customers/me/payment-methods", `{"confirmation_token_id":"ctoken_decline","set_default":true,"return_url":"https://example.com"}`)
				assert.Equal(w, 400, b.status)
				assert.Contains(w, b.body, `"PaymentMethodSetupFailed"`)
			}, broken: `{"confirmation_token_id":"x","return_url":"https://example.com"}`, loc: []any{"body", "set_default"}},
		{op: "customer_portal:customers:delete_payment_method", as: "customer", method: "DELETE", path: portal + "/customers/me/payment-methods/{method}", status: 204,
			then: func(w *world, _ map[string]any) {
				left := ids(w.get("customer", portal+"/customers/me/payment-methods"))
				assert.NotContains(w, left, w.ids["method"])
				for i, id := range left {
					a := w.send("customer", "DELETE", portal+"/customers/me/payment-methods/"+id, "")
					if i < len(left)-1 {
						assert.Equal(w, 204, a.status)
					} else {
						assert.Equal(w, 400, a.status, "the last one is needed")
						assert.Contains(w, a.body, `"PaymentMethodInUseByActiveSubscription"`)
					}
				}
			}, none: portal + "/customers/me/payment-methods/{nobody}"},
		{op: "customer_portal:customers:request_email_update", as: "customer", method: "POST", path: portal + "/customers/me/email-update/request", body: `{"email":"lovelace@example.com"}`, status: 202,
			then: func(w *world, _ map[string]any) {
				assert.Equal(w, 401, w.send("", "GET", portal+"/customers/me/email-update/check?token={email_token}", "").status, "the newest counts")
				assert.Equal(w, 422, w.send("customer", "POST", portal+"/customers/me/email-update/request", `{"email":"ADA@example.com"}`).status)
			}, broken: `{"email":"x"}`, loc: []any{"body", "email"}},
		{op: "customer_portal:customers:check_email_update", method: "GET", path: portal + "/customers/me/email-update/check?token={email_token}", status: 204,
			then: func(w *world, _ map[string]any) {
				w.srv.Advance(2 * time.Hour)
				a := w.send("", "GET", portal+"/customers/me/email-update/check?token={email_token}", "")
				assert.Equal(w, 401, a.status, "expired")
				assert.Contains(w, a.body, `"error":"Unauthorized"`)
				assert.Equal(w, 422, w.send("", "GET", portal+"/customers/me/email-update/check", "").status)
			}},
		{op: "customer_portal:customers:verify_email_update", method: "POST", path: portal + "/customers/me/email-update/verify", body: `{"token":"{email_token}"}`, status: 200, want: `"token":"polar_cst_`,
			then: func(w *world, a map[string]any) {
				w.tokens["new"] = a["token"].(string)
				me := w.get("new", portal+"/customers/me")
				assert.Equal(w, []any{"countess@example.com", true}, []any{me["email"], me["email_verified"]})
				assert.Equal(w, 401, w.send("", "POST", portal+"/customers/me/email-update/verify", `{"token":"{email_token}"}`).status, "used")
			}, broken: `{}`, loc: []any{"body", "token"}},
		{op: "customer_portal:customer-session:introspect", as: "customer", method: "GET", path: portal + "/customer-session/introspect", status: 200, want: `{"expires_at":"2026-11-05T09:00:00Z","return_url":"https://example.com/account"}`,
			then: func(w *world, _ map[string]any) {
				w.srv.Advance(time.Hour)
				assert.Equal(w, 401, w.send("customer", "GET", portal+"/customer-session/introspect", "").status, "expired")
			}},
		{op: "customer_portal:customer-session:get_authenticated_user", team: true, as: "manager", method: "GET", path: portal + "/customer-session/user", status: 200,
			want: `"email":"manager@example.com","customer_id":"{customer}","member_id":"{manager}","role":"billing_manager"`},
		{op: "customer_portal:organizations:get", method: "GET", path: portal + "/organizations/acme", status: 200, want: `"slug":"acme"`,
			then: func(w *world, a map[string]any) { assert.Len(w, a["products"], 3) }, none: portal + "/organizations/nobody"},

		// orders and subscriptions
		{op: "customer_portal:orders:list", as: "customer", method: "GET", path: portal + "/orders/?subscription_id={subscription}&sorting=created_at&limit=1", status: 200, want: `"items":[{"id":"{order}"`},
		{op: "customer_portal:orders:get", as: "customer", method: "GET", path: portal + "/orders/{order}", status: 200, want: `"status":"paid"`, none: portal + "/orders/{nobody}"},
		{op: "customer_portal:orders:update", as: "customer", method: "PATCH", path: portal + "/orders/{order}", body: `{"billing_name":"Ada Ltd"}`, status: 200, want: `"billing_name":"Ada Ltd"`, then: same("oat", "/v1/orders/{order}", "billing_name"),
			broken: `{"billing_name":1}`, loc: []any{"body", "billing_name"}, none: portal + "/orders/{nobody}"},
		{op: "customer_portal:orders:generate_invoice", as: "customer", method: "POST", path: portal + "/orders/{order}/invoice", status: 202,
			then: func(w *world, _ map[string]any) {
				w.srv.Advance(time.Minute)
				assert.Contains(w, w.get("customer", portal+"/orders/{order}/invoice")["url"], w.ids["order"])
				assert.Equal(w, 422, w.send("customer", "PATCH", portal+"/orders/{order}", `{"billing_name":"X"}`).status, "it says what the order said")
				a := w.send("customer", "POST", portal+"/orders/{due}/invoice", "")
				assert.Equal(w, 409, a.status)
				assert.Contains(w, a.body, `"OrderNotEligibleForInvoice"`)
			}, none: portal + "/orders/{nobody}/invoice"},
		{op: "customer_portal:orders:receipt", as: "customer", method: "GET", path: portal + "/orders/{order}/receipt", status: 202,
			then: func(w *world, _ map[string]any) {
				w.srv.Advance(time.Minute)
				assert.Contains(w, w.get("customer", portal+"/orders/{order}/receipt")["url"], w.ids["order"])
			}, none: portal + "/orders/{nobody}/receipt"},
		{op: "customer_portal:orders:get_payment_status", as: "customer", method: "GET", path: portal + "/orders/{due}/payment-status", status: 200, want: `{"status":"failed","error":"`,
			then: func(w *world, _ map[string]any) {
				assert.Equal(w, "succeeded", w.get("customer", portal+"/orders/{order}/payment-status")["status"])
			}, none: portal + "/orders/{nobody}/payment-status"},
		{op: "customer_portal:orders:confirm_retry_payment", as: "customer", method: "POST", path: portal + "/orders/{due}/confirm-payment", body: `{"payment_method_id":"{method}"}`, status: 200, want: `"status":"succeeded"`,
			then: func(w *world, _ map[string]any) {
				assert.Equal(w, "paid", w.get("customer", portal+"/orders/{due}")["status"])
				assert.Equal(w, "active", w.get("customer", portal+"/subscriptions/{late}")["status"])
				a := w.send("customer", "POST", portal+"/orders/{due}/confirm-payment", `{"payment_method_id":"{method}"}`)
				assert.Equal(w, 422, a.status)
				assert.Contains(w, a.body, `"OrderNotEligibleForRetry"`)
			}, broken: `{"payment_method_id":"x"}`, loc: []any{"body", "payment_method_id"}, none: portal + "/orders/{nobody}/confirm-payment"},
		{op: "customer_portal:subscriptions:list", as: "customer", method: "GET", path: portal + "/subscriptions/?query=late", status: 200, want: `"id":"{late}"`},
		{op: "customer_portal:subscriptions:get", as: "customer", method: "GET", path: portal + "/subscriptions/{subscription}", status: 200, want: `"id":"{subscription}"`, none: portal + "/subscriptions/{nobody}"},
		{op: "customer_portal:subscriptions:update", as: "customer", method: "PATCH", path: portal + "/subscriptions/{subscription}", body: `{"cancel_at_period_end":true,"cancellation_reason":"unused"}`, status: 200, want: `"cancel_at_period_end":true`,
			then: func(w *world, _ map[string]any) {
				assert.Equal(w, "unused", w.get("oat", "/v1/subscriptions/{subscription}")["customer_cancellation_reason"])
				assert.Equal(w, 200, w.send("customer", "PATCH", portal+"/subscriptions/{subscription}", `{"cancel_at_period_end":false}`).status)
				a := w.send("customer", "PATCH", portal+"/subscriptions/{subscription}", `{"cancel_at_period_end":false}`)
				assert.Equal(w, 409, a.status)
				assert.Contains(w, a.body, `"SubscriptionNotScheduledToCancel"`)
				for body, name := range map[string]string{`{"units":2}`: "UpdateSubscriptionUnitsNotAllowed", `{"pause_at_period_end":true}`: "PauseResumeNotAllowed", `{"resume":true}`: "PauseResumeNotAllowed"} {
					a := w.send("customer", "PATCH", portal+"/subscriptions/{subscription}", body)
					assert.Equal(w, 403, a.status, a.body)
					assert.Contains(w, a.body, name)
				}
			}, broken: `{"cancellation_reason":"bored"}`, loc: []any{"body", "CustomerSubscriptionCancel", "cancellation_reason"}, none: portal + "/subscriptions/{nobody}"},
		{op: "customer_portal:subscriptions:cancel", as: "customer", method: "DELETE", path: portal + "/subscriptions/{subscription}", status: 200, want: `"cancel_at_period_end":true`,
			then: func(w *world, _ map[string]any) {
				a := w.send("customer", "DELETE", portal+"/subscriptions/{subscription}", "")
				assert.Equal(w, 403, a.status)
				assert.Contains(w, a.body, `"AlreadyCanceledSubscription"`)
			}, none: portal + "/subscriptions/{nobody}"},
		{op: "customer_portal:customers:confirm_payment_method", as: "customer", method: "POST", path: portal + "/customers/me/payment-methods/confirm", body: `{"setup_intent_id":"{setup}","set_default":true}`, status: 201, want: `"status":"succeeded"`,
			before: func(w *world) {
				a := w.send("customer", "POST", portal+"/customers/me/payment-methods", `{"confirmation_token_id":"ctoken_requires_action","set_default":true,"return_url":"https://example.com"}`)
				require.Equal(w, 201, a.status, a.body)
				secret := object(w.T, a.body)["client_secret"].(string)
				w.ids["setup"] = secret[:strings.Index(secret, "_secret_")]
			},
			then: func(w *world, a map[string]any) {
				assert.Equal(w, a["payment_method"].(map[string]any)["id"], w.get("customer", portal+"/customers/me")["default_payment_method_id"])
				b := w.send("customer", "POST", portal+"/customers/me/payment-methods/confirm", `{"setup_intent_id":"{setup}","set_default":true}`)
				assert.Equal(w, 403, b.status, "done already")
				assert.Contains(w, b.body, `"CustomerNotReady"`)
			}, broken: `{"setup_intent_id":"x"}`, loc: []any{"body", "set_default"}},
		{op: "customer_portal:orders:invoice", as: "customer", method: "GET", path: portal + "/orders/{order}/invoice", status: 200, want: `{"url":"http`,
			before: func(w *world) {
				require.Equal(w, 404, w.send("customer", "GET", portal+"/orders/{order}/invoice", "").status, "nobody asked for it yet")
				require.Equal(w, 202, w.send("customer", "POST", portal+"/orders/{order}/invoice", "").status)
				w.srv.Advance(time.Second)
			}, none: portal + "/orders/{due}/invoice"},
		{op: "customer_portal:downloadables:list", as: "customer", method: "GET", path: portal + "/downloadables/", status: 200, want: `"name":"book.pdf"`,
			before: func(w *world) {
				w.gives(must(w.client.Products.Get(w.ctx, w.ids["product"]))(w), models.BenefitDownloadablesCreate{Description: "The book",
					Properties: models.BenefitDownloadablesCreateProperties{Files: []string{w.upload("book.pdf", "some pages")}}})
			},
			then: func(w *world, _ map[string]any) {
				assert.Empty(w, w.get("customer", portal+"/downloadables/?benefit_id={benefit}")["items"])
			}},
		{op: "customer_portal:wallets:list", as: "customer", method: "GET", path: portal + "/wallets/", status: 200, want: `"balance":250,"currency":"eur"`},
		{op: "customer_portal:wallets:get", as: "customer", method: "GET", path: portal + "/wallets/{wallet}", status: 200, want: `"balance":250`, none: portal + "/wallets/{nobody}"},
	}
}

func TestPortalOperations(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, r := range portalRows() {
		covered[r.op] = true
		t.Run(r.op, func(t *testing.T) {
			t.Parallel()
			r.run(t)
		})
	}
	for _, op := range polartest.Operations() {
		for _, group := range []string{"license_keys:", "customer-seats:", "customers:members:", "customer_portal:"} {
			if strings.HasPrefix(op, group) && !covered[op] {
				t.Errorf("%s has no row", op)
			}
		}
	}
}
