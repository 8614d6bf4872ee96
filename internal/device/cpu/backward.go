package cpu

import (
	"fmt"
	"unsafe"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/sys/arena"
)

// growTraining makes the scratch of training whose size no shape changes.
func (d *Device) growTraining() error {
	if err := d.growGemm(); err != nil {
		return err
	}
	if d.scratch[0].scores != nil {
		return nil
	}
	per := 2*attnBlock*attnChunk + 2*attnBlock
	mem, err := d.newArena(4 * per * len(d.scratch))
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
		s := &d.scratch[i]
		s.scores, s.dscores = take(attnBlock*attnChunk), take(attnBlock*attnChunk)
		s.largest, s.total = take(attnBlock), take(attnBlock)
	}
	return nil
}

// buffer is scratch that all workers share and that grows with the shapes of ops.
type buffer struct{ mem *arena.Arena }

// floats returns n floats, whose values are what is left there.
func (b *buffer) floats(d *Device, n int) []float32 {
	if b.mem == nil || len(b.mem.Bytes()) < 4*n {
		mem, err := d.newArena(4 * n)
		if err != nil {
			panic(fmt.Sprintf("cpu: no memory for the scratch of an op: %v", err))
		}
		if b.mem != nil {
			d.freeArena(b.mem)
		}
		b.mem = mem
	}
	return b.mem.Float32s()[:n]
}

// MatMulBackward: dx = sum over i of dy[i] . w[i]; gradients of Params get
// dy[i]^T . x.
func (d *Device) MatMulBackward(dx device.Tensor, dy []device.Tensor, x device.Tensor, w []device.Weight) {
	if len(dy) != len(w) || len(w) == 0 {
		panic(fmt.Sprintf("cpu: MatMulBackward of %d matrices and %d gradients", len(w), len(dy)))
	}
	for i := range w {
		m := weightOf(w[i])
		if m.cols != x.Cols || dy[i].Cols != m.rows || dy[i].Rows != x.Rows {
			panic(fmt.Sprintf("cpu: MatMulBackward of (%d, %d) with a matrix (%d, %d) and a gradient (%d, %d)", x.Rows, x.Cols, m.rows, m.cols, dy[i].Rows, dy[i].Cols))
		}
		if dx.Mem != nil {
			mustShape("MatMulBackward", dx, x)
			d.productBack(matOf(dx), matOf(dy[i]), w[i], i > 0)
		}
		if p, ok := w[i].(*param); ok {
			d.gemmOf(matOf(p.grad), matOf(dy[i]).t(), matOf(x), true, p.bf16)
		}
	}
}

func matOf(t device.Tensor) gemmMat { return dense(data(t), t.Rows, t.Cols) }

// dequantElems is how many elements of a read-only matrix are widened at a time
// for a product with its transpose.
const dequantElems = 1 << 20

// productBack: dx = dy . w, or dx += dy . w.
func (d *Device) productBack(dx, dy gemmMat, h device.Weight, accumulate bool) {
	if p, ok := h.(*param); ok {
		d.gemmOf(dx, dy, matOf(p.value), accumulate, p.bf16)
		return
	}
	t := &d.widenRows
	t.d, t.w = d, h.(*weight)
	unit := d.set.PanelRows
	step := max(1, dequantElems/t.w.cols/unit) * unit
	t.step = max(1, elemStep/t.w.cols/unit) * unit
	wide := d.wide.floats(d, min(step, ceilDiv(t.w.rows, unit)*unit)*t.w.cols)
	for lo := 0; lo < t.w.rows; lo += step {
		n := min(step, t.w.rows-lo)
		t.dst, t.lo, t.n = wide, lo, n
		d.pool.Run(t, ceilDiv(n, t.step))
		part := dy
		part.data, part.cols = dy.data[lo:], n
		d.gemm(dx, part, dense(wide, n, t.w.cols), accumulate || lo > 0)
	}
}

// widenTask writes rows of a weight as f32. Mapped F32 rows are copied, too: a
// product reads its operands outside of parts where it is small, and a mapped file
// may be cut.
type widenTask struct {
	d     *Device
	w     *weight
	dst   []float32
	lo, n int // rows, lo a panel's first
	step  int // rows per part, whole panels
}

func (t *widenTask) Part(worker, part int) {
	w, k := t.w, t.w.cols
	first := part * t.step
	n := min(t.step, t.n-first)
	dst := t.dst[first*k:]
	lo := t.lo + first
	switch {
	case w.f32 != nil:
		copy(dst, w.f32[lo*k:(lo+n)*k])
	case w.u16 != nil:
		b := unsafe.Slice((*byte)(unsafe.Pointer(&w.u16[lo*k])), 2*n*k)
		quant.Dequantize(w.dt, dst[:n*k], b)
	default:
		pr, s := t.d.set.PanelRows, &t.d.scratch[worker]
		for row := 0; row < n; row += pr {
			w.qf.Dequant(dst[row*k:(row+pr)*k], w.panel(s, lo+row, pr), k)
		}
	}
}

