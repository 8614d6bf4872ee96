package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// weightKind is the storage type of a weight row.
type weightKind struct {
	name string
	size int // bytes per element
}

var weightKinds = []weightKind{{"F32", 4}, {"F16", 2}, {"BF16", 2}}

// Offsets in package kernel's tileArgs.
const (
	argY     = 0
	argLdy   = 8
	argAcc   = 16
	argW     = 24
	argLdw   = 32
	argX     = 40
	argLdx   = 48
	argK     = 56
	argN     = 64
	argFlags = 72
	argPf    = 80
	argLdpf  = 88

	flagFirst = 1 // lanes start at zero, not from acc
	flagLast  = 2 // lanes are reduced to y, not stored to acc
)

// prefetch is how far ahead of use weight rows are fetched, in bytes.
const prefetch = 1024

func tile512() {
	for _, kind := range weightKinds {
		for _, s := range shapes512 {
			tileKernel512(kind, s.rows, s.cols)
		}
	}
}

// tileKernel512 computes tiles of rows x cols outputs, one zmm of 16 lanes
// along K for each output.
func tileKernel512(kind weightKind, rows, cols int) {
	TEXT(tileName("avx512", kind, shape{rows, cols}), NOSPLIT, "func(a *byte)")
	Doc(fmt.Sprintf("%d rows of %s weights times %d columns.", rows, kind.name, cols))
	a := Load(Param("a"), GP64())
	field := func(off int) Register {
		r := GP64()
		MOVQ(Mem{Base: a, Disp: off}, r)
		return r
	}
	y, ldy := field(argY), field(argLdy)
	acc := field(argAcc)
	w0, ldw := field(argW), field(argLdw)
	ldx := field(argLdx)
	n := field(argN)
	w, x, x3, k, ldw3, t := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: ldw, Index: ldw, Scale: 2}, ldw3)

	lanes := make([][]VecVirtual, cols)
	for c := range lanes {
		lanes[c] = make([]VecVirtual, rows)
		for r := range lanes[c] {
			lanes[c][r] = ZMM()
		}
	}
	wv := make([]VecVirtual, rows)
	for r := range wv {
		wv[r] = ZMM()
	}
	xv := [2]VecVirtual{ZMM(), ZMM()}
	each := func(f func(i, c, r int, v VecVirtual)) {
		i := 0
		for c := range lanes {
			for r := range lanes[c] {
				f(i, c, r, lanes[c][r])
				i++
			}
		}
	}

	// Wide tiles fetch one row of the driver's choice per tile into L2.
	ahead := cols >= 3 && rows == 4
	var pf Register
	if ahead {
		pf = GP64()
	}

	Label("tile")
	if ahead {
		MOVQ(Mem{Base: a, Disp: argLdpf}, t)
		MOVQ(Mem{Base: a, Disp: argPf}, pf)
		ADDQ(pf, t)
		MOVQ(t, Mem{Base: a, Disp: argPf})
	}
	MOVQ(w0, w)
	MOVQ(Mem{Base: a, Disp: argX}, x)
	LEAQ(Mem{Base: ldx, Index: ldx, Scale: 2}, x3)
	ADDQ(x, x3)
	MOVQ(Mem{Base: a, Disp: argK}, k)

	MOVQ(Mem{Base: a, Disp: argFlags}, t)
	TESTQ(U32(flagFirst), t)
	JZ(LabelRef("resume"))
	each(func(_, _, _ int, v VecVirtual) { VPXORD(v, v, v) })
	JMP(LabelRef("start"))
	Label("resume")
	each(func(i, _, _ int, v VecVirtual) { VMOVUPS(Mem{Base: acc, Disp: 64 * i}, v) })
	Label("start")

	step := func(i int) {
		if ahead {
			PREFETCHT0(Mem{Base: pf, Disp: i * 64})
		}
		for r := range wv {
			m := rowMem(w, ldw, ldw3, r, i*16*kind.size)
			if cols <= 2 && i*16*kind.size%64 == 0 {
				p := m
				p.Disp += prefetch
				PREFETCHT0(p)
			}
			loadWeights512(kind, m, wv[r])
		}
		for c := range lanes {
			xr := xv[c%2]
			if c < 3 {
				VMOVUPS(rowMem(x, ldx, nil, c, i*64), xr)
			} else {
				VMOVUPS(rowMem(x3, ldx, nil, c-3, i*64), xr)
			}
			for r := range wv {
				VFMADD231PS(xr, wv[r], lanes[c][r])
			}
		}
	}
	advance := func(steps int) {
		ADDQ(U32(steps*16*kind.size), w)
		ADDQ(U32(steps*64), x)
		ADDQ(U32(steps*64), x3)
		if ahead {
			ADDQ(U32(steps*64), pf)
		}
	}
	unroll := 2
	if cols == 1 {
		unroll = 4
	}
	SUBQ(Imm(uint64(unroll)), k)
	JL(LabelRef("rest"))
	Label("loop")
	for i := range unroll {
		step(i)
	}
	advance(unroll)
	SUBQ(Imm(uint64(unroll)), k)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(Imm(uint64(unroll)), k)
	JZ(LabelRef("finish"))
	Label("one")
	step(0)
	advance(1)
	DECQ(k)
	JNZ(LabelRef("one"))

	Label("finish")
	TESTQ(U32(flagLast), t)
	JNZ(LabelRef("reduce"))
	each(func(i, _, _ int, v VecVirtual) { VMOVUPS(v, Mem{Base: acc, Disp: 64 * i}) })
	JMP(LabelRef("next"))
	Label("reduce")
	out := t
	MOVQ(y, out)
	for c := range lanes {
		if rows == 4 {
			VMOVUPS(reduce4x512(lanes[c], wv[0], wv[1], wv[2]), Mem{Base: out})
		} else {
			VMOVSS(reduce512(lanes[c][0]), Mem{Base: out})
		}
		if c < cols-1 {
			ADDQ(ldy, out)
		}
	}
	Label("next")
	ADDQ(U32(4*rows), y)
	ADDQ(U32(64*rows*cols), acc)
	LEAQ(Mem{Base: w0, Index: ldw, Scale: uint8(rows)}, w0)
	DECQ(n)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// rowMem addresses row r of rows that lie stride bytes apart; stride3 is
