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
