//go:build amd64 && !purego

package kernel

import "unsafe"

// tileArgs are the arguments of the tile kernels, the inner loops of MatF32,
// MatF16 and MatBF16. A kernel of R x C computes n tiles one below the other,
// each R rows of w times C rows of x along k steps of 16 elements. Its
// accumulators are the 16 lanes of every output: they begin at zero
// (tileFirst) or go on from acc, and are reduced to y (tileLast) or kept in
// acc, R*C*16 floats per tile. So the driver may cut K for the sake of the
// caches without changing the order. Strides are in bytes.
//
// The generator knows the offsets of these fields.
type tileArgs struct {
	y     *float32
	ldy   uintptr
	acc   *float32
	w     unsafe.Pointer
	ldw   uintptr
	x     *float32
	ldx   uintptr
	k     uintptr
	n     uintptr
	flags uintptr
}

const (
	tileFirst = 1
	tileLast  = 2
)

// weightKind is a float weight type.
type weightKind int

const (
	kindF32 weightKind = iota
	kindF16
	kindBF16
)

func (k weightKind) size() uintptr {
	if k == kindF32 {
		return 4
	}
	return 2
}

// isa selects the instruction set where drivers are shared.
type isa int

const (
	isaAVX2 isa = iota
	isaAVX512
)

const (
	// matCols is the number of columns up to which a product reads 16-bit
	// weights directly; beyond it widens them to f32 first, once per block.
	matCols = 12

	// Blocks of the matrix kernels: a block of X in L1, one of W and the lanes
	// of blockRows x blockCols outputs in L2.
	blockRows = 32
	blockCols = 48
	blockK    = 512
)

// matrix is one call of MatF32, MatF16 or MatBF16.
type matrix struct {
	isa   isa
	kind  weightKind
	y     []float32
	ldy   int
	w     unsafe.Pointer
	ldw   int
	x     []float32
	ldx   int
	k     int
	strip int // rows per tile: 4 or 2
	tile  int // columns per tile
}

func (m *matrix) run(rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	if m.k == 0 {
		for c := range cols {
			clear(m.y[c*m.ldy : c*m.ldy+rows])
		}
		return
	}
	// The last element that assembly will touch of each slice.
	_ = m.y[(cols-1)*m.ldy+rows-1]
	_ = m.x[(cols-1)*m.ldx+m.k-1]
	switch {
	case m.k%16 == 0 && (cols <= matCols || m.kind == kindF32 && m.k <= blockK):
		m.direct(rows, cols)
	case cols <= matCols:
		m.ragged(rows, cols)
	default:
		m.blocked(rows, cols)
	}
}

// colTile returns the width of the next column tile where n columns remain:
// as even as tiles of at most m.tile columns can be.
func (m *matrix) colTile(n int) int {
	tiles := (n + m.tile - 1) / m.tile
	return (n + tiles - 1) / tiles
}

func (m *matrix) weights(r, k int) unsafe.Pointer {
	return unsafe.Add(m.w, uintptr(r*m.ldw+k)*m.kind.size())
}

// direct computes whole rows at once.
func (m *matrix) direct(rows, cols int) {
	const l2 = 256 << 10
	step := rows
	if cols > m.tile { // a block of rows is read again for the next tile
		step = max(m.strip, l2/(m.k*int(m.kind.size()))/m.strip*m.strip)
	}
	a := tileArgs{ldy: uintptr(m.ldy) * 4, ldw: uintptr(m.ldw) * m.kind.size(), ldx: uintptr(m.ldx) * 4,
		k: uintptr(m.k / 16), flags: tileFirst | tileLast}
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		for c := 0; c < cols; {
			tc := m.colTile(cols - c)
			a.x = &m.x[c*m.ldx]
			a.y, a.w = &m.y[c*m.ldy+r], m.weights(r, 0)
			m.strips(&a, m.kind, n, tc, nil)
			c += tc
		}
	}
}

// strips runs n rows of one column tile: whole tiles and then single rows. It
// returns what is left of acc.
func (m *matrix) strips(a *tileArgs, kind weightKind, n, tc int, acc []float32) []float32 {
	strip := m.strip
	if m.isa == isaAVX2 && tc == 1 {
		strip = 4
	}
	if whole := n / strip; whole > 0 {
		a.n = uintptr(whole)
		if acc != nil {
			a.acc, acc = &acc[0], acc[whole*strip*tc*16:]
		}
		runTile(m.isa, kind, strip, tc, a)
	}
	if rest := n % strip; rest > 0 {
		// Only here, lest a pointer past the end keep another object alive.
		done := n - rest
		a.w = unsafe.Add(a.w, uintptr(done)*a.ldw)
		a.y = (*float32)(unsafe.Add(unsafe.Pointer(a.y), done*4))
		a.n = uintptr(rest)
		if acc != nil {
			a.acc, acc = &acc[0], acc[rest*tc*16:]
		}
		runTile(m.isa, kind, 1, tc, a)
	}
	return acc
}

