package ref

import (
	"math"

	"github.com/cria-llm/cria/internal/device"
)

// logits computes one row's logits.
func logits[T Float](out, hidden []T, head *weight[T]) {
	for j := range out {
		out[j] = dot(hidden, head.v[j*head.cols:(j+1)*head.cols])
	}
}

// logSumExp returns the logarithm of the sum of exponentials.
func logSumExp[T Float](x []T) T {
	best := T(math.Inf(-1))
	for _, v := range x {
		best = max(best, v)
	}
	var sum T
	for _, v := range x {
		sum += exp(v - best)
	}
	return best + T(math.Log(float64(sum)))
}

// put sets element r of a column, unless it is not wanted.
func put[T Float](t device.Tensor, r int, v T) {
	if t.Mem != nil {
		Data[T](t)[r] = v
	}
}

// get returns element r of a column, or 0 where there is none.
func get[T Float](t device.Tensor, r int) T {
	if t.Mem == nil {
		return 0
	}
	return Data[T](t)[r]
}

// TokenLogProbs computes every row's log-probability of its target, entropy and
// log-sum-exp.
func (d *Device[T]) TokenLogProbs(out device.LogProbs, hidden device.Tensor, head device.Weight, targets []int32) {
	w := weightOf[T](head)
	l := make([]T, w.rows)
	for r := range hidden.Rows {
		logits(l, row[T](hidden, r), w)
		lse := logSumExp(l)
		put[T](out.LSE, r, lse)
		put[T](out.LogProb, r, 0)
		if t := targets[r]; t >= 0 {
			put[T](out.LogProb, r, l[t]-lse)
		}
		var entropy T
		for _, v := range l {
			entropy -= exp(v-lse) * (v - lse)
		}
		put[T](out.Entropy, r, entropy)
	}
}

// TokenLogProbsBackward: with the probabilities p and the entropy h, the gradient
// of logit j is
//
//	dlogprob*(1[j = target] - p[j]) - dentropy*p[j]*(log p[j] + h) + dlse*p[j]
func (d *Device[T]) TokenLogProbsBackward(dhidden device.Tensor, g device.LogProbGrads, out device.LogProbs, hidden device.Tensor, head device.Weight, targets []int32) {
	w := weightOf[T](head)
	l := make([]T, w.rows)
	for r := range hidden.Rows {
		logits(l, row[T](hidden, r), w)
		lse := get[T](out.LSE, r)
		for j, v := range l {
			p := exp(v - lse)
			l[j] = get[T](g.LSE, r) * p
			if g.Entropy.Mem != nil {
				l[j] -= get[T](g.Entropy, r) * p * (v - lse + get[T](out.Entropy, r))
			}
			if t := int(targets[r]); t >= 0 {
				l[j] -= get[T](g.LogProb, r) * p
				if j == t {
					l[j] += get[T](g.LogProb, r)
				}
			}
		}
		headBackward(row[T](dhidden, r), l, row[T](hidden, r), head)
	}
}

// headBackward: dhidden = dlogits . head; the gradient of a head that is a Param
// gets dlogits^T . hidden.
func headBackward[T Float](dhidden, dlogits, hidden []T, head device.Weight) {
	w := weightOf[T](head)
	clear(dhidden)
	p, trained := head.(*param[T])
	for j, g := range dlogits {
		axpy(dhidden, g, w.v[j*w.cols:(j+1)*w.cols])
		if trained {
			axpy(p.grad[j*w.cols:(j+1)*w.cols], g, hidden)
		}
	}
}

// CrossEntropy computes out, and the gradients of the sum over rows of
// weights[i] * (-logprob[i] + zLoss*lse[i]^2). Rows that do not contribute have
// 0 everywhere.
func (d *Device[T]) CrossEntropy(out device.LogProbs, dhidden, hidden device.Tensor, head device.Weight, targets []int32, weights []float32, zLoss float32) {
	w := weightOf[T](head)
	l := make([]T, w.rows)
	for r := range hidden.Rows {
		put[T](out.LogProb, r, 0)
		put[T](out.LSE, r, 0)
		if targets[r] < 0 || weights[r] == 0 {
			clear(row[T](dhidden, r))
			continue
		}
		logits(l, row[T](hidden, r), w)
		lse := logSumExp(l)
		put[T](out.LogProb, r, l[targets[r]]-lse)
		put[T](out.LSE, r, lse)
		for j, v := range l {
			l[j] = T(weights[r]) * (1 + 2*T(zLoss)*lse) * exp(v-lse)
		}
		l[targets[r]] -= T(weights[r])
		headBackward(row[T](dhidden, r), l, row[T](hidden, r), head)
	}
}
