//go:build arm64 && !purego

package kernel

import "unsafe"

func neonMatF32(y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int) {
	checkRows(len(w), ldw, rows, k)
	m := matrix{isa: isaNEON, kind: kindF32, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 2, tile: 3}
	m.run(rows, cols)
}

func neonMatF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	checkRows(len(w), ldw, rows, k)
	m := matrix{isa: isaNEON, kind: kindF16, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 2, tile: 3}
	m.run(rows, cols)
}

func neonMatBF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	checkRows(len(w), ldw, rows, k)
	m := matrix{isa: isaNEON, kind: kindBF16, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 2, tile: 3}
	m.run(rows, cols)
}

// checkRows panics where assembly would read beyond the weights.
func checkRows(have, ldw, rows, k int) {
	if need := (rows-1)*ldw + k; rows > 0 && have < need {
		panic("kernel: weights shorter than their rows")
	}
}

//go:noescape
func neonWidenF16(dst *float32, src unsafe.Pointer, n int)

//go:noescape
func neonWidenBF16(dst *float32, src unsafe.Pointer, n int)

// runTile calls one tile kernel. Direct calls in a switch, because arguments
// of an indirect call would escape to the heap.
func runTile(_ isa, kind weightKind, rows, cols int, a *tileArgs) {
	switch kind {
	case kindF32:
		switch (tileShape{rows, cols}) {
		case tileShape{4, 1}:
			neonTileF32x4x1(a)
		case tileShape{2, 2}:
			neonTileF32x2x2(a)
		case tileShape{2, 3}:
			neonTileF32x2x3(a)
		case tileShape{1, 1}:
			neonTileF32x1x1(a)
		case tileShape{1, 2}:
			neonTileF32x1x2(a)
		case tileShape{1, 3}:
			neonTileF32x1x3(a)
		}
	case kindF16:
		switch (tileShape{rows, cols}) {
		case tileShape{4, 1}:
			neonTileF16x4x1(a)
		case tileShape{2, 2}:
			neonTileF16x2x2(a)
		case tileShape{2, 3}:
			neonTileF16x2x3(a)
		case tileShape{1, 1}:
			neonTileF16x1x1(a)
		case tileShape{1, 2}:
			neonTileF16x1x2(a)
		case tileShape{1, 3}:
			neonTileF16x1x3(a)
		}
	case kindBF16:
		switch (tileShape{rows, cols}) {
		case tileShape{4, 1}:
			neonTileBF16x4x1(a)
		case tileShape{2, 2}:
			neonTileBF16x2x2(a)
		case tileShape{2, 3}:
			neonTileBF16x2x3(a)
		case tileShape{1, 1}:
			neonTileBF16x1x1(a)
		case tileShape{1, 2}:
			neonTileBF16x1x2(a)
		case tileShape{1, 3}:
			neonTileBF16x1x3(a)
		}
	}
}

//go:noescape
func neonTileF32x4x1(a *tileArgs)

//go:noescape
func neonTileF32x2x2(a *tileArgs)

//go:noescape
func neonTileF32x2x3(a *tileArgs)

//go:noescape
func neonTileF32x1x1(a *tileArgs)

//go:noescape
func neonTileF32x1x2(a *tileArgs)

//go:noescape
func neonTileF32x1x3(a *tileArgs)

//go:noescape
func neonTileF16x4x1(a *tileArgs)

//go:noescape
func neonTileF16x2x2(a *tileArgs)

//go:noescape
func neonTileF16x2x3(a *tileArgs)

//go:noescape
func neonTileF16x1x1(a *tileArgs)

//go:noescape
func neonTileF16x1x2(a *tileArgs)

//go:noescape
func neonTileF16x1x3(a *tileArgs)

//go:noescape
func neonTileBF16x4x1(a *tileArgs)

//go:noescape
func neonTileBF16x2x2(a *tileArgs)

//go:noescape
func neonTileBF16x2x3(a *tileArgs)

//go:noescape
func neonTileBF16x1x1(a *tileArgs)

//go:noescape
func neonTileBF16x1x2(a *tileArgs)

//go:noescape
func neonTileBF16x1x3(a *tileArgs)
