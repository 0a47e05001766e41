package license

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Store keeps the state of a [Client], a few hundred bytes that hold the license key. An application that has a better place
// than a file, such as the keychain of the system, implements it. Load may be called at any time, also while another method
// is at work.
type Store interface {
	// Load returns what was saved last, and an error that matches [io/fs.ErrNotExist] when there is nothing.
	Load() ([]byte, error)
	// Save replaces what is there, wholly or not at all.
	Save(data []byte) error
	// Delete removes what is there. It is no error when there is nothing.
	Delete() error
}

// File returns a store in a file, which only the user can read. It is replaced as a whole, so a crash or two programs that
// write at once leave one state or the other. Save makes the directory.
func File(path string) Store { return file(path) }

type file string

func (f file) Load() ([]byte, error) {
	r, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxState+1))
}

func (f file) Save(data []byte) (err error) {
	if f == "" {
		return errors.New("path is empty")
	}
	dir := filepath.Dir(string(f))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	w, err := os.CreateTemp(dir, "."+filepath.Base(string(f))+".*") // with 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = w.Close()
			_ = os.Remove(w.Name())
		}
	}()
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Sync(); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.Rename(w.Name(), string(f))
}

func (f file) Delete() error {
	err := os.Remove(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
