//go:build amd64 && !purego

package kernel

import (
	"math"
	"unsafe"
)

// avx2Train are the kernels of training. What is left of a row below whole
// vectors is padded where there are exponentials, else plain Go's.
func avx2Train() Train {
	return Train{
		Axpy:        avx2AxpySlice,
		Lerp:        avx2LerpSlice,
		Dot:         avx2DotSlices,
		SumSquares:  avx2SumSquares64,
		ExpMax:      avx2ExpMaxRow,
		Softmax:     avx2SoftmaxRow,
		LogSumExp:   avx2LogSumExpRow,
		ExpSub:      avx2ExpSubSlice,
		SoftmaxBack: avx2SoftmaxBackSlice,
		ProbGrad:    avx2ProbGradSlice,
		SwiGLUBack:  avx2SwiGLUBackSlice,
		RMSNormBack: avx2RMSNormBackRow,
		RoPEBack:    avx2RoPEBackHeads,
		AdamW:       avx2AdamWSlice,
	}
}

// The kernels below take at least 8 elements and multiples of 8, those with
// lanes 16 and multiples of 16.

//go:noescape
func avx2Axpy(y, x *float32, n int, a float32)

//go:noescape
func avx2Lerp(y, x *float32, n int, t float32)

//go:noescape
func avx2Dot(lanes, x, y *float32, n int)

//go:noescape
func avx2Squares64(lanes *float64, x *float32, n int)

//go:noescape
func avx2RowMax(x *float32, n int) float32

//go:noescape
func avx2ExpSum(lanes, x *float32, n int, m float32)

//go:noescape
func avx2ExpMoments(lanes, x *float32, n int, m float32)

//go:noescape
func avx2ExpSub(y, x *float32, n int, c float32)

//go:noescape
func avx2SoftmaxBack(dp, p *float32, n int, d float32)

//go:noescape
func avx2ProbGrad(x *float32, n int, lse, a, b float32)

//go:noescape
func avx2SwiGLUBack(dgate, dup, dy, gate, up *float32, n int)

//go:noescape
func avx2RMSSums(lanes, dy, x, gain *float32, n int)

//go:noescape
func avx2GainGrad(dgain, dy, x *float32, n int, r float32)

//go:noescape
func avx2RMSGrad(dx, dy, x, gain *float32, n int, r, c float32)

// avx2RoPEBack takes multiples of 4 pairs.
//
//go:noescape
func avx2RoPEBack(x, cos, sin *float32, pairs int, scale float32)

//go:noescape
func avx2AdamW(p, grad, m, v *float32, n int, s unsafe.Pointer)

func avx2AxpySlice(y, x []float32, a float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		avx2Axpy(&y[0], &x[0], n, a)
		y, x = y[n:], x[n:]
	}
	genericAxpy(y, x, a)
}

func avx2LerpSlice(y, x []float32, t float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		avx2Lerp(&y[0], &x[0], n, t)
		y, x = y[n:], x[n:]
	}
	genericLerp(y, x, t)
}

func avx2DotSlices(x, y []float32) float32 {
	y = y[:len(x)]
	var lanes [16]float32
	for len(x) >= 16 {
		n := min(len(x)&^15, elemPiece)
		avx2Dot(&lanes[0], &x[0], &y[0], n)
		x, y = x[n:], y[n:]
	}
	dotLanes(&lanes, x, y)
	return sumLanes(&lanes)
}

func avx2SumSquares64(x []float32) float64 {
	var lanes [16]float64
	for len(x) >= 16 {
		n := min(len(x)&^15, elemPiece)
		avx2Squares64(&lanes[0], &x[0], n)
		x = x[n:]
	}
	squareLanes(&lanes, x)
	return sumLanes64(&lanes)
}

func avx2MaxOf(x []float32) float32 {
	m := float32(math.Inf(-1))
	for len(x) >= 8 {
		n := min(len(x)&^7, elemPiece)
		if v := avx2RowMax(&x[0], n); v > m {
			m = v
		}
		x = x[n:]
	}
	return maxOf(m, x)
}

func avx2ExpMaxRow(x []float32) (m, sum float32) {
	m = avx2MaxOf(x)
	var lanes [16]float32
	rest := x
	for len(rest) >= 16 {
		n := min(len(rest)&^15, elemPiece)
		avx2ExpSum(&lanes[0], &rest[0], n, m)
		rest = rest[n:]
	}
	if n := len(rest); n > 0 {
		t := padded16(rest)
		avx2ExpSum(&lanes[0], &t[0], 16, m)
		copy(rest, t[:n])
	}
	return m, sumLanes(&lanes)
}

func avx2SoftmaxRow(x []float32) float32 {
	m, sum := avx2ExpMaxRow(x)
	avx2ScaleSlice(x, x, 1/sum)
	return logSumExp(m, sum)
}

