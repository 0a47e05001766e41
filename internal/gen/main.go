// Command gen makes this module's client from pinned facts about the Polar API
// and from words written by hand.
//
//	gen                    writes models, services, error names, wire tests and the README's table
//	gen check              only checks facts, shape and words
//	gen import PATH        reads an OpenAPI document into the facts
//	gen import -diff PATH  prints what the document changes
//	gen show NAME          prints the godoc of a type (Order) or an operation (Orders.Get)
//	gen skeleton DIR       lists what has no sentence yet, a file each
//
// With -facts DIR, -words DIR and -out DIR it reads and writes elsewhere.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("gen", flag.ContinueOnError)
	factsDir := fs.String("facts", "", "folder of the facts")
	wordsDir := fs.String("words", "", "folder of the words")
	outDir := fs.String("out", "", "root of the module to write")
	draft := fs.Bool("draft", false, "write even though sentences are missing")
	if err := fs.Parse(args); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	def := func(p *string, v ...string) {
		if *p == "" {
			*p = filepath.Join(append([]string{root}, v...)...)
		}
	}
	def(factsDir, "internal", "gen", "facts")
	def(wordsDir, "internal", "gen", "words")
	def(outDir)
	cmd := fs.Arg(0)
	if cmd == "import" {
		return importCommand(fs.Args()[1:], *factsDir, *wordsDir, stdout)
	}
	g, err := load(*factsDir, *wordsDir)
	if err != nil {
		return err
	}
	switch cmd {
	case "skeleton":
		g.skeleton(fs.Arg(1))
		return nil
	case "show":
		return g.show(stdout, fs.Arg(1))
	case "", "check":
		out, err := g.generate(*outDir)
		if err == nil && !*draft {
			err = g.failed()
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, g.share())
		if cmd == "check" {
			return nil
		}
		return out.write(*outDir)
	}
	return fmt.Errorf("unknown command %q", cmd)
}

// load reads facts, shape and words and joins them.
func load(factsDir, wordsDir string) (*Gen, error) {
	f, err := readFacts(factsDir)
	if err != nil {
		return nil, err
	}
	sh, err := readShape(filepath.Join(wordsDir, "shape.words"))
	if err != nil {
		return nil, err
	}
	w, err := readWords(wordsDir)
	if err != nil {
		return nil, err
	}
	g := newGen(f, sh, w)
	if err := g.resolve(); err != nil {
		return nil, err
	}
	return g, g.operations()
}

// generate makes every file; problems with sentences are in g.problems.
func (g *Gen) generate(root string) (*output, error) {
	out := &output{files: map[string][]byte{}}
	for _, emit := range []func(*output) error{g.emitModels, g.emitServices, g.emitEvents, g.emitTests, g.emitPolartest} {
		if err := emit(out); err != nil {
			return nil, err
		}
	}
	g.unusedWords()
	return out, g.emitReadme(out, root)
}

// emitReadme puts the table of operations between its marks in the README.
func (g *Gen) emitReadme(out *output, root string) error {
	data, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return nil // a root without README
	}
	const open, end = "<!-- operations -->\n", "<!-- /operations -->"
	before, rest, ok := strings.Cut(string(data), open)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("README.md: the marks of the table of operations are missing")
	}
	out.files["README.md"] = []byte(before + open + g.table() + end + after)
	return nil
}

// share tells how many sentences are common ones.
func (g *Gen) share() string {
	own, common := 0, 0
	for _, t := range g.types {
		for _, m := range t.Members {
			if s := g.lookup(t, m); s != nil && s.kind != "" {
				common++
			} else {
				own++
			}
		}
	}
	return fmt.Sprintf("%d operations, %d types, %d members: %d%% take a common sentence", len(g.ops), len(g.types), own+common, 100*common/(own+common))
}

// write writes the files and removes generated ones that are no longer made.
func (o *output) write(root string) error {
	for _, dir := range []string{root, filepath.Join(root, "models"), filepath.Join(root, "webhooks"), filepath.Join(root, "polartest")} {
		old, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return err
		}
		for _, path := range old {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if _, made := o.files[filepath.ToSlash(rel)]; made {
				continue
			}
			if data, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(data), header) {
				if err := os.Remove(path); err != nil {
					return err
				}
			}
		}
	}
	for path, data := range o.files {
		full := filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if old, err := os.ReadFile(full); err == nil && string(old) == string(data) {
			continue
		}
		if err := os.WriteFile(full, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// moduleRoot is the folder of the go.mod that this command belongs to.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if data, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.HasPrefix(string(data), "module github.com/polar-go/polar\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("run it inside the module github.com/polar-go/polar")
		}
		dir = up
	}
}

func (g *Gen) show(w io.Writer, name string) error {
	if t := g.types[name]; t != nil {
		var b strings.Builder
		switch t.Kind {
		case "enum":
			g.emitEnum(&b, t)
		case "sealed":
			g.emitSealed(&b, t)
		default:
			g.emitStruct(&b, t)
		}
		_, err := io.WriteString(w, b.String())
		return err
	}
	for _, o := range g.ops {
		if o.key() == name {
			var b strings.Builder
			g.emitOp(&b, o)
			if o.ParamsT != "" {
				g.emitParams(&b, o)
			}
			_, err := io.WriteString(w, b.String())
			return err
		}
	}
	return fmt.Errorf("no type and no operation is called %s", name)
}
