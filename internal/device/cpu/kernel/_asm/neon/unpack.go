package main

// The unpackers expand a panel of 8 rows to the plain form of kernel's Unpacked,
// as unpackBlock does: per group of four elements two registers, rows 0-3 and
// 4-7. R0 panel, R1 quants, R2 scales, R3 minima, R4 sub-scales, R5 sub-minima,
// R6 blocks.

// unpackTypes names the types as package tensor does.
var unpackTypes = []string{"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"}

// unpacks writes the unpackers of every block-quantised type.
func unpacks(s *source) {
	unpackNibbles(s, "Q4_0", false, false, 8)
	unpackNibbles(s, "Q4_1", true, false, 0)
	unpackNibbles(s, "Q5_0", false, true, 16)
	unpackNibbles(s, "Q5_1", true, true, 0)
	unpackIQ4NL(s)
	unpackQ8(s)
	unpackQ2K(s)
	unpackQ3K(s)
	unpackQ4K(s, false)
	unpackQ4K(s, true)
	unpackQ6K(s)
	unpackIQ4XS(s)
}

// Registers of constants: bytes of 15, of 63 and of the offset, words of 255.
const (
	uBytes15 = 31
	uBytes63 = 30
	uOffset  = 29
	uWords   = 28
)

func unpackBegin(s *source, dt string) {
	name := "neonUnpack" + dt
	s.fn(name, 8, "func "+name+"(a *unpackArgs)")
	s.g(`MOVD a+0(FP), R8
		MOVD 0(R8), R0
		MOVD 8(R8), R1
		MOVD 16(R8), R2
		MOVD 24(R8), R3
		MOVD 32(R8), R4
		MOVD 40(R8), R5
		MOVD 48(R8), R6`)
}

func unpackEnd(s *source) {
	s.g("SUBS $1, R6, R6\nBNE block\nRET")
}

// halves widens the next f16 field to the array at R(ptr).
func halves(s *source, ptr int) {
	s.g("FMOVQ.P 16(R0), F1")
	widenPair(s, "F16", 0, 1, 1)
	s.g("FSTPQ.P (F0, F1), 32(R%d)", ptr)
}

// storeQuants stores V(reg) and the next as group g of the block, minus the
// offset where there is one.
func storeQuants(s *source, reg, g, offset int) {
	if offset != 0 {
		for i := range 2 {
			s.v("sub v%d.16b, v%d.16b, v%d.16b", reg+i, reg+i, uOffset)
		}
	}
	s.g("FSTPQ (F%d, F%d), %d(R1)", reg, reg+1, 32*g)
}

// nibbles parts V(w) and the next into V(lo).. and V(hi)...
func nibbles(s *source, w, lo, hi int) {
	for i := range 2 {
		s.v("and v%d.16b, v%d.16b, v%d.16b", lo+i, w+i, uBytes15)
		s.v("ushr v%d.16b, v%d.16b, #4", hi+i, w+i)
	}
}

// storeWords stores the bytes of the words of V(reg) and the next as four
// sub-scales of 8 rows.
func storeWords(s *source, reg, ptr int, signed bool) {
	for k := range 4 {
		for i := range 2 {
			if signed {
				signedByteOf(s, 26+i, reg+i, k)
			} else {
				byteOf(s, 26+i, reg+i, k, uWords)
			}
		}
		s.g("FSTPQ.P (F26, F27), 32(R%d)", ptr)
	}
}

