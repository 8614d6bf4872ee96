package cpu

import (
	"fmt"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/tensor"
)

// maxShared is how many matrices may share one input in one op: q, k and v.
const maxShared = 4

// vecPartBytes is how much of a matrix one part of a product with few rows
// reads: long enough that taking the part costs nothing, short enough that the
// workers end together.
const vecPartBytes = 128 << 10

// matPartFLOPs bounds a part of a product with many rows to well under the
// millisecond that a kernel call may last.
const matPartFLOPs = 30e6

// matMulTask is one product of a micro-batch with up to maxShared matrices.
type matMulTask struct {
	d     *Device
	n     int // matrices
	y     [maxShared][]float32
	w     [maxShared]*weight
	first [maxShared + 1]int // first part of each matrix
	step  [maxShared]int     // matrix rows per part

	x    []float32
	rows int // activation rows
	k    int
}

// quantTask quantises activation rows.
type quantTask struct {
	d       *Device
	x       []float32
	k, rows int
	use32   bool
	use256  bool
	perPart int
}

func (t *quantTask) Part(_, part int) {
	lo := part * t.perPart
	hi := min(lo+t.perPart, t.rows)
	if t.use32 {
		t.d.set.QuantizeAct32(&t.d.act32, t.x, t.k, lo, hi)
	}
	if t.use256 {
		t.d.set.QuantizeAct256(&t.d.act256, t.x, t.k, lo, hi)
	}
}

// MatMul: y[i] = x . w[i]^T.
func (d *Device) MatMul(y []device.Tensor, x device.Tensor, w []device.Weight) {
	if len(y) != len(w) || len(w) == 0 || len(w) > maxShared {
		panic(fmt.Sprintf("cpu: MatMul of %d matrices into %d results", len(w), len(y)))
	}
	params := false
	for i := range w {
		wi := weightOf(w[i])
		if wi.cols != x.Cols || y[i].Cols != wi.rows || y[i].Rows != x.Rows {
			panic(fmt.Sprintf("cpu: MatMul of (%d, %d) with a matrix (%d, %d) into (%d, %d)", x.Rows, x.Cols, wi.rows, wi.cols, y[i].Rows, y[i].Cols))
		}
		_, p := w[i].(*param)
		params = params || p
	}
	if !params {
		d.products(y, x, w)
		return
	}
	for i := range w {
		if p, ok := w[i].(*param); ok {
			d.gemmOf(matOf(y[i]), matOf(x), matOf(p.value).t(), false, p.bf16)
		} else {
			d.products(y[i:i+1], x, w[i:i+1])
		}
	}
}

// products is MatMul of read-only weights, a micro-batch at a time.
func (d *Device) products(y []device.Tensor, x device.Tensor, w []device.Weight) {
	for lo := 0; lo < x.Rows; lo += MaxRows {
		hi := min(lo+MaxRows, x.Rows)
		for i := range w {
			d.mm.y[i] = data(y[i].Slice(lo, hi))
			d.mm.w[i] = w[i].(*weight)
		}
		d.mm.n = len(w)
		d.mm.x, d.mm.rows, d.mm.k = data(x.Slice(lo, hi)), hi-lo, x.Cols
		d.product()
	}
}

// product runs the prepared micro-batch.
func (d *Device) product() {
	t := &d.mm
	q := &d.quant
	q.use32, q.use256 = false, false
	parts := 0
	for i := 0; i < t.n; i++ {
		w := t.w[i]
		switch w.dt.BlockElems() {
		case 32:
			q.use32 = true
		case 256:
			q.use256 = true
		}
		t.first[i] = parts
		t.step[i] = d.rowsPerPart(w, t.rows)
		parts += (w.rows + t.step[i] - 1) / t.step[i]
	}
	t.first[t.n] = parts
	if q.use32 || q.use256 {
		q.x, q.k, q.rows = t.x, t.k, t.rows
		d.act32.K, d.act32.Rows = t.k, t.rows
		d.act256.K, d.act256.Rows = t.k, t.rows
		q.perPart = max(1, serialElems/t.k)
		d.pool.Run(q, (t.rows+q.perPart-1)/q.perPart)
	}
	d.pool.Run(t, parts)
}

