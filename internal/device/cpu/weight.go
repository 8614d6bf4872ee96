package cpu

import (
	"fmt"
	"unsafe"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/sys/arena"
	"github.com/cria-llm/cria/internal/tensor"
)

// weight is a matrix on the CPU. Block-quantised ones are packed in panels in
// memory of the device, or stay mapped and are packed panel by panel as they are
// used (Options.Stream); float ones stay where they are mapped.
type weight struct {
	dt         tensor.DType
	rows, cols int

	qf     *kernel.QuantFormat
	panels []byte // packed blocks
	rowsIn []byte // instead of panels, where these are packed at each use: rows in file encoding
	f32    []float32
	u16    []uint16 // F16 or BF16

	table []byte // LoadTable: rows in file encoding
	src   device.RowSource

	mem *arena.Arena // nil where the weight is mapped
}

func (w *weight) DType() tensor.DType { return w.dt }
func (w *weight) Shape() (int, int)   { return w.rows, w.cols }
func (w *weight) Bytes() int          { return w.rows * w.dt.RowBytes(w.cols) }

// packPiece is how many bytes of a matrix one worker packs before it gives the
// mapped pages behind them back: small enough that all workers have work in a
// matrix of a few megabytes.
const packPiece = 1 << 20

// fetchAhead is how far behind its last panel a matrix's memory goes on: kernels
// fetch ahead, and a fetch from a page that nobody has touched takes long.
const fetchAhead = 4 << 10

// Load brings a matrix to the device.
func (d *Device) Load(src device.RowSource) (device.Weight, error) {
	rows, cols := src.Shape()
	w := &weight{dt: src.DType(), rows: rows, cols: cols, src: src}
	if w.dt.IsQuant() {
		return d.pack(w)
	}
	if !w.dt.IsFloat() {
		return nil, fmt.Errorf("cpu: %s: a weight of type %s cannot be computed with", src.Name(), w.dt)
	}
	b, err := d.rowsInMemory(w)
	if err != nil {
		return nil, err
	}
	if rows == 1 && w.dt != tensor.F32 {
		return d.widen(w, b)
	}
	if w.dt == tensor.F32 {
		w.f32 = unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), rows*cols)
	} else {
		w.u16 = unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), rows*cols)
	}
	return w, nil
}

// widen turns a vector (a norm's gain) into f32, which is exact.
func (d *Device) widen(w *weight, b []byte) (device.Weight, error) {
	mem, err := d.newArena(w.cols * 4)
	if err != nil {
		return nil, err
	}
	// As a task: b may be a mapped file that was cut.
	t := &loadTask{w: w, step: 1, do: func(int, int) error {
		quant.Dequantize(w.dt, mem.Float32s(), b)
		return nil
	}}
	if err := t.run(d); err != nil {
		d.freeArena(mem)
		return nil, err
	}
	if w.mem != nil {
		d.freeArena(w.mem)
	}
	w.mem, w.f32, w.dt = mem, mem.Float32s(), tensor.F32
	return w, nil
}

// LoadTable brings an embedding table; a row is decoded when it is used.
func (d *Device) LoadTable(src device.RowSource) (device.Weight, error) {
	rows, cols := src.Shape()
	w := &weight{dt: src.DType(), rows: rows, cols: cols, src: src}
	var err error
	w.table, err = d.rowsInMemory(w)
	return w, err
}

// rowsInMemory returns the matrix in file encoding: the mapping itself where it
// is contiguous and aligned, else a copy.
func (d *Device) rowsInMemory(w *weight) ([]byte, error) {
	size := w.rows * w.dt.RowBytes(w.cols)
	align := uintptr(1)
	if w.dt.IsFloat() {
		align = uintptr(w.dt.BlockBytes())
	}
	b, err := w.mapped()
	if err != nil {
		return nil, err
	}
	if b != nil && uintptr(unsafe.Pointer(unsafe.SliceData(b)))%align == 0 {
		return b, nil
	}
	mem, err := d.newArena(size)
	if err != nil {
		return nil, err
	}
	w.mem = mem
	if err := d.readAll(w, mem.Bytes()); err != nil {
		d.freeArena(mem)
		return nil, err
	}
	return mem.Bytes(), nil
}

// mapped returns the matrix where it is mapped, or nil where it is not.
func (w *weight) mapped() ([]byte, error) {
	b := w.src.Mapped()
	if size := w.rows * w.dt.RowBytes(w.cols); b != nil && len(b) != size {
		return nil, fmt.Errorf("cpu: %s: %d bytes mapped, its shape (%d, %d) needs %d", w.src.Name(), len(b), w.rows, w.cols, size)
	}
	return b, nil
}

