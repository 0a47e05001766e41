package polartest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func tiers(typ models.PriceTierType) models.PriceTiersCreate {
	return models.PriceTiersCreate{Type: typ, Tiers: []models.PriceTierCreate{{Bound: new(10), UnitAmount: "100"}, {Bound: new(20), UnitAmount: "80.5"}, {UnitAmount: "50"}}}
}

// TestPriceKinds sells each kind of price and works its amount out by hand.
func TestPriceKinds(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Calls", Filter: models.And(), Aggregation: models.Count()}))(t)
	seats := func(typ models.PriceTierType) models.ProductPriceCreate {
		return models.ProductPriceSeatBasedCreate{SeatTiers: models.ProductPriceSeatTiersCreate{SeatTierType: &typ, Tiers: []models.ProductPriceSeatTier{
			{MinSeats: 2, MaxSeats: new(4), PricePerSeat: 1000}, {MinSeats: 5, MaxSeats: new(50), PricePerSeat: 800}}}}
	}
	for _, tc := range []struct {
		name  string
		price models.ProductPriceCreate
		edit  func(*models.CheckoutCreate)
		want  int64
		bad   func(*models.CheckoutCreate)
	}{
		{"fixed", models.ProductPriceFixedCreate{PriceAmount: 1234}, nil, 1234, nil},
		{"free", models.ProductPriceFixedCreate{PriceAmount: 0}, nil, 0, nil},
		{"custom", models.ProductPriceCustomCreate{MinimumAmount: new(int64(500)), PresetAmount: new(int64(900))}, nil, 900, func(c *models.CheckoutCreate) { c.Amount = new(int64(499)) }},
		{"custom, chosen", models.ProductPriceCustomCreate{MinimumAmount: new(int64(500)), MaximumAmount: new(int64(5000))}, func(c *models.CheckoutCreate) { c.Amount = new(int64(777)) }, 777,
			func(c *models.CheckoutCreate) { c.Amount = new(int64(5001)) }},
		{"custom, nothing", models.ProductPriceCustomCreate{MinimumAmount: new(int64(0))}, func(c *models.CheckoutCreate) { c.Amount = new(int64(0)) }, 0, nil},
		{"seats by volume", seats(models.PriceTierTypeVolume), func(c *models.CheckoutCreate) { c.Seats = new(6) }, 6 * 800, func(c *models.CheckoutCreate) { c.Seats = new(51) }},
		{"seats graduated", seats(models.PriceTierTypeGraduated), func(c *models.CheckoutCreate) { c.Seats = new(6) }, 3*1000 + 2*800, func(c *models.CheckoutCreate) { c.Seats = new(1) }},
		{"the least seats", seats(models.PriceTierTypeVolume), nil, 2 * 1000, func(c *models.CheckoutCreate) { c.Seats, c.MaxSeats = new(9), new(8) }},
		{"units by volume", models.ProductPriceUnitBasedCreate{Tiers: tiers(models.PriceTierTypeVolume)}, func(c *models.CheckoutCreate) { c.Units = new(11) }, 886, nil}, // 885.5
		{"units graduated", models.ProductPriceUnitBasedCreate{Tiers: tiers(models.PriceTierTypeGraduated), MinimumUnits: new(3)}, func(c *models.CheckoutCreate) { c.Units = new(25) }, 1000 + 805 + 250,
			func(c *models.CheckoutCreate) { c.Units = new(2) }},
		{"metered unit", models.ProductPriceMeteredUnitCreate{MeterID: meter.ID, UnitAmount: "0.000001"}, nil, 0, nil},
		{"metered tiers", models.ProductPriceMeteredTiersCreate{MeterID: meter.ID, Tiers: tiers(models.PriceTierTypeGraduated)}, nil, 0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &shop{t, s.srv, s.client, t.Context()}
			p := s.plan("Plan "+tc.name, 0, func(b *models.ProductCreateRecurring) { b.Prices = []models.ProductPriceCreate{tc.price} })
			require.Len(t, p.Prices, 1)
			body := models.CheckoutCreate{Products: []string{p.ID}}
			if tc.edit != nil {
				tc.edit(&body)
			}
			checkout := must(s.client.Checkouts.Create(s.ctx, body))(t)
			assert.Equal(t, tc.want, checkout.Amount)
			assert.Equal(t, tc.want > 0, checkout.IsPaymentRequired)
			if tc.bad != nil {
				body := models.CheckoutCreate{Products: []string{p.ID}}
				tc.bad(&body)
				_, err := s.client.Checkouts.Create(s.ctx, body)
				require.ErrorIs(t, err, polar.ErrValidation)
			}
			require.NoError(t, s.srv.CompleteCheckout(checkout.ID))
			got := must(s.client.Subscriptions.List(s.ctx, &polar.SubscriptionListParams{ProductID: []string{p.ID}}))(t)
			require.Len(t, got.Items, 1)
			assert.Equal(t, tc.want, got.Items[0].Amount)
		})
	}
}

