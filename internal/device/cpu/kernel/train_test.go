package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// trainOps are all routines of Train on five rows of n elements; each returns
// its scalars.
var trainOps = []struct {
	name string
	run  func(t *Train, a, b, c, d, e []float32) []float32
}{
	{"Axpy", func(t *Train, a, b, c, d, e []float32) []float32 { t.Axpy(a, b, 0.3); return nil }},
	{"Lerp", func(t *Train, a, b, c, d, e []float32) []float32 { t.Lerp(a, b, 0.01); return nil }},
	{"Dot", func(t *Train, a, b, c, d, e []float32) []float32 { return []float32{t.Dot(a, b)} }},
	{"ExpMax", func(t *Train, a, b, c, d, e []float32) []float32 {
		m, sum := t.ExpMax(a)
		return []float32{m + 0, sum} // either zero may be the largest
	}},
	{"Softmax", func(t *Train, a, b, c, d, e []float32) []float32 { return []float32{t.Softmax(a)} }},
	{"LogSumExp", func(t *Train, a, b, c, d, e []float32) []float32 {
		lse, h := t.LogSumExp(a)
		return []float32{lse, h}
	}},
	{"ExpSub", func(t *Train, a, b, c, d, e []float32) []float32 { t.ExpSub(a, b, 0.7); return nil }},
	{"ExpSub in place", func(t *Train, a, b, c, d, e []float32) []float32 { t.ExpSub(a, a, -3); return nil }},
	{"SoftmaxBack", func(t *Train, a, b, c, d, e []float32) []float32 { t.SoftmaxBack(a, b, 0.2); return nil }},
	{"ProbGrad", func(t *Train, a, b, c, d, e []float32) []float32 { t.ProbGrad(a, 2.5, 0.3, -0.7); return nil }},
	{"SwiGLUBack", func(t *Train, a, b, c, d, e []float32) []float32 { t.SwiGLUBack(a, b, c, d, e); return nil }},
	{"SwiGLUBack in place", func(t *Train, a, b, c, d, e []float32) []float32 { t.SwiGLUBack(a, b, c, a, b); return nil }},
	{"RMSNormBack", func(t *Train, a, b, c, d, e []float32) []float32 { t.RMSNormBack(a, b, c, d, e, 1e-5); return nil }},
	{"RMSNormBack without a gain", func(t *Train, a, b, c, d, e []float32) []float32 {
		t.RMSNormBack(a, nil, c, d, e, 1e-6)
		return nil
	}},
	{"AdamW", func(t *Train, a, b, c, d, e []float32) []float32 {
		for i := range d {
			d[i] = d[i] * d[i]
		}
		s := NewAdamW(1e-3, 0.9, 0.95, 1e-8, 0.1, 0.19, 0.0975, 0.5)
		t.AdamW(a, b, c, d, &s)
		return nil
	}},
}

// TestTrainEqualsGeneric compares every set with plain Go bit for bit: ragged
// lengths at the end of readable memory, odd values, rows longer than one
// assembly call takes.
func TestTrainEqualsGeneric(t *testing.T) {
	generic := genericSet()
	eachSet(t, func(t *testing.T, s *Set) {
		r := newRand(31)
		lengths := []int{}
		for n := 1; n <= 70; n++ {
			lengths = append(lengths, n, n)
		}
		lengths = append(lengths, 1<<16+21)
		for trial, n := range lengths {
			var rows [5][]float32
			for i := range rows {
				rows[i] = normals(r, n)
				if trial%2 == 1 && n < 100 {
					special(r, rows[i])
				}
			}
			for _, op := range trainOps {
				var want, got [5][]float32
				for i := range rows {
					want[i], got[i] = slices.Clone(rows[i]), guardedCopy(t, rows[i])
				}
				w := op.run(&generic.Train, want[0], want[1], want[2], want[3], want[4])
				g := op.run(&s.Train, got[0], got[1], got[2], got[3], got[4])
				what := fmt.Sprintf("%s of %d, trial %d", op.name, n, trial)
				diffBits(t, what+": scalars", g, w)
				for i := range want {
					diffBits(t, fmt.Sprintf("%s: slice %d", what, i), got[i], want[i])
				}
			}
			if w, g := generic.Train.SumSquares(rows[0]), s.Train.SumSquares(guardedCopy(t, rows[0])); w != g && (w == w || g == g) {
				t.Errorf("sum of squares of %d: %v, want %v", n, g, w)
			}
			if n%2 == 0 {
				want, got := slices.Clone(rows[0]), guardedCopy(t, rows[0])
				cos, sin := rows[1][:n/2], rows[2][:n/2]
				generic.Train.RoPEBack(want, n, cos, sin, 0.75)
				s.Train.RoPEBack(got, n, guardedCopy(t, cos), guardedCopy(t, sin), 0.75)
				diffBits(t, fmt.Sprintf("RoPEBack of %d", n), got, want)
			}
		}
	})
}

