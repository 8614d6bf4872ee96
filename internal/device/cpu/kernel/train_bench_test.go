package kernel

import "testing"

// BenchmarkTrain times the element-wise routines of training on rows that stay
// in cache, in GB/s of all that is read and written, and AdamW and the sum of
// squares from memory too.
func BenchmarkTrain(b *testing.B) {
	const n, big = 4096, 8 << 20
	r := newRand(1)
	x, y, u, v, w := normals(r, n), normals(r, n), normals(r, n), normals(r, n), normals(r, n)
	var long [4][]float32
	for i := range long {
		long[i] = make([]float32, big)
		for j := 0; j < big; j += n {
			copy(long[i][j:], x)
		}
	}
	adam := NewAdamW(1e-3, 0.9, 0.95, 1e-8, 0.1, 0.5, 0.5, 1)
	eachBench(b, func(b *testing.B, s *Set) {
		t := &s.Train
		for _, op := range []struct {
			name  string
			bytes int
			f     func()
		}{
			{"Axpy", 12 * n, func() { t.Axpy(y, x, 1e-9) }},
			{"Lerp", 12 * n, func() { t.Lerp(y, x, 1e-3) }},
			{"Dot", 8 * n, func() { t.Dot(y, x) }},
			{"SumSquares", 4 * n, func() { t.SumSquares(x) }},
			{"Softmax", 8 * n, func() { t.Softmax(y) }},
			{"LogSumExp", 4 * n, func() { t.LogSumExp(x) }},
			{"ExpSub", 8 * n, func() { t.ExpSub(y, x, 1) }},
			{"SoftmaxBack", 12 * n, func() { t.SoftmaxBack(y, x, 0.5) }},
			{"ProbGrad", 8 * n, func() { copy(y, x); t.ProbGrad(y, 1, 2, 0) }},
			{"SwiGLUBack", 20 * n, func() { t.SwiGLUBack(y, v, w, u, x) }},
			{"RMSNormBack", 28 * n, func() { t.RMSNormBack(y, v, w, u, x, 1e-5) }},
			{"RoPEBack", 8 * n, func() { t.RoPEBack(y, 128, x[:64], w[:64], 1) }},
			{"AdamW", 32 * n, func() { t.AdamW(long[0][:n], long[1][:n], long[2][:n], long[3][:n], &adam) }},
			{"AdamW/memory", 32 * big, func() { t.AdamW(long[0], long[1], long[2], long[3], &adam) }},
			{"SumSquares/memory", 4 * big, func() { t.SumSquares(long[0]) }},
		} {
			b.Run(op.name, func(b *testing.B) {
				for b.Loop() {
					op.f()
				}
				rate(b, float64(op.bytes), "GB/s")
			})
		}
	})
}
