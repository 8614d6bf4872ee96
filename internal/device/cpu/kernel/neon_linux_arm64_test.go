//go:build !purego

package kernel

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"

	"github.com/cria-llm/cria/internal/sys/cpufeat"
	"github.com/cria-llm/cria/internal/tensor"
)

// neonOrSkip returns the set under test.
func neonOrSkip(t *testing.T) *Set {
	if !cpufeat.HasDotProd() {
		t.Skip("this processor has no dot product instructions")
	}
	return neonSet()
}

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

func TestNEONElementwise(t *testing.T) {
	generic, neon := genericSet(), neonOrSkip(t)
	r := newRand(11)
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
			f(neon, got, guardedCopy(t, x), guardedCopy(t, g), guardedCopy(t, u))
			diffBits(t, fmt.Sprintf("%s of %d", what, n), got, want)
		}
		run("exp", func(s *Set, y, x, g, u []float32) { s.Exp(y, x) })
		run("add", func(s *Set, y, x, g, u []float32) { s.Add(y, x) })
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
	big := normals(r, elemPiece+21)
	want, got := make([]float32, len(big)), make([]float32, len(big))
	generic.RMSNorm(want, big, big, 1e-6)
	neon.RMSNorm(got, big, big, 1e-6)
	diffBits(t, "RMSNorm of a long row", got, want)
}