// near fails where an element is further than tol from what float64 gives,
// relative to scale.
func near(t *testing.T, what string, got []float32, want func(i int) float64, scale, tol float64) {
	t.Helper()
	for i, v := range got {
		if w := want(i); !(math.Abs(float64(v)-w) <= tol*(scale+math.Abs(w))) {
			t.Errorf("%s: element %d is %v, want %v", what, i, v, w)
			return
		}
	}
}

// TestTrainGradients compares the backward routines with central differences in
// float64 of the forward formulas, and the others with those formulas.
func TestTrainGradients(t *testing.T) {
	const n = 37
	s := &genericSet().Train
	r := newRand(32)
	x, g, u, dy := normals(r, n), normals(r, n), normals(r, n), normals(r, n)
	wide := func(x []float32) []float64 {
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = float64(v)
		}
		return y
	}
	// slope is the derivative of f by x[i].
	slope := func(f func(x []float64) float64, x []float64) func(i int) float64 {
		return func(i int) float64 {
			const h = 1e-5
			y := slices.Clone(x)
			y[i] += h
			up := f(y)
			y[i] -= 2 * h
			return (up - f(y)) / (2 * h)
		}
	}
	weigh := func(y func(i int) float64) (sum float64) {
		for i := range n {
			sum += float64(dy[i]) * y(i)
		}
		return sum
	}

	silu := func(g float64) float64 { return g / (1 + math.Exp(-g)) }
	dg, du := make([]float32, n), make([]float32, n)
	s.SwiGLUBack(dg, du, dy, g, u)
	near(t, "dgate", dg, slope(func(g []float64) float64 {
		return weigh(func(i int) float64 { return silu(g[i]) * float64(u[i]) })
	}, wide(g)), 1, 1e-6)
	near(t, "dup", du, slope(func(u []float64) float64 {
		return weigh(func(i int) float64 { return silu(float64(g[i])) * u[i] })
	}, wide(u)), 1, 1e-6)

	norm := func(x, g []float64) float64 {
		var ss float64
		for _, v := range x {
			ss += v * v
		}
		return weigh(func(i int) float64 { return x[i] * g[i] / math.Sqrt(ss/n+1e-5) })
	}
	dx, dgain := normals(r, n), normals(r, n)
	dx0, dgain0 := slices.Clone(dx), slices.Clone(dgain)
	s.RMSNormBack(dx, dgain, dy, x, g, 1e-5)
	byX := slope(func(x []float64) float64 { return norm(x, wide(g)) }, wide(x))
	near(t, "RMSNorm's dx", dx, func(i int) float64 { return float64(dx0[i]) + byX(i) }, 1, 1e-6)
	byGain := slope(func(g []float64) float64 { return norm(wide(x), g) }, wide(g))
	near(t, "RMSNorm's dgain", dgain, func(i int) float64 { return float64(dgain0[i]) + byGain(i) }, 1, 1e-6)

	lse := func(x []float64) float64 {
		var sum float64
		for _, v := range x {
			sum += math.Exp(v)
		}
		return math.Log(sum)
	}
	entropy := func(x []float64) (h float64) {
		l := lse(x)
		for _, v := range x {
			h -= math.Exp(v-l) * (v - l)
		}
		return h
	}
	gotLSE, gotEntropy := s.LogSumExp(x)
	near(t, "log-sum-exp and entropy", []float32{gotLSE, gotEntropy}, func(i int) float64 {
		return []float64{lse(wide(x)), entropy(wide(x))}[i]
	}, 1, 1e-6)
	p := slices.Clone(x)
	near(t, "the softmax's log-sum-exp", []float32{s.Softmax(p)}, func(int) float64 { return lse(wide(x)) }, 1, 1e-6)
	byLSE := slope(lse, wide(x))
	near(t, "softmax", p, byLSE, 0, 1e-6)
	again := make([]float32, n)
	s.ExpSub(again, x, gotLSE)
	near(t, "softmax by its log-sum-exp", again, byLSE, 0, 1e-6)

	dp := slices.Clone(dy)
	s.SoftmaxBack(dp, p, s.Dot(p, dy))
	near(t, "gradient of softmax", dp, slope(func(x []float64) float64 {
		l := lse(x)
		return weigh(func(i int) float64 { return math.Exp(x[i] - l) })
	}, wide(x)), 0.1, 1e-6)

	// The loss 0.3*lse - 0.5*log p[target] + 0.7*entropy.
	const target = 5
	d := slices.Clone(x)
	s.ProbGrad(d, gotLSE, 0.3+0.5-0.7*gotEntropy, -0.7)
	d[target] -= 0.5
	near(t, "gradient of logits", d, slope(func(x []float64) float64 {
		return 0.3*lse(x) - 0.5*(x[target]-lse(x)) + 0.7*entropy(x)
	}, wide(x)), 0.1, 1e-6)

	cos, sin := make([]float32, 4), make([]float32, 4)
	for i := range cos {
		a := float64(i) + 0.5
		cos[i], sin[i] = float32(math.Cos(a)), float32(math.Sin(a))
	}
	turned := slices.Clone(x[:8])
	genericRoPE(turned, 8, cos, sin, 2)
	s.RoPEBack(turned, 8, cos, sin, 0.5)
	near(t, "a rotation and its inverse", turned, func(i int) float64 { return float64(x[i]) }, 1, 1e-6)
}

