package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tileCols are the numbers of columns that kernels exist for. Callers cut more
// columns into such tiles. With K a multiple of 4096 more than 4 columns would
// fight for one set of the first cache.
var tileCols = []int{1, 2, 3, 4}

// prefetch is how far ahead panels are fetched by kernels that read them once.
const prefetch = 2048

// tile is a kernel under construction: 8 rows of weights times cols columns of
// activations.
type tile struct {
	*class
	t    *quantType // nil: weights come from an unpacked panel
	cols int

	p          Register // packed block, or unpacked quants
	x, x1, x3  Register // column 0's next activations, the stride of columns, thrice that
	xd, d1, d3 Register // the same of activation scales
	scratch    Register
	next       Register     // what to fetch from a packed matrix
	last       Mem          // its last block
	y          []Op         // outputs: registers, or memory where isum needs them
	acc        []VecVirtual // words by column
	isum       []VecVirtual // integer sums by column
}

// column addresses column c's part at disp of what base, stride and thrice the
// stride describe.
func column(base, one, three Register, c, disp int) Mem {
	switch c {
	case 0:
		return Mem{Base: base, Disp: disp}
	case 3:
		return Mem{Base: base, Index: three, Scale: 1, Disp: disp}
	}
	return Mem{Base: base, Index: one, Scale: uint8(c), Disp: disp}
}

// matKernels emits the matrix kernels.
func matKernels() {
	for _, c := range classes {
		for _, cols := range tileCols {
			k := &tile{class: c, cols: cols}
			TEXT(fmt.Sprintf("avx2Mat%sx%d", c.name, cols), 0, "func"+matSig)
			Doc(fmt.Sprintf("Multiplies an unpacked panel of class %s with %d columns.", c.name, cols))
			k.emit()
		}
	}
}

// panelKernel emits a kernel that unpacks on the way.
func panelKernel(t *quantType, cols int) {
	k := &tile{class: t.class, t: t, cols: cols}
	TEXT(fmt.Sprintf("avx2Vec%sx%d", t.name, cols), 0, "func"+vecSig)
	Doc(fmt.Sprintf("Multiplies panels of %s with %d columns.", t.name, cols))
	k.emit()
}

// The parameters by their offsets.
func argY() Mem       { return NewParamAddr("y", 0) }
func argLdy() Mem     { return NewParamAddr("ldy", 8) }
func argXQ() Mem      { return NewParamAddr("xq", 16) }
func argXD() Mem      { return NewParamAddr("xd", 24) }
func argXS() Mem      { return NewParamAddr("xs", 32) }
func argNB() Mem      { return NewParamAddr("nb", 40) }
func argQ() Mem       { return NewParamAddr("q", 48) }
func argD() Mem       { return NewParamAddr("d", 56) }
func argM() Mem       { return NewParamAddr("m", 64) }
func argS() Mem       { return NewParamAddr("s", 72) }
func argN() Mem       { return NewParamAddr("n", 80) }
func argPanels() Mem  { return NewParamAddr("panels", 48) }
func argNPanels() Mem { return NewParamAddr("npanels", 56) }

func load(m Mem) Register {
	r := GP64()
	MOVQ(m, r)
	return r
}

func imm(n int) Op {
	if n < 128 {
		return Imm(uint64(n))
	}
	return U32(uint32(n))
}

