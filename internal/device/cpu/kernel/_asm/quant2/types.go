package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// class is what a matrix kernel needs to know of a type; types of one class
// share one.
type class struct {
	name  string
	elems int // elements per block: 32 or 256
	sub   int // elements per sub-scale inside a block of 256

	// bits is the width of the unsigned bytes, 0 where they would overflow
	// words: then a group is two registers, magnitudes and values, and VPSIGNB
	// gives the activations the values' signs.
	bits int

	bias   uint64 // log2 of what is added to values, 0 for none
	minima bool
}

var (
	class4   = &class{name: "4", elems: 32, bits: 4, bias: 3}
	class4m  = &class{name: "4m", elems: 32, bits: 4, minima: true}
	class5   = &class{name: "5", elems: 32, bits: 5, bias: 4}
	class5m  = &class{name: "5m", elems: 32, bits: 5, minima: true}
	class8   = &class{name: "8", elems: 32}
	classK2m = &class{name: "K2m", elems: 256, sub: 16, bits: 2, minima: true}
	classK3  = &class{name: "K3", elems: 256, sub: 16, bits: 3, bias: 2}
	classK4m = &class{name: "K4m", elems: 256, sub: 32, bits: 4, minima: true}
	classK5m = &class{name: "K5m", elems: 256, sub: 32, bits: 5, minima: true}
	classK6  = &class{name: "K6", elems: 256, sub: 16, bits: 6, bias: 5}
	classK8  = &class{name: "K8", elems: 256, sub: 32}
)

var classes = []*class{class4, class4m, class5, class5m, class8, classK2m, classK3, classK4m, classK5m, classK6, classK8}

func (c *class) signed() bool { return c.bits == 0 }

// planes is the number of registers that hold a group.
func (c *class) planes() int {
	if c.signed() {
		return 2
	}
	return 1
}

// fold is how many groups can be added up in words: one of VPMADDUBSW, with
// activations from -128, is up to 2*128*(2^bits-1) large.
func (c *class) fold() int {
	if c.signed() {
		return 1
	}
	return min(8, (1<<15-1)/(2*128*(1<<c.bits-1)))
}

// rows is the number of rows of a panel: one ymm of 32-bit lanes. Offsets into
// a panel's block are given in multiples of it, since n bytes per row come to
// n*rows; package kernel's layouts list what lies there.
const rows = 8

type quantType struct {
	*class
	name  string // as package tensor names it
	bytes int    // bytes per block and row
	cols  int    // columns of its largest kernel on packed panels

	masks []byte // of all bytes, held by the kernels

	// scales decodes the sub-scales of the block at p, and its minima, to bytes:
	// those of four sub-blocks to a dword. Where a block holds its sub-scales so,
	// scalesAt is where.
	scales   func(p Register) (s, n []VecVirtual)
	scalesAt int
	signed   bool // sub-scales are signed bytes

	// load gives the next elements in groups of 4, the groups of a sub-block
	// one after the other. There are loops times len(load) such steps in a
	// block; q begins start bytes into the block and advances by stride bytes
	// per loop, high, which is nil where stride is all, likewise.
	loops, start, stride  int
	highStart, highStride int
	load                  []loader
}

// hotCols is the most columns of a type that is common in decoding.
const hotCols = 4

// put takes group g of a step, one register per plane.
type put func(g int, planes ...VecVirtual)

type loader func(p, q, high Register, put put)

var types = []*quantType{
	typeQ4_0(), typeQ4_1(), typeQ5_0(), typeQ5_1(), typeQ8_0(), typeIQ4NL(),
	typeQ2K(), typeQ3K(), typeQ4K(), typeQ5K(), typeQ6K(), typeIQ4XS(),
}

func typeNamed(name string) *quantType {
	for _, t := range types {
		if t.name == name {
			return t
		}
	}
	return nil
}

func typeQ4_0() *quantType {
	return &quantType{class: class4, name: "Q4_0", cols: hotCols, masks: []byte{0x0f}, bytes: 18, loops: 1,
		load: []loader{func(p, _, _ Register, put put) { nibblePairs(p, 2*rows, put) }},
	}
}

