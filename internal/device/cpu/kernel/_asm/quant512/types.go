package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// class is what a matrix kernel needs to know of a type; types of one class
// share one.
type class struct {
	name  string // as package tensor names it
	hot   bool   // has kernels that work on packed panels
	elems int    // elements per block: 32 or 256
	sub   int    // elements per sub-scale inside a block of 256

	biased bool // bytes are values plus a bias
	minima bool

	// words: the sum of products over 16 elements fits in 16 signed bits
	// (15*128*16 < 2^15), so one VPDPWSSD multiplies it by the sub-scale and
	// adds. Otherwise VPMULLD, which costs two, and VPADDD.
	words bool
}

var (
	class32       = &class{name: "32", elems: 32, biased: true}
	class32m      = &class{name: "32m", elems: 32, minima: true}
	class16words  = &class{name: "16words", elems: 256, sub: 16, biased: true, words: true}
	class16wordsm = &class{name: "16wordsm", elems: 256, sub: 16, minima: true, words: true}
	class32wordsm = &class{name: "32wordsm", elems: 256, sub: 32, minima: true, words: true}
	class32subm   = &class{name: "32subm", elems: 256, sub: 32, minima: true}
	class16sub    = &class{name: "16sub", elems: 256, sub: 16, biased: true}
	class32sub    = &class{name: "32sub", elems: 256, sub: 32, biased: true}
)

var classes = []*class{class32, class32m, class16words, class16wordsm, class32wordsm, class32subm, class16sub, class32sub}

// rows is the number of rows of a panel: one zmm of 32-bit lanes. Offsets into
// a panel's block are given in multiples of it, since n bytes per row come to
// n*rows; package kernel's layouts list what lies there.
const rows = 16

type quantType struct {
	*class
	name  string // as package tensor names it
	hot   bool   // has kernels that work on packed panels
	bytes int    // bytes per block and row
	bias  uint64 // log2 of the bias

	before func()           // makes constants, once per kernel
	begin  func(p Register) // before each block; may be nil

	// scales writes the sub-scales of the block at p to s, a vector of 16
	// dwords each, and its minima to n, two 16-bit ones to a dword.
	scales func(p, s, n Register)

	// load brings the next 32 elements into registers for 8 groups of 4. There
	// are loops times len(load) such steps in a block; q begins start bytes
	// into the block and advances by stride bytes per loop.
	loops, start, stride int
	load                 []loader
}

type loader func(p, q Register, w []VecVirtual)

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

// ternOrAnd is VPTERNLOGD's table of a | b&c, operands in Go's order c, b, a.
const ternOrAnd = 0xf8

func typeQ4_0() *quantType {
	var mask VecVirtual
	return &quantType{class: class32, name: "Q4_0", hot: true, bytes: 18, bias: 3, loops: 1,
		before: func() { mask = constant(0x0f0f0f0f) },
		load: []loader{func(p, _ Register, w []VecVirtual) {
			nibbles(p, 2*rows, 4, mask, w[:4], w[4:])
		}},
	}
}

func typeQ4_1() *quantType {
	var mask VecVirtual
	return &quantType{class: class32m, name: "Q4_1", bytes: 20, loops: 1,
		before: func() { mask = constant(0x0f0f0f0f) },
		load: []loader{func(p, _ Register, w []VecVirtual) {
			nibbles(p, 4*rows, 4, mask, w[:4], w[4:])
		}},
	}
}

func typeQ5_0() *quantType {
	t := &quantType{class: class32, name: "Q5_0", bytes: 22, bias: 4}
	t.fiveBits(2 * rows)
	return t
}

func typeQ5_1() *quantType {
	t := &quantType{class: class32m, name: "Q5_1", bytes: 24}
	t.fiveBits(4 * rows)
	return t
}

// fiveBits is for 32 fifth bits per row at high, then nibbles.
func (t *quantType) fiveBits(high int) {
	var mask, sixteen VecVirtual
	t.loops = 1
	t.before = func() { mask, sixteen = constant(0x0f0f0f0f), constant(0x10101010) }
	t.load = []loader{func(p, _ Register, w []VecVirtual) {
		nibbles(p, high+4*rows, 4, mask, w[:4], w[4:])
		h := ZMM()
		VMOVDQU32(at(p, high), h)
		for g := range w {
			// Byte g/2 of each row to all four bytes, then one bit of it each.
			b, m := ZMM(), K()
			VPSHUFB(repeatByte(g/2), h, b)
			VPTESTMB(fourBits(g%2), b, m)
			VPADDB(sixteen, w[g], m, w[g])
		}
	}}
}

