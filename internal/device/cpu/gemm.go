package cpu

import (
	"fmt"
	"unsafe"

	"github.com/cria-llm/cria/internal/device/cpu/kernel"
)

// gemmMat is a matrix in memory: element (i, j) of the (rows, cols) that are
// stored is data[i*ld+j]. With trans set the operand is its transpose, of shape
// (cols, rows).
type gemmMat struct {
	data       []float32
	rows, cols int
	ld         int
	trans      bool
}

// dense is a row-major matrix without gaps.
func dense(data []float32, rows, cols int) gemmMat {
	return gemmMat{data: data, rows: rows, cols: cols, ld: cols}
}

// t is the transpose of m.
func (m gemmMat) t() gemmMat {
	m.trans = !m.trans
	return m
}

// shape is the operand's.
func (m *gemmMat) shape() (rows, cols int) {
	if m.trans {
		return m.cols, m.rows
	}
	return m.rows, m.cols
}

// from is the memory from the operand's element (i, j) on.
func (m *gemmMat) from(i, j int) []float32 {
	if m.trans {
		i, j = j, i
	}
	return m.data[i*m.ld+j:]
}

// scattered says that tiles should not read A where it lies: every step along K
// is in another page, or rows displace each other from the first cache level.
func (m *gemmMat) scattered() bool { return m.trans && m.ld >= 512 || m.ld%1024 == 0 }

const (
	// gemmShared is how many floats of A, and of B, are packed at once for all
	// workers: pieces of 1,024 rows and columns where K is long.
	gemmShared = 2 << 20
	gemmRangeK = 2048

	// A part is at most gemmRows x gemmCols elements of C: a block of A stays in
	// the second cache level while panels of B pass, each of them in the first.
	// Rows are a multiple of every set's tile.
	gemmRows = 96
	gemmCols = 256

	// A product is cut into gemmParts where parts do not get smaller than
	// gemmPartFLOPs, about 0.1 ms of a slow core.
	gemmParts     = 64
	gemmPartFLOPs = 4e6

	// gemmPackElems is about how much one part packs.
	gemmPackElems = 64 << 10

	// gemmSerialFLOPs is the size up to which a product is not worth the other
	// workers' while.
	gemmSerialFLOPs = 1e6

	// gemmNarrow is the number of columns of C up to which packing A is not worth
	// its while.
	gemmNarrow = 384

	// gemmOneCols is how many columns of B a worker packs for itself.
	gemmOneCols = 192
)

// gemmScratch is what one worker needs for products of its own.
type gemmScratch struct {
	a    []float32 // a packed block of gemmRows
	b    []float32 // a packed block of gemmOneCols
	edge []float32 // of kernel.Gemm.Block
}

// gemmTask is the running product of the whole pool.
type gemmTask struct {
	d       *Device
	c, a, b gemmMat
	add     bool
	bf16    bool // operands are packed as bfloat16, in pairs of steps

	packedA, packedB []float32 // block of K by block of K

	// The piece at hand: rows, columns and steps along K.
	i, j, k, m, n, kn int
	kb                int // length of a block of K
	rows, cols        int // of a part

	directA            bool // A is read where it lies
	packing            bool
	perPartA, perPartB int // panels that a part packs
	partsA, partsB     int // for each block of K, 0 where it is packed already
}

// growGemm makes room for products, so that they allocate nothing.
func (d *Device) growGemm() error {
	if d.gemms.packedA != nil {
		return nil
	}
	g := &d.set.Gemm
	// Panels may be padded by a tile in every block of K.
	shared := gemmShared + gemmRangeK*max(g.MR, g.NR)
	one := kernel.GemmMaxBlock*(gemmRows+gemmOneCols+g.NR) + gemmRows*g.NR
	mem, err := d.newArena(4 * (2*shared + len(d.scratch)*one))
	if err != nil {
		return err
	}
	f := mem.Float32s()
	take := func(n int) []float32 {
		t := f[:n:n]
		f = f[n:]
		return t
	}
	for i := range d.scratch {
		d.scratch[i].gemm = gemmScratch{
			a:    take(kernel.GemmMaxBlock * gemmRows),
			b:    take(kernel.GemmMaxBlock * (gemmOneCols + g.NR)),
			edge: take(gemmRows * g.NR),
		}
	}
	d.gemms.d, d.gemms.packedA, d.gemms.packedB = d, take(shared), take(shared)
	return nil
}

