package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// guardedCopy returns x at the end of readable memory.
func guardedCopy[T any](t *testing.T, x []T) []T {
	t.Helper()
	g := guarded[T](t, len(x))
	copy(g, x)
	return g
}

// special are values that must take the same way in every set.
func special(r *rand.Rand, x []float32) []float32 {
	odd := []float32{0, float32(math.Copysign(0, -1)), 1e-40, -3e-39, 88.8, -87.4, 1e30, -1e30, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.Float32frombits(0xffc12345)}
	for i := range x {
		if r.IntN(5) == 0 {
			x[i] = odd[r.IntN(len(odd))]
		}
	}
	return x
}

// TestElementwise compares every set with plain Go bit for bit, on slices at
// the end of readable memory.
func TestElementwise(t *testing.T) { eachSet(t, testElementwise) }

func testElementwise(t *testing.T, set *Set) {
	generic, r := genericSet(), newRand(11)
	for n := 1; n <= 100; n++ {
		x, g, u := normals(r, n), normals(r, n), normals(r, n)
		if n%2 == 0 {
			special(r, x)
			special(r, g)
		}
		if n%4 == 0 {
			for i := range x {
				x[i] *= 40
			}
		}
		run := func(what string, f func(s *Set, y, x, g, u []float32)) {
			want, got := slices.Clone(u), guardedCopy(t, u)
			f(generic, want, x, g, u)
			f(set, got, guardedCopy(t, x), guardedCopy(t, g), guardedCopy(t, u))
			diffBits(t, fmt.Sprintf("%s of %d", what, n), got, want)
		}
		run("exp", func(s *Set, y, x, g, u []float32) { s.Exp(y, x) })
		run("add", func(s *Set, y, x, g, u []float32) { s.Add(y, x) })
		run("scale", func(s *Set, y, x, g, u []float32) { s.Scale(y, x, 0.3) })
		run("scale in place", func(s *Set, y, x, g, u []float32) { s.Scale(y, y, -7) })
		run("SwiGLU", func(s *Set, y, x, g, u []float32) { s.SwiGLU(y, x, u) })
		run("SwiGLU in place of g", func(s *Set, y, x, g, u []float32) { s.SwiGLU(y, y, x) })
		run("SwiGLU in place of u", func(s *Set, y, x, g, u []float32) { s.SwiGLU(y, x, y) })
		run("RMSNorm", func(s *Set, y, x, g, u []float32) { s.RMSNorm(y, u, g, 1e-5) })
		run("RMSNorm in place", func(s *Set, y, x, g, u []float32) { s.RMSNorm(y, y, g, 1e-5) })
		run("RMSNorm of odd values", func(s *Set, y, x, g, u []float32) { s.RMSNorm(y, x, g, 1e-5) })
		if n%2 == 0 {
			run("RoPE", func(s *Set, y, x, g, u []float32) { s.RoPE(y, n, x[:n/2], g[:n/2], 0.75) })
		}
		if n%3 == 0 && n%2 == 0 {
			run("RoPE of three heads", func(s *Set, y, x, g, u []float32) { s.RoPE(y, n/3, g[:n/6], x[:n/6], 1) })
		}
	}
	const piece = 1 << 16 // assembly is called for at most as much
	big := normals(r, piece+21)
	run := func(what string, f func(s *Set, y, x []float32)) {
		want, got := slices.Clone(big), slices.Clone(big)
		f(generic, want, big)
		f(set, got, big)
		diffBits(t, what+" of a long row", got, want)
	}
	run("RMSNorm", func(s *Set, y, x []float32) { s.RMSNorm(y, x, x, 1e-6) })
	run("exp", func(s *Set, y, x []float32) { s.Exp(y, x) })
	run("add", func(s *Set, y, x []float32) { s.Add(y, x) })
	run("scale", func(s *Set, y, x []float32) { s.Scale(y, x, 3.3) })
	run("SwiGLU", func(s *Set, y, x []float32) { s.SwiGLU(y, x, y) })
}

// TestExpEqualsGeneric takes floats of every exponent and kind.
func TestExpEqualsGeneric(t *testing.T) {
	var x []float32
	for b := uint64(0); b < 1<<32; b += 2097 {
		x = append(x, math.Float32frombits(uint32(b)))
	}
	for _, edge := range []float32{expMin, expMax} {
		x = append(x, math.Nextafter32(edge, -1e9), edge, math.Nextafter32(edge, 1e9))
	}
	want := make([]float32, len(x))
	genericExp(want, x)
	eachSet(t, func(t *testing.T, s *Set) {
		got := make([]float32, len(x))
		s.Exp(got, x)
		diffBits(t, "exp", got, want)
	})
}

// TestQuantizeAct compares scales, quants and sums with plain Go's: ties, tiny
// numbers, infinities and NaN.
func TestQuantizeAct(t *testing.T) { eachSet(t, testQuantizeAct) }

func testQuantizeAct(t *testing.T, set *Set) {
	generic, r := genericSet(), newRand(12)
	for size, f := range map[int][2]func(a *Act, x []float32, ldx, row0, row1 int){
		32: {generic.QuantizeAct32, set.QuantizeAct32}, 256: {generic.QuantizeAct256, set.QuantizeAct256},
	} {
		for trial := range 200 {
			rows, k := 1+r.IntN(4), size*(1+r.IntN(4))
			ldx := k + r.IntN(3)
			x := normals(r, rows*ldx)
			switch trial % 4 {
			case 1: // ties
				for i := range x {
					x[i] = float32(r.IntN(255)-127) / 2
				}
				x[0] = 127
			case 2:
				for i := range x {
					x[i] *= 1e-37
				}
			case 3:
				if r.IntN(2) == 0 {
					special(r, x)
				} else {
					clear(x)
				}
			}
			act := func() *Act {
				n, sums := k/size, k/32
				if size == 256 {
					sums = k / 16
				}
				return &Act{K: k, Rows: rows, Q: guarded[int8](t, rows*k), D: guarded[float32](t, rows*n), Sum: guarded[int32](t, rows*sums)}
			}
			want, got := act(), act()
			f[0](want, x, ldx, 0, rows)
			f[1](got, guardedCopy(t, x[:(rows-1)*ldx+k]), ldx, 0, rows)
			what := fmt.Sprintf("activations per %d, trial %d", size, trial)
			diffBits(t, what, got.D, want.D)
			for i := range want.Q {
				if got.Q[i] != want.Q[i] {
					t.Fatalf("%s: quant %d is %d, want %d", what, i, got.Q[i], want.Q[i])
				}
			}
			for i := range want.Sum {
				if got.Sum[i] != want.Sum[i] {
					t.Fatalf("%s: sum %d is %d, want %d", what, i, got.Sum[i], want.Sum[i])
				}
			}
		}
	}
}
