package main

import "fmt"

// training writes the kernels of package kernel's Train. Their names and
// arguments are those of amd64.
func training(s *source) {
	s.elementwise("trainScale", "y, x *float32, n int, scale float32", []string{"y", "x", "n", "scale:f"}, func(n int) {
		load(s, n, 0, 1)
		all(s, n, "fmul v%[1]d.4s, v%[1]d.4s, v31.4s")
		store(s, n, 0, 0)
	})
	s.elementwise("trainAxpy", "y, x *float32, n int, a float32", []string{"y:r", "x", "n", "a:f"}, func(n int) {
		load(s, n, 0, 8)
		load(s, n, 4, 1)
		all(s, n, "fmla v%[1]d.4s, v%[2]d.4s, v31.4s")
		store(s, n, 0, 0)
	})
	s.elementwise("trainLerp", "y, x *float32, n int, t float32", []string{"y:r", "x", "n", "t:f"}, func(n int) {
		load(s, n, 0, 8)
		load(s, n, 4, 1)
		all(s, n, "fsub v%[2]d.4s, v%[2]d.4s, v%[1]d.4s")
		all(s, n, "fmla v%[1]d.4s, v%[2]d.4s, v31.4s")
		store(s, n, 0, 0)
	})
	s.elementwise("trainSoftmaxBack", "dp, p *float32, n int, d float32", []string{"dp:r", "p", "n", "d:f"}, func(n int) {
		load(s, n, 0, 8)
		load(s, n, 4, 1)
		all(s, n, "fsub v%[1]d.4s, v%[1]d.4s, v31.4s")
		all(s, n, "fmul v%[1]d.4s, v%[2]d.4s, v%[1]d.4s")
		store(s, n, 0, 0)
	})
	s.elementwise("trainGainGrad", "dgain, dy, x *float32, n int, r float32", []string{"dgain:r", "dy", "x", "n", "r:f"}, func(n int) {
		load(s, n, 0, 8)
		load(s, n, 4, 1)
		load(s, n, 8, 2)
		all(s, n, "fmul v%[3]d.4s, v%[3]d.4s, v31.4s")
		all(s, n, "fmla v%[1]d.4s, v%[2]d.4s, v%[3]d.4s")
		store(s, n, 0, 0)
	})
	trainExps(s)
	trainSums(s)
	trainRMSGrad(s)
	trainRoPEBack(s)
	trainAdamW(s)
}

// all emits an instruction for n vectors; its verbs name V(i), V(4+i), V(8+i)
// and V(12+i).
func all(s *source, n int, format string) {
	for i := range n {
		s.v(format+"%[5]s", i, 4+i, 8+i, 12+i, "")
	}
}

// args loads a function's arguments in their order: up to three pointers to R0
// on, n to R3, floats, marked :f, broadcast to V31 down. A pointer marked :r is
// in R8 as well, to be read through.
func (s *source) args(names []string) {
	off, ptr, vec := 0, 0, 31
	for _, n := range names {
		switch {
		case n == "n":
			s.g("MOVD n+%d(FP), R3", off)
			off += 8
		case isFloat(n):
			s.g("FMOVS %s+%d(FP), F%d", n[:len(n)-2], off, vec)
			s.v("dup v%d.4s, v%d.s[0]", vec, vec)
			off += 4
			vec--
		default:
			name := n
			if reads(n) {
				name = n[:len(n)-2]
			}
			s.g("MOVD %s+%d(FP), R%d", name, off, ptr)
			if reads(n) {
				s.g("MOVD R%d, R8", ptr)
			}
			off += 8
			ptr++
		}
	}
}

func isFloat(n string) bool { return len(n) > 2 && n[len(n)-2:] == ":f" }
func reads(n string) bool   { return len(n) > 2 && n[len(n)-2:] == ":r" }

// argBytes is the size of arguments, rounded to words.
func argBytes(names []string) int {
	b := 0
	for _, n := range names {
		if isFloat(n) {
			b += 4
		} else {
			b += 8
		}
	}
	return b
}

// elementwise writes a function that does body for four vectors and for one at a time.
func (s *source) elementwise(name, params string, names []string, body func(n int)) {
	s.fn(name, argBytes(names), fmt.Sprintf("func %s(%s)", name, params))
	s.args(names)
	byFours(s, body)
}

// floor makes d = max(d, momentFloor) of n vectors, NaN staying NaN: V(t) holds
// the bound, V(t+1) is scratch.
func floor(s *source, n, t int) {
	for i := range n {
		s.v("fcmgt v%d.4s, v%d.4s, v%d.4s", t+1, t, i)
		s.v("bit v%d.16b, v%d.16b, v%d.16b", i, t, t+1)
	}
}