// gemm computes c = a . b, or c += a . b with accumulate, on all workers, in the
// order that kernel.Gemm documents. c is not transposed and does not overlap a
// and b.
func (d *Device) gemm(c, a, b gemmMat, accumulate bool) { d.gemmOf(c, a, b, accumulate, false) }

// gemmOf is gemm, with bf16 of a and b rounded to bfloat16 as they are packed.
func (d *Device) gemmOf(c, a, b gemmMat, accumulate, bf16 bool) {
	k := mustGemm(&c, &a, &b)
	m, n := c.rows, c.cols
	if m == 0 || n == 0 {
		return
	}
	if err := d.growGemm(); err != nil {
		panic(fmt.Sprintf("cpu: no memory for products: %v", err))
	}
	if k == 0 || !bf16 && 2*float64(m)*float64(n)*float64(k) <= gemmSerialFLOPs {
		d.gemmOne(&d.scratch[0].gemm, c, a, b, accumulate)
		return
	}
	t := &d.gemms
	t.c, t.a, t.b, t.bf16 = c, a, b, bf16
	g := &d.set.Gemm
	t.kb = kernel.GemmBlock(k)
	rangeK := gemmRangeK / t.kb * t.kb
	most := gemmShared / min(k, rangeK)
	stepM, stepN := evenSteps(m, most, gemmRows), evenSteps(n, most, g.NR)
	t.directA = !bf16 && n <= gemmNarrow && !t.a.scattered()
	for t.k = 0; t.k < k; t.k += rangeK {
		t.kn = min(rangeK, k-t.k)
		t.add = accumulate || t.k > 0
		for t.j = 0; t.j < n; t.j += stepN {
			t.n = min(stepN, n-t.j)
			for t.i = 0; t.i < m; t.i += stepM {
				t.m = min(stepM, m-t.i)
				t.pack(!t.directA && (t.j == 0 || stepM < m), t.i == 0)
				t.multiply()
			}
		}
	}
}

// evenSteps cuts n into steps as equal as can be of at most most, multiples of
// unit.
func evenSteps(n, most, unit int) int {
	most = max(unit, most/unit*unit)
	steps := (n + most - 1) / most
	return (n + steps*unit - 1) / (steps * unit) * unit
}

// pack packs the piece's rows of A and columns of B.
func (t *gemmTask) pack(a, b bool) {
	g := &t.d.set.Gemm
	t.packing = true
	t.perPartA, t.perPartB = max(1, gemmPackElems/(g.MR*t.kb)), max(1, gemmPackElems/(g.NR*t.kb))
	t.partsA, t.partsB = 0, 0
	if a {
		t.partsA = ceilDiv(ceilDiv(t.m, g.MR), t.perPartA)
	}
	if b {
		t.partsB = ceilDiv(ceilDiv(t.n, g.NR), t.perPartB)
	}
	t.d.pool.Run(t, (t.partsA+t.partsB)*ceilDiv(t.kn, t.kb))
}

// multiply computes the piece of C.
func (t *gemmTask) multiply() {
	g := &t.d.set.Gemm
	t.packing = false
	t.rows = evenSteps(t.m, gemmRows, g.MR)
	for cols := gemmCols; ; cols /= 2 {
		t.cols = evenSteps(t.n, cols, g.NR)
		parts := ceilDiv(t.m, t.rows) * ceilDiv(t.n, t.cols)
		flops := 2 * float64(t.rows) * float64(t.cols) * float64(t.kn)
		if parts >= gemmParts || flops < 2*gemmPartFLOPs || cols < 2*g.NR {
			t.d.pool.Run(t, parts)
			return
		}
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// Part packs some panels of one block of K, or computes one tile of C over all
// of the piece's K.
func (t *gemmTask) Part(worker, part int) {
	if t.packing {
		n := t.partsA + t.partsB
		block, part := part/n, part%n
		if part < t.partsA {
			t.packA(block, part)
		} else {
			t.packB(block, part-t.partsA)
		}
		return
	}
	g := &t.d.set.Gemm
	down := ceilDiv(t.m, t.rows)
	i, j := part%down*t.rows, part/down*t.cols
	m, n := min(t.rows, t.m-i), min(t.cols, t.n-j)
	c := t.c.from(t.i+i, t.j+j)
	edge := t.d.scratch[worker].gemm.edge
	for k := 0; k < t.kn; k += t.kb {
		kn := min(t.kb, t.kn-k)
		add := t.add || k > 0
		switch {
		case t.bf16:
			g.BlockBF16(c, t.c.ld, pairsOf(t.blockA(k, i)), pairsOf(t.blockB(k, j)), m, n, kn, add, edge)
		case t.directA:
			g.Block(c, t.c.ld, g.ARows(t.a.from(t.i+i, t.k+k), t.a.ld, t.a.trans), t.blockB(k, j), m, n, kn, add, edge)
		default:
			g.Block(c, t.c.ld, g.APanels(t.blockA(k, i), kn), t.blockB(k, j), m, n, kn, add, edge)
		}
	}
}

// blockA is the packed block of A whose first step is k, from row i on.
func (t *gemmTask) blockA(k, i int) []float32 {
	return t.packedA[t.d.set.Gemm.PackedA(t.m, t.words(k))+i*t.words(min(t.kb, t.kn-k)):]
}

// blockB is the packed block of B whose first step is k, from column j on.
func (t *gemmTask) blockB(k, j int) []float32 {
	return t.packedB[t.d.set.Gemm.PackedB(t.words(k), t.n)+j*t.words(min(t.kb, t.kn-k)):]
}

// words is how much memory k packed steps take.
func (t *gemmTask) words(k int) int {
	if t.bf16 {
		return (k + 1) / 2
	}
	return k
}

// pairsOf is memory for f32 as memory for pairs of bfloat16.
func pairsOf(f []float32) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(f))), len(f))
}

