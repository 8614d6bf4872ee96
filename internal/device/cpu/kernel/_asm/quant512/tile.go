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

	p       Register   // packed block, or unpacked quants
	x       []Register // each column's next activations
	scratch *pointer
	w, acc  []VecVirtual

	// What is needed rarely lives on the stack, in parameters too.
	left   Mem // blocks not yet done
	xd, xs Mem // column 0's activation scales and sums of the next block
	step   Mem // of eachColumn
}

// pointer is one that lives in a register, or on the stack where the columns
// need the registers: an address with an index costs more than a reload.
type pointer struct {
	reg  Register
	slot Mem
}

func (k *tile) pointer() *pointer {
	if k.cols > 6 {
		return &pointer{slot: AllocLocal(8)}
	}
	return &pointer{reg: GP64()}
}

func (p *pointer) get() Register {
	if p.reg != nil {
		return p.reg
	}
	return load(p.slot)
}

func (p *pointer) set(from Op) {
	if r, ok := from.(Register); ok && p.reg == nil {
		MOVQ(r, p.slot)
		return
	}
	if p.reg != nil {
		MOVQ(from, p.reg)
		return
	}
	MOVQ(load(from.(Mem)), p.slot)
}

// point makes p the address m.
func (p *pointer) point(m Mem) {
	r := p.reg
	if r == nil {
		r = GP64()
	}
	LEAQ(m, r)
	if p.reg == nil {
		MOVQ(r, p.slot)
	}
}

func (p *pointer) add(n int) {
	if p.reg != nil {
		ADDQ(imm(n), p.reg)
	} else {
		ADDQ(imm(n), p.slot)
	}
}

// down counts p down by one and sets the flags.
func (p *pointer) down() {
	if p.reg != nil {
		DECQ(p.reg)
	} else {
		DECQ(p.slot)
	}
}

