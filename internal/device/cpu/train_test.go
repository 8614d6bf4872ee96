package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/tensor"
)

// script runs ops of training on a device with random numbers that are the same
// for every device, and notes what they write.
type script struct {
	t       testing.TB
	d       device.Trainer
	r       *rand.Rand
	guarded []device.Tensor // with a row of NaN before and behind
	names   []string
	results [][]float32
}

// tensor makes a random tensor between two rows of NaN.
func (s *script) tensor(rows, cols int) device.Tensor {
	s.t.Helper()
	whole, err := s.d.Tensor(rows+2, cols)
	if err != nil {
		s.t.Fatal(err)
	}
	s.guarded = append(s.guarded, whole)
	v := make([]float32, (rows+2)*cols)
	for i := range v {
		v[i] = float32(math.NaN())
		if i >= cols && i < (rows+1)*cols {
			v[i] = float32(s.r.NormFloat64())
		}
	}
	s.d.Upload(whole, v)
	return whole.Slice(1, rows+1)
}

// param makes a random parameter with a random gradient.
func (s *script) param(rows, cols int) device.Param {
	s.t.Helper()
	p, err := s.d.NewParam(rows, cols, tensor.F32)
	if err != nil {
		s.t.Fatal(err)
	}
	v := make([]float32, rows*cols)
	for i := range v {
		v[i] = float32(s.r.NormFloat64())
	}
	s.d.UploadParam(p, v)
	s.d.Copy(p.Grad(), s.tensor(rows, cols))
	return p
}

// scale multiplies x.
func (s *script) scale(x device.Tensor, factor float64) {
	zero := s.tensor(x.Rows, x.Cols)
	s.d.Zero(zero)
	s.d.Lerp(x, zero, 1-float32(factor))
}

func (s *script) note(name string, x device.Tensor) {
	v := make([]float32, x.Rows*x.Cols)
	s.d.Download(v, x)
	s.names, s.results = append(s.names, name), append(s.results, v)
}

// finish ends the step and looks at the guards.
func (s *script) finish() {
	s.t.Helper()
	if err := s.d.End(); err != nil {
		s.t.Fatal(err)
	}
	for _, g := range s.guarded {
		v := make([]float32, g.Rows*g.Cols)
		s.d.Download(v, g)
		for i := range g.Cols {
			if v[i] == v[i] || v[len(v)-1-i] == v[len(v)-1-i] {
				s.t.Fatalf("a (%d, %d) tensor was written beyond its rows", g.Rows-2, g.Cols)
			}
		}
	}
}

// sizes of the ragged shapes that ops are tried with.
type sizes struct{ rows, dim, out, vocab, headDim, kvHeads, group int }

var trainSizes = []sizes{
	{1, 1, 1, 1, 2, 1, 1},
	{7, 13, 5, 17, 2, 1, 3},
	{130, 48, 70, 155, 6, 2, 2},
	{300, 49, 40, 131, 16, 3, 1},
	{601, 72, 33, 40, 24, 1, 2},
	{1100, 4, 6, 9, 2, 1, 2},
}

func trainScripts(z sizes) map[string]func(*script) {
	return map[string]func(*script){
		"rows":      func(s *script) { rowScript(s, z) },
		"products":  func(s *script) { productScript(s, z) },
		"attention": func(s *script) { attentionScript(s, z) },
		"losses":    func(s *script) { lossScript(s, z) },
		"optimiser": func(s *script) { optimiserScript(s, z) },
	}
}

func rowScript(s *script, z sizes) {
	x, dx, dy, gain := s.tensor(z.rows, z.dim), s.tensor(z.rows, z.dim), s.tensor(z.rows, z.dim), s.param(1, z.dim)
	y := s.tensor(z.rows, z.dim)
	s.d.RMSNorm(y, x, gain, 1e-3)
	s.note("norm", y)
	s.d.RMSNormBackward(dx, dy, x, gain, 1e-3)
	s.note("norm's dx", dx)
	s.note("norm's dgain", gain.Grad())
	s.d.RMSNormBackward(dx, dy, x, s.d.Frozen(gain), 1e-3)
	s.note("norm's dx with a frozen gain", dx)
	s.note("a frozen gain", gain.Grad())

	gate, up := s.tensor(z.rows, z.dim), s.tensor(z.rows, z.dim)
	a, b := s.tensor(z.rows, z.dim), s.tensor(z.rows, z.dim)
	s.d.SwiGLUBackward(a, b, dy, gate, up)
	s.note("dgate", a)
	s.note("dup", b)
	s.d.SwiGLUBackward(gate, up, dy, gate, up)
	s.note("dgate in place", gate)
	s.note("dup in place", up)

	cols := z.headDim * z.group
	v, cos, sin := s.tensor(z.rows, cols), s.tensor(z.rows+3, z.headDim/2), s.tensor(z.rows+3, z.headDim/2)
	half := z.rows / 2
	s.d.RoPEBackward(v, z.headDim, []device.Span{{N: half, Pos: 3}, {Row: half, N: z.rows - half}}, cos, sin, 0.3)
	s.note("rope", v)

	table, ids := s.param(z.out, z.dim), make([]int32, z.rows)
	for i := range ids {
		ids[i] = int32(s.r.IntN(z.out))
	}
	s.d.Embed(y, table, ids)
	s.note("embedding", y)
	s.d.EmbedBackward(table, dy, ids)
	s.note("embedding's gradient", table.Grad())

	s.d.Lerp(y, x, 0.125)
	s.note("lerp", y)
	s.d.Copy(y, dy)
	s.d.Zero(dy)
	s.note("copy", y)
	s.note("zero", dy)
	s.names, s.results = append(s.names, "sum of squares"), append(s.results, []float32{float32(s.d.SumSquares(y))})
}

