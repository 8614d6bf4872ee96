package gguf

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/tensor"
)

// part is one parsed file.
type part struct {
	version   uint32
	alignment int
	kvs       []KV
	index     map[string]int
	tensors   []*view.Tensor
}

// parse reads a mapped file. The tensors' contents are not touched.
func parse(m *mmap.File) (*part, error) {
	c := &cursor{file: m.Name(), data: m.Bytes()}
	p := &part{index: map[string]int{}}
	if err := p.checkMagic(c); err != nil {
		return nil, err
	}
	nTensors, err := c.u64("tensor count", "")
	if err != nil {
		return nil, err
	}
	nKeys, err := c.count("key count", "", minKVBytes, maxKeys)
	if err != nil {
		return nil, err
	}
	if most := uint64(c.left() / minTensorBytes); nTensors > most || nTensors > maxTensors {
		return nil, ferr.New(ferr.Malformed, c.file, "tensor count", nTensors, "the %d bytes that are left hold %d at most, and %d are allowed", c.left(), most, maxTensors).WithHint(hintDamaged)
	}
	for i := range nKeys {
		if err := p.readKV(c, i); err != nil {
			return nil, err
		}
	}
	if err := p.readAlignment(c); err != nil {
		return nil, err
	}
	infos := make([]info, 0, min(int(nTensors), c.left()/minTensorBytes))
	seen := make(map[string]bool)
	for i := range int(nTensors) {
		t, err := readInfo(c, i)
		if err != nil {
			return nil, err
		}
		if seen[t.name] {
			return nil, c.malformed(t.field(), nil, "two tensors have this name")
		}
		seen[t.name] = true
		infos = append(infos, t)
	}
	return p, p.place(c, m, infos)
}

func (p *part) checkMagic(c *cursor) error {
	b, err := c.take(4, "magic", "")
	if err != nil {
		return err
	}
	if string(b) != magic {
		return ferr.New(ferr.Malformed, c.file, "magic", string(b), "a GGUF file begins with %q", magic).WithHint("name the file by its format, or convert it")
	}
	if p.version, err = c.u32("version", ""); err != nil {
		return err
	}
	switch v := p.version; {
	case v == 2 || v == 3:
		return nil
	case v == 1:
		return ferr.New(ferr.Unsupported, c.file, "version", v, "versions 2 and 3 are read").WithHint("convert the model anew with a converter of after August 2023")
	case bits.ReverseBytes32(v) <= 3 && v != 0:
		return ferr.New(ferr.Unsupported, c.file, "version", fmt.Sprintf("%#x", v), "the file is big-endian").WithHint("convert it to little-endian with gguf_convert_endian.py of llama.cpp")
	case v == 0:
		return c.malformed("version", v, "versions 2 and 3 are read")
	default:
		return ferr.New(ferr.Unsupported, c.file, "version", v, "versions 2 and 3 are read").WithHint("the file is newer than this program, or damaged")
	}
}

func (p *part) readKV(c *cursor, i int) error {
	key, err := c.name(fmt.Sprintf("key %d", i), maxKeyBytes)
	if err != nil {
		return err
	}
	field := key
	if len(field) > maxNameBytes {
		field = ferr.Quote(key)
	}
	if _, twice := p.index[key]; twice {
		return c.malformed(field, nil, "the key stands twice in the file")
	}
	t, err := c.valueType(field, "type")
	if err != nil {
		return err
	}
	v, err := c.value(field, t)
	if err != nil {
		return err
	}
	p.index[key] = len(p.kvs)
	p.kvs = append(p.kvs, KV{key, v})
	return nil
}

func (p *part) readAlignment(c *cursor) error {
	p.alignment = defaultAlignment
	i, ok := p.index[keyAlignment]
	if !ok {
		return nil
	}
	v, ok := p.kvs[i].Value.(uint32)
	if !ok {
		return c.malformed(keyAlignment, nil, "it has type %s; uint32 is expected", TypeName(p.kvs[i].Value))
	}
	if !validAlignment(v) {
		return c.malformed(keyAlignment, v, "a power of two from %d to %d is expected", minAlignment, maxAlignment)
	}
	p.alignment = int(v)
	return nil
}

func validAlignment(v uint32) bool {
	return v >= minAlignment && v <= maxAlignment && v&(v-1) == 0
}

