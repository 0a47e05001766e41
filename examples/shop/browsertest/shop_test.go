// Package browsertest drives the example shop with a browser: headless Chromium buys a plan at the embedded Polar server,
// uses it, cancels it, and loses it. It is a module of its own, because nobody else needs what it depends on.
package browsertest

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var program string // the shop

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "shop")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "shop")
		build := exec.Command("go", "build", "-o", program, ".")
		build.Dir, build.Stderr = "..", os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// startShop runs the program and returns its address. When the test is over the program has to end by itself, without
// having logged an error.
func startShop(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	cmd := exec.CommandContext(ctx, program, "-addr", "127.0.0.1:0")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "POLAR_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	var logged bytes.Buffer
	cmd.Stderr = &logged
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	address := ""
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		_, address, _ = strings.Cut(lines.Text(), "open at ")
	}
	t.Cleanup(func() {
		defer cancel()
		assert.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		_, _ = io.Copy(io.Discard, out)
		assert.NoError(t, cmd.Wait(), "the shop ends when it is told to")
		assert.Empty(t, logged.String(), "what the shop logged")
	})
	require.NotEmpty(t, address, "the shop did not start")
	return address
}

func TestBuyUseCancel(t *testing.T) {
	t.Parallel()
	shop := startShop(t)
	b := open(t, desktop)

	assert.Equal(t, 200, b.visit(shop))
	b.sees("Colour palettes from a word", "9.00 USD", "29.00 USD", "20 palettes each month", "0.05 USD")
	b.shot("01-home")
	b.press("Choose Solo")
	b.sees("Create an account", "Go on to the payment")
	b.shot("02-sign-up")
	b.fill("Name", "Ada Lovelace")
	b.fill("E-mail address", "ada@example.com")
	b.fill("Password", "correct horse battery")
	b.press("Go on to the payment")

	b.sees("Solo", "9.00 USD", "per month", "Palettes")
	b.shot("03-checkout")
	b.fill("Country (two letters)", "FR")
	b.press("Pay 9.00 USD")
	b.sees("Your plan is active")
	assert.Equal(t, "/success", b.address().Path)
	b.shot("04-success")

	b.press("See your account")
	b.sees("Solo", "Active", "It renews on", "0 of 20 palettes", "paid")
	b.shot("05-account")
	b.press("Palettes")
	b.fill("A word, such as a place, a fruit or a feeling", "lagoon")
	b.press("Make the palette")
	b.fill("A word, such as a place, a fruit or a feeling", "blood orange")
	b.press("Make the palette")
	b.sees("lagoon", "blood orange")
	b.shot("06-palettes")
	b.press("See your usage")
	b.eventually("2 of 20 palettes")
	b.shot("07-usage")

	b.press("Received webhooks")
	b.sees("customer.state_changed", "order.paid", "handled", "acknowledged")
	b.shot("08-webhooks")

	b.press("Account")
	b.press("Open the billing portal")
	b.sees("ada@example.com", "Solo")
	b.shot("09-portal")
	b.press("Cancel")
	b.sees("Keep the subscription")
	b.shot("10-portal-cancelled")
	b.press("Back")
	b.sees("Cancelled", "You can use it until")
	b.press("Palettes")
	b.sees("lagoon") // until then

	b.press("Let a month pass")
	assert.Equal(t, "/palettes", b.address().Path)
	b.sees("This needs a plan")
	b.shot("11-no-access")
	b.press("See your account")
	b.sees("You have no plan")
	b.shot("12-account-without-plan")
	b.press("Received webhooks")
	b.sees("subscription.revoked")
	assert.Equal(t, 404, b.visit(shop+"/nothing"))
	b.sees("There is no such page")
	b.shot("13-not-found")
	b.press("Sign out")
	b.press("Sign in")
	b.shot("14-sign-in")
}

func TestDeclinedCardOnAPhone(t *testing.T) {
	t.Parallel()
	shop := startShop(t)
	b := open(t, phone)

	b.visit(shop)
	b.shot("20-phone-home")
	b.press("Choose Studio")
	b.fill("Name", "Grace Hopper")
	b.fill("E-mail address", "grace@example.com")
	b.fill("Password", "correct horse battery")
	b.shot("21-phone-sign-up")
	b.press("Go on to the payment")
	b.fill("Country (two letters)", "FR")
	assert.Equal(t, 400, b.press("Use a card that is declined"))
	b.sees("declined", "Pay 29.00 USD")
	b.shot("22-phone-declined")

	checkout := b.address()
	b.visit(shop + "/account") // nothing was sold
	b.sees("You have no plan")
	b.shot("23-phone-account-without-plan")
	b.visit(checkout.String())
	b.press("Pay 29.00 USD")
	b.sees("Your plan is active")
	b.shot("24-phone-success")
	b.press("Make a palette")
	b.fill("A word, such as a place, a fruit or a feeling", "ember")
	b.press("Make the palette")
	b.shot("25-phone-palettes")
	b.press("Account")
	b.eventually("1 of 200 palettes")
	b.shot("26-phone-account")
	b.press("Open the billing portal")
	b.shot("27-phone-portal")
	b.press("Back")
	b.press("Received webhooks")
	b.shot("28-phone-webhooks")
}

// A renewal that cannot be charged: the portal is where the customer puts that right.
func TestPaymentFails(t *testing.T) {
	t.Parallel()
	shop := startShop(t)
	b := open(t, screen{1200, 900, true})

	b.visit(shop)
	b.press("Choose Solo")
	b.fill("Name", "Mary Shelley")
	b.fill("E-mail address", "mary@example.com")
	b.fill("Password", "correct horse battery")
	b.press("Go on to the payment")
	b.fill("Country (two letters)", "FR")
	b.press("Use a card that asks for confirmation")
	b.sees("Your bank asks for your confirmation")
	b.shot("30-bank")
	assert.Equal(t, 400, b.press("Refuse"))
	b.sees("The payment was not confirmed")
	b.press("Use a card that is declined later")
	b.sees("Your plan is active")
	b.press("See your account")
	b.press("Let a month pass")
	b.sees("Payment failed", "pending")
	b.shot("31-payment-failed")
	b.press("Open the billing portal")
	b.sees("past due")
	b.shot("32-portal-past-due")
	b.press("Pay 9.00 USD with a new card")
	b.sees("It renews on")
	b.press("Back")
	b.sees("Active", "It renews on")
	b.press("Palettes")
	b.sees("Make the palette")
}
