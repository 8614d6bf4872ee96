package main

// Registers of the constants of exp, loaded by expConstants from kernel's
// neonExpTable: four packed, the others broadcast.
const (
	expPacked = 20 + iota // log2E, -ln2Hi, -ln2Lo, exp6
	expMagic
	exp5
	exp4
	exp3
	exp2
	one
	expMin
	expMax
	inf
	zero
	spare // free for users of exp
)

// expConstants loads V20 to V30; it uses register R16.
func expConstants(s *source) {
	s.g("MOVD $·neonExpTable(SB), R16\nFMOVQ.P 16(R16), F%d", expPacked)
	for r := expMagic; r <= inf; r++ {
		s.g("VLD1R.P 4(R16), [V%d.S4]", r)
	}
	s.v("movi v%d.16b, #0", zero)
}

// exp computes kernel's exp32 of n vectors, x in V0.., results in V(4n)... It
// uses V0 to V(5n-1) and keeps x. 26 instructions per vector.
func exp(s *source, n int) {
	x := func(i int) int { return i }
	t := func(i int) int { return n + i }
	r := func(i int) int { return 2*n + i }
	q := func(i int) int { return 3*n + i }
	p := func(i int) int { return 4*n + i }
	each := func(f func(i int)) {
		for i := range n {
			f(i)
		}
	}
	mov := func(d, v int) { s.v("mov v%d.16b, v%d.16b", d, v) }
	fma := func(d, a, b int) { s.v("fmla v%d.4s, v%d.4s, v%d.4s", d, a, b) }
	fmaPacked := func(d, a, lane int) { s.v("fmla v%d.4s, v%d.4s, v%d.s[%d]", d, a, expPacked, lane) }
	each(func(i int) { mov(t(i), expMagic) })
	each(func(i int) { fmaPacked(t(i), x(i), 0) })
	each(func(i int) { mov(r(i), x(i)) })
	each(func(i int) { s.v("fsub v%d.4s, v%d.4s, v%d.4s", q(i), t(i), expMagic) })
	each(func(i int) { fmaPacked(r(i), q(i), 1) })
	each(func(i int) { fmaPacked(r(i), q(i), 2) })
	each(func(i int) { mov(p(i), exp5) })
	each(func(i int) { fmaPacked(p(i), r(i), 3) })
	from, to := p, q
	for _, c := range []int{exp4, exp3, exp2, one, one} {
		each(func(i int) { mov(to(i), c) })
		each(func(i int) { fma(to(i), from(i), r(i)) })
		from, to = to, from
	}
	// The polynomial ends in q.
	each(func(i int) { s.v("shl v%d.4s, v%d.4s, #23", t(i), t(i)) })
	each(func(i int) { s.v("add v%d.4s, v%d.4s, v%d.4s", p(i), q(i), t(i)) })
	each(func(i int) { s.v("fcmgt v%d.4s, v%d.4s, v%d.4s", t(i), expMin, x(i)) })
	each(func(i int) { s.v("bit v%d.16b, v%d.16b, v%d.16b", p(i), zero, t(i)) })
	each(func(i int) { s.v("fcmgt v%d.4s, v%d.4s, v%d.4s", t(i), x(i), expMax) })
	each(func(i int) { s.v("bit v%d.16b, v%d.16b, v%d.16b", p(i), inf, t(i)) })
	each(func(i int) { s.v("fcmeq v%d.4s, v%d.4s, v%d.4s", t(i), x(i), x(i)) })
	each(func(i int) { s.v("bif v%d.16b, v%d.16b, v%d.16b", p(i), x(i), t(i)) })
}

// elems writes the kernels that work element by element, on multiples of 4.
func elems(s *source) {
	expKernel(s)
	swiGLU(s)
	rope(s)
	add(s)
	scaleMul(s)
	toHalf(s)
	quantize(s, 32)
	quantize(s, 256)
}

// byFours writes body for 4 vectors and again for 1, with the loops around:
// elements left in R3, a multiple of 4 and not 0.
func byFours(s *source, body func(n int)) {
	s.g("SUBS $16, R3, R3\nBLT rest\nloop16:")
	body(4)
	s.g("SUBS $16, R3, R3\nBGE loop16\nrest:\nADDS $16, R3, R3\nBEQ done\nloop4:")
	body(1)
	s.g("SUBS $4, R3, R3\nBNE loop4\ndone:\nRET")
}

