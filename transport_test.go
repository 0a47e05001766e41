package polar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallSendsTheRequest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body string
	things, client := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		fmt.Fprint(w, `{"id":"x","size":3,"added_later":{"a":1}}`)
	}, WithApplication("shop", "1.2"))

	out, err := things.Get(t.Context(), "a/b?c#d é")
	require.NoError(t, err)
	assert.Equal(t, &thing{ID: "x", Size: 3}, out)
	assert.Equal(t, "/v1/things/a%2Fb%3Fc%23d%20%C3%A9", got.URL.EscapedPath())
	assert.Equal(t, "Bearer "+testToken, got.Header.Get("Authorization"))
	assert.Equal(t, APIVersion, got.Header.Get("Polar-Version"))
	assert.Equal(t, "application/json", got.Header.Get("Accept"))
	assert.Regexp(t, `^shop/1\.2 polar-go/\S+ go/1\.\S+$`, got.Header.Get("User-Agent"))
	assert.NotContains(t, got.Header, "Polar-Organization")
	assert.NotContains(t, got.Header, "Content-Type")

	_, err = things.Create(t.Context(), thingCreate{Name: "n"})
	require.NoError(t, err)
	assert.Equal(t, `{"name":"n"}`, body)
	assert.Equal(t, "application/json", got.Header.Get("Content-Type"))
	assert.EqualValues(t, len(body), got.ContentLength)
	assert.Equal(t, "/v1/things/", got.URL.Path)

	_, err = things.Update(t.Context(), "1", thingRename{Name: "m"})
	require.NoError(t, err)
	assert.Equal(t, "PATCH", got.Method)
	assert.Equal(t, `{"name":"m"}`, body)

	_, err = things.Finalize(t.Context(), "1", nil)
	require.NoError(t, err)
	assert.Equal(t, "0", got.Header.Get("Content-Length"), "an optional body that was left out")
	assert.Empty(t, got.TransferEncoding)
	assert.Empty(t, body)
	_, err = things.Finalize(t.Context(), "1", &thingCreate{Name: "o"})
	require.NoError(t, err)
	assert.Equal(t, `{"name":"o"}`, body)

	_, err = things.Token(t.Context(), thingForm{Code: "a b"})
	require.NoError(t, err)
	assert.Equal(t, "code=a+b&grant_type=code", body)
	assert.Equal(t, "application/x-www-form-urlencoded", got.Header.Get("Content-Type"))

	acme, err := client.With(WithOrganization("org_1"), WithAPIVersion("2027-01"))
	require.NoError(t, err)
	_, err = (&thingService{acme.core}).Get(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "org_1", got.Header.Get("Polar-Organization"))
	assert.Equal(t, "2027-01", got.Header.Get("Polar-Version"))
	_, err = things.Get(t.Context(), "1")
	require.NoError(t, err)
	assert.NotContains(t, got.Header, "Polar-Organization", "the first client is as it was")
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	var seen []string
	things, client := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization")+"|"+r.Header.Get("Polar-Organization"))
		fmt.Fprint(w, `{}`)
	}, WithOrganization("o"))
	ctx := t.Context()
	take := func() string { s := strings.Join(seen, ","); seen = nil; return s }

	_, err := things.Validate(ctx, thingCreate{}, CallCredential(Token("other")), CallOrganization("p"))
	require.NoError(t, err)
	assert.Equal(t, "|", take(), "public calls never carry a token")

	_, err = things.Confirm(ctx, "secret")
	require.NoError(t, err)
	assert.Equal(t, "Bearer "+testToken+"|o", take())
	_, err = things.Confirm(ctx, "secret", CallCredential(Anonymous))
	require.NoError(t, err)
	assert.Equal(t, "|o", take())

	_, err = things.Get(ctx, "1", CallCredential(Token("other")), CallOrganization("p"))
	require.NoError(t, err)
	assert.Equal(t, "Bearer other|p", take())

	_, err = things.Get(ctx, "1", CallCredential(Anonymous))
	require.ErrorIs(t, err, ErrNoCredential)
	assert.ErrorContains(t, err, "polar: things:get: ")
	_, err = things.Get(ctx, "1", CallCredential(nil))
	require.EqualError(t, err, "polar: things:get: credential is nil: pass a Token, a TokenFunc or Anonymous")
	_, err = things.Get(ctx, "1", CallCredential(Token("")))
	require.ErrorContains(t, err, "token is empty")
	assert.Empty(t, take(), "nothing was sent")

	n := 0
	portal, err := client.Portal(TokenFunc(func(ctx context.Context) (string, error) {
		n++
		op, ok := OperationFromContext(ctx)
		assert.True(t, ok)
		assert.Equal(t, Operation{ID: "things:get", Method: "GET", Route: "/v1/things/{id}", Attempt: 1}, op)
		return fmt.Sprint("t", n), nil
	}))
	require.NoError(t, err)
	for range 2 {
		_, err = (&thingService{portal.core}).Get(ctx, "1")
		require.NoError(t, err)
	}
	assert.Equal(t, "Bearer t1|,Bearer t2|", take(), "no organization in the portal")

	boom := errors.New("boom")
	for _, f := range []TokenFunc{
		func(context.Context) (string, error) { return "", boom },
		func(context.Context) (string, error) { return "", nil },
		func(context.Context) (string, error) { return "secret\nsecret", nil },
	} {
		_, err = things.Get(ctx, "1", CallCredential(f))
		require.ErrorContains(t, err, "TokenFunc")
		assert.NotContains(t, err.Error(), "secret")
		_, err = things.Create(ctx, thingCreate{}, CallCredential(f))
		assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	}
	_, err = things.Get(ctx, "1", CallCredential(TokenFunc(func(context.Context) (string, error) { n++; return "", boom })))
	require.ErrorIs(t, err, boom)
	assert.Equal(t, 3, n, "not repeated")
	assert.Empty(t, take())
}

