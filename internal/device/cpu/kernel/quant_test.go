package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// quantDTypes lists the block-quantised types.
func quantDTypes() (types []tensor.DType) {
	for _, dt := range tensor.WeightTypes() {
		if dt.IsQuant() {
			types = append(types, dt)
		}
	}
	return types
}

// quantForms lists every form of the quantised kernels that runs here: the
// machine's sets, and the plain one on panels of 8 rows.
func quantForms() []*Set {
	return append([]*Set{{Name: "generic8", PanelRows: 8, Quant: genericQuant(8)}}, Sets()...)
}

// slowForms is quantForms for the tests that take long: with -short, as for an
// emulator, it is the machine's best set only.
func slowForms() []*Set {
	forms := quantForms()
	if testing.Short() {
		forms = forms[len(forms)-1:]
	}
	return forms
}

// blockScales are the places of a block's f16 fields.
func blockScales(dt tensor.DType) []int {
	h := layouts[dt].halves
	if dt == tensor.IQ4_XS {
		h = h[:1] // the other holds bits of sub-scales
	}
	return h
}

// fill is how test matrices and activations are made.
type fill struct {
	name  string
	scale func(r *rand.Rand, i int) uint16 // f16 field i of a block
	quant func(r *rand.Rand) byte
	act   func(r *rand.Rand) int8
	actD  func(r *rand.Rand) float32
}

var fills = []fill{
	{"ordinary",
		func(r *rand.Rand, i int) uint16 { return floatToHalf(float32(r.NormFloat64()) * 0.02) },
		func(r *rand.Rand) byte { return byte(r.Uint32()) },
		func(r *rand.Rand) int8 { return int8(r.IntN(255) - 127) },
		func(r *rand.Rand) float32 { return halfToFloat(floatToHalf(r.Float32() * 0.1)) }},
	{"lowest",
		func(r *rand.Rand, i int) uint16 { return floatToHalf(1) },
		func(r *rand.Rand) byte { return 0 },
		func(r *rand.Rand) int8 { return -127 },
		func(r *rand.Rand) float32 { return 1 }},
	{"highest",
		func(r *rand.Rand, i int) uint16 { return floatToHalf(-1) },
		func(r *rand.Rand) byte { return 255 },
		func(r *rand.Rand) int8 { return 127 },
		func(r *rand.Rand) float32 { return 1 }},
	{"opposite",
		func(r *rand.Rand, i int) uint16 { return floatToHalf(3) },
		func(r *rand.Rand) byte { return 255 },
		func(r *rand.Rand) int8 { return -127 },
		func(r *rand.Rand) float32 { return 0.7 }},
	{"deepest", // bytes of -128, whose magnitude is no signed byte
		func(r *rand.Rand, i int) uint16 { return floatToHalf(0.5) },
		func(r *rand.Rand) byte { return 0x80 },
		func(r *rand.Rand) int8 { return -127 },
		func(r *rand.Rand) float32 { return 0.4 }},
	{"edges", // every byte and activation at one end or the other
		func(r *rand.Rand, i int) uint16 { return floatToHalf(float32(1 + i)) },
		func(r *rand.Rand) byte { return []byte{0, 255, 0x80, 0x7f, 0xf0, 0x0f}[r.IntN(6)] },
		func(r *rand.Rand) int8 { return []int8{-127, 127}[r.IntN(2)] },
		func(r *rand.Rand) float32 { return 0.3 }},
	{"scales", // zero, negative, subnormal and huge ones
		func(r *rand.Rand, i int) uint16 {
			return []uint16{0, 0x8000, 1, 0x8001, 0x3ff, 0x7bff, 0xfbff, 0x3c00}[r.IntN(8)]
		},
		func(r *rand.Rand) byte { return byte(r.Uint32()) },
		func(r *rand.Rand) int8 { return int8(r.IntN(255) - 127) },
		func(r *rand.Rand) float32 { return []float32{0, 0x1p-24, 0x1p-14, 65504, 1e-3}[r.IntN(5)] }},
}

