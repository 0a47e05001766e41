package harness

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Everything in which the client knowingly differs from the description stands in this file, with the reason.

const authorization = "the description lists no parameters of the authorization request, which has those of RFC 6749 and RFC 7636"

// extraQuery lists query parameters that the client has and the description does not: operation and name, then why.
var extraQuery = map[string]string{
	"events:list cursor_pagination":          "the server has it, and answers with the list type that the description calls ListResourceWithCursorPagination",
	"oauth2:authorize client_id":             authorization,
	"oauth2:authorize response_type":         authorization,
	"oauth2:authorize redirect_uri":          authorization,
	"oauth2:authorize scope":                 authorization,
	"oauth2:authorize state":                 authorization,
	"oauth2:authorize code_challenge":        authorization,
	"oauth2:authorize code_challenge_method": authorization,
	"oauth2:authorize sub_type":              authorization,
}

// extraMember lists members of request bodies that the client has and the description does not: schema and member, then why.
var extraMember = map[string]string{
	"AuthorizationCodeTokenRequest.code_verifier": "public clients have to send it, by RFC 7636",
}

// jsonQuery lists query parameters that the description calls strings and that hold JSON: operation and name, then the schema.
var jsonQuery = map[string]string{
	"events:list filter": "Filter",
}

// anonymousToo lists operations that work without a credential although the description gives them security. It gives them no scopes: the server
// looks at the credential if there is one. What they need is in the path (the secret of a checkout, the id of a client with its own token) or
// public.
var anonymousToo = map[string]bool{
	"checkouts:client_confirm":            true,
	"oauth2:authorize":                    true,
	"oauth2:clients:oauth2:create_client": true,
	"oauth2:clients:oauth2:get_client":    true,
	"oauth2:clients:oauth2:update_client": true,
	"oauth2:clients:oauth2:delete_client": true,
}

// undescribedErrors lists constants of error names that the description does not have: name, then why.
var undescribedErrors = map[string]string{}

// undescribed holds answers of operations whose response schema is empty.
var undescribed = map[string]any{
	"oauth2:clients:oauth2:create_client": registeredClient,
	"oauth2:clients:oauth2:get_client":    registeredClient,
	"oauth2:clients:oauth2:update_client": registeredClient,
}

// registeredClient is an answer of the client registration endpoint as RFC 7591 and RFC 7592 have it.
var registeredClient = map[string]any{
	"client_id":                  "polar_ci_123",
	"client_secret":              "polar_cs_123",
	"client_id_issued_at":        json.Number("1790000000"),
	"client_secret_expires_at":   json.Number("0"),
	"registration_access_token":  "polar_crt_123",
	"registration_client_uri":    "https://api.polar.sh/v1/oauth2/register/polar_ci_123",
	"redirect_uris":              []any{"https://example.com/callback"},
	"token_endpoint_auth_method": "client_secret_post",
	"grant_types":                []any{"authorization_code", "refresh_token"},
	"response_types":             []any{"code"},
	"scope":                      "openid profile",
	"client_name":                "Example",
	"client_uri":                 "https://example.com",
	"logo_uri":                   "https://example.com/logo.png",
	"tos_uri":                    "https://example.com/terms",
	"policy_uri":                 "https://example.com/privacy",
	"default_sub_type":           "user",
}

// refused lists choices of the sampler that the client refuses before it sends anything, though the description allows them.
var refused = map[string]string{
	"FilterClause.property=empty":                            "a filter on no property is a mistake",
	"EventCreateCustomer.name=empty":                         "an event without a name is a mistake",
	"EventCreateExternalCustomer.name=empty":                 "an event without a name is a mistake",
	"EventCreateExternalCustomer.external_customer_id=empty": "an event of nobody is a mistake",
}

// neverSent tells the choices that no server makes though the description allows them: a payload of no version.
func neverSent(s *schema, option string) bool {
	return option == "empty" && strings.HasPrefix(s.id, "Webhook") && strings.HasSuffix(s.id, "Payload.api_version")
}

// What becomes of an alternative that is newer than the client depends on the form that a union has in Go.
const (
	keptPayload = "the common members are fields of one struct, only those that differ between the alternatives are kept as they are"
	oneStruct   = "all alternatives are one struct, which drops members that it does not know, as every struct does"
)

// flat lists the unions that are not kept as a whole when their alternative is unknown.
var flat = map[string]string{
	"Benefit":                             keptPayload,
	"BenefitPublic":                       keptPayload,
	"BenefitGrantWebhook":                 keptPayload,
	"CustomerBenefitGrant":                keptPayload,
	"CustomField":                         keptPayload,
	"Event":                               keptPayload,
	"SystemEvent":                         keptPayload,
	"Customer":                            oneStruct,
	"CustomerState":                       oneStruct,
	"CustomerPaymentMethodCreateResponse": oneStruct,
	"FileRead":                            oneStruct,
	"Meter.aggregation":                   oneStruct,
	"oauth2:authorize 200":                oneStruct,
}

// An excuse is a difference between what was sent and what came back that is meant to be.
type excuse struct {
	path *regexp.Regexp // of the path without indexes
	what *regexp.Regexp
	why  string
}

var excuses = []excuse{
	{regexp.MustCompile(`^\$(\.items\[\]|\.data)?(\.license_key|\.subscription|\.order)?(\.customer)?\.email$`), regexp.MustCompile(`^lost, was ""$`),
		"only a team has no email; in the one struct for both the empty text means none"},
	{regexp.MustCompile(`\.method_metadata\.(brand|last4)$`), regexp.MustCompile(`^lost, was ""$`),
		"only Korean cards may have none; in the one struct for all the empty text means none"},
	{regexp.MustCompile(`^\$\.pagination\.(total_count|max_page)$`), regexp.MustCompile(`^was not sent, came back as 0$`),
		"a page of the cursor mode has no numbers"},
}

func excused(d difference) bool {
	for _, e := range excuses {
		if e.path.MatchString(plain(d.path)) && e.what.MatchString(d.what) {
			return true
		}
	}
	return false
}
