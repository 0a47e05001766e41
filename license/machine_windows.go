package license

import (
	"syscall"
	"unsafe"
)

func machineID() string {
	path, err := syscall.UTF16PtrFromString(`SOFTWARE\Microsoft\Cryptography`)
	if err != nil {
		return ""
	}
	name, err := syscall.UTF16PtrFromString("MachineGuid")
	if err != nil {
		return ""
	}
	const wow64 = 0x0100 // KEY_WOW64_64KEY: 32-bit programs see the same id
	var key syscall.Handle
	if syscall.RegOpenKeyEx(syscall.HKEY_LOCAL_MACHINE, path, 0, syscall.KEY_QUERY_VALUE|wow64, &key) != nil {
		return ""
	}
	defer func() { _ = syscall.RegCloseKey(key) }()
	var buf [64]uint16
	var kind uint32
	n := uint32(unsafe.Sizeof(buf)) // in bytes
	if syscall.RegQueryValueEx(key, name, nil, &kind, (*byte)(unsafe.Pointer(&buf[0])), &n) != nil || kind != syscall.REG_SZ {
		return ""
	}
	return syscall.UTF16ToString(buf[:min(int(n/2), len(buf))])
}
