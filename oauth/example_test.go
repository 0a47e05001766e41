package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/oauth"
	"github.com/polar-go/polar/polartest"
)

// exampleApp starts a Polar server and registers an application there.
func exampleApp() (*oauth.Client, *polartest.Server) {
	srv, err := polartest.Start()
	if err != nil {
		log.Fatal(err)
	}
	anyone, err := polar.New(polar.Anonymous, polar.WithBaseURL(srv.URL))
	if err != nil {
		log.Fatal(err)
	}
	registered, err := anyone.OAuth2Clients.Create(context.Background(), models.OAuth2ClientCreate{
		ClientName:   "Acme Reports",
		RedirectURIs: []string{"http://localhost:8080/callback"},
	})
	if err != nil {
		log.Fatal(err)
	}
	app, err := oauth.New(oauth.Config{
		ClientID:     registered.ClientID,
		ClientSecret: *registered.ClientSecret,
		RedirectURL:  "http://localhost:8080/callback",
		Scopes:       []models.Scope{models.ScopeProductsRead},
		BaseURL:      srv.URL,
	})
	if err != nil {
		log.Fatal(err)
	}
	return app, srv
}

// agree plays the user: it follows the address to Polar, agrees, and returns the query of the callback.
func agree(srv *polartest.Server, address string) url.Values {
	u, err := url.Parse(address)
	if err != nil {
		log.Fatal(err)
	}
	callback, err := srv.Authorize(u.Query())
	if err != nil {
		log.Fatal(err)
	}
	return callback.Query()
}

// A web application in which merchants connect their Polar account.
func Example() {
	app, err := oauth.New(oauth.Config{
		ClientID:     os.Getenv("POLAR_CLIENT_ID"),
		ClientSecret: os.Getenv("POLAR_CLIENT_SECRET"),
		RedirectURL:  "https://example.com/polar/callback",
		Scopes:       []models.Scope{models.ScopeOrdersRead},
		SubType:      models.OAuth2SubTypeOrganization,
	})
	if err != nil {
		log.Fatal(err)
	}
	store := func(r *http.Request, t *oauth.Token) error { return nil } // for the user of the session
	login, callback, err := app.Handlers(func(w http.ResponseWriter, r *http.Request, t *oauth.Token, err error) {
		switch {
		case errors.Is(err, oauth.ErrDenied):
			http.Redirect(w, r, "/settings?polar=refused", http.StatusSeeOther)
			return
		case err == nil:
			err = store(r, t)
		}
		if err != nil {
			log.Print(err)
			http.Error(w, "Connecting with Polar did not work. Please try again.", http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, "/settings?polar=connected", http.StatusSeeOther)
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /polar/login", login)
	http.Handle("GET /polar/callback", callback)
}

// A sign-in without the handlers, for applications with a session of their own.
func ExampleClient_Begin() {
	app, srv := exampleApp()
	defer srv.Close()

	address, attempt := app.Begin()
	// put attempt into the session, and send the browser to address; at the callback:
	query := agree(srv, address)
	token, err := app.Finish(context.Background(), attempt, query)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Scopes)
	fmt.Println(attempt)
	// Output:
	// [products:read]
	// [REDACTED]
}

// Calls for a user, as long as the user allows them.
func ExampleSource_Client() {
	app, srv := exampleApp()
	defer srv.Close()
	ctx := context.Background()
	address, attempt := app.Begin()
	token, err := app.Finish(ctx, attempt, agree(srv, address))
	if err != nil {
		log.Fatal(err)
	}

	src, err := app.Source(oauth.NewMemoryStore(*token)) // in a program: a Store of your own
	if err != nil {
		log.Fatal(err)
	}
	client, err := src.Client()
	if err != nil {
		log.Fatal(err)
	}
	list := func() {
		_, err := client.Products.List(ctx, nil)
		switch {
		case errors.Is(err, oauth.ErrReauthorize):
			fmt.Println("Please connect your Polar account again.")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println("It works.")
		}
	}
	list()
	if err := app.Revoke(ctx, token); err != nil { // somebody disconnects the application
		log.Fatal(err)
	}
	_, _ = client.Products.List(ctx, nil) // 401
	list()
	// Output:
	// It works.
	// Please connect your Polar account again.
}

// An application that registers itself, as an MCP client does, and manages its registration.
func ExampleNew_registration() {
	srv, err := polartest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	ctx := context.Background()

	anyone, err := polar.New(polar.Anonymous, polar.WithBaseURL(srv.URL))
	if err != nil {
		log.Fatal(err)
	}
	registered, err := anyone.OAuth2Clients.Create(ctx, models.OAuth2ClientCreate{
		ClientName:              "Acme CLI",
		RedirectURIs:            []string{"http://localhost:8080/callback"},
		TokenEndpointAuthMethod: new(models.OAuth2AuthMethodNone), // public: no secret
	})
	if err != nil {
		log.Fatal(err)
	}
	app, err := oauth.New(oauth.Config{ClientID: registered.ClientID, RedirectURL: "http://localhost:8080/callback", BaseURL: srv.URL})
	if err != nil {
		log.Fatal(err)
	}
	address, attempt := app.Begin()
	if _, err := app.Finish(ctx, attempt, agree(srv, address)); err != nil {
		log.Fatal(err)
	}

	manage := polar.CallCredential(polar.Token(*registered.RegistrationAccessToken))
	registered, err = anyone.OAuth2Clients.Get(ctx, registered.ClientID, manage)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(registered.ClientName)
	if err := anyone.OAuth2Clients.Delete(ctx, registered.ClientID, manage); err != nil {
		log.Fatal(err)
	}
	_, err = anyone.OAuth2Clients.Get(ctx, registered.ClientID, manage)
	fmt.Println(err != nil)
	// Output:
	// Acme CLI
	// true
}

// What an access token is worth, and for which organizations.
func ExampleClient_Introspect() {
	app, srv := exampleApp()
	defer srv.Close()
	ctx := context.Background()
	address, attempt := app.Begin()
	token, err := app.Finish(ctx, attempt, agree(srv, address))
	if err != nil {
		log.Fatal(err)
	}
	info, err := app.Introspect(ctx, token.AccessToken)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Active, info.Scope, len(info.Organizations))
	// Output: true products:read 0
}

// Where things are, for a library that has to be told.
func ExampleClient_Discover() {
	app, srv := exampleApp()
	defer srv.Close()
	m, err := app.Discover(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.AuthorizationEndpoint == srv.URL+"/oauth2/authorize", m.CodeChallengeMethods)
	// Output: true [plain S256]
}
