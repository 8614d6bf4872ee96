//go:build (amd64 || arm64) && !purego

package kernel

import (
	"math"
	"unsafe"
)

// vectorTrain are the kernels of training, in AVX2 or NEON. What is left of a row below whole
// vectors is padded where there are exponentials, else plain Go's.
func vectorTrain() Train {
	return Train{
		Axpy:        vectorAxpySlice,
		Lerp:        vectorLerpSlice,
		Dot:         vectorDotSlices,
		SumSquares:  vectorSumSquares64,
		ExpMax:      vectorExpMaxRow,
		Softmax:     vectorSoftmaxRow,
		LogSumExp:   vectorLogSumExpRow,
		ExpSub:      vectorExpSubSlice,
		SoftmaxBack: vectorSoftmaxBackSlice,
		ProbGrad:    vectorProbGradSlice,
		SwiGLUBack:  vectorSwiGLUBackSlice,
		RMSNormBack: vectorRMSNormBackRow,
		RoPEBack:    vectorRoPEBackHeads,
		AdamW:       vectorAdamWSlice,
	}
}

// The kernels below take at least 8 elements and multiples of 8, those with
// lanes 16 and multiples of 16.

//go:noescape
func trainAxpy(y, x *float32, n int, a float32)

//go:noescape
func trainLerp(y, x *float32, n int, t float32)

//go:noescape
func trainDot(lanes, x, y *float32, n int)

//go:noescape
func trainSquares64(lanes *float64, x *float32, n int)

//go:noescape
func trainRowMax(x *float32, n int) float32

//go:noescape
func trainExpSum(lanes, x *float32, n int, m float32)

//go:noescape
func trainExpMoments(lanes, x *float32, n int, m float32)

//go:noescape
func trainExpSub(y, x *float32, n int, c float32)

//go:noescape
func trainSoftmaxBack(dp, p *float32, n int, d float32)

//go:noescape
func trainProbGrad(x *float32, n int, lse, a, b float32)

//go:noescape
func trainSwiGLUBack(dgate, dup, dy, gate, up *float32, n int)

//go:noescape
func trainRMSSums(lanes, dy, x, gain *float32, n int)

//go:noescape
func trainGainGrad(dgain, dy, x *float32, n int, r float32)

//go:noescape
func trainRMSGrad(dx, dy, x, gain *float32, n int, r, c float32)

// avx2RoPEBack takes multiples of 4 pairs.
//
//go:noescape
func trainRoPEBack(x, cos, sin *float32, pairs int, scale float32)

//go:noescape
func trainAdamW(p, grad, m, v *float32, n int, s unsafe.Pointer)

func vectorAxpySlice(y, x []float32, a float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		trainAxpy(&y[0], &x[0], n, a)
		y, x = y[n:], x[n:]
	}
	genericAxpy(y, x, a)
}

func vectorLerpSlice(y, x []float32, t float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		trainLerp(&y[0], &x[0], n, t)
		y, x = y[n:], x[n:]
	}
	genericLerp(y, x, t)
}

func vectorDotSlices(x, y []float32) float32 {
	y = y[:len(x)]
	var lanes [16]float32
	for len(x) >= 16 {
		n := min(len(x)&^15, elemPiece)
		trainDot(&lanes[0], &x[0], &y[0], n)
		x, y = x[n:], y[n:]
	}
	dotLanes(&lanes, x, y)
	return sumLanes(&lanes)
}

func vectorSumSquares64(x []float32) float64 {
	var lanes [16]float64
	for len(x) >= 16 {
		n := min(len(x)&^15, elemPiece)
		trainSquares64(&lanes[0], &x[0], n)
		x = x[n:]
	}
	squareLanes(&lanes, x)
	return sumLanes64(&lanes)
}

func vectorMaxOf(x []float32) float32 {
	m := float32(math.Inf(-1))
	for len(x) >= 8 {
		n := min(len(x)&^7, elemPiece)
		if v := trainRowMax(&x[0], n); v > m {
			m = v
		}
		x = x[n:]
	}
	return maxOf(m, x)
}

func vectorExpMaxRow(x []float32) (m, sum float32) {
	m = vectorMaxOf(x)
	var lanes [16]float32
	rest := x
	for len(rest) >= 16 {
		n := min(len(rest)&^15, elemPiece)
		trainExpSum(&lanes[0], &rest[0], n, m)
		rest = rest[n:]
	}
	if n := len(rest); n > 0 {
		t := padded16(rest)
		trainExpSum(&lanes[0], &t[0], 16, m)
		copy(rest, t[:n])
	}
	return m, sumLanes(&lanes)
}

