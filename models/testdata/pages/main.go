// Command pages writes orders.json and products.json beside its folder: pages of 100 items as the API answers them, of a shop
// that does not exist, for benchmarks. It writes the same on every run.
//
//	go run ./models/testdata/pages
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

func main() {
	for name, item := range map[string]func(*shop) object{"orders.json": (*shop).order, "products.json": (*shop).product} {
		s := newShop()
		var items []any
		for range 100 {
			items = append(items, item(s))
		}
		data, err := json.Marshal(object{"items", items, "pagination", object{"total_count", 1042, "max_page", 11}})
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("models", "testdata", name), append(data, '\n'), 0o666); err != nil {
			log.Fatal(err)
		}
	}
}

// object is a JSON object: names and values in turn, in the order in which they are written.
type object []any

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := 0; i < len(o); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", o[i])
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(o[i+1]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// shop makes up what a shop for sound has sold.
type shop struct {
	*rand.Rand
	organization string
	now          time.Time
	number       int
}

func newShop() *shop {
	s := &shop{Rand: rand.New(rand.NewPCG(20, 26)), now: time.Date(2026, 10, 2, 6, 30, 0, 0, time.UTC)}
	s.organization = s.id()
	return s
}

func (s *shop) id() string {
	hi, lo := s.Uint64(), s.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xfff, lo>>48&0x3fff|0x8000, lo&0xffffffffffff)
}

// before returns a moment up to so many days before now.
func (s *shop) before(days int) string {
	// an odd number of microseconds has no zero at its end, which an encoder would leave out
	at := s.now.Add(-time.Duration(s.Int64N(int64(days)*86400e6/2)*2+1) * time.Microsecond)
	return at.Format("2006-01-02T15:04:05.000000Z")
}

// chance reports true in p of 100 cases.
func (s *shop) chance(p int) bool { return s.IntN(100) < p }

// maybe returns v in p of 100 cases, and null in the others.
func (s *shop) maybe(p int, v any) any {
	if s.chance(p) {
		return v
	}
	return nil
}

func one[T any](s *shop, of ...T) T { return of[s.IntN(len(of))] }

func (s *shop) metadata() object {
	o := object{}
	for _, pair := range [][2]any{
		{"seller", one(s, "store", "newsletter", "partner-17")},
		{"studio_size", s.IntN(60)},
		{"trial_score", float64(s.IntN(1000)) / 8},
		{"student", s.chance(50)},
		{"crm_record", s.id()},
	} {
		if s.chance(25) {
			o = append(o, pair[0], pair[1])
		}
	}
	return o
}

type person struct{ name, mail, line1, code, city, state, country, locale string }

var people = []person{
	{"Mariam Adeyemi", "mariam@adeyemi.example", "14 Broad Street", "101223", "Lagos", "", "NG", "en"},
	{"Jürgen Weiß", "juergen.weiss@klangwerk.example", "Gärtnerstraße 8b", "20253", "Hamburg", "", "DE", "de"},
	{"Camille Nguyễn", "camille@atelier-son.example", "3 rue des Lilas", "44000", "Nantes", "", "FR", "fr"},
	{"Tomás O’Dea", "tomas.odea@example.org", "Unit 5, Harbour Row", "T12 X8PW", "Cork", "", "IE", "en"},
	{"Sakura Mori", "sakura@mori-rec.example", "1-12-3 Kita", "060-0001", "札幌市", "", "JP", "ja"},
	{"Dale Whitcomb", "dale.whitcomb@example.com", "880 Pine Ridge Rd", "97401", "Eugene", "US-OR", "US", "en-US"},
	{"Luana Prates", "luana@prates.example", "Av. Atlântica 1702", "22021-001", "Rio de Janeiro", "BR-RJ", "BR", "pt-BR"},
}

func (p person) address(s *shop) object {
	var state any
	if p.state != "" {
		state = p.state
	}
	return object{"line1", p.line1, "line2", s.maybe(15, "Back entrance"), "postal_code", p.code, "city", p.city, "state", state, "country", p.country}
}

func (s *shop) customer(p person, id string) object {
	tax := s.maybe(18, []string{fmt.Sprintf("%s%09d", p.country, s.IntN(1e9)), "eu_vat"})
	return object{
		"id", id, "created_at", s.before(900), "modified_at", s.maybe(60, s.before(200)), "metadata", s.metadata(),
		"external_id", s.maybe(65, fmt.Sprintf("usr_%06d", s.IntN(1e6))), "email", p.mail, "email_verified", s.chance(80), "type", "individual",
		"name", p.name, "billing_name", s.maybe(20, p.name+" Audio"), "billing_address", p.address(s), "tax_id", tax, "locale", s.maybe(50, p.locale),
		"organization_id", s.organization, "default_payment_method_id", s.maybe(70, s.id()), "deleted_at", nil,
		"first_user_event_at", s.maybe(30, s.before(300)),
		"avatar_url", fmt.Sprintf("https://avatars.example.net/%016x%016x.png?size=256", s.Uint64(), s.Uint64()),
	}
}

