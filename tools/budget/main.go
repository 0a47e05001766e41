// Command budget measures what this module costs those who build with it, and prints it beside the budgets: the time and the
// memory of a cold build, and what the client adds to the size of a program. It judges nothing: the numbers depend on the
// machine and on what else it does. Only a build that fails makes it fail.
//
//	budget [-root DIR] [TOOLCHAIN...]
//
// The standard library is built before the clock starts. Toolchains are values of GOTOOLCHAIN; "local" is the default.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const module = "github.com/polar-go/polar"

// budgets by version of Go. A newer Go than these has those of the newest.
var budgets = []struct {
	version   string
	coldBuild time.Duration // of the client with its dependencies
	binary    float64       // megabytes over net/http and encoding/json
}{
	{"go1.26", 4 * time.Second, 2.0},
	{"go1.27", 3 * time.Second, 1.2},
}

const compilerMemory = 500.0 // megabytes, of the largest package

func main() {
	if len(os.Args) > 2 && os.Args[1] == "-toolexec" {
		os.Exit(toolexec(os.Args[2], os.Args[3:]))
	}
	root := flag.String("root", ".", "root of the module")
	flag.Parse()
	toolchains := flag.Args()
	if len(toolchains) == 0 {
		toolchains = []string{"local"}
	}
	for _, toolchain := range toolchains {
		if err := measure(*root, toolchain); err != nil {
			fmt.Fprintln(os.Stderr, "budget:", err)
			os.Exit(1)
		}
	}
}

// bench builds the measured programs with one toolchain.
type bench struct {
	dir string // a module that uses the client as a program of a user would
	env []string
}

// The client's program does what the plain one does: it gets an order and prints a part of it.
var programs = map[string]string{
	"client": `package main

import (
	"context"
	"fmt"
	"os"

	"github.com/polar-go/polar"
)

func main() {
	client, err := polar.New(polar.Token(os.Getenv("POLAR_ACCESS_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	order, err := client.Orders.Get(context.Background(), os.Args[1])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(order.ID, order.TotalAmount)
}
`,
	"plain": `package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

func main() {
	req, err := http.NewRequestWithContext(context.Background(), "GET", "https://api.polar.sh/v1/orders/"+os.Args[1], nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("POLAR_ACCESS_TOKEN"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var order struct {
		ID          string ` + "`json:\"id\"`" + `
		TotalAmount int64  ` + "`json:\"total_amount\"`" + `
	}
	if err := json.NewDecoder(resp.Body).Decode(&order); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(order.ID, order.TotalAmount)
}
`,
}

func measure(root, toolchain string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "budget")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: filepath.Join(dir, "program"), env: append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOFLAGS=-mod=mod", "GOWORK=off")}
	if err := b.write(root); err != nil {
		return err
	}
	version, err := b.goCommand("", "env", "GOVERSION")
	if err != nil {
		return err
	}

	deps, err := b.goCommand("", "list", "-deps", "-f", "{{if .Standard}}std{{else if .Module.Main}}main{{else}}{{.Module.Path}}{{end}} {{.ImportPath}}", "./client")
	if err != nil {
		return err
	}
	var std, others, own []string
	for line := range strings.Lines(deps) {
		from, pkg, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch from {
		case "std":
			std = append(std, pkg)
		case module:
			own = append(own, pkg)
		case "main":
		default:
			others = append(others, pkg)
		}
	}
	warm := filepath.Join(dir, "warm")
	if _, err := b.goCommand(warm, append([]string{"build"}, std...)...); err != nil {
		return err
	}
	if _, err := b.goCommand(warm, "build", "-o", filepath.Join(dir, "plain"), "./plain"); err != nil {
		return err
	}

	var all cost
	for i := range 3 { // the best of three: what else the machine does makes it slower only
		again, err := b.coldBuild(dir, warm, own)
		if err != nil {
			return err
		}
		if i == 0 || again[0].wall < all.wall {
			all = again[0]
		}
	}
	apart, err := b.coldBuild(dir, warm, others, own)
	if err != nil {
		return err
	}
	tools, err := b.compilers(dir, warm, own)
	if err != nil {
		return err
	}
	budget := budgets[len(budgets)-1]
	for _, have := range budgets {
		if strings.HasPrefix(strings.TrimSpace(version), have.version) {
			budget = have
		}
	}

	fmt.Printf("%s\n", strings.TrimSpace(version))
	row := func(what, value, limit string, over bool) {
		verdict := ""
		if limit != "" {
			verdict = "within"
			if over {
				verdict = "OVER"
			}
		}
		fmt.Printf("  %-46s %-26s %-10s %s\n", what, value, limit, verdict)
	}
	row("cold build of the client, best of three", all.String(), seconds(budget.coldBuild), all.wall > budget.coldBuild)
	row("  of that its dependencies alone", apart[0].String(), "", false)
	row("  of that this module alone", apart[1].String(), "", false)
	slices.SortFunc(tools, func(x, y tool) int { return int(y.peak - x.peak) })
	row("peak memory of the compiler", fmt.Sprintf("%.0f MB", tools[0].peak), fmt.Sprintf("%.0f MB", compilerMemory), tools[0].peak > compilerMemory)
	slices.SortFunc(tools, func(x, y tool) int { return int(y.cpu - x.cpu) })
	for _, t := range tools[:min(5, len(tools))] {
		row("  "+path.Join(path.Base(path.Dir(t.pkg)), path.Base(t.pkg)), fmt.Sprintf("%s of CPU, %.0f MB", seconds(t.cpu), t.peak), "", false)
	}
	for _, flags := range []string{"", "-s -w"} {
		sizes := map[string]float64{}
		for name := range programs {
			exe := filepath.Join(dir, name)
			if _, err := b.goCommand(warm, "build", "-ldflags="+flags, "-o", exe, "./"+name); err != nil {
				return err
			}
			info, err := os.Stat(exe)
			if err != nil {
				return err
			}
			sizes[name] = megabytes(info.Size())
		}
		what, over := "program over net/http and encoding/json", sizes["client"]-sizes["plain"]
		value := fmt.Sprintf("%.2f MB (%.2f - %.2f)", over, sizes["client"], sizes["plain"])
		if flags == "" {
			row(what, value, fmt.Sprintf("%.1f MB", budget.binary), over > budget.binary)
		} else {
			row("  the same, stripped ("+flags+")", value, "", false)
		}
	}
	return nil
}