// rowsPerPart cuts a matrix by its shape and the number of activation rows
// alone, so that results do not depend on the number of workers.
func (d *Device) rowsPerPart(w *weight, cols int) int {
	unit := 4 // rows that the float kernels take together
	if w.qf != nil {
		unit = d.set.PanelRows
	}
	rb := w.dt.RowBytes(w.cols)
	step := vecPartBytes / rb
	if cols > smallCols {
		step = int(matPartFLOPs / (2 * float64(cols) * float64(w.cols)))
	}
	// At least eight parts where the matrix has rows for them, so that two or
	// three workers end together on small models too.
	step = min(step, w.rows/8)
	return max(unit, step/unit*unit)
}

// smallCols is the number of activation rows up to which a product is bound by
// reading the matrix.
const smallCols = 8

// Part computes some rows of one matrix for all activation rows.
func (t *matMulTask) Part(worker, part int) {
	i := 0
	for part >= t.first[i+1] {
		i++
	}
	w := t.w[i]
	lo := (part - t.first[i]) * t.step[i]
	hi := min(lo+t.step[i], w.rows)
	if w.qf != nil {
		t.quantPart(&t.d.scratch[worker], w, t.y[i], lo, hi)
		return
	}
	set := t.d.set
	y := t.y[i][lo:]
	switch w.dt {
	case tensor.F32:
		set.MatF32(y, w.rows, w.f32[lo*t.k:hi*t.k], t.k, t.x, t.k, hi-lo, t.rows, t.k)
	case tensor.F16:
		set.MatF16(y, w.rows, w.u16[lo*t.k:hi*t.k], t.k, t.x, t.k, hi-lo, t.rows, t.k)
	case tensor.BF16:
		set.MatBF16(y, w.rows, w.u16[lo*t.k:hi*t.k], t.k, t.x, t.k, hi-lo, t.rows, t.k)
	}
}

// quantPart computes matrix rows [lo, hi), lo a panel's first row.
func (t *matMulTask) quantPart(s *workerScratch, w *weight, y []float32, lo, hi int) {
	pr := t.d.set.PanelRows
	rb := w.dt.RowBytes(w.cols)
	act := &t.d.act32
	if w.dt.BlockElems() == 256 {
		act = &t.d.act256
	}
	whole := (hi - lo) / pr
	first := lo + whole*pr // of the last panel, where it is padded
	if w.rowsIn == nil {
		if whole > 0 {
			t.panels(s, w, act, y[lo:], w.rows, w.panels[lo*rb:first*rb], whole)
		}
	} else {
		for row := lo; row < first; row += pr {
			t.panels(s, w, act, y[row:], w.rows, w.panel(s, row, pr), 1)
		}
	}
	if first < hi {
		// Its outputs beyond the matrix go nowhere.
		t.panels(s, w, act, s.column, pr, w.panel(s, first, pr), 1)
		for c := 0; c < t.rows; c++ {
			copy(y[c*w.rows+first:c*w.rows+hi], s.column[c*pr:])
		}
	}
}

// panel returns one panel, packed now where the matrix stays mapped.
func (w *weight) panel(s *workerScratch, row, pr int) []byte {
	rb := w.dt.RowBytes(w.cols)
	if w.rowsIn == nil {
		return w.panels[row*rb : (row+pr)*rb]
	}
	n := min(pr, w.rows-row)
	p := s.packed[:pr*rb]
	w.qf.Pack(p, w.rowsIn[row*rb:(row+n)*rb], n, w.cols)
	return p
}

// panels multiplies whole panels with all activation rows; y[c*ldy+r].
func (t *matMulTask) panels(s *workerScratch, w *weight, act *kernel.Act, y []float32, ldy int, panels []byte, n int) {
	f := w.qf
	switch {
	case t.rows == 1 && f.Vec != nil:
		f.Vec(y, panels, n, act, 0)
	case f.Small != nil && t.rows <= f.MaxSmall:
		f.Small(y, ldy, panels, n, act, 0, t.rows)
	default:
		pr := t.d.set.PanelRows
		pb := len(panels) / n
		for p := 0; p < n; p++ {
			f.Unpack(&s.unpacked, panels[p*pb:(p+1)*pb], t.k)
			f.Mat(y[p*pr:], ldy, &s.unpacked, act, 0, t.rows)
		}
	}
}