var articles = []struct {
	name, text string
	price      int
}{
	{"Reverb Suite", "Eleven halls, two plates and one *very* long corridor.\n\n- AU, VST3, AAX\n- presets by engineers who use it\n\nRead the [manual](https://docs.example.net/reverb?v=3#setup) first.", 12900},
	{"Tape Machine — Mk II", "Wow & flutter, measured on the real thing.", 7900},
	{"Sample Vault", "New recordings on the 1st of each month; “fair use” means up to 5 seats.", 1500},
	{"Mastering Service", "Upload a mix, get it back within 48 hours.\n\n> Two revisions included.", 24000},
	{"Studio Team", "Everything, for everybody in the studio.", 4500},
}

// amounts returns subtotal, discount, net, tax and total of a price.
func (s *shop) amounts(price int) (sub, off, net, tax, total int) {
	off = price / 100 * one(s, 0, 0, 0, 10, 25)
	net = price - off
	tax = net * one(s, 0, 0, 19, 20, 23) / 100
	return price, off, net, tax, net + tax
}

func (s *shop) order() object {
	s.number++
	p, a := one(s, people...), one(s, articles...)
	sub, off, net, tax, total := s.amounts(a.price)
	customer, product, subscription, discount := s.id(), s.id(), s.id(), s.id()
	recurring := s.chance(70)
	reason := "purchase"
	var plan, interval, discounted any
	if recurring {
		reason = one(s, "subscription_create", "subscription_cycle", "subscription_cycle", "subscription_update")
		interval = one(s, "month", "month", "year")
		plan = s.subscription(subscription, customer, product, interval, a.price)
	}
	if off > 0 {
		discounted = s.discount(discount)
	}
	id := func(is any, id string) any {
		if is == nil {
			return nil
		}
		return id
	}
	var items []any
	for i := range one(s, 1, 1, 1, 2, 3) {
		items = append(items, object{
			"created_at", s.before(90), "modified_at", nil, "id", s.id(), "label", fmt.Sprintf("%s, part %d", a.name, i+1), "amount", a.price / (i + 1),
			"tax_amount", tax / (i + 1), "proration", i > 0, "product_price_id", s.id(), "start_timestamp", s.maybe(40, s.before(60)),
			"end_timestamp", s.maybe(40, s.before(30)),
		})
	}
	refunded := s.chance(6)
	status, back := "paid", 0
	if refunded {
		status, back = "refunded", net
	}
	return object{
		"id", s.id(), "created_at", s.before(90), "modified_at", s.maybe(80, s.before(20)), "status", status, "paid", true, "subtotal_amount", sub,
		"discount_amount", off, "net_amount", net, "tax_amount", tax, "total_amount", total, "applied_balance_amount", 0, "due_amount", total,
		"refunded_amount", back, "refunded_tax_amount", 0, "currency", one(s, "eur", "eur", "usd"), "billing_reason", reason,
		"billing_name", s.maybe(90, p.name), "billing_address", s.maybe(90, p.address(s)), "invoice_number", fmt.Sprintf("SOUND-%05d", s.number),
		"is_invoice_generated", s.chance(30), "receipt_number", s.maybe(90, fmt.Sprintf("R-%05d", s.number)), "seats", s.maybe(10, 1+s.IntN(9)),
		"customer_id", customer, "product_id", product, "discount_id", id(discounted, discount), "subscription_id", id(plan, subscription),
		"checkout_id", s.maybe(70, s.id()), "next_payment_attempt_at", nil, "metadata", s.metadata(), "custom_field_data", s.answers(),
		"platform_fee_amount", total/20 + 40, "platform_fee_currency", s.maybe(95, "eur"), "customer", s.customer(p, customer),
		"product", object{
			"metadata", s.metadata(), "id", product, "created_at", s.before(700), "modified_at", s.maybe(50, s.before(100)), "trial_interval", nil,
			"trial_interval_count", nil, "name", a.name, "description", s.maybe(70, a.text), "visibility", "public", "recurring_interval", interval,
			"recurring_interval_count", one(s, 1, 1, 3), "meter_interval", nil, "meter_interval_count", nil, "is_recurring", recurring,
			"is_archived", s.chance(5), "organization_id", s.organization,
		},
		"discount", discounted, "subscription", plan, "items", items, "description", a.name, "refundable_amount", net - back,
		"refundable_tax_amount", tax, "units", nil,
	}
}

