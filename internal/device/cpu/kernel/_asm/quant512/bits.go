package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func at(base Register, disp int) Mem { return Mem{Base: base, Disp: disp} }

// constant returns a register with v in every dword.
func constant(v uint32) VecVirtual {
	r, z := GP32(), ZMM()
	MOVL(U32(v), r)
	VPBROADCASTD(r, z)
	return z
}

// shifted returns v with its dwords shifted left by n bits, or right by -n.
func shifted(v VecVirtual, n int) VecVirtual {
	if n == 0 {
		return v
	}
	s := ZMM()
	if n > 0 {
		VPSLLD(Imm(uint64(n)), v, s)
	} else {
		VPSRLD(Imm(uint64(-n)), v, s)
	}
	return s
}

// nibbles takes n groups at base+disp apart: low nibbles to low, high ones to
// high; either may be nil.
func nibbles(base Register, disp, n int, mask VecVirtual, low, high []VecVirtual) {
	for i := range n {
		m := at(base, disp+64*i)
		if low != nil {
			VPANDD(m, mask, low[i])
		}
		if high != nil {
			VPSRLD(Imm(4), m, high[i])
			VPANDD(high[i], mask, high[i])
		}
	}
}

// bitPairs takes bit pair e of eight groups.
func bitPairs(q Register, e int, mask VecVirtual, w []VecVirtual) {
	for g := range w {
		if e == 0 {
			VPANDD(at(q, 64*g), mask, w[g])
			continue
		}
		VPSRLD(Imm(uint64(2*e)), at(q, 64*g), w[g])
		VPANDD(w[g], mask, w[g])
	}
}

// orTurned ors those bits of eight groups to w that mask selects after a
// rotation to the right by turn.
func orTurned(base Register, disp int, turn, mask VecVirtual, w []VecVirtual) {
	for g := range w {
		h := ZMM()
		VMOVDQU32(at(base, disp+64*g), h)
		VPRORVD(turn, h, h)
		VPTERNLOGD(Imm(ternOrAnd), mask, h, w[g])
	}
}

func lookUp(table VecVirtual, w []VecVirtual) {
	for g := range w {
		VPSHUFB(w[g], table, w[g])
	}
}

// scaleBytes writes the four bytes of each dword of v, less minus where it is
// not nil, as sub-scales j to j+3.
func scaleBytes(v VecVirtual, s Register, j int, minus VecVirtual) {
	for i := range 4 {
		b := ZMM()
		VPSHUFB(zeroExtend(i), v, b)
		if minus != nil {
			VPSUBW(minus, b, b) // the upper words stay 0 for VPDPWSSD
		}
		VMOVDQU32(b, at(s, 64*(j+i)))
	}
}

// minBytes writes the four bytes of each dword of v as minima j to j+3.
func minBytes(v VecVirtual, n Register, j int) {
	for i := range 2 {
		b := ZMM()
		VPSHUFB(wordPair(i), v, b)
		VMOVDQU32(b, at(n, 32*j+64*i))
	}
}

// Byte patterns for VPSHUFB within 16 bytes, the same four times.

const none = 0x80 // a zero byte

func repeatByte(i int) Mem {
	return pattern(fmt.Sprintf("repeatByte%d", i), func(d int) [4]int { return [4]int{d + i, d + i, d + i, d + i} })
}

func zeroExtend(i int) Mem {
	return pattern(fmt.Sprintf("zeroExtend%d", i), func(d int) [4]int { return [4]int{d + i, none, none, none} })
}

func wordPair(i int) Mem {
	return pattern(fmt.Sprintf("wordPair%d", i), func(d int) [4]int { return [4]int{d + 2*i, none, d + 2*i + 1, none} })
}

// fourBits selects bits 4*i to 4*i+3 in the four bytes of a dword.
func fourBits(i int) Mem {
	return pattern(fmt.Sprintf("fourBits%d", i), func(int) [4]int {
		return [4]int{1 << (4 * i), 2 << (4 * i), 4 << (4 * i), 8 << (4 * i)}
	})
}

// iq4Table holds the values of IQ4_NL and IQ4_XS plus the bias of 128.
func iq4Table() VecVirtual {
	values := [16]int{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	z := ZMM()
	VMOVDQU32(pattern("iq4Values", func(d int) (b [4]int) {
		for i := range b {
			b[i] = values[d+i] + 128
		}
		return b
	}), z)
	return z
}

var patterns = map[string]Mem{}

func pattern(name string, bytes func(d int) [4]int) Mem {
	if m, ok := patterns[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range 16 {
		b := bytes(4 * (i % 4))
		DATA(4*i, U32(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24))
	}
	patterns[name] = m
	return m
}
