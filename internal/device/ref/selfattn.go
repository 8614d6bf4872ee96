package ref

import (
	"math"

	"github.com/cria-llm/cria/internal/device"
)

// visible returns which rows of its span row r of the span sees: [lo, r]. Where lo
// is beyond r it sees none.
func visible(s *device.Span) (lo int) { return max(0, s.Lo-s.Pos) }

// SelfAttention: y = softmax(q k^T) v within spans. A row that sees nothing, or is
// in no span, has y = 0.
func (d *Device[T]) SelfAttention(y, lse, q, k, v device.Tensor, headDim int, spans []device.Span) {
	clear(Data[T](y))
	clear(Data[T](lse))
	heads, group := q.Cols/headDim, q.Cols/k.Cols
	score := make([]T, q.Rows)
	for i := range spans {
		s := &spans[i]
		lo := visible(s)
		for r := lo; r < s.N; r++ {
			for h := range heads {
				qh := head[T](q, s.Row+r, h, headDim)
				best := T(math.Inf(-1))
				for j := lo; j <= r; j++ {
					score[j] = dot(qh, head[T](k, s.Row+j, h/group, headDim))
					best = max(best, score[j])
				}
				var sum T
				for _, v := range score[lo : r+1] {
					sum += exp(v - best)
				}
				l := best + T(math.Log(float64(sum)))
				row[T](lse, s.Row+r)[h] = l
				out := head[T](y, s.Row+r, h, headDim)
				for j := lo; j <= r; j++ {
					axpy(out, exp(score[j]-l), head[T](v, s.Row+j, h/group, headDim))
				}
			}
		}
	}
}

// SelfAttentionBackward: p = exp(q k^T - lse), dv = p^T dy, dp = dy v^T,
// ds = p*(dp - dy.y), dq = ds k, dk = ds^T q (arXiv 2205.14135, appendix B.2).
func (d *Device[T]) SelfAttentionBackward(dq, dk, dv, dy, y, lse, q, k, v device.Tensor, headDim int, spans []device.Span) {
	clear(Data[T](dq))
	clear(Data[T](dk))
	clear(Data[T](dv))
	heads, group := q.Cols/headDim, q.Cols/k.Cols
	for i := range spans {
		s := &spans[i]
		lo := visible(s)
		for r := lo; r < s.N; r++ {
			for h := range heads {
				at := s.Row + r
				qh, up := head[T](q, at, h, headDim), head[T](dy, at, h, headDim)
				mean := dot(up, head[T](y, at, h, headDim))
				for j := lo; j <= r; j++ {
					from := s.Row + j
					kh := head[T](k, from, h/group, headDim)
					p := exp(dot(qh, kh) - row[T](lse, at)[h])
					ds := p * (dot(up, head[T](v, from, h/group, headDim)) - mean)
					axpy(head[T](dv, from, h/group, headDim), p, up)
					axpy(head[T](dq, at, h, headDim), ds, kh)
					axpy(head[T](dk, from, h/group, headDim), ds, qh)
				}
			}
		}
	}
}

// head returns head h of row r.
func head[T Float](t device.Tensor, r, h, headDim int) []T {
	return row[T](t, r)[h*headDim : (h+1)*headDim]
}

func dot[T Float](a, b []T) (sum T) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// axpy: y += f*x.
func axpy[T Float](y []T, f T, x []T) {
	for i, v := range x {
		y[i] += f * v
	}
}

func exp[T Float](x T) T { return T(math.Exp(float64(x))) }