func typeQ8_0() *quantType {
	var flip VecVirtual
	return &quantType{class: class32, name: "Q8_0", hot: true, bytes: 34, bias: 7, loops: 1,
		before: func() { flip = constant(0x80808080) },
		load: []loader{func(p, _ Register, w []VecVirtual) {
			for g := range w {
				VPXORD(at(p, 2*rows+64*g), flip, w[g])
			}
		}},
	}
}

func typeIQ4NL() *quantType {
	var mask, table VecVirtual
	return &quantType{class: class32, name: "IQ4_NL", bytes: 18, bias: 7, loops: 1,
		before: func() { mask, table = constant(0x0f0f0f0f), iq4Table() },
		load: []loader{func(p, _ Register, w []VecVirtual) {
			nibbles(p, 2*rows, 4, mask, w[:4], w[4:])
			lookUp(table, w)
		}},
	}
}

func typeIQ4XS() *quantType {
	var mask, table VecVirtual
	return &quantType{class: class32sub, name: "IQ4_XS", bytes: 136, bias: 7, loops: 8, start: 8 * rows, stride: 16 * rows,
		before: func() { mask, table = constant(0x0f0f0f0f), iq4Table() },
		scales: func(p, s, _ Register) {
			low, two, minus := constant(0x0f), constant(0x30), constant(32)
			l, h := ZMM(), ZMM()
			VMOVDQU32(at(p, 4*rows), l)
			VPMOVZXWD(at(p, 2*rows), h)
			for j := range 8 {
				v := ZMM()
				VPSRLD(Imm(uint64(4*j)), l, v)
				VPANDD(v, low, v)
				VPTERNLOGD(Imm(ternOrAnd), two, shifted(h, 4-2*j), v)
				VPSUBD(minus, v, v)
				VMOVDQU32(v, at(s, 64*j))
			}
		},
		load: []loader{func(_, q Register, w []VecVirtual) {
			nibbles(q, 0, 4, mask, w[:4], w[4:])
			lookUp(table, w)
		}},
	}
}

func typeQ2K() *quantType {
	var mask VecVirtual
	t := &quantType{class: class16wordsm, name: "Q2_K", bytes: 84, loops: 2, start: 20 * rows, stride: 32 * rows,
		before: func() { mask = constant(0x03030303) },
		scales: func(p, s, n Register) {
			mask := constant(0x0f0f0f0f)
			for i := range 4 {
				lo, hi := []VecVirtual{ZMM()}, []VecVirtual{ZMM()}
				nibbles(p, (4+4*i)*rows, 1, mask, lo, hi)
				scaleBytes(lo[0], s, 4*i, nil)
				minBytes(hi[0], n, 4*i)
			}
		},
	}
	for e := range 4 {
		t.load = append(t.load, func(_, q Register, w []VecVirtual) { bitPairs(q, e, mask, w) })
	}
	return t
}

func typeQ3K() *quantType {
	var mask, four, turn, one VecVirtual
	t := &quantType{class: class16words, name: "Q3_K", bytes: 110, bias: 2, loops: 2, start: 46 * rows, stride: 32 * rows,
		before: func() { mask, four, one = constant(0x03030303), constant(0x04040404), constant(1) },
		begin:  func(Register) { turn = constant(0xfffffffe) },
		scales: scalesQ3K,
	}
	// Step j of a block uses bit j of each third-bit byte as bit 2.
	for e := range 4 {
		t.load = append(t.load, func(p, q Register, w []VecVirtual) {
			bitPairs(q, e, mask, w)
			orTurned(p, 14*rows, turn, four, w)
			VPADDD(one, turn, turn)
		})
	}
	return t
}

// scalesQ3K expands sixteen 6-bit scales minus 32 from 12 bytes.
func scalesQ3K(p, s, _ Register) {
	low, two, minus := constant(0x0f0f0f0f), constant(0x30303030), constant(32)
	high := ZMM()
	VMOVDQU32(at(p, 10*rows), high)
	for i := range 4 {
		v := []VecVirtual{ZMM()}
		src := (2 + 4*(i%2)) * rows
		if i < 2 {
			nibbles(p, src, 1, low, v, nil)
		} else {
			nibbles(p, src, 1, low, nil, v)
		}
		VPTERNLOGD(Imm(ternOrAnd), two, shifted(high, 4-2*i), v[0])
		scaleBytes(v[0], s, 4*i, minus)
	}
}

