package cpufeat

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestModelFrom(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"processor\t: 0\nmodel\t\t: 167\nmodel name\t: Some CPU @ 2GHz\nflags\t\t: fpu\n", "Some CPU @ 2GHz"},
		{"processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n", "ARM implementer 0x41 part 0xd0c"},
		{"", ""},
	} {
		if got := modelFrom(bufio.NewScanner(strings.NewReader(c.in))); got != c.want {
			t.Errorf("model of %q is %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCachesUnder(t *testing.T) {
	dir := t.TempDir()
	for index, files := range map[string][3]string{
		"index0": {"1", "Data", "48K"}, "index1": {"1", "Instruction", "64K"},
		"index2": {"2", "Unified", "2048K"}, "index3": {"3", "Unified", "32M"},
	} {
		if err := os.Mkdir(filepath.Join(dir, index), 0o755); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"level", "type", "size"} {
			if err := os.WriteFile(filepath.Join(dir, index, name), []byte(files[i]+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := Caches{L1d: 48 << 10, L2: 2 << 20, LLC: 32 << 20}
	if got := cachesUnder(dir); got != want {
		t.Errorf("caches %+v, want %+v", got, want)
	}
	if got := cachesUnder(filepath.Join(dir, "none")); got != (Caches{}) {
		t.Errorf("caches of nothing: %+v", got)
	}
}
