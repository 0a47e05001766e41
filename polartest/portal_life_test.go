package polartest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func (s *shop) portal(customer *models.Customer) *polar.Portal {
	s.Helper()
	return must(s.srv.PortalClient(customer.ID))(s)
}

// gives makes a product give benefits.
func (s *shop) gives(p *models.Product, benefits ...models.BenefitCreate) []string {
	s.Helper()
	var ids []string
	for _, b := range benefits {
		ids = append(ids, must(s.client.Benefits.Create(s.ctx, b))(s).ID)
	}
	must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: ids}))(s)
	return ids
}

func TestLicenseLife(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	p := s.plan("Pro", 1000)
	s.gives(p, models.BenefitLicenseKeysCreate{Description: "App key", Properties: models.BenefitLicenseKeysCreateProperties{
		Expires: &models.BenefitLicenseKeyExpiration{Ttl: 2, Timeframe: models.LicenseKeyTimeframeMonth}}})
	sub := s.subscribe(c, p)
	key := must(s.client.LicenseKeys.List(s.ctx, nil))(t).Items[0]
	assert.Equal(t, "****-"+key.Key[len(key.Key)-6:], key.DisplayKey)
	assert.Equal(t, start.AddDate(0, 2, 0), *key.ExpiresAt)
	ask := models.LicenseKeyValidate{Key: key.Key, OrganizationID: s.srv.OrganizationID()}

	public := must(polar.NewPortal(polar.Anonymous, polar.WithBaseURL(s.srv.URL)))(t)
	got := must(public.LicenseKeys.Validate(s.ctx, ask))(t)
	assert.Equal(t, 1, got.Validations)
	assert.Equal(t, start, *got.LastValidatedAt)
	_, err := public.LicenseKeys.Activate(s.ctx, models.LicenseKeyActivate{Key: key.Key, OrganizationID: ask.OrganizationID, Label: "x"})
	require.ErrorIs(t, err, polar.ErrNotPermitted, "it has no activations")

	must(s.client.LicenseKeys.Update(s.ctx, key.ID, models.LicenseKeyUpdate{Status: models.Set(models.LicenseKeyStatusDisabled)}))(t)
	_, err = public.LicenseKeys.Validate(s.ctx, ask)
	require.ErrorIs(t, err, polar.ErrNotFound)
	must(s.client.LicenseKeys.Rotate(s.ctx, key.ID))(t)
	ask.Key = must(s.client.LicenseKeys.Update(s.ctx, key.ID, models.LicenseKeyUpdate{Status: models.Set(models.LicenseKeyStatusGranted)}))(t).Key

	s.srv.Advance(time.Second)
	must(public.LicenseKeys.Validate(s.ctx, ask))(t)
	s.until(start.AddDate(0, 2, 0))
	_, err = public.LicenseKeys.Validate(s.ctx, ask)
	require.ErrorIs(t, err, polar.ErrNotFound, "expired")
	must(s.client.LicenseKeys.Update(s.ctx, key.ID, models.LicenseKeyUpdate{ExpiresAt: models.Null[time.Time]()}))(t)
	must(public.LicenseKeys.Validate(s.ctx, ask))(t)

	require.NoError(t, s.srv.DeclinePayments(c.ID, true))
	s.until(start.AddDate(0, 3, 0))
	assert.Equal(t, models.SubscriptionStatusPastDue, s.subscription(sub.ID).Status)
	_, err = public.LicenseKeys.Validate(s.ctx, ask)
	require.ErrorIs(t, err, polar.ErrNotFound, "not paid")
	require.NoError(t, s.srv.DeclinePayments(c.ID, false))
	s.srv.Advance(3 * 24 * time.Hour)
	assert.Equal(t, models.SubscriptionStatusActive, s.subscription(sub.ID).Status)
	assert.Equal(t, key.ID, must(public.LicenseKeys.Validate(s.ctx, ask))(t).ID, "the same key again")

	must(s.client.Subscriptions.Revoke(s.ctx, sub.ID))(t)
	assert.Equal(t, models.LicenseKeyStatusRevoked, must(s.client.LicenseKeys.Get(s.ctx, key.ID))(t).Status)
	_, err = s.client.LicenseKeys.Rotate(s.ctx, key.ID)
	require.ErrorIs(t, err, polar.ErrRotateNotPermitted)
}

