package plan

import (
	"fmt"
	"slices"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// Methods of training.
const (
	Full  = "full"  // every weight learns
	LoRA  = "lora"  // adapters on all seven projections of a layer (arXiv 2106.09685)
	QLoRA = "qlora" // the same over NF4 weights with double quantisation (arXiv 2305.14314)
)

// Methods lists them.
func Methods() []string { return []string{Full, LoRA, QLoRA} }

// Part is what a piece of memory is for.
type Part string

// The parts of a training's memory.
const (
	Weights     Part = "weights"
	Gradients   Part = "gradients"
	Optimizer   Part = "optimizer"
	Activations Part = "activations"
	Scratch     Part = "scratch" // of the device
	Process     Part = "process" // the program itself and what it holds beside
)

// Parts lists them in the order in which they are shown.
func Parts() []Part { return []Part{Weights, Gradients, Optimizer, Activations, Scratch, Process} }

// Buffer is one named piece of memory: Copies times (Rows, Cols) elements.
type Buffer struct {
	Part   Part   `json:"part"`
	Name   string `json:"name"`
	Rows   int    `json:"rows"`
	Cols   int    `json:"cols"`
	Copies int    `json:"copies"`
	Type   string `json:"type"`
	Bytes  int64  `json:"bytes"`
}

// Training says how a model is trained, as far as memory goes.
type Training struct {
	Method        string
	Rank          int          // of adapters
	Base          tensor.DType // of LoRA's frozen projections: F32, F16 or BF16
	Products      tensor.DType // F32, or BF16 with a shadow of what learns
	Sequences     int          // computed at once, on one device
	Sequence      int          // tokens of each
	Checkpointing bool
	EMA           bool // moving averages of what learns
	Paged         bool // the optimiser's state is on disk
	Workers       int  // of the CPU device; 0 is another device
}

// list is a growing list of buffers.
type list []Buffer

// add appends f32 elements.
func (l *list) add(part Part, name string, rows, cols, copies int) {
	l.sized(part, name, rows, cols, copies, "f32", 4*int64(rows)*int64(cols)*int64(copies))
}

func (l *list) sized(part Part, name string, rows, cols, copies int, typ string, bytes int64) {
	*l = append(*l, Buffer{part, name, rows, cols, copies, typ, bytes})
}

// matrix is a kind of weight: every layer has one, or the model has.
type matrix struct {
	name       string
	rows, cols int
	copies     int
	projection bool // adapters are for these
}

// matrices are a model's weights, vectors being matrices of one row.
func matrices(c *llama.Config) []matrix {
	q, kv, n := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim, c.NLayers
	m := []matrix{
		{"token_embd", c.VocabSize, c.Dim, 1, false},
		{"attn_norm", 1, c.Dim, n, false},
		{"attn_q", q, c.Dim, n, true}, {"attn_k", kv, c.Dim, n, true}, {"attn_v", kv, c.Dim, n, true},
		{"attn_output", c.Dim, q, n, true},
		{"ffn_norm", 1, c.Dim, n, false},
		{"ffn_gate", c.HiddenDim, c.Dim, n, true}, {"ffn_up", c.HiddenDim, c.Dim, n, true},
		{"ffn_down", c.Dim, c.HiddenDim, n, true},
		{"output_norm", 1, c.Dim, 1, false},
	}
	if !c.TiedEmbeddings {
		m = append(m, matrix{"output", c.VocabSize, c.Dim, 1, false})
	}
	return m
}

// Buffers lists all memory of a training.
func Buffers(c *llama.Config, t *Training) []Buffer {
	var l list
	for _, m := range matrices(c) {
		if t.Method == Full {
			l.learns(t, m.name, m.rows, m.cols, m.copies)
			continue
		}
		l.frozen(t, m)
		if m.projection {
			l.learns(t, m.name+".lora_a", t.Rank, m.cols, m.copies)
			l.learns(t, m.name+".lora_b", m.rows, t.Rank, m.copies)
		}
	}
	l.activations(c, t)
	if t.Workers > 0 {
		l.scratch(c, t)
		l.process(c, t)
	}
	slices.SortStableFunc(l, func(a, b Buffer) int {
		return slices.Index(Parts(), a.Part) - slices.Index(Parts(), b.Part)
	})
	return l
}

// learns adds a device.Param and AdamW's state of it.
func (l *list) learns(t *Training, name string, rows, cols, copies int) {
	l.add(Weights, name, rows, cols, copies)
	if t.Products == tensor.BF16 && rows > 1 {
		l.sized(Weights, name+" (bf16 shadow)", rows, cols, copies, "bf16", 2*int64(rows)*int64(cols)*int64(copies))
	}
	l.add(Gradients, name, rows, cols, copies)
	if !t.Paged {
		l.add(Optimizer, name+" first moment", rows, cols, copies)
		l.add(Optimizer, name+" second moment", rows, cols, copies)
	}
	if t.EMA {
		l.add(Optimizer, name+" moving average", rows, cols, copies)
	}
}

// NF4's blocks (arXiv 2305.14314, section 3, and bitsandbytes): 64 elements have
// a scale, and with double quantisation 256 scales have one of their own.
const (
	nf4Block  = 64
	nf4Scales = 256
)

// frozen adds a weight that does not learn: embeddings and head in 16 bits,
// norms in f32, projections in the base's type or in NF4.
//
// The rows of q and k are permuted when they are loaded. Their codes can be, but
// their scales lie in blocks of 256 that cross rows, so these are kept in f32. A
// matrix whose rows are no multiple of 64 is kept in bf16.
func (l *list) frozen(t *Training, m matrix) {
	n := int64(m.rows) * int64(m.cols) * int64(m.copies)
	switch {
	case m.rows == 1:
		l.add(Weights, m.name, m.rows, m.cols, m.copies)
	case !m.projection:
		l.sized(Weights, m.name, m.rows, m.cols, m.copies, "16 bits", 2*n)
	case t.Method == LoRA:
		l.sized(Weights, m.name, m.rows, m.cols, m.copies, lower(t.Base), int64(t.Base.RowBytes(m.cols))*int64(m.rows)*int64(m.copies))
	case m.cols%nf4Block != 0:
		l.sized(Weights, m.name, m.rows, m.cols, m.copies, "bf16", 2*n)
	case m.name == "attn_q" || m.name == "attn_k":
		l.sized(Weights, m.name, m.rows, m.cols, m.copies, "nf4", n/2+4*n/nf4Block)
	default:
		l.sized(Weights, m.name, m.rows, m.cols, m.copies, "nf4 dq", n/2+n/nf4Block+4*n/(nf4Block*nf4Scales))
	}
}

// activations adds what llama.TrainModel keeps of the rows of a batch.
func (l *list) activations(c *llama.Config, t *Training) {
	rows, q, kv := t.Sequences*t.Sequence, c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	kept := c.NLayers
	if t.Checkpointing {
		kept = 1
	}
	l.add(Activations, "residual stream before each layer and after the last", rows, c.Dim, c.NLayers+1)
	for _, b := range []struct {
		name string
		cols int
	}{
		{"q", q}, {"k", kv}, {"v", kv}, {"attention", q}, {"attention's log-sum-exp", c.NHeads},
		{"residual stream within the layer", c.Dim}, {"gate", c.HiddenDim}, {"up", c.HiddenDim},
	} {
		l.add(Activations, b.name, rows, b.cols, kept)
	}
	if t.Method != Full {
		l.add(Activations, "inputs of lora_b, seven projections", rows, 7*t.Rank, kept)
		l.add(Activations, "gradient of an input of lora_b", rows, t.Rank, 1)
	}
	for _, b := range []struct {
		name string
		cols int
	}{
		{"norm", c.Dim}, {"silu(gate)*up", c.HiddenDim}, {"gradient of the stream", c.Dim}, {"gradient of a norm", c.Dim},
		{"gradient of silu(gate)*up", c.HiddenDim}, {"gradient of attention", q}, {"gradient of q", q}, {"gradient of k", kv}, {"gradient of v", kv},
		{"log-probabilities and log-sum-exp", 2},
	} {
		l.add(Activations, b.name, rows, b.cols, 1)
	}
	positions := min(c.MaxSeqLen, (t.Sequence+ropeChunk-1)/ropeChunk*ropeChunk)
	l.add(Activations, "rotary tables", positions, c.HeadDim/2, 2)
}

// The CPU device's scratch (internal/device/cpu: gemm.go, selfattn.go,
// logprobs.go) and llama's rotary tables.
const (
	ropeChunk     = 1024
	gemmPacked    = 2<<20 + 2048*32 // floats of each operand at most
	gemmPerWorker = 384*(96+192+16) + 96*16
	attnPerWorker = 2*128*256 + 2*128
	logitElems    = 8 << 20
	microBatch    = 256
)

// scratch adds the CPU device's. Of its largest pieces only what the model's
// products touch becomes resident, by huge pages.
func (l *list) scratch(c *llama.Config, t *Training) {
	rows := t.Sequences * t.Sequence
	chunk := min(microBatch, max(1, logitElems/c.VocabSize), rows)
	widest := max(c.Dim, c.HiddenDim, c.NHeads*c.HeadDim)
	a := max(rows*widest, chunk*c.VocabSize)
	b := max(c.Dim*c.HiddenDim, rows*widest, c.VocabSize*c.Dim)
	for _, p := range []struct {
		name           string
		elems, workers int
	}{
		{"packed first operand of a product", min(gemmPacked, a), 1}, {"packed second operand of a product", min(gemmPacked, b), 1},
		{"blocks of a product, per worker", gemmPerWorker, t.Workers},
	} {
		bytes := (4*int64(p.elems*p.workers) + hugePage - 1) / hugePage * hugePage
		l.sized(Scratch, p.name, 1, p.elems, p.workers, "f32", bytes)
	}
	l.add(Scratch, "scores of attention, per worker", 1, attnPerWorker, t.Workers)
	l.add(Scratch, "logits of a chunk of rows", chunk, c.VocabSize, 1)
	l.add(Scratch, "hidden states of a chunk and their gradients", microBatch, c.Dim, 2)
}

// Sum adds up one part, or all parts for "".
func Sum(buffers []Buffer, part Part) (n int64) {
	for _, b := range buffers {
		if part == "" || b.Part == part {
			n += b.Bytes
		}
	}
	return n
}

// Validate names the first field that cannot be.
func (t *Training) Validate(c *llama.Config) error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("plan: %s is %v; %s", field, value, want)
	}
	switch {
	case !slices.Contains(Methods(), t.Method):
		return bad("method", t.Method, "full, lora and qlora are possible")
	case t.Rank < 1 || t.Rank > c.Dim:
		return bad("rank", t.Rank, fmt.Sprintf("1 to %d (the model's width) is possible", c.Dim))
	case !t.Base.IsFloat():
		return bad("base type", t.Base, "f32, f16 and bf16 are possible")
	case t.Products != tensor.F32 && t.Products != tensor.BF16:
		return bad("dtype", t.Products, "f32 and bf16 are possible")
	case t.Sequences < 1 || t.Sequences > 1<<20:
		return bad("batch", t.Sequences, "1 sequence or more, and at most 2^20, is possible")
	case t.Sequence < 1 || t.Sequence > c.MaxSeqLen:
		return bad("seq", t.Sequence, fmt.Sprintf("1 to %d (the model's context) tokens are possible", c.MaxSeqLen))
	case t.Workers < 0 || t.Workers > 1<<14:
		return bad("threads", t.Workers, "0 to 16384 are possible")
	}
	return nil
}
