// Package evex emits the AVX-512 instructions that neither avo nor Go's assembler
// knows.
package evex

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
)

// Registers are given by number: the allocator cannot see them. Each encoding
// that is emitted is checked against GNU binutils; see testdata/avx512/gen.sh.

// VDPBF16PS (AVX512-BF16) is VDPBF16PS zmm[dst], zmm[a], zmm[b]: EVEX.512.F3.0F38.W0 52 /r.
func VDPBF16PS(b, a, dst int) {
	emit(fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", b, a, dst), evexRRR(2, 2, 0x52, dst, a, b))
}

// evexRRR encodes a 512-bit EVEX instruction with three registers. The opcode
// map (2 for 0F38) and the prefix pp (2 for F3) are the manual's mm and pp.
func evexRRR(opmap, pp, opcode byte, reg, vvvv, rm int) []byte {
	bit := func(n, i int) byte { return byte(^n>>i) & 1 } // stored inverted
	p0 := bit(reg, 3)<<7 | bit(rm, 4)<<6 | bit(rm, 3)<<5 | bit(reg, 4)<<4 | opmap
	p1 := byte(^vvvv&15)<<3 | 4 | pp
	p2 := byte(2)<<5 | bit(vvvv, 4)<<3 // L'L = 2: 512 bits, no mask
	return []byte{0x62, p0, p1, p2, opcode, 0xc0 | byte(reg&7)<<3 | byte(rm&7)}
}

func emit(mnemonic string, code []byte) {
	Comment(mnemonic)
	for i := 0; i < len(code); {
		switch n := len(code) - i; {
		case n >= 4:
			directive("LONG", U32(uint32(code[i])|uint32(code[i+1])<<8|uint32(code[i+2])<<16|uint32(code[i+3])<<24))
			i += 4
		case n >= 2:
			directive("WORD", U16(uint16(code[i])|uint16(code[i+1])<<8))
			i += 2
		default:
			directive("BYTE", U8(code[i]))
			i++
		}
	}
}

func directive(name string, value Op) {
	Instruction(&ir.Instruction{Opcode: name, Operands: []Op{value}})
}