// three strides and may be nil where r < 3.
func rowMem(base, stride, stride3 Register, r, disp int) Mem {
	switch r {
	case 0:
		return Mem{Base: base, Disp: disp}
	case 3:
		return Mem{Base: base, Index: stride3, Scale: 1, Disp: disp}
	}
	return Mem{Base: base, Index: stride, Scale: uint8(r), Disp: disp}
}

// loadWeights512 widens 16 weights to f32, which is exact.
func loadWeights512(kind weightKind, m Mem, v VecVirtual) {
	switch kind.name {
	case "F32":
		VMOVUPS(m, v)
	case "F16":
		VCVTPH2PS(m, v)
	case "BF16":
		VPMOVZXWD(m, v)
		VPSLLD(Imm(16), v, v)
	}
}

// reduce512 sums v's lanes by the tree (l, l+8), (l, l+4), (l, l+2), (l, l+1).
func reduce512(v VecVirtual) VecVirtual {
	half := YMM()
	VEXTRACTF64X4(Imm(1), v, half)
	VADDPS(half, v.AsY(), v.AsY())
	VEXTRACTF32X4(Imm(1), v.AsY(), half.AsX())
	VADDPS(half.AsX(), v.AsX(), v.AsX())
	VPERMILPS(Imm(0x4e), v.AsX(), half.AsX())
	VADDPS(half.AsX(), v.AsX(), v.AsX())
	VPERMILPS(Imm(0xb1), v.AsX(), half.AsX())
	VADDPS(half.AsX(), v.AsX(), v.AsX())
	return v.AsX().(VecVirtual)
}

// reduce4x512 does the same for four vectors at once and returns the four sums
// side by side. a, b and c are scratch.
func reduce4x512(v []VecVirtual, a, b, c VecVirtual) VecVirtual {
	// Lanes l < 8 of v0 and v1, then lanes l >= 8.
	VSHUFF64X2(Imm(0x44), v[1], v[0], a)
	VSHUFF64X2(Imm(0xee), v[1], v[0], b)
	VADDPS(a, b, a)
	VSHUFF64X2(Imm(0x44), v[3], v[2], b)
	VSHUFF64X2(Imm(0xee), v[3], v[2], c)
	VADDPS(b, c, b)
	// Lanes l < 4 of all four, then lanes 4 <= l < 8.
	VSHUFF64X2(Imm(0x88), b, a, c)
	VSHUFF64X2(Imm(0xdd), b, a, a)
	VADDPS(a, c, a)
	VPERMILPS(Imm(0x4e), a, b)
	VADDPS(a, b, a)
	VPERMILPS(Imm(0xb1), a, b)
	VADDPS(a, b, a)
	// Lane 0 of each quarter, by pairs of quarters.
	VEXTRACTF64X4(Imm(1), a, b.AsY())
	VEXTRACTF32X4(Imm(1), a.AsY(), c.AsX())
	VUNPCKLPS(c.AsX(), a.AsX(), a.AsX())
	VEXTRACTF32X4(Imm(1), b.AsY(), c.AsX())
	VUNPCKLPS(c.AsX(), b.AsX(), b.AsX())
	VMOVLHPS(b.AsX(), a.AsX(), a.AsX())
	return a.AsX().(VecVirtual)
}
