package polartest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

var start = time.Date(2026, 10, 5, 8, 0, 0, 0, time.UTC)

// answer is what the server said to a plain request.
type answer struct {
	status int
	header http.Header
	body   string
}

// fault is one entry of the detail of a 422.
type fault struct {
	Type string
	Loc  []any
}

func (a answer) faults(t *testing.T) []fault {
	t.Helper()
	var b struct {
		Error  string
		Detail []fault
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &b), a.body)
	return b.Detail
}

// send makes a request without the client, which would refuse to send most of these.
func send(t *testing.T, srv *polartest.Server, method, path, token, body string, edit ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, e := range edit {
		e(req)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header, string(data)}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	token := srv.Token()

	t.Run("an unknown route", func(t *testing.T) {
		a := send(t, srv, "GET", "/v1/nothing", token, "")
		assert.Equal(t, 404, a.status)
		assert.JSONEq(t, `{"detail":"Not Found"}`, a.body)
	})
	t.Run("a wrong version is an unknown route", func(t *testing.T) {
		a := send(t, srv, "GET", "/v1/products/", token, "", func(r *http.Request) { r.Header.Set("Polar-Version", "2025-01") })
		assert.Equal(t, 404, a.status)
		assert.JSONEq(t, `{"detail":"Not Found"}`, a.body)
	})
	t.Run("headers", func(t *testing.T) {
		a := send(t, srv, "GET", "/v1/products/", token, "")
		assert.Equal(t, 200, a.status)
		assert.Equal(t, "2026-10", a.header.Get("Polar-Version"))
		assert.Equal(t, "1", a.header.Get("X-Polar-Sandbox"))
		assert.Equal(t, "application/json", a.header.Get("Content-Type"))
		production := polartest.NewServer(t, polartest.Production())
		assert.Empty(t, send(t, production, "GET", "/v1/products/", token, "").header.Get("X-Polar-Sandbox"))
	})
	t.Run("a wrong slash at the end", func(t *testing.T) {
		a := send(t, srv, "GET", "/v1/products?limit=3", token, "")
		assert.Equal(t, 307, a.status)
		assert.Equal(t, srv.URL+"/v1/products/?limit=3", a.header.Get("Location"))
		assert.Equal(t, 307, send(t, srv, "GET", "/v1/webhooks/endpoints/", token, "").status)
	})
	t.Run("a wrong method", func(t *testing.T) {
		a := send(t, srv, "PUT", "/v1/products/", token, "{}")
		assert.Equal(t, 405, a.status)
		assert.JSONEq(t, `{"detail":"Method Not Allowed"}`, a.body)
		assert.Equal(t, "GET, POST", a.header.Get("Allow"))
	})
	t.Run("no length", func(t *testing.T) {
		a := send(t, srv, "POST", "/v1/products/", token, "", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader([]byte("{}"))), -1
		})
		assert.Equal(t, 411, a.status)
		assert.Contains(t, a.body, `"LengthRequired"`)
	})
	t.Run("too long", func(t *testing.T) {
		a := send(t, srv, "POST", "/v1/products/", token, strings.Repeat(" ", 10<<20+1))
		assert.Equal(t, 413, a.status)
		assert.Contains(t, a.body, `"RequestBodyTooLarge"`)
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)

	a := send(t, srv, "GET", "/v1/products/", "", "")
	assert.Equal(t, 401, a.status)
	assert.Contains(t, a.body, `"error":"Unauthorized"`)

	a = send(t, srv, "GET", "/v1/products/", "polar_oat_of_another_environment", "")
	assert.Equal(t, 401, a.status)
	assert.Contains(t, a.body, `"error":"invalid_token"`)
	assert.Contains(t, a.header.Get("WWW-Authenticate"), `error="invalid_token"`)
	assert.Equal(t, "1", a.header.Get("X-Polar-Sandbox"), "tells which environment refused it")

	reader := srv.Token(models.ScopeProductsRead)
	assert.Equal(t, 200, send(t, srv, "GET", "/v1/products/", reader, "").status)
	a = send(t, srv, "POST", "/v1/products/", reader, "{}")
	assert.Equal(t, 403, a.status)
	assert.Contains(t, a.body, `"error":"insufficient_scope"`)
	assert.Contains(t, a.header.Get("WWW-Authenticate"), `scope="products:write"`)

	customer, err := srv.Client().Customers.Create(t.Context(), models.CustomerCreate{Email: "a@example.com"})
	require.NoError(t, err)
	session, err := srv.Client().CustomerSessions.Create(t.Context(), models.CustomerSessionCreate{CustomerID: &customer.ID})
	require.NoError(t, err)
	assert.Equal(t, 401, send(t, srv, "GET", "/v1/products/", session.Token, "").status, "a customer's token opens the portal only")
	assert.True(t, strings.HasPrefix(session.Token, "polar_cst_"))

	srv.RevokeToken(reader)
	assert.Equal(t, 401, send(t, srv, "GET", "/v1/products/", reader, "").status)
}

