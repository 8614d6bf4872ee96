package pth

import (
	"math"
	"math/bits"
	"slices"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/tensor"
)

// makeView checks a tensor against its storage and hands its bytes out: as they
// lie where they lie row after row, else gathered row by row.
func (f *File) makeView(name string, r *tensorRef) (*view.Tensor, error) {
	field := "tensor " + name
	if r.lazy != "" {
		return nil, ferr.New(ferr.Unsupported, f.Path(), field, nil, "its values are kept with a %s still to be done", r.lazy).WithHint("save it again after resolve_conj() and resolve_neg()")
	}
	if len(r.size) != len(r.stride) || len(r.size) > maxDims {
		return nil, ferr.New(ferr.Malformed, f.Path(), field, nil, "%d sizes and %d strides; as many of both are expected, at most %d", len(r.size), len(r.stride), maxDims)
	}
	have := uint64(len(r.storage.data) / r.elem.size)
	if r.offset < 0 || uint64(r.offset) > have {
		return nil, ferr.New(ferr.Malformed, f.Path(), field+": storage offset", r.offset, "storage %s has %d elements", r.storage.key, have)
	}
	// last is the highest element that the tensor has, if it has any.
	elems, nonzero, last := uint64(1), uint64(1), uint64(r.offset)
	dims := make([]int, len(r.size))
	for i, n := range r.size {
		stride := r.stride[i]
		if n < 0 {
			return nil, ferr.New(ferr.Malformed, f.Path(), field+": size", r.size, "a size is negative")
		}
		if stride < 0 {
			return nil, ferr.New(ferr.Malformed, f.Path(), field+": stride", r.stride, "a stride is negative")
		}
		dims[i] = int(n)
		elems *= uint64(n) // wraps only where nonzero does
		if n == 0 {
			continue
		}
		hi, lo := bits.Mul64(nonzero, uint64(n))
		if hi != 0 || lo > math.MaxInt64/16 {
			return nil, ferr.New(ferr.Malformed, f.Path(), field+": size", r.size, "the tensor's elements cannot be counted")
		}
		nonzero = lo
		hi, lo = bits.Mul64(uint64(n-1), uint64(stride))
		sum, carry := bits.Add64(last, lo, 0)
		if hi != 0 || carry != 0 {
			return nil, ferr.New(ferr.Malformed, f.Path(), field+": stride", r.stride, "the tensor's extent cannot be counted")
		}
		last = sum
	}
	switch {
	case elems > 0 && last >= have:
		return nil, ferr.New(ferr.Malformed, f.Path(), field, nil, "it ends at element %d of storage %s, which has %d: offset %d, size %v, stride %v", last, r.storage.key, have, r.offset, r.size, r.stride).WithHint(hintDamaged)
	case elems > have:
		// An expanded tensor could ask for any amount of memory.
		return nil, ferr.New(ferr.Unsupported, f.Path(), field, nil, "it has %d elements in a storage of %d: size %v, stride %v", elems, have, r.size, r.stride).WithHint("save it again after contiguous()")
	}
	t := f.viewOf(name, r, dims, int(elems))
	t.TypeName = r.elem.name
	return t, nil
}

// viewOf makes the view of a tensor that has been checked.
func (f *File) viewOf(name string, r *tensorRef, dims []int, elems int) *view.Tensor {
	size := r.elem.size
	data := r.storage.data[int(r.offset)*size:]
	if r.elem.typ == tensor.Invalid {
		return view.Mapped(f.region, name, r.elem.typ, dims, nil)
	}
	if isContiguous(r) {
		n := elems * size
		return view.Mapped(f.region, name, r.elem.typ, dims, data[:n:n])
	}
	s := strided{data: data, size: size, dims: dims}
	for _, n := range r.stride {
		s.strides = append(s.strides, int(n)*size)
	}
	return view.Computed(f.Path(), name, r.elem.typ, dims, s.readRows)
}

// isContiguous reports whether the elements lie in row-major order without gaps.
// The stride of a dimension of one element means nothing.
func isContiguous(r *tensorRef) bool {
	if slices.Contains(r.size, 0) {
		return true
	}
	want := int64(1)
	for i := len(r.size) - 1; i >= 0; i-- {
		if r.size[i] != 1 && r.stride[i] != want {
			return false
		}
		want *= r.size[i]
	}
	return true
}

// strided is a tensor whose elements do not lie in row-major order: a transposed
// matrix or a slice of columns.
type strided struct {
	data    []byte // from the first element on
	size    int    // of an element
	dims    []int
	strides []int // in bytes
}

// gatherRows is how many rows are gathered together: in a transposed matrix the
// elements of a column lie side by side.
const gatherRows = 32

// readRows gathers rows [row, row+n).
func (s *strided) readRows(dst []byte, row, n int) error {
	cols, step := s.dims[len(s.dims)-1], s.strides[len(s.dims)-1]
	rowBytes := cols * s.size
	var start [gatherRows]int
	for n > 0 {
		part := min(n, gatherRows)
		for i := range part {
			start[i] = s.rowStart(row + i)
		}
		if step == s.size {
			for i := range part {
				copy(dst[i*rowBytes:(i+1)*rowBytes], s.data[start[i]:])
			}
		} else {
			s.gather(dst, start[:part], step)
		}
		dst, row, n = dst[part*rowBytes:], row+part, n-part
	}
	return nil
}

// gather copies element by element, column after column.
func (s *strided) gather(dst []byte, start []int, step int) {
	cols := s.dims[len(s.dims)-1]
	for c := range cols {
		for i, from := range start {
			from += c * step
			copy(dst[(i*cols+c)*s.size:][:s.size], s.data[from:])
		}
	}
}

// rowStart returns where in data a row begins: its number has the outer
// dimensions for digits.
func (s *strided) rowStart(row int) int {
	at := 0
	for d := len(s.dims) - 2; d >= 0; d-- {
		at += row % s.dims[d] * s.strides[d]
		row /= s.dims[d]
	}
	return at
}
