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
	pf    uintptr // address of rows to fetch into L2, one per tile, ldpf apart
	ldpf  uintptr
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
	blockRows = 64
	blockCols = 48
	blockK    = 1024
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
	t := takeScratch()
	for r := 0; r < rows; r += m.strip {
		n := min(m.strip, rows-r)
		for c := 0; c < cols; {
			tc := m.colTile(cols - c)
			m.block(t, r, n, c, tc, fetch{})
			c += tc
		}
	}
	t.give()
}

// blocked computes many columns, cutting K.
func (m *matrix) blocked(rows, cols int) {
	t := takeScratch()
	for r := 0; r < rows; r += blockRows {
		for c := 0; c < cols; c += blockCols {
			// What the first piece of the next block will read.
			r2, c2 := r, c+blockCols
			if c2 >= cols {
				r2, c2 = r+blockRows, 0
			}
			next := fetch{rows: min(blockRows, max(0, rows-r2)), cols: min(blockCols, cols-c2)}
			if next.rows > 0 {
				next.w, next.x = m.weights(r2, 0), &m.x[c2*m.ldx]
			}
			m.block(t, r, min(blockRows, rows-r), c, min(blockCols, cols-c), next)
		}
	}
	t.give()
}

// fetch is what a block reads of w and x: the tiles before it fetch these rows.
type fetch struct {
	w          unsafe.Pointer
	x          *float32
	rows, cols int // left to fetch

	rowsDone, colsDone int
	turn               bool
}

// block computes nr x nc outputs in pieces of blockK along K. Where there are
// many columns, 16-bit weights are widened to f32 once for all of them.
func (m *matrix) block(t *tileScratch, r, nr, c, nc int, next fetch) {
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
			kind, w, a.ldw = kindF32, unsafe.Pointer(&t.wTail), 64
			x, ldx = t.xTail[:], 16
		case nc > m.tile && kind != kindF32:
			for i := range nr {
				m.widen(t.wide[i*kn:i*kn+kn], m.weights(r+i, k))
			}
			kind, w, a.ldw = kindF32, unsafe.Pointer(&t.wide), uintptr(kn)*4
		}
		a.ldx = uintptr(ldx) * 4
		ahead := next
		if k+kn < m.k {
			ahead = fetch{w: m.weights(r, k+kn), x: &m.x[c*m.ldx+k+kn], rows: nr, cols: nc}
		}
		lanes := t.acc[:]
		for j := 0; j < nc; {
			tc := m.colTile(nc - j)
			a.x, a.y, a.w = &x[j*ldx], &m.y[(c+j)*m.ldy+r], w
			m.setFetch(&a, &ahead, nr/m.strip)
			lanes = m.strips(&a, kind, nr, tc, lanes)
			j += tc
		}
		k += kn
	}
}

// setFetch makes the tiles that a call runs fetch n rows of f: of w and of x in
// turns, because w may come from memory and x from the last cache level.
func (m *matrix) setFetch(a *tileArgs, f *fetch, n int) {
	switch {
	case f.rows > 0 && (f.turn || f.cols <= 0):
		a.ldpf = uintptr(m.ldw) * m.kind.size()
		a.pf = uintptr(f.w) + uintptr(f.rowsDone)*a.ldpf
		f.rows -= n
		f.rowsDone += n
	case f.cols > 0:
		a.ldpf = uintptr(m.ldx) * 4
		a.pf = uintptr(unsafe.Pointer(f.x)) + uintptr(f.colsDone)*a.ldpf
		f.cols -= n
		f.colsDone += n
	default:
		a.ldpf = 0
		a.pf = uintptr(unsafe.Pointer(a.x))
	}
	f.turn = !f.turn
}

func (m *matrix) copyTails(t *tileScratch, r, nr, c, nc, k, kn int) {
	clear(t.wTail[:nr*16])
	clear(t.xTail[:nc*16])
	for i := range nr {
		m.widen(t.wTail[i*16:i*16+kn], m.weights(r+i, k))
	}
	for j := range nc {
		copy(t.xTail[j*16:], m.x[(c+j)*m.ldx+k:(c+j)*m.ldx+k+kn])
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
