package llama

import "github.com/cria-llm/cria/internal/device"

// RowLosses computes the rows' log-probabilities and log-sum-exps and leaves them
// on the device, in its own precision: Loss rounds them to f32.
func (m *TrainModel) RowLosses(b *TrainBatch) (logProb, lse device.Tensor) {
	hidden := m.forward(b)
	n := len(b.Tokens)
	out := device.LogProbs{LogProb: m.logProb.Slice(0, n), LSE: m.lse.Slice(0, n)}
	m.dev.TokenLogProbs(out, hidden, m.head.Weights()[0], b.Targets)
	return out.LogProb, out.LSE
}
