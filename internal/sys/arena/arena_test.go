package arena

import (
	"testing"
	"unsafe"
)

func TestArena(t *testing.T) {
	for _, n := range []int{0, 1, 4096, HugePage - 1, HugePage, 3*HugePage + 17} {
		a, err := New(n)
		if err != nil {
			t.Fatal(err)
		}
		b := a.Bytes()
		if len(b) != n {
			t.Fatalf("asked for %d bytes, got %d", n, len(b))
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("size %d: byte %d is %d, not zero", n, i, b[i])
			}
			b[i] = byte(i)
		}
		if n >= HugePage && uintptr(unsafe.Pointer(&b[0]))%HugePage != 0 {
			t.Errorf("size %d is not aligned to a huge page", n)
		}
		if got := len(a.Float32s()); got != n/4 {
			t.Errorf("size %d: %d float32 values", n, got)
		}
		if err := a.Free(); err != nil {
			t.Fatal(err)
		}
		if err := a.Free(); err != nil {
			t.Fatalf("second Free: %v", err)
		}
	}
}

func TestImpossibleSize(t *testing.T) {
	if _, err := New(1 << 62); err == nil {
		t.Fatal("2^62 bytes were given")
	}
}
