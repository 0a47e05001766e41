package polar

import (
	"testing"

	"github.com/polar-go/polar/internal/leaktest"
)

// TestMain fails when goroutines are left that this package, or net/http on its behalf, has started.
func TestMain(m *testing.M) { leaktest.Main(m.Run, modulePath, "net/http.") }
