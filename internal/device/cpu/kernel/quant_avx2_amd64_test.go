//go:build amd64 && !purego

package kernel

import (
	"bytes"
	"testing"

	"github.com/cria-llm/cria/internal/sys/cpufeat"
)

// TestAVX2Pack compares packing in assembly with the plain form.
func TestAVX2Pack(t *testing.T) {
	if !cpufeat.HasAVX2() {
		t.Skip("no AVX2")
	}
	for _, dt := range quantDTypes() {
		for _, panelRows := range []int{8, 16} {
			for _, size := range [][2]int{{3, 1}, {panelRows, 1}, {2 * panelRows, 3}, {3*panelRows + 5, 7}} {
				rows, k := size[0], size[1]*dt.BlockElems()
				src := guarded[byte](t, rows*dt.RowBytes(k))
				copy(src, fills[0].matrix(newRand(uint64(k)), dt, rows, k))
				want := make([]byte, panelsOf(rows, panelRows)*panelRows*dt.RowBytes(k))
				packer(dt, panelRows)(want, src, rows, k)
				got := guarded[byte](t, len(want))
				avx2Packer(dt, panelRows)(got, src, rows, k)
				if !bytes.Equal(got, want) {
					t.Errorf("%s: %d rows of %d in panels of %d differ", dt, rows, k, panelRows)
				}
			}
		}
	}
}