func imm(n int) Op {
	if n < 128 {
		return Imm(uint64(n))
	}
	return U32(uint32(n))
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
	k.left, k.xd, k.xs, k.step = AllocLocal(8), AllocLocal(8), AllocLocal(8), AllocLocal(8)
	base := GP64()
	LEAQ(frame, base)
	ADDQ(Imm(63), base)
	ANDQ(I8(-64), base)
	k.scratch = k.pointer()
	k.scratch.set(base)
	for range k.cols {
		k.x = append(k.x, GP64())
	}
	if k.t != nil {
		for range 8 {
			k.w = append(k.w, ZMM())
		}
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

// act addresses 4 activations of column c.
func (k *tile) act(c, disp int) Mem { return at(k.x[c], disp) }

func (k *tile) advance(elems int) {
	for _, x := range k.x {
		ADDQ(imm(elems), x)
	}
}

// panel computes one panel of rows.
func (k *tile) panel() {
	MOVQ(argXQ(), k.x[0])
	if k.cols > 1 {
		stride := load(argNB())
		IMUL3Q(U32(uint32(k.elems)), stride, stride)
		for c, x := range k.x[1:] {
			LEAQ(Mem{Base: k.x[c], Index: stride, Scale: 1}, x)
		}
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

// eachColumn calls f with an address that begins at ptr and steps from column
// to column by nb << shift bytes.
func (k *tile) eachColumn(ptr Mem, shift uint64, f func(c int, p Mem)) {
	p := load(argNB())
	SHLQ(Imm(shift), p)
	MOVQ(p, k.step)
	MOVQ(ptr, p)
	for c := range k.cols {
		f(c, at(p, 0))
		if c < k.cols-1 {
			ADDQ(k.step, p)
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

// chains starts every column's chain of VPDPBUSD: at 0, or at minus bias times
// the sum.
func (k *tile) chains(start func(c int) Mem) []VecVirtual {
	v := make([]VecVirtual, k.cols)
	for c := range v {
		v[c] = ZMM()
		if k.biased {
			VPBROADCASTD(start(c), v[c])
		} else {
			VXORPS(v[c], v[c], v[c])
		}
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
	n, starts := k.pointer(), k.pointer()
	Label("chunk")
	MOVQ(k.left, RCX)
	CMPQ(RCX, Imm(16))
	JLE(LabelRef("mask"))
	MOVQ(U32(16), RCX)
	Label("mask")
	n.set(RCX)
	ones, mask := GP64(), K() // the lowest n bits
	MOVQ(U32(1), ones)
	SHLQ(CL, ones)
	DECQ(ones)
	KMOVW(ones.As32(), mask)
	base := k.scratch.get()
	k.eachColumn(k.xd, 2, func(c int, p Mem) {
		d := ZMM()
		VMOVDQU32_Z(p, mask, d)
		VMOVDQU32(d, at(base, k.scalesAt(c)))
	})
	k.eachColumn(k.xs, 2, func(c int, p Mem) {
		s := ZMM()
		VMOVDQU32_Z(p, mask, s)
		if k.minima {
			VCVTDQ2PS(s, s)
			VMULPS(at(base, k.scalesAt(c)), s, s)
		} else {
			k.startValues(s)
		}
		VMOVDQU32(s, at(base, k.startsAt(c)))
	})
	starts.set(base)

	Label("block")
	k.block32(starts)
	k.advance(32)
	starts.add(4)
	n.down()
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

func (k *tile) block32(starts *pointer) {
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
		VMOVUPS(at(load(argD()), 0), d)
		ADDQ(Imm(64), argD())
		if k.minima {
			VMOVUPS(at(load(argM()), 0), m)
			ADDQ(Imm(64), argM())
		}
	}
	base := starts.get()
	v := k.chains(func(c int) Mem { return at(base, k.startsAt(c)) })
	k.multiply(v, 0, 0, 8)
	base = starts.get()
	for c, a := range k.acc {
		scale := ZMM()
		VMULPS_BCST(at(base, k.scalesAt(c)), d, scale)
		VCVTDQ2PS(v[c], v[c])
		VFMADD231PS(scale, v[c], a)
		if k.minima {
			VFMADD231PS_BCST(at(base, k.startsAt(c)), m, a)
		}
	}
	if k.t == nil {
		ADDQ(U32(512), k.p)
	}
}

// multiply adds the products of groups [from, to) of step e's 32 elements to
// every column's chain. The chains run side by side: the scheduler is too small
// to find enough independent instructions where one chain follows another.
func (k *tile) multiply(v []VecVirtual, e, from, to int) {
	for g := from; g < to; g++ {
		var w VecVirtual
		if k.t != nil {
			w = k.w[g]
		} else {
			w = ZMM()
			VMOVDQU32(at(k.p, 64*g), w)
		}
		for c := range v {
			VPDPBUSD_BCST(k.act(c, 32*e+4*g), w, v[c])
		}
	}
}

// panel256 walks a panel of a type with blocks of 256. The outputs' f32 sums
// live in the scratch, the block's integer ones in registers.
func (k *tile) panel256() {
	zero, base := ZMM(), k.scratch.get()
	VXORPS(zero, zero, zero)
	for c := range k.cols {
		VMOVUPS(zero, at(base, k.scalesAt(c)))
	}
	s, q, starts, i := k.pointer(), Register(nil), k.pointer(), k.pointer()
	Label("block")
	base = k.scratch.get()
	k.eachColumn(k.xs, 6, func(c int, p Mem) { k.sums256(c, p, base) })
	for _, a := range k.acc {
		VXORPS(a, a, a)
	}
	if k.t != nil {
		sub, subMin := GP64(), GP64()
		LEAQ(at(base, k.subAt()), sub)
		LEAQ(at(base, k.subMinAt()), subMin)
		fetch(k.p, k.t.start)
		k.t.scales(k.p, sub, subMin)
		s.set(sub)
		if k.t.begin != nil {
			k.t.begin(k.p)
		}
		q = GP64()
		LEAQ(at(k.p, k.t.start), q)
	} else {
		s.set(argS())
	}
	starts.set(base)
	k.steps256(q, s, starts, i)
	k.finish256()
	if k.t != nil {
		ADDQ(U32(uint32(k.t.bytes*rows)), k.p)
	} else {
		ADDQ(U32(uint32(256/k.sub*64)), argS())
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

	base = k.scratch.get()
	out, ldy := load(argY()), load(argLdy())
	for c := range k.cols {
		a := ZMM()
		VMOVUPS(at(base, k.scalesAt(c)), a)
		VMOVUPS(a, at(out, 0))
		if c < k.cols-1 {
			LEAQ(Mem{Base: out, Index: ldy, Scale: 4}, out)
		}
	}
}

// sums256 prepares the sums of a column's 16 groups of 16 activations.
func (k *tile) sums256(c int, sums Mem, scratch Register) {
	s := ZMM()
	VMOVDQU32(sums, s)
	if k.sub == 32 {
		odd := ZMM()
		VPSRLQ(Imm(32), s, odd)
		VPADDD(odd, s, s)
	}
	if k.minima {
		if k.sub == 32 {
			VPMOVQW(s, at(scratch, k.pairsAt(c)))
		} else {
			VPMOVDW(s, at(scratch, k.pairsAt(c)))
		}
	}
	if k.biased {
		k.startValues(s)
		VMOVDQU32(s, at(scratch, k.startsAt(c)))
	}
}

// steps256 adds the products of a block, sub-scaled, to the integer sums.
func (k *tile) steps256(q Register, s, starts, i *pointer) {
	loops, steps := 8, 1
	if k.t != nil {
		loops, steps = k.t.loops, len(k.t.load)
	}
	count := GP64()
	MOVQ(U32(uint32(loops)), count)
	i.set(count)
	Label("step")
	if k.t != nil {
		fetch(q, k.t.stride)
	}
	for e := range steps {
		if k.t != nil {
			k.t.load[e](k.p, q, k.w)
		}
		k.step256(e, s, starts)
	}
	if k.t != nil {
		ADDQ(U32(uint32(k.t.stride)), q)
	} else {
		ADDQ(U32(512), k.p)
	}
	s.add(steps * 32 / k.sub * 64)
	if k.biased {
		starts.add(8 * steps)
	}
	k.advance(32 * steps)
	i.down()
	JNZ(LabelRef("step"))
}

// step256 does 32 elements.
func (k *tile) step256(e int, sub, starts *pointer) {
	s := sub.get()
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
	for h := range 8 / half {
		var base Register
		if k.biased {
			base = starts.get()
		}
		v := k.chains(func(c int) Mem { return at(base, k.startsAt(c)+8*e+4*h) })
		k.multiply(v, e, h*half, (h+1)*half)
		for c, a := range k.acc {
			if k.words {
				VPDPWSSD(scale[h%len(scale)], v[c], a)
			} else {
				VPMULLD(scale[h%len(scale)], v[c], v[c])
				VPADDD(v[c], a, a)
			}
		}
	}
}

// finish256 scales the block's integer sums and adds them to the outputs.
func (k *tile) finish256() {
	d, m := ZMM(), ZMM()
	base := k.scratch.get()
	w := make([]VecVirtual, 128/k.sub) // pairs of sub-minima
	if k.t != nil {
		VCVTPH2PS(at(k.p, 0), d)
	} else {
		VMOVUPS(at(load(argD()), 0), d)
	}
	if k.minima {
		n, disp := base, k.subMinAt()
		if k.t != nil {
			VCVTPH2PS(at(k.p, 2*rows), m)
		} else {
			VMOVUPS(at(load(argM()), 0), m)
			n, disp = load(argN()), 0
		}
		for i := range w {
			w[i] = ZMM()
			VMOVDQU32(at(n, disp+64*i), w[i])
		}
	}
	k.eachColumn(k.xd, 2, func(c int, p Mem) {
		isum, scale, y := k.acc[c], ZMM(), ZMM()
		VMOVUPS(at(base, k.scalesAt(c)), y)
		VMULPS_BCST(p, d, scale)
		VCVTDQ2PS(isum, isum)
		VFMADD231PS(scale, isum, y)
		if k.minima {
			imin := ZMM()
			VXORPS(imin, imin, imin)
			for i := range w {
				VPDPWSSD_BCST(at(base, k.pairsAt(c)+4*i), w[i], imin)
			}
			VMULPS_BCST(p, m, scale)
			VCVTDQ2PS(imin, imin)
			VFNMADD231PS(scale, imin, y)
		}
		VMOVUPS(y, at(base, k.scalesAt(c)))
	})
}
