package snippets

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

const root = "../.."

func TestDocuments(t *testing.T) {
	t.Parallel()
	var blocks []block
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, find(strings.TrimPrefix(filepath.ToSlash(name), root+"/"), string(text))...)
	}
	if len(blocks) < 80 {
		t.Errorf("%d blocks of Go code in the documents: where are the others?", len(blocks))
	}
	m := newModule(t, blocks)
	for _, command := range []string{"build", "vet", "test"} {
		if said, err := m.run(command); err != nil {
			t.Fatalf("go %s: %v\n%s", command, err, said)
		}
	}
}

// What the test above finds, and where it says it is.
func TestBrokenBlocks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		command string
		broken  map[string]string // block to what is said of it
	}{
		"types": {"build", map[string]string{
			"order, err := client.Orders.Fetch(ctx, orderID)":                                                      ":5:29: client.Orders.Fetch undefined",
			"_, err := client.Orders.Get(orderID)\nreturn err":                                                     ":5:29: not enough arguments in call to client.Orders.Get",
			"_, err := client.Checkouts.Create(ctx, models.CheckoutCreate{\n\tProduct: productID,\n})\nreturn err": ":6:2: unknown field Product",
			"package main\n\nfunc main() { fmt.Println() }":                                                        ":7:15: undefined: fmt",
		}},
		"syntax": {"build", map[string]string{
			"client.Orders.Get(ctx orderID)": ":5:23: ",
		}},
		"imports": {"build", map[string]string{
			"package shop\n\nimport _ \"github.com/polar-go/polar/internal/jsonx\"": ":7:8: use of internal package",
			"package shop\n\nimport _ \"github.com/gorilla/mux\"":                   ":7:8: cannot find module providing package",
		}},
		"tests": {"vet", map[string]string{
			"func TestPay(t *testing.T) { polartest.NewServer() }": ":5:50: not enough arguments in call to polartest.NewServer",
			"fmt.Printf(\"%d\\n\", orderID)":                       ":5:13: fmt.Printf format %d has arg orderID of wrong type string",
		}},
		"failure": {"test", map[string]string{
			"func TestPay(t *testing.T) { t.Fatal(\"not paid\") }": ".md:5: not paid",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var blocks []block
			for i, code := range slices.Sorted(maps.Keys(tt.broken)) {
				blocks = append(blocks, find(fmt.Sprintf("GUIDE%d.md", i), "# Guide\n\nProse.\n```go\n"+code+"\n```\n")...)
			}
			said, err := newModule(t, blocks).run(tt.command)
			if err == nil {
				t.Errorf("go %s has no objection", tt.command)
			}
			for _, want := range tt.broken {
				if !strings.Contains(said, want) {
					t.Errorf("go %s does not say %q, but:\n%s", tt.command, want, said)
				}
			}
		})
	}
}

// documents are the names of the files with text for users.
func documents(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, matches...)
	}
	return names
}

type block struct {
	file string
	line int // of the first line of code
	code string
}

// find returns the blocks of Go code of a document.
func find(file, text string) []block {
	var blocks []block
	var open *block
	number := 0
	for line := range strings.Lines(text) {
		number++
		switch fence := strings.TrimSpace(line); {
		case open == nil && fence == "```go":
			open = &block{file: file, line: number + 1}
		case open != nil && fence == "```":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.code += line
		}
	}
	return blocks
}

// module is a module of a user in a folder of its own.
type module struct {
	dir string
}

//go:embed given.txt
var given string