func typeQ4_1() *quantType {
	return &quantType{class: class4m, name: "Q4_1", cols: 1, masks: []byte{0x0f}, bytes: 20, loops: 1,
		load: []loader{func(p, _, _ Register, put put) { nibblePairs(p, 4*rows, put) }},
	}
}

func typeQ5_0() *quantType {
	return &quantType{class: class5, name: "Q5_0", cols: 1, masks: []byte{0x0f, 0x10}, bytes: 22, loops: 1, load: []loader{fiveBits(2 * rows)}}
}

func typeQ5_1() *quantType {
	return &quantType{class: class5m, name: "Q5_1", cols: 1, masks: []byte{0x0f, 0x10}, bytes: 24, loops: 1, load: []loader{fiveBits(4 * rows)}}
}

// fiveBits is for 32 fifth bits per row at high, then nibbles.
func fiveBits(high int) loader {
	return func(p, _, _ Register, put put) {
		h := YMM()
		VMOVDQU(at(p, high), h)
		nibblePairs(p, high+4*rows, func(g int, w ...VecVirtual) {
			// Byte g/2 of each row to all four bytes, then one bit of it each.
			b := YMM()
			VPSHUFB(repeatByte(g/2), h, b)
			VPAND(fourBits(g%2), b, b)
			VPCMPEQB(fourBits(g%2), b, b)
			VPAND(bytesOf(0x10), b, b)
			VPOR(b, w[0], w[0])
			put(g, w[0])
		})
	}
}

func typeQ8_0() *quantType {
	return &quantType{class: class8, name: "Q8_0", cols: hotCols, bytes: 34, loops: 1,
		load: []loader{func(p, _, _ Register, put put) {
			for g := range 8 {
				v := YMM()
				VMOVDQU(at(p, 2*rows+32*g), v)
				putSigned(put, g, v)
			}
		}},
	}
}

func putSigned(put put, g int, value VecVirtual) {
	magnitude := YMM()
	VPABSB(value, magnitude)
	put(g, magnitude, value)
}

func typeIQ4NL() *quantType {
	return &quantType{class: class8, name: "IQ4_NL", cols: 1, masks: []byte{0x0f}, bytes: 18, loops: 1,
		load: []loader{func(p, _, _ Register, put put) { iq4(p, 2*rows, put) }},
	}
}

func typeIQ4XS() *quantType {
	t := &quantType{class: classK8, name: "IQ4_XS", cols: 1, masks: []byte{0x0f}, bytes: 136, loops: 2, start: 8 * rows, stride: 64 * rows,
		scales: scalesIQ4XS, signed: true,
	}
	for e := range 4 {
		t.load = append(t.load, func(_, q, _ Register, put put) { iq4(q, 16*rows*e, put) })
	}
	return t
}

// scalesIQ4XS expands eight 6-bit scales minus 32: four bits each in a dword, and
// two bits each in a word.
func scalesIQ4XS(p Register) (s, n []VecVirtual) {
	l, h := YMM(), YMM()
	VMOVDQU(at(p, 4*rows), l)
	VPMOVZXWD(at(p, 2*rows), h)
	for i := range 2 {
		low, high, b := YMM(), YMM(), YMM()
		VPSHUFB(nibbleBytes(i), l, low)
		VPSRLD(Imm(4), low, high)
		VPAND(oddBytes(0, 0x0f), low, low)
		VPAND(oddBytes(1, 0x0f), high, high)
		VPOR(high, low, low)
		VPSHUFB(repeatByte(i), h, b)
		for j := range 4 {
			v := shifted(b, 4-2*j)
			VPAND(oneByte(j, 0x30), v, v)
			VPOR(v, low, low)
		}
		VPSUBB(bytesOf(32), low, low)
		s = append(s, low)
	}
	return s, nil
}

// iq4 looks up 32 values of IQ4_NL or IQ4_XS by nibbles.
func iq4(base Register, disp int, put put) {
	nibblePairs(base, disp, func(g int, w ...VecVirtual) {
		v := YMM()
		VMOVDQU(iq4Table(), v)
		VPSHUFB(w[0], v, v)
		putSigned(put, g, v)
	})
}

