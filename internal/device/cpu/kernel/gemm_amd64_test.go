//go:build amd64 && !purego

package kernel

import (
	"fmt"
	"testing"

	"github.com/cria-llm/cria/internal/sys/cpufeat"
)

// TestPack compares the packers of both sets with plain Go.
func TestPack(t *testing.T) {
	if !cpufeat.HasAVX2() {
		t.Skip("no AVX2")
	}
	r := newRand(44)
	for _, width := range []int{6, 12, 16, 32} {
		for n := 1; n <= 70; n += 1 + r.IntN(3) {
			for k := 1; k <= 20; k += 1 + r.IntN(3) {
				for _, byStep := range []bool{false, true} {
					rows, cols := n, k
					if byStep {
						rows, cols = k, n
					}
					ld := cols + r.IntN(3)
					src := guardedCopy(t, normals(r, (rows-1)*ld+cols))
					size := (n + width - 1) / width * width * k
					want, got := make([]float32, size), guarded[float32](t, size)
					genericPack(want, src, ld, width, n, k, byStep)
					avx2GemmPack(got, src, ld, width, n, k, byStep)
					if diffBits(t, fmt.Sprintf("%d by %d in panels of %d, by step %v", n, k, width, byStep), got, want) {
						return
					}
				}
			}
		}
	}
}

// TestPackBF16 compares the packers of bfloat16 with plain Go, on memory that
// ends where the operands do, odd values among them.
func TestPackBF16(t *testing.T) {
	if !cpufeat.HasAVX2() {
		t.Skip("no AVX2")
	}
	r := newRand(43)
	for _, width := range []int{12, 32} {
		for n := 1; n <= 70; n += 1 + r.IntN(3) {
			for k := 1; k <= 40; k += 1 + r.IntN(4) {
				for _, byStep := range []bool{false, true} {
					rows, cols := n, k
					if byStep {
						rows, cols = k, n
					}
					ld := cols + r.IntN(3)
					src := guardedCopy(t, special(r, normals(r, (rows-1)*ld+cols)))
					size := (n + width - 1) / width * width * ((k + 1) / 2)
					want, got := make([]uint32, size), guarded[uint32](t, size)
					plainPackBF16(want, src, ld, width, n, k, byStep)
					avx2PackBF16(got, src, ld, width, n, k, byStep)
					for i := range want {
						if got[i] != want[i] {
							t.Fatalf("%s: pair %d is %#x, want %#x", fmt.Sprintf("%d by %d in panels of %d, by step %v", n, k, width, byStep), i, got[i], want[i])
						}
					}
				}
			}
		}
	}
}
