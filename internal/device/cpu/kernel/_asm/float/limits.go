package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/cria-llm/cria/internal/device/cpu/kernel/_asm/evex"
)

// chains is kernel.limitChains.
const chains = 12

func limits512() {
	readLimit("avx512", func(m Mem) { VMOVDQU64(m, ZMM()) }, 64)
	z := []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11}
	zero := func() {
		for _, r := range append(z, Z30, Z31) {
			VPXORD(r, r, r)
		}
	}
	computeLimit("avx512FMALimit", "zmm VFMADD231PS", zero, func(i int) { VFMADD231PS(Z30, Z31, z[i]) })
	computeLimit("avx512BF16Limit", "zmm VDPBF16PS", zero, func(i int) { evex.VDPBF16PS(30, 31, i) })
	computeLimit("avx512Int8Limit", "zmm VPDPBUSD", zero, func(i int) { VPDPBUSD(Z30, Z31, z[i]) })
}

func limits2() {
	readLimit("avx2", func(m Mem) { VMOVDQU(m, YMM()) }, 32)
	y := []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11}
	zero := func() {
		for _, r := range append(y, Y12, Y13, Y14, Y15) {
			VPXOR(r, r, r)
		}
	}
	computeLimit("avx2FMALimit", "ymm VFMADD231PS", zero, func(i int) { VFMADD231PS(Y14, Y15, y[i]) })
	// What no kernel can go without; VPMADDWD is needed but once for up to
	// eight of them.
	computeLimit("avx2Int8Limit", "ymm VPMADDUBSW and VPADDW", zero, func(i int) {
		t := []VecPhysical{Y12, Y13}[i%2]
		VPMADDUBSW(Y14, Y15, t)
		VPADDW(t, y[i], y[i])
	})
}

// readLimit streams n bytes, n a multiple of 512, with loads of width bytes.
func readLimit(set string, load func(Mem), width int) {
	TEXT(set+"ReadLimit", NOSPLIT, "func(p *byte, n int)")
	Doc(fmt.Sprintf("Streams n bytes, a multiple of 512, with loads of %d bytes.", width))
	p, n := Load(Param("p"), GP64()), Load(Param("n"), GP64())
	Label("loop")
	for d := 0; d < 512; d += width {
		load(Mem{Base: p, Disp: d})
	}
	ADDQ(U32(512), p)
	SUBQ(U32(512), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func computeLimit(name, what string, zero func(), op func(i int)) {
	TEXT(name, NOSPLIT, "func(n int)")
	Doc(fmt.Sprintf("%d independent chains of %s, n times.", chains, what))
	n := Load(Param("n"), GP64())
	zero()
	Label("loop")
	for i := range chains {
		op(i)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
