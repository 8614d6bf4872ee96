//go:build amd64 && !purego

package kernel

import "github.com/cria-llm/cria/internal/sys/cpufeat"

func init() {
	if cpufeat.HasAVX512() {
		register(avx512Set())
	}
}

// avx512Set needs AVX-512 F, BW, DQ, VL and VNNI; a machine without VNNI runs
// the AVX2 set.
func avx512Set() *Set {
	s := genericSet()
	s.Name = "avx512"
	s.Quant = avx512Quant()
	s.Gemm = avx512Gemm()
	s.Limits = avx512Limits()
	s.MatF32, s.MatF16, s.MatBF16 = avx512MatF32, avx512MatF16, avx512MatBF16
	s.useAVX2()
	return s
}