func TestProducts(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, c := s.ctx, s.client
	p := s.plan("Pro", 1000, func(b *models.ProductCreateRecurring) { b.Metadata = models.Metadata{"tier": 2} })
	assert.True(t, p.IsDeletable)
	list := must(c.Products.List(ctx, &polar.ProductListParams{Metadata: polar.MetadataFilter{"tier": {"2"}}}))(t)
	assert.Len(t, list.Items, 1)
	assert.Empty(t, must(c.Products.List(ctx, &polar.ProductListParams{Metadata: polar.MetadataFilter{"tier": {"3"}}}))(t).Items)

	old := s.subscribe(s.customer("a@example.com"), p)
	got := must(c.Products.Update(ctx, p.ID, models.ProductUpdate{Name: models.Set("Pro+"), Prices: models.Set([]models.ProductPriceUpdate{models.ProductPriceFixedCreate{PriceAmount: 2000}})}))(t)
	assert.Equal(t, "Pro+", got.Name)
	require.Len(t, got.Prices, 1)
	assert.NotEqual(t, p.Prices[0].ID, got.Prices[0].ID)
	assert.False(t, got.IsDeletable)
	s.until(start.AddDate(0, 1, 0))
	assert.Equal(t, int64(1000), s.subscription(old.ID).Amount, "old subscribers keep their price")
	assert.Equal(t, int64(2000), s.subscribe(s.customer("b@example.com"), p).Amount)

	_, err := c.Products.Update(ctx, p.ID, models.ProductUpdate{RecurringInterval: models.Set(models.RecurringIntervalYear)})
	require.ErrorIs(t, err, polar.ErrValidation)
	require.ErrorIs(t, c.Products.Delete(ctx, p.ID), polar.ErrProductNotDeletable)
	must(c.Products.Update(ctx, p.ID, models.ProductUpdate{IsArchived: models.Set(true)}))(t)
	_, err = c.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{p.ID}})
	require.ErrorIs(t, err, polar.ErrValidation)
	assert.Empty(t, must(c.Products.List(ctx, &polar.ProductListParams{IsArchived: new(false)}))(t).Items)

	gone := s.book(1)
	require.NoError(t, c.Products.Delete(ctx, gone.ID))
	_, err = c.Products.Get(ctx, gone.ID)
	require.ErrorIs(t, err, polar.ErrNotFound)
	for _, prices := range [][]models.ProductPriceCreate{
		{},
		{models.ProductPriceFixedCreate{PriceAmount: 1}, models.ProductPriceFixedCreate{PriceAmount: 2}},
		{models.ProductPriceMeteredUnitCreate{MeterID: gone.ID, UnitAmount: "1"}},
		{models.ProductPriceCustomCreate{MinimumAmount: new(int64(9)), MaximumAmount: new(int64(8))}},
	} {
		_, err := c.Products.Create(ctx, models.ProductCreateOneTime{Name: "Bad", Prices: prices})
		require.ErrorIs(t, err, polar.ErrValidation)
	}
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, c := s.ctx, s.client
	a := must(c.Customers.Create(ctx, models.CustomerCreate{Email: "a@example.com", ExternalID: new("user/1 ü"), Name: new("Ada"), TaxID: new("DE 123456789"),
		BillingAddress: &models.Address{Country: "DE"}, Metadata: models.Metadata{"big": int64(1) << 60}}))(t)
	assert.Equal(t, models.TaxIDFormatEUVAT, a.TaxID.Format)
	assert.Equal(t, int64(1)<<60, a.Metadata["big"])
	byID := must(c.Customers.GetByExternalID(ctx, "user/1 ü"))(t)
	assert.Equal(t, a.ID, byID.ID)
	for _, body := range []models.CustomerCreate{{Email: "A@EXAMPLE.com"}, {Email: "b@example.com", ExternalID: new("user/1 ü")}} {
		_, err := c.Customers.Create(ctx, body)
		require.ErrorIs(t, err, polar.ErrValidation)
	}
	got := must(c.Customers.UpdateByExternalID(ctx, "user/1 ü", models.CustomerUpdateByExternalID{Name: models.Null[string](), Metadata: models.Metadata{"x": "y"}}))(t)
	assert.Nil(t, got.Name)
	assert.Equal(t, models.Metadata{"x": "y"}, got.Metadata, "replaced as a whole")
	_, err := c.Customers.Update(ctx, a.ID, models.CustomerUpdate{ExternalID: models.Set("user_2")})
	require.ErrorIs(t, err, polar.ErrValidation)
	assert.Contains(t, err.Error(), "cannot be updated")
	b := must(c.Customers.Create(ctx, models.CustomerCreate{Email: "b@example.com"}))(t)
	must(c.Customers.Update(ctx, b.ID, models.CustomerUpdate{ExternalID: models.Set("user_2")}))(t)
	assert.Equal(t, b.ID, must(c.Customers.GetByExternalID(ctx, "user_2"))(t).ID)

	_, err = c.Customers.Create(ctx, models.CustomerCreate{Type: models.CustomerTypeTeam, Email: "t@example.com"})
	require.ErrorIs(t, err, polar.ErrValidation)

	require.NoError(t, c.Customers.DeleteByExternalID(ctx, "user_2", nil))
	_, err = c.Customers.Get(ctx, b.ID)
	require.ErrorIs(t, err, polar.ErrNotFound)
	must(c.Customers.Create(ctx, models.CustomerCreate{Email: "b@example.com", ExternalID: new("user_2")}))(t)
	assert.Len(t, must(c.Customers.List(ctx, &polar.CustomerListParams{Query: "EXAMPLE"}))(t).Items, 2)
}

