package main

// vecs writes the kernels of one activation row straight from panels of 8 rows.
// Per block they add to two vectors of four outputs (V0 and V1) in the order
// that package kernel gives. The elements of 4 rows x 4 are one register; SDOT
// by element multiplies it with 4 activations. Where a type's quants are
// unsigned with an offset, sums of products begin at the offset times the sum
// of the activations instead of at 0, which is the same integer.
func vecs(s *source) {
	vecQ4_0(s)
	vecQ8_0(s)
	vecQ4K(s)
	vecQ6K(s)
}

// vecBegin loads the arguments: R0 y, R1 panels, R2 panels left, R3 blocks, and
// per panel R4 blocks left, R5 activations, R6 their scales, R7 their sums. The
// caller closes with vecEnd.
func vecBegin(s *source, name string, prepare func()) {
	s.fn(name, 56, "func "+name+"(y *float32, panels *byte, npanels, nblocks int, q *int8, d *float32, sum *int32)")
	s.g(`MOVD y+0(FP), R0
		MOVD panels+8(FP), R1
		MOVD npanels+16(FP), R2
		MOVD nblocks+24(FP), R3`)
	prepare()
	s.g(`panel:
		MOVD R3, R4
		MOVD q+32(FP), R5
		MOVD d+40(FP), R6
		MOVD sum+48(FP), R7`)
	s.v("movi v0.16b, #0")
	s.v("movi v1.16b, #0")
	s.g("block:")
}

func vecEnd(s *source) {
	s.g(`SUBS $1, R4, R4
		BNE block
		FSTPQ.P (F0, F1), 32(R0)
		SUBS $1, R2, R2
		BNE panel
		RET`)
}

// broadcast fills V(reg) with 16 bytes, or 4 words where size is "4s".
func broadcast(s *source, reg int, size string, value int) {
	s.g("MOVD $%d, R8", value)
	s.v("dup v%d.%s, w8", reg, size)
}

// addScaled does y = fma(float32(isum), d*dx, y) for two vectors: y in V0 and
// V1, integers in V(isum) and the next, f16 scales of 8 rows in V(d), dx in lane
// 0 of V(dx). It uses V(d) and the next register.
func addScaled(s *source, op string, isum, d, dx int) {
	s.v("fcvtl2 v%d.4s, v%d.8h", d+1, d)
	s.v("fcvtl v%d.4s, v%d.4h", d, d)
	for i := range 2 {
		s.v("scvtf v%d.4s, v%d.4s", isum+i, isum+i)
	}
	for i := range 2 {
		s.v("fmul v%d.4s, v%d.4s, v%d.s[0]", d+i, d+i, dx)
	}
	for i := range 2 {
		s.v("%s v%d.4s, v%d.4s, v%d.4s", op, i, isum+i, d+i)
	}
}

