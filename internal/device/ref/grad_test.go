package ref

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/tensor"
)

// gradients checks every element of analytic gradients against central
// differences of a scalar in float64.
type gradients struct {
	t    *testing.T
	d    *Device[float64]
	r    *rand.Rand
	loss func() float64
}

func newGradients(t *testing.T) *gradients {
	return &gradients{t: t, d: New[float64](), r: rand.New(rand.NewPCG(4, 2))}
}

func (g *gradients) tensor(rows, cols int) device.Tensor {
	x := made(g.t, g.d, rows, cols, nil)
	for i := range Data[float64](x) {
		Data[float64](x)[i] = g.r.NormFloat64()
	}
	return x
}

func (g *gradients) param(rows, cols int) device.Param {
	p := madeParam(g.t, g.d, rows, cols, nil)
	g.d.Copy(p.Value(), g.tensor(rows, cols))
	return p
}

// check compares got, plus what was there before, with the differences of x.
func (g *gradients) check(what string, x, got device.Tensor, before []float64) {
	g.t.Helper()
	const h = 1e-5
	want := make([]float64, x.Rows*x.Cols)
	largest := 0.0
	for i := range want {
		v := &Data[float64](x)[i]
		old := *v
		*v = old + h
		up := g.loss()
		*v = old - h
		down := g.loss()
		*v = old
		want[i] = (up - down) / (2 * h)
		largest = max(largest, math.Abs(want[i]))
		if before != nil {
			want[i] += before[i]
		}
	}
	if largest < 1e-3 {
		g.t.Fatalf("%s: all differences are below %g", what, largest)
	}
	near(g.t, what, got, want, 1e-8)
}

// sum is <c, y>.
func sum(c, y device.Tensor) float64 { return dot(Data[float64](c), Data[float64](y)) }

// clone copies the values of a tensor.
func clone(x device.Tensor) []float64 { return append([]float64(nil), Data[float64](x)...) }

// fill makes a gradient that is not zero, so that adding to it is seen.
func (g *gradients) fill(x device.Tensor) []float64 {
	g.d.Copy(x, g.tensor(x.Rows, x.Cols))
	return clone(x)
}

func TestGradMatMul(t *testing.T) {
	g := newGradients(t)
	x, w := g.tensor(3, 4), []device.Param{g.param(2, 4), g.param(5, 4)}
	frozen := load(t, g.d, 3, 4, 1, 2, -3, 4, 5, -6, 7, 8, 9, -10, 11, 12)
	list := []device.Weight{w[0], frozen, w[1]}
	c := []device.Tensor{g.tensor(3, 2), g.tensor(3, 3), g.tensor(3, 5)}
	y := []device.Tensor{g.tensor(3, 2), g.tensor(3, 3), g.tensor(3, 5)}
	g.loss = func() float64 {
		g.d.MatMul(y, x, list)
		return sum(c[0], y[0]) + sum(c[1], y[1]) + sum(c[2], y[2])
	}
	before := [][]float64{g.fill(w[0].Grad()), g.fill(w[1].Grad())}
	dx := g.tensor(3, 4)
	g.d.MatMulBackward(dx, c, x, list)
	g.check("dx", x, dx, nil)
	g.check("first dw", w[0].Value(), w[0].Grad(), before[0])
	g.check("second dw", w[1].Value(), w[1].Grad(), before[1])

	before[0] = clone(w[0].Grad())
	g.d.MatMulBackward(device.Tensor{}, c[:1], x, list[:1])
	g.loss = func() float64 {
		g.d.MatMul(y[:1], x, list[:1])
		return sum(c[0], y[0])
	}
	g.check("dw without dx", w[0].Value(), w[0].Grad(), before[0])
}

func TestGradRMSNorm(t *testing.T) {
	g := newGradients(t)
	x, gain, c, y := g.tensor(3, 6), g.param(1, 6), g.tensor(3, 6), g.tensor(3, 6)
	g.loss = func() float64 {
		g.d.RMSNorm(y, x, gain, 0.01)
		return sum(c, y)
	}
	dx := g.tensor(3, 6)
	before, beforeGain := clone(dx), g.fill(gain.Grad())
	g.d.RMSNormBackward(dx, c, x, gain, 0.01)
	g.check("dx", x, dx, before)
	g.check("dgain", gain.Value(), gain.Grad(), beforeGain)
}

