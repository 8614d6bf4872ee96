// Package kernel holds all architecture-specific arithmetic of the CPU device:
// slices in, slices out, no goroutines, no allocation, no knowledge of models.
//
// # One written accumulation order
//
// For one file and one kernel set, an output element has the same bits however
// many rows and columns are computed together, because every kernel of a type
// keeps the type's one order. Kernels tile over rows and columns, never over K.
//
// Float weights (F32, F16, BF16), activations f32: the weight is widened to f32
// (exact), then for k = 0, 16, 32, …
//
//	lane[l] = fma(w[k+l], x[k+l], lane[l])        l = 0..15
//
// a ragged tail behaves as if padded with zeros, and the lanes are reduced by
// the tree (l, l+8), (l, l+4), (l, l+2), (l, l+1): lane[l] += lane[l+8] for
// l < 8, then lane[l] += lane[l+4] for l < 4, and so on.
//
// Types with blocks of 32 (Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 IQ4_NL): activations are
// quantised per row and block by QuantizeAct32. For block b = 0, 1, …
//
//	isum = sum of q_w * q_x over the block, in exact integers
//	y = fma(float32(isum), d_w*d_x, y)
//	y = fma(m_w, d_x*float32(sum q_x), y)        // types with minima only
//
// where each product written with * is rounded to f32 once and q_w is the
// signed value (nibble-8 for Q4_0, table value for IQ4_NL, the unsigned
// quant for Q4_1 and Q5_1).
//
// Types with blocks of 256 (Q2_K … Q6_K, IQ4_XS): activations by
// QuantizeAct256. For block b, with sub-blocks j of 16 or 32:
//
//	isum = sum over j of sc_j * (sum of q_w * q_x over j), exact int32
//	y = fma(float32(isum), d_w*d_x, y)
//	imin = sum over j of m_j * (sum of q_x over j), exact int32
//	y = fma(float32(imin), -(dmin_w*d_x), y)     // Q2_K, Q4_K, Q5_K only
//
// # Panels
//
// A block-quantised matrix is held in panels of PanelRows rows (16 on AVX-512
// and in the generic set, 8 on AVX2 and NEON); the last panel is padded with
// all-zero blocks, which contribute exactly nothing. A panel is as large as
// its rows in the file: PanelRows*RowBytes(K). Within a panel, block b lies at
// b*PanelRows*BlockBytes: first the block's scales (and minima) of all rows,
// then its quants in 4-byte groups interleaved by row, so that one broadcast
// 4-byte group of activations meets the same 4 elements of every row. The
// exact order per type is written beside its packer and is the same for all
// sets of equal PanelRows.
package kernel

import "github.com/cria-llm/cria/internal/tensor"

// PageTokens is the number of key positions in one page of the KV cache, and
// the length of one attention tile. Tiles are aligned to absolute position.
const PageTokens = 64

// Act is a batch of activation rows quantised for one class of weight type.
// Row r of Q begins at r*K.
type Act struct {
	K    int
	Rows int
	Q    []int8    // (Rows, K), -127 to 127
	D    []float32 // (Rows, K/32) f16-rounded scales, or (Rows, K/256) f32 scales
	Sum  []int32   // (Rows, K/32) sums of Q per 32, or (Rows, K/16) per 16 for the 256 class
}

// QuantFormat is what a set knows about one block-quantised type.
type QuantFormat struct {
	Type tensor.DType

	// Pack rearranges nrows rows of file layout into panels. dst has
	// ceil(nrows/PanelRows)*PanelRows*RowBytes(k) bytes, src nrows*RowBytes(k).
	// nrows is a multiple of PanelRows except at a matrix's end.
	Pack func(dst, src []byte, nrows, k int)

	// Vec computes PanelRows outputs per panel for one activation row:
	// y[p*PanelRows+r] for p < npanels. It may be nil: then the caller uses
	// Unpack and Mat with one column.
	Vec func(y []float32, panels []byte, npanels int, a *Act, row int)

	// Unpack expands one panel for the matrix kernel.
	Unpack func(u *Unpacked, panel []byte, k int)

	// Mat computes y[c*ldy+r], r < PanelRows, for activation rows
	// row0 <= row0+c < row0+cols from an unpacked panel.
	Mat func(y []float32, ldy int, u *Unpacked, a *Act, row0, cols int)

	// Small computes like Vec for 2 to MaxSmall activation rows straight from
	// panels, reading each panel once: small decode batches. It may be nil.
	// y[c*ldy + p*PanelRows + r].
	Small    func(y []float32, ldy int, panels []byte, npanels int, a *Act, row0, cols int)
	MaxSmall int

	// Dequant writes a panel's PanelRows rows as f32, row r at dst[r*k:].
	// It is the inverse of Pack followed by the reference codec, bit for bit.
	Dequant func(dst []float32, panel []byte, k int)
}

// Unpacked is one panel expanded for the matrix kernels; each worker owns one.
// Field meaning beyond this comment belongs to the set that filled it.
type Unpacked struct {
	K int
	Q []byte    // quants as bytes, (K/4, PanelRows, 4)
	D []float32 // scales, (K/blockElems, PanelRows)
	M []float32 // minima, same shape; used by types that have them
	S []int32   // integer sub-scales of the 256 class, (K/16 or K/32, PanelRows)
	N []int32   // integer sub-minima, same shape
}

// Grow makes room for a panel of k columns and panelRows rows. It allocates
// only when k grows, never per token.
func (u *Unpacked) Grow(k, panelRows int) {
	u.K = k
	if cap(u.Q) >= k*panelRows+64 {
		return
	}
	u.Q = make([]byte, k*panelRows+64)
	u.D = make([]float32, (k/32+1)*panelRows+16)
	u.M = make([]float32, (k/32+1)*panelRows+16)
	u.S = make([]int32, (k/16+1)*panelRows+16)
	u.N = make([]int32, (k/16+1)*panelRows+16)
}

