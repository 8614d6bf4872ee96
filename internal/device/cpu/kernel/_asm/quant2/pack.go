package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const packSig = "(dst, src *byte, rowBytes, nb int)"

// layout is package kernel's blockLayout: where the f16 fields of a file block
// begin, and its runs of 4-byte groups in the order of a panel.
type layout struct {
	name   string
	bytes  int // of a block
	halves []int
	runs   []run
}

type run struct{ at, n int }

var layouts = []layout{
	{"Q4_0", 18, []int{0}, []run{{2, 4}}}, // IQ4_NL has the same
	{"Q4_1", 20, []int{0, 2}, []run{{4, 4}}},
	{"Q5_0", 22, []int{0}, []run{{2, 1}, {6, 4}}},
	{"Q5_1", 24, []int{0, 2}, []run{{4, 1}, {8, 4}}},
	{"Q8_0", 34, []int{0}, []run{{2, 8}}},
	{"Q2_K", 84, []int{80, 82}, []run{{0, 4}, {16, 16}}},
	{"Q3_K", 110, []int{108}, []run{{96, 3}, {0, 8}, {32, 16}}},
	{"Q4_K", 144, []int{0, 2}, []run{{4, 3}, {16, 32}}},
	{"Q5_K", 176, []int{0, 2}, []run{{4, 3}, {16, 8}, {48, 32}}},
	{"Q6_K", 210, []int{208}, []run{{192, 4}, {128, 16}, {0, 32}}},
	{"IQ4_XS", 136, []int{0, 2}, []run{{4, 1}, {8, 32}}},
}

// packer emits a kernel that packs one panel of n rows.
type packer struct {
	layout
	n             int
	src           []Register // of each 8 rows
	s, s3, s5, s7 Register   // multiples of rowBytes
	dst           Register
	at            int // of dst, written next
}

func packKernels() {
	for _, n := range []int{8, 16} {
		for _, l := range layouts {
			TEXT(fmt.Sprintf("avx2Pack%sx%d", l.name, n), NOSPLIT, "func"+packSig)
			Doc(fmt.Sprintf("Packs a panel of %d rows of %s.", n, l.name))
			(&packer{layout: l, n: n}).emit()
		}
	}
}

func (p *packer) emit() {
	p.dst = Load(Param("dst"), GP64())
	p.src = []Register{Load(Param("src"), GP64())}
	p.s, p.s3, p.s5, p.s7 = Load(Param("rowBytes"), GP64()), GP64(), GP64(), GP64()
	nb := Load(Param("nb"), GP64())
	LEAQ(Mem{Base: p.s, Index: p.s, Scale: 2}, p.s3)
	LEAQ(Mem{Base: p.s, Index: p.s, Scale: 4}, p.s5)
	LEAQ(Mem{Base: p.s3, Index: p.s, Scale: 4}, p.s7)
	if p.n == 16 {
		p.src = append(p.src, GP64())
		LEAQ(Mem{Base: p.src[0], Index: p.s, Scale: 8}, p.src[1])
	}
	Label("block")
	p.at = 0
	for _, field := range p.halves {
		for _, src := range p.src {
			x := XMM()
			VPXOR(x, x, x)
			for r := range 8 {
				VPINSRW(Imm(uint64(r)), p.row(src, r, field), x, x)
			}
			VMOVDQU(x, at(p.dst, p.at))
			p.at += 16
		}
	}
	for i, r := range p.runs {
		p.run(r, fmt.Sprintf("run%d", i))
	}
	for _, src := range p.src {
		ADDQ(imm(p.bytes), src)
	}
	ADDQ(U32(uint32(p.bytes*p.n)), p.dst)
	DECQ(nb)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// row addresses byte disp of the block of row r of 8.
func (p *packer) row(src Register, r, disp int) Mem {
	index := [8]Register{nil, p.s, p.s, p.s3, p.s, p.s5, p.s3, p.s7}[r]
	scale := [8]uint8{0, 1, 2, 1, 4, 1, 2, 1}[r]
	return Mem{Base: src, Index: index, Scale: scale, Disp: disp}
}

// run moves the groups of a run, four at a time as far as that goes.
func (p *packer) run(r run, label string) {
	size := 4 * p.n
	if r.n <= 8 {
		for ; r.n >= 4; r.at, r.n, p.at = r.at+16, r.n-4, p.at+4*size {
			for i, src := range p.src {
				p.four(src, r.at, p.at+32*i)
			}
		}
		for ; r.n > 0; r.at, r.n, p.at = r.at+4, r.n-1, p.at+size {
			for i, src := range p.src {
				p.one(src, r.at, p.at+32*i)
			}
		}
		return
	}
	// A loop moves the sources and the destination on, and back at its end.
	count := GP64()
	MOVQ(U32(uint32(r.n/4)), count)
	Label(label)
	for i, src := range p.src {
		p.four(src, r.at, p.at+32*i)
		ADDQ(Imm(16), src)
	}
	ADDQ(U32(uint32(4*size)), p.dst)
	DECQ(count)
	JNZ(LabelRef(label))
	for _, src := range p.src {
		SUBQ(U32(uint32(4*r.n)), src)
	}
	SUBQ(U32(uint32(r.n*size)), p.dst)
	p.at += r.n * size
}

// four transposes four groups of 8 rows. It names its registers: the allocator
// takes a register whose lower half alone is written as live before.
func (p *packer) four(src Register, from, to int) {
	x := [4]VecPhysical{X0, X1, X2, X3}
	v := [4]VecPhysical{Y0, Y1, Y2, Y3}
	t := [4]VecPhysical{Y4, Y5, Y6, Y7}
	for r := range 4 {
		VMOVDQU(p.row(src, r, from), x[r])
		VINSERTI128(Imm(1), p.row(src, r+4, from), v[r], v[r])
	}
	// Rows 0 and 1 of groups 0 and 1, then of 2 and 3; rows 2 and 3 likewise.
	VPUNPCKLDQ(v[1], v[0], t[0])
	VPUNPCKHDQ(v[1], v[0], t[1])
	VPUNPCKLDQ(v[3], v[2], t[2])
	VPUNPCKHDQ(v[3], v[2], t[3])
	for i := range 2 {
		VPUNPCKLQDQ(t[i+2], t[i], v[2*i])
		VPUNPCKHQDQ(t[i+2], t[i], v[2*i+1])
	}
	for g := range 4 {
		VMOVDQU(v[g], at(p.dst, to+4*p.n*g))
	}
}

// one gathers one group of 8 rows.
func (p *packer) one(src Register, from, to int) {
	for h := range 2 {
		x := XMM()
		VMOVD(p.row(src, 4*h, from), x)
		for r := 1; r < 4; r++ {
			VPINSRD(Imm(uint64(r)), p.row(src, 4*h+r, from), x, x)
		}
		VMOVDQU(x, at(p.dst, to+16*h))
	}
}
