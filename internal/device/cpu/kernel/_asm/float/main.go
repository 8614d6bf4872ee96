// Command float generates the amd64 kernels of package kernel that are not for
// block-quantised types. One run writes one file:
//
//	go run ./float -part tile512 -out ../tile_avx512_amd64.s
//
// The Go declarations are written by hand beside the dispatching code.
package main

import (
	"flag"
	"fmt"
	"os"
	"sort"

	. "github.com/mmcloughlin/avo/build"
)

var parts = map[string]func(){
	"tile512": tile512,
	"tile2":   tile2,
	"elem512": elem512,
	"elem2":   elem2,

	"limits512": limits512,
	"limits2":   limits2,
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
		fmt.Fprintf(os.Stderr, "float: no part %q, there are %v\n", *part, names)
		os.Exit(2)
	}
	ConstraintExpr("amd64,!purego")
	generate()
	Generate()
}
