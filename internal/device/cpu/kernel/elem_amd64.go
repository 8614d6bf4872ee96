//go:build amd64 && !purego

package kernel

// useAVX2 takes the AVX2 kernels of all that is no matrix product; the AVX-512
// set has no faster ones.
func (s *Set) useAVX2() {
	s.QuantizeAct32, s.QuantizeAct256 = avx2QuantizeAct32, avx2QuantizeAct256
	s.RMSNorm, s.Add, s.Scale, s.SwiGLU = avx2RMSNorm, avx2AddSlice, avx2ScaleSlice, avx2SwiGLUSlice
	s.RoPE, s.Exp = avx2RoPEHeads, avx2ExpSlice
	s.StoreKVF32, s.StoreKVF16, s.StoreKVQ8 = avx2StoreKVF32, avx2StoreKVF16, avx2StoreKVQ8
	s.AttnF32, s.AttnF16, s.AttnQ8 = avx2AttnF32, avx2AttnF16, avx2AttnQ8
	s.Train = vectorTrain()
}

// The kernels below take at least 8 elements and multiples of 8; their callers
// pad a tail.

//go:noescape
func avx2Exp(y, x *float32, n int)

//go:noescape
func avx2SwiGLU(y, gate, up *float32, n int)

//go:noescape
func avx2Add(y, x *float32, n int)

//go:noescape
func avx2Scale(y, x *float32, n int, scale float32)

//go:noescape
func avx2ScaleMul(y, x, gain *float32, n int, scale float32)

// avx2SumSquares takes multiples of 16.
//
//go:noescape
func avx2SumSquares(lanes, x *float32, n int)

// avx2RoPE takes multiples of 4 pairs.
//
//go:noescape
func avx2RoPE(x, cos, sin *float32, pairs int, scale float32)

// avx2Quantize32 and avx2Quantize256 quantise n blocks, at least 1; see
// genericQuantizeAct32 and genericQuantizeAct256.

//go:noescape
func avx2Quantize32(q *int8, d *float32, sum *int32, x *float32, n int)

//go:noescape
func avx2Quantize256(q *int8, d *float32, sum *int32, x *float32, n int)

// elemPiece bounds one assembly call to well below a millisecond.
const elemPiece = 1 << 16

func avx2ExpSlice(y, x []float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		avx2Exp(&y[0], &x[0], n)
		y, x = y[n:], x[n:]
	}
	if len(y) > 0 {
		var t [8]float32
		copy(t[:], x)
		avx2Exp(&t[0], &t[0], 8)
		copy(y, t[:])
	}
}

func avx2SwiGLUSlice(y, g, u []float32) {
	g, u = g[:len(y)], u[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		avx2SwiGLU(&y[0], &g[0], &u[0], n)
		y, g, u = y[n:], g[n:], u[n:]
	}
	if len(y) > 0 {
		var t, v [8]float32
		copy(t[:], g)
		copy(v[:], u)
		avx2SwiGLU(&t[0], &t[0], &v[0], 8)
		copy(y, t[:])
	}
}

func avx2AddSlice(y, x []float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		avx2Add(&y[0], &x[0], n)
		y, x = y[n:], x[n:]
	}
	for i := range y {
		y[i] += x[i]
	}
}

func avx2ScaleSlice(y, x []float32, scale float32) {
	x = x[:len(y)]
	for len(y) >= 8 {
		n := min(len(y)&^7, elemPiece)
		avx2Scale(&y[0], &x[0], n, scale)
		y, x = y[n:], x[n:]
	}
	for i := range y {
		y[i] = x[i] * scale
	}
}

// scaleRow: x = x*scale.
func scaleRow(x []float32, scale float32) { avx2ScaleSlice(x, x, scale) }

func avx2RMSNorm(y, x, g []float32, eps float32) {
	y, g = y[:len(x)], g[:len(x)]
	s := rmsScale(avx2SumOfSquares(x), len(x), eps)
	for len(x) >= 8 {
		n := min(len(x)&^7, elemPiece)
		avx2ScaleMul(&y[0], &x[0], &g[0], n, s)
		y, x, g = y[n:], x[n:], g[n:]
	}
	for i, v := range x {
		y[i] = v * s * g[i]
	}
}

// avx2SumOfSquares is genericDot(x, x).
func avx2SumOfSquares(x []float32) float32 {
	var lanes [16]float32
	for len(x) >= 16 {
		n := min(len(x)&^15, elemPiece)
		avx2SumSquares(&lanes[0], &x[0], n)
		x = x[n:]
	}
	if len(x) > 0 {
		var t [16]float32
		copy(t[:], x)
		avx2SumSquares(&lanes[0], &t[0], 16)
	}
	return sumLanes(&lanes)
}

func avx2RoPEHeads(x []float32, h int, cos, sin []float32, scale float32) {
	pairs := h / 2 &^ 3
	cos, sin = cos[:h/2], sin[:h/2]
	for ; len(x) >= h; x = x[h:] {
		if pairs > 0 {
			avx2RoPE(&x[0], &cos[0], &sin[0], pairs, scale)
		}
		if pairs < h/2 {
			genericRoPE(x[2*pairs:h], h-2*pairs, cos[pairs:], sin[pairs:], scale)
		}
	}
}

func avx2QuantizeAct32(a *Act, x []float32, ldx, row0, row1 int) {
	nb := a.K / 32
	if nb == 0 {
		return
	}
	for r := row0; r < row1; r++ {
		row, q := x[r*ldx:r*ldx+a.K], a.Q[r*a.K:(r+1)*a.K]
		d, sum := a.D[r*nb:(r+1)*nb], a.Sum[r*nb:(r+1)*nb]
		avx2Quantize32(&q[0], &d[0], &sum[0], &row[0], nb)
	}
}

func avx2QuantizeAct256(a *Act, x []float32, ldx, row0, row1 int) {
	nb := a.K / 256
	if nb == 0 {
		return
	}
	for r := row0; r < row1; r++ {
		row, q := x[r*ldx:r*ldx+a.K], a.Q[r*a.K:(r+1)*a.K]
		d, sum := a.D[r*nb:(r+1)*nb], a.Sum[r*nb*16:(r+1)*nb*16]
		avx2Quantize256(&q[0], &d[0], &sum[0], &row[0], nb)
	}
}
