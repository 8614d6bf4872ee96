//go:build arm64 && !purego

package kernel

import "github.com/cria-llm/cria/internal/sys/cpufeat"

func init() {
	if cpufeat.HasDotProd() {
		register(neonSet())
	}
}

// neonSet needs Advanced SIMD with the dot product instructions (ARMv8.2's
// FEAT_DotProd); a machine without them runs the generic set.
func neonSet() *Set {
	s := genericSet()
	s.Name = "neon"
	s.PanelRows, s.Quant = 8, neonQuant()
	s.QuantizeAct32, s.QuantizeAct256 = neonQuantizeAct32, neonQuantizeAct256
	s.MatF32, s.MatF16, s.MatBF16 = neonMatF32, neonMatF16, neonMatBF16
	s.RMSNorm, s.Add, s.Scale, s.SwiGLU = neonRMSNorm, neonAddSlice, neonScaleSlice, neonSwiGLUSlice
	s.RoPE, s.Exp = neonRoPEHeads, neonExpSlice
	s.StoreKVF16, s.StoreKVQ8 = neonStoreKVF16, neonStoreKVQ8
	s.AttnF32, s.AttnF16, s.AttnQ8 = neonAttnF32, neonAttnF16, neonAttnQ8
	s.Gemm, s.Train = neonGemm(), vectorTrain()
	s.Limits = neonLimits()
	return s
}
