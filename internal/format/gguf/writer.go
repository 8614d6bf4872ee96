package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"unicode"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/format/extent"
	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/tensor"
)

// writtenVersion is what Create writes: what llama.cpp writes since October 2023.
const writtenVersion = 3

// maxWrittenName is the longest name that llama.cpp reads (GGML_MAX_NAME, which
// counts a final zero).
const maxWrittenName = 63

// TensorInfo announces a tensor to Create. Dims are outermost first, as in
// view.Tensor; the file stores the reverse.
type TensorInfo struct {
	Name string
	Type tensor.DType
	Dims []int
}

// Writer writes one GGUF file, tensor by tensor. It is for one goroutine.
type Writer struct {
	out *extent.Writer
}

// Create starts a version 3 file with alignment 32, unless kvs hold a
// general.alignment. The metadata and the list of tensors are written at once;
// the file gets its name at Close.
func Create(path string, kvs []KV, tensors []TensorInfo) (*Writer, error) {
	file, err := layOut(kvs, tensors)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file.Path = path
	out, err := extent.Create(*file)
	if err != nil {
		return nil, err
	}
	return &Writer{out}, nil
}

// WriteTensor appends a piece of a tensor's bytes. Tensors may be written in any
// order, and pieces of different tensors may alternate.
func (w *Writer) WriteTensor(name string, piece []byte) error { return w.out.Write(name, piece) }

// Close checks that every tensor is complete, syncs the file and gives it its
// name. After an error there is no file.
func (w *Writer) Close() error { return w.out.Close() }

// Abort deletes what was written. After Close it does nothing.
func (w *Writer) Abort() { w.out.Abort() }

// layOut makes the header and places the tensors behind it.
func layOut(kvs []KV, tensors []TensorInfo) (*extent.File, error) {
	if len(kvs) > maxKeys || len(tensors) > maxTensors {
		return nil, fmt.Errorf("%d keys and %d tensors: %d and %d are allowed", len(kvs), len(tensors), maxKeys, maxTensors)
	}
	e := &encoder{}
	e.out = append(e.out, magic...)
	e.u32(writtenVersion)
	e.u64(uint64(len(tensors)))
	e.u64(uint64(len(kvs)))

	alignment := int64(defaultAlignment)
	seen := make(map[string]bool, max(len(kvs), len(tensors)))
	for _, kv := range kvs {
		if seen[kv.Key] {
			return nil, fmt.Errorf("key %s is given twice", ferr.Quote(kv.Key))
		}
		seen[kv.Key] = true
		if kv.Key == keyAlignment {
			v, ok := kv.Value.(uint32)
			if !ok || !validAlignment(v) {
				return nil, fmt.Errorf("%s is %v: a uint32 that is a power of two from %d to %d is expected", kv.Key, kv.Value, minAlignment, maxAlignment)
			}
			alignment = int64(v)
		}
		if err := e.kv(kv); err != nil {
			return nil, fmt.Errorf("key %s: %w", ferr.Quote(kv.Key), err)
		}
	}

	file := &extent.File{}
	clear(seen)
	end := int64(0) // of the tensors so far, in the data section
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %s is announced twice", ferr.Quote(t.Name))
		}
		seen[t.Name] = true
		size, err := e.info(t, end)
		if err == nil && size > math.MaxInt64/2-end {
			err = fmt.Errorf("the file's bytes cannot be counted")
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", ferr.Quote(t.Name), err)
		}
		file.Ranges = append(file.Ranges, extent.Range{Name: t.Name, Offset: end, Size: size})
		end = alignUp(end+size, alignment)
	}
	start := int64(len(e.out))
	if len(tensors) > 0 {
		start = alignUp(start, alignment)
	}
	for i := range file.Ranges {
		file.Ranges[i].Offset += start
	}
	file.Head, file.Size = e.out, start+end // llama.cpp reads the padding of the last tensor too
	return file, nil
}

func alignUp(n, alignment int64) int64 { return (n + alignment - 1) / alignment * alignment }

// encoder appends a header's parts. What it writes, cursor reads: its limits are
// the same.
type encoder struct {
	out      []byte
	elements int // of arrays, so far
}

