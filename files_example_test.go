package polar_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// playground starts a server for an example, and returns a client that gives up soon.
func playground() (*polartest.Server, *polar.Client) {
	srv, err := polartest.Start()
	if err != nil {
		panic(err)
	}
	client, err := srv.Client().With(polar.WithRetry(polar.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		panic(err)
	}
	return srv, client
}

func ExampleFileService_UploadFile() {
	srv, client := playground()
	defer srv.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "handbook.pdf")
	if err := os.WriteFile(path, []byte("many pages"), 0o600); err != nil {
		panic(err)
	}

	file, err := client.Files.UploadFile(context.Background(), path, polar.Upload{
		Service: models.FileServiceDownloadable,
		Version: "2.1",
		Progress: func(sent, total int64) {
			fmt.Printf("%d of %d bytes\n", sent, total)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(file.Name, file.MimeType, *file.Version, file.IsUploaded)
	// Output:
	// 10 of 10 bytes
	// handbook.pdf application/pdf 2.1 true
}

func ExampleUploadState() {
	srv, client := playground()
	defer srv.Close()
	srv.Break("storage:upload", 1, polartest.Reset())

	upload := polar.Upload{Name: "notes.txt", Service: models.FileServiceDownloadable, Content: strings.NewReader("some notes")}
	_, err := client.Files.Upload(context.Background(), upload)
	failed, ok := errors.AsType[*polar.UploadError](err)
	if !ok {
		fmt.Println(err)
		return
	}
	state, err := json.Marshal(failed.State) // keep it like a secret; it is of use for an hour
	if err != nil {
		fmt.Println(err)
		return
	}

	// Another program, a little later.
	upload.Content, upload.Resume = strings.NewReader("some notes"), &polar.UploadState{}
	if err := json.Unmarshal(state, upload.Resume); err != nil {
		fmt.Println(err)
		return
	}
	file, err := client.Files.Upload(context.Background(), upload)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(file.Name, file.ID == failed.State.File.ID)
	// Output: notes.txt true
}

func ExamplePortalDownloadableService_Download() {
	srv, client := playground()
	defer srv.Close()
	ctx := context.Background()
	file, err := client.Files.Upload(ctx, polar.Upload{Name: "notes.txt", Service: models.FileServiceDownloadable, Content: strings.NewReader("some notes")})
	if err != nil {
		panic(err)
	}
	portal := buyer(ctx, srv, client, file.ID)

	for item, err := range portal.Downloadables.All(ctx, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		var text strings.Builder
		if err := portal.Downloadables.Download(ctx, item.File, &text); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s\n", item.File.Name, text.String())
	}
	// Output: notes.txt: some notes
}

// buyer returns the portal of a customer who has bought a file.
func buyer(ctx context.Context, srv *polartest.Server, client *polar.Client, fileID string) *polar.Portal {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	benefit, err := client.Benefits.Create(ctx, models.BenefitDownloadablesCreate{Description: "Files", Properties: models.BenefitDownloadablesCreateProperties{Files: []string{fileID}}})
	check(err)
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{Name: "Notes", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 900}}})
	check(err)
	_, err = client.Products.SetBenefits(ctx, product.ID, models.ProductBenefitsUpdate{Benefits: []string{benefit.ID}})
	check(err)
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, ExternalCustomerID: new("u1"), CustomerEmail: new("ada@example.com")})
	check(err)
	check(srv.CompleteCheckout(checkout.ID))
	portal, err := srv.PortalClient("u1")
	check(err)
	return portal
}

func ExampleOrderService_ExportRows() {
	client, done := connect(answers{
		"GET /v1/orders/export": "Email,Created At,Product,Net Amount,Currency,Status,Invoice number\r\n" +
			"ada@example.com,2026-10-05T08:00:00+00:00,Handbook,19.0,usd,paid,ACME-0001\r\n" +
			"grace@example.com,2026-10-06T09:30:00+00:00,Handbook,17.5,usd,partially_refunded,ACME-0002\r\n",
	})
	defer done()

	var net int64
	for row, err := range client.Orders.ExportRows(context.Background(), nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.CreatedAt.Format("2006-01-02"), row.InvoiceNumber, row.Status)
		net += row.NetAmount
	}
	fmt.Println(models.FormatAmount(net, "usd"))
	// Output:
	// 2026-10-05 ACME-0001 paid
	// 2026-10-06 ACME-0002 partially_refunded
	// 36.50 USD
}

func ExampleMetricService_ExportRows() {
	client, done := connect(answers{
		"GET /v1/metrics/export?end_date=2026-10-06&interval=day&start_date=2026-10-05": "Timestamp,Orders,Net Revenue\r\n" +
			"2026-10-05T00:00:00+00:00,3,5415\r\n2026-10-06T00:00:00+00:00,0,0\r\n",
	})
	defer done()

	params := polar.MetricExportParams{
		StartDate: models.Date{Year: 2026, Month: 10, Day: 5},
		EndDate:   models.Date{Year: 2026, Month: 10, Day: 6},
		Interval:  models.TimeIntervalDay,
	}
	for row, err := range client.Metrics.ExportRows(context.Background(), params) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.Timestamp.Weekday(), row.Values["Orders"], row.Values["Net Revenue"])
	}
	// Output:
	// Monday 3 5415
	// Tuesday 0 0
}
