// Package gguf reads and writes GGUF files: typed metadata and named tensors,
// as one file or as a set of parts. It follows the GGUF specification of the
// ggml project, versions 2 and 3, little endian, and knows nothing of models.
//
// A file comes from anywhere. Every length is checked against what is left of
// the file before anything is allocated for it, every tensor's extent against
// the file and against the others, and a file that fails any check is refused
// as a whole.
package gguf

import (
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
)

// KV is one entry of the metadata. Value has one of these Go types, which are
// GGUF's own: uint8 int8 uint16 int16 uint32 int32 uint64 int64 float32 float64
// bool string, a slice of one of them, or Nested.
type KV struct {
	Key   string
	Value any
}

// Nested is an array of arrays: each element is a slice or Nested.
type Nested []any

// File is an open GGUF file or split set.
type File struct {
	Version   uint32
	Alignment int

	path    string
	kvs     []KV
	index   map[string]int
	tensors []*view.Tensor
	byName  map[string]*view.Tensor
	maps    []*mmap.File
}

// KVs returns the metadata in file order; in a split set, that of the first
// part without the split.* keys.
func (f *File) KVs() []KV { return f.kvs }

// Tensors returns all tensors in file order, part after part.
func (f *File) Tensors() []*view.Tensor { return f.tensors }

// Lookup returns a tensor, or nil if there is none of that name.
func (f *File) Lookup(name string) *view.Tensor { return f.byName[name] }

// Path returns the path that was opened.
func (f *File) Path() string { return f.path }

// Files returns the paths of all parts.
func (f *File) Files() []string {
	paths := make([]string, len(f.maps))
	for i, m := range f.maps {
		paths[i] = m.Name()
	}
	return paths
}

// Close unmaps all parts. Mapped bytes must not be used afterwards.
func (f *File) Close() error {
	var first error
	for _, m := range f.maps {
		if err := m.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
