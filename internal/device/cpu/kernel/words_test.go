package kernel

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestWordsEqualGNU compares every WORD of the arm64 kernels with what GNU as
// made of the instruction beside it (testdata/neon/gen.sh).
func TestWordsEqualGNU(t *testing.T) {
	golden := readWords(t, "testdata/neon/words.txt")
	word := regexp.MustCompile(`^\tWORD \$0x([0-9a-f]{8}) // (.*)$`)
	eachLine(t, "*_arm64.s", func(file string, n int, line string) {
		if !strings.Contains(line, "WORD") {
			return
		}
		m := word.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%s:%d: a WORD without its instruction: %s", file, n, line)
		}
		golden.compare(t, file, n, m[2], m[1])
	})
	golden.unused(t)
}

// TestBytesEqualGNU does the same for amd64, where a comment with the
// instruction is followed by its LONGs, WORDs and BYTEs
// (testdata/avx512/gen.sh).
func TestBytesEqualGNU(t *testing.T) {
	golden := readWords(t, "testdata/avx512/words.txt")
	directive := regexp.MustCompile(`^\t(LONG|WORD|BYTE) +\$0x([0-9a-f]+)$`)
	size := map[string]int{"LONG": 4, "WORD": 2, "BYTE": 1}
	var text string // the comment before the directives
	var code []byte // what they hold so far
	end := func(file string, n int) {
		if len(code) > 0 {
			golden.compare(t, file, n, text, hex.EncodeToString(code))
		}
		text, code = "", nil
	}
	eachLine(t, "*_amd64.s", func(file string, n int, line string) {
		if m := directive.FindStringSubmatch(line); m != nil {
			v, err := strconv.ParseUint(m[2], 16, 32)
			if err != nil {
				t.Fatalf("%s:%d: %v", file, n, err)
			}
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], v)
			code = append(code, b[:size[m[1]]]...)
			return
		}
		for name := range size {
			if strings.HasPrefix(line, "\t"+name) {
				t.Fatalf("%s:%d: %q is not as the generator writes it", file, n, line)
			}
		}
		end(file, n-1)
		text, _ = strings.CutPrefix(line, "\t// ")
	})
	golden.unused(t)
}

// words are encodings by instruction, and which of them were asked for.
type words struct {
	file string
	bits map[string]string
	used map[string]bool
}

func readWords(t *testing.T, file string) words {
	w := words{file, map[string]string{}, map[string]bool{}}
	for line := range lines(t, file) {
		bits, text, _ := strings.Cut(line, " ")
		w.bits[text] = bits
	}
	return w
}

func (w words) compare(t *testing.T, file string, n int, text, bits string) {
	if want := w.bits[text]; bits != want {
		t.Errorf("%s:%d: %s is %s, GNU as has %q", file, n, text, bits, want)
	}
	w.used[text] = true
}

func (w words) unused(t *testing.T) {
	for text := range w.bits {
		if !w.used[text] {
			t.Errorf("no kernel uses %q; run %s", text, filepath.Join(filepath.Dir(w.file), "gen.sh"))
		}
	}
}

// eachLine calls f with every line of the files that match pattern.
func eachLine(t *testing.T, pattern string, f func(file string, n int, line string)) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files are named %s: %v", pattern, err)
	}
	for _, file := range files {
		n := 0
		for line := range lines(t, file) {
			n++
			f(file, n, line)
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
