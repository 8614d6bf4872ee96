package quant

import "math"

// F16ToF32 widens an IEEE half-precision value, exactly.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	rest := uint32(h & 0x7fff)
	if rest >= 0x7c00 { // infinity or NaN: keep the payload
		return math.Float32frombits(sign | 0x7f800000 | rest<<13&0x7fffff)
	}
	if rest >= 0x0400 {
		return math.Float32frombits(sign | (rest<<13 + 112<<23))
	}
	// Subnormal: rest * 2^-24 is exact in f32.
	return math.Float32frombits(sign | math.Float32bits(float32(rest)*0x1p-24))
}

// F32ToF16 rounds to the nearest half-precision value, ties to even; what is
// too large becomes infinity, NaN stays NaN.
func F32ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x477ff000: // 65520 and more round to infinity
		return sign | 0x7c00
	case b >= 0x38800000: // normal
		b += 0xfff + b>>13&1
		return sign | uint16(b>>13-112<<10)
	}
	// Subnormal: adding 0.5 puts the unit of 2^-24 at the last mantissa bit, so
	// the addition rounds to nearest even.
	return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
}

// BF16ToF32 widens a bfloat16 value, exactly.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds to the nearest bfloat16 value, ties to even; NaN becomes a
// quiet NaN.
func F32ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 64
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
