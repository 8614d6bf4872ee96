package cpu_test

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/sys/mmaptest"
	"github.com/cria-llm/cria/internal/tensor"
)

// fileWeight writes a random matrix to a file and maps it.
func fileWeight(t *testing.T, dt tensor.DType, rows, cols int) (*view.Tensor, string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(cols)))
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	b := make([]byte, rows*dt.RowBytes(cols))
	if err := quant.Quantize(dt, b, x, cols, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "w.bin")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := mmap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return view.Mapped(m, "w", dt, []int{rows, cols}, m.Bytes()), path
}

// product multiplies x, (n, cols), with a matrix on a new device.
func product(t *testing.T, opt cpu.Options, src device.RowSource, x []float32, n int) ([]float32, error) {
	t.Helper()
	d, err := cpu.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows, cols := src.Shape()
	w, err := d.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	in, err := d.Tensor(n, cols)
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.Tensor(n, rows)
	if err != nil {
		t.Fatal(err)
	}
	d.Upload(in, x)
	d.Begin()
	d.MatMul([]device.Tensor{out}, in, []device.Weight{w})
	if err := d.End(); err != nil {
		return nil, err
	}
	y := make([]float32, n*rows)
	d.Download(y, out)
	return y, nil
}

// A matrix that is packed as it is used gives the bits of one packed at load.
func TestStreamedWeightsGiveTheSameBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, set := range kernel.Sets() {
		for _, dt := range tensor.WeightTypes() {
			if !dt.IsQuant() {
				continue
			}
			const rows, cols = 77, 512 // no whole number of panels
			src, _ := fileWeight(t, dt, rows, cols)
			for _, n := range []int{1, 3, 20} {
				x := make([]float32, n*cols)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				want, err := product(t, cpu.Options{Workers: 2, Kernels: set.Name}, src, x, n)
				if err != nil {
					t.Fatal(err)
				}
				got, err := product(t, cpu.Options{Workers: 2, Kernels: set.Name, Stream: true}, src, x, n)
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%s %s, %d rows: output %d is %v, packed at load it is %v", set.Name, dt, n, i, got[i], want[i])
					}
				}
			}
		}
	}
}

// A file that is cut while its weights are in use ends the step with an error
// that names it, and the process lives on.
func TestTruncatedFileIsAnError(t *testing.T) {
	for _, stream := range []bool{true, false} {
		dt := tensor.F32 // stays mapped
		if stream {
			dt = tensor.Q4_0
		}
		src, path := fileWeight(t, dt, 4096, 256)
		if err := os.Truncate(path, 0); err != nil {
			t.Skip("a mapped file cannot be cut on this system:", err)
		}
		mmaptest.SkipUnlessFaultsAreLocated(t, src.Mapped())
		_, err := product(t, cpu.Options{Workers: 2, Stream: stream}, src, make([]float32, 256), 1)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("stream %v: %v; an error that names %s was expected", stream, err, path)
		}
	}
}

// The same while a vector is loaded: it is widened on the way.
func TestTruncatedVectorIsAnError(t *testing.T) {
	src, path := fileWeight(t, tensor.F16, 1, 4096)
	if err := os.Truncate(path, 0); err != nil {
		t.Skip("a mapped file cannot be cut on this system:", err)
	}
	mmaptest.SkipUnlessFaultsAreLocated(t, src.Mapped())
	d, err := cpu.New(cpu.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Load(src); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v; an error that names %s was expected", err, path)
	}
}

// short is a mapping that ends before its shape does.
type short struct{ *view.Tensor }

func (s short) Mapped() []byte { return s.Tensor.Mapped()[1:] }

func TestShortMappingIsAnError(t *testing.T) {
	d, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, dt := range []tensor.DType{tensor.F32, tensor.Q4_0} {
		src, _ := fileWeight(t, dt, 16, 256)
		if _, err := d.Load(short{src}); err == nil {
			t.Errorf("%s: a mapping that is a byte too short was taken", dt)
		}
	}
}
