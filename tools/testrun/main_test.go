package main

import (
	"regexp"
	"strings"
	"testing"
)

const events = `{"Action":"start","Package":"m/a"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"chatter\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestBad","Output":"    a_test.go:3: wrong sum\n"}
{"Action":"output","Package":"m/a","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestBad"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t0.1s\n"}
{"Action":"fail","Package":"m/a"}
{"Action":"output","Package":"m/b","Test":"TestMaybe","Output":"    b_test.go:3: no database here\n"}
{"Action":"output","Package":"m/b","Test":"TestMaybe","Output":"--- SKIP: TestMaybe (0.00s)\n"}
{"Action":"skip","Package":"m/b","Test":"TestMaybe"}
{"Action":"output","Package":"m/b","Output":"PASS\n"}
{"Action":"output","Package":"m/b","Output":"ok  \tm/b\t0.2s\n"}
{"Action":"pass","Package":"m/b"}
{"Action":"output","Package":"m/c","Output":"?   \tm/c\t[no test files]\n"}
{"Action":"skip","Package":"m/c"}
{"ImportPath":"m/d","Action":"build-output","Output":"d.go:1: syntax error\n"}
`

func TestReport(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	r.read(strings.NewReader(events))
	problems := r.close(regexp.MustCompile(`^$`), true)
	for _, want := range []string{"wrong sum", "--- FAIL: TestBad", "FAIL\tm/a", "ok  \tm/b", "no database here", "syntax error", "1 passed, 1 failed, 1 skipped\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
		}
	}
	for _, unwanted := range []string{"chatter", "no test files", "PASS"} {
		if strings.Contains(out.String(), unwanted) {
			t.Errorf("the report says %q:\n%s", unwanted, out.String())
		}
	}
	if len(problems) != 1 || problems[0] != "skipped: m/b TestMaybe" {
		t.Errorf("problems: %q", problems)
	}
	if len(r.closing) != 2 {
		t.Errorf("closing lines: %q", r.closing)
	}
}

func TestSkipsThatMayBe(t *testing.T) {
	for _, tt := range []struct {
		exempt string
		strict bool
		want   int
	}{{"^m/b$", true, 0}, {"^m/x$", true, 1}, {"^$", false, 0}} {
		r := newReport(new(strings.Builder))
		r.read(strings.NewReader(events))
		if got := r.close(regexp.MustCompile(tt.exempt), tt.strict); len(got) != tt.want {
			t.Errorf("exempt %q, strict %v: problems %q", tt.exempt, tt.strict, got)
		}
	}
}

func TestNothingRan(t *testing.T) {
	r := newReport(new(strings.Builder))
	r.read(strings.NewReader(`{"Action":"output","Package":"m/c","Output":"?   \tm/c\t[no test files]\n"}`))
	if got := r.close(regexp.MustCompile(`^$`), true); len(got) != 1 || got[0] != "no test ran" {
		t.Errorf("problems: %q", got)
	}
}

// TestRaceOfAnother: the report of a race is in the output of a test that passes, and another one fails for it.
func TestRaceOfAnother(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := newReport(&out)
	r.add(event{Action: "output", Package: "p", Test: "TestA", Output: "WARNING: DATA RACE\n"})
	r.add(event{Action: "output", Package: "p", Test: "TestB", Output: "fine\n"})
	r.add(event{Action: "pass", Package: "p", Test: "TestA"})
	r.add(event{Action: "pass", Package: "p", Test: "TestB"})
	if out.String() != "WARNING: DATA RACE\n" {
		t.Errorf("printed %q", out.String())
	}
}
