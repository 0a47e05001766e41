package polarhttp

import (
	"errors"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// Parameter is a parameter of [Checkout] that is refused unless [WithTrustedParameters] accepts it, since a stranger
// could do harm with it.
type Parameter string

// Parameters that need trust.
const (
	// ParameterCustomerID is Polar's id of the customer who buys. The checkout page shows what is known of that customer,
	// so a stranger could read somebody's e-mail address.
	ParameterCustomerID Parameter = "customerId"
	// ParameterCustomerExternalID is the customer's id in the program. It has the same danger, and a stranger could take
	// an id that its owner has not used yet.
	ParameterCustomerExternalID Parameter = "customerExternalId"
	// ParameterCustomerIPAddress is where Polar guesses country and currency from.
	ParameterCustomerIPAddress Parameter = "customerIpAddress"
	// ParameterCustomerMetadata is a JSON object, stored with the customer.
	ParameterCustomerMetadata Parameter = "customerMetadata"
	// ParameterDiscountID applies a discount without a code, also one that is meant for somebody else.
	ParameterDiscountID Parameter = "discountId"
	// ParameterMetadata is a JSON object, stored with the checkout, the order and the subscription, where programs
	// look for what they wrote themselves.
	ParameterMetadata Parameter = "metadata"
)

const (
	paramProducts = "products"
	maxProducts   = 50 // more than a page of choices could show
)

// A parameter puts its value into the body, or says what it wants instead. The member is what Polar calls it.
type parameter struct {
	name   string
	member string
	trust  bool // needs it
	set    func(c *models.CheckoutCreate, value string) (want string)
}

var parameters = []parameter{
	{name: "seats", member: "seats", set: func(c *models.CheckoutCreate, value string) string {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || value[0] == '+' {
			return "a whole number from 1"
		}
		c.Seats = &n
		return ""
	}},
	{name: "customerEmail", member: "customer_email", set: func(c *models.CheckoutCreate, value string) string {
		if a, err := mail.ParseAddress(value); err != nil || a.Address != value {
			return "an e-mail address"
		}
		c.CustomerEmail = &value
		return ""
	}},
	{name: "customerName", member: "customer_name", set: func(c *models.CheckoutCreate, value string) string {
		if utf8.RuneCountInString(value) > 256 {
			return "at most 256 characters"
		}
		c.CustomerName = &value
		return ""
	}},
	{name: "customerBillingAddress", member: "customer_billing_address", set: setAddress},
	{name: "customerTaxId", member: "customer_tax_id", set: func(c *models.CheckoutCreate, value string) string {
		c.CustomerTaxID = &value
		return ""
	}},
	{name: "allowDiscountCodes", member: "allow_discount_codes", set: func(c *models.CheckoutCreate, value string) string {
		if value != "true" && value != "false" {
			return "true or false"
		}
		c.AllowDiscountCodes = new(value == "true")
		return ""
	}},
	{name: string(ParameterCustomerID), member: "customer_id", trust: true, set: func(c *models.CheckoutCreate, value string) string {
		c.CustomerID = &value
		return ""
	}},
	{name: string(ParameterCustomerExternalID), member: "external_customer_id", trust: true, set: func(c *models.CheckoutCreate, value string) string {
		c.ExternalCustomerID = &value
		return ""
	}},
	{name: string(ParameterCustomerIPAddress), member: "customer_ip_address", trust: true, set: func(c *models.CheckoutCreate, value string) string {
		if a, err := netip.ParseAddr(value); err != nil || a.Zone() != "" {
			return "an IP address"
		}
		c.CustomerIPAddress = &value
		return ""
	}},
	{name: string(ParameterCustomerMetadata), member: "customer_metadata", trust: true, set: func(c *models.CheckoutCreate, value string) string {
		return setMetadata(&c.CustomerMetadata, value)
	}},
	{name: string(ParameterDiscountID), member: "discount_id", trust: true, set: func(c *models.CheckoutCreate, value string) string {
		c.DiscountID = &value
		return ""
	}},
	{name: string(ParameterMetadata), member: "metadata", trust: true, set: func(c *models.CheckoutCreate, value string) string {
		return setMetadata(&c.Metadata, value)
	}},
}

// isTrustworthy tells whether a parameter is accepted from everybody, and whether there is such a parameter.
func isTrustworthy(p Parameter) (trusted, ok bool) {
	i := slices.IndexFunc(parameters, func(q parameter) bool { return q.name == string(p) })
	if i < 0 {
		return false, false
	}
	return !parameters[i].trust, true
}

// parseCheckout makes a checkout of the parameters of a request.
func parseCheckout(query url.Values, trusted map[Parameter]bool) (*models.CheckoutCreate, error) {
	c := new(models.CheckoutCreate)
	if len(query[paramProducts]) > maxProducts {
		return nil, refuse(paramProducts, "is given more than "+strconv.Itoa(maxProducts)+" times")
	}
	for _, id := range query[paramProducts] {
		if !isPlain(id) {
			return nil, refuse(paramProducts, "must be the id of a product")
		}
		if id != "" && !slices.Contains(c.Products, id) {
			c.Products = append(c.Products, id)
		}
	}
	for _, p := range parameters {
		values := query[p.name]
		if len(values) > 1 {
			return nil, refuse(p.name, "is given more than once")
		}
		if len(values) == 0 || values[0] == "" {
			continue
		}
		if p.trust && !trusted[Parameter(p.name)] {
			return nil, refuse(p.name, "is not accepted from a request")
		}
		if !isPlain(values[0]) {
			return nil, refuse(p.name, "must be text without control characters")
		}
		if want := p.set(c, values[0]); want != "" {
			return nil, refuse(p.name, "must be "+want)
		}
	}
	return c, nil
}

func refuse(name, why string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Parameter: name, Message: "the parameter " + name + " " + why}
}

