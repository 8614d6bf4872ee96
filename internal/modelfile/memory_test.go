package modelfile_test

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
)

// peakGrowth returns by how many bytes resident memory was higher during fn than
// before; mapped pages count.
func peakGrowth(t *testing.T, fn func()) int64 {
	t.Helper()
	peak := func() int64 {
		f, err := os.Open("/proc/self/status")
		if err != nil {
			t.Skipf("needs Linux's count of memory: %v", err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if text, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return n << 10
			}
		}
		t.Skip("needs Linux's VmHWM")
		return 0
	}
	// 5 sets the peak to what is used now (man 5 proc, clear_refs).
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("needs Linux's clear_refs: %v", err)
	}
	before := peak()
	fn()
	return peak() - before
}

// TestMemory converts a model of 110 MB of F16 in every direction. Pieces bound
// the memory: it stays below the file's size.
func TestMemory(t *testing.T) {
	const limit = 60 << 20
	cfg := llama.Config{Dim: 1024, NLayers: 3, NHeads: 16, NKVHeads: 16, HeadDim: 64, HiddenDim: 2816, VocabSize: 8192, MaxSeqLen: 64, NormEps: 1e-5, RopeTheta: 10000}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	step := func(name string, fn func() error) {
		var err error
		growth := peakGrowth(t, func() { err = fn() })
		if err != nil {
			t.Fatal(err)
		}
		if growth > limit {
			t.Errorf("%s: resident memory grew by %d MiB, at most %d are allowed", name, growth>>20, limit>>20)
		}
		t.Logf("%s: %d MiB", name, growth>>20)
	}
	// Random bits make the file quickly.
	step("init", func() error {
		_, err := modelfile.Init(context.Background(), cfg, path("q.gguf"), modelfile.InitOptions{Type: "q4_k_s", Workers: 2})
		return err
	})
	from := func(in, out string, typ string) func() error {
		return func() error {
			m, err := modelfile.Open(path(in), modelfile.OpenOptions{})
			if err != nil {
				return err
			}
			defer m.Close()
			_, err = modelfile.Convert(context.Background(), m, path(out), modelfile.ConvertOptions{Type: typ, Workers: 2})
			return err
		}
	}
	step("quantised to HF", from("q.gguf", "hf", "f16"))
	step("HF to GGUF", from("hf", "f.gguf", ""))
	step("verify", func() error {
		m, err := modelfile.Open(path("f.gguf"), modelfile.OpenOptions{})
		if err != nil {
			return err
		}
		defer m.Close()
		return m.Verify(context.Background(), nil)
	})
}
