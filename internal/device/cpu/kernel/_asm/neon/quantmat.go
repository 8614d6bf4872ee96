package main

import "fmt"

// Registers of the matrix kernels: pointers to the unpacked panel, and of each
// column to its activations, their scales and sums.
const (
	qmY, qmQ, qmD, qmM, qmS, qmN, qmLdy, qmBlocks, qmLoop = 0, 1, 2, 3, 4, 5, 6, 7, 21
)

var (
	qmX    = []int{8, 9, 10, 11}
	qmDx   = []int{12, 13, 14, 15}
	qmSums = []int{16, 17, 19, 20}
)

// maxCols columns of 8 rows have 8 accumulators of integers and 8 of floats.
const maxCols = 4

// quantMatKinds are the two matrix kernels on unpacked panels of 8 rows, blocks
// of 32 with one scale (sub 0) and blocks of 256 with integer sub-scales of 16
// or 32, each without and with minima.
var quantMatKinds = []struct {
	sub    int
	minima bool
}{{0, false}, {0, true}, {16, false}, {16, true}, {32, false}, {32, true}}

func quantMats(s *source) {
	for _, k := range quantMatKinds {
		for cols := 1; cols <= maxCols; cols++ {
			if k.sub == 0 {
				quantMat32(s, cols, k.minima)
			} else {
				quantMat256(s, cols, k.sub, k.minima)
			}
		}
	}
}

func quantMatName(sub, cols int, minima bool) string {
	name := "32"
	if sub != 0 {
		name = fmt.Sprintf("256s%d", sub)
	}
	if minima {
		name += "Min"
	}
	return fmt.Sprintf("neonQuantMat%sx%d", name, cols)
}

// quantMatBegin loads kernel's quantMatArgs and clears outputs V(y)...
func quantMatBegin(s *source, name string, cols, y int) {
	s.fn(name, 8, "func "+name+"(a *quantMatArgs)")
	s.g("MOVD a+0(FP), R22")
	offset := 0
	field := func(reg int) {
		s.g("MOVD %d(R22), R%d", offset, reg)
		offset += 8
	}
	for _, reg := range []int{qmY, qmLdy, qmQ, qmD, qmM, qmS, qmN, qmBlocks} {
		field(reg)
	}
	for _, regs := range [][]int{qmX, qmDx, qmSums} {
		field(regs[0])
		field(23)
		for c := 1; c < cols; c++ {
			s.g("ADD R23, R%d, R%d", regs[c-1], regs[c])
		}
	}
	for i := range 2 * cols {
		s.v("movi v%d.16b, #0", y+i)
	}
	s.g("block:")
}

func quantMatEnd(s *source, cols, y int) {
	s.g("SUBS $1, R%d, R%d\nBNE block", qmBlocks, qmBlocks)
	for c := range cols {
		s.g("FSTPQ (F%d, F%d), (R%d)", y+2*c, y+2*c+1, qmY)
		if c < cols-1 {
			s.g("ADD R%d, R%d, R%d", qmLdy, qmY, qmY)
		}
	}
	s.g("RET")
}

