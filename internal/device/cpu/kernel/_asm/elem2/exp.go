package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// constants are 32-byte broadcasts in read-only memory, made when first used.
var constants = map[string]Mem{}

// broadcast returns a constant of 8 equal dwords.
func broadcast(name string, bits uint32) Mem {
	m, ok := constants[name]
	if !ok {
		m = GLOBL("avx2_"+name, RODATA|NOPTR)
		for i := range 4 {
			DATA(8*i, U64(uint64(bits)<<32|uint64(bits)))
		}
		constants[name] = m
	}
	return m
}

func float(name string, f float32) Mem { return broadcast(name, math.Float32bits(f)) }

// The constants of kernel's exp32.
func log2E() Mem    { return float("log2e", 0x1.715476p+0) }
func expMagic() Mem { return float("magic", 0x1.8p+23) }
func negLn2Hi() Mem { return float("ln2hi", -0x1.62e43p-1) }
func negLn2Lo() Mem { return float("ln2lo", 0x1.05c61p-29) }
func expMin() Mem   { return float("expmin", -0x1.5d589ep+6) }
func expMax() Mem   { return float("expmax", 0x1.62e42ep+6) }
func one() Mem      { return float("one", 1) }
func inf() Mem      { return float("inf", float32(math.Inf(1))) }
func signBit() Mem  { return broadcast("sign", 1<<31) }

// expPolynomial are the coefficients from exp6 to the constant term.
func expPolynomial() []Mem {
	return []Mem{
		float("exp6", 0x1.6a23cep-10), float("exp5", 0x1.123a2p-7), float("exp4", 0x1.5558f2p-5),
		float("exp3", 0x1.555492p-3), float("exp2", 0x1.fffffcp-2), one(), one(),
	}
}

// Predicates of VCMPPS.
const (
	cmpUnordered = 3
	cmpLess      = 17
	cmpGreater   = 30
)

// exp replaces x by kernel's exp32 of it, vector by vector in step. Where
// bounded is set, no x is above expMax. It uses three more registers per vector.
func exp(x []VecVirtual, bounded bool) {
	t, n, p := like(x), like(x), like(x)
	each := func(f func(i int)) {
		for i := range x {
			f(i)
		}
	}
	each(func(i int) { VMOVUPS(expMagic(), t[i]) })
	each(func(i int) { VFMADD231PS(log2E(), x[i], t[i]) })
	each(func(i int) { VSUBPS(expMagic(), t[i], n[i]) })
	each(func(i int) { VMOVAPS(n[i], p[i]) })
	each(func(i int) { VFMADD132PS(negLn2Hi(), x[i], p[i]) })
	each(func(i int) { VFMADD231PS(negLn2Lo(), n[i], p[i]) })
	// The remainder is in p and moves to n; p becomes the polynomial.
	each(func(i int) { VMOVAPS(p[i], n[i]) })
	c := expPolynomial()
	each(func(i int) { VMOVUPS(c[0], p[i]) })
	for _, m := range c[1:] {
		each(func(i int) { VFMADD213PS(m, n[i], p[i]) })
	}
	each(func(i int) { VPSLLD(Imm(23), t[i], t[i]) })
	each(func(i int) { VPADDD(t[i], p[i], p[i]) })
	each(func(i int) { VCMPPS(Imm(cmpLess), expMin(), x[i], t[i]) })
	each(func(i int) { VANDNPS(p[i], t[i], p[i]) })
	if !bounded {
		each(func(i int) { VCMPPS(Imm(cmpGreater), expMax(), x[i], t[i]) })
		each(func(i int) { VBLENDVPS(t[i], inf(), p[i], p[i]) })
	}
	each(func(i int) { VCMPPS(Imm(cmpUnordered), x[i], x[i], t[i]) })
	each(func(i int) { VORPS(t[i], p[i], x[i]) })
}

// expOf returns kernel's exp32 of n vectors that load gives, vector by vector in
// step. It asks for each twice, so as to get by with three registers per vector
// and one for constants: the processor finds enough independent work in four
// vectors, not in two, and constants from memory would cost more than the rest.
func expOf(n int, bounded bool, load func(i int, v VecVirtual)) []VecVirtual {
	t, r, p := ymms(n), ymms(n), ymms(n)
	k := YMM()
	each := func(f func(i int)) {
		for i := range n {
			f(i)
		}
	}
	with := func(constant Mem, f func(i int)) {
		VMOVUPS(constant, k)
		each(f)
	}
	each(func(i int) { load(i, r[i]) })
	with(expMagic(), func(i int) { VMOVAPS(k, t[i]) })
	with(log2E(), func(i int) { VFMADD231PS(k, r[i], t[i]) })
	with(expMagic(), func(i int) { VSUBPS(k, t[i], p[i]) })
	with(negLn2Hi(), func(i int) { VFMADD231PS(k, p[i], r[i]) })
	with(negLn2Lo(), func(i int) { VFMADD231PS(k, p[i], r[i]) })
	c := expPolynomial()
	with(c[0], func(i int) { VMOVAPS(k, p[i]) })
	for _, m := range c[1:] {
		with(m, func(i int) { VFMADD213PS(k, r[i], p[i]) })
	}
	each(func(i int) { VPSLLD(Imm(23), t[i], t[i]) })
	each(func(i int) { VPADDD(t[i], p[i], p[i]) })
	each(func(i int) { load(i, r[i]) })
	with(expMin(), func(i int) { VCMPPS(Imm(cmpLess), k, r[i], t[i]) })
	each(func(i int) { VANDNPS(p[i], t[i], p[i]) })
	if !bounded {
		with(expMax(), func(i int) { VCMPPS(Imm(cmpGreater), k, r[i], t[i]) })
		with(inf(), func(i int) { VBLENDVPS(t[i], k, p[i], p[i]) })
	}
	each(func(i int) { VCMPPS(Imm(cmpUnordered), r[i], r[i], t[i]) })
	each(func(i int) { VORPS(t[i], p[i], p[i]) })
	return p
}

// like returns as many new registers of the same width.
func like(x []VecVirtual) []VecVirtual {
	r := make([]VecVirtual, len(x))
	for i := range r {
		if x[i].Size() == 16 {
			r[i] = XMM()
		} else {
			r[i] = YMM()
		}
	}
	return r
}
