//go:build arm64 && !purego

package kernel

import (
	"sync/atomic"
	"unsafe"
)

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

// tileShape names a tile kernel by its size.
type tileShape struct{ rows, cols int }

const (
	tileRows = 2 // and single rows for what is left; 4 for one column
	tileCols = 3
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

const (
	// directCols is the number of columns up to which a product reads 16-bit
	// weights directly; beyond it widens them to f32 first, once per block.
	directCols = 2 * tileCols

	// Blocks of the matrix kernels. The lanes of blockRows x blockCols outputs
	// and what the block reads of x and w along blockK stay in L2, nearRows rows
	// of w in L1 while the block's columns pass, three at a time.
	blockRows = 32
	blockCols = 48
	blockK    = 1024
	nearRows  = 8
)

// matrix is one call of MatF32, MatF16 or MatBF16.
type matrix struct {
	kind weightKind
	y    []float32
	ldy  int
	w    unsafe.Pointer
	ldw  int
	x    []float32
	ldx  int
	k    int
}

func neonMatF32(y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int) {
	checkRows(len(w), ldw, rows, k)
	m := matrix{kindF32, y, ldy, unsafe.Pointer(unsafe.SliceData(w)), ldw, x, ldx, k}
	m.run(rows, cols)
}

func neonMatF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	checkRows(len(w), ldw, rows, k)
	m := matrix{kindF16, y, ldy, unsafe.Pointer(unsafe.SliceData(w)), ldw, x, ldx, k}
	m.run(rows, cols)
}

func neonMatBF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	checkRows(len(w), ldw, rows, k)
	m := matrix{kindBF16, y, ldy, unsafe.Pointer(unsafe.SliceData(w)), ldw, x, ldx, k}
	m.run(rows, cols)
}

// checkRows panics where assembly would read beyond the weights.
func checkRows(have, ldw, rows, k int) {
	if need := (rows-1)*ldw + k; rows > 0 && have < need {
		panic("kernel: weights shorter than their rows")
	}
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
	_, _ = m.y[(cols-1)*m.ldy+rows-1], m.x[(cols-1)*m.ldx+m.k-1]
	if m.k%16 == 0 && (cols <= directCols || m.kind == kindF32 && m.k <= blockK) {
		m.direct(rows, cols)
		return
	}
	t := takeScratch()
	for r := 0; r < rows; r += blockRows {
		for c := 0; c < cols; c += blockCols {
			m.block(t, r, min(blockRows, rows-r), c, min(blockCols, cols-c))
		}
	}
	t.give()
}

// colTile returns the width of the next column tile where n columns remain:
// as even as tiles of at most tileCols columns can be.
func colTile(n int) int {
	tiles := (n + tileCols - 1) / tileCols
	return (n + tiles - 1) / tiles
}

func (m *matrix) weights(r, k int) unsafe.Pointer {
	return unsafe.Add(m.w, uintptr(r*m.ldw+k)*m.kind.size())
}

// direct computes whole rows at once: all of them where they are read once, else
// as many as stay in L1 for the next column tile.
func (m *matrix) direct(rows, cols int) {
	const l1 = 32 << 10
	step := rows
	if cols > tileCols {
		step = max(tileRows, l1/(m.k*int(m.kind.size()))/tileRows*tileRows)
	}
	a := tileArgs{ldy: uintptr(m.ldy) * 4, ldw: uintptr(m.ldw) * m.kind.size(), ldx: uintptr(m.ldx) * 4,
		k: uintptr(m.k / 16), flags: tileFirst | tileLast}
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		for c := 0; c < cols; {
			tc := colTile(cols - c)
			a.x, a.y, a.w = &m.x[c*m.ldx], &m.y[c*m.ldy+r], m.weights(r, 0)
			strips(&a, m.kind, n, tc, nil)
			c += tc
		}
	}
}

