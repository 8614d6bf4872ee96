package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/optim"
)

var tinyConfig = llama.Config{Dim: 8, NLayers: 1, NHeads: 2, NKVHeads: 1, HeadDim: 4, HiddenDim: 12, VocabSize: 16,
	MaxSeqLen: 8, NormEps: 1e-5, RopeTheta: 100, TiedEmbeddings: true}

// counting is a stage whose text counts on: token n follows token n-1.
type counting struct {
	m      *llama.TrainModel
	learn  func(step int, s *Sums) // changes what Learn says
	sample func() error            // what Sample fails with; nil is never
	asked  []int
	checks int
}

func (c *counting) batch(step int) *llama.TrainBatch {
	b := &llama.TrainBatch{Spans: []device.Span{{N: 8}}}
	for i := range 8 {
		b.Tokens = append(b.Tokens, int32((step*5+i)%16))
		b.Targets = append(b.Targets, int32((step*5+i+1)%16))
	}
	return b
}

func (c *counting) Learn(ctx context.Context, step int) (Sums, error) {
	c.asked = append(c.asked, step)
	if err := ctx.Err(); err != nil {
		return Sums{}, err
	}
	l, err := c.m.Learn(c.batch(step))
	s := Sums{Loss: l, Tokens: 8, Sequences: 1, FLOPs: 1}
	if c.learn != nil {
		c.learn(step, &s)
	}
	return s, err
}

func (c *counting) Samples(step int) []string { return []string{fmt.Sprintf("count %d", step)} }

func (c *counting) Validate(context.Context) (map[string]float64, error) {
	c.checks++
	l, err := c.m.Loss(c.batch(1000))
	return map[string]float64{"val_loss": l.Mean()}, err
}

func (c *counting) Sample(context.Context) ([]Sample, error) {
	if c.sample != nil {
		return nil, c.sample()
	}
	return []Sample{{Prompt: "1 2", Text: " 3"}}, nil
}

// newRun makes a run on the reference device, with weights of a checkpoint where
// there is one.
func newRun(t *testing.T, dir string, cfg Config, from *Checkpoint) (*Run, *counting) {
	t.Helper()
	dev := ref.New[float32]()
	like, err := modelfile.Random(tinyConfig, modelfile.InitOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	source := like
	if from != nil {
		if source, err = modelfile.Open(from.Model(), modelfile.OpenOptions{}); err != nil {
			t.Fatal(err)
		}
		defer source.Close()
	}
	m, err := llama.NewTrainModel(dev, tinyConfig, source, llama.TrainOptions{Rows: 8}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var params []optim.Param
	for _, p := range m.Params() {
		params = append(params, optim.Param(p))
	}
	opt, err := optim.New(dev, cfg.Optimizer, params)
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{m: m}
	r := &Run{Dir: dir, Config: cfg, Model: m, Opt: opt, Like: like, Stage: c, Text: []byte("seed: 1\n"), State: State{Seed: 1, Device: dev.Name()}, Message: t.Logf}
	if from != nil {
		if err := r.Restore(from); err != nil {
			t.Fatal(err)
		}
	}
	return r, c
}

func tinyRun(steps int) Config {
	c := Defaults()
	c.Steps, c.Optimizer.LR, c.Optimizer.Warmup, c.Optimizer.EMA = steps, 0.03, 2, 0.9
	return c
}

// last returns the newest checkpoint, verified.
func last(t *testing.T, dir string) *Checkpoint {
	t.Helper()
	list, err := Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatalf("%s has no checkpoint", dir)
	}
	c := &list[len(list)-1]
	if err := c.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// sameFiles compares files of two directories byte by byte.
func sameFiles(t *testing.T, a, b string, names ...string) {
	t.Helper()
	for _, name := range names {
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(x) != string(y) {
			t.Errorf("%s differs between %s and %s", name, a, b)
		}
	}
}

// kills is how many times a test kills a process: few, or CRIA_KILLS (make kill).
func kills(t *testing.T, few int) int {
	t.Helper()
	s := os.Getenv("CRIA_KILLS")
	if s == "" {
		return few
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("CRIA_KILLS is %q, want a number", s)
	}
	return n
}

var nan = math.NaN()
