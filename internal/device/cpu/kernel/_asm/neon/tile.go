package main

import (
	"fmt"
	"math/bits"
)

// Offsets of the fields of kernel's tileArgs.
const (
	argY     = 0
	argLdy   = 8
	argAcc   = 16
	argW     = 24
	argLdw   = 32
	argX     = 40
	argLdx   = 48
	argK     = 56
	argN     = 64
	argFlags = 72
)

// tileShapes are the sizes in rows and columns. 24 accumulators are as many as
// 32 registers allow: 2x3 does 24 FMLA on 10 loaded pairs of registers per 16
// elements, 4x1 is for single columns, which are bound by reading the weights.
var tileShapes = [][2]int{{4, 1}, {2, 2}, {2, 3}, {1, 1}, {1, 2}, {1, 3}}

func tileName(kind string, rows, cols int) string {
	return fmt.Sprintf("neonTile%sx%dx%d", kind, rows, cols)
}

// tiles writes the inner loops of MatF32, MatF16 and MatBF16; tileArgs says
// what they do.
func tiles(s *source) {
	for _, kind := range []string{"F32", "F16", "BF16"} {
		for _, shape := range tileShapes {
			tile(s, kind, shape[0], shape[1])
		}
	}
	widen(s, "F16")
	widen(s, "BF16")
}

// widenPair makes f32 of 8 elements of 16 bits in src: lo and hi, of which hi
// may be src.
func widenPair(s *source, kind string, lo, hi, src int) {
	if kind == "F16" {
		s.v("fcvtl v%d.4s, v%d.4h", lo, src)
		s.v("fcvtl2 v%d.4s, v%d.8h", hi, src)
		return
	}
	s.v("shll v%d.4s, v%d.4h, #16", lo, src)
	s.v("shll2 v%d.4s, v%d.8h, #16", hi, src)
}

// tile is the kernel of rows x cols outputs. Registers: V0.. accumulators, four
// per output (lanes 0-3, 4-7, 8-11, 12-15), then the weights of half a step,
// two per row, then two pairs of x in turns.
func tile(s *source, kind string, rows, cols int) {
	acc := func(r, c, q int) int { return (r*cols+c)*4 + q }
	wreg := func(r, i int) int { return rows*cols*4 + 2*r + i }
	xreg := func(c, i int) int { return rows*cols*4 + 2*rows + c%2*2 + i }
	name := tileName(kind, rows, cols)
	s.fn(name, 8, fmt.Sprintf("func %s(a *tileArgs)", name))
	s.g(`MOVD a+0(FP), R0
		MOVD %d(R0), R1
		MOVD %d(R0), R2
		MOVD %d(R0), R3
		MOVD %d(R0), R4
		MOVD %d(R0), R5
		MOVD %d(R0), R6
		MOVD %d(R0), R7
		MOVD %d(R0), R8
		MOVD %d(R0), R9`, argY, argLdy, argAcc, argW, argLdw, argX, argLdx, argN, argFlags)
	// R10 steps left, R11.. pointers of w rows, R15.. of x rows.
	w := func(r int) int { return 11 + r }
	x := []int{15, 16, 17}
	s.g("tile:")
	s.g("MOVD R4, R%d", w(0))
	for r := 1; r < rows; r++ {
		s.g("ADD R5, R%d, R%d", w(r-1), w(r))
	}
	s.g("MOVD R6, R%d", x[0])
	for c := 1; c < cols; c++ {
		s.g("ADD R7, R%d, R%d", x[c-1], x[c])
	}
	s.g("MOVD %d(R0), R10\nTBNZ $0, R9, first", argK)
	for i := 0; i < rows*cols*4; i += 2 {
		s.g("FLDPQ %d(R3), (F%d, F%d)", i*16, i, i+1)
	}
	s.g("B loop\nfirst:")
	for i := range rows * cols * 4 {
		s.v("movi v%d.16b, #0", i)
	}
	s.g("loop:")
	for half := range 2 {
		for r := range rows {
			if kind == "F32" {
				s.g("FLDPQ.P 32(R%d), (F%d, F%d)", w(r), wreg(r, 0), wreg(r, 1))
			} else {
				s.g("FMOVQ.P 16(R%d), F%d", w(r), wreg(r, 1))
			}
		}
		for c := range cols {
			s.g("FLDPQ.P 32(R%d), (F%d, F%d)", x[c], xreg(c, 0), xreg(c, 1))
			for r := range rows {
				if c == 0 && kind != "F32" {
					widenPair(s, kind, wreg(r, 0), wreg(r, 1), wreg(r, 1))
				}
				for i := range 2 {
					a := acc(r, c, 2*half+i)
					s.v("fmla v%d.4s, v%d.4s, v%d.4s", a, wreg(r, i), xreg(c, i))
				}
			}
		}
	}
	s.g("SUBS $1, R10, R10\nBNE loop\nTBNZ $1, R9, last")
	for i := 0; i < rows*cols*4; i += 2 {
		s.g("FSTPQ (F%d, F%d), %d(R3)", i, i+1, i*16)
	}
	s.g("B next\nlast:")
	s.g("MOVD R1, R10")
	for c := range cols {
		for r := range rows {
			reduceTo4(s, acc(r, c, 0))
		}
		storeSums(s, rows, acc(0, c, 0), cols*4, 10)
		if c < cols-1 {
			s.g("ADD R2, R10, R10")
		}
	}
	s.g(`next:
		ADD $%d, R1, R1
		ADD $%d, R3, R3
		ADD R5<<%d, R4, R4
		SUBS $1, R8, R8
		BNE tile
		RET`, rows*4, rows*cols*64, bits.Len(uint(rows))-1)
}

