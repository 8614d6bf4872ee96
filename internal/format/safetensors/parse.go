package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/tensor"
)

const hintDamaged = "the file is cut or damaged: get it again"

// info is a tensor's entry in the header.
type info struct {
	name       string
	typeName   string
	typ        tensor.DType
	dims       []int
	begin, end int
}

func (t *info) field() string { return "tensor " + t.name }

// parse reads a mapped file. The tensors' contents are not touched.
func parse(m *mmap.File) ([]*view.Tensor, map[string]string, error) {
	s, data, err := header(m)
	if err != nil {
		return nil, nil, err
	}
	var infos []info
	var metadata map[string]string
	err = s.object("header", maxName, func(key string) error {
		if key == metadataKey {
			metadata = map[string]string{}
			return s.object(metadataKey, maxName, func(name string) (err error) {
				metadata[name], err = s.str(metadataKey+": "+ferr.Quote(name), maxText)
				return err
			})
		}
		if len(infos) == maxTensors {
			return s.malformed("header", nil, "more than %d tensors", maxTensors)
		}
		t, err := readInfo(s, key)
		infos = append(infos, t)
		return err
	})
	if err == nil {
		err = s.end("header")
	}
	if err != nil {
		return nil, nil, err
	}
	if err := checkRanges(s, infos, len(data)); err != nil {
		return nil, nil, err
	}
	tensors := make([]*view.Tensor, len(infos))
	for i, t := range infos {
		tensors[i] = view.Mapped(m, t.name, t.typ, t.dims, data[t.begin:t.end:t.end])
		tensors[i].TypeName = t.typeName
	}
	return tensors, metadata, nil
}

// header finds the header's text and the data behind it.
func header(m *mmap.File) (s *scanner, data []byte, err error) {
	s = &scanner{file: m.Name()}
	all := m.Bytes()
	if len(all) < lengthBytes {
		return nil, nil, s.malformed("file length", len(all), "a safetensors file has at least %d bytes", lengthBytes).WithHint(hintDamaged)
	}
	n := binary.LittleEndian.Uint64(all)
	all = all[lengthBytes:]
	const field = "header length"
	switch {
	case n < uint64(len("{}")):
		return nil, nil, s.malformed(field, n, "the least that a header can be is {}").WithHint(hintDamaged)
	case n > maxHeader:
		return nil, nil, s.malformed(field, n, "at most %d bytes are allowed", maxHeader).WithHint("the file is damaged or no safetensors file")
	case n > uint64(len(all)):
		return nil, nil, s.malformed(field, n, "%d bytes are left in the file", len(all)).WithHint(hintDamaged)
	}
	s.data = all[:n]
	if s.data[0] != '{' {
		return nil, nil, s.malformed("header", s.data[:min(n, 16)], "it must begin with {").WithHint("the file is damaged or no safetensors file")
	}
	return s, all[n:], nil
}

// readInfo reads {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}.
func readInfo(s *scanner, name string) (t info, err error) {
	t.name = name
	if err := checkName(name); err != nil {
		return t, s.malformed("header: key", name, "%v", err)
	}
	var offsets []int
	var hasType, hasShape bool
	err = s.object(t.field(), maxName, func(key string) (err error) {
		field := t.field() + ": " + key
		switch key {
		case "dtype":
			hasType = true
			t.typeName, err = s.str(field, maxName)
			return err
		case "shape":
			hasShape = true
			t.dims, err = wholes(s, field, maxDims)
			return err
		case "data_offsets":
			offsets, err = wholes(s, field, 2)
			if err == nil && len(offsets) != 2 {
				err = s.malformed(field, offsets, "two numbers are expected")
			}
			return err
		}
		return s.malformed(t.field()+": key", key, "dtype, shape and data_offsets are expected")
	})
	switch {
	case err != nil:
		return t, err
	case !hasType:
		return t, s.malformed(t.field()+": dtype", nil, "it is missing")
	case !hasShape:
		return t, s.malformed(t.field()+": shape", nil, "it is missing")
	case offsets == nil:
		return t, s.malformed(t.field()+": data_offsets", nil, "they are missing")
	}
	t.begin, t.end = offsets[0], offsets[1]
	return t, t.check(s)
}

// checkName checks a tensor's name: these are printed.
func checkName(name string) error {
	if name == "" {
		return errors.New("an empty name")
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return errors.New("a name with control characters")
		}
	}
	return nil
}

// wholes reads an array of at most so many whole numbers.
func wholes(s *scanner, field string, most int) (list []int, err error) {
	list = []int{}
	err = s.array(field, func(i int) error {
		if i == most {
			return s.malformed(field, nil, "more than %d numbers", most)
		}
		n, err := s.whole(fmt.Sprintf("%s: number %d", field, i))
		list = append(list, n)
		return err
	})
	return list, err
}

// check compares range, shape and type.
func (t *info) check(s *scanner) error {
	typ, known := dtypes[t.typeName]
	if !known {
		return ferr.New(ferr.Unsupported, s.file, t.field()+": dtype", t.typeName, "no such type is known").WithHint("the file is damaged or newer than this program")
	}
	t.typ = typ.typ
	if t.begin > t.end {
		return s.malformed(t.field()+": data_offsets", []int{t.begin, t.end}, "the end lies before the beginning")
	}
	size := uint64(typ.bits)
	for _, d := range t.dims {
		hi, lo := bits.Mul64(size, uint64(d))
		if hi != 0 || lo > math.MaxInt64 {
			return s.malformed(t.field()+": shape", t.dims, "the tensor's bytes cannot be counted")
		}
		size = lo
	}
	if size%8 != 0 {
		return s.malformed(t.field()+": shape", t.dims, "elements of %s make no whole number of bytes", t.typeName)
	}
	if size /= 8; uint64(t.end-t.begin) != size {
		return s.malformed(t.field()+": data_offsets", []int{t.begin, t.end}, "shape %v of %s has %d bytes", t.dims, t.typeName, size)
	}
	return nil
}

// checkRanges sorts the tensors by offset and checks that they cover the data,
// each byte once.
func checkRanges(s *scanner, infos []info, size int) error {
	slices.SortFunc(infos, func(a, b info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	at := 0
	for i := range infos {
		t := &infos[i]
		field, offsets := t.field()+": data_offsets", []int{t.begin, t.end}
		switch {
		case t.end > size:
			return s.malformed(field, offsets, "the file's data has %d bytes", size).WithHint(hintDamaged)
		case t.begin > at:
			return s.malformed(field, offsets, "bytes %d to %d before it belong to no tensor", at, t.begin)
		case t.begin < at:
			return s.malformed(field, offsets, "it overlaps tensor %s, which ends at %d", infos[i-1].name, at)
		}
		at = t.end
	}
	if at != size {
		return s.malformed("data", nil, "the last %d bytes of the file belong to no tensor", size-at).WithHint("the file is damaged: get it again")
	}
	return nil
}