// newModule writes each block into a package of a new module, which requires the same as this one.
func newModule(t *testing.T, blocks []block) module {
	t.Helper()
	m := module{dir: t.TempDir()}
	write := func(name, text string) {
		name = filepath.Join(m.dir, name)
		err := os.MkdirAll(filepath.Dir(name), 0o700)
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	gomod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	gosum, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	write("go.mod", strings.NewReplacer(
		"module github.com/polar-go/polar/docs/snippets", "module example.com/shop",
		"=> "+root, "=> "+filepath.ToSlash(checkout),
	).Replace(string(gomod)))
	write("go.sum", string(gosum))
	write("fragments/given.go", given)
	for i, b := range blocks {
		source, kind := b.source()
		switch kind {
		case program:
			write(fmt.Sprintf("block%d/block.go", i), source)
		case fragment: // all in one package, which takes less time
			write(fmt.Sprintf("fragments/block%d.go", i), source)
		case declarations:
			write(fmt.Sprintf("block%d/given.go", i), given)
			write(fmt.Sprintf("block%d/block.go", i), source)
		case tests:
			write(fmt.Sprintf("block%d/given.go", i), given)
			write(fmt.Sprintf("block%d/block_test.go", i), source)
		}
	}
	return m
}

// run returns what a command of go says about all packages, when it fails.
func (m module) run(command string) (string, error) {
	args := map[string][]string{
		"build": {"build", "-mod=readonly", "-gcflags=-e", "-o=" + os.DevNull, "./..."},
		"vet":   {"vet", "-mod=readonly", "./..."},
		"test":  {"test", "-mod=readonly", "-vet=off", "./..."},
	}
	cmd := exec.Command("go", args[command]...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// position gives what follows the lines of the document.
func (b block) position() string { return fmt.Sprintf("//line %s:%d:1\n", b.file, b.line) }

// Kinds of blocks.
const (
	program      = iota // with a package clause
	declarations        // without one
	tests               // declarations with tests among them
	fragment            // body of a function that returns an error
)

// source makes a file of the block, and says what kind of block it is.
func (b block) source() (text string, kind int) {
	text = b.position() + b.code
	if strings.HasPrefix(b.code, "package ") {
		return text, program
	}
	kind = declarations
	file, err := parser.ParseFile(token.NewFileSet(), "", "package shop\n"+text, 0)
	if err != nil {
		kind = fragment
		open := "func _() error {\n" + text + "\n"
		text = open + "return nil\n}\n"
		if file, err = parser.ParseFile(token.NewFileSet(), "", "package shop\n"+text, 0); err != nil {
			return "package shop\n" + text, kind // the compiler says what is wrong
		}
		text = open + end(file)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
			kind = tests
		}
	}
	return "package shop\n" + imports(file) + text, kind
}

// imports imports the packages that the block uses.
func imports(file *ast.File) string {
	paths := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Obj == nil && packages[x.Name] != "" {
				paths[packages[x.Name]] = true
			}
		}
		return true
	})
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		fmt.Fprintf(&b, "import %q\n", p)
	}
	return b.String()
}

// packages are those that packages.go imports, by their names.
var packages = func() map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "packages.go", nil, parser.ImportsOnly)
	if err != nil {
		panic(err)
	}
	paths := map[string]string{}
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err)
		}
		name := path.Base(p)
		if name == "v9" {
			name = path.Base(path.Dir(p))
		}
		paths[strings.TrimPrefix(name, "go-")] = p
	}
	return paths
}()

// end closes the function whose body the block is, and makes use of the variables that its outermost statements declare: a
// document need not.
func end(file *ast.File) string {
	body := file.Decls[0].(*ast.FuncDecl).Body.List
	var b strings.Builder
	for _, s := range body {
		if s, ok := s.(*ast.AssignStmt); ok && s.Tok == token.DEFINE {
			for _, x := range s.Lhs {
				if name := x.(*ast.Ident).Name; name != "_" {
					fmt.Fprintf(&b, "_ = %s\n", name)
				}
			}
		}
	}
	if len(body) > 1 { // the last statement is the return that was added
		if _, ok := body[len(body)-2].(*ast.ReturnStmt); ok {
			return "}\n"
		}
	}
	return b.String() + "return nil\n}\n"
}

// Readers find every guide and every example.
func TestIndexes(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme, index := read("README.md"), read("docs/README.md")
	for _, name := range documents(t) {
		guide := filepath.Base(name)
		if filepath.Base(filepath.Dir(name)) != "docs" || guide == "README.md" {
			continue
		}
		if !strings.Contains(readme, "](docs/"+guide+")") || !strings.Contains(index, "]("+guide+")") {
			t.Errorf("README.md and docs/README.md do not both list docs/%s", guide)
		}
	}
	examples, err := filepath.Glob(filepath.Join(root, "examples", "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range examples {
		if example := filepath.Base(filepath.Dir(name)); !strings.Contains(readme, "\n| `"+example+"` |") {
			t.Errorf("README.md does not list the example %s", example)
		}
	}
}

// Every link within the repository leads to a file that is there, and to a heading in it.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(prose(string(text)), -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			body, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: the link %s: %v", name, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(string(body)), anchor) {
				t.Errorf("%s: the link %s leads to no heading", name, m[1])
			}
		}
	}
}

// prose is a document without its code.
func prose(text string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			code = !code
		} else if !code {
			b.WriteString(line)
		}
	}
	return b.String()
}

// anchors are the names that the headings of a document have in links.
func anchors(text string) []string {
	var names []string
	for line := range strings.Lines(prose(text)) {
		heading := strings.TrimLeft(line, "#")
		if len(heading) == len(line) {
			continue
		}
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(heading)))
	}
	return names
}
