package polartest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// control is what only a server for tests can do.
type control interface {
	Pay(checkoutID string) error                   // the customer pays
	Pass(d time.Duration)                          // time passes
	Now() time.Time                                // the server's time
	Decline(customerID string, refused bool) error // the customer's cards are refused, or accepted again
	Dispute(orderID string) (id string, err error) // the customer complains to the bank
}

type serverControl struct{ *polartest.Server }

func (c serverControl) Pay(id string) error                   { return c.CompleteCheckout(id) }
func (c serverControl) Pass(d time.Duration)                  { c.Advance(d) }
func (c serverControl) Decline(id string, refused bool) error { return c.DeclinePayments(id, refused) }

// stage is where a scenario plays: a server, ours or another, through the public client only.
type stage struct {
	*testing.T
	ctx    context.Context
	client *polar.Client
	ctl    control // nil at servers that are not for tests
	base   string
	tag    string // makes names and addresses different on each run
}

// scenario is one thing that a merchant goes through. Some need what only a server for tests can do.
type scenario struct {
	name    string
	control bool
	play    func(s *stage)
}

// TestScenarios plays all of them against the embedded server; with POLAR_TEST_BASE_URL and
// POLAR_TEST_TOKEN those that need no control against another one.
func TestScenarios(t *testing.T) {
	t.Parallel()
	base, token := os.Getenv("POLAR_TEST_BASE_URL"), os.Getenv("POLAR_TEST_TOKEN")
	free := 0
	for _, sc := range scenarios {
		if !sc.control {
			free++
		}
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			var b [5]byte
			_, _ = rand.Read(b[:])
			s := &stage{T: t, ctx: t.Context(), tag: fmt.Sprintf("%x", b), base: base}
			if base != "" {
				if sc.control {
					t.Skip("needs a server that can move its clock and pay")
				}
				s.client = must(polar.New(polar.Token(token), polar.WithBaseURL(base)))(t)
			} else {
				srv := polartest.NewServer(t, polartest.WithTime(start))
				s.client, s.ctl, s.base = srv.Client(), serverControl{srv}, srv.URL
				if !sc.control {
					s.ctl = nil
				}
			}
			sc.play(s)
		})
	}
	assert.GreaterOrEqual(t, len(scenarios), 40)
	assert.GreaterOrEqual(t, free, 20)
}

// eventually waits for what a real server does a moment later.
func (s *stage) eventually(what string, done func() bool) {
	s.Helper()
	for range 60 {
		if done() {
			return
		}
		if s.ctl != nil || strings.HasPrefix(s.base, "http://127.0.0.1") {
			break
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-s.ctx.Done():
			s.Fatal(s.ctx.Err())
		}
	}
	s.Fatal("it did not happen: " + what)
}

func (s *stage) email(who string) string { return who + "-" + s.tag + "@example.com" }

func (s *stage) customer(who string) *models.Customer {
	s.Helper()
	return must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: s.email(who), ExternalID: new(who + "-" + s.tag), BillingAddress: &models.Address{Country: "FR"}}))(s)
}

func (s *stage) product(price models.ProductPriceCreate, benefits ...string) *models.Product {
	s.Helper()
	p := must(s.client.Products.Create(s.ctx, models.ProductCreateOneTime{Name: "Product " + s.tag, Prices: []models.ProductPriceCreate{price}}))(s)
	return s.with(p, benefits)
}

func (s *stage) monthly(cents int64, benefits ...string) *models.Product {
	s.Helper()
	return s.recurring(models.RecurringIntervalMonth, benefits, models.ProductPriceFixedCreate{PriceAmount: cents})
}

func (s *stage) recurring(interval models.RecurringInterval, benefits []string, prices ...models.ProductPriceCreate) *models.Product {
	s.Helper()
	p := must(s.client.Products.Create(s.ctx, models.ProductCreateRecurring{Name: "Plan " + s.tag, RecurringInterval: interval, Prices: prices}))(s)
	return s.with(p, benefits)
}

func (s *stage) with(p *models.Product, benefits []string) *models.Product {
	s.Helper()
	if len(benefits) == 0 {
		return p
	}
	return must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: benefits}))(s)
}

func (s *stage) benefit(b models.BenefitCreate) string {
	s.Helper()
	return must(s.client.Benefits.Create(s.ctx, b))(s).ID
}

func (s *stage) meter(agg models.Aggregation) *models.Meter {
	s.Helper()
	return must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Meter " + s.tag, Filter: models.And(models.Eq("name", "use-"+s.tag)), Aggregation: agg}))(s)
}

func (s *stage) use(c *models.Customer, metadata ...models.Metadata) {
	s.Helper()
	var in models.EventsIngest
	for _, m := range metadata {
		in.Events = append(in.Events, models.EventCreate{Name: "use-" + s.tag, CustomerID: &c.ID, Metadata: m})
	}
	must(s.client.Events.Ingest(s.ctx, in))(s)
}

func (s *stage) checkout(c *models.Customer, p *models.Product, edit ...func(*models.CheckoutCreate)) *models.Checkout {
	s.Helper()
	body := models.CheckoutCreate{Products: []string{p.ID}, CustomerID: &c.ID}
	for _, e := range edit {
		e(&body)
	}
	return must(s.client.Checkouts.Create(s.ctx, body))(s)
}

// buy lets the customer pay a checkout.
func (s *stage) buy(c *models.Customer, p *models.Product, edit ...func(*models.CheckoutCreate)) *models.Order {
	s.Helper()
	checkout := s.checkout(c, p, edit...)
	require.NoError(s, s.ctl.Pay(checkout.ID))
	list := must(s.client.Orders.List(s.ctx, &polar.OrderListParams{CheckoutID: []string{checkout.ID}}))(s)
	require.Len(s, list.Items, 1)
	return &list.Items[0]
}