func TestNEONQuantizeAct(t *testing.T) {
	generic, neon := genericSet(), neonOrSkip(t)
	r := newRand(12)
	for size, f := range map[int][2]func(a *Act, x []float32, ldx, row0, row1 int){
		32: {generic.QuantizeAct32, neon.QuantizeAct32}, 256: {generic.QuantizeAct256, neon.QuantizeAct256},
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

// TestNEONAttention stores pages and attends to them with both sets: all cache
// types, head dimensions that are no multiple of a vector, numbers of queries
// around the group of four, windows, what lies outside of them being NaN.
func TestNEONAttention(t *testing.T) {
	generic, neon := genericSet(), neonOrSkip(t)
	r := newRand(13)
	for kind, c := range map[string]struct {
		size        int
		store       [2]func(kpage, vpage []byte, k, v []float32, h, pos int)
		attn        [2]AttnTile
		multipleOf  int
		scaleBlocks int
	}{
		"f32":  {4, [2]func(kpage, vpage []byte, k, v []float32, h, pos int){generic.StoreKVF32, neon.StoreKVF32}, [2]AttnTile{generic.AttnF32, neon.AttnF32}, 2, 0},
		"f16":  {2, [2]func(kpage, vpage []byte, k, v []float32, h, pos int){generic.StoreKVF16, neon.StoreKVF16}, [2]AttnTile{generic.AttnF16, neon.AttnF16}, 2, 0},
		"q8_0": {1, [2]func(kpage, vpage []byte, k, v []float32, h, pos int){generic.StoreKVQ8, neon.StoreKVQ8}, [2]AttnTile{generic.AttnQ8, neon.AttnQ8}, 32, 1},
	} {
		for trial := range 60 {
			h := c.multipleOf * (1 + r.IntN(max(4, 80/c.multipleOf)))
			bytesPerPage := PageTokens * (h*c.size + c.scaleBlocks*h/32*2)
			var k, v [2][]byte
			for i := range 2 {
				k[i], v[i] = guarded[byte](t, bytesPerPage), guarded[byte](t, bytesPerPage)
				for j := range k[i] {
					k[i][j], v[i][j] = 0xff, 0xff // NaN in either float type
				}
			}
			first, end := 0, PageTokens
			if trial%2 == 1 {
				first, end = r.IntN(PageTokens), 1+r.IntN(PageTokens)
			}
			for pos := first; pos < end; pos++ {
				key, value := normals(r, h), normals(r, h)
				if trial%5 == 0 && pos%16 == 0 {
					key[0], value[h-1] = 1e6, -1e6
				}
				for i := range 2 {
					c.store[i](k[i], v[i], guardedCopy(t, key), guardedCopy(t, value), h, pos)
				}
			}
			if !bytes.Equal(k[0], k[1]) || !bytes.Equal(v[0], v[1]) {
				t.Fatalf("%s: pages of head dimension %d differ", kind, h)
			}
			n := 1 + r.IntN(10)
			q := normals(r, n*h)
			lo, hi := guarded[int32](t, n), guarded[int32](t, n)
			var st [2]AttnState
			for i := range 2 {
				st[i] = AttnState{M: guarded[float32](t, n), L: guarded[float32](t, n), Acc: guarded[float32](t, n*h), P: guarded[float32](t, n*PageTokens)}
				for j := range n {
					st[i].M[j] = float32(math.Inf(-1))
				}
			}
			for page := range 3 {
				for j := range n {
					lo[j], hi[j] = 0, 0
					if first < end && r.IntN(6) > 0 {
						lo[j] = int32(first + r.IntN(end-first))
						hi[j] = lo[j] + int32(r.IntN(end-int(lo[j])+1))
						if trial%3 == 0 {
							lo[j], hi[j] = int32(first), int32(end)
						}
					}
				}
				for i := range 2 {
					c.attn[i](&st[i], guardedCopy(t, q), n, h, k[i], v[i], lo, hi)
				}
				what := fmt.Sprintf("%s trial %d page %d h %d queries %d", kind, trial, page, h, n)
				diffBits(t, what+" maxima", st[1].M, st[0].M)
				diffBits(t, what+" sums", st[1].L, st[0].L)
				if diffBits(t, what+" values", st[1].Acc, st[0].Acc) {
					t.Fatal(lo, hi)
				}
			}
		}
	}
}

// TestNEONMatGuarded runs the float products at the end of readable memory.
func TestNEONMatGuarded(t *testing.T) {
	neon := neonOrSkip(t)
	r := newRand(14)
	for trial := range 300 {
		rows, cols, k := 1+r.IntN(9), 1+r.IntN(20), 1+r.IntN(70)
		w, x, y := normals(r, rows*k), guardedCopy(t, normals(r, cols*k)), guarded[float32](t, rows*cols)
		neon.MatF32(y, rows, guardedCopy(t, w), k, x, k, rows, cols, k)
		neon.MatF16(y, rows, guardedCopy(t, halves(w, floatToHalf)), k, x, k, rows, cols, k)
		neon.MatBF16(y, rows, guardedCopy(t, halves(w, floatToBfloat)), k, x, k, rows, cols, k)
		if trial%10 == 0 {
			p := guarded[byte](t, 1+r.IntN(5000))
			neon.Limits.Read(p)
		}
	}
}

// TestNEONAllocatesNothing holds that no kernel allocates once its scratch is
// there.
func TestNEONAllocatesNothing(t *testing.T) {
	neon := neonOrSkip(t)
	r := newRand(16)
	const k, rows, cols, h = 1280, 16, 20, 64
	x, w, y := normals(r, cols*k), normals(r, rows*k), make([]float32, rows*cols)
	w16 := halves(w, floatToHalf)
	q := neon.Quant[tensor.Q4_K]
	a := fills[0].acts(t, r, tensor.Q4_K, cols, k)
	panels := pack(t, neon, tensor.Q4_K, fills[0].matrix(r, tensor.Q4_K, rows, k), rows, k)
	var u Unpacked
	st := AttnState{M: make([]float32, 5), L: make([]float32, 5), Acc: make([]float32, 5*h), P: make([]float32, 5*PageTokens)}
	kpage, vpage := make([]byte, 2*h*PageTokens), make([]byte, 2*h*PageTokens)
	lo, hi := []int32{0, 0, 1, 2, 3}, []int32{64, 60, 50, 40, 30}
	allocs := testing.AllocsPerRun(3, func() {
		neon.MatF32(y, rows, w, k, x, k, rows, cols, k)
		neon.MatF16(y, rows, w16, k, x, k, rows, cols, k)
		neon.RMSNorm(y[:99], x[:99], w[:99], 1e-5)
		neon.SwiGLU(y[:99], x[:99], w[:99])
		neon.QuantizeAct256(a, x, k, 0, cols)
		q.Vec(y, panels, rows/8, a, 0)
		q.Unpack(&u, panels, k)
		q.Mat(y, rows, &u, a, 0, cols)
		neon.StoreKVF16(kpage, vpage, x[:h], w[:h], h, 3)
		neon.AttnF16(&st, x[:5*h], 5, h, kpage, vpage, lo, hi)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestNEONFault holds that a fault inside assembly, as a truncated file under a
// mapping makes it, becomes a panic that can be recovered.
func TestNEONFault(t *testing.T) {
	neon := neonOrSkip(t)
	r := newRand(17)
	const k = 256
	panels := guarded[byte](t, 8*tensor.Q4_0.RowBytes(k))
	beyond := unsafe.Slice(&panels[0], 2*len(panels))
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() == nil {
			t.Error("reading beyond the mapping did not fault")
		}
	}()
	neon.Quant[tensor.Q4_0].Vec(make([]float32, 16), beyond, 2, fills[0].acts(t, r, tensor.Q4_0, 1, k), 0)
}
