package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/cria-llm/cria/internal/device/cpu/kernel/_asm/evex"
)

// Offsets in package kernel's gemmArgs.
const (
	argC    = 0
	argLdc  = 8
	argA    = 16
	argRow  = 24
	argCol  = 32
	argTile = 40
	argB    = 48
	argLdb  = 56
	argK    = 64
	argN    = 72
	argAdd  = 80
)

// set is an instruction set: tiles of mr rows and two vectors of columns.
type set struct {
	name  string
	mr    int
	width int // bytes of a vector
	vec   []VecPhysical
}

var (
	avx2   = set{"avx2", 6, 32, []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}}
	avx512 = set{"avx512", 12, 64, []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}}
)

// way is how A lies in memory, and what its elements are.
type way string

const (
	byRows way = "Rows" // the elements of a row side by side
	byCols way = "Cols" // the elements of a column side by side, as in packed panels
	pairs  way = "BF16" // as by columns, two bfloat16 steps of K to an element
)

func tileName(s set, w way, rows int) string {
	return fmt.Sprintf("%sGemm%sx%d", s.name, w, rows)
}

// ways are those for which s has tiles.
func ways(s set) []way {
	if s.width == 64 {
		return []way{byRows, byCols, pairs}
	}
	return []way{byRows, byCols}
}

func tiles(s set) {
	for _, w := range ways(s) {
		for rows := s.mr; rows > 0; rows-- {
			tile(s, w, rows)
		}
	}
}

// unroll is the number of steps along K in a turn of the loop.
const unroll = 4

// tile computes n tiles one below the other, each rows x two vectors.
func tile(s set, w way, rows int) {
	TEXT(tileName(s, w, rows), NOSPLIT, "func(a *byte)")
	Doc(fmt.Sprintf("Tiles of %d rows and %d columns.", rows, 2*s.width/4))
	args := Load(Param("a"), GP64())
	arg := func(off int) Mem { return Mem{Base: args, Disp: off} }
	field := func(off int) Register {
		r := GP64()
		MOVQ(arg(off), r)
		return r
	}
	// acc[r] are the two vectors of an output row.
	acc := make([][2]VecPhysical, rows)
	for r := range acc {
		acc[r] = [2]VecPhysical{s.vec[2*r], s.vec[2*r+1]}
	}
	free := s.vec[2*s.mr:]
	b := [2]VecPhysical{free[0], free[1]}
	elem := [2]VecPhysical{free[2], free[3]}

	a := newOperand(w, rows, field)
	ldb := field(argLdb)
	ldb3 := GP64()
	LEAQ(Mem{Base: ldb, Index: ldb, Scale: 2}, ldb3)
	bp, k, c, ldc := GP64(), GP64(), GP64(), field(argLdc)

	Label("tile")
	a.begin(arg(argA))
	MOVQ(arg(argB), bp)
	MOVQ(arg(argC), c)
	for r := range acc {
		PREFETCHT0(Mem{Base: c})
		if s.width == 64 {
			PREFETCHT0(Mem{Base: c, Disp: 64})
		}
		if r < rows-1 {
			ADDQ(ldc, c)
		}
	}
	for r := range acc {
		for _, v := range acc[r] {
			if s.width == 64 {
				VPXORD(v, v, v)
			} else {
				VXORPS(v, v, v)
			}
		}
	}
	step := func(u int) {
		for i := range b {
			m := Mem{Base: bp, Disp: i * s.width}
			VMOVUPS(strided(m, ldb, ldb3, u), b[i])
		}
		for r := range acc {
			e := elem[r%2]
			VBROADCASTSS(a.mem(r, u), e)
			for i := range b {
				if w == pairs {
					evex.VDPBF16PS(index(s, b[i]), index(s, e), index(s, acc[r][i]))
				} else {
					VFMADD231PS(b[i], e, acc[r][i])
				}
			}
		}
	}
	MOVQ(arg(argK), k)
	SUBQ(Imm(unroll), k)
	JL(LabelRef("rest"))
	Label("loop")
	for u := range unroll {
		step(u)
	}
	a.advance(unroll)
	LEAQ(Mem{Base: bp, Index: ldb, Scale: unroll}, bp)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(Imm(unroll), k)
	JZ(LabelRef("store"))
	Label("one")
	step(0)
	a.advance(1)
	ADDQ(ldb, bp)
	DECQ(k)
	JNZ(LabelRef("one"))

	Label("store")
	MOVQ(arg(argC), c)
	each := func(f func(m Mem, v VecPhysical)) {
		for r := range acc {
			for i, v := range acc[r] {
				f(Mem{Base: c, Disp: i * s.width}, v)
			}
			ADDQ(ldc, c)
		}
	}
	CMPQ(arg(argAdd), Imm(0))
	JE(LabelRef("set"))
	each(func(m Mem, v VecPhysical) {
		VADDPS(m, v, v)
		VMOVUPS(v, m)
	})
	JMP(LabelRef("next"))
	Label("set")
	each(func(m Mem, v VecPhysical) { VMOVUPS(v, m) })
	Label("next")
	// Behind the last tile nothing moves: a pointer past the end of an object
	// may be another's.
	DECQ(arg(argN))
	JZ(LabelRef("done"))
	MOVQ(c, arg(argC))
	t := k
	MOVQ(arg(argTile), t)
	ADDQ(t, arg(argA))
	JMP(LabelRef("tile"))
	Label("done")
	VZEROUPPER()
	RET()
}

// index is a vector register's number.
func index(s set, v VecPhysical) int { return slices.Index(s.vec, v) }

// strided adds u strides, at most 3, to an address.
func strided(m Mem, stride, stride3 Register, u int) Mem {
	switch u {
	case 1, 2:
		m.Index, m.Scale = stride, uint8(u)
	case 3:
		m.Index, m.Scale = stride3, 1
	}
	return m
}

// operand addresses the elements of A.
type operand struct {
	way             way
	rows            int
	p               []Register // by rows: of row 0, 3, 6, …; by columns: one
	stride, stride3 Register   // from row to row, or from column to column
}

func newOperand(w way, rows int, field func(int) Register) *operand {
	o := &operand{way: w, rows: rows, p: []Register{GP64()}}
	if w != byRows {
		o.stride, o.stride3 = field(argCol), GP64()
		LEAQ(Mem{Base: o.stride, Index: o.stride, Scale: 2}, o.stride3)
		return o
	}
	o.stride = field(argRow)
	for r := 3; r < rows; r += 3 {
		o.p = append(o.p, GP64())
	}
	return o
}

// begin points at a tile.
func (o *operand) begin(first Mem) {
	MOVQ(first, o.p[0])
	for i := 1; i < len(o.p); i++ {
		LEAQ(Mem{Base: o.p[i-1], Index: o.stride, Scale: 2}, o.p[i])
		ADDQ(o.stride, o.p[i])
	}
}

// mem is row r's element u steps ahead.
func (o *operand) mem(r, u int) Mem {
	if o.way != byRows {
		return strided(Mem{Base: o.p[0], Disp: 4 * r}, o.stride, o.stride3, u)
	}
	return strided(Mem{Base: o.p[r/3], Disp: 4 * u}, o.stride, nil, r%3)
}

func (o *operand) advance(steps int) {
	if o.way == byRows {
		for _, p := range o.p {
			ADDQ(Imm(uint64(4*steps)), p)
		}
		return
	}
	if steps == 1 {
		ADDQ(o.stride, o.p[0])
	} else {
		LEAQ(Mem{Base: o.p[0], Index: o.stride, Scale: uint8(steps)}, o.p[0])
	}
}
