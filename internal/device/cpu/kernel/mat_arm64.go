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

func runTile(_ isa, kind weightKind, rows, cols int, a *tileArgs) {
	runTileNEON(kind, rows, cols, a)
}
