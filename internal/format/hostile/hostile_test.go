package hostile

import "testing"

// TestGrowthIsSeen guards the guard: memory that is touched for a moment counts.
func TestGrowthIsSeen(t *testing.T) {
	var keep []byte
	growth := rssGrowth(func() {
		keep = make([]byte, 100<<20)
		for i := range keep {
			keep[i] = byte(i)
		}
	})
	if growth < 90<<20 || growth > 200<<20 {
		t.Errorf("100 MiB more are measured as %d MiB", growth>>20)
	}
	if sum := keep[1<<20+5]; sum != 5 {
		t.Errorf("memory holds %d", sum)
	}
	if growth := rssGrowth(func() {}); growth > 1<<20 {
		t.Errorf("nothing is measured as %d KiB", growth>>10)
	}
}

// TestNames: tests find cases by name, and a case that names nothing would pass
// on any error.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		if c.Name == "" || seen[c.Name] {
			t.Errorf("two cases are called %q", c.Name)
		}
		seen[c.Name] = true
		if c.Field == "" && c.Value == "" {
			t.Errorf("%s names neither field nor value", c.Name)
		}
	}
}
