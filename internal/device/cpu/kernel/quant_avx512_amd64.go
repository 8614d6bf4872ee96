//go:build amd64 && !purego

package kernel

import "github.com/cria-llm/cria/internal/tensor"

// avx512Quant is every block-quantised type on AVX-512 with VNNI, on panels of
// 16 rows.
//
// Its Unpacked holds unsigned bytes in Q, the value plus the type's bias, which
// is what VPDPBUSD multiplies; S holds sub-scales (as a 16-bit number in the
// lower half of each dword where one VPDPWSSD applies them), and N two 16-bit
// sub-minima to a dword.
func avx512Quant() map[tensor.DType]*QuantFormat {
	formats := genericQuant(16)
	for dt, f := range formats {
		f.Pack = avx2Packer(dt, 16)
		f.Unpack = avx512Unpack(dt)
		f.Mat = avx512Mat(dt)
		f.Vec, f.Small = nil, nil
		if kernels := avx512Vecs[dt]; kernels != nil {
			f.Small = avx512Small(dt)
			f.MaxSmall = maxSmall512
			f.Vec = func(y []float32, panels []byte, npanels int, a *Act, row int) {
				f.Small(y, 0, panels, npanels, a, row, 1)
			}
		}
	}
	return formats
}

// rows returns pointers to rows [row, row+n) of a, and panics where a does
// not hold them: assembly checks nothing.
func (a *Act) rows(row, n, blockElems int) (q *int8, d *float32, sum *int32) {
	sums := 32
	if blockElems == 256 {
		sums = 16
	}
	qs := a.Q[row*a.K : (row+n)*a.K]
	ds := a.D[row*(a.K/blockElems) : (row+n)*(a.K/blockElems)]
	ss := a.Sum[row*(a.K/sums) : (row+n)*(a.K/sums)]
	return &qs[0], &ds[0], &ss[0]
}

func avx512Unpack(dt tensor.DType) func(u *Unpacked, panel []byte, k int) {
	unpack := avx512Types[dt].unpack
	size, elems := 16*dt.BlockBytes(), dt.BlockElems()
	return func(u *Unpacked, panel []byte, k int) {
		u.Grow(k, 16)
		nb := k / elems
		if nb == 0 {
			return
		}
		panel = panel[:nb*size]
		unpack(&u.Q[0], &u.D[0], &u.M[0], &u.S[0], &u.N[0], &panel[0], nb)
	}
}

// avx512Mat cuts the columns into the tiles that kernels exist for.
func avx512Mat(dt tensor.DType) func(y []float32, ldy int, u *Unpacked, a *Act, row0, cols int) {
	t := avx512Types[dt]
	kernels := avx512Mats[t.class]
	elems := dt.BlockElems()
	return func(y []float32, ldy int, u *Unpacked, a *Act, row0, cols int) {
		nb := a.K / elems
		if a.K > u.K {
			panic("kernel: activations are longer than the unpacked panel")
		}
		for c := 0; c < cols; {
			n := min(cols-c, len(kernels)-1)
			for kernels[n] == nil {
				n--
			}
			out := y[c*ldy : (c+n-1)*ldy+16]
			if nb == 0 {
				for i := range n {
					clear(out[i*ldy : i*ldy+16])
				}
			} else {
				xq, xd, xs := a.rows(row0+c, n, elems)
				kernels[n](&out[0], ldy, xq, xd, xs, nb, &u.Q[0], &u.D[0], &u.M[0], &u.S[0], &u.N[0], t.bias)
			}
			c += n
		}
	}
}

// avx512Small multiplies packed panels with up to maxSmall512 columns.
func avx512Small(dt tensor.DType) func(y []float32, ldy int, panels []byte, npanels int, a *Act, row0, cols int) {
	kernels := avx512Vecs[dt]
	elems := dt.BlockElems()
	return func(y []float32, ldy int, panels []byte, npanels int, a *Act, row0, cols int) {
		if npanels == 0 || a.K == 0 {
			for c := range cols {
				clear(y[c*ldy : c*ldy+16*npanels])
			}
			return
		}
		panels = panels[:npanels*16*dt.RowBytes(a.K)]
		y = y[:(cols-1)*ldy+16*npanels]
		xq, xd, xs := a.rows(row0, cols, elems)
		kernels[cols](&y[0], ldy, xq, xd, xs, a.K/elems, &panels[0], npanels)
	}
}
