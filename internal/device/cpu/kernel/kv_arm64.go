//go:build arm64 && !purego

package kernel

import "unsafe"

func neonStoreKVF16(kpage, vpage []byte, k, v []float32, h, pos int) {
	k, v = k[:h], v[:h]
	keys := vpage[pos*h*2 : (pos+1)*h*2] // the values' place: theirs follow
	toHalves(keys, k)
	column := kpage[2*pos : (h-1)*PageTokens*2+2*pos+2]
	for d := range h {
		column[d*PageTokens*2], column[d*PageTokens*2+1] = keys[2*d], keys[2*d+1]
	}
	toHalves(keys, v)
}

// toHalves rounds src to binary16 values in dst.
func toHalves(dst []byte, src []float32) {
	whole := len(src) &^ 3
	if whole > 0 {
		_ = dst[2*whole-1]
		neonToHalf((*uint16)(unsafe.Pointer(&dst[0])), &src[0], whole)
	}
	for d := whole; d < len(src); d++ {
		putU16(dst, d, floatToHalf(src[d]))
	}
}

func neonStoreKVQ8(kpage, vpage []byte, k, v []float32, h, pos int) {
	k, v = k[:h], v[:h]
	nb := h / 32
	var d [1]float32
	var sum [1]int32
	var q [32]int8
	kscales, vscales := kpage[h*PageTokens:], vpage[h*PageTokens:]
	for b := range nb {
		neonQuantize32(&q[0], &d[0], &sum[0], &k[b*32], 1)
		column := kpage[b*32*PageTokens+pos : (b*32+31)*PageTokens+pos+1]
		for i, n := range q {
			column[i*PageTokens] = byte(n)
		}
		putU16(kscales, b*PageTokens+pos, floatToHalf(d[0]))

		values := vpage[pos*h+b*32 : pos*h+b*32+32]
		neonQuantize32((*int8)(unsafe.Pointer(&values[0])), &d[0], &sum[0], &v[b*32], 1)
		putU16(vscales, pos*nb+b, floatToHalf(d[0]))
	}
}