func TestMembers(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithMembers())
	team := must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Type: models.CustomerTypeTeam, Email: "t@example.com", Owner: &models.MemberOwnerCreate{Email: "o@example.com", ExternalID: new("o")}}))(t)
	nameless := must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Type: models.CustomerTypeTeam, Name: new("Nobody")}))(t)
	assert.Empty(t, nameless.Email)
	must(s.client.Customers.State(s.ctx, nameless.ID))(t)
	_, err := s.client.CustomerSessions.Create(s.ctx, models.CustomerSessionCreate{CustomerID: &team.ID})
	require.ErrorIs(t, err, polar.ErrValidation, "a team needs a member")
	session := must(s.client.CustomerSessions.Create(s.ctx, models.CustomerSessionCreate{CustomerID: &team.ID, ExternalMemberID: new("o")}))(t)
	assert.True(t, strings.HasPrefix(session.Token, "polar_mst_"))
	assert.Equal(t, start.Add(time.Hour), session.ExpiresAt)
}

func TestBenefitsOfEveryType(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx := s.ctx
	meter := must(s.client.Meters.Create(ctx, models.MeterCreate{Name: "Calls", Filter: models.And(), Aggregation: models.Count()}))(t)
	p := s.plan("Pro", 1000)
	var ids []string
	for _, b := range []models.BenefitCreate{
		models.BenefitCustomCreate{Description: "Custom", Properties: models.BenefitCustomCreateProperties{Note: new("Hello")}},
		models.BenefitDiscordCreate{Description: "Discord", Properties: models.BenefitDiscordProperties{GuildID: "g", RoleID: "r"}},
		models.BenefitGitHubRepositoryCreate{Description: "GitHub", Properties: models.BenefitGitHubRepositoryProperties{RepositoryOwner: "o", RepositoryName: "n", Permission: models.GitHubPermissionPull}},
		models.BenefitLicenseKeysCreate{Description: "Keys", Properties: models.BenefitLicenseKeysCreateProperties{Prefix: new("ACME")}},
		models.BenefitMeterCreditCreate{Description: "Credit", Properties: models.BenefitMeterCreditProperties{MeterID: meter.ID, Units: 5}},
		models.BenefitFeatureFlagCreate{Description: "Flag"},
		models.BenefitSlackSharedChannelCreate{Description: "Slack", Properties: models.BenefitSlackSharedChannelProperties{SlackIntegrationID: meter.ID, ChannelNameTemplate: "c"}},
	} {
		made := must(s.client.Benefits.Create(ctx, b))(t)
		require.NotNil(t, made.Properties)
		ids = append(ids, made.ID)
	}
	c := s.customer("a@example.com")
	s.subscribe(c, p)
	assert.Empty(t, must(s.client.Customers.State(ctx, c.ID))(t).GrantedBenefits)
	must(s.client.Products.SetBenefits(ctx, p.ID, models.ProductBenefitsUpdate{Benefits: ids}))(t)
	state := must(s.client.Customers.State(ctx, c.ID))(t)
	assert.Len(t, state.GrantedBenefits, len(ids), "given to those who bought before")
	require.Len(t, state.ActiveMeters, 1)
	assert.Equal(t, 5.0, state.ActiveMeters[0].Balance)
	must(s.client.Products.SetBenefits(ctx, p.ID, models.ProductBenefitsUpdate{Benefits: ids[1:]}))(t)
	assert.Len(t, must(s.client.Customers.State(ctx, c.ID))(t).GrantedBenefits, len(ids)-1)
	grants := must(s.client.BenefitGrants.List(ctx, &polar.BenefitGrantListParams{IsGranted: new(false)}))(t)
	require.Len(t, grants.Items, 1)
	assert.Equal(t, ids[0], grants.Items[0].BenefitID)

	got := must(s.client.Benefits.Update(ctx, ids[0], models.BenefitCustomUpdate{Description: models.Set("Changed")}))(t)
	assert.Equal(t, "Changed", got.Description)
	assert.Equal(t, "Hello", *got.Properties.(*models.BenefitCustomProperties).Note)
	_, err := s.client.Benefits.Update(ctx, ids[0], models.BenefitFeatureFlagUpdate{})
	require.ErrorIs(t, err, polar.ErrValidation)
	require.NoError(t, s.client.Benefits.Delete(ctx, ids[1]))
	assert.Len(t, must(s.client.Customers.State(ctx, c.ID))(t).GrantedBenefits, len(ids)-2)
	_, err = s.client.Benefits.Get(ctx, ids[1])
	require.ErrorIs(t, err, polar.ErrNotFound)
	assert.Len(t, must(s.client.Benefits.List(ctx, nil))(t).Items, len(ids)-1)
	assert.Len(t, must(s.client.Benefits.ListGrants(ctx, ids[2], nil))(t).Items, 1)
}

