package ingest

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// NewID returns a new id for the ExternalID of an event: a UUID of version 7, which sorts by the time it was made. Events
// without an ExternalID get one by themselves; call it for an event that others name as their ParentID.
func NewID() string {
	var id [36]byte
	putID(&id, time.Now())
	return string(id[:])
}

// putID writes a UUID of version 7. The random bits come from the kernel each time and not from a generator of the
// process: two copies of one snapshot of a virtual machine must not make the same ids, since Polar would drop one's events.
func putID(dst *[36]byte, now time.Time) {
	var id [16]byte
	_, _ = rand.Read(id[6:]) // never fails: it ends the program instead
	ms := now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	hex.Encode(dst[0:8], id[0:4])
	hex.Encode(dst[9:13], id[4:6])
	hex.Encode(dst[14:18], id[6:8])
	hex.Encode(dst[19:23], id[8:10])
	hex.Encode(dst[24:36], id[10:16])
	dst[8], dst[13], dst[18], dst[23] = '-', '-', '-', '-'
}
