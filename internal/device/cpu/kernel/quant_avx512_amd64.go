//go:build amd64 && !purego

package kernel

import "github.com/cria-llm/cria/internal/tensor"

// avx512Quant is every block-quantised type on AVX-512 with VNNI, on panels of
// 16 rows.
func avx512Quant() map[tensor.DType]*QuantFormat { return genericQuant(16) }
