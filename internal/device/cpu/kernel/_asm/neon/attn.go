package main

import "fmt"

// kvSize is the number of bytes of an element of a cache page.
var kvSize = map[string]int{"F32": 4, "F16": 2, "Q8": 1}

const pageTokens = 64

// attention writes the three steps of AttnTile: scores, softmax, values.
func attention(s *source) {
	for _, kind := range []string{"F32", "F16", "Q8"} {
		scores(s, kind, 1)
		scores(s, kind, 4)
		values(s, kind, 1)
		values(s, kind, 4)
	}
	softmax(s)
	scaleBy(s)
}

// load16 loads 16 elements at off(R(ptr)) as four vectors V(to).. of f32. The
// scales of Q8 are four vectors V(scale)...
func load16(s *source, kind string, ptr, off, to int, scale func(i int) int) {
	switch kind {
	case "F32":
		s.g("FLDPQ %d(R%d), (F%d, F%d)", off, ptr, to, to+1)
		s.g("FLDPQ %d(R%d), (F%d, F%d)", off+32, ptr, to+2, to+3)
	case "F16":
		s.g("FLDPQ %d(R%d), (F%d, F%d)", off, ptr, to+1, to+3)
		widenPair(s, "F16", to, to+1, to+1)
		widenPair(s, "F16", to+2, to+3, to+3)
	case "Q8":
		s.g("FMOVQ %d(R%d), F%d", off, ptr, to+3)
		s.v("sshll v%d.8h, v%d.8b, #0", to+1, to+3)
		s.v("sshll2 v%d.8h, v%d.16b, #0", to+3, to+3)
		for i := 0; i < 4; i += 2 {
			s.v("sshll v%d.4s, v%d.4h, #0", to+i, to+i+1)
			s.v("sshll2 v%d.4s, v%d.8h, #0", to+i+1, to+i+1)
		}
		for i := range 4 {
			s.v("scvtf v%d.4s, v%d.4s", to+i, to+i)
		}
		for i := range 4 {
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", to+i, to+i, scale(i))
		}
	}
}

