// Package tensor names the element types and shapes that every other package
// speaks of. It holds no data and does no arithmetic.
package tensor

import (
	"fmt"
	"strings"
)

// DType is the storage type of a tensor's elements. The zero value is Invalid.
type DType uint8

// The types that Llama checkpoints are published in. Block types carry the
// names and byte layouts of GGML's reference (ggml-common.h).
const (
	Invalid DType = iota
	F32
	F16
	BF16
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	Q8_0
	Q2_K
	Q3_K
	Q4_K
	Q5_K
	Q6_K
	IQ4_NL
	IQ4_XS
	I8
	I32
	I64
	F64
	numDTypes
)

type traits struct {
	name       string
	blockElems int // elements per block; 1 for plain types
	blockBytes int
}

var table = [numDTypes]traits{
	Invalid: {"invalid", 0, 0},
	F32:     {"F32", 1, 4},
	F16:     {"F16", 1, 2},
	BF16:    {"BF16", 1, 2},
	Q4_0:    {"Q4_0", 32, 18},
	Q4_1:    {"Q4_1", 32, 20},
	Q5_0:    {"Q5_0", 32, 22},
	Q5_1:    {"Q5_1", 32, 24},
	Q8_0:    {"Q8_0", 32, 34},
	Q2_K:    {"Q2_K", 256, 84},
	Q3_K:    {"Q3_K", 256, 110},
	Q4_K:    {"Q4_K", 256, 144},
	Q5_K:    {"Q5_K", 256, 176},
	Q6_K:    {"Q6_K", 256, 210},
	IQ4_NL:  {"IQ4_NL", 32, 18},
	IQ4_XS:  {"IQ4_XS", 256, 136},
	I8:      {"I8", 1, 1},
	I32:     {"I32", 1, 4},
	I64:     {"I64", 1, 8},
	F64:     {"F64", 1, 8},
}

// String returns the type's name as GGML spells it ("Q4_0", "BF16").
func (d DType) String() string {
	if d >= numDTypes {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return table[d].name
}

// BlockElems returns the number of elements in one block: 1 for plain types,
// 32 or 256 for block-quantised ones.
func (d DType) BlockElems() int { return table[d].blockElems }

// BlockBytes returns the size of one block in bytes.
func (d DType) BlockBytes() int { return table[d].blockBytes }

// RowBytes returns the size in bytes of a row of n elements. n must be a
// multiple of BlockElems; anything else is a programmer's mistake and panics.
func (d DType) RowBytes(n int) int {
	t := table[d]
	if t.blockElems == 0 || n%t.blockElems != 0 {
		panic(fmt.Sprintf("tensor: a row of %d elements is no whole number of %s blocks", n, d))
	}
	return n / t.blockElems * t.blockBytes
}

// IsQuant reports whether the type is block-quantised.
func (d DType) IsQuant() bool { return d < numDTypes && table[d].blockElems > 1 }

// IsFloat reports whether the type is F32, F16 or BF16: the float types that
// weights are computed with directly.
func (d DType) IsFloat() bool { return d == F32 || d == F16 || d == BF16 }

// WeightTypes lists every type that a weight matrix may have, plain ones
// first, in the order of their declaration.
func WeightTypes() []DType {
	return []DType{F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS}
}

// ParseDType returns the type with the given name, in any case.
func ParseDType(s string) (DType, error) {
	for d := F32; d < numDTypes; d++ {
		if strings.EqualFold(table[d].name, s) {
			return d, nil
		}
	}
	return Invalid, fmt.Errorf("tensor: unknown element type %q", s)
}
