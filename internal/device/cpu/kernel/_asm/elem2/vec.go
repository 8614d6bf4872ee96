package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vecs are the kernels that work element by element, on multiples of 8.
func vecs() {
	expKernel()
	swiGLU()
	add()
	scale()
	scaleMul()
	sumSquares()
	rope()
	toHalf()
	halfColumn()
	column()
}

func ymms(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = YMM()
	}
	return r
}

// byEights emits body for unroll vectors and again for 1, with the loops
// around; left is a multiple of 8 and not 0. ptrs move on by what was done.
func byEights(left Register, unroll int, ptrs []Register, body func(n int)) {
	advance := func(n int) {
		for _, p := range ptrs {
			ADDQ(U32(32*n), p)
		}
	}
	SUBQ(U32(8*unroll), left)
	JL(LabelRef("rest"))
	Label("many")
	body(unroll)
	advance(unroll)
	SUBQ(U32(8*unroll), left)
	JGE(LabelRef("many"))
	Label("rest")
	ADDQ(U32(8*unroll), left)
	JZ(LabelRef("done"))
	Label("single")
	body(1)
	advance(1)
	SUBQ(Imm(8), left)
	JNZ(LabelRef("single"))
	Label("done")
	VZEROUPPER()
	RET()
}

func at(p Register, i int) Mem { return Mem{Base: p, Disp: 32 * i} }