// readAll assembles all rows into dst, a piece at a time on every worker.
func (d *Device) readAll(w *weight, dst []byte) error {
	rb := w.dt.RowBytes(w.cols)
	t := &loadTask{w: w, step: max(1, packPiece/max(rb, 1)), do: func(row, n int) error {
		if err := w.src.ReadRows(dst[row*rb:(row+n)*rb], row, n); err != nil {
			return err
		}
		w.src.Release(row, n)
		return nil
	}}
	return t.run(d)
}

// pack rearranges a block-quantised matrix into panels.
func (d *Device) pack(w *weight) (device.Weight, error) {
	w.qf = d.set.Quant[w.dt]
	if w.qf == nil {
		return nil, fmt.Errorf("cpu: %s: the %s kernels have no type %s", w.src.Name(), d.set.Name, w.dt)
	}
	pr := d.set.PanelRows
	rb := w.dt.RowBytes(w.cols)
	padded := (w.rows + pr - 1) / pr * pr
	if err := d.growActs(w.cols, w.dt.BlockElems()); err != nil {
		return nil, err
	}
	for i := range d.scratch {
		s := &d.scratch[i]
		s.unpacked.Grow(w.cols, pr)
		if s.column == nil {
			s.column = make([]float32, pr*MaxRows)
		}
	}
	mapped, err := w.mapped()
	if err != nil {
		return nil, err
	}
	if d.stream && mapped != nil {
		for i := range d.scratch {
			if s := &d.scratch[i]; len(s.packed) < pr*rb {
				s.packed = make([]byte, pr*rb)
			}
		}
		w.rowsIn = mapped
		return w, nil
	}
	mem, err := d.newArena(padded*rb + fetchAhead)
	if err != nil {
		return nil, err
	}
	w.mem, w.panels = mem, mem.Bytes()[:padded*rb]
	mem.Bytes()[padded*rb+fetchAhead-1] = 0 // touched
	t := &loadTask{w: w, step: max(pr, packPiece/rb/pr*pr), do: func(row, n int) error {
		var from []byte
		if mapped != nil {
			from = mapped[row*rb : (row+n)*rb]
		} else {
			from = make([]byte, n*rb)
			if err := w.src.ReadRows(from, row, n); err != nil {
				return err
			}
		}
		end := min((row+n+pr-1)/pr*pr, padded)
		w.qf.Pack(w.panels[row*rb:end*rb], from, n, w.cols)
		w.src.Release(row, n)
		return nil
	}}
	if err := t.run(d); err != nil {
		d.freeArena(mem)
		return nil, err
	}
	return w, nil
}

// loadTask reads a matrix's rows in pieces of step rows.
type loadTask struct {
	w    *weight
	step int
	do   func(row, n int) error
	errs []error
}

func (t *loadTask) Part(_, part int) {
	row := part * t.step
	t.errs[part] = t.do(row, min(t.step, t.w.rows-row))
}

func (t *loadTask) run(d *Device) error {
	parts := (t.w.rows + t.step - 1) / t.step
	t.errs = make([]error, parts)
	d.Begin()
	d.pool.Run(t, parts)
	if err := d.End(); err != nil {
		return fmt.Errorf("%s: %w", t.w.src.Name(), err)
	}
	for _, err := range t.errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// FreeWeight gives a weight's memory back.
func (d *Device) FreeWeight(h device.Weight) {
	w := h.(*weight)
	if w.mem != nil {
		d.freeArena(w.mem)
		w.mem = nil
	}
	w.panels, w.rowsIn, w.f32, w.u16, w.table = nil, nil, nil, nil, nil
}

// Embed decodes the table's rows named by ids.
func (d *Device) Embed(y device.Tensor, table device.Weight, ids []int32) {
	w := weightOf(table)
	if y.Rows != len(ids) || y.Cols != w.cols || w.table == nil {
		panic(fmt.Sprintf("cpu: Embed of %d ids from (%d, %d) into (%d, %d)", len(ids), w.rows, w.cols, y.Rows, y.Cols))
	}
	d.rows.set(opEmbed, y, device.Tensor{}, device.Tensor{})
	d.rows.w, d.rows.ids = w, ids
	d.runRows()
}

// embedRow decodes one row.
func (w *weight) embedRow(y []float32, id int32) {
	if id < 0 || int(id) >= w.rows {
		panic(fmt.Sprintf("cpu: Embed of id %d from a table of %d rows", id, w.rows))
	}
	if w.f32 != nil { // of a parameter
		copy(y, w.f32[int(id)*w.cols:])
		return
	}
	rb := w.dt.RowBytes(w.cols)
	quant.Dequantize(w.dt, y, w.table[int(id)*rb:(int(id)+1)*rb])
}