func (e *encoder) u32(v uint32) { e.out = binary.LittleEndian.AppendUint32(e.out, v) }
func (e *encoder) u64(v uint64) { e.out = binary.LittleEndian.AppendUint64(e.out, v) }

func (e *encoder) str(s string) {
	e.u64(uint64(len(s)))
	e.out = append(e.out, s...)
}

func (e *encoder) name(s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("an empty name")
	case len(s) > most:
		return fmt.Errorf("the name has %d bytes, %d are allowed", len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("a name must be UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return fmt.Errorf("a name with control characters")
		}
	}
	e.str(s)
	return nil
}

func (e *encoder) kv(kv KV) error {
	if err := e.name(kv.Key, maxKeyBytes); err != nil {
		return err
	}
	t, array, ok := typeOf(kv.Value)
	switch {
	case !ok:
		return fmt.Errorf("GGUF has no values of Go's type %T", kv.Value)
	case array:
		e.u32(uint32(typeArray))
		return e.array(kv.Value, 1)
	}
	e.u32(uint32(t))
	if s, ok := kv.Value.(string); ok {
		if len(s) > maxStringBytes {
			return fmt.Errorf("a string of %d bytes, %d are allowed", len(s), maxStringBytes)
		}
		e.str(s)
		return nil
	}
	var err error
	e.out, err = binary.Append(e.out, binary.LittleEndian, kv.Value)
	return err
}

// array appends an array at some depth of nesting.
func (e *encoder) array(v any, depth int) error {
	t, array, ok := typeOf(v)
	if !ok || !array {
		return fmt.Errorf("an element of a nested array is a %T; an array is expected", v)
	}
	if depth > maxDepth {
		return fmt.Errorf("arrays are nested more than %d deep", maxDepth)
	}
	e.u32(uint32(t))
	switch v := v.(type) {
	case []string:
		if err := e.count(len(v)); err != nil {
			return err
		}
		for i, s := range v {
			if len(s) > maxStringBytes {
				return fmt.Errorf("string %d has %d bytes, %d are allowed", i, len(s), maxStringBytes)
			}
			e.str(s)
		}
		return nil
	case Nested:
		if err := e.count(len(v)); err != nil {
			return err
		}
		for _, inner := range v {
			if err := e.array(inner, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := e.count(binary.Size(v) / valueTypes[t].size); err != nil {
		return err
	}
	var err error
	e.out, err = binary.Append(e.out, binary.LittleEndian, v)
	return err
}

// count appends the length of an array.
func (e *encoder) count(n int) error {
	if e.elements += n; e.elements > maxElements {
		return fmt.Errorf("the file's arrays have more than %d elements together", maxElements)
	}
	e.u64(uint64(n))
	return nil
}

// info appends a tensor's entry and returns the tensor's size.
func (e *encoder) info(t TensorInfo, offset int64) (size int64, err error) {
	if err := e.name(t.Name, maxWrittenName); err != nil {
		return 0, err
	}
	number, ok := numberOf(t.Type)
	if !ok {
		return 0, fmt.Errorf("GGUF has no type %s", t.Type)
	}
	n := len(t.Dims)
	if n < 1 || n > maxDims {
		return 0, fmt.Errorf("%d dimensions, 1 to %d are allowed", n, maxDims)
	}
	e.u32(uint32(n))
	elems := uint64(1)
	for i := n - 1; i >= 0; i-- {
		d := t.Dims[i]
		hi, lo := bits.Mul64(elems, uint64(d))
		if d <= 0 || hi != 0 || lo > math.MaxInt64 {
			return 0, fmt.Errorf("the shape %v has no countable elements", t.Dims)
		}
		elems = lo
		e.u64(uint64(d))
	}
	if row := t.Dims[n-1]; row%t.Type.BlockElems() != 0 {
		return 0, fmt.Errorf("rows of %d: those of %s are multiples of %d", row, t.Type, t.Type.BlockElems())
	}
	hi, lo := bits.Mul64(elems/uint64(t.Type.BlockElems()), uint64(t.Type.BlockBytes()))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, fmt.Errorf("the bytes of shape %v cannot be counted", t.Dims)
	}
	e.u32(number)
	e.u64(uint64(offset))
	return int64(lo), nil
}
