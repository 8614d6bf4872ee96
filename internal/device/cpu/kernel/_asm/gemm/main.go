// Command gemm generates the amd64 kernels of package kernel for the products of
// training. One run writes one file:
//
//	go run ./gemm -part tile2 -out ../gemm_avx2_amd64.s
//
// The Go declarations are written by hand beside their callers, except those of
// the tiles, which exist in many sizes (-part dispatch).
package main

import (
	"flag"
	"fmt"
	"os"
	"sort"

	. "github.com/mmcloughlin/avo/build"
)

var parts = map[string]func(){
	"tile2":   func() { tiles(avx2) },
	"tile512": func() { tiles(avx512) },
	"pack2":   packs,
	"pairs2":  packsBF16,
}

func main() {
	part := flag.String("part", "", "which file to generate")
	flag.Parse()
	if *part == "dispatch" {
		if err := dispatch(flag.Lookup("out").Value.String()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	generate, ok := parts[*part]
	if !ok {
		var names []string
		for n := range parts {
			names = append(names, n)
		}
		sort.Strings(names)
		fmt.Fprintf(os.Stderr, "gemm: no part %q, there are dispatch and %v\n", *part, names)
		os.Exit(2)
	}
	ConstraintExpr("amd64,!purego")
	generate()
	Generate()
}
