package llama_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// memSource is a matrix in memory.
type memSource struct {
	name       string
	dt         tensor.DType
	rows, cols int
	b          []byte
}

func (s *memSource) Name() string        { return s.name }
func (s *memSource) DType() tensor.DType { return s.dt }
func (s *memSource) Shape() (int, int)   { return s.rows, s.cols }
func (s *memSource) Mapped() []byte      { return s.b }
func (s *memSource) Release(int, int)    {}
func (s *memSource) ReadRows(dst []byte, row, n int) error {
	rb := s.dt.RowBytes(s.cols)
	copy(dst, s.b[row*rb:(row+n)*rb])
	return nil
}

// memModel is a random checkpoint in memory: matrices of one type, norms F32.
type memModel map[string]*memSource

func (m memModel) Tensor(name string) (device.RowSource, error) {
	s := m[name]
	if s == nil {
		return nil, fmt.Errorf("no tensor %q", name)
	}
	return s, nil
}

// randomModel makes a model whose logits spread over several units.
func randomModel(t testing.TB, c llama.Config, dt tensor.DType, seed uint64) memModel {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	m := memModel{}
	add := func(name string, dt tensor.DType, rows, cols int, mean, std float64) {
		x := make([]float32, rows*cols)
		for i := range x {
			x[i] = float32(mean + std*rng.NormFloat64())
		}
		b := make([]byte, rows*dt.RowBytes(cols))
		if err := quant.Quantize(dt, b, x, cols, nil); err != nil {
			t.Fatal(err)
		}
		m[name] = &memSource{name, dt, rows, cols, b}
	}
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	add("token_embd.weight", dt, c.VocabSize, c.Dim, 0, 1)
	for i := range c.NLayers {
		p := fmt.Sprintf("blk.%d.", i)
		add(p+"attn_norm.weight", tensor.F32, 1, c.Dim, 1, 0.1)
		add(p+"ffn_norm.weight", tensor.F32, 1, c.Dim, 1, 0.1)
		add(p+"attn_q.weight", dt, q, c.Dim, 0, 0.15)
		add(p+"attn_k.weight", dt, kv, c.Dim, 0, 0.15)
		add(p+"attn_v.weight", dt, kv, c.Dim, 0, 0.15)
		add(p+"attn_output.weight", dt, c.Dim, q, 0, 0.15)
		add(p+"ffn_gate.weight", dt, c.HiddenDim, c.Dim, 0, 0.15)
		add(p+"ffn_up.weight", dt, c.HiddenDim, c.Dim, 0, 0.15)
		add(p+"ffn_down.weight", dt, c.Dim, c.HiddenDim, 0, 0.1)
	}
	add("output_norm.weight", tensor.F32, 1, c.Dim, 1, 0.1)
	if !c.TiedEmbeddings {
		add("output.weight", dt, c.VocabSize, c.Dim, 0, 0.2)
	}
	return m
}

// cpuModel loads a model on a CPU device with the given kernels and threads.
func cpuModel(t testing.TB, c llama.Config, src llama.Source, workers int, kernels string) *llama.Model {
	t.Helper()
	d, err := cpu.New(cpu.Options{Workers: workers, Kernels: kernels})
	if err != nil {
		t.Fatal(err)
	}
	return deviceModel(t, d, c, src)
}

func deviceModel(t testing.TB, d device.Device, c llama.Config, src llama.Source) *llama.Model {
	t.Helper()
	m, err := llama.NewModel(d, c, src, llama.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// newKV makes a cache whose pages are handed out in a scattered order.
func newKV(t testing.TB, m *llama.Model, sequences int, dt tensor.DType) (device.KV, [][]int32) {
	t.Helper()
	per := (m.Context + device.PageTokens - 1) / device.PageTokens
	kv, err := m.NewKV(per*sequences, dt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kv.Close(); err != nil {
			t.Error(err)
		}
	})
	order := rand.New(rand.NewPCG(9, 9)).Perm(per * sequences)
	pages := make([][]int32, sequences)
	for i, p := range order {
		pages[i%sequences] = append(pages[i%sequences], int32(p))
	}
	return kv, pages
}

func randomIDs(n, vocab int, seed uint64) []int32 {
	rng := rand.New(rand.NewPCG(seed, 2))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}