func (t *gemmTask) packA(block, part int) {
	g := &t.d.set.Gemm
	k, i := block*t.kb, part*t.perPartA*g.MR
	kn, m := min(t.kb, t.kn-k), min(t.perPartA*g.MR, t.m-i)
	src, dst := t.a.from(t.i+i, t.k+k), t.blockA(k, i)
	if t.bf16 {
		g.BF16.Pack(pairsOf(dst), src, t.a.ld, g.MR, m, kn, t.a.trans)
		return
	}
	g.PackA(dst, src, t.a.ld, t.a.trans, m, kn)
}

func (t *gemmTask) packB(block, part int) {
	g := &t.d.set.Gemm
	k, j := block*t.kb, part*t.perPartB*g.NR
	kn, n := min(t.kb, t.kn-k), min(t.perPartB*g.NR, t.n-j)
	src, dst := t.b.from(t.k+k, t.j+j), t.blockB(k, j)
	if t.bf16 {
		g.BF16.Pack(pairsOf(dst), src, t.b.ld, g.NR, n, kn, !t.b.trans)
		return
	}
	g.PackB(dst, src, t.b.ld, t.b.trans, kn, n)
}

// gemmOne is gemm on the calling worker alone, whose scratch s is: inside of a
// part of another op, such as attention with a part per head. growGemm has made
// the scratch. The bits are gemm's.
func (d *Device) gemmOne(s *gemmScratch, c, a, b gemmMat, accumulate bool) {
	k := mustGemm(&c, &a, &b)
	g := &d.set.Gemm
	kb := kernel.GemmBlock(k)
	stepN := ceilDiv(gemmOneCols, g.NR) * g.NR
	for l := 0; l == 0 || l < k; l += kb {
		kn := min(kb, k-l)
		for j := 0; j < c.cols; j += stepN {
			n := min(stepN, c.cols-j)
			if kn > 0 {
				g.PackB(s.b, b.from(l, j), b.ld, b.trans, kn, n)
			}
			for i := 0; i < c.rows; i += gemmRows {
				m := min(gemmRows, c.rows-i)
				var rows kernel.GemmRows
				switch {
				case kn == 0:
				case a.scattered():
					rows = g.APanels(s.a, kn)
					g.PackA(s.a, a.from(i, l), a.ld, a.trans, m, kn)
				default:
					rows = g.ARows(a.from(i, l), a.ld, a.trans)
				}
				g.Block(c.from(i, j), c.ld, rows, s.b, m, n, kn, accumulate || l > 0, s.edge)
			}
		}
		if k == 0 {
			return
		}
	}
}

// mustGemm returns the length of the sums.
func mustGemm(c, a, b *gemmMat) int {
	m, k := a.shape()
	k2, n := b.shape()
	if c.trans || c.rows != m || c.cols != n || k != k2 {
		cm, cn := c.shape()
		panic(fmt.Sprintf("cpu: product of (%d, %d) and (%d, %d) into (%d, %d)", m, k, k2, n, cm, cn))
	}
	return k
}
