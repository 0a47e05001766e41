package webhooks

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
)

func TestSources(t *testing.T) {
	for addr, want := range map[string]bool{
		"3.134.238.10": true, "3.134.238.11": false, "3.129.111.220": true, "52.15.118.168": true,
		"74.220.50.0": true, "74.220.50.255": true, "74.220.51.0": false, "74.220.58.7": true, "74.220.57.255": false,
		"::ffff:74.220.50.1": true, "::1": false, "127.0.0.1": false, "4adc:3201::": false,
	} {
		assert.Equal(t, want, FromSource(netip.MustParseAddr(addr)), addr)
	}
	assert.False(t, FromSource(netip.Addr{}))
	assert.Len(t, SourceRanges(), 5)
	SourceRanges()[0] = netip.MustParsePrefix("0.0.0.0/0")
	assert.False(t, FromSource(netip.MustParseAddr("8.8.8.8")), "the caller's copy was changed, not the list")
}

// A receiver needs neither the API client nor anything that is for tests.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	deps := strings.Fields(string(out))
	require.Contains(t, deps, "github.com/polar-go/polar/models")
	for _, dep := range deps {
		assert.NotEqual(t, "github.com/polar-go/polar", dep)
		for _, other := range []string{"testify", "retryablehttp", "go-querystring", "redis", "polar/polartest", "polar/ingest"} {
			assert.NotContains(t, dep, other)
		}
	}
}

func TestAPIVersion(t *testing.T) {
	assert.Equal(t, polar.APIVersion, APIVersion)
}
