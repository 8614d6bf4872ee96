package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panel256 walks a panel of a type with blocks of 256.
func (k *tile) panel256() {
	// What is needed once per block lives on the stack.
	slot := func(from Mem) Mem {
		m := AllocLocal(8)
		MOVQ(load(from), m)
		return m
	}
	left, xs := slot(argNB()), slot(argXS())
	var d, m Mem
	var s, n Register
	if k.t == nil {
		d = slot(argD())
		if k.minima {
			m = slot(argM())
		}
		s, n = load(argS()), load(argN())
	} else {
		s = GP64()
	}
	Label("block")
	var q, high Register = k.p, nil
	if k.t != nil {
		if k.t.scalesAt != 0 {
			LEAQ(at(k.p, k.t.scalesAt), s)
		} else {
			scales, minima := k.t.scales(k.p)
			LEAQ(at(k.scratch, k.subAt()), s)
			for i, v := range append(scales, minima...) {
				VMOVDQU(v, at(s, 32*i))
			}
		}
		q = GP64()
		LEAQ(at(k.p, k.t.start), q)
		if k.t.highStart != 0 {
			high = GP64()
			LEAQ(at(k.p, k.t.highStart), high)
		}
	}
	for _, v := range k.isum {
		VPXOR(v, v, v)
	}
	loaders, loops := []loader{unpacked(k.class)}, 8
	if k.t != nil {
		loaders, loops = k.t.load, k.t.loops
		k.ahead()
		k.fetch(0, k.t.bytes*rows-loops*k.t.stride)
	}
	count := GP64()
	if loops > 1 {
		MOVQ(U32(uint32(loops)), count)
		Label("step")
	}
	if k.t != nil {
		k.fetch(k.t.bytes*rows-loops*k.t.stride, k.t.stride)
	}
	for e, step := range loaders {
		scale := func(j int) Op { return at(s, 32*j) }
		if k.t != nil {
			scale = k.packedScale(s, e*32/k.sub)
		}
		k.dot(step, q, high, k.sub, scale, func(c int, v VecVirtual) { VPADDD(v, k.isum[c], k.isum[c]) })
		ADDQ(Imm(32), k.x)
	}
	if k.t == nil {
		ADDQ(U32(uint32(256*k.planes())), k.p)
	}
	if loops > 1 {
		ADDQ(imm(256/loops/k.sub*k.subBytes()), s)
		if k.t != nil {
			k.t.advance(q, high)
			ADDQ(imm(k.t.stride), k.next)
		}
		DECQ(count)
		JNZ(LabelRef("step"))
	}
	k.finish256(xs, d, m, n)
	if k.t != nil {
		ADDQ(U32(uint32(k.t.bytes*rows)), k.p)
	} else {
		ADDQ(imm(256/k.sub*16), n)
		ADDQ(Imm(32), d)
		if k.minima {
			ADDQ(Imm(32), m)
		}
	}
	ADDQ(Imm(64), xs)
	ADDQ(Imm(4), k.xd)
	DECQ(left)
	JNZ(LabelRef("block"))
}

// subBytes is the size of a sub-scale of 8 rows.
func (k *tile) subBytes() int {
	if k.t != nil {
		return 8
	}
	return 32
}

// packedScale gives sub-scale j of the step whose first one is number first of
// those that s points to.
func (k *tile) packedScale(s Register, first int) func(j int) Op {
	made := map[int]Op{}
	return func(j int) Op {
		if made[j] == nil {
			v := YMM()
			VMOVDQU(at(s, (first+j)/4*32), v)
			subScale(v, (first+j)%4, k.t.signed)
			made[j] = v
		}
		return made[j]
	}
}

// pair gives sub-minima 2*i and 2*i+1 as words, or sub-scales times the bias.
func (k *tile) pair(n Register, i int) Op {
	if k.t == nil {
		return at(n, 32*i)
	}
	bytes := at(k.scratch, k.subAt()+i/2*32)
	if k.minima {
		bytes.Disp += 256 / k.sub * 8
	} else if k.t.scalesAt != 0 {
		bytes = at(k.p, k.t.scalesAt+i/2*32)
	}
	v := YMM()
	VMOVDQU(bytes, v)
	subPair(v, i%2, k.bias != 0, k.bias)
	return v
}

// sumPairs leaves the integer sums of minima, or of what the bias adds, in acc.
func (k *tile) sumPairs(xs Mem, n Register) {
	// Sums of activations become pairs of words, each with its sub-minimum.
	sum, stride := load(xs), GP64()
	if k.cols > 1 {
		MOVQ(load(argNB()), stride)
		SHLQ(Imm(6), stride)
	}
	order := []int{0, 1, 4, 5, 2, 3, 6, 7}
	if k.sub == 32 {
		order = []int{0, 4, 1, 5}
	}
	for c := range k.cols {
		v := YMM()
		VMOVDQU(at(sum, 0), v)
		if k.sub == 32 {
			VPHADDD(at(sum, 32), v, v)
			VPACKSSDW(v, v, v)
		} else {
			VPACKSSDW(at(sum, 32), v, v)
		}
		VMOVDQU(v, at(k.scratch, k.pairsAt(c)))
		if c < k.cols-1 {
			ADDQ(stride, sum)
		}
	}
	for i, o := range order {
		pair := k.pair(n, i)
		for c := range k.cols {
			v := k.acc[c]
			if i > 0 {
				v = YMM()
			}
			VPBROADCASTD(at(k.scratch, k.pairsAt(c)+4*o), v)
			VPMADDWD(pair, v, v)
			if i > 0 {
				VPADDD(v, k.acc[c], k.acc[c])
			}
		}
	}
}

// finish256 scales the block's integer sums and adds them to the outputs.
func (k *tile) finish256(xs, d, m Mem, n Register) {
	if k.bias != 0 || k.minima {
		k.sumPairs(xs, n)
	}
	var scale, minimum Op
	if k.t != nil {
		r := YMM()
		VCVTPH2PS(at(k.p, 0), r)
		scale = r
		if k.minima {
			r := YMM()
			VCVTPH2PS(at(k.p, 2*rows), r)
			minimum = r
		}
	} else {
		scale = at(load(d), 0)
		if k.minima {
			minimum = at(load(m), 0)
		}
	}
	for c, isum := range k.isum {
		imin := k.acc[c]
		if k.bias != 0 {
			VPSUBD(imin, isum, isum)
		}
		dx, f := YMM(), YMM()
		VBROADCASTSS(column(k.xd, k.d1, k.d3, c, 0), dx)
		VMULPS(scale, dx, f)
		VCVTDQ2PS(isum, isum)
		y := YMM()
		VMOVUPS(k.y[c], y)
		VFMADD231PS(f, isum, y)
		if k.minima {
			VCVTDQ2PS(imin, imin)
			VMULPS(minimum, dx, dx)
			VFNMADD231PS(dx, imin, y)
		}
		VMOVUPS(y, k.y[c])
	}
}
