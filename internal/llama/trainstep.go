package llama

import (
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/device"
)

// TrainBatch is a set of rows to learn from: whole sequences, one after the
// other.
type TrainBatch struct {
	Tokens []int32
	// Targets are the ids to be predicted at each row; -1 is none.
	Targets []int32
	// Weights multiply the rows' losses; nil is 1 for all.
	Weights []float32
	// Spans cover the rows in order, without gaps. Rows see the rows of their own
	// span only: one span per document isolates documents, one span per sequence
	// does not. Pages are not used.
	Spans []device.Span
	// ZLoss is the factor of the squared log-sum-exp (arXiv 2204.02311, section
	// 5); 0 is none.
	ZLoss float32
}

// Loss is a batch's loss in sums over its rows, so that those of several batches
// add up.
type Loss struct {
	NLL    float64 // nats, weighted
	Z      float64 // z-loss, its factor included
	Tokens int     // rows with a target and a weight
}

// Add adds another batch's loss.
func (l *Loss) Add(o Loss) {
	l.NLL += o.NLL
	l.Z += o.Z
	l.Tokens += o.Tokens
}

// Mean is the loss per trained token without the z-loss.
func (l Loss) Mean() float64 { return l.NLL / float64(l.Tokens) }

// Learn adds the gradients of the batch's summed loss to those of the parameters.
// Divide by the number of trained tokens of all batches of an optimiser step
// (device.AdamWStep.GradScale): then one large batch and its pieces are the same.
func (m *TrainModel) Learn(b *TrainBatch) (Loss, error) {
	if err := m.check(b); err != nil {
		return Loss{}, err
	}
	d := m.dev
	d.Begin()
	hidden := m.forward(b)
	n := len(b.Tokens)
	out := device.LogProbs{LogProb: m.logProb.Slice(0, n), LSE: m.lse.Slice(0, n)}
	weights := m.batchWeights(b)
	dhidden := m.dnorm.Slice(0, n)
	d.CrossEntropy(out, dhidden, hidden, m.head.Weights()[0], b.Targets, weights, b.ZLoss)
	m.backward(b, dhidden)
	loss := m.sum(b, out, weights)
	return loss, d.End()
}

// Loss computes the batch's loss and no gradients.
func (m *TrainModel) Loss(b *TrainBatch) (Loss, error) {
	if err := m.check(b); err != nil {
		return Loss{}, err
	}
	d := m.dev
	d.Begin()
	hidden := m.forward(b)
	n := len(b.Tokens)
	out := device.LogProbs{LogProb: m.logProb.Slice(0, n), LSE: m.lse.Slice(0, n)}
	d.TokenLogProbs(out, hidden, m.head.Weights()[0], b.Targets)
	loss := m.sum(b, out, m.batchWeights(b))
	return loss, d.End()
}

func (m *TrainModel) batchWeights(b *TrainBatch) []float32 {
	if b.Weights != nil {
		return b.Weights
	}
	return m.weights[:len(b.Tokens)]
}

// sum adds the rows' losses up, in their order.
func (m *TrainModel) sum(b *TrainBatch, out device.LogProbs, weights []float32) (l Loss) {
	n := len(b.Tokens)
	logProb, lse := m.host[0][:n], m.host[1][:n]
	m.dev.Download(logProb, out.LogProb)
	m.dev.Download(lse, out.LSE)
	for i, t := range b.Targets {
		if w := float64(weights[i]); t >= 0 && w != 0 {
			l.NLL -= w * float64(logProb[i])
			l.Z += w * float64(b.ZLoss) * float64(lse[i]) * float64(lse[i])
			l.Tokens++
		}
	}
	return l
}

// check refuses a batch that would read or write where it must not.
func (m *TrainModel) check(b *TrainBatch) error {
	n := len(b.Tokens)
	switch {
	case n == 0 || n > m.rows:
		return fmt.Errorf("llama: a batch of %d rows; the model was made for 1 to %d", n, m.rows)
	case len(b.Targets) != n:
		return fmt.Errorf("llama: %d tokens and %d targets", n, len(b.Targets))
	case b.Weights != nil && len(b.Weights) != n:
		return fmt.Errorf("llama: %d tokens and %d weights", n, len(b.Weights))
	}
	for i := range n {
		if t := b.Tokens[i]; t < 0 || int(t) >= m.Config.VocabSize {
			return fmt.Errorf("llama: token id %d at row %d: the model has ids 0 to %d", t, i, m.Config.VocabSize-1)
		}
		if t := b.Targets[i]; t < -1 || int(t) >= m.Config.VocabSize {
			return fmt.Errorf("llama: target %d at row %d: the model has ids 0 to %d, and -1 is no target", t, i, m.Config.VocabSize-1)
		}
	}
	row := 0
	for i, s := range b.Spans {
		if s.Row != row || s.N <= 0 || s.Pos < 0 || s.Lo < 0 || s.Lo > s.Pos {
			return fmt.Errorf("llama: span %d (row %d, %d rows, position %d, visible from %d) does not continue row %d, or does not see its first row", i, s.Row, s.N, s.Pos, s.Lo, row)
		}
		if end := s.Pos + s.N; end > m.Context {
			return fmt.Errorf("llama: position %d is beyond the context of %d tokens", end-1, m.Context)
		}
		row += s.N
	}
	if row != n {
		return fmt.Errorf("llama: %d tokens, but the spans cover %d rows", n, row)
	}
	return nil
}