func (s *shop) answers() object {
	if !s.chance(20) {
		return object{}
	}
	return object{"daw", one(s, "Ardour", "Reaper"), "channels", 2 + s.IntN(62), "newsletter", s.chance(50)}
}

func (s *shop) discount(id string) object {
	o := object{"duration", one(s, "once", "forever", "repeating")}
	if o[1] == "repeating" {
		o = append(o, "duration_in_months", 6)
	}
	if s.chance(50) {
		o = append(o, "type", "fixed", "amount", 1500, "currency", "eur", "amounts", object{"eur", 1500, "usd", 1700})
	} else {
		o = append(o, "type", "percentage", "basis_points", 2500)
	}
	return append(o, "created_at", s.before(400), "modified_at", nil, "id", id, "metadata", s.metadata(), "name", "Spring sale", "code",
		s.maybe(60, "SPRING-26"), "starts_at", s.maybe(50, s.before(200)), "ends_at", nil, "max_redemptions", s.maybe(40, 500),
		"max_redemptions_per_customer", nil, "redemptions_count", s.IntN(400), "organization_id", s.organization)
}

func (s *shop) subscription(id, customer, product string, interval any, price int) object {
	ending := s.chance(12)
	return object{
		"metadata", s.metadata(), "created_at", s.before(500), "modified_at", s.before(30), "id", id, "amount", price, "currency", "eur",
		"recurring_interval", interval, "recurring_interval_count", 1, "status", one(s, "active", "active", "active", "past_due", "canceled"),
		"current_period_start", s.before(30), "current_period_end", s.before(2), "current_meter_period_start", nil,
		"current_meter_period_end", nil, "trial_start", nil, "trial_end", nil, "cancel_at_period_end", ending, "canceled_at", s.maybe(12, s.before(20)),
		"started_at", s.before(500), "ends_at", nil, "ended_at", nil, "past_due_at", nil, "pause_at_period_end", false, "paused_at", nil,
		"resumes_at", nil, "customer_id", customer, "product_id", product, "discount_id", nil, "checkout_id", s.maybe(80, s.id()),
		"seats", s.maybe(10, 1+s.IntN(20)), "customer_cancellation_reason", s.maybe(8, "too_complex"), "customer_cancellation_comment", nil, "units", nil,
	}
}

func (s *shop) product() object {
	a := one(s, articles...)
	id := s.id()
	recurring := s.chance(75)
	var interval, count any
	if recurring {
		interval, count = one(s, "month", "year"), 1
	}
	prices, benefits, medias, fields := []any{}, []any{}, []any{}, []any{}
	for range one(s, 1, 1, 2, 2, 3) {
		prices = append(prices, s.price(id, a.price))
	}
	for range one(s, 0, 1, 2, 2, 3, 4) {
		benefits = append(benefits, s.benefit())
	}
	for i := range one(s, 0, 1, 1, 2) {
		medias = append(medias, s.media(i))
	}
	for i := range one(s, 0, 0, 0, 0, 1, 2) {
		fields = append(fields, s.field(i))
	}
	return object{
		"id", id, "created_at", s.before(700), "modified_at", s.maybe(60, s.before(90)), "trial_interval", s.maybe(20, "day"),
		"trial_interval_count", s.maybe(20, 14), "name", a.name, "description", s.maybe(80, a.text), "visibility", "public", "recurring_interval", interval,
		"recurring_interval_count", count, "meter_interval", nil, "meter_interval_count", nil, "is_recurring", recurring, "is_archived", s.chance(10),
		"organization_id", s.organization, "metadata", s.metadata(), "prices", prices, "benefits", benefits, "medias", medias,
		"attached_custom_fields", fields, "is_deletable", s.chance(20),
	}
}

func (s *shop) price(product string, amount int) object {
	kind := one(s, "fixed", "fixed", "metered_unit", "seat_based", "custom")
	o := object{
		"created_at", s.before(700), "modified_at", s.maybe(30, s.before(90)), "id", s.id(), "source", "catalog", "amount_type", kind,
		"price_currency", one(s, "eur", "usd"), "tax_behavior", s.maybe(60, one(s, "inclusive", "exclusive")), "is_archived", s.chance(10), "product_id", product,
	}
	switch kind {
	case "fixed":
		return append(o, "price_amount", amount)
	case "custom":
		return append(o, "minimum_amount", 300, "maximum_amount", s.maybe(30, 90000), "preset_amount", s.maybe(70, 1200))
	case "seat_based":
		return append(o, "seat_tiers", object{
			"seat_tier_type", one(s, "volume", "graduated"),
			"tiers", []any{
				object{"min_seats", 1, "max_seats", 4, "price_per_seat", amount}, object{"min_seats", 5, "max_seats", nil, "price_per_seat", amount * 4 / 5},
			},
			"minimum_seats", 1, "maximum_seats", nil,
		})
	}
	meter := s.id()
	return append(o, "unit_amount", one(s, "0.004000000000", "25.000000000000"), "cap_amount", s.maybe(50, 50000), "meter_id", meter,
		"meter", object{"id", meter, "name", "Rendered minutes", "unit", "custom", "custom_label", "min", "custom_multiplier", 60})
}

