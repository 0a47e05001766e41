package polar

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/polar-go/polar/models"
)

// CheckoutLinkPrefill is what [PrefillCheckoutLink] fills into the page that a checkout link opens. Empty fields are left
// to the customer.
type CheckoutLinkPrefill struct {
	CustomerEmail string
	CustomerName  string
	DiscountCode  string // applied if the link allows discount codes and the code is good for the product
	// Amount is what a customer may choose to pay, in the currency's minor unit: [models.ParseAmount] reads it from a form.
	// It counts for prices of the customer's choice only.
	Amount *int64
	// CustomFieldData holds answers to the product's custom fields, by slug: strings, whole numbers, bools, and for dates a
	// models.Date or a time.Time.
	CustomFieldData models.CustomFieldData
	// ReferenceID is a text of the caller's own, such as who recommended the product. Polar puts it as reference_id into
	// the metadata of the checkout, and so of the order. Customers can change it, like everything in an address.
	ReferenceID string
}

// PrefillCheckoutLink returns the address of a checkout link, [models.CheckoutLink.URL], with some answers filled in. Other
// parameters that are in its query already stay as they are, for instance utm_source, and those that are set anew are
// replaced.
//
// It checks what can be checked here. What does not fit the product, such as an amount below its minimum, is ignored by
// Polar, and the page opens without it. The address is not signed: customers can change what it says.
func PrefillCheckoutLink(link string, p CheckoutLinkPrefill) (string, error) {
	if err := checkWebAddress(link); err != nil {
		return "", fmt.Errorf("polar: checkout link: %w", err)
	}
	var add parameters
	if p.CustomerEmail != "" {
		if !looksLikeEmail(p.CustomerEmail) {
			return "", errors.New("polar: checkout link: CustomerEmail is not an e-mail address")
		}
		add.set("customer_email", p.CustomerEmail)
	}
	if p.CustomerName != "" {
		add.set("customer_name", p.CustomerName)
	}
	if p.DiscountCode != "" {
		add.set("discount_code", p.DiscountCode)
	}
	if p.Amount != nil {
		if *p.Amount < 0 {
			return "", fmt.Errorf("polar: checkout link: Amount is %d, want at least 0", *p.Amount)
		}
		add.set("amount", strconv.FormatInt(*p.Amount, 10))
	}
	for _, slug := range slices.Sorted(maps.Keys(p.CustomFieldData)) {
		if !isSlug(slug) {
			return "", fmt.Errorf("polar: checkout link: CustomFieldData: %q is no slug of a custom field: want letters, digits, - and _", oneLine(slug, 64))
		}
		value, ok := fieldText(p.CustomFieldData, slug)
		if !ok {
			return "", fmt.Errorf("polar: checkout link: CustomFieldData: %s, a %T, cannot be filled in: want a text, a whole number, a bool or a date", slug, p.CustomFieldData[slug])
		}
		add.set("custom_field_data."+slug, value)
	}
	if p.ReferenceID != "" {
		if len(p.ReferenceID) > 500 {
			return "", fmt.Errorf("polar: checkout link: ReferenceID has %d bytes, at most 500 are allowed", len(p.ReferenceID))
		}
		add.set("reference_id", p.ReferenceID)
	}
	return add.onto(link), nil
}

// fieldText is the answer to a custom field as a query has it.
func fieldText(data models.CustomFieldData, slug string) (string, bool) {
	if s, ok := data.String(slug); ok {
		return s, s != ""
	}
	if b, ok := data.Bool(slug); ok {
		return strconv.FormatBool(b), true
	}
	if n, ok := data.Int(slug); ok {
		return strconv.FormatInt(n, 10), true
	}
	if d, ok := data.Date(slug); ok {
		return d.String(), true
	}
	return "", false
}

const (
	checkoutIDPlaceholder = "{CHECKOUT_ID}"
	maxSuccessURL         = 2083
)

