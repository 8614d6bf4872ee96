// Package view is a named tensor in a mapped file: what all file formats hand
// out. It has the methods of device.RowSource, so a tensor whose rows need no
// change can go to a device as it is.
package view

import (
	"fmt"

	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/tensor"
)

// Tensor is a named tensor in a file.
type Tensor struct {
	File     string       // path of the file that holds it
	Key      string       // its name in the file
	Type     tensor.DType // Invalid where Cria has no such type: such a tensor has no rows
	TypeName string       // the type as the format spells it
	Dims     []int        // outermost first, as PyTorch prints them (GGUF stores the reverse)

	data   []byte     // the rows as they lie in the file, or nil
	region *mmap.File // the mapping behind data, or nil
	read   ReadRowsFunc
}

// ReadRowsFunc writes rows [row, row+n) to dst. The range has been checked.
type ReadRowsFunc func(dst []byte, row, n int) error

// Mapped makes a tensor whose rows lie one after the other in data, a piece of
// region. len(data) must be the tensor's size; a reader has checked that.
func Mapped(region *mmap.File, key string, typ tensor.DType, dims []int, data []byte) *Tensor {
	return &Tensor{File: region.Name(), Key: key, Type: typ, TypeName: typ.String(), Dims: dims, data: data, region: region}
}

// Computed makes a tensor whose rows are made on demand.
func Computed(file, key string, typ tensor.DType, dims []int, read ReadRowsFunc) *Tensor {
	return &Tensor{File: file, Key: key, Type: typ, TypeName: typ.String(), Dims: dims, read: read}
}

// Name is the file and the tensor, for errors.
func (t *Tensor) Name() string { return t.File + ": " + t.Key }

// DType returns the type of the rows.
func (t *Tensor) DType() tensor.DType { return t.Type }

// Shape returns the tensor as a matrix: the last dimension is the columns, all
// others together are the rows. A vector is one row, a scalar (1, 1).
func (t *Tensor) Shape() (rows, cols int) {
	rows, cols = 1, 1
	for i, d := range t.Dims {
		if i == len(t.Dims)-1 {
			cols = d
		} else {
			rows *= d
		}
	}
	return rows, cols
}

// Size returns the number of bytes of all rows.
func (t *Tensor) Size() int64 {
	rows, cols := t.Shape()
	if rows == 0 || cols == 0 {
		return 0
	}
	return int64(rows) * int64(t.Type.RowBytes(cols))
}

// Mapped returns all rows as they lie in the mapped file, or nil where rows are
// computed. Reading them can fault when the file is cut while mapped: read under
// mmap.Guard or on a device's workers. They are gone when the file is closed.
func (t *Tensor) Mapped() []byte { return t.data }

// ReadRows writes rows [row, row+n) to dst, which must hold exactly them.
func (t *Tensor) ReadRows(dst []byte, row, n int) error {
	rows, cols := t.Shape()
	if row < 0 || n < 0 || row > rows-n {
		panic(fmt.Sprintf("view: rows [%d,%d) of %s, which has %d", row, row+n, t.Name(), rows))
	}
	size := t.Type.RowBytes(cols)
	if len(dst) != n*size {
		panic(fmt.Sprintf("view: %d bytes for %d rows of %s: %d are needed", len(dst), n, t.Name(), n*size))
	}
	return mmap.Guard(func() error {
		if t.read != nil {
			return t.read(dst, row, n)
		}
		copy(dst, t.data[row*size:])
		return nil
	})
}

// Release says that the mapped pages behind rows [row, row+n) are not needed
// for now. Computed tensors do nothing.
func (t *Tensor) Release(row, n int) {
	if t.region == nil || n <= 0 {
		return
	}
	_, cols := t.Shape()
	size := t.Type.RowBytes(cols)
	t.region.Release(t.data[row*size : (row+n)*size])
}
