package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func at(base Register, disp int) Mem { return Mem{Base: base, Disp: disp} }

// shifted returns v with its dwords shifted left by n bits, or right by -n, in
// a register of its own.
func shifted(v VecVirtual, n int) VecVirtual {
	s := YMM()
	switch {
	case n > 0:
		VPSLLD(Imm(uint64(n)), v, s)
	case n < 0:
		VPSRLD(Imm(uint64(-n)), v, s)
	default:
		VMOVDQA(v, s)
	}
	return s
}

// held are the constants that the kernel under construction keeps in registers.
var held = map[string]VecVirtual{}

// hold brings constants into registers for the kernel that begins here.
func hold(constants ...Mem) {
	clear(held)
	for _, m := range constants {
		r := YMM()
		VMOVDQU(m, r)
		held[m.Symbol.Name] = r
	}
}

// constant is m, or the register that holds it.
func constant(m Mem) Op {
	if r, ok := held[m.Symbol.Name]; ok {
		return r
	}
	return m
}

// bits loads a group, shifts it and keeps those bits of each byte that are in
// mask.
func bits(base Register, disp, shift int, mask byte) VecVirtual {
	v := YMM()
	if r, ok := bytesOf(mask).(VecVirtual); ok && shift == 0 {
		VPAND(at(base, disp), r, v)
		return v
	}
	VMOVDQU(at(base, disp), v)
	switch {
	case shift > 0:
		VPSLLD(Imm(uint64(shift)), v, v)
	case shift < 0:
		VPSRLD(Imm(uint64(-shift)), v, v)
	}
	VPAND(bytesOf(mask), v, v)
	return v
}

// nibblePairs gives 8 groups of nibbles: the lower ones of 4 groups of bytes,
// and 16 elements further the upper ones.
func nibblePairs(base Register, disp int, put put) {
	for g := range 4 {
		lo, hi := YMM(), YMM()
		VMOVDQU(at(base, disp+32*g), hi)
		VPAND(bytesOf(0x0f), hi, lo)
		put(g, lo)
		VPSRLD(Imm(4), hi, hi)
		VPAND(bytesOf(0x0f), hi, hi)
		put(g+4, hi)
	}
}

// subScale makes byte j of each dword of v, which is lost, both of its words.
func subScale(v VecVirtual, j int, signed bool) {
	if !signed {
		VPSHUFB(wordTwice(j), v, v)
		return
	}
	VPSHUFB(highTwice(j), v, v)
	VPSRAW(Imm(8), v, v)
}

// subPair makes bytes 2*i and 2*i+1 of each dword of v, which is lost, its
// words, times the bias where they are signed.
func subPair(v VecVirtual, i int, signed bool, bias uint64) {
	if !signed {
		VPSHUFB(wordPair(i), v, v)
		return
	}
	VPSHUFB(highPair(i), v, v)
	VPSRAW(Imm(8-bias), v, v)
}

// Constants of 32 bytes, 16 bytes twice.

const none = 0x80 // a zero byte of VPSHUFB

func bytesOf(v byte) Op { return constant(bytesMem(v)) }

func bytesMem(v byte) Mem {
	return pattern(fmt.Sprintf("bytes%02x", v), func(int) byte { return v })
}

func wordsOf(v byte) Op { return constant(wordsMem(v)) }

func wordsMem(v byte) Mem {
	return pattern(fmt.Sprintf("words%d", v), func(i int) byte { return v * byte(1-i%2) })
}

// oneByte is v in byte n of each dword.
func oneByte(n int, v byte) Mem {
	return pattern(fmt.Sprintf("byte%dof%02x", n, v), func(i int) byte {
		if i%4 == n {
			return v
		}
		return 0
	})
}

// oddBytes is v in each second byte, from byte n on.
func oddBytes(n int, v byte) Mem {
	return pattern(fmt.Sprintf("bytes%dof%02x", n, v), func(i int) byte {
		if i%2 == n {
			return v
		}
		return 0
	})
}

// nibbleBytes copies bytes 2*n and 2*n+1 of each dword twice.
func nibbleBytes(n int) Mem {
	return pattern(fmt.Sprintf("nibbleBytes%d", n), func(i int) byte { return byte(i&^3 + 2*n + i/2%2) })
}

// repeatByte copies byte n of each dword over the dword.
func repeatByte(n int) Mem {
	return pattern(fmt.Sprintf("repeatByte%d", n), func(i int) byte { return byte(i&^3 + n) })
}

// wordTwice makes byte n of each dword both of its words.
func wordTwice(n int) Mem {
	return pattern(fmt.Sprintf("wordTwice%d", n), func(i int) byte { return [2]byte{byte(i&^3 + n), none}[i%2] })
}

// highTwice makes byte n of each dword the upper bytes of its words.
func highTwice(n int) Mem {
	return pattern(fmt.Sprintf("highTwice%d", n), func(i int) byte { return [2]byte{none, byte(i&^3 + n)}[i%2] })
}

// highPair makes bytes 2*n and 2*n+1 of each dword the upper bytes of its words.
func highPair(n int) Mem {
	return pattern(fmt.Sprintf("highPair%d", n), func(i int) byte { return [2]byte{none, byte(i&^3 + 2*n + i/2%2)}[i%2] })
}

// wordPair makes bytes 2*n and 2*n+1 of each dword its words.
func wordPair(n int) Mem {
	return pattern(fmt.Sprintf("wordPair%d", n), func(i int) byte { return [2]byte{byte(i&^3 + 2*n + i/2%2), none}[i%2] })
}

// fourBits selects bits 4*n to 4*n+3 in the four bytes of a dword.
func fourBits(n int) Mem {
	return pattern(fmt.Sprintf("fourBits%d", n), func(i int) byte { return 1 << (4*n + i%4) })
}

// iq4Table holds the values of IQ4_NL and IQ4_XS.
func iq4Table() Mem {
	values := [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	return pattern("iq4Values", func(i int) byte { return byte(values[i]) })
}

var patterns = map[string]Mem{}

func pattern(name string, at func(i int) byte) Mem {
	if m, ok := patterns[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := 0; i < 32; i += 8 {
		var v uint64
		for b := range 8 {
			v |= uint64(at((i+b)%16)) << (8 * b)
		}
		DATA(i, U64(v))
	}
	patterns[name] = m
	return m
}
