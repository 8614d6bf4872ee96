package kernel

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWordsEqualGNU compares every WORD of the arm64 kernels with what GNU as
// made of the instruction beside it (testdata/neon/gen.sh).
func TestWordsEqualGNU(t *testing.T) {
	golden := map[string]string{}
	for line := range lines(t, "testdata/neon/words.txt") {
		bits, text, _ := strings.Cut(line, " ")
		golden[text] = bits
	}
	files, err := filepath.Glob("*_arm64.s")
	if err != nil || len(files) == 0 {
		t.Fatal("no arm64 assembly:", err)
	}
	word := regexp.MustCompile(`^\tWORD \$0x([0-9a-f]{8}) // (.*)$`)
	used := map[string]bool{}
	for _, file := range files {
		n := 0
		for line := range lines(t, file) {
			n++
			if !strings.Contains(line, "WORD") {
				continue
			}
			m := word.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s:%d: a WORD without its instruction: %s", file, n, line)
			}
			if want := golden[m[2]]; m[1] != want {
				t.Errorf("%s:%d: %s is %s, GNU as has %q", file, n, m[2], m[1], want)
			}
			used[m[2]] = true
		}
	}
	for text := range golden {
		if !used[text] {
			t.Errorf("no kernel uses %q; run testdata/neon/gen.sh", text)
		}
	}
}

func lines(t *testing.T, file string) func(yield func(string) bool) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string) bool) {
		defer f.Close()
		s := bufio.NewScanner(f)
		for s.Scan() {
			if !yield(s.Text()) {
				return
			}
		}
	}
}
