package kernel

import "math"

// Train are a set's routines for training that work element by element and row
// by row. All sets give the same bits. Sums over a row have the 16 lanes and the
// tree of the float kernels, element i in lane i%16.
//
// Slices are as long as the first one, if nothing else is said.
type Train struct {
	// Axpy: y = fma(a, x, y).
	Axpy func(y, x []float32, a float32)
	// Lerp: y = fma(t, x-y, y), a moving average.
	Lerp func(y, x []float32, t float32)
	// Dot returns the sum of x*y.
	Dot func(x, y []float32) float32
	// SumSquares returns the sum of squares in float64: 16 lanes, the tree.
	SumSquares func(x []float32) float64

	// ExpMax replaces a row that is not empty by x = exp(x - max) and returns max
	// and the sum of what stands there then.
	ExpMax func(x []float32) (max, sum float32)
	// Softmax is ExpMax, then x = x * (1/sum). It returns the log-sum-exp.
	Softmax func(x []float32) (lse float32)
	// LogSumExp returns a row's log-sum-exp and, in nats, the entropy of its
	// softmax.
	LogSumExp func(x []float32) (lse, entropy float32)
	// ExpSub: y = exp(x - c), which is the softmax where c is the log-sum-exp. y
	// may be x.
	ExpSub func(y, x []float32, c float32)
	// SoftmaxBack: dp = p*(dp - d), the gradient of what p is the softmax of,
	// where d is the sum of p*dp.
	SoftmaxBack func(dp, p []float32, d float32)
	// ProbGrad: x = p*(a + b*log p), where log p = x - lse. Logits become their
	// gradient so: a is the gradient of -log p[target] or of the log-sum-exp, b
	// that of the entropy; what falls on the target alone is the caller's.
	ProbGrad func(x []float32, lse, a, b float32)

	// SwiGLUBack: with s = 1/(1+exp(-g)), dg = dy*u * s*(1 + g*(1-s)) and
	// du = dy * g*s. dg and du may be g and u.
	SwiGLUBack func(dg, du, dy, g, u []float32)
	// RMSNormBack is one row: with r = 1/sqrt(mean(x*x)+eps) as in RMSNorm,
	// dx += (dy*gain - x * r*r*mean(dy*gain*x)) * r and, where dgain is not nil,
	// dgain += dy*x*r.
	RMSNormBack func(dx, dgain, dy, x, gain []float32, eps float32)
	// RoPEBack is RoPE's inverse rotation, times scale.
	RoPEBack func(x []float32, h int, cos, sin []float32, scale float32)

	// AdamW updates p, m and v from the gradient g and clears g.
	AdamW func(p, g, m, v []float32, s *AdamW)
}

// AdamW are the constants of a step of AdamW (arXiv 1711.05101, algorithm 2):
//
//	g = g*GradScale
//	m = fma(Beta1, m, Rest1*g)
//	v = fma(Beta2, v, Rest2*g*g)
//	p = fma(-Rate, m / (sqrt(v*InvCorrection2) + Eps), p*Keep)
type AdamW struct {
	GradScale      float32
	Beta1, Rest1   float32 // Rest is 1 - Beta
	Beta2, Rest2   float32
	InvCorrection2 float32 // 1/(1 - Beta2^t)
	Eps            float32
	Rate           float32 // learning rate / (1 - Beta1^t)
	Keep           float32 // 1 - learning rate * decay
}

// NewAdamW returns the constants for a step; those that are derived are computed
// in float64. correction1 and correction2 are 1 - beta^t.
func NewAdamW(lr, beta1, beta2, eps, decay, correction1, correction2, gradScale float32) AdamW {
	return AdamW{
		GradScale: gradScale,
		Beta1:     beta1, Rest1: float32(1 - float64(beta1)),
		Beta2: beta2, Rest2: float32(1 - float64(beta2)),
		InvCorrection2: float32(1 / float64(correction2)),
		Eps:            eps,
		Rate:           float32(float64(lr) / float64(correction1)),
		Keep:           float32(1 - float64(lr)*float64(decay)),
	}
}

func genericTrain() Train {
	return Train{
		Axpy:        genericAxpy,
		Lerp:        genericLerp,
		Dot:         func(x, y []float32) float32 { return genericDot(x, y) },
		SumSquares:  genericSumSquares,
		ExpMax:      genericExpMax,
		Softmax:     genericSoftmax,
		LogSumExp:   genericLogSumExp,
		ExpSub:      genericExpSub,
		SoftmaxBack: genericSoftmaxBack,
		ProbGrad:    genericProbGrad,
		SwiGLUBack:  genericSwiGLUBack,
		RMSNormBack: genericRMSNormBack,
		RoPEBack:    genericRoPEBack,
		AdamW:       genericAdamW,
	}
}

func genericAxpy(y, x []float32, a float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = fma32(a, x[i], y[i])
	}
}

func genericLerp(y, x []float32, t float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = fma32(t, x[i]-y[i], y[i])
	}
}

func genericSumSquares(x []float32) float64 {
	var lanes [16]float64
	squareLanes(&lanes, x)
	return sumLanes64(&lanes)
}

// squareLanes adds squares, which are exact.
func squareLanes(lanes *[16]float64, x []float32) {
	for i, v := range x {
		lanes[i%16] += float64(v) * float64(v)
	}
}

