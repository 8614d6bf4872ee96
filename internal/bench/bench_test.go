package bench

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/sys/meminfo"
	"github.com/cria-llm/cria/internal/tensor"
)

// hollow is a device whose weights have types and shapes and no contents, so
// that a large model can be counted.
type hollow struct{ device.Device }

type hollowWeight struct {
	dt         tensor.DType
	rows, cols int
}

func (w *hollowWeight) DType() tensor.DType { return w.dt }
func (w *hollowWeight) Shape() (int, int)   { return w.rows, w.cols }
func (w *hollowWeight) Bytes() int          { return w.rows * w.dt.RowBytes(w.cols) }

func (hollow) Load(s device.RowSource) (device.Weight, error) {
	r, c := s.Shape()
	return &hollowWeight{s.DType(), r, c}, nil
}
func (h hollow) LoadTable(s device.RowSource) (device.Weight, error) { return h.Load(s) }
func (hollow) Tensor(rows, cols int) (device.Tensor, error) {
	return device.Tensor{Rows: rows, Cols: cols}, nil
}
func (hollow) Upload(device.Tensor, []float32) {}

// hollowSource has every tensor of a model: matrices of one type, norms F32.
type hollowSource struct {
	c  llama.Config
	dt tensor.DType
}

type hollowRows struct {
	name string
	*hollowWeight
}

func (r hollowRows) Name() string                    { return r.name }
func (r hollowRows) Mapped() []byte                  { return nil }
func (r hollowRows) ReadRows([]byte, int, int) error { return errors.ErrUnsupported }
func (r hollowRows) Release(int, int)                {}

func (s hollowSource) Tensor(name string) (device.RowSource, error) {
	q, kv := s.c.NHeads*s.c.HeadDim, s.c.NKVHeads*s.c.HeadDim
	shapes := map[string][2]int{
		"token_embd": {s.c.VocabSize, s.c.Dim}, "output": {s.c.VocabSize, s.c.Dim}, "output_norm": {1, s.c.Dim},
		"attn_norm": {1, s.c.Dim}, "ffn_norm": {1, s.c.Dim}, "attn_q": {q, s.c.Dim}, "attn_k": {kv, s.c.Dim}, "attn_v": {kv, s.c.Dim},
		"attn_output": {s.c.Dim, q}, "ffn_gate": {s.c.HiddenDim, s.c.Dim}, "ffn_up": {s.c.HiddenDim, s.c.Dim}, "ffn_down": {s.c.Dim, s.c.HiddenDim},
	}
	short := name[:len(name)-len(".weight")]
	for i := len(short) - 1; i >= 0; i-- {
		if short[i] == '.' {
			short = short[i+1:]
			break
		}
	}
	shape := shapes[short]
	dt := s.dt
	if shape[0] == 1 {
		dt = tensor.F32
	}
	return hollowRows{name, &hollowWeight{dt, shape[0], shape[1]}}, nil
}

// Both formulas of `cria bench`, by hand, for tinyllama-1.1b in Q4_0: 22 layers
// of width 2,048, 32 heads of 64, 4 KV heads, feed-forward 5,632, vocabulary
// 32,000, an output matrix of its own.
//
//	layer: q 2,048x2,048 + k and v 2 x 256x2,048 + output 2,048x2,048
//	       + feed-forward 3 x 5,632x2,048 = 44,040,192 elements; 22 of them 968,884,224
//	head:  32,000x2,048 = 65,536,000
//	bytes: 18 per 32 elements: 544,997,376 + 36,864,000; 45 norms of 2,048
//	       float32 368,640; one embedding row 1,152: together 582,231,168
//	cache: 22 layers x 2 x 4 heads x 64 x 2 bytes = 22,528 per position
//	attention: 22 x 2 x 32 x 64 = 90,112 products per position seen
func TestCostByHand(t *testing.T) {
	c, err := llama.Shape("tinyllama-1.1b")
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.NewModel(hollow{}, c, hollowSource{c, tensor.Q4_0}, llama.Options{Context: 8}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cost := CostOf(&c, m.WeightBytes(), tensor.F16)
	want := Cost{WeightBytes: 582231168, KVBytes: 22528, MatrixProducts: 968884224, HeadProducts: 65536000, AttnProducts: 90112}
	if cost != want {
		t.Errorf("cost %+v, want %+v", cost, want)
	}
	// At position 99 the token sees 100 positions, its own included.
	if got := cost.DecodeBytes(99); got != 584483968 {
		t.Errorf("bytes of the token at position 99: %d, want 584483968", got)
	}
	// 512 tokens see 1+2+…+512 = 131,328 positions in all; the head runs once.
	if got := cost.PrefillFLOPs(512); got != 1015936974848 {
		t.Errorf("operations of 512 tokens: %d, want 1015936974848", got)
	}
	if q8 := CostOf(&c, 0, tensor.Q8_0).KVBytes; q8 != 22*2*4*2*34 {
		t.Errorf("a q8_0 cache reads %d bytes per position, want %d", q8, 22*2*4*2*34)
	}
}

// The read limit's 1 GiB is taken only where it is there or nobody knows.
func TestRoomToRead(t *testing.T) {
	for available, ok := range map[uint64]bool{0: true, 1 << 30: false, 1<<30 - 1: false, 2 << 30: true} {
		if err := roomToRead(meminfo.Memory{Total: 8 << 30, Available: available}); (err == nil) != ok {
			t.Errorf("%d bytes available: %v", available, err)
		}
	}
}

// Scripts read these fields; what is not known is null, not missing.
func TestFields(t *testing.T) {
	b, err := json.Marshal(Result{})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"machine.read_gbps", "machine.f32_gflops", "machine.bf16_gflops", "machine.int8_gops", "prefill.tokens_per_s", "prefill.fraction",
		"decode.tokens_per_s", "decode.fraction", "load_s", "peak_rss_bytes",
	} {
		group, field, ok := strings.Cut(path, ".")
		in := got
		if ok {
			in, _ = got[group].(map[string]any)
		} else {
			field = group
		}
		if _, ok := in[field]; !ok {
			t.Errorf("%s is not in %s", path, b)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name     string
		ratios   []float64
		bytes    int
		llc      int
		runs     int
		done     bool
		fraction float64 // NaN: none
		reason   bool
	}{
		{"steady", []float64{.90, .91, .92, .93, .94}, 1 << 30, 8 << 20, 1, true, .92, false},
		{"in cache", []float64{.9, .9, .9}, 31 << 20, 8 << 20, 1, true, math.NaN(), true},
		{"unsteady, again", []float64{.5, .6, .9, 1, 1}, 1 << 30, 8 << 20, 1, false, .9, true},
		{"unsteady, at last", []float64{.5, .6, .9, 1, 1}, 1 << 30, 8 << 20, maxRuns, true, .9, true},
		{"too good", []float64{1.2, 1.2, 1.2}, 1 << 30, 8 << 20, 1, true, 1.2, true},
		{"cache unknown", []float64{.9, .9, .9}, 100, 0, 1, true, .9, false},
	} {
		s := Speed{Runs: c.runs}
		done := judge(&s, c.ratios, c.bytes, c.llc)
		got := math.NaN()
		if s.Fraction != nil {
			got = *s.Fraction
		}
		same := got == c.fraction || math.IsNaN(got) && math.IsNaN(c.fraction)
		if done != c.done || !same || (s.Reason != "") != c.reason {
			t.Errorf("%s: done %v, fraction %v, reason %q", c.name, done, got, s.Reason)
		}
	}
}
