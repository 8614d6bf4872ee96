package gguf

import (
	"errors"

	"github.com/cria-llm/cria/internal/tensor"
)

// TensorInfo announces a tensor to Create. Dims are outermost first, as in
// view.Tensor; the file stores the reverse.
type TensorInfo struct {
	Name string
	Type tensor.DType
	Dims []int
}

// Writer writes one GGUF file, tensor by tensor.
type Writer struct{}

// Create starts a version 3 file with alignment 32, unless kvs hold a
// general.alignment. The metadata and the list of tensors are written at once;
// the file gets its name at Close.
func Create(path string, kvs []KV, tensors []TensorInfo) (*Writer, error) {
	return nil, errors.ErrUnsupported
}

// WriteTensor appends a piece of a tensor's bytes. Tensors may be written in any
// order, and pieces of different tensors may alternate.
func (w *Writer) WriteTensor(name string, piece []byte) error { return errors.ErrUnsupported }

// Close checks that every tensor is complete, syncs the file and gives it its
// name. After an error there is no file.
func (w *Writer) Close() error { return errors.ErrUnsupported }

// Abort deletes what was written. After Close it does nothing.
func (w *Writer) Abort() {}
