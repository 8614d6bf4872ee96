package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// kvKind is the element type of a cache page.
type kvKind struct {
	name string
	size int
}

var kvKinds = []kvKind{{"F32", 4}, {"F16", 2}, {"Q8", 1}}

// maxQueries is how many queries one pass over keys or values serves: twelve
// sums of 8 lanes, more than latency times throughput of the fma.
const maxQueries = 6

// rowsAhead is how many rows of keys or values lines are fetched ahead of use:
// the cache is most often in memory. Behind the keys of a page lie its values.
const rowsAhead = 8

// scoreVecs is the number of vectors of 8 keys in one pass for 1 to maxQueries
// queries; kernel's avx2ScoreKeys is the same in keys.
var scoreVecs = [maxQueries + 1]int{0, 8, 4, 4, 2, 2, 2}

// attention writes the three steps of AttnTile: scores, softmax, values.
func attention() {
	for _, kind := range kvKinds {
		for nq := 1; nq <= maxQueries; nq++ {
			scores(kind, nq)
		}
		for nq := 1; nq <= maxQueries; nq++ {
			values(kind, nq)
		}
	}
	softmax()
	widenKeysQ8()
	widenValuesQ8()
}

// load8 loads 8 elements as f32; the scales of Q8 are a register or memory.
func load8(kind kvKind, m Mem, scale Op, v VecVirtual) {
	switch kind.name {
	case "F32":
		VMOVUPS(m, v)
	case "F16":
		VCVTPH2PS(m, v)
	case "Q8":
		VPMOVSXBD(m, v)
		VCVTDQ2PS(v, v)
		VMULPS(scale, v, v)
	}
}

// rowSet addresses up to 6 rows that lie stride bytes apart.
type rowSet struct{ first, fourth, stride Register }

func newRowSet(first, stride Register, n int) rowSet {
	r := rowSet{first: first, stride: stride}
	if n > 3 {
		r.fourth = GP64()
		LEAQ(Mem{Base: first, Index: stride, Scale: 2}, r.fourth)
		ADDQ(stride, r.fourth)
	}
	return r
}

func (r rowSet) mem(i, disp int) Mem {
	m := Mem{Base: r.first, Disp: disp}
	if i >= 3 {
		m.Base = r.fourth
	}
	if i%3 > 0 {
		m.Index, m.Scale = r.stride, uint8(i%3)
	}
	return m
}

// move adds n, a register or constant, to the rows.
func (r rowSet) move(op func(n, p Op), n Op) {
	op(n, r.first)
	if r.fourth != nil {
		op(n, r.fourth)
	}
}

func scoresName(kind kvKind, nq int) string { return fmt.Sprintf("avx2Scores%sx%d", kind.name, nq) }
func valuesName(kind kvKind, nq int) string { return fmt.Sprintf("avx2Values%sx%d", kind.name, nq) }

const (
	scoresArgs = "(s, q *float32, k *byte, h, first, last int)"
	valuesArgs = "(acc, p *float32, v *byte, n, h int, a *float32, scales *byte)"
)

