// Package models holds what Polar's API sends and takes: one Go type for each of its objects, their enumerations and
// their alternatives. Most files are generated from the description of the API; the types that need more care are
// written by hand, among them [Nullable], [Metadata], [Decimal], [Date], [Filter] and [EventCreate].
//
// # Fields
//
// A field that is a plain value is always there. A pointer may be nil: in a response because Polar has no value, in a
// request because it may be left out. In the bodies of updates [Nullable] tells apart what a pointer cannot: leave the
// value as it is, replace it, clear it.
//
// Amounts of money are int64 in the smallest unit of the currency, cents for example. Prices per unit and costs can be
// smaller than that and are a [Decimal]. [FormatAmount] and [FormatUnitAmount] write them for people, and [ParseAmount]
// reads what a person typed.
//
// # Billing periods
//
// A period of a subscription begins with CurrentPeriodStart and lasts until CurrentPeriodEnd, which is the first moment of
// the next one: a moment t lies in it if !t.Before(start) && t.Before(end). Fixed prices are charged at its start, metered
// usage after its end. Usage counts in the period in which Polar receives the event, whatever its timestamp.
//
// Months and years are those of the calendar, in UTC. Where a month lacks the day on which a subscription began, the period
// ends on the last day of that month. So do not compute the end, read it; trials and moved periods have other lengths as well.
//
// What happens to the money when a subscription changes within a period:
//
//   - Another product, more or fewer seats or units: [ProrationBehavior] decides. The difference is counted for the time that
//     is left of the period. With invoice it is charged at once, and if that fails nothing changes; what is due
//     to the customer is credited. With prorate it waits for the next invoice. With next_period nothing is settled, since the
//     change itself waits, as the subscription's PendingUpdate. With reset the rest of the paid period is given up, and a new
//     period is charged in full.
//   - Cancellation at the end of the period ([SubscriptionCancel]): nothing is charged or given back. Everything stays until
//     the end of the period; then the usage of it is billed and access ends. Until then it can be taken back.
//   - The end at once ([SubscriptionRevoke]): access ends, and nothing is given back by itself.
//   - A refund ([RefundCreate]) gives money back and leaves the subscription as it is. An order of a subscription's period can
//     be refunded in part.
//
// # Alternatives
//
// Where the type of a value depends on another value, the field is an interface that only types of this package
// implement, to be used in a type switch. Its comment lists them. One of them has a name that starts with Unknown: it
// keeps the JSON text of an alternative that Polar has added since, so that reading never fails because of it.
//
// # Enumerations
//
// Enumerations are strings. A value that this version does not know is passed on as it came; the Known method tells.
//
// # JSON
//
// All types can be read and written with encoding/json as well as with encoding/json/v2.
package models
