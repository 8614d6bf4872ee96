package cpu

import (
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/device"
)

// The logits of at most headRows rows exist at a time, and at most logitElems of
// them, 64 MiB: every chunk of rows reads and writes the gradient of the whole
// head (measured, vocabulary 32,000: 32 MiB cost 6% of a step).
const (
	headRows   = 1024
	logitElems = 16 << 20
)

// headTask makes values and gradients of the logits of a chunk of rows.
type headTask struct {
	d      *Device
	op     headOp
	logits []float32 // (rows, vocab)
	rows   []int32   // which they are of the op's tensors
	vocab  int
	step   int // rows per part

	out     device.LogProbs
	grads   device.LogProbGrads
	targets []int32
	weights []float32
	zLoss   float32

	picked []int32 // all rows of the op that are computed
}

type headOp int

const (
	headValues headOp = iota
	headGrads
	headLoss
)

// TokenLogProbs computes out, a chunk of rows by the whole vocabulary at a time.
func (d *Device) TokenLogProbs(out device.LogProbs, hidden device.Tensor, head device.Weight, targets []int32) {
	t := &d.heads
	t.prepare(d, headValues, out, hidden, head, targets)
	t.chunks(device.Tensor{}, hidden, head)
}

// TokenLogProbsBackward overwrites dhidden and adds to head's gradient.
func (d *Device) TokenLogProbsBackward(dhidden device.Tensor, g device.LogProbGrads, out device.LogProbs, hidden device.Tensor, head device.Weight, targets []int32) {
	mustShape("TokenLogProbsBackward", dhidden, hidden)
	if out.LSE.Mem == nil || g.Entropy.Mem != nil && out.Entropy.Mem == nil {
		panic("cpu: TokenLogProbsBackward without the log-sum-exp, or the entropy, that TokenLogProbs gave")
	}
	t := &d.heads
	t.prepare(d, headGrads, out, hidden, head, targets)
	t.grads = g
	t.chunks(dhidden, hidden, head)
}

// CrossEntropy computes out and the gradients of the loss, making logits once.
func (d *Device) CrossEntropy(out device.LogProbs, dhidden, hidden device.Tensor, head device.Weight, targets []int32, weights []float32, zLoss float32) {
	mustShape("CrossEntropy", dhidden, hidden)
	if len(weights) != hidden.Rows {
		panic(fmt.Sprintf("cpu: CrossEntropy of %d rows with %d weights", hidden.Rows, len(weights)))
	}
	t := &d.heads
	t.weights, t.zLoss = weights, zLoss
	t.prepare(d, headLoss, out, hidden, head, targets)
	t.chunks(dhidden, hidden, head)
}

// prepare checks shapes and picks the rows that are to be computed.
func (t *headTask) prepare(d *Device, op headOp, out device.LogProbs, hidden device.Tensor, head device.Weight, targets []int32) {
	vocab, dim := head.Shape()
	if dim != hidden.Cols || len(targets) != hidden.Rows {
		panic(fmt.Sprintf("cpu: log-probabilities of hidden states (%d, %d) with a head (%d, %d) and %d targets", hidden.Rows, hidden.Cols, vocab, dim, len(targets)))
	}
	t.d, t.op, t.out, t.targets, t.vocab = d, op, out, targets, vocab
	t.picked = t.picked[:0]
	for r, target := range targets {
		if target < -1 || int(target) >= vocab {
			panic(fmt.Sprintf("cpu: target %d at row %d with a vocabulary of %d", target, r, vocab))
		}
		if op == headLoss && (target < 0 || t.weights[r] == 0) {
			put(out.LogProb, int32(r), 0)
			put(out.LSE, int32(r), 0)
			continue
		}
		t.picked = append(t.picked, int32(r))
	}
}

// chunks computes the picked rows. dhidden.Mem is nil where no gradients are
// wanted.
func (t *headTask) chunks(dhidden, hidden device.Tensor, head device.Weight) {
	d := t.d
	if dhidden.Mem != nil && len(t.picked) < hidden.Rows {
		d.Zero(dhidden)
	}
	most := min(headRows, max(1, logitElems/t.vocab))
	logits := d.logits.floats(d, min(most, hidden.Rows)*t.vocab)
	t.step = max(1, elemStep/t.vocab)
	for lo := 0; lo < len(t.picked); lo += most {
		t.rows = t.picked[lo:min(lo+most, len(t.picked))]
		n := len(t.rows)
		t.logits = logits[:n*t.vocab]
		x := t.gather(hidden)
		l := dense(t.logits, n, t.vocab)
		if p, ok := head.(*param); ok {
			d.gemmOf(l, x, matOf(p.value).t(), false, p.bf16)
		} else {
			t.frozenLogits(x, head.(*weight))
		}
		d.pool.Run(t, ceilDiv(n, t.step))
		if dhidden.Mem == nil {
			continue
		}
		t.scatter(dhidden, l, head)
		if p, ok := head.(*param); ok {
			d.gemmOf(matOf(p.grad), l.t(), x, true, p.bf16)
		}
	}
}