func sumLanes64(l *[16]float64) float64 {
	for _, n := range [...]int{8, 4, 2, 1} {
		for i := range n {
			l[i] += l[i+n]
		}
	}
	return l[0]
}

func genericExpMax(x []float32) (m, sum float32) {
	m = maxOf(float32(math.Inf(-1)), x)
	var lanes [16]float32
	expLanes(&lanes, x, m)
	return m, sumLanes(&lanes)
}

func genericSoftmax(x []float32) float32 {
	m, sum := genericExpMax(x)
	genericScale(x, x, 1/sum)
	return logSumExp(m, sum)
}

// maxOf returns the largest of m and x, of which NaN are none.
func maxOf(m float32, x []float32) float32 {
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// expLanes replaces x by exp(x-m) and adds it to the lanes.
func expLanes(lanes *[16]float32, x []float32, m float32) {
	for i, v := range x {
		x[i] = exp32(v - m)
		lanes[i%16] += x[i]
	}
}

func logSumExp(m, sum float32) float32 {
	return float32(float64(m) + math.Log(float64(sum)))
}

func genericLogSumExp(x []float32) (lse, entropy float32) {
	m := maxOf(float32(math.Inf(-1)), x)
	var sums, moments [16]float32
	momentLanes(&sums, &moments, x, m)
	return entropyOf(m, &sums, &moments)
}

// momentFloor is below where exp gives 0: what lies further below the maximum,
// even infinitely, counts as nothing.
const momentFloor = -128

// momentLanes adds e = exp(d) and e*d, d = x-m.
func momentLanes(sums, moments *[16]float32, x []float32, m float32) {
	for i, v := range x {
		d := v - m
		if d < momentFloor {
			d = momentFloor
		}
		e := exp32(d)
		sums[i%16] += e
		moments[i%16] = fma32(e, d, moments[i%16])
	}
}

// entropyOf finishes a row: with p = e/sum, the entropy -sum p*log p is
// log(sum) - sum e*d / sum.
func entropyOf(m float32, sums, moments *[16]float32) (lse, entropy float32) {
	sum, moment := sumLanes(sums), sumLanes(moments)
	return logSumExp(m, sum), float32(math.Log(float64(sum)) - float64(moment)/float64(sum))
}

func genericExpSub(y, x []float32, c float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = exp32(x[i] - c)
	}
}

func genericSoftmaxBack(dp, p []float32, d float32) {
	p = p[:len(dp)]
	for i := range dp {
		dp[i] = p[i] * (dp[i] - d)
	}
}

func genericProbGrad(x []float32, lse, a, b float32) {
	for i, v := range x {
		l := v - lse
		if l < momentFloor {
			l = momentFloor
		}
		x[i] = exp32(l) * fma32(b, l, a)
	}
}

func genericSwiGLUBack(dg, du, dy, g, u []float32) {
	for i := range dg {
		s := 1 / (1 + exp32(-g[i]))
		gs := g[i] * s
		slope := fma32(gs, 1-s, s)
		dg[i], du[i] = dy[i]*u[i]*slope, dy[i]*gs
	}
}

func genericRMSNormBack(dx, dgain, dy, x, gain []float32, eps float32) {
	var squares, dots [16]float32
	rmsLanes(&squares, &dots, dy, x, gain)
	r, c := rmsBackScales(&squares, &dots, len(x), eps)
	if dgain != nil {
		gainGrad(dgain, dy, x, r)
	}
	rmsGrad(dx, dy, x, gain, r, c)
}

// rmsLanes adds x*x and dy*gain*x.
func rmsLanes(squares, dots *[16]float32, dy, x, gain []float32) {
	for i, v := range x {
		squares[i%16] = fma32(v, v, squares[i%16])
		dots[i%16] = fma32(dy[i]*gain[i], v, dots[i%16])
	}
}

// rmsBackScales returns r and r*r*mean(dy*gain*x).
func rmsBackScales(squares, dots *[16]float32, n int, eps float32) (r, c float32) {
	r = rmsScale(sumLanes(squares), n, eps)
	return r, r * r * (sumLanes(dots) / float32(n))
}

func gainGrad(dgain, dy, x []float32, r float32) {
	for i, v := range x {
		dgain[i] = fma32(dy[i], v*r, dgain[i])
	}
}

func rmsGrad(dx, dy, x, gain []float32, r, c float32) {
	for i, v := range x {
		dx[i] = fma32(fma32(-c, v, dy[i]*gain[i]), r, dx[i])
	}
}

func genericRoPEBack(x []float32, h int, cos, sin []float32, scale float32) {
	for ; len(x) >= h; x = x[h:] {
		for i := range h / 2 {
			a, b, c, s := x[2*i], x[2*i+1], cos[i], sin[i]
			x[2*i] = (float32(a*c) + float32(b*s)) * scale
			x[2*i+1] = (float32(b*c) - float32(a*s)) * scale
		}
	}
}

func genericAdamW(p, g, m, v []float32, s *AdamW) {
	for i := range p {
		d := g[i] * s.GradScale
		g[i] = 0
		m[i] = fma32(s.Beta1, m[i], s.Rest1*d)
		v[i] = fma32(s.Beta2, v[i], s.Rest2*d*d)
		root := float32(math.Sqrt(float64(v[i] * s.InvCorrection2)))
		p[i] = fma32(-s.Rate, m[i]/(root+s.Eps), p[i]*s.Keep)
	}
}
