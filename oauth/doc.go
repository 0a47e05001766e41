// Package oauth is for applications that act for other merchants, or whose users sign in with Polar: OAuth2 with the
// authorization code grant and PKCE. A merchant's own server does not need it, an organization access token is enough.
//
//	app, err := oauth.New(oauth.Config{
//		ClientID:     os.Getenv("POLAR_CLIENT_ID"),
//		ClientSecret: os.Getenv("POLAR_CLIENT_SECRET"),
//		RedirectURL:  "https://example.com/polar/callback",
//		Scopes:       []models.Scope{models.ScopeProductsRead, models.ScopeOrdersRead},
//	})
//	login, callback, err := app.Handlers(func(w http.ResponseWriter, r *http.Request, t *oauth.Token, err error) {
//		// look at err, store t for the user of the session, redirect
//	})
//	http.Handle("GET /polar/login", login)
//	http.Handle("GET /polar/callback", callback)
//
// Later, for each user whose token is stored:
//
//	src, err := app.Source(store)
//	client, err := src.Client(polar.WithOrganization(organizationID))
//	orders, err := client.Orders.List(ctx, nil)
//
// Without net/http, or with a session of your own, use [Client.Begin] and [Client.Finish] instead of the handlers.
//
// # Registration
//
// An application is registered in Polar's dashboard, or by a program with the client of the root package, which needs no
// credential for it:
//
//	anyone, err := polar.New(polar.Anonymous)
//	app, err := anyone.OAuth2Clients.Create(ctx, models.OAuth2ClientCreate{ClientName: "Acme", RedirectURIs: []string{redirectURL}})
//
// The answer has the id and the secret, and a RegistrationAccessToken that reads, changes and deletes this registration:
//
//	app, err = anyone.OAuth2Clients.Get(ctx, app.ClientID, polar.CallCredential(polar.Token(*app.RegistrationAccessToken)))
//
// # Tokens
//
// An access token ends after a time that Polar chooses (ten days, when this was written), and is renewed with a refresh token
// that works once. Losing the new refresh token means asking the user again. [Source] renews in time, once for all
// goroutines, and stores the new token before it is used; it says with [ErrReauthorize] when only the user can help. One
// Source for each user and process is the right number.
//
// # What is checked
//
// At the callback, before anything is sent: that it belongs to a sign-in of this browser (state), that it comes from Polar
// (iss, where it is given), that it has a code. Polar checks PKCE at the exchange. Of an ID token [Client.Finish] compares
// issuer, application, nonce and end. The signature of an ID token is not verified: the token comes from Polar itself over
// TLS, and OpenID Connect leaves it out there. Do not take ID tokens from anywhere else, such as a browser, as proof without
// a library that verifies them with the keys at JWKSURI of [Metadata]. To learn who the user is, ask OAuth2.UserInfo.
//
// # Other packages
//
// Programs with golang.org/x/oauth2 make a credential of its token sources with [FromTokenSource], hand a [Source] to it with
// [ToTokenSource], and find its endpoints with [EndpointOf]. This module does not depend on it.
package oauth
