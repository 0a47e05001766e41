package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/license"
	"github.com/polar-go/polar/polartest"
)

func TestStory(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, config{}))
	rest := out.String()
	for _, want := range []string{
		"2 November 2026: The editor starts for the first time.\nNo license.",
		"Activated ****-",
		"3 November 2026: The next day the editor asks Polar again.\nLicensed, confirmed on 3 November 2026.",
		"13 November 2026: The customer travels, and there is no network.\nLicensed. The license could not be confirmed; please go online before 17 November 2026.",
		"18 November 2026: Still no network: two weeks without an answer are over.\nThe license cannot be confirmed; please go online.",
		"19 November 2026: Back home.\nLicensed, confirmed on 19 November 2026.",
		"20 November 2026: The subscription has ended.\nThe license has ended.",
		"Deactivated: the key can be used on another computer.",
		"The editor starts once more.\nNo license.",
	} {
		_, after, found := strings.Cut(rest, want)
		require.True(t, found, "%q in its place in:\n%s", want, out.String())
		rest = after
	}
	assert.NotContains(t, out.String(), "EDITOR_", "the key")
}

func TestTool(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	checkout, err := offer(t.Context(), srv.Client())
	require.NoError(t, err)
	require.NoError(t, srv.CompleteCheckout(checkout.ID))
	keys, err := srv.Client().LicenseKeys.List(t.Context(), nil)
	require.NoError(t, err)
	key := keys.Items[0].Key

	customer := func(computer string) func(command ...string) (string, error) {
		store := license.File(filepath.Join(t.TempDir(), "license.json"))
		return func(command ...string) (string, error) {
			lic, err := license.New(srv.OrganizationID(), application, license.WithStore(store), license.WithMachine(computer),
				license.WithClientOptions(polar.WithBaseURL(srv.URL), polar.WithRateLimiter(nil)))
			require.NoError(t, err)
			var out strings.Builder
			err = tool(t.Context(), &out, lic, command)
			return out.String(), err
		}
	}
	one, two, three := customer("one"), customer("two"), customer("three")
	_, err = one("activate", "EDITOR_TYPO")
	require.EqualError(t, err, "this key is not valid: is it complete?")
	for _, computer := range []func(...string) (string, error){one, two} {
		said, err := computer("activate", key)
		require.NoError(t, err)
		assert.Equal(t, "Activated "+keys.Items[0].DisplayKey+". Thank you!\n", said)
	}
	_, err = three("activate", key)
	require.EqualError(t, err, "this key is in use on as many computers as it may be: deactivate it on one of them")
	_, err = one("deactivate")
	require.NoError(t, err)
	_, err = three("activate", key)
	require.NoError(t, err)
	said, err := three("status")
	require.NoError(t, err)
	assert.Contains(t, said, "Licensed, confirmed on ")

	for _, command := range [][]string{{"activate"}, {"status", "now"}, {"sell"}} {
		_, err = one(command...)
		require.ErrorContains(t, err, "unknown command")
	}
	require.ErrorContains(t, run(t.Context(), nil, config{Command: []string{"status"}}), "organization id is empty")
	require.ErrorContains(t, run(t.Context(), nil, config{Token: "has a space"}), "polar: ")
}
