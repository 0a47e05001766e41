package polar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/go-retryablehttp"
)

// APIVersion is the version of the Polar API that this module is made for and that every request asks for, unless
// [WithAPIVersion] says otherwise.
const APIVersion = "2026-10"

// Environment names one of Polar's two installations. They share nothing: tokens, customers and products of one are
// unknown to the other.
type Environment string

const (
	// Production is where real money moves: https://api.polar.sh. It is the default.
	Production Environment = "production"
	// Sandbox is for trying things out with test cards: https://sandbox-api.polar.sh. Its rate limit is 100 requests
	// a minute, and it mails only the members of the organization.
	Sandbox Environment = "sandbox"
)

// BaseURL returns the address of the environment's API, or an empty string when e is none of the constants.
func (e Environment) BaseURL() string {
	switch e {
	case Production:
		return "https://api.polar.sh"
	case Sandbox:
		return "https://sandbox-api.polar.sh"
	}
	return ""
}

// Client is the API as a merchant's server uses it: one field for each resource. It is made by [New], is safe for
// concurrent use, and holds no connection that would have to be closed. The zero Client has no
// services, and its own methods only return an error.
type Client struct {
	Organizations     *OrganizationService
	Subscriptions     *SubscriptionService
	Products          *ProductService
	Orders            *OrderService
	Refunds           *RefundService
	Disputes          *DisputeService
	Payments          *PaymentService
	Checkouts         *CheckoutService
	CheckoutLinks     *CheckoutLinkService
	CustomFields      *CustomFieldService
	Discounts         *DiscountService
	Benefits          *BenefitService
	BenefitGrants     *BenefitGrantService
	Files             *FileService
	Metrics           *MetricService
	LicenseKeys       *LicenseKeyService
	Customers         *CustomerService
	Members           *MemberService
	Seats             *SeatService
	CustomerSessions  *CustomerSessionService
	CustomerMeters    *CustomerMeterService
	Events            *EventService
	EventTypes        *EventTypeService
	Meters            *MeterService
	WebhookEndpoints  *WebhookEndpointService
	WebhookDeliveries *WebhookDeliveryService
	OAuth2            *OAuth2Service
	OAuth2Clients     *OAuth2ClientService

	core *core
}

func newClient(c *core) *Client {
	return &Client{
		Organizations:     &OrganizationService{c},
		Subscriptions:     &SubscriptionService{c},
		Products:          &ProductService{c},
		Orders:            &OrderService{c},
		Refunds:           &RefundService{c},
		Disputes:          &DisputeService{c},
		Payments:          &PaymentService{c},
		Checkouts:         &CheckoutService{c},
		CheckoutLinks:     &CheckoutLinkService{c},
		CustomFields:      &CustomFieldService{c},
		Discounts:         &DiscountService{c},
		Benefits:          &BenefitService{c},
		BenefitGrants:     &BenefitGrantService{c},
		Files:             &FileService{c},
		Metrics:           &MetricService{c},
		LicenseKeys:       &LicenseKeyService{c},
		Customers:         &CustomerService{c},
		Members:           &MemberService{c},
		Seats:             &SeatService{c},
		CustomerSessions:  &CustomerSessionService{c},
		CustomerMeters:    &CustomerMeterService{c},
		Events:            &EventService{c},
		EventTypes:        &EventTypeService{c},
		Meters:            &MeterService{c},
		WebhookEndpoints:  &WebhookEndpointService{c},
		WebhookDeliveries: &WebhookDeliveryService{c},
		OAuth2:            &OAuth2Service{c},
		OAuth2Clients:     &OAuth2ClientService{c},
		core:              c,
	}
}

// New returns a client of Polar's production environment that shows the credential; options choose another environment
// and everything else. It sends nothing, so a token that Polar does not know is found out by the first call. An empty
// token, a nil credential and options that cannot work are errors.
func New(credential Credential, opts ...Option) (*Client, error) {
	c, err := newCore(credential, opts)
	if err != nil {
		return nil, err
	}
	return newClient(c), nil
}

