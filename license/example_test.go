package license_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/license"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

var ctx = context.Background()

// sold starts a Polar server and sells a license key on it.
func sold(props models.BenefitLicenseKeysCreateProperties) (srv *polartest.Server, key string) {
	srv, err := polartest.Start(polartest.WithTime(start), polartest.WithSeed(1))
	if err != nil {
		log.Fatal(err)
	}
	client := srv.Client()
	benefit, err := client.Benefits.Create(ctx, models.BenefitLicenseKeysCreate{Description: "License key", Properties: props})
	if err != nil {
		log.Fatal(err)
	}
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{Name: "Editor",
		Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 4900}}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Products.SetBenefits(ctx, product.ID, models.ProductBenefitsUpdate{Benefits: []string{benefit.ID}}); err != nil {
		log.Fatal(err)
	}
	customer, err := client.Customers.Create(ctx, models.CustomerCreate{Email: "ada@example.com"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := srv.Grant(customer.ID, product.ID); err != nil {
		log.Fatal(err)
	}
	keys, err := client.LicenseKeys.List(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	return srv, keys.Items[0].Key
}

// program is the customer's, as the examples need it: it keeps its state in memory and has the clock of the server.
func program(srv *polartest.Server) *license.Client {
	lic, err := license.New(srv.OrganizationID(), "editor", license.WithStore(&memory{}), license.WithMachine("laptop"),
		license.WithClock(srv.Now), license.WithClientOptions(polar.WithBaseURL(srv.URL), polar.WithRateLimiter(nil)))
	if err != nil {
		log.Fatal(err)
	}
	return lic
}

func ExampleNew() {
	lic, err := license.New("8e1b1f3c-1f5f-4d0e-9d43-2f6f2c5f8a11", "acme-editor",
		license.WithBenefits("3c2f9e0a-7d57-4e6b-9c43-0a6c8a3a6f10"), // keys of other products do not count
		license.WithGrace(30*24*time.Hour),
		license.WithClientOptions(polar.WithEnvironment(polar.Sandbox), polar.WithApplication("acme-editor", "1.2.0")))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lic != nil)
	// Output: true
}

func ExampleClient_Check() {
	srv, key := sold(twoMachines)
	defer srv.Close()
	lic := program(srv)
	if _, err := lic.Activate(ctx, key); err != nil {
		fmt.Println(err)
		return
	}
	atStart := func() {
		// Polar gets a moment, and what is known counts after that.
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		res := lic.Check(ctx)
		fmt.Println(res.Status, res.Usable(), res.Until.Format(time.DateOnly))
	}
	atStart()
	srv.Break("", -1, polartest.Reset()) // the network is gone
	srv.Advance(10 * 24 * time.Hour)
	atStart()
	srv.Advance(10 * 24 * time.Hour)
	atStart()
	srv.Heal()
	srv.Advance(time.Minute)
	atStart()
	// Output:
	// valid true 2026-11-16
	// valid offline true 2026-11-16
	// unknown false 0001-01-01
	// valid true 2026-12-06
}

func ExampleClient_Activate() {
	srv, key := sold(models.BenefitLicenseKeysCreateProperties{Activations: &models.BenefitLicenseKeyActivations{Limit: 1}})
	defer srv.Close()
	enter := func(lic *license.Client, key string) {
		res, err := lic.Activate(ctx, key)
		switch {
		case err == nil:
			fmt.Println("thank you:", res.Status)
		case errors.Is(err, license.ErrInvalid), errors.Is(err, license.ErrOtherProduct):
			fmt.Println("please check the key")
		case errors.Is(err, license.ErrActivationLimit):
			fmt.Println("please deactivate it on another computer")
		case errors.Is(err, license.ErrActivationInDoubt):
			fmt.Println("thank you; please enter the key again tomorrow")
		default:
			fmt.Println("please try again later:", err)
		}
	}
	laptop, desktop := program(srv), program(srv)
	enter(laptop, "a key with a typo")
	enter(laptop, "  "+key+"\n")
	enter(laptop, key) // once more
	enter(desktop, key)
	if err := laptop.Deactivate(ctx); err != nil {
		fmt.Println(err)
	}
	enter(desktop, key)
	// Output:
	// please check the key
	// thank you: valid
	// thank you: valid
	// please deactivate it on another computer
	// thank you: valid
}

func ExampleClient_Use() {
	srv, key := sold(models.BenefitLicenseKeysCreateProperties{LimitUsage: new(100)})
	defer srv.Close()
	lic := program(srv)
	if _, err := lic.Activate(ctx, key); err != nil {
		fmt.Println(err)
		return
	}
	for _, pages := range []int{60, 60} {
		res, err := lic.Use(ctx, pages)
		switch {
		case errors.Is(err, license.ErrUsageLimit):
			fmt.Println("not enough left")
		case errors.Is(err, polar.ErrOutcomeUnknown):
			fmt.Println("may have been counted")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(*res.License.LimitUsage-res.License.Usage, "left")
		}
	}
	// Output:
	// 40 left
	// not enough left
}

// keychain stands for a place that the operating system protects, and lets several callers use at the same time.
type keychain map[string][]byte

func (k keychain) Load() ([]byte, error) {
	data, ok := k["editor"]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (k keychain) Save(data []byte) error { k["editor"] = data; return nil }

func (k keychain) Delete() error { delete(k, "editor"); return nil }

func ExampleWithStore() {
	secrets := keychain{}
	lic, err := license.New("8e1b1f3c-1f5f-4d0e-9d43-2f6f2c5f8a11", "acme-editor", license.WithStore(secrets))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lic.Check(ctx).Status)
	// Output: not activated
}
