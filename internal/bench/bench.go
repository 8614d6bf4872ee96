// Package bench measures how fast a model runs as a fraction of what the
// machine can do, and how well a model predicts a text. It computes; package
// cli prints.
//
// # Formulas
//
// One decoded token at position t (t tokens stand before it) reads
//
//	bytes(t) = weights + (t+1) * kv
//
// where weights is every matrix and norm vector once and one row of the
// embedding table, and kv is layers * 2 * KV heads * bytes of one head in the
// cache's type. A prompt of p tokens whose last token's logits are wanted
// multiplies
//
//	flops(p) = 2 * (p*matrices + head + attention * p*(p+1)/2)
//
// where matrices is the number of elements of all layers' matrices, head that
// of the output matrix, and attention = layers * 2 * heads * head dimension
// (queries times keys, probabilities times values). Looking up an embedding
// multiplies nothing.
//
// Training a batch of b sequences of t tokens multiplies three times what its
// forward pass with logits of every row does,
//
//	flops = 3 * b * 2 * (t*(matrices + head) + attention * t*(t+1)/2)
//
// and what activation checkpointing computes again counts nothing.
package bench

import (
	"fmt"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// Cost is what one model must read and multiply, whatever the machine.
type Cost struct {
	WeightBytes    int // read per decoded token: every matrix and norm, one embedding row
	KVBytes        int // read per visible position
	MatrixProducts int // multiplications per row in all layers' matrices
	HeadProducts   int // multiplications per row of logits
	AttnProducts   int // multiplications per row and visible position
}

// CostOf counts a model's cost. weightBytes is llama.Model.WeightBytes of it.
func CostOf(c *llama.Config, weightBytes int, cache tensor.DType) Cost {
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	layer := c.Dim*q + 2*c.Dim*kv + q*c.Dim + 3*c.Dim*c.HiddenDim
	return Cost{
		WeightBytes:    weightBytes,
		KVBytes:        c.NLayers * 2 * c.NKVHeads * cache.RowBytes(c.HeadDim),
		MatrixProducts: c.NLayers * layer,
		HeadProducts:   c.VocabSize * c.Dim,
		AttnProducts:   c.NLayers * 2 * q,
	}
}

// DecodeBytes is the number of bytes that a token decoded at position pos reads.
func (c Cost) DecodeBytes(pos int) int { return c.WeightBytes + (pos+1)*c.KVBytes }

// PrefillFLOPs is the number of floating-point (or integer) operations of a
// prompt of n tokens, two per multiplication.
func (c Cost) PrefillFLOPs(n int) int {
	return 2 * (n*c.MatrixProducts + c.HeadProducts + c.AttnProducts*n*(n+1)/2)
}

// Config is what to measure.
type Config struct {
	Prompt  int // tokens of the prompt
	Tokens  int // tokens decoded after an empty context before it starts anew
	Repeats int // prompts; decode takes four rounds for each, at least MinRounds
	LLC     int // bytes of last-level cache; 0: unknown
}

// MinRounds is the least number of turns between read limit and decoding.
const MinRounds = 20

// Validate names the first field that makes no sense for the model's context.
func (c *Config) Validate(context int) error {
	switch {
	case c.Prompt < 1 || c.Prompt > context:
		return fmt.Errorf("bench: a prompt of %d tokens; 1 to %d (the context) are possible", c.Prompt, context)
	case c.Tokens < 1 || c.Tokens > context:
		return fmt.Errorf("bench: %d tokens to decode; 1 to %d (the context) are possible", c.Tokens, context)
	case c.Repeats < 1:
		return fmt.Errorf("bench: %d repetitions; at least 1 is needed", c.Repeats)
	case c.LLC < 0:
		return fmt.Errorf("bench: a last-level cache of %d bytes; it must be 0 (unknown) or more", c.LLC)
	}
	return nil
}

// Machine is what the machine can do with all workers; nil is unknown.
type Machine struct {
	ReadGBps       *float64 `json:"read_gbps"`
	ReadOneGBps    *float64 `json:"read_gbps_one_worker"`
	F32GFLOPS      *float64 `json:"f32_gflops"`
	BF16GFLOPS     *float64 `json:"bf16_gflops"`
	Int8GOPS       *float64 `json:"int8_gops"`
	LastLevelCache int      `json:"last_level_cache_bytes"`
}

// Speed is one measured speed. Fraction is nil where Reason says why.
type Speed struct {
	TokensPerS float64     `json:"tokens_per_s"`
	Fraction   *float64    `json:"fraction"`
	Quartiles  *[2]float64 `json:"quartiles,omitempty"` // of the rounds' ratios
	Limit      string      `json:"limit,omitempty"`     // the limit that binds: "read", "int8", "f32"
	Reason     string      `json:"reason,omitempty"`    // why there is no fraction, or what disturbs it
	Runs       int         `json:"runs"`                // how often the measurement was made until it was steady
}

// Result is one benchmark.
type Result struct {
	Machine      Machine `json:"machine"`
	Prefill      Speed   `json:"prefill"`
	Decode       Speed   `json:"decode"`
	LoadS        float64 `json:"load_s"`
	PeakRSSBytes uint64  `json:"peak_rss_bytes"` // of the process, before the read limit's buffer was made
}
