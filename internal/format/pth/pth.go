// Package pth reads PyTorch checkpoints as torch.save writes them since 1.6: a
// zip archive of stored entries, one of them a pickle that says how tensors lie
// in the others. The pickle is interpreted by a machine that knows tensors and
// plain containers and nothing else: a file can name no code to run.
package pth

import (
	"errors"

	"github.com/cria-llm/cria/internal/format/view"
)

// File is an open checkpoint: a dict of names to tensors, as Meta's
// consolidated.NN.pth and Hugging Face's pytorch_model.bin are.
type File struct{}

// Open maps a checkpoint.
func Open(path string) (*File, error) { return nil, errors.ErrUnsupported }

// Tensors returns the tensors in the dict's order. Entries of nested dicts are
// named "outer.inner"; other values are left out. Those whose type Cria does
// not know have Type Invalid. Tensors may share bytes.
func (f *File) Tensors() []*view.Tensor { return nil }

// Lookup returns a tensor, or nil if there is none of that name.
func (f *File) Lookup(name string) *view.Tensor { return nil }

// Path returns the path that was opened.
func (f *File) Path() string { return "" }

// Close unmaps the file.
func (f *File) Close() error { return nil }
