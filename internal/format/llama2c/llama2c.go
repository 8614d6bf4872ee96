// Package llama2c reads the .bin checkpoints of Karpathy's llama2.c: version 0
// (no magic, f32), 1 (f32) and 2 (8 bits in groups, dequantised on read). The
// format has no names; tensors get those of llama2.c's own model.py, which are
// Meta's, and have Meta's order of RoPE pairs.
//
// The files are as export.py of llama2.c at commit 350e04f writes them. Their
// header says everything about their length, which must be exactly that.
package llama2c

import (
	"encoding/binary"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
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

	path    string
	region  *mmap.File
	tensors []*view.Tensor
	byName  map[string]*view.Tensor
}

// Open maps a checkpoint.
func Open(path string) (*File, error) {
	region, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, region: region, byName: map[string]*view.Tensor{}}
	if err := mmap.Guard(f.parse); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Tensors returns tok_embeddings.weight, layers.N.attention.wq.weight and so on,
// all F32. Those of version 2 are dequantised by ReadRows and have no mapped
// bytes; the norms, which it leaves as they are, have. output.weight is missing
// if TiedHead.
func (f *File) Tensors() []*view.Tensor { return f.tensors }

// Lookup returns a tensor, or nil if there is none of that name.
func (f *File) Lookup(name string) *view.Tensor { return f.byName[name] }

// Path returns the path that was opened.
func (f *File) Path() string { return f.path }

// Close unmaps the file.
func (f *File) Close() error { return f.region.Close() }

const (
	magic = 0x616b3432 // "ak42", most significant byte first

	headerBytes0 = 7 * 4 // of version 0
	headerBytes  = 256   // of the others

	// Places in the header of versions 1 and 2. The group size follows a single
	// byte without padding.
	atVersion   = 4
	atConfig    = 8
	atShared    = atConfig + 7*4
	atGroupSize = atShared + 1

	maxLayers = 4096

	hintNotOne = "llama2.c's checkpoints are expected; its tokenizer.bin is given apart"
)

// parse reads the header and places the tensors.
func (f *File) parse() error {
	data := f.region.Bytes()
	if len(data) < headerBytes0 {
		return f.malformed("file length", len(data), "a header has at least %d bytes", headerBytes0).WithHint(hintNotOne)
	}
	if binary.LittleEndian.Uint32(data) == magic {
		return f.parseVersioned(data)
	}
	if err := f.readConfig(data); err != nil {
		return err
	}
	// A negative vocab_size says that the head is a matrix of its own.
	vocab := int32(binary.LittleEndian.Uint32(data[5*4:]))
	f.TiedHead = vocab > 0
	if vocab < 0 {
		f.Config.VocabSize = -int(vocab)
	}
	if err := f.checkConfig(); err != nil {
		return err
	}
	return f.place(headerBytes0)
}

func (f *File) parseVersioned(data []byte) error {
	if len(data) < headerBytes {
		return f.malformed("file length", len(data), "the header has %d bytes", headerBytes)
	}
	le := binary.LittleEndian
	version := int32(le.Uint32(data[atVersion:]))
	if version < 1 {
		return f.malformed("version", version, "versions 1 and 2 have this magic")
	}
	if version > 2 {
		return ferr.New(ferr.Unsupported, f.path, "version", version, "versions 0, 1 and 2 are read").WithHint("the file is newer than this program, or damaged")
	}
	f.Version = int(version)
	if err := f.readConfig(data[atConfig:]); err != nil {
		return err
	}
	if err := f.checkConfig(); err != nil {
		return err
	}
	shared := data[atShared]
	if shared > 1 {
		return f.malformed("shared_classifier", shared, "0 or 1 is expected")
	}
	f.TiedHead = shared == 1
	used := atGroupSize
	if version == 2 {
		group := int32(le.Uint32(data[atGroupSize:]))
		if group < 1 || int(group) > f.Config.Dim || f.Config.Dim%int(group) != 0 {
			return f.malformed("group_size", group, "a divisor of dim, which is %d, is expected", f.Config.Dim)
		}
		f.GroupSize = int(group)
		used += 4
	}
	for i, b := range data[used:headerBytes] {
		if b != 0 {
			return f.malformed("header", nil, "byte %d is %d, and 0 is expected: version %d has no field there", used+i, b, version)
		}
	}
	return f.place(headerBytes)
}

func (f *File) malformed(field string, value any, problem string, args ...any) *ferr.Error {
	return ferr.New(ferr.Malformed, f.path, field, value, problem, args...)
}

// readConfig reads the seven numbers; vocab_size keeps its sign.
func (f *File) readConfig(b []byte) error {
	c := &f.Config
	for i, v := range []*int{&c.Dim, &c.HiddenDim, &c.NLayers, &c.NHeads, &c.NKVHeads, &c.VocabSize, &c.SeqLen} {
		*v = int(int32(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return nil
}

func (f *File) checkConfig() error {
	c := &f.Config
	for _, n := range []struct {
		field string
		value int
	}{
		{"dim", c.Dim}, {"hidden_dim", c.HiddenDim}, {"n_layers", c.NLayers}, {"n_heads", c.NHeads},
		{"n_kv_heads", c.NKVHeads}, {"vocab_size", c.VocabSize}, {"max_seq_len", c.SeqLen},
	} {
		if n.value < 1 {
			return f.malformed(n.field, n.value, "1 or more is expected").WithHint(hintNotOne)
		}
	}
	switch {
	case c.NLayers > maxLayers:
		return f.malformed("n_layers", c.NLayers, "at most %d are allowed", maxLayers).WithHint(hintNotOne)
	case c.Dim%c.NHeads != 0 || c.Dim/c.NHeads%2 != 0:
		return f.malformed("n_heads", c.NHeads, "dim, which is %d, must be an even multiple of it", c.Dim).WithHint(hintNotOne)
	case c.NHeads%c.NKVHeads != 0:
		return f.malformed("n_kv_heads", c.NKVHeads, "n_heads, which is %d, must be a multiple of it", c.NHeads).WithHint(hintNotOne)
	}
	return nil
}
