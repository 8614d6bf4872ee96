package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// training are the kernels of package kernel's Train, on multiples of 8 or,
// where there are sums, of 16. Those of arm64 have the same names.
func training() {
	axpy()
	lerp()
	dot()
	squares64()
	rowMax()
	expSum()
	expMoments()
	expSub()
	softmaxBack()
	probGrad()
	swiGLUBack()
	rmsSums()
	gainGrad()
	rmsGrad()
	ropeBack()
	adamW()
}

// params loads pointers by name.
func params(names ...string) []Register {
	r := make([]Register, len(names))
	for i, n := range names {
		r[i] = Load(Param(n), GP64())
	}
	return r
}

func axpy() {
	TEXT("trainAxpy", NOSPLIT, "func(y, x *float32, n int, a float32)")
	Doc("y = fma(a, x, y) for n elements, a multiple of 8.")
	p, n, a := params("y", "x"), Load(Param("n"), GP64()), broadcastParam("a")
	byEights(n, 4, p, func(vecs int) {
		v := ymms(vecs)
		for i := range v {
			VMOVUPS(at(p[0], i), v[i])
			VFMADD231PS(at(p[1], i), a, v[i])
			VMOVUPS(v[i], at(p[0], i))
		}
	})
}

func lerp() {
	TEXT("trainLerp", NOSPLIT, "func(y, x *float32, n int, t float32)")
	Doc("y = fma(t, x-y, y) for n elements, a multiple of 8.")
	p, n, t := params("y", "x"), Load(Param("n"), GP64()), broadcastParam("t")
	byEights(n, 4, p, func(vecs int) {
		y, d := ymms(vecs), ymms(vecs)
		for i := range y {
			VMOVUPS(at(p[0], i), y[i])
			VMOVUPS(at(p[1], i), d[i])
			VSUBPS(y[i], d[i], d[i])
			VFMADD231PS(d[i], t, y[i])
			VMOVUPS(y[i], at(p[0], i))
		}
	})
}

// bySixteens emits body for two vectors with the loop around; lanes are loaded
// before and stored behind. n is a multiple of 16 and not 0.
func bySixteens(n Register, ptrs []Register, lanes Register, sums [][]VecVirtual, body func()) {
	each := func(f func(m Mem, v VecVirtual)) {
		for s := range sums {
			for i, v := range sums[s] {
				f(at(lanes, 2*s+i), v)
			}
		}
	}
	each(func(m Mem, v VecVirtual) { VMOVUPS(m, v) })
	Label("loop")
	body()
	for _, p := range ptrs {
		ADDQ(Imm(64), p)
	}
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	each(func(m Mem, v VecVirtual) { VMOVUPS(v, m) })
	VZEROUPPER()
	RET()
}

func dot() {
	TEXT("trainDot", NOSPLIT, "func(lanes, x, y *float32, n int)")
	Doc("lanes = fma(x, y, lanes) for n elements, a multiple of 16 and not 0.")
	p, n := params("x", "y"), Load(Param("n"), GP64())
	lanes := Load(Param("lanes"), GP64())
	sum := ymms(2)
	bySixteens(n, p, lanes, [][]VecVirtual{sum}, func() {
		x := ymms(2)
		for i := range x {
			VMOVUPS(at(p[0], i), x[i])
			VFMADD231PS(at(p[1], i), x[i], sum[i])
		}
	})
}

