package models_test

import (
	"fmt"

	"github.com/polar-go/polar/models"
)

func ExampleCustomerState() {
	// from Customers.State, or the webhook customer.state_changed
	state := &models.CustomerState{
		ActiveSubscriptions: []models.CustomerStateSubscription{{ProductID: "prod_pro", CancelAtPeriodEnd: true}},
		GrantedBenefits:     []models.CustomerStateBenefitGrant{{BenefitID: "ben_reports"}},
		ActiveMeters:        []models.CustomerStateMeter{{MeterID: "met_tokens", Balance: 120}},
	}
	if state.Benefit("ben_reports") != nil {
		fmt.Println("show the reports")
	}
	if sub := state.Subscription("prod_pro"); sub != nil && sub.CancelAtPeriodEnd {
		fmt.Println("offer to stay")
	}
	if left, ok := state.Balance("met_tokens"); ok {
		fmt.Println(left, "tokens left")
	}
	// Output:
	// show the reports
	// offer to stay
	// 120 tokens left
}
