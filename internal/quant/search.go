package quant

import "math"

// The searches for a group's scale. All of them minimise a weighted squared
// error over the scale (and the minimum) for rounded values that a trial scale
// gives, and then take the best of a few trials. The order of the float32
// operations is GGML's, so that equal input gives equal files: a product that
// is added to something is rounded first, and sums run from the first element.

// tiny is the magnitude below which a group counts as all zero.
const tiny = 1e-15

// nearest rounds to the nearest integer, ties to even, for magnitudes below
// 2^22: there the sum's last mantissa bit is worth 1. The conversion is no
// waste: f is often an inlined product.
func nearest(f float32) int32 {
	return int32(math.Float32bits(float32(f)+magic)&0x7fffff) - 0x400000
}

// round32 returns f rounded as by nearest and clamped to [lo, hi], as a float32.
// lo and hi are given as bits of magic+limit: near magic, floats of one exponent
// are ordered as their bits, and integers are clamped without a branch.
func round32(f float32, lo, hi int32) float32 {
	i := int32(math.Float32bits(float32(f) + magic))
	return math.Float32frombits(uint32(max(lo, min(hi, i)))) - magic
}

const (
	magic     = 0x1.8p23
	magicBits = 0x4b400000
)

func clamp(v, lo, hi int32) int32 { return max(lo, min(hi, v)) }

func sqrt(f float32) float32 { return float32(math.Sqrt(float64(f))) }

// sumSquares is the sum of x^2.
func sumSquares(x []float32) (sum float32) {
	for _, v := range x {
		sum += float32(v * v)
	}
	return sum
}

func sum(x []float32) (s float32) {
	for _, v := range x {
		s += v
	}
	return s
}

// fitSymmetric finds the scale s and codes q-n in [-n, n) for x ~ s*(q-n). The
// trials scale the value of the largest magnitude to values around -n.
func fitSymmetric(q []uint8, x, w []float32, n int32) (scale float32) {
	top := extreme(x)
	if abs(top) < tiny {
		clear(q)
		return 0
	}
	inv := float32(-n) / top
	xl, ll := symmetricSums(x, w, inv, n)
	if ll != 0 {
		scale = xl / ll
	}
	best, bestInv := scale*xl, inv
	for step := int32(-9); step <= 9; step++ {
		if step == 0 {
			continue
		}
		inv = -(float32(n) + float32(0.1*float32(step))) / top
		xl, ll = symmetricSums(x, w, inv, n)
		if ll > 0 && float32(xl*xl) > float32(best*ll) {
			scale = xl / ll
			best, bestInv = scale*xl, inv
		}
	}
	for i, v := range x {
		q[i] = uint8(clamp(nearest(bestInv*v), -n, n-1) + n)
	}
	return scale
}

// symmetricSums returns sum(w x l) and sum(w l l) over the rounded l: their
// quotient is the best scale for these l, and xl^2/ll what it takes off the
// error.
func symmetricSums(x, w []float32, inv float32, n int32) (xl, ll float32) {
	w = w[:len(x)]
	lo, hi := magicBits-n, magicBits+n-1
	for i, v := range x {
		l := round32(inv*v, lo, hi)
		xl += float32(float32(w[i]*v) * l)
		ll += float32(float32(w[i]*l) * l)
	}
	return xl, ll
}

// fitRefined is fitSymmetric without trials, for three bits: it moves single
// codes for as long as that helps. The weights are x^2.
func fitRefined(q []uint8, x []float32, n int32) (scale float32) {
	top := extreme(x)
	if abs(top) < tiny {
		clear(q)
		return 0
	}
	var codes [16]int32
	var xl, ll float32
	inv := float32(-n) / top
	for i, v := range x {
		codes[i] = clamp(nearest(inv*v), -n, n-1)
		l, w := float32(codes[i]), float32(v*v)
		xl += float32(float32(w*v) * l)
		ll += float32(float32(w*l) * l)
	}
	for range 5 {
		changed := false
		for i, v := range x {
			l, w := float32(codes[i]), float32(v*v)
			restXL := xl - float32(float32(w*v)*l)
			if restXL <= 0 {
				continue
			}
			restLL := ll - float32(float32(w*l)*l)
			code := clamp(nearest(float32(v*restLL)/restXL), -n, n-1)
			if code == codes[i] {
				continue
			}
			l = float32(code)
			restXL += float32(float32(w*v) * l)
			restLL += float32(float32(w*l) * l)
			if restLL > 0 && float32(float32(restXL*restXL)*ll) > float32(float32(xl*xl)*restLL) {
				codes[i], xl, ll, changed = code, restXL, restLL, true
			}
		}
		if !changed {
			break
		}
	}
	for i := range x {
		q[i] = uint8(codes[i] + n)
	}
	if ll == 0 { // the weights of very small numbers vanish
		return 0
	}
	return xl / ll
}

// An affineSearch is the trials of fitAffine: the range is divided into
// n+first, n+first+step, ... steps.
type affineSearch struct {
	first, step float32
	last        int  // number of the last trial
	absolute    bool // compare trials by absolute errors, not by squares
}