// matrix makes rows of file blocks.
func (f *fill) matrix(r *rand.Rand, dt tensor.DType, rows, k int) []byte {
	b := make([]byte, rows*dt.RowBytes(k))
	for i := range b {
		b[i] = f.quant(r)
	}
	for at := 0; at < len(b); at += dt.BlockBytes() {
		for i, h := range blockScales(dt) {
			binary.LittleEndian.PutUint16(b[at+h:], f.scale(r, i))
		}
	}
	return b
}

// acts makes rows of quantised activations for dt, in memory of the caller's.
func (f *fill) acts(t testing.TB, r *rand.Rand, dt tensor.DType, rows, k int) *Act {
	sums := 32
	if dt.BlockElems() == 256 {
		sums = 16
	}
	a := &Act{K: k, Rows: rows, Q: guarded[int8](t, rows*k), D: guarded[float32](t, rows*k/dt.BlockElems()), Sum: guarded[int32](t, rows*k/sums)}
	for i := range a.Q {
		a.Q[i] = f.act(r)
		a.Sum[i/sums] += int32(a.Q[i])
	}
	for i := range a.D {
		a.D[i] = f.actD(r)
	}
	return a
}

func panelsOf(rows, panelRows int) int { return (rows + panelRows - 1) / panelRows }

// pack packs rows into memory that ends at a guard page.
func pack(t testing.TB, s *Set, dt tensor.DType, src []byte, rows, k int) []byte {
	p := guarded[byte](t, panelsOf(rows, s.PanelRows)*s.PanelRows*dt.RowBytes(k))
	for i := range p {
		p[i] = 0xa5 // Pack must clear what it does not fill
	}
	s.Quant[dt].Pack(p, src, rows, k)
	return p
}

// reference computes all outputs, column by column, (cols, rows).
func reference(s *Set, dt tensor.DType, src []byte, a *Act, rows, k int) []float32 {
	p := make([]byte, panelsOf(rows, s.PanelRows)*s.PanelRows*dt.RowBytes(k))
	s.Quant[dt].Pack(p, src, rows, k)
	n := panelsOf(rows, s.PanelRows)
	y := make([]float32, 0, a.Rows*rows)
	yc := make([]float32, n*s.PanelRows)
	for c := range a.Rows {
		s.Quant[dt].Vec(yc, p, n, a, c)
		y = append(y, yc[:rows]...)
	}
	return y
}

const canary = 0x7fc0beef // a NaN that no kernel makes

// checkForm compares a form's vector, small-batch and matrix kernels with want.
func checkForm(t *testing.T, s *Set, dt tensor.DType, src []byte, a *Act, want []float32, rows, k int) {
	t.Helper()
	f := s.Quant[dt]
	n, pr := panelsOf(rows, s.PanelRows), s.PanelRows
	p := pack(t, s, dt, src, rows, k)
	ldy := n*pr + 3
	run := func(what string, from, cols int, kernel func(y []float32)) bool {
		y := guarded[float32](t, (cols-1)*ldy+n*pr)
		for i := range y {
			y[i] = math.Float32frombits(canary)
		}
		kernel(y)
		for c := range cols {
			if diffBits(t, fmt.Sprintf("%s of %s, %d rows of %d, column %d of %d", what, dt, rows, k, c, cols), y[c*ldy:c*ldy+rows], want[(from+c)*rows:(from+c+1)*rows]) {
				return false
			}
			if c > 0 {
				for _, v := range y[c*ldy-3 : c*ldy] {
					if math.Float32bits(v) != canary {
						t.Errorf("%s of %s wrote between columns", what, dt)
						return false
					}
				}
			}
		}
		return true
	}
	ok := true
	if f.Vec != nil {
		for c := range min(a.Rows, 2) {
			ok = ok && run("Vec", c, 1, func(y []float32) { f.Vec(y, p, n, a, c) })
		}
	}
	if f.Small != nil {
		for cols := 1; cols <= min(f.MaxSmall, a.Rows); cols++ {
			from := a.Rows - cols
			ok = ok && run("Small", from, cols, func(y []float32) { f.Small(y, ldy, p, n, a, from, cols) })
		}
	}
	var u Unpacked
	for _, from := range []int{0, a.Rows / 3} {
		ok = ok && run("Mat", from, a.Rows-from, func(y []float32) {
			for i := range n {
				f.Unpack(&u, p[i*pr*dt.RowBytes(k):(i+1)*pr*dt.RowBytes(k)], k)
				f.Mat(y[i*pr:], ldy, &u, a, from, a.Rows-from)
			}
		})
	}
	if !ok {
		t.FailNow()
	}
}

