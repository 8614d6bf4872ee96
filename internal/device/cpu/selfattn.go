package cpu

import (
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/device"
)

const (
	// attnBlock is how many queries one part of SelfAttention treats, and how
	// many the backward op holds scores of at a time.
	attnBlock = 96
	// attnChunk is how many keys meet a block of queries at once, and how many
	// queries and keys one part of the backward op treats.
	attnChunk = 256
)

// selfTask is the running SelfAttention or its backward.
type selfTask struct {
	d            *Device
	back         bool
	y, lse, q    []float32
	k, v         []float32
	dq, dk, dv   []float32
	dy           []float32
	heads, group int // query heads, and of them those that share a KV head
	headDim      int
	spans        []device.Span
	first        []int // first piece of each span, then the total
	perPiece     int   // parts for a piece: heads, or KV heads
	wave         int
}

// SelfAttention: y = softmax(q k^T) v within spans, block by block with a running
// softmax (arXiv 2205.14135, algorithm 1).
func (d *Device) SelfAttention(y, lse, q, k, v device.Tensor, headDim int, spans []device.Span) {
	t := &d.self
	t.prepare(d, y, lse, q, k, v, headDim, spans)
	if !covered(spans, q.Rows) {
		clear(t.y)
		clear(t.lse)
	}
	t.back, t.perPiece = false, t.heads
	t.cut(func(n int) int { return ceilDiv(n, attnBlock) })
	t.run()
}

// SelfAttentionBackward overwrites dq, dk and dv.
//
// A span is cut into chunks. The chunk of queries i meets the chunk of keys j in
// wave i-j, so that in one wave no two parts add to the same rows, and every row
// is added to in one order, whoever computes.
func (d *Device) SelfAttentionBackward(dq, dk, dv, dy, y, lse, q, k, v device.Tensor, headDim int, spans []device.Span) {
	mustShape("SelfAttentionBackward", dq, q)
	mustShape("SelfAttentionBackward", dy, q)
	mustShape("SelfAttentionBackward", dk, k)
	mustShape("SelfAttentionBackward", dv, v)
	t := &d.self
	t.prepare(d, y, lse, q, k, v, headDim, spans)
	t.dq, t.dk, t.dv, t.dy = data(dq), data(dk), data(dv), data(dy)
	if !covered(spans, q.Rows) {
		clear(t.dq)
		clear(t.dk)
		clear(t.dv)
	}
	t.back, t.perPiece = true, t.heads/t.group
	for t.wave = 0; ; t.wave++ {
		t.cut(func(n int) int { return max(0, ceilDiv(n, attnChunk)-t.wave) })
		if t.first[len(spans)] == 0 {
			return
		}
		t.run()
	}
}

// prepare checks the shapes that both ops share.
func (t *selfTask) prepare(d *Device, y, lse, q, k, v device.Tensor, headDim int, spans []device.Span) {
	mustShape("SelfAttention", y, q)
	mustShape("SelfAttention", v, k)
	if headDim < 1 || k.Cols == 0 || k.Cols%headDim != 0 || q.Cols%k.Cols != 0 || k.Rows != q.Rows ||
		lse.Rows != q.Rows || lse.Cols*headDim != q.Cols {
		panic(fmt.Sprintf("cpu: SelfAttention with heads of %d of q (%d, %d), k (%d, %d) and lse (%d, %d)", headDim, q.Rows, q.Cols, k.Rows, k.Cols, lse.Rows, lse.Cols))
	}
	for i := range spans {
		if s := &spans[i]; s.Row < 0 || s.N < 0 || s.Row+s.N > q.Rows {
			panic(fmt.Sprintf("cpu: SelfAttention of span %d, rows %d to %d of %d", i, s.Row, s.Row+s.N-1, q.Rows))
		}
	}
	if err := d.growTraining(); err != nil {
		panic(fmt.Sprintf("cpu: no memory for attention: %v", err))
	}
	t.d, t.headDim, t.spans = d, headDim, spans
	t.y, t.lse, t.q, t.k, t.v = data(y), data(lse), data(q), data(k), data(v)
	t.heads, t.group = q.Cols/headDim, q.Cols/k.Cols
}

