// Package safetensors reads and writes safetensors files, single and sharded
// with a model.safetensors.index.json. It follows the format's own description:
// a header of JSON with each tensor's type, shape and byte range, then the
// bytes, without holes. It knows nothing of models.
package safetensors

import (
	"errors"

	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/tensor"
)

// File is an open file or sharded set.
type File struct{}

// Open maps a safetensors file, or, if path ends in ".index.json", all shards
// that the index names; index and shards must agree both ways.
func Open(path string) (*File, error) { return nil, errors.ErrUnsupported }

// Metadata returns the __metadata__ of the (first) file.
func (f *File) Metadata() map[string]string { return nil }

// Tensors returns all tensors, shard after shard, by offset. Those whose type
// Cria does not know have Type Invalid.
func (f *File) Tensors() []*view.Tensor { return nil }

// Lookup returns a tensor, or nil if there is none of that name.
func (f *File) Lookup(name string) *view.Tensor { return nil }

// Path returns the path that was opened.
func (f *File) Path() string { return "" }

// Files returns the paths of all shards.
func (f *File) Files() []string { return nil }

// Close unmaps all files.
func (f *File) Close() error { return nil }

// TensorInfo announces a tensor to Create or CreateSharded. Type is one of F32
// F16 BF16 F64 I8 I32 I64. Dims are outermost first.
type TensorInfo struct {
	Name string
	Type tensor.DType
	Dims []int
}

// Writer writes one file or a sharded set, tensor by tensor.
type Writer struct{}

// DefaultShardBytes is the size at which transformers starts a new shard.
const DefaultShardBytes = 5_000_000_000

// Create starts one file; metadata may be nil.
func Create(path string, metadata map[string]string, tensors []TensorInfo) (*Writer, error) {
	return nil, errors.ErrUnsupported
}

// CreateSharded starts dir/model.safetensors or, if the tensors have more than
// maxShard bytes together, dir/model-0000N-of-0000M.safetensors with
// dir/model.safetensors.index.json. The metadata is {"format":"pt"}, without
// which transformers refuses a file.
func CreateSharded(dir string, maxShard int64, tensors []TensorInfo) (*Writer, error) {
	return nil, errors.ErrUnsupported
}

// WriteTensor appends a piece of a tensor's bytes. Tensors may be written in any
// order, and pieces of different tensors may alternate.
func (w *Writer) WriteTensor(name string, piece []byte) error { return errors.ErrUnsupported }

// Files returns the paths that Close will make.
func (w *Writer) Files() []string { return nil }

// Close checks that every tensor is complete, syncs the files and gives them
// their names, the index last.
func (w *Writer) Close() error { return errors.ErrUnsupported }

// Abort deletes what was written. After Close it does nothing.
func (w *Writer) Abort() {}
