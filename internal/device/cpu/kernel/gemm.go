package kernel

import "fmt"

// GemmMaxBlock bounds the number of steps along K between two additions to C: a
// panel of B of so many steps lies in the first cache level (24 KiB in AVX2).
const GemmMaxBlock = 384

// GemmBlock returns the length of the blocks of K, of which the last one may be
// shorter.
func GemmBlock(k int) int {
	blocks := (k + GemmMaxBlock - 1) / GemmMaxBlock
	if blocks <= 1 {
		return k
	}
	n := (k + blocks - 1) / blocks
	return (n + 3) &^ 3
}

// Gemm are a set's routines for products in training.
//
// Products C = A·B or C += A·B, A (m, k) and B (k, n) given as they lie in memory
// or transposed, have an accumulation order of their own, because n and not k
// lies along the vectors. K is cut into blocks that depend on K alone
// (GemmBlock). The sum over a block is one chain from zero,
//
//	s = fma(A[i][k], B[k][j], s)       k = first, first+1, … of the block
//
// and blocks are added to C in their order: C = s for the first one of a product
// that does not accumulate, else C = C + s. How C is cut into tiles changes
// nothing, and all sets give the same bits.
//
// A tile is MR rows by NR columns. Operands are packed into panels: MR rows of
// A, or NR columns of B, step by step along K, the last panel padded with
// zeros. Element (i, k) of A's panel p is at p*MR*K + k*MR + i-p*MR, element
// (k, j) of B's at p*NR*K + k*NR + j-p*NR. A may stay as it is.
type Gemm struct {
	MR, NR int

	// Tiles computes rows x NR elements of C from k steps, at most GemmMaxBlock,
	// of rows of A and one panel of B: c[i*ldc+j] for i < rows, set or added to.
	// b[l*ldb+j] is an element of B. Rows of A come in tiles of MR.
	Tiles func(c []float32, ldc int, a GemmRows, b []float32, ldb, rows, k int, add bool)

	// Pack writes panels of width (MR or NR) of n rows of src, which are k long and
	// lie ld apart; with byStep they are n columns of k rows instead.
	Pack func(dst, src []float32, ld, width, n, k int, byStep bool)

	// BF16 is nil where products of bfloat16 are not faster.
	BF16 *GemmBF16
}

// GemmRows is A in memory: element (i, l) is Data[i/MR*Tile + i%MR*Row + l*Col].
// Row or Col is 1.
type GemmRows struct {
	Data           []float32
	Tile, Row, Col int
}

// PackA packs the (m, k) matrix a, or the transpose of the (k, m) matrix a.
func (g *Gemm) PackA(dst, a []float32, lda int, trans bool, m, k int) {
	g.Pack(dst, a, lda, g.MR, m, k, trans)
}

// PackB packs the (k, n) matrix b, or the transpose of the (n, k) matrix b.
func (g *Gemm) PackB(dst, b []float32, ldb int, trans bool, k, n int) {
	g.Pack(dst, b, ldb, g.NR, n, k, !trans)
}

// PackedA returns how many floats panels of m rows take.
func (g *Gemm) PackedA(m, k int) int { return (m + g.MR - 1) / g.MR * g.MR * k }

// PackedB returns how many floats panels of n columns take.
func (g *Gemm) PackedB(k, n int) int { return (n + g.NR - 1) / g.NR * g.NR * k }

// APanels are the rows of packed panels.
func (g *Gemm) APanels(packed []float32, k int) GemmRows {
	return GemmRows{Data: packed, Tile: g.MR * k, Row: 1, Col: g.MR}
}

// ARows are the rows of the matrix a, or of its transpose, as they lie.
func (g *Gemm) ARows(a []float32, lda int, trans bool) GemmRows {
	if trans {
		return GemmRows{Data: a, Tile: g.MR, Row: 1, Col: lda}
	}
	return GemmRows{Data: a, Tile: g.MR * lda, Row: lda, Col: 1}
}

// Block computes a (m, n) piece of C from a block of K and packed panels of B.
// edge is scratch of m*NR floats for the last panel where it is not full.
func (g *Gemm) Block(c []float32, ldc int, a GemmRows, packedB []float32, m, n, k int, add bool, edge []float32) {
	panel := g.NR * k
	for j := 0; j+g.NR <= n; j += g.NR {
		g.Tiles(c[j:], ldc, a, packedB[j/g.NR*panel:], g.NR, m, k, add)
	}
	rest := n % g.NR
	if rest == 0 || m == 0 {
		return
	}
	j := n - rest
	g.Tiles(edge, g.NR, a, packedB[j/g.NR*panel:], g.NR, m, k, false)
	putEdge(c[j:], ldc, edge, g.NR, m, rest, add)
}

// putEdge sets or adds to the first n columns of m rows of c.
func putEdge(c []float32, ldc int, edge []float32, nr, m, n int, add bool) {
	for i := range m {
		y, s := c[i*ldc:i*ldc+n], edge[i*nr:]
		if !add {
			copy(y, s)
			continue
		}
		for l := range y {
			y[l] += s[l]
		}
	}
}

func genericGemm() Gemm {
	const mr, nr = 4, 8
	return Gemm{
		MR: mr, NR: nr,
		Tiles: func(c []float32, ldc int, a GemmRows, b []float32, ldb, rows, k int, add bool) {
			for i := range rows {
				var s [nr]float32
				at := a.at(i, mr)
				for l := range k {
					fmaRow(s[:], a.Data[at+l*a.Col], b[l*ldb:])
				}
				y := c[i*ldc : i*ldc+nr]
				for j := range y {
					if add {
						s[j] += y[j]
					}
					y[j] = s[j]
				}
			}
		},
		Pack: genericPack,
	}
}

func genericPack(dst, src []float32, ld, width, n, k int, byStep bool) {
	row, step := ld, 1
	if byStep {
		row, step = 1, ld
	}
	for p := 0; p < n; p += width {
		for l := range k {
			for i := range width {
				var v float32
				if p+i < n {
					v = src[(p+i)*row+l*step]
				}
				dst[p*k+l*width+i] = v
			}
		}
	}
}

// at is where row i begins.
func (a *GemmRows) at(i, mr int) int { return i/mr*a.Tile + i%mr*a.Row }

// mustStrides panics where neither the rows nor the columns of A are dense.
func (a *GemmRows) mustStrides() {
	if a.Row != 1 && a.Col != 1 {
		panic(fmt.Sprintf("kernel: product with rows %d and columns %d apart", a.Row, a.Col))
	}
}
