package models

// IsValid reports whether the customer may use what was subscribed to: the subscription is active or on trial. A cancelled
// one is valid until it ends, see [Subscription.OnGracePeriod]. Like the other questions it is about the moment at which the
// subscription was read: one that the caller has kept does not end by itself, so fetch it anew or follow the webhooks.
//
// One that is past due is not valid here. Its benefits stay for as long as the organization allows, which the subscription does
// not say: ask [CustomerState.Benefit]. One that is paused, or whose first payment has not come in, is not valid either.
func (s *Subscription) IsValid() bool {
	return s.Status == SubscriptionStatusActive || s.Status == SubscriptionStatusTrialing
}

// OnTrial reports whether the trial is running. Nothing was charged yet, and TrialEnd is when that happens unless the
// subscription is cancelled before.
func (s *Subscription) OnTrial() bool { return s.Status == SubscriptionStatusTrialing }

// OnGracePeriod reports whether the subscription is cancelled and still valid, until EndsAt. It can be taken back in that
// time with [SubscriptionCancel]. The webhook subscription.canceled begins it, and subscription.revoked ends it.
func (s *Subscription) OnGracePeriod() bool { return s.IsValid() && s.IsCanceled() }

// IsPastDue reports whether a renewal could not be charged and Polar tries again: the customer should look at the payment
// method. It ends when the payment comes in, or with the subscription.
func (s *Subscription) IsPastDue() bool { return s.Status == SubscriptionStatusPastDue }

// IsCanceled reports whether somebody has cancelled the subscription, or Polar has for want of payment, no matter whether it has
// ended already. To decide about access, ask [Subscription.IsValid] instead: access goes on after a cancellation.
func (s *Subscription) IsCanceled() bool {
	return s.CancelAtPeriodEnd || s.CanceledAt != nil || s.Status == SubscriptionStatusCanceled
}

// HasEnded reports whether the subscription is over for good: cancelled and run out, revoked, given up after failed payments,
// or never begun because the first payment did not come in time. The customer has to subscribe anew to come back. One that
// is paused or past due has not ended.
func (s *Subscription) HasEnded() bool {
	switch s.Status {
	case SubscriptionStatusCanceled, SubscriptionStatusUnpaid, SubscriptionStatusIncompleteExpired:
		return true
	}
	return s.EndedAt != nil
}
