package webhooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

func TestEveryEventHasAType(t *testing.T) {
	types := models.WebhookEventTypeValues()
	require.Len(t, types, 42)
	seen := map[reflect.Type]bool{}
	for _, et := range types {
		e := newEvent(et)
		require.NotNil(t, e, et)
		assert.Equal(t, et, e.Type())
		assert.False(t, seen[reflect.TypeOf(e)], et)
		seen[reflect.TypeOf(e)] = true
		assert.Same(t, e.Info(), e.Info())
	}
	assert.Len(t, oneEach(), 42, "a sample for each")
	assert.GreaterOrEqual(t, len(samples()), 60, "variants of data count")
}

func TestParseEveryEvent(t *testing.T) {
	v := newVerifier(t, standardSecret)
	for _, s := range samples() {
		t.Run(s.String(), func(t *testing.T) {
			e, err := v.Parse(s.body, signed(t, standardSecret, s.body))
			require.NoError(t, err)
			assert.IsType(t, newEvent(s.eventType), e)
			assert.Equal(t, s.eventType, e.Type())
			d := e.Info()
			assert.Equal(t, testID, d.ID)
			assert.Equal(t, testTime, d.SentAt)
			assert.Equal(t, "2026-11-22T11:59:59.123456Z", d.Timestamp.Format(time.RFC3339Nano))
			assert.Equal(t, "2026-10", d.APIVersion)
			assert.Equal(t, s.body, d.Payload())
			assert.NotZero(t, reflect.ValueOf(e).Elem().FieldByName("Data").Interface())

			// and back: nothing that Polar describes is lost
			body, err := Encode(e)
			require.NoError(t, err)
			assert.JSONEq(t, string(s.body), string(body))
			again, err := Decode(body)
			require.NoError(t, err)
			second, err := Encode(again)
			require.NoError(t, err)
			assert.Equal(t, string(body), string(second))
		})
	}
}

func TestMembersBesideData(t *testing.T) {
	e, err := Decode([]byte(`{"type":"subscription.migrated","timestamp":"2026-11-22T12:00:00Z","api_version":"2026-10",
		"data":{"id":"s_1"},"provider":"stripe","provider_subscription_id":"sub_9"}`))
	require.NoError(t, err)
	m := e.(*SubscriptionMigrated)
	assert.Equal(t, "s_1", m.Data.ID)
	assert.Equal(t, "stripe", m.Provider)
	assert.Equal(t, "sub_9", m.ProviderSubscriptionID)
}

// An event reads the same in whatever order its members are.
func TestOrderOfMembers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, s := range oneEach() {
		want, err := Decode(s.body)
		require.NoError(t, err)
		wantJSON, err := Encode(want)
		require.NoError(t, err)
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(s.body, &members))
		names := make([]string, 0, len(members))
		for name := range members {
			names = append(names, name)
		}
		for range 3 {
			random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			var b bytes.Buffer
			for i, name := range names {
				fmt.Fprintf(&b, "%s\n %q : %s", map[bool]string{true: "{", false: ","}[i == 0], name, members[name])
			}
			b.WriteString("}\n")
			e, err := Decode(b.Bytes())
			require.NoError(t, err, s)
			got, err := Encode(e)
			require.NoError(t, err)
			assert.Equal(t, string(wantJSON), string(got), "%s in the order %v", s, names)
		}
	}
}

func TestUnknownEvents(t *testing.T) {
	body := []byte(`{"type":"invoice.sent","timestamp":"2026-11-22T11:00:00Z","api_version":"2027-04","data":{"id":"i_1","n":1.50,"x":"\u00e9"},"extra":[1]}`)
	e, err := newVerifier(t, standardSecret).Parse(body, signed(t, standardSecret, body))
	require.NoError(t, err)
	u, ok := e.(*Unknown)
	require.True(t, ok)
	assert.Equal(t, models.WebhookEventType("invoice.sent"), u.Type())
	assert.False(t, u.Type().Known())
	assert.Equal(t, `{"id":"i_1","n":1.50,"x":"\u00e9"}`, string(u.Data), "the bytes as they came")
	assert.Equal(t, body, u.Payload())
	assert.Equal(t, "2027-04", u.APIVersion)
	assert.Equal(t, testID, u.ID)

	back, err := Encode(u)
	require.NoError(t, err)
	assert.JSONEq(t, `{"type":"invoice.sent","timestamp":"2026-11-22T11:00:00Z","api_version":"2027-04","data":{"id":"i_1","n":1.50,"x":"é"}}`, string(back))

	for _, body := range []string{`{"type":"x"}`, `{"type":"x","data":null}`, `{"type":"x","data":[1]}`, `{"type":"x","data":"text","timestamp":null}`} {
		e, err := Decode([]byte(body))
		require.NoError(t, err, body)
		assert.IsType(t, new(Unknown), e, body)
		assert.Equal(t, body, string(e.Info().Payload()))
	}
}