// load and store move n vectors at register ptr on from or to V(first)...
func load(s *source, n, first, ptr int) {
	if n == 1 {
		s.g("FMOVQ.P 16(R%d), F%d", ptr, first)
		return
	}
	for i := 0; i < n; i += 2 {
		s.g("FLDPQ.P 32(R%d), (F%d, F%d)", ptr, first+i, first+i+1)
	}
}

func store(s *source, n, first, ptr int) {
	if n == 1 {
		s.g("FMOVQ.P F%d, 16(R%d)", first, ptr)
		return
	}
	for i := 0; i < n; i += 2 {
		s.g("FSTPQ.P (F%d, F%d), 32(R%d)", first+i, first+i+1, ptr)
	}
}

func expKernel(s *source) {
	s.fn("neonExp", 24, "func neonExp(y, x *float32, n int)")
	s.g("MOVD y+0(FP), R0\nMOVD x+8(FP), R1\nMOVD n+16(FP), R3")
	expConstants(s)
	byFours(s, func(n int) {
		load(s, n, 0, 1)
		exp(s, n)
		store(s, n, 4*n, 0)
	})
}

func swiGLU(s *source) {
	s.fn("neonSwiGLU", 32, "func neonSwiGLU(y, gate, up *float32, n int)")
	s.g("MOVD y+0(FP), R0\nMOVD gate+8(FP), R1\nMOVD up+16(FP), R2\nMOVD n+24(FP), R3")
	expConstants(s)
	byFours(s, func(n int) {
		load(s, n, 0, 1)
		for i := range n {
			s.v("fneg v%d.4s, v%d.4s", i, i)
		}
		exp(s, n)
		load(s, n, n, 2)
		for i := range n {
			s.v("fneg v%d.4s, v%d.4s", i, i)
			s.v("fadd v%d.4s, v%d.4s, v%d.4s", 4*n+i, 4*n+i, one)
		}
		for i := range n {
			s.v("fdiv v%d.4s, v%d.4s, v%d.4s", 4*n+i, i, 4*n+i)
		}
		for i := range n {
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", 4*n+i, 4*n+i, n+i)
		}
		store(s, n, 4*n, 0)
	})
}

// rope rotates pairs, a multiple of 4: VLD2 parts them.
func rope(s *source) {
	s.fn("neonRoPE", 40, "func neonRoPE(x, cos, sin *float32, pairs int, scale *float32)")
	s.g(`MOVD x+0(FP), R0
		MOVD cos+8(FP), R1
		MOVD sin+16(FP), R2
		MOVD pairs+24(FP), R3
		MOVD scale+32(FP), R4
		VLD1R (R4), [V16.S4]
		loop:
		VLD2 (R0), [V0.S4, V1.S4]
		FMOVQ.P 16(R1), F2
		FMOVQ.P 16(R2), F3`)
	s.v("fmul v4.4s, v0.4s, v2.4s")
	s.v("fmul v5.4s, v1.4s, v3.4s")
	s.v("fmul v6.4s, v0.4s, v3.4s")
	s.v("fmul v7.4s, v1.4s, v2.4s")
	s.v("fsub v4.4s, v4.4s, v5.4s")
	s.v("fadd v5.4s, v6.4s, v7.4s")
	s.v("fmul v4.4s, v4.4s, v16.4s")
	s.v("fmul v5.4s, v5.4s, v16.4s")
	s.g(`VST2.P [V4.S4, V5.S4], 32(R0)
		SUBS $4, R3, R3
		BNE loop
		RET`)
}

func add(s *source) {
	s.fn("neonAdd", 24, "func neonAdd(y, x *float32, n int)")
	s.g("MOVD y+0(FP), R0\nMOVD x+8(FP), R1\nMOVD n+16(FP), R3\nMOVD R0, R4")
	byFours(s, func(n int) {
		load(s, n, 0, 4)
		load(s, n, n, 1)
		for i := range n {
			s.v("fadd v%d.4s, v%d.4s, v%d.4s", i, i, n+i)
		}
		store(s, n, 0, 0)
	})
}

// scaleMul is the second half of RMSNorm, y = x*scale*g.
func scaleMul(s *source) {
	s.fn("neonScaleMul", 40, "func neonScaleMul(y, x, gain *float32, n int, scale *float32)")
	s.g(`MOVD y+0(FP), R0
		MOVD x+8(FP), R1
		MOVD gain+16(FP), R2
		MOVD n+24(FP), R3
		MOVD scale+32(FP), R4
		VLD1R (R4), [V16.S4]`)
	byFours(s, func(n int) {
		load(s, n, 0, 1)
		load(s, n, n, 2)
		for i := range n {
			s.v("fmul v%d.4s, v%d.4s, v16.4s", i, i)
		}
		for i := range n {
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", i, i, n+i)
		}
		store(s, n, 0, 0)
	})
}

