package kernel

import (
	"fmt"
	"testing"
)

// eachBench runs f for every set that is worth timing.
func eachBench(b *testing.B, f func(b *testing.B, s *Set)) {
	for _, s := range Sets()[1:] {
		b.Run(s.Name, func(b *testing.B) { f(b, s) })
	}
}

// rate reports n units of work per iteration as 1e9 units per second.
func rate(b *testing.B, n float64, unit string) {
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e9, unit)
	b.ReportMetric(0, "ns/op")
}

func BenchmarkLimits(b *testing.B) {
	buf := make([]byte, 256<<20)
	for i := range buf {
		buf[i] = byte(i)
	}
	eachBench(b, func(b *testing.B, s *Set) {
		const n = 1 << 17
		compute := func(name string, f func(int), ops int) {
			if f != nil {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						f(n)
					}
					rate(b, float64(n*ops), "GFLOP/s")
				})
			}
		}
		b.Run("Read", func(b *testing.B) {
			for b.Loop() {
				s.Limits.Read(buf)
			}
			rate(b, float64(len(buf)), "GB/s")
		})
		compute("F32", s.Limits.F32FMA, s.Limits.Ops.F32)
		compute("BF16", s.Limits.BF16Dot, s.Limits.Ops.BF16)
		compute("Int8", s.Limits.Int8Dot, s.Limits.Ops.Int8)
	})
}

// BenchmarkMat times products of 4096 columns along K: one column over a
// matrix beyond the caches (GB/s of weights), few, and a micro-batch.
func BenchmarkMat(b *testing.B) {
	const k = 4096
	const rows, big = 64, 16 << 10
	w := make([]float32, big*k)
	h := make([]uint16, big*k)
	r := newRand(1)
	for i := range w[:rows*k] {
		w[i] = float32(r.NormFloat64())
		h[i] = floatToHalf(w[i])
	}
	for i := rows * k; i < len(w); i += rows * k {
		copy(w[i:], w[:rows*k])
		copy(h[i:], h[:rows*k])
	}
	x := normals(r, 256*k)
	y := make([]float32, 256*rows)
	eachBench(b, func(b *testing.B, s *Set) {
		run := map[string]func(at, rows, cols int){
			"F32":  func(at, rows, cols int) { s.MatF32(y, rows, w[at*k:], k, x, k, rows, cols, k) },
			"F16":  func(at, rows, cols int) { s.MatF16(y, rows, h[at*k:], k, x, k, rows, cols, k) },
			"BF16": func(at, rows, cols int) { s.MatBF16(y, rows, h[at*k:], k, x, k, rows, cols, k) },
		}
		for _, name := range []string{"F32", "F16", "BF16"} {
			size := 2
			if name == "F32" {
				size = 4
			}
			for _, cols := range []int{1, 2, 4, 8} {
				b.Run(fmt.Sprintf("%s/cols=%d", name, cols), func(b *testing.B) {
					for b.Loop() {
						for at := 0; at < big; at += rows {
							run[name](at, rows, cols)
						}
					}
					rate(b, float64(big*k*size), "GB/s")
				})
			}
			for _, cols := range []int{16, 64, 256} {
				b.Run(fmt.Sprintf("%s/cols=%d", name, cols), func(b *testing.B) {
					at := 0
					for b.Loop() {
						run[name](at, rows, cols)
						at = (at + rows) % 4096
					}
					rate(b, 2*float64(rows*cols*k), "GFLOP/s")
				})
			}
		}
	})
}
