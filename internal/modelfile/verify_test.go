package modelfile

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyProgress: what is verified, archives' sums included, ends at its total,
// and ends early when the context does, wherever it stands.
func TestVerifyProgress(t *testing.T) {
	m, err := Open("testdata/hf/meta/gqa-f16/2", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var at []int64
	if err := m.Verify(context.Background(), func(done, total int64) {
		if at = append(at, done); done > total {
			t.Errorf("%d of %d bytes", done, total)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if m.Verify(context.Background(), func(done, total int64) { at[0] = total }) != nil || at[len(at)-1] != at[0] {
		t.Errorf("verified %d of %d bytes", at[len(at)-1], at[0])
	}
	for _, stop := range []int{1, len(at) - 1} { // the last is one of the sums
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		err := m.Verify(ctx, func(int64, int64) {
			if n++; n == stop {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) || n != stop {
			t.Errorf("cancelled at step %d: %v after %d", stop, err, n)
		}
	}
}

// TestVerifySums flips the lowest bit of one weight of Meta's format: the model
// still opens and all weights are finite, and the archive's sum tells.
func TestVerifySums(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/hf/meta/gqa-f16/1")); err != nil {
		t.Fatal(err)
	}
	verify := func() error {
		m, err := Open(dir, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return m.Verify(context.Background(), nil)
	}
	if err := verify(); err != nil {
		t.Fatalf("the whole model: %v", err)
	}
	path := filepath.Join(dir, "consolidated.00.pth")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The first storage follows its local header, which is padded with Z up to a
	// multiple of 64.
	at := bytes.Index(data, []byte("/data/0FB"))
	if at < 0 {
		t.Fatal("no first storage")
	}
	at = (at/64 + 1) * 64
	for data[at] == 'Z' {
		at += 64
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := verify(); err == nil || !strings.Contains(err.Error(), path+": entry data/0: its CRC-32") {
		t.Errorf("one bit was flipped: %v", err)
	}
}
