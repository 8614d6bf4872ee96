package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packsBF16 round panels to bfloat16 in pairs along K. The set that multiplies
// them is AVX-512, whose panels are 12 and 32 wide; the packers need AVX2 only.
func packsBF16() {
	for _, w := range []int{12, 32} {
		packPairs(w)
	}
	for _, rows := range []int{8, 4} {
		transposePairs(rows)
	}
}

// dwords returns a constant of 8 equal dwords.
func dwords(name string, bits uint32) Mem {
	m := GLOBL("gemm_"+name, RODATA|NOPTR)
	for i := range 4 {
		DATA(8*i, U64(uint64(bits)<<32|uint64(bits)))
	}
	return m
}

// rounder holds the constants of kernel's floatToBFloatEven.
type rounder struct{ one, bias, quiet, high Mem }

func newRounder() *rounder {
	return &rounder{dwords("one", 1), dwords("bias", 0x7fff), dwords("quiet", 0x400000), dwords("high", 0xffff0000)}
}

// round leaves x rounded to bfloat16 in the upper halves of its dwords; the lower
// ones are rubbish.
func (r *rounder) round(x VecVirtual) {
	t, nan := like(x), like(x)
	VCMPPS(Imm(3), x, x, nan)
	VPSRLD(Imm(16), x, t)
	VPAND(r.one, t, t)
	VPADDD(r.bias, t, t)
	VPADDD(x, t, t)
	VPOR(r.quiet, x, x)
	VBLENDVPS(nan, x, t, x)
}

// pair joins rounded elements of two steps into low.
func (r *rounder) pair(low, high VecVirtual) {
	VPSRLD(Imm(16), low, low)
	VPAND(r.high, high, high)
	VPOR(high, low, low)
}

func like(x VecVirtual) VecVirtual {
	if x.Size() == 16 {
		return XMM()
	}
	return YMM()
}

var bf16 *rounder

// packPairs takes w elements side by side of two rows of src for each of n pairs.
func packPairs(w int) {
	if bf16 == nil {
		bf16 = newRounder()
	}
	TEXT(fmt.Sprintf("avx2PackPairs%d", w), NOSPLIT, "func(dst *uint32, panel uintptr, src *float32, ld uintptr, n, panels int)")
	Doc(fmt.Sprintf("Rounds n pairs of rows of %d elements to each of some panels, panel bytes apart; none is 0.", w))
	dst, panel := Load(Param("dst"), GP64()), Load(Param("panel"), GP64())
	src, ld := Load(Param("src"), GP64()), Load(Param("ld"), GP64())
	n, panels := Load(Param("n"), GP64()), Load(Param("panels"), GP64())
	from, to, left := GP64(), GP64(), GP64()
	Label("row")
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(panels, left)
	Label("panel")
	for i := 0; i < w; {
		lanes, vec := 8, func() VecVirtual { return YMM() }
		if w-i < 8 {
			lanes, vec = 4, func() VecVirtual { return XMM() }
		}
		low, high := vec(), vec()
		VMOVUPS(Mem{Base: from, Disp: 4 * i}, low)
		VMOVUPS(Mem{Base: from, Index: ld, Scale: 1, Disp: 4 * i}, high)
		bf16.round(low)
		bf16.round(high)
		bf16.pair(low, high)
		VMOVUPS(low, Mem{Base: to, Disp: 4 * i})
		i += lanes
	}
	ADDQ(U32(4*w), from)
	ADDQ(panel, to)
	DECQ(left)
	JNZ(LabelRef("panel"))
	LEAQ(Mem{Base: src, Index: ld, Scale: 2}, src)
	ADDQ(U32(4*w), dst)
	DECQ(n)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// transposePairs writes pairs of rows side by side, n elements along the rows,
// which lie ld bytes apart; the pairs lie step bytes apart.
func transposePairs(rows int) {
	TEXT(fmt.Sprintf("avx2TransposePairs%d", rows), NOSPLIT, "func(dst *uint32, step uintptr, src *float32, ld uintptr, n int)")
	Doc(fmt.Sprintf("Rounds and transposes %d rows of n elements, a multiple of 8 and not 0.", rows))
	dst, step := Load(Param("dst"), GP64()), Load(Param("step"), GP64())
	src, ld := Load(Param("src"), GP64()), Load(Param("ld"), GP64())
	n := Load(Param("n"), GP64())
	step3, ld3 := GP64(), GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, step3)
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	src4 := GP64()
	if rows == 8 {
		LEAQ(Mem{Base: src, Index: ld, Scale: 4}, src4)
	}
	vec := func() VecVirtual {
		if rows == 8 {
			return YMM()
		}
		return XMM()
	}
	Label("loop")
	var v [4]VecVirtual
	for r := range v {
		var half [2]VecVirtual // elements 0-3 and 4-7 of a row
		for i := range half {
			half[i] = vec()
			VMOVUPS(strided(Mem{Base: src, Disp: 16 * i}, ld, ld3, r), half[i].AsX())
			if rows == 8 {
				VINSERTF128(Imm(1), strided(Mem{Base: src4, Disp: 16 * i}, ld, ld3, r), half[i], half[i])
			}
		}
		v[r] = vec()
		odd := vec()
		VSHUFPS(Imm(0x88), half[1], half[0], v[r])
		VSHUFPS(Imm(0xdd), half[1], half[0], odd)
		bf16.round(v[r])
		bf16.round(odd)
		bf16.pair(v[r], odd)
	}
	t := transpose4(v, vec)
	for u := range t {
		VMOVUPS(t[u], strided(Mem{Base: dst}, step, step3, u))
	}
	ADDQ(Imm(32), src)
	if rows == 8 {
		ADDQ(Imm(32), src4)
	}
	LEAQ(Mem{Base: dst, Index: step, Scale: 4}, dst)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