func seatPlan(s *shop, edit ...models.BenefitCreate) *models.Product {
	s.Helper()
	p := must(s.client.Products.Create(s.ctx, models.ProductCreateRecurring{Name: "Team", RecurringInterval: models.RecurringIntervalMonth, Prices: []models.ProductPriceCreate{
		models.ProductPriceSeatBasedCreate{SeatTiers: models.ProductPriceSeatTiersCreate{Tiers: []models.ProductPriceSeatTier{{MinSeats: 1, PricePerSeat: 500}}}}}}))(s)
	s.gives(p, edit...)
	return p
}

func TestSeatsOfCustomers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	buyer := s.customer("boss@example.com")
	p := seatPlan(s, models.BenefitLicenseKeysCreate{Description: "App key"})
	sub := s.subscribe(buyer, p, func(b *models.CheckoutCreate) { b.Seats = new(2) })
	assert.Equal(t, []int64{1000}, totals(s.orders(buyer)))
	assert.Empty(t, must(s.client.LicenseKeys.List(s.ctx, nil))(t).Items, "nobody has claimed a seat yet")

	seat := must(s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, Email: new("bob@example.com"), ImmediateClaim: new(true)}))(t)
	assert.Equal(t, models.SeatStatusClaimed, seat.Status)
	bob := must(s.client.Customers.Get(s.ctx, *seat.CustomerID))(t)
	assert.Equal(t, "bob@example.com", bob.Email, "the person is a customer of its own")
	keys := must(s.portal(bob).LicenseKeys.List(s.ctx, nil))(t).Items
	require.Len(t, keys, 1)
	assert.Equal(t, bob.ID, keys[0].CustomerID)
	assert.Empty(t, must(s.portal(buyer).LicenseKeys.List(s.ctx, nil))(t).Items)
	other := must(s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, CustomerID: &buyer.ID}))(t)

	_, err := s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateSeats{Seats: 1})
	require.ErrorIs(t, err, polar.ErrValidation, "both are assigned")
	must(s.client.Seats.Revoke(s.ctx, other.ID))(t)
	must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateSeats{Seats: 1}))(t)

	added := must(s.client.Benefits.Create(s.ctx, models.BenefitCustomCreate{Description: "Support"}))(t)
	must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: []string{added.ID}}))(t)
	state := must(s.client.Customers.State(s.ctx, bob.ID))(t)
	require.Len(t, state.GrantedBenefits, 1, "the people of seats get what the product gives now")
	assert.Equal(t, added.ID, state.GrantedBenefits[0].BenefitID)

	must(s.client.Subscriptions.Revoke(s.ctx, sub.ID))(t)
	assert.Empty(t, must(s.client.Customers.State(s.ctx, bob.ID))(t).GrantedBenefits)
	list := must(s.client.Seats.List(s.ctx, &polar.SeatListParams{SubscriptionID: sub.ID}))(t)
	assert.Equal(t, models.SeatStatusRevoked, list.Seats[0].Status)
	_, err = s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, Email: new("eve@example.com")})
	require.ErrorIs(t, err, polar.ErrBadRequest)
}

func TestSeatsAndPlans(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	buyer := s.customer("boss@example.com")
	meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Tokens", Filter: models.And(models.Where("name", models.FilterOperatorEq, "tokens")), Aggregation: models.Count()}))(t)
	team := seatPlan(s, models.BenefitMeterCreditCreate{Description: "Tokens", Properties: models.BenefitMeterCreditProperties{MeterID: meter.ID, Units: 100}})
	solo := s.plan("Solo", 500)
	shared := must(s.client.Products.Get(s.ctx, team.ID))(t).Benefits[0].ID
	must(s.client.Products.SetBenefits(s.ctx, solo.ID, models.ProductBenefitsUpdate{Benefits: []string{shared}}))(t)
	benefits := func(id string) int { return len(must(s.client.Customers.State(s.ctx, id))(t).GrantedBenefits) }

	sub := s.subscribe(buyer, solo)
	assert.Equal(t, 1, benefits(buyer.ID))
	must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(team.ID)}))(t)
	assert.Equal(t, 0, benefits(buyer.ID), "those who claim a seat have it now")
	seat := must(s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, Email: new("bob@example.com"), ImmediateClaim: new(true)}))(t)
	bob := *seat.CustomerID
	assert.Equal(t, 1, benefits(bob))

	balance := func() float64 { return must(s.client.Customers.State(s.ctx, bob))(t).ActiveMeters[0].Balance }
	must(s.client.Events.Ingest(s.ctx, models.EventsIngest{Events: []models.EventCreate{{Name: "tokens", CustomerID: &bob}}}))(t)
	assert.Equal(t, 99.0, balance())
	s.until(start.AddDate(0, 1, 0))
	assert.Equal(t, 100.0, balance(), "renewed with the subscription of another")

	must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(solo.ID)}))(t)
	assert.Equal(t, 0, benefits(bob))
	assert.Equal(t, 1, benefits(buyer.ID))
	list := must(s.client.Seats.List(s.ctx, &polar.SeatListParams{SubscriptionID: sub.ID}))(t)
	assert.Equal(t, models.SeatStatusRevoked, list.Seats[0].Status)
}

