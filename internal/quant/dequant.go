// Package quant holds the block formats' reference codecs, bit for bit GGML's
// (ggml-quants.c), and the mixes of types that llama.cpp's users know by name.
//
// The codecs are plain Go and the same on every architecture: every product
// that is added to something is rounded by an explicit conversion, so that no
// compiler fuses it (also where the product has a name: compilers look across
// statements). They are safe for concurrent use and allocate nothing.
package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/tensor"
)

// Dequantize decodes len(dst) elements of type dt from src, which must hold
// exactly that many; a wrong length is a programmer's mistake and panics.
func Dequantize(dt tensor.DType, dst []float32, src []byte) {
	if len(src) != dt.RowBytes(len(dst)) {
		panic(fmt.Sprintf("quant: %d bytes of %s for %d elements", len(src), dt, len(dst)))
	}
	switch dt {
	case tensor.F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case tensor.F16:
		for i := range dst {
			dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case tensor.BF16:
		for i := range dst {
			dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	default:
		f := blockDecoders[dt]
		if f == nil {
			panic(fmt.Sprintf("quant: no codec for %s", dt))
		}
		n, bb := dt.BlockElems(), dt.BlockBytes()
		for b := 0; b*n < len(dst); b++ {
			f(dst[b*n:(b+1)*n:(b+1)*n], src[b*bb:(b+1)*bb:(b+1)*bb])
		}
	}
}

// blockDecoders decode one block each.
var blockDecoders = map[tensor.DType]func(y []float32, b []byte){
	tensor.Q4_0: decodeQ4_0, tensor.Q4_1: decodeQ4_1, tensor.Q5_0: decodeQ5_0, tensor.Q5_1: decodeQ5_1,
	tensor.Q8_0: decodeQ8_0, tensor.IQ4_NL: decodeIQ4NL,
	tensor.Q2_K: decodeQ2K, tensor.Q3_K: decodeQ3K, tensor.Q4_K: decodeQ4K, tensor.Q5_K: decodeQ5K,
	tensor.Q6_K: decodeQ6K, tensor.IQ4_XS: decodeIQ4XS,
}

// half reads the f16 at b[i].
func half(b []byte, i int) float32 { return F16ToF32(binary.LittleEndian.Uint16(b[i:])) }

// decodeQ4_0: f16 d; 16 bytes, low nibbles are elements 0..15, high ones 16..31.
func decodeQ4_0(y []float32, b []byte) {
	d := half(b, 0)
	for j, q := range b[2:18] {
		y[j] = float32(int(q&15)-8) * d
		y[j+16] = float32(int(q>>4)-8) * d
	}
}

// decodeQ4_1: f16 d, f16 m; nibbles as Q4_0.
func decodeQ4_1(y []float32, b []byte) {
	d, m := half(b, 0), half(b, 2)
	for j, q := range b[4:20] {
		y[j] = float32(float32(q&15)*d) + m
		y[j+16] = float32(float32(q>>4)*d) + m
	}
}

// decodeQ5_0: f16 d, 32 fifth bits, nibbles as Q4_0.
func decodeQ5_0(y []float32, b []byte) {
	d, high := half(b, 0), binary.LittleEndian.Uint32(b[2:])
	for j, q := range b[6:22] {
		y[j] = float32(int(uint32(q&15)|high>>j<<4&16)-16) * d
		y[j+16] = float32(int(uint32(q>>4)|high>>(j+16)<<4&16)-16) * d
	}
}

// decodeQ5_1: f16 d, f16 m, 32 fifth bits, nibbles as Q4_0.
func decodeQ5_1(y []float32, b []byte) {
	d, m, high := half(b, 0), half(b, 2), binary.LittleEndian.Uint32(b[4:])
	for j, q := range b[8:24] {
		y[j] = float32(float32(uint32(q&15)|high>>j<<4&16)*d) + m
		y[j+16] = float32(float32(uint32(q>>4)|high>>(j+16)<<4&16)*d) + m
	}
}

// decodeQ8_0: f16 d, 32 signed bytes.
func decodeQ8_0(y []float32, b []byte) {
	d := half(b, 0)
	for j, q := range b[2:34] {
		y[j] = float32(int8(q)) * d
	}
}

// iq4Values are the 16 values of IQ4_NL and IQ4_XS.
var iq4Values = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// IQ4Values returns the table of values of IQ4_NL and IQ4_XS.
func IQ4Values() [16]int8 { return iq4Values }

// decodeIQ4NL: f16 d; nibbles as Q4_0, through the table.
func decodeIQ4NL(y []float32, b []byte) {
	d := half(b, 0)
	for j, q := range b[2:18] {
		y[j] = d * float32(iq4Values[q&15])
		y[j+16] = d * float32(iq4Values[q>>4])
	}
}

// decodeQ2K: 16 bytes of 4-bit scales (low) and minima (high), 64 bytes of
// 2-bit quants, f16 d, f16 dmin; sub-blocks of 16.
func decodeQ2K(y []float32, b []byte) {
	scales, qs := b[:16], b[16:80]
	d, dmin := half(b, 80), half(b, 82)
	for j, sc := range scales {
		dl, ml := d*float32(sc&15), float32(dmin*float32(sc>>4))
		// 128 elements share 32 bytes, four bit pairs deep.
		shift := j % 8 / 2 * 2
		q := qs[j/8*32+j%2*16:][:16]
		out := y[j*16:][:16]
		for l := range out {
			out[l] = float32(dl*float32(q[l]>>shift&3)) - ml
		}
	}
}

// q3Scales unpacks Q3_K's sixteen 6-bit scales, minus 32.
func q3Scales(b []byte) (sc [16]int8) {
	for j := range sc {
		low := b[j%8] >> (j / 8 * 4) & 15
		high := b[8+j%4] >> (j / 4 * 2) & 3
		sc[j] = int8(low|high<<4) - 32
	}
	return sc
}

// decodeQ3K: 32 bytes of third bits, 64 bytes of 2-bit quants, 12 bytes of
// 6-bit scales, f16 d; sub-blocks of 16. A clear third bit means minus 4.
func decodeQ3K(y []float32, b []byte) {
	hm, qs := b[:32], b[32:96]
	sc := q3Scales(b[96:108])
	d := half(b, 108)
	for j, s := range sc {
		dl := d * float32(s)
		shift, bit := j%8/2*2, j/2
		q, h := qs[j/8*32+j%2*16:][:16], hm[j%2*16:][:16]
		out := y[j*16:][:16]
		for l := range out {
			out[l] = dl * float32(int8(q[l]>>shift&3|h[l]>>bit&1<<2)-4)
		}
	}
}

// ScaleMinK4 unpacks the j-th of eight 6-bit scales and minima of Q4_K and Q5_K
// from their 12 bytes.
func ScaleMinK4(j int, b []byte) (scale, minimum byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

// decodeQ4K: f16 d, f16 dmin, 12 bytes of scales and minima, 128 bytes; every
// 32 bytes hold 32 elements in the low nibbles and the next 32 in the high.
func decodeQ4K(y []float32, b []byte) {
	d, dmin := half(b, 0), half(b, 2)
	for j := range 8 {
		sc, m := ScaleMinK4(j, b[4:16])
		d1, m1 := d*float32(sc), float32(dmin*float32(m))
		for l, q := range b[16+j/2*32 : 16+j/2*32+32] {
			y[j*32+l] = float32(d1*float32(q>>(j%2*4)&15)) - m1
		}
	}
}

// decodeQ5K: as Q4_K with 32 bytes of fifth bits before the nibbles.
func decodeQ5K(y []float32, b []byte) {
	d, dmin := half(b, 0), half(b, 2)
	high := b[16:48]
	for j := range 8 {
		sc, m := ScaleMinK4(j, b[4:16])
		d1, m1 := d*float32(sc), float32(dmin*float32(m))
		for l, q := range b[48+j/2*32 : 48+j/2*32+32] {
			v := q>>(j%2*4)&15 | high[l]>>j&1<<4
			y[j*32+l] = float32(d1*float32(v)) - m1
		}
	}
}

// decodeQ6K: 128 bytes of low nibbles, 64 bytes of upper bit pairs, sixteen
// signed 8-bit scales, f16 d; sub-blocks of 16, values minus 32.
func decodeQ6K(y []float32, b []byte) {
	d := half(b, 208)
	for j, sc := range b[192:208] {
		dl := d * float32(int8(sc))
		n, r := j/8, j%8 // eighths of 128 elements
		low, high := b[n*64+r%4*16:][:16], b[128+n*32+r%2*16:][:16]
		lowShift, highShift := r/4*4, r/2*2
		out := y[j*16:][:16]
		for l := range out {
			out[l] = dl * float32(int8(low[l]>>lowShift&15|high[l]>>highShift&3<<4)-32)
		}
	}
}

// decodeIQ4XS: f16 d, 8 x 2 upper scale bits, 8 nibbles of lower ones, 128
// bytes of nibbles as IQ4_NL per 32; scales minus 32.
func decodeIQ4XS(y []float32, b []byte) {
	d, high := half(b, 0), binary.LittleEndian.Uint16(b[2:])
	for j := range 8 {
		sc := int(b[4+j/2]>>(j%2*4)&15) | int(high>>(2*j)&3)<<4
		dl := d * float32(sc-32)
		for l, q := range b[8+j*16 : 24+j*16] {
			y[j*32+l] = dl * float32(iq4Values[q&15])
			y[j*32+l+16] = dl * float32(iq4Values[q>>4])
		}
	}
}
