package polartest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// shop is a server with a client and what most tests sell.
type shop struct {
	*testing.T
	srv    *polartest.Server
	client *polar.Client
	ctx    context.Context
}

func newShop(t *testing.T, opts ...polartest.Option) *shop {
	t.Helper()
	srv := polartest.NewServer(t, append([]polartest.Option{polartest.WithTime(start)}, opts...)...)
	return &shop{t, srv, srv.Client(), t.Context()}
}

// must returns v when there was no error.
func must[V any](v V, err error) func(t testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

// plan makes a monthly product at a price in cents.
func (s *shop) plan(name string, cents int64, edit ...func(*models.ProductCreateRecurring)) *models.Product {
	s.Helper()
	body := models.ProductCreateRecurring{Name: name, RecurringInterval: models.RecurringIntervalMonth, Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: cents}}}
	for _, e := range edit {
		e(&body)
	}
	return must(s.client.Products.Create(s.ctx, body))(s)
}

func (s *shop) customer(email string) *models.Customer {
	s.Helper()
	return must(s.client.Customers.Create(s.ctx, models.CustomerCreate{Email: email, BillingAddress: &models.Address{Country: "DE"}}))(s)
}

// subscribe sends a customer through a checkout and returns the subscription.
func (s *shop) subscribe(customer *models.Customer, product *models.Product, edit ...func(*models.CheckoutCreate)) *models.Subscription {
	s.Helper()
	s.buy(customer, product, edit...)
	list := must(s.client.Subscriptions.List(s.ctx, &polar.SubscriptionListParams{CustomerID: []string{customer.ID}, ProductID: []string{product.ID}}))(s)
	require.NotEmpty(s, list.Items)
	return &list.Items[0]
}

func (s *shop) buy(customer *models.Customer, product *models.Product, edit ...func(*models.CheckoutCreate)) *models.Checkout {
	s.Helper()
	body := models.CheckoutCreate{Products: []string{product.ID}, CustomerID: &customer.ID}
	for _, e := range edit {
		e(&body)
	}
	checkout := must(s.client.Checkouts.Create(s.ctx, body))(s)
	require.NoError(s, s.srv.CompleteCheckout(checkout.ID))
	return must(s.client.Checkouts.Get(s.ctx, checkout.ID))(s)
}

// totals are the customer's orders from first to last: what they cost.
func (s *shop) orders(customer *models.Customer) []models.Order {
	s.Helper()
	return must(s.client.Orders.List(s.ctx, &polar.OrderListParams{CustomerID: []string{customer.ID}, Limit: 100, Sorting: []models.OrderSort{models.OrderSortCreatedAt}}))(s).Items
}

func totals(orders []models.Order) []int64 {
	var out []int64
	for _, o := range orders {
		out = append(out, o.TotalAmount)
	}
	return out
}

func (s *shop) subscription(id string) *models.Subscription {
	s.Helper()
	return must(s.client.Subscriptions.Get(s.ctx, id))(s)
}

func (s *shop) until(t time.Time) {
	s.Helper()
	require.False(s, t.Before(s.srv.Now()))
	s.srv.Advance(t.Sub(s.srv.Now()))
}

func TestRenewals(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithTaxRate(1900))
	c := s.customer("a@example.com")
	sub := s.subscribe(c, s.plan("Pro", 1000))
	assert.Equal(t, models.SubscriptionStatusActive, sub.Status)
	assert.Equal(t, start.AddDate(0, 1, 0), sub.CurrentPeriodEnd)
	s.until(start.AddDate(0, 3, 0))
	orders := s.orders(c)
	assert.Equal(t, []int64{1190, 1190, 1190, 1190}, totals(orders))
	assert.Equal(t, models.OrderBillingReasonSubscriptionCreate, orders[0].BillingReason)
	assert.Equal(t, models.OrderBillingReasonSubscriptionCycle, orders[3].BillingReason)
	assert.Equal(t, int64(190), orders[3].TaxAmount)
	assert.Equal(t, start.AddDate(0, 3, 0), orders[3].CreatedAt, "made when it fell due, not when the clock was asked")
	assert.Equal(t, "ACME-0004", *orders[3].InvoiceNumber)
	assert.Equal(t, start.AddDate(0, 4, 0), s.subscription(sub.ID).CurrentPeriodEnd)
}