func productScript(s *script, z sizes) {
	x, frozen := s.tensor(z.rows, z.dim), s.param(z.vocab, z.dim)
	w := []device.Weight{s.param(z.out, z.dim), s.d.Frozen(frozen), s.param(z.headDim, z.dim)}
	y := []device.Tensor{s.tensor(z.rows, z.out), s.tensor(z.rows, z.vocab), s.tensor(z.rows, z.headDim)}
	dx := s.tensor(z.rows, z.dim)
	s.d.MatMul(y, x, w)
	for i := range y {
		s.note(fmt.Sprintf("product %d", i), y[i])
	}
	dy := []device.Tensor{s.tensor(z.rows, z.out), s.tensor(z.rows, z.vocab), s.tensor(z.rows, z.headDim)}
	s.d.MatMulBackward(dx, dy, x, w)
	s.note("dx", dx)
	s.d.MatMulBackward(device.Tensor{}, dy[:1], x, w[:1])
	s.note("first dw", w[0].(device.Param).Grad())
	s.note("third dw", w[2].(device.Param).Grad())
	s.note("a frozen matrix", frozen.Grad())
}

// attentionScript has one document that is cut into several chunks where there
// are rows for it, one whose first rows see nothing, a row in no span, and short
// ones.
func attentionScript(s *script, z sizes) {
	spans := []device.Span{{N: z.rows - z.rows/3, Pos: 2, Lo: 2}}
	for row, n := spans[0].N, 1; row < z.rows; row, n = row+n+n%2, n*2 {
		n := min(n, z.rows-row)
		spans = append(spans, device.Span{Row: row, N: n, Pos: row, Lo: row + n/3})
	}
	heads := z.kvHeads * z.group
	q, k, v := s.tensor(z.rows, heads*z.headDim), s.tensor(z.rows, z.kvHeads*z.headDim), s.tensor(z.rows, z.kvHeads*z.headDim)
	s.scale(q, 1/math.Sqrt(float64(z.headDim)))
	y, lse, dy := s.tensor(z.rows, heads*z.headDim), s.tensor(z.rows, heads), s.tensor(z.rows, heads*z.headDim)
	s.d.SelfAttention(y, lse, q, k, v, z.headDim, spans)
	s.note("attention", y)
	s.note("log-sum-exp", lse)
	dq, dk, dv := s.tensor(z.rows, heads*z.headDim), s.tensor(z.rows, z.kvHeads*z.headDim), s.tensor(z.rows, z.kvHeads*z.headDim)
	s.d.SelfAttentionBackward(dq, dk, dv, dy, y, lse, q, k, v, z.headDim, spans)
	s.note("dq", dq)
	s.note("dk", dk)
	s.note("dv", dv)
}

