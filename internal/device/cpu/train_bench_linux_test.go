package cpu_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/tensor"
)

// timedOp is one op of a step with its floating-point operations, as a model
// counts them: attention in full, not only what is seen.
type timedOp struct {
	name  string
	flops float64
	run   func()
}

// layerOps are the ops of one layer of a Llama with all of its gradients, and of
// the head, on rows of sequences of seq.
func layerOps(b *testing.B, d *cpu.Device, dim, heads, hidden, vocab, rows, seq int) []timedOp {
	r := rand.New(rand.NewPCG(1, 2))
	tensorOf := func(cols int) device.Tensor {
		x, err := d.Tensor(rows, cols)
		if err != nil {
			b.Fatal(err)
		}
		v := make([]float32, rows*cols)
		for i := range v {
			v[i] = float32(r.NormFloat64()) * 0.1
		}
		d.Upload(x, v)
		return x
	}
	param := func(rows, cols int) device.Param {
		p, err := d.NewParam(rows, cols, tensor.F32)
		if err != nil {
			b.Fatal(err)
		}
		v := make([]float32, rows*cols)
		for i := range v {
			v[i] = float32(r.NormFloat64()) * 0.02
		}
		d.UploadParam(p, v)
		return p
	}
	x, dx, y, dy, norm := tensorOf(dim), tensorOf(dim), tensorOf(dim), tensorOf(dim), tensorOf(dim)
	q, k, v, dq, dk, dv := tensorOf(dim), tensorOf(dim), tensorOf(dim), tensorOf(dim), tensorOf(dim), tensorOf(dim)
	gate, up, dgate, dup, act := tensorOf(hidden), tensorOf(hidden), tensorOf(hidden), tensorOf(hidden), tensorOf(hidden)
	lse, logProb, headLSE := tensorOf(heads), tensorOf(1), tensorOf(1)
	h := dim / heads
	cos, sin := tensorOf(h/2), tensorOf(h/2)
	gain := param(1, dim)
	wq, wk, wv, wo := param(dim, dim), param(dim, dim), param(dim, dim), param(dim, dim)
	wg, wu, wd, table := param(hidden, dim), param(hidden, dim), param(dim, hidden), param(vocab, dim)
	var spans []device.Span
	for i := 0; i < rows; i += seq {
		spans = append(spans, device.Span{Row: i, N: seq})
	}
	ids, weights := make([]int32, rows), make([]float32, rows)
	for i := range ids {
		ids[i], weights[i] = int32(r.IntN(vocab)), 1
	}
	m, s := param(vocab, dim).Value(), param(vocab, dim).Value()
	product := func(in, out int) float64 { return 2 * float64(rows) * float64(in) * float64(out) }
	attention := 4 * float64(rows) * float64(seq) * float64(dim)
	T, W := func(x ...device.Tensor) []device.Tensor { return x }, func(w ...device.Weight) []device.Weight { return w }
	return []timedOp{
		{"RMSNorm", 0, func() { d.RMSNorm(norm, x, gain, 1e-5) }},
		{"qkv", 3 * product(dim, dim), func() { d.MatMul(T(q, k, v), norm, W(wq, wk, wv)) }},
		{"RoPE q, k", 0, func() {
			d.RoPE(q, h, spans, cos, sin, 0.1)
			d.RoPE(k, h, spans, cos, sin, 1)
		}},
		{"attention", attention, func() { d.SelfAttention(y, lse, q, k, v, h, spans) }},
		{"wo", product(dim, dim), func() { d.MatMul(T(dy), y, W(wo)) }},
		{"Add", 0, func() { d.Add(dy, x) }},
		{"gate, up", 2 * product(dim, hidden), func() { d.MatMul(T(gate, up), norm, W(wg, wu)) }},
		{"SwiGLU", 0, func() { d.SwiGLU(act, gate, up) }},
		{"down", product(dim, hidden), func() { d.MatMul(T(dy), act, W(wd)) }},
		{"down back", 2 * product(dim, hidden), func() { d.MatMulBackward(act, T(dx), act, W(wd)) }},
		{"SwiGLU back", 0, func() { d.SwiGLUBackward(dgate, dup, act, gate, up) }},
		{"gate, up back", 4 * product(dim, hidden), func() { d.MatMulBackward(dx, T(dgate, dup), norm, W(wg, wu)) }},
		{"RMSNorm back", 0, func() { d.RMSNormBackward(dx, dy, x, gain, 1e-5) }},
		{"wo back", 2 * product(dim, dim), func() { d.MatMulBackward(dx, T(dy), norm, W(wo)) }},
		{"attention back", 2 * attention, func() { d.SelfAttentionBackward(dq, dk, dv, dy, y, lse, q, k, v, h, spans) }},
		{"RoPE back q, k", 0, func() {
			d.RoPEBackward(dq, h, spans, cos, sin, 0.1)
			d.RoPEBackward(dk, h, spans, cos, sin, 1)
		}},
		{"qkv back", 6 * product(dim, dim), func() { d.MatMulBackward(dx, T(dq, dk, dv), norm, W(wq, wk, wv)) }},
		{"head", 3 * product(dim, vocab), func() {
			d.CrossEntropy(device.LogProbs{LogProb: logProb, LSE: headLSE}, dx, x, table, ids, weights, 0)
		}},
		{"Embed", 0, func() { d.Embed(x, table, ids) }},
		{"Embed back", 0, func() { d.EmbedBackward(table, dx, ids) }},
		{"SumSquares of the table", 0, func() { d.SumSquares(table.Grad()) }},
		{"AdamW of the table", 0, func() {
			d.AdamW(table, m, s, device.AdamWStep{LR: 1e-4, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Correction1: 1, Correction2: 1, GradScale: 1})
		}},
	}
}