func vectorSoftmaxRow(x []float32) float32 {
	m, sum := vectorExpMaxRow(x)
	scaleRow(x, 1/sum)
	return logSumExp(m, sum)
}

func vectorLogSumExpRow(x []float32) (lse, entropy float32) {
	m := vectorMaxOf(x)
	var lanes [2][16]float32
	for len(x) >= 16 {
		n := min(len(x)&^15, elemPiece)
		trainExpMoments(&lanes[0][0], &x[0], n, m)
		x = x[n:]
	}
	if len(x) > 0 {
		t := padded16(x)
		trainExpMoments(&lanes[0][0], &t[0], 16, m)
	}
	return entropyOf(m, &lanes[0], &lanes[1])
}

func vectorExpSubSlice(y, x []float32, c float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		trainExpSub(&y[0], &x[0], n, c)
		y, x = y[n:], x[n:]
	}
	if len(y) > 0 {
		var t [8]float32
		copy(t[:], x)
		trainExpSub(&t[0], &t[0], 8, c)
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

func vectorSoftmaxBackSlice(dp, p []float32, d float32) {
	p = p[:len(dp)]
	for len(dp) >= 8 {
		n := min(len(dp)&^7, elemPiece)
		trainSoftmaxBack(&dp[0], &p[0], n, d)
		dp, p = dp[n:], p[n:]
	}
	genericSoftmaxBack(dp, p, d)
}

func vectorProbGradSlice(x []float32, lse, a, b float32) {
	for len(x) >= 8 {
		n := min(len(x)&^7, elemPiece)
		trainProbGrad(&x[0], n, lse, a, b)
		x = x[n:]
	}
	if len(x) > 0 {
		var t [8]float32
		copy(t[:], x)
		trainProbGrad(&t[0], 8, lse, a, b)
		copy(x, t[:])
	}
}

func vectorSwiGLUBackSlice(dg, du, dy, g, u []float32) {
	du, dy, g, u = du[:len(dg)], dy[:len(dg)], g[:len(dg)], u[:len(dg)]
	for len(dg) >= 8 {
		n := min(len(dg)&^7, elemPiece)
		trainSwiGLUBack(&dg[0], &du[0], &dy[0], &g[0], &u[0], n)
		dg, du, dy, g, u = dg[n:], du[n:], dy[n:], g[n:], u[n:]
	}
	genericSwiGLUBack(dg, du, dy, g, u)
}

func vectorRMSNormBackRow(dx, dgain, dy, x, gain []float32, eps float32) {
	dy, x, gain = dy[:len(dx)], x[:len(dx)], gain[:len(dx)]
	whole := len(dx) &^ 15
	var lanes [2][16]float32
	for i := 0; i < whole; i += elemPiece {
		trainRMSSums(&lanes[0][0], &dy[i], &x[i], &gain[i], min(whole-i, elemPiece))
	}
	rmsLanes(&lanes[0], &lanes[1], dy[whole:], x[whole:], gain[whole:])
	r, c := rmsBackScales(&lanes[0], &lanes[1], len(dx), eps)
	whole = len(dx) &^ 7
	if dgain != nil {
		dgain = dgain[:len(dx)]
		for i := 0; i < whole; i += elemPiece {
			trainGainGrad(&dgain[i], &dy[i], &x[i], min(whole-i, elemPiece), r)
		}
		gainGrad(dgain[whole:], dy[whole:], x[whole:], r)
	}
	for i := 0; i < whole; i += elemPiece {
		trainRMSGrad(&dx[i], &dy[i], &x[i], &gain[i], min(whole-i, elemPiece), r, c)
	}
	rmsGrad(dx[whole:], dy[whole:], x[whole:], gain[whole:], r, c)
}

func vectorRoPEBackHeads(x []float32, h int, cos, sin []float32, scale float32) {
	pairs := h / 2 &^ 3
	cos, sin = cos[:h/2], sin[:h/2]
	for ; len(x) >= h; x = x[h:] {
		if pairs > 0 {
			trainRoPEBack(&x[0], &cos[0], &sin[0], pairs, scale)
		}
		if pairs < h/2 {
			genericRoPEBack(x[2*pairs:h], h-2*pairs, cos[pairs:], sin[pairs:], scale)
		}
	}
}

func vectorAdamWSlice(p, g, m, v []float32, s *AdamW) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for len(p) >= 8 {
		n := min(len(p)&^7, elemPiece)
		trainAdamW(&p[0], &g[0], &m[0], &v[0], n, unsafe.Pointer(s))
		p, g, m, v = p[n:], g[n:], m[n:], v[n:]
	}
	genericAdamW(p, g, m, v, s)
}
