package modelfile

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// Names of tensors that hold what follows from the configuration: inverse
// frequencies in the files of Meta and of older transformers, and llama.cpp's
// divisors of them, which are 1 in every Llama before 3.1.
const (
	rotaryGGUF = "rope_freqs.weight"
	rotaryMeta = "rope.freqs"
	rotaryHF   = ".rotary_emb.inv_freq"
)

func isRotary(d dialect, name string) bool {
	switch d {
	case dialectGGUF:
		return name == rotaryGGUF
	case dialectMeta:
		return name == rotaryMeta || strings.HasPrefix(name, layerPrefix[dialectMeta]) && strings.HasSuffix(name, "."+rotaryMeta)
	default:
		return strings.HasPrefix(name, "model.") && strings.HasSuffix(name, rotaryHF)
	}
}

// relative is how far a value of a type may be from the exact one: a file's
// frequencies were rounded to the file's type, some of them twice.
var relative = map[tensor.DType]float64{tensor.F32: 1e-5, tensor.F16: 0x1p-9, tensor.BF16: 0x1p-7}

// checkRotary compares stored frequencies with those of the configuration.
func (c *collector) checkRotary(t *view.Tensor) error {
	cfg := &c.m.Config
	if len(t.Dims) != 1 || t.Dims[0] != cfg.HeadDim/2 {
		return ferr.New(ferr.Malformed, t.File, t.Key, nil, "shape %s, but heads of %d need (%d)", shapeString(t.Dims), cfg.HeadDim, cfg.HeadDim/2)
	}
	tolerance, ok := relative[t.Type]
	if !ok {
		return ferr.New(ferr.Unsupported, t.File, t.Key, t.TypeName, "rotary frequencies must be F32, F16 or BF16")
	}
	got, err := readFloats(t)
	if err != nil {
		return err
	}
	// Where positions are scaled, files hold the frequencies of before.
	plain := *cfg
	plain.RopeScale.Kind = llama.RopeNone
	want := plain.InvFreq(cfg.MaxSeqLen)
	for i, g := range got {
		w := float64(want[i])
		if c.dialect == dialectGGUF {
			w = 1
		}
		// The smallest step of F16 bounds how well it holds small frequencies.
		if d := math.Abs(float64(g) - w); !(d <= tolerance*w || t.Type == tensor.F16 && d <= 0x1p-24) {
			if c.dialect == dialectGGUF {
				return ferr.New(ferr.Unsupported, t.File, t.Key, g, "element %d: rotary frequencies are divided by factors, as in Llama 3.1", i).
					WithHint("Llama 1, 2 and models of their architecture have none")
			}
			return ferr.New(ferr.Malformed, t.File, t.Key, g, "element %d: a base (%s) of %g gives %g", i, c.keys["RopeTheta"], cfg.RopeTheta, w)
		}
	}
	return nil
}

// readFloats reads a whole small tensor.
func readFloats(t device.RowSource) ([]float32, error) {
	rows, cols := t.Shape()
	raw := make([]byte, rows*t.DType().RowBytes(cols))
	if err := t.ReadRows(raw, 0, rows); err != nil {
		return nil, err
	}
	x := make([]float32, rows*cols)
	quant.Dequantize(t.DType(), x, raw)
	return x, nil
}

// checkTied compares a stored output matrix with the embedding table that it is
// said to be.
func (c *collector) checkTied(t *view.Tensor) error {
	embed := c.shards[0][kindEmbed.name[dialectHF]]
	if t.Type != embed.Type || !slices.Equal(t.Dims, embed.Dims) {
		return ferr.New(ferr.Malformed, t.File, t.Key, nil, "shape or type differ from %s, though tie_word_embeddings is true", embed.Key)
	}
	same, err := sameRows(t, embed)
	if err != nil {
		return err
	}
	if !same {
		return ferr.New(ferr.Malformed, t.File, t.Key, nil, "it differs from %s, though tie_word_embeddings is true", embed.Key).
			WithHint("if the model has an output matrix of its own, tie_word_embeddings must be false")
	}
	return nil
}

// equalRows checks that a tensor is the same in all shards.
func equalRows(parts []device.RowSource) error {
	for _, p := range parts[1:] {
		same, err := sameRows(parts[0], p)
		if err != nil {
			return err
		}
		if !same {
			return ferr.New(ferr.Malformed, p.Name(), "", nil, "it differs from the first shard's").WithHint("the shards are of different models")
		}
	}
	return nil
}

// sameRows compares two tensors of one shape and type, a piece at a time.
func sameRows(a, b device.RowSource) (bool, error) {
	rows, cols := a.Shape()
	size := a.DType().RowBytes(cols)
	step := max(1, pieceBytes/max(size, 1))
	bufA, bufB := make([]byte, min(step, rows)*size), make([]byte, min(step, rows)*size)
	for row := 0; row < rows; row += step {
		n := min(step, rows-row)
		for _, r := range []struct {
			src device.RowSource
			buf []byte
		}{{a, bufA}, {b, bufB}} {
			if err := r.src.ReadRows(r.buf[:n*size], row, n); err != nil {
				return false, err
			}
			r.src.Release(row, n)
		}
		if !bytes.Equal(bufA[:n*size], bufB[:n*size]) {
			return false, nil
		}
	}
	return true, nil
}
