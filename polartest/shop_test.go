package polartest_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
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

// object reads an answer that must be of the status.
func (a answer) object(t *testing.T, status int) map[string]any {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &m), a.body)
	return m
}

// locs are where the faults of a 422 are, with slashes.
func (a answer) locs(t *testing.T) []string {
	t.Helper()
	require.Equal(t, 422, a.status, a.body)
	var out []string
	for _, f := range a.faults(t) {
		var parts []string
		for _, x := range f.Loc {
			parts = append(parts, fmt.Sprint(x))
		}
		out = append(out, strings.Join(parts, "/"))
	}
	return out
}

func newProduct(t *testing.T, srv *polartest.Server, price string, more ...string) string {
	t.Helper()
	body := `{"name":"Plan","prices":[` + price + `]` + strings.Join(more, "") + `}`
	return send(t, srv, "POST", "/v1/products/", srv.Token(), body).object(t, 201)["id"].(string)
}

const fixed10 = `{"amount_type":"fixed","price_amount":1000,"price_currency":"usd"}`

const nowhere = "00000000-0000-4000-8000-000000000000"

// TestResources shows for each resource that what a call answers depends on those before it.
func TestResources(t *testing.T) {
	t.Parallel()
	type wrong struct{ body, loc string }
	for _, tc := range []struct {
		name, path  string
		scope       string // without :read and :write
		create      string // PRODUCT stands for a product's id
		shows       map[string]any
		badCreate   []wrong
		update      string
		changes     map[string]any
		badUpdate   []wrong
		noGet, bare bool // there is no get; the list is a bare array
		unlisted    bool // the list has it only later
	}{
		{name: "discounts", path: "/v1/discounts/", scope: "discounts",
			create: `{"type":"percentage","name":"Launch","code":"Launch20","duration":"repeating","duration_in_months":3,"basis_points":2000,"products":["PRODUCT"],"metadata":{"a":1}}`,
			shows:  map[string]any{"name": "Launch", "code": "Launch20", "basis_points": 2000.0, "redemptions_count": 0.0, "duration_in_months": 3.0},
			badCreate: []wrong{
				{`{"type":"percentage","name":"x","duration":"once","basis_points":10001}`, "body/percentage/basis_points"},
				{`{"type":"percentage","name":"x","duration":"once","basis_points":1,"code":"LAUNCH20"}`, "body/code"},
				{`{"type":"percentage","name":"x","duration":"once","basis_points":1,"code":"a-b-c"}`, "body/code"},
				{`{"type":"percentage","name":"x","duration":"repeating","basis_points":1}`, "body/duration_in_months"},
				{`{"type":"fixed","name":"x","duration":"once"}`, "body/fixed/amounts"},
				{`{"type":"fixed","name":"x","duration":"once","amount":1,"starts_at":"2026-02-01T00:00:00Z","ends_at":"2026-01-01T00:00:00Z"}`, "body/ends_at"},
				{`{"type":"fixed","name":"x","duration":"once","amount":1,"products":["` + nowhere + `"]}`, "body/products/0"},
			},
			update: `{"name":"Later","code":null,"basis_points":500,"products":[]}`, changes: map[string]any{"name": "Later", "code": nil, "basis_points": 500.0, "products": []any{}},
			badUpdate: []wrong{{`{"type":"fixed"}`, "body/type"}, {`{"duration":"once"}`, "body/duration"}, {`{"name":""}`, "body/name"}}},
		{name: "checkout links", path: "/v1/checkout-links/", scope: "checkout_links",
			create: `{"payment_processor":"stripe","products":["PRODUCT"],"label":"Site","metadata":{"from":"site"}}`,
			shows:  map[string]any{"label": "Site", "allow_discount_codes": true, "require_billing_address": false},
			badCreate: []wrong{
				{`{"payment_processor":"stripe","products":["` + nowhere + `"]}`, "body/products/0"},
				{`{"payment_processor":"stripe","product_id":"` + nowhere + `"}`, "body/product_id"},
				{`{"payment_processor":"stripe","product_price_id":"` + nowhere + `"}`, "body/product_price_id"},
				{`{"payment_processor":"stripe","products":["PRODUCT"],"discount_id":"` + nowhere + `"}`, "body/discount_id"},
				{`{"payment_processor":"stripe","products":["PRODUCT"],"trial_interval":"day"}`, "body/trial_interval_count"},
			},
			update:  `{"label":null,"allow_discount_codes":false,"success_url":"https://example.com/ok"}`,
			changes: map[string]any{"label": nil, "allow_discount_codes": false, "success_url": "https://example.com/ok"}, badUpdate: []wrong{{`{"products":[]}`, "body/products"}}},
		{name: "custom fields", path: "/v1/custom-fields/", scope: "custom_fields",
			create: `{"type":"select","slug":"size","name":"Size","properties":{"options":[{"value":"s","label":"S"}]}}`,
			shows:  map[string]any{"slug": "size", "type": "select"},
			badCreate: []wrong{
				{`{"type":"text","slug":"size","name":"Again","properties":{}}`, "body/slug"},
				{`{"type":"text","slug":"A b","name":"x","properties":{}}`, "body/text/slug"},
				{`{"type":"select","slug":"x","name":"x","properties":{"options":[]}}`, "body/select/properties/options"},
			},
			update: `{"type":"select","name":"Shirt size"}`, changes: map[string]any{"name": "Shirt size", "slug": "size"}, badUpdate: []wrong{{`{"type":"text","name":"x"}`, "body/type"}}},
		{name: "dashboards", path: "/v1/metrics/dashboards", scope: "metrics", bare: true,
			create: `{"name":"Money","metrics":["revenue","orders"]}`, shows: map[string]any{"name": "Money", "metrics": []any{"revenue", "orders"}},
			badCreate: []wrong{{`{"name":"x","metrics":["luck"]}`, "body/metrics/0"}, {`{}`, "body/name"}},
			update:    `{"metrics":[]}`, changes: map[string]any{"metrics": []any{}, "name": "Money"}, badUpdate: []wrong{{`{"metrics":["luck"]}`, "body/metrics/0"}}},
		{name: "files", path: "/v1/files/", scope: "files", noGet: true, unlisted: true, // until it is uploaded
			create: `{"service":"downloadable","name":"a.txt","mime_type":"text/plain","size":3,"upload":{"parts":[{"number":1,"chunk_start":0,"chunk_end":3}]}}`,
			shows:  map[string]any{"name": "a.txt", "is_uploaded": false, "size_readable": "3.0 B"},
			badCreate: []wrong{
				{`{"service":"product_media","name":"a","mime_type":"text/plain","size":1,"upload":{"parts":[]}}`, "body/product_media/mime_type"},
				{`{"service":"downloadable","name":"a","mime_type":"text/plain","size":3,"upload":{"parts":[{"number":1,"chunk_start":0,"chunk_end":2}]}}`, "body/downloadable/upload/parts"},
				{`{"service":"downloadable","name":"a","mime_type":"text/plain","size":3,"upload":{"parts":[{"number":1,"chunk_start":1,"chunk_end":3}]}}`, "body/downloadable/upload/parts/0/chunk_start"},
				{`{"service":"downloadable","name":"a","mime_type":"text/plain","size":3,"checksum_sha256_base64":"eA==","upload":{"parts":[]}}`, "body/checksum_sha256_base64"},
			},
			update: `{"name":"b.txt","version":"2"}`, changes: map[string]any{"name": "b.txt", "version": "2"}, badUpdate: []wrong{{`{"name":1}`, "body/name"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := polartest.NewServer(t)
			token, reader, writer := srv.Token(), srv.Token(models.Scope(tc.scope+":read")), srv.Token(models.Scope(tc.scope+":write"))
			product := newProduct(t, srv, fixed10)
			fillIn := func(body string) string { return strings.ReplaceAll(body, "PRODUCT", product) }
			count := func() int {
				a := send(t, srv, "GET", tc.path, reader, "")
				require.Equal(t, 200, a.status, a.body)
				if tc.bare {
					var list []any
					require.NoError(t, json.Unmarshal([]byte(a.body), &list))
					return len(list)
				}
				var page polar.Page[map[string]any]
				require.NoError(t, json.Unmarshal([]byte(a.body), &page))
				assert.Len(t, page.Items, page.Pagination.TotalCount)
				return page.Pagination.TotalCount
			}
			assert.Zero(t, count())
			made := send(t, srv, "POST", tc.path, writer, fillIn(tc.create)).object(t, 201)
			id := made["id"].(string)
			one := strings.TrimSuffix(tc.path, "/") + "/" + id
			for k, v := range tc.shows {
				assert.Equal(t, v, made[k], k)
			}
			listed := 1
			if tc.unlisted {
				listed = 0
			}
			assert.Equal(t, listed, count())
			if !tc.noGet {
				assert.Equal(t, made, send(t, srv, "GET", one, token, "").object(t, 200))
			}
			for _, w := range tc.badCreate {
				assert.Contains(t, send(t, srv, "POST", tc.path, token, fillIn(w.body)).locs(t), w.loc, w.body)
			}
			for _, w := range tc.badUpdate {
				assert.Contains(t, send(t, srv, "PATCH", one, token, w.body).locs(t), w.loc, w.body)
			}
			assert.Equal(t, listed, count(), "a refused call changes nothing")
			changed := send(t, srv, "PATCH", one, writer, tc.update).object(t, 200)
			for k, v := range tc.changes {
				assert.Equal(t, v, changed[k], k)
			}
			for _, x := range []struct{ method, path, body string }{{"GET", tc.path, ""}, {"POST", tc.path, fillIn(tc.create)}, {"PATCH", one, tc.update}, {"DELETE", one, ""}} {
				assert.Equal(t, 401, send(t, srv, x.method, x.path, "", x.body).status, x.method)
				other := srv.Token(models.ScopeOrdersRead)
				if x.method != "GET" {
					assert.Equal(t, 403, send(t, srv, x.method, x.path, reader, x.body).status, x.method)
				}
				assert.Equal(t, 403, send(t, srv, x.method, x.path, other, x.body).status, x.method)
			}
			assert.Equal(t, 204, send(t, srv, "DELETE", one, writer, "").status)
			assert.Zero(t, count())
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				if tc.noGet && method == "GET" {
					continue
				}
				a := send(t, srv, method, one, token, tc.update)
				assert.Equal(t, 404, a.status, method)
				assert.Contains(t, a.body, `"ResourceNotFound"`)
			}
		})
	}
}

