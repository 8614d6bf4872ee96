package quant

// The 16 values of IQ4 lie closer together around zero, where weights are
// dense, so the nearest one is found by a table.

// iq4Index[i] is the index of the value nearest to x for 2x in [i-254, i-253):
// the borders between neighbouring values are multiples of one half.
var iq4Index = func() (t [481]uint8) {
	index := 0
	for i := range t {
		for index < 15 && i-254 >= int(iq4Values[index])+int(iq4Values[index+1]) {
			index++
		}
		t[i] = uint8(index)
	}
	return t
}()

// nearestIQ4 returns the index of the value nearest to x, the upper one of two
// equally near.
func nearestIQ4(x float32) uint8 {
	if !(x > -127) {
		return 0
	}
	if x >= 113 {
		return 15
	}
	x += x
	i := int32(x)
	if float32(i) > x { // the conversion rounded up to zero
		i--
	}
	return iq4Index[i+254]
}

// sliceOf is imp[from:], or nil.
func sliceOf(imp []float32, from int) []float32 {
	if imp == nil {
		return nil
	}
	return imp[from:]
}

// fitIQ4 finds the scale s for x ~ s*value; ms, the mean square of the block
// and its neighbours, is used with importances only.
func fitIQ4(x, imp []float32, ms float32) (scale float32) {
	top := extreme(x)
	if abs(top) < tiny {
		return 0
	}
	var buf [32]float32
	w := buf[:len(x)]
	if imp != nil {
		importanceWeights(w, x, imp, ms)
	} else {
		squares(w, x)
	}
	first := float32(iq4Values[0])
	xv, vv := iq4Sums(x, w, 1/(-top/first))
	scale = xv / vv
	best := scale * xv
	for step := float32(-7); step <= 7; step++ {
		xv, vv = iq4Sums(x, w, (step+first)/top)
		if vv > 0 && float32(xv*xv) > float32(best*vv) {
			scale = xv / vv
			best = scale * xv
		}
	}
	return scale
}

// iq4Sums returns sum(w v x) and sum(w v v) over the nearest values v.
func iq4Sums(x, w []float32, inv float32) (xv, vv float32) {
	w = w[:len(x)]
	for i, f := range x {
		v := float32(iq4Values[nearestIQ4(inv*f)])
		wv := float32(w[i] * v)
		xv += float32(wv * f)
		vv += float32(wv * v)
	}
	return xv, vv
}

// packIQ4 packs the indices of 32 elements.
func packIQ4(b []byte, x []float32, inv float32) {
	for j := range 16 {
		b[j] = nearestIQ4(inv*x[j]) | nearestIQ4(inv*x[j+16])<<4
	}
}

// encodeIQ4NL: see decodeIQ4NL.
func encodeIQ4NL(b []byte, x, imp []float32, _ float32) {
	d := fitIQ4(x, imp, float32(sumSquares(x)*(2./32)))
	putHalf(b, 0, d)
	packIQ4(b[2:18], x, inverse(d))
}