func TestEndOfMonth(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithTime(time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)))
	sub := s.subscribe(s.customer("a@example.com"), s.plan("Pro", 1000))
	var ends []string
	for range 4 {
		sub = s.subscription(sub.ID)
		ends = append(ends, sub.CurrentPeriodEnd.Format(time.DateOnly))
		s.until(sub.CurrentPeriodEnd)
	}
	assert.Equal(t, []string{"2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"}, ends)
}

func TestTrial(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	p := s.plan("Pro", 1000, func(b *models.ProductCreateRecurring) {
		b.TrialInterval, b.TrialIntervalCount = new(models.TrialIntervalDay), new(14)
	})
	sub := s.subscribe(c, p)
	assert.Equal(t, models.SubscriptionStatusTrialing, sub.Status)
	assert.Equal(t, start.AddDate(0, 0, 14), *sub.TrialEnd)
	assert.Equal(t, []int64{0}, totals(s.orders(c)))
	s.until(start.AddDate(0, 0, 14))
	sub = s.subscription(sub.ID)
	assert.Equal(t, models.SubscriptionStatusActive, sub.Status)
	assert.Equal(t, start.AddDate(0, 1, 14), sub.CurrentPeriodEnd)
	assert.Equal(t, []int64{0, 1000}, totals(s.orders(c)))
}

func TestEndTrialNow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	p := s.plan("Pro", 1000, func(b *models.ProductCreateRecurring) {
		b.TrialInterval, b.TrialIntervalCount = new(models.TrialIntervalMonth), new(1)
	})
	sub := s.subscribe(c, p)
	s.srv.Advance(24 * time.Hour)
	require.NoError(t, s.srv.DeclinePayments(c.ID, true))
	now := models.SubscriptionUpdateDetails{TrialEnd: models.Set(models.TrialEndNow())}
	_, err := s.client.Subscriptions.Update(s.ctx, sub.ID, now)
	require.ErrorIs(t, err, polar.ErrPaymentFailed)
	assert.Equal(t, models.SubscriptionStatusTrialing, s.subscription(sub.ID).Status, "it stays in its trial")
	assert.Len(t, s.orders(c), 1)
	require.NoError(t, s.srv.DeclinePayments(c.ID, false))
	got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, now))(t)
	assert.Equal(t, models.SubscriptionStatusActive, got.Status)
	assert.Equal(t, start.AddDate(0, 1, 1), got.CurrentPeriodEnd)
	assert.Equal(t, []int64{0, 1000}, totals(s.orders(c)))
	s.until(start.AddDate(0, 1, 1))
	assert.Equal(t, []int64{0, 1000, 1000}, totals(s.orders(c)))
}