// scores computes the products of nq queries with the 64 keys of a page, a
// pass per 16 to 64 keys: 16 accumulators, 8 where a pass keeps 8 vectors of
// scales. Per element of a key and query, the multiplier is a lane of four
// elements of the query.
func scores(s *source, kind string, nq int) {
	vecs := 16 / nq // vectors of keys per pass
	if kind == "Q8" && nq == 1 {
		vecs = 8
	}
	acc := func(i, v int) int { return i*vecs + v }
	scale := func(v int) int {
		if nq == 1 {
			return 8 + v
		}
		return 28 + v
	}
	const q, data = 16, 20
	size := kvSize[kind]
	row := pageTokens * size
	// element is one d of all keys of the pass, at off from R2.
	element := func(off, lane int) {
		for v := 0; v < vecs; v += 4 {
			to := data + v%8
			load16(s, kind, 2, off+v*4*size, to, func(i int) int { return scale(v + i) })
			for i := range 4 {
				for n := range nq {
					s.v("fmla v%d.4s, v%d.4s, v%d.s[%d]", acc(n, v+i), to+i, q+n, lane)
				}
			}
		}
	}
	name := fmt.Sprintf("neonScores%sx%d", kind, nq)
	s.fn(name, 32, fmt.Sprintf("func %s(s, q *float32, k *byte, h int)", name))
	s.g(`MOVD s+0(FP), R0
		MOVD q+8(FP), R1
		MOVD k+16(FP), R3
		MOVD h+24(FP), R4
		MOVD $%d, R6`, pageTokens/(4*vecs))
	if kind == "Q8" {
		s.g("ADD R4<<6, R3, R7") // scales
	}
	s.g("pass:\nMOVD R3, R2\nMOVD R4, R5\nMOVD R1, R8")
	if nq == 4 {
		s.g("ADD R4<<2, R8, R9\nADD R4<<2, R9, R10\nADD R4<<2, R10, R11")
	}
	for i := range vecs * nq {
		s.v("movi v%d.16b, #0", i)
	}
	if kind == "Q8" {
		s.g("MOVD R7, R12\nblock:")
		for v := 0; v < vecs; v += 4 {
			s.g("FLDPQ %d(R12), (F%d, F%d)", v*8, scale(v+1), scale(v+3))
			widenPair(s, "F16", scale(v), scale(v+1), scale(v+1))
			widenPair(s, "F16", scale(v+2), scale(v+3), scale(v+3))
		}
		s.g("ADD $%d, R12, R12\nMOVD $8, R13\nfours:", 2*pageTokens)
	} else {
		s.g("SUBS $4, R5, R5\nBLT rest\nfours:")
	}
	for n := range nq {
		s.g("FMOVQ.P 16(R%d), F%d", 8+n, q+n)
	}
	for lane := range 4 {
		element(lane*row, lane)
	}
	s.g("ADD $%d, R2, R2", 4*row)
	if kind == "Q8" {
		s.g("SUBS $1, R13, R13\nBNE fours\nSUBS $32, R5, R5\nBNE block")
	} else {
		s.g("SUBS $4, R5, R5\nBGE fours\nrest:\nADDS $4, R5, R5\nBEQ done\nones:")
		for n := range nq {
			s.g("FMOVS.P 4(R%d), F%d", 8+n, q+n)
		}
		element(0, 0)
		s.g("ADD $%d, R2, R2\nSUBS $1, R5, R5\nBNE ones\ndone:", row)
	}
	for n := range nq {
		for v := 0; v < vecs; v += 2 {
			s.g("FSTPQ (F%d, F%d), %d(R0)", acc(n, v), acc(n, v+1), n*pageTokens*4+v*16)
		}
	}
	s.g("ADD $%d, R0, R0\nADD $%d, R3, R3", vecs*16, vecs*4*size)
	if kind == "Q8" {
		s.g("ADD $%d, R7, R7", vecs*4*2)
	}
	s.g("SUBS $1, R6, R6\nBNE pass\nRET")
}

// values adds n positions, weighed by p, to the sums of nq queries, in pieces
// of up to 64 elements of the values (16 for 4 queries): 16 accumulators, 8 for
// Q8 and one query. The weights of a query are 64 floats behind those of the one
// before, its sums h. Where h is no multiple of 4 the last elements are left out.
func values(s *source, kind string, nq int) {
	widths := []int{64, 16, 4}
	switch {
	case kind == "Q8" && nq == 1:
		widths = []int{32}
	case kind == "Q8":
		widths = []int{16}
	case nq == 4:
		widths = []int{16, 4}
	}
	size := kvSize[kind]
	name := fmt.Sprintf("neonValues%sx%d", kind, nq)
	argBytes, sig := 40, "(acc, p *float32, v *byte, n, h int)"
	if kind == "Q8" {
		argBytes, sig = 48, "(acc, p *float32, v *byte, n, h int, scales *byte)"
	}
	s.fn(name, argBytes, "func "+name+sig)
	s.g(`MOVD acc+0(FP), R0
		MOVD p+8(FP), R1
		MOVD v+16(FP), R2
		MOVD n+24(FP), R4
		MOVD h+32(FP), R5
		MOVD R5, R3
		LSL $2, R5, R6`)
	if kind == "Q8" {
		s.g("MOVD scales+40(FP), R7\nLSR $4, R5, R13\nMOVD ZR, R19")
	} else {
		s.g("LSL $%d, R5", size/2)
	}
	for i, w := range widths {
		piece := fmt.Sprintf("w%d", w)
		next := "done"
		if i+1 < len(widths) {
			next = fmt.Sprintf("w%d", widths[i+1])
		}
		s.g("%s:\nCMP $%d, R3\nBLT %s", piece, w, next)
		valuesPiece(s, kind, nq, w)
		s.g("ADD $%d, R0, R0\nADD $%d, R2, R2\nSUB $%d, R3, R3", w*4, w*size, w)
		if kind == "Q8" { // the next block of 32 has the next scale
			s.g("ADD $%d, R19, R19\nAND $32, R19, R14\nAND $31, R19, R19\nADD R14>>4, R7, R7", w)
		}
		s.g("B %s", piece)
	}
	s.g("done:\nRET")
}

