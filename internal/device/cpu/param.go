package cpu

import (
	"fmt"
	"unsafe"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/tensor"
)

// param is a trainable matrix or vector. It is the F32 weight of its own values,
// for ops that only read them, and Frozen is a pointer to that weight.
type param struct {
	weight
	value, grad device.Tensor
	bf16        bool // its products, forward and backward, are of bfloat16
}

// Value is the tensor of p's values.
func (p *param) Value() device.Tensor { return p.value }

// Grad is the tensor of p's gradient.
func (p *param) Grad() device.Tensor { return p.grad }

// weightOf is the weight that a handle names: a loaded one, or the values of a
// parameter.
func weightOf(w device.Weight) *weight {
	if p, ok := w.(*param); ok {
		return &p.weight
	}
	return w.(*weight)
}

// NewParam makes a zeroed parameter with a zeroed gradient. There is no shadow of
// bfloat16: values are rounded as a product packs them. Attention is computed in
// f32.
func (d *Device) NewParam(rows, cols int, products tensor.DType) (device.Param, error) {
	if products != tensor.F32 && products != tensor.BF16 {
		return nil, fmt.Errorf("cpu: a parameter with products in %s; f32 and bf16 are possible", products)
	}
	if err := d.growTraining(); err != nil {
		return nil, err
	}
	value, err := d.Tensor(rows, cols)
	if err != nil {
		return nil, err
	}
	grad, err := d.Tensor(rows, cols)
	if err != nil {
		d.Free(value)
		return nil, err
	}
	p := &param{weight{dt: tensor.F32, rows: rows, cols: cols, f32: data(value)}, value, grad,
		products == tensor.BF16 && d.set.Gemm.BF16 != nil}
	if n := len(p.f32); n > 0 {
		p.table = unsafe.Slice((*byte)(unsafe.Pointer(&p.f32[0])), 4*n)
	}
	return p, nil
}

// FreeParam gives a parameter's memory back.
func (d *Device) FreeParam(h device.Param) {
	p := h.(*param)
	d.Free(p.value)
	d.Free(p.grad)
	*p = param{}
}

// UploadParam writes a parameter's values.
func (d *Device) UploadParam(p device.Param, values []float32) { d.Upload(p.Value(), values) }

// Frozen is the parameter as a weight for inference.
func (d *Device) Frozen(p device.Param) device.Weight { return &p.(*param).weight }

// elemOp is an op on the elements of tensors of one shape.
type elemOp int

const (
	opZero elemOp = iota
	opCopy
	opLerp
	opSwiGLUBackward
	opAdamW
	opSumSquares
)

// elemStep is how many elements one part of an op on elements treats: long enough
// that taking it costs nothing. Sums are made per part, so it is a constant.
const elemStep = 16 << 10

// elemTask is the running op on elements.
type elemTask struct {
	d    *Device
	op   elemOp
	n    int
	x    [5][]float32
	t    float32
	adam kernel.AdamW
	sums []float64 // per part
}

// runElems runs an op on all elements of its tensors.
func (d *Device) runElems(op elemOp, x ...device.Tensor) {
	t := &d.elems
	t.d, t.op = d, op
	for i := range x {
		mustShape("an op on elements", x[0], x[i])
		t.x[i] = data(x[i])
	}
	t.n = len(t.x[0])
	d.pool.Run(t, ceilDiv(t.n, elemStep))
}

func (t *elemTask) Part(_, part int) {
	train := &t.d.set.Train
	lo := part * elemStep
	hi := min(lo+elemStep, t.n)
	x := t.x[0][lo:hi]
	of := func(i int) []float32 { return t.x[i][lo:hi] }
	switch t.op {
	case opZero:
		clear(x)
	case opCopy:
		copy(x, of(1))
	case opLerp:
		train.Lerp(x, of(1), t.t)
	case opSwiGLUBackward:
		train.SwiGLUBack(x, of(1), of(2), of(3), of(4))
	case opAdamW:
		train.AdamW(x, of(1), of(2), of(3), &t.adam)
	case opSumSquares:
		t.sums[part] = train.SumSquares(x)
	}
}

// Zero: x = 0.
func (d *Device) Zero(x device.Tensor) { d.runElems(opZero, x) }

// Copy: y = x.
func (d *Device) Copy(y, x device.Tensor) { d.runElems(opCopy, y, x) }

// Lerp: y += t*(x-y).
func (d *Device) Lerp(y, x device.Tensor, t float32) {
	d.elems.t = t
	d.runElems(opLerp, y, x)
}

// SwiGLUBackward overwrites dgate and dup.
func (d *Device) SwiGLUBackward(dgate, dup, dy, gate, up device.Tensor) {
	d.runElems(opSwiGLUBackward, dgate, dup, dy, gate, up)
}

// AdamW updates p and sets its gradient to zero.
func (d *Device) AdamW(h device.Param, m, v device.Tensor, s device.AdamWStep) {
	p := h.(*param)
	d.elems.adam = kernel.NewAdamW(s.LR, s.Beta1, s.Beta2, s.Eps, s.WeightDecay, s.Correction1, s.Correction2, s.GradScale)
	d.runElems(opAdamW, p.value, p.grad, m, v)
}

// SumSquares returns the sum of squares of all elements.
func (d *Device) SumSquares(x device.Tensor) float64 {
	t := &d.elems
	parts := ceilDiv(x.Rows*x.Cols, elemStep)
	for len(t.sums) < parts {
		t.sums = append(t.sums, 0)
	}
	d.runElems(opSumSquares, x)
	var sum float64
	for _, s := range t.sums[:parts] {
		sum += s
	}
	return sum
}
