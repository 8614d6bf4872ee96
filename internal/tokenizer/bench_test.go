package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sharedText is all of the shared texts, one behind the other.
func sharedText(b *testing.B) string {
	files, err := filepath.Glob(filepath.Join(shared(b, "text"), "*", "*.txt"))
	if err != nil || len(files) == 0 {
		b.Fatalf("%d texts, %v", len(files), err)
	}
	var text strings.Builder
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		text.Write(raw)
	}
	return text.String()
}

func BenchmarkEncode(b *testing.B) {
	tk := llama2(b)
	all := sharedText(b)
	lines := strings.SplitAfter(all, "\n")
	var ids []int32
	b.Run("whole", func(b *testing.B) {
		b.SetBytes(int64(len(all)))
		for b.Loop() {
			ids = tk.Append(ids[:0], all, EncodeOptions{})
		}
	})
	b.Run("lines", func(b *testing.B) {
		b.SetBytes(int64(len(all)))
		for b.Loop() {
			for _, l := range lines {
				ids = tk.Append(ids[:0], l, EncodeOptions{})
			}
		}
	})
	// No place to cut: windows all the way.
	solid := strings.Repeat("etaoinshrdlu", 1<<20)
	b.Run("solid", func(b *testing.B) {
		b.SetBytes(int64(len(solid)))
		for b.Loop() {
			ids = tk.Append(ids[:0], solid, EncodeOptions{})
		}
	})
	b.Run("decode", func(b *testing.B) {
		ids = tk.Append(ids[:0], all, EncodeOptions{})
		b.SetBytes(int64(len(all)))
		for b.Loop() {
			if _, err := tk.Decode(ids); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	model := llama2(b).Model()
	for b.Loop() {
		if _, err := Parse(model); err != nil {
			b.Fatal(err)
		}
	}
}
