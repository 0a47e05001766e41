package main

import (
	"fmt"
	"os"
)

func main() {
	f, err := readFacts("facts")
	if err != nil {
		panic(err)
	}
	sh, err := readShape("words/shape.words")
	if err != nil {
		panic(err)
	}
	w, err := readWords("words")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	g := newGen(f, sh, w)
	if err := g.resolve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := g.operations(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Args[1] == "skeleton" {
		g.skeleton(os.Args[2])
		return
	}
	g.checkDocs()
	if err := g.failed(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