// loadFloor broadcasts kernel's momentFloor to a register.
func loadFloor(s *source, v int) {
	s.g("MOVD $0xc3000000, R9\nFMOVS R9, F%d", v) // -128
	s.v("dup v%d.4s, v%d.s[0]", v, v)
}

func trainExps(s *source) {
	names := []string{"y", "x", "n", "c:f"}
	s.fn("trainExpSub", argBytes(names), "func trainExpSub(y, x *float32, n int, c float32)")
	s.args(names)
	expConstants(s)
	byFours(s, func(n int) {
		load(s, n, 0, 1)
		all(s, n, "fsub v%[1]d.4s, v%[1]d.4s, v31.4s")
		exp(s, n)
		store(s, n, 4*n, 0)
	})

	// The three parameters share V31: exp leaves one register.
	s.fn("trainProbGrad", 28, "func trainProbGrad(x *float32, n int, lse, a, b float32)")
	s.g(`MOVD x+0(FP), R0
		MOVD n+8(FP), R3
		FMOVS lse+16(FP), F31
		FMOVS a+20(FP), F0
		FMOVS b+24(FP), F1`)
	s.v("mov v31.s[1], v0.s[0]")
	s.v("mov v31.s[2], v1.s[0]")
	s.g("MOVD R0, R8")
	expConstants(s)
	byFours(s, func(n int) {
		load(s, n, 0, 8)
		s.v("dup v4.4s, v31.s[0]")
		all(s, n, "fsub v%[1]d.4s, v%[1]d.4s, v4.4s")
		loadFloor(s, 4)
		floor(s, n, 4)
		exp(s, n)
		// x lies in V0.., its exponentials in V(4n)..; V(n).. is free.
		for i := range n {
			s.v("dup v%d.4s, v31.s[1]", n+i)
			s.v("fmla v%d.4s, v%d.4s, v31.s[2]", n+i, i)
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", 4*n+i, 4*n+i, n+i)
		}
		store(s, n, 4*n, 0)
	})

	s.fn("trainSwiGLUBack", 48, "func trainSwiGLUBack(dgate, dup, dy, gate, up *float32, n int)")
	s.g(`MOVD dgate+0(FP), R0
		MOVD dup+8(FP), R1
		MOVD dy+16(FP), R2
		MOVD gate+24(FP), R4
		MOVD up+32(FP), R5
		MOVD n+40(FP), R3`)
	expConstants(s)
	byFours(s, func(n int) {
		load(s, n, 0, 4)
		for i := range n {
			s.v("fneg v%d.4s, v%d.4s", i, i)
		}
		exp(s, n)
		at := func(k, i int) int { return k*n + i }
		load(s, n, n, 2)   // dy
		load(s, n, 2*n, 5) // up
		for i := range n {
			s.v("fneg v%d.4s, v%d.4s", i, i)
			s.v("fadd v%d.4s, v%d.4s, v%d.4s", at(4, i), at(4, i), one)
		}
		for i := range n {
			s.v("fdiv v%d.4s, v%d.4s, v%d.4s", at(4, i), one, at(4, i)) // s
		}
		for i := range n {
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", at(0, i), at(0, i), at(4, i)) // g*s
			s.v("fsub v%d.4s, v%d.4s, v%d.4s", at(3, i), one, at(4, i))
			s.v("fmla v%d.4s, v%d.4s, v%d.4s", at(4, i), at(0, i), at(3, i)) // slope
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", at(2, i), at(1, i), at(2, i))
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", at(2, i), at(2, i), at(4, i))
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", at(1, i), at(1, i), at(0, i))
		}
		store(s, n, 2*n, 0)
		store(s, n, n, 1)
	})

	for _, moments := range []bool{false, true} {
		trainExpSum(s, moments)
	}
}

// trainExpSum writes the exponentials of 16 elements a turn. Their sums stay in
// memory: exp leaves no registers.
func trainExpSum(s *source, moments bool) {
	name := "trainExpSum"
	if moments {
		name = "trainExpMoments"
	}
	names := []string{"lanes", "x:r", "n", "m:f"}
	s.fn(name, argBytes(names), fmt.Sprintf("func %s(lanes, x *float32, n int, m float32)", name))
	s.args(names)
	expConstants(s)
	s.g("loop:")
	load(s, 4, 0, 8)
	all(s, 4, "fsub v%[1]d.4s, v%[1]d.4s, v31.4s")
	if moments {
		loadFloor(s, 4)
		floor(s, 4, 4)
	}
	exp(s, 4)
	if !moments {
		store(s, 4, 16, 1)
	}
	s.g("FLDPQ (R0), (F4, F5)\nFLDPQ 32(R0), (F6, F7)")
	for i := range 4 {
		s.v("fadd v%d.4s, v%d.4s, v%d.4s", 4+i, 4+i, 16+i)
	}
	s.g("FSTPQ (F4, F5), (R0)\nFSTPQ (F6, F7), 32(R0)")
	if moments {
		s.g("FLDPQ 64(R0), (F8, F9)\nFLDPQ 96(R0), (F10, F11)")
		for i := range 4 {
			s.v("fmla v%d.4s, v%d.4s, v%d.4s", 8+i, i, 16+i)
		}
		s.g("FSTPQ (F8, F9), 64(R0)\nFSTPQ (F10, F11), 96(R0)")
	}
	s.g("SUBS $16, R3, R3\nBNE loop\nRET")
}