// quantMat32: per block and 4 columns 64 SDOT, 8 zeros and 24 instructions for
// the scales on 17 loads.
func quantMat32(s *source, cols int, minima bool) {
	const acc, y, w, x, d, m, t = 0, 8, 16, 20, 28, 30, 16
	quantMatBegin(s, quantMatName(0, cols, minima), cols, y)
	for c := range cols {
		s.g("FLDPQ.P 32(R%d), (F%d, F%d)", qmX[c], x+2*c, x+2*c+1)
	}
	for i := range 2 * cols {
		s.v("movi v%d.16b, #0", acc+i)
	}
	for g := range 8 {
		p := w + g%2*2
		s.g("FLDPQ.P 32(R%d), (F%d, F%d)", qmQ, p, p+1)
		for c := range cols {
			for i := range 2 {
				s.v("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc+2*c+i, p+i, x+2*c+g/4, g%4)
			}
		}
	}
	s.g("FLDPQ.P 32(R%d), (F%d, F%d)", qmD, d, d+1)
	if minima {
		s.g("FLDPQ.P 32(R%d), (F%d, F%d)", qmM, m, m+1)
	}
	for c := range cols {
		dx, sum := x+2*c, x+2*c+1
		s.g("FMOVS.P 4(R%d), F%d", qmDx[c], dx)
		for i := range 2 {
			s.v("scvtf v%d.4s, v%d.4s", acc+2*c+i, acc+2*c+i)
			s.v("fmul v%d.4s, v%d.4s, v%d.s[0]", t+c%2*2+i, d+i, dx)
		}
		for i := range 2 {
			s.v("fmla v%d.4s, v%d.4s, v%d.4s", y+2*c+i, acc+2*c+i, t+c%2*2+i)
		}
		if minima {
			s.g("FMOVS.P 4(R%d), F%d", qmSums[c], sum)
			s.v("scvtf v%d.4s, v%d.4s", sum, sum)
			s.v("fmul v%d.4s, v%d.4s, v%d.4s", sum, sum, dx)
			for i := range 2 {
				s.v("fmla v%d.4s, v%d.4s, v%d.s[0]", y+2*c+i, m+i, sum)
			}
		}
	}
	quantMatEnd(s, cols, y)
}

// quantMat256: per sub-block of 16 and 4 columns 32 SDOT, 8 zeros and 8 MLA on 9
// loads, of 32 twice the SDOT on 17 loads.
func quantMat256(s *source, cols, sub int, minima bool) {
	const acc, isum, y, w, x, t = 0, 8, 16, 24, 28, 0
	quantMatBegin(s, quantMatName(sub, cols, minima), cols, y)
	for i := range 2 * cols {
		s.v("movi v%d.16b, #0", isum+i)
	}
	s.g("MOVD $%d, R%d\nsub:", 256/sub, qmLoop)
	for i := range 2 * cols {
		s.v("movi v%d.16b, #0", acc+i)
	}
	for g := range sub / 4 {
		if g%4 == 0 {
			for c := range cols {
				s.g("FMOVQ.P 16(R%d), F%d", qmX[c], x+c)
			}
		}
		p := w + g%2*2
		s.g("FLDPQ.P 32(R%d), (F%d, F%d)", qmQ, p, p+1)
		for c := range cols {
			for i := range 2 {
				s.v("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc+2*c+i, p+i, x+c, g%4)
			}
		}
	}
	s.g("FLDPQ.P 32(R%d), (F%d, F%d)", qmS, w, w+1)
	for i := range 2 * cols {
		s.v("mla v%d.4s, v%d.4s, v%d.4s", isum+i, acc+i, w+i%2)
	}
	s.g("SUBS $1, R%d, R%d\nBNE sub", qmLoop, qmLoop)
	for c := range cols {
		s.g("FMOVS.P 4(R%d), F%d", qmDx[c], x+c)
	}
	// scaled does y = op(float32(isum), d*dx, y).
	scaled := func(op string, ptr int) {
		s.g("FLDPQ.P 32(R%d), (F%d, F%d)", ptr, w, w+1)
		for i := range 2 * cols {
			s.v("scvtf v%d.4s, v%d.4s", isum+i, isum+i)
			s.v("fmul v%d.4s, v%d.4s, v%d.s[0]", t+i, w+i%2, x+i/2)
		}
		for i := range 2 * cols {
			s.v("%s v%d.4s, v%d.4s, v%d.4s", op, y+i, isum+i, t+i)
		}
	}
	scaled("fmla", qmD)
	if minima {
		for i := range 2 * cols {
			s.v("movi v%d.16b, #0", isum+i)
		}
		s.g("MOVD $%d, R%d\nminima:", 64/sub, qmLoop) // four sub-blocks a turn
		for c := range cols {
			if sub == 16 {
				s.g("FMOVQ.P 16(R%d), F%d", qmSums[c], t+2*c)
				continue
			}
			s.g("FLDPQ.P 32(R%d), (F%d, F%d)", qmSums[c], t+2*c, t+2*c+1)
			s.v("addp v%d.4s, v%d.4s, v%d.4s", t+2*c, t+2*c, t+2*c+1)
		}
		for j := range 4 {
			p := w + j%2*2
			s.g("FLDPQ.P 32(R%d), (F%d, F%d)", qmN, p, p+1)
			for i := range 2 * cols {
				s.v("mla v%d.4s, v%d.4s, v%d.s[%d]", isum+i, p+i%2, t+i&^1, j)
			}
		}
		s.g("SUBS $1, R%d, R%d\nBNE minima", qmLoop, qmLoop)
		scaled("fmls", qmM)
	}
	quantMatEnd(s, cols, y)
}
