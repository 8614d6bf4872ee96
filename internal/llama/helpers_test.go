package llama_test

import (
	"encoding/binary"
	"fmt"
	"math"
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
		b := make([]byte, rows*dt.RowBytes(cols))
		if dt.IsQuant() {
			randomBlocks(rng, dt, b, std)
		} else {
			x := make([]float32, rows*cols)
			for i := range x {
				x[i] = float32(mean + std*rng.NormFloat64())
			}
			if err := quant.Quantize(dt, b, x, cols, nil); err != nil {
				t.Fatal(err)
			}
		}
		m[name] = &memSource{name, dt, rows, cols, b}
	}
	// Products of normed rows spread by 1.4, so that the attention is neither
	// flat nor a choice of one key, where each rounding would count.
	matrix := func(name string, rows, cols int) { add(name, dt, rows, cols, 0, 1.4/math.Sqrt(float64(cols))) }
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	add("token_embd.weight", dt, c.VocabSize, c.Dim, 0, 1)
	for i := range c.NLayers {
		p := fmt.Sprintf("blk.%d.", i)
		add(p+"attn_norm.weight", tensor.F32, 1, c.Dim, 1, 0.1)
		add(p+"ffn_norm.weight", tensor.F32, 1, c.Dim, 1, 0.1)
		matrix(p+"attn_q.weight", q, c.Dim)
		matrix(p+"attn_k.weight", kv, c.Dim)
		matrix(p+"attn_v.weight", kv, c.Dim)
		matrix(p+"attn_output.weight", c.Dim, q)
		matrix(p+"ffn_gate.weight", c.HiddenDim, c.Dim)
		matrix(p+"ffn_up.weight", c.HiddenDim, c.Dim)
		matrix(p+"ffn_down.weight", c.Dim, c.HiddenDim)
	}
	add("output_norm.weight", tensor.F32, 1, c.Dim, 1, 0.1)
	if !c.TiedEmbeddings {
		matrix("output.weight", c.VocabSize, c.Dim)
	}
	return m
}

// blockScales are the offsets of a block's f16 scales. A minimum is the given
// multiple of the scale, so that the values' mean is about 0.
var blockScales = map[tensor.DType][]struct {
	at    int
	times float32
}{
	tensor.Q4_0: {{0, 1}}, tensor.Q4_1: {{0, 1}, {2, -7.5}}, tensor.Q5_0: {{0, 1}}, tensor.Q5_1: {{0, 1}, {2, -15.5}},
	tensor.Q8_0: {{0, 1}}, tensor.IQ4_NL: {{0, 1}},
	tensor.Q2_K: {{80, 1}, {82, 1.5}}, tensor.Q3_K: {{108, 1}}, tensor.Q4_K: {{0, 1}, {2, 7.5}}, tensor.Q5_K: {{0, 1}, {2, 15.5}},
	tensor.Q6_K: {{208, 1}}, tensor.IQ4_XS: {{0, 1}},
}

// randomBlocks fills b with blocks of random bits whose values have the given
// deviation: every quant and every sub-scale of a type occurs.
func randomBlocks(rng *rand.Rand, dt tensor.DType, b []byte, std float64) {
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	size := dt.BlockBytes()
	scales := make([]float32, len(b)/size)
	for i := range scales {
		scales[i] = (0.5 + rng.Float32()) * float32(1-2*rng.IntN(2))
	}
	x := make([]float32, len(scales)*dt.BlockElems())
	for _, unit := range []bool{true, false} {
		if !unit {
			quant.Dequantize(dt, x, b)
			f := float32(std / deviation(x))
			for i := range scales {
				scales[i] *= f
			}
		}
		for i, d := range scales {
			for _, s := range blockScales[dt] {
				binary.LittleEndian.PutUint16(b[i*size+s.at:], quant.F32ToF16(d*s.times))
			}
		}
	}
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
