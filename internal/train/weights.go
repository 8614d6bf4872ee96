package train

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/format/safetensors"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/optim"
	"github.com/cria-llm/cria/internal/tensor"
)

const pieceElems = 1 << 20 // read from the device at once

// weights is a training model's values, or their moving averages, as a source of
// f32 tensors to be written.
type weights struct {
	mu     sync.Mutex // a device is for one goroutine
	dev    device.Device
	byName map[string]device.Tensor
}

// Weights are the model's parameters as they are now.
func Weights(m *llama.TrainModel) llama.Source {
	w := &weights{dev: m.Device(), byName: map[string]device.Tensor{}}
	for _, p := range m.Params() {
		w.byName[p.Name] = p.Param.Value()
	}
	return w
}

// Averages are the moving averages of the parameters.
func Averages(m *llama.TrainModel, opt *optim.AdamW) llama.Source {
	w := &weights{dev: m.Device(), byName: map[string]device.Tensor{}}
	for _, p := range m.Params() {
		if t, ok := opt.Average(p.Name); ok {
			w.byName[p.Name] = t
		}
	}
	return w
}

func (w *weights) Tensor(name string) (device.RowSource, error) {
	t, ok := w.byName[name]
	if !ok {
		return nil, fmt.Errorf("train: there is no tensor %s", name)
	}
	return &rows{w, name, t}, nil
}

// rows is one tensor of a device.
type rows struct {
	w    *weights
	name string
	t    device.Tensor
}

func (r *rows) Name() string        { return "model in training: " + r.name }
func (r *rows) DType() tensor.DType { return tensor.F32 }
func (r *rows) Shape() (int, int)   { return r.t.Rows, r.t.Cols }
func (r *rows) Mapped() []byte      { return nil }
func (r *rows) Release(int, int)    {}

func (r *rows) ReadRows(dst []byte, row, n int) error {
	x := make([]float32, n*r.t.Cols)
	r.w.mu.Lock()
	r.w.dev.Download(x, r.t.Slice(row, row+n))
	r.w.mu.Unlock()
	for i, v := range x {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
	return nil
}

// pieces calls f for the rows of a tensor, a piece at a time.
func pieces(t device.Tensor, f func(row, n int) error) error {
	step := max(1, pieceElems/t.Cols)
	for row := 0; row < t.Rows; row += step {
		if err := f(row, min(step, t.Rows-row)); err != nil {
			return err
		}
	}
	return nil
}

// saveState writes the optimiser's tensors.
func saveState(path string, dev device.Device, list []optim.State) error {
	infos := make([]safetensors.TensorInfo, len(list))
	for i, s := range list {
		infos[i] = safetensors.TensorInfo{Name: s.Name, Type: tensor.F32, Dims: []int{s.Tensor.Rows, s.Tensor.Cols}}
	}
	out, err := safetensors.Create(path, nil, infos)
	if err != nil {
		return err
	}
	defer out.Abort()
	w := &weights{dev: dev}
	for _, s := range list {
		r := &rows{w, s.Name, s.Tensor}
		err := pieces(s.Tensor, func(row, n int) error {
			b := make([]byte, 4*n*s.Tensor.Cols)
			if err := r.ReadRows(b, row, n); err != nil {
				return err
			}
			return out.WriteTensor(s.Name, b)
		})
		if err != nil {
			return err
		}
	}
	return out.Close()
}

// loadState reads them back. Every tensor must be there, and no other.
func loadState(path string, dev device.Device, list []optim.State) (err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if n := len(f.Tensors()); n != len(list) {
		return fmt.Errorf("%s: %d tensors, the optimiser has %d: the checkpoint is of another model, or of one with another setting of ema", path, n, len(list))
	}
	for _, s := range list {
		t := f.Lookup(s.Name)
		if t == nil {
			return fmt.Errorf("%s: there is no tensor %s: the checkpoint is of another model", path, s.Name)
		}
		if err := loadTensor(path, dev, s, t); err != nil {
			return err
		}
	}
	return nil
}

func loadTensor(path string, dev device.Device, s optim.State, t *view.Tensor) error {
	r, c := t.Shape()
	if len(t.Dims) != 2 || r != s.Tensor.Rows || c != s.Tensor.Cols || t.Type != tensor.F32 {
		return fmt.Errorf("%s: %s has shape %v and type %s, the optimiser needs [%d %d] and F32", path, s.Name, t.Dims, t.Type, s.Tensor.Rows, s.Tensor.Cols)
	}
	return pieces(s.Tensor, func(row, n int) error {
		b := make([]byte, 4*n*c)
		if err := t.ReadRows(b, row, n); err != nil {
			return err
		}
		x := make([]float32, n*c)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		dev.Upload(s.Tensor.Slice(row, row+n), x)
		return nil
	})
}
