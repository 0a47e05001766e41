package license

import (
	"bytes"
	"os"
	"regexp"
	"strings"
)

// idFromFiles returns the content of the first file that has any: systems with systemd or D-Bus and the BSDs keep an id of
// the installation there.
func idFromFiles(paths ...string) string {
	for _, path := range paths {
		if data, err := os.ReadFile(path); err == nil {
			if id := strings.TrimSpace(string(data)); id != "" && id != "uninitialized" {
				return id
			}
		}
	}
	return ""
}

var platformUUID = regexp.MustCompile(`"IOPlatformUUID"\s*=\s*"([^"]+)"`)

// idFromIORegistry finds the id of a Mac in what ioreg prints about its platform.
func idFromIORegistry(out []byte) string {
	if m := platformUUID.FindSubmatch(out); m != nil {
		return string(bytes.TrimSpace(m[1]))
	}
	return ""
}
