package ref

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/tensor"
)

// goldens are PyTorch's results in float64 (testdata/torch/gen.py).
type goldens struct {
	AdamW struct {
		Start, M, V   []float64
		Grads, Values [][]float64
	}
	RMSNorm   struct{ X, Gain, DY, Y, DX, DGain []float64 }
	SwiGLU    struct{ Gate, Up, DY, Y, DGate, DUp []float64 }
	Attention struct{ Q, K, V, DY, Y, DQ, DK, DV []float64 }
	Head      struct {
		Hidden, Head          []float64
		Targets               []int32
		Weights               []float32
		Z                     float32
		LogProb, Entropy, LSE []float64
		CE                    struct {
			Loss           float64
			DHidden, DHead []float64
		}
		All struct{ DLogProb, DEntropy, DLSE, DHidden, DHead []float64 }
	}
}

func torch(t *testing.T) (g goldens) {
	t.Helper()
	b, err := os.ReadFile("testdata/torch/golden.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// made returns a tensor of the values given, or a zeroed one.
func made(t *testing.T, d device.Device, rows, cols int, v []float64) device.Tensor {
	t.Helper()
	x := upload(t, d, rows, cols)
	copy(Data[float64](x), v)
	return x
}

func madeParam(t *testing.T, d device.Trainer, rows, cols int, v []float64) device.Param {
	t.Helper()
	p, err := d.NewParam(rows, cols, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	copy(Data[float64](p.Value()), v)
	return p
}

// near compares every element.
func near(t *testing.T, what string, got device.Tensor, want []float64, tol float64) {
	t.Helper()
	v := Data[float64](got)
	if len(v) != len(want) || len(v) == 0 {
		t.Fatalf("%s: %d values, want %d", what, len(v), len(want))
	}
	for i, w := range want {
		if !(math.Abs(v[i]-w) <= tol*(1+math.Abs(w))) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, v[i], w)
		}
	}
}

const exact = 1e-13

func TestTorchRows(t *testing.T) {
	d, g := New[float64](), torch(t)
	n := g.RMSNorm
	gain := madeParam(t, d, 1, 5, n.Gain)
	x, y, dx := made(t, d, 3, 5, n.X), made(t, d, 3, 5, nil), made(t, d, 3, 5, nil)
	d.RMSNorm(y, x, gain, 0x1p-10)
	near(t, "norm", y, n.Y, exact)
	d.RMSNormBackward(dx, made(t, d, 3, 5, n.DY), x, gain, 0x1p-10)
	near(t, "norm's dx", dx, n.DX, exact)
	near(t, "norm's gain", gain.Grad(), n.DGain, exact)

	s := g.SwiGLU
	gate, up, act := made(t, d, 1, 9, s.Gate), made(t, d, 1, 9, s.Up), made(t, d, 1, 9, nil)
	d.SwiGLU(act, gate, up)
	near(t, "swiglu", act, s.Y, exact)
	d.SwiGLUBackward(gate, up, made(t, d, 1, 9, s.DY), gate, up)
	near(t, "dgate", gate, s.DGate, exact)
	near(t, "dup", up, s.DUp, exact)
}

func TestTorchAttention(t *testing.T) {
	d, g := New[float64](), torch(t).Attention
	spans := []device.Span{{N: 5}, {Row: 5, N: 3, Pos: 100, Lo: 100}}
	q, k, v := made(t, d, 8, 16, g.Q), made(t, d, 8, 8, g.K), made(t, d, 8, 8, g.V)
	y, lse := made(t, d, 8, 16, nil), made(t, d, 8, 4, nil)
	d.SelfAttention(y, lse, q, k, v, 4, spans)
	near(t, "attention", y, g.Y, exact)
	dq, dk, dv := made(t, d, 8, 16, nil), made(t, d, 8, 8, nil), made(t, d, 8, 8, nil)
	d.SelfAttentionBackward(dq, dk, dv, made(t, d, 8, 16, g.DY), y, lse, q, k, v, 4, spans)
	near(t, "dq", dq, g.DQ, exact)
	near(t, "dk", dk, g.DK, exact)
	near(t, "dv", dv, g.DV, exact)
}

func TestTorchLosses(t *testing.T) {
	d, g := New[float64](), torch(t).Head
	x, w := made(t, d, 5, 6, g.Hidden), madeParam(t, d, 11, 6, g.Head)
	out := device.LogProbs{LogProb: made(t, d, 5, 1, nil), Entropy: made(t, d, 5, 1, nil), LSE: made(t, d, 5, 1, nil)}
	d.TokenLogProbs(out, x, w, g.Targets)
	near(t, "logprob", out.LogProb, g.LogProb, exact)
	near(t, "entropy", out.Entropy, g.Entropy, exact)
	near(t, "lse", out.LSE, g.LSE, exact)

	dx := made(t, d, 5, 6, nil)
	grads := device.LogProbGrads{LogProb: made(t, d, 5, 1, g.All.DLogProb), Entropy: made(t, d, 5, 1, g.All.DEntropy), LSE: made(t, d, 5, 1, g.All.DLSE)}
	d.TokenLogProbsBackward(dx, grads, out, x, w, g.Targets)
	near(t, "dhidden", dx, g.All.DHidden, exact)
	near(t, "dhead", w.Grad(), g.All.DHead, exact)

	d.Zero(w.Grad())
	d.CrossEntropy(out, dx, x, w, g.Targets, g.Weights, g.Z)
	near(t, "cross-entropy's dhidden", dx, g.CE.DHidden, exact)
	near(t, "cross-entropy's dhead", w.Grad(), g.CE.DHead, exact)
	var loss float64
	for i, f := range g.Weights {
		lse := Data[float64](out.LSE)[i]
		loss += float64(f) * (float64(g.Z)*lse*lse - Data[float64](out.LogProb)[i])
	}
	if math.Abs(loss-g.CE.Loss) > exact*math.Abs(loss) {
		t.Errorf("the loss is %v, want %v", loss, g.CE.Loss)
	}
}

func TestTorchAdamW(t *testing.T) {
	d, g := New[float64](), torch(t).AdamW
	p, m, v := madeParam(t, d, 1, 7, g.Start), made(t, d, 1, 7, nil), made(t, d, 1, 7, nil)
	s := device.AdamWStep{LR: 0x1p-7, Beta1: 0.875, Beta2: 0.96875, Eps: 0x1p-20, WeightDecay: 0.125, GradScale: 0.25}
	for i, grad := range g.Grads {
		// The gradient comes four times as large and is scaled.
		for j := range grad {
			Data[float64](p.Grad())[j] = 4 * grad[j]
		}
		s.Correction1 = float32(1 - math.Pow(0.875, float64(i+1)))
		s.Correction2 = float32(1 - math.Pow(0.96875, float64(i+1)))
		d.AdamW(p, m, v, s)
		// The corrections are rounded to f32.
		near(t, fmt.Sprintf("step %d", i+1), p.Value(), g.Values[i], 1e-8)
	}
	near(t, "first moment", m, g.M, exact)
	near(t, "second moment", v, g.V, exact)
	near(t, "gradient after the step", p.Grad(), make([]float64, 7), 0)
}
