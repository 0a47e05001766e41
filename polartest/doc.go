// Package polartest is a Polar server to develop and test against: it starts in
// a moment inside a test or a program, needs no network and no account, and
// answers like the real API, from the shapes of its errors to the amounts of
// an order.
//
//	srv := polartest.NewServer(t)
//	client := srv.Client()
//	product, err := client.Products.Create(ctx, ...)
//	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, ...})
//	err = srv.CompleteCheckout(checkout.ID)      // the customer pays
//	srv.Advance(31 * 24 * time.Hour)             // a month passes: the subscription renews
//
// What a call answers depends on the calls before it: the server keeps one
// organization with its products, customers, subscriptions, orders, events and
// meters in memory. Nothing is written anywhere.
//
// Time is the server's own: it starts at the present, or where [WithTime] puts
// it, and [Server.Advance] moves it and runs everything that falls due, in order.
//
// Cards are known by their confirmation tokens, which may be any text. One with
// "decline" in it is refused; with "decline_later" it is accepted now and refused
// when it is charged again; with "requires_action" its owner has a step to take at
// the bank first: [Server.AuthenticatePayment] plays it for a payment, and
// confirming the payment method ends it for a new card. What Polar sends by e-mail
// is told by [Server.SeatInvitation] and [Server.EmailUpdateToken].
//
// People can buy too: a checkout's URL, and that of a customer session, are pages
// of this server for a browser, with buttons for cards that pay, that are refused,
// and that ask for a step at the bank. The page where OAuth2 asks for consent is at
// /oauth2/authorize, and [Server.Authorize] agrees without a browser.
package polartest
