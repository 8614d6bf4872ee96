package pretrain

import (
	"math"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/llama"
)

// needed are the fields that no shape fills.
const needed = "out: run\ndata: {shards: data, tokenizer: tokenizer.model}\n"

// Presets of published models have the papers' settings.
func TestPresets(t *testing.T) {
	for _, c := range []struct {
		shape    string
		rate     float64
		sequence int
		batch    int // sequences; 4M tokens
		tokens   float64
	}{
		{"llama1-7b", 3e-4, 2048, 2048, 1e12},
		{"llama1-65b", 1.5e-4, 2048, 2048, 1.4e12},
		{"llama2-7b", 3e-4, 4096, 1024, 2e12},
		{"llama2-70b", 1.5e-4, 4096, 1024, 2e12},
	} {
		got, err := Load("", []byte(needed), Flags{Shape: c.shape})
		if err != nil {
			t.Fatal(err)
		}
		o := &got.Train.Optimizer
		if o.LR != c.rate || got.Sequence != c.sequence || got.Batch != c.batch || o.Warmup != 2000 || o.FinalRate != 0.1 ||
			o.Beta1 != 0.9 || o.Beta2 != 0.95 || o.Eps != 1e-5 || o.WeightDecay != 0.1 || o.GradientClip != 1 {
			t.Errorf("%s: sequence %d, batch %d, %+v", c.shape, got.Sequence, got.Batch, o)
		}
		if tokens := float64(got.Train.Steps) * float64(got.Batch*got.Sequence); math.Abs(tokens/c.tokens-1) > 1e-4 {
			t.Errorf("%s: %v tokens, want %v", c.shape, tokens, c.tokens)
		}
	}
}

// Fresh weights of a narrow model are larger, also where a file makes it narrow.
func TestInitFollowsTheWidth(t *testing.T) {
	for _, c := range []struct {
		text string
		want float64
	}{
		{"shape: 1m\n", 0.088},
		{"shape: llama2-7b\n", 0.02},
		{"shape: llama2-7b\nmodel: {dim: 64, n_heads: 4, n_kv_heads: 4, head_dim: 16}\n", 0.12},
		{"shape: 1m\ninit_std: 0.03\n", 0.03},
	} {
		if got, err := Load("", []byte(needed+c.text), Flags{}); err != nil || got.InitStd != c.want {
			t.Errorf("%q: init_std is %v, want %v (%v)", c.text, got.InitStd, c.want, err)
		}
	}
	if _, err := Load("", []byte(needed+"shape: 1m\ninit_std: 0\n"), Flags{}); err == nil || !strings.Contains(err.Error(), "init_std") {
		t.Errorf("init_std 0: %v", err)
	}
}

// TestNoWidth: the width is named, not what follows from it.
func TestNoWidth(t *testing.T) {
	if _, err := Load("", []byte(needed+"shape: 1m\nmodel: {dim: -5}\n"), Flags{}); err == nil || !strings.Contains(err.Error(), "model.dim is -5") {
		t.Errorf("dim -5: %v", err)
	}
}

// Every shape fills all fields, and its file gives the same configuration again.
func TestEveryShape(t *testing.T) {
	for _, name := range llama.ShapeNames() {
		c, err := Load("", []byte(needed), Flags{Shape: name})
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.Text()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load("", text, Flags{})
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		second, err := again.Text()
		if err != nil {
			t.Fatal(err)
		}
		if string(second) != string(text) {
			t.Errorf("%s: the file\n%s\nbecomes\n%s", name, text, second)
		}
	}
}

// Flags go before the file, the file before the shape.
func TestLayers(t *testing.T) {
	c, err := Load("", []byte(needed+"shape: 1m\nsteps: 70\nbatch: 3\nmodel: {context: 300}\noptimizer: {beta2: 0.99}\n"), Flags{Shape: "7m", Steps: 50, Out: "there"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Shape != "7m" || c.Model.Dim != 288 || c.Train.Steps != 50 || c.Out != "there" || c.Batch != 3 || c.Model.Context != 300 || c.Train.Optimizer.Beta2 != 0.99 || c.Train.Optimizer.Beta1 != 0.9 {
		t.Errorf("%+v", c)
	}
	if c.MicroBatch != 3 || c.Train.Optimizer.Warmup != 2 || c.Train.SaveEvery != 5 {
		t.Errorf("what follows from the steps and the batch: %d at once, %d steps of warm-up, saved every %d", c.MicroBatch, c.Train.Optimizer.Warmup, c.Train.SaveEvery)
	}
	if c, err = Load("", []byte(needed+"shape: 1m\ntokens: 1_000_000\nbatch: 10\nsequence: 100\n"), Flags{}); err != nil || c.Train.Steps != 1000 {
		t.Errorf("a million tokens in steps of a thousand: %+v, %v", c, err)
	}
}

// Mistakes are named with their place.
func TestLoadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		needed:                                                            "give either shape",
		needed + "shape: 3m\n":                                            "there is no shape",
		needed + "shape: 1m\ninit: x\n":                                   "give either shape",
		needed + "shape: 1m\nz_los: 1\n":                                  `[4:1] unknown field "z_los"`,
		needed + "shape: 1m\noptimizer:\n  lr: 1\n":                       `unknown field "lr"`,
		needed + "shape: 1m\nsteps: many\n":                               "[4:8]",
		needed + "shape: 1m\nsteps: 1\ntokens: 2\n":                       "steps and tokens",
		needed + "shape: 1m\ninit_std: 0\n":                               "init_std is 0",
		needed + "shape: 1m\ntokens: -5\n":                                "tokens is -5",
		needed + "shape: 1m\nsave_every: -1\n":                            "save_every is -1",
		needed + "shape: 1m\noptimizer: {warmup_steps: -1}\n":             "warmup_steps is -1",
		"shape: 1m\n":                                                     "out is missing",
		"shape: 1m\nout: x\n":                                             "shards",
		"shape: 1m\nout: x\ndata: {shards: a, text: [b], tokenizer: c}\n": "shards",
		"shape: 1m\nout: x\ndata: {shards: a}\n":                          "data.tokenizer",
		needed + "shape: 1m\nsequence: 2000\n":                            "model.context",
		needed + "shape: 1m\nbatch: 2\nmicro_batch: 3\n":                  "micro_batch",
		needed + "shape: 1m\nbatch: 0\n":                                  "batch is 0",
		needed + "shape: 1m\ndtype: f16\n":                                "dtype is f16",
		needed + "shape: 1m\nz_loss: 2\n":                                 "z_loss",
		needed + "shape: 1m\nsave_type: q4_0\n":                           "save_type",
		needed + "shape: 1m\ndevice: gpu\n":                               "device is gpu",
		needed + "shape: 1m\nkeep_last: 0\n":                              "keep_last",
		needed + "shape: 1m\noptimizer: {learning_rate: -1}\n":            "learning_rate",
	} {
		if _, err := Load("a.yaml", []byte(text), Flags{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error is %v, want %q in it", text, err, want)
		}
	}
}
