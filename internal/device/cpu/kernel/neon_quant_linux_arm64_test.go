//go:build !purego

package kernel

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cria-llm/cria/internal/tensor"
)

// randomBlocks returns rows of a type with any bits in their quants and
// sub-scales; scales and minima are finite f16 values of either sign.
func randomBlocks(r *rand.Rand, dt tensor.DType, rows, k int) []byte {
	b := make([]byte, rows*dt.RowBytes(k))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for at := 0; at < len(b); at += dt.BlockBytes() {
		for i, half := range layouts[dt].halves {
			if dt == tensor.IQ4_XS && i == 1 {
				continue // upper scale bits
			}
			putU16(b[at+half:], 0, floatToHalf(float32(r.NormFloat64())/16))
		}
	}
	return b
}

// randomAct quantises rows of normal values for a type, into guarded memory.
func randomAct(t *testing.T, r *rand.Rand, dt tensor.DType, rows, k int) *Act {
	a := &Act{K: k, Rows: rows, Q: guarded[int8](t, rows*k), D: guarded[float32](t, rows*k/dt.BlockElems())}
	x := normals(r, rows*k)
	if dt.BlockElems() == 256 {
		a.Sum = guarded[int32](t, rows*k/16)
		genericQuantizeAct256(a, x, k, 0, rows)
	} else {
		a.Sum = guarded[int32](t, rows*k/32)
		genericQuantizeAct32(a, x, k, 0, rows)
	}
	return a
}

// TestNEONQuant compares every block-quantised type with plain Go on panels of
// 8 rows: vector kernels, unpackers, matrix kernels.
func TestNEONQuant(t *testing.T) {
	generic, neon := genericQuant(8), neonOrSkip(t).Quant
	r := newRand(15)
	for dt, want := range generic {
		got := neon[dt]
		for trial := range 40 {
			k := dt.BlockElems() * (1 + r.IntN(4))
			npanels, cols := 1+r.IntN(3), 1+r.IntN(9)
			rows := npanels*8 - r.IntN(8)
			panels := guarded[byte](t, npanels*8*dt.RowBytes(k))
			got.Pack(panels, randomBlocks(r, dt, rows, k), rows, k)
			a := randomAct(t, r, dt, cols+2, k)
			what := fmt.Sprintf("%s trial %d rows %d k %d", dt, trial, rows, k)
			wantY, gotY := make([]float32, 8*npanels), guarded[float32](t, 8*npanels)
			if got.Vec != nil {
				want.Vec(wantY, panels, npanels, a, 1)
				got.Vec(gotY, panels, npanels, a, 1)
				diffBits(t, what+" vec", gotY, wantY)
			}
			var wantU, gotU Unpacked
			ldy := 8 + r.IntN(5)
			wantY, gotY = make([]float32, cols*ldy), guarded[float32](t, (cols-1)*ldy+8)
			for i := range gotY {
				gotY[i], wantY[i] = 7, 7 // what lies between columns stays
			}
			last := panels[(npanels-1)*8*dt.RowBytes(k):]
			wantU.Grow(k+1, 8) // room after what is written
			gotU.Grow(k+1, 8)
			want.Unpack(&wantU, last, k)
			got.Unpack(&gotU, last, k)
			if !reflect.DeepEqual(gotU, wantU) {
				t.Errorf("%s: unpacked panels differ", what)
			}
			want.Mat(wantY, ldy, &wantU, a, 2, cols)
			got.Mat(gotY, ldy, &gotU, a, 2, cols)
			diffBits(t, fmt.Sprintf("%s mat of %d columns", what, cols), gotY, wantY[:len(gotY)])
			wantY, gotY = make([]float32, 8*k), guarded[float32](t, 8*k)
			want.Dequant(wantY, last, k)
			got.Dequant(gotY, last, k)
			diffBits(t, what+" dequantised", gotY, wantY)
		}
	}
}