// reduceTo4 adds lanes 8..15 to 0..7 and then 4..7 to 0..3, into register a.
func reduceTo4(s *source, a int) {
	s.v("fadd v%d.4s, v%d.4s, v%d.4s", a, a, a+2)
	s.v("fadd v%d.4s, v%d.4s, v%d.4s", a+1, a+1, a+3)
	s.v("fadd v%d.4s, v%d.4s, v%d.4s", a, a, a+1)
}

// storeSums finishes the tree for n vectors of four lanes in registers a,
// a+step, … and stores the n sums where register ptr points: lanes (0,2) and (1,3), then these.
func storeSums(s *source, n, a, step, ptr int) {
	pair := func(a, b int) { // a = a0+a2 a1+a3 b0+b2 b1+b3
		s.v("zip2 v%d.2d, v%d.2d, v%d.2d", a+1, a, b)
		s.v("zip1 v%d.2d, v%d.2d, v%d.2d", a, a, b)
		s.v("fadd v%d.4s, v%d.4s, v%d.4s", a, a, a+1)
	}
	switch n {
	case 4:
		pair(a, a+step)
		pair(a+2*step, a+3*step)
		s.v("faddp v%d.4s, v%d.4s, v%d.4s", a, a, a+2*step)
		s.g("FMOVQ F%d, (R%d)", a, ptr)
	case 2:
		pair(a, a+step)
		s.v("faddp v%d.4s, v%d.4s, v%d.4s", a, a, a)
		s.g("FMOVD F%d, (R%d)", a, ptr)
	case 1:
		pair(a, a)
		s.v("faddp v%d.4s, v%d.4s, v%d.4s", a, a, a)
		s.g("FMOVS F%d, (R%d)", a, ptr)
	}
}

// widen writes the conversion of n elements of 16 bits, a multiple of 16.
func widen(s *source, kind string) {
	name := "neonWiden" + kind
	s.fn(name, 24, fmt.Sprintf("func %s(dst *float32, src unsafe.Pointer, n int)", name))
	s.g(`MOVD dst+0(FP), R0
		MOVD src+8(FP), R1
		MOVD n+16(FP), R2
		loop:
		FLDPQ.P 32(R1), (F0, F1)`)
	widenPair(s, kind, 2, 3, 0)
	widenPair(s, kind, 4, 5, 1)
	s.g(`FSTPQ.P (F2, F3), 32(R0)
		FSTPQ.P (F4, F5), 32(R0)
		SUBS $16, R2, R2
		BNE loop
		RET`)
}