// vecQ4_0: 47 vector instructions and 8 loads per block of 144 bytes.
func vecQ4_0(s *source) {
	const acc, x, sum, dx, d, w, lo, hi, mask, minus4 = 2, 6, 8, 9, 10, 16, 20, 24, 30, 31
	vecBegin(s, "neonVecQ4_0", func() {
		broadcast(s, mask, "16b", 15)
		broadcast(s, minus4, "4s", -4)
	})
	s.g("FMOVQ.P 16(R1), F%d\nFLDPQ.P 32(R5), (F%d, F%d)\nFMOVS.P 4(R6), F%d\nVLD1R.P 4(R7), [V%d.S4]", d, x, x+1, dx, sum)
	// Two chains per four rows begin at -4 times the sum each.
	s.v("mul v%d.4s, v%d.4s, v%d.4s", acc, sum, minus4)
	for i := 1; i < 4; i++ {
		s.v("mov v%d.16b, v%d.16b", acc+i, acc)
	}
	for g := range 4 {
		t := g % 2 * 2
		s.g("FLDPQ.P 32(R1), (F%d, F%d)", w+t, w+t+1)
		for i := t; i < t+2; i++ {
			s.v("and v%d.16b, v%d.16b, v%d.16b", lo+i, w+i, mask)
			s.v("ushr v%d.16b, v%d.16b, #4", hi+i, w+i)
		}
		for i := range 2 {
			s.v("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc+i, lo+t+i, x, g)
		}
		for i := range 2 {
			s.v("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc+2+i, hi+t+i, x+1, g)
		}
	}
	for i := range 2 {
		s.v("add v%d.4s, v%d.4s, v%d.4s", acc+i, acc+i, acc+2+i)
	}
	addScaled(s, "fmla", acc, d, dx)
	vecEnd(s)
}

// vecQ8_0: 30 vector instructions and 11 loads per block of 272 bytes.
func vecQ8_0(s *source) {
	const acc, x, dx, d, w = 2, 6, 9, 10, 16
	vecBegin(s, "neonVecQ8_0", func() {})
	s.g("FMOVQ.P 16(R1), F%d\nFLDPQ.P 32(R5), (F%d, F%d)\nFMOVS.P 4(R6), F%d", d, x, x+1, dx)
	for i := range 4 {
		s.v("movi v%d.16b, #0", acc+i)
	}
	for g := range 8 {
		t := w + g%4*2
		s.g("FLDPQ.P 32(R1), (F%d, F%d)", t, t+1)
		for i := range 2 {
			s.v("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc+g%2*2+i, t+i, x+g/4, g%4)
		}
	}
	for i := range 2 {
		s.v("add v%d.4s, v%d.4s, v%d.4s", acc+i, acc+i, acc+2+i)
	}
	addScaled(s, "fmla", acc, d, dx)
	vecEnd(s)
}

// byteOf puts byte k of the words of V(from) into the words of V(to), unsigned;
// V(mask) has words of 255.
func byteOf(s *source, to, from, k, mask int) {
	switch k {
	case 0:
		s.v("and v%d.16b, v%d.16b, v%d.16b", to, from, mask)
	case 3:
		s.v("ushr v%d.4s, v%d.4s, #24", to, from)
	default:
		s.v("ushr v%d.4s, v%d.4s, #%d", to, from, 8*k)
		s.v("and v%d.16b, v%d.16b, v%d.16b", to, to, mask)
	}
}

// signedByteOf does the same with signed bytes.
func signedByteOf(s *source, to, from, k int) {
	if k < 3 {
		s.v("shl v%d.4s, v%d.4s, #%d", to, from, 24-8*k)
		from = to
	}
	s.v("sshr v%d.4s, v%d.4s, #24", to, from)
}

// scalesK4 unpacks the 6-bit scales and minima of Q4_K and Q5_K, 8 of each for 4
// rows: from the three words a, b, c per row in V(a), V(b), V(c) to bytes, scales
// 0-3 and 4-7 in V(a) and V(s47), minima in V(b) and V(m47). V(mask4) and
// V(mask6) have bytes of 15 and 63.
func scalesK4(s *source, a, b, c, s47, m47, mask4, mask6 int) {
	s.v("ushr v%d.16b, v%d.16b, #6", s47, a)
	s.v("ushr v%d.16b, v%d.16b, #6", m47, b)
	s.v("shl v%d.16b, v%d.16b, #4", s47, s47)
	s.v("shl v%d.16b, v%d.16b, #4", m47, m47)
	s.v("and v%d.16b, v%d.16b, v%d.16b", a, a, mask6)
	s.v("and v%d.16b, v%d.16b, v%d.16b", b, b, mask6)
	s.v("sri v%d.16b, v%d.16b, #4", m47, c)
	s.v("and v%d.16b, v%d.16b, v%d.16b", c, c, mask4)
	s.v("orr v%d.16b, v%d.16b, v%d.16b", s47, s47, c)
}

// vecQ4K: 392 vector instructions and 48 loads per block of 1152 bytes.
func vecQ4K(s *source) {
	const (
		isum, imin          = 2, 4
		mask4, mask6, mask8 = 29, 30, 31
		s03, s47            = 6, 8 // two registers each: rows 0-3 and 4-7
		m03, m47            = 16, 18
		c, sums, scale      = 20, 22, 26
		acc, x, w, dx, dmin = 10, 14, 18, 28, 24
		acc2, lo, dw        = 12, 20, 24
		hi                  = 22
	)
	vecBegin(s, "neonVecQ4_K", func() {
		broadcast(s, mask4, "16b", 15)
		broadcast(s, mask6, "16b", 63)
		broadcast(s, mask8, "4s", 255)
	})
	s.c("Scales and minima.")
	s.g("MOVD R1, R9\nADD $32, R1, R1\nFMOVS.P 4(R6), F%d", dx)
	s.g("FLDPQ.P 32(R1), (F%d, F%d)\nFLDPQ.P 32(R1), (F%d, F%d)\nFLDPQ.P 32(R1), (F%d, F%d)", s03, s03+1, m03, m03+1, c, c+1)
	for i := range 2 {
		scalesK4(s, s03+i, m03+i, c+i, s47+i, m47+i, mask4, mask6)
	}
	s.c("imin: minima times sums per 32, of which each is the sum of two per 16.")
	for i := range 2 {
		s.v("movi v%d.16b, #0", isum+i)
		s.v("movi v%d.16b, #0", imin+i)
	}
	for j := range 8 {
		if j%4 == 0 {
			s.g("FLDPQ.P 32(R7), (F%d, F%d)", sums, sums+1)
			s.v("addp v%d.4s, v%d.4s, v%d.4s", sums, sums, sums+1)
		}
		for i := range 2 {
			byteOf(s, scale+i, []int{m03, m47}[j/4]+i, j%4, mask8)
			s.v("mla v%d.4s, v%d.4s, v%d.s[%d]", imin+i, scale+i, sums, j%4)
		}
	}
	s.c("isum.")
	for chunk := range 4 { // 64 elements
		s.g("FLDPQ.P 32(R5), (F%d, F%d)\nFLDPQ.P 32(R5), (F%d, F%d)", x, x+1, x+2, x+3)
		for i := range 4 {
			s.v("movi v%d.16b, #0", acc+i)
		}
		for g := range 8 {
			s.g("FLDPQ.P 32(R1), (F%d, F%d)", w, w+1)
			for i := range 2 {
				s.v("and v%d.16b, v%d.16b, v%d.16b", lo+i, w+i, mask4)
				s.v("ushr v%d.16b, v%d.16b, #4", hi+i, w+i)
			}
			for i := range 2 {
				s.v("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc+i, lo+i, x+g/4, g%4)
			}
			for i := range 2 {
				s.v("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc2+i, hi+i, x+2+g/4, g%4)
			}
		}
		for half := range 2 {
			j := 2*chunk + half
			for i := range 2 {
				byteOf(s, scale+i, []int{s03, s47}[j/4]+i, j%4, mask8)
				s.v("mla v%d.4s, v%d.4s, v%d.4s", isum+i, acc+2*half+i, scale+i)
			}
		}
	}
	s.g("FMOVQ (R9), F%d", dw)
	addScaled(s, "fmla", isum, dw, dx)
	s.g("FMOVQ 16(R9), F%d", dmin)
	addScaled(s, "fmls", imin, dmin, dx)
	vecEnd(s)
}

// vecQ6K: 626 vector instructions and 84 loads per block of 1680 bytes.
func vecQ6K(s *source) {
	const (
		isum, acc, x      = 2, 4, 12 // two, eight, and four registers
		n0, n1, h, t0, t1 = 16, 18, 20, 22, 24
		sums, words       = 26, 27
		scale             = 16
		dx, d             = 29, 22
		minus32, mask6    = 30, 31
	)
	vecBegin(s, "neonVecQ6_K", func() {
		broadcast(s, minus32, "4s", -32)
		broadcast(s, mask6, "16b", 63)
	})
	s.g(`MOVD R1, R9
		ADD $16, R1, R10
		ADD $144, R1, R11
		ADD $656, R1, R12
		ADD $1680, R1, R1
		FMOVS.P 4(R6), F%d`, dx)
	s.c("R10 scales, R11 upper bit pairs, R12 nibbles.")
	for i := range 2 {
		s.v("movi v%d.16b, #0", isum+i)
	}
	s.g("MOVD $2, R13\nhalf:") // 128 elements
	// Sub-blocks of 16: 0, 2, 4, 6 in the first turn, 1, 3, 5, 7 in the second.
	for turn := range 2 {
		for e := range 4 {
			j := 2*e + turn
			if e%2 == 0 {
				s.g("FMOVQ %d(R7), F%d", e/2*16, sums)
				s.v("mul v%d.4s, v%d.4s, v%d.4s", sums, sums, minus32)
			}
			s.g("FMOVQ %d(R5), F%d", j*16, x+e)
			for i := range 2 {
				s.v("dup v%d.4s, v%d.s[%d]", acc+2*e+i, sums, j%4)
			}
		}
		for g := range 4 {
			off := (turn*4 + g) * 32
			s.g("FLDPQ %d(R12), (F%d, F%d)\nFLDPQ %d(R12), (F%d, F%d)\nFLDPQ %d(R11), (F%d, F%d)",
				off, n0, n0+1, off+256, n1, n1+1, off, h, h+1)
			for i := range 2 {
				sixBits(s, n0+i, n1+i, h+i, t0+i, t1+i, mask6)
				for e, r := range []int{n0 + i, n1 + i, t0 + i, t1 + i} {
					s.v("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc+2*e+i, r, x+e, g)
				}
			}
		}
		for e := range 4 {
			j := 2*e + turn
			if e%2 == 0 {
				s.g("FLDPQ %d(R10), (F%d, F%d)", e/2*32, words, words+1)
			}
			for i := range 2 {
				signedByteOf(s, scale+i, words+i, j%4)
				s.v("mla v%d.4s, v%d.4s, v%d.4s", isum+i, acc+2*e+i, scale+i)
			}
		}
	}
	s.g(`ADD $64, R10, R10
		ADD $256, R11, R11
		ADD $512, R12, R12
		ADD $128, R5, R5
		ADD $32, R7, R7
		SUBS $1, R13, R13
		BNE half
		FMOVQ (R9), F%d`, d)
	addScaled(s, "fmla", isum, d, dx)
	vecEnd(s)
}
