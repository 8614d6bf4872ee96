package ref

import (
	"math"

	"github.com/cria-llm/cria/internal/device"
)

// MatMulBackward: dx = sum over i of dy[i] . w[i]; gradients of Params get
// dy[i]^T . x.
func (d *Device[T]) MatMulBackward(dx device.Tensor, dy []device.Tensor, x device.Tensor, w []device.Weight) {
	if dx.Mem != nil {
		clear(Data[T](dx))
	}
	for i := range w {
		m := weightOf[T](w[i])
		p, trained := w[i].(*param[T])
		for r := range x.Rows {
			for o, g := range row[T](dy[i], r) {
				at := o * m.cols
				if dx.Mem != nil {
					axpy(row[T](dx, r), g, m.v[at:at+m.cols])
				}
				if trained {
					axpy(p.grad[at:at+m.cols], g, row[T](x, r))
				}
			}
		}
	}
}

// RMSNormBackward: with n = x / sqrt(mean(x^2) + eps), the gain's gradient gets
// dy*n, and dx gets (dy*gain - n * mean(dy*gain*n)) / sqrt(mean(x^2) + eps).
func (d *Device[T]) RMSNormBackward(dx, dy, x device.Tensor, gain device.Weight, eps float32) {
	g := weightOf[T](gain).v
	p, trained := gain.(*param[T])
	for r := range x.Rows {
		in, up, out := row[T](x, r), row[T](dy, r), row[T](dx, r)
		n := T(len(in))
		var sum, dot T
		for i, v := range in {
			sum += v * v
			dot += up[i] * g[i] * v
		}
		inv := T(1 / math.Sqrt(float64(sum/n+T(eps))))
		for i, v := range in {
			if trained {
				p.grad[i] += up[i] * v * inv
			}
			out[i] += (up[i]*g[i] - v*inv*inv*dot/n) * inv
		}
	}
}

// SwiGLUBackward: silu'(g) = s(g) * (1 + g*(1 - s(g))), s being the logistic
// function.
func (d *Device[T]) SwiGLUBackward(dgate, dup, dy, gate, up device.Tensor) {
	dg, du, g, u := Data[T](dgate), Data[T](dup), Data[T](gate), Data[T](up)
	for i, v := range Data[T](dy) {
		s := 1 / (1 + T(math.Exp(-float64(g[i]))))
		dg[i], du[i] = v*u[i]*s*(1+g[i]*(1-s)), v*g[i]*s
	}
}

// RoPEBackward rotates back.
func (d *Device[T]) RoPEBackward(dx device.Tensor, headDim int, spans []device.Span, cos, sin device.Tensor, scale float32) {
	for _, s := range spans {
		for r := range s.N {
			v := row[T](dx, s.Row+r)
			c, sn := row[T](cos, s.Pos+r), row[T](sin, s.Pos+r)
			for i := 0; i < len(v); i += 2 {
				j := i % headDim / 2
				a, b := v[i], v[i+1]
				v[i] = (a*c[j] + b*sn[j]) * T(scale)
				v[i+1] = (b*c[j] - a*sn[j]) * T(scale)
			}
		}
	}
}

// EmbedBackward adds dy[i] to row ids[i] of the gradient.
func (d *Device[T]) EmbedBackward(table device.Param, dy device.Tensor, ids []int32) {
	p := table.(*param[T])
	for i, id := range ids {
		for j, v := range row[T](dy, i) {
			p.grad[int(id)*p.cols+j] += v
		}
	}
}
