package modelfile

import (
	"fmt"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/tensor"
)

// permuted gives the rows of a rotary matrix in the other order of pairs.
//
// Within a head, Meta's code and GGUF rotate the pair of rows (2i, 2i+1);
// transformers rotates (i, i+half). Row 2i+s of the one is row s*half+i of the
// other.
type permuted struct {
	device.RowSource
	headDim       int
	toInterleaved bool // from HF's order to ours; else the reverse
}

// from returns the source's row that is ours.
func (p *permuted) from(row int) int {
	head, r, half := row/p.headDim, row%p.headDim, p.headDim/2
	if p.toInterleaved {
		r = r%2*half + r/2
	} else {
		r = r%half*2 + r/half
	}
	return head*p.headDim + r
}

func (p *permuted) Mapped() []byte { return nil }

func (p *permuted) ReadRows(dst []byte, row, n int) error {
	_, cols := p.Shape()
	size := p.DType().RowBytes(cols)
	for i := range n {
		if err := p.RowSource.ReadRows(dst[i*size:(i+1)*size], p.from(row+i), 1); err != nil {
			return err
		}
	}
	return nil
}

// Release gives back the heads that end in the range: rows of one head are read
// in an order of their own. Releasing one that another reader is in the middle
// of costs time and nothing else.
func (p *permuted) Release(row, n int) {
	first, end := row/p.headDim, (row+n)/p.headDim
	p.RowSource.Release(first*p.headDim, (end-first)*p.headDim)
}

// joined is a tensor that shards hold in slices of equal shape.
type joined struct {
	name  string
	parts []device.RowSource
	split split // splitRows or splitCols
}

func (j *joined) Name() string        { return j.name }
func (j *joined) DType() tensor.DType { return j.parts[0].DType() }
func (j *joined) Mapped() []byte      { return nil }

func (j *joined) Shape() (rows, cols int) {
	rows, cols = j.parts[0].Shape()
	if j.split == splitRows {
		return rows * len(j.parts), cols
	}
	return rows, cols * len(j.parts)
}

func (j *joined) ReadRows(dst []byte, row, n int) error {
	rows, cols := j.parts[0].Shape()
	size := j.DType().RowBytes(cols)
	if j.split == splitCols {
		for i := range n {
			for _, p := range j.parts {
				if err := p.ReadRows(dst[:size], row+i, 1); err != nil {
					return err
				}
				dst = dst[size:]
			}
		}
		return nil
	}
	return j.each(row, n, func(part device.RowSource, row, n int) error {
		err := part.ReadRows(dst[:n*size], row, n)
		dst = dst[n*size:]
		return err
	}, rows)
}

func (j *joined) Release(row, n int) {
	if j.split == splitCols {
		for _, p := range j.parts {
			p.Release(row, n)
		}
		return
	}
	rows, _ := j.parts[0].Shape()
	_ = j.each(row, n, func(part device.RowSource, row, n int) error {
		part.Release(row, n)
		return nil
	}, rows)
}

// each calls f for the pieces of [row, row+n) that lie in parts of so many rows.
func (j *joined) each(row, n int, f func(part device.RowSource, row, n int) error, rows int) error {
	for n > 0 {
		at := row % rows
		m := min(n, rows-at)
		if err := f(j.parts[row/rows], at, m); err != nil {
			return err
		}
		row, n = row+m, n-m
	}
	return nil
}

// shapeString prints a shape as PyTorch does.
func shapeString(dims []int) string {
	s := "("
	for i, d := range dims {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(d)
	}
	return s + ")"
}
