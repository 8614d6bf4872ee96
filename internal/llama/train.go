package llama

import (
	"errors"
	"fmt"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// TrainOptions size a TrainModel's working memory.
type TrainOptions struct {
	Rows     int          // most rows of a batch
	Context  int          // positions that a span may reach; 0 means Config.MaxSeqLen
	Products tensor.DType // of matrix products: F32 (also where it is not set) or BF16
	// Checkpointing keeps only the input of each layer and computes the rest
	// again when its gradient is wanted (arXiv 1604.06174): about a third more
	// computation for far less memory.
	Checkpointing bool
}

// NamedParam is a parameter with its GGUF name. Vectors (norm gains) have one
// row.
type NamedParam struct {
	Name       string
	Param      device.Param
	Rows, Cols int
}

// Matrix says whether the parameter is a matrix, which weight decay is for.
func (p *NamedParam) Matrix() bool { return p.Rows > 1 }

// TrainModel is the same transformer as Model with weights that learn: forward
// keeps what backward needs. One step runs at a time.
type TrainModel struct {
	Config  Config
	Context int

	dev     device.Trainer
	params  []NamedParam
	embed   device.Param
	layers  []layer // their weights are Params
	outNorm device.Param
	head    Linear

	rope ropeTables
	rows int

	// Residual stream before each layer and after the last, (rows, Dim).
	stream []device.Tensor
	kept   []activations // one per layer, or one for all with checkpointing

	scratch
	tensors []device.Tensor // all of the above, for Close

	weights  []float32 // of rows, where a batch names none
	host     [2][]float32
	one, two [2]device.Tensor
	three    [3]device.Tensor
}

// activations are what one layer's backward needs beside its input. Norms and
// the product of gate and up are cheaper to make again than to keep.
type activations struct {
	q, k, v  device.Tensor // rotated; q is scaled
	att, lse device.Tensor // attention's result and its log-sum-exp
	mid      device.Tensor // residual stream between attention and feed-forward
	gate, up device.Tensor // backward turns them into their gradients
}

// scratch is memory that every layer uses.
type scratch struct {
	norm, act        device.Tensor // a norm's result (Dim), silu(gate)*up (HiddenDim)
	dx, dnorm        device.Tensor // gradients of the residual stream and of a norm's result (Dim)
	dact             device.Tensor // (HiddenDim)
	datt, dq, dk, dv device.Tensor
	logProb, lse     device.Tensor // (rows, 1)
}

// NewTrainModel makes parameters on a device and fills them from a source: a
// checkpoint to be trained further, or modelfile.Random's fresh weights.
// progress, if not nil, is called with the number of tensors read and in all.
func NewTrainModel(dev device.Trainer, cfg Config, src Source, opt TrainOptions, progress func(done, total int)) (*TrainModel, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if opt.Rows < 1 {
		return nil, fmt.Errorf("llama: training with batches of %d rows; at least 1 is needed", opt.Rows)
	}
	if opt.Context < 0 {
		return nil, fmt.Errorf("llama: a context of %d tokens; it must be 0 (the model's own) or more", opt.Context)
	}
	if opt.Products == tensor.Invalid {
		opt.Products = tensor.F32
	}
	if opt.Products != tensor.F32 && opt.Products != tensor.BF16 {
		return nil, fmt.Errorf("llama: training with products in %s; f32 and bf16 are possible", opt.Products)
	}
	m := &TrainModel{Config: cfg, Context: opt.Context, dev: dev, rows: opt.Rows}
	if m.Context == 0 {
		m.Context = cfg.MaxSeqLen
	}
	l := paramLoader{m: m, src: src, products: opt.Products, progress: progress, total: 9*cfg.NLayers + 3}
	if cfg.TiedEmbeddings {
		l.total--
	}
	l.all()
	if l.err == nil {
		l.err = m.allocate(opt.Checkpointing)
	}
	if l.err != nil {
		return nil, errors.Join(l.err, m.Close())
	}
	return m, nil
}

// paramLoader makes parameters in the order in which models are written and
// keeps the first error.
type paramLoader struct {
	m        *TrainModel
	src      Source
	products tensor.DType
	progress func(done, total int)
	total    int
	err      error
}

func (l *paramLoader) param(name string, rows, cols int) device.Param {
	if l.err != nil {
		return nil
	}
	products := l.products
	if rows == 1 { // gains multiply elements
		products = tensor.F32
	}
	p, err := l.m.dev.NewParam(rows, cols, products)
	if err != nil {
		l.err = err
		return nil
	}
	l.m.params = append(l.m.params, NamedParam{name, p, rows, cols})
	src, err := l.src.Tensor(name)
	if err == nil {
		err = fillParam(l.m.dev, &l.m.params[len(l.m.params)-1], src)
	}
	if err != nil {
		l.err = err
		return nil
	}
	if l.progress != nil {
		l.progress(len(l.m.params), l.total)
	}
	return p
}

// fillParam reads a parameter's values, of any type.
func fillParam(dev device.Trainer, p *NamedParam, src device.RowSource) error {
	if r, c := src.Shape(); r != p.Rows || c != p.Cols {
		return fmt.Errorf("llama: %s: shape (%d, %d), but the model's configuration needs (%d, %d)", src.Name(), r, c, p.Rows, p.Cols)
	}
	dt := src.DType()
	size := dt.RowBytes(p.Cols)
	values := make([]float32, p.Rows*p.Cols)
	raw := make([]byte, size)
	for r := range p.Rows {
		if err := src.ReadRows(raw, r, 1); err != nil {
			return err
		}
		quant.Dequantize(dt, values[r*p.Cols:(r+1)*p.Cols], raw)
	}
	src.Release(0, p.Rows)
	dev.UploadParam(p.Param, values)
	return nil
}

func (l *paramLoader) all() {
	m, c := l.m, &l.m.Config
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	m.embed = l.param("token_embd.weight", c.VocabSize, c.Dim)
	m.layers = make([]layer, c.NLayers)
	for i := range m.layers {
		par := func(s string, rows, cols int) device.Param {
			return l.param(fmt.Sprintf("blk.%d.%s.weight", i, s), rows, cols)
		}
		y := &m.layers[i]
		y.attnNorm = par("attn_norm", 1, c.Dim)
		y.qkv = matrices{par("attn_q", q, c.Dim), par("attn_k", kv, c.Dim), par("attn_v", kv, c.Dim)}
		y.wo = matrices{par("attn_output", c.Dim, q)}
		y.ffnNorm = par("ffn_norm", 1, c.Dim)
		y.gateUp = matrices{par("ffn_gate", c.HiddenDim, c.Dim), par("ffn_up", c.HiddenDim, c.Dim)}
		y.down = matrices{par("ffn_down", c.Dim, c.HiddenDim)}
	}
	m.outNorm = l.param("output_norm.weight", 1, c.Dim)
	if c.TiedEmbeddings {
		m.head = matrices{m.embed}
	} else {
		m.head = matrices{l.param("output.weight", c.VocabSize, c.Dim)}
	}
}

// allocate makes the working memory.
func (m *TrainModel) allocate(checkpointing bool) (err error) {
	c := &m.Config
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	tensor := func(cols int) (t device.Tensor) {
		if err == nil {
			if t, err = m.dev.Tensor(m.rows, cols); err == nil {
				m.tensors = append(m.tensors, t)
			}
		}
		return t
	}
	m.stream = make([]device.Tensor, c.NLayers+1)
	for i := range m.stream {
		m.stream[i] = tensor(c.Dim)
	}
	m.kept = make([]activations, c.NLayers)
	for i := range m.kept {
		if checkpointing && i > 0 {
			m.kept[i] = m.kept[0]
			continue
		}
		m.kept[i] = activations{q: tensor(q), k: tensor(kv), v: tensor(kv), att: tensor(q), lse: tensor(c.NHeads),
			mid: tensor(c.Dim), gate: tensor(c.HiddenDim), up: tensor(c.HiddenDim)}
	}
	m.scratch = scratch{norm: tensor(c.Dim), act: tensor(c.HiddenDim), dx: tensor(c.Dim), dnorm: tensor(c.Dim), dact: tensor(c.HiddenDim),
		datt: tensor(q), dq: tensor(q), dk: tensor(kv), dv: tensor(kv), logProb: tensor(1), lse: tensor(1)}
	if err != nil {
		return err
	}
	m.weights = make([]float32, m.rows)
	for i := range m.weights {
		m.weights[i] = 1
	}
	m.host = [2][]float32{make([]float32, m.rows), make([]float32, m.rows)}
	return m.rope.allocate(m.dev, c, m.Context)
}

// Close frees the model's memory on the device.
func (m *TrainModel) Close() error {
	for _, p := range m.params {
		m.dev.FreeParam(p.Param)
	}
	for _, t := range append(m.tensors, m.rope.cos, m.rope.sin) {
		if t.Mem != nil {
			m.dev.Free(t)
		}
	}
	m.params, m.tensors, m.rope = nil, nil, ropeTables{}
	return nil
}

// Device returns the device that the model trains on.
func (m *TrainModel) Device() device.Trainer { return m.dev }

// Params lists the parameters in the order in which models are written: a tied
// table once.
func (m *TrainModel) Params() []NamedParam { return m.params }

// Rows is the most rows that a batch may have.
func (m *TrainModel) Rows() int { return m.rows }

// Inference returns a Model that shares the parameters and sees them change, to
// sample from and to measure. It must be closed before the TrainModel is.
func (m *TrainModel) Inference(opt Options) (*Model, error) {
	if opt.Context == 0 {
		opt.Context = m.Context
	}
	f := &Model{Config: m.Config, Context: opt.Context, dev: m.dev, maxRows: opt.MaxRows, maxLogits: opt.MaxLogits, shared: true}
	f.defaults()
	frozen := func(ps ...device.Weight) matrices {
		list := make(matrices, len(ps))
		for i, p := range ps {
			list[i] = m.dev.Frozen(p.(device.Param))
			f.loaded = append(f.loaded, list[i])
		}
		return list
	}
	f.embed = m.dev.Frozen(m.embed)
	f.layers = make([]layer, len(m.layers))
	for i := range m.layers {
		l := &m.layers[i]
		f.layers[i] = layer{
			attnNorm: frozen(l.attnNorm)[0], qkv: frozen(l.qkv.Weights()...), wo: frozen(l.wo.Weights()...),
			ffnNorm: frozen(l.ffnNorm)[0], gateUp: frozen(l.gateUp.Weights()...), down: frozen(l.down.Weights()...),
		}
	}
	f.outNorm = frozen(m.outNorm)[0]
	f.head = frozen(m.head.Weights()...)
	if err := f.allocate(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// TrainBytes is how much device memory a TrainModel of that shape takes:
// parameters with their gradients, activations, and scratch.
func TrainBytes(c *Config, opt TrainOptions) int64 {
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	layers := c.NLayers
	if opt.Checkpointing {
		layers = 1
	}
	row := (c.NLayers+1)*c.Dim + // the residual stream
		layers*(2*q+2*kv+c.NHeads+c.Dim+2*c.HiddenDim) + // what a layer keeps
		3*c.Dim + 2*c.HiddenDim + 2*q + 2*kv + 2 // scratch
	param := int64(8)
	if opt.Products == tensor.BF16 {
		param += 2
	}
	return param*int64(c.Parameters()) + 4*int64(opt.Rows)*int64(row)
}