// valuesPiece is one piece of width elements: R0 sums, R1 weights, R2 values,
// R4 positions, R5 bytes per value, R7 and R13 the scales and bytes per
// position of them.
func valuesPiece(s *source, kind string, nq, width int) {
	const p, data, scale = 16, 20, 28
	vecs := width / 4
	acc := func(i, v int) int { return i*vecs + v }
	label := func(l string) string { return fmt.Sprintf("%s%d", l, width) }
	position := func(lane int) {
		if kind == "Q8" {
			s.g("VLD1R (R15), [V%d.H4]\nADD R13, R15, R15", scale)
			s.v("fcvtl v%d.4s, v%d.4h", scale, scale)
		}
		for v := 0; v < vecs; v += 4 {
			to := data + v%8
			if width == 4 {
				if kind == "F16" {
					s.g("FMOVD (R12), F%d", to)
					s.v("fcvtl v%d.4s, v%d.4h", to, to)
				} else {
					s.g("FMOVQ (R12), F%d", to)
				}
			} else {
				load16(s, kind, 12, v*4*kvSize[kind], to, func(int) int { return scale })
			}
			for i := range min(4, vecs) {
				for n := range nq {
					s.v("fmla v%d.4s, v%d.4s, v%d.s[%d]", acc(n, v+i), to+i, p+n, lane)
				}
			}
		}
		s.g("ADD R5, R12, R12")
	}
	sums := func(op string) {
		for n := range nq {
			for v := 0; v < vecs; v += 2 {
				switch {
				case vecs == 1 && op == "load":
					s.g("FMOVQ (R%d), F%d", 8+n, acc(n, v))
				case vecs == 1:
					s.g("FMOVQ F%d, (R%d)", acc(n, v), 8+n)
				case op == "load":
					s.g("FLDPQ %d(R%d), (F%d, F%d)", v*16, 8+n, acc(n, v), acc(n, v+1))
				default:
					s.g("FSTPQ (F%d, F%d), %d(R%d)", acc(n, v), acc(n, v+1), v*16, 8+n)
				}
			}
		}
	}
	s.g("MOVD R0, R8")
	for n := 1; n < nq; n++ {
		s.g("ADD R6, R%d, R%d", 7+n, 8+n)
	}
	sums("load")
	s.g("MOVD R1, R16\nMOVD R2, R12\nMOVD R4, R17")
	if kind == "Q8" {
		s.g("MOVD R7, R15")
	}
	s.g("SUBS $4, R17, R17\nBLT %s\n%s:", label("rest"), label("fours"))
	for n := range nq {
		s.g("FMOVQ %d(R16), F%d", n*pageTokens*4, p+n)
	}
	for lane := range 4 {
		position(lane)
	}
	s.g("ADD $16, R16, R16\nSUBS $4, R17, R17\nBGE %s\n%s:\nADDS $4, R17, R17\nBEQ %s\n%s:", label("fours"), label("rest"), label("stored"), label("ones"))
	for n := range nq {
		s.g("FMOVS %d(R16), F%d", n*pageTokens*4, p+n)
	}
	position(0)
	s.g("ADD $4, R16, R16\nSUBS $1, R17, R17\nBNE %s\n%s:", label("ones"), label("stored"))
	sums("store")
}

