//go:build amd64 && !purego

package kernel

import "github.com/cria-llm/cria/internal/tensor"

// avx2Quant is every block-quantised type on AVX2, on panels of 8 rows.
//
// Its Unpacked holds unsigned bytes in Q, the value plus the type's bias, as
// VPMADDUBSW multiplies them. Where bytes of 8 bits would overflow there, it
// holds 32 magnitudes and 32 signed values in turns. S holds sub-scales twice
// as words of a dword. N holds two sub-minima as words of a dword, or two
// sub-scales times the bias where the type has one.
func avx2Quant() map[tensor.DType]*QuantFormat {
	formats := genericQuant(8)
	for dt, f := range formats {
		f.Pack = avx2Packer(dt, 8)
		f.Unpack = avx2Unpack(dt)
		f.Mat = avx2Mat(dt)
		small := avx2Small(dt)
		f.Vec = func(y []float32, panels []byte, npanels int, a *Act, row int) {
			small(y, 0, panels, npanels, a, row, 1)
		}
		if avx2Vecs[dt][avx2TileCols] != nil {
			f.Small, f.MaxSmall = small, 8
		}
	}
	return formats
}

// avx2Packer is packer for panels of 8 or 16 rows.
func avx2Packer(dt tensor.DType, panelRows int) func(dst, src []byte, nrows, k int) {
	kernel, plain := avx2Packs[panelRows][dt], packer(dt, panelRows)
	return func(dst, src []byte, nrows, k int) {
		rb, nb := dt.RowBytes(k), k/dt.BlockElems()
		size := panelRows * rb
		if nb > 0 {
			for ; nrows >= panelRows; nrows -= panelRows {
				d, s := dst[:size], src[:size]
				kernel(&d[0], &s[0], rb, nb)
				dst, src = dst[size:], src[size:]
			}
		}
		plain(dst, src, nrows, k)
	}
}

func avx2Unpack(dt tensor.DType) func(u *Unpacked, panel []byte, k int) {
	t := avx2Types[dt]
	size, elems := 8*dt.BlockBytes(), dt.BlockElems()
	return func(u *Unpacked, panel []byte, k int) {
		u.Grow(k*t.planes, 8)
		u.K = k
		nb := k / elems
		if nb == 0 {
			return
		}
		panel = panel[:nb*size]
		t.unpack(&u.Q[0], &u.D[0], &u.M[0], &u.S[0], &u.N[0], &panel[0], nb)
	}
}

// avx2Tile is the number of columns of the first of the tiles that cols columns
// are cut into, as even as can be.
func avx2Tile(cols int) int {
	tiles := (cols + avx2TileCols - 1) / avx2TileCols
	return (cols + tiles - 1) / tiles
}

func avx2Mat(dt tensor.DType) func(y []float32, ldy int, u *Unpacked, a *Act, row0, cols int) {
	kernels := avx2Mats[avx2Types[dt].class]
	elems := dt.BlockElems()
	return func(y []float32, ldy int, u *Unpacked, a *Act, row0, cols int) {
		nb := a.K / elems
		if a.K > u.K {
			panic("kernel: activations are longer than the unpacked panel")
		}
		for c := 0; c < cols; {
			n := avx2Tile(cols - c)
			out := y[c*ldy : (c+n-1)*ldy+8]
			if nb == 0 {
				for i := range n {
					clear(out[i*ldy : i*ldy+8])
				}
			} else {
				xq, xd, xs := a.rows(row0+c, n, elems)
				kernels[n](&out[0], ldy, xq, xd, xs, nb, &u.Q[0], &u.D[0], &u.M[0], &u.S[0], &u.N[0])
			}
			c += n
		}
	}
}

// avx2Small multiplies packed panels with a few columns: a panel with all of
// them before the next, so that it is read from memory once.
func avx2Small(dt tensor.DType) func(y []float32, ldy int, panels []byte, npanels int, a *Act, row0, cols int) {
	kernels := avx2Vecs[dt]
	elems := dt.BlockElems()
	return func(y []float32, ldy int, panels []byte, npanels int, a *Act, row0, cols int) {
		if npanels == 0 || a.K == 0 {
			for c := range cols {
				clear(y[c*ldy : c*ldy+8*npanels])
			}
			return
		}
		size, nb := 8*dt.RowBytes(a.K), a.K/elems
		panels = panels[:npanels*size]
		y = y[:(cols-1)*ldy+8*npanels]
		if cols <= avx2TileCols {
			xq, xd, xs := a.rows(row0, cols, elems)
			kernels[cols](&y[0], ldy, xq, xd, xs, nb, &panels[0], npanels)
			return
		}
		for p := range npanels {
			for c := 0; c < cols; {
				n := avx2Tile(cols - c)
				xq, xd, xs := a.rows(row0+c, n, elems)
				kernels[n](&y[c*ldy+8*p], ldy, xq, xd, xs, nb, &panels[p*size], 1)
				c += n
			}
		}
	}
}