func TestCancelAndUncancel(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	p := s.plan("Pro", 1000)
	b := must(s.client.Benefits.Create(s.ctx, models.BenefitCustomCreate{Description: "Support"}))(t)
	must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: []string{b.ID}}))(t)
	sub := s.subscribe(c, p)
	cancel := models.SubscriptionCancel{CancelAtPeriodEnd: true, CustomerCancellationReason: models.Set(models.CustomerCancellationReasonTooExpensive)}

	_, err := s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionCancel{})
	require.ErrorIs(t, err, polar.ErrSubscriptionNotScheduledToCancel)
	got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, cancel))(t)
	assert.True(t, got.CancelAtPeriodEnd)
	assert.Equal(t, start.AddDate(0, 1, 0), *got.EndsAt)
	assert.Equal(t, models.CustomerCancellationReasonTooExpensive, *got.CustomerCancellationReason)
	_, err = s.client.Subscriptions.Update(s.ctx, sub.ID, cancel)
	require.ErrorIs(t, err, polar.ErrAlreadyCanceledSubscription)

	got = must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionCancel{}))(t)
	assert.False(t, got.CancelAtPeriodEnd)
	assert.Nil(t, got.EndsAt)

	must(s.client.Subscriptions.Update(s.ctx, sub.ID, cancel))(t)
	state := must(s.client.Customers.State(s.ctx, c.ID))(t)
	assert.Len(t, state.GrantedBenefits, 1, "access goes on until the end of the period")
	s.until(start.AddDate(0, 1, 0))
	assert.Equal(t, models.SubscriptionStatusCanceled, s.subscription(sub.ID).Status)
	state = must(s.client.Customers.State(s.ctx, c.ID))(t)
	assert.Empty(t, state.ActiveSubscriptions)
	assert.Empty(t, state.GrantedBenefits)
	s.until(start.AddDate(0, 5, 0))
	assert.Equal(t, []int64{1000}, totals(s.orders(c)))
	_, err = s.client.Subscriptions.Revoke(s.ctx, sub.ID)
	require.ErrorIs(t, err, polar.ErrAlreadyCanceledSubscription)
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		how   models.ProrationBehavior
		now   []int64 // orders right after the change, after 10 of 31 days
		later []int64 // and after the next renewal
		end   time.Time
	}{
		// unused: 1000 × 21/31 = 677.4, remaining: 3000 × 21/31 = 2032.3
		{models.ProrationBehaviorInvoice, []int64{1000, 1355}, []int64{1000, 1355, 3000}, start.AddDate(0, 1, 0)},
		{models.ProrationBehaviorProrate, []int64{1000}, []int64{1000, 1355 + 3000}, start.AddDate(0, 1, 0)},
		{models.ProrationBehaviorNextPeriod, []int64{1000}, []int64{1000, 3000}, start.AddDate(0, 1, 0)},
		{models.ProrationBehaviorReset, []int64{1000, 3000}, []int64{1000, 3000, 3000}, start.AddDate(0, 1, 10)},
	} {
		t.Run(string(tc.how), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			c := s.customer("a@example.com")
			sub := s.subscribe(c, s.plan("Basic", 1000))
			s.srv.Advance(10 * 24 * time.Hour)
			pro := s.plan("Pro", 3000)
			got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(pro.ID), ProrationBehavior: models.Set(tc.how)}))(t)
			assert.Equal(t, tc.end, got.CurrentPeriodEnd)
			if tc.how == models.ProrationBehaviorNextPeriod {
				assert.Equal(t, sub.ProductID, got.ProductID)
				assert.Equal(t, pro.ID, *got.PendingUpdate.ProductID)
			} else {
				assert.Equal(t, pro.ID, got.ProductID)
				assert.Equal(t, int64(3000), got.Amount)
			}
			assert.Equal(t, tc.now, totals(s.orders(c)))
			s.until(tc.end)
			assert.Equal(t, tc.later, totals(s.orders(c)))
			assert.Equal(t, pro.ID, s.subscription(sub.ID).ProductID)
		})
	}
}

func TestDowngradeGivesCredit(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	sub := s.subscribe(c, s.plan("Pro", 3100))
	s.srv.Advance(10 * 24 * time.Hour)
	basic := s.plan("Basic", 1000)
	must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(basic.ID), ProrationBehavior: models.Set(models.ProrationBehaviorInvoice)}))(t)
	// unused 3100 × 21/31 = 2100, remaining 1000 × 21/31 = 677.4
	orders := s.orders(c)
	assert.Equal(t, []int64{3100, 677 - 2100}, totals(orders))
	assert.Zero(t, orders[1].DueAmount)
	s.until(start.AddDate(0, 1, 0))
	orders = s.orders(c)
	assert.Equal(t, int64(1000), orders[2].TotalAmount)
	assert.Equal(t, int64(-1000), orders[2].AppliedBalanceAmount)
	assert.Zero(t, orders[2].DueAmount, "paid from the balance of 1423")
	s.until(start.AddDate(0, 2, 0))
	orders = s.orders(c)
	assert.Equal(t, int64(-423), orders[3].AppliedBalanceAmount)
	assert.Equal(t, int64(577), orders[3].DueAmount)
}