func TestCheckoutInTheBrowser(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithTaxRate(1000))
	ctx := s.ctx
	p := s.plan("Pro", 1000)
	other := s.plan("Max", 5000)
	made := must(s.client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{p.ID, other.ID}, SuccessURL: new("https://example.com/done?id={CHECKOUT_ID}"),
		Metadata: models.Metadata{"ref": "r1"}, CustomerMetadata: models.Metadata{"from": "ad"}, ExternalCustomerID: new("user_9")}))(t)
	assert.Equal(t, "https://example.com/done?id="+made.ID, made.SuccessURL)
	assert.Nil(t, made.TaxAmount, "not known without a country")
	anonymous := must(polar.New(polar.Anonymous, polar.WithBaseURL(s.srv.URL)))(t)
	public := must(anonymous.Checkouts.GetByClientSecret(ctx, made.ClientSecret))(t)
	assert.Equal(t, made.ID, public.ID)
	public = must(anonymous.Checkouts.UpdateByClientSecret(ctx, made.ClientSecret, models.CheckoutUpdatePublic{ProductID: models.Set(other.ID), CustomerEmail: models.Set("a@example.com"),
		CustomerBillingAddress: models.Set(models.Address{Country: "DE"})}))(t)
	assert.Equal(t, int64(5000), public.Amount)
	assert.Equal(t, int64(500), *public.TaxAmount)
	assert.Equal(t, int64(5500), public.TotalAmount)

	_, err := anonymous.Checkouts.ConfirmByClientSecret(ctx, made.ClientSecret, models.CheckoutConfirm{})
	require.ErrorIs(t, err, polar.ErrValidation)
	_, err = anonymous.Checkouts.ConfirmByClientSecret(ctx, made.ClientSecret, models.CheckoutConfirm{ConfirmationTokenID: new("ctoken_declined")})
	require.ErrorIs(t, err, polar.ErrPayment)
	assert.Equal(t, models.CheckoutStatusOpen, must(s.client.Checkouts.Get(ctx, made.ID))(t).Status, "another try is possible")
	confirmed := must(anonymous.Checkouts.ConfirmByClientSecret(ctx, made.ClientSecret, models.CheckoutConfirm{ConfirmationTokenID: new("ctoken_1")}))(t)
	assert.Equal(t, models.CheckoutStatusConfirmed, confirmed.Status)
	assert.NotNil(t, confirmed.CustomerSessionToken)
	got := must(s.client.Checkouts.Get(ctx, made.ID))(t)
	assert.Equal(t, models.CheckoutStatusSucceeded, got.Status)
	customer := must(s.client.Customers.GetByExternalID(ctx, "user_9"))(t)
	assert.Equal(t, "ad", customer.Metadata["from"])
	orders := s.orders(customer)
	require.Len(t, orders, 1)
	assert.Equal(t, int64(5500), orders[0].TotalAmount)
	assert.Equal(t, "r1", orders[0].Metadata["ref"])
	assert.Equal(t, "r1", s.subscription(*orders[0].SubscriptionID).Metadata["ref"])
	_, err = anonymous.Checkouts.UpdateByClientSecret(ctx, made.ClientSecret, models.CheckoutUpdatePublic{})
	require.ErrorIs(t, err, polar.ErrNotOpenCheckout)

	late := must(s.client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{p.ID}}))(t)
	s.srv.Advance(24 * time.Hour)
	assert.Equal(t, models.CheckoutStatusExpired, must(s.client.Checkouts.Get(ctx, late.ID))(t).Status)
	_, err = anonymous.Checkouts.GetByClientSecret(ctx, late.ClientSecret)
	require.ErrorIs(t, err, polar.ErrExpiredCheckout)
	require.Error(t, s.srv.CompleteCheckout(late.ID))
	require.Error(t, s.srv.CompleteCheckout(p.ID))
}

