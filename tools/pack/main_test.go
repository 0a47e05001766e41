package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files   []string
		refused string
	}{
		"good":                      {[]string{"LICENSE.txt", "license/license.go"}, ""},
		"file and folder":           {[]string{"LICENSE", "license/license.go"}, "case-insensitive"},
		"two files":                 {[]string{"README.md", "Readme.md"}, "case-insensitive"},
		"a name that Windows lacks": {[]string{"testdata/aux.json"}, "aux.json"},
		"in a module of its own":    {[]string{"sub/go.mod", "LICENSE", "sub/license/license.go"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, file := range append(tt.files, "go.mod") {
				path := filepath.Join(dir, file)
				err := os.MkdirAll(filepath.Dir(path), 0o700)
				if err == nil {
					err = os.WriteFile(path, []byte("module example.com/shop\n"), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			err := pack(dir)
			if tt.refused == "" && err != nil {
				t.Error(err)
			}
			if tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("%v, want an error about %s", err, tt.refused)
			}
		})
	}
}