// KVType is the element type of the KV cache: F32, F16 or Q8_0.
//
// Layout of one page (PageTokens positions of one KV head of dimension h):
//
//	K: (h, PageTokens) elements, transposed so that lanes are positions.
//	   Q8_0: int8 (h, PageTokens), then f16 scales (h/32, PageTokens).
//	V: (PageTokens, h) elements.
//	   Q8_0: int8 (PageTokens, h), then f16 scales (PageTokens, h/32).

// AttnState is the running softmax of a group of queries that share one KV
// head, kept per worker between tiles.
type AttnState struct {
	M   []float32 // (n) running maximum
	L   []float32 // (n) running sum
	Acc []float32 // (n, headDim) running weighted values
	P   []float32 // (n, PageTokens) scratch for one tile

	// Wide is scratch for one page as f32, (2, PageTokens, headDim), or nil. It
	// makes many queries faster and changes no result.
	Wide []float32
}

// AttnTile adds one page to the running softmax of n queries:
//
//	s[j]  = chain over d = 0..h-1 of fma(q[d], K[d][j], s[j]), from 0
//	s[j]  = -inf for positions j outside [lo, hi) of the query
//	m'    = max(m, max s);  a = exp(m - m');  p[j] = exp(s[j] - m')
//	l     = fma(l, a, sum p)   // sum: four 16-lane vectors (v0+v1)+(v2+v3),
//	                           // then the 16-lane tree of the float kernels
//	acc[d] = acc[d]*a, then acc[d] = fma(p[j], V[j][d], acc[d]), j = lo..hi-1
//
// q holds n rows of h elements already scaled by 1/sqrt(h). lo and hi are
// relative to the page, 0 <= lo <= hi <= PageTokens; a query with lo == hi is
// left untouched. Q8_0 values are scale*int8 rounded to f32 once before use.
// With a == 1 exactly (m unchanged) the rescale is skipped or multiplies by 1:
// the same bits.
type AttnTile func(st *AttnState, q []float32, n, h int, k, v []byte, lo, hi []int32)

// Set is one instruction set's kernels. All slices may be unaligned to the
// vector width; no kernel reads or writes beyond the lengths given here.
type Set struct {
	Name      string // "generic", "avx2", "avx512", "neon"
	PanelRows int

	Quant map[tensor.DType]*QuantFormat

	// QuantizeAct32 quantises rows [row0,row1) of x (row stride ldx) into a:
	// amax = max|x|, d = amax/127, id = 1/d (0 where d is 0),
	// q = round-to-even(x*id), D = f32(f16(d)), Sum = sum q.
	QuantizeAct32 func(a *Act, x []float32, ldx, row0, row1 int)
	// QuantizeAct256 does the same per 256 with D = d in f32 and Sum per 16.
	QuantizeAct256 func(a *Act, x []float32, ldx, row0, row1 int)

	// MatF32, MatF16 and MatBF16: y[c*ldy+r] = <w row r, x row c> for
	// r < rows, c < cols, rows of w at r*ldw, rows of x at c*ldx.
	MatF32  func(y []float32, ldy int, w []float32, ldw int, x []float32, ldx int, rows, cols, k int)
	MatF16  func(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int)
	MatBF16 func(y []float32, ldy int, w []uint16, ldw int, x []float32, ldx int, rows, cols, k int)

	// RMSNorm: y = x * (1/sqrt(mean(x*x)+eps)) * g for one row; the sum of
	// squares is the float kernels' dot of x with itself.
	RMSNorm func(y, x, g []float32, eps float32)
	// Add: y += x.
	Add func(y, x []float32)
	// Scale: y = x*scale. y may be x.
	Scale func(y, x []float32, scale float32)
	// SwiGLU: y = silu(g) * u = g/(1+exp(-g)) * u. y may alias g or u.
	SwiGLU func(y, g, u []float32)
	// RoPE rotates interleaved pairs (x[2i], x[2i+1]) of each head of h
	// elements by (cos[i], sin[i]): x0*c - x1*s, x0*s + x1*c, with one
	// rounding per product and one per sum (no fma), times scale.
	RoPE func(x []float32, h int, cos, sin []float32, scale float32)
	// Exp: y = exp(x), the polynomial of the set, for tests and sampling.
	Exp func(y, x []float32)

	// StoreKV writes one position's K and V of one head (h elements each) at
	// slot position pos (< PageTokens) of a page, rounding to the cache type.
	StoreKVF32, StoreKVF16, StoreKVQ8 func(kpage, vpage []byte, k, v []float32, h, pos int)
	AttnF32, AttnF16, AttnQ8          AttnTile

	// Gemm multiplies matrices in training.
	Gemm Gemm
	// Train does the rest of training.
	Train Train

	// Limits measures this core's peaks; nil members are not to be had here.
	Limits Limits
}

// Limits are loops of independent instructions for measuring what one core
// can do. Each does its work n times and returns; the operation counts per n
// are the constants beside the implementations, exposed by Ops.
type Limits struct {
	Read    func(p []byte)                // streams p once with the widest loads
	F32FMA  func(n int)                   // 12 independent chains of f32 FMA
	BF16Dot func(n int)                   // 12 chains of VDPBF16PS (or the like)
	Int8Dot func(n int)                   // 12 chains of VPDPBUSD (or the like)
	Ops     struct{ F32, BF16, Int8 int } // operations (2 per multiply-add) per n
}
