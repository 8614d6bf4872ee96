package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkGemm times products in the shapes of training and gives the best rate
// as a fraction of that of the machine's limit, which is measured in turns with
// them: others may be at work on the machine.
func BenchmarkGemm(b *testing.B) {
	for _, workers := range []int{1, 2} {
		d, err := New(Options{Workers: workers})
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		r := rand.New(rand.NewPCG(1, 2))
		for _, s := range []struct {
			m, n, k int
		}{{256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {2048, 288, 288}, {2048, 768, 288}, {2048, 288, 768}, {288, 768, 2048}, {1024, 1024, 4096}, {2048, 48, 2048}, {2048, 2048, 48}} {
			for _, trans := range []string{"AB", "ABt", "AtB"} {
				a, w := gemmOperand(r, s.m, s.k, trans == "AtB"), gemmOperand(r, s.k, s.n, trans == "ABt")
				c := gemmOperand(r, s.m, s.n, false)
				flops := 2 * float64(s.m) * float64(s.n) * float64(s.k)
				b.Run(fmt.Sprintf("workers=%d/%s/%dx%dx%d", workers, trans, s.m, s.n, s.k), func(b *testing.B) {
					gemmRate(b, d, flops, func() { d.gemm(c, a, w, true) })
				})
			}
		}
	}
}

// gemmRate reports the best of all runs.
func gemmRate(b *testing.B, d *Device, flops float64, f func()) {
	best, limit := time.Hour, time.Hour
	// As much work as the product's on one core: clocks change with time.
	n := int(flops) / d.set.Limits.Ops.F32
	for b.Loop() {
		start := time.Now()
		d.Begin()
		f()
		d.End()
		best = min(best, time.Since(start))
		start = time.Now()
		d.set.Limits.F32FMA(n)
		limit = min(limit, time.Since(start))
	}
	rate := flops / best.Seconds() / 1e9
	peak := float64(n*d.set.Limits.Ops.F32) / limit.Seconds() / 1e9
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rate, "GFLOP/s")
	b.ReportMetric(rate/peak/float64(d.Workers()), "of-limit")
}

// BenchmarkGemmOne times the products of attention: rows of some queries, some
// keys, and a head of h within rows of heads*h.
func BenchmarkGemmOne(b *testing.B) {
	d, err := New(Options{Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if err := d.growGemm(); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	const queries, heads = 128, 8
	for _, keys := range []int{128, 512, 2048} {
		for _, h := range []int{48, 64, 128} {
			values := func(rows, cols int) []float32 {
				x := make([]float32, rows*cols)
				for i := range x {
					x[i] = float32(r.NormFloat64())
				}
				return x
			}
			head := func(rows int) gemmMat {
				return gemmMat{data: values(rows, heads*h), rows: rows, cols: h, ld: heads * h}
			}
			q, kv, p := head(queries), head(keys), dense(values(queries, keys), queries, keys)
			flops := 2 * queries * float64(keys) * float64(h)
			for _, op := range []struct {
				name    string
				c, a, b gemmMat
			}{{"P=QKt", p, q, kv.t()}, {"Q=PK", q, p, kv}, {"K=PtQ", kv, p.t(), q}} {
				b.Run(fmt.Sprintf("%s/keys=%d/h=%d", op.name, keys, h), func(b *testing.B) {
					gemmRate(b, d, flops, func() { d.gemmOne(&d.scratch[0].gemm, op.c, op.a, op.b, false) })
				})
			}
		}
	}
}