func TestRefusedBeforeSending(t *testing.T) {
	t.Parallel()
	things, _ := newThings(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	ctx := t.Context()
	for name, tc := range map[string]struct {
		call func() (any, error)
		want string
	}{
		"empty id":       {func() (any, error) { return things.Get(ctx, "") }, "polar: things:get: id is empty"},
		"dots":           {func() (any, error) { return things.Get(ctx, "..") }, `polar: things:get: id is "..", which would lead to another route`},
		"empty secret":   {func() (any, error) { return things.Confirm(ctx, "") }, "polar: things:confirm: client_secret is empty"},
		"nil union":      {func() (any, error) { return things.Update(ctx, "1", nil) }, "polar: things:update: body is nil"},
		"nil pointer":    {func() (any, error) { return things.Update(ctx, "1", (*thingRename)(nil)) }, "polar: things:update: body is nil"},
		"invalid body":   {func() (any, error) { return things.Create(ctx, thingCreate{Name: "far too long"}) }, "polar: things:create: models: name has more than 8 characters"},
		"optional body":  {func() (any, error) { return things.Finalize(ctx, "1", &thingCreate{Name: "far too long"}) }, "polar: things:finalize: models: name has more than 8 characters"},
		"required query": {func() (any, error) { return things.Count(ctx, thingCountParams{}) }, "polar: things:count: Interval is required"},
		"limit":          {func() (any, error) { return things.List(ctx, &thingListParams{Limit: 101}) }, "polar: things:list: limit is 101: it can be 1 to 100, and 0 means Polar's default of 10; use the iterator (All) for more"},
		"negative limit": {func() (any, error) { return things.List(ctx, &thingListParams{Limit: -1}) }, "polar: things:list: limit is -1: it can be 1 to 100, and 0 means Polar's default of 10; use the iterator (All) for more"},
		"page":           {func() (any, error) { return things.List(ctx, &thingListParams{Page: -1}) }, "polar: things:list: page is -1: pages are counted from 1, and 0 means the first"},
		"metadata":       {func() (any, error) { return things.List(ctx, &thingListParams{Metadata: MetadataFilter{"": {"x"}}}) }, "polar: things:list: metadata: the filter has an empty key"},
		"metadata value": {func() (any, error) { return things.List(ctx, &thingListParams{Metadata: MetadataFilter{"k": nil}}) }, `polar: things:list: metadata: the filter has no value for the key "k"`},
		"nil option":     {func() (any, error) { return things.Get(ctx, "1", nil) }, "polar: things:get: call option 1 is nil"},
		//lint:ignore SA1012 the test is about a nil context
		"nil context":     {func() (any, error) { return things.Get(nil, "1") }, "polar: things:get: context is nil: pass context.Background() if there is no other"},
		"zero client":     {func() (any, error) { return nil, new(Client).Do(ctx, Request{Method: "GET", Path: "/"}, nil) }, "polar: client was not made by a function of this package: use polar.New or polar.NewPortal"},
		"zero portal":     {func() (any, error) { return nil, new(Portal).Do(ctx, Request{Method: "GET", Path: "/"}, nil) }, "polar: client was not made by a function of this package: use polar.New or polar.NewPortal"},
		"large body":      {func() (any, error) { return things.Ingest(ctx, thingBatch{IDs: []string{strings.Repeat("x", 10<<20)}}) }, "polar: things:ingest: body has 10485772 bytes and Polar takes at most 10485760: split it"},
		"header":          {func() (any, error) { return things.Get(ctx, "1", CallHeader("authorization", "x")) }, "polar: things:get: header Authorization cannot be set by CallHeader"},
		"idempotency":     {func() (any, error) { return things.Get(ctx, "1", CallHeader("idempotency-key", "x")) }, "polar: things:get: header Idempotency-Key cannot be set by CallHeader"},
		"header name":     {func() (any, error) { return things.Get(ctx, "1", CallHeader("a b", "x")) }, `polar: things:get: header name "a b" is not valid`},
		"header value":    {func() (any, error) { return things.Get(ctx, "1", CallHeader("X-A", "x\r\nB: c")) }, "polar: things:get: value of header X-A has a character that a header cannot have"},
		"attempt timeout": {func() (any, error) { return things.Get(ctx, "1", CallAttemptTimeout(0)) }, "polar: things:get: attempt timeout is 0s: it has to be positive"},
		"retry":           {func() (any, error) { return things.Get(ctx, "1", CallRetry(RetryPolicy{BaseDelay: -1})) }, "polar: things:get: a time of the retry policy is negative"},
		"response":        {func() (any, error) { return things.Get(ctx, "1", CallResponse(nil)) }, "polar: things:get: CallResponse got nil"},
		"organization":    {func() (any, error) { return things.Get(ctx, "1", CallOrganization("a\n")) }, "polar: things:get: organization id has a character that a header cannot have"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.call()
			require.EqualError(t, err, tc.want)
		})
	}
}