func TestPastDueAndRecovery(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	p := s.plan("Pro", 1000)
	b := must(s.client.Benefits.Create(s.ctx, models.BenefitCustomCreate{Description: "Support"}))(t)
	must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: []string{b.ID}}))(t)
	sub := s.subscribe(c, p)
	require.NoError(t, s.srv.DeclinePayments(c.ID, true))
	due := start.AddDate(0, 1, 0)
	s.until(due)
	got := s.subscription(sub.ID)
	assert.Equal(t, models.SubscriptionStatusPastDue, got.Status)
	assert.Equal(t, due, *got.PastDueAt)
	order := s.orders(c)[1]
	assert.Equal(t, models.OrderStatusPending, order.Status)
	assert.Equal(t, due.AddDate(0, 0, 2), *order.NextPaymentAttemptAt)
	assert.Empty(t, must(s.client.Customers.State(s.ctx, c.ID))(t).GrantedBenefits)

	require.NoError(t, s.srv.DeclinePayments(c.ID, false))
	s.until(due.AddDate(0, 0, 2))
	got = s.subscription(sub.ID)
	assert.Equal(t, models.SubscriptionStatusActive, got.Status)
	assert.Nil(t, got.PastDueAt)
	assert.Equal(t, models.OrderStatusPaid, s.orders(c)[1].Status)
	assert.Len(t, must(s.client.Customers.State(s.ctx, c.ID))(t).GrantedBenefits, 1)
	payments := must(s.client.Payments.List(s.ctx, &polar.PaymentListParams{OrderID: []string{order.ID}, Sorting: []models.PaymentSort{models.PaymentSortCreatedAt}}))(t)
	require.Len(t, payments.Items, 2)
	assert.Equal(t, models.PaymentStatusFailed, payments.Items[0].Status)
	assert.Equal(t, models.PaymentTriggerRetryDunning, *payments.Items[1].Trigger)
}

func TestUnpaid(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	sub := s.subscribe(c, s.plan("Pro", 1000))
	require.NoError(t, s.srv.DeclinePayments(c.ID, true))
	s.until(start.AddDate(0, 1, 20))
	assert.Equal(t, models.SubscriptionStatusPastDue, s.subscription(sub.ID).Status)
	s.until(start.AddDate(0, 1, 21))
	got := s.subscription(sub.ID)
	assert.Equal(t, models.SubscriptionStatusUnpaid, got.Status)
	assert.Equal(t, start.AddDate(0, 1, 21), *got.EndedAt)
	assert.Equal(t, models.OrderStatusVoid, s.orders(c)[1].Status)
	s.until(start.AddDate(1, 0, 0))
	assert.Len(t, s.orders(c), 2)
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	sub := s.subscribe(c, s.plan("Pro", 1000))
	_, err := s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionPause{PauseAtPeriodEnd: true, ResumesAt: models.Set(start.AddDate(0, 0, 3))})
	require.ErrorIs(t, err, polar.ErrValidation)
	back := start.AddDate(0, 3, 5)
	got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionPause{PauseAtPeriodEnd: true, ResumesAt: models.Set(back)}))(t)
	assert.True(t, got.PauseAtPeriodEnd)
	s.until(start.AddDate(0, 2, 0))
	got = s.subscription(sub.ID)
	assert.Equal(t, models.SubscriptionStatusPaused, got.Status)
	assert.Equal(t, start.AddDate(0, 1, 0), *got.PausedAt)
	assert.Len(t, s.orders(c), 1)
	s.until(back)
	got = s.subscription(sub.ID)
	assert.Equal(t, models.SubscriptionStatusActive, got.Status)
	assert.Equal(t, back.AddDate(0, 1, 0), got.CurrentPeriodEnd)
	assert.Equal(t, []int64{1000, 1000}, totals(s.orders(c)))
	_, err = s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionResume{})
	require.ErrorIs(t, err, polar.ErrValidation)
}

