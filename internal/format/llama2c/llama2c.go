// Package llama2c reads the .bin checkpoints of Karpathy's llama2.c: version 0
// (no magic, f32), 1 (f32) and 2 (8 bits in groups, dequantised on read). The
// format has no names; tensors get those of llama2.c's own model.py, which are
// Meta's, and have Meta's order of RoPE pairs.
package llama2c

import (
	"errors"

	"github.com/cria-llm/cria/internal/format/view"
)

// Config is the header's seven numbers.
type Config struct {
	Dim, HiddenDim, NLayers, NHeads, NKVHeads, VocabSize, SeqLen int
}

// File is an open checkpoint.
type File struct {
	Version   int
	Config    Config
	TiedHead  bool // there is no output.weight: the head is tok_embeddings.weight
	GroupSize int  // of version 2
}

// Open maps a checkpoint.
func Open(path string) (*File, error) { return nil, errors.ErrUnsupported }

// Tensors returns tok_embeddings.weight, layers.N.attention.wq.weight and so on,
// all F32. Those of version 2 are dequantised by ReadRows and have no mapped
// bytes. output.weight is missing if TiedHead.
func (f *File) Tensors() []*view.Tensor { return nil }

// Lookup returns a tensor, or nil if there is none of that name.
func (f *File) Lookup(name string) *view.Tensor { return nil }

// Path returns the path that was opened.
func (f *File) Path() string { return "" }

// Close unmaps the file.
func (f *File) Close() error { return nil }
