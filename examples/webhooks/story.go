package main

import (
	"time"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

// story returns one event of each type, about one customer who buys a plan, and
// what the shop does meanwhile.
func story() []webhooks.Event {
	now := time.Now().UTC().Truncate(time.Second)
	at := func(minutes int) webhooks.Delivery { // delivered now, made then
		return webhooks.Delivery{Timestamp: now.Add(time.Duration(minutes-60) * time.Minute)}
	}
	jane := models.Customer{ID: "cus_jane", CreatedAt: now, Email: "jane@example.com", Name: new("Jane"), Type: models.CustomerTypeIndividual, OrganizationID: "org_acme"}
	owner := models.Member{ID: "mem_jane", CreatedAt: now, CustomerID: jane.ID, Email: jane.Email, Role: models.MemberRoleOwner}
	plan := models.Product{ID: "prod_team", CreatedAt: now, Name: "Team plan", IsRecurring: true, OrganizationID: "org_acme"}
	wiki := models.Benefit{ID: "ben_wiki", CreatedAt: now, Type: models.BenefitTypeCustom, Description: "Access to the wiki", OrganizationID: "org_acme"}
	tenth := models.Discount{ID: "dis_tenth", CreatedAt: now, Name: "A tenth off", Type: models.DiscountTypePercentage, BasisPoints: new(1000)}

	checkout := models.Checkout{ID: "chk_1", CreatedAt: now, Status: models.CheckoutStatusOpen, Currency: "usd", TotalAmount: 4900, ProductID: &plan.ID, CustomerEmail: &jane.Email}
	paidFor, expired := checkout, checkout
	paidFor.Status, expired.Status = models.CheckoutStatusSucceeded, models.CheckoutStatusExpired

	sub := models.Subscription{
		ID: "sub_1", CreatedAt: now, Amount: 4900, Currency: "usd", Status: models.SubscriptionStatusActive, RecurringInterval: models.RecurringIntervalMonth,
		RecurringIntervalCount: 1, CurrentPeriodStart: now, CurrentPeriodEnd: now.AddDate(0, 1, 0), CustomerID: jane.ID, Customer: jane, ProductID: plan.ID, Product: plan,
	}
	incomplete, ending, late, paused, over := sub, sub, sub, sub, sub
	incomplete.Status = models.SubscriptionStatusIncomplete
	ending.CancelAtPeriodEnd, ending.CanceledAt = true, &now
	late.Status = models.SubscriptionStatusPastDue
	paused.PausedAt = &now
	over.Status, over.EndedAt = models.SubscriptionStatusCanceled, &now

	order := models.Order{
		ID: "ord_1", CreatedAt: now, Status: models.OrderStatusPending, SubtotalAmount: 4900, NetAmount: 4900, TotalAmount: 4900, DueAmount: 4900, Currency: "usd",
		BillingReason: models.OrderBillingReasonSubscriptionCreate, CustomerID: jane.ID, Customer: jane, ProductID: &plan.ID, SubscriptionID: &sub.ID,
	}
	paid := order
	paid.Status, paid.Paid = models.OrderStatusPaid, true
	refunded := paid
	refunded.Status, refunded.RefundedAmount = models.OrderStatusRefunded, paid.TotalAmount
	refund := models.Refund{ID: "ref_1", CreatedAt: now, Status: models.RefundStatusPending, Amount: 4900, Currency: "usd", OrderID: order.ID, CustomerID: jane.ID}
	arrived := refund
	arrived.Status = models.RefundStatusSucceeded

	grant := models.BenefitGrant{ID: "gra_1", CreatedAt: now, IsGranted: true, GrantedAt: &now, SubscriptionID: &sub.ID, CustomerID: jane.ID, Customer: jane, BenefitID: wiki.ID, Benefit: wiki}
	taken := grant
	taken.IsGranted, taken.IsRevoked, taken.RevokedAt = false, true, &now
	state := models.CustomerState{
		ID: jane.ID, CreatedAt: now, Email: jane.Email, Type: string(jane.Type), OrganizationID: jane.OrganizationID,
		ActiveSubscriptions: []models.CustomerStateSubscription{{ID: sub.ID}}, GrantedBenefits: []models.CustomerStateBenefitGrant{{ID: grant.ID, BenefitID: wiki.ID}},
	}
	seat := models.Seat{ID: "seat_1", CreatedAt: now, Status: models.SeatStatusPending, SubscriptionID: &sub.ID, Email: new("bob@example.com")}
	claimed, freed := seat, seat
	claimed.Status, freed.Status = models.SeatStatusClaimed, models.SeatStatusRevoked

	return []webhooks.Event{
		&webhooks.OrganizationUpdated{Delivery: at(0), Data: models.Organization{ID: "org_acme", CreatedAt: now, Name: "Acme", Slug: "acme"}},
		&webhooks.BenefitCreated{Delivery: at(0), Data: wiki},
		&webhooks.BenefitUpdated{Delivery: at(1), Data: wiki},
		&webhooks.ProductCreated{Delivery: at(1), Data: plan},
		&webhooks.ProductUpdated{Delivery: at(2), Data: plan},
		&webhooks.DiscountCreated{Delivery: at(2), Data: tenth},
		&webhooks.DiscountUpdated{Delivery: at(3), Data: tenth},
		&webhooks.DiscountDeleted{Delivery: at(3), Data: tenth},

		&webhooks.CheckoutExpired{Delivery: at(4), Data: expired},
		&webhooks.CheckoutCreated{Delivery: at(5), Data: checkout},
		&webhooks.CustomerCreated{Delivery: at(6), Data: jane},
		&webhooks.MemberCreated{Delivery: at(6), Data: owner},
		&webhooks.CheckoutUpdated{Delivery: at(7), Data: paidFor},
		&webhooks.OrderCreated{Delivery: at(7), Data: order},
		&webhooks.SubscriptionCreated{Delivery: at(7), Data: incomplete},
		&webhooks.OrderUpdated{Delivery: at(8), Data: paid},
		&webhooks.OrderPaid{Delivery: at(8), Data: paid},
		&webhooks.SubscriptionActive{Delivery: at(8), Data: sub},
		&webhooks.SubscriptionUpdated{Delivery: at(8), Data: sub},
		&webhooks.BenefitGrantCreated{Delivery: at(8), Data: grant},
		&webhooks.CustomerStateChanged{Delivery: at(8), Data: state},

		&webhooks.CustomerUpdated{Delivery: at(9), Data: jane},
		&webhooks.MemberUpdated{Delivery: at(9), Data: owner},
		&webhooks.CustomerSeatAssigned{Delivery: at(10), Data: seat},
		&webhooks.CustomerSeatClaimed{Delivery: at(11), Data: claimed},
		&webhooks.CustomerSeatRevoked{Delivery: at(12), Data: freed},
		&webhooks.SubscriptionCycled{Delivery: at(13), Data: sub},
		&webhooks.BenefitGrantCycled{Delivery: at(13), Data: grant},
		&webhooks.BenefitGrantUpdated{Delivery: at(14), Data: grant},
		&webhooks.SubscriptionPastDue{Delivery: at(15), Data: late},
		&webhooks.SubscriptionPaused{Delivery: at(16), Data: paused},
		&webhooks.SubscriptionResumed{Delivery: at(17), Data: sub},
		&webhooks.SubscriptionMigrated{Delivery: at(18), Data: sub, Provider: "stripe", ProviderSubscriptionID: "sub_1NxYz"},
		&webhooks.SubscriptionCanceled{Delivery: at(19), Data: ending},
		&webhooks.SubscriptionUncanceled{Delivery: at(20), Data: sub},

		&webhooks.RefundCreated{Delivery: at(21), Data: refund},
		&webhooks.RefundUpdated{Delivery: at(22), Data: arrived},
		&webhooks.OrderRefunded{Delivery: at(22), Data: refunded},
		&webhooks.SubscriptionRevoked{Delivery: at(23), Data: over},
		&webhooks.BenefitGrantRevoked{Delivery: at(23), Data: taken},
		&webhooks.MemberDeleted{Delivery: at(24), Data: owner},
		&webhooks.CustomerDeleted{Delivery: at(24), Data: jane},
	}
}
