package polartest

import (
	"encoding/hex"
	"math/rand/v2"
)

// ids makes identifiers and tokens from one stream of random bytes, so that a
// seed decides all of them.
type ids struct {
	source *rand.ChaCha8
}

// uuid makes a random UUID (version 4).
func (g *ids) uuid() string {
	var b [16]byte
	_, _ = g.source.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[:8], b[:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// token makes a prefix with 40 random letters and digits.
func (g *ids) token(prefix string) string { return prefix + g.letters(40, alphabet) }

func (g *ids) letters(n int, from string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = from[g.source.Uint64()%uint64(len(from))]
	}
	return string(b)
}