// TestOneClientForMany uses a client, and what it shares with others, from many goroutines.
func TestOneClientForMany(t *testing.T) {
	t.Parallel()
	things, client := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.Header.Get("X-Attempt") == "" {
			w.WriteHeader(503)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"id":%q}`, string(body)+r.Header.Get("Polar-Organization")+r.URL.Path[len("/v1/things/"):])
	}, WithRateLimiter(NewRateLimiter(Production)), WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if op, _ := OperationFromContext(r.Context()); op.Attempt > 1 {
				r = r.Clone(r.Context())
				r.Header.Set("X-Attempt", "more")
			}
			return next.RoundTrip(r)
		})
	}))
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			id := fmt.Sprint(i)
			other, err := client.With(WithOrganization("o" + id + "/"))
			assert.NoError(t, err)
			for _, s := range []struct {
				*thingService
				want string
			}{{things, ""}, {&thingService{other.core}, "o" + id + "/"}} {
				out, err := s.Get(t.Context(), id)
				if assert.NoError(t, err) {
					assert.Equal(t, s.want+id, out.ID)
				}
				out, err = s.Create(t.Context(), thingCreate{Name: id})
				if assert.NoError(t, err) {
					assert.Equal(t, `{"name":"`+id+`"}`+s.want, out.ID)
				}
			}
		})
	}
	group.Wait()
}

func TestExpandCountsPlaceholders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		route  string
		values []string
		want   string
		err    string
	}{
		{"/v1/a/", nil, "/v1/a/", ""},
		{"/v1/{a}/b/{c}/", []string{"{c}", "2"}, "/v1/%7Bc%7D/b/2/", ""},
		{"/v1/{a}", nil, "", "route /v1/{a} has more placeholders than the 0 values for it"},
		{"/v1/{a}/{b}", []string{"1"}, "", "route /v1/{a}/{b} has more placeholders than the 1 values for it"},
		{"/v1/{a}", []string{"1", "2"}, "", "route /v1/{a} has fewer placeholders than the 2 values for it"},
		{"/v1/{a", []string{"1"}, "", "route /v1/{a has fewer placeholders than the 1 values for it"},
		{"/v1/{a}/{member_id}", []string{"1", ""}, "", "member_id is empty"},
	} {
		got, err := expand(tc.route, tc.values)
		assert.Equal(t, tc.want, got)
		if tc.err == "" {
			assert.NoError(t, err)
		} else {
			assert.EqualError(t, err, tc.err)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	status, body := 200, ""
	things, _ := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	ctx := t.Context()

	for _, status = range []int{200, 201, 202, 203} {
		body = `{"id":"x"}`
		out, err := things.Get(ctx, "1")
		require.NoError(t, err, status)
		assert.Equal(t, "x", out.ID)
	}
	status, body = 202, ""
	require.NoError(t, things.Delete(ctx, "1"))
	status = 204
	require.NoError(t, things.Delete(ctx, "1"))
	status, body = 200, "whatever"
	require.NoError(t, things.Delete(ctx, "1"))

	status, body = 200, `["a","b"]`
	names, err := things.Names(ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, names)

	status, body = 202, ""
	r, err := things.Receipt(ctx, "1")
	require.NoError(t, err)
	assert.True(t, r.Pending)
	status, body = 200, `{"url":"u"}`
	r, err = things.Receipt(ctx, "1")
	require.NoError(t, err)
	assert.Equal(t, &receipt{URL: "u"}, r)
	for _, status = range []int{200, 204} {
		body = ""
		out, err := things.Receipt(ctx, "1")
		require.EqualError(t, err, fmt.Sprintf("polar: things:receipt: GET /v1/things/{id}/receipt answered %d with an empty body where JSON was expected", status))
		assert.Nil(t, out)
	}
	status, body = 202, " \n"
	out, err := things.Create(ctx, thingCreate{})
	require.EqualError(t, err, "polar: things:create: POST /v1/things/ answered 202 with an empty body where JSON was expected (may have been carried out, so it was not sent again)")
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	assert.Nil(t, out)

	for body, want := range map[string]string{
		`{"id":"x"`:                         "it is not valid JSON at byte 9",
		`<html>ada@example.com`:             "it is not valid JSON at byte 0",
		`{"id":7}`:                          "a JSON number does not fit string at /id",
		`{"size":"ada@example.com"}`:        "a JSON string does not fit int at /size",
		`{"modified_at":"ada@example.com"}`: "a JSON string does not fit time.Time at /modified_at",
		`[]`:                                "a JSON array does not fit polar.thing",
		`{} {}`:                             "it is not valid JSON at byte 3",
	} {
		things, _ := newThings(t, answer(200, body))
		_, err := things.Get(ctx, "1")
		require.EqualError(t, err, fmt.Sprintf("polar: things:get: GET /v1/things/{id} answered 200 with a body of %d bytes that does not decode: %s", len(body), want))
		for ; err != nil; err = errors.Unwrap(err) {
			assert.NotContains(t, err.Error(), "ada@example.com")
		}
	}
}
