package kernel

import "math"

// The plain Go kernels in the generic_*.go files are the contract of all
// others: what they compute, in which order and with which roundings.

func genericMatF32(y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int) {
	for c := range cols {
		for r := range rows {
			y[c*ldy+r] = genericDot(w[r*ldw:r*ldw+k], x[c*ldx:])
		}
	}
}

func genericMatF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	genericMat16(y, ldy, w, ldw, x, ldx, rows, cols, k, halfToFloat)
}

func genericMatBF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	genericMat16(y, ldy, w, ldw, x, ldx, rows, cols, k, bfloatToFloat)
}

func genericMat16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int, widen func(uint16) float32) {
	var wide [256]float32 // a multiple of 16: pieces keep the lanes' order
	for r := range rows {
		row := w[r*ldw : r*ldw+k]
		for c := range cols {
			var lanes [16]float32
			for i := 0; i < k; i += len(wide) {
				piece := row[i:min(i+len(wide), k)]
				for j, b := range piece {
					wide[j] = widen(b)
				}
				dotLanes(&lanes, wide[:len(piece)], x[c*ldx+i:])
			}
			y[c*ldy+r] = sumLanes(&lanes)
		}
	}
}

// genericDot is the dot product of w and x[:len(w)] in the float kernels'
// order: 16 lanes along K, then the tree.
func genericDot(w, x []float32) float32 {
	var lanes [16]float32
	dotLanes(&lanes, w, x)
	return sumLanes(&lanes)
}

func dotLanes(lanes *[16]float32, w, x []float32) {
	x = x[:len(w)]
	for len(w) >= 16 {
		wv, xv := (*[16]float32)(w), (*[16]float32)(x)
		for l := range lanes {
			lanes[l] = fma32(wv[l], xv[l], lanes[l])
		}
		w, x = w[16:], x[16:]
	}
	if len(w) == 0 {
		return
	}
	// The padding is multiplied as well: -0 + 0*0 is +0.
	var wv, xv [16]float32
	copy(wv[:], w)
	copy(xv[:], x)
	for l := range lanes {
		lanes[l] = fma32(wv[l], xv[l], lanes[l])
	}
}

// rmsScale is RMSNorm's factor for a row of n elements whose squares sum to ss.
func rmsScale(ss float32, n int, eps float32) float32 {
	return 1 / float32(math.Sqrt(float64(ss/float32(n)+eps)))
}

func genericRMSNorm(y, x, g []float32, eps float32) {
	s := rmsScale(genericDot(x, x), len(x), eps)
	for i, v := range x {
		y[i] = v * s * g[i]
	}
}

func genericAdd(y, x []float32) {
	for i := range y {
		y[i] += x[i]
	}
}

func genericScale(y, x []float32, scale float32) {
	for i := range y {
		y[i] = x[i] * scale
	}
}

func genericSwiGLU(y, g, u []float32) {
	for i := range y {
		y[i] = g[i] / (1 + exp32(-g[i])) * u[i]
	}
}

func genericRoPE(x []float32, h int, cos, sin []float32, scale float32) {
	for ; len(x) >= h; x = x[h:] {
		for i := range h / 2 {
			a, b, c, s := x[2*i], x[2*i+1], cos[i], sin[i]
			// The conversions keep compilers from fusing product and sum.
			x[2*i] = (float32(a*c) - float32(b*s)) * scale
			x[2*i+1] = (float32(a*s) + float32(b*c)) * scale
		}
	}
}

func genericExp(y, x []float32) {
	for i := range y {
		y[i] = exp32(x[i])
	}
}

// The exponential of all sets, for |r| <= ln(2)/2 a minimax polynomial
//
//	n = round-to-even(x*log2(e)), by adding and subtracting 1.5*2^23 with one
//	    fma before it
//	r = fma(n, -ln2Hi, x); r = fma(n, -ln2Lo, r)
//	p = fma(...fma(fma(exp6, r, exp5), r, exp4)..., r, 1), ending in r + 1
//	exp(x) = p * 2^n
//
// with 0 for x below expMin, where the result would be subnormal, and +Inf
// above expMax. The error is below 1 unit in the last place.
const (
	log2E    = 0x1.715476p+0
	expMagic = 0x1.8p+23
	ln2Hi    = 0x1.62e43p-1
	ln2Lo    = -0x1.05c61p-29
	exp2     = 0x1.fffffcp-2
	exp3     = 0x1.555492p-3
	exp4     = 0x1.5558f2p-5
	exp5     = 0x1.123a2p-7
	exp6     = 0x1.6a23cep-10
	expMin   = -0x1.5d589ep+6 // just above ln(2^-126)
	expMax   = 0x1.62e42ep+6  // just below ln(2^128)
)

func exp32(x float32) float32 {
	switch {
	case x < expMin:
		return 0
	case x > expMax:
		return float32(math.Inf(1))
	case x != x:
		return x
	}
	t := fma32(x, log2E, expMagic)
	n := t - expMagic
	r := fma32(n, -ln2Hi, x)
	r = fma32(n, -ln2Lo, r)
	p := fma32(exp6, r, exp5)
	p = fma32(p, r, exp4)
	p = fma32(p, r, exp3)
	p = fma32(p, r, exp2)
	p = fma32(p, r, 1)
	p = fma32(p, r, 1)
	// Adding to the exponent field reaches 2^128 * p for p < 1, too.
	return math.Float32frombits(math.Float32bits(p) + math.Float32bits(t)<<23)
}
