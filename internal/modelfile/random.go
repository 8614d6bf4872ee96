package modelfile

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// InitOptions say how Init and Random make weights.
type InitOptions struct {
	Type      string // of the matrices: a mix's name; "" is f32
	Seed      uint64
	Tokenizer string  // file or model whose tokenizer goes in; the vocabulary takes its size. "" is none
	Std       float64 // standard deviation of matrices; 0 is InitStd
	Overwrite bool
	Workers   int
	Progress  func(done, total int64)
}

// InitStd is the usual standard deviation of fresh weights; matrices that add to the
// residual stream have it divided by the root of the number of such additions
// (GPT-2, section 2.3; llama2.c has the same).
const InitStd = 0.02

// Init writes a model with random weights: a GGUF file if out ends in .gguf, else
// a Hugging Face directory.
func Init(ctx context.Context, cfg llama.Config, out string, opt InitOptions) (*Report, error) {
	opt.Type = orF32(opt.Type)
	m, err := Random(cfg, opt)
	if err != nil {
		return nil, err
	}
	return Convert(ctx, m, out, ConvertOptions{Type: opt.Type, Overwrite: opt.Overwrite, Workers: opt.Workers, Progress: opt.Progress})
}

// Random returns a model with random weights that are made as they are read. One
// seed gives one model, whatever is read first.
func Random(cfg llama.Config, opt InitOptions) (*Model, error) {
	mix, err := quant.ParseMix(orF32(opt.Type))
	if err != nil {
		return nil, err
	}
	m := &Model{Path: "random weights", Format: formatRandom, StopIDs: []int32{}, Notes: []string{}, Detail: fmt.Sprintf("random weights, seed %d", opt.Seed)}
	if opt.Tokenizer != "" {
		if m.Tokenizer, m.TokenizerFrom, err = OpenTokenizer(opt.Tokenizer); err != nil {
			return nil, err
		}
		cfg.VocabSize = m.Tokenizer.VocabSize()
		if id, ok := m.Tokenizer.EOS(); ok {
			m.addStop(id)
		}
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m.Config = cfg
	std := opt.Std
	if std == 0 {
		std = InitStd
	}
	for p := range places(&cfg) {
		name := p.in(dialectGGUF, p.layer)
		h := fnv.New64a()
		h.Write([]byte(name))
		src := &randomSource{name: name, typ: tensor.F32, seed: opt.Seed, key: h.Sum64(), std: std}
		src.rows, src.cols = p.shape(&cfg)
		switch {
		case p.norm:
			src.std = 0
		case p.kind == kindO || p.kind == kindDown:
			src.std = std / math.Sqrt(float64(2*cfg.NLayers))
		}
		m.add(p, name, "", src)
	}
	for i, c := range m.plan(mix) {
		e := m.entries[i]
		e.src.(*randomSource).typ, e.info.Type = c.Type, c.Type
		e.info.Bytes = int64(e.info.Rows) * int64(c.Type.RowBytes(e.info.Cols))
	}
	return m, nil
}

func orF32(typ string) string {
	if typ == "" {
		return "f32"
	}
	return typ
}

// randomSource makes normally distributed rows, or ones where std is 0. Blocks
// are made directly, of random bits: encoding 7B weights, only to measure speed
// with them, would take from minutes to half an hour.
type randomSource struct {
	name       string
	typ        tensor.DType
	rows, cols int
	seed, key  uint64 // key differs between tensors
	std        float64
}

func (s *randomSource) Name() string        { return "random weights: " + s.name }
func (s *randomSource) DType() tensor.DType { return s.typ }
func (s *randomSource) Shape() (int, int)   { return s.rows, s.cols }
func (s *randomSource) Mapped() []byte      { return nil }
func (s *randomSource) Release(int, int)    {}

func (s *randomSource) ReadRows(dst []byte, row, n int) error {
	size := s.typ.RowBytes(s.cols)
	if s.typ.IsQuant() {
		for i := range n {
			randomBlocks(dst[i*size:(i+1)*size], s.typ, s.rng(row+i), s.std)
		}
		return nil
	}
	x := make([]float32, s.cols)
	for i := range n {
		s.fill(x, row+i)
		if err := quant.Quantize(s.typ, dst[i*size:(i+1)*size], x, s.cols, nil); err != nil {
			return err
		}
	}
	return nil
}

// rng returns the generator of one row. Every row has its own, so that rows can
// be made in any order and on any worker.
func (s *randomSource) rng(row int) *rand.Rand {
	return rand.New(rand.NewPCG(s.seed, scramble(s.key+uint64(row))))
}

// fill makes one row.
func (s *randomSource) fill(x []float32, row int) {
	if s.std == 0 {
		for i := range x {
			x[i] = 1
		}
		return
	}
	rng := s.rng(row)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * s.std)
	}
}

// scramble is the finaliser of SplitMix64: neighbours become unlike.
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
