package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// emulator executes the assembly of the tiles, which few instructions make up,
// on memory in which every access is checked: few machines have AVX-512, and
// fewer its bfloat16.
type emulator struct {
	t     *testing.T
	code  map[string][]instruction // by function
	gp    map[string]uint64
	vec   [32][16]uint32
	flags int64 // the last result

	regions []region
}

type instruction struct {
	text   string
	op     string
	args   []string
	labels map[string]int // of the function
}

type region struct {
	at uint64
	b  []byte
}

// newEmulator reads a file of assembly.
func newEmulator(t *testing.T, file string) *emulator {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := &emulator{t: t, code: map[string][]instruction{}}
	var name string
	var labels map[string]int
	start := regexp.MustCompile(`^TEXT ·(\w+)\(SB\)`)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if m := start.FindStringSubmatch(line); m != nil {
			name, labels = m[1], map[string]int{}
			continue
		}
		if line == "" || name == "" || strings.HasPrefix(line, "//") {
			continue
		}
		if label, ok := strings.CutSuffix(line, ":"); ok {
			labels[label] = len(e.code[name])
			continue
		}
		s := strings.TrimSpace(line)
		switch op := strings.Fields(s)[0]; op {
		case "LONG", "WORD", "BYTE": // TestBytesEqualGNU compares them with the comment before
			continue
		case "//":
			s = strings.TrimPrefix(s, "// ")
		}
		op, rest, _ := strings.Cut(s, " ")
		var args []string
		for a := range strings.SplitSeq(rest, ", ") {
			args = append(args, strings.TrimSpace(a))
		}
		e.code[name] = append(e.code[name], instruction{s, op, args, labels})
	}
	return e
}

// put places words in memory of their own and returns the address.
func (e *emulator) put(words []uint32) uint64 {
	at := uint64(len(e.regions)+1) << 32
	b := make([]byte, 4*len(words))
	for i, w := range words {
		binary.LittleEndian.PutUint32(b[4*i:], w)
	}
	e.regions = append(e.regions, region{at, b})
	return at
}

