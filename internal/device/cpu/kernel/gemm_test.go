package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// gemmCase is one product; a and b are as they lie in memory.
type gemmCase struct {
	m, n, k        int
	transA, transB bool
	add            bool
	lda, ldb, ldc  int
	a, b, c        []float32
}

func newGemmCase(r *rand.Rand, m, n, k int) *gemmCase {
	p := &gemmCase{m: m, n: n, k: k, transA: r.IntN(2) == 0, transB: r.IntN(2) == 0, add: r.IntN(2) == 0}
	matrix := func(rows, cols int, trans bool) (x []float32, ld int) {
		if trans {
			rows, cols = cols, rows
		}
		ld = cols + r.IntN(3)
		return normals(r, max(0, (rows-1)*ld+cols)), ld
	}
	p.a, p.lda = matrix(m, k, p.transA)
	p.b, p.ldb = matrix(k, n, p.transB)
	p.c, p.ldc = matrix(m, n, false)
	return p
}

func (p *gemmCase) String() string {
	return fmt.Sprintf("(%d, %d, %d), transposed %v %v, add %v", p.m, p.n, p.k, p.transA, p.transB, p.add)
}

// run computes the product with a set's routines, block by block of K and in
// pieces of some rows; a is packed or not. alloc makes the memory.
func (p *gemmCase) run(s *Set, packA bool, rows int, alloc func([]float32) []float32) []float32 {
	g := &s.Gemm
	a, b, c := alloc(p.a), alloc(p.b), alloc(p.c)
	at := func(x []float32, ld int, trans bool, i, j int) []float32 {
		if trans {
			i, j = j, i
		}
		return x[i*ld+j:]
	}
	kb := GemmBlock(p.k)
	for k := 0; k == 0 || k < p.k; k += max(1, kb) {
		kn := min(kb, p.k-k)
		pb := alloc(make([]float32, g.PackedB(kn, p.n)))
		if kn > 0 {
			g.PackB(pb, at(b, p.ldb, p.transB, k, 0), p.ldb, p.transB, kn, p.n)
		}
		for i := 0; i < p.m; i += rows {
			n := min(rows, p.m-i)
			var src []float32
			if kn > 0 {
				src = at(a, p.lda, p.transA, i, k)
			}
			ar := g.ARows(src, p.lda, p.transA)
			if packA && kn > 0 {
				pa := alloc(make([]float32, g.PackedA(n, kn)))
				g.PackA(pa, src, p.lda, p.transA, n, kn)
				ar = g.APanels(pa, kn)
			}
			g.Block(c[i*p.ldc:], p.ldc, ar, pb, n, p.n, kn, p.add || k > 0, alloc(make([]float32, n*g.NR)))
		}
	}
	return c
}

func same(x []float32) []float32 { return append([]float32(nil), x...) }

// TestGemmOracle compares the generic set with float64 sums.
func TestGemmOracle(t *testing.T) {
	r := newRand(21)
	for i := range 40 {
		p := newGemmCase(r, 1+r.IntN(20), 1+r.IntN(20), r.IntN(60))
		if i%8 == 0 {
			p = newGemmCase(r, 1+r.IntN(5), 1+r.IntN(5), 300+r.IntN(600))
		}
		got := p.run(genericSet(), i%2 == 0, 1+r.IntN(9), same)
		at := func(x []float32, ld int, trans bool, i, j int) float64 {
			if trans {
				i, j = j, i
			}
			return float64(x[i*ld+j])
		}
		for i := range got {
			row, col := i/p.ldc, i%p.ldc
			if col >= p.n {
				if got[i] != p.c[i] {
					t.Fatalf("%v: wrote between rows", p)
				}
				continue
			}
			var want, size float64
			if p.add {
				want = float64(p.c[i])
				size = math.Abs(want)
			}
			for l := range p.k {
				x := at(p.a, p.lda, p.transA, row, l) * at(p.b, p.ldb, p.transB, l, col)
				want += x
				size += math.Abs(x)
			}
			if e := math.Abs(float64(got[i]) - want); !(e <= size*0x1p-21) {
				t.Fatalf("%v: element (%d, %d) is %v, want %v", p, row, col, got[i], want)
			}
		}
	}
}

// TestGemmEqualsGeneric compares every set with plain Go bit for bit, on memory
// that ends where each operand does: all remainders of tiles, both ways of A,
// any cut of the rows, blocks of K.
func TestGemmEqualsGeneric(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := newRand(22)
		mr, nr := s.Gemm.MR, s.Gemm.NR
		compare := func(p *gemmCase) {
			want := p.run(genericSet(), false, p.m, same)
			for _, packA := range []bool{false, true} {
				rows := 1 + r.IntN(p.m)
				got := p.run(s, packA, rows, func(x []float32) []float32 { return guardedCopy(t, x) })
				diffBits(t, fmt.Sprintf("%v, packed A %v, %d rows at once", p, packA, rows), got, want)
			}
		}
		for m := 1; m <= 2*mr+1; m++ {
			for k := range 10 {
				compare(newGemmCase(r, m, 1+r.IntN(2*nr+1), k))
			}
		}
		for n := 1; n <= 2*nr+1; n++ {
			compare(newGemmCase(r, 1+r.IntN(2*mr), n, 1+r.IntN(40)))
		}
		for range 6 {
			compare(newGemmCase(r, 1+r.IntN(50), 1+r.IntN(70), 1+r.IntN(1000)))
		}
		compare(newGemmCase(r, 2*gemmManyRows+5, nr+1, 3))
	})
}

// gemmManyRows is more than one assembly call takes.
const gemmManyRows = 400

// TestGemmBlock holds what the order of sums rests on: blocks that cover K, of
// lengths that depend on K alone and fit into the first cache level.
func TestGemmBlock(t *testing.T) {
	for k := range 5000 {
		b := GemmBlock(k)
		if b > GemmMaxBlock || b < min(k, GemmMaxBlock/2) {
			t.Errorf("blocks of %d elements have %d", k, b)
		}
	}
	for k, want := range map[int]int{0: 0, 1: 1, 288: 288, 384: 384, 385: 196, 512: 256, 768: 384, 1024: 344, 2048: 344} {
		if got := GemmBlock(k); got != want {
			t.Errorf("blocks of %d elements have %d, want %d", k, got, want)
		}
	}
}
