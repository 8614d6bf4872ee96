// Package safetensors reads and writes Hugging Face's safetensors files: a
// header of JSON with each tensor's type, shape and byte range, then the
// bytes, without holes. It knows nothing of models.
//
// The format is that of the safetensors library, version 0.8: the header begins
// with "{", may end in spaces, has no key twice, and its ranges cover the rest
// of the file exactly.
package safetensors

import (
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/tensor"
)

// File is an open file or sharded set.
type File struct {
	path     string
	metadata map[string]string
	tensors  []*view.Tensor
	byName   map[string]*view.Tensor
	maps     []*mmap.File
	index    *mmap.File // while it is read, or nil
}

// Metadata returns the __metadata__ of the (first) file.
func (f *File) Metadata() map[string]string { return f.metadata }

// Tensors returns all tensors, shard after shard, by offset. Those whose type
// Cria does not know have Type Invalid.
func (f *File) Tensors() []*view.Tensor { return f.tensors }

// Lookup returns a tensor, or nil if there is none of that name.
func (f *File) Lookup(name string) *view.Tensor { return f.byName[name] }

// Path returns the path that was opened.
func (f *File) Path() string { return f.path }

// Files returns the paths of all shards.
func (f *File) Files() []string {
	paths := make([]string, len(f.maps))
	for i, m := range f.maps {
		paths[i] = m.Name()
	}
	return paths
}

// Close unmaps all files. Mapped bytes must not be used afterwards.
func (f *File) Close() error {
	var first error
	if f.index != nil {
		first = f.index.Close()
	}
	for _, m := range f.maps {
		if err := m.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

const (
	metadataKey = "__metadata__"

	lengthBytes = 8 // of the header's length, before it
	maxHeader   = 100_000_000

	// Limits on what a header may claim.
	maxTensors = 1 << 17
	maxName    = 1 << 10
	maxDims    = 32
	maxText    = 1 << 20 // of a metadata value
)

// dtype is what is known of a type.
type dtype struct {
	typ  tensor.DType // Invalid where Cria has none
	bits int
}

var dtypes = map[string]dtype{
	"F64": {tensor.F64, 64}, "F32": {tensor.F32, 32}, "F16": {tensor.F16, 16}, "BF16": {tensor.BF16, 16},
	"I64": {tensor.I64, 64}, "I32": {tensor.I32, 32}, "I8": {tensor.I8, 8},
	"BOOL": {bits: 8}, "U8": {bits: 8}, "U16": {bits: 16}, "I16": {bits: 16}, "U32": {bits: 32}, "U64": {bits: 64}, "C64": {bits: 64},
	"F4": {bits: 4}, "F6_E2M3": {bits: 6}, "F6_E3M2": {bits: 6}, "F8_E5M2": {bits: 8}, "F8_E4M3": {bits: 8}, "F8_E8M0": {bits: 8},
	"F8_E4M3FNUZ": {bits: 8}, "F8_E5M2FNUZ": {bits: 8},
}