func TestSeatsOfMembers(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithMembers())
	team := must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: "boss@example.com", Type: models.CustomerTypeTeam, Owner: &models.MemberOwnerCreate{Email: "boss@example.com"}}))(t)
	sub := s.subscribe(team, seatPlan(s, models.BenefitLicenseKeysCreate{Description: "App key"}), func(b *models.CheckoutCreate) { b.Seats = new(2) })
	seat := must(s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, Email: new("bob@example.com")}))(t)
	assert.Equal(t, team.ID, *seat.CustomerID)
	assert.Equal(t, "bob@example.com", *seat.Email)
	eve := must(s.client.Members.Create(s.ctx, team.ID, models.MemberCreate{Email: "eve@example.com", ExternalID: new("eve")}))(t)
	must(s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, ExternalMemberID: new("eve"), ImmediateClaim: new(true)}))(t)

	claimed := must(s.client.Seats.Claim(s.ctx, models.SeatClaim{InvitationToken: must(s.srv.SeatInvitation(seat.ID))(t)}))(t)
	bob := must(polar.NewPortal(polar.Token(claimed.CustomerSessionToken), polar.WithBaseURL(s.srv.URL)))(t)
	user := must(bob.Session.User(s.ctx))(t)
	assert.Equal(t, []any{"member", "bob@example.com", "member", team.ID}, []any{user.Type, user.Email, *user.Role, user.CustomerID})
	keys := must(bob.LicenseKeys.List(s.ctx, nil))(t).Items
	require.Len(t, keys, 1, "not those of others")
	assert.Equal(t, "bob@example.com", keys[0].Member.Email)
	assert.Len(t, must(s.client.LicenseKeys.List(s.ctx, nil))(t).Items, 2)
	assert.Len(t, must(bob.BenefitGrants.List(s.ctx, nil))(t).Items, 1)
	assert.Len(t, must(bob.Seats.ListClaimedSubscriptions(s.ctx, nil))(t).Items, 1)

	for name, err := range map[string]error{
		"orders":        second(bob.Orders.List(s.ctx, nil)),
		"subscriptions": second(bob.Subscriptions.List(s.ctx, nil)),
		"cards":         second(bob.PaymentMethods.List(s.ctx, nil)),
		"members":       second(bob.Members.List(s.ctx, nil)),
		"wallets":       second(bob.Wallets.List(s.ctx, nil)),
		"seats":         second(bob.Seats.List(s.ctx, &polar.PortalSeatListParams{SubscriptionID: sub.ID})),
	} {
		require.ErrorIs(t, err, polar.ErrNotPermitted, name)
	}

	require.NoError(t, s.client.Members.Delete(s.ctx, team.ID, eve.ID))
	list := must(s.client.Seats.List(s.ctx, &polar.SeatListParams{SubscriptionID: sub.ID}))(t)
	assert.Equal(t, 1, list.AvailableSeats, "the seat of a removed member is free again")
	require.NoError(t, s.client.Members.Delete(s.ctx, team.ID, *user.MemberID))
}

func TestSeatsOfAnOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	buyer := s.customer("boss@example.com")
	p := must(s.client.Products.Create(s.ctx, models.ProductCreateOneTime{Name: "Course", Prices: []models.ProductPriceCreate{
		models.ProductPriceSeatBasedCreate{SeatTiers: models.ProductPriceSeatTiersCreate{Tiers: []models.ProductPriceSeatTier{{MinSeats: 1, PricePerSeat: 2000}}}}}}))(t)
	s.gives(p, models.BenefitCustomCreate{Description: "Notes"})
	s.buy(buyer, p, func(b *models.CheckoutCreate) { b.Seats = new(2) })
	o := s.orders(buyer)[0]
	assert.Equal(t, int64(4000), o.TotalAmount)
	portal := s.portal(buyer)
	seat := must(portal.Seats.Assign(s.ctx, models.PortalSeatAssign{CheckoutID: o.CheckoutID, Email: new("bob@example.com")}))(t)
	assert.Equal(t, o.ID, *seat.OrderID)
	claimed := must(s.client.Seats.Claim(s.ctx, models.SeatClaim{InvitationToken: must(s.srv.SeatInvitation(seat.ID))(t)}))(t)
	bob := *claimed.Seat.CustomerID
	assert.Len(t, must(s.client.Customers.State(s.ctx, bob))(t).GrantedBenefits, 1)
	must(s.client.Refunds.Create(s.ctx, models.RefundCreate{OrderID: o.ID, Reason: models.RefundReasonCustomerRequest, Amount: 4000, RevokeBenefits: new(true)}))(t)
	assert.Empty(t, must(s.client.Customers.State(s.ctx, bob))(t).GrantedBenefits)
	list := must(portal.Seats.List(s.ctx, &polar.PortalSeatListParams{OrderID: o.ID}))(t)
	assert.Equal(t, models.SeatStatusRevoked, list.Seats[0].Status)
}

func second[T any](_ T, err error) error { return err }

func TestMembersNeedTeams(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]polartest.Option{nil, {polartest.WithMembers()}} {
		s := newShop(t, opts...)
		c := s.customer("a@example.com")
		_, err := s.client.Members.Create(s.ctx, c.ID, models.MemberCreate{Email: "b@example.com"})
		require.ErrorIs(t, err, polar.ErrNotPermitted)
	}
}

func TestPortalCards(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	sub := s.subscribe(c, s.plan("Pro", 1000))
	portal := s.portal(c)
	first := must(portal.PaymentMethods.List(s.ctx, nil))(t).Items[0]
	card := models.PortalPaymentMethodCreate{ConfirmationTokenID: "ctoken_requires_action", ReturnURL: "https://example.com"}
	added := must(portal.PaymentMethods.Add(s.ctx, card))(t)
	assert.Equal(t, models.PortalPaymentMethodCreatedStatusRequiresAction, added.Status)
	assert.Nil(t, added.PaymentMethod)
	id, _, _ := strings.Cut(*added.ClientSecret, "_secret_")
	_, err := portal.PaymentMethods.Confirm(s.ctx, models.PortalPaymentMethodConfirm{SetupIntentID: "seti_none"})
	require.ErrorIs(t, err, polar.ErrCustomerNotReady)
	done := must(portal.PaymentMethods.Confirm(s.ctx, models.PortalPaymentMethodConfirm{SetupIntentID: id}))(t)
	assert.Equal(t, models.PortalPaymentMethodCreatedStatusSucceeded, done.Status)
	assert.Equal(t, first.ID, *must(portal.Customer.Get(s.ctx))(t).DefaultPaymentMethodID, "it was not to be the default")
	_, err = portal.PaymentMethods.Confirm(s.ctx, models.PortalPaymentMethodConfirm{SetupIntentID: id})
	require.ErrorIs(t, err, polar.ErrCustomerNotReady, "done already")

	// a card that is refused later leaves the subscription past due, and a good one makes up for it
	card.ConfirmationTokenID, card.SetDefault = "ctoken_decline_later", true
	must(portal.PaymentMethods.Add(s.ctx, card))(t)
	s.until(start.AddDate(0, 1, 0))
	assert.Equal(t, models.SubscriptionStatusPastDue, s.subscription(sub.ID).Status)
	portal = s.portal(c)
	must(portal.Customer.Update(s.ctx, models.PortalCustomerUpdate{DefaultPaymentMethodID: models.Set(first.ID)}))(t)
	assert.Equal(t, models.SubscriptionStatusActive, s.subscription(sub.ID).Status)
	_, err = portal.Customer.Update(s.ctx, models.PortalCustomerUpdate{DefaultPaymentMethodID: models.Set(nobody)})
	require.ErrorIs(t, err, polar.ErrValidation)
}

func TestPortalInvoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	const path = "/v1/customer-portal/orders/{order}/invoice"
	assert.Equal(t, 401, w.send("", "GET", path, "").status)
	assert.Equal(t, 404, w.send("customer", "GET", path, "").status)
	require.Equal(t, 202, w.send("customer", "POST", path, "").status)
	assert.Equal(t, 404, w.send("customer", "GET", path, "").status, "being made")
	w.srv.Advance(time.Second)
	assert.Contains(t, w.get("customer", path)["url"], "http")

	// the orders of others are not there
	c := w.shop.customer("other@example.com")
	w.tokens["stranger"] = w.session(models.CustomerSessionCreate{CustomerID: &c.ID})
	for _, path := range []string{path, "/v1/customer-portal/orders/{order}", "/v1/customer-portal/subscriptions/{subscription}", "/v1/customer-portal/license-keys/{key}",
		"/v1/customer-portal/benefit-grants/{grant_discord}", "/v1/customer-portal/meters/{customer_meter}", "/v1/customer-portal/wallets/{wallet}", "/v1/customer-portal/seats?subscription_id={seats}"} {
		assert.Equal(t, 404, w.send("stranger", "GET", path, "").status, path)
	}
	for _, list := range []string{"orders/", "subscriptions/", "license-keys/", "benefit-grants/", "meters/", "wallets/", "downloadables/", "customers/me/payment-methods", "seats/subscriptions"} {
		assert.Empty(t, w.get("stranger", "/v1/customer-portal/"+list)["items"], list)
	}
	assert.Equal(t, 404, w.send("stranger", "DELETE", "/v1/customer-portal/seats/{seat}", "").status)
	assert.Equal(t, 404, w.send("stranger", "DELETE", "/v1/customer-portal/customers/me/payment-methods/{method}", "").status)

	require.NoError(t, w.client.Customers.Delete(w.ctx, c.ID, nil))
	assert.Equal(t, 401, w.send("stranger", "GET", "/v1/customer-portal/customers/me", "").status, "sessions end with their customer")
}

func TestPortalPayments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	portal := must(polar.NewPortal(polar.Token(w.tokens["customer"]), polar.WithBaseURL(w.srv.URL)))(t)
	due := w.ids["due"]
	pay := func(token string) (*models.PortalOrderPaymentConfirmation, error) {
		return portal.Orders.ConfirmPayment(w.ctx, due, models.PortalOrderConfirmPayment{ConfirmationTokenID: &token}, polar.CallRetry(polar.RetryPolicy{MaxAttempts: 1}))
	}
	got := must(pay("ctoken_decline"))(t)
	assert.Equal(t, "failed", got.Status)
	assert.NotNil(t, got.Error)

	payments := must(w.client.Payments.List(w.ctx, &polar.PaymentListParams{OrderID: []string{due}}))(t).Items
	assert.Equal(t, []any{models.PaymentStatusFailed, models.PaymentTriggerRetryCustomer}, []any{payments[0].Status, *payments[0].Trigger}, "the attempt is among the payments")

	got = must(pay("ctoken_requires_action"))(t)
	assert.Equal(t, "requires_action", got.Status)
	assert.Equal(t, "requires_action", must(portal.Orders.PaymentStatus(w.ctx, due))(t).Status)
	_, err := pay("ctoken_ok")
	require.ErrorIs(t, err, polar.ErrPaymentAlreadyInProgress)
	require.NoError(t, w.srv.AuthenticatePayment(*got.ClientSecret, false))
	require.Error(t, w.srv.AuthenticatePayment(*got.ClientSecret, true), "over")
	for range 3 {
		assert.Equal(t, "failed", must(pay("ctoken_decline"))(t).Status)
	}
	_, err = pay("ctoken_ok")
	require.ErrorIs(t, err, polar.ErrManualRetryLimitExceeded)

	w = newWorld(t, false)
	portal = must(polar.NewPortal(polar.Token(w.tokens["customer"]), polar.WithBaseURL(w.srv.URL)))(t)
	due = w.ids["due"]
	got = must(pay("ctoken_requires_action"))(t)
	require.NoError(t, w.srv.AuthenticatePayment(*got.ClientSecret, true))
	assert.Equal(t, "succeeded", must(portal.Orders.PaymentStatus(w.ctx, due))(t).Status)
	assert.Equal(t, models.SubscriptionStatusActive, w.subscription(w.ids["late"]).Status)
	payments = must(w.client.Payments.List(w.ctx, &polar.PaymentListParams{OrderID: []string{due}}))(t).Items
	assert.Equal(t, []any{models.PaymentStatusSucceeded, models.PaymentTriggerRetryCustomer}, []any{payments[0].Status, *payments[0].Trigger})
}

