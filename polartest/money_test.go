package polartest_test

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/polar-go/polar/polartest"
)

// TestShare compares with exact arithmetic: halves go away from zero.
func TestShare(t *testing.T) {
	t.Parallel()
	for range 20_000 {
		amount := rand.Int64N(1<<rand.IntN(50)+1) * (1 - 2*rand.Int64N(2))
		part, whole := rand.Int64N(1<<rand.IntN(24)+1), 1+rand.Int64N(1<<rand.IntN(24)+1)
		exact := new(big.Rat).Mul(new(big.Rat).SetInt64(amount), big.NewRat(part, whole))
		half := big.NewRat(1, 2)
		if exact.Sign() < 0 {
			half.Neg(half)
		}
		exact.Add(exact, half)
		want := new(big.Int).Quo(exact.Num(), exact.Denom()).Int64()
		assert.Equal(t, want, polartest.Share(amount, part, whole), "%d × %d ÷ %d", amount, part, whole)
	}
}