func typeQ2K() *quantType {
	t := &quantType{class: classK2m, name: "Q2_K", cols: 1, masks: []byte{0x03}, bytes: 84, loops: 2, start: 20 * rows, stride: 32 * rows,
		scales: func(p Register) (s, n []VecVirtual) {
			for i := range 4 {
				s = append(s, bits(p, (4+4*i)*rows, 0, 0x0f))
				n = append(n, bits(p, (4+4*i)*rows, -4, 0x0f))
			}
			return s, n
		},
	}
	for e := range 4 {
		t.load = append(t.load, func(_, q, _ Register, put put) {
			for g := range 8 {
				put(g, bits(q, 32*g, -2*e, 0x03))
			}
		})
	}
	return t
}

func typeQ3K() *quantType {
	t := &quantType{class: classK3, name: "Q3_K", cols: 1, masks: []byte{0x03, 0x04}, bytes: 110, loops: 1, start: 46 * rows, scales: scalesQ3K, signed: true}
	for e := range 8 {
		t.load = append(t.load, func(p, q, _ Register, put put) {
			for g := range 8 {
				v := bits(q, e/4*32*rows+32*g, -(2 * (e % 4)), 0x03)
				VPOR(bits(p, 14*rows+32*g, 2-e, 0x04), v, v)
				put(g, v)
			}
		})
	}
	return t
}

// scalesQ3K expands sixteen 6-bit scales minus 32 from 12 bytes.
func scalesQ3K(p Register) (s, n []VecVirtual) {
	for i := range 4 {
		v := bits(p, (2+4*(i%2))*rows, -(i / 2 * 4), 0x0f)
		VPOR(bits(p, 10*rows, 4-2*i, 0x30), v, v)
		VPSUBB(bytesOf(32), v, v)
		s = append(s, v)
	}
	return s, nil
}

// scalesK4 expands the eight 6-bit scales and minima of Q4_K and Q5_K.
func scalesK4(p Register) (s, n []VecVirtual) {
	field := func(at, rest int) []VecVirtual {
		v := bits(p, 12*rows, rest, 0x0f)
		VPOR(bits(p, at, -2, 0x30), v, v)
		return []VecVirtual{bits(p, at, 0, 0x3f), v}
	}
	return field(4*rows, 0), field(8*rows, -4)
}

func typeQ4K() *quantType {
	half := func(disp, shift int) loader {
		return func(_, q, _ Register, put put) {
			for g := range 8 {
				put(g, bits(q, disp+32*g, shift, 0x0f))
			}
		}
	}
	return &quantType{class: classK4m, name: "Q4_K", cols: hotCols, masks: []byte{0x0f}, bytes: 144, loops: 2, start: 16 * rows, stride: 64 * rows,
		scales: scalesK4,
		load:   []loader{half(0, 0), half(0, -4), half(32*rows, 0), half(32*rows, -4)},
	}
}

func typeQ5K() *quantType {
	t := &quantType{class: classK5m, name: "Q5_K", cols: 1, masks: []byte{0x0f, 0x10}, bytes: 176, loops: 1, start: 48 * rows, scales: scalesK4}
	for e := range 8 {
		t.load = append(t.load, func(p, q, _ Register, put put) {
			for g := range 8 {
				v := bits(q, e/2*32*rows+32*g, -(e % 2 * 4), 0x0f)
				VPOR(bits(p, 16*rows+32*g, 4-e, 0x10), v, v)
				put(g, v)
			}
		})
	}
	return t
}

func typeQ6K() *quantType {
	t := &quantType{class: classK6, name: "Q6_K", cols: hotCols, masks: []byte{0x0f, 0x30}, bytes: 210, loops: 2, start: 82 * rows, stride: 64 * rows,
		highStart: 18 * rows, highStride: 32 * rows,
		scales: func(p Register) (s, n []VecVirtual) {
			for i := range 4 {
				v := YMM()
				VMOVDQU(at(p, (2+4*i)*rows), v)
				s = append(s, v)
			}
			return s, nil
		},
		scalesAt: 2 * rows, signed: true,
	}
	for e := range 4 {
		t.load = append(t.load, func(_, q, high Register, put put) {
			for g := range 8 {
				v := bits(q, 32*(g+8*(e%2)), -(e / 2 * 4), 0x0f)
				VPOR(bits(high, 32*g, 4-2*e, 0x30), v, v)
				put(g, v)
			}
		})
	}
	return t
}