func (s *shop) benefit() object {
	kind := one(s, "license_keys", "meter_credit", "feature_flag", "downloadables", "discord", "github_repository", "slack_shared_channel", "custom")
	text := map[string]string{
		"license_keys": "Key for the plug-in", "meter_credit": "600 minutes of rendering", "feature_flag": "Nightly builds",
		"downloadables": "Impulse responses", "discord": "The producers’ lounge", "github_repository": "Source of the examples",
		"slack_shared_channel": "A channel with our engineers", "custom": "A postcard",
	}
	properties := map[string]object{
		"license_keys":         {"prefix", "SND", "expires", s.maybe(50, object{"ttl", 2, "timeframe", "year"}), "activations", nil, "limit_usage", s.maybe(50, 250)},
		"meter_credit":         {"units", 600, "rollover", s.chance(50), "meter_id", s.id()},
		"feature_flag":         {},
		"downloadables":        {"archived", object{}, "files", []string{s.id(), s.id()}},
		"discord":              {"guild_id", fmt.Sprint(s.Uint64() >> 4), "role_id", fmt.Sprint(s.Uint64() >> 4), "kick_member", s.chance(50)},
		"github_repository":    {"repository_owner", "sound-example", "repository_name", "plugins", "permission", one(s, "pull", "triage", "push")},
		"slack_shared_channel": {"slack_integration_id", s.id(), "channel_name_template", "ext-{customer}", "private", true, "welcome_message", s.maybe(50, "Hello!"), "archive_on_revoke", true, "team_invitees", []string{"U0SOUND01", "U0SOUND02"}},
		"custom":               {"note", s.maybe(60, "Send your address to post@example.net.")},
	}
	return object{
		"id", s.id(), "created_at", s.before(700), "modified_at", s.maybe(40, s.before(90)), "type", kind, "description", text[kind],
		"selectable", true, "deletable", s.chance(80), "is_deleted", false, "organization_id", s.organization, "metadata", s.metadata(),
		"visibility", one(s, "public", "private"), "properties", properties[kind], "visibility_configurable", true,
	}
}

func (s *shop) media(i int) object {
	id, name := s.id(), fmt.Sprintf("front-%d.webp", i)
	path := fmt.Sprintf("product_media/%s/%s/%s", s.organization, id, name)
	return object{
		"id", id, "organization_id", s.organization, "name", name, "path", path, "mime_type", "image/webp", "size", 20000 + s.IntN(3e6),
		"storage_version", fmt.Sprintf("%x", s.Uint64()), "checksum_etag", fmt.Sprintf("\"%016x%016x-1\"", s.Uint64(), s.Uint64()),
		"checksum_sha256_base64", fmt.Sprintf("%043d=", s.Uint64()), "checksum_sha256_hex", fmt.Sprintf("%064x", s.Uint64()),
		"last_modified_at", s.before(600), "version", nil, "service", "product_media", "is_uploaded", true, "created_at", s.before(700),
		"size_readable", "1.1 MB", "public_url", "https://files.example.net/" + path,
	}
}

func (s *shop) field(i int) object {
	kind := one(s, "text", "number", "date", "checkbox", "select")
	label := []any{"form_label", "Your " + kind, "form_help_text", "We ask everybody"}
	properties := map[string]object{
		"text": {"textarea", false, "max_length", 80}, "number": {"ge", 1, "le", 64}, "date": {"ge", 1767225600}, "checkbox": {},
		"select": {"options", []any{object{"value", "home", "label", "Home studio"}, object{"value", "hire", "label", "Studio for hire"}}},
	}
	id := s.id()
	return object{
		"custom_field_id", id,
		"custom_field", object{
			"created_at", s.before(700), "modified_at", nil, "id", id, "metadata", s.metadata(), "type", kind, "slug", "your-" + kind, "name", kind,
			"organization_id", s.organization, "properties", append(object(label), properties[kind]...),
		},
		"order", i, "required", s.chance(50),
	}
}