// SuccessURL returns address with a parameter that Polar fills with the id of the checkout when it sends the customer
// there, for SuccessURL of [models.CheckoutCreate]: "https://example.com/done?checkout_id={CHECKOUT_ID}". The name of the
// parameter is checkout_id when it is empty. The rest of the address stays as it is; a parameter of that name is replaced.
//
// Polar looks for the placeholder in this spelling, with its braces, which [url.Values.Encode] and
// [html/template] write otherwise. An address that has it somewhere is therefore returned with its braces restored and
// nothing added. Relative addresses are refused.
func SuccessURL(address, parameter string) (string, error) {
	if parameter == "" {
		parameter = "checkout_id"
	}
	if err := checkWebAddress(address); err != nil {
		return "", fmt.Errorf("polar: success URL: %w", err)
	}
	for _, spelling := range []string{"%7BCHECKOUT_ID%7D", "%7bCHECKOUT_ID%7d"} {
		address = strings.ReplaceAll(address, spelling, checkoutIDPlaceholder)
	}
	if !strings.Contains(address, checkoutIDPlaceholder) {
		address = parameters{{parameter, checkoutIDPlaceholder}}.onto(address)
	}
	if len(address) > maxSuccessURL {
		return "", fmt.Errorf("polar: success URL: it has %d bytes, Polar takes at most %d", len(address), maxSuccessURL)
	}
	return address, nil
}

// PortalURL returns the address at which the customers of an organization sign in to its customer portal by e-mail:
// "https://polar.sh/acme/portal" for the slug "acme". It can be put into mails and pages for everybody. With an e-mail
// address, the form is filled in. For somebody whom the program has signed in already, a customer session gives an
// address without that form: see [CustomerSessionService.Create].
func (e Environment) PortalURL(organizationSlug, email string) (string, error) {
	var host string
	switch e {
	case Production:
		host = "polar.sh"
	case Sandbox:
		host = "sandbox.polar.sh"
	default:
		return "", fmt.Errorf("polar: portal URL: unknown environment %q: use polar.Production or polar.Sandbox", string(e))
	}
	if !isSlug(organizationSlug) {
		return "", errors.New("polar: portal URL: the slug of the organization must be letters, digits, - and _")
	}
	address := "https://" + host + "/" + organizationSlug + "/portal"
	if email == "" {
		return address, nil
	}
	if !looksLikeEmail(email) {
		return "", errors.New("polar: portal URL: the e-mail address is none")
	}
	var add parameters
	add.set("email", email)
	return add.onto(address + "/request"), nil
}

// parameters are to be added to an address, with their values as they are to stand there.
type parameters []struct{ name, value string }

func (add *parameters) set(name, value string) {
	*add = append(*add, struct{ name, value string }{name, url.QueryEscape(value)})
}

// onto adds the parameters to the query of address in place of those that have the same names. The rest of the address is
// left as it is written.
func (add parameters) onto(address string) string {
	if len(add) == 0 {
		return address
	}
	address, fragment, fragmented := strings.Cut(address, "#")
	path, old, _ := strings.Cut(address, "?")
	var parts []string
	for part := range strings.SplitSeq(old, "&") {
		name, _, _ := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if part != "" && !slices.ContainsFunc(add, func(p struct{ name, value string }) bool { return p.name == name }) {
			parts = append(parts, part)
		}
	}
	for _, p := range add {
		parts = append(parts, url.QueryEscape(p.name)+"="+p.value)
	}
	path += "?" + strings.Join(parts, "&")
	if fragmented {
		path += "#" + fragment
	}
	return path
}

// checkWebAddress refuses what a browser could not be sent to.
func checkWebAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return errors.New("the address is empty")
	case err != nil || strings.ContainsFunc(address, unicode.IsSpace):
		return errors.New("the address is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return errors.New("the address must be absolute: start it with https:// and a host")
	case u.User != nil:
		return errors.New("the address must not have a user name or password")
	}
	return nil
}

// looksLikeEmail is strict enough to find what is in the wrong field. Polar does the rest.
func looksLikeEmail(s string) bool {
	local, domain, _ := strings.Cut(s, "@")
	return local != "" && domain != "" && !strings.Contains(domain, "@") && len(s) <= 254 &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// isSlug tells whether s may be the slug of a custom field or an organization.
func isSlug(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
