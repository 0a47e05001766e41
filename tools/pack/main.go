// Command pack packs modules as a release does, by the rules of the go command. A module that it refuses could be tagged,
// and nobody could get it.
//
//	pack FOLDER...
//
// Each folder has a go.mod file and nothing that is not committed.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	failed := false
	for _, folder := range os.Args[1:] {
		if err := pack(folder); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", folder, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// pack packs the module in a folder.
func pack(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return err
	}
	return zip.CreateFromDir(io.Discard, module.Version{Path: modfile.ModulePath(text), Version: "v0.0.0"}, folder)
}