func TestPortalChanges(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	sub := s.subscribe(c, s.plan("Pro", 1000))
	bigger := s.plan("Max", 3000)
	portal := s.portal(c)
	got := must(portal.Subscriptions.Update(s.ctx, sub.ID, models.PortalSubscriptionUpdateProduct{ProductID: bigger.ID}))(t)
	assert.Equal(t, bigger.ID, got.Product.ID)
	assert.Equal(t, "acme", got.Product.Organization.Slug)
	_, err := portal.Subscriptions.Update(s.ctx, sub.ID, models.PortalSubscriptionUpdateSeats{Seats: 2})
	require.ErrorIs(t, err, polar.ErrValidation, "it has no seats")

	free := s.plan("Free", 0)
	d := s.customer("b@example.com")
	sub = must(s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: free.ID, CustomerID: &d.ID}))(t)
	portal = s.portal(d)
	_, err = portal.Subscriptions.Update(s.ctx, sub.ID, models.PortalSubscriptionUpdateProduct{ProductID: bigger.ID})
	require.ErrorIs(t, err, polar.ErrPaymentMethodRequired)
	must(portal.PaymentMethods.Add(s.ctx, models.PortalPaymentMethodCreate{ConfirmationTokenID: "ctoken_ok", ReturnURL: "https://example.com"}))(t)
	must(portal.Subscriptions.Update(s.ctx, sub.ID, models.PortalSubscriptionUpdateProduct{ProductID: bigger.ID}))(t)

	// what customers may do is for the organization to say
	must(s.client.Organizations.Update(s.ctx, s.srv.OrganizationID(), models.OrganizationUpdate{CustomerPortalSettings: models.Set(models.OrganizationCustomerPortalSettings{
		Subscription: models.PortalSubscriptionSettings{Pause: new(true)}, Customer: &models.PortalCustomerSettings{AllowEmailChange: new(false)}})}))(t)
	got = must(portal.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionPause{PauseAtPeriodEnd: true}))(t)
	assert.True(t, got.PauseAtPeriodEnd)
	must(portal.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionPause{}))(t)
	_, err = portal.Subscriptions.Update(s.ctx, sub.ID, models.PortalSubscriptionUpdateProduct{ProductID: free.ID})
	require.ErrorIs(t, err, polar.ErrUpdateSubscriptionPlanNotAllowed)
	_, err = portal.Subscriptions.Update(s.ctx, sub.ID, models.PortalSubscriptionUpdateSeats{Seats: 2})
	require.ErrorIs(t, err, polar.ErrUpdateSubscriptionSeatsNotAllowed)
	require.ErrorIs(t, portal.Customer.RequestEmailUpdate(s.ctx, models.PortalEmailUpdateRequest{Email: "c@example.com"}), polar.ErrNotPermitted)

	// credit from the balance pays first
	require.NoError(t, s.srv.Credit(d.ID, 500, "usd"))
	wallet := must(portal.Wallets.List(s.ctx, nil))(t).Items[0]
	assert.Equal(t, int64(500), wallet.Balance)
	s.until(start.AddDate(0, 1, 0))
	assert.Zero(t, must(s.portal(d).Wallets.Get(s.ctx, wallet.ID))(t).Balance)
}