func TestDiscountSorting(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start))
	client := srv.Client()
	for i, name := range []string{"b", "c", "a"} {
		_, err := client.Discounts.Create(t.Context(), models.DiscountFixedCreate{Name: name, Code: new(strings.Repeat(name, 3)), Duration: models.DiscountDurationOnce,
			Amounts: map[string]int64{"eur": 100, "usd": 120}, EndsAt: new(start.Add(time.Duration(10-i) * time.Hour))})
		require.NoError(t, err)
	}
	for sorting, want := range map[models.DiscountSort]string{models.DiscountSortName: "abc", models.DiscountSortNameDesc: "cba", models.DiscountSortCode: "abc", models.DiscountSortEndsAt: "acb",
		models.DiscountSortCreatedAt: "bca", "": "acb"} {
		params := &polar.DiscountListParams{}
		if sorting != "" {
			params.Sorting = []models.DiscountSort{sorting}
		}
		page, err := client.Discounts.List(t.Context(), params)
		require.NoError(t, err)
		names := ""
		for _, d := range page.Items {
			names += d.Name
			assert.Equal(t, int64(120), *d.Amount, "in the organization's own currency")
			assert.Equal(t, "usd", *d.Currency)
		}
		assert.Equal(t, want, names, "%q", sorting)
	}
	page, err := client.Discounts.List(t.Context(), &polar.DiscountListParams{Query: "CC"})
	require.NoError(t, err)
	assert.Len(t, page.Items, 1, "found by its code")
}

// TestDiscountRedemptions pays 800 for a price of 1000 with 20 % off, once in all.
func TestDiscountRedemptions(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	product := newProduct(t, srv, fixed10)
	d, err := client.Discounts.Create(t.Context(), models.DiscountPercentageCreate{Name: "20 %", Code: new("Save20"), Duration: models.DiscountDurationOnce, BasisPoints: 2000,
		MaxRedemptions: new(2), MaxRedemptionsPerCustomer: new(1)})
	require.NoError(t, err)

	open := func(email string) *models.Checkout {
		x, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{product}, CustomerEmail: &email})
		require.NoError(t, err)
		return x
	}
	withCode := func(x *models.Checkout) answer {
		return send(t, srv, "PATCH", "/v1/checkouts/client/"+x.ClientSecret, "", `{"discount_code":"sAVE20"}`)
	}
	x := open("a@example.com")
	assert.Equal(t, 800.0, withCode(x).object(t, 200)["total_amount"])
	require.NoError(t, srv.CompleteCheckout(x.ID))
	d, err = client.Discounts.Get(t.Context(), d.ID)
	require.NoError(t, err)
	assert.Equal(t, 1, d.RedemptionsCount)

	again := open("a@example.com")
	withCode(again).object(t, 200) // the session does not know the customer yet
	require.ErrorContains(t, srv.CompleteCheckout(again.ID), "DiscountRedemptionLimitReached")

	_, err = client.Discounts.Update(t.Context(), d.ID, models.DiscountUpdate{BasisPoints: models.Set(100)})
	require.ErrorIs(t, err, polar.ErrValidation, "who has it was promised 20 %")

	second := open("b@example.com")
	withCode(second).object(t, 200)
	require.NoError(t, srv.CompleteCheckout(second.ID))
	assert.Equal(t, []string{"body/discount_code"}, withCode(open("c@example.com")).locs(t))

	require.NoError(t, client.Discounts.Delete(t.Context(), d.ID))
	orders, err := client.Orders.List(t.Context(), &polar.OrderListParams{DiscountID: []string{d.ID}})
	require.NoError(t, err)
	require.Len(t, orders.Items, 2)
	assert.Equal(t, "20 %", orders.Items[0].Discount.Name, "orders keep showing it")
	_, err = client.Discounts.Create(t.Context(), models.DiscountPercentageCreate{Name: "new", Code: new("SAVE20"), Duration: models.DiscountDurationOnce, BasisPoints: 1})
	require.NoError(t, err, "the code is free again")
}

