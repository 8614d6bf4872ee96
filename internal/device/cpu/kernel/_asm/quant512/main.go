// Command quant512 generates the AVX-512 (VNNI) kernels of the block-quantised
// types. One run writes one file:
//
//	go run ./quant512 -part mat -out ../quant_mat_avx512_amd64.s
//
// All kernels are one design. A block's weights are brought into eight
// registers of 16 rows x 4 unsigned bytes (the value plus the type's bias), and
// each column's chain of VPDPBUSD with broadcast activations begins at minus
// bias times the sum of its activations. Matrix kernels find the bytes in an
// unpacked panel, vector and small-batch kernels unpack them on the way; that
// is the only difference, so all keep the same order of accumulation.
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	part := flag.String("part", "", "which file to generate: dispatch, mat, unpack or the name of a hot type")
	flag.Parse()
	if *part == "dispatch" {
		if err := dispatch(flag.Lookup("out").Value.String()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ConstraintExpr("amd64,!purego")
	switch *part {
	case "mat":
		matKernels()
	case "unpack":
		for _, t := range types {
			unpackKernel(t)
		}
	default:
		t := typeNamed(*part)
		if t == nil {
			fmt.Fprintf(os.Stderr, "quant512: no part %q\n", *part)
			os.Exit(2)
		}
		for _, cols := range smallCols {
			panelKernel(t, cols)
		}
	}
	Generate()
}