func TestUsageWithCreditsAndOverage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Tokens", Filter: models.And(models.Eq("name", "call")), Aggregation: models.Sum("tokens")}))(t)
	p := s.plan("Pro", 1000, func(b *models.ProductCreateRecurring) {
		b.Prices = append(b.Prices, models.ProductPriceMeteredUnitCreate{MeterID: meter.ID, UnitAmount: "0.5", CapAmount: new(int64(10_000))})
	})
	credit := must(s.client.Benefits.Create(s.ctx, models.BenefitMeterCreditCreate{Description: "1000 tokens", Properties: models.BenefitMeterCreditProperties{MeterID: meter.ID, Units: 1000, Rollover: true}}))(t)
	must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: []string{credit.ID}}))(t)
	sub := s.subscribe(c, p)
	use := func(n int) {
		t.Helper()
		must(s.client.Events.Ingest(s.ctx, models.EventsIngest{Events: []models.EventCreate{{Name: "call", CustomerID: &c.ID, Metadata: models.Metadata{"tokens": n}}}}))(t)
	}
	meterNow := func() models.CustomerMeter {
		t.Helper()
		list := must(s.client.CustomerMeters.List(s.ctx, &polar.CustomerMeterListParams{CustomerID: []string{c.ID}}))(t)
		require.Len(t, list.Items, 1)
		return list.Items[0]
	}
	use(400)
	assert.Equal(t, 600.0, meterNow().Balance)
	s.until(start.AddDate(0, 1, 0))
	assert.Equal(t, 1600, meterNow().CreditedUnits, "600 roll over")
	assert.Equal(t, []int64{1000, 1000}, totals(s.orders(c)))
	use(1700)
	use(301)
	got := s.subscription(sub.ID)
	require.Len(t, got.Meters, 1)
	assert.Equal(t, int64(201), got.Meters[0].Amount, "401 × 0.5 = 200.5, rounded")
	s.until(start.AddDate(0, 2, 0))
	orders := s.orders(c)
	assert.Equal(t, int64(1201), orders[2].TotalAmount)
	assert.Equal(t, 1000, meterNow().CreditedUnits)
	use(100_000)
	s.until(start.AddDate(0, 3, 0))
	assert.Equal(t, int64(11_000), s.orders(c)[3].TotalAmount, "the cap")
	use(1100)
	must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionCancel{CancelAtPeriodEnd: true}))(t)
	s.until(start.AddDate(0, 4, 0))
	orders = s.orders(c)
	assert.Equal(t, int64(50), orders[len(orders)-1].TotalAmount, "the last usage is billed when it ends")
}

func TestMeterCycle(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	meter := must(s.client.Meters.Create(s.ctx, models.MeterCreate{Name: "Calls", Filter: models.And(models.Eq("name", "call")), Aggregation: models.Count()}))(t)
	p := s.plan("Yearly", 12_000, func(b *models.ProductCreateRecurring) {
		b.RecurringInterval, b.MeterInterval = models.RecurringIntervalYear, new(models.RecurringIntervalMonth)
		b.Prices = append(b.Prices, models.ProductPriceMeteredUnitCreate{MeterID: meter.ID, UnitAmount: "10"})
	})
	sub := s.subscribe(c, p)
	assert.Equal(t, start.AddDate(0, 1, 0), *sub.CurrentMeterPeriodEnd)
	for range 3 {
		must(s.client.Events.Ingest(s.ctx, models.EventsIngest{Events: []models.EventCreate{{Name: "call", CustomerID: &c.ID}}}))(t)
		s.srv.Advance(40 * 24 * time.Hour)
	}
	orders := s.orders(c)
	assert.Equal(t, []int64{12_000, 10, 10, 10}, totals(orders))
	assert.Equal(t, models.OrderBillingReasonSubscriptionMeterCycle, orders[1].BillingReason)
}