// isPlain tells whether s is a line of text.
func isPlain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// setAddress reads an address by Polar's names, and postalCode as the JavaScript handlers spell it.
func setAddress(c *models.CheckoutCreate, value string) string {
	var a struct {
		Line1      *string `json:"line1"`
		Line2      *string `json:"line2"`
		PostalCode *string `json:"postal_code"`
		CamelCode  *string `json:"postalCode"`
		City       *string `json:"city"`
		State      *string `json:"state"`
		Country    string  `json:"country"`
	}
	err := json.Unmarshal([]byte(value), &a, json.RejectUnknownMembers(true))
	if err != nil || a.PostalCode != nil && a.CamelCode != nil || len(a.Country) != 2 ||
		strings.ContainsFunc(a.Country, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return "a JSON object with country, two capital letters, and any of line1, line2, postal_code, city and state"
	}
	if a.PostalCode == nil {
		a.PostalCode = a.CamelCode
	}
	c.CustomerBillingAddress = &models.Address{
		Line1: a.Line1, Line2: a.Line2, PostalCode: a.PostalCode, City: a.City, State: a.State, Country: a.Country,
	}
	return ""
}

func setMetadata(m *models.Metadata, value string) string {
	if err := json.Unmarshal([]byte(value), m); err != nil || *m == nil || m.Validate() != nil {
		return "a JSON object of at most 50 pairs: keys of 1 to 40 characters, and strings of 1 to 500 characters, numbers, true or false"
	}
	return ""
}

// blame makes a refusal of Polar's complaint about a parameter of the request. What the program itself has set is not the
// visitor's fault.
func blame(err error, query url.Values) error {
	e, ok := errors.AsType[*polar.Error](err)
	if !ok || !errors.Is(e, polar.ErrValidation) {
		return err
	}
	names := map[string]string{paramProducts: paramProducts}
	for _, p := range parameters {
		names[p.member] = p.name
	}
	for _, f := range e.Fields {
		for _, member := range f.Path {
			if name := names[member]; name != "" && slices.ContainsFunc(query[name], func(v string) bool { return v != "" }) {
				refusal := refuse(name, "has a value that cannot be used here")
				refusal.cause = err
				return refusal
			}
		}
	}
	return err
}
