//go:build !purego

package kernel

import (
	"runtime/debug"
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
