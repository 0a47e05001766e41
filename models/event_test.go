package models_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

func TestUserEventMetadata(t *testing.T) {
	llm := &models.LLMMetadata{Vendor: "v", Model: "m", InputTokens: 5, CachedInputTokens: new(2), OutputTokens: 3, TotalTokens: 8}
	cost := &models.CostMetadata{Amount: "1E-7", Currency: "usd"}
	const llmText = `{"vendor":"v","model":"m","input_tokens":5,"cached_input_tokens":2,"output_tokens":3,"total_tokens":8}`
	roundTrip(t,
		`{"_llm":`+llmText+`,"z":1,"_cost":{"amount":1E-7,"currency":"usd","new":1},"a":"x","nested":{"_cost":1}}`,
		models.UserEventMetadata{Values: models.Metadata{"z": int64(1), "a": "x", "nested": map[string]any{"_cost": int64(1)}}, Cost: cost, LLM: llm},
		`{"a":"x","nested":{"_cost":1},"z":1,"_cost":{"amount":"1E-7","currency":"usd"},"_llm":`+llmText+`}`)
	roundTrip(t, `{"_cost":null,"a":true}`, models.UserEventMetadata{Values: models.Metadata{"a": true}}, `{"a":true}`)
	roundTrip(t, `{}`, models.UserEventMetadata{Values: models.Metadata{}}, `{}`)
	roundTrip(t, `null`, models.UserEventMetadata{}, `{}`)
	assert.ErrorContains(t, refused[models.UserEventMetadata](t, `{"_cost":{"amount":"much"}}`), "/A/_cost/amount")
	assert.ErrorContains(t, refused[models.UserEventMetadata](t, `{"_llm":5}`), "/A/_llm")
	assert.ErrorContains(t, refused[models.UserEventMetadata](t, `[]`), "/A")
	cut[models.UserEventMetadata](t, `{"_cost":{"amount":1},"a":[1]}`)

	// The fields win over keys of the same name, and no key is written twice.
	for _, c := range leafCodecs {
		text, err := c.marshal(models.UserEventMetadata{Values: models.Metadata{"_cost": "x", "_llm": "y"}, Cost: cost})
		require.NoError(t, err)
		assert.Equal(t, `{"_llm":"y","_cost":{"amount":"1E-7","currency":"usd"}}`, string(text), c.name)
	}
}

// The metadata of an event of a user are those of the union, whatever the event is called.
func TestUserEventMetadataInEvent(t *testing.T) {
	for _, c := range leafCodecs {
		var e models.Event
		require.NoError(t, c.unmarshal([]byte(`{"name":"order.paid","source":"user","metadata":{"_cost":{"amount":"5","currency":"usd"},"a":1}}`), &e))
		assert.Equal(t, &models.UserEventMetadata{Values: models.Metadata{"a": int64(1)}, Cost: &models.CostMetadata{Amount: "5", Currency: "usd"}}, e.Metadata, c.name)
	}
}

