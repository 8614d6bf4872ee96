package gguf

import (
	"fmt"

	"github.com/cria-llm/cria/internal/tensor"
)

const (
	magic            = "GGUF"
	defaultAlignment = 32

	keyAlignment         = "general.alignment"
	keySplitNo           = "split.no"
	keySplitCount        = "split.count"
	keySplitTensorsCount = "split.tensors.count"
)

// Limits on what a file may claim. Real files stay far below: a 70B model has
// 723 tensors and about 30 keys, the longest vocabularies 256k entries.
const (
	maxTensors     = 1 << 16
	maxKeys        = 1 << 16
	maxKeyBytes    = 1<<16 - 1 // the specification's
	maxNameBytes   = 256       // the specification says 64
	maxStringBytes = 16 << 20  // a refused chat template must still be readable
	maxElements    = 1 << 24   // of all arrays together
	maxDepth       = 4
	maxDims        = 4
	minAlignment   = 8
	maxAlignment   = 2 << 20
	minKVBytes     = 8 + 1 + 4 + 1         // length, key, type, value
	minTensorBytes = 8 + 1 + 4 + 8 + 4 + 8 // length, name, n_dims, one dimension, type, offset
	minArrayBytes  = 4 + 8                 // type, length
	stringLenBytes = 8
)

// valueType is GGUF's number for the type of a metadata value.
type valueType uint32

const (
	typeUint8 valueType = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
	numValueTypes
)

// valueTypes gives each type's name and size in bytes; strings and arrays have
// none.
var valueTypes = [numValueTypes]struct {
	name string
	size int
}{
	typeUint8: {"uint8", 1}, typeInt8: {"int8", 1}, typeUint16: {"uint16", 2}, typeInt16: {"int16", 2},
	typeUint32: {"uint32", 4}, typeInt32: {"int32", 4}, typeFloat32: {"float32", 4}, typeBool: {"bool", 1},
	typeString: {"string", 0}, typeArray: {"array", 0}, typeUint64: {"uint64", 8}, typeInt64: {"int64", 8}, typeFloat64: {"float64", 8},
}

func (t valueType) String() string {
	if t >= numValueTypes {
		return fmt.Sprintf("type %d", uint32(t))
	}
	return valueTypes[t].name
}

// TypeName returns GGUF's name for the type of a metadata value, as in
// "uint32", "array of string".
func TypeName(v any) string {
	if _, ok := v.(Nested); ok {
		return "array of array"
	}
	t, array, ok := typeOf(v)
	switch {
	case !ok:
		return fmt.Sprintf("%T", v)
	case array:
		return "array of " + t.String()
	}
	return t.String()
}

// typeOf returns the type of a value or, of an array, that of its elements.
func typeOf(v any) (t valueType, array, ok bool) {
	switch v.(type) {
	case uint8:
		return typeUint8, false, true
	case int8:
		return typeInt8, false, true
	case uint16:
		return typeUint16, false, true
	case int16:
		return typeInt16, false, true
	case uint32:
		return typeUint32, false, true
	case int32:
		return typeInt32, false, true
	case uint64:
		return typeUint64, false, true
	case int64:
		return typeInt64, false, true
	case float32:
		return typeFloat32, false, true
	case float64:
		return typeFloat64, false, true
	case bool:
		return typeBool, false, true
	case string:
		return typeString, false, true
	case []uint8:
		return typeUint8, true, true
	case []int8:
		return typeInt8, true, true
	case []uint16:
		return typeUint16, true, true
	case []int16:
		return typeInt16, true, true
	case []uint32:
		return typeUint32, true, true
	case []int32:
		return typeInt32, true, true
	case []uint64:
		return typeUint64, true, true
	case []int64:
		return typeInt64, true, true
	case []float32:
		return typeFloat32, true, true
	case []float64:
		return typeFloat64, true, true
	case []bool:
		return typeBool, true, true
	case []string:
		return typeString, true, true
	case Nested:
		return typeArray, true, true
	}
	return 0, false, false
}

// tensorTypes gives GGML's number of each type that Cria has.
var tensorTypes = map[uint32]tensor.DType{
	0: tensor.F32, 1: tensor.F16, 2: tensor.Q4_0, 3: tensor.Q4_1, 6: tensor.Q5_0, 7: tensor.Q5_1, 8: tensor.Q8_0,
	10: tensor.Q2_K, 11: tensor.Q3_K, 12: tensor.Q4_K, 13: tensor.Q5_K, 14: tensor.Q6_K, 20: tensor.IQ4_NL, 23: tensor.IQ4_XS,
	24: tensor.I8, 26: tensor.I32, 27: tensor.I64, 28: tensor.F64, 30: tensor.BF16,
}

// otherTensorTypes names the types of llama.cpp and of its fork ik_llama.cpp
// that Cria does not have, so that a refusal says what the user has.
var otherTensorTypes = map[uint32]string{
	4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
	25: "I16", 29: "IQ1_M", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0",
	36: "IQ4_NL_4_4 or I2_S", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
	97: "Q8_0_X4", 98: "Q8_1_X4", 99: "Q8_2_X4", 133: "Q6_0", 134: "IQ1_BN", 135: "IQ2_BN", 136: "Q8_K64", 137: "IQ2_K", 138: "IQ3_K",
	139: "IQ4_K", 140: "IQ5_K", 141: "IQ6_K", 142: "IQ2_TN", 143: "IQ1_TN", 144: "IQ4_KS", 145: "IQ2_KS", 146: "IQ4_KSS", 147: "Q8_K16",
	148: "Q8_K32", 149: "Q8_KR8", 150: "Q8_K128", 151: "Q8_KV", 152: "IQ5_KS", 153: "IQ2_KT", 154: "IQ3_KT", 155: "IQ4_KT", 156: "IQ3_KS",
	157: "IQ2_KL", 158: "IQ1_KT", 202: "Q4_0_R8", 206: "Q5_0_R4", 208: "Q8_0_R8", 210: "Q2_K_R4", 211: "Q3_K_R4", 212: "Q4_K_R4",
	213: "Q5_K_R4", 214: "Q6_K_R4", 216: "IQ2_XXS_R4", 217: "IQ2_XS_R4", 218: "IQ3_XXS_R4", 219: "IQ1_S_R4", 220: "IQ4_NL_R4",
	221: "IQ3_S_R4", 222: "IQ2_S_R4", 223: "IQ4_XS_R8", 229: "IQ1_M_R4", 230: "BF16_R16", 233: "Q6_0_R4", 335: "IQ2_BN_R4",
	337: "IQ2_K_R4", 338: "IQ3_K_R4", 339: "IQ4_K_R4", 340: "IQ5_K_R4", 344: "IQ4_KS_R4", 352: "IQ5_KS_R4", 353: "MXFP4_R8",
	397: "Q8_K_R16", 398: "Q8_KV_R8", 399: "Q8_K_R8",
}

// numberOf is the reverse of tensorTypes.
func numberOf(d tensor.DType) (number uint32, ok bool) {
	for n, t := range tensorTypes {
		if t == d {
			return n, true
		}
	}
	return 0, false
}
