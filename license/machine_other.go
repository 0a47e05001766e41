//go:build !darwin && !windows

package license

func machineID() string {
	return idFromFiles("/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid")
}
