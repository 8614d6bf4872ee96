//go:build amd64 && !purego

package kernel

import "unsafe"

func avx2AttnF32(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	t := attnTile{kvF32, st, q, h, k, v, lo[:n], hi[:n]}
	t.run()
}

func avx2AttnF16(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	t := attnTile{kvF16, st, q, h, k, v, lo[:n], hi[:n]}
	t.run()
}

func avx2AttnQ8(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32) {
	t := attnTile{kvQ8, st, q, h, k, v, lo[:n], hi[:n]}
	t.run()
}

// attnQueries is how many queries the kernels take together at most: every key
// and value is then loaded and widened once for all of them.
const attnQueries = 6

// widenFrom is the number of queries from which on a page is widened to f32
// first, once for all groups.
const widenFrom = attnQueries + 1

// attnTile is one call of an AttnTile.
type attnTile struct {
	kind   kvKind
	st     *AttnState
	q      []float32
	h      int
	k, v   []byte
	lo, hi []int32
}

// attnOnes rescale nothing.
var attnOnes = [attnQueries]float32{1, 1, 1, 1, 1, 1}

// run takes the queries that see something of the page in groups as equal as
// can be.
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
	n := len(t.lo)
	_, _, _, _ = t.k[need-1], t.v[need-1], t.q[n*t.h-1], t.st.Acc[n*t.h-1]
	_, _, _ = t.st.M[n-1], t.st.L[n-1], t.st.P[n*PageTokens-1]
	if t.kind != kvF32 && n >= widenFrom && len(t.st.Wide) >= 2*PageTokens*t.h {
		t.widen()
	}
	for i := 0; i < n; {
		end := i
		for end < n && t.lo[end] < t.hi[end] {
			end++
		}
		for groups := (end - i + attnQueries - 1) / attnQueries; groups > 0; groups-- {
			take := (end - i + groups - 1) / groups
			t.group(i, take)
			i += take
		}
		for i < n && t.lo[i] >= t.hi[i] {
			i++
		}
	}
}

// widen turns the page into one of f32 in scratch memory, which is exact but for
// the product of Q8_0 that is rounded once in either case.
func (t *attnTile) widen() {
	n := PageTokens * t.h
	wide := t.st.Wide[:2*n]
	if t.kind == kvF16 {
		avx2WidenF16(&wide[0], unsafe.Pointer(&t.k[0]), n)
		avx2WidenF16(&wide[n], unsafe.Pointer(&t.v[0]), n)
	} else {
		blocks := t.h / 32
		for b := range blocks {
			avx2WidenKeysQ8(&wide[b*32*PageTokens], &t.k[b*32*PageTokens], &t.k[n+b*2*PageTokens])
		}
		avx2WidenValuesQ8(&wide[n], &t.v[0], &t.v[n], PageTokens*blocks)
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&wide[0])), 8*n)
	t.kind, t.k, t.v = kvF32, bytes[:4*n], bytes[4*n:]
}

// group does queries i to i+n-1, each of which sees something.
func (t *attnTile) group(i, n int) {
	// What one sees and what all see.
	least, most, first, last := PageTokens, 0, 0, PageTokens
	for m := i; m < i+n; m++ {
		lo, hi := int(t.lo[m]), int(t.hi[m])
		least, most, first, last = min(least, lo), max(most, hi), max(first, lo), min(last, hi)
	}
	st, pass := t.st, avx2ScoreKeys[n]
	avx2Scores(t.kind, n, &st.P[i*PageTokens], &t.q[i*t.h], &t.k[0], t.h, least/pass, (most+pass-1)/pass)
	var a [attnQueries]float32
	for m := range n {
		avx2Softmax(&st.P[(i+m)*PageTokens], int(t.lo[i+m]), int(t.hi[i+m]), &st.M[i+m], &st.L[i+m], &a[m])
	}
	if first >= last {
		for m := range n {
			t.values(i+m, 1, int(t.lo[i+m]), int(t.hi[i+m]), &a[m])
		}
		return
	}
	if least < first {
		for m := range n {
			t.values(i+m, 1, int(t.lo[i+m]), first, &a[m])
			if int(t.lo[i+m]) < first {
				a[m] = 1
			}
		}
	}
	t.values(i, n, first, last, &a[0])
	if last < most {
		for m := range n {
			t.values(i+m, 1, last, int(t.hi[i+m]), &attnOnes[0])
		}
	}
}

// values multiplies the sums of n queries by a and adds the weighed values at
// positions [lo, hi), if there are any.
func (t *attnTile) values(i, n, lo, hi int, a *float32) {
	if lo >= hi {
		return
	}
	h := t.h
	acc, p := &t.st.Acc[i*h], &t.st.P[i*PageTokens+lo]
	switch t.kind {
	case kvF32:
		avx2Values(kvF32, n, acc, p, &t.v[lo*h*4], hi-lo, h, a, nil)
	case kvF16:
		avx2Values(kvF16, n, acc, p, &t.v[lo*h*2], hi-lo, h, a, nil)
	case kvQ8:
		avx2Values(kvQ8, n, acc, p, &t.v[lo*h], hi-lo, h, a, &t.v[PageTokens*h+lo*(h/32)*2])
	}
}

// avx2Softmax is softmaxTile for scores that are in p already.
//
//go:noescape
func avx2Softmax(p *float32, lo, hi int, m, l, a *float32)

// avx2WidenKeysQ8 widens a block of 32 elements of all keys of a page.
//
//go:noescape
func avx2WidenKeysQ8(dst *float32, k, scales *byte)

// avx2WidenValuesQ8 widens blocks of 32 elements, at least 1.
//
//go:noescape
func avx2WidenValuesQ8(dst *float32, v, scales *byte, blocks int)
