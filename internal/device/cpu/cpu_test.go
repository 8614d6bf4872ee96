package cpu

import "testing"

func TestFits(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		bytes, available int64
		want             bool
	}{
		{4000 * mib, 0, true}, // nobody knows
		{4000 * mib, 8000 * mib, true},
		{4000 * mib, 4500 * mib, false},
		{4000 * mib, 4512 * mib, true},
		{20 * mib, 200 * mib, true}, // a small model in a small container
		{101 * mib, 200 * mib, false},
	} {
		if got := fits(c.bytes, c.available); got != c.want {
			t.Errorf("%d MiB with %d MiB available fit: %v", c.bytes/mib, c.available/mib, got)
		}
	}
}