// upload stores a file for downloads and returns its id.
func (s *shop) upload(name, content string) string {
	s.Helper()
	sum := sha256.Sum256([]byte(content))
	digest := base64.StdEncoding.EncodeToString(sum[:])
	token := s.srv.Token()
	a := send(s.T, s.srv, "POST", "/v1/files/", token, fmt.Sprintf(`{"service":"downloadable","name":%q,"mime_type":"application/pdf","size":%d,"upload":{"parts":[{"number":1,"chunk_start":0,"chunk_end":%[2]d,"checksum_sha256_base64":%q}]}}`, name, len(content), digest))
	require.Equal(s, 201, a.status, a.body)
	var file struct {
		ID     string
		Upload struct {
			ID, Path string
			Parts    []struct {
				URL     string
				Headers map[string]string
			}
		}
	}
	require.NoError(s, json.Unmarshal([]byte(a.body), &file))
	req, err := http.NewRequestWithContext(s.ctx, "PUT", file.Upload.Parts[0].URL, strings.NewReader(content))
	require.NoError(s, err)
	for k, v := range file.Upload.Parts[0].Headers {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s, err)
	resp.Body.Close()
	require.Equal(s, 200, resp.StatusCode)
	a = send(s.T, s.srv, "POST", "/v1/files/"+file.ID+"/uploaded", token, fmt.Sprintf(`{"id":%q,"path":%q,"parts":[{"number":1,"checksum_etag":%q,"checksum_sha256_base64":%q}]}`,
		file.Upload.ID, file.Upload.Path, strings.Trim(resp.Header.Get("ETag"), `"`), digest))
	require.Equal(s, 200, a.status, a.body)

	return file.ID
}

func TestDownloadables(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const content = "some pages"
	id := s.upload("book.pdf", content)
	p := s.plan("Books", 900)
	benefit := s.gives(p, models.BenefitDownloadablesCreate{Description: "The book", Properties: models.BenefitDownloadablesCreateProperties{Files: []string{id}}})[0]
	c := s.customer("a@example.com")
	portal := s.portal(c)
	assert.Empty(t, must(portal.Downloadables.List(s.ctx, nil))(t).Items)
	sub := s.subscribe(c, p)
	list := must(portal.Downloadables.List(s.ctx, &polar.PortalDownloadableListParams{BenefitID: []string{benefit}}))(t).Items
	require.Len(t, list, 1)
	assert.Equal(t, list[0].ID, must(portal.Downloadables.List(s.ctx, nil))(t).Items[0].ID, "the id stays")
	resp, err := http.Get(list[0].File.Download.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, content, string(data))

	must(s.client.Subscriptions.Revoke(s.ctx, sub.ID))(t)
	assert.Empty(t, must(portal.Downloadables.List(s.ctx, nil))(t).Items)
	assert.Equal(t, 401, send(t, s.srv, "GET", "/v1/customer-portal/downloadables/", s.srv.Token(), "").status)
}

func TestSeatEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithMembers())
	team := must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: "boss@example.com", Type: models.CustomerTypeTeam, Owner: &models.MemberOwnerCreate{Email: "boss@example.com"}}))(t)
	sub := s.subscribe(team, seatPlan(s, models.BenefitCustomCreate{Description: "Support"}), func(b *models.CheckoutCreate) { b.Seats = new(2) })
	s.endpoint(newReceiver(t).URL, "customer_seat.assigned", "customer_seat.claimed", "customer_seat.revoked", "member.created", "member.updated", "member.deleted", "benefit_grant.created", "benefit_grant.revoked")
	seat := must(s.client.Seats.Assign(s.ctx, models.SeatAssign{SubscriptionID: &sub.ID, Email: new("bob@example.com"), ImmediateClaim: new(true)}))(t)
	must(s.client.Members.Update(s.ctx, team.ID, *seat.MemberID, models.MemberUpdate{Name: models.Set("Bob")}))(t)
	require.NoError(t, s.client.Members.Delete(s.ctx, team.ID, *seat.MemberID))
	assert.Equal(t, []models.WebhookEventType{"member.created", "customer_seat.assigned", "customer_seat.claimed", "benefit_grant.created", "member.updated", "benefit_grant.revoked", "customer_seat.revoked",
		"member.deleted"}, types(s.srv.Deliveries()))
}

func TestPortalHelpers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	for _, err := range []error{s.srv.Credit(nobody, 1, "usd"), s.srv.AuthenticatePayment("x", true), second(s.srv.SeatInvitation(nobody)), second(s.srv.EmailUpdateToken(c.ID))} {
		require.ErrorContains(t, err, "polartest: ")
	}
}
