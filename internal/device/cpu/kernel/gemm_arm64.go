//go:build arm64 && !purego

package kernel

//go:noescape
func neonPackCopy8(dst *float32, panel uintptr, src *float32, ld uintptr, n, panels int)

//go:noescape
func neonPackCopy12(dst *float32, panel uintptr, src *float32, ld uintptr, n, panels int)

//go:noescape
func neonPackTranspose4(dst *float32, step uintptr, src *float32, ld uintptr, n int)

func neonGemm() Gemm { return Gemm{MR: 8, NR: 12, Tiles: neonGemmTiles, Pack: neonGemmPack} }

const (
	neonRowsTiles gemmKind = iota
	neonColsTiles
)

func neonGemmTiles(c []float32, ldc int, a GemmRows, b []float32, ldb, rows, k int, add bool) {
	gemmTiles(neonRowsTiles, neonColsTiles, 8, 12, c, ldc, &a, b, ldb, rows, k, add)
}

// tiles calls one kernel. Direct calls, because arguments of an indirect call
// would escape to the heap.
func (a *gemmArgs) tiles(kind gemmKind, rows int) {
	if kind == neonRowsTiles {
		neonGemmRows(rows, a)
	} else {
		neonGemmCols(rows, a)
	}
}

// neonGemmPack packs panels of 8 and of 12.
func neonGemmPack(dst, src []float32, ld, width, n, k int, byStep bool) {
	whole := n - n%width
	if k == 0 {
		return
	}
	by := uintptr(ld) * 4
	if byStep {
		if whole > 0 {
			_, _ = src[(k-1)*ld+whole-1], dst[whole*k-1]
			panel := uintptr(width*k) * 4
			if width == 8 {
				neonPackCopy8(&dst[0], panel, &src[0], by, k, whole/width)
			} else {
				neonPackCopy12(&dst[0], panel, &src[0], by, k, whole/width)
			}
		}
		if whole < n {
			genericPack(dst[whole*k:], src[whole:], ld, width, n-whole, k, true)
		}
		return
	}
	k4 := k &^ 3
	for p := 0; p < whole; p += width {
		d, s := dst[p*k:(p+width)*k], src[p*ld:(p+width-1)*ld+k]
		for i := 0; i < width && k4 > 0; i += 4 {
			neonPackTranspose4(&d[i], uintptr(width)*4, &s[i*ld], by, k4)
		}
		packTail(d, s, ld, width, k4, k)
	}
	if whole < n {
		genericPack(dst[whole*k:], src[whole*ld:], ld, width, n-whole, k, false)
	}
}