func (k *tile) emit() {
	frame := AllocLocal(k.scratchSize())
	k.scratch = GP64()
	LEAQ(frame, k.scratch)
	ADDQ(Imm(31), k.scratch)
	ANDQ(I8(-32), k.scratch)
	k.strides()
	for c := range k.cols {
		k.acc = append(k.acc, YMM())
		if k.elems == 32 {
			k.y = append(k.y, YMM())
		} else {
			k.y = append(k.y, at(k.scratch, 32*c))
		}
		if k.elems == 256 {
			k.isum = append(k.isum, YMM())
		}
	}
	var ones []Mem
	if k.elems == 32 {
		ones = []Mem{wordsMem(1)}
	}
	if k.t == nil {
		hold(ones...)
		k.p = load(argQ())
		k.panel()
	} else {
		k.t.hold(ones...)
		k.p = load(argPanels())
		k.next, k.last = GP64(), AllocLocal(8)
		MOVQ(argNPanels(), k.next)
		IMULQ(argNB(), k.next)
		DECQ(k.next)
		IMUL3Q(U32(uint32(k.t.bytes*rows)), k.next, k.next)
		ADDQ(k.p, k.next)
		MOVQ(k.next, k.last)
		Label("panel")
		k.panel()
		ADDQ(Imm(4*rows), argY())
		DECQ(argNPanels())
		JNZ(LabelRef("panel"))
	}
	VZEROUPPER()
	RET()
}

// Offsets in a kernel's scratch.
func (k *tile) pairsAt(c int) int { return 32 * (k.cols + c) } // pairs of activation sums
func (k *tile) subAt() int        { return 64 * k.cols }       // sub-scales and minima of a packed block

func (k *tile) scratchSize() int {
	n := k.pairsAt(0)
	if k.elems == 256 {
		n = k.subAt()
		if k.t != nil && k.t.scalesAt == 0 {
			n += 2 * 256 / k.sub * 8
		}
	}
	return n + 32 // to align it
}

// strides makes the distances of columns.
func (k *tile) strides() {
	k.x, k.xd = GP64(), GP64()
	if k.cols > 1 {
		k.d1 = load(argNB())
		k.x1 = GP64()
		IMUL3Q(U32(uint32(k.elems)), k.d1, k.x1)
		SHLQ(Imm(2), k.d1)
	}
	if k.cols > 3 {
		k.x3, k.d3 = GP64(), GP64()
		LEAQ(Mem{Base: k.x1, Index: k.x1, Scale: 2}, k.x3)
		LEAQ(Mem{Base: k.d1, Index: k.d1, Scale: 2}, k.d3)
	}
}

// panel computes one panel of rows.
func (k *tile) panel() {
	MOVQ(argXQ(), k.x)
	MOVQ(argXD(), k.xd)
	for _, y := range k.y {
		k.clear(y)
	}
	if k.elems == 32 {
		k.panel32()
	} else {
		k.panel256()
	}
	y, ldy := load(argY()), load(argLdy())
	SHLQ(Imm(2), ldy)
	for c := range k.cols {
		if r, ok := k.y[c].(VecVirtual); ok {
			VMOVUPS(r, at(y, 0))
		} else {
			v := YMM()
			VMOVUPS(k.y[c], v)
			VMOVUPS(v, at(y, 0))
		}
		if c < k.cols-1 {
			ADDQ(ldy, y)
		}
	}
}

func (k *tile) clear(y Op) {
	r, ok := y.(VecVirtual)
	if !ok {
		r = YMM()
	}
	VXORPS(r, r, r)
	if !ok {
		VMOVUPS(r, y)
	}
}

// dot multiplies the groups of a loader, sub elements by sub: done is called with
// sums in 32 bits, in a register that may be changed. scale gives the words that
// sub j of the loader's is multiplied by on the way.
func (k *tile) dot(load loader, q, high Register, sub int, scale func(j int) Op, done func(c int, v VecVirtual)) {
	n := 0 // groups in the words of acc
	load(k.p, q, high, func(g int, w ...VecVirtual) {
		for c, acc := range k.acc {
			v := acc
			if n > 0 {
				v = YMM()
			}
			VPBROADCASTD(column(k.x, k.x1, k.x3, c, 4*g), v)
			if k.signed() {
				VPSIGNB(w[1], v, v) // Act.Q has no -128, whose sign cannot change
			}
			VPMADDUBSW(v, w[0], v)
			if n > 0 {
				VPADDW(v, acc, acc)
			}
		}
		n++
		if n < min(k.fold(), sub/4) {
			return
		}
		s := scale(g * 4 / sub)
		for c, acc := range k.acc {
			VPMADDWD(s, acc, acc)
			done(c, acc)
		}
		n = 0
	})
}

