package modelfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// ConvertOptions say what Convert writes.
type ConvertOptions struct {
	Type      string // of the matrices: a mix's name ("f16", "q4_k_m"); "" keeps each tensor's own
	Overwrite bool
	Workers   int                     // 0 is as many as Go has
	Progress  func(done, total int64) // bytes read; may be nil
}

// Report says what was written.
type Report struct {
	Out     string         `json:"out"`
	Format  Format         `json:"format"`
	Files   []string       `json:"files"`
	Tensors []TensorReport `json:"tensors"`
	Bytes   int64          `json:"bytes"` // of all tensors
	Notes   []string       `json:"notes"`
}

// TensorReport says what became of one tensor. Wanted differs from To where the
// tensor's rows are no multiple of the wanted type's blocks.
type TensorReport struct {
	Name   string `json:"name"` // in the written file
	From   string `json:"from"`
	To     string `json:"to"`
	Wanted string `json:"wanted"`
	Rows   int    `json:"rows"`
	Cols   int    `json:"cols"`
	Bytes  int64  `json:"bytes"`
}

// item is a tensor to be written.
type item struct {
	name       string // in the written file
	src        device.RowSource
	to, wanted tensor.DType
	norm       bool
}

func (it *item) dims() []int {
	rows, cols := it.src.Shape()
	if it.norm {
		return []int{cols}
	}
	return []int{rows, cols}
}

// tensorWriter is what the writers of formats have in common.
type tensorWriter interface {
	WriteTensor(name string, piece []byte) error
	Close() error
	Abort()
}

// Convert writes a model as a GGUF file, if out ends in .gguf, with a Modelfile
// beside it, or else as a Hugging Face directory. Tensors stream through in
// pieces, and every weight is checked to be finite on its way. Nothing is at out
// before all is written.
func Convert(ctx context.Context, m *Model, out string, opt ConvertOptions) (*Report, error) {
	if err := checkOut(m, out, opt.Overwrite); err != nil {
		return nil, err
	}
	if strings.EqualFold(filepath.Ext(out), ".gguf") {
		return writeGGUF(ctx, m, out, opt)
	}
	return writeHF(ctx, m, out, opt)
}

// checkOut refuses to write over what is there.
func checkOut(m *Model, out string, overwrite bool) error {
	st, err := os.Stat(out)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range append([]string{m.Path}, m.Files...) {
		for _, f := range []string{f, filepath.Dir(f)} {
			if in, err := os.Stat(f); err == nil && os.SameFile(st, in) {
				return fmt.Errorf("%s: the model to be converted is there: write to another place", out)
			}
		}
	}
	wantFile := strings.EqualFold(filepath.Ext(out), ".gguf")
	if st.IsDir() == wantFile {
		what := "a file"
		if st.IsDir() {
			what = "a directory"
		}
		return fmt.Errorf("%s: there is %s: write to another place", out, what)
	}
	if overwrite {
		return nil
	}
	if st.IsDir() {
		if list, err := os.ReadDir(out); err != nil || len(list) == 0 {
			return err
		}
		return fmt.Errorf("%s: the directory is not empty: write to another place, or say that it may be overwritten", out)
	}
	return fmt.Errorf("%s: the file exists: write to another place, or say that it may be overwritten", out)
}

// report starts a Report with the tensors to be written.
func report(out string, format Format, items []*item) *Report {
	r := &Report{Out: out, Format: format, Notes: []string{}}
	for _, it := range items {
		rows, cols := it.src.Shape()
		t := TensorReport{Name: it.name, From: it.src.DType().String(), To: it.to.String(), Wanted: it.wanted.String(), Rows: rows, Cols: cols,
			Bytes: int64(rows) * int64(it.to.RowBytes(cols))}
		r.Tensors = append(r.Tensors, t)
		r.Bytes += t.Bytes
	}
	return r
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// encode reads rows of an item and writes them in the item's type. Buffers grow
// as needed and are kept in b.
func (it *item) encode(b *buffers, row, n int) error {
	_, cols := it.src.Shape()
	from := it.src.DType()
	b.in = grow(b.in, n*from.RowBytes(cols))
	if err := it.src.ReadRows(b.in, row, n); err != nil {
		return err
	}
	it.src.Release(row, n)
	if err := checkFinite(it.src, b.in, row); err != nil {
		return err
	}
	if from == it.to {
		b.in, b.out = b.out, b.in
		return nil
	}
	b.x = grow(b.x, n*cols)
	quant.Dequantize(from, b.x, b.in)
	size := it.to.RowBytes(cols)
	b.out = grow(b.out, n*size)
	for i := range n { // row by row, so that an error tells which
		if err := quant.Quantize(it.to, b.out[i*size:(i+1)*size], b.x[i*cols:(i+1)*cols], cols, nil); err != nil {
			return fmt.Errorf("%s: row %d: %w", it.src.Name(), row+i, err)
		}
	}
	return nil
}

// buffers are one piece's memory.
type buffers struct {
	in, out []byte
	x       []float32
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
