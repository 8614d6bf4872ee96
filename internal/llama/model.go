package llama

import (
	"errors"
	"fmt"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/tensor"
)

// Source gives a checkpoint's tensors by their GGUF names in our convention;
// package modelfile makes one from any format.
type Source interface {
	Tensor(name string) (device.RowSource, error)
}

// Options size a model's working memory.
type Options struct {
	Context   int // positions that a sequence may have; 0 means Config.MaxSeqLen
	MaxRows   int // rows of one micro-batch; 0 means device.MicroBatch
	MaxLogits int // rows of logits computed at once; 0 means 64
}

const (
	defaultMaxRows   = device.MicroBatch
	defaultMaxLogits = 64
)

// layer is one transformer block's weights.
type layer struct {
	attnNorm device.Weight
	qkv      Linear // wq, wk, wv
	wo       Linear
	ffnNorm  device.Weight
	gateUp   Linear // w1, w3
	down     Linear // w2
}

// Model is a Llama transformer on a device: read-only weights and the working
// memory of one step. One step runs at a time.
type Model struct {
	Config  Config
	Context int

	dev     device.Device
	embed   device.Weight
	layers  []layer
	outNorm device.Weight
	head    Linear

	rope ropeTables

	// Activations of one micro-batch, (MaxRows, …).
	x, xn, q, k, v, att, proj, gate, up device.Tensor
	hidden, hiddenNorm, logits          device.Tensor // (MaxLogits, …)

	maxRows, maxLogits int
	spans              []device.Span // the micro-batch's, reused
	pick               []int32       // rows whose logits are wanted, reused
	loaded             []device.Weight
	shared             bool // the weights are a TrainModel's
	one, two           [2]device.Tensor
	three              [3]device.Tensor
}

// NewModel loads a checkpoint's weights to a device. progress, if not nil, is
// called with the number of tensors loaded so far and in all.
func NewModel(dev device.Device, cfg Config, src Source, opt Options, progress func(done, total int)) (*Model, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if opt.Context < 0 {
		return nil, fmt.Errorf("llama: a context of %d tokens; it must be 0 (the model's own) or more", opt.Context)
	}
	m := &Model{Config: cfg, dev: dev, Context: opt.Context, maxRows: opt.MaxRows, maxLogits: opt.MaxLogits}
	m.defaults()
	l := &loader{m: m, src: src, progress: progress, total: 9*cfg.NLayers + 3}
	l.all()
	if l.err == nil {
		l.err = m.allocate()
	}
	if l.err != nil {
		return nil, errors.Join(l.err, m.Close())
	}
	return m, nil
}

// defaults fills what Options left open.
func (m *Model) defaults() {
	if m.Context == 0 {
		m.Context = m.Config.MaxSeqLen
	}
	if m.maxRows == 0 {
		m.maxRows = defaultMaxRows
	}
	if m.maxLogits == 0 {
		m.maxLogits = defaultMaxLogits
	}
}

// loader loads tensors by name and keeps the first error.
type loader struct {
	m           *Model
	src         Source
	progress    func(done, total int)
	done, total int
	err         error
}

// weight loads one tensor and checks its shape.
func (l *loader) weight(name string, rows, cols int, load func(device.RowSource) (device.Weight, error)) device.Weight {
	if l.err != nil {
		return nil
	}
	src, err := l.src.Tensor(name)
	if err != nil {
		l.err = err
		return nil
	}
	if r, c := src.Shape(); r != rows || c != cols {
		l.err = fmt.Errorf("llama: %s: shape (%d, %d), but the model's configuration needs (%d, %d)", src.Name(), r, c, rows, cols)
		return nil
	}
	w, err := load(src)
	if err != nil {
		l.err = err
		return nil
	}
	l.m.loaded = append(l.m.loaded, w)
	l.done++
	if l.progress != nil {
		l.progress(l.done, l.total)
	}
	return w
}

