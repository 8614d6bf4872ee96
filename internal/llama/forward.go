package llama

import (
	"fmt"

	"github.com/cria-llm/cria/internal/device"
)

// Batch is a set of rows to compute, each one token of some sequence.
type Batch struct {
	Tokens []int32
	// Spans cover the rows in order, without gaps.
	Spans []device.Span
	// Outputs are the rows whose logits are wanted, ascending.
	Outputs []int32
}

// Forward computes a batch: keys and values of every row go to the cache, and
// logits of the wanted rows to logits, (len(Outputs), VocabSize). For one model
// and cache type a row's logits are the same bits whatever else is in the
// batch, and however a sequence is cut into batches.
func (m *Model) Forward(b *Batch, kv device.KV, logits []float32) error {
	if err := m.check(b, kv, logits); err != nil {
		return err
	}
	m.dev.Begin()
	for i := range b.Spans {
		m.rope.grow(m.dev, b.Spans[i].Pos+b.Spans[i].N)
	}
	out := 0
	for lo := 0; lo < len(b.Tokens); lo += m.maxRows {
		hi := min(lo+m.maxRows, len(b.Tokens))
		m.spans = cut(m.spans[:0], b.Spans, lo, hi)
		m.transform(b.Tokens[lo:hi], kv)
		for out < len(b.Outputs) && int(b.Outputs[out]) < hi {
			m.pick = m.pick[:0]
			first := out
			for out < len(b.Outputs) && int(b.Outputs[out]) < hi && len(m.pick) < m.maxLogits {
				m.pick = append(m.pick, b.Outputs[out]-int32(lo))
				out++
			}
			m.project(logits[first*m.Config.VocabSize : out*m.Config.VocabSize])
		}
	}
	return m.dev.End()
}

// cut appends the parts of spans that lie in rows [lo, hi), renumbered from lo.
func cut(dst, spans []device.Span, lo, hi int) []device.Span {
	for _, s := range spans {
		from, to := max(s.Row, lo), min(s.Row+s.N, hi)
		if from >= to {
			continue
		}
		s.Pos += from - s.Row
		s.Row, s.N = from-lo, to-from
		dst = append(dst, s)
	}
	return dst
}

// check refuses a batch that would read or write where it must not.
func (m *Model) check(b *Batch, kv device.KV, logits []float32) error {
	for i, t := range b.Tokens {
		if t < 0 || int(t) >= m.Config.VocabSize {
			return fmt.Errorf("llama: token id %d at row %d: the model has ids 0 to %d", t, i, m.Config.VocabSize-1)
		}
	}
	row := 0
	pages := kv.Config().Pages
	for i, s := range b.Spans {
		if s.Row != row || s.N <= 0 || s.Pos < 0 || s.Lo < 0 || s.Lo > s.Pos {
			return fmt.Errorf("llama: span %d (row %d, %d rows, position %d, visible from %d) does not continue row %d", i, s.Row, s.N, s.Pos, s.Lo, row)
		}
		row += s.N
		if end := s.Pos + s.N; end > m.Context {
			return fmt.Errorf("llama: position %d is beyond the context of %d tokens", end-1, m.Context)
		} else if need := (end + device.PageTokens - 1) / device.PageTokens; need > len(s.Pages) {
			return fmt.Errorf("llama: span %d has %d cache pages and needs %d", i, len(s.Pages), need)
		}
		for _, p := range s.Pages {
			if p < 0 || int(p) >= pages {
				return fmt.Errorf("llama: span %d names cache page %d of %d", i, p, pages)
			}
		}
	}
	if row != len(b.Tokens) {
		return fmt.Errorf("llama: %d tokens, but the spans cover %d rows", len(b.Tokens), row)
	}
	last := int32(-1)
	for _, o := range b.Outputs {
		if o <= last || int(o) >= len(b.Tokens) {
			return fmt.Errorf("llama: output row %d of %d is out of order or range", o, len(b.Tokens))
		}
		last = o
	}
	if len(logits) != len(b.Outputs)*m.Config.VocabSize {
		return fmt.Errorf("llama: room for %d logits, %d are needed", len(logits), len(b.Outputs)*m.Config.VocabSize)
	}
	return nil
}

// transform runs all layers on a micro-batch and leaves the residual stream in
// m.x.
func (m *Model) transform(tokens []int32, kv device.KV) {
	n := len(tokens)
	c, d := &m.Config, m.dev
	x, xn, q, k, v := m.x.Slice(0, n), m.xn.Slice(0, n), m.q.Slice(0, n), m.k.Slice(0, n), m.v.Slice(0, n)
	att, proj, gate, up := m.att.Slice(0, n), m.proj.Slice(0, n), m.gate.Slice(0, n), m.up.Slice(0, n)
	d.Embed(x, m.embed, tokens)
	for i := range m.layers {
		l := &m.layers[i]
		d.RMSNorm(xn, x, l.attnNorm, c.NormEps)
		m.three = [3]device.Tensor{q, k, v}
		l.qkv.Forward(d, m.three[:], xn)
		d.RoPE(q, c.HeadDim, m.spans, m.rope.cos, m.rope.sin, c.attnScale())
		d.RoPE(k, c.HeadDim, m.spans, m.rope.cos, m.rope.sin, 1)
		d.StoreKV(kv, i, k, v, m.spans)
		d.Attention(att, q, kv, i, m.spans)
		m.one[0] = proj
		l.wo.Forward(d, m.one[:1], att)
		d.Add(x, proj)

		d.RMSNorm(xn, x, l.ffnNorm, c.NormEps)
		m.two = [2]device.Tensor{gate, up}
		l.gateUp.Forward(d, m.two[:], xn)
		d.SwiGLU(gate, gate, up)
		m.one[0] = proj
		l.down.Forward(d, m.one[:1], gate)
		d.Add(x, proj)
	}
}

// project computes the logits of the picked rows of the micro-batch.
func (m *Model) project(logits []float32) {
	n := len(m.pick)
	hidden, normed, out := m.hidden.Slice(0, n), m.hiddenNorm.Slice(0, n), m.logits.Slice(0, n)
	m.dev.Gather(hidden, m.x, m.pick)
	m.dev.RMSNorm(normed, hidden, m.outNorm, m.Config.NormEps)
	m.one[0] = out
	m.head.Forward(m.dev, m.one[:1], normed)
	m.dev.Download(logits, out)
}
