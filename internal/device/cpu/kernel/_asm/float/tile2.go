package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func tile2() {
	for _, kind := range weightKinds {
		for _, s := range shapes2 {
			tileKernel2(kind, s)
		}
	}
}

// tileKernel2 is tileKernel512 with two ymm for the 16 lanes of an output.
func tileKernel2(kind weightKind, s shape) {
	rows, cols := s.rows, s.cols
	TEXT(tileName("avx2", kind, s), NOSPLIT, "func(a *byte)")
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
	w, x, k, ldw3, t := GP64(), GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: ldw, Index: ldw, Scale: 2}, ldw3)

	// lanes[c][r] are the two halves of an output's lanes.
	lanes := make([][][2]VecVirtual, cols)
	for c := range lanes {
		lanes[c] = make([][2]VecVirtual, rows)
		for r := range lanes[c] {
			lanes[c][r] = [2]VecVirtual{YMM(), YMM()}
		}
	}
	each := func(f func(disp int, v VecVirtual)) {
		i := 0
		for c := range lanes {
			for r := range lanes[c] {
				f(64*i, lanes[c][r][0])
				f(64*i+32, lanes[c][r][1])
				i++
			}
		}
	}

	// One column waits for memory. Its tile brings the next tile's rows to L2,
	// not what lies ahead in its own: rows may be as short as what would have to be
	// brought ahead. The last tile fetches nothing new, since a fetch from a page
	// that nobody has touched takes long.
	stream := cols == 1 && rows > 1
	var next Register
	if stream {
		next = GP64()
	}

	Label("tile")
	MOVQ(w0, w)
	if stream {
		LEAQ(Mem{Base: w0, Index: ldw, Scale: uint8(rows)}, next)
		CMPQ(n, Imm(1))
		CMOVQEQ(w0, next)
	}
	MOVQ(Mem{Base: a, Disp: argX}, x)
	MOVQ(Mem{Base: a, Disp: argK}, k)
	MOVQ(Mem{Base: a, Disp: argFlags}, t)
	TESTQ(U32(flagFirst), t)
	JZ(LabelRef("resume"))
	each(func(_ int, v VecVirtual) { VXORPS(v, v, v) })
	JMP(LabelRef("start"))
	Label("resume")
	each(func(disp int, v VecVirtual) { VMOVUPS(Mem{Base: acc, Disp: disp}, v) })
	Label("start")

	wv := make([]VecVirtual, rows)
	for r := range wv {
		wv[r] = YMM()
	}
	xv := YMM()
	step := func(i int) {
		for half := range 2 {
			at := i*16 + half*8 // elements
			if cols == 1 {
				// One column: x is the register, weights pass through one.
				VMOVUPS(Mem{Base: x, Disp: at * 4}, xv)
			}
			for r := range wv {
				m := rowMem(w, ldw, ldw3, r, at*kind.size)
				if stream && at*kind.size%64 == 0 {
					PREFETCHT1(rowMem(next, ldw, ldw3, r, at*kind.size))
				}
				if cols == 1 && kind.name == "F32" {
					VFMADD231PS(m, xv, lanes[0][r][half])
					continue
				}
				loadWeights2(kind, m, wv[r])
				if cols == 1 {
					VFMADD231PS(wv[r], xv, lanes[0][r][half])
				}
			}
			if cols == 1 {
				continue
			}
			for c := range lanes {
				VMOVUPS(rowMem(x, ldx, nil, c, at*4), xv)
				for r := range wv {
					VFMADD231PS(xv, wv[r], lanes[c][r][half])
				}
			}
		}
	}
	const unroll = 2
	advance := func(steps int) {
		ADDQ(U32(steps*16*kind.size), w)
		if stream {
			ADDQ(U32(steps*16*kind.size), next)
		}
		ADDQ(U32(steps*64), x)
	}
	SUBQ(Imm(unroll), k)
	JL(LabelRef("rest"))
	Label("loop")
	for i := range unroll {
		step(i)
	}
	advance(unroll)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(Imm(unroll), k)
	JZ(LabelRef("finish"))
	step(0)

	Label("finish")
	TESTQ(U32(flagLast), t)
	JNZ(LabelRef("reduce"))
	each(func(disp int, v VecVirtual) { VMOVUPS(v, Mem{Base: acc, Disp: disp}) })
	JMP(LabelRef("next"))
	Label("reduce")
	out := t
	MOVQ(y, out)
	for c := range lanes {
		for r := 0; r < rows; r++ {
			v := lanes[c][r]
			VADDPS(v[1], v[0], v[0])
			VEXTRACTF128(Imm(1), v[0], v[1].AsX())
			VADDPS(v[1].AsX(), v[0].AsX(), v[0].AsX())
			VPERMILPS(Imm(0x4e), v[0].AsX(), v[1].AsX())
			VADDPS(v[1].AsX(), v[0].AsX(), v[0].AsX())
			VMOVSHDUP(v[0].AsX(), v[1].AsX())
			VADDSS(v[1].AsX(), v[0].AsX(), v[0].AsX())
			VMOVSS(v[0].AsX(), Mem{Base: out, Disp: 4 * r})
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

// loadWeights2 widens 8 weights to f32, which is exact.
func loadWeights2(kind weightKind, m Mem, v VecVirtual) {
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
