package snippets

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// predeclared is what the prose around a block takes for granted.
const predeclared = `
var (
	ctx     context.Context
	client  *polar.Client
	portal  *polar.Portal
	tok, orderID, productID, customerID, subscriptionID, organizationID, requestID, key string
)

func fulfil(context.Context, *models.Order) error { return nil }
`

// packages are those that blocks may use without importing them.
var packages = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "httptest": "net/http/httptest", "http": "net/http", "io": "io", "iter": "iter",
	"log": "log", "os": "os", "slices": "slices", "slog": "log/slog", "strings": "strings", "testing": "testing", "time": "time",
	"ingest":    "github.com/polar-go/polar/ingest",
	"polar":     "github.com/polar-go/polar",
	"models":    "github.com/polar-go/polar/models",
	"polartest": "github.com/polar-go/polar/polartest",
	"webhooks":  "github.com/polar-go/polar/webhooks",
}

const root = "../.."

func TestDocuments(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(root, "*.md"))
	require.NoError(t, err)
	guides, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	var blocks []block
	for _, name := range append(names, guides...) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		rel, err := filepath.Rel(root, name)
		require.NoError(t, err)
		blocks = append(blocks, find(rel, string(text))...)
	}
	require.GreaterOrEqual(t, len(blocks), 10, "blocks of Go code in the documents")
	assert.Empty(t, compile(t, blocks))
}

// What the test above finds: a block that the compiler refuses, at its place in the document.
func TestBrokenBlocks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ block, want string }{
		"method":   {"order, err := client.Orders.Fetch(ctx, orderID)", "GUIDE.md:5:29: client.Orders.Fetch undefined"},
		"argument": {"_, err := client.Orders.Get(orderID)\nreturn err", "not enough arguments in call to client.Orders.Get"},
		"member":   {"_, err := client.Checkouts.Create(ctx, models.CheckoutCreate{\n\tProduct: productID,\n})\nreturn err", "GUIDE.md:6:2: unknown field Product"},
		"syntax":   {"client.Orders.Get(ctx orderID)", "GUIDE.md:5:23: missing ','"},
		"program":  {"package main\n\nfunc main() { fmt.Println() }", "GUIDE.md:7:15: undefined: fmt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "# Guide\n\nProse.\n```go\n" + tt.block + "\n```\n"
			assert.Contains(t, compile(t, find("GUIDE.md", text)), tt.want)
		})
	}
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

// compile returns what the compiler says to the blocks, empty when it takes them all. The blocks exist only as an overlay
// of the module, a package each, and nothing is written into it.
func compile(t *testing.T, blocks []block) string {
	dir, err := filepath.Abs(root)
	require.NoError(t, err)
	overlay := map[string]string{}
	var problems strings.Builder
	args := []string{"build", "-gcflags=-e"}
	for i, b := range blocks {
		source, err := b.source()
		if err != nil {
			fmt.Fprintln(&problems, err)
			continue
		}
		file := filepath.Join(t.TempDir(), "block.go")
		require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
		name := fmt.Sprintf("block%d", i)
		overlay[filepath.Join(dir, "internal", "snippets", name, "block.go")] = file
		args = append(args, "./internal/snippets/"+name)
	}
	if len(overlay) == 0 {
		return problems.String()
	}
	data, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	list := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(list, data, 0o600))
	cmd := exec.CommandContext(t.Context(), "go", slices.Insert(args, 1, "-overlay="+list, "-o="+os.DevNull)...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		problems.Write(said)
		fmt.Fprintln(&problems, err)
	}
	return problems.String()
}

// source makes a file of the block, with the lines of the document as positions.
func (b block) source() (string, error) {
	line := fmt.Sprintf("//line %s:%d:1\n", b.file, b.line)
	if strings.HasPrefix(b.code, "package ") {
		return line + b.code, nil
	}
	fset := token.NewFileSet()
	text := "package snippets\n" + line + b.code
	file, err := parser.ParseFile(fset, "", text, 0)
	if err != nil { // no declarations: the body of a function
		head := "package snippets\nfunc _() error {\n" + line
		if file, err = parser.ParseFile(fset, "", head+b.code+"\nreturn nil\n}\n", 0); err != nil {
			return "", err
		}
		text = head + b.code + "\n" + used(file) + "return nil\n}\n"
	}
	imports := map[string]bool{"context": true, "polar": true, "models": true} // of predeclared
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Obj == nil && packages[x.Name] != "" {
				imports[x.Name] = true
			}
		}
		return true
	})
	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		fmt.Fprintf(&list, "import %q\n", packages[name])
	}
	return strings.Replace(text, "package snippets\n", "package snippets\n"+list.String(), 1) + predeclared, nil
}

// used makes use of the variables that the outermost statements of the block declare: a document need not.
func used(file *ast.File) string {
	var b strings.Builder
	for _, s := range file.Decls[0].(*ast.FuncDecl).Body.List {
		if s, ok := s.(*ast.AssignStmt); ok && s.Tok == token.DEFINE {
			for _, x := range s.Lhs {
				if name := x.(*ast.Ident).Name; name != "_" {
					fmt.Fprintf(&b, "_ = %s\n", name)
				}
			}
		}
	}
	return b.String()
}
