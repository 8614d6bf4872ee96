// Command elem2 generates the AVX2 kernels of package kernel that work on
// activations and on the KV cache. One run writes one file:
//
//	go run ./elem2 -part attn -out ../attn_avx2_amd64.s
//
// The Go declarations are written by hand beside their callers, except those of
// the kernels that exist in many sizes (-part dispatch).
package main

import (
	"flag"
	"fmt"
	"os"
	"sort"

	. "github.com/mmcloughlin/avo/build"
)

var parts = map[string]func(){
	"vec":   vecs,
	"act":   acts,
	"attn":  attention,
	"train": training,
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
		fmt.Fprintf(os.Stderr, "elem2: no part %q, there are dispatch and %v\n", *part, names)
		os.Exit(2)
	}
	ConstraintExpr("amd64,!purego")
	generate()
	Generate()
}
