package kernel

import (
	"encoding/binary"

	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// quantTraits is what the two matrix kernels need to know of a type.
type quantTraits struct {
	sub    int  // elements per integer sub-scale, 0 for the types with blocks of 32
	minima bool // the type has minima
}

var quantTypes = map[tensor.DType]quantTraits{
	tensor.Q4_0:   {},
	tensor.Q4_1:   {minima: true},
	tensor.Q5_0:   {},
	tensor.Q5_1:   {minima: true},
	tensor.Q8_0:   {},
	tensor.IQ4_NL: {},
	tensor.Q2_K:   {sub: 16, minima: true},
	tensor.Q3_K:   {sub: 16},
	tensor.Q4_K:   {sub: 32, minima: true},
	tensor.Q5_K:   {sub: 32, minima: true},
	tensor.Q6_K:   {sub: 16},
	tensor.IQ4_XS: {sub: 32},
}

// unpackedBlock is one block of all rows of a panel in the plain sets' form of
// Unpacked: q holds signed bytes, (blockElems/4, R, 4), the value q_w of the
// package documentation.
type unpackedBlock struct {
	q    []byte
	d, m []float32 // (R)
	s, n []int32   // (blockElems/sub, R)
}

// block returns the part of u that block b of a panel of R rows fills.
func (u *Unpacked) block(b, blockElems, R int, t quantTraits) unpackedBlock {
	o := unpackedBlock{
		q: u.Q[b*blockElems*R : (b+1)*blockElems*R],
		d: u.D[b*R : (b+1)*R],
	}
	if t.minima {
		o.m = u.M[b*R : (b+1)*R]
	}
	if t.sub != 0 {
		n := blockElems / t.sub * R
		o.s = u.S[b*n : (b+1)*n]
		if t.minima {
			o.n = u.N[b*n : (b+1)*n]
		}
	}
	return o
}

// unpackBlock expands one block of a panel of R rows. It is a switch and not a
// table of functions so that callers' blocks stay on the stack.
func unpackBlock(dt tensor.DType, R int, p []byte, o *unpackedBlock) {
	switch dt {
	case tensor.Q4_0:
		unpackQ4_0(R, p, o)
	case tensor.Q4_1:
		unpackQ4_1(R, p, o)
	case tensor.Q5_0:
		unpackQ5_0(R, p, o)
	case tensor.Q5_1:
		unpackQ5_1(R, p, o)
	case tensor.Q8_0:
		unpackQ8_0(R, p, o)
	case tensor.IQ4_NL:
		unpackIQ4NL(R, p, o)
	case tensor.Q2_K:
		unpackQ2K(R, p, o)
	case tensor.Q3_K:
		unpackQ3K(R, p, o)
	case tensor.Q4_K:
		unpackQ4K(R, p, o)
	case tensor.Q5_K:
		unpackQ5K(R, p, o)
	case tensor.Q6_K:
		unpackQ6K(R, p, o)
	case tensor.IQ4_XS:
		unpackIQ4XS(R, p, o)
	default:
		panic("kernel: no block-quantised type " + dt.String())
	}
}

// Four bytes of one row at a time.
const (
	each1  = 0x01010101
	each2  = 0x03030303
	each4  = 0x0f0f0f0f
	each6  = 0x3f3f3f3f
	eachHi = 0x80808080
)

// minus subtracts n, at most 128, from four bytes of at most 127.
func minus(v, n uint32) uint32 { return (v | eachHi - n*each1) ^ eachHi }

// spread puts the lower four bits of v into the lowest bit of four bytes.
func spread(v uint32) uint32 { return v & 15 * 0x204081 & each1 }

func word(p []byte, i int) uint32       { return binary.LittleEndian.Uint32(p[4*i:]) }
func setWord(p []byte, i int, v uint32) { binary.LittleEndian.PutUint32(p[4*i:], v) }

// loadHalves widens one f16 field of R rows.
func loadHalves(dst []float32, p []byte) {
	for r := range dst {
		dst[r] = halfToFloat(binary.LittleEndian.Uint16(p[2*r:]))
	}
}

// setBytes writes the four bytes of v as sub-scales j to j+3 of row r, each
// minus n.
func setBytes(s []int32, j, r, R int, v uint32, n int32) {
	for i := range 4 {
		s[(j+i)*R+r] = int32(v>>(8*i)&255) - n
	}
}

func unpackQ4_0(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	p = p[2*R:]
	for i := range 4 * R {
		w := word(p, i)
		setWord(o.q, i, minus(w&each4, 8))
		setWord(o.q, i+4*R, minus(w>>4&each4, 8))
	}
}

func unpackQ4_1(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	loadHalves(o.m, p[2*R:])
	p = p[4*R:]
	for i := range 4 * R {
		w := word(p, i)
		setWord(o.q, i, w&each4)
		setWord(o.q, i+4*R, w>>4&each4)
	}
}

func unpackQ5_0(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	high, p := p[2*R:], p[6*R:]
	for i := range 4 * R {
		w, h := word(p, i), word(high, i%R)>>(i/R*4)
		setWord(o.q, i, minus(w&each4|spread(h)<<4, 16))
		setWord(o.q, i+4*R, minus(w>>4&each4|spread(h>>16)<<4, 16))
	}
}

func unpackQ5_1(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	loadHalves(o.m, p[2*R:])
	high, p := p[4*R:], p[8*R:]
	for i := range 4 * R {
		w, h := word(p, i), word(high, i%R)>>(i/R*4)
		setWord(o.q, i, w&each4|spread(h)<<4)
		setWord(o.q, i+4*R, w>>4&each4|spread(h>>16)<<4)
	}
}

func unpackQ8_0(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	copy(o.q, p[2*R:])
}

// iq4 looks up four nibbles.
func iq4(w uint32) uint32 {
	return uint32(uint8(iq4Values[w&15])) | uint32(uint8(iq4Values[w>>8&15]))<<8 |
		uint32(uint8(iq4Values[w>>16&15]))<<16 | uint32(uint8(iq4Values[w>>24&15]))<<24
}

var iq4Values = quant.IQ4Values()

func unpackIQ4NL(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	p = p[2*R:]
	for i := range 4 * R {
		w := word(p, i)
		setWord(o.q, i, iq4(w))
		setWord(o.q, i+4*R, iq4(w>>4))
	}
}

func unpackQ2K(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	loadHalves(o.m, p[2*R:])
	scales, p := p[4*R:], p[20*R:]
	for i := range 4 * R {
		w := word(scales, i)
		setBytes(o.s, i/R*4, i%R, R, w&each4, 0)
		setBytes(o.n, i/R*4, i%R, R, w>>4&each4, 0)
	}
	// Every 8 groups hold 32 elements four bit pairs deep.
	for i := range 16 * R {
		w := word(p, i)
		at := i/(8*R)*(32*R) + i%(8*R)
		for j := range 4 {
			setWord(o.q, at+j*8*R, w>>(2*j)&each2)
		}
	}
}

func unpackQ3K(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	scales, high, p := p[2*R:], p[14*R:], p[46*R:]
	for r := range R {
		a, b, c := word(scales, r), word(scales, R+r), word(scales, 2*R+r)
		setBytes(o.s, 0, r, R, a&each4|c&each2<<4, 32)
		setBytes(o.s, 4, r, R, b&each4|c>>2&each2<<4, 32)
		setBytes(o.s, 8, r, R, a>>4&each4|c>>4&each2<<4, 32)
		setBytes(o.s, 12, r, R, b>>4&each4|c>>6&each2<<4, 32)
	}
	for i := range 16 * R {
		w, h := word(p, i), word(high, i%(8*R))>>(i/(8*R)*4)
		at := i/(8*R)*(32*R) + i%(8*R)
		for j := range 4 {
			setWord(o.q, at+j*8*R, minus(w>>(2*j)&each2|h>>j&each1<<2, 4))
		}
	}
}

// unpackScalesK4 expands the eight 6-bit scales and minima of Q4_K and Q5_K.
func unpackScalesK4(R int, p []byte, o *unpackedBlock) {
	for r := range R {
		a, b, c := word(p, r), word(p, R+r), word(p, 2*R+r)
		setBytes(o.s, 0, r, R, a&each6, 0)
		setBytes(o.n, 0, r, R, b&each6, 0)
		setBytes(o.s, 4, r, R, c&each4|a>>6&each2<<4, 0)
		setBytes(o.n, 4, r, R, c>>4&each4|b>>6&each2<<4, 0)
	}
}

func unpackQ4K(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	loadHalves(o.m, p[2*R:])
	unpackScalesK4(R, p[4*R:], o)
	p = p[16*R:]
	for i := range 32 * R {
		w := word(p, i)
		at := i/(8*R)*(16*R) + i%(8*R)
		setWord(o.q, at, w&each4)
		setWord(o.q, at+8*R, w>>4&each4)
	}
}

func unpackQ5K(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	loadHalves(o.m, p[2*R:])
	unpackScalesK4(R, p[4*R:], o)
	high, p := p[16*R:], p[48*R:]
	for i := range 32 * R {
		w, h := word(p, i), word(high, i%(8*R))>>(i/(8*R)*2)
		at := i/(8*R)*(16*R) + i%(8*R)
		setWord(o.q, at, w&each4|h&each1<<4)
		setWord(o.q, at+8*R, w>>4&each4|h>>1&each1<<4)
	}
}

func unpackQ6K(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	scales, high, p := p[2*R:], p[18*R:], p[82*R:]
	for i := range 4 * R {
		w := word(scales, i)
		for j := range 4 {
			o.s[(i/R*4+j)*R+i%R] = int32(int8(w >> (8 * j)))
		}
	}
	// 128 elements have 64 bytes of nibbles and 32 bytes of bit pairs.
	for i := range 32 * R {
		half, t := i/(16*R), i%(16*R)
		w, h := word(p, i), word(high, half*8*R+t%(8*R))>>(t/(8*R)*2)
		at := half*32*R + t
		setWord(o.q, at, minus(w&each4|h&each2<<4, 32))
		setWord(o.q, at+16*R, minus(w>>4&each4|h>>4&each2<<4, 32))
	}
}

func unpackIQ4XS(R int, p []byte, o *unpackedBlock) {
	loadHalves(o.d, p)
	upper, lower, p := p[2*R:], p[4*R:], p[8*R:]
	for r := range R {
		h, l := uint32(binary.LittleEndian.Uint16(upper[2*r:])), word(lower, r)
		for j := range 8 {
			o.s[j*R+r] = int32(l>>(4*j)&15|h>>(2*j)&3<<4) - 32
		}
	}
	for i := range 32 * R {
		w := word(p, i)
		at := i/(4*R)*(8*R) + i%(4*R)
		setWord(o.q, at, iq4(w))
		setWord(o.q, at+4*R, iq4(w>>4))
	}
}