func TestOpenCheckoutLink(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	_, err := client.CustomFields.Create(t.Context(), models.CustomFieldCreateNumber{Slug: "age", Name: "Age", Properties: models.CustomFieldNumberProperties{Ge: new(int64(18))}})
	require.NoError(t, err)
	field, err := client.CustomFields.List(t.Context(), nil)
	require.NoError(t, err)
	product := newProduct(t, srv, `{"amount_type":"custom","minimum_amount":500}`, `,"attached_custom_fields":[{"custom_field_id":"`+field.Items[0].ID+`","required":true}]`)
	other := newProduct(t, srv, fixed10)
	d, err := client.Discounts.Create(t.Context(), models.DiscountPercentageCreate{Name: "Half", Code: new("HALF"), Duration: models.DiscountDurationOnce, BasisPoints: 5000})
	require.NoError(t, err)
	link, err := client.CheckoutLinks.Create(t.Context(), models.CheckoutLinkCreate{Products: []string{product, other}, Metadata: models.Metadata{"campaign": "x"}, SuccessURL: new("https://example.com/?c={CHECKOUT_ID}")})
	require.NoError(t, err)
	require.Len(t, link.Products, 2)

	open := func(query string) *models.Checkout {
		t.Helper()
		a := send(t, srv, "GET", strings.TrimPrefix(link.URL, srv.URL)+query, "", "")
		require.Equal(t, 303, a.status, a.body)
		page, err := client.Checkouts.List(t.Context(), nil)
		require.NoError(t, err)
		x := page.Items[0]
		assert.Equal(t, x.URL, a.header.Get("Location"))
		return &x
	}
	for _, tc := range []struct {
		name, query string
		check       func(t *testing.T, x *models.Checkout)
	}{
		{"bare", "", func(t *testing.T, x *models.Checkout) {
			assert.Equal(t, product, *x.ProductID)
			assert.Len(t, x.Products, 2)
			assert.Equal(t, int64(500), x.Amount)
			assert.Equal(t, models.Metadata{"campaign": "x"}, x.Metadata)
			assert.Equal(t, "https://example.com/?c="+x.ID, x.SuccessURL)
			require.Len(t, x.AttachedCustomFields, 1)
			assert.True(t, x.AttachedCustomFields[0].Required)
		}},
		{"prefilled", "?customer_email=a@example.com&customer_name=Ada&amount=2000&discount_code=half&custom_field_data.age=20&utm_source=mail&reference_id=r1", func(t *testing.T, x *models.Checkout) {
			assert.Equal(t, "a@example.com", *x.CustomerEmail)
			assert.Equal(t, "Ada", *x.CustomerName)
			assert.Equal(t, int64(1000), x.TotalAmount)
			assert.Equal(t, d.ID, *x.DiscountID)
			age, _ := x.CustomFieldData.Int("age")
			assert.Equal(t, int64(20), age)
			assert.Equal(t, models.Metadata{"campaign": "x", "utm_source": "mail", "reference_id": "r1"}, x.Metadata)
		}},
		{"what does not fit is left out", "?customer_email=nonsense&amount=1&discount_code=none&custom_field_data.age=17&custom_field_data.shoe=44&seats=no", func(t *testing.T, x *models.Checkout) {
			assert.Nil(t, x.CustomerEmail)
			assert.Nil(t, x.DiscountID)
			assert.Equal(t, int64(500), x.Amount)
			assert.Empty(t, x.CustomFieldData)
		}},
		{"another product", "?product_id=" + other, func(t *testing.T, x *models.Checkout) { assert.Equal(t, other, *x.ProductID) }},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.check(t, open(tc.query)) })
	}
	require.NoError(t, client.Discounts.Delete(t.Context(), d.ID))
	require.NoError(t, client.CheckoutLinks.Delete(t.Context(), link.ID))
	assert.Equal(t, 404, send(t, srv, "GET", strings.TrimPrefix(link.URL, srv.URL), "", "").status)
	assert.Equal(t, 405, send(t, srv, "POST", strings.TrimPrefix(link.URL, srv.URL), "", "").status)
}

func TestCustomFieldAnswers(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	var attach []string
	for _, f := range []models.CustomFieldCreate{
		models.CustomFieldCreateText{Slug: "name", Name: "Name", Properties: models.CustomFieldTextProperties{MinLength: new(2), MaxLength: new(4)}},
		models.CustomFieldCreateNumber{Slug: "age", Name: "Age", Properties: models.CustomFieldNumberProperties{Ge: new(int64(18)), Le: new(int64(99))}},
		models.CustomFieldCreateDate{Slug: "day", Name: "Day"},
		models.CustomFieldCreateCheckbox{Slug: "terms", Name: "Terms"},
		models.CustomFieldCreateSelect{Slug: "size", Name: "Size", Properties: models.CustomFieldSelectProperties{Options: []models.CustomFieldSelectOption{{Value: "s", Label: "S"}}}},
	} {
		made, err := client.CustomFields.Create(t.Context(), f)
		require.NoError(t, err)
		attach = append(attach, `{"custom_field_id":"`+made.ID+`","required":`+fmt.Sprint(made.Slug == "terms")+`}`)
	}
	product := newProduct(t, srv, `{"amount_type":"fixed","price_amount":0}`, `,"attached_custom_fields":[`+strings.Join(attach, ",")+`]`)
	x, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{product}, CustomerEmail: new("a@example.com")})
	require.NoError(t, err)
	for data, want := range map[string][]string{
		`{"name":"a"}`: {"name"}, `{"name":"abcde"}`: {"name"}, `{"name":1}`: {"name"}, `{"age":17}`: {"age"}, `{"age":100}`: {"age"}, `{"age":"x"}`: {"age"}, `{"day":"tomorrow"}`: {"day"},
		`{"terms":"yes"}`: {"terms"}, `{"size":"xl"}`: {"size"}, `{"name":"abc","age":18,"day":"2026-01-31","terms":false,"size":"s"}`: nil, `{"age":null}`: nil,
	} {
		a := send(t, srv, "PATCH", "/v1/checkouts/"+x.ID, srv.Token(), `{"custom_field_data":`+data+`}`)
		if want == nil {
			assert.Equal(t, 200, a.status, "%s: %s", data, a.body)
			continue
		}
		assert.Equal(t, []string{"body/custom_field_data/" + want[0]}, a.locs(t), data)
	}
	confirm := func(data string) answer {
		return send(t, srv, "POST", "/v1/checkouts/client/"+x.ClientSecret+"/confirm", "", `{"custom_field_data":`+data+`}`)
	}
	assert.Equal(t, []string{"body/custom_field_data/terms"}, confirm(`{}`).locs(t), "a required one is missing")
	assert.Equal(t, []string{"body/custom_field_data/terms"}, confirm(`{"terms":false}`).locs(t), "a required box must be ticked")
	confirm(`{"terms":true,"name":"Ada"}`).object(t, 200)
	orders, err := client.Orders.List(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, orders.Items, 1)
	assert.Equal(t, models.CustomFieldData{"terms": true, "name": "Ada"}, orders.Items[0].CustomFieldData)
}

