package modelfile_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// grouped is a small shape with grouped heads, sizes that all block types fit,
// and a head dimension that is not dim/heads.
var grouped = llama.Config{
	Dim: 256, NLayers: 2, NHeads: 8, NKVHeads: 4, HeadDim: 64, HiddenDim: 256, VocabSize: 80, MaxSeqLen: 128, NormEps: 1e-5, RopeTheta: 10000,
}

// rawOf reads a tensor whole, in file encoding.
func rawOf(t testing.TB, src device.RowSource) []byte {
	t.Helper()
	rows, cols := src.Shape()
	b := make([]byte, rows*src.DType().RowBytes(cols))
	if err := src.ReadRows(b, 0, rows); err != nil {
		t.Fatal(err)
	}
	return b
}

func rawNamed(t testing.TB, m *modelfile.Model, name string) []byte {
	t.Helper()
	src, err := m.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	return rawOf(t, src)
}

func floatsNamed(t testing.TB, m *modelfile.Model, name string) []float32 {
	t.Helper()
	src, err := m.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	rows, cols := src.Shape()
	x := make([]float32, rows*cols)
	quant.Dequantize(src.DType(), x, rawOf(t, src))
	return x
}

// sameTensors compares all tensors of two models bit by bit.
func sameTensors(t testing.TB, got, want *modelfile.Model) {
	t.Helper()
	g, w := got.Tensors(), want.Tensors()
	if len(g) != len(w) {
		t.Fatalf("%d tensors, want %d", len(g), len(w))
	}
	for i := range g {
		if g[i].Name != w[i].Name || g[i].Type != w[i].Type || g[i].Rows != w[i].Rows || g[i].Cols != w[i].Cols {
			t.Errorf("tensor %d is %+v, want %+v", i, g[i], w[i])
		} else if !bytes.Equal(rawNamed(t, got, g[i].Name), rawNamed(t, want, w[i].Name)) {
			t.Errorf("%s: other bytes", g[i].Name)
		}
	}
}

// checkDeviation measures a tensor's mean and deviation.
func checkDeviation(t testing.TB, m *modelfile.Model, name string, want float64) {
	t.Helper()
	x := floatsNamed(t, m, name)
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(x))
	if std := math.Sqrt(squares / n); math.Abs(std/want-1) > 0.03 {
		t.Errorf("%s has a deviation of %g, want %g", name, std, want)
	}
	// Elements of one block share scales, so the mean has fewer free parts.
	if mean := sum / n; math.Abs(mean) > 20*want/math.Sqrt(n) {
		t.Errorf("%s has a mean of %g", name, mean)
	}
}

