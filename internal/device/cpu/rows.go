package cpu

import (
	"fmt"

	"github.com/cria-llm/cria/internal/device"
)

// rowOp is an op that treats every row of a batch by itself.
type rowOp int

const (
	opEmbed rowOp = iota
	opRMSNorm
	opAdd
	opGather
	opSwiGLU
	opRoPE
)

// serialElems is the size up to which a row op runs on the caller: waking other
// cores for less costs more than it saves (measured: a dispatch is about 1 µs,
// in which one core does some 8,000 additions).
const serialElems = 16 << 10

// serialElemsOf is the same for ops that take longer per element.
var serialElemsOf = [...]int{
	opEmbed: serialElems / 4, opRMSNorm: serialElems, opAdd: serialElems, opGather: serialElems,
	opSwiGLU: serialElems / 4, opRoPE: serialElems / 2,
}

// rowTask is the running row op.
type rowTask struct {
	d        *Device
	op       rowOp
	y, x, x2 device.Tensor
	w        *weight
	ids      []int32
	eps      float32

	headDim  int
	spans    []device.Span
	cos, sin device.Tensor
	scale    float32

	n, step int // rows in all and per part; elements, of ops that know no rows
}

func (t *rowTask) set(op rowOp, y, x, x2 device.Tensor) {
	t.op, t.y, t.x, t.x2 = op, y, x, x2
}

// runRows runs the prepared row op, in parts where the batch is worth it.
func (d *Device) runRows() {
	t := &d.rows
	t.n = t.y.Rows
	unit := t.y.Cols // elements that stay together
	if t.op == opAdd || t.op == opSwiGLU {
		t.n, unit = t.n*unit, 1
	}
	if t.n == 0 {
		return
	}
	t.step = t.n
	if serial := serialElemsOf[t.op]; t.n*unit > serial {
		t.step = max(1, serial/2/max(1, unit))
	}
	d.pool.Run(t, (t.n+t.step-1)/t.step)
}

// Part does rows (or elements) [part*step, …) of the op.
func (t *rowTask) Part(_, part int) {
	set := t.d.set
	lo := part * t.step
	hi := min(lo+t.step, t.n)
	y := data(t.y)
	n := t.y.Cols
	switch t.op {
	case opEmbed:
		for r := lo; r < hi; r++ {
			t.w.embedRow(y[r*n:(r+1)*n], t.ids[r])
		}
	case opRMSNorm:
		x := data(t.x)
		for r := lo; r < hi; r++ {
			set.RMSNorm(y[r*n:(r+1)*n], x[r*n:(r+1)*n], t.w.f32, t.eps)
		}
	case opAdd:
		set.Add(y[lo:hi], data(t.x)[lo:hi])
	case opGather:
		x := data(t.x)
		for r := lo; r < hi; r++ {
			from := int(t.ids[r])
			copy(y[r*n:(r+1)*n], x[from*n:(from+1)*n])
		}
	case opSwiGLU:
		set.SwiGLU(y[lo:hi], data(t.x)[lo:hi], data(t.x2)[lo:hi])
	case opRoPE:
		t.rope(y, lo, hi)
	}
}

// rope rotates rows [lo, hi) by their positions.
func (t *rowTask) rope(y []float32, lo, hi int) {
	cos, sin := data(t.cos), data(t.sin)
	half := t.headDim / 2
	n := t.y.Cols
	for _, s := range t.spans {
		for r := max(lo, s.Row); r < min(hi, s.Row+s.N); r++ {
			p := s.Pos + r - s.Row
			t.d.set.RoPE(y[r*n:(r+1)*n], t.headDim, cos[p*half:(p+1)*half], sin[p*half:(p+1)*half], t.scale)
		}
	}
}

// RMSNorm: y = x / sqrt(mean(x^2) + eps) * gain.
func (d *Device) RMSNorm(y, x device.Tensor, gain device.Weight, eps float32) {
	w := weightOf(gain)
	mustShape("RMSNorm", y, x)
	if len(w.f32) != x.Cols {
		panic(fmt.Sprintf("cpu: RMSNorm of %d columns with a gain of %d", x.Cols, len(w.f32)))
	}
	d.rows.set(opRMSNorm, y, x, device.Tensor{})
	d.rows.w, d.rows.eps = w, eps
	d.runRows()
}

// Add: y += x.
func (d *Device) Add(y, x device.Tensor) {
	mustShape("Add", y, x)
	d.rows.set(opAdd, y, x, device.Tensor{})
	d.runRows()
}

// Gather: y[i] = x[rows[i]].
func (d *Device) Gather(y, x device.Tensor, rows []int32) {
	if y.Rows != len(rows) || y.Cols != x.Cols {
		panic(fmt.Sprintf("cpu: Gather of %d rows of (%d, %d) into (%d, %d)", len(rows), x.Rows, x.Cols, y.Rows, y.Cols))
	}
	d.rows.set(opGather, y, x, device.Tensor{})
	d.rows.ids = rows
	d.runRows()
}

// SwiGLU: y = silu(gate) * up.
func (d *Device) SwiGLU(y, gate, up device.Tensor) {
	mustShape("SwiGLU", y, gate)
	mustShape("SwiGLU", y, up)
	d.rows.set(opSwiGLU, y, gate, up)
	d.runRows()
}

// RoPE rotates every head of x by its row's position.
func (d *Device) RoPE(x device.Tensor, headDim int, spans []device.Span, cos, sin device.Tensor, scale float32) {
	mustRoPE("RoPE", x, headDim, cos)
	d.rows.set(opRoPE, x, device.Tensor{}, device.Tensor{})
	d.rows.headDim, d.rows.spans, d.rows.cos, d.rows.sin, d.rows.scale = headDim, spans, cos, sin, scale
	d.runRows()
}

func mustRoPE(op string, x device.Tensor, headDim int, cos device.Tensor) {
	if headDim%2 != 0 || x.Cols%headDim != 0 || cos.Cols != headDim/2 {
		panic(fmt.Sprintf("cpu: %s of rows of %d with heads of %d and a table of %d columns", op, x.Cols, headDim, cos.Cols))
	}
}

func mustShape(op string, a, b device.Tensor) {
	if a.Rows != b.Rows || a.Cols != b.Cols {
		panic(fmt.Sprintf("cpu: %s of shapes (%d, %d) and (%d, %d)", op, a.Rows, a.Cols, b.Rows, b.Cols))
	}
}
