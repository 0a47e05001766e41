package polar

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDo(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body string
	status, reply := 200, `{"id":"x"}`
	_, client := newThings(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		w.WriteHeader(status)
		io.WriteString(w, reply)
	})
	ctx := t.Context()

	var out thing
	require.NoError(t, client.Do(ctx, Request{Method: "GET", Path: "/v1/new-thing/{id}/x/", PathValues: []string{"a/b"}, Query: url.Values{"a": {"1"}}, Accept: "application/x"}, &out))
	assert.Equal(t, "x", out.ID)
	assert.Equal(t, "/v1/new-thing/a%2Fb/x/?a=1", got.URL.RequestURI())
	assert.Equal(t, "Bearer "+testToken, got.Header.Get("Authorization"))
	assert.Equal(t, APIVersion, got.Header.Get("Polar-Version"))
	assert.Equal(t, "application/x", got.Header.Get("Accept"))

	require.NoError(t, client.Do(ctx, Request{Method: "POST", Path: "/v1/a", Body: map[string]any{"b": 1, "a": nil}}, nil, CallCredential(Anonymous)))
	assert.Equal(t, `{"a":null,"b":1}`, body)
	assert.Empty(t, got.Header.Get("Authorization"))
	require.NoError(t, client.Do(ctx, Request{Method: "PUT", Path: "/v1/a", Body: json.RawMessage(`{"z": 1,"a":2}`)}, nil))
	assert.Equal(t, `{"z":1,"a":2}`, body)
	require.NoError(t, client.Do(ctx, Request{Method: "POST", Path: "/v1/a", Body: url.Values{"a": {"b c"}}}, nil))
	assert.Equal(t, `a=b+c`, body)
	assert.Equal(t, "application/x-www-form-urlencoded", got.Header.Get("Content-Type"))
	require.NoError(t, client.Do(ctx, Request{Method: "POST", Path: "/v1/a"}, nil))
	assert.Empty(t, body)
	assert.Equal(t, "0", got.Header.Get("Content-Length"))
	require.NoError(t, client.Do(ctx, Request{Method: "HEAD", Path: "/v1/a"}, nil))

	reply = "a,b\r\n"
	var raw []byte
	require.NoError(t, client.Do(ctx, Request{Method: "GET", Path: "/v1/export", Accept: "text/csv"}, &raw))
	assert.Equal(t, reply, string(raw))

	reply = `{"error":"ResourceNotFound","detail":"no"}`
	status = 404
	err := client.Do(ctx, Request{Method: "GET", Path: "/v1/new-thing/{id}", PathValues: []string{"secret"}}, &out)
	require.ErrorIs(t, err, ErrNotFound)
	require.EqualError(t, err, "polar: GET /v1/new-thing/{id}: 404 ResourceNotFound: no")
	err = client.Do(ctx, Request{Method: "GET", Path: "/v1/x", Name: "x:get"}, &out)
	require.EqualError(t, err, "polar: x:get: 404 ResourceNotFound: no")

	status, reply = 503, ""
	var info ResponseInfo
	err = client.Do(ctx, Request{Method: "POST", Path: "/v1/x"}, &out, CallResponse(&info))
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	assert.Equal(t, 1, info.Attempts)
	err = client.Do(ctx, Request{Method: "POST", Path: "/v1/x", Repeatable: true}, &out, CallResponse(&info))
	require.ErrorIs(t, err, ErrServer)
	assert.Equal(t, 3, info.Attempts)

	status, reply = 200, "{}"
	portal, err := client.Portal(Anonymous)
	require.NoError(t, err)
	require.NoError(t, portal.Do(ctx, Request{Method: "GET", Path: "/v1/customer-portal/x"}, nil))
	assert.Empty(t, got.Header.Get("Authorization"), "an anonymous client can use Do")
}

func TestDoRefuses(t *testing.T) {
	t.Parallel()
	_, client := newThings(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	path := "/v1/x"
	for _, tc := range []struct {
		req  Request
		out  any
		want string
	}{
		{Request{Path: path}, nil, "polar: Do: method is not an HTTP method in capitals, such as GET"},
		{Request{Method: "get", Path: path}, nil, "polar: Do: method is not an HTTP method in capitals, such as GET"},
		{Request{Method: "GET"}, nil, "polar: Do: path has to begin with one slash and have no empty part: /v1/new-thing/"},
		{Request{Method: "GET", Path: "https://evil.test/"}, nil, "polar: Do: path has to begin with one slash and have no empty part: /v1/new-thing/"},
		{Request{Method: "GET", Path: "//evil.test/"}, nil, "polar: Do: path has to begin with one slash and have no empty part: /v1/new-thing/"},
		{Request{Method: "GET", Path: "@evil.test/"}, nil, "polar: Do: path has to begin with one slash and have no empty part: /v1/new-thing/"},
		{Request{Method: "GET", Path: "/v1/x?secret=1"}, nil, "polar: Do: path has a query or a fragment: the query belongs into Query, values into PathValues"},
		{Request{Method: "GET", Path: "/v1/../x"}, nil, "polar: Do: path has a part . or .. that leads to another route"},
		{Request{Method: "GET", Path: "/v1/%zz"}, nil, `polar: GET /v1/%zz: invalid URL escape "%zz"`},
		{Request{Method: "GET", Path: "/v1/{id}"}, nil, "polar: GET /v1/{id}: route /v1/{id} has more placeholders than the 0 values for it"},
		{Request{Method: "GET", Path: "/v1/{id}", PathValues: []string{""}}, nil, "polar: GET /v1/{id}: id is empty"},
		{Request{Method: "GET", Path: path, Query: 7}, nil, "polar: GET /v1/x: query is neither url.Values nor a struct"},
		{Request{Method: "POST", Path: path, Body: (*thing)(nil)}, nil, "polar: POST /v1/x: body is nil"},
		{Request{Method: "POST", Path: path, Body: func() {}}, nil, "polar: POST /v1/x: body cannot be written as JSON: json: cannot marshal from Go func()"},
		{Request{Method: "GET", Path: path}, thing{}, "polar: Do: out has to be a pointer to what the answer is decoded into, or nil to drop it"},
		{Request{Method: "GET", Path: path}, (*thing)(nil), "polar: Do: out has to be a pointer to what the answer is decoded into, or nil to drop it"},
	} {
		err := client.Do(t.Context(), tc.req, tc.out)
		if assert.Error(t, err) && tc.req.Body == nil {
			assert.EqualError(t, err, tc.want)
		} else {
			assert.ErrorContains(t, err, tc.want[:30])
		}
	}
}