func expKernel() {
	TEXT("avx2Exp", NOSPLIT, "func(y, x *float32, n int)")
	Doc("y = exp(x) for n elements, a multiple of 8.")
	y, x, n := Load(Param("y"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	byEights(n, 4, []Register{y, x}, func(vecs int) {
		v := expOf(vecs, false, func(i int, v VecVirtual) { VMOVUPS(at(x, i), v) })
		for i := range v {
			VMOVUPS(v[i], at(y, i))
		}
	})
}

func swiGLU() {
	TEXT("avx2SwiGLU", NOSPLIT, "func(y, gate, up *float32, n int)")
	Doc("y = gate/(1+exp(-gate))*up for n elements, a multiple of 8.")
	y, g, u := Load(Param("y"), GP64()), Load(Param("gate"), GP64()), Load(Param("up"), GP64())
	n := Load(Param("n"), GP64())
	byEights(n, 4, []Register{y, g, u}, func(vecs int) {
		e := expOf(vecs, false, negated(g))
		for i := range e {
			gate := YMM()
			VADDPS(one(), e[i], e[i])
			VMOVUPS(at(g, i), gate)
			VDIVPS(e[i], gate, e[i])
			VMULPS(at(u, i), e[i], e[i])
		}
		for i := range e {
			VMOVUPS(e[i], at(y, i))
		}
	})
}

// negated loads vectors at p with their signs turned.
func negated(p Register) func(i int, v VecVirtual) {
	return func(i int, v VecVirtual) {
		VMOVUPS(at(p, i), v)
		VXORPS(signBit(), v, v)
	}
}

func add() {
	TEXT("avx2Add", NOSPLIT, "func(y, x *float32, n int)")
	Doc("y += x for n elements, a multiple of 8.")
	y, x, n := Load(Param("y"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	byEights(n, 4, []Register{y, x}, func(vecs int) {
		v := ymms(vecs)
		for i := range v {
			VMOVUPS(at(y, i), v[i])
			VADDPS(at(x, i), v[i], v[i])
			VMOVUPS(v[i], at(y, i))
		}
	})
}

func scale() {
	TEXT("avx2Scale", NOSPLIT, "func(y, x *float32, n int, scale float32)")
	Doc("y = x*scale for n elements, a multiple of 8.")
	y, x, n := Load(Param("y"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	s := broadcastParam("scale")
	byEights(n, 4, []Register{y, x}, func(vecs int) {
		v := ymms(vecs)
		for i := range v {
			VMULPS(at(x, i), s, v[i])
			VMOVUPS(v[i], at(y, i))
		}
	})
}

// broadcastParam loads a float parameter into all lanes.
func broadcastParam(name string) VecVirtual {
	x, y := XMM(), YMM()
	Load(Param(name), x)
	VBROADCASTSS(x, y)
	return y
}

// scaleMul is the second half of RMSNorm.
func scaleMul() {
	TEXT("avx2ScaleMul", NOSPLIT, "func(y, x, gain *float32, n int, scale float32)")
	Doc("y = x*scale*gain for n elements, a multiple of 8.")
	y, x, g := Load(Param("y"), GP64()), Load(Param("x"), GP64()), Load(Param("gain"), GP64())
	n := Load(Param("n"), GP64())
	s := broadcastParam("scale")
	byEights(n, 4, []Register{y, x, g}, func(vecs int) {
		v := ymms(vecs)
		for i := range v {
			VMULPS(at(x, i), s, v[i])
			VMULPS(at(g, i), v[i], v[i])
			VMOVUPS(v[i], at(y, i))
		}
	})
}

func sumSquares() {
	TEXT("avx2SumSquares", NOSPLIT, "func(lanes, x *float32, n int)")
	Doc("lanes[l] = fma(x[k+l], x[k+l], lanes[l]) for k = 0, 16, ... below n, a multiple of 16.")
	lanes, x, n := Load(Param("lanes"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	a, v := ymms(2), ymms(2)
	for i := range a {
		VMOVUPS(at(lanes, i), a[i])
	}
	Label("loop")
	for i := range a {
		VMOVUPS(at(x, i), v[i])
		VFMADD231PS(v[i], v[i], a[i])
	}
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	for i := range a {
		VMOVUPS(a[i], at(lanes, i))
	}
	VZEROUPPER()
	RET()
}

// rope turns pairs (x0, x1) into x0*c - x1*s and x1*c + x0*s: one VADDSUBPS.
func rope() {
	TEXT("avx2RoPE", NOSPLIT, "func(x, cos, sin *float32, pairs int, scale float32)")
	Doc("Rotates pairs of x, a multiple of 4 and not 0.")
	ropeLoop(false)
}

// ropeLoop rotates pairs, or rotates them back.
func ropeLoop(back bool) {
	x, c, s := Load(Param("x"), GP64()), Load(Param("cos"), GP64()), Load(Param("sin"), GP64())
	n := Load(Param("pairs"), GP64())
	by := broadcastParam("scale")
	cos, sin, v, w := YMM(), YMM(), YMM(), YMM()
	var sign VecVirtual
	if back {
		sign = YMM()
		VMOVUPS(signBit(), sign)
	}
	Label("loop")
	VPMOVZXDQ(Mem{Base: c}, cos)
	VPMOVZXDQ(Mem{Base: s}, sin)
	VMOVSLDUP(cos, cos)
	VMOVSLDUP(sin, sin)
	VMOVUPS(Mem{Base: x}, v)
	VPERMILPS(Imm(0xb1), v, w)
	VMULPS(cos, v, v)
	VMULPS(sin, w, w)
	if back {
		VXORPS(sign, w, w)
	}
	VADDSUBPS(w, v, v)
	VMULPS(by, v, v)
	VMOVUPS(v, Mem{Base: x})
	ADDQ(Imm(32), x)
	ADDQ(Imm(16), c)
	ADDQ(Imm(16), s)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// pageTokens is kernel.PageTokens.
const pageTokens = 64

// toHalf, halfColumn and column write one position of the cache.
func toHalf() {
	TEXT("avx2ToHalf", NOSPLIT, "func(dst *byte, src *float32, n int)")
	Doc("Rounds n floats, a multiple of 8, to binary16.")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	v, h := YMM(), XMM()
	Label("loop")
	VMOVUPS(Mem{Base: src}, v)
	VCVTPS2PH(Imm(0), v, h)
	VMOVDQU(h, Mem{Base: dst})
	ADDQ(Imm(32), src)
	ADDQ(Imm(16), dst)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func halfColumn() {
	TEXT("avx2HalfColumn", NOSPLIT, "func(dst *byte, src *float32, n int)")
	Doc("Rounds n floats, a multiple of 8, to binary16, one to a row of keys.")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	v, h := YMM(), XMM()
	Label("loop")
	VMOVUPS(Mem{Base: src}, v)
	VCVTPS2PH(Imm(0), v, h)
	for i := range 8 {
		VPEXTRW(U8(i), h, Mem{Base: dst, Disp: i * pageTokens * 2})
	}
	ADDQ(Imm(32), src)
	ADDQ(U32(8*pageTokens*2), dst)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func column() {
	TEXT("avx2Column", NOSPLIT, "func(dst *byte, src *float32, n int)")
	Doc("Copies n floats, a multiple of 8, one to a row of keys.")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	r := make([]Register, 4)
	for i := range r {
		r[i] = GP32()
	}
	Label("loop")
	for i := range 8 {
		MOVL(Mem{Base: src, Disp: 4 * i}, r[i%4])
		MOVL(r[i%4], Mem{Base: dst, Disp: i * pageTokens * 4})
	}
	ADDQ(Imm(32), src)
	ADDQ(U32(8*pageTokens*4), dst)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	RET()
}
