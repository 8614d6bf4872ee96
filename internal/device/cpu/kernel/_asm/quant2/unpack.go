package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// unpackKernel emits the expansion of one panel for the matrix kernels.
func unpackKernel(t *quantType) {
	TEXT("avx2Unpack"+t.name, 0, "func"+unpackSig)
	Doc(fmt.Sprintf("Expands a panel of %s.", t.name))
	out := Load(Param("q"), GP64())
	d := Load(Param("d"), GP64())
	var m, s, n, high Register
	if t.minima {
		m = Load(Param("m"), GP64())
	}
	if t.elems == 256 {
		s, n = Load(Param("s"), GP64()), Load(Param("n"), GP64())
	}
	p := Load(Param("panel"), GP64())
	nb := Load(Param("nb"), GP64())

	t.hold()

	Label("block")
	f := YMM()
	VCVTPH2PS(at(p, 0), f)
	VMOVUPS(f, at(d, 0))
	ADDQ(Imm(32), d)
	if t.minima {
		VCVTPH2PS(at(p, 2*rows), f)
		VMOVUPS(f, at(m, 0))
		ADDQ(Imm(32), m)
	}
	if t.elems == 256 {
		t.subScales(p, s, n)
		ADDQ(U32(uint32(256/t.sub*32)), s)
		ADDQ(U32(uint32(256/t.sub*16)), n)
	}
	q := GP64()
	LEAQ(at(p, t.start), q)
	if t.highStart != 0 {
		high = GP64()
		LEAQ(at(p, t.highStart), high)
	}
	i := GP64()
	if t.loops > 1 {
		MOVQ(U32(uint32(t.loops)), i)
		Label("step")
	}
	size := 32 * t.planes()
	for _, load := range t.load {
		load(p, q, high, func(g int, planes ...VecVirtual) {
			for i, w := range planes {
				VMOVDQU(w, at(out, size*g+32*i))
			}
		})
		ADDQ(U32(uint32(8*size)), out)
	}
	if t.loops > 1 {
		t.advance(q, high)
		DECQ(i)
		JNZ(LabelRef("step"))
	}
	ADDQ(U32(uint32(t.bytes*rows)), p)
	DECQ(nb)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// hold keeps the type's masks in registers, and what else a kernel wants.
func (t *quantType) hold(others ...Mem) {
	for _, m := range t.masks {
		others = append(others, bytesMem(m))
	}
	hold(others...)
}

func (t *quantType) advance(q, high Register) {
	ADDQ(U32(uint32(t.stride)), q)
	if high != nil {
		ADDQ(U32(uint32(t.highStride)), high)
	}
}

// subScales expands the sub-scales of the block at p to s, twice as words of a
// dword, and to n its minima, two as words of a dword, or what the bias takes
// away: pairs of sub-scales times the bias.
func (t *quantType) subScales(p, s, n Register) {
	scales, minima := t.scales(p)
	if t.bias != 0 {
		minima = scales
	}
	write := func(from VecVirtual, to Mem, expand func(v VecVirtual)) {
		v := YMM()
		VMOVDQA(from, v)
		expand(v)
		VMOVDQU(v, to)
	}
	for i, v := range scales {
		for j := range 4 {
			write(v, at(s, 32*(4*i+j)), func(v VecVirtual) { subScale(v, j, t.signed) })
		}
	}
	for i, v := range minima {
		for j := range 2 {
			write(v, at(n, 32*(2*i+j)), func(v VecVirtual) { subPair(v, j, t.bias != 0, t.bias) })
		}
	}
}