func lossScript(s *script, z sizes) {
	x, dx, head := s.tensor(z.rows, z.dim), s.tensor(z.rows, z.dim), s.param(z.vocab, z.dim)
	s.scale(head.Value(), 2/math.Sqrt(float64(z.dim))) // logits have a deviation of two
	targets, weights := make([]int32, z.rows), make([]float32, z.rows)
	for i := range targets {
		targets[i], weights[i] = int32(s.r.IntN(z.vocab+1))-1, float32(s.r.IntN(4))-0.5
		if i%5 == 3 {
			weights[i] = 0
		}
	}
	column := func() device.Tensor { return s.tensor(z.rows, 1) }
	out := device.LogProbs{LogProb: column(), Entropy: column(), LSE: column()}
	s.d.TokenLogProbs(out, x, head, targets)
	s.note("logprob", out.LogProb)
	s.note("entropy", out.Entropy)
	s.note("lse", out.LSE)
	s.d.TokenLogProbsBackward(dx, device.LogProbGrads{LogProb: column(), Entropy: column(), LSE: column()}, out, x, head, targets)
	s.note("dhidden", dx)
	s.note("dhead", head.Grad())
	s.d.TokenLogProbsBackward(dx, device.LogProbGrads{LogProb: column()}, device.LogProbs{LSE: out.LSE}, x, s.d.Frozen(head), targets)
	s.note("dhidden of the log-probability", dx)
	s.note("a frozen head", head.Grad())
	only := column()
	s.d.TokenLogProbs(device.LogProbs{LogProb: only}, x, s.d.Frozen(head), targets)
	s.note("logprob of a frozen head", only)

	loss := device.LogProbs{LogProb: out.LogProb, LSE: out.LSE}
	s.d.CrossEntropy(loss, dx, x, head, targets, weights, 0.01)
	s.note("cross-entropy's logprob", out.LogProb)
	s.note("cross-entropy's lse", out.LSE)
	s.note("cross-entropy's dhidden", dx)
	s.note("cross-entropy's dhead", head.Grad())
	for i := range weights { // all rows are computed
		targets[i], weights[i] = int32(s.r.IntN(z.vocab)), 1
	}
	s.d.CrossEntropy(loss, dx, x, head, targets, weights, 0)
	s.note("dhidden of all rows", dx)
	s.note("dhead of all rows", head.Grad())
}

func optimiserScript(s *script, z sizes) {
	p := s.param(z.rows, z.dim)
	m, v := s.tensor(z.rows, z.dim), s.tensor(z.rows, z.dim)
	s.d.Zero(m)
	s.d.Zero(v)
	for i := range 3 {
		t := float64(i + 1)
		s.d.Copy(p.Grad(), s.tensor(z.rows, z.dim))
		s.d.AdamW(p, m, v, device.AdamWStep{LR: 0.01, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, GradScale: 0.3,
			Correction1: float32(1 - math.Pow(0.9, t)), Correction2: float32(1 - math.Pow(0.95, t))})
	}
	s.note("parameter", p.Value())
	s.note("gradient", p.Grad())
	s.note("first moment", m)
	s.note("second moment", v)
}

// runScript returns what a script noted on a device.
func runScript(t *testing.T, d device.Trainer, f func(*script)) *script {
	t.Helper()
	s := &script{t: t, d: d, r: rand.New(rand.NewPCG(5, 6))}
	d.Begin()
	f(s)
	s.finish()
	return s
}

// trainTolerance bounds errors relative to the root mean square of a result's
// elements, or to the element where that is larger, and at least to trainFloor:
// what cancels is made of numbers about 1.
const (
	trainTolerance = 1e-5
	trainFloor     = 0.05
)

// Every op gives the reference's numbers in float64 with every kernel set, and the
// same bits with any number of workers.
func TestTraining(t *testing.T) {
	for i, z := range trainSizes {
		if testing.Short() && i > 2 {
			break
		}
		for name, f := range trainScripts(z) {
			want := runScript(t, ref.New[float64](), f)
			for _, set := range kernel.Sets() {
				t.Run(fmt.Sprintf("%s/%d/%s", name, z.rows, set.Name), func(t *testing.T) {
					one := onWorkers(t, set.Name, 1, f)
					compareResults(t, one, want)
					for workers := 2; workers <= 3; workers++ {
						mustEqualResults(t, workers, onWorkers(t, set.Name, workers, f), one)
					}
				})
			}
		}
	}
}

func onWorkers(t *testing.T, set string, workers int, f func(*script)) *script {
	t.Helper()
	d, err := cpu.New(cpu.Options{Workers: workers, Kernels: set})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return runScript(t, d, f)
}

func mustEqualResults(t *testing.T, workers int, got, one *script) {
	t.Helper()
	for i := range one.results {
		for j, v := range one.results[i] {
			if math.Float32bits(v) != math.Float32bits(got.results[i][j]) {
				t.Fatalf("%s: element %d is %v with one worker, %v with %d", one.names[i], j, v, got.results[i][j], workers)
			}
		}
	}
}

func compareResults(t *testing.T, got, want *script) {
	t.Helper()
	for i, name := range want.names {
		var squares float64
		for _, v := range want.results[i] {
			squares += float64(v) * float64(v)
		}
		rms := math.Sqrt(squares / float64(len(want.results[i])))
		worst, at := 0.0, 0
		for j, w := range want.results[i] {
			e := math.Abs(float64(got.results[i][j]-w)) / max(rms, math.Abs(float64(w)), trainFloor)
			if !(e <= worst) { // NaN, too
				worst, at = e, j
			}
		}
		if !(worst <= trainTolerance) {
			t.Errorf("%s: element %d is %v, want %v (root mean square %v), off by %.2g", name, at, got.results[i][at], want.results[i][at], rms, worst)
		}
	}
}
