package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// segment is a file of the log, named by the index of its first record.
type segment struct {
	name  string
	index uint64
}

// list returns the files of the log in their order.
func list(dir string) (segments []segment, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if len(name) < 20 || len(name) > 20 && !strings.HasSuffix(name, ".START") || e.IsDir() {
			continue
		}
		if index, err := strconv.ParseUint(name[:20], 10, 64); err == nil && index > 0 {
			if len(name) > 20 {
				segments = nil // the library was removing what is before it
			}
			segments = append(segments, segment{name, index})
		}
	}
	return segments, nil
}

// cut removes what comes after the record with the index last. It needs no room on the disk.
func cut(dir string, last uint64) error {
	segments, err := list(dir)
	if err != nil {
		return err
	}
	for _, s := range slices.Backward(segments) {
		path := filepath.Join(dir, s.name)
		if s.index > last+1 {
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		keep := 0
		for index := s.index; index <= last; index++ {
			size, n := binary.Uvarint(data[keep:])
			if n <= 0 || size > uint64(len(data)-keep-n) {
				return fmt.Errorf("%s ends before record %d", s.name, index)
			}
			keep += n + int(size)
		}
		return truncate(path, int64(keep))
	}
	return nil
}

func truncate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// repair makes the files readable for the library, which refuses a log that does not end with a whole record. It reports what
// it cannot keep. A file holds each record after its length.
func repair(dir string, damage func(error)) error {
	segments, err := list(dir)
	if err != nil {
		return err
	}
	for n, s := range segments {
		path := filepath.Join(dir, s.name)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		good, records := whole(data, n+1 == len(segments))
		broken := 0
		for rest := data[:good]; len(rest) > 0; {
			size, k := binary.Uvarint(rest)
			// An empty record stands for one that an earlier repair could not keep.
			if size > 0 && unseal(rest[k:k+int(size)]) == nil {
				broken++
			}
			rest = rest[k+int(size):]
		}
		want := records
		if n+1 < len(segments) {
			want = segments[n+1].index - s.index
		}
		if good == len(data) && records == want {
			if broken > 0 {
				damage(fmt.Errorf("journal: %d records in %s have a wrong checksum and are lost", broken, s.name))
			}
			continue
		}
		// Between whole files the places of the records have to stay, so empty ones stand for those that are lost.
		fixed := slices.Clone(data[:good])
		if want < records {
			return fmt.Errorf("%s has %d records, but the next file begins after %d", s.name, records, want)
		}
		fixed = append(fixed, make([]byte, want-records)...)
		if err := os.WriteFile(path+".damaged", data[good:], 0o600); err != nil {
			return err
		}
		if err := replace(path, fixed); err != nil {
			return err
		}
		damage(fmt.Errorf("journal: %s breaks off: %d bytes after its record %d are not a whole record and were put into %s.damaged (%d other records have a wrong checksum)",
			s.name, len(data)-good, records, s.name, broken))
	}
	return nil
}

// whole returns how much of a file consists of whole records, and how many these are. At the end of the last file a record
// whose checksum is wrong is not whole either: room was made for it, but its bytes never got there.
func whole(data []byte, last bool) (good int, records uint64) {
	pos, count := 0, uint64(0)
	for pos < len(data) {
		size, k := binary.Uvarint(data[pos:])
		if k <= 0 || size > uint64(len(data)-pos-k) {
			break
		}
		body := data[pos+k : pos+k+int(size)]
		pos += k + int(size)
		count++
		if !last || unseal(body) != nil {
			good, records = pos, count
		}
	}
	return good, records
}

// replace writes a file so that it is there either as before or as after.
func replace(path string, data []byte) error {
	temp := path + ".repair"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
