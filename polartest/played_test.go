package polartest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

func TestAddPayment(t *testing.T) {
	s := newShop(t)
	s.subscribe(s.customer("ann@example.com"), s.plan("Pro", 2000))
	order := must(s.client.Orders.List(t.Context(), nil))(t).Items[0]
	get := func(p models.Payment) *models.Payment {
		return must(s.client.Payments.Get(t.Context(), must(s.srv.AddPayment(p))(t)))(t)
	}
	plain := get(models.Payment{Amount: 700})
	assert.Equal(t, models.PaymentStatusSucceeded, plain.Status)
	assert.EqualValues(t, 700, plain.Amount)
	assert.Equal(t, "usd", plain.Currency)
	assert.Equal(t, "card", plain.Method)

	failed := get(models.Payment{OrderID: &order.ID, Status: models.PaymentStatusFailed, DeclineReason: new("insufficient_funds"), Trigger: new(models.PaymentTriggerRetryDunning)})
	assert.Equal(t, order.TotalAmount, failed.Amount)
	assert.Equal(t, "insufficient_funds", *failed.DeclineReason)
	assert.NotEmpty(t, failed.DeclineMessage)
	assert.Equal(t, models.PaymentTriggerRetryDunning, *failed.Trigger)
	pending := get(models.Payment{Amount: 5, Currency: "eur", Status: models.PaymentStatusPending, Method: "sepa_debit"})
	assert.Equal(t, models.PaymentStatusPending, pending.Status)
	assert.Nil(t, pending.MethodMetadata)

	for _, p := range []models.Payment{{OrderID: new("none")}, {CheckoutID: new("none")}, {Amount: -1}, {Status: "maybe"}} {
		_, err := s.srv.AddPayment(p)
		assert.Error(t, err)
	}
}

func TestRevokeGrant(t *testing.T) {
	s := newShop(t)
	benefit := must(s.client.Benefits.Create(t.Context(), models.BenefitCustomCreate{Description: "A letter"}))(t)
	product := s.plan("Pro", 2000)
	must(s.client.Products.SetBenefits(t.Context(), product.ID, models.ProductBenefitsUpdate{Benefits: []string{benefit.ID}}))(t)
	s.subscribe(s.customer("ann@example.com"), product)
	grant := must(s.client.BenefitGrants.List(t.Context(), nil))(t).Items[0]
	require.True(t, grant.IsGranted)
	require.NoError(t, s.srv.RevokeGrant(grant.ID))
	grant = must(s.client.BenefitGrants.List(t.Context(), nil))(t).Items[0]
	assert.True(t, grant.IsRevoked)
	assert.Error(t, s.srv.RevokeGrant(grant.ID), "it is gone")
	assert.Error(t, s.srv.RevokeGrant("none"))
}
