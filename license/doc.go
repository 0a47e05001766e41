// Package license checks license keys in programs that run on the customer's own computer: desktop applications, command
// line tools, plug-ins. It needs no access token, which such a program could not keep secret.
//
//	lic, err := license.New("your organization's id", "acme-editor")
//	if err != nil {
//		return err
//	}
//	res := lic.Check(ctx)
//	switch {
//	case res.Usable():
//		// start
//	case res.Status == license.StatusNotActivated:
//		// ask for the key, then lic.Activate(ctx, key)
//	default:
//		// tell why: res.Status, res.Err
//	}
//
// [Client.Activate] binds a key to this machine and remembers it. [Client.Check], at every start and every now and then
// while the program runs, asks Polar once a day and otherwise goes by what Polar said last, for 14 days by default when
// Polar cannot be reached. [Client.Deactivate] gives the activation back. [Client.Use] counts uses of metered keys.
//
// # What an answer means
//
// Polar answers a key that is unknown, revoked, disabled or expired with a 404 that has a name. Only that, and an expiry that
// Polar announced before, is [StatusInvalid]. A 404 without a name says that Polar does not serve this program's API version any more:
// [StatusVersionGone], with which customers who have paid can go on. When Polar is down, refuses because of too many
// requests, or the network is gone, the status is [StatusValidOffline] during the grace period and [StatusUnknown]
// after it, never invalid. Whether a program starts on unknown is up to its author.
//
// # Limits
//
// Polar allows 3 of these calls in a second from an address and then refuses every call from it for a minute. All clients
// of a process share a limiter that stays below that, and what Polar said about waiting is saved, so other processes of
// the program keep to it too. While the license is usable, Polar is asked again 10 minutes after a failure.
//
// # What offline checks protect against
//
// Polar does not sign its answers, so whatever a program remembers of them can be made up by somebody who reads this
// source, runs a debugger or answers in Polar's place. The saved state is sealed with a keyed checksum that finds damage
// and changes made with a text editor, and it names the machine, which finds copies; see [ErrUntrusted] and
// [ErrOtherMachine]. A clock that was moved back is found as well ([ErrClockMovedBack]). This keeps honest people honest,
// and does not stop anybody who is determined. The state holds the license key as it is.
package license
