package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func elem512() {
	// Part of the next step; the widening below serves both sets.
}

func elem2() {
	widen2("F16")
	widen2("BF16")
}

// widen2 converts n 16-bit weights to f32, n a multiple of 16.
func widen2(name string) {
	TEXT("avx2Widen"+name, NOSPLIT, "func(dst *float32, src *byte, n int)")
	Doc("Widens n " + name + " values, n a multiple of 16.")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	a, b := YMM(), YMM()
	kind := weightKind{name, 2}
	Label("loop")
	loadWeights2(kind, Mem{Base: src}, a)
	loadWeights2(kind, Mem{Base: src, Disp: 16}, b)
	VMOVUPS(a, Mem{Base: dst})
	VMOVUPS(b, Mem{Base: dst, Disp: 32})
	ADDQ(Imm(32), src)
	ADDQ(Imm(64), dst)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
