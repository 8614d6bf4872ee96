// Package modelfile opens any model file or directory and gives it one form: a
// llama.Config, tensors with GGUF's names in our convention (matrices (out, in),
// interleaved RoPE pairs), a tokenizer and a chat template. It writes Hugging
// Face directories and GGUF files.
//
// The formats know no models; what Llama checkpoints look like in each of them
// is known here and nowhere else: the one table of Meta's, Hugging Face's and
// GGUF's names (kinds) and the one permutation of q and k (permuted). A missing
// tensor is an error and so is an unused one, except rotary frequencies, which
// are derived and compared with the configuration. What the configuration asks
// for and Cria does not do is refused by name.
package modelfile

import (
	"errors"
	"fmt"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// Format is a kind of model file.
type Format string

// The formats that Open reads.
const (
	FormatGGUF    Format = "gguf"
	FormatHF      Format = "hf"
	FormatMeta    Format = "meta"
	FormatLlama2C Format = "llama2c"
	formatRandom  Format = "random" // Random's and Of's; in no file
)

// OpenOptions are what a model's files may leave open.
type OpenOptions struct {
	Tokenizer string // file, or a directory or GGUF file that holds one; "" is beside the model
	Context   int    // positions asked for: fixes the base of dynamic RoPE scaling; 0 is the model's own
}

// Model is an open model. Tensors are read where they lie; the model must stay
// open while a device uses them.
type Model struct {
	Path   string
	Format Format
	Detail string // "GGUF v3, 2 files"
	Files  []string
	Config llama.Config

	Tokenizer     *tokenizer.Tokenizer // nil where there is none
	TokenizerFrom string
	Template      string // chat template as found; "" is none
	TemplateFrom  string
	StopIDs       []int32 // ids that end a text, the tokenizer's EOS first
	Name, License string
	Notes         []string // what a user should know and would not expect

	context  int // OpenOptions.Context
	entries  []*entry
	byName   map[string]*entry
	metadata []keyValue // of a GGUF file, to be kept on conversion to GGUF
	closers  []func() error
	sums     []summed // files of a format that has sums of its own
}

// summed is a file that holds sums of its contents.
type summed interface {
	SumBytes() int64
	Verify(done func(bytes int) error) error
}

// entry is one tensor of an open model.
type entry struct {
	place
	info TensorInfo
	src  device.RowSource
}

// TensorInfo describes a tensor.
type TensorInfo struct {
	Name       string // GGUF's
	SourceName string // the file's own
	File       string // of a tensor in several shards, the first
	Type       tensor.DType
	Rows, Cols int
	Bytes      int64
}

// Tensor returns a tensor by its GGUF name; it makes a Model a llama.Source.
func (m *Model) Tensor(name string) (device.RowSource, error) {
	e := m.byName[name]
	if e == nil {
		return nil, fmt.Errorf("%s: there is no tensor %s", m.Path, name)
	}
	return e.src, nil
}

// Tensors lists all tensors in the order in which they are written.
func (m *Model) Tensors() []TensorInfo {
	infos := make([]TensorInfo, len(m.entries))
	for i, e := range m.entries {
		infos[i] = e.info
	}
	return infos
}

// Close closes the model's files.
func (m *Model) Close() error {
	var errs []error
	for _, c := range m.closers {
		errs = append(errs, c())
	}
	m.closers = nil
	return errors.Join(errs...)
}

func (m *Model) note(format string, args ...any) {
	m.Notes = append(m.Notes, fmt.Sprintf(format, args...))
}

// add appends a tensor.
const pieceBytes = 4 << 20 // read at once

func (m *Model) add(p place, sourceName, file string, src device.RowSource) {
	rows, cols := src.Shape()
	e := &entry{place: p, src: src, info: TensorInfo{
		Name: p.in(dialectGGUF, p.layer), SourceName: sourceName, File: file, Type: src.DType(),
		Rows: rows, Cols: cols, Bytes: int64(rows) * int64(src.DType().RowBytes(cols)),
	}}
	if m.byName == nil {
		m.byName = map[string]*entry{}
	}
	m.entries = append(m.entries, e)
	m.byName[e.info.Name] = e
}

// QuantBytes is how much of the model a device packs into memory of its own: its
// block-quantised matrices, where each is used.
func (m *Model) QuantBytes() int64 {
	var n int64
	for _, e := range m.entries {
		if e.info.Type.IsQuant() && (e.kind != kindEmbed || m.Config.TiedEmbeddings) {
			n += e.info.Bytes
		}
	}
	return n
}

// CopiedBytes is how much of the model must be put together in memory before a
// device can use it, beside block-quantised matrices: what does not lie in a file
// as it is needed, such as q and k of a Hugging Face model and all matrices of
// several shards of Meta's.
func (m *Model) CopiedBytes() int64 {
	var n int64
	for _, e := range m.entries {
		if !e.info.Type.IsQuant() && e.src.Mapped() == nil {
			n += e.info.Bytes
		}
	}
	return n
}
