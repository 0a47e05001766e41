package polarhttp

import (
	"testing"

	"github.com/polar-go/polar/internal/leaktest"
)

// TestMain fails when goroutines are left that a gate has started.
func TestMain(m *testing.M) { leaktest.Main(m.Run, "polar/polarhttp.") }
