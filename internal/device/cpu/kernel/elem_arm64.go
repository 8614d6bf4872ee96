//go:build arm64 && !purego

package kernel

import (
	"math"
	"unsafe"
)

// neonExpTable is exp32's constants in the order in which the kernels keep
// them: four in one register, then one to a register.
//
//lint:ignore U1000 read by assembly
var neonExpTable = [...]float32{
	log2E, -ln2Hi, -ln2Lo, exp6,
	expMagic, exp5, exp4, exp3, exp2, 1, expMin, expMax, float32(math.Inf(1)),
}

// The kernels below take at least 4 elements and multiples of 4; their callers
// pad a tail.

//go:noescape
func neonExp(y, x *float32, n int)

//go:noescape
func neonSwiGLU(y, gate, up *float32, n int)

//go:noescape
func neonRoPE(x, cos, sin *float32, pairs int, scale *float32)

//go:noescape
func neonAdd(y, x *float32, n int)

//go:noescape
func neonScaleMul(y, x, gain *float32, n int, scale *float32)

//go:noescape
func neonToHalf(dst *uint16, src *float32, n int)

// neonQuantize32 and neonQuantize256 quantise n blocks, at least 1; see
// genericQuantizeAct32 and genericQuantizeAct256.

//go:noescape
func neonQuantize32(q *int8, d *float32, sum *int32, x *float32, n int)

//go:noescape
func neonQuantize256(q *int8, d *float32, sum *int32, x *float32, n int)

// elemPiece bounds one assembly call to well below a millisecond.
const elemPiece = 1 << 16

func neonExpSlice(y, x []float32) {
	x = x[:len(y)]
	for len(y) >= 4 {
		n := min(len(y)&^3, elemPiece)
		neonExp(&y[0], &x[0], n)
		y, x = y[n:], x[n:]
	}
	if len(y) > 0 {
		var t [4]float32
		copy(t[:], x)
		neonExp(&t[0], &t[0], 4)
		copy(y, t[:])
	}
}

func neonSwiGLUSlice(y, g, u []float32) {
	g, u = g[:len(y)], u[:len(y)]
	for len(y) >= 4 {
		n := min(len(y)&^3, elemPiece)
		neonSwiGLU(&y[0], &g[0], &u[0], n)
		y, g, u = y[n:], g[n:], u[n:]
	}
	if len(y) > 0 {
		var t, v [4]float32
		copy(t[:], g)
		copy(v[:], u)
		neonSwiGLU(&t[0], &t[0], &v[0], 4)
		copy(y, t[:])
	}
}

func neonAddSlice(y, x []float32) {
	x = x[:len(y)]
	for len(y) >= 4 {
		n := min(len(y)&^3, elemPiece)
		neonAdd(&y[0], &x[0], n)
		y, x = y[n:], x[n:]
	}
	for i := range y {
		y[i] += x[i]
	}
}

//go:noescape
func trainScale(y, x *float32, n int, scale float32)

func neonScaleSlice(y, x []float32, scale float32) {
	x = x[:len(y)]
	for len(y) >= 4 {
		n := min(len(y)&^3, elemPiece)
		trainScale(&y[0], &x[0], n, scale)
		y, x = y[n:], x[n:]
	}
	genericScale(y, x, scale)
}

// scaleRow: x = x*scale.
func scaleRow(x []float32, scale float32) { neonScaleSlice(x, x, scale) }

func neonRMSNorm(y, x, g []float32, eps float32) {
	y, g = y[:len(x)], g[:len(x)]
	s := rmsScale(neonDot(x, x), len(x), eps)
	for len(x) >= 4 {
		n := min(len(x)&^3, elemPiece)
		neonScaleMul(&y[0], &x[0], &g[0], n, &s)
		y, x, g = y[n:], x[n:], g[n:]
	}
	for i, v := range x {
		y[i] = v * s * g[i]
	}
}

// neonDot is genericDot.
func neonDot(w, x []float32) float32 {
	x = x[:len(w)]
	var lanes [16]float32
	var y float32
	a := tileArgs{y: &y, acc: &lanes[0], n: 1, flags: tileFirst}
	for len(w) >= 16 {
		n := min(len(w)&^15, elemPiece)
		a.w, a.x, a.k = unsafe.Pointer(&w[0]), &x[0], uintptr(n/16)
		w, x = w[n:], x[n:]
		if len(w) == 0 {
			a.flags |= tileLast
		}
		neonTileF32x1x1(&a)
		a.flags &^= tileFirst
	}
	if a.flags&tileLast == 0 { // a tail, or nothing at all
		var wt, xt [16]float32
		copy(wt[:], w)
		copy(xt[:], x)
		a.w, a.x, a.k = unsafe.Pointer(&wt), &xt[0], 1
		a.flags |= tileLast
		neonTileF32x1x1(&a)
	}
	return y
}

func neonRoPEHeads(x []float32, h int, cos, sin []float32, scale float32) {
	pairs := h / 2 &^ 3
	cos, sin = cos[:h/2], sin[:h/2]
	for ; len(x) >= h; x = x[h:] {
		if pairs > 0 {
			neonRoPE(&x[0], &cos[0], &sin[0], pairs, &scale)
		}
		if pairs < h/2 {
			genericRoPE(x[2*pairs:h], h-2*pairs, cos[pairs:], sin[pairs:], scale)
		}
	}
}

func neonQuantizeAct32(a *Act, x []float32, ldx, row0, row1 int) {
	nb := a.K / 32
	if nb == 0 {
		return
	}
	for r := row0; r < row1; r++ {
		row, q := x[r*ldx:r*ldx+a.K], a.Q[r*a.K:(r+1)*a.K]
		d, sum := a.D[r*nb:(r+1)*nb], a.Sum[r*nb:(r+1)*nb]
		neonQuantize32(&q[0], &d[0], &sum[0], &row[0], nb)
	}
}

func neonQuantizeAct256(a *Act, x []float32, ldx, row0, row1 int) {
	nb := a.K / 256
	if nb == 0 {
		return
	}
	for r := row0; r < row1; r++ {
		row, q := x[r*ldx:r*ldx+a.K], a.Q[r*a.K:(r+1)*a.K]
		d, sum := a.D[r*nb:(r+1)*nb], a.Sum[r*nb*16:(r+1)*nb*16]
		neonQuantize256(&q[0], &d[0], &sum[0], &row[0], nb)
	}
}
