package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Numbers of columns that kernels exist for. The matrix kernel's callers cut a
// ragged number of columns into such tiles.
var (
	matCols   = []int{12, 8, 4, 2, 1}
	smallCols = []int{1, 2, 3, 4, 5, 6, 7, 8}
)

// prefetch is how far ahead panels are fetched by kernels that read them once.
const prefetch = 2048

// tile is a kernel under construction: 16 rows of weights times cols columns of
// activations.
type tile struct {
	*class
	t    *quantType // nil: weights come from an unpacked panel
	cols int

	p       Register // packed block, or unpacked quants
	x       [2]Register
	stride  [6]Register // multiples of the activations' row stride; see act
	scratch Register
	w, acc  []VecVirtual

	// What is needed rarely lives on the stack, in parameters too.
	left   Mem // blocks not yet done
	xd, xs Mem // column 0's activation scales and sums of the next block
}

// Offsets in a kernel's scratch.
func (k *tile) startsAt(c int) int { return 64 * c }                  // what chains begin with, or d_x*sum
func (k *tile) scalesAt(c int) int { return 64 * (k.cols + c) }       // activation scales (blocks of 32), outputs (256)
func (k *tile) pairsAt(c int) int  { return 128*k.cols + 32*c }       // pairs of activation sums
func (k *tile) subAt() int         { return (160*k.cols + 63) &^ 63 } // sub-scales
func (k *tile) subMinAt() int      { return k.subAt() + 256/k.sub*64 }

func (k *tile) scratchSize() int {
	n := k.subAt()
	if k.elems == 32 {
		n = k.pairsAt(0)
	} else if k.t != nil {
		n = k.subMinAt() + 256/k.sub*32
	}
	return n + 64 // to align it
}

// matKernels emits the matrix kernels.
func matKernels() {
	for _, c := range classes {
		for _, cols := range matCols {
			k := &tile{class: c, cols: cols}
			TEXT(fmt.Sprintf("avx512Mat%sx%d", c.name, cols), 0, "func"+matSig)
			Doc(fmt.Sprintf("One unpacked panel of class %s times %d columns.", c.name, cols))
			k.emit()
		}
	}
}

