package doc

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 5, "lo…"},
		{"äöüäöü", 8, "äö…"}, // five bytes of room: two characters of two
		{"日本語日本語", 9, "日本…"},
		{"abc", 1, "…"},
	} {
		got := Clip(c.text, c.n)
		if got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
		if !utf8.ValidString(got) {
			t.Errorf("Clip(%q, %d) cuts a character", c.text, c.n)
		}
	}
}

func TestStats(t *testing.T) {
	var a, b, sum Stats
	a.Add("x", 2)
	a.Add("none", 0)
	a.Sample("x", "one")
	a.Sample("x", "one")
	b.Add("x", 3)
	b.Add("y", 1)
	b.Sample("x", "two")
	b.Sample("x", "three")
	b.Sample("x", "four")
	sum.Merge(&a)
	sum.Merge(&b)
	if sum.Counts["x"] != 5 || sum.Counts["y"] != 1 || len(sum.Counts) != 2 {
		t.Errorf("counts are %v", sum.Counts)
	}
	if got := strings.Join(sum.Samples["x"], " "); got != "one two three" {
		t.Errorf("samples are %q", got)
	}
}
