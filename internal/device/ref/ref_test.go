package ref

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// matrix is a RowSource of f32 values.
type matrix struct {
	rows, cols int
	v          []float32
}

func (m matrix) Name() string        { return "matrix" }
func (m matrix) DType() tensor.DType { return tensor.F32 }
func (m matrix) Shape() (int, int)   { return m.rows, m.cols }
func (m matrix) Mapped() []byte      { return nil }
func (m matrix) Release(int, int)    {}
func (m matrix) ReadRows(dst []byte, row, n int) error {
	for i, v := range m.v[row*m.cols : (row+n)*m.cols] {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
	return nil
}

// both runs a test with each arithmetic.
func both(t *testing.T, f func(t *testing.T, d device.Device)) {
	t.Run("float32", func(t *testing.T) { f(t, New[float32]()) })
	t.Run("float64", func(t *testing.T) { f(t, New[float64]()) })
}

func load(t *testing.T, d device.Device, rows, cols int, v ...float32) device.Weight {
	t.Helper()
	w, err := d.Load(matrix{rows, cols, v})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func upload(t *testing.T, d device.Device, rows, cols int, v ...float32) device.Tensor {
	t.Helper()
	x, err := d.Tensor(rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	if len(v) > 0 {
		d.Upload(x, v)
	}
	return x
}

func check(t *testing.T, d device.Device, what string, got device.Tensor, want ...float64) {
	t.Helper()
	v := make([]float32, got.Rows*got.Cols)
	d.Download(v, got)
	for i := range want {
		if !(math.Abs(float64(v[i])-want[i]) <= 1e-6*(1+math.Abs(want[i]))) {
			t.Errorf("%s: %v, want %v", what, v, want)
			return
		}
	}
}

func TestRowOps(t *testing.T) {
	both(t, func(t *testing.T, d device.Device) {
		table := load(t, d, 3, 2, 1, 2, 3, 4, 5, 6)
		y := upload(t, d, 2, 2)
		d.Embed(y, table, []int32{2, 0})
		check(t, d, "embed", y, 5, 6, 1, 2)

		// The mean of 1 and 49 is 25.
		d.RMSNorm(y, upload(t, d, 2, 2, 1, -7, 3, 3), load(t, d, 1, 2, 10, 5), 0)
		check(t, d, "norm", y, 2, -7, 10, 5)
		// eps is added to the mean square: 9 + 16 = 25.
		d.RMSNorm(y, upload(t, d, 1, 2, 3, 3), load(t, d, 1, 2, 1, 1), 16)
		check(t, d, "norm with eps", y.Slice(0, 1), 0.6, 0.6)

		a, b := upload(t, d, 2, 1), upload(t, d, 2, 3)
		d.MatMul([]device.Tensor{a, b}, upload(t, d, 2, 2, 1, 10, -1, 0.5),
			[]device.Weight{load(t, d, 1, 2, 2, 3), load(t, d, 3, 2, 1, 0, 0, 1, 1, 1)})
		check(t, d, "first product", a, 32, -0.5)
		check(t, d, "second product", b, 1, 10, 11, -1, 0.5, -0.5)

		x := upload(t, d, 2, 2, 1, 2, 3, 4)
		d.Add(x, upload(t, d, 2, 2, 10, 20, 30, 40))
		check(t, d, "sum", x, 11, 22, 33, 44)
		d.Gather(y.Slice(0, 1), x, []int32{1})
		check(t, d, "gather", y.Slice(0, 1), 33, 44)

		// silu(log 3) = log 3 * 3/4, silu(-log 3) = -log 3 / 4.
		l := math.Log(3)
		g := upload(t, d, 1, 3, float32(l), float32(-l), 0)
		d.SwiGLU(g, g, upload(t, d, 1, 3, 4, 8, 5))
		check(t, d, "swiglu", g, 3*l, -2*l, 0)
	})
}

func TestRoPE(t *testing.T) {
	both(t, func(t *testing.T, d device.Device) {
		// Two heads of four; at position 1 the first pair turns by 90 degrees
		// and the second by 180, at position 0 nothing turns.
		cos := upload(t, d, 2, 2, 1, 1, 0, -1)
		sin := upload(t, d, 2, 2, 0, 0, 1, 0)
		x := upload(t, d, 2, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8)
		spans := []device.Span{{Row: 0, N: 1, Pos: 1}, {Row: 1, N: 1, Pos: 0}}
		d.RoPE(x, 4, spans, cos, sin, 2)
		check(t, d, "rope", x, -4, 2, -6, -8, -12, 10, -14, -16, 2, 4, 6, 8, 10, 12, 14, 16)
	})
}

// The softmax's weights are made simple: equal scores give the mean, a score
// larger by log 3 three quarters.
func TestAttention(t *testing.T) {
	both(t, func(t *testing.T, d device.Device) {
		const layers, kvHeads, dim, cols = 2, 2, 2, 4
		kv, err := d.NewKV(device.KVConfig{Layers: layers, KVHeads: kvHeads, HeadDim: dim, Pages: 3, Type: tensor.F32})
		if err != nil {
			t.Fatal(err)
		}
		n := device.PageTokens + 2 // into a second page; the pages lie in reverse
		l3 := float32(math.Log(3))
		k, v := make([]float32, n*cols), make([]float32, n*cols)
		for i := range n {
			copy(k[i*cols:], []float32{0, 0, 0, 0})
			copy(v[i*cols:], []float32{float32(i), 1, -float32(i), 2})
		}
		k[(n-1)*cols+2] = l3 // the last key of the second head
		span := []device.Span{{N: n, Pages: []int32{2, 0}}}
		d.StoreKV(kv, 1, upload(t, d, n, cols, k...), upload(t, d, n, cols, v...), span)

		// Four query heads, two to a KV head; the last position sees the last two
		// keys only, and the other layer's cache is empty.
		y := upload(t, d, 1, 8)
		q := upload(t, d, 1, 8, 1, 1, 1, 1, 1, 0, 0, 1)
		last := []device.Span{{N: 1, Pos: n - 1, Lo: n - 2, Pages: []int32{2, 0}}}
		d.Attention(y, q, kv, 1, last)
		m := float64(n) - 1.5
		check(t, d, "attention", y, m, 1, m, 1, -(m + 0.25), 2, -m, 2)
		d.Attention(y, q, kv, 0, last)
		check(t, d, "an empty layer", y, 0, 0, 0, 0, 0, 0, 0, 0)

		// Position 2 sees the three before and no later one.
		d.Attention(y, q, kv, 1, []device.Span{{N: 1, Pos: 2, Pages: []int32{2, 0}}})
		check(t, d, "causal", y, 1, 1, 1, 1, -1, 2, -1, 2)
	})
}

// The cache holds what its type can.
func TestCacheTypes(t *testing.T) {
	both(t, func(t *testing.T, d device.Device) {
		for _, c := range []struct {
			dt   tensor.DType
			want float64
		}{{tensor.F32, 1 + 0x1p-12}, {tensor.F16, 1}, {tensor.Q8_0, 64. / 127 * 2}} {
			kv, err := d.NewKV(device.KVConfig{Layers: 1, KVHeads: 1, HeadDim: 32, Pages: 1, Type: c.dt})
			if err != nil {
				t.Fatal(err)
			}
			row := make([]float32, 32)
			row[0], row[1] = 1+0x1p-12, 2 // 2 is the block's 127, the other 63.5 and a bit
			span := []device.Span{{N: 1, Pages: []int32{0}}}
			x, y := upload(t, d, 1, 32, row...), upload(t, d, 1, 32)
			d.StoreKV(kv, 0, x, x, span)
			d.Attention(y, x, kv, 0, span)
			got := make([]float32, 32)
			d.Download(got, y)
			tol := 1e-7
			if c.dt == tensor.Q8_0 { // the scale is an f16
				tol = 0x1p-11
			}
			if math.Abs(float64(got[0])-c.want) > tol {
				t.Errorf("%s holds %v as %v, want %v", c.dt, row[0], got[0], c.want)
			}
		}
		_, err := d.NewKV(device.KVConfig{Layers: 1, KVHeads: 1, HeadDim: 48, Pages: 1, Type: tensor.Q8_0})
		if err == nil || !strings.Contains(err.Error(), "48") {
			t.Errorf("q8_0 with heads of 48: %v", err)
		}
		if _, err := d.NewKV(device.KVConfig{Layers: 1, KVHeads: 1, HeadDim: 64, Pages: 1, Type: tensor.Q4_0}); err == nil {
			t.Error("a cache of q4_0 was made")
		}
	})
}

// Weights of any type are decoded by package quant.
func TestLoadDecodes(t *testing.T) {
	x := make([]float32, 512)
	for i := range x {
		x[i] = float32(i%37)/37 - 0.4
	}
	src := blocks{make([]byte, tensor.Q4_K.RowBytes(512))}
	if err := quant.Quantize(tensor.Q4_K, src.b, x, 256, nil); err != nil {
		t.Fatal(err)
	}
	want := make([]float32, 512)
	quant.Dequantize(tensor.Q4_K, want, src.b)
	both(t, func(t *testing.T, d device.Device) {
		w, err := d.LoadTable(src)
		if err != nil {
			t.Fatal(err)
		}
		y := upload(t, d, 2, 256)
		d.Embed(y, w, []int32{0, 1})
		got := make([]float32, 512)
		d.Download(got, y)
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("element %d is %v, want %v", i, got[i], want[i])
			}
		}
	})
}

// blocks is a RowSource of two rows of Q4_K.
type blocks struct{ b []byte }

func (s blocks) Name() string        { return "blocks" }
func (s blocks) DType() tensor.DType { return tensor.Q4_K }
func (s blocks) Shape() (int, int)   { return 2, 256 }
func (s blocks) Mapped() []byte      { return nil }
func (s blocks) Release(int, int)    {}
func (s blocks) ReadRows(dst []byte, row, n int) error {
	copy(dst, s.b[row*144:(row+n)*144])
	return nil
}
