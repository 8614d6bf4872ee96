//go:build arm64 && !purego

package kernel

import "github.com/cria-llm/cria/internal/tensor"

// neonQuant is every block-quantised type on NEON with dot products, on panels
// of 8 rows.
func neonQuant() map[tensor.DType]*QuantFormat {
	formats := genericQuant(8)
	for dt, f := range formats {
		f.Vec = nil // Unpack and Mat with one column are faster than plain Go
		f.Unpack = neonUnpack(dt)
		f.Mat = neonQuantMat(quantTypes[dt])
	}
	for _, dt := range []tensor.DType{tensor.Q4_0, tensor.Q8_0, tensor.Q4_K, tensor.Q6_K} {
		formats[dt].Vec = neonVec(dt)
	}
	return formats
}

// unpackArgs are the arguments of the unpackers.
//
// The generator knows the order of these fields.
type unpackArgs struct {
	panel   *byte
	q       *byte
	d, m    *float32
	s, n    *int32
	nblocks int
}

// neonUnpack is genericUnpack.
func neonUnpack(dt tensor.DType) func(u *Unpacked, panel []byte, k int) {
	return func(u *Unpacked, panel []byte, k int) {
		u.Grow(k, 8)
		if k == 0 {
			return
		}
		_ = panel[8*dt.RowBytes(k)-1]
		runUnpack(dt, &unpackArgs{&panel[0], &u.Q[0], &u.D[0], &u.M[0], &u.S[0], &u.N[0], k / dt.BlockElems()})
	}
}

// neonFifthBits are the constants of the unpackers of Q5_0 and Q5_1: indices
// that copy byte 0, 1, 2 and 3 of each word over the word, and the bits 0 to 3
// and 4 to 7 in the bytes of each word.
//
//lint:ignore U1000 read by assembly
var neonFifthBits = func() (t [96]byte) {
	for i := range 16 {
		for b := range 4 {
			t[16*b+i] = byte(i&^3 + b)
		}
		t[64+i], t[80+i] = 1<<(i%4), 16<<(i%4)
	}
	return t
}()

// quantMatArgs are the arguments of the matrix kernels on unpacked panels, for
// a tile of 1 to 4 columns (rows of activations). Strides are in bytes.
//
// The generator knows the order of these fields.
type quantMatArgs struct {
	y       *float32
	ldy     uintptr
	q       *byte
	d, m    *float32
	s, n    *int32
	nblocks uintptr
	x       *int8
	ldx     uintptr
	dx      *float32
	lddx    uintptr
	sum     *int32
	ldsum   uintptr
}

// quantMatCols is the largest number of columns of a tile.
const quantMatCols = 4

// neonQuantMat is genericQuantMat on the same form of Unpacked.
func neonQuantMat(t quantTraits) func(y []float32, ldy int, u *Unpacked, a *Act, row0, cols int) {
	elems, sumElems := 32, 32
	if t.sub != 0 {
		elems, sumElems = 256, 16
	}
	return func(y []float32, ldy int, u *Unpacked, a *Act, row0, cols int) {
		if cols == 0 {
			return
		}
		k := a.K
		if k == 0 {
			for c := range cols {
				clear(y[c*ldy : c*ldy+8])
			}
			return
		}
		nb, nsum := k/elems, k/sumElems
		_, _, _, _ = y[(cols-1)*ldy+7], a.Q[(row0+cols)*k-1], a.D[(row0+cols)*nb-1], a.Sum[(row0+cols)*nsum-1]
		args := quantMatArgs{
			ldy: uintptr(ldy) * 4, q: &u.Q[:k*8][0], d: &u.D[:nb*8][0], m: &u.M[:nb*8][0], s: &u.S[0], n: &u.N[0],
			nblocks: uintptr(nb), ldx: uintptr(k), lddx: uintptr(nb) * 4, ldsum: uintptr(nsum) * 4,
		}
		for c := 0; c < cols; {
			// As even as tiles of at most quantMatCols columns can be.
			tiles := (cols - c + quantMatCols - 1) / quantMatCols
			n := (cols - c + tiles - 1) / tiles
			row := row0 + c
			args.y, args.x, args.dx, args.sum = &y[c*ldy], &a.Q[row*k], &a.D[row*nb], &a.Sum[row*nsum]
			runQuantMat(t, n, &args)
			c += n
		}
	}
}

// neonVec checks the slices for a vector kernel in assembly.
func neonVec(dt tensor.DType) func(y []float32, panels []byte, npanels int, a *Act, row int) {
	elems, sumElems := dt.BlockElems(), 32
	if elems == 256 {
		sumElems = 16
	}
	return func(y []float32, panels []byte, npanels int, a *Act, row int) {
		if npanels == 0 {
			return
		}
		k := a.K
		if k == 0 {
			clear(y[:8*npanels])
			return
		}
		nb := k / elems
		_, _ = y[8*npanels-1], panels[npanels*8*dt.RowBytes(k)-1]
		q, d, sum := &a.Q[row*k : (row+1)*k][0], &a.D[row*nb : (row+1)*nb][0], &a.Sum[row*(k/sumElems) : (row+1)*(k/sumElems)][0]
		switch dt {
		case tensor.Q4_0:
			neonVecQ4_0(&y[0], &panels[0], npanels, nb, q, d, sum)
		case tensor.Q8_0:
			neonVecQ8_0(&y[0], &panels[0], npanels, nb, q, d, sum)
		case tensor.Q4_K:
			neonVecQ4_K(&y[0], &panels[0], npanels, nb, q, d, sum)
		case tensor.Q6_K:
			neonVecQ6_K(&y[0], &panels[0], npanels, nb, q, d, sum)
		}
	}
}

//go:noescape
func neonVecQ4_0(y *float32, panels *byte, npanels, nblocks int, q *int8, d *float32, sum *int32)

//go:noescape
func neonVecQ8_0(y *float32, panels *byte, npanels, nblocks int, q *int8, d *float32, sum *int32)

//go:noescape
func neonVecQ4_K(y *float32, panels *byte, npanels, nblocks int, q *int8, d *float32, sum *int32)

//go:noescape
func neonVecQ6_K(y *float32, panels *byte, npanels, nblocks int, q *int8, d *float32, sum *int32)
