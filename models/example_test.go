package models_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/polar-go/polar/models"
)

func ExampleNullable() {
	type update struct {
		Name       models.Nullable[string] `json:"name,omitzero"`
		ExternalID models.Nullable[string] `json:"external_id,omitzero"`
		Locale     models.Nullable[string] `json:"locale,omitzero"`
	}
	text, _ := json.Marshal(update{
		Name:   models.Set("Ada"),     // replaced
		Locale: models.Null[string](), // cleared
		// ExternalID stays as it is
	})
	fmt.Println(string(text))
	// Output: {"name":"Ada","locale":null}
}

func ExampleMetadata() {
	var m models.Metadata
	if err := json.Unmarshal([]byte(`{"plan":"pro","account":9007199254740993,"ratio":0.5,"beta":true}`), &m); err != nil {
		fmt.Println(err)
		return
	}
	plan, _ := m.String("plan")
	account, _ := m.Int("account")
	ratio, _ := m.Float("ratio")
	beta, _ := m.Bool("beta")
	_, ok := m.String("missing")
	fmt.Println(plan, account, ratio, beta, ok)
	// Output: pro 9007199254740993 0.5 true false
}

func ExampleMetadata_Validate() {
	err := models.Metadata{"plan": "pro", "coupon": ""}.Validate()
	fmt.Println(err)
	// Output: models: metadata key "coupon": the string is empty, want 1 to 500 characters: leave the key out
}

func ExampleCustomFieldData() {
	text, _ := json.Marshal(models.CustomFieldData{
		"company":  "Acme",
		"start":    models.Date{Year: 2026, Month: time.March, Day: 1},
		"comments": nil,
	})
	fmt.Println(string(text))

	var read models.CustomFieldData
	if err := json.Unmarshal(text, &read); err != nil {
		fmt.Println(err)
		return
	}
	start, ok := read.Date("start")
	fmt.Println(start, ok)
	// Output:
	// {"comments":null,"company":"Acme","start":"2026-03-01"}
	// 2026-03-01 true
}

func ExampleDecimal() {
	var price struct {
		UnitAmount models.Decimal `json:"unit_amount"`
	}
	if err := json.Unmarshal([]byte(`{"unit_amount":"1E-7"}`), &price); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(price.UnitAmount, price.UnitAmount.Plain(), price.UnitAmount.Equal("0.0000001"))
	// Output: 1E-7 0.0000001 true
}

func ExampleDecimal_ValidateUnitAmount() {
	fmt.Println(models.Decimal("0.05").ValidateUnitAmount())
	fmt.Println(models.Decimal("123456").ValidateUnitAmount())
	// Output:
	// <nil>
	// models: the amount has 6 digits before the point, at most 5 are allowed
}

func ExampleDateOf() {
	moment := time.Date(2026, time.January, 31, 23, 30, 0, 0, time.UTC)
	fmt.Println(models.DateOf(moment))
	fmt.Println(models.DateOf(moment.In(time.FixedZone("Rome", 3600))))
	// Output:
	// 2026-01-31
	// 2026-02-01
}

func ExampleTrialEnd() {
	text, _ := json.Marshal([]models.TrialEnd{
		models.TrialEndNow(),
		models.TrialEndAt(time.Date(2026, time.January, 31, 12, 0, 0, 0, time.UTC)),
	})
	fmt.Println(string(text))
	// Output: ["now","2026-01-31T12:00:00Z"]
}

func ExampleFilter() {
	filter := models.And(
		models.Eq("name", "api.request"),
		models.Or(models.Gt("tokens", 1000), models.Eq("model", "large")),
	)
	text, _ := json.MarshalIndent(filter, "", "  ")
	fmt.Println(string(text))
	// Output:
	// {
	//   "conjunction": "and",
	//   "clauses": [
	//     {
	//       "property": "name",
	//       "operator": "eq",
	//       "value": "api.request"
	//     },
	//     {
	//       "conjunction": "or",
	//       "clauses": [
	//         {
	//           "property": "tokens",
	//           "operator": "gt",
	//           "value": 1000
	//         },
	//         {
	//           "property": "model",
	//           "operator": "eq",
	//           "value": "large"
	//         }
	//       ]
	//     }
	//   ]
	// }
}

func ExampleFilterNode() {
	var filter models.Filter
	if err := json.Unmarshal([]byte(`{"conjunction":"and","clauses":[
		{"property":"name","operator":"eq","value":"api.request"},
		{"conjunction":"or","clauses":[]}
	]}`), &filter); err != nil {
		fmt.Println(err)
		return
	}
	for _, clause := range filter.Clauses {
		switch c := clause.(type) {
		case *models.FilterClause:
			fmt.Println(c.Property, c.Operator, c.Value)
		case *models.Filter:
			fmt.Println(c.Conjunction, "of", len(c.Clauses))
		case *models.UnknownFilterNode:
			fmt.Println("new:", string(c.Raw))
		}
	}
	// Output:
	// name eq api.request
	// or of 0
}

func ExampleSum() {
	text, _ := json.Marshal(models.MeterCreate{
		Name:        "Tokens",
		Filter:      models.And(models.Eq("name", "ai.usage")),
		Aggregation: models.Sum("tokens"),
	})
	fmt.Println(string(text))
	// Output: {"name":"Tokens","filter":{"conjunction":"and","clauses":[{"property":"name","operator":"eq","value":"ai.usage"}]},"aggregation":{"func":"sum","property":"tokens"}}
}

func ExampleEventCreate() {
	event := models.EventCreate{
		Name:               "ai.usage",
		ExternalCustomerID: new("user_42"),
		ExternalID:         new("request_7"),
		Metadata:           models.Metadata{"region": "eu"},
		Cost:               &models.CostMetadata{Amount: "0.25", Currency: "usd"},
	}
	fmt.Println(event.Validate())
	text, _ := json.Marshal(event)
	fmt.Println(string(text))
	// Output:
	// <nil>
	// {"name":"ai.usage","external_customer_id":"user_42","external_id":"request_7","metadata":{"region":"eu","_cost":{"amount":"0.25","currency":"usd"}}}
}

func ExampleEventCreate_Validate() {
	fmt.Println(models.EventCreate{
		Name:               "api.request",
		CustomerID:         new("1dbfc517-0bbf-4301-9ba8-555ca42b9737"),
		ExternalCustomerID: new("user_42"),
	}.Validate())
	// Output: models: EventCreate: set only one of CustomerID, ExternalCustomerID, since Polar would drop the others
}