// scores computes the products of nq queries with the keys of a page, passes
// [first, last) of them, element by element of the keys.
func scores(kind kvKind, nq int) {
	vecs := scoreVecs[nq]
	row := pageTokens * kind.size
	TEXT(scoresName(kind, nq), NOSPLIT, "func"+scoresArgs)
	Doc(fmt.Sprintf("Products of %d queries with the keys of a page, %d keys to a pass.", nq, 8*vecs))
	s, q := Load(Param("s"), GP64()), Load(Param("q"), GP64())
	k, h := Load(Param("k"), GP64()), Load(Param("h"), GP64())
	pass := Load(Param("first"), GP64())
	d, stride := GP64(), GP64()
	MOVQ(h, stride)
	SHLQ(Imm(2), stride)
	qs := newRowSet(q, stride, nq)
	var scales, scale Register
	var wide Mem
	if kind.name == "Q8" {
		scales, scale = GP64(), GP64()
		MOVQ(h, scales)
		SHLQ(Imm(6), scales)
		ADDQ(k, scales)
		wide = AllocLocal(32 * vecs)
	}
	at := GP64()
	moveTo := func(p Register, bytes int) {
		IMUL3Q(U32(8*vecs*bytes), pass, at)
		ADDQ(at, p)
	}
	moveTo(s, 4)
	moveTo(k, kind.size)
	if scales != nil {
		moveTo(scales, 2)
	}

	acc := make([][]VecVirtual, nq)
	for i := range acc {
		acc[i] = ymms(vecs)
	}
	Label("pass")
	for i := range acc {
		for _, v := range acc[i] {
			VXORPS(v, v, v)
		}
	}
	MOVQ(k, at)
	MOVQ(h, d)
	if scales != nil {
		MOVQ(scales, scale)
		Label("block")
		for v := range vecs {
			t := YMM()
			VCVTPH2PS(Mem{Base: scale, Disp: 16 * v}, t)
			VMOVUPS(t, wide.Offset(32*v))
		}
		ADDQ(U32(2*pageTokens), scale)
	}
	Label("element")
	for u := range 2 { // head dimensions are even
		element(kind, at, u*row, qs, u, acc, wide)
	}
	ADDQ(U32(2*row), at)
	qs.move(ADDQ, Imm(8))
	SUBQ(Imm(2), d)
	if scales != nil {
		TESTQ(U32(31), d)
		JNZ(LabelRef("element"))
		TESTQ(d, d)
		JNZ(LabelRef("block"))
	} else {
		JNZ(LabelRef("element"))
	}
	qs.move(SUBQ, stride)
	for i := range acc {
		for v := range vecs {
			VMOVUPS(acc[i][v], Mem{Base: s, Disp: i*pageTokens*4 + 32*v})
		}
	}
	ADDQ(U32(32*vecs), s)
	ADDQ(U32(8*vecs*kind.size), k)
	if scales != nil {
		ADDQ(U32(8*vecs*2), scales)
	}
	INCQ(pass)
	last := GP64()
	Load(Param("last"), last)
	CMPQ(pass, last)
	JL(LabelRef("pass"))
	VZEROUPPER()
	RET()
}

// element adds the products of one element of all queries with that of the
// pass's keys. With few queries their element stands in registers; with many
// the keys do.
func element(kind kvKind, k Register, off int, qs rowSet, u int, acc [][]VecVirtual, wide Mem) {
	nq, vecs := len(acc), len(acc[0])
	key := func(v int) (Mem, Op) {
		m := Mem{Base: k, Disp: off + v*8*kind.size}
		if kind.name == "Q8" {
			return m, wide.Offset(32 * v)
		}
		return m, nil
	}
	query := func(i int, to VecVirtual) {
		VBROADCASTSS(qs.mem(i, 4*u), to)
	}
	for b := 0; b < 8*vecs*kind.size; b += 64 {
		PREFETCHT0(Mem{Base: k, Disp: off + b + rowsAhead*pageTokens*kind.size})
	}
	if nq <= 3 {
		q := ymms(nq)
		for i := range q {
			query(i, q[i])
		}
		for v := range vecs {
			m, scale := key(v)
			if nq == 1 && kind.name == "F32" {
				VFMADD231PS(m, q[0], acc[0][v])
				continue
			}
			t := YMM()
			load8(kind, m, scale, t)
			for i := range q {
				VFMADD231PS(t, q[i], acc[i][v])
			}
		}
		return
	}
	t := ymms(vecs)
	for v := range t {
		m, scale := key(v)
		load8(kind, m, scale, t[v])
	}
	for i := range acc {
		q := YMM()
		query(i, q)
		for v := range t {
			VFMADD231PS(t[v], q, acc[i][v])
		}
	}
}

// valueWidths are the pieces of a value that kernels for nq queries take
// together, in elements. Head dimensions are even; those of Q8 are multiples
// of 32.
func valueWidths(kind kvKind, nq int) []int {
	switch {
	case kind.name == "Q8" && nq <= 2:
		return []int{32}
	case kind.name == "Q8":
		return []int{16}
	case nq == 1:
		return []int{64, 32, 16, 8, 4, 2}
	case nq <= 3:
		return []int{32, 16, 8, 4, 2}
	}
	return []int{16, 8, 4, 2}
}

