//go:build amd64 && !purego

package kernel

import "fmt"

// gemmArgs are the arguments of the kernels of tiles, which compute n tiles one
// below the other. Strides are in bytes. The generator knows the offsets of
// these fields.
type gemmArgs struct {
	c    *float32
	ldc  uintptr
	a    *float32
	row  uintptr // from row to row of A: kernels by rows
	col  uintptr // from step to step of A: kernels by columns
	tile uintptr // from tile to tile of A
	b    *float32
	ldb  uintptr
	k    uintptr
	n    uintptr
	add  uintptr
}

//go:noescape
func avx2PackCopy6(dst *float32, panel uintptr, src *float32, ld uintptr, n, panels int)

//go:noescape
func avx2PackCopy12(dst *float32, panel uintptr, src *float32, ld uintptr, n, panels int)

//go:noescape
func avx2PackCopy16(dst *float32, panel uintptr, src *float32, ld uintptr, n, panels int)

//go:noescape
func avx2PackCopy32(dst *float32, panel uintptr, src *float32, ld uintptr, n, panels int)

//go:noescape
func avx2PackTranspose8(dst *float32, step uintptr, src *float32, ld uintptr, n int)

//go:noescape
func avx2PackTranspose4(dst *float32, step uintptr, src *float32, ld uintptr, n int)

//go:noescape
func avx2PackTranspose2(dst *float32, step uintptr, src *float32, ld uintptr, n int)

func avx2Gemm() Gemm   { return Gemm{MR: 6, NR: 16, Tiles: avx2GemmTiles, Pack: avx2GemmPack} }
func avx512Gemm() Gemm { return Gemm{MR: 12, NR: 32, Tiles: avx512GemmTiles, Pack: avx2GemmPack} }

// gemmCallRows bounds one assembly call to well below a millisecond: 8 million
// multiply-adds.
const gemmCallRows = 192

func avx2GemmTiles(c []float32, ldc int, a GemmRows, b []float32, ldb, rows, k int, add bool) {
	gemmTiles(isaAVX2, 6, 16, c, ldc, &a, b, ldb, rows, k, add)
}

func avx512GemmTiles(c []float32, ldc int, a GemmRows, b []float32, ldb, rows, k int, add bool) {
	gemmTiles(isaAVX512, 12, 32, c, ldc, &a, b, ldb, rows, k, add)
}

func gemmTiles(set isa, mr, nr int, c []float32, ldc int, a *GemmRows, b []float32, ldb, rows, k int, add bool) {
	if rows == 0 {
		return
	}
	if k == 0 {
		for i := range rows {
			y := c[i*ldc : i*ldc+nr]
			for j := range y {
				if !add {
					y[j] = 0
				}
			}
		}
		return
	}
	a.mustStrides()
	// The last element that assembly will touch of each slice.
	_, _ = c[(rows-1)*ldc+nr-1], b[(k-1)*ldb+nr-1]
	_, _ = a.Data[a.at(rows-1, mr)+(k-1)*a.Col], a.Data[a.at(max(0, rows/mr*mr-1), mr)+(k-1)*a.Col]
	args := gemmArgs{
		ldc: uintptr(ldc) * 4, row: uintptr(a.Row) * 4, col: uintptr(a.Col) * 4, tile: uintptr(a.Tile) * 4,
		b: &b[0], ldb: uintptr(ldb) * 4, k: uintptr(k),
	}
	if add {
		args.add = 1
	}
	for i := 0; i < rows; {
		n := min(rows-i, gemmCallRows) // a multiple of both mr
		args.n = 1
		if n >= mr {
			args.n = uintptr(n / mr)
			n -= n % mr
		}
		args.a, args.c = &a.Data[i/mr*a.Tile], &c[i*ldc]
		runGemm(set, min(n, mr), a.Col == 1, &args)
		i += n
	}
}

func runGemm(set isa, rows int, byRows bool, a *gemmArgs) {
	switch {
	case set == isaAVX2 && byRows:
		avx2GemmRows(rows, a)
	case set == isaAVX2:
		avx2GemmCols(rows, a)
	case byRows:
		avx512GemmRows(rows, a)
	default:
		avx512GemmCols(rows, a)
	}
}

// avx2GemmPack packs panels of the widths of the AVX2 and the AVX-512 set.
func avx2GemmPack(dst, src []float32, ld, width, n, k int, byStep bool) {
	whole := n - n%width
	if k == 0 {
		return
	}
	if byStep {
		if whole > 0 {
			_, _ = src[(k-1)*ld+whole-1], dst[whole*k-1]
			avx2PackCopy(width, dst, src, ld, k, whole/width)
		}
		if whole < n {
			genericPack(dst[whole*k:], src[whole:], ld, width, n-whole, k, true)
		}
		return
	}
	k4 := k &^ 3
	for p := 0; p < whole; p += width {
		d, s := dst[p*k:(p+width)*k], src[p*ld:(p+width-1)*ld+k]
		if k4 > 0 {
			avx2PackTranspose(width, d, s, ld, k4)
		}
		for l := k4; l < k; l++ {
			for i := range width {
				d[l*width+i] = s[i*ld+l]
			}
		}
	}
	if whole < n {
		genericPack(dst[whole*k:], src[whole*ld:], ld, width, n-whole, k, false)
	}
}

func avx2PackCopy(width int, dst, src []float32, ld, k, panels int) {
	d, s, panel, by := &dst[0], &src[0], uintptr(width*k)*4, uintptr(ld)*4
	switch width {
	case 6:
		avx2PackCopy6(d, panel, s, by, k, panels)
	case 12:
		avx2PackCopy12(d, panel, s, by, k, panels)
	case 16:
		avx2PackCopy16(d, panel, s, by, k, panels)
	case 32:
		avx2PackCopy32(d, panel, s, by, k, panels)
	default:
		panic(fmt.Sprintf("kernel: panels of %d", width))
	}
}

// avx2PackTranspose transposes width rows of n elements, a multiple of 4.
func avx2PackTranspose(width int, dst, src []float32, ld, n int) {
	step, by := uintptr(width)*4, uintptr(ld)*4
	i := 0
	for ; i+8 <= width; i += 8 {
		avx2PackTranspose8(&dst[i], step, &src[i*ld], by, n)
	}
	if i+4 <= width {
		avx2PackTranspose4(&dst[i], step, &src[i*ld], by, n)
		i += 4
	}
	if i < width {
		avx2PackTranspose2(&dst[i], step, &src[i*ld], by, n)
	}
}
