package modelfile

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/tensor"
)

// Verify reads every tensor and checks that all weights are finite: floats one by
// one, blocks by their scales; and that the sums are right where a format has
// some. progress, if not nil, gets bytes.
func (m *Model) Verify(ctx context.Context, progress func(done, total int64)) error {
	var done, total int64
	for _, e := range m.entries {
		total += e.info.Bytes
	}
	for _, f := range m.sums {
		total += f.SumBytes()
	}
	advance := func(bytes int) error {
		done += int64(bytes)
		if progress != nil {
			progress(done, total)
		}
		return ctx.Err()
	}
	for _, e := range m.entries {
		err := eachPiece(e.src, func(b []byte, row, _ int) error {
			if err := checkFinite(e.src, b, row); err != nil {
				return err
			}
			return advance(len(b))
		})
		if err != nil {
			return err
		}
	}
	for _, f := range m.sums {
		if err := f.Verify(advance); err != nil {
			return err
		}
	}
	return nil
}

// eachPiece reads a tensor in pieces of whole rows.
func eachPiece(src device.RowSource, f func(b []byte, row, n int) error) error {
	rows, cols := src.Shape()
	size := src.DType().RowBytes(cols)
	step := min(rows, max(1, pieceBytes/size))
	buf := make([]byte, step*size)
	for row := 0; row < rows; row += step {
		n := min(step, rows-row)
		if err := src.ReadRows(buf[:n*size], row, n); err != nil {
			return err
		}
		if err := f(buf[:n*size], row, n); err != nil {
			return err
		}
		src.Release(row, n)
	}
	return nil
}

// checkFinite looks at rows in file encoding, the first of which is row. A block
// is finite if its f16 scale and minimum are.
func checkFinite(src device.RowSource, b []byte, row int) error {
	dt := src.DType()
	le := binary.LittleEndian
	bad := -1 // element
	switch {
	case dt == tensor.F32:
		for i := 0; i+4 <= len(b); i += 4 {
			if le.Uint32(b[i:])&0x7f800000 == 0x7f800000 {
				bad = i / 4
				break
			}
		}
	case dt == tensor.F16 || dt == tensor.BF16:
		mask := uint16(0x7c00)
		if dt == tensor.BF16 {
			mask = 0x7f80
		}
		for i := 0; i+2 <= len(b); i += 2 {
			if le.Uint16(b[i:])&mask == mask {
				bad = i / 2
				break
			}
		}
	default:
		size, s := dt.BlockBytes(), blockTypes[dt]
		second := max(s.scale, s.minimum)
		for i := 0; i+size <= len(b); i += size {
			if le.Uint16(b[i+s.scale:])&0x7c00 == 0x7c00 || le.Uint16(b[i+second:])&0x7c00 == 0x7c00 {
				bad = i / size * dt.BlockElems()
				break
			}
		}
	}
	if bad < 0 {
		return nil
	}
	_, cols := src.Shape()
	what := "a weight that is not finite"
	if dt.IsQuant() {
		what = fmt.Sprintf("a %s block with a scale that is not finite", dt)
	}
	return fmt.Errorf("%s: %s at row %d, column %d: the file is damaged; get it again", src.Name(), what, row+bad/cols, bad%cols)
}
