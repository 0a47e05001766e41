// Package leaktest fails the tests of a package when they leave goroutines behind. Only tests import it.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Main runs the tests of a package and ends the process, for TestMain. It fails when goroutines are left whose stacks
// name one of the parts, such as the path of a package, after giving them time to end.
//
//	func TestMain(m *testing.M) { leaktest.Main(m.Run, "net/http.") }
func Main(run func() int, parts ...string) {
	code := run()
	var left string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		if left = goroutines(parts); left == "" {
			break
		}
	}
	if code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines are left after the tests:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// goroutines returns the stacks that name one of the parts, but for that of the caller.
func goroutines(parts []string) string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var found string
	for i, stack := range strings.Split(string(buf), "\n\n") {
		for _, part := range parts {
			if i > 0 && strings.Contains(stack, part) {
				found += stack + "\n\n"
				break
			}
		}
	}
	return found
}