// frozenLogits computes the chunk's logits with a read-only head, a micro-batch at
// a time.
func (t *headTask) frozenLogits(x gemmMat, head *weight) {
	m := &t.d.mm
	m.n, m.w[0], m.k = 1, head, x.cols
	for lo := 0; lo < x.rows; lo += MaxRows {
		m.rows = min(MaxRows, x.rows-lo)
		m.y[0] = t.logits[lo*t.vocab : (lo+m.rows)*t.vocab]
		m.x = x.data[lo*x.ld : (lo+m.rows)*x.ld]
		t.d.product()
	}
}

// contiguous says whether the chunk's rows follow each other.
func (t *headTask) contiguous() bool {
	n := len(t.rows)
	return int(t.rows[n-1]-t.rows[0]) == n-1
}

// gather gives the chunk's rows of x, where they are or copied.
func (t *headTask) gather(x device.Tensor) gemmMat {
	n, first := len(t.rows), int(t.rows[0])
	if t.contiguous() {
		return matOf(x.Slice(first, first+n))
	}
	m := dense(t.d.hidden.floats(t.d, 2*headRows*x.Cols), n, x.Cols)
	for i, r := range t.rows {
		copy(m.row(i), data(x)[int(r)*x.Cols:])
	}
	return m
}

// scatter computes the chunk's rows of dhidden from the gradients of its logits.
func (t *headTask) scatter(dhidden device.Tensor, l gemmMat, head device.Weight) {
	n, cols, first := len(t.rows), dhidden.Cols, int(t.rows[0])
	if t.contiguous() {
		t.d.productBack(matOf(dhidden.Slice(first, first+n)), l, head, false)
		return
	}
	m := dense(t.d.hidden.floats(t.d, 2*headRows*cols)[headRows*cols:], n, cols)
	t.d.productBack(m, l, head, false)
	for i, r := range t.rows {
		copy(data(dhidden)[int(r)*cols:(int(r)+1)*cols], m.row(i))
	}
}

// Part treats some rows of the chunk.
func (t *headTask) Part(_, part int) {
	for i := part * t.step; i < min((part+1)*t.step, len(t.rows)); i++ {
		l := t.logits[i*t.vocab : (i+1)*t.vocab]
		switch r := t.rows[i]; t.op {
		case headValues:
			t.values(l, r)
		case headGrads:
			t.gradients(l, r)
		case headLoss:
			t.loss(l, r)
		}
	}
}

// values computes one row of out.
func (t *headTask) values(l []float32, r int32) {
	lse, entropy := t.d.set.Train.LogSumExp(l)
	put(t.out.LSE, r, lse)
	put(t.out.Entropy, r, entropy)
	put(t.out.LogProb, r, 0)
	if target := t.targets[r]; target >= 0 {
		put(t.out.LogProb, r, l[target]-lse)
	}
}

// gradients turns one row of logits into their gradients; device/ref has the
// formula.
func (t *headTask) gradients(l []float32, r int32) {
	var dlogprob float32
	target := t.targets[r]
	if target >= 0 {
		dlogprob = get(t.grads.LogProb, r)
	}
	a, b := get(t.grads.LSE, r)-dlogprob, float32(0)
	if t.grads.Entropy.Mem != nil {
		b = -get(t.grads.Entropy, r)
		a += b * get(t.out.Entropy, r)
	}
	t.d.set.Train.ProbGrad(l, get(t.out.LSE, r), a, b)
	if target >= 0 {
		l[target] += dlogprob
	}
}

// loss computes one row of out and turns its logits into the loss's gradients.
func (t *headTask) loss(l []float32, r int32) {
	target := t.targets[r]
	logit := l[target]
	best, sum := t.d.set.Train.ExpMax(l)
	log := math.Log(float64(sum))
	lse, w := float64(best)+log, float64(t.weights[r])
	put(t.out.LSE, r, float32(lse))
	put(t.out.LogProb, r, float32(float64(logit-best)-log))
	t.d.set.Scale(l, l, float32(w*(1+2*float64(t.zLoss)*lse)/float64(sum)))
	l[target] -= float32(w)
}

// put sets element r of a column, unless it is not wanted.
func put(t device.Tensor, r int32, v float32) {
	if t.Mem != nil {
		data(t)[r] = v
	}
}

// get is element r of a column, or 0 where there is none.
func get(t device.Tensor, r int32) float32 {
	if t.Mem == nil {
		return 0
	}
	return data(t)[r]
}
