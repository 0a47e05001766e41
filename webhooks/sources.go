package webhooks

import (
	"net/netip"
	"slices"
)

var sourceRanges = []netip.Prefix{
	netip.MustParsePrefix("3.134.238.10/32"),
	netip.MustParsePrefix("3.129.111.220/32"),
	netip.MustParsePrefix("52.15.118.168/32"),
	netip.MustParsePrefix("74.220.50.0/24"),
	netip.MustParsePrefix("74.220.58.0/24"),
}

// SourceRanges returns the addresses that Polar publishes as those its deliveries come from, in production and in the
// sandbox, for the rules of a firewall. The slice is the caller's own. The list is as old as this version of the module;
// the signature is what proves a delivery.
func SourceRanges() []netip.Prefix { return slices.Clone(sourceRanges) }

// FromSource reports whether addr is in one of [SourceRanges]. It takes the address of the peer: behind a proxy that is
// the proxy, and the address in a header such as X-Forwarded-For is only worth what the proxy guarantees.
//
//	peer, err := netip.ParseAddrPort(req.RemoteAddr)
//	ok := err == nil && webhooks.FromSource(peer.Addr())
func FromSource(addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(sourceRanges, func(p netip.Prefix) bool { return p.Contains(addr) })
}