// BenchmarkTrainOps prints what each op of a step takes and its rate, in processor
// time of all workers, at best: ops take turns with the machine's limit, because
// others may be at work on it. Waiting workers count, since they spin.
func BenchmarkTrainOps(b *testing.B) {
	for _, c := range []struct{ dim, heads, hidden, vocab, rows, seq int }{
		{288, 6, 768, 4096, 2048, 256},
		{288, 6, 768, 32000, 2048, 256},
		{128, 4, 352, 2048, 4096, 256},
		{768, 12, 2048, 32000, 1024, 1024},
	} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("dim=%d/vocab=%d/workers=%d", c.dim, c.vocab, workers), func(b *testing.B) {
				d, err := cpu.New(cpu.Options{Workers: workers})
				if err != nil {
					b.Fatal(err)
				}
				defer d.Close()
				benchOps(b, d, layerOps(b, d, c.dim, c.heads, c.hidden, c.vocab, c.rows, c.seq))
			})
		}
	}
}

func benchOps(b *testing.B, d *cpu.Device, ops []timedOp) {
	best := make([]float64, len(ops))
	peak := 0.0
	limit := d.Kernels().Limits
	for n := 0; b.Loop(); n++ {
		d.Begin()
		for i, op := range ops {
			t := processorTime(b, op.run)
			if n == 0 || t < best[i] {
				best[i] = t
			}
		}
		if err := d.End(); err != nil {
			b.Fatal(err)
		}
		const runs = 20000
		t := processorTime(b, func() { limit.F32FMA(runs) })
		peak = max(peak, runs*float64(limit.Ops.F32)/t)
	}
	var text strings.Builder
	var flops, sum, other float64
	for i, op := range ops {
		fmt.Fprintf(&text, "%-24s %8.3f ms %6.1f GFLOP/s %5.1f%%\n", op.name, 1e3*best[i], op.flops/best[i]/1e9, 100*op.flops/best[i]/peak)
		sum += best[i]
		flops += op.flops
		if op.flops == 0 {
			other += best[i]
		}
	}
	fmt.Printf("%s%-24s %8.3f ms, without operations that count %.3f ms, of the limit %.1f%% (%.1f GFLOP/s)\n", text.String(), "sum", 1e3*sum, 1e3*other, 100*flops/sum/peak, peak/1e9)
}

// processorTime returns the seconds that all threads of the process spent.
func processorTime(b *testing.B, f func()) float64 {
	var from, to unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &from)
	f()
	if err = errors.Join(err, unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &to)); err != nil {
		b.Fatal(err)
	}
	return float64(to.Nano()-from.Nano()) / 1e9
}
