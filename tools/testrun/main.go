// Command testrun runs go test and prints what CI needs of it: the closing line of every package, the whole output of
// what failed, and the tests that were skipped, which go test passes over in silence.
//
//	testrun [-skips fail|list] [-may-skip REGEXP] [-summary FILE] -- [arguments of go test]
//
// It fails when go test fails, when no test ran, and, with -skips fail, when a test was skipped. Packages whose import path
// matches -may-skip are exempt. The closing lines are appended to the summary.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

func main() {
	skips := flag.String("skips", "fail", "what a skipped test does: fail or list")
	maySkip := flag.String("may-skip", "", "import paths of packages whose tests may be skipped")
	summary := flag.String("summary", "", "file to append the closing lines to")
	flag.Parse()
	exempt, err := regexp.Compile(cmp.Or(*maySkip, "^$"))
	if err != nil || *skips != "fail" && *skips != "list" {
		flag.Usage()
		os.Exit(2)
	}
	r := newReport(os.Stdout)
	testErr := r.run(flag.Args())
	problems := r.close(exempt, *skips == "fail")
	if testErr != nil {
		problems = append(problems, "go test: "+testErr.Error())
	}
	if *summary != "" {
		if err := appendTo(*summary, r.closing); err != nil {
			problems = append(problems, err.Error())
		}
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, "testrun:", p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

func appendTo(name string, lines []string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if _, err := f.WriteString(line + "\n"); err != nil {
			return err
		}
	}
	return f.Close()
}

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

type place struct{ pkg, test string }

func (p place) String() string { return p.pkg + " " + p.test }

// report gathers the events of one run.
type report struct {
	w       io.Writer
	output  map[place][]string
	skipped []place
	failed  []place
	passed  int
	closing []string // the closing lines of the packages
}

func newReport(w io.Writer) *report { return &report{w: w, output: map[place][]string{}} }

// run starts go test and reads its events to the end.
func (r *report) run(args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.read(out)
	return cmd.Wait()
}

func (r *report) read(events io.Reader) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(r.w, "%s", line) // go test prints some of its own errors as text
			} else {
				r.add(e)
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *report) add(e event) {
	at := place{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.w, e.Output)
	case "output":
		r.output[at] = append(r.output[at], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.closePackage(e.Package, e.Action)
			return
		}
		switch e.Action {
		case "pass":
			r.passed++
			// a race fails the parallel test that ends next, which need not be the one whose output has the report
			if out := strings.Join(r.output[at], ""); strings.Contains(out, "WARNING: DATA RACE") {
				fmt.Fprint(r.w, out)
			}
			delete(r.output, at)
		case "fail":
			r.failed = append(r.failed, at)
		case "skip":
			r.skipped = append(r.skipped, at)
		}
	}
}

// closePackage prints the closing line of a package, and before it, when the package failed, everything that its tests
// wrote and that were not passed.
func (r *report) closePackage(pkg, action string) {
	var tests []place
	for at := range r.output {
		if at.pkg == pkg && at.test != "" {
			tests = append(tests, at)
		}
	}
	slices.SortFunc(tests, func(a, b place) int { return strings.Compare(a.test, b.test) })
	for _, at := range tests {
		if action == "fail" && !slices.Contains(r.skipped, at) {
			fmt.Fprint(r.w, strings.Join(r.output[at], ""))
		}
		if !slices.Contains(r.skipped, at) {
			delete(r.output, at)
		}
	}
	for _, line := range r.output[place{pkg: pkg}] {
		closing := strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "FAIL\t")
		if closing {
			r.closing = append(r.closing, strings.TrimSpace(line))
		}
		if closing || action == "fail" {
			fmt.Fprint(r.w, line)
		}
	}
	delete(r.output, place{pkg: pkg})
}

// close lists the skipped tests, counts, and returns what is wrong with the run.
func (r *report) close(exempt *regexp.Regexp, strict bool) []string {
	var problems []string
	for _, at := range r.skipped {
		why := ""
		for _, line := range r.output[at] {
			if !strings.HasPrefix(strings.TrimSpace(line), "---") && !strings.HasPrefix(line, "===") {
				why += " " + strings.TrimSpace(line)
			}
		}
		fmt.Fprintf(r.w, "skipped: %v:%s\n", at, why)
		if strict && !exempt.MatchString(at.pkg) {
			problems = append(problems, "skipped: "+at.String())
		}
	}
	if r.passed+len(r.failed) == 0 {
		problems = append(problems, "no test ran")
	}
	fmt.Fprintf(r.w, "%d passed, %d failed, %d skipped\n", r.passed, len(r.failed), len(r.skipped))
	return problems
}
