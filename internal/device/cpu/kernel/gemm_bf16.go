package kernel

import "math"

// GemmBF16 are a set's routines for products of bfloat16 in training: operands
// are rounded to bfloat16, to the nearest and ties to even, as they are packed,
// products and sums are f32. Panels are those of Gemm with two steps of K to an
// element, the first in the low half; an odd last step is padded with zero.
// Blocks of K are Gemm's. The chain of an output takes the second step of a pair
// first, as VDPBF16PS does:
//
//	s = fma(A[i][k+1], B[k+1][j], s); s = fma(A[i][k], B[k][j], s)
//
// with subnormal operands and results flushed to zero.
type GemmBF16 struct {
	// Tiles is Gemm's Tiles on packed panels, in pairs: a and b have pairs steps.
	Tiles func(c []float32, ldc int, a, b []uint32, rows, pairs int, add bool)
	// Pack is Gemm's Pack.
	Pack func(dst []uint32, src []float32, ld, width, n, k int, byStep bool)
}

// BlockBF16 is Block with both operands in panels of bfloat16.
func (g *Gemm) BlockBF16(c []float32, ldc int, packedA, packedB []uint32, m, n, k int, add bool, edge []float32) {
	pairs := (k + 1) / 2
	panel := g.NR * pairs
	for j := 0; j+g.NR <= n; j += g.NR {
		g.BF16.Tiles(c[j:], ldc, packedA, packedB[j/g.NR*panel:], m, pairs, add)
	}
	if rest := n % g.NR; rest > 0 && m > 0 {
		j := n - rest
		g.BF16.Tiles(edge, g.NR, packedA, packedB[j/g.NR*panel:], m, pairs, false)
		putEdge(c[j:], ldc, edge, g.NR, m, rest, add)
	}
}

// PlainBF16 returns plain Go's routines for tiles of g: an oracle, far slower
// than products in f32.
func PlainBF16(g *Gemm) *GemmBF16 {
	mr, nr := g.MR, g.NR
	return &GemmBF16{
		Tiles: func(c []float32, ldc int, a, b []uint32, rows, pairs int, add bool) {
			for i := range rows {
				for j := range nr {
					var s float32
					for l := range pairs {
						s = dotPair(s, a[i/mr*mr*pairs+l*mr+i%mr], b[l*nr+j])
					}
					if add {
						s += c[i*ldc+j]
					}
					c[i*ldc+j] = s
				}
			}
		},
		Pack: plainPackBF16,
	}
}

// dotPair is VDPBF16PS (Intel's manual, volume 2).
func dotPair(s float32, a, b uint32) float32 {
	s = flush(fma32(flush(math.Float32frombits(a&0xffff0000)), flush(math.Float32frombits(b&0xffff0000)), flush(s)))
	return flush(fma32(flush(math.Float32frombits(a<<16)), flush(math.Float32frombits(b<<16)), s))
}

// flush turns subnormal numbers into zeros of their sign.
func flush(f float32) float32 {
	if b := math.Float32bits(f); b&0x7f800000 == 0 {
		return math.Float32frombits(b & 0x80000000)
	}
	return f
}

// floatToBFloat16 rounds to the nearest bfloat16, ties to even. NaN stays NaN.
func floatToBFloat16(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func plainPackBF16(dst []uint32, src []float32, ld, width, n, k int, byStep bool) {
	row, step := ld, 1
	if byStep {
		row, step = 1, ld
	}
	pairs := (k + 1) / 2
	at := func(i, l int) uint32 {
		if i >= n || l >= k {
			return 0
		}
		return uint32(floatToBFloat16(src[i*row+l*step]))
	}
	for p := 0; p < n; p += width {
		for l := range pairs {
			for i := range width {
				dst[p*pairs+l*width+i] = at(p+i, 2*l) | at(p+i, 2*l+1)<<16
			}
		}
	}
}
