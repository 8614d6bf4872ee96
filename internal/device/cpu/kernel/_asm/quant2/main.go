// Command quant2 generates the AVX2 kernels of the block-quantised types. One
// run writes one file:
//
//	go run ./quant2 -part mat -out ../quant_mat_avx2_amd64.s
//
// All kernels are one design. A register holds a group: 8 rows x 4 unsigned
// bytes (the value plus the type's bias), which VPMADDUBSW multiplies with 4
// broadcast activations into 8 rows x 2 words. As many groups are added up in
// words as cannot overflow whatever the file holds (class.fold), and one
// VPMADDWD brings them to 32 bits, multiplied by the sub-scale where there is
// one. What the bias adds is known from the sums of the activations. Bytes of
// 8 bits are held as magnitudes and values instead, and the activations take
// the values' signs. Matrix kernels find groups in an unpacked panel, vector
// and small-batch kernels unpack them on the way; that is the only difference,
// so all keep the same order of accumulation.
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	part := flag.String("part", "", "which file to generate: dispatch, mat, unpack, pack, vec or the name of a hot type")
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
	case "vec":
		for _, t := range types {
			if t.cols == 1 {
				panelKernel(t, 1)
			}
		}
	case "pack":
		packKernels()
	default:
		t := typeNamed(*part)
		if t == nil || t.cols < hotCols {
			fmt.Fprintf(os.Stderr, "quant2: no part %q\n", *part)
			os.Exit(2)
		}
		for cols := 1; cols <= t.cols; cols++ {
			panelKernel(t, cols)
		}
	}
	Generate()
}