// TestRandomStatistics checks means and deviations against GPT-2's recipe, and
// that seeds, tensors and rows differ.
func TestRandomStatistics(t *testing.T) {
	m, err := modelfile.Random(grouped, modelfile.InitOptions{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"token_embd.weight": 0.02, "blk.0.attn_q.weight": 0.02, "blk.1.attn_output.weight": 0.01, "blk.1.ffn_down.weight": 0.01, "output.weight": 0.02} {
		checkDeviation(t, m, name, want)
	}
	for _, v := range floatsNamed(t, m, "blk.0.attn_norm.weight") {
		if v != 1 {
			t.Fatalf("a norm has %g, want 1", v)
		}
	}
	q0, q1 := rawNamed(t, m, "blk.0.ffn_gate.weight"), rawNamed(t, m, "blk.1.ffn_gate.weight")
	other, err := modelfile.Random(grouped, modelfile.InitOptions{Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(q0, q1) || bytes.Equal(q0, rawNamed(t, other, "blk.0.ffn_gate.weight")) || bytes.Equal(q0[:1024], q0[1024:2048]) {
		t.Error("two layers, two seeds or two rows are the same")
	}
}

// TestInitTypes writes every mix and compares what is read back with what the
// model that makes its weights on demand gives.
func TestInitTypes(t *testing.T) {
	dir := t.TempDir()
	for _, typ := range quant.Mixes() {
		out := filepath.Join(dir, typ+".gguf")
		opt := modelfile.InitOptions{Type: typ, Seed: 7, Workers: 2}
		r, err := modelfile.Init(context.Background(), grouped, out, opt)
		if err != nil {
			t.Fatal(err)
		}
		m := openModel(t, out, modelfile.OpenOptions{})
		want, err := modelfile.Random(grouped, opt)
		if err != nil {
			t.Fatal(err)
		}
		if m.Config != grouped {
			t.Errorf("%s: configuration %+v, want %+v", typ, m.Config, grouped)
		}
		sameTensors(t, m, want)
		checkDeviation(t, m, "blk.1.attn_q.weight", 0.02)
		checkDeviation(t, m, "blk.0.ffn_down.weight", 0.01)
		if err := m.Verify(context.Background(), nil); err != nil {
			t.Error(err)
		}
		if len(r.Tensors) != 21 {
			t.Errorf("%s: the report has %d tensors", typ, len(r.Tensors))
		}
	}
}

// TestLadder takes a shape whose rows K-quants do not fit.
func TestLadder(t *testing.T) {
	cfg := grouped
	cfg.HiddenDim = 160
	out := filepath.Join(t.TempDir(), "m.gguf")
	r, err := modelfile.Init(context.Background(), cfg, out, modelfile.InitOptions{Type: "q4_k_s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Tensors {
		if x.Name == "blk.1.ffn_down.weight" && (x.To != "Q5_0" || x.Wanted != "Q4_K") {
			t.Errorf("%+v, want Q5_0 for Q4_K", x)
		}
	}
	m := openModel(t, out, modelfile.OpenOptions{})
	if !slices.ContainsFunc(m.Notes, func(s string) bool {
		return strings.Contains(s, "blk.0-1.ffn_down.weight: Q5_0 instead of Q4_K")
	}) {
		t.Errorf("no note names the tensor: %q", m.Notes)
	}
}

// TestCancel stops a conversion in the middle: nothing may stay.
func TestCancel(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"m.gguf", "m"} {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		_, err := modelfile.Init(ctx, grouped, filepath.Join(dir, name), modelfile.InitOptions{Progress: func(done, total int64) {
			if n++; n == 2 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestCopiedBytes: of a Hugging Face model q and k are put together in memory, of
// several shards of Meta's every matrix, of a GGUF file nothing.
func TestCopiedBytes(t *testing.T) {
	gguf := filepath.Join(t.TempDir(), "m.gguf")
	hf := openModel(t, "testdata/hf/mha-bf16", modelfile.OpenOptions{})
	convert(t, hf, gguf, modelfile.ConvertOptions{})
	for path, copied := range map[string]func(x modelfile.TensorInfo) bool{
		"testdata/hf/mha-bf16": func(x modelfile.TensorInfo) bool {
			return strings.Contains(x.Name, "attn_q") || strings.Contains(x.Name, "attn_k")
		},
		"testdata/hf/meta/mha-bf16/2": func(x modelfile.TensorInfo) bool { return x.Rows > 1 },
		gguf:                          func(modelfile.TensorInfo) bool { return false },
	} {
		m := openModel(t, path, modelfile.OpenOptions{})
		want := int64(0)
		for _, x := range m.Tensors() {
			if copied(x) {
				want += x.Bytes
			}
		}
		if got := m.CopiedBytes(); got != want {
			t.Errorf("%s: %d bytes are copied, want %d", path, got, want)
		}
	}
}

// TestQuantBytes counts by hand.
func TestQuantBytes(t *testing.T) {
	m, err := modelfile.Random(grouped, modelfile.InitOptions{Type: "q8_0"})
	if err != nil {
		t.Fatal(err)
	}
	layer := 2*512*256 + 2*256*256 + 3*256*256
	if got, want := m.QuantBytes(), int64(2*layer+80*256)/32*int64(tensor.Q8_0.BlockBytes()); got != want {
		t.Errorf("%d, want %d", got, want)
	}
}

// TestInitStd: another deviation scales all matrices and leaves the gains alone.
func TestInitStd(t *testing.T) {
	c := llama.Config{Dim: 64, NLayers: 2, NHeads: 2, NKVHeads: 2, HeadDim: 32, HiddenDim: 96, VocabSize: 100, MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4}
	for name, want := range map[string]float64{"blk.0.attn_q.weight": 0.1, "blk.1.ffn_down.weight": 0.05, "token_embd.weight": 0.1, "output_norm.weight": 0} {
		m, err := modelfile.Random(c, modelfile.InitOptions{Seed: 3, Std: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		src, err := m.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		rows, cols := src.Shape()
		raw := make([]byte, rows*cols*4)
		if err := src.ReadRows(raw, 0, rows); err != nil {
			t.Fatal(err)
		}
		var sum, squares float64
		for i := range rows * cols {
			x := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
			sum += x
			squares += x * x
		}
		n := float64(rows * cols)
		if std := math.Sqrt(squares/n - sum/n*sum/n); math.Abs(std-want) > 0.05*want {
			t.Errorf("%s has deviation %v, want %v", name, std, want)
		}
	}
}
