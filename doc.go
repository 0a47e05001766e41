// Package polar is a client of the Polar billing API (https://polar.sh): products, checkouts, customers, subscriptions,
// orders, refunds, benefits, license keys, usage events and everything else that the API offers.
//
//	client, err := polar.New(polar.Token(os.Getenv("POLAR_ACCESS_TOKEN")), polar.WithEnvironment(polar.Sandbox))
//	if err != nil {
//		return err
//	}
//	order, err := client.Orders.Get(ctx, orderID)
//
// [New] makes the [Client] of a merchant's server, whose credential is an organization access token or an OAuth2 token.
// [NewPortal] and [Client.Portal] make a [Portal], which speaks for one customer and offers only what a customer may do.
// Both are safe for concurrent use, and one of each is enough for a process. The requests and answers are the types of
// the package models.
//
// # Calls
//
// A method takes a context, then the ids of the path, then the body or the query, then call options such as
// [CallResponse]. A query is passed by pointer and nil means Polar's defaults. An id that is empty, a body that is nil, a
// limit beyond 100 and the like are refused before anything is sent. What Polar does not offer as a method yet can be
// reached with [Client.Do].
//
// Lists come as one page (List) or as an iterator over every page (All), which asks for the next page only when the loop
// gets there:
//
//	for order, err := range client.Orders.All(ctx, nil) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(order.ID)
//	}
//
// # Errors
//
// Whatever Polar answers with a status of 400 or more is an [*Error]. Ask for its class with errors.Is(err,
// [ErrNotFound]) and for Polar's own name of it with errors.Is(err, [ErrorName]("AlreadyCanceledSubscription")); every
// name that Polar documents has a constant. Errors of the network wrap their cause, so errors.Is finds
// [context.Canceled] and [context.DeadlineExceeded]. No error and no log line holds a token, a query or a request body.
//
// # Retries
//
// Polar has no idempotency keys. A call that changes something is therefore never sent again once Polar may have read
// it; such a failure matches [ErrOutcomeUnknown], and the caller looks at the state before repeating it. Reads, and calls
// that Polar recognizes as repeated, are sent again after a broken connection and after the statuses 502, 503 and 504.
// Any call is sent again when the connection could not be made and when the rate limiter refused it. [RetryPolicy]
// holds the numbers.
//
// # Time limits
//
// The context limits a call as a whole and should have a deadline in a server. Apart from that each attempt has a limit,
// 30 seconds unless [WithAttemptTimeout] says otherwise. For streams (the CSV exports) that limit ends when the headers
// have come; only the context limits the reading of the rest.
//
// # Helpers
//
// Beside the methods that Polar's operations have, there are some that programs would otherwise write themselves:
// [CustomerService.Ensure] finds or creates a customer, [OrderService.Charge] charges a saved card at most once,
// [CheckoutService.Wait], [OrderService.WaitForInvoice] and [OrderService.WaitForReceipt] wait for what is made later,
// [FileService.Upload] uploads a file, and [OrderService.ExportRows] and its like read CSV exports. Questions about an order, a subscription or the state of a customer are methods of their
// types in the package models.
//
// # Other packages
//
// The package webhooks receives Polar's events, and ingest sends usage events in batches. The package polarhttp has handlers
// for net/http, license checks license keys in programs that customers run, and oauth is for applications that act for
// other merchants. The package polartest is a Polar server for tests. Guides are in the folder docs of the repository.
//
// # Versions
//
// Every request asks for one version of the API, [APIVersion], which this module was made for. Members that Polar adds
// later do not disturb it. Polar serves a version for about nine months; after that every call fails with
// [ErrAPIVersion] until the module is updated.
package polar
