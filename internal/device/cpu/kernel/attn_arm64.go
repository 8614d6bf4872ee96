//go:build arm64 && !purego

package kernel

// neonMasks are 64 words of ones, 64 of zeros, 64 of ones: a window into it
// masks the positions from some or up to some.
//
//lint:ignore U1000 read by assembly
var neonMasks = func() (m [3 * PageTokens]uint32) {
	for i := range PageTokens {
		m[i], m[2*PageTokens+i] = 1<<32-1, 1<<32-1
	}
	return m
}()

func neonAttnF32(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	t := attnTile{kvF32, st, q, h, k, v, lo[:n], hi[:n]}
	t.run()
}

func neonAttnF16(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	t := attnTile{kvF16, st, q, h, k, v, lo[:n], hi[:n]}
	t.run()
}

func neonAttnQ8(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	t := attnTile{kvQ8, st, q, h, k, v, lo[:n], hi[:n]}
	t.run()
}

// attnTile is one call of an AttnTile.
type attnTile struct {
	kind   kvKind
	st     *AttnState
	q      []float32
	h      int
	k, v   []byte
	lo, hi []int32
}

// run takes four queries together where it can: every key and value is then
// loaded and widened once for four.
func (t *attnTile) run() {
	if len(t.lo) == 0 {
		return
	}
	size := [...]int{kvF32: 4, kvF16: 2, kvQ8: 1}[t.kind]
	need := PageTokens * t.h * size
	if t.kind == kvQ8 {
		need += PageTokens * (t.h / 32) * 2
	}
	// The last elements that assembly will touch of each slice.
	_, _, _ = t.k[need-1], t.v[need-1], t.q[len(t.lo)*t.h-1]
	for i := 0; i < len(t.lo); {
		if i+4 <= len(t.lo) && t.four(i) {
			i += 4
			continue
		}
		if t.lo[i] < t.hi[i] {
			t.scores(i, 1)
			t.softmax(i)
			t.values(i, 1, int(t.lo[i]), int(t.hi[i]))
		}
		i++
	}
}

// four does queries i to i+3, unless one of them sees nothing of the page.
func (t *attnTile) four(i int) bool {
	first, last := 0, PageTokens // what all four see
	for n := i; n < i+4; n++ {
		if t.lo[n] >= t.hi[n] {
			return false
		}
		first, last = max(first, int(t.lo[n])), min(last, int(t.hi[n]))
	}
	t.scores(i, 4)
	for n := i; n < i+4; n++ {
		t.softmax(n)
	}
	if first >= last {
		for n := i; n < i+4; n++ {
			t.values(n, 1, int(t.lo[n]), int(t.hi[n]))
		}
		return true
	}
	for n := i; n < i+4; n++ {
		t.values(n, 1, int(t.lo[n]), first)
	}
	t.values(i, 4, first, last)
	for n := i; n < i+4; n++ {
		t.values(n, 1, last, int(t.hi[n]))
	}
	return true
}

// scores writes the products of n = 1 or 4 queries with the keys to P.
func (t *attnTile) scores(i, n int) {
	s, q := &t.st.P[i*PageTokens : (i+n)*PageTokens][0], &t.q[i*t.h]
	switch {
	case t.kind == kvF32 && n == 1:
		neonScoresF32x1(s, q, &t.k[0], t.h)
	case t.kind == kvF32:
		neonScoresF32x4(s, q, &t.k[0], t.h)
	case t.kind == kvF16 && n == 1:
		neonScoresF16x1(s, q, &t.k[0], t.h)
	case t.kind == kvF16:
		neonScoresF16x4(s, q, &t.k[0], t.h)
	case n == 1:
		neonScoresQ8x1(s, q, &t.k[0], t.h)
	default:
		neonScoresQ8x4(s, q, &t.k[0], t.h)
	}
}

// softmax turns query i's scores into weights and rescales its sums.
func (t *attnTile) softmax(i int) {
	var a float32
	neonSoftmax(&t.st.P[i*PageTokens], int(t.lo[i]), int(t.hi[i]), &t.st.M[i], &t.st.L[i], &a)
	if a == 1 {
		return
	}
	acc := t.st.Acc[i*t.h : i*t.h+t.h]
	whole := t.h &^ 3
	if whole > 0 {
		neonScaleBy(&acc[0], whole, &a)
	}
	for d := whole; d < t.h; d++ {
		acc[d] *= a
	}
}

// values adds the weighed values at positions [lo, hi) to the sums of n = 1 or
// 4 queries.
func (t *attnTile) values(i, n, lo, hi int) {
	if lo >= hi {
		return
	}
	h, whole := t.h, t.h&^3
	acc, p := t.st.Acc[i*h:(i+n)*h], t.st.P[i*PageTokens:(i+n)*PageTokens]
	for d := whole; d < h; d++ { // 1 to 3 elements
		for j := lo; j < hi; j++ {
			var v [1]float32
			loadValues(t.kind, v[:], t.v, h, j, d)
			for m := range n {
				acc[m*h+d] = fma32(p[m*PageTokens+j], v[0], acc[m*h+d])
			}
		}
	}
	if whole == 0 {
		return
	}
	switch {
	case t.kind == kvF32 && n == 1:
		neonValuesF32x1(&acc[0], &p[lo], &t.v[lo*h*4], hi-lo, h)
	case t.kind == kvF32:
		neonValuesF32x4(&acc[0], &p[lo], &t.v[lo*h*4], hi-lo, h)
	case t.kind == kvF16 && n == 1:
		neonValuesF16x1(&acc[0], &p[lo], &t.v[lo*h*2], hi-lo, h)
	case t.kind == kvF16:
		neonValuesF16x4(&acc[0], &p[lo], &t.v[lo*h*2], hi-lo, h)
	case n == 1:
		neonValuesQ8x1(&acc[0], &p[lo], &t.v[lo*h], hi-lo, h, &t.v[PageTokens*h+lo*(h/32)*2])
	default:
		neonValuesQ8x4(&acc[0], &p[lo], &t.v[lo*h], hi-lo, h, &t.v[PageTokens*h+lo*(h/32)*2])
	}
}

//go:noescape
func neonScoresF32x1(s, q *float32, k *byte, h int)

//go:noescape
func neonScoresF32x4(s, q *float32, k *byte, h int)

//go:noescape
func neonScoresF16x1(s, q *float32, k *byte, h int)

//go:noescape
func neonScoresF16x4(s, q *float32, k *byte, h int)

//go:noescape
func neonScoresQ8x1(s, q *float32, k *byte, h int)

//go:noescape
func neonScoresQ8x4(s, q *float32, k *byte, h int)

//go:noescape
func neonSoftmax(p *float32, lo, hi int, m, l, a *float32)

//go:noescape
func neonScaleBy(y *float32, n int, a *float32)

//go:noescape
func neonValuesF32x1(acc, p *float32, v *byte, n, h int)

//go:noescape
func neonValuesF32x4(acc, p *float32, v *byte, n, h int)

//go:noescape
func neonValuesF16x1(acc, p *float32, v *byte, n, h int)

//go:noescape
func neonValuesF16x4(acc, p *float32, v *byte, n, h int)

//go:noescape
func neonValuesQ8x1(acc, p *float32, v *byte, n, h int, scales *byte)

//go:noescape
func neonValuesQ8x4(acc, p *float32, v *byte, n, h int, scales *byte)
