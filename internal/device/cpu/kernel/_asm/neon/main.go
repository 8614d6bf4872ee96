// Command neon writes the arm64 kernels of package kernel, which are written by
// hand here: Go's assembler lacks most vector arithmetic, and a macro assembler
// spells the repetition of unrolled tiles. One run writes one file:
//
//	go run ./neon -part tile -out ../tile_neon_arm64.s
//
// Every WORD stands beside its instruction in GNU syntax; a test of package
// kernel compares them with what GNU as made of the same text.
package main

import (
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
)

var parts = map[string]func(*source){
	"elem":     elems,
	"attn":     attention,
	"vec":      vecs,
	"quantmat": quantMats,
	"unpack":   unpacks,
	"dispatch": dispatch,
	"limits":   limits,
	"tile":     tiles,
	"gemm":     gemms,
	"train":    training,
}

func main() {
	log.SetFlags(0)
	part := flag.String("part", "", "which file to generate")
	out := flag.String("out", "", "the file to write")
	flag.Parse()
	generate, ok := parts[*part]
	if !ok {
		fmt.Fprintf(os.Stderr, "neon: no part %q, there are %v\n", *part, slices.Sorted(maps.Keys(parts)))
		os.Exit(2)
	}
	s := newSource(*part)
	generate(s)
	if err := os.WriteFile(*out, s.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
