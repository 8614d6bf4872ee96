//go:build amd64 && !purego

package kernel

import "unsafe"

func avx512MatF32(y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int) {
	m := matrix{isa: isaAVX512, kind: kindF32, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 4, tile: 6}
	checkRows(len(w), ldw, rows, k)
	m.run(rows, cols)
}

func avx512MatF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	m := matrix{isa: isaAVX512, kind: kindF16, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 4, tile: 6}
	checkRows(len(w), ldw, rows, k)
	m.run(rows, cols)
}

func avx512MatBF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	m := matrix{isa: isaAVX512, kind: kindBF16, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 4, tile: 6}
	checkRows(len(w), ldw, rows, k)
	m.run(rows, cols)
}

func avx2MatF32(y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int) {
	m := matrix{isa: isaAVX2, kind: kindF32, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 2, tile: 3}
	checkRows(len(w), ldw, rows, k)
	m.run(rows, cols)
}

func avx2MatF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	m := matrix{isa: isaAVX2, kind: kindF16, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 2, tile: 3}
	checkRows(len(w), ldw, rows, k)
	m.run(rows, cols)
}

func avx2MatBF16(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int) {
	m := matrix{isa: isaAVX2, kind: kindBF16, y: y, ldy: ldy, w: unsafe.Pointer(unsafe.SliceData(w)), ldw: ldw, x: x, ldx: ldx, k: k, strip: 2, tile: 3}
	checkRows(len(w), ldw, rows, k)
	m.run(rows, cols)
}

// checkRows panics where assembly would read beyond the weights.
func checkRows(have, ldw, rows, k int) {
	if need := (rows-1)*ldw + k; rows > 0 && have < need {
		panic("kernel: weights shorter than their rows")
	}
}