// upload puts the parts of a file where the server says, and tells it.
func upload(t *testing.T, srv *polartest.Server, service, mime, content string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	body := fmt.Sprintf(`{"service":%q,"name":"ä b.bin","mime_type":%q,"size":%d,"upload":{"parts":[{"number":1,"chunk_start":0,"chunk_end":%d,"checksum_sha256_base64":%q}]}}`,
		service, mime, len(content), len(content), checksum)
	made := send(t, srv, "POST", "/v1/files/", srv.Token(), body).object(t, 201)
	up := made["upload"].(map[string]any)
	part := up["parts"].([]any)[0].(map[string]any)
	path := strings.TrimPrefix(part["url"].(string), srv.URL)
	signed := func(r *http.Request) {
		for k, v := range part["headers"].(map[string]any) {
			r.Header.Set(k, v.(string))
		}
	}
	for name, a := range map[string]answer{
		"InvalidArgument":       send(t, srv, "PUT", path, srv.Token(), content, signed),
		"SignatureDoesNotMatch": send(t, srv, "PUT", path, "", content),
		"BadDigest":             send(t, srv, "PUT", path, "", strings.Repeat("x", len(content)), signed),
		"InvalidRequest":        send(t, srv, "PUT", path, "", content+"x", signed),
		"MethodNotAllowed":      send(t, srv, "GET", path, "", ""),
		"NoSuchKey":             send(t, srv, "PUT", strings.Replace(path, made["id"].(string), nowhere, 1), "", content, signed),
	} {
		assert.GreaterOrEqual(t, a.status, 400, name)
		assert.Contains(t, a.body, "<Code>"+name+"</Code>")
	}
	a := send(t, srv, "PUT", path, "", content, signed)
	require.Equal(t, 200, a.status, a.body)
	done := func(etag string) answer {
		return send(t, srv, "POST", "/v1/files/"+made["id"].(string)+"/uploaded", srv.Token(),
			fmt.Sprintf(`{"id":%q,"path":%q,"parts":[{"number":1,"checksum_etag":%q,"checksum_sha256_base64":%q}]}`, up["id"], up["path"], etag, checksum))
	}
	assert.Equal(t, []string{"body/parts/0/checksum_etag"}, done("nonsense").locs(t))
	f := done(a.header.Get("ETag")).object(t, 200)
	assert.Equal(t, true, f["is_uploaded"])
	assert.Equal(t, checksum, f["checksum_sha256_base64"])
	assert.Equal(t, 403, done(a.header.Get("ETag")).status, "it is uploaded already")
	return f["id"].(string)
}

func TestFileFromUploadToDownload(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start))
	client := srv.Client()
	id := upload(t, srv, "downloadable", "application/octet-stream", "hello")
	_, err := client.Benefits.Create(t.Context(), models.BenefitDownloadablesCreate{Description: "Files", Properties: models.BenefitDownloadablesCreateProperties{Files: []string{nowhere}}})
	require.ErrorIs(t, err, polar.ErrValidation)
	benefit, err := client.Benefits.Create(t.Context(), models.BenefitDownloadablesCreate{Description: "Files", Properties: models.BenefitDownloadablesCreateProperties{Files: []string{id}}})
	require.NoError(t, err)
	product := newProduct(t, srv, fixed10)
	_, err = client.Products.SetBenefits(t.Context(), product, models.ProductBenefitsUpdate{Benefits: []string{benefit.ID}})
	require.NoError(t, err)
	x, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{product}, ExternalCustomerID: new("u1"), CustomerEmail: new("a@example.com")})
	require.NoError(t, err)
	require.NoError(t, srv.CompleteCheckout(x.ID))
	portal, err := srv.PortalClient("u1")
	require.NoError(t, err)
	list, err := portal.Downloadables.List(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	address := strings.TrimPrefix(list.Items[0].File.Download.URL, srv.URL)
	sent := send(t, srv, "GET", address, "", "")
	require.Equal(t, 302, sent.status)
	stored := strings.TrimPrefix(sent.header.Get("Location"), srv.URL)
	a := send(t, srv, "GET", stored, "", "")
	assert.Equal(t, 200, a.status)
	assert.Equal(t, "hello", a.body)
	assert.Contains(t, a.header.Get("Content-Disposition"), "%C3%A4%20b.bin")
	a = send(t, srv, "GET", stored, "", "", func(r *http.Request) { r.Header.Set("Range", "bytes=1-2") })
	assert.Equal(t, 206, a.status)
	assert.Equal(t, "el", a.body)
	assert.Equal(t, 400, send(t, srv, "GET", stored, srv.Token(), "").status, "the address is enough, a token is refused")
	assert.Equal(t, 403, send(t, srv, "GET", stored+"0", "", "").status)
	assert.Equal(t, 404, send(t, srv, "GET", address+"0", "", "").status)
	require.Len(t, srv.Requests("storage:upload"), 6)
	for _, r := range srv.Requests("storage:download") {
		assert.Nil(t, r.Body)
	}
	srv.Break("storage:download", 1, polartest.BadGateway(503))
	assert.Equal(t, 503, send(t, srv, "GET", stored, "", "").status)
	files, err := client.Benefits.ListFiles(t.Context(), benefit.ID, nil)
	require.NoError(t, err)
	require.Len(t, files.Items, 1)
	assert.Equal(t, 1, files.Items[0].Downloads)
	assert.Equal(t, 1, files.Items[0].Downloaders)
	srv.Advance(time.Hour)
	assert.Contains(t, send(t, srv, "GET", stored, "", "").body, "expired")
	assert.Equal(t, 410, send(t, srv, "GET", address, "", "").status)
	require.NoError(t, client.Files.Delete(t.Context(), id))
	files, err = client.Benefits.ListFiles(t.Context(), benefit.ID, nil)
	require.NoError(t, err)
	assert.Empty(t, files.Items)
}