// valueArgs are the registers of a values kernel.
type valueArgs struct {
	acc, accStride, v, stride Register
	scales, scaleStride       Register
}

// values multiplies the sums of nq queries by a[i] and adds n positions, weighed
// by p. The weights of a query are 64 floats behind those of the one before,
// its sums h.
func values(kind kvKind, nq int) {
	TEXT(valuesName(kind, nq), NOSPLIT, "func"+valuesArgs)
	Doc(fmt.Sprintf("acc = acc*a, then acc += p*v over n positions, for %d queries.", nq))
	r := valueArgs{
		acc: Load(Param("acc"), GP64()), v: Load(Param("v"), GP64()),
		accStride: GP64(), stride: GP64(),
	}
	left := Load(Param("h"), GP64())
	MOVQ(left, r.accStride)
	SHLQ(Imm(2), r.accStride)
	MOVQ(left, r.stride)
	if kind.size > 1 {
		SHLQ(U8(kind.size/2), r.stride)
	}
	half := GP64() // of a block of scales
	if kind.name == "Q8" {
		r.scales, r.scaleStride = Load(Param("scales"), GP64()), GP64()
		MOVQ(left, r.scaleStride)
		SHRQ(Imm(4), r.scaleStride)
		XORQ(half, half)
	}
	widths := valueWidths(kind, nq)
	for i, w := range widths {
		next := "done"
		if i+1 < len(widths) {
			next = fmt.Sprintf("w%d", widths[i+1])
		}
		Label(fmt.Sprintf("w%d", w))
		CMPQ(left, Imm(uint64(w)))
		JL(LabelRef(next))
		valuePiece(kind, nq, w, r)
		ADDQ(U32(4*w), r.acc)
		ADDQ(U32(w*kind.size), r.v)
		SUBQ(U32(w), left)
		switch {
		case kind.name != "Q8":
		case w == 32:
			ADDQ(Imm(2), r.scales)
		default: // two pieces to a scale
			ADDQ(half, r.scales)
			XORQ(Imm(2), half)
		}
		JMP(LabelRef(fmt.Sprintf("w%d", w)))
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// valuePiece does all positions for width elements.
func valuePiece(kind kvKind, nq, width int, r valueArgs) {
	vecs := max(1, width/8)
	reg := func() VecVirtual {
		if width < 8 {
			return XMM()
		}
		return YMM()
	}
	out := newRowSet(r.acc, r.accStride, nq)
	acc := make([][]VecVirtual, nq)
	factors := Load(Param("a"), GP64())
	for i := range acc {
		a := reg()
		VBROADCASTSS(Mem{Base: factors, Disp: 4 * i}, a)
		for v := range vecs {
			acc[i] = append(acc[i], reg())
			m := out.mem(i, 32*v)
			if width == 2 {
				VMOVSD(m, acc[i][v])
				VMULPS(a, acc[i][v], acc[i][v])
			} else {
				VMULPS(m, a, acc[i][v])
			}
		}
	}
	p, v, n := Load(Param("p"), GP64()), GP64(), Load(Param("n"), GP64())
	MOVQ(r.v, v)
	var scales Register
	if r.scales != nil {
		scales = GP64()
		MOVQ(r.scales, scales)
	}
	// A fetch of memory that is not there costs a walk of the page tables: the
	// last positions fetch nothing.
	advance := func() {
		ADDQ(Imm(4), p)
		ADDQ(r.stride, v)
		if scales != nil {
			ADDQ(r.scaleStride, scales)
		}
	}
	label := func(l string) string { return fmt.Sprintf("%s%d", l, width) }
	SUBQ(Imm(rowsAhead), n)
	JLE(LabelRef(label("last")))
	Label(label("position"))
	for b := 0; b < width*kind.size; b += 64 {
		PREFETCHT0(Mem{Base: v, Index: r.stride, Scale: rowsAhead, Disp: b})
	}
	position(kind, width, p, v, scales, acc, reg)
	advance()
	DECQ(n)
	JNZ(LabelRef(label("position")))
	Label(label("last"))
	ADDQ(Imm(rowsAhead), n)
	Label(label("lastPosition"))
	position(kind, width, p, v, scales, acc, reg)
	advance()
	DECQ(n)
	JNZ(LabelRef(label("lastPosition")))
	for i := range acc {
		for v := range vecs {
			m := out.mem(i, 32*v)
			if width == 2 {
				VMOVSD(acc[i][v], m)
			} else {
				VMOVUPS(acc[i][v], m)
			}
		}
	}
}

// position adds one position.
func position(kind kvKind, width int, p, v, scales Register, acc [][]VecVirtual, reg func() VecVirtual) {
	nq, vecs := len(acc), len(acc[0])
	weight := func(i int) VecVirtual {
		w := reg()
		VBROADCASTSS(Mem{Base: p, Disp: i * pageTokens * 4}, w)
		return w
	}
	var scale VecVirtual
	if scales != nil {
		scale = YMM()
		VPBROADCASTW(Mem{Base: scales}, scale.AsX())
		VCVTPH2PS(scale.AsX(), scale)
	}
	value := func(i int) VecVirtual {
		t := reg()
		m := Mem{Base: v, Disp: i * 8 * kind.size}
		switch {
		case width == 2 && kind.name == "F32":
			VMOVSD(m, t)
		case width == 2:
			VMOVD(m, t)
			VCVTPH2PS(t, t)
		default:
			load8(kind, m, scale, t)
		}
		return t
	}
	if nq <= 3 {
		var w []VecVirtual
		for i := range acc {
			w = append(w, weight(i))
		}
		for j := range vecs {
			if nq == 1 && kind.name == "F32" && width > 2 {
				VFMADD231PS(Mem{Base: v, Disp: j * 32}, w[0], acc[0][j])
				continue
			}
			t := value(j)
			for i := range acc {
				VFMADD231PS(t, w[i], acc[i][j])
			}
		}
		return
	}
	var t []VecVirtual
	for j := range vecs {
		t = append(t, value(j))
	}
	for i := range acc {
		w := weight(i)
		for j := range t {
			VFMADD231PS(t[j], w, acc[i][j])
		}
	}
}

// softmax is kernel's softmaxTile on the scores in p, which become weights.
func softmax() {
	TEXT("avx2Softmax", NOSPLIT, "func(p *float32, lo, hi int, m, l, a *float32)")
	Doc("Turns 64 scores into weights and updates the running maximum and sum; a is what rescales older sums.")
	positions := GLOBL("avx2_positions", RODATA|NOPTR)
	for i := range pageTokens {
		DATA(4*i, U32(uint32(i)))
	}
	negInf := broadcast("neginf", 0xff800000)
	p, lo, hi := Load(Param("p"), GP64()), Load(Param("lo"), GP64()), Load(Param("hi"), GP64())
	s := ymms(pageTokens / 8)
	for i := range s {
		VMOVUPS(at(p, i), s[i])
	}
	// Positions that are not seen count as -inf.
	CMPQ(hi, Imm(pageTokens))
	JL(LabelRef("mask"))
	TESTQ(lo, lo)
	JZ(LabelRef("seen"))
	Label("mask")
	below, above, mask, unseen := YMM(), YMM(), YMM(), YMM()
	VMOVUPS(negInf, unseen)
	VMOVD(lo.(GPVirtual).As32(), below.AsX())
	VMOVD(hi.(GPVirtual).As32(), above.AsX())
	VPBROADCASTD(below.AsX(), below)
	VPBROADCASTD(above.AsX(), above)
	for i := range s {
		VPCMPGTD(positions.Offset(32*i), above, mask)
		notBelow := YMM()
		VPCMPGTD(positions.Offset(32*i), below, notBelow)
		VPANDN(mask, notBelow, mask)
		VBLENDVPS(mask, s[i], unseen, s[i])
	}
	Label("seen")
	mp, lp, ap := Load(Param("m"), GP64()), Load(Param("l"), GP64()), Load(Param("a"), GP64())
	m, t := YMM(), YMM()
	VMAXPS(s[1], s[0], m)
	for i := 2; i < len(s); i++ {
		VMAXPS(s[i], m, m)
	}
	VEXTRACTF128(Imm(1), m, t.AsX())
	VMAXPS(t.AsX(), m.AsX(), m.AsX())
	VPERMILPS(Imm(0x4e), m.AsX(), t.AsX())
	VMAXPS(t.AsX(), m.AsX(), m.AsX())
	VMOVSHDUP(m.AsX(), t.AsX())
	VMAXSS(t.AsX(), m.AsX(), m.AsX())
	old := XMM()
	VMOVSS(Mem{Base: mp}, old)
	VMAXSS(old, m.AsX(), m.AsX())
	VMOVSS(m.AsX(), Mem{Base: mp})
	VSUBSS(m.AsX(), old, old)
	VMOVSS(old, Mem{Base: ap})
	VBROADCASTSS(m.AsX(), m)
	for i := range s {
		VSUBPS(m, s[i], s[i])
	}
	for i := 0; i < len(s); i += 2 {
		exp(s[i:i+2], true)
		VMOVUPS(s[i], at(p, i))
		VMOVUPS(s[i+1], at(p, i+1))
	}
	VADDPS(s[2], s[0], s[0])
	VADDPS(s[3], s[1], s[1])
	VADDPS(s[6], s[4], s[4])
	VADDPS(s[7], s[5], s[5])
	VADDPS(s[4], s[0], s[0])
	VADDPS(s[5], s[1], s[1])
	VADDPS(s[1], s[0], s[0])
	sum := s[0].AsX()
	VEXTRACTF128(Imm(1), s[0], t.AsX())
	VADDPS(t.AsX(), sum, sum)
	VPERMILPS(Imm(0x4e), sum, t.AsX())
	VADDPS(t.AsX(), sum, sum)
	VMOVSHDUP(sum, t.AsX())
	VADDSS(t.AsX(), sum, sum)
	a := XMM()
	VMOVSS(Mem{Base: ap}, a)
	exp([]VecVirtual{a}, true)
	VMOVSS(a, Mem{Base: ap})
	VFMADD132SS(Mem{Base: lp}, sum, a)
	VMOVSS(a, Mem{Base: lp})
	VZEROUPPER()
	RET()
}

// widenKeysQ8 turns one block of 32 elements of all keys of a page into f32.
func widenKeysQ8() {
	TEXT("avx2WidenKeysQ8", NOSPLIT, "func(dst *float32, k, scales *byte)")
	Doc("Widens 32 elements of the 64 keys of a page, which share scales.")
	dst, k, scales := Load(Param("dst"), GP64()), Load(Param("k"), GP64()), Load(Param("scales"), GP64())
	s := ymms(pageTokens / 8)
	for i := range s {
		VCVTPH2PS(Mem{Base: scales, Disp: 16 * i}, s[i])
	}
	n := GP64()
	MOVQ(U32(32), n)
	Label("element")
	for i := range s {
		t := YMM()
		load8(kvKind{"Q8", 1}, Mem{Base: k, Disp: 8 * i}, s[i], t)
		VMOVUPS(t, at(dst, i))
	}
	ADDQ(U32(4*pageTokens), dst)
	ADDQ(U32(pageTokens), k)
	DECQ(n)
	JNZ(LabelRef("element"))
	VZEROUPPER()
	RET()
}

// widenValuesQ8 turns blocks of 32 elements with a scale each into f32.
func widenValuesQ8() {
	TEXT("avx2WidenValuesQ8", NOSPLIT, "func(dst *float32, v, scales *byte, blocks int)")
	Doc("Widens blocks of 32 elements, at least 1.")
	dst, v, scales := Load(Param("dst"), GP64()), Load(Param("v"), GP64()), Load(Param("scales"), GP64())
	n := Load(Param("blocks"), GP64())
	Label("block")
	s := YMM()
	VPBROADCASTW(Mem{Base: scales}, s.AsX())
	VCVTPH2PS(s.AsX(), s)
	for i := range 4 {
		t := YMM()
		load8(kvKind{"Q8", 1}, Mem{Base: v, Disp: 8 * i}, s, t)
		VMOVUPS(t, at(dst, i))
	}
	ADDQ(U32(128), dst)
	ADDQ(Imm(32), v)
	ADDQ(Imm(2), scales)
	DECQ(n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