func TestGradSwiGLU(t *testing.T) {
	g := newGradients(t)
	gate, up, c, y := g.tensor(3, 7), g.tensor(3, 7), g.tensor(3, 7), g.tensor(3, 7)
	g.loss = func() float64 {
		g.d.SwiGLU(y, gate, up)
		return sum(c, y)
	}
	dgate, dup := g.tensor(3, 7), g.tensor(3, 7)
	g.d.SwiGLUBackward(dgate, dup, c, gate, up)
	g.check("dgate", gate, dgate, nil)
	g.check("dup", up, dup, nil)
}

func TestGradRoPE(t *testing.T) {
	g := newGradients(t)
	x, c, y := g.tensor(5, 8), g.tensor(5, 8), g.tensor(5, 8)
	cos, sin := g.tensor(9, 2), g.tensor(9, 2)
	spans := []device.Span{{N: 3, Pos: 6}, {Row: 3, N: 2}}
	g.loss = func() float64 {
		g.d.Copy(y, x)
		g.d.RoPE(y, 4, spans, cos, sin, 0.5)
		return sum(c, y)
	}
	dx := made(t, g.d, 5, 8, clone(c))
	g.d.RoPEBackward(dx, 4, spans, cos, sin, 0.5)
	g.check("dx", x, dx, nil)
}

func TestGradEmbed(t *testing.T) {
	g := newGradients(t)
	table, c, y := g.param(6, 3), g.tensor(5, 3), g.tensor(5, 3)
	ids := []int32{4, 0, 4, 5, 4}
	g.loss = func() float64 {
		g.d.Embed(y, table, ids)
		return sum(c, y)
	}
	before := g.fill(table.Grad())
	g.d.EmbedBackward(table, c, ids)
	g.check("table", table.Value(), table.Grad(), before)
}

func TestGradSelfAttention(t *testing.T) {
	for _, heads := range [][2]int{{1, 1}, {4, 2}, {6, 1}, {3, 3}} {
		t.Run(fmt.Sprint(heads), func(t *testing.T) {
			const h, rows = 4, 14
			g := newGradients(t)
			// One document at its beginning, one in its middle, one whose first rows
			// see nothing, and one of a single row; row 10 is in none.
			spans := []device.Span{{N: 4}, {Row: 4, N: 3, Pos: 7, Lo: 7}, {Row: 7, N: 3, Pos: 1, Lo: 2}, {Row: 11, N: 3, Pos: 5, Lo: 3}}
			q, k, v := g.tensor(rows, heads[0]*h), g.tensor(rows, heads[1]*h), g.tensor(rows, heads[1]*h)
			c, y, lse := g.tensor(rows, heads[0]*h), g.tensor(rows, heads[0]*h), g.tensor(rows, heads[0])
			g.loss = func() float64 {
				g.d.SelfAttention(y, lse, q, k, v, h, spans)
				return sum(c, y)
			}
			g.loss()
			near(t, "a row that sees nothing", y.Slice(7, 8), make([]float64, y.Cols), 0)
			near(t, "a row in no span", y.Slice(10, 11), make([]float64, y.Cols), 0)
			dq, dk, dv := g.tensor(rows, heads[0]*h), g.tensor(rows, heads[1]*h), g.tensor(rows, heads[1]*h)
			g.d.SelfAttentionBackward(dq, dk, dv, c, y, lse, q, k, v, h, spans)
			g.check("dq", q, dq, nil)
			g.check("dk", k, dk, nil)
			g.check("dv", v, dv, nil)
		})
	}
}

// Attention without a cache is attention with one that has just been filled.
func TestSelfAttentionIsAttention(t *testing.T) {
	const h, rows, n = 4, 9, device.PageTokens + 9
	g := newGradients(t)
	kv, err := g.d.NewKV(device.KVConfig{Layers: 1, KVHeads: 2, HeadDim: h, Pages: 3, Type: tensor.F32})
	if err != nil {
		t.Fatal(err)
	}
	q, k, v := g.tensor(rows, 4*h), g.tensor(rows, 2*h), g.tensor(rows, 2*h)
	want, got, lse := g.tensor(rows, 4*h), g.tensor(rows, 4*h), g.tensor(rows, 4)
	spans := []device.Span{{N: 6, Pos: n - 9, Lo: n - 9, Pages: []int32{2, 0}}, {Row: 6, N: 3, Pages: []int32{1}}}
	g.d.StoreKV(kv, 0, k, v, spans)
	g.d.Attention(want, q, kv, 0, spans)
	g.d.SelfAttention(got, lse, q, k, v, h, spans)
	near(t, "attention", got, clone(want), exact)
}