// TestAdamW compares a step with the paper's algorithm in float64.
func TestAdamW(t *testing.T) {
	r := newRand(33)
	const n = 23
	const lr, beta1, beta2, eps, decay, scale = 3e-3, 0.9, 0.95, 1e-8, 0.1, 0.25
	p, g, m, v := normals(r, n), normals(r, n), normals(r, n), normals(r, n)
	for i := range v {
		v[i] *= v[i]
	}
	p0, g0, m0, v0 := slices.Clone(p), slices.Clone(g), slices.Clone(m), slices.Clone(v)
	c1, c2 := 1-math.Pow(beta1, 3), 1-math.Pow(beta2, 3)
	s := NewAdamW(lr, beta1, beta2, eps, decay, float32(c1), float32(c2), scale)
	genericSet().Train.AdamW(p, g, m, v, &s)
	first := func(i int) float64 { return beta1*float64(m0[i]) + (1-beta1)*scale*float64(g0[i]) }
	second := func(i int) float64 {
		return beta2*float64(v0[i]) + (1-beta2)*math.Pow(scale*float64(g0[i]), 2)
	}
	near(t, "first moment", m, first, 1, 1e-6)
	near(t, "second moment", v, second, 1, 1e-6)
	near(t, "parameter", p, func(i int) float64 {
		step := first(i) / c1 / (math.Sqrt(second(i)/c2) + eps)
		return float64(p0[i]) - lr*(step+decay*float64(p0[i]))
	}, 0.01, 1e-6)
	near(t, "gradient", g, func(int) float64 { return 0 }, 0, 0)
}