func (s *stage) subscribe(c *models.Customer, p *models.Product, edit ...func(*models.CheckoutCreate)) *models.Subscription {
	s.Helper()
	return s.subscription(*s.buy(c, p, edit...).SubscriptionID)
}

// claim takes what costs nothing: no card is asked for.
func (s *stage) claim(c *models.Customer, p *models.Product, edit ...func(*models.CheckoutCreate)) *models.Order {
	s.Helper()
	checkout := s.checkout(c, p, edit...)
	require.False(s, checkout.IsPaymentFormRequired)
	must(s.client.Checkouts.ConfirmByClientSecret(s.ctx, checkout.ClientSecret, models.CheckoutConfirm{}))(s)
	var order *models.Order
	s.eventually("an order of the checkout", func() bool {
		list := must(s.client.Orders.List(s.ctx, &polar.OrderListParams{CheckoutID: []string{checkout.ID}}))(s)
		if len(list.Items) == 1 {
			order = &list.Items[0]
		}
		return order != nil && order.Status == models.OrderStatusPaid
	})
	return order
}

func (s *stage) subscription(id string) *models.Subscription {
	s.Helper()
	return must(s.client.Subscriptions.Get(s.ctx, id))(s)
}

// charges lists what the customer's orders ask for, from first to last.
func (s *stage) charges(c *models.Customer) []int64 {
	s.Helper()
	out := []int64{}
	for o, err := range s.client.Orders.All(s.ctx, &polar.OrderListParams{CustomerID: []string{c.ID}, Sorting: []models.OrderSort{models.OrderSortCreatedAt}}) {
		require.NoError(s, err)
		out = append(out, o.DueAmount)
	}
	return out
}

func (s *stage) months(n int) { s.ctl.Pass(start.AddDate(0, n, 0).Sub(s.ctl.Now())) }

func (s *stage) state(c *models.Customer) *models.CustomerState {
	s.Helper()
	return must(s.client.Customers.State(s.ctx, c.ID))(s)
}

func (s *stage) granted(c *models.Customer, n int) {
	s.Helper()
	s.eventually(fmt.Sprintf("%d benefits", n), func() bool { return len(s.state(c).GrantedBenefits) == n })
}

func (s *stage) percent(basisPoints int, duration models.DiscountDuration, edit ...func(*models.DiscountPercentageCreate)) *models.Discount {
	s.Helper()
	body := models.DiscountPercentageCreate{Name: "Discount " + s.tag, Duration: duration, BasisPoints: basisPoints}
	for _, e := range edit {
		e(&body)
	}
	return must(s.client.Discounts.Create(s.ctx, body))(s)
}

func (s *stage) free() *models.Product { return s.monthly(0) }

func (s *stage) portal(c *models.Customer) *polar.Portal {
	s.Helper()
	session := must(s.client.CustomerSessions.Create(s.ctx, models.CustomerSessionCreate{CustomerID: &c.ID}))(s)
	return must(polar.NewPortal(polar.Token(session.Token), polar.WithBaseURL(s.base)))(s)
}

func fixed(cents int64) models.ProductPriceCreate {
	return models.ProductPriceFixedCreate{PriceAmount: cents}
}

var support = models.BenefitCustomCreate{Description: "Support by mail"}

