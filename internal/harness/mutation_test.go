package harness

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each case changes the description in memory, which looks to the checks like a client made from wrong facts, and names what a check has to say
// about it. Every finding has to be about the change.
func TestChecksNotice(t *testing.T) {
	doc := load(t)
	s := theSDK()
	type object = map[string]any
	component := func(raw object, name string) object {
		return at(raw, "components", "schemas", name).(object)
	}
	operation := func(raw object, path, method string) object {
		return at(raw, "paths", path, method).(object)
	}
	rename := func(o object, from, to string) {
		v, ok := o[from]
		if !ok {
			panic("harness: no member " + from)
		}
		delete(o, from)
		o[to] = v
	}
	renameMember := func(o object, from, to string) {
		rename(o["properties"].(object), from, to)
		if req, ok := o["required"].([]any); ok {
			for i := range req {
				if req[i] == from {
					req[i] = to
				}
			}
		}
	}
	without := func(list any, gone func(v any) bool) []any {
		var out []any
		for _, v := range list.([]any) {
			if !gone(v) {
				out = append(out, v)
			}
		}
		return out
	}
	requests := func(id string) func(t *testing.T, d *document) []finding {
		return func(t *testing.T, d *document) []finding { return checkOperation(t, d, s, d.byID[id]) }
	}
	responses := func(id string) func(t *testing.T, d *document) []finding {
		return func(t *testing.T, d *document) []finding { return checkResponses(d, s, d.byID[id], described, 0, nil) }
	}
	// The words and alternatives that one operation leads to, held against what the client has.
	sights := func(id, only string) func(t *testing.T, d *document) []finding {
		return func(t *testing.T, d *document) []finding {
			seen := newSightings()
			out := checkResponses(d, s, d.byID[id], described, 0, seen)
			for _, f := range checkSightings(s.reg, seen) {
				if f.op == only {
					out = append(out, f)
				}
			}
			return out
		}
	}
	hook := func(event string) func(t *testing.T, d *document) []finding {
		return func(t *testing.T, d *document) []finding { return checkHook(d, event, described, nil) }
	}
	methods := func(t *testing.T, d *document) []finding { return checkMethods(d, s) }

	cases := []struct {
		name   string
		change func(raw object)
		check  func(t *testing.T, d *document) []finding
		about  string // in every finding
		says   string // in at least one
	}{
		{"renamed member of a response",
			func(raw object) { renameMember(component(raw, "Order"), "paid", "zz_paid") },
			responses("orders:get"), "paid", "lost"},
		{"renamed member inside a list",
			func(raw object) { renameMember(component(raw, "OrderItemSchema"), "label", "zz_label") },
			responses("orders:list"), "label", "lost"},
		{"renamed member of one alternative of a response",
			func(raw object) { renameMember(component(raw, "BenefitDiscordProperties"), "guild_id", "zz_guild") },
			responses("benefits:get"), "guild", "lost"},
		{"renamed member of a request",
			func(raw object) { renameMember(component(raw, "OrderUpdate"), "billing_name", "zz_name") },
			requests("orders:update"), "_name", "never sent"},
		{"dropped member of a request",
			func(raw object) { delete(component(raw, "CustomerUpdate")["properties"].(object), "locale") },
			requests("customers:update"), "locale", "not in the description"},
		{"new required member of an alternative of a request",
			func(raw object) {
				o := component(raw, "SubscriptionUpdateSeats")
				o["properties"].(object)["zz_new"] = object{"type": "string"}
				o["required"] = append(o["required"].([]any), "zz_new")
			},
			requests("subscriptions:update"), "SubscriptionUpdateSeats", "zz_new"},
		{"dropped enum value",
			func(raw object) {
				o := component(raw, "OrderStatus")
				o["enum"] = without(o["enum"], func(v any) bool { return v == "void" })
			},
			sights("orders:get", "OrderStatus"), "void", "the description does not"},
		{"renamed enum value",
			func(raw object) { component(raw, "SubscriptionStatus")["enum"].([]any)[0] = "zz_status" },
			responses("subscriptions:get"), "SubscriptionStatus", "Known reports false"},
		{"renamed enum value of a request",
			func(raw object) {
				at(raw, "components", "schemas", "RefundCreate", "properties", "reason", "enum").([]any)[0] = "zz_reason"
			},
			requests("refunds:create"), "zz_reason", "no constant"},
		{"renamed enum value of a query",
			func(raw object) { component(raw, "OrderSortProperty")["enum"].([]any)[1] = "zz_sort" },
			requests("orders:list"), "sort", "no constant"},
		{"renamed discriminator of an alternative of a response",
			func(raw object) {
				at(raw, "components", "schemas", "BenefitDiscord", "properties", "type").(object)["const"] = "zz_type"
				rename(at(raw, "components", "schemas", "Benefit", "discriminator", "mapping").(object), "discord", "zz_type")
			},
			responses("benefits:get"), "Benefit", "was decoded as Unknown"},
		{"renamed name of an event",
			func(raw object) {
				at(raw, "components", "schemas", "OrderPaidEvent", "properties", "name").(object)["const"] = "zz.paid"
				rename(at(raw, "components", "schemas", "SystemEvent", "discriminator", "mapping").(object), "order.paid", "zz.paid")
			},
			responses("events:get"), "Event", "was decoded as Unknown"},
		{"dropped alternative of a response",
			func(raw object) {
				o := component(raw, "ProductPrice")
				o["oneOf"] = without(o["oneOf"], func(v any) bool { return strings.HasSuffix(at(v, "$ref").(string), "MeteredTiers") })
				delete(at(o, "discriminator", "mapping").(object), "metered_tiers")
			},
			sights("products:get", "ProductPriceAmount"), "Tiers", "the description does not"},
		{"renamed discriminator of an alternative of a request",
			func(raw object) {
				at(raw, "components", "schemas", "BenefitDiscordCreate", "properties", "type").(object)["const"] = "zz_type"
				rename(at(raw, "components", "schemas", "BenefitCreate", "discriminator", "mapping").(object), "discord", "zz_type")
			},
			requests("benefits:create"), "BenefitDiscordCreate", "cannot be sent"},
		{"dropped alternative of a request",
			func(raw object) {
				o := component(raw, "CustomFieldCreate")
				o["oneOf"] = without(o["oneOf"], func(v any) bool { return strings.HasSuffix(at(v, "$ref").(string), "CreateDate") })
				delete(at(o, "discriminator", "mapping").(object), "date")
			},
			requests("custom-fields:create"), "CustomFieldCreateDate", "fits no alternative"},
		{"changed path",
			func(raw object) { rename(raw["paths"].(object), "/v1/orders/{id}/invoice", "/v1/orders/{id}/zz") },
			requests("orders:invoice"), "path", "is no operation of the description"},
		{"added trailing slash",
			func(raw object) { rename(raw["paths"].(object), "/v1/metrics/limits", "/v1/metrics/limits/") },
			requests("metrics:limits"), "path", "is no operation of the description"},
		{"changed method",
			func(raw object) { rename(at(raw, "paths", "/v1/refunds/").(object), "post", "put") },
			requests("refunds:create"), "path", "is no operation of the description"},
		{"two operations that changed places",
			func(raw object) {
				a, b := operation(raw, "/v1/orders/{id}", "get"), operation(raw, "/v1/disputes/{id}", "get")
				at(raw, "paths", "/v1/orders/{id}").(object)["get"], at(raw, "paths", "/v1/disputes/{id}").(object)["get"] = b, a
			},
			requests("disputes:get"), "path", "calls orders:get"},
		{"security taken away",
			func(raw object) { delete(operation(raw, "/v1/orders/{id}", "get"), "security") },
			requests("orders:get"), "Authorization", "without security"},
		{"security added",
			func(raw object) {
				operation(raw, "/v1/customer-portal/license-keys/validate", "post")["security"] = []any{object{"customer_session": []any{}}}
			},
			requests("customer_portal:license_keys:validate"), "Authorization", "which the operation needs"},
		{"renamed query parameter",
			func(raw object) {
				at(raw, "paths", "/v1/refunds/", "get", "parameters", 2).(object)["name"] = "zz_order"
			},
			requests("refunds:list"), "order", "does not have it"},
		{"dropped query parameter",
			func(raw object) {
				o := operation(raw, "/v1/refunds/", "get")
				o["parameters"] = o["parameters"].([]any)[:len(o["parameters"].([]any))-1]
			},
			requests("refunds:list"), "sorting", "not"},
		{"required query parameter",
			func(raw object) { at(raw, "paths", "/v1/refunds/", "get", "parameters", 2).(object)["required"] = true },
			requests("refunds:list"), "query", "required parameters: true"},
		{"query parameter that is not required any more",
			func(raw object) {
				for _, p := range operation(raw, "/v1/meters/{id}/quantities", "get")["parameters"].([]any) {
					if p.(object)["in"] == "query" {
						p.(object)["required"] = false
					}
				}
			},
			requests("meters:quantities"), "meters:quantities: ", "required parameters: false"},
		{"body that is not required any more",
			func(raw object) {
				operation(raw, "/v1/refunds/", "post")["requestBody"].(object)["required"] = false
			},
			requests("refunds:create"), "signature", "required is false"},
		{"renamed error",
			func(raw object) {
				at(raw, "components", "schemas", "CheckoutLocked", "properties", "error").(object)["const"] = "ZzLocked"
			},
			func(t *testing.T, d *document) []finding { return checkErrorNames(d, s) }, "Locked", "no constant"},
		{"renamed member of a webhook's data",
			func(raw object) {
				renameMember(component(raw, "BenefitGrantCustomWebhook"), "previous_properties", "zz_properties")
			},
			hook("benefit_grant.updated"), "zz_properties", "lost"},
		{"renamed member beside a webhook's data",
			func(raw object) {
				renameMember(component(raw, "WebhookSubscriptionMigratedPayload"), "provider", "zz_provider")
			},
			hook("subscription.migrated"), "provider", "lost"},
		{"new webhook",
			func(raw object) {
				raw["webhooks"].(object)["order.zz"] = at(raw, "webhooks", "order.paid")
			},
			func(t *testing.T, d *document) []finding { return checkHookList(d) }, "order.zz", "the client does not know it"},
		{"number that became text",
			func(raw object) {
				component(raw, "Refund")["properties"].(object)["amount"] = object{"type": "string"}
			},
			responses("refunds:list"), "amount", "error"},
		{"member that became nullable",
			func(raw object) {
				p := component(raw, "Dispute")["properties"].(object)
				p["amount"] = object{"anyOf": []any{p["amount"], object{"type": "null"}}}
			},
			responses("disputes:get"), "amount", "was null"},
		{"answer without content",
			func(raw object) {
				operation(raw, "/v1/products/{id}", "delete")["responses"].(object)["204"] = object{"description": "", "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Product"}}}}
			},
			responses("products:delete"), "$", "returns only an error"},
		{"body sent as a form",
			func(raw object) {
				rename(at(raw, "paths", "/v1/refunds/", "post", "requestBody", "content").(object), "application/json", "application/x-www-form-urlencoded")
			},
			requests("refunds:create"), "", "Content-Type"},
		{"new operation",
			func(raw object) {
				o := object{}
				for k, v := range operation(raw, "/v1/disputes/{id}", "get") {
					o[k] = v
				}
				o["operationId"], o["x-speakeasy-name-override"] = "disputes:zz", "zz"
				raw["paths"].(object)["/v1/disputes/{id}/zz"] = object{"get": o}
			},
			methods, "Disputes.Zz", "the client does not have it"},
		{"dropped operation",
			func(raw object) { delete(at(raw, "paths", "/v1/disputes/{id}").(object), "get") },
			methods, "Disputes.Get", "no operation"},
		{"list that is not paginated any more",
			func(raw object) { delete(operation(raw, "/v1/disputes/", "get"), "x-polar-pagination") },
			methods, "Disputes.All", "no operation"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := c.check(t, doc)
			changed, err := doc.mutate(c.change)
			require.NoError(t, err)
			after := c.check(t, changed)
			old := map[finding]bool{}
			for _, f := range before {
				old[f] = true
			}
			said := false
			n := 0
			for _, f := range after {
				if old[f] {
					continue
				}
				n++
				assert.Contains(t, f.String(), c.about)
				said = said || strings.Contains(f.String(), c.says)
			}
			assert.NotZero(t, n, "the check did not notice")
			assert.True(t, said, "no finding says %q: %v", c.says, after)
		})
	}
}