// unpackNibbles is the legacy types of 32 elements: group g has elements 4g.. in
// its lower nibbles and 16+4g.. in the upper ones. Fifth bits stand in a word
// per row, bit i of element i.
func unpackNibbles(s *source, dt string, minima, fifth bool, offset int) {
	const high, rows, bit, five, t = 2, 8, 12, 25, 18
	unpackBegin(s, dt)
	broadcast(s, uBytes15, "16b", 15)
	broadcast(s, uOffset, "16b", offset)
	if fifth {
		// V8 to V11 copy byte 0 to 3 of each word over the word; V12 and V13 have
		// bits 0 to 3 and 4 to 7 in the bytes of each word.
		s.g("MOVD $·neonFifthBits(SB), R8")
		s.g("FLDPQ (R8), (F%d, F%d)\nFLDPQ 32(R8), (F%d, F%d)\nFLDPQ 64(R8), (F%d, F%d)", rows, rows+1, rows+2, rows+3, bit, bit+1)
		broadcast(s, five, "16b", 16)
	}
	s.g("block:")
	halves(s, 2)
	if minima {
		halves(s, 3)
	}
	if fifth {
		s.g("FLDPQ.P 32(R0), (F%d, F%d)", high, high+1)
	}
	for g := range 4 {
		s.g("FLDPQ.P 32(R0), (F16, F17)")
		nibbles(s, 16, 20, 22)
		if fifth {
			for half, reg := range []int{20, 22} {
				for i := range 2 {
					s.v("tbl v%d.16b, {v%d.16b}, v%d.16b", t, high+i, rows+2*half+g/2)
					s.v("cmtst v%d.16b, v%d.16b, v%d.16b", t, t, bit+g%2)
					s.v("and v%d.16b, v%d.16b, v%d.16b", t, t, five)
					s.v("orr v%d.16b, v%d.16b, v%d.16b", reg+i, reg+i, t)
				}
			}
		}
		storeQuants(s, 20, g, offset)
		storeQuants(s, 22, g+4, offset)
	}
	s.g("ADD $256, R1, R1")
	unpackEnd(s)
}

// lookup replaces nibbles by the table of IQ4_NL and IQ4_XS in V(uOffset).
func lookup(s *source, reg int) {
	for i := range 2 {
		s.v("tbl v%d.16b, {v%d.16b}, v%d.16b", reg+i, uOffset, reg+i)
	}
}

func unpackIQ4NL(s *source) {
	unpackBegin(s, "IQ4_NL")
	broadcast(s, uBytes15, "16b", 15)
	s.g("MOVD $·iq4Values(SB), R8\nFMOVQ (R8), F%d\nblock:", uOffset)
	halves(s, 2)
	for g := range 4 {
		s.g("FLDPQ.P 32(R0), (F16, F17)")
		nibbles(s, 16, 20, 22)
		lookup(s, 20)
		lookup(s, 22)
		storeQuants(s, 20, g, 0)
		storeQuants(s, 22, g+4, 0)
	}
	s.g("ADD $256, R1, R1")
	unpackEnd(s)
}

func unpackQ8(s *source) {
	unpackBegin(s, "Q8_0")
	s.g("block:")
	halves(s, 2)
	for i := range 8 {
		s.g("FLDPQ.P 32(R0), (F%d, F%d)", 2*i, 2*i+1)
	}
	for i := range 8 {
		s.g("FSTPQ.P (F%d, F%d), 32(R1)", 2*i, 2*i+1)
	}
	unpackEnd(s)
}

// unpackQ2K: a byte has a scale and a minimum; 8 groups hold 128 elements, four
// bit pairs deep.
func unpackQ2K(s *source) {
	const pair = 25
	unpackBegin(s, "Q2_K")
	broadcast(s, uBytes15, "16b", 15)
	broadcast(s, pair, "16b", 3)
	broadcast(s, uWords, "4s", 255)
	s.g("block:")
	halves(s, 2)
	halves(s, 3)
	for range 4 {
		s.g("FLDPQ.P 32(R0), (F16, F17)")
		nibbles(s, 16, 20, 22)
		storeWords(s, 20, 4, false)
		storeWords(s, 22, 5, false)
	}
	for range 2 {
		for g := range 8 {
			s.g("FLDPQ.P 32(R0), (F16, F17)")
			for j := range 4 {
				bitPair(s, 20, 16, j, pair)
				storeQuants(s, 20, j*8+g, 0)
			}
		}
		s.g("ADD $1024, R1, R1")
	}
	unpackEnd(s)
}

// bitPair takes bits 2j and 2j+1 of the bytes of V(from) and the next.
func bitPair(s *source, to, from, j, mask int) {
	for i := range 2 {
		t := from + i
		if j > 0 {
			s.v("ushr v%d.16b, v%d.16b, #%d", to+i, t, 2*j)
			t = to + i
		}
		if j < 3 {
			s.v("and v%d.16b, v%d.16b, v%d.16b", to+i, t, mask)
		}
	}
}

// moveBit moves bit from of each byte of V(src) to bit to, alone.
func moveBit(s *source, dst, src, from, to, mask int) {
	switch {
	case from < to:
		s.v("shl v%d.16b, v%d.16b, #%d", dst, src, to-from)
		src = dst
	case from > to:
		s.v("ushr v%d.16b, v%d.16b, #%d", dst, src, from-to)
		src = dst
	}
	s.v("and v%d.16b, v%d.16b, v%d.16b", dst, src, mask)
}