// forward computes the hidden states that the head reads, (rows, Dim), in
// m.norm, and keeps what backward needs.
func (m *TrainModel) forward(b *TrainBatch) device.Tensor {
	n, d := len(b.Tokens), m.dev
	for i := range b.Spans {
		m.rope.grow(d, b.Spans[i].Pos+b.Spans[i].N)
	}
	d.Embed(m.stream[0].Slice(0, n), m.embed, b.Tokens)
	for i := range m.layers {
		a := m.kept[i].slice(n)
		m.toGateUp(i, &a, b.Spans)
		act, out := m.act.Slice(0, n), m.stream[i+1].Slice(0, n)
		d.SwiGLU(act, a.gate, a.up)
		m.one[0] = out
		m.layers[i].down.Forward(d, m.one[:1], act)
		d.Add(out, a.mid)
	}
	hidden := m.norm.Slice(0, n)
	d.RMSNorm(hidden, m.stream[len(m.layers)].Slice(0, n), m.outNorm, m.Config.NormEps)
	return hidden
}

// toGateUp computes a layer from its input to gate and up.
func (m *TrainModel) toGateUp(i int, a *activations, spans []device.Span) {
	c, d, l := &m.Config, m.dev, &m.layers[i]
	n := a.q.Rows
	in, norm := m.stream[i].Slice(0, n), m.norm.Slice(0, n)
	d.RMSNorm(norm, in, l.attnNorm, c.NormEps)
	m.three = [3]device.Tensor{a.q, a.k, a.v}
	l.qkv.Forward(d, m.three[:], norm)
	d.RoPE(a.q, c.HeadDim, spans, m.rope.cos, m.rope.sin, c.attnScale())
	d.RoPE(a.k, c.HeadDim, spans, m.rope.cos, m.rope.sin, 1)
	d.SelfAttention(a.att, a.lse, a.q, a.k, a.v, c.HeadDim, spans)
	m.one[0] = a.mid
	l.wo.Forward(d, m.one[:1], a.att)
	d.Add(a.mid, in)
	d.RMSNorm(norm, a.mid, l.ffnNorm, c.NormEps)
	m.two = [2]device.Tensor{a.gate, a.up}
	l.gateUp.Forward(d, m.two[:], norm)
}

// backward adds the gradients of all parameters but the head's, which whoever
// made dhidden has added.
func (m *TrainModel) backward(b *TrainBatch, dhidden device.Tensor) {
	n, d, c := len(b.Tokens), m.dev, &m.Config
	last := len(m.layers) - 1
	dx := m.dx.Slice(0, n)
	d.Zero(dx)
	d.RMSNormBackward(dx, dhidden, m.stream[last+1].Slice(0, n), m.outNorm, c.NormEps)
	checkpointing := last > 0 && m.kept[0].q.Mem == m.kept[last].q.Mem
	for i := last; i >= 0; i-- {
		a := m.kept[i].slice(n)
		if checkpointing && i < last { // forward has left the last layer's there
			m.toGateUp(i, &a, b.Spans)
		}
		m.layerBackward(i, dx, &a, b.Spans)
	}
	d.EmbedBackward(m.embed, dx, b.Tokens)
}

// layerBackward turns dx, the gradient of a layer's result, into that of its
// input.
func (m *TrainModel) layerBackward(i int, dx device.Tensor, a *activations, spans []device.Span) {
	c, d, l := &m.Config, m.dev, &m.layers[i]
	n := dx.Rows
	norm, dnorm, act, dact := m.norm.Slice(0, n), m.dnorm.Slice(0, n), m.act.Slice(0, n), m.dact.Slice(0, n)
	datt, dq, dk, dv := m.datt.Slice(0, n), m.dq.Slice(0, n), m.dk.Slice(0, n), m.dv.Slice(0, n)

	// x = mid + down(silu(gate) * up)
	d.SwiGLU(act, a.gate, a.up)
	m.one[0] = dx
	l.down.Backward(d, dact, m.one[:1], act)
	d.SwiGLUBackward(a.gate, a.up, dact, a.gate, a.up)
	d.RMSNorm(norm, a.mid, l.ffnNorm, c.NormEps)
	m.two = [2]device.Tensor{a.gate, a.up}
	l.gateUp.Backward(d, dnorm, m.two[:], norm)
	d.RMSNormBackward(dx, dnorm, a.mid, l.ffnNorm, c.NormEps)

	// mid = in + wo(attention(q, k, v))
	in := m.stream[i].Slice(0, n)
	m.one[0] = dx
	l.wo.Backward(d, datt, m.one[:1], a.att)
	d.SelfAttentionBackward(dq, dk, dv, datt, a.att, a.lse, a.q, a.k, a.v, c.HeadDim, spans)
	d.RoPEBackward(dq, c.HeadDim, spans, m.rope.cos, m.rope.sin, c.attnScale())
	d.RoPEBackward(dk, c.HeadDim, spans, m.rope.cos, m.rope.sin, 1)
	d.RMSNorm(norm, in, l.attnNorm, c.NormEps)
	m.three = [3]device.Tensor{dq, dk, dv}
	l.qkv.Backward(d, dnorm, m.three[:], norm)
	d.RMSNormBackward(dx, dnorm, in, l.attnNorm, c.NormEps)
}

// slice returns the first n rows.
func (a activations) slice(n int) activations {
	for _, t := range []*device.Tensor{&a.q, &a.k, &a.v, &a.att, &a.lse, &a.mid, &a.gate, &a.up} {
		*t = t.Slice(0, n)
	}
	return a
}

// attnScale is the softmax's 1/sqrt(HeadDim), which the queries carry.
func (c *Config) attnScale() float32 { return float32(1 / math.Sqrt(float64(c.HeadDim))) }
