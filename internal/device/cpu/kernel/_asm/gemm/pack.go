package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panelWidths are the widths of panels: of A and of B, in the AVX2 and in the
// AVX-512 set.
var panelWidths = []int{6, 16, 12, 32}

func packs() {
	for _, w := range panelWidths {
		packCopy(w)
	}
	for _, rows := range []int{8, 4, 2} {
		packTranspose(rows)
	}
}

// packCopy takes n rows of src, ld bytes apart, and writes w elements side by
// side to each of some panels, row by row: rows that lie a power of two apart
// displace each other from the cache, and panels use pieces of lines.
func packCopy(w int) {
	TEXT(fmt.Sprintf("avx2PackCopy%d", w), NOSPLIT, "func(dst *float32, panel uintptr, src *float32, ld uintptr, n, panels int)")
	Doc(fmt.Sprintf("Copies n rows of %d elements to each of some panels, panel bytes apart; none is 0.", w))
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
		from, to := Mem{Base: from, Disp: 4 * i}, Mem{Base: to, Disp: 4 * i}
		switch {
		case w-i >= 8:
			v := YMM()
			VMOVUPS(from, v)
			VMOVUPS(v, to)
			i += 8
		case w-i >= 4:
			v := XMM()
			VMOVUPS(from, v)
			VMOVUPS(v, to)
			i += 4
		default:
			v := XMM()
			VMOVSD(from, v)
			VMOVSD(v, to)
			i += 2
		}
	}
	ADDQ(U32(4*w), from)
	ADDQ(panel, to)
	DECQ(left)
	JNZ(LabelRef("panel"))
	ADDQ(ld, src)
	ADDQ(U32(4*w), dst)
	DECQ(n)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// packTranspose writes the elements of rows side by side, n steps along the
// rows, which lie ld bytes apart; the steps lie step bytes apart.
func packTranspose(rows int) {
	TEXT(fmt.Sprintf("avx2PackTranspose%d", rows), NOSPLIT, "func(dst *float32, step uintptr, src *float32, ld uintptr, n int)")
	Doc(fmt.Sprintf("Transposes %d rows of n elements, a multiple of 4 and not 0.", rows))
	dst, step := Load(Param("dst"), GP64()), Load(Param("step"), GP64())
	src, ld := Load(Param("src"), GP64()), Load(Param("ld"), GP64())
	n := Load(Param("n"), GP64())
	step3, ld3 := GP64(), GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, step3)
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	var src4 Register
	if rows == 8 {
		src4 = GP64()
		LEAQ(Mem{Base: src, Index: ld, Scale: 4}, src4)
	}
	row := func(p Register, r int) Mem { return strided(Mem{Base: p}, ld, ld3, r) }
	Label("loop")
	if rows == 2 {
		a, b, lo, hi := XMM(), XMM(), XMM(), XMM()
		VMOVUPS(row(src, 0), a)
		VMOVUPS(row(src, 1), b)
		VUNPCKLPS(b, a, lo)
		VUNPCKHPS(b, a, hi)
		VMOVLPS(lo, strided(Mem{Base: dst}, step, step3, 0))
		VMOVHPS(lo, strided(Mem{Base: dst}, step, step3, 1))
		VMOVLPS(hi, strided(Mem{Base: dst}, step, step3, 2))
		VMOVHPS(hi, strided(Mem{Base: dst}, step, step3, 3))
	} else {
		vec := func() VecVirtual {
			if rows == 8 {
				return YMM()
			}
			return XMM()
		}
		var v [4]VecVirtual
		for r := range v {
			v[r] = vec()
			VMOVUPS(row(src, r), v[r].AsX())
			if rows == 8 {
				VINSERTF128(Imm(1), row(src4, r), v[r], v[r])
			}
		}
		v = transpose4(v, vec)
		for u := range v {
			VMOVUPS(v[u], strided(Mem{Base: dst}, step, step3, u))
		}
	}
	ADDQ(Imm(16), src)
	if rows == 8 {
		ADDQ(Imm(16), src4)
	}
	LEAQ(Mem{Base: dst, Index: step, Scale: 4}, dst)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// transpose4 transposes 4x4 elements in each half of four vectors: pairs of
// rows, then pairs of pairs.
func transpose4(v [4]VecVirtual, vec func() VecVirtual) [4]VecVirtual {
	var t, u [4]VecVirtual
	for i := range t {
		t[i], u[i] = vec(), vec()
	}
	VUNPCKLPS(v[1], v[0], t[0])
	VUNPCKHPS(v[1], v[0], t[1])
	VUNPCKLPS(v[3], v[2], t[2])
	VUNPCKHPS(v[3], v[2], t[3])
	VUNPCKLPD(t[2], t[0], u[0])
	VUNPCKHPD(t[2], t[0], u[1])
	VUNPCKLPD(t[3], t[1], u[2])
	VUNPCKHPD(t[3], t[1], u[3])
	return u
}
