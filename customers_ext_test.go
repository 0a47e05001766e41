package polar_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// before runs a function before the first request with this method and path is sent.
func before(method, path string, f func()) polar.Middleware {
	var once sync.Once
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == method && r.URL.Path == path {
				once.Do(f)
			}
			return next.RoundTrip(r)
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func operations(srv *polartest.Server) (list []string) {
	for _, r := range srv.Requests() {
		list = append(list, fmt.Sprintf("%s %d", r.Operation, r.Status))
	}
	srv.ForgetRequests()
	return list
}

func TestEnsureCustomer(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	customers := srv.Client().Customers
	ada := models.CustomerCreate{ExternalID: new("user_1"), Email: "ada@example.com", Name: new("Ada")}

	first, err := customers.Ensure(t.Context(), ada)
	require.NoError(t, err)
	assert.Equal(t, "user_1", *first.ExternalID)
	assert.Equal(t, "Ada", *first.Name)
	assert.Equal(t, []string{"customers:get_external 404", "customers:create 201"}, operations(srv))

	ada.Name, ada.Email = new("Countess"), "new@example.com"
	again, err := customers.Ensure(t.Context(), ada)
	require.NoError(t, err)
	assert.Equal(t, first, again, "the rest of the body is for new customers only")
	assert.Equal(t, []string{"customers:get_external 200"}, operations(srv))

	for _, id := range []*string{nil, new("")} {
		_, err = customers.Ensure(t.Context(), models.CustomerCreate{ExternalID: id, Email: "x@example.com"})
		require.ErrorContains(t, err, "ExternalID is empty")
	}
	assert.Empty(t, operations(srv))
}

func TestEnsureCustomerLinksByEmail(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	customers := srv.Client().Customers
	guest, err := customers.Create(t.Context(), models.CustomerCreate{Email: "Ada@example.com"})
	require.NoError(t, err)

	linked, err := customers.Ensure(t.Context(), models.CustomerCreate{ExternalID: new("user_1"), Email: "ada@example.com"})
	require.NoError(t, err)
	assert.Equal(t, guest.ID, linked.ID)
	assert.Equal(t, "user_1", *linked.ExternalID)

	srv.ForgetRequests()
	_, err = customers.Ensure(t.Context(), models.CustomerCreate{ExternalID: new("user_2"), Email: "ada@example.com"})
	assert.Empty(t, srv.Requests("customers:update"), "an external id is not asked to change")
	taken, ok := errors.AsType[*polar.CustomerTakenError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, guest.ID, taken.Customer.ID)
	assert.ErrorIs(t, err, polar.ErrValidation)
	assert.NotContains(t, err.Error(), "ada")
	assert.NotContains(t, err.Error(), "user_")
}

func TestEnsureCustomerIsNotLinkedWithoutReason(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	_, err := srv.Client().Customers.Ensure(t.Context(), models.CustomerCreate{ExternalID: new("user_1"), Email: "not an address"})
	require.ErrorIs(t, err, polar.ErrValidation)
	_, taken := errors.AsType[*polar.CustomerTakenError](err)
	assert.False(t, taken)

	// only a 404 about the customer means that there is none
	srv.Break("customers:get_external", 1, polartest.BadGateway(http.StatusForbidden))
	srv.ForgetRequests()
	_, err = srv.Client().Customers.Ensure(t.Context(), models.CustomerCreate{ExternalID: new("user_1"), Email: "ada@example.com"})
	require.ErrorIs(t, err, polar.ErrForbidden)
	assert.Empty(t, srv.Requests("customers:create"))
}

// Two processes find no customer, and both create one.
func TestEnsureCustomerTwiceAtOnce(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	var looked sync.WaitGroup
	looked.Add(2)
	body := models.CustomerCreate{ExternalID: new("user_1"), Email: "ada@example.com"}
	var got [2]*models.Customer
	var errs [2]error
	var done sync.WaitGroup
	for i := range got {
		client, err := srv.Client().With(polar.WithMiddleware(before(http.MethodPost, "/v1/customers/", func() {
			looked.Done()
			looked.Wait()
		})))
		require.NoError(t, err)
		done.Go(func() { got[i], errs[i] = client.Customers.Ensure(context.Background(), body) })
	}
	done.Wait()
	require.NoError(t, errors.Join(errs[:]...))
	assert.Equal(t, got[0].ID, got[1].ID)
	assert.Len(t, srv.Requests("customers:create"), 2)
}

// Two processes find the same guest, who has no external id yet.
func TestEnsureCustomerLinksTwiceAtOnce(t *testing.T) {
	t.Parallel()
	for _, other := range []string{"user_1", "user_2"} {
		srv := polartest.NewServer(t)
		guest, err := srv.Client().Customers.Create(t.Context(), models.CustomerCreate{Email: "ada@example.com"})
		require.NoError(t, err)
		client, err := srv.Client().With(polar.WithMiddleware(before(http.MethodPatch, "/v1/customers/"+guest.ID, func() {
			_, err := srv.Client().Customers.Ensure(context.Background(), models.CustomerCreate{ExternalID: &other, Email: "ada@example.com"})
			assert.NoError(t, err)
		})))
		require.NoError(t, err)
		got, err := client.Customers.Ensure(t.Context(), models.CustomerCreate{ExternalID: new("user_1"), Email: "ada@example.com"})
		if other == "user_1" {
			require.NoError(t, err)
			assert.Equal(t, guest.ID, got.ID)
			continue
		}
		taken, ok := errors.AsType[*polar.CustomerTakenError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, other, *taken.Customer.ExternalID)
	}
}

func TestEnsureCustomerAfterALostAnswer(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	srv.Break("customers:create", 1, polartest.LoseAnswer())
	got, err := srv.Client().Customers.Ensure(t.Context(), models.CustomerCreate{ExternalID: new("user_1"), Email: "ada@example.com"})
	require.NoError(t, err)
	assert.Equal(t, "user_1", *got.ExternalID)
	assert.Len(t, srv.Requests("customers:create"), 1)

	srv.Break("customers:create", 1, polartest.BadGateway(http.StatusBadGateway))
	_, err = srv.Client().Customers.Ensure(t.Context(), models.CustomerCreate{ExternalID: new("user_2"), Email: "eve@example.com"})
	require.ErrorIs(t, err, polar.ErrOutcomeUnknown, "nothing was created, and nothing is sent again")
}

func TestCustomerState(t *testing.T) {
	t.Parallel()
	ctx, srv := t.Context(), polartest.NewServer(t)
	client := srv.Client()
	meter, err := client.Meters.Create(ctx, models.MeterCreate{
		Name: "Calls", Filter: models.Filter{Conjunction: models.FilterConjunctionAnd}, Aggregation: models.Count(),
	})
	require.NoError(t, err)
	credit, err := client.Benefits.Create(ctx, models.BenefitMeterCreditCreate{
		Description: "Ten calls", Properties: models.BenefitMeterCreditProperties{MeterID: meter.ID, Units: 10},
	})
	require.NoError(t, err)
	product, err := client.Products.Create(ctx, models.ProductCreateRecurring{
		Name: "Pro", RecurringInterval: models.RecurringIntervalMonth, Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 900}},
	})
	require.NoError(t, err)
	_, err = client.Products.SetBenefits(ctx, product.ID, models.ProductBenefitsUpdate{Benefits: []string{credit.ID}})
	require.NoError(t, err)
	customer, err := client.Customers.Ensure(ctx, models.CustomerCreate{ExternalID: new("user_1"), Email: "ada@example.com"})
	require.NoError(t, err)

	state := func() *models.CustomerState {
		t.Helper()
		state, err := client.Customers.StateByExternalID(ctx, "user_1")
		require.NoError(t, err)
		return state
	}
	assert.Nil(t, state().Subscription(product.ID))
	assert.Nil(t, state().Benefit(credit.ID))
	_, counts := state().Balance(meter.ID)
	assert.False(t, counts)

	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, CustomerID: &customer.ID})
	require.NoError(t, err)
	require.NoError(t, srv.CompleteCheckout(checkout.ID))
	now := state()
	sub := now.Subscription(product.ID)
	require.NotNil(t, sub)
	require.NotNil(t, now.Benefit(credit.ID))
	balance, counts := now.Balance(meter.ID)
	assert.True(t, counts)
	assert.Equal(t, 10.0, balance)
	assert.Nil(t, now.Subscription("other"))
	assert.Nil(t, now.Benefit("other"))

	_, err = client.Subscriptions.Update(ctx, sub.ID, models.SubscriptionCancel{CancelAtPeriodEnd: true})
	require.NoError(t, err)
	assert.NotNil(t, state().Subscription(product.ID), "it has not ended yet")
	srv.Advance(32 * 24 * time.Hour)
	assert.Nil(t, state().Subscription(product.ID))
	assert.Nil(t, state().Benefit(credit.ID))
}

func ExampleCustomerService_Ensure() {
	srv, err := polartest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	client := srv.Client()

	// On each sign-in: the same customer, whether the user is new or not.
	for range 2 {
		customer, err := client.Customers.Ensure(context.Background(), models.CustomerCreate{
			ExternalID: new("user_42"),
			Email:      "ada@example.com",
		})
		if taken, ok := errors.AsType[*polar.CustomerTakenError](err); ok {
			fmt.Println("somebody has to look at customer", taken.Customer.ID)
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(*customer.ExternalID, customer.Email)
	}
	// Output:
	// user_42 ada@example.com
	// user_42 ada@example.com
}
