package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// places says in which words file a new type is expected, by the start of its name; the longest fits.
var places = [][2]string{{"Portal", "portal"}, {"Organization", "organizations"}, {"SocialPlatform", "organizations"}, {"SwitchingFrom", "organizations"},
	{"PublicOrganization", "organizations"}, {"Subscription", "subscriptions"}, {"PendingSubscription", "subscriptions"}, {"ProrationBehavior", "subscriptions"},
	{"TrialInterval", "subscriptions"}, {"RecurringInterval", "subscriptions"}, {"CustomerCancellation", "subscriptions"}, {"OAuth2", "oauth2"}, {"Authorize", "oauth2"},
	{"UserInfo", "oauth2"}, {"Scope", "oauth2"}, {"Benefit", "benefits"}, {"GitHub", "benefits"}, {"LicenseKeyTimeframe", "benefits"}, {"BenefitGrant", "benefit_grants"},
	{"CustomerStateBenefitGrant", "customers"}, {"Webhook", "webhooks"}, {"HTTPCodeClass", "webhooks"}, {"Product", "products"}, {"Price", "products"}, {"PublicProduct", "products"},
	{"Existing", "products"}, {"TaxBehavior", "products"}, {"Currency", "products"}, {"Order", "orders"}, {"Refund", "refunds"}, {"Dispute", "disputes"}, {"Checkout", "checkouts"},
	{"BillingAddressFieldMode", "checkouts"}, {"CheckoutLink", "checkout_links"}, {"File", "files"}, {"BenefitDownloadableFile", "files"}, {"Downloadable", "files"},
	{"Metric", "metrics"}, {"TimeInterval", "metrics"}, {"LicenseKey", "license_keys"}, {"ValidatedLicenseKey", "license_keys"}, {"CustomField", "custom_fields"},
	{"AttachedCustomField", "custom_fields"}, {"Discount", "discounts"}, {"Customer", "customers"}, {"Address", "customers"}, {"TaxID", "customers"}, {"Payment", "payments"},
	{"PaymentMethod", "customers"}, {"Member", "members"}, {"Seat", "seats"}, {"CustomerSession", "customer_sessions"}, {"Event", "events"}, {"CostMetadata", "events"},
	{"LLMMetadata", "events"}, {"Balance", "events"}, {"EventType", "event_types"}, {"Meter", "meters"}, {"Aggregation", "meters"}, {"Filter", "meters"}, {"CustomerMeter", "customer_meters"}}

func place(t *GType) string {
	for _, i := range t.impl {
		if i == "EventMetadata" {
			return "events"
		}
	}
	if t.Name == "CustomerUpdatedFields" || t.Name == "CustomerUpdatedAddress" {
		return "events"
	}
	best, file := "", "other"
	for _, p := range places {
		if strings.HasPrefix(t.Name, p[0]) && len(p[0]) > len(best) {
			best, file = p[0], p[1]
		}
	}
	return file
}

// skeleton writes, a file each, what has no sentence yet, with what the facts say of it.
func (g *Gen) skeleton(dir string) {
	out := map[string]*strings.Builder{}
	file := func(n string) *strings.Builder {
		if out[n] == nil {
			out[n] = &strings.Builder{}
		}
		return out[n]
	}
	for _, s := range g.shape.Services {
		n := strings.TrimSuffix(s.File, ".go")
		switch {
		case s.Portal:
			n = "portal"
		case strings.HasPrefix(n, "webhook"):
			n = "webhooks"
		case strings.HasPrefix(n, "oauth2"):
			n = "oauth2"
		}
		b := file(n)
		if g.words.services[s.name()] == nil {
			fmt.Fprintf(b, "\nservice %s:\n", s.name())
		}
		for _, o := range s.Ops {
			ow := g.words.ops[o.key()]
			if ow == nil {
				fmt.Fprintf(b, "\n# %s %s scopes=%v errors=%v body=%s result=%s\nop %s:\n", o.Op.Method, o.Op.Path, o.Scopes, o.Errors, o.BodyGo, o.Result, o.key())
			}
			if o.Shared {
				continue
			}
			for _, p := range o.Params {
				g.problems = nil
				g.paramDoc(o, p)
				if len(g.problems) > 0 {
					fmt.Fprintf(b, "  .%s:    # %s %s\n", p.Wire, p.Kind, strings.Join(p.Limits.sentences(nil), " "))
				}
			}
		}
	}
	for _, n := range sortedKeys(g.types) {
		t := g.types[n]
		b := file(place(t))
		var lines []string
		for _, v := range t.Values {
			g.problems = nil
			g.valueDoc(t, v)
			if len(g.problems) > 0 {
				lines = append(lines, fmt.Sprintf("  %q:", v))
			}
		}
		common := 0
		for _, m := range t.Members {
			if m.Wire == "-" {
				continue
			}
			if s := g.lookup(t, m); s == nil || s.text == "" {
				dep := ""
				if m.Deprecated {
					dep = " DEPRECATED"
				}
				lines = append(lines, fmt.Sprintf("  .%s:    # %s%s only=%v %s", m.Wire, m.Base.Kind, dep, m.Only, strings.Join(m.Limits.sentences(m), " ")))
			} else {
				common++
			}
		}
		g.problems = nil
		g.typeDoc(t)
		if len(g.problems) > 0 || len(lines) > 0 {
			use := ""
			if t.Req {
				use += " request"
			}
			if t.Resp {
				use += " response"
			}
			if t.Patch {
				use += " patch"
			}
			fmt.Fprintf(b, "\n# %s%s, facts %v, implements %v, %d members have common sentences\ntype %s:\n%s\n", t.Kind, use, t.Facts, t.impl, common, n, strings.Join(lines, "\n"))
		}
	}
	g.problems = nil
	b := file("errors")
	for _, e := range g.facts.Errors {
		if g.words.errors[e.Name] == nil {
			var ops []string
			for _, o := range g.facts.Ops {
				for _, ns := range o.Errors {
					for _, x := range ns {
						if x == e.Name {
							ops = append(ops, o.ID)
						}
					}
				}
			}
			fmt.Fprintf(b, "# %v %v\nerror %s:\n", e.Status, ops, e.Name)
		}
	}
	for n, b := range out {
		if err := os.WriteFile(filepath.Join(dir, n+".txt"), []byte(b.String()), 0o644); err != nil {
			panic(err)
		}
	}
}
