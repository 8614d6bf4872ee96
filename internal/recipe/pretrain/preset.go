package pretrain

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/train"
)

// unset is no number that a file may give.
const unset = math.MinInt

const (
	llama2Warmup  = 2000 // steps (arXiv 2307.09288, section 2.2)
	warmupPercent = 5    // of shorter runs
	microRows     = 2048 // tokens computed at once where nothing else is asked for
	batch4M       = 4 << 20
)

// published are the peak learning rates and training tokens of released models:
// arXiv 2302.13971, table 2, 2307.09288, table 1, and TinyLlama (2401.02385).
var published = map[string]struct {
	rate   float64
	tokens int64
}{
	"llama1-7b": {3e-4, 1e12}, "llama1-13b": {3e-4, 1e12}, "llama1-33b": {1.5e-4, 1.4e12}, "llama1-65b": {1.5e-4, 1.4e12},
	"llama2-7b": {3e-4, 2e12}, "llama2-13b": {3e-4, 2e12}, "llama2-34b": {1.5e-4, 2e12}, "llama2-70b": {1.5e-4, 2e12},
	"tinyllama-1.1b": {4e-4, 3e12},
}

// base is what a preset follows from.
type base struct {
	name   string // of a shape; "" where a model is trained further
	config llama.Config
}

func baseShape(shape, init string) (base, error) {
	switch {
	case (shape == "") == (init == ""):
		return base{}, fmt.Errorf("pretrain: give either shape (%s) or init (a model to train further)", strings.Join(llama.ShapeNames(), ", "))
	case shape != "":
		c, err := llama.Shape(shape)
		return base{shape, c}, err
	}
	m, err := modelfile.Open(init, modelfile.OpenOptions{})
	if err != nil {
		return base{}, err
	}
	return base{"", m.Config}, m.Close()
}

// preset fills everything from the shape. Published sizes have the papers'
// settings. For small ones the rules are ours, drawn through the 7B: the peak
// rate falls with the fourth root of the number of parameters N (3e-3 at 1M), the
// batch grows with N^0.78 (4 thousand tokens at 1M: small models learn by steps,
// not by tokens), and there are 20 tokens per parameter (arXiv 2203.15556).
func preset(b base) *Config {
	n := float64(b.config.Parameters())
	c := &Config{Model: modelOf(&b.config), Train: train.Defaults(), Isolate: true, DType: "f32", InitStd: unset, Seed: 1, SaveType: "f32", Device: deviceCPU,
		ValidateTokens: 1 << 17, Samples: Samples{Prompts: []string{"Once upon a time"}, Tokens: 100, Temperature: 0.8}}
	c.Train.Optimizer.Warmup, c.Train.SaveEvery, c.Train.ValidateEvery, c.Train.SampleEvery = unset, unset, unset, unset // finish knows the steps, and the width for InitStd
	rate, tokens, batch := 3e-3*math.Pow(n/1e6, -0.25), int64(20*n), batch4M*math.Pow(n/7e9, 0.78)
	if p, ok := published[b.name]; ok {
		rate, tokens, batch = p.rate, p.tokens, batch4M
		c.Sequence = b.config.MaxSeqLen
	} else {
		c.Sequence = min(b.config.MaxSeqLen, 256)
	}
	if strings.HasPrefix(b.name, "tinyllama") {
		batch = 2 << 20
	}
	c.Train.Optimizer.LR, c.Tokens = twoDigits(rate), tokens
	c.Batch = max(1, int(math.Round(batch/float64(c.Sequence))))
	return c
}

// twoDigits rounds to two significant ones: rates are read by people.
func twoDigits(x float64) float64 {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'e', 1, 64), 64) // what was formatted parses
	return x
}