// TestQuantEqualsGeneric compares every set, type and kernel with the plain Go
// vector kernel bit for bit.
func TestQuantEqualsGeneric(t *testing.T) {
	generic := genericSet()
	for _, s := range slowForms() {
		t.Run(s.Name, func(t *testing.T) {
			for _, dt := range quantDTypes() {
				t.Run(dt.String(), func(t *testing.T) {
					t.Parallel()
					r := newRand(uint64(dt))
					for nb := 1; nb <= 43; nb++ {
						if dt.BlockElems() == 256 && nb > 5 && nb%19 != 0 {
							continue
						}
						rows, cols := 1+r.IntN(20), 1+r.IntN(30)
						if nb%7 == 0 {
							rows = 1 + r.IntN(70)
						}
						k := nb * dt.BlockElems()
						src := fills[0].matrix(r, dt, rows, k)
						a := fills[0].acts(t, r, dt, cols, k)
						checkForm(t, s, dt, src, a, reference(generic, dt, src, a, rows, k), rows, k)
					}
				})
			}
		})
	}
}

// TestQuantExtremes holds that sums stay exact at the ends of every range, and
// that strange scales give the same bits.
func TestQuantExtremes(t *testing.T) {
	generic := genericSet()
	for _, s := range slowForms() {
		t.Run(s.Name, func(t *testing.T) {
			for _, dt := range quantDTypes() {
				for _, f := range fills[1:] {
					t.Run(dt.String()+"/"+f.name, func(t *testing.T) {
						t.Parallel()
						r := newRand(uint64(dt))
						for _, nb := range []int{1, 2, 5, 17} {
							rows, cols, k := 17, 13, nb*dt.BlockElems()
							src := f.matrix(r, dt, rows, k)
							a := f.acts(t, r, dt, cols, k)
							checkForm(t, s, dt, src, a, reference(generic, dt, src, a, rows, k), rows, k)
						}
					})
				}
			}
		})
	}
}

// TestQuantOracle compares every form with the float64 product of what the
// reference codec decodes and the dequantised activations.
func TestQuantOracle(t *testing.T) {
	for _, s := range quantForms() {
		for _, dt := range quantDTypes() {
			t.Run(s.Name+"/"+dt.String(), func(t *testing.T) {
				r := newRand(uint64(dt))
				rows, cols, k := 21, 5, 2*256
				src := fills[0].matrix(r, dt, rows, k)
				a := fills[0].acts(t, r, dt, cols, k)
				f := s.Quant[dt]
				w := make([]float32, rows*k)
				quant.Dequantize(dt, w, src)
				p := pack(t, s, dt, src, rows, k)
				pr := s.PanelRows
				y := make([]float32, cols*pr)
				var u Unpacked
				for i := range panelsOf(rows, pr) {
					f.Unpack(&u, p[i*pr*dt.RowBytes(k):(i+1)*pr*dt.RowBytes(k)], k)
					f.Mat(y, pr, &u, a, 0, cols)
					for c := range cols {
						for row := i * pr; row < min((i+1)*pr, rows); row++ {
							var want, size float64
							for j := range k {
								v := float64(w[row*k+j]) * float64(a.Q[c*k+j]) * float64(a.D[(c*k+j)/dt.BlockElems()])
								want += v
								size += math.Abs(v)
							}
							if got := float64(y[c*pr+row-i*pr]); !(math.Abs(got-want) <= size*1e-5) {
								t.Fatalf("row %d, column %d is %v, the decoded product is %v", row, c, got, want)
							}
						}
					}
				}
			})
		}
	}
}