// unpackQ3K: 6-bit scales minus 32 in three words a row; third bits in 8 groups,
// a bit per 32 elements; bit pairs as Q2_K.
func unpackQ3K(s *source) {
	const pair, four, sub32, a, b, c, high, t = 25, 24, uBytes63, 16, 18, 20, 0, 18
	unpackBegin(s, "Q3_K")
	broadcast(s, uBytes15, "16b", 15)
	broadcast(s, pair, "16b", 3)
	broadcast(s, four, "16b", 4)
	broadcast(s, uOffset, "16b", 4)
	broadcast(s, sub32, "16b", 32)
	s.g("block:")
	halves(s, 2)
	for _, r := range []int{a, b, c} {
		s.g("FLDPQ.P 32(R0), (F%d, F%d)", r, r+1)
	}
	for j := range 4 { // scales 4j to 4j+3
		for i := range 2 {
			from := []int{a, b}[j%2] + i
			if j < 2 {
				s.v("and v%d.16b, v%d.16b, v%d.16b", 22+i, from, uBytes15)
			} else {
				s.v("ushr v%d.16b, v%d.16b, #4", 22+i, from)
			}
		}
		bitPair(s, 26, c, j, pair)
		for i := range 2 {
			s.v("sli v%d.16b, v%d.16b, #4", 22+i, 26+i)
			s.v("sub v%d.16b, v%d.16b, v%d.16b", 22+i, 22+i, sub32)
		}
		storeWords(s, 22, 4, true)
	}
	for g := range 8 {
		s.g("FLDPQ.P 32(R0), (F%d, F%d)", high+2*g, high+2*g+1)
	}
	for chunk := range 2 {
		for g := range 8 {
			s.g("FLDPQ.P 32(R0), (F16, F17)")
			for j := range 4 {
				bitPair(s, 20, 16, j, pair)
				for i := range 2 {
					moveBit(s, t+i, high+2*g+i, 4*chunk+j, 2, four)
					s.v("orr v%d.16b, v%d.16b, v%d.16b", 20+i, 20+i, t+i)
				}
				storeQuants(s, 20, j*8+g, 4)
			}
		}
		s.g("ADD $1024, R1, R1")
	}
	unpackEnd(s)
}

// unpackQ4K is Q4_K, and Q5_K with fifth bits in 8 groups, a bit per 32 elements:
// 8 groups hold 64 elements, lower nibbles first.
func unpackQ4K(s *source, fifth bool) {
	const a, b, c, s47, m47, high, five, t = 16, 18, 20, 22, 24, 0, 27, 18
	unpackBegin(s, map[bool]string{false: "Q4_K", true: "Q5_K"}[fifth])
	broadcast(s, uBytes15, "16b", 15)
	broadcast(s, uBytes63, "16b", 63)
	broadcast(s, uWords, "4s", 255)
	s.g("block:")
	halves(s, 2)
	halves(s, 3)
	for _, r := range []int{a, b, c} {
		s.g("FLDPQ.P 32(R0), (F%d, F%d)", r, r+1)
	}
	for i := range 2 {
		scalesK4(s, a+i, b+i, c+i, s47+i, m47+i, uBytes15, uBytes63)
	}
	storeWords(s, a, 4, false)
	storeWords(s, s47, 4, false)
	storeWords(s, b, 5, false)
	storeWords(s, m47, 5, false)
	if fifth {
		broadcast(s, five, "16b", 16)
		for g := range 8 {
			s.g("FLDPQ.P 32(R0), (F%d, F%d)", high+2*g, high+2*g+1)
		}
	}
	for chunk := range 4 {
		for g := range 8 {
			s.g("FLDPQ.P 32(R0), (F16, F17)")
			nibbles(s, 16, 20, 22)
			for half, reg := range []int{20, 22} {
				for i := range 2 {
					if fifth {
						moveBit(s, t+i, high+2*g+i, 2*chunk+half, 4, five)
						s.v("orr v%d.16b, v%d.16b, v%d.16b", reg+i, reg+i, t+i)
					}
				}
				storeQuants(s, reg, half*8+g, 0)
			}
		}
		s.g("ADD $512, R1, R1")
	}
	unpackEnd(s)
}

