package kernel

import (
	"encoding/binary"
	"math"
)

// kvKind is the element type of a cache page.
type kvKind int

const (
	kvF32 kvKind = iota
	kvF16
	kvQ8
)

func genericStoreKVF32(kpage, vpage []byte, k, v []float32, h, pos int) {
	for d := range h {
		putF32(kpage, d*PageTokens+pos, k[d])
		putF32(vpage, pos*h+d, v[d])
	}
}

func genericStoreKVF16(kpage, vpage []byte, k, v []float32, h, pos int) {
	for d := range h {
		putU16(kpage, d*PageTokens+pos, floatToHalf(k[d]))
		putU16(vpage, pos*h+d, floatToHalf(v[d]))
	}
}

// genericStoreKVQ8 quantises blocks of 32 inside the head as QuantizeAct32
// does: d = amax/127 in f32, q = round-to-even(x/d) by the reciprocal of the
// unrounded d, and d is stored as f16.
func genericStoreKVQ8(kpage, vpage []byte, k, v []float32, h, pos int) {
	var q [32]int8
	kscales, vscales := kpage[h*PageTokens:], vpage[h*PageTokens:]
	for b := range h / 32 {
		d, id := actScale(maxAbsBits(k[b*32 : b*32+32]))
		quantBlock(q[:], k[b*32:b*32+32], id)
		for i, n := range q {
			kpage[(b*32+i)*PageTokens+pos] = byte(n)
		}
		putU16(kscales, b*PageTokens+pos, floatToHalf(d))

		d, id = actScale(maxAbsBits(v[b*32 : b*32+32]))
		quantBlock(q[:], v[b*32:b*32+32], id)
		for i, n := range q {
			vpage[pos*h+b*32+i] = byte(n)
		}
		putU16(vscales, pos*(h/32)+b, floatToHalf(d))
	}
}

func genericAttnF32(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	genericAttn(kvF32, st, q, n, h, k, v, lo, hi)
}

func genericAttnF16(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	genericAttn(kvF16, st, q, n, h, k, v, lo, hi)
}

func genericAttnQ8(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	genericAttn(kvQ8, st, q, n, h, k, v, lo, hi)
}

// genericAttn is AttnTile as documented there, one query at a time.
func genericAttn(kind kvKind, st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	var row, s [PageTokens]float32
	for i := range n {
		lo, hi := int(lo[i]), int(hi[i])
		if lo == hi {
			continue
		}
		clear(s[:])
		for d, qd := range q[i*h : i*h+h] {
			loadKeys(kind, &row, k, h, d)
			fmaRow(s[:], qd, row[:])
		}
		p := st.P[i*PageTokens : i*PageTokens+PageTokens]
		a := softmaxTile(st, i, &s, p, lo, hi)

		acc := st.Acc[i*h : i*h+h]
		for d := range acc {
			acc[d] *= a
		}
		for j := lo; j < hi; j++ {
			for d := 0; d < h; d += len(row) {
				piece := acc[d:min(d+len(row), h)]
				loadValues(kind, row[:len(piece)], v, h, j, d)
				fmaRow(piece, p[j], row[:])
			}
		}
	}
}

// softmaxTile turns the scores of query i into weights p, updates its running
// maximum and sum, and returns the factor that rescales what was summed
// before. Positions outside [lo, hi) weigh 0.
func softmaxTile(st *AttnState, i int, s *[PageTokens]float32, p []float32, lo, hi int) float32 {
	m := st.M[i]
	for _, v := range s[lo:hi] {
		m = max(m, v)
	}
	var t [4][16]float32
	for j := range p {
		p[j] = 0
		if lo <= j && j < hi {
			p[j] = exp32(s[j] - m)
		}
		t[j/16][j%16] = p[j]
	}
	for l := range t[0] {
		t[0][l] = (t[0][l] + t[1][l]) + (t[2][l] + t[3][l])
	}
	a := exp32(st.M[i] - m)
	st.M[i] = m
	st.L[i] = fma32(st.L[i], a, sumLanes(&t[0]))
	return a
}

// loadKeys reads element d of all keys of a page.
func loadKeys(kind kvKind, dst *[PageTokens]float32, page []byte, h, d int) {
	base := d * PageTokens
	for j := range dst {
		switch kind {
		case kvF32:
			dst[j] = math.Float32frombits(binary.LittleEndian.Uint32(page[4*(base+j):]))
		case kvF16:
			dst[j] = halfToFloat(binary.LittleEndian.Uint16(page[2*(base+j):]))
		case kvQ8:
			scale := binary.LittleEndian.Uint16(page[h*PageTokens+2*(d/32*PageTokens+j):])
			dst[j] = halfToFloat(scale) * float32(int8(page[base+j]))
		}
	}
}

// loadValues reads elements d, d+1, … of the value at position j of a page.
func loadValues(kind kvKind, dst []float32, page []byte, h, j, d int) {
	base := j*h + d
	for i := range dst {
		switch kind {
		case kvF32:
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(page[4*(base+i):]))
		case kvF16:
			dst[i] = halfToFloat(binary.LittleEndian.Uint16(page[2*(base+i):]))
		case kvQ8:
			scale := binary.LittleEndian.Uint16(page[h*PageTokens+2*(j*(h/32)+(d+i)/32):])
			dst[i] = halfToFloat(scale) * float32(int8(page[base+i]))
		}
	}
}

func putF32(p []byte, i int, v float32) {
	binary.LittleEndian.PutUint32(p[4*i:], math.Float32bits(v))
}

func putU16(p []byte, i int, v uint16) { binary.LittleEndian.PutUint16(p[2*i:], v) }