// Nothing is refused by version.
func TestOtherVersions(t *testing.T) {
	v := newVerifier(t, standardSecret)
	for _, s := range oneEach() {
		for _, version := range []string{`"2026-04"`, `"2027-01"`, `"2031-10"`, `""`, `null`} {
			body := bytes.Replace(s.body, []byte(`"api_version":"2026-10"`), []byte(`"api_version":`+version), 1)
			e, err := v.Parse(body, signed(t, standardSecret, body))
			require.NoError(t, err, "%s %s", s, version)
			assert.IsType(t, newEvent(s.eventType), e)
			if strings.HasPrefix(version, `"2`) {
				assert.Equal(t, strings.Trim(version, `"`), e.Info().APIVersion)
			}
		}
		// 2026-04 does not say it
		body := bytes.Replace(s.body, []byte(`"api_version":"2026-10",`), nil, 1)
		require.NotContains(t, string(body), "api_version")
		h := signed(t, standardSecret, body)
		e, err := v.Parse(body, h)
		require.NoError(t, err, s)
		assert.Empty(t, e.Info().APIVersion)
		encoded, err := Encode(e)
		require.NoError(t, err)
		assert.JSONEq(t, string(body), string(encoded), "and is written back without it")
		// unless the header does
		h.Set(headerAPIVersion, "2026-04")
		e, err = v.Parse(body, h)
		require.NoError(t, err, s)
		assert.Equal(t, "2026-04", e.Info().APIVersion)
		h.Set(headerAPIVersion, strings.Repeat("x", 33))
		e, err = v.Parse(body, h)
		require.NoError(t, err, s)
		assert.Empty(t, e.Info().APIVersion)
	}
	// the payload is signed and the header is not
	h := signed(t, standardSecret, testBody)
	h.Set(headerAPIVersion, "2020-01")
	e, err := v.Parse(testBody, h)
	require.NoError(t, err)
	assert.Equal(t, "2026-10", e.Info().APIVersion)
}

// What Polar adds later does not disturb: members, values, variants.
func TestNewerPayloads(t *testing.T) {
	for _, s := range oneEach() {
		body := bytes.Replace(s.body, []byte(`"data":{`), []byte(`"new_member":{"a":[1,2]},"data":{"brand_new":{"x":null},`), 1)
		require.NotEqual(t, s.body, body)
		e, err := Decode(body)
		require.NoError(t, err, s)
		assert.IsType(t, newEvent(s.eventType), e)
	}
	e, err := Decode([]byte(`{"type":"benefit_grant.created","data":{"benefit":{"type":"teleport"},"properties":{"to":"moon"}}}`))
	require.NoError(t, err)
	assert.IsType(t, new(models.UnknownBenefitGrantProperties), e.(*BenefitGrantCreated).Data.Properties)
}

func TestChatFormats(t *testing.T) {
	v := newVerifier(t, standardSecret)
	for body, chat := range map[string]string{
		`{"text":"New order","blocks":[{"type":"section","text":{"type":"mrkdwn","text":"*New*"}}]}`: "Slack",
		`{"blocks":[],"text":""}`: "Slack",
		`{"content":"New order","embeds":[{"title":"Order","type":"rich"}]}`: "Discord",
		`{"embeds":[],"content":null,"username":"Polar"}`:                    "Discord",
	} {
		_, err := v.Parse([]byte(body), signed(t, standardSecret, []byte(body)))
		assert.ErrorIs(t, err, ErrFormat, body)
		assert.ErrorIs(t, err, ErrMalformed, body)
		assert.EqualError(t, err, "webhooks: the payload is a message for "+chat+": set the format of the endpoint to raw, or give this receiver an endpoint of its own")
		assert.Equal(t, 400, StatusCode(err))
	}
	for _, body := range []string{`{"text":"x"}`, `{"content":"x"}`, `{"blocks":[]}`, `{}`, `{"type":""}`, `{"type":null,"data":{}}`, `{"type":5}`, `{"data":{"type":"order.paid"}}`} {
		_, err := Decode([]byte(body))
		assert.ErrorIs(t, err, ErrMalformed, body)
		assert.NotErrorIs(t, err, ErrFormat, body)
		assert.EqualError(t, err, "webhooks: the payload has no type", body)
	}
}