// unpackQ6K parts the quants as vecQ6K does.
func unpackQ6K(s *source) {
	const n0, n1, h, t0, t1 = 16, 18, 20, 22, 24
	unpackBegin(s, "Q6_K")
	broadcast(s, uBytes63, "16b", 63)
	broadcast(s, uOffset, "16b", 32)
	s.g("block:")
	halves(s, 2)
	for range 4 {
		s.g("FLDPQ.P 32(R0), (F16, F17)")
		storeWords(s, 16, 4, true)
	}
	s.g("ADD $512, R0, R8") // nibbles, behind the upper bit pairs
	for range 2 {
		for g := range 8 {
			s.g("FLDPQ %d(R8), (F%d, F%d)\nFLDPQ %d(R8), (F%d, F%d)\nFLDPQ.P 32(R0), (F%d, F%d)", g*32, n0, n0+1, g*32+256, n1, n1+1, h, h+1)
			for i := range 2 {
				sixBits(s, n0+i, n1+i, h+i, t0+i, t1+i, uBytes63)
			}
			for e, r := range []int{n0, n1, t0, t1} {
				storeQuants(s, r, e*8+g, 32)
			}
		}
		s.g("ADD $512, R8, R8\nADD $1024, R1, R1")
	}
	s.g("MOVD R8, R0")
	unpackEnd(s)
}

// sixBits joins nibbles and upper bit pairs of Q6_K: the lower nibbles of n0 and
// n1 with bits 0-1 and 2-3 of h, into n0 and n1, and their upper nibbles with
// bits 4-5 and 6-7, into t0 and t1.
func sixBits(s *source, n0, n1, h, t0, t1, mask6 int) {
	s.v("mov v%d.16b, v%d.16b", t0, h)
	s.v("ushr v%d.16b, v%d.16b, #2", t1, h)
	s.v("sri v%d.16b, v%d.16b, #4", t0, n0)
	s.v("sli v%d.16b, v%d.16b, #4", n0, h)
	s.v("mov v%d.16b, v%d.16b", h, t1)
	s.v("sri v%d.16b, v%d.16b, #4", t1, n1)
	s.v("sli v%d.16b, v%d.16b, #4", n1, h)
	for _, r := range []int{n0, n1, t0, t1} {
		s.v("and v%d.16b, v%d.16b, v%d.16b", r, r, mask6)
	}
}

// unpackIQ4XS: scales minus 32 of 4 bits in a word and 2 bits in a half a row;
// quants as IQ4_NL per 32.
func unpackIQ4XS(s *source) {
	const upper, lower, words15, words3, words32, t, u = 2, 4, 6, 7, 8, 10, 12
	unpackBegin(s, "IQ4_XS")
	broadcast(s, uBytes15, "16b", 15)
	broadcast(s, words15, "4s", 15)
	broadcast(s, words3, "4s", 3)
	broadcast(s, words32, "4s", 32)
	s.g("MOVD $·iq4Values(SB), R8\nFMOVQ (R8), F%d\nblock:", uOffset)
	halves(s, 2)
	s.g("FMOVQ.P 16(R0), F%d\nFLDPQ.P 32(R0), (F%d, F%d)", upper, lower, lower+1)
	s.v("ushll2 v%d.4s, v%d.8h, #0", upper+1, upper)
	s.v("ushll v%d.4s, v%d.4h, #0", upper, upper)
	for j := range 8 {
		for i := range 2 {
			s.v("and v%d.16b, v%d.16b, v%d.16b", t+i, lower+i, words15)
			s.v("and v%d.16b, v%d.16b, v%d.16b", u+i, upper+i, words3)
			s.v("sli v%d.4s, v%d.4s, #4", t+i, u+i)
			s.v("sub v%d.4s, v%d.4s, v%d.4s", t+i, t+i, words32)
			if j < 7 {
				s.v("ushr v%d.4s, v%d.4s, #4", lower+i, lower+i)
				s.v("ushr v%d.4s, v%d.4s, #2", upper+i, upper+i)
			}
		}
		s.g("FSTPQ.P (F%d, F%d), 32(R4)", t, t+1)
	}
	for range 8 {
		for g := range 4 {
			s.g("FLDPQ.P 32(R0), (F16, F17)")
			nibbles(s, 16, 20, 22)
			lookup(s, 20)
			lookup(s, 22)
			storeQuants(s, 20, g, 0)
			storeQuants(s, 22, g+4, 0)
		}
		s.g("ADD $256, R1, R1")
	}
	unpackEnd(s)
}