// FromEnv returns a client with the token in the environment variable POLAR_ACCESS_TOKEN, which has to be set. The
// variable POLAR_SERVER chooses the server: production (also when it is unset), sandbox, or a base URL such as
// http://localhost:8080. Options are applied after it. Nothing else in this package reads environment variables.
func FromEnv(opts ...Option) (*Client, error) {
	token := os.Getenv("POLAR_ACCESS_TOKEN")
	if token == "" {
		return nil, errors.New("polar: environment variable POLAR_ACCESS_TOKEN is not set")
	}
	server := WithEnvironment(Production)
	switch s := os.Getenv("POLAR_SERVER"); {
	case strings.Contains(s, "://"):
		server = WithBaseURL(s)
	case s != "":
		if Environment(s).BaseURL() == "" {
			return nil, fmt.Errorf("polar: environment variable POLAR_SERVER is %q: want production, sandbox or a base URL", s)
		}
		server = WithEnvironment(Environment(s))
	}
	return New(Token(token), append([]Option{server}, opts...)...)
}

// With returns a second client that differs from c in the options and shares everything else with it: the credential,
// the connections and the rate limiter. c stays as it is. Middleware is added to that of c.
//
//	acme, err := client.With(polar.WithOrganization(organizationID))
func (c *Client) With(opts ...Option) (*Client, error) {
	core, err := c.core.with(opts)
	if err != nil {
		return nil, err
	}
	return newClient(core), nil
}

// Portal returns a client of the Customer Portal API that speaks for the customer whom the credential belongs to: usually
// the token of a customer session that c has just created. It has the options of c except the organization, and shares
// its connections; it has no rate limiter, since Polar counts each customer apart.
func (c *Client) Portal(credential Credential) (*Portal, error) {
	if c.core == nil {
		return nil, errZeroClient
	}
	cfg := c.core.config
	cfg.organization = ""
	cfg.limiter = nil
	var err error
	if cfg.authorization, err = resolve(credential); err != nil {
		return nil, err
	}
	core, err := buildCore(cfg)
	if err != nil {
		return nil, err
	}
	return newPortal(core), nil
}

var errZeroClient = errors.New("polar: client was not made by a function of this package: use polar.New or polar.NewPortal")

// core is what the services of a client share: its settings and the one way to send a request.
type core struct {
	config
	userAgent string
	http      *retryablehttp.Client
}

func newCore(credential Credential, opts []Option) (*core, error) {
	auth, err := resolve(credential)
	if err != nil {
		return nil, err
	}
	cfg := defaultConfig()
	cfg.authorization = auth
	if err := cfg.apply(opts); err != nil {
		return nil, err
	}
	return buildCore(cfg)
}

func (c *core) with(opts []Option) (*core, error) {
	if c == nil {
		return nil, errZeroClient
	}
	cfg := c.config
	if err := cfg.apply(opts); err != nil {
		return nil, err
	}
	return buildCore(cfg)
}

// buildCore makes a core of settings that have been checked.
func buildCore(cfg config) (*core, error) {
	c := &core{config: cfg, userAgent: userAgent(cfg.application)}
	var err error
	if c.http, err = c.newHTTPClient(); err != nil {
		return nil, err
	}
	return c, nil
}

// Operation says which call a context belongs to. Middleware, a [TokenFunc] and a [RateLimiter] get it from
// [OperationFromContext]. All its texts have few different values, so they can be labels of metrics.
type Operation struct {
	ID      string // the API's own name of the operation, such as "orders:get"; of Client.Do its Request.Name
	Method  string // "GET"
	Route   string // path with its placeholders, such as "/v1/orders/{id}"
	Attempt int    // 1 for the first attempt of a call, 2 for the first retry
}

// OperationFromContext returns the operation that the request with the context ctx belongs to. It reports false for a
// context that does not come from a client of this package.
func OperationFromContext(ctx context.Context) (Operation, bool) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return Operation{}, false
	}
	return c.operation(), true
}