// gradTask is the running backward op of those that treat rows or columns by
// themselves.
type gradTask struct {
	d  *Device
	op gradOp
	dx, dy,
	x []float32
	rows, cols int
	step       int // rows or columns per part
	gain, grad []float32
	partial    []float32 // (parts, cols) gradients of the gain
	eps        float32
	ids        []int32

	spans    []device.Span
	cos, sin []float32
	headDim  int
	scale    float32
}

type gradOp int

const (
	gradRMSNorm gradOp = iota
	gradGain
	gradRoPE
	gradEmbed
)

func (t *gradTask) Part(_, part int) {
	train := &t.d.set.Train
	lo := part * t.step
	row := func(x []float32, r int) []float32 { return x[r*t.cols : (r+1)*t.cols] }
	switch t.op {
	case gradRMSNorm:
		var gain []float32
		if t.partial != nil {
			gain = t.partial[part*t.cols : (part+1)*t.cols]
			clear(gain)
		}
		for r := lo; r < min(lo+t.step, t.rows); r++ {
			train.RMSNormBack(row(t.dx, r), gain, row(t.dy, r), row(t.x, r), t.gain, t.eps)
		}
	case gradGain:
		hi := min(lo+t.step, t.cols)
		g := t.grad[lo:hi]
		for at := 0; at < len(t.partial); at += t.cols {
			t.d.set.Add(g, t.partial[at+lo:at+hi])
		}
	case gradRoPE:
		t.rope(lo, min(lo+t.step, t.rows))
	case gradEmbed:
		hi := min(lo+t.step, t.cols)
		for r, id := range t.ids {
			at := int(id) * t.cols
			t.d.set.Add(t.grad[at+lo:at+hi], t.dy[r*t.cols+lo:r*t.cols+hi])
		}
	}
}

// RMSNormBackward adds to dx and to the gradient of a gain that is a Param.
func (d *Device) RMSNormBackward(dx, dy, x device.Tensor, gain device.Weight, eps float32) {
	mustShape("RMSNormBackward", dx, x)
	mustShape("RMSNormBackward", dy, x)
	w := weightOf(gain)
	if len(w.f32) != x.Cols {
		panic(fmt.Sprintf("cpu: RMSNormBackward of %d columns with a gain of %d", x.Cols, len(w.f32)))
	}
	t := &d.grads
	t.d, t.op, t.rows, t.cols, t.eps = d, gradRMSNorm, x.Rows, x.Cols, eps
	t.dx, t.dy, t.x, t.gain = data(dx), data(dy), data(x), w.f32
	t.step = max(1, elemStep/max(1, t.cols))
	parts := ceilDiv(t.rows, t.step)
	p, trained := gain.(*param)
	t.partial = nil
	if trained {
		t.partial = d.gains.floats(d, parts*t.cols)
	}
	d.pool.Run(t, parts)
	if trained {
		t.op, t.grad, t.step = gradGain, data(p.grad), columnStep
		d.pool.Run(t, ceilDiv(t.cols, t.step))
	}
}

// columnStep is how many columns one part treats of ops that add rows up.
const columnStep = 32

// RoPEBackward rotates back, in place.
func (d *Device) RoPEBackward(dx device.Tensor, headDim int, spans []device.Span, cos, sin device.Tensor, scale float32) {
	mustRoPE("RoPEBackward", dx, headDim, cos)
	t := &d.grads
	t.d, t.op, t.rows, t.cols, t.dx = d, gradRoPE, dx.Rows, dx.Cols, data(dx)
	t.headDim, t.spans, t.cos, t.sin, t.scale = headDim, spans, data(cos), data(sin), scale
	t.step = max(1, elemStep/max(1, t.cols))
	d.pool.Run(t, ceilDiv(t.rows, t.step))
}

func (t *gradTask) rope(lo, hi int) {
	half := t.headDim / 2
	for i := range t.spans {
		s := &t.spans[i]
		for r := max(lo, s.Row); r < min(hi, s.Row+s.N); r++ {
			at := (s.Pos + r - s.Row) * half
			t.d.set.Train.RoPEBack(t.dx[r*t.cols:(r+1)*t.cols], t.headDim, t.cos[at:at+half], t.sin[at:at+half], t.scale)
		}
	}
}

// EmbedBackward adds dy[i] to row ids[i] of the table's gradient. Parts are
// columns, so that every row is added to in the order of ids.
func (d *Device) EmbedBackward(table device.Param, dy device.Tensor, ids []int32) {
	p := table.(*param)
	if dy.Rows != len(ids) || dy.Cols != p.cols {
		panic(fmt.Sprintf("cpu: EmbedBackward of %d ids and (%d, %d) into (%d, %d)", len(ids), dy.Rows, dy.Cols, p.rows, p.cols))
	}
	t := &d.grads
	t.d, t.op, t.cols, t.step = d, gradEmbed, p.cols, columnStep
	t.dy, t.grad, t.ids = data(dy), data(p.grad), ids
	d.pool.Run(t, ceilDiv(t.cols, t.step))
}
