package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkGemm times the tiles on packed operands and the packers by
// themselves. Beside them stand the machine's limits of the same run.
func BenchmarkGemm(b *testing.B) {
	r := newRand(1)
	eachBench(b, func(b *testing.B, s *Set) {
		b.Run("Limit", func(b *testing.B) {
			for b.Loop() {
				s.Limits.F32FMA(1 << 15)
			}
			rate(b, float64(s.Limits.Ops.F32<<15), "GFLOP/s")
		})
		g := &s.Gemm
		for _, k := range []int{48, 64, 128, 256, 288, 384} {
			const m, n = 96, 512
			a, w := normals(r, m*k), normals(r, n*k)
			c := make([]float32, m*n)
			pa, pb := make([]float32, g.PackedA(m, k)), make([]float32, g.PackedB(k, n))
			for _, rows := range []GemmRows{g.ARows(a, k, false), g.APanels(pa, k)} {
				b.Run(fmt.Sprintf("Tiles/k=%d/rows=%v", k, rows.Col == 1), func(b *testing.B) {
					for b.Loop() {
						g.Block(c, n, rows, pb, m, n, k, true, nil)
					}
					rate(b, 2*m*n*float64(k), "GFLOP/s")
				})
			}
			if k < 256 {
				continue
			}
			for _, trans := range []bool{false, true} {
				b.Run(fmt.Sprintf("PackA/k=%d/trans=%v", k, trans), func(b *testing.B) {
					for b.Loop() {
						g.PackA(pa, a, map[bool]int{false: k, true: m}[trans], trans, m, k)
					}
					rate(b, 8*m*float64(k), "GB/s")
				})
				b.Run(fmt.Sprintf("PackB/k=%d/trans=%v", k, trans), func(b *testing.B) {
					for b.Loop() {
						g.PackB(pb, w, map[bool]int{false: n, true: k}[trans], trans, k, n)
					}
					rate(b, 8*n*float64(k), "GB/s")
				})
			}
		}
	})
}
