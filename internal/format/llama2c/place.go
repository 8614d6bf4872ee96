package llama2c

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/tensor"
)

const (
	floatBytes = 4
	maxElems   = math.MaxInt64 / 8 // of a tensor: its bytes can be counted, 5 for each at most
)

// layerMark stands in an entry's name for the number of the layer.
const layerMark = "N"

// entry is a group of tensors of one shape that lie one after the other: one for
// each layer, or a single one.
type entry struct {
	name  string // with layerMark for each layer, or empty for bytes that are no tensor
	count int
	dims  []int
	plain bool // f32 also in version 2
}

// layout lists what the version's file holds, in order.
func (f *File) layout() []entry {
	c := &f.Config
	headDim := c.Dim / c.NHeads
	kvDim := headDim * c.NKVHeads
	layer := func(name string, dims ...int) entry {
		return entry{name: "layers." + layerMark + "." + name + ".weight", count: c.NLayers, dims: dims, plain: len(dims) == 1}
	}
	embeddings := entry{name: "tok_embeddings.weight", count: 1, dims: []int{c.VocabSize, c.Dim}}
	attentionNorm, ffnNorm := layer("attention_norm", c.Dim), layer("ffn_norm", c.Dim)
	norm := entry{name: "norm.weight", count: 1, dims: []int{c.Dim}, plain: true}
	attention := []entry{
		layer("attention.wq", c.Dim, c.Dim), layer("attention.wk", kvDim, c.Dim),
		layer("attention.wv", kvDim, c.Dim), layer("attention.wo", c.Dim, c.Dim),
	}
	feedForward := []entry{
		layer("feed_forward.w1", c.HiddenDim, c.Dim), layer("feed_forward.w2", c.Dim, c.HiddenDim),
		layer("feed_forward.w3", c.HiddenDim, c.Dim),
	}
	var list []entry
	if f.Version == 0 {
		list = append(list, embeddings, attentionNorm)
		list = append(list, attention...)
		list = append(list, ffnNorm)
		list = append(list, feedForward...)
		// Cosines and sines of RoPE, which llama2.c computes itself by now.
		list = append(list, norm, entry{count: 2, dims: []int{c.SeqLen, headDim / 2}, plain: true})
	} else {
		list = append(list, attentionNorm, ffnNorm, norm, embeddings)
		list = append(list, attention...)
		list = append(list, feedForward...)
	}
	if !f.TiedHead {
		list = append(list, entry{name: "output.weight", count: 1, dims: []int{c.VocabSize, c.Dim}})
	}
	return list
}

// place checks the file's length and makes the tensors.
func (f *File) place(header int) error {
	list := f.layout()
	want := uint64(header)
	for _, e := range list {
		// Every dimension is below 2^31, the elements therefore below 2^62.
		elems := e.elems()
		if !e.plain && f.Version == 2 && elems%uint64(f.GroupSize) != 0 {
			return f.malformed(e.title(), e.dims, "its %d elements are no multiple of group_size, which is %d", elems, f.GroupSize)
		}
		if elems > maxElems || f.bytesOf(&e) > (math.MaxInt64-want)/uint64(e.count) {
			return f.malformed(e.title(), e.dims, "%d times this shape has more bytes than can be counted", e.count).WithHint(hintNotOne)
		}
		want += f.bytesOf(&e) * uint64(e.count)
	}
	if have := uint64(len(f.region.Bytes())); want != have {
		return f.malformed("file length", have, "the header says %d: version %d with dim %d, hidden_dim %d, n_layers %d, n_heads %d, n_kv_heads %d, vocab_size %d, max_seq_len %d",
			want, f.Version, f.Config.Dim, f.Config.HiddenDim, f.Config.NLayers, f.Config.NHeads, f.Config.NKVHeads, f.Config.VocabSize, f.Config.SeqLen).WithHint("the file is cut or damaged, or no checkpoint of llama2.c")
	}
	at := header
	for _, e := range list {
		size := int(f.bytesOf(&e))
		for i := range e.count {
			if e.name != "" {
				f.add(&e, i, f.region.Bytes()[at:at+size:at+size])
			}
			at += size
		}
	}
	return nil
}

func (e *entry) title() string {
	if e.name == "" {
		return "freqs_cos and freqs_sin"
	}
	return e.name
}

// elems returns the elements of one tensor: two dimensions below 2^31.
func (e *entry) elems() uint64 {
	n := uint64(1)
	for _, d := range e.dims {
		n *= uint64(d)
	}
	return n
}

// bytesOf returns the bytes of one tensor.
func (f *File) bytesOf(e *entry) uint64 {
	n := e.elems()
	if f.Version != 2 || e.plain {
		return n * floatBytes
	}
	return n + n/uint64(f.GroupSize)*floatBytes
}

func (f *File) add(e *entry, i int, data []byte) {
	name := strings.Replace(e.name, layerMark, strconv.Itoa(i), 1)
	dims := slices.Clone(e.dims)
	var t *view.Tensor
	if f.Version == 2 && !e.plain {
		t = view.Computed(f.path, name, tensor.F32, dims, f.dequantise(e, name, data))
	} else {
		t = view.Mapped(f.region, name, tensor.F32, dims, data)
	}
	f.tensors = append(f.tensors, t)
	f.byName[name] = t
}

// dequantise reads rows of a tensor of version 2: all values, then one f32 scale
// for each group. Groups go on over the ends of rows.
func (f *File) dequantise(e *entry, name string, data []byte) view.ReadRowsFunc {
	elems, cols, group := int(e.elems()), e.dims[1], f.GroupSize
	values, scales := data[:elems], data[elems:]
	return func(dst []byte, row, n int) error {
		from, to := row*cols, (row+n)*cols
		for at := from; at < to; {
			g := at / group
			bits := binary.LittleEndian.Uint32(scales[g*floatBytes:])
			scale := math.Float32frombits(bits)
			if scale-scale != 0 { // NaN or infinite
				return f.malformed("tensor "+name, nil, "the scale of group %d is %v", g, scale)
			}
			for end := min((g+1)*group, to); at < end; at++ {
				v := float32(int8(values[at])) * scale
				binary.LittleEndian.PutUint32(dst[(at-from)*floatBytes:], math.Float32bits(v))
			}
		}
		return nil
	}
}