// softmax is kernel's softmaxTile on the scores in p, which become weights. The
// masks are kernel's neonMasks: 64 words of ones, 64 of zeros, 64 of ones.
func softmax(s *source) {
	const m, mask = 31, 12
	s.fn("neonSoftmax", 48, "func neonSoftmax(p *float32, lo, hi int, m, l, a *float32)")
	s.g(`MOVD p+0(FP), R0
		MOVD lo+8(FP), R1
		MOVD hi+16(FP), R2
		MOVD m+24(FP), R3
		MOVD l+32(FP), R4
		MOVD a+40(FP), R5
		MOVD $·neonMasks(SB), R6
		ADD $512, R6, R7
		SUB R1<<2, R7, R7
		ADD $256, R6, R6
		SUB R2<<2, R6, R6
		VLD1R (R3), [V%d.S4]`, m)
	expConstants(s)
	s.v("fneg v11.4s, v%d.4s", inf)
	// masks loads the masks of 16 positions: R7 below lo, R6 from hi on.
	masks := func() {
		for i := 0; i < 4; i += 2 {
			s.g("FLDPQ.P 32(R7), (F%d, F%d)", mask+i, mask+i+1)
			s.g("FLDPQ.P 32(R6), (F4, F5)")
			s.v("and v%d.16b, v%d.16b, v4.16b", mask+i, mask+i)
			s.v("and v%d.16b, v%d.16b, v5.16b", mask+i+1, mask+i+1)
		}
	}
	s.g("MOVD R0, R8\nMOVD $4, R9\nmax:")
	masks()
	load(s, 4, 0, 8)
	for i := range 4 {
		s.v("bif v%d.16b, v11.16b, v%d.16b", i, mask+i)
	}
	s.v("fmax v0.4s, v0.4s, v1.4s")
	s.v("fmax v2.4s, v2.4s, v3.4s")
	s.v("fmax v0.4s, v0.4s, v2.4s")
	s.v("fmax v%d.4s, v%d.4s, v0.4s", m, m)
	s.g("SUBS $1, R9, R9\nBNE max")
	s.v("fmaxv s0, v%d.4s", m)
	s.v("dup v%d.4s, v0.s[0]", m)
	s.g("SUB $256, R6, R6\nSUB $256, R7, R7\nMOVD R0, R8\nMOVD $4, R9\nweigh:")
	s.g("FLDPQ (R8), (F0, F1)\nFLDPQ 32(R8), (F2, F3)")
	for i := range 4 {
		s.v("fsub v%d.4s, v%d.4s, v%d.4s", i, i, m)
	}
	exp(s, 4)
	masks()
	for i := range 4 {
		s.v("and v%d.16b, v%d.16b, v%d.16b", 16+i, 16+i, mask+i)
	}
	store(s, 4, 16, 8)
	s.g("SUBS $1, R9, R9\nBNE weigh")
	s.c("Old sums count for a = exp(m - m').")
	s.g("VLD1R (R3), [V0.S4]\nFMOVS F%d, (R3)", m)
	s.v("fsub v0.4s, v0.4s, v%d.4s", m)
	exp(s, 1)
	s.g("FMOVS F4, (R5)")
	for i := 0; i < 16; i += 2 {
		s.g("FLDPQ %d(R0), (F%d, F%d)", 16*i, 8+i, 9+i)
	}
	for _, add := range [][3]int{{8, 8, 12}, {16, 16, 20}, {8, 8, 16}} {
		for i := range 4 {
			s.v("fadd v%d.4s, v%d.4s, v%d.4s", add[0]+i, add[1]+i, add[2]+i)
		}
	}
	reduceTo4(s, 8)
	s.v("ext v9.16b, v8.16b, v8.16b, #8")
	s.v("fadd v8.4s, v8.4s, v9.4s")
	s.v("faddp v8.4s, v8.4s, v8.4s")
	s.g(`FMOVS (R4), F1
		FMADDS F4, F8, F1, F1
		FMOVS F1, (R4)
		RET`)
}

// scaleBy multiplies n floats, a multiple of 4, by a.
func scaleBy(s *source) {
	s.fn("neonScaleBy", 24, "func neonScaleBy(y *float32, n int, a *float32)")
	s.g("MOVD y+0(FP), R0\nMOVD n+8(FP), R3\nMOVD a+16(FP), R1\nVLD1R (R1), [V16.S4]\nMOVD R0, R1")
	byFours(s, func(n int) {
		load(s, n, 0, 1)
		for i := range n {
			s.v("fmul v%d.4s, v%d.4s, v16.4s", i, i)
		}
		store(s, n, 0, 0)
	})
}
