package llama

import "github.com/cria-llm/cria/internal/device"

// TrainFLOPs is the number of floating-point operations that learning from rows
// needs, two per multiplication: three times those of the forward pass with
// logits of every row (arXiv 2001.08361, section 2.1). Elementwise work counts
// nothing, and what activation checkpointing computes again neither.
func (c *Config) TrainFLOPs(spans []device.Span) float64 {
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	row := c.NLayers*(2*c.Dim*q+2*c.Dim*kv+3*c.Dim*c.HiddenDim) + c.VocabSize*c.Dim
	seen := c.NLayers * 2 * q // per row and visible position: queries times keys, probabilities times values
	var products float64
	for _, s := range spans {
		products += float64(s.N)*float64(row) + float64(seen)*float64(s.N)*float64(s.N+1)/2
	}
	return 3 * 2 * products
}
