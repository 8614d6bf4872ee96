package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// unpackKernel emits the expansion of one panel for the matrix kernels.
func unpackKernel(t *quantType) {
	TEXT("avx512Unpack"+t.name, NOSPLIT, "func"+unpackSig)
	Doc(fmt.Sprintf("Expands a panel of %s.", t.name))
	out := Load(Param("q"), GP64())
	d := Load(Param("d"), GP64())
	var m, s, n Register
	if t.minima {
		m = Load(Param("m"), GP64())
	}
	if t.elems == 256 {
		s = Load(Param("s"), GP64())
		if t.minima {
			n = Load(Param("n"), GP64())
		}
	}
	p := Load(Param("panel"), GP64())
	nb := Load(Param("nb"), GP64())
	var w []VecVirtual
	for range 8 {
		w = append(w, ZMM())
	}
	t.before()

	Label("block")
	z := ZMM()
	VCVTPH2PS(at(p, 0), z)
	VMOVUPS(z, at(d, 0))
	ADDQ(Imm(64), d)
	if t.minima {
		VCVTPH2PS(at(p, 2*rows), z)
		VMOVUPS(z, at(m, 0))
		ADDQ(Imm(64), m)
	}
	q := GP64()
	LEAQ(at(p, t.start), q)
	if t.elems == 256 {
		t.scales(p, s, n)
		ADDQ(U32(uint32(256/t.sub*64)), s)
		if t.minima {
			ADDQ(U32(uint32(256/t.sub*32)), n)
		}
	}
	if t.begin != nil {
		t.begin(p)
	}
	i := GP64()
	MOVQ(U32(uint32(t.loops)), i)
	Label("step")
	for _, load := range t.load {
		load(p, q, w)
		for g := range w {
			VMOVDQU32(w[g], at(out, 64*g))
		}
		ADDQ(U32(512), out)
	}
	ADDQ(U32(uint32(t.stride)), q)
	DECQ(i)
	JNZ(LabelRef("step"))
	ADDQ(U32(uint32(t.bytes*rows)), p)
	DECQ(nb)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
