package kernel

import "github.com/cria-llm/cria/internal/tensor"

// genericQuant is the plain Go form of every block-quantised type, for panels
// of panelRows rows, at most maxPanelRows. Other sets take from it what they
// have no better form of, and are compared with it bit for bit.
//
// Its Unpacked holds signed bytes in Q, the value q_w of the package
// documentation; a set whose Mat wants another form brings its own Unpack.
func genericQuant(panelRows int) map[tensor.DType]*QuantFormat {
	formats := map[tensor.DType]*QuantFormat{}
	for dt, t := range quantTypes {
		f := &QuantFormat{
			Type:   dt,
			Pack:   packer(dt, panelRows),
			Vec:    genericVec(dt, panelRows),
			Unpack: genericUnpack(dt, panelRows),
			Mat: func(y []float32, ldy int, u *Unpacked, a *Act, row0, cols int) {
				genericQuantMat(y, ldy, u, a, row0, cols, panelRows, t)
			},
			Dequant: genericDequant(dt, panelRows),
		}
		formats[dt] = f
	}
	return formats
}

const maxPanelRows = 16

// blockScratch is room for one unpacked block on the stack.
type blockScratch struct {
	q    [256 * maxPanelRows]byte
	d, m [maxPanelRows]float32
	s, n [16 * maxPanelRows]int32
}

func (s *blockScratch) block(dt tensor.DType, R int) unpackedBlock {
	return unpackedBlock{q: s.q[:dt.BlockElems()*R], d: s.d[:R], m: s.m[:R], s: s.s[:], n: s.n[:]}
}

func genericVec(dt tensor.DType, R int) func(y []float32, panels []byte, npanels int, a *Act, row int) {
	t := quantTypes[dt]
	blockBytes, blockElems := R*dt.BlockBytes(), dt.BlockElems()
	return func(y []float32, panels []byte, npanels int, a *Act, row int) {
		var s blockScratch
		o := s.block(dt, R)
		nb := a.K / blockElems
		for p := range npanels {
			yp := y[p*R : (p+1)*R]
			clear(yp)
			for b := range nb {
				unpackBlock(dt, R, panels[(p*nb+b)*blockBytes:(p*nb+b+1)*blockBytes], &o)
				addBlock(yp, &o, a, row, b, t)
			}
		}
	}
}

func genericUnpack(dt tensor.DType, R int) func(u *Unpacked, panel []byte, k int) {
	t := quantTypes[dt]
	blockBytes, blockElems := R*dt.BlockBytes(), dt.BlockElems()
	return func(u *Unpacked, panel []byte, k int) {
		u.Grow(k, R)
		for b := range k / blockElems {
			o := u.block(b, blockElems, R, t)
			unpackBlock(dt, R, panel[b*blockBytes:(b+1)*blockBytes], &o)
		}
	}
}

func genericQuantMat(y []float32, ldy int, u *Unpacked, a *Act, row0, cols, R int, t quantTraits) {
	blockElems := 32
	if t.sub != 0 {
		blockElems = 256
	}
	for c := range cols {
		yc := y[c*ldy : c*ldy+R]
		clear(yc)
		for b := range a.K / blockElems {
			o := u.block(b, blockElems, R, t)
			addBlock(yc, &o, a, row0+c, b, t)
		}
	}
}

// addBlock adds block b's products with activation row row to len(y) outputs,
// in the order that the package documentation gives.
func addBlock(y []float32, o *unpackedBlock, a *Act, row, b int, t quantTraits) {
	if t.sub == 0 {
		addBlock32(y, o, a, row, b, t.minima)
	} else {
		addBlock256(y, o, a, row, b, t)
	}
}

func addBlock32(y []float32, o *unpackedBlock, a *Act, row, b int, minima bool) {
	R, at := len(y), row*(a.K/32)+b
	x, dx := a.Q[row*a.K+b*32:][:32], a.D[at]
	var isum [maxPanelRows]int32
	dotGroups(isum[:R], o.q, x)
	for r := range y {
		y[r] = fma32(float32(isum[r]), o.d[r]*dx, y[r])
	}
	if minima {
		xsum := dx * float32(a.Sum[at])
		for r := range y {
			y[r] = fma32(o.m[r], xsum, y[r])
		}
	}
}

func addBlock256(y []float32, o *unpackedBlock, a *Act, row, b int, t quantTraits) {
	R := len(y)
	x, dx := a.Q[row*a.K+b*256:][:256], a.D[row*(a.K/256)+b]
	var isum, imin [maxPanelRows]int32
	for j := range 256 / t.sub {
		var dot [maxPanelRows]int32
		dotGroups(dot[:R], o.q[j*t.sub*R:], x[j*t.sub:(j+1)*t.sub])
		for r := range R {
			isum[r] += o.s[j*R+r] * dot[r]
		}
	}
	for r := range y {
		y[r] = fma32(float32(isum[r]), o.d[r]*dx, y[r])
	}
	if !t.minima {
		return
	}
	sums := a.Sum[row*(a.K/16)+b*16:][:16]
	for i, sum := range sums {
		j := i * 16 / t.sub
		for r := range R {
			imin[r] += o.n[j*R+r] * sum
		}
	}
	for r := range y {
		y[r] = fma32(float32(imin[r]), -(o.m[r] * dx), y[r])
	}
}

// dotGroups adds the products of x with len(sum) rows of signed bytes.
func dotGroups(sum []int32, q []byte, x []int8) {
	R := len(sum)
	for g := range len(x) / 4 {
		x0, x1, x2, x3 := int32(x[4*g]), int32(x[4*g+1]), int32(x[4*g+2]), int32(x[4*g+3])
		qg := q[4*R*g : 4*R*(g+1)]
		for r := range sum {
			w := qg[4*r : 4*r+4]
			sum[r] += int32(int8(w[0]))*x0 + int32(int8(w[1]))*x1 + int32(int8(w[2]))*x2 + int32(int8(w[3]))*x3
		}
	}
}

// genericDequant writes the reference codec's products and sums, each rounded
// as package quant does.
func genericDequant(dt tensor.DType, R int) func(dst []float32, panel []byte, k int) {
	t := quantTypes[dt]
	blockBytes, blockElems := R*dt.BlockBytes(), dt.BlockElems()
	return func(dst []float32, panel []byte, k int) {
		var s blockScratch
		o := s.block(dt, R)
		for b := range k / blockElems {
			unpackBlock(dt, R, panel[b*blockBytes:(b+1)*blockBytes], &o)
			for r := range R {
				dequantRow(dst[r*k+b*blockElems:][:blockElems], &o, r, R, t)
			}
		}
	}
}

// dequantRow writes one row's block.
func dequantRow(dst []float32, o *unpackedBlock, r, R int, t quantTraits) {
	d, m := o.d[r], float32(0)
	if t.minima {
		m = o.m[r]
	}
	sub := t.sub
	if sub == 0 {
		sub = 32
	}
	for j := range len(dst) / sub {
		dj, mj := d, m
		if t.sub != 0 {
			dj = d * float32(o.s[j*R+r])
			if t.minima {
				mj = -(m * float32(o.n[j*R+r]))
			}
		}
		for i := j * sub; i < (j+1)*sub; i++ {
			v := float32(float32(int8(o.q[(i/4*R+r)*4+i%4])) * dj)
			if t.minima {
				v += mj
			}
			dst[i] = v
		}
	}
}