func squares64() {
	TEXT("trainSquares64", NOSPLIT, "func(lanes *float64, x *float32, n int)")
	Doc("lanes += x*x for n elements, a multiple of 16 and not 0.")
	lanes, x, n := Load(Param("lanes"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	sum, v := ymms(4), ymms(4)
	for i := range sum {
		VMOVUPD(at(lanes, i), sum[i])
	}
	Label("loop")
	for i := range v {
		VCVTPS2PD(Mem{Base: x, Disp: 16 * i}, v[i])
		VFMADD231PD(v[i], v[i], sum[i])
	}
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	for i := range sum {
		VMOVUPD(sum[i], at(lanes, i))
	}
	VZEROUPPER()
	RET()
}

func rowMax() {
	TEXT("trainRowMax", NOSPLIT, "func(x *float32, n int) float32")
	Doc("Returns the largest of n elements that are not NaN, n a multiple of 8 and not 0.")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	// A comparison with NaN gives the second operand, so that NaN counts as
	// nothing.
	m, v := ymms(4), ymms(4)
	for i := range m {
		VMOVUPS(broadcast("neginf", 0xff800000), m[i])
	}
	SUBQ(Imm(32), n)
	JL(LabelRef("rest"))
	Label("many")
	for i := range m {
		VMOVUPS(at(x, i), v[i])
		VMAXPS(m[i], v[i], m[i])
	}
	ADDQ(U32(128), x)
	SUBQ(Imm(32), n)
	JGE(LabelRef("many"))
	Label("rest")
	ADDQ(Imm(32), n)
	JZ(LabelRef("done"))
	Label("single")
	VMOVUPS(at(x, 0), v[0])
	VMAXPS(m[0], v[0], m[0])
	ADDQ(Imm(32), x)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("single"))
	Label("done")
	VMAXPS(m[1], m[0], m[0])
	VMAXPS(m[3], m[2], m[2])
	VMAXPS(m[2], m[0], m[0])
	low, t := m[0].AsX(), m[1].AsX()
	VEXTRACTF128(Imm(1), m[0], t)
	VMAXPS(t, low, low)
	VPERMILPS(Imm(0x4e), low, t)
	VMAXPS(t, low, low)
	VMOVSHDUP(low, t)
	VMAXSS(t, low, low)
	Store(low, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func expSum() {
	TEXT("trainExpSum", NOSPLIT, "func(lanes, x *float32, n int, m float32)")
	Doc("x = exp(x-m), lanes += x for n elements, a multiple of 16 and not 0; none is above m.")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	lanes, m := Load(Param("lanes"), GP64()), broadcastParam("m")
	sum := ymms(2)
	for i := range sum {
		VMOVUPS(at(lanes, i), sum[i])
	}
	body := func(vecs int) {
		v := expOf(vecs, true, func(i int, v VecVirtual) {
			VMOVUPS(at(x, i), v)
			VSUBPS(m, v, v)
		})
		for i := range v {
			VMOVUPS(v[i], at(x, i))
			VADDPS(v[i], sum[i%2], sum[i%2])
		}
		ADDQ(U32(32*vecs), x)
	}
	SUBQ(Imm(32), n)
	JL(LabelRef("rest"))
	Label("many")
	body(4)
	SUBQ(Imm(32), n)
	JGE(LabelRef("many"))
	Label("rest")
	ADDQ(Imm(32), n)
	JZ(LabelRef("done"))
	body(2)
	Label("done")
	for i := range sum {
		VMOVUPS(sum[i], at(lanes, i))
	}
	VZEROUPPER()
	RET()
}

// momentFloor is kernel's.
func momentFloor() VecVirtual {
	v := YMM()
	VMOVUPS(float("floor", -128), v)
	return v
}

func expMoments() {
	TEXT("trainExpMoments", NOSPLIT, "func(lanes, x *float32, n int, m float32)")
	Doc("Adds e = exp(x-m) to lanes and e*(x-m) to 16 more, for n elements, a multiple of 16 and not 0; none is above m.")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	lanes, m, floor := Load(Param("lanes"), GP64()), broadcastParam("m"), momentFloor()
	sum, moment := ymms(2), ymms(2)
	bySixteens(n, []Register{x}, lanes, [][]VecVirtual{sum, moment}, func() {
		d, e := ymms(2), ymms(2)
		for i := range d {
			VMOVUPS(at(x, i), d[i])
			VSUBPS(m, d[i], d[i])
			VMAXPS(d[i], floor, d[i]) // of d where that is NaN
			VMOVAPS(d[i], e[i])
		}
		exp(e, true)
		for i := range d {
			VADDPS(e[i], sum[i], sum[i])
			VFMADD231PS(d[i], e[i], moment[i])
		}
	})
}

func expSub() {
	TEXT("trainExpSub", NOSPLIT, "func(y, x *float32, n int, c float32)")
	Doc("y = exp(x-c) for n elements, a multiple of 8.")
	p, n, c := params("y", "x"), Load(Param("n"), GP64()), broadcastParam("c")
	byEights(n, 4, p, func(vecs int) {
		v := expOf(vecs, false, func(i int, v VecVirtual) {
			VMOVUPS(at(p[1], i), v)
			VSUBPS(c, v, v)
		})
		for i := range v {
			VMOVUPS(v[i], at(p[0], i))
		}
	})
}

func softmaxBack() {
	TEXT("trainSoftmaxBack", NOSPLIT, "func(dp, p *float32, n int, d float32)")
	Doc("dp = p*(dp-d) for n elements, a multiple of 8.")
	p, n, d := params("dp", "p"), Load(Param("n"), GP64()), broadcastParam("d")
	byEights(n, 4, p, func(vecs int) {
		v := ymms(vecs)
		for i := range v {
			VMOVUPS(at(p[0], i), v[i])
			VSUBPS(d, v[i], v[i])
			VMULPS(at(p[1], i), v[i], v[i])
			VMOVUPS(v[i], at(p[0], i))
		}
	})
}

func probGrad() {
	TEXT("trainProbGrad", NOSPLIT, "func(x *float32, n int, lse, a, b float32)")
	Doc("x = exp(x-lse) * fma(b, x-lse, a) for n elements, a multiple of 8.")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	lse, a, b := broadcastParam("lse"), broadcastParam("a"), broadcastParam("b")
	floor := momentFloor()
	byEights(n, 3, []Register{x}, func(vecs int) { // there are not registers for four
		load := func(i int, v VecVirtual) {
			VMOVUPS(at(x, i), v)
			VSUBPS(lse, v, v)
			VMAXPS(v, floor, v)
		}
		e := expOf(vecs, false, load)
		for i := range e {
			l := YMM()
			load(i, l)
			VFMADD213PS(a, b, l)
			VMULPS(l, e[i], e[i])
			VMOVUPS(e[i], at(x, i))
		}
	})
}

func swiGLUBack() {
	TEXT("trainSwiGLUBack", NOSPLIT, "func(dgate, dup, dy, gate, up *float32, n int)")
	Doc("Gradients of SwiGLU for n elements, a multiple of 8.")
	p, n := params("dgate", "dup", "dy", "gate", "up"), Load(Param("n"), GP64())
	byEights(n, 4, p, func(vecs int) {
		s := expOf(vecs, false, negated(p[3]))
		for i := range s {
			unit, g, slope, up := YMM(), YMM(), YMM(), YMM()
			VMOVUPS(one(), unit)
			VADDPS(unit, s[i], s[i])
			VDIVPS(s[i], unit, s[i])
			VMULPS(at(p[3], i), s[i], g)
			VSUBPS(s[i], unit, slope)
			VFMADD213PS(s[i], g, slope)
			VMOVUPS(at(p[2], i), up)
			VMULPS(at(p[4], i), up, s[i])
			VMULPS(slope, s[i], s[i])
			VMULPS(g, up, g)
			VMOVUPS(s[i], at(p[0], i))
			VMOVUPS(g, at(p[1], i))
		}
	})
}

func rmsSums() {
	TEXT("trainRMSSums", NOSPLIT, "func(lanes, dy, x, gain *float32, n int)")
	Doc("Adds x*x to lanes and dy*gain*x to 16 more, for n elements, a multiple of 16 and not 0.")
	p, n := params("dy", "x", "gain"), Load(Param("n"), GP64())
	lanes := Load(Param("lanes"), GP64())
	squares, dots := ymms(2), ymms(2)
	bySixteens(n, p, lanes, [][]VecVirtual{squares, dots}, func() {
		for i := range squares {
			x, g := YMM(), YMM()
			VMOVUPS(at(p[1], i), x)
			VMOVUPS(at(p[2], i), g)
			VMULPS(at(p[0], i), g, g)
			VFMADD231PS(x, x, squares[i])
			VFMADD231PS(x, g, dots[i])
		}
	})
}

func gainGrad() {
	TEXT("trainGainGrad", NOSPLIT, "func(dgain, dy, x *float32, n int, r float32)")
	Doc("dgain = fma(dy, x*r, dgain) for n elements, a multiple of 8.")
	p, n, r := params("dgain", "dy", "x"), Load(Param("n"), GP64()), broadcastParam("r")
	byEights(n, 4, p, func(vecs int) {
		x, d := ymms(vecs), ymms(vecs)
		for i := range x {
			VMULPS(at(p[2], i), r, x[i])
			VMOVUPS(at(p[0], i), d[i])
			VFMADD231PS(at(p[1], i), x[i], d[i])
			VMOVUPS(d[i], at(p[0], i))
		}
	})
}

func rmsGrad() {
	TEXT("trainRMSGrad", NOSPLIT, "func(dx, dy, x, gain *float32, n int, r, c float32)")
	Doc("dx = fma(fma(-c, x, dy*gain), r, dx) for n elements, a multiple of 8.")
	p, n := params("dx", "dy", "x", "gain"), Load(Param("n"), GP64())
	r, c := broadcastParam("r"), broadcastParam("c")
	byEights(n, 4, p, func(vecs int) {
		g, d := ymms(vecs), ymms(vecs)
		for i := range g {
			VMOVUPS(at(p[3], i), g[i])
			VMULPS(at(p[1], i), g[i], g[i])
			VFNMADD231PS(at(p[2], i), c, g[i])
			VMOVUPS(at(p[0], i), d[i])
			VFMADD231PS(g[i], r, d[i])
			VMOVUPS(d[i], at(p[0], i))
		}
	})
}

// ropeBack turns pairs (x0, x1) into x0*c + x1*s and x1*c - x0*s.
func ropeBack() {
	TEXT("trainRoPEBack", NOSPLIT, "func(x, cos, sin *float32, pairs int, scale float32)")
	Doc("Rotates pairs of x back, a multiple of 4 and not 0.")
	ropeLoop(true)
}

// adamArgs are the offsets of the fields of kernel's AdamW.
const (
	adamGradScale = 4 * iota
	adamBeta1
	adamRest1
	adamBeta2
	adamRest2
	adamInvCorrection2
	adamEps
	adamRate
	adamKeep
)

func adamW() {
	TEXT("trainAdamW", NOSPLIT, "func(p, grad, m, v *float32, n int, s *byte)")
	Doc("A step of AdamW for n elements, a multiple of 8.")
	ptr, n := params("p", "grad", "m", "v"), Load(Param("n"), GP64())
	s := Load(Param("s"), GP64())
	constant := func(off int) VecVirtual {
		v := YMM()
		VBROADCASTSS(Mem{Base: s, Disp: off}, v)
		return v
	}
	gradScale, beta1, rest1 := constant(adamGradScale), constant(adamBeta1), constant(adamRest1)
	beta2, rest2, invCorrection2 := constant(adamBeta2), constant(adamRest2), constant(adamInvCorrection2)
	eps, rate, keep := constant(adamEps), constant(adamRate), constant(adamKeep)
	zero := YMM()
	VXORPS(zero, zero, zero)
	byEights(n, 1, ptr, func(int) {
		d, m, v, t := YMM(), YMM(), YMM(), YMM()
		VMULPS(at(ptr[1], 0), gradScale, d)
		VMOVUPS(zero, at(ptr[1], 0))
		VMULPS(d, rest1, m)
		VMULPS(d, rest2, v)
		VMULPS(d, v, v)
		VFMADD231PS(at(ptr[2], 0), beta1, m)
		VMOVUPS(m, at(ptr[2], 0))
		VFMADD231PS(at(ptr[3], 0), beta2, v)
		VMOVUPS(v, at(ptr[3], 0))
		VMULPS(invCorrection2, v, v)
		VSQRTPS(v, v)
		VADDPS(eps, v, v)
		VDIVPS(v, m, m)
		VMULPS(at(ptr[0], 0), keep, t)
		VFNMADD231PS(m, rate, t)
		VMOVUPS(t, at(ptr[0], 0))
	})
}