// ahead makes k.next the block that is to be fetched while the one at p is
// worked on, at most the last one: fetching from pages that are not there costs
// a hundred cycles each time.
func (k *tile) ahead() {
	LEAQ(at(k.p, prefetch), k.next)
	CMPQ(k.next, k.last)
	CMOVQHI(k.last, k.next)
}

// fetch fetches n bytes, a block or less, from disp bytes into the next block.
func (k *tile) fetch(disp, n int) {
	for i := 0; i < n; i += 64 {
		PREFETCHT0(at(k.next, disp+i))
	}
}

// panel32 walks a panel of a type with blocks of 32.
func (k *tile) panel32() {
	xs := load(argXS())
	left := load(argNB())
	var d, m Register
	if k.t == nil {
		d = load(argD())
		if k.minima {
			m = load(argM())
		}
	}
	Label("block")
	load32 := unpacked(k.class)
	var scale, minimum Op
	if k.t != nil {
		k.ahead()
		k.fetch(0, k.t.bytes*rows)
		load32 = k.t.load[0]
	} else {
		scale = at(d, 0)
		if k.minima {
			minimum = at(m, 0)
		}
	}
	sums := make([]VecVirtual, k.cols)
	k.dot(load32, k.p, nil, 32, func(int) Op { return wordsOf(1) }, func(c int, v VecVirtual) {
		switch {
		case sums[c] != nil:
			VPADDD(v, sums[c], sums[c])
		case k.fold() == 8:
			sums[c] = v
		default:
			sums[c] = YMM()
			VMOVDQA(v, sums[c])
		}
	})
	if k.t != nil {
		r := YMM()
		VCVTPH2PS(at(k.p, 0), r)
		scale = r
		if k.minima {
			r := YMM()
			VCVTPH2PS(at(k.p, 2*rows), r)
			minimum = r
		}
	}
	for c, isum := range sums {
		dx := YMM()
		if k.bias != 0 {
			s := YMM()
			VPBROADCASTD(column(xs, k.d1, k.d3, c, 0), s)
			VPSLLD(Imm(k.bias), s, s)
			VPSUBD(s, isum, isum)
		}
		VCVTDQ2PS(isum, isum)
		VBROADCASTSS(column(k.xd, k.d1, k.d3, c, 0), dx)
		if k.minima {
			s := YMM()
			VPBROADCASTD(column(xs, k.d1, k.d3, c, 0), s)
			VCVTDQ2PS(s, s)
			VMULPS(s, dx, s)
			VMULPS(scale, dx, dx)
			VFMADD231PS(dx, isum, k.y[c])
			VFMADD231PS(minimum, s, k.y[c])
		} else {
			VMULPS(scale, dx, dx)
			VFMADD231PS(dx, isum, k.y[c])
		}
	}
	ADDQ(Imm(32), k.x)
	ADDQ(Imm(4), k.xd)
	ADDQ(Imm(4), xs)
	if k.t != nil {
		ADDQ(U32(uint32(k.t.bytes*rows)), k.p)
	} else {
		ADDQ(U32(uint32(256*k.planes())), k.p)
		ADDQ(Imm(32), d)
		if k.minima {
			ADDQ(Imm(32), m)
		}
	}
	DECQ(left)
	JNZ(LabelRef("block"))
}

// unpacked is the loader of unpacked quants.
func unpacked(c *class) loader {
	return func(_, q, _ Register, put put) {
		for g := range 8 {
			var planes []VecVirtual
			for i := range c.planes() {
				w := YMM()
				VMOVDQU(at(q, 32*(g*c.planes()+i)), w)
				planes = append(planes, w)
			}
			put(g, planes...)
		}
	}
}