// covered says whether spans, which do not overlap, have all rows.
func covered(spans []device.Span, rows int) bool {
	for i := range spans {
		rows -= spans[i].N
	}
	return rows == 0
}

// cut numbers the pieces of spans of n rows.
func (t *selfTask) cut(pieces func(n int) int) {
	t.first = t.first[:0]
	n := 0
	for i := range t.spans {
		t.first = append(t.first, n)
		n += pieces(t.spans[i].N)
	}
	t.first = append(t.first, n)
}

func (t *selfTask) run() { t.d.pool.Run(t, t.first[len(t.spans)]*t.perPiece) }

// Part computes one piece for one head. The last pieces of a span see the most
// and come first, so that the workers end with short ones.
func (t *selfTask) Part(worker, part int) {
	w := &t.d.scratch[worker]
	part = t.first[len(t.spans)]*t.perPiece - 1 - part
	piece, head := part/t.perPiece, part%t.perPiece
	lo, hi := 0, len(t.spans)-1
	for lo < hi { // the last span whose first piece is not beyond
		mid := (lo + hi + 1) / 2
		if t.first[mid] <= piece {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	s := &t.spans[lo]
	piece -= t.first[lo]
	if t.back {
		t.backward(w, s, piece, head)
	} else {
		t.forward(w, s, piece*attnBlock, head)
	}
}

// visible is the first row of a span that is seen, and the first that sees any.
func visible(s *device.Span) int { return max(0, s.Lo-s.Pos) }

// rowsOf is a head's rows [from, to) of a span.
func (t *selfTask) rowsOf(x []float32, s *device.Span, head, heads, from, to int) gemmMat {
	ld := heads * t.headDim
	return gemmMat{data: x[(s.Row+from)*ld+head*t.headDim:], rows: to - from, cols: t.headDim, ld: ld}
}

func (m *gemmMat) row(i int) []float32 { return m.data[i*m.ld : i*m.ld+m.cols] }

// forward computes rows from..from+attnBlock of one head.
func (t *selfTask) forward(w *workerScratch, s *device.Span, from, head int) {
	to, lo := min(from+attnBlock, s.N), visible(s)
	for r := from; r < min(lo, to); r++ { // these see nothing
		y := t.rowsOf(t.y, s, head, t.heads, r, r+1)
		clear(y.row(0))
		t.lse[(s.Row+r)*t.heads+head] = 0
	}
	from = max(from, lo)
	if from >= to {
		return
	}
	kvHeads := t.heads / t.group
	largest, total := w.largest[:to-from], w.total[:to-from]
	for i := range total {
		total[i] = 0
	}
	y := t.rowsOf(t.y, s, head, t.heads, from, to)
	for k0 := lo; k0 < to; k0 += attnChunk {
		k1, first := min(k0+attnChunk, to), max(from, k0)
		q := t.rowsOf(t.q, s, head, t.heads, first, to)
		k := t.rowsOf(t.k, s, head/t.group, kvHeads, k0, k1)
		v := t.rowsOf(t.v, s, head/t.group, kvHeads, k0, k1)
		p := dense(w.scores, to-first, k1-k0)
		t.d.gemmOne(&w.gemm, p, q, k.t(), false)
		for r := first; r < to; r++ {
			row, seen := p.row(r-first), min(k1, r+1)-k0
			clear(row[seen:])
			t.add(&largest[r-from], &total[r-from], row[:seen], y.row(r-from))
		}
		t.d.gemmOne(&w.gemm, t.rowsOf(t.y, s, head, t.heads, first, to), p, v, k0 > lo)
	}
	for i := range total {
		t.d.set.Scale(y.row(i), y.row(i), 1/total[i])
		t.lse[(s.Row+from+i)*t.heads+head] = largest[i] + float32(math.Log(float64(total[i])))
	}
}

// add turns more scores of a row, at least one, into factors of values, and
// rescales what the row has already added up.
func (t *selfTask) add(largest, total *float32, scores, y []float32) {
	best, sum := t.d.set.Train.ExpMax(scores)
	switch {
	case *total == 0:
		*largest, *total = best, sum
	case best > *largest:
		old := float32(math.Exp(float64(*largest - best)))
		t.d.set.Scale(y, y, old)
		*largest, *total = best, *total*old+sum
	default:
		f := float32(math.Exp(float64(best - *largest)))
		t.d.set.Scale(scores, scores, f)
		*total += sum * f
	}
}

// backward computes what the queries of chunk piece+wave and the keys of chunk
// piece give each other's gradients, for all heads of a KV head.
func (t *selfTask) backward(w *workerScratch, s *device.Span, piece, kvHead int) {
	kvHeads := t.heads / t.group
	k0, q0 := piece*attnChunk, (piece+t.wave)*attnChunk
	k1, q1 := min(k0+attnChunk, s.N), min(q0+attnChunk, s.N)
	if t.wave == 0 {
		for r := k0; r < k1; r++ {
			dk := t.rowsOf(t.dk, s, kvHead, kvHeads, r, r+1)
			dv := t.rowsOf(t.dv, s, kvHead, kvHeads, r, r+1)
			clear(dk.row(0))
			clear(dv.row(0))
			at := (s.Row+r)*t.heads + kvHead*t.group
			clear(t.dq[at*t.headDim : (at+t.group)*t.headDim])
		}
	}
	k0, q0 = max(k0, visible(s)), max(q0, visible(s))
	for head := kvHead * t.group; head < (kvHead+1)*t.group; head++ {
		for from := q0; from < q1; from += attnBlock {
			to := min(from+attnBlock, q1)
			if end := min(k1, to); k0 < end {
				t.backwardBlock(w, s, head, from, to, k0, end)
			}
		}
	}
}

// backwardBlock does this for queries [from, to) of one head and keys [k0, k1).
func (t *selfTask) backwardBlock(w *workerScratch, s *device.Span, head, from, to, k0, k1 int) {
	kvHead, kvHeads := head/t.group, t.heads/t.group
	q := t.rowsOf(t.q, s, head, t.heads, from, to)
	y := t.rowsOf(t.y, s, head, t.heads, from, to)
	dy := t.rowsOf(t.dy, s, head, t.heads, from, to)
	k := t.rowsOf(t.k, s, kvHead, kvHeads, k0, k1)
	v := t.rowsOf(t.v, s, kvHead, kvHeads, k0, k1)
	p, dp := dense(w.scores, to-from, k1-k0), dense(w.dscores, to-from, k1-k0)
	t.d.gemmOne(&w.gemm, p, q, k.t(), false)
	t.d.gemmOne(&w.gemm, dp, dy, v.t(), false)
	train := &t.d.set.Train
	for r := from; r < to; r++ {
		i, seen := r-from, max(0, min(k1, r+1)-k0)
		pr, dr := p.row(i), dp.row(i)
		train.ExpSub(pr[:seen], pr[:seen], t.lse[(s.Row+r)*t.heads+head])
		train.SoftmaxBack(dr[:seen], pr[:seen], train.Dot(dy.row(i), y.row(i)))
		clear(pr[seen:])
		clear(dr[seen:])
	}
	dk := t.rowsOf(t.dk, s, kvHead, kvHeads, k0, k1)
	dv := t.rowsOf(t.dv, s, kvHead, kvHeads, k0, k1)
	t.d.gemmOne(&w.gemm, dv, p.t(), dy, true)
	t.d.gemmOne(&w.gemm, dk, dp.t(), q, true)
	t.d.gemmOne(&w.gemm, t.rowsOf(t.dq, s, head, t.heads, from, to), dp, k, true)
}
