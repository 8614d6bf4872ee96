package llama_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// trainCase is a shape and how it is trained.
type trainCase struct {
	name          string
	heads, kv     int
	tied          bool
	checkpointing bool
}

var trainCases = []trainCase{
	{"MHA, untied", 4, 4, false, false},
	{"GQA, tied", 4, 2, true, false},
	{"MQA, tied, checkpointing", 4, 1, true, true},
	{"MHA, untied, checkpointing", 2, 2, false, true},
}

func (c *trainCase) config() llama.Config {
	return llama.Config{Dim: 8, NLayers: 2, NHeads: c.heads, NKVHeads: c.kv, HeadDim: 4, HiddenDim: 12, VocabSize: 11,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 100, TiedEmbeddings: c.tied}
}

// twoDocuments is a batch with two sequences, the first of which is of two
// documents; one row has no target, one no weight, the others unlike ones.
func twoDocuments(vocab int, seed uint64) *llama.TrainBatch {
	b := &llama.TrainBatch{
		Tokens: randomIDs(14, vocab, seed), Targets: randomIDs(14, vocab, seed+1), ZLoss: 0.01,
		Spans: []device.Span{{Row: 0, N: 3}, {Row: 3, N: 5}, {Row: 8, N: 6}},
	}
	b.Targets[2] = -1
	for i := range b.Tokens {
		b.Weights = append(b.Weights, 0.5+float32(i%3))
	}
	b.Weights[9] = 0
	return b
}

