package license

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIDFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name, content string) string {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, []byte(content), 0o600))
		return p
	}
	missing := filepath.Join(dir, "missing")
	assert.Equal(t, "abc", idFromFiles(missing, path("empty", "\n"), path("early", "uninitialized\n"), path("id", "abc\n"), path("later", "def")))
	assert.Empty(t, idFromFiles(missing))
}

func TestIDFromIORegistry(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "01234567-89AB-CDEF-0123-456789ABCDEF", idFromIORegistry([]byte(`+-o J314sAP  <class IOPlatformExpertDevice, id 0x100000>
    {
      "IOPlatformSerialNumber" = "XXXXXXXXXX"
      "IOPlatformUUID" = "01234567-89AB-CDEF-0123-456789ABCDEF"
    }`)))
	assert.Empty(t, idFromIORegistry([]byte("nothing")))
}
