package leaktest

import (
	"runtime"
	"strings"
	"testing"
)

func TestGoroutines(t *testing.T) {
	stop := make(chan struct{})
	started := make(chan struct{})
	go blocked(started, stop)
	<-started
	if left := goroutines([]string{"no such package", "leaktest.blocked"}); strings.Count(left, "goroutine ") == 0 {
		t.Error("a goroutine that is left is not found")
	}
	if left := goroutines([]string{"no such package"}); left != "" {
		t.Errorf("found without a part that fits: %s", left)
	}
	close(stop)
	for goroutines([]string{"leaktest.blocked"}) != "" {
		runtime.Gosched()
	}
}

func blocked(started, stop chan struct{}) {
	close(started)
	<-stop
}