var scenarios = []scenario{
	{"a product is made, renamed, archived and brought back", false, func(s *stage) {
		p := s.monthly(900)
		must(s.client.Products.Update(s.ctx, p.ID, models.ProductUpdate{Name: models.Set("Other " + s.tag), IsArchived: models.Set(true)}))(s)
		_, err := s.client.Checkouts.Create(s.ctx, models.CheckoutCreate{Products: []string{p.ID}})
		require.ErrorIs(s, err, polar.ErrValidation)
		got := must(s.client.Products.Update(s.ctx, p.ID, models.ProductUpdate{IsArchived: models.Set(false)}))(s)
		assert.Equal(s, "Other "+s.tag, got.Name)
		s.checkout(s.customer("ada"), p)
	}},
	{"a product that was never sold is deleted", false, func(s *stage) {
		p := s.product(fixed(900))
		require.NoError(s, s.client.Products.Delete(s.ctx, p.ID))
		_, err := s.client.Products.Get(s.ctx, p.ID)
		require.ErrorIs(s, err, polar.ErrNotFound)
	}},
	{"a new price takes the place of the old one", false, func(s *stage) {
		p := s.product(fixed(900))
		got := must(s.client.Products.Update(s.ctx, p.ID, models.ProductUpdate{Prices: models.Set([]models.ProductPriceUpdate{models.ProductPriceFixedCreate{PriceAmount: 1100}})}))(s)
		require.Len(s, got.Prices, 1)
		assert.NotEqual(s, p.Prices[0].ID, got.Prices[0].ID)
		assert.Equal(s, int64(1100), s.checkout(s.customer("ada"), p).Amount)
	}},
	{"pay what you want, within bounds", false, func(s *stage) {
		p := s.product(models.ProductPriceCustomCreate{MinimumAmount: new(int64(500)), MaximumAmount: new(int64(5000)), PresetAmount: new(int64(1500))})
		c := s.customer("ada")
		assert.Equal(s, int64(1500), s.checkout(c, p).Amount)
		assert.Equal(s, int64(700), s.checkout(c, p, func(b *models.CheckoutCreate) { b.Amount = new(int64(700)) }).Amount)
		_, err := s.client.Checkouts.Create(s.ctx, models.CheckoutCreate{Products: []string{p.ID}, Amount: new(int64(5001))})
		require.ErrorIs(s, err, polar.ErrValidation)
	}},
	{"seats get cheaper with their number", false, func(s *stage) {
		p := s.recurring(models.RecurringIntervalMonth, nil, models.ProductPriceSeatBasedCreate{SeatTiers: models.ProductPriceSeatTiersCreate{Tiers: []models.ProductPriceSeatTier{
			{MinSeats: 1, MaxSeats: new(9), PricePerSeat: 1000}, {MinSeats: 10, PricePerSeat: 700}}}})
		c := s.customer("ada")
		for seats, want := range map[int]int64{1: 1000, 9: 9000, 10: 7000, 20: 14_000} {
			assert.Equal(s, want, s.checkout(c, p, func(b *models.CheckoutCreate) { b.Seats = &seats }).Amount)
		}
	}},
	{"units in graduated tiers", false, func(s *stage) {
		p := s.recurring(models.RecurringIntervalMonth, nil, models.ProductPriceUnitBasedCreate{Tiers: models.PriceTiersCreate{Type: models.PriceTierTypeGraduated, Tiers: []models.PriceTierCreate{
			{Bound: new(10), UnitAmount: "200"}, {UnitAmount: "150"}}}})
		c := s.customer("ada")
		for units, want := range map[int]int64{10: 2000, 11: 2150, 30: 5000} {
			assert.Equal(s, want, s.checkout(c, p, func(b *models.CheckoutCreate) { b.Units = &units }).Amount)
		}
	}},
	{"the customer switches the product at the checkout", false, func(s *stage) {
		small, large := s.product(fixed(500)), s.product(fixed(2500))
		checkout := must(s.client.Checkouts.Create(s.ctx, models.CheckoutCreate{Products: []string{small.ID, large.ID}}))(s)
		assert.Equal(s, int64(500), checkout.Amount)
		got := must(s.client.Checkouts.UpdateByClientSecret(s.ctx, checkout.ClientSecret, models.CheckoutUpdatePublic{ProductID: models.Set(large.ID)}))(s)
		assert.Equal(s, int64(2500), got.Amount)
		_, err := s.client.Checkouts.UpdateByClientSecret(s.ctx, checkout.ClientSecret, models.CheckoutUpdatePublic{ProductID: models.Set(s.product(fixed(1)).ID)})
		require.ErrorIs(s, err, polar.ErrValidation)
	}},
	{"a percentage off", false, func(s *stage) {
		d := s.percent(1250, models.DiscountDurationOnce)
		got := s.checkout(s.customer("ada"), s.product(fixed(999)), func(b *models.CheckoutCreate) { b.DiscountID = &d.ID })
		assert.Equal(s, int64(125), got.DiscountAmount) // 12.5 % of 999 is 124.875
		assert.Equal(s, int64(874), got.NetAmount)
	}},
	{"a fixed discount never goes below zero", false, func(s *stage) {
		d := must(s.client.Discounts.Create(s.ctx, models.DiscountFixedCreate{Name: "Discount " + s.tag, Duration: models.DiscountDurationOnce, Amount: new(int64(1000)), Currency: new(models.CurrencyUSD)}))(s)
		c := s.customer("ada")
		take := func(b *models.CheckoutCreate) { b.DiscountID = &d.ID }
		assert.Equal(s, int64(500), s.checkout(c, s.product(fixed(1500)), take).NetAmount)
		got := s.checkout(c, s.product(fixed(800)), take)
		assert.Equal(s, int64(800), got.DiscountAmount)
		assert.Zero(s, got.NetAmount)
	}},
	{"a code is typed in another case", false, func(s *stage) {
		code := "Spring" + s.tag
		d := s.percent(5000, models.DiscountDurationOnce, func(b *models.DiscountPercentageCreate) { b.Code = &code })
		checkout := s.checkout(s.customer("ada"), s.product(fixed(1000)))
		got := must(s.client.Checkouts.UpdateByClientSecret(s.ctx, checkout.ClientSecret, models.CheckoutUpdatePublic{DiscountCode: models.Set(strings.ToUpper(code))}))(s)
		assert.Equal(s, d.ID, *got.DiscountID)
		assert.Equal(s, int64(500), got.NetAmount)
		_, err := s.client.Checkouts.UpdateByClientSecret(s.ctx, checkout.ClientSecret, models.CheckoutUpdatePublic{DiscountCode: models.Set("none" + s.tag)})
		require.ErrorIs(s, err, polar.ErrValidation)
	}},
	{"a discount for another product is refused", false, func(s *stage) {
		p, other := s.product(fixed(1000)), s.product(fixed(2000))
		d := s.percent(5000, models.DiscountDurationOnce, func(b *models.DiscountPercentageCreate) { b.Products = []string{other.ID} })
		_, err := s.client.Checkouts.Create(s.ctx, models.CheckoutCreate{Products: []string{p.ID}, DiscountID: &d.ID})
		require.ErrorIs(s, err, polar.ErrValidation)
	}},
	{"a gift: the discount takes everything", false, func(s *stage) {
		d := s.percent(10_000, models.DiscountDurationOnce, func(b *models.DiscountPercentageCreate) { b.MaxRedemptions = new(1) })
		c := s.customer("ada")
		p := s.product(fixed(4900), s.benefit(support))
		order := s.claim(c, p, func(b *models.CheckoutCreate) { b.DiscountID = &d.ID })
		assert.Equal(s, int64(4900), order.DiscountAmount)
		assert.Zero(s, order.TotalAmount)
		s.granted(c, 1)
		_, err := s.client.Checkouts.Create(s.ctx, models.CheckoutCreate{Products: []string{p.ID}, DiscountID: &d.ID})
		require.ErrorIs(s, err, polar.ErrValidation, "it was redeemed once")
	}},
	{"something free is taken without a card", false, func(s *stage) {
		c := s.customer("ada")
		order := s.claim(c, s.product(fixed(0)), func(b *models.CheckoutCreate) { b.Metadata = models.Metadata{"ref": s.tag} })
		assert.Equal(s, models.OrderBillingReasonPurchase, order.BillingReason)
		assert.Equal(s, s.tag, order.Metadata["ref"])
		assert.Equal(s, []int64{0}, s.charges(c))
	}},
	{"a free subscription is made by the API", false, func(s *stage) {
		c, p := s.customer("ada"), s.free()
		sub := must(s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: p.ID, ExternalCustomerID: c.ExternalID}))(s)
		assert.Equal(s, models.SubscriptionStatusActive, sub.Status)
		assert.Empty(s, s.charges(c), "without an order")
		state := must(s.client.Customers.StateByExternalID(s.ctx, *c.ExternalID))(s)
		require.Len(s, state.ActiveSubscriptions, 1)
		assert.Equal(s, sub.ID, state.ActiveSubscriptions[0].ID)
	}},
	{"a cancellation is taken back", false, func(s *stage) {
		sub := must(s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: s.free().ID, CustomerID: &s.customer("ada").ID}))(s)
		got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionCancel{CancelAtPeriodEnd: true}))(s)
		assert.Equal(s, got.CurrentPeriodEnd, *got.EndsAt)
		assert.Equal(s, models.SubscriptionStatusActive, got.Status, "it goes on until then")
		_, err := s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionCancel{CancelAtPeriodEnd: true})
		require.ErrorIs(s, err, polar.ErrAlreadyCanceledSubscription)
		got = must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionCancel{CancelAtPeriodEnd: false}))(s)
		assert.Nil(s, got.EndsAt)
	}},
	{"a subscription is revoked, and its benefits with it", false, func(s *stage) {
		c := s.customer("ada")
		p := s.monthly(0, s.benefit(support))
		sub := must(s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: p.ID, CustomerID: &c.ID}))(s)
		s.granted(c, 1)
		must(s.client.Subscriptions.Revoke(s.ctx, sub.ID))(s)
		s.granted(c, 0)
		_, err := s.client.Subscriptions.Revoke(s.ctx, sub.ID)
		require.ErrorIs(s, err, polar.ErrAlreadyCanceledSubscription)
	}},
	{"benefits reach those who subscribed before", false, func(s *stage) {
		c, p := s.customer("ada"), s.free()
		must(s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: p.ID, CustomerID: &c.ID}))(s)
		s.granted(c, 0)
		a, b := s.benefit(support), s.benefit(models.BenefitFeatureFlagCreate{Description: "New editor"})
		s.with(p, []string{a, b})
		s.granted(c, 2)
		s.with(p, []string{b})
		s.granted(c, 1)
	}},
	{"a license key: validate, activate up to the limit, deactivate", false, func(s *stage) {
		c := s.customer("ada")
		p := s.product(fixed(0), s.benefit(models.BenefitLicenseKeysCreate{Description: "App key", Properties: models.BenefitLicenseKeysCreateProperties{Activations: &models.BenefitLicenseKeyActivations{Limit: 1}}}))
		order := s.claim(c, p)
		s.granted(c, 1)
		keys := must(s.client.LicenseKeys.List(s.ctx, &polar.LicenseKeyListParams{BenefitID: []string{p.Benefits[0].ID}}))(s)
		require.Len(s, keys.Items, 1)
		key, org := keys.Items[0].Key, order.Product.OrganizationID
		assert.Equal(s, 1, must(s.client.LicenseKeys.Validate(s.ctx, models.LicenseKeyValidate{Key: key, OrganizationID: org}))(s).Validations)
		a := must(s.client.LicenseKeys.Activate(s.ctx, models.LicenseKeyActivate{Key: key, OrganizationID: org, Label: "laptop"}))(s)
		_, err := s.client.LicenseKeys.Activate(s.ctx, models.LicenseKeyActivate{Key: key, OrganizationID: org, Label: "phone"})
		require.ErrorIs(s, err, polar.ErrNotPermitted)
		require.NoError(s, s.client.LicenseKeys.Deactivate(s.ctx, models.LicenseKeyDeactivate{Key: key, OrganizationID: org, ActivationID: a.ID}))
		must(s.client.LicenseKeys.Activate(s.ctx, models.LicenseKeyActivate{Key: key, OrganizationID: org, Label: "phone"}))(s)
		must(s.client.LicenseKeys.Update(s.ctx, keys.Items[0].ID, models.LicenseKeyUpdate{Status: models.Set(models.LicenseKeyStatusDisabled)}))(s)
		_, err = s.client.LicenseKeys.Validate(s.ctx, models.LicenseKeyValidate{Key: key, OrganizationID: org})
		require.ErrorIs(s, err, polar.ErrNotFound, "a disabled key is no key")
	}},
	{"an external id is set once", false, func(s *stage) {
		c := must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: s.email("ada")}))(s)
		id := "user-" + s.tag
		must(s.client.Customers.Update(s.ctx, c.ID, models.CustomerUpdate{ExternalID: models.Set(id)}))(s)
		assert.Equal(s, c.ID, must(s.client.Customers.GetByExternalID(s.ctx, id))(s).ID)
		_, err := s.client.Customers.Update(s.ctx, c.ID, models.CustomerUpdate{ExternalID: models.Set("other-" + s.tag)})
		require.ErrorIs(s, err, polar.ErrValidation)
	}},
	{"an e-mail address belongs to one customer", false, func(s *stage) {
		s.customer("ada")
		_, err := s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: s.email("ada")})
		require.ErrorIs(s, err, polar.ErrValidation)
		e, ok := errors.AsType[*polar.Error](err)
		require.True(s, ok)
		require.NotEmpty(s, e.Fields)
	}},
	{"customers are found by their metadata", false, func(s *stage) {
		must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: s.email("ada"), Metadata: models.Metadata{"team": s.tag, "seats": 3}}))(s)
		s.customer("bob")
		list := must(s.client.Customers.List(s.ctx, &polar.CustomerListParams{Metadata: polar.MetadataFilter{"team": {s.tag}}}))(s)
		require.Len(s, list.Items, 1)
		assert.Equal(s, int64(3), list.Items[0].Metadata["seats"])
	}},
	{"usage is summed", false, func(s *stage) {
		m, c := s.meter(models.Sum("tokens")), s.customer("ada")
		s.use(c, models.Metadata{"tokens": 100}, models.Metadata{"tokens": 250}, models.Metadata{"other": 1})
		s.eventually("a quantity", func() bool {
			list := must(s.client.CustomerMeters.List(s.ctx, &polar.CustomerMeterListParams{MeterID: []string{m.ID}}))(s)
			return len(list.Items) == 1 && list.Items[0].ConsumedUnits == 350
		})
	}},
	{"an event that comes twice counts once", false, func(s *stage) {
		c := s.customer("ada")
		e := models.EventCreate{Name: "use-" + s.tag, CustomerID: &c.ID, ExternalID: new("e-" + s.tag)}
		assert.Equal(s, 1, must(s.client.Events.Ingest(s.ctx, models.EventsIngest{Events: []models.EventCreate{e}}))(s).Inserted)
		got := must(s.client.Events.Ingest(s.ctx, models.EventsIngest{Events: []models.EventCreate{e}}))(s)
		assert.Zero(s, got.Inserted)
		assert.Equal(s, 1, *got.Duplicates)
	}},
	{"one bad event refuses the batch", false, func(s *stage) {
		c := s.customer("ada")
		_, err := s.client.Events.Ingest(s.ctx, models.EventsIngest{Events: []models.EventCreate{{Name: "use-" + s.tag, CustomerID: &c.ID}, {Name: "use-" + s.tag, CustomerID: new(nobody)}}})
		require.ErrorIs(s, err, polar.ErrValidation)
		list := must(s.client.Events.List(s.ctx, &polar.EventListParams{Name: []string{"use-" + s.tag}}))(s)
		assert.Empty(s, list.Items)
	}},
	{"credits are used up", false, func(s *stage) {
		m, c := s.meter(models.Count()), s.customer("ada")
		p := s.monthly(0, s.benefit(models.BenefitMeterCreditCreate{Description: "Ten calls", Properties: models.BenefitMeterCreditProperties{MeterID: m.ID, Units: 10}}))
		must(s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: p.ID, CustomerID: &c.ID}))(s)
		s.granted(c, 1)
		s.use(c, nil, nil, nil)
		s.eventually("a balance of 7", func() bool {
			meters := s.state(c).ActiveMeters
			return len(meters) == 1 && meters[0].Balance == 7 && meters[0].CreditedUnits == 10
		})
	}},
	{"the portal shows what the customer has", false, func(s *stage) {
		c := s.customer("ada")
		order := s.claim(c, s.monthly(0, s.benefit(support)))
		portal := s.portal(c)
		orders := must(portal.Orders.List(s.ctx, nil))(s)
		require.Len(s, orders.Items, 1)
		assert.Equal(s, order.ID, orders.Items[0].ID)
		subs := must(portal.Subscriptions.List(s.ctx, nil))(s)
		require.Len(s, subs.Items, 1)
		must(portal.Subscriptions.Cancel(s.ctx, subs.Items[0].ID))(s)
		assert.True(s, s.subscription(subs.Items[0].ID).CancelAtPeriodEnd)
		_, err := s.portal(s.customer("bob")).Orders.Get(s.ctx, order.ID)
		require.ErrorIs(s, err, polar.ErrNotFound, "not somebody else's")
	}},
	{"the customer changes billing details in the portal", false, func(s *stage) {
		c := s.customer("ada")
		must(s.portal(c).Customer.Update(s.ctx, models.PortalCustomerUpdate{BillingName: models.Set("Ada Ltd"), BillingAddress: models.Set(models.Address{Country: "DE", City: new("Berlin")})}))(s)
		got := must(s.client.Customers.Get(s.ctx, c.ID))(s)
		assert.Equal(s, "Ada Ltd", *got.BillingName)
		assert.Equal(s, "Berlin", *got.BillingAddress.City)
	}},
	{"a field is asked for at the checkout", false, func(s *stage) {
		slug := "size_" + s.tag
		f := must(s.client.CustomFields.Create(s.ctx, models.CustomFieldCreateSelect{Slug: slug, Name: "Size", Properties: models.CustomFieldSelectProperties{Options: []models.CustomFieldSelectOption{{Value: "s", Label: "Small"}, {Value: "l", Label: "Large"}}}}))(s)
		p := must(s.client.Products.Create(s.ctx, models.ProductCreateOneTime{Name: "Shirt", Prices: []models.ProductPriceCreate{fixed(0)}, AttachedCustomFields: []models.AttachedCustomFieldCreate{{CustomFieldID: f.ID, Required: true}}}))(s)
		c := s.customer("ada")
		checkout := s.checkout(c, p)
		_, err := s.client.Checkouts.ConfirmByClientSecret(s.ctx, checkout.ClientSecret, models.CheckoutConfirm{})
		require.ErrorIs(s, err, polar.ErrValidation)
		order := s.claim(c, p, func(b *models.CheckoutCreate) { b.CustomFieldData = models.CustomFieldData{slug: "l"} })
		size, _ := order.CustomFieldData.String(slug)
		assert.Equal(s, "l", size)
	}},
	{"a file is uploaded in two parts and downloaded by the buyer", false, func(s *stage) {
		content := bytes.Repeat([]byte("polar "), 1<<20) // 6 MiB: the first part has 5
		const first = 5 << 20
		sum := func(b []byte) string { h := sha256.Sum256(b); return base64.StdEncoding.EncodeToString(h[:]) }
		parts := []models.FileCreatePart{{Number: 1, ChunkStart: 0, ChunkEnd: first, ChecksumSHA256Base64: new(sum(content[:first]))},
			{Number: 2, ChunkStart: first, ChunkEnd: int64(len(content)), ChecksumSHA256Base64: new(sum(content[first:]))}}
		made := must(s.client.Files.Create(s.ctx, models.FileCreate{Name: "book.txt", MimeType: "text/plain", Size: int64(len(content)), Service: models.FileServiceDownloadable, Upload: models.FileCreateMultipart{Parts: parts}}))(s)
		done := models.FileUploadCompleted{ID: made.Upload.ID, Path: made.Upload.Path}
		for _, p := range made.Upload.Parts {
			req := must(http.NewRequestWithContext(s.ctx, http.MethodPut, p.URL, bytes.NewReader(content[p.ChunkStart:p.ChunkEnd])))(s)
			for k, v := range p.Headers {
				req.Header.Set(k, v)
			}
			resp := must(http.DefaultClient.Do(req))(s)
			require.NoError(s, resp.Body.Close())
			require.Equal(s, 200, resp.StatusCode)
			done.Parts = append(done.Parts, models.FileUploadCompletedPart{Number: p.Number, ChecksumETag: resp.Header.Get("ETag"), ChecksumSHA256Base64: p.ChecksumSHA256Base64})
		}
		file := must(s.client.Files.CompleteUpload(s.ctx, made.ID, done))(s)
		assert.True(s, file.IsUploaded)
		c := s.customer("ada")
		s.claim(c, s.product(fixed(0), s.benefit(models.BenefitDownloadablesCreate{Description: "The book", Properties: models.BenefitDownloadablesCreateProperties{Files: []string{made.ID}}})))
		s.granted(c, 1)
		list := must(s.portal(c).Downloadables.List(s.ctx, nil))(s)
		require.Len(s, list.Items, 1)
		req := must(http.NewRequestWithContext(s.ctx, http.MethodGet, list.Items[0].File.Download.URL, nil))(s)
		resp := must(http.DefaultClient.Do(req))(s)
		defer resp.Body.Close()
		assert.True(s, bytes.Equal(content, must(io.ReadAll(resp.Body))(s)))
	}},
	{"a list is read page by page", false, func(s *stage) {
		for i := range 7 {
			must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: s.email(fmt.Sprint("user", i)), Metadata: models.Metadata{"run": s.tag}}))(s)
		}
		n := 0
		for c, err := range s.client.Customers.All(s.ctx, &polar.CustomerListParams{Limit: 3, Metadata: polar.MetadataFilter{"run": {s.tag}}, Sorting: []models.CustomerSort{models.CustomerSortCreatedAt}}) {
			require.NoError(s, err)
			assert.Equal(s, s.email(fmt.Sprint("user", n)), c.Email)
			n++
		}
		assert.Equal(s, 7, n)
	}},
	{"webhook endpoints are set up and get another secret", false, func(s *stage) {
		e := must(s.client.WebhookEndpoints.Create(s.ctx, models.WebhookEndpointCreate{URL: "https://example.com/" + s.tag, Format: models.WebhookFormatRaw, Events: []models.WebhookEventType{models.WebhookEventTypeOrderPaid}}))(s)
		other := must(s.client.WebhookEndpoints.ResetSecret(s.ctx, e.ID))(s)
		assert.NotEqual(s, e.Secret, other.Secret)
		require.NoError(s, s.client.WebhookEndpoints.Delete(s.ctx, e.ID))
		_, err := s.client.WebhookEndpoints.Get(s.ctx, e.ID)
		require.ErrorIs(s, err, polar.ErrNotFound)
	}},
	{"a checkout link prefills a session", false, func(s *stage) {
		p := s.product(fixed(1000))
		link := must(s.client.CheckoutLinks.Create(s.ctx, models.CheckoutLinkCreate{Products: []string{p.ID}, Label: new("Campaign"), Metadata: models.Metadata{"ref": s.tag}}))(s)
		assert.Contains(s, link.URL, "http")
		list := must(s.client.CheckoutLinks.List(s.ctx, &polar.CheckoutLinkListParams{ProductID: []string{p.ID}}))(s)
		require.Len(s, list.Items, 1)
		assert.Equal(s, s.tag, list.Items[0].Metadata["ref"])
		require.NoError(s, s.client.CheckoutLinks.Delete(s.ctx, link.ID))
	}},
	{"what is not there is a 404, and a wrong token a 401", false, func(s *stage) {
		_, err := s.client.Orders.Get(s.ctx, nobody)
		require.ErrorIs(s, err, polar.ErrNotFound)
		bad := must(polar.New(polar.Token("polar_oat_wrong_"+s.tag), polar.WithBaseURL(s.base)))(s)
		_, err = bad.Products.List(s.ctx, nil)
		require.ErrorIs(s, err, polar.ErrUnauthorized)
	}},

	// what needs a payment, or time
	{"buy once", true, func(s *stage) {
		c := s.customer("ada")
		order := s.buy(c, s.product(fixed(1500), s.benefit(support)))
		assert.Equal(s, models.OrderStatusPaid, order.Status)
		assert.Equal(s, int64(1500), order.TotalAmount)
		s.granted(c, 1)
		s.months(12)
		assert.Equal(s, []int64{1500}, s.charges(c))
	}},
	{"subscribe and renew three times", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(1200))
		s.months(3)
		assert.Equal(s, []int64{1200, 1200, 1200, 1200}, s.charges(c))
		assert.Equal(s, start.AddDate(0, 4, 0), s.subscription(sub.ID).CurrentPeriodEnd)
	}},
	{"a year at a time", true, func(s *stage) {
		c := s.customer("ada")
		s.subscribe(c, s.recurring(models.RecurringIntervalYear, nil, fixed(9900)))
		s.months(11)
		assert.Len(s, s.charges(c), 1)
		s.months(25)
		assert.Equal(s, []int64{9900, 9900, 9900}, s.charges(c))
	}},
	{"upgrade with proration, charged at once", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(3100))
		s.ctl.Pass(11 * 24 * time.Hour) // 20 of 31 days are left
		got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(s.monthly(6200).ID), ProrationBehavior: models.Set(models.ProrationBehaviorInvoice)}))(s)
		assert.Equal(s, int64(6200), got.Amount)
		s.months(1)
		assert.Equal(s, []int64{3100, 4000 - 2000, 6200}, s.charges(c))
	}},
	{"downgrade at the end of the period", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(3000))
		small := s.monthly(1000)
		got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(small.ID), ProrationBehavior: models.Set(models.ProrationBehaviorNextPeriod)}))(s)
		assert.Equal(s, int64(3000), got.Amount)
		s.months(2)
		assert.Equal(s, []int64{3000, 1000, 1000}, s.charges(c))
		assert.Equal(s, small.ID, s.subscription(sub.ID).ProductID)
	}},
	{"from monthly to yearly", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(3100))
		s.ctl.Pass(10 * 24 * time.Hour) // 21 of 31 days are left
		year := s.recurring(models.RecurringIntervalYear, nil, fixed(30_000))
		got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(year.ID)}))(s)
		assert.Equal(s, start.AddDate(1, 0, 10), got.CurrentPeriodEnd)
		assert.Equal(s, []int64{3100, 30_000 - 2100}, s.charges(c))
	}},
	{"trial to paid", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(2000), func(b *models.CheckoutCreate) {
			b.TrialInterval, b.TrialIntervalCount = new(models.TrialIntervalWeek), new(2)
		})
		assert.Equal(s, models.SubscriptionStatusTrialing, sub.Status)
		s.ctl.Pass(14 * 24 * time.Hour)
		assert.Equal(s, models.SubscriptionStatusActive, s.subscription(sub.ID).Status)
		assert.Equal(s, []int64{0, 2000}, s.charges(c))
	}},
	{"a trial that is cancelled costs nothing", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(2000), func(b *models.CheckoutCreate) {
			b.TrialInterval, b.TrialIntervalCount = new(models.TrialIntervalDay), new(7)
		})
		must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionCancel{CancelAtPeriodEnd: true}))(s)
		s.months(2)
		assert.Equal(s, models.SubscriptionStatusCanceled, s.subscription(sub.ID).Status)
		assert.Equal(s, []int64{0}, s.charges(c))
	}},
	{"past due, and recovered by the next try", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(2000, s.benefit(support)))
		require.NoError(s, s.ctl.Decline(c.ID, true))
		s.months(1)
		assert.Equal(s, models.SubscriptionStatusPastDue, s.subscription(sub.ID).Status)
		s.granted(c, 0)
		require.NoError(s, s.ctl.Decline(c.ID, false))
		s.ctl.Pass(2 * 24 * time.Hour)
		assert.Equal(s, models.SubscriptionStatusActive, s.subscription(sub.ID).Status)
		s.granted(c, 1)
		assert.Equal(s, []int64{2000, 2000}, s.charges(c))
	}},
	{"past due, and paid with a new card in the portal", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(2000))
		require.NoError(s, s.ctl.Decline(c.ID, true))
		s.months(1)
		require.NoError(s, s.ctl.Decline(c.ID, false))
		must(s.portal(c).PaymentMethods.Add(s.ctx, models.PortalPaymentMethodCreate{ConfirmationTokenID: "ctoken_new", SetDefault: true, ReturnURL: "https://example.com"}))(s)
		assert.Equal(s, models.SubscriptionStatusActive, s.subscription(sub.ID).Status)
	}},
	{"never paid: the subscription ends", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(2000))
		require.NoError(s, s.ctl.Decline(c.ID, true))
		s.months(2)
		got := s.subscription(sub.ID)
		assert.Equal(s, models.SubscriptionStatusUnpaid, got.Status)
		assert.NotNil(s, got.EndedAt)
	}},
	{"usage with credits and overage", true, func(s *stage) {
		m, c := s.meter(models.Sum("tokens")), s.customer("ada")
		credit := s.benefit(models.BenefitMeterCreditCreate{Description: "Tokens", Properties: models.BenefitMeterCreditProperties{MeterID: m.ID, Units: 1000}})
		s.subscribe(c, s.recurring(models.RecurringIntervalMonth, []string{credit}, fixed(500), models.ProductPriceMeteredUnitCreate{MeterID: m.ID, UnitAmount: "0.25"}))
		s.use(c, models.Metadata{"tokens": 900})
		s.months(1)
		s.use(c, models.Metadata{"tokens": 1500}, models.Metadata{"tokens": 100})
		s.months(2)
		s.months(3)
		assert.Equal(s, []int64{500, 500, 500 + 600/4, 500}, s.charges(c))
	}},
	{"usage in tiers", true, func(s *stage) {
		m, c := s.meter(models.Count()), s.customer("ada")
		s.subscribe(c, s.recurring(models.RecurringIntervalMonth, nil, models.ProductPriceMeteredTiersCreate{MeterID: m.ID, Tiers: models.PriceTiersCreate{Type: models.PriceTierTypeGraduated, Tiers: []models.PriceTierCreate{
			{Bound: new(2), UnitAmount: "100"}, {UnitAmount: "40"}}}}))
		s.use(c, nil, nil, nil, nil, nil)
		s.months(1)
		assert.Equal(s, []int64{0, 2*100 + 3*40}, s.charges(c))
	}},
	{"pause and resume", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.monthly(2000, s.benefit(support)))
		must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionPause{PauseAtPeriodEnd: true}))(s)
		s.months(3)
		assert.Equal(s, models.SubscriptionStatusPaused, s.subscription(sub.ID).Status)
		s.granted(c, 0)
		got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionResume{}))(s)
		assert.Equal(s, models.SubscriptionStatusActive, got.Status)
		s.granted(c, 1)
		assert.Equal(s, []int64{2000, 2000}, s.charges(c))
	}},
	{"refund partially, then fully", true, func(s *stage) {
		c := s.customer("ada")
		order := s.buy(c, s.product(fixed(1000), s.benefit(support)))
		must(s.client.Refunds.Create(s.ctx, models.RefundCreate{OrderID: order.ID, Amount: 400, Reason: models.RefundReasonServiceDisruption}))(s)
		got := must(s.client.Orders.Get(s.ctx, order.ID))(s)
		assert.Equal(s, []any{models.OrderStatusPartiallyRefunded, int64(600)}, []any{got.Status, got.RefundableAmount})
		must(s.client.Refunds.Create(s.ctx, models.RefundCreate{OrderID: order.ID, Amount: 600, Reason: models.RefundReasonOther, RevokeBenefits: new(true)}))(s)
		got = must(s.client.Orders.Get(s.ctx, order.ID))(s)
		assert.Equal(s, []any{models.OrderStatusRefunded, int64(1000)}, []any{got.Status, got.RefundedAmount})
		s.granted(c, 0)
	}},
	{"half off for three months", true, func(s *stage) {
		d := s.percent(5000, models.DiscountDurationRepeating, func(b *models.DiscountPercentageCreate) { b.DurationInMonths = new(3) })
		c := s.customer("ada")
		s.subscribe(c, s.monthly(1000), func(b *models.CheckoutCreate) { b.DiscountID = &d.ID })
		s.months(4)
		assert.Equal(s, []int64{500, 500, 500, 1000, 1000}, s.charges(c))
	}},
	{"half off once, and off for ever", true, func(s *stage) {
		once, ever := s.percent(5000, models.DiscountDurationOnce), s.percent(1000, models.DiscountDurationForever)
		a, b := s.customer("ada"), s.customer("bob")
		s.subscribe(a, s.monthly(1000), func(b *models.CheckoutCreate) { b.DiscountID = &once.ID })
		s.subscribe(b, s.monthly(1000), func(b *models.CheckoutCreate) { b.DiscountID = &ever.ID })
		s.months(2)
		assert.Equal(s, []int64{500, 1000, 1000}, s.charges(a))
		assert.Equal(s, []int64{900, 900, 900}, s.charges(b))
		assert.Equal(s, 1, must(s.client.Discounts.Get(s.ctx, ever.ID))(s).RedemptionsCount)
	}},
	{"a discount takes from usage, too", true, func(s *stage) {
		d, m := s.percent(2000, models.DiscountDurationForever), s.meter(models.Count())
		c := s.customer("ada")
		s.subscribe(c, s.recurring(models.RecurringIntervalMonth, nil, fixed(1000), models.ProductPriceMeteredUnitCreate{MeterID: m.ID, UnitAmount: "50"}), func(b *models.CheckoutCreate) { b.DiscountID = &d.ID })
		s.use(c, nil, nil, nil, nil)
		s.months(1)
		assert.Equal(s, []int64{800, (1000 + 200) * 80 / 100}, s.charges(c))
	}},
	{"seats are assigned and claimed", true, func(s *stage) {
		c := s.customer("ada")
		sub := s.subscribe(c, s.recurring(models.RecurringIntervalMonth, []string{s.benefit(support)}, models.ProductPriceSeatBasedCreate{SeatTiers: models.ProductPriceSeatTiersCreate{Tiers: []models.ProductPriceSeatTier{{MinSeats: 1, PricePerSeat: 900}}}}),
			func(b *models.CheckoutCreate) { b.Seats = new(2) })
		for _, who := range []string{"bob", "eve"} {
			seat := must(s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, Email: new(s.email(who)), ImmediateClaim: new(true)}))(s)
			assert.Equal(s, models.SeatStatusClaimed, seat.Status)
		}
		_, err := s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, Email: new(s.email("dan"))})
		require.Error(s, err, "both are taken")
		must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateSeats{Seats: 3, ProrationBehavior: models.Set(models.ProrationBehaviorNextPeriod)}))(s)
		s.months(1)
		assert.Equal(s, []int64{1800, 2700}, s.charges(c))
	}},
	{"a free plan is upgraded at the checkout", true, func(s *stage) {
		c := s.customer("ada")
		sub := must(s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: s.free().ID, CustomerID: &c.ID}))(s)
		s.ctl.Pass(3 * 24 * time.Hour)
		s.buy(c, s.monthly(1900), func(b *models.CheckoutCreate) { b.CustomerID, b.SubscriptionID = nil, &sub.ID })
		got := s.subscription(sub.ID)
		assert.Equal(s, int64(1900), got.Amount)
		s.ctl.Pass(got.CurrentPeriodEnd.Sub(s.ctl.Now()))
		assert.Equal(s, []int64{1900, 1900}, s.charges(c))
	}},
	{"a dispute", true, func(s *stage) {
		c := s.customer("ada")
		order := s.buy(c, s.product(fixed(1000)))
		id := must(s.ctl.Dispute(order.ID))(s)
		got := must(s.client.Disputes.Accept(s.ctx, id))(s)
		assert.Equal(s, order.ID, got.OrderID)
		_, err := s.client.Disputes.Accept(s.ctx, id)
		require.ErrorIs(s, err, polar.ErrConflict)
	}},
}