func (l *loader) all() {
	m, c, dev := l.m, &l.m.Config, l.m.dev
	m.embed = l.weight("token_embd.weight", c.VocabSize, c.Dim, dev.LoadTable)
	m.layers = make([]layer, c.NLayers)
	kv := c.NKVHeads * c.HeadDim
	for i := range m.layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s.weight", i, s) }
		mat := func(s string, rows, cols int) device.Weight { return l.weight(name(s), rows, cols, dev.Load) }
		qd := c.NHeads * c.HeadDim
		m.layers[i] = layer{
			attnNorm: mat("attn_norm", 1, c.Dim),
			qkv:      matrices{mat("attn_q", qd, c.Dim), mat("attn_k", kv, c.Dim), mat("attn_v", kv, c.Dim)},
			wo:       matrices{mat("attn_output", c.Dim, qd)},
			ffnNorm:  mat("ffn_norm", 1, c.Dim),
			gateUp:   matrices{mat("ffn_gate", c.HiddenDim, c.Dim), mat("ffn_up", c.HiddenDim, c.Dim)},
			down:     matrices{mat("ffn_down", c.Dim, c.HiddenDim)},
		}
	}
	m.outNorm = l.weight("output_norm.weight", 1, c.Dim, dev.Load)
	headName := "output.weight"
	if c.TiedEmbeddings {
		headName = "token_embd.weight"
	}
	m.head = matrices{l.weight(headName, c.VocabSize, c.Dim, dev.Load)}
}

// allocate makes the working memory.
func (m *Model) allocate() error {
	c := &m.Config
	kv := c.NKVHeads * c.HeadDim
	for _, t := range []struct {
		t          *device.Tensor
		rows, cols int
	}{
		{&m.x, m.maxRows, c.Dim}, {&m.xn, m.maxRows, c.Dim},
		{&m.q, m.maxRows, c.NHeads * c.HeadDim}, {&m.k, m.maxRows, kv}, {&m.v, m.maxRows, kv},
		{&m.att, m.maxRows, c.NHeads * c.HeadDim}, {&m.proj, m.maxRows, c.Dim},
		{&m.gate, m.maxRows, c.HiddenDim}, {&m.up, m.maxRows, c.HiddenDim},
		{&m.hidden, m.maxLogits, c.Dim}, {&m.hiddenNorm, m.maxLogits, c.Dim}, {&m.logits, m.maxLogits, c.VocabSize},
	} {
		var err error
		if *t.t, err = m.dev.Tensor(t.rows, t.cols); err != nil {
			return err
		}
	}
	return m.rope.allocate(m.dev, c, m.Context)
}

// Close frees the model's memory on the device.
func (m *Model) Close() error {
	for _, w := range m.loaded {
		if w != nil && !m.shared {
			m.dev.FreeWeight(w)
		}
	}
	m.loaded = nil
	for _, t := range []*device.Tensor{&m.rope.cos, &m.rope.sin, &m.x, &m.xn, &m.q, &m.k, &m.v, &m.att, &m.proj, &m.gate, &m.up, &m.hidden, &m.hiddenNorm, &m.logits} {
		if t.Mem != nil {
			m.dev.Free(*t)
			*t = device.Tensor{}
		}
	}
	return nil
}

// Device returns the device that the model computes on.
func (m *Model) Device() device.Device { return m.dev }

// WeightBytes is how many bytes of weights one decoded token reads: every
// matrix and norm, and one row of the embedding table.
func (m *Model) WeightBytes() int {
	n := m.embed.DType().RowBytes(m.Config.Dim)
	for _, w := range m.loaded {
		if w != m.embed {
			n += w.Bytes()
		}
	}
	return n
}

// NewKV makes a cache of this model's shape with the given number of pages.
func (m *Model) NewKV(pages int, dt tensor.DType) (device.KV, error) {
	c := &m.Config
	return m.dev.NewKV(device.KVConfig{Layers: c.NLayers, KVHeads: c.NKVHeads, HeadDim: c.HeadDim, Pages: pages, Type: dt})
}
