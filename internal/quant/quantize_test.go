package quant

import (
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/cria-llm/cria/internal/tensor"
)

func TestQuantizeRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		dt   tensor.DType
		v    float32
		want string
	}{
		{tensor.Q4_0, nan, "element 300 is NaN"},
		{tensor.Q6_K, inf, "element 300 is +Inf"},
		{tensor.Q4_0, 1e6, "elements 288 to 319 is 1e+06"},
		{tensor.Q8_0, -1e30, "element 300 is -1e+30"},
		{tensor.Q4_K, 1e30, "element 300 is 1e+30"},
		{tensor.Q2_K, 2e8, "elements 256 to 511 is 2e+08"},
		{tensor.Q3_K, 2e8, "elements 256 to 511 is 2e+08"},
		{tensor.Q4_K, 2e8, "elements 256 to 511 is 2e+08"},
		{tensor.Q5_K, 2e8, "elements 256 to 511 is 2e+08"},
		{tensor.Q6_K, 2.7e8, "element 300 is 2.7e+08"},
		{tensor.IQ4_XS, 2.68e8, "elements 256 to 511 is 2.68e+08"},
		{tensor.F16, 65520, "element 300 is 65520"},
		{tensor.BF16, math.MaxFloat32, "element 300 is 3.4028235e+38"},
	} {
		x := numbers(1, 4)
		x[300] = c.v
		err := Quantize(c.dt, make([]byte, c.dt.RowBytes(len(x))), x, 512, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.dt.String()) {
			t.Errorf("%s with %g: error %v, want one with %q", c.dt, c.v, err, c.want)
		}
	}
	x, imp := numbers(1, 2), importances(1, 512)
	imp[7] = -1
	if err := Quantize(tensor.Q4_K, make([]byte, 288), x, 512, imp); err == nil || !strings.Contains(err.Error(), "column 7") {
		t.Errorf("negative importance: error %v", err)
	}
}

// Infinity and NaN are numbers of the float types.
func TestQuantizeKeepsNonFinite(t *testing.T) {
	x := []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	for _, dt := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
		b, y := make([]byte, dt.RowBytes(3)), make([]float32, 3)
		if err := Quantize(dt, b, x, 3, nil); err != nil {
			t.Fatal(err)
		}
		Dequantize(dt, y, b)
		if y[0] != x[0] || y[1] != x[1] || y[2] == y[2] {
			t.Errorf("%s: %v", dt, y)
		}
	}
}

// Importance must lower the error that it weighs, and columns without any must
// not spoil the others.
func TestImportanceHelps(t *testing.T) {
	x := make([]float32, 64*512)
	for i := range 128 {
		copy(x[i*256:], numbers(uint64(i), 1)) // normal numbers only
	}
	imp := importances(3, 512)
	weighted := func(dt tensor.DType, b []byte) (sum float64) {
		y := make([]float32, len(x))
		Dequantize(dt, y, b)
		for i := range x {
			d := float64(x[i]) - float64(y[i])
			sum += float64(imp[i%512]) * d * d
		}
		return sum
	}
	for _, dt := range blockTypes() {
		if dt == tensor.Q8_0 {
			continue // does not look at it
		}
		plain, with := make([]byte, dt.RowBytes(len(x))), make([]byte, dt.RowBytes(len(x)))
		if err := Quantize(dt, plain, x, 512, nil); err != nil {
			t.Fatal(err)
		}
		if err := Quantize(dt, with, x, 512, imp); err != nil {
			t.Fatal(err)
		}
		if a, b := weighted(dt, plain), weighted(dt, with); b >= a {
			t.Errorf("%s: weighted error %g with importances, %g without", dt, b, a)
		}
	}
}

// Rows may be shared out: any division gives the same bytes, concurrently too,
// and nothing is allocated.
func TestRowsAreIndependent(t *testing.T) {
	x, imp := numbers(5, 8), importances(5, 512)
	for _, dt := range blockTypes() {
		rb := dt.RowBytes(512)
		whole, parts := make([]byte, 4*rb), make([]byte, 4*rb)
		if err := Quantize(dt, whole, x, 512, imp); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for r := range 4 {
			wg.Go(func() {
				if err := Quantize(dt, parts[r*rb:r*rb+rb], x[r*512:r*512+512], 512, imp); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if string(whole) != string(parts) {
			t.Errorf("%s: rows alone give other bytes", dt)
		}
		y := make([]float32, len(x))
		if n := testing.AllocsPerRun(1, func() {
			_ = Quantize(dt, whole, x, 512, imp)
			_ = Quantize(dt, whole, x, 512, nil)
			Dequantize(dt, y, whole)
		}); n != 0 {
			t.Errorf("%s: %v allocations", dt, n)
		}
	}
}

func BenchmarkQuantize(b *testing.B) {
	x := make([]float32, 1<<14)
	for i := range len(x) / 256 {
		copy(x[i*256:], numbers(uint64(i), 1))
	}
	for _, dt := range blockTypes() {
		dst := make([]byte, dt.RowBytes(len(x)))
		b.Run(dt.String(), func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				if err := Quantize(dt, dst, x, 512, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDequantize(b *testing.B) {
	x := numbers(1, 64)
	for _, dt := range tensor.WeightTypes() {
		src, y := make([]byte, dt.RowBytes(len(x))), make([]float32, len(x))
		if err := Quantize(dt, src, x, 512, nil); err != nil {
			b.Fatal(err)
		}
		b.Run(dt.String(), func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				Dequantize(dt, y, src)
			}
		})
	}
}
