package models_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/polar-go/polar/models"
)

func TestSubscriptionQuestions(t *testing.T) {
	ask := func(s *models.Subscription) (yes []string) {
		for _, q := range []struct {
			name string
			ask  func() bool
		}{
			{"valid", s.IsValid}, {"trial", s.OnTrial}, {"grace", s.OnGracePeriod}, {"past due", s.IsPastDue}, {"canceled", s.IsCanceled}, {"ended", s.HasEnded},
		} {
			if q.ask() {
				yes = append(yes, q.name)
			}
		}
		return yes
	}
	want := map[models.SubscriptionStatus][]string{
		models.SubscriptionStatusIncomplete:        nil,
		models.SubscriptionStatusIncompleteExpired: {"ended"},
		models.SubscriptionStatusTrialing:          {"valid", "trial"},
		models.SubscriptionStatusActive:            {"valid"},
		models.SubscriptionStatusPastDue:           {"past due"},
		models.SubscriptionStatusCanceled:          {"canceled", "ended"},
		models.SubscriptionStatusUnpaid:            {"ended"},
		models.SubscriptionStatusPaused:            nil,
	}
	for _, status := range models.SubscriptionStatusValues() {
		yes, ok := want[status]
		assert.True(t, ok, "%s is not thought of", status)
		assert.Equal(t, yes, ask(&models.Subscription{Status: status}), status)
	}
	assert.Equal(t, []string{"valid", "grace", "canceled"}, ask(&models.Subscription{Status: models.SubscriptionStatusActive, CancelAtPeriodEnd: true}))
	assert.Equal(t, []string{"valid", "trial", "grace", "canceled"}, ask(&models.Subscription{Status: models.SubscriptionStatusTrialing, CanceledAt: new(time.Now())}))
	assert.Equal(t, []string{"past due", "canceled"}, ask(&models.Subscription{Status: models.SubscriptionStatusPastDue, CancelAtPeriodEnd: true}))
	assert.Equal(t, []string{"ended"}, ask(&models.Subscription{Status: "newer", EndedAt: new(time.Now())}))
}

func TestOrderQuestions(t *testing.T) {
	paid := []models.OrderStatus{models.OrderStatusPaid, models.OrderStatusPartiallyRefunded}
	for _, status := range models.OrderStatusValues() {
		o := &models.Order{Status: status, Paid: status == models.OrderStatusRefunded}
		assert.Equal(t, slices.Contains(paid, status), o.IsPaid(), status)
		assert.Equal(t, status == models.OrderStatusRefunded, o.IsRefunded(), status)
		assert.Equal(t, status == models.OrderStatusPartiallyRefunded, o.IsPartiallyRefunded(), status)
	}
	assert.True(t, (&models.Order{Status: "newer", Paid: true}).IsPaid())
	assert.False(t, (&models.Order{Status: "newer"}).IsPaid())

	assert.True(t, (&models.Order{ProductID: new("p")}).HasProduct("p"))
	assert.True(t, (&models.Order{Product: &models.ProductSummary{ID: "p"}}).HasProduct("p"))
	assert.False(t, (&models.Order{ProductID: new("p")}).HasProduct("q"))
	assert.False(t, (&models.Order{ProductID: new("")}).HasProduct(""))
	assert.False(t, (&models.Order{}).HasProduct("p"))
}

func ExampleOrder_IsPaid() {
	order := &models.Order{Status: models.OrderStatusPartiallyRefunded, ProductID: new("prod_book"), RefundedAmount: 300}
	if order.IsPaid() && order.HasProduct("prod_book") {
		fmt.Println("the book is theirs")
	}
	if order.IsPartiallyRefunded() {
		fmt.Println("refunded so far:", order.RefundedAmount)
	}
	// Output:
	// the book is theirs
	// refunded so far: 300
}

func ExampleSubscription_IsValid() {
	sub := &models.Subscription{
		Status:            models.SubscriptionStatusActive,
		CancelAtPeriodEnd: true,
		EndsAt:            new(time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)),
	}
	fmt.Println(sub.IsValid(), sub.IsCanceled(), sub.HasEnded())
	if sub.OnGracePeriod() {
		fmt.Println("ends on", sub.EndsAt.Format(time.DateOnly))
	}
	// Output:
	// true true false
	// ends on 2026-11-05
}
