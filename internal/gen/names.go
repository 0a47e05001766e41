package main

import (
	"strings"
	"unicode"
)

// initialisms are written in capitals, as Go does.
var initialisms = map[string]string{"id": "ID", "ids": "IDs", "url": "URL", "uri": "URI", "uris": "URIs", "http": "HTTP", "api": "API", "llm": "LLM", "ip": "IP",
	"sso": "SSO", "mrr": "MRR", "ltv": "LTV", "oauth": "OAuth", "oauth2": "OAuth2", "github": "GitHub", "linkedin": "LinkedIn", "youtube": "YouTube", "tiktok": "TikTok",
	"sha256": "SHA256", "etag": "ETag", "vat": "VAT", "tos": "TOS", "iat": "IAT", "aud": "Aud", "1": "1"}

// camel makes a Go name of snake_case, kebab-case or dotted words.
func camel(s string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if x := initialisms[strings.ToLower(w)]; x != "" {
			b.WriteString(x)
			continue
		}
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}

// lowerCamel makes the name of an argument.
func lowerCamel(s string) string {
	c := camel(s)
	for full := range initialisms {
		if x := initialisms[full]; strings.HasPrefix(c, x) && (len(c) == len(x) || unicode.IsUpper(rune(c[len(x)]))) {
			return strings.ToLower(x) + c[len(x):]
		}
	}
	return strings.ToLower(c[:1]) + c[1:]
}

// constName makes the name of an enum constant: the type, then the value.
func constName(typ, value string) string {
	desc := strings.HasPrefix(value, "-")
	v := strings.TrimPrefix(value, "-")
	name := camel(v)
	if typ == "Currency" || typ == "TaxIDFormat" {
		name = strings.ToUpper(strings.ReplaceAll(v, "_", ""))
	}
	if name == "" {
		name = "Empty"
	}
	if desc {
		name += "Desc"
	}
	return typ + name
}

// words splits a Go name into lower-case words, initialisms kept.
func splitName(name string) []string {
	var out []string
	start := 0
	r := []rune(name)
	for i := 1; i <= len(r); i++ {
		if i == len(r) || unicode.IsUpper(r[i]) && (!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			out = append(out, string(r[start:i]))
			start = i
		}
	}
	// OAuth2 and GitHub are one word each
	var merged []string
	for i := 0; i < len(out); i++ {
		w := out[i]
		if i+1 < len(out) {
			switch w + out[i+1] {
			case "OAuth2", "OAuth", "GitHub", "YouTube":
				w, i = w+out[i+1], i+1
			}
		}
		merged = append(merged, w)
	}
	return merged
}

// noun is how a sentence calls a value of the type: PortalOrderCreate is an order.
func noun(goName string) string {
	n := strings.TrimPrefix(goName, "Portal")
	for _, suf := range []string{"UpdateByExternalID", "Create", "Update", "Summary", "Public"} {
		if len(n) > len(suf) {
			n = strings.TrimSuffix(n, suf)
		}
	}
	var parts []string
	for _, w := range splitName(n) {
		if len(w) > 1 && strings.ToUpper(w) == w || w == "OAuth2" || w == "GitHub" {
			parts = append(parts, w)
			continue
		}
		parts = append(parts, strings.ToLower(w))
	}
	return strings.Join(parts, " ")
}

func plural(s string) string {
	switch {
	case strings.HasSuffix(s, "y") && !strings.HasSuffix(s, "ey"):
		return s[:len(s)-1] + "ies"
	case strings.HasSuffix(s, "s"):
		return s + "es"
	}
	return s + "s"
}

func singularField(s string) string {
	switch {
	case strings.HasSuffix(s, "ies"):
		return s[:len(s)-3] + "y"
	case s == "OAuth2" || s == "Customer" || s == "Session":
		return s
	}
	return strings.TrimSuffix(s, "s")
}