func TestProductMedia(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	id := upload(t, srv, "product_media", "image/png", "picture")
	product := newProduct(t, srv, fixed10, `,"medias":["`+id+`"]`)
	p, err := client.Products.Get(t.Context(), product)
	require.NoError(t, err)
	require.Len(t, p.Medias, 1)
	a := send(t, srv, "GET", strings.TrimPrefix(*p.Medias[0].PublicURL, srv.URL), "", "")
	assert.Equal(t, "picture", a.body)
	assert.Equal(t, "image/png", a.header.Get("Content-Type"))
	_, err = client.Products.Update(t.Context(), product, models.ProductUpdate{Medias: models.Set([]string{nowhere})})
	require.ErrorIs(t, err, polar.ErrValidation)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start))
	client := srv.Client()
	once := newProduct(t, srv, fixed10)
	yearly := newProduct(t, srv, `{"amount_type":"fixed","price_amount":12000}`, `,"recurring_interval":"year"`)
	buy := func(product, email string) {
		x, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{product}, CustomerEmail: &email})
		require.NoError(t, err)
		require.NoError(t, srv.CompleteCheckout(x.ID))
	}
	buy(once, "a@example.com")
	srv.Advance(24 * time.Hour)
	buy(yearly, "a@example.com")
	buy(once, "b@example.com")
	_, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{once}})
	require.NoError(t, err)
	_, err = client.Events.Ingest(t.Context(), models.EventsIngest{Events: []models.EventCreate{
		{Name: "call", ExternalCustomerID: new("u"), Cost: &models.CostMetadata{Amount: "12.5", Currency: "usd"}}}})
	require.NoError(t, err)

	day := func(n int) models.Date { return models.Date{Year: 2026, Month: 10, Day: n} }
	m, err := client.Metrics.Get(t.Context(), polar.MetricGetParams{StartDate: day(5), EndDate: day(7), Interval: models.TimeIntervalDay})
	require.NoError(t, err)
	require.Len(t, m.Periods, 3)
	for _, tc := range []struct {
		name  string
		of    func(p *models.MetricPeriod) *float64
		want  [3]float64
		total *float64
		sum   float64
	}{
		{"orders", func(p *models.MetricPeriod) *float64 { return p.Orders }, [3]float64{1, 2, 0}, m.Totals.Orders, 3},
		{"revenue", func(p *models.MetricPeriod) *float64 { return p.Revenue }, [3]float64{1000, 13000, 0}, m.Totals.Revenue, 14000},
		{"cumulative revenue", func(p *models.MetricPeriod) *float64 { return p.CumulativeRevenue }, [3]float64{1000, 14000, 14000}, m.Totals.CumulativeRevenue, 14000},
		{"average order", func(p *models.MetricPeriod) *float64 { return p.AverageOrderValue }, [3]float64{1000, 6500, 0}, m.Totals.AverageOrderValue, 14000.0 / 3},
		{"active subscriptions", func(p *models.MetricPeriod) *float64 { return p.ActiveSubscriptions }, [3]float64{0, 1, 1}, m.Totals.ActiveSubscriptions, 1},
		{"MRR of 120.00 a year", func(p *models.MetricPeriod) *float64 { return p.MonthlyRecurringRevenue }, [3]float64{0, 1000, 1000}, m.Totals.MonthlyRecurringRevenue, 1000},
		{"ARR", func(p *models.MetricPeriod) *float64 { return p.AnnualRecurringRevenue }, [3]float64{0, 12000, 12000}, m.Totals.AnnualRecurringRevenue, 12000},
		{"new subscriptions", func(p *models.MetricPeriod) *float64 { return p.NewSubscriptions }, [3]float64{0, 1, 0}, m.Totals.NewSubscriptions, 1},
		{"one-time products", func(p *models.MetricPeriod) *float64 { return p.OneTimeProductsRevenue }, [3]float64{1000, 1000, 0}, m.Totals.OneTimeProductsRevenue, 2000},
		{"checkouts", func(p *models.MetricPeriod) *float64 { return p.Checkouts }, [3]float64{1, 3, 0}, m.Totals.Checkouts, 4},
		{"conversion", func(p *models.MetricPeriod) *float64 { return p.CheckoutsConversion }, [3]float64{1, 2.0 / 3, 0}, m.Totals.CheckoutsConversion, 0.75},
		{"costs", func(p *models.MetricPeriod) *float64 { return p.Costs }, [3]float64{0, 12.5, 0}, m.Totals.Costs, 12.5},
		{"gross margin", func(p *models.MetricPeriod) *float64 { return p.GrossMargin }, [3]float64{1000, 13987.5, 13987.5}, m.Totals.GrossMargin, 13987.5},
		{"users by event", func(p *models.MetricPeriod) *float64 { return p.ActiveUserByEvent }, [3]float64{0, 1, 0}, m.Totals.ActiveUserByEvent, 1},
	} {
		for i := range 3 {
			assert.InDelta(t, tc.want[i], *tc.of(&m.Periods[i]), 1e-9, "%s in period %d", tc.name, i)
		}
		assert.InDelta(t, tc.sum, *tc.total, 1e-9, "%s in all", tc.name)
	}
	assert.Equal(t, models.MetricTypeCurrency, m.Metrics.Revenue.Type)

	few, err := client.Metrics.Get(t.Context(), polar.MetricGetParams{StartDate: day(1), EndDate: day(31), Interval: models.TimeIntervalMonth, Metrics: []string{"revenue"}, ProductID: []string{once}})
	require.NoError(t, err)
	require.Len(t, few.Periods, 1)
	assert.InDelta(t, 2000, *few.Totals.Revenue, 0)
	assert.Nil(t, few.Totals.Orders)

	export, err := client.Metrics.Export(t.Context(), polar.MetricExportParams{StartDate: day(5), EndDate: day(6), Interval: models.TimeIntervalDay, Metrics: []string{"orders", "revenue"}})
	require.NoError(t, err)
	data, err := io.ReadAll(export)
	require.NoError(t, err)
	assert.Equal(t, "Timestamp,Orders,Revenue\r\n2026-10-05T00:00:00+00:00,1,1000\r\n2026-10-06T00:00:00+00:00,2,13000\r\n", string(data))

	limits, err := client.Metrics.Limits(t.Context())
	require.NoError(t, err)
	assert.Positive(t, limits.Intervals.Day.MaxDays)
	for query, loc := range map[string]string{
		"start_date=2026-10-05&end_date=2026-10-04&interval=day":                     "query/start_date",
		"start_date=2020-10-05&end_date=2026-10-04&interval=day":                     "query/start_date",
		"start_date=2026-01-05&end_date=2026-10-04&interval=hour":                    "query/interval",
		"start_date=2026-10-05&end_date=2026-10-06&interval=day&metrics=luck":        "query/metrics",
		"start_date=2026-10-05&end_date=2026-10-06&interval=fortnight":               "query/interval",
		"start_date=2026-10-05&interval=day":                                         "query/end_date",
		"start_date=2026-10-05&end_date=2026-10-06&interval=day&timezone=Mars%2FOne": "query/timezone",
	} {
		assert.Contains(t, send(t, srv, "GET", "/v1/metrics/?"+query, srv.Token(), "").locs(t), loc, query)
	}
	assert.Equal(t, 403, send(t, srv, "GET", "/v1/metrics/limits", srv.Token(models.ScopeOrdersRead), "").status)
	assert.Equal(t, 401, send(t, srv, "GET", "/v1/metrics/limits", "", "").status)
}

