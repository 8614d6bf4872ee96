package kernel

import (
	"math"
	"testing"
)

// TestExpAccuracy compares the polynomial with math.Exp on every 997th float.
func TestExpAccuracy(t *testing.T) {
	step := uint64(997)
	if testing.Short() {
		step = 9973
	}
	worst, at := 0.0, float32(0)
	for b := uint64(0); b < 1<<32; b += step {
		x := math.Float32frombits(uint32(b))
		got, want := exp32(x), math.Exp(float64(x))
		switch {
		case x != x:
			if got == got {
				t.Fatalf("exp(NaN %#x) = %v", b, got)
			}
		case want > math.MaxFloat32*(1+0x1p-25):
			if !math.IsInf(float64(got), 1) {
				t.Fatalf("exp(%v) = %v, want +Inf", x, got)
			}
		case want < 0x1p-126:
			if got != 0 {
				t.Fatalf("exp(%v) = %v, want 0", x, got)
			}
		default:
			ulp := math.Ldexp(1, math.Ilogb(want)-23)
			if e := math.Abs(float64(got)-want) / ulp; e > worst {
				worst, at = e, x
			}
		}
	}
	t.Logf("worst error %.3f ulp at %v", worst, at)
	if worst > 1 {
		t.Errorf("exp(%v) is off by %.3f ulp, want at most 1", at, worst)
	}
}

func TestExpEnds(t *testing.T) {
	for _, c := range []struct{ x, want float32 }{
		{0, 1}, {float32(math.Copysign(0, -1)), 1},
		{float32(math.Inf(1)), float32(math.Inf(1))}, {float32(math.Inf(-1)), 0},
	} {
		if got := exp32(c.x); got != c.want {
			t.Errorf("exp(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if got := exp32(expMax); math.IsInf(float64(got), 0) || got < 3.4e38 {
		t.Errorf("exp(%v) = %v, want the largest finite results", float32(expMax), got)
	}
	if got := exp32(expMin); got < 0x1p-126 || got > 0x1.001p-126 {
		t.Errorf("exp(%v) = %v, want the smallest normal results", float32(expMin), got)
	}
}
