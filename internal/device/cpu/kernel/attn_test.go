package kernel

import (
	"bytes"
	"fmt"
	"math"
	"testing"
)

// TestAttention stores pages and attends to them with every set and with plain
// Go: all cache types, head dimensions that are no multiple of a vector, numbers
// of queries around the groups that are taken together, windows, what lies
// outside of them being NaN.
func TestAttention(t *testing.T) { eachSet(t, testAttention) }

func testAttention(t *testing.T, set *Set) {
	generic, r := genericSet(), newRand(13)
	trials := 50
	if testing.Short() {
		trials = 15
	}
	for kind, c := range map[string]struct {
		size        int
		store       [2]func(kpage, vpage []byte, k, v []float32, h, pos int)
		attn        [2]AttnTile
		multipleOf  int
		scaleBlocks int
	}{
		"f32":  {4, [2]func(kpage, vpage []byte, k, v []float32, h, pos int){generic.StoreKVF32, set.StoreKVF32}, [2]AttnTile{generic.AttnF32, set.AttnF32}, 2, 0},
		"f16":  {2, [2]func(kpage, vpage []byte, k, v []float32, h, pos int){generic.StoreKVF16, set.StoreKVF16}, [2]AttnTile{generic.AttnF16, set.AttnF16}, 2, 0},
		"q8_0": {1, [2]func(kpage, vpage []byte, k, v []float32, h, pos int){generic.StoreKVQ8, set.StoreKVQ8}, [2]AttnTile{generic.AttnQ8, set.AttnQ8}, 32, 1},
	} {
		for trial := range trials {
			h := c.multipleOf * (1 + r.IntN(max(4, 80/c.multipleOf)))
			bytesPerPage := PageTokens * (h*c.size + c.scaleBlocks*h/32*2)
			var k, v [2][]byte
			for i := range 2 {
				k[i], v[i] = guarded[byte](t, bytesPerPage), guarded[byte](t, bytesPerPage)
				for j := range k[i] {
					k[i][j], v[i][j] = 0xff, 0xff // NaN in either float type
				}
			}
			first, end := 0, PageTokens
			if trial%2 == 1 {
				first, end = r.IntN(PageTokens), 1+r.IntN(PageTokens)
			}
			for pos := first; pos < end; pos++ {
				key, value := normals(r, h), normals(r, h)
				if trial%5 == 0 && pos%16 == 0 {
					key[0], value[h-1] = 1e6, -1e6
				}
				for i := range 2 {
					c.store[i](k[i], v[i], guardedCopy(t, key), guardedCopy(t, value), h, pos)
				}
			}
			if !bytes.Equal(k[0], k[1]) || !bytes.Equal(v[0], v[1]) {
				t.Fatalf("%s: pages of head dimension %d differ", kind, h)
			}
			n := 1 + r.IntN(20)
			wide := []int{0, 2 * PageTokens * h}[r.IntN(2)]
			q := normals(r, n*h)
			lo, hi := guarded[int32](t, n), guarded[int32](t, n)
			var st [2]AttnState
			for i := range 2 {
				st[i] = AttnState{M: guarded[float32](t, n), L: guarded[float32](t, n), Acc: guarded[float32](t, n*h), P: guarded[float32](t, n*PageTokens), Wide: guarded[float32](t, wide)}
				for j := range n {
					st[i].M[j] = float32(math.Inf(-1))
				}
			}
			for page := range 3 {
				for j := range n {
					lo[j], hi[j] = 0, 0
					if first < end && r.IntN(6) > 0 {
						lo[j] = int32(first + r.IntN(end-first))
						hi[j] = lo[j] + int32(r.IntN(end-int(lo[j])+1))
						if trial%3 == 0 {
							lo[j], hi[j] = int32(first), int32(end)
						}
					}
				}
				for i := range 2 {
					c.attn[i](&st[i], guardedCopy(t, q), n, h, k[i], v[i], lo, hi)
				}
				what := fmt.Sprintf("%s trial %d page %d h %d queries %d", kind, trial, page, h, n)
				diffBits(t, what+" maxima", st[1].M, st[0].M)
				diffBits(t, what+" sums", st[1].L, st[0].L)
				if diffBits(t, what+" values", st[1].Acc, st[0].Acc) {
					t.Fatal(lo, hi)
				}
			}
		}
	}
}