func TestGradTokenLogProbs(t *testing.T) {
	const rows, dim, vocab = 4, 5, 7
	targets := []int32{2, -1, 6, 0}
	for _, wanted := range []struct{ logProb, entropy, lse float64 }{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 1}} {
		t.Run(fmt.Sprint(wanted), func(t *testing.T) {
			g := newGradients(t)
			x, head := g.tensor(rows, dim), g.param(vocab, dim)
			out := device.LogProbs{LogProb: g.tensor(rows, 1), Entropy: g.tensor(rows, 1), LSE: g.tensor(rows, 1)}
			var d device.LogProbGrads
			for _, p := range []struct {
				d      *device.Tensor
				factor float64
			}{{&d.LogProb, wanted.logProb}, {&d.Entropy, wanted.entropy}, {&d.LSE, wanted.lse}} {
				if p.factor != 0 {
					*p.d = g.tensor(rows, 1)
				}
			}
			g.loss = func() (l float64) {
				g.d.TokenLogProbs(out, x, head, targets)
				for _, p := range [][2]device.Tensor{{d.LogProb, out.LogProb}, {d.Entropy, out.Entropy}, {d.LSE, out.LSE}} {
					if p[0].Mem != nil {
						l += sum(p[0], p[1])
					}
				}
				return l
			}
			g.loss()
			before, dx := g.fill(head.Grad()), g.tensor(rows, dim)
			g.d.TokenLogProbsBackward(dx, d, out, x, head, targets)
			g.check("dhidden", x, dx, nil)
			g.check("dhead", head.Value(), head.Grad(), before)
		})
	}
}

func TestGradCrossEntropy(t *testing.T) {
	const rows, dim, vocab = 5, 4, 6
	targets, weights := []int32{2, -1, 5, 0, 1}, []float32{1, 1, 0.5, 0, -2}
	for _, z := range []float32{0, 0.125} {
		g := newGradients(t)
		x, head := g.tensor(rows, dim), g.param(vocab, dim)
		out := device.LogProbs{LogProb: g.tensor(rows, 1), LSE: g.tensor(rows, 1)}
		dx, scratch := g.tensor(rows, dim), g.tensor(rows, dim)
		before := g.fill(head.Grad())
		g.d.CrossEntropy(out, dx, x, head, targets, weights, z)
		dhead := made(t, g.d, vocab, dim, clone(head.Grad()))
		g.loss = func() (l float64) {
			g.d.CrossEntropy(out, scratch, x, head, targets, weights, z)
			for i, w := range weights {
				lse := Data[float64](out.LSE)[i]
				l += float64(w) * (float64(z)*lse*lse - Data[float64](out.LogProb)[i])
			}
			return l
		}
		g.check("dhidden", x, dx, nil)
		g.check("dhead", head.Value(), dhead, before)
		near(t, "a row without a target", dx.Slice(1, 2), make([]float64, dim), 0)
		near(t, "a row without a weight", dx.Slice(3, 4), make([]float64, dim), 0)
	}
}

func TestSimpleOps(t *testing.T) {
	d := New[float32]()
	x, y := upload(t, d, 1, 3, 1, 2, 3), upload(t, d, 1, 3, 5, 6, -1)
	d.Lerp(y, x, 0.25)
	check(t, d, "lerp", y, 4, 5, 0)
	if s := d.SumSquares(y); s != 41 {
		t.Errorf("the sum of squares is %v, want 41", s)
	}
	d.Copy(x, y)
	d.Zero(y)
	check(t, d, "copy", x, 4, 5, 0)
	check(t, d, "zero", y, 0, 0, 0)

	p, err := d.NewParam(1, 3, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	frozen := d.Frozen(p)
	d.UploadParam(p, []float32{2, 3, 4})
	out := upload(t, d, 1, 1)
	d.MatMul([]device.Tensor{out}, x, []device.Weight{frozen})
	check(t, d, "the product with later values", out, 23)
	if frozen.DType() != tensor.F32 {
		t.Errorf("a frozen parameter is of type %s", frozen.DType())
	}
}