// TestQuantDequant holds that Dequant undoes Pack and gives the reference
// codec's bits, padding rows zero.
func TestQuantDequant(t *testing.T) {
	for _, s := range quantForms() {
		for _, dt := range quantDTypes() {
			for _, f := range fills {
				r := newRand(uint64(dt))
				rows, k := 2*s.PanelRows+5, 3*256
				src := f.matrix(r, dt, rows, k)
				want := make([]float32, 3*s.PanelRows*k)
				quant.Dequantize(dt, want[:rows*k], src)
				p := pack(t, s, dt, src, rows, k)
				got := guarded[float32](t, len(want))
				for i := range 3 {
					s.Quant[dt].Dequant(got[i*s.PanelRows*k:(i+1)*s.PanelRows*k], p[i*s.PanelRows*dt.RowBytes(k):(i+1)*s.PanelRows*dt.RowBytes(k)], k)
				}
				if diffBits(t, fmt.Sprintf("%s: Dequant of %s, %s", s.Name, dt, f.name), got[:rows*k], want[:rows*k]) {
					return
				}
				for i, v := range got[rows*k:] {
					if v != 0 {
						t.Fatalf("%s: padding element %d of %s is %v", s.Name, i, dt, v)
					}
				}
			}
		}
	}
}

// TestQuantSize holds that a panel is as large as its rows in the file and that
// the layout moves every byte of a block once.
func TestQuantSize(t *testing.T) {
	for _, dt := range quantDTypes() {
		seen := make([]int, dt.BlockBytes())
		l := layouts[dt]
		for _, at := range l.halves {
			seen[at]++
			seen[at+1]++
		}
		for _, run := range l.runs {
			for i := range 4 * run.n {
				seen[run.at+i]++
			}
		}
		for i, n := range seen {
			if n != 1 {
				t.Errorf("%s: byte %d of a block is moved %d times", dt, i, n)
			}
		}
	}
}

// TestQuantNoAllocs holds that nothing is allocated per product.
func TestQuantNoAllocs(t *testing.T) {
	for _, s := range Sets() {
		for _, dt := range quantDTypes() {
			r := newRand(1)
			k := 256
			src := fills[0].matrix(r, dt, s.PanelRows, k)
			a := fills[0].acts(t, r, dt, 3, k)
			p := pack(t, s, dt, src, s.PanelRows, k)
			f := s.Quant[dt]
			y := make([]float32, 3*s.PanelRows)
			w := make([]float32, s.PanelRows*k)
			var u Unpacked
			u.Grow(k, s.PanelRows)
			if n := testing.AllocsPerRun(3, func() {
				if f.Vec != nil {
					f.Vec(y, p, 1, a, 0)
				}
				if f.Small != nil {
					f.Small(y, s.PanelRows, p, 1, a, 0, 3)
				}
				f.Unpack(&u, p, k)
				f.Mat(y, s.PanelRows, &u, a, 0, 3)
				f.Dequant(w, p, k)
			}); n != 0 {
				t.Errorf("%s: %s allocates %v times", s.Name, dt, n)
			}
		}
	}
}

// TestActRange holds that no set quantises an activation to -128, whose sign
// kernels could not change: neither the largest of a block, whatever its
// mantissa and exponent, nor what is not finite.
func TestActRange(t *testing.T) {
	const k = 256
	for _, s := range Sets() {
		r := newRand(7)
		x := make([]float32, k)
		a := &Act{K: k, Rows: 1, Q: make([]int8, k), D: make([]float32, k/32), Sum: make([]int32, k/16)}
		for i := range 6000 {
			for j := range x {
				x[j] = -math.Float32frombits(r.Uint32() & 0x7fffffff)
				if i%2 == 0 { // of one exponent, so that many come close to the largest
					x[j] = -math.Float32frombits(uint32(i%254+1)<<23 | r.Uint32()&0x7fffff)
				}
			}
			for name, quantise := range map[string]func(a *Act, x []float32, ldx, row0, row1 int){"32": s.QuantizeAct32, "256": s.QuantizeAct256} {
				quantise(a, x, k, 0, 1)
				for j, q := range a.Q {
					if q == -128 {
						t.Fatalf("%s: QuantizeAct%s makes -128 of element %d, %v", s.Name, name, j, x[j])
					}
				}
			}
		}
	}
}
