// Package webhooks receives the events that Polar delivers to a merchant's server: it verifies, parses and routes them,
// drops duplicates, and signs events for tests. It does not need the API client.
//
//	v, err := webhooks.NewVerifier(os.Getenv("POLAR_WEBHOOK_SECRET"))
//	if err != nil {
//		return err
//	}
//	r := webhooks.NewRouter(v)
//	webhooks.On(r, func(ctx context.Context, e *webhooks.OrderPaid) error {
//		return deliver(ctx, e.Data)
//	})
//	http.Handle("POST /webhooks/polar", r)
//
// [Router] is an [http.Handler] and works under every router that takes one. Where there is no net/http, or the body waits
// in a queue, use [Verifier.Parse] or [Verifier.Verify] with the body and the header as they came.
//
// # Which event to act on
//
//   - To deliver what was bought: [OrderPaid]. An [OrderCreated] may be unpaid, as those of renewals are at first, and a
//     customer who comes back from the checkout page has not proven anything. [CheckoutUpdated] says by its status
//     "succeeded" that a checkout went through.
//   - To give and take access: [CustomerStateChanged] has all that the customer has, so storing the last one is enough. Or
//     [BenefitGrantCreated] and [BenefitGrantRevoked] for each benefit, which [Entitlements] keeps in order.
//   - [SubscriptionCanceled] means that the subscription will end, mostly with the period that is paid for. Access goes on
//     until [SubscriptionRevoked]. [SubscriptionUncanceled] takes the cancellation back. [SubscriptionPastDue] says that a
//     payment failed and can still be made good.
//   - [SubscriptionUpdated] is sent beside the specific events of a subscription. Handle either it or them.
//
// # What is sent when
//
// Polar's order is best effort: an event that failed arrives after later ones. Compare [Delivery.Timestamp] and do not
// store an older state over a later one. The object in an event is as it was when the event was made; where it matters, get
// it from the API.
//
//	renewal       subscription.cycled, subscription.updated, order.created (pending), order.updated, order.paid
//	cancellation  subscription.updated, subscription.canceled; when the period is over subscription.updated,
//	              subscription.revoked, benefit_grant.revoked, customer.state_changed
//
// # How Polar delivers
//
// Polar waits 10 seconds for an answer and advises to take less than 2. Only a status from 200 to 299 counts as success;
// redirects are not followed. A failed event is sent up to 10 times in all, with pauses that double from 2 to 4 seconds up
// to about 17 minutes, together 17 to 34 minutes. All attempts have the same webhook-id and each has a timestamp of its
// own. After 10 events in a row that failed for good Polar disables the endpoint, tells the members of the organization by
// e-mail, and sends nothing until somebody enables it again; events from the time between are not sent later. Polar keeps
// events for 90 days and delivers them again on request.
//
// Therefore acknowledge what you do not handle, which [Router] does; mark errors that trying again will not cure with
// [Permanent]; and look at the endpoint's health now and then. The API client has methods for that: WebhookEndpoints.Health,
// WebhookEndpoints.Enable and WebhookDeliveries.RedeliverFailed.
//
// # Work that takes longer
//
// Let the handler put the event into a queue and return, and let workers call [Router.Dispatch]. A queue in memory has to be
// bounded, so that a full one answers with an error and Polar tries again, and it has to be drained when the process stops:
// what was acknowledged is not sent again. examples/webhooks-queue is a program that does so. With a queue that survives
// crashes, [Verifier.Verify] the delivery, store the body, and [Decode] it in the worker; the signature itself is too old
// by then.
//
// # Duplicates
//
// A [Router] drops deliveries that were handled already, by their webhook-id. By default it remembers them in its own
// memory; several processes behind one endpoint share a [RedisDeduper] or another [Deduper]. A redelivery by hand has the
// webhook-id of the first delivery, so within [DefaultRememberTime] it counts as a duplicate unless it is forgotten with
// [MemoryDeduper.Forget] or [RedisDeduper.Forget].
//
// # Secrets
//
// Pass the secret exactly as Polar shows it. Both ways in which Polar makes a key of it are tried, see [NewVerifier]. To
// change it: reset the secret at Polar, which signs with the new one from then on, give the new one to [NewVerifier], and
// add the old one with [WithPreviousSecret] for as long as deliveries are on their way.
//
// # Versions
//
// Payloads have the API version that is set for the endpoint, whatever version the API client uses. No payload is refused
// for its version. Events, members and values that this module does not know are passed on: see [Unknown] and [On].
//
// # On your own machine
//
// "polar listen" forwards the events of an organization to a local address. It signs with [ListenSecret], which is made of the
// id of the organization:
//
//	v, err := webhooks.NewVerifier(webhooks.ListenSecret(organizationID))
//
// It decodes and encodes payloads on the way. Where that changes the bytes, such as 10.0 that becomes 10, no receiver can
// verify the signature: use [NewRequest] to send such an event, or receive from the sandbox through a tunnel, which leaves
// bodies alone.
//
// # Tests
//
// [NewRequest] makes the request that delivers an event, and [Sign] the header for any body.
package webhooks
