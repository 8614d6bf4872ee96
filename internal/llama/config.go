// Package llama is the one transformer of Cria: Llama 1 and 2 and every other
// model of that architecture. Its tensors have GGUF's names and Meta's order of
// RoPE pairs; package modelfile brings any file to that form.
package llama

import (
	"fmt"
	"math"
)

// Config is a model's shape and constants. Names are Meta's (params.json).
type Config struct {
	Dim            int // width of the residual stream
	NLayers        int
	NHeads         int
	NKVHeads       int // heads of keys and values: NHeads (MHA), fewer (GQA) or 1 (MQA)
	HeadDim        int
	HiddenDim      int // width of the feed-forward layer
	VocabSize      int // rows of the embedding table
	MaxSeqLen      int // positions that the model was trained for
	NormEps        float32
	RopeTheta      float64
	RopeScale      RopeScaling
	TiedEmbeddings bool // the output matrix is the embedding table
}

// RopeScaling stretches rotary positions beyond the trained length. The zero
// value stretches nothing.
type RopeScaling struct {
	Kind   RopeScalingKind
	Factor float64 // at least 1
}

// RopeScalingKind is a method of RopeScaling.
type RopeScalingKind string

// Linear divides positions by the factor (arXiv 2306.15595). Dynamic raises the
// base by what the context asked for needs (NTK-aware); transformers moves the
// base with the length of each sequence, here it is fixed when the model loads.
const (
	RopeNone    RopeScalingKind = ""
	RopeLinear  RopeScalingKind = "linear"
	RopeDynamic RopeScalingKind = "dynamic"
)

// The largest shapes taken: far above any published model, and small enough
// that no product of them overflows.
const (
	maxDim    = 1 << 20
	maxLayers = 1 << 14
	maxSeqLen = 1 << 26
	maxVocab  = 1 << 24
)

// FieldError names a field of a Config that cannot be.
type FieldError struct {
	Field   string // as Config spells it
	Value   any
	Problem string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("llama: %s is %v: %s", e.Field, e.Value, e.Problem)
}

// Validate returns a *FieldError for the first field that makes no model.
func (c *Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		most  int
	}{
		{"Dim", c.Dim, maxDim}, {"NLayers", c.NLayers, maxLayers}, {"NHeads", c.NHeads, maxDim},
		{"NKVHeads", c.NKVHeads, maxDim}, {"HeadDim", c.HeadDim, maxDim}, {"HiddenDim", c.HiddenDim, maxDim},
		{"VocabSize", c.VocabSize, maxVocab}, {"MaxSeqLen", c.MaxSeqLen, maxSeqLen},
	} {
		if f.value < 1 || f.value > f.most {
			return &FieldError{f.name, f.value, fmt.Sprintf("1 to %d are possible", f.most)}
		}
	}
	switch {
	case c.NHeads%c.NKVHeads != 0:
		return &FieldError{"NKVHeads", c.NKVHeads, fmt.Sprintf("it must divide the %d heads", c.NHeads)}
	case c.HeadDim%2 != 0:
		return &FieldError{"HeadDim", c.HeadDim, "rotary positions need an even number"}
	case c.NHeads*c.HeadDim > maxDim:
		return &FieldError{"HeadDim", c.HeadDim, fmt.Sprintf("%d heads of it are wider than %d", c.NHeads, maxDim)}
	case !(c.NormEps > 0 && c.NormEps < 1):
		return &FieldError{"NormEps", c.NormEps, "a number above 0 and below 1 is needed"}
	case !(c.RopeTheta > 1 && c.RopeTheta < 1e12):
		return &FieldError{"RopeTheta", c.RopeTheta, "a number above 1 and below 1e12 is needed"}
	}
	switch c.RopeScale.Kind {
	case RopeNone:
	case RopeLinear, RopeDynamic:
		if !(c.RopeScale.Factor >= 1 && c.RopeScale.Factor < 1e6) {
			return &FieldError{"RopeScale.Factor", c.RopeScale.Factor, "a number from 1 to 1e6 is needed"}
		}
		if c.RopeScale.Kind == RopeDynamic && c.HeadDim < 4 {
			return &FieldError{"HeadDim", c.HeadDim, "dynamic scaling needs at least 4"}
		}
	default:
		return &FieldError{"RopeScale.Kind", c.RopeScale.Kind, "linear and dynamic are known"}
	}
	return nil
}

// MaxContext is how many positions the model allows with its own scaling.
func (c *Config) MaxContext() int {
	if c.RopeScale.Kind == RopeNone {
		return c.MaxSeqLen
	}
	return int(float64(c.MaxSeqLen) * c.RopeScale.Factor)
}

// RopeBase returns the rotary base for a context of that many positions; only
// dynamic scaling looks at the context.
func (c *Config) RopeBase(positions int) float64 {
	if c.RopeScale.Kind != RopeDynamic || positions <= c.MaxSeqLen {
		return c.RopeTheta
	}
	f, d := c.RopeScale.Factor, float64(c.HeadDim)
	return c.RopeTheta * math.Pow(f*float64(positions)/float64(c.MaxSeqLen)-(f-1), d/(d-2))
}

// InvFreq returns the inverse frequencies of the rotary pairs, HeadDim/2 of
// them, for a context of that many positions. Each step is rounded to f32 as
// PyTorch rounds it.
func (c *Config) InvFreq(positions int) []float32 {
	base := c.RopeBase(positions)
	inv := make([]float32, c.HeadDim/2)
	for i := range inv {
		exponent := float32(2*i) / float32(c.HeadDim)
		inv[i] = 1 / float32(math.Pow(base, float64(exponent)))
		if c.RopeScale.Kind == RopeLinear {
			inv[i] /= float32(c.RopeScale.Factor)
		}
	}
	return inv
}

// Parameters is the number of weights, a tied table counted once.
func (c *Config) Parameters() int {
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	layer := 2*c.Dim + 2*c.Dim*q + 2*c.Dim*kv + 3*c.Dim*c.HiddenDim
	n := c.VocabSize*c.Dim + c.NLayers*layer + c.Dim
	if !c.TiedEmbeddings {
		n += c.VocabSize * c.Dim
	}
	return n
}