func TestCustomerExport(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start))
	c, err := srv.Client().Customers.Create(t.Context(), models.CustomerCreate{Email: "a@example.com", Name: new(`Ada, "Countess"`),
		BillingAddress: &models.Address{City: new("Wien"), Country: "AT"}, Metadata: models.Metadata{"vip": true}})
	require.NoError(t, err)
	a := send(t, srv, "GET", "/v1/customers/export", srv.Token(models.ScopeCustomersRead), "")
	assert.Equal(t, 200, a.status)
	assert.Equal(t, "ID,External ID,Created At,Email,Name,Tax ID,Billing Address Line 1,Billing Address Line 2,Billing Address City,Billing Address State,Billing Address Zip,"+
		"Billing Address Country,Metadata\r\n"+c.ID+`,,2026-10-05T08:00:00+00:00,a@example.com,"Ada, ""Countess""",,,,Wien,,,AT,"{""vip"":true}"`+"\r\n", a.body)
	assert.Equal(t, 401, send(t, srv, "GET", "/v1/customers/export", "", "").status)
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start))
	client := srv.Client()
	ingest := func(name, model string) {
		_, err := client.Events.Ingest(t.Context(), models.EventsIngest{Events: []models.EventCreate{{Name: name, ExternalCustomerID: new("u"), Metadata: models.Metadata{"model": model}}}})
		require.NoError(t, err)
	}
	ingest("call", "a")
	srv.Advance(time.Hour)
	ingest("call", "b")
	ingest("page", "c")
	list, err := client.EventTypes.List(t.Context(), &polar.EventTypeListParams{Sorting: []models.EventTypeSort{models.EventTypeSortOccurrencesDesc}})
	require.NoError(t, err)
	require.Len(t, list.Items, 2)
	call := list.Items[0]
	assert.Equal(t, 2, call.Occurrences)
	assert.Equal(t, start, call.FirstSeen)
	assert.Equal(t, start.Add(time.Hour), call.LastSeen)
	updated, err := client.EventTypes.Update(t.Context(), *call.ID, models.EventTypeUpdate{Label: "A call"})
	require.NoError(t, err)
	assert.Equal(t, "A call", updated.Label)
	events, err := client.Events.List(t.Context(), &polar.EventListParams{Name: []string{"call"}})
	require.NoError(t, err)
	assert.Equal(t, "A call", events.Items[0].Label)
	_, err = client.EventTypes.Update(t.Context(), *call.ID, models.EventTypeUpdate{Label: "A call", LabelPropertySelector: models.Set("model")})
	require.NoError(t, err)
	events, err = client.Events.List(t.Context(), &polar.EventListParams{Name: []string{"call"}})
	require.NoError(t, err)
	assert.Equal(t, "b", events.Items[0].Label)

	path := "/v1/event-types/" + *call.ID
	assert.Equal(t, []string{"body/label"}, send(t, srv, "PATCH", path, srv.Token(), `{"label":""}`).locs(t))
	assert.Equal(t, 401, send(t, srv, "PATCH", path, "", `{"label":"x"}`).status)
	assert.Equal(t, 403, send(t, srv, "PATCH", path, srv.Token(models.ScopeEventsRead), `{"label":"x"}`).status)
	assert.Equal(t, 404, send(t, srv, "PATCH", "/v1/event-types/"+nowhere, srv.Token(), `{"label":"x"}`).status)
	assert.Equal(t, 401, send(t, srv, "GET", "/v1/event-types/", "", "").status)
}

func TestDisputesAndPayments(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	x, err := client.Checkouts.Create(t.Context(), models.CheckoutCreate{Products: []string{newProduct(t, srv, fixed10)}, CustomerEmail: new("a@example.com")})
	require.NoError(t, err)
	require.NoError(t, srv.CompleteCheckout(x.ID))
	orders, err := client.Orders.List(t.Context(), nil)
	require.NoError(t, err)
	order := orders.Items[0]
	payments, err := client.Payments.List(t.Context(), &polar.PaymentListParams{CustomerEmail: []string{"a@example.com"}})
	require.NoError(t, err)
	require.Len(t, payments.Items, 1)
	none, err := client.Payments.List(t.Context(), &polar.PaymentListParams{CustomerEmail: []string{"b@example.com"}})
	require.NoError(t, err)
	assert.Empty(t, none.Items)

	id, err := srv.Dispute(order.ID)
	require.NoError(t, err)
	_, err = srv.Dispute(nowhere)
	require.Error(t, err)
	d, err := client.Disputes.Get(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, models.DisputeStatusNeedsResponse, d.Status)
	assert.Equal(t, payments.Items[0].ID, d.PaymentID)
	assert.Equal(t, int64(1000), d.Amount)
	list, err := client.Disputes.List(t.Context(), &polar.DisputeListParams{OrderID: []string{order.ID}, Status: []models.DisputeStatus{models.DisputeStatusNeedsResponse}})
	require.NoError(t, err)
	assert.Len(t, list.Items, 1)
	assert.Equal(t, 403, send(t, srv, "POST", "/v1/disputes/"+id+"/accept", srv.Token(models.ScopeDisputesRead), "").status)
	d, err = client.Disputes.Accept(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, models.DisputeStatusLost, d.Status)
	assert.True(t, d.Closed)
	_, err = client.Disputes.Accept(t.Context(), id)
	require.ErrorIs(t, err, polar.ErrConflict)
	require.NoError(t, srv.SetDisputeStatus(id, models.DisputeStatusWon))
	require.Error(t, srv.SetDisputeStatus(id, "nonsense"))
	require.Error(t, srv.SetDisputeStatus(nowhere, models.DisputeStatusWon))
	for _, path := range []string{"/v1/disputes/", "/v1/payments/"} {
		assert.Equal(t, 401, send(t, srv, "GET", path, "", "").status)
		assert.Equal(t, 404, send(t, srv, "GET", path+nowhere, srv.Token(), "").status)
		assert.Equal(t, 403, send(t, srv, "GET", path+nowhere, srv.Token(models.ScopeOrdersRead), "").status)
	}
	assert.Equal(t, 404, send(t, srv, "POST", "/v1/disputes/"+nowhere+"/accept", srv.Token(), "").status)
}

func TestOrganizations(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	token := srv.UserToken()
	made := send(t, srv, "POST", "/v1/organizations/", token, `{"name":"Beta","slug":"beta","email":"b@example.com","feature_settings":{"member_model_enabled":true}}`).object(t, 201)
	id := made["id"].(string)
	assert.Equal(t, "created", made["status"])
	assert.Equal(t, made, send(t, srv, "GET", "/v1/organizations/"+id, token, "").object(t, 200))
	assert.Equal(t, []string{"body/slug"}, send(t, srv, "POST", "/v1/organizations/", token, `{"name":"Beta","slug":"beta"}`).locs(t))
	assert.Equal(t, []string{"body/slug"}, send(t, srv, "POST", "/v1/organizations/", token, `{"name":"Beta","slug":"B eta"}`).locs(t))
	assert.Equal(t, []string{"body/name"}, send(t, srv, "PATCH", "/v1/organizations/"+id, token, `{"name":"B"}`).locs(t))
	changed := send(t, srv, "PATCH", "/v1/organizations/"+id, token, `{"name":"Gamma","website":"https://example.com/","embed_hosts":["example.com"],"dispute_settings":{"auto_accept_below_amount":100}}`).object(t, 200)
	assert.Equal(t, "Gamma", changed["name"])
	assert.Equal(t, map[string]any{"auto_accept_below_amount": 100.0}, changed["dispute_settings"])
	assert.Equal(t, 2.0, send(t, srv, "GET", "/v1/organizations/", token, "").object(t, 200)["pagination"].(map[string]any)["total_count"])
	assert.Equal(t, 1.0, send(t, srv, "GET", "/v1/organizations/?slug=beta", token, "").object(t, 200)["pagination"].(map[string]any)["total_count"])
	assert.Equal(t, 1.0, send(t, srv, "GET", "/v1/organizations/", srv.Token(), "").object(t, 200)["pagination"].(map[string]any)["total_count"], "an organization's token sees its own")
	assert.Equal(t, 404, send(t, srv, "GET", "/v1/organizations/"+id, srv.Token(), "").status)
	assert.Equal(t, 401, send(t, srv, "POST", "/v1/organizations/", srv.Token(), `{"name":"Beta","slug":"beta2"}`).status)
	assert.Equal(t, 403, send(t, srv, "PATCH", "/v1/organizations/"+id, srv.UserToken(models.ScopeOrganizationsRead), `{}`).status)
	assert.Equal(t, 401, send(t, srv, "GET", "/v1/organizations/", "", "").status)
}