// write makes the module of the programs. It has the requirements of the client's own go.mod and takes the client from root.
func (b *bench) write(root string) error {
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	gosum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return err
	}
	text := strings.Replace(string(gomod), "module "+module, "module program", 1) +
		fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %s\n", module, module, root)
	files := map[string]string{"go.mod": text, "go.sum": string(gosum)}
	for name, source := range programs {
		files[filepath.Join(name, "main.go")] = source
	}
	for name, data := range files {
		name = filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(data), 0o666); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) command(cache string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = b.dir
	cmd.Env = b.env
	if cache != "" {
		cmd.Env = append(slices.Clone(b.env), "GOCACHE="+cache)
	}
	return cmd
}

func (b *bench) goCommand(cache string, args ...string) (string, error) {
	cmd := b.command(cache, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.Bytes())
	}
	return string(out), nil
}

type cost struct{ wall, cpu time.Duration }

func (c cost) String() string { return fmt.Sprintf("%s, %s of CPU", seconds(c.wall), seconds(c.cpu)) }

// coldBuild builds the lists of packages one after the other, with a cache that holds the standard library only.
func (b *bench) coldBuild(dir, warm string, steps ...[]string) ([]cost, error) {
	cache, err := fresh(dir, warm)
	if err != nil {
		return nil, err
	}
	var costs []cost
	for _, pkgs := range steps {
		cmd := b.command(cache, append([]string{"build"}, pkgs...)...)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, out)
		}
		costs = append(costs, cost{time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()})
	}
	return costs, nil
}

// tool is one run of the compiler.
type tool struct {
	pkg  string
	cpu  time.Duration
	peak float64 // megabytes
}

// compilers builds the packages with this program in front of each tool of the build.
func (b *bench) compilers(dir, warm string, pkgs []string) ([]tool, error) {
	cache, err := fresh(dir, warm)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log := filepath.Join(dir, "tools.log")
	if _, err := b.goCommand(cache, append([]string{"build", "-toolexec", self + " -toolexec " + log}, pkgs...)...); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(log)
	if err != nil {
		return nil, err
	}
	var tools []tool
	for line := range strings.Lines(string(data)) {
		var t tool
		var nanoseconds, bytes int64
		if _, err := fmt.Sscan(line, &t.pkg, &nanoseconds, &bytes); err != nil {
			return nil, fmt.Errorf("%s: %w", log, err)
		}
		t.cpu, t.peak = time.Duration(nanoseconds), megabytes(bytes)
		tools = append(tools, t)
	}
	if len(tools) == 0 {
		return nil, errors.New("the build compiled nothing")
	}
	return tools, nil
}

// toolexec runs a tool of the build and notes what it took, when it is the compiler at work.
func toolexec(log string, args []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if name := strings.TrimSuffix(filepath.Base(args[0]), ".exe"); err == nil && name == "compile" && !slices.Contains(args, "-V=full") {
		usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		peak := usage.Maxrss << 10 // kilobytes on Linux
		cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		line := fmt.Sprintf("%s %d %d\n", os.Getenv("TOOLEXEC_IMPORTPATH"), cpu.Nanoseconds(), peak)
		if err := appendLine(log, line); err != nil {
			fmt.Fprintln(os.Stderr, "budget:", err)
			return 1
		}
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "budget:", err)
		return 1
	}
	return 0
}

func appendLine(name, line string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line); err != nil {
		return err
	}
	return f.Close()
}

// fresh returns a copy of the cache.
func fresh(dir, warm string) (string, error) {
	cache, err := os.MkdirTemp(dir, "cache")
	if err != nil {
		return "", err
	}
	return cache, filepath.WalkDir(warm, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(warm, name)
		if err != nil {
			return err
		}
		to := filepath.Join(cache, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o777)
		}
		return os.Link(name, to) // go build replaces the files of its cache, it does not write into them
	})
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func megabytes(n int64) float64 { return float64(n) / 1e6 }