func fullEvent() models.EventCreate {
	return models.EventCreate{
		Name: "ai.usage", ExternalCustomerID: new("user_42"), ExternalMemberID: new("m"), ExternalID: new("e1"), ParentID: new("e0"), OrganizationID: new("o"),
		Timestamp: new(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		Metadata:  models.Metadata{"region": "eu", "tokens": int64(8)},
		Cost:      &models.CostMetadata{Amount: "0.25", Currency: "usd"},
		LLM:       &models.LLMMetadata{Vendor: "v", Model: "m", InputTokens: 5, OutputTokens: 3, TotalTokens: 8},
	}
}

func TestEventCreateJSON(t *testing.T) {
	const full = `{"name":"ai.usage","external_customer_id":"user_42","external_member_id":"m","external_id":"e1","parent_id":"e0","organization_id":"o",` +
		`"timestamp":"2026-01-02T03:04:05Z","metadata":{"region":"eu","tokens":8,"_cost":{"amount":"0.25","currency":"usd"},` +
		`"_llm":{"vendor":"v","model":"m","input_tokens":5,"output_tokens":3,"total_tokens":8}}}`
	roundTrip(t, full, fullEvent(), full)
	roundTrip(t, `{"name":"x","customer_id":"c","member_id":"m"}`,
		models.EventCreate{Name: "x", CustomerID: new("c"), MemberID: new("m")}, `{"name":"x","customer_id":"c","member_id":"m"}`)
	roundTrip(t, `{"name":"x","customer_id":"c","external_id":null,"metadata":{},"more":1}`,
		models.EventCreate{Name: "x", CustomerID: new("c")}, `{"name":"x","customer_id":"c"}`)
	roundTrip(t, `{"metadata":{"_cost":{"amount":5,"currency":"usd"}}}`,
		models.EventCreate{Cost: &models.CostMetadata{Amount: "5", Currency: "usd"}}, `{"name":"","metadata":{"_cost":{"amount":"5","currency":"usd"}}}`)
	assert.ErrorContains(t, refused[models.EventCreate](t, `{"metadata":{"_cost":{"amount":"x"}}}`), "/A/metadata/_cost/amount")
	assert.ErrorContains(t, refused[models.EventCreate](t, `{"timestamp":"yesterday"}`), "/A/timestamp")
	cut[models.EventCreate](t, `{"name":"x","metadata":{"a":1}}`)

	// The caller's map is left alone.
	c := fullEvent()
	_, err := jsonx.Marshal(c)
	require.NoError(t, err)
	assert.Equal(t, fullEvent(), c)
}

func TestEventCreateValidate(t *testing.T) {
	assert.NoError(t, fullEvent().Validate())
	assert.NoError(t, models.EventCreate{Name: strings.Repeat("é", 128), CustomerID: new("c"), MemberID: new("m")}.Validate())
	many := fullEvent()
	for i := range 60 {
		many.Metadata[strings.Repeat("k", 41+i)] = i // events have no limits on keys
	}
	assert.NoError(t, many.Validate())

	for want, change := range map[string]func(*models.EventCreate){
		"models: EventCreate.Name is empty, want 1 to 128 characters":                                            func(c *models.EventCreate) { c.Name = "" },
		"models: EventCreate.Name has 129 characters, at most 128 are allowed":                                   func(c *models.EventCreate) { c.Name = strings.Repeat("é", 129) },
		"models: EventCreate: set one of CustomerID, ExternalCustomerID":                                         func(c *models.EventCreate) { c.ExternalCustomerID = nil },
		"models: EventCreate: set only one of CustomerID, ExternalCustomerID, since Polar would drop the others": func(c *models.EventCreate) { c.CustomerID = new("c") },
		"models: EventCreate.ExternalCustomerID is empty":                                                        func(c *models.EventCreate) { c.ExternalCustomerID = new("") },
		"models: EventCreate.CustomerID is empty":                                                                func(c *models.EventCreate) { c.CustomerID, c.ExternalCustomerID = new(""), nil },
		"models: EventCreate.MemberID goes with CustomerID: use ExternalMemberID with ExternalCustomerID, since Polar would drop it": func(c *models.EventCreate) {
			c.MemberID = new("m")
		},
		"models: EventCreate.ExternalMemberID goes with ExternalCustomerID: use MemberID with CustomerID, since Polar would drop it": func(c *models.EventCreate) {
			c.CustomerID, c.ExternalCustomerID = new("c"), nil
		},
		"models: EventCreate.Metadata has the key _cost, which Polar reads itself: set Cost": func(c *models.EventCreate) { c.Metadata["_cost"] = 1 },
		"models: EventCreate.Metadata has the key _llm, which Polar reads itself: set LLM":   func(c *models.EventCreate) { c.Metadata["_llm"] = 1 },
		`models: EventCreate.Metadata: metadata key "region": the string is empty, want 1 to 500 characters: leave the key out`: func(c *models.EventCreate) {
			c.Metadata["region"] = ""
		},
		"models: EventCreate.Cost.Amount: the amount has 6 digits before the point, at most 5 are allowed": func(c *models.EventCreate) { c.Cost.Amount = "100000" },
		"models: EventCreate.Cost.Currency is empty, want usd":                                             func(c *models.EventCreate) { c.Cost.Currency = "" },
		"models: EventCreate.Cost.Amount: the amount is missing":                                           func(c *models.EventCreate) { c.Cost.Amount = "" },
	} {
		c := fullEvent()
		change(&c)
		assert.EqualError(t, c.Validate(), want)
	}
}

func TestEventsIngestRepeatable(t *testing.T) {
	with, empty, without := models.EventCreate{ExternalID: new("a")}, models.EventCreate{ExternalID: new("")}, models.EventCreate{}
	for _, c := range []struct {
		want   bool
		events []models.EventCreate
	}{
		{false, nil},
		{true, []models.EventCreate{with}},
		{true, []models.EventCreate{with, with}},
		{false, []models.EventCreate{without}},
		{false, []models.EventCreate{with, without}},
		{false, []models.EventCreate{with, empty}},
	} {
		assert.Equal(t, c.want, models.EventsIngest{Events: c.events}.Repeatable())
	}
}
