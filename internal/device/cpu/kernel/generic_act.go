package kernel

import "math"

// actScale is the scale of a quantised block of activations whose largest
// magnitude has the bits amax: d = amax/127 and its reciprocal. Where d is
// subnormal (its reciprocal may overflow), infinite or NaN, id is 0 and all
// quants are 0: a block of next to nothing counts as nothing, and a block with
// an infinite or NaN element turns every output of its row into NaN, because d
// is infinite or NaN there.
func actScale(amax uint32) (d, id float32) {
	d = math.Float32frombits(amax) / 127
	if d >= 0x1p-126 && d <= math.MaxFloat32 {
		id = 1 / d
	}
	return d, id
}

// maxAbsBits returns the largest magnitude in x as bits: as integers NaN
// orders above infinity and infinity above all else.
func maxAbsBits(x []float32) uint32 {
	var m uint32
	for _, v := range x {
		m = max(m, math.Float32bits(v)&0x7fffffff)
	}
	return m
}

// quantBlock writes q = round-to-even(x*id) and returns the sum.
func quantBlock(q []int8, x []float32, id float32) int32 {
	var sum int32
	q = q[:len(x)]
	for i, v := range x {
		var n int32
		if id != 0 { // 0*Inf
			n = int32(math.RoundToEven(float64(v * id)))
		}
		q[i] = int8(n)
		sum += n
	}
	return sum
}

func genericQuantizeAct32(a *Act, x []float32, ldx, row0, row1 int) {
	nb := a.K / 32
	for r := row0; r < row1; r++ {
		row, q := x[r*ldx:r*ldx+a.K], a.Q[r*a.K:(r+1)*a.K]
		for b := range nb {
			xb := row[b*32 : b*32+32]
			d, id := actScale(maxAbsBits(xb))
			a.Sum[r*nb+b] = quantBlock(q[b*32:b*32+32], xb, id)
			a.D[r*nb+b] = halfToFloat(floatToHalf(d))
		}
	}
}

func genericQuantizeAct256(a *Act, x []float32, ldx, row0, row1 int) {
	nb := a.K / 256
	for r := row0; r < row1; r++ {
		row, q := x[r*ldx:r*ldx+a.K], a.Q[r*a.K:(r+1)*a.K]
		for b := range nb {
			d, id := actScale(maxAbsBits(row[b*256 : b*256+256]))
			a.D[r*nb+b] = d
			for j := b * 16; j < b*16+16; j++ {
				a.Sum[r*nb*16+j] = quantBlock(q[j*16:j*16+16], row[j*16:j*16+16], id)
			}
		}
	}
}
