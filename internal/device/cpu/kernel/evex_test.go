package kernel

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestAVX2HasNoEVEX assembles the AVX2 set and holds that no instruction begins
// with an EVEX prefix: Go's assembler encodes some AVX2 mnemonics, and
// registers from X16 on, only so, and a machine without AVX-512 faults there.
func TestAVX2HasNoEVEX(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the assembler on every file")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no go command")
	} else if err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(strings.TrimSpace(string(root)), "pkg", "include")
	evex := func(pattern string) (instructions int, found []string) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files are named %s: %v", pattern, err)
		}
		for _, file := range files {
			for _, f := range assemble(t, include, file) {
				instructions += len(f.at)
				for i, at := range f.at {
					if f.code[at] == 0x62 {
						found = append(found, f.text[i])
					}
				}
			}
		}
		return instructions, found
	}
	n, found := evex("*_avx2_amd64.s")
	if n == 0 {
		t.Error("found no AVX2 instructions")
	}
	for _, text := range found {
		t.Errorf("EVEX: %s", text)
	}
	// The other set has plenty, so that they are seen at all.
	if _, found := evex("*_avx512_amd64.s"); len(found) < 1000 {
		t.Errorf("found only %d EVEX prefixes in the AVX-512 set", len(found))
	}
}

// listed is one function of an assembler listing.
type listed struct {
	code []byte
	at   []int    // where instructions begin
	text []string // them, and where they stand
}

var (
	listedInstruction = regexp.MustCompile(`^\t0x[0-9a-f]+ ([0-9]{5,}) (\(.*)$`)
	listedBytes       = regexp.MustCompile(`^\t0x([0-9a-f]+)((?: [0-9a-f]{2}){1,16})  `)
)

// assemble lists what the assembler makes of a file for amd64.
func assemble(t *testing.T, include, file string) (functions []listed) {
	t.Helper()
	cmd := exec.Command("go", "tool", "asm", "-S", "-p", "kernel", "-I", include, "-o", filepath.Join(t.TempDir(), "o"), file)
	cmd.Env = append(os.Environ(), "GOARCH=amd64")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.Bytes())
	}
	var f *listed
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.Contains(line, " STEXT "):
			functions = append(functions, listed{})
			f = &functions[len(functions)-1]
		case !strings.HasPrefix(line, "\t"):
			f = nil // data
		case f == nil:
		default:
			if m := listedInstruction.FindStringSubmatch(line); m != nil {
				at, err := strconv.Atoi(m[1])
				if err != nil {
					t.Fatal(err)
				}
				if n := len(f.at); n > 0 && f.at[n-1] == at { // a directive before it
					f.at, f.text = f.at[:n-1], f.text[:n-1]
				}
				f.at, f.text = append(f.at, at), append(f.text, m[2])
			} else if m := listedBytes.FindStringSubmatch(line); m != nil {
				b, err := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
				if err != nil {
					t.Fatal(err)
				}
				f.code = append(f.code, b...)
			}
		}
	}
	for i, f := range functions {
		if n := len(f.at); n == 0 || f.at[n-1] >= len(f.code) {
			t.Fatalf("%s: function %d of the listing has %d instructions and %d bytes", file, i, n, len(f.code))
		}
	}
	return functions
}