// trainSums writes the sums of a row in 16 lanes, and its maximum.
func trainSums(s *source) {
	s.fn("trainDot", 32, "func trainDot(lanes, x, y *float32, n int)")
	s.g("MOVD lanes+0(FP), R0\nMOVD x+8(FP), R1\nMOVD y+16(FP), R2\nMOVD n+24(FP), R3")
	s.g("FLDPQ (R0), (F16, F17)\nFLDPQ 32(R0), (F18, F19)\nloop:")
	load(s, 4, 0, 1)
	load(s, 4, 4, 2)
	for i := range 4 {
		s.v("fmla v%d.4s, v%d.4s, v%d.4s", 16+i, i, 4+i)
	}
	s.g("SUBS $16, R3, R3\nBNE loop\nFSTPQ (F16, F17), (R0)\nFSTPQ (F18, F19), 32(R0)\nRET")

	s.fn("trainRMSSums", 40, "func trainRMSSums(lanes, dy, x, gain *float32, n int)")
	s.g("MOVD lanes+0(FP), R0\nMOVD dy+8(FP), R1\nMOVD x+16(FP), R2\nMOVD gain+24(FP), R4\nMOVD n+32(FP), R3")
	for i := range 4 {
		s.g("FLDPQ %d(R0), (F%d, F%d)", 32*i, 16+2*i, 17+2*i)
	}
	s.g("loop:")
	load(s, 4, 0, 1)
	load(s, 4, 4, 2)
	load(s, 4, 8, 4)
	all(s, 4, "fmul v%[3]d.4s, v%[1]d.4s, v%[3]d.4s")
	for i := range 4 {
		s.v("fmla v%d.4s, v%d.4s, v%d.4s", 16+i, 4+i, 4+i)
		s.v("fmla v%d.4s, v%d.4s, v%d.4s", 20+i, 8+i, 4+i)
	}
	s.g("SUBS $16, R3, R3\nBNE loop")
	for i := range 4 {
		s.g("FSTPQ (F%d, F%d), %d(R0)", 16+2*i, 17+2*i, 32*i)
	}
	s.g("RET")

	s.fn("trainSquares64", 24, "func trainSquares64(lanes *float64, x *float32, n int)")
	s.g("MOVD lanes+0(FP), R0\nMOVD x+8(FP), R1\nMOVD n+16(FP), R3")
	for i := range 4 {
		s.g("FLDPQ %d(R0), (F%d, F%d)", 32*i, 16+2*i, 17+2*i)
	}
	s.g("loop:")
	load(s, 4, 0, 1)
	for i := range 4 {
		s.v("fcvtl v%d.2d, v%d.2s", 4+2*i, i)
		s.v("fcvtl2 v%d.2d, v%d.4s", 5+2*i, i)
	}
	for i := range 8 {
		s.v("fmla v%d.2d, v%d.2d, v%d.2d", 16+i, 4+i, 4+i)
	}
	s.g("SUBS $16, R3, R3\nBNE loop")
	for i := range 4 {
		s.g("FSTPQ (F%d, F%d), %d(R0)", 16+2*i, 17+2*i, 32*i)
	}
	s.g("RET")

	// NaN is larger than nothing.
	s.fn("trainRowMax", 20, "func trainRowMax(x *float32, n int) float32")
	s.g("MOVD x+0(FP), R0\nMOVD n+8(FP), R3\nMOVD $0xff800000, R9\nFMOVS R9, F4")
	s.v("dup v4.4s, v4.s[0]")
	larger := func(d, x int) {
		s.v("fcmgt v6.4s, v%d.4s, v%d.4s", x, d)
		s.v("bit v%d.16b, v%d.16b, v6.16b", d, x)
	}
	s.v("mov v5.16b, v4.16b")
	s.g("loop:")
	load(s, 2, 0, 0)
	larger(4, 0)
	larger(5, 1)
	s.g("SUBS $8, R3, R3\nBNE loop")
	larger(4, 5)
	s.v("fmaxv s4, v4.4s")
	s.g("FMOVS F4, ret+16(FP)\nRET")
}

