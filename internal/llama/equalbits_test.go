package llama_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// smallConfig has grouped heads, ragged sizes where the type allows them, and
// more positions than three cache pages.
func smallConfig(dt tensor.DType) llama.Config {
	c := llama.Config{Dim: 96, NLayers: 2, NHeads: 6, NKVHeads: 2, HeadDim: 16, HiddenDim: 160, VocabSize: 77,
		MaxSeqLen: 200, NormEps: 1e-5, RopeTheta: 10000}
	if dt.BlockElems() == 256 {
		c.Dim, c.NHeads, c.NKVHeads, c.HeadDim, c.HiddenDim = 256, 8, 2, 32, 512
	}
	if dt.IsFloat() {
		c.Dim, c.NHeads, c.NKVHeads, c.HeadDim, c.HiddenDim = 90, 5, 1, 18, 131
	}
	return c
}

// forwardAll gives logits of every position, in batches of the given sizes.
func forwardAll(t testing.TB, m *llama.Model, dt tensor.DType, ids []int32, sizes func(done int) int) []float32 {
	t.Helper()
	kv, pages := newKV(t, m, 1, dt)
	v := m.Config.VocabSize
	out := make([]float32, len(ids)*v)
	for lo := 0; lo < len(ids); {
		hi := min(lo+sizes(lo), len(ids))
		b := &llama.Batch{Tokens: ids[lo:hi], Spans: []device.Span{{N: hi - lo, Pos: lo, Pages: pages[0]}}}
		for i := range hi - lo {
			b.Outputs = append(b.Outputs, int32(i))
		}
		if err := m.Forward(b, kv, out[lo*v:hi*v]); err != nil {
			t.Fatal(err)
		}
		lo = hi
	}
	return out
}

func mustEqualBits(t *testing.T, what string, got, want []float32, vocab int) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: row %d, logit %d is %v (%#x), want %v (%#x)", what, i/vocab, i%vocab,
				got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// A token's logits are the same bits in a full forward, in any chunks, in
// decode, in any batch, with any number of threads, for every weight type,
// cache type and kernel set (DESIGN, Equal bits).
func TestEqualBits(t *testing.T) {
	for _, set := range kernel.Sets() {
		for _, dt := range tensor.WeightTypes() {
			t.Run(set.Name+"/"+dt.String(), func(t *testing.T) {
				if set.Name == "generic" && testing.Short() {
					t.Skip("the generic kernels are slow; run without -short")
				}
				caches := []tensor.DType{tensor.F16, tensor.F32}
				c := smallConfig(dt)
				if c.HeadDim%32 == 0 {
					caches = append(caches, tensor.Q8_0)
				}
				src := randomModel(t, c, dt, 1)
				ids := randomIDs(150, c.VocabSize, 5)
				for _, cache := range caches {
					equalBits(t, c, src, set.Name, cache, ids)
				}
			})
		}
	}
}

func equalBits(t *testing.T, c llama.Config, src memModel, set string, cache tensor.DType, ids []int32) {
	one := cpuModel(t, c, src, 1, set)
	want := forwardAll(t, one, cache, ids, func(int) int { return len(ids) })
	for _, w := range want {
		if math.IsNaN(float64(w)) {
			t.Fatal("the logits are NaN")
		}
	}
	for _, n := range []int{1, 2, 3, 7, 12, 63, 64, 65} {
		got := forwardAll(t, one, cache, ids, func(int) int { return n })
		mustEqualBits(t, fmt.Sprintf("cache %s, chunks of %d", cache, n), got, want, c.VocabSize)
	}
	for workers := 2; workers <= 3; workers++ {
		m := cpuModel(t, c, src, workers, set)
		got := forwardAll(t, m, cache, ids, func(done int) int { return 1 + done%40 })
		mustEqualBits(t, fmt.Sprintf("cache %s, %d threads", cache, workers), got, want, c.VocabSize)
	}
	for _, seqs := range []int{2, 5, 16, 64} {
		together(t, one, cache, ids, want, seqs)
	}
}

// together decodes sequences in one batch, each at another position: sequence i
// starts with its first i*len/seqs tokens prefilled.
func together(t *testing.T, m *llama.Model, cache tensor.DType, ids []int32, want []float32, seqs int) {
	t.Helper()
	v := m.Config.VocabSize
	kv, pages := newKV(t, m, seqs, cache)
	at := make([]int, seqs)
	for i := range at {
		if at[i] = i * (len(ids) - 2) / seqs; at[i] > 0 {
			b := &llama.Batch{Tokens: ids[:at[i]], Spans: []device.Span{{N: at[i], Pages: pages[i]}}}
			if err := m.Forward(b, kv, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		b := &llama.Batch{}
		for i := range seqs {
			b.Spans = append(b.Spans, device.Span{Row: i, N: 1, Pos: at[i], Pages: pages[i]})
			b.Tokens = append(b.Tokens, ids[at[i]])
			b.Outputs = append(b.Outputs, int32(i))
		}
		got := make([]float32, seqs*v)
		if err := m.Forward(b, kv, got); err != nil {
			t.Fatal(err)
		}
		for i := range seqs {
			mustEqualBits(t, fmt.Sprintf("cache %s, sequence %d of %d at position %d", cache, i, seqs, at[i]),
				got[i*v:(i+1)*v], want[at[i]*v:(at[i]+1)*v], v)
			at[i]++
		}
	}
}

// One step allocates nothing.
func TestStepAllocatesNothing(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.Q4_0, tensor.Q4_K} {
		c := smallConfig(dt)
		m := cpuModel(t, c, randomModel(t, c, dt, 1), 2, "")
		kv, pages := newKV(t, m, 1, tensor.F16)
		logits := make([]float32, c.VocabSize)
		b := &llama.Batch{Tokens: []int32{1}, Spans: []device.Span{{N: 1, Pages: pages[0]}}, Outputs: []int32{0}}
		n := testing.AllocsPerRun(50, func() {
			if err := m.Forward(b, kv, logits); err != nil {
				t.Fatal(err)
			}
			b.Spans[0].Pos++
		})
		if n != 0 {
			t.Errorf("%s: %v allocations per token", dt, n)
		}
	}
}