// panelKernel emits a kernel that unpacks on the way.
func panelKernel(t *quantType, cols int) {
	k := &tile{class: t.class, t: t, cols: cols}
	TEXT(fmt.Sprintf("avx512Vec%sx%d", t.name, cols), 0, "func"+vecSig)
	Doc(fmt.Sprintf("Panels of %s times %d columns.", t.name, cols))
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
func argBias() Mem    { return NewParamAddr("bias", 88) }
func argPanels() Mem  { return NewParamAddr("panels", 48) }
func argNPanels() Mem { return NewParamAddr("npanels", 56) }

func load(m Mem) Register {
	r := GP64()
	MOVQ(m, r)
	return r
}

func move(from, to Mem) { MOVQ(load(from), to) }

func (k *tile) emit() {
	frame := AllocLocal(k.scratchSize())
	k.left, k.xd, k.xs = AllocLocal(8), AllocLocal(8), AllocLocal(8)
	k.scratch = GP64()
	LEAQ(frame, k.scratch)
	ADDQ(Imm(63), k.scratch)
	ANDQ(I8(-64), k.scratch)
	k.rowStrides()
	for range 8 {
		k.w = append(k.w, ZMM())
	}
	for range k.cols {
		k.acc = append(k.acc, ZMM())
	}
	if k.t != nil {
		k.p = load(argPanels())
		k.t.before()
		Label("panel")
		k.panel()
		ADDQ(Imm(64), argY())
		DECQ(argNPanels())
		JNZ(LabelRef("panel"))
	} else {
		k.p = load(argQ())
		k.panel()
	}
	VZEROUPPER()
	RET()
}

// rowStrides makes the multiples of K by which columns are addressed.
func (k *tile) rowStrides() {
	mul := func(n int) Register {
		r := load(argNB())
		IMUL3Q(U32(uint32(n*k.elems)), r, r)
		return r
	}
	if k.cols > 1 {
		k.stride[1] = mul(1)
	}
	if k.cols > 3 {
		k.stride[3] = mul(3)
	}
	if k.cols > 5 {
		k.stride[5] = mul(5)
	}
}

// act addresses 4 activations of column c, which lies at x[c/6] + K*(c%6); a
// factor of 2 or 4 is the address's scale.
func (k *tile) act(c, disp int) Mem {
	m := Mem{Base: k.x[c/6], Disp: disp}
	switch c % 6 {
	case 1, 2, 4:
		m.Index, m.Scale = k.stride[1], uint8(c%6)
	case 3, 5:
		m.Index, m.Scale = k.stride[c%6], 1
	}
	return m
}

func (k *tile) advance(elems int) {
	ADDQ(U32(uint32(elems)), k.x[0])
	if k.cols > 6 {
		ADDQ(U32(uint32(elems)), k.x[1])
	}
}

// panel computes one panel of rows.
func (k *tile) panel() {
	k.x[0] = load(argXQ())
	if k.cols > 6 {
		k.x[1] = GP64()
		LEAQ(Mem{Base: k.x[0], Index: k.stride[3], Scale: 2}, k.x[1])
	}
	move(argXD(), k.xd)
	move(argXS(), k.xs)
	move(argNB(), k.left)
	if k.elems == 32 {
		k.panel32()
	} else {
		k.panel256()
	}
}

// eachColumn calls f with pointers that begin as given and step from column to
// column by nb << shift bytes.
func (k *tile) eachColumn(ptr []Mem, shift uint64, f func(c int, p []Register)) {
	var p []Register
	for _, m := range ptr {
		p = append(p, load(m))
	}
	bytes := load(argNB())
	SHLQ(Imm(shift), bytes)
	for c := range k.cols {
		f(c, p)
		if c < k.cols-1 {
			for _, r := range p {
				ADDQ(bytes, r)
			}
		}
	}
}

// startValues turns sums of activations into what chains begin with.
func (k *tile) startValues(v VecVirtual) {
	if k.t != nil {
		VPSLLD(Imm(k.t.bias), v, v)
	} else {
		bias := XMM()
		VMOVQ(argBias(), bias)
		VPSLLD(bias, v, v)
	}
	zero := ZMM()
	VXORPS(zero, zero, zero)
	VPSUBD(v, zero, v)
}

// chain starts a chain of VPDPBUSD: at 0, or at minus bias times the sum.
func (k *tile) chain(start Mem) VecVirtual {
	v := ZMM()
	if k.biased {
		VPBROADCASTD(start, v)
	} else {
		VXORPS(v, v, v)
	}
	return v
}

func fetch(p Register, n int) {
	for i := 0; i < n; i += 64 {
		PREFETCHT0(at(p, prefetch+i))
	}
}

// panel32 walks a panel of a type with blocks of 32, 16 blocks at a time: what
// depends on a column and a block alone is made for 16 blocks at once.
func (k *tile) panel32() {
	for _, a := range k.acc {
		VXORPS(a, a, a)
	}
	var dm [2]Register
	if k.t == nil {
		dm[0] = load(argD())
		if k.minima {
			dm[1] = load(argM())
		}
	}
	n, starts := GP64(), GP64()
	Label("chunk")
	MOVQ(k.left, RCX)
	limit := GP64()
	MOVQ(U32(16), limit)
	CMPQ(RCX, limit)
	CMOVQGT(limit, RCX)
	MOVQ(RCX, n)
	ones, mask := GP64(), K() // the lowest n bits
	MOVQ(U32(1), ones)
	SHLQ(CL, ones)
	DECQ(ones)
	KMOVW(ones.As32(), mask)
	k.eachColumn([]Mem{k.xd, k.xs}, 2, func(c int, p []Register) {
		d, s := ZMM(), ZMM()
		VMOVDQU32_Z(at(p[0], 0), mask, d)
		VMOVDQU32(d, at(k.scratch, k.scalesAt(c)))
		VMOVDQU32_Z(at(p[1], 0), mask, s)
		if k.minima {
			VCVTDQ2PS(s, s)
			VMULPS(d, s, s)
		} else {
			k.startValues(s)
		}
		VMOVDQU32(s, at(k.scratch, k.startsAt(c)))
	})
	MOVQ(k.scratch, starts)

	Label("block")
	k.block32(starts, dm)
	k.advance(32)
	ADDQ(Imm(4), starts)
	DECQ(n)
	JNZ(LabelRef("block"))
	ADDQ(Imm(64), k.xd)
	ADDQ(Imm(64), k.xs)
	SUBQ(Imm(16), k.left)
	JG(LabelRef("chunk"))

	out, ldy := load(argY()), load(argLdy())
	for c, a := range k.acc {
		VMOVUPS(a, at(out, 0))
		if c < k.cols-1 {
			LEAQ(Mem{Base: out, Index: ldy, Scale: 4}, out)
		}
	}
}

func (k *tile) block32(starts Register, dm [2]Register) {
	d, m := ZMM(), ZMM()
	if k.t != nil {
		fetch(k.p, k.t.bytes*rows)
		VCVTPH2PS(at(k.p, 0), d)
		if k.minima {
			VCVTPH2PS(at(k.p, 2*rows), m)
		}
		k.t.load[0](k.p, k.p, k.w)
		ADDQ(U32(uint32(k.t.bytes*rows)), k.p)
	} else {
		VMOVUPS(at(dm[0], 0), d)
		ADDQ(Imm(64), dm[0])
		if k.minima {
			VMOVUPS(at(dm[1], 0), m)
			ADDQ(Imm(64), dm[1])
		}
		k.unpacked()
	}
	for c, a := range k.acc {
		v, scale := k.chain(at(starts, k.startsAt(c))), ZMM()
		for g, w := range k.w {
			VPDPBUSD_BCST(k.act(c, 4*g), w, v)
		}
		VMULPS_BCST(at(starts, k.scalesAt(c)), d, scale)
		VCVTDQ2PS(v, v)
		VFMADD231PS(scale, v, a)
		if k.minima {
			VFMADD231PS_BCST(at(starts, k.startsAt(c)), m, a)
		}
	}
}

// unpacked brings the next 32 elements of an unpacked panel to w.
func (k *tile) unpacked() {
	for g, w := range k.w {
		VMOVDQU32(at(k.p, 64*g), w)
	}
	ADDQ(U32(512), k.p)
}

// panel256 walks a panel of a type with blocks of 256. The outputs' f32 sums
// live in the scratch, the block's integer ones in registers.
func (k *tile) panel256() {
	zero := ZMM()
	VXORPS(zero, zero, zero)
	for c := range k.cols {
		VMOVUPS(zero, at(k.scratch, k.scalesAt(c)))
	}
	Label("block")
	k.eachColumn([]Mem{k.xs}, 6, func(c int, p []Register) { k.sums256(c, p[0]) })
	for _, a := range k.acc {
		VXORPS(a, a, a)
	}
	s, q, starts := GP64(), GP64(), GP64()
	if k.t != nil {
		n := GP64()
		LEAQ(at(k.scratch, k.subAt()), s)
		LEAQ(at(k.scratch, k.subMinAt()), n)
		fetch(k.p, k.t.start)
		k.t.scales(k.p, s, n)
		if k.t.begin != nil {
			k.t.begin(k.p)
		}
		LEAQ(at(k.p, k.t.start), q)
	} else {
		MOVQ(argS(), s)
	}
	MOVQ(k.scratch, starts)
	k.steps256(q, s, starts)
	k.finish256()
	if k.t != nil {
		ADDQ(U32(uint32(k.t.bytes*rows)), k.p)
	} else {
		MOVQ(s, argS())
		ADDQ(Imm(64), argD())
		if k.minima {
			ADDQ(Imm(64), argM())
			ADDQ(U32(uint32(256/k.sub*32)), argN())
		}
	}
	ADDQ(Imm(4), k.xd)
	ADDQ(Imm(64), k.xs)
	DECQ(k.left)
	JNZ(LabelRef("block"))

	out, ldy := load(argY()), load(argLdy())
	for c := range k.cols {
		a := ZMM()
		VMOVUPS(at(k.scratch, k.scalesAt(c)), a)
		VMOVUPS(a, at(out, 0))
		if c < k.cols-1 {
			LEAQ(Mem{Base: out, Index: ldy, Scale: 4}, out)
		}
	}
}

// sums256 prepares the sums of a column's 16 groups of 16 activations.
func (k *tile) sums256(c int, p Register) {
	s := ZMM()
	VMOVDQU32(at(p, 0), s)
	if k.sub == 32 {
		odd := ZMM()
		VPSRLQ(Imm(32), s, odd)
		VPADDD(odd, s, s)
	}
	if k.minima {
		if k.sub == 32 {
			VPMOVQW(s, at(k.scratch, k.pairsAt(c)))
		} else {
			VPMOVDW(s, at(k.scratch, k.pairsAt(c)))
		}
	}
	if k.biased {
		k.startValues(s)
		VMOVDQU32(s, at(k.scratch, k.startsAt(c)))
	}
}

// steps256 adds the products of a block, sub-scaled, to the integer sums.
func (k *tile) steps256(q, s, starts Register) {
	loops, steps := 8, 1
	if k.t != nil {
		loops, steps = k.t.loops, len(k.t.load)
	}
	i := GP64()
	MOVQ(U32(uint32(loops)), i)
	Label("step")
	if k.t != nil {
		fetch(q, k.t.stride)
	}
	for e := range steps {
		if k.t != nil {
			k.t.load[e](k.p, q, k.w)
		} else {
			k.unpacked()
		}
		k.step256(e, s, starts)
	}
	if k.t != nil {
		ADDQ(U32(uint32(k.t.stride)), q)
	}
	ADDQ(U32(uint32(steps*32/k.sub*64)), s)
	if k.biased {
		ADDQ(U32(uint32(8*steps)), starts)
	}
	k.advance(32 * steps)
	DECQ(i)
	JNZ(LabelRef("step"))
}

// step256 does 32 elements.
func (k *tile) step256(e int, s, starts Register) {
	half := 4 // groups per chain
	if k.sub == 32 && !k.words {
		half = 8
	}
	scale := []VecVirtual{ZMM()}
	VMOVDQU32(at(s, e*32/k.sub*64), scale[0])
	if k.sub == 16 {
		scale = append(scale, ZMM())
		VMOVDQU32(at(s, e*128+64), scale[1])
	}
	for c, a := range k.acc {
		for h := range 8 / half {
			v := k.chain(at(starts, k.startsAt(c)+8*e+4*h))
			for g := h * half; g < (h+1)*half; g++ {
				VPDPBUSD_BCST(k.act(c, 32*e+4*g), k.w[g], v)
			}
			if k.words {
				VPDPWSSD(scale[h%len(scale)], v, a)
			} else {
				VPMULLD(scale[h%len(scale)], v, v)
				VPADDD(v, a, a)
			}
		}
	}
}

// finish256 scales the block's integer sums and adds them to the outputs.
func (k *tile) finish256() {
	d, m := ZMM(), ZMM()
	pairs := 128 / k.sub
	if k.t != nil {
		VCVTPH2PS(at(k.p, 0), d)
	} else {
		VMOVUPS(at(load(argD()), 0), d)
	}
	if k.minima {
		n, disp := k.scratch, k.subMinAt()
		if k.t != nil {
			VCVTPH2PS(at(k.p, 2*rows), m)
		} else {
			VMOVUPS(at(load(argM()), 0), m)
			n, disp = load(argN()), 0
		}
		for i := range pairs {
			VMOVDQU32(at(n, disp+64*i), k.w[i])
		}
	}
	k.eachColumn([]Mem{k.xd}, 2, func(c int, p []Register) {
		isum, scale, y := k.acc[c], ZMM(), ZMM()
		VMOVUPS(at(k.scratch, k.scalesAt(c)), y)
		VMULPS_BCST(at(p[0], 0), d, scale)
		VCVTDQ2PS(isum, isum)
		VFMADD231PS(scale, isum, y)
		if k.minima {
			imin := ZMM()
			VXORPS(imin, imin, imin)
			for i := range pairs {
				VPDPWSSD_BCST(at(k.scratch, k.pairsAt(c)+4*i), k.w[i], imin)
			}
			VMULPS_BCST(at(p[0], 0), m, scale)
			VCVTDQ2PS(imin, imin)
			VFNMADD231PS(scale, imin, y)
		}
		VMOVUPS(y, at(k.scratch, k.scalesAt(c)))
	})
}
