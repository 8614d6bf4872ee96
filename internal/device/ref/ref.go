// Package ref is the plain device: one thread, rows in file order, every
// formula written out as in the papers. It is the oracle of the fast devices,
// the float64 device of gradient checks, and the proof that the model does not
// know what computes it.
package ref

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// Float is the arithmetic of a reference device.
type Float interface{ float32 | float64 }

// Device computes everything in T. Weights are decoded once; activations are
// not quantised, so block-quantised models differ from fast devices by the
// rounding of their activations.
type Device[T Float] struct{}

// New makes a reference device.
func New[T Float]() *Device[T] { return &Device[T]{} }

var (
	_ device.Trainer = (*Device[float32])(nil)
	_ device.Trainer = (*Device[float64])(nil)
)

type memory[T Float] struct{ v []T }

func (m *memory[T]) Bytes() int { return size[T](len(m.v)) }

// size is the number of bytes of n elements.
func size[T Float](n int) int { return n * int(unsafe.Sizeof(T(0))) }

type weight[T Float] struct {
	dt         tensor.DType
	rows, cols int
	v          []T
}

func (w *weight[T]) DType() tensor.DType { return w.dt }
func (w *weight[T]) Shape() (int, int)   { return w.rows, w.cols }
func (w *weight[T]) Bytes() int          { return w.rows * w.dt.RowBytes(w.cols) }

// weightOf is what a device.Weight of this device is: a weight, or the values of a
// parameter.
func weightOf[T Float](w device.Weight) *weight[T] {
	if p, ok := w.(*param[T]); ok {
		return &p.weight
	}
	return w.(*weight[T])
}

// Name returns the device's name.
func (d *Device[T]) Name() string { return fmt.Sprintf("reference (%T)", T(0)) }

// Tensor allocates a zeroed tensor.
func (d *Device[T]) Tensor(rows, cols int) (device.Tensor, error) {
	return device.Tensor{Mem: &memory[T]{make([]T, rows*cols)}, Rows: rows, Cols: cols}, nil
}

// Free leaves the tensor to the collector.
func (d *Device[T]) Free(device.Tensor) {}

// Data returns a tensor's elements themselves: gradient checks change single ones
// in T's precision.
func Data[T Float](t device.Tensor) []T {
	return t.Mem.(*memory[T]).v[t.Off : t.Off+t.Rows*t.Cols]
}

func row[T Float](t device.Tensor, r int) []T {
	return Data[T](t)[r*t.Cols : (r+1)*t.Cols]
}

// Upload copies host values to a tensor.
func (d *Device[T]) Upload(dst device.Tensor, src []float32) {
	for i, v := range src {
		Data[T](dst)[i] = T(v)
	}
}

// Download copies a tensor to the host, rounding to f32.
func (d *Device[T]) Download(dst []float32, src device.Tensor) {
	for i, v := range Data[T](src) {
		dst[i] = float32(v)
	}
}

// Load decodes a matrix.
func (d *Device[T]) Load(src device.RowSource) (device.Weight, error) {
	rows, cols := src.Shape()
	w := &weight[T]{src.DType(), rows, cols, make([]T, rows*cols)}
	enc := make([]byte, w.dt.RowBytes(cols))
	dec := make([]float32, cols)
	for r := range rows {
		if err := src.ReadRows(enc, r, 1); err != nil {
			return nil, err
		}
		quant.Dequantize(w.dt, dec, enc)
		for i, v := range dec {
			w.v[r*cols+i] = T(v)
		}
	}
	return w, nil
}

// LoadTable decodes an embedding table.
func (d *Device[T]) LoadTable(src device.RowSource) (device.Weight, error) { return d.Load(src) }

// FreeWeight leaves the weight to the collector.
func (d *Device[T]) FreeWeight(device.Weight) {}

// Begin does nothing: ops run as they are called.
func (d *Device[T]) Begin() {}

// End returns nil: ops cannot fault.
func (d *Device[T]) End() error { return nil }

// Close does nothing.
func (d *Device[T]) Close() error { return nil }

// Embed: y[i] = table[ids[i]].
func (d *Device[T]) Embed(y device.Tensor, table device.Weight, ids []int32) {
	w := weightOf[T](table)
	for i, id := range ids {
		copy(row[T](y, i), w.v[int(id)*w.cols:(int(id)+1)*w.cols])
	}
}

// RMSNorm: y = x / sqrt(mean(x^2) + eps) * gain (arXiv 1910.07467, equation 4).
func (d *Device[T]) RMSNorm(y, x device.Tensor, gain device.Weight, eps float32) {
	g := weightOf[T](gain).v
	for r := range x.Rows {
		in, out := row[T](x, r), row[T](y, r)
		var sum T
		for _, v := range in {
			sum += v * v
		}
		inv := T(1 / math.Sqrt(float64(sum/T(len(in))+T(eps))))
		for i, v := range in {
			out[i] = v * inv * g[i]
		}
	}
}

// MatMul: y[i] = x . w[i]^T.
func (d *Device[T]) MatMul(y []device.Tensor, x device.Tensor, w []device.Weight) {
	for i := range w {
		m := weightOf[T](w[i])
		for r := range x.Rows {
			in, out := row[T](x, r), row[T](y[i], r)
			for o := range out {
				var sum T
				for j, v := range m.v[o*m.cols : (o+1)*m.cols] {
					sum += v * in[j]
				}
				out[o] = sum
			}
		}
	}
}

// Add: y += x.
func (d *Device[T]) Add(y, x device.Tensor) {
	for i, v := range Data[T](x) {
		Data[T](y)[i] += v
	}
}

// Gather: y[i] = x[rows[i]].
func (d *Device[T]) Gather(y, x device.Tensor, rows []int32) {
	for i, r := range rows {
		copy(row[T](y, i), row[T](x, int(r)))
	}
}

// SwiGLU: y = silu(gate) * up (arXiv 2002.05202, equation 6).
func (d *Device[T]) SwiGLU(y, gate, up device.Tensor) {
	g, u, out := Data[T](gate), Data[T](up), Data[T](y)
	for i := range out {
		out[i] = g[i] / (1 + T(math.Exp(-float64(g[i])))) * u[i]
	}
}

// RoPE rotates the interleaved pairs of every head (arXiv 2104.09864, section
// 3.4.2).
func (d *Device[T]) RoPE(x device.Tensor, headDim int, spans []device.Span, cos, sin device.Tensor, scale float32) {
	for _, s := range spans {
		for r := range s.N {
			v := row[T](x, s.Row+r)
			c, sn := row[T](cos, s.Pos+r), row[T](sin, s.Pos+r)
			for i := 0; i < len(v); i += 2 {
				j := i % headDim / 2
				a, b := v[i], v[i+1]
				v[i] = (a*c[j] - b*sn[j]) * T(scale)
				v[i+1] = (a*sn[j] + b*c[j]) * T(scale)
			}
		}
	}
}
