package kernel

import "math"

// halfToFloat widens an IEEE 754 binary16 value, which is exact.
func halfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 31
	man := uint32(h & 0x3ff)
	switch exp {
	case 31:
		if man != 0 {
			man |= 0x200 // signalling NaNs come out quiet, as VCVTPH2PS has it
		}
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	case 0: // zero and subnormals: man units of 2^-24
		return math.Float32frombits(math.Float32bits(float32(man)*0x1p-24) | sign)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// floatToHalf rounds to the nearest binary16 value, ties to even. Magnitudes
// of 65520 and more become infinite.
func floatToHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 | uint16(b>>13)&0x3ff
	case b >= 0x477ff000:
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: adding 1/2 rounds to units of 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	}
	b += 0xfff + b>>13&1
	return sign | uint16((b-0x38000000)>>13)
}

// bfloatToFloat widens a bfloat16 value, which is exact.
func bfloatToFloat(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }
