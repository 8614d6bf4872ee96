package main

import "fmt"

// Offsets of the fields of kernel's gemmArgs.
const (
	gemmC    = 0
	gemmLdc  = 8
	gemmA    = 16
	gemmRow  = 24
	gemmCol  = 32
	gemmTile = 40
	gemmB    = 48
	gemmLdb  = 56
	gemmK    = 64
	gemmN    = 72
	gemmAdd  = 80
)

// Tiles of products in training are gemmRows x 12: 24 accumulators, three
// vectors of B, and elements of A in turns in what registers remain.
const (
	gemmRows = 8
	gemmVecs = 3
)

func gemmName(way string, rows int) string { return fmt.Sprintf("neonGemm%sx%d", way, rows) }

func gemms(s *source) {
	for _, way := range []string{"Rows", "Cols"} {
		for rows := gemmRows; rows > 0; rows-- {
			gemmTiles(s, way, rows)
		}
	}
	for _, width := range []int{gemmRows, 4 * gemmVecs} {
		gemmCopy(s, width)
	}
	gemmTranspose(s)
}

// gemmTiles computes n tiles of rows rows. Registers: R1 C, R2 its stride, R3 A
// of the tile, R4 its stride by row or by step, R5 B, R6 its stride, R7 steps
// left, R8 tiles left, R9 row of C, R10.. rows of A or A itself.
func gemmTiles(s *source, way string, rows int) {
	name := gemmName(way, rows)
	s.fn(name, 8, fmt.Sprintf("func %s(a *gemmArgs)", name))
	stride := gemmRow
	if way == "Cols" {
		stride = gemmCol
	}
	s.g(`MOVD a+0(FP), R0
		MOVD %d(R0), R1
		MOVD %d(R0), R2
		MOVD %d(R0), R3
		MOVD %d(R0), R4
		MOVD %d(R0), R6
		MOVD %d(R0), R8
		tile:
		MOVD %d(R0), R5
		MOVD %d(R0), R7
		MOVD R3, R10`, gemmC, gemmLdc, gemmA, stride, gemmLdb, gemmN, gemmB, gemmK)
	a := []int{10, 11, 12, 13, 14, 15, 16, 17}
	if way == "Rows" {
		for r := 1; r < rows; r++ {
			s.g("ADD R4, R%d, R%d", a[r-1], a[r])
		}
	}
	for i := range rows * gemmVecs {
		s.v("movi v%d.16b, #0", i)
	}
	s.g("loop:")
	b := gemmRows * gemmVecs
	s.g("FLDPQ (R5), (F%d, F%d)\nFMOVQ 32(R5), F%d\nADD R6, R5, R5", b, b+1, b+2)
	for r := range rows {
		e := b + gemmVecs + r%(32-b-gemmVecs)
		if way == "Rows" {
			s.g("FMOVS.P 4(R%d), F%d", a[r], e)
		} else {
			s.g("FMOVS %d(R10), F%d", 4*r, e)
		}
		for i := range gemmVecs {
			s.v("fmla v%d.4s, v%d.4s, v%d.s[0]", r*gemmVecs+i, b+i, e)
		}
	}
	if way == "Cols" {
		s.g("ADD R4, R10, R10")
	}
	s.g("SUBS $1, R7, R7\nBNE loop")
	s.g("MOVD %d(R0), R7\nMOVD R1, R9\nCBZ R7, set", gemmAdd)
	for r := range rows {
		s.g("FLDPQ (R9), (F%d, F%d)\nFMOVQ 32(R9), F%d\nADD R2, R9, R9", b, b+1, b+2)
		for i := range gemmVecs {
			s.v("fadd v%d.4s, v%d.4s, v%d.4s", r*gemmVecs+i, b+i, r*gemmVecs+i)
		}
	}
	s.g("set:")
	for r := range rows {
		v := r * gemmVecs
		s.g("FSTPQ (F%d, F%d), (R1)\nFMOVQ F%d, 32(R1)\nADD R2, R1, R1", v, v+1, v+2)
	}
	s.g(`SUBS $1, R8, R8
		BEQ done
		MOVD %d(R0), R7
		ADD R7, R3, R3
		B tile
		done:
		RET`, gemmTile)
}

// gemmCopy takes n rows and writes width elements side by side to each of some
// panels, row by row.
func gemmCopy(s *source, width int) {
	name := fmt.Sprintf("neonPackCopy%d", width)
	s.fn(name, 48, fmt.Sprintf("func %s(dst *float32, panel uintptr, src *float32, ld uintptr, n, panels int)", name))
	s.g(`MOVD dst+0(FP), R0
		MOVD panel+8(FP), R1
		MOVD src+16(FP), R2
		MOVD ld+24(FP), R3
		MOVD n+32(FP), R4
		MOVD panels+40(FP), R5
		row:
		MOVD R2, R6
		MOVD R0, R7
		MOVD R5, R8
		panel:`)
	s.g("FLDPQ (R6), (F0, F1)")
	if width == 12 {
		s.g("FMOVQ 32(R6), F2\nFMOVQ F2, 32(R7)")
	}
	s.g(`FSTPQ (F0, F1), (R7)
		ADD $%d, R6, R6
		ADD R1, R7, R7
		SUBS $1, R8, R8
		BNE panel
		ADD R3, R2, R2
		ADD $%d, R0, R0
		SUBS $1, R4, R4
		BNE row
		RET`, 4*width, 4*width)
}

// gemmTranspose writes four rows side by side.
func gemmTranspose(s *source) {
	s.fn("neonPackTranspose4", 40, "func neonPackTranspose4(dst *float32, step uintptr, src *float32, ld uintptr, n int)")
	s.g(`MOVD dst+0(FP), R0
		MOVD step+8(FP), R1
		MOVD src+16(FP), R2
		MOVD ld+24(FP), R3
		MOVD n+32(FP), R4
		ADD R3, R2, R5
		ADD R3, R5, R6
		ADD R3, R6, R7
		loop:
		FMOVQ.P 16(R2), F0
		FMOVQ.P 16(R5), F1
		FMOVQ.P 16(R6), F2
		FMOVQ.P 16(R7), F3`)
	// Pairs of rows, then pairs of pairs.
	s.v("trn1 v4.4s, v0.4s, v1.4s")
	s.v("trn2 v5.4s, v0.4s, v1.4s")
	s.v("trn1 v6.4s, v2.4s, v3.4s")
	s.v("trn2 v7.4s, v2.4s, v3.4s")
	s.v("zip1 v0.2d, v4.2d, v6.2d")
	s.v("zip1 v1.2d, v5.2d, v7.2d")
	s.v("zip2 v2.2d, v4.2d, v6.2d")
	s.v("zip2 v3.2d, v5.2d, v7.2d")
	for u := range 4 {
		s.g("FMOVQ F%d, (R0)\nADD R1, R0, R0", u)
	}
	s.g("SUBS $4, R4, R4\nBNE loop\nRET")
}