func TestMalformedPayloads(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for body, want := range map[string]string{
		``:                                      "webhooks: the payload cannot be read: it is not valid JSON at byte 0",
		`nope`:                                  "webhooks: the payload cannot be read: it is not valid JSON at byte 1",
		`null`:                                  "webhooks: the payload is no JSON object",
		`[]`:                                    "webhooks: the payload is no JSON object",
		`"x"`:                                   "webhooks: the payload is no JSON object",
		`12`:                                    "webhooks: the payload is no JSON object",
		`{"type":"order.paid"`:                  "webhooks: the payload of order.paid cannot be read: it is not valid JSON at byte 20",
		`{"type":"order.paid"}{}`:               "webhooks: the payload of order.paid cannot be read: it is not valid JSON at byte 21",
		`{"type":"order.paid","data":5}`:        "webhooks: the payload of order.paid cannot be read: a JSON number does not fit models.Order at /data",
		`{"type":"order.paid","timestamp":"x"}`: "webhooks: the payload of order.paid cannot be read: a JSON string does not fit time.Time at /timestamp",
		`{"type":"order.paid","api_version":"2027-01","data":{"total_amount":"secret 12"}}`: "webhooks: the payload of order.paid, of API version 2027-01, cannot be read: a JSON string does not fit int64 at /data/total_amount",
		`{"data":{"items":[{},{"amount":{}}]},"type":"order.paid"}`:                         "webhooks: the payload of order.paid cannot be read: a JSON object does not fit int64 at /data/items/1/amount",
		`{"type":"what ever\n` + strings.Repeat("é", 100) + `"`:                             "webhooks: the payload cannot be read: it is not valid JSON",
		`{"type":"order.paid","data":` + deep:                                               "webhooks: the payload of order.paid cannot be read: a JSON array does not fit models.Order at /data",
		`{"type":"what ever é","data":` + deep + strings.Repeat("]", 100_000) + `}`:         "webhooks: the payload of what?ever?? cannot be read: it is not valid JSON",
		deep:                            "webhooks: the payload cannot be read: it is not valid JSON",
		"{\"type\":\"order.paid\x00\"}": "webhooks: the payload of order.paid? cannot be read: it is not valid JSON",
		"\x00":                          "webhooks: the payload cannot be read: it is not valid JSON",
	} {
		e, err := Decode([]byte(body))
		assert.Nil(t, e, "%.60q", body)
		require.ErrorIs(t, err, ErrMalformed, "%.60q", body)
		assert.Contains(t, err.Error(), want, "%.60q", body)
		assert.Less(t, len(err.Error()), 400)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// Bytes that are not UTF-8, members that are there twice: odd, genuine, read.
func TestOddPayloads(t *testing.T) {
	for _, body := range []string{
		"{\"type\":\"order.paid\",\"data\":{\"billing_name\":\"\xff\xfe\"}}",
		`{"type":"order.paid","data":{"billing_name":"\ud800"}}`,
		`{"type":"order.paid","data":{"billing_name":"\u0000"}}`,
		`{"type":"order.paid","data":{"id":"a","id":"b"},"data":{"id":"b"}}`,
		`{"type":"order.paid","type":"order.paid","data":{}}`,
		` {"t\u0079pe":"order\u002epaid","data":null} `,
		`{"type":"order.paid"}`,
	} {
		e, err := Decode([]byte(body))
		require.NoError(t, err, body)
		assert.IsType(t, new(OrderPaid), e, body)
	}
}

// selfNamed is a type of a user that has the type among its members.
type selfNamed struct {
	Kind string `json:"type"`
	Delivery
}

func (*selfNamed) Type() models.WebhookEventType { return "star.born" }

func TestEncodeOwnTypes(t *testing.T) {
	body, err := Encode(&selfNamed{Kind: "star.born"})
	require.NoError(t, err)
	assert.Equal(t, `{"type":"star.born","timestamp":"0001-01-01T00:00:00Z"}`, string(body))
	body, err = Encode(&starBorn{})
	require.NoError(t, err)
	assert.Equal(t, `{"type":"star.born","timestamp":"0001-01-01T00:00:00Z","data":{"mass":0}}`, string(body))
}

func TestDecodeCopiesThePayload(t *testing.T) {
	body := bytes.Clone(testBody)
	e, err := Decode(body)
	require.NoError(t, err)
	clear(body)
	assert.Equal(t, testBody, e.Info().Payload())
}

func TestEncodeRefuses(t *testing.T) {
	var none *OrderPaid
	for name, e := range map[string]Event{"nil": nil, "nil pointer": none, "no type": &Unknown{}} {
		_, err := Encode(e)
		assert.ErrorIs(t, err, ErrSetup, name)
		_, err = NewRequest(t.Context(), "http://x.example", standardSecret, e)
		assert.ErrorIs(t, err, ErrSetup, name)
	}
	_, err := Encode(&Unknown{EventType: "x", Data: json.RawMessage(`{`)})
	assert.ErrorIs(t, err, ErrSetup)
	body, err := Encode(&Unknown{EventType: "x"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"type":"x","timestamp":"0001-01-01T00:00:00Z"}`, string(body))
}

func TestNewEvent(t *testing.T) {
	for _, et := range models.WebhookEventTypeValues() {
		// the empty event of each type is something that can be sent and received
		body, err := Encode(NewEvent(et))
		require.NoError(t, err, et)
		e, err := Decode(body)
		require.NoError(t, err, et)
		assert.IsType(t, NewEvent(et), e)
	}
	assert.Equal(t, models.WebhookEventType("x.y"), NewEvent("x.y").Type())
}

// Printing an event does not print its payload a second time.
func TestPrintingAnEvent(t *testing.T) {
	e, err := Decode([]byte(`{"type":"x","data":{"a":1}}`))
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%+v", e), fmt.Sprint([]byte(`{"type`))[1:10])
}

func TestSign(t *testing.T) {
	h := signed(t, standardSecret, testBody)
	assert.Equal(t, http.Header{
		"Content-Type":      {"application/json"},
		"Webhook-Id":        {testID},
		"Webhook-Timestamp": {"1795348800"},
		"Webhook-Signature": h["Webhook-Signature"],
	}, h)
	for _, at := range []time.Time{{}, time.Unix(-1, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		_, err := Sign(standardSecret, testID, at, testBody)
		assert.ErrorIs(t, err, ErrBadTimestamp)
	}
	_, err := Sign("no base64!", testID, testTime, testBody, WithKeyRule(KeyRuleDecoded))
	assert.ErrorIs(t, err, ErrSecret)
	assert.NotContains(t, err.Error(), "no base64!")
	_, err = Sign(standardSecret, testID, testTime, testBody, WithKeyRule(3))
	assert.ErrorIs(t, err, ErrSetup)
	assert.Equal(t, "5f4b3c1e000040008000000000000001", ListenSecret(testID))
	for secret, rule := range map[string]KeyRule{
		standardSecret: KeyRuleDecoded, legacySecret: KeyRuleBytes, "whsec_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk012345": KeyRuleBytes,
		strings.TrimPrefix(standardSecret, "whsec_"): KeyRuleBytes, "whsec_AAAA": KeyRuleBytes,
	} {
		assert.Equal(t, signed(t, secret, testBody, WithKeyRule(rule)), signed(t, secret, testBody), secret)
	}
}

func TestNewRequest(t *testing.T) {
	e := &OrderPaid{Data: models.Order{ID: "o_1", TotalAmount: 1900}}
	req, err := NewRequest(t.Context(), "https://shop.example/hooks?x=1", standardSecret, e)
	require.NoError(t, err)
	assert.Equal(t, &OrderPaid{Data: models.Order{ID: "o_1", TotalAmount: 1900}}, e, "the caller's event was changed")
	assert.Equal(t, "https://shop.example/hooks?x=1", req.URL.String())
	assert.Equal(t, "POST", req.Method)
	assert.Equal(t, "application/json", req.Header.Get("Content-Type"))
	assert.Equal(t, "polar.sh webhooks", req.Header.Get("User-Agent"))
	assert.Equal(t, APIVersion, req.Header.Get("Webhook-Api-Version"))
	assert.Positive(t, req.ContentLength)

	other, err := NewRequest(t.Context(), "/", standardSecret, e)
	require.NoError(t, err)
	assert.NotEqual(t, req.Header.Get(headerID), other.Header.Get(headerID), "each gets an id of its own")
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, req.Header.Get(headerID))

	body := new(bytes.Buffer)
	_, err = body.ReadFrom(req.Body)
	require.NoError(t, err)
	v, err := NewVerifier(standardSecret)
	require.NoError(t, err)
	got, err := v.Parse(body.Bytes(), req.Header)
	require.NoError(t, err)
	paid := got.(*OrderPaid)
	assert.Equal(t, int64(1900), paid.Data.TotalAmount)
	assert.Equal(t, APIVersion, paid.APIVersion)
	assert.WithinDuration(t, time.Now(), paid.Timestamp, time.Minute)

	e.ID, e.SentAt, e.Timestamp, e.APIVersion = "evt_1", testTime, testTime.Add(-time.Hour), "2026-04"
	req, err = NewRequest(t.Context(), "/", legacySecret, e)
	require.NoError(t, err)
	body.Reset()
	_, err = body.ReadFrom(req.Body)
	require.NoError(t, err)
	got, err = newVerifier(t, legacySecret).Parse(body.Bytes(), req.Header)
	require.NoError(t, err)
	want := *e
	want.payload = got.Info().payload
	assert.Equal(t, want.Delivery, *got.Info())

	_, err = NewRequest(t.Context(), "http://\x7f", standardSecret, e)
	assert.ErrorIs(t, err, ErrSetup)
	e.ID = "a.b"
	_, err = NewRequest(t.Context(), "/", standardSecret, e)
	assert.ErrorIs(t, err, ErrBadHeader)
}
