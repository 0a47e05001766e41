package polartest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/polartest"
)

// shopRows are the operations of what stands around customers and sales.
func shopRows() []row {
	gone := func(path string) func(*world, map[string]any) {
		return func(w *world, _ map[string]any) { assert.Equal(w, 404, w.send("oat", "GET", path, "").status) }
	}
	there := func(path string) func(*world, map[string]any) {
		return func(w *world, a map[string]any) {
			w.ids["made"], _ = a["id"].(string)
			assert.Equal(w, a, w.get("oat", path))
		}
	}
	count := func(path string, n int) func(*world, map[string]any) {
		return func(w *world, _ map[string]any) { assert.Len(w, w.get("oat", path)["items"], n, path) }
	}
	discount := keep("discount", "POST", "/v1/discounts/", `{"type":"percentage","name":"Launch","code":"Launch","duration":"once","basis_points":1000}`)
	link := keep("link", "POST", "/v1/checkout-links/", `{"payment_processor":"stripe","product_id":"{product}","label":"Site"}`)
	field := keep("field", "POST", "/v1/custom-fields/", `{"type":"text","slug":"team","name":"Team","properties":{}}`)
	board := keep("board", "POST", "/v1/metrics/dashboards", `{"name":"Money","metrics":["revenue"]}`)
	const fileBody = `{"service":"downloadable","name":"a.txt","mime_type":"text/plain","size":3,"upload":{"parts":[{"number":1,"chunk_start":0,"chunk_end":3}]}}`
	file := func(w *world) {
		a := w.send("oat", "POST", "/v1/files/", fileBody)
		require.Equal(w, 201, a.status, a.body)
		up := object(w.T, a.body)["upload"].(map[string]any)
		w.ids["file"] = object(w.T, a.body)["id"].(string)
		w.ids["upload"], w.ids["upload_path"] = up["id"].(string), up["path"].(string)
		put := strings.TrimPrefix(up["parts"].([]any)[0].(map[string]any)["url"].(string), w.srv.URL)
		a = w.send("", "PUT", put, "abc")
		require.Equal(w, 200, a.status, a.body)
		w.ids["etag"] = strings.Trim(a.header.Get("ETag"), `"`)
	}
	const completed = `{"id":"{upload}","path":"{upload_path}","parts":[{"number":1,"checksum_etag":"{etag}","checksum_sha256_base64":null}]}`
	uploaded := func(w *world) {
		file(w)
		require.Equal(w, 200, w.send("oat", "POST", "/v1/files/{file}/uploaded", completed).status)
		keep("files", "POST", "/v1/benefits/", `{"type":"downloadables","description":"Files","properties":{"files":["{file}"]}}`)(w)
	}
	used := func(w *world) {
		require.Equal(w, 200, w.send("oat", "POST", "/v1/events/ingest", `{"events":[{"name":"call","external_customer_id":"ada"}]}`).status)
		w.ids["type"] = ids(w.get("oat", "/v1/event-types/?source=user"))[0]
	}
	dispute := func(w *world) { w.ids["dispute"] = must(w.srv.Dispute(w.ids["order"]))(w) }
	user := func(w *world) { w.tokens["user"] = w.srv.UserToken() }
	app := func(w *world) {
		user(w)
		a := w.send("user", "POST", "/v1/oauth2/register", `{"client_name":"App","redirect_uris":["https://example.com/cb"]}`)
		m := object(w.T, a.body)
		for _, k := range []string{"client_id", "client_secret"} {
			w.ids[k] = m[k].(string)
		}
		w.tokens["app"] = m["registration_access_token"].(string)
		w.ids["query"] = url.Values{"client_id": {w.ids["client_id"]}, "response_type": {"code"}, "redirect_uri": {"https://example.com/cb"}}.Encode()
	}
	code := func(w *world) {
		app(w)
		q, err := url.ParseQuery(w.ids["query"])
		require.NoError(w, err)
		w.ids["code"] = must(w.srv.Authorize(q))(w).Query().Get("code")
	}
	const credentials = `client_id={client_id}&client_secret={client_secret}`
	const exchange = credentials + `&grant_type=authorization_code&code={code}&redirect_uri=https%3A%2F%2Fexample.com%2Fcb`
	signedIn := func(w *world) {
		code(w)
		m := object(w.T, w.send("", "POST", "/v1/oauth2/token", exchange).body)
		w.tokens["signed in"] = m["access_token"].(string)
		w.ids["access"], w.ids["refresh"] = m["access_token"].(string), m["refresh_token"].(string)
	}
	const days = "start_date=2026-10-01&end_date=2026-10-31&interval=month"
	return []row{
		{op: "discounts:list", as: "oat", method: "GET", path: "/v1/discounts/?query=laun&sorting=-name", status: 200, want: `"id":"{discount}"`, before: discount, then: count("/v1/discounts/?query=none", 0)},
		{op: "discounts:create", as: "oat", method: "POST", path: "/v1/discounts/", body: `{"type":"fixed","name":"Ten","duration":"forever","amounts":{"usd":1000}}`, status: 201, want: `"amounts":{"usd":1000}`, then: there("/v1/discounts/{made}"),
			broken: `{"type":"percentage","name":"x","duration":"once","basis_points":0}`, loc: []any{"body", "percentage", "basis_points"}},
		{op: "discounts:get", as: "oat", method: "GET", path: "/v1/discounts/{discount}", status: 200, want: `"code":"Launch"`, before: discount, none: "/v1/discounts/{nobody}"},
		{op: "discounts:update", as: "oat", method: "PATCH", path: "/v1/discounts/{discount}", body: `{"products":["{product}"]}`, status: 200, want: `"products":[{`, before: discount, then: there("/v1/discounts/{discount}"),
			broken: `{"products":["{nobody}"]}`, loc: []any{"body", "products", 0.0}, none: "/v1/discounts/{nobody}"},
		{op: "discounts:delete", as: "oat", method: "DELETE", path: "/v1/discounts/{discount}", status: 204, before: discount, then: gone("/v1/discounts/{discount}"), none: "/v1/discounts/{nobody}"},

		{op: "checkout-links:list", as: "oat", method: "GET", path: "/v1/checkout-links/?product_id={product}&sorting=-label", status: 200, want: `"id":"{link}"`, before: link, then: count("/v1/checkout-links/?product_id={nobody}", 0)},
		{op: "checkout-links:create", as: "oat", method: "POST", path: "/v1/checkout-links/", body: `{"payment_processor":"stripe","products":["{product}","{seats_product}"],"seats":2}`, status: 201, want: `"client_secret":"polar_cl_`, then: there("/v1/checkout-links/{made}"),
			broken: `{"payment_processor":"stripe","products":["{nobody}"]}`, loc: []any{"body", "products", 0.0}},
		{op: "checkout-links:get", as: "oat", method: "GET", path: "/v1/checkout-links/{link}", status: 200, want: `"label":"Site"`, before: link, none: "/v1/checkout-links/{nobody}"},
		{op: "checkout-links:update", as: "oat", method: "PATCH", path: "/v1/checkout-links/{link}", body: `{"label":"Mail","products":["{seats_product}"]}`, status: 200, want: `"label":"Mail"`, before: link, then: there("/v1/checkout-links/{link}"),
			broken: `{"seats":0}`, loc: []any{"body", "seats"}, none: "/v1/checkout-links/{nobody}"},
		{op: "checkout-links:delete", as: "oat", method: "DELETE", path: "/v1/checkout-links/{link}", status: 204, before: link, then: gone("/v1/checkout-links/{link}"), none: "/v1/checkout-links/{nobody}"},

		{op: "custom-fields:list", as: "oat", method: "GET", path: "/v1/custom-fields/?type=text&query=TEAM", status: 200, want: `"id":"{field}"`, before: field, then: count("/v1/custom-fields/?type=date", 0)},
		{op: "custom-fields:create", as: "oat", method: "POST", path: "/v1/custom-fields/", body: `{"type":"number","slug":"age","name":"Age","properties":{"ge":18}}`, status: 201, want: `"ge":18`, then: there("/v1/custom-fields/{made}"),
			broken: `{"type":"number","slug":"age","name":"Age","properties":{"ge":"x"}}`, loc: []any{"body", "number", "properties", "ge"}},
		{op: "custom-fields:get", as: "oat", method: "GET", path: "/v1/custom-fields/{field}", status: 200, want: `"slug":"team"`, before: field, none: "/v1/custom-fields/{nobody}"},
		{op: "custom-fields:update", as: "oat", method: "PATCH", path: "/v1/custom-fields/{field}", body: `{"type":"text","slug":"crew","properties":{"max_length":9}}`, status: 200, want: `"max_length":9`, before: field, then: there("/v1/custom-fields/{field}"),
			broken: `{"type":"date"}`, loc: []any{"body", "type"}, none: "/v1/custom-fields/{nobody}"},
		{op: "custom-fields:delete", as: "oat", method: "DELETE", path: "/v1/custom-fields/{field}", status: 204, before: field, then: gone("/v1/custom-fields/{field}"), none: "/v1/custom-fields/{nobody}"},

		{op: "files:list", as: "oat", method: "GET", path: "/v1/files/?ids={file}", status: 200, want: `"id":"{file}"`, before: uploaded, then: count("/v1/files/?ids={nobody}", 0)},
		{op: "files:create", as: "oat", method: "POST", path: "/v1/files/", body: fileBody, status: 201, want: `"is_uploaded":false`, then: count("/v1/files/", 0), broken: `{"service":"downloadable"}`, loc: []any{"body", "downloadable", "upload"}},
		{op: "files:uploaded", as: "oat", method: "POST", path: "/v1/files/{file}/uploaded", body: completed, status: 200, want: `"checksum_sha256_hex":"ba7816bf`, before: file, then: count("/v1/files/", 1),
			broken: strings.Replace(completed, "{etag}", "x", 1), loc: []any{"body", "parts", 0.0, "checksum_etag"}, none: "/v1/files/{nobody}/uploaded"},
		{op: "files:update", as: "oat", method: "PATCH", path: "/v1/files/{file}", body: `{"version":"2"}`, status: 200, want: `"version":"2"`, before: file, broken: `{"version":2}`, loc: []any{"body", "version"}, none: "/v1/files/{nobody}"},
		{op: "files:delete", as: "oat", method: "DELETE", path: "/v1/files/{file}", status: 204, before: uploaded, then: count("/v1/files/", 0), none: "/v1/files/{nobody}"},
		{op: "benefits:files", as: "oat", method: "GET", path: "/v1/benefits/{files}/files", status: 200, want: `"id":"{file}"`, before: uploaded, none: "/v1/benefits/{nobody}/files", then: func(w *world, _ map[string]any) {
			require.Equal(w, 204, w.send("oat", "DELETE", "/v1/files/{file}", "").status)
			count("/v1/benefits/{files}/files", 0)(w, nil)
		}},

		{op: "metrics:get", as: "oat", method: "GET", path: "/v1/metrics/?" + days, status: 200, want: `"active_subscriptions":3`, then: func(w *world, a map[string]any) {
			assert.Len(w, a["periods"], 1)
			a = w.get("oat", "/v1/metrics/?metrics=orders&product_id={nobody}&"+days)
			assert.Equal(w, map[string]any{"orders": 0.0}, a["totals"])
		}},
		{op: "metrics:export", as: "oat", method: "GET", path: "/v1/metrics/export?metrics=active_subscriptions&" + days, status: 200, want: "Timestamp,Active Subscriptions\r\n2026-10-01T00:00:00+00:00,3\r\n"},
		{op: "metrics:limits", as: "oat", method: "GET", path: "/v1/metrics/limits", status: 200, want: `"min_date":"2023-05-24"`},
		{op: "metrics:list_dashboards", as: "oat", method: "GET", path: "/v1/metrics/dashboards", status: 200, want: `"id":"{board}"`, before: board},
		{op: "metrics:create_dashboard", as: "oat", method: "POST", path: "/v1/metrics/dashboards", body: `{"name":"Use"}`, status: 201, want: `"metrics":[]`, then: there("/v1/metrics/dashboards/{made}"), broken: `{"name":"x","metrics":["luck"]}`, loc: []any{"body", "metrics", 0.0}},
		{op: "metrics:get_dashboard", as: "oat", method: "GET", path: "/v1/metrics/dashboards/{board}", status: 200, want: `"name":"Money"`, before: board, none: "/v1/metrics/dashboards/{nobody}"},
		{op: "metrics:update_dashboard", as: "oat", method: "PATCH", path: "/v1/metrics/dashboards/{board}", body: `{"metrics":["orders"]}`, status: 200, want: `["orders"]`, before: board, then: there("/v1/metrics/dashboards/{board}"),
			broken: `{"name":""}`, loc: []any{"body", "name"}, none: "/v1/metrics/dashboards/{nobody}"},
		{op: "metrics:delete_dashboard", as: "oat", method: "DELETE", path: "/v1/metrics/dashboards/{board}", status: 204, before: board, then: gone("/v1/metrics/dashboards/{board}"), none: "/v1/metrics/dashboards/{nobody}"},

		{op: "event-types:list", as: "oat", method: "GET", path: "/v1/event-types/?source=user&query=call", status: 200, want: `"occurrences":1`, before: used, then: count("/v1/event-types/?query=nothing", 0)},
		{op: "event-types:update", as: "oat", method: "PATCH", path: "/v1/event-types/{type}", body: `{"label":"A call"}`, status: 200, want: `"label":"A call"`, before: used, broken: `{}`, loc: []any{"body", "label"}, none: "/v1/event-types/{nobody}",
			then: count("/v1/event-types/?query=a%20call", 1)},

		{op: "disputes:list", as: "oat", method: "GET", path: "/v1/disputes/?order_id={order}&status=needs_response&sorting=-amount", status: 200, want: `"id":"{dispute}"`, before: dispute, then: count("/v1/disputes/?status=won", 0)},
		{op: "disputes:get", as: "oat", method: "GET", path: "/v1/disputes/{dispute}", status: 200, want: `"order_id":"{order}"`, before: dispute, none: "/v1/disputes/{nobody}"},
		{op: "disputes:accept", as: "oat", method: "POST", path: "/v1/disputes/{dispute}/accept", status: 200, want: `"status":"lost"`, before: dispute, none: "/v1/disputes/{nobody}/accept", then: func(w *world, _ map[string]any) {
			a := w.send("oat", "POST", "/v1/disputes/{dispute}/accept", "")
			assert.Equal(w, 409, a.status)
			assert.Contains(w, a.body, `"DisputeNotOpenError"`)
			there("/v1/disputes/{dispute}")(w, w.get("oat", "/v1/disputes/{dispute}"))
		}},

		{op: "organizations:list", as: "oat", method: "GET", path: "/v1/organizations/?slug=acme", status: 200, want: `"id":"{organization}"`, then: count("/v1/organizations/?slug=none", 0)},
		{op: "organizations:create", as: "user", method: "POST", path: "/v1/organizations/", body: `{"name":"Beta","slug":"beta"}`, status: 201, want: `"status":"created"`, before: user, broken: `{"name":"Acme","slug":"acme"}`, loc: []any{"body", "slug"},
			then: func(w *world, a map[string]any) {
				w.ids["made"] = a["id"].(string)
				assert.Equal(w, a, w.get("user", "/v1/organizations/{made}"))
			}},
		{op: "organizations:get", as: "oat", method: "GET", path: "/v1/organizations/{organization}", status: 200, want: `"slug":"acme"`, none: "/v1/organizations/{nobody}"},
		{op: "organizations:update", as: "oat", method: "PATCH", path: "/v1/organizations/{organization}", body: `{"embed_hosts":["example.com"]}`, status: 200, want: `["example.com"]`, then: there("/v1/organizations/{organization}"),
			broken: `{"email":"x"}`, loc: []any{"body", "email"}, none: "/v1/organizations/{nobody}"},

		{op: "customers:export", as: "oat", method: "GET", path: "/v1/customers/export", status: 200, want: "ada@example.com,Ada,,,,,,,DE,\r\n"},

		{op: "oauth2:clients:oauth2:create_client", method: "POST", path: "/v1/oauth2/register", body: `{"client_name":"App","redirect_uris":["https://example.com/cb"]}`, status: 200, want: `"registration_access_token":"polar_crt_`,
			broken: `{"redirect_uris":[]}`, loc: []any{"body", "client_name"}},
		{op: "oauth2:clients:oauth2:get_client", method: "GET", path: "/v1/oauth2/register/{client_id}", status: 401, want: `"Unauthorized"`, before: app, then: func(w *world, _ map[string]any) {
			assert.Equal(w, "App", w.get("app", "/v1/oauth2/register/{client_id}")["client_name"])
			assert.Equal(w, 404, w.send("app", "GET", "/v1/oauth2/register/none", "").status)
		}},
		{op: "oauth2:clients:oauth2:update_client", method: "PUT", path: "/v1/oauth2/register/{client_id}", body: `{"client_id":"{client_id}","client_name":"New","redirect_uris":["https://example.com/cb"]}`, status: 401, want: `"Unauthorized"`, before: app,
			broken: `{"client_id":"x","client_name":"New"}`, loc: []any{"body", "redirect_uris"}, then: func(w *world, _ map[string]any) {
				a := w.send("app", "PUT", "/v1/oauth2/register/{client_id}", `{"client_id":"{client_id}","client_name":"New","redirect_uris":["https://example.com/cb"]}`)
				assert.Equal(w, 200, a.status, a.body)
				assert.Equal(w, "New", w.get("app", "/v1/oauth2/register/{client_id}")["client_name"])
			}},
		{op: "oauth2:clients:oauth2:delete_client", method: "DELETE", path: "/v1/oauth2/register/{client_id}", status: 401, want: `"Unauthorized"`, before: app, then: func(w *world, _ map[string]any) {
			assert.Equal(w, 204, w.send("app", "DELETE", "/v1/oauth2/register/{client_id}", "").status)
			assert.Equal(w, 404, w.send("user", "GET", "/v1/oauth2/register/{client_id}", "").status)
		}},
		{op: "oauth2:authorize", method: "GET", path: "/v1/oauth2/authorize?{query}", status: 200, want: `"sub":null`, before: app, then: func(w *world, _ map[string]any) {
			assert.NotNil(w, w.get("user", "/v1/oauth2/authorize?{query}")["sub"])
		}},
		{op: "oauth2:request_token", method: "POST", path: "/v1/oauth2/token", body: exchange, status: 200, want: `"token_type":"Bearer"`, before: code, broken: credentials + "&grant_type=authorization_code", loc: []any{"body", "authorization_code", "code"},
			then: func(w *world, _ map[string]any) {
				assert.Contains(w, w.send("", "POST", "/v1/oauth2/token", exchange).body, `"invalid_grant"`)
			}},
		{op: "oauth2:introspect_token", method: "POST", path: "/v1/oauth2/introspect", body: credentials + "&token={access}", status: 200, want: `"active":true`, before: signedIn, broken: credentials, loc: []any{"body", "token"}},
		{op: "oauth2:revoke_token", method: "POST", path: "/v1/oauth2/revoke", body: credentials + "&token={access}", status: 200, want: `{}`, before: signedIn, broken: credentials, loc: []any{"body", "token"}, then: func(w *world, _ map[string]any) {
			assert.Contains(w, w.send("", "POST", "/v1/oauth2/introspect", credentials+"&token={access}").body, `"active":false`)
			assert.Equal(w, http.StatusUnauthorized, w.send("signed in", "GET", "/v1/oauth2/userinfo", "").status)
		}},
		{op: "oauth2:userinfo", as: "signed in", method: "GET", path: "/v1/oauth2/userinfo", status: 200, want: `"email":"owner@acme.example.com"`, before: signedIn},
	}
}

func TestShopOperations(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, r := range shopRows() {
		require.False(t, covered[r.op], r.op)
		covered[r.op] = true
		t.Run(r.op, func(t *testing.T) {
			t.Parallel()
			r.run(t)
		})
	}
	for _, op := range polartest.Operations() {
		for _, group := range []string{"discounts:", "checkout-links:", "custom-fields:", "files:", "metrics:", "event-types:", "disputes:", "organizations:", "oauth2:", "customers:export", "benefits:files"} {
			if strings.HasPrefix(op, group) && !covered[op] {
				t.Errorf("%s has no row", op)
			}
		}
	}
	assert.Len(t, covered, 48, "the rows of this table")
}