// fitAffine finds the scale s >= 0, the offset m >= 0 and codes q in [0, n] for
// x ~ s*q - m. For the codes of a trial it solves the two normal equations; a
// positive minimum, which m cannot express, becomes 0.
func fitAffine(q []uint8, x, w []float32, n int32, search affineSearch) (scale, m float32) {
	lo, hi := span(x)
	var sw, sx float32
	for i, v := range x {
		sw += w[i]
		sx += float32(w[i] * v)
	}
	lo = min(lo, 0)
	if lo == hi {
		clear(q)
		return 0, -lo
	}
	inv := float32(n) / (hi - lo)
	if math.IsInf(float64(inv), 0) { // too narrow for a scale
		clear(q)
		return 0, -lo
	}
	var c affineCodes
	c.x, c.w, c.n = x, w, magicBits+n
	low, scale := lo, 1/inv
	c.sums(inv, low)
	best, bestCodes := c.err(scale, low, search.absolute), c.codes
	for t := 0; t <= search.last; t++ {
		// A trial starts from the best minimum so far.
		inv = (float32(search.first+float32(search.step*float32(t))) + float32(n)) / (hi - low)
		l, ll, xl := c.sums(inv, low)
		d := float32(sw*ll) - float32(l*l)
		if !(d > 0) {
			continue
		}
		s := (float32(sw*xl) - float32(sx*l)) / d
		b := (float32(ll*sx) - float32(l*xl)) / d
		if b > 0 {
			s, b = xl/ll, 0
		}
		if e := c.err(s, b, search.absolute); e < best {
			best, bestCodes, scale, low = e, c.codes, s, b
		}
	}
	for i := range x {
		q[i] = uint8(bestCodes[i])
	}
	return scale, -low
}

// affineCodes is one trial's work on up to 32 elements.
type affineCodes struct {
	x, w  []float32
	n     int32 // the largest code, as round32 wants it
	codes [32]float32
}

// sums rounds the codes l of (x-low)*inv and returns sum(w l), sum(w l l) and
// sum(w l x).
func (c *affineCodes) sums(inv, low float32) (sl, sll, sxl float32) {
	w, codes, n := c.w[:len(c.x)], c.codes[:len(c.x)], c.n
	for i, v := range c.x {
		l := round32(inv*(v-low), magicBits, n)
		codes[i] = l
		wl := float32(w[i] * l)
		sl += wl
		sll += float32(wl * l)
		sxl += float32(wl * v)
	}
	return sl, sll, sxl
}

// err is the weighted error of scale*l + low over the codes l.
func (c *affineCodes) err(scale, low float32, absolute bool) (e float32) {
	w, codes := c.w[:len(c.x)], c.codes[:len(c.x)]
	if absolute {
		for i, v := range c.x {
			e += float32(w[i] * abs(float32(scale*codes[i])+low-v))
		}
		return e
	}
	for i, v := range c.x {
		d := float32(scale*codes[i]) + low - v
		e += float32(w[i] * float32(d*d))
	}
	return e
}

// fitPositive finds the scale s and codes q in [0, n] for x ~ s*q, x >= 0: the
// scales and the minima of a block, weighted by what their groups weigh.
func fitPositive(q []uint8, x, w []float32, n int32) (scale float32) {
	top := float32(0)
	for _, v := range x {
		top = max(top, v)
	}
	if top == 0 {
		clear(q)
		return 0
	}
	bestInv := float32(n) / top
	best := positiveError(x, w, bestInv, n)
	for step := -4; step <= 4; step++ {
		if step == 0 {
			continue
		}
		inv := (float32(0.1*float32(step)) + float32(n)) / top
		if e := positiveError(x, w, inv, n); e < best {
			best, bestInv = e, inv
		}
	}
	var xl, ll float32
	for i, v := range x {
		q[i] = uint8(clamp(nearest(bestInv*v), 0, n))
		l := float32(q[i])
		xl += float32(float32(w[i]*v) * l)
		ll += float32(float32(w[i]*l) * l)
	}
	for range 5 {
		changed := false
		for i, v := range x {
			l := float32(q[i])
			restXL := xl - float32(float32(w[i]*v)*l)
			restLL := ll - float32(float32(w[i]*l)*l)
			if restXL <= 0 || restLL <= 0 {
				continue
			}
			code := uint8(clamp(nearest(float32(v*restLL)/restXL), 0, n))
			if code == q[i] {
				continue
			}
			l = float32(code)
			restXL += float32(float32(w[i]*v) * l)
			restLL += float32(float32(w[i]*l) * l)
			if float32(float32(restXL*restXL)*ll) > float32(float32(xl*xl)*restLL) {
				q[i], xl, ll, changed = code, restXL, restLL, true
			}
		}
		if !changed {
			break
		}
	}
	if ll == 0 {
		return 0
	}
	return xl / ll
}

func positiveError(x, w []float32, inv float32, n int32) (e float32) {
	scale := 1 / inv
	for i, v := range x {
		d := v - float32(scale*float32(clamp(nearest(inv*v), 0, n)))
		e += float32(float32(w[i]*d) * d)
	}
	return e
}
