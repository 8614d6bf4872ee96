package ref

import (
	"math"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/tensor"
)

// param is a parameter: a weight whose values change, and a gradient beside it.
type param[T Float] struct {
	weight[T]
	grad []T
}

// Value is the tensor of p's values.
func (p *param[T]) Value() device.Tensor { return p.tensor(p.v) }

// Grad is the tensor of p's gradient.
func (p *param[T]) Grad() device.Tensor { return p.tensor(p.grad) }

func (p *param[T]) tensor(v []T) device.Tensor {
	return device.Tensor{Mem: &memory[T]{v}, Rows: p.rows, Cols: p.cols}
}

// NewParam makes a zeroed parameter. Products are computed in T, whatever was
// asked for.
func (d *Device[T]) NewParam(rows, cols int, _ tensor.DType) (device.Param, error) {
	w := weight[T]{tensor.F32, rows, cols, make([]T, rows*cols)}
	return &param[T]{w, make([]T, rows*cols)}, nil
}

// FreeParam leaves the parameter to the collector.
func (d *Device[T]) FreeParam(device.Param) {}

// UploadParam writes a parameter's values.
func (d *Device[T]) UploadParam(p device.Param, values []float32) { d.Upload(p.Value(), values) }

// Frozen is the parameter's values as a weight.
func (d *Device[T]) Frozen(p device.Param) device.Weight { return &p.(*param[T]).weight }

// Zero: x = 0.
func (d *Device[T]) Zero(x device.Tensor) { clear(Data[T](x)) }

// Copy: y = x.
func (d *Device[T]) Copy(y, x device.Tensor) { copy(Data[T](y), Data[T](x)) }

// Lerp: y += t*(x-y).
func (d *Device[T]) Lerp(y, x device.Tensor, t float32) {
	out := Data[T](y)
	for i, v := range Data[T](x) {
		out[i] += T(t) * (v - out[i])
	}
}

// SumSquares returns the sum of squares.
func (d *Device[T]) SumSquares(x device.Tensor) float64 {
	var sum float64
	for _, v := range Data[T](x) {
		sum += float64(v) * float64(v)
	}
	return sum
}

// AdamW updates p (arXiv 1711.05101, algorithm 2, with its schedule multiplier in
// the learning rate) and clears its gradient.
func (d *Device[T]) AdamW(p device.Param, m, v device.Tensor, s device.AdamWStep) {
	x, grad, mean, square := Data[T](p.Value()), Data[T](p.Grad()), Data[T](m), Data[T](v)
	for i := range x {
		g := grad[i] * T(s.GradScale)
		mean[i] = T(s.Beta1)*mean[i] + (1-T(s.Beta1))*g
		square[i] = T(s.Beta2)*square[i] + (1-T(s.Beta2))*g*g
		m, v := mean[i]/T(s.Correction1), square[i]/T(s.Correction2)
		x[i] -= T(s.LR) * (m/(T(math.Sqrt(float64(v)))+T(s.Eps)) + T(s.WeightDecay)*x[i])
	}
	clear(grad)
}
