package harness

import (
	"strings"
)

// A place is where a method of the client is: service and method of polar.Client, or of polar.Portal.
type place struct {
	portal  bool
	service string
	method  string
}

func (p place) String() string {
	root := "Client."
	if p.portal {
		root = "Portal."
	}
	return root + p.service + "." + p.method
}

// services maps the groups of the description to the services of the client. Groups that begin with customer_portal are the portal's.
var services = map[string]string{
	"organizations":                    "Organizations",
	"subscriptions":                    "Subscriptions",
	"oauth2.clients":                   "OAuth2Clients",
	"oauth2":                           "OAuth2",
	"benefits":                         "Benefits",
	"benefit-grants":                   "BenefitGrants",
	"webhooks":                         "WebhookEndpoints",
	"products":                         "Products",
	"orders":                           "Orders",
	"refunds":                          "Refunds",
	"disputes":                         "Disputes",
	"checkouts":                        "Checkouts",
	"files":                            "Files",
	"metrics":                          "Metrics",
	"license_keys":                     "LicenseKeys",
	"checkout-links":                   "CheckoutLinks",
	"custom-fields":                    "CustomFields",
	"discounts":                        "Discounts",
	"customers":                        "Customers",
	"customers.members":                "Members",
	"customer-seats":                   "Seats",
	"customer-sessions":                "CustomerSessions",
	"events":                           "Events",
	"event-types":                      "EventTypes",
	"meters":                           "Meters",
	"customer_meters":                  "CustomerMeters",
	"payments":                         "Payments",
	"customer_portal.benefit-grants":   "BenefitGrants",
	"customer_portal.customers":        "Customer",
	"customer_portal.customer_meters":  "Meters",
	"customer_portal.seats":            "Seats",
	"customer_portal.customer-session": "Session",
	"customer_portal.downloadables":    "Downloadables",
	"customer_portal.license_keys":     "LicenseKeys",
	"customer_portal.members":          "Members",
	"customer_portal.orders":           "Orders",
	"customer_portal.organizations":    "Organizations",
	"customer_portal.subscriptions":    "Subscriptions",
	"customer_portal.wallets":          "Wallets",
}

// renamed maps the operations whose own names read badly in Go. A name with a dot changes the service as well.
var renamed = map[string]string{
	"organizations:list":                                      "List",
	"webhooks:list_webhook_endpoints":                         "List",
	"webhooks:create_webhook_endpoint":                        "Create",
	"webhooks:get_webhook_endpoint":                           "Get",
	"webhooks:update_webhook_endpoint":                        "Update",
	"webhooks:delete_webhook_endpoint":                        "Delete",
	"webhooks:reset_webhook_endpoint_secret":                  "ResetSecret",
	"webhooks:list_webhook_deliveries":                        "WebhookDeliveries.List",
	"webhooks:redeliver_webhook_event":                        "WebhookDeliveries.Redeliver",
	"checkouts:client_get":                                    "GetByClientSecret",
	"checkouts:client_update":                                 "UpdateByClientSecret",
	"checkouts:client_confirm":                                "ConfirmByClientSecret",
	"customers:get_state":                                     "State",
	"customers:get_state_external":                            "StateByExternalID",
	"benefits:files":                                          "ListFiles",
	"benefits:grants":                                         "ListGrants",
	"products:update_benefits":                                "SetBenefits",
	"files:uploaded":                                          "CompleteUpload",
	"metrics:list_dashboards":                                 "Dashboards",
	"license_keys:get_activation":                             "Activation",
	"customer-seats:assign_seat":                              "Assign",
	"customer-seats:list_seats":                               "List",
	"customer-seats:revoke_seat":                              "Revoke",
	"customer-seats:claim_seat":                               "Claim",
	"customer-seats:get_claim_info":                           "ClaimInfo",
	"oauth2:userinfo":                                         "UserInfo",
	"oauth2:authorize":                                        "AuthorizeInfo",
	"customer_portal:seats:list_seats":                        "List",
	"customer_portal:seats:assign_seat":                       "Assign",
	"customer_portal:seats:revoke_seat":                       "Revoke",
	"customer_portal:customer-session:get_authenticated_user": "User",
	"customer_portal:customers:list_payment_methods":          "PaymentMethods.List",
	"customer_portal:customers:add_payment_method":            "PaymentMethods.Add",
	"customer_portal:customers:confirm_payment_method":        "PaymentMethods.Confirm",
	"customer_portal:customers:delete_payment_method":         "PaymentMethods.Delete",
	"customer_portal:members:list_members":                    "List",
	"customer_portal:members:add_member":                      "Create",
	"customer_portal:members:update_member":                   "Update",
	"customer_portal:members:remove_member":                   "Delete",
	"customer_portal:orders:get_payment_status":               "PaymentStatus",
	"customer_portal:orders:confirm_retry_payment":            "ConfirmPayment",
}

// expected is where the client has an operation: its group's service, and its name in CamelCase, with ByExternalID for the operations that take
// an id of the merchant's own.
func expected(op *operation) place {
	p := place{portal: strings.HasPrefix(op.Group, "customer_portal"), service: services[op.Group]}
	if n, ok := renamed[op.ID]; ok {
		if service, method, ok := strings.Cut(n, "."); ok {
			p.service, p.method = service, method
		} else {
			p.method = n
		}
		return p
	}
	name, external := strings.CutSuffix(op.Name, "_external")
	for word := range strings.SplitSeq(name, "_") {
		p.method += strings.ToUpper(word[:1]) + word[1:]
	}
	if external {
		p.method += "ByExternalID"
	}
	return p
}
