package cpu_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/tensor"
)

// normal makes a tensor of random numbers.
func normal(t *testing.T, d device.Device, r *rand.Rand, rows, cols int) device.Tensor {
	t.Helper()
	x, err := d.Tensor(rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	v := make([]float32, rows*cols)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	d.Upload(x, v)
	return x
}

// Gradients go through read-only matrices of every type, packed or mapped, and
// through a head of every type: LoRA, and preference training of quantised models.
func TestBackwardThroughFrozen(t *testing.T) {
	sets := kernel.Sets()
	if testing.Short() {
		sets = sets[len(sets)-1:]
	}
	const rows, dim, out = 3, 512, 2*1100 + 5 // more than dequantElems at once
	for _, dt := range tensor.WeightTypes() {
		src, _ := fileWeight(t, dt, out, dim)
		oracle := ref.New[float64]()
		plain, err := oracle.Load(src)
		if err != nil {
			t.Fatal(err)
		}
		want := frozenGradients(t, oracle, rand.New(rand.NewPCG(3, 4)), plain, rows)
		small, _ := fileWeight(t, dt, 197, 256)
		for _, set := range sets {
			for _, stream := range []bool{false, true} {
				name := set.Name + "/" + dt.String()
				if stream {
					name += "/mapped"
				}
				t.Run(name, func(t *testing.T) {
					d, err := cpu.New(cpu.Options{Workers: 2, Kernels: set.Name, Stream: stream})
					if err != nil {
						t.Fatal(err)
					}
					defer d.Close()
					w, err := d.Load(src)
					if err != nil {
						t.Fatal(err)
					}
					head, err := d.Load(small)
					if err != nil {
						t.Fatal(err)
					}
					d.Begin()
					got := frozenGradients(t, d, rand.New(rand.NewPCG(3, 4)), w, rows)
					if err := d.End(); err != nil {
						t.Fatal(err)
					}
					compareResults(t, got, want)
					headAgainstLogits(t, d, head)
				})
			}
		}
	}
}

func frozenGradients(t *testing.T, d device.Trainer, r *rand.Rand, w device.Weight, rows int) *script {
	out, dim := w.Shape()
	s := &script{t: t, d: d, r: r}
	dx, dy, x := normal(t, d, r, rows, dim), normal(t, d, r, rows, out), normal(t, d, r, rows, dim)
	d.MatMulBackward(dx, []device.Tensor{dy}, x, []device.Weight{w})
	s.note("dx", dx)
	d.MatMulBackward(device.Tensor{}, []device.Tensor{dy}, x, []device.Weight{w})
	return s
}

// headAgainstLogits compares a head's log-probabilities and gradients with those
// of the logits that MatMul gives with it: products with quantised weights round
// their activations, in both.
func headAgainstLogits(t *testing.T, d *cpu.Device, head device.Weight) {
	t.Helper()
	const rows = 5
	vocab, dim := head.Shape()
	r := rand.New(rand.NewPCG(7, 8))
	x, dx, dlogit := normal(t, d, r, rows, dim), normal(t, d, r, rows, dim), normal(t, d, r, rows, vocab)
	logits := normal(t, d, r, rows, vocab)
	targets := []int32{3, 0, -1, int32(vocab - 1), 77}
	got := &script{d: d}
	d.Begin()
	d.Lerp(x, dx, 0.9) // dx is scratch here
	d.MatMul([]device.Tensor{logits}, x, []device.Weight{head})
	column := func() device.Tensor { return normal(t, d, r, rows, 1) }
	out := device.LogProbs{LogProb: column(), Entropy: column(), LSE: column()}
	d.TokenLogProbs(out, x, head, targets)
	got.note("logprob", out.LogProb)
	got.note("entropy", out.Entropy)
	got.note("lse", out.LSE)
	g := device.LogProbGrads{LogProb: column(), Entropy: column(), LSE: column()}
	d.TokenLogProbsBackward(dx, g, out, x, head, targets)
	got.note("dhidden", dx)

	// The oracle's hidden states are the logits, its head the identity: its
	// gradients are those of the logits.
	o := ref.New[float64]()
	host := func(x device.Tensor) device.Tensor {
		v := make([]float32, x.Rows*x.Cols)
		d.Download(v, x)
		y, _ := o.Tensor(x.Rows, x.Cols)
		o.Upload(y, v)
		return y
	}
	identity, _ := o.NewParam(vocab, vocab, tensor.F32)
	for i := range vocab {
		ref.Data[float64](identity.Value())[i*vocab+i] = 1
	}
	wantOut := device.LogProbs{LogProb: host(out.LogProb), Entropy: host(out.Entropy), LSE: host(out.LSE)}
	hidden, dhidden := host(logits), host(logits)
	o.TokenLogProbs(wantOut, hidden, identity, targets)
	o.TokenLogProbsBackward(dhidden, device.LogProbGrads{LogProb: host(g.LogProb), Entropy: host(g.Entropy), LSE: host(g.LSE)}, wantOut, hidden, identity, targets)
	v := make([]float32, rows*vocab)
	o.Download(v, dhidden)
	d.Upload(dlogit, v)
	d.MatMulBackward(dx, []device.Tensor{dlogit}, x, []device.Weight{head})
	want := &script{d: d}
	for _, x := range []device.Tensor{wantOut.LogProb, wantOut.Entropy, wantOut.LSE} {
		want.names, want.results = append(want.names, ""), append(want.results, nil)
		y := make([]float32, rows)
		o.Download(y, x)
		want.results[len(want.results)-1] = y
	}
	want.note("dhidden", dx)
	copy(want.names, got.names)
	if err := d.End(); err != nil {
		t.Fatal(err)
	}
	compareResults(t, got, want)
}

// A step of training allocates nothing once it has run.
func TestTrainingAllocatesNothing(t *testing.T) {
	const rows, dim, vocab, headDim = 300, 48, 500, 8
	d, err := cpu.New(cpu.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := rand.New(rand.NewPCG(1, 1))
	tensorOf := func(cols int) device.Tensor { return normal(t, d, r, rows, cols) }
	param := func(rows, cols int) device.Param {
		p, err := d.NewParam(rows, cols, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	src, _ := fileWeight(t, tensor.Q4_0, 64, 64)
	q4, err := d.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	x, y, dx, q, k, v, dq, dk, dv := tensorOf(dim), tensorOf(dim), tensorOf(dim), tensorOf(dim), tensorOf(headDim), tensorOf(headDim), tensorOf(dim), tensorOf(headDim), tensorOf(headDim)
	lse, wide, dwide := tensorOf(dim/headDim), tensorOf(64), tensorOf(64)
	out := device.LogProbs{LogProb: tensorOf(1), Entropy: tensorOf(1), LSE: tensorOf(1)}
	grads := device.LogProbGrads{LogProb: out.LogProb}
	gain, table, wq, wk := param(1, dim), param(vocab, dim), param(dim, dim), param(headDim, dim)
	m, s := normal(t, d, r, vocab, dim), normal(t, d, r, vocab, dim)
	cos, sin := tensorOf(headDim/2), tensorOf(headDim/2)
	ids, targets, weights := make([]int32, rows), make([]int32, rows), make([]float32, rows)
	for i := range ids {
		ids[i], targets[i], weights[i] = int32(r.IntN(vocab)), int32(r.IntN(vocab)), float32(i%3)
	}
	spans := []device.Span{{N: 290}, {Row: 290, N: 10}}
	ys, ws, dys, frozen := []device.Tensor{q, k}, []device.Weight{wq, wk}, []device.Tensor{dwide}, []device.Weight{q4}
	n := testing.AllocsPerRun(5, func() {
		d.Begin()
		d.Embed(x, table, ids)
		d.RMSNorm(y, x, gain, 1e-5)
		d.MatMul(ys, y, ws)
		d.RoPE(q, headDim, spans, cos, sin, 1)
		d.SelfAttention(y, lse, q, k, v, headDim, spans)
		d.SwiGLU(x, y, y)
		d.TokenLogProbs(out, x, table, targets)
		d.TokenLogProbsBackward(dx, grads, out, x, table, targets)
		d.CrossEntropy(out, dx, x, table, targets, weights, 1e-4)
		d.SwiGLUBackward(x, y, dx, x, y)
		d.SelfAttentionBackward(dq, dk, dv, dx, y, lse, q, k, v, headDim, spans)
		d.RoPEBackward(dq, headDim, spans, cos, sin, 1)
		d.MatMulBackward(dx, ys, x, ws)
		d.MatMulBackward(wide, dys, wide, frozen)
		d.RMSNormBackward(dx, x, y, gain, 1e-5)
		d.EmbedBackward(table, dx, ids)
		d.SumSquares(table.Grad())
		d.AdamW(table, m, s, device.AdamWStep{Correction1: 1, Correction2: 1})
		d.Lerp(m, s, 0.5)
		d.Copy(m, s)
		d.Zero(m)
		if err := d.End(); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}

// What a step makes of numbers that are none shows in its results.
func TestTrainingShowsNaN(t *testing.T) {
	d, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := rand.New(rand.NewPCG(1, 1))
	head, err := d.NewParam(40, 8, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	x := normal(t, d, r, 3, 8)
	d.Upload(x.Slice(1, 2), []float32{0, 0, 0, float32(math.NaN()), 0, 0, 0, 0})
	y, lse, loss := normal(t, d, r, 3, 8), normal(t, d, r, 3, 1), normal(t, d, r, 3, 1)
	d.Begin()
	d.SelfAttention(y, lse, x, x, x, 8, []device.Span{{N: 3}})
	d.CrossEntropy(device.LogProbs{LogProb: loss}, y, x, head, []int32{1, 2, 3}, []float32{1, 1, 1}, 0)
	if err := d.End(); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]device.Tensor{"log-sum-exp of attention": lse, "log-probability": loss} {
		v := make([]float32, 3)
		d.Download(v, x)
		if v[0] != v[0] || v[1] == v[1] {
			t.Errorf("%s with NaN in the second row: %v", name, v)
		}
	}
	if s := d.SumSquares(head.Grad()); s == s {
		t.Errorf("the head's gradient has squares of %v", s)
	}
}
