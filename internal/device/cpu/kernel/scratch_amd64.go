//go:build amd64 && !purego

package kernel

import "sync/atomic"

// tileScratch is what the matrix kernels keep between pieces of K. It is too
// large for a stack: Go would clear it in every call.
type tileScratch struct {
	acc  [blockRows * blockCols * 16]float32 // lanes of all outputs of a block
	wide [blockRows * blockK]float32         // weights widened to f32

	// Zero-padded copies of the last K%16 elements of a block's rows.
	wTail [blockRows * 16]float32
	xTail [blockCols * 16]float32
}

// freeScratch holds the scratch that no call uses. At most as many are ever
// made as calls have run at once.
var freeScratch [64]atomic.Pointer[tileScratch]

func takeScratch() *tileScratch {
	for i := range freeScratch {
		if freeScratch[i].Load() != nil {
			if t := freeScratch[i].Swap(nil); t != nil {
				return t
			}
		}
	}
	return new(tileScratch)
}

func (t *tileScratch) give() {
	for i := range freeScratch {
		if freeScratch[i].CompareAndSwap(nil, t) {
			return
		}
	}
}
