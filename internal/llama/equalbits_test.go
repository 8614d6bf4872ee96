package llama_test

import (
	"fmt"
	"math"
	"os"
	"slices"
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
	switch {
	case dt.BlockElems() == 256:
		c.Dim, c.NHeads, c.NKVHeads, c.HeadDim, c.HiddenDim = 256, 8, 2, 32, 256
	case dt == tensor.Q4_0 || dt == tensor.Q8_0: // these take every cache type
		c.NHeads, c.NKVHeads, c.HeadDim = 4, 1, 32
	case dt.IsFloat():
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
//
// The generic set takes minutes, so it does less of each by default; with
// CRIA_LONG=1 in the environment it does all of it too. With -short (emulators,
// the race detector) the other sets do less and the generic one nothing.
func TestEqualBits(t *testing.T) {
	for _, set := range kernel.Sets() {
		generic := set.Name == "generic"
		if generic && testing.Short() && len(kernel.Sets()) > 1 {
			continue
		}
		plan := &equalBitsPlan{
			set: set.Name, tokens: 135, layers: 2, caches: []tensor.DType{tensor.F16, tensor.F32, tensor.Q8_0},
			chunks:  []int{1, 2, 3, 7, 12, 63, 64, 65},
			workers: []int{2, 3},
			batches: []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 31, 33, 63, 64},
		}
		if testing.Short() || generic && os.Getenv("CRIA_LONG") != "1" {
			plan.tokens, plan.layers = 68, 1
			plan.chunks, plan.batches = []int{1, 7, 65}, []int{2, 5}
		}
		if generic && os.Getenv("CRIA_LONG") != "1" {
			plan.caches, plan.workers = plan.caches[:1], plan.workers[:1]
		}
		for _, dt := range tensor.WeightTypes() {
			t.Run(set.Name+"/"+dt.String(), func(t *testing.T) { plan.run(t, dt) })
		}
	}
}

// equalBitsPlan is what is compared with one forward of all tokens.
type equalBitsPlan struct {
	set     string
	tokens  int
	layers  int
	caches  []tensor.DType
	chunks  []int // tokens per step
	workers []int
	batches []int // sequences per decoding step
}

func (p *equalBitsPlan) run(t *testing.T, dt tensor.DType) {
	c := smallConfig(dt)
	c.NLayers = p.layers
	src := randomModel(t, c, dt, 1)
	ids := randomIDs(p.tokens, c.VocabSize, 5)
	one := cpuModel(t, c, src, 1, p.set)
	for _, cache := range p.caches {
		if cache == tensor.Q8_0 && c.HeadDim%32 != 0 {
			continue
		}
		want := forwardAll(t, one, cache, ids, func(int) int { return len(ids) })
		for _, w := range want {
			if math.IsNaN(float64(w)) {
				t.Fatal("the logits are NaN")
			}
		}
		for _, n := range p.chunks {
			got := forwardAll(t, one, cache, ids, func(int) int { return n })
			mustEqualBits(t, fmt.Sprintf("cache %s, chunks of %d", cache, n), got, want, c.VocabSize)
		}
		for _, workers := range p.workers {
			m := cpuModel(t, c, src, workers, p.set)
			got := forwardAll(t, m, cache, ids, func(done int) int { return 1 + done%40 })
			mustEqualBits(t, fmt.Sprintf("cache %s, %d threads", cache, workers), got, want, c.VocabSize)
		}
		p.together(t, one, cache, ids, want)
	}
}

// together decodes sequences in one batch, each at another position, the first
// n of them in a step of n. Their beginnings are prefilled in one ragged batch;
// every eighth begins shortly before a border of cache pages.
func (p *equalBitsPlan) together(t *testing.T, m *llama.Model, cache tensor.DType, ids []int32, want []float32) {
	t.Helper()
	v := m.Config.VocabSize
	seqs := slices.Max(p.batches)
	kv, pages := newKV(t, m, seqs, cache)
	at := make([]int, seqs)
	prefix := &llama.Batch{}
	for i := range at {
		at[i] = 1 + i*37%23
		if i%8 == 0 {
			at[i] = device.PageTokens*(1+i/8%2) - 2 - i/16
		}
		at[i] = min(at[i], len(ids)-len(p.batches))
		prefix.Spans = append(prefix.Spans, device.Span{Row: len(prefix.Tokens), N: at[i], Pages: pages[i]})
		prefix.Tokens = append(prefix.Tokens, ids[:at[i]]...)
	}
	if err := m.Forward(prefix, kv, nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range p.batches {
		b := &llama.Batch{}
		for i := range n {
			b.Spans = append(b.Spans, device.Span{Row: i, N: 1, Pos: at[i], Pages: pages[i]})
			b.Tokens = append(b.Tokens, ids[at[i]])
			b.Outputs = append(b.Outputs, int32(i))
		}
		got := make([]float32, n*v)
		if err := m.Forward(b, kv, got); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			mustEqualBits(t, fmt.Sprintf("cache %s, sequence %d of %d at position %d", cache, i, n, at[i]),
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