// ragged computes few columns where K is no multiple of 16: tile by tile, the
// tail from zero-padded copies.
func (m *matrix) ragged(rows, cols int) {
	var acc [4 * 6 * 16]float32
	var tails tails
	for r := 0; r < rows; r += m.strip {
		n := min(m.strip, rows-r)
		for c := 0; c < cols; {
			tc := m.colTile(cols - c)
			m.block(acc[:], nil, &tails, r, n, c, tc)
			c += tc
		}
	}
}

// blocked computes many columns, cutting K.
func (m *matrix) blocked(rows, cols int) {
	var acc [blockRows * blockCols * 16]float32
	var wide [blockRows * blockK]float32
	var tails tails
	for c := 0; c < cols; {
		nc := min(blockCols, cols-c)
		for r := 0; r < rows; r += blockRows {
			m.block(acc[:], wide[:], &tails, r, min(blockRows, rows-r), c, nc)
		}
		c += nc
	}
}

// tails are zero-padded copies of the last K%16 elements of a block's rows.
type tails struct {
	w [blockRows * 16]float32
	x [blockCols * 16]float32
}

// block computes nr x nc outputs in pieces of blockK along K. wide, where
// given, takes 16-bit weights widened to f32.
func (m *matrix) block(acc, wide []float32, t *tails, r, nr, c, nc int) {
	for k := 0; k < m.k; {
		kn := min(blockK, m.k-k)
		if kn >= 16 {
			kn &^= 15
		}
		a := tileArgs{ldy: uintptr(m.ldy) * 4, k: uintptr((kn + 15) / 16)}
		if k == 0 {
			a.flags |= tileFirst
		}
		if k+kn == m.k {
			a.flags |= tileLast
		}
		kind := m.kind
		x, ldx := m.x[c*m.ldx+k:], m.ldx
		w := m.weights(r, k)
		a.ldw = uintptr(m.ldw) * m.kind.size()
		switch {
		case kn < 16:
			m.copyTails(t, r, nr, c, nc, k, kn)
			kind, w, a.ldw = kindF32, unsafe.Pointer(&t.w), 64
			x, ldx = t.x[:], 16
		case wide != nil && kind != kindF32:
			for i := range nr {
				m.widen(wide[i*kn:i*kn+kn], m.weights(r+i, k))
			}
			kind, w, a.ldw = kindF32, unsafe.Pointer(&wide[0]), uintptr(kn)*4
		}
		a.ldx = uintptr(ldx) * 4
		lanes := acc
		for j := 0; j < nc; {
			tc := m.colTile(nc - j)
			a.x, a.y, a.w = &x[j*ldx], &m.y[(c+j)*m.ldy+r], w
			lanes = m.strips(&a, kind, nr, tc, lanes)
			j += tc
		}
		k += kn
	}
}

func (m *matrix) copyTails(t *tails, r, nr, c, nc, k, kn int) {
	clear(t.w[:nr*16])
	clear(t.x[:nc*16])
	for i := range nr {
		m.widen(t.w[i*16:i*16+kn], m.weights(r+i, k))
	}
	for j := range nc {
		copy(t.x[j*16:], m.x[(c+j)*m.ldx+k:(c+j)*m.ldx+k+kn])
	}
}

// widen converts len(dst) weights to f32.
func (m *matrix) widen(dst []float32, w unsafe.Pointer) {
	n := len(dst)
	switch m.kind {
	case kindF32:
		copy(dst, unsafe.Slice((*float32)(w), n))
	case kindF16:
		src := unsafe.Slice((*uint16)(w), n)
		done := 0
		if whole := n &^ 15; whole > 0 {
			avx2WidenF16(&dst[0], w, whole)
			done = whole
		}
		for i := done; i < n; i++ {
			dst[i] = halfToFloat(src[i])
		}
	case kindBF16:
		src := unsafe.Slice((*uint16)(w), n)
		done := 0
		if whole := n &^ 15; whole > 0 {
			avx2WidenBF16(&dst[0], w, whole)
			done = whole
		}
		for i := done; i < n; i++ {
			dst[i] = bfloatToFloat(src[i])
		}
	}
}

// runTile calls one tile kernel. Direct calls in a switch, because arguments
// of an indirect call would escape to the heap.
func runTile(set isa, kind weightKind, rows, cols int, a *tileArgs) {
	if set == isaAVX2 {
		runTileAVX2(kind, rows, cols, a)
		return
	}
	runTileAVX512(kind, rows, cols, a)
}

// tileShape names a tile kernel by its size.
type tileShape struct{ rows, cols int }
