package quant

import "encoding/binary"

// Without importances, the K-quants with minima weigh an element by its own
// magnitude plus the group's, and those without by its square: large weights
// matter more. With importances the weight is the column's importance times the
// element's magnitude, softened by the block's.

// importanceWeights writes imp*sqrt(ms + x^2).
func importanceWeights(w, x, imp []float32, ms float32) {
	for i, v := range x {
		w[i] = imp[i] * sqrt(ms+float32(v*v))
	}
}

func squares(w, x []float32) {
	for i, v := range x {
		w[i] = v * v
	}
}

// largest returns the largest value, at least 0.
func largest(x []float32) float32 {
	top := float32(0)
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

// packPairs packs codes of two bits, four groups of 32 deep.
func packPairs(dst []byte, q *[256]uint8) {
	for n := range 2 {
		for l := range 32 {
			g := q[n*128+l:]
			dst[n*32+l] = g[0]&3 | g[32]&3<<2 | g[64]&3<<4 | g[96]&3<<6
		}
	}
}

// requantize chooses the codes again for the scales as they are stored:
// x ~ d*(code-n) - m. A group without a scale keeps its codes.
func requantize(q []uint8, x []float32, d, m float32, lo, hi int32) {
	if d == 0 {
		return
	}
	for i, v := range x {
		q[i] = uint8(clamp(nearest((v+m)/d), lo, hi) - lo)
	}
}

var (
	searchQ2       = affineSearch{-0.5, 0.1, 15, true}
	searchQ4       = affineSearch{-1, 0.1, 20, false}
	searchQ5       = affineSearch{-0.5, 0.1, 15, false}
	searchWeighted = affineSearch{-0.9, 0.05, 36, false}
)

// encodeQ2K: see decodeQ2K for the layout.
func encodeQ2K(b []byte, x, imp []float32, _ float32) {
	var q [256]uint8
	var scales, mins, groupW, w [16]float32
	var sc, mn [16]uint8
	var ms float32
	if imp != nil {
		ms = sumSquares(x) / 256
	}
	for j := range 16 {
		xg := x[j*16 : j*16+16]
		search := searchQ2
		if imp != nil {
			importanceWeights(w[:], xg, imp[j*16:], ms)
			groupW[j] = sum(w[:])
			search = searchWeighted
		} else {
			for l, v := range xg {
				w[l] = abs(v)
			}
		}
		scales[j], mins[j] = fitAffine(q[j*16:j*16+16], xg, w[:], 3, search)
	}
	if imp != nil {
		putHalf(b, 80, fitPositive(sc[:], scales[:], groupW[:], 15))
		putHalf(b, 82, fitPositive(mn[:], mins[:], groupW[:], 15))
	} else {
		putHalf(b, 80, scaleTo(sc[:], scales[:], 15))
		putHalf(b, 82, scaleTo(mn[:], mins[:], 15))
	}
	d, dmin := half(b, 80), half(b, 82)
	for j := range 16 {
		b[j] = sc[j] | mn[j]<<4
		requantize(q[j*16:j*16+16], x[j*16:j*16+16], d*float32(sc[j]), float32(dmin*float32(mn[j])), 0, 3)
	}
	packPairs(b[16:80], &q)
}

// scaleTo maps the largest of x, which are not negative, to n and returns the
// unit.
func scaleTo(q []uint8, x []float32, n int32) float32 {
	top := largest(x)
	if top == 0 {
		clear(q)
		return 0
	}
	inv := float32(n) / top
	for i, v := range x {
		q[i] = uint8(clamp(nearest(inv*v), 0, n))
	}
	return top / float32(n)
}

// encodeQ3K: see decodeQ3K.
func encodeQ3K(b []byte, x, imp []float32, _ float32) {
	var q [256]uint8
	var scales, groupW, w [16]float32
	var sc [16]uint8 // plus 32
	var ms float32
	if imp != nil {
		ms = 2 * sumSquares(x) / 256
	}
	for j := range 16 {
		xg, qg := x[j*16:j*16+16], q[j*16:j*16+16]
		if imp != nil {
			importanceWeights(w[:], xg, imp[j*16:], ms)
			groupW[j] = sum(w[:])
			scales[j] = fitSymmetric(qg, xg, w[:], 4)
		} else {
			scales[j] = fitRefined(qg, xg, 4)
		}
	}
	if imp != nil {
		putHalf(b, 108, fitSymmetric(sc[:], scales[:], groupW[:], 32))
	} else {
		putHalf(b, 108, signedScaleTo(sc[:], scales[:]))
	}
	packQ3Scales(b[96:108], &sc)
	d := half(b, 108)
	unpacked := q3Scales(b[96:108])
	for j := range 16 {
		requantize(q[j*16:j*16+16], x[j*16:j*16+16], d*float32(unpacked[j]), 0, -4, 3)
	}
	clear(b[:32])
	for i, v := range q {
		b[i%32] |= v >> 2 << (i / 32)
	}
	packPairs(b[32:96], &q)
}

// signedScaleTo maps the value of the largest magnitude to -32, stores codes
// plus 32 and returns the unit.
func signedScaleTo(q []uint8, x []float32) float32 {
	top := extreme(x)
	if top == 0 {
		clear(q)
		return 0
	}
	inv := -32 / top
	for i, v := range x {
		q[i] = uint8(clamp(nearest(inv*v), -32, 31) + 32)
	}
	return 1 / inv
}

// packQ3Scales is the inverse of q3Scales.
func packQ3Scales(b []byte, sc *[16]uint8) {
	clear(b)
	for j, v := range sc {
		b[j%8] |= v & 15 << (j / 8 * 4)
		b[8+j%4] |= v >> 4 << (j / 4 * 2)
	}
}

// encodeAffine32 fits the eight groups of Q4_K and Q5_K, writes d, dmin, scales
// and minima and returns the codes.
func encodeAffine32(b []byte, x, imp []float32, n int32, search affineSearch) (q [256]uint8) {
	var w [32]float32
	var scales, mins, groupW [8]float32
	var sc, mn [8]uint8
	var ms float32
	if imp != nil {
		ms, search = 2*sumSquares(x)/256, searchWeighted
	}
	for j := range 8 {
		xg := x[j*32 : j*32+32]
		if imp != nil {
			importanceWeights(w[:], xg, imp[j*32:], ms)
			groupW[j] = sum(w[:])
		} else {
			rms := sqrt(sumSquares(xg) / 32)
			for l, v := range xg {
				w[l] = rms + abs(v)
			}
		}
		scales[j], mins[j] = fitAffine(q[j*32:j*32+32], xg, w[:], n, search)
	}
	if imp != nil {
		putHalf(b, 0, fitPositive(sc[:], scales[:], groupW[:], 63))
		putHalf(b, 2, fitPositive(mn[:], mins[:], groupW[:], 63))
	} else {
		putHalf(b, 0, scaleTo(sc[:], scales[:], 63))
		putHalf(b, 2, scaleTo(mn[:], mins[:], 63))
	}
	d, dmin := half(b, 0), half(b, 2)
	packScaleMinK4(b[4:16], &sc, &mn)
	for j := range 8 {
		requantize(q[j*32:j*32+32], x[j*32:j*32+32], d*float32(sc[j]), float32(dmin*float32(mn[j])), 0, n)
	}
	return q
}

// packScaleMinK4 is the inverse of ScaleMinK4 for all eight groups.
func packScaleMinK4(b []byte, sc, mn *[8]uint8) {
	for j := range 4 {
		b[j] = sc[j] | sc[j+4]>>4<<6
		b[j+4] = mn[j] | mn[j+4]>>4<<6
		b[j+8] = sc[j+4]&15 | mn[j+4]&15<<4
	}
}

// packNibbles packs 64 codes' low four bits into every 32 bytes.
func packNibbles(dst []byte, q *[256]uint8) {
	for j := range 4 {
		for l := range 32 {
			dst[j*32+l] = q[j*64+l]&15 | q[j*64+32+l]<<4
		}
	}
}

// encodeQ4K: see decodeQ4K.
func encodeQ4K(b []byte, x, imp []float32, _ float32) {
	q := encodeAffine32(b, x, imp, 15, searchQ4)
	packNibbles(b[16:144], &q)
}

// encodeQ5K: see decodeQ5K.
func encodeQ5K(b []byte, x, imp []float32, _ float32) {
	q := encodeAffine32(b, x, imp, 31, searchQ5)
	high := b[16:48]
	clear(high)
	for i, v := range q {
		high[i%32] |= v >> 4 << (i / 32)
	}
	packNibbles(b[48:176], &q)
}

// encodeQ6K: see decodeQ6K.
func encodeQ6K(b []byte, x, imp []float32, _ float32) {
	var q [256]uint8
	var scales, w [16]float32
	for j := range 16 {
		xg := x[j*16 : j*16+16]
		if imp != nil {
			copy(w[:], imp[j*16:])
		} else {
			squares(w[:], xg)
		}
		scales[j] = fitSymmetric(q[j*16:j*16+16], xg, w[:], 32)
	}
	top := extreme(scales[:])
	if abs(top) < tiny {
		clear(b)
		return
	}
	inv := -128 / top
	putHalf(b, 208, 1/inv)
	d := half(b, 208)
	for j := range 16 {
		sc := int8(min(127, nearest(inv*scales[j])))
		b[192+j] = byte(sc)
		requantize(q[j*16:j*16+16], x[j*16:j*16+16], d*float32(sc), 0, -32, 31)
	}
	for n := range 2 {
		for l := range 32 {
			g := q[n*128+l:]
			b[n*64+l] = g[0]&15 | g[64]<<4
			b[n*64+32+l] = g[32]&15 | g[96]<<4
			b[128+n*32+l] = g[0]>>4 | g[32]>>4<<2 | g[64]>>4<<4 | g[96]>>4<<6
		}
	}
}

// encodeIQ4XS: see decodeIQ4XS.
func encodeIQ4XS(b []byte, x, imp []float32, _ float32) {
	var scales [8]float32
	ms := float32(sumSquares(x) * (2. / 256))
	for j := range 8 {
		scales[j] = fitIQ4(x[j*32:j*32+32], sliceOf(imp, j*32), ms)
	}
	d := -extreme(scales[:]) / 32
	putHalf(b, 0, d)
	inv := inverse(d)
	var high uint16
	clear(b[4:8])
	for j := range 8 {
		sc := clamp(nearest(inv*scales[j]), -32, 31)
		packIQ4(b[8+j*16:8+j*16+16], x[j*32:j*32+32], inverse(d*float32(sc)))
		b[4+j/2] |= byte(sc+32) & 15 << (j % 2 * 4)
		high |= uint16(sc+32) >> 4 << (2 * j)
	}
	binary.LittleEndian.PutUint16(b[2:], high)
}