func avx2LogSumExpRow(x []float32) (lse, entropy float32) {
	m := avx2MaxOf(x)
	var lanes [2][16]float32
	for len(x) >= 16 {
		n := min(len(x)&^15, elemPiece)
		avx2ExpMoments(&lanes[0][0], &x[0], n, m)
		x = x[n:]
	}
	if len(x) > 0 {
		t := padded16(x)
		avx2ExpMoments(&lanes[0][0], &t[0], 16, m)
	}
	return entropyOf(m, &lanes[0], &lanes[1])
}

func avx2ExpSubSlice(y, x []float32, c float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		avx2ExpSub(&y[0], &x[0], n, c)
		y, x = y[n:], x[n:]
	}
	if len(y) > 0 {
		var t [8]float32
		copy(t[:], x)
		avx2ExpSub(&t[0], &t[0], 8, c)
		copy(y, t[:])
	}
}

// padded16 is x and what adds nothing to a sum of exponentials.
func padded16(x []float32) (t [16]float32) {
	for i := copy(t[:], x); i < len(t); i++ {
		t[i] = float32(math.Inf(-1))
	}
	return t
}

func avx2SoftmaxBackSlice(dp, p []float32, d float32) {
	p = p[:len(dp)]
	for len(dp) >= 8 {
		n := min(len(dp)&^7, elemPiece)
		avx2SoftmaxBack(&dp[0], &p[0], n, d)
		dp, p = dp[n:], p[n:]
	}
	genericSoftmaxBack(dp, p, d)
}

func avx2ProbGradSlice(x []float32, lse, a, b float32) {
	for len(x) >= 8 {
		n := min(len(x)&^7, elemPiece)
		avx2ProbGrad(&x[0], n, lse, a, b)
		x = x[n:]
	}
	if len(x) > 0 {
		var t [8]float32
		copy(t[:], x)
		avx2ProbGrad(&t[0], 8, lse, a, b)
		copy(x, t[:])
	}
}

func avx2SwiGLUBackSlice(dg, du, dy, g, u []float32) {
	du, dy, g, u = du[:len(dg)], dy[:len(dg)], g[:len(dg)], u[:len(dg)]
	for len(dg) >= 8 {
		n := min(len(dg)&^7, elemPiece)
		avx2SwiGLUBack(&dg[0], &du[0], &dy[0], &g[0], &u[0], n)
		dg, du, dy, g, u = dg[n:], du[n:], dy[n:], g[n:], u[n:]
	}
	genericSwiGLUBack(dg, du, dy, g, u)
}

func avx2RMSNormBackRow(dx, dgain, dy, x, gain []float32, eps float32) {
	dy, x, gain = dy[:len(dx)], x[:len(dx)], gain[:len(dx)]
	whole := len(dx) &^ 15
	var lanes [2][16]float32
	for i := 0; i < whole; i += elemPiece {
		avx2RMSSums(&lanes[0][0], &dy[i], &x[i], &gain[i], min(whole-i, elemPiece))
	}
	rmsLanes(&lanes[0], &lanes[1], dy[whole:], x[whole:], gain[whole:])
	r, c := rmsBackScales(&lanes[0], &lanes[1], len(dx), eps)
	whole = len(dx) &^ 7
	if dgain != nil {
		dgain = dgain[:len(dx)]
		for i := 0; i < whole; i += elemPiece {
			avx2GainGrad(&dgain[i], &dy[i], &x[i], min(whole-i, elemPiece), r)
		}
		gainGrad(dgain[whole:], dy[whole:], x[whole:], r)
	}
	for i := 0; i < whole; i += elemPiece {
		avx2RMSGrad(&dx[i], &dy[i], &x[i], &gain[i], min(whole-i, elemPiece), r, c)
	}
	rmsGrad(dx[whole:], dy[whole:], x[whole:], gain[whole:], r, c)
}

func avx2RoPEBackHeads(x []float32, h int, cos, sin []float32, scale float32) {
	pairs := h / 2 &^ 3
	cos, sin = cos[:h/2], sin[:h/2]
	for ; len(x) >= h; x = x[h:] {
		if pairs > 0 {
			avx2RoPEBack(&x[0], &cos[0], &sin[0], pairs, scale)
		}
		if pairs < h/2 {
			genericRoPEBack(x[2*pairs:h], h-2*pairs, cos[pairs:], sin[pairs:], scale)
		}
	}
}

func avx2AdamWSlice(p, g, m, v []float32, s *AdamW) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for len(p) >= 8 {
		n := min(len(p)&^7, elemPiece)
		avx2AdamW(&p[0], &g[0], &m[0], &v[0], n, unsafe.Pointer(s))
		p, g, m, v = p[n:], g[n:], m[n:], v[n:]
	}
	genericAdamW(p, g, m, v, s)
}