// info is a tensor's entry in the header, checked as far as it can be alone.
type info struct {
	name   string
	typ    tensor.DType
	dims   []int // outermost first
	size   uint64
	offset uint64
}

// dimensions counts as the file does, from the innermost one.
var dimensions = [maxDims]string{"dimension 0", "dimension 1", "dimension 2", "dimension 3"}

func (t *info) field() string { return "tensor " + t.name }

func readInfo(c *cursor, i int) (t info, err error) {
	if t.name, err = c.name(fmt.Sprintf("tensor %d: name", i), maxNameBytes); err != nil {
		return t, err
	}
	field := t.field()
	n, err := c.u32(field, "n_dims")
	if err != nil {
		return t, err
	}
	if n < 1 || n > maxDims {
		return t, c.malformed(join(field, "n_dims"), n, "1 to %d are allowed", maxDims)
	}
	t.dims = make([]int, n)
	elems := uint64(1)
	for d := range int(n) {
		v, err := c.u64(field, dimensions[d])
		if err != nil {
			return t, err
		}
		hi, lo := bits.Mul64(elems, v)
		if v == 0 || v > math.MaxInt64 || hi != 0 || lo > math.MaxInt64 {
			return t, c.malformed(join(field, dimensions[d]), v, "the tensor's elements cannot be counted")
		}
		elems = lo
		t.dims[int(n)-1-d] = int(v)
	}
	number, err := c.u32(field, "type")
	if err != nil {
		return t, err
	}
	var known bool
	if t.typ, known = tensorTypes[number]; !known {
		if name, ok := otherTensorTypes[number]; ok {
			return t, ferr.New(ferr.Unsupported, c.file, field, nil, "its type is %s", name).WithHint("use a file of another type: " + weightTypes())
		}
		return t, c.malformed(join(field, "type"), number, "no such type is known").WithHint("the file is damaged or newer than this program")
	}
	row := uint64(t.dims[n-1])
	if row%uint64(t.typ.BlockElems()) != 0 {
		return t, c.malformed(join(field, dimensions[0]), row, "rows of %s are multiples of %d", t.typ, t.typ.BlockElems())
	}
	hi, lo := bits.Mul64(elems/uint64(t.typ.BlockElems()), uint64(t.typ.BlockBytes()))
	if hi != 0 || lo > math.MaxInt64 {
		return t, c.malformed(join(field, "elements"), elems, "the tensor's bytes cannot be counted")
	}
	t.size = lo
	t.offset, err = c.u64(field, "offset")
	return t, err
}

func weightTypes() string {
	var s string
	for i, d := range tensor.WeightTypes() {
		if i > 0 {
			s += " "
		}
		s += d.String()
	}
	return s
}

// place checks the tensors' extents against the file and against each other.
func (p *part) place(c *cursor, m *mmap.File, infos []info) error {
	if len(infos) == 0 {
		return nil
	}
	start := (c.at + p.alignment - 1) / p.alignment * p.alignment
	if start > len(c.data) {
		return c.malformed("tensor data", nil, "begins at offset %d, the file has %d bytes", start, len(c.data)).WithHint(hintDamaged)
	}
	data := c.data[start:]
	for _, t := range infos {
		switch {
		case t.offset%uint64(p.alignment) != 0:
			return c.malformed(t.field()+": offset", t.offset, "it is no multiple of the alignment, %d", p.alignment)
		case t.offset > uint64(len(data)) || t.size > uint64(len(data))-t.offset:
			return c.malformed(t.field()+": offset", t.offset, "the tensor has %d bytes, the data section %d", t.size, len(data)).WithHint(hintDamaged)
		}
	}
	sorted := slices.Clone(infos)
	slices.SortFunc(sorted, func(a, b info) int { return cmp.Compare(a.offset, b.offset) })
	for i := 1; i < len(sorted); i++ {
		a, b := &sorted[i-1], &sorted[i]
		if a.offset+a.size > b.offset {
			return c.malformed(b.field()+": offset", b.offset, "it overlaps tensor %s, which ends at %d", a.name, a.offset+a.size)
		}
	}
	p.tensors = make([]*view.Tensor, len(infos))
	for i, t := range infos {
		p.tensors[i] = view.Mapped(m, t.name, t.typ, t.dims, data[t.offset:t.offset+t.size:t.offset+t.size])
	}
	return nil
}
