package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestOrder holds that every set is listed once, slowest first.
func TestOrder(t *testing.T) {
	rank := map[string]int{"generic": 0, "avx2": 1, "neon": 1, "avx512": 2}
	last := -1
	for _, s := range Sets() {
		r, ok := rank[s.Name]
		if !ok || r <= last {
			t.Errorf("set %q stands at the wrong place", s.Name)
		}
		last = r
	}
	if last < 0 {
		t.Error("no sets")
	}
}

// eachSet runs f for every set of this machine except the generic one.
func eachSet(t *testing.T, f func(t *testing.T, s *Set)) {
	for _, s := range Sets()[1:] {
		t.Run(s.Name, func(t *testing.T) { f(t, s) })
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6b65726e656c)) }

func normals(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// diffBits reports the first element whose bits differ.
func diffBits(t *testing.T, what string, got, want []float32) bool {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
			t.Errorf("%s: element %d is %v (%#x), want %v (%#x)", what, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
			return true
		}
	}
	return false
}
