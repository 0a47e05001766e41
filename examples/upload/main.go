// Command upload sells a file: it uploads it in parts, goes on after the
// connection has failed, gives it to a customer who buys, and downloads it as
// that customer does.
//
//	go run ./examples/upload
//	go run ./examples/upload -file handbook.pdf
//
// runs it against a Polar server inside the program: no account, no network.
// With POLAR_ACCESS_TOKEN set it uploads to Polar's sandbox, where a person has
// to buy: it prints the address of the checkout page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

func main() {
	cfg := config{Token: os.Getenv("POLAR_ACCESS_TOKEN")}
	flag.StringVar(&cfg.Path, "file", "", "what to upload; by default some megabytes of nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "upload:", err)
		os.Exit(1)
	}
}

type config struct {
	Token string // a sandbox token; without one the server inside the program is used
	Path  string // file to upload
}

// run is the whole program.
func run(ctx context.Context, w io.Writer, cfg config) error {
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	dir, err := os.MkdirTemp("", "polar-upload-example-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if cfg.Path == "" {
		cfg.Path = filepath.Join(dir, "handbook.pdf")
		if err := os.WriteFile(cfg.Path, make([]byte, 11<<20), 0o600); err != nil {
			return err
		}
	}

	var srv *polartest.Server
	var client *polar.Client
	if cfg.Token == "" {
		if srv, err = polartest.Start(); err != nil {
			return err
		}
		defer srv.Close()
		if client, err = srv.Client().With(polar.WithRetry(polar.RetryPolicy{MaxAttempts: 2})); err != nil { // gives up sooner than usual
			return err
		}
		// Two parts get through, then the connection fails until the client gives up.
		srv.Break("storage:upload", 2, polartest.Delay(0))
		srv.Break("storage:upload", 2, polartest.Reset())
		say("Using a Polar server inside this program. Set POLAR_ACCESS_TOKEN to use the sandbox.")
	} else {
		if client, err = polar.New(polar.Token(cfg.Token), polar.WithEnvironment(polar.Sandbox)); err != nil {
			return err
		}
		say("Using Polar's sandbox.")
	}

	file, err := upload(ctx, client, cfg.Path, say)
	if err != nil {
		return err
	}
	say("%s is uploaded: %s, %s, SHA-256 %.8s…", file.Name, file.SizeReadable, file.MimeType, *file.ChecksumSHA256Hex)

	checkout, err := sell(ctx, client, file)
	if err != nil {
		return err
	}
	if srv == nil {
		say("Only a person can pay in the sandbox. Open %s and use the card 4242 4242 4242 4242; the file is on the page that follows.", checkout.URL)
		return nil
	}
	if err := srv.CompleteCheckout(checkout.ID); err != nil {
		return fmt.Errorf("complete the checkout: %w", err)
	}
	say("A customer has bought it.")

	session, err := client.CustomerSessions.Create(ctx, models.CustomerSessionCreate{ExternalCustomerID: new("user_42")})
	if err != nil {
		return fmt.Errorf("create a customer session: %w", err)
	}
	portal, err := client.Portal(polar.Token(session.Token))
	if err != nil {
		return err
	}
	return download(ctx, portal, dir, say)
}

// upload uploads a file. Files.UploadFile repeats what fails for a moment; when it has given up, this goes on twice with what is missing.
func upload(ctx context.Context, client *polar.Client, path string, say func(string, ...any)) (*models.File, error) {
	quarter := int64(0)
	todo := polar.Upload{
		Service:  models.FileServiceDownloadable,
		PartSize: 5 << 20,
		Parallel: 1, // so that the story is the same each time; leave it out for speed
		Progress: func(sent, total int64) {
			if 4*sent/total > quarter {
				quarter = 4 * sent / total
				say("  %d %% sent", 25*quarter)
			}
		},
	}
	file, err := client.Files.UploadFile(ctx, path, todo)
	for range 2 {
		failed, ok := errors.AsType[*polar.UploadError](err)
		if !ok || ctx.Err() != nil {
			break
		}
		say("  The upload broke off with %d of %d parts there. Going on.", len(failed.State.Uploaded), len(failed.State.File.Upload.Parts))
		todo.Resume = &failed.State
		if errors.Is(err, polar.ErrExpired) {
			todo.Resume = nil // the hour is over: from the beginning
		}
		file, err = client.Files.UploadFile(ctx, path, todo)
	}
	return file, err
}

// sell makes a product that gives the file, and a checkout for it.
func sell(ctx context.Context, client *polar.Client, file *models.File) (*models.Checkout, error) {
	benefit, err := client.Benefits.Create(ctx, models.BenefitDownloadablesCreate{
		Description: "The file " + file.Name,
		Properties:  models.BenefitDownloadablesCreateProperties{Files: []string{file.ID}},
	})
	if err != nil {
		return nil, fmt.Errorf("create a benefit: %w", err)
	}
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{
		Name:   file.Name,
		Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1900}},
	})
	if err != nil {
		return nil, fmt.Errorf("create a product: %w", err)
	}
	if _, err := client.Products.SetBenefits(ctx, product.ID, models.ProductBenefitsUpdate{Benefits: []string{benefit.ID}}); err != nil {
		return nil, fmt.Errorf("give the benefit to the product: %w", err)
	}
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{
		Products:           []string{product.ID},
		ExternalCustomerID: new("user_42"),
		CustomerEmail:      new("ada@example.com"),
	})
	if err != nil {
		return nil, fmt.Errorf("create a checkout: %w", err)
	}
	return checkout, nil
}

// download gets every file that the customer may download.
func download(ctx context.Context, portal *polar.Portal, dir string, say func(string, ...any)) error {
	for item, err := range portal.Downloadables.All(ctx, nil) {
		if err != nil {
			return fmt.Errorf("list the downloads: %w", err)
		}
		path := filepath.Join(dir, item.ID+filepath.Ext(item.File.Name))
		if err := portal.Downloadables.DownloadFile(ctx, item.File, path); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		say("The customer has downloaded %s: %d bytes, and they are the right ones.", item.File.Name, info.Size())
	}
	return nil
}
