package kernel

import (
	"fmt"
	"math"
	"testing"
)

// TestAttentionNotFinite puts infinities and NaN into queries, keys and values:
// what becomes NaN in plain Go becomes NaN in every set, and what does not has
// the same bits. The running maximum is not compared where the sum is NaN: no
// result depends on it then.
func TestAttentionNotFinite(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		generic, r := genericSet(), newRand(21)
		odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 3e38, -3e38}
		for kind, kv := range map[string][2]kvBench{
			"f32": {kvBenches(generic)[0], kvBenches(s)[0]},
			"f16": {kvBenches(generic)[1], kvBenches(s)[1]},
		} {
			for trial := range 20 {
				const h, n = 40, 7
				size := kv[0].bytes(h)
				k, v := make([]byte, size), make([]byte, size)
				at := r.IntN(PageTokens) // of the odd key or value
				for pos := range PageTokens {
					key, value := normals(r, h), normals(r, h)
					if pos == at {
						switch trial % 3 {
						case 0:
							key[r.IntN(h)] = odd[r.IntN(len(odd))]
						case 1:
							value[r.IntN(h)] = odd[r.IntN(len(odd))]
						}
					}
					kv[0].store(k, v, key, value, h, pos)
				}
				q := normals(r, n*h)
				if trial%3 == 2 {
					q[r.IntN(n)*h+r.IntN(h)] = odd[r.IntN(len(odd))]
				}
				lo, hi := make([]int32, n), make([]int32, n)
				for i := range n { // some see the odd one, some do not
					lo[i] = int32(r.IntN(PageTokens))
					hi[i] = lo[i] + int32(r.IntN(PageTokens-int(lo[i])+1))
				}
				var st [2]AttnState
				for i := range st {
					st[i] = AttnState{M: make([]float32, n), L: make([]float32, n), Acc: make([]float32, n*h), P: make([]float32, n*PageTokens)}
					for j := range n {
						st[i].M[j] = float32(math.Inf(-1))
					}
				}
				for page := range 2 {
					for i := range st {
						kv[i].attn(&st[i], q, n, h, k, v, lo, hi)
					}
					for i := range n {
						if st[0].L[i] != st[0].L[i] {
							st[1].M[i] = st[0].M[i]
						}
					}
					what := fmt.Sprintf("%s trial %d page %d", kind, trial, page)
					diffBits(t, what+" maxima", st[1].M, st[0].M)
					diffBits(t, what+" sums", st[1].L, st[0].L)
					diffBits(t, what+" values", st[1].Acc, st[0].Acc)
				}
			}
		}
	})
}
