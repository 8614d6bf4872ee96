package cpu

import "fmt"

// gemmMat is a matrix in memory: element (i, j) of the (rows, cols) that are
// stored is data[i*ld+j]. With trans set the operand is its transpose, of shape
// (cols, rows).
type gemmMat struct {
	data       []float32
	rows, cols int
	ld         int
	trans      bool
}

// shape is the operand's.
func (m gemmMat) shape() (rows, cols int) {
	if m.trans {
		return m.cols, m.rows
	}
	return m.rows, m.cols
}

// t is the transpose of m.
func (m gemmMat) t() gemmMat {
	m.trans = !m.trans
	return m
}

// dense is a row-major matrix without gaps.
func dense(data []float32, rows, cols int) gemmMat {
	return gemmMat{data: data, rows: rows, cols: cols, ld: cols}
}

// gemmScratch is what one worker needs for products of its own.
type gemmScratch struct{}

// gemmTask is the running product of a whole pool.
type gemmTask struct {
	d          *Device
	c, a, b    gemmMat
	accumulate bool
	step       int
}

// gemmPartFLOPs bounds a part to well under the millisecond that a kernel call
// may last.
const gemmPartFLOPs = 30e6

// gemm computes c = a . b, or c += a . b with accumulate, on all workers. c is
// not transposed and does not overlap a and b. The bits of the result depend on
// the shapes alone.
func (d *Device) gemm(c, a, b gemmMat, accumulate bool) {
	k := mustGemm(c, a, b)
	t := &d.gemms
	t.d, t.c, t.a, t.b, t.accumulate = d, c, a, b, accumulate
	t.step = min(c.rows, max(1, int(gemmPartFLOPs/(2*float64(c.cols)*float64(max(1, k))+1))))
	if c.rows > 0 {
		d.pool.Run(t, (c.rows+t.step-1)/t.step)
	}
}

// Part computes some rows of c.
func (t *gemmTask) Part(worker, part int) {
	lo := part * t.step
	hi := min(lo+t.step, t.c.rows)
	c, a := t.c, t.a
	c.data, c.rows = c.data[lo*c.ld:], hi-lo
	if a.trans {
		a.data, a.cols = a.data[lo:], hi-lo
	} else {
		a.data, a.rows = a.data[lo*a.ld:], hi-lo
	}
	t.d.gemmOne(&t.d.scratch[worker].gemm, c, a, t.b, t.accumulate)
}

// gemmOne is gemm on the calling worker, whose scratch s is: inside of a part of
// another op, such as attention with one part per head.
func (d *Device) gemmOne(s *gemmScratch, c, a, b gemmMat, accumulate bool) {
	k := mustGemm(c, a, b)
	at := func(m gemmMat, i, j int) float32 {
		if m.trans {
			i, j = j, i
		}
		return m.data[i*m.ld+j]
	}
	for i := range c.rows {
		y := c.data[i*c.ld : i*c.ld+c.cols]
		if !accumulate {
			clear(y)
		}
		for l := range k {
			f := at(a, i, l)
			if !b.trans {
				for j, v := range b.data[l*b.ld : l*b.ld+len(y)] {
					y[j] += float32(f * v)
				}
				continue
			}
			for j := range y {
				y[j] += float32(f * b.data[j*b.ld+l])
			}
		}
	}
}

// mustGemm returns the length of the sums.
func mustGemm(c, a, b gemmMat) int {
	m, k := a.shape()
	k2, n := b.shape()
	if c.trans || c.rows != m || c.cols != n || k != k2 {
		cm, cn := c.shape()
		panic(fmt.Sprintf("cpu: product of (%d, %d) and (%d, %d) into (%d, %d)", m, k, k2, n, cm, cn))
	}
	return k
}