func TestValidation(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	token := srv.Token()
	for _, tc := range []struct {
		name, method, path, body string
		want                     []fault
	}{
		{"no body", "POST", "/v1/meters/", "", []fault{{"missing", []any{"body"}}}},
		{"not JSON", "POST", "/v1/meters/", "{", []fault{{"json_invalid", []any{"body", 0.0}}}},
		{"not an object", "POST", "/v1/meters/", "[]", []fault{{"model_attributes_type", []any{"body"}}}},
		{"missing members", "POST", "/v1/meters/", "{}", []fault{{"missing", []any{"body", "name"}}, {"missing", []any{"body", "filter"}}, {"missing", []any{"body", "aggregation"}}}},
		{"too short, bad enum", "POST", "/v1/meters/", `{"name":"ab","unit":"x","filter":{"conjunction":"and","clauses":[]},"aggregation":{"func":"count"}}`,
			[]fault{{"string_too_short", []any{"body", "name"}}, {"enum", []any{"body", "unit"}}}},
		{"an unknown tag", "POST", "/v1/benefits/", `{"type":"magic"}`, []fault{{"union_tag_invalid", []any{"body"}}}},
		{"no tag", "POST", "/v1/benefits/", `{}`, []fault{{"union_tag_not_found", []any{"body"}}}},
		{"below a tag", "POST", "/v1/benefits/", `{"type":"custom","description":"x","properties":{}}`, []fault{{"string_too_short", []any{"body", "custom", "description"}}}},
		{"both forms of an event", "POST", "/v1/events/ingest", `{"events":[{"name":"a","customer_id":"` + srv.OrganizationID() + `"},{"name":"b","timestamp":"2026-01-01T00:00:00Z"}]}`,
			[]fault{{"missing", []any{"body", "events", 1.0, "EventCreateCustomer", "customer_id"}}, {"missing", []any{"body", "events", 1.0, "EventCreateExternalCustomer", "external_customer_id"}}}},
		{"an unknown customer", "POST", "/v1/events/ingest", `{"events":[{"name":"a","customer_id":"` + srv.OrganizationID() + `"}]}`,
			[]fault{{"value_error", []any{"body", "events", 0.0, "customer_id"}}}},
		{"the future", "POST", "/v1/events/ingest", `{"events":[{"name":"a","external_customer_id":"u","timestamp":"2126-01-01T00:00:00Z"}]}`, []fault{
			{"value_error", []any{"body", "events", 0.0, "EventCreateCustomer", "timestamp"}}, {"missing", []any{"body", "events", 0.0, "EventCreateCustomer", "customer_id"}},
			{"value_error", []any{"body", "events", 0.0, "EventCreateExternalCustomer", "timestamp"}}}},
		{"no zone", "POST", "/v1/events/ingest", `{"events":[{"name":"a","external_customer_id":"u","timestamp":"2026-01-01T00:00:00"}]}`, []fault{
			{"timezone_aware", []any{"body", "events", 0.0, "EventCreateCustomer", "timestamp"}}, {"missing", []any{"body", "events", 0.0, "EventCreateCustomer", "customer_id"}},
			{"timezone_aware", []any{"body", "events", 0.0, "EventCreateExternalCustomer", "timestamp"}}}},
		{"path", "GET", "/v1/products/x", "", []fault{{"uuid_parsing", []any{"path", "id"}}}},
		{"query", "GET", "/v1/products/?page=0&limit=a&is_archived=maybe&sorting=color&id=1", "", []fault{
			{"uuid_parsing", []any{"query", "id", 0.0}}, {"bool_parsing", []any{"query", "is_archived"}}, {"greater_than", []any{"query", "page"}},
			{"int_parsing", []any{"query", "limit"}}, {"enum", []any{"query", "sorting", 0.0}}}},
		{"required query", "GET", "/v1/meters/" + srv.OrganizationID() + "/quantities", "", []fault{
			{"missing", []any{"query", "start_timestamp"}}, {"missing", []any{"query", "end_timestamp"}}, {"missing", []any{"query", "interval"}}}},
		{"organization of an organization token", "POST", "/v1/customers/", `{"email":"a@example.com","organization_id":"` + srv.OrganizationID() + `"}`, []fault{{"organization_token", []any{"body", "organization_id"}}}},
		{"metadata", "PATCH", "/v1/meters/" + srv.OrganizationID(), `{"metadata":{"` + strings.Repeat("k", 41) + `":1}}`, []fault{{"string_too_long", []any{"body", "metadata", strings.Repeat("k", 41), "[key]"}}}},
		{"an e-mail address", "POST", "/v1/checkouts/", `{"products":[],"customer_email":"x"}`, []fault{{"value_error", []any{"body", "customer_email"}}, {"too_short", []any{"body", "products"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := send(t, srv, tc.method, tc.path, token, tc.body)
			require.Equal(t, 422, a.status, a.body)
			assert.ElementsMatch(t, tc.want, a.faults(t))
		})
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := srv.Client()
	for i := range 105 {
		_, err := client.Customers.Create(t.Context(), models.CustomerCreate{Email: strings.Repeat("x", i+1) + "@example.com"})
		require.NoError(t, err)
	}
	a := send(t, srv, "GET", "/v1/customers/?limit=1000", srv.Token(), "")
	var page polar.Page[models.Customer]
	require.NoError(t, json.Unmarshal([]byte(a.body), &page))
	assert.Len(t, page.Items, 100, "the limit is clamped without a word")
	assert.Equal(t, polar.Pagination{TotalCount: 105, MaxPage: 2}, page.Pagination)
	assert.Len(t, page.Items[0].Email, 105+len("@example.com"), "the newest first")

	p, err := client.Customers.List(t.Context(), &polar.CustomerListParams{Page: 2, Limit: 3, Sorting: []models.CustomerSort{models.CustomerSortEmailDesc}})
	require.NoError(t, err)
	assert.Len(t, p.Items, 3)
	assert.Len(t, p.Items[0].Email, 102+len("@example.com"))
	p, err = client.Customers.List(t.Context(), &polar.CustomerListParams{Page: 50})
	require.NoError(t, err)
	assert.Empty(t, p.Items)
}

// TestSameAnswers shows that time and seed decide every byte.
func TestSameAnswers(t *testing.T) {
	t.Parallel()
	var bodies []string
	for range 2 {
		srv := polartest.NewServer(t, polartest.WithTime(start), polartest.WithSeed(7))
		token := srv.Token()
		a := send(t, srv, "POST", "/v1/customers/", token, `{"email":"a@example.com"}`)
		require.Equal(t, 201, a.status, a.body)
		bodies = append(bodies, token+a.body)
	}
	assert.Equal(t, bodies[0], bodies[1])
	assert.Contains(t, bodies[0], `"created_at":"2026-10-05T08:00:00Z"`)
}

// TestSameYear plays a busy year twice, with deliveries in the background.
func TestSameYear(t *testing.T) {
	t.Parallel()
	var runs []string
	for range 2 {
		s := newShop(t, polartest.WithSeed(7))
		cat := must(s.srv.Seed())(t)
		s.endpoint(newReceiver(t).URL)
		for i := range 3 {
			c := s.customer(string(rune('a'+i)) + "@example.com")
			s.subscribe(c, &cat.Monthly)
			s.ingest(models.EventCreate{Name: "ai.call", CustomerID: &c.ID, Metadata: models.Metadata{"tokens": 900 * i}})
			require.NoError(t, s.srv.DeclinePayments(c.ID, i == 2))
		}
		s.until(start.AddDate(0, 6, 0))
		deliveries := s.srv.Deliveries()
		all := ""
		for _, path := range []string{"/v1/products/", "/v1/orders/", "/v1/events/", "/v1/benefit-grants/", "/v1/customers/", "/v1/subscriptions/", "/v1/payments/", "/v1/webhooks/deliveries"} {
			all += strings.ReplaceAll(send(t, s.srv, "GET", path+"?limit=100", s.srv.Token(), "").body, s.srv.URL, "")
		}
		for _, d := range deliveries {
			all += d.String() + string(d.Body)
		}
		runs = append(runs, strings.ReplaceAll(all, s.srv.URL, ""))
	}
	assert.True(t, runs[0] == runs[1], "the same seed and time make the same year")
	assert.Greater(t, len(runs[0]), 100_000)
}

func TestClock(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t, polartest.WithTime(start))
	assert.Equal(t, start.UTC().Format(http.TimeFormat), send(t, srv, "GET", "/v1/nothing", "", "").header.Get("Date"))
	assert.Equal(t, start, srv.Now())
	srv.Advance(time.Hour)
	srv.Advance(-time.Hour)
	assert.Equal(t, start.Add(time.Hour), srv.Now())
}

func TestPortalClient(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	_, err := srv.Client().Customers.Create(t.Context(), models.CustomerCreate{Email: "a@example.com", ExternalID: new("user_1")})
	require.NoError(t, err)
	_, err = srv.PortalClient("user_1")
	require.NoError(t, err)
	_, err = srv.PortalClient("nobody")
	require.ErrorIs(t, err, polar.ErrValidation)
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []polartest.Option{nil, polartest.WithTaxRate(-1), polartest.WithTime(time.Time{}), polartest.WithOrganization("", "x"), polartest.WithAddress("nowhere")} {
		_, err := polartest.Start(o)
		require.ErrorContains(t, err, "polartest: ")
	}
	_, err := polartest.Start(polartest.WithAddress("256.0.0.1:1"))
	require.Error(t, err)
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	srv, err := polartest.Start()
	require.NoError(t, err)
	client := srv.Client()
	srv.Close()
	srv.Close()
	_, err = client.Products.List(context.Background(), nil, polar.CallRetry(polar.RetryPolicy{MaxAttempts: 1}))
	require.Error(t, err)
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		srv, err := polartest.Start()
		if err != nil {
			b.Fatal(err)
		}
		srv.Close()
	}
}
