package models

// Subscription returns the customer's subscription to a product, if it is active or in its trial, and nil if there is
// none. A cancelled subscription counts until it ends. One that is past due is not in the state: ask for the benefits
// instead, which stay for the grace period.
func (s *CustomerState) Subscription(productID string) *CustomerStateSubscription {
	for i := range s.ActiveSubscriptions {
		if sub := &s.ActiveSubscriptions[i]; sub.ProductID == productID {
			return sub
		}
	}
	return nil
}

// Benefit returns the grant by which the customer has a benefit at the moment, and nil if the customer does not have it. This
// is the question to decide about access with: it holds for subscriptions, one-time purchases and seats alike.
func (s *CustomerState) Benefit(benefitID string) *CustomerStateBenefitGrant {
	for i := range s.GrantedBenefits {
		if grant := &s.GrantedBenefits[i]; grant.BenefitID == benefitID {
			return grant
		}
	}
	return nil
}

// Balance returns what is left of the units of a meter that the customer was credited, and false if the meter does
// not count for the customer. Below zero the units are billed: Polar itself refuses no usage. It lags a little behind the
// ingested events.
func (s *CustomerState) Balance(meterID string) (float64, bool) {
	for _, m := range s.ActiveMeters {
		if m.MeterID == meterID {
			return m.Balance, true
		}
	}
	return 0, false
}
