package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkElem times the element-wise kernels on rows that stay in cache, in
// GB/s of all that is read and written.
func BenchmarkElem(b *testing.B) {
	const n = 4096
	r := newRand(1)
	x, g, u := normals(r, n), normals(r, n), normals(r, n)
	y := make([]float32, n)
	a := &Act{K: n, Rows: 1, Q: make([]int8, n), D: make([]float32, n/32), Sum: make([]int32, n/16)}
	eachBench(b, func(b *testing.B, s *Set) {
		for _, op := range []struct {
			name  string
			bytes int // per element
			f     func()
		}{
			{"QuantizeAct32", 5, func() { s.QuantizeAct32(a, x, n, 0, 1) }},
			{"QuantizeAct256", 5, func() { s.QuantizeAct256(a, x, n, 0, 1) }},
			{"RMSNorm", 12, func() { s.RMSNorm(y, x, g, 1e-5) }},
			{"Add", 12, func() { s.Add(y, x) }},
			{"Scale", 8, func() { s.Scale(y, x, 0.5) }},
			{"SwiGLU", 16, func() { s.SwiGLU(y, g, u) }},
			{"RoPE", 8, func() { s.RoPE(x, 128, g[:64], u[:64], 1) }},
			{"Exp", 8, func() { s.Exp(y, g) }},
		} {
			b.Run(op.name, func(b *testing.B) {
				for b.Loop() {
					op.f()
				}
				rate(b, float64(n*op.bytes), "GB/s")
			})
		}
	})
}

// kvBench is what a benchmark needs to know of a cache type.
type kvBench struct {
	name  string
	bytes func(h int) int // of a tile of keys or values
	store func(kpage, vpage []byte, k, v []float32, h, pos int)
	attn  AttnTile
}

func kvBenches(s *Set) []kvBench {
	return []kvBench{
		{"f32", func(h int) int { return PageTokens * 4 * h }, s.StoreKVF32, s.AttnF32},
		{"f16", func(h int) int { return PageTokens * 2 * h }, s.StoreKVF16, s.AttnF16},
		{"q8_0", func(h int) int { return PageTokens * h / 32 * 34 }, s.StoreKVQ8, s.AttnQ8},
	}
}

// BenchmarkStoreKV times writing positions of a head of 128, in GB/s of what is
// read.
func BenchmarkStoreKV(b *testing.B) {
	const h = 128
	k, v := normals(newRand(1), h), normals(newRand(2), h)
	eachBench(b, func(b *testing.B, s *Set) {
		for _, kv := range kvBenches(s) {
			kt, vt := make([]byte, kv.bytes(h)), make([]byte, kv.bytes(h))
			b.Run(kv.name, func(b *testing.B) {
				pos := 0
				for b.Loop() {
					kv.store(kt, vt, k, v, h, pos)
					pos = (pos + 1) % PageTokens
				}
				rate(b, 2*4*h, "GB/s")
			})
		}
	})
}

// BenchmarkAttention walks a cache beyond the caches of the processor with few
// queries (GB/s of the cache), and one tile with many (GFLOP/s).
func BenchmarkAttention(b *testing.B) {
	const h = 128
	const maxTiles = 4096
	r := newRand(1)
	eachBench(b, func(b *testing.B, s *Set) {
		for _, kv := range kvBenches(s) {
			size := kv.bytes(h)
			tiles := min(maxTiles, 128<<20/(2*size))
			mem := hugeBytes(b, tiles*2*size)
			for pos := range PageTokens {
				kv.store(mem, mem[size:], normals(r, h), normals(r, h), h, pos)
			}
			for i := 1; i < tiles; i++ {
				copy(mem[2*i*size:], mem[:2*size])
			}
			for _, n := range []int{1, 2, 4, 8, 32} {
				st := AttnState{M: make([]float32, n), L: make([]float32, n), Acc: make([]float32, n*h), P: make([]float32, n*PageTokens), Wide: make([]float32, 2*PageTokens*h)}
				q := normals(r, n*h)
				lo, hi := make([]int32, n), make([]int32, n)
				for i := range hi {
					hi[i] = PageTokens
				}
				b.Run(fmt.Sprintf("%s/queries=%d", kv.name, n), func(b *testing.B) {
					i := 0
					for b.Loop() {
						kv.attn(&st, q, n, h, mem[2*i*size:(2*i+1)*size], mem[(2*i+1)*size:(2*i+2)*size], lo, hi)
						if i++; i == tiles {
							i = 0
						}
					}
					b.ReportMetric(2*float64(size)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
					rate(b, 4*float64(n*h*PageTokens), "GFLOP/s")
				})
			}
		}
	})
}
