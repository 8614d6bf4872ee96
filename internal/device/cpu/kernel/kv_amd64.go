//go:build amd64 && !purego

package kernel

import "unsafe"

// The kernels below take multiples of 8 elements, not 0; their callers do a
// tail. A column has one element in each row of keys.

//go:noescape
func avx2ToHalf(dst *byte, src *float32, n int)

//go:noescape
func avx2HalfColumn(dst *byte, src *float32, n int)

//go:noescape
func avx2Column(dst *byte, src *float32, n int)

func avx2StoreKVF32(kpage, vpage []byte, k, v []float32, h, pos int) {
	k, v = k[:h], v[:h]
	copy(vpage[pos*h*4:(pos+1)*h*4], unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*h))
	whole := h &^ 7
	if whole > 0 {
		column := kpage[4*pos : (whole-1)*PageTokens*4+4*pos+4]
		avx2Column(&column[0], &k[0], whole)
	}
	for d := whole; d < h; d++ {
		putF32(kpage, d*PageTokens+pos, k[d])
	}
}

func avx2StoreKVF16(kpage, vpage []byte, k, v []float32, h, pos int) {
	k, v = k[:h], v[:h]
	whole := h &^ 7
	if whole > 0 {
		column, values := kpage[2*pos:(whole-1)*PageTokens*2+2*pos+2], vpage[pos*h*2:(pos*h+whole)*2]
		avx2HalfColumn(&column[0], &k[0], whole)
		avx2ToHalf(&values[0], &v[0], whole)
	}
	for d := whole; d < h; d++ {
		putU16(kpage, d*PageTokens+pos, floatToHalf(k[d]))
		putU16(vpage, pos*h+d, floatToHalf(v[d]))
	}
}

func avx2StoreKVQ8(kpage, vpage []byte, k, v []float32, h, pos int) {
	k, v = k[:h], v[:h]
	nb := h / 32
	var d [1]float32
	var sum [1]int32
	var q [32]int8
	kscales, vscales := kpage[h*PageTokens:], vpage[h*PageTokens:]
	for b := range nb {
		avx2Quantize32(&q[0], &d[0], &sum[0], &k[b*32], 1)
		column := kpage[b*32*PageTokens+pos : (b*32+31)*PageTokens+pos+1]
		for i, n := range q {
			column[i*PageTokens] = byte(n)
		}
		putU16(kscales, b*PageTokens+pos, floatToHalf(d[0]))

		values := vpage[pos*h+b*32 : pos*h+b*32+32]
		avx2Quantize32((*int8)(unsafe.Pointer(&values[0])), &d[0], &sum[0], &v[b*32], 1)
		putU16(vscales, pos*nb+b, floatToHalf(d[0]))
	}
}