func TestOAuth2(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start))
	anyone, err := srv.ClientWithToken(srv.UserToken())
	require.NoError(t, err)
	client, err := anyone.OAuth2Clients.Create(t.Context(), models.OAuth2ClientCreate{ClientName: "App", RedirectURIs: []string{"http://localhost:1/cb?x=1"}, Scope: new("openid email products:read products:write")})
	require.NoError(t, err)
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	query := func(edit ...string) url.Values {
		q := url.Values{"client_id": {client.ClientID}, "response_type": {"code"}, "redirect_uri": {"http://localhost:1/cb?x=1"}, "scope": {"openid email products:read"}, "state": {"st"},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
		for i := 0; i < len(edit); i += 2 {
			q.Set(edit[i], edit[i+1])
		}
		return q
	}
	form := func(path string, kv ...string) answer {
		v := url.Values{"client_id": {client.ClientID}, "client_secret": {*client.ClientSecret}}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return send(t, srv, "POST", path, "", v.Encode(), func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
	}
	token := func(kv ...string) answer { return form("/v1/oauth2/token", kv...) }

	t.Run("what the user is asked", func(t *testing.T) {
		info := send(t, srv, "GET", "/v1/oauth2/authorize?"+query().Encode(), srv.UserToken(), "").object(t, 200)
		assert.Equal(t, "App", info["client"].(map[string]any)["client_name"])
		assert.Equal(t, []any{"openid", "email", "products:read"}, info["scopes"])
		assert.Len(t, info["organizations"], 1)
		for _, tc := range []struct{ member, value, want string }{
			{"client_id", "none", "invalid_client"}, {"redirect_uri", "http://evil.example/", "invalid_request"}, {"response_type", "token", "unsupported_response_type"},
			{"scope", "orders:write", "invalid_scope"}, {"code_challenge_method", "md5", "invalid_request"},
		} {
			a := send(t, srv, "GET", "/v1/oauth2/authorize?"+query(tc.member, tc.value).Encode(), "", "")
			assert.Equal(t, 400, a.status, tc.member)
			assert.Contains(t, a.body, `"`+tc.want+`"`)
		}
	})
	t.Run("consent in the browser", func(t *testing.T) {
		path := "/oauth2/authorize?" + query().Encode()
		page := send(t, srv, "GET", path, "", "")
		assert.Contains(t, page.body, "<h1>App asks for access</h1>")
		assert.NotContains(t, page.body, "For which organization")
		post := func(body string) url.Values {
			a := send(t, srv, "POST", path, "", body, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
			require.Equal(t, 302, a.status, a.body)
			u, err := url.Parse(a.header.Get("Location"))
			require.NoError(t, err)
			return u.Query()
		}
		assert.Equal(t, "access_denied", post("action=deny").Get("error"))
		q := post("action=allow")
		assert.Equal(t, "st", q.Get("state"))
		assert.Equal(t, "1", q.Get("x"))
		token("grant_type", "authorization_code", "code", q.Get("code"), "redirect_uri", "http://localhost:1/cb?x=1", "code_verifier", verifier).object(t, 200)
	})
	t.Run("code, refresh, introspection and revocation", func(t *testing.T) {
		to, err := srv.Authorize(query())
		require.NoError(t, err)
		code := to.Query().Get("code")
		exchange := func(edit ...string) answer {
			return token(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", "http://localhost:1/cb?x=1", "code_verifier", verifier}, edit...)...)
		}
		assert.Contains(t, exchange("code_verifier", "other").body, "invalid_grant")
		assert.Contains(t, exchange("redirect_uri", "http://localhost:2/").body, "invalid_grant")
		assert.Equal(t, 401, exchange("client_secret", "other").status)
		assert.Equal(t, 422, token("grant_type", "magic").status)
		got := exchange().object(t, 200)
		assert.Equal(t, 864000.0, got["expires_in"])
		assert.Equal(t, "openid email products:read", got["scope"])
		assert.Contains(t, exchange().body, "invalid_grant", "a code is good once")

		access, refresh := got["access_token"].(string), got["refresh_token"].(string)
		assert.Equal(t, 200, send(t, srv, "GET", "/v1/products/", access, "").status)
		assert.Equal(t, 403, send(t, srv, "GET", "/v1/orders/", access, "").status)
		who := send(t, srv, "GET", "/v1/oauth2/userinfo", access, "").object(t, 200)
		assert.Equal(t, "owner@acme.example.com", who["email"])
		assert.Nil(t, who["name"], "the scope profile was not given")
		assert.Equal(t, 401, send(t, srv, "GET", "/v1/oauth2/userinfo", srv.Token(), "").status)
		parts := strings.Split(got["id_token"].(string), ".")
		require.Len(t, parts, 3)
		var keys struct{ Keys []struct{ X string } }
		require.NoError(t, json.Unmarshal([]byte(send(t, srv, "GET", "/.well-known/jwks.json", "", "").body), &keys))
		key, err := base64.RawURLEncoding.DecodeString(keys.Keys[0].X)
		require.NoError(t, err)
		signature, err := base64.RawURLEncoding.DecodeString(parts[2])
		require.NoError(t, err)
		assert.True(t, ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), signature))

		state := form("/v1/oauth2/introspect", "token", access).object(t, 200)
		assert.Equal(t, true, state["active"])
		assert.Equal(t, who["sub"], state["sub"])
		assert.Equal(t, false, form("/v1/oauth2/introspect", "token", "none").object(t, 200)["active"])

		next := token("grant_type", "refresh_token", "refresh_token", refresh).object(t, 200)
		assert.Contains(t, token("grant_type", "refresh_token", "refresh_token", refresh).body, "invalid_grant", "a refresh token is good once")
		assert.Equal(t, 401, send(t, srv, "GET", "/v1/products/", access, "").status, "the pair went together")
		access = next["access_token"].(string)
		assert.Equal(t, 200, send(t, srv, "GET", "/v1/products/", access, "").status)
		assert.Equal(t, 200, form("/v1/oauth2/revoke", "token", next["refresh_token"].(string)).status)
		assert.Equal(t, 200, form("/v1/oauth2/revoke", "token", "none").status)
		assert.Equal(t, 401, send(t, srv, "GET", "/v1/products/", access, "").status)
	})
	t.Run("revoking one of a pair ends both", func(t *testing.T) {
		to, err := srv.Authorize(query())
		require.NoError(t, err)
		assert.Equal(t, srv.URL, to.Query().Get("iss"))
		got := token("grant_type", "authorization_code", "code", to.Query().Get("code"), "redirect_uri", "http://localhost:1/cb?x=1", "code_verifier", verifier).object(t, 200)
		assert.Equal(t, 200, form("/v1/oauth2/revoke", "token", got["access_token"].(string)).status)
		assert.Contains(t, token("grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)).body, "invalid_grant")
	})
	t.Run("a public client sends no secret", func(t *testing.T) {
		public, err := anyone.OAuth2Clients.Create(t.Context(), models.OAuth2ClientCreate{ClientName: "CLI", RedirectURIs: []string{"http://localhost:1/cb"}, TokenEndpointAuthMethod: new(models.OAuth2AuthMethodNone)})
		require.NoError(t, err)
		q := url.Values{"client_id": {public.ClientID}, "response_type": {"code"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
		to, err := srv.Authorize(q)
		require.NoError(t, err)
		body := models.OAuth2AuthorizationCodeRequest{ClientID: public.ClientID, ClientSecret: new(""), Code: to.Query().Get("code"), RedirectURI: "http://localhost:1/cb", CodeVerifier: &verifier}
		_, err = anyone.OAuth2.Token(t.Context(), body)
		require.ErrorIs(t, err, polar.ErrorName("invalid_client"), "an empty one is one, too")
		body.ClientSecret = nil
		got, err := anyone.OAuth2.Token(t.Context(), body)
		require.NoError(t, err)
		err = anyone.OAuth2.Revoke(t.Context(), models.OAuth2RevokeRequest{Token: got.AccessToken, ClientID: public.ClientID})
		require.ErrorIs(t, err, polar.ErrorName("invalid_client"))
		_, err = anyone.OAuth2.Introspect(t.Context(), models.OAuth2IntrospectRequest{Token: got.AccessToken, ClientID: public.ClientID})
		require.ErrorIs(t, err, polar.ErrorName("invalid_client"))
	})
	t.Run("time runs out", func(t *testing.T) {
		to, err := srv.Authorize(query(), srv.OrganizationID())
		require.NoError(t, err)
		late, err := srv.Authorize(query())
		require.NoError(t, err)
		got := token("grant_type", "authorization_code", "code", to.Query().Get("code"), "redirect_uri", "http://localhost:1/cb?x=1", "code_verifier", verifier).object(t, 200)
		assert.Equal(t, []any{srv.OrganizationID()}, form("/v1/oauth2/introspect", "token", got["access_token"].(string)).object(t, 200)["organizations"])
		srv.Advance(10 * time.Minute)
		assert.Contains(t, token("grant_type", "authorization_code", "code", late.Query().Get("code"), "redirect_uri", "http://localhost:1/cb?x=1", "code_verifier", verifier).body, "invalid_grant")
		srv.Advance(240 * time.Hour)
		assert.Equal(t, 401, send(t, srv, "GET", "/v1/products/", got["access_token"].(string), "").status)
		token("grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)).object(t, 200)
	})
	t.Run("an organization's token", func(t *testing.T) {
		to, err := srv.Authorize(query("sub_type", "organization"), srv.OrganizationID())
		require.NoError(t, err)
		got := token("grant_type", "authorization_code", "code", to.Query().Get("code"), "redirect_uri", "http://localhost:1/cb?x=1", "code_verifier", verifier).object(t, 200)
		assert.True(t, strings.HasPrefix(got["access_token"].(string), "polar_at_o_"))
		assert.Equal(t, srv.OrganizationID(), send(t, srv, "GET", "/v1/oauth2/userinfo", got["access_token"].(string), "").object(t, 200)["sub"])
	})
	t.Run("a choice of organizations", func(t *testing.T) {
		made := send(t, srv, "POST", "/v1/organizations/", srv.UserToken(), `{"name":"Be<ta","slug":"beta"}`).object(t, 201)["id"].(string)
		choose := func(subType, member string) map[string]any {
			path := "/oauth2/authorize?" + query("sub_type", subType).Encode()
			page := send(t, srv, "GET", path, "", "")
			assert.Contains(t, page.body, `name="`+member+`" value="`+made+`">Be&lt;ta</label>`)
			a := send(t, srv, "POST", path, "", member+"="+made+"&action=allow", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
			u, err := url.Parse(a.header.Get("Location"))
			require.NoError(t, err)
			got := token("grant_type", "authorization_code", "code", u.Query().Get("code"), "redirect_uri", "http://localhost:1/cb?x=1", "code_verifier", verifier).object(t, 200)
			return form("/v1/oauth2/introspect", "token", got["access_token"].(string)).object(t, 200)
		}
		assert.Equal(t, []any{made}, choose("user", "organization_id")["organizations"])
		assert.Equal(t, made, choose("organization", "sub")["sub"])
	})
	t.Run("the web grant", func(t *testing.T) {
		token("grant_type", "web", "session_token", srv.UserSession()).object(t, 200)
		token("grant_type", "web", "session_token", srv.UserSession(), "sub_type", "organization", "sub", srv.OrganizationID(), "scope", "products:read").object(t, 200)
		assert.Contains(t, token("grant_type", "web", "session_token", "none").body, "invalid_grant")
	})
	t.Run("clients", func(t *testing.T) {
		path, registration := "/v1/oauth2/register/"+client.ClientID, *client.RegistrationAccessToken
		assert.Equal(t, 401, send(t, srv, "GET", path, "", "").status)
		assert.Equal(t, client.ClientID, send(t, srv, "GET", path, registration, "").object(t, 200)["client_id"])
		body := `{"client_id":"` + client.ClientID + `","client_name":"App 2","redirect_uris":["https://example.com/cb"],"token_endpoint_auth_method":"none"}`
		changed := send(t, srv, "PUT", path, registration, body).object(t, 200)
		assert.Equal(t, "App 2", changed["client_name"])
		assert.NotContains(t, changed, "client_secret", "a public client has none")
		_, err := srv.Authorize(url.Values{"client_id": {client.ClientID}, "response_type": {"code"}})
		require.ErrorContains(t, err, "code_challenge")
		assert.Equal(t, []string{"body/client_name"}, send(t, srv, "PUT", path, registration, `{"client_id":"x","redirect_uris":[]}`).locs(t))
		assert.Contains(t, send(t, srv, "POST", "/v1/oauth2/register", "", `{"client_name":"x","redirect_uris":["http://example.com/"]}`).body, "invalid_redirect_uri")
		assert.Equal(t, 204, send(t, srv, "DELETE", path, registration, "").status)
		assert.Equal(t, 404, send(t, srv, "GET", path, srv.UserToken(), "").status)
	})
	t.Run("discovery", func(t *testing.T) {
		doc := send(t, srv, "GET", "/.well-known/openid-configuration", "", "").object(t, 200)
		assert.Equal(t, srv.URL, doc["issuer"])
		assert.Equal(t, srv.URL+"/v1/oauth2/token", doc["token_endpoint"])
	})
}

// TestShopEvents shows that the events of discounts and organizations go out, each with a payload of its form.
func TestShopEvents(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start))
	token := srv.Token()
	send(t, srv, "POST", "/v1/webhooks/endpoints", token, `{"url":"http://127.0.0.1:9/none","format":"raw","events":["discount.created","discount.updated","discount.deleted","organization.updated","checkout.created"]}`).object(t, 201)
	id := send(t, srv, "POST", "/v1/discounts/", token, `{"type":"fixed","name":"Ten","duration":"repeating","duration_in_months":2,"amounts":{"usd":1000}}`).object(t, 201)["id"].(string)
	send(t, srv, "PATCH", "/v1/discounts/"+id, token, `{"name":"Tenner"}`).object(t, 200)
	require.Equal(t, 204, send(t, srv, "DELETE", "/v1/discounts/"+id, token, "").status)
	send(t, srv, "PATCH", "/v1/organizations/"+srv.OrganizationID(), token, `{"name":"Acme Two"}`).object(t, 200)
	link := send(t, srv, "POST", "/v1/checkout-links/", token, `{"payment_processor":"stripe","product_id":"`+newProduct(t, srv, fixed10)+`"}`).object(t, 201)
	require.Equal(t, 303, send(t, srv, "GET", strings.TrimPrefix(link["url"].(string), srv.URL), "", "").status)
	var types []string
	for _, d := range srv.Deliveries() {
		if d.Attempt == 1 {
			types = append(types, string(d.Type))
		}
	}
	assert.Equal(t, []string{"discount.created", "discount.updated", "discount.deleted", "organization.updated", "checkout.created"}, types)
}