// toHalf rounds n floats, a multiple of 4, to binary16.
func toHalf(s *source) {
	s.fn("neonToHalf", 24, "func neonToHalf(dst *uint16, src *float32, n int)")
	s.g(`MOVD dst+0(FP), R0
		MOVD src+8(FP), R1
		MOVD n+16(FP), R3
		loop:
		FMOVQ.P 16(R1), F0`)
	s.v("fcvtn v0.4h, v0.4s")
	s.g("FMOVD.P F0, 8(R0)\nSUBS $4, R3, R3\nBNE loop\nRET")
}

// quantize writes QuantizeAct32 and QuantizeAct256 for n blocks: kernel's
// actScale and quantBlock. A product with an id of 0 is 0 or NaN, which FCVTNS
// makes 0.
func quantize(s *source, size int) {
	const (
		pq, pd, psum, px, n = 0, 1, 2, 3, 4
		again               = 5 // x of this block
		left                = 6
		ones                = 30
	)
	name := map[int]string{32: "neonQuantize32", 256: "neonQuantize256"}[size]
	s.fn(name, 40, "func "+name+"(q *int8, d *float32, sum *int32, x *float32, n int)")
	s.g(`MOVD q+0(FP), R0
		MOVD d+8(FP), R1
		MOVD sum+16(FP), R2
		MOVD x+24(FP), R3
		MOVD n+32(FP), R4
		VMOVI $1, V30.B16
		MOVD $127, R7
		SCVTFWS R7, F29
		FMOVS $1.0, F28
		FMOVS ZR, F27
		MOVD $0x00800000, R8
		MOVD $0x7f000000, R9
		block:`)
	s.v("movi v26.16b, #0")
	if size == 256 {
		s.g("MOVD R%d, R%d\nMOVD $8, R%d\nmax:", px, again, left)
	}
	load(s, 4, 0, px)
	load(s, 4, 4, px)
	for i := range 8 {
		s.v("fabs v%d.4s, v%d.4s", 8+i, i)
	}
	for n := 4; n >= 1; n /= 2 {
		for i := range n {
			s.v("umax v%d.4s, v%d.4s, v%d.4s", 8+i, 8+i, 8+n+i)
		}
	}
	s.v("umax v26.4s, v26.4s, v8.4s")
	if size == 256 {
		s.g("SUBS $1, R%d, R%d\nBNE max", left, left)
	}
	// d = amax/127 where it is normal and finite, else id = 0.
	s.v("umaxv s26, v26.4s")
	s.g(`FDIVS F29, F26, F25
		FDIVS F25, F28, F24
		FMOVS F25, R10
		SUBW R8, R10, R10
		CMPW R9, R10
		FCSELS LO, F24, F27, F24`)
	if size == 32 {
		s.g("FCVTSH F25, F25\nFCVTHS F25, F25")
	}
	s.g("FMOVS.P F25, 4(R%d)", pd)
	if size == 256 {
		s.g("MOVD $8, R%d\nround:", left)
		load(s, 4, 0, again)
		load(s, 4, 4, again)
	}
	for i := range 8 {
		s.v("fmul v%d.4s, v%d.4s, v24.s[0]", i, i)
	}
	for i := range 8 {
		s.v("fcvtns v%d.4s, v%d.4s", i, i)
	}
	for i := range 4 {
		s.v("uzp1 v%d.8h, v%d.8h, v%d.8h", i, 2*i, 2*i+1)
	}
	for i := range 2 {
		s.v("uzp1 v%d.16b, v%d.16b, v%d.16b", i, 2*i, 2*i+1)
	}
	s.g("FSTPQ.P (F0, F1), 32(R%d)", pq)
	s.v("movi v2.16b, #0")
	s.v("movi v3.16b, #0")
	s.v("sdot v2.4s, v0.16b, v%d.16b", ones)
	s.v("sdot v3.4s, v1.16b, v%d.16b", ones)
	if size == 32 {
		s.v("add v2.4s, v2.4s, v3.4s")
		s.v("addv s2, v2.4s")
		s.g("FMOVS.P F2, 4(R%d)", psum)
	} else {
		s.v("addp v2.4s, v2.4s, v3.4s")
		s.v("addp v2.4s, v2.4s, v2.4s")
		s.g("FMOVD.P F2, 8(R%d)\nSUBS $1, R%d, R%d\nBNE round", psum, left, left)
	}
	s.g("SUBS $1, R%d, R%d\nBNE block\nRET", n, n)
}
