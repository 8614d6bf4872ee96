package quant

import (
	"math"
	"testing"
)

// f16Value is what the standard says: (-1)^s 2^(e-15) (1 + m/1024), and
// 2^-14 m/1024 for e = 0.
func f16Value(h uint16) float64 {
	e, m := int(h>>10&31), float64(h&1023)/1024
	v := math.Ldexp(1+m, e-15)
	if e == 0 {
		v = math.Ldexp(m, -14)
	}
	if h>>15 == 1 {
		v = -v
	}
	return v
}

func TestF16ToF32(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got := F16ToF32(h)
		switch {
		case h&0x7c00 != 0x7c00:
			if want := float32(f16Value(h)); math.Float32bits(got) != math.Float32bits(want) {
				t.Errorf("%#04x is %g, want %g", h, got, want)
			}
		case h&0x3ff == 0:
			if !math.IsInf(float64(got), 1-int(h>>15)*2) {
				t.Errorf("%#04x is %g, want an infinity", h, got)
			}
		default: // NaN keeps sign and payload
			if want := uint32(h&0x8000)<<16 | 0x7f800000 | uint32(h&0x3ff)<<13; math.Float32bits(got) != want {
				t.Errorf("%#04x is %#08x, want %#08x", h, math.Float32bits(got), want)
			}
		}
	}
}

// rounds checks that f rounds to a below and to b above the middle of two
// neighbouring values, and to the even one in the middle.
func rounds(t *testing.T, name string, f func(float32) uint16, a, b uint16, va, vb float64) {
	t.Helper()
	mid := float32((va + vb) / 2)
	even := a
	if a&1 == 1 {
		even = b
	}
	for _, c := range []struct {
		x    float32
		want uint16
	}{
		{float32(va), a}, {mid, even},
		{math.Nextafter32(mid, 0), a}, {math.Nextafter32(mid, float32(math.Inf(1))), b},
	} {
		if got := f(c.x); got != c.want {
			t.Errorf("%s: %g is %#04x, want %#04x", name, c.x, got, c.want)
		}
		if got := f(-c.x); got != c.want|0x8000 {
			t.Errorf("%s: %g is %#04x, want %#04x", name, -c.x, got, c.want|0x8000)
		}
	}
}

func TestF32ToF16(t *testing.T) {
	for h := uint16(0); h < 0x7c00; h++ {
		// For rounding, the value after the largest is 2^16.
		rounds(t, "f16", F32ToF16, h, h+1, f16Value(h), f16Value(h+1))
	}
	inf := float32(math.Inf(1))
	if F32ToF16(inf) != 0x7c00 || F32ToF16(-inf) != 0xfc00 {
		t.Error("infinities do not stay")
	}
	for _, b := range []uint32{0x7f800001, 0x7fc00000, 0xff801fff, 0xffffffff} {
		if h := F32ToF16(math.Float32frombits(b)); h&0x7e00 != 0x7e00 || h>>15 != uint16(b>>31) {
			t.Errorf("NaN %#08x becomes %#04x, want a quiet NaN of its sign", b, h)
		}
	}
}

func TestBF16(t *testing.T) {
	value := func(h uint16) float64 { // (-1)^s 2^(e-127) (1 + m/128), and 2^-126 m/128 for e = 0
		e, m := int(h>>7&255), float64(h&127)/128
		if e == 0 {
			return math.Ldexp(m, -126)
		}
		return math.Ldexp(1+m, e-127)
	}
	for h := uint16(0); h < 0x7f7f; h++ {
		rounds(t, "bf16", F32ToBF16, h, h+1, value(h), value(h+1))
		if got := BF16ToF32(h); float64(got) != value(h) {
			t.Fatalf("%#04x is %g", h, got)
		}
	}
	if got := F32ToBF16(math.MaxFloat32); got != 0x7f80 {
		t.Errorf("the largest float32 is %#04x, want infinity", got)
	}
	for _, b := range []uint32{0x7f800001, 0x7fc00000, 0xff80ffff, 0xffffffff} {
		if h := F32ToBF16(math.Float32frombits(b)); h&0x7fc0 != 0x7fc0 || h>>15 != uint16(b>>31) {
			t.Errorf("NaN %#08x becomes %#04x, want a quiet NaN of its sign", b, h)
		}
	}
}
