//go:build (amd64 || arm64) && !purego

package kernel

import "unsafe"

// gemmArgs are the arguments of the kernels of tiles, which compute n tiles one
// below the other. Strides are in bytes. The generators know the offsets of
// these fields.
type gemmArgs struct {
	c    *float32
	ldc  uintptr
	a    unsafe.Pointer
	row  uintptr // from row to row of A: kernels by rows
	col  uintptr // from step to step of A: kernels by columns
	tile uintptr // from tile to tile of A
	b    unsafe.Pointer
	ldb  uintptr
	k    uintptr
	n    uintptr
	add  uintptr
}

// gemmKind is a family of kernels.
type gemmKind int

// gemmCallRows bounds one assembly call to well below a millisecond: 8 million
// multiply-adds.
const gemmCallRows = 192

// gemmTiles is Gemm's Tiles with kernels for A by rows and by columns.
func gemmTiles(byRows, byCols gemmKind, mr, nr int, c []float32, ldc int, a *GemmRows, b []float32, ldb, rows, k int, add bool) {
	if rows == 0 {
		return
	}
	_ = c[(rows-1)*ldc+nr-1] // the last element that assembly will touch
	if k == 0 {
		noSteps(c, ldc, nr, rows, add)
		return
	}
	a.mustStrides()
	_ = b[(k-1)*ldb+nr-1]
	_, _ = a.Data[a.at(rows-1, mr)+(k-1)*a.Col], a.Data[a.at(max(0, rows/mr*mr-1), mr)+(k-1)*a.Col]
	args := gemmArgs{
		c: &c[0], ldc: uintptr(ldc) * 4, row: uintptr(a.Row) * 4, col: uintptr(a.Col) * 4, tile: uintptr(a.Tile) * 4,
		a: unsafe.Pointer(&a.Data[0]), b: unsafe.Pointer(&b[0]), ldb: uintptr(ldb) * 4, k: uintptr(k), add: addFlag(add),
	}
	if a.Col == 1 {
		args.run(byRows, mr, rows)
	} else {
		args.run(byCols, mr, rows)
	}
}

func addFlag(add bool) uintptr {
	if add {
		return 1
	}
	return 0
}

// noSteps is a product with K = 0.
func noSteps(c []float32, ldc, nr, rows int, add bool) {
	for i := 0; i < rows && !add; i++ {
		clear(c[i*ldc : i*ldc+nr])
	}
}

// run computes rows of tiles of mr rows, and what remains.
func (a *gemmArgs) run(kind gemmKind, mr, rows int) {
	for {
		n := min(rows, gemmCallRows) // a multiple of both mr
		if n >= mr {
			n -= n % mr
		}
		a.n = uintptr(max(1, n/mr))
		before := *a // kernels move the pointers to the last tile
		a.tiles(kind, min(n, mr))
		if rows -= n; rows == 0 {
			return
		}
		*a = before
		a.a = unsafe.Add(a.a, uintptr(n/mr)*a.tile)
		a.c = (*float32)(unsafe.Add(unsafe.Pointer(a.c), uintptr(n)*a.ldc))
	}
}

// packTail packs the steps from from to to of width rows.
func packTail(dst, src []float32, ld, width, from, to int) {
	for l := from; l < to; l++ {
		for i := range width {
			dst[l*width+i] = src[i*ld+l]
		}
	}
}
