package quant

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cria-llm/cria/internal/tensor"
)

// The goldens hold what ggml's own code makes of the same numbers;
// testdata/gen/README.md says how they are made.
var (
	update = flag.Bool("update", false, "make the goldens again with the program that CRIA_GGML_REF names")
	blocks = flag.Int("blocks", 0, "compare this many blocks of every type with CRIA_GGML_REF")
)

// ggml runs the oracle, see testdata/gen/ref.c.
func ggml(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	program := os.Getenv("CRIA_GGML_REF")
	if program == "" {
		t.Fatal("CRIA_GGML_REF names no program; see testdata/gen/README.md")
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func f32Bytes(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func f32Values(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

func blockTypes() (types []tensor.DType) {
	for _, dt := range tensor.WeightTypes() {
		if dt.IsQuant() {
			types = append(types, dt)
		}
	}
	return types
}

// families are the kinds of numbers that encoders must bear: each fills 256
// elements.
var families = []func(r *rand.Rand, x []float32){
	func(r *rand.Rand, x []float32) { fill(x, func() float64 { return r.NormFloat64() }) },
	func(r *rand.Rand, x []float32) { fill(x, func() float64 { return 0.02 * r.NormFloat64() }) },
	// heavy tails
	func(r *rand.Rand, x []float32) {
		fill(x, func() float64 { return r.NormFloat64() / math.Abs(r.NormFloat64()) })
	},
	func(r *rand.Rand, x []float32) { fill(x, func() float64 { return math.Exp(3 * r.NormFloat64()) }) },
	// one outlier per block
	func(r *rand.Rand, x []float32) {
		fill(x, func() float64 { return 0.01 * r.NormFloat64() })
		x[r.IntN(len(x))] = float32(10 * r.NormFloat64())
	},
	func(r *rand.Rand, x []float32) { fill(x, r.Float64) },
	func(r *rand.Rand, x []float32) { fill(x, func() float64 { return -1 - r.Float64() }) },
	// few values: many ties
	func(r *rand.Rand, x []float32) { fill(x, func() float64 { return float64(r.IntN(5)-2) / 2 }) },
	// a constant, and a constant with zeros
	func(r *rand.Rand, x []float32) { c := r.NormFloat64(); fill(x, func() float64 { return c }) },
	func(r *rand.Rand, x []float32) {
		c := r.NormFloat64()
		fill(x, func() float64 { return c * float64(r.IntN(2)) })
	},
	// zeros, of both signs, and groups of zeros
	func(r *rand.Rand, x []float32) { fill(x, func() float64 { return math.Copysign(0, r.NormFloat64()) }) },
	func(r *rand.Rand, x []float32) {
		fill(x, func() float64 { return r.NormFloat64() })
		at := r.IntN(8) * 32
		clear(x[at : at+32])
	},
	// tiny, subnormal and large
	func(r *rand.Rand, x []float32) {
		e := -r.Float64() * 30
		fill(x, func() float64 { return r.NormFloat64() * math.Exp2(e) })
	},
	func(r *rand.Rand, x []float32) {
		e := -30 - r.Float64()*20
		fill(x, func() float64 { return r.NormFloat64() * math.Exp2(e) })
	},
	func(r *rand.Rand, x []float32) {
		e := -50 - r.Float64()*99
		fill(x, func() float64 { return r.NormFloat64() * math.Exp2(e) })
	},
	func(r *rand.Rand, x []float32) {
		e := r.Float64() * 14
		fill(x, func() float64 { return r.NormFloat64() * math.Exp2(e) })
	},
}

func fill(x []float32, f func() float64) {
	for i := range x {
		x[i] = float32(f())
	}
}

// numbers returns n times 256 elements, the families in turn.
func numbers(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n*256)
	for i := range n {
		families[i%len(families)](r, x[i*256:i*256+256])
	}
	for i := range x { // every type's scales hold this
		x[i] = max(-60000, min(60000, x[i]))
	}
	return x
}

// importances returns a row's: mostly log-normal as activations' squares are,
// with a zero here and there.
func importances(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	w := make([]float32, n)
	fill(w, func() float64 {
		if r.IntN(20) == 0 {
			return 0
		}
		return math.Exp(r.NormFloat64())
	})
	return w
}

const goldenRow = 512

func golden(name string) string { return filepath.Join("testdata", "ggml", name) }

func TestUpdate(t *testing.T) {
	if !*update {
		t.Skip("only with -update")
	}
	x := numbers(20231, 3*len(families)-len(families)/2)
	imp := importances(20231, goldenRow)
	write := func(name string, b []byte) {
		if err := os.WriteFile(golden(name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("input.f32", f32Bytes(x))
	write("importance.f32", f32Bytes(imp))
	var sums bytes.Buffer
	for _, dt := range blockTypes() {
		row := strconv.Itoa(goldenRow)
		b := ggml(t, f32Bytes(x), "quantize", dt.String(), row)
		write(dt.String()+".blocks", b)
		write(dt.String()+".weighted.blocks", ggml(t, f32Bytes(x), "quantize", dt.String(), row, golden("importance.f32")))
		fmt.Fprintf(&sums, "%s %x\n", dt, sha256.Sum256(ggml(t, b, "dequantize", dt.String())))
	}
	write("decoded.sha256", sums.Bytes())
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(golden(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rmse is the root mean square error of the blocks b of x.
func rmse(dt tensor.DType, x []float32, b []byte) float64 {
	y := make([]float32, len(x))
	Dequantize(dt, y, b)
	sum := 0.0
	for i := range x {
		d := float64(x[i]) - float64(y[i])
		sum += d * d
	}
	return math.Sqrt(sum / float64(len(x)))
}

// compare says which blocks differ from ggml's. They may where ggml's is no
// number: it divides 0 by 0 where the weights of very small numbers vanish.
func compare(t *testing.T, dt tensor.DType, x []float32, got, want []byte) {
	t.Helper()
	n, bb := dt.BlockElems(), dt.BlockBytes()
	bad := 0
	for i := 0; i*bb < len(want); i++ {
		g, w := got[i*bb:i*bb+bb], want[i*bb:i*bb+bb]
		if bytes.Equal(g, w) {
			continue
		}
		xs := x[i*n : i*n+n]
		if math.IsNaN(rmse(dt, xs, w)) && abs(extreme(xs)) < 1e-20 && rmse(dt, xs, g) <= float64(abs(extreme(xs))) {
			continue
		}
		if bad++; bad <= 3 {
			t.Errorf("%s block %d (family %d) of %v: rmse %g, ggml's %g\n got %x\nwant %x",
				dt, i, i*n/256%len(families), xs[:8], rmse(dt, xs, g), rmse(dt, xs, w), g, w)
		}
	}
	if bad > 0 {
		t.Errorf("%s: %d of %d blocks differ", dt, bad, len(want)/bb)
	}
}

func TestQuantizeGolden(t *testing.T) {
	x, imp := f32Values(read(t, "input.f32")), f32Values(read(t, "importance.f32"))
	for _, dt := range blockTypes() {
		got := make([]byte, dt.RowBytes(len(x)))
		if err := Quantize(dt, got, x, goldenRow, nil); err != nil {
			t.Fatal(err)
		}
		compare(t, dt, x, got, read(t, dt.String()+".blocks"))
		if err := Quantize(dt, got, x, goldenRow, imp); err != nil {
			t.Fatal(err)
		}
		compare(t, dt, x, got, read(t, dt.String()+".weighted.blocks"))
	}
}

func TestDequantizeGolden(t *testing.T) {
	var sums bytes.Buffer
	for _, dt := range blockTypes() {
		b := read(t, dt.String()+".blocks")
		y := make([]float32, len(b)/dt.BlockBytes()*dt.BlockElems())
		Dequantize(dt, y, b)
		fmt.Fprintf(&sums, "%s %x\n", dt, sha256.Sum256(f32Bytes(y)))
	}
	if want := read(t, "decoded.sha256"); !bytes.Equal(sums.Bytes(), want) {
		t.Errorf("decoded values hash to\n%swant\n%s", sums.Bytes(), want)
	}
}

// TestOracle compares any number of fresh blocks with ggml itself.
func TestOracle(t *testing.T) {
	if *blocks == 0 {
		t.Skip("only with -blocks N")
	}
	for _, dt := range blockTypes() {
		t.Run(dt.String(), func(t *testing.T) {
			total := *blocks * dt.BlockElems() / 256 // superblocks
			for done := 0; done < total; done += 1 << 13 {
				oracle(t, dt, uint64(1000+done), min(total-done, 1<<13))
			}
		})
	}
}

// oracle compares n times 256 elements.
func oracle(t *testing.T, dt tensor.DType, seed uint64, n int) {
	n -= n % 2 // whole rows
	x, imp := numbers(seed, n), importances(seed, goldenRow)
	file := filepath.Join(t.TempDir(), "importance.f32")
	if err := os.WriteFile(file, f32Bytes(imp), 0o644); err != nil {
		t.Fatal(err)
	}
	in, row := f32Bytes(x), strconv.Itoa(goldenRow)
	got := make([]byte, dt.RowBytes(len(x)))
	if err := Quantize(dt, got, x, goldenRow, nil); err != nil {
		t.Fatal(err)
	}
	compare(t, dt, x, got, ggml(t, in, "quantize", dt.String(), row))
	y := make([]float32, len(x))
	Dequantize(dt, y, got)
	if !bytes.Equal(f32Bytes(y), ggml(t, got, "dequantize", dt.String())) {
		t.Errorf("%s decodes to other numbers", dt)
	}
	if err := Quantize(dt, got, x, goldenRow, imp); err != nil {
		t.Fatal(err)
	}
	compare(t, dt, x, got, ggml(t, in, "quantize", dt.String(), row, file))
}
