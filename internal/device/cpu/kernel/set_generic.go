package kernel

// genericSet is the plain Go set: it runs everywhere and is the oracle of all
// others.
func genericSet() *Set {
	return &Set{
		Name:           "generic",
		PanelRows:      16,
		Quant:          genericQuant(16),
		QuantizeAct32:  genericQuantizeAct32,
		QuantizeAct256: genericQuantizeAct256,
		MatF32:         genericMatF32,
		MatF16:         genericMatF16,
		MatBF16:        genericMatBF16,
		RMSNorm:        genericRMSNorm,
		Add:            genericAdd,
		Scale:          genericScale,
		SwiGLU:         genericSwiGLU,
		RoPE:           genericRoPE,
		Exp:            genericExp,
		StoreKVF32:     genericStoreKVF32,
		StoreKVF16:     genericStoreKVF16,
		StoreKVQ8:      genericStoreKVQ8,
		AttnF32:        genericAttnF32,
		AttnF16:        genericAttnF16,
		AttnQ8:         genericAttnQ8,
		Gemm:           genericGemm(),
		Train:          genericTrain(),
		Limits:         genericLimits(),
	}
}