func trainRMSGrad(s *source) {
	s.fn("trainRMSGrad", 48, "func trainRMSGrad(dx, dy, x, gain *float32, n int, r, c float32)")
	s.g(`MOVD dx+0(FP), R0
		MOVD dy+8(FP), R1
		MOVD x+16(FP), R2
		MOVD gain+24(FP), R4
		MOVD n+32(FP), R3
		FMOVS r+40(FP), F31
		FMOVS c+44(FP), F30
		MOVD R0, R8`)
	s.v("dup v31.4s, v31.s[0]")
	s.v("dup v30.4s, v30.s[0]")
	byFours(s, func(n int) {
		load(s, n, 0, 8)
		load(s, n, 4, 1)
		load(s, n, 8, 2)
		load(s, n, 12, 4)
		all(s, n, "fmul v%[4]d.4s, v%[2]d.4s, v%[4]d.4s")
		all(s, n, "fmls v%[4]d.4s, v%[3]d.4s, v30.4s")
		all(s, n, "fmla v%[1]d.4s, v%[4]d.4s, v31.4s")
		store(s, n, 0, 0)
	})
}

func trainRoPEBack(s *source) {
	s.fn("trainRoPEBack", 36, "func trainRoPEBack(x, cos, sin *float32, pairs int, scale float32)")
	s.g(`MOVD x+0(FP), R0
		MOVD cos+8(FP), R1
		MOVD sin+16(FP), R2
		MOVD pairs+24(FP), R3
		FMOVS scale+32(FP), F16
		loop:
		VLD2 (R0), [V0.S4, V1.S4]
		FMOVQ.P 16(R1), F2
		FMOVQ.P 16(R2), F3`)
	s.v("fmul v4.4s, v0.4s, v2.4s")
	s.v("fmul v5.4s, v1.4s, v3.4s")
	s.v("fmul v6.4s, v1.4s, v2.4s")
	s.v("fmul v7.4s, v0.4s, v3.4s")
	s.v("fadd v4.4s, v4.4s, v5.4s")
	s.v("fsub v5.4s, v6.4s, v7.4s")
	s.v("fmul v4.4s, v4.4s, v16.s[0]")
	s.v("fmul v5.4s, v5.4s, v16.s[0]")
	s.g("VST2.P [V4.S4, V5.S4], 32(R0)\nSUBS $4, R3, R3\nBNE loop\nRET")
}

// trainAdamW keeps the fields of kernel's AdamW in V16 on, in their order.
func trainAdamW(s *source) {
	const (
		gradScale = 16 + iota
		beta1
		rest1
		beta2
		rest2
		invCorrection2
		eps
		rate
		keep
		zero
	)
	s.fn("trainAdamW", 48, "func trainAdamW(p, grad, m, v *float32, n int, s unsafe.Pointer)")
	s.g(`MOVD p+0(FP), R0
		MOVD grad+8(FP), R1
		MOVD m+16(FP), R2
		MOVD v+24(FP), R4
		MOVD n+32(FP), R3
		MOVD s+40(FP), R5`)
	for r := gradScale; r <= keep; r++ {
		s.g("VLD1R.P 4(R5), [V%d.S4]", r)
	}
	s.v("movi v%d.16b, #0", zero)
	s.g("loop:")
	s.g("FMOVQ (R0), F0\nFMOVQ (R1), F1\nFMOVQ (R2), F2\nFMOVQ (R4), F3\nFMOVQ.P F%d, 16(R1)", zero)
	s.v("fmul v1.4s, v1.4s, v%d.4s", gradScale)
	s.v("fmul v4.4s, v1.4s, v%d.4s", rest1)
	s.v("fmul v5.4s, v1.4s, v%d.4s", rest2)
	s.v("fmul v5.4s, v5.4s, v1.4s")
	s.v("fmla v4.4s, v2.4s, v%d.4s", beta1)
	s.v("fmla v5.4s, v3.4s, v%d.4s", beta2)
	s.g("FMOVQ.P F4, 16(R2)\nFMOVQ.P F5, 16(R4)")
	s.v("fmul v5.4s, v5.4s, v%d.4s", invCorrection2)
	s.v("fsqrt v5.4s, v5.4s")
	s.v("fadd v5.4s, v5.4s, v%d.4s", eps)
	s.v("fdiv v4.4s, v4.4s, v5.4s")
	s.v("fmul v0.4s, v0.4s, v%d.4s", keep)
	s.v("fmls v0.4s, v4.4s, v%d.4s", rate)
	s.g("FMOVQ.P F0, 16(R0)\nSUBS $4, R3, R3\nBNE loop\nRET")
}
