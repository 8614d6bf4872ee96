package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// acts are QuantizeAct32 and QuantizeAct256: kernel's actScale and quantBlock.
func acts() {
	quantize(32)
	quantize(256)
}

// unzip is the order of dwords that undoes the lanes of two packs.
func unzip() Mem {
	m := GLOBL("avx2_unzip", RODATA|NOPTR)
	for i, d := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		DATA(4*i, U32(d))
	}
	return m
}

var unzipOrder Mem

func quantize(size int) {
	if size == 32 {
		unzipOrder = unzip()
	}
	TEXT(fmt.Sprintf("avx2Quantize%d", size), NOSPLIT, "func(q *int8, d *float32, sum *int32, x *float32, n int)")
	Doc(fmt.Sprintf("Quantises n blocks of %d, n not 0.", size))
	q, d, sum := Load(Param("q"), GP64()), Load(Param("d"), GP64()), Load(Param("sum"), GP64())
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	magnitude := broadcast("magnitude", 1<<31-1)
	unsigned := broadcast("unsigned", 0x80808080)
	zero, order := YMM(), YMM()
	VPXOR(zero, zero, zero)
	VMOVDQU(unzipOrder, order)

	Label("block")
	largest := YMM()
	again, left := GP64(), GP64()
	if size == 256 {
		VPXOR(largest, largest, largest)
		MOVQ(x, again)
		MOVQ(U32(8), left)
		Label("max")
	}
	v, a := ymms(4), ymms(4)
	for i := range v {
		VMOVDQU(at(x, i), v[i])
	}
	for i := range v {
		VPAND(magnitude, v[i], a[i])
	}
	VPMAXUD(a[1], a[0], a[0])
	VPMAXUD(a[3], a[2], a[2])
	if size == 32 {
		VPMAXUD(a[2], a[0], largest)
		ADDQ(U32(128), x)
	} else {
		VPMAXUD(a[2], a[0], a[0])
		VPMAXUD(a[0], largest, largest)
		ADDQ(U32(128), x)
		DECQ(left)
		JNZ(LabelRef("max"))
	}
	m, t := largest.AsX(), XMM()
	VEXTRACTI128(Imm(1), largest, t)
	VPMAXUD(t, m, m)
	VPSHUFD(Imm(0x4e), m, t)
	VPMAXUD(t, m, m)
	VPSHUFD(Imm(0xb1), m, t)
	VPMAXUD(t, m, m)

	// d = amax/127; the quants count where d is normal and finite.
	scale, id, idx := XMM(), YMM(), XMM()
	VDIVSS(float("127", 127), m, scale)
	VMOVSS(one(), idx)
	VDIVSS(scale, idx, idx)
	VBROADCASTSS(idx, id)
	bits, counts := GP32(), YMM()
	VMOVD(scale, bits)
	SUBL(U32(0x00800000), bits)
	CMPL(bits, U32(0x7f000000))
	SBBL(bits, bits) // all ones where below
	VMOVD(bits, counts.AsX())
	VPBROADCASTD(counts.AsX(), counts)
	if size == 32 {
		VCVTPS2PH(Imm(0), scale, scale)
		VCVTPH2PS(scale, scale)
	}
	VMOVSS(scale, Mem{Base: d})
	ADDQ(Imm(4), d)

	if size == 256 {
		MOVQ(U32(8), left)
		Label("round")
		for i := range v {
			VMOVUPS(at(again, i), v[i])
		}
		ADDQ(U32(128), again)
	}
	for i := range v {
		VMULPS(id, v[i], v[i])
		VCVTPS2DQ(v[i], v[i])
	}
	VPACKSSDW(v[1], v[0], v[0])
	VPACKSSDW(v[3], v[2], v[2])
	VPACKSSWB(v[2], v[0], v[0])
	VPERMD(v[0], order, v[0])
	VPAND(counts, v[0], v[0])
	VMOVDQU(v[0], Mem{Base: q})
	ADDQ(Imm(32), q)
	// Sums of q+128 per 8, then per 16 in each half.
	VPXOR(unsigned, v[0], v[0])
	VPSADBW(zero, v[0], v[0])
	VPSHUFD(Imm(0x4e), v[0], v[1])
	VPADDD(v[1], v[0], v[0])
	s := GP32()
	VEXTRACTI128(Imm(1), v[0], t)
	if size == 32 {
		VPADDD(t, v[0].AsX(), t)
		VMOVD(t, s)
		SUBL(U32(32*128), s)
		MOVL(s, Mem{Base: sum})
		ADDQ(Imm(4), sum)
	} else {
		VMOVD(v[0].AsX(), s)
		SUBL(U32(16*128), s)
		MOVL(s, Mem{Base: sum})
		VMOVD(t, s)
		SUBL(U32(16*128), s)
		MOVL(s, Mem{Base: sum, Disp: 4})
		ADDQ(Imm(8), sum)
		DECQ(left)
		JNZ(LabelRef("round"))
	}
	DECQ(n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