func trainModel(t testing.TB, d device.Trainer, c llama.Config, src llama.Source, opt llama.TrainOptions) *llama.TrainModel {
	t.Helper()
	m, err := llama.NewTrainModel(d, c, src, opt, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// exactLoss is a batch's summed loss in float64.
func exactLoss(m *llama.TrainModel, b *llama.TrainBatch) (sum float64) {
	logProb, lse := m.RowLosses(b)
	for i, lp := range ref.Data[float64](logProb) {
		if b.Targets[i] >= 0 {
			z := ref.Data[float64](lse)[i]
			sum += float64(b.Weights[i]) * (float64(b.ZLoss)*z*z - lp)
		}
	}
	return sum
}

// TestWholeModelGradients compares every gradient of the whole model with
// central differences of fourth order in float64.
func TestWholeModelGradients(t *testing.T) {
	const step = 0x1p-12
	for _, tc := range trainCases {
		t.Run(tc.name, func(t *testing.T) {
			c := tc.config()
			m := trainModel(t, ref.New[float64](), c, randomModel(t, c, tensor.F32, 3), llama.TrainOptions{Rows: 16, Checkpointing: tc.checkpointing})
			b := twoDocuments(c.VocabSize, 7)
			if _, err := m.Learn(b); err != nil {
				t.Fatal(err)
			}
			for _, p := range m.Params() {
				value, grad := ref.Data[float64](p.Param.Value()), slices.Clone(ref.Data[float64](p.Param.Grad()))
				for i, g := range grad {
					at := value[i]
					loss := func(steps float64) float64 {
						value[i] = at + steps*step
						return exactLoss(m, b)
					}
					want := (8*(loss(1)-loss(-1)) - (loss(2) - loss(-2))) / (12 * step)
					value[i] = at
					if e := math.Abs(g - want); !(e <= 1e-7*(1+math.Abs(want))) {
						t.Fatalf("%s, element %d: gradient %v, differences give %v", p.Name, i, g, want)
					}
				}
			}
		})
	}
}

// Gradients add up over batches: two halves give those of the whole.
func TestAccumulatedGradients(t *testing.T) {
	c := trainCases[1].config()
	src := randomModel(t, c, tensor.F32, 3)
	whole := trainModel(t, ref.New[float64](), c, src, llama.TrainOptions{Rows: 16})
	parts := trainModel(t, ref.New[float64](), c, src, llama.TrainOptions{Rows: 8})
	b := twoDocuments(c.VocabSize, 7)
	want, err := whole.Learn(b)
	if err != nil {
		t.Fatal(err)
	}
	var got llama.Loss
	for _, cut := range []struct{ lo, hi, span int }{{0, 8, 2}, {8, 14, 3}} {
		half := &llama.TrainBatch{Tokens: b.Tokens[cut.lo:cut.hi], Targets: b.Targets[cut.lo:cut.hi], Weights: b.Weights[cut.lo:cut.hi], ZLoss: b.ZLoss, Spans: b.Spans[:2]}
		if cut.lo > 0 {
			half.Spans = []device.Span{{Row: 0, N: 6}}
		}
		l, err := parts.Learn(half)
		if err != nil {
			t.Fatal(err)
		}
		got.Add(l)
	}
	if got.Tokens != 12 || want.Tokens != 12 || math.Abs(got.NLL-want.NLL) > 1e-5 || math.Abs(got.Z-want.Z) > 1e-5 {
		t.Errorf("the halves' loss is %+v, the whole's %+v; 12 rows have target and weight", got, want)
	}
	for i, p := range whole.Params() {
		closeTo(t, p.Name, ref.Data[float64](parts.Params()[i].Param.Grad()), ref.Data[float64](p.Param.Grad()), 1e-12)
	}
}

// closeTo compares element by element, against the largest wanted value.
func closeTo[T float32 | float64](t *testing.T, what string, got, want []T, tolerance float64) {
	t.Helper()
	var most, worst float64
	at := 0
	for i, w := range want {
		most = max(most, math.Abs(float64(w)))
		if e := math.Abs(float64(got[i]) - float64(w)); !(e <= worst) {
			worst, at = e, i
		}
	}
	if !(worst <= tolerance*most) {
		t.Errorf("%s: element %d is %v, want %v; off by %.2g of the largest", what, at, got[at], want[at], worst/most)
	}
}

// Rows of another document change nothing of a row's gradient or loss.
func TestDocumentsAreIsolated(t *testing.T) {
	c := trainCases[0].config()
	m := trainModel(t, ref.New[float64](), c, randomModel(t, c, tensor.F32, 3), llama.TrainOptions{Rows: 16})
	b := twoDocuments(c.VocabSize, 7)
	rows := func() []float64 {
		logProb, _ := m.RowLosses(b)
		return slices.Clone(ref.Data[float64](logProb))
	}
	before := rows()
	b.Tokens[1] = (b.Tokens[1] + 1) % int32(c.VocabSize)
	for i, after := range rows() {
		if sees := i == 1 || i == 2; b.Targets[i] >= 0 && (after != before[i]) != sees {
			t.Errorf("row %d has %v and had %v before another token of the first document was changed", i, after, before[i])
		}
	}
}

// The same weights predict the same in training as in inference.
func TestTrainingAgreesWithInference(t *testing.T) {
	c := smallConfig(tensor.F32)
	src := randomModel(t, c, tensor.F32, 3)
	ids := randomIDs(90, c.VocabSize, 6)
	logits := forwardAll(t, deviceModel(t, ref.New[float64](), c, src), tensor.F32, ids, func(int) int { return len(ids) })
	b := &llama.TrainBatch{Tokens: ids[:89], Targets: ids[1:], Spans: []device.Span{{N: 89}}}
	var want float64
	for i, id := range b.Targets {
		row := logits[i*c.VocabSize : (i+1)*c.VocabSize]
		var sum float64
		for _, l := range row {
			sum += math.Exp(float64(l))
		}
		want += math.Log(sum) - float64(row[id])
	}
	for _, d := range trainers(t) {
		m := trainModel(t, d, c, src, llama.TrainOptions{Rows: 90})
		for _, f := range []func(*llama.TrainBatch) (llama.Loss, error){m.Loss, m.Learn} {
			got, err := f(b)
			if err != nil {
				t.Fatal(err)
			}
			if e := math.Abs(got.NLL - want); got.Tokens != 89 || !(e < 1e-5*want) {
				t.Errorf("%s: loss %v of %d tokens; the logits of inference give %v", d.Name(), got.NLL, got.Tokens, want)
			}
		}
		f, err := m.Inference(llama.Options{})
		if err != nil {
			t.Fatal(err)
		}
		again := forwardAll(t, f, tensor.F32, ids, func(int) int { return len(ids) })
		closeTo(t, d.Name()+": logits of the shared model", again, logits, 1e-5)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// trainers are the f32 reference and every kernel set.
func trainers(t *testing.T) []device.Trainer {
	list := []device.Trainer{ref.New[float32]()}
	for _, set := range kernel.Sets() {
		d, err := cpu.New(cpu.Options{Workers: 2, Kernels: set.Name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		list = append(list, d)
	}
	return list
}

// Every kernel set gives the reference's gradients, with ragged sizes.
func TestGradientsAgainstReferenceDevice(t *testing.T) {
	c := smallConfig(tensor.F32)
	c.TiedEmbeddings = true
	src := randomModel(t, c, tensor.F32, 3)
	rng := rand.New(rand.NewPCG(1, 1))
	b := &llama.TrainBatch{Tokens: randomIDs(140, c.VocabSize, 6), Targets: randomIDs(140, c.VocabSize, 7), ZLoss: 1e-3,
		Spans: []device.Span{{N: 1}, {Row: 1, N: 70}, {Row: 71, N: 69}}}
	for range b.Tokens {
		b.Weights = append(b.Weights, rng.Float32())
	}
	exact := trainModel(t, ref.New[float64](), c, src, llama.TrainOptions{Rows: 140})
	want, err := exact.Learn(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range trainers(t) {
		for _, checkpointing := range []bool{false, true} {
			m := trainModel(t, d, c, src, llama.TrainOptions{Rows: 150, Checkpointing: checkpointing})
			got, err := m.Learn(b)
			if err != nil {
				t.Fatal(err)
			}
			if e := math.Abs(got.NLL-want.NLL) + math.Abs(got.Z-want.Z); !(e < 1e-5*want.NLL) {
				t.Errorf("%s: loss %+v, want %+v", d.Name(), got, want)
			}
			for i, p := range m.Params() {
				g, w := make([]float32, p.Rows*p.Cols), make([]float32, p.Rows*p.Cols)
				d.Download(g, p.Param.Grad())
				exact.Device().Download(w, exact.Params()[i].Param.Grad())
				closeTo(t, fmt.Sprintf("%s, checkpointing %v: %s", d.Name(), checkpointing, p.Name), g, w, 2e-5)
			}
		}
	}
}

// A batch that would read or write where it must not is refused by name.
func TestTrainBatchIsChecked(t *testing.T) {
	c := trainCases[0].config()
	m := trainModel(t, ref.New[float32](), c, randomModel(t, c, tensor.F32, 3), llama.TrainOptions{Rows: 14})
	for what, change := range map[string]func(*llama.TrainBatch){
		"token id 11 at row 3":              func(b *llama.TrainBatch) { b.Tokens[3] = 11 },
		"target -2 at row 4":                func(b *llama.TrainBatch) { b.Targets[4] = -2 },
		"13 targets":                        func(b *llama.TrainBatch) { b.Targets = b.Targets[:13] },
		"3 weights":                         func(b *llama.TrainBatch) { b.Weights = b.Weights[:3] },
		"span 1 ":                           func(b *llama.TrainBatch) { b.Spans[1].Row = 4 },
		"span 2 ":                           func(b *llama.TrainBatch) { b.Spans[2].Lo = 1 },
		"cover 8 rows":                      func(b *llama.TrainBatch) { b.Spans = b.Spans[:2] },
		"beyond the context of 16 tokens":   func(b *llama.TrainBatch) { b.Spans[2].Pos = 11 },
		"a batch of 15 rows":                func(b *llama.TrainBatch) { b.Tokens = append(b.Tokens, 1) },
		"a batch of 0 rows; the model was ": func(b *llama.TrainBatch) { b.Tokens = nil },
	} {
		b := twoDocuments(c.VocabSize, 1)
		change(b)
		if _, err := m.Learn(b); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("the error is %v, want %q in it", err, what)
		}
		if _, err := m.Loss(b); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("the error of Loss is %v, want %q in it", err, what)
		}
	}
}

// weighed counts what is allocated.
type weighed struct {
	*ref.Device[float32]
	bytes int64
}

func (w *weighed) Tensor(rows, cols int) (device.Tensor, error) {
	w.bytes += 4 * int64(rows*cols)
	return w.Device.Tensor(rows, cols)
}

func (w *weighed) NewParam(rows, cols int, products tensor.DType) (device.Param, error) {
	w.bytes += 8 * int64(rows*cols)
	return w.Device.NewParam(rows, cols, products)
}

// TrainBytes is what a model allocates, but for the rotary tables.
func TestTrainBytes(t *testing.T) {
	for _, tc := range trainCases {
		c := tc.config()
		d := &weighed{Device: ref.New[float32]()}
		opt := llama.TrainOptions{Rows: 37, Checkpointing: tc.checkpointing}
		trainModel(t, d, c, randomModel(t, c, tensor.F32, 3), opt)
		rotary := int64(4 * c.MaxSeqLen * c.HeadDim)
		if got := llama.TrainBytes(&c, opt) + rotary; got != d.bytes {
			t.Errorf("%s: TrainBytes says %d, %d were allocated", tc.name, got, d.bytes)
		}
	}
}
