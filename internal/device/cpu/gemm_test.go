package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/tensor"
)

// gemmOperand is a random matrix with gaps between its rows, which hold NaN.
func gemmOperand(r *rand.Rand, rows, cols int, trans bool) gemmMat {
	m := gemmMat{rows: rows, cols: cols, trans: trans}
	if trans {
		m.rows, m.cols = cols, rows
	}
	m.ld = m.cols + r.IntN(4)
	m.data = make([]float32, m.rows*m.ld)
	for i := range m.data {
		m.data[i] = float32(math.NaN())
	}
	for i := range m.rows {
		for j := range m.cols {
			m.data[i*m.ld+j] = float32(r.NormFloat64())
		}
	}
	return m
}

func (m gemmMat) at(i, j int) float64 {
	if m.trans {
		i, j = j, i
	}
	return float64(m.data[i*m.ld+j])
}

// TestGemm compares products with sums in float64, with one worker and three,
// and holds that what lies between the rows of the result stays.
func TestGemm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	one, err := New(Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	three, err := New(Options{Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer three.Close()
	for i := range 60 {
		m, n, k := 1+r.IntN(90), 1+r.IntN(90), 1+r.IntN(90)
		if i%10 == 0 {
			m, n, k = 1+r.IntN(300), 1+r.IntN(300), 1+r.IntN(900)
		}
		a := gemmOperand(r, m, k, r.IntN(2) == 0)
		b := gemmOperand(r, k, n, r.IntN(2) == 0)
		accumulate := r.IntN(2) == 0
		c := gemmOperand(r, m, n, false)
		before := append([]float32(nil), c.data...)
		what := fmt.Sprintf("(%d, %d, %d) transposed %v %v, accumulate %v", m, n, k, a.trans, b.trans, accumulate)
		one.Begin()
		one.gemm(c, a, b, accumulate)
		one.End()
		gemmCompare(t, what, c, a, b, before, accumulate)
		again := c
		again.data = append([]float32(nil), before...)
		three.Begin()
		three.gemm(again, a, b, accumulate)
		three.End()
		for i := range c.data {
			if math.Float32bits(c.data[i]) != math.Float32bits(again.data[i]) {
				t.Fatalf("%s: element %d is %v with one worker and %v with three", what, i, c.data[i], again.data[i])
			}
		}
	}
}

// TestGemmPieces holds that a product cut into pieces and parts has the bits of
// the one that a single worker computes alone, and allocates nothing.
func TestGemmPieces(t *testing.T) {
	d, err := New(Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.growGemm(); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, shape := range [][3]int{{1300, 5, 2100}, {5, 1300, 2100}, {200, 300, 40}, {30, 10, 4500}, {600, 70, 90}, {5, 3, 0}, {0, 4, 4}} {
		m, n, k := shape[0], shape[1], shape[2]
		a := gemmOperand(r, m, k, m > 1000 || r.IntN(2) == 0) // packed in pieces, as it is scattered
		b := gemmOperand(r, k, n, r.IntN(2) == 0)
		one, all := gemmOperand(r, m, n, false), gemmMat{}
		for _, accumulate := range []bool{false, true} {
			all = one
			all.data = append([]float32(nil), one.data...)
			d.gemmOne(&d.scratch[1].gemm, one, a, b, accumulate)
			d.Begin()
			d.gemm(all, a, b, accumulate)
			d.End()
			for i := range one.data {
				if math.Float32bits(one.data[i]) != math.Float32bits(all.data[i]) {
					t.Fatalf("%v: element %d is %v alone and %v in parts", shape, i, one.data[i], all.data[i])
				}
			}
		}
		d.Begin()
		allocs := testing.AllocsPerRun(1, func() {
			d.gemm(all, a, b, false)
			d.gemmOne(&d.scratch[0].gemm, all, a, b, true)
		})
		d.End()
		if allocs != 0 {
			t.Errorf("%v: %v allocations", shape, allocs)
		}
	}
}

func gemmCompare(t *testing.T, what string, c, a, b gemmMat, before []float32, accumulate bool) {
	t.Helper()
	_, k := a.shape()
	for i := range c.rows {
		for j := range c.ld {
			at := i*c.ld + j
			if j >= c.cols {
				if c.data[at] == c.data[at] {
					t.Fatalf("%s: wrote between rows %d and %d", what, i, i+1)
				}
				continue
			}
			var want, size float64
			if accumulate {
				want = float64(before[at])
				size = math.Abs(want)
			}
			for l := range k {
				p := a.at(i, l) * b.at(l, j)
				want += p
				size += math.Abs(p)
			}
			if e := math.Abs(float64(c.data[at]) - want); !(e <= size*0x1p-20) {
				t.Fatalf("%s: element (%d, %d) is %v, want %v", what, i, j, c.data[at], want)
			}
		}
	}
}

// TestGemmBF16 compares products of bfloat16, by plain Go's routines and with
// several workers, with sums in float64 of rounded operands.
func TestGemmBF16(t *testing.T) {
	d := bf16Device(t)
	r := rand.New(rand.NewPCG(5, 6))
	for _, shape := range [][3]int{{1, 1, 1}, {7, 33, 5}, {40, 20, 391}, {20, 40, 2100}, {5, 4, 0}} {
		m, n, k := shape[0], shape[1], shape[2]
		for trans := range 4 {
			a, b := gemmOperand(r, m, k, trans&1 != 0), gemmOperand(r, k, n, trans&2 != 0)
			c := gemmOperand(r, m, n, false)
			before := append([]float32(nil), c.data...)
			accumulate := r.IntN(2) == 0
			d.Begin()
			d.gemmOf(c, a, b, accumulate, true)
			d.End()
			gemmCompare(t, fmt.Sprintf("bfloat16 %v, transposed %d", shape, trans), c, rounded(a), rounded(b), before, accumulate)
		}
	}
}

// bf16Device is a device of two workers with products of bfloat16 by plain Go.
func bf16Device(t *testing.T) *Device {
	d, err := New(Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	set := *d.set
	set.Gemm.BF16 = kernel.PlainBF16(&set.Gemm)
	d.set = &set
	return d
}

// TestParamBF16 holds that the products of a parameter that asks for it are of
// bfloat16, forward, backward and in its gradient, and those of others not.
func TestParamBF16(t *testing.T) {
	d := bf16Device(t)
	r := rand.New(rand.NewPCG(7, 8))
	const rows, in, out = 9, 31, 14
	tensorOf := func(rows, cols int) (device.Tensor, gemmMat) {
		x, err := d.Tensor(rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		for i := range data(x) {
			data(x)[i] = float32(r.NormFloat64())
		}
		return x, matOf(x)
	}
	x, xm := tensorOf(rows, in)
	dy, dym := tensorOf(rows, out)
	y, ym := tensorOf(rows, out)
	dx, dxm := tensorOf(rows, in)
	for _, products := range []tensor.DType{tensor.BF16, tensor.F32} {
		w, err := d.NewParam(out, in, products)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, out*in)
		for i := range values {
			values[i] = float32(r.NormFloat64())
		}
		d.UploadParam(w, values)
		d.Begin()
		d.MatMul([]device.Tensor{y}, x, []device.Weight{w})
		d.MatMulBackward(dx, []device.Tensor{dy}, x, []device.Weight{w})
		if err := d.End(); err != nil {
			t.Fatal(err)
		}
		as := func(m gemmMat) gemmMat { return m }
		if products == tensor.BF16 {
			as = rounded
		}
		wm := as(matOf(w.Value()))
		gemmCompare(t, products.String()+" y", ym, as(xm), wm.t(), nil, false)
		gemmCompare(t, products.String()+" dx", dxm, as(dym), wm, nil, false)
		gemmCompare(t, products.String()+" gradient", matOf(w.Grad()), as(dym).t(), as(xm), nil, false)
		d.FreeParam(w)
	}
}

// rounded is m with its elements rounded to bfloat16.
func rounded(m gemmMat) gemmMat {
	m.data = append([]float32(nil), m.data...)
	for i, v := range m.data {
		if b := math.Float32bits(v); v == v {
			m.data[i] = math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
		}
	}
	return m
}
