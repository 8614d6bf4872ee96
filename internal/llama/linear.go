package llama

import "github.com/cria-llm/cria/internal/device"

// Linear is the seam through which the model reaches every projection: one or
// more (out, in) matrices that share their input. An adapter (package lora)
// implements it around another Linear; the model does not know which it has.
type Linear interface {
	// Forward: y[i] = x . W[i]^T, shapes (rows, out_i) and (rows, in).
	Forward(d device.Device, y []device.Tensor, x device.Tensor)
	// Backward: dx = sum over i of dy[i] . W[i], overwritten; gradients of those
	// W that learn are added to. x is Forward's input.
	Backward(d device.Trainer, dx device.Tensor, dy []device.Tensor, x device.Tensor)
	// Weights lists the matrices, for counting and freeing.
	Weights() []device.Weight
}

// matrices is the plain Linear.
type matrices []device.Weight

func (m matrices) Forward(d device.Device, y []device.Tensor, x device.Tensor) { d.MatMul(y, x, m) }

func (m matrices) Backward(d device.Trainer, dx device.Tensor, dy []device.Tensor, x device.Tensor) {
	d.MatMulBackward(dx, dy, x, m)
}

func (m matrices) Weights() []device.Weight { return m }
