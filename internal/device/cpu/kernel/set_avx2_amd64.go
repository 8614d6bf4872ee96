//go:build amd64 && !purego

package kernel

import "github.com/cria-llm/cria/internal/sys/cpufeat"

// Files of one package initialise in the order of their names, so the sets
// register in ascending order of preference; TestOrder holds that.
func init() {
	if cpufeat.HasAVX2() {
		register(avx2Set())
	}
}

// avx2Set needs AVX2, FMA and F16C.
func avx2Set() *Set {
	s := genericSet()
	s.Name = "avx2"
	s.PanelRows = 8
	s.Quant = avx2Quant()
	s.Gemm = avx2Gemm()
	s.Limits = avx2Limits()
	s.MatF32, s.MatF16, s.MatBF16 = avx2MatF32, avx2MatF16, avx2MatBF16
	s.useAVX2()
	return s
}
