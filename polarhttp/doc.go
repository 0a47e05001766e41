// Package polarhttp has what a web program needs around Polar: handlers that send a visitor to the checkout and to the
// customer portal, and a [Gate] that lets only those requests through whose customer has what they need.
//
//	checkout, err := polarhttp.Checkout(client, polarhttp.WithSuccessURL("https://example.com/thanks"), polarhttp.WithCheckoutID())
//	portal, err := polarhttp.CustomerPortal(client, currentCustomer, polarhttp.WithReturnURL("https://example.com/account"))
//	gate, err := polarhttp.NewGate(client, currentCustomer)
//
//	mux.Handle("/checkout", checkout) // a link: /checkout?products=<id of the product>
//	mux.Handle("/portal", portal)
//	mux.Handle("/reports", gate.Require(polarhttp.Benefit(reportsID))(reports))
//	webhooks.On(router, gate.CustomerStateChanged)
//
// Here currentCustomer is a [CustomerFunc] of the program: who is signed in. A checkout can also open over a page of the
// program, by an [EmbedLink].
package polarhttp
