package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// matOp is one of a set's three float products on weights given as f32; the
// weights are stored in the type first.
type matOp struct {
	name  string
	round func(float32) float32
	run   func(s *Set, y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int)
}

func halves(w []float32, to func(float32) uint16) []uint16 {
	h := make([]uint16, len(w))
	for i, v := range w {
		h[i] = to(v)
	}
	return h
}

func floatToBfloat(f float32) uint16 { return uint16(math.Float32bits(f) >> 16) }

var matOps = []matOp{
	{"F32", func(f float32) float32 { return f },
		func(s *Set, y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int) {
			s.MatF32(y, ldy, w, ldw, x, ldx, rows, cols, k)
		}},
	{"F16", func(f float32) float32 { return halfToFloat(floatToHalf(f)) },
		func(s *Set, y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int) {
			s.MatF16(y, ldy, halves(w, floatToHalf), ldw, x, ldx, rows, cols, k)
		}},
	{"BF16", func(f float32) float32 { return bfloatToFloat(floatToBfloat(f)) },
		func(s *Set, y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int) {
			s.MatBF16(y, ldy, halves(w, floatToBfloat), ldw, x, ldx, rows, cols, k)
		}},
}

// TestMatEqualsGeneric compares every set with plain Go bit for bit: ragged
// lengths, all tile remainders, strides, misaligned starts.
func TestMatEqualsGeneric(t *testing.T) {
	generic := genericSet()
	var ks []int
	step := 1
	if testing.Short() {
		step = 5 // still every remainder of a division by 16
	}
	for k := step; k <= 200; k += step {
		ks = append(ks, k)
	}
	ks = append(ks, 511, 512, 513, 1024+16, 1500, 2049)
	eachSet(t, func(t *testing.T, s *Set) {
		for _, op := range matOps {
			r := newRand(1)
			for _, k := range ks {
				rows, cols := 1+r.IntN(11), 1+r.IntN(20)
				if k%50 == 0 || k > 200 {
					rows, cols = 1+r.IntN(70), 1+r.IntN(100)
				}
				if k > 200 {
					rows, cols = rows/4+1, cols/2+1
				}
				matCompare(t, generic, s, op, r, rows, cols, k)
			}
		}
	})
}

func matCompare(t *testing.T, generic, s *Set, op matOp, r *rand.Rand, rows, cols, k int) {
	t.Helper()
	ldw, ldx, ldy := k+r.IntN(5), k+r.IntN(5), rows+r.IntN(5)
	off := r.IntN(8)
	w, x := normals(r, off+rows*ldw)[off:], normals(r, off+cols*ldx)[off:]
	got, want := make([]float32, cols*ldy), make([]float32, cols*ldy)
	for i := range got {
		got[i], want[i] = 7, 7 // what lies between rows stays
	}
	op.run(generic, want, ldy, w, ldw, x, ldx, rows, cols, k)
	op.run(s, got, ldy, w, ldw, x, ldx, rows, cols, k)
	diffBits(t, fmt.Sprintf("%s rows %d cols %d k %d", op.name, rows, cols, k), got, want)
}

// TestMatOracle compares the generic set with float64 sums.
func TestMatOracle(t *testing.T) {
	generic := genericSet()
	r := newRand(2)
	for _, op := range matOps {
		for _, k := range []int{1, 15, 16, 17, 200, 1000} {
			w, x := normals(r, 3*k), normals(r, 2*k)
			y := make([]float32, 6)
			op.run(generic, y, 3, w, k, x, k, 3, 2, k)
			for c := range 2 {
				for row := range 3 {
					var want, size float64
					for i := range k {
						p := float64(op.round(w[row*k+i])) * float64(x[c*k+i])
						want += p
						size += math.Abs(p)
					}
					if e := math.Abs(float64(y[c*3+row]) - want); e > size*0x1p-22 {
						t.Errorf("%s k %d: %v, want %v", op.name, k, y[c*3+row], want)
					}
				}
			}
		}
	}
}

// TestMatEqualBits holds the promise of the package: a column has the same
// bits alone and in any batch, a row alone and among others.
func TestMatEqualBits(t *testing.T) {
	for _, s := range Sets() {
		for _, op := range matOps {
			r := newRand(3)
			for _, k := range []int{64, 172, 1040} {
				const rows, cols = 37, 53
				w, x := normals(r, rows*k), normals(r, cols*k)
				all := make([]float32, rows*cols)
				op.run(s, all, rows, w, k, x, k, rows, cols, k)
				for c := 0; c < cols; c += 7 {
					one := make([]float32, rows)
					op.run(s, one, rows, w, k, x[c*k:], k, rows, 1, k)
					diffBits(t, fmt.Sprintf("%s %s k %d column %d alone", s.Name, op.name, k, c), one, all[c*rows:(c+1)*rows])
				}
				row, n := 5, 6
				few := make([]float32, n*cols)
				op.run(s, few, n, w[row*k:], k, x, k, n, cols, k)
				for c := range cols {
					diffBits(t, fmt.Sprintf("%s %s k %d rows %d.. of column %d", s.Name, op.name, k, row, c), few[c*n:(c+1)*n], all[c*rows+row:c*rows+row+n])
				}
			}
		}
	}
}