func (e *emulator) words(at uint64) []uint32 {
	b := e.regions[at>>32-1].b
	w := make([]uint32, len(b)/4)
	for i := range w {
		w[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return w
}

// mem is n bytes of memory.
func (e *emulator) mem(at uint64, n int, in instruction) []byte {
	if r := at>>32 - 1; r < uint64(len(e.regions)) {
		if off := at & (1<<32 - 1); off+uint64(n) <= uint64(len(e.regions[r].b)) {
			return e.regions[r].b[off:][:n]
		}
	}
	e.t.Fatalf("%s touches %d bytes at %#x, outside of its operands", in.text, n, at)
	return nil
}

var address = regexp.MustCompile(`^(-?\d+)?\((\w+)\)(?:\((\w+)\*(\d)\))?$`)

// effective is the address that an operand names.
func (e *emulator) effective(s string, in instruction) uint64 {
	m := address.FindStringSubmatch(s)
	if m == nil {
		e.t.Fatalf("cannot read the address %q of %s", s, in.text)
	}
	at := e.gp[m[2]]
	if m[1] != "" {
		d, err := strconv.Atoi(m[1])
		if err != nil {
			e.t.Fatal(err)
		}
		at += uint64(d)
	}
	if m[3] != "" {
		at += e.gp[m[3]] * uint64(m[4][0]-'0')
	}
	return at
}

// value reads 64 bits.
func (e *emulator) value(s string, in instruction) uint64 {
	switch {
	case s[0] == '$':
		n, err := strconv.ParseInt(s[1:], 0, 64)
		if err != nil {
			e.t.Fatal(err)
		}
		return uint64(n)
	case s == "a+0(FP)":
		return e.gp["a"]
	case strings.Contains(s, "("):
		return binary.LittleEndian.Uint64(e.mem(e.effective(s, in), 8, in))
	}
	return e.gp[s]
}

func (e *emulator) set(s string, v uint64, in instruction) {
	if strings.Contains(s, "(") {
		binary.LittleEndian.PutUint64(e.mem(e.effective(s, in), 8, in), v)
		return
	}
	e.gp[s] = v
}

// lanes is a vector register with its number of lanes.
func (e *emulator) lanes(s string) []uint32 {
	n, err := strconv.Atoi(s[1:])
	if err != nil {
		e.t.Fatal(err)
	}
	return e.vec[n][:map[byte]int{'X': 4, 'Y': 8, 'Z': 16}[s[0]]]
}

// load reads a vector from a register or memory.
func (e *emulator) load(s string, n int, in instruction) []uint32 {
	v := make([]uint32, n)
	if !strings.Contains(s, "(") {
		copy(v, e.lanes(s))
		return v
	}
	b := e.mem(e.effective(s, in), 4*n, in)
	for i := range v {
		v[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return v
}

// run calls a function on the arguments at a.
func (e *emulator) run(name string, a uint64) {
	code := e.code[name]
	if len(code) == 0 {
		e.t.Fatalf("there is no function %s", name)
	}
	e.gp = map[string]uint64{"a": a}
	for r := range e.vec {
		for l := range e.vec[r] {
			e.vec[r][l] = 0x7fc00000 | uint32(r) // NaN: nothing may come from before
		}
	}
	for pc := 0; code[pc].op != "RET"; pc++ {
		in := code[pc]
		if to, ok := in.labels[in.args[0]]; ok {
			if e.taken(in) {
				pc = to - 1
			}
			continue
		}
		e.step(in)
	}
}

func (e *emulator) taken(in instruction) bool {
	switch in.op {
	case "JMP":
		return true
	case "JZ", "JE", "JEQ":
		return e.flags == 0
	case "JNZ", "JNE":
		return e.flags != 0
	case "JL", "JLT":
		return e.flags < 0
	case "JGE":
		return e.flags >= 0
	}
	e.t.Fatalf("unknown jump %s", in.text)
	return false
}

func (e *emulator) step(in instruction) {
	a := in.args
	last := a[len(a)-1]
	arith := func(v uint64) {
		e.flags = int64(v)
		e.set(last, v, in)
	}
	switch in.op {
	case "PREFETCHT0", "VZEROUPPER":
	case "MOVQ":
		e.set(last, e.value(a[0], in), in)
	case "LEAQ":
		e.set(last, e.effective(a[0], in), in)
	case "ADDQ":
		arith(e.value(last, in) + e.value(a[0], in))
	case "SUBQ":
		arith(e.value(last, in) - e.value(a[0], in))
	case "DECQ":
		arith(e.value(last, in) - 1)
	case "CMPQ":
		e.flags = int64(e.value(a[0], in) - e.value(a[1], in))
	default:
		e.vector(in)
	}
}

func (e *emulator) vector(in instruction) {
	a := in.args
	last := a[len(a)-1]
	if in.op == "VMOVUPS" && strings.Contains(last, "(") {
		v := e.lanes(a[0])
		b := e.mem(e.effective(last, in), 4*len(v), in)
		for i, w := range v {
			binary.LittleEndian.PutUint32(b[4*i:], w)
		}
		return
	}
	d := e.lanes(last)
	float := math.Float32frombits
	switch in.op {
	case "VMOVUPS":
		copy(d, e.load(a[0], len(d), in))
	case "VBROADCASTSS":
		w := e.load(a[0], 1, in)[0]
		for i := range d {
			d[i] = w
		}
	case "VPXORD", "VXORPS":
		if a[0] != a[1] || a[0] != last {
			e.t.Fatalf("%s clears nothing", in.text)
		}
		clear(d)
	case "VADDPS", "VFMADD231PS", "VDPBF16PS":
		x, y := e.load(a[0], len(d), in), e.load(a[1], len(d), in)
		for i := range d {
			switch in.op {
			case "VADDPS":
				d[i] = math.Float32bits(float(x[i]) + float(y[i]))
			case "VFMADD231PS":
				d[i] = math.Float32bits(fma32(float(x[i]), float(y[i]), float(d[i])))
			case "VDPBF16PS":
				d[i] = math.Float32bits(dotPair(float(d[i]), y[i], x[i]))
			}
		}
	default:
		e.t.Fatalf("unknown instruction %s", in.text)
	}
}

func bitsOf(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
	}
	return b
}

// TestGemmEmulated executes every kernel of tiles of both instruction sets and
// compares it with plain Go.
func TestGemmEmulated(t *testing.T) {
	for _, s := range []struct {
		name   string
		mr, nr int
	}{{"avx2", 6, 16}, {"avx512", 12, 32}} {
		e := newEmulator(t, fmt.Sprintf("gemm_%s_amd64.s", s.name))
		r := newRand(41)
		ways := []string{"Rows", "Cols"}
		if s.name == "avx512" {
			ways = append(ways, "BF16")
		}
		for _, way := range ways {
			for rows := 1; rows <= s.mr; rows++ {
				for _, k := range []int{1, 3, 4, 9} {
					e.tiles(r, s.name, way, s.mr, s.nr, rows, 1, k)
				}
			}
			e.tiles(r, s.name, way, s.mr, s.nr, s.mr, 3, 6)
		}
		if len(e.code) != len(ways)*s.mr {
			t.Errorf("%s has %d kernels, %d of them were executed", s.name, len(e.code), len(ways)*s.mr)
		}
	}
}

// tiles runs n tiles of rows rows with k steps, or pairs of them.
func (e *emulator) tiles(r *rand.Rand, set, way string, mr, nr, rows, n, k int) {
	e.regions = nil
	add := r.IntN(2)
	ldc := nr + r.IntN(3)
	row, col, tile, ldb := 1, mr, mr*k, nr // packed
	size := (n-1)*tile + (k-1)*col + rows
	switch way {
	case "Rows":
		row, col = k+r.IntN(3), 1
		tile = mr * row
		size = (n-1)*tile + (rows-1)*row + k
	case "Cols":
		col, ldb = mr*n+r.IntN(3), nr+r.IntN(3)
		tile = mr
		size = (n-1)*tile + (k-1)*col + rows
	}
	a, b := normals(r, size), normals(r, (k-1)*ldb+nr)
	c := normals(r, ((n-1)*mr+rows-1)*ldc+nr)
	word := func(x uint64) []uint32 { return []uint32{uint32(x), uint32(x >> 32)} }
	ca := e.put(bitsOf(c))
	var args []uint32
	for _, f := range []uint64{ca, uint64(4 * ldc), e.put(bitsOf(a)), uint64(4 * row), uint64(4 * col), uint64(4 * tile),
		e.put(bitsOf(b)), uint64(4 * ldb), uint64(k), uint64(n), uint64(add)} {
		args = append(args, word(f)...)
	}
	name := fmt.Sprintf("%sGemm%sx%d", set, way, rows)
	e.run(name, e.put(args))
	want := append([]float32(nil), c...)
	for i := range n {
		for ri := range rows {
			for j := range nr {
				var s float32
				for l := range k {
					x, y := a[i*tile+ri*row+l*col], b[l*ldb+j]
					if way == "BF16" {
						s = dotPair(s, math.Float32bits(x), math.Float32bits(y))
					} else {
						s = fma32(x, y, s)
					}
				}
				at := (i*mr+ri)*ldc + j
				if add == 1 {
					s += c[at]
				}
				want[at] = s
			}
		}
	}
	got := make([]float32, len(want))
	for i, w := range e.words(ca) {
		got[i] = math.Float32frombits(w)
	}
	diffBits(e.t, fmt.Sprintf("%s, %d tiles, %d steps, add %d", name, n, k, add), got, want)
}

// TestBF16Conversion holds rounding to the nearest bfloat16, ties to even.
func TestBF16Conversion(t *testing.T) {
	for _, c := range []struct {
		in   float32
		want uint16
	}{
		{1, 0x3f80}, {-2, 0xc000}, {0, 0}, {float32(math.Copysign(0, -1)), 0x8000},
		{math.Float32frombits(0x3f808000), 0x3f80}, {math.Float32frombits(0x3f818000), 0x3f82}, // ties
		{math.Float32frombits(0x3f808001), 0x3f81}, {math.Float32frombits(0x3f807fff), 0x3f80},
		{math.MaxFloat32, 0x7f80}, {float32(math.Inf(-1)), 0xff80},
		{math.Float32frombits(0x7f800001), 0x7fc0}, {math.Float32frombits(0xffffffff), 0xffff}, // NaN
	} {
		if got := floatToBFloat16(c.in); got != c.want {
			t.Errorf("%v (%#x) rounds to %#x, want %#x", c.in, math.Float32bits(c.in), got, c.want)
		}
	}
}

// TestGemmBF16Oracle compares plain Go's products of bfloat16 with float64 sums
// of rounded operands.
func TestGemmBF16Oracle(t *testing.T) {
	r := newRand(42)
	g := genericGemm()
	g.BF16 = PlainBF16(&g)
	round := func(f float32) float64 { return float64(bfloatToFloat(floatToBFloat16(f))) }
	for range 60 {
		m, n, k := 1+r.IntN(12), 1+r.IntN(20), r.IntN(50)
		a, b, c := normals(r, m*k), normals(r, k*n), normals(r, m*n)
		pairs := (k + 1) / 2
		pa, pb := make([]uint32, g.PackedA(m, pairs)), make([]uint32, g.PackedB(pairs, n))
		g.BF16.Pack(pa, a, k, g.MR, m, k, false)
		g.BF16.Pack(pb, b, n, g.NR, n, k, true)
		add := r.IntN(2) == 1
		got := append([]float32(nil), c...)
		g.BlockBF16(got, n, pa, pb, m, n, k, add, make([]float32, m*g.NR))
		for i := range m {
			for j := range n {
				var want, size float64
				if add {
					want = float64(c[i*n+j])
					size = math.Abs(want)
				}
				for l := range k {
					p := round(a[i*k+l]) * round(b[l*n+j])
					want += p
					size += math.Abs(p)
				}
				if e := math.Abs(float64(got[i*n+j]) - want); !(e <= size*0x1p-21) {
					t.Fatalf("(%d, %d, %d): element (%d, %d) is %v, want %v", m, n, k, i, j, got[i*n+j], want)
				}
			}
		}
	}
}
