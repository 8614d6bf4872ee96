//go:build amd64 && !purego

package kernel

import (
	"fmt"
	"unsafe"

	"github.com/cria-llm/cria/internal/sys/cpufeat"
)

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

func avx2Gemm() Gemm { return Gemm{MR: 6, NR: 16, Tiles: avx2GemmTiles, Pack: avx2GemmPack} }

func avx512Gemm() Gemm {
	g := Gemm{MR: 12, NR: 32, Tiles: avx512GemmTiles, Pack: avx2GemmPack}
	if cpufeat.HasAVX512BF16() {
		g.BF16 = &GemmBF16{Tiles: avx512BF16Tiles, Pack: avx2PackBF16}
	}
	return g
}

const (
	avx2RowsTiles gemmKind = iota
	avx2ColsTiles
	avx512RowsTiles
	avx512ColsTiles
	avx512BF16
)

func avx2GemmTiles(c []float32, ldc int, a GemmRows, b []float32, ldb, rows, k int, add bool) {
	gemmTiles(avx2RowsTiles, avx2ColsTiles, 6, 16, c, ldc, &a, b, ldb, rows, k, add)
}

func avx512GemmTiles(c []float32, ldc int, a GemmRows, b []float32, ldb, rows, k int, add bool) {
	gemmTiles(avx512RowsTiles, avx512ColsTiles, 12, 32, c, ldc, &a, b, ldb, rows, k, add)
}

// avx512BF16Tiles needs AVX512-BF16.
func avx512BF16Tiles(c []float32, ldc int, a, b []uint32, rows, pairs int, add bool) {
	const mr, nr = 12, 32
	if rows == 0 {
		return
	}
	_ = c[(rows-1)*ldc+nr-1]
	if pairs == 0 {
		noSteps(c, ldc, nr, rows, add)
		return
	}
	_, _ = b[pairs*nr-1], a[(rows+mr-1)/mr*mr*pairs-1]
	args := gemmArgs{
		c: &c[0], ldc: uintptr(ldc) * 4, col: mr * 4, tile: uintptr(mr*pairs) * 4,
		a: unsafe.Pointer(&a[0]), b: unsafe.Pointer(&b[0]), ldb: nr * 4, k: uintptr(pairs), add: addFlag(add),
	}
	args.run(avx512BF16, mr, rows)
}

// tiles calls one kernel. Direct calls, because arguments of an indirect call
// would escape to the heap.
func (a *gemmArgs) tiles(kind gemmKind, rows int) {
	switch kind {
	case avx2RowsTiles:
		avx2GemmRows(rows, a)
	case avx2ColsTiles:
		avx2GemmCols(rows, a)
	case avx512RowsTiles:
		avx512GemmRows(rows, a)
	case avx512ColsTiles:
		avx512GemmCols(rows, a)
	case avx512BF16:
		avx512GemmBF16(rows, a)
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
		packTail(d, s, ld, width, k4, k)
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

//go:noescape
func avx2PackPairs12(dst *uint32, panel uintptr, src *float32, ld uintptr, n, panels int)

//go:noescape
func avx2PackPairs32(dst *uint32, panel uintptr, src *float32, ld uintptr, n, panels int)

//go:noescape
func avx2TransposePairs8(dst *uint32, step uintptr, src *float32, ld uintptr, n int)

//go:noescape
func avx2TransposePairs4(dst *uint32, step uintptr, src *float32, ld uintptr, n int)

// avx2PackBF16 packs whole panels of 12 and 32; what remains of n and k is plain
// Go's.
func avx2PackBF16(dst []uint32, src []float32, ld, width, n, k int, byStep bool) {
	if n == 0 || k == 0 {
		return
	}
	pairs, whole := (k+1)/2, n-n%width
	done := k &^ 7 // steps
	if byStep {
		done = k &^ 1
	}
	if whole > 0 && done > 0 {
		d, by := dst[:whole*pairs], uintptr(ld)*4
		if byStep {
			_ = src[(done-1)*ld+whole-1]
			panel := uintptr(width*pairs) * 4
			if width == 12 {
				avx2PackPairs12(&d[0], panel, &src[0], by, done/2, whole/width)
			} else {
				avx2PackPairs32(&d[0], panel, &src[0], by, done/2, whole/width)
			}
		} else {
			_ = src[(whole-1)*ld+done-1]
			step := uintptr(width) * 4
			for i := 0; i < whole; {
				to, from := &d[i/width*width*pairs+i%width], &src[i*ld]
				if width-i%width >= 8 {
					avx2TransposePairs8(to, step, from, by, done)
					i += 8
				} else {
					avx2TransposePairs4(to, step, from, by, done)
					i += 4
				}
			}
		}
	}
	row, step := ld, 1
	if byStep {
		row, step = 1, ld
	}
	if done < k && whole > 0 { // in panels of all pairs: one at a time
		var tail [4 * 32]uint32
		for p := 0; p < whole; p += width {
			rest := (k - done + 1) / 2 * width
			plainPackBF16(tail[:rest], src[p*row+done*step:], ld, width, width, k-done, byStep)
			copy(dst[p*pairs+done/2*width:], tail[:rest])
		}
	}
	if whole < n {
		plainPackBF16(dst[whole*pairs:], src[whole*row:], ld, width, n-whole, k, byStep)
	}
}
