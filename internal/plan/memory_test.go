package plan

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/optim"
	"github.com/cria-llm/cria/internal/tensor"
)

// counter is a device that counts what a model asks of it.
type counter struct {
	device.Trainer
	tensors, params int64
}

func (c *counter) Tensor(rows, cols int) (device.Tensor, error) {
	c.tensors += 4 * int64(rows) * int64(cols)
	return c.Trainer.Tensor(rows, cols)
}

func (c *counter) NewParam(rows, cols int, products tensor.DType) (device.Param, error) {
	c.params += 4 * int64(rows) * int64(cols)
	return c.Trainer.NewParam(rows, cols, products)
}

func full(seq int) Training {
	return Training{Method: Full, Rank: 8, Base: tensor.BF16, Products: tensor.F32, Sequences: 3, Sequence: seq}
}

// TestTrainModelAllocates what the plan says, to the byte: weights, gradients,
// activations and the optimiser's state.
func TestTrainModelAllocates(t *testing.T) {
	for _, shape := range []string{"0.3m", "1m"} {
		for _, checkpointing := range []bool{false, true} {
			c, err := llama.Shape(shape)
			if err != nil {
				t.Fatal(err)
			}
			c.MaxSeqLen = 512
			c.TiedEmbeddings = !checkpointing
			tr := full(40)
			tr.Checkpointing, tr.EMA = checkpointing, checkpointing
			want := Buffers(&c, &tr)

			src, err := modelfile.Random(c, modelfile.InitOptions{Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			dev := &counter{Trainer: ref.New[float32]()}
			m, err := llama.NewTrainModel(dev, c, src, llama.TrainOptions{Rows: 3 * 40, Checkpointing: checkpointing}, nil)
			if err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s, checkpointing %v", shape, checkpointing)
			if got := Sum(want, Weights); got != dev.params {
				t.Errorf("%s: %d bytes of weights planned, %d made", what, got, dev.params)
			}
			if got := Sum(want, Gradients); got != dev.params {
				t.Errorf("%s: %d bytes of gradients planned, %d made", what, got, dev.params)
			}
			if got := Sum(want, Activations); got != dev.tensors {
				t.Errorf("%s: %d bytes of activations planned, %d made", what, got, dev.tensors)
			}
			dev.tensors = 0
			var params []optim.Param
			for _, p := range m.Params() {
				params = append(params, optim.Param{Name: p.Name, Param: p.Param, Rows: p.Rows, Cols: p.Cols})
			}
			oc := optim.Defaults()
			oc.LR = 1e-3
			if checkpointing {
				oc.EMA = 0.9
			}
			if _, err := optim.New(dev, oc, params); err != nil {
				t.Fatal(err)
			}
			if got := Sum(want, Optimizer); got != dev.tensors {
				t.Errorf("%s: %d bytes of optimiser planned, %d made", what, got, dev.tensors)
			}
		}
	}
}

// TestWeightsAreAll: the weights of every shape are its parameters.
func TestWeightsAreAll(t *testing.T) {
	for _, name := range llama.ShapeNames() {
		c, err := llama.Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		tr := full(c.MaxSeqLen)
		if got, want := Sum(Buffers(&c, &tr), Weights), 4*int64(c.Parameters()); got != want {
			t.Errorf("%s: %d bytes of weights for %d", name, got, want)
		}
	}
}

func qlora(t *testing.T, shape string, change func(*Training)) (total int64, list []Buffer) {
	c, err := llama.Shape(shape)
	if err != nil {
		t.Fatal(err)
	}
	tr := Training{Method: QLoRA, Rank: 64, Base: tensor.BF16, Products: tensor.F32, Sequences: 1, Sequence: 512, Checkpointing: true, Workers: 2}
	if change != nil {
		change(&tr)
	}
	list = Buffers(&c, &tr)
	return Sum(list, ""), list
}

// TestQLoRA: NF4 with double quantisation takes 4.127 bits a weight (arXiv
// 2305.14314, section 3); the sizes that the documentation names hold, and so
// does that 70B needs its optimiser's state on disk to stay within 48 GiB.
func TestQLoRA(t *testing.T) {
	for shape, most := range map[string]int64{"llama2-7b": 8 << 30, "llama2-13b": 14 << 30} {
		if total, _ := qlora(t, shape, nil); total > most {
			t.Errorf("%s: %d bytes, want at most %d", shape, total, most)
		}
	}
	paged, list := qlora(t, "llama2-70b", func(tr *Training) { tr.Paged = true })
	if paged > 48<<30 {
		t.Errorf("70B with the state on disk: %d bytes", paged)
	}
	if total, _ := qlora(t, "llama2-70b", nil); total <= 48<<30 {
		t.Errorf("70B: %d bytes; docs/plan.md says that it is a little more than 48 GiB", total)
	}
	for _, b := range list {
		bits := float64(b.Bytes) * 8 / (float64(b.Rows) * float64(b.Cols) * float64(b.Copies))
		want := map[string]float64{"nf4 dq": 4.127, "nf4": 4.5, "16 bits": 16, "f32": 32}[b.Type]
		if b.Part == Weights && math.Abs(bits-want) > 0.001 {
			t.Errorf("%s in %s: %.4f bits a weight, want %.3f", b.Name, b.Type, bits, want)
		}
	}
	// Adapters of rank 64 on all seven projections of 70B: by hand, 80 layers of
	// 64 * (16384 + 9216 + 9216 + 16384 + 3*36864).
	learn := int64(0)
	for _, b := range list {
		if b.Part == Gradients {
			if !strings.Contains(b.Name, ".lora_") {
				t.Errorf("%s has a gradient", b.Name)
			}
			learn += b.Bytes / 4
		}
	}
	if learn != 828375040 {
		t.Errorf("%d parameters learn", learn)
	}
}

// TestOddRows: a matrix whose rows are no multiple of 64 stays in 16 bits.
func TestOddRows(t *testing.T) {
	c, err := llama.Shape("1m") // feed-forward 352 = 5.5 * 64
	if err != nil {
		t.Fatal(err)
	}
	tr := Training{Method: QLoRA, Rank: 4, Base: tensor.BF16, Products: tensor.F32, Sequences: 1, Sequence: 8}
	for _, b := range Buffers(&c, &tr) {
		if b.Part == Weights && b.Name == "ffn_down" && (b.Type != "bf16" || b.Bytes != 2*128*352*4) {
			t.Errorf("%+v", b)
		}
	}
}