func TestSeats(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	p := s.plan("Team", 0, func(b *models.ProductCreateRecurring) {
		b.Prices = []models.ProductPriceCreate{models.ProductPriceSeatBasedCreate{SeatTiers: models.ProductPriceSeatTiersCreate{Tiers: []models.ProductPriceSeatTier{
			{MinSeats: 1, MaxSeats: new(4), PricePerSeat: 1000}, {MinSeats: 5, PricePerSeat: 800}}}}}
	})
	sub := s.subscribe(c, p, func(b *models.CheckoutCreate) { b.Seats = new(3) })
	assert.Equal(t, 3, *sub.Seats)
	assert.Equal(t, int64(3000), sub.Amount)
	got := must(s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateSeats{Seats: 5, ProrationBehavior: models.Set(models.ProrationBehaviorInvoice)}))(t)
	assert.Equal(t, int64(4000), got.Amount)
	assert.Equal(t, []int64{3000, 1000}, totals(s.orders(c)))
	_, err := s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateUnits{Units: 5})
	require.ErrorIs(t, err, polar.ErrValidation)
}

func TestUpgradeThatIsNotPaid(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.customer("a@example.com")
	sub := s.subscribe(c, s.plan("Basic", 1000))
	require.NoError(t, s.srv.DeclinePayments(c.ID, true))
	yearly := s.plan("Yearly", 9000, func(b *models.ProductCreateRecurring) { b.RecurringInterval = models.RecurringIntervalYear })
	_, err := s.client.Subscriptions.Update(s.ctx, sub.ID, models.SubscriptionUpdateDetails{ProductID: models.Set(yearly.ID)})
	require.ErrorIs(t, err, polar.ErrPaymentFailed)
	assert.Equal(t, sub.ProductID, s.subscription(sub.ID).ProductID)
	assert.Len(t, s.orders(c), 1)
	require.NoError(t, s.srv.DeclinePayments(c.ID, false))
	s.until(start.AddDate(0, 1, 0))
	assert.Equal(t, []int64{1000, 1000}, totals(s.orders(c)), "it renews once, as before")
}

func TestRefunds(t *testing.T) {
	t.Parallel()
	s := newShop(t, polartest.WithTaxRate(2000))
	c := s.customer("a@example.com")
	p := must(s.client.Products.Create(s.ctx, models.ProductCreateOneTime{Name: "Book", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1000}}}))(t)
	b := must(s.client.Benefits.Create(s.ctx, models.BenefitCustomCreate{Description: "Support"}))(t)
	must(s.client.Products.SetBenefits(s.ctx, p.ID, models.ProductBenefitsUpdate{Benefits: []string{b.ID}}))(t)
	s.buy(c, p)
	order := s.orders(c)[0]
	assert.Equal(t, int64(1200), order.TotalAmount)
	assert.Equal(t, int64(1000), order.RefundableAmount)
	refund := must(s.client.Refunds.Create(s.ctx, models.RefundCreate{OrderID: order.ID, Amount: 333, Reason: models.RefundReasonCustomerRequest}))(t)
	assert.Equal(t, int64(67), refund.TaxAmount)
	order = s.orders(c)[0]
	assert.Equal(t, models.OrderStatusPartiallyRefunded, order.Status)
	assert.Equal(t, int64(667), order.RefundableAmount)
	_, err := s.client.Refunds.Create(s.ctx, models.RefundCreate{OrderID: order.ID, Amount: 668, Reason: models.RefundReasonOther})
	require.ErrorIs(t, err, polar.ErrValidation)
	refund = must(s.client.Refunds.Create(s.ctx, models.RefundCreate{OrderID: order.ID, Amount: 667, Reason: models.RefundReasonOther, RevokeBenefits: new(true)}))(t)
	assert.Equal(t, int64(133), refund.TaxAmount)
	order = s.orders(c)[0]
	assert.Equal(t, models.OrderStatusRefunded, order.Status)
	assert.Equal(t, int64(200), order.RefundedTaxAmount)
	assert.Empty(t, must(s.client.Customers.State(s.ctx, c.ID))(t).GrantedBenefits)
	_, err = s.client.Refunds.Create(s.ctx, models.RefundCreate{OrderID: order.ID, Amount: 1, Reason: models.RefundReasonOther})
	require.ErrorIs(t, err, polar.ErrRefundedAlready)
}