// TestUpgradeByCheckout moves a free subscription to a paid product.
func TestUpgradeByCheckout(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	free := s.plan("Free", 0)
	_, err := s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: s.plan("Pro", 1).ID, CustomerID: &c.ID})
	require.ErrorIs(t, err, polar.ErrValidation)
	sub := must(s.client.Subscriptions.Create(s.ctx, models.SubscriptionCreate{ProductID: free.ID, CustomerID: &c.ID, Metadata: models.Metadata{"a": 1}}))(t)
	assert.Equal(t, models.SubscriptionStatusActive, sub.Status)
	assert.Empty(t, s.orders(c))
	s.srv.Advance(5 * 24 * time.Hour)
	pro := s.plan("Pro", 1000)
	s.buy(c, pro, func(b *models.CheckoutCreate) {
		b.CustomerID, b.SubscriptionID, b.Metadata = nil, &sub.ID, models.Metadata{"b": 2}
	})
	got := s.subscription(sub.ID)
	assert.Equal(t, pro.ID, got.ProductID)
	assert.Equal(t, start.AddDate(0, 1, 5), got.CurrentPeriodEnd)
	assert.Equal(t, models.Metadata{"a": int64(1), "b": int64(2)}, got.Metadata)
	assert.Equal(t, []int64{1000}, totals(s.orders(c)))
}

// TestAdHocPrices sells at a price that only the session has.
func TestAdHocPrices(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	p := s.plan("Pro", 1000)
	sub := s.subscribe(c, p, func(b *models.CheckoutCreate) {
		b.Prices = map[string][]models.ProductPriceCreate{p.ID: {models.ProductPriceFixedCreate{PriceAmount: 321}}}
	})
	assert.Equal(t, int64(321), sub.Amount)
	assert.Equal(t, models.ProductPriceSourceAdHoc, sub.Prices[0].Source)
	s.until(start.AddDate(0, 1, 0))
	assert.Equal(t, []int64{321, 321}, totals(s.orders(c)))
	assert.Len(t, must(s.client.Products.Get(s.ctx, p.ID))(t).Prices, 1)
}
