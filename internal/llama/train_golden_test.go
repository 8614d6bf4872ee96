package llama_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/optim"
	"github.com/cria-llm/cria/internal/tensor"
)

// trainGolden is testdata/train/golden.json, which gen.py beside it describes.
type trainGolden struct {
	Torch     string
	Tokens    []int32
	Targets   []int32
	Documents [][]int
	Runs      []goldenRun
}

type goldenRun struct {
	Tied      bool
	Loss      []float64
	ZLoss     []float64 `json:"z_loss"`
	GradNorm  []float64 `json:"grad_norm"`
	LR        []float64
	Gradients map[string]string // by step; of all parameters, base64 of little-endian f32
	Weights   string            // after the last step
}

// goldenNoise are n numbers in [-1, 1), as gen.py makes them.
func goldenNoise(key, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		x := uint64(key)<<32 + uint64(i) + 0x9E3779B97F4A7C15
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		x ^= x >> 31
		out[i] = float32(float64(x>>41)/(1<<22) - 1)
	}
	return out
}

// goldenWeights makes gen.py's initial weights; keys count parameters in the
// order in which models are written.
func goldenWeights(c llama.Config) memModel {
	m, key := memModel{}, 0
	add := func(name string, rows, cols int) {
		key++
		x := goldenNoise(key, rows*cols)
		b := make([]byte, 0, 4*len(x))
		for _, v := range x {
			if rows == 1 {
				v = 1 + v/4
			} else {
				v /= 2
			}
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		m[name] = &memSource{name, tensor.F32, rows, cols, b}
	}
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	add("token_embd.weight", c.VocabSize, c.Dim)
	for i := range c.NLayers {
		p := fmt.Sprintf("blk.%d.", i)
		add(p+"attn_norm.weight", 1, c.Dim)
		add(p+"attn_q.weight", q, c.Dim)
		add(p+"attn_k.weight", kv, c.Dim)
		add(p+"attn_v.weight", kv, c.Dim)
		add(p+"attn_output.weight", c.Dim, q)
		add(p+"ffn_norm.weight", 1, c.Dim)
		add(p+"ffn_gate.weight", c.HiddenDim, c.Dim)
		add(p+"ffn_up.weight", c.HiddenDim, c.Dim)
		add(p+"ffn_down.weight", c.Dim, c.HiddenDim)
	}
	add("output_norm.weight", 1, c.Dim)
	if !c.TiedEmbeddings {
		add("output.weight", c.VocabSize, c.Dim)
	}
	return m
}

func unpackF32(t *testing.T, s string) []float32 {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// TestTwentyStepsOfPyTorch: losses, norms and gradients of twenty AdamW steps
// are PyTorch's to 1e-5, and so are the weights they lead to. In float64, where
// roundings do not grow from step to step, they are the same to 1e-5 of the
// largest element (AdamW's constants are f32 in the device contract).
func TestTwentyStepsOfPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/train/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g trainGolden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Runs) != 2 {
		t.Fatalf("%d runs, want 2", len(g.Runs))
	}
	for _, run := range g.Runs {
		for _, d := range append(trainers(t), ref.New[float64]()) {
			t.Run(fmt.Sprintf("tied %v/%s", run.Tied, d.Name()), func(t *testing.T) { g.compare(t, &run, d) })
		}
	}
}

func (g *trainGolden) compare(t *testing.T, run *goldenRun, d device.Trainer) {
	c := llama.Config{Dim: 16, NLayers: 2, NHeads: 4, NKVHeads: 2, HeadDim: 4, HiddenDim: 24, VocabSize: 32,
		MaxSeqLen: 12, NormEps: 1e-5, RopeTheta: 10000, TiedEmbeddings: run.Tied}
	m := trainModel(t, d, c, goldenWeights(c), llama.TrainOptions{Rows: len(g.Tokens)})
	b := &llama.TrainBatch{Tokens: g.Tokens, Targets: g.Targets, ZLoss: 1e-3}
	row := 0
	for _, sequence := range g.Documents {
		for _, n := range sequence {
			b.Spans = append(b.Spans, device.Span{Row: row, N: n})
			row += n
		}
	}
	cfg := optim.Defaults() // the paper's, which gen.py has too
	cfg.LR, cfg.Warmup = 1e-2, 5
	var params []optim.Param
	for _, p := range m.Params() {
		params = append(params, optim.Param(p))
	}
	opt, err := optim.New(d, cfg, params)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := opt.Close(); err != nil {
			t.Error(err)
		}
	}()
	near := func(what string, step int, got, want float64) {
		t.Helper()
		if e := math.Abs(got - want); !(e <= 1e-5*max(1, math.Abs(want))) {
			t.Errorf("step %d: %s %v, PyTorch has %v", step, what, got, want)
		}
	}
	for i := range run.Loss {
		step := i + 1
		l, err := m.Learn(b)
		if err != nil {
			t.Fatal(err)
		}
		scale := 1 / float64(l.Tokens)
		if want, ok := run.Gradients[fmt.Sprint(step)]; ok {
			compareAll(t, fmt.Sprintf("step %d, gradient of ", step), m, unpackF32(t, want), func(p *llama.NamedParam) device.Tensor { return p.Param.Grad() }, scale)
		}
		norm, err := opt.GradNorm(scale)
		if err != nil {
			t.Fatal(err)
		}
		rate := cfg.Rate(step, len(run.Loss))
		near("loss", step, l.Mean(), run.Loss[i])
		near("z-loss", step, l.Z*scale, run.ZLoss[i])
		near("norm of the gradient", step, norm, run.GradNorm[i])
		near("rate", step, 1e3*rate, 1e3*run.LR[i])
		if err := opt.Step(rate, scale, norm); err != nil {
			t.Fatal(err)
		}
	}
	compareAll(t, "last value of ", m, unpackF32(t, run.Weights), func(p *llama.NamedParam) device.Tensor { return p.Param.Value() }, 1)
}

// compareAll compares a tensor of every parameter, times scale, with a golden of
// all of them.
func compareAll(t *testing.T, what string, m *llama.TrainModel, want []float32, of func(*llama.NamedParam) device.Tensor, scale float64) {
	t.Helper()
	for _, p := range m.Params() {
		n := p.Rows * p.Cols
		got := make([]float32, n)
		m.Device().Download(got, of(&p))
		for i := range got {
			got[i] = float32(float64(got[i]) * scale)
		}
		if _, exact := m.Device().(*ref.Device[float64]); exact {
			closeTo(t, what+p.Name, got, want[:n], 1e-5)
		}
		for i, w := range want[:n] {
			if e := math.Abs(float64(got[i] - w)); !(e <= 1e-5) {
				t.Fatalf("%s%s: element %d is %v, PyTorch has %v", what, p.Name, i, got[i], w)
			}
		}
		want = want[n:]
	}
	if len(want) != 0 {
		t.Errorf("the golden has %d numbers more than the model", len(want))
	}
}
