package cpu

import "testing"

func TestMustStream(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		bytes, available int64
		want             bool
	}{
		{4000 * mib, 0, false}, // nobody knows
		{4000 * mib, 8000 * mib, false},
		{4000 * mib, 4500 * mib, true},
		{4000 * mib, 4512 * mib, false},
		{20 * mib, 200 * mib, false}, // a small model in a small container
		{101 * mib, 200 * mib, true},
	} {
		if got := mustStream(c.bytes, c.available); got != c.want {
			t.Errorf("%d MiB with %d MiB available: %v", c.bytes/mib, c.available/mib, got)
		}
	}
}