// strips runs n rows of one column tile: whole tiles and then single rows. It
// returns what is left of acc.
func strips(a *tileArgs, kind weightKind, n, tc int, acc []float32) []float32 {
	strip := tileRows
	if tc == 1 {
		strip = 4
	}
	if whole := n / strip; whole > 0 {
		a.n = uintptr(whole)
		if acc != nil {
			a.acc, acc = &acc[0], acc[whole*strip*tc*16:]
		}
		runTile(kind, strip, tc, a)
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
		runTile(kind, 1, tc, a)
	}
	return acc
}

// block computes nr x nc outputs in pieces of blockK along K, the last one from
// zero-padded copies where K is no multiple of 16. Where there are many columns,
// 16-bit weights are widened to f32 once for all of them.
func (m *matrix) block(t *matScratch, r, nr, c, nc int) {
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
		kind, x, ldx, w := m.kind, m.x[c*m.ldx+k:], m.ldx, m.weights(r, k)
		a.ldw = uintptr(m.ldw) * m.kind.size()
		switch {
		case kn < 16:
			m.copyTails(t, r, nr, c, nc, k, kn)
			kind, w, a.ldw = kindF32, unsafe.Pointer(&t.wTail), 64
			x, ldx = t.xTail[:], 16
		case nc > directCols && kind != kindF32:
			for i := range nr {
				m.widen(t.wide[i*kn:i*kn+kn], m.weights(r+i, k))
			}
			kind, w, a.ldw = kindF32, unsafe.Pointer(&t.wide), uintptr(kn)*4
		}
		a.ldx = uintptr(ldx) * 4
		lanes := t.acc[:]
		for i := 0; i < nr; i += nearRows {
			for j := 0; j < nc; {
				tc := colTile(nc - j)
				a.x, a.y, a.w = &x[j*ldx], &m.y[(c+j)*m.ldy+r+i], unsafe.Add(w, uintptr(i)*a.ldw)
				lanes = strips(&a, kind, min(nearRows, nr-i), tc, lanes)
				j += tc
			}
		}
		k += kn
	}
}

func (m *matrix) copyTails(t *matScratch, r, nr, c, nc, k, kn int) {
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
	whole := n &^ 15
	switch m.kind {
	case kindF32:
		copy(dst, unsafe.Slice((*float32)(w), n))
	case kindF16:
		if whole > 0 {
			neonWidenF16(&dst[0], w, whole)
		}
		for i, b := range unsafe.Slice((*uint16)(w), n)[whole:] {
			dst[whole+i] = halfToFloat(b)
		}
	case kindBF16:
		if whole > 0 {
			neonWidenBF16(&dst[0], w, whole)
		}
		for i, b := range unsafe.Slice((*uint16)(w), n)[whole:] {
			dst[whole+i] = bfloatToFloat(b)
		}
	}
}

//go:noescape
func neonWidenF16(dst *float32, src unsafe.Pointer, n int)

//go:noescape
func neonWidenBF16(dst *float32, src unsafe.Pointer, n int)

// matScratch is what the matrix kernels keep between pieces of K. It is too
// large for a stack: Go would clear it in every call.
type matScratch struct {
	acc  [blockRows * blockCols * 16]float32 // lanes of all outputs of a block
	wide [blockRows * blockK]float32         // weights widened to f32

	// Zero-padded copies of the last K%16 elements of a block's rows.
	wTail [blockRows * 16]float32
	xTail [blockCols * 16]float32
}

// freeScratch holds the scratch that no call uses. At most as many are ever
// made as calls have run at once.
var freeScratch [64]atomic.Pointer[matScratch]

func takeScratch() *matScratch {
	for i := range freeScratch {
		if freeScratch[i].Load() != nil {
			if t := freeScratch[i].Swap(nil); t != nil {
				return t
			}
		}
	}
	return new(matScratch)
}

func (t *matScratch) give() {
	for i := range freeScratch {
		if freeScratch[i].CompareAndSwap(nil, t) {
			return
		}
	}
}
