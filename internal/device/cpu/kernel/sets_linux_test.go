package kernel

import (
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/cria-llm/cria/internal/tensor"
)

// TestMatGuarded runs the float products at the end of readable memory.
func TestMatGuarded(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := newRand(14)
		for range 300 {
			rows, cols, k := 1+r.IntN(9), 1+r.IntN(20), 1+r.IntN(70)
			w, x, y := normals(r, rows*k), guardedCopy(t, normals(r, cols*k)), guarded[float32](t, rows*cols)
			s.MatF32(y, rows, guardedCopy(t, w), k, x, k, rows, cols, k)
			s.MatF16(y, rows, guardedCopy(t, halves(w, floatToHalf)), k, x, k, rows, cols, k)
			s.MatBF16(y, rows, guardedCopy(t, halves(w, floatToBfloat)), k, x, k, rows, cols, k)
		}
	})
}

// TestLimitsReturn holds that the limits' loops end, without a fault, for
// memory of any length.
func TestLimitsReturn(t *testing.T) {
	for _, s := range Sets() {
		r := newRand(15)
		for range 30 {
			s.Limits.Read(guarded[byte](t, 1+r.IntN(5000)))
		}
		for name, f := range map[string]func(n int){"F32FMA": s.Limits.F32FMA, "BF16Dot": s.Limits.BF16Dot, "Int8Dot": s.Limits.Int8Dot} {
			if f == nil {
				t.Logf("%s has no %s", s.Name, name)
				continue
			}
			for n := 1; n < 5; n++ {
				f(n)
			}
		}
	}
}

// TestAllocatesNothing holds that no kernel allocates once its scratch is
// there.
func TestAllocatesNothing(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := newRand(16)
		const k, rows, cols, h = 1280, 16, 20, 64
		x, w, y := normals(r, cols*k), normals(r, rows*k), make([]float32, rows*cols)
		w16 := halves(w, floatToHalf)
		q := s.Quant[tensor.Q4_K]
		a := fills[0].acts(t, r, tensor.Q4_K, cols, k)
		panels := pack(t, s, tensor.Q4_K, fills[0].matrix(r, tensor.Q4_K, rows, k), rows, k)
		var u Unpacked
		st := AttnState{M: make([]float32, 5), L: make([]float32, 5), Acc: make([]float32, 5*h), P: make([]float32, 5*PageTokens)}
		kpage, vpage := make([]byte, 2*h*PageTokens), make([]byte, 2*h*PageTokens)
		lo, hi := []int32{0, 0, 1, 2, 3}, []int32{64, 60, 50, 40, 30}
		allocs := testing.AllocsPerRun(3, func() {
			s.MatF32(y, rows, w, k, x, k, rows, cols, k)
			s.MatF16(y, rows, w16, k, x, k, rows, cols, k)
			s.RMSNorm(y[:99], x[:99], w[:99], 1e-5)
			s.SwiGLU(y[:99], x[:99], w[:99])
			s.QuantizeAct256(a, x, k, 0, cols)
			if q.Vec != nil {
				q.Vec(y, panels, rows/s.PanelRows, a, 0)
			}
			q.Unpack(&u, panels[:s.PanelRows*tensor.Q4_K.RowBytes(k)], k)
			q.Mat(y, rows, &u, a, 0, cols)
			s.StoreKVF16(kpage, vpage, x[:h], w[:h], h, 3)
			s.AttnF16(&st, x[:5*h], 5, h, kpage, vpage, lo, hi)
		})
		if allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	})
}

// TestFault holds that a fault inside assembly, as a truncated file under a
// mapping makes it, becomes a panic that can be recovered.
func TestFault(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := newRand(17)
		const k = 256
		panels := guarded[byte](t, s.PanelRows*tensor.Q4_0.RowBytes(k))
		beyond := unsafe.Slice(&panels[0], 2*len(panels))
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if recover() == nil {
				t.Error("reading beyond the mapping did not fault")
			}
		}()
		s.Quant[tensor.Q4_0].Vec(make([]float32, 2*s.PanelRows), beyond, 2, fills[0].acts(t, r, tensor.Q4_0, 1, k), 0)
	})
}