// scalesK4 expands the eight 6-bit scales and minima of Q4_K and Q5_K.
func scalesK4(p, s, n Register) {
	low, six, two := constant(0x0f0f0f0f), constant(0x3f3f3f3f), constant(0x30303030)
	l, h := []VecVirtual{ZMM()}, []VecVirtual{ZMM()}
	nibbles(p, 12*rows, 1, low, l, h)
	put := func(field int, rest VecVirtual, write func(v VecVirtual, j int)) {
		v, b := ZMM(), ZMM()
		VPANDD(at(p, field), six, v)
		write(v, 0)
		VPSRLD(Imm(2), at(p, field), b)
		VPTERNLOGD(Imm(ternOrAnd), two, b, rest)
		write(rest, 4)
	}
	put(4*rows, l[0], func(v VecVirtual, j int) { scaleBytes(v, s, j, nil) })
	put(8*rows, h[0], func(v VecVirtual, j int) { minBytes(v, n, j) })
}

func typeQ4K() *quantType {
	var mask VecVirtual
	return &quantType{class: class32wordsm, name: "Q4_K", hot: true, bytes: 144, loops: 4, start: 16 * rows, stride: 32 * rows,
		before: func() { mask = constant(0x0f0f0f0f) },
		scales: scalesK4,
		load: []loader{
			func(_, q Register, w []VecVirtual) { nibbles(q, 0, 8, mask, w, nil) },
			func(_, q Register, w []VecVirtual) { nibbles(q, 0, 8, mask, nil, w) },
		},
	}
}

func typeQ5K() *quantType {
	var mask, sixteen, turn, one VecVirtual
	next := func(p Register, w []VecVirtual) {
		orTurned(p, 16*rows, turn, sixteen, w)
		VPADDD(one, turn, turn)
	}
	return &quantType{class: class32subm, name: "Q5_K", bytes: 176, loops: 4, start: 48 * rows, stride: 32 * rows,
		before: func() { mask, sixteen, one = constant(0x0f0f0f0f), constant(0x10101010), constant(1) },
		begin:  func(Register) { turn = constant(0xfffffffc) },
		scales: scalesK4,
		// Step j of a block uses bit j of each fifth-bit byte as bit 4.
		load: []loader{
			func(p, q Register, w []VecVirtual) { nibbles(q, 0, 8, mask, w, nil); next(p, w) },
			func(p, q Register, w []VecVirtual) { nibbles(q, 0, 8, mask, nil, w); next(p, w) },
		},
	}
}

func typeQ6K() *quantType {
	var mask, two VecVirtual
	var high Mem
	t := &quantType{class: class16sub, name: "Q6_K", hot: true, bytes: 210, bias: 5, loops: 2, start: 82 * rows, stride: 64 * rows,
		before: func() { mask, two, high = constant(0x0f0f0f0f), constant(0x30303030), AllocLocal(8) },
		begin: func(p Register) {
			r := GP64()
			LEAQ(at(p, 18*rows), r)
			MOVQ(r, high)
		},
		scales: func(p, s, _ Register) {
			for i := range 4 {
				v := ZMM()
				VMOVDQU32(at(p, (2+4*i)*rows), v)
				for j := range 4 {
					b := ZMM()
					VPSLLD(Imm(uint64(24-8*j)), v, b)
					VPSRAD(Imm(24), b, b)
					VMOVDQU32(b, at(s, 64*(4*i+j)))
				}
			}
		},
	}
	for e := range 4 {
		t.load = append(t.load, func(_, q Register, w []VecVirtual) {
			upper := load(high)
			for g := range w {
				v := w[g : g+1]
				if e < 2 {
					nibbles(q, 64*(g+8*e), 1, mask, v, nil)
				} else {
					nibbles(q, 64*(g+8*(e-2)), 1, mask, nil, v)
				}
				h := ZMM()
				VMOVDQU32(at(upper, 64*g), h)
				VPTERNLOGD(Imm(ternOrAnd), two, shifted(h, 4-2*e), v[0])
			}
			if e == 3 {
				ADDQ(U32(32*rows), high) // the next half
			}
		})
	}
	return t
}
