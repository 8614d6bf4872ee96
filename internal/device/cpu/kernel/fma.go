package kernel

import "math"

// fma32 returns a*b+c rounded once to float32, as a fused multiply-add
// instruction does.
//
// The product of two float32 is exact in float64, so only the sum is rounded
// before the conversion. Rounding twice differs from rounding once only where
// the float64 sum lies exactly half-way between two float32, and there, or
// where the result may be a float32 subnormal, fma32Exact decides.
func fma32(a, b, c float32) float32 {
	s := float64(a)*float64(b) + float64(c)
	bits := math.Float64bits(s)
	if bits&0x1fffffff != 0x10000000 && bits<<1-1 >= 0x3810000000000000<<1-1 {
		return float32(s)
	}
	return fma32Exact(a, b, c)
}

// fma32Exact rounds the exact a*b+c to odd in float64 first, after which the
// second rounding cannot go wrong (Boldo and Melquiond, "Emulation of FMA and
// correctly rounded sums", 2008).
func fma32Exact(a, b, c float32) float32 {
	p, d := float64(a)*float64(b), float64(c)
	s := p + d
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	// Knuth's TwoSum: s + e is exactly p + d.
	t := s - p
	e := (p - (s - t)) + (d - t)
	bits := math.Float64bits(s)
	if e != 0 && bits&1 == 0 {
		if (e > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
	}
	return float32(math.Float64frombits(bits))
}

// fmaRow does acc[i] = fma(a, x[i], acc[i]).
func fmaRow(acc []float32, a float32, x []float32) {
	x = x[:len(acc)]
	for i := range acc {
		acc[i] = fma32(a, x[i], acc[i])
	}
}

// sumLanes reduces 16 lanes by the tree that the package documentation gives.
func sumLanes(l *[16]float32) float32 {
	for _, n := range [...]int{8, 4, 2, 1} {
		for i := range n {
			l[i] += l[i+n]
		}
	}
	return l[0]
}
